//! The one task that owns the site machine.
//!
//! Every input passes it in order; after each it carries out what the machine wants: queue the record first,
//! then act. Answers to commands, and answering a call, wait until the records before them are durable.
//!
//! It waits for nobody: what it gives to lines, calls, guard and journal goes into a queue or is refused, each with
//! its own rule for a full one. Exits and fire pass here, so nothing that hangs may hang this.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::Alarm;
use gateway_access::PinKey;
use gateway_bus::{BusCore, TagSeen};
use gateway_core::{
    CardFrame, Clock, CommandReply, Instant, LegCommand, LegEvent, LineCommand, LineId, ReaderId, Record,
    Refusal, RingId, Seq, Signal, SignalKind, SiteView,
};
use gateway_guard::{GuardClient, Liveness, Systemd};
use gateway_guard_proto::Wirings;
use gateway_people::Changed;
use gateway_sip_io::{SipEvent, SipHandle};
use gateway_site::rules::Sound;
use gateway_site::{
    Contacts, Decision, Directory, GuardReport, HeldInput, Input, Output, Recorded, Site, SiteParams,
};
use gateway_store::Store;
use tokio::sync::{mpsc, oneshot, watch};

use crate::run::backlog::Disk;
use crate::run::clicks::Clicks;
use crate::run::codes;
use crate::run::faults::{Faults, Guarded, merged};
use crate::run::guard_link;
use crate::run::keeper::{Keep, Keeper};
use crate::run::learning::Learning;
use crate::run::legs::Legs;
use crate::run::lines::Lines;
use crate::run::measures::{DoorMeasures, Stopwatch};
use crate::run::prompts::{self, Heard};
use crate::run::readers::Readers;
use crate::run::recordings;
use crate::run::wall::{Step, WallWatch};

/// A main loop that stood still for longer than this has old news in its queues.
const GAP: Duration = Duration::from_millis(500);
/// The loop comes by at least this often.
const BEAT: Duration = Duration::from_millis(100);

/// The picture of the whole site, which costs something for every door and everybody who looks at it, is made at most so often, but
/// for those who wait for an answer and may look at it next.
const PICTURE: Duration = Duration::from_millis(10);
/// Signals that are taken at one turn: a contact that bounces costs what each turn does no more for it.
const SIGNALS: usize = 16;

/// How long a relay guard that was told to end may be away before that is a fault: it has 3 s to bring its outputs to
/// rest, and the next one begins with writing them to rest.
const RESTART: Duration = Duration::from_secs(10);

/// Orders of the process itself.
pub(crate) enum Order {
    /// The address was told at a line, or could not be.
    AddressTold(String),
    /// Take a new configuration.
    Apply {
        /// Told when it is in force.
        done: oneshot::Sender<()>,
        /// Its number.
        generation: u64,
        /// What the core is to do.
        params: Box<SiteParams>,
        /// What changes, in words, of the whole file.
        told: String,
        /// What the guard must mean by its outputs.
        wirings: Wirings,
    },
    /// The relay guard is about to be told to end, and the next one starts. Answered once that is known, and with false
    /// if it must not be, since a pulse runs that it would cut.
    GuardRestarts {
        /// Whatever runs.
        force: bool,
        /// Told whether it may be.
        known: oneshot::Sender<bool>,
    },
    /// Whom call lists can name, all of them.
    Contacts(Arc<Contacts>),
    /// The people and credentials of the records: decisions may begin.
    Ready(Box<Directory>),
    /// What became of a recording.
    Recorded {
        /// Of the talk of this ring.
        ring: RingId,
        /// What.
        what: Recorded,
    },
    /// What a rule has heard at a line is over.
    Said {
        /// How long it was heard, or why it was not.
        heard: Result<Duration, String>,
        /// Where.
        line: LineId,
        /// Which.
        turn: u64,
    },
    /// Another live gateway uses our name, or does no longer.
    SecondInstance(Option<String>),
    /// End calls and stop.
    Stop,
}

