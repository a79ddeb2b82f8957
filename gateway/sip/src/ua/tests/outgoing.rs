//! Outgoing calls.

use gateway_core::{Cause, LegId};

use super::bench::{Bench, SDP, account, addr, params, secs};
use crate::ua::CallOutput;
use crate::{Flow, HeaderName, Method, Request, Response, Transport};

fn ended(bench: &mut Bench) -> (Cause, String) {
    match bench.call_event() {
        CallOutput::Ended { cause, detail } => (cause, detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_acknowledged_and_told_with_the_asserted_party() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    assert_eq!(invite.method, Method::INVITE);
    assert_eq!(invite.uri.to_string(), "sip:1000@pbx.example");
    assert_eq!(
        invite.headers.text(&HeaderName::SessionId).expect("RFC 7989"),
        "00000000000173038303030303030303;remote=00000000000000000000000000000000"
    );
    bench.reply(flow, &invite, 100);
    bench.reply(flow, &invite, 180);
    bench.reply(flow, &invite, 180);
    assert_eq!(bench.call_event(), CallOutput::Ringing);
    bench.no_call_event();
    let ok = Response::to(&invite, 200)
        .with_to_tag("r")
        .with(HeaderName::Contact, "<sip:1000@10.0.0.9>")
        .with(HeaderName::PAssertedIdentity, "\"Anna\" <sip:1001@pbx.example>")
        .with_body("application/sdp", SDP);
    bench.reply_with(flow, ok.clone());
    let ack = bench.request_of(Method::ACK);
    assert_eq!(ack.uri.to_string(), "sip:1000@10.0.0.9");
    assert_eq!(
        ack.headers.text(&HeaderName::SessionId),
        invite.headers.text(&HeaderName::SessionId)
    );
    match bench.call_event() {
        CallOutput::Answered { peer, sdp, .. } => {
            assert_eq!(peer.address, "sip:1001@pbx.example");
            assert_eq!(peer.display.as_deref(), Some("Anna"));
            assert_eq!(sdp, SDP.as_bytes());
        }
        other => panic!("{other:?}"),
    }
    // The ACK was lost: the 2xx comes again and only the ACK is repeated.
    bench.reply_with(flow, ok);
    assert_eq!(bench.request_of(Method::ACK), ack);
    bench.no_call_event();
    bench.end(LegId(1), Cause::Released);
    let bye = bench.request_of(Method::BYE);
    assert_eq!(bye.headers.cseq().expect("ours").number, 2);
    bench.reply(flow, &bye, 200);
    bench.pass(secs(60));
    assert!(bench.ua.is_idle());
}

/// RFC 3261 §12.2.1.1: requests inside a call go where route or Contact lead, and so past a proxy that does not stay on the way; but
/// a PBX may write an address that only it can reach.
#[test]
fn requests_inside_a_call_go_where_the_answer_leads_and_else_where_the_pbx_was_reached() {
    let contact = "<sip:1000@10.0.0.9:5062>";
    for (headers, leads) in [
        (vec![(HeaderName::Contact, contact)], "10.0.0.9:5062"),
        (
            vec![
                (HeaderName::Contact, contact),
                (HeaderName::RecordRoute, "<sip:10.0.0.7;lr>"),
            ],
            "10.0.0.7:5060",
        ),
        (
            vec![(HeaderName::Contact, "<sip:1000@phone.example>")],
            "10.0.0.2:5060",
        ),
        (vec![], "10.0.0.2:5060"),
    ] {
        for repeats in 0..3 {
            let mut bench = Bench::trunk();
            let (flow, invite) = bench.dial("1000");
            let mut ok = Response::to(&invite, 200)
                .with_to_tag("r")
                .with_body("application/sdp", SDP);
            for (name, value) in &headers {
                ok = ok.with(name.clone(), *value);
            }
            let (stated, reached) = (addr(leads), flow.remote);
            let mut expected = stated;
            for heard in 0..=repeats {
                bench.reply_with(flow, ok.clone());
                let (way, ack) = bench.request();
                assert_eq!((way.remote, ack.method), (expected, Method::ACK), "{leads}");
                if heard < repeats {
                    expected = if expected == stated { reached } else { stated };
                }
            }
            // what was learnt by the ACK holds for what follows
            bench.end(LegId(1), Cause::Released);
            let (way, bye) = bench.request();
            assert_eq!((way.remote, bye.method), (expected, Method::BYE), "{leads}");
        }
    }
}

#[test]
fn a_phone_past_a_proxy_that_left_hangs_up_from_where_its_contact_is() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    let ok = Response::to(&invite, 200)
        .with_to_tag("r")
        .with(HeaderName::Contact, "<sip:1000@10.0.0.9:5062>")
        .with_body("application/sdp", SDP);
    bench.reply_with(flow, ok);
    bench.request_of(Method::ACK);
    bench.call_event();
    let (from, call_id) = (
        invite.headers.from_addr().expect("ours"),
        invite.headers.call_id().expect("ours"),
    );
    let bye = |of: &str| {
        format!(
            "BYE sip:503@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {of};branch=z9hG4bK{call_id}{of}\r\nFrom: <sip:1000@pbx.example>;tag=r\r\nTo: \
             {from}\r\nCall-ID: {call_id}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let stranger = flow.towards(addr("10.0.0.8:5062"));
    bench.receive(stranger, bye("10.0.0.8:5062").as_bytes());
    bench.no_call_event();
    let phone = flow.towards(addr("10.0.0.9:5062"));
    bench.receive(phone, bye("10.0.0.9:5062").as_bytes());
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
}

#[test]
fn final_answers_tell_the_plan_why() {
    for (code, cause) in [
        (486, Cause::Busy),
        (600, Cause::Busy),
        (404, Cause::NotFound),
        (603, Cause::Declined),
        (480, Cause::Unavailable),
        (488, Cause::Media),
        (503, Cause::Unreachable),
        (302, Cause::Refused),
        (403, Cause::Refused),
    ] {
        let mut bench = Bench::trunk();
        let (flow, invite) = bench.dial("1000");
        bench.reply(flow, &invite, code);
        bench.request_of(Method::ACK);
        let (told, detail) = ended(&mut bench);
        assert_eq!(told, cause, "{code}");
        assert!(detail.starts_with(&code.to_string()), "{detail}");
        bench.nothing_sent();
    }
}

#[test]
fn a_challenge_is_answered_with_a_new_cseq_and_the_same_offer() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    let challenge = Response::to(&invite, 401).with_to_tag("x").with(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"",
    );
    bench.reply_with(flow, challenge);
    bench.request_of(Method::ACK);
    let again = bench.request_of(Method::INVITE);
    assert_eq!(again.headers.cseq().expect("ours").number, 2);
    assert_eq!(again.headers.call_id(), invite.headers.call_id());
    assert_eq!(again.body, invite.body);
    assert!(again.headers.get(&HeaderName::Authorization).is_some());
    // The same challenge again means a wrong password.
    let refused = Response::to(&again, 401).with_to_tag("x").with(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"pbx\", nonce=\"n2\", qop=\"auth\"",
    );
    bench.reply_with(flow, refused);
    bench.request_of(Method::ACK);
    assert_eq!(ended(&mut bench).0, Cause::Refused);
    bench.nothing_sent();
}

#[test]
fn cancel_waits_for_a_provisional_answer_and_says_why() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.end(LegId(1), Cause::AnsweredElsewhere);
    bench.nothing_sent();
    bench.reply(flow, &invite, 180);
    let cancel = bench.request_of(Method::CANCEL);
    assert_eq!(
        cancel.headers.text(&HeaderName::Reason).expect("why"),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    bench.reply(flow, &cancel, 200);
    bench.reply(flow, &invite, 487);
    bench.request_of(Method::ACK);
    bench.no_call_event();
    bench.pass(secs(60));
    assert!(bench.ua.is_idle());
}

#[test]
fn an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.reply(flow, &invite, 180);
    bench.call_event();
    bench.end(LegId(1), Cause::AnsweredElsewhere);
    bench.request_of(Method::CANCEL);
    bench.accept(flow, &invite, "r");
    bench.request_of(Method::ACK);
    let bye = bench.request_of(Method::BYE);
    assert_eq!(
        bye.headers.text(&HeaderName::Reason).expect("why"),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    bench.no_call_event();
}

#[test]
fn the_first_of_two_answering_forks_wins() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.accept(flow, &invite, "one");
    bench.request_of(Method::ACK);
    assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
    bench.accept(flow, &invite, "two");
    let ack = bench.request_of(Method::ACK);
    assert_eq!(ack.headers.to().expect("theirs").tag(), Some("two"));
    let bye = bench.request_of(Method::BYE);
    assert_eq!(bye.headers.to().expect("theirs").tag(), Some("two"));
    bench.no_call_event();
    // The winner's call goes on.
    bench.end(LegId(1), Cause::Released);
    let bye = bench.request_of(Method::BYE);
    assert_eq!(bye.headers.to().expect("theirs").tag(), Some("one"));
}

#[test]
fn silence_is_unreachable_after_timer_b_and_no_answer_after_ringing() {
    let mut bench = Bench::trunk();
    bench.dial("1000");
    bench.pass(secs(31));
    bench.no_call_event();
    bench.pass(secs(2));
    assert_eq!(ended(&mut bench).0, Cause::Unreachable);

    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    bench.reply(flow, &invite, 180);
    bench.call_event();
    bench.reply(flow, &invite, 408);
    assert_eq!(ended(&mut bench).0, Cause::NoAnswer);
}

#[test]
fn patience_ends_where_nothing_is_heard_and_not_where_somebody_tries() {
    let mut bench = Bench::trunk();
    bench.patience = Some(secs(4));
    let (flow, invite) = bench.dial("1000");
    bench.pass(secs(3));
    bench.no_call_event();
    bench.pass(secs(2));
    assert_eq!(
        ended(&mut bench),
        (Cause::Unreachable, "nothing was heard from there".to_owned())
    );
    bench.sent.clear();
    // it lives after all: it is told that nobody waits any more
    bench.reply(flow, &invite, 100);
    let cancel = bench.request_of(Method::CANCEL);
    bench.reply(flow, &cancel, 200);
    bench.reply(flow, &invite, 487);
    bench.request_of(Method::ACK);
    bench.no_call_event();
    bench.pass(secs(60));
    assert!(bench.ua.is_idle());

    let mut bench = Bench::trunk();
    bench.patience = Some(secs(4));
    let (flow, invite) = bench.dial("1000");
    bench.reply(flow, &invite, 100);
    bench.pass(secs(30));
    bench.no_call_event();
}

#[test]
fn a_long_invite_goes_over_tcp_and_over_udp_where_nobody_listens() {
    let long = vec![b'x'; 1300];
    let mut bench = Bench::trunk();
    let (flow, _) = bench
        .dial_with(Some(super::bench::pbx()), "1000", long.clone())
        .expect("a route");
    assert_eq!(flow.transport, Transport::Tcp);

    let mut bench = Bench::trunk();
    bench.refuse = Some(Transport::Tcp);
    let (flow, _) = bench
        .dial_with(Some(super::bench::pbx()), "1000", long)
        .expect("a route");
    assert_eq!(flow.transport, Transport::Udp);
}

/// The connection was for the size of the INVITE alone: nobody but the PBX can use it.
#[test]
fn a_call_whose_invite_went_over_tcp_for_its_size_goes_on_over_udp_unless_its_answer_says_tcp() {
    for (contact, by) in [
        ("<sip:1000@10.0.0.9:5062>", Transport::Udp),
        ("<sip:1000@10.0.0.2;transport=tcp>", Transport::Tcp),
    ] {
        let mut bench = Bench::trunk();
        let (flow, invite) = bench
            .dial_with(Some(super::bench::pbx()), "1000", vec![b'x'; 1300])
            .expect("a route");
        assert_eq!(flow.transport, Transport::Tcp);
        let ours = invite.headers.text(&HeaderName::Contact).expect("ours");
        assert!(!ours.contains("transport"), "{ours}");
        let ok = Response::to(&invite, 200)
            .with_to_tag("r")
            .with(HeaderName::Contact, contact)
            .with_body("application/sdp", SDP);
        bench.reply_with(flow, ok);
        let (way, ack) = bench.request();
        assert_eq!((way.transport, ack.method), (by, Method::ACK));
        bench.end(LegId(1), Cause::Released);
        let (way, bye) = bench.request();
        assert_eq!((way.transport, bye.method), (by, Method::BYE));
    }
}

#[test]
fn a_direct_call_needs_no_account_and_a_number_alone_does() {
    let mut bench = Bench::new(Vec::new());
    let (flow, invite) = bench
        .dial_with(None, "sip:1001@10.0.0.7:5070", SDP.into())
        .expect("a route");
    assert_eq!(flow.remote, addr("10.0.0.7:5070"));
    bench.accept(flow, &invite, "r");
    bench.request_of(Method::ACK);
    assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));

    let mut bench = Bench::new(Vec::new());
    bench.ua.call(
        bench.now,
        crate::ua::OutgoingCall {
            account: None,
            display: String::new(),
            leg: LegId(1),
            manner: gateway_core::Manner::default(),
            patience: None,
            ring: gateway_core::RingId::new(1, [3; 10]),
            target: "1000".into(),
        },
    );
    bench.settle();
    assert_eq!(ended(&mut bench).0, Cause::NotFound);
}

