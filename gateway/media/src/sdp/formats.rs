//! Payload types of an audio line and what they mean (RFC 3551, RFC 4733 §2.4, RFC 7587 §6 and §7).

use super::{Attribute, MediaLine};

/// Comfort noise of 8 kHz (RFC 3551 table 4).
pub(crate) const COMFORT: u8 = 13;
/// Dynamic payload types (RFC 3551 §6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;
/// Most that we send as Opus, bit/s: wideband speech with forward error correction.
const OPUS_RATE: u32 = 32_000;
/// What we ask for as Opus: no more than 16 kHz are played, and a lost packet may be told by the next one.
const OPUS_WANTED: &str = "maxplaybackrate=16000;maxaveragebitrate=64000;useinbandfec=1";

/// An audio codec we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AudioCodec {
    /// G.722 at 64 kbit/s, payload type 9.
    G722,
    /// Opus.
    Opus,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.711 µ-law, payload type 0.
    Pcmu,
}

impl AudioCodec {
    /// Encoding name (RFC 3551 §6, RFC 7587 §6.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// Payload type under which we offer it: the static one (RFC 3551 table 4), or one of the dynamic ones that others
    /// use, too.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::G722 => 9,
            Self::Opus => 107,
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    /// RTP clock rate in Hz. G.722 has 8000 by an old error that stays (RFC 3551 §4.5.2).
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::G722 | Self::Pcma | Self::Pcmu => 8_000,
            Self::Opus => 48_000,
        }
    }

    /// Packet length in ms, nearest below what is asked for.
    #[must_use]
    pub const fn ptime(self, asked_ms: u16) -> u16 {
        match self {
            Self::G722 | Self::Pcma | Self::Pcmu => asked_ms / 10 * 10,
            Self::Opus => crate::codec::opus::ptime(asked_ms),
        }
    }

    fn rtpmap(self, payload_type: u8) -> String {
        let (name, clock) = (self.name(), self.clock_rate());
        let channels = match self {
            Self::G722 | Self::Pcma | Self::Pcmu => "",
            // always, whatever is sent (RFC 7587 §7)
            Self::Opus => "/2",
        };
        format!("{payload_type} {name}/{clock}{channels}")
    }

    /// By static payload type, if there is no rtpmap, else by its encoding name and clock.
    fn read(payload_type: u8, name: &str, clock: u32) -> Option<Self> {
        match (name, payload_type, clock) {
            // some write the sample rate of G.722 for its clock
            ("G722", _, 8_000 | 16_000) | ("", 9, _) => Some(Self::G722),
            ("OPUS", _, 48_000) => Some(Self::Opus),
            ("PCMA", _, 8_000) | ("", 8, _) => Some(Self::Pcma),
            ("PCMU", _, 8_000) | ("", 0, _) => Some(Self::Pcmu),
            _ => None,
        }
    }
}

/// A payload type of telephone-events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFormat {
    /// Payload type.
    pub payload_type: u8,
    /// Clock of the durations, Hz.
    pub clock: u32,
}

/// What a receiver wants of Opus (RFC 7587 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusFormat {
    /// Mean bit rate to send, bit/s, 6000 to 32000.
    pub bit_rate: u32,
    /// Send packets of one size.
    pub constant: bool,
    /// Tell about a packet in the next one.
    pub forward_error_correction: bool,
    /// Samples per second that are played: 8000 to 48000.
    pub playback_rate: u32,
    /// Nothing need be sent while nobody speaks.
    pub silences: bool,
}

impl Default for OpusFormat {
    fn default() -> Self {
        Self {
            bit_rate: OPUS_RATE,
            constant: false,
            forward_error_correction: false,
            playback_rate: 48_000,
            silences: false,
        }
    }
}

impl OpusFormat {
    /// Reads the value of an `fmtp` behind its payload type. What is not understood counts as not said.
    fn parse(value: &str) -> Self {
        let mut format = Self::default();
        for (name, value) in value.split(';').filter_map(|p| p.split_once('=')) {
            let number = value.trim().parse::<u32>().ok();
            match (name.trim().to_ascii_lowercase().as_str(), number) {
                ("cbr", Some(n)) => format.constant = n == 1,
                ("maxaveragebitrate", Some(n)) => format.bit_rate = n.clamp(6_000, OPUS_RATE),
                ("maxplaybackrate", Some(n)) => format.playback_rate = n.clamp(8_000, 48_000),
                ("usedtx", Some(n)) => format.silences = n == 1,
                ("useinbandfec", Some(n)) => format.forward_error_correction = n == 1,
                _ => {}
            }
        }
        format
    }
}

/// The payload types of a line that mean something to us, in its order.
pub(super) struct Formats {
    pub(super) codecs: Vec<(u8, AudioCodec)>,
    /// The first of each clock.
    pub(super) events: Vec<EventFormat>,
    /// Comfort noise beside codecs of 8 kHz (RFC 3389 §4).
    pub(super) comfort: Option<u8>,
}

