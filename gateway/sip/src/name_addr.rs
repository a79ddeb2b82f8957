//! `name-addr` with parameters: From, To, Contact, Route, Refer-To, P-Asserted-Identity (RFC 3261 §20.10).

use std::fmt;

use crate::error::SyntaxError;
use crate::params::Params;
use crate::scan;
use crate::uri::Uri;

/// An address with an optional display name and header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name without quotes and backslashes; never empty.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Parameters after the address (`tag`, `expires`, `q`, `+sip.instance`).
    pub params: Params,
}

impl NameAddr {
    /// An address without name and parameters.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::new(),
        }
    }

    /// The same with a display name; an empty one is none.
    #[must_use]
    pub fn with_display(mut self, display: &str) -> Self {
        self.display = Some(display.to_owned()).filter(|d| !d.is_empty());
        self
    }

    /// The same with a tag.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", tag);
        self
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// Parses `"Name" <uri>;params`, `Name <uri>;params`, `<uri>` or `uri;params`. In the last form everything after
    /// the first `;` belongs to the header (RFC 3261 §20).
    ///
    /// # Errors
    /// A name or bracket that does not end, or a malformed URI or parameter.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let trimmed = scan::trim(text);
        let start = scan::offset_in(text, trimmed);
        let (display, after_name) = if trimmed.starts_with('"') {
            let len = scan::quoted_len(trimmed)
                .ok_or_else(|| SyntaxError::at(text, start, "a display name with a closing quote"))?;
            let name = scan::unquote(&trimmed[..len]);
            let rest = scan::trim(&trimmed[len..]);
            if !rest.starts_with('<') {
                return Err(SyntaxError::at(
                    text,
                    scan::offset_in(text, rest),
                    "< after a display name",
                ));
            }
            (Some(name), rest)
        } else if let Some(i) = trimmed.find('<') {
            // Peers write words that are no tokens (Latin letters, parentheses) without quotes.
            (Some(scan::trim(&trimmed[..i]).to_owned()), &trimmed[i..])
        } else {
            (None, trimmed)
        };
        let at = scan::offset_in(text, after_name);
        let (uri, params) = match after_name.strip_prefix('<') {
            Some(inner) => inner
                .split_once('>')
                .ok_or_else(|| SyntaxError::at(text, at, "> that ends the address"))?,
            None => after_name
                .find(';')
                .map_or((after_name, ""), |i| after_name.split_at(i)),
        };
        let uri = scan::trim(uri);
        let parsed = Uri::parse(uri).map_err(|e| e.shifted(scan::offset_in(text, uri)))?;
        let params = scan::trim(params);
        let params_at = scan::offset_in(text, params);
        if !params.is_empty() && !params.starts_with(';') {
            return Err(SyntaxError::at(text, params_at, "; or the end after an address"));
        }
        let params = Params::parse(params).map_err(|e| e.shifted(params_at))?;
        Ok(Self {
            display: display.filter(|d| !d.is_empty()),
            uri: parsed,
            params,
        })
    }
}

impl fmt::Display for NameAddr {
    /// Always with brackets; the name always in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            scan::write_quoted(f, display)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let parsed = NameAddr::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(parsed.to_string(), expected, "{text}");
        assert_eq!(NameAddr::parse(expected).expect("own output"), parsed, "{text}");
    }

    #[test]
    fn every_form_is_read_and_written_with_brackets() {
        check("sip:a@h;tag=1", "<sip:a@h>;tag=1");
        check("<sip:a@h;lr>;tag=1", "<sip:a@h;lr>;tag=1");
        check("Bob Smith <sip:a@h> ; tag = 1", "\"Bob Smith\" <sip:a@h>;tag=1");
        check("\"A \\\"B\\\" <c>\"<sip:a@h>", "\"A \\\"B\\\" <c>\" <sip:a@h>");
        check("\"\" < sip:a@[2001:db8::1]:5070 >", "<sip:a@[2001:db8::1]:5070>");
        check(
            "J\u{f6}rg <tel:+33-4;phone-context=x>",
            "\"J\u{f6}rg\" <tel:+33-4;phone-context=x>",
        );
        check(
            "<sips:x@h?Replaces=a%3B1>;q=0.1",
            "<sips:x@h?Replaces=a%3B1>;q=0.1",
        );
    }

    #[test]
    fn errors_point_at_the_byte() {
        let at = |s: &str| NameAddr::parse(s).map_err(|e| e.offset);
        assert_eq!(at("\"Bob <sip:a@h>"), Err(0));
        assert_eq!(at("Bob <sip:a@h"), Err(4));
        assert_eq!(at("<sip:a@h> x"), Err(10));
        assert_eq!(at("\"Bob\" sip:a@h"), Err(6));
    }
}
