//! What adapters notice, before anybody decides what it means.

use std::time::Duration;

use crate::event::PortEvent;
use crate::ids::{ControllerId, DeviceId, InputId, LineId, ReaderId};
use crate::time::Instant;
use crate::value::words;

/// A level of an input, logical: `active` is after inversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The logical level after the edge.
    pub active: bool,
    /// True for the first reading after start, reconnect or unplug: state, not an edge.
    pub initial: bool,
}

/// Raw bits of one card read. Never shown unmasked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CardFrame {
    /// Number of bits, 1 to 256.
    pub bits: u16,
    /// Most significant bit first, left-aligned; `bits.div_ceil(8)` bytes.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for CardFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CardFrame({} bits, ***)", self.bits)
    }
}

/// Whom a panel rings, where its line says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bell {
    /// The apartment of this number.
    Apartment(u16),
    /// Somebody who stands at the door of the apartment itself, not down in the street.
    Floor,
}

/// What happens on a panel line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSignal {
    /// Another panel took the line.
    BusyOther,
    /// The line cannot be used: cable cut, no supply.
    Fault,
    /// The stock handset was lifted.
    HandsetLifted,
    /// The stock handset was put back.
    HandsetReplaced,
    /// Free again: the other panel or the fault is gone.
    Idle,
    /// The panel opened its own lock.
    OpenedByPanel,
    /// The panel rings us.
    Ring,
    /// The panel rings, and says whom.
    RingFor(Bell),
    /// The panel stopped ringing.
    RingStopped,
}

/// What the core wants of a panel line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineCommand {
    /// Give the line back to the panel and the handset.
    Release,
    /// Take the talk path.
    Seize,
    /// Play a tone towards the panel.
    Tone(crate::leg::Tone),
}

/// What a reader is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderCommand {
    /// A card or code was refused.
    Denied,
    /// A door opens.
    Granted {
        /// For how long.
        time: Duration,
    },
    /// Nothing more is awaited.
    Idle,
    /// Digits were typed and more are awaited.
    WaitPin,
}

words! {
    /// Why what came from a reader is no card and no key.
    Misread {
        /// A packet that does not belong to the secure channel of its reader: in the clear, with a false MAC, or of another session.
        Forged = "forged",
        /// A burst of a keypad that is none of its keys.
        Key = "key",
        /// As many bits as no configured format has.
        Length = "length",
        /// The system lost edges, so that bits may be missing.
        LostEdges = "lost-edges",
        /// Edges of one line closer together than any reader sends them, or without an end.
        Noise = "noise",
        /// A format has this length, but parity or fixed bits are wrong.
        Parity = "parity",
        /// It would fit if D0 and D1 were exchanged, and does not as it is.
        Reversed = "reversed",
        /// Fewer bits than any configured format has.
        Short = "short",
        /// Edges of both lines at once.
        Simultaneous = "simultaneous",
    }
}

words! {
    /// What an operator has done at a reader itself.
    ReaderService {
        /// It is given a file, its firmware mostly.
        File = "file",
        /// It may be given its key by the default key, for a time.
        Key = "key",
        /// Its cards are shown to the operator, bit by bit, and open nothing.
        Learn = "learn",
        /// It is told another address or speed.
        Settings = "settings",
    }
}

words! {
    /// Colour of a light.
    LightColour {
        /// Amber.
        Amber = "amber",
        /// Blue.
        Blue = "blue",
        /// Green.
        Green = "green",
        /// Dark.
        Off = "off",
        /// Magenta, cyan or white.
        Other = "other",
        /// Red.
        Red = "red",
    }
}

/// What an access controller of somebody else says to the reader that the gateway plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControllerSaid {
    /// It beeps so often; 0 is until further notice.
    Beep(u8),
    /// It gave the reader another key.
    KeySet,
    /// Its light.
    Light {
        /// What it shows.
        colour: LightColour,
        /// For how long; `None` until further notice.
        time: Option<Duration>,
    },
    /// It did not get a card: the text says why.
    Missed(String),
    /// It has the card that was handed on; by Wiegand: the front end began to send it.
    Taken,
    /// A text for people at the reader.
    Text(String),
}

/// How the port is by which the gateway is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkState {
    /// It has an address by which others reach it.
    pub address: bool,
    /// Somebody is at the other end of its cable.
    pub carrier: bool,
    /// What is lost, and what to do; what is there if nothing is lost.
    pub text: String,
}

impl NetworkState {
    /// True if nothing is lost.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.address && self.carrier
    }
}

/// One thing an adapter noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// When, by the kernel's timestamp where there is one.
    pub at: Instant,
    /// The adapter instance.
    pub device: DeviceId,
    /// True if injected into a virtual device.
    pub simulated: bool,
    /// What.
    pub kind: SignalKind,
}

/// The kinds of [`Signal`].
#[derive(Clone, Debug, PartialEq)]
pub enum SignalKind {
    /// A card was read.
    Card {
        /// Raw bits.
        frame: CardFrame,
        /// Where.
        reader: ReaderId,
    },
    /// Something of a controller of somebody else.
    Controller {
        /// Which.
        controller: ControllerId,
        /// Where the card was read that it answers to; `None` if there is none.
        reader: Option<ReaderId>,
        /// What.
        said: ControllerSaid,
    },
    /// The device cannot do its work; text says what and what to do.
    Fault(String),
    /// A digital input changed or was read for the first time.
    Input {
        /// Level.
        edge: Edge,
        /// Which.
        input: InputId,
    },
    /// A key of a reader's keypad: `0-9 * #`.
    Key {
        /// The key.
        key: char,
        /// Where.
        reader: ReaderId,
    },
    /// Something on a panel line.
    Line {
        /// Which.
        line: LineId,
        /// What.
        signal: LineSignal,
    },
    /// Something came from a reader that is no card and no key.
    Misread {
        /// How many bits came last.
        bits: u16,
        /// Where.
        reader: ReaderId,
        /// Why.
        reason: Misread,
        /// How often since it was last told.
        times: u64,
    },
    /// How the port is by which the gateway is reached.
    Network(NetworkState),
    /// Something at the gateway's own switch port.
    Port(PortEvent),
    /// Bits of a reader as they came, of whatever format or of none; a keypad's are not told. Only for whoever learns a format:
    /// the card or misread comes as well.
    Raw {
        /// The bits.
        frame: CardFrame,
        /// Which.
        reader: ReaderId,
    },
    /// The device works (again).
    Ready,
    /// An input cannot be read any more: what it said last may not be so. Its next reading is the first.
    Unread(InputId),
}
