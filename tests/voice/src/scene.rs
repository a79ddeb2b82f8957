//! One door for 24 seconds: what the far side says, how it comes back, and what a visitor says.
//!
//! | seconds | far side | visitor | echo path |
//! |---|---|---|---|
//! | 0 to 8 | speaks | silent | the first |
//! | 8 to 13 | speaks | silent | another one |
//! | 13 to 17 | speaks | speaks | the same |
//! | 17 to 20 | speaks | silent | the same |
//! | 20 to 24 | silent | speaks | the same |

use std::ops::Range;

use gateway_voice::{Echo, Params, Voice};

use crate::noise::Noise;
use crate::path::EchoPath;
use crate::{score, speech};

/// Seconds of a scene.
pub const SECONDS: usize = 24;
/// When the path changes, when both speak, when the far side is done.
const CHANGE: usize = 8;
const BOTH: Range<usize> = 13..17;
const DONE: usize = 20;
/// The noise of the place: -70 dB below full scale.
const NOISE: f32 = 3e-4;

/// What kind of path it is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A two-wire line: `loss` of 8 dB.
    Hybrid,
    /// Loudspeaker and microphone in one panel, in a yard with 200 ms of reverberation; `drive` of its loudspeaker.
    Room(f32),
}

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Samples per second: 8000 or 16000.
    pub rate: u32,
    /// Who speaks at the far side first, and who is the visitor.
    pub far: &'static str,
    /// The visitor.
    pub near: &'static str,
    /// Level of the far side, dB below full scale; the visitor is 9 dB weaker.
    pub level: f32,
    /// Path.
    pub kind: Kind,
    /// Delay before the echo, ms.
    pub delay: f32,
}

/// What was measured; dB.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Echo return loss enhancement in each second; where both or only the visitor speak it means nothing.
    pub each: Vec<f32>,
    /// From 2 s of far-end speech until the path changes.
    pub first: f32,
    /// From 2 s after the change until both speak.
    pub changed: f32,
    /// After both have spoken.
    pub after: f32,
    /// What the visitor loses while both speak, all in all, and in the worst second.
    pub both: (f32, f32),
    /// What the visitor loses alone.
    pub alone: f32,
    /// Delay of the voice, ms.
    pub delay: f32,
}

impl Scene {
    fn path(&self, seed: u64) -> EchoPath {
        match self.kind {
            Kind::Hybrid => EchoPath::hybrid(self.rate, seed, self.delay, 8.0),
            Kind::Room(drive) => EchoPath::room(self.rate, seed, self.delay, 3.0, 200.0, drive),
        }
    }

    fn voice(&self, name: &str, level: f32) -> anyhow::Result<Vec<f32>> {
        let wide = speech::at_level(&speech::voice(name)?, level);
        Ok(if self.rate == speech::RATE {
            wide
        } else {
            speech::halved(&wide)
        })
    }

    /// Plays the scene.
    ///
    /// # Errors
    /// Why a recording cannot be read, or the rate is none.
    pub fn play(&self) -> anyhow::Result<Figures> {
        let second = self.rate as usize;
        let mut far = self.voice(self.far, self.level)?;
        for name in ["fr", "es"] {
            far.extend(self.voice(name, self.level)?);
        }
        far.truncate(DONE * second);
        far.resize(SECONDS * second, 0.0);
        // on the wire and at the converter there are 16 bits
        let far: Vec<i16> = far.iter().map(|s| (s * 32_768.0) as i16).collect();
        let played: Vec<f32> = far.iter().map(|s| f32::from(*s) / 32_768.0).collect();
        let before = self.path(1).echo(&played);
        let mut echo = self.path(2).echo(&played);
        echo[..CHANGE * second].copy_from_slice(&before[..CHANGE * second]);
        let visitor = self.voice(self.near, self.level - 9.0)?;
        let mut near = vec![0.0; far.len()];
        for at in [BOTH.start, DONE] {
            let count = (BOTH.end - BOTH.start) * second;
            near[at * second..at * second + count].copy_from_slice(&visitor[second / 2..second / 2 + count]);
        }
        let mut noise = Noise::new(5);
        let params = Params {
            echo: match self.kind {
                Kind::Hybrid => Echo::Hybrid,
                Kind::Room(_) => Echo::Speaker,
            },
            ..Params::default()
        };
        let mut treated = Voice::new(params, self.rate)?;
        let mut out = Vec::with_capacity(far.len());
        let mut at = 0;
        for frame in far.chunks(second / 100) {
            let mut heard: Vec<i16> = (at..at + frame.len())
                .map(|n| ((echo[n] + near[n] + noise.normal() * NOISE) * 32_768.0).round() as i16)
                .collect();
            treated.play(&mut frame.to_vec());
            treated.hear(&mut heard);
            out.extend(heard.iter().map(|s| f32::from(*s) / 32_768.0));
            at += frame.len();
        }
        let delay = treated.delay();
        // compared with what went in, not with what comes later
        out.drain(..delay);
        out.resize(far.len(), 0.0);
        let erle = |seconds: Range<usize>| {
            let part = seconds.start * second..seconds.end * second;
            score::erle(&echo[part.clone()], &out[part])
        };
        let loss = |seconds: Range<usize>| {
            let part = seconds.start * second..seconds.end * second;
            score::loss(&near[part.clone()], &out[part])
        };
        Ok(Figures {
            each: (0..SECONDS).map(|n| erle(n..n + 1)).collect(),
            first: erle(2..CHANGE),
            changed: erle(CHANGE + 2..BOTH.start),
            after: erle(BOTH.end..DONE),
            both: (loss(BOTH), BOTH.map(|n| loss(n..n + 1)).fold(0.0, f32::max)),
            alone: loss(DONE..SECONDS - 1),
            delay: delay as f32 * 1_000.0 / self.rate as f32,
        })
    }
}

/// The scenes of the table.
#[must_use]
pub fn all() -> Vec<Scene> {
    let mut all = Vec::new();
    let voices = [("en", "ru"), ("de", "us"), ("us", "de"), ("ru", "en")];
    for rate in [16_000, 8_000] {
        for kind in [Kind::Hybrid, Kind::Room(0.0), Kind::Room(0.7)] {
            for (n, (level, delay)) in [(-30.0, 0.5), (-20.0, 20.0), (-12.0, 60.0), (-6.0, 10.0)]
                .into_iter()
                .enumerate()
            {
                let (far, near) = voices[n];
                all.push(Scene {
                    rate,
                    far,
                    near,
                    level,
                    kind,
                    delay,
                });
            }
        }
    }
    all
}

/// A few of them, one of each kind and level.
#[must_use]
pub fn spread() -> Vec<Scene> {
    all().into_iter().step_by(3).collect()
}
