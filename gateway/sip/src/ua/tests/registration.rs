//! Registrations.

use gateway_core::{AccountEvent, AccountState, Cause, LegId};

use super::bench::{Bench, account, addr, params, pbx, secs};
use crate::ua::CallOutput;
use crate::{Flow, HeaderName, Method, Request, Response, Transport};

fn challenge(bench: &mut Bench, flow: Flow, request: &Request) {
    let response = Response::to(request, 401).with_to_tag("r").with(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"",
    );
    bench.reply_with(flow, response);
}

fn grant(bench: &mut Bench, flow: Flow, request: &Request, seconds: u32) {
    let contact = request
        .headers
        .text(&HeaderName::Contact)
        .expect("ours")
        .into_owned();
    let response = Response::to(request, 200)
        .with_to_tag("r")
        .with(HeaderName::Contact, format!("{contact};expires={seconds}"));
    bench.reply_with(flow, response);
}

fn registered(transport: Transport) -> (Bench, Flow, Request) {
    let mut bench = Bench::new(vec![account(transport, true)]);
    assert_eq!(
        bench.accounts.pop_front(),
        Some((AccountState::Registering, None))
    );
    let (flow, first) = bench.request();
    challenge(&mut bench, flow, &first);
    let (_, second) = bench.request();
    assert!(second.headers.get(&HeaderName::Authorization).is_some());
    grant(&mut bench, flow, &second, 120);
    let event = Some(AccountEvent::Registered { expires_s: 120 });
    assert_eq!(
        bench.accounts.pop_front(),
        Some((AccountState::Registered, event))
    );
    (bench, flow, second)
}

#[test]
fn a_registrar_that_grants_no_time_or_next_to_none_is_not_asked_all_the_time() {
    for (granted, most) in [(0, 20), (1, 125), (2, 125)] {
        let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
        let mut asked = 0;
        for _ in 0..600 {
            while let Some((flow, message)) = bench.sent.pop_front() {
                if let crate::Message::Request(request) = message {
                    asked += 1;
                    grant(&mut bench, flow, &request, granted);
                }
            }
            bench.pass(secs(1));
        }
        assert!((2..=most).contains(&asked), "{granted}: {asked}");
        let failed = bench.accounts.iter().any(|(state, event)| {
            let told =
                matches!(event, Some(AccountEvent::Failed { detail, .. }) if detail.contains("for no time"));
            *state == AccountState::Failed && told
        });
        assert_eq!(failed, granted == 0);
    }
}

#[test]
fn who_is_far_is_told_at_once_that_others_see_us_elsewhere() {
    let (mut bench, flow, before) = registered(Transport::Udp);
    bench.ua.moved(bench.now, |_| false);
    bench.settle();
    bench.nothing_sent();
    bench.ua.moved(bench.now, |ip| ip == flow.remote.ip());
    bench.settle();
    let (_, again) = bench.request();
    assert_eq!(again.method, Method::REGISTER);
    let contact = |request: &Request| {
        request
            .headers
            .text(&HeaderName::Contact)
            .map(std::borrow::Cow::into_owned)
    };
    assert_eq!(contact(&again), contact(&before), "one contact, no second one");
    // one at a time, and no news to anybody
    bench.ua.moved(bench.now, |_| true);
    bench.settle();
    bench.nothing_sent();
    grant(&mut bench, flow, &again, 120);
    assert!(bench.accounts.is_empty(), "{:?}", bench.accounts);
    // a connection is what its own keep-alive finds out about
    let (mut bench, _, _) = registered(Transport::Tcp);
    bench.ua.moved(bench.now, |_| true);
    bench.settle();
    bench.nothing_sent();
}

