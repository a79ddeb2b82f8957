//! Session timers (RFC 4028) in both roles, UPDATE and re-INVITE as refresh, and glare.

use std::collections::BTreeSet;

use gateway_core::{Cause, LegId};

use super::bench::{Bench, SDP, account, addr, params, secs};
use super::incoming::{LEG, inside, invite, talking};
use crate::ua::{CallOutput, SessionTimer};
use crate::{Flow, HeaderName, Method, Request, Response, Transport};

const OURS: LegId = LegId(1);

fn value(headers: &crate::Headers, name: HeaderName) -> String {
    headers
        .text(&name)
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default()
}

/// An answered call of ours; the 200 has these fields.
fn answered(fields: &[(HeaderName, &str)]) -> (Bench, Flow) {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    accept_with(&mut bench, flow, &invite, fields);
    (bench, flow)
}

fn accept_with(bench: &mut Bench, flow: Flow, invite: &Request, fields: &[(HeaderName, &str)]) {
    let mut response = Response::to(invite, 200)
        .with_to_tag("remote")
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5060>")
        .with_body("application/sdp", SDP);
    for (name, value) in fields {
        response = response.with(name.clone(), *value);
    }
    bench.reply_with(flow, response);
    bench.request_of(Method::ACK);
    assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
}

const UPDATES: (HeaderName, &str) = (HeaderName::Allow, "INVITE, ACK, BYE, UPDATE");

