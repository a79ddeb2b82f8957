//! What is asked of the decision, and the circumstances it needs to know.

use std::time::Duration;

use gateway_core::{
    AccountId, ButtonId, CardFrame, DoorId, Factor, InputId, Instant, Origin, PanelId, Peer, ReaderId,
    RingId, RuleId, Secret, Subject, Timestamp,
};

/// The state of the gateway at the moment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Configuration generation in force.
    pub generation: u64,
    /// Can records be appended?
    pub journal_ok: bool,
    /// Has the projection (lock-outs, used codes) reached the head of the journal?
    pub projection_at_head: bool,
    /// False while the gateway starts, stops, or found another instance under its name.
    pub ready: bool,
    /// The wall clock; `None` while it is not believed. What is limited in time is refused then.
    pub wall: Option<Timestamp>,
}

/// Somebody wants a door to open.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Somebody presses a button of a panel that opens by day.
    Button {
        /// Which.
        button: ButtonId,
        /// The door.
        door: DoorId,
        /// Of which panel.
        panel: PanelId,
        /// The visitor's attempt.
        ring: Option<RingId>,
    },
    /// A party calls the door and wants it open by that call alone.
    Caller {
        /// The account that is called; `None`: a direct peer.
        account: Option<AccountId>,
        /// The door.
        door: DoorId,
        /// Who calls, as far as the network told.
        peer: Peer,
        /// The call.
        ring: Option<RingId>,
    },
    /// A card was read.
    Card {
        /// When, by the reader's timestamp; with a PIN, when its last key was pressed.
        at: Instant,
        /// The door.
        door: DoorId,
        /// Its bits.
        frame: CardFrame,
        /// What was typed after it, where the reader asked for a PIN.
        pin: Option<Secret>,
        /// Where.
        reader: ReaderId,
    },
    /// A command of an authenticated client.
    Command {
        /// The door.
        door: DoorId,
        /// Who, over what.
        origin: Origin,
        /// Does the client's scope include opening this door? Found out by the interface that knows the client.
        permitted: bool,
        /// The ring it belongs to.
        ring: Option<RingId>,
    },
    /// A command of an authenticated client that brings the code of somebody.
    CommandCode {
        /// What was typed.
        digits: Secret,
        /// The door.
        door: DoorId,
        /// Who sent it, over what.
        origin: Origin,
        /// The ring it belongs to.
        ring: Option<RingId>,
    },
    /// A code was dialled in a call.
    Digits {
        /// When the last digit was seen.
        at: Instant,
        /// What was dialled.
        digits: Secret,
        /// The door.
        door: DoorId,
        /// Why this party may speak for the door.
        from: DigitsFrom,
        /// The call.
        ring: Option<RingId>,
        /// True if the leg won the call, was confirmed, and nothing took its authority since.
        winner: bool,
    },
    /// The fire alarm stands.
    Fire {
        /// The door.
        door: DoorId,
    },
    /// The door is to be held open.
    Hold {
        /// Why.
        by: HoldBy,
        /// The door.
        door: DoorId,
        /// For how long.
        time: Duration,
    },
    /// A code was typed at a keypad.
    KeypadCode {
        /// When the last key was pressed.
        at: Instant,
        /// What was typed.
        digits: Secret,
        /// The door.
        door: DoorId,
        /// Where.
        reader: ReaderId,
    },
    /// Somebody inside wants to leave.
    Rex {
        /// The door.
        door: DoorId,
        /// The REX input.
        input: InputId,
    },
    /// A rule of the site file asks for it.
    Rule {
        /// The door.
        door: DoorId,
        /// The ring of the event that set it off.
        ring: Option<RingId>,
        /// Which.
        rule: RuleId,
    },
}

/// Why a door is to be held open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldBy {
    /// A command of an authenticated client.
    Command {
        /// Who, over what.
        origin: Origin,
        /// Does the client's scope include holding this door open? Found out by the interface that knows the client.
        permitted: bool,
    },
    /// The door's schedule.
    Schedule,
}

/// Which side of a call dials a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigitsFrom {
    /// A party the door called.
    Called {
        /// The account through which it was called; `None`: directly.
        account: Option<AccountId>,
        /// True if the party is a target of the call list.
        listed: bool,
        /// Who it is.
        peer: Peer,
    },
    /// A party that called the door; the decision looks for it among the door's callers.
    Caller {
        /// The account that was called; `None`: a direct peer.
        account: Option<AccountId>,
        /// Who it is.
        peer: Peer,
    },
}

