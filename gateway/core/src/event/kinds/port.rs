//! The switch port of the gateway.

events! {
    /// The switch port that the gateway is plugged into, as its IEEE 802.1X supplicant sees it. Every event that is
    /// a fault says in `text` what was found and what to do.
    PortEvent {
        /// Nobody answers at the other end of the cable: a switch without 802.1X, or one that is starting.
        AuthenticatorSilent = "authenticator-silent" {
            /// For how long.
            silent_s: u64,
            /// What, and what to do.
            text: String,
        },
        /// The switch lets the gateway in.
        Authorized = "authorized" {
            /// Method inside the tunnel, empty without one.
            inner: String,
            /// EAP method.
            method: String,
            /// TLS version, empty without TLS.
            tls: String,
        },
        /// The cable is in again, or the switch is back.
        CarrierFound = "carrier-found" {},
        /// The cable is out, or the switch is off.
        CarrierLost = "carrier-lost" {
            /// What, and what to do.
            text: String,
        },
        /// A certificate of the port's configuration ends soon, or has ended.
        CertificateExpires = "certificate-expires" {
            /// Whole days left; 0 on the last day, negative afterwards.
            days: i64,
            /// Which part of the configuration.
            part: String,
            /// What, and what to do.
            text: String,
        },
        /// A certificate of which the end was told does not end soon: the clock was wrong.
        CertificateGoesOn = "certificate-goes-on" {
            /// Which part of the configuration.
            part: String,
        },
        /// The authentication server refused user, password or client certificate.
        CredentialsRefused = "credentials-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The machine has no interface of that name, or the one it had was unplugged or renamed.
        InterfaceAbsent = "interface-absent" {
            /// What, and what to do.
            text: String,
        },
        /// Another program looks after the port.
        ManagedElsewhere = "managed-elsewhere" {
            /// Which.
            manager: String,
            /// What, and what to do.
            text: String,
        },
        /// The supplicant cannot use a file or passphrase it was given.
        MaterialRefused = "material-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The authentication server wants another EAP method.
        MethodRefused = "method-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The port is authorized by what the switch said last, but no neighbour answers any more.
        NeighboursSilent = "neighbours-silent" {
            /// What, and what to do.
            text: String,
        },
        /// An authorized port was closed, because a re-authentication was refused.
        ReauthenticationRefused = "reauthentication-refused" {
            /// What, and what to do.
            text: String,
        },
        /// The gateway no longer looks after the port: its configuration changed, or it stops.
        Released = "released" {},
        /// The switch answers, but the conversation with the authentication server does not get on: RADIUS is down.
        ServerSilent = "server-silent" {
            /// For how long.
            silent_s: u64,
            /// What, and what to do.
            text: String,
        },
        /// The server's certificate does not prove that it is the configured server. No password was sent.
        ServerUntrusted = "server-untrusted" {
            /// Why: `expired`, `name-mismatch`, `not-yet-valid`, `other`, `revoked`, `unknown-ca`.
            reason: String,
            /// What, and what to do.
            text: String,
        },
        /// The supplicant program does not run; it is started again.
        SupplicantFailed = "supplicant-failed" {
            /// What, and what to do.
            text: String,
        },
    }
}

impl PortEvent {
    /// What stands from this event on about the port itself: a fault, or none (`Some(None)`). `None` if the event
    /// does not tell: a cable that is in again is not yet a port that is open.
    #[must_use]
    pub fn standing(&self) -> Option<Option<&str>> {
        match self {
            Self::Authorized { .. } | Self::Released {} => Some(None),
            Self::CarrierFound {} | Self::CertificateExpires { .. } | Self::CertificateGoesOn { .. } => None,
            Self::AuthenticatorSilent { text, .. }
            | Self::CarrierLost { text }
            | Self::CredentialsRefused { text }
            | Self::InterfaceAbsent { text }
            | Self::ManagedElsewhere { text, .. }
            | Self::MaterialRefused { text }
            | Self::MethodRefused { text }
            | Self::NeighboursSilent { text }
            | Self::ReauthenticationRefused { text }
            | Self::ServerSilent { text, .. }
            | Self::ServerUntrusted { text, .. }
            | Self::SupplicantFailed { text } => Some(Some(text)),
        }
    }
}
