//! Texts in and out (RFC 3428): `text/plain`, at most 1300 bytes, from those whose calls are taken and to whom we may call.
//!
//! A text says something to people. It opens nothing and commands nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gateway_core::{AccountId, Instant, LegId, Peer};

use super::UserAgent;
use super::agent::Use;
use super::headers::IDENTITY;
use super::hop::Hop;
use super::hops::Reach;
use super::privacy;
use super::uas::Refused;
use crate::transaction::TransactionId;
use crate::{Aor, Flow, HeaderName, Method, NameAddr, Request, Response, Uri};

/// Most bytes of a text, either way (RFC 3428 §8).
pub const MOST_TEXT: usize = 1300;
/// Media type of a text.
const TEXT: &str = "text/plain";
/// Texts of ours on their way.
const MOST_SENDING: usize = 16;
/// Room that the answer to a challenge takes in a request, bytes.
const AUTH_ROOM: usize = 300;
/// Challenges answered for one text.
const MOST_AUTHS: u8 = 2;
/// Texts that are taken of one source within [`SPAN_S`]: more are refused with 503.
const MOST_TAKEN: u32 = 20;
const SPAN_S: u64 = 60;
/// Sources that are told apart within [`SPAN_S`]; texts of further ones are refused.
const MOST_SOURCES: usize = 64;

/// A text to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Through which account; `None` sends it to `target` directly.
    pub account: Option<AccountId>,
    /// Chosen by whoever sends it, for the answer.
    pub id: u64,
    /// `1000`, `1000@host`, `sip:…`, `tel:…`.
    pub target: String,
    /// The text, 1 to [`MOST_TEXT`] bytes.
    pub text: String,
}

/// What became of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageOutput {
    /// One came.
    Received {
        /// Account; `None` for a direct peer.
        account: Option<AccountId>,
        /// To whom: the user part of the Request-URI, empty without one.
        called: String,
        /// Who sent it.
        peer: Peer,
        /// What, without control characters but line ends and tabs.
        text: String,
    },
    /// One of ours was taken by the other side, or by a PBX that hands it on.
    Sent {
        /// Of [`OutgoingMessage`].
        id: u64,
    },
    /// One of ours was not taken.
    Failed {
        /// Of [`OutgoingMessage`].
        id: u64,
        /// Status line or the like.
        why: String,
    },
}

/// A text of ours on its way.
#[derive(Debug)]
pub(crate) struct Sending {
    auths: u8,
    flow: Flow,
    message: OutgoingMessage,
    request: Request,
}

/// How many texts came from whom since when.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    sources: BTreeMap<IpAddr, (u32, Instant)>,
}

impl Taken {
    fn takes(&mut self, now: Instant, source: IpAddr) -> bool {
        self.sources
            .retain(|_, (_, since)| now.since(*since).as_secs() < SPAN_S);
        if !self.sources.contains_key(&source) && self.sources.len() >= MOST_SOURCES {
            return false;
        }
        let (count, _) = self.sources.entry(source).or_insert((0, now));
        *count = count.saturating_add(1);
        *count <= MOST_TAKEN
    }
}

impl UserAgent {
    /// MESSAGE outside a call.
    pub(crate) fn message_heard(&mut self, now: Instant, tx: TransactionId, request: &Request, flow: &Flow) {
        let taken = self.called_account(request, flow).and_then(|account| {
            let text = self.take_text(now, request, flow)?;
            Ok((account, text))
        });
        let response = match taken {
            Ok((account, text)) => {
                let who = self.caller(request, account.as_ref(), flow);
                self.out
                    .push_back(super::Output::Message(MessageOutput::Received {
                        account,
                        called: request.uri.user().unwrap_or_default(),
                        peer: super::identity::peer(&who, true, privacy::of_request(request)),
                        text,
                    }));
                Response::to(request, 200)
            }
            Err(Refused(code, extra)) => refused(request, code, extra),
        };
        self.answer(now, tx, response);
    }

