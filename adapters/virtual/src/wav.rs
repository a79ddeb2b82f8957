//! Sounds of WAV files (RIFF WAVE, PCM), as 16 kHz.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use adapter_api::SAMPLE_RATE;

use crate::rate;

/// Rates that are read, samples per second.
const RATES: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// What is read, in words.
pub(crate) const ALLOWED: &str =
    "mono or stereo 16 bit WAV of 8, 11.025, 16, 22.05, 24, 32, 44.1 or 48 kHz, at most 10 minutes long";
/// Longest sound: a file is configuration, not a stream.
const LONGEST_S: u32 = 600;

/// The samples of a file at 16 kHz, its first channel.
pub(crate) fn file(path: &Path) -> Result<Vec<i16>, String> {
    // a pipe has no end, and opening one waits for whoever writes to it
    if !std::fs::metadata(path).map_err(|e| e.to_string())?.is_file() {
        return Err("not a regular file".into());
    }
    samples(hound::WavReader::open(path).map_err(|e| e.to_string())?)
}

/// A file that holds no sound that can be played.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {text}; wanted is a {ALLOWED}", path = .path.display())]
pub struct WavError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub text: String,
}

/// The samples of a WAV file at 16 kHz, its first channel.
///
/// # Errors
/// [`WavError`] names the file, what is wrong with it and what is allowed.
pub fn wav_file(path: &Path) -> Result<Vec<i16>, WavError> {
    file(path).map_err(|text| WavError {
        path: path.to_owned(),
        text,
    })
}

/// The samples of a whole WAV file at 16 kHz, its first channel. A program that writes to a pipe does not know how long
/// its sound will be and says any length: what is there counts.
///
/// # Errors
/// What is wrong with it, in words.
pub fn wav_samples(mut bytes: Vec<u8>) -> Result<Vec<i16>, String> {
    mend_length(&mut bytes);
    samples(hound::WavReader::new(Cursor::new(bytes)).map_err(|e| e.to_string())?)
}

/// Writes the length that there is over one that goes beyond the end.
fn mend_length(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*four)).ok()
    };
    if !bytes.starts_with(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return;
    }
    // name, length, content; an odd one is filled up (Multimedia Programming Interface 1.0, "RIFF")
    let mut at = 12_usize;
    while let Some(length) = word(bytes, at + 4) {
        let begin = at + 8;
        let there = bytes.len() - begin;
        if bytes[at..].starts_with(b"data") && length > there {
            // whole samples of up to four channels
            let whole = u32::try_from(there & !7).unwrap_or(0).to_le_bytes();
            bytes[at + 4..begin].copy_from_slice(&whole);
            return;
        }
        let Some(next) = begin.checked_add(length + length % 2) else {
            return;
        };
        if next > bytes.len() {
            return;
        }
        at = next;
    }
}

