//! Incoming calls (RFC 3261 §13.3): who may call, 180, 200 until the ACK, CANCEL and refusals.

use gateway_core::{AccountId, Cause, Instant, LegId, Peer};

use super::UserAgent;
use super::call::{Call, EarlySession, GIVE_UP, NIL_SESSION, Phase, T1, Unacked};
use super::dialog::Dialog;
use super::headers::{self, ACCEPT_OFFER, ALLOW, IDENTITY, SDP, capable, says_answered_elsewhere};
use super::hop::Hop;
use super::identity;
use super::manner;
use super::outcome::{refusal_of, words_of};
use super::privacy;
use super::provisional::{Provisional, Reliable};
use super::seen::contact_uri;
use super::timer::TooSmall;
use super::types::CallOutput;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Headers, Host, NameAddr, Request, Response, Uri};

/// Whether a provisional response must be made reliable.
enum Reliability {
    /// No.
    None,
    /// One waits for its PRACK already; a second must wait for that (RFC 3262 §3).
    Waits,
    /// Yes.
    Wanted,
}

/// Why an INVITE is not taken.
pub(crate) struct Refused(pub(crate) u16, pub(crate) Option<(HeaderName, String)>);

impl UserAgent {
    pub(crate) fn incoming(&mut self, now: Instant, tx: TransactionId, request: Request, flow: Flow) {
        if let Err(Refused(code, extra)) = self.take_incoming(tx, &request, flow) {
            let mut response = Response::to(&request, code);
            if let Some((name, value)) = extra {
                response = response.with(name, value);
            }
            self.answer(now, tx, response);
        }
    }

    fn take_incoming(&mut self, tx: TransactionId, request: &Request, flow: Flow) -> Result<(), Refused> {
        let refuse = |code| Refused(code, None);
        if self.stopping {
            return Err(refuse(503));
        }
        let account = self.called_account(request, &flow)?;
        let unknown = self.not_supported(account.as_ref(), &request.headers);
        if !unknown.is_empty() {
            return Err(Refused(420, Some((HeaderName::Unsupported, unknown.join(", ")))));
        }
        let knows_100rel = [HeaderName::Supported, HeaderName::Require]
            .iter()
            .any(|name| request.headers.has_token(name, "100rel"));
        if self.provisional_of(account.as_ref()) == Provisional::Required && !knows_100rel {
            return Err(Refused(421, Some((HeaderName::Require, "100rel".into()))));
        }
        if let Some(timer) = self.timer_of(account.as_ref())
            && let Err(TooSmall(min)) = timer.answer(&request.headers)
        {
            return Err(Refused(422, Some((HeaderName::MinSe, min.to_string()))));
        }
        if !accepts_sdp(&request.headers) {
            return Err(Refused(406, Some((HeaderName::Accept, SDP.into()))));
        }
        let replaced = self.replaced_by(request).map_err(refuse)?;
        let sdp = if request.body.is_empty() {
            None
        } else if request.headers.is_encoded() {
            return Err(Refused(415, Some((HeaderName::AcceptEncoding, IDENTITY.into()))));
        } else if request.headers.content_type().as_deref() == Some(SDP) {
            Some(request.body.clone())
        } else {
            return Err(Refused(415, Some((HeaderName::Accept, ACCEPT_OFFER.into()))));
        };
        if self.calls.len() >= self.params.max_calls {
            return Err(refuse(486));
        }
        let tag = self.new_tag();
        let dialog = Dialog::uas(request, &tag).ok_or_else(|| refuse(400))?;
        let who = self.caller(request, account.as_ref(), &flow);
        let withheld = privacy::of_request(request);
        let hop = match account.as_ref().and_then(|id| self.accounts.get(id)) {
            Some(account) => account.params.hop.clone(),
            None => Hop::new(
                &flow.remote.ip().into(),
                Some(flow.remote.port()),
                flow.transport,
                self.params.direct_trust,
            ),
        };
        let mut call = Call {
            accepting: None,
            account: account.clone(),
            asked_by: None,
            asking: false,
            authority_lost: false,
            clock: None,
            dialing: None,
            dialog: Some(dialog),
            early: EarlySession::None,
            flow: Some(flow),
            hop,
            identity: Some(who.clone()),
            min_se: 0,
            offering: false,
            outgoing: false,
            pending: None,
            phase: Phase::Incoming {
                tx,
                request: Box::new(request.clone()),
            },
            referral: None,
            reliable: None,
            session: (self.new_session(), NIL_SESSION.to_owned()),
            takes_info: false,
            takes_update: false,
            unacked: None,
            withheld,
        };
        call.learn_allowed(&request.headers);
        call.learn_session(request.headers.text(&HeaderName::SessionId).as_deref());
        let leg = LegId(self.next_leg);
        self.next_leg += 1;
        self.calls.insert(leg, call);
        // what a direct peer asserts gives no right; that it is somebody else takes one
        let other = |told: NameAddr| identity::differs(&who.uri, &told.uri);
        let contradicted = account.is_none() && identity::asserted(&request.headers).is_some_and(other);
        let peer = Peer {
            foreign: self.is_foreign(&request.headers, &who, account.as_ref(), &flow),
            trusted: !contradicted,
            ..identity::peer(&who, true, withheld)
        };
        let local = flow.local.ip();
        let what = match replaced {
            Some(replaced) => CallOutput::TakingOver {
                account,
                local,
                peer,
                replaced,
                sdp,
            },
            None => CallOutput::Incoming {
                account,
                at_once: peer.trusted && manner::asks_answer(&request.headers),
                called: request.uri.user().unwrap_or_default().to_owned(),
                local,
                peer,
                sdp,
            },
        };
        self.tell(leg, what);
        Ok(())
    }

