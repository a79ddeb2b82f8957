//! By what a message finds its transaction (RFC 3261 §17.1.3, §17.2.3, §8.2.2.2).

use crate::error::HeaderError;
use crate::message::{Method, Request, Response};
use crate::via::Via;

/// Key of a server or client transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Response to a request of ours: branch and method of CSeq.
    Client { branch: String, method: String },
    /// Request of an RFC 3261 peer.
    Server {
        branch: String,
        sent_by: String,
        method: String,
    },
    /// Request of an RFC 2543 peer, whose branch says nothing.
    Server2543 {
        call_id: String,
        cseq: u32,
        from_tag: String,
        method: String,
        uri: String,
        via: String,
    },
}

impl Key {
    /// Key under which a request of ours waits for responses.
    pub(super) fn client(branch: &str, method: &Method) -> Self {
        Self::Client {
            branch: branch.to_ascii_lowercase(),
            method: method.as_str().to_owned(),
        }
    }

    /// Key of the client transaction a response belongs to.
    pub(super) fn of_response(response: &Response) -> Result<Self, HeaderError> {
        let via = response.headers.via()?;
        let cseq = response.headers.cseq()?;
        Ok(Self::client(via.branch().unwrap_or_default(), &cseq.method))
    }

    /// Key of the server transaction of a request; an ACK has the key of its INVITE. `via` is its top hop as it was
    /// received, before stamping.
    pub(super) fn of_request(request: &Request, via: &Via) -> Result<Self, HeaderError> {
        let method = if request.method == Method::ACK {
            &Method::INVITE
        } else {
            &request.method
        };
        Self::of_request_as(request, via, method)
    }

    /// Key of the transaction that a CANCEL with this top hop would cancel.
    pub(super) fn of_cancelled(cancel: &Request, via: &Via) -> Result<Self, HeaderError> {
        Self::of_request_as(cancel, via, &Method::INVITE)
    }

    fn of_request_as(request: &Request, via: &Via, method: &Method) -> Result<Self, HeaderError> {
        let method = method.as_str().to_owned();
        if via.has_cookie() {
            let branch = via.branch().unwrap_or_default().to_ascii_lowercase();
            return Ok(Self::Server {
                branch,
                sent_by: via.sent_by(),
                method,
            });
        }
        Ok(Self::Server2543 {
            call_id: request.headers.call_id()?,
            cseq: request.headers.cseq()?.number,
            from_tag: request.headers.from_addr()?.tag().unwrap_or_default().to_owned(),
            method,
            uri: request.uri.to_string(),
            via: via.to_string(),
        })
    }
}

/// What two copies of one request share that came by different ways (RFC 3261 §8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MergedKey {
    call_id: String,
    cseq: u32,
    from_tag: String,
    method: String,
}

impl MergedKey {
    /// `None` for requests inside a dialog and from peers without tags.
    pub(super) fn of(request: &Request) -> Option<Self> {
        if request.headers.to().ok()?.tag().is_some() {
            return None;
        }
        let from_tag = request.headers.from_addr().ok()?.tag()?.to_owned();
        let (call_id, cseq) = (request.headers.call_id().ok()?, request.headers.cseq().ok()?);
        Some(Self {
            call_id,
            cseq: cseq.number,
            from_tag,
            method: cseq.method.as_str().to_owned(),
        })
    }
}
