//! Lockdowns: nobody is let in until somebody ends them. Exits and fire open as ever.
//!
//! A lockdown is begun by a command or an input and ended by a command only. While its input is active it cannot be
//! ended: the input would be forgotten. Unlike other inputs it counts at its first reading, too, and however late: it
//! opens nothing.

use std::collections::BTreeSet;

use gateway_core::{
    DoorGroupId, DoorId, Event, GatewayEvent, InputId, LockdownView, ReaderCommand, Refusal, Subject,
};
use gateway_door::Input as DoorInput;

use super::{Now, Site};
use crate::io::Output;
use crate::levels::Change;

impl Site {
    /// Lockdowns of an earlier life; `None` is the whole site. Give them before [`Input::Ready`](crate::Input::Ready).
    pub fn restore_lockdowns(&mut self, groups: impl IntoIterator<Item = Option<DoorGroupId>>) {
        for group in groups {
            self.access.set_lockdown(group, true);
        }
    }

    /// The lockdowns in force, to be kept across restarts whenever [`Self::lockdowns_revision`] has changed. Those of
    /// groups that the site file does not name any more are among them.
    #[must_use]
    pub fn export_lockdowns(&self) -> BTreeSet<Option<DoorGroupId>> {
        self.access.lockdowns().cloned().collect()
    }

    /// Grows with each change of the lockdowns.
    #[must_use]
    pub const fn lockdowns_revision(&self) -> u64 {
        self.lockdowns_revision
    }

    /// Begins or ends a lockdown by command.
    pub(super) fn command_lockdown(
        &mut self,
        now: Now,
        group: Option<DoorGroupId>,
        active: bool,
        subject: Subject,
    ) -> Result<(), (Refusal, String)> {
        if let Some(id) = group
            .as_ref()
            .filter(|id| !self.params.door_groups.contains_key(id))
        {
            return Err((Refusal::Unknown, format!("there is no door group {id:?}")));
        }
        if !active
            && let Some(input) = self.lockdown_input(group.as_ref())
            && self.levels.level(input) == Some(true)
        {
            let text = format!("input {input} still asks for the lockdown; reset it first");
            return Err((Refusal::Lockdown, text));
        }
        self.set_lockdown(now, group, active, subject, false);
        Ok(())
    }

    fn lockdown_input(&self, group: Option<&DoorGroupId>) -> Option<&InputId> {
        match group {
            None => self.params.lockdown_input.as_ref(),
            Some(group) => self.params.door_groups.get(group)?.lockdown_input.as_ref(),
        }
    }

    /// The input of a lockdown changed.
    pub(super) fn lockdown_changed(
        &mut self,
        now: Now,
        group: Option<DoorGroupId>,
        input: &InputId,
        change: Change,
    ) {
        if change.active {
            let subject = Subject::Input(input.clone());
            self.set_lockdown(now, group, true, subject, change.simulated);
        }
    }

    /// Inputs that a new configuration makes those of a lockdown, and that are active; and doors that it puts into a
    /// group that is locked down.
    pub(super) fn configure_lockdowns(&mut self, now: Now) {
        let groups = self.params.door_groups.keys().cloned().map(Some);
        let groups: Vec<Option<DoorGroupId>> = [None].into_iter().chain(groups).collect();
        for group in groups {
            let input = self.lockdown_input(group.as_ref());
            let active = input.filter(|input| self.levels.level(input) == Some(true));
            if let Some(input) = active.cloned() {
                let simulated = self.params.inputs.get(&input).is_some_and(|i| i.simulated);
                self.set_lockdown(now, group, true, Subject::Input(input), simulated);
            }
        }
        self.shut_locked_down(now);
    }

    fn set_lockdown(
        &mut self,
        now: Now,
        group: Option<DoorGroupId>,
        active: bool,
        subject: Subject,
        simulated: bool,
    ) {
        if !self.access.set_lockdown(group.clone(), active) {
            return;
        }
        self.lockdowns_revision += 1;
        let event = GatewayEvent::Lockdown {
            active,
            group,
            subject,
        };
        self.record(now, Event::Gateway(event), None, simulated);
        if active {
            self.shut_locked_down(now);
            self.end_ring_to_open_locked(now);
        } else {
            self.forget_typed();
        }
    }

    /// What was typed or dialled while nobody was let in does not let in later.
    fn forget_typed(&mut self) {
        let keys = self.access.key_use();
        for call in self.calls.values_mut() {
            call.forget_digits(keys);
        }
        for (reader, keypad) in &mut self.keypads {
            if keypad.poll_timeout().is_some() {
                keypad.clear();
                self.out
                    .push_back(Output::Reader(reader.clone(), ReaderCommand::Idle));
            }
        }
    }

    /// Ends the pulses of those who were let in.
    fn shut_locked_down(&mut self, now: Now) {
        let doors = self.doors.keys();
        let shut = doors.filter(|door| self.access.lockdown_of(door).is_some());
        let shut: Vec<DoorId> = shut.cloned().collect();
        for door in shut {
            self.door_input(now, &door, DoorInput::LockDown, false);
        }
    }

    pub(super) fn lockdown_views(&self) -> Vec<LockdownView> {
        let active = |group: &Option<DoorGroupId>| self.access.lockdowns().any(|a| a == group);
        let site = LockdownView {
            active: active(&None),
            doors: self.params.doors.keys().cloned().collect(),
            group: None,
            name: self.params.name.clone(),
        };
        let groups = self.params.door_groups.iter().map(|(id, params)| {
            let group = Some(id.clone());
            LockdownView {
                active: active(&group),
                doors: params.doors.iter().cloned().collect(),
                group,
                name: params.name.clone(),
            }
        });
        [site].into_iter().chain(groups).collect()
    }
}
