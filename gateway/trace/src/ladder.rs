//! Calls as people read them: one line a message, an arrow each.

use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::ring::Noted;

/// Calls that are shown.
const CALLS: usize = 30;

/// The value of a header, by its name or its compact form.
fn header<'a>(text: &'a str, name: &str, compact: &str) -> Option<&'a str> {
    let head = text.split("\r\n\r\n").next()?;
    head.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let key = key.trim();
        (key.eq_ignore_ascii_case(name) || key.eq_ignore_ascii_case(compact)).then(|| value.trim())
    })
}

fn call_id(noted: &Noted) -> Option<&str> {
    header(&noted.text, "call-id", "i")
}

/// Every call of the ring: the messages of each dialog that began with an INVITE, oldest call first.
pub(crate) fn ladder(messages: &VecDeque<Noted>) -> String {
    let mut calls: Vec<&str> = Vec::new();
    for noted in messages {
        if let Some(id) = call_id(noted).filter(|id| noted.text.starts_with("INVITE ") && !calls.contains(id))
        {
            calls.push(id);
        }
    }
    if calls.is_empty() {
        return "No call since the gateway was started, or none is kept any more.\n".to_owned();
    }
    let first = calls.len().saturating_sub(CALLS);
    let mut out = String::new();
    for id in &calls[first..] {
        let of: Vec<&Noted> = messages
            .iter()
            .filter(|noted| call_id(noted) == Some(id))
            .collect();
        call(&mut out, id, &of);
    }
    out
}

fn call(out: &mut String, id: &str, of: &[&Noted]) {
    let Some(first) = of.first() else { return };
    let from = header(&first.text, "from", "f").unwrap_or("-");
    let to = header(&first.text, "to", "t").unwrap_or("-");
    let _ = writeln!(out, "Call {id}\n  from {from}\n  to   {to}");
    let mut before = None;
    for noted in of {
        let way = &noted.way;
        let place = (way.local, way.remote, way.transport);
        if before != Some(place) {
            let _ = writeln!(
                out,
                "  gateway {} ── {} ── {}",
                way.local, way.transport, way.remote
            );
            before = Some(place);
        }
        let since = noted.at.duration_since(first.at).as_millis();
        let arrow = if way.sent { "──▶" } else { "◀──" };
        let line = noted.text.lines().next().unwrap_or_default();
        let line = line.trim_start_matches("SIP/2.0 ").trim_end_matches(" SIP/2.0");
        let cseq = header(&noted.text, "cseq", "cseq").unwrap_or("-");
        let sdp = if noted.text.contains("\r\nm=audio ") {
            "  sdp"
        } else {
            ""
        };
        let _ = writeln!(out, "  {} {since:>7} ms {arrow} {line}  ({cseq}){sdp}", noted.at);
    }
    out.push('\n');
}

/// Every message with its time and its way.
pub(crate) fn whole(messages: &VecDeque<Noted>) -> String {
    let mut out = String::new();
    for noted in messages {
        let way = &noted.way;
        let arrow = if way.sent { "to" } else { "from" };
        let _ = writeln!(
            out,
            "=== {} {} {arrow} {} ({})",
            noted.at, way.transport, way.remote, way.local
        );
        out += noted.text.trim_end();
        out += "\n\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::Way;

    fn noted(ms: i64, sent: bool, text: &str) -> Noted {
        Noted {
            at: Timestamp::from_millisecond(1_772_366_400_000 + ms).expect("a time"),
            text: text.replace('\n', "\r\n"),
            way: Way {
                local: "192.0.2.1:5060".parse().expect("an address"),
                remote: "192.0.2.2:5060".parse().expect("an address"),
                sent,
                transport: "UDP",
            },
        }
    }

    #[test]
    fn a_call_is_a_ladder_and_what_is_none_stays_out() {
        let head = "From: <sip:503@pbx>\nTo: <sip:1000@pbx>\n";
        let messages = VecDeque::from([
            noted(
                -5,
                true,
                "REGISTER sip:pbx SIP/2.0\nCall-ID: r\nCSeq: 7 REGISTER\n\n",
            ),
            noted(
                0,
                true,
                &format!(
                    "INVITE sip:1000@pbx SIP/2.0\nCall-ID: a1\n{head}CSeq: 1 INVITE\n\nv=0\nm=audio 4000 RTP/AVP 8\n"
                ),
            ),
            noted(
                12,
                false,
                &format!("SIP/2.0 180 Ringing\ni: a1\n{head}CSeq: 1 INVITE\n\n"),
            ),
        ]);
        let want = "Call a1
  from <sip:503@pbx>
  to   <sip:1000@pbx>
  gateway 192.0.2.1:5060 ── UDP ── 192.0.2.2:5060
  2026-03-01T12:00:00Z       0 ms ──▶ INVITE sip:1000@pbx  (1 INVITE)  sdp
  2026-03-01T12:00:00.012Z      12 ms ◀── 180 Ringing  (1 INVITE)

";
        assert_eq!(ladder(&messages), want);
        assert!(
            whole(&messages)
                .starts_with("=== 2026-03-01T11:59:59.995Z UDP to 192.0.2.2:5060 (192.0.2.1:5060)\nREGISTER")
        );
        assert!(ladder(&VecDeque::new()).starts_with("No call"));
    }
}
