//! Real peers for the gateway: Asterisk, Kamailio, baresip, a phone on ezk-sip-ua, JsSIP in Chromium, Mosquitto, FreeRADIUS,
//! OpenLDAP, coturn, Home Assistant, relay boards of pymodbus, OSDP readers of libosdp, clients of the API by schemathesis
//! and openapi-python-client, decoders of sigrok, comfort noise of FFmpeg, and the gateway itself as a process.
//!
//! Every test gets a [`Rig`]: a temporary folder, a block of ports of its own, and a dump of every log if it
//! fails. Peers are ordinary processes on loopback that die with the test, also if the test is killed. Nothing
//! waits for time to pass: [`until`] looks for what should happen, with a limit. Only where the test is that
//! *nothing* happens, it looks on for a stated while ([`Gateway::stays_at_rest`]).

mod api;
mod asterisk;
mod audio;
mod baresip;
mod breaking;
mod browser;
mod clients;
mod ezk;
mod freeradius;
mod gateway;
mod handset;
mod home_assistant;
mod http;
mod kamailio;
pub mod lab;
mod link;
mod many;
mod modbus;
mod mosquitto;
mod osdp;
mod pausing;
mod ports;
mod process;
mod receivers;
mod reflector;
mod rig;
mod router;
mod scenario;
mod shaky;
mod shelly;
mod sigrok;
mod sipp;
mod site;
mod slapd;
mod stun;
mod trust;
mod usage;
mod web_phone;
mod web_relay;
mod wire;

pub use api::Api;
pub use asterisk::{Asterisk, PbxParams};
pub use audio::{Sound, pausing, sweep, wide_sweep};
pub use baresip::{Phone, PhoneEvent, PhoneParams};
pub use breaking::{BreakingServer, Breaks, Posted};
pub use browser::Browser;
pub use clients::{ApiClients, TokenOf};
pub use ezk::EzkPhone;
pub use freeradius::{FreeRadius, Meddle, RadiusParams, Relay};
pub use gateway::{Edge, Gateway, boottime_ns, program};
pub use handset::{Handset, Keys};
pub use home_assistant::{Edition, HomeAssistant};
pub use http::{Reply, post};
pub use kamailio::{Kamailio, KamailioParams};
pub use link::{Carrier, Link};
pub use many::Many;
pub use modbus::{ModbusBoards, Way};
pub use mosquitto::{BrokerParams, Listener, Message, Mosquitto};
pub use osdp::{OsdpPanel, OsdpReaders};
pub use pausing::{Came, Pausing, comfort_noise, comfort_noise_of};
pub use ports::{Ports, Use};
pub use process::{Process, children, signal, stands_still};
pub use receivers::{MailServer, Rsyslog, WebhookServer};
pub use reflector::{Passed, Reflector};
pub use rig::{Rig, run, until};
pub use router::Router;
pub use scenario::Scenario;
pub use shaky::Shaky;
pub use shelly::Shelly;
pub use sigrok::{Trace, sigrok};
pub use sipp::Sipp;
pub use site::{Account, Site};
pub use slapd::{Person, Slapd};
pub use stun::StunServer;
pub use trust::Trust;
pub use usage::{Late, Sent, Tap, cpu, load};
pub use web_phone::WebPhone;
pub use web_relay::WebRelay;
pub use wire::Wire;
