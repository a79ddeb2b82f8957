//! Sound: what a peer speaks, and how like that is what the other hears.

use std::path::Path;

use anyhow::{Context, ensure};

/// Recorded sound, mono.
#[derive(Clone, Debug)]
pub struct Sound {
    samples: Vec<f64>,
    /// Samples per second: [`NARROW`] or [`WIDE`].
    rate: usize,
}

/// Rate at which sound of the telephone band is compared.
const NARROW: usize = 8000;
/// Rate at which wideband sound is compared.
const WIDE: usize = 16_000;
/// Samples of a window of comparison: 250 ms of the telephone band, 125 ms of wideband.
const WINDOW: usize = 2000;
/// A window that matches so well holds the original.
const ALIKE: f64 = 0.7;
/// So many samples around the place where the window before has ended are looked at first: a sound mostly goes on, and
/// to try all places of it takes a second.
const NEAR: usize = 80;

/// Writes a WAV file of 8 kHz that holds a tone gliding from one frequency to another in 2 s, over and over.
/// No two moments of it are alike, so that a recording of it can be told from any other sound.
///
/// # Errors
/// If the file cannot be written.
pub fn sweep(path: &Path, from_hz: f64, to_hz: f64, seconds: usize) -> anyhow::Result<Sound> {
    glide(path, NARROW, (from_hz, to_hz), seconds)
}

/// Writes a WAV file of 16 kHz in which somebody speaks, a glide as of [`wide_sweep`], for 2 s, and then says nothing for 4 s, in
/// white noise of so many dB below full scale, or none. So many times.
///
/// # Errors
/// If the file cannot be written.
pub fn pausing(
    path: &Path,
    (from_hz, to_hz): (f64, f64),
    noise_db: Option<f64>,
    times: usize,
) -> anyhow::Result<Sound> {
    let speech = wide_sweep(path, from_hz, to_hz, 2)?;
    // evenly spread noise has a third of the power of its amplitude
    let amplitude = noise_db.map_or(0.0, |db| 32_768.0 * 3_f64.sqrt() * 10_f64.powf(-db / 20.0));
    let mut seed = 7_u32;
    let noise: Vec<f64> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed.cast_signed()) / 2_f64.powi(31) * amplitude
    })
    .take(4 * WIDE)
    .collect();
    let once = speech.samples.iter().chain(&noise);
    write(path, WIDE, std::iter::repeat_n(once, times).flatten().copied())?;
    Ok(speech)
}

/// As [`sweep`], at 16 kHz: up to 8000 Hz.
///
/// # Errors
/// As [`sweep`].
pub fn wide_sweep(path: &Path, from_hz: f64, to_hz: f64, seconds: usize) -> anyhow::Result<Sound> {
    glide(path, WIDE, (from_hz, to_hz), seconds)
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn glide(path: &Path, rate: usize, (from_hz, to_hz): (f64, f64), seconds: usize) -> anyhow::Result<Sound> {
    let mut phase = 0.0;
    let length = 2 * rate;
    let period: Vec<f64> = (0..length)
        .map(|n| {
            let hz = (to_hz - from_hz).mul_add(n as f64 / length as f64, from_hz);
            phase += hz * std::f64::consts::TAU / rate as f64;
            phase.sin() * 9000.0
        })
        .collect();
    let samples = std::iter::repeat_n(&period, seconds.div_ceil(2)).flatten();
    write(path, rate, samples.copied())?;
    Ok(Sound {
        samples: period,
        rate,
    })
}

/// The two tones of a key (ITU-T Q.23), Hz.
///
/// # Errors
/// If there is no such key.
pub(crate) fn key_tones(key: char) -> anyhow::Result<(f64, f64)> {
    let at = "123A456B789C*0#D"
        .find(key)
        .with_context(|| format!("no key {key}"))?;
    Ok((
        [697.0, 770.0, 852.0, 941.0][at / 4],
        [1209.0, 1336.0, 1477.0, 1633.0][at % 4],
    ))
}

/// Writes samples of 8 kHz into a WAV file.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn keep(path: &Path, samples: impl Iterator<Item = f64>) -> anyhow::Result<Sound> {
    let samples: Vec<f64> = samples.collect();
    write(path, NARROW, samples.iter().copied())?;
    Ok(Sound {
        samples,
        rate: NARROW,
    })
}

