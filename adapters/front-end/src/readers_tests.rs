//! Readers at a front end: the gateway's port, and a front end with a contact and a reader of stripes, in virtual time.

use adapter_ibutton::{DS1990A, Played, Rom, played};
use gateway_card::{cyfral_frame, encode_track, metakom_frame, track_frame};
use gateway_core::{CardFrame, Misread, ReaderCommand};
use gateway_panel::Edge;
use proptest::prelude::*;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::firmware::Change;
use crate::line_port::{LinePort, Output as Said};
use crate::message::PortRole;
use crate::simulator::{Bench, CONTACT_INPUT, PULL_OUTPUT, Play, STRIPE_INPUTS};

const T0: u64 = 1_000_000_000_000;
const LED: u8 = 0;
const BEEPER: u8 = 1;

fn keys() -> FrontEndReader {
    FrontEndReader {
        inputs: ReaderInputs::Keys(KeyContact {
            input: CONTACT_INPUT,
            kinds: KeyKinds {
                cyfral: true,
                ds1990a: true,
                metakom: true,
            },
            pull: Some(PULL_OUTPUT),
            repeat: Duration::from_secs(2),
        }),
        lights: ReaderLights {
            beeper: Some(BEEPER),
            led: Some(LED),
            second_led: None,
        },
        reader: "plate".parse().expect("a name"),
    }
}

fn stripe() -> FrontEndReader {
    let [clock, data, present] = STRIPE_INPUTS;
    let inputs = ClockDataInputs {
        active_low: true,
        clock,
        data,
        present: Some(present),
    };
    let params = ClockDataParams {
        card_present: true,
        ..ClockDataParams::default()
    };
    FrontEndReader {
        inputs: ReaderInputs::ClockData(inputs, params),
        lights: ReaderLights::default(),
        reader: "stripe".parse().expect("a name"),
    }
}

struct Rig {
    bench: Bench,
    changed: UnboundedReceiver<Change>,
    changes: tokio::sync::mpsc::UnboundedSender<Change>,
    /// Bytes towards the gateway are lost.
    deaf: bool,
    now_us: u64,
    outputs: Vec<(u8, bool)>,
    port: LinePort,
    said: Vec<(String, Output)>,
}

impl Rig {
    fn new() -> Self {
        let (changes, changed) = unbounded_channel();
        let now = Instant::from_nanos(T0);
        let mut rig = Self {
            bench: Bench::new(&[]),
            changed,
            changes,
            deaf: false,
            now_us: 0,
            outputs: Vec::new(),
            port: LinePort::new(now, &[]).with_readers(now, [keys(), stripe()]),
            said: Vec::new(),
        };
        rig.run(1500);
        let ready = [("plate", Output::Ready), ("stripe", Output::Ready)];
        assert_eq!(rig.take(), ready.map(|(name, what)| (name.to_owned(), what)));
        rig
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(T0) + Duration::from_micros(self.now_us)
    }

    /// Runs for a time; bytes are on their way for a millisecond.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_us += 1000;
            let now = self.now();
            self.bench.advance(self.now_us, &self.changes);
            let bytes = self.bench.firmware.take_bytes(PortRole::Line);
            if !self.deaf {
                self.port.handle_bytes(now, &bytes);
            }
            self.port.handle_timeout(now);
            while let Some(output) = self.port.poll_output() {
                match output {
                    Said::Read { reader, what } => self.said.push((reader.to_string(), what)),
                    Said::Send(bytes) => {
                        self.bench
                            .firmware
                            .handle_bytes(self.now_us, PortRole::Line, &bytes)
                    }
                    Said::Refused(why) => panic!("{why}"),
                    Said::Card { .. }
                    | Said::Fault(_)
                    | Said::Lit { .. }
                    | Said::Missed(_)
                    | Said::Ready(_)
                    | Said::Signal { .. } => {}
                }
            }
            while let Ok(change) = self.changed.try_recv() {
                if let Change::Output { output, on, .. } = change
                    && output != PULL_OUTPUT
                {
                    self.outputs.push((output, on));
                }
            }
        }
    }

    fn touch(&mut self, key: &Played, ms: u64) {
        let play = match key {
            Played::Dallas(rom) => Play::Key {
                rom: *rom,
                for_us: ms * 1000,
            },
            Played::Cyfral(_) | Played::Metakom(_) => Play::Edges {
                input: CONTACT_INPUT,
                edges: played(key, 105, ms * 1000)
                    .into_iter()
                    .map(|(at_us, level)| Edge { at_us, level })
                    .collect(),
            },
        };
        self.bench.play(self.now_us, play);
        self.run(ms);
    }

    fn take(&mut self) -> Vec<(String, Output)> {
        std::mem::take(&mut self.said)
    }

    /// Cards that were read, and nothing else was said.
    fn cards(&mut self) -> Vec<(String, CardFrame)> {
        let now = self.now();
        let card = |(reader, what)| match what {
            Output::Card { at, frame } => {
                assert!(at <= now, "{at:?}");
                (reader, frame)
            }
            other @ (Output::Fault(_) | Output::Key { .. } | Output::Misread { .. } | Output::Ready) => {
                panic!("{reader}: {other:?}")
            }
        };
        std::mem::take(&mut self.said).into_iter().map(card).collect()
    }
}