/// Everything the brain talks to.
pub(crate) struct Brain {
    pub(crate) alarm: Alarm,
    pub(crate) bus: BusCore,
    pub(crate) clock: Arc<dyn Clock>,
    /// Which lines hear which relays.
    pub(crate) clicks: Clicks,
    pub(crate) faults: Faults,
    /// The runtime of what may wait.
    pub(crate) general: tokio::runtime::Handle,
    pub(crate) guard: GuardClient,
    pub(crate) guard_reports: mpsc::Receiver<gateway_guard::GuardReport>,
    pub(crate) held: mpsc::Sender<HeldInput>,
    pub(crate) liveness: Liveness,
    /// Takes what readers say while their cards are learned.
    pub(crate) learning: Learning,
    pub(crate) legs: Legs,
    pub(crate) lines: Lines,
    pub(crate) readers: Readers,
    pub(crate) measures: Arc<DoorMeasures>,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// For what it has others do; it keeps the queue open no longer than those do who give orders.
    pub(crate) own_orders: mpsc::WeakSender<Order>,
    pub(crate) people: mpsc::Receiver<Changed>,
    pub(crate) signals: mpsc::Receiver<Signal>,
    pub(crate) sip: SipHandle,
    pub(crate) sip_events: mpsc::Receiver<SipEvent>,
    pub(crate) site: Site,
    pub(crate) store: Store,
    /// What names cards for others.
    pub(crate) tag_key: PinKey,
    /// What `wall` says, for others.
    pub(crate) trust: watch::Sender<Option<bool>>,
    pub(crate) wall: WallWatch,
}

/// What a turn of the loop is for, besides inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The loop comes by.
    Beat,
    /// Something may be otherwise than before.
    Changed,
    /// Nothing is new: a picture is to be made.
    Picture,
    /// Records are on the medium; nothing else is new.
    Written,
}

/// What waits for the journal.
enum Held {
    Leg(LegCommand),
    Reply {
        decision: Decision,
        /// False if the journal refused a record of the same turn: then no number stands for the decision.
        recorded: bool,
        to: oneshot::Sender<CommandReply>,
    },
}

