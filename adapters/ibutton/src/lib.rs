//! Contact keys ("touch memory"): what their bytes and bits mean, and those that the kernel reads.
//!
//! [`Rom`] is the number of a 1-Wire key (Dallas DS1990A). [`cyfral`] and [`metakom`] read the keys that send by
//! themselves as long as they touch: their bits, as the cells of a front end give them. Neither has a checksum that
//! would notice every error, so that two equal frames in a row are required of Cyfral keys.
//!
//! [`KeyReader`] takes DS1990A keys from a 1-Wire master of the kernel. Wiring and limits: README.md beside this crate.

mod cells;
#[doc(hidden)]
pub mod fuzz;
mod master;
mod rom;
mod touch;

pub use cells::{CellError, cyfral, cyfral_bits, metakom, metakom_bits};
pub use master::KeyReader;
pub use rom::{DS1990A, Rom, RomError, crc8};
