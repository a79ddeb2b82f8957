//! What a reading has left in the sockets of a leg, and since when: of each socket by itself, since what waits in one says
//! nothing of when a packet came to another.

use gateway_core::Instant;

use super::Which;

/// Of each socket since when packets may wait in it; `None` if it was read to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Backlog {
    audio: Option<Instant>,
    rtcp: Option<Instant>,
    rtp: Option<Instant>,
}

impl Backlog {
    /// Does any socket have some?
    pub(in crate::engine) const fn is_some(&self) -> bool {
        self.audio.is_some() || self.rtcp.is_some() || self.rtp.is_some()
    }

    /// The socket is read anew: since when something waited in it.
    pub(super) const fn take(&mut self, which: Which) -> Option<Instant> {
        self.of(which).take()
    }

    /// Something was left in the socket that may have come at this time already.
    pub(super) const fn note(&mut self, which: Which, since: Instant) {
        *self.of(which) = Some(since);
    }

    const fn of(&mut self, which: Which) -> &mut Option<Instant> {
        match which {
            Which::Audio => &mut self.audio,
            Which::Rtcp => &mut self.rtcp,
            Which::All | Which::Rtp => &mut self.rtp,
        }
    }
}
