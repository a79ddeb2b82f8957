//! Publication of presence (RFC 3903), and accounts whose doors cannot be called.

use gateway_core::{AccountEvent, AccountState, Standing};

use super::bench::{Bench, account, pbx, secs};
use crate::{HeaderName, Method, Request, Response, Transport};

fn registered(publish: bool) -> Bench {
    let mut account = account(Transport::Udp, true);
    account.publish = publish;
    let mut bench = Bench::new(vec![account]);
    let (flow, register) = bench.request();
    bench.reply_with(
        flow,
        Response::to(&register, 200).with(HeaderName::Expires, "36000"),
    );
    bench.accounts.clear();
    bench
}

fn publish(bench: &mut Bench) -> Request {
    let publish = bench.request_of(Method::PUBLISH);
    // what follows are repeats
    bench.sent.clear();
    assert_eq!(publish.uri.to_string(), "sip:503@pbx.example");
    assert_eq!(
        publish.headers.text(&HeaderName::Event).as_deref(),
        Some("presence")
    );
    publish
}

fn etag_of(publish: &Request) -> Option<String> {
    publish
        .headers
        .text(&HeaderName::SipIfMatch)
        .map(std::borrow::Cow::into_owned)
}

fn taken(bench: &mut Bench, publish: &Request, etag: &str, expires: &str) {
    let response = Response::to(publish, 200)
        .with_to_tag("r")
        .with(HeaderName::SipEtag, etag)
        .with(HeaderName::Expires, expires);
    let flow = bench.flow();
    bench.reply_with(flow, response);
}

fn basic(publish: &Request) -> String {
    let body = String::from_utf8_lossy(&publish.body).into_owned();
    let rest = body.split("<basic>").nth(1).unwrap_or_default();
    rest.split("</basic>").next().unwrap_or_default().to_owned()
}

fn standing(bench: &mut Bench, standing: Standing) {
    bench.ua.set_standing(bench.now, &pbx(), standing);
    bench.settle();
}

#[test]
fn presence_is_published_refreshed_by_its_tag_and_modified() {
    let mut bench = registered(true);
    let first = publish(&mut bench);
    assert_eq!((basic(&first).as_str(), etag_of(&first)), ("open", None));
    assert_eq!(
        first.headers.content_type().as_deref(),
        Some("application/pidf+xml")
    );
    taken(&mut bench, &first, "a1", "1000");
    bench.pass(secs(799));
    assert!(bench.sent.iter().all(|(_, m)| !m.to_string().contains("PUBLISH")));
    bench.pass(secs(2));
    let refresh = publish(&mut bench);
    assert_eq!(etag_of(&refresh).as_deref(), Some("a1"));
    assert!(refresh.body.is_empty(), "RFC 3903 §4.1");
    taken(&mut bench, &refresh, "a2", "1000");
    let fault = Standing {
        away: false,
        fault: true,
    };
    standing(&mut bench, fault);
    let modified = publish(&mut bench);
    assert_eq!(etag_of(&modified).as_deref(), Some("a2"));
    assert_eq!(basic(&modified), "closed");
    // a change before the answer is told after it
    standing(&mut bench, Standing::default());
    bench.nothing_sent();
    taken(&mut bench, &modified, "a3", "1000");
    let again = publish(&mut bench);
    assert_eq!(
        (basic(&again).as_str(), etag_of(&again).as_deref()),
        ("open", Some("a3"))
    );
}

#[test]
fn a_tag_that_the_pbx_has_lost_is_dropped_and_the_whole_state_sent() {
    let mut bench = registered(true);
    let first = publish(&mut bench);
    taken(&mut bench, &first, "a1", "1000");
    bench.pass(secs(801));
    let refresh = publish(&mut bench);
    let flow = bench.flow();
    bench.reply(flow, &refresh, 412);
    let whole = publish(&mut bench);
    assert_eq!((basic(&whole).as_str(), etag_of(&whole)), ("open", None));
    bench.reply_with(
        flow,
        Response::to(&whole, 423)
            .with_to_tag("r")
            .with(HeaderName::MinExpires, "7200"),
    );
    let longer = publish(&mut bench);
    assert_eq!(longer.headers.expires().expect("ours"), Some(7200));
}

#[test]
fn what_was_published_is_removed_though_it_is_challenged_and_nothing_is_published_after_it() {
    for code in [401, 412, 503] {
        let mut bench = registered(true);
        let first = publish(&mut bench);
        taken(&mut bench, &first, "a1", "1000");
        bench.ua.shutdown(bench.now);
        bench.settle();
        let removal = publish(&mut bench);
        let expires = |of: &Request| of.headers.expires().expect("ours");
        assert_eq!(
            (expires(&removal), etag_of(&removal).as_deref()),
            (Some(0), Some("a1"))
        );
        let flow = bench.flow();
        let challenge = "Digest realm=\"r\", nonce=\"once\", algorithm=SHA-256, qop=\"auth\"";
        bench.reply_with(
            flow,
            Response::to(&removal, code)
                .with_to_tag("r")
                .with(HeaderName::WwwAuthenticate, challenge),
        );
        if code == 401 {
            let again = publish(&mut bench);
            assert_eq!(
                (expires(&again), etag_of(&again).as_deref()),
                (Some(0), Some("a1"))
            );
            assert!(again.headers.text(&HeaderName::Authorization).is_some());
            taken(&mut bench, &again, "a2", "0");
        }
        bench.pass(secs(300));
        let published = bench
            .sent
            .iter()
            .filter(|(_, m)| m.to_string().starts_with("PUBLISH"));
        assert_eq!(published.count(), 0, "{code}");
    }
}

