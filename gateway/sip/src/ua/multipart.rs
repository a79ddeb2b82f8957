//! Bodies of several parts (RFC 2046 §5.1, RFC 5621): the session description among them.
//!
//! Left out: every other part. Where one must be understood (RFC 3261 §20.11) the body stays as it is, and is refused like any
//! other that is not read.

use super::headers::SDP;
use crate::scan;
use crate::{HeaderName, Headers};

/// Parts of all levels that are looked at; phones and exchanges send two or three.
const MOST_PARTS: usize = 16;
/// Levels of parts within parts.
const MOST_LEVELS: usize = 3;
/// Most letters of a boundary (RFC 2046 §5.1.1).
const MOST_BOUNDARY: usize = 70;

/// What one part comes to.
enum Part<'a> {
    /// A session description.
    Description(&'a [u8]),
    /// It need not be understood.
    Ignored,
    /// It must be understood, and is not.
    Unknown,
}

/// Puts the session description of a body of several parts in the place of the whole body. A body none of whose parts must be
/// understood becomes empty; one that cannot be read, or has more than one description, stays.
pub(crate) fn unwrap(headers: &mut Headers, body: &mut Vec<u8>) {
    let Some(kind) = headers
        .text(&HeaderName::ContentType)
        .map(|kind| kind.into_owned())
    else {
        return;
    };
    if headers.is_encoded() || !is_multipart(&kind) {
        return;
    }
    let mut left = MOST_PARTS;
    let found = match read(&kind, body, MOST_LEVELS, &mut left) {
        Part::Description(sdp) => sdp.to_vec(),
        Part::Ignored => Vec::new(),
        Part::Unknown => return,
    };
    if found.is_empty() {
        headers.remove(&HeaderName::ContentType);
    } else {
        headers.set(HeaderName::ContentType, SDP);
    }
    headers.remove(&HeaderName::ContentDisposition);
    *body = found;
}

fn is_multipart(kind: &str) -> bool {
    kind.trim_start()
        .get(..10)
        .is_some_and(|t| t.eq_ignore_ascii_case("multipart/"))
}

fn read<'a>(kind: &str, body: &'a [u8], levels: usize, left: &mut usize) -> Part<'a> {
    let alternative = media_type(kind) == "multipart/alternative";
    let parts = parameter(kind, "boundary").and_then(|boundary| split(body, &boundary, left));
    let (Some(parts), Some(below)) = (parts, levels.checked_sub(1)) else {
        return Part::Unknown;
    };
    let mut found = None;
    for part in parts {
        match (one(part, below, left), alternative) {
            // the last one that is understood is the best (RFC 2046 §5.1.4)
            (Part::Description(sdp), true) => found = Some(sdp),
            (Part::Description(_), false) if found.is_some() => return Part::Unknown,
            (Part::Description(sdp), false) => found = Some(sdp),
            (Part::Ignored, _) | (Part::Unknown, true) => {}
            (Part::Unknown, false) => return Part::Unknown,
        }
    }
    match found {
        Some(sdp) => Part::Description(sdp),
        None if alternative => Part::Unknown,
        None => Part::Ignored,
    }
}

/// One part, with its own fields before it.
fn one<'a>(part: &'a [u8], levels: usize, left: &mut usize) -> Part<'a> {
    let (fields, body) = fields_of(part);
    let field = |name: &str| {
        let named = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        fields.iter().find(named).map(|(_, value)| value.as_str())
    };
    let disposition = field("Content-Disposition");
    let optional = disposition
        .and_then(|text| parameter(text, "handling"))
        .is_some_and(|handling| handling.eq_ignore_ascii_case("optional"));
    // what a field of the message refers to is no part of the session (RFC 5621 §8.2)
    let referred = match disposition {
        Some(text) => media_type(text) == "by-reference",
        None => field("Content-ID").is_some(),
    };
    let session = disposition.is_none_or(|text| media_type(text) == "session");
    let plain = field("Content-Encoding").is_none_or(|how| how.eq_ignore_ascii_case("identity"))
        && field("Content-Transfer-Encoding").is_none_or(|how| {
            ["7bit", "8bit", "binary"]
                .iter()
                .any(|h| how.eq_ignore_ascii_case(h))
        });
    let kind = field("Content-Type").unwrap_or("text/plain");
    let understood = if !plain {
        Part::Unknown
    } else if is_multipart(kind) {
        read(kind, body, levels, left)
    } else if media_type(kind) == SDP && session {
        return match body.trim_ascii().is_empty() {
            true => Part::Ignored,
            false => Part::Description(body),
        };
    } else {
        Part::Unknown
    };
    match understood {
        Part::Unknown if optional || referred => Part::Ignored,
        as_it_is @ (Part::Description(_) | Part::Ignored | Part::Unknown) => as_it_is,
    }
}

