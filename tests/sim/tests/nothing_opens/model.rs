//! What may open what: written anew from the invariants, not from the site's code.
//!
//! The model hears every input and sees every command to legs. From them it says which openings have a cause
//! at this moment. It allows more than the gateway does in places (it knows no lock-outs and no arbitration of
//! lines), never less: an opening that it cannot explain is one that happened by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_access::GrantParts;
use gateway_core::{
    AlarmEvent, Bell, Command, CommandEvent, CommandRequest, DigitVia, DoorEvent, DoorGroupId, DoorId,
    Envelope, Event, Factor, GatewayEvent, Given, InputEvent, InputId, Instant, LegCommand, LegEvent, LegId,
    LineId, LineSignal, PanelEvent, PanelId, Peer, ReaderId, RingId, Signal, SignalKind, Subject,
};
use gateway_site::rules::{Action, Rule};
use gateway_site::{
    Answer, CallerAction, CallerParams, GuardReport, Input, LockOwner, PanelParams, SiteParams, When,
};
use sim::{id, ms, secs, wall};

/// A reason for one opening.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    door: DoorId,
    factor: Factor,
    /// A repeated wish to leave may come until then, even if nobody presses any more.
    grace: Option<Instant>,
    /// Set if the input must still be active when it opens.
    held: Option<InputId>,
    /// In which kind of talk it was dialled.
    talk: Option<&'static str>,
    /// The input whose wish is repeated.
    repeats: Option<InputId>,
    /// `None`: for as long as the input is held.
    until: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Leg {
    answered: Option<Instant>,
    /// The gateway has answered it, who called the door.
    asked: bool,
    authority: bool,
    /// Is put through to those of a list, and gives no order himself.
    bridged: bool,
    caller: Option<Peer>,
    ended: bool,
    /// What the panel does with such a call, besides answering it.
    fate: Option<CallerAction>,
    /// The word for it, if it was answered by a press or after a time.
    manner: &'static str,
    ring: RingId,
    target: String,
    told_to_end: bool,
    via: Option<DigitVia>,
}

#[derive(Clone, Debug)]
struct Ring {
    /// Somebody is put through.
    bridge: bool,
    doors: Vec<DoorId>,
    injected: bool,
    listed: bool,
    winner: Option<LegId>,
}

/// What the model knows.
pub(crate) struct Model {
    /// The fire alarm stands; true if it is an injected one.
    alarm: Option<bool>,
    /// Who called is said in this step to be answered, before the gateway has answered him: it does what is due first.
    before_its_time: Option<(Instant, LegId, Peer)>,
    /// In this step somebody calls this panel, who is put through.
    bridging: Option<(LegId, PanelId)>,
    causes: Vec<Cause>,
    discard_before: Instant,
    /// Where the command of this step ends that who rings is let in. The gateway may refuse it.
    ending: Option<PanelId>,
    guard: bool,
    ids: BTreeMap<String, Instant>,
    incoming: u64,
    inputs: BTreeMap<InputId, bool>,
    journal: bool,
    keys: BTreeMap<ReaderId, String>,
    /// Inputs whose last edge to active was old news.
    late: BTreeSet<InputId>,
    legs: BTreeMap<LegId, Leg>,
    /// Inputs whose edge is too old to open anything but for who wants out.
    old: BTreeSet<InputId>,
    /// What the journal says is locked down; `None` is the whole site.
    lockdowns: BTreeSet<Option<DoorGroupId>>,
    params: SiteParams,
    /// A new ring may begin in this step; true if it is an injected one.
    press: Option<bool>,
    ready: bool,
    rings: BTreeMap<RingId, Ring>,
    /// Panels whose rings open, each until then.
    rings_open: BTreeMap<PanelId, Instant>,
    second: bool,
    /// Real exits that must open in this step.
    must: BTreeSet<DoorId>,
    /// How often a door opened by keys, in each kind of talk.
    pub(crate) opened_in: BTreeMap<&'static str, u32>,
    started: Instant,
    stopping: bool,
    /// Exits that the guard did not open, with the end of one strike time since.
    unfulfilled: Vec<(DoorId, Instant)>,
}

impl Model {
    pub(crate) fn new(params: SiteParams, now: Instant) -> Self {
        Self {
            alarm: None,
            before_its_time: None,
            bridging: None,
            causes: Vec::new(),
            discard_before: Instant::ZERO,
            ending: None,
            guard: false,
            ids: BTreeMap::new(),
            incoming: 0,
            inputs: BTreeMap::new(),
            journal: true,
            keys: BTreeMap::new(),
            late: BTreeSet::new(),
            legs: BTreeMap::new(),
            lockdowns: BTreeSet::new(),
            old: BTreeSet::new(),
            params,
            press: None,
            ready: false,
            rings: BTreeMap::new(),
            rings_open: BTreeMap::new(),
            second: false,
            must: BTreeSet::new(),
            opened_in: BTreeMap::new(),
            started: now,
            stopping: false,
            unfulfilled: Vec::new(),
        }
    }

