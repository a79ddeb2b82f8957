//! Telegrams as pulses, there and back, and noise.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::edges::Edge;

fn frame(bytes: &[u8]) -> Frame {
    Frame {
        bits: u8::try_from(bytes.len() * 8).expect("few"),
        value: bytes.iter().fold(0, |all, byte| all << 8 | u128::from(*byte)),
    }
}

/// A free bus, the pulses of these bytes, and a free bus.
fn edges(coding: Coding, bytes: &[u8]) -> Vec<Edge> {
    let mut edges = edges_of_bytes(coding, bytes);
    for edge in edges.iter_mut().skip(1) {
        edge.at_us += 20_000;
    }
    edges
}

fn heard(coding: Coding, edges: &[Edge]) -> Vec<Result<Frame, FrameNoise>> {
    recorded(coding, Polarity::High, edges)
        .into_iter()
        .map(|(_, said)| said)
        .collect()
}

/// The pulses of a start bit and of A8 as they are described: lowest bit first, a 0 low for 34 µs and high for 70 (Stapelberg), so
/// that zeros stand in the cells of 1, 2, 4, 16 and 64.
#[test]
fn pulses_of_scs_stand_where_its_readers_saw_them() {
    let row = BytePulses::of(Coding::Scs).expect("bytes").row(&[0xA8]);
    let begins: Vec<u32> = row
        .chunks(2)
        .scan(0, |at, pair| {
            let begin = *at;
            *at += pair.iter().map(|us| u32::from(*us)).sum::<u32>();
            Some(begin)
        })
        .collect();
    // cells of 104 µs: start, 1, 2, 4, 16, 64
    assert_eq!(begins, [0, 104, 208, 312, 521, 729]);
}

/// The header 55 FF as the reader of ESPHome wants it: 32 µs low and 70 high for a 0 that a 0 follows, 172 where a 1 is between,
/// 210 more at the end of a byte, and a byte of ones that is its start alone.
#[test]
fn pulses_of_abb_stand_where_its_readers_want_them() {
    let row = BytePulses::of(Coding::Abb)
        .expect("bytes")
        .row(&[0x55, 0xFF, 0x00]);
    assert_eq!(&row[..12], [32, 70, 32, 172, 32, 172, 32, 172, 32, 382, 32, 1096]);
    assert_eq!(&row[12..14], [32, 70]);
}

#[test]
fn a_telegram_is_read_once_its_last_byte_is_over() {
    let said = frame(&[0x91, 0x03, 0x60, 0x08]);
    let whole = Coding::Scs.telegram(said, 0).expect("a telegram");
    assert_eq!(whole, [0xA8, 0x91, 0x03, 0x60, 0x08, 0xFA, 0xA3]);
    let edges = edges(Coding::Scs, &whole);
    let all = recorded(Coding::Scs, Polarity::High, &edges);
    assert_eq!(all.len(), 1);
    let (at, found) = all[0];
    assert_eq!(found, Ok(said));
    // the last byte begins 62.5 ms/10 after the first, and its ones have no edge
    let last = edges.last().expect("edges").at_us;
    assert!(at > last && at < last + 300, "{at} {last}");
    // by edges alone it is not known whether another pulse follows
    let mut reader = FrameReader::new(Coding::Scs, Polarity::High);
    let start = Instant::from_nanos(1_000_000_000);
    for edge in &edges {
        let at = start + Duration::from_micros(edge.at_us);
        assert_eq!(reader.handle_edge(at, edge.level), Ok(None));
    }
    assert!(reader.poll_timeout().is_some());
}

#[test]
fn an_answer_is_no_noise_and_three_times_the_same_are_three() {
    let said = frame(&[0x91, 0x03, 0x60, 0x08]);
    let whole = Coding::Scs.telegram(said, 0).expect("a telegram");
    let once = edges(Coding::Scs, &whole);
    let taken = edges(Coding::Scs, &[0xA5]);
    let mut all = Vec::new();
    for (turn, part) in [&once, &taken, &once, &once].into_iter().enumerate() {
        let from = 40_000 * u64::try_from(turn).expect("few");
        all.extend(part.iter().skip(usize::from(turn > 0)).map(|edge| Edge {
            at_us: from + edge.at_us,
            ..*edge
        }));
    }
    assert_eq!(heard(Coding::Scs, &all), [Ok(said); 3]);
}

