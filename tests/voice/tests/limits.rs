//! The limits that the voice path keeps. The numbers are the same in every run; no clock is read.

use gateway_media::dtmf_receiver::ToneReceiver;
use gateway_voice::NoiseReduction;
use voice_figures::{hum, scene, speech};

#[test]
fn echo_is_gone_after_two_seconds_and_two_seconds_after_a_change_and_voices_stay() {
    for scene in scene::spread() {
        let f = scene.play().expect("recordings");
        for (what, db) in [("first", f.first), ("changed", f.changed), ("after", f.after)] {
            assert!(db >= 30.0, "{db:.1} dB {what} of {scene:?}");
        }
        assert!(
            f.both.0 <= 3.0 && f.both.1 <= 4.0,
            "{:?} dB lost of {scene:?}",
            f.both
        );
        assert!(f.alone <= 1.0, "{} dB lost alone of {scene:?}", f.alone);
        assert!(f.delay <= 4.0, "{} ms", f.delay);
    }
}

#[test]
fn hum_is_gone_and_the_voice_is_not() {
    for (hz, name) in [(50.0, "en"), (49.9, "de"), (60.05, "us")] {
        for (shape, of) in hum::Shape::ALL {
            let f = hum::hum(hz, of, name).expect("recordings");
            assert!(f.reduction >= 20.0, "{shape}, {hz} Hz: {f:?}");
            assert!(f.loss <= 1.0, "{shape}, {hz} Hz: {f:?}");
        }
    }
}

#[test]
fn noise_is_weaker_and_the_voice_is_not() {
    for (setting, least) in [(NoiseReduction::Low, 8.0), (NoiseReduction::High, 14.0)] {
        let (weaker, loss) = hum::noise(setting, "en").expect("recordings");
        assert!(weaker >= least, "{weaker} dB of {setting:?}");
        assert!(loss <= 1.5, "{loss} dB lost by {setting:?}");
    }
}

/// The same speech, faster and higher, or slower and deeper.
fn shifted(samples: &[f32], by: f32) -> Vec<i16> {
    let count = (samples.len() as f32 / by) as usize;
    (0..count.saturating_sub(1))
        .map(|n| {
            let at = n as f32 * by;
            let (here, part) = (at as usize, at.fract());
            let next = samples.get(here + 1).copied().unwrap_or(0.0);
            ((samples[here] * (1.0 - part) + next * part) * 32_000.0) as i16
        })
        .collect()
}

#[test]
fn forty_minutes_of_speech_by_deep_and_high_voices_press_no_key() {
    let mut frames = 0;
    for name in speech::VOICES {
        let spoken = speech::voice(name).expect("a recording");
        for level in [-30.0, -15.0] {
            let spoken = speech::at_level(&spoken, level);
            for step in 0..25 {
                let mut receiver = ToneReceiver::default();
                let voice = shifted(&spoken, 0.7 + 0.025 * step as f32);
                for frame in voice.as_chunks::<160>().0 {
                    let pressed = receiver.process(frame);
                    assert_eq!(pressed, None, "{name} at {level} dB, step {step}, frame {frames}");
                    frames += 1;
                }
            }
        }
    }
    assert!(frames > 40 * 60 * 100, "{frames} frames");
}
