//! Gains per frequency applied with little delay.
//!
//! Gains of bins become a symmetrical filter of 8 ms, so that a sample waits for 4 ms only; two overlapping windows, which
//! is how such gains are applied most often, would take 10 to 20 ms. From frame to frame one filter fades into the next.

use crate::transform::{Bin, Transform};

/// A filter that follows gains.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    transform: Transform,
    /// Samples on each side of the middle.
    reach: usize,
    window: Vec<f32>,
    bins: Vec<Bin>,
    response: Vec<f32>,
    before: Vec<f32>,
    taps: Vec<f32>,
    /// The last samples, then the frame.
    input: Vec<f32>,
}

impl Shape {
    /// For frames of 10 ms.
    pub(crate) fn new(frame: usize) -> Self {
        let reach = Self::delay(frame);
        let count = 2 * reach + 1;
        let window = (0..=reach).map(|n| {
            let angle = std::f32::consts::PI * n as f32 / (reach + 1) as f32;
            0.5 + 0.5 * angle.cos()
        });
        let mut taps = vec![0.0; count];
        taps[reach] = 1.0;
        Self {
            transform: Transform::new(2 * frame),
            reach,
            window: window.collect(),
            bins: vec![Bin::default(); frame + 1],
            response: vec![0.0; 2 * frame],
            before: taps.clone(),
            taps,
            input: vec![0.0; frame + 2 * reach],
        }
    }

    /// Samples by which frames of this length come out later.
    pub(crate) const fn delay(frame: usize) -> usize {
        frame * 2 / 5
    }

    /// Sets the gains, one for each bin of a block of two frames.
    pub(crate) fn set(&mut self, gains: &[f32]) {
        for (bin, gain) in self.bins.iter_mut().zip(gains) {
            *bin = Bin::new(*gain, 0.0);
        }
        self.transform.inverse(&self.bins, &mut self.response);
        std::mem::swap(&mut self.before, &mut self.taps);
        let reach = self.reach;
        for (n, window) in self.window.iter().enumerate() {
            let tap = self.response[n] * window;
            self.taps[reach - n] = tap;
            self.taps[reach + n] = tap;
        }
    }

    /// Filters a frame.
    pub(crate) fn process(&mut self, frame: &mut [f32]) {
        let len = frame.len();
        let kept = 2 * self.reach;
        self.input.copy_within(len.., 0);
        self.input[kept..].copy_from_slice(frame);
        for (n, out) in frame.iter_mut().enumerate() {
            let window = &self.input[n..=n + kept];
            let (mut old, mut new) = ([0.0_f32; 8], [0.0_f32; 8]);
            let (xs, before, taps) = (window.chunks(8), self.before.chunks(8), self.taps.chunks(8));
            for ((x, b), t) in xs.zip(before).zip(taps) {
                for (i, ((x, b), t)) in x.iter().zip(b).zip(t).enumerate() {
                    old[i] += x * b;
                    new[i] += x * t;
                }
            }
            let (old, new): (f32, f32) = (old.iter().sum(), new.iter().sum());
            let share = (n + 1) as f32 / len as f32;
            *out = old + share * (new - old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(gains: &[f32], hz: f32) -> f32 {
        let mut shape = Shape::new(160);
        let mut power = 0.0;
        for block in 0..50 {
            shape.set(gains);
            let mut frame: Vec<f32> = (0..160)
                .map(|n| (std::f32::consts::TAU * hz * (block * 160 + n) as f32 / 16_000.0).sin())
                .collect();
            shape.process(&mut frame);
            if block >= 10 {
                power += frame.iter().map(|s| s * s).sum::<f32>();
            }
        }
        10.0 * (power / 40.0 / 80.0).log10()
    }

    #[test]
    fn gains_reach_their_frequencies_and_no_others() {
        // 50 Hz a bin; everything above 2 kHz is taken away by 40 dB
        let gains: Vec<f32> = (0..161).map(|n| if n <= 40 { 1.0 } else { 0.01 }).collect();
        for (hz, least, most) in [(300.0, -0.1, 0.1), (1_500.0, -0.2, 0.2), (3_000.0, -41.0, -39.0)] {
            let db = through(&gains, hz);
            assert!((least..=most).contains(&db), "{hz} Hz: {db} dB");
        }
    }

    #[test]
    fn open_gains_only_delay() {
        let mut shape = Shape::new(160);
        let input: Vec<f32> = (0..1_600).map(|n| ((n * n) % 97) as f32 / 97.0).collect();
        let mut out = Vec::new();
        for frame in input.chunks(160) {
            shape.set(&[1.0; 161]);
            let mut frame = frame.to_vec();
            shape.process(&mut frame);
            out.extend(frame);
        }
        for (a, b) in input.iter().zip(&out[Shape::delay(160)..]) {
            assert!((a - b).abs() < 1e-4, "{a} became {b}");
        }
    }
}