#[test]
fn a_telegram_in_whose_middle_listening_begins_is_none() {
    for coding in [Coding::Scs, Coding::Abb] {
        let inner = match coding {
            Coding::Abb => frame(&[0x00, 0x01, 0x10, 0x0C, 0x20, 0x01]),
            Coding::Scs | Coding::Simplebus | Coding::Tcs => frame(&[0x91, 0x03, 0x60, 0x08]),
        };
        let whole = coding.telegram(inner, 0).expect("a telegram");
        // something is said before it without a pause
        let longer = [&[0x00, 0x12][..], &whole].concat();
        let said = heard(coding, &edges(coding, &longer));
        assert!(said.iter().all(Result::is_err), "{coding:?}: {said:?}");
        // nothing says that the bus was free before the first edge
        let all = edges_of_bytes(coding, &whole);
        assert_eq!(heard(coding, &all[1..]), [], "{coding:?}");
    }
}

#[test]
fn a_pattern_of_digits_says_what_may_differ() {
    let pattern: FramePattern = "hex 0? 01 10@@ 20 ?? *".parse().expect("a pattern");
    assert_eq!(pattern.to_string(), "hex 0? 01 10 @@ 20 ?? *");
    assert_eq!((pattern.bits(), pattern.most()), (48, 255));
    let read = |bytes: &[u8]| pattern.read(frame(bytes)).map(|to| to.address);
    assert_eq!(read(&[0x00, 0x01, 0x10, 0x0C, 0x20, 0x01]), Some(12));
    assert_eq!(read(&[0x02, 0x01, 0x10, 0x0C, 0x20, 0x09, 0xAB, 0xCD]), Some(12));
    assert_eq!(read(&[0x00, 0x01, 0x10, 0x0C, 0x21, 0x01]), None);
    assert_eq!(read(&[0x10, 0x01, 0x10, 0x0C, 0x20, 0x01]), None);
    assert_eq!(read(&[0x01, 0x10, 0x0C, 0x20, 0x01]), None);
    let closed: FramePattern = "hex 91 @@ 60 0s".parse().expect("a pattern");
    let who = BusAddress {
        address: 3,
        station: 8,
    };
    assert!(closed.is_for(frame(&[0x91, 0x03, 0x60, 0x08]), who));
    assert!(!closed.is_for(frame(&[0x91, 0x03, 0x60, 0x07]), who));
    assert!(!closed.is_for(frame(&[0x91, 0x03, 0x60, 0x08, 0x00]), who));
    let named: FramePattern = "hex 47 05 6f 11".parse().expect("a pattern");
    assert!(named.is_for(frame(&[0x47, 0x05, 0x6F, 0x11]), who));
    for text in [
        "hex",
        "hex ",
        "hex *",
        "hex 9",
        "hex 91 * 60",
        "hex 91 @@ @@ @@",
        "hex ss",
        "hex g0",
        "hex 00112233445566778899aabbccddeeff00",
    ] {
        assert!(text.parse::<FramePattern>().is_err(), "{text}");
    }
}

fn telegrams() -> impl Strategy<Value = (Coding, Frame, u8)> {
    let scs = any::<[u8; 4]>().prop_map(|bytes| (Coding::Scs, frame(&bytes), 0));
    let abb = (
        any::<bool>(),
        any::<[u8; 7]>(),
        prop::collection::vec(any::<u8>(), 0..=8),
        any::<u8>(),
    );
    let abb = abb.prop_map(|(wide, named, data, number)| {
        let head = u8::try_from(data.len()).expect("few") | if wide { 0x40 } else { 0 };
        let named = &named[..if wide { 7 } else { 5 }];
        (Coding::Abb, frame(&[&[head], named, &data].concat()), number)
    });
    prop_oneof![scs, abb]
}