#[test]
fn a_pbx_that_is_gone_is_known_when_the_network_says_so() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, register) = bench.request();
    bench.reply(flow, &register, 200);
    bench.accounts.clear();
    // The next keep-alive meets a closed port: the account registers anew, within a second.
    bench.ua.handle_unreachable(bench.now, flow.remote);
    bench.settle();
    assert_eq!(
        bench.accounts.pop_front(),
        Some((AccountState::Registering, None))
    );
    bench.pass(secs(1));
    let (flow, register) = bench.request();
    assert_eq!(register.method, Method::REGISTER);
    bench.ua.handle_unreachable(bench.now, flow.remote);
    bench.settle();
    match bench.accounts.pop_front() {
        Some((AccountState::Failed, Some(AccountEvent::Failed { detail, .. }))) => {
            assert_eq!(detail, "cannot be delivered");
        }
        other => panic!("{other:?}"),
    }
    // Messages about other addresses, and more of them, change nothing.
    for _ in 0..5 {
        bench
            .ua
            .handle_unreachable(bench.now, super::bench::addr("192.0.2.9:5060"));
        bench.ua.handle_unreachable(bench.now, flow.remote);
    }
    bench.settle();
    assert!(bench.accounts.is_empty());
    // It comes back.
    bench.sent.clear();
    for _ in 0..120 {
        if bench.sent.is_empty() {
            bench.pass(secs(1));
        }
    }
    let (flow, register) = bench.request();
    bench.reply(flow, &register, 200);
    assert!(matches!(
        bench.accounts.pop_back(),
        Some((AccountState::Registered, _))
    ));
}

#[test]
fn a_binding_is_made_refreshed_in_time_and_removed_at_the_end() {
    let (mut bench, flow, first) = registered(Transport::Udp);
    bench.pass(secs(70));
    bench.nothing_sent();
    bench.pass(secs(20));
    let (_, refresh) = bench.request();
    assert_eq!(refresh.headers.call_id(), first.headers.call_id());
    assert_eq!(
        refresh.headers.text(&HeaderName::Contact),
        first.headers.text(&HeaderName::Contact)
    );
    // The known challenge is answered without being asked.
    assert!(refresh.headers.get(&HeaderName::Authorization).is_some());
    grant(&mut bench, flow, &refresh, 120);
    assert!(bench.accounts.is_empty(), "a refresh is no news");
    bench.sent.clear();
    bench.ua.shutdown(bench.now);
    bench.settle();
    let (_, last) = bench.request();
    assert_eq!(last.headers.text(&HeaderName::Expires).expect("zero"), "0");
    grant(&mut bench, flow, &last, 0);
    let event = Some(AccountEvent::Unregistered {});
    assert_eq!(bench.accounts.pop_front(), Some((AccountState::Off, event)));
    assert!(bench.ua.is_idle());
}

#[test]
fn a_restart_registers_the_same_contact_user_and_instance() {
    let (_, _, one) = registered(Transport::Udp);
    let (_, _, two) = registered(Transport::Udp);
    let contact = one.headers.text(&HeaderName::Contact).expect("ours").into_owned();
    assert_eq!(contact, two.headers.text(&HeaderName::Contact).expect("ours"));
    assert!(
        contact.contains("+sip.instance=\"<urn:uuid:07070707-0707-0707-0707-070707070707>\""),
        "{contact}"
    );
}

#[test]
fn a_wrong_password_is_tried_four_times_in_ten_minutes() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let mut with_credentials = 0;
    let mut failures = 0;
    for _ in 0..600 {
        while let Some((flow, message)) = bench.sent.pop_front() {
            if let crate::Message::Request(request) = message {
                with_credentials += u32::from(request.headers.get(&HeaderName::Authorization).is_some());
                challenge(&mut bench, flow, &request);
            }
        }
        bench.pass(secs(1));
    }
    while let Some((state, event)) = bench.accounts.pop_front() {
        if let Some(AccountEvent::Failed { detail, retry_s }) = event {
            assert_eq!(
                (state, detail.as_str()),
                (
                    AccountState::Failed,
                    "401 Unauthorized: the PBX does not take this account; check user, auth-user and password"
                )
            );
            assert!(retry_s >= 1);
            failures += 1;
        }
    }
    assert_eq!(with_credentials, 4);
    assert!(failures >= 4);
}

