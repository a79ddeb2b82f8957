//! Takes out of a SIP message what opens something or logs in somewhere.

/// Headers whose value proves who somebody is, with their compact forms; there are none (RFC 3261 §7.3.3).
const PROOFS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "authentication-info",
    "identity",
];
/// Headers with a challenge: with answers elsewhere it would help to guess a password.
const CHALLENGES: [&str; 2] = ["www-authenticate", "proxy-authenticate"];

/// The text of a message without credentials, challenges, keys of media (`a=crypto`, RFC 4568 §4) and bodies that are no SDP:
/// those of INFO (RFC 6086) hold digits that people typed. What is no UTF-8 is replaced.
#[must_use]
pub fn scrubbed(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let (head, body) = match text.find("\r\n\r\n") {
        Some(end) => text.split_at(end + 4),
        None => (&text[..], ""),
    };
    let mut of_proof = false;
    let mut sdp = !crate::ring::is_start(head);
    for line in head.split_inclusive("\r\n") {
        // a folded line belongs to the one before (RFC 3261 §7.3.1)
        if line.starts_with([' ', '\t']) {
            if !of_proof {
                out += line;
            }
            continue;
        }
        of_proof = false;
        let Some((name, value)) = line.split_once(':') else {
            out += &line_of_body(line);
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        if PROOFS.contains(&name.as_str()) || CHALLENGES.contains(&name.as_str()) {
            of_proof = true;
            out += &line[..line.len() - value.len()];
            out += " ";
            // any other first word may be the secret itself
            if let Some(scheme) = value.split_whitespace().next().filter(|word| is_scheme(word)) {
                out += scheme;
                out += " ";
            }
            out += "<removed>\r\n";
            continue;
        }
        if name == "content-type" || name == "c" {
            sdp = value.trim().to_ascii_lowercase().starts_with("application/sdp");
        }
        // a stream may bring body and head apart; then it is judged line by line
        out += &line_of_body(line);
    }
    if sdp {
        for line in body.split_inclusive("\r\n") {
            out += &line_of_body(line);
        }
    } else if !body.is_empty() {
        out += &format!("<body of {} bytes removed>\r\n", body.len());
    }
    out
}

/// Schemes of SIP (RFC 3261 §22, RFC 8898), and the one of HTTP that some send.
fn is_scheme(word: &str) -> bool {
    ["digest", "bearer", "basic"].contains(&word.to_ascii_lowercase().as_str())
}

fn line_of_body(line: &str) -> String {
    let lower = line.trim_start().to_ascii_lowercase();
    if lower.starts_with("a=crypto:") {
        let mut words = line.trim_end().split(' ');
        let tag = words.next().unwrap_or_default();
        let suite = words.next().unwrap_or_default();
        return format!("{tag} {suite} inline:<removed>\r\n");
    }
    // typed digits, where a body comes without its head
    if lower.starts_with("signal=") || lower.starts_with("signal =") {
        return "Signal=<removed>\r\n".to_owned();
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_logs_in_or_opens_is_taken_out_and_the_rest_stays() {
        let message = "INVITE sip:1000@pbx SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\
                       Authorization: Digest username=\"503\",\r\n response=\"6629fae4\"\r\n\
                       WWW-Authenticate: Digest nonce=\"dcd98b\"\r\nContent-Type: application/sdp\r\n\r\n\
                       v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\na=sendrecv\r\n";
        let want = "INVITE sip:1000@pbx SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\
                    Authorization: Digest <removed>\r\nWWW-Authenticate: Digest <removed>\r\n\
                    Content-Type: application/sdp\r\n\r\n\
                    v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<removed>\r\na=sendrecv\r\n";
        assert_eq!(scrubbed(message.as_bytes()), want);
    }

    #[test]
    fn a_value_of_one_word_is_no_scheme() {
        let of = |value: &str| scrubbed(format!("Authorization: {value}\r\n").as_bytes());
        assert_eq!(of("s3cret"), "Authorization: <removed>\r\n");
        assert_eq!(of("s3cret and more"), "Authorization: <removed>\r\n");
        assert_eq!(of("DIGEST nonce=\"1\""), "Authorization: DIGEST <removed>\r\n");
        assert_eq!(of("bearer s3cret"), "Authorization: bearer <removed>\r\n");
        assert_eq!(of(""), "Authorization: <removed>\r\n");
        let identity = scrubbed(b"Identity: c2lnbmF0dXJl;info=<https://pbx.example/cert>\r\n");
        assert_eq!(identity, "Identity: <removed>\r\n");
    }

    #[test]
    fn typed_digits_are_no_part_of_it() {
        let info = "INFO sip:a@b SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=9\r\nDuration=160\r\n";
        let kept = scrubbed(info.as_bytes());
        assert!(kept.ends_with("\r\n\r\n<body of 24 bytes removed>\r\n"), "{kept}");
        let compact = scrubbed(b"INFO sip:a@b SIP/2.0\r\nc: application/dtmf\r\n\r\n9");
        assert!(!compact.contains('9') && compact.contains("removed"), "{compact}");
        assert_eq!(scrubbed(b"Signal=5\r\n"), "Signal=<removed>\r\n");
    }

    proptest! {
        #[test]
        fn no_secret_stays_whatever_stands_around_it(before in "[ -~\r\n]{0,80}", name in "(?i)(proxy-)?authorization", after in "[ -~\r\n]{0,80}") {
            let text = format!("{before}\r\n{name}: Digest response=\"5ecre7\"\r\n{after}");
            // behind an empty line it is a body: taken out as a whole, or lines of SDP, where no header stands
            prop_assume!(!before.contains("\r\n\r\n") && !format!("{before}\r\n").contains("\r\n\r\n"));
            let kept = scrubbed(text.as_bytes());
            prop_assert!(!kept.contains("5ecre7"), "{kept}");
        }

        #[test]
        fn no_bytes_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = scrubbed(&bytes);
        }
    }
}
