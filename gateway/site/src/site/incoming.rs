//! Calls to the door: who gets the line, when they are answered, and what goes before them.
//!
//! A call that is answered at once has the line from its begin. One that rings first has it only from the moment at which it
//! is answered: until then whoever rings at the panel, and a handset that is lifted, go before it.

use gateway_call::{Answer, Handover, IncomingPlan, IncomingRequest, Input as PlanInput, Take};
use gateway_core::{
    AccountId, ButtonId, Cause, Event, LegCommand, LegId, LineId, LineState, PanelEvent, PanelId, Peer,
    Refusal, RingId,
};
use gateway_line::{PressAnswer, SeizeRefused, SeizeWhy};

use super::by_call::CallIs;
use super::calls::{Call, Either, INCOMING_TALK, MAX_CALLS, MAX_HANDOVERS};
use super::presses::{Pressed, refusal};
use super::requests::talk_limit;
use super::{LineUnit, Now, Site};
use crate::io::Output;

impl Site {
    pub(super) fn incoming(
        &mut self,
        now: Now,
        (account, at_once): (Option<AccountId>, bool),
        leg: LegId,
        panel: &PanelId,
        peer: Peer,
    ) {
        if self.calls.values().any(|call| call.has_leg(leg)) {
            return;
        }
        if self.calls.len() >= MAX_CALLS {
            let cause = Cause::Busy;
            self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            return;
        }
        // a reload may have taken the panel away
        let called = self.params.panels.get(panel);
        let Some((line, display, answer)) = called.map(|p| (p.line.clone(), p.name.clone(), p.answer)) else {
            let cause = Cause::NotFound;
            self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            return;
        };
        // an intercom asks for it; a press of somebody at the door it cannot replace
        let answer = match answer {
            Answer::After(_) if at_once => Answer::AtOnce,
            Answer::AtOnce | Answer::After(_) | Answer::ByPress(_) => answer,
        };
        let doors = self.doors_of(panel);
        let ring = self.new_ring(now);
        let take = match self.what_becomes(now, panel, &doors, (account.as_ref(), &peer), ring) {
            CallIs::Bridged(list) if !self.stopping && !self.is_bridging(panel) => {
                self.bridge(now, ring, (leg, panel), (&line, list), peer);
                return;
            }
            CallIs::Bridged(_) => Take::Refuse {
                cause: Cause::Busy,
                reason: "busy",
            },
            CallIs::Diverted(target) => Take::Divert { target },
            CallIs::Refused { cause, reason } => Take::Refuse { cause, reason },
            CallIs::Talk if self.is_out_of_order(panel) => Take::Refuse {
                cause: Cause::Unavailable,
                reason: "line-fault",
            },
            CallIs::Talk => {
                if !self.stopping {
                    self.yield_prompt(now, &line, "somebody calls the door");
                }
                Take::Answer
            }
        };
        let free = |unit: &LineUnit| unit.ring.is_none() && free(unit, answer).is_ok();
        let told = match &take {
            Take::Divert { .. } => false,
            Take::Refuse { reason, .. } => *reason == "opened",
            Take::Answer | Take::LineBusy | Take::NoCall => {
                !self.stopping && self.lines.get(&line).is_some_and(free)
            }
        };
        if !told && !self.tells_refusal(now) {
            self.out.push_back(Output::Leg(match take {
                Take::Divert { target } => LegCommand::Divert { leg, target },
                Take::Refuse { cause, .. } => LegCommand::End { leg, cause },
                Take::Answer | Take::LineBusy | Take::NoCall => {
                    let cause = Cause::Busy;
                    LegCommand::End { leg, cause }
                }
            }));
            return;
        }
        let listed = doors
            .iter()
            .any(|door| self.access.listens(&self.context(now), door, &peer));
        let take = if take == Take::Answer {
            self.taken(now, ring, &line, answer)
        } else {
            take
        };
        let contacts = self.may_open_by_digits(panel).into_iter().collect();
        let request = IncomingRequest {
            account,
            answer,
            digits: self.digit_policy(contacts),
            display,
            handover: Handover {
                spare: (0..MAX_HANDOVERS)
                    .map(|_| self.new_leg())
                    .filter(|spare| *spare != leg)
                    .collect(),
                ..self.handover(self.params.panels.get(panel))
            },
            hang_up_after_open: false,
            rings_back: self.params.panels.get(panel).is_some_and(|of| of.rings_back),
            leg,
            line: line.clone(),
            listed,
            panel: panel.clone(),
            peer,
            ring,
            take,
            talk_limit: talk_limit(Some(INCOMING_TALK), self.params.lines.get(&line)),
        };
        let plan = Either::Incoming(Box::new(IncomingPlan::new(now.mono, request)));
        let call = Call {
            simulated: self.params.lines.get(&line).is_some_and(|l| l.simulated),
            ..Call::new(now.mono, self.access.key_use(), &line, doors, plan)
        };
        self.calls.insert(ring, call);
        self.run(now, ring);
        self.drain_line(now, &line);
    }

