//! Spectra of real blocks, without an allocation per block.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A bin of a spectrum.
pub(crate) type Bin = Complex<f32>;

/// Fourier transform of one length, forward and back.
#[derive(Clone)]
pub(crate) struct Transform {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    scratch: Vec<Bin>,
    /// Both directions use their input as scratch space.
    time: Vec<f32>,
    bins: Vec<Bin>,
}

impl std::fmt::Debug for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transform")
            .field("len", &self.time.len())
            .finish_non_exhaustive()
    }
}

impl Transform {
    /// For blocks of `len` samples, an even number.
    pub(crate) fn new(len: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(len);
        let inverse = planner.plan_fft_inverse(len);
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            scratch: vec![Bin::default(); scratch],
            time: vec![0.0; len],
            bins: vec![Bin::default(); len / 2 + 1],
            forward,
            inverse,
        }
    }

    /// Spectrum of a block: `len / 2 + 1` bins, not scaled.
    pub(crate) fn forward(&mut self, time: &[f32], bins: &mut [Bin]) {
        self.time.copy_from_slice(time);
        let done = self
            .forward
            .process_with_scratch(&mut self.time, bins, &mut self.scratch);
        debug_assert!(done.is_ok(), "all lengths are those of the plan");
    }

    /// The block of a spectrum, so that [`Self::forward`] and this one give back what was there.
    pub(crate) fn inverse(&mut self, bins: &[Bin], time: &mut [f32]) {
        self.bins.copy_from_slice(bins);
        // both are real in the spectrum of a real block
        if let Some(first) = self.bins.first_mut() {
            first.im = 0.0;
        }
        if let Some(last) = self.bins.last_mut() {
            last.im = 0.0;
        }
        let done = self
            .inverse
            .process_with_scratch(&mut self.bins, time, &mut self.scratch);
        debug_assert!(done.is_ok(), "all lengths are those of the plan");
        let scale = 1.0 / time.len() as f32;
        for sample in time {
            *sample *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_what_was_there() {
        for len in [160, 320, 512, 960] {
            let block: Vec<f32> = (0..len).map(|n| ((n * n * 37) % 101) as f32 - 50.0).collect();
            let mut transform = Transform::new(len);
            let mut bins = vec![Bin::default(); len / 2 + 1];
            transform.forward(&block, &mut bins);
            let sum: f32 = block.iter().sum();
            assert!((bins[0].re - sum).abs() < 0.1, "{} instead of {sum}", bins[0].re);
            let mut back = vec![0.0; len];
            transform.inverse(&bins, &mut back);
            for (a, b) in block.iter().zip(&back) {
                assert!((a - b).abs() < 1e-3, "{a} became {b}");
            }
        }
    }
}
