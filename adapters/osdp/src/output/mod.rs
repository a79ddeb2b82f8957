//! Outputs of readers: between the relay guard, which alone says when one is on, and the line, which the gateway has.
//!
//! A line has one master, so the guard cannot open it for itself. It speaks to the gateway over a socket of the line
//! ([`server`]), and its driver ([`OsdpOutputs`]) is an output driver like any other. Nothing is on for longer than the
//! reader was told, whoever dies.

mod driver;
pub(crate) mod server;
pub(crate) mod word;

use std::io;

use gateway_core::Instant;
use tokio::net::UnixStream;

pub use driver::OsdpOutputs;

/// Outputs of one reader that can be used, from 0.
pub const OUTPUTS: u8 = 32;

/// What the guard wants of a reader's outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputOrder {
    /// Write these to rest, and look. Only then, and only in that session, may they be switched on.
    Claim(Vec<u8>),
    /// On until told otherwise, or 5 s after the gateway tells the reader no more.
    Hold(u8),
    /// To rest.
    Off(u8),
    /// On for a time that the reader ends itself.
    On {
        /// It is not begun from then on.
        not_after: Instant,
        /// Which, from 0.
        number: u8,
        /// For how long, in 100 ms.
        tenths: u16,
    },
    /// How are they?
    Read,
}

/// What it came to: levels in order if the reader says them, or why it was not done.
pub type OutputAnswer = Result<Option<Vec<bool>>, String>;

/// The next line, without its end; `None` at the end of the connection. Each side says one line and waits for the other's.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidData`] for what is no line, or too long for one.
async fn line(stream: &mut UnixStream) -> io::Result<Option<String>> {
    adapter_api::local::line(stream, word::LONGEST).await
}
