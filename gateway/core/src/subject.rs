//! Who asked, and by what means.

use std::fmt;

use crate::ids::{CredentialId, InputId, PersonId, RuleId, ScheduleId};
use crate::value::{Field, Form, Value, words};

words! {
    /// The means by which an opening was asked for.
    Factor {
        /// An API client with a token.
        Api = "api",
        /// A button of a panel that opens by day.
        Button = "button",
        /// The panel's own opening was noticed; never a Grant.
        ByPanel = "by-panel",
        /// A listed caller opened by calling.
        Caller = "caller",
        /// A card at a reader.
        Card = "card",
        /// A code typed at a keypad.
        Code = "code",
        /// A digit code from the answered leg.
        Digits = "digits",
        /// The fire input.
        Fire = "fire",
        /// A person at the command line of this machine.
        Local = "local",
        /// An MQTT client.
        Mqtt = "mqtt",
        /// Request to exit.
        Rex = "rex",
        /// A rule of the site file.
        Rule = "rule",
        /// A schedule of the site file.
        Schedule = "schedule",
        /// A person in the browser.
        Web = "web",
    }
}

/// Who asked for an opening. The journal holds ids; names live apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// A contact of a call list, or a caller, by address of record.
    Contact(String),
    /// A credential that belongs to nobody in particular.
    Credential(CredentialId),
    /// An integration: API token or MQTT client, by name.
    Integration(String),
    /// An input of the building: REX or fire.
    Input(InputId),
    /// A person.
    Person(PersonId),
    /// A rule of the site file.
    Rule(RuleId),
    /// A schedule of the site file.
    Schedule(ScheduleId),
    /// Nobody that could be told.
    Unknown,
    /// A user of the web page or API, by login name.
    User(String),
}

impl Subject {
    /// The name of an [`Integration`](Self::Integration) under which everybody stands of whom no more is known than that a
    /// broker let them through. No key has it.
    pub const UNSIGNED: &str = "mqtt";

    /// True if many may stand behind it, of whom none is known.
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        matches!(self, Self::Integration(name) if name == Self::UNSIGNED)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contact(v) => write!(f, "contact:{v}"),
            Self::Credential(v) => write!(f, "credential:{v}"),
            Self::Input(v) => write!(f, "input:{v}"),
            Self::Integration(v) => write!(f, "integration:{v}"),
            Self::Person(v) => write!(f, "person:{v}"),
            Self::Rule(v) => write!(f, "rule:{v}"),
            Self::Schedule(v) => write!(f, "schedule:{v}"),
            Self::Unknown => f.write_str("unknown"),
            Self::User(v) => write!(f, "user:{v}"),
        }
    }
}

impl Field for Subject {
    const FORM: Form = Form::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
    fn from_value(value: &Value) -> Option<Self> {
        let text = value.as_text()?;
        let Some((kind, rest)) = text.split_once(':') else {
            return (text == "unknown").then_some(Self::Unknown);
        };
        Some(match kind {
            "contact" => Self::Contact(rest.to_owned()),
            "credential" => Self::Credential(CredentialId::new(rest).ok()?),
            "input" => Self::Input(InputId::new(rest).ok()?),
            "integration" => Self::Integration(rest.to_owned()),
            "person" => Self::Person(PersonId::new(rest).ok()?),
            "rule" => Self::Rule(RuleId::new(rest).ok()?),
            "schedule" => Self::Schedule(ScheduleId::new(rest).ok()?),
            "user" => Self::User(rest.to_owned()),
            _ => return None,
        })
    }
}
