//! Transfer: REFER (RFC 3515), Replaces (RFC 3891), no subscription (RFC 4488), redirection.

use gateway_core::{Cause, LegId, RingId};

use super::bench::{Bench, SDP, pbx, secs};
use super::incoming::invite;
use crate::ua::{CallOutput, OutgoingCall};
use crate::{HeaderName, Method, Request, Response, Transport};

/// A phone answered a call of the door; gives our tag and the Call-ID.
fn talking() -> (Bench, String, String) {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.accept(flow, &invite, "phone");
    bench.request_of(Method::ACK);
    assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
    let tag = invite
        .headers
        .from_addr()
        .expect("ours")
        .tag()
        .expect("a tag")
        .to_owned();
    let id = invite.headers.call_id().expect("ours");
    bench.sent.clear();
    (bench, tag, id)
}

fn refer(tag: &str, id: &str, seq: u32, rest: &str) -> String {
    format!(
        "REFER sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKr{seq}\nMax-Forwards: 70\n\
         From: <sip:1000@pbx.example>;tag=phone\nTo: <sip:503@pbx.example>;tag={tag}\nCall-ID: {id}\n\
         CSeq: {seq} REFER\nContact: <sip:1000@10.0.0.2>\n{rest}"
    )
}

fn wish(target: &str) -> OutgoingCall {
    OutgoingCall {
        account: Some(pbx()),
        display: "Main entrance".into(),
        leg: LegId(2),
        manner: gateway_core::Manner::default(),
        patience: None,
        ring: RingId::new(1, [3; 10]),
        target: target.into(),
    }
}

/// Says yes, and gives the INVITE to the new party.
fn follow(bench: &mut Bench, target: &str, replaces: Option<String>) -> Request {
    bench.ua.transfer(bench.now, LegId(1), wish(target), replaces);
    bench.settle();
    assert!(matches!(bench.call_event(), CallOutput::OfferWanted { .. }));
    bench.ua.give_offer(bench.now, LegId(2), SDP.into());
    bench.settle();
    let mut sent = std::mem::take(&mut bench.sent);
    let at = sent
        .iter()
        .position(|(_, message)| message.to_string().starts_with("INVITE"))
        .expect("the new party is called");
    let (_, message) = sent.remove(at).expect("found");
    bench.sent = sent;
    match message {
        crate::Message::Request(request) => request,
        crate::Message::Response(response) => panic!("{response:?}"),
    }
}

fn accepted(bench: &mut Bench) -> Response {
    match bench.sent.pop_front().expect("an answer").1 {
        crate::Message::Response(response) => response,
        crate::Message::Request(request) => panic!("{request:?}"),
    }
}

/// The next NOTIFY, answered: its Subscription-State and what it tells.
fn told(bench: &mut Bench) -> (String, String) {
    let notify = bench.request_of(Method::NOTIFY);
    assert_eq!(notify.headers.text(&HeaderName::Event).as_deref(), Some("refer"));
    assert_eq!(
        notify.headers.content_type().as_deref(),
        Some("message/sipfrag"),
        "RFC 3515 §2.4.5"
    );
    assert!(notify.headers.contact().is_ok(), "RFC 6665 §8.1.1");
    let state = notify.headers.text(&HeaderName::SubscriptionState);
    let state = state.expect("RFC 6665 §4.2.2").into_owned();
    let flow = bench.flow();
    bench.reply(flow, &notify, 200);
    (state, String::from_utf8_lossy(&notify.body).into_owned())
}

#[test]
fn a_blind_transfer_is_asked_for_followed_and_told_until_it_is_answered() {
    let (mut bench, tag, id) = talking();
    bench.ask(&refer(&tag, &id, 1, "Refer-To: <sip:1002@10.0.0.2:5060>"));
    assert_eq!(
        bench.call_event(),
        CallOutput::TransferAsked {
            at_pbx: true,
            replaces: None,
            target: "sip:1002@pbx.example".into(),
        }
    );
    bench.nothing_sent();
    let invite = follow(&mut bench, "sip:1002@pbx.example", None);
    assert_eq!(invite.uri.to_string(), "sip:1002@pbx.example");
    assert_eq!(
        invite.headers.text(&HeaderName::ReferredBy).as_deref(),
        Some("<sip:1000@pbx.example>")
    );
    assert!(invite.headers.get(&HeaderName::Replaces).is_none());
    assert_eq!(accepted(&mut bench).status_line(), "202 Accepted");
    let active = || "active;expires=180".to_owned();
    let over = || "terminated;reason=noresource".to_owned();
    assert_eq!(told(&mut bench), (active(), "SIP/2.0 100 Trying\r\n".into()));
    let flow = bench.flow();
    bench.reply(flow, &invite, 180);
    assert_eq!(bench.call_event(), CallOutput::Ringing);
    assert_eq!(told(&mut bench), (active(), "SIP/2.0 180 Ringing\r\n".into()));
    bench.accept(flow, &invite, "other");
    bench.request_of(Method::ACK);
    assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
    assert_eq!(told(&mut bench), (over(), "SIP/2.0 200 OK\r\n".into()));
    // whoever asked still has his call until he is told or hangs up
    assert_eq!(bench.ua.calls(), 2);
    bench.end(LegId(1), Cause::Released);
    bench.request_of(Method::BYE);
    bench.pass(secs(1));
    assert_eq!(bench.ua.calls(), 1);
}

