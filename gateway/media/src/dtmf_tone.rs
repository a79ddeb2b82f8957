//! Digit tones in a line's microphone (ITU-T Q.23): muted before encoding, and remembered for a while.
//!
//! The visitor's side never speaks digits. A window of 20 ms slides by 10 ms; eight Goertzel filters look at
//! each half of it once. The detector is more eager than a receiver that follows Q.24: it needs half of the energy in one row and
//! one column and reacts within 20 ms, before a receiver (23 ms at least, usually 40) takes the tone.

use std::time::Duration;

use adapter_api::{FRAME_SAMPLES, Frame, SAMPLE_RATE};
use gateway_core::Instant;

/// Rows, then columns, Hz.
pub(crate) const TONES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];
const WINDOW: usize = 2 * FRAME_SAMPLES;
/// Samples that the filters look at in a row.
const PART: usize = FRAME_SAMPLES / 2;
/// Mean square below which nothing is looked for: -50 dBm0, well under what Q.24 lets receivers take.
const FLOOR: f32 = 5_000.0;
/// Part of the energy that row and column hold together.
const SHARE: f32 = 0.5;
/// The weaker of the two holds this part of the stronger one's energy: a twist of 10 dB.
const TWIST: f32 = 0.1;
/// Row and column are this much stronger than the others of their group.
const RIVAL: f32 = 4.0;
/// Frames that stay mute after the last detection: 40 ms bridge a beat or a short drop.
const HOLD: u8 = 4;
/// A digit that comes back within this time after its tone is the visitor's echo.
const ECHO: Duration = Duration::from_millis(500);
const FRAME: Duration = Duration::from_millis(10);

/// Looks for digit tones in 10 ms frames at 16 kHz.
#[derive(Clone, Debug)]
pub struct ToneDetector {
    coefficients: [f32; 8],
    /// Of one sample, of half a frame and of one frame, at each frequency.
    turns: [Spectrum; 3],
    /// The frame before.
    before: Half,
}

/// Real and imaginary parts at the eight frequencies.
type Spectrum = [[f32; 8]; 2];

/// One frame: half of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    energy: f32,
    spectrum: Spectrum,
}

impl Default for ToneDetector {
    fn default() -> Self {
        let angles = TONES.map(|hz| 2.0 * std::f32::consts::PI * hz / SAMPLE_RATE as f32);
        let turn = |samples: f32| {
            [
                angles.map(|a| (a * samples).cos()),
                angles.map(|a| (a * samples).sin()),
            ]
        };
        Self {
            coefficients: angles.map(|a| 2.0 * a.cos()),
            turns: [1.0, PART as f32, FRAME_SAMPLES as f32].map(turn),
            before: Half::default(),
        }
    }
}

impl ToneDetector {
    /// Takes the next frame; tells the digit whose tone is in the last 20 ms.
    pub fn process(&mut self, frame: &Frame) -> Option<char> {
        let (energy, powers) = self.window(frame);
        Self::digit(energy, &powers)
    }

    /// The digit whose tone makes such a window.
    pub(crate) fn digit(energy: f32, powers: &[f32; 8]) -> Option<char> {
        let n = WINDOW as f32;
        if energy < FLOOR * n {
            return None;
        }
        // Power of each tone as a part of the whole: 1.0 for a pure tone over the whole window.
        let power = powers.map(|p| 2.0 * p / (n * energy));
        let (row, row_rival) = strongest(&power[..4]);
        let (column, column_rival) = strongest(&power[4..]);
        let (r, c) = (power[row], power[4 + column]);
        let clear = r > RIVAL * row_rival && c > RIVAL * column_rival;
        let even = r.min(c) > TWIST * r.max(c);
        (r + c > SHARE && even && clear).then(|| KEYS[row][column])
    }

    /// Takes the next frame; energy of the last 20 ms, and squared magnitudes at the rows and columns.
    pub(crate) fn window(&mut self, frame: &Frame) -> (f32, [f32; 8]) {
        let last = self.half(&frame.map(f32::from));
        let before = std::mem::replace(&mut self.before, last);
        (
            before.energy + last.energy,
            self.powers(&before.spectrum, &last.spectrum),
        )
    }

