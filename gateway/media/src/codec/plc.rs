//! Packet loss concealment in the manner of G.711 Appendix I: the last pitch period is repeated and faded out. For
//! codecs without concealment of their own, at 8 and at 16 kHz.
//!
//! Differences: no delay of 3.75 ms (the repeated period begins one period back, where the wave fits by
//! itself), and the seam of the period is cross-faded instead.

/// Lengths in samples at 8 kHz; at 16 kHz twice as many. History: 48.75 ms.
const HISTORY: usize = 390;
/// Pitch periods looked for: 5 ms (200 Hz) to 15 ms (66 Hz).
const SHORTEST: usize = 40;
const LONGEST: usize = 120;
/// Samples compared in the search: 20 ms.
const COMPARED: usize = 160;
/// Cross-fade, 4 ms.
const FADE: usize = 32;
/// Fully quiet after 60 ms.
const QUIET_AFTER: usize = 480;
/// No attenuation in the first 10 ms.
const FULL: usize = 80;

/// Conceals gaps in a stream of samples.
#[derive(Clone, Debug)]
pub struct Concealment {
    /// Samples for each sample at 8 kHz: 1 or 2.
    scale: usize,
    /// The newest is the last.
    history: [i16; 2 * HISTORY],
    /// The period that is repeated.
    period: [i16; 2 * LONGEST],
    length: usize,
    position: usize,
    /// Samples concealed in this gap.
    concealed: usize,
}

impl Concealment {
    /// For samples at `rate`, 8000 or 16000 Hz.
    #[must_use]
    pub const fn new(rate: u32) -> Self {
        Self {
            scale: if rate > 8_000 { 2 } else { 1 },
            history: [0; 2 * HISTORY],
            period: [0; 2 * LONGEST],
            length: 0,
            position: 0,
            concealed: 0,
        }
    }

    /// Takes good samples; the first after a gap are blended with the concealment.
    pub fn good(&mut self, samples: &mut [i16]) {
        if self.concealed > 0 {
            let n = (FADE * self.scale).min(samples.len());
            for (i, s) in samples.iter_mut().take(n).enumerate() {
                let old = self.next();
                *s = blend(old, *s, i, n);
            }
            self.concealed = 0;
        }
        self.remember(samples);
    }

    /// Fills a gap.
    pub fn conceal(&mut self, out: &mut [i16]) {
        if self.concealed == 0 {
            self.start();
        }
        for s in out.iter_mut() {
            *s = self.next();
        }
        self.remember(out);
    }

    /// True while a gap is concealed.
    #[must_use]
    pub const fn is_concealing(&self) -> bool {
        self.concealed > 0
    }

    /// What is kept: as long a time at either rate.
    fn history(&self) -> &[i16] {
        &self.history[(2 - self.scale) * HISTORY..]
    }

    fn remember(&mut self, samples: &[i16]) {
        let all = &mut self.history[(2 - self.scale) * HISTORY..];
        let n = samples.len().min(all.len());
        all.copy_within(n.., 0);
        let from = all.len() - n;
        all[from..].copy_from_slice(&samples[samples.len() - n..]);
    }

    fn next(&mut self) -> i16 {
        let (full, quiet) = (FULL * self.scale, QUIET_AFTER * self.scale);
        if self.concealed >= quiet || self.length == 0 {
            self.concealed = self.concealed.max(1);
            return 0;
        }
        let sample = i32::from(self.period[self.position]);
        self.position = (self.position + 1) % self.length;
        let left = quiet - self.concealed.max(full);
        self.concealed += 1;
        let scale = i32::try_from(left).unwrap_or(0);
        (sample * scale / (quiet - full) as i32) as i16
    }

