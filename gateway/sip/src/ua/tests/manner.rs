//! How calls are to ring and to be answered.

use std::collections::BTreeSet;

use gateway_core::Manner;

use super::bench::{Bench, SDP, params};
use super::incoming::invite;
use crate::HeaderName;
use crate::ua::CallOutput;

const ASKS: &str = "\nCall-Info: <sip:pbx.example>;answer-after=0";

fn by_itself(yes: bool) -> Manner {
    Manner {
        alert: None,
        answers_itself: Some(yes),
        keys: None,
    }
}

/// True if a call that comes in with these header lines asks to be answered at once.
fn at_once(bench: &mut Bench, extra: &str) -> bool {
    bench.ask(&invite(extra, SDP));
    match bench.call_event() {
        CallOutput::Incoming { at_once, .. } => at_once,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_phone_is_asked_as_its_target_says_and_else_as_the_account_says() {
    let mut bench = Bench::trunk_with(|account| {
        account.manner = Manner {
            alert: Some("Bellcore-dr2".into()),
            answers_itself: Some(true),
            keys: None,
        };
    });
    let (_, invite) = bench.dial("1000");
    let text = |name| invite.headers.text(&name).map(std::borrow::Cow::into_owned);
    assert_eq!(text(HeaderName::AlertInfo).as_deref(), Some("Bellcore-dr2"));
    assert_eq!(
        text(HeaderName::CallInfo).as_deref(),
        Some("<sip:pbx.example>;answer-after=0")
    );
    assert_eq!(text(HeaderName::AnswerMode).as_deref(), Some("Auto"));

    let mut bench = Bench::trunk_with(|account| account.manner = by_itself(true));
    bench.manner = by_itself(false);
    let (_, invite) = bench.dial("1000");
    for name in [
        HeaderName::AlertInfo,
        HeaderName::CallInfo,
        HeaderName::AnswerMode,
    ] {
        assert_eq!(invite.headers.get(&name), None, "{name}");
    }
}

#[test]
fn a_challenged_call_asks_the_same_again_and_a_direct_one_asks_too() {
    let mut bench = Bench::trunk();
    bench.manner = by_itself(true);
    let (flow, invite) = bench.dial("1000");
    let challenge = crate::Response::to(&invite, 401).with_to_tag("x").with(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"",
    );
    bench.reply_with(flow, challenge);
    bench.request_of(crate::Method::ACK);
    let again = bench.request_of(crate::Method::INVITE);
    assert_eq!(
        again.headers.get(&HeaderName::CallInfo),
        invite.headers.get(&HeaderName::CallInfo)
    );

    let mut bench = Bench::new(Vec::new());
    bench.manner = by_itself(true);
    let (_, invite) = bench
        .dial_with(None, "sip:phone@10.0.0.9", SDP.into())
        .expect("there is a route");
    assert_eq!(
        invite.headers.text(&HeaderName::CallInfo).as_deref(),
        Some("<sip:10.0.0.1>;answer-after=0")
    );
}

#[test]
fn a_caller_whom_the_pbx_vouches_for_may_ask_to_be_answered_at_once() {
    assert!(at_once(&mut Bench::trunk(), ASKS));
    assert!(!at_once(&mut Bench::trunk(), ""));
}

#[test]
fn a_direct_peer_may_ask_unless_he_says_that_he_is_somebody_else_and_a_stranger_asks_nothing() {
    let peers = || {
        let mut params = params();
        params.direct_peers = BTreeSet::from([std::net::IpAddr::from([10, 0, 0, 2])]);
        Bench::with(params, Vec::new())
    };
    assert!(at_once(&mut peers(), ASKS));
    let other = format!("{ASKS}\nP-Asserted-Identity: <sip:2000@pbx.example>");
    assert!(!at_once(&mut peers(), &other));
    let mut nobody = Bench::new(Vec::new());
    nobody.ask(&invite(ASKS, SDP));
    nobody.no_call_event();
    assert_eq!(nobody.response().code(), 403);
}
