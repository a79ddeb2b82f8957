//! 8 kHz ↔ 16 kHz by a half-band FIR of 47 taps: delay 1.5 ms each way, pass band to 3.4 kHz.

use std::f64::consts::PI;

/// Pairs of taps beside the middle one; the taps between are zero, as in every half-band filter.
const PAIRS: usize = 12;
/// Samples at 8 kHz in 10 ms.
pub const NARROW: usize = 80;
/// Samples at 16 kHz in 10 ms.
pub const WIDE: usize = 160;

/// Taps in Q14, from the middle outwards, with unity gain.
fn taps() -> [i32; PAIRS] {
    let mut real = [0.0f64; PAIRS];
    for (k, tap) in real.iter_mut().enumerate() {
        let x = k as f64 + 0.5;
        // Windowed sinc; Blackman keeps images 70 dB down.
        let phase = x / (PAIRS as f64);
        let window = 0.42 + 0.5 * (PI * phase).cos() + 0.08 * (2.0 * PI * phase).cos();
        *tap = (PI * x).sin() / (PI * x) * window;
    }
    let sum: f64 = real.iter().sum::<f64>() * 2.0;
    real.map(|t| (t / sum * 16_384.0).round() as i32)
}

fn sat(value: i32) -> i16 {
    value.clamp(-32_768, 32_767) as i16
}

/// 8 kHz to 16 kHz.
#[derive(Clone, Debug)]
pub struct Up {
    taps: [i32; PAIRS],
    line: [i16; 2 * PAIRS - 1 + NARROW],
}

impl Default for Up {
    fn default() -> Self {
        Self {
            taps: taps(),
            line: [0; 2 * PAIRS - 1 + NARROW],
        }
    }
}

impl Up {
    /// Converts 10 ms.
    pub fn process(&mut self, input: &[i16; NARROW], output: &mut [i16; WIDE]) {
        const HISTORY: usize = 2 * PAIRS - 1;
        self.line.copy_within(NARROW.., 0);
        self.line[HISTORY..].copy_from_slice(input);
        for (window, out) in self.line.windows(2 * PAIRS).zip(output.chunks_exact_mut(2)) {
            let mut sum = 0;
            for k in 0..PAIRS {
                let pair = i32::from(window[PAIRS - 1 - k]) + i32::from(window[PAIRS + k]);
                sum += self.taps[k] * pair;
            }
            out[0] = window[PAIRS - 1];
            out[1] = sat((sum + 8_192) >> 14);
        }
    }
}

/// 16 kHz to 8 kHz.
#[derive(Clone, Debug)]
pub struct Down {
    taps: [i32; PAIRS],
    line: [i16; 4 * PAIRS - 2 + WIDE],
}

impl Default for Down {
    fn default() -> Self {
        Self {
            taps: taps(),
            line: [0; 4 * PAIRS - 2 + WIDE],
        }
    }
}

impl Down {
    /// Converts 10 ms.
    pub fn process(&mut self, input: &[i16; WIDE], output: &mut [i16; NARROW]) {
        const HISTORY: usize = 4 * PAIRS - 2;
        const MIDDLE: usize = 2 * PAIRS - 1;
        self.line.copy_within(WIDE.., 0);
        self.line[HISTORY..].copy_from_slice(input);
        for (window, out) in self.line.windows(4 * PAIRS - 1).step_by(2).zip(output.iter_mut()) {
            let mut sum = 16_384 * i32::from(window[MIDDLE]);
            for k in 0..PAIRS {
                let pair = i32::from(window[MIDDLE - 1 - 2 * k]) + i32::from(window[MIDDLE + 1 + 2 * k]);
                sum += self.taps[k] * pair;
            }
            *out = sat((sum + 16_384) >> 15);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: f64, n: usize) -> Vec<i16> {
        (0..n)
            .map(|i| ((2.0 * PI * hz * i as f64 / rate).sin() * 10_000.0) as i16)
            .collect()
    }

    fn level(samples: &[i16]) -> f64 {
        let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        (sum / samples.len() as f64).sqrt() * std::f64::consts::SQRT_2
    }

    fn down(input: &[i16]) -> Vec<i16> {
        let mut d = Down::default();
        let mut all = Vec::new();
        for chunk in input.as_chunks::<WIDE>().0 {
            let mut out = [0; NARROW];
            d.process(chunk, &mut out);
            all.extend(out);
        }
        all
    }

    fn up(input: &[i16]) -> Vec<i16> {
        let mut u = Up::default();
        let mut all = Vec::new();
        for chunk in input.as_chunks::<NARROW>().0 {
            let mut out = [0; WIDE];
            u.process(chunk, &mut out);
            all.extend(out);
        }
        all
    }

    #[test]
    fn speech_passes_and_images_do_not() {
        for hz in [100.0, 440.0, 1_000.0, 3_000.0] {
            let l = level(&down(&tone(hz, 16_000.0, 3_200))[400..]);
            assert!((l / 10_000.0 - 1.0).abs() < 0.05, "{hz} Hz down: {l}");
            let l = level(&up(&tone(hz, 8_000.0, 1_600))[800..]);
            assert!((l / 10_000.0 - 1.0).abs() < 0.05, "{hz} Hz up: {l}");
        }
        let l = level(&down(&tone(5_200.0, 16_000.0, 3_200))[400..]);
        assert!(l < 100.0, "5.2 kHz has to be 40 dB down: {l}");
    }

    #[test]
    fn full_scale_noise_does_not_overflow() {
        let mut x = 1u32;
        let noise: Vec<i16> = (0..3_200)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if x >> 31 == 0 { i16::MIN } else { i16::MAX }
            })
            .collect();
        assert_eq!(down(&noise).len(), 1_600);
        assert_eq!(up(&noise).len(), 6_400);
    }
}
