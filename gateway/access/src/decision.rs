//! The answer, with the rule in words.

use std::fmt;
use std::time::Duration;

use gateway_core::{DoorEvent, DoorId, Factor, Refusal, RingId, Subject};

use crate::grant::Grant;

/// What the decision says. Its text is in [`explain`](Self::explain).
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// No.
    Denied(Denied),
    /// Yes, once.
    Granted(Grant),
}

impl Decision {
    /// The rule in words.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::Denied(denied) => denied.reason.to_string(),
            Self::Granted(grant) => grant.parts().rule.clone(),
        }
    }

    /// The Grant, if there is one.
    #[must_use]
    pub fn granted(self) -> Option<Grant> {
        match self {
            Self::Denied(_) => None,
            Self::Granted(grant) => Some(grant),
        }
    }
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The door.
    pub door: DoorId,
    /// The means.
    pub factor: Factor,
    /// Why.
    pub reason: Reason,
    /// The ring it belongs to.
    pub ring: Option<RingId>,
    /// Who asked.
    pub subject: Subject,
}

impl Denied {
    /// The journal's event.
    #[must_use]
    pub fn event(&self) -> DoorEvent {
        DoorEvent::Denied {
            factor: self.factor,
            reason: self.reason.to_string(),
            subject: self.subject.clone(),
        }
    }

    /// The answer to a command.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self.reason {
            Reason::JournalFault => Refusal::Fault,
            Reason::LockedOut { .. } => Refusal::Overload,
            Reason::NotReady | Reason::ProjectionBehind => Refusal::NotReady,
            Reason::Stale { .. } => Refusal::Stale,
            Reason::UnknownDoor => Refusal::Unknown,
            Reason::CallerUnlisted
            | Reason::CallerUntrusted
            | Reason::CardNotForDoor
            | Reason::CardUnknown { .. }
            | Reason::CodeNotForDoor
            | Reason::CodeUnknown
            | Reason::DigitsNotAllowed
            | Reason::FactorNotCommand
            | Reason::FireNotConfigured
            | Reason::NoAuthority
            | Reason::NotListed
            | Reason::NotPermitted
            | Reason::ReaderElsewhere
            | Reason::RexNotUnlock
            | Reason::RexUnknown => Refusal::Forbidden,
        }
    }
}

/// Why a request was refused. Its `Display` is the text for journal and people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The caller is not listed at this door.
    CallerUnlisted,
    /// The network does not vouch for the caller.
    CallerUntrusted,
    /// The card is known, but not for this door.
    CardNotForDoor,
    /// No such card.
    CardUnknown {
        /// Its length in bits.
        bits: u16,
    },
    /// The code is known, but not for this door or not from here.
    CodeNotForDoor,
    /// No such code.
    CodeUnknown,
    /// Nobody may open this door by digits.
    DigitsNotAllowed,
    /// A command must come by API, web, MQTT or the command line.
    FactorNotCommand,
    /// The site has no fire input.
    FireNotConfigured,
    /// The journal cannot be written and this door, or this means, waits for it.
    JournalFault,
    /// Too many wrong tries.
    LockedOut {
        /// Time left.
        left: Duration,
    },
    /// The leg did not win the call, is not confirmed, or lost its authority.
    NoAuthority,
    /// The answering party is not a target of the call list.
    NotListed,
    /// The client's scope does not include this door.
    NotPermitted,
    /// The gateway starts, stops or is not the only one.
    NotReady,
    /// Restrictions of the past are not read yet.
    ProjectionBehind,
    /// The reader is at another door.
    ReaderElsewhere,
    /// This REX does not unlock.
    RexNotUnlock,
    /// The input is no REX of this door.
    RexUnknown,
    /// Old news.
    Stale {
        /// How old.
        age: Duration,
    },
    /// No such door.
    UnknownDoor,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CallerUnlisted => f.write_str("the caller is not listed at this door"),
            Self::CallerUntrusted => f.write_str("the network does not vouch for the caller's number"),
            Self::CardNotForDoor => f.write_str("the card does not open this door"),
            Self::CardUnknown { bits } => write!(f, "unknown card of {bits} bits"),
            Self::CodeNotForDoor => f.write_str("the code does not open this door from here"),
            Self::CodeUnknown => f.write_str("wrong code"),
            Self::DigitsNotAllowed => f.write_str("nobody may open this door by digits"),
            Self::FactorNotCommand => f.write_str("a command comes by API, web, MQTT or command line only"),
            Self::FireNotConfigured => f.write_str("the site has no fire input"),
            Self::JournalFault => f.write_str("the journal cannot be written"),
            Self::LockedOut { left } => {
                write!(
                    f,
                    "locked after wrong tries, {} s left",
                    left.as_millis().div_ceil(1000)
                )
            }
            Self::NoAuthority => {
                f.write_str("the leg has no authority: it is not the confirmed winner of the call")
            }
            Self::NotListed => f.write_str("the answering party is not on the call list"),
            Self::NotPermitted => f.write_str("the client may not open this door"),
            Self::NotReady => f.write_str("the gateway is not ready"),
            Self::ProjectionBehind => f.write_str("the restrictions in the journal are not read yet"),
            Self::ReaderElsewhere => f.write_str("the reader is not at this door"),
            Self::RexNotUnlock => f.write_str("this exit input does not unlock"),
            Self::RexUnknown => f.write_str("the input is no exit input of this door"),
            Self::Stale { age } => write!(f, "old news: {} ms old", age.as_millis()),
            Self::UnknownDoor => f.write_str("no such door"),
        }
    }
}
