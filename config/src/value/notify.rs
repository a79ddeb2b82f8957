//! Values of `[notify.*]`.

use std::fmt;

use gateway_core::{Event, Template};

use crate::describe::words;
use crate::rules::FromText;
use crate::value::Host;
use crate::value::net::host_and_port;

words! {
    /// Protection of the connection to a mail server.
    pub enum MailTls {
        /// None: login and events travel in clear.
        Off = "off",
        /// TLS before the login, on a connection that begins in clear. A server without it gets no mail.
        StartTls = "starttls",
        /// TLS from the first octet on.
        Tls = "tls",
    }
}

words! {
    /// How syslog messages travel.
    pub enum SyslogTransport {
        /// A stream in clear (RFC 6587).
        Tcp = "tcp",
        /// A stream under TLS (RFC 5425).
        Tls = "tls",
        /// A datagram each (RFC 5426): nothing tells that it arrived.
        Udp = "udp",
    }
}

words! {
    /// Facilities of syslog (RFC 5424 §6.2.1).
    pub enum SyslogFacility {
        /// Security.
        Auth = "auth",
        /// Security, for few eyes.
        AuthPriv = "authpriv",
        /// Services.
        Daemon = "daemon",
        /// Local use 0.
        Local0 = "local0",
        /// Local use 1.
        Local1 = "local1",
        /// Local use 2.
        Local2 = "local2",
        /// Local use 3.
        Local3 = "local3",
        /// Local use 4.
        Local4 = "local4",
        /// Local use 5.
        Local5 = "local5",
        /// Local use 6.
        Local6 = "local6",
        /// Local use 7.
        Local7 = "local7",
        /// Programs of people.
        User = "user",
    }
}

impl SyslogFacility {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Daemon => 3,
            Self::Auth => 4,
            Self::AuthPriv => 10,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}

words! {
    /// Classes of events; each kind belongs to one.
    pub enum EventClass {
        /// The gateway as a program: start and stop, configuration, users and rights, rules.
        Application = "application",
        /// Calls: who was called, who answered, how it ended.
        Audio = "audio",
        /// Lamps and other relays that tell something, lights of readers.
        Display = "display",
        /// Doors: granted, refused, opened, forced, held; lockdown and fire.
        Door = "door",
        /// Devices, lines, inputs, the guard, and what is wrong with them.
        Hardware = "hardware",
        /// Accounts at the PBX, the switch port, the network.
        Network = "network",
        /// What people do: ring, show a card, type, command.
        Use = "use",
    }
}

impl EventClass {
    /// As the journal knows it.
    #[must_use]
    pub const fn class(self) -> gateway_core::Class {
        use gateway_core::Class;
        match self {
            Self::Application => Class::Application,
            Self::Audio => Class::Audio,
            Self::Display => Class::Display,
            Self::Door => Class::Door,
            Self::Hardware => Class::Hardware,
            Self::Network => Class::Network,
            Self::Use => Class::Use,
        }
    }
}

/// A kind of event, `door.granted`, or a family of them, `door`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventName(String);

impl EventName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for EventName {
    const WHAT: &'static str = "an event";
    const PATTERN: Option<&'static str> = Some("^[a-z]+(\\.[a-z-]+)?$");
    fn from_text(text: &str) -> Result<Self, String> {
        let (family, tag) = text.split_once('.').map_or((text, None), |(f, t)| (f, Some(t)));
        let all = Event::families();
        let Some((_, tags)) = all.iter().find(|(name, _)| *name == family) else {
            let families: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "a family ({}), or one of its kinds such as door.granted",
                families.join(", ")
            ));
        };
        match tag {
            Some(tag) if !tags.contains(&tag) => {
                Err(format!("{family} alone, or {family}. with {}", tags.join(", ")))
            }
            _ => Ok(Self(text.to_owned())),
        }
    }
}

