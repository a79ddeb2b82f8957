//! Responders under virtual time, also two of them on one link.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gateway_core::Instant;
use proptest::prelude::*;

use super::message::{Message, Name, Question, Record, kind};
use super::*;
use crate::ports::Address;

const T0: Instant = Instant::from_nanos(1_000_000_000_000);

fn ms(n: u64) -> Instant {
    T0 + Duration::from_millis(n)
}

fn profile() -> Profile {
    Profile {
        host: "doorline-lilas".into(),
        instance: "12 rue des Lilas".into(),
        services: vec![
            Service {
                only: None,
                port: 8443,
                protocol: "_tcp",
                texts: vec!["path=/".into()],
                kind: "_https",
            },
            Service {
                only: Some(IpAddr::from([198, 51, 100, 9])),
                port: 5060,
                protocol: "_udp",
                texts: vec![],
                kind: "_sip",
            },
        ],
    }
}

fn address(last: u8) -> Address {
    Address {
        ip: IpAddr::from([192, 0, 2, last]),
        prefix: 24,
    }
}

fn responder(last: u8) -> Responder {
    Responder::new(
        T0,
        &profile(),
        &[address(last)],
        &[address(last).ip],
        Duration::ZERO,
    )
}

fn at(last: u8) -> SocketAddr {
    (address(last).ip, PORT).into()
}

/// What it sends now, read again.
fn sent(responder: &mut Responder) -> Vec<(To, Message)> {
    let mut found = vec![];
    while let Some(output) = responder.poll_output() {
        if let Output::Send { bytes, to } = output {
            found.push((to, Message::read(&bytes).expect("our own")));
        }
    }
    found
}

/// Runs it up to a time, and gives what it sent to the group.
fn run(responder: &mut Responder, until: Instant) -> Vec<Message> {
    while let Some(due) = responder.poll_timeout().filter(|due| *due <= until) {
        responder.handle_timeout(due);
    }
    sent(responder).into_iter().map(|(_, message)| message).collect()
}

fn settled(last: u8) -> Responder {
    let mut responder = responder(last);
    run(&mut responder, ms(5000));
    assert!(responder.settled());
    responder
}

fn ask(name: &[&str], kind: u16) -> Message {
    Message {
        questions: vec![Question {
            name: Name::of(name),
            kind,
            unicast: false,
        }],
        ..Message::default()
    }
}

const HOST: [&str; 2] = ["doorline-lilas", "local"];
const PAGE: [&str; 4] = ["12 rue des Lilas", "_https", "_tcp", "local"];

#[test]
fn names_are_probed_three_times_then_announced_twice_and_said_goodbye_to() {
    let mut responder = responder(7);
    let sent_first = run(&mut responder, ms(749));
    assert_eq!(sent_first.len(), 3);
    for probe in &sent_first {
        assert!(!probe.response && probe.answers.is_empty());
        let names: Vec<&Name> = probe.questions.iter().map(|q| &q.name).collect();
        assert_eq!(names, [&Name::of(&HOST), &Name::of(&PAGE)]);
        // A, SRV and TXT: what is shared needs no probe
        assert_eq!(probe.authorities.len(), 3);
    }
    assert!(!responder.settled());
    let announced = run(&mut responder, ms(5000));
    assert_eq!(announced.len(), 2);
    for message in &announced {
        let kinds: Vec<(u16, bool)> = message.answers.iter().map(|r| (r.kind, r.flush)).collect();
        // the address, the two pointers, port and text; not the service at an address that this port does not have
        let expected = [
            (kind::A, true),
            (kind::PTR, false),
            (kind::PTR, false),
            (kind::SRV, true),
            (kind::TXT, true),
        ];
        assert_eq!(kinds, expected);
    }
    assert_eq!(responder.poll_timeout(), None);
    responder.goodbye();
    let goodbye = sent(&mut responder);
    assert!(goodbye[0].1.answers.iter().all(|record| record.ttl == 0));
}

#[test]
fn a_browser_gets_the_service_with_all_that_it_wants_next() {
    let mut responder = settled(7);
    responder.handle_packet(
        ms(9000),
        &ask(&["_HTTPS", "_tcp", "local"], kind::PTR).wire(),
        at(50),
    );
    assert!(
        sent(&mut responder).is_empty(),
        "what others may know, too, waits"
    );
    let answers = run(&mut responder, ms(9100));
    assert_eq!(answers.len(), 1);
    let kinds = |records: &[Record]| records.iter().map(|r| r.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&answers[0].answers), [kind::PTR]);
    assert_eq!(kinds(&answers[0].additionals), [kind::A, kind::SRV, kind::TXT]);
    let port = &answers[0].additionals[1];
    assert_eq!(port.data[..6], [0, 0, 0, 0, 0x20, 0xfb]);
    assert_eq!(port.data[6..], Name::of(&HOST).wire());
}

#[test]
fn who_knows_is_not_told_and_nobody_is_told_twice_within_a_second() {
    let mut responder = settled(7);
    let query = ask(&HOST, kind::A);
    let mut knowing = query.clone();
    knowing.answers.push(Record {
        name: Name::of(&HOST),
        kind: kind::A,
        flush: false,
        ttl: 60,
        data: vec![192, 0, 2, 7],
    });
    responder.handle_packet(ms(9000), &knowing.wire(), at(50));
    assert!(run(&mut responder, ms(9500)).is_empty());
    knowing.answers[0].ttl = 59;
    responder.handle_packet(ms(9600), &knowing.wire(), at(50));
    assert_eq!(run(&mut responder, ms(9600)).len(), 1);
    responder.handle_packet(ms(10_599), &query.wire(), at(50));
    assert!(run(&mut responder, ms(10_599)).is_empty());
    responder.handle_packet(ms(10_600), &query.wire(), at(50));
    assert_eq!(run(&mut responder, ms(10_600)).len(), 1);
}

