//! All of it in the order in which a voice passes.

use crate::echo::Canceller;
use crate::fade::{Fade, HalfDuplex};
use crate::filter::HighPass;
use crate::hum::Comb;
use crate::level::{Gain, Limiter};
use crate::params::{Echo, NoiseReduction, Params};
use crate::reduce::{Depth, Reduction};
use crate::shape::Shape;

/// Why a voice cannot be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} Hz is not a rate of voices: allowed are 8000, 16000, 24000, 32000 and 48000")]
pub struct RateError {
    /// What was asked for.
    pub found: u32,
}

/// Frames after a relay moved in which nothing is learnt of what is heard.
const DEAF: u32 = 3;
/// What is played counts as heard for so many frames: rooms ring.
const RINGS: u32 = 15;

/// Treats one line: what is played to a visitor, and what is heard from there.
#[derive(Clone, Debug)]
pub struct Voice {
    params: Params,
    /// The frame that was played last, as it was played.
    played: Vec<f32>,
    frame: Vec<f32>,
    dispute: Vec<f32>,
    high_pass: (HighPass, HighPass),
    comb: Option<Comb>,
    echo: Option<Canceller>,
    reduction: Option<Reduction>,
    shape: Shape,
    comfort: Shape,
    seed: u32,
    gain: Option<Gain>,
    limiter: Limiter,
    duplex: Option<HalfDuplex>,
    hush: Fade,
    /// Frames for which the microphone stays silent, and for which nothing is learnt.
    hushed: u32,
    deaf: u32,
    /// Frames for which what was played may still be heard.
    rings: u32,
}

impl Voice {
    /// For frames of 10 ms at `rate` Hz.
    ///
    /// # Errors
    /// [`RateError`] for a rate that is not treated.
    pub fn new(params: Params, rate: u32) -> Result<Self, RateError> {
        if ![8_000, 16_000, 24_000, 32_000, 48_000].contains(&rate) {
            return Err(RateError { found: rate });
        }
        let rate = rate as usize;
        let len = rate / 100;
        let (echo_depth, ring) = match params.echo {
            Echo::Off => (1.0, 0.0),
            Echo::Hybrid => (0.03, 0.5),
            Echo::Speaker => (0.03, 0.6),
        };
        let noise = match params.noise {
            NoiseReduction::Off => 1.0,
            NoiseReduction::Low => 0.316,
            NoiseReduction::High => 0.126,
        };
        let depth = Depth {
            echo: echo_depth,
            noise,
            ring,
        };
        let reduces = params.echo != Echo::Off || params.noise != NoiseReduction::Off || params.gain;
        Ok(Self {
            played: vec![0.0; len],
            frame: vec![0.0; len],
            dispute: vec![0.0; len],
            high_pass: (HighPass::new(rate), HighPass::new(rate)),
            comb: params.hum.then(|| Comb::new(rate)),
            echo: (params.echo != Echo::Off).then(|| Canceller::new(rate, params.tail_ms().into())),
            reduction: reduces.then(|| Reduction::new(rate, depth)),
            shape: Shape::new(len),
            comfort: Shape::new(len),
            seed: 1,
            gain: params.gain.then(Gain::default),
            limiter: Limiter::new(rate),
            duplex: params.half_duplex.then(|| HalfDuplex::new(rate)),
            // shorter than the delay of the gains: what began with the frame is silent
            hush: Fade::new(rate, 3.0, 20.0),
            hushed: 0,
            deaf: 0,
            rings: 0,
            params,
        })
    }

    /// What it was made with.
    #[must_use]
    pub const fn params(&self) -> Params {
        self.params
    }

    /// By how many samples what is heard comes later: 4 ms, or nothing if neither echo, noise nor level is treated.
    #[must_use]
    pub fn delay(&self) -> usize {
        self.reduction
            .as_ref()
            .map_or(0, |_| Shape::delay(self.frame.len()))
    }

    /// Frequency of the hum that is cut out, Hz.
    #[must_use]
    pub fn hum(&self) -> Option<f64> {
        self.comb.as_ref().and_then(Comb::found)
    }

    /// Frames between what is played and the begin of its echo, as far as known.
    #[must_use]
    pub fn echo_begins(&self) -> usize {
        self.echo.as_ref().map_or(0, Canceller::offset)
    }

