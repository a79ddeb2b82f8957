//! What a linear model leaves of an echo, and the noise of the place, taken away by gains per frequency.
//!
//! How much echo is left is told by three witnesses: the doubt of the model, what its quick companion says otherwise,
//! and the share that was left of the echo while nobody spoke near the microphone. The largest counts. A voice near
//! the microphone is stronger than that in most bins, and there the gain stays at one.

use crate::noise::NoiseFloor;
use crate::transform::{Bin, Transform};

/// How much is taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// Least gain for echo that is left, an amplitude; 1 switches it off.
    pub(crate) echo: f32,
    /// Least gain for noise, an amplitude; 1 switches it off.
    pub(crate) noise: f32,
    /// What is left of an echo's estimate a frame later: rooms ring.
    pub(crate) ring: f32,
}

/// Upper ends of the bands that have a share of their own, Hz.
const BANDS: [usize; 12] = [
    300, 500, 700, 1_000, 1_400, 1_900, 2_600, 3_400, 4_500, 6_000, 8_000, 24_000,
];
/// The echo that is left is taken to be so much stronger than it is told to be.
const MORE: f32 = 2.0;

/// What models dispute, and their doubt, count by this part: both are somewhat too large while both models learn.
const WITNESS: f32 = 0.5;
/// The share falls and rises by so much a frame (about 0.4 and 0.09 dB).
const FALL: f32 = 0.912;
const RISE: f32 = 1.02;
/// So much more than the share is not of the echo: somebody speaks, and the share rises by 0.02 dB a frame only.
const CROWD: f32 = 16.0;
const CREEP: f32 = 1.004;
/// Of the gain's history in what is expected of a bin.
const HISTORY: f32 = 0.92;
/// Power of a Hann window over two frames beside that of one rectangular frame, and what of a model's doubt lies in one.
const HANN: f32 = 0.375;

/// Finds the gains.
#[derive(Clone, Debug)]
pub(crate) struct Reduction {
    depth: Depth,
    /// What makes a power of a bin the power per sample of noise that is as strong in all bins.
    unit: f32,
    transform: Transform,
    window: Vec<f32>,
    blocks: [Vec<f32>; 3],
    windowed: Vec<f32>,
    spectrum: Vec<Bin>,
    /// Of what is left, of the known echo, of what the models dispute.
    powers: [Vec<f32>; 3],
    band_of: Vec<usize>,
    /// Of a known echo's power, what was left.
    share: [f32; BANDS.len()],
    left: Vec<f32>,
    noise: NoiseFloor,
    gains: Vec<f32>,
    /// Power of voice in the frame before.
    voice: Vec<f32>,
    comfort: Vec<f32>,
    smooth: Vec<f32>,
}

impl Reduction {
    pub(crate) fn new(rate: usize, depth: Depth) -> Self {
        let frame = rate / 100;
        let bins = frame + 1;
        let window = (0..2 * frame).map(|n| {
            let angle = std::f32::consts::TAU * (n as f32 + 0.5) / (2 * frame) as f32;
            0.5 - 0.5 * angle.cos()
        });
        let band_of = (0..bins).map(|k| {
            let hz = k * 50;
            BANDS.iter().position(|end| hz < *end).unwrap_or(BANDS.len() - 1)
        });
        let zeros = || vec![0.0; bins];
        // half a step of 16 bits in each sample
        let least = 2.5e-10 * HANN * (2 * frame) as f32;
        Self {
            depth,
            unit: 1.0 / (HANN * (2 * frame) as f32),
            transform: Transform::new(2 * frame),
            window: window.collect(),
            blocks: std::array::from_fn(|_| vec![0.0; 2 * frame]),
            windowed: vec![0.0; 2 * frame],
            spectrum: vec![Bin::default(); bins],
            powers: std::array::from_fn(|_| zeros()),
            band_of: band_of.collect(),
            share: [1.0; BANDS.len()],
            left: zeros(),
            noise: NoiseFloor::new(bins, least),
            gains: vec![1.0; bins],
            voice: zeros(),
            comfort: zeros(),
            smooth: zeros(),
        }
    }

