//! The limits that the voice path keeps. The numbers are the same in every run; no clock is read.

use gateway_voice::NoiseReduction;
use voice_figures::{hum, scene};

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
        let f = hum::hum(hz, name).expect("recordings");
        assert!(f.reduction >= 20.0, "{hz} Hz: {f:?}");
        assert!(f.loss <= 1.0, "{hz} Hz: {f:?}");
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
