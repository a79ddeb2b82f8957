//! An address of the other side that is tried out from our one address of its component (RFC 8445 §6.1.2).

use std::net::SocketAddr;

use gateway_core::Instant;

use super::{Candidate, Component};

/// Preference of an address that is our own (RFC 8445 §5.1.2.1).
pub(crate) const HOST: u32 = 126;
/// That of one that a check showed.
pub(super) const PEER_REFLEXIVE: u32 = 110;
/// That of one that others see us at.
pub(crate) const REFLEXIVE: u32 = 100;

/// Priority of a candidate of ours, the one address of its kind (RFC 8445 §5.1.2.1); components are numbered from 1.
pub(crate) const fn priority(kind: u32, component: u32) -> u32 {
    (kind << 24) + (65_535 << 8) + 256 - component
}

/// How far a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Has not been tried.
    Waiting,
    /// A check of the other side came: its turn is next (RFC 8445 §7.3.1.4).
    Triggered,
    /// Asked, and not answered yet.
    Asked {
        transaction: [u8; 12],
        /// How often.
        sent: u32,
        /// When it is asked again, or given up.
        due: Instant,
        /// We said that we choose it.
        nominates: bool,
        /// We said that we are the one who chooses.
        controlling: bool,
    },
    /// Answered.
    Done,
    /// Not answered.
    Failed,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) component: Component,
    pub(super) remote: SocketAddr,
    /// Priority of the other side's candidate.
    theirs: u32,
    pub(super) state: State,
    /// A check was answered: both directions work.
    pub(super) valid: bool,
    /// A good check of the other side came from there.
    pub(super) heard: bool,
    /// The other side has chosen it.
    pub(super) chosen: bool,
}

impl Pair {
    pub(super) const fn new(candidate: Candidate) -> Self {
        Self {
            component: candidate.component,
            remote: candidate.address,
            theirs: candidate.priority,
            state: State::Waiting,
            valid: false,
            heard: false,
            chosen: false,
        }
    }

    /// Priority of the pair (RFC 8445 §6.1.2.3).
    pub(super) fn priority(&self, controlling: bool) -> u64 {
        let number = if self.component == Component::Rtp { 1 } else { 2 };
        let ours = priority(HOST, number);
        let (g, d) = if controlling {
            (ours, self.theirs)
        } else {
            (self.theirs, ours)
        };
        (u64::from(g.min(d)) << 32) + 2 * u64::from(g.max(d)) + u64::from(g > d)
    }

    /// Is it still to be tried, or being tried?
    pub(super) const fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Waiting | State::Triggered | State::Asked { .. }
        )
    }

    /// Is it asked with the word that we choose it?
    pub(super) const fn is_nominated(&self) -> bool {
        matches!(self.state, State::Asked { nominates: true, .. })
    }

    /// A good check of the other side came from there: ours is the next, if it was not answered yet.
    pub(super) fn trigger(&mut self, now: Instant) {
        self.heard = true;
        if let State::Asked { due, sent, .. } = &mut self.state
            && *sent < super::full::TRIES
        {
            *due = now;
        } else if !self.valid {
            self.state = State::Triggered;
        }
    }
}
