//! The JSON form of an event record: the row of the events log, and what MQTT and HTTP show.
//!
//! One flat object, keys in this order:
//! ```json
//! {"seq":12,"at":"2026-03-01T12:00:00.25Z","kind":"door.granted","source":"front",
//!  "ring_id":"0195…","simulated":false,"schema":1,"factor":"digits","grant":7,…}
//! ```
//! - `seq`: whole number from 1; `at`: RFC 3339, UTC, up to nanoseconds; `kind`: `family.tag`.
//! - `source`: what it is about, `null` where a record has none; `ring_id`: hyphenated UUID or `null`.
//! - `schema`: version of the record format. Then the fields of the event in their fixed order; each is
//!   a boolean, a whole number, a text or `null`.
//! - A field that has the name of one of the keys above gets a `_` at its end (`user.login-failed` has a field
//!   `source`: it shows as `source_`). Reading takes it off again.
//! - On reading, unknown kinds and fields are kept; a value of another JSON type is kept as its JSON text.

use gateway_core::{Record, RingId, Seq, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

const RESERVED: [&str; 7] = ["seq", "at", "kind", "source", "ring_id", "simulated", "schema"];

/// A row that is not a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// `at` is not a time.
    #[error("at {found:?} is not an RFC 3339 time")]
    At {
        /// What was found.
        found: String,
    },
    /// Not JSON, or a key is missing or has another type.
    #[error("row is not a journal record")]
    Json(#[from] serde_json::Error),
    /// `ring_id` is not a UUID.
    #[error("ring_id {found:?} is not a UUID")]
    Ring {
        /// What was found.
        found: String,
    },
}

/// The row as it is written; the only place where its keys stand.
#[derive(Serialize, Deserialize)]
struct Row {
    seq: u64,
    at: String,
    kind: String,
    source: Option<String>,
    ring_id: Option<String>,
    #[serde(default)]
    simulated: bool,
    #[serde(default = "first_schema")]
    schema: u16,
    #[serde(flatten)]
    fields: Map<String, serde_json::Value>,
}

const fn first_schema() -> u16 {
    1
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name.trim_end_matches('_'))
}

fn outward(name: &str) -> String {
    if is_reserved(name) {
        format!("{name}_")
    } else {
        name.to_owned()
    }
}

fn inward(name: String) -> String {
    if is_reserved(&name) {
        name.strip_suffix('_').map(str::to_owned).unwrap_or(name)
    } else {
        name
    }
}

fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::Null => serde_json::Value::Null,
        Value::Text(t) => t.as_str().into(),
    }
}

fn read(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(b),
        serde_json::Value::String(t) => Value::Text(t),
        serde_json::Value::Number(ref n) => n.as_i64().map_or_else(|| Value::Text(n.to_string()), Value::Int),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => Value::Text(value.to_string()),
    }
}

impl From<&Record> for Row {
    fn from(record: &Record) -> Self {
        Self {
            seq: record.seq.0,
            at: record.at.to_string(),
            kind: record.kind.clone(),
            source: (!record.source.is_empty()).then(|| record.source.clone()),
            ring_id: record.ring.map(|r| r.to_string()),
            simulated: record.simulated,
            schema: record.schema,
            fields: record
                .fields
                .iter()
                .map(|(n, v)| (outward(n), shown(v)))
                .collect(),
        }
    }
}

impl TryFrom<Row> for Record {
    type Error = RowError;
    fn try_from(row: Row) -> Result<Self, RowError> {
        let at: Timestamp = row.at.parse().map_err(|_| RowError::At {
            found: row.at.clone(),
        })?;
        let ring = match row.ring_id {
            Some(text) => Some(RingId::parse(&text).ok_or(RowError::Ring { found: text })?),
            None => None,
        };
        Ok(Self {
            at,
            fields: row
                .fields
                .into_iter()
                .map(|(n, v)| (inward(n), read(v)))
                .collect(),
            kind: row.kind,
            ring,
            schema: row.schema,
            seq: Seq(row.seq),
            simulated: row.simulated,
            source: row.source.unwrap_or_default(),
        })
    }
}

