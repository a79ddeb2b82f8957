//! Opening, and what the guard reports.

use std::collections::{BTreeMap, BTreeSet};

use gateway_access::{Decision as Verdict, Grant, Reason, Request};
use gateway_core::{
    AccessEvent, DoorEvent, DoorId, Event, Factor, GatewayEvent, OutputId, Refusal, RingId, Subject,
};
use gateway_door::{Door, Input as DoorInput, Output as DoorOutput, ReleaseCause, Told};

use super::{Now, Site};
use crate::io::{GuardReport, Output};
use crate::params::DoorParams;

/// What became of a request to open.
pub(super) type Opened = Result<Opening, (Refusal, String)>;

/// How it opens.
pub(super) enum Opening {
    /// As soon as it is on the medium that the credential was used.
    Held,
    /// At once, by this output.
    Now(OutputId),
    /// Not yet: another person is awaited.
    Second,
}

impl Site {
    /// What the records say of doors, from an earlier life. Give it before [`Input::Ready`](crate::Input::Ready), and before
    /// anything is read.
    pub fn restore_doors(&mut self, told: BTreeMap<DoorId, Told>) {
        for (id, told) in told {
            if let Some(door) = self.doors.get_mut(&id) {
                door.restore(told);
            }
        }
    }

    /// The one way in which anything opens: the access decision, then the door machine.
    ///
    /// `injected` is true if it began with a simulated input; that opens no door with a real output.
    pub(super) fn open(&mut self, now: Now, request: Request, injected: bool) -> Opened {
        let (door, factor, ring) = (request.door().clone(), request.factor(), request.ring());
        let asker = request.asker();
        let Some(params) = self.params.doors.get(&door) else {
            return Err((Refusal::Unknown, format!("there is no door {door:?}")));
        };
        if injected && !self.is_virtual(params) {
            let text = "a simulated input opens no door with a real output";
            self.deny(now, &door, (factor, asker), ring, text);
            return Err((Refusal::NotVirtual, text.to_owned()));
        }
        let egress = matches!(factor, Factor::Rex | Factor::Fire);
        if !egress && let Err(text) = self.guard.clone() {
            self.deny(now, &door, (factor, asker), ring, &text);
            return Err((Refusal::Fault, text));
        }
        if let Some(text) = params
            .output
            .as_ref()
            .filter(|_| !egress)
            .and_then(|o| self.out_of_order(o))
        {
            self.deny(now, &door, (factor, asker), ring, &text);
            return Err((Refusal::Fault, text));
        }
        let forced = self.access.under_duress(&request);
        let verdict = self.access.decide(now.mono, &self.context(now), request);
        if let Some(person) = forced {
            let subject = Subject::Person(person);
            let event = Event::Access(door.clone(), AccessEvent::Duress { factor, subject });
            self.record(now, event, ring, injected);
        }
        if !matches!(verdict, Verdict::Held(_)) {
            self.keep_places(now, injected);
        }
        match verdict {
            Verdict::Denied(denied) => {
                let event = Event::Door(door.clone(), denied.event());
                self.record(now, event, denied.ring, injected);
                if let Some(locked) = denied.locked_out() {
                    self.record(now, Event::Door(door, locked), denied.ring, injected);
                }
                if matches!(denied.reason, Reason::SecondAwaited { .. }) {
                    return Ok(Opening::Second);
                }
                Err((denied.refusal(), denied.reason.to_string()))
            }
            Verdict::Granted(grant) => self.operate(now, &door, grant, injected),
            Verdict::Held(held) => {
                self.hold(held, injected);
                Ok(Opening::Held)
            }
        }
    }

    /// Hands a Grant to its door.
    pub(super) fn operate(&mut self, now: Now, door: &DoorId, grant: Grant, injected: bool) -> Opened {
        let output = grant.parts().output.clone();
        let Some(machine) = self.doors.get_mut(door) else {
            return Err((Refusal::Unknown, format!("there is no door {door:?}")));
        };
        machine.handle_input(now.mono, DoorInput::Granted(grant));
        match self.drain_door(now, door, injected) {
            None => Ok(Opening::Now(output)),
            Some(reason) => {
                // nobody came in
                self.access.take_back();
                self.keep_places(now, injected);
                Err((Refusal::Forbidden, reason))
            }
        }
    }

