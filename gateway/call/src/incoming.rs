//! A call to the door.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{
    CallEvent, Cause, Instant, LegCommand, LegEvent, LegId, LineId, PanelId, Peer, RingId, Tone,
};

use crate::talk::{Authority, DigitGate, Due, LIMIT, Press, Talk, millis};
use crate::types::{DigitPolicy, Input, Outcome, Output, TalkLimit};

/// An answer that is not confirmed (no ACK) within this time is given up: 64*T1 of RFC 3261 §13.3.1.4.
const CONFIRM: Duration = Duration::from_secs(32);

/// Refusals of one call that stand in the journal.
const MOST_TOLD: u32 = 10;

/// May the call be taken?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// Yes: the line can start by itself and is free.
    Answer,
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

/// One call to the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingRequest {
    /// Whose digits count, besides a listed caller's.
    pub digits: DigitPolicy,
    /// End the call as the strike falls.
    pub hang_up_after_open: bool,
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
    Talking,
}

/// Takes or refuses one call to the door, then watches over the talk.
#[derive(Debug)]
pub struct IncomingPlan {
    gate: DigitGate,
    out: VecDeque<Output>,
    over: Option<Outcome>,
    /// How often the caller wanted it handed on.
    refusals: u32,
    request: IncomingRequest,
    state: State,
    talk: Option<Talk>,
}

impl IncomingPlan {
    /// Takes or refuses the call.
    #[must_use]
    pub fn new(now: Instant, request: IncomingRequest) -> Self {
        let (leg, panel, peer) = (request.leg, request.panel.clone(), request.peer.address.clone());
        let refused = match request.take {
            Take::Answer => None,
            Take::LineBusy => Some(("line-busy", Cause::Busy)),
            Take::NoCall => Some(("no-call", Cause::Refused)),
            Take::Refuse { cause, reason } => Some((reason, cause)),
        };
        let mut plan = Self {
            gate: DigitGate::default(),
            out: VecDeque::new(),
            over: None,
            refusals: 0,
            request,
            state: State::Confirming(now),
            talk: None,
        };
        plan.out.push_back(Output::Event(CallEvent::Incoming {
            leg,
            panel: Some(panel),
            peer: peer.clone(),
        }));
        if let Some((reason, cause)) = refused {
            plan.out.push_back(Output::Event(CallEvent::Rejected {
                peer,
                reason: reason.to_owned(),
            }));
            plan.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            plan.state = State::Ending;
            plan.over = Some(Outcome::Rejected);
            plan.out.push_back(Output::Over {
                outcome: Outcome::Rejected,
            });
        } else {
            plan.out.push_back(Output::Leg(LegCommand::Answer { leg }));
        }
        plan
    }

