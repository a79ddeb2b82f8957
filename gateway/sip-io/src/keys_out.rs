//! Keys that are pressed for us once somebody has answered: the number of a door behind an exchange, a voice menu.
//!
//! Which way they go is settled at the answer: as telephone-events where they are agreed on (RFC 4733), else by INFO where the
//! other side allows it, else as tones in the speech. An INFO that is refused goes on as tones, unless it was asked for.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{Instant, Keys, KeysBy};

/// From the answer to the first key: an exchange listens when it has begun to speak.
const FIRST: Duration = Duration::from_millis(500);
/// How long a key is pressed, and the pause after it (ITU-T Q.24: at least 40 ms each).
pub(crate) const PRESS: Duration = Duration::from_millis(120);
const PAUSE: Duration = Duration::from_millis(130);
/// A comma.
const COMMA: Duration = Duration::from_secs(1);
/// Time for the answer to an INFO; without one the next key goes.
const ANSWERED: Duration = Duration::from_secs(2);

/// The way that keys take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Event,
    Info,
    Tone,
}

/// What the other side can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Able {
    /// Telephone-events are agreed on.
    pub(crate) events: bool,
    /// It allows INFO.
    pub(crate) info: bool,
}

/// The keys of one leg.
#[derive(Debug)]
pub(crate) struct KeysOut {
    by: KeysBy,
    left: VecDeque<char>,
    /// When the next one is due; `None` before the answer.
    due: Option<Instant>,
    /// The key whose INFO has no answer yet.
    waits: Option<char>,
    way: Way,
}

impl KeysOut {
    pub(crate) fn new(keys: &Keys) -> Self {
        Self {
            by: keys.by,
            left: keys.digits.chars().collect(),
            due: None,
            waits: None,
            way: Way::Tone,
        }
    }

    /// Somebody has answered. The error says why no key can be pressed.
    pub(crate) fn answered(&mut self, now: Instant, able: Able) -> Result<Way, &'static str> {
        self.way = match (self.by, able) {
            (KeysBy::Auto | KeysBy::TelephoneEvent, Able { events: true, .. }) => Way::Event,
            (KeysBy::TelephoneEvent, Able { events: false, .. }) => {
                self.left.clear();
                return Err("no telephone-events are agreed on");
            }
            (KeysBy::Auto | KeysBy::Info, Able { info: true, .. }) => Way::Info,
            // whoever says nothing of INFO may take it
            (KeysBy::Info, Able { info: false, .. }) => Way::Info,
            (KeysBy::Auto, Able { info: false, .. }) | (KeysBy::Inband, _) => Way::Tone,
        };
        self.due.get_or_insert(now + FIRST);
        Ok(self.way)
    }

    /// When [`next`](Self::next) has something.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due.filter(|_| !self.left.is_empty() || self.waits.is_some())
    }

    /// The key that is to be pressed.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(Way, char)> {
        self.due.filter(|due| *due <= now)?;
        self.waits = None;
        let key = self.left.pop_front()?;
        if key == ',' {
            self.due = Some(now + COMMA);
            return None;
        }
        self.due = Some(
            now + if self.way == Way::Info {
                ANSWERED
            } else {
                PRESS + PAUSE
            },
        );
        self.waits = (self.way == Way::Info).then_some(key);
        Some((self.way, key))
    }

    /// The other side took an INFO, or did not. False if the keys that are left are not pressed at all.
    pub(crate) fn info_answered(&mut self, now: Instant, taken: bool) -> bool {
        let Some(key) = self.waits.take() else {
            return true;
        };
        match (taken, self.by) {
            (true, _) => self.due = Some(now + PRESS + PAUSE),
            (false, KeysBy::Auto) => {
                self.way = Way::Tone;
                self.left.push_front(key);
                self.due = Some(now);
            }
            (false, KeysBy::Info | KeysBy::Inband | KeysBy::TelephoneEvent) => {
                self.left.clear();
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000);

    fn keys(digits: &str, by: KeysBy) -> KeysOut {
        KeysOut::new(&Keys {
            digits: digits.into(),
            by,
        })
    }

    const fn able(events: bool, info: bool) -> Able {
        Able { events, info }
    }

    /// All keys with the time after the answer, in ms; every INFO is taken at once.
    fn pressed(keys: &mut KeysOut) -> Vec<(u128, Way, char)> {
        let mut all = Vec::new();
        while let Some(due) = keys.poll_timeout() {
            if let Some((way, key)) = keys.next(due) {
                all.push((due.since(T0).as_millis(), way, key));
                if way == Way::Info {
                    keys.info_answered(due, true);
                }
            }
        }
        all
    }

    #[test]
    fn the_best_way_that_both_have_is_taken_and_a_set_one_whatever_there_is() {
        use KeysBy::{Auto, Inband, Info, TelephoneEvent};
        for (by, events, info, expected) in [
            (Auto, true, true, Ok(Way::Event)),
            (Auto, false, true, Ok(Way::Info)),
            (Auto, false, false, Ok(Way::Tone)),
            (Inband, true, true, Ok(Way::Tone)),
            (Info, true, false, Ok(Way::Info)),
            (TelephoneEvent, true, false, Ok(Way::Event)),
            (
                TelephoneEvent,
                false,
                true,
                Err("no telephone-events are agreed on"),
            ),
        ] {
            let found = keys("1", by).answered(T0, able(events, info));
            assert_eq!(found, expected, "{by:?} {events} {info}");
        }
    }

    #[test]
    fn nothing_is_pressed_before_the_answer_and_a_comma_waits() {
        let mut keys = keys("1,#", KeysBy::Auto);
        assert_eq!(keys.poll_timeout(), None);
        assert_eq!(keys.next(T0), None);
        keys.answered(T0, able(true, false)).expect("a way");
        // named once more, as after a transfer, it begins nothing anew
        keys.answered(T0 + FIRST / 2, able(true, false)).expect("a way");
        assert_eq!(
            pressed(&mut keys),
            [(500, Way::Event, '1'), (1_750, Way::Event, '#')]
        );
        assert_eq!(keys.poll_timeout(), None);
    }

    #[test]
    fn each_info_waits_for_the_one_before_and_no_longer_than_two_seconds() {
        let mut keys = keys("12", KeysBy::Info);
        keys.answered(T0, able(false, true)).expect("a way");
        assert_eq!(keys.next(T0 + FIRST), Some((Way::Info, '1')));
        assert_eq!(keys.next(T0 + FIRST + PRESS + PAUSE), None);
        assert_eq!(keys.next(T0 + FIRST + ANSWERED), Some((Way::Info, '2')));
        assert!(keys.info_answered(T0 + FIRST + ANSWERED, true));
        assert_eq!(keys.poll_timeout(), None);
    }

    #[test]
    fn who_refuses_info_hears_tones_unless_only_info_was_asked_for() {
        let mut auto = keys("12", KeysBy::Auto);
        auto.answered(T0, able(false, true)).expect("a way");
        assert_eq!(auto.next(T0 + FIRST), Some((Way::Info, '1')));
        assert!(auto.info_answered(T0 + FIRST, false));
        let tones: Vec<(Way, char)> = pressed(&mut auto)
            .into_iter()
            .map(|(_, way, key)| (way, key))
            .collect();
        assert_eq!(tones, [(Way::Tone, '1'), (Way::Tone, '2')]);

        let mut info = keys("12", KeysBy::Info);
        info.answered(T0, able(false, false)).expect("a way");
        info.next(T0 + FIRST);
        assert!(!info.info_answered(T0 + FIRST, false));
        assert_eq!(info.poll_timeout(), None);
    }
}
