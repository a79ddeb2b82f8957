//! One account: what it is told, its registration, and what the registrar told us.

use std::fmt::Write as _;
use std::net::IpAddr;

use gateway_core::{AccountState, Instant, Standing};
use sha2::{Digest as _, Sha256};

use super::auth::Auth;
use super::backoff::Backoff;
use super::hop::Reached;
use super::keepalive::Probe;
use super::publish::Publication;
use super::seen::Seen;
use super::tries::Tries;
use super::types::UaAccount;
use crate::transaction::TransactionId;
use crate::{Flow, Host, NameAddr, Response, Transport, Uri};

/// What the registration does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not registered until its doors can be called again.
    Away,
    /// Deregistering; the account goes away.
    Leaving { tx: TransactionId },
    /// Nothing more to do.
    Left,
    /// Waits until the account whose place it takes has deregistered, at most until `Registration::due`.
    Queued,
    /// REGISTER is on its way.
    Registering { tx: TransactionId },
    /// Waits until `Registration::due`.
    Resting,
    /// Waits for its hop.
    Reaching,
    /// No registration is wanted.
    Trunk,
}

/// The registration of one account (RFC 3261 §10).
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) backoff: Backoff,
    pub(crate) call_id: String,
    /// When to act next, if it is not up to the network.
    pub(crate) due: Option<Instant>,
    /// Lifetime to ask for, seconds; grows with 423.
    pub(crate) expires: u64,
    /// Where the binding was made.
    pub(crate) flow: Option<Flow>,
    /// Contacts were looked for after a refusal, since it was registered last.
    pub(crate) looked: bool,
    /// The refusal for whose sake the registrar is asked which Contacts it has.
    pub(crate) looks: Option<Box<Response>>,
    pub(crate) phase: Phase,
    /// When to send the next keep-alive over UDP.
    pub(crate) ping: Option<Instant>,
    pub(crate) seq: u32,
    /// The last state told.
    pub(crate) state: AccountState,
    pub(crate) tag: String,
    /// Challenges answered in this exchange.
    pub(crate) tries: u8,
    /// REGISTERs sent with credentials: the guard against locking the account at the PBX.
    pub(crate) tries_made: Tries,
    /// Some of them were told, to be kept.
    pub(crate) tries_told: bool,
    /// Contacts of ours that the registrar may still have.
    pub(crate) bound: Vec<Uri>,
    /// What the last REGISTER had.
    pub(crate) contact: Option<Uri>,
    /// Where the registrar sees us.
    pub(crate) seen: Seen,
    /// How often Contacts of an earlier start were looked for.
    pub(crate) sweeps: u8,
    /// Until when the binding at the registrar lives.
    pub(crate) valid_until: Option<Instant>,
}

/// An account at work.
#[derive(Debug)]
pub(crate) struct Account {
    /// User part of our Contact: stable, and hard to guess for strangers.
    pub(crate) auth: Auth,
    pub(crate) contact_user: String,
    pub(crate) params: UaAccount,
    pub(crate) probe: Probe,
    pub(crate) publication: Publication,
    /// Addresses of the hop when it was last reached.
    pub(crate) peers: Vec<IpAddr>,
    /// Over what that was.
    pub(crate) over: Option<Transport>,
    pub(crate) reg: Registration,
    /// Service-Route of the registrar (RFC 3608).
    pub(crate) service_route: Vec<NameAddr>,
    /// How it is with its doors.
    pub(crate) standing: Standing,
    /// It deregisters for a time only.
    pub(crate) stays: bool,
}

/// User part of the Contact of `id`: the same over restarts of one instance.
pub(crate) fn contact_user(instance: &[u8; 16], id: &str) -> String {
    let digest = Sha256::new().chain_update(instance).chain_update(id).finalize();
    let mut user = String::from("d-");
    for byte in &digest[..8] {
        write!(user, "{byte:02x}").expect("writing to a string");
    }
    user
}

impl Account {
    pub(crate) fn new(
        params: UaAccount,
        instance: &[u8; 16],
        call_id: String,
        tag: String,
        tries_made: Tries,
    ) -> Self {
        Self {
            auth: Auth::new(&params.auth_user, &params.password),
            contact_user: contact_user(instance, params.id.as_str()),
            over: None,
            peers: Vec::new(),
            probe: Probe::new(format!("{call_id}-options")),
            publication: Publication::default(),
            reg: Registration {
                backoff: Backoff::default(),
                bound: Vec::new(),
                call_id,
                contact: None,
                due: None,
                expires: params.expires.as_secs().clamp(30, 86_400),
                flow: None,
                looked: false,
                looks: None,
                phase: Phase::Resting,
                ping: None,
                seen: Seen::default(),
                seq: 0,
                state: AccountState::Off,
                sweeps: 0,
                tag,
                tries: 0,
                tries_told: !tries_made.is_empty(),
                tries_made,
                valid_until: None,
            },
            service_route: Vec::new(),
            standing: Standing::default(),
            stays: false,
            params,
        }
    }

