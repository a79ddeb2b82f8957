//! Session descriptions (RFC 8866) and offer/answer for audio (RFC 3264, SDES by RFC 4568).
//!
//! A description is a list of m-lines; lines that are not understood are answered with port 0. The transport
//! of a stream (address, SRTP keys) stands apart from the stream itself (payload types).

mod choose;
mod crypto;
mod dtls;
mod formats;
mod ice;
mod offer_answer;
mod parse;
mod profile;
mod write;

use std::net::{IpAddr, SocketAddr};

pub use crypto::{CryptoAttribute, MasterKey, SrtpSuite};
pub use dtls::DtlsPeer;
pub(crate) use formats::COMFORT;
pub use formats::{AudioCodec, EventFormat, OpusFormat};
pub use offer_answer::{Capabilities, LocalMedia, OfferAnswer};

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// An answer's m-lines do not match the offer (RFC 3264 §6).
    #[error("answer has {found} m-lines, the offer had {expected}")]
    AnswerShape {
        /// m-lines of the answer.
        found: usize,
        /// m-lines of the offer.
        expected: usize,
    },
    /// A line that has to be understood is not.
    #[error("line {line}: {text:?} is not a valid {field} line")]
    BadLine {
        /// Line number, from 1.
        line: usize,
        /// Which field: `m`, `c`, `o`, …
        field: char,
        /// What was found, shortened.
        text: String,
    },
    /// The other side wants encryption and policy forbids it, or the reverse.
    #[error("media encryption does not fit: policy {policy:?}, the other side {offered}")]
    Encryption {
        /// Our policy.
        policy: SrtpPolicy,
        /// What the other side wants, in words.
        offered: &'static str,
    },
    /// No address for the audio stream.
    #[error("no usable c= address for the audio stream")]
    NoAddress,
    /// No audio m-line that both sides can use.
    #[error("no common audio: wanted one of {wanted}, found {found}")]
    NoCommonAudio {
        /// Our codecs.
        wanted: String,
        /// The formats found.
        found: String,
    },
    /// An answer without an offer of ours.
    #[error("answer without a pending offer")]
    NoOffer,
    /// Larger than the limits.
    #[error("description exceeds {limit}")]
    TooLarge {
        /// Which limit, with its value.
        limit: &'static str,
    },
    /// Not a session description of version 0.
    #[error("no v=0 line at the start")]
    Version,
}

/// Media encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SrtpPolicy {
    /// Never.
    #[default]
    Off,
    /// Offered as RTP/AVP (with feedback RTP/AVPF) with `a=crypto` or `a=fingerprint` (RFC 8643); plain RTP is taken too.
    Optional,
    /// Offered as RTP/SAVP or UDP/TLS/RTP/SAVP (with feedback …F); plain RTP is refused.
    Required,
}

/// How the keys of encrypted media are agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SrtpKeying {
    /// They are offered in the description (SDES, RFC 4568); a handshake is taken from those who offer one.
    #[default]
    Sdes,
    /// By a handshake on the media path (DTLS-SRTP, RFC 5763), and in no other way.
    Dtls,
}

/// Direction of a stream, from the view of whoever wrote the description (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Neither way.
    Inactive,
    /// The writer only receives.
    RecvOnly,
    /// The writer only sends.
    SendOnly,
    /// Both ways.
    #[default]
    SendRecv,
}

impl Direction {
    /// The attribute's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::RecvOnly => "recvonly",
            Self::SendOnly => "sendonly",
            Self::SendRecv => "sendrecv",
        }
    }

    /// Reads an attribute's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Inactive, Self::RecvOnly, Self::SendOnly, Self::SendRecv]
            .into_iter()
            .find(|d| d.as_str() == name)
    }

    /// May the writer send?
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendOnly | Self::SendRecv)
    }

    /// Does the writer receive?
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::RecvOnly | Self::SendRecv)
    }

    /// Of the two ways.
    #[must_use]
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (false, false) => Self::Inactive,
            (false, true) => Self::RecvOnly,
            (true, false) => Self::SendOnly,
            (true, true) => Self::SendRecv,
        }
    }

    /// The same stream seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }
}

