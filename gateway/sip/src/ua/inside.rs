//! Requests of ours inside a call: refreshes by UPDATE or re-INVITE (RFC 4028 §10), and PRACK; their answers, and
//! what happens when there is none.

use std::time::Duration;

use gateway_core::{AccountId, Cause, Instant, LegId};
use rand::Rng;

use super::UserAgent;
use super::agent::Use;
use super::call::{Call, Phase};
use super::headers::SDP;
use super::hop::Hop;
use super::identity;
use super::privacy;
use super::timer::{SessionTimer, confirmed, min_se};
use super::types::CallOutput;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, Request, Response};

/// Challenges answered for one request.
const MOST_AUTHS: u8 = 3;
/// Wait before a refresh is tried again after an answer that says nothing about when.
const AGAIN: Duration = Duration::from_secs(10);
/// Requests inside calls that wait for a connection.
const MOST_ROOMLESS: usize = 64;
/// Wait while another exchange of the call goes on.
const BUSY: Duration = Duration::from_secs(1);

/// What a request inside a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Tells how a transfer goes on.
    Notify,
    /// Presses a key.
    Press,
    /// Acknowledges a provisional response of this INVITE.
    Prack { invite: TransactionId },
    /// Refreshes the session.
    Refresh,
}

/// A request of ours inside a call.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The ACK of a re-INVITE, to be repeated with each repeated 2xx.
    ack: Option<Request>,
    auths: u8,
    flow: Flow,
    leg: LegId,
    request: Request,
    what: What,
}

/// A request inside a call that is too long for UDP, and the connection that it waits for.
#[derive(Debug)]
pub(crate) struct Roomless {
    auths: u8,
    flow: Flow,
    leg: LegId,
    request: Request,
    pub(crate) tcp: Hop,
    what: What,
}

impl UserAgent {
    /// Settings of an account, or those of direct calls; `None`: no session timers.
    pub(crate) fn timer_of(&self, account: Option<&AccountId>) -> Option<SessionTimer> {
        account
            .and_then(|id| self.accounts.get(id))
            .map_or_else(|| Some(SessionTimer::default()), |account| account.params.timer)
    }

    /// Sends a request inside a call. One that is too long for UDP waits for a connection (RFC 3261 §18.1.1). False if it cannot
    /// be sent.
    pub(crate) fn ask_inside(
        &mut self,
        now: Instant,
        leg: LegId,
        what: What,
        request: Request,
        flow: Flow,
        auths: u8,
    ) -> bool {
        let Some(call) = self.calls.get(&leg) else {
            return false;
        };
        let (session, account) = (call.session_header(), call.account.clone());
        let mut request = self.named(request.with(HeaderName::SessionId, session));
        if let Some(account) = account.as_ref().and_then(|id| self.accounts.get_mut(id)) {
            account.auth.preempt(&mut request, &mut self.rng);
        }
        let len = request.to_bytes().len();
        let flow = match self.with_room(now, len, flow) {
            Ok(flow) => flow,
            Err(tcp) if self.roomless.len() < MOST_ROOMLESS => {
                self.roomless.push(Roomless {
                    auths,
                    flow,
                    leg,
                    request,
                    tcp,
                    what,
                });
                return true;
            }
            Err(_) => flow,
        };
        self.send_inside(now, leg, what, request, flow, auths)
    }

    /// The connection that requests inside calls wait for is there, or refused.
    pub(crate) fn inside_reaches(&mut self, now: Instant, tcp: &Hop) {
        let due = self.roomless.extract_if(.., |waiting| waiting.tcp == *tcp);
        for waiting in due.collect::<Vec<_>>() {
            let Roomless {
                auths,
                flow,
                leg,
                request,
                what,
                ..
            } = waiting;
            if self.calls.get(&leg).is_none_or(Call::is_over) {
                continue;
            }
            let roomy = self.with_room(now, request.to_bytes().len(), flow);
            if self.send_inside(now, leg, what, request, roomy.unwrap_or(flow), auths) {
                continue;
            }
            match what {
                What::Notify | What::Prack { .. } => {}
                What::Press => self.pressed(leg, false),
                What::Refresh => self.refresh_again(now, leg, BUSY),
            }
        }
    }

    fn send_inside(
        &mut self,
        now: Instant,
        leg: LegId,
        what: What,
        request: Request,
        flow: Flow,
        auths: u8,
    ) -> bool {
        // Too many transactions: a refresh is tried again, a PRACK is asked for again.
        let Ok(tx) = self.layer.send_request(now, request.clone(), flow) else {
            return false;
        };
        let inside = Inside {
            ack: None,
            auths,
            flow,
            leg,
            request,
            what,
        };
        self.uses.insert(tx, Use::Inside(Box::new(inside)));
        self.pump(now);
        true
    }

