//! What gives a secret away in an order to a device: names of parameters and members, and logins in addresses.
//!
//! A name is looked at as the device will read it, with its escapes undone; what separates one parameter from the next is
//! taken widely, since each device has its own. It is a net for mistakes and no proof: a secret by no name, such as the
//! segment of a path, is not seen in an order. In the address of a server ([`secret_address`]) it is, if it looks like one.

use serde_json::Value;

/// What stands for the password of a device in a request.
pub(crate) const PASSWORD: &str = "{password}";
/// What a login before a host is called.
const LOGIN: &str = "user:password@";
/// Escapes within escapes that are undone.
const DEPTH: usize = 3;

/// What names of keys end with.
const KEY: &str = "key";
/// Parts of names, without their dashes, by which devices take what proves something.
const SECRETS: [&str; 11] = [
    "apikey",
    "auth",
    "bearer",
    "cookie",
    "credential",
    "pass",
    "pwd",
    "secret",
    "sess",
    "signature",
    "token",
];
/// Whole names of that kind; also each name that ends with [`KEY`].
const SECRET: [&str; 8] = [KEY, "hmac", "jwt", "pin", "psk", "pw", "sid", "sig"];

/// Letters and digits of which a segment of a path is at least made that looks like a token.
const TOKEN: usize = 16;

/// A `pin` of so many digits is one of a chip, and nobody's secret.
const PIN_OF_CHIP: usize = 2;

/// The text as it is shown and compared, with nothing in place of the password.
pub(crate) fn without_password(text: &str) -> String {
    text.replace(PASSWORD, "")
}

fn is_secret(name: &str, value: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = plain.to_lowercase();
    if plain == "pin" && value.len() <= PIN_OF_CHIP && value.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    SECRET.contains(&plain.as_str())
        || plain.ends_with(KEY)
        || SECRETS.iter().any(|part| plain.contains(part))
}

/// The name of a parameter or member that gives a secret away, in the query of a path, in its path, a form, an object of
/// JSON, a topic or a plain text.
pub(crate) fn named_secret(text: &str) -> Option<String> {
    found(text, DEPTH)
}

/// Does an address hold what proves something: a query, a login, a secret by its name, or a segment of its path that
/// looks like a token?
pub(crate) fn secret_address(text: &str) -> bool {
    let (authority, path) = parts_of(text);
    authority.contains('@')
        || path.contains(['?', '#'])
        || named_secret(text).is_some()
        || unescaped(path).split('/').any(is_token)
}

/// Has an address, or what was meant as one, more than a server?
pub(crate) fn has_path(text: &str) -> bool {
    let (authority, path) = parts_of(text);
    authority.contains('@') || !path.trim_start_matches('/').is_empty()
}

/// What is before the path of an address, and path, query and fragment.
fn parts_of(text: &str) -> (&str, &str) {
    let rest = text.find("//").map_or(text, |at| &text[at + 2..]);
    rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()))
}

/// Letters and digits mixed, at least [`TOKEN`] of them.
fn is_token(segment: &str) -> bool {
    let digits = segment.chars().filter(char::is_ascii_digit).count();
    let letters = segment.chars().filter(|c| c.is_alphabetic()).count();
    digits > 0 && letters > 0 && digits + letters >= TOKEN
}

/// The name of an element of XML that gives a secret away: `<token>7f3a</token>`.
pub(crate) fn named_element(text: &str) -> Option<String> {
    text.split('<').find_map(|part| {
        let (tag, value) = part.split_once('>')?;
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        let name = name.rsplit(':').next().unwrap_or_default();
        (!value.trim().is_empty() && !tag.starts_with('/') && is_secret(name, value.trim()))
            .then(|| name.to_owned())
    })
}

fn found(text: &str, depth: usize) -> Option<String> {
    let text = text.trim();
    if text.starts_with(['{', '[']) && text != PASSWORD {
        // times are no values of JSON before they are put in
        let made = ["{s}", "{ms}", "{until}"]
            .iter()
            .fold(text.to_owned(), |made, mark| made.replace(mark, "0"));
        return match serde_json::from_str::<Value>(&made) {
            Ok(value) => of_json(&value, depth),
            Err(_) => of_members(text).or_else(|| of_pairs(text, depth)),
        };
    }
    of_pairs(text, depth)
}

