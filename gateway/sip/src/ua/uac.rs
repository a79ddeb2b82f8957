//! Outgoing calls (RFC 3261 §13.2): INVITE, its forks, CANCEL, and the races between them.

use gateway_core::{AccountId, Cause, Instant, LegId};

use super::UserAgent;
use super::account::Account;
use super::agent::Use;
use super::call::{Ack, Acks, Call, Dialing, EarlySession, NIL_SESSION, Phase};
use super::dialog::Dialog;
use super::headers::{ALLOW, SDP, reason};
use super::hop::{Hop, Reached};
use super::hops::{HopSlot, Reach};
use super::identity;
use super::manner;
use super::outcome::cause_of;
use super::privacy::{self, Privacy};
use super::provisional::{Early, Provisional};
use super::seen::contact_uri;
use super::timer::{confirmed, min_se};
use super::types::{CallOutput, OutgoingCall};
use crate::transaction::TransactionId;
use crate::{Aor, Flow, HeaderName, Method, NameAddr, Request, Response, Uri};

/// Challenges answered in one call.
const MOST_AUTHS: u8 = 4;
/// Servers of one name that are asked in one call.
const MOST_SERVERS: usize = 4;
/// 422s followed in one call: each hop on the way may ask for more.
const MOST_INTERVALS: u8 = 3;

fn not_registered(id: &AccountId) -> String {
    format!("account {id} is not registered")
}

/// An INVITE of ours: lives as long as its transaction, which may be longer than the leg.
#[derive(Debug)]
pub(crate) struct InviteUse {
    pub(crate) account: Option<AccountId>,
    acks: Acks,
    /// Why it was given up.
    cancelled: Option<Cause>,
    pub(crate) early: Vec<Early>,
    /// Whose early media is heard: its tag, and how it described that.
    pub(crate) early_media: Option<(String, Vec<u8>)>,
    pub(crate) flow: Flow,
    pub(crate) leg: LegId,
    pub(crate) request: Request,
}

impl InviteUse {
    /// What a provisional response says of early media, if that is news: of the first phone that has any, and of no other
    /// one, so that two are not heard at once.
    fn speaks_early(&mut self, response: &Response) -> Option<Vec<u8>> {
        let described = !response.body.is_empty()
            && !response.headers.is_encoded()
            && response.headers.content_type().as_deref() == Some(SDP);
        let to = response.headers.to().ok().filter(|_| described)?;
        // without a tag (RFC 2543) there is no telling them apart
        let tag = to.tag().unwrap_or_default();
        // what was agreed there since is newer than whatever repeats the first answer
        if self
            .early
            .iter()
            .any(|early| early.changed && early.dialog.remote_tag() == tag)
        {
            return None;
        }
        let known = self.early_media.as_ref();
        if known.is_some_and(|(of, sdp)| of != tag || *sdp == response.body) {
            return None;
        }
        self.early_media = Some((tag.to_owned(), response.body.clone()));
        Some(response.body.clone())
    }
}

impl UserAgent {
    /// Makes a call. The first answer is `OfferWanted` or `Ended`.
    pub fn call(&mut self, now: Instant, call: OutgoingCall) {
        let leg = call.leg;
        if let Err((cause, detail)) = self.dial(now, call) {
            self.tell(leg, CallOutput::Ended { cause, detail });
        }
        self.drain(now);
    }

