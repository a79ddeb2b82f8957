//! Everything that happens.
//!
//! An event is typed here and turned into a neutral [`Record`] (kind, fields) at one place, so that the
//! journal, MQTT and HTTP show the same names, and a record of an unknown kind can still be kept and shown.

mod class;
mod form;
mod kinds;
mod record;

pub use class::Class;
pub use form::{FieldForm, KindForm, said};
pub use kinds::{
    AccessEvent, AccountEvent, AlarmEvent, CallEvent, CommandEvent, ControllerEvent, DeviceEvent, DoorEvent,
    GatewayEvent, InputEvent, LineEvent, PanelEvent, PortEvent, ReaderEvent, RelayEvent, RuleEvent,
    UserEvent,
};
pub use record::{ReadError, Record, SCHEMA, is_confidential};

use crate::ids::{
    AccountId, AlarmId, ControllerId, DeviceId, DoorId, InputId, LineId, PanelId, ReaderId, RelayId, RingId,
    RuleId,
};

/// Everything that happens. Closed: every `match` names each variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something at a door of which no local surface may know.
    Access(DoorId, AccessEvent),
    /// A registration changed.
    Account(AccountId, AccountEvent),
    /// An alarm; the envelope's `ring` names this one of it.
    Alarm(AlarmId, AlarmEvent),
    /// A call went on; the envelope's `ring` says which.
    Call(CallEvent),
    /// A command was judged.
    Command(CommandEvent),
    /// An access controller of somebody else.
    Controller(ControllerId, ControllerEvent),
    /// A device fails or works again.
    Device(DeviceId, DeviceEvent),
    /// A door.
    Door(DoorId, DoorEvent),
    /// The gateway itself.
    Gateway(GatewayEvent),
    /// An input that a rule looks at.
    Input(InputId, InputEvent),
    /// A line changed hands.
    Line(LineId, LineEvent),
    /// A panel.
    Panel(PanelId, PanelEvent),
    /// The switch port of the gateway; the name is that of the adapter that looks after it.
    Port(DeviceId, PortEvent),
    /// A reader.
    Reader(ReaderId, ReaderEvent),
    /// A relay that tells something.
    Relay(RelayId, RelayEvent),
    /// A rule of the site file.
    Rule(RuleId, RuleEvent),
    /// A login or a change of users.
    User(UserEvent),
}

/// An event with when, whence and whether it was real. The journal gives the sequence number at append.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Wall clock.
    pub at: jiff::Timestamp,
    /// What happened.
    pub event: Event,
    /// The ring it belongs to.
    pub ring: Option<RingId>,
    /// True if it comes from a virtual device or an injected input.
    pub simulated: bool,
}
