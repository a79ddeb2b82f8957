//! A key as its two tones (ITU-T Q.23), for those who hear keys in the speech only.

use std::time::Duration;

use adapter_api::{Frame, SAMPLE_RATE};

use crate::dtmf_tone::{TONES, place};

/// Amplitude of each tone: about -10 dBm0 both together, in the middle of what Q.24 has receivers hear.
const AMPLITUDE: f32 = 5_000.0;
/// Samples of rise and fall, so that no click is heard as another key.
const RAMP: usize = 32;

/// One key that sounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyTone {
    /// Phase and step of both tones, in turns.
    tones: [(f32, f32); 2],
    /// Frames left, and in all.
    left: u16,
    frames: u16,
}

impl KeyTone {
    /// Of `0-9 * # A-D`; at least one frame of 10 ms.
    pub(crate) fn new(digit: char, length: Duration) -> Option<Self> {
        let (row, column) = place(digit)?;
        let step = |hz: Option<&f32>| hz.map(|hz| (0.0, hz / SAMPLE_RATE as f32));
        let frames = u16::try_from(length.as_millis() / 10).unwrap_or(u16::MAX).max(1);
        Some(Self {
            tones: [step(TONES.get(row))?, step(TONES.get(4 + column))?],
            left: frames,
            frames,
        })
    }

    /// The next 10 ms; false if they are the last ones.
    pub(crate) fn next(&mut self, frame: &mut Frame) -> bool {
        let (first, last) = (self.left == self.frames, self.left <= 1);
        let len = frame.len();
        for (i, sample) in frame.iter_mut().enumerate() {
            let edge = match (first, last) {
                (true, _) if i < RAMP => i,
                (_, true) if len - i < RAMP => len - i,
                _ => RAMP,
            };
            let gain = AMPLITUDE * edge as f32 / RAMP as f32;
            let sum: f32 = self
                .tones
                .iter()
                .map(|(phase, _)| (phase * std::f32::consts::TAU).sin())
                .sum();
            *sample = (gain * sum) as i16;
            for (phase, step) in &mut self.tones {
                *phase = (*phase + *step).fract();
            }
        }
        self.left = self.left.saturating_sub(1);
        !last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf_tone::ToneDetector;
    use crate::tones::TonePlayer;
    use adapter_api::FRAME_SAMPLES;

    #[test]
    fn each_key_is_heard_as_itself_and_lasts_as_long_as_it_is_pressed() {
        for digit in "0123456789*#ABCD".chars() {
            let (mut player, mut detector) = (TonePlayer::default(), ToneDetector::default());
            player.key(digit, Duration::from_millis(120));
            let (mut frame, mut heard, mut frames) = ([0; FRAME_SAMPLES], String::new(), 0);
            while player.next(&mut frame) {
                frames += 1;
                heard.extend(detector.process(&frame));
            }
            // one that lasts, and no other one at its edges
            assert!(
                heard.len() >= 8 && heard.chars().all(|key| key == digit),
                "{digit}: {heard}"
            );
            assert_eq!(frames, 12);
        }
        let mut player = TonePlayer::default();
        player.key('x', Duration::from_millis(120));
        assert!(!player.is_playing());
    }
}
