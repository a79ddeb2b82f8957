//! Transfer by the other side: REFER and its implicit subscription (RFC 3515, 4488), Replaces (RFC 3891) and 3xx.
//!
//! Nothing is followed here by itself: each wish is told, and whoever drives the agent says what becomes of it. A call is
//! handed on at most once at a time. No NOTIFY follows the end of the call that the REFER came in.

use gateway_core::{AccountId, Instant, LegId};

use super::UserAgent;
use super::call::{Phase, Referred};
use super::inside::What;
use super::types::{CallOutput, OutgoingCall};
use crate::transaction::TransactionId;
use crate::{HeaderName, Method, NameAddr, ReferTo, Replaces, Request, Response, Transport, Uri};

/// Seconds that the implicit subscription is said to live: longer than anybody lets a phone ring.
const SUBSCRIBED_S: u32 = 180;
/// Addresses of one 3xx that are told: whoever calls picks those that may be called.
const MOST_CONTACTS: usize = 8;
/// Media type of what a NOTIFY tells (RFC 3420).
const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// A wish of the other side to hand the call to somebody else.
#[derive(Debug)]
pub(crate) enum Referral {
    /// It waits for a yes or no.
    Asked {
        /// Nobody wants to hear how it goes on (RFC 4488).
        quiet: bool,
        request: Box<Request>,
        tx: TransactionId,
    },
    /// The new party is called.
    Calling {
        /// What is to be told next, and whether nothing follows it.
        news: Option<(String, bool)>,
        quiet: bool,
    },
}

impl Referral {
    const fn has_news(&self) -> bool {
        matches!(self, Self::Calling { news: Some(_), .. })
    }
}

impl UserAgent {
    /// REFER in a call.
    pub(crate) fn refer_heard(&mut self, now: Instant, tx: TransactionId, leg: LegId, request: Request) {
        match self.take_refer(leg, &request) {
            Ok((to, quiet)) => {
                let account = self.calls.get(&leg).and_then(|call| call.account.clone());
                let (at_pbx, target) = self.wanted(account.as_ref(), &to.target);
                if let Some(call) = self.calls.get_mut(&leg) {
                    let request = Box::new(request);
                    call.referral = Some(Referral::Asked { quiet, request, tx });
                }
                let replaces = to.replaces.map(|replaces| replaces.to_string());
                let what = CallOutput::TransferAsked {
                    at_pbx,
                    replaces,
                    target,
                };
                self.tell(leg, what);
            }
            Err(response) => self.answer(now, tx, response),
        }
    }

    fn take_refer(&self, leg: LegId, request: &Request) -> Result<(ReferTo, bool), Response> {
        let refuse = |code| Response::to(request, code);
        let call = self.calls.get(&leg).ok_or_else(|| refuse(481))?;
        let unknown = self.not_supported(call.account.as_ref(), &request.headers);
        if !unknown.is_empty() {
            return Err(refuse(420).with(HeaderName::Unsupported, unknown.join(", ")));
        }
        // RFC 3515 §2.2: one Refer-To, no more and no less
        let mut all = request.headers.all(&HeaderName::ReferTo);
        let (Some(to), None) = (all.next(), all.next()) else {
            return Err(refuse(400));
        };
        let to = ReferTo::parse(&to.text()).map_err(|error| {
            let why = error.to_string().replace(['"', '\\'], "'");
            refuse(400).with(HeaderName::Warning, format!("399 doorline \"{why}\""))
        })?;
        if !self.reaches(call.account.as_ref(), &to.target) {
            let why = "399 doorline \"this account has no TLS for sips\"";
            return Err(refuse(416).with(HeaderName::Warning, why));
        }
        if !matches!(call.phase, Phase::Confirmed) || call.referral.is_some() {
            return Err(refuse(491));
        }
        let sub = HeaderName::parse("Refer-Sub").and_then(|name| request.headers.text(&name));
        let quiet = sub.is_some_and(|sub| sub.trim().to_ascii_lowercase().starts_with("false"));
        Ok((to, quiet))
    }

    /// Says no to [`CallOutput::TransferAsked`]: 603, with the reason for whoever looks.
    pub fn refuse_transfer(&mut self, now: Instant, leg: LegId, why: &str) {
        let asked = self.calls.get_mut(&leg).and_then(|call| {
            call.referral
                .take_if(|referral| matches!(referral, Referral::Asked { .. }))
        });
        if let Some(Referral::Asked { request, tx, .. }) = asked {
            let why = why.replace(['"', '\\'], "'");
            let response =
                Response::to(&request, 603).with(HeaderName::Warning, format!("399 doorline \"{why}\""));
            self.answer(now, tx, response);
        }
        self.drain(now);
    }

