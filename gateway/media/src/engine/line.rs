//! One line inside the engine: its port, digit mute, tones and the mix of what is connected to it.
//!
//! Where two legs talk with each other and no line has a part in it, one of them stands in the place of the wires: the same
//! mix, and the same care that no tone of that side is taken for a key of the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use adapter_api::{AudioPort, FRAME_SAMPLES, Frame};
use gateway_core::{Instant, LegId, LineId, Volume};
use gateway_voice::Voice;

use super::recorder::Recorder;
use crate::dtmf_tone::{EchoGuard, ToneMute};
use crate::gain::Gain;
use crate::mixer::{self, Mix};
use crate::tones::TonePlayer;

pub(super) struct Line {
    /// `None`: a leg stands in the place of the wires.
    pub(super) id: Option<LineId>,
    /// `None` after a panic in it.
    port: Option<Box<dyn AudioPort>>,
    pub(super) tones: TonePlayer,
    pub(super) guard: EchoGuard,
    mute: ToneMute,
    voice: Box<Voice>,
    captured: Frame,
    microphone: Gain,
    speaker: Gain,
    pub(super) mix: Mix,
    /// Of whose talk is recorded there.
    pub(super) recorder: Option<(LegId, Box<Recorder>)>,
    /// Nobody writes it down any more.
    unwritten: bool,
    /// Legs connected, counted at each tick.
    pub(super) connected: usize,
    /// Legs that are heard there and do not hear, likewise.
    pub(super) heard: usize,
}

impl Line {
    pub(super) fn new(id: LineId, port: Box<dyn AudioPort>, voice: Box<Voice>) -> Self {
        Self {
            id: Some(id),
            port: Some(port),
            ..Self::joint(voice)
        }
    }