impl Brain {
    /// Runs until it is told to stop and every call has ended, or a channel it needs is gone.
    pub(crate) async fn run(mut self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut durable = self.store.durable();
        let mut health = self.store.health();
        // uses of credentials that are on the medium, or were not taken
        let (keeper, mut kept) = Keeper::start(&self.general, &self.store, &self.faults);
        let mut held: VecDeque<(Seq, Held)> = VecDeque::new();
        let mut asked: Replies = Replies::default();
        let mut last = self.clock.now();
        let mut queued = *durable.borrow();
        let mut locks = self.site.locks_revision();
        // what the last events alone told goes into the records, too
        keeper.keep_lockdowns(self.site.export_lockdowns(), self.clock.wall());
        let mut lockdowns = self.site.lockdowns_revision();
        keeper.keep_fire(self.site.export_fire().cloned(), self.clock.wall());
        let mut fire = self.site.fire_revision();
        keeper.keep_alarms(self.site.export_alarms());
        let mut alarms = self.site.alarms_revision();
        keeper.keep_quiets(self.site.export_quiets());
        let mut quiets = self.site.quiets_revision();
        let mut stopping: Option<Instant> = None;
        // when the picture was made, and whether something is otherwise since
        let (mut shown, mut stale) = (last, false);
        let mut disk = Disk::new(last);
        let mut noticed = Vec::with_capacity(SIGNALS);
        let mut watch = Stopwatch::new(Arc::clone(&self.measures), last);
        // the fault that no time service keeps the clock right, as it was told last
        let mut no_time = false;
        // from here, so that a core that stands still is noticed, whatever else still turns
        let (systemd, mut alive_due) = (Systemd::from_env(), last);
        loop {
            let due = self.site.poll_timeout();
            let wake = if stale {
                let picture = shown + PICTURE;
                Some(due.map_or(picture, |due| due.min(picture)))
            } else {
                due
            };
            let mut cards = Vec::new();
            // what this turn is for, besides inputs
            let mut turn = Turn::Changed;
            // does somebody get an answer, who may look at the picture next?
            let mut asked_now = false;
            // No order among them: whoever has something is taken by chance, so that a flood at one, a noisy input or
            // a PBX gone mad, keeps none of the others waiting. Timers that are due are looked after at each turn, whatever it began.
            let inputs: Vec<Input> = tokio::select! {
                report = self.guard_reports.recv() => match report {
                    Some(report) => {
                        self.clicks.reported(&self.sip, &report);
                        watch.reported(&report);
                        guard_link::inputs(report, &self.faults).into_iter().map(Input::Guard).collect()
                    }
                    None => return,
                },
                came = self.signals.recv_many(&mut noticed, SIGNALS) => match came {
                    0 => return,
                    _ => {
                        // before anybody else hears of it
                        noticed.retain(|signal| !self.learning.takes(signal));
                        let seq = *durable.borrow();
                        noticed.iter().for_each(|signal| self.bus.offers.offer(signal, seq));
                        cards = noticed.iter().filter_map(|signal| self.card_in(signal)).collect();
                        noticed.drain(..).map(Input::Signal).collect()
                    }
                },
                event = self.sip_events.recv() => match event {
                    Some(event) => self.sip_input(event).into_iter().collect(),
                    None => return,
                },
                command = self.bus.commands.recv() => match command {
                    Some(command) => {
                        asked_now = true;
                        let reply_to = asked.add(command.reply);
                        vec![Input::Command { reply_to, request: command.request }]
                    }
                    None => return,
                },
                order = self.orders.recv() => match order {
                    Some(Order::AddressTold(text)) => vec![Input::AddressTold(text)],
                    Some(Order::Apply { done, generation, params, told, wirings }) => {
                        let (now, wall) = (self.clock.now(), self.clock.wall());
                        self.guard.generation(generation, wirings);
                        self.site.apply(*params, generation, Some(told), now, wall);
                        self.tell_codes();
                        let _ = done.send(());
                        vec![]
                    }
                    Some(Order::GuardRestarts { force, known }) => {
                        let may = force || self.site.is_at_rest(self.clock.now());
                        let _ = known.send(may);
                        if may {
                            self.guard.restarts(RESTART);
                            self.faults.guard_is(Guarded::Starts);
                            // nobody is let in from here on whom the restart would cut off
                            let text = guard_link::RESTARTS.to_owned();
                            vec![Input::Guard(GuardReport::Restarts { text })]
                        } else {
                            vec![]
                        }
                    }
                    Some(Order::Contacts(contacts)) => vec![Input::Contacts(contacts)],
                    Some(Order::Ready(directory)) => {
                        self.site.restore_people(*directory);
                        self.tell_codes();
                        vec![Input::Ready]
                    }
                    Some(Order::Recorded { ring, what }) => vec![Input::Recorded { ring, what }],
                    Some(Order::Said { heard, line, turn }) => vec![Input::Said { heard, line, turn }],
                    Some(Order::SecondInstance(who)) => vec![Input::SecondInstance(who)],
                    Some(Order::Stop) | None => {
                        stopping.get_or_insert(self.clock.now() + Duration::from_secs(3));
                        vec![Input::ShutDown]
                    }
                },
                Some(Changed { changes, done }) = self.people.recv() => {
                    let (now, wall) = (self.clock.now(), self.clock.wall());
                    self.site.handle_input(now, wall, Input::People(changes));
                    self.tell_codes();
                    let _ = done.send(());
                    vec![]
                }
                Some(question) = self.bus.questions.recv() => {
                    let told = self.site.explain_to(self.clock.now(), self.clock.wall(), &question.ask);
                    let _ = question.answer.send(told);
                    vec![]
                }
                Some(question) = self.bus.rule_questions.recv() => {
                    let told = self.site.try_rules(self.clock.wall(), &question.ask);
                    let _ = question.answer.send(told);
                    vec![]
                }
                Some((id, ok)) = kept.recv() => vec![Input::UseKept { id, ok }],
                changed = health.changed() => {
                    if changed.is_err() { return }
                    health.mark_unchanged();
                    vec![self.journal(&mut disk)]
                }
                changed = durable.changed() => {
                    if changed.is_err() { return }
                    turn = Turn::Written;
                    vec![]
                }
                _ = beat.tick() => {
                    turn = Turn::Beat;
                    vec![]
                }
                () = self.alarm.at(wake) => {
                    if due.is_none_or(|due| due > self.clock.now()) {
                        turn = Turn::Picture;
                    }
                    vec![]
                }
            };
            let (now, wall) = (self.clock.now(), self.clock.wall());
            let gap = now.since(last);
            // has the machine been told something, or may it have been?
            let mut moved = !matches!(turn, Turn::Picture | Turn::Written);
            if gap > GAP {
                moved = true;
                self.site.handle_input(now, wall, Input::LoopGap { gap });
            }
            last = now;
            if let Some(Step { step_ms, trusted }) = self.wall.look(now, wall, self.clock.now()) {
                tracing::warn!(
                    step_ms,
                    trusted,
                    "the wall clock jumped, or is believed or not from here on"
                );
                moved = true;
                self.site
                    .handle_input(now, wall, Input::ClockStep { step_ms, trusted });
            }
            let trusted = self.wall.trusted();
            self.trust
                .send_if_modified(|told| std::mem::replace(told, trusted) != trusted);
            let unserved = self.wall.unserved();
            if unserved.is_some() != no_time {
                no_time = unserved.is_some();
                self.faults.set("time", unserved);
            }
            self.liveness.feed(now);
            self.bus.alive(now);
            if let Some(every) = systemd.interval().filter(|_| now >= alive_due) {
                systemd.alive();
                alive_due = now + every;
            }
            let written = *durable.borrow();
            if disk.look(now, queued, written) {
                moved = true;
                let input = self.journal(&mut disk);
                self.site.handle_input(now, wall, input);
            }
            let came = !inputs.is_empty();
            let since = inputs.iter().filter_map(happened).min().unwrap_or(now);
            for input in inputs {
                self.site.handle_input(now, wall, input);
            }
            if came {
                // before the timers, which cost something for every door and call: somebody stands there
                self.act(
                    &mut asked,
                    &mut held,
                    &mut queued,
                    (&mut disk, &keeper),
                    (&mut watch, since),
                )
                .await;
            }
            for (reader, frame) in cards {
                let tag = self.tag_key.card(&frame).to_string();
                self.bus.tag_seen(TagSeen { reader, tag });
            }
            for signal in self.lines.look(now) {
                moved = true;
                self.site.handle_input(now, wall, Input::Signal(signal));
            }
            // they cost something for every door: looked after when one is due, and at each beat
            if turn == Turn::Beat || self.site.poll_timeout().is_some_and(|due| due <= now) {
                moved = true;
                self.site.handle_timeout(now, wall);
            }
            if moved {
                // a level that has settled counts from the moment that it had
                let since = due.map_or(now, |due| due.min(now));
                self.act(
                    &mut asked,
                    &mut held,
                    &mut queued,
                    (&mut disk, &keeper),
                    (&mut watch, since),
                )
                .await;
            }
            let written = *durable.borrow_and_update();
            let answers = asked_now || held.iter().any(|(_, held)| matches!(held, Held::Reply { .. }));
            self.release(&mut held, written, &disk);
            self.legs.look(&self.sip, &self.faults);
            if self.site.locks_revision() != locks {
                locks = self.site.locks_revision();
                keeper.keep_locks(self.site.export_locks(now), wall);
            }
            if self.site.alarms_revision() != alarms {
                alarms = self.site.alarms_revision();
                keeper.keep_alarms(self.site.export_alarms());
            }
            if self.site.lockdowns_revision() != lockdowns {
                lockdowns = self.site.lockdowns_revision();
                keeper.keep_lockdowns(self.site.export_lockdowns(), wall);
            }
            if self.site.fire_revision() != fire {
                fire = self.site.fire_revision();
                keeper.keep_fire(self.site.export_fire().cloned(), wall);
            }
            if self.site.quiets_revision() != quiets {
                quiets = self.site.quiets_revision();
                keeper.keep_quiets(self.site.export_quiets());
            }
            if moved {
                self.guard.relays(self.site.relays());
                stale = true;
            }
            if stale && (answers || now.since(shown) >= PICTURE) {
                stale = false;
                shown = now;
                self.show(queued);
            }
            watch.talks(now, self.talks());
            if stopping
                .is_some_and(|limit| (self.site.view().calls.is_empty() && held.is_empty()) || now >= limit)
            {
                keeper.end().await;
                return;
            }
        }
    }

