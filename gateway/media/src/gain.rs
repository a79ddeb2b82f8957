//! How loud a line is: a level in dB that changes without a click.

use adapter_api::{FRAME_SAMPLES, Frame};

/// Amplifies or attenuates frames; a change takes the length of one frame (10 ms).
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    /// Factor at the end of the last frame.
    factor: f32,
    wanted: f32,
}

impl Default for Gain {
    /// As loud as it comes.
    fn default() -> Self {
        Self {
            factor: 1.0,
            wanted: 1.0,
        }
    }
}

impl Gain {
    /// From the next frame on: dB, -60 to 20; what is beyond counts as that. 0 is as loud as it comes.
    pub fn set(&mut self, db: i8) {
        self.wanted = 10f32.powf(f32::from(db.clamp(-60, 20)) / 20.0);
    }

    /// Changes one frame. What would be louder than full scale is limited to it.
    #[expect(
        clippy::float_cmp,
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the factor is what was set, to the bit, once it is reached; a cast of a float saturates; a frame has 160 \
                  samples"
    )]
    pub fn apply(&mut self, frame: &mut Frame) {
        let (from, to) = (self.factor, self.wanted);
        if from == 1.0 && to == 1.0 {
            return;
        }
        let step = (to - from) / FRAME_SAMPLES as f32;
        for (n, sample) in frame.iter_mut().enumerate() {
            let factor = step.mul_add((n + 1) as f32, from);
            *sample = (f32::from(*sample) * factor).round() as i16;
        }
        self.factor = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(db: i8, sample: i16) -> i16 {
        let mut gain = Gain::default();
        gain.set(db);
        gain.apply(&mut [0; FRAME_SAMPLES]);
        let mut frame = [sample; FRAME_SAMPLES];
        gain.apply(&mut frame);
        assert!(frame.iter().all(|s| *s == frame[0]), "steady once it is reached");
        frame[0]
    }

    #[test]
    fn a_level_is_what_its_decibels_say_and_full_scale_is_the_limit() {
        for (db, found) in [
            (0, 10_000),
            (6, 19_953),
            (-6, 5_012),
            (-20, 1_000),
            (-60, 10),
            (-128, 10),
        ] {
            assert_eq!(after(db, 10_000), found, "{db} dB");
        }
        assert_eq!(after(12, 20_000), i16::MAX);
        assert_eq!(after(12, -20_000), i16::MIN);
    }

    #[test]
    fn a_change_is_a_slope_and_no_step() {
        let mut gain = Gain::default();
        gain.set(-20);
        let mut frame = [10_000; FRAME_SAMPLES];
        gain.apply(&mut frame);
        let steps = frame.windows(2).map(|w| i32::from(w[0]) - i32::from(w[1]));
        assert!(
            steps.clone().all(|step| (0..=60).contains(&step)),
            "{:?}",
            steps.max()
        );
        assert!(frame[0] > 9_900 && frame[FRAME_SAMPLES - 1] == 1_000, "{frame:?}");
        gain.set(0);
        gain.apply(&mut [0; FRAME_SAMPLES]);
        let mut frame = [7; FRAME_SAMPLES];
        gain.apply(&mut frame);
        assert_eq!(frame, [7; FRAME_SAMPLES], "back to what comes, to the bit");
    }
}
