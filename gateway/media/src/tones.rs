//! Short generated tones, none of which has energy near two digit tones at once, and sounds that somebody else made.

use std::sync::Arc;
use std::time::Duration;

use adapter_api::{Frame, SAMPLE_RATE};
use gateway_core::Tone;

use crate::key_tone::KeyTone;

/// A piece of a tone.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    /// Hz; 0 is silence.
    hz: f32,
    /// Frames of 10 ms.
    frames: u16,
}

const fn piece(hz: f32, frames: u16) -> Piece {
    Piece { hz, frames }
}

/// Amplitude: about -15 dBm0.
const AMPLITUDE: f32 = 5_000.0;
/// Samples of rise and fall.
const RAMP: usize = 48;

fn pieces(tone: Tone) -> (&'static [Piece], bool) {
    const CONFIRM: &[Piece] = &[
        piece(620.0, 15),
        piece(0.0, 5),
        piece(620.0, 15),
        piece(0.0, 5),
        piece(830.0, 20),
    ];
    const LOCKED_OUT: &[Piece] = &[
        piece(450.0, 15),
        piece(0.0, 5),
        piece(350.0, 15),
        piece(0.0, 5),
        piece(250.0, 60),
    ];
    const LOOK_IN: &[Piece] = &[piece(480.0, 12), piece(0.0, 8), piece(620.0, 12)];
    const OPENING: &[Piece] = &[piece(523.0, 10), piece(659.0, 10), piece(1_047.0, 20)];
    const REFUSED: &[Piece] = &[piece(300.0, 18), piece(0.0, 6), piece(300.0, 36)];
    /// ITU-T E.180: 425 Hz, 1 s on, 4 s off.
    const RINGBACK: &[Piece] = &[piece(425.0, 100), piece(0.0, 400)];
    const TALK_WARNING: &[Piece] = &[piece(1_400.0, 8), piece(0.0, 12), piece(1_400.0, 8)];
    match tone {
        Tone::Confirm => (CONFIRM, false),
        Tone::LockedOut => (LOCKED_OUT, false),
        Tone::LookIn => (LOOK_IN, false),
        Tone::Opening => (OPENING, false),
        Tone::Refused => (REFUSED, false),
        Tone::Ringback => (RINGBACK, true),
        Tone::TalkWarning => (TALK_WARNING, false),
    }
}

/// Plays one tone or sound at a time.
#[derive(Clone, Debug, Default)]
pub struct TonePlayer {
    playing: Option<Sound>,
}

#[derive(Clone, Debug)]
enum Sound {
    Made(Playing),
    /// 16 kHz samples, and how many were played. Whoever gave them frees them.
    Given(Arc<[i16]>, usize),
    /// A key as tones.
    Key(KeyTone),
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    pieces: &'static [Piece],
    repeat: bool,
    index: usize,
    frame: u16,
    /// Phase in turns.
    phase: f32,
}

impl TonePlayer {
    /// Begins a tone; one that plays ends.
    pub fn play(&mut self, tone: Tone) {
        let (pieces, repeat) = pieces(tone);
        self.playing = Some(Sound::Made(Playing {
            pieces,
            repeat,
            index: 0,
            frame: 0,
            phase: 0.0,
        }));
    }

    /// Begins a sound of 16 kHz samples; what plays ends.
    pub fn say(&mut self, samples: Arc<[i16]>) {
        self.playing = Some(Sound::Given(samples, 0));
    }

    /// Presses a key as its two tones (ITU-T Q.23) for `length`, in whole frames of 10 ms; what plays ends. Nothing for what is
    /// no key.
    pub fn key(&mut self, digit: char, length: Duration) {
        if let Some(key) = KeyTone::new(digit, length) {
            self.playing = Some(Sound::Key(key));
        }
    }

    /// Ends the tone.
    pub fn stop(&mut self) {
        self.playing = None;
    }

    /// Ends the tone if it is one that repeats.
    pub fn stop_repeating(&mut self) {
        if let Some(Sound::Made(playing)) = &self.playing
            && playing.repeat
        {
            self.playing = None;
        }
    }

