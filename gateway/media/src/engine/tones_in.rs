//! Keys of a leg in its speech, and which of them are only what we said ourselves.

use std::time::Duration;

use adapter_api::Frame;
use gateway_core::Instant;

use crate::dtmf_receiver::ToneReceiver;
use crate::dtmf_tone::{EchoGuard, ToneDetector, place};

/// A press is told so long after its tone began, or 10 ms later.
const TOLD: Duration = Duration::from_millis(30);
/// Frames of what we said that are remembered: an echo takes a second at most.
const FRAMES: usize = 100;
/// What we said at a frequency is in an echo, if it was not weaker than this part of it: no way back is louder by 10 dB.
const PART: f32 = 0.1;
/// Frames in a row that an echo needs for a press.
const ROW: usize = 2;

/// Listens to both directions of a leg.
#[derive(Debug)]
pub(super) struct TonesIn {
    receiver: ToneReceiver,
    /// At the frequencies of the keys: what we said.
    said: ToneDetector,
    /// When, and how strong at each frequency; the oldest is the next to go.
    past: [Option<(Instant, [f32; 8])>; FRAMES],
    next: usize,
}

impl Default for TonesIn {
    fn default() -> Self {
        Self {
            receiver: ToneReceiver::default(),
            said: ToneDetector::default(),
            past: [None; FRAMES],
            next: 0,
        }
    }
}

impl TonesIn {
    /// Takes 10 ms of the other side; tells a press, when its tone began, and whether it is an echo: of the line
    /// (`guard`), or of anything else that we said, an announcement for instance.
    ///
    /// What we said is judged by its strength at the two frequencies, whatever else was in it: a way back that takes the
    /// rest away makes a key of it.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        frame: &Frame,
        guard: Option<&EchoGuard>,
    ) -> Option<(Instant, char, bool)> {
        let digit = self.receiver.process(frame)?;
        let began = now - TOLD;
        let echo = guard.is_some_and(|guard| guard.echoes(began, digit))
            || self.was_said(began, digit, self.receiver.powers());
        Some((began, digit, echo))
    }

    /// 10 ms were made up for lost ones: they say nothing, not even that a tone ended.
    pub(super) fn miss(&mut self) {
        self.receiver.miss();
    }

    /// Nothing that is there already counts from here on.
    pub(super) fn begin_anew(&mut self) {
        self.receiver = ToneReceiver::default();
    }

    /// Takes 10 ms that go to the other side.
    pub(super) fn say(&mut self, now: Instant, frame: &Frame) {
        let (_, powers) = self.said.window(frame);
        self.past[self.next] = Some((now, powers));
        self.next = (self.next + 1) % FRAMES;
    }

    fn was_said(&self, began: Instant, digit: char, came: &[f32; 8]) -> bool {
        let Some((row, column)) = place(digit) else {
            return false;
        };
        let strong = |powers: &[f32; 8]| {
            [row, 4 + column]
                .into_iter()
                .all(|at| powers[at] >= PART * came[at])
        };
        let mut run = 0;
        let in_order = (0..FRAMES).map(|n| self.past[(self.next + n) % FRAMES]);
        in_order
            .flatten()
            .filter(|(at, _)| *at <= began)
            .any(|(_, powers)| {
                run = if strong(&powers) { run + 1 } else { 0 };
                run >= ROW
            })
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

    /// `what` from this frame of silence on.
    fn at(frame: usize, what: &[Frame]) -> Vec<Frame> {
        let mut all = vec![[0; FRAME_SAMPLES]; 300];
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

    /// Both sounds at once.
    fn both(one: &[Frame], other: impl Fn(usize) -> f64) -> Vec<Frame> {
        let mix = |f: usize, n: usize| f64::from(one[f][n]) + other(f * FRAME_SAMPLES + n);
        (0..one.len())
            .map(|f| std::array::from_fn(|n| mix(f, n).clamp(-32_768.0, 32_767.0) as i16))
            .collect()
    }

    #[test]
    fn a_tone_that_was_hidden_under_others_is_an_echo_once_these_are_taken_away() {
        for (hz, loud) in [(6_000.0, 14_000.0), (120.0, 14_000.0), (1_000.0, 20_000.0)] {
            let mask =
                |n: usize| (std::f64::consts::TAU * hz * n as f64 / f64::from(SAMPLE_RATE)).sin() * loud;
            let said = both(&at(100, &nine(20)), mask);
            for weaker in [1, 3] {
                let echo = nine(20)
                    .into_iter()
                    .map(|f| f.map(|s| s / weaker))
                    .collect::<Vec<_>>();
                assert_eq!(presses(&at(108, &echo), &said, None), [('9', true)], "{hz} Hz");
            }
        }
    }

    #[test]
    fn a_key_counts_while_the_visitor_speaks() {
        let voice = |n: usize| {
            let t = n as f64 / f64::from(SAMPLE_RATE);
            (1..12)
                .map(|h| (std::f64::consts::TAU * 140.0 * f64::from(h) * t).sin() * 1_500.0)
                .sum()
        };
        let said = both(&at(0, &[]), voice);
        assert_eq!(presses(&at(100, &nine(10)), &said, None), [('9', false)]);
    }

    #[test]
    fn what_we_say_comes_back_as_an_echo_however_long_it_takes() {
        for late in [2, 3, 10, 30, 45, 90] {
            for length in [5, 10, 40] {
                let said = at(100, &nine(length));
                let heard = at(100 + late, &nine(length));
                assert_eq!(presses(&heard, &said, None), [('9', true)], "{late} {length}");
            }
        }
        let said = at(20, &nine(10));
        assert_eq!(
            presses(&at(140, &nine(10)), &said, None),
            [('9', false)],
            "long ago"
        );
    }
}
