//! Calls: the plan that each follows, and whose the line is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_access::{DigitCollector, KeyUse};
use gateway_call::{BridgePlan, CallPlan, IncomingPlan, Input as PlanInput, Outcome, Output as PlanOutput};
use gateway_core::{
    AccountId, AlarmId, CallEvent, Cause, DoorId, Event, Instant, LegCommand, LegEvent, LegId, LineCommand,
    LineId, OutputId, PanelEvent, PanelId, Peer, RingId, Tone,
};
use gateway_line::SeizeWhy;

use super::{Now, Site};
use crate::io::Output;

/// More calls than this at once are refused as busy; one that nobody of us ended may not grow without bound.
pub(super) const MAX_CALLS: usize = 64;
/// How often one call is handed on or redirected.
pub(super) const MAX_HANDOVERS: usize = 4;
/// A leg that was told to end and does not say so is forgotten after this: 64*T1 and some (RFC 3261 §17.1.1.2).
const DRAIN: Duration = Duration::from_secs(40);
/// Talk limit of a call to the door, unless the panel's is shorter.
pub(super) const INCOMING_TALK: Duration = Duration::from_secs(600);
/// Calls refused within a minute that stand in the journal, each with its end.
const REFUSED_TOLD: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);

macro_rules! both {
    ($self:expr, $plan:ident => $body:expr) => {
        match $self {
            Either::Bridge($plan) => $body,
            Either::Incoming($plan) => $body,
            Either::Outgoing($plan) => $body,
        }
    };
}

/// One call.
pub(super) struct Call {
    /// It is about this alarm: it is nobody's at a door, and its digits confirm and open nothing.
    pub(super) alarm: Option<AlarmId>,
    /// Somebody had this panel call, and nobody rang.
    pub(super) asked: Option<PanelId>,
    pub(super) began: Instant,
    pub(super) collector: DigitCollector,
    pub(super) doors: Vec<DoorId>,
    /// Somebody rang at the apartment's own door: whose the line is has nothing to do with it.
    pub(super) floor: bool,
    /// It began with a simulated press: it opens no real door.
    pub(super) injected: bool,
    pub(super) line: LineId,
    /// It does not get the line: whatever the plan says, no audio is put on it.
    pub(super) muted: bool,
    /// Outputs it opened that are not yet at rest.
    pub(super) opened: BTreeSet<OutputId>,
    pub(super) over_since: Option<Instant>,
    pub(super) panel: Option<PanelId>,
    pub(super) plan: Either,
    pub(super) simulated: bool,
}

pub(super) enum Either {
    Bridge(Box<BridgePlan>),
    Incoming(Box<IncomingPlan>),
    Outgoing(Box<CallPlan>),
}

impl Either {
    pub(super) fn handle_input(&mut self, now: Instant, input: PlanInput) {
        both!(self, plan => plan.handle_input(now, input));
    }

    /// Who called the door, as long as he has the call himself.
    pub(super) fn caller(&self) -> Option<&Peer> {
        match self {
            Self::Incoming(plan) => plan.caller(),
            Self::Bridge(_) | Self::Outgoing(_) => None,
        }
    }
}

impl Call {
    /// One that begins now, by nobody's press and about no alarm.
    pub(super) fn new(now: Instant, key: KeyUse, line: &LineId, doors: Vec<DoorId>, plan: Either) -> Self {
        Self {
            alarm: None,
            asked: None,
            began: now,
            collector: DigitCollector::new(key),
            doors,
            floor: false,
            injected: false,
            line: line.clone(),
            muted: false,
            opened: BTreeSet::new(),
            over_since: None,
            panel: None,
            plan,
            simulated: false,
        }
    }

    pub(super) fn has_leg(&self, leg: LegId) -> bool {
        both!(&self.plan, plan => plan.has_leg(leg))
    }

    pub(super) fn discard_before(&mut self, at: Instant) {
        both!(&mut self.plan, plan => plan.discard_before(at));
        self.collector.clear();
    }

    /// Drops a half-dialled code; codes may be others from here on.
    pub(super) fn forget_digits(&mut self, keys: KeyUse) {
        self.collector = DigitCollector::new(keys);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let plan = both!(&self.plan, plan => plan.poll_timeout());
        let drain = self.over_since.map(|since| since + DRAIN);
        [plan, drain, self.collector.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over_since.is_some()
    }

    pub(super) const fn panel(&self) -> Option<&PanelId> {
        self.panel.as_ref()
    }

    /// The panel whose line it is about, whoever began it.
    pub(super) fn at_panel(&self) -> Option<&PanelId> {
        match &self.plan {
            Either::Bridge(plan) => Some(plan.panel()),
            Either::Incoming(plan) => Some(&plan.request().panel),
            Either::Outgoing(_) => self.begun_at(),
        }
    }

    /// The panel that calls, be it that somebody rang there or that somebody had it call.
    pub(super) fn begun_at(&self) -> Option<&PanelId> {
        self.panel.as_ref().or(self.asked.as_ref())
    }

    pub(super) const fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Somebody rang at the apartment's own door: it has nothing to do with the panel's line.
    pub(super) const fn is_floor(&self) -> bool {
        self.floor
    }

    /// Nobody rang for it.
    pub(super) const fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) const fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn is_held(&self) -> bool {
        both!(&self.plan, plan => plan.is_held())
    }

