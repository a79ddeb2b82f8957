//! Keys that send by themselves, by the edges of their wire: Cyfral DC-2000 and Metakom K1233.
//!
//! A cell is two levels, together 50 to 230 µs. Of a Metakom key a 1 is a cell whose first level is the longer one, of a
//! Cyfral key it is a 0. Between two frames of a Metakom key the second level of the last cell is longer by about a cell.
//! Which level comes first depends on how the wire is brought to the input. So cells are cut at both kinds of edges: cut at
//! the wrong one, they are thirds of a cell too long or too short wherever two bits differ, and every frame has such.
//!
//! Neither kind has a checksum that notices every error: a key is what two equal frames in a row say.

use std::time::Duration;

use gateway_card::{cyfral, metakom_bytes};
use gateway_core::Instant;

/// A cell of either kind, with what a slow wire adds.
const SHORTEST: Duration = Duration::from_micros(45);
const LONGEST: Duration = Duration::from_micros(260);
/// Bits of a frame of a Cyfral key.
const CYFRAL: u32 = 36;
/// Cells of a frame of a Metakom key: three that begin it, and 32.
const METAKOM: u32 = 35;
/// A key that sent a cell so short a time ago is still sending.
const SENDS: Duration = Duration::from_millis(20);
/// So many cells in a row are no chance.
const MEANT: u32 = 12;

/// What a key says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentKey {
    /// Cyfral DC-2000: 16 bits.
    Cyfral(u16),
    /// Metakom K1233: four bytes, each with an even number of ones.
    Metakom([u8; 4]),
}

/// Cells that are cut at edges of one kind.
#[derive(Clone, Debug)]
struct Cut {
    /// Begin of the cell that is open.
    began: Option<Instant>,
    /// The last cells, the newest lowest: 1 where the first level was the longer one.
    bits: u128,
    /// The level with which a cell begins.
    first: bool,
    /// The Metakom frame that ended with the last pause between frames.
    frame: Option<[u8; 4]>,
    /// Cells in a row.
    good: u32,
    /// How long they are.
    period: Duration,
    /// Cells since the last pause between frames; `None` before the first one.
    since_pause: Option<u32>,
    /// When the cell that is open changed its level.
    turned: Option<Instant>,
}

impl Cut {
    const fn new(first: bool) -> Self {
        Self {
            began: None,
            bits: 0,
            first,
            frame: None,
            good: 0,
            period: Duration::ZERO,
            since_pause: None,
            turned: None,
        }
    }

    fn edge(&mut self, at: Instant, level: bool) -> Option<SentKey> {
        if level != self.first {
            self.turned = self.began.map(|_| at);
            return None;
        }
        let cell = self.began.zip(self.turned.take());
        self.began = Some(at);
        let (began, turned) = cell?;
        self.cell(turned.since(began), at.since(turned))
    }

    /// Takes the two levels of a cell.
    fn cell(&mut self, first: Duration, second: Duration) -> Option<SentKey> {
        let whole = first + second;
        let pause = self.good > 0 && second * 10 >= self.period * 11 && second * 10 <= self.period * 23;
        if pause && let Some(long) = is_long(first, self.period) {
            self.push(long);
            return self.metakom();
        }
        let fits = self.good == 0 || (whole * 4 >= self.period * 3 && whole * 4 <= self.period * 5);
        let long = is_long(first, whole).filter(|_| (SHORTEST..=LONGEST).contains(&whole));
        let Some(long) = long else {
            *self = Self {
                began: self.began,
                ..Self::new(self.first)
            };
            return None;
        };
        if !fits {
            *self = Self {
                began: self.began,
                ..Self::new(self.first)
            };
        }
        self.period = if self.good == 0 {
            whole
        } else {
            (self.period * 7 + whole) / 8
        };
        self.push(long);
        self.cyfral()
    }

