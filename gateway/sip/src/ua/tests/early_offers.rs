//! Offers while nobody has answered the call: in PRACK (RFC 3262 §5) and in UPDATE (RFC 3311 §5), in both roles.

use gateway_core::LegId;

use super::bench::{Bench, SDP, secs};
use super::incoming::{LEG, inside, invite};
use crate::ua::CallOutput;
use crate::{Flow, HeaderName, Message, Method, Request, Response};

const OFFER: &str = "v=0\r\no=offer\r\n";
const ANSWER: &[u8] = b"v=0\r\no=answer\r\n";

fn with_sdp(headers: &str, sdp: &str) -> String {
    format!("{headers}\nContent-Type: application/sdp\n\n{sdp}")
}

/// A caller that requires 100rel and has our answer in a 183; gives our tag and RSeq.
fn heard() -> (Bench, String, String) {
    let mut bench = Bench::trunk();
    bench.ask(&invite("\nRequire: 100rel", SDP));
    bench.call_event();
    bench.ua.ring_back(bench.now, LEG, SDP.as_bytes());
    bench.settle();
    let rings = bench.response();
    assert_eq!((rings.code(), rings.body.as_slice()), (183, SDP.as_bytes()));
    let rseq = rings.headers.text(&HeaderName::RSeq).expect("RSeq").into_owned();
    (bench, tag_of(&rings), rseq)
}

fn tag_of(response: &Response) -> String {
    response
        .headers
        .to()
        .expect("ours")
        .tag()
        .expect("a tag")
        .to_owned()
}

fn prack(seq: u32, tag: &str, rseq: &str, offer: Option<&str>) -> String {
    let rack = format!("\nRAck: {rseq} 5 INVITE");
    let rest = offer.map_or_else(|| rack.clone(), |offer| with_sdp(&rack, offer));
    inside("PRACK", seq, tag, &rest)
}

/// The driver answers, or refuses.
fn answers(bench: &mut Bench, sdp: Option<&[u8]>) {
    bench.ua.answer_reoffer(bench.now, LEG, sdp.map(<[u8]>::to_vec));
    bench.settle();
}

fn offered(bench: &mut Bench) {
    let sdp = Some(OFFER.into());
    assert_eq!(bench.call_event(), CallOutput::Reoffer { sdp });
    bench.no_call_event();
}

fn accepts(bench: &mut Bench) {
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
}

/// Codes of all responses sent, with the method that each is for.
fn codes(bench: &mut Bench) -> Vec<(u16, Method)> {
    let sent = bench.sent.drain(..).filter_map(|(_, message)| match message {
        Message::Request(_) => None,
        Message::Response(response) => {
            let method = response.headers.cseq().expect("its own").method;
            Some((response.code(), method))
        }
    });
    sent.collect()
}

#[test]
fn an_offer_in_prack_and_in_update_is_answered_and_the_200_repeats_no_answer_that_is_out_of_date() {
    let (mut bench, tag, rseq) = heard();
    bench.ask(&prack(6, &tag, &rseq, Some(OFFER)));
    offered(&mut bench);
    bench.nothing_sent();
    answers(&mut bench, Some(ANSWER));
    let ok = bench.response();
    assert_eq!((ok.code(), ok.body.as_slice()), (200, ANSWER));
    assert_eq!(ok.headers.cseq().expect("theirs").method, Method::PRACK);
    assert!(ok.headers.get(&HeaderName::Contact).is_none());
    bench.ask(&inside("UPDATE", 7, &tag, &with_sdp("", OFFER)));
    offered(&mut bench);
    answers(&mut bench, Some(ANSWER));
    let ok = bench.response();
    assert_eq!((ok.code(), ok.body.as_slice()), (200, ANSWER));
    assert!(ok.headers.get(&HeaderName::Contact).is_some());
    // what is agreed is not told twice
    bench.ua.ring_back(bench.now, LEG, SDP.as_bytes());
    bench.settle();
    let rings = bench.response();
    assert_eq!((rings.code(), rings.body.len()), (180, 0));
    let rseq = rings.headers.text(&HeaderName::RSeq).expect("RSeq").into_owned();
    bench.ask(&prack(8, &tag, &rseq, None));
    assert_eq!(bench.response().code(), 200);
    bench.pass(secs(40));
    bench.nothing_sent();
    accepts(&mut bench);
    let ok = bench.response();
    assert_eq!((ok.code(), ok.body.len()), (200, 0));
    bench.ask(&inside("ACK", 5, &tag, ""));
    assert_eq!(bench.call_event(), CallOutput::Confirmed { sdp: None });
    // and in the call it goes on as ever
    bench.ask(&inside("UPDATE", 9, &tag, &with_sdp("", OFFER)));
    offered(&mut bench);
    answers(&mut bench, Some(ANSWER));
    assert_eq!(bench.response().body, ANSWER);
}

