//! Non-INVITE client transaction (RFC 3261 §17.1.2).

use std::time::Duration;

use gateway_core::Instant;

use super::{Action, Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Request sent; `e` is the next repeat over UDP and its interval, `f` gives up.
    Trying {
        e: Option<(Instant, Duration)>,
        f: Instant,
    },
    /// A provisional response came; repeats go on every T2.
    Proceeding {
        e: Option<Instant>,
        f: Instant,
    },
    /// Final response passed up; repeats are absorbed until timer K.
    Completed {
        k: Instant,
    },
    Terminated,
}

/// Non-INVITE client transaction.
#[derive(Clone, Debug)]
pub struct NonInviteClient {
    timers: Timers,
    reliable: bool,
    state: State,
}

impl NonInviteClient {
    /// Starts; the caller sends the request once by itself.
    #[must_use]
    pub fn new(now: Instant, timers: Timers, reliable: bool) -> Self {
        let e = (!reliable).then(|| (now + timers.t1, timers.t1));
        Self {
            timers,
            reliable,
            state: State::Trying {
                e,
                f: now + timers.long(),
            },
        }
    }

    /// A response with this status code came.
    pub fn handle_response(&mut self, now: Instant, code: u16) -> Vec<Action> {
        match (self.state, code) {
            (State::Trying { e, f }, 100..=199) => {
                // The pending repeat keeps its time; from then on the interval is T2.
                self.state = State::Proceeding {
                    e: e.map(|(at, _)| at),
                    f,
                };
                vec![Action::PassUp]
            }
            (State::Proceeding { .. }, 100..=199) => vec![Action::PassUp],
            (State::Trying { .. } | State::Proceeding { .. }, _) => {
                if self.reliable {
                    self.state = State::Terminated;
                    return vec![Action::PassUp, Action::Terminate];
                }
                self.state = State::Completed {
                    k: now + self.timers.t4,
                };
                vec![Action::PassUp]
            }
            (State::Completed { .. } | State::Terminated, _) => Vec::new(),
        }
    }

    /// True after the final response, while its repeats are absorbed.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        matches!(self.state, State::Completed { .. })
    }

    /// True while no response at all came.
    #[must_use]
    pub const fn is_unheard(&self) -> bool {
        matches!(self.state, State::Trying { .. })
    }

    /// The request could not be sent. True if the user must be told; the transaction is over then.
    pub fn transport_failed(&mut self) -> bool {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                true
            }
            State::Completed { .. } | State::Terminated => false,
        }
    }

    /// Runs timers E, F and K.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        match &mut self.state {
            State::Trying { f, .. } | State::Proceeding { f, .. } if *f <= now => {
                self.state = State::Terminated;
                vec![Action::TimedOut, Action::Terminate]
            }
            State::Trying {
                e: Some((at, interval)),
                ..
            } if *at <= now => {
                *interval = interval.saturating_mul(2).min(self.timers.t2);
                *at = now + *interval;
                vec![Action::Transmit]
            }
            State::Proceeding { e: Some(at), .. } if *at <= now => {
                *at = now + self.timers.t2;
                vec![Action::Transmit]
            }
            State::Completed { k } if *k <= now => {
                self.state = State::Terminated;
                vec![Action::Terminate]
            }
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {
                Vec::new()
            }
        }
    }

    /// When [`NonInviteClient::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Trying { e, f } => Some(e.map_or(f, |(at, _)| at.min(f))),
            State::Proceeding { e, f } => Some(e.map_or(f, |at| at.min(f))),
            State::Completed { k } => Some(k),
            State::Terminated => None,
        }
    }
}
