//! A Clock & Data reader: edges of clock, data and "card present" in, cards and reports out.
//!
//! Data is taken where the clock becomes active (low on the wire). Which level it has there is found at the end of a frame,
//! by the kernel's times of all edges: edges of two wires need not be handed over in the order in which they happened.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_card::{ClockDataError, decode_track, track_frame};
use gateway_core::{CardFrame, Instant, Misread};

use crate::frame::CLOSEST;
use crate::reader::Output;
use crate::told::{Held, Misreads};

/// Most clocks of a frame: 40 characters of five bits, and the zeros of a whole stripe around them.
const MOST: usize = 512;
/// No frame lasts so long: a pause is missing, whatever the clocks are.
const ENDLESS: Duration = Duration::from_secs(6);
/// A clock that is low for so long without an edge is not at rest.
const STUCK: Duration = Duration::from_millis(200);

/// What a Clock & Data reader is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockDataParams {
    /// It has a third wire that is active while a card is read: clocks at other times are noise.
    pub card_present: bool,
    /// Silence of the clock that ends a frame.
    pub frame_gap: Duration,
    /// The same card counts once in this time.
    pub repeat: Duration,
}

impl Default for ClockDataParams {
    /// Two wires, frames end after 25 ms, a card counts once in 2 s.
    fn default() -> Self {
        Self {
            card_present: false,
            frame_gap: Duration::from_millis(25),
            repeat: Duration::from_secs(2),
        }
    }
}

/// An edge of one of its wires. Active is a low level on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDataEdge {
    /// The clock became active.
    Clock,
    /// Data became active, which is a one, or inactive.
    Data(bool),
    /// A card is being read, or is not any more.
    Present(bool),
}

/// The wires as they are at one moment; true is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockDataLevels {
    /// Clock.
    pub clock: bool,
    /// Data.
    pub data: bool,
    /// Card present; false where the wire is not there.
    pub present: bool,
}

/// Reads the bits of one frame. A stripe that was drawn the other way gives its bits backwards and is the same card.
///
/// # Errors
/// Why it is no card. [`Misread::Reversed`]: it fits if data is active at a high level.
pub fn read_track(bits: &[bool]) -> Result<CardFrame, Misread> {
    let card = |bits: &[bool]| decode_track(bits).map(|text| track_frame(&text).ok_or(Misread::Short));
    let error = match card(bits) {
        Ok(read) => return read,
        Err(error) => error,
    };
    let backwards: Vec<bool> = bits.iter().rev().copied().collect();
    if let Ok(read) = card(&backwards) {
        return read;
    }
    let inverted: Vec<bool> = bits.iter().map(|one| !one).collect();
    if matches!(card(&inverted), Ok(Ok(_))) {
        return Err(Misread::Reversed);
    }
    Err(match error {
        ClockDataError::Check { .. } | ClockDataError::Parity { .. } => Misread::Parity,
        ClockDataError::Empty | ClockDataError::End | ClockDataError::Nothing => Misread::Short,
        ClockDataError::Start { .. } | ClockDataError::Trailing { .. } => Misread::Noise,
        ClockDataError::TooLong => Misread::Length,
    })
}

/// A reader on two or three wires.
#[derive(Debug)]
pub struct ClockDataReader {
    /// First and last clock of the frame that is open.
    ends: Option<(Instant, Instant)>,
    clocks: Vec<Instant>,
    /// Why the frame that is open, or the next one, cannot be trusted.
    damage: Option<Misread>,
    /// Edges of data, and its level before the first of them.
    data: VecDeque<(Instant, bool)>,
    level: bool,
    fault: Option<String>,
    held: Held,
    /// Edges were lost since the last clock: they may be those of the next frame.
    lost_between: bool,
    /// Since when the clock is low without an edge.
    low: Option<Instant>,
    misreads: Misreads,
    out: VecDeque<Output>,
    params: ClockDataParams,
    present: bool,
}

impl ClockDataReader {
    /// A reader at rest.
    #[must_use]
    pub fn new(params: ClockDataParams) -> Self {
        Self {
            ends: None,
            clocks: Vec::new(),
            damage: None,
            data: VecDeque::new(),
            level: false,
            fault: None,
            held: Held::default(),
            lost_between: false,
            low: None,
            misreads: Misreads::default(),
            out: VecDeque::new(),
            params,
            present: false,
        }
    }

    /// Takes an edge with the time that the kernel gave it.
    pub fn edge(&mut self, at: Instant, edge: ClockDataEdge) {
        match edge {
            ClockDataEdge::Clock => self.clock(at),
            ClockDataEdge::Data(one) => {
                if self.data.len() == 2 * MOST
                    && let Some((_, oldest)) = self.data.pop_front()
                {
                    self.level = oldest;
                    if self.ends.is_some() {
                        self.hurt(Misread::Noise);
                    }
                }
                self.data.push_back((at, one));
            }
            ClockDataEdge::Present(there) => {
                self.present = there;
                if self.params.card_present && !there {
                    self.end();
                }
            }
        }
    }

