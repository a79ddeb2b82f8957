//! Reliable provisional responses (RFC 3262) in both roles, and UPDATE before the answer (RFC 3311).

use gateway_core::{Cause, LegId};

use super::bench::{Bench, SDP, addr, secs};
use super::incoming::{LEG, inside, invite};
use crate::ua::{CallOutput, Provisional};
use crate::{Flow, HeaderName, Method, Request, Response};

/// A reliable response of the peer.
fn rings(invite: &Request, code: u16, tag: &str, rseq: u32) -> Response {
    Response::to(invite, code)
        .with_to_tag(tag)
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5062>")
        .with(HeaderName::Require, "100rel")
        .with(HeaderName::RSeq, rseq.to_string())
}

fn rack(prack: &Request) -> String {
    prack.headers.text(&HeaderName::RAck).expect("RAck").into_owned()
}

fn answer(bench: &mut Bench, flow: Flow, invite: &Request, tag: &str) -> Vec<u8> {
    let ok = Response::to(invite, 200)
        .with_to_tag(tag)
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5062>");
    bench.reply_with(flow, ok);
    bench.request_of(Method::ACK);
    match bench.call_event() {
        CallOutput::Answered { sdp, .. } => sdp,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reliable_ringing_is_acknowledged_once_and_its_answer_stands_in_for_that_of_the_200() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    assert!(invite.headers.has_token(&HeaderName::Supported, "100rel"));
    assert!(invite.headers.get(&HeaderName::Require).is_none());
    let early = rings(&invite, 183, "r", 7).with_body("application/sdp", SDP);
    bench.reply_with(flow, early.clone());
    assert_eq!(bench.call_event(), CallOutput::Ringing);
    assert_eq!(bench.call_event(), CallOutput::EarlyMedia { sdp: SDP.into() });
    let (way, prack) = bench.request();
    assert_eq!(way.remote, addr("10.0.0.2:5062"));
    assert_eq!(rack(&prack), "7 1 INVITE");
    assert_eq!(prack.uri.to_string(), "sip:1000@10.0.0.2:5062");
    assert_eq!(prack.headers.cseq().expect("ours").number, 2);
    assert_eq!(prack.headers.to().expect("theirs").tag(), Some("r"));
    // It comes again, since nobody hears us at that Contact: it is acknowledged where the PBX was reached.
    bench.reply_with(flow, early);
    let (way, prack) = bench.request();
    assert_eq!((way, rack(&prack).as_str()), (flow, "7 1 INVITE"));
    // One too far ahead is neither acknowledged nor heard.
    bench.reply_with(flow, rings(&invite, 180, "r", 9));
    bench.nothing_sent();
    bench.reply(flow, &prack, 200);
    bench.reply_with(flow, rings(&invite, 180, "r", 8));
    assert_eq!(rack(&bench.request_of(Method::PRACK)), "8 1 INVITE");
    bench.no_call_event();
    assert_eq!(answer(&mut bench, flow, &invite, "r"), SDP.as_bytes());
    bench.end(LegId(1), Cause::Released);
    // Numbers go on after those of the early dialog.
    assert_eq!(
        bench.request_of(Method::BYE).headers.cseq().expect("ours").number,
        5
    );
}

#[test]
fn forks_ring_reliably_each_by_its_own_numbers_and_the_loser_is_hung_up_in_order() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    for (tag, rseq) in [("one", 100), ("two", 5)] {
        bench.reply_with(flow, rings(&invite, 180, tag, rseq));
        let prack = bench.request_of(Method::PRACK);
        assert_eq!(prack.headers.to().expect("theirs").tag(), Some(tag));
        assert_eq!(rack(&prack), format!("{rseq} 1 INVITE"));
    }
    bench.call_event();
    answer(&mut bench, flow, &invite, "two");
    bench.accept(flow, &invite, "one");
    bench.request_of(Method::ACK);
    let bye = bench.request_of(Method::BYE);
    assert_eq!(bye.headers.to().expect("theirs").tag(), Some("one"));
    assert_eq!(bye.headers.cseq().expect("ours").number, 3);
}

/// A response with a description that is not acknowledged.
fn speaks(invite: &Request, tag: &str, sdp: &str) -> Response {
    Response::to(invite, 183)
        .with_to_tag(tag)
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5062>")
        .with_body("application/sdp", sdp)
}

