//! Hum of the mains below a voice, and noise beside it.

use gateway_voice::{NoiseReduction, Params, Voice};

use crate::noise::Noise;
use crate::{score, speech};

/// What was measured; dB.
#[derive(Clone, Copy, Debug)]
pub struct HumFigures {
    /// By how much the hum is weaker.
    pub reduction: f32,
    /// What the voice loses meanwhile.
    pub loss: f32,
    /// Frequency that was found, Hz.
    pub found: Option<f64>,
}

/// What hum is made of: multiples of the mains, and how strong they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A transformer near by: six of the lowest.
    Transformer,
    /// A transformer that is driven too far: odd ones, each weaker than the one before.
    Odd,
    /// Dimmers and supplies: all up to 960 Hz, the nth a part of n of the first.
    Buzz,
}

impl Shape {
    /// All there are, with their names.
    pub const ALL: [(&'static str, Self); 3] = [
        ("transformer", Self::Transformer),
        ("odd multiples", Self::Odd),
        ("buzz", Self::Buzz),
    ];

    fn multiples(self) -> Vec<(f64, f64)> {
        match self {
            Self::Transformer => vec![
                (1.0, 1.0),
                (2.0, 0.8),
                (3.0, 0.6),
                (4.0, 0.4),
                (6.0, 0.3),
                (8.0, 0.2),
            ],
            Self::Odd => vec![
                (1.0, 1.0),
                (3.0, 0.6),
                (5.0, 0.4),
                (7.0, 0.3),
                (9.0, 0.2),
                (11.0, 0.15),
                (13.0, 0.1),
            ],
            Self::Buzz => (1..=16_u8).map(|n| (f64::from(n), 1.0 / f64::from(n))).collect(),
        }
    }
}

/// A visitor at -26 dB speaks over hum of -36 dB: 8 s with the hum, and 6 s of the hum alone, of which the
/// last is measured.
///
/// # Errors
/// Why a recording cannot be read.
pub fn hum(hz: f64, shape: Shape, name: &str) -> anyhow::Result<HumFigures> {
    let rate = speech::RATE as usize;
    let mut voice = speech::at_level(&speech::voice(name)?, -26.0);
    voice.resize(14 * rate, 0.0);
    let multiples = shape.multiples();
    let power: f64 = multiples.iter().map(|(_, a)| a * a / 2.0).sum();
    let factor = (10_f64.powf(-3.6) / power).sqrt();
    let hum: Vec<f32> = (0..voice.len())
        .map(|n| {
            let t = n as f64 / rate as f64;
            let sum: f64 = multiples
                .iter()
                .map(|(m, a)| a * (std::f64::consts::TAU * hz * m * t + m).sin())
                .sum();
            (sum * factor) as f32
        })
        .collect();
    let params = Params {
        hum: true,
        ..Params::default()
    };
    let (out, treated) = through(params, &mix(&voice, &hum))?;
    let alone = 13 * rate..14 * rate;
    Ok(HumFigures {
        reduction: score::power(&hum[alone.clone()]) - score::power(&out[alone]),
        loss: score::loss(&voice[4 * rate..8 * rate], &out[4 * rate..8 * rate]),
        found: treated.hum(),
    })
}

/// By how much noise of -46 dB is weaker between words, and what a voice of -26 dB loses.
///
/// # Errors
/// Why a recording cannot be read.
pub fn noise(reduction: NoiseReduction, name: &str) -> anyhow::Result<(f32, f32)> {
    let rate = speech::RATE as usize;
    let mut voice = vec![0.0; 2 * rate];
    voice.extend(speech::at_level(&speech::voice(name)?, -26.0));
    voice.resize(12 * rate, 0.0);
    let mut random = Noise::new(9);
    let noise: Vec<f32> = voice.iter().map(|_| random.normal() * 0.005).collect();
    let params = Params {
        noise: reduction,
        ..Params::default()
    };
    let (mut out, treated) = through(params, &mix(&voice, &noise))?;
    out.drain(..treated.delay());
    out.resize(voice.len(), 0.0);
    let (speaks, pause) = (3 * rate..9 * rate, 11 * rate..12 * rate);
    Ok((
        score::power(&noise[pause.clone()]) - score::power(&out[pause]),
        score::loss(&voice[speaks.clone()], &out[speaks]),
    ))
}

fn mix(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn through(params: Params, input: &[f32]) -> anyhow::Result<(Vec<f32>, Voice)> {
    let mut voice = Voice::new(params, speech::RATE)?;
    let mut out = Vec::with_capacity(input.len());
    for chunk in input.chunks(speech::RATE as usize / 100) {
        let mut frame: Vec<i16> = chunk.iter().map(|s| (s * 32_768.0).round() as i16).collect();
        voice.hear(&mut frame);
        out.extend(frame.iter().map(|s| f32::from(*s) / 32_768.0));
    }
    Ok((out, voice))
}
