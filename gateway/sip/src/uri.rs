//! SIP, SIPS and tel URIs; other schemes are kept as text (RFC 3261 §19.1, RFC 3966).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::error::SyntaxError;
use crate::params::Params;
use crate::scan;

/// Host of a URI or a Via.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// An address; IPv6 is written in brackets.
    Ip(IpAddr),
    /// A name as written. Names compare without case: use [`Host::same_as`].
    Name(String),
}

impl Host {
    /// Parses a host without port. IPv6 with or without brackets.
    ///
    /// # Errors
    /// An empty text, a character no host name has, or a bad IPv6 reference.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if let Ok(v6) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Ip(IpAddr::V6(v6)));
        }
        match Self::parse_with_port(text)? {
            (host, None) => Ok(host),
            (_, Some(_)) => Err(SyntaxError::at(
                text,
                text.find(':').unwrap_or(0),
                "a host without port",
            )),
        }
    }

    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`; white space around `:` is allowed (Via has it).
    ///
    /// # Errors
    /// An empty host, a character no host name has, a bad IPv6 reference, or a port above 65535.
    pub fn parse_with_port(text: &str) -> Result<(Self, Option<u16>), SyntaxError> {
        let (host, rest) = if let Some(inner) = text.strip_prefix('[') {
            let (inner, rest) = inner
                .split_once(']')
                .ok_or_else(|| SyntaxError::at(text, 0, "an IPv6 reference that ends with ]"))?;
            let v6 = Ipv6Addr::from_str(inner).map_err(|_| SyntaxError::at(text, 1, "an IPv6 address"))?;
            (Self::Ip(IpAddr::V6(v6)), rest)
        } else {
            let end = text
                .find(|c: char| c == ':' || scan::is_lws(c))
                .unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            let bad = name
                .bytes()
                .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')));
            if let Some(i) = bad {
                return Err(SyntaxError::at(text, i, "letters, digits, - and . of a host"));
            }
            if name.is_empty() {
                return Err(SyntaxError::at(text, 0, "a host"));
            }
            let host = match name.parse::<Ipv4Addr>() {
                Ok(v4) => Self::Ip(IpAddr::V4(v4)),
                Err(_) => Self::Name(name.to_owned()),
            };
            (host, rest)
        };
        let rest = scan::trim(rest);
        if rest.is_empty() {
            return Ok((host, None));
        }
        let at = scan::offset_in(text, rest);
        let port = rest
            .strip_prefix(':')
            .map(scan::trim)
            .and_then(scan::number::<u16>);
        match port {
            Some(port) => Ok((host, Some(port))),
            None => Err(SyntaxError::at(text, at, ": and a port up to 65535")),
        }
    }

    /// Equal, names without case.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ip(_), Self::Name(_)) | (Self::Name(_), Self::Ip(_)) => false,
        }
    }

    /// The address, if it is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A `sip:` or `sips:` URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUri {
    /// True for `sips:`.
    pub secure: bool,
    /// User part in its escaped form (`a%40b`); [`SipUri::user`] gives it decoded.
    pub escaped_user: Option<String>,
    /// Password in its escaped form; kept because peers send it, never made by us.
    pub escaped_password: Option<String>,
    /// Host.
    pub host: Host,
    /// Port, if written.
    pub port: Option<u16>,
    /// URI parameters (`transport`, `lr`, `user`).
    pub params: Params,
    /// Text after `?`, escaped, without the `?`.
    pub headers: Option<String>,
}

impl SipUri {
    /// A URI from a decoded user and a host.
    #[must_use]
    pub fn new(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self {
            secure: false,
            escaped_user: user.map(escape_user),
            escaped_password: None,
            host,
            port,
            params: Params::new(),
            headers: None,
        }
    }

    /// User part, decoded; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        self.escaped_user.as_deref().map(unescape)
    }

    /// Compares as RFC 3261 §19.1.4 says: escapes decoded, host without case, `user`, `ttl`, `method`, `maddr` and
    /// `transport` must agree in being there, other parameters only where both have them, headers as text. Of a parameter written twice the first counts.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let param = |name: &str, ours: Option<&str>| {
            let both = |theirs: Option<&str>| match (ours, theirs) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if other.params.has(name) {
                both(other.params.get(name))
            } else {
                !["user", "ttl", "method", "maddr", "transport"]
                    .iter()
                    .any(|n| n.eq_ignore_ascii_case(name))
            }
        };
        self.secure == other.secure
            && self.user() == other.user()
            && self.escaped_password.as_deref().map(unescape)
                == other.escaped_password.as_deref().map(unescape)
            && self.host.same_as(&other.host)
            && self.port == other.port
            && self.params.iter().all(|(n, _)| param(n, self.params.get(n)))
            && ["user", "ttl", "method", "maddr", "transport"]
                .iter()
                .all(|n| self.params.has(n) == other.params.has(n))
            && self.headers == other.headers
    }

    fn parse(secure: bool, rest: &str) -> Result<Self, SyntaxError> {
        let (userinfo, hostpart) = match rest.rsplit_once('@') {
            Some((u, h)) => (Some(u), h),
            None => (None, rest),
        };
        let (escaped_user, escaped_password) = match userinfo {
            None => (None, None),
            Some(u) => {
                let (user, password) = match u.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (u, None),
                };
                if user.is_empty() {
                    return Err(SyntaxError::at(rest, 0, "a user before @"));
                }
                if let Some(i) = u.find('@') {
                    return Err(SyntaxError::at(rest, i, "one @ only (write %40 in a user)"));
                }
                (Some(normal_escapes(user)), password.map(normal_escapes))
            }
        };
        let (before_headers, headers) = match hostpart.split_once('?') {
            Some((b, h)) => (b, Some(normal_escapes(h))),
            None => (hostpart, None),
        };
        let (host, params) = match before_headers.split_once(';') {
            Some((h, p)) => (h, p),
            None => (before_headers, ""),
        };
        let (parsed, port) =
            Host::parse_with_port(host).map_err(|e| e.shifted(scan::offset_in(rest, host)))?;
        let params = Params::parse_uri(&normal_escapes(params));
        Ok(Self {
            secure,
            escaped_user,
            escaped_password,
            host: parsed,
            port,
            params,
            headers,
        })
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.escaped_user {
            f.write_str(user)?;
            if let Some(password) = &self.escaped_password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        write!(f, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        if let Some(headers) = &self.headers {
            write!(f, "?{headers}")?;
        }
        Ok(())
    }
}

/// A `tel:` URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelUri {
    /// Number as written, with `+` and visual separators.
    pub number: String,
    /// `phone-context`, `ext`, …
    pub params: Params,
}

impl TelUri {
    /// The number without visual separators.
    #[must_use]
    pub fn digits(&self) -> String {
        self.number
            .chars()
            .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
            .collect()
    }
}

/// Any URI that may stand in a SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// Another scheme, kept as written.
    Other {
        /// Scheme without `:`.
        scheme: String,
        /// Everything after the first `:`.
        rest: String,
    },
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
}

impl Uri {
    /// Parses an absolute URI.
    ///
    /// # Errors
    /// White space, control characters, `<`, `>` or `"`; no scheme; or a malformed `sip:` or `sips:` URI.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if let Some((i, _)) = text
            .char_indices()
            .find(|(_, c)| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"'))
        {
            return Err(SyntaxError::at(
                text,
                i,
                "no white space, quotes or brackets in a URI",
            ));
        }
        let (scheme, rest) = text
            .split_once(':')
            .ok_or_else(|| SyntaxError::at(text, 0, "a scheme such as sip:"))?;
        let well_formed = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !well_formed {
            return Err(SyntaxError::at(text, 0, "a scheme such as sip:"));
        }
        let shift = |e: SyntaxError| e.shifted(scheme.len() + 1);
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse(false, rest).map(Self::Sip).map_err(shift)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse(true, rest).map(Self::Sip).map_err(shift)
        } else if scheme.eq_ignore_ascii_case("tel") {
            let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
            if number.is_empty() {
                return Err(SyntaxError::at(text, scheme.len() + 1, "a number"));
            }
            let params = Params::parse_uri(&normal_escapes(params));
            Ok(Self::Tel(TelUri {
                number: normal_escapes(number),
                params,
            }))
        } else {
            Ok(Self::Other {
                scheme: scheme.to_owned(),
                rest: normal_escapes(rest),
            })
        }
    }

    /// `sip:user@host` or `sip:host`; the user is given decoded.
    #[must_use]
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self::Sip(SipUri::new(user, host, port))
    }

    /// The SIP or SIPS URI, if it is one.
    #[must_use]
    pub const fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Other { .. } | Self::Tel(_) => None,
        }
    }

    /// The same, to change it.
    pub const fn as_sip_mut(&mut self) -> Option<&mut SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Other { .. } | Self::Tel(_) => None,
        }
    }

    /// Decoded user of a SIP URI, or the digits of a tel URI.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        match self {
            Self::Sip(uri) => uri.user(),
            Self::Tel(tel) => Some(tel.digits()),
            Self::Other { .. } => None,
        }
    }

    /// Scheme in lower case.
    #[must_use]
    pub fn scheme(&self) -> String {
        match self {
            Self::Sip(uri) => if uri.secure { "sips" } else { "sip" }.to_owned(),
            Self::Tel(_) => "tel".to_owned(),
            Self::Other { scheme, .. } => scheme.to_ascii_lowercase(),
        }
    }

    /// Compares as the scheme's rules say; other schemes as text.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.same_as(b),
            (Self::Tel(a), Self::Tel(b)) => {
                a.digits().eq_ignore_ascii_case(&b.digits())
                    && a.params.get("phone-context") == b.params.get("phone-context")
            }
            (a, b) => a == b,
        }
    }
}