/// In a value of JSON, whose depth `serde_json` bounds.
fn of_json(value: &Value, depth: usize) -> Option<String> {
    match value {
        Value::Array(list) => list.iter().find_map(|one| of_json(one, depth)),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let given = match value {
                Value::Null => false,
                Value::String(text) => !text.is_empty() && text != PASSWORD,
                Value::Array(list) => !list.is_empty(),
                Value::Object(members) => !members.is_empty(),
                Value::Bool(_) | Value::Number(_) => true,
            };
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (given && is_secret(name, &shown))
                .then(|| name.clone())
                .or_else(|| of_json(value, depth))
        }),
        // an order may be wrapped in another one
        Value::String(text) => depth.checked_sub(1).and_then(|depth| found(text, depth)),
        Value::Bool(_) | Value::Null | Value::Number(_) => None,
    }
}

/// In what is nearly JSON: texts and what stands between them, by turns; a text before a colon is a name.
fn of_members(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('"').collect();
    let mut names = parts.iter().enumerate().skip(1).step_by(2);
    names.find_map(|(at, name)| {
        let between = parts.get(at + 1)?.trim().strip_prefix(':')?.trim();
        let value = if between.is_empty() {
            parts.get(at + 2).copied().unwrap_or_default()
        } else {
            between
        };
        (is_secret(name, value.trim_end_matches('}')) && !value.is_empty() && value != PASSWORD)
            .then(|| (*name).to_owned())
    })
}

/// In pairs of name and value, however they are separated.
fn of_pairs(text: &str, depth: usize) -> Option<String> {
    let close = text.replace(": ", ":").replace("= ", "=").replace(" =", "=");
    let text = close.as_str();
    let separates = |c: char| c.is_whitespace() || "?&;/,#|\"'<>".contains(c);
    let mut parts = text.split(separates).filter(|part| !part.is_empty());
    let pair = parts.find_map(|part| {
        let (name, value) = part.split_once('=').or_else(|| part.split_once(':'))?;
        let given = !value.is_empty() && value != PASSWORD;
        (given && is_secret(name, value)).then(|| name.to_owned())
    });
    let login = || {
        let mut parts = text.split(|c: char| separates(c) || c == '=');
        let is_login = |part: &str| {
            let (before, _) = part.split_once('@')?;
            let (user, password) = before.split_once(':')?;
            (!user.is_empty() && !password.is_empty() && password != PASSWORD).then_some(())
        };
        parts
            .any(|part| is_login(part).is_some())
            .then(|| LOGIN.to_owned())
    };
    pair.or_else(login).or_else(|| {
        let plain = unescaped(text);
        (plain != text && depth > 0)
            .then(|| found(&plain, depth - 1))
            .flatten()
    })
}

