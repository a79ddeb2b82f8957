//! Signs of life to a PBX, and what becomes of one that gives none.

use std::time::Duration;

use gateway_core::{AccountEvent, AccountState};

use super::bench::{Bench, SDP, account, secs};
use crate::ua::{CallOutput, KeepAlive, KeepAliveWay, UaAccount};
use crate::{Flow, HeaderName, Method, NameAddr, Request, Response, Transport};

fn kept(transport: Transport, register: bool, way: KeepAliveWay, interval: Option<Duration>) -> UaAccount {
    let mut account = account(transport, register);
    account.keep_alive = KeepAlive { interval, way };
    account
}

fn by_options(register: bool) -> Bench {
    let account = kept(Transport::Udp, register, KeepAliveWay::Options, Some(secs(15)));
    Bench::new(vec![account])
}

/// The registrar gives 300 s.
fn grant(bench: &mut Bench) -> Flow {
    let (flow, register) = bench.request();
    assert_eq!(register.method, Method::REGISTER);
    let contact = register
        .headers
        .text(&HeaderName::Contact)
        .expect("ours")
        .into_owned();
    let response = Response::to(&register, 200)
        .with_to_tag("r")
        .with(HeaderName::Contact, format!("{contact};expires=300"));
    bench.reply_with(flow, response);
    flow
}

fn options(bench: &mut Bench) -> Request {
    bench.request_of(Method::OPTIONS)
}

fn state(bench: &mut Bench) -> AccountState {
    bench.accounts.drain(..).next_back().expect("a state").0
}

#[test]
fn a_registered_account_asks_at_its_interval_and_any_answer_will_do() {
    let mut bench = by_options(true);
    let flow = grant(&mut bench);
    let mut last = 0;
    for code in [200, 404, 401, 503] {
        bench.nothing_sent();
        bench.pass(secs(15));
        let asked = options(&mut bench);
        assert_eq!(asked.uri.to_string(), "sip:pbx.example");
        let seq = asked.headers.cseq().expect("ours").number;
        assert!(seq > last);
        last = seq;
        bench.reply(flow, &asked, code);
    }
    assert_eq!(state(&mut bench), AccountState::Registered);
    bench.nothing_sent();
}

#[test]
fn an_account_whose_pbx_does_not_answer_registers_again_and_is_not_told_as_failed_yet() {
    let mut bench = by_options(true);
    grant(&mut bench);
    bench.accounts.clear();
    bench.pass(secs(15));
    options(&mut bench);
    bench.pass(secs(9));
    assert!(bench.accounts.is_empty());
    bench.sent.clear();
    bench.pass(secs(2));
    while bench.sent.front().is_some() {
        let (_, again) = bench.request();
        if again.method == Method::REGISTER {
            assert_eq!(
                bench.accounts.pop_front(),
                Some((AccountState::Registering, None))
            );
            return;
        }
    }
    panic!("it does not register again");
}

#[test]
fn a_trunk_counts_when_its_pbx_has_answered_and_no_longer_than_it_does() {
    let mut bench = by_options(false);
    assert_eq!(state(&mut bench), AccountState::Registering);
    let asked = options(&mut bench);
    // whoever calls meanwhile waits for the answer
    bench.call(Some(super::bench::pbx()), "1000");
    bench.no_call_event();
    bench.reply(bench.flow(), &asked, 200);
    assert_eq!(bench.accounts.pop_front(), Some((AccountState::Registered, None)));
    assert!(matches!(bench.call_event(), CallOutput::OfferWanted { .. }));
    bench.ua.give_offer(bench.now, gateway_core::LegId(1), SDP.into());
    bench.settle();
    assert_eq!(bench.request().1.method, Method::INVITE);
    bench.end(gateway_core::LegId(1), gateway_core::Cause::Released);

    bench.pass(secs(26));
    match bench.accounts.drain(..).next_back() {
        Some((AccountState::Failed, Some(AccountEvent::Failed { detail, .. }))) => {
            assert_eq!(detail, "OPTIONS were not answered within 10 s");
        }
        other => panic!("{other:?}"),
    }
    bench.sent.clear();
    bench.pass(secs(3));
    // the one that was given up may be repeated in between
    let mut asked = options(&mut bench);
    while bench.sent.front().is_some() {
        asked = options(&mut bench);
    }
    bench.reply(bench.flow(), &asked, 200);
    let back = Some(AccountEvent::Registered { expires_s: 15 });
    assert_eq!(bench.accounts.pop_back(), Some((AccountState::Registered, back)));
}

#[test]
fn empty_lines_have_the_interval_of_the_account_and_off_sends_none() {
    let due = |transport, way, interval| {
        let mut bench = Bench::new(vec![kept(transport, true, way, interval)]);
        grant(&mut bench);
        let granted = bench.now;
        // the transaction of the registration is over by then
        bench.pass(secs(6));
        let at = bench.ua.poll_timeout().expect("a refresh at least");
        at.since(granted)
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        let usual = due(transport, KeepAliveWay::Crlf, None);
        assert!(usual <= secs(30), "{transport}: {usual:?}");
        assert_eq!(
            due(transport, KeepAliveWay::Crlf, Some(secs(120))),
            secs(120).min(secs(120))
        );
        assert!(due(transport, KeepAliveWay::Off, None) > secs(200), "{transport}");
        assert_eq!(due(transport, KeepAliveWay::Options, None), secs(30));
    }
}

#[test]
fn routes_that_are_set_lead_all_that_stands_outside_a_call() {
    let routes = [
        "<sip:edge.example;lr>",
        "<sip:core.example:5070;transport=tcp;lr>",
    ];
    let with_routes = |register| {
        let mut account = kept(Transport::Udp, register, KeepAliveWay::Options, None);
        account.routes = routes
            .iter()
            .map(|route| NameAddr::parse(route).expect("a route"))
            .collect();
        Bench::new(vec![account])
    };
    let written = |request: &Request| request.headers.list(&HeaderName::Route);
    let mut bench = with_routes(true);
    let register = bench.request_of(Method::REGISTER);
    assert_eq!(written(&register), routes);
    let response = Response::to(&register, 200)
        .with_to_tag("r")
        .with(HeaderName::ServiceRoute, "<sip:home.example;lr>")
        .with(HeaderName::Expires, "300");
    bench.reply_with(bench.flow(), response);
    bench.pass(secs(30));
    let all = [routes[0], routes[1], "<sip:home.example;lr>"];
    let asked = options(&mut bench);
    assert_eq!(written(&asked), all);
    bench.reply(bench.flow(), &asked, 200);
    let (flow, invite) = bench.dial("1000");
    assert_eq!(written(&invite), all);
    bench.accept(flow, &invite, "them");
    let ack = bench.request_of(Method::ACK);
    assert!(written(&ack).is_empty(), "a dialog has its own");
}
