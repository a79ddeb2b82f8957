//! 8 kHz ↔ 16 kHz by a half-band FIR of 47 taps: delay 1.5 ms each way, pass band to 3.4 kHz.

/// Pairs of taps beside the middle one; the taps between are zero, as in every half-band filter.
const PAIRS: usize = 12;
/// Samples at 8 kHz in 10 ms.
pub const NARROW: usize = 80;
/// Samples at 16 kHz in 10 ms.
pub const WIDE: usize = 160;

/// Taps that are not zero and not the middle one.
const TAPS: usize = 2 * PAIRS;
/// The [`TAPS`] in Q14, with unity gain, in their order: a sinc under a Blackman window, which keeps images 70 dB down.
/// Constants, so that the compiler sees that they have 16 bits.
const FILTER: [i16; TAPS] = [
    -1, 7, -24, 58, -120, 223, -387, 643, -1_048, 1_747, -3_263, 10_357, 10_357, -3_263, 1_747, -1_048, 643,
    -387, 223, -120, 58, -24, 7, -1,
];

/// 16 bits times 16 bits, summed in 32: processors do eight at once.
fn filter(samples: &[i16; TAPS]) -> i32 {
    samples
        .iter()
        .zip(&FILTER)
        .map(|(s, t)| i32::from(*s) * i32::from(*t))
        .sum()
}

fn sat(value: i32) -> i16 {
    value.clamp(-32_768, 32_767) as i16
}

/// 8 kHz to 16 kHz.
#[derive(Clone, Debug)]
pub struct Up {
    line: [i16; TAPS - 1 + NARROW],
}

impl Default for Up {
    fn default() -> Self {
        Self {
            line: [0; TAPS - 1 + NARROW],
        }
    }
}

impl Up {
    /// Converts 10 ms.
    pub fn process(&mut self, input: &[i16; NARROW], output: &mut [i16; WIDE]) {
        const HISTORY: usize = TAPS - 1;
        self.line.copy_within(NARROW.., 0);
        self.line[HISTORY..].copy_from_slice(input);
        for (window, out) in self.line.array_windows().zip(output.as_chunks_mut::<2>().0) {
            let sum = filter(window);
            *out = [window[PAIRS - 1], sat((sum + 8_192) >> 14)];
        }
    }
}

/// 16 kHz to 8 kHz.
#[derive(Clone, Debug)]
pub struct Down {
    /// Every other sample, beginning with the first: under the taps.
    even: [i16; TAPS - 1 + NARROW],
    /// Those between: under the middle tap, or under zeros.
    odd: [i16; PAIRS + NARROW],
}

impl Default for Down {
    fn default() -> Self {
        Self {
            even: [0; TAPS - 1 + NARROW],
            odd: [0; PAIRS + NARROW],
        }
    }
}

impl Down {
    /// Converts 10 ms.
    pub fn process(&mut self, input: &[i16; WIDE], output: &mut [i16; NARROW]) {
        self.even.copy_within(NARROW.., 0);
        self.odd.copy_within(NARROW.., 0);
        let (even, odd) = (&mut self.even[TAPS - 1..], &mut self.odd[PAIRS..]);
        for (([first, second], even), odd) in input.as_chunks::<2>().0.iter().zip(even).zip(odd) {
            (*even, *odd) = (*first, *second);
        }
        for ((window, middle), out) in self.even.array_windows().zip(&self.odd).zip(output.iter_mut()) {
            let sum = 16_384 * i32::from(*middle) + filter(window);
            *out = sat((sum + 16_384) >> 15);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    #[test]
    fn the_taps_are_a_windowed_sinc_of_unity_gain() {
        let real: Vec<f64> = (0..PAIRS)
            .map(|k| {
                let x = k as f64 + 0.5;
                let phase = x / (PAIRS as f64);
                let window = 0.42 + 0.5 * (PI * phase).cos() + 0.08 * (2.0 * PI * phase).cos();
                (PI * x).sin() / (PI * x) * window
            })
            .collect();
        let sum: f64 = real.iter().sum::<f64>() * 2.0;
        for (k, tap) in real.iter().enumerate() {
            let tap = (tap / sum * 16_384.0).round() as i16;
            assert_eq!((FILTER[PAIRS - 1 - k], FILTER[PAIRS + k]), (tap, tap));
        }
    }

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

    /// The filter as it is defined, for one output at 8 kHz from 47 samples, or the one between at 16 kHz.
    fn defined(samples: &[i16], step: usize) -> i32 {
        let middle = TAPS * step / 2 - 1;
        (0..PAIRS)
            .map(|k| {
                let pair = i32::from(samples[middle - k * step - (step - 1)])
                    + i32::from(samples[middle + 1 + k * step]);
                i32::from(FILTER[PAIRS + k]) * pair
            })
            .sum()
    }

    #[test]
    fn every_sample_is_what_the_definition_gives() {
        let noise: Vec<i16> = (0..3_200i64)
            .map(|n| (n * n * 31_337 % 60_001 - 30_000) as i16)
            .collect();
        let (wide, narrow) = (up(&noise), down(&noise));
        for n in TAPS..1_500 {
            // the newest sample of the window is the n-th
            let window = &noise[n + 1 - TAPS..=n];
            assert_eq!(wide[2 * n], window[PAIRS - 1]);
            assert_eq!(wide[2 * n + 1], sat((defined(window, 1) + 8_192) >> 14), "{n}");
            // the newest that counts is the 2n-th; the middle lies 23 before it
            let window = &noise[2 * n - 46..=2 * n];
            let sum = 16_384 * i32::from(window[23]) + defined(window, 2);
            assert_eq!(narrow[n], sat((sum + 16_384) >> 15), "{n}");
        }
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