    /// A card that was just read, if somebody outside wants to know of it; old news is none.
    fn card_in(&self, signal: &Signal) -> Option<(ReaderId, CardFrame)> {
        let SignalKind::Card { frame, reader } = &signal.kind else {
            return None;
        };
        let young = self.clock.now().since(signal.at) <= GAP;
        (young && self.bus.wants_tags()).then(|| (reader.clone(), frame.clone()))
    }

    /// Tells which codes do not count: whoever has one stands at a door with it.
    fn tell_codes(&self) {
        let told = codes::told(&self.site.codes_out_of_force());
        let before = self.faults.list().into_iter().find(|fault| fault.part == "codes");
        if before.map(|fault| fault.text) != told {
            if let Some(text) = &told {
                tracing::error!("{text}");
            }
            self.faults.set("codes", told);
        }
    }

    /// Carries out what the machine wants, in its order.
    async fn act(
        &mut self,
        asked: &mut Replies,
        held: &mut VecDeque<(Seq, Held)>,
        queued: &mut Seq,
        (disk, keeper): (&mut Disk, &Keeper),
        (watch, since): (&mut Stopwatch, Instant),
    ) {
        let (mut recorded, mut unwritten) = (true, false);
        while let Some(output) = self.site.poll_output() {
            match output {
                Output::Forward {
                    controller,
                    frame,
                    reader,
                } => {
                    let at = self.clock.now();
                    self.readers.forward(at, controller, &frame, reader);
                }
                Output::ForwardKey {
                    controller,
                    key,
                    reader,
                } => self
                    .readers
                    .forward_key(self.clock.now(), controller, key, reader),
                Output::Held(what) => {
                    if self.held.try_send(what).is_err() {
                        tracing::warn!(
                            "what an input asks for that is held at the start was dropped: too much waits"
                        );
                    }
                }
                Output::Keep { id, places, uses } => {
                    self.keep(keeper, Keep { id, places, uses });
                }
                Output::Record(envelope) => {
                    // what may find no room is kept by name
                    let kept = disk.is_behind().then(|| Record::from(&envelope));
                    // in its place in the order, but the writer's turn comes after the guard's
                    match self.store.queue(envelope) {
                        Ok(ticket) => (*queued, unwritten) = (ticket.seq(), true),
                        Err(error) => {
                            // nothing may be acknowledged by the number of an older record
                            recorded = false;
                            disk.lost(self.clock.now(), kept.as_ref(), &error);
                        }
                    }
                }
                Output::Operate { grant, pulse } => {
                    let (id, output) = (grant.parts().id, grant.parts().output.clone());
                    watch.operated(id, grant.parts().factor, since);
                    if let Err(error) = self.guard.operate(grant, pulse) {
                        let report = GuardReport::Failed {
                            grant: id,
                            output: output.clone(),
                            text: error.to_string(),
                        };
                        let (now, wall) = (self.clock.now(), self.clock.wall());
                        self.site.handle_input(now, wall, Input::Guard(report));
                    }
                    self.clicks.hush(&self.sip, &output);
                    // the client shares our thread: it sends the order now, the rest of this turn comes after it
                    tokio::task::yield_now().await;
                }
                Output::ReleaseOutput(output) => self.guard.release(output),
                Output::Leg(command @ LegCommand::Answer { .. }) => {
                    held.push_back((*queued, Held::Leg(command)))
                }
                Output::Leg(command) => {
                    let since = watch.first_call(&command, since);
                    self.legs.give(&self.sip, command, since);
                }
                Output::Hush(line) => {
                    if self.sip.silence_line(&line).is_err() {
                        tracing::warn!("the SIP engine is gone, a sound was not ended");
                    }
                }
                Output::RecordTalk {
                    how,
                    leg,
                    panel,
                    ring,
                } => recordings::begin(self.sip.clone(), self.own_orders.clone(), how, (leg, panel, ring)),
                Output::Say { line, sound, turn } => {
                    self.say(Heard::Line(line.clone()), sound, Some((line, turn)))
                }
                Output::SayToLeg {
                    alone,
                    leg,
                    sound,
                    told,
                } => self.say(Heard::Leg { alone, leg }, sound, told),
                Output::Standing(account, standing) => self.legs.give_standing(&self.sip, account, standing),
                Output::Text {
                    account,
                    target,
                    text,
                } => send_text(&self.sip, account, target, text),
                Output::Volume(line, volume) => {
                    if self.sip.set_volume(&line, volume).is_err() {
                        tracing::warn!("the SIP engine is gone, a line is as loud as before");
                    }
                }
                Output::Line(line, LineCommand::Tone(tone)) => {
                    if self.sip.play_to_line(&line, tone).is_err() {
                        tracing::warn!("the SIP engine is gone, a tone was not played");
                    }
                }
                Output::Line(line, command) => self.lines.give(line, command),
                Output::Reader(reader, command) => self.readers.give(&reader, command),
                Output::Reply { decision, to } => {
                    if let Some(to) = asked.take(to) {
                        let reply = Held::Reply {
                            decision,
                            recorded,
                            to,
                        };
                        held.push_back((*queued, reply));
                    }
                }
            }
        }
        if unwritten {
            self.store.write_queued();
        }
    }

