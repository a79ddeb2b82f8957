//! What one connection publishes, and in which order: answers, states, availability, that we are there, then the journal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway_core::{DoorId, Instant, PanelId, Record, Seq, Timestamp, Value, is_confidential};
use gateway_store::{ReadFailure, Store, json_text};
use tokio::task::JoinHandle;

use crate::alive::{self, Beats};
use crate::answer::Answer;
use crate::connection::{ACKS, Came, Client, Message, NotTaken, Order, Welcome, With};
use crate::discovery;
use crate::outbox::{Outbox, Sent};
use crate::retained::{Components, Next, Retained};
use crate::state::ONLINE;
use crate::topics::Topics;

/// Records read at once.
const PAGE: usize = 128;
/// Older records are left out of the topics of doors and panels: those say what happens now, and a bell that is
/// late by hours must not ring a house. The event topic has them all.
pub(crate) const FRESH: Duration = Duration::from_secs(60);
/// An answer that waited for longer finds nobody who waits for it.
const ANSWERED: Duration = FRESH;

/// A page could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("{0}")]
    Journal(#[from] ReadFailure),
    #[error("the reading failed")]
    Task(#[from] tokio::task::JoinError),
}

/// Up to where records were begun to be published, also over connections that are gone. Beyond the cursor nobody knows whether
/// the broker got those, so that they come again, and are marked.
#[derive(Clone, Debug)]
pub(crate) struct Begun(Arc<AtomicU64>);

impl Begun {
    /// At the start of the process: what was durable then may have been published by the one before.
    pub(crate) fn new(durable: Seq) -> Self {
        Self(Arc::new(AtomicU64::new(durable.0)))
    }

    fn upto(&self) -> Seq {
        Seq(self.0.load(Ordering::Relaxed))
    }

    fn begin(&self, seq: Seq) {
        self.0.fetch_max(seq.0, Ordering::Relaxed);
    }
}

type Reading = JoinHandle<Result<Vec<Arc<Record>>, ReadFailure>>;

/// One connection's publishing.
pub(crate) struct Session {
    /// Acknowledgements that the client was given and has not sent.
    acks: usize,
    /// Records up to here may have come before this connection.
    again: Seq,
    beats: Beats,
    begun: Begun,
    client: Client,
    /// Are confidential records told, too?
    confidential: bool,
    /// Since when the broker has us; `None` before ConnAck.
    pub(crate) connected: Option<Instant>,
    /// What the broker keeps says of us that we are not there, but for the availability.
    doubted: bool,
    /// The farewell is said.
    pub(crate) leaves: bool,
    /// Next record to read from the journal.
    next: Seq,
    /// Availability was published.
    pub(crate) online: bool,
    pub(crate) outbox: Outbox,
    /// Packet ids of messages that came and are not acknowledged, in order.
    owed: VecDeque<u16>,
    page: VecDeque<Arc<Record>>,
    /// Messages of the record begun.
    parts: VecDeque<Part>,
    /// What the broker can take; before ConnAck nothing is known.
    broker: Option<Welcome>,
    /// The last record that was durable when the reading began, and the reading.
    reading: Option<(Seq, Reading)>,
    store: Store,
    /// A topic with a message that is larger than the broker takes.
    pub(crate) too_large: Option<String>,
    topics: Topics,
}

impl Session {
    pub(crate) fn new(
        client: Client,
        now: Instant,
        from: Seq,
        store: Store,
        topics: Topics,
        confidential: bool,
        begun: Begun,
    ) -> Self {
        Self {
            acks: 0,
            again: begun.upto(),
            beats: Beats::new(now),
            begun,
            client,
            confidential,
            connected: None,
            doubted: false,
            leaves: false,
            next: Seq(from.0 + 1),
            online: false,
            outbox: Outbox::new(now),
            owed: VecDeque::new(),
            page: VecDeque::new(),
            parts: VecDeque::new(),
            broker: None,
            reading: None,
            store,
            too_large: None,
            topics,
        }
    }

    /// The broker has us.
    pub(crate) fn welcomed(&mut self, now: Instant, broker: Welcome) {
        self.connected = Some(now);
        self.broker = Some(broker);
    }

    /// Does the broker mark kept messages, also those that come live?
    pub(crate) fn marks_retained(&self) -> bool {
        self.broker.as_ref().is_some_and(|broker| broker.marks_retained)
    }

    /// Somebody may listen who did not.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.beats.hurry(now);
    }

    /// Hands over as much as the window takes. `alive` is what is said of us being there.
    pub(crate) fn fill(
        &mut self,
        now: Instant,
        wall: Timestamp,
        answers: &mut VecDeque<Answer>,
        retained: &mut Retained,
        alive: &str,
    ) -> Result<(), NotTaken> {
        if self.connected.is_none() {
            return Ok(());
        }
        while self.outbox.room() > 0 {
            if let Some(answer) = answers.pop_front() {
                let with = With {
                    correlation: answer.correlation,
                    expiry: Some(seconds(ANSWERED)),
                    user: self.topics.marks(),
                };
                let message = Message {
                    payload: answer.text,
                    retain: false,
                    topic: answer.topic,
                    with,
                };
                self.publish(now, message, Sent::Aside)?;
            } else if let Some(next) = retained.pop(now) {
                match next {
                    Next::Clear(topic) => {
                        let sent = Sent::Cleared(topic.clone());
                        self.keep(now, topic, String::new(), sent)?;
                    }
                    Next::Ghost { of, stays, topic } => self.ghost(now, topic, &of, stays.as_deref())?,
                    Next::Keep(topic, payload) => self.keep(now, topic, payload, Sent::Aside)?,
                }
            } else if !self.doubted {
                self.doubted = true;
                self.keep(now, self.topics.alive(), alive::gone(), Sent::Aside)?;
            } else if !self.online {
                self.online = true;
                self.availability(now, ONLINE)?;
                self.beats.hurry(now);
            } else if !self.leaves && self.beats.say(now, alive) {
                self.alive(now, alive)?;
            } else if let Some(part) = self.parts.pop_front() {
                self.publish(now, part.message, Sent::Part(part.seq))?;
            } else if let Some(record) = self.page.pop_front() {
                self.parts = self.fitting(&record, wall);
                self.begun.begin(record.seq);
                let count = u8::try_from(self.parts.len()).unwrap_or(u8::MAX);
                self.outbox.begin(record.seq, count);
            } else {
                self.read();
                break;
            }
        }
        Ok(())
    }

    /// A message came.
    pub(crate) fn came(&mut self, message: &Came) {
        // there are no more ids than this
        if let Some(id) = message.id
            && self.owed.len() < usize::from(u16::MAX)
        {
            self.owed.push_back(id);
        }
    }

    /// Acknowledges what came, in order (MQTT 3.1.1 §4.6), as long as there is room for what it brings.
    pub(crate) fn acknowledge(&mut self, is_room: bool) {
        while is_room
            && self.acks < ACKS
            && let Some(id) = self.owed.front()
        {
            if self.client.order(Order::Ack(*id)).is_err() {
                return;
            }
            self.owed.pop_front();
            self.acks += 1;
        }
    }

    /// The client has sent an acknowledgement.
    pub(crate) const fn acknowledged(&mut self) {
        self.acks = self.acks.saturating_sub(1);
    }

    /// Publishes availability.
    pub(crate) fn availability(&mut self, now: Instant, word: &str) -> Result<(), NotTaken> {
        self.keep(now, self.topics.availability(), word.to_owned(), Sent::Aside)
    }

    /// Says that we are there, which the broker does not keep.
    fn alive(&mut self, now: Instant, text: &str) -> Result<(), NotTaken> {
        let with = With {
            expiry: Some(seconds(alive::NEWS)),
            user: self.topics.marks(),
            ..With::default()
        };
        let message = Message {
            payload: text.to_owned(),
            retain: false,
            topic: self.topics.alive(),
            with,
        };
        self.take(now, message, Sent::Aside)
    }

    /// Announces what is gone to a hub that is there, so that it can remove it.
    fn ghost(
        &mut self,
        now: Instant,
        topic: String,
        of: &Components,
        stays: Option<&str>,
    ) -> Result<(), NotTaken> {
        let Some(payload) = discovery::ghost(&self.topics, &topic, of, stays) else {
            return Ok(());
        };
        let with = With {
            user: self.topics.marks(),
            ..With::default()
        };
        let message = Message {
            payload,
            retain: false,
            topic,
            with,
        };
        self.take(now, message, Sent::Aside)
    }

    /// Publishes what the broker is to keep.
    fn keep(&mut self, now: Instant, topic: String, payload: String, sent: Sent) -> Result<(), NotTaken> {
        let with = With {
            user: self.topics.marks(),
            ..With::default()
        };
        let message = Message {
            payload,
            retain: true,
            topic,
            with,
        };
        self.take(now, message, sent)
    }

    /// Publishes what fits the broker.
    fn take(&mut self, now: Instant, message: Message, sent: Sent) -> Result<(), NotTaken> {
        if self.fits(&message) {
            self.publish(now, message, sent)
        } else {
            self.too_large = Some(message.topic);
            Ok(())
        }
    }

    fn publish(&mut self, now: Instant, message: Message, sent: Sent) -> Result<(), NotTaken> {
        let topic = message.topic.clone();
        self.client.publish(message)?;
        self.outbox.handed(now, topic, sent);
        Ok(())
    }

    fn fits(&self, message: &Message) -> bool {
        let largest = self.broker.as_ref().map_or(usize::MAX, |broker| broker.largest);
        message.size() <= largest
    }

    /// The messages of a record that the broker takes. The feed has every number: a record that is too large loses its
    /// fields there.
    fn fitting(&self, record: &Record, wall: Timestamp) -> VecDeque<Part> {
        let again = record.seq <= self.again;
        let mut parts = messages(&self.topics, record, wall, again);
        parts.retain(|part| part.message.topic == self.topics.event() || self.fits(&part.message));
        if let Some(first) = parts.front_mut()
            && !self.fits(&first.message)
        {
            first.message.payload = cut(record, again);
        }
        parts
    }

    /// Begins to read the next page, if there is one. The medium may be slow: not on this thread.
    fn read(&mut self) {
        let upto = self.durable();
        if self.reading.is_none() && self.next <= upto {
            let (store, next) = (self.store.clone(), self.next);
            let reading = tokio::task::spawn_blocking(move || store.read(next, PAGE));
            self.reading = Some((upto, reading));
        }
    }

    fn durable(&self) -> Seq {
        *self.store.durable().borrow()
    }

    /// True while a page is being read.
    pub(crate) const fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Waits for the page that is being read. May be dropped and called again.
    pub(crate) async fn page(&mut self) -> Result<(), PageError> {
        let Some((upto, reading)) = &mut self.reading else {
            return Ok(());
        };
        let upto = *upto;
        let page = reading.await;
        self.reading = None;
        let page = page??;
        // nothing readable up to there: trimmed or damaged, which the journal reports itself
        self.next = page.last().map_or(Seq(upto.0 + 1), |last| Seq(last.seq.0 + 1));
        let told = |record: &Arc<Record>| self.confidential || !is_confidential(&record.kind);
        self.page = page.into_iter().filter(told).collect();
        Ok(())
    }

    /// True if the broker has everything that is durable.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.next > self.durable()
            && self.page.is_empty()
            && self.parts.is_empty()
            && self.reading.is_none()
            && self.outbox.is_empty()
    }
}

