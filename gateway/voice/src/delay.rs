//! How late an echo comes: a coarse model of the whole span at a low rate, whose peak is the delay.

use crate::sums::{dot, power};

/// Samples per second at which delays are looked for.
const RATE: usize = 2_000;
/// Longest delay that is found, in milliseconds.
pub(crate) const LONGEST: usize = 400;
const TAPS: usize = RATE * LONGEST / 1_000;
/// Taps of the filter before samples are left out.
const LOW_PASS: usize = 4;
/// Mean square of the played signal below which nothing is learnt: -60 dB below full scale.
const QUIET: f32 = 1e-6;
/// Step of the model, of 1.
const STEP: f32 = 0.4;
/// The peak holds so much more than the mean tap.
const CLEAR: f32 = 25.0;
/// Frames for which a peak has to stay where it is.
const STEADY: u8 = 40;
/// A steady peak moves by no more, in taps.
const WANDER: usize = 2;

/// Finds the delay between what is played and its echo.
#[derive(Clone, Debug)]
pub(crate) struct Delay {
    every: usize,
    far: LowPass,
    near: LowPass,
    /// Twice the span, so that a window of it is one slice.
    played: Vec<f32>,
    at: usize,
    power: f32,
    taps: Vec<f32>,
    peak: usize,
    steady: u8,
}

impl Delay {
    /// For a rate that [`RATE`] divides.
    pub(crate) fn new(rate: usize) -> Self {
        Self {
            every: rate / RATE,
            far: LowPass::new(rate),
            near: LowPass::new(rate),
            played: vec![0.0; 2 * TAPS],
            at: 0,
            power: 0.0,
            taps: vec![0.0; TAPS],
            peak: 0,
            steady: 0,
        }
    }

    /// Takes the frames that were played and captured at the same time.
    pub(crate) fn push(&mut self, far: &[f32], near: &[f32]) {
        for (n, (x, d)) in far.iter().zip(near).enumerate() {
            let (x, d) = (self.far.next(*x), self.near.next(*d));
            if n % self.every == 0 {
                self.learn(x, d);
            }
        }
        let loudest = self.taps.iter().enumerate().map(|(n, t)| (n, t * t));
        let (peak, most) = loudest.fold((0, 0.0), |best, tap| if tap.1 > best.1 { tap } else { best });
        let mean = power(&self.taps) / TAPS as f32;
        if peak.abs_diff(self.peak) > WANDER || most < CLEAR * mean || most < 1e-8 {
            self.steady = 0;
            self.peak = peak;
        } else {
            self.steady = self.steady.saturating_add(1);
        }
    }

    /// Where the echo is strongest, in microseconds after it was played; `None` while that is not clear.
    pub(crate) fn found(&self) -> Option<usize> {
        (self.steady >= STEADY).then(|| self.peak * (1_000_000 / RATE))
    }

    fn learn(&mut self, x: f32, d: f32) {
        self.at = if self.at == 0 { TAPS - 1 } else { self.at - 1 };
        self.played[self.at] = x;
        self.played[self.at + TAPS] = x;
        // newest first
        let window = &self.played[self.at..self.at + TAPS];
        self.power = power(window);
        if self.power < QUIET * TAPS as f32 {
            return;
        }
        let echo = dot(window, &self.taps);
        let error = d - echo;
        // a bound: what is loud near the microphone is no echo of this
        let error = error.clamp(-0.5, 0.5);
        let step = STEP * error / self.power;
        for (t, x) in self.taps.iter_mut().zip(window) {
            *t += step * x;
        }
    }
}

/// Takes away what a low rate cannot hold, and the strong lowest part of voices, so that taps stand apart.
#[derive(Clone, Debug)]
struct LowPass {
    /// Of a one-pole section.
    weight: f32,
    states: [f32; LOW_PASS],
    before: f32,
}

impl LowPass {
    fn new(rate: usize) -> Self {
        let turn = std::f32::consts::TAU * 700.0 / rate as f32;
        Self {
            weight: 1.0 - (-turn).exp(),
            states: [0.0; LOW_PASS],
            before: 0.0,
        }
    }

    fn next(&mut self, sample: f32) -> f32 {
        // a trace of direct current keeps silence from ending in numbers that are slow to reckon with
        let mut x = sample - 0.95 * self.before + 1e-15;
        self.before = sample;
        for state in &mut self.states {
            *state += self.weight * (x - *state);
            x = *state;
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{echo, noise};

    #[test]
    fn the_delay_of_an_echo_is_found_to_the_millisecond() {
        for rate in [8_000, 16_000] {
            for ms in [5, 60, 250] {
                let far = noise(3, 0.1, 2 * rate);
                let near = echo(&far, ms * rate / 1_000);
                let mut delay = Delay::new(rate);
                for (far, near) in far.chunks(rate / 100).zip(near.chunks(rate / 100)) {
                    delay.push(far, near);
                }
                let found = delay.found().expect("a clear echo");
                assert!(
                    found.abs_diff(ms * 1_000) <= 2_000,
                    "{found} us instead of {ms} ms at {rate} Hz"
                );
            }
        }
    }

    #[test]
    fn without_an_echo_none_is_found() {
        let (far, near) = (noise(3, 0.1, 32_000), noise(4, 0.1, 32_000));
        let mut delay = Delay::new(16_000);
        for (far, near) in far.chunks(160).zip(near.chunks(160)) {
            delay.push(far, near);
            assert_eq!(delay.found(), None);
        }
    }
}
