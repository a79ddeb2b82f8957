//! Reliable provisional responses (RFC 3262): PRACK for those of the other side, and ours until their PRACK.

use std::time::Duration;

use gateway_core::{AccountId, Cause, Instant, LegId};
use rand::Rng;

use super::UserAgent;
use super::agent::Use;
use super::call::{EarlySession, GIVE_UP, Pending, Phase, T1};
use super::dialog::Dialog;
use super::headers::{ACCEPT_OFFER, IDENTITY, SDP};
use super::identity;
use super::inside::What;
use super::types::CallOutput;
use super::uac::InviteUse;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response};

/// Early dialogs kept of one INVITE: more forks ring without us knowing them apart.
const MOST_EARLY: usize = 8;

/// Whether provisional responses are made reliable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provisional {
    /// Not known to us: a caller who requires it is refused (420).
    Off,
    /// Done where the other side requires it.
    #[default]
    Supported,
    /// Required of everybody; a caller who cannot do it is refused (421).
    Required,
}

/// An early dialog of an INVITE of ours.
#[derive(Debug)]
pub(crate) struct Early {
    /// The answer, if it came in a reliable response: the 2xx need not repeat it (RFC 3261 §13.2.1).
    pub(crate) answer: Option<Vec<u8>>,
    /// The party that the network named before the answer.
    pub(crate) asserted: Option<NameAddr>,
    /// An offer of theirs was answered since.
    pub(crate) changed: bool,
    pub(crate) dialog: Dialog,
    /// An UPDATE that waits for the driver's answer.
    pending: Option<Pending>,
    /// The last reliable response that was taken.
    rseq: Option<u32>,
}

/// A provisional response of ours that waits for its PRACK.
#[derive(Debug)]
pub(crate) struct Reliable {
    /// It has our answer to the offer of the INVITE.
    answers: bool,
    cseq: u32,
    interval: Duration,
    /// When to repeat it, and when to give up; `None` after the final response.
    timer: Option<(Instant, Instant)>,
    response: Response,
    rseq: u32,
    tx: TransactionId,
}

impl Reliable {
    pub(crate) fn due(&self) -> Option<Instant> {
        self.timer.map(|(next, give_up)| next.min(give_up))
    }

    /// Does our answer wait for its PRACK? Until then there is no 2xx (RFC 3262 §3).
    pub(crate) const fn holds_the_answer(&self) -> bool {
        self.answers && self.timer.is_some()
    }

    /// The final response was sent: nothing is repeated any more, but a late PRACK still gets its answer.
    pub(crate) const fn settle(&mut self) {
        self.timer = None;
    }
}

impl UserAgent {
    /// Settings of an account, or those of direct calls.
    pub(crate) fn provisional_of(&self, account: Option<&AccountId>) -> Provisional {
        account
            .and_then(|id| self.accounts.get(id))
            .map_or_else(Provisional::default, |account| account.params.provisional)
    }

