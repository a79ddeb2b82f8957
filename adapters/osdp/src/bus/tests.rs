//! A line with readers that are played here, under virtual time.

mod outputs;

use adapter_wiegand::WiegandParams;
use gateway_core::Misread;
use proptest::prelude::*;

use super::*;
use crate::display::{Text, Texts};
use crate::errand::{Errand, Progress, Settings};
use crate::key::Key;
use crate::packet::{Check, SecurityBlock};
use crate::secure::{Session, SessionKeys, Side};
use crate::transfer::File;

const START: Instant = Instant::from_nanos(1_000_000_000_000);
const CARD: (u8, [u8; 8]) = (0x50, [0, 1, 26, 0, 0xBD, 0x88, 0xEB, 0x80]);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A reader. It does what the standard says, unless told otherwise.
struct Reader {
    address: u8,
    /// Answers nothing.
    dead: bool,
    /// Functions that it says it has besides its LED.
    can: Vec<[u8; 3]>,
    /// Bytes of the file that it got; `None` is refused.
    file: Option<Vec<u8>>,
    /// Every command: code, data, through the session?
    heard: Vec<(Instant, u8, Vec<u8>, bool)>,
    key: Option<Key>,
    keys: Option<SessionKeys>,
    last: Option<(u8, Vec<u8>)>,
    /// Levels of its outputs; one that sticks is what it was.
    outputs: Vec<bool>,
    sticks: bool,
    /// Does it answer to be asked for its outputs?
    says: bool,
    /// Its next answers to polls.
    queue: Vec<(u8, Vec<u8>)>,
    session: Option<Session>,
    /// Takes the default key.
    virgin: bool,
}

impl Reader {
    fn new(address: u8, key: Option<Key>) -> Self {
        Self {
            address,
            dead: false,
            can: vec![],
            file: Some(vec![]),
            heard: vec![],
            key,
            keys: None,
            last: None,
            outputs: vec![false, false],
            sticks: false,
            says: true,
            queue: vec![],
            session: None,
            virgin: false,
        }
    }

    fn clear(&self, sequence: u8, security: Option<(u8, u8)>, code: u8, data: &[u8]) -> Packet {
        Packet {
            address: self.address,
            is_reply: true,
            sequence,
            check: Check::Crc,
            security: security.map(|(kind, data)| SecurityBlock {
                kind,
                data: vec![data],
            }),
            code,
            data: data.to_vec(),
            mac: None,
        }
    }

    fn answer(&mut self, now: Instant, bytes: &[u8]) -> Option<Vec<u8>> {
        let packet = Packet::parse(bytes).expect("panels send packets");
        if packet.address != self.address || self.dead {
            return None;
        }
        if let Some((sequence, answer)) = &self.last
            && *sequence == packet.sequence
            && packet.sequence != 0
        {
            return Some(answer.clone());
        }
        let answer = self.fresh(now, &packet).encode();
        self.last = Some((packet.sequence, answer.clone()));
        Some(answer)
    }

    fn fresh(&mut self, now: Instant, packet: &Packet) -> Packet {
        let sequence = packet.sequence;
        let random = *b"readerRN";
        if packet.code == 0x76 {
            let own = packet.security.as_ref().is_some_and(|block| block.data == [1]);
            self.session = None;
            self.heard.push((now, 0x76, vec![], false));
            let key = match &self.key {
                Some(key) if own => key.clone(),
                _ if !own && self.virgin => Key::well_known(),
                _ => return self.clear(sequence, None, 0x41, &[6]),
            };
            let panel: [u8; 8] = packet.data[..].try_into().expect("8 bytes");
            let keys = SessionKeys::derive(&key, panel);
            let data = [&[7; 8], &random[..], &keys.client(panel, random)].concat();
            let server = keys.server(panel, random);
            self.queue.insert(0, (0x78, keys.initial(server).to_vec()));
            self.keys = Some(keys);
            return self.clear(
                sequence,
                Some((SecurityBlock::CLIENT, u8::from(own))),
                0x76,
                &data,
            );
        }
        if packet.code == 0x77 {
            let (_, initial) = self.queue.remove(0);
            let keys = self.keys.take().expect("challenged");
            let block: [u8; 16] = initial[..].try_into().expect("16 bytes");
            self.session = Some(Session::new(Side::Reader, keys, block));
            return self.clear(sequence, Some((SecurityBlock::INITIAL, 1)), 0x78, &initial);
        }
        let Some(session) = &mut self.session else {
            self.heard.push((now, packet.code, packet.data.clone(), false));
            if self.key.is_some() {
                return self.clear(sequence, None, 0x41, &[6]);
            }
            let (code, data) = self.reply(packet.code, &packet.data);
            return self.clear(sequence, None, code, &data);
        };
        let data = session.unwrap(packet).expect("the panel's packets are genuine");
        self.heard.push((now, packet.code, data.clone(), true));
        if packet.code == 0x75 {
            self.key = Some(Key::new(data[2..].try_into().expect("16 bytes")));
        }
        let (code, data) = self.reply(packet.code, &data);
        let session = self.session.as_mut().expect("it is there");
        session.wrap(self.address, sequence, code, &data)
    }

