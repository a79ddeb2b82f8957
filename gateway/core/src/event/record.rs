//! The neutral form of an event: one kind, named fields.

use jiff::Timestamp;

use super::{
    AccessEvent, AccountEvent, AlarmEvent, CallEvent, Class, CommandEvent, ControllerEvent, DeviceEvent,
    DoorEvent, Envelope, Event, GatewayEvent, InputEvent, LineEvent, PanelEvent, PortEvent, ReaderEvent,
    RelayEvent, RuleEvent, UserEvent,
};
use crate::event::form::KindForm;
use crate::ids::{RingId, Seq};
use crate::value::{Field, Value};

/// Version of the record format; raised when a field changes its meaning.
pub const SCHEMA: u16 = 1;

/// An event as it is stored and shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Wall clock.
    pub at: Timestamp,
    /// The fields in their fixed order.
    pub fields: Vec<(String, Value)>,
    /// `family.tag`, for example `door.granted`.
    pub kind: String,
    /// The ring it belongs to.
    pub ring: Option<RingId>,
    /// Format version.
    pub schema: u16,
    /// Sequence number; 0 before the journal gave one.
    pub seq: Seq,
    /// True if it comes from a virtual device.
    pub simulated: bool,
    /// What it is about: door, panel, line, input, reader, controller, relay, rule, account or device; empty for the gateway, calls, commands, users.
    pub source: String,
}

/// May only those be told of this kind of event who are asked to know? It is in the journal like any other, and goes to
/// administrators, to channels that name it, and to MQTT where the site file says so; to no list, count, rule, lamp or
/// retained state: whoever forces somebody may be looking at it.
#[must_use]
pub fn is_confidential(kind: &str) -> bool {
    kind.split('.').next() == Some("access")
}

/// A record that is not one of today's events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A field is missing or has another type.
    #[error("field {0:?} is missing or has another type")]
    Field(String),
    /// The source is not a name.
    #[error("source is not a name")]
    Source,
    /// A kind that this version does not know; the record is kept.
    #[error("unknown kind")]
    UnknownKind,
}

pub(super) fn field<T: Field>(fields: &[(String, Value)], name: &str) -> Result<T, ReadError> {
    let value = fields
        .iter()
        .find(|(n, _)| n == name)
        .map_or(&Value::Null, |(_, v)| v);
    T::from_value(value).ok_or_else(|| ReadError::Field(name.to_owned()))
}

macro_rules! families {
    (named { $($named:ident = $nfamily:literal $nty:ident,)* } plain { $($plain:ident = $pfamily:literal $pty:ident,)* }) => {
        fn parts(event: &Event) -> (&'static str, String, &'static str, Vec<(&'static str, Value)>) {
            match event {
                $(Event::$named(id, e) => ($nfamily, id.to_string(), e.tag(), e.fields()),)*
                $(Event::$plain(e) => ($pfamily, String::new(), e.tag(), e.fields()),)*
            }
        }

        fn event(family: &str, source: &str, tag: &str, fields: &[(String, Value)]) -> Result<Event, ReadError> {
            match family {
                $($nfamily => Ok(Event::$named(
                    source.parse().map_err(|_| ReadError::Source)?,
                    $nty::read(tag, fields)?,
                )),)*
                $($pfamily => Ok(Event::$plain($pty::read(tag, fields)?)),)*
                _ => Err(ReadError::UnknownKind),
            }
        }

        /// Every `(family, tags)` there is, for documents and filters.
        pub(crate) const FAMILIES: &[(&str, &[&str])] =
            &[$(($nfamily, $nty::TAGS),)* $(($pfamily, $pty::TAGS),)*];

        /// What each kind tells, by family.
        const FORMS: &[(&str, &[KindForm])] =
            &[$(($nfamily, $nty::KINDS),)* $(($pfamily, $pty::KINDS),)*];
    };
}

families! {
    named {
        Access = "access" AccessEvent,
        Account = "account" AccountEvent,
        Alarm = "alarm" AlarmEvent,
        Controller = "controller" ControllerEvent,
        Device = "device" DeviceEvent,
        Door = "door" DoorEvent,
        Input = "input" InputEvent,
        Line = "line" LineEvent,
        Panel = "panel" PanelEvent,
        Port = "port" PortEvent,
        Reader = "reader" ReaderEvent,
        Relay = "relay" RelayEvent,
        Rule = "rule" RuleEvent,
    }
    plain {
        Call = "call" CallEvent,
        Command = "command" CommandEvent,
        Gateway = "gateway" GatewayEvent,
        User = "user" UserEvent,
    }
}

impl Event {
    /// Every `(family, tags)` there is; a kind is `family.tag`.
    #[must_use]
    pub const fn families() -> &'static [(&'static str, &'static [&'static str])] {
        FAMILIES
    }

    /// What each kind tells, by family, for documents.
    #[must_use]
    pub const fn forms() -> &'static [(&'static str, &'static [KindForm])] {
        FORMS
    }

    /// `family.tag`, for example `door.granted`.
    #[must_use]
    pub fn kind(&self) -> String {
        let (family, _, tag, _) = parts(self);
        format!("{family}.{tag}")
    }
}

impl From<&Envelope> for Record {
    fn from(envelope: &Envelope) -> Self {
        let (family, source, tag, fields) = parts(&envelope.event);
        Self {
            at: envelope.at,
            fields: fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
            kind: format!("{family}.{tag}"),
            ring: envelope.ring,
            schema: SCHEMA,
            seq: Seq(0),
            simulated: envelope.simulated,
            source,
        }
    }
}

impl Record {
    /// The typed event.
    ///
    /// # Errors
    /// [`ReadError`] if this version does not know the kind, or a field does not fit.
    pub fn event(&self) -> Result<Event, ReadError> {
        let (family, tag) = self.kind.split_once('.').ok_or(ReadError::UnknownKind)?;
        event(family, &self.source, tag, &self.fields)
    }

    /// What it is about, as people sort it.
    #[must_use]
    pub fn class(&self) -> Class {
        Class::of(&self.kind)
    }

    /// The value of a field, `Null` if there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &Value {
        self.fields
            .iter()
            .find(|(n, _)| n == name)
            .map_or(&Value::Null, |(_, v)| v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DoorId;
    use crate::subject::{Factor, Subject};

    fn envelope(event: Event) -> Envelope {
        Envelope {
            at: Timestamp::UNIX_EPOCH,
            event,
            ring: Some(RingId::new(1, [0; 10])),
            simulated: true,
        }
    }

    #[test]
    fn an_event_comes_back_from_its_record() {
        let door = DoorId::new("front").expect("a name");
        let granted = DoorEvent::Granted {
            factor: Factor::Digits,
            grant: 7,
            rule: "code 9 of door front".into(),
            subject: Subject::Contact("sip:1000@pbx".into()),
        };
        let event = Event::Door(door, granted);
        let record = Record::from(&envelope(event.clone()));
        assert_eq!(record.kind, "door.granted");
        assert_eq!(record.get("grant"), &Value::Int(7));
        assert_eq!(record.event(), Ok(event));
    }

    #[test]
    fn an_unknown_kind_is_an_error_that_keeps_the_record() {
        let mut record = Record::from(&envelope(Event::Gateway(GatewayEvent::Stopping {})));
        record.kind = "lift.stuck".into();
        assert_eq!(record.event(), Err(ReadError::UnknownKind));
        record.kind = "gateway.fire".into();
        assert_eq!(record.event(), Err(ReadError::Field("active".into())));
    }
}