/// An `http:` or `https:` address without user, password and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// Host.
    pub host: Host,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Port.
    pub port: u16,
    /// Under TLS?
    pub tls: bool,
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

impl FromText for HttpUrl {
    const WHAT: &'static str = "an HTTP address";
    const PATTERN: Option<&'static str> = Some("^https?://[^\\s@#]+$");
    fn from_text(text: &str) -> Result<Self, String> {
        let read = || {
            let (tls, rest) = match text.strip_prefix("https://") {
                Some(rest) => (true, rest),
                None => (false, text.strip_prefix("http://")?),
            };
            let (authority, path) = match rest.find(['/', '?']) {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let fits = |b: u8| {
                b.is_ascii_graphic()
                    && !matches!(
                        b,
                        b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
                    )
            };
            if text.len() > 2000 || !path.bytes().all(fits) {
                return None;
            }
            let (_, port) = host_and_port(authority)?;
            let name = port.map_or(authority, |_| {
                authority.rsplit_once(':').map_or(authority, |(name, _)| name)
            });
            Some(Self {
                host: Host::from_text(name).ok()?,
                path: if path.starts_with('/') {
                    path.to_owned()
                } else {
                    format!("/{path}")
                },
                port: port.unwrap_or(if tls { 443 } else { 80 }),
                tls,
            })
        };
        read().ok_or_else(|| {
            "http:// or https://, such as https://erp.example/hooks/door, without user and #".to_owned()
        })
    }
}

/// A mail address, alone or with a name: `Front door <door@site.example>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(String);

impl MailAddress {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for MailAddress {
    const WHAT: &'static str = "a mail address";
    fn from_text(text: &str) -> Result<Self, String> {
        let bare = match text.split_once('<') {
            Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
            None => text,
        };
        // RFC 5321 §4.5.3.1, without quoted local parts
        let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let fits = text.len() <= 320
            && !text.chars().any(char::is_control)
            && bare.rsplit_once('@').is_some_and(|(local, domain)| {
                (1..=64).contains(&local.len()) && local.bytes().all(atom) && Host::from_text(domain).is_ok()
            });
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| "an address such as guard@site.example, or Guard <guard@site.example>".to_owned())
    }
}

impl FromText for Template {
    const WHAT: &'static str = "a text with fields";
    fn from_text(text: &str) -> Result<Self, String> {
        if text.len() > 20_000 {
            return Err("at most 20000 octets".to_owned());
        }
        Self::new(text).map_err(|error| format!("fields of events in braces, such as {{kind}}; {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address() {
        let url = |text| HttpUrl::from_text(text).map(|u| (u.host.to_string(), u.port, u.path, u.tls));
        let parts = |host: &str, port, path: &str, tls| Ok((host.to_owned(), port, path.to_owned(), tls));
        assert_eq!(
            url("https://ERP.example/hooks?a=1"),
            parts("erp.example", 443, "/hooks?a=1", true)
        );
        assert_eq!(url("http://[::1]:8080"), parts("[::1]", 8080, "/", false));
        assert_eq!(url("http://erp?x"), parts("erp", 80, "/?x", false));
        for bad in [
            "",
            "erp.example",
            "ftp://a/b",
            "https://u:p@a/",
            "https:///x",
            "https://a/#x",
            "/x",
            "http://a/ b",
        ] {
            assert!(HttpUrl::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mail_addresses_and_events() {
        for good in ["a@b.example", "Guard <guard+1@[::1]>", "x@localhost"] {
            assert!(MailAddress::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c", "A <a@b", "a@b\r\nBcc: c@d"] {
            assert!(MailAddress::from_text(bad).is_err(), "{bad}");
        }
        for good in ["door", "door.granted"] {
            assert!(EventName::from_text(good).is_ok(), "{good}");
        }
        assert!(EventName::from_text("dor").is_err_and(|error| error.contains("door")));
        assert!(EventName::from_text("door.grant").is_err_and(|error| error.contains("granted")));
    }
}
