//! What a virtual visitor says.

use std::path::{Path, PathBuf};

use adapter_api::{FRAME_SAMPLES, Frame, SAMPLE_RATE};

use crate::wav::{self, ALLOWED};

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
    /// Sine and cosine of the phase, times the amplitude.
    at: [f64; 2],
    /// Sine and cosine of what the phase moves on with each sample.
    step: [f64; 2],
}

impl Oscillator {
    fn new(hz: f32, amplitude: f64) -> Self {
        let (sine, cosine) = (f64::from(hz) * std::f64::consts::TAU / f64::from(SAMPLE_RATE)).sin_cos();
        Self {
            at: [0.0, amplitude],
            step: [sine, cosine],
        }
    }

    /// Turns on by one step; a day of it is off by less than one part in a million.
    fn next(&mut self) -> f64 {
        let ([sine, cosine], [by_sine, by_cosine]) = (self.at, self.step);
        self.at = [
            sine * by_cosine + cosine * by_sine,
            cosine * by_cosine - sine * by_sine,
        ];
        self.at[0]
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
    #[error("{path}: {text}; wanted is a {ALLOWED}")]
    Wav {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
}

impl Source {
    /// Reads `silence`, `tone:HZ`, `dtmf:KEY` or the path of a WAV file (16 bit; 8 to 48 kHz).
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
        let path = Path::new(text);
        let samples = wav::file(path).map_err(|text| SourceError::Wav {
            path: path.to_owned(),
            text,
        })?;
        Ok(Self::Samples(samples.into(), 0))
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
}
