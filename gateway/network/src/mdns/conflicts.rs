//! How often others had our names, and how long we then wait (RFC 6762 §8.1).

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::Instant;

/// So many conflicts within this time are too many.
const MOST: usize = 15;
const WITHIN: Duration = Duration::from_secs(10);
/// From then on, the wait before each other probe.
const CALM: Duration = Duration::from_secs(5);
/// Without any conflict for so long, the next one is the first.
const QUIET: Duration = Duration::from_secs(60);

/// Conflicts about names of one profile.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    /// The last ones, at most [`MOST`].
    recent: VecDeque<Instant>,
    too_many: bool,
}

impl Conflicts {
    /// Notes one more; gives the wait before the next probe.
    pub(super) fn note(&mut self, now: Instant) -> Duration {
        if self.recent.back().is_some_and(|last| now.since(*last) > QUIET) {
            *self = Self::default();
        }
        if self.recent.len() == MOST {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let first = self.recent.front().copied().unwrap_or(now);
        self.too_many |= self.recent.len() == MOST && now.since(first) <= WITHIN;
        if self.too_many { CALM } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_fifteen_conflicts_in_ten_seconds_each_probe_waits_until_it_was_quiet() {
        let at = |ms| Instant::from_nanos(1_000_000_000_000) + Duration::from_millis(ms);
        let mut conflicts = Conflicts::default();
        for n in 0..14 {
            assert_eq!(conflicts.note(at(n * 200)), Duration::ZERO, "{n}");
        }
        assert_eq!(conflicts.note(at(14 * 200)), CALM);
        // the waits themselves are no quiet
        for n in 1..100 {
            assert_eq!(conflicts.note(at(2800 + n * 5000)), CALM, "{n}");
        }
        let later = 2800 + 99 * 5000 + 60_001;
        assert_eq!(conflicts.note(at(later)), Duration::ZERO);
        // now and then is not too many
        for n in 1..100 {
            assert_eq!(conflicts.note(at(later + n * 1000)), Duration::ZERO, "{n}");
        }
    }
}
