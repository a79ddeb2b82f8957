//! Reads one message from bytes, tolerantly: what peers really send is accepted, what cannot be acted on safely is
//! refused with an answer where one is possible.
//!
//! Accepted beyond the grammar: bare LF as a line end, letters outside UTF-8, unknown methods and schemes, white
//! space before the colon, empty list elements, bytes after the body of a datagram, empty lines before the message.

use std::fmt;

use rsip::StatusCode;

use super::header::{HeaderName, HeaderValue};
use super::{Headers, Message, Method, Request, Response};
use crate::error::HeaderError;
use crate::uri::Uri;

/// Sizes beyond which a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Start line, in bytes.
    pub start_line: usize,
    /// Number of header fields.
    pub headers: usize,
    /// One header field with its folded lines, in bytes.
    pub header: usize,
    /// Start line and header fields together, in bytes.
    pub head: usize,
    /// Body, in bytes.
    pub body: usize,
}

impl Default for Limits {
    /// 4 KiB start line, 128 fields of 8 KiB, 32 KiB of fields, 64 KiB of body.
    fn default() -> Self {
        Self {
            start_line: 4096,
            headers: 128,
            header: 8192,
            head: 32_768,
            body: 65_536,
        }
    }
}

/// What a datagram holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// Only empty lines or zero bytes: keeps a NAT binding open, wants no answer.
    KeepAlive,
    /// A message.
    Message(Message),
}

/// Bytes that are no message we can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Byte offset from the start of the message.
    pub offset: usize,
    /// What was found, at most 24 characters, or the size that is too large.
    pub found: String,
    /// What is allowed there.
    pub expected: &'static str,
    /// Which part of the message: `request line`, `header line`, the name of a field, `body`.
    pub part: String,
    /// The response to send, if the message was a request (but no ACK) and says where a response goes.
    pub answer: Option<Box<Response>>,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at byte {}: found {:?}, expected {}",
            self.part, self.offset, self.found, self.expected
        )
    }
}

impl std::error::Error for ReadError {}

/// Reads a datagram: one message, whose body ends at Content-Length or with the datagram.
///
/// # Errors
/// See [`ReadError`]; its `answer` says whether the peer can be told.
pub fn read_datagram(bytes: &[u8], limits: &Limits) -> Result<Datagram, ReadError> {
    let skipped = bytes
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n' | 0))
        .count();
    if skipped == bytes.len() {
        return Ok(Datagram::KeepAlive);
    }
    read_message(&bytes[skipped..], limits).map(Datagram::Message)
}

/// Reads one message; `bytes` begin with the start line.
pub(super) fn read_message(bytes: &[u8], limits: &Limits) -> Result<Message, ReadError> {
    let mut fault = None;
    let mut lines = Lines { bytes, at: 0 };
    let (_, start) = lines.next_line().unwrap_or_default();
    let (start, status) = read_start(start, limits, &mut fault);
    let (headers, body_at) = read_headers(&mut lines, limits, &mut fault);
    if body_at.is_none() {
        set(
            &mut fault,
            Fault::at(
                bytes,
                bytes.len(),
                "header line",
                "an empty line after the header fields",
            ),
        );
    }
    let rest = bytes.get(body_at.unwrap_or(bytes.len())..).unwrap_or_default();
    let body = read_body(&headers, rest, body_at.unwrap_or(bytes.len()), limits, &mut fault);
    check_fields(&headers, &start, &mut fault);
    match (fault, start) {
        (None, Some(Start::Request(method, uri))) => Ok(Message::Request(Request {
            method,
            uri,
            headers,
            body,
        })),
        (None, Some(Start::Response(status, reason))) => Ok(Message::Response(Response {
            status,
            reason,
            headers,
            body,
        })),
        (fault, start) => {
            let fault = fault.unwrap_or_else(|| Fault::at(bytes, 0, "start line", "a SIP message"));
            let answer = answer(start, status, headers, &fault);
            let Fault {
                offset,
                found,
                expected,
                part,
                ..
            } = fault;
            Err(ReadError {
                offset,
                found,
                expected,
                part,
                answer,
            })
        }
    }
}

enum Start {
    Request(Method, Uri),
    Response(StatusCode, String),
}

/// The first thing that is wrong.
struct Fault {
    offset: usize,
    found: String,
    expected: &'static str,
    part: String,
    status: u16,
}

impl Fault {
    fn at(bytes: &[u8], offset: usize, part: &str, expected: &'static str) -> Self {
        let rest = bytes.get(offset..).unwrap_or_default();
        let found = rest.iter().take(24).map(|b| char::from(*b)).collect();
        Self {
            offset,
            found,
            expected,
            part: part.to_owned(),
            status: 400,
        }
    }

