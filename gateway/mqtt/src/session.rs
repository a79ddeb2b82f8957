//! What one connection publishes, and in which order: answers, states, availability, then the journal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{DoorId, Instant, PanelId, Record, Seq, Timestamp, Value, is_confidential};
use gateway_store::{ReadFailure, Store, json_text};
use rumqttc::{AsyncClient, Publish, QoS};
use tokio::task::JoinHandle;

use crate::connection::ACKS;
use crate::outbox::{Outbox, Sent};
use crate::retained::Retained;
use crate::state::ONLINE;
use crate::topics::Topics;

/// Records read at once.
const PAGE: usize = 128;
/// Older records are left out of the topics of doors and panels: those say what happens now, and a bell that is
/// late by hours must not ring a house. The event topic has them all.
pub(crate) const FRESH: Duration = Duration::from_secs(60);

/// rumqttc did not take a publish: its queue is full or its task is gone.
#[derive(Debug)]
pub(crate) struct NotTaken;

/// A page could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("{0}")]
    Journal(#[from] ReadFailure),
    #[error("the reading failed")]
    Task(#[from] tokio::task::JoinError),
}

type Reading = JoinHandle<Result<Vec<Arc<Record>>, ReadFailure>>;

/// One connection's publishing.
pub(crate) struct Session {
    /// Acknowledgements that the client was given and has not sent.
    acks: usize,
    client: AsyncClient,
    /// Are confidential records told, too?
    confidential: bool,
    /// Since when the broker has us; `None` before ConnAck.
    pub(crate) connected: Option<Instant>,
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
    /// The last record that was durable when the reading began, and the reading.
    reading: Option<(Seq, Reading)>,
    store: Store,
    topics: Topics,
}

impl Session {
    pub(crate) fn new(
        client: AsyncClient,
        now: Instant,
        from: Seq,
        store: Store,
        topics: Topics,
        confidential: bool,
    ) -> Self {
        Self {
            acks: 0,
            client,
            confidential,
            connected: None,
            leaves: false,
            next: Seq(from.0 + 1),
            online: false,
            outbox: Outbox::new(now),
            owed: VecDeque::new(),
            page: VecDeque::new(),
            parts: VecDeque::new(),
            reading: None,
            store,
            topics,
        }
    }

    /// Hands over as much as the window takes.
    pub(crate) fn fill(
        &mut self,
        now: Instant,
        wall: Timestamp,
        answers: &mut VecDeque<String>,
        retained: &mut Retained,
    ) -> Result<(), NotTaken> {
        if self.connected.is_none() {
            return Ok(());
        }
        while self.outbox.room() > 0 {
            if let Some(answer) = answers.pop_front() {
                self.publish(now, self.topics.response(), answer, false, Sent::Aside)?;
            } else if let Some((topic, payload)) = retained.pop() {
                let sent = if payload.is_empty() {
                    Sent::Cleared(topic.clone())
                } else {
                    Sent::Aside
                };
                self.publish(now, topic, payload, true, sent)?;
            } else if !self.online {
                self.online = true;
                self.availability(now, ONLINE)?;
            } else if let Some(part) = self.parts.pop_front() {
                self.publish(now, part.topic, part.payload, part.retain, Sent::Part(part.seq))?;
            } else if let Some(record) = self.page.pop_front() {
                self.parts = messages(&self.topics, &record, wall);
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
    pub(crate) fn came(&mut self, message: &Publish) {
        // QoS 2 was not subscribed to; there are no more ids than this
        if message.qos == QoS::AtLeastOnce && self.owed.len() < usize::from(u16::MAX) {
            self.owed.push_back(message.pkid);
        }
    }

    /// Acknowledges what came, in order (MQTT 3.1.1 §4.6), as long as there is room for what it brings.
    pub(crate) fn acknowledge(&mut self, is_room: bool) {
        while is_room
            && self.acks < ACKS
            && let Some(id) = self.owed.front()
        {
            let mut message = Publish::new("", QoS::AtLeastOnce, Vec::new());
            message.pkid = *id;
            if self.client.try_ack(&message).is_err() {
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
        self.publish(
            now,
            self.topics.availability(),
            word.to_owned(),
            true,
            Sent::Aside,
        )
    }

    fn publish(
        &mut self,
        now: Instant,
        topic: String,
        payload: String,
        retain: bool,
        sent: Sent,
    ) -> Result<(), NotTaken> {
        self.client
            .try_publish(topic, QoS::AtLeastOnce, retain, payload)
            .map_err(|_| NotTaken)?;
        self.outbox.handed(now, sent);
        Ok(())
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
    payload: String,
    retain: bool,
    seq: Seq,
    topic: String,
}

/// The messages of a record: on the event topic, at its door or panel if it is fresh, and where a rule says something: that
/// if it is fresh, too, or if the broker is to keep it.
fn messages(topics: &Topics, record: &Record, wall: Timestamp) -> VecDeque<Part> {
    let seq = record.seq;
    let text = json_text(record);
    let mut all = VecDeque::with_capacity(2);
    let fresh = wall.duration_since(record.at).unsigned_abs() <= FRESH;
    let (family, tag) = record.kind.split_once('.').unwrap_or((&record.kind, ""));
    let named = match family {
        "door" => DoorId::new(&record.source).is_ok(),
        "panel" => PanelId::new(&record.source).is_ok(),
        _ => false,
    };
    if fresh && named {
        let tag = serde_json::to_string(tag).expect("a text");
        // the row is an object and never empty
        let with_type = format!("{{\"event_type\":{tag},{}", &text[1..]);
        all.push_back(Part {
            payload: with_type,
            retain: false,
            seq,
            topic: topics.of(family, &record.source, "event"),
        });
    }
    let retain = *record.get("retain") == Value::Bool(true);
    if record.kind == "rule.publish"
        && (fresh || retain)
        && let Some(topic) = topics.message(&record.text_of("topic"))
    {
        all.push_back(Part {
            payload: record.text_of("message"),
            retain,
            seq,
            topic,
        });
    }
    all.push_front(Part {
        payload: text,
        retain: false,
        seq,
        topic: topics.event(),
    });
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
        messages(&topics, record, wall.parse().expect("a time"))
            .into_iter()
            .map(|part| (part.topic, part.payload))
            .collect()
    }

    #[tokio::test]
    async fn nothing_is_acknowledged_while_there_is_no_room_and_never_more_than_fits_the_client() {
        let (client, _eventloop) =
            AsyncClient::new(rumqttc::MqttOptions::new("test", "127.0.0.1", 1883), ACKS);
        let (store, _) = Store::open(std::path::Path::new("/state"), Options::default(), FakeIo::new())
            .expect("a journal");
        let mut session = Session::new(
            client,
            Instant::ZERO,
            Seq(0),
            store,
            Topics::new("doorline", "lilas"),
            false,
        );
        let mut message = Publish::new("doorline/lilas/command", QoS::AtLeastOnce, Vec::new());
        for id in 1..=40 {
            message.pkid = id;
            session.came(&message);
        }
        message.qos = QoS::AtMostOnce;
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
        let kept: Vec<bool> = messages(&topics, &said("bell", true), later.parse().expect("a time"))
            .iter()
            .map(|part| part.retain)
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