impl FromStr for Uri {
    type Err = SyntaxError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::parse(s)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other { scheme, rest } => write!(f, "{scheme}:{rest}"),
            Self::Sip(uri) => write!(f, "{uri}"),
            Self::Tel(tel) => write!(f, "tel:{}{}", tel.number, tel.params),
        }
    }
}

/// Escapes a decoded user: `unreserved` and `user-unreserved` stay (RFC 3261 §25.1), but for `;` and `?`, which
/// some peers take for the end of the user.
fn escape_user(user: &str) -> String {
    let keep = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
            || matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b'/')
    };
    user.bytes()
        .fold(String::with_capacity(user.len()), |mut out, b| {
            push_escaped(&mut out, b, keep(b));
            out
        })
}

/// Text of a URI part with legal escapes only: a `%` without two hex digits becomes `%25`; letters outside ASCII and
/// the characters no URI has are escaped.
fn normal_escapes(part: &str) -> String {
    let bytes = part.as_bytes();
    let legal = |i: usize, b: u8| match b {
        b'%' => bytes
            .get(i + 1..i + 3)
            .is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)),
        b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        b => b.is_ascii_graphic(),
    };
    if bytes.iter().enumerate().all(|(i, b)| legal(i, *b)) {
        return part.to_owned();
    }
    bytes
        .iter()
        .enumerate()
        .fold(String::with_capacity(part.len() + 8), |mut out, (i, b)| {
            push_escaped(&mut out, *b, legal(i, *b));
            out
        })
}

