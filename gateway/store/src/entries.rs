//! What the records log says: changes as rows, and the state that they make.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::worker::Item;

/// Kind under which cursors stand.
pub(crate) const CURSOR: &str = "cursor";

/// An entry of the records log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// After this time it is as if it were deleted.
    pub expires: Option<Timestamp>,
    /// The value.
    pub value: serde_json::Value,
}

/// One of several changes that are made together or not at all, see
/// [`Records::put_all`](crate::Records::put_all).
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub(crate) expires: Option<Timestamp>,
    pub(crate) key: String,
    pub(crate) kind: &'static str,
    pub(crate) value: Option<serde_json::Value>,
}

impl Edit {
    /// Sets a value that lasts.
    #[must_use]
    pub fn set(kind: &'static str, key: &str, value: serde_json::Value) -> Self {
        Self {
            expires: None,
            key: key.to_owned(),
            kind,
            value: Some(value),
        }
    }

    /// The same, as if it were deleted after this time.
    #[must_use]
    pub const fn until(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }

    /// Removes a value, if there is one.
    #[must_use]
    pub fn delete(kind: &'static str, key: &str) -> Self {
        Self {
            expires: None,
            key: key.to_owned(),
            kind,
            value: None,
        }
    }
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) kind: String,
    pub(crate) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gone: bool,
    /// Of several changes that count together: the number of the first of them, and how many are still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<[u64; 2]>,
}

impl Item for Change {
    fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a change has text keys and JSON values only")
    }
}

impl Change {
    pub(crate) fn set(kind: &str, key: &str, entry: &Entry) -> Self {
        Self {
            kind: kind.to_owned(),
            key: key.to_owned(),
            value: Some(entry.value.clone()),
            expires: entry.expires.map(|t| t.to_string()),
            gone: false,
            part: None,
        }
    }

    pub(crate) fn delete(kind: &str, key: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            key: key.to_owned(),
            value: None,
            expires: None,
            gone: true,
            part: None,
        }
    }

    pub(crate) fn of_edit(edit: Edit) -> Self {
        let gone = edit.value.is_none();
        Self {
            kind: edit.kind.to_owned(),
            key: edit.key,
            value: edit.value,
            expires: edit.expires.map(|t| t.to_string()),
            gone,
            part: None,
        }
    }
}

/// A value as its JSON text, which takes a fifth of the room that the value itself would.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) expires: Option<Timestamp>,
    text: Arc<str>,
}

impl Kept {
    /// What a change leaves behind; `None` if it removes.
    pub(crate) fn of(change: &Change) -> Option<Self> {
        (!change.gone).then(|| Self {
            expires: change.expires.as_ref().and_then(|t| t.parse().ok()),
            text: change
                .value
                .as_ref()
                .map_or_else(|| "null".into(), |v| v.to_string().into()),
        })
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry {
            expires: self.expires,
            value: self.value(),
        }
    }

    /// The value as JSON.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).expect("it was written from a value")
    }

    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|t| t > now)
    }
}

impl From<&Entry> for Kept {
    fn from(entry: &Entry) -> Self {
        Self {
            expires: entry.expires,
            text: entry.value.to_string().into(),
        }
    }
}

/// The entries of one kind, by key.
pub(crate) type Kind = BTreeMap<Arc<str>, Kept>;

/// What the log says, by kind and key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entries(pub(crate) BTreeMap<String, Kind>);

impl Entries {
    pub(crate) fn apply(&mut self, change: Change) {
        let kept = Kept::of(&change);
        self.put(&change.kind, change.key.into(), kept);
    }

    pub(crate) fn put(&mut self, kind: &str, key: Arc<str>, kept: Option<Kept>) {
        let entries = match self.0.get_mut(kind) {
            Some(entries) => entries,
            None => self.0.entry(kind.to_owned()).or_default(),
        };
        match kept {
            Some(kept) => entries.insert(key, kept),
            None => entries.remove(&key),
        };
    }

