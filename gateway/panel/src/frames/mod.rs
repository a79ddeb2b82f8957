//! Lines that talk in frames: buses of two wires on which a call says in bits for whom it is.
//!
//! A [`FrameReader`] makes frames of edges, [`Coding::row`] makes edges of a frame, and a [`FramePattern`] says what a frame
//! means: which of its bits are fixed, which are the address of a handset, which the number of a door station. It is the
//! only decoder there is: lines and `doorline decode` use the same.

mod input;
mod pattern;
mod simplebus;
mod tcs;
#[cfg(test)]
mod tests;

use std::fmt;

use gateway_core::Instant;
use serde::Deserialize;

pub use input::FrameInput;
pub(crate) use input::length;
pub use pattern::{BusAddress, FramePattern, PatternError};

use crate::profile::Polarity;

/// How bits stand on the wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coding {
    /// Comelit Simplebus 1, and 2 behind a detector of its carrier: marks of 3 ms whose distance is the bit; 6 bits of
    /// command, 8 of address, 4 that count the ones among them, each of them with its lowest bit first.
    Simplebus,
    /// TCS:BUS: each change of level ends a bit whose length is its value; 16 or 32 bits, highest first, and a parity.
    Tcs,
}

/// A frame whose check was right: its bits without the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How many bits, 1 to 32.
    pub bits: u8,
    /// The bits, the first of the pattern the highest. Of Simplebus 6 bits of command and 8 of address.
    pub value: u32,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.bits.div_ceil(4));
        write!(f, "{:0digits$x}", self.value)
    }
}

/// What is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameNoise {
    /// All bits came, and the check does not fit them.
    Check(Frame),
    /// Within a frame a time, in µs, that is no bit.
    Time(u64),
}

impl Coding {
    /// How many bits a frame has without its check.
    #[must_use]
    pub const fn lengths(self) -> &'static [u8] {
        match self {
            Self::Simplebus => &[14],
            Self::Tcs => &[16, 32],
        }
    }

    /// A frame as times in µs, the first one active and the next at rest in turns; `None` for one that this coding does not
    /// have. None that is active is longer than 6 ms.
    #[must_use]
    pub fn row(self, frame: Frame) -> Option<Vec<u16>> {
        let fits = u64::from(frame.value) < 1 << frame.bits.min(32);
        if !fits || !self.lengths().contains(&frame.bits) {
            return None;
        }
        Some(match self {
            Self::Simplebus => simplebus::row(frame),
            Self::Tcs => tcs::row(frame),
        })
    }
}

/// A span of one level that has just ended.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// True if the bus was driven.
    active: bool,
    /// How long, µs.
    us: u64,
}

#[derive(Clone, Debug)]
enum State {
    Simplebus(simplebus::Reader),
    Tcs(tcs::Reader),
}

/// Reads the edges of one bus.
#[derive(Clone, Debug)]
pub struct FrameReader {
    idle: Polarity,
    /// The last edge: when, and the level from there on.
    last: Option<(Instant, bool)>,
    state: State,
}

impl FrameReader {
    /// A bus that was not read so far, and whose free level is `idle`.
    #[must_use]
    pub const fn new(coding: Coding, idle: Polarity) -> Self {
        Self {
            idle,
            last: None,
            state: match coding {
                Coding::Simplebus => State::Simplebus(simplebus::Reader::new()),
                Coding::Tcs => State::Tcs(tcs::Reader::new()),
            },
        }
    }

    /// Takes an edge, or the level at the start. A frame is whole with the edge that ends its last bit.
    ///
    /// # Errors
    /// [`FrameNoise`] where the edge shows that what had begun is no frame.
    pub fn handle_edge(&mut self, at: Instant, level: bool) -> Result<Option<Frame>, FrameNoise> {
        let before = self.last.replace((at, level));
        let Some((since, was)) = before else {
            return Ok(None);
        };
        if was == level {
            // an edge between them is missing
            self.forget();
            self.last = Some((at, level));
            return Ok(None);
        }
        let span = Span {
            active: !self.idle.is_active(was),
            us: u64::try_from(at.since(since).as_micros()).unwrap_or(u64::MAX),
        };
        match &mut self.state {
            State::Simplebus(reader) => reader.span(span),
            State::Tcs(reader) => reader.span(span),
        }
    }

    /// Edges were lost: what was half heard is nothing.
    pub const fn forget(&mut self) {
        self.last = None;
        match &mut self.state {
            State::Simplebus(reader) => *reader = simplebus::Reader::new(),
            State::Tcs(reader) => *reader = tcs::Reader::new(),
        }
    }
}
