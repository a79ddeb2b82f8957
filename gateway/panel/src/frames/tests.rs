//! Frames there and back, frames of others' measurements, and noise.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(us: u64) -> Instant {
    Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
}

/// A free bus, these times in turns, and a bus that stays as it is left.
fn read(coding: Coding, idle: Polarity, times: &[u64]) -> Vec<Result<Frame, FrameNoise>> {
    let mut reader = FrameReader::new(coding, idle);
    let free = idle.is_active(true);
    let mut said = Vec::new();
    said.extend(reader.handle_edge(at(0), free).transpose());
    let mut now = 50_000;
    let mut level = !free;
    said.extend(reader.handle_edge(at(now), level).transpose());
    for time in times {
        now += time;
        level = !level;
        said.extend(reader.handle_edge(at(now), level).transpose());
    }
    said
}

fn times(row: &[u16]) -> Vec<u64> {
    row.iter().map(|us| u64::from(*us)).collect()
}

/// The frame that `OnlySendOneBell` of `atc1441/TCSintercomArduino` sends for serial 36198: 6 ms, then 4 ms since it has 32 bits,
/// then 0361987F in 2 and 4 ms, then the exclusive or of its bits and 1.
#[test]
fn a_frame_of_a_tcs_sender_is_read() {
    let mut sent = vec![6000, 4000];
    let bits = "00000011011000011001100001111111";
    sent.extend(bits.chars().map(|bit| if bit == '1' { 4000 } else { 2000 }));
    // fifteen ones: 1 xor 1 xor … is 0
    assert_eq!(bits.chars().filter(|bit| *bit == '1').count(), 15);
    sent.push(2000);
    let frame = Frame {
        bits: 32,
        value: 0x0361_987F,
    };
    assert_eq!(read(Coding::Tcs, Polarity::High, &sent), [Ok(frame)]);
    assert_eq!(read(Coding::Tcs, Polarity::Low, &sent), [Ok(frame)]);
    assert_eq!(Coding::Tcs.row(frame).map(|row| times(&row)), Some(sent.clone()));
    // by another parity it is none
    *sent.last_mut().expect("parity") = 4000;
    assert_eq!(
        read(Coding::Tcs, Polarity::High, &sent),
        [Err(FrameNoise::Check(frame))]
    );
}

/// 1100 opens the door of station 0 (AzonInc/Doorman): two ones, and the parity makes three of them.
#[test]
fn a_short_tcs_frame_is_told_from_a_long_one_with_zeros() {
    let short = Frame {
        bits: 16,
        value: 0x1100,
    };
    let row = Coding::Tcs.row(short).expect("a row");
    assert_eq!((row.len(), row[1], row[18]), (19, 2000, 4000));
    assert_eq!(read(Coding::Tcs, Polarity::High, &times(&row)), [Ok(short)]);
    let long = Frame { bits: 32, ..short };
    let row = Coding::Tcs.row(long).expect("a row");
    assert_eq!(read(Coding::Tcs, Polarity::High, &times(&row)), [Ok(long)]);
    assert_eq!(
        (short.to_string(), long.to_string()),
        ("1100".into(), "00001100".into())
    );
}

/// The capture in the readme of `plusvic/simplebus2-intercom`: command 48 for address 12, check 4; bursts of 3 ms, a pause of
/// 17 ms after the first, then 3 ms for a 0 and 6 ms for a 1, the lowest bit first as the reader of that project has them.
#[test]
fn a_captured_simplebus_call_is_read() {
    let bits = "000011" /* 48 */
        .chars()
        .chain(
            "00110000" /* 12 */
                .chars(),
        )
        .chain(
            "0010" /* 4 */
                .chars(),
        );
    let mut sent = vec![3000, 17_000];
    sent.extend(bits.flat_map(|bit| [3000, if bit == '1' { 6000 } else { 3000 }]));
    sent.push(3000);
    let frame = Frame {
        bits: 14,
        value: 48 << 8 | 12,
    };
    // four bursts acknowledge it
    let mut acknowledged = sent.clone();
    acknowledged.extend([22_000, 3000, 3000, 3000, 3000, 3000, 3000, 3000]);
    assert_eq!(
        read(Coding::Simplebus, Polarity::High, &acknowledged),
        [Ok(frame)]
    );
    assert_eq!(Coding::Simplebus.row(frame).map(|row| times(&row)), Some(sent));
}