#[test]
fn the_200_waits_for_the_prack_of_our_answer_and_for_the_answer_to_its_offer() {
    for offer in [None, Some(OFFER)] {
        let (mut bench, tag, rseq) = heard();
        accepts(&mut bench);
        bench.nothing_sent();
        bench.pass(secs(2));
        assert!(codes(&mut bench).iter().all(|(code, _)| *code == 183), "repeats");
        bench.ask(&prack(6, &tag, &rseq, offer));
        if offer.is_some() {
            offered(&mut bench);
            bench.nothing_sent();
            answers(&mut bench, Some(ANSWER));
        }
        let ok = bench.response();
        assert_eq!(ok.headers.cseq().expect("theirs").method, Method::PRACK);
        let ok = bench.response();
        assert_eq!(ok.headers.cseq().expect("theirs").method, Method::INVITE);
        let repeated = if offer.is_some() { "" } else { SDP };
        assert_eq!((ok.code(), ok.body.as_slice()), (200, repeated.as_bytes()));
        bench.ask(&inside("ACK", 5, &tag, ""));
        assert_eq!(bench.call_event(), CallOutput::Confirmed { sdp: None });
    }
    // who never acknowledges it does not get the call
    let (mut bench, ..) = heard();
    accepts(&mut bench);
    bench.pass(secs(33));
    let codes = codes(&mut bench);
    assert!(
        codes.iter().all(|(code, _)| matches!(code, 183 | 504)),
        "{codes:?}"
    );
    assert!(codes.contains(&(504, Method::INVITE)), "{codes:?}");
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
    assert_eq!(bench.ua.calls(), 0);
}

#[test]
fn a_caller_may_still_give_up_while_the_200_waits() {
    let (mut bench, tag, _) = heard();
    accepts(&mut bench);
    let cancel = inside("CANCEL", 5, "x", "")
        .replace(";tag=x", "")
        .replace("i5CANCEL", "in1");
    bench.ask(&cancel.replace("sip:door@", "sip:503@"));
    let codes = codes(&mut bench);
    assert!(codes.contains(&(487, Method::INVITE)), "{codes:?}");
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
    bench.ask(&inside("UPDATE", 7, &tag, &with_sdp("", OFFER)));
    assert_eq!(bench.response().code(), 481);
}

#[test]
fn an_offer_that_is_refused_before_the_answer_leaves_everything_as_it_was() {
    let (mut bench, tag, rseq) = heard();
    bench.ask(&prack(6, &tag, &rseq, Some(OFFER)));
    offered(&mut bench);
    answers(&mut bench, None);
    assert_eq!(bench.response().code(), 488);
    // the response has been heard all the same
    bench.pass(secs(40));
    bench.nothing_sent();
    bench.ask(&inside("UPDATE", 7, &tag, &with_sdp("", OFFER)));
    offered(&mut bench);
    // one at a time
    bench.ask(&inside("UPDATE", 8, &tag, &with_sdp("", OFFER)));
    let busy = bench.response();
    assert_eq!(busy.code(), 500);
    let wait = busy.headers.leading_number(&HeaderName::RetryAfter);
    assert!(wait.is_some_and(|wait| wait <= 10), "{wait:?}");
    answers(&mut bench, None);
    assert_eq!(bench.response().code(), 488);
    bench.ask(&inside("UPDATE", 9, &tag, "\nContent-Type: text/plain\n\nhello"));
    assert_eq!(bench.response().code(), 415);
    accepts(&mut bench);
    assert_eq!(bench.response().body, SDP.as_bytes());
}