/// One message of a record.
struct Part {
    message: Message,
    seq: Seq,
}

/// Whole seconds.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// A record without its fields, for a broker that does not take it.
fn cut(record: &Record, again: bool) -> String {
    let bare = Record {
        fields: Vec::new(),
        ..record.clone()
    };
    with("\"cut\":true", &text(&bare, again))
}

/// A record as text, with the mark of what may have come before.
fn text(record: &Record, again: bool) -> String {
    let text = json_text(record);
    if again {
        with("\"again\":true", &text)
    } else {
        text
    }
}

/// An object with one member more. The row of a record is an object and never empty.
fn with(member: &str, object: &str) -> String {
    format!("{{{member},{}", &object[1..])
}

/// The messages of a record: on the event topic, at its door or panel if it is fresh, and where a rule says something: that
/// if it is fresh, too, or if the broker is to keep it.
fn messages(topics: &Topics, record: &Record, wall: Timestamp, again: bool) -> VecDeque<Part> {
    let seq = record.seq;
    let text = text(record, again);
    let mut all = VecDeque::with_capacity(2);
    let age = wall.duration_since(record.at).unsigned_abs();
    let fresh = age <= FRESH;
    let mut user = topics.marks();
    user.extend([("seq", seq.0.to_string()), ("kind", record.kind.to_string())]);
    let part = |topic, payload, retain, expiry| Part {
        message: Message {
            payload,
            retain,
            topic,
            with: With {
                correlation: None,
                expiry,
                user: user.clone(),
            },
        },
        seq,
    };
    // what is no news after a minute is none at a broker either
    let news = seconds(FRESH.saturating_sub(age)).max(1);
    let (family, tag) = record.kind.split_once('.').unwrap_or((&record.kind, ""));
    let named = match family {
        "door" => DoorId::new(&record.source).is_ok(),
        "panel" => PanelId::new(&record.source).is_ok(),
        _ => false,
    };
    if fresh && named {
        let tag = serde_json::to_string(tag).expect("a text");
        let with_type = with(&format!("\"event_type\":{tag}"), &text);
        let topic = topics.of(family, &record.source, "event");
        all.push_back(part(topic, with_type, false, Some(news)));
    }
    let retain = *record.get("retain") == Value::Bool(true);
    if record.kind == "rule.publish"
        && (fresh || retain)
        && let Some(topic) = topics.message(&record.text_of("topic"))
    {
        let expiry = (!retain).then_some(news);
        all.push_back(part(topic, record.text_of("message"), retain, expiry));
    }
    all.push_front(part(topics.event(), text, false, None));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ButtonId, Envelope, Event, GatewayEvent, PanelEvent, RuleEvent, RuleId};
    use gateway_store::{Options, fake::FakeIo};

    fn record(event: Event) -> Record {
        let mut record = Record::from(&Envelope {
            at: "2026-03-01T12:00:00Z".parse().expect("a time"),
            event,
            ring: None,
            simulated: false,
        });
        record.seq = Seq(7);
        record
    }

    fn texts(record: &Record, wall: &str) -> Vec<(String, String)> {
        let topics = Topics::new("doorline", "lilas");
        messages(&topics, record, wall.parse().expect("a time"), false)
            .into_iter()
            .map(|part| (part.message.topic, part.message.payload))
            .collect()
    }

    #[test]
    fn what_may_have_come_before_is_marked_everywhere() {
        let door = "front".parse().expect("a name");
        let record = record(Event::Door(door, gateway_core::DoorEvent::Opened {}));
        let topics = Topics::new("doorline", "lilas");
        let wall = "2026-03-01T12:00:01Z".parse().expect("a time");
        let marked = |again| {
            let parts = messages(&topics, &record, wall, again);
            let value = |part: Part| serde_json::from_str::<serde_json::Value>(&part.message.payload);
            let values = parts.into_iter().map(|part| value(part).expect("JSON"));
            values
                .map(|value| value.get("again").cloned())
                .collect::<Vec<_>>()
        };
        assert_eq!(marked(false), [None, None]);
        assert_eq!(marked(true), [Some(true.into()), Some(true.into())]);
        let cut: serde_json::Value = serde_json::from_str(&cut(&record, true)).expect("JSON");
        assert_eq!(
            (&cut["cut"], &cut["again"], &cut["seq"]),
            (&true.into(), &true.into(), &7.into())
        );
    }

    #[tokio::test]
    async fn nothing_is_acknowledged_while_there_is_no_room_and_never_more_than_fits_the_client() {
        let (client, _publishes, _orders) = Client::new();
        let (store, _) = Store::open(std::path::Path::new("/state"), Options::default(), FakeIo::new())
            .expect("a journal");
        let mut session = Session::new(
            client,
            Instant::ZERO,
            Seq(0),
            store,
            Topics::new("doorline", "lilas"),
            false,
            Begun::new(Seq(0)),
        );
        let mut message = Came::default();
        for id in 1..=40 {
            message.id = Some(id);
            session.came(&message);
        }
        message.id = None;
        session.came(&message);
        session.acknowledge(false);
        assert_eq!(session.owed.len(), 40);
        session.acknowledge(true);
        assert_eq!((session.owed.len(), session.owed.front()), (40 - ACKS, Some(&33)));
        session.acknowledge(true);
        assert_eq!(session.owed.len(), 40 - ACKS);
    }

    #[test]
    fn a_ring_is_told_on_the_event_topic_and_at_its_panel() {
        let ring = Event::Panel(
            PanelId::new("main").expect("a name"),
            PanelEvent::Ring {
                button: ButtonId::new("bell").expect("a name"),
            },
        );
        let row = r#""seq":7,"at":"2026-03-01T12:00:00Z","kind":"panel.ring","source":"main","ring_id":null,"simulated":false,"schema":1,"button":"bell"}"#;
        let event = ("doorline/lilas/event".to_owned(), format!("{{{row}"));
        let panel = (
            "doorline/lilas/panel/main/event".to_owned(),
            format!("{{\"event_type\":\"ring\",{row}"),
        );
        assert_eq!(
            texts(&record(ring.clone()), "2026-03-01T12:00:30Z"),
            [event.clone(), panel]
        );
        assert_eq!(texts(&record(ring), "2026-03-01T12:02:00Z"), [event]);
    }

    #[test]
    fn what_a_rule_says_goes_to_its_topic_if_it_is_news_or_kept() {
        let said = |topic: &str, retain| {
            let (message, topic) = ("hello".to_owned(), topic.to_owned());
            record(Event::Rule(
                RuleId::new("says").expect("a name"),
                RuleEvent::Publish {
                    message,
                    retain,
                    topic,
                },
            ))
        };
        let own = ("doorline/lilas/message/bell".to_owned(), "hello".to_owned());
        let now = "2026-03-01T12:00:30Z";
        assert_eq!(texts(&said("bell", false), now)[1..], *std::slice::from_ref(&own));
        for bad in ["../command", "+", ""] {
            assert_eq!(texts(&said(bad, false), now).len(), 1, "{bad}");
        }
        let later = "2026-03-01T14:00:00Z";
        assert_eq!(texts(&said("bell", false), later).len(), 1);
        assert_eq!(texts(&said("bell", true), later)[1..], [own]);
        let topics = Topics::new("doorline", "lilas");
        let kept: Vec<bool> = messages(
            &topics,
            &said("bell", true),
            later.parse().expect("a time"),
            false,
        )
        .iter()
        .map(|part| part.message.retain)
        .collect();
        assert_eq!(kept, [false, true]);
    }

    #[test]
    fn other_records_and_odd_sources_stay_on_the_event_topic() {
        let mut record = record(Event::Gateway(GatewayEvent::Stopping {}));
        assert_eq!(texts(&record, "2026-03-01T12:00:00Z").len(), 1);
        record.kind = "door.\"x".into();
        record.source = "../#".into();
        assert_eq!(texts(&record, "2026-03-01T12:00:00Z").len(), 1);
        record.source = "front".into();
        let all = texts(&record, "2026-03-01T12:00:00Z");
        assert!(all[1].1.starts_with(r#"{"event_type":"\"x","#));
    }
}
