//! An IPv4 address for the ear: by sounds of the operator, or beeped.
//!
//! Beeped, a digit is that many beeps of 800 Hz, ten for 0, and a dot is one long tone of 400 Hz. No two frequencies
//! sound at once, so that nobody takes it for a telephone key.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapter_api::SAMPLE_RATE;
use adapter_virtual::{Source, SourceError};

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

/// The sounds that a folder has to have.
pub(crate) fn sounds(folder: &Path) -> Vec<PathBuf> {
    let names = "0123456789.".chars();
    names.map(|letter| sound(folder, letter)).collect()
}

fn sound(folder: &Path, letter: char) -> PathBuf {
    match letter {
        '.' => folder.join("dot.wav"),
        digit => folder.join(format!("{digit}.wav")),
    }
}

/// The address as 16 kHz samples, by the sounds of a folder.
pub(crate) fn spoken(address: Ipv4Addr, folder: &Path) -> Result<Arc<[i16]>, SourceError> {
    let mut samples = Vec::new();
    for letter in address.to_string().chars() {
        if let Source::Samples(found, _) = Source::parse(&sound(folder, letter).to_string_lossy())? {
            samples.extend_from_slice(&found);
        }
    }
    Ok(samples.into())
}

/// The address as 16 kHz samples, beeped.
pub(crate) fn beeped(address: Ipv4Addr) -> Arc<[i16]> {
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

/// How long samples sound.
pub(crate) fn length(samples: &[i16]) -> Duration {
    Duration::from_millis(samples.len() as u64 * 1000 / u64::from(SAMPLE_RATE))
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

    /// One sample of 16 bit at 16 kHz, mono (RIFF WAVE, PCM).
    fn wav(sample: i16) -> Vec<u8> {
        let format = [1u16.to_le_bytes(), 1u16.to_le_bytes()].concat();
        let rates = [16_000u32.to_le_bytes(), 32_000u32.to_le_bytes()].concat();
        let widths = [2u16.to_le_bytes(), 16u16.to_le_bytes()].concat();
        let head = [&b"WAVEfmt "[..], &16u32.to_le_bytes(), &format, &rates, &widths].concat();
        let data = [&b"data"[..], &2u32.to_le_bytes(), &sample.to_le_bytes()].concat();
        let length = u32::try_from(head.len() + data.len()).expect("short");
        [&b"RIFF"[..], &length.to_le_bytes(), &head, &data].concat()
    }

    #[test]
    fn a_folder_of_sounds_is_played_in_order_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        for (n, path) in (1i16..).zip(sounds(dir.path())) {
            std::fs::write(path, wav(n)).expect("a file");
        }
        let address = "192.0.2.10".parse().expect("an address");
        let samples = spoken(address, dir.path()).expect("all are there");
        assert_eq!(samples.to_vec(), [2, 10, 3, 11, 1, 11, 3, 11, 2, 1]);
        std::fs::remove_file(dir.path().join("dot.wav")).expect("removed");
        let error = spoken(address, dir.path())
            .expect_err("one is missing")
            .to_string();
        assert!(error.contains("dot.wav"), "{error}");
    }
}
