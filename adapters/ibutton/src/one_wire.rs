//! The master of a contact with 1-Wire keys whose wire somebody else times: rows of pulses out, edges of the wire in.
//!
//! A front end pulls the wire low for times that are exact to the microsecond, and tells how long it really was low: a slot in
//! which the key sends a 0 is longer than it was made. First only a reset goes out; what else is asked depends on whether a key
//! says that it is there. Between two slots a master may rest as long as it likes, so that a number is read in two rows.
//!
//! Times are those of the data sheet of the DS1990A ("1-Wire signaling").

use std::time::Duration;

use gateway_core::Instant;

use crate::rom::{Rom, RomError};

/// How often it is asked whether a key is there.
const ASK: Duration = Duration::from_millis(300);
/// A row is over, and what came of it was told, by then.
const ROW: Duration = Duration::from_millis(250);
/// A row that found its place taken is given again.
const AGAIN: Duration = Duration::from_millis(20);
/// The master pulls so long for a reset; from 480 µs on it is one.
const RESET_US: u16 = 500;
/// It rests for so long after it, in which the key says that it is there: at least as long as a reset.
const AFTER_RESET_US: u16 = 500;
/// Low level of a 1, of a 0 and of a slot in which the key sends: 1 to 15 µs, 60 to 120 µs, 1 to 15 µs.
const ONE_US: u16 = 6;
const ZERO_US: u16 = 62;
const READ_US: u16 = 4;
/// A whole slot, with its recovery.
const SLOT_US: u16 = 72;
/// What is low for less is a 1: a key that sends a 0 holds the wire for 15 µs at least.
const THRESHOLD: Duration = Duration::from_micros(14);
/// A reset, as it is seen.
const SEEN_RESET: Duration = Duration::from_micros(400);
/// Longest presence of a key, as it is seen: 240 µs.
const LONGEST_PRESENCE: Duration = Duration::from_micros(300);
/// `read ROM`.
const READ_ROM: u8 = 0x33;
/// Bits of a number that are read with the command, and after it: a row has at most 100 times.
const FIRST: usize = 40;
const REST: usize = 24;
/// More low levels than a row has are noise.
const MOST: usize = 100;

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The number of a device.
    Device(Rom),
    /// Bits that are no number.
    Damaged(RomError),
    /// Nobody is there.
    Nobody,
    /// The wire was not low while it was pulled.
    Unmoved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing was asked.
    Rests,
    /// A reset is out.
    Reset,
    /// Reset, command and the first bits are out, or are to go out.
    First,
    /// The other bits are.
    Rest,
}

/// The master.
#[derive(Clone, Debug)]
pub(crate) struct OneWire {
    bits: Vec<bool>,
    /// When the wire became low.
    fell: Option<Instant>,
    /// How long it was low, each time since the row went out.
    lows: Vec<Duration>,
    /// When the next row goes out; `None` while one is.
    next: Option<Instant>,
    step: Step,
    /// When the row that is out has failed.
    until: Instant,
}

