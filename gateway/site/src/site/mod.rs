//! The machine: state, inputs, timers.

mod alarms;
mod apply;
mod asked;
mod bridge;
mod buttons;
mod by_call;
mod calls;
mod commands;
mod controllers;
mod digits;
mod doors;
mod explain;
mod fire;
mod floor;
mod held;
mod holds;
mod incoming;
mod lasting;
mod lines;
mod lockdown;
mod passback;
mod pins;
mod presses;
mod prompts;
mod quality;
mod quiet;
mod recorded;
mod relays;
mod requests;
mod ring_to_open;
pub(crate) mod rules;
mod signals;
mod standing;
mod tells;
mod uses;
mod view;
mod visitors;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_access::{Access, Context, DigitCollector, Directory, LockOut, RightOf};
use gateway_core::{
    AccountId, AccountState, AlarmId, ButtonId, Cause, CredentialId, DeviceId, DoorGroupId, DoorId, Envelope,
    Event, GatewayEvent, InputId, Instant, LegCommand, LegEvent, LineId, NetworkState, OutputId, PanelEvent,
    PanelId, Peer, PortEvent, ReaderId, RelayId, RingId, SiteView, Standing, Timestamp,
};
use gateway_door::Door;
use gateway_line::Line;
use rand::RngCore;

use crate::io::{Input, Output, Plan, SeenId};
use crate::levels::Levels;
use crate::news::News;
use crate::params::{Contacts, SiteParams};
use calls::Call;

/// A main loop that stood still for longer than this has old news in its queues (invariant 4).
const GAP: Duration = Duration::from_millis(500);
/// After a gap, what waited in sockets comes with a fresh time: nobody knows when it was sent. It comes within this.
const SETTLE: Duration = Duration::from_millis(250);

/// Everything that the people of a directory, and the site file itself, may open; and in words what limits it. For
/// comparing two site files.
#[must_use]
pub fn rights(params: &SiteParams, directory: Directory) -> BTreeMap<RightOf, String> {
    let mut access = Access::new(apply::policy(params, [0; 32]));
    access.set_directory(directory);
    access.rights()
}

/// Time of one step: both clocks, read together by the driver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) mono: Instant,
    pub(crate) wall: Timestamp,
}

/// What an input is for. One input may have several roles.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    Alarm(AlarmId),
    Button(PanelId, ButtonId),
    Contact(DoorId),
    Fire,
    Held(held::HeldUse),
    LockSense(DoorId),
    /// `None` is the whole site.
    Lockdown(Option<DoorGroupId>),
    Rex(DoorId, gateway_access::RexKind),
    Tamper(DoorId),
}

/// What a switch port said.
#[derive(Default)]
struct Port {
    /// Certificates that end soon, by their part of the configuration.
    expiring: BTreeMap<String, String>,
    fault: Option<String>,
    last: Option<PortEvent>,
}

/// A line with the ring that has it.
struct LineUnit {
    line: Line,
    ring: Option<RingId>,
}

