//! What tells of a person, and how it is taken out of texts.

use serde::{Deserialize, Serialize};

/// What stands in place of what was taken out. It is a name, so that `person:erased` is a subject like any other.
const ERASED: &str = "erased";
/// Two telephone numbers are the same if their ends are, from this many digits on: `+49 170 1234567` is `0170 1234567`.
const SAME_END: usize = 8;

/// What tells of a person: all that is to be taken out of the journal when they are erased.
///
/// Ids are looked for as subjects (`person:alice`), as words of sentences, and in quotes; names and cards as whole words;
/// telephone numbers by their digits, in whatever way they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// Card numbers, in the notations that may stand somewhere.
    #[serde(default)]
    pub cards: Vec<String>,
    /// Ids of their credentials.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// Names for people.
    #[serde(default)]
    pub names: Vec<String>,
    /// Telephone numbers, or user names of their telephones.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// Their ids.
    #[serde(default)]
    pub persons: Vec<String>,
}

/// Is this part of a word, also of a name like `anna-2`?
fn inside(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_')
}

/// Replaces whole words only. True if there was one.
fn swap(text: &mut String, word: &str, with: &str) -> bool {
    let mut from = 0;
    let mut any = false;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(word)) {
        let (at, end) = (from + found, from + found + word.len());
        let before = text[..at].chars().next_back().is_some_and(inside);
        let after = text[end..].chars().next().is_some_and(inside);
        if before || after {
            from = at + word.chars().next().map_or(1, char::len_utf8);
        } else {
            text.replace_range(at..end, with);
            from = at + with.len();
            any = true;
        }
    }
    any
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Is a run of digits this number? A whole number, or the end of one with or without the code of its country.
fn same_number(run: &str, number: &str) -> bool {
    let (run, number) = (digits(run), digits(number));
    let common = run.bytes().rev().zip(number.bytes().rev());
    let same = common.take_while(|(a, b)| a == b).count();
    !number.is_empty() && (run == number || same >= SAME_END.max(number.len().saturating_sub(4)))
}

/// Replaces numbers by their digits, `+`, spaces, dashes and brackets between them included.
fn swap_number(text: &mut String, number: &str) -> bool {
    let whole = digits(number);
    if whole.is_empty() || number.bytes().any(|b| b.is_ascii_alphabetic()) {
        return swap(text, number, ERASED);
    }
    let mut any = false;
    let mut at = 0;
    while let Some(begin) = text
        .get(at..)
        .and_then(|rest| rest.find(|c: char| c.is_ascii_digit() || c == '+'))
    {
        let begin = at + begin;
        let of = |c: char| c.is_ascii_digit() || "+-.() ".contains(c);
        let end = text[begin..].find(|c| !of(c)).map_or(text.len(), |n| begin + n);
        let run = text[begin..end].trim_end_matches(|c: char| !c.is_ascii_digit());
        let end = begin + run.len().max(1);
        let word = text[..begin].chars().next_back().is_some_and(inside)
            || text[end..].chars().next().is_some_and(inside);
        if !word && same_number(run, &whole) {
            text.replace_range(begin..end, ERASED);
            any = true;
            at = begin + ERASED.len();
        } else {
            // the number may be one of several with only spaces between
            let next = run.find(' ').map_or(end, |n| begin + n + 1);
            at = next;
        }
    }
    any
}

/// So short a name, if it is one word, is that of many things.
const SHORT_NAME: usize = 8;
/// So short a number is that of many things.
const SHORT_NUMBER: usize = 6;

/// Where a text tells of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the text, from 1.
    pub line: usize,
    /// False if it may be somebody or something else: a short name or number, or an id that is a word of something.
    pub sure: bool,
    /// `card`, `credential`, `id`, `name` or `number`.
    pub what: &'static str,
}

impl Traces {
    /// Where a text that is no journal tells of them: one place for each line and kind.
    #[must_use]
    pub fn places(&self, text: &str) -> Vec<Place> {
        let mut found = Vec::new();
        for (at, line) in text.lines().enumerate() {
            for (what, word, sure) in self.words() {
                let one = self.only(what, word);
                if !one.in_text(line) {
                    continue;
                }
                // only there an id is meant as one
                let sure = sure || what == "id" && one.named_in(line);
                let place = Place {
                    line: at + 1,
                    sure,
                    what,
                };
                match found
                    .iter_mut()
                    .find(|p: &&mut Place| (p.line, p.what) == (at + 1, what))
                {
                    Some(known) => known.sure |= sure,
                    None => found.push(place),
                }
            }
        }
        found
    }

