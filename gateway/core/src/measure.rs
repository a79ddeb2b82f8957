//! Durations counted in fixed steps, by whoever is on the way, for whoever looks now and then. Counting is a few additions
//! on a place in memory: it waits for nobody and takes no memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps of a histogram at most.
pub const STEPS: usize = 12;

/// A histogram of durations.
#[derive(Debug)]
pub struct Histogram {
    /// Upper ends of the steps in microseconds, rising.
    bounds: &'static [u64],
    counts: [AtomicU64; STEPS],
    /// What is above the last step.
    above: AtomicU64,
    sum_ns: AtomicU64,
}

impl Histogram {
    /// An empty one. `bounds` are the upper ends of the steps in microseconds, rising, at most [`STEPS`].
    ///
    /// # Panics
    /// There are more steps; a constant is checked as the program is made.
    #[must_use]
    pub const fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() <= STEPS, "a histogram has at most STEPS steps");
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; STEPS],
            above: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
        }
    }

    /// Counts one.
    pub fn note(&self, length: Duration) {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        // a step takes what is exactly its end, as Prometheus has it (`le`)
        let step = self.bounds.iter().position(|bound| nanos <= bound * 1000);
        let count = step.and_then(|step| self.counts.get(step)).unwrap_or(&self.above);
        count.fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was counted so far. Somebody may be counting meanwhile: the sum may be one ahead or behind.
    #[must_use]
    pub fn read(&self) -> Counted {
        let mut so_far = 0;
        let steps = self.bounds.iter().zip(&self.counts).map(|(bound, count)| {
            so_far += count.load(Ordering::Relaxed);
            (*bound, so_far)
        });
        let steps: Vec<(u64, u64)> = steps.collect();
        Counted {
            count: so_far + self.above.load(Ordering::Relaxed),
            steps,
            sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)),
        }
    }
}

/// What a [`Histogram`] has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// All.
    pub count: u64,
    /// Upper end of each step in microseconds, and how many were not longer than that.
    pub steps: Vec<(u64, u64)>,
    /// All of them together.
    pub sum: Duration,
}

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How much it is.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_counted_at_the_first_step_that_is_not_shorter() {
        static STEPS_US: [u64; 3] = [500, 1000, 2000];
        let histogram = Histogram::new(&STEPS_US);
        for micros in [0, 500, 501, 1000, 1999, 2000, 2001, 70_000_000] {
            histogram.note(Duration::from_micros(micros));
        }
        let counted = histogram.read();
        assert_eq!(counted.steps, [(500, 2), (1000, 4), (2000, 6)]);
        assert_eq!(counted.count, 8);
        assert_eq!(counted.sum, Duration::from_micros(70_008_001));
    }

    #[test]
    fn the_longest_time_there_is_counts_above_the_last_step() {
        static STEPS_US: [u64; 1] = [1];
        let histogram = Histogram::new(&STEPS_US);
        histogram.note(Duration::MAX);
        assert_eq!(histogram.read().steps, [(1, 0)]);
        assert_eq!(histogram.read().count, 1);
    }
}