    fn reply(&mut self, command: u8, asked: &[u8]) -> (u8, Vec<u8>) {
        match command {
            0x60 if !self.queue.is_empty() => self.queue.remove(0),
            0x61 => (0x45, vec![1; 12]),
            0x62 => (0x46, [&[4, 1, 1][..], self.can.as_flattened()].concat()),
            0x64 => (0x48, vec![0, 0]),
            0x65 => (0x49, vec![1, 0]),
            0x66 if !self.says => (0x41, vec![3]),
            0x66 => (0x4A, self.outputs.iter().map(|on| u8::from(*on)).collect()),
            0x68 => {
                let [number, what, ..] = *asked else {
                    panic!("{asked:?}")
                };
                match self.outputs.get_mut(usize::from(number)) {
                    Some(level) if !self.sticks => *level = what == 5,
                    Some(_) => {}
                    None => return (0x41, vec![9]),
                }
                if !self.says {
                    return (0x40, vec![]);
                }
                (0x4A, self.outputs.iter().map(|on| u8::from(*on)).collect())
            }
            0x6E => (0x54, asked.to_vec()),
            0x7C => match &mut self.file {
                None => (0x41, vec![9]),
                Some(file) => {
                    file.extend(&asked[11..]);
                    let whole =
                        file.len() == u32::from_le_bytes(asked[1..5].try_into().expect("4 bytes")) as usize;
                    (0x7A, vec![1, 0, 0, u8::from(whole), 0, 0, 0])
                }
            },
            _ => (0x40, vec![]),
        }
    }
}

struct Rig {
    bus: Bus,
    events: Vec<(usize, Instant, Event)>,
    /// Somebody is quicker than the next answer, and shows a card in the clear.
    forge: bool,
    /// Answers that get lost.
    lose: usize,
    now: Instant,
    readers: Vec<Reader>,
    /// Every answer as it was on the line.
    wire: Vec<Vec<u8>>,
}

fn key(byte: u8) -> Key {
    Key::new([byte; 16])
}

fn keyed(byte: u8) -> Security {
    Security::Keyed {
        key: key(byte),
        old: None,
    }
}

impl Rig {
    fn new(readers: Vec<(Reader, Security)>) -> Self {
        let (readers, securities): (Vec<_>, Vec<_>) = readers.into_iter().unzip();
        let pd = |(reader, security): (&Reader, Security)| PdParams {
            address: reader.address,
            cards: WiegandParams::default(),
            inputs: true,
            security,
            texts: Texts {
                granted: Text::new("Come in").ok(),
                ..Texts::default()
            },
        };
        let params = BusParams {
            baud: 9600,
            readers: readers.iter().zip(securities).map(pd).collect(),
        };
        let mut seed = 0_u64;
        let random = move || {
            seed += 1;
            seed.to_be_bytes()
        };
        Self {
            bus: Bus::new(params, START, random),
            events: vec![],
            forge: false,
            lose: 0,
            now: START,
            readers,
            wire: vec![],
        }
    }

    fn one(reader: Reader, security: Security) -> Self {
        Self::new(vec![(reader, security)])
    }

