//! The receiving half of a leg: jitter buffer, decoder, concealment, comfort noise, at 16 kHz.
//!
//! What is decoded waits at the codec's own rate; 8 kHz become 16 kHz as they are played.

use std::time::Duration;

use adapter_api::{FRAME_SAMPLES, Frame, SAMPLE_RATE};
use gateway_core::Instant;

use crate::codec::plc::Concealment;
use crate::codec::resample::{NARROW, Up};
use crate::codec::{self, CodecError, Decoder};
use crate::comfort::Comfort;
use crate::jitter::{Content, Inserted, JitterBuffer, Next};
use crate::sdp::AudioCodec;

/// Decoded samples waiting: a packet of 120 ms at 16 kHz and a rest of less than 15 ms.
const DECODED: usize = 14 * FRAME_SAMPLES;

/// Bytes of an Opus packet up to which it says that nobody speaks (RFC 6716 §2.1.9).
const STILL: usize = 2;

/// The decoders of a leg, one for each payload type that is taken.
#[derive(Default)]
pub struct Decoders(Vec<Slot>);

struct Slot {
    payload_type: u8,
    codec: AudioCodec,
    decoder: Box<dyn Decoder>,
}

impl std::fmt::Debug for Decoders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|s| (s.payload_type, s.codec)))
            .finish()
    }
}

impl Decoders {
    /// Makes decoders for what is taken, by our payload types.
    ///
    /// # Errors
    /// [`CodecError::Init`] if one cannot be made.
    pub fn new(list: &[(u8, AudioCodec)]) -> Result<Self, CodecError> {
        let slot = |(payload_type, codec): &(u8, AudioCodec)| {
            Ok(Slot {
                payload_type: *payload_type,
                codec: *codec,
                decoder: codec::decoder(*codec)?,
            })
        };
        list.iter().map(slot).collect::<Result<_, _>>().map(Self)
    }

    fn find(&self, payload_type: u8) -> Option<usize> {
        self.0.iter().position(|s| s.payload_type == payload_type)
    }
}

/// Plays one received stream, 10 ms at a time.
#[derive(Debug)]
pub struct Playout {
    jitter: JitterBuffer,
    decoders: Decoders,
    /// Which of them spoke last.
    active: usize,
    /// Samples per second of what is decoded.
    rate: u32,
    decoded: [i16; DECODED],
    from: usize,
    to: usize,
    concealment: Concealment,
    /// Noise while the other side is silent, as it told.
    comfort: Option<Comfort>,
    /// It is silent, and the codec itself knows how that sounds (DTX, RFC 7587 §3.1.3).
    still: bool,
    up: Up,
    concealed: u64,
    /// Samples of the last packet: so long is a lost one.
    packet: usize,
    /// Samples concealed since then, while nothing was there, that are part of no lost packet yet.
    ahead: usize,
}

impl Playout {
    /// With the delays of the jitter buffer.
    #[must_use]
    pub fn new(start: Duration, max: Duration) -> Self {
        Self {
            jitter: JitterBuffer::new(start, max, SAMPLE_RATE),
            decoders: Decoders::default(),
            active: 0,
            rate: 8_000,
            decoded: [0; DECODED],
            from: 0,
            to: 0,
            concealment: Concealment::new(8_000),
            comfort: None,
            still: false,
            up: Up::default(),
            concealed: 0,
            packet: 2 * NARROW,
            ahead: 0,
        }
    }

    /// Sets what is taken; gives back what is no longer used. Decoders of the same payload type and codec go on.
    pub fn set_decoders(&mut self, mut decoders: Decoders) -> Decoders {
        for slot in &mut decoders.0 {
            let same = |s: &&mut Slot| s.payload_type == slot.payload_type && s.codec == slot.codec;
            if let Some(old) = self.decoders.0.iter_mut().find(same) {
                std::mem::swap(&mut slot.decoder, &mut old.decoder);
            }
        }
        let active = self.decoders.0.get(self.active).map(|s| s.payload_type);
        self.active = active.and_then(|kind| decoders.find(kind)).unwrap_or(0);
        std::mem::replace(&mut self.decoders, decoders)
    }

    /// RTP clock in Hz of this payload type, if it is audio that is taken.
    #[must_use]
    pub fn clock(&self, payload_type: u8) -> Option<u32> {
        let at = self.decoders.find(payload_type)?;
        self.decoders.0.get(at).map(|s| s.codec.clock_rate())
    }

    /// A new source: what is buffered is thrown away.
    pub fn reset(&mut self) {
        self.jitter.reset();
        self.from = 0;
        self.to = 0;
        self.ahead = 0;
    }

    /// Takes a packet.
    pub fn insert(&mut self, now: Instant, sequence: u16, content: Content, payload: &[u8]) -> Inserted {
        let ticks = match content {
            Content::Audio(kind) => {
                let slot = self.decoders.find(kind).and_then(|at| self.decoders.0.get(at));
                let Some((samples, rate)) = slot.and_then(|s| {
                    let samples = s.decoder.samples_of(payload)?;
                    Some((u32::try_from(samples).ok()?, s.decoder.sample_rate()))
                }) else {
                    return Inserted::Malformed;
                };
                samples * (SAMPLE_RATE / rate)
            }
            Content::Comfort | Content::Nothing => 0,
        };
        self.jitter.insert(now, sequence, content, ticks, payload)
    }

    /// 10 ms frames concealed so far.
    #[must_use]
    pub const fn concealed(&self) -> u64 {
        self.concealed
    }

