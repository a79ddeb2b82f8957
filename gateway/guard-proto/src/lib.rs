//! Lease protocol between gateway and relay guard. Pure.
//!
//! Three parts: the messages (length-framed, over a Unix stream socket), [`Holder`], the lease machine of what opens, and
//! [`Relays`], the machine of what only tells something. None does IO nor reads a clock; `gateway-guard` drives them.
//!
//! What opens is [`Operate`], and it can only be made of a [`Grant`](gateway_access::Grant): there is no public
//! way from the decoded [`Order`] back to bytes.
//!
//! # Frames
//! `length: u16 | kind: u8 | body`, all numbers big-endian, `length` counts kind and body and is 1 to
//! [`MAX_FRAME`]. Texts are `length: u8 | UTF-8`. Times are `u64` nanoseconds on `CLOCK_BOOTTIME`.

#[doc(hidden)]
pub mod fuzz;
mod holder;
mod relays;
mod report;
mod request;
mod wire;

pub use holder::{Action, Fact, Holder, HolderError, OutputLimits, distinct};
pub use relays::{RelayAction, RelayLimits, Relays};
pub use report::{DeviceFault, OutputState, RefuseWhy, ReleaseWhy, Report};
pub use request::{Incoming, Latch, Operate, Order, Request};
pub use wire::{
    FrameReader, LeaseId, MAX_FRAME, MAX_LIST, MAX_TEXT, ProtoError, VERSION, Wiring, Wirings, clip,
};
