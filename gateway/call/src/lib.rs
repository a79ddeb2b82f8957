//! Call plan over legs. Pure.
//!
//! [`CallPlan`] calls the targets of one ring and gives the call to the first that answers; [`IncomingPlan`]
//! takes or refuses a call to the door, and [`BridgePlan`] puts one through to a list. All say whose digits count. They know neither SIP nor doors.

mod bridge;
mod confirm;
mod incoming;
mod party;
mod plan;
mod talk;
mod tones;
mod types;

pub use bridge::{BridgePlan, BridgeRequest};
pub use incoming::{Answer, IncomingPlan, IncomingRequest, Take};
pub use party::{same_party, user_of};
pub use plan::CallPlan;
pub use types::{
    CallRequest, DigitPolicy, Handover, Input, Outcome, Output, Purpose, Strategy, TalkLimit, Target, WARNING,
};
