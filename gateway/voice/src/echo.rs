//! The linear part of echo cancellation: two models of the path, and where the path begins.
//!
//! The first model is patient and survives double talk. The second is quick; it takes over when it has been clearly
//! better for a while, which is so after the path has changed. When the quick one goes astray it is set back to the first.

use crate::delay::{Delay, LONGEST};
use crate::history::History;
use crate::kalman::{Model, Pace};
use crate::sums::power;

const PATIENT: Pace = Pace {
    keep: 0.9998,
    near: 0.9,
    spread: 0.02,
    turns: 8,
};
const QUICK: Pace = Pace {
    keep: 0.99,
    near: 0.5,
    spread: 0.1,
    turns: 1,
};
/// Smoothing of the powers that are compared, over frames.
const SMOOTH: f32 = 0.1;
/// A model with less than this part of the other's error is the better one.
const BETTER: f32 = 0.6;
/// What was astray by so much goes back to the patient model.
const ASTRAY: f32 = 0.4;
/// A model that adds so much to the microphone is given up.
const WRONG: f32 = 6.0;
/// The model begins so long before its peak, in microseconds: filters of the line spread a peak.
const AHEAD: usize = 4_000;
/// Frames by which the begin of the model is moved at least.
const MOVE: usize = 2;
/// A model that left less than this part of what was heard is worth keeping. That is forgotten by so much a frame: 20 dB in 9 s.
const WORKS: f32 = 0.25;
const FORGETS: f32 = 1.005;
/// Mean square of what is played from which on a model can show what it can: -50 dB below full scale.
const LOUD: f32 = 1e-5;
/// A move may cost so much of what such a model holds.
const PRICE: f32 = 0.02;

/// Removes what a linear model explains of the echo.
#[derive(Clone, Debug)]
pub(crate) struct Canceller {
    far: History,
    delay: Delay,
    /// Frames between what is played and the begin of the model.
    offset: usize,
    main: Model,
    quick: Model,
    /// What the models say that the echo is, and what is left of the microphone without it.
    echo: Vec<f32>,
    quick_echo: Vec<f32>,
    error: Vec<f32>,
    quick_error: Vec<f32>,
    /// Smoothed powers of both errors.
    power: (f32, f32),
    /// Smoothed power of the microphone.
    heard: f32,
    /// Part of what is heard that the first model left at its best, lately.
    best: f32,
}

impl Canceller {
    /// For a rate in Hz and the length of an echo after its begin, in milliseconds.
    pub(crate) fn new(rate: usize, tail: usize) -> Self {
        let frame = rate / 100;
        let parts = tail.div_ceil(10).max(1);
        let mut prior = vec![0.0; parts];
        let mut doubt = 0.5;
        for p in &mut prior {
            *p = doubt + 0.01;
            doubt *= 0.8;
        }
        let silence = vec![0.0; frame];
        Self {
            far: History::new(frame, parts + LONGEST / 10 + 1),
            delay: Delay::new(rate),
            offset: 0,
            main: Model::new(frame, &prior, PATIENT),
            quick: Model::new(frame, &prior, QUICK),
            echo: silence.clone(),
            quick_echo: silence.clone(),
            error: silence.clone(),
            quick_error: silence,
            power: (0.0, 0.0),
            heard: 0.0,
            best: 1.0,
        }
    }

    /// Takes a frame of the microphone, and the one that was played while it was captured. Nothing is learnt of it
    /// unless `learn`.
    pub(crate) fn process(&mut self, far: &[f32], near: &[f32], learn: bool) {
        self.far.push(far);
        self.main.echo(&self.far, self.offset, &mut self.echo);
        self.quick.echo(&self.far, self.offset, &mut self.quick_echo);
        subtract(near, &self.echo, &mut self.error);
        subtract(near, &self.quick_echo, &mut self.quick_error);
        if !learn {
            return;
        }
        self.main.learn(&self.far, self.offset, &self.error);
        self.quick.learn(&self.far, self.offset, &self.quick_error);
        self.power.0 += SMOOTH * (power(&self.error) - self.power.0);
        self.power.1 += SMOOTH * (power(&self.quick_error) - self.power.1);
        self.heard += SMOOTH * (power(near) - self.heard);
        if self.power.0 > WRONG * self.heard + 1e-6 {
            self.main.forget();
            self.quick.forget();
            self.power = (self.heard, self.heard);
        } else if self.power.1 < BETTER * self.power.0 {
            self.main.take(&self.quick);
            self.main.reconsider();
            self.power.0 = self.power.1;
        } else if self.power.0 < ASTRAY * self.power.1 {
            self.quick.take(&self.main);
            self.power.1 = self.power.0;
        }
        if power(far).min(10.0 * self.heard) > LOUD * far.len() as f32 {
            // somebody who speaks near the microphone hides for a while how good it is
            let now = self.power.0 / (self.heard + 1e-12);
            self.best = (self.best * FORGETS).min(now).max(1e-4);
        }
        self.delay.push(far, near);
        self.align();
    }

