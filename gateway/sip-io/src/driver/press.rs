//! Keys that are pressed once somebody has answered.

use gateway_core::{Instant, LegId};

use super::Driver;
use crate::keys_out::{Able, PRESS, Way};

impl Driver {
    /// A leg was answered; `events` if telephone-events are agreed on.
    pub(super) fn begin_keys(&mut self, now: Instant, leg: LegId, events: bool) {
        let info = self.ua.takes_info(leg);
        if let Some(keys) = self
            .sessions
            .get_mut(&leg)
            .and_then(|session| session.keys.as_mut())
        {
            match keys.answered(now, Able { events, info }) {
                Ok(way) => tracing::debug!(%leg, ?way, "keys are pressed"),
                Err(why) => tracing::warn!(%leg, why, "the keys of a target cannot be pressed"),
            }
        }
    }

    /// Presses what is due.
    pub(super) fn press_keys(&mut self, now: Instant) {
        let mut due = Vec::new();
        for (leg, session) in &mut self.sessions {
            if let Some((way, key)) = session.keys.as_mut().and_then(|keys| keys.next(now)) {
                due.push((*leg, way, key));
            }
        }
        for (leg, way, key) in due {
            let sent = match way {
                Way::Event => self.engine.send_digit(leg, key, PRESS),
                Way::Info => {
                    self.ua.press(now, leg, key);
                    Ok(())
                }
                Way::Tone => self.engine.send_tones(leg, key, PRESS),
            };
            if let Err(error) = sent {
                tracing::warn!(%leg, %error, "a key cannot be pressed");
            }
        }
    }

    /// A key by INFO was taken, or not.
    pub(super) fn key_answered(&mut self, now: Instant, leg: LegId, taken: bool) {
        if let Some(keys) = self
            .sessions
            .get_mut(&leg)
            .and_then(|session| session.keys.as_mut())
            && !keys.info_answered(now, taken)
        {
            tracing::warn!(%leg, "the other side takes no keys by INFO; those that are left are not pressed");
        }
    }
}