    /// Has something heard, beside everything else.
    fn say(&self, by: Heard, sound: Sound, told: Option<(LineId, u64)>) {
        // as the process ends nobody says anything any more
        if let Some(orders) = self.own_orders.upgrade() {
            self.general
                .spawn(prompts::say(self.sip.clone(), orders, (by, sound), told));
        }
    }

    /// Writes down who is where, and that a credential was used; the core hears when that is on the medium, and opens
    /// only then.
    fn keep(&mut self, keeper: &Keeper, what: Keep) {
        let id = what.id;
        if !keeper.keep(what) {
            tracing::error!(
                "it could not be written down who is where, or that a credential was used: too many wait"
            );
            if let Some(id) = id {
                let (now, wall) = (self.clock.now(), self.clock.wall());
                self.site
                    .handle_input(now, wall, Input::UseKept { id, ok: false });
            }
        }
    }

    /// Lets go what waited for the journal, up to the last durable record.
    fn release(&mut self, held: &mut VecDeque<(Seq, Held)>, durable: Seq, disk: &Disk) {
        let usable = self.store.health().borrow().ok && !disk.stalled;
        while let Some((seq, _)) = held.front() {
            if *seq > durable && usable {
                return;
            }
            let Some((seq, item)) = held.pop_front() else {
                return;
            };
            match item {
                Held::Leg(command) => self.legs.give(&self.sip, command, None),
                Held::Reply {
                    decision,
                    recorded,
                    to,
                } => {
                    // the caller may have gone; the record stays
                    let _ = to.send(answer(decision, seq, recorded && seq <= durable));
                }
            }
        }
    }

