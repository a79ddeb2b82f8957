//! Values of `[inputs.*.mqtt]`, `[inputs.*.webhook]` and `[outputs.*.mqtt]`.

use std::fmt;

use crate::rules::FromText;

/// Most bytes of a topic: more is a mistake, and some brokers take no more.
const TOPIC: usize = 250;
/// Most bytes of a pointer into a payload.
const POINTER: usize = 200;

/// The topic of one device: whole, without wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic(String);

impl Topic {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for Topic {
    const WHAT: &'static str = "the topic of a device";
    const PATTERN: Option<&'static str> = Some("^[^$#+\\u0000-\\u001f][^#+\\u0000-\\u001f]*$");
    fn from_text(text: &str) -> Result<Self, String> {
        let bad = |c: char| c == '#' || c == '+' || c.is_control();
        if (1..=TOPIC).contains(&text.len()) && !text.starts_with('$') && !text.contains(bad) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "a whole topic of at most {TOPIC} bytes, without + and #, not one that begins with $"
            ))
        }
    }
}

/// Where in a payload of JSON a value stands (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// The text, which begins with a slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromText for Pointer {
    const WHAT: &'static str = "a JSON pointer";
    const PATTERN: Option<&'static str> = Some("^(/([^/~]|~0|~1)*)+$");
    fn from_text(text: &str) -> Result<Self, String> {
        let escapes = || text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        let plain = !text.contains(char::is_control) && text.len() <= POINTER;
        if text.starts_with('/') && plain && escapes() {
            Ok(Self(text.to_owned()))
        } else {
            Err("keys with a slash before each, such as /action or /params/events/0/event".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_whole_and_belong_to_a_device() {
        for good in ["a", "shellies/relay 1/0", "zigbee2mqtt/Haustür", "x//y"] {
            assert!(Topic::from_text(good).is_ok(), "{good}");
        }
        let long = "x".repeat(TOPIC + 1);
        for bad in ["", "#", "a/+/b", "$SYS/x", "a\nb", &long] {
            assert!(Topic::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pointers_begin_with_a_slash_and_escape_as_the_rfc_says() {
        for good in ["/action", "/a/0/b", "/a~1b", "/", "/m~0n"] {
            assert!(Pointer::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "action", "/a~", "/a~2", "/a\tb"] {
            assert!(Pointer::from_text(bad).is_err(), "{bad}");
        }
    }
}
