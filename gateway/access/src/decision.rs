//! The answer, with the rule in words.

use std::fmt;
use std::time::Duration;

use gateway_core::{
    AreaId, CredentialId, DoorEvent, DoorGroupId, DoorId, Factor, GroupId, Instant, PersonId, Refusal,
    RingId, ScheduleId, Subject,
};

use crate::grant::Grant;
use crate::lockout::Locked;
use crate::passback::Before;
use crate::passback::Way;
use crate::standing::Standing;

/// What the decision says. Its text is in [`explain`](Self::explain).
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// No.
    Denied(Denied),
    /// Yes, once.
    Granted(Grant),
    /// Yes, as soon as it is on the medium that the credential was used, or where somebody is:
    /// [`Access::release`](crate::Access::release).
    Held(Held),
}

/// A permission of a credential that opens so many times and no more, or of somebody who comes into an area with hard
/// anti-passback: the use and the position must be kept first, or a power cut would give them back. Like a Grant it cannot be copied or made elsewhere, and it opens nothing by itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// Where those who come in were before.
    pub(crate) before: Vec<Before>,
    /// Who stands at the door, on the way in.
    pub(crate) came: Vec<PersonId>,
    /// Changes of people and credentials until it was decided.
    pub(crate) changes: u64,
    pub(crate) deadline: Instant,
    pub(crate) door: DoorId,
    pub(crate) factor: Factor,
    pub(crate) generation: u64,
    pub(crate) open_for: Option<Duration>,
    pub(crate) ring: Option<RingId>,
    pub(crate) rule: String,
    pub(crate) subject: Subject,
    pub(crate) uses: Option<(CredentialId, u32)>,
    /// Who stands at the door, on the way out.
    pub(crate) went: Vec<PersonId>,
}

impl Held {
    /// What is to be kept beside [`Access::take_places`](crate::Access::take_places): this credential, used so often.
    #[must_use]
    pub const fn to_keep(&self) -> Option<&(CredentialId, u32)> {
        self.uses.as_ref()
    }

    /// Kept later than this, it opens nothing.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The call it belongs to.
    #[must_use]
    pub const fn ring(&self) -> Option<RingId> {
        self.ring
    }
}

impl Decision {
    /// The rule in words.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::Denied(denied) => denied.reason.to_string(),
            Self::Granted(grant) => grant.parts().rule.clone(),
            Self::Held(held) => held.rule.clone(),
        }
    }

    /// The Grant, if there is one.
    #[must_use]
    pub fn granted(self) -> Option<Grant> {
        match self {
            Self::Denied(_) | Self::Held(_) => None,
            Self::Granted(grant) => Some(grant),
        }
    }
}

/// What would be decided, without deciding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The rule that would open, in words, or why it would not.
    pub result: Result<String, Reason>,
    /// Who asks.
    pub subject: Subject,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The door.
    pub door: DoorId,
    /// The means.
    pub factor: Factor,
    /// It was one wrong try too many.
    pub locked: Option<Locked>,
    /// Why.
    pub reason: Reason,
    /// The ring it belongs to.
    pub ring: Option<RingId>,
    /// Who asked.
    pub subject: Subject,
}

impl Denied {
    /// The journal's second event, if this was one wrong try too many.
    #[must_use]
    pub fn locked_out(&self) -> Option<DoorEvent> {
        let locked = self.locked.as_ref()?;
        Some(DoorEvent::LockedOut {
            factor: self.factor,
            lock_s: locked.lock_s(),
            locks: locked.source.place(),
            subject: self.subject.clone(),
            tries: u64::from(locked.failures),
        })
    }

    /// The journal's event.
    #[must_use]
    pub fn event(&self) -> DoorEvent {
        let (factor, subject) = (self.factor, self.subject.clone());
        if let Reason::SecondAwaited { within, .. } = self.reason {
            return DoorEvent::SecondAwaited {
                factor,
                subject,
                within_s: within.as_secs(),
            };
        }
        DoorEvent::Denied {
            factor,
            reason: self.reason.to_string(),
            subject,
        }
    }

