//! The UDP socket of one address family.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use gateway_core::Clock;
use gateway_sip::{Flow, FlowId, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::icmp;
use super::limit::Limiter;
use super::{Dropped, Known, NetEvent};

/// Marks what a socket sends (RFC 2474 §3: the upper six bits). It is a wish: containers may forbid it, and calls work
/// without.
pub(super) fn mark<'s>(socket: impl Into<SockRef<'s>>, v4: bool, dscp: u8) {
    let (socket, tos) = (socket.into(), u32::from(dscp) << 2);
    let done = if v4 {
        socket.set_tos_v4(tos)
    } else {
        socket.set_tclass_v6(tos)
    };
    if let Err(error) = done {
        tracing::debug!(%error, "SIP messages are not marked");
    }
}

/// The flow number of all datagrams; connections count from 1.
pub(crate) const UDP: FlowId = FlowId(0);
/// Largest datagram read.
const MOST_BYTES: usize = 65_535;

/// One UDP socket and its reader.
pub(crate) struct Udp {
    local: SocketAddr,
    reader: JoinHandle<()>,
    socket: Arc<UdpSocket>,
}

impl Udp {
    pub(crate) fn open(
        address: SocketAddr,
        dscp: u8,
        clock: Arc<dyn Clock>,
        events: mpsc::Sender<NetEvent>,
        known: Known,
        dropped: Dropped,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        mark(&socket, address.is_ipv4(), dscp);
        socket.bind(&address.into())?;
        icmp::ask(&socket, address.is_ipv4());
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let local = socket.local_addr()?;
        let reader = tokio::spawn(read(Arc::clone(&socket), local, clock, events, known, dropped));
        Ok(Self {
            local,
            reader,
            socket,
        })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn serves(&self, flow: &Flow) -> bool {
        self.local.is_ipv4() == flow.remote.is_ipv4()
    }

    /// False if the kernel knows that it cannot be sent. A full buffer is a loss like any other on UDP.
    pub(crate) fn send(&self, remote: SocketAddr, bytes: &[u8]) -> bool {
        // Past the runtime: it takes a new socket for not writable until its first poll has said otherwise, and the
        // first request would go out as a retransmission, half a second late.
        // The kernel tells an error of an earlier datagram, to whomever it went, at the next call: it is told once, and
        // the reader learns from the error queue where it belongs. What is told again is about this datagram.
        for _ in 0..3 {
            match SockRef::from(&*self.socket).send_to(bytes, &remote.into()) {
                Ok(_) => return true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {}
            }
        }
        false
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(
    socket: Arc<UdpSocket>,
    bound: SocketAddr,
    clock: Arc<dyn Clock>,
    events: mpsc::Sender<NetEvent>,
    known: Known,
    dropped: Dropped,
) {
    let mut limiter = Limiter::new(clock.now());
    let mut buffer = vec![0; MOST_BYTES];
    let mut concrete = Concrete::default();
    loop {
        let Ok(ready) = socket.ready(Interest::READABLE | Interest::ERROR).await else {
            return;
        };
        if ready.is_error() {
            // Until the queue is empty, which also takes the mark away.
            while let Ok(told) = socket.try_io(Interest::ERROR, || icmp::next(&socket)) {
                if let Some(remote) = told
                    && events.send(NetEvent::Unreachable { remote }).await.is_err()
                {
                    return;
                }
            }
        }
        // An error here was in the queue above.
        let Ok((length, remote)) = socket.try_recv_from(&mut buffer) else {
            continue;
        };
        let is_known = known
            .read()
            .expect("no holder of this lock panics")
            .contains(&remote.ip());
        if !is_known && !limiter.admit(clock.now(), remote.ip()) {
            dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let Some(local) = concrete.towards(bound, remote) else {
            continue;
        };
        let flow = Flow {
            id: UDP,
            local,
            transport: Transport::Udp,
            remote,
        };
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        if events.send(NetEvent::Received { flow, bytes }).await.is_err() {
            return;
        }
    }
}

/// The last answer of [`local_ip`], since datagrams come in runs from one peer.
#[derive(Default)]
struct Concrete(Option<(IpAddr, IpAddr)>);

impl Concrete {
    fn towards(&mut self, bound: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
        if !bound.ip().is_unspecified() {
            return Some(bound);
        }
        let ip = match self.0 {
            Some((peer, ours)) if peer == remote.ip() => ours,
            Some(_) | None => local_ip(remote)?,
        };
        self.0 = Some((remote.ip(), ip));
        Some(SocketAddr::new(ip, bound.port()))
    }
}

/// Our address as `remote` sees it, of the socket in `bound` that serves its family.
pub(crate) fn local_towards(bound: &[SocketAddr], remote: SocketAddr) -> Option<SocketAddr> {
    let ours = bound.iter().find(|ours| ours.is_ipv4() == remote.is_ipv4())?;
    Concrete::default().towards(*ours, remote)
}

/// The source address the kernel would take towards `remote`. Sends nothing.
fn local_ip(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let probe = std::net::UdpSocket::bind((any, 0)).ok()?;
    probe.connect(remote).ok()?;
    probe.local_addr().ok().map(|at| at.ip())
}