    /// Says yes to [`CallOutput::TransferAsked`] of the leg `by`, and calls the new party; the leg `by` is told how that
    /// goes on. It is not ended here.
    pub fn transfer(&mut self, now: Instant, by: LegId, wish: OutgoingCall, replaces: Option<String>) {
        let leg = wish.leg;
        let referrer = self.accept_refer(now, by);
        let result = self.dial(now, wish);
        if let Some(call) = self.calls.get_mut(&leg) {
            call.asked_by = Some(by);
            if let (Some(dialing), Some(by)) = (call.dialing.as_mut(), referrer) {
                dialing.referred = Some(Referred { by, replaces });
            }
        }
        if let Err((cause, detail)) = result {
            self.progress(by, failure(&detail), true);
            self.tell(leg, CallOutput::Ended { cause, detail });
        }
        self.drain(now);
    }

    /// 202; gives who wants the transfer, for Referred-By.
    fn accept_refer(&mut self, now: Instant, by: LegId) -> Option<String> {
        let call = self.calls.get_mut(&by)?;
        let who = call.dialog.as_ref().map(|dialog| dialog.remote.uri.clone())?;
        let Some(Referral::Asked { quiet, request, tx }) = call
            .referral
            .take_if(|referral| matches!(referral, Referral::Asked { .. }))
        else {
            return Some(format!("<{who}>"));
        };
        let news = Some(("100 Trying".to_owned(), false));
        call.referral = Some(Referral::Calling { news, quiet });
        let told = request.headers.text(&HeaderName::ReferredBy);
        let told = told.map_or_else(|| format!("<{who}>"), std::borrow::Cow::into_owned);
        let mut response = self.with_contact(by, Response::to(&request, 202));
        if quiet && let Some(name) = HeaderName::parse("Refer-Sub") {
            response = response.with(name, "false");
        }
        self.answer(now, tx, response);
        Some(told)
    }

    fn progress(&mut self, by: LegId, line: String, last: bool) {
        if let Some(Referral::Calling { news, .. }) =
            self.calls.get_mut(&by).and_then(|call| call.referral.as_mut())
        {
            *news = Some((line, last));
        }
    }

    /// What happens to a call that somebody asked for is told to him.
    pub(crate) fn note_progress(&mut self, leg: LegId, what: &CallOutput) {
        let Some(by) = self.calls.get(&leg).and_then(|call| call.asked_by) else {
            return;
        };
        let (line, last) = if let CallOutput::Ended { detail, .. } = what {
            (failure(detail), true)
        } else if matches!(what, CallOutput::Answered { .. }) {
            ("200 OK".to_owned(), true)
        } else if matches!(what, CallOutput::Ringing) {
            ("180 Ringing".to_owned(), false)
        } else {
            return;
        };
        self.progress(by, line, last);
        if last && let Some(call) = self.calls.get_mut(&leg) {
            call.asked_by = None;
        }
    }

    /// Sends what is new of transfers, and answers those whose call is over.
    pub(crate) fn tell_referrers(&mut self, now: Instant) {
        let due = |referral: &Referral, over: bool| referral.has_news() || over;
        let due: Vec<LegId> = self
            .calls
            .iter()
            .filter(|(_, call)| call.referral.as_ref().is_some_and(|r| due(r, call.is_over())))
            .map(|(leg, _)| *leg)
            .collect();
        for leg in due {
            self.tell_referrer(now, leg);
        }
    }

    fn tell_referrer(&mut self, now: Instant, leg: LegId) {
        let contact = self.contact_of(leg);
        let flow = self.flow_of(leg);
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let over = call.is_over();
        let (line, last, quiet) = match &mut call.referral {
            Some(Referral::Calling { news, quiet }) => match news.take() {
                Some((line, last)) => (line, last, *quiet),
                None => (String::new(), true, true),
            },
            Some(Referral::Asked { request, tx, .. }) => {
                let (response, tx) = (Response::to(request, 603), *tx);
                call.referral = None;
                self.answer(now, tx, response);
                return;
            }
            None => return,
        };
        if last || over {
            call.referral = None;
        }
        let (Some(dialog), Some(flow), false) = (call.dialog.as_mut(), flow, quiet || over) else {
            return;
        };
        let state = if last {
            "terminated;reason=noresource".to_owned()
        } else {
            format!("active;expires={SUBSCRIBED_S}")
        };
        let mut notify = dialog
            .request(Method::NOTIFY)
            .with(HeaderName::Event, "refer")
            .with(HeaderName::SubscriptionState, state)
            .with_body(SIPFRAG, format!("SIP/2.0 {line}\r\n"));
        if let Some(contact) = contact {
            notify = notify.with(HeaderName::Contact, contact);
        }
        // A NOTIFY that cannot be sent is missed by nobody but the referrer, who sees the end of the call.
        self.ask_inside(now, leg, What::Notify, notify, flow, 0);
    }

    /// The referrer wants no NOTIFY (RFC 6665 §4.2.2).
    pub(crate) fn referrer_lost(&mut self, leg: LegId) {
        if let Some(Referral::Calling { quiet, .. }) =
            self.calls.get_mut(&leg).and_then(|call| call.referral.as_mut())
        {
            *quiet = true;
        }
    }

