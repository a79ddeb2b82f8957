//! Whom a door may call, and who may call it.

use std::fmt;

use crate::rules::FromText;

/// A number or SIP address as configured, with its parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// What kind it is.
    pub kind: AddressKind,
    /// The text as configured.
    pub text: String,
    /// The user part: `1000`.
    pub user: String,
}

/// The kinds of [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressKind {
    /// A number or extension; the account gives the domain.
    Number,
    /// A user at a host: `1001@192.0.2.7` or `sip:1001@192.0.2.7:5070`.
    Uri {
        /// Host name or IP address, lower case, IPv6 in brackets.
        host: String,
        /// Port, if one is given.
        port: Option<u16>,
        /// True for `sips:`.
        secure: bool,
    },
}

impl Address {
    /// The host, if the address has one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.kind {
            AddressKind::Number => None,
            AddressKind::Uri { host, .. } => Some(host),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const ALLOWED: &str = "a number such as 1000 or +33412345678, or sip:USER@HOST, HOST a name or an IP address";

impl FromText for Address {
    const WHAT: &'static str = "a number or SIP address";
    const PATTERN: Option<&'static str> = Some("^(sips?:)?[A-Za-z0-9._~!$&+*#%-]+(@[A-Za-z0-9.:\\[\\]-]+)?$");

    fn from_text(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| ALLOWED.to_owned())
    }
}

fn parse(text: &str) -> Option<Address> {
    if text.len() > 200 {
        return None;
    }
    let (secure, rest) = match (text.strip_prefix("sips:"), text.strip_prefix("sip:")) {
        (Some(rest), _) => (Some(true), rest),
        (None, Some(rest)) => (Some(false), rest),
        (None, None) => (None, text),
    };
    let (user, host) = match rest.split_once('@') {
        Some((user, host)) => (user, Some(host)),
        None => (rest, None),
    };
    // RFC 3261 §25.1 user characters without ";?/=," and "()": a dialled address carries no parameters.
    let of_user = |b: u8| b.is_ascii_alphanumeric() || b"._~!$&+*#%-".contains(&b);
    if user.is_empty() || user.len() > 64 || !user.bytes().all(of_user) {
        return None;
    }
    let kind = match (host, secure) {
        (None, None) => AddressKind::Number,
        // `sip:1000` would name a host called 1000.
        (None, Some(_)) => return None,
        (Some(host), secure) => {
            let (host, port) = super::net::host_and_port(host)?;
            AddressKind::Uri {
                host,
                port,
                secure: secure == Some(true),
            }
        }
    };
    Some(Address {
        kind,
        text: text.to_owned(),
        user: user.to_owned(),
    })
}

/// Number or name by which a panel is called: the user part of a SIP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extension(String);

impl Extension {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for Extension {
    const WHAT: &'static str = "an extension";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9._~!$&+*#-]{1,40}$");
    fn from_text(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._~!$&+*#-".contains(&b);
        ((1..=40).contains(&text.len()) && text.bytes().all(fits))
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| "1 to 40 letters, digits and . _ ~ ! $ & + * # -, such as 503".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, user: &str, host: Option<&str>, port: Option<u16>) {
        let address = parse(text).expect("an address");
        assert_eq!(address.user, user);
        assert_eq!(address.host(), host);
        if let AddressKind::Uri { port: found, .. } = address.kind {
            assert_eq!(found, port);
        }
    }

    #[test]
    fn numbers_and_addresses_are_told_apart() {
        check("1000", "1000", None, None);
        check("+33412345678", "+33412345678", None, None);
        check("*9#", "*9#", None, None);
        check("1001@192.0.2.7", "1001", Some("192.0.2.7"), None);
        check(
            "sip:1001@PBX.example:5070",
            "1001",
            Some("pbx.example"),
            Some(5070),
        );
        check("sips:night@[2001:db8::7]", "night", Some("[2001:db8::7]"), None);
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        for bad in [
            "",
            "sip:",
            "sip:1000",
            "a b",
            "1000@",
            "@host",
            "1000@host:0",
            "1000@host:99999",
            "1000@ho st",
            "1000;x=y@host",
            "1000@[::1",
            "é@host",
            "a@b@c",
            "http://x",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