impl Formats {
    pub(super) fn read(line: &MediaLine) -> Self {
        let mut codecs = Vec::new();
        let mut events: Vec<EventFormat> = Vec::new();
        let mut comfort = None;
        for payload in line.formats.iter().filter_map(|f| f.parse::<u8>().ok()) {
            if payload > 127 {
                continue;
            }
            let mut parts = about(line, "rtpmap", payload).unwrap_or("").split('/');
            let name = parts.next().unwrap_or("").trim().to_ascii_uppercase();
            let Some(clock) = parts.next().map_or(Some(8_000), |r| r.trim().parse::<u32>().ok()) else {
                continue;
            };
            let mono = parts.next().is_none_or(|c| c.trim() == "1");
            match AudioCodec::read(payload, &name, clock) {
                Some(codec) if mono || codec == AudioCodec::Opus => codecs.push((payload, codec)),
                Some(_) => {}
                None if clock == 8_000 && (name == "CN" || name.is_empty() && payload == COMFORT) => {
                    comfort.get_or_insert(payload);
                }
                None => {
                    let known = events.iter().any(|e| e.clock == clock);
                    if name == "TELEPHONE-EVENT" && matches!(clock, 8_000 | 48_000) && !known {
                        events.push(EventFormat {
                            payload_type: payload,
                            clock,
                        });
                    }
                }
            }
        }
        Self {
            codecs,
            events,
            comfort,
        }
    }

    /// The telephone-events that go with a codec: of its clock, else any.
    pub(super) fn events_beside(&self, codec: AudioCodec) -> Option<EventFormat> {
        let fits = |e: &&EventFormat| e.clock == codec.clock_rate();
        self.events
            .iter()
            .find(fits)
            .or_else(|| self.events.first())
            .copied()
    }
}

/// What the line says of Opus under this payload type.
pub(super) fn opus(line: &MediaLine, payload_type: u8) -> OpusFormat {
    about(line, "fmtp", payload_type).map_or_else(OpusFormat::default, OpusFormat::parse)
}

/// The value of the attribute that begins with this payload type, without it.
fn about<'a>(line: &'a MediaLine, name: &'a str, payload_type: u8) -> Option<&'a str> {
    line.values(name).find_map(|v| {
        let (number, rest) = v.split_once(char::is_whitespace)?;
        (number.parse() == Ok(payload_type)).then(|| rest.trim())
    })
}

/// The numbers of a dialog. What has got one keeps it (RFC 3264 §8.3.2).
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    codecs: Vec<(AudioCodec, u8)>,
    events: Vec<EventFormat>,
}

impl Numbers {
    /// Takes the numbers of the other side's offer, which we answer with.
    pub(super) fn take(&mut self, codecs: &[(u8, AudioCodec)], events: &[EventFormat]) {
        self.codecs = codecs.iter().map(|(number, codec)| (*codec, *number)).collect();
        self.events = events.to_vec();
    }

    /// The number of a codec in our offers.
    pub(super) fn codec(&mut self, codec: AudioCodec) -> u8 {
        if let Some((_, number)) = self.codecs.iter().find(|(c, _)| *c == codec) {
            return *number;
        }
        let number = self.free(codec.payload_type());
        self.codecs.push((codec, number));
        number
    }

    /// The telephone-events of our offers, of the clocks of these codecs.
    pub(super) fn events(&mut self, codecs: &[(u8, AudioCodec)]) -> Vec<EventFormat> {
        let wanted = |clock: u32| codecs.iter().any(|(_, c)| c.clock_rate() == clock);
        for (clock, number) in [(8_000, 101), (48_000, 102)] {
            if wanted(clock) && self.events.iter().all(|e| e.clock != clock) {
                let payload_type = self.free(number);
                self.events.push(EventFormat { payload_type, clock });
            }
        }
        self.events.iter().filter(|e| wanted(e.clock)).copied().collect()
    }

    fn free(&self, wanted: u8) -> u8 {
        let taken = |n: &u8| {
            self.codecs.iter().any(|(_, number)| number == n)
                || self.events.iter().any(|e| e.payload_type == *n)
        };
        std::iter::once(wanted)
            .chain(DYNAMIC)
            .find(|n| !taken(n))
            .unwrap_or(wanted)
    }
}

/// Formats and attributes of a line of ours; with `silences` of one who sends nothing while nobody speaks, and wants no more,
/// under this number for comfort noise.
pub(super) fn write(
    codecs: &[(u8, AudioCodec)],
    events: &[EventFormat],
    (silences, comfort): (bool, Option<u8>),
) -> (Vec<String>, Vec<Attribute>) {
    let mut formats = Vec::new();
    let mut attributes = Vec::new();
    for (payload, codec) in codecs {
        formats.push(payload.to_string());
        attributes.push(Attribute::new("rtpmap", codec.rtpmap(*payload)));
        if *codec == AudioCodec::Opus {
            let dtx = if silences { ";usedtx=1" } else { "" };
            attributes.push(Attribute::new("fmtp", format!("{payload} {OPUS_WANTED}{dtx}")));
        }
    }
    if let Some(number) = comfort {
        formats.push(number.to_string());
        attributes.push(Attribute::new("rtpmap", format!("{number} CN/8000")));
    }
    for EventFormat { payload_type, clock } in events {
        formats.push(payload_type.to_string());
        let map = format!("{payload_type} telephone-event/{clock}");
        attributes.push(Attribute::new("rtpmap", map));
        attributes.push(Attribute::new("fmtp", format!("{payload_type} 0-15")));
    }
    (formats, attributes)
}
