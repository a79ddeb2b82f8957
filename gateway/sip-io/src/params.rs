//! What the engine is told: accounts, listeners, limits. The binary makes it of the site file.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use gateway_core::{AccountId, LineId, Manner, PanelId, Secret};
pub use gateway_media::AudioCodec;
use gateway_media::Capabilities;
use gateway_sip::Transport;
use gateway_sip::ua::{CredentialsMark, TrustId};
pub use gateway_sip::ua::{KeepAlive, KeepAliveWay, Privacy, Provisional, SessionTimer};

/// Whether media is protected by SRTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Srtp {
    /// Plain RTP only.
    #[default]
    Off,
    /// RTP/AVP with `a=crypto` or `a=fingerprint` is offered, and plain RTP accepted.
    Optional,
    /// RTP/SAVP or UDP/TLS/RTP/SAVP only; a plain answer ends the call.
    Required,
}

/// How the keys of SRTP are agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SrtpKeys {
    /// By a DTLS handshake on the media path (RFC 5763), and in no other way.
    Dtls,
    /// In the session description (SDES, RFC 4568); a handshake is taken from those who offer one.
    #[default]
    Sdes,
}

/// Which side of ICE we are (RFC 8445).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ice {
    /// Both check where they reach each other; lite peers are checked, too.
    Full,
    /// The other side may check, if it does so: we answer, and send where it chose.
    Lite,
    /// The addresses of the session descriptions count.
    #[default]
    Off,
}

/// Whom a TLS client trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTrust {
    /// PEM file with the certificates that may sign the peer's; `None` takes the system's bundle.
    pub ca_file: Option<PathBuf>,
    /// Check the peer's certificate. Off only for laboratories.
    pub verify: bool,
    /// Check also that it is for the name that is called.
    pub check_name: bool,
    /// What we show of ourselves to who asks for it (mutual TLS).
    pub identity: Option<TlsIdentity>,
}

impl Default for TlsTrust {
    fn default() -> Self {
        Self {
            ca_file: None,
            verify: true,
            check_name: true,
            identity: None,
        }
    }
}

/// Certificate and key of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// PEM file with the certificate chain, leaf first.
    pub cert_file: PathBuf,
    /// PEM file with the private key (PKCS#8, PKCS#1 or SEC1).
    pub key_file: PathBuf,
}

/// The TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsListener {
    /// What it shows of itself.
    pub identity: TlsIdentity,
    /// PEM file with the certificates that may sign those of who connects; whoever has none is not let in. `None` asks for
    /// none.
    pub client_ca_file: Option<PathBuf>,
}

impl TlsTrust {
    /// Reads the files and forgets them.
    ///
    /// # Errors
    /// [`SipError::TlsFile`](crate::SipError::TlsFile) names key and file.
    pub fn check(&self) -> Result<(), crate::SipError> {
        crate::net::tls::client(self).map(drop)
    }
}

impl TlsListener {
    /// Reads certificate and key, and whether they belong together, and whom it lets in.
    ///
    /// # Errors
    /// [`SipError::TlsFile`](crate::SipError::TlsFile) names key and file.
    pub fn check(&self) -> Result<(), crate::SipError> {
        crate::net::tls::server(self).map(drop)
    }
}