    /// A call to the door that rings, and that nobody has answered.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(&self.plan, Either::Incoming(plan) if plan.is_ringing())
    }

    pub(super) const fn is_incoming(&self) -> bool {
        matches!(self.plan, Either::Bridge(_) | Either::Incoming(_))
    }

    /// Somebody who called is put through: it has nothing to do with the panel's line.
    pub(super) const fn is_bridged(&self) -> bool {
        matches!(self.plan, Either::Bridge(_))
    }

    pub(super) fn line(&self) -> &LineId {
        &self.line
    }

    pub(super) fn parties(&self) -> Vec<String> {
        both!(&self.plan, plan => plan.parties())
    }

    /// Who presses its keys, and by which account.
    pub(super) fn talker(&self) -> Option<(Option<AccountId>, Peer)> {
        both!(&self.plan, plan => plan.talker())
    }

    pub(super) fn is_talking(&self) -> bool {
        !self.is_over() && both!(&self.plan, plan => plan.winner().is_some())
    }

    pub(super) fn has_authority(&self) -> bool {
        both!(&self.plan, plan => plan.has_authority())
    }

    pub(super) fn winner(&self) -> Option<LegId> {
        both!(&self.plan, plan => plan.winner())
    }

    fn is_drained(&self, now: Instant) -> bool {
        both!(&self.plan, plan => plan.is_drained())
            || self.over_since.is_some_and(|since| now >= since + DRAIN)
    }
}

impl Site {
    /// Which of the targets of an outgoing call answered.
    pub(super) fn answered_by(&self, ring: RingId) -> Option<usize> {
        match &self.calls.get(&ring)?.plan {
            Either::Bridge(_) | Either::Incoming(_) => None,
            Either::Outgoing(plan) => plan.answered_by(),
        }
    }

    /// Plays a tone to whoever answered a call.
    pub(super) fn tone_to(&mut self, ring: RingId, tone: Tone) {
        if let Some(leg) = self.calls.get(&ring).and_then(Call::winner) {
            self.out
                .push_back(Output::Leg(LegCommand::PlayToLeg { leg, tone }));
        }
    }

    /// Who was on a list of a panel and is on none of them any more opens nothing from here on, and is handed no call.
    pub(super) fn narrow_lists(&mut self, now: Now) {
        let mut still = BTreeMap::new();
        for (ring, call) in &self.calls {
            if let (None, Some(panel)) = (&call.alarm, call.at_panel()) {
                let handover = self.handover(self.params.panels.get(panel));
                still.insert(*ring, (self.may_open_by_digits(panel), handover));
            }
        }
        for (ring, (still, handover)) in still {
            if let Some(call) = self.calls.get_mut(&ring) {
                both!(&mut call.plan, plan => plan.narrow(|address| still.contains(address), &handover));
            }
            self.run(now, ring);
        }
    }

    /// Is a refused call told of? A flood of them fills no journal.
    pub(super) fn tells_refusal(&mut self, now: Now) -> bool {
        let (since, count) = &mut self.refused_calls;
        if now.mono.since(*since) >= MINUTE {
            (*since, *count) = (now.mono, 0);
        }
        *count += 1;
        *count <= REFUSED_TOLD
    }

    pub(super) fn call_leg(&mut self, now: Now, ring: RingId, event: LegEvent) {
        self.plan_input(now, ring, PlanInput::Leg(event));
    }

    pub(super) fn cancel(&mut self, now: Now, ring: RingId, cause: Cause) {
        self.plan_input(now, ring, PlanInput::Cancel(cause));
    }

    pub(super) fn plan_input(&mut self, now: Now, ring: RingId, input: PlanInput) {
        if let Some(call) = self.calls.get_mut(&ring) {
            let before = call.winner();
            call.plan.handle_input(now.mono, input);
            // nobody ends what somebody else began to dial
            if !call.has_authority() || call.winner() != before {
                call.collector.clear();
            }
            self.run(now, ring);
        }
    }

    pub(super) fn call_timeout(&mut self, now: Now, ring: RingId) {
        let Some(call) = self.calls.get_mut(&ring) else {
            return;
        };
        both!(&mut call.plan, plan => plan.handle_timeout(now.mono));
        if let Some(entry) = call.collector.handle_timeout(now.mono) {
            self.dialled(now, ring, entry);
        }
        self.run(now, ring);
    }

    /// An output that a call opened rests again.
    pub(super) fn strike_ended(&mut self, now: Now, output: &OutputId) {
        let rings: Vec<RingId> = self
            .calls
            .iter_mut()
            .filter_map(|(ring, call)| call.opened.remove(output).then_some(*ring))
            .collect();
        for ring in rings {
            self.plan_input(now, ring, PlanInput::OpenedAndStrikeEnded);
        }
    }