    /// The timer of the session: time to refresh it, or over.
    pub(crate) fn session_due(&mut self, now: Instant, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Some(clock) = &mut call.clock else {
            return;
        };
        if clock.end <= now {
            let interval = clock.interval;
            call.clock = None;
            self.send_bye(now, leg, Cause::Unreachable);
            self.over(
                leg,
                Cause::Unreachable,
                format!("session timer: no refresh within {interval} s"),
            );
        } else if clock.refresh.is_some_and(|at| at <= now) {
            let quiet = matches!(call.phase, Phase::Confirmed)
                && call.pending.is_none()
                && call.unacked.is_none()
                && !call.asking;
            if !quiet {
                clock.refresh = Some(now + BUSY);
                return;
            }
            clock.refresh = None;
            call.asking = true;
            if call.takes_update {
                self.refresh(now, leg, Method::UPDATE, None);
            } else {
                call.offering = true;
                self.tell(leg, CallOutput::RefreshOfferWanted);
            }
        }
    }

    /// The driver's offer after [`CallOutput::RefreshOfferWanted`].
    pub fn give_refresh_offer(&mut self, now: Instant, leg: LegId, sdp: Vec<u8>) {
        if self
            .calls
            .get(&leg)
            .is_some_and(|call| call.offering && matches!(call.phase, Phase::Confirmed))
        {
            self.refresh(now, leg, Method::INVITE, Some(sdp));
        }
        self.drain(now);
    }

    fn refresh(&mut self, now: Instant, leg: LegId, method: Method, sdp: Option<Vec<u8>>) {
        let flow = self.flow_of(leg);
        let contact = self.contact_of(leg);
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let (account, least) = (call.account.clone(), call.min_se);
        let interval = call.clock.as_ref().map_or(0, |clock| clock.interval);
        let Some((flow, dialog)) = flow.zip(call.dialog.as_mut()) else {
            // The connection is being made anew.
            self.refresh_again(now, leg, BUSY);
            return;
        };
        let mut request = dialog.request(method);
        if let Some(contact) = contact {
            request = request.with(HeaderName::Contact, contact);
        }
        request = request.with(HeaderName::Supported, self.supported(account.as_ref()));
        if let Some(timer) = self.timer_of(account.as_ref()) {
            // RFC 4028 §7.4: a refresh asks for the interval that is in force, by whoever refreshes now.
            let (_, min) = timer.asks(least);
            let interval = interval.max(least).max(90);
            request = request.with(HeaderName::SessionExpires, format!("{interval};refresher=uac"));
            if let Some(min) = min {
                request = request.with(HeaderName::MinSe, min.to_string());
            }
        }
        if let Some(sdp) = sdp {
            request = request
                .with(HeaderName::Allow, super::headers::ALLOW)
                .with_body(SDP, sdp);
        }
        if !self.ask_inside(now, leg, What::Refresh, request, flow, 0) {
            self.refresh_again(now, leg, BUSY);
        }
    }