#[test]
fn an_attended_transfer_takes_the_place_of_the_call_that_it_names() {
    let (mut bench, tag, id) = talking();
    let replaces = "z9%40phone%3Bto-tag%3Dt2%3Bfrom-tag%3Df2";
    let to =
        format!("Refer-To: <sip:c@192.0.2.9:5070?Replaces={replaces}>\nReferred-By: <sip:anna@pbx.example>");
    bench.ask(&refer(&tag, &id, 1, &to));
    let asked = bench.call_event();
    let CallOutput::TransferAsked {
        at_pbx,
        replaces,
        target,
    } = asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!((at_pbx, target.as_str()), (false, "sip:c@192.0.2.9:5070"));
    let invite = follow(&mut bench, &target, replaces);
    assert_eq!(
        invite.headers.text(&HeaderName::Replaces).as_deref(),
        Some("z9@phone;to-tag=t2;from-tag=f2")
    );
    assert!(invite.headers.has_token(&HeaderName::Require, "replaces"));
    assert_eq!(
        invite.headers.text(&HeaderName::ReferredBy).as_deref(),
        Some("<sip:anna@pbx.example>")
    );
}

#[test]
fn a_transfer_that_fails_is_told_with_its_status_and_the_call_goes_on() {
    let (mut bench, tag, id) = talking();
    bench.ask(&refer(&tag, &id, 1, "Refer-To: <sip:1002@pbx.example>"));
    bench.call_event();
    let invite = follow(&mut bench, "sip:1002@pbx.example", None);
    told(&mut bench);
    let flow = bench.flow();
    bench.reply(flow, &invite, 486);
    bench.request_of(Method::ACK);
    assert_eq!(told(&mut bench).1, "SIP/2.0 486 Busy Here\r\n");
    assert!(matches!(
        bench.call_event(),
        CallOutput::Ended {
            cause: Cause::Busy,
            ..
        }
    ));
    assert_eq!(bench.ua.calls(), 1);
    // a next try may follow
    bench.ask(&refer(&tag, &id, 2, "Refer-To: <sip:1003@pbx.example>"));
    assert!(matches!(bench.call_event(), CallOutput::TransferAsked { .. }));
}

#[test]
fn a_refused_transfer_says_why_and_another_one_meanwhile_has_to_wait() {
    let (mut bench, tag, id) = talking();
    bench.ask(&refer(&tag, &id, 1, "Refer-To: <sip:666@evil.example>"));
    bench.call_event();
    bench.ask(&refer(&tag, &id, 2, "Refer-To: <sip:666@evil.example>"));
    assert_eq!(bench.response().code(), 491);
    bench.no_call_event();
    bench.ua.refuse_transfer(bench.now, LegId(1), "not \"listed\"");
    bench.settle();
    let refusal = bench.response();
    assert_eq!(refusal.code(), 603);
    assert_eq!(
        refusal.headers.text(&HeaderName::Warning).as_deref(),
        Some("399 doorline \"not 'listed'\"")
    );
    bench.pass(secs(40));
    bench.nothing_sent();
    assert_eq!(bench.ua.calls(), 1);
}

#[test]
fn a_wish_that_cannot_be_read_or_means_something_else_is_refused_at_once() {
    let (mut bench, tag, id) = talking();
    for (seq, (rest, code)) in [
        ("Subject: no Refer-To", 400),
        ("Refer-To: <sip:a@h>\nRefer-To: <sip:b@h>", 400),
        ("Refer-To: <mailto:a@h>", 400),
        ("Refer-To: <sip:a@h;method=BYE>", 400),
        ("Refer-To: <sip:a@h?Replaces=x>", 400),
        ("Refer-To: <sip:a@h>\nRequire: teleport", 420),
    ]
    .into_iter()
    .enumerate()
    {
        let seq = u32::try_from(seq).expect("few") + 1;
        bench.ask(&refer(&tag, &id, seq, rest));
        assert_eq!(bench.response().code(), code, "{rest}");
        bench.no_call_event();
    }
}

