//! RADIUS client for logins at the page: PAP, Service-Type, accounting (RFC 2865, 2866, 2869, 3579, 5997).
//!
//! ```text
//! login ─▶ client (driver) ─▶ exchange (pure: servers in order, tries, time-outs) ─▶ UDP
//!                                  └─ request, reply (pure: codec, authenticators)
//! ```
//! An Access-Request carries Message-Authenticator as its first attribute. A reply counts only if its Response
//! Authenticator fits, its Message-Authenticator fits where it has one, and, unless the operator says otherwise, it
//! has one: without it a man in the middle can turn a Reject into an Accept (CVE-2024-3596). What does not count is
//! as if it had never come, so that whoever forges cannot keep people out either.
//!
//! Left out: CHAP, EAP and challenges, proxies, RADIUS over TLS. Driven by `gateway-http` with [`Client`].

mod accounting;
mod attribute;
mod client;
mod exchange;
pub mod fake;
#[doc(hidden)]
pub mod fuzz;
mod packet;
mod params;
mod pool;
mod reply;
mod request;

pub use accounting::{Session, TerminateCause};
pub use client::{Answer, Busy, Client, Login};
pub use exchange::{Exchange, Output, Silence, Target, Tries};
pub use packet::{Code, Packet, PacketError};
pub use params::{Params, Server};
pub use pool::{Pool, ServerFault};
pub use reply::{Admission, BadReply, Refusal, Reply, Role, Verdict};
pub use request::{Request, RequestError};
