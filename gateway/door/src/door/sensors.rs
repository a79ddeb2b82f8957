//! What the door's inputs tell: contact, exit inputs, tamper.

use std::time::Duration;

use gateway_access::RexKind;
use gateway_core::{DoorEvent, Edge, InputId, Instant};

use super::{Contact, Door, Held};
use crate::io::Output;
use crate::params::{LockKind, LockOwner, Relock};

impl Door {
    pub(super) fn on_contact(&mut self, now: Instant, edge: Edge) {
        if !self.params.contact {
            return;
        }
        let (old, new) = (
            self.contact,
            if edge.active {
                Contact::Open
            } else {
                Contact::Closed
            },
        );
        self.contact = new;
        let told = self.told_open.replace(edge.active);
        match new {
            Contact::Open if old != Contact::Open => {
                self.fire_opened();
                // The first reading is state: the door may have been open for long, by whomever.
                let unpermitted = !edge.initial && old == Contact::Closed && !self.may_open(now);
                if told == Some(false) {
                    self.event(DoorEvent::Opened {});
                }
                if unpermitted {
                    self.forced = true;
                    self.event(DoorEvent::Forced {});
                } else if self.held != Held::Reported
                    && !self.forced
                    && self.held_until().is_none()
                    && self.fire.is_none()
                {
                    self.held = Held::Waits(now + self.params.held_open);
                }
                if let Some(pulse) = &mut self.pulse {
                    pulse.opened = true;
                }
                if self.params.relock == Relock::OnOpen && !edge.initial {
                    self.release_early(now, "on-open");
                }
            }
            Contact::Closed if old != Contact::Closed => {
                // it is where the next step opens it, whoever moved it before
                self.unseen_until = Instant::ZERO;
                if told == Some(true) {
                    self.event(DoorEvent::Closed {});
                }
                if std::mem::take(&mut self.forced) {
                    self.event(DoorEvent::ForcedEnded {});
                }
                if std::mem::replace(&mut self.held, Held::Off) == Held::Reported {
                    self.event(DoorEvent::HeldOpenEnded {});
                }
                let opened = self.pulse.as_ref().is_some_and(|pulse| pulse.opened);
                if self.params.relock == Relock::OnClose && opened && !edge.initial {
                    self.release_early(now, "on-close");
                }
                if self.pulse.is_none() {
                    // What follows is another visitor's story.
                    self.ring = None;
                }
            }
            Contact::Closed | Contact::Open | Contact::Unknown => {}
        }
    }

    /// What was reported stands until the contact says otherwise; a limit that ran measures nothing any more.
    pub(super) fn on_contact_unread(&mut self) {
        self.contact = Contact::Unknown;
        if self.held != Held::Reported {
            self.held = Held::Off;
        }
    }

    /// May the door be opened at this moment without an alarm?
    fn may_open(&self, now: Instant) -> bool {
        let moves =
            matches!(self.params.lock, LockKind::GateOpen | LockKind::GateStep) && now < self.moves_until;
        self.params.owner == LockOwner::Panel
            || self.pulse.is_some()
            || self.fire.is_some()
            || moves
            || !self.rex_down.is_empty()
            || self.shunt_until.is_some_and(|end| now < end)
    }

    pub(super) fn shunt(&mut self, now: Instant) {
        self.shunt_for(now, self.params.shunt);
    }

    pub(super) fn shunt_for(&mut self, now: Instant, time: Duration) {
        let end = now + time;
        self.shunt_until = Some(self.shunt_until.map_or(end, |old| old.max(end)));
    }

    pub(super) fn on_rex(&mut self, now: Instant, edge: Edge, input: InputId, kind: RexKind) {
        if !edge.active {
            self.rex_seen.insert(input.clone());
            if self.rex_down.remove(&input) {
                self.shunt(now);
            }
            return;
        }
        // A first reading, or an input never seen inactive, is a state and nobody's wish.
        if edge.initial || !self.rex_seen.contains(&input) {
            if edge.initial {
                self.rex_seen.remove(&input);
            }
            return;
        }
        match kind {
            RexKind::Unlock => {
                // another press is uttered instead
                self.retries.clear();
                self.outputs.push_back(Output::RequestExit { input });
            }
            RexKind::Parallel | RexKind::ShuntOnly => {
                if self.rex_down.insert(input) {
                    self.event(DoorEvent::RexShunt {});
                }
            }
        }
    }

    pub(super) fn on_tamper(&mut self, edge: Edge) {
        // Unlike a door, a tamper contact that is active at the first reading is news.
        self.tamper = Some(edge.active);
        if std::mem::replace(&mut self.told_tamper, edge.active) != edge.active {
            self.event(DoorEvent::Tamper { active: edge.active });
        }
    }
}