    /// A new life: only the ids of commands, the lockdowns and the fire alarm outlive the old one.
    pub(crate) fn restart(&mut self, now: Instant) {
        let (alarm, ids) = (self.alarm, std::mem::take(&mut self.ids));
        let lockdowns = std::mem::take(&mut self.lockdowns);
        let opened_in = std::mem::take(&mut self.opened_in);
        *self = Self {
            alarm,
            ids,
            lockdowns,
            opened_in,
            ..Self::new(self.params.clone(), now)
        };
    }

    pub(crate) fn reload(&mut self, now: Instant, params: SiteParams) {
        // An input whose kind changed is another input.
        let old = std::mem::replace(&mut self.params, params);
        let kind = |params: &SiteParams, input: &InputId| params.inputs.get(input).map(|i| i.simulated);
        self.inputs
            .retain(|input, _| kind(&self.params, input) == kind(&old, input));
        self.press = None;
        let doors =
            |params: &SiteParams, panel: &PanelId| params.panels.get(panel).map(|of| of.doors.clone());
        let rings_open = std::mem::take(&mut self.rings_open);
        let stay = rings_open.into_iter().filter(|(panel, _)| {
            self.lets_in_rings(panel) && doors(&self.params, panel) == doors(&old, panel)
        });
        self.rings_open = stay.collect();
        // An old level that must still hold counts for the doors that are there when it has held.
        self.causes.retain(|c| c.held.is_none() || c.grace.is_some());
        for input in self.late.clone() {
            let simulated = self.params.inputs.get(&input).is_some_and(|i| i.simulated);
            self.acts(now, &input, simulated, true, false);
        }
        self.press = None;
    }

    fn real(&self, door: &DoorId) -> bool {
        let output = self.params.doors.get(door).and_then(|d| d.output.as_ref());
        !output.is_some_and(|o| self.params.outputs.get(o).is_some_and(|o| o.simulated))
    }

    fn cause(&mut self, now: Instant, factor: Factor, door: DoorId, simulated: bool) {
        if self.params.doors.contains_key(&door) && !(simulated && self.real(&door)) {
            self.causes.push(Cause {
                door,
                factor,
                grace: None,
                held: None,
                talk: None,
                repeats: None,
                until: Some(now),
            });
        }
    }

    /// Somebody may be let in at this moment, as far as the gateway itself is concerned.
    fn lets_in(&self) -> bool {
        self.ready && !self.stopping && self.guard
    }

    /// Hears an input before the gateway does.
    pub(crate) fn hear(&mut self, now: Instant, input: &Input) {
        self.before_its_time = None;
        self.bridging = None;
        self.ending = None;
        self.press = None;
        self.must.clear();
        self.causes.retain(|c| c.until.is_none_or(|until| until >= now));
        match input {
            Input::Command { request, .. } => self.command(now, request),
            Input::Guard(report) => match report {
                GuardReport::Down { .. } | GuardReport::Restarts { .. } => self.guard = false,
                GuardReport::Up { .. } => {
                    self.guard = true;
                    // the next guard is asked once more
                    for (door, until) in std::mem::take(&mut self.unfulfilled) {
                        if until > now {
                            self.cause(now, Factor::Rex, door, false);
                        }
                    }
                }
                GuardReport::Energised { .. }
                | GuardReport::Failed { .. }
                | GuardReport::LetGo { .. }
                | GuardReport::MayHaveOpened { .. }
                | GuardReport::Released { .. }
                // nobody's doing: it gives nobody anything
                | GuardReport::Unasked { .. }
                // refusing more is no opening
                | GuardReport::Usable { .. }
                | GuardReport::Wired { .. } => {}
            },
            Input::Journal { ok, .. } => self.journal = *ok,
            Input::Leg(event) => self.leg(now, event),
            Input::LoopGap { gap } if *gap > ms(500) => {
                self.discard_before = now;
                self.keys.clear();
            }
            Input::Ready => self.ready = true,
            Input::SecondInstance(instance) => self.second = instance.is_some(),
            Input::ShutDown => self.stopping = true,
            Input::Signal(signal) => self.signal(now, signal),
            Input::Account { .. }
            | Input::AddressTold(_)
            | Input::ClockStep { .. }
            | Input::Contacts(_)
            | Input::LoopGap { .. }
            | Input::Message { .. }
            | Input::People(_)
            | Input::Recorded { .. }
            | Input::Quality { .. }
            | Input::Said { .. }
            | Input::Stranger { .. }
            | Input::UseKept { .. } => {}
        }
    }