    /// The answer to a command.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self.reason {
            Reason::Interlock { .. } => Refusal::Interlock,
            Reason::JournalFault | Reason::UseNotKept => Refusal::Fault,
            Reason::Lockdown { .. } => Refusal::Lockdown,
            Reason::LockedOut { .. } => Refusal::Overload,
            Reason::NotReady | Reason::ProjectionBehind => Refusal::NotReady,
            Reason::Stale { .. } => Refusal::Stale,
            Reason::UnknownDoor => Refusal::Unknown,
            Reason::Blocked
            | Reason::ButtonNotForDoor
            | Reason::CallAlone
            | Reason::CallerForeign
            | Reason::CallerUnlisted
            | Reason::CallerUntrusted
            | Reason::CardNotForDoor
            | Reason::CardUnknown { .. }
            | Reason::ClockUntrusted { .. }
            | Reason::CodeBeginsAnother
            | Reason::CodeNotForDoor
            | Reason::CodeUnknown
            | Reason::ConfigChanged
            | Reason::CredentialNotForDoor
            | Reason::DigitsNotAllowed
            | Reason::EscortNeeded { .. }
            | Reason::Expired
            | Reason::FactorNotCommand
            | Reason::FirstAwaited { .. }
            | Reason::HoldNotAllowed
            | Reason::HoldTooLong { .. }
            | Reason::Moved
            | Reason::NoAuthority
            | Reason::NoFire
            | Reason::NotListed
            | Reason::NotNow { .. }
            | Reason::NotPermitted
            | Reason::NotYetValid
            | Reason::Passback { .. }
            | Reason::PinMissing
            | Reason::PinNeeded
            | Reason::PinWrong
            | Reason::ReaderElsewhere
            | Reason::RexNotUnlock
            | Reason::RexUnknown
            | Reason::RuleNotForDoor
            | Reason::SecondAwaited { .. }
            | Reason::TwoPersons
            | Reason::UsedUp => Refusal::Forbidden,
        }
    }
}

