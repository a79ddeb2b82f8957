//! Lines of an import: a person, a credential, or both, as CSV or JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::csv;

/// Every column of an import, an export and a list.
pub const COLUMNS: [&str; 16] = [
    "person",
    "name",
    "groups",
    "person-from",
    "person-until",
    "blocked",
    "credential",
    "kind",
    "value",
    "doors",
    "schedule",
    "from",
    "until",
    "uses",
    "used",
    "at",
];

/// Columns that always say which person or credential is meant, or count: there is nothing to clear.
const KEPT: [&str; 5] = ["person", "credential", "kind", "value", "used"];

/// What clears a column.
pub(crate) const CLEAR: &str = "-";

/// Longest text of a cell in characters.
const CELL: usize = 400;
/// Lines of one import.
const LINES: usize = 300_000;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Which column; empty if it is the line as a whole.
    pub column: String,
    /// Which line, from 1; of JSON the entry.
    pub line: usize,
    /// What was found, and what is allowed. Shows neither cards nor digits.
    pub text: String,
}

impl std::fmt::Display for LineFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.column.is_empty() {
            write!(f, "line {}: {}", self.line, self.text)
        } else {
            write!(f, "line {}, {}: {}", self.line, self.column, self.text)
        }
    }
}

/// One line: what stands in which column. What is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) cells: BTreeMap<&'static str, String>,
    pub(crate) number: usize,
}

impl Line {
    pub(crate) fn fault(&self, column: &str, text: impl Into<String>) -> LineFault {
        LineFault {
            column: column.to_owned(),
            line: self.number,
            text: text.into(),
        }
    }

    pub(crate) fn cell(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(String::as_str)
    }
}

fn column(name: &str) -> Option<&'static str> {
    COLUMNS.into_iter().find(|column| *column == name)
}

fn unknown(name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    format!("{shown:?} is no column; allowed: {}", COLUMNS.join(", "))
}

fn too_many(found: usize) -> Vec<LineFault> {
    let text = format!("{found} lines are too many, at most {LINES} are allowed at once");
    vec![whole(1, text)]
}

fn whole(line: usize, text: String) -> LineFault {
    LineFault {
        column: String::new(),
        line,
        text,
    }
}

/// What was read, and what is wrong with the rest: each line is in one of both.
pub(crate) type Read = (Vec<Line>, Vec<LineFault>);

/// Reads JSON if the text begins as a list, else CSV.
pub(crate) fn read(text: &str) -> Read {
    let (mut lines, faults) = read_all(text).unwrap_or_else(|faults| (Vec::new(), faults));
    let bad: BTreeSet<usize> = faults.iter().map(|fault| fault.line).collect();
    lines.retain(|line| !bad.contains(&line.number));
    (lines, faults)
}

fn read_all(text: &str) -> Result<Read, Vec<LineFault>> {
    if text.trim_start().starts_with('[') {
        read_json(text)
    } else {
        read_csv(text)
    }
}

fn read_csv(text: &str) -> Result<Read, Vec<LineFault>> {
    let most = csv::Most {
        cells: COLUMNS.len() + 1,
        lines: LINES,
    };
    let bad = |(line, text)| whole(line, text);
    let (table, ends) = csv::read_as_far(text, most).map_err(|fault| vec![bad(fault)])?;
    let mut faults = Vec::new();
    let mut head = Vec::new();
    for name in &table.head {
        let known = column(name);
        if known.is_none() {
            faults.push(whole(1, unknown(name)));
        } else if head.contains(&known) {
            faults.push(whole(1, format!("the column {name:?} is there twice")));
        }
        head.push(known);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut lines = Vec::new();
    for (number, cells) in table.lines {
        let mut line = Line {
            number,
            ..Line::default()
        };
        if cells.len() > head.len() {
            let text = format!("has {} columns, the head has {}", cells.len(), head.len());
            faults.push(whole(number, text));
        }
        for (name, text) in head.iter().flatten().zip(cells) {
            set(&mut line, name, text.trim(), &mut faults);
        }
        lines.push(line);
    }
    faults.extend(ends.map(bad));
    Ok((lines, faults))
}

fn read_json(text: &str) -> Result<Read, Vec<LineFault>> {
    let all: Vec<serde_json::Map<String, Value>> = serde_json::from_str(text).map_err(|error| {
        let text = format!("not a JSON list of objects: {error}");
        vec![whole(error.line(), text)]
    })?;
    if all.len() > LINES {
        return Err(too_many(all.len()));
    }
    let mut faults = Vec::new();
    let mut lines = Vec::new();
    for (number, object) in (1..).zip(all) {
        let mut line = Line {
            number,
            ..Line::default()
        };
        for (name, value) in object {
            let Some(name) = column(&name) else {
                faults.push(whole(number, unknown(&name)));
                continue;
            };
            match plain(&value) {
                // null and an empty list say that nothing is to be there; an empty text, as in CSV, says nothing
                Some(text) if text.trim().is_empty() && !value.is_string() => {
                    if !KEPT.contains(&name) {
                        set(&mut line, name, CLEAR, &mut faults);
                    }
                }
                Some(text) => set(&mut line, name, text.trim(), &mut faults),
                None => {
                    faults.push(line.fault(name, "is neither text, number, true, false nor a list of texts"))
                }
            }
        }
        lines.push(line);
    }
    Ok((lines, faults))
}

fn plain(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(n) => n.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(all) => {
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            texts?.join(" ")
        }
        Value::Object(_) => return None,
    })
}

