//! `;name=value` parameters of header fields and URIs.

use std::fmt;

use crate::error::SyntaxError;
use crate::scan;

/// Value of a parameter, with the form it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamValue {
    /// Written in quotes; held without quotes and backslashes.
    Quoted(String),
    /// Written bare: a token or a host.
    Token(String),
}

impl ParamValue {
    /// The text without quotes.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Quoted(s) | Self::Token(s) => s,
        }
    }
}

/// Parameters in the order they were written; names compare without case.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Params(Vec<(String, Option<ParamValue>)>);

impl Params {
    /// No parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Parses `a=b;c;d="e"`, with or without a leading `;`. Values in quotes are unquoted.
    ///
    /// # Errors
    /// A name that is not a token, or a quoted string that does not end.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut list = Vec::new();
        for piece in scan::split_outside(text, b';') {
            let offset = scan::offset_in(text, piece);
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (scan::trim(name), Some(scan::trim(value))),
                None => (piece, None),
            };
            if !scan::is_token(name) {
                return Err(SyntaxError::at(text, offset, "a parameter name"));
            }
            let value = match value {
                Some(v) if v.starts_with('"') => match scan::quoted_len(v) {
                    Some(len) if len == v.len() => Some(ParamValue::Quoted(scan::unquote(v))),
                    Some(len) => {
                        let at = scan::offset_in(text, v) + len;
                        return Err(SyntaxError::at(text, at, "; or the end after a quoted string"));
                    }
                    None => {
                        let at = scan::offset_in(text, v);
                        return Err(SyntaxError::at(text, at, "a quoted string that ends"));
                    }
                },
                Some(v) => Some(ParamValue::Token(v.to_owned())),
                None => None,
            };
            list.push((name.to_owned(), value));
        }
        Ok(Self(list))
    }

    /// Parses URI parameters, where a quote has no meaning (the URI parser has refused it before).
    pub(crate) fn parse_uri(text: &str) -> Self {
        let pieces = text.split(';').filter(|piece| !piece.is_empty());
        Self(
            pieces
                .map(|piece| match piece.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(ParamValue::Token(value.to_owned()))),
                    None => (piece.to_owned(), None),
                })
                .collect(),
        )
    }

    /// Value of the first parameter called `name`, without quotes; `None` if it is absent or has no value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))?
            .1
            .as_ref()
            .map(ParamValue::text)
    }

    /// True if the parameter is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// Sets `name=value`, quoted if the value is neither token nor host; replaces in place or appends.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = if !value.is_empty() && value.bytes().all(is_bare_byte) {
            ParamValue::Token(value.to_owned())
        } else {
            ParamValue::Quoted(value.to_owned())
        };
        self.put(name, Some(value));
    }

    /// Sets `name="value"`, in quotes whatever the value holds (`+sip.instance`, `text`).
    pub fn set_quoted(&mut self, name: &str, value: &str) {
        self.put(name, Some(ParamValue::Quoted(value.to_owned())));
    }

    /// Sets `name` without a value (`lr`, `rport`, `ob`).
    pub fn set_flag(&mut self, name: &str) {
        self.put(name, None);
    }

    /// Removes every parameter called `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// True without parameters.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_ref().map(ParamValue::text)))
    }

    fn put(&mut self, name: &str, value: Option<ParamValue>) {
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

/// Characters that may stand in a value without quotes: token, and what hosts, URIs and media types need.
const fn is_bare_byte(b: u8) -> bool {
    scan::is_token_byte(b) || matches!(b, b'[' | b']' | b':' | b'/' | b'@' | b'&' | b'$' | b'(' | b')')
}

impl fmt::Display for Params {
    /// Writes `;name=value…`, with the leading `;`; nothing without parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            match value {
                Some(ParamValue::Token(v)) => write!(f, "={v}")?,
                Some(ParamValue::Quoted(v)) => {
                    f.write_str("=")?;
                    scan::write_quoted(f, v)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_order_quoting_and_case_of_their_values() {
        let p = Params::parse(";a = B ; lr;+sip.instance=\"<urn:uuid:1;2>\";q=0.5").expect("well-formed");
        assert_eq!(p.to_string(), ";a=B;lr;+sip.instance=\"<urn:uuid:1;2>\";q=0.5");
        assert_eq!(p.get("A"), Some("B"));
        assert!(p.has("LR") && p.get("lr").is_none());
        assert_eq!(p.get("+sip.instance"), Some("<urn:uuid:1;2>"));
    }

    #[test]
    fn a_quoted_string_must_end_and_end_its_value() {
        assert_eq!(Params::parse("a=\"b").map_err(|e| e.offset), Err(2));
        assert_eq!(Params::parse("a=\"b\"c").map_err(|e| e.offset), Err(5));
        assert_eq!(Params::parse("ok;b d=1").map_err(|e| e.offset), Err(3));
    }

    #[test]
    fn values_are_quoted_only_where_they_must_be() {
        let mut p = Params::new();
        p.set("received", "[2001:db8::1]");
        p.set("text", "Call completed elsewhere");
        p.set_flag("rport");
        p.set("rport", "5060");
        assert_eq!(
            p.to_string(),
            ";received=[2001:db8::1];text=\"Call completed elsewhere\";rport=5060"
        );
    }
}
