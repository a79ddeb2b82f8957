//! Arbiter of one panel line: whoever lifts first talks.
//!
//! Pure: time is an argument. The site machine feeds it what the adapter notices and asks it before a call may
//! take the line. What it leaves out: how a panel signals (the adapter), who is called (`gateway-call`).

mod line;
mod params;

pub use line::Line;
pub use params::{CallIn, EndedWhy, LineParams, OpenWhen, Output, PressAnswer, SeizeRefused, SeizeWhy};
