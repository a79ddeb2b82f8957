//! Tests of the user agent in virtual time: against a scripted peer ([`bench`]), and two agents against each other.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test that expects one event panics on every other"
)]

mod bench;
mod contacts;
mod early_offers;
mod incoming;
mod keepalive;
mod manner;
mod messages;
mod outgoing;
mod pair;
mod presence;
mod press;
mod privacy;
mod registration;
mod reliable;
mod timers;
mod torture;
mod transfer;
mod watchers;
mod wild;
