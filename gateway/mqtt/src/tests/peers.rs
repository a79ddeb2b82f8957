//! The two sides of the interface in a test: a client at the broker, and a core that judges commands.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_bus::{Bus, BusCore};
use gateway_core::{
    Clock, Command, CommandEvent, CommandReply, CommandRequest, DoorEvent, Envelope, Event, GatewayEvent,
    Given, Instant, Refusal, Seq, SiteView, Timestamp,
};
use gateway_store::{Options, Store, fake::FakeIo};
use rumqttc::{AsyncClient, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::broker::{PASSWORD, USER};

/// Longest wait for anything; the machine may be busy.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Waits for something with a deadline.
pub(super) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, wait).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {} s", LIMIT.as_secs()),
    }
}

/// One message heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) topic: String,
    pub(super) text: String,
    pub(super) retain: bool,
}

impl Heard {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// A client that hears everything and connects again by itself.
pub(super) struct Observer {
    client: AsyncClient,
    heard: Arc<(Mutex<Vec<Heard>>, Notify)>,
    subscribed: watch::Receiver<u32>,
    task: tokio::task::JoinHandle<()>,
}

impl Observer {
    pub(super) async fn connect(port: u16) -> Self {
        Self::connect_as(port, USER).await
    }

    pub(super) async fn connect_as(port: u16, user: &str) -> Self {
        let mut options = MqttOptions::new(format!("observer-{port}-{}", rand_id()), "127.0.0.1", port);
        options
            .set_credentials(user, PASSWORD)
            .set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::new(options, 64);
        let heard: Arc<(Mutex<Vec<Heard>>, Notify)> = Arc::default();
        let (count, subscribed) = watch::channel(0);
        let (shared, own) = (Arc::clone(&heard), client.clone());
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => {
                        own.try_subscribe("#", QoS::AtLeastOnce).expect("room");
                    }
                    Ok(rumqttc::Event::Incoming(Packet::SubAck(_))) => count.send_modify(|count| *count += 1),
                    Ok(rumqttc::Event::Incoming(Packet::Publish(message))) => {
                        let heard = Heard {
                            topic: message.topic,
                            text: String::from_utf8_lossy(&message.payload).into_owned(),
                            retain: message.retain,
                        };
                        shared
                            .0
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(heard);
                        shared.1.notify_waiters();
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let observer = Self {
            client,
            heard,
            subscribed,
            task,
        };
        observer.subscribed(1).await;
        observer
    }

    /// Waits for the n-th subscription.
    pub(super) async fn subscribed(&self, n: u32) {
        let mut subscribed = self.subscribed.clone();
        within("subscribed", subscribed.wait_for(|count| *count >= n))
            .await
            .expect("runs");
    }

    pub(super) async fn publish(&self, topic: &str, retain: bool, text: &str) {
        self.client
            .publish(topic, QoS::AtLeastOnce, retain, text)
            .await
            .expect("taken");
    }

    pub(super) fn all(&self) -> Vec<Heard> {
        self.heard
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets what was heard.
    pub(super) fn forget(&self) {
        self.heard
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The first message heard that fits, now or later.
    pub(super) async fn hear(&self, what: &str, fits: impl Fn(&Heard) -> bool) -> Heard {
        let search = async {
            loop {
                let changed = self.heard.1.notified();
                if let Some(found) = self.all().into_iter().find(&fits) {
                    return found;
                }
                changed.await;
            }
        };
        let Ok(found) = tokio::time::timeout(LIMIT, search).await else {
            panic!("{what}: not heard; heard was {:#?}", self.all());
        };
        found
    }

    /// Waits until everything that the broker had for us before is here.
    pub(super) async fn barrier(&self) {
        let word = format!("{}", rand_id());
        self.publish("barrier", false, &word).await;
        self.hear("barrier", |m| m.topic == "barrier" && m.text == word)
            .await;
    }

    /// Sequence numbers on the event topic in the order heard.
    pub(super) fn seqs(&self) -> Vec<u64> {
        self.marked_seqs().into_iter().map(|(seq, _)| seq).collect()
    }

    /// The same, each with whether it is marked as one that may have come before.
    pub(super) fn marked_seqs(&self) -> Vec<(u64, bool)> {
        let all = self
            .all()
            .into_iter()
            .filter(|m| m.topic == "doorline/lilas/event");
        all.filter_map(|m| {
            let record = m.json();
            Some((record["seq"].as_u64()?, record["again"] == true))
        })
        .collect()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn rand_id() -> u64 {
    use rand::{Rng, SeedableRng};
    rand::rngs::StdRng::from_os_rng().random()
}

/// The machine's clocks, as far as tests need them.
pub(super) struct TestClock(std::time::Instant);

impl Default for TestClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(1_000_000_000_000) + self.0.elapsed()
    }
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The same, with time that is added.
#[derive(Default)]
pub(super) struct AheadClock {
    ahead_s: AtomicU64,
    real: TestClock,
}

impl AheadClock {
    pub(super) fn pass(&self, seconds: u64) {
        self.ahead_s.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for AheadClock {
    fn now(&self) -> Instant {
        self.real.now() + Duration::from_secs(self.ahead_s.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        self.real.wall()
    }
}

/// A core that judges commands by the rules and counts openings.
pub(super) struct FakeCore {
    pub(super) bus: Bus,
    pub(super) opened: watch::Receiver<u32>,
    pub(super) store: Store,
    pub(super) view: watch::Sender<Arc<SiteView>>,
}

impl FakeCore {
    pub(super) fn start() -> Self {
        let options = Options {
            index: false,
            ..Options::default()
        };
        let (store, _) = Store::open(Path::new("/state"), options, FakeIo::new()).expect("a journal");
        let (bus, core) = Bus::new(store.clone());
        let BusCore {
            mut commands, view, ..
        } = core;
        view.send_replace(Arc::new(super::view()));
        let (count, opened) = watch::channel(0);
        let journal = store.clone();
        tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while let Some(asked) = commands.recv().await {
                let refusal = match &asked.request.command {
                    Command::Unread { reason, .. } => Some(*reason),
                    Command::Announce { .. }
                    | Command::Call { .. }
                    | Command::ConfirmAlarm { .. }
                    | Command::EndHold { .. }
                    | Command::EndLockdown { .. }
                    | Command::EndQuiet { .. }
                    | Command::EndRingToOpen { .. }
                    | Command::HangUp { .. }
                    | Command::Hold { .. }
                    | Command::Lockdown { .. }
                    | Command::Open { .. }
                    | Command::OpenFor { .. }
                    | Command::OpenWithCode { .. }
                    | Command::Press { .. }
                    | Command::Quiet { .. }
                    | Command::ResetFire
                    | Command::ResetPassback { .. }
                    | Command::RingToOpen { .. }
                    | Command::SendCard { .. }
                    | Command::SetRelay { .. } => judge(&mut seen, &asked.request),
                };
                let request = asked.request;
                let (id, subject) = (request.id.to_string(), request.origin.subject);
                let verb = request.command.verb().to_owned();
                let event = match refusal {
                    Some(_) if matches!(request.command, Command::Unread { times: 2.., .. }) => {
                        let Command::Unread { times, .. } = request.command else {
                            unreachable!("just seen")
                        };
                        CommandEvent::Dropped { subject, times }
                    }
                    Some(reason) => CommandEvent::Refused {
                        id,
                        reason,
                        subject,
                        verb,
                    },
                    None => CommandEvent::Accepted {
                        id: request.id,
                        subject,
                        verb,
                    },
                };
                let seq = append(&journal, Event::Command(event)).await;
                let reply = match refusal {
                    Some(reason) => CommandReply::Refused {
                        reason,
                        text: "by the core".into(),
                    },
                    None => {
                        count.send_modify(|count| *count += 1);
                        CommandReply::Accepted { ring: None, seq }
                    }
                };
                let _ = asked.reply.send(reply);
            }
        });
        Self {
            bus,
            opened,
            store,
            view,
        }
    }

    /// Appends events that are told apart by a number; gives the last one's sequence number.
    pub(super) async fn events(&self, count: u64) -> Seq {
        let mut last = Seq(0);
        for gap_ms in 0..count {
            last = append(&self.store, Event::Gateway(GatewayEvent::LoopGap { gap_ms })).await;
        }
        last
    }

    pub(super) async fn door(&self, event: DoorEvent) -> Seq {
        let door = super::view().doors[0].id.clone();
        append(&self.store, Event::Door(door, event)).await
    }
}

async fn append(store: &Store, event: Event) -> Seq {
    let ticket = store.append(Envelope {
        at: Timestamp::now(),
        event,
        ring: None,
        simulated: true,
    });
    ticket.expect("room").durable().await.expect("durable")
}

fn judge(seen: &mut BTreeSet<String>, request: &CommandRequest) -> Option<Refusal> {
    if !seen.insert(request.id.to_string()) {
        Some(Refusal::Duplicate)
    } else if request.stale_by_transport {
        Some(Refusal::Stale)
    } else if request.given == Given::Undated {
        Some(Refusal::Untimed)
    } else {
        match &request.command {
            Command::Open { door } if door.as_str() == "front" => None,
            Command::Announce { .. }
            | Command::Call { .. }
            | Command::ConfirmAlarm { .. }
            | Command::EndHold { .. }
            | Command::EndLockdown { .. }
            | Command::EndQuiet { .. }
            | Command::EndRingToOpen { .. }
            | Command::HangUp { .. }
            | Command::Hold { .. }
            | Command::Lockdown { .. }
            | Command::Open { .. }
            | Command::OpenFor { .. }
            | Command::OpenWithCode { .. }
            | Command::Press { .. }
            | Command::Quiet { .. }
            | Command::ResetFire
            | Command::ResetPassback { .. }
            | Command::RingToOpen { .. }
            | Command::SendCard { .. }
            | Command::SetRelay { .. }
            | Command::Unread { .. } => Some(Refusal::Unknown),
        }
    }
}
