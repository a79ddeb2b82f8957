//! Which Contact a registrar is given, and which ones are taken back.

use gateway_core::LegId;

use super::bench::{Bench, account, addr, params, secs};
use crate::ua::{Hop, TrustId, UaAccount};
use crate::{Flow, HeaderName, Host, Method, NameAddr, Request, Response, Transport};

/// Beyond a router.
fn far(transport: Transport) -> UaAccount {
    let mut account = account(transport, true);
    let host = Host::parse("198.51.100.2").expect("a host");
    account.hop = Hop::new(&host, Some(5060), transport, TrustId(0));
    account
}

fn contacts(request: &Request) -> Vec<NameAddr> {
    request.headers.addresses(&HeaderName::Contact).expect("ours")
}

/// `host:port` of the Contact that is to hold, and of those that are taken back.
fn told(request: &Request) -> (String, Vec<String>) {
    let place = |one: &NameAddr| {
        let uri = one.uri.as_sip().expect("ours");
        format!("{}:{}", uri.host, uri.port.expect("ours"))
    };
    let all = contacts(request);
    let (first, others) = all.split_first().expect("one");
    assert!(first.params.get("expires").is_none() && first.params.has("reg-id"));
    for other in others {
        assert_eq!(other.params.get("expires"), Some("0"));
        assert!(!other.params.has("reg-id"), "RFC 5626 §6: not in two");
    }
    (place(first), others.iter().map(place).collect())
}

/// The answer of a registrar that sees us at `seen` and lists `more` beside our Contact.
fn answer(bench: &mut Bench, flow: Flow, request: &Request, code: u16, seen: &str, more: &[String]) {
    let mut response = Response::to(request, code).with_to_tag("r");
    if !seen.is_empty() {
        let mut via = response.headers.via().expect("ours");
        via.stamp(addr(seen));
        response.headers.set_top_via(&via);
    }
    if code == 401 {
        response = response.with(
            HeaderName::WwwAuthenticate,
            "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"",
        );
    } else if code < 300 {
        for other in more {
            response = response.with(HeaderName::Contact, other.as_str());
        }
        let ours = contacts(request)[0].to_string();
        response = response.with(HeaderName::Contact, format!("{ours};expires=3600"));
    }
    bench.reply_with(flow, response);
    bench.pass(std::time::Duration::ZERO);
}

fn next(bench: &mut Bench) -> (Flow, Request) {
    let (flow, request) = bench.request();
    assert_eq!(request.method, Method::REGISTER);
    (flow, request)
}

#[test]
fn what_a_registrar_tells_twice_is_the_contact_of_register_and_invite() {
    for challenged in [true, false] {
        let mut bench = Bench::new(vec![far(Transport::Udp)]);
        for _ in 0..2 {
            let (flow, register) = next(&mut bench);
            assert_eq!(told(&register), ("10.0.0.1:5060".into(), vec![]));
            let code = if challenged && register.headers.get(&HeaderName::Authorization).is_none() {
                401
            } else {
                200
            };
            answer(&mut bench, flow, &register, code, "203.0.113.5:40000", &[]);
        }
        let (flow, register) = next(&mut bench);
        assert_eq!(
            told(&register),
            ("203.0.113.5:40000".into(), vec!["10.0.0.1:5060".into()])
        );
        answer(&mut bench, flow, &register, 200, "203.0.113.5:40000", &[]);
        bench.nothing_sent();
        bench.accounts.clear();
        let (_, invite) = bench.dial("1000");
        let contact = invite
            .headers
            .text(&HeaderName::Contact)
            .expect("ours")
            .into_owned();
        assert!(contact.contains("@203.0.113.5:40000"), "{contact}");
        bench.end(LegId(1), gateway_core::Cause::Cancelled);
        bench.sent.clear();
        // the farewell is for the binding that there is
        bench.ua.shutdown(bench.now);
        bench.settle();
        let (_, goodbye) = next(&mut bench);
        assert_eq!(told(&goodbye), ("203.0.113.5:40000".into(), vec![]));
    }
}

