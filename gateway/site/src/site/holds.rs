//! Doors that are held open: by a schedule of theirs, or by a command for a time.
//!
//! Each begin is a decision of its own, also the one after a restart, a guard that was away or a lockdown. What a command
//! asked for is kept nowhere and does not come back. What a schedule asks for ends with it, with the trust in the
//! clock, and with the command that ends it; then it waits for the schedule's next begin.

use std::time::Duration;

use gateway_access::{HoldBy, InForce, Reason, Request, When};
use gateway_core::{DoorId, HoldView, Instant, Origin, Refusal};
use gateway_door::Input as DoorInput;

use super::doors::Opening;
use super::{Now, Site};

/// The lease of a schedule is asked for until it ends and for so much longer: it is ended by the schedule, and not a
/// moment before by a monotonic clock that goes differently.
const MARGIN: Duration = Duration::from_secs(30);
/// A schedule is looked up at its next change, and after this at the latest.
const LOOK: Duration = Duration::from_secs(3600);
/// Pause before a door is held open again that its guard let go, doubled with each time.
const PAUSE: Duration = Duration::from_secs(60);
/// How often the pause is doubled: to some 16 minutes.
const DOUBLED: u32 = 4;

/// What is known of a door that can be held open.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// It is held open by its schedule.
    by_schedule: bool,
    /// Until when a command holds it open.
    by_command: Option<Instant>,
    /// A command ended what the schedule wants; it waits for the next begin.
    ended: bool,
    /// When the schedule is looked up again; `None` is now.
    look_at: Option<Instant>,
    /// Not before.
    retry_at: Option<Instant>,
    /// The refusal was told.
    told: bool,
    /// How often its guard let it go.
    tries: u32,
    /// The schedule is in force.
    wanted: bool,
}

impl Site {
    /// The schedules are to be looked up anew: the clock or the file is another one.
    pub(super) fn doubt_holds(&mut self) {
        for hold in self.holds.values_mut() {
            hold.look_at = None;
        }
    }

    /// There is a guard again, or its board: what it let go may be tried at once.
    pub(super) fn retry_holds(&mut self) {
        for hold in self.holds.values_mut() {
            (hold.retry_at, hold.tries) = (None, 0);
        }
    }

    /// Another file: what it does not allow any more ends.
    pub(super) fn configure_holds(&mut self, now: Now) {
        let doors = self.params.doors.iter();
        let may = doors.filter(|(_, door)| door.hold != When::Never || door.hold_limit.is_some());
        let may: Vec<DoorId> = may.map(|(id, _)| id.clone()).collect();
        let before: Vec<DoorId> = self.holds.keys().cloned().collect();
        for id in before {
            let limit = self.params.doors.get(&id).and_then(|door| door.hold_limit);
            let Some(hold) = self.holds.get_mut(&id) else {
                continue;
            };
            if limit.is_none() {
                hold.by_command = None;
            }
            if hold.by_command.is_none() && !hold.by_schedule || !may.contains(&id) {
                self.door_input(now, &id, DoorInput::EndHold { why: "config" }, false);
            }
        }
        self.holds.retain(|id, _| may.contains(id));
        for id in may {
            self.holds.entry(id).or_default();
        }
        self.doubt_holds();
        self.look_at_holds(now);
    }

    /// Begins and ends what schedules want, at each turn.
    pub(super) fn look_at_holds(&mut self, now: Now) {
        let doors: Vec<DoorId> = self.holds.keys().cloned().collect();
        for door in doors {
            self.notice_end(now, &door);
            self.look_up(now, &door);
            self.command_over(now, &door);
            self.begin_by_schedule(now, &door);
        }
    }

    /// The door was let go: by its time, a lockdown, the guard, or another file.
    fn notice_end(&mut self, now: Now, door: &DoorId) {
        let held = self.doors.get(door).is_some_and(|d| d.held_until().is_some());
        // what ended by these begins again as they end
        let waits = self.guard.is_err() || self.access.lockdown_of(door).is_some();
        let Some(hold) = self.holds.get_mut(door).filter(|_| !held) else {
            return;
        };
        hold.by_command = None;
        if std::mem::take(&mut hold.by_schedule) && !waits {
            hold.retry_at = Some(now.mono + PAUSE * (1 << hold.tries.min(DOUBLED)));
            hold.tries += 1;
        }
    }

    fn look_up(&mut self, now: Now, door: &DoorId) {
        let wall = self.context(now).wall;
        let Some(when) = self.params.doors.get(door).map(|params| params.hold.clone()) else {
            return;
        };
        let schedules = &self.params.schedules;
        let Some(hold) = self.holds.get_mut(door) else {
            return;
        };
        if hold.look_at.is_some_and(|at| now.mono < at) {
            return;
        }
        let change = schedules.next_change(&when, now.wall);
        let until = change.and_then(|at| Duration::try_from(at.duration_since(now.wall)).ok());
        // a wall clock in nanoseconds may be at the change already, and say so by a hair later
        let until = until.unwrap_or(LOOK).clamp(Duration::from_millis(1), LOOK);
        hold.look_at = Some(now.mono + until);
        hold.wanted = when != When::Always && schedules.look(&when, wall) == InForce::Yes;
        if hold.wanted {
            return;
        }
        (hold.ended, hold.told, hold.retry_at, hold.tries) = (false, false, None, 0);
        if std::mem::take(&mut hold.by_schedule) && hold.by_command.is_none_or(|until| until <= now.mono) {
            let why = match (&when, wall) {
                (When::Never, _) => "config",
                (_, None) => "clock",
                (_, Some(_)) => "schedule",
            };
            self.door_input(now, door, DoorInput::EndHold { why }, false);
        }
    }

