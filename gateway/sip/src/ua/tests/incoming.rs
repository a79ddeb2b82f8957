//! Incoming calls and requests.

use std::collections::BTreeSet;

use gateway_core::{Cause, LegId};

use super::bench::{Bench, SDP, account, addr, params, secs};
use crate::ua::{CallOutput, UaAccount};
use crate::{Flow, HeaderName, Host, Method, Transport};

pub(super) const LEG: LegId = LegId(1000);

pub(super) fn invite(extra: &str, body: &str) -> String {
    let kind = if body.is_empty() {
        ""
    } else {
        "\nContent-Type: application/sdp"
    };
    format!(
        "INVITE sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKin1\nMax-Forwards: 70\n\
         From: \"Anna\" <sip:1000@pbx.example>;tag=them\nTo: <sip:503@pbx.example>\nCall-ID: in1\nCSeq: 5 INVITE\n\
         Contact: <sip:1000@10.0.0.2>{extra}{kind}\n\n{body}"
    )
}

pub(super) fn inside(method: &str, seq: u32, tag: &str, rest: &str) -> String {
    format!(
        "{method} sip:door@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKi{seq}{method}\nMax-Forwards: 70\n\
         From: <sip:1000@pbx.example>;tag=them\nTo: <sip:503@pbx.example>;tag={tag}\nCall-ID: in1\nCSeq: {seq} {method}\n\
         Contact: <sip:1000@10.0.0.2>{rest}"
    )
}

/// A call that was answered and acknowledged; gives our tag.
pub(super) fn talking() -> (Bench, String) {
    let mut bench = Bench::trunk();
    bench.ask(&invite("", SDP));
    match bench.call_event() {
        CallOutput::Incoming {
            account, peer, sdp, ..
        } => {
            assert!(account.is_some());
            assert_eq!(peer.address, "sip:1000@pbx.example");
            assert_eq!(sdp.as_deref(), Some(SDP.as_bytes()));
        }
        other => panic!("{other:?}"),
    }
    bench.ua.ring(bench.now, LEG);
    bench.settle();
    let ringing = bench.response();
    assert_eq!(ringing.code(), 180);
    let tag = ringing
        .headers
        .to()
        .expect("ours")
        .tag()
        .expect("a tag")
        .to_owned();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    let ok = bench.response();
    assert_eq!(ok.code(), 200);
    assert_eq!(ok.headers.to().expect("ours").tag(), Some(tag.as_str()));
    bench.ask(&inside("ACK", 5, &tag, ""));
    assert_eq!(bench.call_event(), CallOutput::Confirmed { sdp: None });
    (bench, tag)
}

#[test]
fn a_call_is_answered_and_ended_by_the_caller() {
    let (mut bench, tag) = talking();
    bench.pass(secs(40));
    bench.nothing_sent();
    bench.ask(&inside("BYE", 6, &tag, ""));
    assert_eq!(bench.response().code(), 200);
    assert!(matches!(
        bench.call_event(),
        CallOutput::Ended {
            cause: Cause::Normal,
            ..
        }
    ));
    assert_eq!(bench.ua.calls(), 0);
}

#[test]
fn a_200_is_repeated_until_the_ack_and_then_given_up_with_bye() {
    let mut bench = Bench::trunk();
    bench.ask(&invite("", SDP));
    bench.call_event();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    bench.pass(secs(31));
    let repeats = bench.sent.len();
    assert!((9..=12).contains(&repeats), "{repeats}");
    bench.pass(secs(2));
    bench.request_of(crate::Method::BYE);
    assert!(matches!(
        bench.call_event(),
        CallOutput::Ended {
            cause: Cause::Unreachable,
            ..
        }
    ));
}