/// The record as a flat JSON object; the module's head gives the exact form.
#[must_use]
pub fn json(record: &Record) -> serde_json::Value {
    serde_json::to_value(Row::from(record)).expect("a row has text keys and plain values only")
}

/// The text of [`json`], without a line end: what the events log holds.
#[must_use]
pub fn json_text(record: &Record) -> String {
    serde_json::to_string(&Row::from(record)).expect("a row has text keys and plain values only")
}

/// Reads the object made by [`json`].
///
/// # Errors
/// [`RowError`] if it is not a record. Unknown kinds and fields are no error.
pub fn from_json(value: serde_json::Value) -> Result<Record, RowError> {
    serde_json::from_value::<Row>(value)?.try_into()
}

/// Reads the text made by [`json_text`].
///
/// # Errors
/// [`RowError`] if it is not a record. Unknown kinds and fields are no error.
pub fn from_json_text(text: &[u8]) -> Result<Record, RowError> {
    serde_json::from_slice::<Row>(text)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{DoorEvent, DoorId, Envelope, Event, Factor, Subject, UserEvent};

    fn record(event: Event, ring: Option<RingId>) -> Record {
        let at = "2026-03-01T12:00:00.25Z".parse().expect("a time");
        let mut record = Record::from(&Envelope {
            at,
            event,
            ring,
            simulated: true,
        });
        record.seq = Seq(12);
        record
    }

    #[test]
    fn the_exact_text_of_a_granted_door() {
        let event = Event::Door(
            DoorId::new("front").expect("a name"),
            DoorEvent::Granted {
                factor: Factor::Digits,
                grant: 7,
                rule: "code nine".into(),
                subject: Subject::Contact("sip:1000@pbx".into()),
            },
        );
        let record = record(event, Some(RingId::new(1, [0; 10])));
        let text = json_text(&record);
        assert_eq!(
            text,
            r#"{"seq":12,"at":"2026-03-01T12:00:00.25Z","kind":"door.granted","source":"front","ring_id":"00000000-0001-7000-8000-000000000000","simulated":true,"schema":1,"factor":"digits","grant":7,"rule":"code nine","subject":"contact:sip:1000@pbx"}"#
        );
        assert_eq!(from_json_text(text.as_bytes()).expect("reads"), record);
        assert_eq!(from_json(json(&record)).expect("reads"), record);
    }

    #[test]
    fn a_field_named_like_a_key_keeps_its_value_and_its_name() {
        let record = record(
            Event::User(UserEvent::LoginFailed {
                reason: None,
                source: "192.0.2.1".into(),
            }),
            None,
        );
        assert_eq!(
            json_text(&record),
            r#"{"seq":12,"at":"2026-03-01T12:00:00.25Z","kind":"user.login-failed","source":null,"ring_id":null,"simulated":true,"schema":1,"reason":null,"source_":"192.0.2.1"}"#
        );
        assert_eq!(from_json(json(&record)).expect("reads"), record);
    }

    #[test]
    fn unknown_kinds_fields_and_types_are_kept() {
        let text = r#"{"seq":3,"at":"2026-03-01T12:00:00Z","kind":"lift.stuck","source":null,"ring_id":null,"simulated":false,"schema":9,"floor":4,"load":1.5,"doors":["a"]}"#;
        let record = from_json_text(text.as_bytes()).expect("reads");
        assert_eq!((record.kind.as_str(), record.schema), ("lift.stuck", 9));
        assert_eq!(record.get("floor"), &Value::Int(4));
        assert_eq!(record.get("load"), &Value::Text("1.5".into()));
        assert_eq!(record.get("doors"), &Value::Text(r#"["a"]"#.into()));
    }

    #[test]
    fn what_is_not_a_record_is_an_error_and_no_panic() {
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"seq":-1}"#,
            r#"{"seq":1,"at":"x","kind":"a.b","source":null,"ring_id":null}"#,
        ] {
            assert!(from_json_text(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
