//! Dialogs (RFC 3261 §12): identifiers, route set, sequence numbers, and the requests made from them.

use crate::{HeaderName, Headers, Method, NameAddr, Request, Response, Uri};

/// Most Record-Route entries kept of one message.
const MOST_ROUTES: usize = 16;

/// One dialog, early or confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// Us, with our tag.
    pub(crate) local: NameAddr,
    local_seq: u32,
    /// The other side, with its tag if it gave one.
    pub(crate) remote: NameAddr,
    remote_seq: Option<u32>,
    /// Contact of the other side.
    pub(crate) target: Uri,
    routes: Vec<NameAddr>,
    /// Over UDP requests of an account's call go where route or target lead (RFC 3261 §12.2.1.1); else to where the PBX was reached,
    /// for one that writes an address that only itself can reach.
    pub(crate) follows: bool,
}

/// A request that does not fit its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeqError {
    /// Lower than one seen before: 500 (RFC 3261 §12.2.2).
    OutOfOrder,
}

impl Dialog {
    /// Made by a UAC of a response with a To tag (RFC 3261 §12.1.2). `None` if the response lacks To. One without Contact leaves the
    /// address that was called.
    pub(crate) fn uac(request: &Request, response: &Response) -> Option<Self> {
        let mut routes = routes(&response.headers);
        routes.reverse();
        Some(Self {
            call_id: request.headers.call_id().ok()?,
            local: request.headers.from_addr().ok()?,
            local_seq: request.headers.cseq().ok()?.number,
            remote: response.headers.to().ok()?,
            remote_seq: None,
            target: contact(&response.headers).unwrap_or_else(|| request.uri.clone()),
            routes,
            follows: true,
        })
    }

    /// Made by a UAS of an INVITE (RFC 3261 §12.1.1). `None` if the request lacks Contact, From or To.
    pub(crate) fn uas(request: &Request, tag: &str) -> Option<Self> {
        Some(Self {
            call_id: request.headers.call_id().ok()?,
            local: request.headers.to().ok()?.with_tag(tag),
            local_seq: 0,
            remote: request.headers.from_addr().ok()?,
            remote_seq: Some(request.headers.cseq().ok()?.number),
            target: contact(&request.headers).or_else(|| from_of_old(&request.headers))?,
            routes: routes(&request.headers),
            // without a proxy between, whoever sent it is the other side itself
            follows: request.headers.list(&HeaderName::Via).len() > 1,
        })
    }

    /// Our tag.
    pub(crate) fn local_tag(&self) -> &str {
        self.local.tag().unwrap_or_default()
    }

    /// The other side's tag; empty for ancient peers (RFC 2543).
    pub(crate) fn remote_tag(&self) -> &str {
        self.remote.tag().unwrap_or_default()
    }

    /// Does a request belong here? Its Call-ID, To tag (ours) and From tag (theirs) decide.
    pub(crate) fn owns(&self, call_id: &str, to_tag: &str, from_tag: &str) -> bool {
        self.call_id == call_id && self.local_tag() == to_tag && self.remote_tag() == from_tag
    }

    /// Does a request carry our identifiers?
    pub(crate) fn takes(&self, request: &Request) -> bool {
        let (Ok(call_id), Ok(to), Ok(from)) = (
            request.headers.call_id(),
            request.headers.to(),
            request.headers.from_addr(),
        ) else {
            return false;
        };
        self.owns(
            &call_id,
            to.tag().unwrap_or_default(),
            from.tag().unwrap_or_default(),
        )
    }

    /// Goes on counting where the early dialog stopped (RFC 3261 §13.2.2.4: only the routes are made anew).
    pub(crate) const fn continues(mut self, early: &Self) -> Self {
        self.local_seq = early.local_seq;
        self.remote_seq = early.remote_seq;
        self
    }