#[test]
fn of_a_forked_call_the_first_that_has_early_media_is_told_and_each_change_of_it() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    let other = format!("{SDP}s=-\r\n");
    let early = |bench: &mut Bench, sdp: &str| {
        assert_eq!(bench.call_event(), CallOutput::EarlyMedia { sdp: sdp.into() });
        bench.no_call_event();
    };
    bench.reply_with(flow, Response::to(&invite, 180).with_to_tag("bell"));
    assert_eq!(bench.call_event(), CallOutput::Ringing);
    bench.reply_with(flow, speaks(&invite, "one", SDP));
    early(&mut bench, SDP);
    // once more, of another phone, and with a body that is no description
    bench.reply_with(flow, speaks(&invite, "one", SDP));
    bench.reply_with(flow, speaks(&invite, "two", &other));
    bench.reply_with(
        flow,
        Response::to(&invite, 183)
            .with_to_tag("one")
            .with_body("text/plain", "x"),
    );
    bench.no_call_event();
    bench.reply_with(flow, speaks(&invite, "one", &other));
    early(&mut bench, &other);
    // the one that answers says itself how; who said it before need not say it again
    let answered = answer(&mut bench, flow, &invite, "two");
    assert!(answered.is_empty(), "the second was not heard");
    bench.end(LegId(1), Cause::Released);

    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.reply_with(flow, speaks(&invite, "one", SDP));
    assert_eq!(bench.call_event(), CallOutput::Ringing);
    early(&mut bench, SDP);
    assert_eq!(answer(&mut bench, flow, &invite, "one"), SDP.as_bytes());
}

#[test]
fn a_challenged_prack_goes_again_with_credentials() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.reply_with(flow, rings(&invite, 180, "r", 1));
    let prack = bench.request_of(Method::PRACK);
    let challenge = Response::to(&prack, 401).with(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"",
    );
    bench.reply_with(flow, challenge);
    let again = bench.request_of(Method::PRACK);
    assert_eq!(rack(&again), "1 1 INVITE");
    assert_eq!(again.headers.cseq().expect("ours").number, 3);
    assert!(again.headers.get(&HeaderName::Authorization).is_some());
}

#[test]
fn the_setting_says_whether_it_is_offered_required_or_refused() {
    let mut bench = Bench::trunk_with(|account| account.provisional = Provisional::Off);
    let (flow, ours) = bench.dial("1000");
    assert!(!ours.headers.has_token(&HeaderName::Supported, "100rel"));
    bench.reply_with(flow, rings(&ours, 180, "r", 1));
    assert_eq!(bench.call_event(), CallOutput::Ringing);
    bench.nothing_sent();
    bench.ask(&invite("\nRequire: 100rel", SDP));
    let refusal = bench.response();
    assert_eq!(refusal.code(), 420);
    assert_eq!(
        refusal.headers.text(&HeaderName::Unsupported).as_deref(),
        Some("100rel")
    );

    let mut bench = Bench::trunk_with(|account| account.provisional = Provisional::Required);
    let (_, ours) = bench.dial("1000");
    assert!(ours.headers.has_token(&HeaderName::Require, "100rel"));
    bench.ask(&invite("", SDP));
    let refusal = bench.response();
    assert_eq!(refusal.code(), 421);
    assert_eq!(
        refusal.headers.text(&HeaderName::Require).as_deref(),
        Some("100rel")
    );
}

/// A caller that requires 100rel, told that it rings; gives our tag and RSeq.
fn ringing() -> (Bench, String, String) {
    let mut bench = Bench::trunk();
    bench.ask(&invite("\nRequire: 100rel", SDP));
    bench.call_event();
    bench.ua.ring(bench.now, LEG);
    bench.settle();
    let ringing = bench.response();
    assert_eq!(ringing.code(), 180);
    assert!(ringing.headers.has_token(&HeaderName::Require, "100rel"));
    let rseq = ringing
        .headers
        .text(&HeaderName::RSeq)
        .expect("RSeq")
        .into_owned();
    let tag = ringing
        .headers
        .to()
        .expect("ours")
        .tag()
        .expect("a tag")
        .to_owned();
    (bench, tag, rseq)
}

#[test]
fn our_ringing_is_repeated_until_its_prack_and_then_no_more() {
    let (mut bench, tag, rseq) = ringing();
    bench.pass(secs(4));
    let repeats = bench.sent.len();
    assert!((2..=4).contains(&repeats), "{repeats}");
    bench.sent.clear();
    // No second one before the first is acknowledged.
    bench.ua.ring(bench.now, LEG);
    bench.settle();
    bench.nothing_sent();
    bench.ask(&inside("PRACK", 6, &tag, "\nRAck: 1 5 INVITE"));
    assert_eq!(bench.response().code(), 481);
    bench.ask(&inside("PRACK", 7, &tag, &format!("\nRAck: {rseq} 5 INVITE")));
    assert_eq!(bench.response().code(), 200);
    bench.pass(secs(60));
    bench.nothing_sent();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    assert_eq!(bench.response().code(), 200);
    bench.ask(&inside("ACK", 5, &tag, ""));
    assert_eq!(bench.call_event(), CallOutput::Confirmed { sdp: None });
}

#[test]
fn an_answer_overtakes_the_prack_which_is_still_taken() {
    let (mut bench, tag, rseq) = ringing();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    assert_eq!(bench.response().code(), 200);
    bench.ask(&inside("ACK", 5, &tag, ""));
    bench.call_event();
    bench.pass(secs(40));
    bench.nothing_sent();
    bench.ask(&inside("PRACK", 6, &tag, &format!("\nRAck: {rseq} 5 INVITE")));
    assert_eq!(bench.response().code(), 200);
    assert_eq!(bench.ua.calls(), 1);
}

