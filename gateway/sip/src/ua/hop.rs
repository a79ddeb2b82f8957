//! Hops: places to send requests to, and what became of them.

use std::fmt;
use std::net::IpAddr;

use gateway_core::Instant;

use crate::{Flow, Host, SipUri, Transport};

/// Whom a TLS hop trusts: a number the driver gives to each different trust setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustId(pub u16);

/// A place to send requests to, before names are resolved. Accounts with equal hops share one flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    /// Name in lower case, or IP literal (IPv6 without brackets).
    pub host: String,
    /// Port; `None` asks for SRV records (RFC 3263 §4.2) and falls back to the default port.
    pub port: Option<u16>,
    /// Transport; `None` takes the one that DNS names (RFC 3263 §4.1).
    pub transport: Option<Transport>,
    /// For TLS.
    pub trust: TrustId,
}

impl Hop {
    /// To a host and port.
    #[must_use]
    pub fn new(
        host: &Host,
        port: Option<u16>,
        transport: impl Into<Option<Transport>>,
        trust: TrustId,
    ) -> Self {
        // of an address, or of a port, DNS knows nothing
        let settled = port.is_some() || host.ip().is_some();
        let transport = transport.into().or(settled.then_some(Transport::Udp));
        let host = match host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.to_ascii_lowercase(),
        };
        Self {
            host,
            port,
            transport,
            trust,
        }
    }

    /// Where a URI leads (RFC 3263 §4.1): by its transport parameter, by TLS if it is `sips:`, else as DNS says.
    #[must_use]
    pub fn of_uri(uri: &SipUri, trust: TrustId) -> Self {
        let named = uri.params.get("transport").and_then(Transport::from_param);
        let transport = match named {
            Some(Transport::Tcp) if uri.secure => Some(Transport::Tls),
            Some(named) => Some(named),
            None => uri.secure.then_some(Transport::Tls),
        };
        Self::new(&uri.host, uri.port, transport, trust)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        if let Some(transport) = self.transport {
            write!(f, "{transport} ")?;
        }
        write!(f, "{open}{}{close}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A hop that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The flow; `local` is a concrete address, never the unspecified one.
    pub flow: Flow,
    /// All addresses the hop's name stands for: requests from these belong to it too.
    pub peers: Vec<IpAddr>,
}

/// What is known of a hop.
#[derive(Clone, Debug)]
pub(crate) enum HopState {
    /// The driver was asked.
    Connecting,
    /// Not reachable; the next try is not before `until`.
    Failed { until: Instant, why: String },
    /// Usable.
    Up(Reached),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Uri;

    #[test]
    fn dns_chooses_the_transport_only_where_a_uri_says_nothing_about_it() {
        for (uri, expected) in [
            ("sip:1000@guard.example", None),
            ("sip:1000@guard.example;transport=udp", Some(Transport::Udp)),
            ("sip:1000@guard.example;transport=tcp", Some(Transport::Tcp)),
            ("sips:1000@guard.example", Some(Transport::Tls)),
            ("sips:1000@guard.example;transport=tcp", Some(Transport::Tls)),
            // RFC 3263 §4.1: a port or an address leaves nothing to ask
            ("sip:1000@guard.example:5060", Some(Transport::Udp)),
            ("sip:1000@192.0.2.5", Some(Transport::Udp)),
            ("sip:1000@[2001:db8::5]", Some(Transport::Udp)),
        ] {
            let parsed = Uri::parse(uri).expect("a URI");
            let hop = Hop::of_uri(parsed.as_sip().expect("of SIP"), TrustId(0));
            assert_eq!(hop.transport, expected, "{uri}");
        }
    }
}