#[test]
fn who_is_near_is_told_our_own_address_and_so_is_who_tells_nothing_or_a_private_one() {
    for (near, seen) in [
        (true, "203.0.113.5:40000"),
        (false, ""),
        (false, "192.168.1.1:40000"),
        (false, "224.0.0.1:40000"),
        (false, "10.0.0.1:5060"),
    ] {
        let transport = Transport::Udp;
        let mut bench = Bench::new(vec![if near {
            account(transport, true)
        } else {
            far(transport)
        }]);
        for code in [401, 200] {
            let (flow, register) = next(&mut bench);
            assert_eq!(told(&register), ("10.0.0.1:5060".into(), vec![]), "{seen}");
            answer(&mut bench, flow, &register, code, seen, &[]);
        }
        bench.nothing_sent();
    }
}

#[test]
fn the_public_address_stands_in_the_contact_at_once_with_the_port_that_is_told() {
    let mut public = params();
    public.public_address = "203.0.113.9".parse().ok();
    let mut bench = Bench::with(public.clone(), vec![far(Transport::Udp)]);
    let (flow, register) = next(&mut bench);
    assert_eq!(told(&register).0, "203.0.113.9:5060");
    answer(&mut bench, flow, &register, 401, "203.0.113.9:40000", &[]);
    let (flow, register) = next(&mut bench);
    answer(&mut bench, flow, &register, 200, "203.0.113.9:40000", &[]);
    let (flow, register) = next(&mut bench);
    assert_eq!(
        told(&register),
        ("203.0.113.9:40000".into(), vec!["203.0.113.9:5060".into()])
    );
    answer(&mut bench, flow, &register, 200, "203.0.113.9:40000", &[]);
    bench.nothing_sent();
    // near ones, and those who are called directly, are told our own
    let mut bench = Bench::with(public, vec![account(Transport::Udp, true)]);
    let (_, register) = next(&mut bench);
    assert_eq!(told(&register).0, "10.0.0.1:5060");
    let (_, invite) = bench
        .dial_with(None, "sip:1000@198.51.100.7", super::bench::SDP.into())
        .expect("sent");
    let contact = invite
        .headers
        .text(&HeaderName::Contact)
        .expect("ours")
        .into_owned();
    assert!(contact.contains("@10.0.0.1:5060"), "{contact}");
}

#[test]
fn a_router_that_writes_another_port_each_time_does_not_make_us_register_without_end() {
    for every in [1, 2] {
        let mut bench = Bench::new(vec![far(Transport::Udp)]);
        let mut count = 0;
        while bench
            .sent
            .iter()
            .any(|(_, sent)| matches!(sent, crate::Message::Request(_)))
        {
            let (flow, register) = next(&mut bench);
            count += 1;
            let seen = format!("203.0.113.5:{}", 40_000 + count / every);
            answer(&mut bench, flow, &register, 200, &seen, &[]);
            assert!(count < 20);
        }
        assert_eq!(count, 7, "the first one and six out of turn");
    }
}

#[test]
fn bindings_of_earlier_starts_are_taken_back_once() {
    let mut bench = Bench::new(vec![account(Transport::Tcp, true)]);
    let (flow, register) = next(&mut bench);
    let ours = contacts(&register)[0].clone();
    let user = ours.uri.user().expect("ours");
    let at = |user: &str, place: &str, more: &str| format!("<sip:{user}@{place};transport=TCP>{more}");
    let instance = ";+sip.instance=\"<urn:uuid:07070707-0707-0707-0707-070707070707>\"";
    let listed = [
        at(&user, "10.0.0.1:39000", ";expires=100"),
        at(&user, "10.0.0.1:39001", instance),
        // of others, or elsewhere, or of another kind
        at(&user, "10.0.0.1:39002", ";+sip.instance=\"<urn:uuid:1>\""),
        at(&user, "10.0.0.7:39003", ""),
        at("d-0123", "10.0.0.1:39004", ""),
        format!("<sip:{user}@10.0.0.1:39005>"),
    ];
    answer(&mut bench, flow, &register, 200, "", &listed);
    let (flow, again) = next(&mut bench);
    assert_eq!(
        told(&again),
        (
            "10.0.0.1:40000".into(),
            vec!["10.0.0.1:39000".into(), "10.0.0.1:39001".into()]
        )
    );
    answer(&mut bench, flow, &again, 200, "", &listed[2..]);
    bench.nothing_sent();
    // a registrar that keeps them whatever it is told is asked four times
    let mut bench = Bench::new(vec![account(Transport::Tcp, true)]);
    let mut count = 0;
    while !bench.sent.is_empty() {
        let (flow, register) = next(&mut bench);
        count += 1;
        answer(&mut bench, flow, &register, 200, "", &listed);
        assert!(count < 20);
    }
    assert_eq!(count, 5);
    // the lifetime is that of our own binding, whichever comes first
    let event = bench.accounts.pop_back();
    assert!(format!("{event:?}").contains("3600"), "{event:?}");
}