#[test]
fn before_the_first_offer_has_an_answer_that_counts_there_is_no_second_one() {
    // our answer went in a response that may be lost
    let mut bench = Bench::trunk();
    bench.ask(&invite("", SDP));
    bench.call_event();
    bench.ua.ring_back(bench.now, LEG, SDP.as_bytes());
    bench.settle();
    let tag = tag_of(&bench.response());
    bench.ask(&inside("UPDATE", 6, &tag, &with_sdp("", OFFER)));
    let busy = bench.response();
    assert_eq!(busy.code(), 500);
    assert!(busy.headers.get(&HeaderName::RetryAfter).is_some());
    // it rings reliably, without an answer
    let mut bench = Bench::trunk();
    bench.ask(&invite("\nRequire: 100rel", SDP));
    bench.call_event();
    bench.ua.ring(bench.now, LEG);
    bench.settle();
    let rings = bench.response();
    let (tag, rseq) = (
        tag_of(&rings),
        rings.headers.text(&HeaderName::RSeq).expect("RSeq"),
    );
    bench.ask(&prack(6, &tag, &rseq, Some(OFFER)));
    assert_eq!(bench.response().code(), 488);
    bench.no_call_event();
    // ours, in the 200, waits for its answer
    let mut bench = Bench::trunk();
    bench.ask(&invite("", ""));
    bench.call_event();
    accepts(&mut bench);
    let tag = tag_of(&bench.response());
    bench.ask(&inside("UPDATE", 6, &tag, &with_sdp("", OFFER)));
    assert_eq!(bench.response().code(), 491);
    bench.ask(&inside("ACK", 5, &tag, &with_sdp("", SDP)));
    assert!(matches!(
        bench.call_event(),
        CallOutput::Confirmed { sdp: Some(_) }
    ));
}

/// We call, and somebody rings with an answer in a reliable 183.
fn calling() -> (Bench, Flow, Request) {
    let mut bench = Bench::trunk();
    let (flow, ours) = bench.dial("1000");
    rings(&mut bench, flow, &ours, "one");
    assert_eq!(bench.call_event(), CallOutput::Ringing);
    assert_eq!(bench.call_event(), CallOutput::EarlyMedia { sdp: SDP.into() });
    (bench, flow, ours)
}

fn response(invite: &Request, code: u16, tag: &str) -> Response {
    Response::to(invite, code)
        .with_to_tag(tag)
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2:5062>")
}

fn rings(bench: &mut Bench, flow: Flow, invite: &Request, tag: &str) {
    let rings = response(invite, 183, tag)
        .with(HeaderName::Require, "100rel")
        .with(HeaderName::RSeq, "7")
        .with_body("application/sdp", SDP);
    bench.reply_with(flow, rings);
    let prack = bench.request_of(Method::PRACK);
    assert!(prack.body.is_empty());
    bench.reply(flow, &prack, 200);
}

/// An UPDATE of somebody who rings.
fn update(ours: &Request, tag: &str, seq: u32, rest: &str) -> String {
    let us = ours.headers.from_addr().expect("ours").to_string();
    let call_id = ours.headers.call_id().expect("ours");
    format!(
        "UPDATE sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK{tag}{seq}\nMax-Forwards: 70\n\
         From: <sip:1000@pbx.example>;tag={tag}\nTo: {us}\nCall-ID: {call_id}\nCSeq: {seq} UPDATE\n\
         Contact: <sip:1000@10.0.0.2:5099>{rest}"
    )
}

