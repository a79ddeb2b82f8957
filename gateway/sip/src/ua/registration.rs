//! REGISTER (RFC 3261 §10, RFC 5626, RFC 3608): making, refreshing and removing the binding of an account.

use std::net::IpAddr;
use std::time::Duration;

use gateway_core::{AccountEvent, AccountId, AccountState, Instant};
use rand::{Rng, RngCore};

use super::UserAgent;
use super::account::{Account, Phase, Registration};
use super::agent::Use;
use super::hop::Reached;
use super::hops::Reach;
use super::seen::{Seen, contact_uri};
use super::types::UaParams;
use crate::digest::DigestSession;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response, SipUri, Uri};

/// Least time between two refreshes: a registrar that grants less than twice that is asked no more often.
const LEAST_REFRESH: Duration = Duration::from_secs(5);
/// Why an account waits that may not be tried.
const SPENT: &str = "the PBX has refused these credentials four times within ten minutes: check user, auth-user and password; others \
                     are tried at once";
/// Wait after a lost connection, at most: long enough not to storm the PBX with a hundred doors.
const RECONNECT_WITHIN_MS: u64 = 1000;
/// Longest wait for the answer to a deregistration.
pub(crate) const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Contacts taken back with one REGISTER: a datagram has to hold them.
const MOST_OLD: usize = 4;
/// Registrations out of turn to take back those of earlier starts.
const MOST_SWEEPS: u8 = 4;
/// Longest lifetime believed.
const MOST_EXPIRES: u64 = 86_400;

impl UserAgent {
    pub(crate) fn start_account(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.reg.phase = Phase::Reaching;
        account.reg.due = None;
        let wait = account.reg.tries_made.wait(now);
        if account.params.register && !wait.is_zero() {
            self.register_rests(now, id, wait, SPENT.to_owned());
            return;
        }
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
        account.reached(reached);
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
                        account.reg.tries_made.count(now);
                        if account.reg.looks.is_none() {
                            account.reg.may_have_bound();
                        }
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
        let account = self.accounts.get_mut(id)?;
        Some(account.register_request(&self.params, flow, expires, &mut self.rng))
    }

