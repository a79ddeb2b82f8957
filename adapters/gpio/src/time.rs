//! Kernel timestamps on the gateway's clock.

use gateway_core::Instant;
use rustix::time::{ClockId, clock_gettime};

fn nanos(clock: ClockId) -> u64 {
    let t = clock_gettime(clock);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(t.tv_nsec).unwrap_or(0))
}

/// `CLOCK_BOOTTIME`.
pub(crate) fn now() -> Instant {
    Instant::from_nanos(nanos(ClockId::Boottime))
}

/// How far `CLOCK_BOOTTIME` is before `CLOCK_MONOTONIC`: the time the machine has slept. The closest of three
/// readings, in nanoseconds.
pub(crate) fn slept() -> u64 {
    let reading = |_| {
        let before = nanos(ClockId::Monotonic);
        let boot = nanos(ClockId::Boottime);
        let after = nanos(ClockId::Monotonic);
        (after - before, boot.saturating_sub(before + (after - before) / 2))
    };
    (0..3).map(reading).min().map_or(0, |(_, offset)| offset)
}

/// A kernel timestamp of `CLOCK_MONOTONIC`, given what [`slept`] said after it.
pub(crate) const fn on_boottime(monotonic_ns: u64, slept: u64) -> Instant {
    Instant::from_nanos(monotonic_ns.saturating_add(slept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monotonic_time_of_this_moment_is_now() {
        let monotonic = nanos(ClockId::Monotonic);
        let at = on_boottime(monotonic, slept());
        let apart = now().since(at).max(at.since(now()));
        assert!(apart.as_millis() < 1000, "{apart:?} apart");
    }
}
