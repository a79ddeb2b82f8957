//! Rules of the site file: when an event comes, and conditions hold, then something is asked for.
//!
//! The engine decides which rules act and on what; it asks for nothing itself. Whoever drives it carries the actions out,
//! and an opening is a request to the one access decision like any other. What an action leads to comes back as events,
//! so rules can follow one another: [`circles`] finds those that would do so for ever before they run, and the engine
//! bounds what is left by depth and by rate.

mod circles;
mod engine;
mod rule;

pub use circles::{Layout, circles};
pub use engine::{Engine, Facts, HeldBack, MAX_DEPTH, Outcome, Turn, Unmet};
pub use rule::{
    Action, Beep, Conditions, Counter, DoorIs, Ear, FieldIs, Rule, Sound, State, Trigger, may_open_on,
};
