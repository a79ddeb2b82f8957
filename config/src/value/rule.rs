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

#[cfg(test)]
mod tests {
    use super::*;

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