    /// The account that is called; `None` for a direct peer.
    pub(crate) fn called_account(
        &self,
        request: &Request,
        flow: &Flow,
    ) -> Result<Option<AccountId>, Refused> {
        let user = request.uri.user().unwrap_or_default();
        let ours = || self.accounts.values().filter(|account| account.trusts(flow));
        let found = ours()
            .find(|account| account.contact_user == user)
            .or_else(|| ours().find(|account| account.params.user == user))
            .or_else(|| ours().find(|account| !account.params.register));
        match found {
            // Without a registration the address alone would vouch for the caller.
            Some(account) if !account.usable() => Err(Refused(480, None)),
            Some(account) => Ok(Some(account.params.id.clone())),
            None if self.is_direct_peer(flow) => Ok(None),
            None => Err(Refused(404, None)),
        }
    }

    pub(crate) fn is_direct_peer(&self, flow: &Flow) -> bool {
        self.params
            .direct_peers
            .contains(&flow.remote.ip().to_canonical())
    }

    /// Who calls. A PBX vouches for its caller; a direct peer only for its own address, whatever host its From claims.
    pub(crate) fn caller(&self, request: &Request, account: Option<&AccountId>, flow: &Flow) -> NameAddr {
        let from = request
            .headers
            .from_addr()
            .unwrap_or_else(|_| NameAddr::new(Uri::sip(None, flow.remote.ip().into(), None)));
        if account.is_some() {
            let mut who = identity::asserted(&request.headers).unwrap_or(from);
            who.params = crate::Params::new();
            return who;
        }
        let host = Host::from(flow.remote.ip().to_canonical());
        let mut who = NameAddr::new(Uri::sip(from.uri.user().as_deref(), host, None));
        if let Some(display) = &from.display {
            who = who.with_display(display);
        }
        who
    }

    /// Is a number alone not this caller's? What a PBX asserts is its own word, whatever the host.
    fn is_foreign(
        &self,
        headers: &Headers,
        who: &NameAddr,
        account: Option<&AccountId>,
        flow: &Flow,
    ) -> bool {
        let Some(account) = account else {
            return !self.accounts.is_empty();
        };
        let account = self.accounts.get(account);
        let away = |host: &Host| account.is_some_and(|account| !account.is_home(host, flow));
        identity::asserted(headers).is_none() && who.uri.as_sip().is_some_and(|uri| away(&uri.host))
    }

    fn new_session(&mut self) -> String {
        self.new_call_id()
    }

