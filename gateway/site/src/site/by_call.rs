//! What becomes of a call to the door before anybody answers it: by whom it is, and when.
//!
//! Doors that open by a call alone are asked here, and only the access decision opens them: what stands in `callers` of a panel
//! says which calls are put to it, and gives nobody a right.

use gateway_access::{InForce, Reason, Request, When};
use gateway_core::{AccountId, Cause, DoorId, ListId, PanelId, Peer, RingId};

use super::doors::Opening;
use super::{Now, SETTLE, Site};
use crate::params::CallerAction;

/// What becomes of a call.
#[derive(Clone, Debug)]
pub(super) enum CallIs {
    /// Put through to those of a list.
    Bridged(ListId),
    /// Sent to somebody else.
    Diverted(String),
    /// Not answered.
    Refused {
        /// What the caller is told.
        cause: Cause,
        /// For the record.
        reason: &'static str,
    },
    /// For the line, if that can be had.
    Talk,
}

impl Site {
    /// What becomes of a call that comes in.
    pub(super) fn what_becomes(
        &mut self,
        now: Now,
        panel: &PanelId,
        doors: &[DoorId],
        (account, peer): (Option<&AccountId>, &Peer),
        ring: RingId,
    ) -> CallIs {
        let of = self.params.panels.get(panel);
        let (opened, others) = of.map_or((Cause::Declined, None), |of| (of.opened_call, of.other_calls));
        let action = self.action_for(now, panel, peer);
        let asks = matches!(action, None | Some(CallerAction::Open));
        if asks && self.open_by_call(now, doors, (account, peer), ring) {
            let (cause, reason) = (opened, "opened");
            return CallIs::Refused { cause, reason };
        }
        let refused = |cause| CallIs::Refused {
            cause,
            reason: "refused",
        };
        match action {
            None => others.map_or(CallIs::Talk, refused),
            Some(CallerAction::Bridge(list)) => CallIs::Bridged(list),
            Some(CallerAction::Divert(target)) => CallIs::Diverted(target),
            Some(CallerAction::Open) => CallIs::Refused {
                cause: Cause::Unavailable,
                reason: "not-opened",
            },
            Some(CallerAction::Refuse(cause)) => refused(cause),
            Some(CallerAction::Talk) => CallIs::Talk,
        }
    }

    /// The first of the panel's callers that is meant at this time; what is limited to a schedule counts for nobody while the
    /// clock is not believed.
    fn action_for(&self, now: Now, panel: &PanelId, peer: &Peer) -> Option<CallerAction> {
        let wall = self.context(now).wall;
        let callers = &self.params.panels.get(panel)?.callers;
        let found = callers.iter().find(|caller| {
            let known = peer.trusted || !caller.action.wants_trust();
            let meant = match &caller.number {
                // nobody opens whom no number names
                None => caller.action != CallerAction::Open,
                Some(number) => known && self.access.is_meant(number, &peer.address),
            };
            meant && self.params.schedules.look(&caller.when, wall) == InForce::Yes
        });
        found.map(|caller| caller.action.clone())
    }

    /// Opens the first of the doors that opens by this call alone. A stranger's call is no try: the door was not asked.
    fn open_by_call(
        &mut self,
        now: Now,
        doors: &[DoorId],
        (account, peer): (Option<&AccountId>, &Peer),
        ring: RingId,
    ) -> bool {
        // nobody knows how long a call waited in a socket while the main loop stood still
        if self.stopping || now.mono < self.discard_before + SETTLE {
            return false;
        }
        for door in doors {
            let asked = self
                .params
                .doors
                .get(door)
                .is_some_and(|d| d.by_call != When::Never);
            if !asked {
                continue;
            }
            let request = Request::Caller {
                account: account.cloned(),
                door: door.clone(),
                peer: peer.clone(),
                ring: Some(ring),
            };
            let said = self.access.explain(now.mono, &self.context(now), &request).result;
            match said {
                Ok(_) => match self.open(now, request, false) {
                    Ok(Opening::Held | Opening::Now(_)) => return true,
                    Ok(Opening::Second) | Err(_) => {}
                },
                // those who are not meant, and those of another time
                Err(
                    Reason::CallAlone
                    | Reason::CallerForeign
                    | Reason::CallerUnlisted
                    | Reason::CallerUntrusted
                    | Reason::CredentialNotForDoor
                    | Reason::NotNow { .. },
                ) => {}
                // somebody who is known gets nothing: the journal says why, but not for a flood
                Err(_) => {
                    if self.tells_refusal(now) {
                        let _ = self.open(now, request, false);
                    }
                }
            }
        }
        false
    }
}
