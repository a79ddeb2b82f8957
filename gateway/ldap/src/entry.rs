//! Entries of a directory as somebody who can be called.

use std::net::IpAddr;

/// Most characters of a name.
pub const NAME: usize = 100;
/// Most characters of a number.
const NUMBER: usize = 64;

/// Which attributes hold what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// IP address for direct calls; none if nobody is called directly.
    pub address: Option<String>,
    /// Name for people.
    pub name: String,
    /// Number.
    pub number: String,
}

impl Attributes {
    /// Those that are asked for.
    #[must_use]
    pub fn all(&self) -> Vec<&str> {
        let address = self.address.as_deref();
        [Some(self.name.as_str()), Some(self.number.as_str()), address]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Somebody who can be called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name for people, 1 to 100 characters without control characters.
    pub name: String,
    /// Number as it is dialled, 1 to 64 of `A-Z a-z 0-9 + * # . _ -`.
    pub number: String,
    /// Where he is called directly, without a PBX.
    pub address: Option<IpAddr>,
}

impl Entry {
    /// Whom the attributes of an entry describe; `None` if it has no name or no number that can be dialled, or no
    /// number but an address.
    #[must_use]
    pub fn of(attributes: &[(String, Vec<Vec<u8>>)], wanted: &Attributes) -> Option<Self> {
        let values = |name| values(attributes, name);
        let name = values(&wanted.name).find_map(shown)?;
        let number = values(&wanted.number).find_map(normal_number);
        let address = wanted.address.as_deref().and_then(|attribute| {
            let read = |text: &str| text.trim().trim_matches(['[', ']']).parse::<IpAddr>().ok();
            values(attribute).find_map(read)
        });
        Some(Self {
            name,
            number: number?,
            address,
        })
    }
}

/// The texts of an attribute. Its name does not differ by case, and may have options behind a semicolon.
fn values<'a>(attributes: &'a [(String, Vec<Vec<u8>>)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let fits = move |found: &str| {
        let plain = found.split(';').next().unwrap_or(found);
        found.eq_ignore_ascii_case(name) || plain.eq_ignore_ascii_case(name)
    };
    let all = attributes.iter().filter(move |(found, _)| fits(found));
    all.flat_map(|(_, values)| values)
        .filter_map(|v| std::str::from_utf8(v).ok())
}

/// Characters that turn the direction of the text after them (UAX #9): with them a name looks like another one.
const fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shown(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control() || turns(c))
        .filter(|w| !w.is_empty())
        .collect();
    let name: String = words.join(" ").chars().take(NAME).collect();
    (!name.is_empty()).then_some(name)
}

/// A number as it is dialled: without what people write between digits. `None` if it cannot be dialled.
#[must_use]
pub fn normal_number(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let digits = text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '(');
    // "(0)" in an international number is the zero that is left out
    let text = if text.starts_with('+') {
        text.replace("(0)", "")
    } else {
        text.to_owned()
    };
    let between = |c: char| c.is_whitespace() || (digits && matches!(c, '-' | '.' | '/' | '(' | ')'));
    let number: String = text.chars().filter(|c| !between(*c)).collect();
    let of_number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '*' | '#' | '.' | '_' | '-');
    let fits = (1..=NUMBER).contains(&number.len()) && number.chars().all(of_number);
    fits.then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted() -> Attributes {
        Attributes {
            address: Some("ipHostNumber".into()),
            name: "cn".into(),
            number: "telephoneNumber".into(),
        }
    }

    fn entry(attributes: &[(&str, &[&str])]) -> Option<Entry> {
        let owned: Vec<_> = attributes
            .iter()
            .map(|(n, v)| ((*n).to_owned(), v.iter().map(|v| v.as_bytes().to_vec()).collect()))
            .collect();
        Entry::of(&owned, &wanted())
    }

    #[test]
    fn numbers_are_dialled_without_what_stands_between() {
        for (text, number) in [
            ("1000", Some("1000")),
            (" +33 4 76-12.34/56 ", Some("+33476123456")),
            ("+49 (0) 30 1234", Some("+49301234")),
            ("+49 (0)30 1234", Some("+49301234")),
            ("(030) 12 34", Some("0301234")),
            ("tel:+334", Some("+334")),
            ("*9#", Some("*9#")),
            ("alice.b-c", Some("alice.b-c")),
            ("", None),
            ("alice@host", None),
            ("12;x=y", None),
            ("12\n34", Some("1234")),
            (&"9".repeat(65), None),
        ] {
            assert_eq!(normal_number(text).as_deref(), number, "{text:?}");
        }
    }

    #[test]
    fn the_first_usable_value_counts_whatever_the_case_of_the_attribute() {
        let found = entry(&[
            ("CN", &["", " Alice\u{202e} \n Martin"]),
            ("telephonenumber;lang-fr", &["ä", "1000", "1001"]),
            ("iphostnumber", &["nowhere", "192.0.2.7"]),
        ]);
        let alice = Entry {
            name: "Alice Martin".into(),
            number: "1000".into(),
            address: Some([192, 0, 2, 7].into()),
        };
        assert_eq!(found, Some(alice));
        assert_eq!(entry(&[("cn", &["Bob"])]), None);
        assert_eq!(entry(&[("telephoneNumber", &["1000"])]), None);
        assert_eq!(entry(&[]), None);
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_bounded_and_can_be_shown(
            name in prop::collection::vec(any::<u8>(), 0..300), number in prop::collection::vec(any::<u8>(), 0..100)
        ) {
            let attributes = [("cn".to_owned(), vec![name]), ("telephoneNumber".to_owned(), vec![number])];
            if let Some(entry) = Entry::of(&attributes, &wanted()) {
                prop_assert!((1..=NAME).contains(&entry.name.chars().count()));
                prop_assert!(!entry.name.chars().any(|c| c.is_control() || turns(c)));
                prop_assert!((1..=NUMBER).contains(&entry.number.len()) && entry.number.is_ascii());
            }
        }
    }
}
