//! The machine.

mod fire;
mod hold;
mod lock;
mod sense;
mod sensors;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use gateway_access::Standing;
use gateway_core::{ContactState, DoorEvent, InputId, Instant, LockState, RingId};

use crate::io::{Input, Output};
use crate::params::{DoorParams, LockKind, LockOwner, ParamsError};
pub use lock::{JOIN, RELEASE_LIMIT};
use lock::{Lease, Pulse, Retry};

/// One door.
///
/// A Grant while the output is energised does not make a second pulse. Within [`JOIN`] of its begin it is
/// joined to the pulse; later it moves the end to one strike time from then, but for a coil of pulse duty never
/// beyond [`MAX_PULSE`](crate::MAX_PULSE) from the begin. Egress is passed to the guard in any case, and asked
/// for again when the guard does not take it, and when another guard comes; only a gate that moves already gets no
/// further pulse.
#[derive(Debug)]
pub struct Door {
    /// Why a release was asked for last.
    asked: &'static str,
    /// The guard said that the output is energised, and not yet that it rests.
    coil_on: bool,
    contact: Contact,
    fault: Option<String>,
    /// The fire alarm, while it stands.
    fire: Option<fire::Fire>,
    forced: bool,
    held: Held,
    /// Grants at the guard that have no answer yet.
    leases: BTreeMap<u64, Lease>,
    moves_until: Instant,
    outputs: VecDeque<Output>,
    panel_may_open: bool,
    params: DoorParams,
    pulse: Option<Pulse>,
    rex_down: BTreeSet<InputId>,
    /// Exit inputs that were seen inactive: only those can become active.
    rex_seen: BTreeSet<InputId>,
    /// What whoever wants out still waits for.
    retries: BTreeMap<InputId, Retry>,
    /// The ring of the last Grant, for what follows from it.
    ring: Option<RingId>,
    sense: sense::Sense,
    shunt_until: Option<Instant>,
    tamper: Option<bool>,
    /// Whether the contact stands open as the records have it; `None` if they have nothing of it.
    told_open: Option<bool>,
    /// What the records say of the tamper contact.
    told_tamper: bool,
    /// Until when a gate may still move by a step that was made before this machine was there.
    unseen_until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    Closed,
    Open,
    Unknown,
}

/// What the records say of a door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// It was forced, and not seen shut since.
    pub forced: bool,
    /// It stood open for too long.
    pub held_open: bool,
    /// It stood open.
    pub open: bool,
    /// Its tamper contact was active.
    pub tamper: bool,
}

/// The held-open limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Shut, or forced: no limit runs.
    Off,
    /// Reported.
    Reported,
    /// Runs out at.
    Waits(Instant),
}

impl Door {
    /// A door at rest. Nothing is known of its contact, and nothing is operated. A gate that takes steps counts as moving
    /// for one travel time, or until its contact says that it is shut: the gateway before may just have moved it.
    ///
    /// # Errors
    /// [`ParamsError`] if the parameters make no door.
    pub fn new(now: Instant, params: DoorParams) -> Result<Self, ParamsError> {
        params.check()?;
        let unseen_until = if params.lock == LockKind::GateStep {
            now + params.travel
        } else {
            Instant::ZERO
        };
        Ok(Self {
            asked: "guard",
            coil_on: false,
            contact: Contact::Unknown,
            fault: None,
            fire: None,
            forced: false,
            held: Held::Off,
            leases: BTreeMap::new(),
            moves_until: Instant::ZERO,
            outputs: VecDeque::new(),
            panel_may_open: false,
            params,
            pulse: None,
            rex_down: BTreeSet::new(),
            rex_seen: BTreeSet::new(),
            retries: BTreeMap::new(),
            ring: None,
            sense: sense::Sense::default(),
            shunt_until: None,
            tamper: None,
            told_open: None,
            told_tamper: false,
            unseen_until,
        })
    }

    /// What was on record of this door when the gateway before ended, before anything is read: what differs by the first reading
    /// is told then, and what was forced or held open stays so until the contact is seen shut.
    pub fn restore(&mut self, told: Told) {
        if self.params.contact {
            // of one that was shut the first reading is a state, as at any start
            self.told_open = told.open.then_some(true);
            self.forced = told.forced;
            if told.held_open {
                self.held = Held::Reported;
            }
        }
        self.told_tamper = told.tamper;
    }

    /// Takes other parameters. By a shorter strike time a running pulse ends earlier; a removed output is released first.
    ///
    /// # Errors
    /// [`ParamsError`] if the parameters make no door; the old ones stay.
    pub fn apply(&mut self, now: Instant, params: DoorParams) -> Result<(), ParamsError> {
        params.check()?;
        if params.output != self.params.output {
            let output = std::mem::replace(&mut self.params.output, params.output.clone());
            self.leave(output);
            self.fire_at_once(now);
        } else if let Some(pulse) = self.pulse.as_mut().filter(|_| params.strike < self.params.strike) {
            pulse.end = pulse.end.min(pulse.began + params.strike).max(now);
        }
        if !params.may_be_held() {
            self.end_hold(now, "config");
            self.end_fire_hold(now, "config");
        }
        if let Held::Waits(end) = &mut self.held {
            let since = *end - self.params.held_open;
            *end = since + params.held_open;
        }
        if params.lock == LockKind::GateStep
            && self.params.lock != LockKind::GateStep
            && self.contact != Contact::Closed
        {
            self.unseen_until = now + params.travel;
        }
        if !params.contact {
            self.contact = Contact::Unknown;
            self.told_open = None;
            self.forced = false;
            self.held = Held::Off;
        }
        self.params = params;
        self.ask_for_fire(now);
        Ok(())
    }

