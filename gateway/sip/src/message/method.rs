//! Methods: `rsip`'s list, and a place for those it does not know.

use std::fmt;

use crate::scan;

/// Method of a request; names are case-sensitive (RFC 3261 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// A method of `rsip`'s vocabulary.
    Known(rsip::Method),
    /// Another token; made by [`Method::parse`] only.
    Other(Box<str>),
}

macro_rules! methods {
    ($($constant:ident $variant:ident $text:literal),* $(,)?) => {
        impl Method {
            $(
                #[doc = concat!("`", $text, "`.")]
                pub const $constant: Self = Self::Known(rsip::Method::$variant);
            )*

            /// Parses a method name; `None` if it is not a token.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$constant),)*
                    other => scan::is_token(other).then(|| Self::Other(other.into())),
                }
            }

            /// The name as written on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::Known(rsip::Method::$variant) => $text,)*
                    Self::Other(text) => text,
                }
            }
        }
    };
}

methods! {
    ACK Ack "ACK",
    BYE Bye "BYE",
    CANCEL Cancel "CANCEL",
    INFO Info "INFO",
    INVITE Invite "INVITE",
    MESSAGE Message "MESSAGE",
    NOTIFY Notify "NOTIFY",
    OPTIONS Options "OPTIONS",
    PRACK PRack "PRACK",
    PUBLISH Publish "PUBLISH",
    REFER Refer "REFER",
    REGISTER Register "REGISTER",
    SUBSCRIBE Subscribe "SUBSCRIBE",
    UPDATE Update "UPDATE",
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_vocabulary_is_read_back() {
        for method in rsip::Method::all() {
            assert_eq!(Method::parse(&method.to_string()), Some(Method::Known(method)));
        }
    }

    #[test]
    fn unknown_methods_and_other_cases_are_kept_and_non_tokens_refused() {
        assert_eq!(Method::parse("invite"), Some(Method::Other("invite".into())));
        assert!(Method::parse("!interesting-Method0123456789_*+`.%indeed'~").is_some());
        assert_eq!(Method::parse("IN VITE"), None);
        assert_eq!(Method::parse(""), None);
    }
}
