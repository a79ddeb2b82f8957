//! Values of `[rules.*]`.

use std::time::Duration;

use gateway_rules as rules;

use crate::describe::words;
use crate::rules::FromText;

words! {
    /// How a door or an input is.
    pub enum StateWord {
        /// An input: active.
        Active = "active",
        /// A door: nobody is being let in.
        Locked = "locked",
        /// A door: open, by its contact.
        Open = "open",
        /// An input: at rest.
        Rest = "rest",
        /// A door: shut, by its contact.
        Shut = "shut",
        /// A door: it can be opened by whoever stands there.
        Unlocked = "unlocked",
    }
}

impl StateWord {
    /// Is it said of inputs, and not of doors?
    #[must_use]
    pub const fn is_of_input(self) -> bool {
        match self {
            Self::Active | Self::Rest => true,
            Self::Locked | Self::Open | Self::Shut | Self::Unlocked => false,
        }
    }
}

/// A field of an event with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldIs(pub rules::FieldIs);

impl FromText for FieldIs {
    const WHAT: &'static str = "a field with its value";
    const PATTERN: Option<&'static str> = Some("^[a-z_]{1,32}=.{0,200}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed =
            || "NAME=VALUE with the name and the value of a field, such as outcome=no-answer".to_owned();
        let (name, value) = text.split_once('=').ok_or_else(allowed)?;
        let fits =
            (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !fits || value.chars().count() > 200 {
            return Err(allowed());
        }
        let (name, value) = (name.to_owned(), value.to_owned());
        Ok(Self(rules::FieldIs { name, value }))
    }
}

words! {
    /// How a rule sets a relay.
    pub enum SetWord {
        /// At rest.
        Off = "off",
        /// Active, until further notice or for `for-s`.
        On = "on",
        /// The other way round than it is.
        Toggle = "toggle",
    }
}

/// A topic for the messages of rules, below those of the site: it can be no topic of commands, nor a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTopic(String);

impl MessageTopic {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for MessageTopic {
    const WHAT: &'static str = "a topic";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_-]{1,40}){0,7}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let level = |level: &str| {
            (1..=40).contains(&level.len())
                && level
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if text.split('/').count() <= 8 && text.split('/').all(level) {
            Ok(Self(text.to_owned()))
        } else {
            Err("1 to 8 levels with / between them, each of 1 to 40 of A-Z, a-z, 0-9, _ and -".to_owned())
        }
    }
}

/// Tones, one after the other: `880/200 0/100 660/400`, each as Hz and ms. One frequency at a time is no telephone key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tones(pub Vec<rules::Beep>);

impl FromText for Tones {
    const WHAT: &'static str = "a row of tones";
    const PATTERN: Option<&'static str> = Some("^[0-9]{1,4}/[0-9]{1,4}( [0-9]{1,4}/[0-9]{1,4}){0,31}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = || {
            "1 to 32 of HZ/MS with blanks between them, 200 to 3400 Hz or 0 for silence, each of 20 to 5000 ms, one of \
             them to be heard"
                .to_owned()
        };
        let beep = |part: &str| {
            let (hz, ms) = part.split_once('/')?;
            let number = |text: &str| -> Option<u16> {
                let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| text.parse().ok())?
            };
            let (hz, ms) = (number(hz)?, number(ms)?);
            let fits = (hz == 0 || (200..=3400).contains(&hz)) && (20..=5000).contains(&ms);
            fits.then(|| rules::Beep {
                hz,
                time: Duration::from_millis(u64::from(ms)),
            })
        };
        let beeps: Option<Vec<rules::Beep>> = text.split(' ').map(beep).collect();
        let beeps = beeps.ok_or_else(allowed)?;
        if beeps.len() > 32 || beeps.iter().all(|beep| beep.hz == 0) {
            return Err(allowed());
        }
        Ok(Self(beeps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_a_rule_is_neither_a_filter_nor_leaves_its_place() {
        for good in ["bell", "door/front/Bell_1", "a/b/c/d/e/f/g/h"] {
            assert_eq!(MessageTopic::from_text(good).map(|t| t.0), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "/bell",
            "bell/",
            "a//b",
            "a/+",
            "#",
            "..",
            "a b",
            "\u{e9}",
            "a/b/c/d/e/f/g/h/i",
        ] {
            assert!(MessageTopic::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_field_has_a_name_and_a_value() {
        let read = |text| FieldIs::from_text(text).map(|field| field.0.to_string());
        for good in ["outcome=no-answer", "reason=", "text=a=b"] {
            assert_eq!(read(good), Ok(good.to_owned()));
        }
        for bad in ["", "outcome", "=x", "Outcome=x", "out come=x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tones_are_heard_and_bounded() {
        let ms = Duration::from_millis;
        let beep = |hz, time| rules::Beep { hz, time };
        assert_eq!(
            Tones::from_text("880/200 0/100 660/400").map(|t| t.0),
            Ok(vec![beep(880, ms(200)), beep(0, ms(100)), beep(660, ms(400))])
        );
        let many = ["880/20"; 33].join(" ");
        for bad in [
            "",
            "880",
            "880/",
            "/200",
            "880/19",
            "880/5001",
            "199/100",
            "3401/100",
            "0/100",
            "880/200  660/400",
            "+880/200",
            "880/200,660/400",
            &many,
        ] {
            assert!(Tones::from_text(bad).is_err(), "{bad}");
        }
    }
}
