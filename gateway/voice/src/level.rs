//! Voices at one level, and nothing above full scale.

/// Level that voices get while they speak (active speech level, ITU-T P.56), as mean square of samples of ±1: -20 dB below full scale.
const WANTED: f32 = 0.01;
/// Most and least gain, dB.
const MOST: f32 = 15.0;
const LEAST: f32 = -12.0;
/// A voice is so much stronger than the noise of the place.
const VOICE: f32 = 10.0;
/// Gain rises and falls by so much a frame, dB.
const RISE: f32 = 0.04;
const FALL: f32 = 0.1;
/// A frame is smoothed over so many, a second.
const FRAMES: f32 = 100.0;
/// What is weaker than the voice by so much, 15.9 dB, is a pause of it (P.56).
const PAUSE: f32 = 0.0257;
/// What is taken for pauses may be somebody else who speaks lower: by so much a frame the voice is looked for below, 1.5 dB a second, and
/// 45 dB a second as long as no second of it was heard, since a click may have come first.
const LOWER: f32 = 0.996_55;
const LOWER_AT_FIRST: f32 = 0.9;
/// No syllable is louder than the voice by so much, 12 dB; a click is.
const LOUDEST: f32 = 16.0;
/// Largest sample that is let out.
const CEILING: f32 = 0.9;

/// Automatic gain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gain {
    /// Frames that it is smoothed over, up to [`FRAMES`].
    frames: f32,
    /// Smoothed mean square of voices; 0 before the first.
    level: f32,
    db: f32,
    factor: Option<f32>,
}

impl Gain {
    /// Takes a frame. `noise` is the mean square of the noise of the place; `foreign` says that what is heard now
    /// is not somebody near the microphone.
    pub(crate) fn process(&mut self, frame: &mut [f32], noise: f32, foreign: bool) {
        let power = frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32;
        if !foreign && power > VOICE * noise && power > 1e-6 {
            if power > PAUSE * self.level {
                let most = if self.level > 0.0 {
                    LOUDEST * self.level
                } else {
                    power
                };
                self.frames = (self.frames + 1.0).min(FRAMES);
                self.level += (power.min(most) - self.level) / self.frames;
            } else {
                self.level *= if self.frames < FRAMES {
                    LOWER_AT_FIRST
                } else {
                    LOWER
                };
            }
            let wanted = (10.0 * (WANTED / self.level).log10()).clamp(LEAST, MOST);
            self.db += (wanted - self.db).clamp(-FALL, RISE);
        }
        let target = 10_f32.powf(self.db / 20.0);
        let from = self.factor.replace(target).unwrap_or(target);
        let step = (target - from) / frame.len() as f32;
        let mut factor = from;
        for sample in frame {
            factor += step;
            *sample *= factor;
        }
    }
}

/// Keeps samples below full scale without cutting them off.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    release: f32,
    peak: f32,
}

impl Limiter {
    pub(crate) fn new(rate: usize) -> Self {
        Self {
            // a twentieth of a second
            release: (-20.0 / rate as f32).exp(),
            peak: 0.0,
        }
    }

