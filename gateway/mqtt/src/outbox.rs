//! What is on its way to the broker, and how far the journal's cursor may move. Pure.
//!
//! The connection gives packet ids in the order in which publishes were handed to it, and tells each; so the first
//! publish handed over belongs to the first id told.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gateway_core::{Instant, Seq};

/// How many publishes may be unacknowledged; a broker of MQTT 5 may allow less, then the connection holds them back.
pub(crate) const WINDOW: usize = 64;

/// What a publish was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// An answer, a state.
    Aside,
    /// An empty retained message: once acknowledged, the topic may be forgotten.
    Cleared(String),
    /// A part of an event record.
    Part(Seq),
}

/// What an acknowledgement means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    /// The topic is clear.
    Cleared(String),
    /// Every record up to here is at the broker.
    Cursor(Seq),
    /// Nothing to do.
    Nothing,
}

/// The books of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// With their topics.
    handed: VecDeque<(String, Sent)>,
    by_id: BTreeMap<u16, (String, Sent)>,
    /// Records begun and not wholly acknowledged, with the parts missing.
    records: VecDeque<(Seq, u8)>,
    /// Last time something went on, or the wait began.
    moved: Instant,
}

impl Outbox {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            handed: VecDeque::new(),
            by_id: BTreeMap::new(),
            records: VecDeque::new(),
            moved: now,
        }
    }

    /// How many publishes may be handed over.
    pub(crate) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.handed.len() + self.by_id.len())
    }

    /// True if everything is acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.handed.is_empty() && self.by_id.is_empty() && self.records.is_empty()
    }

    /// A record is begun; it has `parts` messages.
    pub(crate) fn begin(&mut self, seq: Seq, parts: u8) {
        self.records.push_back((seq, parts));
    }

    /// A publish was handed over.
    pub(crate) fn handed(&mut self, now: Instant, topic: String, sent: Sent) {
        if self.handed.is_empty() && self.by_id.is_empty() {
            self.moved = now;
        }
        self.handed.push_back((topic, sent));
    }

    /// The first publish handed over got its id.
    pub(crate) fn told(&mut self, id: u16) {
        if let Some(sent) = self.handed.pop_front() {
            self.by_id.insert(id, sent);
        }
    }

    /// The topic of a publish that is not acknowledged.
    pub(crate) fn topic(&self, id: u16) -> Option<&str> {
        self.by_id.get(&id).map(|(topic, _)| topic.as_str())
    }

    /// The broker acknowledged.
    pub(crate) fn acked(&mut self, now: Instant, id: u16) -> Acked {
        let Some((_, sent)) = self.by_id.remove(&id) else {
            return Acked::Nothing;
        };
        self.moved = now;
        let seq = match sent {
            Sent::Aside => return Acked::Nothing,
            Sent::Cleared(topic) => return Acked::Cleared(topic),
            Sent::Part(seq) => seq,
        };
        if let Some((_, missing)) = self.records.iter_mut().find(|(s, _)| *s == seq) {
            *missing = missing.saturating_sub(1);
        }
        let mut cursor = Acked::Nothing;
        while let Some((seq, 0)) = self.records.front() {
            cursor = Acked::Cursor(*seq);
            self.records.pop_front();
        }
        cursor
    }

    /// True if something waits and nothing went on for `limit`.
    pub(crate) fn stalled(&self, now: Instant, limit: Duration) -> bool {
        !(self.handed.is_empty() && self.by_id.is_empty()) && now.since(self.moved) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000);

    fn hand(outbox: &mut Outbox, seq: u64, parts: u8, first: u16) {
        outbox.begin(Seq(seq), parts);
        for k in 0..parts {
            outbox.handed(T0, "a".into(), Sent::Part(Seq(seq)));
            outbox.told(first + u16::from(k));
        }
    }

    #[test]
    fn the_cursor_moves_only_over_records_acknowledged_without_a_gap() {
        let mut outbox = Outbox::new(T0);
        hand(&mut outbox, 5, 1, 1);
        hand(&mut outbox, 6, 2, 2);
        hand(&mut outbox, 9, 1, 4);
        assert_eq!(outbox.acked(T0, 4), Acked::Nothing);
        assert_eq!(outbox.acked(T0, 2), Acked::Nothing);
        assert_eq!(outbox.acked(T0, 1), Acked::Cursor(Seq(5)));
        assert_eq!(outbox.acked(T0, 3), Acked::Cursor(Seq(9)));
        assert!(outbox.is_empty());
    }

    #[test]
    fn an_unknown_or_repeated_acknowledgement_means_nothing() {
        let mut outbox = Outbox::new(T0);
        hand(&mut outbox, 1, 1, 7);
        assert_eq!(outbox.acked(T0, 8), Acked::Nothing);
        assert_eq!(outbox.acked(T0, 7), Acked::Cursor(Seq(1)));
        assert_eq!(outbox.acked(T0, 7), Acked::Nothing);
        outbox.told(3);
        assert_eq!(outbox.acked(T0, 3), Acked::Nothing);
    }

    #[test]
    fn the_window_is_bounded_and_opens_again() {
        let mut outbox = Outbox::new(T0);
        for seq in 1..=WINDOW as u64 {
            hand(&mut outbox, seq, 1, u16::try_from(seq).expect("small"));
        }
        assert_eq!(outbox.room(), 0);
        outbox.acked(T0, 1);
        assert_eq!(outbox.room(), 1);
    }

    #[test]
    fn a_broker_that_acknowledges_nothing_for_a_minute_is_noticed() {
        let minute = Duration::from_secs(60);
        let mut outbox = Outbox::new(T0);
        assert!(!outbox.stalled(T0 + minute * 9, minute));
        let begun = T0 + minute * 9;
        outbox.handed(begun, "a".into(), Sent::Cleared("a".into()));
        outbox.handed(begun + minute / 2, "b".into(), Sent::Aside);
        assert!(!outbox.stalled(begun + minute / 2, minute));
        assert!(outbox.stalled(begun + minute, minute));
        outbox.told(1);
        assert_eq!((outbox.topic(1), outbox.topic(2)), (Some("a"), None));
        assert_eq!(outbox.acked(begun + minute, 1), Acked::Cleared("a".into()));
        assert!(!outbox.stalled(begun + minute, minute));
        assert!(outbox.stalled(begun + minute * 2, minute));
    }
}