    /// Begins the models where the echo begins.
    fn align(&mut self) {
        let Some(found) = self.delay.found() else {
            return;
        };
        let wanted = found.saturating_sub(AHEAD) / 10_000;
        if wanted.abs_diff(self.offset) < MOVE {
            return;
        }
        let later = wanted.cast_signed() - self.offset.cast_signed();
        if self.best < WORKS && self.main.lost_by(later) > PRICE {
            return;
        }
        self.main.shift(later);
        self.quick.shift(later);
        self.offset = wanted;
    }

    /// The microphone without the echo that is known.
    pub(crate) fn error(&self) -> &[f32] {
        &self.error
    }

    /// The echo that is known.
    pub(crate) fn echo(&self) -> &[f32] {
        &self.echo
    }

    /// What the two models say differently of the echo.
    pub(crate) fn dispute(&self, out: &mut [f32]) {
        subtract(&self.echo, &self.quick_echo, out);
    }

    /// Power per bin of the echo that the model expects to be left, for a rectangular frame.
    pub(crate) fn unsure(&self) -> &[f32] {
        self.main.unsure()
    }

    /// Frames between what is played and the begin of the model.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }
}

fn subtract(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
        *o = a - b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{echo, noise, power as mean};

    /// What is left of each frame, after `near` was added to the echo of `far` at `delay` samples.
    fn left(canceller: &mut Canceller, far: &[f32], near: &[f32], delay: usize) -> Vec<f32> {
        let heard: Vec<f32> = echo(far, delay).iter().zip(near).map(|(e, n)| e + n).collect();
        let mut left = Vec::new();
        for (far, heard) in far.chunks(160).zip(heard.chunks(160)) {
            canceller.process(far, heard, true);
            left.extend_from_slice(canceller.error());
        }
        left
    }

    fn db(left: &[f32], whole: &[f32]) -> f32 {
        10.0 * (mean(whole) / mean(left)).log10()
    }

    #[test]
    fn an_echo_is_learnt_and_learnt_anew_after_a_change() {
        let mut canceller = Canceller::new(16_000, 64);
        let silence = vec![0.0; 32_000];
        for (seed, delay) in [(1, 40), (2, 333)] {
            let far = noise(seed, 0.2, 32_000);
            let rest = left(&mut canceller, &far, &silence, delay);
            let erle = db(&rest[24_000..], &echo(&far, delay)[24_000..]);
            assert!(erle > 30.0, "{erle} dB at {delay} samples");
        }
    }

    #[test]
    fn an_echo_that_comes_after_the_model_ends_moves_the_model() {
        let mut canceller = Canceller::new(16_000, 32);
        let far = noise(1, 0.2, 64_000);
        let rest = left(&mut canceller, &far, &vec![0.0; 64_000], 1_600);
        assert!(
            (8..=9).contains(&canceller.offset()),
            "{} frames",
            canceller.offset()
        );
        let erle = db(&rest[56_000..], &echo(&far, 1_600)[56_000..]);
        assert!(erle > 25.0, "{erle} dB");
    }

    #[test]
    fn who_speaks_near_the_microphone_does_not_lead_it_astray() {
        let mut canceller = Canceller::new(16_000, 64);
        let silence = vec![0.0; 32_000];
        left(&mut canceller, &noise(1, 0.2, 32_000), &silence, 40);
        let near = noise(7, 0.2, 32_000);
        let far = noise(2, 0.2, 32_000);
        let both = left(&mut canceller, &far, &near, 40);
        let astray: Vec<f32> = both.iter().zip(&near).map(|(b, n)| b - n).collect();
        let erle = db(&astray, &echo(&far, 40));
        assert!(erle > 15.0, "{erle} dB while both speak");
        let far = noise(3, 0.2, 16_000);
        let rest = left(&mut canceller, &far, &silence[..16_000], 40);
        let erle = db(&rest[4_000..], &echo(&far, 40)[4_000..]);
        assert!(erle > 20.0, "{erle} dB afterwards");
    }
}
