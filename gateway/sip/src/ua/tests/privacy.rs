//! Callers who withhold who they are, and calls of ours that do.

use std::collections::BTreeSet;

use gateway_core::{ANONYMOUS, Peer};

use super::bench::{Bench, SDP, params};
use super::incoming::{inside, invite};
use crate::ua::{CallOutput, Privacy};
use crate::{HeaderName, Method, Response};

const WITHHELD: &str = "\nP-Asserted-Identity: \"Anna\" <sip:1001@pbx.example>\nPrivacy: id";

fn caller(bench: &mut Bench, extra: &str) -> Peer {
    bench.ask(&invite(extra, SDP));
    match bench.call_event() {
        CallOutput::Incoming { peer, .. } => peer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_whom_the_pbx_names_in_confidence_is_known_and_not_shown() {
    let peer = caller(&mut Bench::trunk(), WITHHELD);
    assert_eq!(peer.address, "sip:1001@pbx.example");
    assert_eq!((peer.shown(), peer.display.as_deref()), (ANONYMOUS, None));
    assert!(peer.trusted);
    let open = caller(
        &mut Bench::trunk(),
        "\nP-Asserted-Identity: \"Anna\" <sip:1001@pbx.example>\nPrivacy: none",
    );
    assert_eq!(
        (open.shown(), open.display.as_deref()),
        ("sip:1001@pbx.example", Some("Anna"))
    );
}

#[test]
fn what_a_direct_peer_asserts_is_not_who_he_is() {
    let mut params = params();
    params.direct_peers = BTreeSet::from([std::net::IpAddr::from([10, 0, 0, 2])]);
    let peer = caller(&mut Bench::with(params, Vec::new()), WITHHELD);
    assert_eq!(peer.address, "sip:1000@10.0.0.2");
    assert!(peer.withheld && !peer.trusted);
}

#[test]
fn who_answers_in_confidence_is_not_shown_nor_is_whom_the_call_goes_to() {
    let mut bench = Bench::trunk();
    let (flow, invite) = bench.dial("1000");
    let ok = Response::to(&invite, 200)
        .with_to_tag("them")
        .with(HeaderName::Contact, "<sip:1000@10.0.0.2>")
        .with(HeaderName::PAssertedIdentity, "<sip:1001@pbx.example>")
        .with(HeaderName::Privacy, "id")
        .with_body("application/sdp", SDP);
    bench.reply_with(flow, ok);
    let CallOutput::Answered { peer, .. } = bench.call_event() else {
        panic!("no answer");
    };
    assert_eq!(
        (peer.address.as_str(), peer.shown()),
        ("sip:1001@pbx.example", ANONYMOUS)
    );
    bench.sent.clear();
    let from = invite.headers.from_addr().expect("ours");
    let (tag, id) = (
        from.tag().expect("a tag"),
        invite.headers.call_id().expect("ours"),
    );
    let update = inside(
        "UPDATE",
        7,
        tag,
        "\nP-Asserted-Identity: <sip:1002@pbx.example>\nPrivacy: id\n\n",
    );
    bench.ask(&update.replace("Call-ID: in1", &format!("Call-ID: {id}")));
    let CallOutput::Named { peer, why } = bench.call_event() else {
        panic!("not named");
    };
    assert_eq!(
        (peer.address.as_str(), peer.shown()),
        ("sip:1002@pbx.example", ANONYMOUS)
    );
    assert!(!why.contains("1001") && !why.contains("1002"), "{why}");
}

#[test]
fn an_account_that_withholds_itself_says_so_in_calls_and_registers_as_ever() {
    let mut bench = Bench::trunk_with(|account| account.privacy = Privacy::Anonymous);
    let (flow, invite) = bench.dial("1000");
    let from = invite.headers.from_addr().expect("ours");
    assert_eq!(from.uri.to_string(), "sip:anonymous@anonymous.invalid");
    assert_eq!(invite.headers.text(&HeaderName::Privacy).as_deref(), Some("id"));
    assert_eq!(
        invite.headers.text(&HeaderName::PPreferredIdentity).as_deref(),
        Some("<sip:503@pbx.example>")
    );
    bench.accept(flow, &invite, "them");
    bench.call_event();
    bench.request_of(Method::ACK);
    bench.end(gateway_core::LegId(1), gateway_core::Cause::Released);
    let bye = bench.request_of(Method::BYE);
    assert_eq!(bye.headers.from_addr().expect("ours"), from, "one dialog");

    let mut account = super::bench::account(crate::Transport::Udp, true);
    account.privacy = Privacy::Anonymous;
    let register = Bench::new(vec![account]).request_of(Method::REGISTER);
    assert_eq!(
        register.headers.from_addr().expect("ours").uri.to_string(),
        "sip:503@pbx.example"
    );
    assert_eq!(register.headers.get(&HeaderName::Privacy), None);
}
