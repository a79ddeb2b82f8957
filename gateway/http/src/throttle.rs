//! Wrong passwords: a lock that grows, per source and per user.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::Instant;

/// Entries; the one that was quiet for longest makes room.
const ENTRIES: usize = 1024;
/// Failures are forgotten after so long without another.
const FORGET: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug)]
struct Strikes {
    failures: u32,
    last: Instant,
    until: Instant,
}

/// Failures by key. The lock after the free attempts is 2 s and doubles with each failure, up to the cap.
#[derive(Debug)]
pub(crate) struct Throttle {
    cap: Duration,
    entries: BTreeMap<String, Strikes>,
    free: u32,
}

impl Throttle {
    /// `free` failures cost nothing; no lock is longer than `cap`.
    pub(crate) const fn new(free: u32, cap: Duration) -> Self {
        Self {
            cap,
            entries: BTreeMap::new(),
            free,
        }
    }

    /// How long the key is still locked.
    pub(crate) fn locked(&self, now: Instant, key: &str) -> Option<Duration> {
        let left = self.entries.get(key)?.until.since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Counts a failure; gives the lock it begins.
    pub(crate) fn fail(&mut self, now: Instant, key: &str) -> Option<Duration> {
        if !self.entries.contains_key(key) && self.entries.len() >= ENTRIES {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, s)| s.last)
                .map(|(k, _)| k.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        let fresh = Strikes {
            failures: 0,
            last: now,
            until: now,
        };
        let strikes = self.entries.entry(key.to_owned()).or_insert(fresh);
        if now.since(strikes.last) >= FORGET {
            *strikes = fresh;
        }
        strikes.failures = strikes.failures.saturating_add(1);
        strikes.last = now;
        let over = strikes.failures.checked_sub(self.free + 1)?;
        let lock = Duration::from_secs(2_u64.saturating_pow(over.min(30) + 1)).min(self.cap);
        strikes.until = now + lock;
        Some(lock)
    }

    /// Takes back the failure that was counted at `at`: nothing came of it, neither right nor wrong. What failed
    /// meanwhile stays, and so does its lock.
    pub(crate) fn take_back(&mut self, at: Instant, key: &str) {
        let Some(strikes) = self.entries.get_mut(key) else {
            return;
        };
        strikes.failures = strikes.failures.saturating_sub(1);
        if strikes.last == at {
            strikes.until = at;
        }
        if strikes.failures == 0 {
            self.entries.remove(key);
        }
    }

    /// Forgets the failures of a key.
    pub(crate) fn pass(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_lock_grows_to_its_cap_and_ends() {
        let t0 = Instant::from_nanos(1);
        let mut throttle = Throttle::new(2, secs(10));
        let locks: Vec<_> = (0..7).map(|_| throttle.fail(t0, "a")).collect();
        assert_eq!(
            locks,
            [None, None, Some(2), Some(4), Some(8), Some(10), Some(10)].map(|s: Option<u64>| s.map(secs))
        );
        assert_eq!(throttle.locked(t0 + secs(3), "a"), Some(secs(7)));
        assert_eq!(throttle.locked(t0 + secs(10), "a"), None);
        assert_eq!(throttle.locked(t0, "b"), None);
        throttle.pass("a");
        assert_eq!(throttle.fail(t0, "a"), None);
    }

    #[test]
    fn what_is_taken_back_locks_nobody_and_unlocks_nobody_else() {
        let t0 = Instant::from_nanos(1);
        let mut throttle = Throttle::new(0, secs(900));
        assert_eq!(throttle.fail(t0, "a"), Some(secs(2)));
        throttle.take_back(t0, "a");
        assert_eq!(throttle.locked(t0, "a"), None);
        throttle.fail(t0, "a");
        let t1 = t0 + secs(1);
        assert_eq!(throttle.fail(t1, "a"), Some(secs(4)));
        throttle.take_back(t0, "a");
        assert_eq!(
            throttle.locked(t1, "a"),
            Some(secs(4)),
            "the later one still counts"
        );
        assert_eq!(throttle.fail(t1, "a"), Some(secs(4)), "one less is counted");
        throttle.take_back(t0, "nobody");
    }

    #[test]
    fn an_hour_of_quiet_forgives() {
        let t0 = Instant::from_nanos(1);
        let mut throttle = Throttle::new(1, secs(900));
        assert_eq!(throttle.fail(t0, "a"), None);
        assert_eq!(throttle.fail(t0, "a"), Some(secs(2)));
        assert_eq!(throttle.fail(t0 + FORGET, "a"), None);
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let mut throttle = Throttle::new(0, secs(900));
        for n in 0..5000_u64 {
            throttle.fail(Instant::from_nanos(n), &n.to_string());
        }
        assert_eq!(throttle.entries.len(), ENTRIES);
        assert!(throttle.locked(Instant::from_nanos(4999), "4999").is_some());
        assert!(throttle.locked(Instant::from_nanos(4999), "0").is_none());
    }
}
