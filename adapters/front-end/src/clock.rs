//! The clock of a front end in the gateway's time.

use std::collections::VecDeque;

use gateway_core::Instant;

/// Readings that are compared: four seconds of them, in which no crystal drifts by what matters.
const READINGS: usize = 16;
/// The difference of the clocks moves only when a line was quiet for so long, in µs.
const QUIET_US: u64 = 200_000;
/// Or when it is off by so much, in nanoseconds: a wire that is never quiet would take it away from the truth for ever.
const FAR_NS: u128 = 20_000_000;

/// Which of our instants a time of the front end is. What is on its way takes time and never arrives before it was sent, so
/// that of some readings the quickest is right. Within a row of edges nothing is moved: widths of some µs are what they are
/// by the clock that measured them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockMap {
    /// Ours less theirs, in nanoseconds.
    difference: Option<i128>,
    last_edge_us: Option<u64>,
    /// Differences of the last readings.
    readings: VecDeque<i128>,
}

impl ClockMap {
    /// A time of the front end that arrived just now.
    pub(crate) fn read(&mut self, now: Instant, at_us: u64) {
        if self.readings.len() == READINGS {
            self.readings.pop_front();
        }
        self.readings
            .push_back(i128::from(now.as_nanos()) - i128::from(at_us) * 1000);
        let quiet = self
            .last_edge_us
            .is_none_or(|edge| at_us.saturating_sub(edge) >= QUIET_US);
        let best = self.readings.iter().min().copied();
        let far = best.zip(self.difference);
        let far = far.is_some_and(|(best, used)| best.abs_diff(used) > FAR_NS);
        if quiet || far || self.difference.is_none() {
            self.difference = best;
        }
    }

    /// A time of the front end in ours; `None` before the first reading. It can be later than now by as much as the
    /// quickest reading was on its way.
    pub(crate) fn ours(&self, at_us: u64) -> Option<Instant> {
        let nanos = i128::from(at_us) * 1000 + self.difference?;
        Some(Instant::from_nanos(
            u64::try_from(nanos.max(0)).unwrap_or(u64::MAX),
        ))
    }

    /// The time of an edge.
    pub(crate) fn edge(&mut self, at_us: u64) -> Option<Instant> {
        self.last_edge_us = Some(at_us);
        self.ours(at_us)
    }

    /// The front end began anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
    }

    #[test]
    fn the_quickest_reading_counts() {
        let mut map = ClockMap::default();
        assert_eq!(map.ours(0), None);
        map.read(at(9000), 100_000);
        map.read(at(252_000), 350_000);
        map.read(at(507_000), 600_000);
        // the third took 7 ms less than the first
        assert_eq!(map.ours(610_000), Some(at(512_000)));
        for n in 0..40 {
            map.read(at(n), u64::MAX);
        }
        assert_eq!(map.readings.len(), READINGS);
        assert_eq!(map.ours(0), Some(Instant::from_nanos(0)));
    }

    #[test]
    fn a_wire_that_is_never_quiet_does_not_keep_the_clocks_apart() {
        let mut map = ClockMap::default();
        map.read(at(1000), 0);
        // an hour, by a crystal that is slow by 50 in a million
        for n in 1..4 * 3600 {
            let theirs = n * 250_000;
            map.edge(theirs - 10);
            map.read(at(1000 + theirs + theirs / 20_000), theirs);
        }
        let theirs = 3600 * 1_000_000;
        let (found, right) = (
            map.ours(theirs).expect("read"),
            at(1000 + theirs + theirs / 20_000),
        );
        assert!(
            right.since(found).max(found.since(right)) < Duration::from_millis(25),
            "{found:?} {right:?}"
        );
    }

    #[test]
    fn widths_within_a_row_of_edges_are_kept_whatever_is_read_meanwhile() {
        let mut map = ClockMap::default();
        map.read(at(9000), 0);
        let first = map.edge(500_000);
        // a quicker reading in the middle of a count
        map.read(at(501_000), 500_010);
        assert_eq!(map.edge(500_022), first.map(|at| at + Duration::from_micros(22)));
        map.read(at(900_000), 899_000);
        assert_eq!(map.ours(899_000), Some(at(899_990)));
    }
}
