//! Keys that were found in the speech of a leg, until their messages come.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::Instant;

/// A key that was found in the speech is told by its message within this time, if the other side sends both: phones send an
/// INFO as a key is let go, and if it was lost again 0.5, 1.5, 3.5 and 7.5 s later (timer E, RFC 3261 §17.1.2.2).
const COPY: Duration = Duration::from_secs(8);

/// Keys that are remembered. A tone and its pause take 74 ms at least, so that 108 are told in [`COPY`].
const MOST: usize = 128;

/// What was heard in the last [`COPY`], oldest first.
#[derive(Debug, Default)]
pub(crate) struct Tones(VecDeque<(Instant, char)>);

impl Tones {
    /// A key was heard.
    pub(crate) fn heard(&mut self, now: Instant, digit: char) {
        self.forget(now);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((now, digit));
    }

    /// Is the message of this key the copy of one that was heard? Each has one. Messages come in the order of the keys (an
    /// older INFO than the last one is refused, RFC 3261 §12.2.2), so that none follows for those heard before it.
    pub(crate) fn strike(&mut self, now: Instant, digit: char) -> bool {
        self.forget(now);
        let copied = self.0.iter().position(|(_, heard)| *heard == digit);
        copied.is_some_and(|index| {
            self.0.drain(..=index);
            true
        })
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|(at, _)| now.since(*at) <= COPY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(60_000 + ms)
    }

    #[test]
    fn each_key_has_one_copy_for_eight_seconds_and_few_are_remembered() {
        let mut tones = Tones::default();
        for (ms, digit) in [(0, '1'), (100, '1'), (200, '2')] {
            tones.heard(at(ms), digit);
        }
        for (ms, digit, copy) in [
            (8_000, '1', true),
            (8_100, '1', true),
            (8_100, '1', false),
            (8_100, '3', false),
            (8_201, '2', false),
        ] {
            assert_eq!(tones.strike(at(ms), digit), copy, "{ms} {digit}");
        }
        for _ in 0..1_000 {
            tones.heard(at(9_000), '5');
        }
        assert_eq!(tones.0.len(), MOST);
    }

    #[test]
    fn a_message_ends_the_wait_for_those_of_the_keys_before_it() {
        let mut tones = Tones::default();
        for (ms, digit) in [(0, '1'), (300, '2'), (600, '3')] {
            tones.heard(at(ms), digit);
        }
        // that of the first is lost for good: the next press of that key is no copy
        assert!(tones.strike(at(700), '2'));
        assert!(!tones.strike(at(900), '1'));
        assert!(tones.strike(at(1_000), '3'));
    }
}