    pub(crate) fn dial(&mut self, now: Instant, wish: OutgoingCall) -> Result<(), (Cause, String)> {
        let OutgoingCall {
            account,
            display,
            leg,
            manner,
            patience,
            ring,
            target,
        } = wish;
        if self.stopping || self.calls.len() >= self.params.max_calls {
            return Err((
                Cause::Refused,
                format!("{} calls are in progress", self.calls.len()),
            ));
        }
        let known = match &account {
            None => None,
            Some(id) => {
                let known = self.accounts.get(id).filter(|a| a.usable() || a.expected());
                Some(known.ok_or_else(|| (Cause::Refused, not_registered(id)))?)
            }
        };
        let domain = known.map(|account| account.params.domain.clone());
        let manner = known.map_or_else(|| manner.clone(), |account| manner.or(&account.params.manner));
        let waits = known.is_some_and(|account| !account.usable());
        let target = Aor::complete(&target, domain.as_ref())
            .map_err(|e| (Cause::NotFound, e.to_string()))?
            .into_uri();
        let hop = match account.as_ref().and_then(|id| self.accounts.get(id)) {
            Some(account) => account.params.hop.clone(),
            None => {
                let uri = target
                    .as_sip()
                    .ok_or_else(|| (Cause::NotFound, format!("{target} cannot be dialled directly")))?;
                Hop::of_uri(uri, self.params.direct_trust)
            }
        };
        let dialing = Dialing {
            answer_by: patience.map(|patience| now + patience),
            auths: 0,
            call_id: self.new_call_id(),
            display,
            intervals: 0,
            manner,
            patience,
            rang: false,
            referred: None,
            seq: 0,
            servers: 0,
            tag: self.new_tag(),
            target: target.clone(),
        };
        let call = Call {
            accepting: None,
            account,
            asked_by: None,
            asking: false,
            authority_lost: false,
            clock: None,
            dialing: Some(dialing),
            dialog: None,
            early: EarlySession::None,
            flow: None,
            hop: hop.clone(),
            identity: None,
            min_se: 0,
            offering: false,
            outgoing: true,
            pending: None,
            phase: Phase::WaitingAccount,
            referral: None,
            reliable: None,
            session: (ring.session_id(), NIL_SESSION.to_owned()),
            takes_info: false,
            takes_update: false,
            unacked: None,
            withheld: false,
        };
        self.calls.insert(leg, call);
        if !waits {
            self.reach_called(now, leg);
        }
        Ok(())
    }

    fn reach_called(&mut self, now: Instant, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        call.phase = Phase::Reaching { offer: None };
        let hop = call.hop.clone();
        match self.reach(now, &hop, true) {
            Reach::Failed(why) => self.over(leg, Cause::Unreachable, why),
            Reach::Up(reached) => self.call_flow_up(now, leg, &reached),
            Reach::Wait => {}
        }
    }

    /// The PBX has answered, or not: whoever waited for it calls, or is told.
    pub(crate) fn account_settled(&mut self, now: Instant, id: &AccountId) {
        let usable = self.accounts.get(id).is_some_and(Account::usable);
        let waiting = self.calls.iter().filter(|(_, call)| call.waits_for_account(id));
        let waiting: Vec<LegId> = waiting.map(|(leg, _)| *leg).collect();
        for leg in waiting {
            if usable {
                self.reach_called(now, leg);
            } else {
                self.over(leg, Cause::Refused, not_registered(id));
            }
        }
    }

