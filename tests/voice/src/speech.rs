//! Recorded speech: `tests/voice/speech`, 16 kHz, spoken by espeak-ng.

use std::path::Path;

use anyhow::{Context as _, ensure};

/// Samples per second of the recordings.
pub const RATE: u32 = 16_000;

/// Who speaks.
pub const VOICES: [&str; 6] = ["en", "de", "fr", "ru", "es", "us"];

/// Reads a recording; samples of ±1.
///
/// # Errors
/// Why the file is none.
pub fn read(path: &Path) -> anyhow::Result<Vec<f32>> {
    let mut reader =
        hound::WavReader::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let spec = reader.spec();
    ensure!(
        spec.channels == 1 && spec.sample_rate == RATE && spec.bits_per_sample == 16,
        "{} has {} channels of {} bits at {} Hz; allowed: 1, 16, {RATE}",
        path.display(),
        spec.channels,
        spec.bits_per_sample,
        spec.sample_rate,
    );
    let samples = reader.samples::<i16>().map(|s| Ok(f32::from(s?) / 32_768.0));
    samples.collect()
}

/// One of [`VOICES`].
///
/// # Errors
/// Why its file cannot be read.
pub fn voice(name: &str) -> anyhow::Result<Vec<f32>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("speech");
    read(&folder.join(format!("{name}.wav")))
}

/// Mean level while somebody speaks, in dB below full scale: of 10 ms frames within 25 dB of the loudest.
#[must_use]
pub fn level(samples: &[f32]) -> f32 {
    let powers: Vec<f32> = samples
        .chunks(160)
        .map(|c| c.iter().map(|s| s * s).sum::<f32>() / c.len() as f32)
        .collect();
    let most = powers.iter().fold(0.0_f32, |a, b| a.max(*b));
    let active: Vec<f32> = powers.into_iter().filter(|p| *p > most / 316.0).collect();
    10.0 * (active.iter().sum::<f32>() / active.len().max(1) as f32 + 1e-12).log10()
}

/// The same speech at a level in dB, limited as samples of 16 bits are.
#[must_use]
pub fn at_level(samples: &[f32], db: f32) -> Vec<f32> {
    let gain = 10_f32.powf((db - level(samples)) / 20.0);
    samples.iter().map(|s| (s * gain).clamp(-1.0, 0.999_97)).collect()
}

/// The same speech at half the rate.
#[must_use]
pub fn halved(samples: &[f32]) -> Vec<f32> {
    // a windowed sinc of 63 taps, -6 dB at 3.6 kHz
    let taps: Vec<f32> = (-31..=31)
        .map(|n: i32| {
            let x = std::f32::consts::PI * n as f32;
            let sinc = if n == 0 { 0.45 } else { (0.45 * x).sin() / x };
            sinc * (0.5 + 0.5 * (x / 32.0).cos())
        })
        .collect();
    let low = crate::convolve::convolve(samples, &taps);
    low.into_iter().step_by(2).collect()
}