fn samples<R: Read>(mut reader: hound::WavReader<R>) -> Result<Vec<i16>, String> {
    let spec = reader.spec();
    if spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        return Err(format!("{} bits per sample", spec.bits_per_sample));
    }
    if !matches!(spec.channels, 1 | 2) {
        return Err(format!("{} channels", spec.channels));
    }
    let rate = spec.sample_rate;
    if !RATES.contains(&rate) {
        return Err(format!("{rate} samples per second"));
    }
    if reader.duration() > rate * LONGEST_S {
        return Err(format!("longer than {} minutes", LONGEST_S / 60));
    }
    let samples = reader.samples::<i16>().step_by(usize::from(spec.channels));
    let mut samples = samples.map(|sample| sample.map_err(|e| e.to_string()));
    let mut sound = Vec::new();
    if rate == 8_000 {
        let mut before = None;
        for sample in samples {
            let sample = sample?;
            if let Some(before) = before.replace(sample) {
                sound.extend([before, i16::midpoint(before, sample)]);
            }
        }
        return Ok(sound);
    }
    if !rate.is_multiple_of(SAMPLE_RATE) {
        let all: Vec<i16> = samples.collect::<Result<_, _>>()?;
        return Ok(rate::to_line_rate(&all, rate));
    }
    let step = i32::try_from(rate / SAMPLE_RATE).unwrap_or(1);
    let (mut sum, mut count) = (0, 0);
    loop {
        let sample = samples.next().transpose()?;
        if count == step || sample.is_none() && count > 0 {
            sound.push(i16::try_from(sum / count).unwrap_or(0));
            (sum, count) = (0, 0);
        }
        let Some(sample) = sample else { return Ok(sound) };
        (sum, count) = (sum + i32::from(sample), count + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str) -> Result<Vec<i16>, String> {
        file(Path::new(path))
    }

    fn written(dir: &Path, sample_rate: u32, channels: u16, frames: usize) -> String {
        let path = dir.join(format!("{sample_rate}-{channels}.wav"));
        let spec = hound::WavSpec {
            channels,
            sample_rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).expect("a file");
        for sample in (0..frames).flat_map(|n| (0..channels).map(move |c| (n, c))) {
            // the first channel counts up, the others are loud
            let (n, c) = sample;
            let sample = if c == 0 {
                i16::try_from(n % 1000).expect("small")
            } else {
                30_000
            };
            writer.write_sample(sample).expect("a sample");
        }
        writer.finalize().expect("a file");
        path.to_str().expect("utf-8").to_owned()
    }

    #[test]
    fn each_rate_becomes_16_khz_of_the_first_channel() {
        let dir = tempfile::tempdir().expect("a folder");
        for (rate, samples) in [(16_000, 900), (32_000, 450), (48_000, 300)] {
            for channels in [1, 2] {
                let found = read(&written(dir.path(), rate, channels, 900)).expect("a sound");
                assert_eq!(found.len(), samples, "{rate} Hz, {channels} channels");
                let step = rate as usize / 16_000;
                assert_eq!(
                    usize::try_from(found[100]).expect("positive"),
                    100 * step + (step - 1) / 2
                );
            }
        }
    }

    #[test]
    fn a_pipe_and_a_sound_of_many_channels_or_minutes_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        let long = written(dir.path(), 8000, 1, 8000 * 601);
        for (path, part) in [
            (pipe.to_str().expect("utf-8"), "not a regular file"),
            ("/dev/zero", "not a regular file"),
            (&written(dir.path(), 16_000, 3, 10), "3 channels"),
            (&long, "longer than 10 minutes"),
        ] {
            let fault = read(path).expect_err(path);
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn a_wav_of_8_khz_plays_at_its_pace() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = written(dir.path(), 8000, 1, 800);
        let samples = read(&path).expect("a sound");
        assert!((1590..=1600).contains(&samples.len()), "{}", samples.len());
        assert_eq!(samples[200], 100);
    }

    #[test]
    fn a_recording_of_a_music_program_plays_at_its_pace() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = written(dir.path(), 44_100, 2, 4410);
        let samples = read(&path).expect("a sound");
        assert_eq!(samples.len(), 1600);
        let fault = read(&written(dir.path(), 12_345, 1, 10)).expect_err("no usual rate");
        assert_eq!(fault, "12345 samples per second");
    }

    #[test]
    fn a_length_that_a_pipe_could_not_know_is_that_of_what_came() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut bytes = std::fs::read(written(dir.path(), 16_000, 1, 800)).expect("a file");
        let whole = wav_samples(bytes.clone()).expect("a sound");
        assert_eq!(whole.len(), 800);
        let data = bytes
            .windows(4)
            .position(|four| four == b"data")
            .expect("it is there");
        bytes[4..8].copy_from_slice(&0x7fff_f024_u32.to_le_bytes());
        bytes[data + 4..data + 8].copy_from_slice(&0x7fff_f000_u32.to_le_bytes());
        assert_eq!(wav_samples(bytes.clone()), Ok(whole.clone()));
        // cut in the middle of a sample
        bytes.truncate(data + 8 + 401);
        assert_eq!(wav_samples(bytes), Ok(whole[..200].to_vec()));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(
            head in proptest::collection::vec(any::<u8>(), 0..64),
            length in any::<u32>(),
            name in prop_oneof![Just(*b"data"), Just(*b"fmt "), Just(*b"LIST"), any::<[u8; 4]>()],
            tail in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = wav_samples(head.clone());
            let format = [1u16, 1].map(u16::to_le_bytes).concat();
            let rates = [22_050u32, 44_100].map(u32::to_le_bytes).concat();
            let widths = [2u16, 16].map(u16::to_le_bytes).concat();
            let format = [&b"fmt "[..], &16u32.to_le_bytes(), &format, &rates, &widths].concat();
            let bytes = [&b"RIFF\xff\xff\xff\x7fWAVE"[..], &format, &name, &length.to_le_bytes(), &tail].concat();
            if let Ok(found) = wav_samples(bytes) {
                prop_assert!(found.len() <= tail.len());
            }
        }
    }
}
