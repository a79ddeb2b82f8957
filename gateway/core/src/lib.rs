//! Vocabulary of the gateway: identifiers, time, events, signals, commands and live views.
//!
//! Pure: no IO, no clock, no async runtime, no serialisation framework. Everything that happens is an
//! [`Event`]; everything adapters notice is a [`Signal`]; everything the outside asks for is a [`Command`];
//! everything said to or heard from a telephone is a [`LegCommand`] or [`LegEvent`].

mod command;
mod event;
mod explain;
mod ids;
mod leg;
mod measure;
mod secret;
mod signal;
mod subject;
mod template;
mod time;
mod value;
mod view;

pub use command::{
    AnnounceTo, Command, CommandId, CommandReply, CommandRequest, Given, Origin, Refusal, RelaySet,
};
pub use event::{
    AccessEvent, AccountEvent, AlarmEvent, CallEvent, Class, CommandEvent, ControllerEvent, DeviceEvent,
    DoorEvent, Envelope, Event, FieldForm, GatewayEvent, InputEvent, KindForm, LineEvent, PanelEvent,
    PortEvent, ReadError, ReaderEvent, Record, RelayEvent, RuleEvent, SCHEMA, UserEvent, is_confidential,
    said,
};
pub use explain::{Explain, Explained, Means, TriedRule, TryRules};
pub use ids::{
    AccountId, AlarmId, AnnouncementId, ApartmentId, AreaId, ButtonId, ChannelId, ControllerId, CredentialId,
    DeviceId, DoorGroupId, DoorId, FormatId, GroupId, HolidaysId, InputId, LegId, LineId, ListId, NameError,
    OutputId, PanelId, PersonId, ReaderId, RelayId, RingId, RuleId, ScheduleId, Seq, SiteId,
};
pub use leg::{
    ANONYMOUS, Cause, DigitVia, Keys, KeysBy, LegCommand, LegEvent, Manner, Peer, Quality, Standing, Tone,
    Volume,
};
pub use measure::{Count, Counted, Histogram, STEPS};
pub use secret::Secret;
pub use signal::{
    Bell, CardFrame, ControllerSaid, Edge, LightColour, LineCommand, LineSignal, Misread, NetworkState,
    ReaderCommand, ReaderService, Signal, SignalKind,
};
pub use subject::{Factor, Subject};
pub use template::{Escape, Template};
pub use time::{Clock, Instant};
pub use value::{Field, Form, Value};
pub use view::{
    AccountState, AccountView, AlarmState, AlarmView, CallView, ContactState, DirectoryEntry, DirectoryView,
    DoorView, Fault, FireView, HoldView, Lasting, LineState, LineView, LockState, LockdownView, PanelView,
    PortView, QuietView, RelayView, RingToOpenView, SiteView,
};

pub use jiff::Timestamp;