    pub(crate) fn call_flow_up(&mut self, now: Instant, leg: LegId, reached: &Reached) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Phase::Reaching { offer } = &mut call.phase else {
            return;
        };
        let offer = offer.take();
        call.flow = Some(reached.flow);
        call.phase = Phase::WaitingOffer;
        match offer {
            Some(offer) => self.invite(now, leg, offer, true),
            None => {
                let local = reached.flow.local.ip();
                self.tell(leg, CallOutput::OfferWanted { local });
            }
        }
    }

    pub(crate) fn call_flow_failed(&mut self, now: Instant, leg: LegId, why: &str) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Phase::Reaching { offer } = &mut call.phase else {
            return;
        };
        // without a flow to go back to, it was for another server
        match offer.take().filter(|_| call.flow.is_some()) {
            Some(offer) => {
                // TCP was wanted only for the size: RFC 3261 §18.1.1 lets us go back to UDP.
                let hop = call.hop.clone();
                self.no_room(now, &hop, why);
                self.invite(now, leg, offer, true);
            }
            None => self.over(leg, Cause::Unreachable, why),
        }
    }

    /// The driver's offer for an outgoing leg.
    pub fn give_offer(&mut self, now: Instant, leg: LegId, sdp: Vec<u8>) {
        if self
            .calls
            .get(&leg)
            .is_some_and(|call| matches!(call.phase, Phase::WaitingOffer))
        {
            self.invite(now, leg, sdp, false);
        }
        self.drain(now);
    }

    /// Builds and sends the INVITE. `settled`: the transport is not chosen again.
    fn invite(&mut self, now: Instant, leg: LegId, sdp: Vec<u8>, settled: bool) {
        let Some((request, flow)) = self.invite_request(leg, &sdp) else {
            self.over(leg, Cause::Unreachable, "no connection");
            return;
        };
        if !settled {
            match self.with_room(now, request.to_bytes().len(), flow) {
                Ok(roomy) if roomy == flow => {}
                Ok(roomy) => {
                    if let Some(call) = self.calls.get_mut(&leg) {
                        call.flow = Some(roomy);
                    }
                    self.invite(now, leg, sdp, true);
                    return;
                }
                Err(tcp) => {
                    if let Some(call) = self.calls.get_mut(&leg) {
                        call.hop = tcp;
                        call.phase = Phase::Reaching { offer: Some(sdp) };
                    }
                    return;
                }
            }
        }
        self.send_invite(now, leg, request, flow);
    }

    fn invite_request(&mut self, leg: LegId, sdp: &[u8]) -> Option<(Request, Flow)> {
        let user_agent = self.params.user_agent.clone();
        let of = self.calls.get(&leg)?.account.clone();
        let timer = self.timer_of(of.as_ref());
        let provisional = self.provisional_of(of.as_ref());
        let supported = self.supported(of.as_ref());
        let call = self.calls.get_mut(&leg)?;
        let asks = timer.map(|timer| timer.asks(call.min_se));
        let flow = call.flow?;
        let account = call.account.as_ref().and_then(|id| self.accounts.get_mut(id));
        let session = call.session_header();
        let public = self.params.public_address;
        let dialing = call.dialing.as_mut()?;
        dialing.seq += 1;
        let (aor, contact, routes, display) = match &account {
            Some(account) => (
                account.aor(),
                contact_uri(Some(account), public, &account.contact_user, &flow),
                account.routes(),
                account.params.display.clone(),
            ),
            None => (
                Uri::sip(Some("door"), flow.local.ip().into(), None),
                contact_uri(None, public, "door", &flow),
                Vec::new(),
                String::new(),
            ),
        };
        let shown = if dialing.display.is_empty() {
            display
        } else {
            dialing.display.clone()
        };
        let mut from = NameAddr::new(aor).with_tag(&dialing.tag);
        if !shown.is_empty() {
            from = from.with_display(&shown);
        }
        let privacy = account
            .as_ref()
            .map_or(Privacy::Off, |account| account.params.privacy);
        let (from, withholds) = privacy.apply(from);
        let mut request = Request::new(Method::INVITE, dialing.target.clone());
        for route in routes {
            request = request.with(HeaderName::Route, route.to_string());
        }
        let mut request = request
            .with(HeaderName::From, from.to_string())
            .with(HeaderName::To, NameAddr::new(dialing.target.clone()).to_string())
            .with(HeaderName::CallId, dialing.call_id.as_str())
            .with(HeaderName::CSeq, format!("{} INVITE", dialing.seq))
            .with(HeaderName::Contact, NameAddr::new(contact).to_string())
            .with(HeaderName::Allow, ALLOW)
            .with(HeaderName::SessionId, session)
            .with(HeaderName::UserAgent, user_agent.as_str())
            .with_body(SDP, sdp);
        if !supported.is_empty() {
            request = request.with(HeaderName::Supported, supported);
        }
        if provisional == Provisional::Required {
            request = request.with(HeaderName::Require, "100rel");
        }
        let at = account.as_ref().map(|account| account.params.domain.to_string());
        let at = at.unwrap_or_else(|| crate::Host::from(flow.local.ip()).to_string());
        request = manner::write(request, &dialing.manner, &at);
        for (name, value) in withholds {
            request = request.with(name, value);
        }
        if let Some(referred) = &dialing.referred {
            request = request.with(HeaderName::ReferredBy, referred.by.as_str());
            if let Some(replaces) = &referred.replaces {
                request = request
                    .with(HeaderName::Replaces, replaces.as_str())
                    .with(HeaderName::Require, "replaces");
            }
        }
        if let Some((interval, min)) = asks {
            request = request.with(HeaderName::SessionExpires, interval.to_string());
            if let Some(min) = min {
                request = request.with(HeaderName::MinSe, min.to_string());
            }
        }
        if let Some(account) = account {
            account.auth.preempt(&mut request, &mut self.rng);
        }
        Some((request, flow))
    }

    fn send_invite(&mut self, now: Instant, leg: LegId, request: Request, flow: Flow) {
        match self.layer.send_request(now, request.clone(), flow) {
            Ok(tx) => {
                if let Some(call) = self.calls.get_mut(&leg) {
                    call.phase = Phase::Calling { tx };
                    let invite = InviteUse {
                        account: call.account.clone(),
                        acks: Acks::new(),
                        cancelled: None,
                        early: Vec::new(),
                        early_media: None,
                        flow,
                        leg,
                        request,
                    };
                    self.uses.insert(tx, Use::Invite(Box::new(invite)));
                }
            }
            Err(e) => self.over(leg, Cause::Refused, e.to_string()),
        }
        self.pump(now);
    }

    /// Gives up an INVITE; the transaction waits for a provisional response if there was none.
    pub(crate) fn cancel_invite(&mut self, now: Instant, tx: TransactionId, cause: Cause) {
        // It may have its final answer in this very moment; then the answer's handler ends the call.
        let _ = self.layer.cancel(now, tx, Some(reason(cause).into()));
        if let Some(Use::Invite(invite)) = self.uses.get_mut(&tx) {
            invite.cancelled = Some(cause);
        }
    }

    pub(crate) fn invite_failed(&mut self, now: Instant, invite: &InviteUse, why: &str) {
        let leg = invite.leg;
        let Some(call) = self.calls.get(&leg) else {
            return;
        };
        if !matches!(call.phase, Phase::Calling { .. }) {
            return;
        }
        let rang = call.dialing.as_ref().is_some_and(|dialing| dialing.rang);
        if !rang && !invite.flow.transport.is_reliable() {
            let hop = call.hop.clone();
            self.hop_silent(&hop);
        }
        let cause = if rang { Cause::NoAnswer } else { Cause::Unreachable };
        self.over(leg, cause, why);
        self.pump(now);
    }

    /// Gives up a call that nobody has said a word to.
    pub(crate) fn patience_due(&mut self, now: Instant, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let due = |dialing: &Dialing| dialing.answer_by.is_some_and(|at| at <= now);
        if call.is_over() || !call.dialing.as_ref().is_some_and(due) {
            return;
        }
        if let Phase::Calling { tx } = call.phase {
            let hop = call.hop.clone();
            self.cancel_invite(now, tx, Cause::Unreachable);
            self.hop_silent(&hop);
        }
        self.over(leg, Cause::Unreachable, "nothing was heard from there");
        self.pump(now);
    }

    pub(crate) fn invite_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        mut invite: Box<InviteUse>,
        response: Response,
    ) {
        let leg = invite.leg;
        // Only the transaction that the call waits for speaks for it: an earlier, challenged one does not.
        let current = self
            .calls
            .get(&leg)
            .is_some_and(|call| matches!(call.phase, Phase::Calling { tx: ours } if ours == tx));
        if current && let Some(call) = self.calls.get_mut(&leg) {
            call.learn_session(response.headers.text(&HeaderName::SessionId).as_deref());
            if let Some(dialing) = &mut call.dialing {
                dialing.answer_by = None;
            }
        }
        match response.code() {
            100 => {}
            101..=199 => {
                let heard = !current || self.early_heard(now, tx, &mut invite, &response);
                let rings = heard && matches!(response.code(), 180 | 183);
                if current
                    && rings
                    && let Some(dialing) = self.calls.get_mut(&leg).and_then(|c| c.dialing.as_mut())
                {
                    let first = !std::mem::replace(&mut dialing.rang, true);
                    if first {
                        self.tell(leg, CallOutput::Ringing);
                    }
                }
                if let Some(sdp) = invite.speaks_early(&response).filter(|_| current && heard) {
                    self.tell(leg, CallOutput::EarlyMedia { sdp });
                }
            }
            200..=299 => self.invite_accepted(now, &mut invite, &response, current),
            422 if current => self.interval_refused(now, &invite, &response),
            401 | 407 if current => self.invite_challenged(now, &invite, &response),
            503 if current && self.invite_elsewhere(now, &invite) => {}
            code if current => {
                let rang = self
                    .calls
                    .get(&leg)
                    .and_then(|call| call.dialing.as_ref())
                    .is_some_and(|dialing| dialing.rang);
                if (300..=302).contains(&code) {
                    self.redirected(leg, &response);
                }
                self.over(leg, cause_of(code, rang), response.status_line());
            }
            _ => {}
        }
        // Repeated answers may come until the transaction is over.
        self.uses.insert(tx, Use::Invite(invite));
    }

    /// A server is overloaded or down for maintenance: the next one of its name is asked (RFC 3263 §4.3, RFC 3261 §21.5.4).
    /// False if there is none.
    fn invite_elsewhere(&mut self, now: Instant, invite: &InviteUse) -> bool {
        let leg = invite.leg;
        let Some(call) = self.calls.get(&leg) else {
            return false;
        };
        // a long request went by TCP to an address; the name has the others
        let of = call.account.as_ref().and_then(|id| self.accounts.get(id));
        let hop = of.map_or_else(|| call.hop.clone(), |account| account.params.hop.clone());
        let servers = self.hops.get(&hop).and_then(HopSlot::reached);
        let servers = servers.map_or(MOST_SERVERS, |reached| reached.peers.len().min(MOST_SERVERS));
        let Some(call) = self.calls.get_mut(&leg) else {
            return false;
        };
        let Some(dialing) = call.dialing.as_mut() else {
            return false;
        };
        if dialing.rang || dialing.servers + 1 >= servers {
            return false;
        }
        dialing.servers += 1;
        dialing.answer_by = dialing.patience.map(|patience| now + patience);
        call.flow = None;
        call.hop = hop.clone();
        call.phase = Phase::Reaching {
            offer: Some(invite.request.body.clone()),
        };
        self.hop_unavailable(&hop, invite.flow.remote);
        match self.reach(now, &hop, true) {
            Reach::Failed(why) => self.over(leg, Cause::Unreachable, why),
            Reach::Up(reached) => self.call_flow_up(now, leg, &reached),
            Reach::Wait => {}
        }
        true
    }

    fn invite_challenged(&mut self, now: Instant, invite: &InviteUse, response: &Response) {
        let leg = invite.leg;
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Some(dialing) = call.dialing.as_mut() else {
            return;
        };
        let account = invite.account.as_ref().and_then(|id| self.accounts.get_mut(id));
        let may = dialing.auths < MOST_AUTHS
            && account.is_some_and(|account| account.auth.take_challenge(response, dialing.auths));
        if !may {
            self.over(leg, Cause::Refused, response.status_line());
            return;
        }
        dialing.auths += 1;
        call.flow = Some(invite.flow);
        let sdp = invite.request.body.clone();
        self.invite(now, leg, sdp, true);
    }

    /// 422: asks again with the least interval that the refusal names (RFC 4028 §7.3).
    fn interval_refused(&mut self, now: Instant, invite: &InviteUse, response: &Response) {
        let leg = invite.leg;
        let asked = min_se(&response.headers);
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let fits = asked.filter(|asked| *asked > call.min_se);
        match (fits, call.dialing.as_mut()) {
            (Some(asked), Some(dialing)) if dialing.intervals < MOST_INTERVALS => {
                dialing.intervals += 1;
                call.min_se = asked;
                call.flow = Some(invite.flow);
                let sdp = invite.request.body.clone();
                self.invite(now, leg, sdp, true);
            }
            _ => self.over(leg, Cause::Refused, response.status_line()),
        }
    }

    fn invite_accepted(&mut self, now: Instant, invite: &mut InviteUse, response: &Response, current: bool) {
        let Some(tag) = response
            .headers
            .to()
            .ok()
            .and_then(|to| to.tag().map(str::to_owned))
        else {
            return;
        };
        if let Some(ack) = invite.acks.get_mut(&tag) {
            // it was not heard where it went
            ack.ways.reverse();
            let [way, other] = ack.ways;
            self.layer.send_ack(&mut ack.request, way);
            let dialog = self
                .calls
                .get_mut(&invite.leg)
                .and_then(|call| call.dialog.as_mut());
            if let Some(dialog) = dialog.filter(|dialog| way != other && dialog.remote_tag() == tag) {
                dialog.follows = !dialog.follows;
            }
            return;
        }
        let early = invite
            .early
            .iter_mut()
            .find(|early| early.dialog.remote_tag() == tag);
        let dialog = Dialog::uac(&invite.request, response).map(|dialog| match &early {
            Some(early) => dialog.continues(&early.dialog),
            None => dialog,
        });
        let (early_answer, early_party, changed) = early.map_or((None, None, false), |early| {
            (early.answer.take(), early.asserted.take(), early.changed)
        });
        // some count on it though it was not acknowledged
        let heard = invite.early_media.take_if(|(of, _)| *of == tag);
        let early_answer = early_answer.or_else(|| heard.map(|(_, sdp)| sdp));
        let Some(mut dialog) = dialog else {
            if current {
                self.over(invite.leg, Cause::Refused, "200 OK without To");
            }
            return;
        };
        let seq = invite.request.headers.cseq().map_or(1, |cseq| cseq.number);
        let ways = self.ways(invite.account.as_ref(), invite.flow, &dialog);
        let [flow, _] = ways;
        let mut ack = dialog
            .ack(seq)
            .with(HeaderName::UserAgent, self.params.user_agent.as_str());
        // RFC 3261 §22.1: the ACK carries the credentials of its INVITE.
        for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
            for value in invite.request.headers.all(&name) {
                ack.headers.push(name.clone(), value.clone());
            }
        }
        if let Some(call) = self.calls.get(&invite.leg) {
            ack = ack.with(HeaderName::SessionId, call.session_header());
        }
        self.layer.send_ack(&mut ack, flow);
        invite.acks.insert(tag.clone(), Ack { request: ack, ways });
        if !current {
            // A fork that lost, or our CANCEL came too late.
            let lost = self.calls.get(&invite.leg).map(|_| Cause::AnsweredElsewhere);
            let cause = lost.or(invite.cancelled).unwrap_or(Cause::Released);
            let bye = dialog
                .request(Method::BYE)
                .with(HeaderName::Reason, reason(cause));
            self.bye(now, bye, invite.account.clone(), flow);
            return;
        }
        let timer = self.timer_of(invite.account.as_ref());
        let Some(call) = self.calls.get_mut(&invite.leg) else {
            return;
        };
        let asserted = call
            .account
            .as_ref()
            .and_then(|_| identity::asserted(&response.headers))
            .or(early_party);
        let dialled = dialog.remote.clone();
        // whom we dialled is no secret to us
        let is_told = asserted.is_some();
        let who = asserted.unwrap_or(dialled);
        // nobody vouches for it in a direct call; that it is another one than was called is believed all the same
        let direct = call.account.is_none() && who.uri.user().is_some();
        let claimed = identity::asserted(&response.headers).filter(|_| direct);
        let withheld = is_told && privacy::wanted(&response.headers);
        call.identity = Some(who.clone());
        call.withheld = withheld;
        call.flow = Some(if call.account.is_some() { invite.flow } else { flow });
        call.dialog = Some(dialog);
        call.dialing = None;
        call.phase = Phase::Confirmed;
        call.learn_allowed(&response.headers);
        call.clock = timer.and_then(|_| confirmed(now, &response.headers));
        let peer = identity::peer(&who, true, withheld);
        let is_sdp = response.headers.content_type().as_deref() == Some(SDP);
        // A 2xx need not repeat the answer of a reliable response, and after another offer it must not (RFC 3261 §13.2.1).
        let sdp = if is_sdp && !changed {
            response.body.clone()
        } else {
            early_answer.unwrap_or_default()
        };
        let dialog = tag;
        self.tell(invite.leg, CallOutput::Answered { dialog, peer, sdp });
        if let Some(claimed) = claimed {
            let withheld = privacy::wanted(&response.headers);
            self.check_identity(invite.leg, (&claimed, withheld), "the answer", &flow);
        }
    }
}
