//! SDP, RTP, RTCP, SRTP, codecs, telephone-event, jitter buffer and mixer, and the engine that drives them.
//!
//! Everything outside [`engine`] is pure: bytes, samples and [`gateway_core::Instant`]s in, values out. The
//! engine owns one thread with the RTP sockets and the 10 ms tick; it is the only part that reads a clock.

pub mod codec;
mod comfort;
pub mod dtls;
pub mod dtmf_receiver;
pub mod dtmf_tone;
pub mod engine;
#[doc(hidden)]
pub mod fuzz;
pub mod gain;
pub mod ice;
pub mod jitter;
mod key_tone;
pub mod mixer;
pub mod playout;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
mod silence;
pub mod srtp;
pub mod stats;
pub mod stun;
pub mod telephone_event;
pub mod tones;

pub use engine::{
    Both, Engine, EngineError, EngineParams, LegStats, Measures, MediaEvent, Piece, PortPair, Recorder,
    Recording, Seen, recording,
};
pub use sdp::{
    Agreed, AudioCodec, Capabilities, Direction, DtlsPeer, EventFormat, LocalMedia, OfferAnswer, OpusFormat,
    Quiet, SdpError, SessionDescription, SrtpKeying, SrtpPolicy, SrtpSuite,
};