/// Answers everything with a challenge for so long, and counts what came with credentials.
fn challenged_for(bench: &mut Bench, seconds: u64) -> u32 {
    let mut with_credentials = 0;
    for _ in 0..seconds {
        while let Some((flow, message)) = bench.sent.pop_front() {
            if let crate::Message::Request(request) = message {
                with_credentials += u32::from(request.headers.get(&HeaderName::Authorization).is_some());
                challenge(bench, flow, &request);
            }
        }
        bench.pass(secs(1));
    }
    with_credentials
}

#[test]
fn a_wrong_password_is_tried_four_times_whatever_starts_anew_and_another_one_at_once() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    assert_eq!(challenged_for(&mut bench, 10), 3);
    // other settings
    let mut other = account(Transport::Udp, true);
    other.display = "Gate".into();
    bench.ua.configure(bench.now, params(), vec![other.clone()]);
    bench.settle();
    assert_eq!(challenged_for(&mut bench, 20), 1);
    bench.ua.configure(bench.now, params(), Vec::new());
    bench.settle();
    bench.sent.clear();
    bench.ua.configure(bench.now, params(), vec![other.clone()]);
    bench.settle();
    assert_eq!(challenged_for(&mut bench, 20), 0);

    // another start: what was told is handed in
    let mut again = Bench::begin(params());
    again.now = bench.now;
    again.ua.remember_tries(bench.tries.clone());
    again.ua.configure(again.now, params(), vec![other.clone()]);
    again.settle();
    again.nothing_sent();
    let (_, event) = again.accounts.pop_front().expect("told");
    let Some(AccountEvent::Failed { detail, retry_s }) = event else {
        panic!("not told");
    };
    assert!(detail.contains("four times within ten minutes"), "{detail}");
    assert!((530..=550).contains(&retry_s), "{retry_s}");
    assert_eq!(challenged_for(&mut again, 540), 0);
    assert!((1..=4).contains(&challenged_for(&mut again, 60)));

    let mut mended = Bench::begin(params());
    mended.now = bench.now;
    mended.ua.remember_tries(bench.tries.clone());
    other.password = gateway_core::Secret::new("right");
    mended.ua.configure(mended.now, params(), vec![other]);
    mended.settle();
    assert_eq!(challenged_for(&mut mended, 1), 1);
}

#[test]
fn tries_end_with_a_registration_and_none_is_told_where_all_goes_well() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, request) = bench.request();
    challenge(&mut bench, flow, &request);
    let (flow, request) = bench.request();
    challenge(&mut bench, flow, &request);
    assert_eq!(bench.tries[&pbx()].until().count(), 1);
    bench.pass(secs(3));
    let (flow, request) = bench.request();
    // and its repetitions
    bench.sent.clear();
    challenge(&mut bench, flow, &request);
    let (flow, request) = bench.request();
    bench.reply(flow, &request, 200);
    assert!(bench.tries[&pbx()].is_over(bench.now));
    bench.tries.clear();
    bench.pass(secs(241));
    let (flow, request) = bench.request();
    assert!(request.headers.get(&HeaderName::Authorization).is_some());
    bench.reply(flow, &request, 200);
    assert!(bench.tries.is_empty(), "each refresh would be written down");
}

