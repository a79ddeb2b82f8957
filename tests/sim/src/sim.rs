//! The simulation.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_access::GrantParts;
use gateway_core::{
    AccountId, CallEvent, CardFrame, Cause, Command, CommandEvent, CommandId, CommandRequest, ControllerId,
    CredentialId, DeviceId, DigitVia, DoorEvent, Edge, Envelope, Event, Factor, Given, InputId, Instant,
    LegCommand, LegEvent, LegId, LineCommand, LineId, LineSignal, Origin, OutputId, Peer, ReaderCommand,
    ReaderId, Record, RingId, Signal, SignalKind, Standing, Subject, Timestamp, Volume,
};
use gateway_site::rules::Sound;
use gateway_site::{
    Change, Decision, Directory, GuardReport, HeldInput, Input, Output, PinKey, Place, Plan, ReleaseCause,
    SeenId, Site, SiteParams,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::guard::Guard;
use crate::house::id;

/// When every simulation begins, on the monotonic clock.
pub const T0: Instant = Instant::from_nanos(1_000_000_000_000);

/// Seconds.
#[must_use]
pub const fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Milliseconds.
#[must_use]
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The wall clock at a monotonic time.
///
/// # Panics
/// Some centuries from the beginning.
#[must_use]
pub fn wall(at: Instant) -> Timestamp {
    let nanos = 1_700_000_000_000_000_000_i128 + i128::from(at.as_nanos());
    Timestamp::from_nanosecond(nanos).expect("tests stay within some centuries")
}

/// What a phone does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phone {
    /// Rings at once and answers after this.
    Answers(Duration),
    /// Ends at once with this cause.
    Fails(Cause),
    /// Rings and rings.
    Rings,
}

/// One pulse of an output, as the guard saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// When.
    pub at: Instant,
    /// The permission.
    pub grant: GrantParts,
    /// Planned length.
    pub length: Duration,
}

/// A gateway with its surroundings.
pub struct Sim {
    /// What inputs asked for that were held at a start, in order.
    pub asked: Vec<HeldInput>,
    /// Replies to commands, by their number.
    pub replies: Vec<(u64, Decision)>,
    /// Commands to legs, in order.
    pub legs: Vec<LegCommand>,
    /// Cards that were handed on: to which controller, and where they were read.
    pub forwarded: Vec<(ControllerId, CardFrame, Option<ReaderId>)>,
    /// Keys that were handed on.
    pub forwarded_keys: Vec<(ControllerId, char, ReaderId)>,
    /// What is to be heard at lines, in order; `None` is hushed.
    pub heard: Vec<(LineId, Option<Sound>)>,
    /// What is to be heard by legs, in order.
    pub told: Vec<(LegId, Sound)>,
    /// How it is with the doors of accounts, as said last.
    pub standings: BTreeMap<AccountId, Standing>,
    /// Texts for telephones: by which account, to whom, what.
    pub texts: Vec<(Option<AccountId>, String, String)>,
    /// How loud lines were set, in order.
    pub volumes: Vec<(LineId, Volume)>,
    /// Commands to lines, in order.
    pub lines: Vec<(LineId, LineCommand)>,
    /// What readers were told to show.
    pub readers: Vec<(ReaderId, ReaderCommand)>,
    /// What was asked of the guard, in order.
    pub pulses: Vec<Pulse>,
    /// How long the records take for a use; `None` if the disk hangs. What it is given then is lost, unless it is let
    /// wait ([`Self::disk_waits`]).
    pub medium: Option<Duration>,
    /// Uses that are on the medium.
    pub kept: BTreeMap<CredentialId, u32>,
    /// Who is where, by the medium.
    pub places: Vec<Place>,
    /// Talks that were to be recorded: what is played first, whose leg, at which panel, in which ring.
    pub recorded: Vec<(std::path::PathBuf, LegId, gateway_core::PanelId, RingId)>,
    /// Everything recorded, over all lives of the gateway.
    pub records: Vec<Envelope>,
    /// The machine.
    pub site: Site,
    generation: u64,
    guard: Guard,
    /// Inputs that are active at the first reading.
    held: Vec<InputId>,
    now: Instant,
    offered: BTreeMap<LegId, String>,
    params: SiteParams,
    /// Who is in the records; `None` if a test gives them to the site itself.
    people: Option<(PinKey, Vec<Change>)>,
    phones: BTreeMap<String, Phone>,
    scheduled: BTreeMap<(Instant, u64), Input>,
    sequence: u64,
    /// What a disk that hangs has not taken yet; `None` if it loses it.
    waiting: Option<Vec<Kept>>,
}

