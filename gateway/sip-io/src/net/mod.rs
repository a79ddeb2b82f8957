//! Sockets. [`Net`] opens listeners and connections, sends, and reports what arrives as [`NetEvent`]s on one
//! bounded channel. It knows nothing of SIP but that datagrams are whole messages and streams are not.

mod icmp;
mod limit;
mod resolve;
mod seats;
mod stream;
pub(crate) mod tls;
mod udp;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::{Clock, Instant, LegId};
use gateway_sip::ua::{Hop, Reached, TrustId};
use gateway_sip::{Flow, FlowId, Transport};
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::resolve::{Resolver, Server};
use self::seats::SharedSeats;
use self::udp::Udp;
use crate::names::{Found, Wanted};
use crate::{SipError, SipParams, TlsListener, TlsTrust};

/// Messages that may wait for one slow connection; a connection that falls further behind is closed.
const OUTBOX: usize = 64;
/// Longest time for one connect with its TLS handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Servers of a name that are tried at one time.
const MOST_CONNECTS: usize = 3;

/// What the sockets report.
pub(crate) enum NetEvent {
    /// Someone opened a connection to us.
    Accepted { flow: Flow, writer: Writer },
    /// A connection has ended.
    Closed { flow: Flow, why: String },
    /// A hop was reached, or not.
    Connected {
        hop: Hop,
        result: Result<(Reached, Option<Writer>), String>,
    },
    /// Names in a leg's session description were looked up; those that have no address are left out.
    Names { found: Found, leg: LegId },
    /// Bytes of a connection, or one datagram.
    Received { flow: Flow, bytes: Bytes },
    /// A connection of a stranger was not taken, or ended to make room, before it said a word.
    Stranger { source: IpAddr },
    /// The network says that no datagram of ours arrives there (ICMP).
    Unreachable { remote: SocketAddr },
}

