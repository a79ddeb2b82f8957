//! Codecs: bytes of an RTP payload to samples and back.

pub mod g711;
pub mod plc;
pub mod resample;

/// A codec. Its RTP clock may differ from its sample rate (G.722: 8 kHz clock, 16 kHz samples).
pub trait Codec: Send {
    /// RTP clock, Hz.
    fn clock_rate(&self) -> u32;
    /// Samples per second of what it takes and gives.
    fn sample_rate(&self) -> u32;
    /// Appends the encoded samples to `out`.
    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>);
    /// Decodes a payload into `out` and tells how many samples there are; what does not fit is cut off.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize;
    /// Samples that a payload of this length holds.
    fn samples_of(&self, payload_len: usize) -> usize;
}
