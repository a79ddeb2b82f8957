//! Wrong tries: five are free, then 10 s, doubled up to 15 min; of cards ten, then 5 s, up to a minute.

use std::collections::BTreeMap;

use super::{HOUR, Ms};

/// Wrong tries, when the last was, locked until.
type Counted = (u32, Ms, Ms);

/// By source: `R` a reader's cards, `K` its keypad, `C` a number, `?` all whom nobody vouches for.
#[derive(Default)]
pub(super) struct Tries(BTreeMap<String, Counted>);

impl Tries {
    pub(super) fn is_locked(&self, now: Ms, source: &str) -> bool {
        self.0.get(source).is_some_and(|(_, _, until)| *until > now)
    }

    /// Forgives one whom the network knows everything, and a place where many come and go one try.
    pub(super) fn right(&mut self, source: &str) {
        let Some((wrong, _, _)) = self.0.get_mut(source) else {
            return;
        };
        *wrong -= 1;
        if *wrong == 0 || source.starts_with('C') {
            self.0.remove(source);
        }
    }

    pub(super) fn wrong(&mut self, now: Ms, source: &str) {
        self.0
            .retain(|_, (_, last, until)| *until > now || now - *last <= HOUR);
        let (free, first, longest) = if source.starts_with('R') {
            (10, 5_000, 60_000)
        } else {
            (5, 10_000, 900_000)
        };
        let (wrong, last, until) = self.0.entry(source.to_owned()).or_insert((0, now, 0));
        *wrong += 1;
        *last = now;
        if *wrong > free {
            let doubled = (*wrong - free - 1).min(20);
            *until = now + (first << doubled).min(longest);
        }
    }

    /// What is left of a lock is left still.
    pub(super) fn restart(&mut self, now: Ms) {
        for (_, last, _) in self.0.values_mut() {
            *last = now;
        }
    }
}