proptest! {
    /// Every telegram comes back, also by a clock that is 2 % off and with edges that are some µs late, and no pulse is long.
    #[test]
    fn every_telegram_comes_back(
        (coding, said, number) in telegrams(),
        permille in 980_u64..=1020,
        late in prop::collection::vec(0_u64..8, 600),
    ) {
        let whole = coding.telegram(said, number).expect("a telegram");
        let row = BytePulses::of(coding).expect("bytes").row(&whole);
        prop_assert!(row.iter().step_by(2).all(|us| (30..=40).contains(us)));
        prop_assert!(row.iter().skip(1).step_by(2).all(|us| *us >= 60));
        let mut sent = edges(coding, &whole);
        for (edge, late) in sent.iter_mut().zip(late) {
            edge.at_us = edge.at_us * permille / 1000 + late;
        }
        prop_assert_eq!(heard(coding, &sent), [Ok(said)]);
        prop_assert_eq!(bytes_of_pulses(coding, &sent).0, whole);
    }

    /// A pulse that is missing, or one too many, makes another byte, and no telegram.
    #[test]
    fn one_pulse_more_or_less_is_noticed((coding, said, number) in telegrams(), which: usize, bit in 0_u32..8) {
        let mut whole = coding.telegram(said, number).expect("a telegram");
        let which = which % whole.len();
        // another head is another length: whatever comes of it, it is not this telegram
        whole[which] ^= 1 << bit;
        prop_assert!(!heard(coding, &edges(coding, &whole)).contains(&Ok(said)) || (coding == Coding::Abb && which == 2 && bit == 7));
        if !(coding == Coding::Abb && which == 2) {
            prop_assert!(heard(coding, &edges(coding, &whole)).iter().all(Result::is_err));
        }
    }

    /// Pulses by chance in perfect raster ring nobody and open nothing: what has begin, end and check by chance is one in millions.
    #[test]
    fn bytes_by_chance_are_no_telegram(scs: bool, bytes in prop::collection::vec(any::<u8>(), 1..40)) {
        let coding = if scs { Coding::Scs } else { Coding::Abb };
        prop_assume!(bytes[0] != 0xA8 && bytes[0] != 0x55);
        prop_assert!(heard(coding, &edges(coding, &bytes)).iter().all(Result::is_err));
    }

    #[test]
    fn edges_by_chance_are_no_telegram(scs: bool, gaps in prop::collection::vec(prop_oneof![1_u64..200, 1_u64..4000], 0..400)) {
        let coding = if scs { Coding::Scs } else { Coding::Abb };
        let mut at_us = 0;
        let edges: Vec<Edge> = gaps.iter().enumerate().map(|(n, gap)| {
            at_us += gap;
            Edge { at_us, level: n % 2 == 0 }
        }).collect();
        prop_assert!(heard(coding, &edges).iter().all(Result::is_err));
    }

    #[test]
    fn bytes_come_back_of_their_pulses(scs: bool, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let coding = if scs { Coding::Scs } else { Coding::Abb };
        prop_assert_eq!(bytes_of_pulses(coding, &edges_of_bytes(coding, &bytes)), (bytes, vec![]));
    }

    #[test]
    fn no_edges_make_it_panic(scs: bool, gaps in prop::collection::vec((0_u64..3000, any::<bool>()), 0..300), last in any::<u64>()) {
        let coding = if scs { Coding::Scs } else { Coding::Abb };
        let mut reader = FrameReader::new(coding, Polarity::High);
        let mut now = 0;
        for (gap, level) in gaps {
            now += gap;
            let _ = reader.handle_edge(Instant::from_nanos(now * 1000), level);
        }
        let _ = reader.handle_edge(Instant::from_nanos(last), true);
        let _ = reader.handle_timeout(Instant::from_nanos(u64::MAX));
    }

    #[test]
    fn patterns_of_digits_come_back(text in "hex( [0-9a-f@?]{2}){1,3}( \\*)?", address: u32, value: u128) {
        if let Ok(pattern) = text.parse::<FramePattern>() {
            prop_assert_eq!(pattern.to_string(), text);
            let to = BusAddress { address: address & pattern.most(), station: 0 };
            let made = pattern.frame(to).expect("a frame");
            prop_assert_eq!(pattern.read(made), Some(to));
            prop_assert!(pattern.is_for(made, to));
            let _ = pattern.read(Frame { bits: 128, value });
        }
    }
}
