//! Random numbers that are the same in every run.

/// A generator with a seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// From a seed; the same seed gives the same noise.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Evenly between -1 and 1.
    pub fn even(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let top = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
        top as f32 / (1_u32 << 23) as f32 - 1.0
    }

    /// About normal, with variance 1.
    pub fn normal(&mut self) -> f32 {
        // three even numbers of variance 1/3 each
        self.even() + self.even() + self.even()
    }
}