/// One piece of what the records are asked to keep.
struct Kept {
    id: Option<u64>,
    places: Vec<Place>,
    uses: Option<(CredentialId, u32)>,
}

fn site(params: &SiteParams, generation: u64, now: Instant, seed: u64) -> Site {
    let rng = Box::new(StdRng::seed_from_u64(seed));
    Site::new(params.clone(), generation, rng, now, wall(now))
}

impl Sim {
    /// A gateway that has started, with its guard, and all inputs read as inactive.
    #[must_use]
    pub fn new(params: SiteParams) -> Self {
        Self::new_held(params, &[])
    }

    /// The same with these inputs held since before the start.
    #[must_use]
    pub fn new_held(params: SiteParams, held: &[&str]) -> Self {
        let mut sim = Self {
            asked: Vec::new(),
            held: held.iter().map(|input| id(input)).collect(),
            replies: Vec::new(),
            legs: Vec::new(),
            lines: Vec::new(),
            forwarded: Vec::new(),
            forwarded_keys: Vec::new(),
            heard: Vec::new(),
            told: Vec::new(),
            standings: BTreeMap::new(),
            texts: Vec::new(),
            volumes: Vec::new(),
            readers: Vec::new(),
            pulses: Vec::new(),
            medium: Some(ms(5)),
            kept: BTreeMap::new(),
            places: Vec::new(),
            records: Vec::new(),
            recorded: Vec::new(),
            site: site(&params, 1, T0, 1),
            generation: 1,
            guard: Guard::default(),
            now: T0,
            offered: BTreeMap::new(),
            params,
            people: None,
            phones: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            sequence: 0,
            waiting: None,
        };
        sim.settle();
        sim
    }

    /// These are in the records from the beginning, and are there again after each restart.
    pub fn set_people(&mut self, key: PinKey, people: Vec<Change>) {
        self.people = Some((key, people));
        self.give_people();
    }

    /// People change while the gateway runs: `changes` is what happens, `people` who is in the records from here on.
    pub fn change_people(&mut self, changes: Vec<Change>, people: Vec<Change>) {
        for change in &changes {
            if let Change::CredentialGone(id) = change {
                self.kept.remove(id);
            }
        }
        if let Some((_, all)) = &mut self.people {
            *all = people;
        }
        self.input(Input::People(changes));
    }

    fn give_people(&mut self) {
        let Some((key, people)) = &self.people else {
            return;
        };
        let mut directory = Directory::new(key.clone());
        for change in people {
            directory.apply(change.clone());
        }
        for (credential, times) in &self.kept {
            let (credential, times) = (credential.clone(), *times);
            if directory.has(&credential) {
                directory.apply(Change::Used { credential, times });
            }
        }
        self.site.restore_people(directory);
    }

    /// From here on a disk that hangs takes later what it was given meanwhile, unless the power goes first.
    pub fn disk_waits(&mut self) {
        self.waiting.get_or_insert_default();
    }

    /// The disk goes on, and takes so long for a use.
    pub fn disk_goes_on(&mut self, medium: Duration) {
        self.medium = Some(medium);
        for kept in self
            .waiting
            .iter_mut()
            .flat_map(std::mem::take)
            .collect::<Vec<_>>()
        {
            self.keep(kept);
        }
    }

    fn keep(&mut self, kept: Kept) {
        let Some(after) = self.medium else {
            if let Some(waiting) = &mut self.waiting {
                waiting.push(kept);
            }
            return;
        };
        self.kept.extend(kept.uses);
        for place in kept.places {
            self.places.retain(|known| known.who != place.who);
            self.places.push(place);
        }
        if let Some(id) = kept.id {
            self.schedule(after, Input::UseKept { id, ok: true });
        }
    }