    /// A 3xx: whom to call instead, by `q` the best first (RFC 3261 §8.1.3.4, §20.10). Who can only be called over TLS is nobody
    /// where the call has none.
    pub(crate) fn redirected(&mut self, leg: LegId, response: &Response) {
        let Some(call) = self.calls.get(&leg) else {
            return;
        };
        let account = call.account.clone();
        let mut contacts = response
            .headers
            .addresses(&HeaderName::Contact)
            .unwrap_or_default();
        contacts.retain(|contact| {
            !matches!(contact.uri, Uri::Other { .. }) && self.reaches(account.as_ref(), &contact.uri)
        });
        // the order of the message among equals
        contacts.sort_by_key(|contact| std::cmp::Reverse(preference(contact)));
        for NameAddr { mut uri, .. } in contacts.into_iter().take(MOST_CONTACTS) {
            if let Some(sip) = uri.as_sip_mut() {
                // RFC 3261 §19.1.5: header fields of a URI are a wish
                sip.headers = None;
                sip.params.remove("method");
            }
            let (at_pbx, target) = self.wanted(account.as_ref(), &uri);
            self.tell(leg, CallOutput::Redirected { at_pbx, target });
        }
    }

    /// Can it be called as it says? `sips:` is a promise of TLS (RFC 3261 §26.2.2), which an account without it breaks.
    fn reaches(&self, account: Option<&AccountId>, uri: &Uri) -> bool {
        let secure = uri.as_sip().is_some_and(|sip| sip.secure);
        let account = account.and_then(|id| self.accounts.get(id));
        !secure || account.is_none_or(|account| account.transport() == Some(Transport::Tls))
    }

    /// How somebody is named who is wanted in a call over this account: as a user of its domain, if the PBX knows him.
    fn wanted(&self, account: Option<&AccountId>, uri: &Uri) -> (bool, String) {
        let account = account.and_then(|id| self.accounts.get(id));
        let at_pbx = account.is_some_and(|account| match uri {
            Uri::Sip(sip) => {
                let params = &account.params;
                let ports = [
                    params.domain_port,
                    params.hop.port,
                    account.reg.flow.map(|flow| flow.remote.port()),
                ];
                let ip = sip.host.ip().map(|ip| ip.to_canonical());
                let host =
                    sip.host.same_as(&params.domain) || ip.is_some_and(|ip| account.peers.contains(&ip));
                host && sip.port.is_none_or(|port| ports.contains(&Some(port)))
            }
            Uri::Tel(_) => true,
            Uri::Other { .. } => false,
        });
        match (account.filter(|_| at_pbx), uri.user()) {
            (Some(account), Some(user)) => {
                let domain = account.params.domain.clone();
                (true, Uri::sip(Some(&user), domain, None).to_string())
            }
            _ => (false, uri.to_string()),
        }
    }

    /// The leg whose place an INVITE wants to take (RFC 3891 §3), or the code that refuses it.
    pub(crate) fn replaced_by(&self, request: &Request) -> Result<Option<LegId>, u16> {
        let mut all = request.headers.all(&HeaderName::Replaces);
        let replaces = match (all.next(), all.next()) {
            (None, _) => return Ok(None),
            (Some(one), None) => Replaces::parse(&one.text()).map_err(|_| 400_u16)?,
            (Some(_), Some(_)) => return Err(400),
        };
        let Replaces {
            call_id,
            early_only,
            from_tag,
            to_tag,
        } = &replaces;
        let owns = |dialog: &super::dialog::Dialog| dialog.owns(call_id, to_tag, from_tag);
        let (leg, call) = self
            .calls
            .iter()
            .find(|(_, call)| call.dialog.as_ref().is_some_and(owns))
            .ok_or(481_u16)?;
        match call.phase {
            Phase::Over => Err(603),
            Phase::Confirmed if *early_only => Err(486),
            Phase::Confirmed => Ok(Some(*leg)),
            Phase::Accepted
            | Phase::Calling { .. }
            | Phase::Incoming { .. }
            | Phase::Reaching { .. }
            | Phase::WaitingAccount
            | Phase::WaitingOffer => Err(481),
        }
    }
}

/// The `q` of a Contact in thousandths: 0 to 1000, without one or with one that is none 1000 (RFC 3261 §20.10, as registrars take it).
fn preference(contact: &NameAddr) -> u16 {
    let Some(q) = contact.params.get("q") else {
        return 1000;
    };
    let (whole, rest) = q.split_once('.').unwrap_or((q, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "0" if rest.len() <= 3 && digits(rest) => format!("{rest:0<3}").parse().unwrap_or(1000),
        _ => 1000,
    }
}

/// The status line that tells a referrer of a call that came to nothing: the one that ended it, if it was one.
fn failure(detail: &str) -> String {
    let code = detail.get(..3).and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(300..=699) => detail.lines().next().unwrap_or_default().to_owned(),
        Some(_) | None => "503 Service Unavailable".to_owned(),
    }
}
