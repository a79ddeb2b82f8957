//! INVITE client transaction (RFC 3261 §17.1.1, Accepted of RFC 6026 §7.2).

use gateway_core::Instant;

use super::{Action, Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Request sent; `a` is the next repeat over UDP and its interval, `b` gives up.
    Calling {
        a: Option<(Instant, std::time::Duration)>,
        b: Instant,
    },
    /// A provisional response came; `cancelled` gives up 64·T1 after a CANCEL (§9.1).
    Proceeding {
        cancelled: Option<Instant>,
    },
    /// Failure acknowledged; repeats are acknowledged until timer D.
    Completed {
        d: Instant,
    },
    /// 2xx passed up; repeats and forks are passed up until timer M.
    Accepted {
        m: Instant,
    },
    Terminated,
}

/// INVITE client transaction.
#[derive(Clone, Debug)]
pub struct InviteClient {
    timers: Timers,
    reliable: bool,
    state: State,
}

impl InviteClient {
    /// Starts; the caller sends the request once by itself.
    #[must_use]
    pub fn new(now: Instant, timers: Timers, reliable: bool) -> Self {
        let a = (!reliable).then(|| (now + timers.t1, timers.t1));
        Self {
            timers,
            reliable,
            state: State::Calling {
                a,
                b: now + timers.long(),
            },
        }
    }

    /// A response with this status code came.
    pub fn handle_response(&mut self, now: Instant, code: u16) -> Vec<Action> {
        match (self.state, code) {
            (State::Calling { .. }, 100..=199) => {
                self.state = State::Proceeding { cancelled: None };
                vec![Action::PassUp]
            }
            (State::Proceeding { .. }, 100..=199) => vec![Action::PassUp],
            (State::Calling { .. } | State::Proceeding { .. }, 200..=299) => {
                self.state = State::Accepted {
                    m: now + self.timers.long(),
                };
                vec![Action::PassUp]
            }
            (State::Calling { .. } | State::Proceeding { .. }, _) => {
                if self.reliable {
                    self.state = State::Terminated;
                    return vec![Action::Acknowledge, Action::PassUp, Action::Terminate];
                }
                self.state = State::Completed {
                    d: now + self.timers.d,
                };
                vec![Action::Acknowledge, Action::PassUp]
            }
            (State::Completed { .. }, 300..) => vec![Action::Acknowledge],
            (State::Accepted { .. }, 200..=299) => vec![Action::PassUp],
            (State::Completed { .. } | State::Accepted { .. } | State::Terminated, _) => Vec::new(),
        }
    }

    /// True if a CANCEL may be sent now; before a provisional response it must wait (§9.1).
    #[must_use]
    pub const fn may_cancel(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// True while no final response came.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// True after the final response, while its repeats are absorbed.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Accepted { .. })
    }

    /// True while no response at all came.
    #[must_use]
    pub const fn is_unheard(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// A CANCEL was sent: without a final response within 64·T1 the transaction ends.
    pub fn cancel_sent(&mut self, now: Instant) {
        if let State::Proceeding { cancelled } = &mut self.state {
            cancelled.get_or_insert(now + self.timers.long());
        }
    }

    /// The request or ACK could not be sent. True if the user must be told; the transaction is over then.
    pub fn transport_failed(&mut self) -> bool {
        match self.state {
            State::Calling { .. } | State::Proceeding { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                true
            }
            State::Accepted { .. } | State::Terminated => false,
        }
    }

    /// Runs timers A, B, D and M.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        let over = |this: &mut Self, actions: &[Action]| {
            this.state = State::Terminated;
            actions.to_vec()
        };
        match &mut self.state {
            State::Calling { b, .. } if *b <= now => over(self, &[Action::TimedOut, Action::Terminate]),
            State::Calling {
                a: Some((at, interval)),
                ..
            } if *at <= now => {
                *interval = interval.saturating_mul(2);
                *at = now + *interval;
                vec![Action::Transmit]
            }
            State::Proceeding { cancelled: Some(at) } if *at <= now => {
                over(self, &[Action::TimedOut, Action::Terminate])
            }
            State::Completed { d: at } | State::Accepted { m: at } if *at <= now => {
                over(self, &[Action::Terminate])
            }
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => Vec::new(),
        }
    }

    /// When [`InviteClient::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Calling { a, b } => Some(a.map_or(b, |(at, _)| at.min(b))),
            State::Proceeding { cancelled } => cancelled,
            State::Completed { d: at } | State::Accepted { m: at } => Some(at),
            State::Terminated => None,
        }
    }
}
