//! Accounts whose place another one of their name has taken, until the PBX has answered their deregistration.

use gateway_core::{AccountId, Instant};

use super::UserAgent;
use super::account::{Account, Phase};
use super::agent::Use;
use super::registration::LEAVE_WITHIN;
use super::types::UaAccount;
use crate::transaction::TransactionId;
use crate::{Response, Uri};

/// Accounts that leave at one time: beyond it the oldest is not waited for, and its binding runs out by itself.
const MOST: usize = 64;

impl UserAgent {
    /// The account of this name has new settings: the old one deregisters, and lives on until that is answered.
    pub(crate) fn replace(&mut self, now: Instant, id: &AccountId) {
        let leaves = |account: &Account| matches!(account.reg.phase, Phase::Leaving { .. });
        if !self.accounts.get(id).is_some_and(leaves) {
            self.leave(now, id);
        }
        let Some(old) = self.accounts.remove(id).filter(leaves) else {
            return;
        };
        if self.leavers.len() >= MOST {
            self.leavers.remove(0);
        }
        self.leavers.push((id.clone(), old));
    }

    /// Is one that leaves registered as whom these settings register? The one deregistration would remove the other's
    /// binding if it came late, so that they go one after the other.
    pub(crate) fn waits_for_leaver(&self, params: &UaAccount) -> bool {
        params.register && self.leavers.iter().any(|(_, old)| same_aor(&old.params, params))
    }

    /// True if the answer was for one that leaves. A challenge is answered as by any other account: once, and a nonce that was
    /// too old once more.
    pub(crate) fn leaver_answered(&mut self, now: Instant, tx: TransactionId, response: &Response) -> bool {
        let Some(at) = self.leaver(tx) else {
            return false;
        };
        let (id, old) = &mut self.leavers[at];
        if response.is_provisional() {
            self.uses.insert(tx, Use::Register(id.clone()));
            return true;
        }
        let challenged = matches!(response.code(), 401 | 407);
        let tries = old.reg.tries;
        old.reg.tries += 1;
        let flow = old.reg.flow;
        if let Some(flow) = flow.filter(|_| challenged && old.auth.take_challenge(response, tries)) {
            let request = old.register_request(&self.params, flow, 0, &mut self.rng);
            let id = id.clone();
            if let Ok(tx) = self.layer.send_request(now, request, flow) {
                self.leavers[at].1.reg.phase = Phase::Leaving { tx };
                self.uses.insert(tx, Use::Register(id));
                self.pump(now);
                return true;
            }
        }
        self.leaver_over(now, at);
        true
    }

    /// True if this request was of one that leaves.
    pub(crate) fn leaver_unanswered(&mut self, now: Instant, tx: TransactionId) -> bool {
        let at = self.leaver(tx);
        if let Some(at) = at {
            self.leaver_over(now, at);
        }
        at.is_some()
    }

    /// Those who were not answered in time are not waited for.
    pub(crate) fn leavers_due(&mut self, now: Instant) {
        let due = |(_, old): &(AccountId, Account)| old.reg.due.is_none_or(|at| at <= now);
        while let Some(at) = self.leavers.iter().position(due) {
            self.leaver_over(now, at);
        }
    }

    pub(crate) fn leavers_timeout(&self) -> impl Iterator<Item = Instant> {
        self.leavers.iter().filter_map(|(_, old)| old.reg.due)
    }

    fn leaver(&self, tx: TransactionId) -> Option<usize> {
        self.leavers
            .iter()
            .position(|(_, old)| old.reg.phase == Phase::Leaving { tx })
    }

    fn leaver_over(&mut self, now: Instant, at: usize) {
        let (_, gone) = self.leavers.remove(at);
        let next: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(_, account)| {
                account.reg.phase == Phase::Queued && same_aor(&account.params, &gone.params)
            })
            .filter(|(_, account)| !self.waits_for_leaver(&account.params))
            .map(|(id, _)| id.clone())
            .collect();
        for id in next {
            self.start_account(now, &id);
        }
    }

    /// Waits until the one before it has deregistered; callers wait with it.
    pub(crate) fn queue_account(&mut self, now: Instant, id: &AccountId) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.reg.phase = Phase::Queued;
            account.reg.due = Some(now + LEAVE_WITHIN);
        }
        self.tell_account(id, gateway_core::AccountState::Registering, None);
    }
}

fn same_aor(a: &UaAccount, b: &UaAccount) -> bool {
    let aor = |of: &UaAccount| Uri::sip(Some(&of.user), of.domain.clone(), of.domain_port);
    aor(a).same_as(&aor(b))
}