    /// Keeps the microphone silent for so many frames of 10 ms, beginning softly with the next: a relay is about to move.
    pub fn hush(&mut self, frames: u32) {
        self.hushed = self.hushed.max(frames);
        self.deaf = self.deaf.max(frames.saturating_add(DEAF));
    }

    /// Takes 10 ms on their way to the visitor. They are played while the frame after is captured, or later.
    ///
    /// # Panics
    /// If a frame is not of 10 ms.
    pub fn play(&mut self, frame: &mut [i16]) {
        assert_eq!(frame.len(), self.played.len(), "a frame has 10 ms");
        read(frame, &mut self.played);
        if let Some(duplex) = &mut self.duplex {
            duplex.play(&mut self.played);
            write(&self.played, frame);
            read(frame, &mut self.played);
        }
    }

    /// Takes 10 ms of the visitor, and leaves their voice.
    ///
    /// # Panics
    /// If a frame is not of 10 ms.
    pub fn hear(&mut self, frame: &mut [i16]) {
        assert_eq!(frame.len(), self.frame.len(), "a frame has 10 ms");
        if self.params.is_off() && self.hushed == 0 && self.hush.is_open() {
            return;
        }
        read(frame, &mut self.frame);
        let learn = self.deaf == 0;
        self.deaf = self.deaf.saturating_sub(1);
        let loud = self.played.iter().any(|s| s.abs() > 0.003);
        self.rings = if loud { RINGS } else { self.rings.saturating_sub(1) };
        if !self.params.is_off() {
            self.high_pass.0.process(&mut self.frame);
            self.high_pass.1.process(&mut self.played);
        }
        if let Some(comb) = &mut self.comb {
            comb.process(&mut self.frame, &mut self.played);
        }
        self.reduce(learn);
        if let Some(gain) = &mut self.gain {
            let noise = self.reduction.as_ref().map_or(0.0, Reduction::noise);
            let echoes = self.params.echo != Echo::Off && self.rings > 0;
            gain.process(&mut self.frame, noise, echoes || !learn);
        }
        if let Some(duplex) = &mut self.duplex {
            duplex.hear(&mut self.frame);
        }
        let wanted = if self.hushed > 0 { 0.0 } else { 1.0 };
        self.hushed = self.hushed.saturating_sub(1);
        self.hush.process(wanted, &mut self.frame);
        if !self.params.is_off() {
            self.limiter.process(&mut self.frame);
        }
        write(&self.frame, frame);
        // what is not played again is silence
        self.played.fill(0.0);
    }

    fn reduce(&mut self, learn: bool) {
        let Some(reduction) = &mut self.reduction else {
            return;
        };
        if let Some(echo) = &mut self.echo {
            echo.process(&self.played, &self.frame, learn);
            echo.dispute(&mut self.dispute);
            self.frame.copy_from_slice(echo.error());
            reduction.process(
                &self.frame,
                Some((echo.echo(), &self.dispute, echo.unsure())),
                learn,
            );
        } else {
            reduction.process(&self.frame, None, learn);
        }
        self.shape.set(reduction.gains());
        self.shape.process(&mut self.frame);
        if self.params.noise != NoiseReduction::Off || self.echo.is_some() {
            self.comfort.set(reduction.comfort());
            for sample in &mut self.dispute {
                self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let even = (self.seed >> 8) as f32 / (1_u32 << 23) as f32 - 1.0;
                // variance 1
                *sample = even * 1.732;
            }
            self.comfort.process(&mut self.dispute);
            for (sample, noise) in self.frame.iter_mut().zip(&self.dispute) {
                *sample += noise;
            }
        }
    }
}

fn read(frame: &[i16], out: &mut [f32]) {
    for (o, s) in out.iter_mut().zip(frame) {
        *o = f32::from(*s) / 32_768.0;
    }
}

fn write(samples: &[f32], out: &mut [i16]) {
    for (o, s) in out.iter_mut().zip(samples) {
        let wide = s * 32_768.0;
        // rounded, and ended at the limits of the type, by a cast alone: eight at once
        *o = (wide + 0.5_f32.copysign(wide)) as i16;
    }
}

#[cfg(test)]
mod tests;
