//! What the user agent does with messages that read well and mean something odd: the cases of RFC 4475 §3.2 to §3.4 and of
//! RFC 5118, one message of our own for each. Bytes that do not even read well are in `tests/torture.rs`.

use super::bench::{Bench, SDP};
use crate::ua::CallOutput;
use crate::{Flow, HeaderName, Transport};

/// A request of the PBX: start line and fields replace the usual ones.
fn ask(bench: &mut Bench, line: &str, via: &str, more: &str) {
    let method = line.split(' ').next().unwrap_or_default();
    bench.ask(&format!(
        "{line}\nVia: {via}\nMax-Forwards: 70\nFrom: <sip:1000@pbx.example>;tag=t\nTo: <sip:503@pbx.example>\n\
         Call-ID: odd\nCSeq: 1 {method}\nContact: <sip:1000@10.0.0.2>{more}"
    ));
}

const VIA: &str = "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKodd";
const LINE: &str = "OPTIONS sip:503@10.0.0.1 SIP/2.0";

/// The case of the RFC, the start line, more fields and body, and the status that answers it.
const APPLICATION: [(&str, &str, &str, u16); 14] = [
    ("unkscm", "OPTIONS nobody-knows:this-scheme SIP/2.0", "", 416),
    ("novelsc", "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", "", 416),
    ("unksm2", LINE, "\nP-Asserted-Identity: <isbn:2983792873>", 200),
    (
        "bext01",
        LINE,
        "\nRequire: no-such-thing, nor-this\nProxy-Require: nothing",
        420,
    ),
    (
        "invut",
        "INVITE sip:503@10.0.0.1 SIP/2.0",
        "\nContent-Type: application/unknown\n\n<audio/>",
        415,
    ),
    // RFC 3261 §8.2.3
    (
        "compressed",
        "INVITE sip:503@10.0.0.1 SIP/2.0",
        "\nContent-Type: application/sdp\nContent-Encoding: gzip\n\nxxxx",
        415,
    ),
    (
        "compressed, in one letter",
        "INVITE sip:503@10.0.0.1 SIP/2.0",
        "\nContent-Type: application/sdp\ne: identity, deflate\n\nxxxx",
        415,
    ),
    (
        "regaut01",
        "REGISTER sip:10.0.0.1 SIP/2.0",
        "\nAuthorization: NoSuchScheme a=b",
        405,
    ),
    (
        "cparam01",
        "REGISTER sip:10.0.0.1 SIP/2.0",
        "\nContact: sip:1@h;unknownparam",
        405,
    ),
    (
        "cparam02",
        "REGISTER sip:10.0.0.1 SIP/2.0",
        "\nContact: <sip:1@h;unknownparam>",
        405,
    ),
    (
        "regescrt",
        "REGISTER sip:10.0.0.1 SIP/2.0",
        "\nContact: <sip:1@h?Route=%3Csip:h%3E>",
        405,
    ),
    // We are where it was going: nothing is forwarded, so nothing has too many hops.
    ("zeromf", LINE, "\nMax-Forwards: 0", 200),
    ("intmeth", "!interesting-Method SIP:503@10.0.0.1 SIP/2.0", "", 501),
    ("transports", LINE, "\nContact: <sip:1@h;transport=unknown>", 200),
];

