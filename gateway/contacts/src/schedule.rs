//! When the directory is read. Pure.

use std::time::Duration;

use gateway_core::Instant;

use crate::params::Refresh;

/// After the first failure; doubled with each, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(30);
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_secs(600);
/// However many calls end: between two visits after calls.
const APART: Duration = Duration::from_secs(10);

/// The next visit.
#[derive(Debug)]
pub(crate) struct Schedule {
    due: Option<Instant>,
    failures: u32,
    last: Option<Instant>,
    refresh: Refresh,
}

impl Schedule {
    /// At the start it is due at once.
    pub(crate) const fn new(now: Instant, refresh: Refresh) -> Self {
        Self {
            due: Some(now),
            failures: 0,
            last: None,
            refresh,
        }
    }

    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn call_ended(&mut self, now: Instant) {
        if self.refresh == Refresh::AfterCall {
            let at = self.last.map_or(now, |last| now.max(last + APART));
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// A visit is over, well or not.
    pub(crate) fn visited(&mut self, now: Instant, well: bool) {
        self.last = Some(now);
        let every = match self.refresh {
            Refresh::Every(time) => Some(time),
            Refresh::AfterCall | Refresh::Start => None,
        };
        if well {
            self.failures = 0;
            self.due = every.map(|time| now + time);
            return;
        }
        let pause = FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures.min(10)))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + every.map_or(pause, |time| pause.min(time)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(5_000_000_000);
    const fn at(s: u64) -> Instant {
        Instant::from_nanos(T0.as_nanos() + s * 1_000_000_000)
    }

    #[test]
    fn after_a_good_visit_it_is_due_by_the_clock_after_a_call_or_never() {
        let every = Refresh::Every(Duration::from_secs(300));
        for (refresh, due, after_call) in [
            (every, Some(at(300)), Some(at(300))),
            (Refresh::Start, None, None),
            (Refresh::AfterCall, None, Some(at(20))),
        ] {
            let mut schedule = Schedule::new(T0, refresh);
            assert_eq!(schedule.due(), Some(T0));
            schedule.visited(T0, true);
            assert_eq!(schedule.due(), due, "{refresh:?}");
            schedule.call_ended(at(20));
            assert_eq!(schedule.due(), after_call, "{refresh:?}");
        }
        let mut schedule = Schedule::new(T0, Refresh::AfterCall);
        schedule.visited(T0, true);
        schedule.call_ended(at(1));
        schedule.call_ended(at(2));
        assert_eq!(
            schedule.due(),
            Some(at(10)),
            "calls that end at once are one visit"
        );
    }

    #[test]
    fn failures_are_tried_again_with_growing_pauses() {
        let mut schedule = Schedule::new(T0, Refresh::Start);
        let pauses: Vec<u64> = (0..7)
            .map(|_| {
                schedule.visited(T0, false);
                schedule.due().expect("it goes on").since(T0).as_secs()
            })
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        schedule.visited(T0, true);
        assert_eq!(schedule.due(), None);
        let mut schedule = Schedule::new(T0, Refresh::Every(Duration::from_secs(300)));
        for _ in 0..9 {
            schedule.visited(T0, false);
        }
        assert_eq!(schedule.due(), Some(at(300)), "never later than by the clock");
    }
}
