//! Questions about who may open what. Nothing opens by them.

use jiff::Timestamp;

use crate::ids::{DoorId, ReaderId};
use crate::secret::Secret;
use crate::signal::CardFrame;
use crate::subject::Subject;

/// What is shown, typed or dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// A telephone number that calls the door, and what is dialled in that call.
    Caller {
        /// Number or address of record, as if the network vouched for it.
        address: String,
        /// A code or PIN.
        digits: Option<Secret>,
    },
    /// A card at a reader.
    Card {
        /// Its bits.
        frame: CardFrame,
        /// What is typed after it.
        pin: Option<Secret>,
    },
    /// A code, dialled by whoever the door called.
    Dialled(Secret),
    /// A code at a keypad.
    Typed(Secret),
}

/// Would it open?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explain {
    /// When; at this moment if it is not said.
    pub at: Option<Timestamp>,
    /// Which door.
    pub door: DoorId,
    /// By what.
    pub means: Means,
    /// Where; the first reader of the door if it is not said.
    pub reader: Option<ReaderId>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// It would open.
    pub allowed: bool,
    /// When the answer changes, if a schedule says so.
    pub changes: Option<Timestamp>,
    /// The rule that decides, in words.
    pub rule: String,
    /// Who asks.
    pub subject: Subject,
}
