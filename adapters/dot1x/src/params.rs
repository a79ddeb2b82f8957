//! What the adapter is told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::Secret;
use zeroize::Zeroizing;

/// The content of a file that may be a key: `Debug` shows its length only, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(Zeroizing<Vec<u8>>);

impl Bytes {
    /// Wraps it.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The content, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes, ***)", self.0.len())
    }
}

/// EAP inside PEAP. PAP and CHAP are not among them: PEAP carries EAP only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeapInner {
    /// EAP-GTC, RFC 3748 §5.6.
    Gtc,
    /// EAP-MD5, RFC 3748 §5.4.
    Md5,
    /// EAP-MSCHAPv2.
    Mschapv2,
    /// EAP-TLS, RFC 5216.
    Tls,
}

/// What is inside TTLS, RFC 5281 §11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlsInner {
    /// CHAP, §11.2.2.
    Chap,
    /// EAP-MD5, §11.2.1.
    EapMd5,
    /// EAP-MSCHAPv2, §11.2.1.
    EapMschapv2,
    /// MS-CHAP, §11.2.3.
    Mschap,
    /// MS-CHAP-V2, §11.2.4.
    Mschapv2,
    /// PAP, §11.2.5.
    Pap,
}

/// The EAP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// EAP-MD5, RFC 3748 §5.4. Proves nothing about the network.
    Md5,
    /// EAP-MSCHAPv2 without a tunnel.
    Mschapv2,
    /// PEAP.
    Peap(PeapInner),
    /// EAP-TLS, RFC 5216.
    Tls,
    /// EAP-TTLS, RFC 5281.
    Ttls(TtlsInner),
}

impl Method {
    /// True if a tunnel or TLS handshake lets the supplicant verify the server.
    #[must_use]
    pub const fn verifies_server(self) -> bool {
        match self {
            Self::Md5 | Self::Mschapv2 => false,
            Self::Peap(_) | Self::Tls | Self::Ttls(_) => true,
        }
    }

    /// True if it needs a client certificate in place of a password.
    #[must_use]
    pub const fn needs_certificate(self) -> bool {
        matches!(self, Self::Tls | Self::Peap(PeapInner::Tls))
    }
}

/// How the authentication server is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerCheck {
    /// Not at all: the operator accepted that anybody can pose as the network.
    AnyServer,
    /// By certificate.
    Verify {
        /// CA certificates, PEM.
        ca: Bytes,
        /// The server's name must be one of these, or end in a dot and one of these.
        names: Vec<String>,
    },
}

/// The gateway's own certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    /// Two PEM files.
    Pem {
        /// Certificate chain, own certificate first.
        cert: Bytes,
        /// Private key.
        key: Bytes,
        /// Of the key, if it is encrypted.
        passphrase: Option<Secret>,
    },
    /// One PKCS#12 file.
    Pkcs12 {
        /// Its content.
        file: Bytes,
        /// Its passphrase.
        passphrase: Option<Secret>,
    },
}

/// Everything the adapter needs. Equal parameters mean that a reload leaves the port alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Let the server choose TLS 1.3 (RFC 9190, RFC 9427); off by default, as in the supplicant itself.
    pub allow_tls13: bool,
    /// Certificate and key, if the method needs them.
    pub client: Option<ClientIdentity>,
    /// Folder of the control sockets of a supplicant that has a unit of its own.
    pub control_dir: PathBuf,
    /// User name, inside the tunnel if there is one.
    pub identity: String,
    /// Network interface.
    pub interface: String,
    /// EAP method.
    pub method: Method,
    /// What everybody on the cable may read in place of the identity.
    pub outer_identity: Option<String>,
    /// Password, if the method needs one.
    pub password: Option<Secret>,
    /// Path of `wpa_supplicant`.
    pub program: PathBuf,
    /// Folder of sockets; ours alone.
    pub run_dir: PathBuf,
    /// How the server is verified.
    pub server: ServerCheck,
    /// No answer for so long is told as silence.
    pub silence: Duration,
}
