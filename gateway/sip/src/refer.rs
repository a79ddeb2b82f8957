//! What a transfer is asked for with: Refer-To (RFC 3515 §2.1) and Replaces (RFC 3891 §6.1).

use std::fmt;

use crate::error::SyntaxError;
use crate::params::Params;
use crate::scan;
use crate::uri::unescape;
use crate::{NameAddr, Uri};

/// Longest Replaces value that is taken, bytes: a Call-ID and two tags.
const LONGEST: usize = 512;

/// The dialog that an INVITE takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// Take it over only while it is early.
    pub early_only: bool,
    /// Tag of the side that does not get the INVITE.
    pub from_tag: String,
    /// Tag of the side that gets the INVITE.
    pub to_tag: String,
}

impl Replaces {
    /// Parses `callid;to-tag=x;from-tag=y[;early-only]`.
    ///
    /// # Errors
    /// No Call-ID, a missing tag, malformed parameters, or more than 512 bytes.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(SyntaxError::at(text, 0, "a Call-ID and two tags"));
        }
        let (call_id, rest) = text
            .find(';')
            .map_or((text, ""), |at| (text[..at].trim_end(), &text[at..]));
        let fits = |b: u8| b.is_ascii_graphic() && b != b',';
        if call_id.is_empty() || !call_id.bytes().all(fits) {
            return Err(SyntaxError::at(text, 0, "a Call-ID"));
        }
        let params = Params::parse(rest)?;
        let tag = |name: &str, expected| {
            let tag = params.get(name).filter(|tag| scan::is_token(tag));
            tag.map(str::to_owned)
                .ok_or_else(|| SyntaxError::at(text, call_id.len(), expected))
        };
        Ok(Self {
            call_id: call_id.to_owned(),
            early_only: params.has("early-only"),
            from_tag: tag("from-tag", "a from-tag")?,
            to_tag: tag("to-tag", "a to-tag")?,
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let early = if self.early_only { ";early-only" } else { "" };
        let Self {
            call_id,
            from_tag,
            to_tag,
            ..
        } = self;
        write!(f, "{call_id};to-tag={to_tag};from-tag={from_tag}{early}")
    }
}

/// Whom a REFER wants called, and in whose place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo {
    /// The call that the new one takes the place of, of an attended transfer.
    pub replaces: Option<Replaces>,
    /// Whom, without the header fields that the URI asks for.
    pub target: Uri,
}

/// A Refer-To that is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferError {
    /// It asks for another request than INVITE.
    #[error("found method {0:?}, only INVITE is sent for a transfer")]
    Method(String),
    /// It is no address that can be called.
    #[error("found scheme {0:?}, allowed: sip, sips, tel")]
    Scheme(String),
    /// It cannot be read.
    #[error("{0}")]
    Syntax(#[from] SyntaxError),
}

impl ReferTo {
    /// Parses the value of Refer-To. Of the header fields in its URI only Replaces counts (RFC 3261 §19.1.5 lets us
    /// leave out the others).
    ///
    /// # Errors
    /// [`ReferError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, ReferError> {
        let mut target = NameAddr::parse(text)?.uri;
        if matches!(target, Uri::Other { .. }) {
            return Err(ReferError::Scheme(target.scheme()));
        }
        let mut replaces = None;
        if let Some(uri) = target.as_sip_mut() {
            if let Some(method) = uri.params.get("method")
                && !method.eq_ignore_ascii_case("INVITE")
            {
                return Err(ReferError::Method(method.to_owned()));
            }
            uri.params.remove("method");
            let headers = uri.headers.take().unwrap_or_default();
            let named = headers.split('&').find_map(|header| {
                let (name, value) = header.split_once('=')?;
                name.eq_ignore_ascii_case("Replaces").then_some(value)
            });
            replaces = named.map(|value| Replaces::parse(&unescape(value))).transpose()?;
        }
        Ok(Self { replaces, target })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replaces_is_read_as_rfc_3891_writes_it() {
        for (text, expected) in [
            (
                "98732@sip.example.com\n          ;from-tag=r33th4x0r\n          ;to-tag=ff87ff",
                "98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r",
            ),
            (
                "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only",
                "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only",
            ),
            (
                "87134@192.0.2.23;to-tag=24796;from-tag=0",
                "87134@192.0.2.23;to-tag=24796;from-tag=0",
            ),
        ] {
            let text = text.replace('\n', "");
            let read = Replaces::parse(&text).map(|read| read.to_string());
            assert_eq!(read.as_deref(), Ok(expected));
        }
        for text in [
            "",
            ";to-tag=1;from-tag=2",
            "a;to-tag=1",
            "a;from-tag=1",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert!(Replaces::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn refer_to_says_whom_and_in_whose_place() {
        let read = |text: &str| ReferTo::parse(text);
        let blind = read("<sip:dave@denver.example.org>").expect("RFC 3515 §2.1");
        assert_eq!(
            (blind.target.to_string().as_str(), blind.replaces),
            ("sip:dave@denver.example.org", None)
        );
        let attended = read(
            "<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994&Require=replaces>",
        )
        .expect("RFC 3515 §2.1");
        assert_eq!(attended.target.to_string(), "sip:dave@denver.example.org");
        assert_eq!(
            attended.replaces.expect("named").to_string(),
            "12345@192.168.118.3;to-tag=12345;from-tag=5FFE-3994"
        );
        assert_eq!(
            read("tel:+4930123").expect("a number").target.to_string(),
            "tel:+4930123"
        );
        assert_eq!(
            read("<sip:a@h;method=INVITE>").expect("one").target.to_string(),
            "sip:a@h"
        );
        assert!(matches!(
            read("<sip:a@h;method=SUBSCRIBE>"),
            Err(ReferError::Method(_))
        ));
        assert!(matches!(read("<mailto:a@h>"), Err(ReferError::Scheme(_))));
        assert!(matches!(read("<sip:a@h?Replaces=x>"), Err(ReferError::Syntax(_))));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused_and_reads_the_same_again(text in "\\PC{0,80}", id in "[a-z0-9@.-]{1,20}", tags in "[a-z0-9]{1,8}") {
            let _ = ReferTo::parse(&text);
            let _ = Replaces::parse(&text);
            let written = format!("{id};to-tag={tags};from-tag=1{tags}");
            let read = Replaces::parse(&written).expect("ours");
            prop_assert_eq!(read.to_string(), written);
        }
    }
}
