//! Subscriptions to the state of calls (RFC 6665, RFC 4235).

use gateway_core::{Cause, LegId, Standing};

use super::bench::{Bench, SDP, addr, params, pbx, secs};
use super::incoming::{LEG, invite};
use crate::ua::CallOutput;
use crate::{Flow, HeaderName, Message, Method, Request, Response, Transport};

fn subscribe(n: u32, to_tag: &str, rest: &str) -> String {
    let tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    format!(
        "SUBSCRIBE sip:503@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKs{n}{to_tag}\nMax-Forwards: 70\n\
         From: <sip:1000@pbx.example>;tag=lamp\nTo: <sip:503@pbx.example>{tag}\nCall-ID: lamp\nCSeq: {n} SUBSCRIBE\n\
         Contact: <sip:1000@10.0.0.2:5062>\n{rest}"
    )
}

const DIALOG: &str = "Event: dialog\nAccept: application/dialog-info+xml\nExpires: 600";

/// A lamp that watches; gives our tag.
fn watched() -> (Bench, String) {
    let mut bench = Bench::trunk();
    bench.ask(&subscribe(1, "", DIALOG));
    let response = bench.response();
    assert_eq!(response.code(), 200);
    assert_eq!(response.headers.expires().expect("ours"), Some(600));
    let tag = response
        .headers
        .to()
        .expect("ours")
        .tag()
        .expect("a tag")
        .to_owned();
    (bench, tag)
}

/// The next notification, answered: its state and its dialogs.
fn told(bench: &mut Bench) -> (String, Vec<String>) {
    let sent = std::mem::take(&mut bench.sent);
    let notify = sent.into_iter().find_map(|(_, message)| match message {
        Message::Request(request) if request.method == Method::NOTIFY => Some(request),
        Message::Request(_) | Message::Response(_) => None,
    });
    let notify = notify.expect("something new is told");
    let told = read(&notify);
    let flow = bench.flow();
    bench.reply(flow, &notify, 200);
    told
}

fn read(notify: &Request) -> (String, Vec<String>) {
    assert_eq!(notify.headers.text(&HeaderName::Event).as_deref(), Some("dialog"));
    assert_eq!(
        notify.headers.content_type().as_deref(),
        Some("application/dialog-info+xml")
    );
    let state = notify
        .headers
        .text(&HeaderName::SubscriptionState)
        .expect("RFC 6665 §4.2.2");
    let body = String::from_utf8_lossy(&notify.body).into_owned();
    assert!(
        body.contains("state=\"full\" entity=\"sip:503@pbx.example\""),
        "{body}"
    );
    let states = body.split("<state>").skip(1);
    let states = states.filter_map(|rest| rest.split("</state>").next());
    (state.into_owned(), states.map(str::to_owned).collect())
}

#[test]
fn a_lamp_follows_an_outgoing_call_from_its_first_moment_to_its_end() {
    let (mut bench, _) = watched();
    assert_eq!(told(&mut bench), ("active;expires=600".into(), vec![]));
    let (flow, invite) = bench.dial("1000");
    bench.sent.clear();
    // no more than one notification in a second (RFC 4235 §3.10)
    bench.nothing_sent();
    bench.pass(secs(1));
    assert_eq!(told(&mut bench).1, ["trying"]);
    bench.pass(secs(1));
    bench.reply(flow, &invite, 180);
    assert_eq!(
        told(&mut bench),
        ("active;expires=598".into(), vec!["early".into()])
    );
    bench.pass(secs(1));
    bench.accept(flow, &invite, "phone");
    assert_eq!(told(&mut bench).1, ["confirmed"]);
    bench.calls.clear();
    bench.pass(secs(1));
    bench.end(LegId(1), Cause::Released);
    assert_eq!(told(&mut bench).1, Vec::<String>::new());
}