/// The first word of a field in lower case, without parameters.
fn media_type(value: &str) -> String {
    let end = value.find(';').unwrap_or(value.len());
    let word = value[..end].split_whitespace();
    word.collect::<String>().to_ascii_lowercase()
}

fn parameter(value: &str, wanted: &str) -> Option<String> {
    scan::split_outside(value, b';').skip(1).find_map(|each| {
        let (name, value) = each.split_once('=')?;
        let (name, value) = (scan::trim(name), scan::trim(value));
        let value = if value.starts_with('"') {
            scan::unquote(value)
        } else {
            value.to_owned()
        };
        name.eq_ignore_ascii_case(wanted).then_some(value)
    })
}

/// The parts between the lines of a boundary; `None` if there is none, or too many. What stands before the first and after the
/// last is nobody's. A sender who forgets the last line has cut nothing off: the length of the body is known.
fn split<'a>(body: &'a [u8], boundary: &str, left: &mut usize) -> Option<Vec<&'a [u8]>> {
    if boundary.is_empty() || boundary.len() > MOST_BOUNDARY {
        return None;
    }
    let (mut parts, mut begun, mut at) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let Some(after) = line
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary.as_bytes()))
        else {
            continue;
        };
        let after = after.trim_ascii_end();
        if !after.is_empty() && after != b"--" {
            // another boundary that begins like this one
            continue;
        }
        if let Some(from) = begun.take() {
            *left = left.checked_sub(1)?;
            parts.push(without_line_end(&body[from..start]));
        }
        if after == b"--" {
            return (!parts.is_empty()).then_some(parts);
        }
        begun = Some(end);
    }
    if let Some(from) = begun {
        *left = left.checked_sub(1)?;
        parts.push(&body[from..]);
    }
    (!parts.is_empty()).then_some(parts)
}

/// The line end before a boundary belongs to the boundary. A description needs its own: without it the last line would have none.
fn without_line_end(part: &[u8]) -> &[u8] {
    let twice = part.ends_with(b"\r\n\r\n") || part.ends_with(b"\n\n");
    match part.strip_suffix(b"\n") {
        Some(short) if twice => short.strip_suffix(b"\r").unwrap_or(short),
        Some(_) | None => part,
    }
}

