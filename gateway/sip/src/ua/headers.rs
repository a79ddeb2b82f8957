//! Header values that several requests and responses share.

use gateway_core::Cause;

use super::outcome::{q850_of, words_of};
use crate::{HeaderName, Response};

/// What we understand.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, MESSAGE, SUBSCRIBE";

/// Bodies we understand.
pub(crate) const ACCEPT: &str = "application/sdp, application/dtmf-relay, application/dtmf, text/plain, multipart/mixed, multipart/alternative";
/// Bodies that may bring an offer, for the refusal of another one (RFC 5621 §3.1).
pub(crate) const ACCEPT_OFFER: &str = "application/sdp, multipart/mixed, multipart/alternative";

/// Media type of a session description.
pub(crate) const SDP: &str = "application/sdp";
/// The one encoding of bodies that is read: none.
pub(crate) const IDENTITY: &str = "identity";

/// A Reason header (RFC 3326) for CANCEL, BYE and refusals.
pub(crate) fn reason(cause: Cause) -> String {
    if cause == Cause::AnsweredElsewhere {
        // The form that phones read to keep the call out of their list of missed calls.
        return format!("SIP;cause=200;text=\"{}\"", words_of(cause));
    }
    format!("Q.850;cause={};text=\"{}\"", q850_of(cause), words_of(cause))
}

/// What we can do, in a response.
pub(crate) fn capable(response: Response, server: &str) -> Response {
    response
        .with(HeaderName::Allow, ALLOW)
        .with(HeaderName::Accept, ACCEPT)
        .with(HeaderName::AllowEvents, "dialog, refer")
        .with(HeaderName::Server, server)
}

/// True if the Reason header of a CANCEL says that another phone took the call.
pub(crate) fn says_answered_elsewhere(reason: &str) -> bool {
    let compact: String = reason.to_ascii_lowercase().split_whitespace().collect();
    (compact.starts_with("sip;") && compact.contains("cause=200"))
        || (compact.starts_with("q.850;") && compact.contains("cause=26"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answered_elsewhere_is_said_as_phones_read_it_and_understood() {
        let value = reason(Cause::AnsweredElsewhere);
        assert_eq!(value, "SIP;cause=200;text=\"Call completed elsewhere\"");
        assert!(says_answered_elsewhere(&value));
        assert!(says_answered_elsewhere("Q.850 ;cause=26"));
        assert!(!says_answered_elsewhere(&reason(Cause::Released)));
    }
}
