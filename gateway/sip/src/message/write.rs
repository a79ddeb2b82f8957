//! Writes messages strictly: one header per line, long names, CRLF, Content-Length that is true.

use super::{HeaderName, Headers, Request, Response};

pub(super) fn request(r: &Request) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + r.body.len());
    line_text(&mut out, r.method.as_str(), false);
    out.push(b' ');
    line_text(&mut out, &r.uri.to_string(), false);
    out.extend_from_slice(b" SIP/2.0\r\n");
    rest(&mut out, &r.headers, &r.body);
    out
}

pub(super) fn response(r: &Response) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + r.body.len());
    out.extend_from_slice(b"SIP/2.0 ");
    out.extend_from_slice(r.code().to_string().as_bytes());
    out.push(b' ');
    line_text(&mut out, &r.reason, true);
    out.extend_from_slice(b"\r\n");
    rest(&mut out, &r.headers, &r.body);
    out
}

fn rest(out: &mut Vec<u8>, headers: &Headers, body: &[u8]) {
    for header in headers.iter().filter(|h| h.name != HeaderName::ContentLength) {
        out.extend_from_slice(header.name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(header.value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(body.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

/// Last guard of the start line: nothing put into a URI or a phrase can end the line.
fn line_text(out: &mut Vec<u8>, text: &str, spaces: bool) {
    for b in text.bytes() {
        match b {
            b' ' | b'\t' if spaces => out.push(b),
            0..=b' ' | 0x7f => out.extend_from_slice(if spaces { b" " } else { b"%20" }),
            b => out.push(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Method, Request, Response};
    use super::*;
    use crate::uri::{Host, Uri};

    #[test]
    fn a_request_is_written_with_its_true_length() {
        let uri = Uri::parse("sip:a@h").expect("uri");
        let request = Request::new(Method::MESSAGE, uri)
            .with(HeaderName::ContentLength, "99")
            .with_body("text/plain", "hello");
        let expected = "MESSAGE sip:a@h SIP/2.0\r\nMax-Forwards: 70\r\nContent-Type: text/plain\r\n\
                        Content-Length: 5\r\n\r\nhello";
        assert_eq!(String::from_utf8_lossy(&request.to_bytes()), expected);
    }

    #[test]
    fn nothing_in_the_start_line_can_end_it() {
        let uri = Uri::sip(None, Host::Name("h\r\nX: 1".into()), None);
        let request = Request::new(Method::OPTIONS, uri);
        assert!(
            request
                .to_bytes()
                .starts_with(b"OPTIONS sip:h%20%20X:%201 SIP/2.0\r\nMax-Forwards")
        );
        let response = Response::to(&request, 486).with_reason("No\r\nX: 1");
        assert_eq!(
            response.to_bytes(),
            b"SIP/2.0 486 No  X: 1\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
