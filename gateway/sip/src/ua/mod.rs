//! User agent (RFC 3261): registrations, incoming and outgoing calls, and answers to everything else.
//!
//! [`UserAgent`] is pure: bytes of flows, time and commands go in, [`Output`]s come out. Session descriptions are
//! opaque bodies; whoever drives it makes and reads them.
//!
//! What is left out, and refused politely: 100rel (RFC 3262), transfer (RFC 3515, 3891), subscriptions, publication,
//! messages. Session timers (RFC 4028) are left to the other side: its refreshes are answered.

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
mod outcome;
mod registration;
mod requests;
mod session;
mod strangers;
mod types;
mod uac;
mod uas;

#[cfg(test)]
mod tests;

pub use agent::UserAgent;
pub use hop::{Hop, Reached, TrustId};
pub use types::{CallOutput, OutgoingCall, Output, UaAccount, UaParams, UaStats};
