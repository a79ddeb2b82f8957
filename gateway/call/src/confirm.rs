//! A target that has to press a key before the call is his, so that a voicemail never has it.

use std::time::Duration;

use gateway_core::{Instant, LegCommand, LegId, Peer, Tone};

use crate::talk::Press;
use crate::types::Output;

/// Time for the key.
const WITHIN: Duration = Duration::from_secs(15);
/// How often he is asked.
const AGAIN: Duration = Duration::from_secs(4);

/// Somebody who answered and was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The key.
    key: char,
    /// When he is asked once more.
    next: Instant,
    /// Who he is, as far as the network says.
    pub(crate) peer: Peer,
    since: Instant,
}

impl Asked {
    pub(crate) fn new(now: Instant, key: char, peer: Peer) -> Self {
        Self {
            key,
            next: now,
            peer,
            since: now,
        }
    }

    /// Does this press take the call? It has to have been made after the answer, and not by our own tones.
    pub(crate) fn takes(&self, press: Press) -> bool {
        press.digit == self.key && !press.echo && press.at >= self.since
    }

    /// Was he given his time?
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.since + WITHIN
    }

    /// Asks once more, if it is time.
    pub(crate) fn ask(&mut self, now: Instant, leg: LegId) -> Option<Output> {
        if now < self.next {
            return None;
        }
        self.next = now + AGAIN;
        let tone = Tone::Confirm;
        Some(Output::Leg(LegCommand::PlayToLeg { leg, tone }))
    }

    /// When it is time for anything.
    pub(crate) fn due(&self) -> Instant {
        self.next.min(self.since + WITHIN)
    }
}
