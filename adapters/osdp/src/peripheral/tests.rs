//! The reader with our own panel at the other end, under virtual time; and packets by hand.

use adapter_wiegand::WiegandParams;
use gateway_core::ReaderCommand;
use proptest::prelude::*;

use super::*;
use crate::bus::{Bus, BusParams, Output};
use crate::link::Security;
use crate::pd::{Event, PdParams};

const START: Instant = Instant::from_nanos(1_000_000_000_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn key(byte: u8) -> Key {
    Key::new([byte; 16])
}

/// 26 bits, 123,04567.
fn card() -> CardFrame {
    CardFrame {
        bits: 26,
        data: vec![0xBD, 0x88, 0xEB, 0x80],
    }
}

fn reader(secrecy: Secrecy) -> Peripheral {
    let params = PeripheralParams {
        address: 5,
        baud: 9600,
        secrecy,
        serial: 7,
    };
    let mut seed = 100_u64;
    Peripheral::new(params, move || {
        seed += 1;
        seed.to_be_bytes()
    })
}

fn keyed(byte: u8) -> Secrecy {
    Secrecy::Key {
        key: key(byte),
        changes: false,
    }
}

/// Panel and reader at one wire.
struct Pair {
    /// The next so many packets of the reader are changed, or with `None` lost.
    damage: usize,
    events: Vec<Event>,
    heard: Vec<Heard>,
    /// Is a new key kept?
    keeps: bool,
    lose: usize,
    now: Instant,
    panel: Bus,
    reader: Peripheral,
    wire: Vec<Vec<u8>>,
}

impl Pair {
    fn new(security: Security, secrecy: Secrecy) -> Self {
        let params = BusParams {
            baud: 9600,
            readers: vec![PdParams {
                address: 5,
                cards: WiegandParams::default(),
                inputs: true,
                security,
                texts: crate::display::Texts::default(),
            }],
        };
        let mut seed = 0_u64;
        let random = move || {
            seed += 1;
            seed.to_be_bytes()
        };
        Self {
            damage: 0,
            events: vec![],
            heard: vec![],
            keeps: true,
            lose: 0,
            now: START,
            panel: Bus::new(params, START, random),
            reader: reader(secrecy),
            wire: vec![],
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.panel.handle_timeout(self.now);
        while self.now < end {
            let mut answers = vec![];
            while let Some(output) = self.panel.poll_output() {
                match output {
                    Output::Event { event, .. } => self.events.push(event),
                    Output::Send(bytes) => {
                        self.wire.push(bytes.clone());
                        self.now = self.now + ms(12);
                        self.reader.handle_input(self.now, &bytes);
                        while let Some(out) = self.reader.poll_output() {
                            match out {
                                Out::Send(bytes) => answers.push(bytes),
                                Out::Heard(heard) => {
                                    if let Heard::Key(key) = &heard {
                                        if self.keeps {
                                            self.reader.kept(self.now, key.clone());
                                        } else {
                                            self.reader.not_kept(self.now);
                                        }
                                    }
                                    self.heard.push(heard);
                                }
                            }
                        }
                    }
                }
            }
            assert!(answers.len() <= 1, "it speaks once for each question");
            if let Some(mut answer) = answers.pop() {
                self.now = self.now + ms(15);
                if self.lose > 0 {
                    self.lose -= 1;
                } else {
                    if self.damage > 0 {
                        self.damage -= 1;
                        let last = answer.len() - 3;
                        answer[last] ^= 4;
                    }
                    self.panel.handle_input(self.now, &answer);
                    continue;
                }
            }
            let due = self.panel.poll_timeout().expect("there is always a next turn");
            self.now = self.now.max(due).min(end.max(self.now));
            self.panel.handle_timeout(self.now);
        }
    }

    fn cards(&self) -> usize {
        self.events
            .iter()
            .filter(|event| **event == Event::Card(card()))
            .count()
    }
}

#[test]
fn a_card_goes_to_the_panel_through_the_session_and_its_light_comes_back() {
    let mut pair = Pair::new(
        Security::Keyed {
            key: key(1),
            old: None,
        },
        keyed(1),
    );
    pair.run(ms(3000));
    assert!(pair.events.contains(&Event::Ready), "{:?}", pair.events);
    assert_eq!(pair.heard, [Heard::Online]);
    assert!(pair.reader.card(pair.now, &card()));
    pair.run(ms(500));
    assert_eq!((pair.cards(), &pair.heard[1..]), (1, &[Heard::Delivered][..]));
    // nothing of the card was on the wire as it is
    assert!(
        !pair
            .wire
            .iter()
            .any(|bytes| bytes.windows(3).any(|w| w == [0xBD, 0x88, 0xEB]))
    );
    let time = Duration::from_secs(3);
    pair.panel.show(pair.now, 0, ReaderCommand::Granted { time });
    pair.run(ms(500));
    assert_eq!(
        pair.heard[2..],
        [Heard::Light(Light::While(Shade::Green, 30)), Heard::Beep(1)]
    );
}

#[test]
fn a_panel_in_the_clear_is_served_where_the_site_says_so_and_refused_where_not() {
    let mut pair = Pair::new(Security::Clear, Secrecy::Clear);
    pair.run(ms(2000));
    assert!(pair.reader.card(pair.now, &card()));
    assert!(pair.reader.keys(pair.now, "12#"));
    pair.run(ms(1000));
    assert_eq!(pair.cards(), 1);
    assert!(pair.events.contains(&Event::Key('#')), "{:?}", pair.events);

    let mut pair = Pair::new(Security::Clear, keyed(1));
    pair.run(ms(10_000));
    assert_eq!(pair.heard, [Heard::Unsecured]);
    assert!(!pair.reader.card(pair.now, &card()));
}

#[test]
fn a_panel_with_another_key_gets_no_card_and_it_is_told_once() {
    let mut pair = Pair::new(
        Security::Keyed {
            key: key(2),
            old: None,
        },
        keyed(1),
    );
    pair.run(ms(20_000));
    assert_eq!(pair.heard, [Heard::Unsecured]);
    assert!(!pair.reader.card(pair.now, &card()));
    assert_eq!(pair.cards(), 0);
}

#[test]
fn an_answer_that_gets_lost_or_damaged_comes_again_and_the_card_counts_once() {
    for damaged in [false, true] {
        let mut pair = Pair::new(
            Security::Keyed {
                key: key(1),
                old: None,
            },
            keyed(1),
        );
        pair.run(ms(3000));
        assert!(pair.reader.card(pair.now, &card()));
        if damaged {
            pair.damage = 2;
        } else {
            pair.lose = 2;
        }
        pair.run(ms(2500));
        assert_eq!(pair.cards(), 1, "damaged: {damaged}");
        assert_eq!(pair.heard, [Heard::Online, Heard::Delivered]);
    }
}

#[test]
fn a_recorded_command_changes_nothing() {
    let mut pair = Pair::new(
        Security::Keyed {
            key: key(1),
            old: None,
        },
        keyed(1),
    );
    pair.run(ms(3000));
    let time = Duration::from_secs(3);
    pair.panel.show(pair.now, 0, ReaderCommand::Granted { time });
    pair.run(ms(500));
    let heard = pair.heard.len();
    let recorded = pair.wire.clone();
    let mut now = pair.now;
    for bytes in recorded.iter().filter(|bytes| bytes.len() > 20) {
        now = now + ms(5);
        pair.reader.handle_input(now, bytes);
    }
    while let Some(out) = pair.reader.poll_output() {
        if let Out::Heard(heard) = out {
            pair.heard.push(heard);
        }
    }
    // somebody may be told that he is not trusted; no light and no beep comes of it
    let mut after = pair.heard[heard..].iter();
    assert!(after.all(|heard| *heard == Heard::Unsecured), "{:?}", pair.heard);
    // the panel of the key begins anew, and that is told
    assert_eq!(pair.heard.last(), Some(&Heard::Unsecured));
    pair.run(Duration::from_secs(4));
    assert_eq!(pair.heard.last(), Some(&Heard::Online));
}

#[test]
fn a_new_reader_takes_its_key_once_by_the_default_key_and_then_only_by_its_own() {
    let mut pair = Pair::new(
        Security::Keyed {
            key: key(3),
            old: None,
        },
        Secrecy::Install,
    );
    pair.run(ms(2000));
    assert!(
        !pair.reader.card(pair.now, &card()),
        "without a key of its own it has no cards"
    );
    let until = pair.now + Duration::from_secs(60);
    pair.panel.install(pair.now, 0, until);
    pair.run(ms(8000));
    assert!(pair.heard.contains(&Heard::Key(key(3))), "{:?}", pair.heard);
    assert!(pair.events.contains(&Event::Ready), "{:?}", pair.events);
    assert!(pair.reader.card(pair.now, &card()));
    pair.run(ms(500));
    assert_eq!(pair.cards(), 1);
    // the default key is none any more
    let challenge = Packet {
        address: 5,
        is_reply: false,
        sequence: 0,
        check: Check::Crc,
        security: Some(SecurityBlock {
            kind: SecurityBlock::CHALLENGE,
            data: vec![0],
        }),
        code: 0x76,
        data: vec![1; 8],
        mac: None,
    };
    assert_eq!(
        said(&mut pair.reader, pair.now, &challenge),
        Some((0x41, vec![6]))
    );
}

#[test]
fn a_key_that_could_not_be_kept_is_refused() {
    let mut pair = Pair::new(
        Security::Keyed {
            key: key(3),
            old: None,
        },
        Secrecy::Install,
    );
    pair.keeps = false;
    pair.run(ms(1000));
    pair.panel
        .install(pair.now, 0, pair.now + Duration::from_secs(60));
    pair.run(ms(4000));
    assert!(pair.heard.contains(&Heard::Key(key(3))));
    assert!(!pair.reader.card(pair.now, &card()));
    assert!(matches!(pair.reader.params.secrecy, Secrecy::Install));
}

#[test]
fn a_card_that_is_not_fetched_in_two_seconds_is_old_and_is_not_sent() {
    let mut pair = Pair::new(Security::Clear, Secrecy::Clear);
    pair.run(ms(2000));
    assert!(pair.reader.card(pair.now, &card()));
    pair.now = pair.now + FRESH;
    pair.run(ms(1000));
    assert_eq!(pair.cards(), 0);
    assert_eq!(pair.heard, [Heard::Online, Heard::Missed]);
    // four wait, and no more
    let now = pair.now;
    assert_eq!((0..9).filter(|_| pair.reader.card(now, &card())).count(), WAITING);
}

#[test]
fn a_panel_that_is_silent_for_eight_seconds_is_away() {
    let mut pair = Pair::new(Security::Clear, Secrecy::Clear);
    pair.run(ms(2000));
    let due = pair.reader.poll_timeout().expect("it waits for the panel");
    pair.reader.handle_timeout(due);
    assert_eq!(pair.reader.poll_output(), Some(Out::Heard(Heard::Offline)));
    assert!(!pair.reader.card(due, &card()));
}

#[test]
fn a_panel_that_gives_up_after_one_handshake_has_another_key() {
    let mut reader = reader(keyed(1));
    let mut challenge = command(0, 0x76, &[1; 8]);
    challenge.security = Some(SecurityBlock {
        kind: SecurityBlock::CHALLENGE,
        data: vec![1],
    });
    challenge.check = Check::Crc;
    let (code, _) = said(&mut reader, START, &challenge).expect("an answer");
    assert_eq!(code, 0x76);
    reader.handle_timeout(START + OFFLINE);
    assert_eq!(reader.poll_output(), Some(Out::Heard(Heard::Unsecured)));
    assert_eq!(reader.poll_output(), None);
}

fn command(sequence: u8, code: u8, data: &[u8]) -> Packet {
    Packet {
        address: 5,
        is_reply: false,
        sequence,
        check: Check::Sum,
        security: None,
        code,
        data: data.to_vec(),
        mac: None,
    }
}

/// The answer to one packet, code and data.
fn said(reader: &mut Peripheral, now: Instant, packet: &Packet) -> Option<(u8, Vec<u8>)> {
    reader.handle_input(now, &packet.encode());
    let mut said = None;
    while let Some(out) = reader.poll_output() {
        if let Out::Send(bytes) = out {
            let answer = Packet::parse(&bytes).expect("a packet");
            assert_eq!(
                (answer.sequence, answer.is_reply, answer.address),
                (packet.sequence, true, 5)
            );
            said = Some((answer.code, answer.data));
        }
    }
    said
}

#[test]
fn questions_are_answered_as_the_standard_has_them() {
    let mut reader = reader(Secrecy::Clear);
    let settings = vec![5, 0x80, 0x25, 0, 0];
    for (n, (code, data, answer)) in [
        (0x60, &[][..], (0x40, vec![])),
        (
            0x61,
            &[0],
            (0x45, vec![0xD0, 0x0E, 0x11, 1, 1, 7, 0, 0, 0, 1, 0, 0]),
        ),
        (0x64, &[], (0x48, vec![0, 0])),
        (0x65, &[], (0x49, vec![0])),
        (0x66, &[], (0x4A, vec![0])),
        (0x67, &[], (0x4B, vec![0])),
        (0x68, &[0, 2, 5, 0], (0x41, vec![9])),
        (0x69, &[0; 14], (0x40, vec![])),
        (0x6A, &[0, 2, 1, 1, 1], (0x40, vec![])),
        (0x6B, &[0, 1, 0, 1, 1, 2, b'h', b'i'], (0x40, vec![])),
        // another address and speed: it says that it stays as it is
        (0x6E, &[9, 0, 0xE1, 0, 0], (0x54, settings)),
        // no key is taken in the clear
        (
            0x75,
            &[1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            (0x41, vec![6]),
        ),
        (0x76, &[0; 8], (0x41, vec![6])),
        (0x7C, &[0], (0x41, vec![3])),
        (0x69, &[0], (0x41, vec![2])),
    ]
    .into_iter()
    .enumerate()
    {
        let sequence = u8::try_from(n % 3 + 1).expect("small");
        let now = START + ms(50 * n as u64);
        assert_eq!(
            said(&mut reader, now, &command(sequence, code, data)),
            Some(answer),
            "{code:02x}"
        );
    }
}

#[test]
fn sequence_numbers_go_on_by_one_and_a_repeated_command_has_the_same_answer() {
    let mut reader = reader(Secrecy::Clear);
    assert_eq!(
        said(&mut reader, START, &command(0, 0x60, &[])),
        Some((0x40, vec![]))
    );
    assert!(reader.card(START, &card()));
    let poll = command(1, 0x60, &[]);
    let first = said(&mut reader, START, &poll).expect("an answer");
    assert_eq!(first.0, 0x50);
    assert_eq!(said(&mut reader, START, &poll), Some(first));
    assert_eq!(
        said(&mut reader, START, &command(3, 0x60, &[])),
        Some((0x41, vec![4]))
    );
    // another command by the same number is out of order
    assert_eq!(
        said(&mut reader, START, &command(1, 0x64, &[])),
        Some((0x41, vec![4]))
    );
    assert_eq!(
        said(&mut reader, START, &command(2, 0x60, &[])),
        Some((0x40, vec![]))
    );
    assert_eq!(
        said(&mut reader, START, &command(3, 0x60, &[])),
        Some((0x40, vec![]))
    );
    assert_eq!(
        said(&mut reader, START, &command(1, 0x60, &[])),
        Some((0x40, vec![]))
    );
    // what is for others, comes from readers, or is damaged, is not answered
    let mut other = command(2, 0x60, &[]);
    other.address = 6;
    reader.handle_input(START, &other.encode());
    other.address = 5;
    other.is_reply = true;
    reader.handle_input(START, &other.encode());
    let mut damaged = command(2, 0x60, &[]).encode();
    damaged[5] ^= 1;
    reader.handle_input(START, &damaged);
    assert!(!std::iter::from_fn(|| reader.poll_output()).any(|out| matches!(out, Out::Send(_))));
}

#[test]
fn a_card_that_is_old_is_not_sent_again_to_a_panel_that_did_not_hear_it() {
    // in the clear: the number is refused, and the panel begins anew
    let mut reader = reader(Secrecy::Clear);
    assert!(said(&mut reader, START, &command(0, 0x60, &[])).is_some());
    assert!(reader.card(START, &card()));
    let poll = command(1, 0x60, &[]);
    let shortly = START + FRESH - ms(1);
    assert_eq!(
        said(&mut reader, START + ms(50), &poll).expect("an answer").0,
        0x50
    );
    assert_eq!(said(&mut reader, shortly, &poll).expect("an answer").0, 0x50);
    reader.handle_input(START + FRESH, &poll.encode());
    assert_eq!(reader.poll_output(), Some(Out::Heard(Heard::Missed)));
    let Some(Out::Send(bytes)) = reader.poll_output() else {
        panic!("it answers")
    };
    let answer = Packet::parse(&bytes).expect("a packet");
    assert_eq!((answer.code, answer.data), (0x41, vec![4]));
    let later = START + FRESH + ms(50);
    assert_eq!(said(&mut reader, later, &poll), Some((0x40, vec![])));

    // in a session: it ends, and nothing of the card goes out
    let security = Security::Keyed {
        key: key(1),
        old: None,
    };
    let mut pair = Pair::new(security, keyed(1));
    pair.run(ms(3000));
    assert!(pair.reader.card(pair.now, &card()));
    pair.lose = 1;
    let shown = pair.now;
    while pair.lose > 0 {
        pair.run(ms(10));
    }
    let poll = Packet::parse(pair.wire.last().expect("a poll")).expect("a packet");
    assert_eq!(
        said(&mut pair.reader, shown + FRESH, &poll),
        Some((0x41, vec![6]))
    );
    assert!(!pair.reader.is_open());
    pair.now = shown + FRESH;
    pair.run(ms(6000));
    assert_eq!(pair.cards(), 0);
}

#[test]
fn half_a_packet_of_before_does_not_swallow_the_next_one() {
    let mut reader = reader(Secrecy::Clear);
    let poll = command(0, 0x60, &[]);
    let long = command(0, 0x6B, &[b'x'; 60]).encode();
    reader.handle_input(START, &long[..20]);
    let now = START + GAP + ms(1);
    assert_eq!(said(&mut reader, now, &poll), Some((0x40, vec![])));
    // in time it goes on
    let bytes = command(1, 0x60, &[]).encode();
    reader.handle_input(now, &bytes[..3]);
    reader.handle_input(now + GAP, &bytes[3..]);
    let answers = std::iter::from_fn(|| reader.poll_output());
    assert_eq!(answers.filter(|out| matches!(out, Out::Send(_))).count(), 1);
}

#[test]
fn of_commands_that_come_at_once_only_the_last_one_is_answered() {
    let mut reader = reader(Secrecy::Clear);
    assert!(said(&mut reader, START, &command(0, 0x60, &[])).is_some());
    assert!(reader.card(START, &card()));
    // the gateway stood still: the panel asked three times, and then began anew
    let poll = command(1, 0x60, &[]).encode();
    let bytes = [&poll[..], &poll, &poll, &command(0, 0x61, &[0]).encode()].concat();
    reader.handle_input(START + ms(700), &bytes);
    let out: Vec<Out> = std::iter::from_fn(|| reader.poll_output()).collect();
    let [Out::Send(answer)] = &out[..] else {
        panic!("one answer: {out:?}")
    };
    assert_eq!(Packet::parse(answer).expect("a packet").code, 0x45);
    // the card was not taken for told
    let next = said(&mut reader, START + ms(750), &command(1, 0x60, &[]));
    assert_eq!(next.expect("an answer").0, 0x50);
}

/// A reader in a session of the default key, and the panel's end of it.
fn by_the_default_key(now: Instant) -> (Peripheral, Session) {
    let mut reader = reader(Secrecy::Install);
    let panel = [1; 8];
    let block = |kind| {
        let data = vec![0];
        Some(SecurityBlock { kind, data })
    };
    let mut challenge = command(0, 0x76, &panel);
    (challenge.security, challenge.check) = (block(SecurityBlock::CHALLENGE), Check::Crc);
    let (code, data) = said(&mut reader, now, &challenge).expect("an answer");
    assert_eq!(code, 0x76);
    let random: [u8; 8] = data[8..16].try_into().expect("eight");
    let keys = SessionKeys::derive(&Key::well_known(), panel);
    let server = keys.server(panel, random);
    let mut proof = command(1, 0x77, &server);
    (proof.security, proof.check) = (block(SecurityBlock::SERVER), Check::Crc);
    assert_eq!(said(&mut reader, now, &proof).expect("an answer").0, 0x78);
    let initial = keys.initial(server);
    (reader, Session::new(Side::Panel, keys, initial))
}

fn keyset(session: &mut Session, sequence: u8, byte: u8) -> Packet {
    let data = [&[1, 16][..], &[byte; 16]].concat();
    session.wrap(5, sequence, 0x75, &data)
}

#[test]
fn a_key_that_took_long_to_be_kept_is_answered_once_the_panel_asks_again() {
    for slow in [false, true] {
        let (mut reader, mut session) = by_the_default_key(START);
        let order = keyset(&mut session, 2, 9);
        reader.handle_input(START, &order.encode());
        assert_eq!(reader.poll_output(), Some(Out::Heard(Heard::Key(key(9)))));
        let took = if slow { REPLY } else { ms(30) };
        reader.kept(START + took, key(9));
        assert_eq!(reader.poll_output().is_some(), !slow);
        let again = said(&mut reader, START + took + ms(100), &order);
        assert!(again.is_some_and(|(_, data)| data.is_empty()), "the same answer");
        assert!(matches!(reader.params.secrecy, Secrecy::Key { .. }));
    }
}

#[test]
fn a_kept_key_counts_also_when_the_panel_began_anew_meanwhile() {
    let (mut reader, mut session) = by_the_default_key(START);
    reader.handle_input(START, &keyset(&mut session, 2, 9).encode());
    // the disk is slow; the panel begins anew
    assert!(said(&mut reader, START + ms(900), &command(0, 0x60, &[])).is_some());
    reader.kept(START + ms(1000), key(9));
    assert_eq!(reader.poll_output(), None);
    let (key, changes) = (key(9), true);
    assert_eq!(reader.params.secrecy, Secrecy::Key { key, changes });
}

#[test]
fn the_session_of_the_default_key_gives_one_key_and_no_second_one() {
    let (mut reader, mut session) = by_the_default_key(START);
    reader.handle_input(START, &keyset(&mut session, 2, 9).encode());
    reader.kept(START, key(9));
    let answers: Vec<Out> = std::iter::from_fn(|| reader.poll_output()).collect();
    let Some(Out::Send(bytes)) = answers.last() else {
        panic!("it answers: {answers:?}")
    };
    session
        .unwrap(&Packet::parse(bytes).expect("a packet"))
        .expect("it is the reader's");
    let second = keyset(&mut session, 3, 8);
    reader.handle_input(START + ms(50), &second.encode());
    let answers: Vec<Out> = std::iter::from_fn(|| reader.poll_output()).collect();
    assert!(!answers.contains(&Out::Heard(Heard::Key(key(8)))), "{answers:?}");
    let Some(Out::Send(bytes)) = answers.last() else {
        panic!("it answers: {answers:?}")
    };
    assert_eq!(Packet::parse(bytes).expect("a packet").code, 0x41);
}

#[test]
fn a_panel_that_only_polls_in_the_clear_is_told_after_three_polls() {
    let mut reader = reader(keyed(1));
    for (n, sequence) in [0, 1, 2, 3].into_iter().enumerate() {
        reader.handle_input(START + ms(50 * n as u64), &command(sequence, 0x60, &[]).encode());
        let told = std::iter::from_fn(|| reader.poll_output()).filter(|out| matches!(out, Out::Heard(_)));
        let told: Vec<Out> = told.collect();
        if n == 2 {
            assert_eq!(told, [Out::Heard(Heard::Unsecured)]);
        } else {
            assert_eq!(told, [], "{n}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_a_stranger_sends_gets_a_card_out_of_a_reader_with_a_key(
        packets in prop::collection::vec(
            (0_u8..4, 0x60_u8..0x80, prop::option::of((0x10_u8..0x1A, 0_u8..2)), prop::collection::vec(any::<u8>(), 0..40)),
            0..40,
        ),
    ) {
        let mut reader = reader(keyed(1));
        reader.online = true;
        let mut now = START;
        for (sequence, code, block, data) in packets {
            now = now + ms(20);
            let _ = reader.card(now, &card());
            let mut packet = command(sequence, code, &data);
            packet.security = block.map(|(kind, which)| SecurityBlock { kind, data: vec![which] });
            packet.mac = packet.security.as_ref().filter(|block| block.has_mac()).map(|_| [0; 4]);
            reader.handle_input(now, &packet.encode());
            while let Some(out) = reader.poll_output() {
                if let Out::Send(bytes) = out {
                    let answer = Packet::parse(&bytes).expect("a packet");
                    prop_assert!(!matches!(answer.code, 0x50 | 0x53), "{answer:?}");
                } else {
                    prop_assert!(!matches!(out, Out::Heard(Heard::Key(_) | Heard::Light(_) | Heard::Delivered)));
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_answer_more_than_it_is_asked(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut reader = reader(Secrecy::Install);
        for piece in bytes.chunks(64) {
            reader.handle_input(START, piece);
        }
        let sent = std::iter::from_fn(|| reader.poll_output()).filter(|out| matches!(out, Out::Send(_)));
        prop_assert!(sent.count() <= bytes.len() / 7);
    }
}