    /// Releases the output because the door leaves the configuration. Drop the machine after draining it.
    pub fn retire(&mut self) {
        let output = self.params.output.clone();
        self.leave(output);
    }

    /// Takes an input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        if !matches!(input, Input::Granted(_)) {
            // a wish that was uttered again and got no Grant at once is nobody's any more
            self.retries.retain(|_, retry| !retry.asked);
        }
        // What is due comes first, whatever order the driver calls in.
        self.handle_timeout(now);
        match input {
            Input::Contact(edge) => self.on_contact(now, edge),
            Input::ContactUnread => self.on_contact_unread(),
            Input::EndHold { why } => self.end_hold(now, why),
            Input::Fire(alarm) => self.on_fire(now, alarm),
            Input::Granted(grant) => self.on_grant(now, grant),
            Input::Guard(report) => self.on_guard(now, report),
            Input::GuardUp => self.on_guard_up(now),
            Input::LockDown => self.release_entry(now),
            Input::LockSense(edge) => self.on_lock_sense(now, edge),
            Input::LockSenseStuck => self.on_lock_sense_stuck(),
            Input::LockSenseUnread => self.on_lock_sense_unread(),
            Input::OpenedByPanel => self.opened_by_panel(now, sense::Told::Tone),
            Input::PanelMayOpen(may) => self.panel_may_open = may,
            Input::Rex { edge, input, kind } => self.on_rex(now, edge, input, kind),
            Input::Tamper(edge) => self.on_tamper(edge),
        }
        self.ask_for_fire(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.end_pulse(now);
        if let Held::Waits(end) = self.held
            && now >= end
        {
            self.held = Held::Reported;
            self.event(DoorEvent::HeldOpen {});
        }
        if self.shunt_until.is_some_and(|end| now >= end) {
            self.shunt_until = None;
            if self.pulse.is_none() && self.contact != Contact::Open {
                // What follows is another visitor's story.
                self.ring = None;
            }
        }
        if now >= self.moves_until {
            self.moves_until = Instant::ZERO;
        }
        if now >= self.unseen_until {
            self.unseen_until = Instant::ZERO;
        }
        self.retry_exits(now);
        self.judge_press(now);
        self.ask_for_fire(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pulse = self.pulse.as_ref().and_then(|pulse| match pulse.releasing {
            None => pulse.hold.or((!pulse.fire_held).then_some(pulse.end)),
            Some(limit) => (!pulse.overdue).then_some(limit),
        });
        let retry = self.retries.values().filter_map(|retry| retry.at).min();
        let held = match self.held {
            Held::Waits(end) => Some(end),
            Held::Off | Held::Reported => None,
        };
        let moves = [self.moves_until, self.unseen_until];
        let moves = moves.into_iter().filter(|until| *until != Instant::ZERO).min();
        [
            pulse,
            held,
            retry,
            self.shunt_until,
            moves,
            self.fire_due(),
            self.sense.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What the contact says.
    #[must_use]
    pub const fn contact(&self) -> ContactState {
        match self.contact {
            Contact::Closed => ContactState::Closed,
            Contact::Open => ContactState::Open,
            Contact::Unknown => ContactState::Unknown,
        }
    }

    /// What the lock does: unlocked only once the guard said so, locked only once it said that the output rests. Of a lock of
    /// the panel its sense tells, if there is one.
    #[must_use]
    pub fn lock(&self) -> LockState {
        match self.params.owner {
            LockOwner::Panel => self.sense.lock(),
            LockOwner::Gateway if self.coil_on => LockState::Unlocked,
            LockOwner::Gateway => LockState::Locked,
        }
    }

    /// Does the gateway have it unlocked? Never a lock of the panel.
    #[must_use]
    pub fn is_unlocked_by_us(&self) -> bool {
        self.coil_on && self.params.owner == LockOwner::Gateway
    }

    /// Where the door stands, for an interlock with others. It changes only with an input or a timeout.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let opening = self.pulse.is_some()
            || self.coil_on
            || self.fire.is_some()
            || !self.leases.is_empty()
            || self.retries.values().any(|retry| retry.at.is_some())
            || self.moves_until != Instant::ZERO
            || !self.rex_down.is_empty()
            || self.shunt_until.is_some();
        match self.contact {
            Contact::Open => Standing::Open,
            Contact::Closed | Contact::Unknown if opening => Standing::Opening,
            Contact::Closed => Standing::AtRest,
            Contact::Unknown => Standing::Unknown,
        }
    }

    /// When the running pulse ends. While the door is held open, it is the end of the time of whoever was let in last.
    #[must_use]
    pub fn pulse_until(&self) -> Option<Instant> {
        self.running().map(|p| p.end)
    }

    /// Until when it is held open at the latest, if it is.
    #[must_use]
    pub fn held_until(&self) -> Option<Instant> {
        self.running().and_then(|p| p.hold)
    }

    /// Does it stay open beyond every pulse, held open or for fire?
    #[must_use]
    pub fn is_kept_open(&self) -> bool {
        self.running().is_some_and(|p| p.hold.is_some() || p.fire_held)
    }

    /// Forced and not shut since.
    #[must_use]
    pub const fn is_forced(&self) -> bool {
        self.forced
    }

    /// What the tamper contact says; `None` before its first reading.
    #[must_use]
    pub const fn tamper(&self) -> Option<bool> {
        self.tamper
    }

    /// Open for longer than allowed.
    #[must_use]
    pub fn is_held_open(&self) -> bool {
        self.held == Held::Reported
    }

    /// What the guard could not do, until it can again.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The parameters in force.
    #[must_use]
    pub const fn params(&self) -> &DoorParams {
        &self.params
    }

    fn event(&mut self, event: DoorEvent) {
        self.outputs.push_back(Output::Event {
            event,
            ring: self.ring,
        });
    }
}
