//! Puts key presses together to codes.

use std::time::Duration;

use gateway_core::{Instant, Secret};

use crate::code::MAX_CODE;

/// Longest pause between two digits of one code.
pub const INTER_DIGIT: Duration = Duration::from_secs(3);

/// Which of the special keys belong to codes; the others edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Some code contains `#`. If not, the key ends an entry.
    pub hash: bool,
    /// Some code contains `*`. If not, the key throws away what was typed, which counts as a try.
    pub star: bool,
}

/// Something typed, ready for the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was complete: the last key, or the end of the pause that closed it.
    pub at: Instant,
    /// What was typed.
    pub digits: Secret,
}

/// Collects the keys of one source: one leg, or one keypad.
///
/// An entry is complete at the key that makes it a code (no code begins another, so that nothing longer can be
/// meant), at eight keys, at `#` or `*`, or after a pause of 3 s. An entry that is no code is not reported earlier:
/// an answer at the first wrong key would tell how a code begins.
#[derive(Debug, Default)]
pub struct DigitCollector {
    keys: KeyUse,
    last: Instant,
    typed: String,
}

impl DigitCollector {
    /// An empty one.
    #[must_use]
    pub const fn new(keys: KeyUse) -> Self {
        Self {
            keys,
            last: Instant::ZERO,
            typed: String::new(),
        }
    }

    /// Takes a key. `is_code` tells whether a text is a code that could open something from this source; it is
    /// no decision. Returns what is complete: at most an entry that a pause closed and one that this key
    /// closed, in this order. Keys other than `0-9 * #` are passed over.
    pub fn push(&mut self, now: Instant, key: char, is_code: impl FnOnce(&str) -> bool) -> Vec<Entry> {
        let mut complete: Vec<_> = self.handle_timeout(now).into_iter().collect();
        match key {
            // what is thrown away is a try as well: else one could guess for ever between two stars
            '#' if !self.keys.hash => complete.extend(self.take(now)),
            '*' if !self.keys.star => complete.extend(self.take(now)),
            '0'..='9' | '*' | '#' => {
                self.typed.push(key);
                self.last = now;
                if is_code(&self.typed) || self.typed.len() >= MAX_CODE {
                    complete.extend(self.take(now));
                }
            }
            _ => {}
        }
        complete
    }

    /// Closes the entry at once: it is thrown away, and counts.
    pub fn close(&mut self, now: Instant) -> Option<Entry> {
        self.take(now)
    }

    /// Forgets what was typed: the call is over, or the party lost its authority.
    pub fn clear(&mut self) {
        self.typed.clear();
    }

    /// Closes the entry if the pause is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Entry> {
        let end = self.poll_timeout()?;
        if now < end { None } else { self.take(end) }
    }

    /// When the pause is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.typed.is_empty()).then(|| self.last + INTER_DIGIT)
    }

    fn take(&mut self, at: Instant) -> Option<Entry> {
        (!self.typed.is_empty()).then(|| Entry {
            at,
            digits: Secret::new(std::mem::take(&mut self.typed)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `keys` with `.` for one second of pause; expects the entries in order.
    #[track_caller]
    fn check(keys: &str, expected: &[&str]) {
        assert_eq!(typed(KeyUse::default(), keys), expected, "{keys}");
    }

    #[test]
    fn a_code_is_complete_at_its_last_key() {
        check("9", &["9"]);
        check("1234", &["1234"]);
        check("1.2..3.4", &["1234"]);
        check("99", &["9", "9"]);
    }

    #[test]
    fn what_is_no_code_is_reported_after_the_pause_or_when_full() {
        check("5", &[]);
        check("5...", &["5"]);
        check("55..", &[]);
        check("123...", &["123"]);
        check("123...4", &["123"]);
        check("555555555", &["55555555"]);
    }

    #[test]
    fn hash_and_star_end_an_entry_unless_they_belong_to_codes() {
        check("12#", &["12"]);
        check("#", &[]);
        check("55*9", &["55", "9"]);
        check("*9", &["9"]);
        check("A9D", &["9"]);
        let keys = KeyUse {
            hash: true,
            star: true,
        };
        assert_eq!(typed(keys, "*1#"), ["*1#"]);
        assert_eq!(typed(keys, "*9"), Vec::<String>::new());
    }

    #[test]
    fn a_late_key_closes_the_entry_before_it_at_the_end_of_the_pause() {
        let mut collector = DigitCollector::new(KeyUse::default());
        let t0 = Instant::from_nanos(5);
        assert_eq!(collector.push(t0, '5', |_| false), []);
        let entries = collector.push(t0 + Duration::from_secs(60), '9', |typed| typed == "9");
        let seen: Vec<_> = entries.iter().map(|e| (e.at, e.digits.reveal())).collect();
        assert_eq!(
            seen,
            [(t0 + INTER_DIGIT, "5"), (t0 + Duration::from_secs(60), "9")]
        );
        assert_eq!(collector.poll_timeout(), None);
    }

    #[test]
    fn nothing_is_left_after_clear() {
        let mut collector = DigitCollector::new(KeyUse::default());
        collector.push(Instant::ZERO, '1', |_| false);
        collector.clear();
        assert_eq!(collector.poll_timeout(), None);
        assert_eq!(collector.push(Instant::ZERO, '9', |typed| typed == "9").len(), 1);
    }

    proptest! {
        #[test]
        fn it_stays_small_whatever_is_typed(keys in prop::collection::vec((any::<char>(), 0_u64..4), 0..100)) {
            let mut collector = DigitCollector::new(KeyUse { hash: true, star: true });
            let mut now = Instant::ZERO;
            for (key, wait) in keys {
                now = now + Duration::from_secs(wait);
                for entry in collector.push(now, key, |_| false) {
                    prop_assert!((1..=MAX_CODE).contains(&entry.digits.reveal().len()));
                }
                prop_assert!(collector.typed.len() < MAX_CODE);
            }
        }
    }

    fn typed(keys: KeyUse, text: &str) -> Vec<String> {
        let mut collector = DigitCollector::new(keys);
        let mut now = Instant::from_nanos(1);
        let mut entries = Vec::new();
        for key in text.chars() {
            if key == '.' {
                now = now + Duration::from_secs(1);
                entries.extend(collector.handle_timeout(now));
            } else {
                entries.extend(collector.push(now, key, |typed| ["9", "1234", "*1#"].contains(&typed)));
            }
        }
        entries
            .into_iter()
            .map(|e| e.digits.reveal().to_owned())
            .collect()
    }
}