    /// Takes a frame: what is left of the microphone, and the echo that is known, what the models dispute of it, and how
    /// unsure they are. Nothing is learnt of it unless `learn`.
    pub(crate) fn process(&mut self, left: &[f32], known: Option<(&[f32], &[f32], &[f32])>, learn: bool) {
        let len = left.len();
        let (echo, dispute, unsure) = known.unwrap_or_default();
        let inputs = [left, echo, dispute]
            .into_iter()
            .filter(|input| !input.is_empty());
        for ((input, block), powers) in inputs.zip(&mut self.blocks).zip(&mut self.powers) {
            block.copy_within(len.., 0);
            block[len..].copy_from_slice(input);
            for ((out, s), w) in self.windowed.iter_mut().zip(block.iter()).zip(&self.window) {
                *out = s * w;
            }
            self.transform.forward(&self.windowed, &mut self.spectrum);
            for (power, bin) in powers.iter_mut().zip(&self.spectrum) {
                *power = bin.norm_sqr();
            }
        }
        if known.is_some() {
            self.estimate(unsure);
        }
        if learn {
            self.learn_shares();
            self.noise.push(&self.powers[0], &self.left);
        }
        self.gain();
    }

    /// What was left of a known echo lately, band by band.
    fn learn_shares(&mut self) {
        let mut sums = [[0.0_f32; 3]; BANDS.len()];
        let powers = self.powers[0].iter().zip(&self.powers[1]).zip(self.noise.power());
        for (((left, echo), noise), band) in powers.zip(&self.band_of) {
            let sum = &mut sums[*band];
            sum[0] += left;
            sum[1] += echo;
            sum[2] += noise;
        }
        for (share, [left, echo, noise]) in self.share.iter_mut().zip(sums) {
            // below the noise nothing can be seen of an echo
            if *share * echo < 2.0 * noise {
                continue;
            }
            let factor = match left / (*share * echo) {
                ..1.0 => FALL,
                1.0..CROWD => RISE,
                _ => CREEP,
            };
            *share = (*share * factor).clamp(1e-5, 4.0);
        }
    }

    fn estimate(&mut self, unsure: &[f32]) {
        let [_, echo, dispute] = &self.powers;
        let told = echo.iter().zip(dispute).zip(unsure).zip(&self.band_of);
        for (now, (((echo, dispute), unsure), band)) in self.smooth.iter_mut().zip(told) {
            let told = (self.share[*band] * echo)
                .max(WITNESS * dispute)
                .max(WITNESS * HANN * unsure);
            *now = MORE * told;
        }
        for (n, left) in self.left.iter_mut().enumerate() {
            // neighbours share a window's main lobe
            let last = self.smooth.len() - 1;
            let (below, above) = (self.smooth[n.saturating_sub(1)], self.smooth[(n + 1).min(last)]);
            let now = self.smooth[n].max(0.5 * below).max(0.5 * above);
            *left = now.max(self.depth.ring * *left);
        }
    }

    fn gain(&mut self) {
        let Depth { echo, noise, .. } = self.depth;
        let known = self.left.iter().zip(self.noise.power());
        let state = self.gains.iter_mut().zip(&mut self.voice).zip(&mut self.comfort);
        for ((((gain, voice), comfort), (left, floor)), seen) in state.zip(known).zip(&self.powers[0]) {
            // what is switched off is left in the sound and in nobody's way
            let heard = if noise < 1.0 { *floor } else { 0.0 };
            let echo_left = if echo < 1.0 { *left } else { 0.0 };
            let unwanted = echo_left + heard + 1e-12;
            let above = (seen / unwanted - 1.0).max(0.0);
            let expected = HISTORY * (*voice / unwanted) + (1.0 - HISTORY) * above;
            let wiener = expected / (1.0 + expected);
            *voice = wiener * wiener * seen;
            let lowest = (echo * echo * echo_left + noise * noise * heard + 1e-12) / unwanted;
            *gain = wiener.max(lowest.sqrt());
            // noise that went away with an echo is put back
            let missing = floor * (noise * noise - *gain * *gain);
            *comfort = (missing.max(0.0) * self.unit).sqrt();
        }
    }

    /// Gain of each bin, 0 to 1.
    pub(crate) fn gains(&self) -> &[f32] {
        &self.gains
    }

    /// Amplitude of the noise to put back, per bin.
    pub(crate) fn comfort(&self) -> &[f32] {
        &self.comfort
    }

    /// Mean square of the noise of the place, after the gains for noise.
    pub(crate) fn noise(&self) -> f32 {
        let whole: f32 = self.noise.power().iter().sum();
        let bins = self.gains.len() as f32;
        self.depth.noise * self.depth.noise * whole * self.unit / bins
    }
}