    /// A frame at the eight frequencies, as seen from its last sample.
    fn half(&self, samples: &[f32; FRAME_SAMPLES]) -> Half {
        let mut states = [[[0.0; 8]; 2]; 2];
        goertzel(samples, &self.coefficients, &mut states);
        let [cos, sin] = &self.turns[0];
        let [first, last] = states.map(|[s1, s2]| {
            [
                std::array::from_fn(|k| s1[k] - s2[k] * cos[k]),
                std::array::from_fn(|k| s2[k] * sin[k]),
            ]
        });
        Half {
            energy: samples.iter().map(|x| x * x).sum(),
            spectrum: join(&self.turns[1], &first, &last),
        }
    }

    /// Squared magnitudes over a window.
    fn powers(&self, first: &Spectrum, last: &Spectrum) -> [f32; 8] {
        let [re, im] = join(&self.turns[2], first, last);
        std::array::from_fn(|k| re[k] * re[k] + im[k] * im[k])
    }
}

/// Two pieces one after the other: the first, turned on by the length of the second, and the second.
fn join([cos, sin]: &Spectrum, [re, im]: &Spectrum, [last_re, last_im]: &Spectrum) -> Spectrum {
    [
        std::array::from_fn(|k| re[k] * cos[k] - im[k] * sin[k] + last_re[k]),
        std::array::from_fn(|k| re[k] * sin[k] + im[k] * cos[k] + last_im[k]),
    ]
}

/// Index of a digit's row and of its column.
pub(crate) fn place(digit: char) -> Option<(usize, usize)> {
    KEYS.iter()
        .enumerate()
        .find_map(|(row, keys)| Some((row, keys.iter().position(|key| *key == digit)?)))
}

/// Eight Goertzel filters at either part of a frame, all side by side: a step waits for the one before it, and the other part
/// fills the wait. Their last two states are stored in `states`.
///
/// Not inlined, so that the states are stored as eight in a row: then they are computed four at a time, whatever is
/// around the call.
#[inline(never)]
fn goertzel(samples: &[f32; FRAME_SAMPLES], coefficients: &[f32; 8], states: &mut [[[f32; 8]; 2]; 2]) {
    let [mut last, mut before] = [[[0.0f32; 8]; 2]; 2];
    let (first, second) = samples.split_at(PART);
    for (a, b) in first.as_chunks::<2>().0.iter().zip(second.as_chunks::<2>().0) {
        for k in 0..8 {
            before[0][k] = a[0] - before[0][k] + coefficients[k] * last[0][k];
            before[1][k] = b[0] - before[1][k] + coefficients[k] * last[1][k];
        }
        for k in 0..8 {
            last[0][k] = a[1] - last[0][k] + coefficients[k] * before[0][k];
            last[1][k] = b[1] - last[1][k] + coefficients[k] * before[1][k];
        }
    }
    *states = [[last[0], before[0]], [last[1], before[1]]];
}

/// Index of the strongest, and the power of the next.
fn strongest(group: &[f32]) -> (usize, f32) {
    let mut best = 0;
    let mut rival = 0.0;
    for (i, p) in group.iter().enumerate().skip(1) {
        if *p > group[best] {
            rival = group[best];
            best = i;
        } else if *p > rival {
            rival = *p;
        }
    }
    (best, rival)
}

/// Remembers which tones were on the way to the phone.
#[derive(Clone, Debug, Default)]
pub struct EchoGuard {
    heard: [Option<Track>; 16],
}

/// When a tone was heard lately: a bit for each 10 ms, the lowest for `newest`.
#[derive(Clone, Copy, Debug)]
struct Track {
    newest: Instant,
    frames: u64,
}

impl EchoGuard {
    /// A tone is on the line-to-phone audio.
    pub fn heard(&mut self, now: Instant, digit: char) {
        let Some(slot) = slot(digit) else { return };
        let before = self.heard[slot].map_or(0, |track| {
            let since = now.since(track.newest) + FRAME / 2;
            let frames = since.as_nanos() / FRAME.as_nanos();
            u32::try_from(frames).map_or(0, |n| track.frames.checked_shl(n).unwrap_or(0))
        });
        self.heard[slot] = Some(Track {
            newest: now,
            frames: before | 1,
        });
    }

    /// Was this digit's tone on the line-to-phone audio within 500 ms before `at`, or after it?
    #[must_use]
    pub fn is_echo(&self, at: Instant, digit: char) -> bool {
        self.track(digit)
            .is_some_and(|track| at.since(track.newest) <= ECHO)
    }

    /// As [`is_echo`](Self::is_echo), but only by what was heard until `at`: what is heard later may itself be the
    /// echo of the tone that came at `at`.
    #[must_use]
    pub fn echoes(&self, at: Instant, digit: char) -> bool {
        self.track(digit).is_some_and(|track| {
            (0..u64::BITS).any(|n| {
                let back = FRAME * n;
                let (was, limit) = (at + back, at + back + FRAME / 2);
                // heard at `newest - back`: not after `at`, and not longer before it than an echo takes
                track.frames >> n & 1 == 1 && limit >= track.newest && was.since(track.newest) <= ECHO
            })
        })
    }

