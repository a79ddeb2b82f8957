//! Names to addresses: IP literals and `localhost` without DNS, then NAPTR, SRV, A and AAAA (RFC 3263 §4), all within one
//! time limit. The transport is that of the site file: NAPTR records of others do not count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use gateway_sip::Transport;
use gateway_sip::ua::Hop;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::rdata::NAPTR;
use hickory_resolver::proto::rr::{RData, RecordType};

/// Longest time for all look-ups of one hop.
const LIMIT: Duration = Duration::from_secs(4);
/// Longest time for NAPTR within it: some routers drop what they do not know, and most zones have none.
const NAPTR_LIMIT: Duration = Duration::from_secs(1);
/// Names for SRV followed of one answer.
const MOST_NAMES: usize = 3;
/// Most addresses kept of one answer: a broken or hostile zone must not grow our tables.
const MOST: usize = 16;

/// A name that could not be resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("no address for {0}")]
    Nothing(String),
    #[error("name servers did not answer for {0} within {limit} s", limit = LIMIT.as_secs())]
    Timeout(String),
    #[error("cannot read the name server configuration")]
    Unconfigured,
}

/// Resolves hops; look-ups are cached by the resolver for their time to live.
#[derive(Default)]
pub(crate) struct Resolver {
    dns: OnceLock<Option<TokioResolver>>,
}

impl Resolver {
    /// The addresses of `hop`, best first, at least one.
    pub(crate) async fn resolve(&self, hop: &Hop) -> Result<Vec<SocketAddr>, ResolveError> {
        let port = hop.port.unwrap_or_else(|| hop.transport.default_port());
        if let Ok(ip) = hop.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if hop.host == "localhost" || hop.host.ends_with(".localhost") {
            // RFC 6761 §6.3: never asked on the network.
            return Ok(vec![
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
                SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
            ]);
        }
        let dns = self
            .dns
            .get_or_init(|| TokioResolver::builder_tokio().ok()?.build().ok())
            .as_ref()
            .ok_or(ResolveError::Unconfigured)?;
        let found = tokio::time::timeout(LIMIT, look_up(dns, hop, port))
            .await
            .map_err(|_| ResolveError::Timeout(hop.host.clone()))?;
        if found.is_empty() {
            Err(ResolveError::Nothing(hop.host.clone()))
        } else {
            Ok(found)
        }
    }
}

async fn look_up(dns: &TokioResolver, hop: &Hop, port: u16) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    if hop.port.is_none() {
        for name in named(dns, hop).await {
            services(dns, &name, &mut found).await;
        }
        if found.is_empty() {
            let service = match hop.transport {
                Transport::Tcp => "_sip._tcp",
                Transport::Tls => "_sips._tcp",
                Transport::Udp => "_sip._udp",
            };
            services(dns, &format!("{service}.{}.", hop.host), &mut found).await;
        }
    }
    if found.is_empty() {
        addresses(dns, &hop.host, port, &mut found).await;
    }
    found
}

/// Where NAPTR records send us for SRV, best first.
async fn named(dns: &TokioResolver, hop: &Hop) -> Vec<String> {
    let look_up = dns.lookup(format!("{}.", hop.host), RecordType::NAPTR);
    let Ok(Ok(answer)) = tokio::time::timeout(NAPTR_LIMIT, look_up).await else {
        return Vec::new();
    };
    let records = answer.answers().iter().filter_map(|record| {
        if let RData::NAPTR(naptr) = &record.data {
            Some(naptr)
        } else {
            None
        }
    });
    srv_names(records, hop.transport)
}

/// The names of those that count: for this transport, and with flag `s` (RFC 3263 §4.1); by order, then by preference
/// (RFC 3403 §4.1).
fn srv_names<'a>(records: impl Iterator<Item = &'a NAPTR>, transport: Transport) -> Vec<String> {
    let service: &[u8] = match transport {
        Transport::Tcp => b"SIP+D2T",
        Transport::Tls => b"SIPS+D2T",
        Transport::Udp => b"SIP+D2U",
    };
    let mut ours: Vec<_> = records
        .filter(|naptr| {
            naptr.flags.eq_ignore_ascii_case(b"s")
                && naptr.services.eq_ignore_ascii_case(service)
                // the root is what stands there if there is a regexp in its place, which SIP does not have
                && !naptr.replacement.is_root()
        })
        .map(|naptr| (naptr.order, naptr.preference, naptr.replacement.to_utf8()))
        .collect();
    ours.sort();
    ours.truncate(MOST_NAMES);
    ours.into_iter().map(|(_, _, name)| name).collect()
}