    /// Lets time pass; readers answer after the bytes' time on the line and 3 ms.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.bus.handle_timeout(self.now);
        while self.now < end {
            let mut answer = None;
            while let Some(output) = self.bus.poll_output() {
                match output {
                    Output::Event { reader, at, event } => self.events.push((reader, at, event)),
                    Output::Send(bytes) => {
                        answer = self
                            .readers
                            .iter_mut()
                            .find_map(|reader| reader.answer(self.now, &bytes));
                        self.now = self.now + self.bus.line_time(bytes.len());
                    }
                }
            }
            if let Some(answer) = answer {
                self.wire.push(answer.clone());
                self.now = self.now + ms(3) + self.bus.line_time(answer.len());
                if std::mem::take(&mut self.forge) {
                    let sequence = Packet::parse(&answer).expect("readers send packets").sequence;
                    let forged = self.readers[0].clear(sequence, None, CARD.0, &CARD.1);
                    self.bus.handle_input(self.now, &forged.encode());
                }
                if self.lose > 0 {
                    self.lose -= 1;
                } else {
                    self.bus.handle_input(self.now, &answer);
                    continue;
                }
            }
            let due = self.bus.poll_timeout().expect("there is always a next turn");
            self.now = self.now.max(due).min(end.max(self.now));
            self.bus.handle_timeout(self.now);
        }
    }

    fn faults(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|(_, _, event)| {
                if let Event::Fault(text) = event {
                    Some(text.as_str())
                } else {
                    None
                }
            })
            .collect()
    }

    fn cards(&self) -> Vec<Instant> {
        let cards = self
            .events
            .iter()
            .filter(|(_, _, event)| matches!(event, Event::Card(_)));
        cards.map(|(_, at, _)| *at).collect()
    }

    /// How many packets were told as forged, record by record.
    fn forged(&self) -> Vec<u64> {
        let forged = self.events.iter().filter_map(|(_, _, event)| match event {
            Event::Misread {
                reason: Misread::Forged,
                times,
                ..
            } => Some(*times),
            Event::Card(_)
            | Event::Errand(_)
            | Event::Fault(_)
            | Event::Identity(_)
            | Event::Inputs { .. }
            | Event::InputsGone
            | Event::Key(_)
            | Event::KeyTaken
            | Event::Misread { .. }
            | Event::Output { .. }
            | Event::Raw(_)
            | Event::Ready => None,
        });
        forged.collect()
    }

    fn is_ready(&self, reader: usize) -> bool {
        let told = self.events.iter().rev().filter(|(of, _, _)| *of == reader);
        let mut told = told.map(|(_, _, event)| event);
        matches!(
            told.find(|e| matches!(e, Event::Ready | Event::Fault(_))),
            Some(Event::Ready)
        )
    }

    fn shows_card(&mut self, reader: usize) {
        let (code, data) = CARD;
        self.readers[reader].queue.push((code, data.to_vec()));
    }
}

#[test]
fn a_reader_with_a_key_comes_online_and_hears_nothing_but_the_handshake_in_the_clear() {
    let mut rig = Rig::one(Reader::new(5, Some(key(1))), keyed(1));
    rig.run(ms(2000));
    assert!(rig.is_ready(0), "{:?}", rig.events);
    rig.shows_card(0);
    let shown = rig.now;
    rig.run(ms(500));
    let cards = rig.cards();
    assert!(cards.len() == 1 && cards[0] >= shown, "{cards:?}");
    let heard = &rig.readers[0].heard;
    assert!(heard.iter().all(|(_, code, _, secure)| *secure || *code == 0x76));
    assert!(heard.iter().filter(|(_, code, _, _)| *code == 0x60).count() > 20);
    let inputs = rig
        .events
        .iter()
        .filter(|(_, _, e)| matches!(e, Event::Inputs { initial: true, .. }));
    assert_eq!(inputs.count(), 1);
}

