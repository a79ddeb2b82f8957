//! Retained topics: what should stand at the broker, what stands there, and what must be cleared.
//!
//! Every topic ever published with retain is remembered in the journal's records, so that what a removed door or
//! a changed base left behind is cleared, even after a restart.

use std::collections::{BTreeMap, BTreeSet};

use gateway_store::Records;
use serde_json::Value;

/// Kind of the records that remember topics.
const KIND: &str = "mqtt-topic";

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

    /// A new connection: everything is sent again, and what nobody wants is cleared. `kept` stays untouched.
    pub(crate) fn connected(&mut self, kept: &str) {
        self.sent.clear();
        self.dirty = self.wanted.keys().cloned().collect();
        let remembered = self.records.list(KIND).into_iter().map(|(topic, _)| topic);
        let others = &self.others;
        self.dirty
            .extend(remembered.filter(|topic| topic != kept && !others.contains(topic)));
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

    /// Everything wanted is sent again.
    pub(crate) fn again(&mut self) {
        self.dirty.extend(self.wanted.keys().cloned());
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

    /// The broker took the empty message; a topic that is wanted again meanwhile stays remembered.
    pub(crate) fn cleared(&mut self, topic: &str) {
        if !self.wanted.contains_key(topic)
            && !self.others.contains(topic)
            && let Err(error) = self.records.delete(KIND, topic)
        {
            tracing::debug!(%error, topic, "a cleared topic could not be forgotten, it is cleared again later");
        }
    }

    /// The components ever announced on a discovery topic.
    pub(crate) fn components(&self, topic: &str) -> Components {
        let Some(entry) = self.records.get(KIND, topic) else {
            return Components::new();
        };
        let Some(Value::Object(all)) = entry.value.get("components").cloned() else {
            return Components::new();
        };
        all.into_iter()
            .filter_map(|(key, platform)| Some((key, platform.as_str()?.to_owned())))
            .collect()
    }

    /// Remembers a topic, and for discovery its components.
    pub(crate) fn remember(&self, topic: &str, components: Option<&Components>) {
        let value = match components {
            Some(all) => serde_json::json!({ "components": all }),
            None => serde_json::json!({}),
        };
        let known = self.records.get(KIND, topic);
        let is_news = match (&known, components) {
            (None, _) => true,
            (Some(entry), Some(_)) => entry.value != value,
            (Some(_), None) => false,
        };
        if is_news && let Err(error) = self.records.put(KIND, topic, value, None) {
            tracing::warn!(%error, topic, "a retained topic could not be noted, it would not be cleared when its door goes");
        }
    }
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
            after.connected("availability");
            let all = drain(&mut after);
            assert_eq!(all, [("b".into(), String::new()), ("a".into(), "1".into())]);
        }
        let mut last = Retained::new(store.records().clone());
        last.want(map(&[("a", "1")]));
        last.cleared("b");
        last.connected("availability");
        assert_eq!(drain(&mut last), [("a".into(), "1".into())]);
    }

    #[test]
    fn a_new_connection_and_a_started_hub_get_everything_again() {
        let store = store();
        let mut retained = Retained::new(store.records().clone());
        retained.want(map(&[("a", "1"), ("b", "1")]));
        drain(&mut retained);
        retained.connected("x");
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
        retained.connected("x");
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
        after.connected("x");
        assert_eq!(drain(&mut after)[0], ("picture".into(), String::new()));
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