    /// What the core must know of the journal.
    fn journal(&self, disk: &mut Disk) -> Input {
        let health = self.store.health().borrow().clone();
        let (ok, text) = if health.ok && disk.stalled {
            (false, disk.text())
        } else if health.ok {
            (true, disk.recovered())
        } else {
            (false, health.text)
        };
        self.faults.set("journal", (!ok).then(|| text.clone()));
        Input::Journal { ok, text }
    }

    fn sip_input(&self, event: SipEvent) -> Option<Input> {
        match event {
            SipEvent::Account(report) => {
                let part = format!("account:{}", report.id);
                let failed = report.event.as_ref().and_then(|event| match event {
                    gateway_core::AccountEvent::Failed { detail, retry_s } => {
                        Some(format!("not registered: {detail}; next try in {retry_s} s"))
                    }
                    gateway_core::AccountEvent::Registered { .. }
                    | gateway_core::AccountEvent::Unregistered {} => None,
                });
                self.faults.set(&part, failed);
                let event = report.event?;
                Some(Input::Account {
                    account: report.id,
                    event,
                    state: report.state,
                })
            }
            SipEvent::Fault(text) => {
                tracing::error!(%text, "the SIP engine has a fault");
                self.faults.set("sip", Some(text));
                None
            }
            SipEvent::Leg(event) => Some(Input::Leg(event)),
            SipEvent::Message(text) => Some(Input::Message {
                panel: text.panel,
                peer: text.peer,
                text: text.text,
            }),
            SipEvent::Stranger(report) => Some(Input::Stranger {
                count: report.count,
                method: report.method,
                source: report.source,
            }),
            SipEvent::Quality(report) => Some(Input::Quality {
                leg: report.leg,
                quality: report.quality,
            }),
        }
    }

