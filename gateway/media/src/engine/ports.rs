//! Pairs of RTP and RTCP sockets out of a bound range.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_trace::{Trace, Way};
use socket2::{Domain, Protocol, Socket, Type};

use super::{EngineError, split, strangers};

/// Hands out port pairs, each once at a time. RTP is even, RTCP the next (RFC 3550 §11).
#[derive(Clone, Debug)]
pub struct PortAllocator {
    shared: Arc<Mutex<Shared>>,
    bind: IpAddr,
    dscp: u8,
    range: (u16, u16),
    trace: Option<Trace>,
}

#[derive(Debug)]
struct Shared {
    taken: BTreeSet<u16>,
    next: u16,
}

impl PortAllocator {
    /// For a range; an odd first port is skipped. What is sent is marked with `dscp`, 0 to 63 (RFC 2474 §3).
    #[must_use]
    pub fn new(bind: IpAddr, ports: &RangeInclusive<u16>, dscp: u8) -> Self {
        let first = ports.start().saturating_add(ports.start() % 2);
        Self {
            shared: Arc::new(Mutex::new(Shared {
                taken: BTreeSet::new(),
                next: first,
            })),
            bind,
            dscp,
            range: (first, *ports.end()),
            trace: None,
        }
    }

    /// Headers of what its pairs send and receive go there, too.
    #[must_use]
    pub fn traced(mut self, trace: Option<Trace>) -> Self {
        self.trace = trace;
        self
    }

    /// Binds the next free pair. Pairs are handed out in turn, so that a late packet of the last call does not
    /// reach the next one.
    ///
    /// # Errors
    /// [`EngineError::NoPorts`] if none can be bound.
    pub fn reserve(&self) -> Result<PortPair, EngineError> {
        let (first, last) = self.range;
        let pairs = u32::from(last.saturating_sub(first)).div_ceil(2);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..pairs {
            let port = shared.next;
            shared.next = match port.checked_add(2) {
                Some(p) if p < last => p,
                _ => first,
            };
            if port >= last || shared.taken.contains(&port) {
                continue;
            }
            if let Ok((rtp, rtcp, v6)) = self.bind_pair(port) {
                shared.taken.insert(port);
                return Ok(PortPair {
                    // without it audio wakes the thread like everything else
                    audio: split::beside(&rtp).ok(),
                    rtp,
                    rtcp,
                    port,
                    v6,
                    seen: None,
                    shared: Arc::clone(&self.shared),
                    trace: self.trace.clone(),
                });
            }
        }
        Err(EngineError::NoPorts {
            bind: self.bind,
            first,
            last,
        })
    }

    /// Binds one pair; true if its sockets are of IPv6. The unspecified address of either family stands for both: a
    /// socket of IPv6 serves both, and a machine without IPv6 has the other.
    fn bind_pair(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket, bool)> {
        let pair = |ip: IpAddr| {
            let rtp = bind(SocketAddr::new(ip, port), self.dscp)?;
            let rtcp = bind(SocketAddr::new(ip, port + 1), self.dscp)?;
            Ok((rtp, rtcp, ip.is_ipv6()))
        };
        if !self.bind.is_unspecified() {
            return pair(self.bind);
        }
        match pair(Ipv6Addr::UNSPECIFIED.into()) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => pair(Ipv4Addr::UNSPECIFIED.into()),
            done => done,
        }
    }
}

