//! Devices that belong to somebody else: behind an MQTT broker as inputs and relays, web clients as inputs, web servers as
//! relays.
//!
//! What a message means is [`Reading`]'s; what becomes of it [`InputMachine`]'s, which is pure: a retained message says how
//! a device is, and never that something happened; a message that may have waited on its way is as old as the last moment
//! in which nothing did. [`MqttInputs`] is the adapter around it, [`MqttRelay`] and [`WebRelay`] are drivers that the relay guard
//! holds.
//!
//! Those at a broker speak MQTT 5, and 3.1.1 with one that does not take it, over a connection of their own ([`Broker`]), with the
//! packets of `gateway-mqtt-wire` and no client library's event loop: that keeps what was not sent across a loss, and an order that was
//! given up has to go with its connection.
//!
//! Left out: QoS 2, wildcards, logins by Digest. This crate knows no door and decides nothing.

mod broker;
#[doc(hidden)]
pub mod fuzz;
mod inputs;
mod link;
mod machine;
mod reading;
mod relay;
mod web;

pub use broker::{Broker, BrokerTls, Password};
pub use inputs::{MqttInput, MqttInputs, device_of, signal};
pub use link::LinkError;
pub use machine::{InputMachine, Kind, Said};
pub use reading::{Availability, Reading, Word};
pub use relay::{MqttRelay, RelayParams, StateParams};
pub use web::{WebOrder, WebRelay, WebRelayParams};