/// One gateway: every door, line, call and decision of a site.
///
/// ```text
/// site.handle_input(now, wall, input);
/// while let Some(output) = site.poll_output() { carry it out, in order }
/// wait for the next input, or for site.poll_timeout() and call site.handle_timeout(now, wall)
/// ```
pub struct Site {
    access: Access,
    accounts: BTreeMap<AccountId, (AccountState, String)>,
    /// Inputs that are active as the records have it.
    active_on_record: BTreeSet<InputId>,
    alarms: alarms::Alarms,
    /// Cards whose PIN is awaited, by reader.
    awaited: BTreeMap<ReaderId, pins::Awaited>,
    calls: BTreeMap<RingId, Call>,
    clock_trusted: bool,
    contacts: Arc<Contacts>,
    /// Outputs whose boards do not answer the guard.
    dead: BTreeSet<OutputId>,
    devices: BTreeMap<DeviceId, Option<String>>,
    /// Edges and digits seen before this are old: the main loop stood still until then.
    discard_before: Instant,
    doors: BTreeMap<DoorId, Door>,
    fire: fire::Fire,
    /// Legs that are over.
    ended_legs: quality::EndedLegs,
    generation: u64,
    guard: Result<(), String>,
    /// It is away because it was told to: that is no fault.
    guard_restarts: bool,
    held_inputs: held::Held,
    /// Permissions that wait until their use is on the medium.
    held: BTreeMap<u64, uses::Waiting>,
    /// Doors that can be held open.
    holds: BTreeMap<DoorId, holds::Hold>,
    /// Overdue timers of a gap are being worked off.
    in_gap: bool,
    index_key: [u8; 32],
    journal: Result<(), String>,
    keypads: BTreeMap<ReaderId, DigitCollector>,
    levels: Levels,
    lines: BTreeMap<LineId, LineUnit>,
    lockdowns_revision: u64,
    /// Outputs that are another wire to the guard.
    miswired: BTreeSet<OutputId>,
    /// As it was told last.
    network: Option<NetworkState>,
    /// The network is lost, as the records have it.
    network_lost: bool,
    news: News,
    next_leg: u64,
    next_use: u64,
    out: VecDeque<Output>,
    params: SiteParams,
    /// Refused calls since the beginning of a minute.
    refused_calls: (Instant, u32),
    ports: BTreeMap<DeviceId, Port>,
    prompts: prompts::Prompts,
    quiets: quiet::Quiets,
    rings_open: ring_to_open::RingsOpen,
    ready: bool,
    relays: BTreeMap<RelayId, relays::Relay>,
    rng: Box<dyn RngCore + Send>,
    roles: BTreeMap<InputId, Vec<Role>>,
    rules: rules::Rules,
    second: Option<String>,
    /// Of accounts whose doors are not well, as told last.
    standings: BTreeMap<AccountId, Standing>,
    stopping: bool,
    visitors: visitors::Visitors,
    volumes: volumes::Volumes,
}

impl Site {
    /// A site that has just started: it knows nothing, and until [`Input::Ready`] it opens for egress only.
    ///
    /// `rng` makes ring ids and the key of the code index; seed it from the system.
    #[must_use]
    pub fn new(
        params: SiteParams,
        generation: u64,
        mut rng: Box<dyn RngCore + Send>,
        now: Instant,
        wall: Timestamp,
    ) -> Self {
        let mut index_key = [0; 32];
        rng.fill_bytes(&mut index_key);
        let (instance, version) = (params.instance.clone(), params.version.clone());
        let mut site = Self {
            access: Access::default(),
            accounts: BTreeMap::new(),
            active_on_record: BTreeSet::new(),
            alarms: alarms::Alarms::default(),
            awaited: BTreeMap::new(),
            calls: BTreeMap::new(),
            clock_trusted: true,
            contacts: Arc::default(),
            dead: BTreeSet::new(),
            devices: BTreeMap::new(),
            discard_before: Instant::ZERO,
            doors: BTreeMap::new(),
            fire: fire::Fire::default(),
            ended_legs: quality::EndedLegs::default(),
            generation,
            guard: Err("the relay guard has not reported yet".to_owned()),
            guard_restarts: false,
            held_inputs: held::Held::new(now),
            held: BTreeMap::new(),
            holds: BTreeMap::new(),
            in_gap: false,
            index_key,
            journal: Ok(()),
            keypads: BTreeMap::new(),
            levels: Levels::default(),
            lines: BTreeMap::new(),
            lockdowns_revision: 0,
            miswired: BTreeSet::new(),
            network: None,
            network_lost: false,
            news: News::new(now),
            next_leg: 0,
            next_use: 0,
            out: VecDeque::new(),
            params: SiteParams::empty(params.id.clone()),
            ports: BTreeMap::new(),
            prompts: prompts::Prompts::default(),
            quiets: quiet::Quiets::default(),
            rings_open: ring_to_open::RingsOpen::new(),
            ready: false,
            refused_calls: (now, 0),
            relays: BTreeMap::new(),
            rng,
            roles: BTreeMap::new(),
            rules: rules::Rules::default(),
            second: None,
            standings: BTreeMap::new(),
            stopping: false,
            visitors: visitors::Visitors::default(),
            volumes: volumes::Volumes::default(),
        };
        let now = Now { mono: now, wall };
        site.configure(now, params, generation);
        site.gateway(
            now,
            GatewayEvent::Started {
                generation,
                instance,
                version,
            },
        );
        site
    }

    /// How long the id of a command that was acted on is refused.
    pub const ACTED_ON: Duration = crate::news::ACTED_ON;

    /// Command ids judged before a restart: their commands are refused as duplicates for as long as they could
    /// still count. Give them before the first command.
    pub fn restore_ids(&mut self, seen: Vec<SeenId>, now: Instant, wall: Timestamp) {
        self.news.restore(seen, self.params.command_ttl, now, wall);
    }

