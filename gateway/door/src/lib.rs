//! Door state machine: lock, contact, REX, relock, forced, held open, opened by panel, tamper.
//!
//! Pure: time is an argument. The site machine feeds it inputs and carries out its outputs; the relay guard
//! operates the output and reports back. What the machine leaves out: who may open, lockdowns and interlocks
//! (`gateway-access`), the hard limits of an output (the guard).
//!
//! Energised means open for every lock: at rest the coil is off and the door is as its wiring leaves it.

mod door;
mod io;
mod params;

pub use door::{Door, JOIN, RELEASE_LIMIT, Told};
pub use io::{FireAlarm, GuardReport, Input, Output, ReleaseCause};
pub use params::{
    DoorParams, Duty, FailMode, LockKind, LockOwner, MAX_PULSE, MIN_PULSE, ParamsError, Relock,
};