#[test]
fn a_reader_without_the_key_is_a_fault_and_gets_it_only_in_the_window() {
    let mut reader = Reader::new(0, None);
    reader.virgin = true;
    let mut rig = Rig::one(reader, keyed(1));
    rig.shows_card(0);
    rig.run(ms(20_000));
    assert!(
        rig.faults()[0].contains("refuses the secure channel"),
        "{:?}",
        rig.faults()
    );
    assert!(rig.readers[0].heard.iter().all(|(_, code, _, _)| *code == 0x76));
    // a window that is over
    rig.bus.install(rig.now, 0, rig.now);
    rig.run(ms(20_000));
    assert!(!rig.is_ready(0) && rig.readers[0].key.is_none());
    rig.bus.install(rig.now, 0, rig.now + ms(60_000));
    rig.run(ms(3000));
    assert!(rig.is_ready(0), "{:?}", rig.events);
    assert!(rig.events.iter().any(|(_, _, event)| *event == Event::KeyTaken));
    assert_eq!(rig.readers[0].key, Some(key(1)));
    // nothing was asked of it before it had its key
    let heard = &rig.readers[0].heard;
    let set = heard
        .iter()
        .position(|(_, code, _, _)| *code == 0x75)
        .expect("set");
    assert!(heard[..set].iter().all(|(_, code, _, _)| *code == 0x76));
    assert!(heard.iter().all(|(_, code, _, secure)| *secure || *code == 0x76));
    // the window is spent: the reader that is put in its place gets no key
    rig.readers[0] = Reader::new(0, None);
    rig.readers[0].virgin = true;
    rig.run(ms(20_000));
    assert!(!rig.is_ready(0) && rig.readers[0].key.is_none());
}

#[test]
fn a_reader_with_its_old_key_is_given_the_new_one() {
    let security = Security::Keyed {
        key: key(2),
        old: Some(key(1)),
    };
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), security);
    rig.run(ms(3000));
    assert!(
        rig.is_ready(0) && rig.readers[0].key == Some(key(2)),
        "{:?}",
        rig.events
    );
    assert_eq!(rig.faults(), [""; 0]);
}

#[test]
fn a_wrong_key_is_told_and_its_cards_are_none() {
    let mut rig = Rig::one(Reader::new(0, Some(key(9))), keyed(1));
    rig.shows_card(0);
    rig.run(ms(30_000));
    assert_eq!(rig.faults().len(), 1);
    assert!(
        rig.faults()[0].contains("does not have the key"),
        "{:?}",
        rig.faults()
    );
    assert_eq!(rig.cards(), []);
}

#[test]
fn what_comes_in_the_clear_from_a_reader_with_a_key_is_nothing() {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    rig.run(ms(2000));
    // somebody took its place, speaks without a session and shows a card
    rig.readers[0].key = None;
    rig.readers[0].session = None;
    for _ in 0..5 {
        rig.shows_card(0);
    }
    rig.run(ms(30_000));
    assert_eq!(rig.cards(), []);
    assert!(!rig.is_ready(0));
    let heard = &rig.readers[0].heard;
    assert!(
        heard
            .iter()
            .all(|(_, code, _, secure)| *secure || *code == 0x76 || *code == 0x60)
    );
    assert!(heard.iter().rev().take(3).all(|(_, code, _, _)| *code == 0x76));
    assert_eq!(rig.forged(), [1], "told once, and counted");
}

#[test]
fn forged_packets_are_told_at_once_and_then_once_an_hour() {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    rig.run(ms(2000));
    assert_eq!(rig.forged(), []);
    for n in 0_u64..30 {
        rig.forge = true;
        rig.run(ms(60_000));
        assert!(!rig.forge, "{n}");
    }
    assert_eq!(rig.forged(), [1]);
    rig.run(ms(1_800_000));
    assert_eq!(rig.forged(), [1, 29]);
    assert_eq!(rig.cards(), []);
    assert!(rig.is_ready(0), "and the reader goes on: {:?}", rig.faults());
}

#[test]
fn a_recorded_or_changed_card_is_none() {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    rig.run(ms(2000));
    rig.shows_card(0);
    rig.run(ms(300));
    assert_eq!(rig.cards().len(), 1);
    // every answer there ever was, in place of each of the next ones; a card would count again after 2 s
    rig.run(ms(3000));
    for answer in rig.wire.clone() {
        for flip in [0, 1] {
            let mut bytes = answer.clone();
            let end = bytes.len() - 3;
            bytes[end] ^= flip;
            rig.bus.handle_input(rig.now, &bytes);
        }
        rig.run(ms(60));
    }
    assert_eq!(rig.cards().len(), 1);
    // and it still works, or works again
    rig.run(ms(10_000));
    rig.shows_card(0);
    rig.run(ms(300));
    assert_eq!(rig.cards().len(), 2);
}

