//! Hum of the mains, found and taken away: 50 or 60 Hz and what is a multiple of it.
//!
//! Hum stands still: from half second to half second each of its multiples has the same strength and turns on by the same
//! angle, which no voice does. That angle also says by how much the mains are off their nominal frequency. What was found is
//! cut out by notches of 3 Hz, of which a voice loses little. The played side goes through the same notches, so that an echo
//! through them is still an echo of what is known (a notch rings for much longer than any path that a canceller models).

use crate::filter::{Memory, Section};

/// Multiples that are looked for: up to 800 or 960 Hz.
const MULTIPLES: usize = 16;
/// What the mains may have, Hz, and by how much they may be off.
const NOMINAL: [f64; 2] = [50.0, 60.0];
const OFF: f64 = 0.5;
/// Samples per second in which hum is looked for, and of one look.
const RATE: usize = 4_000;
const LOOK: usize = 2_000;
/// Width of a notch, Hz.
const WIDTH: f64 = 3.0;
/// Mean square below which hum disturbs nobody: -78 dB below full scale.
const QUIET: f64 = 1.6e-8;
/// Steadiness from which on something is hum, and below which it no longer is; 1 is a perfect sine.
const STEADY: f64 = 0.88;
const UNSTEADY: f64 = 0.5;
/// What turns by more in a look, in radians, is another tone beside the multiple.
const TURNS: f64 = 1.6;
/// Part of all that is heard that a multiple has at least when it is found: a loud tone elsewhere leaks less into it.
const PART: f64 = 0.003;
/// The same of a further multiple once there is hum: a buzz has many weak ones.
const PART_OF_KNOWN: f64 = 0.000_1;
/// One of so many of the lowest multiples is in all hum.
const LOWEST: usize = 4;
/// Of the look before in what is known.
const SMOOTH: f64 = 0.72;
/// A notch opens or closes by this part a frame.
const FADE: f64 = 0.04;

/// One multiple.
#[derive(Clone, Copy, Debug, Default)]
struct Multiple {
    /// Oscillator, and its turn per sample.
    wave: (f64, f64),
    turn: (f64, f64),
    /// Of this look, and of the one before.
    sum: (f64, f64),
    before: (f64, f64),
    /// Smoothed product of a look with the one before, per power, and smoothed power.
    product: (f64, f64),
    power: f64,
    found: bool,
}

/// One frequency that the mains may have.
#[derive(Clone, Debug)]
struct Mains {
    nominal: f64,
    hz: f64,
    multiples: [Multiple; MULTIPLES],
    /// Sum of squares of this look, and smoothed.
    sum: f64,
    whole: f64,
}

/// Cuts the hum out of what is heard and, alike, out of what was played.
#[derive(Clone, Debug)]
pub(crate) struct Comb {
    rate: usize,
    mains: [Mains; 2],
    /// Low-pass before samples are left out.
    low: [f64; 3],
    samples: usize,
    /// Which of the mains the notches are for.
    used: usize,
    notches: [Section; MULTIPLES],
    depth: [f64; MULTIPLES],
    near: [Memory; MULTIPLES],
    far: [Memory; MULTIPLES],
}

impl Mains {
    fn new(nominal: f64) -> Self {
        let mut mains = Self {
            nominal,
            hz: nominal,
            multiples: [Multiple::default(); MULTIPLES],
            sum: 0.0,
            whole: 0.0,
        };
        for multiple in &mut mains.multiples {
            multiple.wave = (1.0, 0.0);
        }
        mains.tune();
        mains
    }

    fn tune(&mut self) {
        for (n, multiple) in self.multiples.iter_mut().enumerate() {
            let angle = std::f64::consts::TAU * self.hz * (n + 1) as f64 / RATE as f64;
            multiple.turn = (angle.cos(), -angle.sin());
        }
    }

    fn push(&mut self, x: f64) {
        self.sum += x * x;
        for multiple in &mut self.multiples {
            let (wave, turn) = (multiple.wave, multiple.turn);
            multiple.sum.0 += x * wave.0;
            multiple.sum.1 += x * wave.1;
            multiple.wave = times(wave, turn);
        }
    }

