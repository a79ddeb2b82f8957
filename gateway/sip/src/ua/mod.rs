//! User agent (RFC 3261): registrations, incoming and outgoing calls, and answers to everything else.
//!
//! [`UserAgent`] is pure: bytes of flows, time and commands go in, [`Output`]s come out. Session descriptions are
//! opaque bodies; whoever drives it makes and reads them.
//!
//! Session timers (RFC 4028), UPDATE (RFC 3311) and reliable provisional responses (RFC 3262) work in both roles. What
//! is left out, and refused politely: transfer (RFC 3515, 3891), subscriptions, publication, messages, early media.

mod account;
mod agent;
mod auth;
mod backoff;
mod call;
mod dialog;
mod headers;
mod hop;
mod hops;
mod identity;
mod inside;
mod outcome;
mod provisional;
mod registration;
mod requests;
mod session;
mod strangers;
mod timer;
mod types;
mod uac;
mod uas;

#[cfg(test)]
mod tests;

pub use agent::UserAgent;
pub use hop::{Hop, Reached, TrustId};
pub use provisional::Provisional;
pub use timer::SessionTimer;
pub use types::{CallOutput, OutgoingCall, Output, UaAccount, UaParams, UaStats};