#[test]
fn whoever_says_to_be_another_one_in_the_answer_of_a_direct_call_has_no_right() {
    for (told, loses) in [("evil", true), ("1001", false)] {
        let mut bench = Bench::new(Vec::new());
        let target = "sip:1001@10.0.0.7:5070";
        let (flow, invite) = bench.dial_with(None, target, SDP.into()).expect("a route");
        let response = Response::to(&invite, 200)
            .with_to_tag("r")
            .with(HeaderName::Contact, "<sip:1001@10.0.0.7:5070>")
            .with(
                HeaderName::PAssertedIdentity,
                format!("<sip:{told}@elsewhere.example>"),
            )
            .with_body("application/sdp", SDP);
        bench.reply_with(flow, response);
        assert!(matches!(bench.call_event(), CallOutput::Answered { .. }));
        if loses {
            assert!(matches!(bench.call_event(), CallOutput::AuthorityLost { .. }));
        } else {
            bench.no_call_event();
        }
    }
}

#[test]
fn a_call_without_a_route_fails_at_once() {
    let mut bench = Bench::trunk();
    bench.unsendable = true;
    assert!(
        bench
            .dial_with(Some(super::bench::pbx()), "1000", SDP.into())
            .is_none()
    );
    assert_eq!(
        ended(&mut bench),
        (Cause::Unreachable, "cannot be delivered".into())
    );
}