/// Does it steer how text is shown: a control character, or one that turns the direction of writing or ends a line
/// (Unicode Standard Annex 9, §2), by which one name could look like another?
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn set(line: &mut Line, name: &'static str, text: &str, faults: &mut Vec<LineFault>) {
    if text.chars().count() > CELL || text.chars().any(is_control) {
        let text = format!("is longer than {CELL} characters, or holds control characters");
        faults.push(line.fault(name, text));
    } else if !text.is_empty() {
        line.cells.insert(name, text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_say_the_same() {
        let csv = "person,groups,kind,value\nann,a b,card,\"123,04567\"\nbob,,,\n";
        let json = r#"[{"person":"ann","groups":["a","b"],"kind":"card","value":"123,04567"},{"person":"bob","kind":null}]"#;
        let (csv, json) = (read(csv).0, read(json).0);
        let cells = |lines: &[Line]| lines.iter().map(|l| l.cells.clone()).collect::<Vec<_>>();
        assert_eq!(cells(&csv), cells(&json));
        assert_eq!((csv[1].number, json[1].number), (3, 2));
    }

    #[test]
    fn null_and_an_empty_list_clear_and_an_empty_text_says_nothing() {
        let json =
            r#"[{"person":"ann","name":"","groups":[],"until":null,"doors":[" "],"kind":null,"used":null}]"#;
        let cells = &read(json).0[0].cells;
        let cleared = [("person", "ann"), ("groups", "-"), ("until", "-"), ("doors", "-")];
        let cleared = cleared.map(|(name, text)| (name, text.to_owned()));
        assert_eq!(cells, &BTreeMap::from(cleared));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = |text: &str| {
            let (_, faults) = read(text);
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let head = faults("person,nmae,person\nx,y,z\n");
        assert_eq!(head.len(), 2, "{head:?}");
        assert!(
            head[0].starts_with("line 1: \"nmae\" is no column; allowed: person, name"),
            "{head:?}"
        );
        let long = "x".repeat(401);
        let lines = faults(&format!("person,name\na,{long}\nb,c,d\n"));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].starts_with("line 3: has 3 columns"), "{lines:?}");
        // what comes before an end that cannot be read is read
        let (before, ends) = read("person,name\na,Ann\nb,\"Bob\nc,Zoe\n");
        assert_eq!((before.len(), before[0].cell("name")), (1, Some("Ann")));
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].to_string(), "line 3: a quote is not closed");
        let turned = faults("person,name\na,Ann\u{202e}bob\nb,\u{2067}Bob\nc,Zo\u{eb} \u{5d0}\u{5d1}\n");
        assert_eq!(turned.len(), 2, "{turned:?}");
        assert!(
            turned[0].starts_with("line 2, name: ") && turned[0].contains("control"),
            "{turned:?}"
        );
        assert_eq!(faults("[1]").len(), 1);
        assert_eq!(faults(r#"[{"persn":"a"},{"value":{}}]"#).len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_panic(text in "\\PC{0,80}", json in "[\\[\\]{}\":,a-z0-9]{0,60}") {
            let _ = read(&text);
            let _ = read(&format!("[{json}"));
        }
    }
}
