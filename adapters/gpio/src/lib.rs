//! GPIO inputs and outputs, through gpiocdev (the default) or rppal (Raspberry Pi only, by explicit choice).
//!
//! [`GpioInputs`] is an adapter: edges with the kernel's timestamps on the gateway's clock, debounced by the
//! kernel, the first reading marked as such, and lost edges noticed by their sequence numbers. [`GpioOutputs`] is
//! an output driver for the relay guard. [`GpioReader`] is a Wiegand or Clock &
//! Data reader. [`line_state`] says who holds a line, and [`rest_at_boot`] what a pin's pull does before any software runs.
//!
//! Wiring, tested devices and limits: README.md beside this crate.

mod config;
mod decode;
mod edges;
mod holders;
mod input;
mod output;
mod pulsed;
mod reader;
mod report;
mod rpi;
mod time;

pub use config::{Backend, Bias, BootPull, BootRest, InputLine, OutputLine, rest_at_boot};
pub use holders::{CONSUMER, LineState, line_state};
pub use input::GpioInputs;
pub use output::{GpioOutputs, persists_outputs};
pub use reader::{
    ClockDataPins, GpioReader, Opening, ReaderData, ReaderPin, ReaderPins, ReaderWires, WiegandPins,
};
