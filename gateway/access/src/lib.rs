//! Access decision, credentials and Grants.
//!
//! Nothing opens without a [`Grant`], and only the decision of this crate makes one. Pure.

mod access;
mod arrivals;
mod caller;
mod card;
mod card_error;
mod card_key;
mod code;
mod collector;
mod decision;
mod directory;
mod duress;
mod grant;
mod judge;
mod lockout;
mod number;
mod passback;
mod pin;
mod policy;
mod request;
mod rights;
mod schedule;
mod second;
mod standing;
mod token;

pub use access::Access;
pub use caller::{CallerPattern, CallerPatternError};
pub use card::{MAX_BITS, card_frame};
pub use card_error::CardError;
pub use card_key::{CardKey, HIDDEN};
pub use code::{MAX_CODE, PrefixConflict, is_code_text, is_pin_text, prefix_conflicts};
pub use collector::{DigitCollector, Entry, INTER_DIGIT, KeyUse};
pub use decision::{Decision, Denied, Explanation, Held, Reason};
pub use directory::{Change, Credential, Directory, Person, Proof, Validity};
pub use grant::{Grant, GrantParts};
pub use lockout::{LockOut, Locked, Source, SourceError, Tried};
pub use number::NumberPlan;
pub use passback::{Area, Passback, Passed, Place, Way};
pub use pin::{PinKey, PinTag};
pub use policy::{
    Caller, Card, Code, CodeFrom, DoorGroup, DoorPolicy, Escort, Group, HoldPolicy, Limits, OnJournalFault,
    Policy, ReaderPolicy, RexKind, Throttle,
};
pub use request::{Context, DigitsFrom, HoldBy, Request};
pub use rights::RightOf;
pub use schedule::{
    ExceptionLine, HolidayLine, InForce, Quarters, Schedule, ScheduleText, Schedules, TimesLine, When,
};
pub use standing::Standing;
