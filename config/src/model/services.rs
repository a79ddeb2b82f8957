//! `[mqtt]` and `[http]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{CredentialId, DoorId, Secret};

use crate::describe::table;
use crate::rules::{Flag, Path, list, map, parsed, password, refer, secs, text, word};
use crate::value::{BrokerUrl, DiscoveryFormat, KeyScope, MqttCommands, MqttVersion, TopicBase};

table! {
    /// MQTT: events, states and commands.
    pub struct Mqtt {
        /// The broker: `mqtt://HOST`, `mqtts://HOST` for TLS, each with an optional `:PORT`, or `embedded` for
        /// the broker of the demonstration, which listens on loopback only and takes commands from anybody there: it is
        /// refused beside real outputs.
        broker: BrokerUrl = "broker", parsed(), required, Restart;
        /// Which MQTT is spoken: `auto` is 5 with a broker that speaks it, else 3.1.1. With 5 a command that the broker keeps
        /// (retain) is refused also while the gateway is connected, and answers go to the response topic of a request.
        version: MqttVersion = "version", word(), or("\"auto\""), Restart;
        /// User name at the broker, 1 to 64 characters.
        user: Option<String> = "user", text(1, 64), optional, Restart;
        /// Password at the broker; `password-file` keeps it out of this file.
        password: Option<Secret> = "password", password(), optional, Restart;
        /// File that holds the password in its first line. It must not be readable by other users. A relative
        /// path starts at the folder of this file.
        password_file: Option<PathBuf> = "password-file", Path, optional, Restart;
        /// Certificates, PEM, that the broker's certificate must lead to; without it the machine's own.
        ca_file: Option<PathBuf> = "ca-file", Path, optional, Restart;
        /// Certificate chain of our own, PEM, own certificate first, for a broker that asks for one.
        cert_file: Option<PathBuf> = "cert-file", Path, optional, Restart;
        /// Private key of that certificate, PEM.
        key_file: Option<PathBuf> = "key-file", Path, optional, Restart;
        /// First levels of every topic.
        base: TopicBase = "base", parsed(), or("\"doorline\""), Restart;
        /// Announce doors and bells to Home Assistant.
        discovery: bool = "discovery", Flag, or("true"), Restart;
        /// First levels of Home Assistant's discovery topics.
        discovery_prefix: TopicBase = "discovery-prefix", parsed(), or("\"homeassistant\""), Restart;
        /// How doors are announced: `entities` for a Home Assistant before 2024.11, which knows no devices. After
        /// a change restart Home Assistant.
        discovery_format: DiscoveryFormat = "discovery-format", word(), or("\"device\""), Restart;
        /// Also announce who opened a door last, as an entity that stays off until somebody switches it on in
        /// Home Assistant.
        discovery_people: bool = "discovery-people", Flag, or("false"), Restart;
        /// Also announce readers as tag scanners, and tell every card that is read, by a name that is always the same and from
        /// which its number does not follow.
        discovery_tags: bool = "discovery-tags", Flag, or("false"), Restart;
        /// Also announce a picture of the last ring at each panel; a camera or another program publishes it.
        discovery_pictures: bool = "discovery-pictures", Flag, or("false"), Restart;
        /// A command older than this is refused, 1 to 60 s.
        command_ttl: Duration = "command-ttl-s", secs(1, 60), or("10"), Live;
        /// Take commands without time and id: a command that was kept somewhere on its way can open a door
        /// late.
        accept_untimed: bool = "accept-untimed", Flag, or("false"), Live;
        /// Nothing opens by an unsigned command without a code of somebody, which is judged as one typed at a keypad of the
        /// door; Home Assistant asks for it. Whoever reads the command topics reads the codes.
        code_needed: bool = "open-needs-code", Flag, or("false"), Restart;
        /// Tell `access.duress`, too, on the event topic: whoever may read it learns that somebody typed a code because he
        /// was forced. Topics of doors and retained states never say it.
        confidential: bool = "confidential", Flag, or("false"), Restart;
        /// Which commands are taken: `broker` those that the broker passes on, `signed` only those that a key of `[mqtt.keys]`
        /// signed. `docs/mqtt.md` says how to sign.
        commands: MqttCommands = "commands", word(), or("\"broker\""), Restart;
        /// Keys that sign commands, by name. The journal has the name as the one who asked.
        keys: BTreeMap<CredentialId, MqttKey> = "keys", map("key"), or("{}"), Restart;
        /// Take the command `press` for panels whose line and buttons are virtual; real ones are never pressed
        /// over MQTT.
        press: bool = "press", Flag, or("false"), Restart;
    }
}

table! {
    /// A key that signs commands over MQTT.
    pub struct MqttKey {
        /// What it signs with (HMAC-SHA256), at least 16 characters; `secret-file` keeps it out of this file.
        secret: Option<Secret> = "secret", password(), optional, Restart;
        /// File that holds the secret in its first line, as `password-file`.
        secret_file: Option<PathBuf> = "secret-file", Path, optional, Restart;
        /// What the key may do.
        scopes: Vec<KeyScope> = "scopes", list(word(), 1, 2), or("[\"open\"]"), Restart;
        /// Doors it is for; without it every door, and what belongs to the whole site.
        doors: Option<Vec<DoorId>> = "doors", list(refer("door"), 1, 64), optional, Restart;
    }
}

table! {
    /// Page and HTTP API.
    pub struct Http {
        /// Address and port to listen on; other than loopback only with `tls = true`.
        listen: SocketAddr = "listen", parsed(), or("\"127.0.0.1:8080\""), Restart;
        /// Serve over TLS. Without `cert-file` the gateway makes a self-signed certificate.
        tls: bool = "tls", Flag, or("false"), Restart;
        /// Certificate chain, PEM, own certificate first.
        cert_file: Option<PathBuf> = "cert-file", Path, optional, Restart;
        /// Private key of the certificate, PEM.
        key_file: Option<PathBuf> = "key-file", Path, optional, Restart;
    }
}
