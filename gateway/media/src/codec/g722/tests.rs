//! Properties of the recommendation, and behaviour where packets are lost.

use super::*;
use crate::codec::plc::Concealment;
use crate::codec::{Decoder as _, Encoder as _};
use std::f64::consts::TAU;

fn tone(hz: f64, amplitude: f64, n: usize) -> Vec<i16> {
    (0..n)
        .map(|i| ((hz * TAU * i as f64 / 16_000.0).sin() * amplitude) as i16)
        .collect()
}

/// Encoded and decoded again.
fn through(samples: &[i16]) -> Vec<i16> {
    let mut payload = Vec::new();
    Encoder::default().encode(samples, &mut payload).expect("even");
    assert_eq!(payload.len(), samples.len() / 2);
    let mut out = vec![0; samples.len()];
    let n = Decoder::default().decode(&payload, &mut out).expect("room");
    assert_eq!(n, samples.len());
    out
}

/// Delay of both filters together (§2.6: 3 ms altogether with those of the converters), samples.
const DELAY: usize = 22;

/// Signal to noise, dB, of what is decoded against what was said.
fn quality(said: &[i16], heard: &[i16]) -> f64 {
    let (mut signal, mut noise) = (0.0, 1.0);
    for (a, b) in said.iter().zip(&heard[DELAY..]) {
        signal += f64::from(*a).powi(2);
        noise += (f64::from(*a) - f64::from(*b)).powi(2);
    }
    10.0 * (signal / noise).log10()
}

#[test]
fn both_bands_come_through() {
    for (hz, least) in [
        (300.0, 30.0),
        (1_000.0, 30.0),
        (3_000.0, 25.0),
        (5_000.0, 12.0),
        (6_500.0, 12.0),
    ] {
        for amplitude in [300.0, 3_000.0, 20_000.0] {
            let said = tone(hz, amplitude, 16_000);
            let found = quality(&said[1_600..], &through(&said)[1_600..]);
            assert!(found > least, "{hz} Hz at {amplitude}: {found:.1} dB");
        }
    }
}

#[test]
fn silence_is_silent_and_full_scale_does_not_overflow() {
    let quiet = through(&[0; 3_200]);
    assert!(quiet.iter().all(|s| s.unsigned_abs() < 16), "{quiet:?}");
    let mut x = 1u32;
    let noise: Vec<i16> = (0..16_000)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if x >> 31 == 0 { i16::MIN } else { i16::MAX }
        })
        .collect();
    through(&noise);
    let mut out = vec![0; 2 * 65_536];
    let payload: Vec<u8> = noise
        .iter()
        .flat_map(|s| s.to_be_bytes())
        .chain(0..=255)
        .collect();
    Decoder::default().decode(&payload, &mut out).expect("room");
}

#[test]
fn wrong_lengths_are_errors() {
    let mut out = Vec::new();
    let odd = Encoder::default().encode(&[0; 161], &mut out);
    assert!(
        matches!(odd, Err(CodecError::Length { samples: 161, .. })),
        "{odd:?}"
    );
    assert!(out.is_empty());
    let tight = Decoder::default().decode(&[0; 80], &mut [0; 159]);
    assert!(
        matches!(
            tight,
            Err(CodecError::Room {
                samples: 160,
                room: 159,
                ..
            })
        ),
        "{tight:?}"
    );
    assert_eq!(Decoder::default().samples_of(&[0; 160]), Some(320));
}