/// The sending side of a connection.
pub(crate) struct Writer {
    outbox: mpsc::Sender<Bytes>,
    start: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Addresses that are never taken for strangers by the limits of datagrams and connections.
pub(crate) type Known = Arc<RwLock<BTreeSet<IpAddr>>>;

/// Counts what limits threw away.
pub(crate) type Dropped = Arc<AtomicU64>;

/// Something that listens, and its port.
#[derive(Clone, Debug)]
enum Listener {
    Tcp(u16),
    Tls(u16, TlsListener),
    Udp(u16),
}

/// All sockets of the engine.
pub(crate) struct Net {
    bind: IpAddr,
    clock: Arc<dyn Clock>,
    conns: BTreeMap<Flow, Writer>,
    dscp: u8,
    dropped: Dropped,
    events: mpsc::Sender<NetEvent>,
    known: Known,
    listeners: Vec<(Transport, SocketAddr, JoinHandle<()>)>,
    /// Listeners that could not be opened so far.
    missing: Vec<Listener>,
    next_conn: Arc<AtomicU64>,
    resolver: Arc<Resolver>,
    seats: SharedSeats,
    trusts: Vec<(TlsTrust, Arc<ClientConfig>)>,
    /// Which of them trust nobody, as their file could not be read.
    unread: Vec<usize>,
    udp: Vec<Udp>,
}

impl Net {
    /// Nothing listens yet: [`open_missing`](Self::open_missing) is for that.
    pub(crate) fn new(params: &SipParams, clock: &Arc<dyn Clock>, events: mpsc::Sender<NetEvent>) -> Self {
        let tls = params.tls_port.zip(params.tls_identity.clone());
        let missing = std::iter::once(Listener::Udp(params.udp_port))
            .chain(params.tcp_port.map(Listener::Tcp))
            .chain(tls.map(|(port, identity)| Listener::Tls(port, identity)));
        Self {
            bind: params.bind,
            clock: Arc::clone(clock),
            conns: BTreeMap::new(),
            dscp: params.dscp,
            dropped: Dropped::default(),
            events,
            known: Known::default(),
            listeners: Vec::new(),
            missing: missing.collect(),
            next_conn: Arc::new(AtomicU64::new(1)),
            resolver: Arc::new(Resolver::default()),
            seats: SharedSeats::default(),
            trusts: Vec::new(),
            udp: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// True if something should listen and does not, or nobody is trusted for want of a file.
    pub(crate) const fn misses(&self) -> bool {
        !self.missing.is_empty() || !self.unread.is_empty()
    }

    /// Opens what should listen and does not, and reads what could not be read. Gives why there is a rest.
    pub(crate) async fn open_missing(&mut self) -> Vec<SipError> {
        let mut why = Vec::new();
        for at in std::mem::take(&mut self.unread) {
            let (trust, config) = &mut self.trusts[at];
            match tls::client(trust) {
                Ok(read) => *config = read,
                Err(error) => {
                    why.push(error);
                    self.unread.push(at);
                }
            }
        }
        for listener in std::mem::take(&mut self.missing) {
            if let Err(error) = self.open(&listener).await {
                why.push(error);
                self.missing.push(listener);
            }
        }
        why
    }

    async fn open(&mut self, listener: &Listener) -> Result<(), SipError> {
        match listener {
            Listener::Tcp(port) => self.listen(*port, None).await,
            Listener::Tls(port, identity) => self.listen(*port, Some(tls::server(identity)?)).await,
            Listener::Udp(port) => self.open_udp(*port),
        }
    }

    fn open_udp(&mut self, port: u16) -> Result<(), SipError> {
        let open = |address| {
            Udp::open(
                address,
                self.dscp,
                Arc::clone(&self.clock),
                self.events.clone(),
                Arc::clone(&self.known),
                Arc::clone(&self.dropped),
            )
        };
        let wanted = SocketAddr::new(self.bind, port);
        let first = open(wanted).map_err(|source| SipError::Listen {
            address: wanted,
            transport: Transport::Udp,
            source,
        })?;
        let second = other_family(first.local()).and_then(|address| optional(address, open(address)));
        self.udp.push(first);
        self.udp.extend(second);
        Ok(())
    }

    async fn listen(&mut self, port: u16, config: Option<Arc<rustls::ServerConfig>>) -> Result<(), SipError> {
        let address = SocketAddr::new(self.bind, port);
        let transport = if config.is_some() {
            Transport::Tls
        } else {
            Transport::Tcp
        };
        let door = stream::Door {
            config,
            dropped: Arc::clone(&self.dropped),
            dscp: self.dscp,
            events: self.events.clone(),
            known: Arc::clone(&self.known),
            next_conn: Arc::clone(&self.next_conn),
            seats: Arc::clone(&self.seats),
        };
        let (local, task) = door
            .clone()
            .open(address)
            .await
            .map_err(|source| SipError::Listen {
                address,
                transport,
                source,
            })?;
        self.listeners.push((transport, local, task));
        if let Some(address) = other_family(local)
            && let Some((local, task)) = optional(address, door.open(address).await)
        {
            self.listeners.push((transport, local, task));
        }
        Ok(())
    }

    /// Where we listen.
    pub(crate) fn listening(&self) -> Vec<(Transport, SocketAddr)> {
        let udp = self.udp.iter().map(|udp| (Transport::Udp, udp.local()));
        udp.chain(self.listeners.iter().map(|(transport, at, _)| (*transport, *at)))
            .collect()
    }

    /// The number of a TLS trust setting; equal settings have one number. One whose file cannot be read trusts nobody
    /// until it can: that costs its account, and no door.
    pub(crate) fn trust(&mut self, trust: &TlsTrust) -> TrustId {
        let known = self.trusts.iter().position(|(known, _)| known == trust);
        let at = known.unwrap_or_else(|| {
            let at = self.trusts.len();
            let config = tls::client(trust).unwrap_or_else(|_| {
                self.unread.push(at);
                tls::nobody()
            });
            self.trusts.push((trust.clone(), config));
            at
        });
        TrustId(u16::try_from(at).expect("fewer trust settings than accounts"))
    }

    /// Reads certificate files again: the numbers stay, later connections use the new contents.
    pub(crate) fn reload_trusts(&mut self) -> Result<(), SipError> {
        for (trust, config) in &mut self.trusts {
            *config = tls::client(trust)?;
        }
        Ok(())
    }

    /// Who is not a stranger to the limits.
    pub(crate) fn set_known(&self, known: BTreeSet<IpAddr>) {
        *self.known.write().expect("no holder of this lock panics") = known;
    }

    /// A whole message came over a connection that someone opened to us.
    pub(crate) fn heard(&self, flow: &Flow, now: Instant) {
        let mut seats = self.seats.lock().expect("no holder of this lock panics");
        seats.heard(flow.id, now);
    }

    /// Whether such a connection carries a call or a registration: then it makes room for nobody.
    pub(crate) fn set_used(&self, flow: &Flow, used: bool) {
        let mut seats = self.seats.lock().expect("no holder of this lock panics");
        seats.set_used(flow.id, used);
    }

    /// What limits threw away so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Starts to reach a hop; [`NetEvent::Connected`] says how it went. `attempt` counts up after failures and
    /// moves on to the next address of the name.
    pub(crate) fn connect(&self, hop: Hop, attempt: usize) {
        let resolver = Arc::clone(&self.resolver);
        let events = self.events.clone();
        let config = self
            .trusts
            .get(usize::from(hop.trust.0))
            .map(|(_, config)| Arc::clone(config));
        let id = FlowId(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let (bind, dscp) = (self.bind, self.dscp);
        let udp: Vec<SocketAddr> = self.udp.iter().map(Udp::local).collect();
        tokio::spawn(async move {
            let result = async {
                let mut found = resolver.resolve(&hop).await.map_err(|e| e.to_string())?;
                let peers = found.iter().map(|server| server.at.ip()).collect();
                let turn = attempt % found.len();
                found.rotate_left(turn);
                let (mut last, mut connects) = (String::new(), 0);
                for Server {
                    at: remote,
                    transport,
                } in found
                {
                    if transport == Transport::Udp {
                        if let Some(local) = udp::local_towards(&udp, remote) {
                            let flow = Flow {
                                id: udp::UDP,
                                local,
                                transport,
                                remote,
                            };
                            return Ok((Reached { flow, peers }, None));
                        }
                        if last.is_empty() {
                            last = format!("no route to {remote}");
                        }
                        continue;
                    }
                    if connects == MOST_CONNECTS {
                        continue;
                    }
                    connects += 1;
                    let tls = config.as_ref().filter(|_| transport == Transport::Tls);
                    let opened = stream::connect(remote, (bind, dscp), &hop.host, tls, id, &events);
                    match tokio::time::timeout(CONNECT_LIMIT, opened).await {
                        Ok(Ok((flow, writer))) => return Ok((Reached { flow, peers }, Some(writer))),
                        Ok(Err(e)) => last = format!("{remote}: {e}"),
                        Err(_) => last = format!("{remote}: no answer within {} s", CONNECT_LIMIT.as_secs()),
                    }
                }
                Err(last)
            }
            .await;
            // The driver has ended if nobody takes it.
            let _ = events.send(NetEvent::Connected { hop, result }).await;
        });
    }

    /// Looks up names of a session description; [`NetEvent::Names`] says what was found within two seconds.
    pub(crate) fn look_up(&self, leg: LegId, wanted: Vec<Wanted>) {
        let (resolver, events) = (Arc::clone(&self.resolver), self.events.clone());
        tokio::spawn(async move {
            let found = resolver.find(wanted).await;
            // The driver has ended if nobody takes it.
            let _ = events.send(NetEvent::Names { found, leg }).await;
        });
    }

    /// Keeps the sending side of a connection and lets its reading begin.
    pub(crate) fn keep(&mut self, flow: Flow, mut writer: Writer) {
        if let Some(start) = writer.start.take() {
            // An error says that the connection has ended already; its event follows.
            let _ = start.send(());
        }
        self.conns.insert(flow, writer);
    }

    /// Sends one whole message. False: the flow is gone, or its peer does not read.
    pub(crate) fn send(&mut self, flow: &Flow, bytes: Vec<u8>) -> bool {
        if flow.transport == Transport::Udp {
            return self
                .udp
                .iter()
                .find(|udp| udp.serves(flow))
                .is_some_and(|udp| udp.send(flow.remote, &bytes));
        }
        self.conns
            .get(flow)
            .is_some_and(|writer| writer.outbox.try_send(bytes.into()).is_ok())
    }

    /// Closes a connection after what is queued was written.
    pub(crate) fn close(&mut self, flow: &Flow) {
        self.conns.remove(flow);
    }

    /// Closes a connection that has ended or does not read.
    pub(crate) fn abort(&mut self, flow: &Flow) {
        if let Some(writer) = self.conns.remove(flow) {
            writer.task.abort();
        }
    }
}

/// The unspecified address of either family stands for both: the same port of the other one.
fn other_family(first: SocketAddr) -> Option<SocketAddr> {
    let other = match first.ip() {
        IpAddr::V4(ip) => ip.is_unspecified().then_some(Ipv6Addr::UNSPECIFIED.into()),
        IpAddr::V6(ip) => ip.is_unspecified().then_some(Ipv4Addr::UNSPECIFIED.into()),
    };
    other.map(|ip: IpAddr| SocketAddr::new(ip, first.port()))
}

/// A machine without IPv6 is quite usual: then there is no second socket.
fn optional<T>(address: SocketAddr, opened: io::Result<T>) -> Option<T> {
    opened
        .inspect_err(|error| tracing::info!(%address, %error, "SIP listens on one family only"))
        .ok()
}

impl Drop for Net {
    fn drop(&mut self) {
        for (_, _, task) in &self.listeners {
            task.abort();
        }
        for writer in self.conns.values() {
            writer.task.abort();
        }
    }
}