#[test]
fn an_answer_that_got_lost_comes_again_and_counts_once() {
    for security in [keyed(1), Security::Clear] {
        let own = (security != Security::Clear).then(|| key(1));
        let mut rig = Rig::one(Reader::new(0, own), security);
        rig.run(ms(2000));
        rig.shows_card(0);
        rig.lose = 2;
        rig.run(ms(3000));
        assert_eq!(rig.cards().len(), 1, "{:?}", rig.events);
        assert!(rig.is_ready(0) && rig.faults().is_empty());
        assert_eq!(rig.forged(), [], "a line that loses something is no forger");
    }
}

#[test]
fn a_card_that_waited_in_a_reader_is_as_old_as_it_can_be() {
    for security in [keyed(1), Security::Clear] {
        let own = (security != Security::Clear).then(|| key(1));
        let mut rig = Rig::one(Reader::new(0, own), security);
        rig.shows_card(0);
        rig.run(ms(2000));
        // it was there before the gateway asked for the first time
        assert_eq!(rig.cards(), [Instant::ZERO]);
        rig.readers[0].dead = true;
        let away = rig.now;
        rig.shows_card(0);
        rig.run(ms(20_000));
        assert!(rig.faults()[0].contains("does not answer"), "{:?}", rig.faults());
        rig.readers[0].dead = false;
        rig.run(ms(3000));
        assert!(rig.is_ready(0));
        assert_eq!(rig.cards().len(), 2);
        assert!(rig.cards()[1] <= away, "{:?} is after {away:?}", rig.cards()[1]);
        let now = rig.now;
        rig.shows_card(0);
        rig.run(ms(3000));
        assert!(rig.cards()[2] >= now);
    }
}

#[test]
fn a_frozen_gateway_takes_nothing_that_waited_for_it() {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    rig.run(ms(2000));
    rig.shows_card(0);
    // the answer to the poll that is out is there at once, and read ten seconds later
    let frozen = rig.now;
    rig.bus.handle_timeout(rig.now);
    while let Some(output) = rig.bus.poll_output() {
        if let Output::Send(bytes) = output
            && let Some(answer) = rig.readers[0].answer(rig.now, &bytes)
        {
            rig.now = rig.now + ms(10_000);
            rig.bus.handle_input(rig.now, &answer);
        }
    }
    rig.run(ms(5000));
    assert!(
        rig.cards().iter().all(|at| *at <= frozen + ms(100)),
        "{:?}",
        rig.cards()
    );
}

#[test]
fn twenty_four_readers_on_one_line_are_polled_well_within_their_offline_time() {
    let reader = |address| (Reader::new(address, Some(key(address))), keyed(address));
    let mut rig = Rig::new((0..24).map(reader).collect());
    rig.run(ms(30_000));
    assert!((0..24).all(|at| rig.is_ready(at)));
    assert_eq!(rig.faults(), [""; 0]);
    let longest = |rig: &Rig, reader: usize, since: Instant| {
        let polls: Vec<Instant> = rig.readers[reader]
            .heard
            .iter()
            .map(|(at, ..)| *at)
            .filter(|at| *at > since)
            .collect();
        polls
            .windows(2)
            .map(|two| two[1].since(two[0]))
            .max()
            .expect("polls")
    };
    let since = START + ms(10_000);
    let worst = (0..24).map(|at| longest(&rig, at, since)).max().expect("readers");
    assert!(worst < ms(1500), "{worst:?} between two polls at 9600 bit/s");
    // all but one lose their supply
    for reader in &mut rig.readers[1..] {
        reader.dead = true;
    }
    rig.run(ms(20_000));
    assert_eq!(rig.faults().len(), 23);
    let since = rig.now;
    rig.run(ms(20_000));
    assert!(longest(&rig, 0, since) < ms(600), "{:?}", longest(&rig, 0, since));
    for reader in &mut rig.readers[1..] {
        reader.dead = false;
    }
    rig.run(ms(30_000));
    assert!((0..24).all(|at| rig.is_ready(at)));
}

