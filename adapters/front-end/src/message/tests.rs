//! Messages there and back.

use proptest::prelude::*;

use super::*;
use crate::frame::Deframer;

fn message(frame: &[u8]) -> Vec<u8> {
    let mut deframer = Deframer::default();
    let mut found = frame.iter().filter_map(|byte| deframer.push(*byte));
    found.next().expect("a frame").expect("whole")
}

fn orders() -> impl Strategy<Value = Order> {
    let channel = prop::option::of(0_u8..16);
    prop_oneof![
        Just(Order::Alive),
        any::<u8>().prop_map(|version| Order::Hello { version }),
        (
            any::<[u8; 2]>(),
            any::<[u16; 2]>(),
            prop::collection::vec(any::<bool>(), 1..=MAX_CARD)
        )
            .prop_map(
                |([d0, d1], [pulse_us, interval_us], bits)| Order::Card(CardPulses {
                    bits,
                    d0,
                    d1,
                    interval_us,
                    pulse_us,
                })
            ),
        any::<u8>().prop_map(|door| Order::Rest { door }),
        (any::<u8>(), any::<bool>()).prop_map(|(output, on)| Order::Set { output, on }),
        (any::<u8>(), prop::collection::vec(any::<u16>(), 0..=MAX_PULSES))
            .prop_map(|(output, times_us)| Order::Pulses { output, times_us }),
        (
            any::<[u16; 4]>(),
            any::<[u8; 2]>(),
            channel.clone(),
            channel.clone(),
            prop::collection::vec(any::<u16>(), 0..=MAX_PULSES)
        )
            .prop_map(|(n, [door, rows], hook, call, times_us)| {
                Order::Row(Row {
                    door,
                    window_ms: n[0],
                    rows,
                    pause_ms: n[1],
                    hook,
                    after_ms: n[2],
                    call,
                    quiet_ms: n[3],
                    times_us,
                })
            }),
        (
            any::<[u16; 6]>(),
            any::<[u8; 3]>(),
            any::<bool>(),
            channel.clone(),
            channel.clone(),
            prop::collection::vec(any::<u8>(), 1..=MAX_TELEGRAM)
        )
            .prop_map(|(n, [door, times, pulse_us], lowest_first, hook, call, bytes)| {
                Order::Telegram(Telegram {
                    door,
                    window_ms: n[0],
                    times,
                    pause_ms: n[1],
                    hook,
                    after_ms: n[2],
                    call,
                    quiet_ms: n[3],
                    pulses: BytePulses {
                        bit_tenths: n[4],
                        byte_tenths: n[5],
                        lowest_first,
                        pulse_us,
                    },
                    bytes,
                })
            }),
        (any::<[u16; 5]>(), any::<[u8; 2]>(), channel.clone(), channel).prop_map(
            |(n, [door, presses], hook, call)| {
                Order::Press(Press {
                    door,
                    window_ms: n[0],
                    press_ms: n[1],
                    presses,
                    pause_ms: n[2],
                    hook,
                    after_ms: n[3],
                    call,
                    quiet_ms: n[4],
                })
            }
        ),
    ]
}

proptest! {
    #[test]
    fn orders_come_back(order in orders(), number: u8) {
        prop_assert_eq!(Order::read(&message(&order.frame(number))), Ok((number, order)));
    }

    #[test]
    fn edges_come_back(start in 0_u64..1 << 40, steps in prop::collection::vec((0_u64..1 << 31, 0_u8..16, any::<bool>()), 1..=MAX_BATCH)) {
        let mut at_us = start;
        let edges: Vec<WireEdge> = steps.into_iter().map(|(step, input, level)| {
            at_us += step;
            WireEdge { at_us, input, level }
        }).collect();
        let first = edges[0];
        let word = Word::Edges { first: 65_535, edges };
        let Ok((0, Word::Edges { edges: read, .. })) = Word::read(&message(&word.frame(0))) else { panic!("edges") };
        prop_assert_eq!(read[0], first);
        prop_assert_eq!(Word::Edges { first: 65_535, edges: read }, word);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..260)) {
        let _ = Order::read(&bytes);
        let _ = Word::read(&bytes);
    }
}

#[test]
fn words_come_back() {
    for word in [
        Word::Hello(Identity {
            version: 1,
            role: PortRole::Door,
            inputs: 4,
            outputs: 2,
            watchdog_ms: 1000,
            boot: 0xDEAD_BEEF,
            name: "demo 1.0".to_owned(),
        }),
        Word::State {
            at_us: 1 << 40,
            inputs: 0x8001,
            outputs: 2,
            next_edge: 7,
        },
        Word::Done,
        Word::Refused(Reason::Port),
        Word::Door {
            door: 1,
            open: true,
            at_us: 12,
        },
    ] {
        assert_eq!(Word::read(&message(&word.frame(3))), Ok((3, word)));
    }
}

#[test]
fn what_is_no_message_says_which() {
    for (bytes, expected) in [
        (&[][..], "a message of 0 bytes"),
        (&[0x84, 0, 1], "message 84: its content"),
        (&[0x85, 0, 77], "message 85: its content"),
        (&[0x83, 0, 0, 0], "message 83: its content"),
        (&[0x90, 0], "message 90 is not known"),
    ] {
        let error = Word::read(bytes).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(Order::read(&[0x81, 0]), Err(MessageError::Kind { kind: 0x81 }));
}