    /// Its hop was reached.
    pub(crate) fn reached(&mut self, reached: &Reached) {
        self.peers.clone_from(&reached.peers);
        self.over = Some(reached.flow.transport);
    }

    /// Over what its messages go; `None` where DNS has not said yet.
    pub(crate) fn transport(&self) -> Option<Transport> {
        self.params.hop.transport.or(self.over)
    }

    /// Address of record.
    pub(crate) fn aor(&self) -> Uri {
        Uri::sip(Some(&self.params.user), self.params.domain.clone(), None)
    }

    /// The way of an account over UDP, if a request went over this connection for its size alone: nobody else knows of the connection.
    pub(crate) fn datagrams(&self, flow: &Flow) -> Option<Flow> {
        let moved = flow.transport == Transport::Tcp;
        self.reg
            .flow
            .filter(|own| moved && own.transport == Transport::Udp)
    }

    /// Routes that stand before all others (RFC 3261 §8.1.1.1): those of the configuration, else the outbound proxy.
    pub(crate) fn preset(&self) -> Vec<NameAddr> {
        if !self.params.routes.is_empty() {
            return self.params.routes.clone();
        }
        let proxy = self.params.proxy.then(|| {
            let hop = &self.params.hop;
            let host = crate::Host::parse(&hop.host).unwrap_or_else(|_| self.params.domain.clone());
            let mut uri = crate::SipUri::new(None, host, hop.port);
            if let Some(transport) = hop.transport.filter(|transport| transport.is_reliable()) {
                uri.params
                    .set("transport", &transport.as_via().to_ascii_lowercase());
            }
            uri.params.set_flag("lr");
            NameAddr::new(Uri::Sip(uri))
        });
        proxy.into_iter().collect()
    }

    /// Routes of a request outside dialogs: what was set before, then what the registrar wants.
    pub(crate) fn routes(&self) -> Vec<NameAddr> {
        let preset = self.preset();
        let same = |theirs: &NameAddr| {
            let ours = preset.first().and_then(|first| first.uri.as_sip());
            let (Some(ours), Some(theirs)) = (ours, theirs.uri.as_sip()) else {
                return false;
            };
            ours.host.same_as(&theirs.host) && ours.port == theirs.port
        };
        // A registrar behind the proxy usually repeats the proxy as its first Service-Route.
        let repeated = self.service_route.first().is_some_and(same);
        let before = preset.iter().filter(|_| !repeated);
        before.chain(&self.service_route).cloned().collect()
    }

    /// True if it goes away for good.
    pub(crate) const fn goes(&self) -> bool {
        matches!(self.reg.phase, Phase::Leaving { .. } | Phase::Left) && !self.stays
    }

    /// True if calls can be made and taken.
    pub(crate) const fn usable(&self) -> bool {
        matches!(self.reg.state, AccountState::Registered)
    }

    /// True if the PBX is being asked and has not failed since it was last registered, or since the start: whoever calls
    /// in this moment waits for its answer.
    pub(crate) const fn expected(&self) -> bool {
        matches!(self.reg.state, AccountState::Registering) && !self.reg.backoff.has_failed()
    }

    /// True if a number at this host is one of its PBX: of its domain, its proxy, an address of these, or of what else it is called.
    pub(crate) fn is_home(&self, host: &Host, flow: &Flow) -> bool {
        let Some(others) = &self.params.caller_hosts else {
            return true;
        };
        let reached = host.ip().is_some_and(|ip| {
            let ip = ip.to_canonical();
            self.peers.contains(&ip) || flow.remote.ip().to_canonical() == ip
        });
        reached
            || self.params.domain.same_as(host)
            || self.params.hop.host.eq_ignore_ascii_case(&host.to_string())
            || others.iter().any(|other| other.same_as(host))
    }

    /// True if `flow` is, or comes from, this account's PBX.
    ///
    /// A datagram's source address is easily forged, so that it vouches only for accounts that use UDP themselves.
    pub(crate) fn trusts(&self, flow: &Flow) -> bool {
        let as_good = match self.transport() {
            Some(Transport::Tcp) => flow.transport.is_reliable(),
            Some(Transport::Tls) => flow.transport == Transport::Tls,
            Some(Transport::Udp) => true,
            None => false,
        };
        self.reg.flow == Some(*flow) || (as_good && self.peers.contains(&flow.remote.ip().to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contact_user_is_stable_and_differs_by_account_and_instance() {
        let user = contact_user(&[1; 16], "pbx");
        assert_eq!(user, contact_user(&[1; 16], "pbx"));
        assert_ne!(user, contact_user(&[1; 16], "other"));
        assert_ne!(user, contact_user(&[2; 16], "pbx"));
        assert_eq!(user.len(), 18);
    }
}
