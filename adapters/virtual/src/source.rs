//! What a virtual visitor says.

use std::path::{Path, PathBuf};

use adapter_api::{FRAME_SAMPLES, Frame, SAMPLE_RATE};

/// A sound source of 16 kHz frames, described by a text in configuration or on the command line.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Nothing.
    Silence,
    /// A sine.
    Tone(Oscillator),
    /// Two sines that make a telephone key, 100 ms on and 100 ms off, over and over (ITU-T Q.23).
    Dtmf(Oscillator, Oscillator, usize),
    /// Samples from a WAV file, over and over.
    Samples(std::sync::Arc<[i16]>, usize),
}

/// A sine, half of full scale or less.
#[derive(Clone, Debug, PartialEq)]
pub struct Oscillator {
    phase: f32,
    step: f32,
    amplitude: f32,
}

impl Oscillator {
    #[expect(clippy::cast_precision_loss, reason = "16000 is exact")]
    fn new(hz: f32, amplitude: f32) -> Self {
        Self {
            phase: 0.0,
            step: hz * std::f32::consts::TAU / SAMPLE_RATE as f32,
            amplitude,
        }
    }

    fn next(&mut self) -> f32 {
        self.phase += self.step;
        if self.phase > std::f32::consts::TAU {
            self.phase -= std::f32::consts::TAU;
        }
        self.phase.sin() * self.amplitude
    }
}

/// A source that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A tone outside the band.
    #[error("tone {found:?} is not a frequency; allowed are tone:20 to tone:7900 (Hz)")]
    Tone {
        /// What was found.
        found: String,
    },
    /// Not a key.
    #[error("{found:?} is not a telephone key; allowed is one of 0-9 * # A-D")]
    Key {
        /// What was found.
        found: String,
    },
    /// A WAV file that does not fit.
    #[error("{path}: {text}; a mono or stereo 16 bit WAV of 8, 16, 32 or 48 kHz is wanted")]
    Wav {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
}

impl Source {
    /// Reads `silence`, `tone:HZ`, `dtmf:KEY` or the path of a WAV file (16 bit; 8, 16, 32 or 48 kHz).
    ///
    /// # Errors
    /// [`SourceError`] names what was found and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text == "silence" {
            return Ok(Self::Silence);
        }
        if let Some(hz) = text.strip_prefix("tone:") {
            let value: f32 = hz.parse().unwrap_or(0.0);
            return if (20.0..=7900.0).contains(&value) {
                Ok(Self::Tone(Oscillator::new(value, 12_000.0)))
            } else {
                Err(SourceError::Tone { found: hz.to_owned() })
            };
        }
        if let Some(key) = text.strip_prefix("dtmf:") {
            let (row, column) = key_tones(key).ok_or_else(|| SourceError::Key {
                found: key.to_owned(),
            })?;
            return Ok(Self::Dtmf(
                Oscillator::new(row, 8_000.0),
                Oscillator::new(column, 8_000.0),
                0,
            ));
        }
        wav(Path::new(text)).map(|samples| Self::Samples(samples.into(), 0))
    }

    /// Fills the next frame.
    #[expect(clippy::cast_possible_truncation, reason = "amplitudes stay below 16000")]
    pub fn fill(&mut self, frame: &mut Frame) {
        match self {
            Self::Silence => frame.fill(0),
            Self::Tone(sine) => frame.iter_mut().for_each(|s| *s = sine.next() as i16),
            Self::Dtmf(row, column, at) => {
                for sample in frame.iter_mut() {
                    let on = *at % (2 * 10 * FRAME_SAMPLES) < 10 * FRAME_SAMPLES;
                    *at += 1;
                    let value = row.next() + column.next();
                    *sample = if on { value as i16 } else { 0 };
                }
            }
            Self::Samples(samples, at) => {
                for sample in frame.iter_mut() {
                    *sample = samples.get(*at).copied().unwrap_or(0);
                    *at = if *at + 1 >= samples.len() { 0 } else { *at + 1 };
                }
            }
        }
    }
}