    /// A place in which legs talk with each other.
    pub(super) fn joint(voice: Box<Voice>) -> Self {
        Self {
            id: None,
            port: None,
            tones: TonePlayer::default(),
            guard: EchoGuard::default(),
            mute: ToneMute::default(),
            voice,
            captured: [0; FRAME_SAMPLES],
            microphone: Gain::default(),
            speaker: Gain::default(),
            mix: Mix::default(),
            recorder: None,
            unwritten: false,
            connected: 0,
            heard: 0,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.connected > 0 || self.heard > 0 || self.tones.is_playing()
    }

    pub(super) fn mute_for(&mut self, length: Duration) {
        let frames = length.as_millis().div_ceil(10);
        self.voice.hush(u32::try_from(frames).unwrap_or(u32::MAX));
    }

    /// Takes another treatment of the voice; gives back the one before.
    pub(super) fn set_voice(&mut self, voice: Box<Voice>) -> Box<Voice> {
        std::mem::replace(&mut self.voice, voice)
    }

    /// From the next 10 ms on.
    pub(super) fn set_volume(&mut self, volume: Volume) {
        self.microphone.set(volume.microphone_db);
        self.speaker.set(volume.speaker_db);
    }

    /// Takes 10 ms from the microphone into the mix.
    pub(super) fn capture(&mut self, now: Instant) {
        self.mix.clear();
        if self.connected == 0 || self.id.is_none() {
            self.captured.fill(0);
            return;
        }
        self.captured.fill(0);
        if let Some(port) = &mut self.port {
            let captured = &mut self.captured;
            // A port that panics is out of service; the other lines go on.
            if catch_unwind(AssertUnwindSafe(|| port.capture(captured))).is_err() {
                self.port = None;
                self.captured.fill(0);
            }
        }
        self.hear(now);
    }

    /// Records from here on for a leg; gives back what was recorded with before.
    pub(super) fn record(&mut self, leg: LegId, recorder: Box<Recorder>) -> Option<(LegId, Box<Recorder>)> {
        self.unwritten = false;
        self.recorder.replace((leg, recorder))
    }

    /// The recorder that nobody reads any more.
    pub(super) fn unwritten(&mut self) -> Option<(LegId, Box<Recorder>)> {
        self.recorder.take_if(|_| self.unwritten)
    }

    /// Can anything be heard at it but by legs?
    pub(super) const fn has_wires(&self) -> bool {
        self.id.is_some()
    }

    /// Takes 10 ms of the leg that stands in the place of the wires.
    pub(super) fn capture_from(&mut self, now: Instant, frame: &Frame) {
        self.captured = *frame;
        self.hear(now);
    }

    /// What that leg hears: everybody but itself.
    pub(super) fn say_back(&self, frame: &mut Frame) {
        self.mix.without(Some(&self.captured), frame);
    }

    /// Treats what was captured, and mixes it.
    fn hear(&mut self, now: Instant) {
        // Digit tones are looked for in what came in: nothing that treats a voice may hide them. A frame that is muted is
        // treated all the same, since an echo is in it, too.
        let muted = self
            .mute
            .process(now, &mut self.captured.clone(), &mut self.guard);
        self.voice.hear(&mut self.captured);
        if muted {
            self.captured.fill(0);
        }
        // keys are looked for in what was said, however loud it goes on
        self.microphone.apply(&mut self.captured);
        self.mix.add(&self.captured);
    }

    /// Gives the legs' audio and the tone to the visitor.
    pub(super) fn play(&mut self) {
        let mut frame = [0; FRAME_SAMPLES];
        if self.connected > 0 || self.heard > 0 {
            self.mix.without(Some(&self.captured), &mut frame);
        }
        let mut tone = [0; FRAME_SAMPLES];
        if self.tones.next(&mut tone) {
            mixer::add(&mut frame, &tone);
        }
        if let Some((_, recorder)) = &self.recorder {
            self.unwritten |= !recorder.push(&self.captured, &frame);
        }
        self.speaker.apply(&mut frame);
        self.voice.play(&mut frame);
        if let Some(port) = &mut self.port
            && catch_unwind(AssertUnwindSafe(|| port.playback(&frame))).is_err()
        {
            self.port = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use adapter_api::SAMPLE_RATE;
    use gateway_voice::{Echo, Params};

    use super::*;

    /// Two wires: what is played comes back, half as strong, in the next frame. It keeps the last frame.
    struct Wires(Arc<Mutex<Frame>>);

    impl AudioPort for Wires {
        fn capture(&mut self, frame: &mut Frame) {
            *frame = self.0.lock().expect("one thread").map(|s| s / 2);
        }

        fn playback(&mut self, frame: &Frame) {
            *self.0.lock().expect("one thread") = *frame;
        }
    }

    fn line(params: Params) -> Line {
        let voice = Box::new(Voice::new(params, SAMPLE_RATE).expect("the rate of lines"));
        let port = Box::new(Wires(Arc::new(Mutex::new([0; FRAME_SAMPLES]))));
        let mut line = Line::new(LineId::new("riser").expect("a name"), port, voice);
        line.connected = 1;
        line
    }

    /// Energy of what a leg hears of its own noise in the last half second of three.
    fn heard(line: &mut Line) -> f64 {
        let (mut seed, mut energy) = (1_u32, 0.0);
        for frame in 0..300 {
            line.capture(Instant::ZERO);
            if frame >= 250 {
                energy += line.captured.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
            }
            let spoken = [0; FRAME_SAMPLES].map(|_: i16| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed.cast_signed() >> 19) as i16
            });
            line.mix.add(&spoken);
            line.play();
        }
        energy
    }

    #[test]
    fn the_echo_of_a_line_is_gone_if_its_voice_is_treated() {
        let plain = heard(&mut line(Params::default()));
        let treated = heard(&mut line(Params {
            echo: Echo::Hybrid,
            ..Params::default()
        }));
        let erle = 10.0 * (plain / (treated + 1.0)).log10();
        assert!(plain > 1e9 && erle >= 30.0, "{erle} dB of {plain}");
    }

    #[test]
    fn a_muted_line_is_silent_for_so_long() {
        let mut line = line(Params::default());
        heard(&mut line);
        line.mute_for(Duration::from_millis(20));
        let mut silent = Vec::new();
        for _ in 0..5 {
            line.capture(Instant::ZERO);
            line.mix.add(&[4_000; FRAME_SAMPLES]);
            silent.push(line.captured[FRAME_SAMPLES - 1] == 0);
            line.play();
        }
        assert_eq!(silent, [true, true, false, false, false]);
    }
}