#[test]
fn what_is_no_frame_says_why_once_it_had_begun() {
    let frame = Frame {
        bits: 14,
        value: 16 << 8 | 3,
    };
    let mut sent = times(&Coding::Simplebus.row(frame).expect("a row"));
    sent[5] = 4600;
    let said = read(Coding::Simplebus, Polarity::High, &sent);
    assert_eq!(said, [Err(FrameNoise::Time(4600))]);
    sent[5] = 6000;
    let said = read(Coding::Simplebus, Polarity::High, &sent);
    assert!(matches!(said[..], [Err(FrameNoise::Check(_))]), "{said:?}");
    // a start that is no start is nobody's frame
    assert_eq!(read(Coding::Tcs, Polarity::High, &[4000, 4000, 2000]), []);
    assert_eq!(
        read(Coding::Tcs, Polarity::High, &[6000, 4000, 9000]),
        [Err(FrameNoise::Time(9000))]
    );
    let long = Frame {
        bits: 14,
        value: 1 << 14,
    };
    assert_eq!(Coding::Simplebus.row(long), None);
    assert_eq!(Coding::Tcs.row(frame), None);
}

#[test]
fn a_pattern_says_what_is_allowed() {
    for text in [
        "",
        "0101",
        "01a2",
        "a0101010101010101010101010101010101",
        "aaaaaaaaaaaaaaaaaaaaa",
        "asssssss",
    ] {
        let error = text.parse::<FramePattern>().expect_err(text).to_string();
        assert!(error.contains("1 to 32 of 0, 1, a"), "{text}: {error}");
    }
    let pattern: FramePattern = "0001 aaaa 10ss".parse().expect("a pattern");
    assert_eq!(
        (pattern.to_string(), pattern.most()),
        ("0001aaaa10ss".to_owned(), 15)
    );
    let to = |address, station| pattern.frame(BusAddress { address, station });
    assert_eq!(to(16, 0), None);
    assert_eq!(to(3, 4), None);
    assert_eq!(to(3, 2).map(|frame| frame.value), Some(0b0001_0011_1010));
}

/// Numbers that look like noise and are the same every time (a linear congruential generator, multiplier of Knuth's MMIX).
struct Noise(u64);

