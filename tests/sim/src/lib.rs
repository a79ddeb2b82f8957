//! The whole gateway under virtual time: one [`Sim`] owns the site machine, a clock, a relay guard and phones
//! that follow a script. Hours pass in milliseconds; the tests assert on the event log.
//!
//! The guard here is a model of the real one as far as the site can see it: it energises for a Grant that is
//! not too old, one pulse per output, and reports. What the real one does is tested in its own crate.

mod guard;
mod house;
mod sim;

pub use guard::Guard;
pub use house::{first_door, id, three_phones};
pub use sim::{Phone, Pulse, Sim, T0, ms, secs, wall};