/// The addresses that SRV records of a name lead to (RFC 2782).
async fn services(dns: &TokioResolver, name: &str, found: &mut Vec<SocketAddr>) {
    let mut targets = Vec::new();
    if let Ok(answer) = dns.srv_lookup(name).await {
        for record in answer.answers() {
            if let RData::SRV(srv) = &record.data {
                targets.push((
                    srv.priority,
                    u16::MAX - srv.weight,
                    srv.target.to_utf8(),
                    srv.port,
                ));
            }
        }
    }
    // Priority first; within one priority the heavier first. The random draw of RFC 2782 spreads load
    // over a farm, which one door does not need, and a fixed order is easier to follow in a trace.
    targets.sort();
    for (_, _, host, port) in targets.into_iter().take(4) {
        addresses(dns, &host, port, found).await;
    }
}

async fn addresses(dns: &TokioResolver, host: &str, port: u16, found: &mut Vec<SocketAddr>) {
    if let Ok(answer) = dns.lookup_ip(host).await {
        for ip in answer.iter() {
            if found.len() < MOST {
                found.push(SocketAddr::new(ip, port));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_sip::ua::TrustId;
    use hickory_resolver::proto::rr::Name;

    fn hop(host: &str, port: Option<u16>, transport: Transport) -> Hop {
        Hop {
            host: host.into(),
            port,
            transport,
            trust: TrustId(0),
        }
    }

    fn naptr(order: u16, preference: u16, flags: &str, service: &str, name: &str) -> NAPTR {
        let bytes = |text: &str| text.as_bytes().into();
        let name = Name::from_ascii(name).expect("a name");
        NAPTR::new(order, preference, bytes(flags), bytes(service), bytes(""), name)
    }

    #[test]
    fn naptr_records_of_our_transport_count_by_order_and_preference() {
        // as in RFC 3263 §4.1, and some that do not count
        let records = [
            naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com."),
            naptr(100, 50, "s", "SIP+D2U", "_sip._udp.later.example.com."),
            naptr(90, 60, "S", "sip+d2u", "_sip._udp.second.example.com."),
            naptr(90, 50, "s", "SIP+D2U", "_sip._udp.first.example.com."),
            naptr(10, 50, "s", "SIPS+D2T", "_sips._tcp.example.com."),
            naptr(1, 1, "u", "SIP+D2U", "uri.example.com."),
            naptr(1, 1, "s", "SIP+D2S", "_sip._sctp.example.com."),
            naptr(1, 1, "s", "SIP+D2U", "."),
        ];
        let names = |transport| srv_names(records.iter(), transport);
        assert_eq!(
            names(Transport::Udp),
            [
                "_sip._udp.first.example.com.",
                "_sip._udp.second.example.com.",
                "_sip._udp.later.example.com."
            ]
        );
        assert_eq!(names(Transport::Tcp), ["_sip._tcp.example.com."]);
        assert_eq!(names(Transport::Tls), ["_sips._tcp.example.com."]);
        assert!(srv_names(records[..1].iter(), Transport::Udp).is_empty());
    }

    #[tokio::test]
    async fn literals_and_localhost_need_no_name_server() {
        let resolver = Resolver::default();
        for (host, port, transport, expected) in [
            ("192.0.2.7", None, Transport::Udp, "192.0.2.7:5060"),
            ("192.0.2.7", None, Transport::Tls, "192.0.2.7:5061"),
            ("2001:db8::1", Some(5070), Transport::Tcp, "[2001:db8::1]:5070"),
            ("localhost", Some(15060), Transport::Udp, "127.0.0.1:15060"),
        ] {
            let found = resolver
                .resolve(&hop(host, port, transport))
                .await
                .expect("no DNS needed");
            assert_eq!(found[0].to_string(), expected);
        }
        assert!(resolver.dns.get().is_none());
    }
}
