//! Messages between the gateway and a front end; `docs/front-end.md` is their page.

mod bytes;
mod order;
#[cfg(test)]
mod tests;
mod word;

use gateway_panel::BytePulses;

/// Version of the protocol that is spoken here.
pub const VERSION: u8 = 1;
/// Inputs and outputs of a front end at most.
pub const CHANNELS: u8 = 16;
/// Most times of one row of pulses.
pub const MAX_PULSES: usize = 100;
/// Most bytes of a telegram that opens.
pub const MAX_TELEGRAM: usize = 32;
/// Most bits of a card that is sent.
pub const MAX_CARD: usize = 256;
/// Most edges of one message.
pub const MAX_BATCH: usize = 36;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// Opens doors, and nothing else; the relay guard has it.
    Door,
    /// Edges of lines and outputs that open nothing; the gateway has it.
    Line,
}

/// One opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Which door.
    pub door: u8,
    /// Everything is over after so long, 1 to 60000 ms: the front end ends it by itself.
    pub window_ms: u16,
    /// How long the output is active, each time.
    pub press_ms: u16,
    /// How often, 1 to 5.
    pub presses: u8,
    /// Pause between.
    pub pause_ms: u16,
    /// Output that has to have been active for `after_ms` before; `None` if it need not.
    pub hook: Option<u8>,
    /// For how long.
    pub after_ms: u16,
    /// Input that has to have been without an edge for `quiet_ms` before; `None` if it need not.
    pub call: Option<u8>,
    /// For how long.
    pub quiet_ms: u16,
}

/// One opening by rows of pulses: a frame on a bus that the output of the door drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which door.
    pub door: u8,
    /// Everything is over after so long, 1 to 60000 ms: the front end ends it by itself.
    pub window_ms: u16,
    /// How often the row is sent, 1 to 5.
    pub rows: u8,
    /// Pause between.
    pub pause_ms: u16,
    /// Output that has to have been active for `after_ms` before; `None` if it need not.
    pub hook: Option<u8>,
    /// For how long.
    pub after_ms: u16,
    /// Input that has to have been without an edge for `quiet_ms` before each row; `None` if it need not.
    pub call: Option<u8>,
    /// For how long.
    pub quiet_ms: u16,
    /// Times in turns, active first: 1 to [`MAX_PULSES`], an odd number of them, those that are active 2 to 15000 µs and those at
    /// rest 2 to 30000 µs. What drives a bus burns when it is held for longer.
    pub times_us: Vec<u16>,
}

/// One opening by bytes of pulses: a telegram on a bus that the output of the door drives. Each byte is a pulse at its begin, and one
/// for each of its bits that is 0 at the begin of the bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telegram {
    /// Which door.
    pub door: u8,
    /// Everything is over after so long, 1 to 60000 ms: the front end ends it by itself.
    pub window_ms: u16,
    /// How often the telegram is sent, 1 to 5.
    pub times: u8,
    /// Pause between.
    pub pause_ms: u16,
    /// Output that has to have been active for `after_ms` before; `None` if it need not.
    pub hook: Option<u8>,
    /// For how long.
    pub after_ms: u16,
    /// Input that has to have been without an edge for `quiet_ms` before each of them; `None` if it need not.
    pub call: Option<u8>,
    /// For how long.
    pub quiet_ms: u16,
    /// How bytes become pulses: a pulse 10 to 100 µs, a bit at least twice as long and at most 1 ms, a byte at least nine bits and at
    /// most 6.5 ms.
    pub pulses: BytePulses,
    /// The bytes, 1 to [`MAX_TELEGRAM`].
    pub bytes: Vec<u8>,
}

/// A card as pulses on two outputs, in the timing of SIA AC-01 (Wiegand): one pulse for each bit, on D0 for a zero and on D1
/// for a one.
#[derive(Clone, PartialEq, Eq)]
pub struct CardPulses {
    /// Bits in the order of transmission, 1 to [`MAX_CARD`].
    pub bits: Vec<bool>,
    /// Output of zeros.
    pub d0: u8,
    /// Output of ones.
    pub d1: u8,
    /// From the begin of a pulse to that of the next, 200 to 20000 µs.
    pub interval_us: u16,
    /// How long a pulse is, 20 to 100 µs.
    pub pulse_us: u16,
}

