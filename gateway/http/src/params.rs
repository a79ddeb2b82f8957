//! What the binary gives to start, and why it may not start.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::DoorId;

use crate::hooks::Hooks;

/// Language of the page where the browser asks for none that we have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// German.
    De,
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// Portuguese.
    Pt,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 5] = [Self::De, Self::En, Self::Es, Self::Fr, Self::Pt];

    /// The two letters of ISO 639-1.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::Pt => "pt",
        }
    }

    /// Reads the two letters; a region after them (`pt-BR`) does not matter.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let primary = code.split(['-', '_']).next()?.trim();
        Self::ALL
            .into_iter()
            .find(|l| l.code().eq_ignore_ascii_case(primary))
    }
}

/// How connections are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Certificate chain and key from PEM files, read again by [`HttpHandle::reload_tls`](crate::HttpHandle::reload_tls).
    Files {
        /// Chain, the server's own certificate first.
        cert: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// No TLS: refused unless `listen` is a loopback address.
    Off,
    /// A certificate of our own, made at the first start and kept.
    SelfSigned {
        /// Host names and IP addresses it is for.
        names: Vec<String>,
        /// Folder for `http/cert.pem` and `http/key.pem`.
        state_dir: PathBuf,
    },
}

/// What somebody may do whom a RADIUS server lets in as a user (Service-Type Login-User).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserScope {
    /// Open doors.
    Open,
    /// End calls, press virtual bells.
    Operate,
    /// See states, journal and live events.
    Read,
}

/// Logins that RADIUS servers vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RadiusLogins {
    /// The servers.
    pub client: gateway_radius::Params,
    /// Doors of users; `None` is every door.
    pub user_doors: Option<BTreeSet<DoorId>>,
    /// What users may do.
    pub user_scopes: BTreeSet<UserScope>,
}

/// A name by which others on the network know the gateway as long as it is so: shared by who finds it out and who shows
/// it. It is no parameter: any two are equal, whatever they say.
#[derive(Clone, Debug, Default)]
pub struct LiveName(Arc<Mutex<Option<String>>>);

impl LiveName {
    /// The name, if there is any.
    #[must_use]
    pub fn now(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that it is another one, or none.
    pub fn set(&self, name: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

impl PartialEq for LiveName {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LiveName {}

/// What the site file says of the network, and by what name it knows the gateway; to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkNames {
    /// The switch is told who hangs at its port.
    pub lldp: bool,
    /// Name by mDNS, with `.local`, while the gateway answers to one.
    pub name: LiveName,
    /// The port that has the gateway's address.
    pub port: Option<String>,
    /// Time zone of the site.
    pub time_zone: String,
    /// Its VLAN.
    pub vlan: Option<u16>,
}

/// Parameters of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpParams {
    /// Users and tokens of the records only read: one that was removed may be among them.
    pub doubt: bool,
    /// Inputs that web clients work.
    pub hooks: Hooks,
    /// Language of the page where the browser asks for none that we have.
    pub language: Language,
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Names of keys that MQTT commands are signed with; no token may have one of them.
    pub mqtt_keys: Vec<String>,
    /// What is shown of the network.
    pub network: NetworkNames,
    /// Further origins the page may be reached under, as a browser writes them: `https://door.example`. Only
    /// for a reverse proxy; its host name then counts as ours.
    pub origins: Vec<String>,
    /// Who is asked about names that are not accounts of this gateway.
    pub radius: Option<RadiusLogins>,
    /// Protection.
    pub tls: Tls,
    /// File that says that there was a user once ([`note_users`](crate::note_users)). While it is there and the
    /// users are not, nobody can set up a first user over the network.
    pub users_mark: PathBuf,
    /// Program version, for page and metrics.
    pub version: String,
}

/// Why the interface cannot start, or cannot take a new certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The port is taken, or the address is not ours.
    #[error("cannot listen on {listen}: {}", bind_hint(.source))]
    Bind {
        /// Where.
        listen: SocketAddr,
        /// Why; `AddrInUse` if the port is taken.
        source: io::Error,
    },
    /// The certificate or its key is missing or cannot be read.
    #[error("TLS file {} cannot be used", path.display())]
    File {
        /// The key of the site file.
        part: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has no certificate or no key in it.
    #[error("TLS file {} has no {wanted} in PEM form", path.display())]
    Pem {
        /// The key of the site file.
        part: &'static str,
        /// Which.
        path: PathBuf,
        /// `certificate` or `private key`.
        wanted: &'static str,
    },
    /// Not loopback and no TLS.
    #[error(
        "{listen} is reachable from the network and TLS is off: set http.tls = true, or listen on 127.0.0.1"
    )]
    Plain {
        /// Where it should have listened.
        listen: SocketAddr,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers from the operating system: {0}")]
    Random(getrandom::Error),
    /// Our own certificate could not be made.
    #[error("self-signed certificate for {names:?} cannot be made")]
    SelfSigned {
        /// For which names.
        names: Vec<String>,
        /// Why.
        source: rcgen::Error,
    },
    /// Certificate and key do not fit, or rustls does not take them.
    #[error("TLS cannot be set up with this certificate and key")]
    Tls {
        /// The key of the site file.
        part: &'static str,
        /// Why.
        source: rustls::Error,
    },
}

impl HttpError {
    /// The key of the site file that has to be looked at.
    #[must_use]
    pub const fn part(&self) -> &'static str {
        match self {
            Self::Bind { .. } | Self::Plain { .. } => "http.listen",
            Self::File { part, .. } | Self::Pem { part, .. } | Self::Tls { part, .. } => part,
            Self::Random(_) | Self::SelfSigned { .. } => "http.tls",
        }
    }

    /// The error with its causes, in one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    }
}

fn bind_hint(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::AddrInUse {
        "the port is taken by another program; stop it (`ss -ltnp` names it) or set another http.listen"
    } else {
        "is it an address of this machine?"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_read_with_or_without_region() {
        for (text, want) in [
            ("pt-BR", Some(Language::Pt)),
            ("DE", Some(Language::De)),
            ("fr_CA", Some(Language::Fr)),
            ("nl", None),
            ("", None),
        ] {
            assert_eq!(Language::from_code(text), want, "{text:?}");
        }
    }
}
