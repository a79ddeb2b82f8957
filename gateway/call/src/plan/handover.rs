//! A call is handed to somebody else: by a transfer, by somebody who takes it over, or by a redirection.
//!
//! To whom, the panel's [`Handover`] says. The right to open is decided anew for whoever has the call then, as for
//! anybody who answers; who is in no list that may open has the call without that right, whatever the network says of
//! him.

use gateway_core::{AccountId, CallEvent, Cause, Instant, LegCommand, LegId, Manner, Peer};

use super::{CallPlan, Slot, State};
use crate::party::{bare, has_host, same_party, same_place, user_of};
use crate::types::{Handover, Output, Purpose, Target};

/// Refusals of one call that stand in the journal.
const MOST_TOLD: u32 = 10;
/// Parties that one target names in its place and that wait for their turn.
const MOST_NAMED: usize = 4;
/// Parties of one call, beside those of its list.
const MOST_HEIRS: usize = 4;

/// Whom somebody names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// A user of the account's PBX.
    pub(super) at_pbx: bool,
    /// Address.
    pub(super) target: String,
}

/// Somebody who is to be called instead, and the target that wants it so, as it was: what that may not, he may not.
#[derive(Debug)]
pub(super) struct Redirect {
    pub(super) by: Target,
    named: Named,
}

impl Named {
    /// The one of a list that is named. A bare number stands there for a user of the account's PBX, and for nobody else. Of
    /// two that differ by their port only, the one whose port is named; of two that have that as well, the one that is named
    /// word for word.
    fn among<'a>(&self, list: &'a [String]) -> Option<&'a String> {
        let named = |known: &&String| {
            if has_host(known) {
                same_party(&self.target, known)
            } else {
                self.at_pbx && user_of(&self.target) == user_of(known)
            }
        };
        let all = list.iter().filter(named);
        let by_word = all.clone().find(|known| **known == self.target);
        let by_port = || all.clone().find(|known| same_place(known, &self.target));
        by_word.or_else(by_port).or_else(|| all.clone().next())
    }
}

impl Handover {
    /// May a call be handed to whom somebody names?
    fn takes(&self, named: &Named) -> bool {
        self.any || named.among(&self.known).is_some()
    }

    /// Whom to call then: who is known is called as he is known, whatever else the name says.
    fn called(&self, named: &Named) -> String {
        match named.among(&self.known) {
            Some(known) if has_host(known) => known.clone(),
            Some(_) => bare(&named.target),
            None => named.target.clone(),
        }
    }
}

impl CallPlan {
    /// Whoever has the call wants to hand it on.
    pub(super) fn transfer_asked(
        &mut self,
        now: Instant,
        index: usize,
        named: &Named,
        replaces: Option<String>,
    ) {
        let by = self.slots[index].target.leg;
        let result = self
            .may_hand_over(index)
            .and_then(|()| self.admit(named))
            .and_then(|()| self.request.handover.spare.pop().ok_or("too-many"));
        let leg = match result {
            Ok(leg) => leg,
            Err(why) => {
                self.refused(by, &named.target, why);
                let why = match why {
                    "not-listed" => "This door calls nobody who is not in its list",
                    _ => "This door does not hand on this call",
                };
                let why = why.to_owned();
                self.out
                    .push_back(Output::Leg(LegCommand::RefuseTransfer { leg: by, why }));
                return;
            }
        };
        let account = self.slots[index].target.account.clone();
        let target = self.request.handover.called(named);
        self.push_heir(now, account.clone(), leg, named);
        self.out.push_back(Output::Event(CallEvent::LegOffered {
            leg,
            target: named.target.clone(),
        }));
        self.out.push_back(Output::Leg(LegCommand::Transfer {
            account,
            by,
            display: self.request.display.clone(),
            leg,
            line: self.request.line.clone(),
            replaces,
            ring: self.request.ring,
            target,
        }));
    }

    /// Somebody calls to take the place of whoever has the call.
    pub(super) fn taking_over(
        &mut self,
        now: Instant,
        index: usize,
        leg: LegId,
        account: Option<AccountId>,
        peer: &Peer,
    ) {
        let named = Named {
            at_pbx: account.is_some(),
            target: peer.address.clone(),
        };
        let vouched = if peer.trusted { Ok(()) } else { Err("not-listed") };
        let result = self
            .may_hand_over(index)
            .and(vouched)
            .and_then(|()| self.admit(&named));
        if let Err(why) = result {
            self.refused(self.slots[index].target.leg, &named.target, why);
            let cause = Cause::Declined;
            self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            return;
        }
        self.push_heir(now, account, leg, &named);
        self.out.push_back(Output::Leg(LegCommand::Answer { leg }));
    }

    /// Whoever is called wants somebody else called instead, after those whom he has named before.
    pub(super) fn redirected(&mut self, index: usize, named: Named) {
        let leg = self.slots[index].target.leg;
        let waits = match self.request.purpose {
            Purpose::Bridge | Purpose::Visitor => true,
            Purpose::Alarm | Purpose::Incoming => false,
        };
        let open = self.over.is_none() && self.talk.is_none() && waits;
        let result = if open {
            self.admit(&named)
        } else {
            Err("not-talking")
        };
        match result {
            Ok(()) if self.is_full(index) => self.refused(leg, &named.target, "too-many"),
            Ok(()) => {
                let by = self.slots[index].target.clone();
                self.slots[index].redirects.push_back(Redirect { by, named });
            }
            Err(why) => self.refused(leg, &named.target, why),
        }
    }