impl std::fmt::Debug for CardPulses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CardPulses({} bits, ***)", self.bits.len())
    }
}

/// What the gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The gateway lives; answered by [`Word::State`].
    Alive,
    /// Sends a card. On the line port only.
    Card(CardPulses),
    /// Who are you? Answered by [`Word::Hello`].
    Hello {
        /// Version that the gateway speaks.
        version: u8,
    },
    /// Opens a door. On the door port only.
    Press(Press),
    /// A row of pulses on an output, timed by the front end: active and at rest in turns, in µs. On the line port only.
    Pulses {
        /// Which output.
        output: u8,
        /// Times, at most [`MAX_PULSES`], each 2 to 15000 µs: what drives a bus burns when it is held for longer.
        times_us: Vec<u16>,
    },
    /// Ends what opens a door. On the door port only.
    Rest {
        /// Which door.
        door: u8,
    },
    /// Opens a door by rows of pulses. On the door port only.
    Row(Row),
    /// Opens a door by bytes of pulses. On the door port only.
    Telegram(Telegram),
    /// Sets an output. On the line port only.
    Set {
        /// Which output.
        output: u8,
        /// Active, or at rest.
        on: bool,
    },
}

/// Why a front end does not do as told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The output is in a row of pulses.
    Busy,
    /// There is no such input or output.
    Channel,
    /// No such order.
    Kind,
    /// The order belongs to the other port.
    Port,
    /// A time or number out of its range.
    Range,
}

impl Reason {
    const ALL: [(u8, Self); 5] = [
        (1, Self::Kind),
        (2, Self::Port),
        (3, Self::Channel),
        (4, Self::Range),
        (5, Self::Busy),
    ];

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Busy => "the output is in a row of pulses",
            Self::Channel => "it has no such input or output",
            Self::Kind => "it does not know this order",
            Self::Port => "this order belongs to its other port",
            Self::Range => "a time or number is out of range",
        }
    }
}

/// An edge, as a front end tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireEdge {
    /// Its own clock, in µs.
    pub at_us: u64,
    /// Which input, from 0 to 15.
    pub input: u8,
    /// The level from here on.
    pub level: bool,
}

/// Who a front end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Version of the protocol that it speaks.
    pub version: u8,
    /// Which of its ports this is.
    pub role: PortRole,
    /// How many inputs it has.
    pub inputs: u8,
    /// How many outputs, or doors.
    pub outputs: u8,
    /// It lets go of everything when it hears nothing for so long.
    pub watchdog_ms: u16,
    /// Another one after each start of its own.
    pub boot: u32,
    /// Maker, model, firmware: at most 32 bytes of text.
    pub name: String,
}

/// What a front end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A door is being opened, or is not any more. On the line port, so that the line is kept meanwhile.
    Door {
        /// Which.
        door: u8,
        /// Is it being opened?
        open: bool,
        /// When, by its own clock.
        at_us: u64,
    },
    /// The order was carried out.
    Done,
    /// Edges, in order.
    Edges {
        /// Number of the first one; they are counted on, so that lost ones are noticed.
        first: u16,
        /// Edges, at most [`MAX_BATCH`].
        edges: Vec<WireEdge>,
    },
    /// Who it is; also sent by itself after a start.
    Hello(Identity),
    /// The order was not carried out.
    Refused(Reason),
    /// Time and levels.
    State {
        /// Its own clock, in µs.
        at_us: u64,
        /// Levels of its inputs, input 0 in the lowest bit.
        inputs: u16,
        /// Outputs or doors that are active.
        outputs: u16,
        /// Number that the next edge will have.
        next_edge: u16,
    },
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A message of a known kind with something wrong in it.
    #[error("message {kind:02x}: {what}")]
    Content {
        /// Its kind.
        kind: u8,
        /// What is wrong.
        what: &'static str,
    },
    /// Not a message of this direction and version.
    #[error("message {kind:02x} is not known")]
    Kind {
        /// Its kind.
        kind: u8,
    },
    /// Shorter than kind and number.
    #[error("a message of {0} bytes")]
    Short(usize),
}
