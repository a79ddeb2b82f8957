//! Echo paths made of seeds: what is played comes back through them.

use crate::noise::Noise;

/// An impulse response and what the loudspeaker does before it.
#[derive(Clone, Debug)]
pub struct EchoPath {
    taps: Vec<f32>,
    /// How hard the loudspeaker is driven: `tanh(drive * x) / drive`; 0 is a loudspeaker without fault.
    drive: f32,
}

/// Scales taps so that white noise comes back `loss` dB weaker.
fn scaled(mut taps: Vec<f32>, loss: f32) -> Vec<f32> {
    let energy: f32 = taps.iter().map(|t| t * t).sum();
    let gain = (10_f32.powf(-loss / 10.0) / energy).sqrt();
    for t in &mut taps {
        *t *= gain;
    }
    taps
}

impl EchoPath {
    /// The hybrid of a two-wire line: some milliseconds, `loss` dB, `delay` ms late.
    #[must_use]
    pub fn hybrid(rate: u32, seed: u64, delay: f32, loss: f32) -> Self {
        let mut noise = Noise::new(seed);
        let start = (rate as f32 * delay / 1_000.0) as usize;
        let length = (rate as f32 * 0.012) as usize;
        let mut taps = vec![0.0; start];
        let mut smooth = 0.0;
        for n in 0..length {
            let t = n as f32 / rate as f32;
            // the first reflection and what rings after it, without the highest part
            let now = if n == 2 { 3.0 } else { noise.normal() } * (-t / 0.002).exp();
            smooth += 0.6 * (now - smooth);
            taps.push(smooth);
        }
        // a transformer passes no direct current
        let mean = taps.iter().sum::<f32>() / length as f32;
        for t in &mut taps[start..] {
            *t -= mean;
        }
        Self {
            taps: scaled(taps, loss),
            drive: 0.0,
        }
    }

    /// A loudspeaker and a microphone in one panel: the direct way, then reflections that are 60 dB weaker after
    /// `rt60` ms. `loss` dB in all, `delay` ms late.
    #[must_use]
    pub fn room(rate: u32, seed: u64, delay: f32, loss: f32, rt60: f32, drive: f32) -> Self {
        let mut noise = Noise::new(seed);
        let start = (rate as f32 * delay / 1_000.0) as usize;
        let length = (rate as f32 * rt60 / 1_000.0) as usize;
        let mut taps = vec![0.0; start];
        for n in 0..length {
            let fall = 10_f32.powf(-3.0 * n as f32 / length as f32);
            let direct = if n == 1 { 12.0 } else { 0.0 };
            taps.push(direct + noise.normal() * fall);
        }
        Self {
            taps: scaled(taps, loss),
            drive,
        }
    }

    /// What comes back of what is played.
    #[must_use]
    pub fn echo(&self, far: &[f32]) -> Vec<f32> {
        let played: Vec<f32> = far
            .iter()
            .map(|x| {
                if self.drive > 0.0 {
                    (self.drive * x).tanh() / self.drive
                } else {
                    *x
                }
            })
            .collect();
        crate::convolve::convolve(&played, &self.taps)
    }
}