fn push_escaped(out: &mut String, b: u8, keep: bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if keep {
        out.push(char::from(b));
    } else {
        out.push('%');
        out.push(char::from(HEX[usize::from(b >> 4)]));
        out.push(char::from(HEX[usize::from(b & 0xf)]));
    }
}

/// Decodes `%HH`; bytes that are no UTF-8 are replaced.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let hex = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let ahead = bytes.as_slice_pair();
        match (b, ahead.and_then(|(h, l)| Some(hex(h)? << 4 | hex(l)?))) {
            (b'%', Some(value)) => {
                out.push(value);
                bytes.nth(1);
            }
            (b, _) => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The next two bytes of an iterator, without taking them.
trait Ahead {
    fn as_slice_pair(&self) -> Option<(u8, u8)>;
}

impl Ahead for std::str::Bytes<'_> {
    fn as_slice_pair(&self) -> Option<(u8, u8)> {
        let mut copy = self.clone();
        Some((copy.next()?, copy.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn uris_are_written_as_they_were_read() {
        for text in [
            "sip:1000@pbx.example",
            "sips:alice:pw@h.example:5061;transport=tls;lr?Subject=x&y=z",
            "sip:user;par=u%40example.net@example.com",
            "sip:[2001:db8::10]:5070",
            "sip:+33(0)4@192.0.2.1",
            "tel:+33-4-12;phone-context=example.com",
            "urn:service:sos",
            "nobodyKnowsThisScheme:totallyopaquecontent",
        ] {
            assert_eq!(uri(text).to_string(), text);
        }
    }

    #[test]
    fn illegal_characters_are_escaped_and_bad_escapes_repaired() {
        assert_eq!(uri("sip:%zz{a}@h").to_string(), "sip:%25zz%7Ba%7D@h");
        assert_eq!(uri("sip:j\u{f6}@h").to_string(), "sip:j%C3%B6@h");
        assert_eq!(uri("sip:j%c3%b6%00@h").user().as_deref(), Some("j\u{f6}\0"));
        assert_eq!(
            Uri::sip(Some("a b@c#"), Host::Name("h".into()), None).to_string(),
            "sip:a%20b%40c%23@h"
        );
    }

    #[test]
    fn malformed_uris_say_where() {
        let at = |s: &str| Uri::parse(s).map_err(|e| e.offset);
        assert_eq!(at("1000"), Err(0));
        assert_eq!(at("sip:a b@h"), Err(5));
        assert_eq!(at("sip:@h"), Err(4));
        assert_eq!(at("sip:a@b@c"), Err(5));
        assert_eq!(at("sip:a@h:70000"), Err(7));
        assert_eq!(at("sip:a@[::g]"), Err(7));
        assert_eq!(at("sip:"), Err(4));
        assert_eq!(at("<sip:a@h>"), Err(0));
    }

    #[test]
    fn comparison_follows_the_rules_of_19_1_4() {
        let same = |a: &str, b: &str| uri(a).same_as(&uri(b));
        assert!(same(
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp"
        ));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same(
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5"
        ));
        assert!(!same("sip:ALICE@h", "sip:alice@h"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:a@h;x=1", "sip:a@h;x=2"));
        assert!(same("tel:+1-201-555", "tel:+1(201)555"));
    }
}