/// One account: a registration at a PBX, or a trunk that knows us by our address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountParams {
    /// Name of the account.
    pub id: AccountId,
    /// Host part of the address of record, and the registrar unless `proxy` is set: name or IP literal.
    pub domain: String,
    /// User part of the address of record.
    pub user: String,
    /// User name for digest authentication; `None` takes `user`.
    pub auth_user: Option<String>,
    /// Digest password.
    pub password: Secret,
    /// Shown to those we call unless the offer says otherwise.
    pub display: String,
    /// Transport to the registrar or proxy; `None` takes the one that DNS names (RFC 3263 §4.1), UDP if it names none.
    pub transport: Option<Transport>,
    /// Port at `domain`; `None` asks DNS for SRV and falls back to 5060 (5061 for TLS).
    pub port: Option<u16>,
    /// Outbound proxy `host`, `host:port` or `[v6]:port`; all requests go there.
    pub proxy: Option<String>,
    /// Routes of all requests outside calls, in place of `proxy`: SIP URIs, each with `lr`. The first is where they go.
    pub routes: Vec<String>,
    /// Hosts in From that are the PBX's beside `domain`, `proxy` and the addresses of both, names or IP literals; `None`: all are.
    pub caller_hosts: Option<Vec<String>>,
    /// Lifetime asked for at the registrar, 60 s to 1 d.
    pub expires: Duration,
    /// False: no REGISTER; usable at once.
    pub register: bool,
    /// Whether our calls are made without saying who we are.
    pub privacy: Privacy,
    /// Reliable provisional responses (RFC 3262).
    pub provisional: Provisional,
    /// Publish whether it can be called (RFC 3903).
    pub publish: bool,
    /// How the way to its PBX is kept open.
    pub keep_alive: KeepAlive,
    /// How those are asked to ring who are called through it, where the call says nothing.
    pub manner: Manner,
    /// Codecs that are offered and taken, best first.
    pub codecs: Vec<AudioCodec>,
    /// SRTP policy.
    pub srtp: Srtp,
    /// How its keys are agreed on.
    pub srtp_keys: SrtpKeys,
    /// ICE.
    pub ice: Ice,
    /// Media goes where the other side's comes from, and not only where it was announced.
    pub symmetric: bool,
    /// While nobody speaks next to nothing is sent, to who wants it so, and wanted.
    pub silences: bool,
    /// Calls are offered with the profile of feedback (RFC 4585).
    pub feedback: bool,
    /// Session timers (RFC 4028); `None`: none.
    pub timer: Option<SessionTimer>,
    /// TLS trust, used if `transport` is TLS.
    pub tls: TlsTrust,
    /// Whom calls over this account can be for.
    pub callees: Callees,
}

impl AccountParams {
    /// Says whether its credentials are the same without saying what they are.
    #[must_use]
    pub fn mark(&self) -> CredentialsMark {
        CredentialsMark::of(&crate::convert::ua_account(self, TrustId::default()))
    }
}

/// Whom a call that comes in can be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callee {
    /// Line whose audio it gets.
    pub line: LineId,
    /// Names and numbers it is called by: user parts of the Request-URI (RFC 3261 §8.2.2.1).
    pub names: Vec<String>,
    /// The panel.
    pub panel: PanelId,
}

/// Whom calls that come in one way can be for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callees {
    /// Those that are called by name.
    pub named: Vec<Callee>,
    /// Who is called by any other name. Without one such a call is for nobody, so that no caller stands before another
    /// door than he thinks.
    pub otherwise: Option<Callee>,
}

impl Callees {
    /// Whom a call for `name` is for.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Callee> {
        let named = |callee: &&Callee| callee.names.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.named.iter().find(named).or(self.otherwise.as_ref())
    }
}

/// Everything the engine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipParams {
    /// Accounts; ids are unique.
    pub accounts: Vec<AccountParams>,
    /// Address of listeners and media. The unspecified address of either family binds all addresses of both.
    pub bind: IpAddr,
    /// UDP listener and source port; 0 takes a free port.
    pub udp_port: u16,
    /// TCP listener; `None` opens none, 0 takes a free port.
    pub tcp_port: Option<u16>,
    /// TLS listener; `None` opens none, 0 takes a free port. Needs `tls_identity`.
    pub tls_port: Option<u16>,
    /// Certificates of the TLS listener.
    pub tls_identity: Option<TlsListener>,
    /// Mark of SIP messages: differentiated services code point, 0 to 63 (RFC 2474 §3).
    pub dscp: u8,
    /// Mark of RTP and RTCP, likewise.
    pub rtp_dscp: u8,
    /// Ports for RTP and RTCP; pairs start at even numbers.
    pub rtp_ports: RangeInclusive<u16>,
    /// Addresses that may send INVITE without a registered flow.
    pub direct_peers: BTreeSet<IpAddr>,
    /// Whom calls from direct peers can be for.
    pub direct_callees: Callees,
    /// Codecs of calls without an account, best first.
    pub direct_codecs: Vec<AudioCodec>,
    /// SRTP policy of calls without an account.
    pub direct_srtp: Srtp,
    /// How its keys are agreed on.
    pub direct_srtp_keys: SrtpKeys,
    /// ICE in calls without an account.
    pub direct_ice: Ice,
    /// Media of calls without an account goes where the other side's comes from.
    pub direct_symmetric: bool,
    /// Whether silence is sent in calls without an account, as [`AccountParams::silences`].
    pub direct_silences: bool,
    /// Profile of calls without an account, as [`AccountParams::feedback`].
    pub direct_feedback: bool,
    /// TLS trust of direct calls to `sips:` or `transport=tls` targets.
    pub direct_tls: TlsTrust,
    /// `User-Agent` and `Server`: `Doorline/<version>`.
    pub user_agent: String,
    /// Stable name of this gateway, the same over restarts: goes into Contact user parts and `+sip.instance`
    /// (RFC 5626 §4.1). 16 bytes, made once and kept.
    pub instance: [u8; 16],
    /// Calls at one time, both directions; more are refused with 486.
    pub max_calls: usize,
    /// Where others beyond a router see us: told to them for media instead of our own address.
    pub public_address: Option<IpAddr>,
    /// `host:port` of a STUN server that says so where `public_address` does not.
    pub stun: Option<String>,
}

