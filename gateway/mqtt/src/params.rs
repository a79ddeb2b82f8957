//! What the interface is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{AccountId, PanelId, Secret, SiteId};
use gateway_mqtt_wire::MqttVersion;

use crate::signed::MqttKey;

/// Everything the interface needs; the binary makes it of the site file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttParams {
    /// Take commands without time and id. A command that was kept on its way can then open a door late.
    pub accept_untimed: bool,
    /// First levels of every topic.
    pub base: String,
    /// Nothing opens by an unsigned command without the code of somebody.
    pub code_needed: bool,
    /// Host of the broker, name or address.
    pub host: String,
    /// Port of the broker.
    pub port: u16,
    /// How old a command may be.
    pub command_ttl: Duration,
    /// Tell confidential events, such as that of a duress code, on the event topic, too.
    pub confidential: bool,
    /// Topics on which devices of the site take commands: no answer goes there.
    pub devices: Vec<String>,
    /// Announce doors to Home Assistant; `None` does not.
    pub discovery: Option<MqttDiscovery>,
    /// By what panels are called, of each panel its own account first.
    pub extensions: Vec<MqttExtension>,
    /// Instance id, 32 hexadecimal digits: part of the client id.
    pub instance: String,
    /// Keys that sign commands, by name.
    pub keys: BTreeMap<String, MqttKey>,
    /// Language of names: `en`, `fr`, `de`, `es`, `pt`, `ru`.
    pub language: String,
    /// Address where the gateway is installed.
    pub site_address: String,
    /// Take signed commands only.
    pub signed_only: bool,
    /// The site.
    pub site_id: SiteId,
    /// Its name for people.
    pub site_name: String,
    /// Its 9-digit number.
    pub site_number: String,
    /// TLS; `None` is plain TCP.
    pub tls: Option<MqttTls>,
    /// User name and password.
    pub login: Option<(String, Secret)>,
    /// Address of the page, shown at the device.
    pub page: Option<String>,
    /// Take the command `press` for panels whose line is virtual.
    pub press: bool,
    /// Which MQTT is spoken.
    pub protocol: MqttVersion,
    /// Program version.
    pub version: String,
}

impl MqttParams {
    /// Our client id: of this instance, so that two gateways of one site do not end each other's connection, and the same
    /// after a restart.
    pub(crate) fn client_id(&self) -> String {
        let instance: String = self.instance.chars().take(8).collect();
        format!("doorline-{}-{instance}", self.site_id)
    }
}

/// By what a panel is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttExtension {
    /// At which PBX, with the domain of that account; `None` is called directly or over a trunk.
    pub account: Option<(AccountId, String)>,
    /// Whose it is.
    pub panel: PanelId,
    /// User part of its SIP address.
    pub user: String,
}

/// How the broker's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttTls {
    /// PEM file the broker's certificate must lead to; `None` takes the system's bundle.
    pub ca_file: Option<PathBuf>,
    /// PEM files of our own certificate chain and its private key, for brokers that ask who we are.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How Home Assistant is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttDiscovery {
    /// One message per device or one per entity.
    pub format: DiscoveryFormat,
    /// Also announce who opened last, as an entity that is off until somebody switches it on.
    pub people: bool,
    /// Also announce a picture of the last ring at each panel, which others publish.
    pub pictures: bool,
    /// First levels of the discovery topics.
    pub prefix: String,
    /// Also announce readers as tag scanners, and tell which card was read.
    pub tags: bool,
}

impl MqttDiscovery {
    /// Where Home Assistant says that it was started, or is connected again.
    pub(crate) fn birth(&self) -> String {
        format!("{}/status", self.prefix)
    }
}

/// Which kind of discovery Home Assistant understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscoveryFormat {
    /// One message per device, from 2024.11 on.
    Device,
    /// One message per entity, any version.
    Entities,
}