    /// Ends a look: what stands still, and how far the frequency is off.
    fn look(&mut self) {
        let (mut off, mut weight) = (0.0, 0.0);
        self.whole = SMOOTH * self.whole + (1.0 - SMOOTH) * std::mem::take(&mut self.sum);
        // a sine of power 1 sums up to a third of this
        let part = if self.found() > 0.0 { PART_OF_KNOWN } else { PART };
        let least = part / 3.0 * self.whole * LOOK as f64;
        for (n, multiple) in self.multiples.iter_mut().enumerate() {
            let seen = multiple.sum;
            let (now, before) = (norm(seen), norm(multiple.before));
            let product = times(seen, (multiple.before.0, -multiple.before.1));
            // each look counts alike, however loud a voice was in it
            let mean = 0.5 * (now + before) + 1e-20;
            multiple.product.0 = SMOOTH * multiple.product.0 + (1.0 - SMOOTH) * product.0 / mean;
            multiple.product.1 = SMOOTH * multiple.product.1 + (1.0 - SMOOTH) * product.1 / mean;
            let bound = if multiple.power > 0.0 {
                4.0 * multiple.power
            } else {
                mean
            };
            multiple.power = SMOOTH * multiple.power + (1.0 - SMOOTH) * mean.min(bound);
            let steady = norm(multiple.product).sqrt();
            // the window halves what a sine sums up to
            let loud = multiple.power > QUIET * 2.0 * (LOOK * LOOK) as f64 / 16.0;
            // by how much it turns in a look; higher multiples turn more and are found once the lower ones are near
            let smooth = multiple.product.1.atan2(multiple.product.0);
            let stands = steady > STEADY && smooth.abs() < TURNS && multiple.power > least;
            multiple.found = loud && (stands || (multiple.found && steady > UNSTEADY));
            let angle = product.1.atan2(product.0);
            if multiple.found && angle.abs() < TURNS {
                let times = (n + 1) as f64;
                off += now * times * angle;
                weight += now * times * times;
            }
            multiple.before = seen;
            multiple.sum = (0.0, 0.0);
            let length = norm(multiple.wave).sqrt();
            multiple.wave = (multiple.wave.0 / length, multiple.wave.1 / length);
        }
        if weight > 0.0 {
            let seconds = LOOK as f64 / RATE as f64;
            let off = off / weight / seconds / std::f64::consts::TAU;
            self.hz = (self.hz + 0.6 * off).clamp(self.nominal - OFF, self.nominal + OFF);
            self.tune();
        }
    }

    /// Power of the hum; 0 if there is none.
    fn found(&self) -> f64 {
        if !self.multiples[..LOWEST].iter().any(|m| m.found) {
            return 0.0;
        }
        self.multiples.iter().filter(|m| m.found).map(|m| m.power).sum()
    }
}

impl Comb {
    /// For a rate that [`RATE`] divides.
    pub(crate) fn new(rate: usize) -> Self {
        Self {
            rate,
            mains: NOMINAL.map(Mains::new),
            low: [0.0; 3],
            samples: 0,
            used: 0,
            notches: notches(rate, NOMINAL[0]),
            depth: [0.0; MULTIPLES],
            near: [Memory::default(); MULTIPLES],
            far: [Memory::default(); MULTIPLES],
        }
    }

    /// Takes the hum out of a frame that was heard, and the same notches out of the one that was played.
    pub(crate) fn process(&mut self, near: &mut [f32], far: &mut [f32]) {
        self.look_for(near);
        let mains = &self.mains[self.used];
        let hum = mains.found() > 0.0;
        let closed = self.depth.iter().all(|d| *d < 0.01);
        for (depth, multiple) in self.depth.iter_mut().zip(&mains.multiples) {
            let wanted = f64::from(u8::from(hum && multiple.found));
            *depth += FADE * (wanted - *depth);
        }
        if closed {
            // the notches are chosen while nobody hears them
            let stronger = usize::from(self.mains[1].found() > self.mains[0].found());
            if stronger != self.used {
                self.used = stronger;
                self.notches = notches(self.rate, self.mains[stronger].hz);
            }
        }
        for n in 0..MULTIPLES {
            cut(&self.notches[n], self.depth[n], &mut self.near[n], near);
            cut(&self.notches[n], self.depth[n], &mut self.far[n], far);
        }
    }