    /// Nothing can open, whoever asks: `by` is the means and who it is, as far as that is known.
    fn deny(&mut self, now: Now, door: &DoorId, by: (Factor, Subject), ring: Option<RingId>, reason: &str) {
        let (factor, subject) = by;
        let event = DoorEvent::Denied {
            factor,
            reason: reason.to_owned(),
            subject,
        };
        self.record(now, Event::Door(door.clone(), event), ring, false);
    }

    /// Feeds a door and carries out what it says.
    pub(super) fn door_input(&mut self, now: Now, door: &DoorId, input: DoorInput, injected: bool) {
        if let Some(machine) = self.doors.get_mut(door) {
            machine.handle_input(now.mono, input);
            self.drain_door(now, door, injected);
        }
    }

    /// Carries out what a door says. Returns the reason if the door refused a Grant.
    pub(super) fn drain_door(&mut self, now: Now, door: &DoorId, injected: bool) -> Option<String> {
        let simulated = injected || self.params.doors.get(door).is_some_and(|d| self.is_virtual(d));
        let mut refused = None;
        let mut exits: Vec<Request> = Vec::new();
        let (mut burns, mut presses) = (false, None);
        while let Some(output) = self.doors.get_mut(door).and_then(|d| d.poll_output()) {
            match output {
                DoorOutput::Event { event, ring } => {
                    if let DoorEvent::Denied { reason, .. } = &event {
                        refused = Some(reason.clone());
                    }
                    self.record(now, Event::Door(door.clone(), event), ring, simulated);
                }
                DoorOutput::Operate { grant, pulse } => {
                    presses = Some(pulse);
                    self.out.push_back(Output::Operate { grant, pulse });
                }
                DoorOutput::Release { output } => self.out.push_back(Output::ReleaseOutput(output)),
                DoorOutput::RequestExit { input } => {
                    let door = door.clone();
                    // Whoever wanted out before the main loop stood still may be gone, and somebody else outside.
                    if !self.in_gap || self.levels.is_pressed(&input) {
                        exits.push(Request::Rex { door, input });
                    }
                }
                DoorOutput::RequestFire => burns = true,
            }
        }
        if let Some(machine) = self.doors.get(door) {
            self.access.set_standing(door, machine.standing());
        }
        if let Some(pulse) = presses {
            self.panel_is_pressed(now, door, pulse);
        }
        for request in exits {
            // A refusal stands in the journal; nobody waits for an answer.
            let _ = self.open(now, request, injected);
        }
        if burns {
            self.open_for_fire(now, door.clone());
        }
        refused
    }

    pub(super) fn guard(&mut self, now: Now, report: GuardReport) {
        match report {
            GuardReport::Down { text } => self.guard_away(now, text, false),
            GuardReport::Energised { grant, output } => {
                for door in self.doors_with(&output) {
                    let report = gateway_door::GuardReport::Energised { grant };
                    self.door_input(now, &door, DoorInput::Guard(report), false);
                }
            }
            GuardReport::Failed { grant, output, text } => {
                for door in self.doors_with(&output) {
                    let report = gateway_door::GuardReport::Failed {
                        grant: Some(grant),
                        text: text.clone(),
                    };
                    self.door_input(now, &door, DoorInput::Guard(report), false);
                }
            }
            GuardReport::MayHaveOpened { grant, output, text } => {
                for door in self.doors_with(&output) {
                    let text = text.clone();
                    let report = gateway_door::GuardReport::MayHaveOpened { grant, text };
                    self.door_input(now, &door, DoorInput::Guard(report), false);
                }
            }
            GuardReport::Released { cause, grant, output } => {
                let told_to_end = cause == ReleaseCause::Guard && self.guard_restarts;
                let cause = if told_to_end { ReleaseCause::Restart } else { cause };
                for door in self.doors_with(&output) {
                    let report = gateway_door::GuardReport::Released { cause, grant };
                    self.door_input(now, &door, DoorInput::Guard(report), false);
                }
                if cause != ReleaseCause::Superseded {
                    self.strike_ended(now, &output);
                }
            }
            GuardReport::Restarts { text } => self.guard_away(now, text, true),
            GuardReport::LetGo { output, text } | GuardReport::Unasked { output, text } => {
                for door in self.doors_with(&output) {
                    let event = DoorEvent::LockFault { text: text.clone() };
                    self.record(now, Event::Door(door, event), None, false);
                }
            }
            GuardReport::Up { dead } => {
                self.guard_restarts = false;
                self.dead = dead.into_iter().collect();
                if self.guard.is_err() {
                    let text = "the relay guard is ready".to_owned();
                    self.gateway(now, GatewayEvent::Guard { text, up: true });
                }
                self.guard = Ok(());
                self.begin_fire(now);
                self.retry_holds();
                let doors: Vec<DoorId> = self.doors.keys().cloned().collect();
                for door in doors {
                    self.door_input(now, &door, DoorInput::GuardUp, false);
                }
            }
            GuardReport::Usable { output, usable: true } => {
                self.dead.remove(&output);
                self.retry_holds();
                // whoever still wants out asks once more
                for door in self.doors_with(&output) {
                    self.door_input(now, &door, DoorInput::GuardUp, false);
                }
            }
            GuardReport::Usable {
                output,
                usable: false,
            } => {
                self.dead.insert(output);
            }
            GuardReport::Wired { differently } => self.wired(now, differently),
        }
    }

