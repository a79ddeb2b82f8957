use proptest::prelude::*;

use super::*;
use crate::codec;
use crate::codec::resample::{Down, NARROW, Up};
use crate::sdp::{AudioCodec, OpusFormat};

const KEYS: &str = "123A456B789C*0#D";

/// Twist in dB, and how much both frequencies are off.
const ALLOWED: [(f64, f64); 7] = [
    (-8.0, 1.0),
    (0.0, 1.0),
    (4.0, 1.0),
    (-5.0, 0.985),
    (4.0, 0.985),
    (-5.0, 1.015),
    (4.0, 1.015),
];

/// Samples of so many milliseconds.
const fn ms(n: usize) -> usize {
    n * SAMPLE_RATE as usize / 1_000
}

/// Two sines, `amplitude` each, in dB by which the column is stronger, at frequencies that are off.
fn tone(key: char, amplitude: f64, twist_db: f64, off: f64, samples: usize) -> Vec<i16> {
    let (row, column) = place(key).expect("a key");
    let column_amplitude = amplitude * 10f64.powf(twist_db / 20.0);
    (0..samples)
        .map(|n| {
            let w = std::f64::consts::TAU * n as f64 / f64::from(SAMPLE_RATE);
            let low = (w * f64::from(TONES[row]) * off).sin() * amplitude;
            let high = (w * f64::from(TONES[4 + column]) * off).sin() * column_amplitude;
            (low + high) as i16
        })
        .collect()
}

fn silence(samples: usize) -> Vec<i16> {
    vec![0; samples]
}

/// What is pressed in this.
fn pressed(samples: &[i16]) -> String {
    let mut receiver = ToneReceiver::default();
    let frames = samples.as_chunks::<FRAME_SAMPLES>().0.iter();
    frames.filter_map(|frame| receiver.process(frame)).collect()
}

/// A press of so many samples, after a while and so many samples more.
fn press(tone: &[i16], later: usize) -> Vec<i16> {
    [silence(ms(100) + later), tone.to_vec(), silence(ms(100))].concat()
}

#[test]
fn every_key_counts_once_loud_and_quiet_uneven_and_off_its_frequencies() {
    for key in KEYS.chars() {
        for amplitude in [600.0, 3_000.0, 12_000.0] {
            for (twist, off) in ALLOWED {
                let heard = press(&tone(key, amplitude * 0.7, twist, off, ms(100)), 37);
                assert_eq!(pressed(&heard), key.to_string(), "{amplitude} {twist} dB x{off}");
            }
        }
    }
}

#[test]
fn tones_of_50_ms_count_wherever_they_begin_and_shorter_than_34_never() {
    for later in (0..FRAME_SAMPLES).step_by(8) {
        for (length, counts) in [(33, ""), (50, "9"), (2_000, "9")] {
            let heard = press(&tone('9', 4_000.0, 0.0, 1.0, ms(length)), later);
            assert_eq!(pressed(&heard), counts, "{length} ms, {later} samples later");
        }
    }
}

#[test]
fn a_pause_of_40_ms_parts_two_presses_and_a_gap_of_10_does_not() {
    let long = tone('9', 4_000.0, 0.0, 1.0, ms(80));
    for later in (0..FRAME_SAMPLES).step_by(8) {
        for (gap, counts) in [(10, "9"), (40, "99")] {
            let two = [long.clone(), silence(ms(gap)), long.clone()].concat();
            assert_eq!(
                pressed(&press(&two, later)),
                counts,
                "{gap} ms, {later} samples later"
            );
        }
    }
}

#[test]
fn frequencies_that_are_too_far_off_uneven_tones_and_whispers_are_no_key() {
    for (amplitude, twist, off) in [
        (4_000.0, 0.0, 0.96),
        (4_000.0, 0.0, 1.04),
        (4_000.0, 9.0, 1.0),
        (4_000.0, -12.0, 1.0),
        (60.0, 0.0, 1.0),
    ] {
        let heard = press(&tone('9', amplitude, twist, off, ms(200)), 0);
        assert_eq!(pressed(&heard), "", "{amplitude} {twist} dB x{off}");
    }
}

#[test]
fn a_tone_from_before_anybody_listened_is_no_press() {
    let held = [tone('9', 4_000.0, 0.0, 1.0, ms(300)), silence(ms(100))].concat();
    assert_eq!(pressed(&held), "");
    let again = [held, tone('9', 4_000.0, 0.0, 1.0, ms(100)), silence(ms(100))].concat();
    assert_eq!(pressed(&again), "9");
}

#[test]
fn keys_come_through_every_codec() {
    for codec in [
        AudioCodec::Pcma,
        AudioCodec::Pcmu,
        AudioCodec::G722,
        AudioCodec::Opus,
    ] {
        for key in KEYS.chars() {
            let heard = through(codec, &press(&tone(key, 4_000.0, 0.0, 1.0, ms(100)), 0));
            assert_eq!(pressed(&heard), key.to_string(), "{codec:?}");
        }
    }
}

/// What comes out of a codec at 16 kHz.
fn through(codec: AudioCodec, samples: &[i16]) -> Vec<i16> {
    let mut encoder = codec::encoder(codec, &OpusFormat::default()).expect("an encoder");
    let mut decoder = codec::decoder(codec).expect("a decoder");
    let narrow = encoder.sample_rate() == 8_000;
    let mut out = vec![];
    let (mut down, mut up) = (Down::default(), Up::default());
    for packet in samples.as_chunks::<{ 2 * FRAME_SAMPLES }>().0 {
        let mut said: Vec<i16> = vec![];
        for frame in packet.as_chunks::<FRAME_SAMPLES>().0 {
            let mut half = [0; NARROW];
            down.process(frame, &mut half);
            if narrow {
                said.extend(half);
            } else {
                said.extend(frame);
            }
        }
        let mut bytes = vec![];
        encoder.encode(&said, &mut bytes).expect("encoded");
        let mut room = [0; 8 * FRAME_SAMPLES];
        let count = decoder.decode(&bytes, &mut room).expect("decoded");
        if narrow {
            for half in room[..count].as_chunks::<NARROW>().0 {
                let mut frame = [0; FRAME_SAMPLES];
                up.process(half, &mut frame);
                out.extend(frame);
            }
        } else {
            out.extend(&room[..count]);
        }
    }
    out
}

#[test]
fn noise_and_music_like_chords_press_nothing() {
    let chords = [
        [262.0, 330.0, 392.0],
        [440.0, 554.0, 659.0],
        [698.0, 880.0, 1_209.0],
        [941.0, 1_175.0, 1_480.0],
    ];
    let mut music = vec![];
    for chord in chords.into_iter().cycle().take(40) {
        music.extend((0..ms(250)).map(|n| {
            let w = std::f64::consts::TAU * n as f64 / f64::from(SAMPLE_RATE);
            chord.iter().map(|hz: &f64| (w * hz).sin() * 4_000.0).sum::<f64>() as i16
        }));
    }
    assert_eq!(pressed(&music), "");
}

proptest! {
    /// Whatever comes, at any level: no panic, and noise is no key.
    #[test]
    fn noise_is_no_key(samples in proptest::collection::vec(any::<i16>(), 0..16_000), shift in 0u32..8) {
        let samples: Vec<i16> = samples.into_iter().map(|s| s >> shift).collect();
        prop_assert_eq!(pressed(&samples), "");
    }
}
