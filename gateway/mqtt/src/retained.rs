//! Retained topics: what should stand at the broker, what stands there, and what must be cleared.
//!
//! Every topic ever published with retain is remembered in the journal's records, so that what a removed door or
//! a changed base left behind is cleared, even after a restart. Discovery goes first, and what its entities listen to some
//! time later: a hub would take an empty message for one that is broken.
//!
//! A discovery topic stays remembered as gone after the broker took its empty message: a hub that did not hear it goes on
//! showing the door. It is announced and cleared anew ([`Ghosts`]) at each connection and at each birth of the hub, until it is
//! published again, hubs were there to hear it [`BIRTHS`] times, or [`LASTS`] is over. So it is with what is no more of a device that
//! stays, [`LESSENED`] times while we run: there the announcement that stands follows, which removes it. Under a former name of the site, or in
//! the other format, it is cleared until the broker took it, and no longer: that may be another gateway by then, or remove
//! what stands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::{Instant, Timestamp};
use gateway_store::Records;
use serde_json::Value;

use crate::control::Timing;
use crate::discovery;
use crate::ghosts::Ghosts;

/// Kind of the records that remember topics.
const KIND: &str = "mqtt-topic";

/// Discovery topics that stay remembered as gone; of more the oldest is forgotten.
const GONE: usize = 512;
/// So often hubs that were born are told of each: there may be several at a broker.
const BIRTHS: u64 = 5;
/// So often, while we run, what is no more of a device that stays is announced: at births and at connections.
const LESSENED: u64 = 10;
/// For so long a topic is remembered as gone.
const LASTS: Duration = Duration::from_secs(30 * 24 * 3600);

/// The components a discovery topic ever announced, with their platforms.
pub(crate) type Components = BTreeMap<String, String>;

/// What is published next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A topic is cleared.
    Clear(String),
    /// A device that is no more, or what is no more of one that stays, is announced, not retained.
    Ghost {
        /// What is no more.
        of: Components,
        /// An announcement of the device, if it stays.
        stays: Option<String>,
        topic: String,
    },
    /// A topic and what the broker keeps there.
    Keep(String, String),
}

/// The books of retained topics.
pub(crate) struct Retained {
    /// Discovery topics to clear.
    announced: BTreeSet<String>,
    dirty: BTreeSet<String>,
    ghosts: Ghosts,
    /// Until then other topics are not cleared.
    hold: Option<Instant>,
    /// How often what is no more of a device that stays was announced, by its topic.
    lessened: BTreeMap<String, u64>,
    /// Topics of ours on which others keep something.
    others: BTreeSet<String>,
    records: Records,
    /// Other topics to clear.
    rest: BTreeSet<String>,
    /// What the broker has from this connection.
    sent: BTreeMap<String, String>,
    /// How long a hub has to remove what was announced.
    settle: Duration,
    wanted: BTreeMap<String, String>,
}

impl Retained {
    pub(crate) fn new(records: Records, timing: Timing) -> Self {
        Self {
            announced: BTreeSet::new(),
            dirty: BTreeSet::new(),
            ghosts: Ghosts::new(timing.ghosts),
            hold: None,
            lessened: BTreeMap::new(),
            others: BTreeSet::new(),
            records,
            rest: BTreeSet::new(),
            sent: BTreeMap::new(),
            settle: timing.settle,
            wanted: BTreeMap::new(),
        }
    }

    /// A new connection: everything is sent again, and what nobody wants is cleared. Topics of `kept` stay untouched.
    pub(crate) fn connected(&mut self, kept: &[&str]) {
        self.sent.clear();
        self.ghosts.forget_all();
        self.dirty = self.wanted.keys().cloned().collect();
        for (topic, entry) in self.records.list(KIND) {
            if kept.contains(&topic.as_str())
                || self.others.contains(&topic)
                || self.wanted.contains_key(&topic)
            {
                continue;
            }
            if gone(&entry.value).is_some() {
                self.ghosts.begin(topic, false);
            } else if entry.value.get("components").is_some() {
                self.announced.insert(topic);
            } else {
                self.rest.insert(topic);
            }
        }
    }

