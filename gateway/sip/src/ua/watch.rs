//! Subscribers to the state of an account's calls (RFC 6665, RFC 4235): the lamps of other phones.
//!
//! Only what [`UserAgent::knows`] may subscribe: the PBX of an account, to the calls of that account; a listed direct peer,
//! to the calls without one. A subscription is kept in memory only: after a restart its next refresh is answered with
//! 481, and the subscriber begins anew (RFC 6665 §4.1.2.2).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use gateway_core::{AccountId, Instant};

use super::UserAgent;
use super::account::Account;
use super::agent::Use;
use super::dialog::Dialog;
use super::dialog_info::{MEDIA_TYPE, Shown, document, state_of};
use super::hop::Hop;
use super::seen::contact_uri;
use super::uas::Refused;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response, Uri};

/// Subscriptions at one time to one account, and as many to the calls of direct peers: no PBX takes another one's part.
const MOST: usize = 64;
/// Of these, how many one direct peer has.
const MOST_OF_ONE: usize = 8;
/// Lifetime where none is asked for, and the longest one (RFC 4235 §3.4).
const LONGEST_S: u32 = 3600;
/// Shortest lifetime that is taken (RFC 6665 §4.2.1.1).
const SHORTEST_S: u32 = 60;
/// Least time between two notifications of one subscription (RFC 4235 §3.10).
const SPACING: Duration = Duration::from_secs(1);
/// Challenges answered for one notification.
const MOST_AUTHS: u8 = 2;
/// The event package.
const PACKAGE: &str = "dialog";

/// Why a subscription ends (RFC 6665 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// We stop, or the account goes away: subscribe again.
    Deactivated,
    /// Its time is over, or it was ended by the subscriber.
    Timeout,
}

/// Number of a subscription, unique while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatcherId(pub(crate) u64);

/// One subscription.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// `None`: calls of direct peers.
    account: Option<AccountId>,
    auths: u8,
    /// A connection for long notifications broke: they go over UDP from then on.
    broke: bool,
    /// The end was told.
    closing: bool,
    contact_user: String,
    /// The last notification went over a connection for its length.
    detour: bool,
    dialog: Dialog,
    entity: String,
    expires: Instant,
    flow: Flow,
    /// It is over once this was told.
    gone: Option<Gone>,
    /// A notification is to be sent whatever changed.
    owed: bool,
    /// What was told last; `None` before the first time.
    told: Option<Vec<Shown>>,
    /// When the next notification may be sent.
    ready: Instant,
    /// The connection that the next notification waits for, since it is too long for UDP.
    room: Option<Hop>,
    version: u32,
    /// A notification is on its way.
    waits: bool,
}

impl Watcher {
    pub(crate) fn waits_for(&self, tcp: &Hop) -> bool {
        self.room.as_ref() == Some(tcp)
    }

    fn contact(&self, accounts: &BTreeMap<AccountId, Account>, public: Option<IpAddr>) -> Uri {
        let account = self.account.as_ref().and_then(|id| accounts.get(id));
        contact_uri(account, public, &self.contact_user, &self.flow)
    }
}

impl UserAgent {
    /// SUBSCRIBE outside a dialog.
    pub(crate) fn subscribe_heard(&mut self, now: Instant, tx: TransactionId, request: &Request, flow: Flow) {
        let response = match self.take_subscription(now, request, flow) {
            Ok(response) => response,
            Err(Refused(code, extra)) => {
                let response = Response::to(request, code);
                match extra {
                    Some((name, value)) => response.with(name, value),
                    None => response,
                }
            }
        };
        self.answer(now, tx, response);
        self.notify_watchers(now);
    }

