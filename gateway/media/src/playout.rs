//! The receiving half of a leg: jitter buffer, decoder, concealment, comfort noise, up to 16 kHz.

use std::time::Duration;

use adapter_api::Frame;
use gateway_core::Instant;

use crate::codec::Codec;
use crate::codec::g711::G711;
use crate::codec::plc::Concealment;
use crate::codec::resample::{NARROW, Up};
use crate::jitter::{Content, Inserted, JitterBuffer, MAX_PAYLOAD, Next};
use crate::sdp::AudioCodec;

/// Decoded samples waiting: one packet and a rest.
const DECODED: usize = MAX_PAYLOAD + NARROW;

/// The codec of an SDP name.
#[must_use]
pub const fn g711(codec: AudioCodec) -> G711 {
    match codec {
        AudioCodec::Pcma => G711::A,
        AudioCodec::Pcmu => G711::Mu,
    }
}

/// Plays one received stream, 10 ms at a time.
#[derive(Clone, Debug)]
pub struct Playout {
    jitter: JitterBuffer,
    /// What our payload types mean.
    codecs: [Option<G711>; 128],
    decoded: [i16; DECODED],
    from: usize,
    to: usize,
    concealment: Concealment,
    /// Amplitude of comfort noise while the other side is silent.
    comfort: Option<i16>,
    noise: u32,
    up: Up,
    concealed: u64,
    /// Samples of the last packet: so long is a lost one.
    packet: usize,
}

impl Playout {
    /// With the delays of the jitter buffer.
    #[must_use]
    pub fn new(start: Duration, max: Duration) -> Self {
        Self {
            jitter: JitterBuffer::new(start, max, 8_000),
            codecs: [None; 128],
            decoded: [0; DECODED],
            from: 0,
            to: 0,
            concealment: Concealment::default(),
            comfort: None,
            noise: 1,
            up: Up::default(),
            concealed: 0,
            packet: 2 * NARROW,
        }
    }

    /// Sets what is taken.
    pub fn set_codecs(&mut self, list: &[(u8, AudioCodec)]) {
        self.codecs = [None; 128];
        for (payload, codec) in list {
            if let Some(slot) = self.codecs.get_mut(usize::from(*payload)) {
                *slot = Some(g711(*codec));
            }
        }
    }

    /// Is this payload type audio of ours?
    #[must_use]
    pub fn takes(&self, payload_type: u8) -> bool {
        self.codecs
            .get(usize::from(payload_type))
            .is_some_and(Option::is_some)
    }

    /// A new source: what is buffered is thrown away.
    pub fn reset(&mut self) {
        self.jitter.reset();
        self.from = 0;
        self.to = 0;
    }

    /// Takes a packet.
    pub fn insert(&mut self, now: Instant, sequence: u16, content: Content, payload: &[u8]) -> Inserted {
        let samples = match content {
            Content::Audio(kind) => self
                .codecs
                .get(usize::from(kind))
                .and_then(Option::as_ref)
                .map_or(0, |c| c.samples_of(payload.len())),
            Content::Comfort | Content::Nothing => 0,
        };
        self.jitter.insert(
            now,
            sequence,
            content,
            u32::try_from(samples).unwrap_or(0),
            payload,
        )
    }

    /// 10 ms frames concealed so far.
    #[must_use]
    pub const fn concealed(&self) -> u64 {
        self.concealed
    }

    /// The next 10 ms.
    pub fn play(&mut self, now: Instant, frame: &mut Frame) {
        let rest = u32::try_from(self.to - self.from).unwrap_or(0);
        if self.jitter.review(rest) {
            self.fill(now);
            self.from = (self.from + NARROW).min(self.to);
        }
        self.fill(now);
        let mut narrow = [0; NARROW];
        let n = (self.to - self.from).min(NARROW);
        narrow[..n].copy_from_slice(&self.decoded[self.from..self.from + n]);
        self.from += n;
        self.up.process(&narrow, frame);
    }

    /// Decodes until 10 ms are there, concealing what is not.
    fn fill(&mut self, now: Instant) {
        while self.to - self.from < NARROW {
            self.decoded.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
            let missing = NARROW - self.to;
            match self.jitter.pull(now) {
                Next::Packet(Content::Audio(kind), payload) => {
                    let Some(codec) = self.codecs.get_mut(usize::from(kind)).and_then(Option::as_mut) else {
                        continue;
                    };
                    let n = codec.decode(payload, &mut self.decoded[self.to..]);
                    self.concealment.good(&mut self.decoded[self.to..self.to + n]);
                    self.comfort = None;
                    self.to += n;
                    self.packet = n.max(1);
                }
                Next::Packet(Content::Comfort | Content::Nothing, payload) => {
                    self.comfort = Some(amplitude(payload.first().copied().unwrap_or(127)));
                }
                Next::Waiting => {
                    self.decoded[self.to..self.to + missing].fill(0);
                    self.to += missing;
                }
                Next::Empty => self.cover(missing),
                Next::Lost => self.cover(self.packet),
            }
        }
    }

    /// Fills `n` samples with comfort noise or concealment.
    fn cover(&mut self, n: usize) {
        let n = n.min(DECODED - self.to);
        if let Some(amplitude) = self.comfort {
            self.hiss(amplitude, n);
        } else {
            for piece in self.decoded[self.to..self.to + n].chunks_mut(NARROW) {
                self.concealment.conceal(piece);
                self.concealed += 1;
            }
        }
        self.to += n;
    }

    fn hiss(&mut self, amplitude: i16, n: usize) {
        for s in &mut self.decoded[self.to..self.to + n] {
            self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = self.noise.cast_signed() >> 16;
            let sample = ((random * i32::from(amplitude)) >> 15) as i16;
            *s = sample;
        }
    }
}

/// Noise level of RFC 3389 §3.1 (dB below overload) as an amplitude, at most -30 dB.
fn amplitude(level: u8) -> i16 {
    let db = f32::from(level.clamp(30, 127));
    (32_767.0 * 1.7 * 10f32.powf(-db / 20.0)) as i16
}

#[cfg(test)]
mod tests;
