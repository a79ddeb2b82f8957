//! When the guard counts as stopped. Pure.

use std::fmt;
use std::time::Duration;

use gateway_core::Instant;

/// A guard with something energised is silent for at most this long.
const SILENT_ENERGISED: Duration = Duration::from_millis(500);
/// A guard with everything at rest is silent for at most this long.
const SILENT_IDLE: Duration = Duration::from_secs(5);
/// What the guard may take to bring an output to rest that is due.
const OVERDUE: Duration = Duration::from_millis(40);
/// How late our own loop may be before it is we who stood still.
const OWN_GAP: Duration = Duration::from_secs(1);
/// If we look so much later than we wanted to, the machine has held us up, and the guard with us, perhaps: with
/// something energised it then gets [`GRACE`] to say so, once.
const LATE: Duration = Duration::from_millis(20);
/// As long as it has for an output that is due.
const GRACE: Duration = OVERDUE;

/// Length of the longest beat in bytes.
pub(super) const BEAT_BYTES: usize = 17;

/// What the guard sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// The guard works.
    Alive {
        /// When an output must be at rest; `None` if all are.
        due: Option<Instant>,
        /// To be sent back.
        number: u64,
    },
    /// The guard ends with everything at rest.
    Goodbye,
}

impl Beat {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Alive { due, number } => {
                let due_ns = due.unwrap_or_default().as_nanos();
                let tag = u8::from(due.is_some());
                [&[tag][..], &number.to_be_bytes(), &due_ns.to_be_bytes()].concat()
            }
            Self::Goodbye => vec![2],
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [tag @ (0 | 1), rest @ ..] if rest.len() == 16 => {
                let (number, due) = rest.split_at(8);
                let number = u64::from_be_bytes(number.try_into().ok()?);
                let due = Instant::from_nanos(u64::from_be_bytes(due.try_into().ok()?));
                Some(Self::Alive {
                    due: (*tag == 1).then_some(due),
                    number,
                })
            }
            [2] => Some(Self::Goodbye),
            _ => None,
        }
    }
}

/// Why the guard is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An output should rest by now.
    Overdue,
    /// No beat.
    Silent,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overdue => "an output is not at rest in its time",
            Self::Silent => "its heart has stopped",
        })
    }
}

/// What is known of the guard. `boot` is `CLOCK_BOOTTIME` (dues are on it), `awake` is `CLOCK_MONOTONIC`:
/// a sleep of the machine is no silence.
#[derive(Debug)]
pub(super) struct Watch {
    due: Option<Instant>,
    /// Until when the guard is let off, if it was; once for each time an output is due.
    grace: Option<Instant>,
    heard: Instant,
    looked: Instant,
    /// When we wanted to look next.
    planned: Option<Instant>,
}

impl Watch {
    pub(super) const fn new(awake: Instant) -> Self {
        Self {
            due: None,
            grace: None,
            heard: awake,
            looked: awake,
            planned: None,
        }
    }

    pub(super) fn beat(&mut self, awake: Instant, due: Option<Instant>) {
        if due != self.due {
            self.grace = None;
        }
        self.due = due;
        self.heard = awake;
    }

    pub(super) const fn is_energised(&self) -> bool {
        self.due.is_some()
    }

    /// Must the guard be killed? Read all waiting beats first.
    pub(super) fn verdict(&mut self, boot: Instant, awake: Instant) -> Option<Verdict> {
        // Our own standstill (with the guard's, perhaps) is no silence of an idle guard.
        let gap = awake.since(self.looked) > self.next(SILENT_IDLE) + OWN_GAP;
        self.looked = awake;
        let late = self.planned.take().is_some_and(|planned| awake >= planned + LATE);
        let silent = awake.since(self.heard);
        match self.due {
            Some(due) => {
                let verdict = if boot >= due + OVERDUE {
                    Verdict::Overdue
                } else if silent >= SILENT_ENERGISED {
                    Verdict::Silent
                } else {
                    return None;
                };
                if late && self.grace.is_none() {
                    self.grace = Some(awake + GRACE);
                }
                (self.grace.is_none_or(|end| awake >= end)).then_some(verdict)
            }
            None if gap => {
                self.heard = awake;
                None
            }
            None => (silent >= SILENT_IDLE).then_some(Verdict::Silent),
        }
    }

