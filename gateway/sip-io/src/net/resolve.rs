//! Names to addresses: IP literals and `localhost` without DNS, then NAPTR, SRV, A and AAAA (RFC 3263 §4), all within one
//! time limit.
//!
//! Where a hop has a transport, NAPTR records of others do not count. Where it has none, DNS chooses: NAPTR, else SRV of each,
//! else UDP. Once TLS is what it names first, nothing in clear is taken in its place: whoever can disturb TLS, or the answers
//! that follow, would have the speech and the password's digest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use gateway_sip::Transport;
use gateway_sip::ua::Hop;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::rdata::NAPTR;
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::names::{Found, Wanted};

/// Longest time for all look-ups of one hop.
const LIMIT: Duration = Duration::from_secs(4);
/// Longest time for NAPTR within it: some routers drop what they do not know, and most zones have none.
const NAPTR_LIMIT: Duration = Duration::from_secs(1);
/// Longest time for the names of a session description.
const MEDIA_LIMIT: Duration = Duration::from_secs(2);
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

/// One server of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    pub(crate) transport: Transport,
}

/// Resolves hops; look-ups are cached by the resolver for their time to live.
#[derive(Default)]
pub(crate) struct Resolver {
    dns: OnceLock<Option<TokioResolver>>,
}

impl Resolver {
    /// The servers of `hop`, best first, at least one.
    pub(crate) async fn resolve(&self, hop: &Hop) -> Result<Vec<Server>, ResolveError> {
        let transport = hop.transport.unwrap_or(Transport::Udp);
        let port = hop.port.unwrap_or_else(|| transport.default_port());
        let server = |ip: IpAddr| Server {
            at: SocketAddr::new(ip, port),
            transport,
        };
        if let Ok(ip) = hop.host.parse::<IpAddr>() {
            return Ok(vec![server(ip)]);
        }
        if is_localhost(&hop.host) {
            return Ok(vec![
                server(Ipv4Addr::LOCALHOST.into()),
                server(Ipv6Addr::LOCALHOST.into()),
            ]);
        }
        let dns = self.dns().ok_or(ResolveError::Unconfigured)?;
        let found = tokio::time::timeout(LIMIT, look_up(dns, hop, server))
            .await
            .map_err(|_| ResolveError::Timeout(hop.host.clone()))?;
        if found.is_empty() {
            Err(ResolveError::Nothing(hop.host.clone()))
        } else {
            Ok(found)
        }
    }

    fn dns(&self) -> Option<&TokioResolver> {
        self.dns
            .get_or_init(|| TokioResolver::builder_tokio().ok()?.build().ok())
            .as_ref()
    }

    /// The addresses of hosts that a session description names, of those that have one.
    pub(crate) async fn find(&self, wanted: Vec<Wanted>) -> Found {
        let mut found = Found::new();
        let all = async {
            for name in wanted {
                if let Some(address) = self.address(&name).await {
                    found.insert(name, address);
                }
            }
        };
        // somebody waits to hear and to be heard: what was found until then has to do
        let _ = tokio::time::timeout(MEDIA_LIMIT, all).await;
        found
    }

    async fn address(&self, name: &Wanted) -> Option<IpAddr> {
        if is_localhost(&name.host) {
            return Some(if name.v6 {
                Ipv6Addr::LOCALHOST.into()
            } else {
                Ipv4Addr::LOCALHOST.into()
            });
        }
        let answer = self.dns()?.lookup_ip(name.host.as_str()).await.ok()?;
        answer.iter().find(|ip| ip.is_ipv6() == name.v6)
    }
}

