//! A call to the door that is put through: somebody from outside talks with whoever of a list answers, as the guard of a gate.
//!
//! The list is called as for a visitor, and the caller hears that it rings until somebody has answered. Both talk through the
//! gateway; the line of the panel has no part in it. Who was called may open as in any call of the list. The caller never may,
//! whoever he is: what he types is counted and nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{AccountId, CallEvent, Cause, Instant, LegCommand, LegEvent, LegId, PanelId, Peer};

use crate::incoming::RING_AGAIN;
use crate::plan::CallPlan;
use crate::talk::DigitGate;
use crate::types::{CallRequest, Handover, Input, Outcome, Output};

/// An answer that is not confirmed (no ACK) within this time is given up: 64*T1 of RFC 3261 §13.3.1.4.
const CONFIRM: Duration = Duration::from_secs(32);

/// One call that is put through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeRequest {
    /// The leg that waits.
    pub leg: LegId,
    /// Whom to call.
    pub list: CallRequest,
    /// The panel that was called.
    pub panel: PanelId,
    /// Who calls.
    pub peer: Peer,
}

/// Where the caller is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Caller {
    /// Answered at this time, and not confirmed yet.
    Answered(Instant),
    Ended,
    /// Told to end.
    Ending,
    /// It is said once more at this time that it rings.
    Ringing(Instant),
    Talking,
}

/// Puts one call through, and watches over the talk.
#[derive(Debug)]
pub struct BridgePlan {
    caller: Caller,
    /// Judges what the caller types.
    gate: DigitGate,
    list: CallPlan,
    out: VecDeque<Output>,
    leg: LegId,
    panel: PanelId,
    peer: Peer,
    /// Who has the call, once somebody has.
    with: Option<LegId>,
}

impl BridgePlan {
    /// Rings, and calls the list.
    #[must_use]
    pub fn new(now: Instant, request: BridgeRequest) -> Self {
        let BridgeRequest {
            leg,
            list,
            panel,
            peer,
        } = request;
        let out = VecDeque::from([
            Output::Event(CallEvent::Incoming {
                leg,
                panel: Some(panel.clone()),
                peer: peer.shown().to_owned(),
            }),
            Output::Leg(LegCommand::Ringing { leg }),
        ]);
        let mut plan = Self {
            caller: Caller::Ringing(now + RING_AGAIN),
            gate: DigitGate::default(),
            list: CallPlan::new(now, list),
            out,
            leg,
            panel,
            peer,
            with: None,
        };
        plan.pass_on(now);
        plan
    }

