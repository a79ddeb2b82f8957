//! Credentials that open so many times and no more, and areas with hard anti-passback: the door opens once use and
//! position are on the medium.
//!
//! A use that could be lost by a power cut would come back, so here a door waits for the disk: some milliseconds, and
//! at most as long as a Grant lives. If the journal cannot be written such a credential is refused.

use std::time::Duration;

use gateway_access::{Change, Decision as Verdict, Held};
use gateway_core::{Event, Instant, LegCommand, ReaderId, RingId, Tone};

use super::digits::dialled_by;
use super::doors::Opening;
use super::{Now, Site};
use crate::io::Output;

/// After its deadline, so that what is kept just in time is not given up before it is told.
const LATE: Duration = Duration::from_millis(1);

/// A permission whose use is being kept.
pub(super) struct Waiting {
    held: Held,
    injected: bool,
    /// Where it was shown or typed.
    reader: Option<ReaderId>,
}

impl Waiting {
    pub(super) fn until(&self) -> Instant {
        self.held.deadline() + LATE
    }
}

impl Site {
    /// Asks for the use to be kept.
    pub(super) fn hold(&mut self, held: Held, injected: bool) {
        self.next_use += 1;
        let id = self.next_use;
        let uses = held.to_keep().cloned();
        let places = self.access.take_places();
        self.out.push_back(Output::Keep {
            id: Some(id),
            places,
            uses,
        });
        let reader = None;
        self.held.insert(
            id,
            Waiting {
                held,
                injected,
                reader,
            },
        );
    }

    /// The permission that was asked to be kept last belongs to this reader, which shows what becomes of it.
    pub(super) fn held_at(&mut self, reader: &ReaderId) {
        if let Some(waiting) = self.held.get_mut(&self.next_use) {
            waiting.reader = Some(reader.clone());
        }
    }

    /// The use is on the medium, or it could not be taken.
    pub(super) fn use_kept(&mut self, now: Now, id: u64, ok: bool) {
        let Some(Waiting {
            held,
            injected,
            reader,
        }) = self.held.remove(&id)
        else {
            return;
        };
        let ring = held.ring();
        let mut shown = None;
        let verdict = if ok {
            self.access.release(now.mono, &self.context(now), held)
        } else {
            self.access.give_up(held)
        };
        self.keep_places(now, injected);
        let opened = match verdict {
            Verdict::Granted(grant) => {
                let door = grant.parts().door.clone();
                let opened = self.operate(now, &door, grant, injected).ok();
                shown = Some(self.shown_for(now, &door));
                opened
            }
            Verdict::Denied(denied) => {
                let event = Event::Door(denied.door.clone(), denied.event());
                self.record(now, event, denied.ring, injected);
                None
            }
            // a permission that is let go is not held again
            Verdict::Held(_) => None,
        };
        if let Some(reader) = reader {
            self.show(reader, shown.filter(|_| opened.is_some()));
        }
        if let Some(ring) = ring {
            self.tell_dialler(now, ring, opened);
        }
    }

    /// Uses that could not be kept in time.
    pub(super) fn uses_due(&mut self, now: Now) {
        self.give_up(now, |waiting| waiting.until() <= now.mono);
    }

    /// What was decided before the gateway stood still opens nothing afterwards.
    pub(super) fn give_up_uses(&mut self, now: Now) {
        self.give_up(now, |_| true);
    }

    fn give_up(&mut self, now: Now, which: impl Fn(&Waiting) -> bool) {
        let ids = self.held.iter().filter(|(_, waiting)| which(waiting));
        let ids: Vec<u64> = ids.map(|(id, _)| *id).collect();
        for id in ids {
            self.use_kept(now, id, false);
        }
    }

    /// The tone for whoever dialled, and what a call opened.
    pub(super) fn tell_dialler(&mut self, now: Now, ring: RingId, opened: Option<Opening>) {
        let access = &self.access;
        let Some((call, leg)) = self
            .calls
            .get_mut(&ring)
            .and_then(|call| call.winner().map(|leg| (call, leg)))
        else {
            return;
        };
        let tone = match opened {
            Some(Opening::Now(output)) => {
                call.opened.insert(output);
                Tone::Opening
            }
            // it is told when it opens
            Some(Opening::Held) => return,
            // nothing that is dialled counts for a time, the right code neither
            None if access.is_dialler_locked(now.mono, &dialled_by(call)) => Tone::LockedOut,
            // the tone of what is not open; another one has to dial
            Some(Opening::Second) | None => Tone::Refused,
        };
        self.out
            .push_back(Output::Leg(LegCommand::PlayToLeg { leg, tone }));
    }

    /// People and credentials changed.
    pub(super) fn people(&mut self, now: Now, changes: Vec<Change>) {
        for change in changes {
            self.access.change(change);
        }
        self.keep_places(now, false);
    }
}
