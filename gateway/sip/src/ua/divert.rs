//! Incoming calls that are sent to somebody else.

use gateway_core::{Cause, Instant, LegId};

use super::UserAgent;
use super::call::Phase;
use super::types::CallOutput;
use crate::{Aor, HeaderName, NameAddr, Response};

impl UserAgent {
    /// Tells the caller of an incoming leg to call somebody else instead (302, RFC 3261 §21.3.3), and ends it. A bare number is one of
    /// the account that was called; where there is none, or it is no address, nobody is named and the call is refused (480).
    pub fn divert(&mut self, now: Instant, leg: LegId, target: &str) {
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        let domain = call.account.as_ref().and_then(|id| self.accounts.get(id));
        let domain = domain.map(|account| account.params.domain.clone());
        let Ok(aor) = Aor::complete(target, domain.as_ref()) else {
            self.end(now, leg, Cause::Unavailable);
            return;
        };
        let Phase::Incoming { tx, request } = &call.phase else {
            self.end(now, leg, Cause::Released);
            return;
        };
        let tag = call.dialog.as_ref().map_or("", |dialog| dialog.local_tag());
        let response = Response::to(request, 302)
            .with_to_tag(tag)
            .with(HeaderName::Contact, NameAddr::new(aor.into_uri()).to_string());
        let (tx, detail) = (*tx, response.status_line());
        call.phase = Phase::Over;
        self.answer(now, tx, response);
        let cause = Cause::Released;
        self.tell(leg, CallOutput::Ended { cause, detail });
        self.drain(now);
    }
}