    /// Topics of ours on which others keep something: nothing is said there, and one that is none any more is cleared.
    pub(crate) fn leave(&mut self, others: BTreeSet<String>) {
        for topic in others.difference(&self.others) {
            self.remember(topic, None);
            self.dirty.remove(topic);
            self.rest.remove(topic);
        }
        let wanted = &self.wanted;
        let gone = self
            .others
            .difference(&others)
            .filter(|topic| !wanted.contains_key(*topic));
        self.rest.extend(gone.cloned());
        self.others = others;
    }

    /// Everything wanted is sent again.
    pub(crate) fn again(&mut self) {
        self.dirty.extend(self.wanted.keys().cloned());
        self.sent.clear();
    }

    /// A hub was born: everything wanted is sent again, and what is gone is announced and cleared.
    pub(crate) fn born(&mut self) {
        self.again();
        for (topic, entry) in self.records.list(KIND) {
            let is_unwanted = !self.wanted.contains_key(&topic) && !self.others.contains(&topic);
            if is_unwanted && gone(&entry.value).is_some() {
                self.ghosts.begin(topic, true);
            }
        }
    }

    /// We leave: nothing that was announced to be removed is left behind.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.ghosts.hurry(now);
    }

    /// One topic is sent again, or cleared at once if nothing of ours stands there.
    pub(crate) fn again_one(&mut self, topic: String) {
        self.sent.remove(&topic);
        self.dirty.insert(topic);
    }

    /// What should stand at the broker from here on.
    pub(crate) fn want(&mut self, wanted: BTreeMap<String, String>) {
        let gone = self
            .wanted
            .keys()
            .filter(|topic| !wanted.contains_key(*topic) && !self.others.contains(*topic));
        let (announced, rest): (Vec<String>, Vec<String>) =
            gone.cloned().partition(|topic| self.is_announcement(topic));
        for topic in announced.iter().chain(&rest) {
            self.dirty.remove(topic);
        }
        self.announced.extend(announced);
        self.rest.extend(rest);
        let new = wanted
            .iter()
            .filter(|(topic, payload)| self.sent.get(*topic) != Some(payload));
        self.dirty.extend(new.map(|(topic, _)| topic.clone()));
        self.wanted = wanted;
    }

    fn is_announcement(&self, topic: &str) -> bool {
        let entry = self.records.get(KIND, topic);
        entry.is_some_and(|entry| entry.value.get("components").is_some())
    }

    /// The next thing to publish. What is cleared comes first: a device that is announced in another way must not be
    /// there twice.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Next> {
        while let Some(topic) = self.announced.pop_first() {
            if let Some(next) = self.clear(topic) {
                self.hold = Some(now + self.settle);
                return Some(next);
            }
        }
        self.hold = self.hold.filter(|until| now < *until);
        if self.hold.is_none() {
            while let Some(topic) = self.rest.pop_first() {
                if let Some(next) = self.clear(topic) {
                    return Some(next);
                }
            }
        }
        while let Some(topic) = self.dirty.pop_first() {
            let Some(payload) = self.wanted.get(&topic) else {
                // what somebody else had kept there
                self.sent.remove(&topic);
                return Some(Next::Clear(topic));
            };
            if self.sent.get(&topic) != Some(payload) {
                let payload = payload.clone();
                self.remember(&topic, None);
                let before = self.sent.insert(topic.clone(), payload.clone());
                // a hub that heard the last one knows what to remove
                if before.is_none() {
                    self.lessen(&topic, &payload);
                }
                return Some(Next::Keep(topic, payload));
            }
        }
        while let Some(topic) = self.ghosts.clear(now) {
            if let Some(payload) = self.wanted.get(&topic).filter(|payload| is_less(payload)) {
                let payload = payload.clone();
                self.ghosts.forget(&topic);
                return Some(Next::Keep(topic, payload));
            }
            if let Some(next) = self.clear(topic) {
                return Some(next);
            }
        }
        while let Some(topic) = self.ghosts.announce(now) {
            if let Some(payload) = self.wanted.get(&topic).filter(|payload| is_less(payload)) {
                let (of, stays) = (discovery::removed(payload), Some(payload.clone()));
                return Some(Next::Ghost { of, stays, topic });
            }
            match self.records.get(KIND, &topic) {
                Some(entry) if gone(&entry.value).is_some() && !self.wanted.contains_key(&topic) => {
                    let (of, stays) = (components(&entry.value), self.of_its_device(&topic));
                    return Some(Next::Ghost { of, stays, topic });
                }
                // it is back, or was forgotten meanwhile
                Some(_) | None => self.ghosts.forget(&topic),
            }
        }
        None
    }

    /// What is no more of a device that stays goes as the whole device would.
    fn lessen(&mut self, topic: &str, payload: &str) {
        if !is_less(payload) || !self.is_announcement(topic) {
            return;
        }
        let told = self.lessened.entry(topic.to_owned()).or_default();
        if *told < LESSENED {
            *told += 1;
            self.ghosts.begin(topic.to_owned(), false);
        }
    }

    /// Any announcement that stands of the device that a discovery topic is of.
    fn of_its_device(&self, topic: &str) -> Option<String> {
        let (own, _) = discovery::device_of(topic)?;
        let same = |topic: &str| {
            let of = discovery::device_of(topic);
            of.is_some_and(|(name, whole)| name == own && !whole) && self.is_announcement(topic)
        };
        self.wanted
            .iter()
            .find_map(|(topic, payload)| same(topic).then(|| payload.clone()))
    }

    /// Clears a topic; `None` if it is wanted again.
    fn clear(&mut self, topic: String) -> Option<Next> {
        if self.wanted.contains_key(&topic) {
            self.ghosts.forget(&topic);
            return None;
        }
        self.sent.remove(&topic);
        Some(Next::Clear(topic))
    }

    /// True if nothing is left to publish but what has to wait: that is remembered.
    pub(crate) fn is_settled(&self) -> bool {
        let is_held = self.hold.is_some();
        self.announced.is_empty() && self.dirty.is_empty() && (is_held || self.rest.is_empty())
    }

    /// The broker took the empty message; a topic that is wanted again meanwhile stays remembered. If it is one of
    /// discovery under a name that is ours, in the format that is set (`is_own`), it is remembered as gone.
    pub(crate) fn cleared(&mut self, topic: &str, is_own: bool, wall: Timestamp) {
        if self.wanted.contains_key(topic) || self.others.contains(topic) {
            self.ghosts.forget(topic);
            return;
        }
        let is_heard = self.ghosts.cleared(topic);
        match self.records.get(KIND, topic) {
            Some(entry) if is_own && entry.value.get("components").is_some() => {
                if gone(&entry.value).is_none() {
                    self.note_gone(topic, entry.value, wall);
                } else if is_heard {
                    self.note_heard(topic, entry.value, entry.expires);
                }
            }
            Some(_) | None => self.forget(topic),
        }
    }

    /// A hub that was there was told once more that a topic is gone.
    fn note_heard(&self, topic: &str, mut value: Value, expires: Option<Timestamp>) {
        let heard = value.get("heard").and_then(Value::as_u64).unwrap_or(0) + 1;
        if heard >= BIRTHS {
            self.forget(topic);
            return;
        }
        value["heard"] = heard.into();
        if let Err(error) = self.records.put(KIND, topic, value, expires) {
            tracing::debug!(%error, topic, "it could not be noted that a hub heard of a topic that is gone");
        }
    }

    /// Marks a topic as gone, with its place in the order in which they went.
    fn note_gone(&self, topic: &str, mut value: Value, wall: Timestamp) {
        let all = self.records.list(KIND).into_iter();
        let mut before: Vec<(u64, String)> = all
            .filter_map(|(topic, entry)| Some((gone(&entry.value)?, topic)))
            .collect();
        before.sort_unstable();
        let place = before.last().map_or(0, |(last, _)| last.saturating_add(1));
        value["gone"] = place.into();
        let end = wall.checked_add(LASTS).ok();
        if let Err(error) = self.records.put(KIND, topic, value, end) {
            tracing::debug!(%error, topic, "a cleared topic could not be noted as gone");
            return;
        }
        let surplus = (before.len() + 1).saturating_sub(GONE);
        for (_, oldest) in before.iter().take(surplus) {
            self.forget(oldest);
        }
    }

    fn forget(&self, topic: &str) {
        if let Err(error) = self.records.delete(KIND, topic) {
            tracing::debug!(%error, topic, "a cleared topic could not be forgotten, it is cleared again later");
        }
    }

    /// The components ever announced on a discovery topic; none of one that is gone.
    pub(crate) fn components(&self, topic: &str) -> Components {
        let Some(entry) = self.records.get(KIND, topic) else {
            return Components::new();
        };
        if gone(&entry.value).is_some() {
            return Components::new();
        }
        components(&entry.value)
    }

    /// Remembers a topic that is published, and for discovery its components. It is gone no longer.
    pub(crate) fn remember(&self, topic: &str, components: Option<&Components>) {
        let known = self.records.get(KIND, topic).map(|entry| entry.value);
        let value = match (components, &known) {
            (Some(all), _) => serde_json::json!({ "components": all }),
            (None, Some(value)) if gone(value).is_some() => {
                serde_json::json!({ "components": value["components"] })
            }
            (None, Some(value)) => value.clone(),
            (None, None) => serde_json::json!({}),
        };
        let is_news = known.as_ref() != Some(&value);
        if is_news && let Err(error) = self.records.put(KIND, topic, value, None) {
            tracing::warn!(%error, topic, "a retained topic could not be noted, it would not be cleared when its door goes");
        }
    }
}