    const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

fn set(slot: &mut Option<Fault>, fault: Fault) {
    slot.get_or_insert(fault);
}

/// Lines of the head; a line ends at LF, a CR before it belongs to the line end.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// Offset and bytes of the next line; `None` at the end of input.
    fn next_line(&mut self) -> Option<(usize, &'a [u8])> {
        let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
        let at = self.at;
        let (line, taken) = match rest.iter().position(|b| *b == b'\n') {
            Some(i) => (&rest[..i], i + 1),
            None => (rest, rest.len()),
        };
        self.at += taken;
        Some((at, line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// True if the next line continues the one before (RFC 3261 §7.3.1).
    fn next_is_folded(&self) -> bool {
        matches!(self.bytes.get(self.at), Some(b' ' | b'\t'))
    }
}

fn read_start(line: &[u8], limits: &Limits, fault: &mut Option<Fault>) -> (Option<Start>, bool) {
    let is_status = line.get(..4).is_some_and(|s| s.eq_ignore_ascii_case(b"SIP/"));
    if line.len() > limits.start_line {
        let mut f = Fault::at(line, limits.start_line, "start line", "a shorter start line").status(414);
        f.found = format!("{} bytes", line.len());
        set(fault, f);
        return (None, is_status);
    }
    // Latin-1 for what is not UTF-8: a phrase may hold anything.
    let value = HeaderValue::from(line);
    let text = value.text();
    let bad = |offset: usize, part: &str, expected| Fault::at(text.as_bytes(), offset, part, expected);
    if is_status {
        let (version, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            set(fault, bad(0, "status line", "SIP/2.0"));
            return (None, true);
        }
        let rest = rest.trim_start();
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = crate::scan::number::<u16>(code).filter(|c| code.len() == 3 && (100..700).contains(c));
        return match number {
            Some(code) => (
                Some(Start::Response(StatusCode::from(code), reason_text(reason))),
                true,
            ),
            None => {
                set(
                    fault,
                    bad(version.len() + 1, "status line", "a code from 100 to 699"),
                );
                (None, true)
            }
        };
    }
    let (method, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let (uri, version) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    let Some(method) = Method::parse(method) else {
        set(fault, bad(0, "request line", "a method name"));
        return (None, false);
    };
    let uri_at = method.as_str().len() + 1;
    let placeholder = || Uri::Other {
        scheme: "sip".to_owned(),
        rest: String::new(),
    };
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let other = version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case("SIP/"));
        let f = bad(uri_at + uri.len() + 1, "request line", "SIP/2.0");
        set(fault, if other { f.status(505) } else { f });
        return (Some(Start::Request(method, placeholder())), false);
    }
    match Uri::parse(uri) {
        Ok(uri) => (Some(Start::Request(method, uri)), false),
        Err(e) => {
            let mut f = bad(uri_at + e.offset, "request line", e.expected);
            f.found = e.found;
            set(fault, f);
            (Some(Start::Request(method, placeholder())), false)
        }
    }
}

/// A phrase without control characters at its ends or inside, so that it is written as it is held.
fn reason_text(reason: &str) -> String {
    let text: String = reason
        .chars()
        .map(|c| if c.is_ascii_control() && c != '\t' { ' ' } else { c })
        .collect();
    text.trim_ascii().to_owned()
}

/// Reads fields up to the empty line; gives the offset of the body, `None` if the empty line is missing.
fn read_headers(
    lines: &mut Lines<'_>,
    limits: &Limits,
    fault: &mut Option<Fault>,
) -> (Headers, Option<usize>) {
    let mut headers = Headers::new();
    let too_large = |at: usize, size: usize, expected| {
        let mut f = Fault::at(&[], at, "header line", expected).status(513);
        f.found = size.to_string();
        f
    };
    while let Some((at, line)) = lines.next_line() {
        if line.is_empty() {
            return (headers, Some(lines.at));
        }
        let mut value_end = lines.at;
        let mut unfolded = None;
        while lines.next_is_folded() {
            let Some((_, more)) = lines.next_line() else { break };
            if more.trim_ascii().is_empty() {
                // A line of blanks only: some peers mean the end of the header; the grammar says folding.
                continue;
            }
            let whole = unfolded.get_or_insert_with(|| line.to_vec());
            whole.push(b' ');
            whole.extend_from_slice(more.trim_ascii());
            value_end = lines.at;
        }
        if value_end - at > limits.header {
            set(
                fault,
                too_large(at, value_end - at, "a header field within the size limit"),
            );
            continue;
        }
        if headers.len() >= limits.headers {
            set(fault, too_large(at, headers.len() + 1, "fewer header fields"));
            continue;
        }
        if lines.at > limits.head {
            set(fault, too_large(at, lines.at, "a smaller header"));
            continue;
        }
        let line = unfolded.as_deref().unwrap_or(line);
        let colon = line.iter().position(|b| *b == b':');
        let name = colon
            .and_then(|i| std::str::from_utf8(line[..i].trim_ascii_end()).ok())
            .and_then(HeaderName::parse);
        match (colon, name) {
            (Some(i), Some(name)) => headers.push(name, &line[i + 1..]),
            _ => set(
                fault,
                Fault::at(line, 0, "header line", "a field name and a colon").moved(at),
            ),
        }
    }
    (headers, None)
}

impl Fault {
    const fn moved(mut self, by: usize) -> Self {
        self.offset += by;
        self
    }
}

fn read_body(
    headers: &Headers,
    rest: &[u8],
    at: usize,
    limits: &Limits,
    fault: &mut Option<Fault>,
) -> Vec<u8> {
    let length = match headers.content_length() {
        Ok(None) => rest.len(),
        Ok(Some(n)) => usize::try_from(n).unwrap_or(usize::MAX),
        Err(e) => {
            set(fault, field_fault(e));
            return Vec::new();
        }
    };
    if length > limits.body {
        let mut f = Fault::at(&[], at, "body", "a body within the size limit").status(513);
        f.found = format!("{length} bytes");
        set(fault, f);
        return Vec::new();
    }
    match rest.get(..length) {
        Some(body) => body.to_vec(),
        None => {
            let mut f = Fault::at(&[], at, "body", "as many bytes as Content-Length says");
            f.found = format!("{} of {length} bytes", rest.len());
            set(fault, f);
            Vec::new()
        }
    }
}

/// The fields no transaction can do without (RFC 3261 §8.1.1, §8.2.1, §16.3).
fn check_fields(headers: &Headers, start: &Option<Start>, fault: &mut Option<Fault>) {
    if fault.is_some() {
        return;
    }
    for (i, header) in headers.iter().enumerate() {
        if header.name.is_single()
            && let Some(earlier) = headers.iter().take(i).find(|h| h.name == header.name)
        {
            // A field repeated word for word says nothing new.
            if earlier.value != header.value {
                let count = headers.all(&header.name).count();
                return set(
                    fault,
                    field_fault(HeaderError::Repeated {
                        name: header.name.clone(),
                        count,
                    }),
                );
            }
        }
    }
    if headers.has_empty_via() {
        let mut f = Fault::at(&[], 0, "Via", "a value between commas");
        f.found = headers.text(&HeaderName::Via).unwrap_or_default().into_owned();
        return set(fault, f);
    }
    let cseq = headers.cseq();
    let checks = [
        headers.via().err(),
        cseq.as_ref().err().cloned(),
        headers.call_id().err(),
        headers.from_addr().err(),
        headers.to().err(),
    ];
    if let Some(e) = checks.into_iter().flatten().next() {
        return set(fault, field_fault(e));
    }
    if let (Some(Start::Request(method, _)), Ok(cseq)) = (start, cseq)
        && cseq.method != *method
    {
        let mut f = Fault::at(&[], 0, "CSeq", "the method of the request line");
        f.found = cseq.method.to_string();
        set(fault, f);
    }
}

fn field_fault(e: HeaderError) -> Fault {
    let (name, offset, found, expected) = match e {
        HeaderError::Malformed { name, source } => (name, source.offset, source.found, source.expected),
        HeaderError::Missing { name } => (name, 0, String::new(), "the field to be there"),
        HeaderError::Repeated { name, count } => (name, 0, format!("{count} times"), "the field once"),
    };
    Fault {
        offset,
        found,
        expected,
        part: name.to_string(),
        status: 400,
    }
}

/// The refusal, if the sender can be told: a request with a readable Via that is no ACK (RFC 3261 §8.2.6, §17.2).
fn answer(start: Option<Start>, is_status: bool, headers: Headers, fault: &Fault) -> Option<Box<Response>> {
    if is_status {
        return None;
    }
    let (method, uri) = match start {
        Some(Start::Request(method, uri)) => (method, uri),
        Some(Start::Response(..)) => return None,
        // The request line is unreadable; CSeq tells what it was.
        None => (
            headers.cseq().ok()?.method,
            Uri::Other {
                scheme: "sip".to_owned(),
                rest: String::new(),
            },
        ),
    };
    if method == Method::ACK || headers.via().is_err() || headers.get(&HeaderName::CSeq).is_none() {
        return None;
    }
    let request = Request {
        method,
        uri,
        headers,
        body: Vec::new(),
    };
    let mut response = Response::to(&request, fault.status);
    if fault.status == 400 {
        let part = if fault.part.contains(' ') {
            &fault.part
        } else {
            &format!("{} field", fault.part)
        };
        response.reason = format!(
            "Bad {}",
            part.chars()
                .filter(|c| c.is_ascii_graphic() || *c == ' ')
                .collect::<String>()
        );
    }
    Some(Box::new(response))
}
