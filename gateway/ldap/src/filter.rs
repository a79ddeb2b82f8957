//! Search filters as people write them (RFC 4515), as octets (RFC 4511 §4.5.1.7).

use std::fmt;

use crate::ber::{OCTETS, SEQUENCE, Writer};

/// Most characters of a filter.
const LENGTH: usize = 1000;
/// Most brackets within brackets.
const DEPTH: usize = 16;

const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const EQUAL: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const GREATER: u8 = 0xa5;
const LESS: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const APPROX: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;

/// A filter that can be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    bytes: Vec<u8>,
    text: String,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at}")]
pub struct FilterError {
    /// Counted from 1.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Filter {
    /// Reads a filter such as `(&(objectClass=person)(telephoneNumber=*))`.
    ///
    /// # Errors
    /// [`FilterError`] with the place.
    pub fn new(text: &str) -> Result<Self, FilterError> {
        if text.chars().count() > LENGTH {
            let what = "a filter has at most 1000 characters; there is more";
            return Err(FilterError { at: LENGTH + 1, what });
        }
        let mut parser = Parser { at: 0, text };
        let mut writer = Writer::default();
        parser.filter(&mut writer, 0)?;
        if parser.at < text.len() {
            return Err(parser.error("something stands behind the last bracket"));
        }
        Ok(Self {
            bytes: writer.done(),
            text: text.to_owned(),
        })
    }

    /// What is sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

struct Parser<'a> {
    /// Octets read.
    at: usize,
    text: &'a str,
}

impl<'a> Parser<'a> {
    fn error(&self, what: &'static str) -> FilterError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        FilterError {
            at: before.chars().count() + 1,
            what,
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, wanted: char, what: &'static str) -> Result<(), FilterError> {
        if !self.rest().starts_with(wanted) {
            return Err(self.error(what));
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn filter(&mut self, writer: &mut Writer, depth: usize) -> Result<(), FilterError> {
        if depth >= DEPTH {
            return Err(self.error("brackets stand within 16 others"));
        }
        self.take('(', "'(' belongs here")?;
        match self.rest().chars().next() {
            Some('&') => self.set(writer, AND, depth)?,
            Some('|') => self.set(writer, OR, depth)?,
            Some('!') => {
                self.at += 1;
                let mut inner = Writer::default();
                self.filter(&mut inner, depth + 1)?;
                writer.octets(NOT, &inner.done());
            }
            Some(_) | None => self.item(writer)?,
        }
        self.take(')', "')' belongs here")
    }

    fn set(&mut self, writer: &mut Writer, tag: u8, depth: usize) -> Result<(), FilterError> {
        self.at += 1;
        let mut inner = Writer::default();
        while self.rest().starts_with('(') {
            self.filter(&mut inner, depth + 1)?;
        }
        let inner = inner.done();
        if inner.is_empty() {
            return Err(self.error("a filter in brackets belongs here"));
        }
        writer.octets(tag, &inner);
        Ok(())
    }

    /// The name of an attribute or of a rule; it may be empty.
    fn name(&mut self) -> &'a str {
        let rest = self.rest();
        let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';');
        let name = &rest[..rest.find(|c| !of_name(c)).unwrap_or(rest.len())];
        self.at += name.len();
        name
    }