/// With `%XX` undone where it is one (RFC 3986 §2.1).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        let made = if *first == b'%' {
            digit(0)
                .zip(digit(1))
                .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
        } else {
            None
        };
        bytes.push(made.unwrap_or(*first));
        rest = if made.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_gives_a_secret_away_is_known_by_its_name() {
        for (text, name) in [
            ("/cm?user=admin&password=joker&cmnd=Power1%20On", "password"),
            ("/relay/0?turn=on&Token=abc", "Token"),
            ("/open?key=7f3a", "key"),
            ("turn=on&api_key=7f3a", "api_key"),
            ("{\"id\":0,\"auth\": \"7f3a\"}", "auth"),
            ("{\"pin\": 4711}", "pin"),
            ("/gpio?pin=471&on=1", "pin"),
            // as the device reads it
            ("/cm?p%61ssword=joker", "password"),
            ("/cm?p%2561ssword=joker", "password"),
            ("{\"p\\u0061ssword\":\"joker\"}", "password"),
            ("{\"url\":\"http://192.0.2.4/?token=abc\"}", "token"),
            ("{\"id\":{s},\"token\":\"abc\"}", "token"),
            // separated in other ways
            ("/cm;password=joker", "password"),
            ("/cm?turn=on;password=joker", "password"),
            ("/cm?turn=on?password=joker", "password"),
            ("/password=joker/on", "password"),
            ("on password=joker", "password"),
            ("token: abc", "token"),
            ("/cm?turn=on%26password=joker", "password"),
            // by other names
            ("/open?session=7f3a", "session"),
            ("/open?PHPSESSID=7f3a", "PHPSESSID"),
            ("/open?sig=7f3a", "sig"),
            ("/open?signature=7f3a", "signature"),
            ("/open?sid=7f3a", "sid"),
            ("/open?access_token=7f3a", "access_token"),
            ("/open?apikey=7f3a", "apikey"),
            ("/open?access-key=7f3a", "access-key"),
            ("/open?passwd=7f3a", "passwd"),
            ("/open?pwd=7f3a", "pwd"),
            ("/open?to=http://a:b@192.0.2.4/", LOGIN),
            ("/open?user=a:b@", LOGIN),
            ("/open?user=a%3Ab%40", LOGIN),
        ] {
            assert_eq!(named_secret(text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn orders_without_secrets_are_let_through() {
        for text in [
            "{\"pin\": \"{password}\", \"on\": true}",
            "/cm?user=admin&password={password}&cmnd=Power1%20On",
            "/open?to=http://a:{password}@192.0.2.4/",
            "/rpc/Switch.Set?id=0&on=true&toggle_after={s}",
            "/relay/0?turn=on&keypad=1",
            "{\"pin\": 12, \"on\": true}",
            "/gpio?pin=4&on=1",
            "/token/7f3a",
            "{\"id\":0,\"on\":true,\"toggle_after\":{s}}",
            "{\"token\":\"\",\"auth\":null}",
            "shellies/shelly1-B8A4EE/relay/0/command",
            "zigbee2mqtt/front/set",
            "on,{s}",
            "100%",
            "",
        ] {
            assert_eq!(named_secret(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_with_a_secret_are_known() {
        for text in [
            "https://erp.example/hooks?token=QUERYSECRET",
            "https://erp.example/hooks?a",
            "https://erp.example?a=b",
            "https://door:joker@erp.example/hooks",
            "https://joker@erp.example/hooks",
            "https://erp.example/hooks/token=abc",
            "https://hooks.example/services/T0001/B0002/a1b2c3d4e5f6g7h8",
            "https://hooks.example/3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "https://api.example/bot123456:ABCdefGHIjkl",
            "https://erp.example/a1b2c3d4%65%66%67%685678",
            "erp.example/hooks?token=a",
        ] {
            assert!(secret_address(text), "{text}");
        }
        for text in [
            "https://erp.example",
            "https://erp.example:8443/",
            "https://erp.example/hooks/door",
            "https://erp.example/api/v2/doors",
            "https://erp.example/notifications-of-doors",
            "https://a1b2c3d4e5f6g7h8i9.example/hooks",
            "",
        ] {
            assert!(!secret_address(text), "{text}");
        }
        assert!(has_path("ftp://erp.example/x") && has_path("erp.example?x") && has_path("a:b@erp.example"));
        assert!(!has_path("ftp://erp.example/") && !has_path("erp.example"));
    }

    #[test]
    fn elements_with_a_secret_are_known_by_their_name() {
        for (text, name) in [
            ("<a><token>7f3a</token></a>", "token"),
            ("<s:Password type=\"text\">joker</s:Password>", "Password"),
        ] {
            assert_eq!(named_element(text).as_deref(), Some(name), "{text}");
        }
        for text in ["<token></token>", "<token/>", "<door>front</door>", "a > b", ""] {
            assert_eq!(named_element(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_panic(text in "[\\[{]?\\PC{0,60}") {
            let _ = named_secret(&text);
            let _ = named_element(&text);
            let _ = (secret_address(&text), has_path(&text));
        }

        #[test]
        fn no_escape_hides_a_name(escaped in proptest::collection::vec(any::<bool>(), 8)) {
            let name: String = "password"
                .bytes()
                .zip(escaped)
                .map(|(b, escaped)| if escaped { format!("%{b:02X}") } else { char::from(b).to_string() })
                .collect();
            let text = format!("/cm?on=1&{name}=joker");
            prop_assert_eq!(named_secret(&text).as_deref().map(unescaped), Some("password".to_owned()));
        }
    }
}
