//! The header fields of a message, raw and in order, with typed reading.

use std::borrow::Cow;

use super::header::{Header, HeaderName, HeaderValue};
use crate::cseq::CSeq;
use crate::error::{HeaderError, SyntaxError};
use crate::name_addr::NameAddr;
use crate::scan;
use crate::via::Via;

/// Header fields in the order of the message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Headers(Vec<Header>);

/// What a Contact header says (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts {
    /// `*`: all bindings, in a REGISTER with `Expires: 0`.
    All,
    /// Addresses; none if the header is absent.
    List(Vec<NameAddr>),
}

impl Headers {
    /// No header fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// All header fields in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// Number of header fields.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// True without header fields.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: HeaderName, value: impl Into<HeaderValue>) {
        self.0.push(Header {
            name,
            value: value.into(),
        });
    }

    /// Adds a field before all others (Via of a new hop).
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<HeaderValue>) {
        self.0.insert(
            0,
            Header {
                name,
                value: value.into(),
            },
        );
    }

    /// Replaces the first field called `name` in its place and removes the others; adds it if there is none.
    pub fn set(&mut self, name: HeaderName, value: impl Into<HeaderValue>) {
        match self.0.iter().position(|h| h.name == name) {
            Some(at) => {
                self.0[at].value = value.into();
                let mut index = 0;
                self.0.retain(|h| {
                    index += 1;
                    index - 1 <= at || h.name != name
                });
            }
            None => self.push(name, value),
        }
    }

    /// Removes every field called `name`.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|h| h.name != *name);
    }

    /// First value of `name`.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.iter().find(|h| h.name == *name).map(|h| &h.value)
    }

    /// First value of `name` as text.
    #[must_use]
    pub fn text(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        self.get(name).map(HeaderValue::text)
    }

    /// Every value of `name`, one per line of the message.
    pub fn all(&self, name: &HeaderName) -> impl Iterator<Item = &HeaderValue> {
        let name = name.clone();
        self.0.iter().filter(move |h| h.name == name).map(|h| &h.value)
    }

    /// Every element of a comma-separated field, over all its lines, in order.
    #[must_use]
    pub fn list(&self, name: &HeaderName) -> Vec<String> {
        let mut out = Vec::new();
        for value in self.all(name) {
            out.extend(scan::split_outside(&value.text(), b',').map(str::to_owned));
        }
        out
    }

    /// True if the list field `name` holds `token`, without case (`Supported: timer`).
    #[must_use]
    pub fn has_token(&self, name: &HeaderName, token: &str) -> bool {
        self.all(name)
            .any(|v| scan::split_outside(&v.text(), b',').any(|t| t.eq_ignore_ascii_case(token)))
    }

    /// True if the body is compressed or otherwise encoded (RFC 3261 §20.12): all but `identity`.
    #[must_use]
    pub fn is_encoded(&self) -> bool {
        self.all(&HeaderName::ContentEncoding)
            .any(|v| scan::split_outside(&v.text(), b',').any(|t| !t.eq_ignore_ascii_case("identity")))
    }

    /// True if nothing stands before, between or behind commas in a Via: nobody knows who is left out of the way back (RFC 4475 §3.1.2.1).
    pub(crate) fn has_empty_via(&self) -> bool {
        self.all(&HeaderName::Via).any(|value| {
            let text = value.text();
            scan::pieces_outside(&text, b',').any(str::is_empty)
        })
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn via(&self) -> Result<Via, HeaderError> {
        let text = self.text(&HeaderName::Via).ok_or(HeaderError::Missing {
            name: HeaderName::Via,
        })?;
        let first = scan::split_outside(&text, b',').next().unwrap_or_default();
        Via::parse(first).map_err(|source| malformed(HeaderName::Via, source))
    }

    /// Every Via, topmost first.
    ///
    /// # Errors
    /// One is malformed.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        self.each(&HeaderName::Via, Via::parse)
    }

    /// Replaces the topmost Via and leaves the others.
    pub fn set_top_via(&mut self, via: &Via) {
        let mut all = self.list(&HeaderName::Via);
        let text = via.to_string();
        match all.first_mut() {
            Some(first) => *first = text,
            None => all.push(text),
        }
        let at = self.0.iter().position(|h| h.name == HeaderName::Via).unwrap_or(0);
        self.remove(&HeaderName::Via);
        for (i, value) in all.into_iter().enumerate() {
            self.0.insert(
                at + i,
                Header {
                    name: HeaderName::Via,
                    value: value.into(),
                },
            );
        }
    }

    /// From.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn from_addr(&self) -> Result<NameAddr, HeaderError> {
        self.one(HeaderName::From, NameAddr::parse)
    }

    /// To.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.one(HeaderName::To, NameAddr::parse)
    }

    /// Contact.
    ///
    /// # Errors
    /// One is malformed.
    pub fn contacts(&self) -> Result<Contacts, HeaderError> {
        let all = self.list(&HeaderName::Contact);
        if all.iter().any(|c| c == "*") {
            return match all.as_slice() {
                [_] => Ok(Contacts::All),
                _ => Err(malformed(
                    HeaderName::Contact,
                    SyntaxError::at("*", 0, "* alone, or addresses"),
                )),
            };
        }
        self.addresses(&HeaderName::Contact).map(Contacts::List)
    }

    /// The first Contact address: the remote target of a dialog.
    ///
    /// # Errors
    /// Missing, `*` or malformed.
    pub fn contact(&self) -> Result<NameAddr, HeaderError> {
        match self.contacts()? {
            Contacts::List(list) => list.into_iter().next().ok_or(HeaderError::Missing {
                name: HeaderName::Contact,
            }),
            Contacts::All => Err(malformed(
                HeaderName::Contact,
                SyntaxError::at("*", 0, "an address"),
            )),
        }
    }

    /// Every address of a list field (Route, Record-Route, Path, P-Asserted-Identity), in order.
    ///
    /// # Errors
    /// One is malformed.
    pub fn addresses(&self, name: &HeaderName) -> Result<Vec<NameAddr>, HeaderError> {
        self.each(name, NameAddr::parse)
    }

    /// Call-ID.
    ///
    /// # Errors
    /// Missing or empty.
    pub fn call_id(&self) -> Result<String, HeaderError> {
        self.one(HeaderName::CallId, |text| {
            if text.is_empty() || text.contains(scan::is_lws) {
                Err(SyntaxError::at(text, 0, "one word"))
            } else {
                Ok(text.to_owned())
            }
        })
    }

    /// CSeq.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.one(HeaderName::CSeq, CSeq::parse)
    }

    /// Max-Forwards, 0 to 255; `None` if absent.
    ///
    /// # Errors
    /// Not a number up to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.number(HeaderName::MaxForwards, "a number up to 255")
    }

    /// Expires in seconds; `None` if absent.
    ///
    /// # Errors
    /// Not a number below 2³².
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.number(HeaderName::Expires, "seconds below 4294967296")
    }

    /// Content-Length in bytes; `None` if absent.
    ///
    /// # Errors
    /// Not a number below 2³².
    pub fn content_length(&self) -> Result<Option<u32>, HeaderError> {
        self.number(HeaderName::ContentLength, "a number of bytes")
    }

    /// Media type of the body in lower case without parameters, `application/sdp`.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let text = self.text(&HeaderName::ContentType)?;
        let end = text.find(';').unwrap_or(text.len());
        Some(
            text[..end]
                .split_whitespace()
                .collect::<String>()
                .to_ascii_lowercase(),
        )
    }

    /// A number from the start of a field that may carry a comment or parameters (`Retry-After: 5 (busy)`,
    /// `Session-Expires: 90;refresher=uas`).
    #[must_use]
    pub fn leading_number(&self, name: &HeaderName) -> Option<u32> {
        let text = self.text(name)?;
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        scan::number(&text[..end])
    }

    fn number<T: std::str::FromStr>(
        &self,
        name: HeaderName,
        expected: &'static str,
    ) -> Result<Option<T>, HeaderError> {
        let Some(text) = self.text(&name) else {
            return Ok(None);
        };
        match scan::number(scan::trim(&text)) {
            Some(n) => Ok(Some(n)),
            None => Err(malformed(name, SyntaxError::at(&text, 0, expected))),
        }
    }

    fn one<T>(
        &self,
        name: HeaderName,
        parse: impl Fn(&str) -> Result<T, SyntaxError>,
    ) -> Result<T, HeaderError> {
        match self.text(&name) {
            Some(text) => parse(&text).map_err(|source| malformed(name, source)),
            None => Err(HeaderError::Missing { name }),
        }
    }

    fn each<T>(
        &self,
        name: &HeaderName,
        parse: impl Fn(&str) -> Result<T, SyntaxError>,
    ) -> Result<Vec<T>, HeaderError> {
        let mut out = Vec::new();
        for value in self.all(name) {
            let text = value.text();
            for piece in scan::split_outside(&text, b',') {
                let parsed = parse(piece).map_err(|e| e.shifted(scan::offset_in(&text, piece)));
                out.push(parsed.map_err(|source| malformed(name.clone(), source))?);
            }
        }
        Ok(out)
    }
}