#[test]
fn a_short_life_is_refreshed_before_its_end() {
    let mut bench = registered(true);
    let first = publish(&mut bench);
    taken(&mut bench, &first, "a1", "20");
    bench.pass(secs(17));
    assert_eq!(etag_of(&publish(&mut bench)).as_deref(), Some("a1"));
}

#[test]
fn a_pbx_without_presence_is_not_asked_again() {
    let mut bench = registered(true);
    let first = publish(&mut bench);
    let flow = bench.flow();
    bench.reply(flow, &first, 489);
    bench.pass(secs(7200));
    // nor when there is something else to tell
    for fault in [true, false] {
        standing(&mut bench, Standing { away: false, fault });
    }
    assert!(bench.sent.iter().all(|(_, m)| !m.to_string().contains("PUBLISH")));
    assert_eq!(bench.not_published, ["489 Bad Event"], "told once");
    assert!(bench.accounts.is_empty(), "the account is as good as before");
}

#[test]
fn a_pbx_without_presence_is_asked_again_when_the_account_registers_anew() {
    let mut bench = registered(true);
    let first = publish(&mut bench);
    let flow = bench.flow();
    bench.reply(flow, &first, 489);
    for away in [true, false] {
        standing(&mut bench, Standing { away, fault: away });
        let register = bench.request_of(Method::REGISTER);
        let flow = bench.flow();
        bench.reply(flow, &register, 200);
    }
    let again = publish(&mut bench);
    assert_eq!((basic(&again).as_str(), etag_of(&again)), ("open", None));
}

#[test]
fn nothing_is_published_unless_it_is_wanted() {
    let mut bench = registered(false);
    standing(
        &mut bench,
        Standing {
            away: false,
            fault: true,
        },
    );
    bench.nothing_sent();
}

#[test]
fn presence_goes_before_the_registration_does() {
    let mut bench = registered(true);
    let first = publish(&mut bench);
    taken(&mut bench, &first, "a1", "1000");
    bench.ua.shutdown(bench.now);
    bench.settle();
    let gone = bench.request_of(Method::PUBLISH);
    assert_eq!(gone.headers.expires().expect("ours"), Some(0));
    assert_eq!(etag_of(&gone).as_deref(), Some("a1"));
    assert!(gone.body.is_empty());
    assert_eq!(
        bench
            .request_of(Method::REGISTER)
            .headers
            .expires()
            .expect("ours"),
        Some(0)
    );
}

#[test]
fn an_account_leaves_while_its_doors_cannot_be_called_and_comes_back() {
    let mut bench = registered(false);
    let away = |away| Standing { away, fault: away };
    standing(&mut bench, away(true));
    let gone = bench.request_of(Method::REGISTER);
    assert_eq!(gone.headers.expires().expect("ours"), Some(0));
    let flow = bench.flow();
    bench.reply(flow, &gone, 200);
    let unregistered = Some(AccountEvent::Unregistered {});
    assert_eq!(bench.accounts.pop_back(), Some((AccountState::Off, unregistered)));
    // for as long as that may be
    bench.pass(secs(4000));
    bench.nothing_sent();
    standing(&mut bench, away(false));
    let back = bench.request_of(Method::REGISTER);
    assert_eq!(back.headers.expires().expect("ours"), Some(300));
}

#[test]
fn doors_that_are_mended_while_the_account_leaves_have_it_come_back_at_once() {
    let mut bench = registered(false);
    let away = |away| Standing { away, fault: away };
    standing(&mut bench, away(true));
    let gone = bench.request_of(Method::REGISTER);
    standing(&mut bench, away(false));
    bench.nothing_sent();
    let flow = bench.flow();
    bench.reply(flow, &gone, 200);
    let back = bench.request_of(Method::REGISTER);
    assert_eq!(back.headers.expires().expect("ours"), Some(300));
}

#[test]
fn an_account_that_is_away_goes_for_good_when_the_gateway_stops() {
    let mut bench = registered(false);
    standing(
        &mut bench,
        Standing {
            away: true,
            fault: true,
        },
    );
    let gone = bench.request_of(Method::REGISTER);
    let flow = bench.flow();
    bench.reply(flow, &gone, 200);
    bench.ua.shutdown(bench.now);
    bench.settle();
    bench.nothing_sent();
    assert_eq!(bench.ua.account_states().count(), 0);
}

#[test]
fn a_long_publication_goes_over_tcp_and_over_udp_where_that_is_refused() {
    for refuse in [None, Some(Transport::Tcp)] {
        let used = if refuse.is_some() {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let mut account = account(Transport::Udp, false);
        account.publish = true;
        let route = |n| format!("<sip:edge{n}.pbx.example;lr;of={}>", "x".repeat(300));
        account.routes = (0..4)
            .map(route)
            .map(|text| crate::NameAddr::parse(&text).expect("a route"))
            .collect();
        let mut bench = Bench::new(Vec::new());
        bench.refuse = refuse;
        bench
            .ua
            .configure(bench.now, super::bench::params(), vec![account]);
        bench.settle();
        for (state, etag) in [("open", None), ("closed", Some("a1"))] {
            let (flow, publish) = bench.request();
            assert_eq!(publish.method, Method::PUBLISH);
            assert!(publish.to_bytes().len() > 1300);
            assert_eq!((flow.transport, flow.remote), (used, bench.flow().remote));
            assert_eq!(basic(&publish), state);
            assert_eq!(etag_of(&publish).as_deref(), etag);
            let response = Response::to(&publish, 200)
                .with(HeaderName::SipEtag, "a1")
                .with(HeaderName::Expires, "1000");
            bench.reply_with(flow, response);
            bench.nothing_sent();
            standing(
                &mut bench,
                Standing {
                    fault: true,
                    ..Standing::default()
                },
            );
        }
    }
}
