//! The task of the interface: connects, publishes, takes commands, and tries again for as long as it runs.

mod aside;
mod commands;
mod forged;
mod kept;
mod own;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_bus::{Bucket, Bus};
use gateway_core::{Clock, Instant, Refusal, Seq, SiteView};
use gateway_mqtt_wire::Versions;
use gateway_store::Cursor;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::alive;
use crate::answer::{self, Answer};
use crate::bridge;
use crate::command::Arrival;
use crate::connection::{Came, Connection, Event, Filter, Order, Qos, Spoken, Trouble, Welcome};
use crate::control::{Control, MqttStatus, Timing};
use crate::discovery;
use crate::driver::commands::{Done, Refused};
use crate::driver::forged::Forged;
use crate::driver::kept::Kept;
use crate::latest::Latest;
use crate::outbox::Acked;
use crate::params::{MqttDiscovery, MqttParams};
use crate::retained::Retained;
use crate::session::{Begun, Session};
use crate::state::{self, OFFLINE, ONLINE};
use crate::topics::Topics;

/// Name of the journal's cursor.
const CURSOR: &str = "mqtt";
/// Commands at once, and then one in [`EVERY`].
const BURST: u32 = 50;
const EVERY: Duration = Duration::from_millis(100);
/// Commands that may wait for the core at once: as many as [`BURST`] and [`EVERY`] let through until the bus gives up.
const COMMANDS: usize = 100;
/// Refusals that get a record each, at once; then one in 5 s.
const NOTED: u32 = 30;
/// Records of refusals that may wait for the core at once.
const REPORTS: usize = NOTED as usize;
/// Answers that may wait for the broker before no more messages are acknowledged: it then sends us none.
const ANSWERS_FULL: usize = 256;
/// Answers that may wait at most; what comes without acknowledgement could fill it.
const ANSWERS: usize = 1024;
/// How often the driver looks at limits.
const TICK: Duration = Duration::from_millis(250);
/// How long the farewell may take to publish what is durable, and all in all.
const DRAIN: Duration = Duration::from_millis(1500);
const FAREWELL: Duration = Duration::from_secs(3);
/// A connection that stood for so long was good: the next try comes soon.
const GOOD: Duration = Duration::from_secs(10);
/// First pause after a refusal that only a person can change.
const LASTING: Duration = Duration::from_secs(10);
/// How often we show ourselves to another instance, and how long it counts after it was last seen.
const SHOW: Duration = Duration::from_secs(10);
/// How often in a row we put right what stands untrue before it takes [`Timing::mend`].
const MENDS: u32 = 3;
/// How long topics stay unsubscribed after something too large came over one of them.
const MUTE: Duration = Duration::from_secs(600);
const SEEN: Duration = Duration::from_secs(60);

/// How a connection ended.
enum Ended {
    Lost(Trouble),
    /// In good order, for new parameters.
    Renew,
    Stop,
}

/// What is not subscribed, since too much came over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Muted {
    /// Command topics.
    Commands,
    /// Everything.
    All,
}

/// A farewell in progress.
struct Leaving {
    drained_by: Instant,
    over_by: Instant,
    said: bool,
    stop: bool,
}

pub(crate) struct Driver {
    /// What is said of us being there.
    alive: String,
    answers: VecDeque<Answer>,
    begun: Begun,
    bus: Bus,
    clock: Arc<dyn Clock>,
    commands: Bucket,
    /// When something else last said that we are away, though we had just put it right.
    contested: Option<Instant>,
    cursor: Cursor,
    dice: StdRng,
    discovered: Option<(Value, BTreeMap<String, String>)>,
    done: mpsc::Receiver<Done>,
    /// Refusals without a record of their own, and since when.
    dropped: Option<(Instant, u64)>,
    forged: Forged,
    hub: Bucket,
    /// Somebody may listen who did not.
    hurry: bool,
    kept: Kept,
    latest: Latest,
    mends: Bucket,
    muted: Option<(Instant, Muted)>,
    /// Refusals that get a record each.
    noted: Bucket,
    /// What is no version is told so often.
    odd: Bucket,
    orders: watch::Receiver<Control>,
    params: MqttParams,
    /// Answers to what has no id.
    refusals: Bucket,
    reports: Arc<Semaphore>,
    retained: Retained,
    second_seen: Option<Instant>,
    show: Bucket,
    slots: Arc<Semaphore>,
    /// Which MQTT was spoken last.
    spoken: &'static str,
    status: watch::Sender<MqttStatus>,
    tell_done: mpsc::Sender<Done>,
    timing: Timing,
    topics: Topics,
    /// Refusals that had no answer.
    unanswered: u64,
    /// What the broker did not take of us on this connection.
    unpublished: Option<String>,
    /// Our availability stands otherwise at the broker than it is.
    untrue: bool,
    versions: Versions,
    view: watch::Receiver<Arc<SiteView>>,
}