    /// Nobody gave an input: time passed.
    pub(crate) fn hear_time(&mut self, now: Instant) {
        self.before_its_time = None;
        self.bridging = None;
        self.press = None;
        self.must.clear();
        self.causes.retain(|c| c.until.is_none_or(|until| until >= now));
    }

    /// The guard did not take a Grant of the exit: it may be asked for again for a while.
    pub(crate) fn may_retry(&mut self, now: Instant, grant: &GrantParts) {
        if grant.factor == Factor::Rex {
            let repeats = if let Subject::Input(input) = &grant.subject {
                Some(input.clone())
            } else {
                None
            };
            let pressed = repeats
                .clone()
                .filter(|input| self.inputs.get(input) == Some(&true));
            let strike = self
                .params
                .doors
                .get(&grant.door)
                .map_or(ms(0), |door| door.strike);
            // after the pause of a repetition, however late the main loop is: an exit no longer than its door would be open
            let grace = now + strike.max(ms(600));
            self.unfulfilled.push((grant.door.clone(), now + strike));
            self.causes.push(Cause {
                door: grant.door.clone(),
                factor: grant.factor,
                grace: Some(grace),
                until: pressed.is_none().then_some(grace),
                held: pressed,
                talk: None,
                repeats,
            });
        }
    }

