//! Voices at one level, and nothing above full scale.

/// Level that voices get, as mean square of samples of ±1: -20 dB below full scale.
const WANTED: f32 = 0.01;
/// Most and least gain, dB.
const MOST: f32 = 15.0;
const LEAST: f32 = -12.0;
/// A voice is so much stronger than the noise of the place.
const VOICE: f32 = 10.0;
/// Gain rises and falls by so much a frame, dB.
const RISE: f32 = 0.04;
const FALL: f32 = 0.3;
/// Largest sample that is let out.
const CEILING: f32 = 0.9;

/// Automatic gain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gain {
    /// Smoothed mean square of voices; 0 before the first.
    level: f32,
    db: f32,
    factor: Option<f32>,
}

impl Gain {
    /// Takes a frame. `noise` is the mean square of the noise of the place; `foreign` says that what is heard now
    /// is not somebody near the microphone.
    pub(crate) fn process(&mut self, frame: &mut [f32], noise: f32, foreign: bool) {
        let power = frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32;
        if !foreign && power > VOICE * noise && power > 1e-6 {
            let part = if power > self.level { 0.1 } else { 0.01 };
            self.level += part * (power - self.level);
            let wanted = (10.0 * (WANTED / self.level).log10()).clamp(LEAST, MOST);
            self.db += (wanted - self.db).clamp(-FALL, RISE);
        }
        let target = 10_f32.powf(self.db / 20.0);
        let from = self.factor.replace(target).unwrap_or(target);
        let step = (target - from) / frame.len() as f32;
        let mut factor = from;
        for sample in frame {
            factor += step;
            *sample *= factor;
        }
    }
}

/// Keeps samples below full scale without cutting them off.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    release: f32,
    peak: f32,
}

impl Limiter {
    pub(crate) fn new(rate: usize) -> Self {
        Self {
            // a twentieth of a second
            release: (-20.0 / rate as f32).exp(),
            peak: 0.0,
        }
    }

    pub(crate) fn process(&mut self, frame: &mut [f32]) {
        for sample in frame {
            self.peak = sample.abs().max(self.peak * self.release).max(1e-9);
            if self.peak > CEILING {
                *sample *= CEILING / self.peak;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(amplitude: f32, seconds: usize) -> f32 {
        let mut gain = Gain::default();
        let mut last = 0.0;
        for block in 0..seconds * 100 {
            let mut frame: Vec<f32> = (0..160)
                .map(|n| {
                    amplitude * (std::f32::consts::TAU * 300.0 * (block * 160 + n) as f32 / 16_000.0).sin()
                })
                .collect();
            gain.process(&mut frame, 1e-7, false);
            last = frame.iter().map(|s| s * s).sum::<f32>() / 160.0;
        }
        10.0 * last.log10()
    }

    #[test]
    fn quiet_and_loud_voices_come_to_one_level() {
        for amplitude in [0.035, 0.14, 0.5] {
            let db = after(amplitude, 8);
            assert!((-21.0..=-19.0).contains(&db), "{db} dB of {amplitude}");
        }
        let db = after(0.002, 20);
        assert!((-43.0..=-40.0).contains(&db), "15 dB at most, not {db} dB");
    }

    #[test]
    fn noise_alone_is_not_raised() {
        let mut gain = Gain::default();
        for _ in 0..500 {
            let mut frame = [0.01, -0.01].repeat(80);
            gain.process(&mut frame, 1e-4, false);
            assert!((frame[159].abs() - 0.01).abs() < 1e-6);
        }
    }

    #[test]
    fn nothing_leaves_the_limiter_above_its_ceiling() {
        let mut limiter = Limiter::new(16_000);
        for block in 0..20 {
            let loud = if block % 2 == 0 { 4.0 } else { 0.3 };
            let mut frame = [loud, -loud].repeat(80);
            limiter.process(&mut frame);
            assert!(frame.iter().all(|s| s.abs() <= CEILING + 1e-6));
        }
    }
}
