//! Addresses of HTTP servers.

/// Where an HTTP server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// Name or address; IPv6 in brackets.
    pub host: String,
    /// Path and query; may be secret, and stands in no error.
    pub path: String,
    /// Port.
    pub port: u16,
    /// Under TLS?
    pub tls: bool,
}

impl HttpUrl {
    /// Host, and the port unless it is the usual one (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}