    fn track(&self, digit: char) -> Option<&Track> {
        self.heard[slot(digit)?].as_ref()
    }
}

fn slot(digit: char) -> Option<usize> {
    crate::telephone_event::code_of(digit).map(usize::from)
}

/// Mutes digit tones in a line's capture and feeds the [`EchoGuard`].
#[derive(Clone, Debug, Default)]
pub struct ToneMute {
    detector: ToneDetector,
    hold: u8,
    last: Option<char>,
}

impl ToneMute {
    /// Looks at the next frame of the microphone and silences it if a tone is in it or was just before.
    pub fn process(&mut self, now: Instant, frame: &mut Frame, guard: &mut EchoGuard) -> bool {
        if let Some(digit) = self.detector.process(frame) {
            self.hold = HOLD;
            self.last = Some(digit);
        } else {
            self.hold = self.hold.saturating_sub(1);
        }
        let muted = self.hold > 0;
        if muted {
            if let Some(digit) = self.last {
                guard.heard(now, digit);
            }
            frame.fill(0);
        }
        muted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sines, `amplitude` each.
    fn pair(low: f64, high: f64, amplitude: f64, offset: usize, n: usize) -> Vec<i16> {
        (0..n)
            .map(|i| {
                let t = (i + offset) as f64 / f64::from(SAMPLE_RATE);
                let w = 2.0 * std::f64::consts::PI * t;
                (((low * w).sin() + (high * w).sin()) * amplitude) as i16
            })
            .collect()
    }

    #[test]
    fn two_halves_make_the_spectrum_of_the_window() {
        let samples = pair(770.0, 1_400.0, 4_000.0, 37, WINDOW);
        let detector = ToneDetector::default();
        let mut halves = frames(&samples).map(|f| detector.half(&f.map(f32::from)).spectrum);
        let (first, last) = (halves.next().expect("two"), halves.next().expect("two"));
        let powers = detector.powers(&first, &last);
        for (hz, power) in TONES.into_iter().zip(powers) {
            let w = 2.0 * std::f64::consts::PI * f64::from(hz) / f64::from(SAMPLE_RATE);
            let (mut re, mut im) = (0.0, 0.0);
            for (n, x) in samples.iter().enumerate() {
                re += f64::from(*x) * (w * n as f64).cos();
                im -= f64::from(*x) * (w * n as f64).sin();
            }
            let direct = re * re + im * im;
            let off = (f64::from(power) - direct).abs() / (direct + 1e8);
            assert!(off < 1e-3, "{hz}: {power} instead of {direct}");
        }
    }

    fn frames(samples: &[i16]) -> impl Iterator<Item = &Frame> {
        samples.as_chunks::<FRAME_SAMPLES>().0.iter()
    }

    /// Speech-like: harmonics of a gliding pitch under moving formants, with pauses and some noise.
    fn speech(seconds: usize, seed: u32) -> Vec<i16> {
        let mut x = seed;
        let mut phase = 0.0f64;
        (0..seconds * SAMPLE_RATE as usize)
            .map(|i| {
                let t = i as f64 / f64::from(SAMPLE_RATE);
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(x >> 16) / 32_768.0 - 1.0;
                let pitch = 130.0 + 40.0 * (2.1 * t + f64::from(seed % 7)).sin();
                phase += 2.0 * std::f64::consts::PI * pitch / f64::from(SAMPLE_RATE);
                let f1 = 500.0 + 300.0 * (5.3 * t).sin();
                let f2 = 1_500.0 + 700.0 * (3.7 * t + 1.0).sin();
                let mut v = 0.0;
                for h in 1..20 {
                    let hz = pitch * f64::from(h);
                    let gain =
                        (-((hz - f1) / 150.0).powi(2)).exp() + 0.6 * (-((hz - f2) / 200.0).powi(2)).exp();
                    v += gain * (phase * f64::from(h)).sin();
                }
                let syllable = (2.0 * std::f64::consts::PI * 4.0 * t).sin().max(0.0);
                (v * syllable * 4_000.0 + noise * 300.0) as i16
            })
            .collect()
    }

    #[test]
    fn every_key_is_found_loud_and_quiet_and_off_frequency() {
        for (row, keys) in KEYS.iter().enumerate() {
            for (column, key) in keys.iter().enumerate() {
                for amplitude in [150.0, 2_000.0, 15_000.0] {
                    for skew in [0.985, 1.0, 1.015] {
                        let low = f64::from(TONES[row]) * skew;
                        let high = f64::from(TONES[4 + column]) * skew;
                        let mut d = ToneDetector::default();
                        let found: Vec<_> = frames(&pair(low, high, amplitude, 0, 1_600))
                            .map(|f| d.process(f))
                            .collect();
                        assert!(
                            found[1..].iter().all(|f| *f == Some(*key)),
                            "{key} at {amplitude} x{skew}: {found:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn at_most_20_ms_of_a_tone_pass_wherever_it_begins() {
        for start in (0..FRAME_SAMPLES).step_by(16) {
            let mut signal = vec![0i16; 800 + start];
            signal.extend(pair(852.0, 1_477.0, 6_000.0, 0, 1_600));
            signal.resize(4_000, 0);
            let mut mute = ToneMute::default();
            let mut guard = EchoGuard::default();
            let mut passed = 0;
            for (n, f) in frames(&signal).enumerate() {
                let mut f = *f;
                mute.process(
                    Instant::ZERO + FRAME * u32::try_from(n).expect("small"),
                    &mut f,
                    &mut guard,
                );
                passed += f.iter().filter(|s| s.abs() > 100).count();
            }
            assert!(passed <= 320, "{passed} samples passed at offset {start}");
        }
    }

    #[test]
    fn a_tone_within_speech_is_muted() {
        let mut signal = speech(1, 3);
        for (s, t) in signal[8_000..11_200]
            .iter_mut()
            .zip(pair(852.0, 1_477.0, 5_000.0, 0, 3_200))
        {
            *s = (*s / 2).saturating_add(t);
        }
        let mut mute = ToneMute::default();
        let mut guard = EchoGuard::default();
        let muted: Vec<bool> = frames(&signal)
            .map(|f| mute.process(Instant::ZERO, &mut f.clone(), &mut guard))
            .collect();
        assert!(muted[52..70].iter().all(|m| *m), "{muted:?}");
    }

    #[test]
    fn speech_and_single_tones_are_left_alone() {
        for seed in 1..8 {
            let mut mute = ToneMute::default();
            let mut guard = EchoGuard::default();
            let muted = frames(&speech(10, seed))
                .filter(|f| mute.process(Instant::ZERO, &mut (*f).clone(), &mut guard))
                .count();
            assert!(muted <= 20, "{muted} of 1000 frames of speech {seed} were muted");
        }
        for hz in [425.0, 440.0, 697.0, 941.0, 1_000.0, 1_477.0] {
            let mut d = ToneDetector::default();
            let single = pair(hz, hz, 4_000.0, 0, 16_000);
            assert!(frames(&single).all(|f| d.process(f).is_none()), "{hz} Hz");
        }
    }

    #[test]
    fn what_is_heard_after_a_tone_began_does_not_make_it_an_echo_and_what_was_heard_before_does() {
        let t = Instant::ZERO + Duration::from_secs(100);
        let ms = Duration::from_millis;
        let mut guard = EchoGuard::default();
        // 100 ms of tone, with ticks that are not on time
        for n in 0..10 {
            guard.heard(t + FRAME * n + ms(u64::from(n % 3)), '9');
        }
        assert!(!guard.echoes(t - ms(20), '9'), "its own echo");
        assert!(guard.echoes(t + ms(30), '9') && guard.echoes(t + ms(590), '9'));
        assert!(!guard.echoes(t + ms(620), '9') && !guard.echoes(t + ms(30), '8'));
        // the next press of the visitor does not hide the one before
        guard.heard(t + ms(400), '9');
        assert!(guard.echoes(t + ms(390), '9'));
        // long ago
        guard.heard(t + ms(5_000), '9');
        assert!(!guard.echoes(t + ms(4_900), '9') && guard.echoes(t + ms(5_400), '9'));
    }

    #[test]
    fn a_digit_is_an_echo_for_500_ms_after_its_tone() {
        let mut guard = EchoGuard::default();
        let t = Instant::ZERO + Duration::from_secs(100);
        guard.heard(t, '9');
        assert!(guard.is_echo(t, '9'));
        assert!(guard.is_echo(t + Duration::from_millis(500), '9'));
        assert!(!guard.is_echo(t + Duration::from_millis(501), '9'));
        assert!(!guard.is_echo(t, '8'));
    }
}