/// A voice with a moving pitch that loses every fifth packet: what comes after a gap is nearer to what was said if the
/// decoder's state followed what was played in it.
#[test]
fn the_decoder_follows_what_was_played_over_a_gap() {
    let mut phase = 0.0;
    let said: Vec<i16> = (0..48_000)
        .map(|i| {
            let t = f64::from(i) / 16_000.0;
            phase += TAU * (140.0 + 30.0 * (3.0 * t).sin()) / 16_000.0;
            let v: f64 = (1..45).map(|h| (phase * f64::from(h)).sin() / f64::from(h)).sum();
            (v * 6_000.0 * (0.6 + 0.4 * (TAU * 4.0 * t).sin())) as i16
        })
        .collect();
    let mut payload = Vec::new();
    Encoder::default().encode(&said, &mut payload).expect("even");
    let mut whole = vec![0; 48_000];
    Decoder::default().decode(&payload, &mut whole).expect("room");
    let error_after = |follow: bool| {
        let mut decoder = Decoder::default();
        let mut concealment = Concealment::new(16_000);
        let (mut error, mut power) = (0.0, 0.0);
        for (n, packet) in payload.chunks_exact(160).enumerate() {
            let mut out = [0; 320];
            if n % 5 == 4 {
                concealment.conceal(&mut out);
                if follow {
                    decoder.follow(&out);
                }
                continue;
            }
            decoder.decode(packet, &mut out).expect("room");
            concealment.good(&mut out);
            if n % 5 == 0 {
                for (a, b) in out.iter().zip(&whole[n * 320..]) {
                    error += (f64::from(*a) - f64::from(*b)).powi(2);
                    power += f64::from(*b).powi(2);
                }
            }
        }
        10.0 * (error / power).log10()
    };
    let (with, without) = (error_after(true), error_after(false));
    assert!(with < without - 0.5, "{with:.1} dB with, {without:.1} dB without");
}

/// The same stream as another implementation (FFmpeg 5.1) makes and reads, byte for byte: the first 5 ms of a chord,
/// which pass every part of both quantizers' state from its reset on.
#[test]
fn codes_are_those_of_another_implementation() {
    let chord: Vec<i16> = (0..80)
        .map(|i| {
            let t = f64::from(i) / 16_000.0;
            let v = (440.0 * TAU * t).sin() * 9_000.0 + (5_100.0 * TAU * t).sin() * 5_000.0;
            v.round() as i16
        })
        .collect();
    let mut payload = Vec::new();
    Encoder::default().encode(&chord, &mut payload).expect("even");
    assert_eq!(payload, FFMPEG_CODES);
    let mut heard = [0; 80];
    Decoder::default().decode(&payload, &mut heard).expect("room");
    assert_eq!(heard, FFMPEG_SAMPLES);
}

/// What FFmpeg encodes.
#[rustfmt::skip]
const FFMPEG_CODES: [u8; 40] = [
    0xb7, 0x16, 0x92, 0x20, 0x84, 0xa0, 0xa0, 0x20, 0x22, 0xaa, 0x2a, 0xac, 0xaf, 0x36, 0x9f, 0x19,
    0x13, 0x91, 0x11, 0x10, 0x92, 0x16, 0x9b, 0xb9, 0x35, 0xb1, 0x6d, 0x2e, 0xaf, 0x30, 0x75, 0xb8,
    0x3e, 0xd8, 0xd5, 0x12, 0xd2, 0xd5, 0x15, 0x98,
];
/// What FFmpeg decodes of it.
#[rustfmt::skip]
const FFMPEG_SAMPLES: [i16; 80] = [
    0, -1, -1, 0, -1, -1, 0, 0, -1, -1, 1, 0,
    -1, 3, -12, -45, 12, 75, 8, -178, -104, 248, 626, 1_012,
    1_543, 2_525, 4_278, 6_188, 7_672, 8_329, 8_741, 9_141, 9_163, 8_575, 7_860, 7_412,
    6_264, 4_730, 3_349, 1_832, 182, -1_173, -2_330, -4_501, -5_629, -6_592, -7_736, -8_073,
    -7_965, -9_812, -9_211, -8_085, -8_296, -7_737, -5_627, -5_139, -5_321, -288, -350, -643,
    3_303, 4_910, 3_067, 7_425, 9_920, 5_417, 8_953, 11_595, 6_827, 7_143, 12_814, 4_637,
    3_832, 10_112, 2_304, -1_767, 6_059, -842, -6_469, -668,
];