    /// The lease may be longer than the command, since a schedule held the door open as well.
    fn command_over(&mut self, now: Now, door: &DoorId) {
        let over = |hold: &&mut Hold| hold.by_command.is_some_and(|until| now.mono >= until);
        let Some(hold) = self.holds.get_mut(door).filter(over) else {
            return;
        };
        hold.by_command = None;
        if !hold.by_schedule {
            self.door_input(now, door, DoorInput::EndHold { why: "time" }, false);
        }
    }

    fn begin_by_schedule(&mut self, now: Now, door: &DoorId) {
        let waits = |hold: &&mut Hold| {
            hold.wanted && !hold.by_schedule && !hold.ended && hold.retry_at.is_none_or(|at| now.mono >= at)
        };
        let Some(hold) = self.holds.get_mut(door).filter(waits) else {
            return;
        };
        // tried once, whatever stands in its way
        hold.retry_at = None;
        if !self.ready || self.stopping || self.guard.is_err() {
            return;
        }
        let Some(params) = self.params.doors.get(door) else {
            return;
        };
        let broken = params
            .output
            .as_ref()
            .and_then(|output| self.out_of_order(output));
        if broken.is_some() {
            return;
        }
        let change = self.params.schedules.next_change(&params.hold, now.wall);
        let left = change.and_then(|at| Duration::try_from(at.duration_since(now.wall)).ok());
        let request = Request::Hold {
            by: HoldBy::Schedule,
            door: door.clone(),
            time: left.unwrap_or(LOOK) + MARGIN,
        };
        let said = self.access.explain(now.mono, &self.context(now), &request).result;
        match said {
            Ok(_) => {
                let began = matches!(self.open(now, request, false), Ok(Opening::Now(_)));
                if let Some(hold) = self.holds.get_mut(door) {
                    hold.by_schedule = began;
                    if !began {
                        hold.retry_at = Some(now.mono + PAUSE);
                    }
                }
            }
            // it begins as that ends, or as somebody comes
            Err(
                Reason::FirstAwaited { .. }
                | Reason::Lockdown { .. }
                | Reason::NotReady
                | Reason::ProjectionBehind,
            ) => {}
            Err(_) => {
                let told = self
                    .holds
                    .get_mut(door)
                    .map(|hold| std::mem::replace(&mut hold.told, true));
                if told == Some(false) {
                    // the refusal stands in the journal, once
                    let _ = self.open(now, request, false);
                }
            }
        }
    }

    /// When schedules are to be looked up, or doors tried again.
    pub(super) fn holds_due(&self) -> Option<Instant> {
        let due = |hold: &Hold| {
            let retry = hold
                .retry_at
                .filter(|_| hold.wanted && !hold.by_schedule && !hold.ended);
            [hold.look_at, hold.by_command, retry].into_iter().flatten().min()
        };
        self.holds.values().filter_map(due).min()
    }

    /// A command holds a door open.
    pub(super) fn command_hold(
        &mut self,
        now: Now,
        door: DoorId,
        time: Duration,
        origin: Origin,
    ) -> Result<(), (Refusal, String)> {
        let by = HoldBy::Command {
            origin,
            // Interfaces pass on only what the client's scope allows.
            permitted: true,
        };
        let request = Request::Hold {
            by,
            door: door.clone(),
            time,
        };
        match self.open(now, request, false)? {
            Opening::Now(_) => {}
            // no command is a person's credential; if one were, nothing would have opened
            Opening::Held | Opening::Second => {
                return Err((Refusal::Forbidden, "another person is awaited".to_owned()));
            }
        }
        let hold = self.holds.entry(door).or_default();
        hold.by_command = hold.by_command.max(Some(now.mono + time));
        Ok(())
    }

    /// A command ends whatever holds a door open.
    pub(super) fn command_end_hold(&mut self, now: Now, door: &DoorId) -> Result<(), (Refusal, String)> {
        if !self.params.doors.contains_key(door) {
            return Err((Refusal::Unknown, format!("there is no door {door:?}")));
        }
        let held = self.doors.get(door).is_some_and(|d| d.held_until().is_some());
        let wanted = self
            .holds
            .get(door)
            .is_some_and(|hold| hold.wanted && !hold.ended);
        if !held && !wanted {
            return Err((Refusal::Unknown, format!("door {door} is not held open")));
        }
        if let Some(hold) = self.holds.get_mut(door) {
            (hold.by_schedule, hold.by_command) = (false, None);
            hold.ended = hold.wanted;
        }
        self.door_input(now, door, DoorInput::EndHold { why: "command" }, false);
        Ok(())
    }

    /// The gateway stops: what holds doors open ends with it, and the records say so.
    pub(super) fn stop_holds(&mut self, now: Now) {
        let doors: Vec<DoorId> = self.doors.keys().cloned().collect();
        for door in doors {
            self.door_input(now, &door, DoorInput::EndHold { why: "stop" }, false);
        }
    }

    pub(super) fn hold_view(&self, door: &DoorId) -> Option<HoldView> {
        self.doors.get(door)?.held_until()?;
        let hold = self.holds.get(door);
        Some(HoldView {
            schedule: hold.is_some_and(|hold| hold.by_schedule),
            until: hold.and_then(|hold| hold.by_command),
        })
    }
}