#[test]
fn who_wants_to_hear_nothing_is_told_nothing() {
    let (mut bench, tag, id) = talking();
    let rest = "Refer-To: <sip:1002@pbx.example>\nRequire: norefersub\nRefer-Sub: false";
    bench.ask(&refer(&tag, &id, 1, rest));
    bench.call_event();
    let invite = follow(&mut bench, "sip:1002@pbx.example", None);
    let sub = HeaderName::parse("Refer-Sub").expect("a name");
    assert_eq!(accepted(&mut bench).headers.text(&sub).as_deref(), Some("false"));
    let flow = bench.flow();
    bench.accept(flow, &invite, "other");
    bench.request_of(Method::ACK);
    bench.nothing_sent();
}

#[test]
fn whoever_hangs_up_before_the_transfer_is_over_is_told_no_more_and_the_new_call_goes_on() {
    let (mut bench, tag, id) = talking();
    bench.ask(&refer(&tag, &id, 1, "Refer-To: <sip:1002@pbx.example>"));
    bench.call_event();
    let invite = follow(&mut bench, "sip:1002@pbx.example", None);
    told(&mut bench);
    let bye = refer(&tag, &id, 2, "").replace("REFER", "BYE");
    bench.ask(&bye);
    assert_eq!(bench.response().code(), 200);
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
    let flow = bench.flow();
    bench.accept(flow, &invite, "other");
    bench.request_of(Method::ACK);
    assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
    bench.nothing_sent();
}

#[test]
fn an_end_of_the_call_answers_a_transfer_that_waits() {
    let (mut bench, tag, id) = talking();
    bench.ask(&refer(&tag, &id, 1, "Refer-To: <sip:1002@pbx.example>"));
    bench.call_event();
    bench.end(LegId(1), Cause::TalkLimit);
    let codes: Vec<u16> = bench
        .sent
        .iter()
        .filter_map(|(_, message)| match message {
            crate::Message::Response(response) => Some(response.code()),
            crate::Message::Request(_) => None,
        })
        .collect();
    assert_eq!(codes, [603]);
}

#[test]
fn outside_a_call_there_is_nothing_to_transfer() {
    let mut bench = Bench::trunk();
    bench.ask(&refer("x", "y", 1, "Refer-To: <sip:1002@pbx.example>").replace(";tag=x", ""));
    assert_eq!(bench.response().code(), 603);
    bench.no_call_event();
}

fn taking_over(bench: &mut Bench, replaces: &str, n: u32) {
    let text = invite(&format!("\nReplaces: {replaces}"), SDP)
        .replace("Call-ID: in1", &format!("Call-ID: take{n}"))
        .replace("bKin1", &format!("bKtake{n}"));
    bench.ask(&text);
}

#[test]
fn an_invite_with_replaces_is_told_with_the_call_that_it_names() {
    let (mut bench, tag, id) = talking();
    taking_over(&mut bench, &format!("{id};from-tag=phone;to-tag={tag}"), 1);
    match bench.call_event() {
        CallOutput::TakingOver {
            account,
            peer,
            replaced,
            ..
        } => {
            assert_eq!((account, replaced), (Some(pbx()), LegId(1)));
            assert_eq!(
                (peer.address.as_str(), peer.trusted),
                ("sip:1000@pbx.example", true)
            );
        }
        other => panic!("{other:?}"),
    }
    bench.ua.accept(bench.now, LegId(1000), SDP.into());
    bench.settle();
    assert_eq!(bench.response().code(), 200);
}

#[test]
fn replaces_that_fits_no_call_is_refused_as_rfc_3891_says() {
    let (mut bench, tag, id) = talking();
    for (n, (replaces, code)) in [
        (format!("{id};from-tag={tag};to-tag=phone"), 481),
        (format!("{id};from-tag=phone;to-tag={tag}0"), 481),
        (format!("{id};from-tag=phone"), 400),
        (
            format!("{id};from-tag=phone;to-tag={tag}\nReplaces: {id};from-tag=phone;to-tag={tag}"),
            400,
        ),
        (format!("{id};from-tag=phone;to-tag={tag};early-only"), 486),
    ]
    .into_iter()
    .enumerate()
    {
        taking_over(&mut bench, &replaces, u32::try_from(n).expect("few"));
        assert_eq!(bench.response().code(), code, "{replaces}");
        bench.no_call_event();
    }
}

