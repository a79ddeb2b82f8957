//! One adaptive model of an echo path: a Kalman filter per partition and bin.
//!
//! The path is cut into partitions of one frame, each of which is a few complex weights in the frequency domain. Beside
//! each weight stands its doubt, the variance of its error. The doubt says how much of an error is worth learning
//! from: much while little is known, little while somebody speaks near the microphone, and again a little all the time,
//! since paths change. That is the state-space view of adaptive filters in the frequency domain (Enzner and Vary,
//! Signal Processing 86, 2006; Kuech, Mabande and Enzner, ICASSP 2014).

use crate::history::History;
use crate::sums::norm;
use crate::transform::{Bin, Transform};

/// How a model moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// What of a path is still the same a frame later, just below 1.
    pub(crate) keep: f32,
    /// Smoothing of the near signal's power over frames, 0 to 1.
    pub(crate) near: f32,
    /// Of the mean over all partitions, what may appear in any of them.
    pub(crate) spread: f32,
    /// What the circle adds to a partition is taken away in one frame of so many, 1 to 10. Two transforms of each partition in each
    /// frame are most of what a model costs, and one that moves slowly gathers little in between (the alternated constraint
    /// of Soo and Pang, IEEE Transactions ASSP 38, 1990).
    pub(crate) turns: usize,
}

/// A model of the echo path.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pace: Pace,
    transform: Transform,
    bins: usize,
    parts: usize,
    weights: Vec<Bin>,
    doubt: Vec<f32>,
    /// Power of what is no echo, per bin.
    near: Vec<f32>,
    /// Expected power of the echo that is left, per bin.
    unsure: Vec<f32>,
    spectrum: Vec<Bin>,
    error: Vec<Bin>,
    block: Vec<f32>,
    /// First doubt of each partition.
    prior: Vec<f32>,
    /// Whose turn it is, below [`Pace::turns`].
    turn: usize,
}

/// Smallest power that counts, of samples of ±1: far below one step of 16 bits.
const TINY: f32 = 1e-9;

impl Model {
    /// With `parts` partitions, each with its first doubt.
    pub(crate) fn new(frame: usize, prior: &[f32], pace: Pace) -> Self {
        let bins = frame + 1;
        let parts = prior.len();
        let mut model = Self {
            pace,
            transform: Transform::new(2 * frame),
            bins,
            parts,
            weights: vec![Bin::default(); parts * bins],
            doubt: vec![0.0; parts * bins],
            near: vec![0.0; bins],
            unsure: vec![0.0; bins],
            spectrum: vec![Bin::default(); bins],
            error: vec![Bin::default(); bins],
            block: vec![0.0; 2 * frame],
            prior: prior.to_vec(),
            turn: 0,
        };
        model.doubt_all();
        model
    }

    /// Every weight is as doubtful as at first.
    fn doubt_all(&mut self) {
        for (doubt, prior) in self.doubt.chunks_mut(self.bins).zip(&self.prior) {
            doubt.fill(*prior);
        }
    }

    /// Nothing is known of the path.
    pub(crate) fn forget(&mut self) {
        self.weights.fill(Bin::default());
        self.doubt_all();
    }

    /// The path has changed and this model is on its way to the new one: every weight is doubted by a part of what the
    /// partition holds, and a little by what all of them hold.
    pub(crate) fn reconsider(&mut self) {
        let count = (self.parts * self.bins) as f32;
        let whole = norm(&self.weights) / count;
        let parts = self
            .doubt
            .chunks_mut(self.bins)
            .zip(self.weights.chunks(self.bins));
        for (doubt, weights) in parts {
            let mean = norm(weights) / self.bins as f32;
            let least = mean + 0.05 * whole;
            for p in doubt {
                *p = p.max(least);
            }
        }
    }

    /// The echo of the frame that ends the newest block, by what was known before it.
    pub(crate) fn echo(&mut self, far: &History, offset: usize, echo: &mut [f32]) {
        self.spectrum.fill(Bin::default());
        self.unsure.fill(0.0);
        for part in 0..self.parts {
            let x = far.spectrum(offset + part);
            let range = part * self.bins..(part + 1) * self.bins;
            let sums = self.spectrum.iter_mut().zip(&mut self.unsure);
            let state = self.weights[range.clone()].iter().zip(&self.doubt[range]);
            for (((sum, unsure), (w, p)), x) in sums.zip(state).zip(x) {
                *sum += w * x;
                *unsure += p * x.norm_sqr();
            }
        }
        self.transform.inverse(&self.spectrum, &mut self.block);
        echo.copy_from_slice(&self.block[echo.len()..]);
    }

