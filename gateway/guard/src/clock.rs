//! The machine's clocks.

use gateway_core::{Clock, Instant, Timestamp};
use rustix::time::{ClockId, clock_gettime};

fn nanos(clock: ClockId) -> u64 {
    let t = clock_gettime(clock);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    let rest = u64::try_from(t.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// `CLOCK_BOOTTIME`: counts sleep, the same in every process.
#[must_use]
pub fn boottime() -> Instant {
    Instant::from_nanos(nanos(ClockId::Boottime))
}

/// `CLOCK_MONOTONIC`: stands still in sleep, so that sleep does not look like a stopped heart.
pub(crate) fn awake() -> Instant {
    Instant::from_nanos(nanos(ClockId::Monotonic))
}

/// The real clocks, for drivers.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Instant {
        boottime()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_goes_on_and_is_not_behind_monotonic_time() {
        let (first, awake) = (boottime(), awake());
        assert!(first > Instant::ZERO);
        assert!(boottime() >= first);
        assert!(boottime() >= awake);
    }
}