    /// From the next start on these inputs are active at their first reading.
    pub fn set_held(&mut self, held: &[&str]) {
        self.held = held.iter().map(|input| id(input)).collect();
    }

    fn settle(&mut self) {
        self.drain();
        self.input(Input::Guard(GuardReport::Up { dead: vec![] }));
        self.input(Input::Ready);
        let inputs: Vec<InputId> = self.params.inputs.keys().cloned().collect();
        for input in inputs {
            let active = self.held.contains(&input);
            self.edge_at(self.now, &input, active, true);
        }
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// What a target does when it is called; unknown targets ring and ring.
    pub fn phone(&mut self, target: &str, phone: Phone) {
        self.phones.insert(target.to_owned(), phone);
    }

    /// Gives the machine an input at this moment and carries out what it says.
    pub fn input(&mut self, input: Input) {
        self.site.handle_input(self.now, wall(self.now), input);
        self.drain();
    }

    /// Lets time pass; everything due happens at its time.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        // A machine that asks for the same moment for ever would hang the test instead of failing it.
        let mut idle = 0;
        loop {
            let next = [
                self.site.poll_timeout(),
                self.guard.poll_timeout(),
                self.scheduled.keys().next().map(|(at, _)| *at),
            ]
            .into_iter()
            .flatten()
            .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            idle = if next <= self.now { idle + 1 } else { 0 };
            assert!(idle < 1000, "time does not pass: {}", self.log());
            self.now = self.now.max(next);
            for report in self.guard.due(self.now) {
                self.input(Input::Guard(report));
            }
            while let Some(entry) = self.scheduled.first_entry().filter(|e| e.key().0 <= self.now) {
                let input = entry.remove();
                self.input(input);
            }
            self.site.handle_timeout(self.now, wall(self.now));
            self.drain();
        }
        self.now = end;
    }

    /// The guard ends in good order, as before a change of outputs. Until [`Self::guard_comes`] nothing is taken.
    pub fn guard_goes(&mut self) {
        let text = "outputs change".to_owned();
        // told before it ends
        self.input(Input::Guard(GuardReport::Restarts { text: text.clone() }));
        self.guard_away(GuardReport::Restarts { text });
    }

    /// The guard is dead, or stood still for so long that it was ended. Until [`Self::guard_comes`] nothing is taken.
    pub fn guard_lost(&mut self) {
        let text = "it does not answer".to_owned();
        self.guard_away(GuardReport::Down { text });
    }

    fn guard_away(&mut self, how: GuardReport) {
        self.guard.away = true;
        for report in self.guard.forget().into_iter().chain([how]) {
            self.input(Input::Guard(report));
        }
    }

    /// The guard stands still: it takes orders and does nothing.
    pub fn guard_freezes(&mut self) {
        self.guard.frozen = true;
    }

    /// The next guard is there.
    pub fn guard_comes(&mut self) {
        self.guard.away = false;
        self.input(Input::Guard(GuardReport::Up { dead: vec![] }));
    }

    /// The process stands still (SIGSTOP, a starved machine): time passes and nobody looks. The guard is
    /// another process and goes on.
    pub fn freeze(&mut self, time: Duration) {
        self.now = self.now + time;
        // Without renewals its leases lapse.
        let reports: Vec<GuardReport> = self
            .params
            .outputs
            .keys()
            .filter_map(|output| self.guard.release(output, ReleaseCause::Guard))
            .collect();
        self.input(Input::LoopGap { gap: time });
        for report in reports {
            self.input(Input::Guard(report));
        }
    }