#[test]
fn a_registrar_that_was_away_is_not_taken_for_one_that_refuses() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, request) = bench.request();
    challenge(&mut bench, flow, &request);
    let (flow, request) = bench.request();
    bench.reply(flow, &request, 200);
    // nobody answers for an hour, then it knows nothing of its nonce
    bench.pass(secs(3600));
    bench.sent.clear();
    bench.accounts.clear();
    let before = bench.now;
    while bench.sent.is_empty() {
        bench.pass(secs(1));
    }
    let (flow, request) = bench.request();
    assert!(request.headers.get(&HeaderName::Authorization).is_none());
    challenge(&mut bench, flow, &request);
    let (flow, request) = bench.request();
    assert!(request.headers.get(&HeaderName::Authorization).is_some());
    bench.reply(flow, &request, 200);
    assert!(bench.now.since(before) < secs(125));
    assert!(matches!(
        bench.accounts.pop_back(),
        Some((AccountState::Registered, Some(AccountEvent::Registered { .. })))
    ));
}

#[test]
fn a_registrar_that_calls_every_nonce_stale_gets_credentials_four_times_in_ten_minutes() {
    // it gives another nonce each time, or says so of the same one
    for new in [true, false] {
        let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
        bench.accounts.clear();
        let (mut nonce, mut with_credentials) = (0, 0);
        for _ in 0..600 {
            while let Some((flow, message)) = bench.sent.pop_front() {
                if let crate::Message::Request(request) = message {
                    with_credentials += u32::from(request.headers.get(&HeaderName::Authorization).is_some());
                    nonce += u32::from(new);
                    challenge_once(&mut bench, flow, &request, nonce, true);
                }
            }
            bench.pass(secs(1));
        }
        assert_eq!(with_credentials, 4);
        let mut waits = Vec::new();
        while let Some((_, event)) = bench.accounts.pop_front() {
            if let Some(AccountEvent::Failed { detail, retry_s }) = event {
                assert!(detail.contains("calls each nonce stale"), "{detail}");
                assert!(!detail.contains("check user"), "{detail}");
                waits.push(retry_s);
            }
        }
        // in the end what is left of the ten minutes
        assert!(waits.last().is_some_and(|wait| *wait > 500), "{waits:?}");
    }
}

#[test]
fn a_registrar_that_wants_longer_lifetimes_gets_them() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, first) = bench.request();
    let response = Response::to(&first, 423)
        .with_to_tag("r")
        .with(HeaderName::MinExpires, "600");
    bench.reply_with(flow, response);
    let (_, second) = bench.request();
    assert_eq!(second.headers.text(&HeaderName::Expires).expect("ours"), "600");
}

#[test]
fn a_silent_registrar_is_reported_and_tried_again_at_growing_intervals() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    bench.pass(secs(33));
    assert_eq!(
        bench.accounts.pop_front(),
        Some((AccountState::Registering, None))
    );
    let failed = bench.accounts.pop_front().expect("reported");
    assert!(matches!(
        failed,
        (AccountState::Failed, Some(AccountEvent::Failed { ref detail, .. })) if detail == "no answer"
    ));
    bench.sent.clear();
    bench.pass(secs(3));
    let (flow, again) = bench.request();
    assert_eq!(again.method, Method::REGISTER);
    grant(&mut bench, flow, &again, 60);
    assert_eq!(
        bench.accounts.back().map(|(state, _)| *state),
        Some(AccountState::Registered)
    );
}

#[test]
fn retry_after_is_respected() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, first) = bench.request();
    let busy = Response::to(&first, 503)
        .with_to_tag("r")
        .with(HeaderName::RetryAfter, "45");
    bench.reply_with(flow, busy);
    bench.pass(secs(44));
    bench.nothing_sent();
    bench.pass(secs(2));
    bench.request_of(Method::REGISTER);
}

