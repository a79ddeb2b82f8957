//! Keeping the way to a PBX open, and noticing that it is gone: CRLF (RFC 5626 §4.4.1), or OPTIONS (RFC 3261 §11), which
//! asks the PBX itself and not only the socket before it.
//!
//! CRLF goes by connection, OPTIONS by account. Any answer to OPTIONS shows that somebody is there, a refusal too. Without one
//! within [`ANSWER_WITHIN`] the next address of the PBX has its turn: an account registers again, a trunk counts as failed
//! until it is answered.

use std::time::Duration;

use gateway_core::{AccountEvent, AccountId, AccountState, Instant};

use super::UserAgent;
use super::account::Phase;
use super::agent::{Stream, Use};
use super::types::Output;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response, Uri};

/// Silence after which a connection of ours is pinged (RFC 5626 §4.4.1 asks for 95 to 120 s; NAT boxes for less), and time
/// between two OPTIONS.
const PING_AFTER: Duration = Duration::from_secs(30);
/// Time between two empty datagrams that keep the binding of a NAT box open; many forget one after 30 s.
const UDP_PING: Duration = Duration::from_secs(25);
/// Time for the pong.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Time for an answer to OPTIONS: over UDP it is sent five times by then (RFC 3261 §17.1.2.2).
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How the way to a PBX is kept open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// Time between two signs of life, 15 to 300 s; `None`: 25 s over UDP, else 30 s of silence.
    pub interval: Option<Duration>,
    /// By what.
    pub way: KeepAliveWay,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepAliveWay {
    /// Empty lines.
    #[default]
    Crlf,
    /// Nothing.
    Off,
    /// OPTIONS.
    Options,
}

/// OPTIONS of one account.
#[derive(Debug)]
pub(crate) struct Probe {
    call_id: String,
    seq: u32,
    /// One that has no answer yet.
    waits: Option<TransactionId>,
}

impl Probe {
    pub(crate) const fn new(call_id: String) -> Self {
        Self {
            call_id,
            seq: 0,
            waits: None,
        }
    }
}

impl KeepAlive {
    /// True if the PBX is asked before a trunk counts as usable.
    pub(crate) fn asks(self) -> bool {
        self.way == KeepAliveWay::Options
    }

    /// When the next sign of life of an account is due that has registered over `flow`, if one was due at `before`.
    pub(crate) fn next(self, now: Instant, flow: Option<&Flow>, before: Option<Instant>) -> Option<Instant> {
        let udp = flow.is_some_and(|flow| !flow.transport.is_reliable());
        let every = match self.way {
            KeepAliveWay::Crlf if udp => self.interval.unwrap_or(UDP_PING),
            // connections have a time of their own
            KeepAliveWay::Crlf | KeepAliveWay::Off => return None,
            KeepAliveWay::Options => self.interval.unwrap_or(PING_AFTER),
        };
        Some(before.unwrap_or(now + every))
    }
}

impl UserAgent {
    /// Only connections that we opened are pinged: the other side of accepted ones does that itself.
    pub(crate) fn ping_due(&self, flow: &Flow, stream: &Stream) -> Option<Instant> {
        if !self.hops.values().any(|slot| slot.is_on(flow)) {
            return None;
        }
        let after = self.quiet(flow)?;
        Some(match stream.pinged {
            Some(at) if stream.answers => at + PONG_WITHIN,
            Some(at) => at + after,
            None => stream.quiet_since + after,
        })
    }

    /// The silence that the accounts of a connection bear; `None` if none of them wants empty lines.
    fn quiet(&self, flow: &Flow) -> Option<Duration> {
        let of_it = self
            .accounts
            .values()
            .filter(|account| account.reg.flow == Some(*flow));
        let mut all = of_it.map(|account| account.params.keep_alive).peekable();
        if all.peek().is_none() {
            return Some(PING_AFTER);
        }
        all.filter(|keep| keep.way == KeepAliveWay::Crlf)
            .map(|keep| keep.interval.unwrap_or(PING_AFTER))
            .min()
    }

    pub(crate) fn keep_alive(&mut self, now: Instant) {
        let (mut pings, mut probes) = (Vec::new(), Vec::new());
        for (id, account) in &mut self.accounts {
            let keep = account.params.keep_alive;
            let reg = &mut account.reg;
            if reg.ping.is_none_or(|at| at > now) {
                continue;
            }
            match keep.way {
                KeepAliveWay::Crlf => {
                    reg.ping = reg.flow.and_then(|flow| keep.next(now, Some(&flow), None));
                    pings.extend(reg.flow.filter(|flow| !pings.contains(flow)));
                }
                KeepAliveWay::Off => reg.ping = None,
                KeepAliveWay::Options => probes.push(id.clone()),
            }
        }
        for flow in pings {
            self.send_bytes(flow, b"\r\n\r\n".to_vec());
        }
        for id in probes {
            self.probe_due(now, &id);
        }
        let due: Vec<Flow> = self
            .streams
            .iter()
            .filter(|(flow, stream)| self.ping_due(flow, stream).is_some_and(|at| at <= now))
            .map(|(flow, _)| *flow)
            .collect();
        for flow in due {
            let Some(stream) = self.streams.get_mut(&flow) else {
                continue;
            };
            if stream.pinged.is_some() && stream.answers {
                self.out.push_back(Output::Close { flow });
                self.closed(now, flow, "keep-alive not answered");
            } else {
                stream.pinged = Some(now);
                self.send_bytes(flow, b"\r\n\r\n".to_vec());
            }
        }
    }