    /// MESSAGE in a call: its sender is who has the call.
    pub(crate) fn message_in_call(
        &mut self,
        now: Instant,
        tx: TransactionId,
        leg: LegId,
        request: &Request,
        ok: Response,
        flow: &Flow,
    ) {
        let response = match self.take_text(now, request, flow) {
            Ok(text) => {
                let call = self.calls.get(&leg);
                let account = call.and_then(|call| call.account.clone());
                let known = call.and_then(|call| call.identity.clone());
                let withheld = call.is_some_and(|call| call.withheld) || privacy::of_request(request);
                let who = known.unwrap_or_else(|| self.caller(request, account.as_ref(), flow));
                self.out
                    .push_back(super::Output::Message(MessageOutput::Received {
                        account,
                        called: request.uri.user().unwrap_or_default(),
                        peer: super::identity::peer(&who, true, withheld),
                        text,
                    }));
                ok
            }
            Err(Refused(code, extra)) => refused(request, code, extra),
        };
        self.answer(now, tx, response);
    }

    fn take_text(&mut self, now: Instant, request: &Request, flow: &Flow) -> Result<String, Refused> {
        if request.headers.is_encoded() && !request.body.is_empty() {
            return Err(Refused(415, Some((HeaderName::AcceptEncoding, IDENTITY.into()))));
        }
        let kind = request.headers.content_type();
        let plain = kind
            .as_deref()
            .map(|kind| kind.split(';').next().unwrap_or_default().trim());
        if plain.is_none_or(|plain| !plain.eq_ignore_ascii_case(TEXT)) {
            return Err(Refused(415, Some((HeaderName::Accept, TEXT.into()))));
        }
        if request.body.len() > MOST_TEXT {
            return Err(Refused(413, None));
        }
        let text: String = String::from_utf8_lossy(&request.body)
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(Refused(400, None));
        }
        if !self.taken.takes(now, flow.remote.ip().to_canonical()) {
            return Err(Refused(503, Some((HeaderName::RetryAfter, SPAN_S.to_string()))));
        }
        Ok(text)
    }

    /// Sends a text. `Sent` or `Failed` follows.
    pub fn send_message(&mut self, now: Instant, message: OutgoingMessage) {
        let id = message.id;
        if let Err(why) = self.start_message(now, message) {
            self.out
                .push_back(super::Output::Message(MessageOutput::Failed { id, why }));
        }
        self.drain(now);
    }

    fn start_message(&mut self, now: Instant, message: OutgoingMessage) -> Result<(), String> {
        if message.text.is_empty() || message.text.len() > MOST_TEXT {
            return Err(format!("a text has 1 to {MOST_TEXT} bytes"));
        }
        let sending = self
            .uses
            .values()
            .filter(|u| matches!(u, Use::Message(_)))
            .count();
        let sending = sending + self.texts.len();
        if self.stopping || sending >= MOST_SENDING {
            return Err(format!("{sending} texts are on their way"));
        }
        let (call_id, tag) = (self.new_call_id(), self.new_tag());
        let (aor, routes, flow, target) = match &message.account {
            Some(id) => {
                let account = self.accounts.get(id).filter(|account| account.usable());
                let account = account.ok_or_else(|| format!("account {id} is not registered"))?;
                let target = Aor::complete(&message.target, Some(&account.params.domain));
                let flow = account.reg.flow.ok_or("no connection")?;
                (account.aor(), account.routes(), flow, target)
            }
            None => {
                let target = Aor::complete(&message.target, None);
                let uri = target
                    .as_ref()
                    .map(|target| target.uri().clone())
                    .map_err(ToString::to_string)?;
                let sip = uri
                    .as_sip()
                    .ok_or_else(|| format!("{uri} cannot be reached directly"))?;
                let hop = Hop::of_uri(sip, self.params.direct_trust);
                let flow = match self.reach(now, &hop, true) {
                    Reach::Up(reached) => reached.flow,
                    Reach::Failed(why) => return Err(why),
                    Reach::Wait => {
                        self.texts.push((hop, message));
                        return Ok(());
                    }
                };
                let aor = Uri::sip(Some("door"), flow.local.ip().into(), None);
                (aor, Vec::new(), flow, target)
            }
        };
        let target = target.map_err(|e| e.to_string())?.into_uri();
        let mut request = Request::new(Method::MESSAGE, target.clone());
        for route in routes {
            request = request.with(HeaderName::Route, route.to_string());
        }
        let request = request
            .with(HeaderName::From, NameAddr::new(aor).with_tag(&tag).to_string())
            .with(HeaderName::To, NameAddr::new(target).to_string())
            .with(HeaderName::CallId, call_id)
            .with(HeaderName::CSeq, "1 MESSAGE")
            .with_body("text/plain;charset=utf-8", message.text.clone());
        let request = self.named(request);
        let room = if message.account.is_some() { AUTH_ROOM } else { 0 };
        let flow = match self.with_room(now, request.to_bytes().len() + room, flow) {
            Ok(flow) => flow,
            Err(tcp) => {
                self.texts.push((tcp, message));
                return Ok(());
            }
        };
        self.post(
            now,
            Sending {
                auths: 0,
                flow,
                message,
                request,
            },
        )
    }

    /// A hop was reached, or not: texts that waited for it go, or fail.
    pub(crate) fn texts_reach(&mut self, now: Instant, hop: &Hop, result: Result<(), &str>) {
        let all = std::mem::take(&mut self.texts);
        let (due, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(of, _)| of == hop);
        self.texts = rest;
        for (_, message) in due {
            let id = message.id;
            let result = match result {
                Ok(()) => self.start_message(now, message),
                Err(why) if self.leads_to(&message, hop) => Err(why.to_owned()),
                // it was only for the size: then UDP has to do
                Err(why) => {
                    self.no_room(now, hop, why);
                    self.start_message(now, message)
                }
            };
            if let Err(why) = result {
                self.out
                    .push_back(super::Output::Message(MessageOutput::Failed { id, why }));
            }
        }
    }

    /// True if a text has no other way than this hop.
    fn leads_to(&self, message: &OutgoingMessage, hop: &Hop) -> bool {
        let target = Aor::complete(&message.target, None).map(Aor::into_uri);
        message.account.is_none()
            && target.is_ok_and(|uri| {
                uri.as_sip()
                    .is_some_and(|sip| Hop::of_uri(sip, self.params.direct_trust) == *hop)
            })
    }

    fn post(&mut self, now: Instant, mut sending: Sending) -> Result<(), String> {
        let account = sending
            .message
            .account
            .as_ref()
            .and_then(|id| self.accounts.get_mut(id));
        if let Some(account) = account {
            account.auth.preempt(&mut sending.request, &mut self.rng);
        }
        let tx = self
            .layer
            .send_request(now, sending.request.clone(), sending.flow)
            .map_err(|e| e.to_string())?;
        self.uses.insert(tx, Use::Message(Box::new(sending)));
        self.pump(now);
        Ok(())
    }

    pub(crate) fn message_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        mut sending: Box<Sending>,
        response: &Response,
    ) {
        let id = sending.message.id;
        match response.code() {
            100..=199 => {
                self.uses.insert(tx, Use::Message(sending));
            }
            200..=299 => self
                .out
                .push_back(super::Output::Message(MessageOutput::Sent { id })),
            401 | 407 if sending.auths < MOST_AUTHS && self.challenged(&sending, response) => {
                sending.auths += 1;
                let seq = sending.request.headers.cseq().map_or(1, |cseq| cseq.number) + 1;
                sending
                    .request
                    .headers
                    .set(HeaderName::CSeq, format!("{seq} MESSAGE"));
                if let Err(why) = self.post(now, *sending) {
                    self.out
                        .push_back(super::Output::Message(MessageOutput::Failed { id, why }));
                }
            }
            _ => self.message_failed(&sending, &response.status_line()),
        }
    }

    fn challenged(&mut self, sending: &Sending, response: &Response) -> bool {
        let account = sending
            .message
            .account
            .as_ref()
            .and_then(|id| self.accounts.get_mut(id));
        account.is_some_and(|account| account.auth.take_challenge(response, sending.auths))
    }

    pub(crate) fn message_failed(&mut self, sending: &Sending, why: &str) {
        self.out.push_back(super::Output::Message(MessageOutput::Failed {
            id: sending.message.id,
            why: why.to_owned(),
        }));
    }
}

fn refused(request: &Request, code: u16, extra: Option<(HeaderName, String)>) -> Response {
    let response = Response::to(request, code);
    match extra {
        Some((name, value)) => response.with(name, value),
        None => response,
    }
}
