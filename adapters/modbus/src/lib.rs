//! Relay boards and inputs that speak Modbus: RTU over a serial line, TCP, or RTU through a serial server.
//!
//! [`Relays`] is one board (one unit) and an output driver of the relay guard; boards on one [`Bus`] share its port
//! or connection, and one that does not answer costs the others one answer time at most. What the families of boards
//! do differently is the table [`PROFILES`]. [`ModbusInputs`] reads inputs, on a line of its own or through the guard, which
//! answers by [`serve`]; what their answers mean is [`Readings`]. [`Exchange`] is the pure part: requests, answers and both framings.
//!
//! Own framing in place of a Modbus library: boards give single-coil writes values that the specification does not
//! know (a library's client sends true and false only), and adapters echo or add noise as the line turns.
//!
//! Wiring, boards and limits: README.md beside this crate.

mod bus;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod guarded;
mod inputs;
mod ioctl;
mod pdu;
mod profile;
mod reading;
mod relays;
mod taken;
mod word;

pub use adapter_api::Direction;
pub use bus::{Bus, BusError, BusParams, Link, Parity};
pub use frame::{Exchange, FrameError, Framing, LONGEST, crc16};
pub use guarded::serve;
pub use inputs::{ModbusInputs, Source};
pub use pdu::{MOST, PduError, REQUEST_BYTES, Reply, Request, exception};
pub use profile::{Meaning, PROFILES, Profile};
pub use reading::{Answer, Ask, Heard, InputKind, ModbusInput, Readings};
pub use relays::{Relays, RelaysParams};