fn ended(bench: &mut Bench) -> (Cause, String) {
    match bench.call_event() {
        CallOutput::Ended { cause, detail } => (cause, detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn we_ask_for_a_timer_and_refresh_by_update_for_as_long_as_the_call_lasts() {
    let (mut bench, flow) = answered(&[UPDATES, (HeaderName::SessionExpires, "120;refresher=uac")]);
    for round in 0..50 {
        bench.nothing_sent();
        bench.pass(secs(59));
        bench.nothing_sent();
        bench.pass(secs(1));
        let update = bench.request_of(Method::UPDATE);
        assert_eq!(
            value(&update.headers, HeaderName::SessionExpires),
            "120;refresher=uac"
        );
        assert!(update.headers.has_token(&HeaderName::Supported, "timer"));
        assert!(update.headers.get(&HeaderName::Contact).is_some());
        assert!(update.body.is_empty());
        assert_eq!(update.headers.cseq().expect("ours").number, round + 2);
        let ok = Response::to(&update, 200).with(HeaderName::SessionExpires, "120;refresher=uac");
        bench.reply_with(flow, ok);
        bench.no_call_event();
    }
    bench.end(OURS, Cause::Released);
    bench.request_of(Method::BYE);
}

#[test]
fn an_invite_says_what_it_wants_and_a_422_is_followed_up_to_three_times() {
    let mut bench = Bench::trunk_with(|account| {
        account.timer = Some(SessionTimer {
            expires: secs(600),
            min: secs(90),
        });
    });
    let (flow, mut invite) = bench.dial("1000");
    assert_eq!(value(&invite.headers, HeaderName::SessionExpires), "600");
    assert_eq!(value(&invite.headers, HeaderName::MinSe), "");
    let call_id = invite.headers.call_id();
    for (round, min) in [700, 900, 1200].into_iter().enumerate() {
        let refusal = Response::to(&invite, 422)
            .with_to_tag("x")
            .with(HeaderName::MinSe, min.to_string());
        bench.reply_with(flow, refusal);
        bench.request_of(Method::ACK);
        invite = bench.request_of(Method::INVITE);
        assert_eq!(invite.headers.call_id(), call_id);
        assert_eq!(invite.headers.cseq().expect("ours").number, round as u32 + 2);
        assert_eq!(
            value(&invite.headers, HeaderName::SessionExpires),
            min.to_string()
        );
        assert_eq!(value(&invite.headers, HeaderName::MinSe), min.to_string());
        assert_eq!(invite.body, SDP.as_bytes());
    }
    let refusal = Response::to(&invite, 422)
        .with_to_tag("x")
        .with(HeaderName::MinSe, "5000");
    bench.reply_with(flow, refusal);
    assert_eq!(ended(&mut bench).0, Cause::Refused);

    // A 422 that asks for no more than we gave would go on for ever.
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.reply(flow, &invite, 422);
    let (cause, detail) = ended(&mut bench);
    assert_eq!(
        (cause, detail.as_str()),
        (Cause::Refused, "422 Session Interval Too Small")
    );
}

#[test]
fn without_timers_nothing_is_asked_and_a_caller_who_requires_them_is_refused() {
    let mut bench = Bench::trunk_with(|account| account.timer = None);
    let (_, ours) = bench.dial("1000");
    assert!(ours.headers.get(&HeaderName::SessionExpires).is_none());
    assert!(!ours.headers.has_token(&HeaderName::Supported, "timer"));
    bench.ask(&invite("\nRequire: timer\nSession-Expires: 1800", SDP));
    let response = bench.response();
    assert_eq!(response.code(), 420);
    assert_eq!(value(&response.headers, HeaderName::Unsupported), "timer");
}

#[test]
fn a_peer_that_forgets_to_refresh_is_hung_up_before_the_time_is_over() {
    let (mut bench, _) = answered(&[(HeaderName::SessionExpires, "1800;refresher=uas")]);
    bench.pass(secs(1767));
    bench.nothing_sent();
    bench.no_call_event();
    bench.pass(secs(2));
    bench.request_of(Method::BYE);
    let (cause, detail) = ended(&mut bench);
    assert_eq!(cause, Cause::Unreachable);
    assert_eq!(detail, "session timer: no refresh within 1800 s");
    assert_eq!(bench.ua.calls(), 0);
}

#[test]
fn a_refresh_without_answer_or_with_481_ends_the_call_and_other_refusals_only_if_they_last() {
    const TIMER: (HeaderName, &str) = (HeaderName::SessionExpires, "600;refresher=uac");
    let (mut bench, _) = answered(&[UPDATES, TIMER]);
    bench.pass(secs(300));
    let update = bench.request_of(Method::UPDATE);
    bench.pass(secs(33));
    loop {
        let (_, repeat) = bench.request();
        if repeat.method == Method::BYE {
            break;
        }
        assert_eq!(repeat, update);
    }
    assert_eq!(
        ended(&mut bench),
        (Cause::Unreachable, "session refresh: no answer".into())
    );

    let (mut bench, flow) = answered(&[UPDATES, TIMER]);
    bench.pass(secs(300));
    let update = bench.request_of(Method::UPDATE);
    bench.reply(flow, &update, 481);
    bench.request_of(Method::BYE);
    assert_eq!(ended(&mut bench).0, Cause::Unreachable);

    let (mut bench, flow) = answered(&[UPDATES, TIMER]);
    bench.pass(secs(300));
    let mut tries = 0;
    for _ in 0..60 {
        while let Some((_, message)) = bench.sent.pop_front() {
            if let crate::Message::Request(request) = message
                && request.method == Method::UPDATE
            {
                tries += 1;
                bench.reply(flow, &request, 503);
            }
        }
        bench.pass(secs(5));
    }
    assert!((20..=30).contains(&tries), "{tries}");
    assert_eq!(ended(&mut bench).1, "session timer: no refresh within 600 s");
}

#[test]
fn where_update_is_not_allowed_the_refresh_is_a_re_invite_with_an_offer() {
    let (mut bench, flow) = answered(&[(HeaderName::SessionExpires, "90")]);
    bench.pass(secs(45));
    assert_eq!(bench.call_event(), CallOutput::RefreshOfferWanted);
    bench
        .ua
        .give_refresh_offer(bench.now, OURS, b"v=0\r\no=again\r\n".to_vec());
    bench.settle();
    let again = bench.request_of(Method::INVITE);
    assert_eq!(again.body, b"v=0\r\no=again\r\n");
    assert_eq!(again.headers.to().expect("theirs").tag(), Some("remote"));
    let ok = Response::to(&again, 200)
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5066>")
        .with(HeaderName::SessionExpires, "90;refresher=uac")
        .with_body("application/sdp", SDP);
    bench.reply_with(flow, ok.clone());
    let ack = bench.request_of(Method::ACK);
    assert_eq!(ack.uri.to_string(), "sip:1000@10.0.0.2:5066");
    assert_eq!(
        bench.call_event(),
        CallOutput::ReofferAnswered { sdp: SDP.into() }
    );
    // The ACK was lost.
    bench.reply_with(flow, ok);
    assert_eq!(bench.request_of(Method::ACK), ack);
    bench.no_call_event();
    // And so on.
    bench.pass(secs(45));
    assert_eq!(bench.call_event(), CallOutput::RefreshOfferWanted);
}

#[test]
fn a_peer_that_answers_update_with_405_is_refreshed_by_re_invite() {
    let (mut bench, flow) = answered(&[UPDATES, (HeaderName::SessionExpires, "600;refresher=uac")]);
    bench.pass(secs(300));
    let update = bench.request_of(Method::UPDATE);
    bench.reply(flow, &update, 405);
    bench.pass(secs(0));
    assert_eq!(bench.call_event(), CallOutput::RefreshOfferWanted);
}

#[test]
fn a_challenged_refresh_goes_again_with_credentials() {
    let (mut bench, flow) = answered(&[UPDATES, (HeaderName::SessionExpires, "600;refresher=uac")]);
    bench.pass(secs(300));
    let update = bench.request_of(Method::UPDATE);
    let challenge = Response::to(&update, 401).with(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"",
    );
    bench.reply_with(flow, challenge);
    let again = bench.request_of(Method::UPDATE);
    assert_eq!(again.headers.cseq().expect("ours").number, 3);
    assert!(again.headers.get(&HeaderName::Authorization).is_some());
    assert_eq!(
        value(&again.headers, HeaderName::SessionExpires),
        "600;refresher=uac"
    );
    let ok = Response::to(&again, 200).with(HeaderName::SessionExpires, "600;refresher=uac");
    bench.reply_with(flow, ok);
    bench.pass(secs(299));
    bench.nothing_sent();
    bench.pass(secs(1));
    bench.request_of(Method::UPDATE);
}

#[test]
fn a_refresh_refused_as_too_short_asks_for_more_at_once() {
    let (mut bench, flow) = answered(&[UPDATES, (HeaderName::SessionExpires, "600;refresher=uac")]);
    bench.pass(secs(300));
    let update = bench.request_of(Method::UPDATE);
    let refusal = Response::to(&update, 422).with(HeaderName::MinSe, "900");
    bench.reply_with(flow, refusal);
    bench.pass(secs(0));
    let again = bench.request_of(Method::UPDATE);
    assert_eq!(
        value(&again.headers, HeaderName::SessionExpires),
        "900;refresher=uac"
    );
    assert_eq!(value(&again.headers, HeaderName::MinSe), "900");
}

#[test]
fn two_offers_at_once_are_refused_with_491_and_the_refresh_is_made_later() {
    let (mut bench, flow) = answered(&[(HeaderName::SessionExpires, "600;refresher=uac")]);
    bench.pass(secs(300));
    bench.call_event();
    bench.ua.give_refresh_offer(bench.now, OURS, SDP.into());
    bench.settle();
    let ours = bench.request_of(Method::INVITE);
    // Theirs crosses ours.
    let (us, them) = (
        ours.headers.from_addr().expect("ours").to_string(),
        ours.headers.to().expect("theirs").to_string(),
    );
    let call_id = ours.headers.call_id().expect("ours");
    let theirs = |n: u32| {
        format!(
            "INVITE sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKg{n}\nMax-Forwards: 70\n\
             From: {them}\nTo: {us}\nCall-ID: {call_id}\nCSeq: {n} INVITE\nContact: <sip:1000@10.0.0.2>\n\
             Content-Type: application/sdp\n\nv=0"
        )
    };
    bench.ask(&theirs(1));
    assert_eq!(bench.response().code(), 491);
    bench.no_call_event();
    bench.reply(flow, &ours, 491);
    bench.request_of(Method::ACK);
    assert_eq!(
        bench.call_event(),
        CallOutput::ReofferAnswered { sdp: Vec::new() }
    );
    // They own no Call-ID and come first; ours waits at least 2.1 s.
    bench.pass(secs(1));
    bench.sent.clear();
    bench.ask(&theirs(2));
    assert!(matches!(bench.call_event(), CallOutput::Reoffer { .. }));
    bench.ua.answer_reoffer(bench.now, OURS, Some(SDP.into()));
    bench.settle();
    assert_eq!(bench.response().code(), 200);
    bench.pass(secs(6));
    // Their ACK is missing: our refresh waits for it.
    bench.no_call_event();
}

#[test]
fn as_callee_we_grant_a_timer_refuse_a_short_one_and_refresh_if_told_to() {
    let mut bench = Bench::trunk_with(|account| {
        account.timer = Some(SessionTimer {
            expires: secs(1800),
            min: secs(120),
        });
    });
    let timer = |s| format!("\nSupported: timer\nAllow: INVITE, UPDATE\nSession-Expires: {s}");
    bench.ask(&invite(&timer("90"), SDP));
    let refusal = bench.response();
    assert_eq!(
        (
            refusal.code(),
            value(&refusal.headers, HeaderName::MinSe).as_str()
        ),
        (422, "120")
    );
    bench.no_call_event();

    let again = |text: String| text.replace("bKin1", "bKin2").replace("CSeq: 5", "CSeq: 6");
    bench.ask(&again(invite(&timer("400;refresher=uas"), SDP)));
    bench.call_event();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    let ok = bench.response();
    assert_eq!(
        value(&ok.headers, HeaderName::SessionExpires),
        "400;refresher=uas"
    );
    assert!(ok.headers.has_token(&HeaderName::Require, "timer"));
    let tag = ok.headers.to().expect("ours").tag().expect("a tag").to_owned();
    bench.ask(&inside("ACK", 6, &tag, ""));
    bench.call_event();
    bench.pass(secs(200));
    let update = bench.request_of(Method::UPDATE);
    assert_eq!(update.uri.to_string(), "sip:1000@10.0.0.2");
    let ok = Response::to(&update, 200).with(HeaderName::SessionExpires, "400;refresher=uas");
    bench.reply_with(bench.flow(), ok);
    // From now on they refresh; they do so once, and then forget it.
    bench.pass(secs(200));
    bench.nothing_sent();
    bench.ask(&inside(
        "UPDATE",
        7,
        &tag,
        "\nSupported: timer\nSession-Expires: 400;refresher=uac",
    ));
    let ok = bench.response();
    assert_eq!(
        (ok.code(), value(&ok.headers, HeaderName::SessionExpires).as_str()),
        (200, "400;refresher=uac")
    );
    bench.pass(secs(367));
    bench.no_call_event();
    bench.pass(secs(2));
    bench.request_of(Method::BYE);
    assert_eq!(ended(&mut bench).0, Cause::Unreachable);
}

#[test]
fn a_caller_without_timers_is_left_in_peace() {
    let (mut bench, _) = talking();
    bench.pass(secs(7200));
    bench.nothing_sent();
    bench.no_call_event();
    assert_eq!(bench.ua.calls(), 1);
}

#[test]
fn the_answer_to_a_refresh_tells_of_another_party() {
    let (mut bench, flow) = answered(&[UPDATES, (HeaderName::SessionExpires, "600;refresher=uac")]);
    bench.pass(secs(300));
    let update = bench.request_of(Method::UPDATE);
    let ok = Response::to(&update, 200)
        .with(HeaderName::SessionExpires, "600;refresher=uac")
        .with(HeaderName::PAssertedIdentity, "<sip:2000@pbx.example>");
    bench.reply_with(flow, ok);
    let CallOutput::Named { peer, .. } = bench.call_event() else {
        panic!("nobody was named");
    };
    assert_eq!(
        (peer.address.as_str(), peer.trusted),
        ("sip:2000@pbx.example", true)
    );
    // and of one who comes back
    bench.pass(secs(300));
    let update = bench.request_of(Method::UPDATE);
    let ok = Response::to(&update, 200)
        .with(HeaderName::SessionExpires, "600;refresher=uac")
        .with(HeaderName::PAssertedIdentity, "<sip:1000@pbx.example>");
    bench.reply_with(flow, ok);
    let CallOutput::Named { peer, .. } = bench.call_event() else {
        panic!("nobody was named");
    };
    assert_eq!(peer.address, "sip:1000@pbx.example");
}

#[test]
fn nobody_but_the_pbx_of_the_call_gives_the_right_to_open_to_another_party() {
    for (remote, given) in [("10.0.0.2:5060", true), ("192.0.2.7:5060", false)] {
        let mut settings = params();
        settings.direct_peers = BTreeSet::from(["192.0.2.7".parse().expect("an address")]);
        let mut bench = Bench::with(settings, vec![account(Transport::Udp, false)]);
        let (flow, invite) = bench.dial("1000");
        accept_with(&mut bench, flow, &invite, &[UPDATES]);
        let (call, tag) = (
            invite.headers.text(&HeaderName::CallId).expect("a call"),
            invite
                .headers
                .from_addr()
                .expect("ours")
                .tag()
                .expect("a tag")
                .to_owned(),
        );
        let update = format!(
            "UPDATE {} SIP/2.0\nVia: SIP/2.0/UDP {remote};branch=z9hG4bKn1\nMax-Forwards: 70\n\
             From: <sip:1000@pbx.example>;tag=remote\nTo: <sip:503@pbx.example>;tag={tag}\nCall-ID: {call}\n\
             CSeq: 7 UPDATE\nContact: <sip:1000@{remote}>\nP-Asserted-Identity: <sip:2000@pbx.example>",
            "sip:door@10.0.0.1"
        );
        let from = Flow {
            remote: addr(remote),
            ..flow
        };
        bench.ask_from(from, &update);
        let told = bench.call_event();
        assert_eq!(matches!(told, CallOutput::Named { .. }), given, "{told:?}");
        assert_eq!(
            matches!(told, CallOutput::AuthorityLost { .. }),
            !given,
            "{told:?}"
        );
    }
}

/// An answered call over many proxies, whose every request is too long for UDP.
fn over_many_proxies(bench: &mut Bench, allow: &str) -> Flow {
    let (flow, invite) = bench.dial("1000");
    let mut response = Response::to(&invite, 200)
        .with_to_tag("remote")
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5060>")
        .with(HeaderName::Allow, allow)
        .with(HeaderName::SessionExpires, "120;refresher=uac")
        .with_body("application/sdp", SDP);
    for n in 0..12 {
        let route = format!("<sip:edge{n}.pbx.example;lr;of={}>", "x".repeat(90));
        response.headers.push(HeaderName::RecordRoute, route);
    }
    bench.reply_with(flow, response);
    bench.request_of(Method::ACK);
    assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
    flow
}

#[test]
fn long_requests_inside_a_call_go_over_tcp_and_over_udp_where_that_is_refused() {
    for refuse in [None, Some(Transport::Tcp)] {
        let used = refuse.map_or(Transport::Tcp, |_| Transport::Udp);
        let mut bench = Bench::trunk();
        bench.refuse = refuse;
        let on = over_many_proxies(&mut bench, "INVITE, ACK, BYE, UPDATE, INFO");
        bench.pass(secs(60));
        let (flow, update) = bench.request();
        assert_eq!(update.method, Method::UPDATE);
        assert_eq!((flow.transport, flow.remote), (used, on.remote));
        let via = update.headers.text(&HeaderName::Via).expect("ours").into_owned();
        assert!(via.starts_with(&format!("SIP/2.0/{}", used.as_via())), "{via}");
        bench.nothing_sent();
        let ok = Response::to(&update, 200).with(HeaderName::SessionExpires, "120;refresher=uac");
        bench.reply_with(flow, ok);
        bench.ua.press(bench.now, OURS, '5');
        bench.settle();
        let (flow, info) = bench.request();
        assert_eq!((flow.transport, info.method.clone()), (used, Method::INFO));
        bench.reply(flow, &info, 200);
        assert_eq!(bench.call_event(), CallOutput::Pressed { taken: true });
        bench.no_call_event();
    }
}

#[test]
fn a_long_re_invite_goes_over_tcp_with_its_ack_and_over_udp_where_that_is_refused() {
    let long = SDP.repeat(200);
    for refuse in [None, Some(Transport::Tcp)] {
        let used = refuse.map_or(Transport::Tcp, |_| Transport::Udp);
        let (mut bench, _) = answered(&[(HeaderName::SessionExpires, "120;refresher=uac")]);
        bench.refuse = refuse;
        bench.pass(secs(60));
        assert_eq!(bench.call_event(), CallOutput::RefreshOfferWanted);
        bench.ua.give_refresh_offer(bench.now, OURS, long.clone().into());
        bench.settle();
        let (flow, invite) = bench.request();
        assert_eq!((flow.transport, invite.method.clone()), (used, Method::INVITE));
        let ok = Response::to(&invite, 200)
            .with(HeaderName::SessionExpires, "120;refresher=uac")
            .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5060>")
            .with_body("application/sdp", SDP);
        bench.reply_with(flow, ok);
        let (back, ack) = bench.request();
        assert_eq!((back, ack.method), (flow, Method::ACK));
        assert!(matches!(bench.call_event(), CallOutput::ReofferAnswered { .. }));
        // what is short goes where the call goes
        bench.end(OURS, Cause::Released);
        let (flow, bye) = bench.request();
        assert_eq!((flow.transport, bye.method), (Transport::Udp, Method::BYE));
    }
}

#[test]
fn a_connection_that_is_taken_and_dropped_costs_a_long_refresh_two_seconds_and_no_call() {
    let mut bench = Bench::trunk();
    over_many_proxies(&mut bench, "INVITE, ACK, BYE, UPDATE");
    bench.pass(secs(60));
    let (tcp, _) = bench.request();
    assert_eq!(tcp.transport, Transport::Tcp);
    bench.ua.handle_closed(bench.now, tcp, "reset");
    bench.settle();
    bench.pass(secs(2));
    let (flow, update) = bench.request();
    assert_eq!((flow.transport, update.method), (Transport::Udp, Method::UPDATE));
    bench.no_call_event();
}
