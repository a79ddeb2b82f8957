//! The machine's clocks.

use gateway_core::{Clock, Instant, Timestamp};

/// `CLOCK_BOOTTIME` and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
        Instant::from_nanos(seconds * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}
