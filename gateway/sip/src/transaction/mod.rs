//! Transactions: the four machines of RFC 3261 §17 with RFC 6026, and the layer that finds the right one.
//!
//! A machine knows states and timers, not messages; [`TransactionLayer`] keeps the messages, matches what arrives
//! (§17.1.3, §17.2.3), acknowledges failures, and answers CANCEL. Time and randomness come from outside.
//!
//! The transaction user is the dialog layer: it acknowledges 2xx, and repeats its own 2xx until the ACK comes
//! (RFC 3261 §13.3.1.4) by calling [`TransactionLayer::respond`] again. It also ends an INVITE that only gets provisional
//! responses, with [`TransactionLayer::cancel`]: the machine has no timer for that.

mod build;
mod invite_client;
mod invite_server;
mod key;
mod layer;
mod non_invite_client;
mod non_invite_server;
mod slot;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use layer::{Counters, TransactionLayer};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;

use crate::message::{Request, Response};
use crate::transport::Flow;

/// Base times of RFC 3261 §17.1.1.1; every lettered timer follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// T1, round-trip estimate.
    pub t1: Duration,
    /// T2, longest interval between repeats of non-INVITE requests and of INVITE responses.
    pub t2: Duration,
    /// T4, longest life of a message in the network.
    pub t4: Duration,
    /// D, time a failed INVITE waits for repeated responses over UDP; at least 32 s.
    pub d: Duration,
    /// Time the user has to answer an INVITE before we send 100 for it (§17.2.1: 200 ms).
    pub trying: Duration,
}

impl Default for Timers {
    /// T1 500 ms, T2 4 s, T4 5 s, D 32 s.
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            d: Duration::from_secs(32),
            trying: Duration::from_millis(200),
        }
    }
}

impl Timers {
    /// 64·T1: timers B, F, H, J, L and M.
    #[must_use]
    pub fn long(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// Sizes and times of a [`TransactionLayer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Base times.
    pub timers: Timers,
    /// Most client transactions that wait for a final response; a further request is refused to the caller.
    pub clients: usize,
    /// Most client transactions that have theirs and only absorb repeats, which over UDP lasts up to 32 s; beyond it
    /// the oldest is given up, so that many short calls in a row are not held up by those that are over.
    pub lingering: usize,
    /// Most server transactions at once. When full, the oldest that only absorbs repeats is given up, else the oldest
    /// refused INVITE that waits for its ACK; if there is none, a new request is answered 503 without state (CANCEL and ACK are dropped).
    pub servers: usize,
}

impl Default for Params {
    /// 512 of each kind at work, and 1024 that linger: at 100 calls a second each absorbs repeats for 5 s still.
    fn default() -> Self {
        Self {
            timers: Timers::default(),
            clients: 512,
            lingering: 1024,
            servers: 512,
        }
    }
}

/// Names a transaction; never used twice in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub(crate) u64);

/// What a machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the ACK for a failure (again).
    Acknowledge,
    /// Give the message to the transaction user.
    PassUp,
    /// Tell the user that the awaited message never came.
    TimedOut,
    /// The transaction is over; forget it.
    Terminate,
    /// Send the request, or the last response (again).
    Transmit,
    /// Send 100 Trying.
    Trying,
}

/// What the layer wants done or reports.
#[derive(Clone, PartialEq)]
pub enum Output {
    /// Something for the transaction user.
    Event(Event),
    /// Send bytes. If that fails for `id`, tell [`TransactionLayer::handle_transport_error`].
    Send {
        /// Where to.
        flow: Flow,
        /// The message.
        bytes: Arc<[u8]>,
        /// The transaction it belongs to; none for ACK of a 2xx and answers without state.
        id: Option<TransactionId>,
    },
}

impl fmt::Debug for Output {
    /// Shows the first line of a message, not its bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "{event:?}"),
            Self::Send { flow, bytes, id } => {
                let line = bytes.split(|b| *b == b'\r').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line);
                write!(
                    f,
                    "Send({line:?}, {} bytes, {} {}, {id:?})",
                    bytes.len(),
                    flow.transport,
                    flow.remote
                )
            }
        }
    }
}

/// News for the transaction user.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An ACK that ends at the user: for a 2xx, or for nothing we know.
    Ack {
        /// The ACK.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// Our final answer to an INVITE was never acknowledged (timer H).
    AckTimeout {
        /// The INVITE's server transaction.
        id: TransactionId,
    },
    /// An INVITE was cancelled before its final answer. The CANCEL has its 200; the user answers the INVITE 487.
    Cancel {
        /// The INVITE's server transaction.
        id: TransactionId,
        /// The CANCEL, whose Reason may tell why (RFC 3326).
        request: Request,
    },
    /// A new request; answer it with [`TransactionLayer::respond`].
    Request {
        /// Its server transaction.
        id: TransactionId,
        /// The request; its top Via is stamped with the source.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// A response to a request of ours. A 2xx to INVITE is reported each time it comes.
    Response {
        /// Our client transaction.
        id: TransactionId,
        /// The response.
        response: Response,
        /// Where it came from.
        flow: Flow,
    },
    /// The transaction is over; its id means nothing from here on.
    Terminated {
        /// Which.
        id: TransactionId,
    },
    /// No final response to a request of ours (timers B, F, or 64·T1 after CANCEL).
    Timeout {
        /// Our client transaction.
        id: TransactionId,
    },
    /// A message could not be sent.
    TransportError {
        /// Which transaction.
        id: TransactionId,
        /// What ended the connection that it was on.
        why: Option<String>,
    },
}

/// Why a request was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// As many requests wait for answers as are allowed.
    #[error("{waiting} client transactions, allowed {waiting}")]
    Full {
        /// How many.
        waiting: usize,
    },
    /// ACK and CANCEL have functions of their own.
    #[error("found method {method}, expected one that starts a transaction")]
    Method {
        /// The method.
        method: String,
    },
}

/// Why a response was not sent, or a request not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The transaction has its final response, or is not of the kind.
    #[error("transaction {0:?} is past this")]
    Past(TransactionId),
    /// The transaction is over.
    #[error("transaction {0:?} is over")]
    Unknown(TransactionId),
}
