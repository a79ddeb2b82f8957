//! Values of `[rules.*]`.

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
}