    /// How long after its arrival sound is played at this time; `None` while there is none.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        let rest = (self.to - self.from) * (SAMPLE_RATE / self.rate) as usize;
        self.jitter.delay(u32::try_from(rest).unwrap_or(0))
    }

    /// The next 10 ms.
    pub fn play(&mut self, now: Instant, frame: &mut Frame) {
        let rest = (self.to - self.from) * (SAMPLE_RATE / self.rate) as usize;
        if self.jitter.review(u32::try_from(rest).unwrap_or(0)) {
            self.shorten(now);
        }
        self.fill(now, 2);
        let n = self.frame();
        let heard = &self.decoded[self.from..self.from + n];
        self.from += n;
        if let Ok(narrow) = heard.try_into() {
            self.up.process(narrow, frame);
        } else {
            frame.copy_from_slice(heard);
        }
    }

    /// Samples of 10 ms of what is decoded.
    const fn frame(&self) -> usize {
        self.rate as usize / 100
    }

    /// Leaves out 5 to 10 ms: as much as lies between two places where the sound is most alike, from one of which it fades
    /// over to the other within 5 ms. Of voices that is a whole number of periods, from 100 Hz on.
    fn shorten(&mut self, now: Instant) {
        self.fill(now, 3);
        let fade = self.frame() / 2;
        let heard = &mut self.decoded[self.from..self.to];
        let product = |one: &[i16], other: &[i16]| -> f32 {
            let each = one.iter().zip(other);
            each.map(|(a, b)| f32::from(*a) * f32::from(*b)).sum()
        };
        let (mut most, mut skip) = (0.0, 2 * fade);
        for at in fade..=2 * fade {
            let there = &heard[at..at + fade];
            let alike = product(&heard[..fade], there) / product(there, there).sqrt().max(1.0);
            if alike > most {
                (most, skip) = (alike, at);
            }
        }
        for n in 0..fade {
            let (before, behind) = (i32::from(heard[n]), i32::from(heard[skip + n]));
            let (share, whole) = (n as i32 + 1, fade as i32 + 1);
            // between both of them
            heard[skip + n] = ((before * (whole - share) + behind * share) / whole) as i16;
        }
        self.from += skip;
    }

    /// Decodes until so many times 5 ms are there, concealing what is not.
    fn fill(&mut self, now: Instant, pieces: usize) {
        // a packet may bring another rate
        while self.to - self.from < pieces * self.frame() / 2 {
            self.decoded.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
            let missing = pieces * self.frame() / 2 - self.to;
            match self.jitter.pull(now) {
                Next::Packet(Content::Audio(kind), payload) => {
                    let Some(at) = self.decoders.find(kind) else {
                        continue;
                    };
                    let slot = &mut self.decoders.0[at];
                    let decoder = &mut slot.decoder;
                    self.active = at;
                    self.comfort = None;
                    // a head without a frame, or with one that says no more than that there is none
                    self.still = slot.codec == AudioCodec::Opus && payload.len() <= STILL;
                    self.ahead = 0;
                    if decoder.sample_rate() != self.rate {
                        self.rate = decoder.sample_rate();
                        self.concealment = Concealment::new(self.rate);
                        self.up = Up::default();
                        self.packet = 2 * self.rate as usize / 100;
                        self.to = 0;
                    }
                    if let Ok(n) = decoder.decode(payload, &mut self.decoded[self.to..]) {
                        self.concealment.good(&mut self.decoded[self.to..self.to + n]);
                        self.to += n;
                        self.packet = n.max(1);
                    } else {
                        self.cover(self.packet);
                    }
                }
                Next::Packet(Content::Comfort | Content::Nothing, payload) => {
                    let seed = self.comfort.as_ref().map_or(1, Comfort::seed);
                    self.comfort = Some(Comfort::new(payload, seed));
                }
                Next::Waiting if self.comfort.is_some() => self.cover(missing),
                Next::Waiting => {
                    self.decoded[self.to..self.to + missing].fill(0);
                    self.to += missing;
                }
                Next::Empty => {
                    self.ahead += missing;
                    self.cover(missing);
                }
                Next::Lost => self.lost(),
            }
        }
    }

    /// A packet is missing for good. What was concealed while it, or those missing after it, could still have come is part of
    /// them, unless the codec knows what it was by the packet after it: then the delay stays longer by that, and the next loss
    /// is covered in whole.
    fn lost(&mut self) {
        let out = self.decoded.get_mut(self.to..self.to + self.packet);
        let slot = self.decoders.0.get_mut(self.active);
        if let (None, Some(slot), Some(out)) = (&self.comfort, slot, out) {
            let next = match self.jitter.peek() {
                Some((Content::Audio(kind), payload)) if kind == slot.payload_type => Some(payload),
                Some(_) | None => None,
            };
            if next.is_some() && slot.decoder.conceal(next, out) {
                self.ahead = 0;
                self.to += self.packet;
                self.concealed += self.packet.div_ceil(self.frame()) as u64;
                return;
            }
        }
        let covered = self.ahead.min(self.packet);
        self.ahead -= covered;
        self.cover(self.packet - covered);
    }

    /// Fills `n` samples with comfort noise or concealment.
    fn cover(&mut self, n: usize) {
        let n = n.min(DECODED - self.to);
        let size = self.frame();
        let out = &mut self.decoded[self.to..self.to + n];
        self.to += n;
        if let Some(comfort) = &mut self.comfort {
            comfort.fill(out);
            return;
        }
        // silence is no loss
        self.concealed += if self.still { 0 } else { n.div_ceil(size) as u64 };
        let Some(slot) = self.decoders.0.get_mut(self.active) else {
            out.fill(0);
            return;
        };
        for piece in out.chunks_mut(size) {
            if !slot.decoder.conceal(None, piece) {
                self.concealment.conceal(piece);
                slot.decoder.follow(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests;
