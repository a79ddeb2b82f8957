//! What people write as a telephone number, made into a SIP address.

use std::fmt;

use crate::error::SyntaxError;
use crate::uri::{Host, Uri};

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AorError {
    /// A number alone, and no account whose domain would complete it.
    #[error("found {found:?}, expected number@host or sip:…, because no account gives a domain")]
    NoDomain {
        /// The text.
        found: String,
    },
    /// A scheme that we cannot call.
    #[error("found scheme {found:?}, allowed: sip, sips, tel")]
    Scheme {
        /// The scheme.
        found: String,
    },
    /// Not an address.
    #[error("{0}")]
    Syntax(#[from] SyntaxError),
}

/// Address to call or to compare with, as a SIP or SIPS URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aor(Uri);

impl Aor {
    /// Completes what was configured: `1000` gets the account's `domain`; `1000@host`, `192.0.2.5`, `[2001:db8::1]`
    /// and either with `:port` get `sip:`; `tel:` numbers get the domain; `sip:` and `sips:` stay. Without a domain
    /// a text with a dot is a host.
    ///
    /// # Errors
    /// A number without a domain, a scheme that cannot be called, or a malformed address.
    pub fn complete(text: &str, domain: Option<&Host>) -> Result<Self, AorError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SyntaxError::at(text, 0, "a number or an address").into());
        }
        let lower = text.get(..5).unwrap_or(text).to_ascii_lowercase();
        if lower.starts_with("sip:") || lower == "sips:" {
            return Ok(Self(Uri::parse(text)?));
        }
        let no_domain = || AorError::NoDomain {
            found: text.to_owned(),
        };
        if lower.starts_with("tel:") {
            let user = Uri::parse(text)?.user().unwrap_or_default();
            return Ok(Self(Uri::sip(
                Some(&user),
                domain.ok_or_else(no_domain)?.clone(),
                None,
            )));
        }
        if text.contains('@') {
            return Ok(Self(
                Uri::parse(&format!("sip:{text}")).map_err(|e| unshift(e, 4))?,
            ));
        }
        match Host::parse_with_port(text) {
            Ok((host @ Host::Ip(_), port)) => return Ok(Self(Uri::sip(None, host, port))),
            Ok((host @ Host::Name(_), port)) if domain.is_none() && text.contains('.') => {
                return Ok(Self(Uri::sip(None, host, port)));
            }
            Ok(_) | Err(_) => {}
        }
        if let Some((scheme, _)) = text.split_once(':') {
            return Err(AorError::Scheme {
                found: scheme.to_owned(),
            });
        }
        if let Some(i) = text.find(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(SyntaxError::at(text, i, "no white space in a number").into());
        }
        Ok(Self(Uri::sip(
            Some(text),
            domain.ok_or_else(no_domain)?.clone(),
            None,
        )))
    }

    /// The URI, with port and parameters.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.0
    }

    /// Takes the URI.
    #[must_use]
    pub fn into_uri(self) -> Uri {
        self.0
    }

    /// `sip:user@host` without port and parameters, host in lower case: what lists of callers compare.
    #[must_use]
    pub fn canonical(uri: &Uri) -> String {
        match uri {
            Uri::Sip(sip) => {
                let host = match &sip.host {
                    Host::Name(name) => Host::Name(name.to_ascii_lowercase()),
                    Host::Ip(ip) => Host::Ip(*ip),
                };
                Uri::sip(sip.user().as_deref(), host, None).to_string()
            }
            Uri::Tel(tel) => format!("tel:{}", tel.digits()),
            Uri::Other { .. } => uri.to_string(),
        }
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Takes a prefix we added out of the offset.
fn unshift(mut e: SyntaxError, by: usize) -> SyntaxError {
    e.offset = e.offset.saturating_sub(by);
    e
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, domain: Option<&str>, expected: Option<&str>) {
        let domain = domain.map(|d| Host::parse(d).expect("domain"));
        let found = Aor::complete(text, domain.as_ref()).ok().map(|a| a.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn numbers_addresses_and_uris_are_completed() {
        let pbx = Some("pbx.example");
        check("1000", pbx, Some("sip:1000@pbx.example"));
        check(" *97# ", pbx, Some("sip:*97%23@pbx.example"));
        check("1000@192.0.2.7:5070", pbx, Some("sip:1000@192.0.2.7:5070"));
        check("192.0.2.5", pbx, Some("sip:192.0.2.5"));
        check("192.0.2.5:5062", None, Some("sip:192.0.2.5:5062"));
        check("[2001:db8::1]", None, Some("sip:[2001:db8::1]"));
        check("SIP:1001@h;transport=tcp", None, Some("sip:1001@h;transport=tcp"));
        check("sips:h", pbx, Some("sips:h"));
        check("tel:+33-4(1)", pbx, Some("sip:+3341@pbx.example"));
        check("night.guard", pbx, Some("sip:night.guard@pbx.example"));
        check("door.example", None, Some("sip:door.example"));
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        check("1000", None, None);
        check("", Some("h"), None);
        check("mailto:a", Some("h"), None);
        check("10 00", Some("h"), None);
        check("1000@", Some("h"), None);
    }

    #[test]
    fn callers_compare_without_port_and_parameters() {
        let uri = Uri::parse("sip:%31000@PBX.Example:5070;transport=tcp").expect("uri");
        assert_eq!(Aor::canonical(&uri), "sip:1000@pbx.example");
    }
}