#[test]
fn a_503_leads_to_the_next_server_of_the_name_and_all_of_them_to_a_wait() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::new(Vec::new());
        bench.servers = ["10.0.0.3:5060", "10.0.0.4:5070"].map(addr).to_vec();
        bench
            .ua
            .configure(bench.now, params(), vec![account(transport, true)]);
        bench.settle();
        for turn in 0..2 {
            let (flow, first) = bench.request();
            assert_eq!(flow.remote, addr("10.0.0.3:5060"), "{turn}");
            let busy = |request: &Request| {
                let response = Response::to(request, 503).with_to_tag("r");
                response.with(HeaderName::RetryAfter, "300")
            };
            bench.reply_with(flow, busy(&first));
            bench.sent.clear();
            // the first does not speak for the second
            bench.pass(secs(9));
            let (flow, second) = bench.request();
            assert_eq!(flow.remote, addr("10.0.0.4:5070"), "{turn}");
            bench.reply_with(flow, busy(&second));
            bench.sent.clear();
            bench.pass(secs(299));
            bench.nothing_sent();
            bench.pass(secs(2));
        }
        let closed = if transport == Transport::Udp { 0 } else { 4 };
        assert_eq!(bench.closed.len(), closed);
    }
}

#[test]
fn a_lost_connection_is_made_again_within_a_second() {
    let (mut bench, flow, _) = registered(Transport::Tcp);
    bench.ua.handle_closed(bench.now, flow, "reset");
    bench.settle();
    assert_eq!(
        bench.accounts.pop_front(),
        Some((AccountState::Registering, None))
    );
    bench.pass(secs(1));
    let (new, again) = bench.request();
    assert_ne!(new.id, flow.id);
    grant(&mut bench, new, &again, 120);
    assert_eq!(
        bench.accounts.pop_front().map(|(state, _)| state),
        Some(AccountState::Registered)
    );
}

#[test]
fn a_connection_whose_pongs_stop_is_given_up() {
    let (mut bench, flow, _) = registered(Transport::Tcp);
    bench.pass(secs(31));
    bench.receive(flow, b"\r\n");
    bench.pass(secs(29));
    assert!(bench.closed.is_empty());
    bench.pass(secs(15));
    assert_eq!(bench.closed, [flow]);
}

#[test]
fn equal_accounts_are_left_alone_by_a_reload_and_changed_ones_start_again() {
    let (mut bench, flow, _) = registered(Transport::Udp);
    bench
        .ua
        .configure(bench.now, params(), vec![account(Transport::Udp, true)]);
    bench.settle();
    bench.nothing_sent();
    let mut changed = account(Transport::Udp, true);
    changed.user = "504".into();
    bench.ua.configure(bench.now, params(), vec![changed]);
    bench.settle();
    let (_, goodbye) = bench.request();
    assert_eq!(goodbye.headers.text(&HeaderName::Expires).expect("zero"), "0");
    let (_, hello) = bench.request();
    assert!(hello.headers.to().expect("ours").to_string().contains("504"));
    grant(&mut bench, flow, &goodbye, 0);
    grant(&mut bench, flow, &hello, 120);
    assert_eq!(
        bench.accounts.back().map(|(state, _)| *state),
        Some(AccountState::Registered)
    );
}

#[test]
fn an_outbound_proxy_and_the_service_route_lead_every_call() {
    let mut proxied = account(Transport::Tcp, true);
    proxied.proxy = true;
    let mut bench = Bench::new(vec![proxied]);
    let (flow, register) = bench.request();
    let routes = |request: &Request| -> Vec<String> {
        let all = request.headers.addresses(&HeaderName::Route).expect("ours");
        all.iter().map(ToString::to_string).collect()
    };
    let proxy = "<sip:10.0.0.2:5060;transport=tcp;lr>";
    assert_eq!(routes(&register), [proxy]);
    assert_eq!(register.uri.to_string(), "sip:pbx.example");
    let ok = Response::to(&register, 200)
        .with_to_tag("r")
        .with(HeaderName::Expires, "120")
        .with(HeaderName::ServiceRoute, "<sip:core.example;lr>");
    bench.reply_with(flow, ok);
    let (call_flow, invite) = bench.dial("1000");
    assert_eq!(call_flow, flow);
    assert_eq!(routes(&invite), [proxy, "<sip:core.example;lr>"]);
}

