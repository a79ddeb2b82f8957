//! Mixing N ports: each hears the sum of the others.

use adapter_api::{FRAME_SAMPLES, Frame};

/// The sum of 10 ms of all ports of a session.
#[derive(Clone, Debug)]
pub struct Mix {
    sum: [i32; FRAME_SAMPLES],
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            sum: [0; FRAME_SAMPLES],
        }
    }
}

impl Mix {
    /// Begins the next 10 ms.
    pub fn clear(&mut self) {
        self.sum.fill(0);
    }

    /// Adds a port's frame. 65 536 frames fit before the sum could overflow.
    pub fn add(&mut self, frame: &Frame) {
        for (s, f) in self.sum.iter_mut().zip(frame) {
            *s += i32::from(*f);
        }
    }

    /// The sum of all but `own`, limited to 16 bits.
    pub fn without(&self, own: Option<&Frame>, out: &mut Frame) {
        match own {
            None => {
                for (o, s) in out.iter_mut().zip(&self.sum) {
                    *o = limit(*s);
                }
            }
            Some(own) => {
                for ((o, s), f) in out.iter_mut().zip(&self.sum).zip(own) {
                    *o = limit(*s - i32::from(*f));
                }
            }
        }
    }
}

/// Adds `frame` to `out`, limited to 16 bits.
pub fn add(out: &mut Frame, frame: &Frame) {
    for (o, f) in out.iter_mut().zip(frame) {
        *o = o.saturating_add(*f);
    }
}

fn limit(value: i32) -> i16 {
    value.clamp(-32_768, 32_767) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_hears_the_others_and_loud_sums_are_limited() {
        let (a, b, c) = ([100; FRAME_SAMPLES], [20; FRAME_SAMPLES], [32_000; FRAME_SAMPLES]);
        let mut mix = Mix::default();
        for f in [&a, &b] {
            mix.add(f);
        }
        let mut out = [0; FRAME_SAMPLES];
        mix.without(Some(&a), &mut out);
        assert_eq!(out, b);
        mix.add(&c);
        mix.add(&c);
        mix.without(Some(&b), &mut out);
        assert_eq!(out, [32_767; FRAME_SAMPLES]);
        mix.clear();
        mix.without(None, &mut out);
        assert_eq!(out, [0; FRAME_SAMPLES]);
    }
}
