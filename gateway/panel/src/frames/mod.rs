//! Lines that talk in frames: buses of two wires on which a call says in bits for whom it is.
//!
//! A [`FrameReader`] makes frames of edges, [`Coding::row`] makes edges of a frame, and a [`FramePattern`] says what a frame
//! means: which of its bits are fixed, which are the address of a handset, which the number of a door station. It is the
//! only decoder there is: lines and `doorline decode` use the same.

mod input;
mod pattern;
mod pulsed;
#[cfg(test)]
mod pulsed_tests;
mod simplebus;
mod tcs;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use gateway_core::Instant;
use serde::Deserialize;

pub use input::FrameInput;
pub(crate) use input::length;
pub use pattern::{BusAddress, FramePattern, PatternError};
pub use pulsed::{BytePulses, bytes_of_pulses, edges_of_bytes};

use crate::edges::Edge;
use crate::profile::Polarity;

/// How bits stand on the wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coding {
    /// ABB-Welcome, which is Busch-Welcome: bytes of short pulses, highest bit first. What a frame has of a telegram is its head
    /// (without the bit that it is sent again), kind, to whom, from whom, and data: 6 to 16 bytes. Longer ones are nothing.
    Abb,
    /// BTicino SCS: bytes of short pulses, lowest bit first. What a frame has of a telegram are the bytes between its begin and
    /// its check: 4 to 13.
    Scs,
    /// Comelit Simplebus 1, and 2 behind a detector of its carrier: marks of 3 ms whose distance is the bit; 6 bits of
    /// command, 8 of address, 4 that count the ones among them, each of them with its lowest bit first.
    Simplebus,
    /// TCS:BUS: each change of level ends a bit whose length is its value; 16 or 32 bits, highest first, and a parity.
    Tcs,
}

/// A frame whose check was right: its bits without the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How many bits, 1 to 128.
    pub bits: u8,
    /// The bits, the first of the pattern the highest. Of Simplebus 6 bits of command and 8 of address.
    pub value: u128,
}

impl Frame {
    /// Its bytes, the first one first; the last bits of the first one, if they are no whole bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let count = usize::from(self.bits.div_ceil(8)).min(16);
        self.value.to_be_bytes()[16 - count..].to_vec()
    }
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
    /// So many bytes came that are no telegram, or no whole one.
    Telegram {
        /// How many.
        bytes: u8,
    },
    /// Within a frame a time, in µs, that is no bit.
    Time(u64),
}

impl Coding {
    /// Has it frames with so many bits, without their check?
    #[must_use]
    pub const fn has(self, bits: u8) -> bool {
        match self {
            Self::Abb => matches!(bits, 48..=128) && bits.is_multiple_of(8),
            Self::Scs => matches!(bits, 32..=104) && bits.is_multiple_of(8),
            Self::Simplebus => bits == 14,
            Self::Tcs => matches!(bits, 16 | 32),
        }
    }

    /// A frame as the bytes of its telegram, on a bus that talks in bytes; `None` for one that it does not have. `number` tells
    /// telegrams apart where the bus counts them.
    #[must_use]
    pub fn telegram(self, frame: Frame, number: u8) -> Option<Vec<u8>> {
        let format = pulsed::Format::of(self)?;
        if !self.has(frame.bits) || frame.value.checked_shr(frame.bits.into()).unwrap_or(0) != 0 {
            return None;
        }
        format.whole(&frame.bytes(), number)
    }

    /// A frame as times in µs, the first one active and the next at rest in turns; `None` for one that this coding does not
    /// have. None that is active is longer than 6 ms.
    #[must_use]
    pub fn row(self, frame: Frame) -> Option<Vec<u16>> {
        let fits = frame.value.checked_shr(frame.bits.into()).unwrap_or(0) == 0;
        if !fits || !self.has(frame.bits) {
            return None;
        }
        match self {
            Self::Abb | Self::Scs => Some(BytePulses::of(self)?.row(&self.telegram(frame, 0)?)),
            Self::Simplebus => Some(simplebus::row(frame)),
            Self::Tcs => Some(tcs::row(frame)),
        }
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
    Pulsed(pulsed::Reader),
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
                Coding::Abb => State::Pulsed(pulsed::Reader::new(pulsed::Format::Abb)),
                Coding::Scs => State::Pulsed(pulsed::Reader::new(pulsed::Format::Scs)),
                Coding::Simplebus => State::Simplebus(simplebus::Reader::new()),
                Coding::Tcs => State::Tcs(tcs::Reader::new()),
            },
        }
    }

    /// Takes an edge, or the level at the start. A frame is whole with the edge that ends its last bit, or on a bus that talks in
    /// bytes, whose last bit may have no edge, with the time after it.
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
            State::Pulsed(reader) if span.active => reader.end(span.us),
            State::Pulsed(reader) => reader.begin(at, span.us),
            State::Simplebus(reader) => reader.span(span),
            State::Tcs(reader) => reader.span(span),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called unless an edge comes before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Pulsed(reader) => reader.poll_timeout(),
            State::Simplebus(_) | State::Tcs(_) => None,
        }
    }

    /// Does what is due. Every edge before `now` has to be told before.
    ///
    /// # Errors
    /// [`FrameNoise`] where the silence shows that what had begun is no frame.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<Option<Frame>, FrameNoise> {
        match &mut self.state {
            State::Pulsed(reader) => reader.handle_timeout(now),
            State::Simplebus(_) | State::Tcs(_) => Ok(None),
        }
    }

    /// Edges were lost: what was half heard is nothing.
    pub fn forget(&mut self) {
        self.last = None;
        match &mut self.state {
            State::Pulsed(reader) => reader.forget(),
            State::Simplebus(reader) => *reader = simplebus::Reader::new(),
            State::Tcs(reader) => *reader = tcs::Reader::new(),
        }
    }
}

/// Everything in edges that were recorded, and when it was whole, µs. `idle` is the level of the free bus.
#[must_use]
pub fn recorded(coding: Coding, idle: Polarity, edges: &[Edge]) -> Vec<(u64, Result<Frame, FrameNoise>)> {
    // any beginning, from which differences count
    let start = Instant::from_nanos(1_000_000_000);
    let us = |at: Instant| u64::try_from(at.since(start).as_micros()).unwrap_or(u64::MAX);
    let mut reader = FrameReader::new(coding, idle);
    let mut all = Vec::new();
    let mut tell = |at: u64, said: Result<Option<Frame>, FrameNoise>| {
        all.extend(said.transpose().map(|said| (at, said)));
    };
    for edge in edges {
        let at = start + Duration::from_micros(edge.at_us);
        while let Some(due) = reader.poll_timeout().filter(|due| *due <= at) {
            tell(us(due), reader.handle_timeout(due));
        }
        tell(edge.at_us, reader.handle_edge(at, edge.level));
    }
    while let Some(due) = reader.poll_timeout() {
        tell(us(due), reader.handle_timeout(due));
    }
    all
}