    /// The gateway dies and starts again: phones hang up, the guard lets go, command ids come from the journal, and
    /// what is kept beside it is there again.
    pub fn restart(&mut self) {
        let seen = self.seen_ids();
        let (lockdowns, quiets) = (self.site.export_lockdowns(), self.site.export_quiets());
        let fire = self.site.export_fire().cloned();
        let lasting = self.site.view().lasting;
        let (alarms, locks) = (self.site.export_alarms(), self.site.export_locks(self.now));
        self.guard.forget();
        self.scheduled.clear();
        self.offered.clear();
        self.waiting.iter_mut().for_each(Vec::clear);
        self.site = site(&self.params, self.generation, self.now, self.sequence);
        self.site.restore_ids(seen, self.now, wall(self.now));
        self.site.restore_fire(fire);
        self.site.restore_lockdowns(lockdowns);
        self.site.restore_alarms(alarms, self.now);
        self.site.restore_quiets(quiets, self.now, wall(self.now));
        self.site.restore_places(self.places.clone());
        self.site.restore_locks(locks, self.now);
        self.site.restore_lasting(lasting, self.now, wall(self.now));
        self.give_people();
        self.settle();
    }

    /// What the driver reads from the journal at start.
    fn seen_ids(&self) -> Vec<SeenId> {
        let records = self.records.iter().map(Record::from);
        records
            .filter_map(|record| {
                let (accepted, id, subject) = match record.event() {
                    Ok(Event::Command(CommandEvent::Accepted { id, subject, .. })) => (true, id, subject),
                    Ok(Event::Command(CommandEvent::Refused { id, subject, .. })) => {
                        (false, CommandId::new(&id)?, subject)
                    }
                    Ok(_) | Err(_) => return None,
                };
                let at = record.at;
                Some(SeenId {
                    accepted,
                    at,
                    id,
                    subject,
                })
            })
            .collect()
    }

    /// A new configuration.
    pub fn reload(&mut self, params: SiteParams) -> Plan {
        self.generation += 1;
        self.params = params.clone();
        let plan = self
            .site
            .apply(params, self.generation, None, self.now, wall(self.now));
        self.drain();
        plan
    }

    /// The configuration in force.
    #[must_use]
    pub const fn params(&self) -> &SiteParams {
        &self.params
    }

    /// An adapter notices something at `at`.
    pub fn signal(&mut self, at: Instant, simulated: bool, kind: SignalKind) {
        let device = DeviceId::new("device").expect("a name");
        self.input(Input::Signal(Signal {
            at,
            device,
            simulated,
            kind,
        }));
    }

    /// An edge seen at `at`; it is simulated where the input is virtual.
    pub fn edge_at(&mut self, at: Instant, input: &InputId, active: bool, initial: bool) {
        let simulated = self.params.inputs.get(input).is_some_and(|i| i.simulated);
        let edge = Edge { active, initial };
        let input = input.clone();
        self.signal(at, simulated, SignalKind::Input { edge, input });
    }

    /// An input becomes active or inactive at this moment.
    pub fn edge(&mut self, input: &str, active: bool) {
        self.edge_at(self.now, &id(input), active, false);
    }

    /// Presses a button for 200 ms and returns the ring that began, if one did.
    pub fn press(&mut self, input: &str) -> Option<RingId> {
        let before = self.records.len();
        self.edge(input, true);
        let ring = self.records[before..]
            .iter()
            .find(|e| matches!(&e.event, Event::Panel(_, gateway_core::PanelEvent::Ring { .. })))
            .and_then(|e| e.ring);
        self.wait(ms(200));
        self.edge(input, false);
        ring
    }

    /// Somebody presses a key of their phone.
    pub fn digit(&mut self, leg: LegId, digit: char) {
        self.digit_with(leg, digit, self.now, false, DigitVia::TelephoneEvent);
    }

    /// A digit with everything about it.
    pub fn digit_with(&mut self, leg: LegId, digit: char, at: Instant, echo: bool, via: DigitVia) {
        self.input(Input::Leg(LegEvent::Digit {
            at,
            digit,
            echo,
            leg,
            via,
        }));
    }

    /// Something happens on a panel line.
    pub fn line(&mut self, line: &str, signal: LineSignal) {
        let line: LineId = id(line);
        let simulated = self.params.lines.get(&line).is_some_and(|l| l.simulated);
        self.signal(self.now, simulated, SignalKind::Line { line, signal });
    }