impl OneWire {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            bits: Vec::new(),
            fell: None,
            lows: Vec::new(),
            next: Some(now),
            step: Step::Rests,
            until: now,
        }
    }

    /// The row that goes out now, in µs, low first, in turns; low is what the output makes of it.
    pub(crate) fn row(&mut self, now: Instant) -> Option<Vec<u16>> {
        self.next.filter(|next| *next <= now)?;
        let slot = |low: u16| [low, SLOT_US - low];
        let row = match self.step {
            Step::Rests | Step::Reset => {
                self.step = Step::Reset;
                vec![RESET_US]
            }
            Step::First => {
                let command = (0..8).map(|n| if READ_ROM >> n & 1 == 1 { ONE_US } else { ZERO_US });
                let slots = command.chain(std::iter::repeat_n(READ_US, FIRST)).flat_map(slot);
                [RESET_US, AFTER_RESET_US].into_iter().chain(slots).collect()
            }
            Step::Rest => std::iter::repeat_n(READ_US, REST).flat_map(slot).collect(),
        };
        self.next = None;
        self.lows.clear();
        self.fell = None;
        self.until = now + ROW;
        Some(row)
    }

    /// The row did not go out; `again`: since others were out.
    pub(crate) fn refused(&mut self, now: Instant, again: bool) {
        if again {
            self.next = Some(now + AGAIN);
        } else {
            self.rest(now);
        }
    }

    /// Puts asking off: somebody else uses the wire.
    pub(crate) fn put_off(&mut self, now: Instant) {
        if self.step == Step::Rests {
            self.next = Some(now + ASK);
        }
    }

    /// Is something asked? Then edges are its own.
    pub(crate) fn asks(&self) -> bool {
        self.step != Step::Rests
    }

    pub(crate) const fn poll_row(&self) -> Option<Instant> {
        self.next
    }

    /// When the row that is out has failed; what happened up to then has to be told before.
    pub(crate) fn poll_end(&self) -> Option<Instant> {
        (self.next.is_none()).then_some(self.until)
    }

    pub(crate) fn edge(&mut self, at: Instant, level: bool) -> Option<Found> {
        if !level {
            self.fell = Some(at);
            return None;
        }
        let low = at.since(self.fell.take()?);
        if self.lows.len() < MOST {
            self.lows.push(low);
        }
        match self.step {
            Step::Rests => None,
            Step::Reset => self.after_reset(at),
            Step::First if self.lows.len() == 2 + 8 + FIRST => self.first(at),
            Step::Rest if self.lows.len() == REST => Some(self.whole(at)),
            Step::First | Step::Rest => None,
        }
    }

    /// Everything up to `at` was told.
    pub(crate) fn settled(&mut self, at: Instant) -> Option<Found> {
        if self.next.is_some() || at < self.until {
            return None;
        }
        let reset = self.lows.first().is_some_and(|low| *low >= SEEN_RESET);
        let found = match self.step {
            Step::Reset if !reset => Some(Found::Unmoved),
            Step::Reset => Some(Found::Nobody),
            // a key that was taken away meanwhile
            Step::First | Step::Rest | Step::Rests => None,
        };
        self.rest(at);
        found
    }

    /// Edges were lost: what is asked is asked anew.
    pub(crate) fn lost(&mut self, now: Instant) {
        if self.step != Step::Rests {
            self.rest(now);
        }
    }

    fn rest(&mut self, now: Instant) {
        self.step = Step::Rests;
        self.next = Some(now + ASK);
        self.bits.clear();
        self.lows.clear();
    }

    fn after_reset(&mut self, at: Instant) -> Option<Found> {
        let [reset, presence] = self.lows[..] else {
            return None;
        };
        if reset >= SEEN_RESET && (THRESHOLD..=LONGEST_PRESENCE).contains(&presence) {
            (self.step, self.next) = (Step::First, Some(at));
        }
        None
    }

    fn first(&mut self, at: Instant) -> Option<Found> {
        let mut lows = self.lows.iter();
        let reset = lows.next().is_some_and(|low| *low >= SEEN_RESET);
        let presence = lows
            .next()
            .is_some_and(|low| (THRESHOLD..=LONGEST_PRESENCE).contains(low));
        let command = lows.by_ref().take(8).map(|low| *low < THRESHOLD);
        let same = command.eq((0..8).map(|n| READ_ROM >> n & 1 == 1));
        if !(reset && presence && same) {
            self.rest(at);
            return None;
        }
        self.bits = lows.map(|low| *low < THRESHOLD).collect();
        (self.step, self.next) = (Step::Rest, Some(at));
        None
    }

    fn whole(&mut self, at: Instant) -> Found {
        self.bits.extend(self.lows.iter().map(|low| *low < THRESHOLD));
        let mut bytes = [0_u8; 8];
        for (byte, bits) in bytes.iter_mut().zip(self.bits.chunks(8)) {
            *byte = (0..)
                .zip(bits)
                .fold(0, |byte, (n, one)| byte | u8::from(*one) << n);
        }
        self.rest(at);
        match Rom::new(bytes) {
            Ok(rom) => Found::Device(rom),
            Err(error) => Found::Damaged(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::played::{Asked, alone};

    fn at(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
    }

    /// What the wire does while a row goes out at a time; the master's output is active in turns.
    fn driven(from_us: u64, row: &[u16], key: &mut Option<Asked>) -> Vec<(u64, bool)> {
        let (mut us, mut edges) = (from_us, Vec::new());
        for (n, time) in row.iter().chain([&0]).enumerate() {
            let low = n % 2 == 0 && n < row.len();
            edges.extend(match key {
                Some(key) => key.pulled(us, low),
                None => alone(us, low),
            });
            us += u64::from(*time);
        }
        edges.sort_unstable();
        // a wire that is pulled by both changes once
        edges.dedup_by_key(|(_, level)| *level);
        edges
    }

    /// Asks until something is found, for at most a second; the edges of each row are spoilt.
    fn ask(key: &mut Option<Asked>, spoil: impl Fn(usize, &mut Vec<(u64, bool)>)) -> Option<Found> {
        let mut wire = OneWire::new(at(0));
        let (mut us, mut rows) = (0, 0);
        while us < 1_000_000 {
            if let Some(row) = wire.row(at(us)) {
                assert!(row.len() <= 100 && row.iter().all(|time| (2..=15_000).contains(time)));
                let mut edges = driven(us + 700, &row, key);
                spoil(rows, &mut edges);
                rows += 1;
                for (us, level) in edges {
                    if let Some(found) = wire.edge(at(us), level) {
                        return Some(found);
                    }
                }
            }
            us += 1000;
            if let Some(found) = wire.settled(at(us)) {
                return Some(found);
            }
        }
        None
    }

    #[test]
    fn a_key_says_its_number() {
        let rom = Rom::of(0x01, 0x0000_012F_4A3C);
        assert_eq!(
            ask(&mut Some(Asked::new(rom)), |_, _| {}),
            Some(Found::Device(rom))
        );
    }

    #[test]
    fn nobody_is_nobody_and_a_wire_that_stays_is_told() {
        assert_eq!(ask(&mut None, |_, _| {}), Some(Found::Nobody));
        assert_eq!(ask(&mut None, |_, edges| edges.clear()), Some(Found::Unmoved));
    }

    #[test]
    fn a_wrong_bit_is_noticed() {
        let rom = Rom::of(0x01, 0x0000_012F_4A3C);
        // in the third row a 1 is held as long as a 0
        let spoil = |row: usize, edges: &mut Vec<(u64, bool)>| {
            if row == 2 {
                let short = edges.chunks(2).position(|pair| pair[1].0 - pair[0].0 < 10);
                edges[short.expect("a 1") * 2 + 1].0 += 30;
            }
        };
        let found = ask(&mut Some(Asked::new(rom)), spoil);
        assert!(
            matches!(found, Some(Found::Damaged(RomError::Checksum { .. }))),
            "{found:?}"
        );
    }

    #[test]
    fn a_key_that_is_taken_away_in_the_middle_is_none() {
        let rom = Rom::of(0x01, 5);
        let mut wire = OneWire::new(at(0));
        let mut key = Some(Asked::new(rom));
        let row = wire.row(at(0)).expect("a reset");
        for (us, level) in driven(0, &row, &mut key) {
            assert_eq!(wire.edge(at(us), level), None);
        }
        let row = wire.row(at(1000)).expect("the command");
        for (us, level) in driven(1000, &row, &mut None) {
            assert_eq!(wire.edge(at(us), level), None);
        }
        assert_eq!(wire.settled(at(400_000)), None);
        assert!(!wire.asks(), "it rests and asks anew");
    }

    proptest! {
        #[test]
        fn every_number_is_read(serial in 0_u64..1 << 48, family: u8) {
            let rom = Rom::of(family, serial);
            prop_assume!(Rom::new(rom.bytes()).is_ok());
            prop_assert_eq!(ask(&mut Some(Asked::new(rom)), |_, _| {}), Some(Found::Device(rom)));
        }

        /// Whatever the wire does: no panic, nothing but right numbers, and little is kept.
        #[test]
        fn any_edges_make_no_wrong_number(steps in prop::collection::vec((0_u64..700, 0_u8..8), 0..600)) {
            let mut wire = OneWire::new(at(0));
            let mut us = 0;
            for (step, what) in steps {
                us += step;
                let found = match what {
                    0 => { wire.row(at(us)); None }
                    1 => wire.settled(at(us)),
                    2 => { wire.lost(at(us)); None }
                    3 => { wire.refused(at(us), step % 2 == 0); None }
                    n => wire.edge(at(us), n % 2 == 0),
                };
                if let Some(Found::Device(rom)) = found {
                    prop_assert!(Rom::new(rom.bytes()).is_ok());
                }
                prop_assert!(wire.lows.len() <= MOST && wire.bits.len() <= FIRST + REST);
            }
        }
    }
}
