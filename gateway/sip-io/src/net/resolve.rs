//! Names to addresses: IP literals and `localhost` without DNS, then SRV, then A and AAAA (RFC 3263 §4),
//! all within one time limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use gateway_sip::Transport;
use gateway_sip::ua::Hop;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

/// Longest time for all look-ups of one hop.
const LIMIT: Duration = Duration::from_secs(4);
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
        let service = match hop.transport {
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
            Transport::Udp => "_sip._udp",
        };
        let mut targets = Vec::new();
        if let Ok(answer) = dns.srv_lookup(format!("{service}.{}.", hop.host)).await {
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
            addresses(dns, &host, port, &mut found).await;
        }
    }
    if found.is_empty() {
        addresses(dns, &hop.host, port, &mut found).await;
    }
    found
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

    fn hop(host: &str, port: Option<u16>, transport: Transport) -> Hop {
        Hop {
            host: host.into(),
            port,
            transport,
            trust: TrustId(0),
        }
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
