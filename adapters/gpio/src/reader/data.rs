//! What a reader sends on its data lines, and the edges that are asked for.
//!
//! Of the pulses of Wiegand and of the clock of Clock & Data only the beginning is asked for: a pulse of 50 µs is often
//! shorter than the delay of an interrupt, and the kernel tells which of two edges it was by reading the pin, which has
//! changed back by then. Data and "card present" keep their level for a millisecond and longer: there both edges are.

use adapter_wiegand::{
    ClockDataEdge, ClockDataLevels, ClockDataParams, ClockDataReader, Output, WiegandParams, WiegandReader,
    Wire,
};
use gateway_core::{CardFrame, Instant};
use gpiocdev::line::{EdgeDetection, EdgeEvent, EdgeKind};

/// Lines of a Wiegand reader, by offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiegandPins {
    /// D0.
    pub d0: u32,
    /// D1.
    pub d1: u32,
}

/// Lines of a Clock & Data reader, by offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockDataPins {
    /// Clock, also called strobe.
    pub clock: u32,
    /// Data.
    pub data: u32,
    /// Card present, also called card loading, where it is wired.
    pub present: Option<u32>,
}

/// The data lines of a reader, and what it sends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderData {
    /// Clock & Data.
    ClockData(ClockDataPins, ClockDataParams),
    /// Wiegand.
    Wiegand(WiegandPins, WiegandParams),
}

impl ReaderData {
    /// Lines with the edges that are asked for. Rising is logical: with active low it is the falling edge on the wire.
    pub(super) fn lines(&self) -> Vec<(u32, EdgeDetection)> {
        match self {
            Self::ClockData(pins, _) => {
                let both = [Some(pins.data), pins.present].into_iter().flatten();
                let both = both.map(|line| (line, EdgeDetection::BothEdges));
                std::iter::once((pins.clock, EdgeDetection::RisingEdge))
                    .chain(both)
                    .collect()
            }
            Self::Wiegand(pins, _) => [pins.d0, pins.d1]
                .map(|line| (line, EdgeDetection::RisingEdge))
                .to_vec(),
        }
    }
}

/// Makes cards of edges.
pub(super) enum Decoder {
    ClockData(ClockDataPins, ClockDataReader),
    Wiegand(WiegandPins, WiegandReader),
}

impl Decoder {
    pub(super) fn new(data: &ReaderData, now: Instant) -> Self {
        match data {
            ReaderData::ClockData(pins, params) => {
                Self::ClockData(pins.clone(), ClockDataReader::new(params.clone()))
            }
            ReaderData::Wiegand(pins, params) => {
                Self::Wiegand(pins.clone(), WiegandReader::new(params.clone(), now))
            }
        }
    }

    pub(super) fn edge(&mut self, at: Instant, edge: &EdgeEvent) {
        let active = edge.kind == EdgeKind::Rising;
        match self {
            Self::ClockData(pins, reader) => {
                let what = if edge.offset == pins.clock {
                    ClockDataEdge::Clock
                } else if edge.offset == pins.data {
                    ClockDataEdge::Data(active)
                } else {
                    ClockDataEdge::Present(active)
                };
                reader.edge(at, what);
            }
            Self::Wiegand(pins, reader) => {
                let d1 = edge.offset == pins.d1;
                reader.edge(at, if d1 { Wire::D1 } else { Wire::D0 });
            }
        }
    }

    pub(super) fn lost(&mut self) {
        match self {
            Self::ClockData(_, reader) => reader.lost(),
            Self::Wiegand(_, reader) => reader.lost(),
        }
    }

    /// The wires were read: `active` says of a line whether it has the level of a pulse.
    pub(super) fn levels(&mut self, now: Instant, active: impl Fn(u32) -> bool) {
        match self {
            Self::ClockData(pins, reader) => {
                let levels = ClockDataLevels {
                    clock: active(pins.clock),
                    data: active(pins.data),
                    present: pins.present.is_some_and(active),
                };
                reader.levels(now, levels);
            }
            Self::Wiegand(pins, reader) => reader.levels(now, [pins.d0, pins.d1].map(active)),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::ClockData(_, reader) => reader.handle_timeout(now),
            Self::Wiegand(_, reader) => reader.handle_timeout(now),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::ClockData(_, reader) => reader.poll_timeout(),
            Self::Wiegand(_, reader) => reader.poll_timeout(),
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::ClockData(_, reader) => reader.poll_output(),
            Self::Wiegand(_, reader) => reader.poll_output(),
        }
    }

    /// Bits as they came; a stripe has one format, and its card has them.
    pub(super) fn poll_raw(&mut self) -> Option<(Instant, CardFrame)> {
        match self {
            Self::ClockData(..) => None,
            Self::Wiegand(_, reader) => reader.poll_raw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_card::{encode_track, track_frame};

    use super::*;

    #[test]
    fn edges_of_three_lines_become_a_card() {
        let pins = ClockDataPins {
            clock: 5,
            data: 6,
            present: Some(7),
        };
        let params = ClockDataParams {
            card_present: true,
            ..ClockDataParams::default()
        };
        let data = ReaderData::ClockData(pins, params);
        let both = EdgeDetection::BothEdges;
        assert_eq!(
            data.lines(),
            [(5, EdgeDetection::RisingEdge), (6, both), (7, both)]
        );
        let t = |ms: u64| Instant::from_nanos(1_000_000_000) + Duration::from_millis(ms);
        let mut reader = Decoder::new(&data, t(0));
        let mut give = |ms: u64, offset: u32, active: bool| {
            let edge = EdgeEvent {
                timestamp_ns: 0,
                kind: if active {
                    EdgeKind::Rising
                } else {
                    EdgeKind::Falling
                },
                offset,
                seqno: 0,
                line_seqno: 0,
            };
            reader.edge(t(ms), &edge);
        };
        give(10, 7, true);
        for (n, one) in (20..).step_by(2).zip(encode_track("4711", 3).expect("a track")) {
            give(n, 6, one);
            give(n + 1, 5, true);
        }
        give(500, 7, false);
        let frame = track_frame("4711").expect("a track");
        assert!(matches!(reader.poll_output(), Some(Output::Card { frame: read, .. }) if read == frame));
        assert_eq!(reader.poll_output(), None);
    }
}
