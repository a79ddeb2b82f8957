//! Contact keys ("touch memory"): what their wire and their bytes mean, and those that the kernel reads.
//!
//! [`Rom`] is the number of a 1-Wire key (Dallas DS1990A). [`KeyLine`] reads all kinds at a contact whose wire a front end
//! watches: keys that send by themselves as long as they touch ([`CellReader`]: Cyfral, Metakom), and 1-Wire keys, which it
//! asks by rows of pulses. [`played`] and [`Asked`] are such keys, for simulators and tests.
//!
//! [`KeyReader`] takes DS1990A keys from a 1-Wire master of the kernel. Wiring and limits: README.md beside this crate.

mod cell_reader;
#[doc(hidden)]
pub mod fuzz;
mod key_line;
mod lying;
mod master;
mod one_wire;
mod played;
mod rom;
mod touch;

pub use cell_reader::{CellReader, SentKey};
pub use key_line::{KeyKinds, KeyLine, KeyOutput};
pub use master::KeyReader;
pub use played::{Asked, Played, alone, played};
pub use rom::{DS1990A, Rom, RomError, crc8};
