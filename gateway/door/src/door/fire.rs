//! Fire: while the alarm stands the door is opened by itself, however often it is shut again.
//!
//! A coil of continuous duty stays energised until the alarm is reset. One of pulse duty gets its strike time, rests and
//! is energised anew. A gate that takes steps gets one as the alarm is raised, unless it is seen open, and the next one only where
//! its contact says that it is shut: another would shut it.

use std::time::Duration;

use gateway_core::Instant;

use super::lock::{EGRESS_RETRY, EGRESS_TRIES, Lease, Pulse};
use super::{Contact, Door, Held};
use crate::io::{FireAlarm, Output};
use crate::params::LockKind;

/// A coil of pulse duty rests for so long between two openings, and no shorter than it was to be energised.
const REST: Duration = Duration::from_secs(5);
/// Until the decision is asked anew where asking in a row did not open the door.
const AGAIN: Duration = Duration::from_secs(30);
/// What a lease of a coil of continuous duty is asked for: the longest time that the guard's own cap can be.
pub(super) const LEASE: Duration = Duration::from_secs(86_400);

/// The alarm stands.
#[derive(Debug)]
pub(super) struct Fire {
    /// When the door is to be opened again, if nothing opens it for fire until then.
    at: Instant,
    /// Tries in a row that are left.
    left: u8,
    /// It was energised for this alarm, or may have been, or was seen open since.
    opened: bool,
}

impl Door {
    pub(super) fn on_fire(&mut self, now: Instant, alarm: FireAlarm) {
        let stands = alarm != FireAlarm::Reset;
        if stands && self.fire.is_none() {
            self.fire = Some(Fire {
                at: now,
                left: EGRESS_TRIES,
                opened: alarm == FireAlarm::Stands || self.contact == Contact::Open,
            });
            // whoever flees leaves nothing open
            if matches!(self.held, Held::Waits(_)) {
                self.held = Held::Off;
            }
        } else if !stands && self.fire.take().is_some() {
            if self.contact == Contact::Open && !self.forced && self.held == Held::Off {
                self.held = Held::Waits(now + self.params.held_open);
            }
            if let Some(pulse) = &mut self.pulse {
                pulse.fire = false;
            }
            self.end_fire_hold(now, "fire-reset");
        }
    }

    /// The coil is not energised for fire alone any more. Whoever was let in meanwhile has the rest of their time.
    pub(super) fn end_fire_hold(&mut self, now: Instant, why: &'static str) {
        let Some(pulse) = self.pulse.as_mut().filter(|pulse| pulse.fire_held) else {
            return;
        };
        pulse.fire_held = false;
        if pulse.hold.is_none() && now >= pulse.end {
            self.release(now, why);
        }
    }

    /// When the decision is to be asked. Nothing opens for fire until then.
    pub(super) fn fire_due(&self) -> Option<Instant> {
        let fire = self.fire.as_ref()?;
        let asked = self.leases.values().any(Lease::asks_for_fire);
        if asked || self.pulse.as_ref().is_some_and(|pulse| pulse.fire) {
            return None;
        }
        if self.params.lock != LockKind::GateStep {
            return Some(fire.at);
        }
        match self.contact {
            Contact::Closed => Some(fire.at.max(self.moving_until())),
            Contact::Unknown if !fire.opened => Some(fire.at.max(self.moving_until())),
            Contact::Open | Contact::Unknown => None,
        }
    }

    pub(super) fn ask_for_fire(&mut self, now: Instant) {
        if self.fire_due().is_some_and(|due| now >= due)
            && let Some(fire) = &mut self.fire
        {
            fire.at = now + AGAIN;
            self.outputs.push_back(Output::RequestFire);
        }
    }

    /// The guard took a Grant of it.
    pub(super) fn fire_taken(&mut self) {
        if let Some(fire) = &mut self.fire {
            fire.left = EGRESS_TRIES;
        }
        self.fire_opened();
    }

    /// It is open, or opens.
    pub(super) fn fire_opened(&mut self) {
        if let Some(fire) = &mut self.fire {
            fire.opened = true;
        }
    }

    /// The guard did not take a Grant of it, or took its time away.
    pub(super) fn fire_failed(&mut self, now: Instant) {
        if let Some(fire) = &mut self.fire {
            fire.at = now + if fire.left > 0 { EGRESS_RETRY } else { AGAIN };
            fire.left = fire.left.saturating_sub(1);
        }
    }

    /// There is another guard, or another output.
    pub(super) fn fire_at_once(&mut self, now: Instant) {
        if let Some(fire) = &mut self.fire {
            (fire.at, fire.left) = (now, EGRESS_TRIES);
        }
    }

    /// A pulse for fire is over.
    pub(super) fn fire_rests(&mut self, now: Instant, pulse: &Pulse) {
        if let Some(fire) = self.fire.as_mut().filter(|_| pulse.fire) {
            let rest = if pulse.fire_held {
                EGRESS_RETRY
            } else {
                REST.max(self.params.strike)
            };
            fire.at = now + rest;
        }
    }
}