    pub(crate) fn process(&mut self, frame: &mut [f32]) {
        for sample in frame {
            self.peak = sample.abs().max(self.peak * self.release).max(1e-9);
            if self.peak > CEILING {
                *sample *= CEILING / self.peak;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(amplitude: f32, seconds: usize) -> f32 {
        let mut gain = Gain::default();
        let mut last = 0.0;
        for block in 0..seconds * 100 {
            let mut frame: Vec<f32> = (0..160)
                .map(|n| {
                    amplitude * (std::f32::consts::TAU * 300.0 * (block * 160 + n) as f32 / 16_000.0).sin()
                })
                .collect();
            gain.process(&mut frame, 1e-7, false);
            last = frame.iter().map(|s| s * s).sum::<f32>() / 160.0;
        }
        10.0 * last.log10()
    }

    #[test]
    fn quiet_and_loud_voices_come_to_one_level() {
        for amplitude in [0.035, 0.14, 0.5] {
            let db = after(amplitude, 8);
            assert!((-21.0..=-19.0).contains(&db), "{db} dB of {amplitude}");
        }
        let db = after(0.002, 20);
        assert!((-43.0..=-40.0).contains(&db), "15 dB at most, not {db} dB");
    }

    /// Active speech level of a recording, dB, in its second half: the mean of what is less than 15.9 dB below it.
    fn active(frames: &[f32]) -> f32 {
        let mut limit = 0.0;
        let mut mean = 0.0;
        for _ in 0..30 {
            let loud: Vec<f32> = frames.iter().copied().filter(|power| *power > limit).collect();
            mean = loud.iter().sum::<f32>() / loud.len() as f32;
            limit = mean * PAUSE;
        }
        10.0 * mean.log10()
    }

    /// Recorded speech of eight seconds at a level, in frames of 10 ms.
    fn speech(db: f32) -> Vec<Vec<f32>> {
        let wav = include_bytes!("../../../tests/voice/speech/en.wav");
        let samples = wav[44..].chunks_exact(2);
        let samples: Vec<f32> = samples
            .map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0)
            .collect();
        let own = active(&samples.chunks_exact(160).map(power).collect::<Vec<f32>>());
        let factor = 10_f32.powf((db - own) / 20.0);
        let frames = samples.chunks_exact(160);
        frames
            .map(|frame| frame.iter().map(|sample| sample * factor).collect())
            .collect()
    }

    fn power(frame: &[f32]) -> f32 {
        frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32
    }

    /// What comes of these frames, as mean squares.
    fn heard(gain: &mut Gain, frames: impl IntoIterator<Item = Vec<f32>>) -> Vec<f32> {
        let treated = frames.into_iter().map(|mut frame| {
            gain.process(&mut frame, 1e-8, false);
            power(&frame)
        });
        treated.collect()
    }

    #[test]
    fn people_who_speak_come_to_one_level_and_a_low_voice_after_a_loud_one_too() {
        let mut gain = Gain::default();
        for db in [-10.0, -20.0, -32.0] {
            let heard = heard(&mut gain, speech(db).into_iter().cycle().take(3200));
            let came = active(&heard[1600..]);
            assert!((-21.0..=-19.0).contains(&came), "{db} dB came to {came} dB");
        }
    }

    #[test]
    fn a_click_before_or_in_a_voice_does_not_push_it_down() {
        let click = || std::iter::repeat_n([0.9, -0.9].repeat(80), 2);
        let mut gain = Gain::default();
        let first = heard(&mut gain, click().chain(speech(-34.0)).take(600));
        let came = active(&first[200..]);
        assert!((-26.0..=-19.0).contains(&came), "{came} dB after a click");
        heard(&mut gain, speech(-34.0));
        let later = heard(&mut gain, click().chain(speech(-34.0)));
        let came = active(&later[2..]);
        assert!((-22.0..=-19.0).contains(&came), "{came} dB beside a click");
    }

    #[test]
    fn noise_alone_is_not_raised() {
        let mut gain = Gain::default();
        for _ in 0..500 {
            let mut frame = [0.01, -0.01].repeat(80);
            gain.process(&mut frame, 1e-4, false);
            assert!((frame[159].abs() - 0.01).abs() < 1e-6);
        }
    }

    #[test]
    fn nothing_leaves_the_limiter_above_its_ceiling() {
        let mut limiter = Limiter::new(16_000);
        for block in 0..20 {
            let loud = if block % 2 == 0 { 4.0 } else { 0.3 };
            let mut frame = [loud, -loud].repeat(80);
            limiter.process(&mut frame);
            assert!(frame.iter().all(|s| s.abs() <= CEILING + 1e-6));
        }
    }
}
