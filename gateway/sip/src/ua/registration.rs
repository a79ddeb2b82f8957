//! REGISTER (RFC 3261 §10, RFC 5626, RFC 3608): making, refreshing and removing the binding of an account.

use std::net::IpAddr;
use std::time::Duration;

use gateway_core::{AccountEvent, AccountId, AccountState, Instant};
use rand::Rng;

use super::UserAgent;
use super::account::Phase;
use super::agent::Use;
use super::hop::Reached;
use super::hops::Reach;
use crate::digest::DigestSession;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response, SipUri, Uri};

/// REGISTERs with credentials that may be refused within [`WINDOW`]: a wrong password must not lock the account.
const MOST_ATTEMPTS: usize = 4;
const WINDOW: Duration = Duration::from_secs(600);
/// Wait after a lost connection, at most: long enough not to storm the PBX with a hundred doors.
const RECONNECT_WITHIN_MS: u64 = 1000;
/// Longest wait for the answer to a deregistration.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Longest lifetime believed.
const MOST_EXPIRES: u64 = 86_400;

impl UserAgent {
    pub(crate) fn start_account(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.reg.phase = Phase::Reaching;
        account.reg.due = None;
        let (hop, registers) = (account.params.hop.clone(), account.params.register);
        if registers {
            self.tell_account(id, AccountState::Registering, None);
        }
        match self.reach(now, &hop, true) {
            Reach::Failed(why) => self.register_failed(now, id, &why),
            Reach::Up(reached) => self.registration_flow_up(now, id, &reached),
            Reach::Wait => {}
        }
    }

