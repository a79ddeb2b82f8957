//! Reason phrases. `rsip` knows the codes and their names, but prints the names without spaces.

use rsip::StatusCode;

/// The phrase of the code's defining document, `Busy Here` for 486; `rsip`'s own text for codes it does not know.
#[must_use]
pub fn reason_phrase(status: &StatusCode) -> String {
    let special = match status.code() {
        200 => Some("OK"),
        202 => Some("Accepted"),
        412 => Some("Conditional Request Failed"),
        414 => Some("Request-URI Too Long"),
        416 => Some("Unsupported URI Scheme"),
        417 => Some("Unknown Resource-Priority"),
        422 => Some("Session Interval Too Small"),
        436 => Some("Bad Identity-Info"),
        481 => Some("Call/Transaction Does Not Exist"),
        489 => Some("Bad Event"),
        500 => Some("Server Internal Error"),
        504 => Some("Server Time-out"),
        606 => Some("Not Acceptable"),
        _ => None,
    };
    if let Some(phrase) = special {
        return phrase.to_owned();
    }
    let shown = status.to_string();
    let (_, name) = shown.split_once(' ').unwrap_or(("", &shown));
    if let StatusCode::Other(code, _) = status {
        return class_phrase(*code).to_owned();
    }
    let mut phrase = String::with_capacity(name.len() + 6);
    for (i, c) in name.chars().enumerate() {
        if i > 0 && c.is_ascii_uppercase() {
            phrase.push(' ');
        }
        phrase.push(c);
    }
    phrase
}

/// Phrase of an unknown code: what its class means (RFC 3261 §7.2).
const fn class_phrase(code: u16) -> &'static str {
    match code {
        100..=199 => "Session Progress",
        200..=299 => "OK",
        300..=399 => "Multiple Choices",
        400..=499 => "Bad Request",
        500..=599 => "Server Internal Error",
        _ => "Decline",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_read_as_in_the_standards() {
        let check = |code: u16, phrase: &str| assert_eq!(reason_phrase(&StatusCode::from(code)), phrase);
        check(100, "Trying");
        check(180, "Ringing");
        check(200, "OK");
        check(202, "Accepted");
        check(489, "Bad Event");
        check(404, "Not Found");
        check(407, "Proxy Authentication Required");
        check(480, "Temporarily Unavailable");
        check(481, "Call/Transaction Does Not Exist");
        check(486, "Busy Here");
        check(487, "Request Terminated");
        check(503, "Service Unavailable");
        check(505, "Version Not Supported");
        check(499, "Bad Request");
    }
}
