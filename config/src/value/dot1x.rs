//! Words and names of IEEE 802.1X.

use std::fmt;

use crate::describe::words;
use crate::rules::FromText;

words! {
    /// EAP method of the port.
    pub enum EapMethod {
        /// EAP-MD5 (RFC 3748): verifies nobody; the password can be guessed from what is heard.
        Md5 = "md5",
        /// EAP-MSCHAPv2 without a tunnel: verifies nobody; the password can be guessed from what is heard.
        Mschapv2 = "mschapv2",
        /// Protected EAP: a TLS tunnel with another EAP method inside.
        Peap = "peap",
        /// EAP-TLS (RFC 5216): certificates on both sides, no password.
        Tls = "tls",
        /// EAP-TTLS (RFC 5281): a TLS tunnel with a password method inside.
        Ttls = "ttls",
    }
}

words! {
    /// Method inside a tunnel.
    pub enum EapInner {
        /// CHAP, in TTLS.
        Chap = "chap",
        /// EAP-MD5, in TTLS.
        EapMd5 = "eap-md5",
        /// EAP-MSCHAPv2, in TTLS.
        EapMschapv2 = "eap-mschapv2",
        /// EAP-GTC, in PEAP.
        Gtc = "gtc",
        /// EAP-MD5, in PEAP.
        Md5 = "md5",
        /// MS-CHAP, in TTLS.
        Mschap = "mschap",
        /// EAP-MSCHAPv2 in PEAP, MS-CHAP-V2 in TTLS.
        Mschapv2 = "mschapv2",
        /// PAP, in TTLS.
        Pap = "pap",
        /// EAP-TLS, in PEAP.
        Tls = "tls",
    }
}

/// Name of a network interface: 1 to 15 characters, as the kernel takes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for InterfaceName {
    const WHAT: &'static str = "a network interface";
    fn from_text(text: &str) -> Result<Self, String> {
        let fits = (1..=15).contains(&text.len())
            && text != "."
            && text != ".."
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'"' | b'\\'));
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| "1 to 15 characters without blanks and slashes, such as eth0".to_owned())
    }
}

/// A DNS name that a server's certificate is held against (RFC 6125 §6.4.1), without wildcards. Lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerName(String);

impl ServerName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for ServerName {
    const WHAT: &'static str = "a DNS name";
    fn from_text(text: &str) -> Result<Self, String> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let fits = text.len() <= 253
            && text.contains('.')
            && text.split('.').all(label)
            // an address is no name, and a whole top level proves nothing
            && text.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| b.is_ascii_alphabetic()));
        fits.then(|| Self(text.to_ascii_lowercase())).ok_or_else(|| match text.strip_prefix("*.") {
            Some(domain) => {
                format!("{domain}, which takes every host below it, and a certificate for {text}, without a wildcard")
            }
            None => "a name with at least one dot, such as radius.example.org, without wildcards".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_are_dns_names_without_wildcards() {
        for good in ["radius.example.org", "a.b", "LAB.test"] {
            assert!(ServerName::from_text(good).is_ok(), "{good}");
        }
        for bad in [
            "*.example.org",
            "org",
            "10.0.0.1",
            "a;b.c",
            "-a.b",
            "a..b",
            ".a.b",
            "a.b.",
            "",
            "a b.c",
        ] {
            assert!(ServerName::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_interfaces_are_what_the_kernel_takes_and_no_option() {
        for good in ["eth0", "enp3s0f1", "eth0.100", "end0"] {
            assert!(InterfaceName::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "..", "a/b", "a b", "-i", "sixteen-letters-", "a:b", "a\"b"] {
            assert!(InterfaceName::from_text(bad).is_err(), "{bad}");
        }
    }
}
