//! A call to the door. Once it is answered it is a call as any other, which the caller has and may hand on.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{
    AccountId, CallEvent, Cause, Instant, LegCommand, LegEvent, LegId, LineId, Manner, PanelId, Peer, RingId,
};

use crate::plan::CallPlan;
use crate::talk::{Authority, DigitGate, Press};
use crate::types::{
    CallRequest, DigitPolicy, Handover, Input, Outcome, Output, Purpose, Strategy, TalkLimit, Target,
};

/// An answer that is not confirmed (no ACK) within this time is given up: 64*T1 of RFC 3261 §13.3.1.4.
const CONFIRM: Duration = Duration::from_secs(32);
/// Time between two words that it rings: whoever is on the way must not take the call for dead (RFC 3261 §13.3.1.1).
pub(crate) const RING_AGAIN: Duration = Duration::from_secs(60);

/// May the call be taken?
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Take {
    /// Yes: the line can start by itself and is free.
    Answer,
    /// Somebody else is to be called instead.
    Divert {
        /// Number or address as configured.
        target: String,
    },
    /// The line is in other hands.
    LineBusy,
    /// The line cannot start a talk without a ring, or there is no panel on it.
    NoCall,
    /// It is not to be answered: the door opened for it, or calls are not taken here.
    Refuse {
        /// What the caller is told.
        cause: Cause,
        /// For the record.
        reason: &'static str,
    },
}

/// When a call that may be taken is answered. Until then the caller hears that it rings, and the line is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// After so long, 1 to 9 s.
    After(Duration),
    /// As it comes: it has the line already.
    AtOnce,
    /// By a press at the panel. Who waits for longer than this, 10 to 120 s, is told that nobody answers.
    ByPress(Duration),
}

/// One call to the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingRequest {
    /// Account that is called; `None` for a direct peer. Who gets the call handed on is called through it.
    pub account: Option<AccountId>,
    /// When it is answered, if it may be taken.
    pub answer: Answer,
    /// Whose digits count, besides a listed caller's, once he has the call.
    pub digits: DigitPolicy,
    /// Text shown as the caller to whoever gets the call handed on.
    pub display: String,
    /// To whom it may be handed; anybody only by a caller who may open.
    pub handover: Handover,
    /// End the call as the strike falls.
    pub hang_up_after_open: bool,
    /// While it rings the caller hears that from here, and not from his own phone.
    pub rings_back: bool,
    /// The leg that waits.
    pub leg: LegId,
    /// Line whose audio it will carry.
    pub line: LineId,
    /// True if the caller is listed for a door of this panel. It counts only if the peer is trusted for it.
    pub listed: bool,
    /// The panel that is called.
    pub panel: PanelId,
    /// Who calls.
    pub peer: Peer,
    /// The id of the story.
    pub ring: RingId,
    /// May it be taken?
    pub take: Take,
    /// Talk limit, already the shorter of the configuration's and the panel's.
    pub talk_limit: TalkLimit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Confirming(Instant),
    Ended,
    Ending,
    /// It rings, since then.
    Ringing(Instant),
    /// It is to be answered, and wants the line.
    Wanting,
}

/// Takes or refuses one call to the door, then watches over the talk.
#[derive(Debug)]
pub struct IncomingPlan {
    gate: DigitGate,
    out: VecDeque<Output>,
    over: Option<Outcome>,
    /// Somebody at the panel answered it.
    pressed: bool,
    request: IncomingRequest,
    /// When it is said once more that it rings.
    ring_again: Instant,
    state: State,
    /// From the confirmed answer on: the caller has the call, or to whom it was handed.
    talk: Option<CallPlan>,
}

