//! The MQTT interface: retained states, every journal record as an event, commands with answers, and Home
//! Assistant device discovery.
//!
//! ```text
//! <base>/<site>/availability            online | offline (last will), retained
//! <base>/<site>/alive                   said without retain while the gateway is there; kept is always that it is not
//! <base>/<site>/state                   site, instance, version, generation, fire, lockdown, faults, retained
//! <base>/<site>/info, <base>/<site>/doors  what the gateway and its doors are and can do, retained
//! <base>/<site>/event                   every durable record, in order, as gateway_store::json
//! <base>/<site>/door/<id>/state         lock, lockdown, contact, available, forced, held_open, hold, pulse, retained
//! <base>/<site>/door/<id>/availability  online | offline: can it be opened now, retained
//! <base>/<site>/{door,panel}/<id>/event what happens there now, with event_type; old news is left out
//! <base>/<site>/{panel,line,account}/<id>/state                                    retained
//! <base>/<site>/{door,panel}/<id>/command, <base>/<site>/command                   in
//! <base>/<site>/response                one answer per command
//! <base>/<site>/update/state            installed and latest version, retained
//! <base>/<site>/update/latest           in, retained: what an operator announces
//! <base>/<site>/reader/<id>/tag         a card that was read, by a name that is no number; an option
//! <base>/<site>/panel/<id>/picture      of others, retained: the last ring; an option
//! ```
//! One connection with clean start. The outbox is the journal: everything after the durable cursor `mqtt` is
//! published with QoS 1, the cursor moves when the broker has acknowledged, and after a reconnect everything
//! after the cursor is published again. A record may therefore come twice; `seq` tells.
//!
//! A command needs `id` and `at` ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339)):
//! `{"command":"open","id":"…","at":"2026-03-01T12:00:00Z"}`. Repeated, old and untimed ones are refused, and so
//! are those that the broker marks as kept; what it keeps of those that came live is found later and cleared. Doors take `hold` too, with `"minutes":…`, and `end-hold`. The site's topic takes `lockdown` and `end-lockdown` too, with `"group":"…"` for a group of doors, `reset-fire`, and `reset-passback` with `"person":"…"`. Panels take `quiet`, with `"minutes":…` if it is to end by itself, and `end-quiet`. This crate knows no adapter and decides nothing about doors.

mod alive;
mod answer;
mod asyncapi;
mod bridge;
mod command;
mod connection;
mod control;
mod discovery;
mod driver;
mod embedded;
#[doc(hidden)]
pub mod fuzz;
mod ghosts;
mod handle;
mod latest;
mod outbox;
mod params;
mod retained;
mod session;
mod signed;
mod state;
mod topics;
mod words;

pub use asyncapi::asyncapi;
pub use control::MqttStatus;
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use gateway_mqtt_wire::MqttVersion;
pub use handle::{MqttHandle, start};
pub use params::{DiscoveryFormat, MqttDiscovery, MqttExtension, MqttParams, MqttTls};
pub use signed::MqttKey;

#[cfg(test)]
mod tests;