impl Driver {
    pub(crate) fn new(
        bus: Bus,
        clock: Arc<dyn Clock>,
        timing: Timing,
        orders: watch::Receiver<Control>,
        status: watch::Sender<MqttStatus>,
    ) -> Self {
        let params = orders.borrow().params.clone();
        let (tell_done, done) = mpsc::channel(COMMANDS);
        let cursor = bus.store().cursor(CURSOR);
        let begun = Begun::new(*bus.store().durable().borrow());
        status.send_modify(|status| status.published = cursor.get());
        Self {
            alive: String::new(),
            answers: VecDeque::new(),
            begun,
            clock,
            commands: Bucket::new(BURST, EVERY),
            contested: None,
            cursor,
            dice: StdRng::from_os_rng(),
            discovered: None,
            done,
            dropped: None,
            forged: Forged::new(),
            hub: Bucket::new(2, Duration::from_secs(5)),
            hurry: false,
            kept: Kept::new(timing.keeps),
            latest: Latest::default(),
            mends: Bucket::new(MENDS, timing.mend),
            muted: None,
            noted: Bucket::new(NOTED, Duration::from_secs(5)),
            odd: Bucket::new(1, Duration::from_secs(60)),
            orders,
            refusals: Bucket::new(20, Duration::from_millis(200)),
            reports: Arc::new(Semaphore::new(REPORTS)),
            retained: Retained::new(bus.store().records().clone(), timing),
            second_seen: None,
            show: Bucket::new(1, SHOW),
            slots: Arc::new(Semaphore::new(COMMANDS)),
            spoken: Spoken::V5.number(),
            status,
            tell_done,
            timing,
            topics: Topics::new(&params.base, &params.site_id),
            params,
            unanswered: 0,
            unpublished: None,
            untrue: false,
            versions: Versions::default(),
            view: bus.view(),
            bus,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            if !self.site_is_known().await {
                return;
            }
            let begun = self.clock.now();
            let version = self.versions.next(begun, self.params.protocol);
            let ended = self.connection(version).await;
            self.status.send_modify(|status| {
                status.connected = false;
                status.protocol = None;
            });
            let lost = match ended {
                Ended::Stop => return,
                Ended::Renew => {
                    failures = 0;
                    continue;
                }
                Ended::Lost(lost) => lost,
            };
            let now = self.clock.now();
            if self
                .versions
                .ended(now, self.params.protocol, version, lost.other)
            {
                tracing::info!(why = %lost.text, "the broker does not take MQTT 5, 3.1.1 is tried");
                continue;
            }
            if now.since(begun) >= GOOD {
                failures = 0;
            }
            if lost.oversized {
                self.mute(&lost.text);
            }
            self.fault(Some(lost.text));
            let first = if lost.lasting {
                LASTING.min(self.timing.retry_max)
            } else {
                self.timing.retry
            };
            let pause = (first * 2_u32.saturating_pow(failures.min(10))).min(self.timing.retry_max);
            failures += 1;
            let pause = pause.mul_f64(self.dice.random_range(0.5..1.0));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = self.orders.changed() => {
                    if changed.is_err() || self.orders.borrow().stop {
                        return;
                    }
                    failures = 0;
                }
            }
            self.adopt();
        }
    }

    /// Waits for the first picture: without it everything remembered would be cleared. False at the end.
    async fn site_is_known(&mut self) -> bool {
        loop {
            if self.orders.borrow().stop {
                return false;
            }
            self.adopt();
            if self.view.borrow().site.is_some() {
                return true;
            }
            tokio::select! {
                changed = self.view.changed() => if changed.is_err() { return false },
                changed = self.orders.changed() => if changed.is_err() { return false },
            }
        }
    }

    /// Takes the newest parameters.
    fn adopt(&mut self) {
        let params = self.orders.borrow_and_update().params.clone();
        if params != self.params {
            self.topics = Topics::new(&params.base, &params.site_id);
            self.params = params;
            self.discovered = None;
            self.latest = Latest::default();
            self.versions = Versions::default();
        }
    }

    fn fault(&self, text: Option<String>) {
        let changed = self.status.send_if_modified(|status| {
            let changed = status.fault != text;
            status.fault.clone_from(&text);
            changed
        });
        match text {
            Some(text) if changed => tracing::warn!(%text, "MQTT does not work"),
            Some(text) => tracing::debug!(%text, "MQTT still does not work"),
            None => {}
        }
    }

    /// One connection from its begin to its end.
    async fn connection(&mut self, version: Spoken) -> Ended {
        let mut connection = Connection::open(&self.params, version, &self.topics.availability());
        let now = self.clock.now();
        let store = self.bus.store().clone();
        let mut durable = store.durable();
        let client = connection.client.clone();
        let topics = self.topics.clone();
        let confidential = self.params.confidential;
        let (from, begun) = (self.cursor.get(), self.begun.clone());
        let mut session = Session::new(client, now, from, store, topics, confidential, begun);
        let mut leaving = None;
        let (mut journal_is_open, mut core_is_there, mut reads) = (true, true, true);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.refresh();
        let wants_tags = self.params.discovery.as_ref().is_some_and(|d| d.tags);
        let mut tags = wants_tags.then(|| self.bus.tags());

        loop {
            tokio::select! {
                event = connection.events.recv() => match event {
                    Some(Ok(event)) => self.event(&connection, &mut session, event),
                    Some(Err(trouble)) => return self.lost(leaving, trouble),
                    None => {
                        let text = "the MQTT client failed; it is made anew".to_owned();
                        return self.lost(leaving, Trouble::passing(text));
                    }
                },
                page = session.page(), if session.is_reading() => match page {
                    Ok(()) => {
                        if !reads {
                            self.fault(None);
                        }
                        reads = true;
                    }
                    Err(error) => {
                        reads = false;
                        self.fault(Some(format!("events cannot be read for MQTT: {error}")));
                        tokio::time::sleep(TICK).await;
                    }
                },
                changed = durable.changed(), if journal_is_open => journal_is_open = changed.is_ok(),
                changed = self.view.changed(), if core_is_there => {
                    if changed.is_ok() {
                        self.refresh();
                    } else {
                        // the core is gone and nothing new will come
                        core_is_there = false;
                        leaving.get_or_insert_with(|| self.leave(true));
                    }
                }
                seen = Self::card(&mut tags) => self.tell_card(&session, &seen),
                Some(done) = self.done.recv() => self.done(self.clock.now(), done),
                changed = self.orders.changed(), if leaving.is_none() => {
                    if changed.is_err() || self.orders.borrow().stop {
                        leaving = Some(self.leave(true));
                    } else if self.needs_renewal() {
                        leaving = Some(self.leave(false));
                    } else {
                        self.adopt();
                        self.refresh();
                    }
                }
                _ = tick.tick() => {
                    if let Some(end) = self.look(&connection, &mut session) {
                        return self.lost(leaving, end);
                    }
                }
            }
            let now = self.clock.now();
            let wall = self.clock.wall();
            if std::mem::take(&mut self.hurry) {
                session.hurry(now);
            }
            let filled = session.fill(now, wall, &mut self.answers, &mut self.retained, &self.alive);
            session.acknowledge(self.answers.len() < ANSWERS_FULL);
            let stays = filled.is_ok() && self.farewell(&connection, &mut session, leaving.as_mut()).await;
            if !stays {
                let text = "the MQTT client takes nothing any more; it is made anew";
                let trouble = connection.ended();
                return self.lost(
                    leaving,
                    trouble.unwrap_or_else(|| Trouble::passing(text.to_owned())),
                );
            }
        }
    }

    fn lost(&self, leaving: Option<Leaving>, trouble: Trouble) -> Ended {
        match leaving {
            Some(leaving) if leaving.stop => Ended::Stop,
            Some(_) => Ended::Renew,
            None => Ended::Lost(trouble),
        }
    }

    fn leave(&mut self, stop: bool) -> Leaving {
        let now = self.clock.now();
        self.retained.hurry(now);
        Leaving {
            drained_by: now + DRAIN,
            over_by: now + FAREWELL,
            said: false,
            stop,
        }
    }

    /// Goes on with a farewell; false when it is over.
    async fn farewell(
        &self,
        connection: &Connection,
        session: &mut Session,
        leaving: Option<&mut Leaving>,
    ) -> bool {
        let Some(leaving) = leaving else { return true };
        let now = self.clock.now();
        if session.connected.is_none() || now >= leaving.over_by {
            return false;
        }
        let settled = session.online && self.answers.is_empty() && self.retained.is_settled();
        if !leaving.said && (now >= leaving.drained_by || settled && session.is_caught_up()) {
            leaving.said = true;
            session.leaves = true;
            return session.availability(now, OFFLINE).is_ok();
        }
        if leaving.said && session.outbox.is_empty() {
            // the broker closes as soon as it has read that
            let _ = connection.client.order(Order::Bye);
            tokio::time::sleep(Duration::from_millis(50)).await;
            return false;
        }
        true
    }

    /// Do the newest parameters need another connection?
    fn needs_renewal(&self) -> bool {
        let new = self.orders.borrow().params.clone();
        let live = MqttParams {
            accept_untimed: self.params.accept_untimed,
            command_ttl: self.params.command_ttl,
            ..new
        };
        live != self.params
    }

    /// Limits that pass without any event.
    fn look(&mut self, connection: &Connection, session: &mut Session) -> Option<Trouble> {
        let now = self.clock.now();
        if self
            .dropped
            .is_some_and(|(since, _)| now.since(since) >= self.timing.report)
        {
            self.report_dropped();
        }
        if self.muted.is_some_and(|(until, _)| now >= until) && session.connected.is_some() {
            self.muted = None;
            self.subscribe(connection);
            self.fault(None);
            // nobody told us meanwhile
            self.untrue = true;
        }
        if session.connected.is_some() {
            self.look_at_versions(now);
        }
        if session.connected.is_some() && !session.marks_retained() {
            self.look_for_kept(now, connection);
        }
        if let Some(topic) = session.too_large.take() {
            self.not_taken(&topic, "it is larger than the broker allows");
        }
        self.mend(now, session);
        self.tell_intruders(now);
        if self.second_seen.is_some_and(|seen| now.since(seen) > SEEN) {
            self.second_seen = None;
            self.status.send_modify(|status| status.second_instance = None);
        }
        let stalled = session.outbox.stalled(now, self.timing.stall);
        stalled.then(|| {
            Trouble::passing(format!(
                "the broker {}:{} acknowledged nothing for {} s; connecting anew",
                self.params.host,
                self.params.port,
                self.timing.stall.as_secs()
            ))
        })
    }

    /// What should stand at the broker by the newest picture.
    fn refresh(&mut self) {
        let view = self.view.borrow_and_update().clone();
        self.alive = alive::text(&view);
        let mut wanted = state::states(&self.params, &self.topics, &view);
        let shape = discovery::shape(&view);
        if self.discovered.as_ref().is_none_or(|(known, _)| *known != shape) {
            let retained = &self.retained;
            let before = |topic: &str| retained.components(topic);
            let all = discovery::announcements(&self.params, &self.topics, &view, before);
            for announcement in &all {
                retained.remember(&announcement.topic, Some(&announcement.components));
            }
            let messages = all.into_iter().map(|a| (a.topic, a.payload)).collect();
            self.discovered = Some((shape, messages));
            self.hurry = true;
        }
        if let Some((_, messages)) = &self.discovered {
            wanted.extend(messages.clone());
        }
        wanted.extend(bridge::documents(&self.params, &self.topics, &view, self.spoken));
        wanted.extend(self.versions_told());
        self.retained.leave(self.others_keep(&view));
        self.retained.want(wanted);
    }

    fn event(&mut self, connection: &Connection, session: &mut Session, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Connected(broker) => self.connected(now, connection, session, broker),
            Event::Message(message) => {
                session.came(&message);
                self.message(session, &message);
            }
            Event::Acked(id, refused) => {
                if let (Some(why), Some(topic)) = (refused, session.outbox.topic(id)) {
                    self.not_taken(topic, &why);
                }
                match session.outbox.acked(now, id) {
                    Acked::Cleared(topic) => {
                        let is_own = discovery::is_own(&self.params, &topic);
                        self.retained.cleared(&topic, is_own, self.clock.wall());
                    }
                    Acked::Cursor(seq) => self.published(seq),
                    Acked::Nothing => {}
                }
            }
            Event::Granted(refused) => {
                if let Some(why) = refused {
                    self.fault(Some(format!(
                        "the broker does not let us subscribe to our command topics, {why}; check its access list"
                    )));
                }
            }
            Event::Told(id) => session.outbox.told(id),
            Event::AckSent => session.acknowledged(),
        }
    }

    /// The broker does not take what we publish. On a command topic that was the clearing of a kept command, which is told as
    /// such; a topic of others is one that a command wanted its answer on.
    fn not_taken(&mut self, topic: &str, why: &str) {
        let hub = self.params.discovery.as_ref().map(|discovery| &discovery.prefix);
        let is_hubs = hub.is_some_and(|hub| topic.starts_with(hub.as_str()));
        if self.topics.target(topic).is_some() || !is_hubs && !self.topics.is_ours(topic) {
            tracing::debug!(topic, why, "the broker did not take a message");
            return;
        }
        let text = format!("the broker does not take what the gateway says on {topic}: {why}");
        tracing::debug!(text, "MQTT lost a message");
        self.unpublished = Some(text);
    }

    fn subscribe(&self, connection: &Connection) {
        let muted = self.muted.map(|(_, muted)| muted);
        if muted.is_none() {
            self.subscribe_to(connection, self.topics.command_filters(), true);
        }
        if muted < Some(Muted::All) {
            // our own: another instance under our name would show there, live and so without a mark
            let own = [
                self.topics.state(),
                self.topics.availability(),
                self.topics.update_latest(),
            ];
            self.subscribe_to(connection, own.into_iter().chain(self.hub_status()), false);
        }
    }

    fn subscribe_to(&self, connection: &Connection, filters: impl IntoIterator<Item = String>, marked: bool) {
        let filters = filters.into_iter().map(|path| Filter {
            marked,
            path,
            qos: Qos::AtLeastOnce,
        });
        if connection
            .client
            .order(Order::Subscribe(filters.collect()))
            .is_err()
        {
            tracing::warn!("the command topics could not be subscribed");
        }
    }

    /// Leaves topics unsubscribed for a while: first those of commands, then all.
    fn mute(&mut self, text: &str) {
        let now = self.clock.now();
        let muted = match self.muted {
            None => Muted::Commands,
            Some(_) => Muted::All,
        };
        self.muted = Some((now + MUTE, muted));
        self.refuse(now, Refused::of(Refusal::Malformed, text.to_owned()));
    }

    fn connected(&mut self, now: Instant, connection: &Connection, session: &mut Session, broker: Welcome) {
        let version = broker.version;
        session.welcomed(now, broker);
        self.spoken = version.number();
        self.refresh();
        self.unpublished = None;
        self.untrue = false;
        self.kept.connected();
        self.subscribe(connection);
        if self.muted.is_none() {
            self.latest.subscribed(now);
        }
        // the session says these in its own time
        let own = [self.topics.availability(), self.topics.alive()];
        for topic in &own {
            self.retained.remember(topic, None);
        }
        self.retained.connected(&own.each_ref().map(String::as_str));
        let fault = self.muted.map(|_| {
            let minutes = MUTE.as_secs() / 60;
            format!(
                "no commands are taken over MQTT for {minutes} minutes: somebody sends messages that are too large; \
                 clear what is retained on the command topics, and limit message size and access at the broker"
            )
        });
        self.status.send_modify(|status| {
            status.connected = true;
            status.fault = fault;
            status.protocol = Some(version.number());
        });
        let version = version.number();
        tracing::info!(broker = %self.params.host, port = self.params.port, version, "MQTT is connected");
    }

    /// First levels that mean something to others, where no answer goes.
    fn reserved(&self) -> Vec<String> {
        let hub = self
            .params
            .discovery
            .as_ref()
            .map(|discovery| discovery.prefix.clone());
        let mut all = vec![self.params.base.clone()];
        all.extend(hub);
        all.extend(self.params.devices.iter().cloned());
        all
    }

    fn hub_status(&self) -> Option<String> {
        self.params.discovery.as_ref().map(MqttDiscovery::birth)
    }

    fn published(&self, seq: Seq) {
        self.cursor.advance(seq);
        self.status.send_modify(|status| status.published = seq);
    }

    fn message(&mut self, session: &mut Session, message: &Came) {
        let now = self.clock.now();
        if self.hub_status().as_ref() == Some(&message.topic) {
            if !message.retain && message.payload.as_ref() == ONLINE.as_bytes() {
                // its entities take that for our end, until we say that we are there
                self.hurry = true;
                if self.hub.take(now) {
                    self.retained.born();
                }
            }
        } else if message.topic == self.topics.state() {
            self.own_state(now, message);
        } else if message.topic == self.topics.availability() {
            self.own_availability(now, session, message);
        } else if message.topic == self.topics.update_latest() {
            self.announced(now, message);
        } else if let Some(target) = self.topics.target(&message.topic) {
            if self.is_settled(now, message) {
                return;
            }
            let reserved = self.reserved();
            let (response, correlation) = (message.response.as_deref(), message.correlation.clone());
            let reply_to = answer::reply_to(&self.topics, &reserved, response, correlation);
            let arrival = Arrival {
                connected: session.connected.map_or(Duration::ZERO, |since| now.since(since)),
                dup: message.dup,
                expiry: message.expiry,
                payload: &message.payload,
                retained: message.retain,
                ring: self.ring_at(&target),
                target,
                wall: self.clock.wall(),
            };
            self.command(now, &arrival, &message.topic, reply_to);
        }
    }
}