#[test]
fn an_invite_without_offer_gets_ours_and_its_answer_comes_in_the_ack() {
    let mut bench = Bench::trunk();
    bench.ask(&invite("", ""));
    assert!(matches!(
        bench.call_event(),
        CallOutput::Incoming { sdp: None, .. }
    ));
    bench.ua.accept(bench.now, LEG, b"v=0\r\no=offer\r\n".to_vec());
    bench.settle();
    let ok = bench.response();
    let tag = ok.headers.to().expect("ours").tag().expect("a tag").to_owned();
    bench.ask(&inside("ACK", 5, &tag, "\nContent-Type: application/sdp\n\nv=0"));
    assert_eq!(
        bench.call_event(),
        CallOutput::Confirmed {
            sdp: Some(b"v=0".to_vec())
        }
    );
}

#[test]
fn refusals_say_what_and_why() {
    for (cause, code) in [
        (Cause::Busy, 486),
        (Cause::Refused, 480),
        (Cause::Declined, 603),
        (Cause::Media, 488),
    ] {
        let mut bench = Bench::trunk();
        bench.ask(&invite("", SDP));
        bench.call_event();
        bench.end(LEG, cause);
        let response = bench.response();
        assert_eq!(response.code(), code);
        assert!(response.headers.get(&HeaderName::Reason).is_some());
        assert!(response.headers.get(&HeaderName::Warning).is_some());
    }
}

