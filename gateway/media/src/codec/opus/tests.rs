//! Lengths, bandwidth, loss, and packets that are none.

use super::*;
use crate::codec::{Decoder as _, Encoder as _};
use proptest::prelude::*;
use std::f64::consts::TAU;

fn format() -> OpusFormat {
    OpusFormat {
        forward_error_correction: true,
        ..OpusFormat::default()
    }
}

/// Harmonics up to the edge of wideband with a moving pitch: a stand-in for a voice.
fn voice(n: usize) -> Vec<i16> {
    let mut phase = 0.0;
    (0..n)
        .map(|i| {
            let t = i as f64 / 16_000.0;
            phase += TAU * (140.0 + 30.0 * (3.0 * t).sin()) / 16_000.0;
            let v: f64 = (1..45)
                .map(|h| (phase * f64::from(h)).sin() / f64::from(h).sqrt())
                .sum();
            (v * 2_000.0 * (0.6 + 0.4 * (TAU * 4.0 * t).sin())) as i16
        })
        .collect()
}

fn packets(said: &[i16], samples: usize, format: &OpusFormat) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(format).expect("encoder");
    said.chunks_exact(samples)
        .map(|piece| {
            let mut packet = Vec::new();
            encoder.encode(piece, &mut packet).expect("a packet");
            packet
        })
        .collect()
}

/// Part of the energy above 4 kHz.
fn upper_share(samples: &[i16]) -> f64 {
    // First difference of second order: rough, but zero at the bottom and one at the top.
    let energy = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
    let all: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
    let edge: Vec<f64> = all.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]) / 4.0).collect();
    energy(&edge) / energy(&all).max(1.0)
}

#[test]
fn every_packet_length_comes_through_in_wideband() {
    let said = voice(32_000);
    for samples in [160, 320, 640, 960] {
        let list = packets(&said, samples, &format());
        let bytes: usize = list.iter().map(Vec::len).sum();
        let rate = bytes * 8 / 2;
        assert!((14_000..45_000).contains(&rate), "{samples}: {rate} bit/s");
        let mut decoder = Decoder::new().expect("decoder");
        let mut heard = Vec::new();
        for packet in &list {
            assert_eq!(decoder.samples_of(packet), Some(samples));
            let mut out = [0; LONGEST];
            let n = decoder.decode(packet, &mut out).expect("decoded");
            assert_eq!(n, samples);
            heard.extend(&out[..n]);
        }
        let (before, after) = (upper_share(&said[16_000..]), upper_share(&heard[16_000..]));
        assert!(
            after > before / 3.0,
            "{samples}: {after:.4} of {before:.4} is left of the upper band"
        );
    }
}

/// How like two sounds are, 0 to 1, at the best delay up to 20 ms, half a second after the begin.
fn likeness(said: &[i16], heard: &[i16]) -> f64 {
    let float = |v: &[i16]| v.iter().map(|s| f64::from(*s)).collect::<Vec<_>>();
    let (said, heard) = (float(said), float(heard));
    let at = |delay: usize| {
        let (mut product, mut a, mut b) = (0.0, 0.0, 0.0);
        for (x, y) in said[8_000..].iter().zip(&heard[8_000 + delay..]) {
            product += x * y;
            a += x * x;
            b += y * y;
        }
        product / (a * b).sqrt().max(1.0)
    };
    (0..320).map(at).fold(0.0, f64::max)
}

/// Why each length has an encoder of its own (`engine::leg::Transport::adopt`): if this no longer holds of the library, one
/// may go on with another length.
#[test]
fn an_encoder_that_is_given_another_length_makes_noise() {
    let said = voice(48_000);
    let mut encoder = Encoder::new(&format()).expect("encoder");
    let mut decoder = Decoder::new().expect("decoder");
    let (mut out, mut heard) = ([0; LONGEST], Vec::new());
    let first = said[..19_200].chunks_exact(320).map(|piece| (piece, false));
    for (piece, counts) in first.chain(said.chunks_exact(960).map(|piece| (piece, true))) {
        let mut packet = Vec::new();
        encoder.encode(piece, &mut packet).expect("a packet");
        let n = decoder.decode(&packet, &mut out).expect("decoded");
        if counts {
            heard.extend(&out[..n]);
        }
    }
    let alike = likeness(&said, &heard);
    assert!(alike < 0.5, "{alike:.2}");
}

#[test]
fn packets_of_another_length_in_mid_stream_are_the_same_voice() {
    let said = voice(48_000);
    for (before, then) in [
        (320, 960),
        (320, 160),
        (960, 320),
        (160, 640),
        (640, 320),
        (320, 320),
    ] {
        let mut decoder = Decoder::new().expect("decoder");
        let mut out = [0; LONGEST];
        for packet in packets(&said[..19_200], before, &format()) {
            decoder.decode(&packet, &mut out).expect("decoded");
        }
        let mut heard = Vec::new();
        for packet in packets(&said, then, &format()) {
            let n = decoder.decode(&packet, &mut out).expect("decoded");
            heard.extend(&out[..n]);
        }
        let alike = likeness(&said, &heard);
        assert!(alike > 0.8, "{before} then {then}: {alike:.2}");
    }
}

