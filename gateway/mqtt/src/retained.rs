//! Retained topics: what should stand at the broker, what stands there, and what must be cleared.
//!
//! Every topic ever published with retain is remembered in the journal's records, so that what a removed door or
//! a changed base left behind is cleared, even after a restart.
//!
//! A discovery topic stays remembered as gone after the broker took its empty message: a hub that was away from the broker
//! then, but ran, did not see it and goes on showing the door. The message is said again at each connection and at each
//! birth of the hub, until the topic is published again. Under a former name of the site, or in the other format, it is
//! said until the broker took it, and no longer: that may be another gateway by then, or remove what stands.

use std::collections::{BTreeMap, BTreeSet};

use gateway_store::Records;
use serde_json::Value;

/// Kind of the records that remember topics.
const KIND: &str = "mqtt-topic";

/// Discovery topics that stay remembered as gone; of more the oldest is forgotten.
const GONE: usize = 512;

/// The components a discovery topic ever announced, with their platforms.
pub(crate) type Components = BTreeMap<String, String>;

/// The books of retained topics.
pub(crate) struct Retained {
    dirty: BTreeSet<String>,
    /// Topics of ours on which others keep something.
    others: BTreeSet<String>,
    records: Records,
    /// What the broker has from this connection.
    sent: BTreeMap<String, String>,
    wanted: BTreeMap<String, String>,
}