    /// The next request of ours (RFC 3261 §12.2.1.1), without Via.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.local_seq = self.local_seq.wrapping_add(1) & 0x7fff_ffff;
        self.numbered(method, self.local_seq)
    }

    /// The ACK of a 2xx to the INVITE with this sequence number (RFC 3261 §13.2.2.4).
    pub(crate) fn ack(&self, invite_seq: u32) -> Request {
        self.numbered(Method::ACK, invite_seq)
    }

    fn numbered(&self, method: Method, seq: u32) -> Request {
        let loose = |route: &NameAddr| route.uri.as_sip().is_some_and(|uri| uri.params.has("lr"));
        let mut routes = self.routes.clone();
        let uri = match routes.first() {
            Some(first) if !loose(first) => {
                // A strict router takes the Request-URI; the target goes to the end of the list.
                let first = routes.remove(0).uri;
                routes.push(NameAddr::new(self.target.clone()));
                first
            }
            Some(_) | None => self.target.clone(),
        };
        let cseq = format!("{seq} {method}");
        let mut request = Request::new(method, uri);
        for route in routes {
            request = request.with(HeaderName::Route, route.to_string());
        }
        request
            .with(HeaderName::From, self.local.to_string())
            .with(HeaderName::To, self.remote.to_string())
            .with(HeaderName::CallId, self.call_id.as_str())
            .with(HeaderName::CSeq, cseq)
    }

    /// Where requests go first: the top route, else the target.
    pub(crate) fn next_hop(&self) -> &Uri {
        self.routes.first().map_or(&self.target, |route| &route.uri)
    }

    /// Takes the sequence number of a request of theirs.
    pub(crate) fn take_seq(&mut self, seq: u32) -> Result<(), SeqError> {
        if self.remote_seq.is_some_and(|last| seq <= last) {
            return Err(SeqError::OutOfOrder);
        }
        self.remote_seq = Some(seq);
        Ok(())
    }

    /// Target refresh by INVITE or UPDATE, request or 2xx (RFC 3261 §12.2).
    pub(crate) fn refresh_target(&mut self, headers: &Headers) {
        if let Some(target) = contact(headers) {
            self.target = target;
        }
    }
}

/// The first Contact with a SIP URI.
pub(crate) fn contact(headers: &Headers) -> Option<Uri> {
    headers
        .addresses(&HeaderName::Contact)
        .ok()?
        .into_iter()
        .map(|contact| contact.uri)
        .find(|uri| uri.as_sip().is_some())
}

/// Where a caller of RFC 2543 is who says it by From alone (RFC 4475 §3.4.1). Such callers have no tag.
fn from_of_old(headers: &Headers) -> Option<Uri> {
    let from = headers.from_addr().ok()?;
    let old = headers.all(&HeaderName::Contact).next().is_none() && from.tag().is_none();
    old.then_some(from.uri).filter(|uri| uri.as_sip().is_some())
}

fn routes(headers: &Headers) -> Vec<NameAddr> {
    let mut routes = headers.addresses(&HeaderName::RecordRoute).unwrap_or_default();
    routes.truncate(MOST_ROUTES);
    routes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Datagram, Limits, Message, read_datagram};

    fn request(lines: &str) -> Request {
        let text = format!("{}\r\n\r\n", lines.trim().replace('\n', "\r\n"));
        match read_datagram(text.as_bytes(), &Limits::default()) {
            Ok(Datagram::Message(Message::Request(request))) => request,
            other => panic!("{other:?}"),
        }
    }

    const INVITE: &str = "INVITE sip:503@10.0.0.2 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1
Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>
From: <sip:1000@pbx.example>;tag=them
To: <sip:503@pbx.example>
Call-ID: abc
CSeq: 7 INVITE
Contact: <sip:1000@10.0.0.9:5062>
Content-Length: 0";

    #[test]
    fn a_uas_dialog_sends_along_the_recorded_route() {
        let mut dialog = Dialog::uas(&request(INVITE), "us").expect("complete");
        assert!(dialog.owns("abc", "us", "them"));
        assert!(!dialog.owns("abc", "them", "us"));
        let bye = dialog.request(Method::BYE);
        assert_eq!(bye.uri.to_string(), "sip:1000@10.0.0.9:5062");
        let routes: Vec<String> = bye
            .headers
            .addresses(&HeaderName::Route)
            .expect("ours")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(routes, ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]);
        assert_eq!(dialog.next_hop().to_string(), "sip:p2.example;lr");
        assert_eq!(bye.headers.cseq().expect("ours").number, 1);
        assert_eq!(bye.headers.from_addr().expect("ours").tag(), Some("us"));
    }

    #[test]
    fn a_strict_router_gets_the_request_uri() {
        let invite = INVITE.replace("<sip:p2.example;lr>, <sip:p1.example;lr>", "<sip:p2.example>");
        let bye = Dialog::uas(&request(&invite), "us")
            .expect("complete")
            .request(Method::BYE);
        assert_eq!(bye.uri.to_string(), "sip:p2.example");
        let routes: Vec<String> = bye
            .headers
            .addresses(&HeaderName::Route)
            .expect("ours")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(routes, ["<sip:1000@10.0.0.9:5062>"]);
    }

    #[test]
    fn sequence_numbers_only_grow() {
        let mut dialog = Dialog::uas(&request(INVITE), "us").expect("complete");
        assert_eq!(dialog.take_seq(7), Err(SeqError::OutOfOrder));
        assert_eq!(dialog.take_seq(9), Ok(()));
        assert_eq!(dialog.take_seq(8), Err(SeqError::OutOfOrder));
    }
}
