//! Hosts, ports, brokers and other short texts with a form.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use gateway_access::NumberPlan;
use gateway_core::Secret;

use crate::rules::FromText;

/// A host name (RFC 1123 §2.1) or IP address; IPv6 stands in brackets. Lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The IP address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// True if it is this machine by its address or by the name `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0 == "localhost" || self.ip().is_some_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for Host {
    const WHAT: &'static str = "a host";
    fn from_text(text: &str) -> Result<Self, String> {
        host(text)
            .map(Self)
            .ok_or_else(|| "a host name such as pbx.example, or an IP address (IPv6 in brackets)".to_owned())
    }
}

/// A host that callers are at, or all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerHost {
    /// All hosts: `*`.
    Any,
    /// This one.
    Host(Host),
}

impl FromText for CallerHost {
    const WHAT: &'static str = "a host or `*`";
    fn from_text(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        Host::from_text(text)
            .map(Self::Host)
            .map_err(|hint| format!("{hint}, or * for all"))
    }
}

/// One label of a host name (RFC 1123 §2.1), lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostLabel(String);

impl HostLabel {
    /// The text, 1 to 63 of a-z, 0-9 and '-'.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for HostLabel {
    const WHAT: &'static str = "a name of a machine";
    const PATTERN: Option<&'static str> = Some("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$");
    fn from_text(text: &str) -> Result<Self, String> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if text == "localhost" {
            // RFC 6761 §6.3: whoever asks for it means himself
            Err("a name of its own: localhost is every machine's name for itself".to_owned())
        } else if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err("1 to 63 of a-z, 0-9 and '-', such as doorline-lilas".to_owned())
        }
    }
}

/// A host with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port, if one is given.
    pub port: Option<u16>,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

impl FromText for HostPort {
    const WHAT: &'static str = "a host with optional port";
    fn from_text(text: &str) -> Result<Self, String> {
        host_and_port(text)
            .map(|(host, port)| Self {
                host: Host(host),
                port,
            })
            .ok_or_else(|| "HOST or HOST:PORT, such as sbc.example:5061".to_owned())
    }
}

fn host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let ip: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{ip}]"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = text.strip_suffix('.').unwrap_or(text);
    if labels.len() > 253 || !labels.split('.').all(label) {
        return None;
    }
    // All digits and dots: then it has to be a whole IPv4 address, not 192.0.2.
    let numeric = labels.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && labels.parse::<std::net::Ipv4Addr>().is_err() {
        return None;
    }
    Some(labels.to_ascii_lowercase())
}

pub(crate) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let cut = match text.find(']') {
        Some(end) => end + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let host = host(&text[..cut])?;
    let rest = &text[cut..];
    if rest.is_empty() {
        return Some((host, None));
    }
    let digits = rest.strip_prefix(':')?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port: u16 = digits.parse().ok().filter(|p| *p != 0)?;
    Some((host, Some(port)))
}

/// An MQTT broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerUrl {
    /// The broker inside the gateway, for demonstrations; listens on loopback only.
    Embedded,
    /// A broker on the network.
    Remote {
        /// Its host.
        host: Host,
        /// Its port: 1883, or 8883 with TLS, unless given.
        port: u16,
        /// True for `mqtts://`.
        tls: bool,
    },
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Remote { host, port, tls } => {
                write!(f, "mqtt{}://{host}:{port}", if *tls { "s" } else { "" })
            }
        }
    }
}

impl FromText for BrokerUrl {
    const WHAT: &'static str = "a broker";
    const PATTERN: Option<&'static str> = Some("^(embedded|mqtts?://[^/@ ]+)$");
    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = || "mqtt://HOST, mqtts://HOST, each with an optional :PORT, or embedded".to_owned();
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let (tls, rest) = match (text.strip_prefix("mqtts://"), text.strip_prefix("mqtt://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(allowed()),
        };
        let (host, port) = host_and_port(rest).ok_or_else(allowed)?;
        Ok(Self::Remote {
            host: Host(host),
            port: port.unwrap_or(if tls { 8883 } else { 1883 }),
            tls,
        })
    }
}

/// First levels of MQTT topics: no wildcard, no empty level, not `$`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicBase(String);