impl IncomingPlan {
    /// Takes or refuses the call.
    #[must_use]
    pub fn new(now: Instant, request: IncomingRequest) -> Self {
        let (leg, panel, peer) = (
            request.leg,
            request.panel.clone(),
            request.peer.shown().to_owned(),
        );
        let (answer, take) = (request.answer, request.take.clone());
        let mut plan = Self {
            gate: DigitGate::default(),
            out: VecDeque::new(),
            over: None,
            pressed: false,
            request,
            ring_again: now + RING_AGAIN,
            state: State::Wanting,
            talk: None,
        };
        plan.out.push_back(Output::Event(CallEvent::Incoming {
            leg,
            panel: Some(panel),
            peer,
        }));
        match (take, answer) {
            (Take::Answer, Answer::After(_) | Answer::ByPress(_)) => {
                plan.state = State::Ringing(now);
                plan.rings();
            }
            (take, _) => plan.take(now, take),
        }
        plan
    }

    /// Answers, or says why not.
    fn take(&mut self, now: Instant, take: Take) {
        let leg = self.request.leg;
        let end = |cause| LegCommand::End { leg, cause };
        let peer = self.request.peer.shown().to_owned();
        let (reason, command) = match take {
            Take::Answer => {
                self.state = State::Confirming(now);
                self.out.push_back(Output::Leg(LegCommand::Answer { leg }));
                return;
            }
            Take::Divert { target } => {
                self.out.push_back(Output::Event(CallEvent::Diverted {
                    leg,
                    peer: peer.clone(),
                    target: target.clone(),
                }));
                ("diverted", LegCommand::Divert { leg, target })
            }
            Take::LineBusy => ("line-busy", end(Cause::Busy)),
            Take::NoCall => ("no-call", end(Cause::Refused)),
            Take::Refuse { cause, reason } => (reason, end(cause)),
        };
        self.out.push_back(Output::Event(CallEvent::Rejected {
            peer,
            reason: reason.to_owned(),
        }));
        self.out.push_back(Output::Leg(command));
        self.state = State::Ending;
        let outcome = Outcome::Rejected;
        self.over = Some(outcome);
        self.out.push_back(Output::Over { outcome });
    }

