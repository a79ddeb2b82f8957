//! How many commands one login or token may give: enough for people and hubs, too few to fill the journal.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_bus::Bucket;
use gateway_core::Instant;

/// Commands at once.
pub(crate) const BURST: u32 = 40;
/// After that one more in this time: 20 in a second.
const EVERY: Duration = Duration::from_millis(50);
/// Logins and tokens that are remembered; the one that has been quiet for longest makes room.
const NAMES: usize = 1024;

/// One command too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// The first one since this login or token last kept to its quota.
    pub(crate) is_first: bool,
}

/// What one login or token has left.
#[derive(Debug)]
struct Quota {
    bucket: Bucket,
    last: Instant,
    /// It was refused, and has not been quiet since.
    over: bool,
}

/// The quotas of all logins and tokens.
#[derive(Debug, Default)]
pub(crate) struct Quotas(BTreeMap<String, Quota>);

impl Quotas {
    /// Takes one command of this login or token.
    pub(crate) fn take(&mut self, now: Instant, name: &str) -> Result<(), TooMany> {
        if !self.0.contains_key(name) && self.0.len() >= NAMES {
            let quietest = self.0.iter().min_by_key(|(_, quota)| quota.last);
            if let Some(quietest) = quietest.map(|(name, _)| name.clone()) {
                self.0.remove(&quietest);
            }
        }
        let fresh = || Quota {
            bucket: Bucket::new(BURST, EVERY),
            last: now,
            over: false,
        };
        let quota = self.0.entry(name.to_owned()).or_insert_with(fresh);
        // quiet for so long, its quota is whole again
        quota.over &= now.since(quota.last) < EVERY * BURST;
        quota.last = now;
        if quota.bucket.take(now) {
            return Ok(());
        }
        let is_first = !quota.over;
        quota.over = true;
        Err(TooMany { is_first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000_000);

    #[test]
    fn people_notice_nothing_and_an_episode_of_too_many_begins_once() {
        let mut quotas = Quotas::default();
        let taken = (0..BURST).filter(|_| quotas.take(T0, "ann").is_ok()).count();
        assert_eq!(taken, 40);
        assert_eq!(quotas.take(T0, "ann"), Err(TooMany { is_first: true }));
        assert_eq!(quotas.take(T0, "bob"), Ok(()), "another one has its own");
        // 1000 a second for a minute: 20 a second are taken, and it is one episode
        let (mut taken, mut begun) = (0, 0);
        for ms in 1..=60_000 {
            match quotas.take(T0 + Duration::from_millis(ms), "ann") {
                Ok(()) => taken += 1,
                Err(TooMany { is_first }) => begun += u32::from(is_first),
            }
        }
        assert_eq!((taken, begun), (1200, 0));
        // after two quiet seconds there is room again, and what is too many then is another episode
        let quiet = T0 + Duration::from_secs(62);
        let all: Vec<_> = (0..100).map(|_| quotas.take(quiet, "ann")).collect();
        assert_eq!(all.iter().filter(|taken| taken.is_ok()).count(), 40);
        let first = Err(TooMany { is_first: true });
        assert_eq!(all.iter().filter(|taken| **taken == first).count(), 1);
    }

    #[test]
    fn strangers_fill_no_memory() {
        let mut quotas = Quotas::default();
        for n in 0..5000_u32 {
            let now = T0 + Duration::from_millis(n.into());
            assert!(quotas.take(now, &n.to_string()).is_ok());
        }
        assert_eq!(quotas.0.len(), NAMES);
        assert!(quotas.0.contains_key("4999"));
    }
}
