//! Noise in place of silence, as the other side describes it (RFC 3389): its level and, if told, its spectrum.

/// Reflection coefficients that are used; more say nothing that is heard.
const ORDER: usize = 12;

/// Makes noise.
#[derive(Clone, Debug)]
pub(crate) struct Comfort {
    /// Amplitude of what excites the filter.
    amplitude: f32,
    /// Reflection coefficients, the first `order` of them.
    coefficients: [f32; ORDER],
    order: usize,
    /// The lattice's memory.
    memory: [f32; ORDER],
    noise: u32,
}

impl Comfort {
    /// By a payload (RFC 3389 §3): a byte of level, then one for each coefficient. `seed` goes on from noise to noise.
    pub(crate) fn new(payload: &[u8], seed: u32) -> Self {
        let level = payload.first().map_or(127, |byte| byte & 0x7f);
        // nobody's silence is louder than this
        let db = f32::from(level.clamp(30, 127));
        let mut coefficients = [0.0; ORDER];
        let mut order = 0;
        // 255 means nothing (§3.2)
        let told = payload.iter().skip(1).take_while(|index| **index != 255);
        for (place, index) in coefficients.iter_mut().zip(told) {
            *place = coefficient(*index);
            order += 1;
        }
        // the filter makes it louder by so much
        let gain: f32 = coefficients.iter().map(|k| 1.0 - k * k).product();
        Self {
            // evenly spread noise has a third of the power of its amplitude
            amplitude: 32_768.0 * 3f32.sqrt() * 10f32.powf(-db / 20.0) * gain.max(1e-4).sqrt(),
            coefficients,
            order,
            memory: [0.0; ORDER],
            noise: seed,
        }
    }

    /// Where the next noise goes on.
    pub(crate) const fn seed(&self) -> u32 {
        self.noise
    }

    /// Goes on for so long.
    pub(crate) fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (self.noise.cast_signed() >> 16) as f32 / 32_768.0;
            let mut forward = random * self.amplitude;
            for n in (0..self.order).rev() {
                let back = self.memory[n];
                forward -= self.coefficients[n] * back;
                if let Some(next) = self.memory.get_mut(n + 1) {
                    *next = back + self.coefficients[n] * forward;
                }
            }
            self.memory[0] = forward;
            // what is too loud is limited by the conversion
            *sample = forward as i16;
        }
    }
}

/// RFC 3389 §3.2.
fn coefficient(index: u8) -> f32 {
    258.0 * (f32::from(index) - 127.0) / 32_768.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(payload: &[u8]) -> Vec<i16> {
        let mut out = vec![0; 16_000];
        Comfort::new(payload, 1).fill(&mut out);
        out
    }

    fn level(samples: &[i16]) -> f32 {
        let sum: f32 = samples.iter().map(|s| f32::from(*s).powi(2)).sum();
        10.0 * (sum / samples.len() as f32 / 32_768.0 / 32_768.0).log10()
    }

    /// How alike neighbours are: 1 is a hum, 0 white, -1 a hiss.
    fn neighbours(samples: &[i16]) -> f32 {
        let product: f32 = samples
            .windows(2)
            .map(|w| f32::from(w[0]) * f32::from(w[1]))
            .sum();
        product / samples.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>()
    }

    #[test]
    fn coefficients_are_those_of_the_standard() {
        for (index, value) in [(0, -0.999_939), (127, 0.0), (128, 0.007_874), (254, 0.999_939)] {
            assert!((coefficient(index) - value).abs() < 1e-5, "{index}");
        }
    }

    #[test]
    fn noise_is_as_loud_as_it_is_told_with_and_without_a_spectrum() {
        for payload in [
            &[40][..],
            &[60],
            &[40, 30],
            &[50, 200, 100, 127],
            &[45, 20, 180, 255, 3],
        ] {
            let wanted = -f32::from(payload[0]);
            let got = level(&made(payload));
            assert!((got - wanted).abs() < 1.0, "{payload:?}: {got} dB");
        }
        // the first bit of the level is nobody's, and none is louder than 30 dB below overload
        assert!((level(&made(&[0x80 | 40])) + 40.0).abs() < 0.5);
        assert!((level(&made(&[0])) + 30.0).abs() < 0.5);
        assert!(made(&[127]).iter().all(|s| *s == 0) && made(&[]) == made(&[127]));
    }

    #[test]
    fn a_first_coefficient_makes_it_a_rumble_or_a_hiss() {
        // of one pole the likeness of neighbours is the coefficient, with the other sign
        for (index, wanted) in [(27, 0.787), (227, -0.787), (127, 0.0)] {
            let got = neighbours(&made(&[40, index]));
            assert!((got - wanted).abs() < 0.05, "{index}: {got}");
        }
    }

    proptest! {
        /// Whatever the other side writes, it ends and stays within its level, but for what a sharp spectrum needs to settle.
        #[test]
        fn any_payload_is_noise(payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut noise = Comfort::new(&payload, 5);
            let mut out = [0; 480];
            noise.fill(&mut out);
            prop_assert!(noise.memory.iter().all(|m| m.is_finite()));
            prop_assert!(noise.seed() != 5);
        }
    }
}