#[test]
fn requests_that_mean_something_odd_get_the_answer_that_their_rfc_names() {
    for (case, line, more, code) in APPLICATION {
        let mut bench = Bench::trunk();
        if more.starts_with("\nMax-Forwards") || more.starts_with("\nContact") {
            let method = line.split(' ').next().unwrap_or_default();
            let first = if more.starts_with("\nMax-Forwards") {
                ""
            } else {
                "Max-Forwards: 70"
            };
            bench.ask(
                &format!(
                    "{line}\nVia: {VIA}\n{first}{more}\nFrom: <sip:1000@pbx.example>;tag=t\nTo: <sip:503@pbx.example>\n\
                     Call-ID: odd\nCSeq: 1 {method}"
                )
                .replace("\n\n", "\n"),
            );
        } else {
            ask(&mut bench, line, VIA, more);
        }
        let response = bench.response();
        assert_eq!(response.code(), code, "{case}");
        match code {
            420 => assert_eq!(
                response.headers.text(&HeaderName::Unsupported).as_deref(),
                Some("no-such-thing, nor-this")
            ),
            415 if case.starts_with("compressed") => assert_eq!(
                response.headers.text(&HeaderName::AcceptEncoding).as_deref(),
                Some("identity")
            ),
            415 => assert!(response.headers.get(&HeaderName::Accept).is_some()),
            405 | 501 => assert!(response.headers.get(&HeaderName::Allow).is_some()),
            _ => {}
        }
        bench.no_call_event();
    }
}

#[test]
fn a_response_to_nothing_or_through_others_is_dropped() {
    // bcast: our own request may have gone there, but the second Via says that it is not for us.
    let mut bench = Bench::trunk();
    bench.ask(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK2\n\
         From: <sip:a@h>;tag=1\nTo: <sip:b@h>;tag=2\nCall-ID: b\nCSeq: 1 INVITE\nContact: <sip:b@h>",
    );
    bench.nothing_sent();
    bench.no_call_event();
}

#[test]
fn a_branch_without_anything_behind_its_cookie_is_still_one_transaction() {
    // badbranch: the same again is a repeat, answered with the same bytes.
    let mut bench = Bench::trunk();
    let bare = "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK";
    ask(&mut bench, LINE, bare, "");
    let first = bench.response();
    assert_eq!(first.code(), 200);
    ask(&mut bench, LINE, bare, "");
    assert_eq!(bench.response(), first);
}

#[test]
fn a_caller_of_rfc_2543_without_tag_and_branch_talks_and_hangs_up() {
    // inv2543
    let mut bench = Bench::trunk();
    let old = |method: &str, seq: u32, to: &str, rest: &str| {
        format!(
            "{method} sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2\nFrom: <sip:1000@pbx.example>\n\
             To: <sip:503@pbx.example>{to}\nCall-ID: old@10.0.0.2\nCSeq: {seq} {method}{rest}"
        )
    };
    bench.ask(&old(
        "INVITE",
        1,
        "",
        &format!("\nContent-Type: application/sdp\n\n{SDP}"),
    ));
    assert!(matches!(bench.call_event(), CallOutput::Incoming { .. }));
    bench.ua.accept(bench.now, super::incoming::LEG, SDP.into());
    bench.settle();
    let ok = bench.response();
    assert_eq!(ok.code(), 200);
    let tag = format!(";tag={}", ok.headers.to().expect("ours").tag().expect("a tag"));
    bench.ask(&old("ACK", 1, &tag, ""));
    assert!(matches!(bench.call_event(), CallOutput::Confirmed { .. }));
    bench.ask(&old("BYE", 2, &tag, ""));
    assert_eq!(bench.response().code(), 200);
    assert!(matches!(bench.call_event(), CallOutput::Ended { .. }));
}

#[test]
fn a_caller_who_accepts_no_description_gets_none() {
    // sdp01
    for (accept, taken) in [
        ("Accept: text/nothing", false),
        ("Accept: text/nothing, application/SDP;level=1", true),
        ("Accept: application/*", true),
        ("Accept: text/plain\nAccept: */*", true),
        ("Accept:", true),
    ] {
        let mut bench = Bench::trunk();
        let more = format!("\n{accept}\nContent-Type: application/sdp\n\n{SDP}");
        ask(&mut bench, "INVITE sip:503@10.0.0.1 SIP/2.0", VIA, &more);
        if taken {
            let what = bench.call_event();
            assert!(
                matches!(what, CallOutput::Incoming { sdp: Some(_), .. }),
                "{accept}"
            );
        } else {
            let response = bench.response();
            assert_eq!(response.code(), 406);
            assert_eq!(
                response.headers.text(&HeaderName::Accept).as_deref(),
                Some("application/sdp")
            );
        }
    }
}

