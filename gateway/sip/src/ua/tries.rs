//! REGISTERs with credentials that were not accepted: a wrong password must not lock the account at the PBX, nor the whole
//! building where the PBX bans whoever tries too often. Settings that change and gateways that start anew go on with the count.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use gateway_core::{AccountId, Instant};
use sha2::{Digest as _, Sha256};

use super::UserAgent;
use super::types::{Output, UaAccount};

/// REGISTERs with credentials that may be refused within [`WINDOW`].
const MOST: usize = 4;
/// A try counts for so long.
pub(crate) const WINDOW: Duration = Duration::from_secs(600);
/// Accounts that are not there and whose tries are remembered.
const MOST_ABSENT: usize = 256;

/// Says whether credentials are the same without saying what they are: SHA-256 of address of record, user and password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialsMark(pub [u8; 32]);

impl fmt::Debug for CredentialsMark {
    // a password that people can remember is found by trying
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsMark(***)")
    }
}

impl CredentialsMark {
    /// Of the credentials of an account.
    #[must_use]
    pub fn of(account: &UaAccount) -> Self {
        let mut hash = Sha256::new();
        for part in [
            account.domain.to_string().to_ascii_lowercase().as_str(),
            &account.domain_port.unwrap_or(0).to_string(),
            &account.user,
            &account.auth_user,
            account.password.reveal(),
        ] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// Tries of one account with the same credentials, at most four.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tries {
    mark: CredentialsMark,
    /// Until when each of them counts, the oldest first.
    until: VecDeque<Instant>,
}

impl Tries {
    /// Tries that count until `until`, of which none counts for longer than ten minutes from `now` on.
    #[must_use]
    pub fn new(now: Instant, mark: CredentialsMark, until: impl IntoIterator<Item = Instant>) -> Self {
        let mut until: Vec<_> = until.into_iter().map(|at| at.min(now + WINDOW)).collect();
        until.retain(|at| *at > now);
        until.sort_unstable();
        let from = until.len().saturating_sub(MOST);
        Self {
            mark,
            until: until.split_off(from).into(),
        }
    }

    pub(crate) const fn none(mark: CredentialsMark) -> Self {
        Self {
            mark,
            until: VecDeque::new(),
        }
    }

    /// With which credentials.
    #[must_use]
    pub const fn mark(&self) -> CredentialsMark {
        self.mark
    }

    /// Until when each of them counts, the oldest first.
    pub fn until(&self) -> impl Iterator<Item = Instant> {
        self.until.iter().copied()
    }

    /// True if there are none, or none that count.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        self.until.iter().all(|at| *at <= now)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    pub(crate) fn count(&mut self, now: Instant) {
        self.until.retain(|at| *at > now);
        self.until.push_back(now + WINDOW);
    }

    pub(crate) fn clear(&mut self) {
        self.until.clear();
    }

    /// How many more may be made.
    pub(crate) fn left(&self, now: Instant) -> usize {
        let counting = self.until.iter().filter(|at| **at > now).count();
        MOST.saturating_sub(counting)
    }

    /// How long to wait until the next one may be made.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let counting = self.until.iter().filter(|at| **at > now);
        // the one whose end leaves room for another
        let mut ends = counting.rev().skip(MOST - 1);
        ends.next().map_or(Duration::ZERO, |end| end.since(now))
    }
}

impl UserAgent {
    /// Tries of before a start, for accounts that are [configured](Self::configure) later and have these credentials.
    pub fn remember_tries(&mut self, tries: BTreeMap<AccountId, Tries>) {
        for (id, tries) in tries {
            self.keep_tries(id, tries);
        }
    }

    /// Tries of an account that ends, or starts anew.
    pub(crate) fn keep_tries(&mut self, id: AccountId, tries: Tries) {
        if self.tries.len() < MOST_ABSENT || self.tries.contains_key(&id) {
            self.tries.insert(id, tries);
        }
    }

    /// What counts for an account that starts.
    pub(crate) fn tries_of(&mut self, now: Instant, account: &UaAccount) -> Tries {
        self.tries.retain(|_, tries| !tries.is_over(now));
        let mark = CredentialsMark::of(account);
        let known = self.tries.remove(&account.id);
        known
            .filter(|tries| tries.mark == mark)
            .unwrap_or(Tries::none(mark))
    }

    /// Tells tries that count, or that those which were told do not.
    pub(crate) fn tell_tries(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let counts = !account.reg.tries_made.is_over(now);
        if counts || account.reg.tries_told {
            account.reg.tries_told = counts;
            self.out.push_back(Output::Tries {
                id: id.clone(),
                tries: account.reg.tries_made.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_of_a_clock_that_was_set_count_for_ten_minutes_at_most() {
        let now = Instant::from_nanos(5);
        let mark = CredentialsMark([1; 32]);
        let far = now + Duration::from_secs(1_000_000);
        let tries = Tries::new(now, mark, [far, Instant::ZERO, far, far, far, far]);
        assert_eq!(tries.until().collect::<Vec<_>>(), [now + WINDOW; MOST]);
        assert_eq!(tries.left(now), 0);
        assert_eq!(tries.wait(now), WINDOW);
        assert_eq!(tries.left(now + WINDOW), MOST);
        assert!(tries.is_over(now + WINDOW));
    }

    #[test]
    fn the_oldest_of_four_is_waited_for() {
        let now = Instant::from_nanos(5);
        let secs = Duration::from_secs;
        let mut tries = Tries::none(CredentialsMark([1; 32]));
        for n in 0..4 {
            assert_eq!(tries.wait(now + secs(n)), Duration::ZERO);
            tries.count(now + secs(n));
        }
        assert_eq!(tries.wait(now + secs(10)), secs(590));
    }
}
