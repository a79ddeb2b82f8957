//! The media engine: one thread with the RTP sockets of all legs, the audio ports of all lines and a 10 ms tick.
//!
//! [`Engine`] is a handle; it can be cloned and used from any thread. Its methods only put a command into a
//! bounded queue. Whatever allocates (contexts, buffers, sockets) is made by the caller's thread and handed
//! over; what is no longer used comes back to be dropped there.

mod command;
mod early;
mod handle;
mod latch;
mod leg;
mod line;
mod outbox;
mod ports;
mod recorder;
mod said;
mod split;
mod strangers;
mod thread;
mod tones_in;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use adapter_api::AudioPort;
use gateway_core::{DigitVia, Histogram, Instant, LegId, LineId, Tone, Volume};
use gateway_trace::Trace;

use crate::sdp::Agreed;

pub use ports::{PortAllocator, PortPair, Seen};
pub use recorder::{Both, Piece, Recorder, Recording, recording};
pub use split::address;

/// Steps of [`Measures::buffered`], µs.
static BUFFERED: [u64; 9] = [
    10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 120_000, 160_000, 240_000,
];

/// What an engine measures while it runs.
#[derive(Debug)]
pub struct Measures {
    /// From the arrival of sound until it is played, looked at once a second for each leg that is heard.
    pub buffered: Histogram,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            buffered: Histogram::new(&BUFFERED),
        }
    }
}

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct EngineParams {
    /// Local address of the RTP sockets.
    pub bind: IpAddr,
    /// Ports for RTP (even) and RTCP (the next), both ends included.
    pub ports: RangeInclusive<u16>,
    /// No RTP for so long on a leg that should receive: [`MediaEvent::Timeout`]. Zero switches it off.
    pub media_timeout: Duration,
    /// Delay with which a jitter buffer starts, 10 to 200 ms.
    pub jitter_start: Duration,
    /// Largest delay a jitter buffer grows to, up to 200 ms.
    pub jitter_max: Duration,
    /// Where the engine counts what it measures.
    pub measures: Arc<Measures>,
    /// RTCP CNAME (RFC 3550 §6.5.1), at most 60 bytes.
    pub cname: String,
    /// Mark of RTP and RTCP: differentiated services code point, 0 to 63 (RFC 2474 §3).
    pub dscp: u8,
    /// Takes headers of RTP while there is a capture.
    pub trace: Option<Trace>,
}

impl Default for EngineParams {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            ports: 16_384..=16_583,
            media_timeout: Duration::from_secs(30),
            jitter_start: Duration::from_millis(20),
            jitter_max: Duration::from_millis(200),
            measures: Arc::default(),
            cname: "doorline".into(),
            // EF, expedited forwarding (RFC 4594 §4.1, telephony)
            dscp: 46,
            trace: None,
        }
    }
}

/// What the engine reports. The sink given to [`Engine::start`] runs on the engine's thread: it must not wait;
/// it gives the event back if it has no room, and gets it again at the next tick.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaEvent {
    /// One key press, reported once, at its first packet.
    Digit {
        /// When it was first seen; not later than it arrived, on `CLOCK_BOOTTIME`.
        at: Instant,
        /// `0-9 * # A-D`.
        digit: char,
        /// True if the same tone was on the line-to-phone audio within 500 ms.
        echo: bool,
        /// The leg.
        leg: LegId,
        /// How it came.
        via: DigitVia,
    },
    /// The leg is closed; its numbers.
    Closed {
        /// The leg.
        leg: LegId,
        /// What it did.
        stats: LegStats,
    },
    /// A datagram of a DTLS handshake for a leg that awaits one ([`Agreed::dtls`]). At most 8 of one
    /// source in each 10 ms and 512 in all, and of few sources.
    Handshake {
        /// When it came.
        at: Instant,
        /// The datagram.
        datagram: Box<[u8]>,
        /// The leg.
        leg: LegId,
    },
    /// The first valid packet of a leg, or of a new source of it: where its audio comes from.
    Source {
        /// When.
        at: Instant,
        /// The leg.
        leg: LegId,
        /// Latched address.
        source: SocketAddr,
    },
    /// Nothing was received for the media time-out. Reported once until media comes back.
    Timeout {
        /// When.
        at: Instant,
        /// The leg.
        leg: LegId,
    },
}