#[test]
fn a_light_waits_for_one_round_trip_on_a_full_line() {
    let reader = |address| (Reader::new(address, Some(key(address))), keyed(address));
    let mut rig = Rig::new((0..24).map(reader).collect());
    rig.run(ms(30_000));
    let told = rig.now;
    rig.bus.show(rig.now, 20, ReaderCommand::Denied);
    rig.run(ms(1000));
    let led = rig.readers[20]
        .heard
        .iter()
        .find(|(_, code, _, _)| *code == 0x69)
        .expect("a light");
    assert!(led.0.since(told) < ms(200), "{:?}", led.0.since(told));
    assert_eq!(led.2[3..9], [10, 0, 1, 0, 10, 0]);
    assert!(rig.readers[20].heard.iter().any(|(_, code, _, _)| *code == 0x6A));
}

#[test]
fn tamper_supply_and_their_end_are_told() {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    rig.run(ms(1000));
    rig.readers[0].queue.push((0x48, vec![1, 0]));
    rig.run(ms(300));
    assert!(rig.faults()[0].contains("case is open"), "{:?}", rig.faults());
    rig.readers[0].queue.push((0x48, vec![0, 1]));
    rig.run(ms(300));
    assert!(rig.faults()[1].contains("supply fails"));
    rig.run(ms(11_000));
    assert!(rig.is_ready(0));
}

#[test]
fn a_busy_reader_is_asked_again_and_is_offline_if_it_never_answers() {
    let mut rig = Rig::one(Reader::new(0, None), Security::Clear);
    rig.run(ms(1000));
    assert!(rig.is_ready(0));
    rig.readers[0].queue = vec![(0x79, vec![]); 3];
    rig.run(ms(2000));
    assert!(rig.is_ready(0) && rig.faults().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever stands on the line: no panic, and a reader with a key has shown no card.
    #[test]
    fn no_noise_is_a_card(noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..60)) {
        let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
        rig.run(ms(500));
        for bytes in noise {
            let packet = rig.readers[0].clear(bytes.len() as u8 & 3, None, 0x50, &bytes).encode();
            rig.bus.handle_input(rig.now, &bytes);
            rig.bus.handle_input(rig.now, &packet);
            rig.run(ms(20));
        }
        prop_assert_eq!(rig.cards(), vec![]);
        rig.run(ms(10_000));
        prop_assert!(rig.is_ready(0));
    }
}

fn progress(rig: &Rig) -> Vec<&Progress> {
    let all = rig.events.iter().filter_map(|(_, _, event)| {
        if let Event::Errand(progress) = event {
            Some(progress)
        } else {
            None
        }
    });
    all.collect()
}

fn heard(rig: &Rig, code: u8) -> usize {
    rig.readers[0]
        .heard
        .iter()
        .filter(|(_, of, _, _)| *of == code)
        .count()
}

fn firmware(length: usize) -> Errand {
    Errand::Give(File {
        bytes: vec![0x5A; length].into(),
        kind: 1,
    })
}

#[test]
fn a_text_is_shown_by_a_reader_that_says_it_has_a_display_and_by_no_other() {
    for (can, times) in [(vec![[6, 1, 1]], 1), (vec![[6, 1, 0]], 0), (vec![], 0)] {
        let mut reader = Reader::new(0, Some(key(1)));
        reader.can = can;
        let mut rig = Rig::one(reader, keyed(1));
        rig.run(ms(2000));
        let time = Duration::from_secs(3);
        rig.bus.show(rig.now, 0, ReaderCommand::Granted { time });
        rig.run(ms(500));
        assert_eq!((heard(&rig, 0x69), heard(&rig, 0x6B)), (1, times));
    }
}

