//! What the binary gives to start.

use std::path::PathBuf;
use std::time::Duration;

use gateway_ldap::Query;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first octet on (`ldaps`).
    Ldaps,
    /// Not at all.
    Off,
    /// TLS before anything else is said (RFC 4511 §4.14).
    StartTls,
}

/// When the directory is read, besides at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// After each call.
    AfterCall,
    /// Again and again.
    Every(Duration),
    /// Not before the next start.
    Start,
}

/// Parameters of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Certificates, PEM, that the server's certificate must lead to; without it the machine's own.
    pub ca_file: Option<PathBuf>,
    /// File for the last good copy.
    pub copy: PathBuf,
    /// Name or IP address of the server; IPv6 in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What is looked for, and as whom. `start_tls` in it is set by `tls`.
    pub query: Query,
    /// When.
    pub refresh: Refresh,
    /// Protection.
    pub tls: Tls,
}

impl Params {
    /// What names the source of a copy: entries of another server, base, filter or attribute are not its.
    #[must_use]
    pub fn source(&self) -> String {
        let query = &self.query;
        let scheme = if self.tls == Tls::Ldaps { "ldaps" } else { "ldap" };
        format!(
            "{scheme}://{}:{}/{}?{}??{}",
            self.host,
            self.port,
            query.base,
            query.attributes.all().join(","),
            query.filter
        )
    }
}