    pub(crate) fn registration_flow_up(&mut self, now: Instant, id: &AccountId, reached: &Reached) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.peers.clone_from(&reached.peers);
        if account.params.register {
            account.reg.tries = 0;
            self.register(now, id, reached.flow);
        } else {
            account.reg.flow = Some(reached.flow);
            if account.params.keep_alive.asks() {
                self.ask_trunk(now, id, reached.flow);
            } else {
                self.trunk_up(now, id, None);
            }
        }
    }

    /// A trunk counts as soon as its PBX has answered.
    fn ask_trunk(&mut self, now: Instant, id: &AccountId, flow: Flow) {
        self.tell_account(id, AccountState::Registering, None);
        match self.probe(now, id, flow) {
            Some(tx) => {
                if let Some(account) = self.accounts.get_mut(id) {
                    account.reg.phase = Phase::Registering { tx };
                }
            }
            None => self.register_rests(now, id, Duration::from_secs(5), "too many requests".to_owned()),
        }
    }

    fn register(&mut self, now: Instant, id: &AccountId, flow: Flow) {
        let Some(account) = self.accounts.get(id) else {
            return;
        };
        let expires = account.reg.expires;
        let Some(request) = self.register_request(id, flow, expires) else {
            return;
        };
        let with_credentials = has_credentials(&request);
        match self.layer.send_request(now, request, flow) {
            Ok(tx) => {
                self.uses.insert(tx, Use::Register(id.clone()));
                if let Some(account) = self.accounts.get_mut(id) {
                    if with_credentials {
                        account.reg.attempts.push_back(now);
                    }
                    account.reg.phase = Phase::Registering { tx };
                    account.reg.flow = Some(flow);
                    account.reg.due = None;
                }
            }
            Err(e) => self.register_rests(now, id, Duration::from_secs(5), e.to_string()),
        }
        self.pump(now);
    }

    fn register_request(&mut self, id: &AccountId, flow: Flow, expires: u64) -> Option<Request> {
        let instance = self.instance_urn();
        let user_agent = self.params.user_agent.clone();
        let account = self.accounts.get_mut(id)?;
        account.reg.seq += 1;
        let registrar = Uri::sip(None, account.params.domain.clone(), account.params.domain_port);
        let mut contact = NameAddr::new(contact_uri(&account.contact_user, &flow));
        contact.params.set("reg-id", "1");
        contact
            .params
            .set_quoted("+sip.instance", &format!("<{instance}>"));
        let aor = NameAddr::new(account.aor());
        let mut request = Request::new(Method::REGISTER, registrar);
        // Service-Route is for other requests; REGISTER takes what was set before (RFC 3608 §6.1).
        for route in account.preset() {
            request = request.with(HeaderName::Route, route.to_string());
        }
        let mut request = request
            .with(
                HeaderName::From,
                aor.clone().with_tag(&account.reg.tag).to_string(),
            )
            .with(HeaderName::To, aor.to_string())
            .with(HeaderName::CallId, account.reg.call_id.as_str())
            .with(HeaderName::CSeq, format!("{} REGISTER", account.reg.seq))
            .with(HeaderName::Contact, contact.to_string())
            .with(HeaderName::Expires, expires.to_string())
            .with(HeaderName::Supported, "path, outbound")
            .with(HeaderName::Allow, super::headers::ALLOW)
            .with(HeaderName::UserAgent, user_agent.as_str());
        account.auth.preempt(&mut request, &mut self.rng);
        Some(request)
    }

    fn instance_urn(&self) -> String {
        let hex: String = self.params.instance.iter().map(|b| format!("{b:02x}")).collect();
        format!(
            "urn:uuid:{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    pub(crate) fn register_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        id: AccountId,
        response: &Response,
    ) {
        if response.is_provisional() {
            self.uses.insert(tx, Use::Register(id));
            return;
        }
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        let leaving = matches!(account.reg.phase, Phase::Leaving);
        if !leaving && !matches!(account.reg.phase, Phase::Registering { tx: ours } if ours == tx) {
            return;
        }
        match response.code() {
            200..=299 if leaving => self.left(now, &id),
            200..=299 => self.registered(now, &id, response),
            401 | 407 => self.register_challenged(now, &id, response, leaving),
            _ if leaving => self.left(now, &id),
            423 => {
                let asked = response
                    .headers
                    .leading_number(&HeaderName::MinExpires)
                    .map_or(0, u64::from);
                if asked > account.reg.expires && asked <= MOST_EXPIRES {
                    account.reg.expires = asked;
                    if let Some(flow) = account.reg.flow {
                        self.register(now, &id, flow);
                    }
                } else {
                    self.register_refused(now, &id, response);
                }
            }
            _ => self.register_refused(now, &id, response),
        }
    }

    fn registered(&mut self, now: Instant, id: &AccountId, response: &Response) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let granted = granted(response, &account.contact_user)
            .unwrap_or(account.reg.expires)
            .clamp(1, MOST_EXPIRES);
        account.service_route = response
            .headers
            .addresses(&HeaderName::ServiceRoute)
            .unwrap_or_default();
        account.service_route.truncate(8);
        account.reg.attempts.clear();
        account.reg.backoff.reset();
        account.reg.phase = Phase::Resting;
        let lifetime = Duration::from_secs(granted);
        account.reg.valid_until = Some(now + lifetime);
        // Refresh with a fifth of the lifetime left, but with at least the 32 s of one lost transaction if it is
        // that long at all; spread a little so that the doors of a house do not march in step.
        let early = (lifetime / 5).max(Duration::from_secs(40).min(lifetime / 2));
        let refresh = (lifetime - early).mul_f64(self.rng.random_range(0.95..1.0));
        account.reg.due = Some(now + refresh);
        let (flow, before) = (account.reg.flow, account.reg.ping);
        account.reg.ping = account.params.keep_alive.next(now, flow.as_ref(), before);
        let first = account.reg.state != AccountState::Registered;
        let event = first.then_some(AccountEvent::Registered { expires_s: granted });
        self.tell_account(id, AccountState::Registered, event);
        if first {
            self.publish_anew(now, id);
        }
        self.account_settled(now, id);
    }

    fn register_challenged(&mut self, now: Instant, id: &AccountId, response: &Response, leaving: bool) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if is_stale(response) {
            // it was no password that was refused (RFC 7616 §3.3)
            account.reg.attempts.pop_back();
        }
        account.reg.attempts.retain(|at| now.since(*at) < WINDOW);
        let may = account.auth.take_challenge(response, account.reg.tries);
        account.reg.tries += 1;
        let Some(flow) = account.reg.flow.filter(|_| may) else {
            if leaving {
                self.left(now, id);
            } else {
                self.register_refused(now, id, response);
            }
            return;
        };
        if leaving {
            self.deregister(now, id, flow);
        } else if account.reg.attempts.len() >= MOST_ATTEMPTS {
            self.register_refused(now, id, response);
        } else {
            self.register(now, id, flow);
        }
    }

    /// A final refusal: tell it, and try again later.
    fn register_refused(&mut self, now: Instant, id: &AccountId, response: &Response) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let mut wait = account.reg.backoff.next(&mut self.rng);
        let unavailable = account.reg.flow.take_if(|_| response.code() == 503);
        let hop = account.params.hop.clone();
        let elsewhere = unavailable.is_some_and(|flow| self.hop_unavailable(&hop, flow.remote));
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        // what one server asks for is nothing to the next one
        if let Some(seconds) = response
            .headers
            .leading_number(&HeaderName::RetryAfter)
            .filter(|_| !elsewhere)
        {
            wait = wait.max(Duration::from_secs(u64::from(seconds).min(3600)));
        }
        account.reg.attempts.retain(|at| now.since(*at) < WINDOW);
        if account.reg.attempts.len() >= MOST_ATTEMPTS
            && let Some(oldest) = account.reg.attempts.front()
        {
            // The credentials are wrong until somebody changes them: the PBX is asked again when the window allows.
            wait = wait.max((*oldest + WINDOW).since(now));
        }
        account.auth.forget();
        let mut detail = response.status_line();
        if is_stale(response) {
            detail += ": the PBX calls each nonce stale that it has just given; look at its nonce lifetime and clock, not at the password";
        } else if matches!(response.code(), 401 | 403 | 407) {
            detail += ": the PBX does not take this account; check user, auth-user and password";
        }
        self.register_rests(now, id, wait, detail);
    }

    /// No answer, or no way to the registrar.
    pub(crate) fn register_failed(&mut self, now: Instant, id: &AccountId, why: &str) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if matches!(account.reg.phase, Phase::Leaving) {
            self.left(now, id);
            return;
        }
        let wait = account.reg.backoff.next(&mut self.rng);
        let hop = account.params.hop.clone();
        if matches!(account.reg.phase, Phase::Registering { .. }) {
            self.hop_silent(&hop);
        }
        self.register_rests(now, id, wait, why.to_owned());
    }

    pub(crate) fn register_rests(&mut self, now: Instant, id: &AccountId, wait: Duration, detail: String) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.reg.phase = Phase::Resting;
        account.reg.due = Some(now + wait);
        account.reg.flow = None;
        account.reg.valid_until = None;
        let retry_s = wait.as_secs().max(1);
        self.tell_account(
            id,
            AccountState::Failed,
            Some(AccountEvent::Failed { detail, retry_s }),
        );
        self.account_settled(now, id);
    }

    /// The timer of an account: refresh, or the next try.
    pub(crate) fn registration_due(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.reg.due = None;
        match (account.reg.phase.clone(), account.reg.flow) {
            (Phase::Resting, Some(flow)) if account.reg.valid_until.is_some() => {
                account.reg.tries = 0;
                self.register(now, id, flow);
            }
            (Phase::Resting, _) => self.start_account(now, id),
            (Phase::Leaving, _) => self.left(now, id),
            (Phase::Away | Phase::Left | Phase::Reaching | Phase::Registering { .. } | Phase::Trunk, _) => {}
        }
    }

    /// Others see us at another address: registrations over UDP with those who are `far` are refreshed at once, so that calls
    /// do not go to where we were until their lifetime is over. Connections find out by themselves (RFC 5626 §4.4).
    pub fn moved(&mut self, now: Instant, far: impl Fn(IpAddr) -> bool) {
        let moved: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(_, account)| {
                let over_udp = account.reg.flow.filter(|flow| !flow.transport.is_reliable());
                account.reg.phase == Phase::Resting
                    && account.reg.valid_until.is_some()
                    && over_udp.is_some_and(|flow| far(flow.remote.ip()))
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in moved {
            self.registration_due(now, &id);
        }
        self.drain(now);
    }

    /// The connection of a registration is gone: make a new one soon. Not told as a failure unless that fails.
    pub(crate) fn registration_flow_lost(&mut self, now: Instant, id: &AccountId, _why: &str) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.reg.flow = None;
        account.reg.valid_until = None;
        match account.reg.phase {
            Phase::Leaving => self.left(now, id),
            // The transaction on it fails by itself and starts the back-off.
            Phase::Registering { .. } | Phase::Away | Phase::Left | Phase::Reaching => {}
            Phase::Resting | Phase::Trunk => {
                account.reg.phase = Phase::Resting;
                let wait = self.rng.random_range(0..RECONNECT_WITHIN_MS);
                account.reg.due = Some(now + Duration::from_millis(wait));
                self.tell_account(id, AccountState::Registering, None);
            }
        }
    }

    /// Deregisters and forgets an account.
    pub(crate) fn leave(&mut self, now: Instant, id: &AccountId) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.stays = false;
        }
        self.depart(now, id);
    }

    /// Deregisters.
    pub(crate) fn depart(&mut self, now: Instant, id: &AccountId) {
        self.unpublish(now, id);
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        match (account.reg.flow, account.params.register) {
            (Some(flow), true) => self.deregister(now, id, flow),
            (Some(_) | None, _) => self.left(now, id),
        }
    }

    fn deregister(&mut self, now: Instant, id: &AccountId, flow: Flow) {
        let Some(request) = self.register_request(id, flow, 0) else {
            return;
        };
        let Ok(tx) = self.layer.send_request(now, request, flow) else {
            self.left(now, id);
            return;
        };
        self.uses.insert(tx, Use::Register(id.clone()));
        if let Some(account) = self.accounts.get_mut(id)
            && account.reg.phase != Phase::Leaving
        {
            account.reg.phase = Phase::Leaving;
            account.reg.tries = 0;
            account.reg.due = Some(now + LEAVE_WITHIN);
        }
        self.pump(now);
    }

    fn left(&mut self, now: Instant, id: &AccountId) {
        if self.stays_away(now, id) {
            return;
        }
        if let Some(account) = self.accounts.get_mut(id) {
            account.reg.phase = Phase::Left;
            account.reg.due = None;
            let told = account.reg.state == AccountState::Off;
            if !told {
                self.tell_account(id, AccountState::Off, Some(AccountEvent::Unregistered {}));
            }
            self.account_settled(now, id);
        }
    }
}