    /// Is it a key that plays? Who listens for keys hears it best alone.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        matches!(self.playing, Some(Sound::Key(_)))
    }

    /// Is one playing?
    #[must_use]
    pub const fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// The next 10 ms; false, and `frame` as it was, if nothing plays.
    pub fn next(&mut self, frame: &mut Frame) -> bool {
        let p = match &mut self.playing {
            None => return false,
            Some(Sound::Made(playing)) => playing,
            Some(Sound::Given(samples, at)) => {
                let rest = samples.get(*at..).unwrap_or_default();
                let count = rest.len().min(frame.len());
                frame.fill(0);
                frame[..count].copy_from_slice(&rest[..count]);
                *at += count;
                if *at >= samples.len() {
                    self.playing = None;
                }
                return true;
            }
            Some(Sound::Key(key)) => {
                if !key.next(frame) {
                    self.playing = None;
                }
                return true;
            }
        };
        let Some(piece) = p.pieces.get(p.index) else {
            self.playing = None;
            return false;
        };
        let (first, last) = (p.frame == 0, p.frame + 1 == piece.frames);
        if piece.hz == 0.0 {
            frame.fill(0);
        } else {
            let step = piece.hz / SAMPLE_RATE as f32;
            let len = frame.len();
            for (i, s) in frame.iter_mut().enumerate() {
                let edge = match (first, last) {
                    (true, _) if i < RAMP => i,
                    (_, true) if len - i < RAMP => len - i,
                    _ => RAMP,
                };
                let gain = AMPLITUDE * edge as f32 / RAMP as f32;
                let sample = (gain * (p.phase * std::f32::consts::TAU).sin()) as i16;
                *s = sample;
                p.phase = (p.phase + step).fract();
            }
        }
        p.frame += 1;
        if last {
            p.frame = 0;
            p.phase = 0.0;
            p.index += 1;
            if p.index == p.pieces.len() {
                if p.repeat {
                    p.index = 0;
                } else {
                    self.playing = None;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf_tone::ToneDetector;
    use adapter_api::FRAME_SAMPLES;

    #[test]
    fn tones_sound_end_and_are_no_digits() {
        for (tone, frames) in [
            (Tone::Confirm, Some(60)),
            (Tone::LockedOut, Some(100)),
            (Tone::LookIn, Some(32)),
            (Tone::Opening, Some(40)),
            (Tone::Refused, Some(60)),
            (Tone::TalkWarning, Some(28)),
            (Tone::Ringback, None),
        ] {
            let mut player = TonePlayer::default();
            let mut detector = ToneDetector::default();
            let mut frame = [0; FRAME_SAMPLES];
            player.play(tone);
            let mut count = 0;
            let mut energy = 0i64;
            while count < 1_000 && player.next(&mut frame) {
                count += 1;
                energy += frame.iter().map(|s| i64::from(*s) * i64::from(*s)).sum::<i64>();
                assert_eq!(detector.process(&frame), None, "{tone:?} frame {count}");
            }
            assert_eq!(count, frames.unwrap_or(1_000), "{tone:?}");
            assert!(energy > 1_000_000_000, "{tone:?}: {energy}");
        }
    }

    #[test]
    fn given_samples_are_played_once_as_they_are() {
        let samples: Arc<[i16]> = (1i16..=400).collect();
        let mut player = TonePlayer::default();
        player.say(Arc::clone(&samples));
        player.stop_repeating();
        let (mut frame, mut heard) = ([0; FRAME_SAMPLES], vec![]);
        while player.next(&mut frame) {
            heard.extend_from_slice(&frame);
        }
        assert_eq!(heard[..400], samples[..]);
        assert_eq!((heard.len(), heard[400..].iter().any(|s| *s != 0)), (480, false));
        assert!(!player.is_playing() && Arc::strong_count(&samples) == 1);
    }

    #[test]
    fn a_repeating_tone_is_ended_and_a_short_one_goes_on() {
        let mut p = TonePlayer::default();
        p.play(Tone::Ringback);
        p.stop_repeating();
        assert!(!p.is_playing());
        p.play(Tone::Opening);
        p.stop_repeating();
        assert!(p.is_playing());
    }
}