const fn malformed(name: HeaderName, source: SyntaxError) -> HeaderError {
    HeaderError::Malformed { name, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in list {
            headers.push(HeaderName::parse(name).expect("token"), *value);
        }
        headers
    }

    #[test]
    fn lists_run_over_lines_and_commas() {
        let h = headers(&[
            ("Contact", "\"a, b\" <sip:a@h>, <sip:b@h?x=1,2>;q=0.5"),
            ("Subject", "x"),
            ("m", "sip:c@h;expires=60"),
        ]);
        let Ok(Contacts::List(list)) = h.contacts() else {
            panic!("{h:?}")
        };
        assert_eq!(
            list.iter()
                .map(|c| c.uri.user().unwrap_or_default())
                .collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(headers(&[("Contact", "*")]).contacts(), Ok(Contacts::All));
        assert!(headers(&[("Contact", "*, <sip:a@h>")]).contacts().is_err());
        assert_eq!(headers(&[]).contacts(), Ok(Contacts::List(Vec::new())));
    }

    #[test]
    fn replacing_keeps_the_place_and_removes_repeats() {
        let mut h = headers(&[("Via", "1"), ("To", "2"), ("To", "3"), ("CSeq", "4"), ("To", "5")]);
        h.set(HeaderName::To, "6");
        assert_eq!(h, headers(&[("Via", "1"), ("To", "6"), ("CSeq", "4")]));
    }

    #[test]
    fn the_top_via_is_replaced_even_inside_a_list() {
        let mut h = headers(&[
            ("v", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b"),
            ("To", "x"),
            ("Via", "SIP/2.0/UDP c"),
        ]);
        let mut via = h.via().expect("via");
        via.params.set("received", "192.0.2.1");
        h.set_top_via(&via);
        assert_eq!(
            h.list(&HeaderName::Via),
            [
                "SIP/2.0/UDP a;branch=1;received=192.0.2.1",
                "SIP/2.0/UDP b",
                "SIP/2.0/UDP c"
            ]
        );
        assert_eq!(h.vias().map(|v| v.len()), Ok(3));
    }

    #[test]
    fn numbers_outside_their_range_are_errors_not_defaults() {
        assert_eq!(headers(&[("Max-Forwards", "70")]).max_forwards(), Ok(Some(70)));
        assert!(headers(&[("Max-Forwards", "300")]).max_forwards().is_err());
        assert!(headers(&[("l", "-1")]).content_length().is_err());
        assert_eq!(headers(&[]).expires(), Ok(None));
        assert_eq!(
            headers(&[("Retry-After", "18 (in a meeting)")]).leading_number(&HeaderName::RetryAfter),
            Some(18)
        );
        assert_eq!(
            headers(&[("c", "Application/ SDP ; x=1")])
                .content_type()
                .as_deref(),
            Some("application/sdp")
        );
    }
}
