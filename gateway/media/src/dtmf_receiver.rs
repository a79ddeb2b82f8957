//! Keys that come as tones in the speech (ITU-T Q.23), for telephones that have no other way.
//!
//! The times of ITU-T Q.24, a little stricter, since a door is behind them: tones of 50 ms count wherever they begin, those
//! of less than 34 ms never; 40 ms without a tone part two presses. What speech holds by chance is kept off by purity:
//! nearly all energy of 40 ms is in two tones that are as even as the ones of a keypad.

use adapter_api::{FRAME_SAMPLES, Frame, SAMPLE_RATE};

use crate::dtmf_tone::{TONES, ToneDetector, place};

const WINDOW: usize = 2 * FRAME_SAMPLES;
/// Mean square of the weakest tones, -36 dBm0 together (Q.24: receivers take -25 to -29 dBm0 and more, each).
const LEVEL: f32 = 65_000.0;
/// Part of the energy that the two tones hold together.
const PURE: f32 = 0.85;
/// Energy of the column by that of the row: -9 to +6 dB (Q.24: -8 to +4 dB must be taken).
const TWIST: [f32; 2] = [0.125, 4.0];
/// Frequencies may be off by 1.8 % (Q.24); each is looked for at these places.
const OFF: [f32; 5] = [0.982, 0.991, 1.0, 1.009, 1.018];
/// Pure windows of 20 ms in a row, 10 ms apart, that make a press.
const WINDOWS: u8 = 3;
/// Frames of 10 ms without a tone that part two presses.
const PAUSE: u8 = 3;

/// Takes 10 ms frames at 16 kHz of what the other side says.
///
/// A tone that is there from the beginning counts for nothing: it may have begun before anybody listened.
#[derive(Clone, Debug)]
pub struct ToneReceiver {
    detector: ToneDetector,
    before: Frame,
    /// Squared magnitudes of the last 20 ms at the frequencies of the keys.
    powers: [f32; 8],
    /// Pure windows in a row.
    run: Option<(char, u8)>,
    /// Frames without a tone.
    quiet: u8,
    /// There was a pause since the last press.
    armed: bool,
}

impl Default for ToneReceiver {
    fn default() -> Self {
        Self {
            detector: ToneDetector::default(),
            before: [0; FRAME_SAMPLES],
            powers: [0.0; 8],
            run: None,
            quiet: 0,
            armed: false,
        }
    }
}

impl ToneReceiver {
    /// Takes the next frame. Tells a press once, 30 to 40 ms after its tone began.
    pub fn process(&mut self, frame: &Frame) -> Option<char> {
        let (energy, powers) = self.detector.window(frame);
        self.powers = powers;
        let found = ToneDetector::digit(energy, &powers);
        let pure = found.filter(|digit| self.is_pure(*digit, frame));
        self.before = *frame;
        self.quiet = if found.is_some() {
            0
        } else {
            self.quiet.saturating_add(1)
        };
        self.armed |= self.quiet >= PAUSE;
        self.run = pure.map(|digit| match self.run {
            Some((same, n)) if same == digit => (digit, n.saturating_add(1)),
            Some(_) | None => (digit, 1),
        });
        let pressed = self.run.filter(|(_, n)| self.armed && *n >= WINDOWS);
        self.armed &= pressed.is_none();
        pressed.map(|(digit, _)| digit)
    }

    /// Squared magnitudes of the last 20 ms at the rows and columns.
    #[must_use]
    pub const fn powers(&self) -> &[f32; 8] {
        &self.powers
    }

    /// 10 ms are not known: a tone may have gone on meanwhile.
    pub const fn miss(&mut self) {
        self.run = None;
    }

    /// Is nearly everything in the last 20 ms the two tones of this digit?
    fn is_pure(&self, digit: char, frame: &Frame) -> bool {
        let Some((row, column)) = place(digit) else {
            return false;
        };
        let energy = self
            .before
            .iter()
            .chain(frame)
            .map(|s| f32::from(*s).powi(2))
            .sum::<f32>();
        if energy < LEVEL * WINDOW as f32 {
            return false;
        }
        let strongest = |hz: f32| {
            let powers = OFF.map(|off| self.power(hz * off, frame));
            2.0 * powers.into_iter().fold(0.0, f32::max) / (WINDOW as f32 * energy)
        };
        let (row, column) = (strongest(TONES[row]), strongest(TONES[4 + column]));
        let twist = column / row;
        row + column >= PURE && (TWIST[0]..=TWIST[1]).contains(&twist)
    }

    /// Squared magnitude of the last 20 ms at one frequency (Goertzel).
    fn power(&self, hz: f32, frame: &Frame) -> f32 {
        let coefficient = 2.0 * (std::f32::consts::TAU * hz / SAMPLE_RATE as f32).cos();
        let (mut last, mut before) = (0.0f32, 0.0f32);
        for sample in self.before.iter().chain(frame) {
            (last, before) = (f32::from(*sample) + coefficient * last - before, last);
        }
        last * last + before * before - coefficient * last * before
    }
}

#[cfg(test)]
mod tests;