    /// Alice's card, or a stranger's, at a reader.
    ///
    /// # Panics
    /// Never: the cards are literals.
    pub fn card(&mut self, reader: &str, card: &str) {
        let reader: ReaderId = id(reader);
        let simulated = self.params.readers.get(&reader).is_some_and(|r| r.simulated);
        let frame = gateway_site::card_frame(card).expect("a good card");
        self.signal(self.now, simulated, SignalKind::Card { frame, reader });
    }

    /// A command of an MQTT client at this moment; returns its decision.
    ///
    /// # Panics
    /// If the command is not answered.
    pub fn command(&mut self, command_id: &str, command: Command) -> Decision {
        let request = CommandRequest {
            command,
            given: Given::At(wall(self.now)),
            id: CommandId::new(command_id).expect("a good id"),
            origin: Origin {
                factor: Factor::Mqtt,
                may_simulate: true,
                subject: Subject::Integration("ha".into()),
            },
            stale_by_transport: false,
        };
        self.request(request)
    }

    /// A command with everything about it; returns its decision.
    ///
    /// # Panics
    /// If the command is not answered.
    pub fn request(&mut self, request: CommandRequest) -> Decision {
        self.sequence += 1;
        let reply_to = self.sequence;
        self.input(Input::Command { reply_to, request });
        let answers: Vec<_> = self.replies.iter().filter(|(to, _)| *to == reply_to).collect();
        assert_eq!(answers.len(), 1, "one answer per command");
        answers[0].1.clone()
    }

    /// The leg on which a target was called last.
    ///
    /// # Panics
    /// If it was not called.
    #[must_use]
    pub fn leg_of(&self, target: &str) -> LegId {
        let leg = self.offered.iter().rev().find(|(_, t)| *t == target);
        *leg.unwrap_or_else(|| panic!("{target} was not called\n{}", self.log()))
            .0
    }

    /// Is the output energised?
    #[must_use]
    pub fn is_energised(&self, output: &str) -> bool {
        self.guard.is_energised(&id::<OutputId>(output))
    }

