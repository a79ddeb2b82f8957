//! Rings and calls: who is called, what digits mean, and whose the line is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_access::{CodeFrom, DigitCollector, DigitsFrom, Entry, InForce, KeyUse, OnJournalFault, Request};
use gateway_call::{
    BridgePlan, CallPlan, CallRequest, DigitPolicy, Handover, IncomingPlan, Input as PlanInput, Outcome,
    Output as PlanOutput, Purpose, Strategy, TalkLimit, Target,
};
use gateway_core::{
    AccountId, AlarmId, ButtonId, CallEvent, Cause, DoorId, Event, Instant, LegCommand, LegEvent, LegId,
    LineCommand, LineId, ListId, OutputId, PanelEvent, PanelId, Peer, Refusal, RingId, Tone,
};
use gateway_line::{PressAnswer, SeizeRefused, SeizeWhy};

use super::bridge::lists_of;
use super::{Now, Site};
use crate::io::Output;
use crate::params::{
    AlarmParams, Contact, DoorParams, LineParams, ListParams, PanelParams, TargetParams, Transfers,
};

/// More calls than this at once are refused as busy; one that nobody of us ended may not grow without bound.
pub(super) const MAX_CALLS: usize = 64;
/// How often one call is handed on or redirected.
pub(super) const MAX_HANDOVERS: usize = 4;
/// Most rounds of a list.
const MAX_ROUNDS: u32 = 10;
/// A leg that was told to end and does not say so is forgotten after this: 64*T1 and some (RFC 3261 §17.1.1.2).
const DRAIN: Duration = Duration::from_secs(40);
/// A talk window from here on is none: the list's limit alone counts.
const NO_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Time between the tones of a permanent talk.
const TONE_EVERY: Duration = Duration::from_secs(60);
/// Talk limit of a call to the door, unless the panel's is shorter.
pub(super) const INCOMING_TALK: Duration = Duration::from_secs(600);
/// Talk limit of a call about an alarm whose list has none.
const ALARM_TALK: Duration = Duration::from_secs(180);
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
    fn caller(&self) -> Option<&Peer> {
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

    pub(super) fn is_talking(&self) -> bool {
        !self.is_over() && both!(&self.plan, plan => plan.winner().is_some())
    }

    fn has_authority(&self) -> bool {
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

/// How an outgoing call began.
#[derive(Clone, Copy)]
pub(super) enum Began {
    /// Somebody had the panel call.
    Asked,
    /// Somebody rang at the apartment's own door.
    Floor,
    /// A visitor rang.
    Rang,
}

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

    /// Calls those of a button, and gives the line to the call unless it is about a floor bell.
    pub(super) fn begin_call(
        &mut self,
        now: Now,
        ring: RingId,
        (panel, button): (&PanelId, &ButtonId),
        line: &LineId,
        (began, simulated): (Began, bool),
    ) {
        let floor = matches!(began, Began::Floor);
        let doors = if floor {
            self.floor_doors(panel)
        } else {
            self.doors_of(panel)
        };
        let list = self.list_of(now, panel, button);
        let mut request = self.call_request(ring, panel, list, line, &doors);
        let (asked, rang) = match began {
            Began::Asked => (Some(panel.clone()), None),
            Began::Floor | Began::Rang => (None, Some(panel.clone())),
        };
        // whoever passes by does not wait for anybody, and is told who listens; at a floor bell nobody hears anything
        request.early_media &= rang.is_some() && !floor;
        request.look_in = asked.is_some();
        let plan = Either::Outgoing(Box::new(CallPlan::new(now.mono, request)));
        let call = Call {
            asked,
            floor,
            injected: simulated,
            muted: floor,
            panel: rang,
            simulated,
            ..Call::new(now.mono, self.access.key_use(), line, doors, plan)
        };
        if let Some(unit) = self.lines.get_mut(line).filter(|_| !floor) {
            unit.ring = Some(ring);
        }
        self.calls.insert(ring, call);
        self.run(now, ring);
    }

    /// Calls somebody about an alarm: `targets` of a list, in its order. The line says only by whose account.
    pub(super) fn call_about(
        &mut self,
        now: Now,
        alarm: &AlarmId,
        (params, list): (&AlarmParams, &ListParams),
        targets: &[TargetParams],
        injected: bool,
    ) -> Option<RingId> {
        let panel = self.params.panels.get(&params.panel)?;
        let line = panel.line.clone();
        let accounts = panel.accounts.clone();
        let ring = self.new_ring(now);
        let targets = self.targets(targets, &accounts, true);
        let request = CallRequest {
            digits: DigitPolicy {
                contacts: Vec::new(),
                mask: true,
            },
            display: params.name.clone(),
            early_media: false,
            // an alarm has rounds of its own
            further: Vec::new(),
            handover: Handover::default(),
            hang_up_after_open: false,
            line: line.clone(),
            look_in: false,
            pause: Duration::ZERO,
            purpose: Purpose::Alarm,
            ring,
            ring_time: list.ring,
            // each target rings for its time, and nobody at a panel waits for it
            ring_window: list.ring * 4,
            strategy: strategy(list),
            talk_limit: talk_limit(Some(list.talk_limit.unwrap_or(ALARM_TALK)), None),
            targets,
        };
        let plan = Either::Outgoing(Box::new(CallPlan::new(now.mono, request)));
        let call = Call {
            alarm: Some(alarm.clone()),
            injected,
            simulated: injected,
            ..Call::new(now.mono, self.access.key_use(), &line, Vec::new(), plan)
        };
        self.calls.insert(ring, call);
        Some(ring)
    }

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

    /// Targets as they are called. A name that nobody stands behind rings nobody; the driver says so as a fault.
    fn targets(&mut self, targets: &[TargetParams], accounts: &[AccountId], listed: bool) -> Vec<Target> {
        let mut all = Vec::new();
        for target in targets {
            let Some(meant) = self.meant(target) else {
                continue;
            };
            let mut through = match meant.account {
                Some(own) => vec![own],
                None if meant.direct => Vec::new(),
                None => accounts.to_vec(),
            }
            .into_iter();
            let account = through.next();
            all.push(Target {
                account,
                backups: through.map(|backup| (backup, self.new_leg())).collect(),
                address: meant.address,
                barred: !meant.vouched,
                confirm: target.confirm,
                leg: self.new_leg(),
                listed: listed && meant.vouched,
                manner: target.manner.clone(),
                name: target.name.clone().or_else(|| target.contact.clone()),
            });
        }
        all
    }

    pub(super) fn call_request(
        &mut self,
        ring: RingId,
        panel: &PanelId,
        list: Option<ListId>,
        line: &LineId,
        doors: &[DoorId],
    ) -> CallRequest {
        let panel = self.params.panels.get(panel).cloned();
        let list = list.and_then(|list| self.params.lists.get(&list)).cloned();
        let window = self
            .params
            .lines
            .get(line)
            .map_or(Duration::ZERO, |l| l.ring_window);
        let door = |id: &DoorId| self.params.doors.get(id);
        let listed = doors.iter().filter_map(door).any(|d| d.digits_by_list);
        let lists: Vec<_> = list.iter().collect();
        let contacts = self.heard(doors, &lists).into_iter().collect();
        let accounts = panel.as_ref().map(|p| p.accounts.clone()).unwrap_or_default();
        let all = list.as_ref().map(|l| l.targets.clone()).unwrap_or_default();
        let targets = self.targets(&all, &accounts, listed);
        let rounds = list.as_ref().map_or(1, |l| l.rounds).min(MAX_ROUNDS);
        let further = (1..rounds).map(|_| self.targets(&all, &accounts, listed));
        let further = further.collect();
        let (order, ring_time, hang_up, limit) = match &list {
            Some(list) => (
                strategy(list),
                list.ring,
                list.hang_up_after_open,
                list.talk_limit,
            ),
            None => (Strategy::Sequential, Duration::ZERO, false, None),
        };
        CallRequest {
            digits: self.digit_policy(contacts),
            handover: Handover {
                spare: (0..MAX_HANDOVERS).map(|_| self.new_leg()).collect(),
                ..self.handover(panel.as_ref())
            },
            early_media: panel.as_ref().is_some_and(|p| p.early_media),
            display: panel.map(|p| p.name).unwrap_or_default(),
            further,
            hang_up_after_open: hang_up,
            line: line.clone(),
            look_in: false,
            pause: list.as_ref().map_or(Duration::ZERO, |l| l.again),
            purpose: Purpose::Visitor,
            ring,
            ring_time,
            ring_window: window,
            strategy: order,
            talk_limit: talk_limit(limit, self.params.lines.get(line)),
            targets,
        }
    }

    /// To whom a call of a panel may be handed: with `listed` to those in any list of it. Not to who has to confirm that he
    /// takes a call, nor to who may only call and open, which he may at some times only. Without legs for them.
    pub(super) fn handover(&self, panel: Option<&PanelParams>) -> Handover {
        let Some(panel) = panel.filter(|panel| panel.transfers != Transfers::Refuse) else {
            return Handover::default();
        };
        let targets = lists_of(panel)
            .filter_map(|list| self.params.lists.get(list))
            .flat_map(|l| &l.targets);
        let (asked, free): (Vec<_>, Vec<_>) = targets.partition(|target| target.confirm.is_some());
        let addresses = |targets: &[&TargetParams]| -> BTreeSet<String> {
            let meant = targets.iter().filter_map(|target| self.meant(target));
            meant
                .filter(|meant| meant.vouched)
                .map(|meant| meant.address)
                .collect()
        };
        let asked = addresses(&asked);
        let known: BTreeSet<String> = addresses(&free).difference(&asked).cloned().collect();
        Handover {
            any: panel.transfers == Transfers::Any,
            known: self.spelled(known).into_iter().collect(),
            spare: Vec::new(),
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

    /// Addresses of those who may open a door of this panel by digits, whichever of its lists they are called by.
    pub(super) fn may_open_by_digits(&self, panel: &PanelId) -> BTreeSet<String> {
        let Some(panel) = self.params.panels.get(panel) else {
            return BTreeSet::new();
        };
        let lists: Vec<_> = lists_of(panel)
            .filter_map(|list| self.params.lists.get(list))
            .collect();
        self.heard(&panel.doors, &lists)
    }

    /// Addresses whose digits doors listen to: their callers and, where they listen to lists, whoever these call.
    fn heard(&self, doors: &[DoorId], lists: &[&ListParams]) -> BTreeSet<String> {
        let doors: Vec<_> = doors.iter().filter_map(|id| self.params.doors.get(id)).collect();
        let callers = doors.iter().flat_map(|door| &door.callers);
        let mut heard: BTreeSet<String> = callers.map(|caller| caller.address.clone()).collect();
        if doors.iter().any(|door| door.digits_by_list) {
            let targets = lists.iter().flat_map(|list| &list.targets);
            let meant = targets.filter_map(|target| self.meant(target));
            heard.extend(meant.filter(|meant| meant.vouched).map(|meant| meant.address));
        }
        self.spelled(heard)
    }

    /// Addresses in every way in which the network may write them.
    fn spelled(&self, addresses: BTreeSet<String>) -> BTreeSet<String> {
        match self.params.numbers {
            None => addresses,
            Some(plan) => addresses
                .iter()
                .flat_map(|address| plan.spellings(address))
                .collect(),
        }
    }

    /// Whom a target means at this moment: himself, or who stands under its name.
    pub(super) fn meant(&self, target: &TargetParams) -> Option<Contact> {
        let Some(name) = &target.contact else {
            return Some(Contact {
                account: target.account.clone(),
                address: target.address.clone(),
                direct: target.direct,
                vouched: true,
            });
        };
        let found = self.contacts.get(name)?.clone();
        let account = if found.direct {
            None
        } else {
            target.account.clone().or(found.account)
        };
        Some(Contact { account, ..found })
    }

    /// Does anybody stand behind a target at this moment?
    pub(super) fn is_known(&self, target: &TargetParams) -> bool {
        self.meant(target).is_some()
    }

    pub(super) fn digit_policy(&self, contacts: Vec<String>) -> DigitPolicy {
        let mask = self
            .params
            .codes
            .values()
            .any(|c| c.from_call && c.digits.len() > 1);
        // codes and PINs of people stand nowhere in clear
        let mask = mask || !self.access.directory().is_empty();
        DigitPolicy { contacts, mask }
    }

    /// Counts from 1; the driver counts calls that come in from far above. A number that is taken all the same is
    /// passed over: two legs of one number would share their digits.
    pub(super) fn new_leg(&mut self) -> LegId {
        loop {
            self.next_leg += 1;
            let leg = LegId(self.next_leg);
            if !self.calls.values().any(|call| call.has_leg(leg)) {
                return leg;
            }
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

    /// Whoever is refused whatever he shows must not learn from it what would be right: his tries do not count.
    pub(super) fn refuses_all(&self, door: &DoorId) -> bool {
        let refuses = |door: &DoorParams| door.on_journal_fault == OnJournalFault::Refuse;
        self.access.lockdown_of(door).is_some()
            || self.journal.is_err() && self.params.doors.get(door).is_some_and(refuses)
    }

    fn digit(&mut self, now: Now, ring: RingId, at: Instant, digit: char, party: &str) {
        if let Some(alarm) = self.calls.get(&ring).and_then(|call| call.alarm.clone()) {
            self.alarm_digit(now, &alarm, ring, (at, digit), party);
            return;
        }
        let doors = self
            .calls
            .get(&ring)
            .map(|call| call.doors.clone())
            .unwrap_or_default();
        let doors: Vec<DoorId> = doors.into_iter().filter(|door| !self.refuses_all(door)).collect();
        let access = &self.access;
        let Some(call) = self.calls.get_mut(&ring) else {
            return;
        };
        // an entry that ends at its last key would tell that it is right
        let locked = access.is_dialler_locked(now.mono, &dialled_by(call));
        let caller = call.plan.caller();
        let may_open = !doors.is_empty();
        let entries = call.collector.push(at, digit, |dialled| {
            let mut doors = doors.iter();
            !locked
                && (doors.any(|door| access.is_code(door, CodeFrom::Call, dialled))
                    || may_open && caller.is_some_and(|peer| access.is_caller_pin(peer, dialled)))
        });
        for entry in entries {
            self.dialled(now, ring, entry);
        }
    }

    /// A complete code of a call: for the first door of the panel that it could open, else for the main one.
    fn dialled(&mut self, now: Now, ring: RingId, entry: Entry) {
        let Some(call) = self.calls.get(&ring) else {
            return;
        };
        let digits = entry.digits.reveal();
        let context = self.context(now);
        let caller = call.plan.caller();
        let by_pin = |door: &&DoorId| {
            caller.is_some_and(|peer| self.access.is_caller_pin_at(&context, door, peer, digits))
        };
        let mut doors = call.doors.iter();
        let by_code = doors.find(|door| self.access.is_code(door, CodeFrom::Call, digits));
        let meant = by_code
            .or_else(|| call.doors.iter().find(by_pin))
            .or(call.doors.first())
            .cloned();
        let (Some(door), Some(_)) = (meant, call.winner()) else {
            return;
        };
        let winner = call.has_authority();
        let from = dialled_by(call);
        let injected = call.injected;
        let request = Request::Digits {
            at: entry.at,
            digits: entry.digits,
            door,
            from,
            ring: Some(ring),
            winner,
        };
        let opened = self.open(now, request, injected).ok();
        self.tell_dialler(now, ring, opened);
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

/// Who presses keys in a call.
pub(super) fn dialled_by(call: &Call) -> DigitsFrom {
    let (account, peer) = both!(&call.plan, plan => plan.talker()).unwrap_or_default();
    if call.plan.caller().is_some() {
        return DigitsFrom::Caller { account, peer };
    }
    DigitsFrom::Called {
        account,
        listed: call.has_authority(),
        peer,
    }
}

const fn strategy(list: &ListParams) -> Strategy {
    if list.parallel {
        Strategy::Parallel
    } else {
        Strategy::Sequential
    }
}

pub(super) fn refusal(why: SeizeRefused) -> Refusal {
    match why.word() {
        "line-busy" => Refusal::LineBusy,
        _ => Refusal::Fault,
    }
}

/// The shorter of the list's limit and the panel's window.
pub(super) fn talk_limit(limit: Option<Duration>, line: Option<&LineParams>) -> TalkLimit {
    let window = line.map_or(NO_WINDOW, |l| l.talk_window);
    let window = (window < NO_WINDOW && !window.is_zero()).then_some(window);
    match (limit, window) {
        (Some(limit), Some(window)) => TalkLimit::After(limit.min(window)),
        (Some(one), None) | (None, Some(one)) => TalkLimit::After(one),
        (None, None) => TalkLimit::Permanent {
            tone_every: TONE_EVERY,
        },
    }
}
