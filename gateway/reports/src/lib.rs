//! Reports of what the journal has: who opened which door when and by which means, one detail record per call, and how
//! doors and panels did.
//!
//! Records come in, oldest first, rows and numbers come out. Reading the journal, who may see what, and the names of
//! people are the business of whoever asks.

mod calls;
mod csv;
mod doors;
mod openings;

pub use calls::{CALL_COLUMNS, Call, begun, call};
pub use csv::line;
pub use doors::{DOOR_COLUMNS, Door, Panel, Statistics};
pub use openings::{Choice, OPENING_COLUMNS, Opening, Outcome, opening};