/// RFC 6761 §6.3: never asked on the network.
fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// `plain` makes a server of an address that no SRV record led to.
async fn look_up(dns: &TokioResolver, hop: &Hop, plain: impl Fn(IpAddr) -> Server) -> Vec<Server> {
    let mut found = Vec::new();
    if hop.port.is_none() {
        let named = named(dns, hop).await;
        for (transport, name) in &named {
            services(dns, name, *transport, &mut found).await;
        }
        // a zone that names TLS has it: without answers for that there is no other way
        if found.is_empty() && hop.transport.is_none() && starts_with_tls(named.iter().map(|way| way.0)) {
            return found;
        }
        if found.is_empty() {
            found = all_services(dns, hop).await;
        }
        if hop.transport.is_none() && starts_with_tls(found.iter().map(|server| server.transport)) {
            found.retain(|server| server.transport == Transport::Tls);
        }
    }
    if found.is_empty() {
        addresses(dns, &hop.host, plain, &mut found).await;
    }
    found
}

fn starts_with_tls(mut transports: impl Iterator<Item = Transport>) -> bool {
    transports.next() == Some(Transport::Tls)
}

/// Where NAPTR records send us for SRV, best first.
async fn named(dns: &TokioResolver, hop: &Hop) -> Vec<(Transport, String)> {
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

/// The names of those that count: for this transport, or for each of ours, and with flag `s` (RFC 3263 §4.1); by order, then by
/// preference (RFC 3403 §4.1).
fn srv_names<'a>(
    records: impl Iterator<Item = &'a NAPTR>,
    wanted: Option<Transport>,
) -> Vec<(Transport, String)> {
    let service = |naptr: &NAPTR| {
        let known: [(&[u8], Transport); 3] = [
            (b"SIPS+D2T", Transport::Tls),
            (b"SIP+D2T", Transport::Tcp),
            (b"SIP+D2U", Transport::Udp),
        ];
        let of = known
            .iter()
            .find(|(text, _)| naptr.services.eq_ignore_ascii_case(text));
        of.map(|(_, transport)| *transport)
    };
    let mut ours: Vec<_> = records
        // the root is what stands there if there is a regexp in its place, which SIP does not have
        .filter(|naptr| naptr.flags.eq_ignore_ascii_case(b"s") && !naptr.replacement.is_root())
        .filter_map(|naptr| {
            let transport = service(naptr).filter(|of| wanted.is_none_or(|wanted| wanted == *of))?;
            Some((
                naptr.order,
                naptr.preference,
                transport,
                naptr.replacement.to_utf8(),
            ))
        })
        .collect();
    ours.sort_by_key(|(order, preference, transport, _)| (*order, *preference, rank(*transport)));
    if wanted.is_none() && starts_with_tls(ours.iter().map(|way| way.2)) {
        ours.retain(|way| way.2 == Transport::Tls);
    }
    ours.truncate(MOST_NAMES);
    ours.into_iter()
        .map(|(_, _, transport, name)| (transport, name))
        .collect()
}

/// Our own order, where a zone has none.
const fn rank(transport: Transport) -> u8 {
    match transport {
        Transport::Tls => 0,
        Transport::Tcp => 1,
        Transport::Udp => 2,
    }
}

/// The servers that SRV records of the hop's own name lead to, for its transport, or for each of ours.
async fn all_services(dns: &TokioResolver, hop: &Hop) -> Vec<Server> {
    let of = async |transport: Transport| {
        let mut found = Vec::new();
        if hop.transport.is_none_or(|wanted| wanted == transport) {
            let service = match transport {
                Transport::Tcp => "_sip._tcp",
                Transport::Tls => "_sips._tcp",
                Transport::Udp => "_sip._udp",
            };
            services(dns, &format!("{service}.{}.", hop.host), transport, &mut found).await;
        }
        found
    };
    let (tls, tcp, udp) = tokio::join!(of(Transport::Tls), of(Transport::Tcp), of(Transport::Udp));
    [tls, tcp, udp].concat()
}

/// The servers that SRV records of a name lead to (RFC 2782).
async fn services(dns: &TokioResolver, name: &str, transport: Transport, found: &mut Vec<Server>) {
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
        let server = |ip| Server {
            at: SocketAddr::new(ip, port),
            transport,
        };
        addresses(dns, &host, server, found).await;
    }
}

