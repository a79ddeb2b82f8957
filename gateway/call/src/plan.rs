//! Calls the targets of one ring.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::{AccountId, CallEvent, Cause, Instant, LegCommand, LegEvent, LegId, Peer, Tone};

use crate::confirm::Asked;
use crate::party::same_party;
use crate::talk::{Authority, DigitGate, Due, LIMIT, Press, Talk, authority_of, millis};
use crate::types::{CallRequest, Handover, Input, Outcome, Output, Strategy, Target};

mod handover;

use handover::{Named, Redirect};

/// Least time for which whoever gets the call handed on rings.
const HEIR_RINGS: Duration = Duration::from_secs(20);
/// More targets than this are left out.
const MAX_TARGETS: usize = 4;
/// A PBX that says nothing for so long, where there is another one: less than anybody waits at a door, more than lost
/// datagrams take to be sent again three times.
const PATIENCE: Duration = Duration::from_secs(4);
/// Time between the tones that tell whoever stands at the door that somebody listens.
const LOOK_IN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not yet called.
    Waiting,
    /// Called at this time; rings or not.
    Called(Instant),
    /// Has the call.
    Won,
    /// Told to end; its end has not come yet. An answer that races with it is ended again.
    Ending(Cause),
    /// Over.
    Ended,
}

#[derive(Debug)]
struct Slot {
    /// It answered, and has to press a key.
    asked: Option<Asked>,
    /// It called the door, and was not called.
    caller: bool,
    /// What is dialled in place of the target's address.
    dial: Option<String>,
    /// It has something to be heard though it has not answered.
    early: bool,
    /// It is called, or calls, to have the call that somebody else has.
    heir: bool,
    /// It rang long enough, and whom it named next is called once its end has come.
    moves_on: bool,
    /// Its phone rings, or did.
    rang: bool,
    /// Whom it wants called instead, the best first.
    redirects: VecDeque<Redirect>,
    state: State,
    target: Target,
}

impl Slot {
    const fn new(target: Target) -> Self {
        Self {
            asked: None,
            caller: false,
            dial: None,
            early: false,
            heir: false,
            moves_on: false,
            rang: false,
            redirects: VecDeque::new(),
            state: State::Waiting,
            target,
        }
    }
}

/// Calls 1 to 4 targets until one answers, then watches over the talk.
///
/// The first leg that answers wins; the others are told that the call was answered elsewhere. A target that
/// is busy, absent or declines makes room for the next. After the last of them further rounds follow, if there are any.
/// Nobody can answer after the ring window.
#[derive(Debug)]
pub struct CallPlan {
    gate: DigitGate,
    /// Who is heard at the line before anybody has answered.
    listens_to: Option<LegId>,
    /// When the tone sounds again that tells of who listens, once somebody does.
    look_in: Option<Instant>,
    out: VecDeque<Output>,
    over: Option<Outcome>,
    reached: bool,
    /// How often somebody wanted the call handed on and was refused.
    refusals: u32,
    request: CallRequest,
    /// When the next round begins; nobody is called until then.
    resume: Option<Instant>,
    slots: Vec<Slot>,
    started: Instant,
    talk: Option<Talk>,
}

impl CallPlan {
    /// Begins to call.
    #[must_use]
    pub fn new(now: Instant, mut request: CallRequest) -> Self {
        let slots = slots(std::mem::take(&mut request.targets));
        request.further.reverse();
        let mut plan = Self {
            gate: DigitGate::default(),
            listens_to: None,
            look_in: None,
            out: VecDeque::new(),
            over: None,
            reached: false,
            refusals: 0,
            request,
            resume: None,
            slots,
            started: now,
            talk: None,
        };
        plan.call_next(now);
        plan
    }

    /// A call to the door that is answered: whoever called, on `target`, has it. Nobody is called but by him.
    pub(crate) fn taken(
        now: Instant,
        request: CallRequest,
        target: Target,
        peer: Peer,
        authority: Authority,
    ) -> Self {
        let (leg, limit) = (target.leg, request.talk_limit);
        let mut plan = Self {
            gate: DigitGate::default(),
            listens_to: None,
            look_in: None,
            out: VecDeque::new(),
            over: None,
            reached: true,
            refusals: 0,
            request,
            resume: None,
            slots: vec![Slot {
                caller: true,
                state: State::Won,
                ..Slot::new(target)
            }],
            started: now,
            talk: Some(Talk::new(now, leg, peer, authority, limit)),
        };
        plan.looks_in(now);
        plan
    }

