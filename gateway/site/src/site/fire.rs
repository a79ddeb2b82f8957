//! Fire: an alarm that opens doors until somebody resets it.
//!
//! The input raises it when it becomes active, and its end does not end it: a smoke detector may burn, or its line. It
//! outlives restarts and the file that names the input. While it stands every door of ours is told so, opens, and sees to
//! it that it stays open (`gateway_door`); lockdowns, interlocks, schedules and the ends of holds do not change that.
//! Active at the first reading the input is only reported: a restart raises nothing.

use gateway_access::Request;
use gateway_core::{DoorId, Event, FireView, GatewayEvent, InputId, Refusal, Subject};
use gateway_door::{FireAlarm, Input as DoorInput, LockOwner};

use super::{Now, Site};
use crate::io::KeptFire;
use crate::levels::Change;
use crate::params::DoorParams;

/// What is known of fire.
#[derive(Default)]
pub(super) struct Fire {
    alarm: Option<KeptFire>,
    /// The level of the input, as it is on record.
    pub(super) level: bool,
    revision: u64,
}

impl Site {
    /// The alarm of an earlier life. Give it before [`Input::Ready`](crate::Input::Ready).
    pub fn restore_fire(&mut self, alarm: Option<KeptFire>) {
        self.access
            .set_fire(alarm.as_ref().map(|alarm| alarm.input.clone()));
        self.fire.alarm = alarm;
    }

    /// The alarm, to be kept across restarts whenever [`Self::fire_revision`] has changed.
    #[must_use]
    pub const fn export_fire(&self) -> Option<&KeptFire> {
        self.fire.alarm.as_ref()
    }

    /// Grows with each change of the alarm.
    #[must_use]
    pub const fn fire_revision(&self) -> u64 {
        self.fire.revision
    }

    /// The fire input changed.
    pub(super) fn fire_changed(&mut self, now: Now, input: &InputId, change: Change) {
        self.fire_level(now, change.active, change.simulated);
        // a real one takes the place of one that was only played
        let stands = |alarm: &KeptFire| change.simulated || !alarm.simulated;
        if change.acts && !self.fire.alarm.as_ref().is_some_and(stands) {
            let alarm = KeptFire {
                input: input.clone(),
                simulated: change.simulated,
            };
            self.set_fire(now, Some(alarm), Subject::Input(input.clone()), change.simulated);
        }
    }

    /// Tells the level of the input, if it is another one.
    pub(super) fn fire_level(&mut self, now: Now, active: bool, simulated: bool) {
        if self.fire.level != active {
            self.fire.level = active;
            let event = Event::Gateway(GatewayEvent::Fire { active });
            self.record(now, event, None, simulated);
        }
    }

    /// Another file may name another input, and may have other doors.
    pub(super) fn configure_fire(&mut self, now: Now, before: Option<&InputId>) {
        let input = self.params.fire_input.as_ref();
        if input != before {
            let active = input.is_some_and(|input| self.levels.current(input) == Some(true));
            let simulated = input.and_then(|input| self.params.inputs.get(input));
            let simulated = simulated.is_some_and(|input| input.simulated);
            self.fire_level(now, active, simulated);
        }
        self.tell_fire(now, FireAlarm::Stands);
    }

    /// An operator says that the fire is over.
    pub(super) fn command_reset_fire(&mut self, now: Now, subject: Subject) -> Result<(), (Refusal, String)> {
        if let Some(input) = &self.params.fire_input {
            let found = match self.levels.current(input) {
                Some(false) => None,
                Some(true) => Some(format!(
                    "fire input {input} is still active; reset the fire alarm system first"
                )),
                None => Some(format!(
                    "fire input {input} is not read at this moment; the faults of its device say why"
                )),
            };
            if let Some(text) = found {
                return Err((Refusal::Fire, text));
            }
        }
        if let Some(alarm) = &self.fire.alarm {
            let simulated = alarm.simulated;
            self.set_fire(now, None, subject, simulated);
        }
        Ok(())
    }

    fn set_fire(&mut self, now: Now, alarm: Option<KeptFire>, subject: Subject, simulated: bool) {
        let active = alarm.is_some();
        self.access
            .set_fire(alarm.as_ref().map(|alarm| alarm.input.clone()));
        self.fire.alarm = alarm;
        self.fire.revision += 1;
        let event = Event::Gateway(GatewayEvent::FireAlarm { active, subject });
        self.record(now, event, None, simulated);
        self.tell_fire(now, FireAlarm::Raised);
    }

    /// An alarm of an earlier life opens the doors as soon as there is a guard to do it.
    pub(super) fn begin_fire(&mut self, now: Now) {
        if self.ready && self.guard.is_ok() {
            self.tell_fire(now, FireAlarm::Stands);
        }
    }

    /// Tells every door whether it is to open for fire; `how` is for those that are. What it knows already changes nothing.
    fn tell_fire(&mut self, now: Now, how: FireAlarm) {
        let alarm = |door: &DoorParams| if self.burns(door) { how } else { FireAlarm::Reset };
        let doors = self.params.doors.iter();
        let doors: Vec<(DoorId, FireAlarm)> = doors.map(|(id, door)| (id.clone(), alarm(door))).collect();
        for (door, alarm) in doors {
            self.door_input(now, &door, DoorInput::Fire(alarm), false);
        }
    }

    /// Does the alarm open this door? A played one opens nothing real.
    fn burns(&self, door: &DoorParams) -> bool {
        let ours = door.output.is_some() && door.owner == LockOwner::Gateway;
        let alarm = self.fire.alarm.as_ref();
        ours && alarm.is_some_and(|alarm| !alarm.simulated || self.is_virtual(door))
    }

    /// A door asks to be opened for fire. A refusal stands in the journal.
    pub(super) fn open_for_fire(&mut self, now: Now, door: DoorId) {
        if let Some(alarm) = &self.fire.alarm {
            let simulated = alarm.simulated;
            let _ = self.open(now, Request::Fire { door }, simulated);
        }
    }

    pub(super) fn fire_fault(&self) -> Option<String> {
        let input = &self.fire.alarm.as_ref()?.input;
        Some(format!(
            "fire alarm of input {input}: doors are open for it until somebody resets it, once that input rests"
        ))
    }

    pub(super) fn fire_view(&self) -> Option<FireView> {
        let alarm = self.fire.alarm.is_some();
        (alarm || self.params.fire_input.is_some()).then_some(FireView {
            active: self.fire.level,
            alarm,
        })
    }
}
