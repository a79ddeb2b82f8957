//! The last messages.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::Way;

/// Messages that are kept.
const MOST: usize = 1000;
/// And their texts together, in bytes.
const BYTES: usize = 1024 * 1024;
/// Longest text of one message; more is no message of ours or a stream that never ends one.
const LONGEST: usize = 16 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
    pub(crate) way: Way,
}

#[derive(Debug, Default)]
pub(crate) struct Ring {
    bytes: usize,
    messages: VecDeque<Noted>,
}

/// A request line or a status line (RFC 3261 §7.1, §7.2).
pub(crate) fn is_start(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    line.starts_with("SIP/2.0 ") || line.ends_with(" SIP/2.0")
}

/// What a stream brought of a message whose begin is known, as far as it can be shown: what the begin would have said of it
/// was taken out there, and so it is here.
fn continued(before: &str, text: String) -> String {
    if before.contains("\r\n\r\n") {
        let head = before
            .split("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let sdp = head.lines().any(|line| {
            let value = line
                .strip_prefix("content-type:")
                .or_else(|| line.strip_prefix("c:"));
            value.is_some_and(|value| value.trim().starts_with("application/sdp"))
        });
        return if sdp {
            text
        } else {
            format!("<body of {} bytes removed>\r\n", text.len())
        };
    }
    // the rest of a line, or of a folded one, may be that of a proof
    let mut out = String::new();
    let mut begun = before.ends_with("\r\n");
    for line in text.split_inclusive("\r\n") {
        if !begun || line.starts_with([' ', '\t']) {
            begun = line.ends_with("\r\n");
            continue;
        }
        out += line;
    }
    out
}

impl Ring {
    pub(crate) fn add(&mut self, at: Timestamp, way: &Way, text: String) {
        // what keeps a connection open (RFC 5626 §3.5.1) tells nothing
        if text.trim().is_empty() {
            return;
        }
        let rest = way.transport != "UDP" && !is_start(&text);
        if rest
            && let Some(before) = self.messages.iter_mut().rev().find(|noted| noted.way == *way)
            && before.text.len() + text.len() <= LONGEST
        {
            let more = continued(&before.text, text);
            before.text += &more;
            self.bytes += more.len();
        } else {
            let mut text = text;
            if text.len() > LONGEST {
                let end = (0..=LONGEST)
                    .rev()
                    .find(|n| text.is_char_boundary(*n))
                    .unwrap_or(0);
                text.truncate(end);
            }
            self.bytes += text.len();
            self.messages.push_back(Noted { at, text, way: *way });
        }
        while self.messages.len() > MOST || self.bytes > BYTES {
            let Some(old) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= old.text.len();
        }
    }

    pub(crate) const fn messages(&self) -> &VecDeque<Noted> {
        &self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(transport: &'static str) -> Way {
        Way {
            local: "192.0.2.1:5060".parse().expect("an address"),
            remote: "192.0.2.2:5060".parse().expect("an address"),
            sent: false,
            transport,
        }
    }

    #[test]
    fn it_keeps_the_last_messages_within_its_bounds() {
        let mut ring = Ring::default();
        for n in 0..MOST + 10 {
            ring.add(Timestamp::UNIX_EPOCH, &way("UDP"), format!("SIP/2.0 200 {n}\r\n"));
        }
        assert_eq!(ring.messages().len(), MOST);
        assert!(ring.messages()[0].text.contains(" 10\r\n"));
        for _ in 0..200 {
            ring.add(
                Timestamp::UNIX_EPOCH,
                &way("UDP"),
                format!("SIP/2.0 200 {}", "x".repeat(20_000)),
            );
        }
        let kept: usize = ring.messages().iter().map(|noted| noted.text.len()).sum();
        assert!(kept <= BYTES && ring.messages().iter().all(|noted| noted.text.len() <= LONGEST));
    }

    #[test]
    fn pieces_of_a_stream_are_one_message_and_keep_alives_are_none() {
        let mut ring = Ring::default();
        ring.add(
            Timestamp::UNIX_EPOCH,
            &way("TCP"),
            "INVITE sip:a@b SIP/2.0\r\nVia".into(),
        );
        ring.add(Timestamp::UNIX_EPOCH, &way("TCP"), "\r\n\r\n".into());
        ring.add(
            Timestamp::UNIX_EPOCH,
            &way("TCP"),
            ": x\r\n response=\"5ecre7\"\r\nTo: y\r\n\r\n".into(),
        );
        ring.add(Timestamp::UNIX_EPOCH, &way("TCP"), "9".into());
        ring.add(Timestamp::UNIX_EPOCH, &way("TLS"), "SIP/2.0 200 OK\r\n".into());
        let texts: Vec<&str> = ring.messages().iter().map(|noted| noted.text.as_str()).collect();
        let first = "INVITE sip:a@b SIP/2.0\r\nViaTo: y\r\n\r\n<body of 1 bytes removed>\r\n";
        assert_eq!(texts, [first, "SIP/2.0 200 OK\r\n"]);
    }
}
