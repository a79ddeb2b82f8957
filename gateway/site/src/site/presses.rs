//! Presses of buttons, and the rings that they begin.

use gateway_access::InForce;
use gateway_call::Input as PlanInput;
use gateway_core::{ButtonId, Cause, Event, LineId, PanelEvent, PanelId, Refusal, RingId};
use gateway_line::{PressAnswer, SeizeRefused};

use super::calls::{Either, MAX_CALLS};
use super::requests::Began;
use super::{Now, Site};

/// What a press led to.
pub(super) enum Pressed {
    /// It belongs to this ring.
    Joined(RingId),
    /// A ring began.
    Ring(RingId),
}

impl Site {
    /// A button is pressed: by its input, by the line, or by a command.
    pub(super) fn press(
        &mut self,
        now: Now,
        panel: &PanelId,
        button: &ButtonId,
        simulated: bool,
    ) -> Result<Pressed, (Refusal, String)> {
        let known = self
            .params
            .panels
            .get(panel)
            .filter(|p| p.buttons.contains_key(button))
            .map(|p| p.line.clone());
        let Some(line) = known else {
            return Err((
                Refusal::Unknown,
                format!("there is no button {button:?} at panel {panel:?}"),
            ));
        };
        if self.is_floor_bell(panel, button) {
            return self.floor_rings(now, (panel, button), &line, simulated);
        }
        if !self.stopping
            && let Some(done) = self.answered_by_press(now, (panel, button), &line, simulated)
        {
            return done;
        }
        if !self.stopping
            && let Some(done) = self.without_call(now, panel, button, simulated)
        {
            return done;
        }
        if self.stopping || self.calls.len() >= MAX_CALLS {
            self.ignored(now, panel, button, "fault", None, simulated);
            return Err((
                Refusal::NotReady,
                "the gateway takes no call at this moment".to_owned(),
            ));
        }
        self.yield_prompt(now, &line, "somebody rings");
        let holder = self.lines.get(&line).map(|unit| unit.ring);
        let caller = holder.flatten().filter(|ring| self.is_nobodys_ring(*ring));
        if (holder == Some(None) || caller.is_some()) && self.is_quiet(now, panel, button) {
            return Ok(Pressed::Ring(self.unheard(
                now,
                (panel, button),
                "do-not-disturb",
                simulated,
            )));
        }
        // whoever stands at the door goes before whoever called it, be it somebody who never says a word, and before whom
        // somebody else had it call
        if let Some(caller) = caller {
            self.give_way(now, caller);
        }
        let Some(unit) = self.lines.get_mut(&line) else {
            self.ignored(now, panel, button, "no-call", None, simulated);
            return Err((Refusal::Unknown, format!("there is no line {line:?}")));
        };
        let (answer, holder) = (unit.line.press(now.mono), unit.ring);
        let result = match answer {
            PressAnswer::Joined => {
                let own = holder.filter(|ring| {
                    self.calls
                        .get(ring)
                        .is_some_and(|call| call.panel.as_ref() == Some(panel))
                });
                match own {
                    Some(ring) => {
                        self.pressed_again(now, (panel, button), ring, simulated);
                        Ok(Pressed::Joined(ring))
                    }
                    None => {
                        self.ignored(now, panel, button, "line-busy", None, simulated);
                        Err((Refusal::LineBusy, SeizeRefused::LineBusy.to_string()))
                    }
                }
            }
            PressAnswer::Refused(why) => {
                self.ignored(now, panel, button, why.word(), None, simulated);
                Err((refusal(why), why.to_string()))
            }
            PressAnswer::Started => Ok(Pressed::Ring(self.ring(now, panel, button, &line, simulated))),
        };
        self.drain_line(now, &line);
        result
    }

