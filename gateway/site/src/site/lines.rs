//! What lines say: who has them, and when a panel rings over its wires.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_core::{Bell, ButtonId, Cause, DoorId, Event, LineEvent, LineId, PanelId};
use gateway_door::{Input as DoorInput, LockOwner};
use gateway_line::{EndedWhy, Output as LineOutput};

use super::calls::{Call, MAX_CALLS};
use super::{Now, Site};
use crate::io::Output;
use crate::params::DoorParams;

impl Site {
    /// Carries out what a line says.
    pub(super) fn drain_line(&mut self, now: Now, line: &LineId) {
        let simulated = self.params.lines.get(line).is_some_and(|l| l.simulated);
        while let Some(output) = self.lines.get_mut(line).and_then(|u| u.line.poll_output()) {
            match output {
                LineOutput::Command(command) => self.out.push_back(Output::Line(line.clone(), command)),
                LineOutput::Ended { why } => {
                    let ring = self.lines.get_mut(line).and_then(|u| u.ring.take());
                    self.hush_talk(now, line, "the line was needed, or its time is over");
                    if let Some(ring) = ring {
                        let talking = self.calls.get(&ring).is_some_and(Call::is_talking);
                        self.cancel(now, ring, ended_cause(why, talking));
                    }
                }
                LineOutput::Event(event) => {
                    let LineEvent::State { state } = &event;
                    let state = *state;
                    self.record(now, Event::Line(line.clone(), event), None, simulated);
                    self.asked_gives_way(now, line, state);
                    self.waiting_gives_way(now, line, state);
                }
                LineOutput::FloorRang => {
                    if let Some((panel, button)) = self.rung_button(line, Some(Bell::Floor)) {
                        // what becomes of it is on record; nobody waits for the answer
                        let _ = self.floor_rings(now, (&panel, &button), line, simulated);
                    }
                }
                LineOutput::HandsetTook => {}
                LineOutput::OpenedByPanel => {
                    for door in self.doors_on(line) {
                        self.door_input(now, &door, DoorInput::OpenedByPanel, simulated);
                    }
                }
                LineOutput::RangAtHandset { bell, other } => {
                    self.rings_at_handset(now, line, (bell, other), simulated);
                }
                LineOutput::RingStarted { bell } => self.line_rings(now, line, bell, simulated),
            }
        }
        self.look_at_standings();
        let may = self.lines.get(line).is_some_and(|u| u.line.may_open_now());
        for door in self.doors_on(line) {
            self.door_input(now, &door, DoorInput::PanelMayOpen(may), false);
        }
    }

    /// The button of the panel that owns this door's lock is pressed for so long.
    pub(super) fn panel_is_pressed(&mut self, now: Now, door: &DoorId, pulse: Duration) {
        let of_panel = |door: &DoorParams| door.owner == LockOwner::Panel;
        if !self.params.doors.get(door).is_some_and(of_panel) {
            return;
        }
        let panels = self.params.panels.values();
        let lines: BTreeSet<LineId> = panels
            .filter(|panel| panel.doors.contains(door))
            .map(|panel| panel.line.clone())
            .collect();
        for line in lines {
            if let Some(unit) = self.lines.get_mut(&line) {
                unit.line.opens(now.mono, pulse);
                self.drain_line(now, &line);
            }
        }
    }

    /// Which button a panel on this line rings with. Where the line says whom, that is the button of this bell and no other
    /// one; else it is the button without an input of its own, or else the first that is no bell.
    fn rung_button(&self, line: &LineId, bell: Option<Bell>) -> Option<(PanelId, ButtonId)> {
        self.panels_on(line)
            .filter_map(|id| {
                let buttons = &self.params.panels.get(id)?.buttons;
                let button = match bell {
                    Some(_) => buttons.iter().find(|(_, b)| b.bell == bell),
                    None => buttons
                        .iter()
                        .find(|(_, b)| b.input.is_none() && b.bell.is_none())
                        .or_else(|| buttons.iter().find(|(_, b)| b.bell.is_none())),
                };
                button.map(|(button, _)| (id.clone(), button.clone()))
            })
            .next()
    }

    /// The panel rings over its wires while the stock handset is lifted, so that no phone could have the line. What needs no
    /// call is done; else it is on record that somebody rang.
    fn rings_at_handset(
        &mut self,
        now: Now,
        line: &LineId,
        (bell, other): (Option<Bell>, bool),
        simulated: bool,
    ) {
        let Some((panel, button)) = self.rung_button(line, bell).filter(|_| !self.stopping) else {
            return;
        };
        if !other {
            self.ignored(now, &panel, &button, "line-busy", None, simulated);
        } else if self.without_call(now, &panel, &button, simulated).is_none() {
            self.unheard(now, (&panel, &button), "handset", simulated);
        }
    }

    /// The panel rings over its wires.
    fn line_rings(&mut self, now: Now, line: &LineId, bell: Option<Bell>, simulated: bool) {
        let found = self.rung_button(line, bell);
        if let Some((panel, button)) = &found
            && self.ring_answers(now, (panel, button), line, simulated)
        {
            return;
        }
        let answered = found.as_ref().is_some_and(|(panel, button)| {
            !self.stopping && self.without_call(now, panel, button, simulated).is_some()
        });
        match found {
            Some(_) if answered => {
                if let Some(unit) = self.lines.get_mut(line) {
                    unit.line.release(now.mono);
                }
            }
            Some((panel, button)) if !self.stopping && self.is_quiet(now, &panel, &button) => {
                self.unheard(now, (&panel, &button), "do-not-disturb", simulated);
                if let Some(unit) = self.lines.get_mut(line) {
                    unit.line.release(now.mono);
                }
            }
            Some((panel, button)) if !self.stopping && self.calls.len() < MAX_CALLS => {
                self.visitor_goes_first(now, line);
                self.ring(now, &panel, &button, line, simulated);
            }
            Some(_) | None => {
                if let Some(unit) = self.lines.get_mut(line) {
                    unit.line.release(now.mono);
                }
            }
        }
    }
}

/// Why a call ends when its line does.
const fn ended_cause(why: EndedWhy, talking: bool) -> Cause {
    match why {
        EndedWhy::Drop => Cause::Released,
        EndedWhy::Handset => Cause::AnsweredElsewhere,
        EndedWhy::Stopped => Cause::Cancelled,
        EndedWhy::Window if talking => Cause::TalkLimit,
        EndedWhy::Window => Cause::NoAnswer,
    }
}
