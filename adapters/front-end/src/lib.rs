//! Front ends: a microcontroller on panel lines and readers that sees edges to the microsecond and times outputs.
//!
//! User space can be trusted with neither. What a front end does is [`Firmware`], a model for whoever writes one; the
//! protocol is `docs/front-end.md`. It has two ports, so that who may open is settled by who has which: [`FrontEnd`] is
//! the gateway's adapter on the line port, which opens nothing, and [`FrontEndDoors`] the relay guard's driver on the
//! door port, whose openings have their end with them. [`simulate`] plays a front end on two pseudo-terminals.

mod card_queue;
mod clock;
mod doors;
mod driver;
mod firmware;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod line_port;
mod message;
mod opening;
mod readers;
mod record;
mod simulator;

pub use doors::{FrontEndDoors, Opening};
pub use driver::{FrontEnd, FrontEndController, FrontEndReaderPort};
pub use firmware::{Change, Firmware, WATCHDOG_MS};
pub use frame::{Deframer, FrameError, MAX_MESSAGE, crc16, frame};
pub use line_port::{CardWires, FrontEndLine, LinePort, Output, Wiring};
pub use message::{
    CHANNELS, CardPulses, Identity, MAX_BATCH, MAX_CARD, MAX_PULSES, MAX_TELEGRAM, MessageError, Order,
    PortRole, Press, Reason, Row, Telegram, VERSION, WireEdge, Word,
};
pub use readers::{ClockDataInputs, FrontEndReader, KeyContact, ReaderInputs, ReaderLights};
pub use record::{RecordError, record};
pub use simulator::{CONTACT_INPUT, PULL_OUTPUT, Play, STRIPE_INPUTS, simulate};

/// Bits per second of a front end with a UART; one with USB of its own takes any.
pub const BAUD: u32 = 921_600;