    /// A value, in parts between stars, which only some may have.
    fn value(&mut self, stars: bool) -> Result<Vec<Vec<u8>>, FilterError> {
        let mut parts = vec![Vec::new()];
        while let Some(c) = self.rest().chars().next() {
            match c {
                ')' => break,
                '(' => return Err(self.error("a bracket in a value is written \\28")),
                '\0' => return Err(self.error("a NUL in a value is written \\00")),
                '*' if stars => parts.push(Vec::new()),
                '*' => return Err(self.error("'*' stands behind '=' only")),
                '\\' => {
                    let digits = self
                        .rest()
                        .get(1..3)
                        .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                    let Some(octet) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) else {
                        return Err(self.error("two hexadecimal digits follow a backslash"));
                    };
                    push(&mut parts, &[octet]);
                    self.at += 2;
                }
                _ => push(&mut parts, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            self.at += c.len_utf8();
        }
        Ok(parts)
    }

    /// What follows a name, or stands alone, in an extensible match: `:dn`, a rule, `:=` and a value (RFC 4515 §3).
    fn extensible(&mut self, writer: &mut Writer, name: &str) -> Result<(), FilterError> {
        let (mut dn, mut rule) = (false, "");
        while !self.rest().starts_with(":=") {
            self.take(':', "':=' belongs here")?;
            let word = self.name();
            match word {
                "" => return Err(self.error("a matching rule, dn or '=' belongs here")),
                "dn" if !dn && rule.is_empty() => dn = true,
                _ if rule.is_empty() => rule = word,
                _ => return Err(self.error("':=' belongs here")),
            }
        }
        if name.is_empty() && rule.is_empty() {
            return Err(self.error("a matching rule belongs before ':=' if there is no attribute"));
        }
        self.at += ":=".len();
        let value = self.value(false)?.concat();
        writer.nested(EXTENSIBLE, |w| {
            for (tag, word) in [(0x81, rule), (0x82, name)] {
                if !word.is_empty() {
                    w.octets(tag, word.as_bytes());
                }
            }
            w.octets(0x83, &value);
            if dn {
                w.octets(0x84, &[0xff]);
            }
        });
        Ok(())
    }

    fn item(&mut self, writer: &mut Writer) -> Result<(), FilterError> {
        let name = self.name();
        if self.rest().starts_with(':') {
            return self.extensible(writer, name);
        }
        if name.is_empty() {
            return Err(self.error("the name of an attribute belongs here"));
        }
        let comparison = [(">=", GREATER), ("<=", LESS), ("~=", APPROX), ("=", EQUAL)];
        let found = comparison
            .into_iter()
            .find(|(sign, _)| self.rest().starts_with(sign));
        let Some((sign, tag)) = found else {
            return Err(self.error("one of = >= <= ~= := belongs here"));
        };
        self.at += sign.len();
        let parts = self.value(tag == EQUAL)?;
        match &parts[..] {
            [value] => {
                writer.nested(tag, |w| {
                    w.text(name).octets(OCTETS, value);
                });
            }
            [first, last] if first.is_empty() && last.is_empty() => {
                writer.octets(PRESENT, name.as_bytes());
            }
            [first, middle @ .., last] => {
                if middle.iter().any(Vec::is_empty) || parts.iter().all(Vec::is_empty) {
                    return Err(self.error("something belongs between two '*'"));
                }
                writer.nested(SUBSTRINGS, |w| {
                    w.text(name).nested(SEQUENCE, |w| {
                        if !first.is_empty() {
                            w.octets(0x80, first);
                        }
                        for part in middle {
                            w.octets(0x81, part);
                        }
                        if !last.is_empty() {
                            w.octets(0x82, last);
                        }
                    });
                });
            }
            [] => return Err(self.error("a value belongs here")),
        }
        Ok(())
    }
}

fn push(parts: &mut [Vec<u8>], octets: &[u8]) {
    if let Some(part) = parts.last_mut() {
        part.extend_from_slice(octets);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> String {
        let filter = Filter::new(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        filter.bytes().iter().map(|b| format!("{b:02x}")).collect()
    }

    fn refused(text: &str) -> String {
        Filter::new(text).expect_err("refused").to_string()
    }

    #[test]
    fn filters_become_the_octets_of_rfc_4511() {
        for (text, wanted) in [
            ("(a=b)", "a3060401610401 62".replace(' ', "")),
            ("(a=)", "a305040161 0400".replace(' ', "")),
            ("(a>=b)", "a506040161040162".into()),
            ("(a<=b)", "a606040161040162".into()),
            ("(a~=b)", "a806040161040162".into()),
            ("(a=*)", "870161".into()),
            ("(a=b*)", "a40804016130038001 62".replace(' ', "")),
            ("(a=*b)", "a408040161300382 0162".replace(' ', "")),
            ("(a=b*c*d)", "a40e0401613009800162810163820164".into()),
            ("(a=\\2a\\28\\c3\\a4)", "a3090401610404 2a28c3a4".replace(' ', "")),
            ("(a=ä)", "a3070401610402c3a4".into()),
            ("(!(a=*))", "a203870161".into()),
            ("(&(a=*)(|(b=*)(c=*)))", "a00b870161a106870162870163".into()),
            ("(a:=b)", "a906820161830162".into()),
            ("(a:dn:=b)", "a9098201618301628401ff".into()),
            ("(:1.2:=b)", "a9088103312e32830162".into()),
            ("(a:dn:1.2:=\\2a)", "a90e8103312e3282016183012a8401ff".into()),
            (
                // accounts of Active Directory that are disabled
                "(userAccountControl:1.2.840.113556.1.4.803:=2)",
                "a92f".to_owned()
                    + "8116312e322e3834302e3131333535362e312e342e383033"
                    + "821275736572 4163636f756e74436f6e74726f6c"
                        .replace(' ', "")
                        .as_str()
                    + "830132",
            ),
            ("(1.2.3;x-y=*)", "87".to_owned() + "09" + "312e322e333b782d79"),
        ] {
            assert_eq!(hex(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_place() {
        for (text, said) in [
            ("", "'(' belongs here at character 1"),
            ("a=b", "'(' belongs here at character 1"),
            ("(a=b", "')' belongs here at character 5"),
            ("(ä=b)", "the name of an attribute belongs here at character 2"),
            ("(a)", "one of = >= <= ~= := belongs here at character 3"),
            ("(a:dn=b)", "':=' belongs here at character 6"),
            (
                "(a::=b)",
                "a matching rule, dn or '=' belongs here at character 4",
            ),
            ("(a:b:c:=d)", "':=' belongs here at character 7"),
            (
                "(:=b)",
                "a matching rule belongs before ':=' if there is no attribute at character 2",
            ),
            (
                "(:dn:=b)",
                "a matching rule belongs before ':=' if there is no attribute at character 5",
            ),
            ("(a:=*)", "'*' stands behind '=' only at character 5"),
            (
                "(a=b)c",
                "something stands behind the last bracket at character 6",
            ),
            ("(&)", "a filter in brackets belongs here at character 3"),
            ("(a=b(c)", "a bracket in a value is written \\28 at character 5"),
            (
                "(a=\\zz)",
                "two hexadecimal digits follow a backslash at character 4",
            ),
            (
                "(a=\\é)",
                "two hexadecimal digits follow a backslash at character 4",
            ),
            ("(a=b**c)", "something belongs between two '*' at character 8"),
            ("(a>=*)", "'*' stands behind '=' only at character 5"),
        ] {
            assert_eq!(refused(text), said, "{text}");
        }
        assert!(refused(&("(!".repeat(40) + "(a=*)" + &")".repeat(40))).contains("within 16 others"));
        assert!(refused(&"x".repeat(2000)).contains("at most 1000"));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_panic(text in "[(&|!)a-c=:*<>~\\\\0-9é ]{0,60}") {
            let _ = Filter::new(&text);
        }

        #[test]
        fn no_value_leaves_its_place(value in "\\PC{1,40}") {
            let escaped: String = value.bytes().map(|b| format!("\\{b:02x}")).collect();
            let filter = Filter::new(&format!("(a={escaped})")).expect("escaped");
            prop_assert!(filter.bytes().ends_with(value.as_bytes()));
        }
    }
}
