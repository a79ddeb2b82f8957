//! Presence of an account: whether it can be called, published at its PBX (RFC 3903) as PIDF (RFC 3863).
//!
//! One publication per account, begun as soon as it is registered, modified as its doors fail and are mended, refreshed
//! before it runs out, and removed as the account leaves. A PBX that does not take it is told of once and not asked again
//! before the account registers anew.

use std::time::Duration;

use gateway_core::{AccountId, Instant};

use super::UserAgent;
use super::account::Account;
use super::agent::Use;
use super::dialog_info::escaped;
use super::hop::Hop;
use super::types::Output;
use crate::transaction::TransactionId;
use crate::{HeaderName, Method, NameAddr, Request, Response};

/// Media type of the document.
const MEDIA_TYPE: &str = "application/pidf+xml";
/// Lifetime asked for, seconds (RFC 3856 §6.4).
const EXPIRES_S: u32 = 3600;
/// Longest lifetime that is believed or asked for, seconds.
const MOST_EXPIRES_S: u32 = 86_400;
/// Longest entity tag that is kept, bytes.
const MOST_ETAG: usize = 256;
/// Wait after an answer that says nothing about when, or none.
const AGAIN: Duration = Duration::from_secs(60);
/// A PBX that grants next to no time is asked no more often.
const SOONEST: Duration = Duration::from_secs(5);
/// Challenges, lost tags and lifetimes that are too short, together, answered in one exchange.
const MOST_TRIES: u8 = 4;

/// The publication of an account.
#[derive(Debug, Default)]
pub(crate) struct Publication {
    call_id: String,
    /// When it is to be sent next.
    pub(crate) due: Option<Instant>,
    /// What the PBX calls its state.
    etag: Option<String>,
    /// Lifetime to ask for; 0 for the usual one.
    expires: u32,
    /// The PBX does not take it.
    given_up: bool,
    /// It was removed, or is being: nothing is published.
    gone: bool,
    /// What was sent last.
    open: Option<bool>,
    /// The connection it waits for, since it is too long for UDP.
    room: Option<Hop>,
    /// The request that is not answered yet.
    sent: Option<TransactionId>,
    seq: u32,
    tag: String,
    tries: u8,
    waits: bool,
}

impl Publication {
    pub(crate) fn waits_for(&self, tcp: &Hop) -> bool {
        self.room.as_ref() == Some(tcp)
    }
}