/// Our Contact on a flow.
pub(crate) fn contact_uri(user: &str, flow: &Flow) -> Uri {
    let mut uri = SipUri::new(Some(user), flow.local.ip().into(), Some(flow.local.port()));
    if flow.transport.is_reliable() {
        uri.params
            .set("transport", &flow.transport.as_via().to_ascii_lowercase());
    }
    Uri::Sip(uri)
}

/// The lifetime the registrar gave to our binding: its `expires` parameter, else the Expires header.
fn granted(response: &Response, user: &str) -> Option<u64> {
    let ours = response
        .headers
        .addresses(&HeaderName::Contact)
        .unwrap_or_default()
        .into_iter()
        .find(|contact| contact.uri.user().as_deref() == Some(user));
    let by_contact = ours.and_then(|contact| contact.params.get("expires")?.parse().ok());
    let by_header = || response.headers.expires().ok().flatten().map(u64::from);
    by_contact.or_else(by_header)
}

/// A challenge that finds no fault with the password.
fn is_stale(response: &Response) -> bool {
    DigestSession::from_response(response).is_ok_and(|session| session.challenge().stale)
}

fn has_credentials(request: &Request) -> bool {
    [HeaderName::Authorization, HeaderName::ProxyAuthorization]
        .iter()
        .any(|name| request.headers.get(name).is_some())
}
