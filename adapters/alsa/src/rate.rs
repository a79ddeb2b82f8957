//! Samples of one rate as samples of another, at a ratio that may be trimmed while it runs: a windowed sinc, read between two of
//! its phases.

use std::f64::consts::PI;

/// Zero crossings of the sinc to each side, at the lower of both rates.
const HALF: f64 = 16.0;
/// Phases that are kept; what lies between two of them is read on a line, 90 dB below the signal and less.
const PHASES: usize = 256;
/// End of the pass band, as a share of half the lower rate.
const PASS: f64 = 0.92;
/// Shape of the window (Kaiser): 80 dB down beyond the pass band.
const BETA: f64 = 8.0;
/// Furthest trim: clocks of cards are within 0.02 %, and this brings 10 ms back in 5 s.
pub(crate) const TRIM: f64 = 0.002;

/// Converts one stream.
#[derive(Debug)]
pub(crate) struct Resampler {
    /// Where the next output lies in `history`, in samples.
    at: f64,
    /// `PHASES + 1` rows of `taps`.
    bank: Vec<f32>,
    history: Vec<f32>,
    /// Input samples per output sample, untrimmed.
    nominal: f64,
    step: f64,
    taps: usize,
}

/// Modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..60 {
        let half = x / 2.0 / f64::from(n);
        term *= half * half;
        sum += term;
    }
    sum
}

impl Resampler {
    /// From one rate to another, in samples a second.
    pub(crate) fn new(from: u32, to: u32) -> Self {
        let nominal = f64::from(from) / f64::from(to);
        let wide = nominal.max(1.0);
        let side = (HALF * wide).ceil();
        let taps = 2 * side as usize;
        let cutoff = PASS / wide;
        let mut bank = Vec::with_capacity((PHASES + 1) * taps);
        for phase in 0..=PHASES {
            let row = bank.len();
            for tap in 0..taps {
                let x = tap as f64 - (side - 1.0) - phase as f64 / PHASES as f64;
                let sinc = if x.abs() < 1e-12 {
                    1.0
                } else {
                    (PI * cutoff * x).sin() / (PI * cutoff * x)
                };
                let inside = 1.0 - (x / side).powi(2);
                bank.push((sinc * bessel(BETA * inside.max(0.0).sqrt())) as f32);
            }
            // each phase passes a constant as it is
            let sum: f32 = bank[row..].iter().sum();
            bank[row..].iter_mut().for_each(|tap| *tap /= sum);
        }
        Self {
            at: 0.0,
            bank,
            history: vec![0.0; taps],
            nominal,
            step: nominal,
            taps,
        }
    }

    /// Makes so much less out of the same input, as a share; negative is more. At most [`TRIM`] either way.
    pub(crate) fn trim(&mut self, by: f64) {
        self.step = self.nominal * (1.0 + by.clamp(-TRIM, TRIM));
    }

    /// Takes samples and appends what comes of them.
    pub(crate) fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        self.history.extend(input.iter().map(|s| f32::from(*s)));
        while self.at as usize + self.taps <= self.history.len() {
            let whole = self.at as usize;
            let between = (self.at - whole as f64) * PHASES as f64;
            let phase = between as usize;
            let share = (between - phase as f64) as f32;
            let row = |n: usize| &self.bank[n * self.taps..][..self.taps];
            let (first, second) = (row(phase), row((phase + 1).min(PHASES)));
            let taken = &self.history[whole..][..self.taps];
            let mut sums = (0.0_f32, 0.0_f32);
            for ((sample, a), b) in taken.iter().zip(first).zip(second) {
                sums.0 += sample * a;
                sums.1 += sample * b;
            }
            let sample = sums.0 + (sums.1 - sums.0) * share;
            output.push(sample.round().clamp(-32768.0, 32767.0) as i16);
            self.at += self.step;
        }
        let whole = (self.at as usize).min(self.history.len());
        self.history.drain(..whole);
        self.at -= whole as f64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tone(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
        let step = 2.0 * PI * hz / f64::from(rate);
        (0..samples)
            .map(|n| ((step * n as f64).sin() * 10_000.0).round() as i16)
            .collect()
    }

    /// Signal to everything else, in dB, of what should be a tone of this frequency.
    fn purity(samples: &[i16], hz: f64, rate: u32) -> f64 {
        let step = 2.0 * PI * hz / f64::from(rate);
        let of = |wave: fn(f64) -> f64| -> f64 {
            let sum: f64 = samples
                .iter()
                .enumerate()
                .map(|(n, s)| f64::from(*s) * wave(step * n as f64))
                .sum();
            sum * 2.0 / samples.len() as f64
        };
        let (sine, cosine) = (of(f64::sin), of(f64::cos));
        let rest: f64 = samples
            .iter()
            .enumerate()
            .map(|(n, s)| {
                let at = step * n as f64;
                (f64::from(*s) - sine * at.sin() - cosine * at.cos()).powi(2)
            })
            .sum();
        let signal = (sine.powi(2) + cosine.powi(2)) / 2.0 * samples.len() as f64;
        10.0 * (signal / rest.max(1e-9)).log10()
    }

    #[test]
    fn a_tone_stays_the_tone_it_was_at_every_rate_of_cards() {
        for rate in [8_000, 16_000, 32_000, 44_100, 48_000, 96_000] {
            for (from, to) in [(rate, 16_000), (16_000, rate)] {
                let input = tone(1000.0, from, from as usize);
                let mut output = vec![];
                let mut converter = Resampler::new(from, to);
                // in pieces, as a card hands them over
                for piece in input.chunks(from as usize / 100) {
                    converter.process(piece, &mut output);
                }
                assert!(
                    output.len().abs_diff(to as usize) < 200,
                    "{from} to {to}: {}",
                    output.len()
                );
                // one second less its ends holds whole periods
                let steady = &output[to as usize / 10..][..to as usize * 8 / 10];
                let pure = purity(steady, 1000.0, to);
                assert!(pure > 60.0, "{from} to {to}: {pure} dB");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_taken_away() {
        let mut output = vec![];
        Resampler::new(48_000, 16_000).process(&tone(9_500.0, 48_000, 48_000), &mut output);
        let loudest = output[400..].iter().map(|s| s.unsigned_abs()).max();
        assert!(loudest < Some(20), "{loudest:?}");
    }

    #[test]
    fn a_trim_makes_less_or_more_of_the_same() {
        let count = |by: f64| {
            let mut converter = Resampler::new(48_000, 16_000);
            converter.trim(by);
            let mut output = vec![];
            converter.process(&[0; 480_000], &mut output);
            output.len()
        };
        let (more, same, less) = (count(-0.001), count(0.0), count(0.001));
        assert!(same.abs_diff(160_000) <= 32);
        assert!((more - same).abs_diff(160) <= 1 && (same - less).abs_diff(160) <= 1);
        // never further than the bound
        assert_eq!(count(1.0), count(TRIM));
    }

    proptest! {
        #[test]
        fn no_sound_makes_a_panic_or_keeps_more_than_it_needs(
            input in proptest::collection::vec(any::<i16>(), 0..2000),
            from in 4_000_u32..200_000,
            trims in proptest::collection::vec(-1.0_f64..1.0, 1..8),
        ) {
            let mut converter = Resampler::new(from, 16_000);
            let mut output = vec![];
            for trim in trims {
                converter.trim(trim);
                converter.process(&input, &mut output);
                prop_assert!(converter.history.len() <= converter.taps + 20);
            }
        }
    }
}
