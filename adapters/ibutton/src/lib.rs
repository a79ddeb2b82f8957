//! Contact keys ("touch memory"), without any device: what their bytes and bits mean.
//!
//! [`Rom`] is the number of a 1-Wire key (Dallas DS1990A). [`cyfral`] and [`metakom`] read the keys that send by
//! themselves as long as they touch: their bits, as the cells of a front end give them. Neither has a checksum that
//! would notice every error, so that two equal frames in a row are required of Cyfral keys.

mod cells;
#[doc(hidden)]
pub mod fuzz;
mod rom;

pub use cells::{CellError, cyfral, cyfral_bits, metakom, metakom_bits};
pub use rom::{DS1990A, Rom, RomError, crc8};
