//! Sound cards (ALSA) as the voice of a panel line.
//!
//! A card has a clock of its own, and so has the media engine, which asks each line for 10 ms every 10 ms. Between them
//! stand two short queues, one each way; the conversion of rates on the card's side is trimmed by how full its queue is,
//! so that neither clock ever runs away from the other and nothing is dropped or repeated for it. Formats and channels are
//! left to alsa-lib; its conversion of rates is not used, since it cannot be trimmed.

mod card;
mod line;
mod pipe;
mod probe;
mod rate;
mod stream;

pub use card::{CardError, CardName, Found, cards};
pub use line::SoundLine;
pub use probe::{Looped, Probe, ProbeError, chirp, looped};
pub use stream::{Counts, Sound};