#[test]
fn a_redirection_says_whom_to_call_instead_before_the_end() {
    for (code, contact, expected) in [
        (
            302,
            "<sip:1002@pbx.example>",
            Some((true, "sip:1002@pbx.example")),
        ),
        (
            301,
            "<sip:1002@10.0.0.2;method=BYE?Subject=x>",
            Some((true, "sip:1002@pbx.example")),
        ),
        (300, "<tel:+49301234>", Some((true, "sip:+49301234@pbx.example"))),
        (302, "<sip:1002@192.0.2.66>", Some((false, "sip:1002@192.0.2.66"))),
        (302, "<mailto:a@h>", None),
        (305, "<sip:1002@pbx.example>", None),
    ] {
        let mut bench = Bench::trunk();
        let (flow, invite) = bench.dial("1000");
        let response = Response::to(&invite, code)
            .with_to_tag("r")
            .with(HeaderName::Contact, contact);
        bench.reply_with(flow, response);
        if let Some((at_pbx, target)) = expected {
            let target = target.to_owned();
            assert_eq!(bench.call_event(), CallOutput::Redirected { at_pbx, target });
        }
        assert!(
            matches!(
                bench.call_event(),
                CallOutput::Ended {
                    cause: Cause::Refused,
                    ..
                }
            ),
            "{contact}"
        );
    }
}

#[test]
fn of_several_addresses_of_a_redirection_the_best_is_told_first_and_none_that_wants_tls_the_account_has_not()
{
    let pbx = |user: &str| format!("sip:{user}@pbx.example");
    for (contact, expected) in [
        (
            "<sip:1002@pbx.example>;q=0.1, <sip:1003@pbx.example>;q=1, <sip:1004@pbx.example>;q=0.75",
            vec!["1003", "1004", "1002"],
        ),
        (
            "<sip:1002@pbx.example>;q=0, <sip:1003@pbx.example>, <sip:1004@pbx.example>;q=x",
            vec!["1003", "1004", "1002"],
        ),
        ("<sips:1002@pbx.example>, <sip:1003@pbx.example>", vec!["1003"]),
        ("<sips:1002@pbx.example>", vec![]),
    ] {
        let mut bench = Bench::trunk();
        let (flow, invite) = bench.dial("1000");
        let response = Response::to(&invite, 302)
            .with_to_tag("r")
            .with(HeaderName::Contact, contact);
        bench.reply_with(flow, response);
        for user in expected {
            let (at_pbx, target) = (true, pbx(user));
            assert_eq!(bench.call_event(), CallOutput::Redirected { at_pbx, target });
        }
        assert!(
            matches!(bench.call_event(), CallOutput::Ended { .. }),
            "{contact}"
        );
    }
    // no more than are bounded
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    let many: Vec<String> = (0..12).map(|n| format!("<sip:{n}@pbx.example>")).collect();
    let response = Response::to(&invite, 302)
        .with_to_tag("r")
        .with(HeaderName::Contact, many.join(", "));
    bench.reply_with(flow, response);
    for n in 0..8 {
        let (at_pbx, target) = (true, pbx(&n.to_string()));
        assert_eq!(bench.call_event(), CallOutput::Redirected { at_pbx, target });
    }
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
}

#[test]
fn a_transfer_to_sips_is_refused_where_the_account_has_no_tls() {
    let (mut bench, tag, id) = talking();
    bench.ask(&refer(&tag, &id, 1, "Refer-To: <sips:1002@pbx.example>"));
    assert_eq!(bench.response().code(), 416);
    bench.no_call_event();
}

#[test]
fn news_of_a_transfer_over_many_proxies_go_over_tcp_and_over_udp_where_that_is_refused() {
    for refuse in [None, Some(Transport::Tcp)] {
        let used = if refuse.is_some() {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let mut bench = Bench::trunk();
        bench.refuse = refuse;
        let (flow, invite) = bench.dial("1000");
        let mut response = Response::to(&invite, 200)
            .with_to_tag("phone")
            .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5060>")
            .with_body("application/sdp", SDP);
        for n in 0..12 {
            let route = format!("<sip:edge{n}.pbx.example;lr;of={}>", "x".repeat(90));
            response.headers.push(HeaderName::RecordRoute, route);
        }
        bench.reply_with(flow, response);
        bench.request_of(Method::ACK);
        assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
        let from = invite.headers.from_addr().expect("ours");
        let (tag, id) = (
            from.tag().expect("a tag"),
            invite.headers.call_id().expect("ours"),
        );
        bench.ask(&refer(tag, &id, 1, "Refer-To: <sip:1002@pbx.example>"));
        assert!(matches!(bench.call_event(), CallOutput::TransferAsked { .. }));
        let invite = follow(&mut bench, "sip:1002@pbx.example", None);
        assert_eq!(accepted(&mut bench).code(), 202);
        let on = bench.flow();
        for news in ["100 Trying", "180 Ringing"] {
            let (flow, notify) = bench.request();
            assert_eq!(notify.method, Method::NOTIFY);
            assert_eq!((flow.transport, flow.remote), (used, on.remote));
            assert_eq!(notify.body, format!("SIP/2.0 {news}\r\n").as_bytes());
            bench.reply(flow, &notify, 200);
            bench.nothing_sent();
            bench.reply(on, &invite, 180);
        }
    }
}