impl Default for SipParams {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            bind: IpAddr::from([0, 0, 0, 0]),
            udp_port: 5060,
            tcp_port: Some(5060),
            tls_port: None,
            tls_identity: None,
            // CS5, signalling, and EF, telephony (RFC 4594 §4)
            dscp: 40,
            rtp_dscp: 46,
            rtp_ports: 16384..=16583,
            direct_peers: BTreeSet::new(),
            direct_callees: Callees::default(),
            direct_codecs: Capabilities::default().codecs,
            direct_srtp: Srtp::Off,
            direct_srtp_keys: SrtpKeys::Sdes,
            direct_ice: Ice::Off,
            direct_symmetric: true,
            direct_silences: false,
            direct_feedback: false,
            direct_tls: TlsTrust::default(),
            user_agent: concat!("Doorline/", env!("CARGO_PKG_VERSION")).to_owned(),
            instance: [0; 16],
            max_calls: 64,
            public_address: None,
            stun: None,
        }
    }
}

/// Parameters that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// Two accounts have one id.
    #[error("account {0} is there twice")]
    DuplicateAccount(AccountId),
    /// The domain, user or proxy has characters that no SIP URI can hold.
    #[error("account {id}: {what} {found:?} cannot stand in a SIP URI")]
    NotAddressable {
        /// Which account.
        id: AccountId,
        /// `domain`, `user` or `proxy`.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// The media port range has fewer than two ports.
    #[error("rtp-ports {0}-{1} hold no pair of an even and the next port")]
    NoMediaPorts(u16, u16),
    /// A route that is no SIP URI, or not that of a loose router.
    #[error("account {id}: {found:?} is not the route of a loose router, such as <sip:edge.example;lr>")]
    NoRoute {
        /// Which account.
        id: AccountId,
        /// What was found.
        found: String,
    },
    /// A TLS listener without certificate.
    #[error("a TLS listener needs a certificate and a key")]
    NoTlsIdentity,
}

