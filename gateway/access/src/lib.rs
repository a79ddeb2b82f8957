//! Access decision, credentials and Grants.
//!
//! Nothing opens without a [`Grant`], and only the decision of this crate makes one. Pure.

mod access;
mod caller;
mod card;
mod code;
mod collector;
mod decision;
mod grant;
mod lockout;
mod policy;
mod request;

pub use access::Access;
pub use caller::{CallerPattern, CallerPatternError};
pub use card::{CardError, MAX_BITS, card_frame, masked};
pub use code::{MAX_CODE, PrefixConflict, is_code_text, prefix_conflicts};
pub use collector::{DigitCollector, Entry, INTER_DIGIT, KeyUse};
pub use decision::{Decision, Denied, Reason};
pub use grant::{Grant, GrantParts};
pub use lockout::{LockOut, Source, SourceError};
pub use policy::{
    Caller, Card, Code, CodeFrom, DoorPolicy, Limits, OnJournalFault, Policy, RexKind, Throttle,
};
pub use request::{Context, DigitsFrom, Request};