    /// Gives a call the line: its talk path, if it is answered at once.
    fn taken(&mut self, now: Now, ring: RingId, line: &LineId, answer: Answer) -> Take {
        let Some(unit) = self.lines.get_mut(line).filter(|_| !self.stopping) else {
            return Take::NoCall;
        };
        // somebody is being called whom it was told to call, or rings already
        if unit.ring.is_some() {
            return Take::LineBusy;
        }
        let got = match answer {
            Answer::AtOnce => unit.line.seize(now.mono, SeizeWhy::IncomingCall),
            Answer::After(_) | Answer::ByPress(_) => free(unit, answer),
        };
        if got.is_ok() {
            unit.ring = Some(ring);
        }
        taken(got)
    }

    /// A call that rang is answered: it takes the talk path, or is refused.
    pub(super) fn wants_line(&mut self, now: Now, ring: RingId, pressed: bool) {
        let Some(line) = self.calls.get(&ring).map(|call| call.line.clone()) else {
            return;
        };
        self.yield_prompt(now, &line, "somebody who called is answered");
        let why = if pressed {
            SeizeWhy::PressAnswered
        } else {
            SeizeWhy::IncomingCall
        };
        let got = match self.lines.get_mut(&line).filter(|unit| unit.ring == Some(ring)) {
            Some(unit) => unit.line.seize(now.mono, why),
            None => Err(SeizeRefused::LineBusy),
        };
        if let Some(call) = self.calls.get_mut(&ring) {
            call.plan.handle_input(now.mono, PlanInput::Take(taken(got)));
        }
        self.drain_line(now, &line);
    }

    /// A press at a panel whose call waits for it, or that has a part in the talk by it; `None` if it means something else.
    pub(super) fn answered_by_press(
        &mut self,
        now: Now,
        (panel, button): (&PanelId, &ButtonId),
        line: &LineId,
        simulated: bool,
    ) -> Option<Result<Pressed, (Refusal, String)>> {
        let ring = self.lines.get(line)?.ring?;
        let call = self.calls.get(&ring).filter(|call| !call.is_over())?;
        let Either::Incoming(plan) = &call.plan else {
            return None;
        };
        if plan.request().panel != *panel {
            return None;
        }
        if plan.is_answered_by_press() {
            self.pressed_again(now, (panel, button), ring, simulated);
            return Some(Ok(Pressed::Joined(ring)));
        }
        if !plan.waits_for_press() {
            return None;
        }
        let answer = self.lines.get_mut(line)?.line.press(now.mono);
        if let PressAnswer::Refused(why) = answer {
            self.ignored(now, panel, button, why.word(), None, simulated);
            return Some(Err((refusal(why), why.to_string())));
        }
        self.press_answers(now, ring, (panel, button), simulated);
        self.drain_line(now, line);
        Some(Ok(Pressed::Joined(ring)))
    }

