//! How two sides of a call reach each other: what carries the messages, and whether the speech is encrypted.

use crate::ports::{Ports, Use};
use crate::trust::Trust;

/// What carries SIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    /// UDP.
    #[default]
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Carrier {
    /// As the parameter `transport` of a URI and our site file name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// Carrier, encryption of the speech, and whom to trust with TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link<'a> {
    /// What carries the messages.
    pub carrier: Carrier,
    /// SRTP with keys in the session description, or no call at all; else plain RTP.
    pub srtp: bool,
    /// Needed for TLS.
    pub trust: Option<&'a Trust>,
}

impl<'a> Link<'a> {
    /// TLS and SRTP.
    #[must_use]
    pub const fn secure(trust: &'a Trust) -> Self {
        Self {
            carrier: Carrier::Tls,
            srtp: true,
            trust: Some(trust),
        }
    }

    /// The PBX's port for it.
    #[must_use]
    pub const fn pbx_port(self, ports: &Ports) -> u16 {
        ports.of(match self.carrier {
            Carrier::Udp | Carrier::Tcp => Use::PbxSip,
            Carrier::Tls => Use::PbxTls,
        })
    }
}
