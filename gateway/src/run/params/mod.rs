//! From the site file to the parameters of each part. Plain conversion: what can be wrong was found before.

mod announce;
mod directory;
mod dot1x;
mod elsewhere;
mod files;
mod front_end;
mod guard;
mod modbus;
mod network;
mod notify;
mod outline;
mod outside;
mod relays;
mod serial;
mod sip;
mod site;
mod vanished;
mod voice;

pub(crate) use announce::{announced, network_name};
pub(crate) use directory::{contacts, directory, unknown_targets};
pub(crate) use dot1x::{Port, Wanted, dot1x, missing as dot1x_missing};
pub(crate) use elsewhere::{hooks, mqtt_inputs};
pub(crate) use files::{Files, files};
pub(crate) use front_end::front_ends;
pub(crate) use guard::{guard, socket as guard_socket, unguarded, wirings};
pub(crate) use modbus::modbus_inputs;
pub(crate) use network::{page_urls, port_settings};
pub(crate) use notify::notify;
pub(crate) use outline::outline;
pub(crate) use outside::{USERS_MARK, http, mqtt, users_mark};
pub(crate) use sip::sip;
pub(crate) use site::{VIRTUAL_DEBOUNCE, site, zone};
pub(crate) use voice::params as voice;