#[test]
fn a_call_to_the_door_and_a_line_that_is_out_of_order_are_shown() {
    let (mut bench, _) = watched();
    told(&mut bench);
    bench.pass(secs(2));
    bench.ask(&invite("", SDP));
    assert_eq!(told(&mut bench).1, ["early"]);
    bench.pass(secs(2));
    bench.ua.accept(bench.now, LEG, SDP.into());
    bench.settle();
    assert_eq!(told(&mut bench).1, ["confirmed"]);
    bench.pass(secs(2));
    let faulty = |fault| Standing { away: false, fault };
    bench.sent.clear();
    bench.ua.set_standing(bench.now, &pbx(), faulty(true));
    bench.settle();
    assert_eq!(told(&mut bench).1, ["confirmed", "confirmed"]);
    bench.pass(secs(2));
    bench.sent.clear();
    bench.ua.set_standing(bench.now, &pbx(), faulty(false));
    bench.settle();
    assert_eq!(told(&mut bench).1, ["confirmed"]);
}

#[test]
fn versions_count_up_and_neither_names_nor_tags_are_told() {
    let (mut bench, tag) = watched();
    for version in 0..3 {
        let notify = bench.request_of(Method::NOTIFY);
        let body = String::from_utf8_lossy(&notify.body).into_owned();
        assert!(body.contains(&format!("version=\"{version}\"")), "{body}");
        assert!(!body.contains("call-id") && !body.contains("1000@"), "{body}");
        let flow = bench.flow();
        bench.reply(flow, &notify, 200);
        bench.pass(secs(2));
        bench.ask(&subscribe(version + 2, &tag, DIALOG));
        assert_eq!(bench.response().code(), 200);
    }
}

#[test]
fn a_subscription_ends_by_its_time_by_wish_and_by_a_refusal() {
    let (mut bench, _) = watched();
    told(&mut bench);
    bench.pass(secs(601));
    assert_eq!(told(&mut bench).0, "terminated;reason=timeout");
    bench.pass(secs(60));
    bench.nothing_sent();

    let (mut bench, tag) = watched();
    told(&mut bench);
    bench.pass(secs(5));
    bench.ask(&subscribe(2, &tag, "Event: dialog\nExpires: 0"));
    assert_eq!(bench.response().headers.expires().expect("ours"), Some(0));
    assert_eq!(told(&mut bench).0, "terminated;reason=timeout");
    bench.ask(&subscribe(3, &tag, DIALOG));
    assert_eq!(bench.response().code(), 481);

    let (mut bench, tag) = watched();
    let notify = bench.request_of(Method::NOTIFY);
    let flow = bench.flow();
    bench.reply(flow, &notify, 481);
    bench.ask(&subscribe(2, &tag, DIALOG));
    assert_eq!(bench.response().code(), 481);
}

#[test]
fn a_lamp_that_answers_nothing_is_forgotten() {
    let (mut bench, tag) = watched();
    bench.request_of(Method::NOTIFY);
    bench.pass(secs(40));
    bench.sent.clear();
    bench.dial("1000");
    bench.nothing_sent();
    bench.ask(&subscribe(2, &tag, DIALOG));
    assert_eq!(bench.response().code(), 481);
}

#[test]
fn a_state_is_fetched_once_with_expires_0() {
    let mut bench = Bench::trunk();
    bench.ask(&subscribe(1, "", "Event: dialog;id=7\nExpires: 0"));
    assert_eq!(bench.response().code(), 200);
    assert_eq!(told(&mut bench).0, "terminated;reason=timeout");
    bench.dial("1000");
    bench.pass(secs(5));
    assert!(
        bench
            .sent
            .iter()
            .all(|(_, message)| !message.to_string().contains("NOTIFY"))
    );
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let mut bench = Bench::trunk();
    for (n, (rest, code, name)) in [
        ("Subject: none", 489, HeaderName::AllowEvents),
        ("Event: presence", 489, HeaderName::AllowEvents),
        ("Event: dialog\nAccept: text/html", 406, HeaderName::Accept),
        ("Event: dialog\nExpires: 5", 423, HeaderName::MinExpires),
    ]
    .into_iter()
    .enumerate()
    {
        bench.ask(&subscribe(u32::try_from(n).expect("few") + 1, "", rest));
        let response = bench.response();
        assert_eq!(response.code(), code, "{rest}");
        assert!(response.headers.get(&name).is_some(), "{rest}");
    }
}

