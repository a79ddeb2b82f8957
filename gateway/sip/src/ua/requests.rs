//! Every request that starts a server transaction: inside a call, outside, or lost.

use gateway_core::Instant;

use super::UserAgent;
use super::headers::capable;
use crate::transaction::TransactionId;
use crate::{Flow, HeaderName, Method, Request, Response, Uri};

impl UserAgent {
    pub(crate) fn request_heard(&mut self, now: Instant, tx: TransactionId, request: Request, flow: Flow) {
        let tagged = request.headers.to().is_ok_and(|to| to.tag().is_some());
        if tagged {
            let leg = self
                .calls
                .iter()
                .find(|(_, call)| !call.is_over() && call.owns(&request))
                .map(|(leg, _)| *leg);
            let early = || self.calls.values().find_map(|call| self.early_of(call, &request));
            match (leg, early()) {
                (Some(leg), _) => self.in_dialog(now, tx, leg, request, &flow),
                (None, Some(invite)) => self.early_request(now, tx, invite, &request, &flow),
                (None, None) if self.watcher_asks(now, tx, &request) => {}
                (None, None) => self.answer(now, tx, Response::to(&request, 481)),
            }
            return;
        }
        if matches!(request.uri, Uri::Other { .. }) {
            self.answer(now, tx, Response::to(&request, 416));
            return;
        }
        if request.method != Method::INVITE {
            // For an INVITE it is asked what its account supports.
            let unknown = self.not_supported(None, &request.headers);
            if !unknown.is_empty() {
                let response = Response::to(&request, 420).with(HeaderName::Unsupported, unknown.join(", "));
                self.answer(now, tx, response);
                return;
            }
        }
        match &request.method {
            m if *m == Method::INVITE => self.incoming(now, tx, request, flow),
            m if *m == Method::OPTIONS => {
                // as to an INVITE (RFC 3261 §11.2)
                let account = self.called_account(&request, &flow).ok().flatten();
                let response = capable(Response::to(&request, 200), &self.params.user_agent)
                    .with(HeaderName::Supported, self.supported(account.as_ref()));
                self.answer(now, tx, response);
            }
            // outside a call there is nothing to transfer
            m if *m == Method::REFER => self.answer(now, tx, Response::to(&request, 603)),
            m if *m == Method::MESSAGE => self.message_heard(now, tx, &request, &flow),
            m if *m == Method::SUBSCRIBE => self.subscribe_heard(now, tx, &request, flow),
            m if [Method::BYE, Method::INFO, Method::UPDATE, Method::PRACK].contains(m) => {
                self.answer(now, tx, Response::to(&request, 481));
            }
            _ => self.unsupported(now, tx, &request),
        }
    }
}