    /// Sees a command to a leg.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn sees(&mut self, command: &LegCommand) -> Result<(), String> {
        match command {
            LegCommand::Offer {
                leg,
                line,
                ring,
                target,
                ..
            } => {
                let known = self.rings.contains_key(ring);
                if let Some((caller, panel)) = self.bridging.take_if(|_| !known) {
                    // the caller's own number says which ring it is
                    let mut ring_of = self.ring_of(self.params.panels.get(&panel), false);
                    ring_of.bridge = true;
                    self.rings.insert(*ring, ring_of);
                    if let Some(caller) = self.legs.get_mut(&caller) {
                        caller.ring = *ring;
                    }
                } else if !known {
                    let Some(injected) = self.press else {
                        return Err(format!("{target} is called and nobody pressed"));
                    };
                    let ring_of = self.ring_at(line, injected);
                    self.rings.insert(*ring, ring_of);
                }
                let offered = Leg {
                    answered: None,
                    asked: false,
                    authority: false,
                    bridged: false,
                    caller: None,
                    ended: false,
                    fate: None,
                    manner: "called",
                    ring: *ring,
                    target: target.clone(),
                    told_to_end: false,
                    via: None,
                };
                if self.legs.insert(*leg, offered).is_some() {
                    return Err(format!("{leg} is used twice"));
                }
            }
            LegCommand::Connect { leg } => {
                let won = |l: &Leg| self.rings.get(&l.ring).and_then(|r| r.winner) == Some(*leg);
                if !self.legs.get(leg).is_some_and(won) {
                    return Err(format!("{leg} gets the line without having won"));
                }
            }
            LegCommand::End { leg, .. } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.told_to_end = true;
                }
            }
            LegCommand::Answer { leg: number } => {
                let press = self.press;
                let leg = self.legs.get_mut(number).filter(|leg| leg.caller.is_some());
                let Some(leg) = leg else {
                    return Err(format!("{number} is answered and did not call"));
                };
                let ring = self.rings.get_mut(&leg.ring);
                let Some(ring) = ring.filter(|ring| !leg.bridged || ring.winner.is_some()) else {
                    return Err(format!("{number} is answered before anybody of the list has"));
                };
                if matches!(leg.fate, Some(CallerAction::Divert(_) | CallerAction::Refuse(_)))
                    || leg.told_to_end
                {
                    return Err(format!("{number} is answered and was to be refused"));
                }
                leg.asked = true;
                if let Some(injected) = press.filter(|_| !leg.bridged) {
                    // whoever pressed has a part in it
                    ring.injected |= injected;
                    leg.manner = "answered by a press";
                }
                let told = self.before_its_time.take_if(|(_, told, _)| told == number);
                if let (Some((now, number, peer)), Some(mut leg)) = (told, self.legs.get(number).cloned()) {
                    self.answered(now, number, &mut leg, &peer);
                    self.legs.insert(number, leg);
                }
            }
            LegCommand::Divert { leg: number, .. } => {
                let leg = self.legs.get_mut(number);
                match leg.filter(|leg| matches!(leg.fate, Some(CallerAction::Divert(_)))) {
                    Some(leg) => leg.told_to_end = true,
                    None => return Err(format!("{number} is sent elsewhere and should not be")),
                }
            }
            LegCommand::Join { leg, with } => {
                let caller = self.legs.get(leg).filter(|leg| leg.bridged);
                let ring = caller.and_then(|caller| self.rings.get(&caller.ring));
                if ring.and_then(|ring| ring.winner) != Some(*with) {
                    return Err(format!("{leg} talks with {with}, who has not answered him"));
                }
            }
            LegCommand::PlayToLeg { .. }
            | LegCommand::Listen { .. }
            | LegCommand::RefuseTransfer { .. }
            | LegCommand::RingBack { .. }
            | LegCommand::Ringing { .. }
            | LegCommand::Transfer { .. } => {}
        }
        Ok(())
    }

    fn ring_at(&self, line: &LineId, injected: bool) -> Ring {
        self.ring_of(self.params.panels.values().find(|p| p.line == *line), injected)
    }

    fn ring_of(&self, panel: Option<&PanelParams>, injected: bool) -> Ring {
        let doors = panel.map(|p| p.doors.clone()).unwrap_or_default();
        let listed = doors
            .iter()
            .filter_map(|d| self.params.doors.get(d))
            .any(|d| d.digits_by_list);
        Ring {
            bridge: false,
            doors,
            injected,
            listed,
            winner: None,
        }
    }

    /// Reads what the gateway records.
    pub(crate) fn told(&mut self, now: Instant, envelope: &Envelope) {
        let event = &envelope.event;
        if let Event::Alarm(_, AlarmEvent::Called { call, .. }) = event {
            // it is about no door
            let ring = Ring {
                bridge: false,
                doors: Vec::new(),
                injected: false,
                listed: true,
                winner: None,
            };
            self.rings.insert(*call, ring);
        }
        self.rules(now, envelope);
        if let Event::Gateway(GatewayEvent::FireAlarm { active, .. }) = event {
            // no alarm without its input
            let asked = self.causes.iter().any(|cause| cause.factor == Factor::Fire);
            self.alarm = (*active && asked).then_some(envelope.simulated);
            // while a late reading of it must still hold, the next alarm may be its doing
            self.causes
                .retain(|cause| cause.factor != Factor::Fire || !*active && cause.held.is_some());
        }
        if let Event::Command(CommandEvent::Accepted { .. }) = event
            && let Some(panel) = self.ending.take()
        {
            self.rings_open.remove(&panel);
        }
        if let Event::Gateway(GatewayEvent::Lockdown { active, group, .. }) = event {
            if *active {
                self.lockdowns.insert(group.clone());
                let locked =
                    |of: &PanelParams| of.doors.first().is_some_and(|door| self.is_locked_down(door));
                let ended = self.params.panels.iter().filter(|(_, of)| locked(of));
                for panel in ended.map(|(panel, _)| panel.clone()).collect::<Vec<_>>() {
                    self.rings_open.remove(&panel);
                }
            } else {
                self.lockdowns.remove(group);
            }
        }
    }

    /// Somebody came in, rings, or is noticed: a rule that waits for it may open.
    fn rules(&mut self, now: Instant, envelope: &Envelope) {
        let leaves = |factor: &Factor| matches!(factor, Factor::Fire | Factor::Rex | Factor::Schedule);
        let (kind, source) = if let Event::Door(door, DoorEvent::Granted { factor, .. }) = &envelope.event
            && !leaves(factor)
        {
            ("door.granted", door.to_string())
        } else if let Event::Input(input, InputEvent::Active {}) = &envelope.event
            && !self.old.contains(input)
        {
            ("input.active", input.to_string())
        } else if let Event::Panel(panel, PanelEvent::Ring { .. }) = &envelope.event {
            ("panel.ring", panel.to_string())
        } else {
            return;
        };
        if !self.lets_in() {
            return;
        }
        let fits = |rule: &&Rule| rule.on.kinds.contains(kind) && rule.on.sources.contains(&source);
        let rules: Vec<Rule> = self.params.rules.values().filter(fits).cloned().collect();
        for action in rules.into_iter().flat_map(|rule| rule.actions) {
            if let Action::Open(door) = action {
                self.cause(now, Factor::Rule, door, envelope.simulated);
            }
        }
    }

    fn is_locked_down(&self, door: &DoorId) -> bool {
        self.lockdowns.iter().any(|group| match group {
            None => true,
            Some(group) => {
                let named = self.params.door_groups.get(group);
                named.is_some_and(|named| named.doors.contains(door))
            }
        })
    }

    /// Explains an opening, using its cause up.
    ///
    /// # Errors
    /// If it has none.
    pub(crate) fn explain(&mut self, grant: &GrantParts) -> Result<(), String> {
        self.must.remove(&grant.door);
        if !matches!(grant.factor, Factor::Fire | Factor::Rex) && self.is_locked_down(&grant.door) {
            return Err(format!("{grant:?} under a lockdown"));
        }
        if grant.factor == Factor::Fire {
            let opens = self
                .alarm
                .is_some_and(|injected| !(injected && self.real(&grant.door)));
            return opens
                .then_some(())
                .ok_or_else(|| format!("{grant:?} without a fire alarm"));
        }
        let cause = self
            .causes
            .iter()
            .position(|c| c.door == grant.door && c.factor == grant.factor);
        match cause {
            Some(at) => {
                if let Some(talk) = self.causes.remove(at).talk {
                    *self.opened_in.entry(talk).or_default() += 1;
                }
                Ok(())
            }
            None => Err(format!("nobody wanted {grant:?}; causes: {:?}", self.causes)),
        }
    }

    /// Exits that were used in this step and did not open.
    pub(crate) fn kept_in(&self) -> &BTreeSet<DoorId> {
        &self.must
    }

    fn command(&mut self, now: Instant, request: &CommandRequest) {
        if let Command::EndRingToOpen { panel } = &request.command {
            self.ending = Some(panel.clone());
        }
        let key = format!("{} {}", request.origin.subject, request.id);
        let known = self
            .ids
            .get(&key)
            .is_some_and(|before| now.since(*before) < secs(22));
        // who waits for the answer may send again what a fault refused
        let waits = matches!(request.origin.factor, Factor::Api | Factor::Web);
        // nor is one remembered that a faulty line refuses, and lines are not modelled
        let by_line = matches!(
            request.command,
            Command::Announce { .. } | Command::Call { .. } | Command::Press { .. }
        );
        if known || !waits || self.journal && self.guard && !by_line {
            self.ids.insert(key, now);
        }
        let news = match request.given {
            Given::At(at) => {
                let (age, ahead) = (wall(now).duration_since(at), at.duration_since(wall(now)));
                let age = Duration::try_from(age).unwrap_or_default();
                let ahead = Duration::try_from(ahead).unwrap_or_default();
                age <= secs(10)
                    && ahead <= secs(2)
                    && age <= now.since(self.started)
                    && (self.discard_before == Instant::ZERO || at >= wall(self.discard_before))
            }
            Given::Live(arrived) => now.since(arrived) <= secs(10) && arrived >= self.discard_before,
            Given::Undated => false,
        };
        let sound = self.ready && !self.stopping && self.journal && !self.second;
        if sound && !known && news && !request.stale_by_transport {
            self.rings_to_open(now, &request.command);
        }
        let fit = sound && self.guard;
        if known || !news || request.stale_by_transport || !fit {
            // A press needs no guard, and it must not be news less than an opening; nor does a call that nobody rang for.
            let is_news = !known && news && !request.stale_by_transport;
            self.press = if let Command::Call { panel, .. } = &request.command {
                self.is_toy(panel).filter(|_| is_news)
            } else {
                (is_news && matches!(request.command, Command::Press { .. })).then_some(true)
            };
            return;
        }
        match &request.command {
            Command::Call { panel, .. } => self.press = self.is_toy(panel),
            Command::Announce { .. }
            | Command::ConfirmAlarm { .. }
            | Command::EndHold { .. }
            | Command::EndLockdown { .. }
            | Command::EndQuiet { .. }
            | Command::EndRingToOpen { .. }
            | Command::HangUp { .. }
            | Command::Hold { .. }
            | Command::Lockdown { .. }
            | Command::Quiet { .. }
            | Command::ResetFire
            | Command::ResetPassback { .. }
            | Command::RingToOpen { .. }
            | Command::SendCard { .. }
            | Command::SetRelay { .. }
            | Command::Unread { .. } => {}
            Command::Open { door } | Command::OpenFor { door, .. } | Command::OpenWithCode { door, .. } => {
                self.cause(now, request.origin.factor, door.clone(), false)
            }
            // whoever presses by a command is at no door
            Command::Press { .. } => self.press = Some(true),
        }
    }

    /// Who rings is let in from here on.
    fn rings_to_open(&mut self, now: Instant, command: &Command) {
        if let Command::RingToOpen { panel, time } = command
            && self.lets_in_rings(panel)
        {
            self.rings_open.insert(panel.clone(), now + *time);
        }
    }

    /// May a command let in who rings there?
    fn lets_in_rings(&self, panel: &PanelId) -> bool {
        let of = self.params.panels.get(panel);
        of.is_some_and(|of| {
            let door = of.doors.first().filter(|door| !self.is_locked_down(door));
            of.ring_to_open.is_some() && door.is_some_and(|door| self.params.doors.contains_key(door))
        })
    }

    /// Is the line of a panel virtual?
    fn is_toy(&self, panel: &PanelId) -> Option<bool> {
        let panel = self.params.panels.get(panel)?;
        self.params.lines.get(&panel.line).map(|line| line.simulated)
    }

    /// Somebody rings, who may be let in for it.
    fn pressed(&mut self, now: Instant, panel: &PanelId, simulated: bool) {
        self.press = Some(simulated);
        let opens = self.rings_open.get(panel).is_some_and(|until| now < *until);
        let of = self.params.panels.get(panel).filter(|_| opens && self.lets_in());
        // every button there names no door of its own
        if let Some(door) = of.and_then(|of| of.doors.first()).cloned() {
            self.cause(now, Factor::Button, door, simulated);
        }
    }

    fn signal(&mut self, now: Instant, signal: &Signal) {
        let late = now.since(signal.at) > secs(2) || signal.at < self.discard_before;
        let young = !late && now.since(signal.at) <= ms(500);
        match &signal.kind {
            SignalKind::Card { frame, reader } => {
                let known = self.params.cards.values().any(|c| c.frame == *frame);
                if known && young && self.lets_in() {
                    for door in self.doors_at(reader) {
                        self.cause(now, Factor::Card, door, signal.simulated);
                    }
                }
            }
            SignalKind::Input { edge, input } => {
                let before = self.inputs.get(input).copied();
                let first = edge.initial || before.is_none();
                if !edge.active || first {
                    self.released(input);
                }
                self.inputs.insert(input.clone(), edge.active);
                if first && edge.active {
                    // a first reading wants nothing new, and somebody who was not let out still does
                    self.presses_on(input);
                }
                if !first && edge.active && before == Some(false) {
                    self.acts(now, input, signal.simulated, late, signal.at == now);
                }
            }
            SignalKind::Key { key, reader } => {
                let typed = self.keys.entry(reader.clone()).or_default();
                if late {
                    return;
                }
                typed.push(*key);
                if typed.ends_with("1234") && young && self.lets_in() {
                    for door in self.doors_at(reader) {
                        self.cause(now, Factor::Code, door, signal.simulated);
                    }
                }
            }
            SignalKind::Line { line, signal } if self.rings_somebody(line, *signal) => {
                self.press = self.params.lines.get(line).map(|l| l.simulated);
                let panel = self.params.panels.iter().find(|(_, of)| of.line == *line);
                // who stands at a flat's own door is let in nowhere by it
                if let (Some((panel, _)), Some(simulated)) = (panel, self.press)
                    && *signal != LineSignal::RingFor(Bell::Floor)
                {
                    self.pressed(now, &panel.clone(), simulated);
                }
            }
            SignalKind::Controller { .. }
            | SignalKind::Fault(_)
            | SignalKind::Line { .. }
            | SignalKind::Misread { .. }
            | SignalKind::Network(_)
            | SignalKind::Port(_)
            | SignalKind::Raw { .. }
            | SignalKind::Ready
            | SignalKind::Unread(_) => {}
        }
    }

    /// Does a line say that one of its panel's bells rings?
    fn rings_somebody(&self, line: &LineId, signal: LineSignal) -> bool {
        let mut panels = self.params.panels.values().filter(|of| of.line == *line);
        match signal {
            LineSignal::Ring => true,
            LineSignal::RingFor(bell) => {
                panels.any(|of| of.buttons.values().any(|button| button.bell == Some(bell)))
            }
            LineSignal::BusyOther
            | LineSignal::Fault
            | LineSignal::HandsetLifted
            | LineSignal::HandsetReplaced
            | LineSignal::Idle
            | LineSignal::OpenedByPanel
            | LineSignal::RingStopped => false,
        }
    }

    /// Nobody presses any more.
    fn released(&mut self, input: &InputId) {
        self.late.remove(input);
        for cause in self.causes.iter_mut().filter(|c| c.held.as_ref() == Some(input)) {
            cause.held = None;
            cause.until = Some(cause.grace.unwrap_or(Instant::ZERO));
        }
        self.causes.retain(|c| c.until != Some(Instant::ZERO));
    }

    /// What the guard did not take may be asked for again while the input is active.
    fn presses_on(&mut self, input: &InputId) {
        let again = |cause: &&mut Cause| cause.repeats.as_ref() == Some(input);
        for cause in self.causes.iter_mut().filter(again) {
            cause.held = Some(input.clone());
            cause.until = None;
        }
    }

    fn doors_at(&self, reader: &ReaderId) -> Vec<DoorId> {
        let doors = self.params.doors.iter();
        doors
            .filter(|(_, d)| d.readers.contains(reader))
            .map(|(door, _)| door.clone())
            .collect()
    }

    /// An input that was inactive is active.
    fn acts(&mut self, now: Instant, input: &InputId, simulated: bool, late: bool, fresh: bool) {
        if !fresh {
            self.late.insert(input.clone());
        }
        if late {
            self.old.insert(input.clone());
        } else {
            self.old.remove(input);
        }
        self.presses_on(input);
        let wired = |of: &&PanelParams| of.buttons.values().any(|b| b.input.as_ref() == Some(input));
        let panel = self.params.panels.iter().find(|(_, of)| wired(of));
        if let Some((panel, _)) = panel.filter(|_| !late) {
            self.pressed(now, &panel.clone(), simulated);
        }
        let fire = *input == id::<InputId>("fire");
        let doors: Vec<DoorId> = self
            .params
            .doors
            .iter()
            .filter(|(_, d)| fire || d.rex.iter().any(|r| r.input == *input))
            .map(|(door, _)| door.clone())
            .collect();
        for door in doors {
            if simulated && self.real(&door) {
                continue;
            }
            // The gateway may know of a gap that nobody told: then an older edge must hold before it counts.
            // A panel that owns the lock opens it only while its line lets it.
            let ours = self.params.doors[&door].owner == LockOwner::Gateway;
            if ours && fresh && !(fire && self.alarm.is_some()) {
                self.must.insert(door.clone());
            }
            self.causes.push(Cause {
                door,
                factor: if fire { Factor::Fire } else { Factor::Rex },
                grace: None,
                held: (!fresh).then(|| input.clone()),
                talk: None,
                repeats: None,
                until: fresh.then_some(now),
            });
        }
    }

    fn leg(&mut self, now: Instant, event: &LegEvent) {
        if let LegEvent::Incoming { leg, panel, peer, .. } = event {
            self.incoming(now, *leg, panel, peer);
            return;
        }
        let Some(mut leg) = self.legs.remove(&event.leg()) else {
            return;
        };
        match event {
            LegEvent::Answered { leg: number, peer } => self.answered(now, *number, &mut leg, peer),
            LegEvent::AuthorityLost { .. } => leg.authority = false,
            LegEvent::Digit {
                at,
                digit,
                echo,
                leg: number,
                via,
            } => self.digit(now, *number, &mut leg, *at, *digit, *echo, *via),
            LegEvent::Ended { .. } => leg.ended = true,
            // no story hands a call on: `sim/transfers` does
            LegEvent::EarlyMedia { .. }
            | LegEvent::Held { .. }
            | LegEvent::Incoming { .. }
            | LegEvent::Redirected { .. }
            | LegEvent::Ringing { .. }
            | LegEvent::TakingOver { .. }
            | LegEvent::TransferAsked { .. } => {}
        }
        self.legs.insert(event.leg(), leg);
    }

    fn incoming(&mut self, now: Instant, leg: LegId, panel: &PanelId, peer: &Peer) {
        if self.legs.contains_key(&leg) {
            return;
        }
        self.incoming += 1;
        let ring = RingId::new(
            0,
            u128::from(self.incoming).to_be_bytes()[6..]
                .try_into()
                .expect("ten bytes"),
        );
        let mut ring_of = self.ring_of(self.params.panels.get(panel), false);
        let listed = peer.trusted && peer.address == "sip:1000@pbx.example";
        ring_of.listed = listed;
        self.rings.insert(ring, ring_of);
        let of = self.params.panels.get(panel);
        let meant = of.and_then(|of| of.callers.iter().find(|caller| meant(caller, peer)));
        let action = meant.map(|caller| caller.action.clone());
        // the call alone, of somebody whom the door itself lists
        if listed && self.lets_in() && matches!(action, None | Some(CallerAction::Open)) {
            for door in of.map(|of| of.doors.clone()).unwrap_or_default() {
                let of = self.params.doors.get(&door);
                if of.is_some_and(|of| of.by_call == When::Always && !of.callers.is_empty()) {
                    self.cause(now, Factor::Caller, door, false);
                }
            }
        }
        let of = self.params.panels.get(panel);
        let bridged = matches!(action, Some(CallerAction::Bridge(_)));
        let fate = match &action {
            None => of.and_then(|of| of.other_calls).map(CallerAction::Refuse),
            // who gets nothing by his call alone is told so
            Some(CallerAction::Open) => Some(CallerAction::Refuse(gateway_core::Cause::Declined)),
            Some(_) => action.clone(),
        };
        self.bridging = bridged.then(|| (leg, panel.clone()));
        self.legs.insert(
            leg,
            Leg {
                answered: None,
                asked: false,
                authority: false,
                bridged,
                caller: Some(peer.clone()),
                ended: false,
                fate,
                manner: match of.map(|of| of.answer) {
                    Some(Answer::After(_)) => "answered after a time",
                    Some(Answer::AtOnce | Answer::ByPress(_)) | None => "answered at once",
                },
                ring,
                target: String::new(),
                told_to_end: false,
                via: None,
            },
        );
    }

    fn answered(&mut self, now: Instant, number: LegId, leg: &mut Leg, peer: &Peer) {
        let Some(ring) = self.rings.get_mut(&leg.ring) else {
            return;
        };
        let user = |address: &str| {
            address
                .trim_start_matches("sip:")
                .split('@')
                .next()
                .map(str::to_owned)
        };
        let is_target = peer.address.is_empty() || user(&peer.address) == user(&leg.target);
        let is_colleague =
            peer.trusted && ["1000", "1001"].contains(&user(&peer.address).unwrap_or_default().as_str());
        let may = ring.listed && (is_target || is_colleague);
        if leg.answered.is_some() {
            match &leg.caller {
                Some(caller) if !peer.address.is_empty() && peer.address != caller.address => {
                    leg.authority = false
                }
                Some(_) => {}
                None if !may => leg.authority = false,
                None => leg.authority |= peer.trusted,
            }
            return;
        }
        // before the gateway has answered it there is no call; who is put through has none of his own
        if leg.caller.is_some() && (leg.bridged || !leg.asked) {
            self.before_its_time = Some((now, number, peer.clone()));
            return;
        }
        if leg.ended || leg.told_to_end || ring.winner.is_some() {
            return;
        }
        ring.winner = Some(number);
        leg.answered = Some(now);
        leg.authority = if leg.caller.is_some() {
            ring.listed
        } else {
            // A door's caller that answers in place of the target is listed, too.
            may || is_colleague
        };
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    fn digit(
        &mut self,
        now: Instant,
        number: LegId,
        leg: &mut Leg,
        at: Instant,
        digit: char,
        echo: bool,
        via: DigitVia,
    ) {
        let Some(ring) = self.rings.get(&leg.ring) else {
            return;
        };
        let Some(answered) = leg.answered.filter(|_| ring.winner == Some(number)) else {
            return;
        };
        if leg.ended || leg.told_to_end || echo || at < answered {
            return;
        }
        // the first press after the answer says how this leg sends them, also if it is old news itself
        let bound = *leg.via.get_or_insert(via) == via;
        let old = at < self.discard_before || now.since(at) > secs(2);
        if old || !bound || !leg.authority {
            return;
        }
        if digit != '9' || now.since(at) > ms(500) || !self.lets_in() {
            return;
        }
        // The first door of the panel that a 9 opens.
        let opens = |door: &&DoorId| {
            let code = self.params.codes.values();
            code.clone()
                .any(|c| c.from_call && c.digits == "9" && c.doors.contains(*door))
                && self.params.doors.contains_key(*door)
        };
        let Some(door) = ring.doors.iter().find(opens).cloned() else {
            return;
        };
        let by_list = self.params.doors.get(&door).is_some_and(|d| d.digits_by_list);
        if by_list || leg.caller.is_some() {
            let injected = ring.injected;
            let talk = if ring.bridge { "put through" } else { leg.manner };
            let causes = self.causes.len();
            self.cause(now, Factor::Digits, door, injected);
            if let Some(cause) = self.causes.get_mut(causes) {
                cause.talk = Some(talk);
            }
        }
    }
}

/// Does the panel mean this caller? In another's name one is refused at most, and sent elsewhere.
fn meant(caller: &CallerParams, peer: &Peer) -> bool {
    let harmless = matches!(caller.action, CallerAction::Divert(_) | CallerAction::Refuse(_));
    match &caller.number {
        None => caller.action != CallerAction::Open,
        Some(number) => (peer.trusted || harmless) && number.matches_address(&peer.address),
    }
}
