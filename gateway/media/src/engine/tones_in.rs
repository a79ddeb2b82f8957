//! Keys of a leg in its speech, and which of them are only what we said ourselves.

use std::time::Duration;

use adapter_api::Frame;
use gateway_core::Instant;

use crate::dtmf_receiver::ToneReceiver;
use crate::dtmf_tone::{EchoGuard, ToneDetector};

/// A press is told so long after its tone began, or 10 ms later.
const TOLD: Duration = Duration::from_millis(30);

/// Listens to both directions of a leg.
#[derive(Debug, Default)]
pub(super) struct TonesIn {
    receiver: ToneReceiver,
    /// What we say: it comes back as an echo.
    said: ToneDetector,
    own: EchoGuard,
}

impl TonesIn {
    /// Takes 10 ms of the other side; tells a press, when its tone began, and whether it is an echo: of the line
    /// (`guard`), or of anything else that we said, an announcement for instance.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        frame: &Frame,
        guard: Option<&EchoGuard>,
    ) -> Option<(Instant, char, bool)> {
        let digit = self.receiver.process(frame)?;
        let began = now - TOLD;
        let echo = [guard, Some(&self.own)]
            .into_iter()
            .flatten()
            .any(|guard| guard.echoes(began, digit));
        Some((began, digit, echo))
    }

    /// Takes 10 ms that go to the other side.
    pub(super) fn say(&mut self, now: Instant, frame: &Frame) {
        if let Some(digit) = self.said.process(frame) {
            self.own.heard(now, digit);
        }
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::{FRAME_SAMPLES, SAMPLE_RATE};

    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    /// The tone of 9, so many frames of it.
    fn nine(frames: usize) -> Vec<Frame> {
        let sample = |n: usize| {
            let w = std::f64::consts::TAU * n as f64 / f64::from(SAMPLE_RATE);
            (((w * 852.0).sin() + (w * 1_477.0).sin()) * 4_000.0) as i16
        };
        (0..frames)
            .map(|f| std::array::from_fn(|n| sample(f * FRAME_SAMPLES + n)))
            .collect()
    }

    /// `what` from the 100th frame of silence on, of 200.
    fn at(frame: usize, what: &[Frame]) -> Vec<Frame> {
        let mut all = vec![[0; FRAME_SAMPLES]; 200];
        all[frame..frame + what.len()].copy_from_slice(what);
        all
    }

    /// Presses as they are told, while something is said; the line hears its own loudspeaker `line` frames later.
    fn presses(heard: &[Frame], said: &[Frame], line: Option<u32>) -> Vec<(char, bool)> {
        let mut tones = TonesIn::default();
        let (mut guard, mut mute) = (EchoGuard::default(), ToneDetector::default());
        let mut told = vec![];
        for (n, (frame, say)) in (0u32..).zip(heard.iter().zip(said)) {
            let now = Instant::ZERO + Duration::from_secs(100) + TICK * n;
            if let Some(back) = line.and_then(|late| n.checked_sub(late))
                && let Some(digit) = mute.process(&heard[back as usize])
            {
                guard.heard(now, digit);
            }
            told.extend(
                tones
                    .hear(now, frame, Some(&guard))
                    .map(|(_, digit, echo)| (digit, echo)),
            );
            tones.say(now, say);
        }
        told
    }

    #[test]
    fn a_press_whose_tone_the_line_hears_in_its_turn_is_no_echo() {
        let quiet = at(0, &[]);
        for line in [None, Some(1), Some(2), Some(5), Some(20)] {
            assert_eq!(
                presses(&at(100, &nine(20)), &quiet, line),
                [('9', false)],
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_we_say_comes_back_as_an_echo_however_long_it_takes() {
        for late in [2, 3, 10, 30, 45] {
            for length in [5, 10, 40] {
                let said = at(100, &nine(length));
                let heard = at(100 + late, &nine(length));
                assert_eq!(presses(&heard, &said, None), [('9', true)], "{late} {length}");
            }
        }
        let said = at(20, &nine(10));
        assert_eq!(
            presses(&at(100, &nine(10)), &said, None),
            [('9', false)],
            "long ago"
        );
    }
}
