//! Marks by which routers and switches tell speech from bulk (Differentiated Services, RFC 2474).

use std::fmt;

use crate::describe::Shape;
use crate::fault::FaultKind;
use crate::read::{Node, Reader, Rule, found, quoted};

/// A differentiated services code point, 0 to 63 (RFC 2474 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dscp(u8);

/// Names of code points: class selectors (RFC 2474 §4.2.2), assured forwarding (RFC 2597 §6), expedited forwarding
/// (RFC 3246 §2.7), lower effort (RFC 8622 §6), voice admit (RFC 5865 §3).
const NAMES: [(&str, u8); 23] = [
    ("cs0", 0),
    ("le", 1),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("va", 44),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
];

const WHAT: &str = "a code point";
const ALLOWED: &str = "allowed: 0 to 63, or a name such as \"ef\", \"cs3\", \"cs5\", \"af31\"";

impl Dscp {
    /// The code point, 0 to 63.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }

    fn from_text(text: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, value)| Self(*value))
    }
}

impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, value)| *value == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Reads a code point, as number or by its name.
pub(crate) struct Marks;

impl Rule for Marks {
    type Value = Dscp;
    fn read(&self, at: &str, node: Node<'_>, reader: &mut Reader) -> Option<Dscp> {
        let value = node.get_ref();
        let read = if let Some(text) = value.as_str() {
            Dscp::from_text(text)
        } else if let Some(number) = value.as_integer() {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
            let number = number.and_then(|n| u8::try_from(n).ok());
            number.filter(|n| *n < 64).map(Dscp)
        } else {
            reader.wrong_type(at, node, "a number from 0 to 63 or a name in quotes");
            return None;
        };
        if read.is_none() {
            let shown = value.as_str().map_or_else(|| found(value), quoted);
            let text = format!("{shown} is not {WHAT}");
            reader.fault(FaultKind::BadValue, at, node.span(), text, ALLOWED.to_owned());
        }
        read
    }
    fn shape(&self) -> Shape {
        Shape::Either(vec![
            Shape::Text {
                pattern: Some(PATTERN),
                what: WHAT,
            },
            Shape::Int { max: 63, min: 0 },
        ])
    }
}

const PATTERN: &str = "^(cs0|le|cs1|af11|af12|af13|cs2|af21|af22|af23|cs3|af31|af32|af33|cs4|af41|af42|af43|cs5|va|ef|cs6|cs7)$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assured_forwarding_is_numbered_by_class_and_precedence() {
        for class in 1..=4 {
            for precedence in 1..=3 {
                let name = format!("af{class}{precedence}");
                // RFC 2597 §6: three bits of class, two of precedence, a zero
                assert_eq!(
                    Dscp::from_text(&name),
                    Some(Dscp(class * 8 + precedence * 2)),
                    "{name}"
                );
            }
        }
        for class in 0..=7 {
            assert_eq!(Dscp::from_text(&format!("cs{class}")), Some(Dscp(class * 8)));
        }
        assert_eq!(Dscp::from_text("ef").map(Dscp::value), Some(46));
        assert_eq!(Dscp::from_text("EF"), None);
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(PATTERN, format!("^({})$", names.join("|")));
        assert_eq!(
            (Dscp(46).to_string(), Dscp(47).to_string()),
            ("ef".into(), "47".into())
        );
    }
}
