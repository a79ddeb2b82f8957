//! Texts (RFC 3428).

use super::bench::{Bench, addr, params, pbx, secs};
use super::incoming::{inside, talking};
use crate::ua::{MessageOutput, OutgoingMessage};
use crate::{Flow, HeaderName, Method, Response, Transport};

fn message(n: u32, kind: &str, body: &str) -> String {
    format!(
        "MESSAGE sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKm{n}\nMax-Forwards: 70\n\
         From: <sip:1000@pbx.example>;tag=m\nTo: <sip:503@pbx.example>\nCall-ID: m{n}\nCSeq: 1 MESSAGE\n\
         Content-Type: {kind}\n\n{body}"
    )
}

fn received(bench: &mut Bench) -> (String, String) {
    match bench.messages.pop_front() {
        Some(MessageOutput::Received { peer, text, .. }) => (peer.address, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_of_the_pbx_is_told_with_who_sent_it() {
    let mut bench = Bench::trunk();
    bench.ask(&message(1, "text/plain;charset=UTF-8", "Bin gleich da\u{7}\r\n"));
    assert_eq!(bench.response().code(), 200);
    assert_eq!(
        received(&mut bench),
        ("sip:1000@pbx.example".into(), "Bin gleich da".into())
    );
    let (mut bench, tag) = talking();
    bench.sent.clear();
    bench.ask(&inside(
        "MESSAGE",
        6,
        &tag,
        "\nContent-Type: text/plain\n\nin the call",
    ));
    assert_eq!(bench.response().code(), 200);
    assert_eq!(
        received(&mut bench),
        ("sip:1000@pbx.example".into(), "in the call".into())
    );
}

#[test]
fn what_is_no_text_or_too_long_is_refused_and_not_told() {
    let mut bench = Bench::trunk();
    let long = "x".repeat(1301);
    for (n, (kind, body, code)) in [
        ("text/html", "<b>", 415),
        ("application/im-iscomposing+xml", "<x/>", 415),
        ("text/plain", long.as_str(), 413),
        ("text/plain", "", 400),
        ("text/plain", " \r\n\u{1}", 400),
        ("text/plain\nContent-Encoding: gzip", "x", 415),
    ]
    .into_iter()
    .enumerate()
    {
        bench.ask(&message(u32::try_from(n).expect("few"), kind, body));
        assert_eq!(bench.response().code(), code, "{kind}");
        assert!(bench.messages.is_empty());
    }
    let stranger = Flow {
        remote: addr("203.0.113.9:5060"),
        ..bench.flow()
    };
    bench.ask_from(stranger, &message(9, "text/plain", "open"));
    assert_eq!(bench.response().code(), 403);
    assert!(bench.messages.is_empty());
}

#[test]
fn a_flood_of_texts_is_cut_off_for_a_minute() {
    let mut bench = Bench::trunk();
    let mut codes = Vec::new();
    for n in 0..25 {
        bench.ask(&message(n, "text/plain", "x"));
        codes.push(bench.response().code());
    }
    assert_eq!((codes[19], codes[20]), (200, 503));
    bench.pass(secs(61));
    bench.ask(&message(99, "text/plain", "x"));
    assert_eq!(bench.response().code(), 200);
}

#[test]
fn whoever_floods_with_texts_takes_nothing_from_the_others() {
    let mut settings = params();
    let peers = (0..80_u8).map(|n| std::net::Ipv4Addr::new(192, 0, 2, n).into());
    settings.direct_peers = peers.collect();
    let mut bench = Bench::with(settings, Vec::new());
    let mut ask = |peer: u8, n: u32| {
        let flow = Flow {
            remote: addr(&format!("192.0.2.{peer}:5060")),
            ..bench.flow()
        };
        let text = message(n, "text/plain", "x").replace("10.0.0.2;", &format!("192.0.2.{peer};"));
        bench.ask_from(flow, &text);
        bench.response().code()
    };
    let flood: Vec<u16> = (0..30).map(|n| ask(7, n)).collect();
    assert_eq!((flood[19], flood[20]), (200, 503));
    assert_eq!(ask(8, 100), 200);
    // as many sources as are told apart, and one more
    let others: Vec<u16> = (9..75).map(|peer| ask(peer, 200 + u32::from(peer))).collect();
    assert_eq!(others.iter().filter(|code| **code == 200).count(), 62);
}

fn send(bench: &mut Bench, target: &str, text: &str) {
    let message = OutgoingMessage {
        account: Some(pbx()),
        id: 7,
        target: target.into(),
        text: text.into(),
    };
    bench.ua.send_message(bench.now, message);
    bench.settle();
}

#[test]
fn a_text_of_ours_is_sent_with_the_password_that_is_asked_for() {
    let mut bench = Bench::trunk();
    send(&mut bench, "1000", "Die Tür steht offen");
    let first = bench.request_of(Method::MESSAGE);
    assert_eq!(first.uri.to_string(), "sip:1000@pbx.example");
    assert_eq!(String::from_utf8_lossy(&first.body), "Die Tür steht offen");
    assert!(first.headers.get(&HeaderName::Contact).is_none(), "RFC 3428 §4");
    let flow = bench.flow();
    let challenge = Response::to(&first, 401)
        .with_to_tag("x")
        .with(HeaderName::WwwAuthenticate, "Digest realm=\"pbx\", nonce=\"1\"");
    bench.reply_with(flow, challenge);
    let again = bench.request_of(Method::MESSAGE);
    assert!(again.headers.get(&HeaderName::Authorization).is_some());
    bench.reply(flow, &again, 202);
    assert_eq!(bench.messages.pop_front(), Some(MessageOutput::Sent { id: 7 }));
}

#[test]
fn a_text_that_is_not_taken_is_told_with_why() {
    let mut bench = Bench::trunk();
    send(&mut bench, "1000", "x");
    let request = bench.request_of(Method::MESSAGE);
    let flow = bench.flow();
    bench.reply(flow, &request, 404);
    let why = "404 Not Found".to_owned();
    assert_eq!(
        bench.messages.pop_front(),
        Some(MessageOutput::Failed { id: 7, why })
    );
    send(&mut bench, "1000", "x");
    bench.pass(secs(40));
    assert!(matches!(
        bench.messages.pop_front(),
        Some(MessageOutput::Failed { .. })
    ));
    for text in ["", "x".repeat(1301).as_str()] {
        send(&mut bench, "1000", text);
        assert!(matches!(
            bench.messages.pop_front(),
            Some(MessageOutput::Failed { .. })
        ));
    }
}

#[test]
fn a_text_to_somebody_who_was_never_called_waits_until_he_is_reached() {
    let mut bench = Bench::trunk();
    let message = |target: &str| OutgoingMessage {
        account: None,
        id: 8,
        target: target.into(),
        text: "x".into(),
    };
    bench.ua.send_message(bench.now, message("sip:anna@192.0.2.9"));
    bench.settle();
    let sent = bench.request_of(Method::MESSAGE);
    let flow = Flow {
        remote: addr("192.0.2.9:5060"),
        ..bench.flow()
    };
    bench.reply(flow, &sent, 200);
    assert_eq!(bench.messages.pop_front(), Some(MessageOutput::Sent { id: 8 }));
    bench.refuse = Some(Transport::Tcp);
    bench
        .ua
        .send_message(bench.now, message("sip:anna@192.0.2.8;transport=tcp"));
    bench.settle();
    assert!(matches!(
        bench.messages.pop_front(),
        Some(MessageOutput::Failed { id: 8, .. })
    ));
    bench.ua.send_message(bench.now, message("1000"));
    bench.settle();
    assert!(matches!(
        bench.messages.pop_front(),
        Some(MessageOutput::Failed { id: 8, .. })
    ));
}

#[test]
fn a_long_text_goes_over_tcp_and_over_udp_where_that_is_refused() {
    let long = "x".repeat(1300);
    for refuse in [None, Some(Transport::Tcp)] {
        let mut bench = Bench::trunk();
        bench.refuse = refuse;
        let used = if refuse.is_some() {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        for text in [long.as_str(), "short", &long] {
            send(&mut bench, "1000", text);
            let (flow, sent) = bench.request();
            assert_eq!(sent.method, Method::MESSAGE);
            assert_eq!(sent.body, text.as_bytes());
            assert_eq!(flow.remote, bench.flow().remote);
            let via = sent.headers.text(&HeaderName::Via).expect("ours");
            let used = if text == "short" { Transport::Udp } else { used };
            assert_eq!(flow.transport, used);
            assert!(via.starts_with(&format!("SIP/2.0/{used}")), "{via}");
            bench.reply(flow, &sent, 200);
            assert_eq!(bench.messages.pop_front(), Some(MessageOutput::Sent { id: 7 }));
            bench.nothing_sent();
        }
        // directly, too
        let message = OutgoingMessage {
            account: None,
            id: 8,
            target: "sip:anna@192.0.2.9".into(),
            text: long.clone(),
        };
        bench.ua.send_message(bench.now, message);
        bench.settle();
        let (flow, _) = bench.request();
        assert_eq!((flow.transport, flow.remote), (used, addr("192.0.2.9:5060")));
    }
}