#[test]
fn a_file_goes_through_the_session_while_cards_are_read() {
    let mut reader = Reader::new(0, Some(key(1)));
    reader.can = vec![[10, 0, 1]];
    let mut rig = Rig::one(reader, keyed(1));
    rig.run(ms(2000));
    rig.bus.errand(rig.now, 0, firmware(5000));
    rig.run(ms(2000));
    rig.shows_card(0);
    rig.run(ms(1000));
    assert_eq!(rig.cards().len(), 1);
    assert!(
        progress(&rig).iter().all(|p| matches!(p, Progress::Sent { .. })),
        "it is not done yet"
    );
    // one at a time
    rig.bus.errand(rig.now, 0, firmware(10));
    rig.run(ms(20_000));
    let told = progress(&rig);
    assert!(
        told.iter()
            .any(|p| matches!(p, Progress::Failed(text) if text.contains("something else")))
    );
    assert!(matches!(told.last(), Some(Progress::Done(_))), "{told:?}");
    assert_eq!(rig.readers[0].file, Some(vec![0x5A; 5000]));
    let pieces = rig.readers[0]
        .heard
        .iter()
        .filter(|(_, code, _, _)| *code == 0x7C);
    assert!(
        pieces
            .clone()
            .all(|(_, _, data, secure)| *secure && data.len() <= 256)
    );
    assert!(rig.is_ready(0));
}

#[test]
fn a_reader_that_is_cut_off_in_a_file_gets_it_anew_only_when_asked() {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    rig.run(ms(2000));
    rig.bus.errand(rig.now, 0, firmware(5000));
    rig.run(ms(1500));
    rig.readers[0].dead = true;
    rig.run(ms(10_000));
    let told = progress(&rig);
    assert!(
        matches!(told.last(), Some(Progress::Failed(text)) if text.contains("stopped answering after")),
        "{told:?}"
    );
    let pieces = heard(&rig, 0x7C);
    rig.bus.errand(rig.now, 0, firmware(5000));
    rig.run(ms(500));
    assert!(matches!(progress(&rig).last(), Some(Progress::Failed(text)) if text.contains("not online")));
    (rig.readers[0].dead, rig.readers[0].session) = (false, None);
    rig.run(ms(10_000));
    assert_eq!(heard(&rig, 0x7C), pieces);
    // told to forget the half of it first
    rig.readers[0].file = Some(vec![]);
    let aborts = heard(&rig, 0xA2);
    rig.bus.errand(rig.now, 0, firmware(300));
    rig.run(ms(5000));
    assert_eq!(heard(&rig, 0xA2), aborts + 1);
    assert!(matches!(progress(&rig).last(), Some(Progress::Done(_))));
}

#[test]
fn a_file_that_is_refused_or_given_up_is_told_and_leaves_the_reader_at_work() {
    let mut reader = Reader::new(0, Some(key(1)));
    reader.file = None;
    let mut rig = Rig::one(reader, keyed(1));
    rig.run(ms(2000));
    rig.bus.errand(rig.now, 0, firmware(300));
    rig.run(ms(2000));
    assert!(
        matches!(progress(&rig).last(), Some(Progress::Failed(text)) if text.contains("cannot be carried out"))
    );
    rig.readers[0].file = Some(vec![]);
    rig.bus.errand(rig.now, 0, firmware(5000));
    rig.run(ms(1000));
    rig.bus.errand(rig.now, 0, Errand::GiveUp);
    let pieces = heard(&rig, 0x7C);
    rig.run(ms(2000));
    assert!(heard(&rig, 0x7C) <= pieces + 1);
    assert!(matches!(progress(&rig).last(), Some(Progress::Failed(text)) if text.contains("by an operator")));
    rig.shows_card(0);
    rig.run(ms(500));
    assert!(rig.cards().len() == 1 && rig.is_ready(0));
}

#[test]
fn a_reader_is_told_another_address_once_and_through_its_session_only() {
    let mut rig = Rig::one(Reader::new(0, Some(key(1))), keyed(1));
    let settings = Settings {
        address: 9,
        baud: 19_200,
    };
    // not before it is online
    rig.bus.errand(rig.now, 0, Errand::Settings(settings));
    rig.run(ms(2000));
    assert_eq!(heard(&rig, 0x6E), 0);
    rig.bus.errand(rig.now, 0, Errand::Settings(settings));
    rig.run(ms(1000));
    let told: Vec<_> = rig.readers[0]
        .heard
        .iter()
        .filter(|(_, code, _, _)| *code == 0x6E)
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].2, told[0].3), (&vec![9, 0x00, 0x4B, 0, 0], true));
    assert!(
        matches!(progress(&rig).last(), Some(Progress::Done(text)) if text.contains("address 9 and 19200"))
    );
}
