//! What is done to a line's voice.

/// Where echo comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Echo {
    /// Two wires that carry both directions: short and strong. Echoes up to 48 ms after their begin.
    Hybrid,
    /// Nothing comes back.
    #[default]
    Off,
    /// A loudspeaker and a microphone in one panel, and what is around them.
    Speaker,
}

/// How much noise is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NoiseReduction {
    /// Up to 18 dB, for places beside a street.
    High,
    /// Up to 10 dB; voices stay as they are.
    Low,
    /// None.
    #[default]
    Off,
}

/// What is done to a line's voice. Everything is off by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Params {
    /// Where echo comes from.
    pub echo: Echo,
    /// How long an echo lasts after its begin, 16 to 256 ms; without it 48 ms for a hybrid and 128 ms for a speaker.
    pub echo_tail_ms: Option<u16>,
    /// How much noise is taken away.
    pub noise: NoiseReduction,
    /// Brings voices to one level.
    pub gain: bool,
    /// Finds hum of 50 or 60 Hz and takes it away.
    pub hum: bool,
    /// One direction at a time.
    pub half_duplex: bool,
}

/// Tail of a hybrid and of a speaker, ms.
const HYBRID_TAIL: u16 = 48;
const SPEAKER_TAIL: u16 = 128;

impl Params {
    /// True if nothing is done.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self
            == Self {
                echo_tail_ms: self.echo_tail_ms,
                ..Self::default()
            }
    }

    /// How long an echo lasts, in ms.
    #[must_use]
    pub fn tail_ms(&self) -> u16 {
        let usual = match self.echo {
            Echo::Hybrid | Echo::Off => HYBRID_TAIL,
            Echo::Speaker => SPEAKER_TAIL,
        };
        self.echo_tail_ms.unwrap_or(usual).clamp(16, 256)
    }
}
