//! Values of SIP headers that telephones have words of their own for.

use std::fmt;

use crate::rules::FromText;

/// A value of Alert-Info (RFC 3261 §20.4), as the maker of a telephone writes it: one line of ASCII, 1 to 200 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertInfo(String);

impl fmt::Display for AlertInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What begins in the text also ends in it, and nothing ends that did not begin.
fn is_whole(text: &str) -> bool {
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for b in text.bytes() {
        match (quoted, b) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'<') if angle => return false,
            (false, b'<') => angle = true,
            (false, b'>') if !angle => return false,
            (false, b'>') => angle = false,
            (true | false, _) => {}
        }
    }
    !quoted && !angle
}

impl FromText for AlertInfo {
    const WHAT: &'static str = "a value of Alert-Info";
    const PATTERN: Option<&'static str> = Some("^[!-~]([ -~]{0,198}[!-~])?$");

    fn from_text(text: &str) -> Result<Self, String> {
        let line = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        let fits = (1..=200).contains(&text.len()) && line && text.trim() == text && is_whole(text);
        fits.then(|| Self(text.to_owned())).ok_or_else(|| {
            "one line of ASCII, 1 to 200 characters, such as <http://127.0.0.1>;info=external or Bellcore-dr2"
                .to_owned()
        })
    }
}

/// Keys that are sent: `0-9*#`, `A` to `D`, and a comma for a pause of a second; 1 to 32.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DigitsOut(String);

impl fmt::Display for DigitsOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for DigitsOut {
    const WHAT: &'static str = "keys to be pressed";
    const PATTERN: Option<&'static str> = Some("^[0-9*#A-D,]{1,32}$");

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_digit() || b"*#ABCD,".contains(&b);
        ((1..=32).contains(&text.len()) && text.bytes().all(fits))
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| "1 to 32 of 0-9 * # A B C D, and commas for pauses of a second".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_telephone_and_pauses_are_sent_and_nothing_else() {
        for good in ["123#", "*", ",,9", "0A"] {
            assert!(DigitsOut::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "12 3", "w1", "a", "+1", "123456789012345678901234567890123"] {
            assert!(DigitsOut::from_text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_words_of_makers_fit_and_nothing_that_breaks_a_header_does() {
        for good in [
            "<http://127.0.0.1>;info=alert-external",
            ";answer-after=0",
            "Bellcore-dr2",
            "\"a < b\" <sip:x>",
            "Ring Answer",
        ] {
            assert_eq!(
                AlertInfo::from_text(good).map(|a| a.to_string()),
                Ok(good.to_owned())
            );
        }
        let long = "x".repeat(201);
        for bad in [
            "",
            " x",
            "a\r\nVia: x",
            "a\tb",
            "J\u{f6}rg",
            "<http://x",
            "x>",
            "<<a>>",
            "\"open",
            long.as_str(),
        ] {
            assert!(AlertInfo::from_text(bad).is_err(), "{bad:?}");
        }
    }
}