    /// A press while the ring of its panel goes on: the next one is called, the list anew, or the talk ends, as the button
    /// says; else it means nothing more.
    pub(super) fn pressed_again(
        &mut self,
        now: Now,
        (panel, button): (&PanelId, &ButtonId),
        ring: RingId,
        simulated: bool,
    ) {
        let of = self.params.panels.get(panel).and_then(|p| p.buttons.get(button));
        let (next, hangs_up) = of.map_or((false, false), |of| (of.again_next, of.hangs_up));
        let means = match self.calls.get(&ring).map(|call| &call.plan) {
            Some(Either::Outgoing(plan)) if plan.winner().is_some() => hangs_up.then_some("hang-up"),
            Some(Either::Outgoing(plan)) if plan.is_between_rounds() => Some("again"),
            Some(Either::Outgoing(plan)) => (next && plan.has_next()).then_some("next"),
            // who answered at the panel has a part in the talk
            Some(Either::Incoming(plan)) if plan.is_answered_by_press() && plan.winner().is_some() => {
                hangs_up.then_some("hang-up")
            }
            Some(Either::Bridge(_) | Either::Incoming(_)) | None => None,
        };
        let Some(means) = means else {
            self.ignored(now, panel, button, "joined", Some(ring), simulated);
            return;
        };
        let event = PanelEvent::PressedAgain {
            button: button.clone(),
            means: means.to_owned(),
        };
        self.record(now, Event::Panel(panel.clone(), event), Some(ring), simulated);
        if means == "hang-up" {
            self.cancel(now, ring, Cause::Released);
        } else {
            self.plan_input(now, ring, PlanInput::PressedAgain { next });
        }
    }

    /// Is this a call that goes on and that no visitor began: it came in from outside, or somebody had the door call?
    fn is_nobodys_ring(&self, ring: RingId) -> bool {
        let call = self.calls.get(&ring);
        call.is_some_and(|call| !call.is_over() && (call.is_incoming() || call.is_asked()))
    }

    /// Does the button call nobody at this time? A clock that is not believed silences no bell.
    pub(super) fn is_quiet(&self, now: Now, panel: &PanelId, button: &ButtonId) -> bool {
        if self.is_told_to_be_quiet(now, panel) {
            return true;
        }
        let panel = self.params.panels.get(panel);
        let quiet = panel.and_then(|p| p.buttons.get(button)).map(|b| &b.quiet);
        let wall = self.context(now).wall;
        quiet.is_some_and(|quiet| self.params.schedules.look(quiet, wall) == InForce::Yes)
    }

    /// A ring that nobody is called for, with its outcome.
    pub(super) fn unheard(
        &mut self,
        now: Now,
        (panel, button): (&PanelId, &ButtonId),
        outcome: &str,
        simulated: bool,
    ) -> RingId {
        let ring = self.new_ring(now);
        self.visitor_came(now, (panel, button), ring);
        let rings = PanelEvent::Ring {
            button: button.clone(),
        };
        let outcome = outcome.to_owned();
        for event in [rings, PanelEvent::RingEnded { outcome }] {
            self.record(now, Event::Panel(panel.clone(), event), Some(ring), simulated);
        }
        ring
    }

    pub(super) fn ignored(
        &mut self,
        now: Now,
        panel: &PanelId,
        button: &ButtonId,
        reason: &str,
        ring: Option<RingId>,
        simulated: bool,
    ) {
        let event = PanelEvent::PressIgnored {
            button: button.clone(),
            reason: reason.to_owned(),
        };
        self.record(now, Event::Panel(panel.clone(), event), ring, simulated);
    }

    /// Begins a ring on a line that is ready for it.
    pub(super) fn ring(
        &mut self,
        now: Now,
        panel: &PanelId,
        button: &ButtonId,
        line: &LineId,
        simulated: bool,
    ) -> RingId {
        let ring = self.new_ring(now);
        self.visitor_came(now, (panel, button), ring);
        let event = PanelEvent::Ring {
            button: button.clone(),
        };
        self.record(now, Event::Panel(panel.clone(), event), Some(ring), simulated);
        self.begin_call(now, ring, (panel, button), line, (Began::Rang, simulated));
        ring
    }
}

pub(super) fn refusal(why: SeizeRefused) -> Refusal {
    match why.word() {
        "line-busy" => Refusal::LineBusy,
        _ => Refusal::Fault,
    }
}