/// Does an announcement say of a part that it is no more?
fn is_less(payload: &str) -> bool {
    !discovery::removed(payload).is_empty()
}

/// The components of a remembered topic.
fn components(value: &Value) -> Components {
    let all = value.get("components").and_then(Value::as_object);
    all.into_iter()
        .flatten()
        .filter_map(|(key, platform)| Some((key.clone(), platform.as_str()?.to_owned())))
        .collect()
}

/// The place of a remembered topic among those that went; `None` if it stands.
fn gone(value: &Value) -> Option<u64> {
    value.get("gone").and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_store::{Options, Store, fake::FakeIo};

    const T0: Instant = Instant::from_nanos(1_000_000_000);
    /// When what is announced goes, and what has to wait for the hub.
    const LATER: Instant = Instant::from_nanos(3_600_000_000_000);
    /// Of the wall clock, which is that of the journal.
    const WALL: Timestamp = Timestamp::UNIX_EPOCH;

    fn store() -> Store {
        let options = Options {
            index: false,
            ..Options::default()
        };
        let (store, _) =
            Store::open(std::path::Path::new("/state"), options, FakeIo::new()).expect("a journal");
        store
    }

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(t, p)| ((*t).to_owned(), (*p).to_owned()))
            .collect()
    }

    fn books(store: &Store) -> Retained {
        Retained::new(store.records().clone(), Timing::default())
    }

    /// What is published at a time; what is cleared has no payload, and what is announced once more is in angles.
    fn at(retained: &mut Retained, now: Instant) -> Vec<(String, String)> {
        let told = |next| match next {
            Next::Clear(topic) => (topic, String::new()),
            Next::Ghost { of, stays, topic } => {
                let stays = if stays.is_some() { "+" } else { "" };
                (
                    topic,
                    format!("<{}>{stays}", Vec::from_iter(of.into_values()).join(",")),
                )
            }
            Next::Keep(topic, payload) => (topic, payload),
        };
        std::iter::from_fn(|| retained.pop(now).map(told)).collect()
    }

    fn drain(retained: &mut Retained) -> Vec<(String, String)> {
        at(retained, T0)
    }

    fn pairs<const N: usize>(all: [(&str, &str); N]) -> Vec<(String, String)> {
        all.map(|(t, p)| (t.to_owned(), p.to_owned())).into()
    }

    #[test]
    fn only_changes_are_published_and_a_gone_topic_is_cleared() {
        let store = store();
        let mut retained = books(&store);
        retained.want(map(&[("a", "1"), ("b", "1")]));
        assert_eq!(drain(&mut retained).len(), 2);
        retained.want(map(&[("a", "2"), ("b", "1")]));
        assert_eq!(drain(&mut retained), [("a".into(), "2".into())]);
        retained.want(map(&[("a", "2")]));
        assert_eq!(drain(&mut retained), [("b".into(), String::new())]);
        assert!(retained.is_settled());
    }

    #[test]
    fn after_a_restart_what_nobody_wants_is_cleared_until_the_broker_took_it() {
        let store = store();
        let mut before = books(&store);
        before.want(map(&[("a", "1"), ("b", "1")]));
        drain(&mut before);

        for _ in 0..2 {
            let mut after = books(&store);
            after.want(map(&[("a", "1")]));
            after.connected(&["availability"]);
            let all = drain(&mut after);
            assert_eq!(all, [("b".into(), String::new()), ("a".into(), "1".into())]);
        }
        let mut last = books(&store);
        last.want(map(&[("a", "1")]));
        last.cleared("b", true, WALL);
        last.connected(&["availability"]);
        assert_eq!(drain(&mut last), [("a".into(), "1".into())]);
    }

    #[test]
    fn a_new_connection_and_a_started_hub_get_everything_again() {
        let store = store();
        let mut retained = books(&store);
        retained.want(map(&[("a", "1"), ("b", "1")]));
        drain(&mut retained);
        retained.connected(&["x"]);
        assert_eq!(drain(&mut retained).len(), 2);
        retained.again();
        assert_eq!(drain(&mut retained).len(), 2);
        retained.again_one("b".into());
        assert_eq!(drain(&mut retained).len(), 1);
    }

    #[test]
    fn what_others_keep_is_left_alone_until_it_means_nothing_any_more() {
        let store = store();
        let all = |topics: &[&str]| topics.iter().map(|t| (*t).to_owned()).collect::<BTreeSet<_>>();
        let mut retained = books(&store);
        retained.leave(all(&["picture", "later"]));
        retained.want(map(&[("a", "1")]));
        retained.connected(&["x"]);
        assert_eq!(drain(&mut retained), [("a".into(), "1".into())]);
        // ours from here on
        retained.want(map(&[("a", "1"), ("later", "2")]));
        retained.leave(all(&["picture"]));
        assert_eq!(drain(&mut retained), [("later".into(), "2".into())]);
        retained.leave(all(&[]));
        assert_eq!(drain(&mut retained), [("picture".into(), String::new())]);
        // nobody took that message; the next life knows nothing of pictures
        let mut after = books(&store);
        after.leave(all(&[]));
        after.want(map(&[("a", "1"), ("later", "2")]));
        after.connected(&["x"]);
        assert_eq!(drain(&mut after)[0], ("picture".into(), String::new()));
    }

    /// Announces a topic and clears it again.
    fn gone_by(retained: &mut Retained, topic: &str, is_own: bool) {
        let others = retained.wanted.clone();
        let mut with = others.clone();
        with.insert(topic.to_owned(), "1".to_owned());
        retained.remember(topic, Some(&map(&[("lock", "lock")])));
        retained.want(with);
        drain(retained);
        retained.want(others);
        assert_eq!(drain(retained), [(topic.to_owned(), String::new())]);
        retained.cleared(topic, is_own, WALL);
    }

    #[test]
    fn what_is_no_more_of_a_device_that_stays_is_announced_once_more_and_removed() {
        const TOPIC: &str = "homeassistant/device/doorline_lilas/config";
        let lamp = r#""lamp":{"platform":"switch""#;
        let with = format!(r#"{{"components":{{{lamp},"unique_id":"l"}}}}}}"#);
        let less = format!(r#"{{"components":{{{lamp}}}}}}}"#);
        let store = store();
        let mut retained = books(&store);
        retained.remember(TOPIC, Some(&map(&[("lamp", "switch")])));
        retained.want(map(&[(TOPIC, &with)]));
        drain(&mut retained);
        // a hub that is there removes it by itself
        retained.want(map(&[(TOPIC, &less)]));
        assert_eq!(drain(&mut retained), pairs([(TOPIC, &less)]));
        for _ in 0..LESSENED {
            retained.born();
            assert_eq!(
                drain(&mut retained),
                pairs([(TOPIC, &less), (TOPIC, "<switch>+")])
            );
            assert_eq!(at(&mut retained, LATER), pairs([(TOPIC, &less)]));
            assert_eq!(at(&mut retained, LATER), []);
        }
        retained.born();
        assert_eq!(drain(&mut retained), pairs([(TOPIC, &less)]), "not for ever");
        // it is back before it was removed
        let mut after = books(&store);
        after.want(map(&[(TOPIC, &less)]));
        drain(&mut after);
        after.want(map(&[(TOPIC, &with)]));
        assert_eq!(drain(&mut after), pairs([(TOPIC, &with)]));
        assert_eq!(at(&mut after, LATER), []);
    }

    #[test]
    fn an_entity_that_goes_from_a_device_that_stays_knows_how_it_is_called() {
        let store = store();
        let mut retained = books(&store);
        let stays = "homeassistant/lock/doorline_lilas/lock/config";
        retained.remember(stays, Some(&map(&[("lock", "lock")])));
        retained.want(map(&[(stays, "1")]));
        gone_by(
            &mut retained,
            "homeassistant/switch/doorline_lilas/lamp/config",
            true,
        );
        gone_by(
            &mut retained,
            "homeassistant/switch/doorline_other/lamp/config",
            true,
        );
        retained.born();
        let told: Vec<String> = drain(&mut retained).into_iter().map(|(_, told)| told).collect();
        assert_eq!(told, ["1", "<lock>+", "<lock>"]);
    }

    #[test]
    fn what_is_gone_is_announced_and_cleared_at_each_birth_and_connection_until_it_is_published_again() {
        let store = store();
        let mut retained = books(&store);
        retained.want(map(&[("a", "1")]));
        gone_by(&mut retained, "door", true);
        assert_eq!(
            retained.components("door"),
            Components::new(),
            "nothing is announced there"
        );
        let told = pairs([("a", "1"), ("door", "<lock>")]);
        let cleared = pairs([("door", "")]);
        for _ in 0..2 {
            retained.born();
            assert_eq!(drain(&mut retained), told);
            assert_eq!(at(&mut retained, LATER), cleared);
            retained.cleared("door", true, WALL);
            retained.connected(&["x"]);
            assert_eq!(drain(&mut retained), told);
            // the broker goes before it is time
        }
        let mut after = books(&store);
        after.want(map(&[("a", "1")]));
        after.connected(&["x"]);
        assert_eq!(drain(&mut after), told);

        // it is back before it was cleared
        let back = pairs([("a", "1"), ("door", "2")]);
        after.remember("door", Some(&map(&[("lock", "lock")])));
        after.want(back.clone().into_iter().collect());
        assert_eq!(drain(&mut after), back[1..]);
        assert_eq!(at(&mut after, LATER), []);
        after.cleared("door", true, WALL); // of a message before
        after.born();
        assert_eq!(drain(&mut after), back);
        assert_eq!(at(&mut after, LATER), []);
        assert_eq!(after.components("door"), map(&[("lock", "lock")]));
    }

    #[test]
    fn what_is_gone_is_forgotten_once_hubs_have_heard_it_often_enough() {
        let store = store();
        let mut retained = books(&store);
        gone_by(&mut retained, "door", true);
        let entry = store.records().get(KIND, "door").expect("remembered");
        let end = WALL.checked_add(LASTS).ok();
        assert_eq!(entry.expires, end);
        for n in 1..=BIRTHS {
            // nobody knows who hears that
            retained.connected(&["x"]);
            drain(&mut retained);
            assert_eq!(at(&mut retained, LATER), pairs([("door", "")]), "{n}");
            retained.cleared("door", true, WALL);
            retained.born();
            assert_eq!(drain(&mut retained), pairs([("door", "<lock>")]), "{n}");
            at(&mut retained, LATER);
            retained.cleared("door", true, WALL);
            let entry = store.records().get(KIND, "door");
            assert_eq!(entry.map(|entry| entry.expires), (n < BIRTHS).then_some(end));
        }
        retained.born();
        assert_eq!(drain(&mut retained), []);
    }

    #[test]
    fn what_a_device_listens_to_is_cleared_when_the_hub_has_had_time_to_remove_it() {
        let store = store();
        let mut retained = books(&store);
        retained.remember("z/config", Some(&map(&[("lock", "lock")])));
        retained.want(map(&[("a/availability", "online"), ("z/config", "{}")]));
        drain(&mut retained);
        retained.want(map(&[("b", "1")]));
        assert_eq!(drain(&mut retained), pairs([("z/config", ""), ("b", "1")]));
        assert!(retained.is_settled(), "the rest is remembered");
        assert_eq!(at(&mut retained, LATER), pairs([("a/availability", "")]));
        // a broker that goes meanwhile is told after it is back
        retained.connected(&["x"]);
        assert_eq!(drain(&mut retained)[0], ("z/config".into(), String::new()));
        assert!(at(&mut retained, LATER).contains(&("a/availability".into(), String::new())));
    }

    #[test]
    fn what_went_under_another_name_is_cleared_once_since_it_may_be_that_of_others_by_now() {
        let store = store();
        let mut retained = books(&store);
        gone_by(&mut retained, "former", false);
        retained.born();
        retained.connected(&["x"]);
        assert_eq!(drain(&mut retained), []);
        // it was ours when it went, and is no longer
        gone_by(&mut retained, "door", true);
        retained.connected(&["x"]);
        drain(&mut retained);
        assert_eq!(at(&mut retained, LATER), pairs([("door", "")]));
        retained.cleared("door", false, WALL);
        retained.born();
        assert_eq!(drain(&mut retained), []);
    }

    #[test]
    fn of_more_than_fit_the_oldest_that_went_is_forgotten() {
        let store = store();
        let mut retained = books(&store);
        // by name the first to go is the last
        for number in (0..GONE + 2).rev() {
            gone_by(&mut retained, &format!("{number:04}"), true);
        }
        retained.born();
        let left: Vec<String> = drain(&mut retained).into_iter().map(|(topic, _)| topic).collect();
        let wanted: Vec<String> = (0..GONE).map(|number| format!("{number:04}")).collect();
        assert_eq!(left, wanted);
    }

    #[test]
    fn announced_components_are_remembered() {
        let store = store();
        let retained = books(&store);
        let all = map(&[("lock", "lock")]);
        retained.remember("t", Some(&all));
        retained.remember("t", None);
        assert_eq!(retained.components("t"), all);
        assert_eq!(retained.components("u"), Components::new());
    }
}