    fn push(&mut self, long: bool) {
        self.bits = self.bits << 1 | u128::from(long);
        self.good = self.good.saturating_add(1);
        self.since_pause = self.since_pause.map(|n| n.saturating_add(1));
    }

    /// The last `count` bits, the oldest first.
    fn last(&self, count: u32) -> impl Iterator<Item = bool> + use<> {
        let bits = self.bits;
        (0..count).rev().map(move |at| bits >> at & 1 == 1)
    }

    /// Two equal frames that end with the last cell.
    fn cyfral(&self) -> Option<SentKey> {
        if self.good < 2 * CYFRAL {
            return None;
        }
        let mask = (1_u128 << CYFRAL) - 1;
        // the first level of a 0 is the longer one: a frame begins with 0001
        let begins = self.bits >> (CYFRAL - 4) & 0xF == 0b1110;
        if !begins || self.bits & mask != self.bits >> CYFRAL & mask {
            return None;
        }
        let bits: Vec<bool> = self.last(2 * CYFRAL).map(|long| !long).collect();
        cyfral(&bits).ok().map(SentKey::Cyfral)
    }

    /// A frame ends with the pause after it; the one before it has to have been the same.
    fn metakom(&mut self) -> Option<SentKey> {
        let whole = self.since_pause.replace(0) == Some(METAKOM);
        let bits: Vec<bool> = self.last(METAKOM).collect();
        let read = whole.then(|| metakom_bytes(&bits)).flatten();
        let before = std::mem::replace(&mut self.frame, read);
        read.filter(|_| read == before).map(SentKey::Metakom)
    }
}

/// Is the first level of a cell the longer one? `None` if it is no cell.
fn is_long(first: Duration, whole: Duration) -> Option<bool> {
    let percent = first.as_nanos() * 100 / whole.as_nanos().max(1);
    match percent {
        15..=46 => Some(false),
        54..=85 => Some(true),
        _ => None,
    }
}

/// Reads keys that send by themselves, whichever level comes first.
#[derive(Clone, Debug)]
pub struct CellReader {
    cuts: [Cut; 2],
    /// Time and level of the last edge.
    last: Option<(Instant, bool)>,
}

impl Default for CellReader {
    fn default() -> Self {
        Self {
            cuts: [Cut::new(false), Cut::new(true)],
            last: None,
        }
    }
}

impl CellReader {
    /// Takes an edge, and the level from there on; gives what a key says as often as it says it twice.
    pub fn edge(&mut self, at: Instant, level: bool) -> Option<SentKey> {
        if self.last.is_some_and(|(_, before)| before == level) {
            // the edge between them was lost
            self.clear();
        }
        self.last = Some((at, level));
        let [one, other] = &mut self.cuts;
        let (one, other) = (one.edge(at, level), other.edge(at, level));
        one.or(other)
    }

    /// Edges were lost, or somebody else drove the wire: what is open is nothing.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Does a key send?
    #[must_use]
    pub fn sends(&self, now: Instant) -> bool {
        self.last.is_some_and(|(at, _)| now.since(at) < SENDS)
            && self.cuts.iter().any(|cut| cut.good >= MEANT)
    }
}

#[cfg(test)]
mod tests {
    use gateway_card::metakom_bits;
    use proptest::prelude::*;

    use super::*;
    use crate::played::{Played, played};

    fn at(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
    }

    fn read(edges: &[(u64, bool)]) -> Vec<SentKey> {
        let mut reader = CellReader::default();
        let found = edges
            .iter()
            .filter_map(|(us, level)| reader.edge(at(*us), *level));
        let mut found: Vec<SentKey> = found.collect();
        found.dedup();
        found
    }

    fn turned(edges: &[(u64, bool)]) -> Vec<(u64, bool)> {
        edges.iter().map(|(us, level)| (*us, !level)).collect()
    }

