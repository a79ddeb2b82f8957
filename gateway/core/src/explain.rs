//! Questions about who may open what, and what rules would make of an event. Nothing comes of them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::event::Record;
use crate::ids::{ButtonId, DoorId, GroupId, PanelId, ReaderId, RuleId};
use crate::secret::Secret;
use crate::signal::CardFrame;
use crate::subject::Subject;

/// What is shown, typed or dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// A button of a panel that opens by day, whoever presses it.
    Button {
        /// Which.
        button: ButtonId,
        /// Of which panel.
        panel: PanelId,
    },
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
    /// The schedule that holds the door open.
    Hold,
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

/// What would the rules make of an event?
#[derive(Clone, Debug, PartialEq)]
pub struct TryRules {
    /// When; at this moment if it is not said.
    pub at: Option<Timestamp>,
    /// The event; only its kind is needed.
    pub event: Record,
    /// Groups that whoever it is about is in.
    pub groups: BTreeSet<GroupId>,
    /// How doors and inputs are, each as `front=open` or `alarm=active`; what is not said is not known.
    pub states: Vec<String>,
    /// It comes so often, a second apart, 1 to 1000; the last one is told.
    pub times: u32,
}

impl TryRules {
    /// How often an event comes at most.
    pub const MOST: u32 = 1000;
}

/// What one rule would make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedRule {
    /// What is asked for, in order; empty if it does not act.
    pub actions: Vec<String>,
    /// It would act, and is kept from it.
    pub held_back: bool,
    /// Which.
    pub rule: RuleId,
    /// Why it does not act; empty if it does.
    pub why: String,
}
