//! Commands that the broker keeps, because they were published with retain.
//!
//! With MQTT 5 the broker marks it (Retain As Published, §3.8.3.1): a kept command is known as it comes, refused and
//! cleared. With 3.1.1 a broker passes a message on to those who are subscribed without the mark (§3.3.1.3), so that a
//! command that comes while we are connected is carried out whether it is kept or not.
//! Subscribing again makes the broker send what it keeps, marked (§3.8.4). That is asked for after commands came; what
//! is found is refused, told and cleared: kept further, a bridge or another broker could give it out as new one day.
//!
//! An empty message with retain clears; with 3.1.1 it, too, comes without the mark, and is told from an empty command by
//! this: we know what is kept.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use gateway_bus::Bucket;
use gateway_core::{Instant, Refusal};

use super::Driver;
use super::commands::Refused;
use crate::connection::{Came, Connection};

/// Topics that are watched; what is kept on more is refused each time it comes, and not cleared.
const TOPICS: usize = 64;
/// Longest topic of these, in bytes.
const TOPIC: usize = 256;
/// Commands that came live and are recognised if they turn out to be kept.
const RECENT: usize = 256;

/// What is known of kept commands, on one connection.
#[derive(Debug)]
pub(super) struct Kept {
    asks: Bucket,
    /// Commands came since the broker was last asked what it keeps.
    due: bool,
    /// So soon after we have cleared a topic the broker should have told us.
    echo: Duration,
    recent: VecDeque<u64>,
    /// What was found, and when.
    topics: BTreeMap<String, (u64, Instant)>,
}

/// What a kept message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// A command that came live before.
    Carried,
    /// It was told before.
    Known,
    /// Nobody knows it.
    New,
}

fn digest(topic: &str, payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (topic, payload).hash(&mut hasher);
    hasher.finish()
}

impl Kept {
    /// The broker is asked at most once in `every`, and clears a topic for us within it.
    pub(super) const fn new(every: Duration) -> Self {
        Self {
            asks: Bucket::new(1, every),
            due: false,
            echo: every,
            recent: VecDeque::new(),
            topics: BTreeMap::new(),
        }
    }

    /// A new connection: the broker sends all that it keeps.
    pub(super) fn connected(&mut self) {
        self.due = false;
        self.topics.clear();
    }

    /// A command came live; it may be kept all the same.
    fn came(&mut self, topic: &str, payload: &[u8]) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(digest(topic, payload));
        self.due = true;
    }

    /// The broker keeps this.
    fn found(&mut self, now: Instant, topic: &str, payload: &[u8]) -> Found {
        let digest = digest(topic, payload);
        let before = self.topics.get(topic).map(|(digest, _)| *digest);
        if before == Some(digest) {
            return Found::Known;
        }
        if before.is_some() || self.topics.len() < TOPICS && topic.len() <= TOPIC {
            self.topics.insert(topic.to_owned(), (digest, now));
        }
        if self.recent.contains(&digest) {
            Found::Carried
        } else {
            Found::New
        }
    }

    fn watches(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// An empty message came: true if it cleared what was kept.
    fn cleared(&mut self, topic: &str) -> bool {
        self.topics.remove(topic).is_some()
    }

    /// Is it time to ask the broker?
    fn asks(&mut self, now: Instant) -> bool {
        let asks = self.due && self.asks.take(now);
        self.due &= !asks;
        asks
    }

    /// What was not cleared though we asked for it.
    pub(super) fn stuck(&self, now: Instant) -> Option<String> {
        let (topic, _) = self
            .topics
            .iter()
            .find(|(_, (_, found))| now.since(*found) >= self.echo)?;
        Some(format!(
            "the broker keeps a command on {topic} and does not let us clear it: publish commands without retain, and \
             clear it with: mosquitto_pub -r -n -t {topic}"
        ))
    }
}

impl Driver {
    /// A message on a command topic; true if it says nothing that would have to be answered as a command.
    pub(super) fn is_settled(&mut self, now: Instant, message: &Came) -> bool {
        let (topic, payload) = (message.topic.as_str(), message.payload.as_ref());
        if payload.is_empty() {
            return self.kept.cleared(topic) || message.retain;
        }
        if !message.retain {
            self.kept.came(topic, payload);
            return false;
        }
        let found = self.kept.found(now, topic, payload);
        if found != Found::Known && self.kept.watches(topic) {
            self.retained.again_one(topic.to_owned());
        }
        if found == Found::Carried {
            // it was answered by its own id already
            let text = format!(
                "the broker kept a command on {} that had been judged before; it is cleared there and not carried out \
                 again; publish commands without retain",
                message.topic
            );
            self.refuse(now, Refused::of(Refusal::Stale, text));
        }
        found != Found::New
    }

    /// Asks the broker what it keeps, if commands came and it does not say so by itself.
    pub(super) fn look_for_kept(&mut self, now: Instant, connection: &Connection) {
        if self.muted.is_none() && self.kept.asks(now) {
            self.subscribe_to(connection, self.topics.command_filters(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000);
    const FIVE: Duration = Duration::from_secs(5);

    #[test]
    fn a_kept_command_is_told_once_and_known_as_one_that_came_live() {
        let mut kept = Kept::new(FIVE);
        assert!(!kept.asks(T0), "nothing came");
        kept.came("a/command", b"one");
        assert!(kept.asks(T0));
        assert!(!kept.asks(T0), "asked once");
        assert_eq!(kept.found(T0, "a/command", b"one"), Found::Carried);
        assert_eq!(kept.found(T0, "a/command", b"one"), Found::Known);
        assert_eq!(kept.found(T0, "a/command", b"two"), Found::New, "another one");
        assert_eq!(
            kept.found(T0, "b/command", b"one"),
            Found::New,
            "at another place"
        );
        assert!(kept.stuck(T0).is_none());
        assert!(
            kept.stuck(T0 + FIVE)
                .is_some_and(|text| text.contains("a/command"))
        );
        assert!(kept.cleared("a/command") && kept.cleared("b/command"));
        assert!(!kept.cleared("a/command"), "that was no clearing");
        assert!(kept.stuck(T0 + FIVE).is_none());
        kept.came("a/command", b"three");
        assert!(!kept.asks(T0), "not so soon");
        assert!(kept.asks(T0 + FIVE));
    }

    #[test]
    fn strangers_fill_no_memory() {
        let mut kept = Kept::new(FIVE);
        for n in 0..1000 {
            kept.came("a/command", n.to_string().as_bytes());
            kept.found(T0, &format!("{n}/command"), b"x");
        }
        assert_eq!((kept.recent.len(), kept.topics.len()), (RECENT, TOPICS));
        kept.connected();
        assert_eq!(kept.found(T0, &"x".repeat(TOPIC + 1), b"x"), Found::New);
        assert!(kept.topics.is_empty());
    }
}
