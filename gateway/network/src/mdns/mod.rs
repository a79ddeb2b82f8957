//! Multicast DNS and DNS-SD: the gateway has a name on its link, and browsers find its page and its SIP port without a
//! server (RFC 6762, RFC 6763).
//!
//! A responder only: it asks nothing but whether its names are free, and remembers nothing of others, so no stranger
//! can make it grow. [`Responder`] is pure and serves one port of the machine; [`start`] drives one for each.
//!
//! Left out: compression of what we send, answers spread over several datagrams, reverse look-ups of addresses.

mod conflicts;
mod driver;
mod message;
mod responder;

use std::net::IpAddr;

pub use driver::{Known, MdnsHandle, start};
pub use responder::{Output, Responder, To};

/// Group, port and hop limit (RFC 6762 §3, §11).
pub(crate) const PORT: u16 = 5353;
/// Group of IPv4.
pub(crate) const GROUP_V4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(224, 0, 0, 251);
/// Group of IPv6.
pub(crate) const GROUP_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Host name without `.local`, one label.
    pub host: String,
    /// Name of the services for people, one label of 1 to 63 bytes.
    pub instance: String,
    /// Services that others can reach.
    pub services: Vec<Service>,
}

/// A service of DNS-SD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Bound to this address only; `None` is reached at every port.
    pub only: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// `_tcp` or `_udp`.
    pub protocol: &'static str,
    /// Its texts, `key=value`, each at most 255 bytes (RFC 6763 §6).
    pub texts: Vec<String>,
    /// Its type: `_http`, `_sip`.
    pub kind: &'static str,
}

impl Profile {
    /// The names with a number, after somebody else turned out to have them (RFC 6762 §9). 1 leaves them as they are.
    #[must_use]
    pub(crate) fn numbered(&self, number: u32) -> Self {
        if number < 2 {
            return self.clone();
        }
        let fit = |name: &str, tail: &str| {
            let room = 63 - tail.len();
            let end = (0..=room.min(name.len()))
                .rev()
                .find(|n| name.is_char_boundary(*n));
            format!("{}{tail}", &name[..end.unwrap_or(0)])
        };
        Self {
            host: fit(&self.host, &format!("-{number}")),
            instance: fit(&self.instance, &format!(" ({number})")),
            services: self.services.clone(),
        }
    }
}

/// Can a message be read? What was read comes back when it is written; for the fuzz targets.
///
/// # Panics
/// If it does not.
pub(crate) fn read_back(bytes: &[u8]) -> bool {
    let Some(message) = message::Message::read(bytes) else {
        return false;
    };
    assert_eq!(message::Message::read(&message.wire()), Some(message));
    true
}

#[cfg(test)]
mod tests;
