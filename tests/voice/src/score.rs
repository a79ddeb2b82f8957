//! Scores of what comes out.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// Power in dB below full scale.
#[must_use]
pub fn power(samples: &[f32]) -> f32 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (10.0 * (sum / samples.len().max(1) as f64 + 1e-13).log10()) as f32
}

/// Echo return loss enhancement in dB: what came back of the far voice, beside what is left.
#[must_use]
pub fn erle(echo: &[f32], left: &[f32]) -> f32 {
    power(echo) - power(left)
}

/// Samples of a block of [`loss`]: 32 ms at 16 kHz.
const BLOCK: usize = 512;
/// Bins that are looked at together.
const BAND: usize = 8;

/// How much weaker a voice is in `out`, in dB, whatever else is in it: in each band the part of the output that goes with
/// the voice, weighted by the voice's power.
#[must_use]
pub fn loss(voice: &[f32], out: &[f32]) -> f32 {
    let forward = RealFftPlanner::<f64>::new().plan_fft_forward(BLOCK);
    let spectrum = |samples: &[f32]| {
        let mut time: Vec<f64> = samples
            .iter()
            .enumerate()
            .map(|(n, s)| {
                let angle = std::f64::consts::TAU * (n as f64 + 0.5) / BLOCK as f64;
                f64::from(*s) * (0.5 - 0.5 * angle.cos())
            })
            .collect();
        let mut bins = forward.make_output_vec();
        // lengths are those of the plan
        let _ = forward.process(&mut time, &mut bins);
        bins
    };
    let bands = BLOCK / 2 / BAND;
    let mut cross = vec![Complex::<f64>::default(); bands];
    let mut own = vec![1e-20; bands];
    let blocks = voice.windows(BLOCK).zip(out.windows(BLOCK)).step_by(BLOCK / 2);
    for (v, o) in blocks {
        let (v, o) = (spectrum(v), spectrum(o));
        for (n, (v, o)) in v.iter().zip(&o).take(bands * BAND).enumerate() {
            cross[n / BAND] += v.conj() * o;
            own[n / BAND] += v.norm_sqr();
        }
    }
    let kept: f64 = cross.iter().zip(&own).map(|(c, p)| c.norm_sqr() / p).sum();
    (-10.0 * (kept / own.iter().sum::<f64>() + 1e-12).log10()) as f32
}