fn early_offer(bench: &mut Bench, of: &str, is_heard: bool) {
    let offer = CallOutput::EarlyOffer {
        answer: SDP.into(),
        dialog: of.into(),
        heard: is_heard,
        sdp: OFFER.into(),
    };
    assert_eq!(bench.call_event(), offer);
    bench.no_call_event();
}

fn answers_early(bench: &mut Bench, of: &str, sdp: Option<&[u8]>) {
    let sdp = sdp.map(<[u8]>::to_vec);
    bench.ua.answer_early_offer(bench.now, LegId(1), of, sdp);
    bench.settle();
}

#[test]
fn an_offer_of_who_rings_is_answered_and_who_answers_is_agreed_with_by_that() {
    let (mut bench, flow, ours) = calling();
    bench.ask(&update(&ours, "one", 1, &with_sdp("", OFFER)));
    early_offer(&mut bench, "one", true);
    bench.nothing_sent();
    answers_early(&mut bench, "one", Some(ANSWER));
    let ok = bench.response();
    assert_eq!((ok.code(), ok.body.as_slice()), (200, ANSWER));
    assert!(ok.headers.get(&HeaderName::Contact).is_some());
    // the first answer, or whatever, is nothing any more
    for sdp in [SDP, OFFER] {
        let again = response(&ours, 183, "one").with_body("application/sdp", sdp);
        bench.reply_with(flow, again);
    }
    bench.no_call_event();
    // requests go where the UPDATE said
    let rings = response(&ours, 180, "one")
        .with(HeaderName::Require, "100rel")
        .with(HeaderName::RSeq, "8");
    let mut rings = rings;
    rings.headers.remove(&HeaderName::Contact);
    bench.reply_with(flow, rings);
    let prack = bench.request_of(Method::PRACK);
    assert_eq!(prack.uri.to_string(), "sip:1000@10.0.0.2:5099");
    let ok = response(&ours, 200, "one").with_body("application/sdp", OFFER);
    bench.reply_with(flow, ok);
    bench.request_of(Method::ACK);
    match bench.call_event() {
        CallOutput::Answered { dialog, sdp, .. } => {
            assert_eq!((dialog.as_str(), sdp.as_slice()), ("one", SDP.as_bytes()));
        }
        other => panic!("{other:?}"),
    }
    // numbers go on
    bench.ask(&update(&ours, "one", 1, "").replace("z9hG4bKone1", "z9hG4bKanother"));
    assert_eq!(bench.response().code(), 500);
}