    /// Carries out what a plan says.
    pub(super) fn run(&mut self, now: Now, ring: RingId) {
        while let Some(call) = self.calls.get_mut(&ring) {
            let simulated = call.simulated;
            let Some(output) = both!(&mut call.plan, plan => plan.poll_output()) else {
                break;
            };
            match output {
                PlanOutput::Digit { at, digit, party, .. } => self.digit(now, ring, at, digit, &party),
                PlanOutput::Event(event) => self.call_event(now, ring, event, simulated),
                PlanOutput::Leg(LegCommand::Connect { .. } | LegCommand::Listen { .. }) if call.muted => {}
                PlanOutput::Leg(command) => {
                    let has_it = talks_on(&command);
                    self.out.push_back(Output::Leg(command));
                    if let Some(leg) = has_it {
                        self.greet(ring, leg);
                        self.record_talk(ring, leg);
                    }
                }
                PlanOutput::LineTone(tone) => {
                    if !call.muted {
                        let line = call.line.clone();
                        self.out.push_back(Output::Line(line, LineCommand::Tone(tone)));
                    }
                }
                PlanOutput::Over { outcome } => self.over(now, ring, outcome),
                PlanOutput::WantsLine { pressed } => self.wants_line(now, ring, pressed),
                PlanOutput::Won { .. } => self.won(now, ring),
            }
        }
        if self
            .calls
            .get(&ring)
            .is_some_and(|call| call.is_drained(now.mono))
        {
            self.calls.remove(&ring);
        }
    }

    pub(super) fn call_event(&mut self, now: Now, ring: RingId, event: CallEvent, simulated: bool) {
        self.record(now, Event::Call(event), Some(ring), simulated);
    }

    /// Somebody answered: the call takes the line, or ends if it is in other hands.
    fn won(&mut self, now: Now, ring: RingId) {
        let Some(call) = self.calls.get_mut(&ring) else {
            return;
        };
        // a call to the door has it already or wants none; one about an alarm or a floor bell takes no line: nobody at the panel
        // has a part in it
        if call.is_incoming() || call.is_floor() || call.alarm.is_some() {
            return;
        }
        let (line, asked) = (call.line.clone(), call.asked.clone());
        let (why, may) = match &asked {
            Some(panel) => (SeizeWhy::Asked, self.is_callable(panel)),
            None => (SeizeWhy::OutgoingAnswered, true),
        };
        if asked.is_some() {
            self.yield_prompt(now, &line, "somebody talks there");
        }
        let refused = match self.lines.get_mut(&line) {
            Some(unit) if may && unit.ring == Some(ring) => unit.line.seize(now.mono, why).is_err(),
            Some(_) | None => true,
        };
        if let Some(call) = self.calls.get_mut(&ring).filter(|_| refused) {
            call.muted = true;
            call.plan
                .handle_input(now.mono, PlanInput::Cancel(Cause::Released));
        }
        self.drain_line(now, &line);
    }

    fn over(&mut self, now: Now, ring: RingId, outcome: Outcome) {
        let Some(call) = self.calls.get_mut(&ring) else {
            return;
        };
        call.over_since = Some(now.mono);
        call.collector.clear();
        let (line, panel, simulated) = (call.line.clone(), call.panel.clone(), call.simulated);
        if let Some(alarm) = call.alarm.clone() {
            self.alarm_call_over(now, &alarm, ring, outcome);
            return;
        }
        if let Some(panel) = panel {
            let event = PanelEvent::RingEnded {
                outcome: outcome.word().to_owned(),
            };
            self.record(now, Event::Panel(panel, event), Some(ring), simulated);
        }
        if self.lines.get(&line).is_some_and(|unit| unit.ring == Some(ring)) {
            self.hush_talk(now, &line, "the call ended");
        }
        if let Some(unit) = self.lines.get_mut(&line).filter(|u| u.ring == Some(ring)) {
            unit.ring = None;
            unit.line.release(now.mono);
            self.drain_line(now, &line);
        }
    }

    /// Calls that are not over, by ring.
    pub(super) fn live_calls(&self) -> BTreeMap<RingId, &Call> {
        self.calls
            .iter()
            .filter(|(_, call)| !call.is_over())
            .map(|(ring, call)| (*ring, call))
            .collect()
    }
}

/// The leg of whoever has the call by this.
const fn talks_on(command: &LegCommand) -> Option<LegId> {
    match command {
        LegCommand::Connect { leg } | LegCommand::Join { with: leg, .. } => Some(*leg),
        LegCommand::Answer { .. }
        | LegCommand::Divert { .. }
        | LegCommand::End { .. }
        | LegCommand::Listen { .. }
        | LegCommand::Offer { .. }
        | LegCommand::PlayToLeg { .. }
        | LegCommand::RefuseTransfer { .. }
        | LegCommand::RingBack { .. }
        | LegCommand::Ringing { .. }
        | LegCommand::Transfer { .. } => None,
    }
}