/// Writes a WAV file: silence for half a second, the two tones of a key for 200 ms, and silence for 20 s.
///
/// # Errors
/// If there is no such key, or the file cannot be written.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]
pub(crate) fn tone_key(path: &Path, key: char) -> anyhow::Result<()> {
    let (low, high) = key_tones(key)?;
    let tone = (0..NARROW / 5).map(|n| {
        let turns = n as f64 / NARROW as f64 * std::f64::consts::TAU;
        ((turns * low).sin() + (turns * high).sin()) * 6000.0
    });
    let silence = |seconds: f64| std::iter::repeat_n(0.0, (seconds * NARROW as f64) as usize);
    write(path, NARROW, silence(0.5).chain(tone).chain(silence(20.0)))
}

#[expect(clippy::cast_possible_truncation, reason = "16 bits a sample")]
fn write(path: &Path, rate: usize, samples: impl Iterator<Item = f64>) -> anyhow::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample(sample as i16)?;
    }
    Ok(writer.finalize()?)
}

impl Sound {
    /// Reads a 16 bit WAV of 8 kHz or a multiple of it, as sound of 8 kHz. A file that is still being written has no
    /// lengths in its head: everything behind the head is taken.
    ///
    /// # Errors
    /// If it is not such a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Self::load(path, NARROW)
    }

    /// As [`read`](Self::read), as sound of 16 kHz.
    ///
    /// # Errors
    /// As [`read`](Self::read); if the file has fewer samples per second.
    pub fn read_wide(path: &Path) -> anyhow::Result<Self> {
        Self::load(path, WIDE)
    }

    fn load(path: &Path, rate: usize) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("no recording {}", path.display()))?;
        ensure!(
            bytes.len() > 44 && bytes.starts_with(b"RIFF"),
            "{} holds no sound",
            path.display()
        );
        let field = |at: usize, width: usize| {
            let bytes = bytes.get(at..at + width).unwrap_or_default();
            bytes.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b))
        };
        let (channels, recorded) = (field(22, 2), field(24, 4));
        ensure!(
            channels > 0 && recorded >= rate && recorded.is_multiple_of(rate),
            "{}: {recorded} samples per second, {channels} channels",
            path.display()
        );
        let start = bytes
            .windows(4)
            .position(|w| w == b"data")
            .context("no data in the WAV")?
            + 8;
        let all: Vec<f64> = bytes[start..]
            .chunks_exact(2)
            .map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])))
            .collect();
        // of all channels and of neighbours in time the mean
        let group = channels * (recorded / rate);
        let mean =
            |group: &[f64]| group.iter().sum::<f64>() / f64::from(u32::try_from(group.len()).unwrap_or(1));
        Ok(Self {
            samples: all.chunks_exact(group).map(mean).collect(),
            rate,
        })
    }

    /// It as PCMU (ITU-T G.711), a byte each sample.
    #[expect(clippy::cast_possible_truncation, reason = "16 bits a sample")]
    pub(crate) fn pcmu(&self) -> Vec<u8> {
        self.samples.iter().map(|s| pcmu(*s as i16)).collect()
    }

    /// Length in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds of sound")]
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / self.rate as f64
    }

    /// The last seconds of it.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of sound"
    )]
    pub fn last(&self, seconds: f64) -> Self {
        let keep = (seconds * self.rate as f64) as usize;
        self.piece(&self.samples[self.samples.len().saturating_sub(keep)..])
    }

    fn piece(&self, samples: &[f64]) -> Self {
        Self {
            samples: samples.to_vec(),
            rate: self.rate,
        }
    }

    /// Level: root mean square in dB below full scale.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds of sound")]
    pub fn level_dbfs(&self) -> f64 {
        let energy: f64 = self.samples.iter().map(|s| s * s).sum::<f64>() / self.samples.len().max(1) as f64;
        20.0 * (energy.sqrt().max(1e-3) / 32768.0).log10()
    }

    /// Share of the energy at one frequency, 0 to 1 (Goertzel).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds of sound")]
    pub fn share(&self, hz: f64) -> f64 {
        let (mut one, mut two) = (0.0, 0.0);
        let factor = 2.0 * (hz * std::f64::consts::TAU / self.rate as f64).cos();
        for sample in &self.samples {
            (one, two) = (factor.mul_add(one, sample - two), one);
        }
        let power = (factor * one).mul_add(-two, one.mul_add(one, two * two));
        let energy: f64 = self.samples.iter().map(|s| s * s).sum();
        if energy <= 0.0 {
            0.0
        } else {
            2.0 * power / (self.samples.len() as f64 * energy)
        }
    }

    /// The keys that are pressed in it as two tones (ITU-T Q.23): each that fills 40 ms, once until something else is heard.
    #[must_use]
    pub fn keys(&self) -> String {
        const KEYS: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
        let loudest = |piece: &Self, all: [f64; 4]| {
            let shares = all.map(|hz| piece.share(hz));
            (0..4).find(|n| shares[*n] > 0.25)
        };
        let (mut heard, mut last) = (String::new(), (None, 0));
        for piece in self
            .samples
            .chunks_exact(self.rate / 50)
            .map(|samples| self.piece(samples))
        {
            let row = loudest(&piece, [697.0, 770.0, 852.0, 941.0]);
            let column = loudest(&piece, [1209.0, 1336.0, 1477.0, 1633.0]);
            let key = row
                .zip(column)
                .and_then(|(row, column)| KEYS[row].chars().nth(column));
            let key = key.filter(|_| piece.level_dbfs() > -40.0);
            last = if key == last.0 {
                (key, last.1 + 1)
            } else {
                (key, 1)
            };
            if last.1 == 2 {
                heard.extend(key);
            }
        }
        heard
    }

    /// The largest [`share`](Self::share) of one frequency among pieces of 100 ms: short tones are in one of them.
    #[must_use]
    pub fn tone(&self, hz: f64) -> f64 {
        let pieces = self
            .samples
            .chunks_exact(self.rate / 10)
            .map(|piece| self.piece(piece));
        // digital silence has a share of anything
        let heard = pieces.filter(|piece| piece.level_dbfs() > -50.0);
        heard.map(|piece| piece.share(hz)).fold(0.0, f64::max)
    }

    /// Correlation with a sound that repeats itself, 0 to 1: of each window (250 ms, of wideband sound 125 ms) the best
    /// match at any place of the original, and of those the median.
    #[must_use]
    pub fn likeness(&self, original: &Self) -> f64 {
        let mut best = self.matches(original);
        best.sort_by(f64::total_cmp);
        best.get(best.len() / 2).copied().unwrap_or(0.0)
    }

    /// How much of it, 0 to 1, is like a sound that repeats itself: the share of windows with a match over 0.7. Of a glide
    /// that a codec cuts off in the middle, that is how much the codec lets pass.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few windows")]
    pub fn shared_with(&self, original: &Self) -> f64 {
        let best = self.matches(original);
        best.iter().filter(|m| **m > ALIKE).count() as f64 / best.len().max(1) as f64
    }

    fn matches(&self, original: &Self) -> Vec<f64> {
        let mut twice = original.samples.clone();
        twice.extend(&original.samples);
        let length = original.samples.len();
        let mut next = None;
        let mut best = |window: &[f64]| {
            let mut near = (0.0, 0);
            if let Some(at) = next {
                near = peak(
                    window,
                    &twice,
                    (at + length - NEAR..=at + length + NEAR).map(|at| at % length),
                );
            }
            let (likeness, at) = if near.0 > ALIKE {
                near
            } else {
                peak(window, &twice, 0..length)
            };
            next = Some((at + WINDOW) % length);
            likeness
        };
        self.samples.chunks_exact(WINDOW).map(&mut best).collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "three bits of exponent, four of mantissa"
)]
fn pcmu(sample: i16) -> u8 {
    let size = u32::from(sample.unsigned_abs()).min(32_635) + 132;
    let exponent = 24 - size.leading_zeros();
    let mantissa = (size >> (exponent + 3)) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (exponent << 4 | mantissa) as u8)
}

/// Highest normalised correlation of a window with the stretches of `original` that begin at some places, and where.
fn peak(window: &[f64], original: &[f64], places: impl Iterator<Item = usize>) -> (f64, usize) {
    let energy: f64 = window.iter().map(|s| s * s).sum();
    if energy < 1.0 {
        return (0.0, 0);
    }
    let likeness = |at: usize| {
        let stretch = &original[at..at + window.len()];
        let (mut product, mut other) = (0.0, 0.0);
        for (a, b) in window.iter().zip(stretch) {
            product += a * b;
            other += b * b;
        }
        (product / (energy * other).sqrt().max(1.0), at)
    };
    places
        .map(likeness)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|best| best.0 > 0.0)
        .unwrap_or((0.0, 0))
}