#[test]
fn strangers_are_told_nothing_and_subscriptions_are_bounded() {
    let mut bench = Bench::trunk();
    let stranger = Flow {
        remote: addr("203.0.113.9:5060"),
        ..bench.flow()
    };
    bench.ask_from(stranger, &subscribe(1, "", DIALOG));
    assert_eq!(bench.response().code(), 403);
    assert_eq!(bench.strangers, 1);
    let codes: Vec<u16> = (1..=70)
        .map(|n| {
            let text = subscribe(1, "", DIALOG)
                .replace("Call-ID: lamp", &format!("Call-ID: lamp{n}"))
                .replace("bKs1", &format!("bKs{n}x"));
            bench.ask(&text);
            let code = bench.response().code();
            if code == 200 {
                told(&mut bench);
            }
            code
        })
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 64);
    assert_eq!(codes[64..], [503; 6]);
}

#[test]
fn a_direct_peer_watches_the_calls_that_go_past_every_account() {
    let mut settings = params();
    settings.direct_peers = ["192.0.2.7".parse().expect("an address")].into();
    let mut bench = Bench::with(settings, Vec::new());
    let flow = Flow {
        remote: addr("192.0.2.7:5060"),
        ..bench.flow()
    };
    bench.ask_from(flow, &subscribe(1, "", DIALOG));
    assert_eq!(bench.response().code(), 200);
    let notify = bench.request_of(Method::NOTIFY);
    let body = String::from_utf8_lossy(&notify.body).into_owned();
    assert!(body.contains("entity=\"sip:503@10.0.0.1\""), "{body}");
    bench.reply(flow, &notify, 200);
    bench.pass(secs(2));
    bench.ask_from(flow, &invite("", SDP));
    assert!(matches!(
        bench.call_event(),
        CallOutput::Incoming { account: None, .. }
    ));
    let notify = bench.request_of(Method::NOTIFY);
    assert!(String::from_utf8_lossy(&notify.body).contains("<state>early</state>"));
}

#[test]
fn notifications_go_to_whoever_asked_or_is_listed_and_never_to_whom_a_contact_names() {
    for (contact, to) in [
        ("sip:lamp@192.0.2.7:5099", "192.0.2.7:5099"),
        ("sip:lamp@192.0.2.8:5098", "192.0.2.8:5098"),
        ("sip:lamp@203.0.113.66:7", "192.0.2.7:5060"),
        ("sip:lamp@victim.example", "192.0.2.7:5060"),
    ] {
        let mut settings = params();
        settings.direct_peers = ["192.0.2.7", "192.0.2.8"]
            .map(|ip| ip.parse().expect("an address"))
            .into();
        let mut bench = Bench::with(settings, Vec::new());
        let flow = Flow {
            remote: addr("192.0.2.7:5060"),
            ..bench.flow()
        };
        let text = subscribe(1, "", DIALOG).replace("sip:1000@10.0.0.2:5062", contact);
        bench.ask_from(flow, &text);
        let sent = std::mem::take(&mut bench.sent);
        let notify = sent
            .into_iter()
            .find(|(_, message)| message.to_string().starts_with("NOTIFY"));
        let (towards, _) = notify.expect("a notification");
        assert_eq!(towards.remote, addr(to), "{contact}");
    }
    // nor by a route
    let mut settings = params();
    settings.direct_peers = ["192.0.2.7".parse().expect("an address")].into();
    let mut bench = Bench::with(settings, Vec::new());
    let flow = Flow {
        remote: addr("192.0.2.7:5060"),
        ..bench.flow()
    };
    let routed = format!("Record-Route: <sip:203.0.113.66;lr>\n{DIALOG}");
    bench.ask_from(flow, &subscribe(1, "", &routed));
    assert!(
        bench
            .sent
            .iter()
            .all(|(flow, _)| flow.remote == addr("192.0.2.7:5060"))
    );
}