    /// Takes an input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Leg(event) => self.leg(now, event),
            Input::Cancel(_) | Input::OpenedAndStrikeEnded => self.list.handle_input(now, input),
            // nobody at the panel has a part in it
            Input::Pressed | Input::PressedAgain { .. } | Input::Take(_) => {}
        }
        self.pass_on(now);
    }

    /// Lets due timers act.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.caller {
            Caller::Ringing(at) if now >= at => {
                let leg = self.leg;
                self.out.push_back(Output::Leg(LegCommand::Ringing { leg }));
                self.caller = Caller::Ringing(now + RING_AGAIN);
            }
            Caller::Answered(since) if now >= since + CONFIRM => {
                self.list.handle_input(now, Input::Cancel(Cause::Unreachable));
            }
            Caller::Answered(_) | Caller::Ended | Caller::Ending | Caller::Ringing(_) | Caller::Talking => {}
        }
        self.list.handle_timeout(now);
        self.pass_on(now);
    }

    /// Digits seen before this are old news: the main loop stood still until then.
    pub fn discard_before(&mut self, at: Instant) {
        self.list.discard_before(at);
    }

    /// The lists have changed, as for [`CallPlan::narrow`].
    pub fn narrow(&mut self, still: impl Fn(&str) -> bool, handover: &Handover) {
        self.list.narrow(still, handover);
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.caller {
            Caller::Ringing(at) => Some(at),
            Caller::Answered(since) => Some(since + CONFIRM),
            Caller::Ended | Caller::Ending | Caller::Talking => None,
        };
        own.into_iter().chain(self.list.poll_timeout()).min()
    }

    /// The panel that was called.
    #[must_use]
    pub const fn panel(&self) -> &PanelId {
        &self.panel
    }

    /// Who calls.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Who of the list has the call, else who is called, as addresses.
    #[must_use]
    pub fn parties(&self) -> Vec<String> {
        self.list.parties()
    }

    /// Who of the list has the call, and through which account; no account is the way to a direct peer.
    #[must_use]
    pub fn talker(&self) -> Option<(Option<AccountId>, Peer)> {
        self.list.talker()
    }

    /// True if the leg is one of this plan's.
    #[must_use]
    pub fn has_leg(&self, leg: LegId) -> bool {
        self.leg == leg || self.list.has_leg(leg)
    }

    /// The leg of whoever of the list has the call: his digits count, and nobody else's.
    #[must_use]
    pub fn winner(&self) -> Option<LegId> {
        self.list.winner()
    }

    /// True if whoever has the call holds it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.list.is_held()
    }

    /// True if the digits of whoever has the call would count at this moment.
    #[must_use]
    pub fn has_authority(&self) -> bool {
        self.list.has_authority()
    }

    /// How it ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.list.outcome()
    }

    /// True if it is over and every leg has ended: it can be dropped.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.caller == Caller::Ended && self.list.is_drained()
    }

    fn leg(&mut self, now: Instant, event: LegEvent) {
        let about = event.about();
        if about == self.leg {
            self.caller(now, event);
        } else {
            self.list.handle_input(now, Input::Leg(event));
        }
    }

    /// The caller's leg reports.
    fn caller(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::Answered { .. } => {
                if matches!(self.caller, Caller::Answered(_)) {
                    self.caller = Caller::Talking;
                    self.join();
                }
            }
            LegEvent::Digit { leg, .. } => self.gate.ignored(now, leg, "caller", &mut self.out),
            LegEvent::Ended { cause, detail, leg } => {
                let before = std::mem::replace(&mut self.caller, Caller::Ended);
                if before == Caller::Ended {
                    return;
                }
                self.out
                    .push_back(Output::Event(CallEvent::LegEnded { cause, detail, leg }));
                self.list.handle_input(now, Input::Cancel(cause));
            }
            // he was not called, and hands on to nobody what is not his; nor does anybody take his place
            LegEvent::TakingOver { leg, .. } => {
                let cause = Cause::Declined;
                self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            }
            LegEvent::TransferAsked { leg, .. } => {
                let why = "Who was put through hands on no call".to_owned();
                self.out
                    .push_back(Output::Leg(LegCommand::RefuseTransfer { leg, why }));
            }
            LegEvent::AuthorityLost { .. }
            | LegEvent::EarlyMedia { .. }
            | LegEvent::Held { .. }
            | LegEvent::Incoming { .. }
            | LegEvent::Redirected { .. }
            | LegEvent::Ringing { .. } => {}
        }
    }

    /// Passes on what the list's side says, as far as it is true of two phones and no line.
    fn pass_on(&mut self, now: Instant) {
        while let Some(output) = self.list.poll_output() {
            match output {
                Output::Leg(LegCommand::Connect { leg }) => {
                    self.with = Some(leg);
                    self.answered(now);
                    self.join();
                }
                Output::LineTone(tone) => {
                    if self.caller == Caller::Talking {
                        let leg = self.leg;
                        self.out
                            .push_back(Output::Leg(LegCommand::PlayToLeg { leg, tone }));
                    }
                }
                Output::Over { outcome } => {
                    self.end_caller(outcome);
                    self.out.push_back(Output::Over { outcome });
                }
                Output::Digit { .. }
                | Output::Event(_)
                | Output::Leg(_)
                | Output::WantsLine { .. }
                | Output::Won { .. } => self.out.push_back(output),
            }
        }
    }

    /// Somebody has answered: so is the caller.
    fn answered(&mut self, now: Instant) {
        if matches!(self.caller, Caller::Ringing(_)) {
            let leg = self.leg;
            self.caller = Caller::Answered(now);
            self.out.push_back(Output::Leg(LegCommand::Answer { leg }));
        }
    }

    /// Has the caller and whoever has the call hear each other, as soon as both can.
    fn join(&mut self) {
        if let (Caller::Talking, Some(with)) = (self.caller, self.with) {
            let leg = self.leg;
            self.out.push_back(Output::Leg(LegCommand::Join { leg, with }));
        }
    }

    fn end_caller(&mut self, outcome: Outcome) {
        if matches!(self.caller, Caller::Ended | Caller::Ending) {
            return;
        }
        let cause = match outcome {
            Outcome::Answered(cause) | Outcome::Cancelled(cause) => cause,
            Outcome::NoAnswer | Outcome::Window => Cause::NoAnswer,
            Outcome::Rejected | Outcome::Unreachable => Cause::Unavailable,
        };
        // what became of the other phone is none of his business, least of all that it is somebody else's fault
        let cause = match cause {
            Cause::Busy | Cause::NoAnswer | Cause::TalkLimit | Cause::Unavailable => cause,
            Cause::AnsweredElsewhere
            | Cause::Cancelled
            | Cause::Declined
            | Cause::GatewayRestarted
            | Cause::Media
            | Cause::Normal
            | Cause::NotFound
            | Cause::Refused
            | Cause::Released
            | Cause::Unreachable => Cause::Released,
        };
        let leg = self.leg;
        self.caller = Caller::Ending;
        self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
    }
}

#[cfg(test)]
mod tests;