async fn addresses(
    dns: &TokioResolver,
    host: &str,
    server: impl Fn(IpAddr) -> Server,
    found: &mut Vec<Server>,
) {
    if let Ok(answer) = dns.lookup_ip(host).await {
        for ip in answer.iter() {
            if found.len() < MOST {
                found.push(server(ip));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_sip::ua::TrustId;
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
    use hickory_resolver::proto::rr::{Name, Record};

    fn hop(host: &str, port: Option<u16>, transport: impl Into<Option<Transport>>) -> Hop {
        Hop {
            host: host.into(),
            port,
            transport: transport.into(),
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
        let names = |transport| {
            let all = srv_names(records.iter(), Some(transport));
            assert!(all.iter().all(|(of, _)| *of == transport));
            all.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
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
        assert!(srv_names(records[..1].iter(), Some(Transport::Udp)).is_empty());
    }

    /// A name server that knows some records and nothing else.
    async fn zone(records: Vec<(&str, RData)>) -> Resolver {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = socket.local_addr().expect("bound").port();
        let name = |text: &str| Name::from_ascii(text).expect("a name");
        let records: Vec<_> = records
            .into_iter()
            .map(|(of, data)| Record::from_rdata(name(of), 60, data))
            .collect();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                let asked = Message::from_vec(&buffer[..len]).expect("a query");
                let query = asked.queries[0].clone();
                let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
                answer.add_query(query.clone());
                for record in &records {
                    let named = record
                        .name
                        .to_string()
                        .eq_ignore_ascii_case(&query.name().to_string());
                    if named && record.record_type() == query.query_type() {
                        answer.add_answer(record.clone());
                    }
                }
                let bytes = answer.to_vec().expect("fits");
                socket.send_to(&bytes, from).await.expect("sent");
            }
        });
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections[0].port = port;
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let dns = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = Resolver::default();
        resolver
            .dns
            .set(Some(dns.build().expect("a resolver")))
            .expect("was not asked");
        resolver
    }

    fn srv(port: u16, host: &str) -> RData {
        RData::SRV(SRV::new(0, 0, port, Name::from_ascii(host).expect("a name")))
    }

    fn a(last: u8) -> RData {
        RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
    }

    async fn found(resolver: &Resolver, hop: &Hop) -> Vec<String> {
        let all = resolver.resolve(hop).await.unwrap_or_default();
        all.iter()
            .map(|server| format!("{} {}", server.transport, server.at))
            .collect()
    }

    #[tokio::test]
    async fn naptr_chooses_the_transport_where_none_is_set() {
        let resolver = zone(vec![
            (
                "pbx.example.",
                RData::NAPTR(naptr(20, 10, "s", "SIP+D2U", "u.pbx.example.")),
            ),
            (
                "pbx.example.",
                RData::NAPTR(naptr(10, 20, "s", "SIP+D2T", "t.pbx.example.")),
            ),
            (
                "pbx.example.",
                RData::NAPTR(naptr(30, 10, "s", "SIPS+D2T", "s.pbx.example.")),
            ),
            ("u.pbx.example.", srv(5060, "one.pbx.example.")),
            ("t.pbx.example.", srv(5070, "two.pbx.example.")),
            ("s.pbx.example.", srv(5061, "two.pbx.example.")),
            ("one.pbx.example.", a(1)),
            ("two.pbx.example.", a(2)),
            ("pbx.example.", a(9)),
        ])
        .await;
        assert_eq!(
            found(&resolver, &hop("pbx.example", None, None)).await,
            ["TCP 192.0.2.2:5070", "UDP 192.0.2.1:5060", "TLS 192.0.2.2:5061"]
        );
        assert_eq!(
            found(&resolver, &hop("pbx.example", None, Transport::Udp)).await,
            ["UDP 192.0.2.1:5060"]
        );
        // whose TLS is demanded, has TLS whatever comes first
        assert_eq!(
            found(&resolver, &hop("pbx.example", None, Transport::Tls)).await,
            ["TLS 192.0.2.2:5061"]
        );
        // a port is the file's word
        assert_eq!(
            found(&resolver, &hop("pbx.example", Some(5060), Transport::Udp)).await,
            ["UDP 192.0.2.9:5060"]
        );
    }

    #[tokio::test]
    async fn what_is_in_clear_never_takes_the_place_of_tls() {
        let tls_first = |more: Vec<(&'static str, RData)>| {
            let mut all = vec![
                (
                    "pbx.example.",
                    RData::NAPTR(naptr(10, 10, "s", "SIPS+D2T", "s.pbx.example.")),
                ),
                (
                    "pbx.example.",
                    RData::NAPTR(naptr(20, 10, "s", "SIP+D2U", "u.pbx.example.")),
                ),
                ("u.pbx.example.", srv(5060, "one.pbx.example.")),
                ("_sip._udp.pbx.example.", srv(5060, "one.pbx.example.")),
                ("one.pbx.example.", a(1)),
                ("pbx.example.", a(9)),
            ];
            all.extend(more);
            all
        };
        let automatic = hop("pbx.example", None, None);
        let whole = zone(tls_first(vec![("s.pbx.example.", srv(5061, "one.pbx.example."))])).await;
        assert_eq!(found(&whole, &automatic).await, ["TLS 192.0.2.1:5061"]);
        // somebody keeps the answers about TLS away
        let cut = zone(tls_first(Vec::new())).await;
        assert!(found(&cut, &automatic).await.is_empty());
        // without NAPTR, too
        let bare = zone(vec![
            ("_sips._tcp.pbx.example.", srv(5061, "one.pbx.example.")),
            ("_sip._udp.pbx.example.", srv(5060, "one.pbx.example.")),
            ("one.pbx.example.", a(1)),
        ])
        .await;
        assert_eq!(found(&bare, &automatic).await, ["TLS 192.0.2.1:5061"]);
        // and a hop with TLS takes nothing else
        let plain = zone(vec![
            (
                "pbx.example.",
                RData::NAPTR(naptr(10, 10, "s", "SIP+D2U", "u.pbx.example.")),
            ),
            ("u.pbx.example.", srv(5060, "one.pbx.example.")),
            ("one.pbx.example.", a(1)),
            ("pbx.example.", a(9)),
        ])
        .await;
        assert_eq!(
            found(&plain, &hop("pbx.example", None, Transport::Tls)).await,
            ["TLS 192.0.2.9:5061"]
        );
    }

    #[tokio::test]
    async fn hosts_of_session_descriptions_have_addresses_of_their_family() {
        let resolver = zone(vec![
            ("phone.example.", a(7)),
            (
                "phone.example.",
                RData::AAAA(AAAA("2001:db8::7".parse().expect("an address"))),
            ),
            ("old.example.", a(8)),
        ])
        .await;
        let wanted = |host: &str, v6| Wanted {
            host: host.into(),
            v6,
        };
        for (host, v6, expected) in [
            ("phone.example", false, Some("192.0.2.7")),
            ("phone.example", true, Some("2001:db8::7")),
            ("old.example", true, None),
            ("none.example", false, None),
            ("localhost", false, Some("127.0.0.1")),
        ] {
            let found = resolver.find(vec![wanted(host, v6)]).await;
            let address = found.get(&wanted(host, v6)).map(ToString::to_string);
            assert_eq!(address.as_deref(), expected, "{host}");
        }
    }

    #[tokio::test]
    async fn without_naptr_there_are_the_services_and_without_them_udp() {
        let services = zone(vec![
            ("_sip._udp.pbx.example.", srv(5062, "one.pbx.example.")),
            ("_sip._tcp.pbx.example.", srv(5063, "one.pbx.example.")),
            ("one.pbx.example.", a(1)),
        ])
        .await;
        assert_eq!(
            found(&services, &hop("pbx.example", None, None)).await,
            ["TCP 192.0.2.1:5063", "UDP 192.0.2.1:5062"]
        );
        let bare = zone(vec![("pbx.example.", a(9))]).await;
        assert_eq!(
            found(&bare, &hop("pbx.example", None, None)).await,
            ["UDP 192.0.2.9:5060"]
        );
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
            assert_eq!(found[0].at.to_string(), expected);
            assert_eq!(found[0].transport, transport);
        }
        assert!(resolver.dns.get().is_none());
    }
}
