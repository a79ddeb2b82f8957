//! A line of the log with its fields, and how it is written as JSON, as text and for the journal of systemd. Pure.

use std::fmt;

use gateway_core::Timestamp;
use serde_json::{Map, Value, json};
use tracing::Level;
use tracing::field::{Field, Visit};

/// Octets of a message, and of a field.
const LONGEST: usize = 4096;
/// Fields of a line or of a span.
const FIELDS: usize = 32;

/// Fields with their values, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields {
    pub(super) all: Vec<(&'static str, Value)>,
    pub(super) message: String,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if self.all.len() < FIELDS {
            self.all.retain(|(name, _)| *name != field.name());
            self.all.push((field.name(), value));
        }
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            cut(&text).clone_into(&mut self.message);
        } else {
            self.put(field, cut(&text).into());
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            cut(value).clone_into(&mut self.message);
        } else {
            self.put(field, cut(value).into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) fields: Fields,
    pub(super) level: Level,
    /// Spans that it stands in, the outermost first.
    pub(super) spans: Vec<(&'static str, Fields)>,
    pub(super) target: String,
}

impl Line {
    /// One of the log itself.
    pub(super) fn own(level: Level, message: String) -> Self {
        Self {
            at: Timestamp::now(),
            fields: Fields { all: vec![], message },
            level,
            spans: vec![],
            target: "doorline::log".to_owned(),
        }
    }

    /// A JSON object, with a line end.
    pub(super) fn json(&self) -> Vec<u8> {
        let fields = |of: &Fields| -> Map<String, Value> {
            let all = of.all.iter();
            all.map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect()
        };
        let spans = self
            .spans
            .iter()
            .map(|(name, of)| json!({ "name": name, "fields": fields(of) }));
        let object = json!({
            "at": self.at.to_string(),
            "level": self.level.as_str().to_lowercase(),
            "target": self.target,
            "message": self.fields.message,
            "fields": fields(&self.fields),
            "spans": spans.collect::<Vec<_>>(),
        });
        let mut text = object.to_string().into_bytes();
        text.push(b'\n');
        text
    }

    /// The message with its fields, for people; without line ends, which would begin another line.
    pub(super) fn text(&self) -> String {
        let mut text = self.fields.message.clone();
        let spans = self.spans.iter().rev().map(|(_, fields)| fields);
        for (name, value) in std::iter::once(&self.fields).chain(spans).flat_map(|of| &of.all) {
            text += &format!(" {name}={value}");
        }
        text.replace(['\n', '\r'], " ")
    }

    /// Severity of syslog (RFC 5424 §6.2.1), which the journal has, too.
    pub(super) const fn severity(&self) -> u8 {
        match self.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        }
    }

    /// A datagram of the native protocol of the journal (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>). Fields have
    /// `DOORLINE_` in front, so that none is taken for one of the journal's own.
    pub(super) fn journal(&self) -> Vec<u8> {
        let mut datagram = Vec::new();
        put(&mut datagram, "MESSAGE", &self.text());
        put(&mut datagram, "PRIORITY", &self.severity().to_string());
        put(&mut datagram, "SYSLOG_IDENTIFIER", "doorline");
        put(&mut datagram, "DOORLINE_TARGET", &self.target);
        let mut names = Vec::new();
        let spans = self.spans.iter().rev().map(|(_, fields)| fields);
        for (name, value) in std::iter::once(&self.fields).chain(spans).flat_map(|of| &of.all) {
            let name = journal_name(name);
            // of the same name the innermost counts
            if !names.contains(&name) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                put(&mut datagram, &name, &text);
                names.push(name);
            }
        }
        datagram
    }
}

/// Letters, digits and `_`, at most 64.
fn journal_name(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().take(50).map(letter).collect();
    format!("DOORLINE_{name}")
}

fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn line() -> Line {
        Line {
            at: "2026-03-01T12:00:00.25Z".parse().expect("a time"),
            fields: Fields {
                all: vec![
                    ("door", "front".into()),
                    ("n", 7.into()),
                    ("text", "two\nlines".into()),
                ],
                message: "a device failed".into(),
            },
            level: Level::WARN,
            spans: vec![(
                "call",
                Fields {
                    all: vec![("ring", "r1".into()), ("door", "back".into())],
                    message: String::new(),
                },
            )],
            target: "doorline::run".into(),
        }
    }

    #[test]
    fn a_json_line_is_one_object_with_everything_in_it() {
        let text = String::from_utf8(line().json()).expect("text");
        assert_eq!(text.find('\n'), Some(text.len() - 1), "{text}");
        let found: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            found,
            json!({
                "at": "2026-03-01T12:00:00.25Z",
                "level": "warn",
                "target": "doorline::run",
                "message": "a device failed",
                "fields": { "door": "front", "n": 7, "text": "two\nlines" },
                "spans": [{ "name": "call", "fields": { "ring": "r1", "door": "back" } }],
            })
        );
    }

    #[test]
    fn the_exact_datagram_for_the_journal() {
        let mut want = b"MESSAGE=a device failed door=\"front\" n=7 text=\"two\\nlines\" ring=\"r1\" door=\"back\"\nPRIORITY=4\n\
            SYSLOG_IDENTIFIER=doorline\nDOORLINE_TARGET=doorline::run\nDOORLINE_DOOR=front\nDOORLINE_N=7\nDOORLINE_TEXT\n"
            .to_vec();
        want.extend_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0]);
        want.extend_from_slice(b"two\nlines\nDOORLINE_RING=r1\n");
        let found = line().journal();
        assert_eq!(found, want, "{}", String::from_utf8_lossy(&found));
    }

    #[test]
    fn no_field_is_one_of_the_journals_own() {
        for (name, want) in [
            ("message", "DOORLINE_MESSAGE"),
            ("r#type", "DOORLINE_R_TYPE"),
            ("_pid", "DOORLINE__PID"),
        ] {
            assert_eq!(journal_name(name), want);
        }
        assert!(journal_name(&"x".repeat(200)).len() <= 64);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(LONGEST);
        assert!(cut(&text).len() <= LONGEST);
        assert!(cut(&text).chars().all(|c| c == 'é'));
    }
}
