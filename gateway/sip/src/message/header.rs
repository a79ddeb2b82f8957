//! Names and values of header fields.

use std::borrow::Cow;
use std::fmt;

use crate::scan;

macro_rules! header_names {
    ($($variant:ident $text:literal $compact:literal),* $(,)?) => {
        /// Name of a header field; compares without case.
        #[derive(Clone, Debug)]
        pub enum HeaderName {
            $(
                #[doc = concat!("`", $text, "`.")]
                $variant,
            )*
            /// Another name, as written; made by [`HeaderName::parse`] only.
            Other(Box<str>),
        }

        impl HeaderName {
            /// The name, in the spelling of its standard or as it was received.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }

            fn known(text: &str) -> Option<Self> {
                if let [c] = text.as_bytes() {
                    let c = c.to_ascii_lowercase();
                    $(if $compact == c { return Some(Self::$variant); })*
                    return None;
                }
                $(if $text.len() == text.len() && $text.eq_ignore_ascii_case(text) {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    };
}

// Compact form as a byte, 0 where there is none (RFC 3261 §7.3.3 and the IANA list). The common ones stand first,
// because the search is linear.
header_names! {
    Via "Via" b'v',
    From "From" b'f',
    To "To" b't',
    CallId "Call-ID" b'i',
    CSeq "CSeq" 0,
    Contact "Contact" b'm',
    MaxForwards "Max-Forwards" 0,
    ContentLength "Content-Length" b'l',
    ContentType "Content-Type" b'c',
    Allow "Allow" 0,
    Supported "Supported" b'k',
    Require "Require" 0,
    UserAgent "User-Agent" 0,
    Server "Server" 0,
    Route "Route" 0,
    RecordRoute "Record-Route" 0,
    Expires "Expires" 0,
    Authorization "Authorization" 0,
    ProxyAuthorization "Proxy-Authorization" 0,
    WwwAuthenticate "WWW-Authenticate" 0,
    ProxyAuthenticate "Proxy-Authenticate" 0,
    AuthenticationInfo "Authentication-Info" 0,
    SessionExpires "Session-Expires" b'x',
    MinSe "Min-SE" 0,
    MinExpires "Min-Expires" 0,
    Reason "Reason" 0,
    PAssertedIdentity "P-Asserted-Identity" 0,
    PPreferredIdentity "P-Preferred-Identity" 0,
    RemotePartyId "Remote-Party-ID" 0,
    Privacy "Privacy" 0,
    SessionId "Session-ID" 0,
    RSeq "RSeq" 0,
    RAck "RAck" 0,
    Path "Path" 0,
    ServiceRoute "Service-Route" 0,
    RetryAfter "Retry-After" 0,
    Warning "Warning" 0,
    Unsupported "Unsupported" 0,
    ProxyRequire "Proxy-Require" 0,
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    Replaces "Replaces" 0,
    Event "Event" b'o',
    AllowEvents "Allow-Events" b'u',
    SubscriptionState "Subscription-State" 0,
    SipEtag "SIP-ETag" 0,
    SipIfMatch "SIP-If-Match" 0,
    Accept "Accept" 0,
    AcceptContact "Accept-Contact" b'a',
    AcceptEncoding "Accept-Encoding" 0,
    AcceptLanguage "Accept-Language" 0,
    AlertInfo "Alert-Info" 0,
    AnswerMode "Answer-Mode" 0,
    PrivAnswerMode "Priv-Answer-Mode" 0,
    CallInfo "Call-Info" 0,
    ContentDisposition "Content-Disposition" 0,
    ContentEncoding "Content-Encoding" b'e',
    ContentLanguage "Content-Language" 0,
    Date "Date" 0,
    ErrorInfo "Error-Info" 0,
    Identity "Identity" b'y',
    InReplyTo "In-Reply-To" 0,
    InfoPackage "Info-Package" 0,
    MimeVersion "MIME-Version" 0,
    Organization "Organization" 0,
    Priority "Priority" 0,
    RecvInfo "Recv-Info" 0,
    RejectContact "Reject-Contact" b'j',
    ReplyTo "Reply-To" 0,
    RequestDisposition "Request-Disposition" b'd',
    Subject "Subject" b's',
    Timestamp "Timestamp" 0,
    Diversion "Diversion" 0,
    HistoryInfo "History-Info" 0,
}

impl HeaderName {
    /// Parses a name in its long or compact form; `None` if it is not a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::known(text).or_else(|| scan::is_token(text).then(|| Self::Other(text.into())))
    }

    /// True if the values of several lines may stand in one, separated by commas, and we split them.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(
            self,
            Self::Via
                | Self::Contact
                | Self::Route
                | Self::RecordRoute
                | Self::Path
                | Self::ServiceRoute
                | Self::Allow
                | Self::Supported
                | Self::Require
                | Self::ProxyRequire
                | Self::Unsupported
                | Self::AllowEvents
                | Self::PAssertedIdentity
                | Self::PPreferredIdentity
                | Self::Accept
                | Self::RecvInfo
        )
    }

    /// True if the field may stand once only and carries the identity or the shape of the message.
    pub(crate) const fn is_single(&self) -> bool {
        matches!(
            self,
            Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::MaxForwards
                | Self::ContentLength
                | Self::ContentType
                | Self::Expires
        )
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Value of a header field: bytes on one line. CR, LF and NUL never get in; they become spaces.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderValue(Vec<u8>);

impl HeaderValue {
    /// The bytes as received.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text: UTF-8, or every byte as a Latin-1 letter if it is not UTF-8 (old phones send that).
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(self.0.iter().map(|b| char::from(*b)).collect()),
        }
    }
}

impl From<Vec<u8>> for HeaderValue {
    fn from(mut bytes: Vec<u8>) -> Self {
        for b in &mut bytes {
            if matches!(b, b'\r' | b'\n' | 0) {
                *b = b' ';
            }
        }
        Self(bytes.trim_ascii().to_vec())
    }
}

impl From<&[u8]> for HeaderValue {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes().to_vec())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name.
    pub name: HeaderName,
    /// Value.
    pub value: HeaderValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_case_and_in_compact_form() {
        let check =
            |text: &str, expected: HeaderName| assert_eq!(HeaderName::parse(text), Some(expected), "{text}");
        check("cAlL-iD", HeaderName::CallId);
        for (compact, name) in [
            ("v", HeaderName::Via),
            ("F", HeaderName::From),
            ("t", HeaderName::To),
            ("i", HeaderName::CallId),
            ("m", HeaderName::Contact),
            ("l", HeaderName::ContentLength),
            ("k", HeaderName::Supported),
            ("s", HeaderName::Subject),
            ("o", HeaderName::Event),
            ("c", HeaderName::ContentType),
            ("e", HeaderName::ContentEncoding),
            ("b", HeaderName::ReferredBy),
            ("x", HeaderName::SessionExpires),
        ] {
            check(compact, name);
        }
        check("X-Thing", HeaderName::parse("x-thing").expect("token"));
        assert_eq!(
            HeaderName::parse("z").map(|n| n.to_string()).as_deref(),
            Some("z")
        );
        assert_eq!(HeaderName::parse("Bad Name"), None);
    }

    #[test]
    fn a_value_cannot_start_a_new_line() {
        let value = HeaderValue::from("a\r\nX-Evil: 1\0");
        assert_eq!(value.as_bytes(), b"a  X-Evil: 1");
    }

    #[test]
    fn latin_1_is_kept_and_readable() {
        let value = HeaderValue::from(&b"J\xf6rg"[..]);
        assert_eq!(value.as_bytes(), b"J\xf6rg");
        assert_eq!(value.text(), "J\u{f6}rg");
    }
}