#[test]
fn a_caller_that_never_acknowledges_our_ringing_is_refused() {
    let (mut bench, _, _) = ringing();
    bench.pass(secs(33));
    let mut codes = Vec::new();
    while let Some((_, message)) = bench.sent.pop_front() {
        if let crate::Message::Response(response) = message {
            codes.push(response.code());
        }
    }
    assert!(codes.contains(&504), "{codes:?}");
    match bench.call_event() {
        CallOutput::Ended { cause, .. } => assert_eq!(cause, Cause::Unreachable),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.ua.calls(), 0);
}

#[test]
fn a_caller_hears_from_us_that_it_rings_if_he_has_said_where_reliably_if_he_wants() {
    for (requires, offer, code) in [
        ("", SDP, Some(183)),
        ("\nRequire: 100rel", SDP, Some(183)),
        ("", "", Some(180)),
        ("\nRequire: 100rel", "", None),
    ] {
        let mut bench = Bench::trunk();
        bench.ask(&invite(requires, offer));
        bench.call_event();
        bench.ua.ring_back(bench.now, LEG, SDP.as_bytes());
        bench.settle();
        let Some(code) = code else {
            bench.nothing_sent();
            continue;
        };
        let rings = bench.response();
        assert_eq!(rings.code(), code, "{requires} {offer}");
        assert_eq!(
            rings.headers.has_token(&HeaderName::Require, "100rel"),
            !requires.is_empty()
        );
        let body = if code == 183 { SDP } else { "" };
        assert_eq!(rings.body, body.as_bytes());
    }
}

#[test]
fn an_invite_without_offer_that_requires_100rel_is_answered_without_ringing() {
    let mut bench = Bench::trunk();
    bench.ask(&invite("\nRequire: 100rel", ""));
    bench.call_event();
    bench.ua.ring(bench.now, LEG);
    bench.settle();
    bench.nothing_sent();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    assert_eq!(bench.response().code(), 200);
}

#[test]
fn update_before_the_answer_names_the_party_and_moves_the_target_but_makes_no_offer_before_ours_has_an_answer()
 {
    let mut bench = Bench::trunk();
    let (flow, ours) = bench.dial("1000");
    bench.reply_with(flow, rings(&ours, 180, "r", 1));
    bench.call_event();
    let us = ours.headers.from_addr().expect("ours").to_string();
    let call_id = ours.headers.call_id().expect("ours");
    let update = |seq: u32, rest: &str| {
        format!(
            "UPDATE sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKe{seq}\nMax-Forwards: 70\n\
             From: <sip:1000@pbx.example>;tag=r\nTo: {us}\nCall-ID: {call_id}\nCSeq: {seq} UPDATE\n\
             Contact: <sip:1000@10.0.0.2:5099>\nP-Asserted-Identity: <sip:1005@pbx.example>{rest}"
        )
    };
    bench.sent.clear();
    bench.ask(&update(3, ""));
    let ok = bench.response();
    assert_eq!(ok.code(), 200);
    assert!(ok.headers.get(&HeaderName::Contact).is_some());
    bench.ask(&update(2, ""));
    assert_eq!(bench.response().code(), 500);
    bench.ask(&update(4, "\nContent-Type: application/sdp\n\nv=0"));
    assert_eq!(bench.response().code(), 491);
    bench.no_call_event();
    // Who answers is who the network named, for the right to open depends on it.
    let ok = Response::to(&ours, 200)
        .with_to_tag("r")
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5099>")
        .with_body("application/sdp", SDP);
    bench.reply_with(flow, ok);
    match bench.call_event() {
        CallOutput::Answered { peer, .. } => assert_eq!(peer.address, "sip:1005@pbx.example"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_may_name_itself_anew_by_update_before_we_answer_and_then_may_not_open() {
    let mut bench = Bench::trunk();
    bench.ask(&invite("", SDP));
    bench.call_event();
    bench.ua.ring(bench.now, LEG);
    bench.settle();
    let tag = bench
        .response()
        .headers
        .to()
        .expect("ours")
        .tag()
        .expect("a tag")
        .to_owned();
    bench.ask(&inside(
        "UPDATE",
        6,
        &tag,
        "\nP-Asserted-Identity: <sip:2000@pbx.example>",
    ));
    assert_eq!(bench.response().code(), 200);
    assert!(matches!(bench.call_event(), CallOutput::AuthorityLost { .. }));
    bench.ask(&inside(
        "UPDATE",
        7,
        &tag,
        "\nContent-Type: application/sdp\n\nv=0",
    ));
    assert_eq!(bench.response().code(), 500);
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    assert_eq!(bench.response().code(), 200);
}