impl UserAgent {
    /// The account is registered anew: also a PBX that refused is asked again.
    pub(crate) fn publish_anew(&mut self, now: Instant, id: &AccountId) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.publication.given_up = false;
            account.publication.gone = false;
        }
        self.publish_changed(now, id);
    }

    /// The state has changed.
    pub(crate) fn publish_changed(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id).filter(|account| account.params.publish) else {
            return;
        };
        let publication = &mut account.publication;
        if publication.given_up || publication.gone {
            return;
        }
        publication.open = None;
        publication.tries = 0;
        publication.due = Some(now);
        self.publications_due(now);
    }

    /// Sends the publications that are due.
    pub(crate) fn publications_due(&mut self, now: Instant) {
        let due = self.accounts.iter().filter(|(_, account)| {
            account.publication.due.is_some_and(|at| at <= now) && !account.publication.waits
        });
        let due: Vec<AccountId> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            self.publish(now, &id);
        }
    }

    fn publish(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        account.publication.due = None;
        if account.publication.gone {
            self.send_publish(now, id, 0, None);
            return;
        }
        if !account.usable() || account.publication.given_up {
            return;
        }
        let open = !account.standing.fault;
        let known = account.publication.etag.is_some() && account.publication.open == Some(open);
        let entity = account.aor().to_string();
        // RFC 3903 §4.1: a refresh has no body
        let body = (!known).then(|| document(&entity, open));
        let expires = match account.publication.expires {
            0 => EXPIRES_S,
            asked => asked,
        };
        account.publication.open = Some(open);
        if !self.send_publish(now, id, expires, body)
            && let Some(account) = self.accounts.get_mut(id)
        {
            account.publication.open = None;
            account.publication.due = Some(now + AGAIN);
        }
    }

    /// The account leaves: what was published goes. Nobody waits for the answer, and a challenge that comes in time is answered.
    pub(crate) fn unpublish(&mut self, now: Instant, id: &AccountId) {
        let Some(account) = self.accounts.get_mut(id) else {
            return;
        };
        let published = account.publication.etag.is_some() && account.usable();
        let publication = &mut account.publication;
        (publication.due, publication.open) = (None, None);
        (publication.gone, publication.tries) = (true, 0);
        if published {
            self.send_publish(now, id, 0, None);
        } else {
            publication.etag = None;
        }
    }

    fn send_publish(&mut self, now: Instant, id: &AccountId, expires: u32, body: Option<String>) -> bool {
        let (call_id, tag) = (self.new_call_id(), self.new_tag());
        let user_agent = self.params.user_agent.clone();
        let Some(account) = self.accounts.get_mut(id) else {
            return false;
        };
        let Some(flow) = account.reg.flow else {
            return false;
        };
        let aor = account.aor();
        let publication = &mut account.publication;
        if publication.call_id.is_empty() {
            (publication.call_id, publication.tag) = (call_id, tag);
        }
        publication.seq += 1;
        let from = NameAddr::new(aor.clone()).with_tag(&publication.tag);
        let mut request = Request::new(Method::PUBLISH, aor.clone());
        let routes = account.routes();
        for route in routes {
            request = request.with(HeaderName::Route, route.to_string());
        }
        let publication = &mut account.publication;
        let mut request = request
            .with(HeaderName::From, from.to_string())
            .with(HeaderName::To, NameAddr::new(aor).to_string())
            .with(HeaderName::CallId, publication.call_id.as_str())
            .with(HeaderName::CSeq, format!("{} PUBLISH", publication.seq))
            .with(HeaderName::Event, "presence")
            .with(HeaderName::Expires, expires.to_string())
            .with(HeaderName::UserAgent, user_agent);
        if let Some(etag) = &publication.etag {
            request = request.with(HeaderName::SipIfMatch, etag.as_str());
        }
        if let Some(body) = body {
            request = request.with_body(MEDIA_TYPE, body);
        }
        account.auth.preempt(&mut request, &mut self.rng);
        let flow = match self.with_room(now, request.to_bytes().len(), flow) {
            Ok(flow) => flow,
            // it is written anew then, but for the last one, which is short
            Err(tcp) if expires > 0 => {
                if let Some(account) = self.accounts.get_mut(id) {
                    account.publication.open = None;
                    account.publication.room = Some(tcp);
                    account.publication.waits = true;
                }
                return true;
            }
            Err(_) => flow,
        };
        let Ok(tx) = self.layer.send_request(now, request, flow) else {
            return false;
        };
        if let Some(account) = self.accounts.get_mut(id) {
            account.publication.sent = Some(tx);
            account.publication.waits = true;
        }
        self.uses.insert(tx, Use::Publish(id.clone()));
        self.pump(now);
        true
    }

    /// The connection that publications wait for is there, or refused.
    pub(crate) fn publications_reach(&mut self, now: Instant, tcp: &Hop) {
        for account in self.accounts.values_mut() {
            let publication = &mut account.publication;
            if publication.room.take_if(|room| room == tcp).is_some() {
                publication.waits = false;
                publication.due = Some(now);
            }
        }
        self.publications_due(now);
    }

    pub(crate) fn publish_answered(
        &mut self,
        now: Instant,
        tx: TransactionId,
        id: AccountId,
        response: &Response,
    ) {
        if response.is_provisional() {
            self.uses.insert(tx, Use::Publish(id));
            return;
        }
        // the account may be another one by now
        let ours = |account: &&mut Account| account.publication.sent == Some(tx);
        let Some(account) = self.accounts.get_mut(&id).filter(ours) else {
            return;
        };
        account.publication.waits = false;
        if account.publication.gone {
            let tries = account.publication.tries;
            let challenged = matches!(response.code(), 401 | 407) && tries < MOST_TRIES;
            if challenged && account.auth.take_challenge(response, tries) {
                self.publish_again(now, &id, false);
                self.publications_due(now);
            } else {
                account.publication.etag = None;
            }
            return;
        }
        if !account.usable() {
            return;
        }
        let tries = account.publication.tries;
        let changed = account.publication.due.is_some();
        let publication = &mut account.publication;
        match response.code() {
            200..=299 => {
                let etag = response.headers.text(&HeaderName::SipEtag);
                publication.etag = etag
                    .filter(|tag| tag.len() <= MOST_ETAG)
                    .map(std::borrow::Cow::into_owned);
                publication.tries = 0;
                let granted = response.headers.expires().ok().flatten().unwrap_or(EXPIRES_S);
                // with a fifth of its life left, as a registration
                let lifetime = Duration::from_secs(u64::from(granted.min(MOST_EXPIRES_S)));
                if !changed {
                    publication.due = Some(now + (lifetime * 4 / 5).max(SOONEST));
                }
            }
            401 | 407 if tries < MOST_TRIES && account.auth.take_challenge(response, tries) => {
                self.publish_again(now, &id, false);
            }
            // RFC 3903 §4.1: the PBX has lost it
            412 if tries < MOST_TRIES => self.publish_again(now, &id, true),
            423 if tries < MOST_TRIES => {
                let asked = response
                    .headers
                    .leading_number(&HeaderName::MinExpires)
                    .unwrap_or(0);
                publication.expires = asked.clamp(EXPIRES_S, MOST_EXPIRES_S);
                self.publish_again(now, &id, false);
            }
            503 | 500 | 480 => {
                let asked = response.headers.leading_number(&HeaderName::RetryAfter);
                let wait = asked.map_or(AGAIN, |s| Duration::from_secs(u64::from(s.clamp(1, 3600))));
                publication.etag = None;
                publication.open = None;
                publication.due = Some(now + wait);
            }
            _ => {
                publication.etag = None;
                publication.due = None;
                publication.given_up = true;
                self.out.push_back(Output::NotPublished {
                    id: id.clone(),
                    why: response.status_line(),
                });
            }
        }
        self.publications_due(now);
    }

    fn publish_again(&mut self, now: Instant, id: &AccountId, lost: bool) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.publication.tries += 1;
            account.publication.open = None;
            account.publication.due = Some(now);
            if lost {
                account.publication.etag = None;
            }
        }
    }

    /// No answer: the PBX is asked again later, and its registration says whether it lives.
    pub(crate) fn publish_failed(&mut self, now: Instant, tx: TransactionId, id: &AccountId) {
        let ours = |account: &&mut Account| account.publication.sent == Some(tx);
        if let Some(account) = self.accounts.get_mut(id).filter(ours) {
            account.publication.waits = false;
            account.publication.etag = None;
            account.publication.open = None;
            account.publication.due = (!account.publication.gone).then(|| now + AGAIN);
        }
    }
}

/// The document: one tuple, open or closed.
fn document(entity: &str, open: bool) -> String {
    let entity = escaped(entity);
    let basic = if open { "open" } else { "closed" };
    let note = if open { "" } else { "<note>line fault</note>" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         entity=\"{entity}\">\r\n<tuple id=\"door\"><status><basic>{basic}</basic></status>\
         <contact>{entity}</contact>{note}</tuple>\r\n</presence>\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_open_or_closed_of_one_address() {
        assert_eq!(
            document("sip:503@pbx.example", false),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             entity=\"sip:503@pbx.example\">\r\n<tuple id=\"door\"><status><basic>closed</basic></status>\
             <contact>sip:503@pbx.example</contact><note>line fault</note></tuple>\r\n</presence>\r\n"
        );
        assert!(document("sip:503@pbx.example", true).contains("<basic>open</basic></status><contact>"));
    }
}