    /// The kinds of all records, in order.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        self.records.iter().map(|e| Record::from(e).kind).collect()
    }

    /// The kinds of the records of a ring, in order.
    #[must_use]
    pub fn story(&self, ring: RingId) -> Vec<String> {
        let own = self.records.iter().filter(|e| e.ring == Some(ring));
        own.map(|e| Record::from(e).kind).collect()
    }

    /// Reasons of ignored digits, in order.
    #[must_use]
    pub fn ignored_digits(&self) -> Vec<String> {
        let events = self.records.iter().filter_map(|e| {
            if let Event::Call(CallEvent::DigitIgnored { reason, .. }) = &e.event {
                Some(reason.clone())
            } else {
                None
            }
        });
        events.collect()
    }

    /// Reasons of refused openings, in order.
    #[must_use]
    pub fn denials(&self) -> Vec<String> {
        let events = self.records.iter().filter_map(|e| {
            if let Event::Door(_, DoorEvent::Denied { reason, .. }) = &e.event {
                Some(reason.clone())
            } else {
                None
            }
        });
        events.collect()
    }

    /// A field of all records of a kind, in order, as text.
    #[must_use]
    pub fn told(&self, kind: &str, field: &str) -> Vec<String> {
        let records = self.records.iter().map(Record::from);
        records
            .filter(|record| record.kind == kind)
            .map(|record| record.text_of(field))
            .collect()
    }

    /// The event log, for the message of a failing test.
    #[must_use]
    pub fn log(&self) -> String {
        let lines = self.records.iter().map(|e| {
            let record = Record::from(e);
            let fields: Vec<_> = record.fields.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            format!(
                "{} {} {} {}\n",
                e.at,
                record.kind,
                record.source,
                fields.join(" ")
            )
        });
        lines.collect()
    }

    fn schedule(&mut self, after: Duration, input: Input) {
        self.sequence += 1;
        self.scheduled.insert((self.now + after, self.sequence), input);
    }

    fn drain(&mut self) {
        while let Some(output) = self.site.poll_output() {
            match output {
                Output::Forward {
                    controller,
                    frame,
                    reader,
                } => self.forwarded.push((controller, frame, reader)),
                Output::ForwardKey {
                    controller,
                    key,
                    reader,
                } => self.forwarded_keys.push((controller, key, reader)),
                Output::Held(what) => self.asked.push(what),
                Output::Standing(account, standing) => {
                    self.standings.insert(account, standing);
                }
                Output::Text {
                    account,
                    target,
                    text,
                } => self.texts.push((account, target, text)),
                Output::Volume(line, volume) => self.volumes.push((line, volume)),
                Output::Hush(line) => self.heard.push((line, None)),
                Output::SayToLeg { leg, sound, .. } => self.told.push((leg, sound)),
                Output::Say { line, sound, .. } => self.heard.push((line, Some(sound))),
                Output::Keep { id, places, uses } => self.keep(Kept { id, places, uses }),
                Output::Leg(command) => {
                    self.leg(&command);
                    self.legs.push(command);
                }
                Output::Line(line, command) => self.lines.push((line, command)),
                Output::Operate { grant, pulse } => {
                    self.pulses.push(Pulse {
                        at: self.now,
                        grant: grant.parts().clone(),
                        length: pulse,
                    });
                    for report in self.guard.operate(self.now, grant, pulse) {
                        self.schedule(Duration::ZERO, Input::Guard(report));
                    }
                }
                Output::Reader(reader, command) => self.readers.push((reader, command)),
                Output::Record(envelope) => self.records.push(envelope),
                Output::RecordTalk {
                    how,
                    leg,
                    panel,
                    ring,
                } => self.recorded.push((how.announcement, leg, panel, ring)),
                Output::ReleaseOutput(output) => {
                    if let Some(report) = self.guard.release(&output, ReleaseCause::Asked) {
                        self.schedule(Duration::ZERO, Input::Guard(report));
                    }
                }
                Output::Reply { decision, to } => self.replies.push((to, decision)),
            }
        }
    }

    fn leg(&mut self, command: &LegCommand) {
        match command {
            LegCommand::Offer { leg, target, .. } | LegCommand::Transfer { leg, target, .. } => {
                let leg = *leg;
                self.offered.insert(leg, target.clone());
                let ringing = Input::Leg(LegEvent::Ringing { leg });
                match self.phones.get(target).copied().unwrap_or(Phone::Rings) {
                    Phone::Answers(after) => {
                        let peer = Peer {
                            address: if target.contains('@') {
                                target.clone()
                            } else {
                                format!("sip:{target}@pbx.example")
                            },
                            foreign: false,
                            display: None,
                            trusted: true,
                            withheld: false,
                        };
                        self.schedule(ms(20), ringing);
                        self.schedule(after, Input::Leg(LegEvent::Answered { leg, peer }));
                    }
                    Phone::Fails(cause) => {
                        let detail = "scripted".to_owned();
                        self.schedule(ms(20), Input::Leg(LegEvent::Ended { cause, leg, detail }));
                    }
                    Phone::Rings => self.schedule(ms(20), ringing),
                }
            }
            LegCommand::Answer { leg } => {
                let (leg, peer) = (*leg, Peer::default());
                self.schedule(ms(30), Input::Leg(LegEvent::Answered { leg, peer }));
            }
            LegCommand::End { leg, cause } => {
                let ended = LegEvent::Ended {
                    cause: *cause,
                    leg: *leg,
                    detail: String::new(),
                };
                self.schedule(ms(10), Input::Leg(ended));
            }
            LegCommand::Divert { leg, .. } => {
                let ended = LegEvent::Ended {
                    cause: Cause::Released,
                    leg: *leg,
                    detail: String::new(),
                };
                self.schedule(ms(10), Input::Leg(ended));
            }
            LegCommand::Connect { .. }
            | LegCommand::Join { .. }
            | LegCommand::Listen { .. }
            | LegCommand::PlayToLeg { .. }
            | LegCommand::RefuseTransfer { .. }
            | LegCommand::RingBack { .. }
            | LegCommand::Ringing { .. } => {}
        }
    }
}