fn next_invite(bench: &mut Bench) -> (Flow, Request) {
    loop {
        let (flow, request) = bench.request();
        if request.method == Method::INVITE {
            return (flow, request);
        }
    }
}

#[test]
fn a_503_sends_the_call_to_the_next_server_of_the_name() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::new(Vec::new());
        bench.servers = ["10.0.0.3:5060", "10.0.0.4:5070", "10.0.0.5:5060"]
            .map(addr)
            .to_vec();
        bench.patience = Some(secs(5));
        bench
            .ua
            .configure(bench.now, params(), vec![account(transport, false)]);
        bench.settle();
        let (flow, first) = bench.dial("501");
        assert_eq!(flow.remote, addr("10.0.0.3:5060"));
        bench.reply(flow, &first, 503);
        let (flow, second) = next_invite(&mut bench);
        assert_eq!(flow.remote, addr("10.0.0.4:5070"));
        assert_eq!(second.body, first.body);
        assert_eq!(
            second.headers.text(&HeaderName::CallId),
            first.headers.text(&HeaderName::CallId)
        );
        bench.no_call_event();
        bench.reply(flow, &second, 180);
        assert_eq!(bench.call_event(), CallOutput::Ringing);
        // whoever rang is no server that is down
        bench.reply(flow, &second, 503);
        assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
        // the next call begins where the last one got through
        bench.sent.clear();
        let (flow, _) = bench.dial("502");
        assert_eq!(flow.remote, addr("10.0.0.4:5070"));
    }
}

#[test]
fn a_call_that_all_servers_refuse_ends_and_a_silent_one_after_a_503_costs_its_patience() {
    let mut bench = Bench::new(Vec::new());
    bench.servers = ["10.0.0.3:5060", "10.0.0.4:5070"].map(addr).to_vec();
    bench.patience = Some(secs(5));
    bench
        .ua
        .configure(bench.now, params(), vec![account(Transport::Udp, false)]);
    bench.settle();
    let (flow, first) = bench.dial("501");
    bench.reply(flow, &first, 503);
    let (flow, second) = next_invite(&mut bench);
    bench.reply(flow, &second, 503);
    match bench.call_event() {
        CallOutput::Ended { detail, .. } => assert_eq!(detail, "503 Service Unavailable"),
        other => panic!("{other:?}"),
    }
    bench.sent.clear();
    let (flow, first) = bench.dial("501");
    bench.reply(flow, &first, 503);
    bench.pass(secs(4));
    bench.no_call_event();
    bench.pass(secs(2));
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
}