/// Frequencies of a key (ITU-T Q.23).
fn key_tones(key: &str) -> Option<(f32, f32)> {
    let at = "123A456B789C*0#D".find(key).filter(|_| key.len() == 1)?;
    Some((
        [697.0, 770.0, 852.0, 941.0][at / 4],
        [1209.0, 1336.0, 1477.0, 1633.0][at % 4],
    ))
}

/// Longest sound: a file is configuration, not a stream.
const LONGEST_S: u32 = 600;

/// The samples of a file at 16 kHz, its first channel.
fn wav(path: &Path) -> Result<Vec<i16>, SourceError> {
    let fault = |text: String| SourceError::Wav {
        path: path.to_owned(),
        text,
    };
    // a pipe has no end, and opening one waits for whoever writes to it
    if !std::fs::metadata(path)
        .map_err(|e| fault(e.to_string()))?
        .is_file()
    {
        return Err(fault("not a regular file".into()));
    }
    let mut reader = hound::WavReader::open(path).map_err(|e| fault(e.to_string()))?;
    let spec = reader.spec();
    if spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        return Err(fault(format!("{} bits per sample", spec.bits_per_sample)));
    }
    if !matches!(spec.channels, 1 | 2) {
        return Err(fault(format!("{} channels", spec.channels)));
    }
    let rate = spec.sample_rate;
    if !matches!(rate, 8_000 | 16_000 | 32_000 | 48_000) {
        return Err(fault(format!("{rate} samples per second")));
    }
    if reader.duration() > rate * LONGEST_S {
        return Err(fault(format!("longer than {} minutes", LONGEST_S / 60)));
    }
    let samples = reader.samples::<i16>().step_by(usize::from(spec.channels));
    let mut samples = samples.map(|sample| sample.map_err(|e| fault(e.to_string())));
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
    let step = i32::try_from(rate / 16_000).unwrap_or(1);
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
    use super::*;

    #[test]
    fn a_tone_has_its_frequency() {
        let mut source = Source::parse("tone:400").expect("a tone");
        let mut crossings = 0;
        let mut last = 0;
        for _ in 0..100 {
            let mut frame = [0; FRAME_SAMPLES];
            source.fill(&mut frame);
            for s in frame {
                crossings += i32::from(last < 0 && s >= 0);
                last = s;
            }
        }
        assert!((399..=401).contains(&crossings), "{crossings}");
    }

    #[test]
    fn faults_name_what_is_allowed() {
        for (text, part) in [
            ("tone:x", "tone:20"),
            ("dtmf:99", "0-9"),
            ("/nonexistent.wav", "mono"),
        ] {
            let fault = Source::parse(text).expect_err("a fault").to_string();
            assert!(fault.contains(part), "{fault}");
        }
    }

    fn file(dir: &Path, sample_rate: u32, channels: u16, frames: usize) -> String {
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
                let Source::Samples(found, _) =
                    Source::parse(&file(dir.path(), rate, channels, 900)).expect("a source")
                else {
                    panic!("not samples")
                };
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
        let long = file(dir.path(), 8000, 1, 8000 * 601);
        for (path, part) in [
            (pipe.to_str().expect("utf-8"), "not a regular file"),
            ("/dev/zero", "not a regular file"),
            (&file(dir.path(), 16_000, 3, 10), "3 channels"),
            (&long, "longer than 10 minutes"),
        ] {
            let fault = Source::parse(path).expect_err(path).to_string();
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn a_wav_of_8_khz_plays_at_its_pace() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = file(dir.path(), 8000, 1, 800);
        let Source::Samples(samples, _) = Source::parse(&path).expect("a source") else {
            panic!("not samples")
        };
        assert!((1590..=1600).contains(&samples.len()), "{}", samples.len());
        assert_eq!(samples[200], 100);
    }
}