    /// Tells the caller that it rings.
    pub fn ring(&mut self, now: Instant, leg: LegId) {
        self.rings(now, leg, None);
    }

    /// Tells the caller that it rings, with our answer to his offer, so that he hears what we play (183, RFC 3960). Who has made
    /// no offer hears nothing before the answer, and gets 180.
    pub fn ring_back(&mut self, now: Instant, leg: LegId, sdp: &[u8]) {
        self.rings(now, leg, Some(sdp));
    }

    fn rings(&mut self, now: Instant, leg: LegId, early: Option<&[u8]>) {
        let server = self.params.user_agent.clone();
        let offered = self.calls.get(&leg).is_some_and(|call| match &call.phase {
            // what is agreed is not told twice
            Phase::Incoming { request, .. } => !request.body.is_empty() && call.early == EarlySession::None,
            Phase::Accepted
            | Phase::Calling { .. }
            | Phase::Confirmed
            | Phase::Over
            | Phase::Reaching { .. }
            | Phase::WaitingAccount
            | Phase::WaitingOffer => false,
        });
        let early = early.filter(|_| offered);
        let code = if early.is_some() { 183 } else { 180 };
        if let Some((tx, response, offerless)) = self.incoming_response(leg, code) {
            let mut response = response
                .with(HeaderName::Allow, ALLOW)
                .with(HeaderName::Server, server.as_str());
            if let Some(sdp) = early {
                response = response.with_body(SDP, sdp);
            }
            match self.reliability(leg) {
                Reliability::None => self.answer(now, tx, response),
                // The first reliable response to an INVITE without offer must bring ours (RFC 3262 §5), and nobody
                // hears it before the answer: then it rings without saying so.
                Reliability::Wanted if !offerless => self.send_reliably(now, leg, tx, response),
                Reliability::Wanted | Reliability::Waits => {}
            }
        }
        self.drain(now);
    }

    fn reliability(&self, leg: LegId) -> Reliability {
        let Some(call) = self.calls.get(&leg) else {
            return Reliability::None;
        };
        let Phase::Incoming { request, .. } = &call.phase else {
            return Reliability::None;
        };
        let says = |name| request.headers.has_token(&name, "100rel");
        let wanted = says(HeaderName::Require)
            || (says(HeaderName::Supported)
                && self.provisional_of(call.account.as_ref()) == Provisional::Required);
        match (wanted, &call.reliable) {
            (false, _) => Reliability::None,
            (true, None) => Reliability::Wanted,
            (true, Some(_)) => Reliability::Waits,
        }
    }

    /// Answers an incoming leg with our answer, or with our offer if the INVITE had none.
    pub fn accept(&mut self, now: Instant, leg: LegId, sdp: Vec<u8>) {
        if let Some(call) = self.calls.get_mut(&leg) {
            call.accepting = Some(sdp);
        }
        self.accept_if_it_may(now, leg);
        self.drain(now);
    }

    /// Sends the 200 that waits. It does as long as an answer of ours in a provisional response has no PRACK (RFC 3262 §3), or
    /// an offer in that PRACK, or in an UPDATE, no answer.
    pub(crate) fn accept_if_it_may(&mut self, now: Instant, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        if call.pending.is_some() || call.reliable.as_ref().is_some_and(Reliable::holds_the_answer) {
            return;
        }
        let Some(sdp) = call.accepting.take() else {
            return;
        };
        let changed = call.early == EarlySession::Changed;
        if let Some((tx, response, offerless)) = self.incoming_response(leg, 200) {
            let mut response = capable(response, &self.params.user_agent);
            if !changed {
                response = response.with_body(SDP, sdp);
            }
            let asked = match self.calls.get(&leg).map(|call| &call.phase) {
                Some(Phase::Incoming { request, .. }) => request.headers.clone(),
                _ => crate::Headers::new(),
            };
            let response = self.with_timer(now, leg, &asked, response);
            self.accepted(now, leg, tx, response, offerless);
            if let Some(call) = self.calls.get_mut(&leg) {
                call.phase = Phase::Accepted;
                if let Some(reliable) = &mut call.reliable {
                    reliable.settle();
                }
            }
        }
    }