/// Numbers of a leg at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LegStats {
    /// RTP packets received from the latched source.
    pub received: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Packets lost before the jitter buffer, by sequence numbers (RFC 3550 A.3).
    pub lost: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Duplicates.
    pub duplicate: u64,
    /// 10 ms frames that were concealed.
    pub concealed: u64,
    /// Packets thrown away: malformed, not authenticated, from another source, of an unknown type.
    pub discarded: u64,
    /// Packets from others than the other side that reached us; those that its address alone tells apart do not.
    pub strangers: u64,
    /// Interarrival jitter (RFC 3550 A.8), microseconds.
    pub jitter_us: u32,
    /// Last round trip by RTCP, microseconds; 0 if never measured.
    pub round_trip_us: u32,
    /// Loss of our audio as the other side reports it, packets.
    pub remote_lost: u32,
    /// Digits that were thrown away because the engine had stood still for more than 500 ms.
    pub stale_digits: u64,
}

/// Why the engine did not do as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A codec that was agreed cannot be made.
    #[error("cannot use the codecs of {leg}")]
    Codec {
        /// The leg.
        leg: LegId,
        /// What the codec said.
        #[source]
        source: crate::codec::CodecError,
    },
    /// Not a key of a telephone.
    #[error("{digit:?} is not a digit: allowed are 0-9, *, #, A-D")]
    Digit {
        /// What was asked for.
        digit: char,
    },
    /// Every port pair of the range is taken.
    #[error("no free RTP port pair in {first}..={last} on {bind}")]
    NoPorts {
        /// Address.
        bind: IpAddr,
        /// First port.
        first: u16,
        /// Last port.
        last: u16,
    },
    /// The command queue is full.
    #[error("the media engine's command queue is full")]
    QueueFull,
    /// Keys of the wrong length for their suite.
    #[error("cannot use the SRTP keys of {leg}")]
    Keys {
        /// The leg.
        leg: LegId,
        /// What the cipher said.
        #[source]
        source: crate::srtp::SrtpError,
    },
    /// A voice cannot be treated at the rate of the lines.
    #[error("cannot treat the voice of a line")]
    Voice(#[from] gateway_voice::RateError),
    /// The engine's thread ended.
    #[error("the media engine has stopped")]
    Stopped,
    /// A socket, timer or thread could not be made.
    #[error("cannot make the media engine's {what}")]
    System {
        /// What was to be made.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A handle on the media engine. The thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: std::sync::Arc<handle::Inner>,
}

impl Engine {
    /// Starts the engine's thread.
    ///
    /// `sink` runs on that thread, must not wait, and returns the event if it has no room for it.
    ///
    /// # Errors
    /// [`EngineError::System`] if the thread or its timer cannot be made.
    pub fn start<S>(params: EngineParams, sink: S) -> Result<Self, EngineError>
    where
        S: FnMut(MediaEvent) -> Result<(), MediaEvent> + Send + 'static,
    {
        handle::Inner::start(params, Box::new(sink)).map(|inner| Self {
            inner: std::sync::Arc::new(inner),
        })
    }

    /// Binds the next free pair of RTP and RTCP sockets of the range. Dropping the pair frees it.
    ///
    /// # Errors
    /// [`EngineError::NoPorts`] if there is none.
    pub fn reserve_ports(&self) -> Result<PortPair, EngineError> {
        self.inner.reserve_ports()
    }

    /// Gives the engine a line's audio. A second port for the same line replaces the first.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn add_line(&self, line: LineId, port: Box<dyn AudioPort>) -> Result<(), EngineError> {
        self.inner.add_line(line, port)
    }

    /// Says how the voice of a line is treated, before or after its audio came. What was learnt of its echo and noise goes
    /// on if nothing changes.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn set_voice(&self, line: &LineId, params: gateway_voice::Params) -> Result<(), EngineError> {
        self.inner.set_voice(line, params)
    }

    /// Takes a line's audio away; connected legs hear silence.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn remove_line(&self, line: &LineId) -> Result<(), EngineError> {
        self.inner.remove_line(line)
    }

    /// Opens a leg on its sockets. It receives and sends nothing until [`Self::update_leg`].
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn open_leg(&self, leg: LegId, ports: PortPair) -> Result<(), EngineError> {
        self.inner.open_leg(leg, ports)
    }

    /// Tells a leg what is agreed, at first or after a re-offer. Encryption contexts and the RTP stream go on
    /// if the keys are the same, codecs if they are.
    ///
    /// # Errors
    /// [`EngineError::Keys`] for keys that do not fit, [`EngineError::Codec`] for codecs that cannot be made, else if the engine cannot take commands.
    pub fn update_leg(&self, leg: LegId, agreed: &Agreed) -> Result<(), EngineError> {
        self.inner.update_leg(leg, agreed)
    }

    /// Sends a datagram of a DTLS handshake from a leg's RTP port to the other side.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn send_handshake(&self, leg: LegId, datagram: Box<[u8]>) -> Result<(), EngineError> {
        self.inner.send_handshake(leg, datagram)
    }

    /// Says whether what a leg sends and hears is early media (RFC 3960), since nobody has answered yet: then no key of it is
    /// told, its silence is no fault, and [`Self::connect_leg`] has the line hear it and not be heard. A leg is answered unless
    /// it is said. With the answer it leaves the line.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn early_leg(&self, leg: LegId, early: bool) -> Result<(), EngineError> {
        self.inner.early_leg(leg, early)
    }

    /// Puts a leg's audio on a line, both ways; of one that is not answered ([`Self::early_leg`]) only what it sends.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn connect_leg(&self, leg: LegId, line: &LineId) -> Result<(), EngineError> {
        self.inner.connect_leg(leg, line)
    }

    /// Has two legs hear each other, and no line. `leg` is to `with` what a line is to a leg: tones of keys in its speech are
    /// muted, so that they come back as nobody's key. Joined with another one it leaves the one before alone. The end of `leg`
    /// is the end of it.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn join_legs(&self, leg: LegId, with: LegId) -> Result<(), EngineError> {
        self.inner.join_legs(leg, with)
    }

    /// Records the talk of a leg, from the moment on at which it is on a line or joined with another, until it is on that line no more
    /// or somebody else's talk there is recorded. `announcement` (16 kHz) is played to everybody in it at once. Keep a reference
    /// until it was played.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn record_leg(
        &self,
        leg: LegId,
        recorder: Recorder,
        announcement: Arc<[i16]>,
    ) -> Result<(), EngineError> {
        self.inner.record_leg(leg, recorder, announcement)
    }

    /// Takes a leg's audio off its line; it gets silence and tones.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn disconnect_leg(&self, leg: LegId) -> Result<(), EngineError> {
        self.inner.disconnect_leg(leg)
    }

    /// Ends a leg: RTCP BYE is sent, sockets are freed, [`MediaEvent::Closed`] follows.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn close_leg(&self, leg: LegId) -> Result<(), EngineError> {
        self.inner.close_leg(leg)
    }

    /// Plays a tone to a leg, once; `Ringback` repeats until another tone or [`Self::connect_leg`].
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn play_to_leg(&self, leg: LegId, tone: Tone) -> Result<(), EngineError> {
        self.inner.play_to_leg(leg, tone)
    }

    /// Plays a tone to the visitor; `Ringback` repeats until another tone, [`Self::silence_line`] or a
    /// connected leg.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn play_to_line(&self, line: &LineId, tone: Tone) -> Result<(), EngineError> {
        self.inner.play_to_line(line, tone)
    }

    /// Plays 16 kHz samples to a leg, once, after what it is played already; tones are heard beside them. `alone`: in place of
    /// speech. Up to four wait, and what is beyond is not played. No key is found in what comes back of it, no line has a part
    /// in it, and neither has a recording.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn say_to_leg(&self, leg: LegId, samples: Arc<[i16]>, alone: bool) -> Result<(), EngineError> {
        self.inner.say_to_leg(leg, samples, alone)
    }

    /// Plays 16 kHz samples to the visitor, once. Keep a reference until they were played: the media thread is to free
    /// nothing.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn say_to_line(&self, line: &LineId, samples: Arc<[i16]>) -> Result<(), EngineError> {
        self.inner.say_to_line(line, samples)
    }

    /// Ends a tone on a line.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn silence_line(&self, line: &LineId) -> Result<(), EngineError> {
        self.inner.silence_line(line)
    }

    /// How loud a line is from here on, also one that is added later. 0 dB unless it is set; a change takes 10 ms.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn set_volume(&self, line: &LineId, volume: Volume) -> Result<(), EngineError> {
        self.inner.set_volume(line, volume)
    }

    /// Mutes a line's microphone for a while, so that the click of a relay is not heard. At most 2 s.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn mute_line(&self, line: &LineId, length: Duration) -> Result<(), EngineError> {
        self.inner.mute_line(line, length)
    }

    /// Sends a key press of `length` (40 ms to 2 s) as telephone-event, if the other side takes them. Presses
    /// are queued, up to 32.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands.
    pub fn send_digit(&self, leg: LegId, digit: char, length: Duration) -> Result<(), EngineError> {
        self.inner.send_digit(leg, digit, length)
    }

    /// Presses a key for `length` (40 ms to 2 s) as tones in the speech to the other side. They take the place of whatever tone
    /// plays.
    ///
    /// # Errors
    /// [`EngineError`] if the engine cannot take commands, or it is no key.
    pub fn send_tones(&self, leg: LegId, digit: char, length: Duration) -> Result<(), EngineError> {
        self.inner.send_tones(leg, digit, length)
    }
}
