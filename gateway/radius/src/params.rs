//! What the binary gives to start.

use std::time::Duration;

use gateway_core::Secret;

/// A RADIUS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// UDP port for accounting.
    pub accounting_port: u16,
    /// Name or IP address; IPv6 in brackets.
    pub host: String,
    /// UDP port for logins.
    pub port: u16,
    /// Shared secret.
    pub secret: Secret,
}

/// Parameters of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Tell the servers when sessions begin and end.
    pub accounting: bool,
    /// What we call ourselves there (NAS-Identifier).
    pub nas_identifier: String,
    /// Answers to logins count only with a Message-Authenticator.
    pub require_message_authenticator: bool,
    /// In the order in which they are asked, at least one.
    pub servers: Vec<Server>,
    /// How long one try waits.
    pub timeout: Duration,
    /// How often a server is asked before the next one is, at least once.
    pub tries: u8,
}