#[test]
fn a_call_made_while_the_pbx_is_first_asked_waits_for_its_answer() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, register) = bench.request();
    bench.call(Some(pbx()), "1000");
    bench.no_call_event();
    bench.nothing_sent();
    grant(&mut bench, flow, &register, 120);
    assert!(matches!(bench.call_event(), CallOutput::OfferWanted { .. }));
}

#[test]
fn a_call_that_waits_for_a_pbx_which_refuses_or_is_silent_ends_and_the_next_one_at_once() {
    for refused in [true, false] {
        let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
        let (flow, register) = bench.request();
        bench.call(Some(pbx()), "1000");
        bench.no_call_event();
        if refused {
            bench.reply(flow, &register, 503);
        } else {
            bench.pass(secs(33));
        }
        for again in [false, true] {
            let CallOutput::Ended { cause, detail } = bench.call_event() else {
                panic!("the call goes on");
            };
            assert_eq!(
                (cause, detail.as_str()),
                (Cause::Refused, "account pbx is not registered")
            );
            if !again {
                // also while it is asked again: it has failed once
                bench.pass(secs(3));
                bench.call(Some(pbx()), "1000");
            }
        }
    }
}

#[test]
fn a_call_that_waits_for_the_pbx_can_be_given_up() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, register) = bench.request();
    bench.call(Some(pbx()), "1000");
    bench.end(LegId(1), Cause::Cancelled);
    grant(&mut bench, flow, &register, 120);
    bench.no_call_event();
    bench.nothing_sent();
}

/// A challenge whose nonce counts for one request.
fn challenge_once(bench: &mut Bench, flow: Flow, request: &Request, nonce: u32, stale: bool) {
    let stale = if stale { ", stale=true" } else { "" };
    let value = format!("Digest realm=\"pbx\", nonce=\"{nonce}\"{stale}, qop=\"auth\"");
    let response = Response::to(request, 401)
        .with_to_tag("r")
        .with(HeaderName::WwwAuthenticate, value);
    bench.reply_with(flow, response);
}

fn removes(request: &Request) -> bool {
    request.headers.text(&HeaderName::Expires).as_deref() == Some("0")
}

#[test]
fn an_account_that_another_one_replaces_answers_the_challenge_to_its_deregistration() {
    let (mut bench, flow, _) = registered(Transport::Udp);
    let mut changed = account(Transport::Udp, true);
    changed.user = "504".into();
    bench.ua.configure(bench.now, params(), vec![changed]);
    bench.settle();
    let (_, goodbye) = bench.request();
    let (_, hello) = bench.request();
    challenge_once(&mut bench, flow, &goodbye, 7, true);
    let (_, again) = bench.request();
    assert!(removes(&again) && again.headers.to().expect("ours").to_string().contains("503"));
    let credentials = again.headers.text(&HeaderName::Authorization).expect("answered");
    assert!(credentials.contains("nonce=\"7\""), "{credentials}");
    grant(&mut bench, flow, &hello, 120);
    assert!(!bench.ua.is_idle(), "it is waited for at the end");
    grant(&mut bench, flow, &again, 0);
    assert!(bench.ua.is_idle());
    bench.pass(secs(5));
    bench.nothing_sent();
    assert_eq!(
        bench.accounts.back().map(|(state, _)| *state),
        Some(AccountState::Registered)
    );
}