    /// Tries again later; the end of the session stays where it is.
    fn refresh_again(&mut self, now: Instant, leg: LegId, wait: Duration) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        call.asking = false;
        if let Some(clock) = &mut call.clock {
            clock.refresh = Some(now + wait);
        }
        if std::mem::take(&mut call.offering) {
            // An offer that was refused leaves everything as it was.
            self.tell(leg, CallOutput::ReofferAnswered { sdp: Vec::new() });
        }
    }

    pub(crate) fn inside_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        mut inside: Box<Inside>,
        response: &Response,
    ) {
        let code = response.code();
        if let Some(ack) = &mut inside.ack {
            if (200..300).contains(&code) {
                self.layer.send_ack(ack, inside.flow);
            }
            self.uses.insert(tx, Use::Inside(inside));
            return;
        }
        if code < 200 {
            self.uses.insert(tx, Use::Inside(inside));
            return;
        }
        let leg = inside.leg;
        if matches!(code, 401 | 407) && self.inside_challenged(now, &inside, response) {
            return;
        }
        if inside.what == What::Notify && code >= 300 {
            self.referrer_lost(leg);
        }
        if inside.what == What::Press {
            self.pressed(leg, code < 300);
        }
        if inside.what != What::Refresh {
            // A PRACK that is refused: the response it names comes again, or the INVITE fails.
            return;
        }
        let invite = inside.request.method == Method::INVITE;
        match code {
            200..=299 => {
                let flow = inside.flow;
                if invite {
                    self.acknowledge_refresh(tx, inside, response);
                }
                self.refreshed(now, leg, invite, response, &flow);
            }
            422 => {
                let known = self.calls.get(&leg).map_or(0, |call| call.min_se);
                let asked = min_se(&response.headers).filter(|asked| *asked > known);
                if let (Some(asked), Some(call)) = (asked, self.calls.get_mut(&leg)) {
                    call.min_se = asked;
                }
                self.refresh_again(now, leg, if asked.is_some() { Duration::ZERO } else { AGAIN });
            }
            491 => {
                // RFC 3261 §14.1: whoever made the Call-ID waits longer.
                let caller = self.calls.get(&leg).is_some_and(|call| call.outgoing);
                let range = if caller { 2100..4000 } else { 0..2000 };
                let wait = self.rng.random_range(range);
                self.refresh_again(now, leg, Duration::from_millis(wait));
            }
            405 | 501 if !invite => {
                if let Some(call) = self.calls.get_mut(&leg) {
                    call.takes_update = false;
                }
                self.refresh_again(now, leg, Duration::ZERO);
            }
            // RFC 3261 §12.2.1.2: the other side knows nothing of this call any more.
            408 | 481 => self.refresh_lost(now, leg, &response.status_line()),
            _ => {
                let asked = response.headers.leading_number(&HeaderName::RetryAfter);
                let wait = asked.map_or(AGAIN, |s| Duration::from_secs(u64::from(s.clamp(1, 60))));
                self.refresh_again(now, leg, wait);
            }
        }
    }

    fn inside_challenged(&mut self, now: Instant, inside: &Inside, response: &Response) -> bool {
        let leg = inside.leg;
        let account = self.calls.get(&leg).and_then(|call| call.account.clone());
        let may = inside.auths < MOST_AUTHS
            && account
                .and_then(|id| self.accounts.get_mut(&id))
                .is_some_and(|account| account.auth.take_challenge(response, inside.auths));
        if !may {
            return false;
        }
        let again = match inside.what {
            What::Prack { invite } => self.prack_again(invite, &inside.request),
            What::Notify | What::Press | What::Refresh => self.calls.get_mut(&leg).and_then(|call| {
                let dialog = call.dialog.as_mut()?;
                let mut again = dialog.request(inside.request.method.clone());
                for name in [
                    HeaderName::Contact,
                    HeaderName::Event,
                    HeaderName::SubscriptionState,
                    HeaderName::Supported,
                    HeaderName::SessionExpires,
                    HeaderName::MinSe,
                    HeaderName::Allow,
                    HeaderName::ContentType,
                ] {
                    for value in inside.request.headers.all(&name) {
                        again.headers.push(name.clone(), value.clone());
                    }
                }
                again.body.clone_from(&inside.request.body);
                Some(again)
            }),
        };
        again
            .is_some_and(|again| self.ask_inside(now, leg, inside.what, again, inside.flow, inside.auths + 1))
    }

    /// ACK of a re-INVITE, kept for the repeats of the 2xx.
    fn acknowledge_refresh(&mut self, tx: TransactionId, mut inside: Box<Inside>, response: &Response) {
        let call = self.calls.get_mut(&inside.leg);
        let session = call.as_ref().map(|call| call.session_header());
        if let (Some(dialog), Some(session)) = (call.and_then(|call| call.dialog.as_mut()), session) {
            dialog.refresh_target(&response.headers);
            let seq = inside.request.headers.cseq().map_or(1, |cseq| cseq.number);
            let mut ack = dialog.ack(seq).with(HeaderName::SessionId, session);
            for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
                for value in inside.request.headers.all(&name) {
                    ack.headers.push(name.clone(), value.clone());
                }
            }
            let mut ack = self.named(ack);
            self.layer.send_ack(&mut ack, inside.flow);
            inside.ack = Some(ack);
            self.uses.insert(tx, Use::Inside(inside));
        }
    }

    fn refreshed(&mut self, now: Instant, leg: LegId, invite: bool, response: &Response, flow: &Flow) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        call.asking = false;
        call.offering = false;
        call.clock = confirmed(now, &response.headers);
        call.learn_allowed(&response.headers);
        call.learn_session(response.headers.text(&HeaderName::SessionId).as_deref());
        if let Some(dialog) = call.dialog.as_mut() {
            dialog.refresh_target(&response.headers);
        }
        // From of a response is ourselves: only an asserted identity says who the party is now.
        if let Some(told) = identity::asserted(&response.headers) {
            let withheld = privacy::wanted(&response.headers);
            self.check_identity(leg, (&told, withheld), "the answer to a refresh", flow);
        }
        if invite && self.calls.contains_key(&leg) {
            let is_sdp = response.headers.content_type().as_deref() == Some(SDP);
            let sdp = if is_sdp { response.body.clone() } else { Vec::new() };
            self.tell(leg, CallOutput::ReofferAnswered { sdp });
        }
    }

    /// No answer to a request inside a call.
    pub(crate) fn inside_failed(&mut self, now: Instant, inside: &Inside, why: &str, sent: bool) {
        if inside.what == What::Press {
            self.pressed(inside.leg, false);
        }
        if inside.what != What::Refresh || inside.ack.is_some() {
            return;
        }
        if sent {
            self.refresh_lost(now, inside.leg, why);
        } else {
            let over_udp = |call: &Call| call.flow.is_some_and(|flow| !flow.transport.is_reliable());
            if inside.flow.transport.is_reliable() && self.calls.get(&inside.leg).is_some_and(over_udp) {
                // whoever takes a connection and drops it would get the same one again: then UDP has to do
                let tcp = self.roomy_hop(&inside.flow);
                self.no_room(now, &tcp, why);
            }
            // The connection broke: the next try takes the new one.
            self.refresh_again(now, inside.leg, BUSY * 2);
        }
    }

    fn refresh_lost(&mut self, now: Instant, leg: LegId, why: &str) {
        if self.calls.get(&leg).is_some_and(|call| !call.is_over()) {
            self.send_bye(now, leg, Cause::Unreachable);
            self.over(leg, Cause::Unreachable, format!("session refresh: {why}"));
        }
    }
}