    /// Lock-outs of an earlier life. Give them before [`Input::Ready`].
    pub fn restore_locks(&mut self, locks: Vec<LockOut>, now: Instant) {
        self.access.restore_locks(now, locks);
    }

    /// True while no door has a pulse, begun or asked for. One that is only held open begins again with the next guard.
    #[must_use]
    pub fn is_at_rest(&self, now: Instant) -> bool {
        let only_held = |door: &Door| door.is_kept_open() && door.pulse_until().is_none_or(|end| end <= now);
        self.doors
            .values()
            .all(|door| !doors::is_busy(door) || only_held(door))
    }

    /// The lock-outs, to be kept across restarts whenever [`Self::locks_revision`] has changed.
    #[must_use]
    pub fn export_locks(&self, now: Instant) -> Vec<LockOut> {
        self.access.export_locks(now)
    }

    /// Grows with each change of the lock-outs.
    #[must_use]
    pub const fn locks_revision(&self) -> u64 {
        self.access.locks_revision()
    }

    /// Codes that open nothing beside the others: [`Access::codes_out_of_force`].
    #[must_use]
    pub fn codes_out_of_force(&self) -> Vec<CredentialId> {
        self.access.codes_out_of_force()
    }

    /// The people and credentials of the records. Give them before [`Input::Ready`].
    pub fn restore_people(&mut self, directory: Directory) {
        self.access.set_directory(directory);
    }

    /// Takes one input. Drain [`Self::poll_output`] afterwards.
    pub fn handle_input(&mut self, now: Instant, wall: Timestamp, input: Input) {
        let now = Now { mono: now, wall };
        self.notice_gap(now);
        match input {
            Input::AddressTold(text) => self.address_told(now, text),
            Input::Account {
                account,
                event,
                state,
            } => self.account(now, account, event, state),
            Input::ClockStep { step_ms, trusted } => {
                self.clock_trusted = trusted;
                self.doubt_holds();
                self.date_quiets(now);
                self.forget_volumes(now);
                self.gateway(now, GatewayEvent::Clock { step_ms, trusted });
            }
            Input::Contacts(contacts) => self.contacts = contacts,
            Input::Command { reply_to, request } => self.command(now, reply_to, request),
            Input::Guard(report) => self.guard(now, report),
            Input::Journal { ok, text } => self.journal(now, ok, text),
            Input::Leg(event) => self.leg(now, event),
            Input::Message { panel, peer, text } => self.message(now, panel, peer, text),
            Input::Quality { leg, quality } => self.quality(now, leg, quality),
            Input::Stranger {
                count,
                method,
                source,
            } => self.stranger(now, count, method, source),
            Input::LoopGap { gap } => self.gap(now, gap),
            Input::People(changes) => self.people(now, changes),
            Input::Ready => {
                self.ready = true;
                self.begin_fire(now);
            }
            Input::SecondInstance(instance) => {
                if let Some(instance) = instance.clone().filter(|_| self.second != instance) {
                    self.gateway(now, GatewayEvent::SecondInstance { instance });
                }
                self.second = instance;
            }
            Input::Recorded { ring, what } => self.recorded(now, ring, what),
            Input::Said { heard, line, turn } => self.said(now, &line, turn, heard),
            Input::ShutDown => self.shut_down(now),
            Input::Signal(signal) => self.signal(now, signal),
            Input::UseKept { id, ok } => self.use_kept(now, id, ok),
        }
        self.look_at_holds(now);
        self.look_at_alarms(now);
        self.look_at_relays(now);
        self.look_at_rules(now);
        self.look_at_volumes(now);
    }

    /// Lets due timers act. Call it at [`Self::poll_timeout`], or at any time.
    pub fn handle_timeout(&mut self, now: Instant, wall: Timestamp) {
        let now = Now { mono: now, wall };
        self.notice_gap(now);
        self.timers(now);
        self.look_at_holds(now);
        self.look_at_alarms(now);
        self.look_at_relays(now);
        self.look_at_rules(now);
        self.look_at_volumes(now);
    }

