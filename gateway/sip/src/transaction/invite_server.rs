//! INVITE server transaction (RFC 3261 §17.2.1, Accepted of RFC 6026 §7.1).

use std::time::Duration;

use gateway_core::Instant;

use super::{Action, Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final response; `trying` sends 100 if the user sent nothing by then.
    Proceeding {
        trying: Option<Instant>,
    },
    /// Failure sent; repeated by timer G over UDP until ACK or timer H.
    Completed {
        g: Option<(Instant, Duration)>,
        h: Instant,
    },
    /// ACK came; further ACKs are absorbed until timer I.
    Confirmed {
        i: Instant,
    },
    /// 2xx sent; repeated INVITEs are absorbed until timer L.
    Accepted {
        l: Instant,
    },
    Terminated,
}

/// INVITE server transaction.
#[derive(Clone, Debug)]
pub struct InviteServer {
    /// The user has the ACK of its 2xx.
    acknowledged: bool,
    timers: Timers,
    reliable: bool,
    state: State,
}

impl InviteServer {
    /// Starts with the first INVITE, which the caller passes up by itself.
    #[must_use]
    pub fn new(now: Instant, timers: Timers, reliable: bool) -> Self {
        Self {
            acknowledged: false,
            timers,
            reliable,
            state: State::Proceeding {
                trying: Some(now + timers.trying),
            },
        }
    }

    /// The INVITE came again.
    pub fn handle_repeat(&mut self) -> Vec<Action> {
        match &mut self.state {
            State::Proceeding { trying } => match trying.take() {
                Some(_) => vec![Action::Trying],
                None => vec![Action::Transmit],
            },
            State::Completed { .. } => vec![Action::Transmit],
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => Vec::new(),
        }
    }

    /// An ACK came that matches this transaction. In Accepted it goes to the user, who waits for it.
    pub fn handle_ack(&mut self, now: Instant) -> Vec<Action> {
        match self.state {
            State::Completed { .. } if self.reliable => {
                self.state = State::Terminated;
                vec![Action::Terminate]
            }
            State::Completed { .. } => {
                self.state = State::Confirmed {
                    i: now + self.timers.t4,
                };
                Vec::new()
            }
            State::Accepted { .. } => vec![Action::PassUp],
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => Vec::new(),
        }
    }

    /// The user responds; `None` if a final response was sent before (a 2xx may be sent again).
    pub fn respond(&mut self, now: Instant, code: u16) -> Option<Vec<Action>> {
        match (&mut self.state, code) {
            (State::Proceeding { trying }, 100..=199) => *trying = None,
            (State::Proceeding { .. }, 200..=299) => {
                self.state = State::Accepted {
                    l: now + self.timers.long(),
                };
            }
            (State::Proceeding { .. }, _) => {
                let g = (!self.reliable).then(|| (now + self.timers.t1, self.timers.t1));
                self.state = State::Completed {
                    g,
                    h: now + self.timers.long(),
                };
            }
            (State::Accepted { .. }, 200..=299) => {}
            (
                State::Completed { .. }
                | State::Confirmed { .. }
                | State::Accepted { .. }
                | State::Terminated,
                _,
            ) => return None,
        }
        Some(vec![Action::Transmit])
    }

    /// True while the user owes a final response.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// True if a failure was sent and its ACK is awaited.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.state, State::Completed { .. })
    }

    /// True if the transaction only absorbs repeats.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        match self.state {
            State::Confirmed { .. } | State::Terminated => true,
            State::Accepted { .. } => self.acknowledged,
            State::Proceeding { .. } | State::Completed { .. } => false,
        }
    }

    /// The user has the ACK of its 2xx: from here on only repeats are absorbed.
    pub const fn acknowledged(&mut self) {
        self.acknowledged = true;
    }

    /// A response could not be sent. True if the user must be told.
    pub fn transport_failed(&mut self) -> bool {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                true
            }
            // RFC 6026 §7.1: the user is told, the transaction goes on absorbing INVITEs.
            State::Accepted { .. } => true,
            State::Confirmed { .. } | State::Terminated => false,
        }
    }

    /// True after the end.
    #[must_use]
    pub const fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Runs timers G, H, I, L and the one for 100.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        match &mut self.state {
            State::Proceeding { trying } if trying.is_some_and(|at| at <= now) => {
                *trying = None;
                vec![Action::Trying]
            }
            State::Completed { h, .. } if *h <= now => {
                self.state = State::Terminated;
                vec![Action::TimedOut, Action::Terminate]
            }
            State::Completed {
                g: Some((at, interval)),
                ..
            } if *at <= now => {
                *interval = interval.saturating_mul(2).min(self.timers.t2);
                *at = now + *interval;
                vec![Action::Transmit]
            }
            State::Confirmed { i: at } | State::Accepted { l: at } if *at <= now => {
                self.state = State::Terminated;
                vec![Action::Terminate]
            }
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => Vec::new(),
        }
    }

    /// When [`InviteServer::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Proceeding { trying } => trying,
            State::Completed { g, h } => Some(g.map_or(h, |(at, _)| at.min(h))),
            State::Confirmed { i: at } | State::Accepted { l: at } => Some(at),
            State::Terminated => None,
        }
    }
}
