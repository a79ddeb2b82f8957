//! Non-INVITE server transaction (RFC 3261 §17.2.2).

use gateway_core::Instant;

use super::{Action, Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing sent; repeats are dropped.
    Trying,
    /// A provisional response was sent; repeats get it again.
    Proceeding,
    /// The final response was sent; repeats get it again until timer J.
    Completed {
        j: Instant,
    },
    Terminated,
}

/// Non-INVITE server transaction.
#[derive(Clone, Debug)]
pub struct NonInviteServer {
    timers: Timers,
    reliable: bool,
    state: State,
}

impl NonInviteServer {
    /// Starts with the first request, which the caller passes up by itself.
    #[must_use]
    pub const fn new(timers: Timers, reliable: bool) -> Self {
        Self {
            timers,
            reliable,
            state: State::Trying,
        }
    }

    /// The request came again.
    #[must_use]
    pub fn handle_repeat(&self) -> Vec<Action> {
        match self.state {
            State::Proceeding | State::Completed { .. } => vec![Action::Transmit],
            State::Trying | State::Terminated => Vec::new(),
        }
    }

    /// The user responds; `None` if a final response was sent before.
    pub fn respond(&mut self, now: Instant, code: u16) -> Option<Vec<Action>> {
        match (self.state, code) {
            (State::Trying | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                Some(vec![Action::Transmit])
            }
            (State::Trying | State::Proceeding, _) if self.reliable => {
                self.state = State::Terminated;
                Some(vec![Action::Transmit, Action::Terminate])
            }
            (State::Trying | State::Proceeding, _) => {
                self.state = State::Completed {
                    j: now + self.timers.long(),
                };
                Some(vec![Action::Transmit])
            }
            (State::Completed { .. } | State::Terminated, _) => None,
        }
    }

    /// True if the transaction only absorbs repeats.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Terminated)
    }

    /// A response could not be sent. True if the user must be told; the transaction is over then.
    pub fn transport_failed(&mut self) -> bool {
        let told = !matches!(self.state, State::Terminated);
        self.state = State::Terminated;
        told
    }

    /// Runs timer J.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        match self.state {
            State::Completed { j } if j <= now => {
                self.state = State::Terminated;
                vec![Action::Terminate]
            }
            State::Trying | State::Proceeding | State::Completed { .. } | State::Terminated => Vec::new(),
        }
    }

    /// When [`NonInviteServer::handle_timeout`] wants to be called.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Completed { j } => Some(j),
            State::Trying | State::Proceeding | State::Terminated => None,
        }
    }
}
