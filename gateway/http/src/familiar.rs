//! Where a user has logged in from lately. Strangers who guess at a name lock it for other strangers, and their crowd
//! leaves a place free: neither keeps its owner out.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::Instant;

use crate::limits::Source;

/// Pairs of user and source; the one that was quiet for longest makes room.
const MOST: usize = 256;
/// What was not used for so long is forgotten.
const LATELY: Duration = Duration::from_secs(30 * 24 * 3600);

/// The pairs, in memory: a restart forgets them.
#[derive(Debug, Default)]
pub(crate) struct Familiar(BTreeMap<(String, Source), Instant>);

impl Familiar {
    /// This user logged in from there.
    pub(crate) fn passed(&mut self, now: Instant, user: &str, source: Source) {
        self.0.retain(|_, at| now.since(*at) < LATELY);
        let key = (user.to_owned(), source);
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            let oldest = self.0.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(key, now);
    }

    /// Has this user logged in from there lately?
    pub(crate) fn knows(&self, now: Instant, user: &str, source: Source) -> bool {
        let at = self.0.get(&(user.to_owned(), source));
        at.is_some_and(|at| now.since(*at) < LATELY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u8) -> Source {
        Source::of(std::net::IpAddr::from([192, 0, 2, n]))
    }

    #[test]
    fn a_user_is_known_where_he_was_and_for_a_month() {
        let t0 = Instant::from_nanos(1);
        let mut familiar = Familiar::default();
        familiar.passed(t0, "ann", source(1));
        assert!(familiar.knows(t0, "ann", source(1)));
        assert!(!familiar.knows(t0, "ann", source(2)) && !familiar.knows(t0, "bob", source(1)));
        assert!(!familiar.knows(t0 + LATELY, "ann", source(1)));
        for n in 0..=255 {
            familiar.passed(t0 + Duration::from_secs(n.into()), "bob", source(n));
        }
        assert_eq!(familiar.0.len(), MOST);
        assert!(!familiar.knows(t0, "ann", source(1)), "the oldest made room");
    }
}
