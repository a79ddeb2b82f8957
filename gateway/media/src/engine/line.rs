//! One line inside the engine: its port, digit mute, tones and the mix of what is connected to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use adapter_api::{AudioPort, FRAME_SAMPLES, Frame};
use gateway_core::{Instant, LineId, Volume};

use crate::dtmf_tone::{EchoGuard, ToneMute};
use crate::gain::Gain;
use crate::mixer::{self, Mix};
use crate::tones::TonePlayer;

pub(super) struct Line {
    pub(super) id: LineId,
    /// `None` after a panic in it.
    port: Option<Box<dyn AudioPort>>,
    pub(super) tones: TonePlayer,
    pub(super) guard: EchoGuard,
    mute: ToneMute,
    /// Frames for which the microphone stays mute.
    muted: u16,
    captured: Frame,
    microphone: Gain,
    speaker: Gain,
    pub(super) mix: Mix,
    /// Legs connected, counted at each tick.
    pub(super) connected: usize,
}

impl Line {
    pub(super) fn new(id: LineId, port: Box<dyn AudioPort>) -> Self {
        Self {
            id,
            port: Some(port),
            tones: TonePlayer::default(),
            guard: EchoGuard::default(),
            mute: ToneMute::default(),
            muted: 0,
            captured: [0; FRAME_SAMPLES],
            microphone: Gain::default(),
            speaker: Gain::default(),
            mix: Mix::default(),
            connected: 0,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.connected > 0 || self.tones.is_playing()
    }

    pub(super) fn mute_for(&mut self, length: Duration) {
        let frames = length.as_millis().div_ceil(10);
        self.muted = self.muted.max(u16::try_from(frames).unwrap_or(u16::MAX));
    }

    /// From the next 10 ms on.
    pub(super) fn set_volume(&mut self, volume: Volume) {
        self.microphone.set(volume.microphone_db);
        self.speaker.set(volume.speaker_db);
    }

    /// Takes 10 ms from the microphone into the mix.
    pub(super) fn capture(&mut self, now: Instant) {
        self.mix.clear();
        if self.connected == 0 {
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
        self.mute.process(now, &mut self.captured, &mut self.guard);
        if self.muted > 0 {
            self.muted -= 1;
            self.captured.fill(0);
        }
        // keys are looked for in what was said, however loud it goes on
        self.microphone.apply(&mut self.captured);
        self.mix.add(&self.captured);
    }

    /// Gives the legs' audio and the tone to the visitor.
    pub(super) fn play(&mut self) {
        let mut frame = [0; FRAME_SAMPLES];
        if self.connected > 0 {
            self.mix.without(Some(&self.captured), &mut frame);
        }
        let mut tone = [0; FRAME_SAMPLES];
        if self.tones.next(&mut tone) {
            mixer::add(&mut frame, &tone);
        }
        self.speaker.apply(&mut frame);
        if let Some(port) = &mut self.port
            && catch_unwind(AssertUnwindSafe(|| port.playback(&frame))).is_err()
        {
            self.port = None;
        }
    }
}