    /// Those that are nobody else's, also where no text gives them a meaning.
    #[must_use]
    pub fn sure(&self) -> Self {
        let of = |kind: &str| {
            let words = self.words().filter(move |(what, _, sure)| *what == kind && *sure);
            words.map(|(_, word, _)| word.clone()).collect()
        };
        let mut names: Vec<String> = of("name");
        names.extend(self.persons.iter().map(|id| format!("person:{id}")));
        Self {
            cards: of("card"),
            credentials: of("credential"),
            names,
            numbers: of("number"),
            persons: Vec::new(),
        }
    }

    /// What is looked for, of which kind, and whether it is nobody else's.
    fn words(&self) -> impl Iterator<Item = (&'static str, &String, bool)> {
        let name = |name: &String| name.trim().contains(' ') || name.chars().count() >= SHORT_NAME;
        let number = |number: &String| digits(number).len() >= SHORT_NUMBER;
        self.cards
            .iter()
            .map(|card| ("card", card, true))
            .chain(self.credentials.iter().map(|id| ("credential", id, true)))
            .chain(self.persons.iter().map(|id| ("id", id, false)))
            .chain(self.names.iter().map(move |text| ("name", text, name(text))))
            .chain(
                self.numbers
                    .iter()
                    .map(move |text| ("number", text, number(text))),
            )
    }

    fn only(&self, what: &str, word: &str) -> Self {
        let one = |of: &str| {
            if of == what {
                vec![word.to_owned()]
            } else {
                Vec::new()
            }
        };
        Self {
            cards: one("card"),
            credentials: one("credential"),
            names: one("name"),
            numbers: one("number"),
            persons: one("id"),
        }
    }

    /// Does a line of a site file, or a subject, say that it is this person?
    fn named_in(&self, line: &str) -> bool {
        self.persons.iter().any(|id| {
            let mut line = line.to_owned();
            swap(&mut line, &format!("person:{id}"), ERASED)
                || line.split_once('=').is_some_and(|(key, value)| {
                    key.trim() == "person" && value.trim().starts_with(&format!("\"{id}\""))
                })
        })
    }

    /// True if there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what others look for.
    pub fn extend(&mut self, other: Self) {
        self.cards.extend(other.cards);
        self.credentials.extend(other.credentials);
        self.names.extend(other.names);
        self.numbers.extend(other.numbers);
        self.persons.extend(other.persons);
    }

    /// The text without them; `None` if it says nothing of them. `field` is the name of the field that it stands in.
    #[must_use]
    pub fn clean(&self, field: &str, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        let mut any = false;
        let ids = self.persons.iter().map(|id| ("person", id));
        for (kind, id) in ids.chain(self.credentials.iter().map(|id| ("credential", id))) {
            any |= swap(&mut text, &format!("{kind}:{id}"), &format!("{kind}:{ERASED}"));
            // a lone word may be one of ours, such as the name of a door
            if text.contains(' ') || field == kind {
                any |= swap(&mut text, id, ERASED);
            }
        }
        for word in self
            .names
            .iter()
            .chain(&self.cards)
            .filter(|word| !word.is_empty())
        {
            any |= swap(&mut text, word, ERASED);
        }
        for number in &self.numbers {
            any |= swap_number(&mut text, number);
        }
        any.then_some(text)
    }

    /// Do these bytes say anything of them? For files that are no journal: bytes that are no text are stepped over.
    #[must_use]
    pub fn tell(&self, bytes: &[u8]) -> bool {
        bytes.split(|b| *b < b' ' || *b == 0x7f).any(|part| {
            part.utf8_chunks().any(|chunk| {
                let text = chunk.valid();
                text.len() > 1 && self.in_text(text)
            })
        })
    }

