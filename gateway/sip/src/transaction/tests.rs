//! Machines and layer in virtual time.

use std::time::Duration;

use gateway_core::Instant;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::message::{Datagram, HeaderName, HeaderValue, Limits, Message, Method, read_datagram};
use crate::transport::{FlowId, Transport};
use crate::uri::Uri;

const UDP: bool = false;

#[test]
fn an_unanswered_invite_is_repeated_by_timer_a_and_given_up_by_timer_b() {
    let mut m = InviteClient::new(epoch(), Timers::default(), UDP);
    let log = run(&mut m, InviteClient::poll_timeout, InviteClient::handle_timeout);
    let repeats = [500, 1500, 3500, 7500, 15_500, 31_500];
    assert_eq!(times(&log, Action::Transmit), repeats);
    assert_eq!(times(&log, Action::TimedOut), [32_000]);
    assert_eq!(times(&log, Action::Terminate), [32_000]);
}

#[test]
fn an_unanswered_request_is_repeated_by_timer_e_and_given_up_by_timer_f() {
    let mut m = NonInviteClient::new(epoch(), Timers::default(), UDP);
    let log = run(
        &mut m,
        NonInviteClient::poll_timeout,
        NonInviteClient::handle_timeout,
    );
    let repeats = [
        500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    assert_eq!(times(&log, Action::Transmit), repeats);
    assert_eq!(times(&log, Action::TimedOut), [32_000]);
}

#[test]
fn on_a_connection_nothing_is_repeated() {
    let mut m = InviteClient::new(epoch(), Timers::default(), true);
    let log = run(&mut m, InviteClient::poll_timeout, InviteClient::handle_timeout);
    assert_eq!(log, [(32_000, Action::TimedOut), (32_000, Action::Terminate)]);
    let mut m = NonInviteClient::new(epoch(), Timers::default(), true);
    let log = run(
        &mut m,
        NonInviteClient::poll_timeout,
        NonInviteClient::handle_timeout,
    );
    assert_eq!(log, [(32_000, Action::TimedOut), (32_000, Action::Terminate)]);
}

#[test]
fn a_provisional_response_stops_timer_a_and_slows_timer_e_to_t2() {
    let mut m = InviteClient::new(epoch(), Timers::default(), UDP);
    assert_eq!(m.handle_response(ms(100), 180), [Action::PassUp]);
    assert_eq!(m.poll_timeout(), None);
    let mut m = NonInviteClient::new(epoch(), Timers::default(), UDP);
    assert_eq!(m.handle_response(ms(100), 100), [Action::PassUp]);
    let log = run(
        &mut m,
        NonInviteClient::poll_timeout,
        NonInviteClient::handle_timeout,
    );
    assert_eq!(
        times(&log, Action::Transmit),
        [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500]
    );
    assert_eq!(times(&log, Action::TimedOut), [32_000]);
}

#[test]
fn a_failed_invite_is_acknowledged_each_time_until_timer_d() {
    let mut m = InviteClient::new(epoch(), Timers::default(), UDP);
    assert_eq!(
        m.handle_response(ms(100), 486),
        [Action::Acknowledge, Action::PassUp]
    );
    assert_eq!(m.handle_response(ms(600), 486), [Action::Acknowledge]);
    assert_eq!(m.handle_response(ms(700), 200), []);
    let log = run(&mut m, InviteClient::poll_timeout, InviteClient::handle_timeout);
    assert_eq!(log, [(32_100, Action::Terminate)]);
    let mut m = InviteClient::new(epoch(), Timers::default(), true);
    assert_eq!(
        m.handle_response(ms(1), 600),
        [Action::Acknowledge, Action::PassUp, Action::Terminate]
    );
}

#[test]
fn every_2xx_of_an_accepted_invite_is_passed_up_until_timer_m() {
    let mut m = InviteClient::new(epoch(), Timers::default(), true);
    assert_eq!(m.handle_response(ms(100), 200), [Action::PassUp]);
    assert_eq!(m.handle_response(ms(600), 200), [Action::PassUp]);
    assert_eq!(m.handle_response(ms(700), 486), []);
    let log = run(&mut m, InviteClient::poll_timeout, InviteClient::handle_timeout);
    assert_eq!(log, [(32_100, Action::Terminate)]);
}

#[test]
fn timer_k_absorbs_repeated_finals_over_udp_only() {
    let mut m = NonInviteClient::new(epoch(), Timers::default(), UDP);
    assert_eq!(m.handle_response(ms(100), 200), [Action::PassUp]);
    assert_eq!(m.handle_response(ms(200), 200), []);
    let log = run(
        &mut m,
        NonInviteClient::poll_timeout,
        NonInviteClient::handle_timeout,
    );
    assert_eq!(log, [(5100, Action::Terminate)]);
    let mut m = NonInviteClient::new(epoch(), Timers::default(), true);
    assert_eq!(m.handle_response(ms(1), 200), [Action::PassUp, Action::Terminate]);
}

#[test]
fn a_refused_invite_repeats_its_answer_by_timer_g_until_timer_h() {
    let mut m = InviteServer::new(epoch(), Timers::default(), UDP);
    assert_eq!(m.respond(ms(100), 486), Some(vec![Action::Transmit]));
    assert_eq!(m.respond(ms(101), 200), None);
    let log = run(&mut m, InviteServer::poll_timeout, InviteServer::handle_timeout);
    let repeats = [
        600, 1600, 3600, 7600, 11_600, 15_600, 19_600, 23_600, 27_600, 31_600,
    ];
    assert_eq!(times(&log, Action::Transmit), repeats);
    assert_eq!(times(&log, Action::TimedOut), [32_100]);
}

#[test]
fn an_ack_ends_the_repeats_and_timer_i_absorbs_more_acks() {
    let mut m = InviteServer::new(epoch(), Timers::default(), UDP);
    m.respond(ms(100), 486);
    assert_eq!(m.handle_ack(ms(200)), []);
    assert_eq!(m.handle_ack(ms(300)), []);
    assert!(m.is_idle());
    let log = run(&mut m, InviteServer::poll_timeout, InviteServer::handle_timeout);
    assert_eq!(log, [(5200, Action::Terminate)]);
    let mut m = InviteServer::new(epoch(), Timers::default(), true);
    m.respond(ms(100), 486);
    assert_eq!(m.handle_ack(ms(200)), [Action::Terminate]);
}

#[test]
fn an_invite_without_an_answer_gets_100_after_200_ms_or_when_repeated() {
    let mut m = InviteServer::new(epoch(), Timers::default(), UDP);
    let log = run(&mut m, InviteServer::poll_timeout, InviteServer::handle_timeout);
    assert_eq!(log, [(200, Action::Trying)]);
    assert_eq!(m.handle_repeat(), [Action::Transmit]);
    let mut m = InviteServer::new(epoch(), Timers::default(), UDP);
    assert_eq!(m.handle_repeat(), [Action::Trying]);
    m.respond(ms(10), 180);
    assert_eq!(m.poll_timeout(), None);
}

#[test]
fn an_accepted_invite_absorbs_repeats_and_sends_more_2xx_until_timer_l() {
    let mut m = InviteServer::new(epoch(), Timers::default(), UDP);
    assert_eq!(m.respond(ms(100), 200), Some(vec![Action::Transmit]));
    assert_eq!(m.handle_repeat(), []);
    assert_eq!(m.respond(ms(600), 200), Some(vec![Action::Transmit]));
    assert_eq!(m.respond(ms(600), 486), None);
    assert_eq!(m.handle_ack(ms(700)), [Action::PassUp]);
    let log = run(&mut m, InviteServer::poll_timeout, InviteServer::handle_timeout);
    assert_eq!(log, [(32_100, Action::Terminate)]);
}

#[test]
fn timer_j_answers_repeats_with_the_same_response() {
    let mut m = NonInviteServer::new(Timers::default(), UDP);
    assert_eq!(m.handle_repeat(), []);
    assert_eq!(m.respond(ms(100), 200), Some(vec![Action::Transmit]));
    assert_eq!(m.handle_repeat(), [Action::Transmit]);
    assert_eq!(m.respond(ms(200), 500), None);
    let log = run(
        &mut m,
        NonInviteServer::poll_timeout,
        NonInviteServer::handle_timeout,
    );
    assert_eq!(log, [(32_100, Action::Terminate)]);
}

#[test]
fn a_call_is_made_refused_and_acknowledged_on_the_branch_of_its_invite() {
    let mut layer = layer(Params::default());
    let id = layer
        .send_request(ms(0), request("INVITE", "", ""), flow())
        .expect("room");
    let sent = sends(&mut layer);
    let invite = as_request(&sent[0]);
    let via = invite.headers.via().expect("via");
    assert!(via.has_cookie() && via.params.has("rport"));

    let busy = response_to(&invite, 486, "b1");
    layer.handle_message(ms(50), busy.clone().into(), flow());
    let out = drain(&mut layer);
    let [
        Output::Send { bytes, .. },
        Output::Event(Event::Response { id: from, .. }),
    ] = out.as_slice()
    else {
        panic!("{out:?}")
    };
    assert_eq!(*from, id);
    let ack = as_request(bytes);
    assert_eq!(ack.method, Method::ACK);
    assert_eq!(ack.uri, invite.uri);
    assert_eq!(ack.headers.via(), invite.headers.via());
    assert_eq!(ack.headers.to().expect("to").tag(), Some("b1"));
    assert_eq!(ack.headers.cseq().expect("cseq").to_string(), "1 ACK");

    layer.handle_message(ms(500), busy.into(), flow());
    assert_eq!(
        sends(&mut layer).len(),
        1,
        "acknowledged again, not reported again"
    );
    layer.handle_timeout(ms(32_050));
    assert_eq!(drain(&mut layer), [Output::Event(Event::Terminated { id })]);
    assert!(layer.is_empty() && layer.poll_timeout().is_none());
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_reuses_the_branch() {
    let mut layer = layer(Params::default());
    let id = layer
        .send_request(ms(0), request("INVITE", "", ""), flow())
        .expect("room");
    let invite = as_request(&sends(&mut layer)[0]);
    let reason = HeaderValue::from("SIP ;cause=200 ;text=\"Call completed elsewhere\"");
    layer.cancel(ms(10), id, Some(reason)).expect("waiting");
    assert_eq!(drain(&mut layer), [], "no CANCEL before a response");
    layer.handle_message(ms(20), response_to(&invite, 180, "b1").into(), flow());
    let cancel = as_request(&sends(&mut layer)[0]);
    assert_eq!(cancel.method, Method::CANCEL);
    assert_eq!(cancel.headers.via(), invite.headers.via());
    assert_eq!(cancel.headers.to(), invite.headers.to());
    assert_eq!(cancel.headers.cseq().expect("cseq").to_string(), "1 CANCEL");
    assert!(
        cancel
            .headers
            .text(&HeaderName::Reason)
            .expect("reason")
            .contains("cause=200")
    );
    layer.handle_message(ms(30), response_to(&cancel, 200, "b1").into(), flow());
    assert_eq!(drain(&mut layer), [], "the layer keeps its own CANCEL to itself");
    layer.handle_message(ms(40), response_to(&invite, 487, "b1").into(), flow());
    let out = drain(&mut layer);
    assert!(
        matches!(&out[1], Output::Event(Event::Response { response, .. }) if response.code() == 487),
        "{out:?}"
    );
    assert_eq!(layer.cancel(ms(50), id, None), Err(StateError::Past(id)));
}

#[test]
fn a_cancelled_invite_without_a_final_answer_ends_after_64_t1() {
    let mut layer = layer(Params::default());
    let id = layer
        .send_request(ms(0), request("INVITE", "", ""), flow())
        .expect("room");
    let invite = as_request(&sends(&mut layer)[0]);
    layer.handle_message(ms(20), response_to(&invite, 180, "b1").into(), flow());
    layer.cancel(ms(1000), id, None).expect("waiting");
    drain(&mut layer);
    let mut last = ms(0);
    while let Some(at) = layer.poll_timeout() {
        last = at;
        layer.handle_timeout(at);
    }
    let events: Vec<_> = drain(&mut layer)
        .into_iter()
        .filter(|o| matches!(o, Output::Event(_)))
        .collect();
    assert_eq!(
        events,
        [
            Output::Event(Event::Timeout { id }),
            Output::Event(Event::Terminated { id })
        ]
    );
    assert_eq!(last, ms(33_000));
}

#[test]
fn an_incoming_cancel_is_answered_and_reported_once() {
    let mut layer = layer(Params::default());
    layer.handle_message(ms(0), incoming("INVITE", "z9hG4bKa", "1").into(), flow());
    let out = drain(&mut layer);
    let [Output::Event(Event::Request { id, request, .. })] = out.as_slice() else {
        panic!("{out:?}")
    };
    layer
        .respond(ms(1), *id, &Response::to(request, 180).with_to_tag("t9"))
        .expect("waiting");
    drain(&mut layer);
    let cancel = incoming("CANCEL", "z9hG4bKa", "1");
    layer.handle_message(ms(2), cancel.clone().into(), flow());
    let out = drain(&mut layer);
    let [
        Output::Send { bytes, .. },
        Output::Event(Event::Cancel { id: of, .. }),
    ] = out.as_slice()
    else {
        panic!("{out:?}")
    };
    assert_eq!(of, id);
    assert_eq!(as_response(bytes).status_line(), "200 OK");
    assert_eq!(as_response(bytes).headers.to().expect("to").tag(), Some("t9"));
    layer.handle_message(ms(3), cancel.into(), flow());
    assert_eq!(sends(&mut layer).len(), 1, "the same 200 again, no second event");
    layer.handle_message(ms(4), incoming("CANCEL", "z9hG4bKother", "1").into(), flow());
    let out = drain(&mut layer);
    let [Output::Send { bytes, .. }] = out.as_slice() else {
        panic!("{out:?}")
    };
    assert_eq!(as_response(bytes).code(), 481);
}

#[test]
fn repeats_get_the_last_response_where_the_request_came_from() {
    let mut layer = layer(Params::default());
    let options = incoming("OPTIONS", "z9hG4bKo", "1");
    layer.handle_message(ms(0), options.clone().into(), flow());
    let out = drain(&mut layer);
    let [Output::Event(Event::Request { id, request, .. })] = out.as_slice() else {
        panic!("{out:?}")
    };
    layer
        .respond(ms(1), *id, &Response::to(request, 200).with_to_tag("t"))
        .expect("waiting");
    let first = drain(&mut layer);
    let [Output::Send { flow: to, bytes, .. }] = first.as_slice() else {
        panic!("{first:?}")
    };
    assert_eq!(*to, flow(), "rport was asked for");
    let via = as_response(bytes).headers.via().expect("via");
    assert_eq!(
        (via.rport(), via.received()),
        (Some(40_000), Some(flow().remote.ip()))
    );
    layer.handle_message(ms(2), options.into(), flow());
    assert_eq!(drain(&mut layer), first);
    assert_eq!(layer.counters().repeats, 1);
}

#[test]
fn an_ack_is_absorbed_after_a_failure_and_passed_up_after_a_2xx() {
    let mut layer = layer(Params::default());
    for (branch, code, expected) in [("z9hG4bK1", 486_u16, 0), ("z9hG4bK2", 200, 1)] {
        layer.handle_message(ms(0), incoming("INVITE", branch, branch).into(), flow());
        let out = drain(&mut layer);
        let [Output::Event(Event::Request { id, request, .. })] = out.as_slice() else {
            panic!("{out:?}")
        };
        layer
            .respond(ms(1), *id, &Response::to(request, code).with_to_tag("t"))
            .expect("waiting");
        drain(&mut layer);
        let ack_branch = if code == 486 { branch } else { "z9hG4bKfresh" };
        layer.handle_message(ms(2), incoming("ACK", ack_branch, branch).into(), flow());
        let acks = drain(&mut layer)
            .into_iter()
            .filter(|o| matches!(o, Output::Event(Event::Ack { .. })))
            .count();
        assert_eq!(acks, expected, "{code}");
    }
}

#[test]
fn peers_of_rfc_2543_are_matched_without_a_branch() {
    let mut layer = layer(Params::default());
    let invite = incoming("INVITE", "1", "x");
    layer.handle_message(ms(0), invite.clone().into(), flow());
    let out = drain(&mut layer);
    let [Output::Event(Event::Request { id, request, .. })] = out.as_slice() else {
        panic!("{out:?}")
    };
    layer
        .respond(ms(1), *id, &Response::to(request, 404).with_to_tag("t"))
        .expect("waiting");
    drain(&mut layer);
    layer.handle_message(ms(2), invite.into(), flow());
    assert_eq!(sends(&mut layer).len(), 1, "a repeat");
    let mut ack = incoming("ACK", "1", "x");
    layer.handle_message(ms(3), ack.clone().into(), flow());
    assert!(
        matches!(drain(&mut layer).as_slice(), [Output::Event(Event::Ack { .. })]),
        "foreign tag"
    );
    let to = ack.headers.to().expect("to").with_tag("t");
    ack.headers.set(HeaderName::To, to.to_string());
    layer.handle_message(ms(4), ack.into(), flow());
    assert_eq!(drain(&mut layer), []);
    assert_eq!(layer.poll_timeout(), Some(ms(5004)), "timer I");
}

#[test]
fn the_same_request_by_another_way_is_482() {
    let mut layer = layer(Params::default());
    layer.handle_message(ms(0), incoming("INVITE", "z9hG4bKa", "1").into(), flow());
    drain(&mut layer);
    layer.handle_message(ms(1), incoming("INVITE", "z9hG4bKb", "1").into(), flow());
    let sent = sends(&mut layer);
    assert_eq!(as_response(&sent[0]).code(), 482);
    assert_eq!((layer.len(), layer.counters().merged), (1, 1));
}

#[test]
fn a_full_table_answers_503_and_gives_up_what_only_absorbs_repeats() {
    let mut layer = layer(Params {
        servers: 2,
        clients: 1,
        ..Params::default()
    });
    let mut ids = Vec::new();
    for n in 0..3 {
        layer.handle_message(
            ms(n),
            incoming("INVITE", &format!("z9hG4bK{n}"), &n.to_string()).into(),
            flow(),
        );
        for output in drain(&mut layer) {
            match output {
                Output::Event(Event::Request { id, request, .. }) => ids.push((id, request)),
                Output::Send { bytes, id: None, .. } => assert_eq!(as_response(&bytes).code(), 503),
                other @ (Output::Event(_) | Output::Send { .. }) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((ids.len(), layer.len(), layer.counters().full), (2, 2, 1));
    layer
        .respond(ms(5), ids[0].0, &Response::to(&ids[0].1, 486).with_to_tag("t"))
        .expect("waiting");
    layer.handle_message(ms(6), incoming("ACK", "z9hG4bK0", "0").into(), flow());
    layer.handle_message(ms(7), incoming("OPTIONS", "z9hG4bK9", "9").into(), flow());
    assert!(
        drain(&mut layer)
            .iter()
            .any(|o| matches!(o, Output::Event(Event::Request { .. })))
    );
    assert_eq!((layer.len(), layer.counters().evicted), (2, 1));

    layer
        .send_request(ms(8), request("OPTIONS", "", ""), flow())
        .expect("room");
    let full = layer.send_request(ms(8), request("OPTIONS", "", ""), flow());
    assert_eq!(full, Err(SendError::Full { waiting: 1 }));
}

#[test]
fn calls_that_are_over_hold_up_no_new_ones_and_cost_bounded_memory() {
    let mut layer = layer(Params {
        clients: 4,
        lingering: 10,
        ..Params::default()
    });
    let mut last = None;
    for n in 0..1000_u64 {
        let id = layer
            .send_request(ms(n), request("INVITE", "", ""), flow())
            .expect("nothing waits");
        let sent = sends(&mut layer);
        let invite = as_request(&sent[0]);
        layer.handle_message(ms(n), Response::to(&invite, 200).with_to_tag("t").into(), flow());
        drain(&mut layer);
        assert!(layer.len() <= 11, "{n}: {}", layer.len());
        last = Some((id, invite));
    }
    assert_eq!(layer.counters().evicted, 990);
    // The latest still hear repeats of their 2xx, to acknowledge them again.
    let (id, invite) = last.expect("a thousand");
    layer.handle_message(
        ms(1500),
        Response::to(&invite, 200).with_to_tag("t").into(),
        flow(),
    );
    let heard = drain(&mut layer);
    assert!(
        matches!(&heard[..], [Output::Event(Event::Response { id: of, .. })] if *of == id),
        "{heard:?}"
    );
    layer.handle_timeout(ms(40_000));
    drain(&mut layer);
    assert!(layer.is_empty());
}

#[test]
fn an_unreachable_address_fails_what_has_heard_nothing_from_it_and_nothing_else() {
    let mut layer = layer(Params::default());
    let other = Flow {
        remote: "192.0.2.77:5060".parse().expect("an address"),
        ..flow()
    };
    let mut ask = |method: &str, flow: Flow| {
        layer
            .send_request(ms(0), request(method, "", ""), flow)
            .expect("room")
    };
    let (fails, rings) = (ask("INVITE", flow()), ask("INVITE", flow()));
    let (also, stays) = (ask("OPTIONS", flow()), ask("OPTIONS", other));
    let sent = sends(&mut layer);
    let ringing = as_request(&sent[1]);
    layer.handle_message(ms(1), Response::to(&ringing, 180).with_to_tag("t").into(), flow());
    drain(&mut layer);
    layer.handle_unreachable(flow().remote);
    let mut failed: Vec<_> = drain(&mut layer)
        .into_iter()
        .filter_map(|output| match output {
            Output::Event(Event::TransportError { id, .. }) => Some(id),
            Output::Event(_) | Output::Send { .. } => None,
        })
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, [fails, also]);
    assert_eq!(layer.len(), 2, "{rings:?} and {stays:?} go on");
}

#[test]
fn invites_that_are_never_acknowledged_do_not_fill_the_table() {
    let mut layer = layer(Params {
        servers: 2,
        ..Params::default()
    });
    for n in 0..4 {
        layer.handle_message(
            ms(n),
            incoming("INVITE", &format!("z9hG4bK{n}"), &n.to_string()).into(),
            flow(),
        );
        let out = drain(&mut layer);
        let Some(Output::Event(Event::Request { id, request, .. })) = out.last() else {
            panic!("{out:?}")
        };
        let refusal = Response::to(request, 403).with_to_tag("t");
        layer.respond(ms(n), *id, &refusal).expect("waiting");
    }
    assert_eq!(
        (layer.len(), layer.counters().evicted, layer.counters().full),
        (2, 2, 0)
    );

    let mut layer = self::layer(Params::default());
    layer.handle_message(ms(0), incoming("INVITE", "z9hG4bKa", "1").into(), flow());
    let out = drain(&mut layer);
    let [Output::Event(Event::Request { id, request, .. })] = out.as_slice() else {
        panic!("{out:?}")
    };
    layer
        .refuse(ms(1), *id, &Response::to(request, 403).with_to_tag("t"))
        .expect("waiting");
    let out = drain(&mut layer);
    assert!(
        matches!(
            out.as_slice(),
            [Output::Send { .. }, Output::Event(Event::Terminated { .. })]
        ),
        "{out:?}"
    );
    assert!(layer.is_empty() && layer.poll_timeout().is_none());
}

#[test]
fn a_cancel_from_another_address_finds_nothing() {
    let mut layer = layer(Params::default());
    layer.handle_message(ms(0), incoming("INVITE", "z9hG4bKa", "1").into(), flow());
    drain(&mut layer);
    let elsewhere = Flow {
        remote: "203.0.113.66:5060".parse().expect("address"),
        ..flow()
    };
    layer.handle_message(ms(1), incoming("CANCEL", "z9hG4bKa", "1").into(), elsewhere);
    let out = drain(&mut layer);
    let [Output::Send { bytes, flow, .. }] = out.as_slice() else {
        panic!("{out:?}")
    };
    assert_eq!(
        (as_response(bytes).code(), flow.remote.ip()),
        (481, elsewhere.remote.ip())
    );
}

#[test]
fn strangers_are_answered_without_memory_and_acks_not_at_all() {
    let mut layer = layer(Params::default());
    layer.respond_stateless(&incoming("INVITE", "z9hG4bKa", "1"), flow(), 403);
    layer.respond_stateless(&incoming("ACK", "z9hG4bKa", "1"), flow(), 403);
    let sent = sends(&mut layer);
    assert_eq!(sent.len(), 1);
    assert!(as_response(&sent[0]).headers.to().expect("to").tag().is_some());
    assert!(layer.is_empty());
}

#[test]
fn responses_to_nothing_and_with_foreign_hops_are_dropped() {
    let mut layer = layer(Params::default());
    layer
        .send_request(ms(0), request("OPTIONS", "", ""), flow())
        .expect("room");
    let options = as_request(&sends(&mut layer)[0]);
    let mut stray = response_to(&options, 200, "t");
    stray
        .headers
        .push(HeaderName::Via, "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx");
    layer.handle_message(ms(1), stray.clone().into(), flow());
    stray
        .headers
        .set(HeaderName::Via, "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx");
    layer.handle_message(ms(1), stray.into(), flow());
    assert_eq!(drain(&mut layer), []);
    assert_eq!(layer.counters().stray_responses, 2);
}

#[test]
fn a_lost_connection_fails_what_waits_on_it() {
    let mut layer = layer(Params::default());
    let tcp = Flow {
        id: FlowId(7),
        transport: Transport::Tcp,
        ..flow()
    };
    let id = layer
        .send_request(ms(0), request("REGISTER", "", ""), tcp)
        .expect("room");
    let other = layer
        .send_request(ms(0), request("REGISTER", "", ""), flow())
        .expect("room");
    drain(&mut layer);
    layer.handle_flow_lost(FlowId(7), "it was reset");
    let why = Some("it was reset".to_owned());
    let expected = [
        Output::Event(Event::TransportError { id, why }),
        Output::Event(Event::Terminated { id }),
    ];
    assert_eq!(drain(&mut layer), expected);
    assert_eq!(layer.len(), 1);
    layer.handle_transport_error(other);
    assert!(layer.is_empty() && layer.poll_timeout().is_none());
}

#[test]
fn the_ack_of_a_2xx_is_repeated_byte_for_byte() {
    let mut layer = layer(Params::default());
    let mut ack = request("ACK", "", "");
    layer.send_ack(&mut ack, flow());
    layer.send_ack(&mut ack, flow());
    let sent = sends(&mut layer);
    assert_eq!(sent[0], sent[1]);
    assert!(as_request(&sent[0]).headers.via().expect("via").has_cookie());
    assert!(matches!(
        layer.send_request(ms(0), ack, flow()),
        Err(SendError::Method { .. })
    ));
}

#[test]
fn a_client_and_a_server_layer_agree_over_a_lossy_way() {
    // Every third datagram is lost, both ways; a fixed pattern, so the run repeats.
    let (mut client, mut server) = (layer(Params::default()), layer(Params::default()));
    let id = client
        .send_request(ms(0), request("OPTIONS", "", ""), flow())
        .expect("room");
    let (mut count, mut now, mut answered, mut asked) = (0_u32, ms(0), 0, 0);
    for _ in 0..200 {
        let mut moved = false;
        for side in [true, false] {
            let (from, to) = if side {
                (&mut client, &mut server)
            } else {
                (&mut server, &mut client)
            };
            while let Some(output) = from.poll_output() {
                moved = true;
                match output {
                    Output::Send { bytes, .. } => {
                        count += 1;
                        if count % 3 != 1 {
                            let message = read(&bytes);
                            to.handle_message(now, message, flow());
                        }
                    }
                    Output::Event(Event::Request { id, request, .. }) => {
                        asked += 1;
                        from.respond(now, id, &Response::to(&request, 200).with_to_tag("t"))
                            .expect("waiting");
                    }
                    Output::Event(Event::Response { id: from, .. }) => {
                        answered += 1;
                        assert_eq!(from, id);
                    }
                    Output::Event(Event::Terminated { .. }) => {}
                    Output::Event(other) => panic!("{other:?}"),
                }
            }
        }
        if !moved {
            let Some(at) = client
                .poll_timeout()
                .into_iter()
                .chain(server.poll_timeout())
                .min()
            else {
                break;
            };
            now = at;
            client.handle_timeout(now);
            server.handle_timeout(now);
        }
    }
    assert_eq!((answered, asked), (1, 1));
    assert!(client.is_empty() && server.is_empty());
}

fn epoch() -> Instant {
    ms(0)
}

fn ms(n: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000) + Duration::from_millis(n)
}

/// Runs a machine to its end and notes what it did when, in milliseconds.
fn run<M>(
    machine: &mut M,
    poll: impl Fn(&M) -> Option<Instant>,
    fire: impl Fn(&mut M, Instant) -> Vec<Action>,
) -> Vec<(u128, Action)> {
    let mut log = Vec::new();
    for _ in 0..100 {
        let Some(at) = poll(machine) else { return log };
        log.extend(
            fire(machine, at)
                .into_iter()
                .map(|a| (at.since(epoch()).as_millis(), a)),
        );
    }
    panic!("a machine without end: {log:?}")
}

fn times(log: &[(u128, Action)], action: Action) -> Vec<u128> {
    log.iter()
        .filter(|(_, a)| *a == action)
        .map(|(at, _)| *at)
        .collect()
}

fn flow() -> Flow {
    Flow {
        id: FlowId(1),
        transport: Transport::Udp,
        local: "192.0.2.9:5060".parse().expect("address"),
        remote: "198.51.100.7:40000".parse().expect("address"),
    }
}

fn layer(params: Params) -> TransactionLayer {
    TransactionLayer::new(params, StdRng::seed_from_u64(7))
}

/// A request without Via, or with one if `branch` is given.
fn request(method: &str, branch: &str, call_id: &str) -> Request {
    let method = Method::parse(method).expect("method");
    let cseq = format!("1 {method}");
    let mut request = Request::new(method, Uri::parse("sip:door@198.51.100.7").expect("uri"));
    if !branch.is_empty() {
        request.headers.push(
            HeaderName::Via,
            format!("SIP/2.0/UDP 10.1.1.1:5062;rport;branch={branch}"),
        );
    }
    request
        .with(HeaderName::From, "<sip:a@h>;tag=1")
        .with(HeaderName::To, "<sip:b@h>")
        .with(HeaderName::CallId, format!("call{call_id}@h"))
        .with(HeaderName::CSeq, cseq)
}

fn incoming(method: &str, branch: &str, call_id: &str) -> Request {
    request(method, branch, call_id)
}

fn response_to(request: &Request, code: u16, tag: &str) -> Response {
    Response::to(request, code).with_to_tag(tag)
}

fn drain(layer: &mut TransactionLayer) -> Vec<Output> {
    std::iter::from_fn(|| layer.poll_output()).collect()
}

/// Bytes sent since the last look; events are dropped.
fn sends(layer: &mut TransactionLayer) -> Vec<Arc<[u8]>> {
    drain(layer)
        .into_iter()
        .filter_map(|o| match o {
            Output::Send { bytes, .. } => Some(bytes),
            Output::Event(_) => None,
        })
        .collect()
}

fn read(bytes: &[u8]) -> Message {
    match read_datagram(bytes, &Limits::default()) {
        Ok(Datagram::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn as_request(bytes: &[u8]) -> Request {
    match read(bytes) {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?}"),
    }
}

fn as_response(bytes: &[u8]) -> Response {
    match read(bytes) {
        Message::Response(response) => response,
        Message::Request(request) => panic!("{request:?}"),
    }
}