    /// Learns from the error of the same frame: what the microphone had beyond [`Self::echo`].
    pub(crate) fn learn(&mut self, far: &History, offset: usize, error: &[f32]) {
        let frame = error.len();
        self.block[..frame].fill(0.0);
        self.block[frame..].copy_from_slice(error);
        self.transform.forward(&self.block, &mut self.error);
        let hold = self.pace.near;
        for ((near, e), unsure) in self.near.iter_mut().zip(&self.error).zip(&self.unsure) {
            // of an error as large as the doubt expects, most is echo; a part of it counts as near, since doubts err too
            let power = e.norm_sqr();
            let seen = (power - 0.5 * unsure).max(0.1 * power);
            *near = hold * *near + (1.0 - hold) * seen + TINY;
        }
        let aged = self.pace.keep * self.pace.keep;
        let count = (self.parts * self.bins) as f32;
        // an echo may move to where there was none
        let anywhere = self.pace.spread * norm(&self.weights) / count;
        for part in 0..self.parts {
            let x = far.spectrum(offset + part);
            let range = part * self.bins..(part + 1) * self.bins;
            let weights = &mut self.weights[range.clone()];
            let doubt = &mut self.doubt[range];
            let known = self.unsure.iter().zip(&self.near);
            let mean = norm(weights) / self.bins as f32;
            let seen = x.iter().zip(&self.error).zip(known);
            for ((p, w), ((x, e), (unsure, near))) in doubt.iter_mut().zip(weights.iter_mut()).zip(seen) {
                let gain = *p / (unsure + 1.4 * near + TINY);
                let left = 1.0 - 0.5 * gain * x.norm_sqr();
                *p = aged * *p * left + (1.0 - aged) * (0.5 * (w.norm_sqr() + mean) + anywhere);
                *w += x.conj() * e * gain;
            }
            // a partition has one frame of taps; what lies beyond is an effect of the circle
            if (part + self.turn).is_multiple_of(self.pace.turns) {
                self.transform.inverse(weights, &mut self.block);
                self.block[frame..].fill(0.0);
                self.transform.forward(&self.block, weights);
            }
        }
        self.turn = (self.turn + 1) % self.pace.turns;
    }

    /// The begin of the model moves by whole frames: what is known moves along.
    pub(crate) fn shift(&mut self, later: isize) {
        let by = later.unsigned_abs().min(self.parts) * self.bins;
        let end = self.weights.len();
        if later > 0 {
            self.weights.copy_within(by.., 0);
            self.doubt.copy_within(by.., 0);
            self.weights[end - by..].fill(Bin::default());
        } else {
            self.weights.copy_within(..end - by, by);
            self.doubt.copy_within(..end - by, by);
            self.weights[..by].fill(Bin::default());
        }
        let fresh = if later > 0 { end - by..end } else { 0..by };
        let last = self.prior.last().copied().unwrap_or(0.0);
        self.doubt[fresh].fill(last);
    }

    /// The part of its power that the model holds in the frames that [`Self::shift`] would lose.
    pub(crate) fn lost_by(&self, later: isize) -> f32 {
        let by = later.unsigned_abs().min(self.parts) * self.bins;
        let end = self.weights.len();
        let lost = if later > 0 {
            &self.weights[..by]
        } else {
            &self.weights[end - by..]
        };
        norm(lost) / (norm(&self.weights) + TINY)
    }

    /// Takes over what another model of the same size knows.
    pub(crate) fn take(&mut self, other: &Self) {
        self.weights.copy_from_slice(&other.weights);
        self.doubt.copy_from_slice(&other.doubt);
        self.near.copy_from_slice(&other.near);
    }

    /// Expected power per bin of the echo that is left in a frame, scaled like a spectrum of one frame.
    pub(crate) fn unsure(&self) -> &[f32] {
        &self.unsure
    }
}
