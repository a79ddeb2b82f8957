//! Records as text: a line for people, and templates with the fields of a record.

use crate::event::Record;
use crate::value::Value;

/// A text with fields of a record in braces: `{kind}`, `{source}`, `{at}`, `{seq}`, `{ring}`, `{text}` (the line for people) and every field of the event itself, such as `{subject}`. What a record does not have is empty. `{{` and `}}` are
/// braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Field(String),
    Text(String),
}

/// How a value is written so that it cannot end the place where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As part of a form (WHATWG URL, application/x-www-form-urlencoded).
    Form,
    /// Inside a JSON string.
    Json,
    /// As it is, without line ends.
    Line,
    /// Inside an XML text or attribute.
    Xml,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong: a brace that is not closed or not opened, or a name of a field that cannot be.
    pub fn new(text: &str) -> Result<Self, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err("a } without its {; write }} for a brace".to_owned());
            }
            let (name, after) = rest
                .split_once('}')
                .ok_or("a { without its }; write {{ for a brace")?;
            let fits = |b: u8| b.is_ascii_lowercase() || b == b'_';
            if name.is_empty() || name.len() > 32 || !name.bytes().all(fits) {
                return Err(format!("{{{name}}} is no field: 1 to 32 of a-z and _"));
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Field(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// Fills the fields.
    #[must_use]
    pub fn fill(&self, escape: Escape, field: impl Fn(&str) -> String) -> String {
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Field(name) => escaped(escape, &field(name)),
            Piece::Text(text) => text.clone(),
        });
        filled.collect()
    }
}

fn escaped(escape: Escape, text: &str) -> String {
    match escape {
        Escape::Form => text
            .bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                    char::from(b).to_string()
                }
                b' ' => "+".to_owned(),
                _ => format!("%{b:02X}"),
            })
            .collect(),
        // RFC 8259 §7
        Escape::Json => text
            .chars()
            .map(|c| match c {
                '"' | '\\' => format!("\\{c}"),
                c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect(),
        Escape::Line => text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
        Escape::Xml => text
            .chars()
            .map(|c| match c {
                '&' => "&amp;".to_owned(),
                '<' => "&lt;".to_owned(),
                '>' => "&gt;".to_owned(),
                '"' => "&quot;".to_owned(),
                '\'' => "&apos;".to_owned(),
                // not even escaped is a control character XML
                c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => String::new(),
                c => c.to_string(),
            })
            .collect(),
    }
}

impl Record {
    /// A field by its name in a [`Template`]; empty if there is none.
    #[must_use]
    pub fn text_of(&self, name: &str) -> String {
        match name {
            "at" => self.at.to_string(),
            "kind" => self.kind.clone(),
            "ring" => self.ring.map(|ring| ring.to_string()).unwrap_or_default(),
            "seq" => self.seq.0.to_string(),
            "source" => self.source.clone(),
            "text" => self.line(),
            _ => plain(self.get(name)),
        }
    }

    /// The record in a line without control characters: `door.granted front, factor digits, subject sip:1000@pbx`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut text = self.kind.clone();
        if !self.source.is_empty() {
            text += " ";
            text += &self.source;
        }
        for (name, value) in &self.fields {
            let value = plain(value);
            if !value.is_empty() {
                text += &format!(", {} {value}", name.trim_end_matches('_'));
            }
        }
        if self.simulated {
            text += " (simulated)";
        }
        escaped(Escape::Line, &text)
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::Text(it) => it.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DoorEvent, DoorId, Envelope, Event, Factor, Seq, Subject};

    fn record(seq: u64) -> Record {
        let event = DoorEvent::Granted {
            factor: Factor::Digits,
            grant: 7,
            rule: "code \"9\" <main>".into(),
            subject: Subject::Contact("sip:1000@pbx".into()),
        };
        let mut record = Record::from(&Envelope {
            at: "2026-03-01T12:00:00.25Z".parse().expect("a time"),
            event: Event::Door(DoorId::new("front").expect("a name"), event),
            ring: None,
            simulated: false,
        });
        record.seq = Seq(seq);
        record
    }

    fn filled(template: &str, escape: Escape) -> String {
        let record = record(12);
        let template = Template::new(template).expect("a template");
        template.fill(escape, |name| match name {
            "site" => "Lilas & Co".to_owned(),
            _ => record.text_of(name),
        })
    }

    #[test]
    fn fields_are_put_in_and_cannot_leave_their_place() {
        assert_eq!(
            filled("{seq}:{kind}@{source} {nothing}{{x}}", Escape::Line),
            "12:door.granted@front {x}"
        );
        assert_eq!(
            filled(r#"{{"r": "{rule}"}}"#, Escape::Json),
            r#"{"r": "code \"9\" <main>"}"#
        );
        assert_eq!(
            filled("r={rule}&s={site}", Escape::Form),
            "r=code+%229%22+%3Cmain%3E&s=Lilas+%26+Co"
        );
        assert_eq!(
            filled("<r a='{rule}'/>", Escape::Xml),
            "<r a='code &quot;9&quot; &lt;main&gt;'/>"
        );
        assert_eq!(escaped(Escape::Line, "a\r\nBcc: b"), "a  Bcc: b");
    }

    #[test]
    fn a_broken_template_says_what_is_wrong() {
        for (text, wrong) in [
            ("{kind", "without its }"),
            ("kind}", "without its {"),
            ("{Kind}", "no field"),
            ("{}", "no field"),
        ] {
            let error = Template::new(text).expect_err(text);
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[test]
    fn a_line_names_what_the_record_has() {
        assert_eq!(
            record(1).line(),
            "door.granted front, factor digits, grant 7, rule code \"9\" <main>, subject contact:sip:1000@pbx"
        );
    }
}