#[test]
fn no_source_takes_the_subscriptions_of_another() {
    let mut settings = params();
    settings.direct_peers = ["192.0.2.7", "192.0.2.8"]
        .map(|ip| ip.parse().expect("an address"))
        .into();
    let mut bench = Bench::with(
        settings,
        vec![super::bench::account(crate::Transport::Udp, false)],
    );
    let mut granted = |remote: &str, most: u32| {
        let flow = Flow {
            remote: addr(remote),
            ..bench.flow()
        };
        (0..most)
            .filter(|n| {
                let text = subscribe(1, "", DIALOG)
                    .replace("Call-ID: lamp", &format!("Call-ID: {remote}-{n}"))
                    .replace("bKs1", &format!("bKs{n}{}", remote.len()))
                    .replace("10.0.0.2;", &format!("{};", &remote[..remote.len() - 5]));
                bench.ask_from(flow, &text);
                let code = bench.response().code();
                let notify = bench.sent.iter().find_map(|(_, message)| match message {
                    Message::Request(request) => Some(request.clone()),
                    Message::Response(_) => None,
                });
                if let Some(notify) = notify {
                    bench.reply(flow, &notify, 200);
                }
                bench.sent.clear();
                code == 200
            })
            .count()
    };
    assert_eq!(granted("192.0.2.7:5060", 20), 8);
    assert_eq!(granted("10.0.0.2:5060", 70), 64);
    assert_eq!(granted("192.0.2.8:5060", 20), 8);
}

#[test]
fn when_the_gateway_stops_a_lamp_is_told_to_come_back() {
    let (mut bench, _) = watched();
    told(&mut bench);
    bench.ua.shutdown(bench.now);
    bench.settle();
    assert_eq!(told(&mut bench).0, "terminated;reason=deactivated");
}

#[test]
fn a_pbx_that_asks_for_a_password_gets_it() {
    let (mut bench, _) = watched();
    let notify = bench.request_of(Method::NOTIFY);
    let flow = bench.flow();
    let challenge = Response::to(&notify, 407)
        .with_to_tag("x")
        .with(HeaderName::ProxyAuthenticate, "Digest realm=\"pbx\", nonce=\"1\"");
    bench.reply_with(flow, challenge);
    let again = bench.request_of(Method::NOTIFY);
    assert!(again.headers.get(&HeaderName::ProxyAuthorization).is_some());
    assert_eq!(again.headers.cseq().expect("ours").number, 2);
    assert_eq!(read(&again).0, "active;expires=600");
}

/// Proxies on the way that make a notification long.
fn far() -> String {
    let route = |n| {
        let of = "x".repeat(60);
        format!("Record-Route: <sip:edge{n}.a-name-of-some-length.pbx.example;lr;ftag={of}>\n")
    };
    (0..12).map(route).collect()
}

#[test]
fn a_connection_for_long_notifications_that_breaks_takes_no_lamp_with_it() {
    let mut bench = Bench::trunk();
    bench.ask(&subscribe(1, "", &format!("{}{DIALOG}", far())));
    assert_eq!(bench.response().code(), 200);
    let (flow, _) = bench.request();
    assert_eq!(flow.transport, Transport::Tcp);
    bench.ua.handle_closed(bench.now, flow, "reset");
    bench.settle();
    bench.pass(secs(1));
    let (flow, notify) = bench.request();
    assert_eq!((flow, &notify.method), (bench.flow(), &Method::NOTIFY));
    bench.reply(flow, &notify, 200);
    bench.pass(secs(2));
    bench.nothing_sent();
}

#[test]
fn a_long_notification_goes_over_tcp_and_over_udp_where_that_is_refused() {
    for refuse in [None, Some(Transport::Tcp)] {
        let mut bench = Bench::trunk();
        bench.refuse = refuse;
        bench.ask(&subscribe(1, "", &format!("{}{DIALOG}", far())));
        assert_eq!(bench.response().code(), 200);
        let used = if refuse.is_some() {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        for version in 0..2 {
            let (flow, notify) = bench.request();
            assert_eq!(notify.method, Method::NOTIFY);
            assert!(notify.to_bytes().len() > 1300);
            let via = notify.headers.text(&HeaderName::Via).expect("ours");
            assert!(via.starts_with(&format!("SIP/2.0/{used}")), "{via}");
            assert_eq!((flow.transport, flow.remote), (used, bench.flow().remote));
            let body = String::from_utf8_lossy(&notify.body).into_owned();
            assert!(body.contains(&format!("version=\"{version}\"")), "{body}");
            bench.reply(flow, &notify, 200);
            bench.nothing_sent();
            bench.pass(secs(2));
            let fault = version == 0;
            bench.ua.set_standing(
                bench.now,
                &pbx(),
                Standing {
                    fault,
                    ..Standing::default()
                },
            );
            bench.settle();
        }
    }
}