    /// Takes a 101 to 199. False if it is out of order and says nothing (RFC 3262 §4).
    pub(crate) fn early_heard(
        &mut self,
        now: Instant,
        tx: TransactionId,
        invite: &mut InviteUse,
        response: &Response,
    ) -> bool {
        let Some(tag) = response
            .headers
            .to()
            .ok()
            .and_then(|to| to.tag().map(str::to_owned))
        else {
            return true;
        };
        let known = invite
            .early
            .iter()
            .position(|early| early.dialog.remote_tag() == tag);
        let at = match known {
            Some(at) => at,
            None if invite.early.len() >= MOST_EARLY => return true,
            None => {
                let Some(dialog) = Dialog::uac(&invite.request, response) else {
                    return true;
                };
                invite.early.push(Early {
                    answer: None,
                    asserted: None,
                    changed: false,
                    dialog,
                    pending: None,
                    rseq: None,
                });
                invite.early.len() - 1
            }
        };
        let early = &mut invite.early[at];
        let reliable = response.headers.has_token(&HeaderName::Require, "100rel")
            && self.provisional_of(invite.account.as_ref()) != Provisional::Off;
        let rseq = response
            .headers
            .leading_number(&HeaderName::RSeq)
            .filter(|_| reliable);
        if let Some(rseq) = rseq {
            let [way, other] = self.ways(invite.account.as_ref(), invite.flow, &early.dialog);
            let unheard = early.rseq == Some(rseq) && way != other;
            if unheard {
                early.dialog.follows = !early.dialog.follows;
            } else if early.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
                return false;
            }
            early.rseq = Some(rseq);
            if early.answer.is_none()
                && !response.body.is_empty()
                && response.headers.content_type().as_deref() == Some(SDP)
            {
                early.answer = Some(response.body.clone());
            }
            early.dialog.refresh_target(&response.headers);
            let cseq = invite.request.headers.cseq().map_or(1, |cseq| cseq.number);
            let prack = early
                .dialog
                .request(Method::PRACK)
                .with(HeaderName::RAck, format!("{rseq} {cseq} INVITE"));
            let flow = self.direct_flow(invite.account.as_ref(), invite.flow, &invite.early[at].dialog);
            self.ask_inside(now, invite.leg, What::Prack { invite: tx }, prack, flow, 0);
        }
        true
    }

    /// A PRACK that was challenged goes again, if the call still waits.
    pub(crate) fn prack_again(&mut self, invite: TransactionId, prack: &Request) -> Option<Request> {
        let tag = prack.headers.to().ok()?.tag()?.to_owned();
        let rack = prack.headers.text(&HeaderName::RAck)?.into_owned();
        let Some(Use::Invite(invite)) = self.uses.get_mut(&invite) else {
            return None;
        };
        let early = invite
            .early
            .iter_mut()
            .find(|early| early.dialog.remote_tag() == tag)?;
        Some(early.dialog.request(Method::PRACK).with(HeaderName::RAck, rack))
    }

    /// A request in an early dialog of an INVITE of ours: UPDATE names another party or place, or makes an offer (RFC 3311).
    pub(crate) fn early_request(
        &mut self,
        now: Instant,
        tx: TransactionId,
        invite: TransactionId,
        request: &Request,
        flow: &Flow,
    ) {
        let Some(Use::Invite(of)) = self.uses.get_mut(&invite) else {
            return;
        };
        let seq = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let Some(early) = of.early.iter_mut().find(|early| early.dialog.takes(request)) else {
            return;
        };
        if early.dialog.take_seq(seq).is_err() {
            let response = Response::to(request, 500).with(HeaderName::RetryAfter, "1");
            self.answer(now, tx, response);
            return;
        }
        let (leg, account) = (of.leg, of.account.clone());
        if request.method != Method::UPDATE {
            self.unsupported(now, tx, request);
            return;
        }
        if let Some(refusal) = self.unreadable(account.as_ref(), request) {
            self.answer(now, tx, refusal);
            return;
        }
        let trusted = account
            .and_then(|id| self.accounts.get(&id))
            .is_some_and(|account| account.trusts(flow));
        let Some(Use::Invite(of)) = self.uses.get_mut(&invite) else {
            return;
        };
        let Some(early) = of.early.iter_mut().find(|early| early.dialog.takes(request)) else {
            return;
        };
        if early.pending.is_some() {
            self.busy_with_an_offer(now, tx, request);
            return;
        }
        let offers = !request.body.is_empty();
        let Some(answer) = early.answer.clone().or_else(|| (!offers).then(Vec::new)) else {
            // Ours has no answer here that counts: one offer at a time (RFC 3311 §5.2).
            self.answer(now, tx, Response::to(request, 491));
            return;
        };
        if trusted && let Some(who) = identity::asserted(&request.headers) {
            early.asserted = Some(who);
        }
        early.pending = Some(Pending {
            offerless: false,
            request: Box::new(request.clone()),
            tx,
        });
        let dialog = early.dialog.remote_tag().to_owned();
        if offers {
            let heard = of.early_media.as_ref().is_some_and(|(tag, _)| *tag == dialog);
            let sdp = request.body.clone();
            let what = CallOutput::EarlyOffer {
                answer,
                dialog,
                heard,
                sdp,
            };
            self.tell(leg, what);
        } else {
            self.early_offer_answered(now, leg, &dialog, Some(Vec::new()));
        }
    }

    /// Why a request with an offer cannot be taken, whatever the offer says.
    fn unreadable(&self, account: Option<&AccountId>, request: &Request) -> Option<Response> {
        let unknown = self.not_supported(account, &request.headers);
        if !unknown.is_empty() {
            let refusal = Response::to(request, 420);
            return Some(refusal.with(HeaderName::Unsupported, unknown.join(", ")));
        }
        if request.body.is_empty() {
            return None;
        }
        let refusal = Response::to(request, 415);
        if request.headers.is_encoded() {
            return Some(refusal.with(HeaderName::AcceptEncoding, IDENTITY));
        }
        let is_sdp = request.headers.content_type().as_deref() == Some(SDP);
        (!is_sdp).then(|| refusal.with(HeaderName::Accept, ACCEPT_OFFER))
    }

    /// The driver's answer to an `EarlyOffer` of this dialog: a description, or `None` for "not acceptable" (488).
    pub fn answer_early_offer(&mut self, now: Instant, leg: LegId, dialog: &str, sdp: Option<Vec<u8>>) {
        self.early_offer_answered(now, leg, dialog, sdp);
        self.drain(now);
    }

    fn early_offer_answered(&mut self, now: Instant, leg: LegId, dialog: &str, sdp: Option<Vec<u8>>) {
        // the call may be answered by this, or over: the INVITE is still known
        let invites = self.uses.values_mut().filter_map(|each| {
            if let Use::Invite(invite) = each {
                (invite.leg == leg).then_some(invite)
            } else {
                None
            }
        });
        let mut early = invites.flat_map(|invite| &mut invite.early);
        let asked = |early: &&mut Early| early.dialog.remote_tag() == dialog && early.pending.is_some();
        let Some(early) = early.find(asked) else {
            return;
        };
        let Some(Pending { request, tx, .. }) = early.pending.take() else {
            return;
        };
        let Some(sdp) = sdp else {
            self.answer(now, tx, Response::to(&request, 488));
            return;
        };
        early.dialog.refresh_target(&request.headers);
        early.changed |= !sdp.is_empty();
        let mut response = self.with_contact(leg, Response::to(&request, 200));
        if !sdp.is_empty() {
            response = response.with_body(SDP, sdp);
        }
        self.answer(now, tx, response);
    }

    /// An INVITE of ours is forgotten, with the early dialogs that it began.
    pub(crate) fn early_dialogs_over(&mut self, now: Instant, invite: InviteUse) {
        let left = invite.early.into_iter().filter_map(|early| early.pending);
        for Pending { request, tx, .. } in left {
            self.answer(now, tx, Response::to(&request, 487));
        }
    }

    /// Makes a provisional response of ours reliable (RFC 3262 §3) and repeats it until its PRACK.
    pub(crate) fn send_reliably(&mut self, now: Instant, leg: LegId, tx: TransactionId, response: Response) {
        let rseq = self.rng.random_range(1..0x7fff_ffff);
        let response = response
            .with(HeaderName::Require, "100rel")
            .with(HeaderName::RSeq, rseq.to_string());
        if let Some(call) = self.calls.get_mut(&leg) {
            let answers = !response.body.is_empty();
            if answers {
                call.early = EarlySession::Answered;
            }
            call.reliable = Some(Reliable {
                answers,
                cseq: response.headers.cseq().map_or(0, |cseq| cseq.number),
                interval: T1,
                timer: Some((now + T1, now + GIVE_UP)),
                response: response.clone(),
                rseq,
                tx,
            });
        }
        self.answer(now, tx, response);
    }

    /// A PRACK: it ends the repeats of the response it names, and may make an offer after our answer in that (RFC 3262 §5).
    pub(crate) fn prack_heard(
        &mut self,
        now: Instant,
        tx: TransactionId,
        leg: LegId,
        request: Request,
        ok: Response,
    ) {
        let named = request
            .headers
            .text(&HeaderName::RAck)
            .and_then(|text| rack(&text));
        let account = self.calls.get(&leg).and_then(|call| call.account.clone());
        let refusal = self.unreadable(account.as_ref(), &request);
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let fits = |reliable: &mut Reliable| named == Some((reliable.rseq, reliable.cseq));
        if call.reliable.take_if(fits).is_none() {
            self.answer(now, tx, Response::to(&request, 481));
            return;
        }
        // The response has been heard, whatever becomes of the offer: a refused one leaves everything as it was.
        let may = matches!(call.phase, Phase::Incoming { .. })
            && call.early != EarlySession::None
            && call.pending.is_none();
        match (request.body.is_empty(), refusal) {
            (true, None) => self.answer(now, tx, ok),
            (_, Some(refusal)) => self.answer(now, tx, refusal),
            (false, None) if may => {
                let sdp = Some(request.body.clone());
                call.pending = Some(Pending {
                    offerless: false,
                    request: Box::new(request),
                    tx,
                });
                self.tell(leg, CallOutput::Reoffer { sdp });
            }
            // Theirs has no answer yet, or it has been given in the 200.
            (false, None) => self.answer(now, tx, Response::to(&request, 488)),
        }
        self.accept_if_it_may(now, leg);
    }

    /// The timer of a reliable response of ours.
    pub(crate) fn reliable_due(&mut self, now: Instant, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Some(reliable) = &mut call.reliable else {
            return;
        };
        let Some((next, give_up)) = reliable.timer else {
            return;
        };
        let (tx, response) = (reliable.tx, reliable.response.clone());
        if give_up <= now {
            // RFC 3262 §3: who does not acknowledge this will not acknowledge an answer either.
            call.reliable = None;
            let Phase::Incoming { request, .. } = &call.phase else {
                return;
            };
            let refusal = Response::to(request, 504);
            let tag = call
                .dialog
                .as_ref()
                .map_or_else(String::new, |d| d.local_tag().to_owned());
            self.answer(now, tx, refusal.with_to_tag(&tag));
            self.over(leg, Cause::Unreachable, "180 Ringing was not acknowledged");
        } else if next <= now {
            reliable.interval *= 2;
            reliable.timer = Some((now + reliable.interval, give_up));
            // The transaction may have its final response in this moment.
            let _ = self.layer.respond(now, tx, &response);
            self.pump(now);
        }
    }
}

/// `RSeq CSeq INVITE` of an RAck header.
fn rack(text: &str) -> Option<(u32, u32)> {
    let mut words = text.split_ascii_whitespace();
    let (rseq, cseq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next() == Some("INVITE") && words.next().is_none()).then_some((rseq, cseq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rack_names_a_response_and_its_invite() {
        assert_eq!(rack("776656 1 INVITE"), Some((776_656, 1)));
        assert_eq!(rack(" 1\t 2  INVITE "), Some((1, 2)));
        for text in [
            "",
            "1 2",
            "1 2 BYE",
            "1 2 INVITE x",
            "-1 2 INVITE",
            "99999999999 2 INVITE",
        ] {
            assert_eq!(rack(text), None, "{text:?}");
        }
    }
}
