//! Where a message came from or goes to, and which transport its size needs.

use std::fmt;
use std::net::SocketAddr;

/// Transports we drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// UDP.
    Udp,
}

impl Transport {
    /// True if the transport retransmits by itself (RFC 3261 §17: timers A, E, G stay off; D, I, J, K are zero).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Tcp | Self::Tls => true,
            Self::Udp => false,
        }
    }

    /// Port used when none is written: 5060, TLS 5061.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Tcp | Self::Udp => 5060,
            Self::Tls => 5061,
        }
    }

    /// The word in a Via: `UDP`, `TCP`, `TLS`.
    #[must_use]
    pub const fn as_via(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
        }
    }

    /// From the `transport` parameter of a URI, without case.
    #[must_use]
    pub fn from_param(s: &str) -> Option<Self> {
        [Self::Tcp, Self::Tls, Self::Udp]
            .into_iter()
            .find(|t| t.as_via().eq_ignore_ascii_case(s))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_via())
    }
}

/// Number the driver gives a socket or a connection; never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// One way to a peer: a UDP socket and a remote address, or a TCP or TLS connection.
///
/// It is a plain value, so that strangers on UDP cost no table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// Socket or connection.
    pub id: FlowId,
    /// How it carries messages.
    pub transport: Transport,
    /// Our address on it; written in Via unless the request brings its own.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

impl Flow {
    /// The same socket or connection towards another address; the same flow if it is a connection.
    #[must_use]
    pub const fn towards(mut self, remote: SocketAddr) -> Self {
        if !self.transport.is_reliable() {
            self.remote = remote;
        }
        self
    }
}

/// Largest request sent over UDP when the path MTU is unknown, in bytes (RFC 3261 §18.1.1).
pub const UDP_LIMIT: usize = 1300;

/// True if a request of `len` bytes must go over TCP or TLS (RFC 3261 §18.1.1: larger than 1300 bytes).
#[must_use]
pub const fn needs_stream(len: usize) -> bool {
    len > UDP_LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_over_1300_bytes_needs_a_stream() {
        assert!(!needs_stream(1300));
        assert!(needs_stream(1301));
    }

    #[test]
    fn a_connection_keeps_its_peer() {
        let addr = |s: &str| s.parse::<SocketAddr>().expect("address");
        let mut flow = Flow {
            id: FlowId(1),
            transport: Transport::Udp,
            local: addr("127.0.0.1:5060"),
            remote: addr("127.0.0.1:6000"),
        };
        assert_eq!(flow.towards(addr("127.0.0.1:7000")).remote.port(), 7000);
        flow.transport = Transport::Tls;
        assert_eq!(flow.towards(addr("127.0.0.1:7000")).remote.port(), 6000);
    }
}
