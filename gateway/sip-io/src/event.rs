//! What the engine reports.

use std::net::IpAddr;

use gateway_core::{AccountEvent, AccountId, AccountState, LegEvent, LegId, PanelId, Peer, Quality};

/// Something happened at a telephone, at an account, or at our door to the network.
#[derive(Clone, Debug, PartialEq)]
pub enum SipEvent {
    /// An account changed.
    Account(AccountReport),
    /// A call has no media because of us: no free port, no socket. The text says which.
    Fault(String),
    /// A leg.
    Leg(LegEvent),
    /// A text came for a panel.
    Message(TextReport),
    /// How the speech of a leg came, that is over.
    Quality(QualityReport),
    /// Someone we do not know tried: a report for the first request, then one per source and hour, counted in [`SipStats`].
    Stranger(StrangerReport),
}

/// A text that came (RFC 3428).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextReport {
    /// For which panel.
    pub panel: PanelId,
    /// Who sent it.
    pub peer: Peer,
    /// What, at most 1300 bytes.
    pub text: String,
}

/// State of an account after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountReport {
    /// Which.
    pub id: AccountId,
    /// Its state.
    pub state: AccountState,
    /// What happened; `None` when it only began to try.
    pub event: Option<AccountEvent>,
}

/// Requests from someone without a registered flow who is not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrangerReport {
    /// Requests of this source since the last report.
    pub count: u64,
    /// Method of the last one.
    pub method: String,
    /// Where they came from; `None`: from more sources than are told apart.
    pub source: Option<IpAddr>,
}

/// How the speech of a leg came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QualityReport {
    /// The leg; its end was reported before.
    pub leg: LegId,
    /// How.
    pub quality: Quality,
}

/// Counters since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipStats {
    /// Calls in progress, both directions.
    pub calls: u64,
    /// Digits reported.
    pub digits: u64,
    /// Datagrams and stream bytes dropped by a limit: rate, size, number of connections.
    pub dropped: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Requests from strangers, and connections of theirs over which nothing was said.
    pub strangers: u64,
}