impl Noise {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Bits by chance in perfect timing: of TCS one half has the right parity, of Simplebus what its check lets through, which is
/// less than one in ten. More than that would say that the check is not looked at.
#[test]
fn bits_by_chance_pass_a_check_as_often_as_chance_allows() {
    let mut noise = Noise(1);
    let mut passed = [0_u32; 2];
    const ROUNDS: u32 = 20_000;
    for _ in 0..ROUNDS {
        let mut tcs = vec![6000, 4000];
        tcs.extend((0..33).map(|_| 2000 + 2000 * noise.below(2)));
        let mut simplebus = vec![3000, 17_000];
        simplebus.extend((0..18).flat_map(|_| [3000, 3000 + 3000 * noise.below(2)]));
        simplebus.push(3000);
        for (count, (coding, sent)) in passed
            .iter_mut()
            .zip([(Coding::Tcs, tcs), (Coding::Simplebus, simplebus)])
        {
            let said = read(coding, Polarity::High, &sent);
            assert_eq!(said.len(), 1);
            *count += u32::from(said[0].is_ok());
        }
    }
    // ten standard deviations
    assert!(passed[0].abs_diff(ROUNDS / 2) < 710, "{passed:?}");
    // each of 0 to 14 ones is one of 16 checks: a sixteenth, as every check but 15 fits some number of ones
    assert!(passed[1].abs_diff(ROUNDS / 16) < 350, "{passed:?}");
}

/// Edges at any time: what does not have the timing of a frame is none, however long one listens.
#[test]
fn edges_by_chance_make_hardly_a_frame() {
    for (coding, most) in [(Coding::Tcs, 2), (Coding::Simplebus, 2)] {
        let mut noise = Noise(7);
        let mut reader = FrameReader::new(coding, Polarity::High);
        let (mut now, mut frames) = (0, 0);
        for n in 0..400_000 {
            now += 100 + noise.below(20_000);
            frames += u32::from(matches!(reader.handle_edge(at(now), n % 2 == 0), Ok(Some(_))));
        }
        assert!(frames <= most, "{coding:?}: {frames}");
    }
}

fn codings() -> impl Strategy<Value = (Coding, Frame)> {
    let simplebus = (0_u128..1 << 14).prop_map(|value| (Coding::Simplebus, Frame { bits: 14, value }));
    let short = any::<u16>().prop_map(|value| {
        let value = value.into();
        (Coding::Tcs, Frame { bits: 16, value })
    });
    let long = any::<u32>()
        .prop_map(u128::from)
        .prop_map(|value| (Coding::Tcs, Frame { bits: 32, value }));
    prop_oneof![simplebus, short, long]
}

proptest! {
    /// Every frame comes back, also by a clock that is 8 % off, and none of its times holds the bus for long.
    #[test]
    fn every_frame_comes_back((coding, frame) in codings(), percent in 92_u64..=108, low: bool) {
        let row = coding.row(frame).expect("a row");
        prop_assert!(row.iter().step_by(2).all(|us| (2..=6000).contains(us)));
        prop_assert!(row.len() <= 39 && row.len() % 2 == 1);
        let idle = if low { Polarity::Low } else { Polarity::High };
        let sent: Vec<u64> = row.iter().map(|us| u64::from(*us) * percent / 100).collect();
        prop_assert_eq!(read(coding, idle, &sent), [Ok(frame)]);
    }

    /// A single wrong bit, in what is said or in its check, makes no frame.
    #[test]
    fn one_wrong_bit_is_noticed((coding, frame) in codings(), which in 0_usize..33) {
        let mut row = times(&coding.row(frame).expect("a row"));
        let first = match coding { Coding::Simplebus => 3, Coding::Abb | Coding::Scs | Coding::Tcs => 2 };
        let step = match coding { Coding::Simplebus => 2, Coding::Abb | Coding::Scs | Coding::Tcs => 1 };
        let count = match coding { Coding::Simplebus => 18, Coding::Abb | Coding::Scs | Coding::Tcs => usize::from(frame.bits) + 1 };
        let place = first + which % count * step;
        let (zero, one) = match coding { Coding::Simplebus => (3000, 6000), Coding::Abb | Coding::Scs | Coding::Tcs => (2000, 4000) };
        row[place] = if row[place] == zero { one } else { zero };
        let said = read(coding, Polarity::High, &row);
        prop_assert!(matches!(said[..], [Err(FrameNoise::Check(_))]), "{:?}", said);
    }

    #[test]
    fn no_edges_make_it_panic(gaps in prop::collection::vec((0_u64..30_000, any::<bool>()), 0..400), tcs: bool, last in any::<u64>()) {
        let coding = if tcs { Coding::Tcs } else { Coding::Simplebus };
        let mut reader = FrameReader::new(coding, Polarity::High);
        let mut now = 0;
        for (gap, level) in gaps {
            now += gap;
            let _ = reader.handle_edge(at(now), level);
        }
        let _ = reader.handle_edge(Instant::from_nanos(last), true);
    }

    #[test]
    fn patterns_come_back(text in "[01as]{1,32}", address: u32, station: u8, value: u128) {
        if let Ok(pattern) = text.parse::<FramePattern>() {
            prop_assert_eq!(pattern.to_string(), text);
            let to = BusAddress { address: address & pattern.most(), station: if pattern.has_station() { station } else { 0 } };
            if let Some(frame) = pattern.frame(to) {
                prop_assert_eq!(pattern.read(frame), Some(to));
                prop_assert!(pattern.is_for(frame, to));
            }
            let _ = pattern.read(Frame { bits: pattern.bits(), value });
        }
    }

    #[test]
    fn no_text_makes_a_pattern_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<FramePattern>();
    }
}
