//! Requests inside a call: BYE, INFO, re-INVITE, UPDATE, and what is declined.

use gateway_core::{Cause, Instant, LegId};
use rand::Rng;

use super::UserAgent;
use super::call::{EarlySession, Pending, Phase};
use super::headers::{ACCEPT, ACCEPT_OFFER, ALLOW, IDENTITY, SDP, capable};
use super::identity;
use super::privacy;
use super::timer::TooSmall;
use super::types::CallOutput;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response};

impl UserAgent {
    pub(crate) fn in_dialog(
        &mut self,
        now: Instant,
        tx: TransactionId,
        leg: LegId,
        request: Request,
        flow: &Flow,
    ) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let seq = request.headers.cseq().map_or(0, |cseq| cseq.number);
        if call
            .dialog
            .as_mut()
            .is_some_and(|dialog| dialog.take_seq(seq).is_err())
        {
            self.answer(
                now,
                tx,
                Response::to(&request, 500).with(HeaderName::RetryAfter, "1"),
            );
            return;
        }
        call.learn_session(request.headers.text(&HeaderName::SessionId).as_deref());
        call.learn_allowed(&request.headers);
        let session = call.session_header();
        let ok = Response::to(&request, 200).with(HeaderName::SessionId, session);
        match &request.method {
            m if *m == Method::BYE => {
                self.answer(now, tx, ok);
                self.terminate_incoming(now, leg);
                let detail = request.headers.text(&HeaderName::Reason).map_or_else(
                    || "BYE received".to_owned(),
                    |reason| format!("BYE received, {reason}"),
                );
                self.over(leg, Cause::Normal, detail);
            }
            m if *m == Method::PRACK => self.prack_heard(now, tx, leg, request, ok),
            m if *m == Method::INFO => self.info(now, tx, leg, &request, ok),
            m if *m == Method::INVITE || *m == Method::UPDATE => self.reoffer(now, tx, leg, request, flow),
            m if *m == Method::OPTIONS => {
                let response = capable(ok, &self.params.user_agent);
                self.answer(now, tx, response);
            }
            m if *m == Method::MESSAGE => self.message_in_call(now, tx, leg, &request, ok, flow),
            m if *m == Method::REFER => self.refer_heard(now, tx, leg, request),
            _ => self.unsupported(now, tx, &request),
        }
    }

    /// 405 for methods we know and do not allow, 501 for others.
    pub(crate) fn unsupported(&mut self, now: Instant, tx: TransactionId, request: &Request) {
        let code = if matches!(request.method, Method::Known(_)) {
            405
        } else {
            501
        };
        self.answer(
            now,
            tx,
            Response::to(request, code).with(HeaderName::Allow, ALLOW),
        );
    }

    fn info(&mut self, now: Instant, tx: TransactionId, leg: LegId, request: &Request, ok: Response) {
        if !request.body.is_empty() && request.headers.is_encoded() {
            let response = Response::to(request, 415).with(HeaderName::AcceptEncoding, IDENTITY);
            self.answer(now, tx, response);
            return;
        }
        let kind = request.headers.content_type();
        let text = String::from_utf8_lossy(&request.body);
        let digit = match kind.as_deref() {
            // some write the body of the one under the name of the other
            Some("application/dtmf-relay" | "application/dtmf") => {
                relay_digit(&text).or_else(|| plain_digit(&text))
            }
            None if request.body.is_empty() => {
                // Some PBXs probe a call that way.
                self.answer(now, tx, ok);
                return;
            }
            Some(_) | None => {
                self.answer(
                    now,
                    tx,
                    Response::to(request, 415).with(HeaderName::Accept, ACCEPT),
                );
                return;
            }
        };
        let confirmed = self
            .calls
            .get(&leg)
            .is_some_and(|call| matches!(call.phase, Phase::Confirmed));
        match digit {
            None => self.answer(now, tx, Response::to(request, 400)),
            Some(digit) => {
                self.answer(now, tx, ok);
                // Before the ACK of an incoming call nobody is confirmed, so nothing is pressed.
                if confirmed {
                    self.tell(leg, CallOutput::Digit { at: now, digit });
                }
            }
        }
    }

    fn reoffer(&mut self, now: Instant, tx: TransactionId, leg: LegId, request: Request, flow: &Flow) {
        let Some(call) = self.calls.get(&leg) else {
            return;
        };
        let account = call.account.clone();
        // Only of a direct call From says who it is. To take a right away, an asserted identity needs no trust.
        let from = account
            .is_none()
            .then(|| request.headers.from_addr().ok())
            .flatten();
        let withheld = privacy::wanted(&request.headers);
        for told in from.into_iter().chain(identity::asserted(&request.headers)) {
            self.check_identity(leg, (&told, withheld), request.method.as_str(), flow);
        }
        let unknown = self.not_supported(account.as_ref(), &request.headers);
        if !unknown.is_empty() {
            let response = Response::to(&request, 420).with(HeaderName::Unsupported, unknown.join(", "));
            self.answer(now, tx, response);
            return;
        }
        let timer = self.timer_of(account.as_ref());
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let invite = request.method == Method::INVITE;
        let has_sdp = request.headers.content_type().as_deref() == Some(SDP) && !request.body.is_empty();
        let offered = !invite && call.unacked.as_ref().is_some_and(|unacked| unacked.offered);
        if call.offering && (invite || has_sdp) || offered && has_sdp {
            // Both offer at the same time: each tries again after another wait (RFC 3261 §14.2, RFC 3311 §5.2).
            self.answer(now, tx, Response::to(&request, 491));
            return;
        }
        let bare = request.body.is_empty();
        let ringing = matches!(call.phase, Phase::Incoming { .. });
        // a new offer once the first one has its answer, and one without at any time
        let early = !invite
            && (ringing && (bare || call.early != EarlySession::None)
                || matches!(call.phase, Phase::Accepted) && bare);
        if !(early || matches!(call.phase, Phase::Confirmed) && call.unacked.is_none())
            || call.pending.is_some()
        {
            // RFC 3261 §14.2, RFC 3311 §5.2: one offer at a time.
            self.busy_with_an_offer(now, tx, &request);
            return;
        }
        if !request.body.is_empty() && request.headers.is_encoded() {
            let response = Response::to(&request, 415).with(HeaderName::AcceptEncoding, IDENTITY);
            self.answer(now, tx, response);
            return;
        }
        if !request.body.is_empty() && !has_sdp {
            self.answer(
                now,
                tx,
                Response::to(&request, 415).with(HeaderName::Accept, ACCEPT_OFFER),
            );
            return;
        }
        if let Some(Err(TooSmall(min))) = timer.map(|timer| timer.answer(&request.headers)) {
            let response = Response::to(&request, 422).with(HeaderName::MinSe, min.to_string());
            self.answer(now, tx, response);
            return;
        }
        let sdp = has_sdp.then(|| request.body.clone());
        let offerless = sdp.is_none();
        call.pending = Some(Pending {
            offerless: offerless && invite,
            request: Box::new(request),
            tx,
        });
        if offerless && !invite {
            // An UPDATE without offer refreshes the session or the identity.
            self.answer_reoffer(now, leg, Some(Vec::new()));
        } else {
            self.tell(leg, CallOutput::Reoffer { sdp });
        }
    }

    /// Refuses an offer while another one has no answer: it may come again after up to 10 s (RFC 3311 §5.2).
    pub(crate) fn busy_with_an_offer(&mut self, now: Instant, tx: TransactionId, request: &Request) {
        let wait = self.rng.random_range(0..=10);
        let response = Response::to(request, 500).with(HeaderName::RetryAfter, wait.to_string());
        self.answer(now, tx, response);
    }

    /// The driver's answer to a `Reoffer`: a description, or `None` for "not acceptable" (488).
    pub fn answer_reoffer(&mut self, now: Instant, leg: LegId, sdp: Option<Vec<u8>>) {
        self.reoffer_answered(now, leg, sdp);
        self.accept_if_it_may(now, leg);
        self.drain(now);
    }

    /// An offer that the driver has not answered in time is answered with the end of its call (RFC 3261 §15.1.2).
    pub(crate) fn answer_what_is_over(&mut self, now: Instant) {
        let over = self.calls.values_mut().filter(|call| call.is_over());
        let left: Vec<Pending> = over.filter_map(|call| call.pending.take()).collect();
        for Pending { request, tx, .. } in left {
            self.answer(now, tx, Response::to(&request, 487));
        }
    }

    fn reoffer_answered(&mut self, now: Instant, leg: LegId, sdp: Option<Vec<u8>>) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Some(Pending {
            offerless,
            request,
            tx,
        }) = call.pending.take()
        else {
            return;
        };
        let Some(sdp) = sdp else {
            let refusal = Response::to(&request, 488).with(HeaderName::SessionId, call.session_header());
            self.answer(now, tx, refusal);
            return;
        };
        // Before the answer there is no session that could be refreshed.
        let confirmed = matches!(call.phase, Phase::Confirmed);
        if matches!(call.phase, Phase::Incoming { .. }) && !sdp.is_empty() {
            call.early = EarlySession::Changed;
        }
        let mut response = Response::to(&request, 200);
        if request.method == Method::PRACK {
            // it moves no target (RFC 3262 §7.1), and its answer has no Contact
            response = response.with(HeaderName::SessionId, call.session_header());
        } else {
            if let Some(dialog) = call.dialog.as_mut() {
                dialog.refresh_target(&request.headers);
            }
            response = self.with_contact(leg, response);
        }
        if confirmed {
            response = self.with_timer(now, leg, &request.headers, response);
        }
        if !sdp.is_empty() {
            response = response.with_body(SDP, sdp);
        }
        if request.method == Method::INVITE {
            self.accepted(now, leg, tx, response, offerless);
        } else {
            self.answer(now, tx, response);
        }
    }

    /// The party is another one now, as is told over `flow`. Of a call that we made through a PBX, that PBX and nobody else
    /// vouches for the new one, and the list decides anew; else it takes the right to open away, for good.
    pub(crate) fn check_identity(
        &mut self,
        leg: LegId,
        (told, withheld): (&NameAddr, bool),
        by: &str,
        flow: &Flow,
    ) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let Some(known) = &call.identity else {
            return;
        };
        if call.authority_lost || !identity::differs(&known.uri, &told.uri) {
            return;
        }
        let shown = |uri: &crate::Uri, withheld| match withheld {
            true => gateway_core::ANONYMOUS.to_owned(),
            false => uri.to_string(),
        };
        let (before, after) = (shown(&known.uri, call.withheld), shown(&told.uri, withheld));
        let why = format!("{by} says that {before} is {after} now");
        let account = call.account.as_ref().and_then(|id| self.accounts.get(id));
        let output = if call.outgoing && account.is_some_and(|account| account.trusts(flow)) {
            call.identity = Some(told.clone());
            call.withheld = withheld;
            let peer = identity::peer(told, true, withheld);
            CallOutput::Named { peer, why }
        } else {
            call.authority_lost = true;
            CallOutput::AuthorityLost { why }
        };
        self.tell(leg, output);
    }
}