impl Request {
    /// The door it is about.
    #[must_use]
    pub const fn door(&self) -> &DoorId {
        match self {
            Self::Button { door, .. }
            | Self::Caller { door, .. }
            | Self::Card { door, .. }
            | Self::Command { door, .. }
            | Self::CommandCode { door, .. }
            | Self::Digits { door, .. }
            | Self::Fire { door }
            | Self::Hold { door, .. }
            | Self::KeypadCode { door, .. }
            | Self::Rex { door, .. }
            | Self::Rule { door, .. } => door,
        }
    }

    /// The reader that somebody stands at.
    pub(crate) const fn reader(&self) -> Option<&ReaderId> {
        match self {
            Self::Card { reader, .. } | Self::KeypadCode { reader, .. } => Some(reader),
            Self::Button { .. }
            | Self::Caller { .. }
            | Self::Command { .. }
            | Self::CommandCode { .. }
            | Self::Digits { .. }
            | Self::Fire { .. }
            | Self::Hold { .. }
            | Self::Rex { .. }
            | Self::Rule { .. } => None,
        }
    }

    /// The means.
    #[must_use]
    pub const fn factor(&self) -> Factor {
        match self {
            Self::Button { .. } => Factor::Button,
            Self::Caller { .. } => Factor::Caller,
            Self::Card { .. } => Factor::Card,
            Self::Command { origin, .. } | Self::CommandCode { origin, .. } => origin.factor,
            Self::Digits { .. } => Factor::Digits,
            Self::Fire { .. } => Factor::Fire,
            Self::Hold {
                by: HoldBy::Command { origin, .. },
                ..
            } => origin.factor,
            Self::Hold {
                by: HoldBy::Schedule, ..
            } => Factor::Schedule,
            Self::KeypadCode { .. } => Factor::Code,
            Self::Rex { .. } => Factor::Rex,
            Self::Rule { .. } => Factor::Rule,
        }
    }

    /// Who asks, as far as that is known without looking for anybody: whose card, code or number it is the decision finds out.
    #[must_use]
    pub fn asker(&self) -> Subject {
        match self {
            Self::Command { origin, .. }
            | Self::CommandCode { origin, .. }
            | Self::Hold {
                by: HoldBy::Command { origin, .. },
                ..
            } => origin.subject.clone(),
            Self::Digits {
                from: DigitsFrom::Called { peer, .. },
                ..
            } => Subject::Contact(peer.shown().to_owned()),
            Self::Rex { input, .. } => Subject::Input(input.clone()),
            Self::Rule { rule, .. } => Subject::Rule(rule.clone()),
            Self::Button { .. }
            | Self::Caller { .. }
            | Self::Card { .. }
            | Self::Digits {
                from: DigitsFrom::Caller { .. },
                ..
            }
            | Self::Fire { .. }
            | Self::Hold {
                by: HoldBy::Schedule, ..
            }
            | Self::KeypadCode { .. } => Subject::Unknown,
        }
    }

    /// The ring it belongs to.
    #[must_use]
    pub const fn ring(&self) -> Option<RingId> {
        match self {
            Self::Button { ring, .. }
            | Self::Caller { ring, .. }
            | Self::Command { ring, .. }
            | Self::CommandCode { ring, .. }
            | Self::Digits { ring, .. }
            | Self::Rule { ring, .. } => *ring,
            Self::Card { .. }
            | Self::Fire { .. }
            | Self::Hold { .. }
            | Self::KeypadCode { .. }
            | Self::Rex { .. } => None,
        }
    }

    /// For how long the door is to be held open, if it is.
    pub(crate) const fn hold(&self) -> Option<Duration> {
        match self {
            Self::Hold { time, .. } => Some(*time),
            Self::Button { .. }
            | Self::Caller { .. }
            | Self::Card { .. }
            | Self::Command { .. }
            | Self::CommandCode { .. }
            | Self::Digits { .. }
            | Self::Fire { .. }
            | Self::KeypadCode { .. }
            | Self::Rex { .. }
            | Self::Rule { .. } => None,
        }
    }
}
