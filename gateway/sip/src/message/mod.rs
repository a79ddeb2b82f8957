//! Requests and responses: model, tolerant reader, strict writer.

mod frame;
mod header;
mod headers;
mod method;
mod read;
mod status;
mod write;

use std::fmt;

pub use frame::{Frame, FrameError, StreamFramer};
pub use header::{Header, HeaderName, HeaderValue};
pub use headers::{Contacts, Headers};
pub use method::Method;
pub use read::{Datagram, Limits, ReadError, read_datagram};
pub use status::reason_phrase;

use rsip::StatusCode;

use crate::error::HeaderError;
use crate::name_addr::NameAddr;
use crate::uri::Uri;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// Header fields in order.
    pub headers: Headers,
    /// Body; `Content-Length` is made by the writer.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without header fields; `Max-Forwards: 70` comes with it.
    #[must_use]
    pub fn new(method: Method, uri: Uri) -> Self {
        let mut headers = Headers::new();
        headers.push(HeaderName::MaxForwards, "70");
        Self {
            method,
            uri,
            headers,
            body: Vec::new(),
        }
    }

    /// Adds a header field at the end.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Sets body and `Content-Type`.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
        self
    }

    /// Bytes for the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        write::request(self)
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100 to 699.
    pub status: StatusCode,
    /// Reason phrase as received or sent.
    pub reason: String,
    /// Header fields in order.
    pub headers: Headers,
    /// Body; `Content-Length` is made by the writer.
    pub body: Vec<u8>,
}

impl Response {
    /// The response to `request` (RFC 3261 §8.2.6): Via, From, To, Call-ID and CSeq copied, and Timestamp in a 100.
    /// The To tag is the caller's: [`Response::with_to_tag`].
    #[must_use]
    pub fn to(request: &Request, status: impl Into<StatusCode>) -> Self {
        let status = status.into();
        let mut headers = Headers::new();
        let copied = [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ];
        for name in copied {
            for value in request.headers.all(&name) {
                headers.push(name.clone(), value.clone());
            }
        }
        if let (100, Some(stamp)) = (status.code(), request.headers.get(&HeaderName::Timestamp)) {
            headers.push(HeaderName::Timestamp, stamp.clone());
        }
        let reason = reason_phrase(&status);
        Self {
            status,
            reason,
            headers,
            body: Vec::new(),
        }
    }

    /// Adds a tag to To if it has none.
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        if let Ok(to) = self.headers.to()
            && to.tag().is_none()
        {
            self.headers.set(HeaderName::To, to.with_tag(tag).to_string());
        }
        self
    }

    /// Adds a header field at the end.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Replaces the reason phrase.
    #[must_use]
    pub fn with_reason(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }

    /// Sets body and `Content-Type`.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
        self
    }

    /// Status code as a number.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status.code()
    }

    /// True for 100 to 199.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.code() < 200
    }

    /// True for 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code())
    }

    /// `486 Busy Here`, for journals.
    #[must_use]
    pub fn status_line(&self) -> String {
        format!("{} {}", self.code(), self.reason)
    }

    /// Bytes for the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        write::response(self)
    }
}

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Header fields.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(r) => &r.headers,
            Self::Response(r) => &r.headers,
        }
    }

    /// Body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Request(r) => &r.body,
            Self::Response(r) => &r.body,
        }
    }

    /// Bytes for the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(r) => r.to_bytes(),
            Self::Response(r) => r.to_bytes(),
        }
    }

    /// Sender's address of record.
    ///
    /// # Errors
    /// `From` is missing or malformed.
    pub fn from_addr(&self) -> Result<NameAddr, HeaderError> {
        self.headers().from_addr()
    }
}

impl From<Request> for Message {
    fn from(r: Request) -> Self {
        Self::Request(r)
    }
}

impl From<Response> for Message {
    fn from(r: Response) -> Self {
        Self::Response(r)
    }
}

impl fmt::Display for Message {
    /// What leads to the message in a capture: start line, Call-ID and CSeq.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(r) => write!(f, "{} {}", r.method, r.uri)?,
            Self::Response(r) => write!(f, "{}", r.status_line())?,
        }
        let text = |name| self.headers().text(name).unwrap_or_default();
        write!(
            f,
            " (Call-ID {}, CSeq {})",
            text(&HeaderName::CallId),
            text(&HeaderName::CSeq)
        )
    }
}