    /// Takes an input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Cancel(cause) => self.finish(now, cause),
            Input::Leg(LegEvent::TakingOver { leg, .. }) => {
                let cause = Cause::Declined;
                self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            }
            Input::Leg(event) if event.leg() == self.request.leg => self.leg(now, event),
            // whoever stands at the panel was not called
            Input::Leg(_) | Input::PressedAgain { .. } => {}
            Input::OpenedAndStrikeEnded => {
                if self.request.hang_up_after_open && self.talk.is_some() {
                    self.finish(now, Cause::Released);
                }
            }
        }
    }

    /// Lets due timers act.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Confirming(since) if now >= since + CONFIRM => self.finish(now, Cause::Unreachable),
            State::Talking => {
                if let Some(talk) = &mut self.talk {
                    match talk.handle_timeout(now, &mut self.out) {
                        Due::End => self.finish(now, LIMIT),
                        Due::Nothing => {}
                    }
                }
            }
            State::Confirming(_) | State::Ended | State::Ending => {}
        }
    }

    /// Digits seen before this are old news: the main loop stood still until then.
    pub fn discard_before(&mut self, at: Instant) {
        if let Some(talk) = &mut self.talk {
            talk.fresh_from = talk.fresh_from.max(at);
        }
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Confirming(since) => Some(since + CONFIRM),
            State::Talking => self.talk.as_ref().and_then(Talk::poll_timeout),
            State::Ended | State::Ending => None,
        }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &IncomingRequest {
        &self.request
    }

    /// The leg, once it is confirmed.
    #[must_use]
    pub fn winner(&self) -> Option<LegId> {
        self.talk.as_ref().map(|t| t.leg)
    }

    /// True if whoever called holds the call.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.over.is_none() && self.talk.as_ref().is_some_and(|t| t.held)
    }

    /// True if the caller's digits would count at this moment.
    #[must_use]
    pub fn has_authority(&self) -> bool {
        self.over.is_none() && self.talk.as_ref().is_some_and(|t| t.authority == Authority::Held)
    }

    /// How it ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.over
    }

    /// True if it is over and the leg has ended: it can be dropped.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.state == State::Ended
    }

    fn leg(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::Answered { leg, peer } => match self.state {
                State::Confirming(_) => {
                    // The caller is who the INVITE said; the confirmation cannot make it somebody else.
                    let caller = self.request.peer.clone();
                    let authority = if self.request.listed && caller.trusted {
                        Authority::Held
                    } else {
                        Authority::Unlisted
                    };
                    self.state = State::Talking;
                    self.out.push_back(Output::Event(CallEvent::Answered {
                        leg,
                        peer: caller.address.clone(),
                    }));
                    let limit = self.request.talk_limit;
                    self.talk = Some(Talk::new(now, leg, caller.clone(), authority, limit));
                    self.out.push_back(Output::Won { leg, peer: caller });
                    self.out.push_back(Output::Leg(LegCommand::Connect { leg }));
                    self.out.push_back(Output::LineTone(Tone::LookIn));
                }
                State::Ending => {
                    let cause = Cause::Released;
                    self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
                }
                State::Talking => {
                    if let Some(talk) = &mut self.talk
                        && !peer.address.is_empty()
                        && !crate::party::same_party(&peer.address, &talk.peer.address)
                    {
                        talk.transfer(now, peer, Authority::Lost, &mut self.out);
                    }
                }
                State::Ended => {}
            },
            LegEvent::AuthorityLost { why, .. } => {
                if let Some(talk) = &mut self.talk {
                    talk.lose_authority(why, &mut self.out);
                }
            }
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
                    self.talk.as_mut(),
                    &self.request.digits,
                    &mut self.out,
                );
            }
            LegEvent::Ended { cause, leg, detail } => {
                if self.state != State::Ended {
                    self.state = State::Ended;
                    self.out
                        .push_back(Output::Event(CallEvent::LegEnded { cause, detail, leg }));
                    self.close(now, cause);
                }
            }
            LegEvent::Held { held, .. } => {
                if let Some(talk) = &mut self.talk {
                    talk.hold(now, held);
                }
            }
            LegEvent::TransferAsked { leg, target, .. } => self.transfer_asked(leg, target),
            LegEvent::Incoming { .. }
            | LegEvent::Redirected { .. }
            | LegEvent::Ringing { .. }
            | LegEvent::TakingOver { .. } => {}
        }
    }

    /// Whoever calls the door has it for himself: it calls nobody for him.
    fn transfer_asked(&mut self, leg: LegId, target: String) {
        if self.refusals < MOST_TOLD {
            self.refusals += 1;
            let reason = "incoming".to_owned();
            self.out
                .push_back(Output::Event(CallEvent::HandoverRefused { leg, reason, target }));
        }
        let why = "This door hands on no call that it was called by".to_owned();
        self.out
            .push_back(Output::Leg(LegCommand::RefuseTransfer { leg, why }));
    }

    fn finish(&mut self, now: Instant, cause: Cause) {
        if self.over.is_some() {
            return;
        }
        self.state = State::Ending;
        let leg = self.request.leg;
        self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
        self.close(now, cause);
    }

    fn close(&mut self, now: Instant, cause: Cause) {
        if self.over.is_some() {
            return;
        }
        let outcome = if self.talk.is_some() {
            Outcome::Answered(cause)
        } else {
            Outcome::Cancelled(cause)
        };
        self.over = Some(outcome);
        let talk_ms = self.talk.as_ref().map_or(0, |t| millis(now.since(t.answered)));
        self.out
            .push_back(Output::Event(CallEvent::Ended { cause, talk_ms }));
        self.out.push_back(Output::Over { outcome });
    }
}