    fn start(&mut self) {
        let length = self.pitch();
        let history = &self.history[(2 - self.scale) * HISTORY..];
        let from = history.len() - length;
        self.length = length;
        self.position = 0;
        self.period[..length].copy_from_slice(&history[from..]);
        // The end of the period runs into its own beginning: blend with what came before the beginning.
        let n = length / 4;
        for i in 0..n {
            let at = length - n + i;
            self.period[at] = blend(self.period[at], history[from - n + i], i, n);
        }
    }

    /// The lag with the highest normalised correlation: first every second lag on every second sample at 8 kHz, then
    /// its neighbours.
    fn pitch(&self) -> usize {
        let coarse = 2 * self.scale;
        let best = self.best(
            (SHORTEST * self.scale..=LONGEST * self.scale).step_by(coarse),
            coarse,
        );
        let near = best.saturating_sub(coarse - 1).max(SHORTEST * self.scale);
        self.best(near..=(best + coarse - 1).min(LONGEST * self.scale), self.scale)
    }

    fn best(&self, lags: impl Iterator<Item = usize>, step: usize) -> usize {
        let mut best = (SHORTEST * self.scale, f32::MIN);
        for lag in lags {
            let score = self.likeness(lag, step);
            if score > best.1 {
                best = (lag, score);
            }
        }
        best.0
    }

    fn likeness(&self, lag: usize, step: usize) -> f32 {
        let history = self.history();
        let from = history.len() - COMPARED * self.scale;
        let recent = &history[from..];
        let before = &history[from - lag..history.len() - lag];
        let mut product = 0.0f32;
        let mut energy = 1.0f32;
        for (a, b) in recent.iter().step_by(step).zip(before.iter().step_by(step)) {
            product += f32::from(*a) * f32::from(*b);
            energy += f32::from(*b) * f32::from(*b);
        }
        product / energy.sqrt()
    }
}

/// From `old` to `new`, at step `i` of `n`.
fn blend(old: i16, new: i16, i: usize, n: usize) -> i16 {
    let (i, n) = (
        i32::try_from(i).unwrap_or(0),
        i32::try_from(n).unwrap_or(1).max(1),
    );
    ((i32::from(old) * (n - i) + i32::from(new) * i) / n) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(rate: u32, from: usize, n: usize) -> Vec<i16> {
        (from..from + n)
            .map(|i| {
                let t = i as f64 / f64::from(rate);
                let a = (2.0 * std::f64::consts::PI * 125.0 * t).sin() * 6_000.0;
                let b = (2.0 * std::f64::consts::PI * 375.0 * t).sin() * 3_000.0;
                (a + b) as i16
            })
            .collect()
    }

    #[test]
    fn a_periodic_wave_goes_on_through_a_short_gap() {
        for rate in [8_000, 16_000] {
            let n = rate as usize / 100;
            let mut c = Concealment::new(rate);
            for at in 0..10 {
                c.good(&mut wave(rate, at * n, n));
            }
            let mut gap = vec![0; n];
            c.conceal(&mut gap);
            let wanted = wave(rate, 10 * n, n);
            let error: f64 = gap
                .iter()
                .zip(&wanted)
                .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                .sum();
            let power: f64 = wanted.iter().map(|b| f64::from(*b).powi(2)).sum();
            assert!(
                error < power / 100.0,
                "error {:.1} dB at {rate} Hz",
                10.0 * (error / power).log10()
            );
        }
    }

    #[test]
    fn a_long_gap_fades_to_silence_and_recovers_without_a_step() {
        for rate in [8_000, 16_000] {
            let n = rate as usize / 100;
            let mut c = Concealment::new(rate);
            for at in 0..10 {
                c.good(&mut wave(rate, at * n, n));
            }
            let mut gap = vec![1; n];
            for _ in 0..7 {
                c.conceal(&mut gap);
            }
            assert_eq!(gap, vec![0; n]);
            assert!(c.is_concealing());
            let mut back = vec![9_000; n];
            c.good(&mut back);
            assert!(back[0] < 400 && back[n - 1] == 9_000 && !c.is_concealing());
        }
    }
}
