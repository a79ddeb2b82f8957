//! Commands with a wrong signature: on record within bounds, and a fault while they come.
//!
//! No right signature is refused because of wrong ones: nobody finds one by trying, and whoever may write on a topic could
//! lock a key out.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_bus::Bucket;
use gateway_core::Instant;

use crate::signed::Unsigned;

/// Wrong ones that get a record each, at once; then one in [`EVERY`].
const NOTED: u32 = 5;
const EVERY: Duration = Duration::from_secs(10);
/// So many within [`RECENT`] are a fault.
const MANY: usize = 5;
const RECENT: Duration = Duration::from_secs(600);

/// What came with a wrong signature.
#[derive(Debug)]
pub(super) struct Forged {
    noted: Bucket,
    /// The last [`MANY`], with the key that was named.
    recent: VecDeque<(Instant, String)>,
}

impl Forged {
    pub(super) const fn new() -> Self {
        Self {
            noted: Bucket::new(NOTED, EVERY),
            recent: VecDeque::new(),
        }
    }

    /// One more; true if it gets a record of its own.
    pub(super) fn came(&mut self, now: Instant, unsigned: &Unsigned) -> bool {
        let key = match unsigned {
            Unsigned::Key { found } => Some(found),
            Unsigned::Mac { key } => Some(key),
            // nobody says that it is signed
            Unsigned::NotSigned { .. } => None,
        };
        if let Some(key) = key {
            if self.recent.len() == MANY {
                self.recent.pop_front();
            }
            self.recent.push_back((now, key.clone()));
        }
        self.noted.take(now)
    }

    /// The fault.
    pub(super) fn told(&self, now: Instant) -> Option<String> {
        let (first, _) = self.recent.front()?;
        let (_, key) = self.recent.back()?;
        let is_now = self.recent.len() == MANY && now.since(*first) < RECENT;
        is_now.then(|| {
            format!(
                "commands with wrong signatures come over MQTT, the last one for key {key:?}: compare the secret with that of \
                 [mqtt.keys.{key}], or keep whoever sends them from the topic by the broker's access list"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000);

    #[test]
    fn wrong_signatures_are_noted_within_bounds_and_told_while_they_come() {
        let wrong = Unsigned::Mac { key: "hub".into() };
        let mut forged = Forged::new();
        for n in 0..4 {
            assert!(forged.came(T0, &wrong), "{n}");
        }
        assert_eq!(forged.told(T0), None);
        assert!(forged.came(T0, &wrong));
        assert!(!forged.came(T0, &wrong));
        assert!(
            forged
                .told(T0)
                .is_some_and(|text| text.contains("[mqtt.keys.hub]"))
        );
        assert_eq!(forged.recent.len(), MANY);
        assert!(forged.came(T0 + EVERY, &wrong));
        assert_eq!(forged.told(T0 + EVERY + RECENT), None);
    }

    #[test]
    fn what_is_not_signed_at_all_is_no_forgery() {
        let mut forged = Forged::new();
        for _ in 0..10 {
            forged.came(T0, &Unsigned::NotSigned { why: String::new() });
        }
        assert_eq!(forged.told(T0), None);
    }
}