fn bind(address: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Marking is a wish: containers may forbid it, and the call works without. The code point is in the upper six
    // bits; a socket of IPv6 also sends IPv4, to mapped addresses.
    let tos = u32::from(dscp) << 2;
    let _ = socket.set_tos_v4(tos);
    if address.is_ipv6() {
        let _ = socket.set_tclass_v6(tos);
        // whatever the machine's default is (`net.ipv6.bindv6only`)
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Two bound ports; dropping them frees them.
#[derive(Debug)]
pub struct PortPair {
    /// The second socket of the RTP port, for audio that waits for the tick.
    pub(super) audio: Option<UdpSocket>,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    port: u16,
    /// The sockets are of IPv6 and reach IPv4 by mapped addresses.
    v6: bool,
    /// Where others see them.
    seen: Option<Seen>,
    shared: Arc<Mutex<Shared>>,
    trace: Option<Trace>,
}

/// Where others see a pair of ports, through a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// RTP.
    pub rtp: SocketAddr,
    /// RTCP.
    pub rtcp: SocketAddr,
    /// The STUN server that said so. Until speech flows it is written to now and then, so that the router does not forget.
    pub server: SocketAddr,
}

impl PortPair {
    /// Notes an RTP packet, while there is a capture.
    pub(super) fn note(&self, sent: bool, packet: &[u8], remote: SocketAddr) {
        let Some(trace) = self.trace.as_ref().filter(|trace| trace.captures()) else {
            return;
        };
        let local = self
            .rtp
            .local_addr()
            .map_or(Ipv6Addr::UNSPECIFIED.into(), |at| at.ip());
        trace.rtp(
            &Way {
                local: SocketAddr::new(local, self.port),
                remote,
                sent,
                transport: "UDP",
            },
            packet,
        );
    }

    /// Sends from the RTP socket, or from the RTCP socket if `control`. False if the system refused.
    pub fn send(&self, control: bool, packet: &[u8], to: SocketAddr) -> bool {
        // not what else goes over the port of RTP (RFC 7983)
        if !control && matches!(packet, [128..=191, ..]) {
            self.note(true, packet, to);
        }
        let socket = if control { &self.rtcp } else { &self.rtp };
        let to = match to.ip() {
            IpAddr::V4(v4) if self.v6 => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
            IpAddr::V4(_) | IpAddr::V6(_) => to,
        };
        socket.send_to(packet, to).is_ok()
    }

    /// From here on packets of these payload types wait for the tick; others wake the thread.
    pub(super) fn sort(&self, audio: impl Iterator<Item = u8>) {
        if self.audio.is_some() {
            // what is not sorted wakes the thread
            let _ = split::sort(&self.rtp, audio);
        }
    }

    /// From here on only packets of these addresses come; of all, if there is none.
    pub(super) fn admit(&self, addresses: [Option<IpAddr>; strangers::MOST]) {
        for socket in [Some(&self.rtp), self.audio.as_ref(), Some(&self.rtcp)] {
            // where the system does not permit it they are told apart as they come
            let _ = socket.map(|socket| strangers::admit(socket, &addresses));
        }
    }

    /// The sockets of RTP and RTCP once more, to wait for what comes before the pair is given to a leg.
    ///
    /// # Errors
    /// What the system does not permit.
    pub fn sockets(&self) -> io::Result<[UdpSocket; 2]> {
        Ok([self.rtp.try_clone()?, self.rtcp.try_clone()?])
    }

    /// Others see it there.
    pub fn is_seen(&mut self, seen: Seen) {
        self.seen = Some(seen);
    }

    /// Where others see it, as far as is known.
    #[must_use]
    pub const fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// RTP port.
    #[must_use]
    pub const fn rtp_port(&self) -> u16 {
        self.port
    }

    /// RTCP port.
    #[must_use]
    pub const fn rtcp_port(&self) -> u16 {
        self.port + 1
    }
}

impl Drop for PortPair {
    fn drop(&mut self) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.taken.remove(&self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_distinct_bounded_and_come_back() {
        let ports = PortAllocator::new("127.0.0.1".parse().expect("address"), &(28_401..=28_406), 46);
        let a = ports.reserve().expect("first pair");
        let b = ports.reserve().expect("second pair");
        assert_eq!((a.rtp_port() % 2, b.rtp_port() % 2), (0, 0));
        assert_ne!(a.rtp_port(), b.rtp_port());
        assert!(matches!(ports.reserve(), Err(EngineError::NoPorts { .. })));
        let freed = a.rtp_port();
        drop(a);
        assert_eq!(ports.reserve().expect("freed pair").rtp_port(), freed);
    }
}
