//! A cheap limit for datagrams from strangers: one token bucket per source address in a bounded table, and
//! one for all of them together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use gateway_core::Instant;

/// Datagrams one stranger may send at once, and per second.
const BURST: u32 = 20;
const PER_SECOND: u32 = 10;
/// The same for all strangers together.
const ALL_BURST: u32 = 200;
const ALL_PER_SECOND: u32 = 100;
/// Sources remembered; the stalest is forgotten first.
const MOST: usize = 512;

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f32,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant, burst: u32, per_second: u32) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (burst, rate) = (burst as f32, per_second as f32);
        self.tokens = now
            .since(self.at)
            .as_secs_f32()
            .mul_add(rate, self.tokens)
            .min(burst);
        self.at = now;
        let ok = self.tokens >= 1.0;
        if ok {
            self.tokens -= 1.0;
        }
        ok
    }
}

/// Decides which datagrams of strangers are read at all.
pub(crate) struct Limiter {
    all: Bucket,
    sources: BTreeMap<IpAddr, Bucket>,
}

impl Limiter {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            all: Bucket {
                tokens: 200.0,
                at: now,
            },
            sources: BTreeMap::new(),
        }
    }

    /// True if a datagram of `source` may be read.
    pub(crate) fn admit(&mut self, now: Instant, source: IpAddr) -> bool {
        // A source that used up its own share does not use up that of the others.
        if !self.sources.contains_key(&source) && self.sources.len() >= MOST {
            self.forget(now);
        }
        let bucket = self.sources.entry(source).or_insert(Bucket {
            tokens: 20.0,
            at: now,
        });
        bucket.take(now, BURST, PER_SECOND) && self.all.take(now, ALL_BURST, ALL_PER_SECOND)
    }

    fn forget(&mut self, now: Instant) {
        let full = Duration::from_secs(u64::from(BURST / PER_SECOND));
        self.sources.retain(|_, bucket| now.since(bucket.at) < full);
        if self.sources.len() >= MOST
            && let Some(stalest) = self.sources.iter().min_by_key(|(_, b)| b.at).map(|(ip, _)| *ip)
        {
            self.sources.remove(&stalest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_flood_is_cut_and_a_quiet_source_still_heard() {
        let t0 = Instant::from_nanos(1_000_000_000);
        let mut limiter = Limiter::new(t0);
        let loud = IpAddr::from([192, 0, 2, 1]);
        let passed = (0..1000).filter(|_| limiter.admit(t0, loud)).count();
        assert_eq!(passed, BURST as usize);
        assert!(limiter.admit(t0, IpAddr::from([192, 0, 2, 2])));
        assert!(limiter.admit(t0 + Duration::from_secs(1), loud));
    }

    #[test]
    fn a_flood_of_addresses_costs_bounded_memory() {
        let t0 = Instant::from_nanos(1_000_000_000);
        let mut limiter = Limiter::new(t0);
        for n in 0..10_000_u32 {
            limiter.admit(t0, Ipv4Addr::from(n).into());
        }
        assert!(limiter.sources.len() <= MOST);
    }
}