fn rom(serial: u64) -> CardFrame {
    CardFrame {
        bits: 64,
        data: Rom::of(DS1990A, serial).bytes().to_vec(),
    }
}

#[test]
fn keys_of_every_kind_are_cards_once_for_each_touch() {
    let mut rig = Rig::new();
    for (key, frame) in [
        (Played::Cyfral(0x1B07), cyfral_frame(0x1B07)),
        (
            Played::Dallas(Rom::of(DS1990A, 0x12F_4A3C)),
            Some(rom(0x12F_4A3C)),
        ),
        (Played::Metakom([3, 5, 0xFF, 0]), metakom_frame([3, 5, 0xFF, 0])),
        (Played::Dallas(Rom::of(DS1990A, 5)), Some(rom(5))),
    ] {
        rig.touch(&key, 700);
        rig.run(1500);
        assert_eq!(
            rig.cards(),
            [("plate".to_owned(), frame.expect("a card"))],
            "{key:?}"
        );
    }
}

#[test]
fn a_key_on_the_contact_as_the_front_end_comes_back_is_nobodys_touch() {
    let mut rig = Rig::new();
    rig.deaf = true;
    rig.run(1500);
    let said = rig.take();
    assert!(
        matches!(&said[..], [(_, Output::Fault(_)), (_, Output::Fault(_))]),
        "{said:?}"
    );
    let play = Play::Key {
        rom: Rom::of(DS1990A, 5),
        for_us: 3_000_000,
    };
    rig.bench.play(rig.now_us, play);
    rig.deaf = false;
    rig.run(5000);
    let said = rig.take();
    assert!(
        said.iter().all(|(_, what)| *what == Output::Ready) && said.len() == 2,
        "{said:?}"
    );
}

#[test]
fn a_stripe_is_a_card_drawn_either_way_and_what_is_none_is_told() {
    let mut rig = Rig::new();
    let good = encode_track("0012345678", 22).expect("a track");
    rig.bench.play(rig.now_us, Play::Stripe(good.clone()));
    rig.run(400);
    let back: Vec<bool> = encode_track("4711", 22)
        .expect("a track")
        .into_iter()
        .rev()
        .collect();
    rig.bench.play(rig.now_us, Play::Stripe(back));
    rig.run(400);
    let card = |track| ("stripe".to_owned(), track_frame(track).expect("a track"));
    assert_eq!(rig.cards(), [card("0012345678"), card("4711")]);
    let mut wrong = good;
    wrong[40] = !wrong[40];
    rig.bench.play(rig.now_us, Play::Stripe(wrong));
    rig.run(400);
    let said = rig.take();
    assert!(
        matches!(
            &said[..],
            [(
                _,
                Output::Misread {
                    reason: Misread::Parity,
                    times: 1,
                    ..
                }
            )]
        ),
        "{said:?}"
    );
}

#[test]
fn edges_that_are_lost_on_the_way_make_no_card_and_are_told() {
    let mut rig = Rig::new();
    let good = encode_track("0012345678", 22).expect("a track");
    rig.bench.play(rig.now_us, Play::Stripe(good));
    rig.run(50);
    rig.deaf = true;
    rig.run(10);
    rig.deaf = false;
    rig.run(400);
    let said = rig.take();
    assert!(
        matches!(
            &said[..],
            [(
                _,
                Output::Misread {
                    reason: Misread::LostEdges,
                    ..
                }
            )]
        ),
        "{said:?}"
    );
}

