//! Gains that change without a click: silence while a relay moves, and one direction at a time.

/// A gain that is on its way to another.
#[derive(Clone, Debug)]
pub(crate) struct Fade {
    now: f32,
    /// Per sample.
    fall: f32,
    rise: f32,
}

impl Fade {
    /// Falls from 1 to 0 within `fall_ms` and rises within `rise_ms` milliseconds.
    pub(crate) fn new(rate: usize, fall_ms: f32, rise_ms: f32) -> Self {
        let per_sample = |ms: f32| 1_000.0 / (ms * rate as f32);
        Self {
            now: 1.0,
            fall: per_sample(fall_ms),
            rise: per_sample(rise_ms),
        }
    }

    /// True if it leaves everything as it is.
    pub(crate) fn is_open(&self) -> bool {
        self.now >= 1.0
    }

    /// Goes on towards `wanted`, 0 to 1.
    pub(crate) fn process(&mut self, wanted: f32, frame: &mut [f32]) {
        if self.is_open() && wanted >= 1.0 {
            return;
        }
        for sample in frame {
            let way = (wanted - self.now).clamp(-self.fall, self.rise);
            self.now = (self.now + way).clamp(0.0, 1.0);
            *sample *= self.now;
        }
    }
}

/// Who may speak, where a line carries one voice at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Far,
    Near,
    Nobody,
}

/// Frames for which whoever spoke keeps the turn: 300 ms bridge a pause between words.
const KEEP: u8 = 30;
/// Mean square from which on somebody speaks: -45 dB below full scale.
const SPEAKS: f32 = 3e-5;
/// Who wants the turn of the other is so much stronger.
const BREAK_IN: f32 = 4.0;
/// What is left of the direction that waits: -40 dB.
const WAITS: f32 = 0.01;

/// Lets one direction through at a time.
#[derive(Clone, Debug)]
pub(crate) struct HalfDuplex {
    turn: Turn,
    keep: u8,
    far_level: f32,
    near_level: f32,
    far: Fade,
    near: Fade,
}

impl HalfDuplex {
    pub(crate) fn new(rate: usize) -> Self {
        Self {
            turn: Turn::Nobody,
            keep: 0,
            far_level: 0.0,
            near_level: 0.0,
            far: Fade::new(rate, 15.0, 15.0),
            near: Fade::new(rate, 15.0, 15.0),
        }
    }

    /// A frame on its way to the visitor.
    pub(crate) fn play(&mut self, frame: &mut [f32]) {
        self.far_level = smoothed(self.far_level, frame);
        let wanted = if self.turn == Turn::Near { WAITS } else { 1.0 };
        self.far.process(wanted, frame);
    }

    /// A frame of the visitor, without echo.
    pub(crate) fn hear(&mut self, frame: &mut [f32]) {
        self.near_level = smoothed(self.near_level, frame);
        self.decide();
        let wanted = if self.turn == Turn::Far { WAITS } else { 1.0 };
        self.near.process(wanted, frame);
    }

    fn decide(&mut self) {
        let (far, near) = (self.far_level, self.near_level);
        let stronger = if near > far {
            (Turn::Near, near, far)
        } else {
            (Turn::Far, far, near)
        };
        let (who, level, other) = stronger;
        if level < SPEAKS {
            self.keep = self.keep.saturating_sub(1);
            if self.keep == 0 {
                self.turn = Turn::Nobody;
            }
        } else if self.turn == who || self.turn == Turn::Nobody || self.keep == 0 {
            self.turn = who;
            self.keep = KEEP;
        } else if level > BREAK_IN * other {
            self.keep -= 1;
        }
    }
}

fn smoothed(level: f32, frame: &[f32]) -> f32 {
    let power = frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32;
    let part = if power > level { 0.5 } else { 0.1 };
    level + part * (power - level) + 1e-12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fade_has_no_step() {
        let mut fade = Fade::new(16_000, 5.0, 20.0);
        let mut before = 1.0_f32;
        for wanted in [0.0, 0.0, 1.0, 1.0, 1.0] {
            let mut frame = [1.0_f32; 160];
            fade.process(wanted, &mut frame);
            for sample in frame {
                assert!((sample - before).abs() < 0.013, "{before} to {sample}");
                before = sample;
            }
        }
        assert!((before - 1.0).abs() < 1e-6);
    }

    fn gain(duplex: &mut HalfDuplex, far: f32, near: f32, frames: usize) -> (f32, f32) {
        let mut last = (0.0, 0.0);
        for _ in 0..frames {
            let (mut f, mut n) = ([far; 160], [near; 160]);
            duplex.play(&mut f);
            duplex.hear(&mut n);
            last = (f[159] / far, n[159] / near);
        }
        last
    }

    #[test]
    fn one_direction_is_open_at_a_time_and_the_louder_one_gets_its_turn() {
        let mut duplex = HalfDuplex::new(16_000);
        let (far, near) = gain(&mut duplex, 0.2, 0.01, 20);
        assert!(far > 0.99 && near < 0.02, "{far} {near}");
        // not at once: pauses between words are not the end
        let (far, near) = gain(&mut duplex, 0.01, 0.2, 10);
        assert!(far > 0.99 && near < 0.02, "{far} {near}");
        let (far, near) = gain(&mut duplex, 0.01, 0.2, 50);
        assert!(far < 0.02 && near > 0.99, "{far} {near}");
        let (far, near) = gain(&mut duplex, 0.000_1, 0.000_1, 100);
        assert!(far > 0.99 && near > 0.99, "{far} {near}");
    }
}
