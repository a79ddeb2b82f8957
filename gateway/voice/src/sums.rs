//! Sums of many products. A sum in strict order waits for each addition before the next; several side by side are as exact
//! and many times as quick.

use crate::transform::Bin;

/// Sums side by side.
const LANES: usize = 8;

/// Sum of the products of both, as far as the shorter one goes.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let count = a.len().min(b.len());
    let (a, b) = (&a[..count], &b[..count]);
    let (blocks_a, blocks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = blocks_a
        .remainder()
        .iter()
        .zip(blocks_b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    let mut sums = [0.0; LANES];
    for (a, b) in blocks_a.zip(blocks_b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Sum of squares.
pub(crate) fn power(samples: &[f32]) -> f32 {
    dot(samples, samples)
}

/// Sum of the squared magnitudes.
pub(crate) fn norm(bins: &[Bin]) -> f32 {
    let blocks = bins.chunks_exact(LANES);
    let rest: f32 = blocks.remainder().iter().map(Bin::norm_sqr).sum();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, bin) in sums.iter_mut().zip(block) {
            *sum += bin.norm_sqr();
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_length_is_nothing_is_left_out() {
        for count in [0_u8, 1, 7, 8, 9, 160] {
            let a: Vec<f32> = (0..count).map(f32::from).collect();
            let exact: f32 = a.iter().map(|a| 3.0 * a).sum();
            assert!((dot(&a, &vec![3.0; a.len()]) - exact).abs() < 1e-3);
            let bins: Vec<Bin> = a.iter().map(|a| Bin::new(*a, 1.0)).collect();
            let exact: f32 = a.iter().map(|a| a * a + 1.0).sum();
            assert!((norm(&bins) - exact).abs() <= 1e-6 * exact);
            assert!((power(&a) - (exact - f32::from(count))).abs() <= 1e-5 * exact);
        }
        assert!((dot(&[1.0, 2.0, 9.0], &[1.0, 1.0]) - 3.0).abs() < 1e-6);
    }
}
