//! `Via` header value (RFC 3261 §20.42, RFC 3581) and where a response goes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::error::SyntaxError;
use crate::params::Params;
use crate::scan;
use crate::transport::{Flow, Transport};
use crate::uri::Host;

/// Start of every branch made by an RFC 3261 element.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Transport word as written: `UDP`, `TLS`, `TLS-SCTP`, …
    pub transport: String,
    /// Host of sent-by.
    pub host: Host,
    /// Port of sent-by, if written.
    pub port: Option<u16>,
    /// `branch`, `rport`, `received`, `maddr`, …
    pub params: Params,
}

impl Via {
    /// A hop of ours: sent-by is `local`, `rport` is asked for (RFC 3581 §3).
    #[must_use]
    pub fn new(transport: Transport, local: SocketAddr, branch: &str) -> Self {
        let mut params = Params::new();
        params.set("branch", branch);
        params.set_flag("rport");
        let port = Some(local.port());
        Self {
            transport: transport.as_via().to_owned(),
            host: Host::Ip(local.ip()),
            port,
            params,
        }
    }

    /// Parses `SIP/2.0/UDP host:port;params`; white space around `/` and `:` is allowed.
    ///
    /// # Errors
    /// Another protocol than `SIP/2.0`, or a malformed host, port or parameter.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let err = |part: &str, expected| SyntaxError::at(text, scan::offset_in(text, part), expected);
        let (name, rest) = text
            .split_once('/')
            .ok_or_else(|| err(text, "SIP/2.0/ and a transport"))?;
        let (version, rest) = rest
            .split_once('/')
            .ok_or_else(|| err(rest, "2.0/ and a transport"))?;
        if !scan::trim(name).eq_ignore_ascii_case("SIP") || scan::trim(version) != "2.0" {
            return Err(err(name, "protocol SIP/2.0"));
        }
        let rest = rest.trim_start_matches(scan::is_lws);
        let end = rest
            .find(scan::is_lws)
            .ok_or_else(|| err(rest, "a transport, a space and a host"))?;
        let (transport, rest) = rest.split_at(end);
        if !scan::is_token(transport) {
            return Err(err(transport, "a transport"));
        }
        let end = scan::find_outside(rest, |b| b == b';').unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at(end);
        let sent_by = scan::trim(sent_by);
        let (host, port) =
            Host::parse_with_port(sent_by).map_err(|e| e.shifted(scan::offset_in(text, sent_by)))?;
        let params = Params::parse(params).map_err(|e| e.shifted(scan::offset_in(text, params)))?;
        Ok(Self {
            transport: transport.to_owned(),
            host,
            port,
            params,
        })
    }

    /// The `branch` parameter.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// True if the branch identifies the transaction (RFC 3261 §8.1.1.7).
    #[must_use]
    pub fn has_cookie(&self) -> bool {
        self.branch().is_some_and(|b| {
            b.len() > MAGIC_COOKIE.len()
                && b.get(..MAGIC_COOKIE.len())
                    .is_some_and(|c| c.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// The `received` parameter, if it is an address.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_matches(['[', ']']).parse().ok()
    }

    /// The `rport` parameter, if it has a value.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport").and_then(scan::number)
    }

    /// Writes where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4): `received` if it differs from
    /// sent-by or `rport` was asked for, and the value of `rport`. What the peer itself wrote there is replaced.
    pub fn stamp(&mut self, source: SocketAddr) {
        self.params.remove("received");
        let asked = self.params.has("rport");
        if asked {
            self.params.set("rport", &source.port().to_string());
        }
        if asked || self.host != Host::Ip(source.ip().to_canonical()) {
            self.params
                .set("received", &source.ip().to_canonical().to_string());
        }
    }

    /// Where the response to a request with this stamped top hop goes (RFC 3261 §18.2.2, RFC 3581 §4): connections
    /// answer on themselves; UDP to `received` and `rport`, else to `received` and the port of sent-by.
    /// `maddr` is ignored: we answer whoever asked.
    #[must_use]
    pub fn response_flow(&self, arrived_on: Flow) -> Flow {
        let port = self
            .rport()
            .or(self.port)
            .unwrap_or(Transport::Udp.default_port());
        let port = if port == 0 { arrived_on.remote.port() } else { port };
        let mut to = arrived_on.remote;
        to.set_port(port);
        arrived_on.towards(to)
    }

    /// Sent-by in the form used to compare: host in lower case, port written out.
    #[must_use]
    pub fn sent_by(&self) -> String {
        let port = self
            .port
            .unwrap_or(if self.transport.eq_ignore_ascii_case("TLS") {
                5061
            } else {
                5060
            });
        format!("{}:{port}", self.host.to_string().to_ascii_lowercase())
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::FlowId;

    fn via(text: &str) -> Via {
        Via::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn spaces_ipv6_and_unknown_transports_are_read() {
        let check = |text: &str, expected: &str| assert_eq!(via(text).to_string(), expected);
        check("SIP/2.0/UDP 192.0.2.1", "SIP/2.0/UDP 192.0.2.1");
        check(
            "SIP  / 2.0\t/ TLS-SCTP h.example : 5061 ; branch = z9hG4bKx",
            "SIP/2.0/TLS-SCTP h.example:5061;branch=z9hG4bKx",
        );
        check(
            "SIP/2.0/TCP [2001:db8::9:1]:5070;received=2001:db8::2",
            "SIP/2.0/TCP [2001:db8::9:1]:5070;received=2001:db8::2",
        );
        assert!(Via::parse("SIP/3.0/UDP h").is_err());
        assert!(Via::parse("SIP/2.0/UDP h:99999").is_err());
        assert!(Via::parse("SIP/2.0/UDP").is_err());
        assert!(via("SIP/2.0/UDP h;branch=z9hG4bKa").has_cookie());
        assert!(!via("SIP/2.0/UDP h;branch=z9hG4bK").has_cookie());
        assert!(!via("SIP/2.0/UDP h").has_cookie());
    }

    #[test]
    fn a_response_goes_where_the_request_came_from() {
        let flow = Flow {
            id: FlowId(1),
            transport: Transport::Udp,
            local: "192.0.2.9:5060".parse().expect("address"),
            remote: "198.51.100.7:40000".parse().expect("address"),
        };
        let check = |text: &str, stamped: &str, to: &str| {
            let mut hop = via(text);
            hop.stamp(flow.remote);
            assert_eq!(hop.to_string(), stamped);
            assert_eq!(hop.response_flow(flow).remote.to_string(), to, "{text}");
        };
        check(
            "SIP/2.0/UDP 198.51.100.7",
            "SIP/2.0/UDP 198.51.100.7",
            "198.51.100.7:5060",
        );
        check(
            "SIP/2.0/UDP 10.0.0.1:5062",
            "SIP/2.0/UDP 10.0.0.1:5062;received=198.51.100.7",
            "198.51.100.7:5062",
        );
        check(
            "SIP/2.0/UDP 10.0.0.1:5062;rport;branch=z9hG4bKa;received=203.0.113.1",
            "SIP/2.0/UDP 10.0.0.1:5062;rport=40000;branch=z9hG4bKa;received=198.51.100.7",
            "198.51.100.7:40000",
        );
    }
}
