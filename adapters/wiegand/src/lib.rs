//! Wiegand and Clock & Data readers, without any device: edges in, cards and keys out, and what the reader is to show.
//!
//! [`Assembler`] makes frames of edges `(instant, line)`, [`WiegandReader`] makes cards, keys and reports of them,
//! [`ClockDataReader`] makes cards of clock and data, and [`Feedback`] turns grants and refusals into levels of LED, beeper and hold wires. Time is an argument
//! everywhere. `adapter-gpio` drives them over the pins of the machine, `doorline decode` over what a scope shows.
//!
//! Wiring, timings and limits: README.md beside this crate.

mod clock_data;
mod feedback;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod keypad;
mod reader;
mod told;

pub use clock_data::{ClockDataEdge, ClockDataLevels, ClockDataParams, ClockDataReader, read_track};
pub use feedback::{Feedback, Wires};
pub use frame::{Assembler, CLOSEST, Damage, Frame, Wire};
pub use keypad::{Keypad, burst, key};
pub use reader::{Heartbeat, Output, Reading, WiegandParams, WiegandReader, read};
pub use told::Misreads;
