//! `[logins]`: who may log in at the page besides the users of this gateway.

use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{DoorId, Secret};

use crate::describe::table;
use crate::rules::{Flag, Path, int, list, ms, parsed, password, refer, table, text, text_or, word};
use crate::value::{HostPort, UserScope};

table! {
    /// Who may log in at page and API besides the users of this gateway, who always come first.
    pub struct Logins {
        /// RADIUS servers that are asked about names this gateway does not know.
        radius: Option<Radius> = "radius", table(), optional, Restart;
    }
}

table! {
    /// Logins that RADIUS servers vouch for (PAP). Service-Type Administrative-User makes an administrator, Login-User
    /// a user; nothing else lets anybody in. `docs/radius.md` says what to set at the server.
    pub struct Radius {
        /// Servers in the order in which they are asked, 1 to 3: HOST, HOST:PORT, or a table. Servers times `tries`
        /// times `timeout-ms` is at most 12 s.
        servers: Vec<RadiusServer> = "servers", list(text_or("address", RadiusServer::of), 1, 3), required, Restart;
        /// Secret shared with the servers; `secret-file` keeps it out of this file. At least 16 random characters:
        /// it is all that protects the passwords on their way.
        secret: Option<Secret> = "secret", password(), optional, Restart;
        /// File that holds the secret in its first line. It must not be readable by other users. A relative path
        /// starts at the folder of this file.
        secret_file: Option<PathBuf> = "secret-file", Path, optional, Restart;
        /// How long a try waits for an answer, 200 to 5000 ms.
        timeout: Duration = "timeout-ms", ms(200, 5000), or("2000"), Restart;
        /// How often a server is asked before the next one is.
        tries: u8 = "tries", int(1, 5), or("2"), Restart;
        /// Believe only answers with a Message-Authenticator. False also takes answers without one: who is on the way
        /// can then turn a refusal into an administrator (CVE-2024-3596).
        require_message_authenticator: bool = "require-message-authenticator", Flag, or("true"), Restart;
        /// Tell the servers when sessions begin and end (RFC 2866).
        accounting: bool = "accounting", Flag, or("true"), Restart;
        /// What the gateway calls itself (NAS-Identifier), 1 to 64 characters; without it `site.id`.
        nas_identifier: Option<String> = "nas-identifier", text(1, 64), optional, Restart;
        /// What users (Login-User) may do. Administrators may everything.
        user_scopes: Vec<UserScope> = "user-scopes", list(word(), 1, 3), or("[\"read\"]"), Restart;
        /// Doors that users see, and open if they may; without it every door.
        user_doors: Option<Vec<DoorId>> = "user-doors", list(refer("door"), 1, 64), optional, Restart;
    }
}

table! {
    /// A RADIUS server.
    pub struct RadiusServer {
        /// HOST or HOST:PORT; without port 1812.
        address: HostPort = "address", parsed(), required, Restart;
        /// Port for accounting; without it the one after the port for logins.
        accounting_port: Option<u16> = "accounting-port", int(1, 65535), optional, Restart;
        /// Secret shared with this server, where it is another one.
        secret: Option<Secret> = "secret", password(), optional, Restart;
        /// File that holds this secret in its first line, as `secret-file` of `[logins.radius]`.
        secret_file: Option<PathBuf> = "secret-file", Path, optional, Restart;
    }
}

impl RadiusServer {
    /// Port for logins (RFC 2865 §3).
    const PORT: u16 = 1812;

    const fn of(address: HostPort) -> Self {
        Self {
            address,
            accounting_port: None,
            secret: None,
            secret_file: None,
        }
    }

    /// Ports for logins and for accounting.
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        let port = self.address.port.unwrap_or(Self::PORT);
        (port, self.accounting_port.unwrap_or(port.saturating_add(1)))
    }
}