    fn press_answers(
        &mut self,
        now: Now,
        ring: RingId,
        (panel, button): (&PanelId, &ButtonId),
        simulated: bool,
    ) {
        if let Some(call) = self.calls.get_mut(&ring) {
            call.injected |= simulated;
        }
        let event = PanelEvent::PressedAgain {
            button: button.clone(),
            means: "answer".to_owned(),
        };
        self.record(now, Event::Panel(panel.clone(), event), Some(ring), simulated);
        self.plan_input(now, ring, PlanInput::Pressed);
    }

    /// The panel rings over its wires: does that answer a call that waits for it? A visitor's ring ends one that does not.
    pub(super) fn ring_answers(
        &mut self,
        now: Now,
        (panel, button): (&PanelId, &ButtonId),
        line: &LineId,
        simulated: bool,
    ) -> bool {
        let Some(ring) = self.waiting_at(line) else {
            return false;
        };
        let waits = self.calls.get(&ring).is_some_and(|call| match &call.plan {
            Either::Incoming(plan) => plan.waits_for_press() && plan.request().panel == *panel,
            Either::Bridge(_) | Either::Outgoing(_) => false,
        });
        if waits && !self.stopping {
            self.press_answers(now, ring, (panel, button), simulated);
            return true;
        }
        false
    }

    /// A visitor rings over the wires of a line: a call that waits for it has to make room.
    pub(super) fn visitor_goes_first(&mut self, now: Now, line: &LineId) {
        if let Some(ring) = self.waiting_at(line) {
            self.drop_waiting(now, line, ring, Cause::Busy);
        }
    }

    /// Whoever stands at the door goes before whoever called it, and before whom somebody else had it call.
    pub(super) fn give_way(&mut self, now: Now, ring: RingId) {
        let waits = self.calls.get(&ring).is_some_and(Call::is_waiting);
        let cause = if waits { Cause::Busy } else { Cause::Released };
        self.cancel(now, ring, cause);
    }

    /// The line is somebody else's, or faulty, from here on: a call that rings for it ends.
    pub(super) fn waiting_gives_way(&mut self, now: Now, line: &LineId, state: LineState) {
        let Some(ring) = self.waiting_at(line) else {
            return;
        };
        let panel = self.calls.get(&ring).and_then(Call::at_panel);
        let cause = match state {
            // a ring may be the press that answers it
            LineState::Idle | LineState::Ours | LineState::Ringing => return,
            LineState::Fault if panel.is_some_and(|panel| self.is_out_of_order(panel)) => Cause::Unavailable,
            LineState::BusyOther | LineState::Fault | LineState::Handset => Cause::Busy,
        };
        self.drop_waiting(now, line, ring, cause);
    }

    fn drop_waiting(&mut self, now: Now, line: &LineId, ring: RingId, cause: Cause) {
        if let Some(unit) = self.lines.get_mut(line) {
            // its end gives nothing back: it never had the line
            unit.ring = None;
        }
        self.cancel(now, ring, cause);
    }

    /// The call to the door that rings for a line.
    fn waiting_at(&self, line: &LineId) -> Option<RingId> {
        let ring = self.lines.get(line)?.ring?;
        self.calls.get(&ring)?.is_waiting().then_some(ring)
    }
}

/// Would a call get a line that nobody has?
fn free(unit: &LineUnit, answer: Answer) -> Result<(), SeizeRefused> {
    let by_press = matches!(answer, Answer::ByPress(_));
    match unit.line.state() {
        // the press is the ring without which the line cannot start
        LineState::Idle if by_press || unit.line.may_self_start() => Ok(()),
        LineState::Idle => Err(SeizeRefused::NoCall),
        LineState::Fault => Err(SeizeRefused::Fault),
        LineState::BusyOther | LineState::Handset | LineState::Ours | LineState::Ringing => {
            Err(SeizeRefused::LineBusy)
        }
    }
}

/// What a call is told of the line.
fn taken(got: Result<(), SeizeRefused>) -> Take {
    match got {
        Ok(()) => Take::Answer,
        Err(SeizeRefused::LineBusy) => Take::LineBusy,
        Err(_) => Take::NoCall,
    }
}