/// Why a request was refused. Its `Display` is the text for journal and people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The person is blocked, or gone.
    Blocked,
    /// The button does not open this door at any time.
    ButtonNotForDoor,
    /// The caller is known, and no call alone opens this door.
    CallAlone,
    /// The number is listed, and the caller has it at another host than the PBX's.
    CallerForeign,
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
    /// It is limited in time, and the clock is not believed.
    ClockUntrusted {
        /// By which schedule; `None` is by its first or last day.
        schedule: Option<ScheduleId>,
    },
    /// A longer code begins with it: whoever dials that one would open with this one.
    CodeBeginsAnother,
    /// The code is known, but not for this door or not from here.
    CodeNotForDoor,
    /// No such code.
    CodeUnknown,
    /// The credential is known, but not for this door or not from here.
    CredentialNotForDoor,
    /// The configuration changed between the decision and its opening.
    ConfigChanged,
    /// Nobody may open this door by digits.
    DigitsNotAllowed,
    /// The person comes in only after somebody who takes care of them.
    EscortNeeded {
        /// Of which group.
        by: GroupId,
        /// For how long after them.
        within: Duration,
    },
    /// Its last day is over, or that of its person.
    Expired,
    /// A command must come by API, web, MQTT or the command line.
    FactorNotCommand,
    /// The door is held open once somebody came in, and nobody has today.
    FirstAwaited {
        /// Of which group.
        group: GroupId,
    },
    /// The door is never to be held open this way.
    HoldNotAllowed,
    /// It may not be held open for so long.
    HoldTooLong {
        /// For how long it may.
        limit: Duration,
    },
    /// A door of the same interlock is not at rest.
    Interlock {
        /// Which.
        door: DoorId,
        /// Where it stands.
        standing: Standing,
    },
    /// The journal cannot be written and this door, or this means, waits for it.
    JournalFault,
    /// Nobody is let in until the lockdown ends.
    Lockdown {
        /// Of which group of doors; `None` is the whole site.
        group: Option<DoorGroupId>,
    },
    /// Too many wrong tries.
    LockedOut {
        /// Time left.
        left: Duration,
    },
    /// They came in or went out somewhere else while their coming in was being written down.
    Moved,
    /// The leg did not win the call, is not confirmed, or lost its authority.
    NoAuthority,
    /// It would open for fire, and no fire alarm stands.
    NoFire,
    /// The answering party is not a target of the call list.
    NotListed,
    /// It is limited in time, and this is another time.
    NotNow {
        /// By which schedule; `None` is never.
        schedule: Option<ScheduleId>,
    },
    /// The client's scope does not include this door.
    NotPermitted,
    /// The gateway starts, stops or is not the only one.
    NotReady,
    /// Its first day has not come, or that of its person.
    NotYetValid,
    /// Whoever asks is in the area already.
    Passback {
        /// Which.
        area: AreaId,
    },
    /// The reader asks for a PIN beside the card, and its holder has none.
    PinMissing,
    /// The card is good; the reader asks for the PIN of its holder too.
    PinNeeded,
    /// The card is good, the PIN is not that of its holder.
    PinWrong,
    /// Restrictions of the past are not read yet.
    ProjectionBehind,
    /// The reader is at another door.
    ReaderElsewhere,
    /// This REX does not unlock.
    RexNotUnlock,
    /// The input is no REX of this door.
    RexUnknown,
    /// The rule does not open this door.
    RuleNotForDoor,
    /// The credential is good; the door wants another person, too.
    SecondAwaited {
        /// Where the first one goes.
        way: Way,
        /// For how long.
        within: Duration,
    },
    /// Old news.
    Stale {
        /// How old; `None` if nobody knows, since it waited somewhere (its time is [`Instant::ZERO`]).
        age: Option<Duration>,
    },
    /// The door wants two persons, and this is the credential of none, or one that is counted.
    TwoPersons,
    /// No such door.
    UnknownDoor,
    /// It could not be kept in time that the credential was used.
    UseNotKept,
    /// It was used as often as it may be.
    UsedUp,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("the person is blocked or gone"),
            Self::ButtonNotForDoor => f.write_str("the button does not open this door"),
            Self::CallAlone => f.write_str("a call alone does not open this door"),
            Self::CallerForeign => f.write_str(
                "the number is listed, and the caller has it at a host that is not the PBX's: list his whole address, or the host in caller-hosts of the account",
            ),
            Self::CallerUnlisted => f.write_str("the caller is not listed at this door"),
            Self::CallerUntrusted => f.write_str("the network does not vouch for the caller's number"),
            Self::CardNotForDoor => f.write_str("the card does not open this door"),
            Self::CardUnknown { bits } => write!(f, "unknown card of {bits} bits"),
            Self::ClockUntrusted { schedule: None } => {
                f.write_str("it counts only by a clock that is trusted, and the gateway's is not")
            }
            Self::ClockUntrusted {
                schedule: Some(schedule),
            } => {
                write!(
                    f,
                    "schedule {schedule} cannot be looked up: the clock is not trusted"
                )
            }
            Self::CodeBeginsAnother => f.write_str("another code begins with this one, so it does not count"),
            Self::CodeNotForDoor => f.write_str("the code does not open this door from here"),
            Self::CodeUnknown => f.write_str("wrong code"),
            Self::CredentialNotForDoor => f.write_str("it does not open this door from here"),
            Self::ConfigChanged => f.write_str("the configuration changed meanwhile"),
            Self::DigitsNotAllowed => f.write_str("nobody may open this door by digits"),
            Self::EscortNeeded { by, within } => {
                write!(
                    f,
                    "escort: somebody else of group {by} has to come in first, at most {} s before",
                    within.as_secs()
                )
            }
            Self::Expired => f.write_str("it is not valid any more"),
            Self::FactorNotCommand => f.write_str("a command comes by API, web, MQTT or command line only"),
            Self::NoFire => f.write_str("no fire alarm stands"),
            Self::FirstAwaited { group } => write!(f, "first person in: nobody of group {group} came in today"),
            Self::HoldNotAllowed => f.write_str("this door is not to be held open so"),
            Self::HoldTooLong { limit } => {
                write!(f, "a command may hold this door open for {} s at most", limit.as_secs())
            }
            Self::Interlock { door, standing } => {
                let how = match standing {
                    Standing::AtRest => "is shut",
                    Standing::Open => "is open",
                    Standing::Opening => "is being opened",
                    Standing::Unknown => "is not known to be shut",
                };
                write!(f, "interlock: door {door} {how}")
            }
            Self::JournalFault => f.write_str("the journal cannot be written"),
            Self::Lockdown { group: None } => f.write_str("lockdown: the whole site is locked down"),
            Self::Lockdown { group: Some(group) } => {
                write!(f, "lockdown: door group {group} is locked down")
            }
            Self::LockedOut { left } => {
                write!(
                    f,
                    "locked after wrong tries, {} s left",
                    left.as_millis().div_ceil(1000)
                )
            }
            Self::Moved => f.write_str("they went another way before it was written down that they come in"),
            Self::NoAuthority => {
                f.write_str("the leg has no authority: it is not the confirmed winner of the call")
            }
            Self::NotListed => f.write_str("the answering party is not on the call list"),
            Self::NotNow { schedule: Some(id) } => write!(f, "outside schedule {id}"),
            Self::NotNow { schedule: None } => f.write_str("it opens at no time"),
            Self::NotPermitted => f.write_str("the client may not open this door"),
            Self::NotReady => f.write_str("the gateway is not ready"),
            Self::NotYetValid => f.write_str("it is not valid yet"),
            Self::Passback { area } => write!(f, "anti-passback: in area {area} already, and did not leave it"),
            Self::PinMissing => {
                f.write_str("the PIN is needed too at this time, and the holder of the card has none")
            }
            Self::PinNeeded => f.write_str("the PIN is needed too at this time"),
            Self::PinWrong => f.write_str("wrong PIN"),
            Self::ProjectionBehind => f.write_str("the restrictions in the journal are not read yet"),
            Self::ReaderElsewhere => f.write_str("the reader is not at this door"),
            Self::RexNotUnlock => f.write_str("this exit input does not unlock"),
            Self::RexUnknown => f.write_str("the input is no exit input of this door"),
            Self::RuleNotForDoor => f.write_str("the rule does not open this door"),
            Self::SecondAwaited { within, .. } => {
                write!(f, "two persons: another one is awaited for {} s", within.as_secs())
            }
            Self::Stale { age: Some(age) } => write!(f, "old news: {} ms old", age.as_millis()),
            Self::Stale { age: None } => f.write_str("old news: it waited, and nobody knows for how long"),
            Self::TwoPersons => f.write_str(
                "two persons: only credentials of persons count at this door, and none that opens so often and no more",
            ),
            Self::UnknownDoor => f.write_str("no such door"),
            Self::UseNotKept => f.write_str("it could not be written down that it was used"),
            Self::UsedUp => f.write_str("it was used as often as it may be"),
        }
    }
}