    fn take_subscription(
        &mut self,
        now: Instant,
        request: &Request,
        flow: Flow,
    ) -> Result<Response, Refused> {
        if self.stopping {
            return Err(Refused(503, None));
        }
        check_event(request)?;
        let account = self.called_account(request, &flow)?;
        let accepts = request.headers.list(&HeaderName::Accept);
        let fits = |kind: &String| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            [MEDIA_TYPE, "application/*", "*/*"]
                .iter()
                .any(|ours| kind.eq_ignore_ascii_case(ours))
        };
        if !accepts.is_empty() && !accepts.iter().any(fits) {
            return Err(Refused(406, Some((HeaderName::Accept, MEDIA_TYPE.into()))));
        }
        let lifetime = lifetime(request)?;
        if !self.may_watch(account.as_ref(), &flow) {
            return Err(Refused(503, Some((HeaderName::RetryAfter, "60".into()))));
        }
        let tag = self.new_tag();
        let dialog = Dialog::uas(request, &tag).ok_or(Refused(400, None))?;
        let known = account.as_ref().and_then(|id| self.accounts.get(id));
        let (contact_user, entity) = match known {
            Some(known) => (known.contact_user.clone(), known.aor()),
            None => {
                let user = request.uri.user();
                (
                    "door".to_owned(),
                    Uri::sip(user.as_deref(), flow.local.ip().into(), None),
                )
            }
        };
        let contact = NameAddr::new(self.own_contact(account.as_ref(), &contact_user, &flow)).to_string();
        let watcher = Watcher {
            account,
            auths: 0,
            broke: false,
            closing: false,
            contact_user,
            detour: false,
            dialog,
            entity: entity.to_string(),
            expires: now + Duration::from_secs(u64::from(lifetime)),
            flow,
            gone: (lifetime == 0).then_some(Gone::Timeout),
            owed: true,
            told: None,
            ready: now,
            room: None,
            version: 0,
            waits: false,
        };
        self.next_watcher += 1;
        self.watchers.insert(WatcherId(self.next_watcher), watcher);
        let mut response = Response::to(request, 200).with_to_tag(&tag);
        for route in request.headers.all(&HeaderName::RecordRoute) {
            response.headers.push(HeaderName::RecordRoute, route.clone());
        }
        Ok(response
            .with(HeaderName::Contact, contact)
            .with(HeaderName::Expires, lifetime.to_string()))
    }

    /// Has whoever is here room for another subscription to an account, or to direct calls?
    fn may_watch(&self, account: Option<&AccountId>, flow: &Flow) -> bool {
        let source = flow.remote.ip().to_canonical();
        let of = || self.watchers.values().filter(|w| w.account.as_ref() == account);
        let own = of().filter(|w| w.flow.remote.ip().to_canonical() == source);
        of().count() < MOST && (account.is_some() || own.count() < MOST_OF_ONE)
    }

    /// Where notifications go: where the subscriber says, if that is himself or somebody of the list; else to where he
    /// asked from. A Contact of somebody else's is no reason to send him anything.
    fn watcher_flow(&self, account: Option<&AccountId>, flow: Flow, dialog: &Dialog) -> Flow {
        let wanted = self.direct_flow(account, flow, dialog);
        let ip = |flow: &Flow| flow.remote.ip().to_canonical();
        if ip(&wanted) == ip(&flow) || self.is_direct_peer(&wanted) {
            wanted
        } else {
            flow
        }
    }

    /// A request in the dialog of a subscription. False if it belongs to none.
    pub(crate) fn watcher_asks(&mut self, now: Instant, tx: TransactionId, request: &Request) -> bool {
        let found = self
            .watchers
            .iter_mut()
            .find(|(_, watcher)| watcher.dialog.takes(request));
        let Some((_, watcher)) = found.filter(|(_, watcher)| watcher.gone.is_none()) else {
            return false;
        };
        let seq = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let response = if watcher.dialog.take_seq(seq).is_err() {
            Response::to(request, 500).with(HeaderName::RetryAfter, "1")
        } else if request.method != Method::SUBSCRIBE {
            Response::to(request, 405).with(HeaderName::Allow, "SUBSCRIBE")
        } else {
            match check_event(request).and_then(|()| lifetime(request)) {
                Err(Refused(code, extra)) => {
                    let response = Response::to(request, code);
                    match extra {
                        Some((name, value)) => response.with(name, value),
                        None => response,
                    }
                }
                Ok(lifetime) => {
                    watcher.dialog.refresh_target(&request.headers);
                    watcher.expires = now + Duration::from_secs(u64::from(lifetime));
                    watcher.owed = true;
                    watcher.gone = (lifetime == 0).then_some(Gone::Timeout);
                    let contact = NameAddr::new(watcher.contact(&self.accounts, self.params.public_address))
                        .to_string();
                    Response::to(request, 200)
                        .with(HeaderName::Contact, contact)
                        .with(HeaderName::Expires, lifetime.to_string())
                }
            }
        };
        self.answer(now, tx, response);
        self.notify_watchers(now);
        true
    }

    /// Tells each subscriber what is new to it, if it may be told by now.
    pub(crate) fn notify_watchers(&mut self, now: Instant) {
        if self.watchers.is_empty() {
            return;
        }
        let due: Vec<(WatcherId, Vec<Shown>)> = self
            .watchers
            .iter()
            .filter(|(_, watcher)| !watcher.waits && (watcher.ready <= now || watcher.gone.is_some()))
            .map(|(id, watcher)| (*id, watcher, self.shown(watcher.account.as_ref())))
            .filter(|(_, watcher, shown)| {
                watcher.owed || watcher.gone.is_some() || watcher.told.as_ref() != Some(shown)
            })
            .map(|(id, _, shown)| (id, shown))
            .collect();
        for (id, shown) in due {
            self.notify(now, id, shown);
        }
    }

    fn notify(&mut self, now: Instant, id: WatcherId, shown: Vec<Shown>) {
        let user_agent = self.params.user_agent.clone();
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        let state = match watcher.gone {
            None => format!("active;expires={}", watcher.expires.since(now).as_secs()),
            Some(Gone::Deactivated) => "terminated;reason=deactivated".to_owned(),
            Some(Gone::Timeout) => "terminated;reason=timeout".to_owned(),
        };
        let contact = NameAddr::new(watcher.contact(&self.accounts, self.params.public_address)).to_string();
        let body = document(&watcher.entity, watcher.version, &shown);
        let mut request = watcher
            .dialog
            .request(Method::NOTIFY)
            .with(HeaderName::Contact, contact)
            .with(HeaderName::Event, PACKAGE)
            .with(HeaderName::SubscriptionState, state)
            .with(HeaderName::UserAgent, user_agent)
            .with_body(MEDIA_TYPE, body);
        let (account, flow) = (watcher.account.clone(), watcher.flow);
        let flow = self.watcher_flow(account.as_ref(), flow, &self.watchers[&id].dialog);
        if let Some(account) = account.as_ref().and_then(|id| self.accounts.get_mut(id)) {
            account.auth.preempt(&mut request, &mut self.rng);
        }
        let broke = self.watchers.get(&id).is_some_and(|watcher| watcher.broke);
        let flow = if broke {
            Ok(flow)
        } else {
            self.with_room(now, request.to_bytes().len(), flow)
        };
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        watcher.waits = true;
        let flow = match flow {
            Ok(flow) => flow,
            // what is new by then is told then
            Err(tcp) => {
                watcher.owed = true;
                watcher.room = Some(tcp);
                return;
            }
        };
        watcher.version = watcher.version.wrapping_add(1);
        watcher.closing = watcher.gone.is_some();
        watcher.detour = flow.transport != watcher.flow.transport;
        watcher.owed = false;
        watcher.ready = now + SPACING;
        watcher.told = Some(shown);
        match self.layer.send_request(now, request, flow) {
            Ok(tx) => {
                self.uses.insert(tx, Use::Watch(id));
            }
            // too many transactions: later, but for the end
            Err(_) if self.watchers.get(&id).is_some_and(|watcher| watcher.closing) => self.watcher_lost(id),
            Err(_) => self.owe(id),
        }
        self.pump(now);
    }

    /// The connection that notifications wait for is there, or refused.
    pub(crate) fn watchers_reach(&mut self, now: Instant, tcp: &Hop) {
        for watcher in self.watchers.values_mut() {
            if watcher.room.take_if(|room| room == tcp).is_some() {
                watcher.waits = false;
            }
        }
        self.notify_watchers(now);
    }

    fn owe(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.owed = true;
            watcher.waits = false;
        }
    }

    /// The answer to a notification.
    pub(crate) fn watcher_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        id: WatcherId,
        response: &Response,
    ) {
        if response.is_provisional() {
            self.uses.insert(tx, Use::Watch(id));
            return;
        }
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        watcher.waits = false;
        match response.code() {
            200..=299 if watcher.closing => self.watcher_lost(id),
            200..=299 => watcher.auths = 0,
            401 | 407 => {
                let (tries, account) = (watcher.auths, watcher.account.clone());
                watcher.auths += 1;
                let known = account.and_then(|id| self.accounts.get_mut(&id));
                let may = tries < MOST_AUTHS && known.is_some_and(|a| a.auth.take_challenge(response, tries));
                if may {
                    self.owe(id);
                    if let Some(watcher) = self.watchers.get_mut(&id) {
                        watcher.ready = now;
                    }
                } else {
                    self.watcher_lost(id);
                }
            }
            // RFC 6665 §4.2.2: whoever refuses a notification wants none
            _ => self.watcher_lost(id),
        }
        self.notify_watchers(now);
    }

    /// A notification was not answered: the subscriber is gone, unless it is only the connection that was made for its length.
    pub(crate) fn watcher_unanswered(&mut self, id: WatcherId, sent: bool) {
        let detour = |watcher: &&mut Watcher| watcher.detour && !sent;
        match self.watchers.get_mut(&id).filter(detour) {
            Some(watcher) => {
                watcher.broke = true;
                self.owe(id);
            }
            None => self.watcher_lost(id),
        }
    }

    /// The subscriber is gone, or was told the end.
    pub(crate) fn watcher_lost(&mut self, id: WatcherId) {
        self.watchers.remove(&id);
    }

    /// Ends the subscriptions to an account, or all.
    pub(crate) fn end_watchers(&mut self, now: Instant, of: Option<&AccountId>) {
        for watcher in self.watchers.values_mut() {
            if of.is_none() || watcher.account.as_ref() == of {
                watcher.gone.get_or_insert(Gone::Deactivated);
            }
        }
        self.notify_watchers(now);
    }

    /// Ends the subscriptions whose time is over, and tells what may be told by now.
    pub(crate) fn watchers_due(&mut self, now: Instant) {
        for watcher in self.watchers.values_mut() {
            if watcher.expires <= now {
                watcher.gone.get_or_insert(Gone::Timeout);
            }
        }
        self.notify_watchers(now);
    }

    /// When [`Self::watchers_due`] is due.
    pub(crate) fn watchers_timeout(&self) -> Option<Instant> {
        self.watchers
            .values()
            .filter(|watcher| !watcher.waits)
            .map(|watcher| {
                let news =
                    watcher.owed || watcher.told.as_ref() != Some(&self.shown(watcher.account.as_ref()));
                if news {
                    watcher.ready.min(watcher.expires)
                } else {
                    watcher.expires
                }
            })
            .min()
    }

    /// True if a subscription goes over this connection.
    pub(crate) fn watches_over(&self, flow: &Flow) -> bool {
        self.watchers.values().any(|watcher| watcher.flow == *flow)
    }

    /// What a subscriber to an account is shown.
    fn shown(&self, account: Option<&AccountId>) -> Vec<Shown> {
        let calls = self
            .calls
            .iter()
            .filter(|(_, call)| call.account.as_ref() == account);
        let calls = calls.filter_map(|(leg, call)| {
            Some(Shown {
                id: leg.to_string(),
                outgoing: call.outgoing,
                state: state_of(call)?,
            })
        });
        let known = account.and_then(|id| self.accounts.get(id));
        let fault = known.is_some_and(|account| account.standing.fault);
        calls.chain(fault.then(Shown::fault)).collect()
    }
}

/// Only the one package is known (RFC 6665 §4.2.1.1: 489).
fn check_event(request: &Request) -> Result<(), Refused> {
    let event = request.headers.text(&HeaderName::Event);
    let package = event
        .as_deref()
        .map(|text| text.split(';').next().unwrap_or_default().trim());
    match package {
        Some(package) if package.eq_ignore_ascii_case(PACKAGE) => Ok(()),
        Some(_) | None => Err(Refused(489, Some((HeaderName::AllowEvents, PACKAGE.into())))),
    }
}

/// The lifetime that is given, seconds; 0 ends or fetches.
fn lifetime(request: &Request) -> Result<u32, Refused> {
    match request.headers.expires() {
        Err(_) => Err(Refused(400, None)),
        Ok(None) => Ok(LONGEST_S),
        Ok(Some(0)) => Ok(0),
        Ok(Some(asked)) if asked < SHORTEST_S => Err(Refused(
            423,
            Some((HeaderName::MinExpires, SHORTEST_S.to_string())),
        )),
        Ok(Some(asked)) => Ok(asked.min(LONGEST_S)),
    }
}