    /// Calls in which somebody talks, as they are shown.
    fn talks(&self) -> u64 {
        let view = self.bus.view.borrow();
        view.calls.iter().filter(|call| call.state == "talking").count() as u64
    }

    /// Shows the picture if it changed.
    fn show(&self, seq: Seq) {
        let mut view: SiteView = self.site.view();
        view.faults = merged(std::mem::take(&mut view.faults), self.faults.list());
        self.bus.view.send_if_modified(|shown| {
            // a new number alone is no change
            view.seq = shown.seq;
            let changed = **shown != view;
            if changed {
                view.seq = seq;
                *shown = Arc::new(view);
            }
            changed
        });
    }
}

/// Sends a text beside the main loop. The SIP engine bounds how many are on their way.
fn send_text(sip: &SipHandle, account: Option<gateway_core::AccountId>, target: String, text: String) {
    let sip = sip.clone();
    tokio::spawn(async move {
        let text = gateway_sip_io::Text {
            account,
            target: target.clone(),
            text,
        };
        match sip.send_text(text).await {
            Ok(Ok(())) => tracing::debug!(%target, "a text was taken"),
            Ok(Err(why)) => tracing::warn!(%target, why, "a text was not taken"),
            Err(error) => tracing::warn!(%target, %error, "a text was not sent"),
        }
    });
}

/// When what came in happened, where it says so: a card was read, a key was pressed, an edge counted at once.
fn happened(input: &Input) -> Option<Instant> {
    if let Input::Signal(signal) = input {
        return Some(signal.at);
    }
    if let Input::Leg(LegEvent::Digit { at, .. }) = input {
        return Some(*at);
    }
    None
}

/// Callers that wait for a decision.
#[derive(Default)]
struct Replies {
    next: u64,
    waiting: std::collections::BTreeMap<u64, oneshot::Sender<CommandReply>>,
}

impl Replies {
    fn add(&mut self, reply: oneshot::Sender<CommandReply>) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, reply);
        self.next
    }

    fn take(&mut self, to: u64) -> Option<oneshot::Sender<CommandReply>> {
        self.waiting.remove(&to)
    }
}

fn answer(decision: Decision, seq: Seq, durable: bool) -> CommandReply {
    match decision {
        Decision::Accepted { ring } if durable => CommandReply::Accepted { ring, seq },
        Decision::Accepted { .. } => CommandReply::Refused {
            reason: Refusal::Fault,
            text:
                "it was done, but the journal cannot be written, so it is not confirmed; see the health page"
                    .to_owned(),
        },
        Decision::Refused { reason, text } => CommandReply::Refused { reason, text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_whose_record_was_refused_is_not_confirmed_by_an_older_one() {
        let done = Decision::Accepted { ring: None };
        assert!(matches!(
            answer(done, Seq(4), false),
            CommandReply::Refused {
                reason: Refusal::Fault,
                ..
            }
        ));
    }
}