    /// What we support of the options that a request may require, for Supported.
    pub(crate) fn supported(&self, account: Option<&AccountId>) -> String {
        let reliable = self.provisional_of(account) != Provisional::Off;
        let timer = self.timer_of(account).is_some();
        let known = [
            (reliable, "100rel"),
            (timer, "timer"),
            (true, "replaces"),
            (true, "norefersub"),
        ];
        let on: Vec<&str> = known
            .iter()
            .filter_map(|(on, name)| on.then_some(*name))
            .collect();
        on.join(", ")
    }

    /// The options that a request requires and we do not have (RFC 3261 §8.2.2.3).
    pub(crate) fn not_supported(&self, account: Option<&AccountId>, headers: &crate::Headers) -> Vec<String> {
        let ours = self.supported(account);
        let known = |option: &String| ours.split(", ").any(|o| o.eq_ignore_ascii_case(option));
        let required = headers.list(&HeaderName::Require);
        required.into_iter().filter(|option| !known(option)).collect()
    }

    /// Completes a 2xx with what we support and the session timer, and starts that timer (RFC 4028 §9).
    pub(crate) fn with_timer(
        &mut self,
        now: Instant,
        leg: LegId,
        asked: &Headers,
        mut response: Response,
    ) -> Response {
        let Some(account) = self.calls.get(&leg).map(|call| call.account.clone()) else {
            return response;
        };
        let supported = self.supported(account.as_ref());
        let granted = self
            .timer_of(account.as_ref())
            .and_then(|timer| timer.answer(asked).ok().flatten());
        if !supported.is_empty() {
            response = response.with(HeaderName::Supported, supported);
        }
        if let Some(granted) = &granted {
            response = response.with(HeaderName::SessionExpires, granted.value());
            if granted.require {
                response = response.with(HeaderName::Require, "timer");
            }
        }
        if let Some(call) = self.calls.get_mut(&leg) {
            call.clock = granted.map(|granted| granted.clock(now));
        }
        response
    }

    /// Sends a 2xx and repeats it until the ACK.
    pub(crate) fn accepted(
        &mut self,
        now: Instant,
        leg: LegId,
        tx: TransactionId,
        response: Response,
        offered: bool,
    ) {
        let seq = response.headers.cseq().map_or(0, |cseq| cseq.number);
        if let Some(call) = self.calls.get_mut(&leg) {
            call.unacked = Some(Unacked {
                give_up: now + GIVE_UP,
                interval: T1,
                next: now + T1,
                offered,
                response: response.clone(),
                seq,
                tx,
            });
        }
        self.answer(now, tx, response);
    }

    /// A response to the INVITE of an incoming leg, and whether the INVITE had no offer.
    fn incoming_response(&self, leg: LegId, code: u16) -> Option<(TransactionId, Response, bool)> {
        let call = self.calls.get(&leg)?;
        let Phase::Incoming { tx, request } = &call.phase else {
            return None;
        };
        let (flow, dialog) = (call.flow?, call.dialog.as_ref()?);
        let mut response = Response::to(request, code).with_to_tag(dialog.local_tag());
        for route in request.headers.all(&HeaderName::RecordRoute) {
            response.headers.push(HeaderName::RecordRoute, route.clone());
        }
        let user = self.contact_user_of(call);
        let response = response
            .with(
                HeaderName::Contact,
                NameAddr::new(self.own_contact(call.account.as_ref(), &user, &flow)).to_string(),
            )
            .with(HeaderName::SessionId, call.session_header());
        Some((*tx, response, request.body.is_empty()))
    }

    /// Our Contact towards a peer, in the name of an account or of nobody.
    pub(crate) fn own_contact(&self, account: Option<&AccountId>, user: &str, flow: &Flow) -> Uri {
        let account = account.and_then(|id| self.accounts.get(id));
        contact_uri(account, self.params.public_address, user, flow)
    }

