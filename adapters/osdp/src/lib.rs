//! OSDP (IEC 60839-11-5, SIA OSDP v2.2) on an RS-485 line: readers from the panel's side, and one reader towards somebody
//! else's panel.
//!
//! [`Bus`] polls the readers of one line: bytes and time in, bytes and events out. [`OsdpBus`] drives it over a serial
//! port. [`Peripheral`] is the other end, a reader that answers, and [`OsdpPeripheral`] has it on a port. [`Packet`], [`Deframer`] and [`Reply`] are the decoder, which `doorline decode osdp` shares.
//!
//! A reader with a key is spoken to through the secure channel only; the default key is used in a window that an
//! operator opens, and only to give the reader its own. Outputs of readers do what the relay guard says and nothing else
//! ([`OsdpOutputs`]), and each is on for a time that the reader ends itself.
//!
//! Wiring, times and limits: README.md beside this crate.

mod bus;
mod display;
mod driver;
mod errand;
mod feedback;
#[doc(hidden)]
pub mod fuzz;
mod key;
mod link;
mod message;
mod output;
mod packet;
mod pd;
mod peripheral;
mod secure;
mod transfer;

pub use bus::{Bus, BusParams, Output};
pub use display::{LONGEST_TEXT, Text, TextError, Texts};
pub use driver::{Order, OsdpBus, OsdpInput, OsdpReader, Wanted};
pub use errand::{Errand, Errands, Progress, Settings};
pub use key::{Key, KeyError};
pub use link::Security;
pub use message::{Capability, Identity, Reply, ReplyError, command_name, nak_reason, reply_name};
pub use output::{OUTPUTS, OsdpOutputs, OutputAnswer, OutputOrder};
pub use packet::{Check, Deframer, LONGEST, MARK, Packet, PacketError, SOM, SecurityBlock};
pub use pd::{Event, PdParams};
pub use peripheral::{
    Heard, Light, OsdpPeripheral, Out, Peripheral, PeripheralParams, Secrecy, Shade, keep_key, kept_key,
};
pub use transfer::{File, FileStatus, LONGEST_FILE};