/// `o=` (RFC 8866 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// User name, usually `-`.
    pub user: String,
    /// Session id.
    pub session: u64,
    /// Session version: one more with each changed description.
    pub version: u64,
    /// The writer's address as text; not used for media.
    pub address: String,
}

/// `a=name` or `a=name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Name.
    pub name: String,
    /// Value after the colon.
    pub value: Option<String>,
}

impl Attribute {
    /// `a=name`.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
        }
    }

    /// `a=name:value`.
    #[must_use]
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.into()),
        }
    }
}

/// One m-line with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLine {
    /// `audio`, `video`, …
    pub kind: String,
    /// Port; 0 refuses the stream.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, …
    pub transport: String,
    /// Formats, payload types for RTP.
    pub formats: Vec<String>,
    /// `c=` of this stream.
    pub connection: Option<IpAddr>,
    /// Attributes in order.
    pub attributes: Vec<Attribute>,
}

impl MediaLine {
    /// The first attribute of this name, with its value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
    }

    /// The values of all attributes of this name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter(move |a| a.name.eq_ignore_ascii_case(name))
            .filter_map(|a| a.value.as_deref())
    }

    /// Its direction attribute, if it has one.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.attributes.iter().find_map(|a| Direction::parse(&a.name))
    }

    /// This line refused: port 0, same kind, transport and formats (RFC 3264 §6).
    #[must_use]
    pub fn refused(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            port: 0,
            transport: self.transport.clone(),
            formats: self.formats.clone(),
            connection: None,
            attributes: Vec::new(),
        }
    }
}

/// A session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    /// `o=`.
    pub origin: Origin,
    /// `s=`.
    pub name: String,
    /// `c=` of the session.
    pub connection: Option<IpAddr>,
    /// Attributes of the session.
    pub attributes: Vec<Attribute>,
    /// m-lines in order.
    pub media: Vec<MediaLine>,
}

/// What an audio stream does after offer and answer: everything the engine needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where RTP goes, as the other side says; the engine follows the latched source.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// Where the signalling of the call comes from: if `remote_rtp` is a private address, RTP is taken from there too,
    /// as of somebody behind a NAT. `None` if that is not known; then any source may be such a NAT.
    pub signalling: Option<IpAddr>,
    /// Media goes where the other side's media comes from, as behind a router it must (symmetric RTP, RFC 4961). Else it goes
    /// where the description says, and is taken from that address alone. With `ice` it has no meaning.
    pub symmetric: bool,
    /// RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Codec we send, with the other side's payload type.
    pub send: (u8, AudioCodec),
    /// What we take, by our payload types.
    pub receive: Vec<(u8, AudioCodec)>,
    /// What the other side wants of Opus, if that is sent.
    pub opus: OpusFormat,
    /// Telephone-events we send, if the other side takes them.
    pub send_events: Option<EventFormat>,
    /// Comfort noise as the other side numbers it, if it takes it.
    pub comfort: Option<u8>,
    /// What we send while nobody speaks; `None`: as ever.
    pub quiet: Option<Quiet>,
    /// Payload types of telephone-events we take.
    pub receive_events: Vec<u8>,
    /// Length of packets we send, in ms: 10 to 60.
    pub ptime_ms: u16,
    /// Direction from our view. `held()` if the other side does not listen.
    pub direction: Direction,
    /// Keys, if the stream is encrypted and they are known.
    pub srtp: Option<SrtpKeys>,
    /// Keys come by a handshake with this peer: until then nothing is sent and nothing taken.
    pub dtls: Option<DtlsPeer>,
    /// The other side checks where it reaches us: media goes where it chose, and nowhere before.
    pub ice: Option<crate::ice::Agreement>,
}

impl Agreed {
    /// True if the other side put us on hold: it does not want our audio.
    #[must_use]
    pub const fn held(&self) -> bool {
        !self.direction.sends()
    }
}

/// What is sent in place of silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// A word of its level now and then, under this payload type (RFC 3389).
    Comfort(u8),
    /// A packet of the codec now and then (RFC 7587 §3.1.3).
    Sparse,
}

/// Keys of both directions; one context per key and direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Suite.
    pub suite: SrtpSuite,
    /// We encrypt with it.
    pub local: MasterKey,
    /// We decrypt with it.
    pub remote: MasterKey,
}

#[cfg(test)]
mod path_tests;
#[cfg(test)]
mod tests;