impl SipParams {
    /// What differs from `new` and cannot be changed while the engine runs.
    pub(crate) fn needs_restart(&self, new: &Self) -> Option<&'static str> {
        [
            (self.bind != new.bind, "sip.bind"),
            (self.udp_port != new.udp_port, "sip.udp-port"),
            (self.tcp_port != new.tcp_port, "sip.tcp-port"),
            (self.tls_port != new.tls_port, "sip.tls-port"),
            (self.tls_identity != new.tls_identity, "the TLS certificate"),
            (self.rtp_ports != new.rtp_ports, "sip.rtp-ports"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }

    /// Checks what can be checked without the network.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), ParamsError> {
        let mut seen = BTreeSet::new();
        for account in &self.accounts {
            if !seen.insert(account.id.clone()) {
                return Err(ParamsError::DuplicateAccount(account.id.clone()));
            }
            let proxy = account.proxy.clone().unwrap_or_default();
            for (what, text, empty_fits) in [
                ("domain", &account.domain, false),
                ("user", &account.user, false),
                ("proxy", &proxy, true),
            ] {
                let fits = text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"<>\"@,;?#\\ ".contains(&b))
                    && (empty_fits || !text.is_empty());
                if !fits {
                    return Err(ParamsError::NotAddressable {
                        id: account.id.clone(),
                        what,
                        found: text.clone(),
                    });
                }
            }
            for route in &account.routes {
                if crate::convert::route(route).is_none() {
                    return Err(ParamsError::NoRoute {
                        id: account.id.clone(),
                        found: route.clone(),
                    });
                }
            }
        }
        let (low, high) = (*self.rtp_ports.start(), *self.rtp_ports.end());
        if u32::from(low) + u32::from(low % 2) + 1 > u32::from(high) {
            return Err(ParamsError::NoMediaPorts(low, high));
        }
        if self.tls_port.is_some() && self.tls_identity.is_none() {
            return Err(ParamsError::NoTlsIdentity);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> AccountParams {
        AccountParams {
            id: AccountId::new(id).expect("a name"),
            domain: "pbx.example".into(),
            user: "503".into(),
            auth_user: None,
            password: Secret::new("x"),
            display: String::new(),
            transport: Some(Transport::Udp),
            port: None,
            proxy: None,
            routes: Vec::new(),
            caller_hosts: Some(Vec::new()),
            expires: Duration::from_secs(300),
            register: true,
            privacy: Privacy::Off,
            provisional: Provisional::default(),
            publish: false,
            keep_alive: KeepAlive::default(),
            manner: Manner::default(),
            codecs: vec![AudioCodec::Pcma],
            srtp: Srtp::Off,
            srtp_keys: SrtpKeys::Sdes,
            ice: Ice::Off,
            symmetric: true,
            silences: false,
            feedback: false,
            timer: Some(SessionTimer::default()),
            tls: TlsTrust::default(),
            callees: Callees::default(),
        }
    }

    #[test]
    fn of_several_only_who_has_the_name_is_called() {
        let name = |n: &str| Callee {
            line: LineId::new("riser").expect("a name"),
            names: vec![n.to_owned(), format!("50{n}")],
            panel: PanelId::new(n).expect("a name"),
        };
        let mut callees = Callees {
            named: vec![name("a"), name("b")],
            otherwise: None,
        };
        let called = |callees: &Callees, by| callees.of(by).map(|found| found.panel.to_string());
        assert_eq!(called(&callees, "b"), Some("b".into()));
        assert_eq!(called(&callees, "50A"), Some("a".into()));
        assert_eq!(called(&callees, "c"), None);
        assert_eq!(called(&callees, ""), None);
        callees.otherwise = Some(name("b"));
        assert_eq!(called(&callees, "a"), Some("a".into()));
        assert_eq!(called(&callees, "c"), Some("b".into()));
    }

    #[test]
    fn faults_of_parameters_are_named() {
        let mut params = SipParams::default();
        assert_eq!(params.check(), Ok(()));
        params.accounts = vec![account("a"), account("a")];
        assert!(matches!(params.check(), Err(ParamsError::DuplicateAccount(_))));
        params.accounts = vec![account("a")];
        params.accounts[0].routes = vec!["<sip:edge.example;lr>".into()];
        assert_eq!(params.check(), Ok(()));
        for bad in ["<sip:edge.example>", "edge", "<tel:+1;lr>", ""] {
            params.accounts[0].routes[0] = bad.into();
            assert!(
                matches!(params.check(), Err(ParamsError::NoRoute { .. })),
                "{bad}"
            );
        }
        params.accounts[0].domain = "pbx.example>\r\nX: y".into();
        assert!(matches!(
            params.check(),
            Err(ParamsError::NotAddressable { what: "domain", .. })
        ));
        params.accounts.clear();
        params.rtp_ports = 4001..=4002;
        assert!(matches!(
            params.check(),
            Err(ParamsError::NoMediaPorts(4001, 4002))
        ));
        params.rtp_ports = 4001..=4003;
        assert_eq!(params.check(), Ok(()));
        params.tls_port = Some(0);
        assert_eq!(params.check(), Err(ParamsError::NoTlsIdentity));
    }
}
