//! Waiting longer after each failure, with jitter, so that a hundred doors do not call a PBX that came back
//! in the same second.

use std::time::Duration;

use rand::{Rng, RngCore};

/// Waits of 2, 4, 8 … up to 120 s, each shortened at random by up to a third.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(120);

impl Backoff {
    pub(crate) fn next(&mut self, rng: &mut dyn RngCore) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        whole.mul_f64(rng.random_range(0.67..1.0))
    }

    /// False until the first failure after [`Backoff::reset`].
    pub(crate) const fn has_failed(self) -> bool {
        self.failures > 0
    }

    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn waits_double_up_to_two_minutes_and_differ() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let waits: Vec<f64> = (0..9).map(|_| backoff.next(&mut rng).as_secs_f64()).collect();
        for (n, wait) in waits.iter().enumerate() {
            let whole = (2.0 * f64::from(1 << n)).min(120.0);
            assert!((0.67 * whole..=whole).contains(wait), "{n}: {wait}");
        }
        assert!((waits[7] - waits[8]).abs() > f64::EPSILON);
        backoff.reset();
        assert!(backoff.next(&mut rng) <= FIRST);
    }
}