#[test]
fn a_cancelled_call_is_over_with_487() {
    for (reason, cause) in [
        ("", Cause::Cancelled),
        (
            "\nReason: SIP;cause=200;text=\"Call completed elsewhere\"",
            Cause::AnsweredElsewhere,
        ),
    ] {
        let mut bench = Bench::trunk();
        bench.ask(&invite("", SDP));
        bench.call_event();
        bench.ask(&format!(
            "CANCEL sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKin1\nMax-Forwards: 70\n\
             From: \"Anna\" <sip:1000@pbx.example>;tag=them\nTo: <sip:503@pbx.example>\nCall-ID: in1\nCSeq: 5 CANCEL{reason}"
        ));
        let mut codes = [bench.response().code(), bench.response().code()];
        codes.sort_unstable();
        assert_eq!(codes, [200, 487]);
        match bench.call_event() {
            CallOutput::Ended { cause: told, .. } => assert_eq!(told, cause),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn strangers_get_403_and_are_counted() {
    let mut bench = Bench::trunk();
    let stranger = Flow {
        remote: addr("192.0.2.66:5060"),
        ..bench.flow()
    };
    bench.ask_from(stranger, &invite("", SDP));
    assert_eq!(bench.response().code(), 403);
    bench.no_call_event();
    assert_eq!((bench.strangers, bench.ua.stats().strangers), (1, 1));
}

#[test]
fn a_datagram_in_the_name_of_a_pbx_that_uses_tls_is_a_strangers() {
    let mut bench = Bench::new(vec![super::bench::account(Transport::Tls, false)]);
    bench.ask(&invite("", SDP));
    assert_eq!(bench.response().code(), 403);
    bench.no_call_event();
    assert_eq!(bench.strangers, 1);
}

#[test]
fn a_listed_peer_is_known_by_its_address_whatever_its_from_claims() {
    let peer = "192.0.2.7";
    let mut settings = params();
    settings.direct_peers = BTreeSet::from([peer.parse().expect("an address")]);
    for accounts in [Vec::new(), vec![account(Transport::Udp, true)]] {
        let there_are = !accounts.is_empty();
        let mut bench = Bench::with(settings.clone(), accounts);
        let flow = Flow {
            remote: addr("192.0.2.7:5060"),
            transport: Transport::Udp,
            ..bench.flow()
        };
        bench.ask_from(flow, &invite("", SDP));
        match bench.call_event() {
            CallOutput::Incoming { account, peer, .. } => {
                assert_eq!(account, None);
                assert_eq!(peer.address, "sip:1000@192.0.2.7");
                assert!(peer.trusted);
                assert_eq!(peer.foreign, there_are, "past the accounts, if there are any");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_number_of_another_host_is_not_the_pbxs_unless_it_says_so() {
    let asserted = "\nP-Asserted-Identity: <sip:1000@evil.example>";
    let lists = || Some(vec![Host::parse("Box.example").expect("a host")]);
    for (from, extra, hosts, foreign) in [
        ("sip:1000@pbx.example", "", Some(Vec::new()), false),
        ("sip:1000@PBX.example:5070", "", Some(Vec::new()), false),
        // the addresses of the PBX, and of where the call comes from
        ("sip:1000@10.0.0.2", "", Some(Vec::new()), false),
        ("tel:+33612345678", "", Some(Vec::new()), false),
        ("sip:1000@evil.example", "", Some(Vec::new()), true),
        ("sip:1000@pbx.example.evil.example", "", Some(Vec::new()), true),
        ("sip:1000@203.0.113.9:5060", "", Some(Vec::new()), true),
        (
            "sip:+33612345678@evil.example;user=phone",
            "",
            Some(Vec::new()),
            true,
        ),
        ("sip:1000@evil.example", asserted, Some(Vec::new()), false),
        ("sip:1000@box.example", "", lists(), false),
        ("sip:1000@evil.example", "", lists(), true),
        ("sip:1000@evil.example", "", None, false),
    ] {
        let account = UaAccount {
            caller_hosts: hosts,
            ..account(Transport::Udp, false)
        };
        let mut bench = Bench::new(vec![account]);
        bench.ask(&invite(extra, SDP).replace("sip:1000@pbx.example", from));
        match bench.call_event() {
            CallOutput::Incoming { peer, .. } => assert_eq!(peer.foreign, foreign, "{from}{extra}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_listed_peer_that_asserts_somebody_else_than_its_from_is_not_believed() {
    for (told, believed) in [
        ("P-Asserted-Identity: <sip:1000@pbx.example>", true),
        ("P-Asserted-Identity: <sip:2000@pbx.example>", false),
        ("Remote-Party-ID: <sip:2000@pbx.example>;party=calling", false),
    ] {
        let mut settings = params();
        settings.direct_peers = BTreeSet::from(["192.0.2.7".parse().expect("an address")]);
        let mut bench = Bench::with(settings, Vec::new());
        let flow = Flow {
            remote: addr("192.0.2.7:5060"),
            ..bench.flow()
        };
        bench.ask_from(flow, &invite(&format!("\n{told}"), SDP));
        let CallOutput::Incoming { peer, .. } = bench.call_event() else {
            panic!("no call for {told}");
        };
        assert_eq!(
            (peer.trusted, peer.address.as_str()),
            (believed, "sip:1000@192.0.2.7"),
            "{told}"
        );
    }
}

#[test]
fn somebody_who_takes_the_place_of_a_caller_is_told_with_the_call_that_he_names() {
    let (mut bench, tag) = talking();
    bench.ask(
        &invite(&format!("\nReplaces: in1;to-tag={tag};from-tag=them"), SDP)
            .replace("Call-ID: in1", "Call-ID: in2")
            .replace("bKin1", "bKin2"),
    );
    match bench.call_event() {
        CallOutput::TakingOver {
            account, replaced, ..
        } => assert_eq!((account.is_some(), replaced), (true, LEG)),
        other => panic!("{other:?}"),
    }
    // before the answer is confirmed there is no call whose place could be taken
    let mut bench = Bench::trunk();
    bench.ask(&invite("", SDP));
    bench.call_event();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    let ok = bench.response();
    let tag = ok.headers.to().expect("ours").tag().expect("a tag").to_owned();
    bench.ask(
        &invite(&format!("\nReplaces: in1;to-tag={tag};from-tag=them"), SDP)
            .replace("Call-ID: in1", "Call-ID: in2")
            .replace("bKin1", "bKin2"),
    );
    assert_eq!(bench.response().code(), 481);
}

#[test]
fn a_caller_may_ask_for_a_transfer_and_is_told_how_it_goes() {
    let (mut bench, tag) = talking();
    bench.ask(&inside("REFER", 6, &tag, "\nRefer-To: <sip:1002@pbx.example>"));
    assert_eq!(
        bench.call_event(),
        CallOutput::TransferAsked {
            at_pbx: true,
            replaces: None,
            target: "sip:1002@pbx.example".into(),
        }
    );
    bench.ua.refuse_transfer(bench.now, LEG, "not this one");
    bench.settle();
    assert_eq!(bench.response().code(), 603);
    bench.ask(&inside("REFER", 7, &tag, "\nRefer-To: <sip:1002@pbx.example>"));
    bench.call_event();
    let wish = crate::ua::OutgoingCall {
        account: Some(super::bench::pbx()),
        display: "Main entrance".into(),
        leg: LegId(2),
        manner: gateway_core::Manner::default(),
        patience: None,
        ring: gateway_core::RingId::new(1, [3; 10]),
        target: "sip:1002@pbx.example".into(),
    };
    bench.ua.transfer(bench.now, LEG, wish, None);
    bench.settle();
    assert_eq!(bench.response().code(), 202);
    let notify = bench.request_of(Method::NOTIFY);
    assert_eq!(notify.headers.text(&HeaderName::Event).as_deref(), Some("refer"));
    assert_eq!(&notify.body[..], b"SIP/2.0 100 Trying\r\n");
}

#[test]
fn info_digits_come_in_both_forms_and_not_before_the_ack() {
    let mut bench = Bench::trunk();
    bench.ask(&invite("", SDP));
    bench.call_event();
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    let tag = bench
        .response()
        .headers
        .to()
        .expect("ours")
        .tag()
        .expect("a tag")
        .to_owned();
    let relay = "\nContent-Type: application/dtmf-relay\n\nSignal=9\r\nDuration=160\r\n";
    bench.ask(&inside("INFO", 6, &tag, relay));
    assert_eq!(bench.response().code(), 200);
    bench.no_call_event();
    bench.ask(&inside("ACK", 5, &tag, ""));
    bench.call_event();
    bench.ask(&inside("INFO", 7, &tag, relay));
    assert!(matches!(bench.call_event(), CallOutput::Digit { digit: '9', .. }));
    bench.ask(&inside("INFO", 8, &tag, "\nContent-Type: application/dtmf\n\n#"));
    assert!(matches!(bench.call_event(), CallOutput::Digit { digit: '#', .. }));
    // The same request again is a retransmission, not a second press: our answer was lost. It is given again for as long as
    // a lost one is repeated (64 T1, RFC 3261 §17.1.2.2).
    bench.sent.clear();
    for wait in [
        0, 500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 3_500,
    ] {
        bench.pass(std::time::Duration::from_millis(wait));
        bench.ask(&inside("INFO", 8, &tag, "\nContent-Type: application/dtmf\n\n#"));
        assert_eq!(bench.response().code(), 200);
        bench.no_call_event();
    }
    // One that comes after a later one is none either (RFC 3261 §12.2.2), nor is a late one whose transaction is over.
    bench.ask(&inside("INFO", 10, &tag, relay));
    assert!(matches!(bench.call_event(), CallOutput::Digit { digit: '9', .. }));
    bench.pass(std::time::Duration::from_secs(40));
    bench.sent.clear();
    for late in [7, 8] {
        bench.ask(&inside("INFO", late, &tag, relay));
        assert_eq!(bench.response().code(), 500);
        bench.no_call_event();
    }
    bench.ask(&inside("INFO", 11, &tag, "\nContent-Type: text/plain\n\nhello"));
    assert_eq!(bench.response().code(), 415);
}

#[test]
fn a_stranger_inside_a_call_presses_nothing() {
    let (mut bench, tag) = talking();
    let stranger = Flow {
        remote: addr("192.0.2.66:5060"),
        ..bench.flow()
    };
    bench.ask_from(
        stranger,
        &inside("INFO", 7, &tag, "\nContent-Type: application/dtmf\n\n9"),
    );
    assert_eq!(bench.response().code(), 403);
    bench.no_call_event();
}

#[test]
fn a_reoffer_is_answered_and_a_new_identity_loses_authority_once() {
    let (mut bench, tag) = talking();
    let sdp = "\nContent-Type: application/sdp\n\nv=0";
    bench.ask(&inside("INVITE", 6, &tag, sdp));
    assert!(matches!(bench.call_event(), CallOutput::Reoffer { sdp: Some(_) }));
    bench.ua.answer_reoffer(bench.now, LEG, Some(SDP.into()));
    bench.settle();
    assert_eq!(bench.response().code(), 200);
    // No second offer before the ACK.
    bench.ask(&inside("INVITE", 7, &tag, sdp));
    assert_eq!(bench.response().code(), 500);
    bench.ask(&inside("ACK", 6, &tag, ""));
    for seq in [8, 9] {
        let told = "\nP-Asserted-Identity: <sip:2000@pbx.example>";
        bench.ask(&inside("UPDATE", seq, &tag, told));
        assert_eq!(bench.response().code(), 200);
    }
    assert!(matches!(bench.call_event(), CallOutput::AuthorityLost { .. }));
    bench.no_call_event();
    bench.ask(&inside("INVITE", 10, &tag, sdp));
    bench.call_event();
    bench.ua.answer_reoffer(bench.now, LEG, None);
    bench.settle();
    let refusal = bench.response();
    assert_eq!(refusal.code(), 488);
    assert!(refusal.headers.get(&HeaderName::SessionId).is_some());
}

#[test]
fn requests_outside_calls_are_answered_politely() {
    let mut bench = Bench::trunk();
    for (n, (method, code)) in [
        ("OPTIONS", 200),
        ("MESSAGE", 415),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 405),
        ("PUBLISH", 405),
        ("REGISTER", 405),
        ("REFER", 603),
        ("BYE", 481),
        ("INFO", 481),
        ("FROBNICATE", 501),
    ]
    .into_iter()
    .enumerate()
    {
        bench.ask(&format!(
            "{method} sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKo{n}\nMax-Forwards: 70\n\
             From: <sip:1000@pbx.example>;tag=t{n}\nTo: <sip:503@pbx.example>\nCall-ID: o{n}\nCSeq: 1 {method}"
        ));
        let response = bench.response();
        assert_eq!(response.code(), code, "{method}");
        if matches!(code, 200 | 405 | 501) {
            assert!(response.headers.get(&HeaderName::Allow).is_some(), "{method}");
        }
    }
    bench.ask(&inside("BYE", 6, "unknown", ""));
    assert_eq!(bench.response().code(), 481);
}

#[test]
fn calls_are_bounded_and_unknown_extensions_and_requirements_refused() {
    let mut bench = Bench::trunk();
    for n in 0..5 {
        bench.ask(
            &invite("", SDP)
                .replace("in1", &format!("call{n}"))
                .replace("tag=them", &format!("tag=t{n}")),
        );
    }
    assert_eq!(bench.ua.calls(), 4);
    assert_eq!(bench.response().code(), 486);

    let mut bench = Bench::trunk();
    bench.ask(&invite("\nRequire: 100rel, teleport, Timer", SDP));
    let response = bench.response();
    assert_eq!(response.code(), 420);
    assert_eq!(
        response.headers.text(&HeaderName::Unsupported).expect("what"),
        "teleport"
    );

    // A registered account is reached by its own user or Contact only.
    let mut bench = Bench::new(vec![super::bench::account(Transport::Udp, true)]);
    let (flow, register) = bench.request();
    bench.reply(flow, &register, 200);
    bench.ask(&invite("", SDP).replace("sip:503@10.0.0.1", "sip:999@10.0.0.1"));
    assert_eq!(bench.response().code(), 404);
}

#[test]
fn a_thousand_short_calls_in_a_row_all_get_through() {
    let mut bench = Bench::trunk();
    for n in 0..1000_u64 {
        let rename = |text: String| {
            text.replace("Call-ID: in1", &format!("Call-ID: n{n}"))
                .replace("branch=z9hG4bK", &format!("branch=z9hG4bKn{n}"))
        };
        bench.ask(&rename(invite("", SDP)));
        bench.ua.accept(bench.now, LegId(1000 + n), SDP.into());
        bench.settle();
        let ok = bench.response();
        assert_eq!(ok.code(), 200, "call {n}");
        let tag = ok.headers.to().expect("ours").tag().expect("a tag").to_owned();
        bench.ask(&rename(inside("ACK", 5, &tag, "")));
        bench.ask(&rename(inside("BYE", 6, &tag, "")));
        assert_eq!(bench.response().code(), 200, "call {n}");
    }
    assert_eq!(bench.ua.calls(), 0);
}

#[test]
fn a_caller_is_sent_to_somebody_else_and_the_leg_is_over() {
    for (target, contact) in [
        ("1002", "<sip:1002@pbx.example>"),
        ("sip:1002@192.0.2.9:5070", "<sip:1002@192.0.2.9:5070>"),
    ] {
        let mut bench = Bench::trunk();
        bench.ask(&invite("", SDP));
        bench.call_event();
        bench.ua.ring(bench.now, LEG);
        bench.settle();
        let ringing = bench.response();
        bench.ua.divert(bench.now, LEG, target);
        bench.settle();
        let moved = bench.response();
        assert_eq!(moved.code(), 302);
        assert_eq!(moved.headers.text(&HeaderName::Contact).as_deref(), Some(contact));
        let tag = |of: &crate::Response| of.headers.to().expect("ours").tag().map(str::to_owned);
        assert_eq!(tag(&moved), tag(&ringing), "one dialog");
        let CallOutput::Ended { cause, detail } = bench.call_event() else {
            panic!("it goes on");
        };
        assert_eq!(
            (cause, detail.as_str()),
            (Cause::Released, "302 Moved Temporarily")
        );
        assert_eq!(bench.ua.calls(), 0);
    }
}

#[test]
fn a_caller_is_sent_to_nobody_whom_no_address_names_and_a_talk_just_ends() {
    let mut bench = Bench::trunk();
    bench.ask(&invite("", SDP));
    bench.call_event();
    bench.ua.divert(bench.now, LEG, "sip:");
    bench.settle();
    assert_eq!(bench.response().code(), 480);

    let (mut bench, _) = talking();
    bench.ua.divert(bench.now, LEG, "1002");
    bench.settle();
    bench.request_of(Method::BYE);
}

#[test]
fn an_offer_among_other_parts_is_found_and_one_with_a_part_that_must_be_understood_is_refused() {
    let body = |other: &str| {
        format!(
            "--b\nContent-Type: application/pidf+xml{other}\n\n<presence/>\n--b\nContent-Type: application/sdp\n\n{SDP}--b--\n"
        )
    };
    let ask = |other: &str| {
        invite("", &body(other)).replace("application/sdp\n\n--b", "multipart/mixed;boundary=b\n\n--b")
    };
    let mut bench = Bench::trunk();
    bench.ask(&ask("\nContent-Disposition: render;handling=required"));
    let refusal = bench.response();
    assert_eq!(refusal.code(), 415);
    let accepted = refusal.headers.text(&HeaderName::Accept);
    assert_eq!(
        accepted.as_deref(),
        Some("application/sdp, multipart/mixed, multipart/alternative")
    );
    bench.no_call_event();

    let mut bench = Bench::trunk();
    bench.ask(&ask("\nContent-ID: <place@10.0.0.2>"));
    match bench.call_event() {
        CallOutput::Incoming { sdp, .. } => {
            let text = String::from_utf8(sdp.expect("an offer")).expect("text");
            assert_eq!(text.trim_end(), SDP.trim_end());
        }
        other => panic!("{other:?}"),
    }
}