    fn clock(&mut self, at: Instant) {
        // by the edges' own times: how late anybody looked does not cut a frame or glue two together
        if self.frame_end().is_some_and(|end| end <= at) {
            self.end();
        }
        (self.low, self.lost_between) = (None, false);
        let close = |(_, last): (Instant, Instant)| at.since(last) < CLOSEST;
        let outside = self.params.card_present && !self.present;
        if self.ends.is_some_and(close) || outside || self.clocks.len() == MOST {
            self.hurt(Misread::Noise);
        }
        if self.clocks.len() < MOST {
            self.clocks.push(at);
        }
        let (first, last) = self.ends.unwrap_or((at, at));
        self.ends = Some((first, last.max(at)));
    }

    /// Edges were lost just before the next one. The frame that is open and the next one are spoilt: nobody knows in which of
    /// them they were.
    pub fn lost(&mut self) {
        self.damage = Some(Misread::LostEdges);
        self.lost_between = self.ends.is_some();
    }

    /// The wires were read. To be told now and then; between the edges of a frame it says nothing.
    pub fn levels(&mut self, now: Instant, levels: ClockDataLevels) {
        let rest = self.ends.is_none();
        // edges of this moment may be those of a frame that begins: what was read is later than they are
        let quiet = |(at, _): &(Instant, bool)| now.since(*at) >= self.params.frame_gap;
        if rest && self.data.back().is_none_or(quiet) {
            self.level = levels.data;
            self.data.clear();
        }
        if rest {
            self.present = levels.present;
        }
        self.low = (levels.clock && rest).then(|| self.low.unwrap_or(now));
        self.judge(now);
    }

    /// Ends frames and what else is due. All edges up to `now` must have been given before.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.frame_end().is_some_and(|end| end <= now) {
            self.end();
        }
        self.out.extend(self.misreads.due(now));
        self.judge(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.frame_end()
            .into_iter()
            .chain(self.misreads.poll_timeout())
            .min()
    }

    /// What came of it.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn frame_end(&self) -> Option<Instant> {
        self.ends.map(|(_, last)| last + self.params.frame_gap)
    }

    /// Lost edges say more than noise, which may be the same.
    fn hurt(&mut self, damage: Misread) {
        self.damage = self.damage.or(Some(damage));
    }

    /// Ends the frame that is open, if one is.
    fn end(&mut self) {
        let Some((_, at)) = self.ends.take() else {
            return;
        };
        let bits = self.sampled();
        let next = std::mem::take(&mut self.lost_between).then_some(Misread::LostEdges);
        let read = match std::mem::replace(&mut self.damage, next) {
            Some(damage) => Err(damage),
            None => read_track(&bits),
        };
        match read {
            Ok(frame) => {
                if self.held.counts(at, &frame, self.params.repeat) {
                    self.out.push_back(Output::Card { at, frame });
                }
            }
            Err(reason) => {
                let bits = u16::try_from(bits.len()).unwrap_or(u16::MAX);
                self.out.extend(self.misreads.count(at, bits, reason));
            }
        }
    }

    /// Data at each clock of the frame that ends, by the times of the edges.
    fn sampled(&mut self) -> Vec<bool> {
        let mut edges: Vec<(Instant, bool)> = std::mem::take(&mut self.data).into();
        edges.sort_by_key(|(at, _)| *at);
        let mut edges = edges.into_iter().peekable();
        let mut level = self.level;
        let clocks = std::mem::take(&mut self.clocks).into_iter();
        let bits = clocks.map(|clock| {
            while let Some((_, next)) = edges.next_if(|(at, _)| *at <= clock) {
                level = next;
            }
            level
        });
        let bits: Vec<bool> = bits.collect();
        self.level = edges.last().map_or(level, |(_, last)| last);
        bits
    }

    /// Says what is wrong with the reader as a whole, once, and when it is over.
    fn judge(&mut self, now: Instant) {
        let stuck = self.low.is_some_and(|since| now.since(since) >= STUCK);
        let endless = self
            .ends
            .is_some_and(|(first, last)| last.since(first) >= ENDLESS);
        let fault = if stuck {
            Some(
                "the clock is low at rest: no supply at the reader, no pull-up, a short circuit, or the wrong level in active-low"
                    .to_owned(),
            )
        } else if endless {
            Some(
                "clocks come without a pause: noise on the clock, a broken shield or ground wire, or somebody at the cable"
                    .to_owned(),
            )
        } else {
            None
        };
        if fault != self.fault {
            self.fault.clone_from(&fault);
            self.out.push_back(fault.map_or(Output::Ready, Output::Fault));
        }
    }
}

#[cfg(test)]
#[path = "clock_data_tests.rs"]
mod tests;
