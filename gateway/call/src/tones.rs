//! Keys that were found in the speech of a leg, until their messages come.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::Instant;

/// A key that was found in the speech is told by its message within this time, if the other side sends both: phones send an
/// INFO as a key is let go, and again if it was lost.
const COPY: Duration = Duration::from_secs(3);

/// Keys that are remembered. A tone and its pause take 74 ms at least, so that 41 are told in [`COPY`].
const MOST: usize = 64;

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

    /// Is the message of this key the copy of one that was heard? Each has one.
    pub(crate) fn strike(&mut self, now: Instant, digit: char) -> bool {
        self.forget(now);
        let copied = self.0.iter().position(|(_, heard)| *heard == digit);
        copied.and_then(|index| self.0.remove(index)).is_some()
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
    fn each_key_has_one_copy_for_three_seconds_and_few_are_remembered() {
        let mut tones = Tones::default();
        for (ms, digit) in [(0, '1'), (100, '1'), (200, '2')] {
            tones.heard(at(ms), digit);
        }
        for (ms, digit, copy) in [
            (3_000, '1', true),
            (3_100, '1', true),
            (3_100, '1', false),
            (3_100, '3', false),
            (3_201, '2', false),
        ] {
            assert_eq!(tones.strike(at(ms), digit), copy, "{ms} {digit}");
        }
        for _ in 0..1_000 {
            tones.heard(at(4_000), '5');
        }
        assert_eq!(tones.0.len(), MOST);
    }
}