    fn next(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.looked.since(self.heard))
    }

    /// How long to wait before the next look; timers of 1 ms may be early, so one more is added.
    pub(super) fn wait(&mut self, boot: Instant, awake: Instant) -> Duration {
        let left = |limit: Duration| limit.saturating_sub(awake.since(self.heard));
        let wait = self.due.map_or_else(
            || left(SILENT_IDLE),
            |due| left(SILENT_ENERGISED).min((due + OVERDUE).since(boot)),
        );
        let grace = self.grace.map_or(Duration::ZERO, |end| end.since(awake));
        let wait = wait.max(grace) + Duration::from_millis(1);
        self.planned = Some(awake + wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(ms: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms)
    }

    #[test]
    fn beats_come_back_as_sent() {
        for beat in [
            Beat::Goodbye,
            Beat::Alive { due: None, number: 7 },
            Beat::Alive {
                due: Some(t(3)),
                number: u64::MAX,
            },
        ] {
            let bytes = beat.encode();
            assert!(bytes.len() <= BEAT_BYTES);
            assert_eq!(Beat::decode(&bytes), Some(beat));
        }
        for bad in [&[][..], &[3], &[2, 0], &[1; 16], &[0; 18]] {
            assert_eq!(Beat::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_guard_that_holds_something_may_be_silent_for_half_a_second() {
        let mut watch = Watch::new(t(0));
        watch.beat(t(100), Some(t(5000)));
        assert_eq!(watch.verdict(t(599), t(599)), None);
        assert_eq!(watch.wait(t(599), t(599)), Duration::from_millis(2));
        assert_eq!(watch.verdict(t(600), t(600)), Some(Verdict::Silent));
    }

    #[test]
    fn an_output_that_is_due_must_rest_within_40_ms_whatever_the_heart_does() {
        let mut watch = Watch::new(t(0));
        watch.beat(t(100), Some(t(150)));
        assert_eq!(watch.wait(t(100), t(100)), Duration::from_millis(91));
        assert_eq!(watch.verdict(t(189), t(189)), None);
        watch.beat(t(189), Some(t(150)));
        assert_eq!(watch.verdict(t(190), t(190)), Some(Verdict::Overdue));
    }

    #[test]
    fn an_idle_guard_is_killed_after_five_silent_seconds() {
        let mut watch = Watch::new(t(0));
        watch.beat(t(100), None);
        assert!(!watch.is_energised());
        assert_eq!(watch.verdict(t(5099), t(5099)), None);
        assert_eq!(watch.verdict(t(5100), t(5100)), Some(Verdict::Silent));
    }

    #[test]
    fn when_all_of_us_stood_still_an_idle_guard_lives_and_an_energised_one_does_not() {
        let mut watch = Watch::new(t(0));
        watch.beat(t(0), None);
        assert_eq!(watch.verdict(t(60_000), t(60_000)), None);
        watch.beat(t(60_000), Some(t(61_000)));
        assert_eq!(watch.verdict(t(90_000), t(90_000)), Some(Verdict::Overdue));
    }

    #[test]
    fn who_was_held_up_together_with_its_guard_gives_it_one_more_chance_and_no_second() {
        for (due, verdict) in [(150, Verdict::Overdue), (60_000, Verdict::Silent)] {
            let held_up = || {
                let mut watch = Watch::new(t(0));
                watch.beat(t(100), Some(t(due)));
                let wait = watch.wait(t(100), t(100));
                let now = t(100) + wait + LATE;
                assert_eq!(watch.verdict(now, now), None, "{verdict:?}");
                assert_eq!(watch.wait(now, now), GRACE + Duration::from_millis(1));
                (watch, now)
            };
            // it rests in that time
            let (mut watch, now) = held_up();
            watch.beat(now + GRACE, None);
            assert_eq!(watch.verdict(now + GRACE, now + GRACE), None);
            // it does not, whatever holds us up again
            for late in [Duration::ZERO, LATE] {
                let (mut watch, now) = held_up();
                let end = now + GRACE + late;
                assert_eq!(watch.verdict(end, end), Some(verdict));
            }
            // its heart says nothing of an output that is due
            let (mut watch, now) = held_up();
            watch.beat(now, Some(t(due)));
            let end = now + GRACE;
            let overdue = (verdict == Verdict::Overdue).then_some(verdict);
            assert_eq!(watch.verdict(end, end), overdue);
        }
    }

    #[test]
    fn who_is_on_time_gives_no_grace() {
        let mut watch = Watch::new(t(0));
        watch.beat(t(100), Some(t(150)));
        let wait = watch.wait(t(100), t(100));
        let now = t(100) + (wait + LATE - Duration::from_millis(1));
        assert_eq!(watch.verdict(now, now), Some(Verdict::Overdue));
    }

    #[test]
    fn sleep_of_the_machine_is_no_silence() {
        let mut watch = Watch::new(t(0));
        watch.beat(t(0), None);
        assert_eq!(watch.verdict(t(3_600_000), t(10)), None);
    }
}