/// The IPv6 PBX that the cases of RFC 5118 come from.
fn v6(bench: &Bench) -> Flow {
    Flow {
        local: super::bench::addr("[2001:db8::1]:5060"),
        remote: super::bench::addr("[2001:db8::9]:5060"),
        transport: Transport::Udp,
        ..bench.flow()
    }
}

/// The section of RFC 5118, the start line, Via, Contact, and the status that answers it.
const IPV6: [(&str, &str, &str, &str, u16); 9] = [
    (
        "4.1",
        "OPTIONS sip:[2001:db8::1] SIP/2.0",
        "[2001:db8::9]:5060",
        "sip:a@[2001:db8::9]",
        200,
    ),
    // Without brackets nobody knows where the address ends.
    (
        "4.2",
        "OPTIONS sip:2001:db8::10 SIP/2.0",
        "[2001:db8::9]",
        "sip:a@[2001:db8::9]",
        400,
    ),
    // A port inside the brackets is a part of the address, which it may be.
    (
        "4.3",
        "OPTIONS sip:[2001:db8::10:5070] SIP/2.0",
        "[2001:db8::9]",
        "sip:a@[2001:db8::9]",
        200,
    ),
    (
        "4.4",
        "OPTIONS sip:[2001:db8::10]:5070 SIP/2.0",
        "[2001:db8::9]",
        "sip:a@[2001:db8::9]",
        200,
    ),
    (
        "4.5a",
        "OPTIONS sip:[2001:db8::1] SIP/2.0",
        "[2001:db8::9];received=[2001:db8::9]",
        "sip:a@h",
        200,
    ),
    (
        "4.5b",
        "OPTIONS sip:[2001:db8::1] SIP/2.0",
        "[2001:db8::9];received=2001:db8::9",
        "sip:a@h",
        200,
    ),
    (
        "4.6",
        "OPTIONS sip:[2001:db8::1] SIP/2.0",
        "192.0.2.1",
        "sip:a@192.0.2.1",
        200,
    ),
    (
        "4.9",
        "OPTIONS sip:[::ffff:192.0.2.10] SIP/2.0",
        "[::ffff:192.0.2.2]",
        "sip:a@[::ffff:192.0.2.2]",
        200,
    ),
    // Three colons: an old grammar allowed them, no address has them.
    (
        "4.10",
        "OPTIONS sip:[2001:db8:::192.0.2.1] SIP/2.0",
        "[2001:db8::9]",
        "sip:a@h",
        400,
    ),
];

#[test]
fn ipv6_addresses_are_taken_where_they_are_ones() {
    for (section, line, via, contact, code) in IPV6 {
        let mut settings = super::bench::params();
        settings.direct_peers = [super::bench::addr("[2001:db8::9]:1").ip()].into();
        let mut bench = Bench::with(settings, Vec::new());
        let flow = v6(&bench);
        bench.ask_from(
            flow,
            &format!(
                "{line}\nVia: SIP/2.0/UDP {via};branch=z9hG4bK6\nMax-Forwards: 70\nFrom: <sip:a@[2001:db8::9]>;tag=t\n\
                 To: <sip:b@[2001:db8::1]>\nCall-ID: six@[2001:db8::9]\nCSeq: 1 OPTIONS\nContact: <{contact}>"
            ),
        );
        let (to, _) = bench
            .sent
            .front()
            .cloned()
            .unwrap_or_else(|| panic!("{section}: no answer"));
        assert_eq!(bench.response().code(), code, "{section}");
        // Whatever the Via says: the answer goes back where the request came from.
        assert_eq!(to.remote.ip(), flow.remote.ip(), "{section}");
    }
}