    /// Takes over a new configuration: unchanged doors and panels keep their pulses and calls. Removed outputs
    /// are released first. `told` is what the journal says that changes, of a whole file of which this is a part; if
    /// nothing, the [`Plan`] says it.
    pub fn apply(
        &mut self,
        params: SiteParams,
        generation: u64,
        told: Option<String>,
        now: Instant,
        wall: Timestamp,
    ) -> Plan {
        let now = Now { mono: now, wall };
        self.notice_gap(now);
        let plan = self.configure(now, params, generation);
        self.gateway(
            now,
            GatewayEvent::ConfigApplied {
                generation,
                plan: told.unwrap_or_else(|| plan.to_string()),
            },
        );
        self.look_at_rules(now);
        plan
    }

    /// What is to be done next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let calls = self.calls.values().filter_map(Call::poll_timeout);
        let doors = self.doors.values().filter_map(Door::poll_timeout);
        let lines = self.lines.values().filter_map(|unit| unit.line.poll_timeout());
        let keypads = self.keypads.values().filter_map(DigitCollector::poll_timeout);
        let awaited = self.awaited.values().map(pins::Awaited::until);
        calls
            .chain(doors)
            .chain(lines)
            .chain(keypads)
            .chain(awaited)
            .chain(self.held.values().map(uses::Waiting::until))
            .chain(self.levels.poll_timeout())
            .chain(self.alarms_due())
            .chain(self.relays_due())
            .chain(self.held_due_at())
            .chain(self.holds_due())
            .chain(self.prompts_due_at())
            .chain(self.quiets_due_at())
            .chain(self.ring_to_open_due_at())
            .chain(self.volumes_due())
            .min()
    }

    /// The live picture. `seq` is left at 0: the driver knows it.
    #[must_use]
    pub fn view(&self) -> SiteView {
        self.picture()
    }

    fn timers(&mut self, now: Now) {
        for (input, change) in self.levels.due(now.mono) {
            self.changed(now, &input, change);
        }
        for input in self.levels.newly_stuck(now.mono) {
            self.stuck(now, &input);
        }
        // Calls before lines: both know the ring window, and the call knows how it ended.
        let rings: Vec<RingId> = self.calls.keys().copied().collect();
        for ring in rings {
            self.call_timeout(now, ring);
        }
        let lines: Vec<LineId> = self.lines.keys().cloned().collect();
        for id in lines {
            if let Some(unit) = self.lines.get_mut(&id) {
                unit.line.handle_timeout(now.mono);
            }
            self.drain_line(now, &id);
        }
        let doors: Vec<DoorId> = self.doors.keys().cloned().collect();
        for id in doors {
            if let Some(door) = self.doors.get_mut(&id) {
                door.handle_timeout(now.mono);
            }
            self.drain_door(now, &id, false);
        }
        let readers: Vec<ReaderId> = self.keypads.keys().cloned().collect();
        for reader in readers {
            let entry = self
                .keypads
                .get_mut(&reader)
                .and_then(|k| k.handle_timeout(now.mono));
            if let Some(entry) = entry {
                self.typed(now, &reader, entry);
            }
        }
        self.pins_due(now);
        self.uses_due(now);
        self.held_due(now);
        self.prompts_due(now);
        self.quiets_due(now);
        self.ring_to_open_due(now);
    }

    /// A timer that is long overdue means that the main loop stood still, whoever else noticed it or not.
    fn notice_gap(&mut self, now: Now) {
        if let Some(due) = self.poll_timeout()
            && now.mono.since(due) > GAP
        {
            self.gap(now, now.mono.since(due));
        }
    }

    fn gap(&mut self, now: Now, gap: Duration) {
        if gap <= GAP {
            return;
        }
        // The driver and an overdue timer may tell of the same gap.
        let known = self.discard_before != Instant::ZERO && now.mono.since(self.discard_before) <= GAP;
        self.discard_before = now.mono;
        self.levels.after_gap(now.mono);
        for call in self.calls.values_mut() {
            call.discard_before(now.mono + SETTLE);
        }
        for keypad in self.keypads.values_mut() {
            keypad.clear();
        }
        self.awaited.clear();
        self.access.forget_firsts();
        self.give_up_uses(now);
        if !known {
            let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            self.gateway(now, GatewayEvent::LoopGap { gap_ms });
        }
        // What was due in the meantime is due now; overdue timers must not look like another gap.
        self.in_gap = true;
        self.timers(now);
        self.in_gap = false;
    }

    fn account(
        &mut self,
        now: Now,
        account: AccountId,
        event: gateway_core::AccountEvent,
        state: AccountState,
    ) {
        use gateway_core::AccountEvent as E;
        if !self.params.accounts.contains_key(&account) {
            return;
        }
        let detail = match &event {
            E::Failed { detail, .. } => detail.clone(),
            E::Registered { .. } | E::Unregistered {} => String::new(),
        };
        let before = self.accounts.insert(account.clone(), (state, detail.clone()));
        if state == AccountState::Registered && before.as_ref().is_none_or(|(was, _)| *was != state) {
            self.alarms_reach(now);
        }
        // A refresh is no news; a failure with the same words is told once.
        if before != Some((state, detail)) {
            self.record(now, Event::Account(account, event), None, false);
        }
    }

    fn journal(&mut self, now: Now, ok: bool, text: String) {
        let was_ok = self.journal.is_ok();
        self.journal = if ok { Ok(()) } else { Err(text.clone()) };
        if was_ok != ok {
            self.gateway(now, GatewayEvent::JournalFault { text, up: ok });
        }
    }

    fn shut_down(&mut self, now: Now) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.stop_holds(now);
        self.stop_ring_to_open(now);
        self.end_prompts(now, "the gateway stops", |_, _| true);
        let rings: Vec<RingId> = self.calls.keys().copied().collect();
        for ring in rings {
            self.cancel(now, ring, Cause::Released);
        }
        self.gateway(now, GatewayEvent::Stopping {});
    }

    /// A text says something to people, and nothing to doors.
    fn message(&mut self, now: Now, panel: PanelId, peer: Peer, text: String) {
        if !peer.trusted || !self.params.panels.contains_key(&panel) {
            return;
        }
        let peer = peer.shown().to_owned();
        let event = PanelEvent::MessageReceived { peer, text };
        self.record(now, Event::Panel(panel, event), None, false);
    }

    fn leg(&mut self, now: Now, event: LegEvent) {
        if let LegEvent::Incoming {
            account,
            at_once,
            leg,
            panel,
            peer,
        } = event
        {
            self.incoming(now, (account, at_once), leg, &panel, peer);
            return;
        }
        let about = event.about();
        let ring = self
            .calls
            .iter()
            .find(|(_, call)| call.has_leg(about))
            .map(|(ring, _)| *ring);
        if let Some(ring) = ring {
            if let LegEvent::Ended { leg, .. } = &event {
                self.remember_leg(*leg, ring);
            }
            self.call_leg(now, ring, event);
        } else if let LegEvent::TakingOver { leg, .. } = event {
            let cause = Cause::Declined;
            self.out.push_back(Output::Leg(LegCommand::End { leg, cause }));
        }
    }

    /// What the access decision must know of the gateway.
    fn context(&self, now: Now) -> Context {
        Context {
            generation: self.generation,
            journal_ok: self.journal.is_ok(),
            projection_at_head: self.ready,
            ready: !self.stopping,
            wall: self.clock_trusted.then_some(now.wall),
        }
    }

    fn record(&mut self, now: Now, event: Event, ring: Option<RingId>, simulated: bool) {
        let envelope = Envelope {
            at: now.wall,
            event,
            ring,
            simulated,
        };
        self.light_up(now, &envelope.event);
        self.rules.notice(&envelope);
        self.out.push_back(Output::Record(envelope));
    }

    fn gateway(&mut self, now: Now, event: GatewayEvent) {
        self.record(now, Event::Gateway(event), None, false);
    }

    fn new_ring(&mut self, now: Now) -> RingId {
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        let ms = u64::try_from(now.wall.as_millisecond()).unwrap_or(0);
        RingId::new(ms, random)
    }

    /// Doors of a panel that exist.
    fn doors_of(&self, panel: &PanelId) -> Vec<DoorId> {
        let named = self.params.panels.get(panel).map(|p| p.doors.as_slice());
        named
            .unwrap_or_default()
            .iter()
            .filter(|door| self.params.doors.contains_key(door))
            .cloned()
            .collect()
    }

    /// Panels on a line.
    fn panels_on<'a>(&'a self, line: &'a LineId) -> impl Iterator<Item = &'a PanelId> {
        self.params
            .panels
            .iter()
            .filter(move |(_, panel)| panel.line == *line)
            .map(|(id, _)| id)
    }

    /// Doors of the panels on a line, each once.
    fn doors_on(&self, line: &LineId) -> BTreeSet<DoorId> {
        self.panels_on(line)
            .flat_map(|panel| self.doors_of(panel))
            .collect()
    }
}