    /// Nobody at the line began this talk: who listens is told as it begins and anew each minute, whoever has the call by then. One
    /// who holds it does not listen.
    fn looks_in(&mut self, now: Instant) {
        if !self.request.look_in {
            return;
        }
        if !self.is_held() {
            self.out.push_back(Output::LineTone(Tone::LookIn));
        }
        self.look_in = Some(now + LOOK_IN);
    }

    /// Has whoever called the door the call himself?
    pub(crate) fn is_callers(&self) -> bool {
        let leg = self.talk.as_ref().map(|talk| talk.leg);
        self.slots
            .iter()
            .any(|slot| slot.caller && Some(slot.target.leg) == leg)
    }

    /// Takes an input.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Cancel(cause) => {
                let outcome = if self.talk.is_some() {
                    Outcome::Answered(cause)
                } else {
                    Outcome::Cancelled(cause)
                };
                self.finish(now, outcome, cause);
            }
            Input::Leg(event) => self.leg(now, event),
            Input::PressedAgain { next } => self.pressed_again(now, next),
            Input::OpenedAndStrikeEnded => {
                if self.request.hang_up_after_open && self.talk.is_some() {
                    self.finish(now, Outcome::Answered(Cause::Released), Cause::Released);
                }
            }
            // of calls to the door that nobody has yet
            Input::Pressed | Input::Take(_) => {}
        }
        self.listen();
    }

    /// Has the first who has something to be heard be heard at the line, and nobody else, until he answers or it rings there no
    /// more. Then it is the next one's turn.
    fn listen(&mut self) {
        if !self.request.early_media || self.talk.is_some() || self.over.is_some() {
            return;
        }
        let speaks =
            |slot: &&Slot| slot.early && slot.asked.is_none() && matches!(slot.state, State::Called(_));
        let mut speaking = self.slots.iter().filter(speaks).map(|slot| slot.target.leg);
        let heard = self.listens_to;
        if heard.is_some_and(|leg| speaking.clone().any(|speaks| speaks == leg)) {
            return;
        }
        self.listens_to = speaking.next();
        if let Some(leg) = self.listens_to {
            self.out.push_back(Output::Leg(LegCommand::Listen { leg }));
        }
    }

    /// Lets due timers act.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.over.is_some() {
            return;
        }
        if let Some(talk) = &mut self.talk {
            match talk.handle_timeout(now, &mut self.out) {
                Due::End => self.finish(now, Outcome::Answered(LIMIT), LIMIT),
                Due::Nothing => self.heirs_due(now),
            }
            if self.over.is_none() && self.look_in.is_some_and(|at| now >= at) {
                self.looks_in(now);
            }
            return;
        }
        if now >= self.started + self.request.ring_window {
            self.finish(now, Outcome::Window, Cause::NoAnswer);
            return;
        }
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            let State::Called(since) = slot.state else {
                continue;
            };
            if let Some(asked) = slot.asked.as_mut().filter(|asked| !asked.is_over(now)) {
                self.out.extend(asked.ask(now, slot.target.leg));
            } else if slot.asked.is_some() || now >= since + self.request.ring_time {
                slot.moves_on = !slot.redirects.is_empty();
                self.end_slot(index, Cause::Cancelled);
                self.reached = true;
            }
        }
        if self.resume.is_some_and(|at| now >= at) {
            self.begin_round();
        }
        self.call_next(now);
        self.listen();
    }

    /// Would a press pass somebody over who rings, or begin a round that waits?
    #[must_use]
    pub fn has_next(&self) -> bool {
        let waits = self.slots.iter().any(|slot| slot.state == State::Waiting);
        let open = self.over.is_none() && self.talk.is_none();
        open && (self.resume.is_some() || waits || !self.request.further.is_empty())
    }

    /// Does it wait for the next round?
    #[must_use]
    pub const fn is_between_rounds(&self) -> bool {
        self.resume.is_some()
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
        if self.over.is_some() {
            return None;
        }
        if let Some(talk) = &self.talk {
            let heirs = self.heirs().map(|(_, at)| at);
            let own = talk.poll_timeout().into_iter().chain(self.look_in);
            return own.chain(heirs).min();
        }
        let window = self.started + self.request.ring_window;
        self.slots
            .iter()
            .filter_map(|slot| match slot.state {
                State::Called(since) => {
                    let asked = slot.asked.as_ref().map(Asked::due);
                    Some(asked.unwrap_or(since + self.request.ring_time))
                }
                State::Waiting | State::Won | State::Ending(_) | State::Ended => None,
            })
            .chain([window])
            .chain(self.resume)
            .min()
    }

    /// The request, without its targets.
    #[must_use]
    pub const fn request(&self) -> &CallRequest {
        &self.request
    }

    /// The lists have changed: of those who might open only whoever `still` may does from here on, whether he talks, is
    /// called, or is named later. And it is handed only to whom both its own lists and those of `handover` name.
    pub fn narrow(&mut self, still: impl Fn(&str) -> bool, handover: &Handover) {
        let own = &mut self.request.handover;
        if own.any && !handover.any {
            // those who are named now were anybody before
            own.known.clone_from(&handover.known);
        } else if !handover.any {
            own.known.retain(|known| handover.known.contains(known));
        }
        own.any &= handover.any;
        self.request.digits.contacts.retain(|address| still(address));
        let further = self.request.further.iter_mut().flatten();
        let called = self.slots.iter_mut().flat_map(|slot| {
            let by = slot.redirects.iter_mut().map(|redirect| &mut redirect.by);
            by.chain([&mut slot.target])
        });
        for target in called.chain(further) {
            target.listed &= still(&target.address);
        }
        // what whoever called may, is asked anew each time he wants to
        if self.is_callers() {
            return;
        }
        let Some(talk) = &mut self.talk else { return };
        let target = self
            .slots
            .iter()
            .map(|slot| &slot.target)
            .find(|target| target.leg == talk.leg);
        let holds = target.is_some_and(|target| {
            let contacts = &self.request.digits.contacts;
            authority_of(&talk.peer, &target.address, target.listed, contacts) == Authority::Held
        });
        if talk.authority == Authority::Held && !holds {
            let why = "it is in no list of the panel any more".to_owned();
            talk.lose_authority(why, &mut self.out);
        }
    }

    /// True if the leg is one of this plan's.
    #[must_use]
    pub fn has_leg(&self, leg: LegId) -> bool {
        let further = self.request.further.iter().flatten();
        let mut targets = self.slots.iter().map(|slot| &slot.target).chain(further);
        targets.any(|target| target.leg == leg) || self.request.handover.spare.contains(&leg)
    }

    /// Which of the targets answered, counted from 0 over all rounds as they were given; known also when it is over.
    #[must_use]
    pub fn answered_by(&self) -> Option<usize> {
        self.slot(self.talk.as_ref()?.leg)
    }

    /// The winning leg.
    #[must_use]
    pub fn winner(&self) -> Option<LegId> {
        self.talk.as_ref().map(|t| t.leg)
    }

    /// True if whoever answered holds the call.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.over.is_none() && self.talk.as_ref().is_some_and(|t| t.held)
    }

    /// True if the winner's digits would count at this moment.
    #[must_use]
    pub fn has_authority(&self) -> bool {
        self.over.is_none() && self.talk.as_ref().is_some_and(|t| t.authority == Authority::Held)
    }

    /// How it ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.over
    }

    /// True if it is over and every leg has ended: it can be dropped.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.over.is_some() && self.slots.iter().all(|s| s.state == State::Ended)
    }

    /// Who talks, else who is called at this moment, as addresses.
    #[must_use]
    pub fn parties(&self) -> Vec<String> {
        if let Some(talk) = &self.talk {
            return vec![talk.peer.shown().to_owned()];
        }
        self.slots
            .iter()
            .filter(|s| matches!(s.state, State::Called(_)))
            .map(|s| s.target.address.clone())
            .collect()
    }

    /// Who has the call, and through which account; no account is the way to a direct peer. Where the network does not tell who
    /// answered, it is who was called.
    #[must_use]
    pub fn talker(&self) -> Option<(Option<AccountId>, Peer)> {
        let talk = self.talk.as_ref()?;
        let mut peer = talk.peer.clone();
        let slot = self.slots.iter().find(|slot| slot.target.leg == talk.leg);
        if let Some(slot) = slot.filter(|_| peer.address.is_empty()) {
            peer.address.clone_from(&slot.target.address);
        }
        Some((slot.and_then(|slot| slot.target.account.clone()), peer))
    }

    fn slot(&self, leg: LegId) -> Option<usize> {
        self.slots.iter().position(|s| s.target.leg == leg)
    }

    /// Those who are called to have the running call, and until when.
    fn heirs(&self) -> impl Iterator<Item = (usize, Instant)> + '_ {
        let rings = self.request.ring_time.max(HEIR_RINGS);
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.heir);
        slots.filter_map(move |(index, slot)| match slot.state {
            State::Called(since) => Some((index, since + rings)),
            State::Waiting | State::Won | State::Ending(_) | State::Ended => None,
        })
    }

    fn heirs_due(&mut self, now: Instant) {
        let due: Vec<usize> = self
            .heirs()
            .filter(|(_, at)| now >= *at)
            .map(|(i, _)| i)
            .collect();
        for index in due {
            self.end_slot(index, Cause::Cancelled);
            self.heir_lost(now, Cause::NoAnswer);
        }
    }

    fn leg(&mut self, now: Instant, event: LegEvent) {
        let about = event.about();
        let Some(index) = self.slot(about) else {
            return;
        };
        match event {
            LegEvent::Answered { leg, peer } => self.answered(now, index, leg, peer),
            LegEvent::AuthorityLost { leg, why } => {
                // whoever is asked for a key has the call with no right to open, if he takes it
                self.slots[index].target.barred |= self.slots[index].asked.is_some();
                if let Some(talk) = self.talk.as_mut().filter(|t| t.leg == leg) {
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
                if self.confirmed(now, index, press) {
                    return;
                }
                self.gate.press(
                    now,
                    press,
                    self.over.is_some(),
                    self.talk.as_mut(),
                    &self.request.digits,
                    &mut self.out,
                );
            }
            LegEvent::EarlyMedia { .. } => self.slots[index].early = !self.slots[index].heir,
            LegEvent::Ended { cause, leg, detail } => self.ended(now, index, leg, cause, detail),
            LegEvent::Held { held, leg } => {
                if let Some(talk) = self.talk.as_mut().filter(|t| t.leg == leg) {
                    talk.hold(now, held);
                }
            }
            // An incoming leg with a number of ours is the driver's mistake; it is no leg of this plan.
            LegEvent::Incoming { .. } => {}
            LegEvent::Redirected { at_pbx, target, .. } => {
                if matches!(self.slots[index].state, State::Called(_)) && !self.slots[index].heir {
                    self.redirected(index, Named { at_pbx, target });
                }
            }
            LegEvent::TakingOver {
                account, leg, peer, ..
            } => {
                self.taking_over(now, index, leg, account, &peer);
            }
            LegEvent::TransferAsked {
                at_pbx,
                replaces,
                target,
                ..
            } => self.transfer_asked(now, index, &Named { at_pbx, target }, replaces),
            LegEvent::Ringing { leg } => {
                if matches!(self.slots[index].state, State::Called(_)) {
                    self.slots[index].rang = true;
                    self.reached = true;
                    self.out.push_back(Output::Event(CallEvent::LegRinging { leg }));
                }
            }
        }
    }

    /// What a party may that answered this target.
    fn authority(&self, index: usize, peer: &Peer) -> Authority {
        let target = &self.slots[index].target;
        if target.barred {
            return Authority::Unlisted;
        }
        let contacts = &self.request.digits.contacts;
        authority_of(peer, &target.address, target.listed, contacts)
    }

    fn answered(&mut self, now: Instant, index: usize, leg: LegId, peer: Peer) {
        let authority = self.authority(index, &peer);
        let slot = &self.slots[index];
        match slot.state {
            State::Called(_) if slot.heir && self.over.is_none() => self.inherits(now, index, peer),
            State::Called(_) if self.over.is_none() => match slot.target.confirm {
                Some(key) => self.ask(now, index, key, peer),
                None => self.won(now, index, peer, None),
            },
            // who calls is who the call said; from somebody else on it has no right to open
            State::Won if slot.caller => {
                if let Some(talk) = &mut self.talk
                    && !peer.address.is_empty()
                    && !same_party(&peer.address, &talk.peer.address)
                {
                    talk.transfer(now, peer, Authority::Lost, &mut self.out);
                }
            }
            // The network names the party once more, after a transfer: authority follows the list.
            State::Won => {
                if let Some(talk) = &mut self.talk {
                    let lost = talk.authority != Authority::Held;
                    let named_again =
                        peer.trusted && !peer.address.is_empty() && authority == Authority::Held;
                    let from_here_on = if !lost && authority != Authority::Held {
                        Authority::Lost
                    } else if lost && named_again {
                        Authority::Held
                    } else {
                        talk.authority
                    };
                    talk.transfer(now, peer, from_here_on, &mut self.out);
                }
            }
            State::Ending(cause) => self.out.push_back(Output::Leg(LegCommand::End { leg, cause })),
            State::Waiting | State::Called(_) | State::Ended => {
                let cause = Cause::Cancelled;
                self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            }
        }
    }

    /// Whoever answered is asked for the key; the others ring on.
    fn ask(&mut self, now: Instant, index: usize, key: char, peer: Peer) {
        self.reached = true;
        let slot = &mut self.slots[index];
        slot.rang = true;
        if let Some(asked) = &mut slot.asked {
            // the network names him once more
            asked.peer = peer;
            return;
        }
        let leg = slot.target.leg;
        self.out.push_back(Output::Event(CallEvent::ConfirmAwaited {
            leg,
            peer: peer.shown().to_owned(),
        }));
        let asked = slot.asked.insert(Asked::new(now, key, peer));
        self.out.extend(asked.ask(now, leg));
    }

    /// Does this press take the call for somebody who was asked? Then it is no digit of the call.
    fn confirmed(&mut self, now: Instant, index: usize, press: Press) -> bool {
        let slot = &mut self.slots[index];
        let waits = self.over.is_none() && self.talk.is_none() && matches!(slot.state, State::Called(_));
        let Some(asked) = slot.asked.take_if(|asked| waits && asked.takes(press)) else {
            return false;
        };
        self.won(now, index, asked.peer, Some(press));
        true
    }

    fn won(&mut self, now: Instant, index: usize, peer: Peer, by: Option<Press>) {
        let authority = self.authority(index, &peer);
        let Target { address, leg, .. } = &self.slots[index].target;
        let leg = *leg;
        let peer = Peer {
            address: if peer.address.is_empty() {
                address.clone()
            } else {
                peer.address
            },
            ..peer
        };
        self.slots[index].state = State::Won;
        for other in 0..self.slots.len() {
            if other != index {
                self.end_slot(other, Cause::AnsweredElsewhere);
            }
        }
        let talk = Talk::new(now, leg, peer.clone(), authority, self.request.talk_limit);
        self.talk = Some(match by {
            Some(press) => talk.confirmed_by(now, press),
            None => talk,
        });
        self.out.push_back(Output::Event(CallEvent::Answered {
            leg,
            peer: peer.shown().to_owned(),
        }));
        self.out.push_back(Output::Won { leg, peer });
        self.out.push_back(Output::Leg(LegCommand::Connect { leg }));
        self.looks_in(now);
    }

    fn ended(&mut self, now: Instant, index: usize, leg: LegId, cause: Cause, detail: String) {
        let before = self.slots[index].state;
        if before == State::Ended {
            return;
        }
        self.slots[index].state = State::Ended;
        self.out
            .push_back(Output::Event(CallEvent::LegEnded { cause, detail, leg }));
        match before {
            // whoever handed the call on may hang up before it is taken
            State::Won if self.has_heir() => {}
            State::Won => self.finish(now, Outcome::Answered(cause), cause),
            State::Called(_) if self.slots[index].heir => self.heir_lost(now, cause),
            State::Called(_) if self.follow(now, index) => {}
            State::Called(_) if self.called_elsewhere(now, index, cause) => {}
            State::Called(_) => {
                self.reached |= !matches!(
                    cause,
                    Cause::Media | Cause::NotFound | Cause::Refused | Cause::Unavailable | Cause::Unreachable
                );
                self.call_next(now);
            }
            State::Ending(_) if std::mem::take(&mut self.slots[index].moves_on) => {
                if !self.follow(now, index) {
                    self.call_next(now);
                }
            }
            State::Waiting | State::Ending(_) | State::Ended => {}
        }
    }

    /// Calls a target through its next account where the one before did not get as far as the phone.
    fn called_elsewhere(&mut self, now: Instant, index: usize, cause: Cause) -> bool {
        let slot = &mut self.slots[index];
        let elsewhere = matches!(cause, Cause::Refused | Cause::Unreachable);
        if !elsewhere || slot.rang || slot.target.backups.is_empty() || self.over.is_some() {
            return false;
        }
        let (account, leg) = slot.target.backups.remove(0);
        (slot.target.account, slot.target.leg) = (Some(account), leg);
        slot.early = false;
        self.call(now, index);
        true
    }

    /// Calls whoever is next; ends the plan if nobody is left.
    fn call_next(&mut self, now: Instant) {
        if self.over.is_some() || self.talk.is_some() {
            return;
        }
        let busy = |s: &Slot| matches!(s.state, State::Called(_)) || s.moves_on;
        for index in 0..self.slots.len() {
            let one_rings = self.slots.iter().any(busy);
            if self.slots[index].state == State::Waiting
                && (self.request.strategy == Strategy::Parallel || !one_rings)
            {
                self.call(now, index);
            }
        }
        if self.slots.iter().any(busy) || self.resume.is_some() {
            return;
        }
        if self.request.further.is_empty() {
            let outcome = if self.reached {
                Outcome::NoAnswer
            } else {
                Outcome::Unreachable
            };
            self.finish(now, outcome, Cause::NoAnswer);
        } else {
            self.resume = Some(now + self.request.pause);
        }
    }

    /// The next round is due.
    fn begin_round(&mut self) {
        self.resume = None;
        if let Some(targets) = self.request.further.pop() {
            self.slots.extend(slots(targets));
        }
    }

    fn pressed_again(&mut self, now: Instant, next: bool) {
        if !self.has_next() {
            return;
        }
        if self.resume.is_some() {
            self.begin_round();
        } else if next {
            for index in 0..self.slots.len() {
                // a press passes over whom it named, too
                self.slots[index].moves_on = false;
                self.slots[index].redirects.clear();
                if matches!(self.slots[index].state, State::Called(_)) {
                    self.end_slot(index, Cause::Cancelled);
                    self.reached = true;
                }
            }
            if !self.slots.iter().any(|slot| slot.state == State::Waiting) {
                self.begin_round();
            }
        }
        self.call_next(now);
    }

    fn call(&mut self, now: Instant, index: usize) {
        let slot = &mut self.slots[index];
        slot.state = State::Called(now);
        let dialled = slot.dial.as_ref().unwrap_or(&slot.target.address).clone();
        self.out.push_back(Output::Event(CallEvent::LegOffered {
            leg: slot.target.leg,
            target: dialled.clone(),
        }));
        self.out.push_back(Output::Leg(LegCommand::Offer {
            account: slot.target.account.clone(),
            display: self.request.display.clone(),
            leg: slot.target.leg,
            line: self.request.line.clone(),
            manner: slot.target.manner.clone(),
            patience: (!slot.target.backups.is_empty()).then_some(PATIENCE),
            ring: self.request.ring,
            target: dialled,
        }));
    }

    fn end_slot(&mut self, index: usize, cause: Cause) {
        let slot = &mut self.slots[index];
        match slot.state {
            State::Waiting => slot.state = State::Ended,
            State::Called(_) | State::Won => {
                slot.state = State::Ending(cause);
                let leg = slot.target.leg;
                self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
            }
            State::Ending(_) | State::Ended => {}
        }
    }

    fn finish(&mut self, now: Instant, outcome: Outcome, cause: Cause) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(outcome);
        self.resume = None;
        self.request.further.clear();
        // A phone that still rings was not answered elsewhere, unless that is just what happened.
        let to_ringing = match cause {
            Cause::AnsweredElsewhere => Cause::AnsweredElsewhere,
            Cause::Busy
            | Cause::Cancelled
            | Cause::Declined
            | Cause::GatewayRestarted
            | Cause::Media
            | Cause::NoAnswer
            | Cause::Normal
            | Cause::NotFound
            | Cause::Refused
            | Cause::Released
            | Cause::TalkLimit
            | Cause::Unavailable
            | Cause::Unreachable => Cause::Cancelled,
        };
        for index in 0..self.slots.len() {
            let cause = if self.slots[index].state == State::Won {
                cause
            } else {
                to_ringing
            };
            self.end_slot(index, cause);
        }
        let talk_ms = self.talk.as_ref().map_or(0, |t| millis(now.since(t.answered)));
        self.out
            .push_back(Output::Event(CallEvent::Ended { cause, talk_ms }));
        self.out.push_back(Output::Over { outcome });
    }
}

fn slots(targets: Vec<Target>) -> Vec<Slot> {
    targets.into_iter().take(MAX_TARGETS).map(Slot::new).collect()
}
