//! Packet loss concealment in the manner of G.711 Appendix I: the last pitch period is repeated and faded out.
//!
//! Differences: no delay of 3.75 ms (the repeated period begins one period back, where the wave fits by
//! itself), and the seam of the period is cross-faded instead.

/// History: 48.75 ms at 8 kHz.
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

/// Conceals gaps in a stream of 8 kHz samples.
#[derive(Clone, Debug)]
pub struct Concealment {
    history: [i16; HISTORY],
    /// The period that is repeated.
    period: [i16; LONGEST],
    length: usize,
    position: usize,
    /// Samples concealed in this gap.
    concealed: usize,
}

impl Default for Concealment {
    fn default() -> Self {
        Self {
            history: [0; HISTORY],
            period: [0; LONGEST],
            length: 0,
            position: 0,
            concealed: 0,
        }
    }
}

impl Concealment {
    /// Takes good samples, at most 390; the first after a gap are blended with the concealment.
    pub fn good(&mut self, samples: &mut [i16]) {
        if self.concealed > 0 {
            let n = FADE.min(samples.len());
            for (i, s) in samples.iter_mut().take(n).enumerate() {
                let old = self.next();
                *s = blend(old, *s, i, n);
            }
            self.concealed = 0;
        }
        self.remember(samples);
    }

    /// Fills a gap, at most 390 samples at a time.
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

    fn remember(&mut self, samples: &[i16]) {
        let n = samples.len().min(HISTORY);
        self.history.copy_within(n.., 0);
        self.history[HISTORY - n..].copy_from_slice(&samples[samples.len() - n..]);
    }

    fn next(&mut self) -> i16 {
        if self.concealed >= QUIET_AFTER || self.length == 0 {
            self.concealed = self.concealed.max(1);
            return 0;
        }
        let sample = i32::from(self.period[self.position]);
        self.position = (self.position + 1) % self.length;
        let left = QUIET_AFTER - self.concealed.max(FULL);
        self.concealed += 1;
        let scale = i32::try_from(left).unwrap_or(0);
        (sample * scale / (QUIET_AFTER - FULL) as i32) as i16
    }

    fn start(&mut self) {
        self.length = self.pitch();
        self.position = 0;
        let from = HISTORY - self.length;
        self.period[..self.length].copy_from_slice(&self.history[from..]);
        // The end of the period runs into its own beginning: blend with what came before the beginning.
        let n = self.length / 4;
        for i in 0..n {
            let at = self.length - n + i;
            self.period[at] = blend(self.period[at], self.history[from - n + i], i, n);
        }
    }

    /// The lag with the highest normalised correlation: first every second lag on every second sample, then
    /// its neighbours.
    fn pitch(&self) -> usize {
        let mut best = (SHORTEST, f32::MIN);
        for lag in (SHORTEST..=LONGEST).step_by(2) {
            let score = self.likeness(lag, 2);
            if score > best.1 {
                best = (lag, score);
            }
        }
        let coarse = best.0;
        best.1 = f32::MIN;
        for lag in coarse.saturating_sub(1).max(SHORTEST)..=(coarse + 1).min(LONGEST) {
            let score = self.likeness(lag, 1);
            if score > best.1 {
                best = (lag, score);
            }
        }
        best.0
    }

    fn likeness(&self, lag: usize, step: usize) -> f32 {
        let recent = &self.history[HISTORY - COMPARED..];
        let before = &self.history[HISTORY - COMPARED - lag..HISTORY - lag];
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

    fn wave(from: usize, n: usize) -> Vec<i16> {
        (from..from + n)
            .map(|i| {
                let t = i as f64 / 8_000.0;
                let a = (2.0 * std::f64::consts::PI * 125.0 * t).sin() * 6_000.0;
                let b = (2.0 * std::f64::consts::PI * 375.0 * t).sin() * 3_000.0;
                (a + b) as i16
            })
            .collect()
    }

    #[test]
    fn a_periodic_wave_goes_on_through_a_short_gap() {
        let mut c = Concealment::default();
        for n in 0..10 {
            c.good(&mut wave(n * 80, 80));
        }
        let mut gap = [0; 80];
        c.conceal(&mut gap);
        let wanted = wave(800, 80);
        let error: f64 = gap
            .iter()
            .zip(&wanted)
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum();
        let power: f64 = wanted.iter().map(|b| f64::from(*b).powi(2)).sum();
        assert!(
            error < power / 100.0,
            "error {:.1} dB",
            10.0 * (error / power).log10()
        );
    }

    #[test]
    fn a_long_gap_fades_to_silence_and_recovers_without_a_step() {
        let mut c = Concealment::default();
        for n in 0..10 {
            c.good(&mut wave(n * 80, 80));
        }
        let mut gap = [1; 80];
        for _ in 0..7 {
            c.conceal(&mut gap);
        }
        assert_eq!(gap, [0; 80]);
        assert!(c.is_concealing());
        let mut back = [9_000; 80];
        c.good(&mut back);
        assert!(back[0] < 400 && back[79] == 9_000 && !c.is_concealing());
    }
}
