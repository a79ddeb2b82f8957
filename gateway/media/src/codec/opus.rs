//! Opus (RFC 6716) as speech: mono, 16 kHz samples, in-band forward error correction.
//!
//! The codec itself is the crate `opus-rs`. Whatever it panics on is an error of the payload: the engine goes on.
//! Packets of any bandwidth, frame length and channel count are decoded; ours are wideband at most, as long as the
//! line has 16 kHz.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opus_rs::{Application, OpusDecoder, OpusEncoder};

use super::CodecError;
use crate::sdp::OpusFormat;

const NAME: &str = "opus";
/// Samples per second of what is decoded.
const RATE: u32 = 16_000;
/// Samples per second of what is encoded for those who play no more than 8 kHz.
const NARROW_RATE: u32 = 8_000;
/// Samples of 120 ms, the longest packet (RFC 6716 §3.2.5).
const LONGEST: usize = 1_920;
/// Largest packet that is made: 60 ms at the highest bit rate that is asked for.
const LARGEST: usize = 512;
/// Loss that the encoder expects, percent: decides how much of the bits goes into forward error correction.
const EXPECTED_LOSS: i32 = 10;

/// Packet length in ms that Opus can have, nearest below what is asked for.
#[must_use]
pub const fn ptime(asked_ms: u16) -> u16 {
    match asked_ms {
        0..=19 => 10,
        20..=39 => 20,
        40..=59 => 40,
        _ => 60,
    }
}

/// Encodes one stream.
pub struct Encoder {
    inner: OpusEncoder,
    rate: u32,
    packet: [u8; LARGEST],
}

impl Encoder {
    /// Makes what the other side asked for.
    ///
    /// # Errors
    /// [`CodecError::Init`] if the codec refuses.
    pub fn new(format: &OpusFormat) -> Result<Self, CodecError> {
        let rate = if format.playback_rate < RATE {
            NARROW_RATE
        } else {
            RATE
        };
        let mut inner = OpusEncoder::new(rate.cast_signed(), 1, Application::Voip)
            .map_err(|reason| CodecError::Init { codec: NAME, reason })?;
        inner.bitrate_bps = i32::try_from(format.bit_rate).unwrap_or(i32::MAX);
        inner.use_cbr = format.constant;
        inner.use_inband_fec = format.forward_error_correction;
        inner.packet_loss_perc = EXPECTED_LOSS;
        inner.complexity = 5;
        Ok(Self {
            inner,
            rate,
            packet: [0; LARGEST],
        })
    }
}

impl super::Encoder for Encoder {
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        // frames of 2.5 and 5 ms exist, but not for speech (RFC 6716 §2.1.4)
        let frame = self.rate as usize / 100;
        if ![1, 2, 4, 6].map(|n| n * frame).contains(&samples.len()) {
            return Err(CodecError::Length {
                codec: NAME,
                samples: samples.len(),
                allowed: "10, 20, 40 or 60 ms",
            });
        }
        let refused = |reason| CodecError::Encode {
            codec: NAME,
            samples: samples.len(),
            reason,
        };
        let Self { inner, packet, .. } = self;
        let length = guarded(|| inner.encode_i16(samples, samples.len(), packet)).map_err(refused)?;
        match packet.get(..length) {
            None | Some([]) => Err(refused("the packet is empty")),
            Some(packet) => {
                out.extend(packet);
                Ok(())
            }
        }
    }
}

/// Decodes one stream.
pub struct Decoder {
    inner: OpusDecoder,
    wave: [f32; LONGEST],
}

impl Decoder {
    /// With nothing heard yet.
    ///
    /// # Errors
    /// [`CodecError::Init`] if the codec refuses.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            inner: OpusDecoder::new(RATE.cast_signed(), 1)
                .map_err(|reason| CodecError::Init { codec: NAME, reason })?,
            wave: [0.0; LONGEST],
        })
    }
}

impl super::Decoder for Decoder {
    fn sample_rate(&self) -> u32 {
        RATE
    }

    fn samples_of(&self, payload: &[u8]) -> Option<usize> {
        samples_of(payload)
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let refused = |reason| CodecError::Decode {
            codec: NAME,
            bytes: payload.len(),
            reason,
        };
        let samples = samples_of(payload).ok_or_else(|| refused("not a packet of RFC 6716 §3"))?;
        let room = out.len();
        let Some(out) = out.get_mut(..samples) else {
            return Err(CodecError::Room {
                codec: NAME,
                samples,
                room,
            });
        };
        let Self { inner, wave } = self;
        let decoded = guarded(|| inner.decode(payload, samples, &mut wave[..samples])).map_err(refused)?;
        if decoded != samples {
            return Err(refused("another length than its head says"));
        }
        write(wave, out);
        Ok(samples)
    }

    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool {
        let samples = out.len();
        let Self { inner, wave } = self;
        let Some(room) = wave.get_mut(..samples) else {
            return false;
        };
        let done = guarded(|| match next {
            Some(packet) if samples_of(packet).is_some() => inner.decode_fec(packet, samples, room),
            Some(_) | None => inner.decode(&[], samples, room),
        });
        if done != Ok(samples) {
            return false;
        }
        write(wave, out);
        true
    }
}

/// Runs the codec; a panic in it is a refusal.
fn guarded(run: impl FnOnce() -> Result<usize, &'static str>) -> Result<usize, &'static str> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err("the codec panicked"))
}

fn write(wave: &[f32], out: &mut [i16]) {
    for (sample, value) in out.iter_mut().zip(wave) {
        // a float that is too large, or none at all, is limited by the conversion
        let rounded = (value * 32_768.0).round() as i16;
        *sample = rounded;
    }
}

/// Samples of a packet at 16 kHz by its head (RFC 6716 §3.1, §3.2): at most 120 ms, no longer than its bytes allow.
fn samples_of(packet: &[u8]) -> Option<usize> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40 and 60 ms
        n @ 0..=11 => [160, 320, 640, 960][usize::from(n & 3)],
        // hybrid: 10 and 20 ms
        n @ 12..=15 => [160, 320][usize::from(n & 1)],
        // CELT: 2.5, 5, 10 and 20 ms
        n => [40, 80, 160, 320][usize::from(n & 3)],
    };
    let frames = match (toc & 3, packet) {
        (0, _) => 1,
        // two frames of the same length
        (1, _) if !packet.len().is_multiple_of(2) => 2,
        (2, [_, _, ..]) => 2,
        (3, [_, count, ..]) if count & 0x3f > 0 => usize::from(count & 0x3f),
        _ => return None,
    };
    Some(frame * frames).filter(|n| *n <= LONGEST)
}

#[cfg(test)]
mod tests;
