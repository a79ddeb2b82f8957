//! Holding the door open: one lease without a strike time, ended by its time, by whoever asked for it, or by the guard.
//!
//! The lease is renewed as that of every pulse is, so that the output rests soon after the gateway or the guard died.

use gateway_access::Grant;
use gateway_core::{DoorEvent, Instant};

use super::lock::Pulse;
use super::{Contact, Door, Held};
use crate::io::Output;
use crate::params::LockKind;

impl Door {
    /// A Grant to hold the door open. A later one makes the time longer, never shorter.
    pub(super) fn hold(&mut self, now: Instant, grant: Grant) {
        let parts = grant.parts();
        let asked = now + parts.hold.unwrap_or_default();
        let (factor, subject) = (parts.factor, parts.subject.clone());
        self.lease(parts.id, None);
        let opened = self.contact == Contact::Open;
        let pulse = match &mut self.pulse {
            Some(pulse) if pulse.releasing.is_none() => pulse,
            pulse => {
                self.ring = None;
                pulse.insert(Pulse {
                    began: now,
                    egress: false,
                    end: now,
                    fire: false,
                    fire_held: false,
                    hold: None,
                    opened,
                    overdue: false,
                    releasing: None,
                })
            }
        };
        let begins = pulse.hold.is_none();
        let until = pulse.hold.map_or(asked, |hold| hold.max(asked));
        pulse.hold = Some(until);
        let limit_s = until.max(pulse.end).since(now).as_secs();
        let pulse = pulse.left(now);
        if self.params.lock == LockKind::GateOpen {
            self.moves_until = now + self.params.travel;
        }
        if begins {
            // whoever goes through a door that is held open leaves nothing open
            if matches!(self.held, Held::Waits(_)) {
                self.held = Held::Off;
            }
            self.event(DoorEvent::HoldBegan {
                factor,
                limit_s,
                subject,
            });
        }
        self.outputs.push_back(Output::Operate { grant, pulse });
    }

    /// It is held open no longer. Whoever was let in meanwhile still has the rest of their time.
    pub(super) fn end_hold(&mut self, now: Instant, why: &'static str) {
        let Some(pulse) = self.pulse.as_mut().filter(|pulse| pulse.hold.is_some()) else {
            return;
        };
        pulse.hold = None;
        let over = now >= pulse.end && !pulse.fire_held;
        self.hold_ended(now, why);
        if over {
            self.release(now, why);
        }
    }

    /// For the record; and from here on the door is open for too long after its limit.
    pub(super) fn hold_ended(&mut self, now: Instant, why: &str) {
        self.event(DoorEvent::HoldEnded { why: why.to_owned() });
        if self.contact == Contact::Open && !self.forced && self.held == Held::Off && self.fire.is_none() {
            self.held = Held::Waits(now + self.params.held_open);
        }
    }
}
