//! Noise for tests, the same in every run.

/// So many even samples of ±`amplitude`.
pub(crate) fn noise(seed: u32, amplitude: f32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1_u32 << 23) as f32 - 1.0) * amplitude
    };
    (0..count).map(|_| next()).collect()
}

/// What comes back of `far` after so many samples, with two later reflections.
pub(crate) fn echo(far: &[f32], delay: usize) -> Vec<f32> {
    let at = |n: usize, back: usize| n.checked_sub(back).map_or(0.0, |n| far[n]);
    (0..far.len())
        .map(|n| 0.5 * at(n, delay) - 0.3 * at(n, delay + 17) + 0.1 * at(n, delay + 140))
        .collect()
}

/// Mean square.
pub(crate) fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
}