impl TopicBase {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for TopicBase {
    const WHAT: &'static str = "a topic";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$");
    fn from_text(text: &str) -> Result<Self, String> {
        let level = |level: &str| {
            !level.is_empty()
                && level
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        if text.len() <= 100 && text.split('/').all(level) {
            Ok(Self(text.to_owned()))
        } else {
            Err("levels of A-Z a-z 0-9 _ . - with '/' between them, at most 100 characters".to_owned())
        }
    }
}

/// The 9 digits that name a site to a monitoring centre.
pub(crate) struct SiteNumber(pub(crate) String);

impl FromText for SiteNumber {
    const WHAT: &'static str = "a site number";
    const PATTERN: Option<&'static str> = Some("^[0-9]{9}$");
    fn from_text(text: &str) -> Result<Self, String> {
        if text.len() == 9 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("9 digits".to_owned())
        }
    }
}

/// A country whose numbers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country(pub NumberPlan);

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iso())
    }
}

impl FromText for Country {
    const WHAT: &'static str = "a country whose numbers are known";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z]{2}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let known = || NumberPlan::countries().collect::<Vec<_>>().join(", ");
        NumberPlan::of(text).map(Self).ok_or_else(known)
    }
}

/// A key of a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub char);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromText for Key {
    const WHAT: &'static str = "a key";
    const PATTERN: Option<&'static str> = Some("^[0-9*#]$");
    fn from_text(text: &str) -> Result<Self, String> {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(key @ ('0'..='9' | '*' | '#')), None) => Ok(Self(key)),
            _ => Err("one of 0-9 * #".to_owned()),
        }
    }
}

/// The digits of a code.
pub(crate) struct Digits(pub(crate) Secret);

impl FromText for Digits {
    const WHAT: &'static str = "a code";
    const PATTERN: Option<&'static str> = Some("^[0-9*#]{1,8}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let fits = (1..=8).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if fits {
            Ok(Self(Secret::new(text)))
        } else {
            Err("1 to 8 of 0-9 * #".to_owned())
        }
    }
}

/// What is typed after a card. Shorter ones are guessed, longer ones written down.
pub(crate) struct Pin(pub(crate) Secret);

impl FromText for Pin {
    const WHAT: &'static str = "a PIN";
    const PATTERN: Option<&'static str> = Some("^[0-9]{4,8}$");
    fn from_text(text: &str) -> Result<Self, String> {
        if gateway_access::is_pin_text(text) {
            Ok(Self(Secret::new(text)))
        } else {
            Err("4 to 8 of 0-9".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_whole_addresses() {
        for good in ["pbx.example", "PBX", "192.0.2.7", "[::1]", "a-b.c_d."] {
            assert!(Host::from_text(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "192.0.2",
            "1234.5",
            "::1",
            "[x]",
            "-a",
            "a b",
            "a/b",
            &"x".repeat(64),
        ] {
            assert!(Host::from_text(bad).is_err(), "{bad}");
        }
        assert!(Host::from_text("localhost").is_ok_and(|h| h.is_loopback()));
        assert!(Host::from_text("[::1]").is_ok_and(|h| h.is_loopback()));
        assert!(Host::from_text("192.0.2.1").is_ok_and(|h| !h.is_loopback()));
    }

    #[test]
    fn a_label_is_one_part_of_a_name() {
        for good in ["a", "doorline-lilas", "7", &"x".repeat(63)] {
            assert!(HostLabel::from_text(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a_b",
            "é",
            "localhost",
            &"x".repeat(64),
        ] {
            assert!(HostLabel::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn brokers_have_the_usual_ports() {
        let shown = |text: &str| BrokerUrl::from_text(text).map(|b| b.to_string());
        assert_eq!(shown("mqtt://broker").as_deref(), Ok("mqtt://broker:1883"));
        assert_eq!(shown("mqtts://broker").as_deref(), Ok("mqtts://broker:8883"));
        assert_eq!(shown("mqtt://[::1]:2000").as_deref(), Ok("mqtt://[::1]:2000"));
        assert_eq!(shown("embedded").as_deref(), Ok("embedded"));
        for bad in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://a:b@c",
            "mqtt://a/b",
            "mqtt://a:0",
        ] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn topics_have_no_wildcards_and_no_empty_levels() {
        for good in ["doorline", "a/b.c", "home-1/x_y"] {
            assert!(TopicBase::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "a/+", "#", "$SYS", "a b", "é"] {
            assert!(TopicBase::from_text(bad).is_err(), "{bad}");
        }
    }
}