    /// Takes an input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        if let Some(talk) = &mut self.talk {
            talk.handle_input(now, input);
            return;
        }
        match input {
            Input::Cancel(cause) => self.finish(cause),
            // nobody has it yet whose place could be taken
            Input::Leg(LegEvent::TakingOver { leg, .. }) => {
                let cause = Cause::Declined;
                self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            }
            Input::Leg(event) if event.leg() == self.request.leg => self.leg(now, event),
            Input::Pressed if self.waits_for_press() => {
                self.pressed = true;
                self.wants_line();
            }
            Input::Take(take) if self.state == State::Wanting => self.take(now, take),
            // whoever stands at the panel was not called
            Input::Leg(_)
            | Input::OpenedAndStrikeEnded
            | Input::Pressed
            | Input::PressedAgain { .. }
            | Input::Take(_) => {}
        }
    }

    /// Lets due timers act.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(talk) = &mut self.talk {
            talk.handle_timeout(now);
            return;
        }
        match (self.state, self.answered_at()) {
            (State::Confirming(since), _) if now >= since + CONFIRM => self.finish(Cause::Unreachable),
            (State::Ringing(_), Some(due)) if now >= due => match self.request.answer {
                Answer::After(_) | Answer::AtOnce => self.wants_line(),
                Answer::ByPress(_) => self.finish(Cause::NoAnswer),
            },
            (State::Ringing(_), _) if now >= self.ring_again => {
                self.rings();
                self.ring_again = now + RING_AGAIN;
            }
            (State::Confirming(_) | State::Ended | State::Ending | State::Ringing(_) | State::Wanting, _) => {
            }
        }
    }

    /// Tells the caller that it rings.
    fn rings(&mut self) {
        let leg = self.request.leg;
        self.out.push_back(Output::Leg(if self.request.rings_back {
            LegCommand::RingBack { leg }
        } else {
            LegCommand::Ringing { leg }
        }));
    }

    /// When it is answered, or nobody waits for the press any more, while it rings.
    fn answered_at(&self) -> Option<Instant> {
        match (self.state, self.request.answer) {
            (State::Ringing(since), Answer::After(time) | Answer::ByPress(time)) => Some(since + time),
            (State::Ringing(since), Answer::AtOnce) => Some(since),
            (State::Confirming(_) | State::Ended | State::Ending | State::Wanting, _) => None,
        }
    }

    fn wants_line(&mut self) {
        self.state = State::Wanting;
        let pressed = self.pressed;
        self.out.push_back(Output::WantsLine { pressed });
    }

    /// Digits seen before this are old news: the main loop stood still until then.
    pub fn discard_before(&mut self, at: Instant) {
        if let Some(talk) = &mut self.talk {
            talk.discard_before(at);
        }
    }

    /// The lists have changed, as for [`CallPlan::narrow`]. What the caller himself may is not among it.
    pub fn narrow(&mut self, still: impl Fn(&str) -> bool, handover: &Handover) {
        if let Some(talk) = &mut self.talk {
            let handover = Handover {
                any: handover.any && self.request.handover.any,
                known: handover.known.clone(),
                spare: Vec::new(),
            };
            talk.narrow(still, &handover);
        }
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        let own = self.out.pop_front();
        own.or_else(|| self.talk.as_mut().and_then(CallPlan::poll_output))
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if let Some(talk) = &self.talk {
            return talk.poll_timeout();
        }
        match self.state {
            State::Confirming(since) => Some(since + CONFIRM),
            State::Ringing(_) => self.answered_at().map(|at| at.min(self.ring_again)),
            State::Ended | State::Ending | State::Wanting => None,
        }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &IncomingRequest {
        &self.request
    }

    /// Who calls, as long as he has the call himself.
    #[must_use]
    pub fn caller(&self) -> Option<&Peer> {
        let himself = self.talk.as_ref().is_none_or(CallPlan::is_callers);
        himself.then_some(&self.request.peer)
    }

    /// True while it rings and nobody has answered it: the line is not its own.
    #[must_use]
    pub const fn is_ringing(&self) -> bool {
        matches!(self.state, State::Ringing(_))
    }

    /// True if a press at its panel would answer it.
    #[must_use]
    pub const fn waits_for_press(&self) -> bool {
        self.is_ringing() && matches!(self.request.answer, Answer::ByPress(_))
    }

    /// True if somebody at the panel answered it, who knows of the talk and has a part in it.
    #[must_use]
    pub const fn is_answered_by_press(&self) -> bool {
        self.pressed
    }

    /// Who has the call, else who calls, as addresses.
    #[must_use]
    pub fn parties(&self) -> Vec<String> {
        match self.talk.as_ref().filter(|talk| !talk.is_callers()) {
            Some(talk) => talk.parties(),
            None => vec![self.request.peer.shown().to_owned()],
        }
    }

    /// Who has the call, be it who called, and through which account; no account is the way to a direct peer.
    #[must_use]
    pub fn talker(&self) -> Option<(Option<AccountId>, Peer)> {
        match self.talk.as_ref().filter(|talk| !talk.is_callers()) {
            Some(talk) => talk.talker(),
            None => Some((self.request.account.clone(), self.request.peer.clone())),
        }
    }

    /// True if the leg is one of this plan's.
    #[must_use]
    pub fn has_leg(&self, leg: LegId) -> bool {
        let talks = self.talk.as_ref().is_some_and(|talk| talk.has_leg(leg));
        talks || self.request.leg == leg || self.request.handover.spare.contains(&leg)
    }

    /// The leg of whoever has the call, once it is confirmed.
    #[must_use]
    pub fn winner(&self) -> Option<LegId> {
        self.talk.as_ref().and_then(CallPlan::winner)
    }

    /// True if whoever has the call holds it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.talk.as_ref().is_some_and(CallPlan::is_held)
    }

    /// True if the digits of whoever has the call would count at this moment.
    #[must_use]
    pub fn has_authority(&self) -> bool {
        self.talk.as_ref().is_some_and(CallPlan::has_authority)
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.talk {
            Some(talk) => talk.outcome(),
            None => self.over,
        }
    }

    /// True if it is over and every leg has ended: it can be dropped.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        match &self.talk {
            Some(talk) => talk.is_drained(),
            None => self.state == State::Ended,
        }
    }

    fn leg(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::Answered { leg, .. } => match self.state {
                State::Confirming(_) => self.confirmed(now, leg),
                State::Ending => {
                    let cause = Cause::Released;
                    self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
                }
                State::Ended | State::Ringing(_) | State::Wanting => {}
            },
            LegEvent::Digit {
                at,
                digit,
                echo,
                leg,
                via,
            } => {
                let press = Press {
                    at,
                    digit,
                    echo,
                    leg,
                    via,
                };
                self.gate.press(
                    now,
                    press,
                    self.over.is_some(),
                    None,
                    &self.request.digits,
                    &mut self.out,
                );
            }
            LegEvent::Ended { cause, leg, detail } => {
                if self.state != State::Ended {
                    self.state = State::Ended;
                    self.out
                        .push_back(Output::Event(CallEvent::LegEnded { cause, detail, leg }));
                    self.close(cause);
                }
            }
            LegEvent::TransferAsked { leg, .. } => {
                let why = "There is no talk yet that could be handed on".to_owned();
                self.out
                    .push_back(Output::Leg(LegCommand::RefuseTransfer { leg, why }));
            }
            LegEvent::AuthorityLost { .. }
            | LegEvent::EarlyMedia { .. }
            | LegEvent::Held { .. }
            | LegEvent::Incoming { .. }
            | LegEvent::Redirected { .. }
            | LegEvent::Ringing { .. }
            | LegEvent::TakingOver { .. } => {}
        }
    }

    /// The caller has the call. He is who the INVITE said; the confirmation cannot make him somebody else.
    fn confirmed(&mut self, now: Instant, leg: LegId) {
        let of = &mut self.request;
        let caller = of.peer.clone();
        let listed = of.listed && caller.trusted;
        let authority = if listed {
            Authority::Held
        } else {
            Authority::Unlisted
        };
        // else whoever finds the door's number would call the whole world at its cost
        of.handover.any &= listed;
        let request = CallRequest {
            digits: of.digits.clone(),
            display: of.display.clone(),
            early_media: false,
            further: Vec::new(),
            handover: of.handover.clone(),
            hang_up_after_open: of.hang_up_after_open,
            line: of.line.clone(),
            // whoever answered at the panel knows
            look_in: !self.pressed,
            pause: Duration::ZERO,
            purpose: Purpose::Incoming,
            ring: of.ring,
            ring_time: Duration::ZERO,
            ring_window: Duration::ZERO,
            strategy: Strategy::Sequential,
            talk_limit: of.talk_limit,
            targets: Vec::new(),
        };
        let target = Target {
            account: of.account.clone(),
            address: caller.address.clone(),
            backups: Vec::new(),
            barred: true,
            confirm: None,
            leg,
            listed,
            manner: Manner::default(),
            name: None,
        };
        self.out.push_back(Output::Event(CallEvent::Answered {
            leg,
            peer: caller.shown().to_owned(),
        }));
        let won = caller.clone();
        self.out.push_back(Output::Won { leg, peer: won });
        self.out.push_back(Output::Leg(LegCommand::Connect { leg }));
        self.talk = Some(CallPlan::taken(now, request, target, caller, authority));
    }

    fn finish(&mut self, cause: Cause) {
        if self.over.is_some() {
            return;
        }
        self.state = State::Ending;
        let leg = self.request.leg;
        self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
        self.close(cause);
    }

    /// It is over before anybody talked.
    fn close(&mut self, cause: Cause) {
        if self.over.is_some() {
            return;
        }
        let outcome = Outcome::Cancelled(cause);
        self.over = Some(outcome);
        let talk_ms = 0;
        self.out
            .push_back(Output::Event(CallEvent::Ended { cause, talk_ms }));
        self.out.push_back(Output::Over { outcome });
    }
}

#[cfg(test)]
mod tests;