    pub(crate) fn register_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        id: AccountId,
        response: &Response,
    ) {
        if self.leaver_answered(now, tx, response) {
            return;
        }
        if response.is_provisional() {
            self.uses.insert(tx, Use::Register(id));
            return;
        }
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        let leaving = account.reg.phase == Phase::Leaving { tx };
        if !leaving && account.reg.phase != (Phase::Registering { tx }) {
            return;
        }
        if let Some(flow) = account.reg.flow {
            account.reg.seen.hear(&flow, response);
        }
        let challenged = matches!(response.code(), 401 | 407);
        if let Some(refusal) = account.reg.looks.take_if(|_| !challenged) {
            self.looked(now, &id, &refusal, response);
            return;
        }
        match response.code() {
            200..=299 if leaving => {
                account.reg.tries_made.clear();
                self.left(now, &id);
            }
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
            403 if self.looks(now, &id, response) => {}
            _ => self.register_refused(now, &id, response),
        }
    }

    fn registered(&mut self, now: Instant, id: &AccountId, response: &Response) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let granted = granted(response, account.reg.contact.as_ref(), &account.contact_user)
            .unwrap_or(account.reg.expires)
            .min(MOST_EXPIRES);
        if granted == 0 {
            let wait = account.reg.backoff.next(&mut self.rng);
            let detail = format!(
                "{}: but for no time at all (expires=0); asked for {} s",
                response.status_line(),
                account.reg.expires
            );
            self.register_rests(now, id, wait, detail);
            return;
        }
        account.service_route = response
            .headers
            .addresses(&HeaderName::ServiceRoute)
            .unwrap_or_default();
        account.service_route.truncate(8);
        account.reg.tries_made.clear();
        account.reg.looked = false;
        account.reg.backoff.reset();
        account.reg.phase = Phase::Resting;
        let lifetime = Duration::from_secs(granted);
        account.reg.valid_until = Some(now + lifetime);
        // Refresh with a fifth of the lifetime left, but with at least the 32 s of one lost transaction if it is
        // that long at all; spread a little so that the doors of a house do not march in step.
        let early = (lifetime / 5).max(Duration::from_secs(40).min(lifetime / 2));
        let refresh = (lifetime - early).mul_f64(self.rng.random_range(0.95..1.0));
        account.reg.due = Some(now + refresh.max(LEAST_REFRESH));
        let old = account
            .reg
            .took_hold(response, &format!("<{}>", instance_urn(&self.params.instance)));
        let public = self.params.public_address;
        let moves = account
            .reg
            .flow
            .is_some_and(|flow| account.reg.seen.moves(now, public, &flow));
        if old || moves {
            account.reg.due = Some(now);
        }
        let (flow, before) = (account.reg.flow, account.reg.ping);
        account.reg.ping = account.params.keep_alive.next(now, flow.as_ref(), before);
        let first = account.reg.state != AccountState::Registered;
        let event = first.then_some(AccountEvent::Registered { expires_s: granted });
        self.tell_tries(now, id);
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
        let again = account.auth.take_challenge(response, account.reg.tries);
        account.reg.tries += 1;
        let Some(flow) = account.reg.flow.filter(|_| again) else {
            if leaving {
                self.left(now, id);
            } else {
                self.register_refused(now, id, response);
            }
            return;
        };
        if leaving {
            self.deregister(now, id, flow);
        } else if account.reg.tries_made.left(now) == 0 {
            self.register_refused(now, id, response);
        } else {
            self.register(now, id, flow);
        }
    }

    /// Perhaps the PBX allows no more Contacts, and has one of a start that ended without a farewell: it is asked for them, once
    /// (RFC 3261 §10.2.3). False if it is not asked.
    fn looks(&mut self, now: Instant, id: &AccountId, refusal: &Response) -> bool {
        let Some(account) = self.accounts.get_mut(id) else {
            return false;
        };
        let leaving = matches!(account.reg.phase, Phase::Leaving { .. });
        let (Some(flow), false) = (account.reg.flow, leaving || account.reg.looked) else {
            return false;
        };
        if account.reg.tries_made.left(now) < 2 {
            return false;
        }
        account.reg.looked = true;
        account.reg.looks = Some(Box::new(refusal.clone()));
        account.reg.tries = 0;
        self.register(now, id, flow);
        true
    }

    /// The Contacts that a PBX has which refused ours. Those of ours from before are taken back with the next try, at once.
    fn looked(&mut self, now: Instant, id: &AccountId, refusal: &Response, response: &Response) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let instance = format!("<{}>", instance_urn(&self.params.instance));
        if let (200..=299, Some(ours), Some(flow)) =
            (response.code(), account.reg.contact.clone(), account.reg.flow)
        {
            let old = of_before(response, &ours, &instance, &account.reg.seen);
            if !old.is_empty() {
                account.reg.bound = old;
                account.reg.tries = 0;
                self.register(now, id, flow);
                return;
            }
        }
        self.register_refused(now, id, refusal);
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
        // The credentials are wrong until somebody changes them: the PBX is asked again when the window allows.
        wait = wait.max(account.reg.tries_made.wait(now));
        if matches!(response.code(), 400..=499) && !matches!(response.code(), 401 | 403 | 407) {
            // some may not like more than one Contact
            account.reg.bound.clear();
        }
        account.auth.forget();
        let mut detail = response.status_line();
        if is_stale(response) {
            detail += ": the PBX calls each nonce stale that it has just given; look at its nonce lifetime and clock, not at the password";
        } else if response.code() == 403 {
            detail += ": the PBX does not take this account; check user, auth-user and password, and how many contacts it allows";
        } else if matches!(response.code(), 401 | 407) {
            detail += ": the PBX does not take this account; check user, auth-user and password";
        }
        self.register_rests(now, id, wait, detail);
    }

    /// A REGISTER got no answer.
    pub(crate) fn register_unanswered(&mut self, now: Instant, tx: TransactionId, id: &AccountId, why: &str) {
        if self.leaver_unanswered(now, tx) {
            return;
        }
        // one that nobody waits for says nothing about the account as it is
        let waits = self.accounts.get(id).is_some_and(|account| {
            let phase = &account.reg.phase;
            *phase == Phase::Registering { tx } || *phase == Phase::Leaving { tx }
        });
        if waits {
            self.register_failed(now, id, why);
        }
    }

    /// No answer, or no way to the registrar.
    pub(crate) fn register_failed(&mut self, now: Instant, id: &AccountId, why: &str) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        if matches!(account.reg.phase, Phase::Leaving { .. }) {
            self.left(now, id);
            return;
        }
        account.reg.looks = None;
        // a registrar that is away gets no credentials until it asks: they would count though nobody refuses them
        account.auth.forget();
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
        self.tell_tries(now, id);
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
            (Phase::Queued | Phase::Resting, _) => self.start_account(now, id),
            (Phase::Leaving { .. }, _) => self.left(now, id),
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
            Phase::Leaving { .. } => self.left(now, id),
            // The transaction on it fails by itself and starts the back-off.
            Phase::Registering { .. } | Phase::Away | Phase::Left | Phase::Queued | Phase::Reaching => {}
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
        let spent = |account: &Account| account.reg.tries_made.left(now) == 0;
        if self.accounts.get(id).is_some_and(spent) {
            // no registrar that refuses us has a binding of ours
            self.left(now, id);
            return;
        }
        let Some(request) = self.register_request(id, flow, 0) else {
            return;
        };
        let with_credentials = has_credentials(&request);
        let Ok(tx) = self.layer.send_request(now, request, flow) else {
            self.left(now, id);
            return;
        };
        self.uses.insert(tx, Use::Register(id.clone()));
        if let Some(account) = self.accounts.get_mut(id) {
            if !matches!(account.reg.phase, Phase::Leaving { .. }) {
                account.reg.tries = 0;
                account.reg.due = Some(now + LEAVE_WITHIN);
            }
            if with_credentials {
                account.reg.tries_made.count(now);
            }
            account.reg.phase = Phase::Leaving { tx };
        }
        self.pump(now);
    }

    fn left(&mut self, now: Instant, id: &AccountId) {
        self.tell_tries(now, id);
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

impl Account {
    /// REGISTER for `expires` seconds; 0 removes the binding. Without a Contact where it asks which ones there are.
    pub(crate) fn register_request(
        &mut self,
        params: &UaParams,
        flow: Flow,
        expires: u64,
        rng: &mut impl RngCore,
    ) -> Request {
        self.reg.seq += 1;
        let registrar = Uri::sip(None, self.params.domain.clone(), self.params.domain_port);
        let aor = NameAddr::new(self.aor());
        let mut request = Request::new(Method::REGISTER, registrar);
        // Service-Route is for other requests; REGISTER takes what was set before (RFC 3608 §6.1).
        for route in self.preset() {
            request = request.with(HeaderName::Route, route.to_string());
        }
        let mut request = request
            .with(HeaderName::From, aor.clone().with_tag(&self.reg.tag).to_string())
            .with(HeaderName::To, aor.to_string())
            .with(HeaderName::CallId, self.reg.call_id.as_str())
            .with(HeaderName::CSeq, format!("{} REGISTER", self.reg.seq));
        if self.reg.looks.is_none() {
            request = self
                .with_contacts(request, params, &flow)
                .with(HeaderName::Expires, expires.to_string());
        }
        let mut request = request
            .with(HeaderName::Supported, "path, outbound")
            .with(HeaderName::Allow, super::headers::ALLOW)
            .with(HeaderName::UserAgent, params.user_agent.as_str());
        self.auth.preempt(&mut request, rng);
        request
    }

    /// Our Contact, and those of before, which go with the same request.
    fn with_contacts(&mut self, request: Request, params: &UaParams, flow: &Flow) -> Request {
        let ours = contact_uri(Some(self), params.public_address, &self.contact_user, flow);
        let mut contact = NameAddr::new(ours.clone());
        contact.params.set("reg-id", "1");
        contact
            .params
            .set_quoted("+sip.instance", &format!("<{}>", instance_urn(&params.instance)));
        let mut request = request.with(HeaderName::Contact, contact.to_string());
        // They come last: some registrars read the first one only.
        let bound = self.reg.bound.iter().filter(|old| !old.same_as(&ours));
        for old in bound.take(MOST_OLD) {
            let mut old = NameAddr::new(old.clone());
            old.params.set("expires", "0");
            request = request.with(HeaderName::Contact, old.to_string());
        }
        self.reg.contact = Some(ours);
        request
    }
}

fn instance_urn(instance: &[u8; 16]) -> String {
    let hex: String = instance.iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

impl Registration {
    /// The registrar may have the Contact of the last REGISTER, whether or not its answer comes.
    fn may_have_bound(&mut self) {
        let Some(contact) = &self.contact else {
            return;
        };
        if !self.bound.iter().any(|bound| bound.same_as(contact)) {
            if self.bound.len() >= MOST_OLD {
                self.bound.remove(0);
            }
            self.bound.push(contact.clone());
        }
    }

    /// The registrar has the Contact of the last REGISTER, and none that was taken back with it. True if it has others of ours,
    /// from before a start that came without a farewell: a 200 lists them all (RFC 3261 §10.3, step 8).
    fn took_hold(&mut self, response: &Response, instance: &str) -> bool {
        let Some(ours) = self.contact.clone() else {
            return false;
        };
        self.bound.clear();
        if self.sweeps < MOST_SWEEPS {
            self.bound = left_over(response, &ours, instance, &self.seen);
        }
        let old = !self.bound.is_empty();
        self.sweeps += u8::from(old);
        self.bound.push(ours);
        old
    }
}

/// Contacts of ours from before. None if our own is not listed as we wrote it: a registrar which writes where it sees us
/// would have the binding that counts taken for an old one.
fn left_over(response: &Response, ours: &Uri, instance: &str, seen: &Seen) -> Vec<Uri> {
    let listed = response.headers.addresses(&HeaderName::Contact);
    if listed.is_ok_and(|listed| listed.iter().any(|one| one.uri.same_as(ours))) {
        of_before(response, ours, instance, seen)
    } else {
        Vec::new()
    }
}

/// Contacts that are listed and are ours, but for the port.
fn of_before(response: &Response, ours: &Uri, instance: &str, seen: &Seen) -> Vec<Uri> {
    let Some(us) = ours.as_sip() else {
        return Vec::new();
    };
    let transport = |uri: &SipUri| uri.params.get("transport").unwrap_or("udp").to_ascii_lowercase();
    let is_old = |one: &NameAddr| {
        let Some(uri) = one.uri.as_sip() else {
            return false;
        };
        uri.user() == us.user()
            && uri.host.same_as(&us.host)
            && transport(uri) == transport(us)
            && uri.port != us.port
            && !seen.is_at(uri.host.ip(), uri.port)
            && one
                .params
                .get("+sip.instance")
                .is_none_or(|told| told.trim_matches('"').eq_ignore_ascii_case(instance))
    };
    let listed = response
        .headers
        .addresses(&HeaderName::Contact)
        .unwrap_or_default();
    let old = listed.into_iter().filter(is_old).map(|one| one.uri);
    old.take(MOST_OLD).collect()
}

/// The lifetime the registrar gave to our binding: its `expires` parameter, else the Expires header.
fn granted(response: &Response, contact: Option<&Uri>, user: &str) -> Option<u64> {
    let listed = response
        .headers
        .addresses(&HeaderName::Contact)
        .unwrap_or_default();
    // a registrar may write where it sees us instead
    let exact = |one: &&NameAddr| contact.is_some_and(|contact| one.uri.same_as(contact));
    let of_user = |one: &&NameAddr| one.uri.user().as_deref() == Some(user);
    let ours = listed.iter().find(exact).or(listed.iter().find(of_user));
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