#[test]
fn what_is_not_there_is_said() {
    let mut responder = settled(7);
    responder.handle_packet(ms(9000), &ask(&HOST, kind::AAAA).wire(), at(50));
    let answers = run(&mut responder, ms(9000));
    let record = &answers[0].answers[0];
    assert_eq!(record.kind, kind::NSEC);
    // the only type is A: bit 1 of the first byte
    assert!(record.data.ends_with(&[0, 1, 0x40]), "{record:?}");
    responder.handle_packet(ms(12_000), &ask(&["other", "local"], kind::A).wire(), at(50));
    assert!(run(&mut responder, ms(13_000)).is_empty());
}

#[test]
fn an_old_resolver_is_answered_alone_briefly_and_only_if_it_is_near() {
    let mut responder = settled(7);
    let mut query = ask(&HOST, kind::A);
    query.id = 77;
    responder.handle_packet(ms(9000), &query.wire(), (address(50).ip, 40_000).into());
    let answers = sent(&mut responder);
    assert_eq!(answers.len(), 1);
    let (to, answer) = &answers[0];
    assert_eq!(*to, To::Peer((address(50).ip, 40_000).into()));
    assert_eq!((answer.id, answer.questions.len()), (77, 1));
    assert_eq!((answer.answers[0].ttl, answer.answers[0].flush), (10, false));
    let far: SocketAddr = "198.51.100.1:40000".parse().expect("an address");
    responder.handle_packet(ms(9001), &query.wire(), far);
    assert!(sent(&mut responder).is_empty());
    // somebody who asks all the time gets a bounded number of answers a second
    for n in 0..1000 {
        responder.handle_packet(ms(9100 + n / 2), &query.wire(), (address(50).ip, 40_000).into());
    }
    assert!(sent(&mut responder).len() <= 20);
}

#[test]
fn a_name_that_is_taken_is_given_up() {
    // the other one has it already and defends it
    let (mut old, mut new) = (settled(7), responder(8));
    new.handle_timeout(T0);
    let probe = sent(&mut new).remove(0).1;
    old.handle_packet(ms(9000), &probe.wire(), at(8));
    let (_, defence) = sent(&mut old).remove(0);
    assert!(defence.response);
    new.handle_packet(ms(1), &defence.wire(), at(7));
    assert_eq!(new.poll_output(), Some(Output::Conflict));
    assert_eq!(profile().numbered(2).host, "doorline-lilas-2");
    assert_eq!(profile().numbered(2).instance, "12 rue des Lilas (2)");
    let long = Profile {
        host: "x".repeat(63),
        ..profile()
    };
    assert_eq!(long.numbered(12).host, format!("{}-12", "x".repeat(60)));
}

#[test]
fn of_two_that_probe_at_once_the_later_address_goes_on() {
    let (mut low, mut high) = (responder(7), responder(8));
    low.handle_timeout(T0);
    high.handle_timeout(T0);
    let (from_low, from_high) = (sent(&mut low).remove(0).1, sent(&mut high).remove(0).1);
    low.handle_packet(ms(1), &from_high.wire(), at(8));
    high.handle_packet(ms(1), &from_low.wire(), at(7));
    assert_eq!(low.poll_timeout(), Some(ms(1001)), "it waits a second");
    assert_eq!(high.poll_timeout(), Some(ms(250)), "it goes on");
}

#[test]
fn a_settled_name_is_probed_again_when_somebody_uses_it() {
    let mut responder = settled(7);
    let strange = Message {
        response: true,
        answers: vec![Record {
            name: Name::of(&HOST),
            kind: kind::A,
            flush: true,
            ttl: 120,
            data: vec![192, 0, 2, 99],
        }],
        ..Message::default()
    };
    // not from the port of mDNS: it means nothing
    responder.handle_packet(ms(9000), &strange.wire(), (address(99).ip, 5354).into());
    assert!(responder.settled());
    responder.handle_packet(ms(9000), &strange.wire(), at(99));
    assert!(!responder.settled());
    assert_eq!(responder.poll_output(), None, "not given up yet");
    assert_eq!(run(&mut responder, ms(9700)).len(), 3);
    // and back, since nobody answered
    run(&mut responder, ms(12_000));
    assert!(responder.settled());
}

#[test]
fn what_we_said_ourselves_or_say_at_another_port_is_no_conflict() {
    let everywhere = [address(7).ip, address(8).ip];
    let begin = |last| Responder::new(T0, &profile(), &[address(last)], &everywhere, Duration::ZERO);
    let (mut one, mut other) = (begin(7), begin(8));
    for step in 0..40 {
        let now = ms(step * 100);
        for responder in [&mut one, &mut other] {
            responder.handle_timeout(now);
        }
        for (from, message) in [(7, sent(&mut one)), (8, sent(&mut other))] {
            for (_, message) in message {
                one.handle_packet(now, &message.wire(), at(from));
                other.handle_packet(now, &message.wire(), at(from));
            }
        }
    }
    assert!(one.settled() && other.settled());
}

proptest! {
    #[test]
    fn no_bytes_make_a_responder_panic_or_grow(
        packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), any::<u16>()), 0..20),
    ) {
        let mut responder = settled(7);
        for (n, (bytes, port)) in packets.into_iter().enumerate() {
            let now = ms(9000 + 10 * n as u64);
            responder.handle_packet(now, &bytes, (address(50).ip, port).into());
            responder.handle_timeout(now);
            prop_assert!(sent(&mut responder).len() <= 4);
        }
    }
}
