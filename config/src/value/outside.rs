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

/// What stands for the password of a device in a request.
pub(crate) const PASSWORD: &str = "{password}";

/// The text as it is shown and compared, with nothing in place of the password.
pub(crate) fn without_password(text: &str) -> String {
    text.replace(PASSWORD, "")
}

/// Parts of names by which devices take what proves something.
const SECRETS: [&str; 9] = [
    "apikey",
    "api_key",
    "api-key",
    "auth",
    "credential",
    "pass",
    "pwd",
    "secret",
    "token",
];
/// Whole names of that kind.
const SECRET: [&str; 3] = ["key", "pin", "pw"];

fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let named = SECRET.contains(&name.as_str()) || SECRETS.iter().any(|part| name.contains(part));
    named && !value.is_empty() && value != PASSWORD
}

/// The name of a parameter or member that gives a secret away, in the query of a path, a form or an object of JSON.
pub(crate) fn named_secret(text: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with(['{', '[']) {
        // texts and what stands between them, by turns: a text before a colon is a name
        let parts: Vec<&str> = text.split('"').collect();
        let mut names = parts.iter().enumerate().skip(1).step_by(2);
        return names.find_map(|(at, name)| {
            let between = parts.get(at + 1)?.trim().strip_prefix(':')?.trim();
            let value = if between.is_empty() {
                parts.get(at + 2).copied().unwrap_or_default()
            } else {
                between
            };
            is_secret(name, value).then(|| (*name).to_owned())
        });
    }
    let query = match text.split_once('?') {
        Some((_, query)) => query,
        None if text.starts_with('/') => return None,
        None => text,
    };
    let mut pairs = query.split(['&', ';']).filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(name, value)| is_secret(name, value).then(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_gives_a_secret_away_is_known_by_its_name() {
        for (text, name) in [
            ("/cm?user=admin&password=joker&cmnd=Power1%20On", Some("password")),
            ("/relay/0?turn=on&Token=abc", Some("Token")),
            ("/open?key=7f3a", Some("key")),
            ("turn=on&api_key=7f3a", Some("api_key")),
            ("{\"id\":0,\"auth\": \"7f3a\"}", Some("auth")),
            ("{\"pin\": 4711}", Some("pin")),
            ("{\"pin\": \"{password}\", \"on\": true}", None),
            ("/cm?user=admin&password={password}&cmnd=Power1%20On", None),
            ("/rpc/Switch.Set?id=0&on=true&toggle_after={s}", None),
            ("/relay/0?turn=on&keypad=1", None),
            ("/token/7f3a", None),
            ("{\"id\":0,\"on\":true,\"toggle_after\":{s}}", None),
            ("", None),
        ] {
            assert_eq!(named_secret(text).as_deref(), name, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_panic(text in "[\\[{]?\\PC{0,60}") {
            let _ = named_secret(&text);
        }
    }

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
