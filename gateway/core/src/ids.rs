//! Identifiers. Names come from the configuration and are safe in topics, paths and file names.

use std::fmt;
use std::sync::Arc;

use crate::value::{Field, Form, Value};

/// A name that cannot be an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a name: allowed are 1 to 40 characters of a-z, 0-9, '-' and '_'")]
pub struct NameError {
    /// What was found.
    pub found: String,
}

fn checked(name: &str) -> Result<Arc<str>, NameError> {
    let fits = (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if fits {
        Ok(name.into())
    } else {
        Err(NameError {
            found: name.chars().take(60).collect(),
        })
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes an identifier of a configured name: 1 to 40 of `a-z 0-9 - _`.
            ///
            /// # Errors
            /// [`NameError`] if the text has another length or other characters.
            pub fn new(name: &str) -> Result<Self, NameError> {
                checked(name).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                Self::new(s)
            }
        }

        impl Field for $name {
            const FORM: Form = Form::Text;
            fn to_value(&self) -> Value {
                Value::Text(self.0.to_string())
            }
            fn from_value(value: &Value) -> Option<Self> {
                Self::new(value.as_text()?).ok()
            }
        }
    )*};
}

names! {
    /// An alarm that somebody of security confirms.
    AlarmId;
    /// A registration at a PBX, or an IP-authenticated trunk.
    AccountId;
    /// An announcement of the site file, that a command has heard.
    AnnouncementId;
    /// An apartment served by a panel.
    ApartmentId;
    /// An area of the site that people are in or not.
    AreaId;
    /// A button of a panel.
    ButtonId;
    /// A channel of notifications.
    ChannelId;
    /// An access controller of somebody else, which the gateway stands before as a reader.
    ControllerId;
    /// A stored credential: a card, a code, a number.
    CredentialId;
    /// An adapter instance: what reports signals and health.
    DeviceId;
    /// A group of doors: what is locked down together, or of which one opens at a time.
    DoorGroupId;
    /// A door, gate or barrier.
    DoorId;
    /// A card format.
    FormatId;
    /// A group of persons or credentials.
    GroupId;
    /// A named list of holidays.
    HolidaysId;
    /// A configured input: a button, a contact, a REX, a fire contact.
    InputId;
    /// The wires where panels reach the gateway.
    LineId;
    /// A call list: 1 to 4 targets.
    ListId;
    /// One relay, board channel or bus action.
    OutputId;
    /// A call station with one or many buttons.
    PanelId;
    /// A person; names and numbers live apart from this id.
    PersonId;
    /// A credential reader.
    ReaderId;
    /// A relay that tells something and opens nothing.
    RelayId;
    /// A rule of the site file.
    RuleId;
    /// A named schedule.
    ScheduleId;
    /// The site this gateway serves.
    SiteId;
}

/// One end of a call: a phone, a browser, a bridge. Unique while the process lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LegId(pub u64);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leg{}", self.0)
    }
}

impl Field for LegId {
    const FORM: Form = Form::Int;
    fn to_value(&self) -> Value {
        Value::Int(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
    fn from_value(value: &Value) -> Option<Self> {
        u64::try_from(value.as_int()?).ok().map(Self)
    }
}

/// Position of a record in the event log: 1 for the first, without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One visitor's attempt, or one incoming call: a UUIDv7 (RFC 9562 §5.7) that names the whole story.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingId(uuid::Uuid);

impl RingId {
    /// Makes an id of Unix milliseconds and ten random bytes, both given by the caller.
    #[must_use]
    pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
    }

    /// Reads the hyphenated form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }

    /// The 32 hexadecimal digits without hyphens: a Session-ID (RFC 7989 §5).
    #[must_use]
    pub fn session_id(&self) -> String {
        self.0.simple().to_string()
    }
}

impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Field for RingId {
    const FORM: Form = Form::Text;
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
    fn from_value(value: &Value) -> Option<Self> {
        Self::parse(value.as_text()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_topics_and_paths() {
        assert!(DoorId::new("front-2_b").is_ok());
        for bad in ["", "Front", "a/b", "a b", "..", "é", "+", "#", &"x".repeat(41)] {
            assert!(DoorId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_ring_id_is_a_version_7_uuid_and_round_trips() {
        let id = RingId::new(0x0199_0000_0000, [7; 10]);
        assert_eq!(id.to_string(), "01990000-0000-7707-8707-070707070707");
        assert_eq!(RingId::parse(&id.to_string()), Some(id));
        assert_eq!(id.session_id().len(), 32);
    }
}
