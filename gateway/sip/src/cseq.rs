//! `CSeq` header value (RFC 3261 §20.16).

use std::fmt;

use crate::error::SyntaxError;
use crate::message::Method;
use crate::scan;

/// Largest sequence number, 2³¹ − 1 (RFC 3261 §8.1.1.5).
pub const MAX: u32 = 0x7fff_ffff;

/// Sequence number and method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// 0 to 2³¹ − 1.
    pub number: u32,
    /// Method of the request this belongs to.
    pub method: Method,
}

impl CSeq {
    /// Parses `4711 INVITE`.
    ///
    /// # Errors
    /// A number that is not below 2³¹, or a method that is not a token.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (number, method) = text
            .trim()
            .split_once(scan::is_lws)
            .ok_or_else(|| SyntaxError::at(text, 0, "a number, a space and a method"))?;
        let number = scan::number::<u32>(number)
            .filter(|n| *n <= MAX)
            .ok_or_else(|| SyntaxError::at(text, 0, "a sequence number below 2147483648"))?;
        let method = scan::trim(method);
        let method = Method::parse(method)
            .ok_or_else(|| SyntaxError::at(text, scan::offset_in(text, method), "a method name"))?;
        Ok(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_methods_are_checked() {
        let check = |s: &str, expected: Option<&str>| {
            assert_eq!(
                CSeq::parse(s).ok().map(|c| c.to_string()).as_deref(),
                expected,
                "{s}"
            );
        };
        check("1 INVITE", Some("1 INVITE"));
        check("0009  \tINVITE", Some("9 INVITE"));
        check("2147483647 NEWMETHOD", Some("2147483647 NEWMETHOD"));
        check("2147483648 INVITE", None);
        check("-1 INVITE", None);
        check("1", None);
        check("1 IN VITE", None);
    }
}
