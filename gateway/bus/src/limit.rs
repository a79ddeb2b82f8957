//! How often something may happen.

use std::time::Duration;

use gateway_core::Instant;

/// A bucket of `size` tokens that gets one more every `every`.
#[derive(Debug)]
pub struct Bucket {
    every: Duration,
    /// When the bucket was, or will be, full: each token taken moves it on by `every`.
    full: Instant,
    size: u32,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub const fn new(size: u32, every: Duration) -> Self {
        Self {
            every,
            full: Instant::ZERO,
            size,
        }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let full = self.full.max(now) + self.every;
        let fits = full.since(now) <= self.every * self.size;
        if fits {
            self.full = full;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_one_at_a_time() {
        let second = Duration::from_secs(1);
        let t0 = Instant::from_nanos(1_000_000_000_000);
        let mut bucket = Bucket::new(3, second);
        let taken = (0..10).filter(|_| bucket.take(t0)).count();
        assert_eq!(taken, 3);
        assert!(!bucket.take(t0 + second / 2));
        assert!(bucket.take(t0 + second));
        assert!(!bucket.take(t0 + second));
        let later = t0 + second * 100;
        assert_eq!((0..10).filter(|_| bucket.take(later)).count(), 3);
    }
}
