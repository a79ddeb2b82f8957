//! LDAP client for the directory of contacts: StartTLS, simple bind, one search with pages, unbind. Pure.
//!
//! Written here because what a server sends is not to be trusted: every length is bounded, and octets that are
//! no LDAP are an error, never a panic. It reads only; there is no operation that changes anything at the server.
//!
//! Left out: SASL, referrals (they are counted and not followed), anything but one search. Driven by
//! `gateway-contacts`.

mod ber;
mod entry;
mod filter;
#[doc(hidden)]
pub mod fuzz;
mod message;
mod session;

pub use ber::BerError;
pub use entry::{Attributes, Entry, NAME, normal_number};
pub use filter::{Filter, FilterError};
pub use session::{Failure, Found, Output, Query, Session};
