//! Which lease numbers were used, for the last few runs of the gateway.

use std::collections::{BTreeSet, VecDeque};

use crate::wire::LeaseId;

/// Numbers remembered apart; below the lowest of them everything counts as used.
const REMEMBERED: usize = 1024;
/// Runs of the gateway remembered: a frozen one that comes back finds its numbers used.
const RUNS: usize = 4;

#[derive(Default)]
struct Used {
    floor: Option<u64>,
    set: BTreeSet<u64>,
}

impl Used {
    fn use_once(&mut self, n: u64) -> bool {
        if self.floor.is_some_and(|floor| n <= floor) || !self.set.insert(n) {
            return false;
        }
        if self.set.len() > REMEMBERED {
            self.floor = self.set.pop_first();
        }
        true
    }
}

/// The runs of the gateway, the present one last.
#[derive(Default)]
pub(super) struct Instances(VecDeque<(String, Used)>);

impl Instances {
    /// A gateway says its name. True if it was the last to do so before, too.
    pub(super) fn hello(&mut self, instance: &str) -> bool {
        if self.0.back().is_some_and(|(name, _)| name == instance) {
            return true;
        }
        let known = self.0.iter().position(|(name, _)| name == instance);
        let run = known.and_then(|i| self.0.remove(i));
        self.0
            .push_back(run.unwrap_or_else(|| (instance.to_owned(), Used::default())));
        if self.0.len() > RUNS {
            self.0.pop_front();
        }
        false
    }

    /// True the first time.
    pub(super) fn use_once(&mut self, lease: LeaseId) -> bool {
        self.0.back_mut().is_some_and(|(_, used)| used.use_once(lease.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_once_even_after_many_others() {
        let mut runs = Instances::default();
        assert!(!runs.use_once(LeaseId(1)), "nobody said hello");
        assert!(!runs.hello("a"));
        for n in (1..5000).rev().step_by(3) {
            let fresh = runs.use_once(LeaseId(n));
            assert!(!runs.use_once(LeaseId(n)), "{n} twice");
            assert!(fresh || n < 2000, "{n} was new");
        }
        assert!(runs.use_once(LeaseId(6000)));
        assert!(runs.0.iter().all(|(_, used)| used.set.len() <= REMEMBERED));
    }

    #[test]
    fn a_frozen_gateway_that_comes_back_finds_its_numbers_used() {
        let mut runs = Instances::default();
        runs.hello("a");
        assert!(runs.use_once(LeaseId(1)));
        runs.hello("b");
        assert!(runs.use_once(LeaseId(1)));
        assert!(!runs.hello("a"));
        assert!(!runs.use_once(LeaseId(1)));
        assert!(runs.hello("a"));
    }
}