#[test]
fn who_registers_as_the_same_one_waits_until_the_old_one_has_left_or_two_seconds() {
    for answered in [true, false] {
        let (mut bench, flow, _) = registered(Transport::Udp);
        let mut changed = account(Transport::Udp, true);
        changed.display = "Gate".into();
        bench.ua.configure(bench.now, params(), vec![changed]);
        bench.settle();
        let (_, goodbye) = bench.request();
        assert!(removes(&goodbye));
        // whoever calls meanwhile waits with it
        bench.call(Some(pbx()), "1000");
        bench.no_call_event();
        if answered {
            bench.nothing_sent();
            grant(&mut bench, flow, &goodbye, 0);
        } else {
            bench.pass(secs(1));
            assert!(
                bench
                    .sent
                    .iter()
                    .all(|(_, sent)| matches!(sent, crate::Message::Request(r) if removes(r)))
            );
            bench.sent.clear();
            bench.pass(std::time::Duration::from_millis(1001));
            bench
                .sent
                .retain(|(_, sent)| matches!(sent, crate::Message::Request(r) if !removes(r)));
        }
        let (_, hello) = bench.request();
        assert!(!removes(&hello));
        bench.nothing_sent();
        grant(&mut bench, flow, &hello, 120);
        assert!(matches!(bench.call_event(), CallOutput::OfferWanted { .. }));
        // the old one's time-out, 32 s later, is no matter of the new one
        bench.accounts.clear();
        bench.pass(secs(35));
        assert!(bench.accounts.is_empty(), "{:?}", bench.accounts);
    }
}

#[test]
fn an_account_that_was_taken_out_and_put_back_while_it_leaves_registers_again() {
    let (mut bench, flow, _) = registered(Transport::Udp);
    bench.ua.configure(bench.now, params(), vec![]);
    bench.settle();
    let (_, goodbye) = bench.request();
    bench
        .ua
        .configure(bench.now, params(), vec![account(Transport::Udp, true)]);
    bench.settle();
    bench.nothing_sent();
    grant(&mut bench, flow, &goodbye, 0);
    let (_, hello) = bench.request();
    assert!(!removes(&hello));
    grant(&mut bench, flow, &hello, 120);
    assert_eq!(
        bench.accounts.back().map(|(state, _)| *state),
        Some(AccountState::Registered)
    );
}

#[test]
fn the_answer_to_an_earlier_register_does_not_end_a_deregistration() {
    let (mut bench, flow, _) = registered(Transport::Udp);
    bench.pass(secs(90));
    let (_, refresh) = bench.request();
    bench.sent.clear();
    bench.ua.shutdown(bench.now);
    bench.settle();
    let (_, goodbye) = bench.request();
    grant(&mut bench, flow, &refresh, 120);
    challenge_once(&mut bench, flow, &goodbye, 8, true);
    let (_, again) = bench.request();
    assert!(removes(&again));
    grant(&mut bench, flow, &again, 0);
    assert!(bench.ua.is_idle());
}

/// An account whose transport DNS chooses.
fn automatic() -> crate::ua::UaAccount {
    let mut account = account(Transport::Udp, true);
    let host = crate::Host::parse("pbx.example").expect("a host");
    account.hop = crate::ua::Hop::new(&host, None, None, crate::ua::TrustId(0));
    account
}

#[test]
fn an_account_uses_the_transport_that_dns_names_and_trusts_nothing_worse() {
    for (dns, datagrams) in [(Transport::Udp, 200), (Transport::Tls, 403)] {
        let mut bench = Bench::begin(params());
        bench.dns = dns;
        bench.ua.configure(bench.now, params(), vec![automatic()]);
        bench.settle();
        let (flow, request) = bench.request();
        assert_eq!(flow.transport, dns);
        let via = request.headers.text(&HeaderName::Via).expect("ours").into_owned();
        assert!(via.starts_with(&format!("SIP/2.0/{}", dns.as_via())), "{via}");
        bench.reply(flow, &request, 200);
        // whoever writes the PBX's address into a datagram is not the PBX where that has TLS
        bench.ask(
            "OPTIONS sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKo\nFrom: <sip:pbx@10.0.0.2>;tag=1\n\
             To: <sip:503@10.0.0.1>\nCall-ID: o\nCSeq: 1 OPTIONS\n\n",
        );
        assert_eq!(bench.response().code(), datagrams, "{dns}");
    }
}
