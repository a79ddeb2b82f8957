//! Sections of second order, in double precision: at 50 Hz and 16 kHz single precision is too coarse.

use std::f64::consts::{SQRT_2, TAU};

/// Keeps silence from ending in numbers that are slow to reckon with.
const TRACE: f64 = 1e-20;

/// Coefficients, the leading one of the recursive part being 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    b: [f64; 3],
    a: [f64; 2],
}

/// What a section remembers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory(f64, f64);

impl Section {
    /// Butterworth high-pass of second order; -3 dB at `hz`.
    pub(crate) fn high_pass(rate: usize, hz: f64) -> Self {
        let turn = TAU * hz / rate as f64;
        let alpha = turn.sin() / SQRT_2;
        let (cos, scale) = (turn.cos(), 1.0 / (1.0 + alpha));
        let b = (1.0 + cos) / 2.0 * scale;
        Self {
            b: [b, -2.0 * b, b],
            a: [-2.0 * cos * scale, (1.0 - alpha) * scale],
        }
    }

    /// Band-pass of gain 1 at `hz`, `width` Hz wide.
    pub(crate) fn band_pass(rate: usize, hz: f64, width: f64) -> Self {
        let turn = TAU * hz / rate as f64;
        let alpha = (TAU * width / rate as f64 / 2.0).tan();
        let scale = 1.0 / (1.0 + alpha);
        Self {
            b: [alpha * scale, 0.0, -alpha * scale],
            a: [-2.0 * turn.cos() * scale, (1.0 - alpha) * scale],
        }
    }

    /// The next sample.
    pub(crate) fn next(&self, memory: &mut Memory, x: f64) -> f64 {
        let x = x + TRACE;
        let y = self.b[0] * x + memory.0;
        memory.0 = self.b[1] * x - self.a[0] * y + memory.1;
        memory.1 = self.b[2] * x - self.a[1] * y;
        y
    }
}

/// Takes away what is below voices: wind, rumble, and direct current.
#[derive(Clone, Debug)]
pub(crate) struct HighPass {
    section: Section,
    memory: Memory,
}

/// -3 dB at this frequency; a voice has little below 100 Hz that a telephone passes.
const LOWEST: f64 = 80.0;

impl HighPass {
    pub(crate) fn new(rate: usize) -> Self {
        Self {
            section: Section::high_pass(rate, LOWEST),
            memory: Memory::default(),
        }
    }

    pub(crate) fn process(&mut self, frame: &mut [f32]) {
        for sample in frame {
            *sample = self.section.next(&mut self.memory, f64::from(*sample)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(section: Section, hz: f64) -> f64 {
        let mut memory = Memory::default();
        let mut most = 0.0_f64;
        for n in 0..32_000 {
            let y = section.next(&mut memory, (TAU * hz * f64::from(n) / 16_000.0).sin());
            if n > 16_000 {
                most = most.max(y.abs());
            }
        }
        20.0 * most.log10()
    }

    #[test]
    fn a_high_pass_keeps_voices() {
        let section = Section::high_pass(16_000, LOWEST);
        for (hz, least, most) in [
            (10.0, -40.0, -35.0),
            (80.0, -3.1, -2.9),
            (200.0, -0.2, 0.0),
            (4_000.0, -0.01, 0.01),
        ] {
            let db = gain(section, hz);
            assert!((least..=most).contains(&db), "{hz} Hz: {db} dB");
        }
    }

    #[test]
    fn a_band_pass_is_as_wide_as_told() {
        let section = Section::band_pass(16_000, 150.0, 3.0);
        for (hz, least, most) in [
            (150.0, -0.01, 0.01),
            (151.5, -3.2, -2.8),
            (148.5, -3.2, -2.8),
            (200.0, -36.0, -29.0),
        ] {
            let db = gain(section, hz);
            assert!((least..=most).contains(&db), "{hz} Hz: {db} dB");
        }
    }
}
