//! Convolution with long responses.

use realfft::RealFftPlanner;

/// `signal` through a filter of `taps`, cut to the length of the signal.
#[must_use]
pub fn convolve(signal: &[f32], taps: &[f32]) -> Vec<f32> {
    let len = (signal.len() + taps.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
    let spectrum = |samples: &[f32]| {
        let mut time = vec![0.0; len];
        for (t, s) in time.iter_mut().zip(samples) {
            *t = f64::from(*s);
        }
        let mut bins = forward.make_output_vec();
        // lengths are those of the plan
        let _ = forward.process(&mut time, &mut bins);
        bins
    };
    let mut product = spectrum(signal);
    for (a, b) in product.iter_mut().zip(spectrum(taps)) {
        *a *= b;
    }
    let mut out = vec![0.0; len];
    let _ = inverse.process(&mut product, &mut out);
    out.iter()
        .take(signal.len())
        .map(|v| (v / len as f64) as f32)
        .collect()
}