    pub(crate) fn purge(&mut self, now: Timestamp) {
        for entries in self.0.values_mut() {
            entries.retain(|_, kept| kept.is_live(now));
        }
    }

    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        self.0.iter().flat_map(|(kind, entries)| {
            let change = move |(key, kept): (&Arc<str>, &Kept)| Change::set(kind, key, &kept.entry());
            entries.iter().map(change)
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.values().map(|e| e.len() as u64).sum()
    }

    /// The furthest cursor.
    pub(crate) fn furthest(&self) -> u64 {
        let cursors = self.0.get(CURSOR).into_iter().flatten();
        cursors
            .filter_map(|(_, kept)| kept.value().as_u64())
            .max()
            .unwrap_or(0)
    }
}

/// Reads rows one after the other. Rows that count together are held until the last of them: a log that ends
/// before it, by a power cut, says nothing of them.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) entries: Entries,
    held: Vec<Change>,
    /// The number of the first change of those held.
    of: u64,
}

impl Replay {
    pub(crate) fn new(entries: Entries) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    /// False if the row is no change.
    pub(crate) fn row(&mut self, payload: &[u8]) -> bool {
        let Ok(change) = serde_json::from_slice::<Change>(payload) else {
            return false;
        };
        match change.part {
            None => {
                self.held.clear();
                self.entries.apply(change);
            }
            Some([first, left]) => {
                if self.of != first {
                    self.held.clear();
                    self.of = first;
                }
                self.held.push(change);
                if left == 0 {
                    for change in self.held.drain(..) {
                        self.entries.apply(change);
                    }
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_text_of_a_change_and_of_a_deletion() {
        let expires = Some("2026-03-01T12:00:00Z".parse().expect("a time"));
        let entry = Entry {
            expires,
            value: serde_json::json!({"scope": ["open"]}),
        };
        let put = Change::set("token", "ha", &entry);
        let text =
            r#"{"kind":"token","key":"ha","value":{"scope":["open"]},"expires":"2026-03-01T12:00:00Z"}"#;
        assert_eq!(String::from_utf8(put.payload()).expect("text"), text);
        assert_eq!(serde_json::from_str::<Change>(text).expect("reads"), put);
        let gone = Change::delete("token", "ha");
        assert_eq!(
            String::from_utf8(gone.payload()).expect("text"),
            r#"{"kind":"token","key":"ha","gone":true}"#
        );
        let mut replay = Replay::default();
        assert!(replay.row(text.as_bytes()));
        assert_eq!(replay.entries.count(), 1);
        assert!(replay.row(&gone.payload()));
        assert_eq!(replay.entries.count(), 0);
        assert!(!replay.row(b"nonsense"));
    }

    #[test]
    fn changes_that_count_together_count_with_the_last_of_them() {
        let row = |key: &str, part| {
            let entry = Entry {
                expires: None,
                value: 1.into(),
            };
            Change {
                part,
                ..Change::set("person", key, &entry)
            }
            .payload()
        };
        assert_eq!(
            String::from_utf8(row("a", Some([7, 1]))).expect("text"),
            r#"{"kind":"person","key":"a","value":1,"part":[7,1]}"#
        );
        let count = |rows: &[Vec<u8>]| {
            let mut replay = Replay::default();
            rows.iter().for_each(|row| assert!(replay.row(row)));
            replay.entries.count()
        };
        let (a, b) = (row("a", Some([7, 1])), row("b", Some([7, 0])));
        assert_eq!(count(&[a.clone(), b.clone()]), 2);
        assert_eq!(count(std::slice::from_ref(&a)), 0);
        // the end of one that was cut off, then something else
        assert_eq!(count(&[a.clone(), row("c", None)]), 1);
        assert_eq!(count(&[a.clone(), row("c", Some([8, 0]))]), 1);
        assert_eq!(
            count(&[a, row("c", None), b]),
            2,
            "what was cut off does not come back"
        );
    }
}
