//! Keys of ours by INFO (RFC 6086; the bodies that PBXs have long known, `application/dtmf-relay`).

use gateway_core::{Instant, LegId};

use super::UserAgent;
use super::call::Phase;
use super::inside::What;
use super::types::CallOutput;
use crate::Method;

/// What is pressed, in milliseconds: all who read it take so long for a key.
const DURATION_MS: u16 = 120;

impl UserAgent {
    /// Does the other side of a leg say that it takes INFO?
    #[must_use]
    pub fn takes_info(&self, leg: LegId) -> bool {
        self.calls.get(&leg).is_some_and(|call| call.takes_info)
    }

    /// Presses a key, one of `0-9*#A-D`, by INFO. [`CallOutput::Pressed`] says whether the other side took it; there is none
    /// where the call is over.
    pub fn press(&mut self, now: Instant, leg: LegId, key: char) {
        let confirmed = |call: &super::call::Call| matches!(call.phase, Phase::Confirmed);
        if self.calls.get(&leg).is_some_and(confirmed) && !self.ask_info(now, leg, key) {
            self.pressed(leg, false);
        }
        self.drain(now);
    }

    fn ask_info(&mut self, now: Instant, leg: LegId, key: char) -> bool {
        let flow = self.flow_of(leg);
        let dialog = self.calls.get_mut(&leg).and_then(|call| call.dialog.as_mut());
        let Some((flow, dialog)) = flow.zip(dialog) else {
            return false;
        };
        let body = format!("Signal={key}\r\nDuration={DURATION_MS}\r\n");
        let info = dialog
            .request(Method::INFO)
            .with_body("application/dtmf-relay", body);
        self.ask_inside(now, leg, What::Press, info, flow, 0)
    }

    /// The other side took a key, or did not.
    pub(crate) fn pressed(&mut self, leg: LegId, taken: bool) {
        if self.calls.get(&leg).is_some_and(|call| !call.is_over()) {
            self.tell(leg, CallOutput::Pressed { taken });
        }
    }
}