#[test]
fn each_fork_makes_its_offers_by_itself_and_only_one_is_heard() {
    let (mut bench, flow, ours) = calling();
    rings(&mut bench, flow, &ours, "two");
    bench.ask(&update(&ours, "two", 1, &with_sdp("", OFFER)));
    early_offer(&mut bench, "two", false);
    // the other one's does not wait for that
    bench.ask(&update(&ours, "one", 1, &with_sdp("", OFFER)));
    early_offer(&mut bench, "one", true);
    answers_early(&mut bench, "one", None);
    assert_eq!(bench.response().code(), 488);
    answers_early(&mut bench, "two", Some(ANSWER));
    assert_eq!(bench.response().body, ANSWER);
    // one that was refused may come again, and nobody is asked twice
    bench.ask(&update(&ours, "one", 2, &with_sdp("", OFFER)));
    early_offer(&mut bench, "one", true);
    answers_early(&mut bench, "one", None);
    answers_early(&mut bench, "one", Some(ANSWER));
    answers_early(&mut bench, "three", Some(ANSWER));
    assert_eq!(codes(&mut bench), [(488, Method::UPDATE)]);
    bench.reply_with(flow, response(&ours, 200, "two"));
    match bench.call_event() {
        CallOutput::Answered { dialog, .. } => assert_eq!(dialog, "two"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_rings_makes_one_offer_at_a_time_after_an_answer_that_counts_and_one_that_can_be_read() {
    let (mut bench, flow, ours) = calling();
    bench.ask(&update(&ours, "one", 1, &with_sdp("", OFFER)));
    early_offer(&mut bench, "one", true);
    for rest in [with_sdp("", OFFER), String::new()] {
        let seq = 2 + u32::from(rest.is_empty());
        bench.ask(&update(&ours, "one", seq, &rest));
        let busy = bench.response();
        assert_eq!(busy.code(), 500);
        assert!(busy.headers.leading_number(&HeaderName::RetryAfter).is_some());
    }
    answers_early(&mut bench, "one", Some(ANSWER));
    assert_eq!(bench.response().code(), 200);
    for (seq, rest, code) in [
        (4, "\nContent-Type: text/plain\n\nhello".to_owned(), 415),
        (5, with_sdp("\nContent-Encoding: gzip", OFFER), 415),
        (6, with_sdp("\nRequire: telepathy", OFFER), 420),
    ] {
        bench.ask(&update(&ours, "one", seq, &rest));
        assert_eq!(bench.response().code(), code);
    }
    // an answer in a response that may be lost does not count
    let unsure = response(&ours, 183, "two").with_body("application/sdp", SDP);
    bench.reply_with(flow, unsure);
    bench.ask(&update(&ours, "two", 1, &with_sdp("", OFFER)));
    assert_eq!(bench.response().code(), 491);
    bench.no_call_event();
}

#[test]
fn an_offer_that_comes_with_the_answer_to_the_call_still_gets_its_own() {
    let (mut bench, flow, ours) = calling();
    bench.ask(&update(&ours, "one", 1, &with_sdp("", OFFER)));
    bench.reply_with(flow, response(&ours, 200, "one"));
    early_offer_first(&mut bench);
    answers_early(&mut bench, "one", Some(ANSWER));
    assert_eq!(bench.response().body, ANSWER);
    match bench.call_event() {
        CallOutput::Answered { dialog, .. } => assert_eq!(dialog, "one"),
        other => panic!("{other:?}"),
    }
    // and one that comes as the call fails
    let (mut bench, flow, ours) = calling();
    bench.ask(&update(&ours, "one", 1, &with_sdp("", OFFER)));
    bench.reply_with(flow, response(&ours, 486, "one"));
    early_offer_first(&mut bench);
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
    answers_early(&mut bench, "one", None);
    assert_eq!(codes(&mut bench), [(488, Method::UPDATE)]);
}

#[test]
fn an_offer_that_nobody_answered_is_answered_with_the_end_of_its_call() {
    let (mut bench, tag, rseq) = heard();
    bench.ask(&prack(6, &tag, &rseq, Some(OFFER)));
    offered(&mut bench);
    bench.ask(&inside("BYE", 7, &tag, ""));
    let codes_of = codes(&mut bench);
    for answered in [(200, Method::BYE), (487, Method::INVITE), (487, Method::PRACK)] {
        assert!(codes_of.contains(&answered), "{codes_of:?}");
    }
    answers(&mut bench, Some(ANSWER));
    bench.nothing_sent();

    let (mut bench, flow, ours) = calling();
    bench.ask(&update(&ours, "one", 1, &with_sdp("", OFFER)));
    early_offer(&mut bench, "one", true);
    bench.reply_with(flow, response(&ours, 486, "one"));
    bench.pass(secs(40));
    assert_eq!(codes(&mut bench), [(487, Method::UPDATE)]);
    answers_early(&mut bench, "one", Some(ANSWER));
    bench.nothing_sent();
}

fn early_offer_first(bench: &mut Bench) {
    assert!(matches!(bench.call_event(), CallOutput::EarlyOffer { .. }));
}
