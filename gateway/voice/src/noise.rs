//! How strong the noise of a place is, bin by bin, also while somebody speaks.
//!
//! Each frame says how likely it is that a bin has no voice, and so much of it counts (after Gerkmann and Hendriks,
//! IEEE Transactions on Audio, Speech and Language Processing 20, 2012).

/// A voice is taken to be so much stronger than noise: 15 dB.
const VOICE: f32 = 31.6;
/// Smoothing of the estimate over frames of 10 ms.
const SMOOTH: f32 = 0.85;
/// A bin is never quite sure of a voice, so that it learns of a noise that came to stay.
const SURE: f32 = 0.995;
/// Frames after which the first estimate is complete.
const FIRST: u8 = 20;

/// An estimate of the noise.
#[derive(Clone, Debug)]
pub(crate) struct NoiseFloor {
    power: Vec<f32>,
    /// Smoothed probability of a voice.
    voice: Vec<f32>,
    seen: u8,
    least: f32,
}

impl NoiseFloor {
    /// For so many bins; `least` is the smallest power that is told.
    pub(crate) fn new(bins: usize, least: f32) -> Self {
        Self {
            power: vec![least; bins],
            voice: vec![0.0; bins],
            seen: 0,
            least,
        }
    }

    /// Takes the powers of a frame, of which `other` is known to be something else.
    pub(crate) fn push(&mut self, powers: &[f32], other: &[f32]) {
        let first = self.seen < FIRST;
        self.seen = self.seen.saturating_add(1);
        let state = self.power.iter_mut().zip(&mut self.voice);
        for ((noise, voice), (seen, other)) in state.zip(powers.iter().zip(other)) {
            // what is an echo is no noise, and what hides below it cannot be seen
            if *other > *noise {
                continue;
            }
            if first {
                // the quietest frames of the first fifth of a second
                *noise = if *noise <= self.least {
                    *seen
                } else {
                    noise.min(*seen * 2.0)
                };
                *noise = noise.max(self.least);
                continue;
            }
            let above = (seen / *noise).min(60.0);
            let unlikely = (1.0 + VOICE) * (-above * VOICE / (1.0 + VOICE)).exp();
            let mut likely = 1.0 / (1.0 + unlikely);
            *voice += 0.1 * (likely - *voice);
            if *voice > SURE {
                likely = likely.min(SURE);
            }
            let now = (1.0 - likely) * seen + likely * *noise;
            *noise = (SMOOTH * *noise + (1.0 - SMOOTH) * now).max(self.least);
        }
    }

    /// Power per bin.
    pub(crate) fn power(&self) -> &[f32] {
        &self.power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of noise as they come: exponentially spread about `mean`.
    fn powers(state: &mut u32, mean: f32, bins: usize) -> Vec<f32> {
        let mut next = || {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((*state >> 8) as f32 + 1.0) / (1_u32 << 24) as f32
        };
        (0..bins).map(|_| -mean * next().ln()).collect()
    }

    fn mean(floor: &NoiseFloor) -> f32 {
        floor.power().iter().sum::<f32>() / floor.power().len() as f32
    }

    #[test]
    fn noise_is_known_also_beside_a_voice_and_after_it_grew() {
        let (mut state, none) = (1, [0.0; 161]);
        let mut floor = NoiseFloor::new(161, 1e-9);
        for frame in 0..600 {
            let mut now = powers(&mut state, 1e-4, 161);
            // syllables of 200 ms, 30 dB stronger
            if frame > 100 && frame / 20 % 2 == 0 {
                now[20..60].iter_mut().for_each(|p| *p += 0.1);
            }
            floor.push(&now, &none);
        }
        let known = 10.0 * (mean(&floor) / 1e-4).log10();
        assert!((-3.0..=3.0).contains(&known), "{known} dB off");
        for _ in 0..500 {
            floor.push(&powers(&mut state, 1e-2, 161), &none);
        }
        let known = 10.0 * (mean(&floor) / 1e-2).log10();
        assert!((-3.0..=3.0).contains(&known), "{known} dB off after it grew");
    }

    #[test]
    fn an_echo_is_no_noise() {
        let mut state = 1;
        let mut floor = NoiseFloor::new(161, 1e-9);
        for _ in 0..100 {
            floor.push(&powers(&mut state, 1e-4, 161), &[0.0; 161]);
        }
        for _ in 0..1_000 {
            floor.push(&powers(&mut state, 1e-2, 161), &[1.0; 161]);
        }
        assert!(mean(&floor) < 2e-4, "{}", mean(&floor));
    }
}
