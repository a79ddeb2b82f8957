//! How it is with the doors of an account: whether they can be called at all, and whether it stays registered then.

use gateway_core::{AccountEvent, AccountId, AccountState, Instant, Standing};

use super::UserAgent;
use super::account::Phase;

impl UserAgent {
    /// Sets how it is with the doors of an account. An account that is not known is passed over.
    pub fn set_standing(&mut self, now: Instant, id: &AccountId, standing: Standing) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut account.standing, standing);
        if before.fault != standing.fault {
            self.publish_changed(now, id);
        }
        if !before.away && standing.away {
            self.go_away(now, id);
        } else if before.away && !standing.away {
            self.come_back(now, id);
        }
        self.drain(now);
    }

    fn go_away(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if !account.params.register {
            // a trunk has no registration that could be taken back
            return;
        }
        match account.reg.phase {
            Phase::Leaving { .. } | Phase::Left | Phase::Away | Phase::Trunk => {}
            Phase::Queued | Phase::Registering { .. } | Phase::Resting | Phase::Reaching => {
                account.stays = true;
                self.depart(now, id);
            }
        }
    }

    fn come_back(&mut self, now: Instant, id: &AccountId) {
        let away = self
            .accounts
            .get(id)
            .is_some_and(|account| account.reg.phase == Phase::Away);
        if away {
            self.start_account(now, id);
        }
    }

    /// The account has deregistered. True if it stays, to register again later.
    pub(crate) fn stays_away(&mut self, now: Instant, id: &AccountId) -> bool {
        let stopping = self.stopping;
        let Some(account) = self.accounts.get_mut(id).filter(|a| a.stays && !stopping) else {
            return false;
        };
        account.reg.phase = Phase::Away;
        account.reg.due = None;
        account.reg.flow = None;
        account.reg.valid_until = None;
        account.reg.ping = None;
        let back = !account.standing.away;
        if account.reg.state != AccountState::Off {
            self.tell_account(id, AccountState::Off, Some(AccountEvent::Unregistered {}));
        }
        self.account_settled(now, id);
        if back {
            // its doors were mended while it left
            self.start_account(now, id);
        }
        true
    }
}
