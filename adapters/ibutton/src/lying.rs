//! Keys that are read again and again as long as they touch: each counts once, as it comes.

use std::time::Duration;

use gateway_core::{CardFrame, Instant};

/// A key that was not read for so long was taken away.
const GONE: Duration = Duration::from_secs(1);
/// So many at a time; more are no keys that somebody holds.
const MOST: usize = 16;

#[derive(Clone, Debug)]
struct Seen {
    counted: Option<Instant>,
    frame: CardFrame,
    last: Instant,
}

/// Keys at a contact.
#[derive(Clone, Debug)]
pub(crate) struct Lying {
    /// Until then what is read has been there before, and is nobody's touch.
    known_from: Instant,
    repeat: Duration,
    seen: Vec<Seen>,
}

impl Lying {
    /// Of what lies there at `now` nothing is known. A key counts once in `repeat`.
    pub(crate) fn new(now: Instant, repeat: Duration) -> Self {
        Self {
            known_from: now + GONE,
            repeat,
            seen: Vec::new(),
        }
    }

    /// Nothing is known any more of what lies there. What counted lately does not count anew.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.known_from = now + GONE;
    }

    /// Takes a key that was read; does it count?
    pub(crate) fn read(&mut self, at: Instant, frame: &CardFrame) -> bool {
        let repeat = self.repeat;
        let lately = |time: Instant| at.since(time) < repeat;
        let there = |seen: &Seen| at.since(seen.last) < GONE;
        self.seen
            .retain(|seen| there(seen) || seen.counted.is_some_and(lately));
        let before = at < self.known_from;
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.frame == *frame) {
            let counts = !before && !there(seen) && !seen.counted.is_some_and(lately);
            seen.last = at;
            if counts {
                seen.counted = Some(at);
            }
            return counts;
        }
        if self.seen.len() == MOST {
            self.seen.remove(0);
        }
        self.seen.push(Seen {
            counted: (!before).then_some(at),
            frame: frame.clone(),
            last: at,
        });
        !before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms)
    }

    fn key(n: u8) -> CardFrame {
        CardFrame {
            bits: 8,
            data: vec![n],
        }
    }

    #[test]
    fn a_key_counts_as_it_comes_and_once_while_it_lies_there() {
        let mut lying = Lying::new(at(0), Duration::from_secs(2));
        let counted = (0..100)
            .filter(|n| lying.read(at(2000 + n * 100), &key(1)))
            .count();
        assert_eq!(counted, 1);
        // taken away, and put there again
        assert!(lying.read(at(13_000), &key(1)));
        assert!(lying.read(at(13_100), &key(2)), "another one counts at once");
        assert!(!lying.read(at(14_500), &key(1)), "within 2 s of the last");
        assert!(lying.read(at(15_600), &key(1)));
    }

    #[test]
    fn what_lies_there_at_the_begin_or_after_a_gap_is_nobodys_touch() {
        let mut lying = Lying::new(at(0), Duration::ZERO);
        for ms in [10, 500, 1200, 2100] {
            assert!(!lying.read(at(ms), &key(1)), "{ms}");
        }
        assert!(lying.read(at(2200), &key(2)));
        lying.forget(at(9000));
        assert!(!lying.read(at(9100), &key(3)));
        assert!(lying.read(at(11_000), &key(3)));
    }

    #[test]
    fn little_is_kept() {
        let mut lying = Lying::new(at(0), Duration::from_secs(60));
        for n in 0..200 {
            lying.read(at(2000 + u64::from(n)), &key(n));
        }
        assert_eq!(lying.seen.len(), MOST);
    }
}