    fn look_for(&mut self, near: &[f32]) {
        let every = self.rate / RATE;
        // 1 kHz, three times
        let weight = 1.0 - (-std::f64::consts::TAU * 1_000.0 / self.rate as f64).exp();
        for (n, sample) in near.iter().enumerate() {
            let mut x = f64::from(*sample) + 1e-20;
            for low in &mut self.low {
                *low += weight * (x - *low);
                x = *low;
            }
            if n % every != 0 {
                continue;
            }
            let angle = std::f64::consts::TAU * (self.samples as f64 + 0.5) / LOOK as f64;
            let windowed = x * (0.5 - 0.5 * angle.cos());
            for mains in &mut self.mains {
                mains.push(windowed);
            }
            self.samples += 1;
            if self.samples == LOOK {
                self.samples = 0;
                for mains in &mut self.mains {
                    mains.look();
                }
                self.notches = notches(self.rate, self.mains[self.used].hz);
            }
        }
    }

    /// Frequency of the mains whose hum is cut out, Hz; `None` if there is none.
    pub(crate) fn found(&self) -> Option<f64> {
        let mains = &self.mains[self.used];
        (mains.found() > 0.0).then_some(mains.hz)
    }
}

fn notches(rate: usize, hz: f64) -> [Section; MULTIPLES] {
    std::array::from_fn(|n| Section::band_pass(rate, hz * (n + 1) as f64, WIDTH))
}

fn cut(notch: &Section, depth: f64, memory: &mut Memory, frame: &mut [f32]) {
    if depth < 0.001 {
        return;
    }
    for sample in frame {
        let x = f64::from(*sample);
        *sample = (x - depth * notch.next(memory, x)) as f32;
    }
}

fn times(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn norm(a: (f64, f64)) -> f64 {
    a.0 * a.0 + a.1 * a.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hum of five multiples for so many seconds; what is left of it in the last second, in dB.
    fn left_of(hz: f64, seconds: usize) -> (Option<f64>, f64) {
        let mut comb = Comb::new(16_000);
        let (mut before, mut after) = (0.0, 0.0);
        for block in 0..seconds * 100 {
            let mut frame: Vec<f32> = (0..160)
                .map(|n| {
                    let t = (block * 160 + n) as f64 / 16_000.0;
                    let sum: f64 = [(1.0, 0.5), (2.0, 1.0), (3.0, 0.7), (5.0, 0.3), (6.0, 0.3)]
                        .iter()
                        .map(|(m, a)| a * (std::f64::consts::TAU * hz * m * t + m).sin())
                        .sum();
                    (0.02 * sum) as f32
                })
                .collect();
            let power = |f: &[f32]| f.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
            let last = block >= (seconds - 1) * 100;
            before += if last { power(&frame) } else { 0.0 };
            comb.process(&mut frame, &mut [0.0; 160]);
            after += if last { power(&frame) } else { 0.0 };
        }
        (comb.found(), 10.0 * (after / before).log10())
    }

    #[test]
    fn hum_is_found_at_the_frequency_that_the_mains_have() {
        for hz in [49.85, 50.0, 50.2, 59.9, 60.05] {
            let (found, db) = left_of(hz, 12);
            let found = found.expect("hum is found");
            assert!((found - hz).abs() < 0.02, "{found} Hz instead of {hz}");
            assert!(db < -25.0, "{db} dB of hum at {hz} Hz are left");
        }
    }

    #[test]
    fn a_tone_between_the_multiples_and_silence_are_no_hum() {
        for hz in [0.0, 132.0, 441.3, 697.0, 750.0] {
            let mut comb = Comb::new(16_000);
            for block in 0..800 {
                let mut frame: Vec<f32> = (0..160)
                    .map(|n| {
                        let t = (block * 160 + n) as f64 / 16_000.0;
                        (0.2 * (std::f64::consts::TAU * hz * t).sin()) as f32
                    })
                    .collect();
                comb.process(&mut frame, &mut [0.0; 160]);
            }
            assert_eq!(comb.found(), None, "{hz} Hz");
        }
    }
}