/// The fields of a part, folded lines joined, and what follows them.
fn fields_of(part: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut rest = part;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]);
        rest = &rest[end + 1..];
        let bare = line.trim_end();
        if bare.is_empty() {
            return (fields, rest);
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = fields.last_mut()
        {
            value.push(' ');
            value.push_str(bare.trim());
        } else if let Some((name, value)) = bare.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    (fields, &[])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\n";

    fn sdp(fields: &str) -> String {
        format!("Content-Type: application/sdp\r\n{fields}\r\n{DESCRIPTION}")
    }

    fn part(fields: &str) -> String {
        format!("{fields}\r\n\r\n<xml/>\r\n")
    }

    fn whole(parts: &[String]) -> String {
        let each: String = parts.iter().map(|part| format!("--b\r\n{part}\r\n")).collect();
        format!("preamble\r\n{each}--b--\r\nepilogue")
    }

    /// What is left of a body: a description, nothing, or the whole (`None`).
    fn unwrapped(kind: &str, body: &str) -> Option<String> {
        let mut headers = Headers::new();
        headers.push(HeaderName::ContentType, kind);
        let mut bytes = body.as_bytes().to_vec();
        unwrap(&mut headers, &mut bytes);
        let left = String::from_utf8(bytes).expect("text");
        match headers.content_type().as_deref() {
            Some(SDP) => assert!(!left.is_empty()),
            None => assert!(left.is_empty()),
            Some(_) => {
                assert_eq!(left, body);
                return None;
            }
        }
        Some(left)
    }

    #[track_caller]
    fn check(kind: &str, parts: &[String], expected: Option<&str>) {
        assert_eq!(unwrapped(kind, &whole(parts)).as_deref(), expected, "{parts:?}");
    }

    const MIXED: &str = "multipart/mixed;boundary=b";
    const ALTERNATIVE: &str = "Multipart/Alternative; boundary=\"b\"";

    #[test]
    fn the_description_is_found_and_optional_parts_are_ignored() {
        let ok = Some(DESCRIPTION);
        let place = "Content-Type: application/pidf+xml\r\nContent-ID: <a@b>";
        let isup = "Content-Type: application/ISUP\r\nContent-Disposition: signal; handling=optional";
        check(MIXED, &[sdp("")], ok);
        check(MIXED, &[sdp(""), part(place)], ok);
        check(MIXED, &[part(isup), sdp("Content-Disposition: session\r\n")], ok);
        check("multipart/related;x=y;boundary=\"b\"", &[sdp(""), part(isup)], ok);
        check(MIXED, &[part(isup)], Some(""));
    }

    #[test]
    fn a_part_that_must_be_understood_leaves_the_body_as_it_is() {
        for fields in [
            "Content-Type: application/ISUP",
            "Content-Type: application/ISUP\r\nContent-Disposition: signal;\r\n handling=required",
            "Content-Type: application/sdp\r\nContent-Disposition: early-session",
            "Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64",
            "Content-Type: application/sdp\r\nContent-Encoding: gzip",
            "X: y",
        ] {
            check(MIXED, &[sdp(""), part(fields)], None);
        }
        // which of them counts?
        check(MIXED, &[sdp(""), sdp("")], None);
        check("multipart/mixed", &[sdp("")], None);
    }

    #[test]
    fn of_alternatives_the_last_that_is_understood_counts() {
        let unknown = part("Content-Type: application/sdpng");
        check(ALTERNATIVE, &[sdp(""), unknown.clone()], Some(DESCRIPTION));
        check(ALTERNATIVE, &[unknown.clone(), unknown.clone()], None);
        let inner = whole(&[sdp(""), unknown]).replace("--b", "--c");
        let nested = format!("Content-Type: multipart/alternative;boundary=c\r\n\r\n{inner}\r\n");
        check(MIXED, &[nested], Some(DESCRIPTION));
    }

    #[test]
    fn parts_and_levels_are_bounded() {
        let optional = part("Content-Type: a/b\r\nContent-Disposition: x;handling=optional");
        let mut many = vec![optional; MOST_PARTS - 1];
        many.push(sdp(""));
        check(MIXED, &many, Some(DESCRIPTION));
        many.push(sdp(""));
        check(MIXED, &many, None);
        let mut deep = sdp("");
        for level in 0..=MOST_LEVELS {
            deep = format!(
                "Content-Type: multipart/mixed;boundary=l{level}\r\n\r\n--l{level}\r\n{deep}\r\n--l{level}--\r\n"
            );
        }
        check(MIXED, &[deep], None);
    }

    #[test]
    fn a_last_line_that_was_forgotten_and_bare_line_ends_are_forgiven() {
        let text = format!("--b\n{}", sdp("").replace("\r\n", "\n"));
        assert_eq!(unwrapped(MIXED, &text), Some(DESCRIPTION.replace("\r\n", "\n")));
    }

    proptest! {
        #[test]
        fn junk_never_panics_and_never_grows(
            kind in "(multipart/(mixed|alternative|x); ?boundary=\"?[ab]{0,2}\"?|\\PC{0,30})",
            lines in proptest::collection::vec("(--[ab]{1,2}(--)?|Content-(Type|Disposition|ID): ?(multipart/mixed;boundary=[ab]|application/sdp|x;handling=optional)|v=0||\\PC{0,10})\r?", 0..40),
        ) {
            let mut headers = Headers::new();
            headers.push(HeaderName::ContentType, kind.as_str());
            let before = lines.join("\n").into_bytes();
            let mut body = before.clone();
            unwrap(&mut headers, &mut body);
            prop_assert!(body.len() <= before.len());
            if headers.content_type().as_deref() == Some(SDP) && kind.starts_with("multipart/") {
                prop_assert!(!body.is_empty());
            }
        }

        #[test]
        fn bytes_of_any_kind_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut headers = Headers::new();
            headers.push(HeaderName::ContentType, MIXED);
            let mut body = [b"--b\r\n".as_slice(), &bytes].concat();
            unwrap(&mut headers, &mut body);
        }
    }
}
