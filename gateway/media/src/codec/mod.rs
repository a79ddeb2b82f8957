//! Codecs: bytes of an RTP payload to samples and back.
//!
//! Lengths on the wire are counted in ticks of the RTP clock, samples at the rate of the codec; the two differ for
//! G.722 (8 kHz clock, 16 kHz samples; RFC 3551 §4.5.2) and Opus (48 kHz clock, 16 kHz samples here; RFC 7587 §4.1).
//! Encoders and decoders are made by whoever updates a leg and used by the engine: they allocate when they are made
//! and never afterwards.

pub mod g711;
pub mod g722;
pub mod opus;
pub mod plc;
pub mod resample;

use crate::sdp::{AudioCodec, OpusFormat};

/// Longest packet that is encoded, ms.
pub const MAX_PTIME_MS: u16 = 60;

/// Why bytes or samples could not be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The codec refused the payload.
    #[error("{codec} payload of {bytes} bytes cannot be decoded: {reason}")]
    Decode {
        /// Encoding name.
        codec: &'static str,
        /// Length of the payload.
        bytes: usize,
        /// What the codec said.
        reason: &'static str,
    },
    /// The codec refused the samples.
    #[error("{samples} samples cannot be encoded as {codec}: {reason}")]
    Encode {
        /// Encoding name.
        codec: &'static str,
        /// Samples that were to be encoded.
        samples: usize,
        /// What the codec said.
        reason: &'static str,
    },
    /// The codec could not be made.
    #[error("no {codec} codec: {reason}")]
    Init {
        /// Encoding name.
        codec: &'static str,
        /// What the codec said.
        reason: &'static str,
    },
    /// No packet of this codec has such a length.
    #[error("{samples} samples are no packet of {codec}: allowed are {allowed}")]
    Length {
        /// Encoding name.
        codec: &'static str,
        /// Samples that were to be encoded.
        samples: usize,
        /// The lengths, in words.
        allowed: &'static str,
    },
    /// More samples than there is room for.
    #[error("{codec} payload holds {samples} samples, there is room for {room}")]
    Room {
        /// Encoding name.
        codec: &'static str,
        /// Samples of the payload.
        samples: usize,
        /// Room for them.
        room: usize,
    },
}

/// Makes payloads of one stream.
pub trait Encoder: Send {
    /// Samples per second of what it takes: 8000 or 16000.
    fn sample_rate(&self) -> u32;
    /// Appends the payload of one packet to `out`.
    ///
    /// # Errors
    /// [`CodecError`] if no packet can hold so many samples; nothing is appended then.
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// Reads payloads of one stream.
pub trait Decoder: Send {
    /// Samples per second of what it gives: 8000 or 16000.
    fn sample_rate(&self) -> u32;
    /// Samples that a payload holds; `None` if it is no payload of this codec.
    fn samples_of(&self, payload: &[u8]) -> Option<usize>;
    /// Decodes a payload into `out` and tells how many samples there are.
    ///
    /// # Errors
    /// [`CodecError`] if the payload is broken or does not fit into `out`; what is in `out` then means nothing.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError>;
    /// Fills `out`, whole 10 ms at most 120 ms, in place of a packet that is missing. `next` is the packet after it,
    /// if that is there: it may tell about the missing one. False if the codec knows nothing: then the wave is
    /// continued by [`plc::Concealment`].
    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool {
        let _ = (next, out);
        false
    }
    /// Tells what was played in place of a missing packet, so that the state follows it.
    fn follow(&mut self, played: &[i16]) {
        let _ = played;
    }
}

/// An encoder; `format` is what the other side wants of Opus.
///
/// # Errors
/// [`CodecError::Init`] if it cannot be made.
pub fn encoder(codec: AudioCodec, format: &OpusFormat) -> Result<Box<dyn Encoder>, CodecError> {
    Ok(match codec {
        AudioCodec::G722 => Box::new(g722::Encoder::default()),
        AudioCodec::Opus => Box::new(opus::Encoder::new(format)?),
        AudioCodec::Pcma => Box::new(g711::G711::A),
        AudioCodec::Pcmu => Box::new(g711::G711::Mu),
    })
}

/// A decoder.
///
/// # Errors
/// [`CodecError::Init`] if it cannot be made.
pub fn decoder(codec: AudioCodec) -> Result<Box<dyn Decoder>, CodecError> {
    Ok(match codec {
        AudioCodec::G722 => Box::new(g722::Decoder::default()),
        AudioCodec::Opus => Box::new(opus::Decoder::new()?),
        AudioCodec::Pcma => Box::new(g711::G711::A),
        AudioCodec::Pcmu => Box::new(g711::G711::Mu),
    })
}