    /// It is time to ask, or an answer is overdue.
    fn probe_due(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if let Some(tx) = account.probe.waits {
            self.uses.remove(&tx);
            let why = format!("OPTIONS were not answered within {} s", ANSWER_WITHIN.as_secs());
            self.probe_lost(now, id, &why);
            return;
        }
        match account.reg.flow {
            Some(flow) => {
                self.probe(now, id, flow);
            }
            None => account.reg.ping = None,
        }
    }

    /// Asks the PBX of an account; gives the transaction.
    pub(crate) fn probe(&mut self, now: Instant, id: &AccountId, flow: Flow) -> Option<TransactionId> {
        let user_agent = self.params.user_agent.clone();
        let tag = self.new_tag();
        let account = self.accounts.get_mut(id)?;
        account.probe.seq = account.probe.seq.wrapping_add(1) & 0x7fff_ffff;
        let pbx = Uri::sip(None, account.params.domain.clone(), account.params.domain_port);
        let mut request = Request::new(Method::OPTIONS, pbx.clone());
        for route in account.routes() {
            request = request.with(HeaderName::Route, route.to_string());
        }
        let request = request
            .with(
                HeaderName::From,
                NameAddr::new(account.aor()).with_tag(&tag).to_string(),
            )
            .with(HeaderName::To, NameAddr::new(pbx).to_string())
            .with(HeaderName::CallId, account.probe.call_id.as_str())
            .with(HeaderName::CSeq, format!("{} OPTIONS", account.probe.seq))
            .with(HeaderName::Accept, super::headers::SDP)
            .with(HeaderName::UserAgent, user_agent.as_str());
        let tx = self.layer.send_request(now, request, flow).ok();
        if let Some(account) = self.accounts.get_mut(id) {
            account.probe.waits = tx;
            account.reg.ping = Some(now + ANSWER_WITHIN);
        }
        if let Some(tx) = tx {
            self.uses.insert(tx, Use::Probe(id.clone()));
        }
        self.pump(now);
        tx
    }

    /// Somebody is there, whatever he says.
    pub(crate) fn probe_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        id: AccountId,
        response: &Response,
    ) {
        if response.is_provisional() {
            self.uses.insert(tx, Use::Probe(id));
            return;
        }
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        if account.probe.waits != Some(tx) {
            return;
        }
        account.probe.waits = None;
        let keep = account.params.keep_alive;
        account.reg.ping = keep.next(now, account.reg.flow.as_ref(), None);
        if account.reg.phase == (Phase::Registering { tx }) {
            // one that failed before is told to be back
            let every = keep.interval.unwrap_or(PING_AFTER).as_secs();
            let back = account.reg.backoff.has_failed();
            let event = back.then_some(AccountEvent::Registered { expires_s: every });
            self.trunk_up(now, &id, event);
        }
    }

    /// Nobody is there.
    pub(crate) fn probe_lost(&mut self, now: Instant, id: &AccountId, why: &str) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.probe.waits = None;
        account.reg.ping = None;
        let hop = account.params.hop.clone();
        match (&account.reg.phase, account.params.register) {
            (Phase::Resting, true) if account.reg.valid_until.is_some() => {
                self.hop_silent(&hop);
                self.registration_flow_lost(now, id, why);
            }
            (Phase::Registering { .. } | Phase::Trunk, false) => {
                self.hop_silent(&hop);
                let Some(account) = self.accounts.get_mut(id) else {
                    return;
                };
                let wait = account.reg.backoff.next(&mut self.rng);
                self.register_rests(now, id, wait, why.to_owned());
            }
            (
                Phase::Away
                | Phase::Leaving { .. }
                | Phase::Left
                | Phase::Queued
                | Phase::Reaching
                | Phase::Registering { .. }
                | Phase::Resting
                | Phase::Trunk,
                _,
            ) => {}
        }
    }

    /// A trunk can be used.
    pub(crate) fn trunk_up(&mut self, now: Instant, id: &AccountId, event: Option<AccountEvent>) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.reg.phase = Phase::Trunk;
        account.reg.backoff.reset();
        self.tell_account(id, AccountState::Registered, event);
        self.publish_anew(now, id);
        self.account_settled(now, id);
    }
}