    /// Our Contact inside a call.
    pub(crate) fn contact_of(&self, leg: LegId) -> Option<String> {
        let call = self.calls.get(&leg)?;
        let user = self.contact_user_of(call);
        let contact = self.own_contact(call.account.as_ref(), &user, &call.flow?);
        Some(NameAddr::new(contact).to_string())
    }

    /// Completes a 2xx inside a call with our Contact and Session-ID.
    pub(crate) fn with_contact(&self, leg: LegId, mut response: Response) -> Response {
        if let Some(contact) = self.contact_of(leg) {
            response = response.with(HeaderName::Contact, contact);
        }
        if let Some(call) = self.calls.get(&leg) {
            response = response.with(HeaderName::SessionId, call.session_header());
        }
        capable(response, &self.params.user_agent)
    }

    pub(crate) fn contact_user_of(&self, call: &Call) -> String {
        call.account
            .as_ref()
            .and_then(|id| self.accounts.get(id))
            .map_or_else(|| "door".to_owned(), |account| account.contact_user.clone())
    }

    /// Refuses an incoming leg; gives the status line for the journal.
    pub(crate) fn refuse_incoming(
        &mut self,
        now: Instant,
        tx: TransactionId,
        request: &Request,
        cause: Cause,
        tag: &str,
    ) -> String {
        let response = Response::to(request, refusal_of(cause))
            .with_to_tag(tag)
            .with(HeaderName::Reason, headers::reason(cause))
            .with(
                HeaderName::Warning,
                format!("399 doorline \"{}\"", words_of(cause)),
            );
        let line = response.status_line();
        self.answer(now, tx, response);
        line
    }

    /// The caller gave up.
    pub(crate) fn cancel_heard(&mut self, now: Instant, tx: TransactionId, cancel: &Request) {
        let found = self
            .calls
            .iter()
            .find(|(_, call)| matches!(call.phase, Phase::Incoming { tx: ours, .. } if ours == tx));
        let Some(leg) = found.map(|(leg, _)| *leg) else {
            return;
        };
        let elsewhere = cancel
            .headers
            .text(&HeaderName::Reason)
            .is_some_and(|reason| says_answered_elsewhere(&reason));
        self.terminate_incoming(now, leg);
        let cause = if elsewhere {
            Cause::AnsweredElsewhere
        } else {
            Cause::Cancelled
        };
        self.over(leg, cause, "cancelled by the caller");
    }

    /// 487 to an INVITE that was cancelled or ended by BYE.
    pub(crate) fn terminate_incoming(&mut self, now: Instant, leg: LegId) {
        if let Some((tx, response, _)) = self.incoming_response(leg, 487) {
            self.answer(now, tx, response);
        }
    }

    /// An ACK that no transaction took: it acknowledges a 2xx of ours.
    pub(crate) fn ack_heard(&mut self, request: &Request) {
        let Some((leg, call)) = self.calls.iter_mut().find(|(_, call)| call.owns(request)) else {
            return;
        };
        let leg = *leg;
        let seq = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let Some(unacked) = call.unacked.take_if(|unacked| unacked.seq == seq) else {
            return;
        };
        self.layer.acknowledged(unacked.tx);
        let body = request.body.clone();
        if matches!(call.phase, Phase::Accepted) {
            call.phase = Phase::Confirmed;
            let sdp = unacked.offered.then_some(body);
            self.tell(leg, CallOutput::Confirmed { sdp });
        } else if unacked.offered {
            self.tell(leg, CallOutput::ReofferAnswered { sdp: body });
        }
    }

    /// Sends a response in its transaction; one that is over or answered already needs none.
    pub(crate) fn answer(&mut self, now: Instant, tx: TransactionId, response: Response) {
        let tag = self.new_tag();
        let _ = self.layer.respond(now, tx, &response.with_to_tag(&tag));
        self.pump(now);
    }
}

/// May the answer have a session description (RFC 3261 §20.1)? Without Accept it may.
fn accepts_sdp(headers: &Headers) -> bool {
    let mut ranges = headers.list(&HeaderName::Accept).into_iter().peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            [SDP, "application/*", "*/*"]
                .iter()
                .any(|ours| range.eq_ignore_ascii_case(ours))
        })
}