#[test]
fn a_registrar_that_writes_where_it_sees_us_keeps_what_it_has() {
    let mut bench = Bench::new(vec![account(Transport::Udp, true)]);
    let (flow, register) = next(&mut bench);
    let user = contacts(&register)[0].uri.user().expect("ours");
    let response = Response::to(&register, 200).with_to_tag("r").with(
        HeaderName::Contact,
        format!("<sip:{user}@10.0.0.1:1024>;expires=60"),
    );
    bench.reply_with(flow, response);
    bench.pass(secs(1));
    bench.nothing_sent();
}

#[test]
fn a_new_connection_takes_back_the_binding_of_the_lost_one() {
    let mut bench = Bench::new(vec![far(Transport::Tcp)]);
    for code in [401, 200, 200] {
        let (flow, register) = next(&mut bench);
        answer(&mut bench, flow, &register, code, "203.0.113.5:50000", &[]);
        if bench.sent.is_empty() {
            assert_eq!(told(&register).0, "203.0.113.5:50000");
            bench.ua.handle_closed(bench.now, flow, "reset");
        }
    }
    bench.settle();
    bench.pass(secs(1));
    let (flow, register) = next(&mut bench);
    assert_eq!(
        told(&register),
        ("10.0.0.1:40000".into(), vec!["203.0.113.5:50000".into()])
    );
    // one that does not like two is asked with one
    bench.reply(flow, &register, 400);
    bench.pass(secs(3));
    let (_, register) = next(&mut bench);
    assert_eq!(told(&register).1, Vec::<String>::new());
}

/// Refuses the first REGISTER with credentials, and lists these Contacts to whoever asks. The REGISTER after that, if there is one.
fn after_a_refusal(bench: &mut Bench, listed: &[String]) -> Option<Request> {
    for code in [401, 403] {
        let (flow, register) = next(bench);
        answer(bench, flow, &register, code, "", &[]);
    }
    let (flow, query) = next(bench);
    assert!(contacts(&query).is_empty() && query.headers.get(&HeaderName::Expires).is_none());
    assert!(query.headers.get(&HeaderName::Authorization).is_some());
    let mut response = Response::to(&query, 200).with_to_tag("r");
    for one in listed {
        response = response.with(HeaderName::Contact, one.as_str());
    }
    bench.reply_with(flow, response);
    bench.pass(std::time::Duration::ZERO);
    (!bench.sent.is_empty()).then(|| next(bench).1)
}

#[test]
fn a_pbx_that_allows_no_more_contacts_is_asked_for_those_of_before_once() {
    let user = {
        let mut bench = Bench::new(vec![account(Transport::Tcp, true)]);
        contacts(&next(&mut bench).1)[0].uri.user().expect("ours")
    };
    let of = |user: &str| format!("<sip:{user}@10.0.0.1:39000;transport=TCP>;expires=100");
    let mut bench = Bench::new(vec![account(Transport::Tcp, true)]);
    let again = after_a_refusal(&mut bench, &[of("d-0123"), of(&user)]).expect("tried again");
    assert_eq!(
        told(&again),
        ("10.0.0.1:40000".into(), vec!["10.0.0.1:39000".into()])
    );
    // whose Contacts are somebody else's has nothing of ours to take back
    let mut bench = Bench::new(vec![account(Transport::Tcp, true)]);
    assert_eq!(after_a_refusal(&mut bench, &[of("d-0123")]), None);
    let told = format!("{:?}", bench.accounts);
    assert!(
        told.contains("403") && told.contains("how many contacts"),
        "{told}"
    );
    // and is not asked a second time
    bench.pass(secs(40));
    let (flow, register) = next(&mut bench);
    answer(&mut bench, flow, &register, 401, "", &[]);
    let (flow, register) = next(&mut bench);
    assert_eq!(contacts(&register).len(), 1);
    answer(&mut bench, flow, &register, 403, "", &[]);
    bench.nothing_sent();
}