#[test]
fn a_narrow_player_gets_8_khz() {
    let narrow = OpusFormat {
        playback_rate: 8_000,
        ..format()
    };
    let mut encoder = Encoder::new(&narrow).expect("encoder");
    assert_eq!(encoder.sample_rate(), 8_000);
    let mut packet = Vec::new();
    encoder.encode(&[500; 160], &mut packet).expect("20 ms");
    // SILK, narrowband, 20 ms, mono, one frame
    assert_eq!((packet[0] >> 3, packet[0] & 7), (1, 0));
    assert_eq!(samples_of(&packet), Some(320));
}

#[test]
fn the_bit_rate_is_what_was_asked_for() {
    let said = voice(64_000);
    let rate = |bit_rate, constant| {
        let asked = OpusFormat {
            bit_rate,
            constant,
            forward_error_correction: false,
            ..OpusFormat::default()
        };
        let list = packets(&said, 320, &asked);
        if constant {
            assert!(list.iter().all(|p| p.len() == list[0].len()), "constant");
        }
        list.iter().map(Vec::len).sum::<usize>() * 8 / 4
    };
    assert!(
        (8_000..14_000).contains(&rate(12_000, false)),
        "{}",
        rate(12_000, false)
    );
    assert!(
        (23_000..25_000).contains(&rate(24_000, true)),
        "{}",
        rate(24_000, true)
    );
}

#[test]
fn wrong_lengths_are_errors_not_silence() {
    let mut encoder = Encoder::new(&format()).expect("encoder");
    for samples in [0, 1, 80, 159, 161, 480, 800, 1_920] {
        let mut out = vec![1];
        let found = encoder.encode(&vec![0; samples], &mut out);
        assert!(
            matches!(found, Err(CodecError::Length { .. })),
            "{samples}: {found:?}"
        );
        assert_eq!(out, [1]);
    }
    let packet = packets(&voice(320), 320, &format()).remove(0);
    let mut decoder = Decoder::new().expect("decoder");
    let tight = decoder.decode(&packet, &mut [0; 319]);
    assert!(matches!(tight, Err(CodecError::Room { .. })), "{tight:?}");
    for none in [&[][..], &[3], &[2], &[1, 0], &[3, 0], &[3, 49], &[0x1b, 0x03, 0]] {
        let found = decoder.decode(none, &mut [0; LONGEST]);
        assert!(
            matches!(found, Err(CodecError::Decode { .. })),
            "{none:?}: {found:?}"
        );
    }
}

/// A lost packet is told by the next one much better than by guessing.
#[test]
fn forward_error_correction_rebuilds_a_lost_packet() {
    let said = voice(48_000);
    let list = packets(&said, 320, &format());
    let whole = {
        let mut decoder = Decoder::new().expect("decoder");
        let mut out = vec![0; 48_000];
        for (packet, piece) in list.iter().zip(out.chunks_exact_mut(320)) {
            decoder.decode(packet, piece).expect("decoded");
        }
        out
    };
    let error = |with: bool| {
        let mut decoder = Decoder::new().expect("decoder");
        let (mut error, mut power) = (0.0, 0.0);
        let mut piece = [0; 320];
        for (n, packet) in list.iter().enumerate() {
            if n % 5 == 4 {
                let next = list.get(n + 1).map(Vec::as_slice).filter(|_| with);
                assert!(decoder.conceal(next, &mut piece));
                for (a, b) in piece.iter().zip(&whole[n * 320..]) {
                    error += (f64::from(*a) - f64::from(*b)).powi(2);
                    power += f64::from(*b).powi(2);
                }
            } else {
                decoder.decode(packet, &mut piece).expect("decoded");
            }
        }
        10.0 * (error / power).log10()
    };
    let (with, without) = (error(true), error(false));
    assert!(
        with < without - 2.0 && with < -2.0,
        "{with:.1} dB with, {without:.1} dB without"
    );
}

#[test]
fn lengths_are_read_from_the_head() {
    for (packet, expected) in [
        (&[0x00, 1][..], Some(160)),
        (&[0x08, 1], Some(320)),
        (&[0x10, 1], Some(640)),
        (&[0x18, 1], Some(960)),
        (&[0x48, 1], Some(320)),
        (&[0x60, 1], Some(160)),
        (&[0x78, 1], Some(320)),
        (&[0x80, 1], Some(40)),
        (&[0xf8, 1], Some(320)),
        (&[0x09, 1, 1], Some(640)),
        (&[0x09, 1, 1, 1], None),
        (&[0x0a, 1, 1], Some(640)),
        (&[0x0b, 0x06, 1, 1, 1, 1, 1, 1], Some(1_920)),
        (&[0x0b, 0x07, 1, 1, 1, 1, 1, 1, 1], None),
        (&[0x0b, 0x00], None),
        (&[0x0b], None),
        (&[0xf8], Some(320)),
        (&[], None),
    ] {
        assert_eq!(samples_of(packet), expected, "{packet:x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in whatever order, there is an error or as many samples as the head says.
    #[test]
    fn any_packets_are_decoded_or_refused(
        packets in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..120)), 1..20)
    ) {
        let mut decoder = Decoder::new().expect("decoder");
        let mut out = [0; LONGEST];
        for (toc, rest) in packets {
            let packet = [&[toc][..], &rest].concat();
            if let Ok(n) = decoder.decode(&packet, &mut out) {
                prop_assert_eq!(Some(n), samples_of(&packet));
            }
            decoder.conceal(Some(&packet), &mut out[..320]);
        }
    }
}