    #[test]
    fn a_key_is_read_whichever_level_comes_first() {
        for (sent, key) in [
            (Played::Cyfral(0x1B07), SentKey::Cyfral(0x1B07)),
            (
                Played::Metakom([0x03, 0x05, 0xFF, 0x00]),
                SentKey::Metakom([0x03, 0x05, 0xFF, 0x00]),
            ),
        ] {
            let edges = played(&sent, 100, 30_000);
            assert_eq!(read(&edges), [key]);
            assert_eq!(read(&turned(&edges)), [key]);
        }
    }

    #[test]
    fn one_frame_alone_is_no_key() {
        // 36 cells of 100 µs, and some of the next frame
        let edges = played(&Played::Cyfral(0x1B07), 100, 6000);
        assert_eq!(read(&edges), []);
        let edges = played(&Played::Metakom([3, 5, 0xFF, 0]), 100, 7000);
        assert_eq!(read(&edges), []);
    }

    #[test]
    fn frames_that_differ_are_no_key() {
        let one = played(&Played::Cyfral(1), 100, 3600);
        let other = played(&Played::Cyfral(2), 100, 3600);
        let shift = one.last().expect("edges").0;
        // the last edge of the one is the first of the other
        let joined = one
            .iter()
            .copied()
            .chain(other.iter().skip(1).map(|(us, level)| (us + shift, *level)));
        assert_eq!(read(&joined.collect::<Vec<_>>()), []);
    }

    #[test]
    fn a_lost_edge_makes_no_other_key() {
        let edges = played(&Played::Metakom([3, 5, 0xFF, 0]), 125, 40_000);
        for lost in 0..edges.len() {
            let mut edges = edges.clone();
            edges.remove(lost);
            for key in read(&edges) {
                assert_eq!(key, SentKey::Metakom([3, 5, 0xFF, 0]), "edge {lost}");
            }
        }
    }

    fn keys() -> impl Strategy<Value = Played> {
        let even = |bytes: [u8; 4]| bytes.map(|byte| byte ^ u8::from(byte.count_ones() % 2 == 1));
        prop_oneof![
            any::<u16>().prop_map(Played::Cyfral),
            any::<[u8; 4]>().prop_map(move |bytes| Played::Metakom(even(bytes))),
        ]
    }

    proptest! {
        /// Whatever its number and pace, from wherever in a frame it is read, with edges some µs off and in either sense.
        #[test]
        fn every_key_is_read_and_as_no_other(
            key in keys(), period in 60_u64..220, skip in 0_usize..80, off in prop::collection::vec(0_u64..6, 300), turn: bool,
        ) {
            let mut edges = played(&key, period, period * 36 * 5);
            edges.drain(..skip);
            for (edge, off) in edges.iter_mut().zip(off.iter().cycle()) {
                edge.0 += off * period / 100;
            }
            if turn {
                edges = turned(&edges);
            }
            let expected = match key {
                Played::Cyfral(number) => SentKey::Cyfral(number),
                Played::Metakom(bytes) => SentKey::Metakom(bytes),
                Played::Dallas(_) => unreachable!("none is made"),
            };
            prop_assert_eq!(read(&edges), [expected]);
        }

        /// Noise that has the pace of cells, and noise that has none.
        #[test]
        fn noise_is_no_key(widths in prop::collection::vec(prop_oneof![1_u64..400, 33_u64..34, 66_u64..67], 0..1500)) {
            let mut us = 0;
            let edges = widths.iter().enumerate().map(|(n, width)| {
                us += width;
                (us, n % 2 == 0)
            });
            for key in read(&edges.collect::<Vec<_>>()) {
                // 72 cells that repeat, or two pauses and two equal frames: nothing of it comes by chance
                prop_assert!(false, "{:?}", key);
            }
        }

        #[test]
        fn metakom_frames_are_what_their_bits_are(bytes: [u8; 4]) {
            let made = metakom_bits(bytes);
            let read = made.and_then(|bits| metakom_bytes(bits.get(..35)?));
            prop_assert!(read.is_none_or(|read| read == bytes));
        }
    }
}