impl Retained {
    pub(crate) fn new(records: Records) -> Self {
        Self {
            dirty: BTreeSet::new(),
            others: BTreeSet::new(),
            records,
            sent: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    /// A new connection: everything is sent again, and what nobody wants is cleared. Topics of `kept` stay untouched.
    pub(crate) fn connected(&mut self, kept: &[&str]) {
        self.sent.clear();
        self.dirty = self.wanted.keys().cloned().collect();
        let remembered = self.records.list(KIND).into_iter().map(|(topic, _)| topic);
        let others = &self.others;
        self.dirty
            .extend(remembered.filter(|topic| !kept.contains(&topic.as_str()) && !others.contains(topic)));
    }

    /// Topics of ours on which others keep something: nothing is said there, and one that is none any more is cleared.
    pub(crate) fn leave(&mut self, others: BTreeSet<String>) {
        for topic in others.difference(&self.others) {
            self.remember(topic, None);
            self.dirty.remove(topic);
        }
        let wanted = &self.wanted;
        let gone = self
            .others
            .difference(&others)
            .filter(|topic| !wanted.contains_key(*topic));
        self.dirty.extend(gone.cloned());
        self.others = others;
    }

    /// Everything wanted is sent again, and discovery topics that nobody wants are cleared again.
    pub(crate) fn again(&mut self) {
        self.dirty.extend(self.wanted.keys().cloned());
        let announced = self.records.list(KIND).into_iter().filter_map(|(topic, entry)| {
            let is_unwanted = !self.wanted.contains_key(&topic) && !self.others.contains(&topic);
            (is_unwanted && entry.value.get("components").is_some()).then_some(topic)
        });
        self.dirty.extend(announced);
        self.sent.clear();
    }

    /// One topic is sent again.
    pub(crate) fn again_one(&mut self, topic: String) {
        self.sent.remove(&topic);
        self.dirty.insert(topic);
    }

    /// What should stand at the broker from here on.
    pub(crate) fn want(&mut self, wanted: BTreeMap<String, String>) {
        let others = &self.others;
        let gone = self
            .wanted
            .keys()
            .filter(|topic| !wanted.contains_key(*topic) && !others.contains(*topic));
        self.dirty.extend(gone.cloned());
        let new = wanted
            .iter()
            .filter(|(topic, payload)| self.sent.get(*topic) != Some(payload));
        self.dirty.extend(new.map(|(topic, _)| topic.clone()));
        self.wanted = wanted;
    }

    /// The next topic to publish and its payload; an empty one clears. What is cleared comes first: a device that
    /// is announced in another way must not be there twice.
    pub(crate) fn pop(&mut self) -> Option<(String, String)> {
        loop {
            let unwanted = self.dirty.iter().find(|topic| !self.wanted.contains_key(*topic));
            let topic = unwanted.or_else(|| self.dirty.first())?.clone();
            self.dirty.remove(&topic);
            match self.wanted.get(&topic) {
                Some(payload) if self.sent.get(&topic) == Some(payload) => {}
                Some(payload) => {
                    let payload = payload.clone();
                    self.remember(&topic, None);
                    self.sent.insert(topic.clone(), payload.clone());
                    return Some((topic, payload));
                }
                None => {
                    self.sent.remove(&topic);
                    return Some((topic, String::new()));
                }
            }
        }
    }

    /// True if nothing is left to publish.
    pub(crate) fn is_settled(&self) -> bool {
        self.dirty.is_empty()
    }

    /// The broker took the empty message; a topic that is wanted again meanwhile stays remembered. If it is one of
    /// discovery under a name that is ours, in the format that is set (`is_own`), it is remembered as gone.
    pub(crate) fn cleared(&mut self, topic: &str, is_own: bool) {
        if self.wanted.contains_key(topic) || self.others.contains(topic) {
            return;
        }
        match self.records.get(KIND, topic).map(|entry| entry.value) {
            Some(value) if is_own && value.get("components").is_some() => self.note_gone(topic, value),
            Some(_) | None => self.forget(topic),
        }
    }

    /// Marks a topic as gone, with its place in the order in which they went.
    fn note_gone(&self, topic: &str, mut value: Value) {
        if gone(&value).is_some() {
            return;
        }
        let all = self.records.list(KIND).into_iter();
        let mut before: Vec<(u64, String)> = all
            .filter_map(|(topic, entry)| Some((gone(&entry.value)?, topic)))
            .collect();
        before.sort_unstable();
        let place = before.last().map_or(0, |(last, _)| last.saturating_add(1));
        value["gone"] = place.into();
        if let Err(error) = self.records.put(KIND, topic, value, None) {
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
        let Some(Value::Object(all)) = entry.value.get("components").cloned() else {
            return Components::new();
        };
        all.into_iter()
            .filter_map(|(key, platform)| Some((key, platform.as_str()?.to_owned())))
            .collect()
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

/// The place of a remembered topic among those that went; `None` if it stands.
fn gone(value: &Value) -> Option<u64> {
    value.get("gone").and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_store::{Options, Store, fake::FakeIo};

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

    fn drain(retained: &mut Retained) -> Vec<(String, String)> {
        std::iter::from_fn(|| retained.pop()).collect()
    }

    #[test]
    fn only_changes_are_published_and_a_gone_topic_is_cleared() {
        let store = store();
        let mut retained = Retained::new(store.records().clone());
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
        let mut before = Retained::new(store.records().clone());
        before.want(map(&[("a", "1"), ("b", "1")]));
        drain(&mut before);

        for _ in 0..2 {
            let mut after = Retained::new(store.records().clone());
            after.want(map(&[("a", "1")]));
            after.connected(&["availability"]);
            let all = drain(&mut after);
            assert_eq!(all, [("b".into(), String::new()), ("a".into(), "1".into())]);
        }
        let mut last = Retained::new(store.records().clone());
        last.want(map(&[("a", "1")]));
        last.cleared("b", true);
        last.connected(&["availability"]);
        assert_eq!(drain(&mut last), [("a".into(), "1".into())]);
    }

    #[test]
    fn a_new_connection_and_a_started_hub_get_everything_again() {
        let store = store();
        let mut retained = Retained::new(store.records().clone());
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
        let mut retained = Retained::new(store.records().clone());
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
        let mut after = Retained::new(store.records().clone());
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
        retained.cleared(topic, is_own);
    }

    #[test]
    fn what_is_gone_is_cleared_again_at_each_birth_and_connection_until_it_is_published_again() {
        let store = store();
        let mut retained = Retained::new(store.records().clone());
        retained.want(map(&[("a", "1")]));
        gone_by(&mut retained, "door", true);
        assert_eq!(
            retained.components("door"),
            Components::new(),
            "nothing is announced there"
        );
        let both = [("door".to_owned(), String::new()), ("a".into(), "1".into())];
        for _ in 0..2 {
            retained.again();
            assert_eq!(drain(&mut retained), both);
            retained.cleared("door", true);
            retained.connected(&["x"]);
            assert_eq!(drain(&mut retained), both);
            // the broker goes before it took that
        }
        let mut after = Retained::new(store.records().clone());
        after.want(map(&[("a", "1")]));
        after.connected(&["x"]);
        assert_eq!(drain(&mut after), both);
        after.cleared("door", true);

        let back = [("a".to_owned(), "1".to_owned()), ("door".into(), "2".into())];
        after.remember("door", Some(&map(&[("lock", "lock")])));
        after.want(back.clone().into());
        assert_eq!(drain(&mut after), back[1..]);
        after.cleared("door", true); // of the message before
        after.again();
        assert_eq!(drain(&mut after), back);
        assert_eq!(after.components("door"), map(&[("lock", "lock")]));
    }

    #[test]
    fn what_went_under_another_name_is_cleared_once_since_it_may_be_that_of_others_by_now() {
        let store = store();
        let mut retained = Retained::new(store.records().clone());
        gone_by(&mut retained, "former", false);
        retained.again();
        retained.connected(&["x"]);
        assert_eq!(drain(&mut retained), []);
        // it was ours when it went, and is no longer
        gone_by(&mut retained, "door", true);
        retained.connected(&["x"]);
        assert_eq!(drain(&mut retained), [("door".into(), String::new())]);
        retained.cleared("door", false);
        retained.again();
        assert_eq!(drain(&mut retained), []);
    }

    #[test]
    fn of_more_than_fit_the_oldest_that_went_is_forgotten() {
        let store = store();
        let mut retained = Retained::new(store.records().clone());
        // by name the first to go is the last
        for number in (0..GONE + 2).rev() {
            gone_by(&mut retained, &format!("{number:04}"), true);
        }
        retained.again();
        let left: Vec<String> = drain(&mut retained).into_iter().map(|(topic, _)| topic).collect();
        let wanted: Vec<String> = (0..GONE).map(|number| format!("{number:04}")).collect();
        assert_eq!(left, wanted);
    }

    #[test]
    fn announced_components_are_remembered() {
        let store = store();
        let retained = Retained::new(store.records().clone());
        let all = map(&[("lock", "lock")]);
        retained.remember("t", Some(&all));
        retained.remember("t", None);
        assert_eq!(retained.components("t"), all);
        assert_eq!(retained.components("u"), Components::new());
    }
}
