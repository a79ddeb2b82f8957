//! Sounds of any usual rate to the rate of lines: a sinc under a Hann window, cut off below half of the lower rate.
//!
//! For whole sounds that are prepared once; what runs with the media's tick has filters of its own.

use adapter_api::SAMPLE_RATE;

/// Crossings of zero to each side of the middle: images and aliases stay about 50 dB down.
const CROSSINGS: f64 = 16.0;
/// Of half the lower rate, what passes.
const PASS: f64 = 0.92;

const fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

/// A sound of `rate` (samples per second, not zero) as 16 kHz.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "rates are below a million, and samples are clamped to 16 bit"
)]
pub(crate) fn to_line_rate(sound: &[i16], rate: u32) -> Vec<i16> {
    let (wide, rate) = (SAMPLE_RATE as usize, rate as usize);
    let part = common(wide, rate);
    // so many samples out for so many in
    let (out, into) = (wide / part, rate / part);
    let cut = PASS * (wide as f64 / rate as f64).min(1.0);
    let reach = (CROSSINGS / cut).ceil() as usize;
    let taps = 2 * reach;
    // one row for each place that a sample out can have between two samples in
    let mut table = Vec::with_capacity(out * taps);
    for phase in 0..out {
        let between = phase as f64 / out as f64;
        let row = (0..taps).map(|tap| {
            let at = tap as f64 + 1.0 - reach as f64 - between;
            let window = (at * std::f64::consts::FRAC_PI_2 / reach as f64).cos().powi(2);
            sinc(cut * at) * window
        });
        let row: Vec<f64> = row.collect();
        let sum: f64 = row.iter().sum();
        table.extend(row.into_iter().map(|tap| (tap / sum) as f32));
    }
    // beyond 32 bits for a long sound
    let length = sound.len() as u64 * out as u64 / into as u64;
    let mut made = Vec::with_capacity(length as usize);
    let (mut at, mut phase) = (0, 0);
    for _ in 0..length {
        let row = &table[phase * taps..(phase + 1) * taps];
        let weighed = row.iter().enumerate().map(|(tap, weight)| {
            let from = (at + tap + 1).checked_sub(reach);
            let sample = from.and_then(|from| sound.get(from)).copied().unwrap_or(0);
            f32::from(sample) * weight
        });
        made.push(weighed.sum::<f32>().round().clamp(-32_768.0, 32_767.0) as i16);
        phase += into;
        at += phase / out;
        phase %= out;
    }
    made
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a sine of half the full scale.
    fn sine(rate: u32, hz: f64) -> Vec<i16> {
        let turn = |n: u32| (f64::from(n) * hz / f64::from(rate) * std::f64::consts::TAU).sin();
        (0..rate).map(|n| rounded(turn(n) * 16_384.0)).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "within 16 bit")]
    fn rounded(value: f64) -> i16 {
        value.round() as i16
    }

    #[test]
    fn a_tone_stays_the_tone_it_was_at_any_rate() {
        for rate in [11_025, 16_000, 22_050, 24_000, 44_100, 48_000] {
            let found = to_line_rate(&sine(rate, 1000.0), rate);
            let wanted = sine(16_000, 1000.0);
            assert_eq!(found.len(), wanted.len(), "{rate}");
            // the first and last samples have silence for a neighbour
            for at in 200..15_800 {
                let off = i32::from(found[at]) - i32::from(wanted[at]);
                assert!(off.abs() < 150, "{rate}: sample {at} is off by {off}");
            }
        }
    }

    #[test]
    fn what_a_line_cannot_carry_is_gone_and_folds_back_nowhere() {
        for (rate, hz) in [(22_050, 9_500.0), (44_100, 9_500.0), (44_100, 15_000.0)] {
            let found = to_line_rate(&sine(rate, hz), rate);
            let loud = found[200..15_800].iter().map(|s| s.unsigned_abs()).max();
            assert!(loud < Some(150), "{hz} Hz at {rate}: {loud:?}");
        }
    }
}
