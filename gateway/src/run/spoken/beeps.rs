//! Beeps: an IPv4 address, and rows of tones.
//!
//! A digit is that many beeps of 800 Hz, ten for 0, and a dot is one long tone of 400 Hz. No two frequencies
//! sound at once, so that nobody takes it for a telephone key.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::SAMPLE_RATE;

/// About -10 dBm0.
const AMPLITUDE: f32 = 9_000.0;
/// Rise and fall of a beep, in samples.
const RAMP: usize = 80;
const DIGIT: (f32, Duration) = (800.0, Duration::from_millis(150));
const DOT: (f32, Duration) = (400.0, Duration::from_millis(700));
/// Between two beeps of a digit.
const BETWEEN: Duration = Duration::from_millis(150);
/// After a digit or a dot.
const AFTER: Duration = Duration::from_millis(600);

/// Tones one after the other, each with its Hz (0 is silence) and time, as 16 kHz samples.
pub(crate) fn row(beeps: impl IntoIterator<Item = (u16, Duration)>) -> Arc<[i16]> {
    let mut samples = Vec::new();
    for (hz, time) in beeps {
        match hz {
            0 => silence(&mut samples, time),
            hz => tone(&mut samples, (f32::from(hz), time)),
        }
    }
    samples.into()
}

/// The address as 16 kHz samples, beeped.
pub(super) fn beeped(address: Ipv4Addr) -> Arc<[i16]> {
    let mut samples = Vec::new();
    for letter in address.to_string().chars() {
        match letter.to_digit(10) {
            Some(digit) => {
                let times = if digit == 0 { 10 } else { digit };
                for _ in 0..times {
                    tone(&mut samples, DIGIT);
                    silence(&mut samples, BETWEEN);
                }
            }
            None => tone(&mut samples, DOT),
        }
        silence(&mut samples, AFTER);
    }
    samples.into()
}

fn count(time: Duration) -> usize {
    usize::try_from(time.as_millis() * u128::from(SAMPLE_RATE) / 1000).unwrap_or(0)
}

fn silence(samples: &mut Vec<i16>, time: Duration) {
    samples.resize(samples.len() + count(time), 0);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the amplitude fits, and a beep has some thousand samples"
)]
fn tone(samples: &mut Vec<i16>, (hz, time): (f32, Duration)) {
    let all = count(time);
    for n in 0..all {
        let edge = n.min(all - 1 - n).min(RAMP) as f32 / RAMP as f32;
        let turn = (n as f32 * hz / SAMPLE_RATE as f32).fract() * std::f32::consts::TAU;
        samples.push((AMPLITUDE * edge * turn.sin()) as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::spoken::length;

    /// Reads beeps as somebody who listens: runs of sound by their length, digits by the pauses between them.
    fn heard(samples: &[i16]) -> String {
        let frames: Vec<bool> = samples
            .chunks(160)
            .map(|frame| frame.iter().any(|s| s.unsigned_abs() > 2_000))
            .collect();
        let (mut text, mut beeps) = (String::new(), 0);
        for run in frames.chunk_by(|a, b| a == b) {
            match (run[0], run.len()) {
                (true, 50..) => text.push('.'),
                (true, _) => beeps += 1,
                (false, 40..) if beeps > 0 => {
                    text += &(beeps % 10).to_string();
                    beeps = 0;
                }
                (false, _) => {}
            }
        }
        text
    }

    #[test]
    fn an_address_is_beeped_as_it_is_written() {
        for text in ["192.0.2.10", "10.200.30.7", "203.0.113.99"] {
            let samples = beeped(text.parse().expect("an address"));
            assert_eq!(heard(&samples), text);
            assert!(
                length(&samples) < Duration::from_secs(60),
                "{:?}",
                length(&samples)
            );
        }
    }

    #[test]
    fn a_row_of_tones_sounds_as_it_is_written() {
        let ms = Duration::from_millis;
        let samples = row([(800, ms(200)), (0, ms(100)), (400, ms(300))]);
        assert_eq!(length(&samples), ms(600));
        let loud = |from: usize, to: usize| {
            let piece = &samples[from * 16..to * 16];
            // a sine crosses zero twice in a turn
            let crossings = piece.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
            (piece.iter().any(|s| s.unsigned_abs() > 8_000), crossings)
        };
        assert_eq!(loud(210, 290), (false, 0));
        let (heard, crossings) = loud(50, 150);
        assert!(heard && crossings.abs_diff(160) <= 2, "{crossings}");
        let (heard, crossings) = loud(400, 500);
        assert!(heard && crossings.abs_diff(80) <= 2, "{crossings}");
    }
}