#[test]
fn a_grant_lights_and_beeps_and_a_front_end_that_hears_nothing_goes_dark() {
    let mut rig = Rig::new();
    let plate = "plate".parse().expect("a name");
    let time = Duration::from_secs(1);
    rig.port.show(rig.now(), &plate, ReaderCommand::Granted { time });
    rig.run(1200);
    let lit = [(BEEPER, true), (LED, true), (BEEPER, false), (LED, false)];
    assert_eq!(std::mem::take(&mut rig.outputs), lit);
    let time = Duration::from_secs(8);
    rig.port.show(rig.now(), &plate, ReaderCommand::Granted { time });
    rig.run(200);
    rig.outputs.clear();
    // the gateway goes away with its port
    rig.bench.advance(rig.now_us + 2_000_000, &rig.changes);
    let dark = std::iter::from_fn(|| rig.changed.try_recv().ok());
    let dark: Vec<Change> = dark.collect();
    assert!(
        dark.iter().any(|change| matches!(
            change,
            Change::Output {
                output: LED,
                on: false,
                ..
            }
        )),
        "{dark:?}"
    );
}

#[test]
fn a_front_end_that_does_not_fit_is_told_by_name() {
    let who = Identity {
        version: 1,
        role: PortRole::Line,
        inputs: 4,
        outputs: 8,
        watchdog_ms: 1000,
        boot: 1,
        name: "small".to_owned(),
    };
    assert_eq!(keys().unfit(&who), None);
    let text = stripe().unfit(&who).expect("it has too few inputs");
    assert_eq!(
        text,
        "reader stripe has input 4, and front end \"small\" has 4, from 0"
    );
    let few = Identity { outputs: 4, ..who };
    let text = keys().unfit(&few).expect("it has too few outputs");
    assert_eq!(
        text,
        "reader plate has output 4, and front end \"small\" has 4, from 0"
    );
}

#[test]
fn a_front_end_that_knows_no_rows_is_told_once_and_one_that_is_busy_is_asked_again() {
    let now = Instant::from_nanos(T0);
    let mut reader = Reader::new(now, keys());
    reader.begin(now, 1 << CONTACT_INPUT);
    let mut told = Vec::new();
    for n in 0..4_u8 {
        let now = now + Duration::from_secs(u64::from(n));
        let order = reader.row(now);
        assert!(
            matches!(
                order,
                Some(Order::Pulses {
                    output: PULL_OUTPUT,
                    ..
                })
            ),
            "{order:?}"
        );
        reader.sent(n);
        let reason = if n == 0 { Reason::Busy } else { Reason::Kind };
        assert!(!reader.refused(now, n.wrapping_sub(1), reason));
        assert!(reader.refused(now, n, reason));
        told.extend(std::iter::from_fn(|| reader.poll_output()));
    }
    assert!(
        matches!(&told[..], [Output::Fault(text)] if text.contains("another firmware")),
        "{told:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]
    /// Whatever touches in whatever order, with whatever is missed: only what touched is read, and each touch at most once.
    #[test]
    fn only_what_touches_is_read(touches in prop::collection::vec((0_u8..3, 0_u16..4, 30_u64..900, any::<bool>()), 1..6)) {
        let mut rig = Rig::new();
        let mut possible = Vec::new();
        for (kind, number, ms, deaf) in touches {
            let key = match kind {
                0 => Played::Cyfral(number),
                1 => Played::Dallas(Rom::of(DS1990A, u64::from(number) + 1)),
                _ => Played::Metakom([3, 5, 0xFF, u8::try_from(number).expect("few") * 3]),
            };
            let frame = match key {
                Played::Cyfral(number) => cyfral_frame(number),
                Played::Dallas(_) => Some(rom(u64::from(number) + 1)),
                Played::Metakom(bytes) => metakom_frame(bytes),
            };
            possible.extend(frame);
            rig.deaf = deaf;
            rig.run(7);
            rig.deaf = false;
            rig.touch(&key, ms);
            rig.run(1200);
        }
        let read: Vec<CardFrame> = rig.take().into_iter().filter_map(|(_, what)| match what {
            Output::Card { frame, .. } => Some(frame),
            Output::Fault(_) | Output::Key { .. } | Output::Misread { .. } | Output::Ready => None,
        }).collect();
        let mut left = possible;
        for frame in read {
            let at = left.iter().position(|one| *one == frame);
            prop_assert!(at.is_some(), "{:?}", frame);
            left.remove(at.expect("found"));
        }
    }
}
