//! User agent (RFC 3261): registrations, incoming and outgoing calls, and answers to everything else.
//!
//! [`UserAgent`] is pure: bytes of flows, time and commands go in, [`Output`]s come out. Session descriptions are
//! opaque bodies; whoever drives it makes and reads them.
//!
//! Session timers (RFC 4028), UPDATE (RFC 3311) and reliable provisional responses (RFC 3262) work in both roles, as
//! does Replaces (RFC 3891). REFER (RFC 3515) is taken and never sent, and so are subscriptions: to the state of
//! dialogs (RFC 4235). Presence (RFC 3903) is published and never taken; messages (RFC 3428) go both ways, and so does early
//! media (RFC 3960). Offers before a call is answered, in PRACK or UPDATE, are answered once the first one has its answer in a
//! reliable response, each fork by itself, and never made.

mod account;
mod agent;
mod auth;
mod backoff;
mod call;
mod dialog;
mod dialog_info;
mod divert;
mod headers;
mod hop;
mod hops;
mod identity;
mod inside;
mod keepalive;
mod leaving;
mod manner;
mod message;
mod multipart;
mod outcome;
mod press;
mod privacy;
mod provisional;
mod publish;
mod registration;
mod requests;
mod seen;
mod session;
mod standing;
mod strangers;
mod timer;
mod transfer;
mod tries;
mod types;
mod uac;
mod uas;
mod watch;

#[cfg(test)]
mod tests;

pub use agent::UserAgent;
pub use hop::{Hop, Reached, TrustId};
pub use keepalive::{KeepAlive, KeepAliveWay};
pub use message::{MOST_TEXT, MessageOutput, OutgoingMessage};
pub use privacy::Privacy;
pub use provisional::Provisional;
pub use seen::is_far;
pub use timer::SessionTimer;
pub use tries::{CredentialsMark, Tries};
pub use types::{CallOutput, OutgoingCall, Output, UaAccount, UaParams, UaStats};
