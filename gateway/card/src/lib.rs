//! Card formats as data: what the bits of a reader mean, and the bits of a card that is known.
//!
//! A [`Format`] is written as masks, the way card data sheets print it: one text says what each bit is for, one
//! text for each parity bit says which bits it covers. [`formats`] are those that are published; a site can have
//! its own. Nothing here decides anything: cards are compared by all of their bits, and a format only says
//! whether these bits can be a card, and how they read for people. [`learn`] proposes one when only printed numbers are
//! known. A [track](track_frame) is what Clock & Data readers send, a [contact key](cyfral_frame) what a key says that sends by
//! itself.

mod bits;
mod contact_key;
mod format;
mod learn;
mod table;
mod track;
mod translate;

pub use bits::{MAX_BITS, bits_of, frame_of};
pub use contact_key::{
    CellError, cyfral, cyfral_bits, cyfral_frame, cyfral_of, metakom, metakom_bits, metakom_bytes,
    metakom_frame, metakom_of,
};
pub use format::{Field, Fields, Format, FormatError, ValueError};
pub use learn::{FEWEST, Known, LearnError, Proposal, Turned, learn};
pub use table::{format_named, formats};
pub use track::{ClockDataError, decode_track, encode_track, track_frame, track_of};
pub use translate::{TranslateError, Translation};