    /// Is there no leg for another one, or do enough wait?
    fn is_full(&self, index: usize) -> bool {
        let spare = self.request.handover.spare.len();
        self.slots[index].redirects.len() >= MOST_NAMED.min(spare)
    }

    /// Calls whom a target that was redirected names next. False if there is nobody.
    pub(super) fn follow(&mut self, now: Instant, index: usize) -> bool {
        if self.over.is_some() || self.talk.is_some() {
            return false;
        }
        let handover = &mut self.request.handover;
        let waiting = &mut self.slots[index].redirects;
        // the lists may have changed while others were called
        waiting.retain(|redirect| handover.takes(&redirect.named));
        let (Some(Redirect { by, named }), Some(leg)) = (waiting.pop_front(), handover.spare.pop()) else {
            return false;
        };
        let found = self.entitled(&named);
        let called = self.request.handover.called(&named);
        let slot = &mut self.slots[index];
        // what the one before did is not this one's doing
        (slot.asked, slot.early, slot.rang, slot.moves_on) = (None, false, false, false);
        slot.target.leg = leg;
        slot.target.backups.clear();
        slot.target.barred = by.barred || found.is_none();
        slot.target.listed = by.listed && found.is_some();
        slot.target.address = found.unwrap_or_else(|| named.target.clone());
        slot.dial = Some(called);
        self.call(now, index);
        true
    }

    /// The one who was called, or calls, to have the running call has answered: he has it.
    pub(super) fn inherits(&mut self, now: Instant, index: usize, peer: Peer) {
        let Some(before) = self.talk.as_ref().map(|talk| talk.leg) else {
            return;
        };
        let authority = self.authority(index, &peer);
        let Target { address, leg, .. } = &self.slots[index].target;
        let leg = *leg;
        let peer = Peer {
            address: if peer.address.is_empty() {
                address.clone()
            } else {
                peer.address
            },
            ..peer
        };
        if let Some(old) = self.slot(before) {
            self.end_slot(old, Cause::Released);
        }
        self.slots[index].state = State::Won;
        if let Some(talk) = &mut self.talk {
            talk.inherit(now, leg, peer, authority, &mut self.out);
        }
        self.out.push_back(Output::Leg(LegCommand::Connect { leg }));
    }

    /// Somebody who was to have the call does not get it. Is nobody left in it, it is over.
    pub(super) fn heir_lost(&mut self, now: Instant, cause: Cause) {
        let left = |slot: &Slot| matches!(slot.state, State::Won | State::Called(_));
        if self.over.is_none() && self.talk.is_some() && !self.slots.iter().any(left) {
            self.finish(now, crate::Outcome::Answered(cause), cause);
        }
    }

    /// Is somebody called to have the running call?
    pub(super) fn has_heir(&self) -> bool {
        let waits = |slot: &Slot| slot.heir && matches!(slot.state, State::Called(_));
        self.slots.iter().any(waits)
    }

    fn may_hand_over(&self, index: usize) -> Result<(), &'static str> {
        let slot = &self.slots[index];
        let talks = self.talk.as_ref().is_some_and(|talk| talk.leg == slot.target.leg);
        if self.request.purpose == Purpose::Alarm {
            return Err("alarm");
        }
        if self.over.is_some() || !talks || slot.state != State::Won {
            return Err("not-talking");
        }
        if self.has_heir() {
            return Err("running");
        }
        let heirs = self.slots.iter().filter(|slot| slot.heir).count();
        if heirs >= MOST_HEIRS {
            Err("too-many")
        } else {
            Ok(())
        }
    }

    fn admit(&self, named: &Named) -> Result<(), &'static str> {
        if self.request.handover.takes(named) {
            Ok(())
        } else {
            Err("not-listed")
        }
    }

    /// As whom somebody may open who is named: only who is known to be called, and may open whenever he answers.
    fn entitled(&self, named: &Named) -> Option<String> {
        named.among(&self.request.handover.known)?;
        named.among(&self.request.digits.contacts).cloned()
    }

    fn push_heir(&mut self, now: Instant, account: Option<AccountId>, leg: LegId, named: &Named) {
        let found = self.entitled(named);
        let listed = found.is_some();
        let target = Target {
            account,
            address: found.unwrap_or_else(|| named.target.clone()),
            backups: Vec::new(),
            barred: !listed,
            confirm: None,
            leg,
            listed,
            manner: Manner::default(),
            name: None,
        };
        self.slots.push(Slot {
            heir: true,
            state: State::Called(now),
            ..Slot::new(target)
        });
    }

    fn refused(&mut self, leg: LegId, target: &str, reason: &str) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals <= MOST_TOLD {
            self.out.push_back(Output::Event(CallEvent::HandoverRefused {
                leg,
                reason: reason.to_owned(),
                target: target.to_owned(),
            }));
        }
    }
}
