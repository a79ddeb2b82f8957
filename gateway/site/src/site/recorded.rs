//! Talks that are recorded: whose, and what became of it. A recording decides nothing and holds nobody up.

use gateway_core::{CallEvent, LegId, RingId};

use super::{Now, Site};
use crate::io::{Output, Recorded};

impl Site {
    /// Somebody has the call of a ring from here on: where its panel is recorded, so is that talk.
    pub(super) fn record_talk(&mut self, ring: RingId, leg: LegId) {
        // nobody at a panel has a part in a call about an alarm
        let call = self.calls.get(&ring).filter(|call| call.alarm.is_none());
        let Some(panel) = call.and_then(|call| call.at_panel()).cloned() else {
            return;
        };
        let how = self.params.panels.get(&panel).and_then(|of| of.record.clone());
        if let Some(how) = how {
            self.out.push_back(Output::RecordTalk {
                how,
                leg,
                panel,
                ring,
            });
        }
    }

    /// The driver says what became of it.
    pub(super) fn recorded(&mut self, now: Now, ring: RingId, what: Recorded) {
        let simulated = self.calls.get(&ring).is_some_and(|call| call.simulated);
        let event = match what {
            Recorded::Began { file } => CallEvent::RecordingBegan { file },
            Recorded::Ended { file, length, why } => CallEvent::RecordingEnded {
                file,
                length_ms: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
                why,
            },
        };
        self.call_event(now, ring, event, simulated);
    }
}
