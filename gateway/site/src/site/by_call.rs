//! Doors that open by a call alone: the caller is known, nobody answers, and the call is refused once it opened.

use gateway_access::{Reason, Request, When};
use gateway_core::{Cause, DoorId, PanelId, Peer, RingId};

use super::doors::Opening;
use super::{Now, SETTLE, Site};

impl Site {
    /// What a call that comes in is told without being answered, and why; `None` if it may be answered.
    pub(super) fn refuse_call(
        &mut self,
        now: Now,
        panel: &PanelId,
        doors: &[DoorId],
        peer: &Peer,
        ring: RingId,
    ) -> Option<(Cause, &'static str)> {
        if self.open_by_call(now, doors, peer, ring) {
            let cause = self.params.panels.get(panel).map(|panel| panel.opened_call);
            return Some((cause.unwrap_or(Cause::Declined), "opened"));
        }
        let cause = self.params.panels.get(panel)?.other_calls?;
        Some((cause, "refused"))
    }

    /// Opens the first of the doors that opens by this call alone. A stranger's call is no try: the door was not asked.
    fn open_by_call(&mut self, now: Now, doors: &[DoorId], peer: &Peer, ring: RingId) -> bool {
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
