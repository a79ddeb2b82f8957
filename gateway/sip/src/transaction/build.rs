//! Requests the transaction layer makes from an INVITE: ACK for a failure, and CANCEL.

use crate::cseq::CSeq;
use crate::message::{HeaderName, HeaderValue, Headers, Method, Request, Response};

/// ACK for a 3xx to 6xx (RFC 3261 §17.1.1.3): the INVITE's top Via, Route, From, Call-ID and number; To of the
/// response.
pub(super) fn ack(invite: &Request, response: &Response) -> Request {
    let mut ack = follow_up(invite, Method::ACK);
    if let Some(to) = response.headers.get(&HeaderName::To) {
        ack.headers.set(HeaderName::To, to.clone());
    }
    ack
}

/// CANCEL (RFC 3261 §9.1), with a Reason where one is told (RFC 3326).
pub(super) fn cancel(invite: &Request, reason: Option<HeaderValue>) -> Request {
    let mut cancel = follow_up(invite, Method::CANCEL);
    if let Some(reason) = reason {
        cancel.headers.push(HeaderName::Reason, reason);
    }
    cancel
}

/// The parts of an INVITE that its transaction needs later.
pub(super) fn skeleton(invite: &Request) -> Request {
    let mut out = Request {
        headers: Headers::new(),
        body: Vec::new(),
        ..Request::new(invite.method.clone(), invite.uri.clone())
    };
    let kept = [
        HeaderName::Via,
        HeaderName::Route,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::Timestamp,
    ];
    for name in kept {
        for value in invite.headers.all(&name) {
            out.headers.push(name.clone(), value.clone());
        }
    }
    out
}

fn follow_up(invite: &Request, method: Method) -> Request {
    let mut out = Request::new(method.clone(), invite.uri.clone());
    if let Ok(via) = invite.headers.via() {
        out.headers.push_front(HeaderName::Via, via.to_string());
    }
    for name in [
        HeaderName::Route,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
    ] {
        for value in invite.headers.all(&name) {
            out.headers.push(name.clone(), value.clone());
        }
    }
    if let Ok(cseq) = invite.headers.cseq() {
        out.headers.push(
            HeaderName::CSeq,
            CSeq {
                number: cseq.number,
                method,
            }
            .to_string(),
        );
    }
    out
}