    fn in_text(&self, text: &str) -> bool {
        // as a JSON text has it
        let escaped = |word: &String| {
            let json = serde_json::Value::from(word.as_str()).to_string();
            json[1..json.len() - 1].to_owned()
        };
        let quoted = self.persons.iter().chain(&self.credentials);
        let alike = Self {
            names: self.names.iter().map(escaped).collect(),
            ..self.clone()
        };
        self.clean("", text).is_some()
            || alike.clean("", text).is_some()
            || quoted.into_iter().any(|id| text.contains(&format!("\"{id}\"")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alice() -> Traces {
        let one = |text: &str| vec![text.to_owned()];
        Traces {
            cards: one("123,04567"),
            credentials: one("c-4k2m"),
            names: one("Alice Martin"),
            numbers: one("+33 4 76 12 34 56"),
            persons: one("alice"),
        }
    }

    #[test]
    fn what_tells_of_a_person_is_taken_out_and_nothing_else() {
        let clean = |text: &str| alice().clean("rule", text).unwrap_or_else(|| text.to_owned());
        for (text, want) in [
            ("person:alice", "person:erased"),
            ("credential:c-4k2m", "credential:erased"),
            ("card \"c-4k2m\" at reader r", "card \"erased\" at reader r"),
            ("person alice was removed", "person erased was removed"),
            ("Alice Martin rang", "erased rang"),
            ("contact:sip:+33476123456@pbx", "contact:sip:erased@pbx"),
            ("sip:0476123456@pbx", "sip:erased@pbx"),
            ("calls 0033 476 12 34 56.", "calls erased."),
            ("123,04567 is no card", "erased is no card"),
            // others
            ("alice", "alice"),
            ("person:alice-2", "person:alice-2"),
            ("person malice was removed", "person malice was removed"),
            ("Alice Martinez rang", "Alice Martinez rang"),
            ("sip:+33476123457@pbx", "sip:+33476123457@pbx"),
            ("seq 6123456 of 2026", "seq 6123456 of 2026"),
        ] {
            assert_eq!(clean(text), want);
        }
        assert_eq!(alice().clean("person", "alice").as_deref(), Some("erased"));
    }

    #[test]
    fn a_short_number_is_itself_only() {
        let guard = Traces {
            numbers: vec!["1000".into()],
            ..Traces::default()
        };
        assert_eq!(
            guard.clean("peer", "sip:1000@pbx").as_deref(),
            Some("sip:erased@pbx")
        );
        for other in ["sip:11000@pbx", "sip:10001@pbx", "p1000", "0.1000"] {
            assert_eq!(guard.clean("peer", other), None, "{other}");
        }
    }

    #[test]
    fn where_a_text_tells_of_a_person_is_told_with_whether_it_may_be_something_else() {
        let al = Traces {
            names: vec!["Al".into()],
            numbers: vec!["1000".into(), "+33476123456".into()],
            persons: vec!["front".into()],
            cards: vec!["123,04567".into()],
            credentials: vec!["c-4k2m".into()],
        };
        let text = "# Al's house\n[doors.front]\nperson = \"front\"\ndoors = [\"front\"]\n\
             callers = [{ number = \"0476123456\", name = \"Al\" }]\ntargets = [\"1000\"]\ncard = \"123,04567\"\n\
             name = \"Alfred\"\n";
        let told: Vec<String> = al
            .places(text)
            .into_iter()
            .map(|place| format!("{} {} {}", place.line, place.what, place.sure))
            .collect();
        assert!(al.sure().tell(b"\0\xff+33476123456\0") && al.sure().tell(b"\xffperson:front\0"));
        assert!(!al.sure().tell(b"\0Al\xff \"front\" 1000\0"));
        assert_eq!(
            told,
            [
                "1 name false",
                "3 id true",
                "4 id false",
                "5 name false",
                "5 number true",
                "6 number false",
                "7 card true",
            ]
        );
    }

    #[test]
    fn files_that_tell_of_a_person_are_found_by_text_within_bytes() {
        let traces = Traces {
            names: vec!["Zoë \"Z\"".into()],
            ..alice()
        };
        for bytes in [
            b"\0\x01{\"subject\":\"person:alice\"}\0".as_slice(),
            "\u{0}\"name\":\"Zoë \\\"Z\\\"\"".as_bytes(),
            b"\xff\xfe\"key\":\"c-4k2m\"",
            b"calls:+33476123456",
        ] {
            assert!(traces.tell(bytes), "{bytes:?}");
        }
        assert!(!traces.tell(b"\0malice\xff {\"key\":\"front\"}"));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_gone_after_one_pass(text in "\\PC{0,60}", at in 0usize..60) {
            let at = (0..=at.min(text.len())).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
            let (a, b) = text.split_at(at);
            let text = format!("{a} Alice Martin person:alice {b}");
            let clean = alice().clean("text", &text).expect("it is there");
            prop_assert!(!clean.contains("Alice Martin") && !clean.contains(" person:alice "));
            prop_assert_eq!(alice().clean("text", &clean), None);
        }

        #[test]
        fn no_bytes_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = alice().tell(&bytes);
        }
    }
}