/// `Signal=9` among the lines of a dtmf-relay body.
fn relay_digit(text: &str) -> Option<char> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("signal")
            .then(|| plain_digit(value))?
    })
}

/// One digit; 10 to 15 are event numbers of RFC 4733 for `*`, `#` and A to D.
fn plain_digit(text: &str) -> Option<char> {
    let text = text.trim();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => {
            let c = c.to_ascii_uppercase();
            matches!(c, '0'..='9' | '*' | '#' | 'A'..='D').then_some(c)
        }
        (Some(_), Some(_)) => {
            let n: usize = text.parse().ok().filter(|n| (10..=15).contains(n))?;
            "*#ABCD".chars().nth(n - 10)
        }
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_info_bodies_as_peers_write_them() {
        for (body, expected) in [
            ("Signal=9\r\nDuration=160\r\n", Some('9')),
            ("Signal= 5\r\nDuration= 160", Some('5')),
            ("signal=*\n", Some('*')),
            ("Signal=11\r\n", Some('#')),
            ("Duration=160\r\n", None),
            ("Signal=hello\r\n", None),
        ] {
            assert_eq!(relay_digit(body), expected, "{body:?}");
        }
        for (body, expected) in [
            ("9", Some('9')),
            (" # \r\n", Some('#')),
            ("a", Some('A')),
            ("", None),
            ("99", None),
        ] {
            assert_eq!(plain_digit(body), expected, "{body:?}");
        }
    }
}
