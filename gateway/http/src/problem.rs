//! Errors as problem documents (RFC 9457) that say what to do.

use gateway_core::Refusal;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use warp::Reply as _;
use warp::reply::Response;

/// An answer that is not what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// For programs and for the page's text catalogue.
    pub(crate) reason: &'static str,
    /// For people, with what to do.
    pub(crate) detail: String,
    /// Further members of the document.
    pub(crate) more: Vec<(&'static str, Value)>,
    /// Seconds for `Retry-After`.
    pub(crate) retry_s: Option<u64>,
}

/// An answer that is not what was wanted (RFC 9457).
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Problem"))]
pub(crate) struct Document<'a> {
    /// `urn:doorline:problem:REASON`
    r#type: String,
    title: &'a str,
    status: u16,
    /// For programs.
    reason: &'a str,
    /// For people, with what to do.
    detail: &'a str,
    /// As `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    /// What else a program wants to know.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(with = "crate::openapi::More"))]
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            detail: detail.into(),
            more: Vec::new(),
            retry_s: None,
        }
    }

    pub(crate) fn bad(reason: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, detail)
    }

    pub(crate) fn unknown(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown", detail)
    }

    /// With another member of the document.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    pub(crate) fn later(mut self, retry_s: u64) -> Self {
        self.retry_s = Some(retry_s.max(1));
        self
    }

    /// A refused command.
    pub(crate) fn refused(reason: Refusal, text: String) -> Self {
        let (status, retry) = match reason {
            Refusal::Duplicate | Refusal::Interlock | Refusal::LineBusy => (StatusCode::CONFLICT, None),
            Refusal::Fault | Refusal::NotReady => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
            Refusal::Forbidden => (StatusCode::FORBIDDEN, None),
            Refusal::Instance => (StatusCode::SERVICE_UNAVAILABLE, None),
            Refusal::Malformed => (StatusCode::BAD_REQUEST, None),
            Refusal::Fire | Refusal::Lockdown | Refusal::NoCall | Refusal::NotVirtual | Refusal::Relay => {
                (StatusCode::LOCKED, None)
            }
            Refusal::Overload => (StatusCode::TOO_MANY_REQUESTS, Some(1)),
            Refusal::Stale => (StatusCode::GONE, None),
            Refusal::Unknown => (StatusCode::NOT_FOUND, None),
            Refusal::Untimed => (StatusCode::BAD_REQUEST, None),
        };
        Self {
            status,
            reason: reason.word(),
            detail: text,
            more: Vec::new(),
            retry_s: retry,
        }
    }

    pub(crate) fn document(&self) -> String {
        let document = Document {
            r#type: format!("urn:doorline:problem:{}", self.reason),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            reason: self.reason,
            detail: &self.detail,
            retry_after_s: self.retry_s,
            more: self
                .more
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        };
        serde_json::to_string(&document).expect("texts and numbers only")
    }

    pub(crate) fn response(&self) -> Response {
        let mut response = http::Response::new(self.document()).into_response();
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"doorline\""),
            );
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_text_of_a_problem() {
        let problem = Problem::refused(Refusal::Overload, "too many commands wait".into());
        assert_eq!(
            problem.document(),
            r#"{"type":"urn:doorline:problem:overload","title":"Too Many Requests","status":429,"reason":"overload","detail":"too many commands wait","retry_after_s":1}"#
        );
        assert_eq!(problem.response().headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn each_refusal_has_its_status() {
        let table = [
            (Refusal::Duplicate, 409),
            (Refusal::Fault, 503),
            (Refusal::Forbidden, 403),
            (Refusal::Instance, 503),
            (Refusal::Interlock, 409),
            (Refusal::LineBusy, 409),
            (Refusal::Fire, 423),
            (Refusal::Lockdown, 423),
            (Refusal::Malformed, 400),
            (Refusal::NoCall, 423),
            (Refusal::NotReady, 503),
            (Refusal::NotVirtual, 423),
            (Refusal::Overload, 429),
            (Refusal::Relay, 423),
            (Refusal::Stale, 410),
            (Refusal::Unknown, 404),
            (Refusal::Untimed, 400),
        ];
        assert_eq!(table.len(), Refusal::ALL.len());
        for (reason, status) in table {
            let problem = Problem::refused(reason, String::new());
            assert_eq!(problem.status.as_u16(), status, "{reason}");
            assert_eq!(problem.reason, reason.word());
        }
    }
}