    /// It cannot be reached: `restarts` if it was told to end, and the next one comes at once.
    fn guard_away(&mut self, now: Now, text: String, restarts: bool) {
        // a restart that takes too long is told once more, as the fault that it is
        if self.guard.is_ok() || self.guard_restarts && !restarts {
            self.gateway(
                now,
                GatewayEvent::Guard {
                    text: text.clone(),
                    up: false,
                },
            );
        }
        if self.guard.is_ok() {
            // It releases everything as its last act, and its leases end without it.
            let doors = self.doors.iter().filter(|(_, d)| is_busy(d));
            let doors: Vec<DoorId> = doors.map(|(id, _)| id.clone()).collect();
            for door in doors {
                let text = text.clone();
                let report = if restarts {
                    gateway_door::GuardReport::Restarts
                } else {
                    gateway_door::GuardReport::Failed { grant: None, text }
                };
                self.door_input(now, &door, DoorInput::Guard(report), false);
            }
        }
        self.guard_restarts = restarts;
        self.guard = Err(text);
    }

    /// Core and guard compared their outputs. An exit is tried all the same; the guard refuses what is another wire.
    fn wired(&mut self, now: Now, differently: Vec<OutputId>) {
        let differently: BTreeSet<OutputId> = differently.into_iter().collect();
        for output in differently.difference(&self.miswired.clone()) {
            let text = miswired(output);
            self.gateway(now, GatewayEvent::Guard { text, up: false });
        }
        if differently.is_empty() && !self.miswired.is_empty() {
            let text = "the relay guard runs with the same outputs again".to_owned();
            self.gateway(now, GatewayEvent::Guard { text, up: true });
        }
        self.miswired = differently;
    }

    /// Why an output would not be energised though the guard is there.
    pub(super) fn out_of_order(&self, output: &OutputId) -> Option<String> {
        if self.miswired.contains(output) {
            return Some(miswired(output));
        }
        self.dead.contains(output).then(|| {
            format!(
                "the board of output {output} does not answer, so nothing is energised there; the faults of its device \
                 say what was found"
            )
        })
    }

    fn doors_with(&self, output: &OutputId) -> Vec<DoorId> {
        self.params
            .doors
            .iter()
            .filter(|(_, p)| p.output.as_ref() == Some(output))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// True if nothing real moves when this door opens.
    pub(super) fn is_virtual(&self, door: &DoorParams) -> bool {
        match &door.output {
            Some(output) => self.params.outputs.get(output).is_some_and(|o| o.simulated),
            None => door
                .contact
                .as_ref()
                .and_then(|input| self.params.inputs.get(input))
                .is_some_and(|input| input.simulated),
        }
    }
}

/// A pulse runs, or was asked for.
pub(super) fn is_busy(door: &Door) -> bool {
    door.is_unlocked_by_us() || door.pulse_until().is_some()
}

/// What is wrong with an output that core and guard know as different wires, and what to do.
pub(super) fn miswired(output: &OutputId) -> String {
    format!(
        "the relay guard runs with another site file, in which output {output} is another wire or missing, and energises \
         nothing there; start the guard anew (systemctl restart doorline-guard)"
    )
}
