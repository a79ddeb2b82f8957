//! A contact whose wire a front end watches to the microsecond: edges in, keys out, and the rows of pulses that ask for them.
//!
//! Cyfral and Metakom keys send as long as they touch. A DS1990A is asked, about three times a second, by pulling the wire low;
//! while another key sends, nobody asks. What is no key makes no report, since every touch begins with noise; only the number
//! of a DS1990A has a sum that can be wrong.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_card::{cyfral_frame, metakom_frame};
use gateway_core::{CardFrame, Instant, Misread};

use crate::cell_reader::{CellReader, SentKey};
use crate::lying::Lying;
use crate::one_wire::{Found, OneWire};
use crate::rom::{DS1990A, Rom, RomError};

/// A wire that is low for so long is not at rest.
const STUCK: Duration = Duration::from_secs(2);

/// Kinds of keys that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyKinds {
    /// Cyfral DC-2000.
    pub cyfral: bool,
    /// DS1990A: there is an output that pulls the wire low.
    pub ds1990a: bool,
    /// Metakom K1233.
    pub metakom: bool,
}

/// What comes of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOutput {
    /// It cannot be used as it is; the text says what to do.
    Fault(String),
    /// A key touched it.
    Key {
        /// When it was read.
        at: Instant,
        /// Its bits as they are sent: 64 of a DS1990A; two frames of a Cyfral key; of a Metakom key a frame and the begin of the next.
        frame: CardFrame,
    },
    /// A number whose sum is wrong, or a short circuit.
    Misread {
        /// When.
        at: Instant,
        /// How many bits.
        bits: u16,
        /// Why.
        reason: Misread,
    },
    /// The fault is gone.
    Ready,
}

/// A contact.
#[derive(Clone, Debug)]
pub struct KeyLine {
    cells: CellReader,
    fault: Option<&'static str>,
    kinds: KeyKinds,
    /// Since when the wire is low.
    low: Option<Instant>,
    lying: Lying,
    out: VecDeque<KeyOutput>,
    /// The wire did not move when it was pulled last.
    unmoved: bool,
    wire: OneWire,
}

impl KeyLine {
    /// A contact of which nothing is known yet; a key counts once in `repeat`.
    #[must_use]
    pub fn new(now: Instant, kinds: KeyKinds, repeat: Duration) -> Self {
        Self {
            cells: CellReader::default(),
            fault: None,
            kinds,
            low: None,
            lying: Lying::new(now, repeat),
            out: VecDeque::new(),
            unmoved: false,
            wire: OneWire::new(now),
        }
    }

    /// The front end is there (again), and its wire has this level. A key that touches at this moment is nobody's touch.
    pub fn begin(&mut self, at: Instant, level: bool) {
        self.cells.clear();
        self.wire = OneWire::new(at);
        self.lying.forget(at);
        self.low = (!level).then_some(at);
        (self.fault, self.unmoved) = (None, false);
    }

    /// Takes an edge, with the level from there on.
    pub fn edge(&mut self, at: Instant, level: bool) {
        self.low = (!level).then_some(at);
        if self.wire.asks() {
            if let Some(found) = self.wire.edge(at, level) {
                self.found(at, found);
            }
            return;
        }
        match self.cells.edge(at, level) {
            Some(SentKey::Cyfral(number)) if self.kinds.cyfral => self.key(at, cyfral_frame(number)),
            Some(SentKey::Metakom(bytes)) if self.kinds.metakom => self.key(at, metakom_frame(bytes)),
            Some(SentKey::Cyfral(_) | SentKey::Metakom(_)) | None => {}
        }
    }

    /// Edges were lost: what is open is nothing.
    pub fn lost(&mut self, now: Instant) {
        self.cells.clear();
        self.wire.lost(now);
    }

    /// The row of pulses that goes out now: times in µs, in turns, the first of them pulls the wire low.
    pub fn row(&mut self, now: Instant) -> Option<Vec<u16>> {
        if !self.kinds.ds1990a {
            return None;
        }
        if self.cells.sends(now) {
            self.wire.put_off(now);
        }
        let row = self.wire.row(now)?;
        self.cells.clear();
        Some(row)
    }

    /// The row did not go out; `again`: since others were out, so that it is given again.
    pub fn refused(&mut self, now: Instant, again: bool) {
        self.wire.refused(now, again);
    }

    /// When [`row`](Self::row) is to be asked for.
    #[must_use]
    pub fn poll_row(&self) -> Option<Instant> {
        self.wire.poll_row().filter(|_| self.kinds.ds1990a)
    }

    /// When [`settled`](Self::settled) is to be told, with all edges up to then before.
    #[must_use]
    pub fn poll_end(&self) -> Option<Instant> {
        self.wire.poll_end().filter(|_| self.kinds.ds1990a)
    }

    /// All edges up to `at` were told, and the wire has this level.
    pub fn settled(&mut self, at: Instant, level: bool) {
        if let Some(found) = self.wire.settled(at).filter(|_| self.kinds.ds1990a) {
            self.found(at, found);
        }
        self.low = (!level).then(|| self.low.unwrap_or(at));
        self.judge(at);
    }

    /// What came of it.
    pub fn poll_output(&mut self) -> Option<KeyOutput> {
        self.out.pop_front()
    }

    fn found(&mut self, at: Instant, found: Found) {
        self.unmoved = found == Found::Unmoved;
        match found {
            Found::Device(rom) if rom.family() == DS1990A => self.key(at, Some(bits(rom))),
            // thermometers and the like
            Found::Device(_) | Found::Nobody | Found::Unmoved => {}
            Found::Damaged(error) => {
                let reason = match error {
                    RomError::AllZero => Misread::Noise,
                    RomError::Checksum { .. } => Misread::Parity,
                };
                self.out.push_back(KeyOutput::Misread { at, bits: 64, reason });
            }
        }
        self.judge(at);
    }

    fn key(&mut self, at: Instant, frame: Option<CardFrame>) {
        let counts = |frame: &CardFrame| self.lying.read(at, frame);
        if let Some(frame) = frame.filter(counts) {
            self.out.push_back(KeyOutput::Key { at, frame });
        }
    }

    /// Says what is wrong with the contact as a whole, once, and when it is over.
    fn judge(&mut self, now: Instant) {
        let low = self.low.is_some_and(|since| now.since(since) >= STUCK);
        let fault = if low {
            Some(
                "the wire of the contact is low: a short circuit at the contact, no pull-up, or an input that turns the level over",
            )
        } else if self.unmoved {
            Some(
                "the wire of the contact did not become low while pull-output pulled it: look at the output, at the wire from it to \
                 the contact, and at the input",
            )
        } else {
            None
        };
        if fault != self.fault {
            self.fault = fault;
            let text = |text: &str| KeyOutput::Fault(text.to_owned());
            self.out.push_back(fault.map_or(KeyOutput::Ready, text));
        }
    }
}

fn bits(rom: Rom) -> CardFrame {
    CardFrame {
        bits: 64,
        data: rom.bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::played::{Asked, Played, alone, played};

    const ALL: KeyKinds = KeyKinds {
        cyfral: true,
        ds1990a: true,
        metakom: true,
    };

    fn at(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
    }

    /// A contact, what touches it, and a front end that does as it is told, in virtual time.
    struct Rig {
        edges: Vec<(u64, bool)>,
        key: Option<Asked>,
        level: bool,
        line: KeyLine,
        said: Vec<KeyOutput>,
        us: u64,
    }

    impl Rig {
        fn new(kinds: KeyKinds) -> Self {
            let mut rig = Self {
                edges: Vec::new(),
                key: None,
                level: true,
                line: KeyLine::new(at(0), kinds, Duration::from_secs(2)),
                said: Vec::new(),
                us: 0,
            };
            rig.line.begin(at(0), true);
            rig.run(1500);
            rig
        }

        fn touch(&mut self, key: Played, ms: u64) {
            let from = self.us;
            let sent = played(&key, 110, ms * 1000);
            self.edges
                .extend(sent.into_iter().map(|(us, level)| (from + us, level)));
            if let Played::Dallas(rom) = key {
                self.key = Some(Asked::new(rom));
            }
            self.run(ms);
            self.key = None;
        }

        fn run(&mut self, ms: u64) {
            for _ in 0..ms {
                if let Some(row) = self.line.row(at(self.us)) {
                    let mut us = self.us;
                    for (n, time) in row.iter().chain([&0]).enumerate() {
                        let low = n % 2 == 0 && n < row.len();
                        self.edges.extend(match &mut self.key {
                            Some(key) => key.pulled(us, low),
                            None => alone(us, low),
                        });
                        us += u64::from(*time);
                    }
                }
                self.us += 1000;
                self.edges.sort_unstable();
                let later = self.edges.partition_point(|(us, _)| *us <= self.us);
                for (us, level) in self.edges.drain(..later) {
                    if level != self.level {
                        self.level = level;
                        self.line.edge(at(us), level);
                    }
                }
                self.line.settled(at(self.us), self.level);
                self.said.extend(std::iter::from_fn(|| self.line.poll_output()));
            }
        }

        fn keys(&mut self) -> Vec<(u16, Vec<u8>)> {
            let said = std::mem::take(&mut self.said);
            let key = |output| match output {
                KeyOutput::Key { frame, .. } => (frame.bits, frame.data),
                other @ (KeyOutput::Fault(_) | KeyOutput::Misread { .. } | KeyOutput::Ready) => {
                    panic!("{other:?}")
                }
            };
            said.into_iter().map(key).collect()
        }
    }

    fn dallas(serial: u64) -> Played {
        Played::Dallas(Rom::of(DS1990A, serial))
    }

    #[test]
    fn every_kind_counts_once_for_each_touch() {
        let mut rig = Rig::new(ALL);
        for (key, bits) in [
            (Played::Cyfral(0x1B07), 72),
            (Played::Metakom([3, 5, 0xFF, 0]), 38),
            (dallas(0x12F_4A3C), 64),
            (Played::Cyfral(0x1B08), 72),
        ] {
            rig.touch(key, 3000);
            let read = rig.keys();
            assert!(
                matches!(&read[..], [(found, _)] if *found == bits),
                "{key:?}: {read:?}"
            );
            rig.run(1500);
            assert_eq!(rig.keys(), []);
        }
    }

    #[test]
    fn kinds_that_are_not_wanted_are_nothing() {
        let mut rig = Rig::new(KeyKinds {
            metakom: true,
            ..KeyKinds::default()
        });
        rig.touch(Played::Cyfral(1), 500);
        rig.touch(dallas(5), 1000);
        assert_eq!(rig.keys(), []);
        assert_eq!(rig.line.poll_row(), None, "nobody pulls the wire");
        rig.touch(Played::Metakom([3, 5, 0xFF, 0]), 500);
        assert_eq!(rig.keys().len(), 1);
    }

    #[test]
    fn a_key_that_touches_as_the_front_end_comes_back_is_nobodys_touch() {
        let mut rig = Rig::new(ALL);
        rig.line.begin(at(rig.us), true);
        rig.touch(dallas(5), 4000);
        assert_eq!(rig.keys(), []);
        rig.run(1500);
        rig.touch(dallas(5), 1000);
        assert_eq!(rig.keys().len(), 1);
    }

    #[test]
    fn another_device_on_the_wire_is_no_key() {
        let mut rig = Rig::new(ALL);
        rig.touch(Played::Dallas(Rom::of(0x28, 77)), 1000);
        assert_eq!(rig.keys(), []);
    }

    #[test]
    fn a_short_circuit_is_a_fault_until_it_is_gone() {
        let mut rig = Rig::new(KeyKinds {
            cyfral: true,
            ..KeyKinds::default()
        });
        rig.edges.push((rig.us, false));
        rig.run(3000);
        assert!(
            matches!(&rig.said[..], [KeyOutput::Fault(text)] if text.contains("short circuit")),
            "{:?}",
            rig.said
        );
        rig.said.clear();
        rig.edges.push((rig.us, true));
        rig.run(100);
        assert_eq!(rig.said, [KeyOutput::Ready]);
    }

    proptest! {
        /// Whatever the wire does: only keys whose own check holds, of kinds that are wanted.
        #[test]
        fn any_edges_make_only_right_keys(steps in prop::collection::vec((1_u64..1200, 0_u8..10), 0..800)) {
            let mut line = KeyLine::new(at(0), ALL, Duration::ZERO);
            line.begin(at(0), true);
            let mut us = 2_000_000;
            let mut level = true;
            for (step, what) in steps {
                us += step;
                match what {
                    0 => drop(line.row(at(us))),
                    1 => line.settled(at(us), level),
                    2 => line.lost(at(us)),
                    3 => line.refused(at(us), step % 2 == 0),
                    _ => {
                        level = !level;
                        line.edge(at(us), level);
                    }
                }
                while let Some(output) = line.poll_output() {
                    if let KeyOutput::Key { frame, .. } = output {
                        let rom = <[u8; 8]>::try_from(frame.data.clone()).ok().and_then(|bytes| Rom::new(bytes).ok());
                        prop_assert!(rom.is_some() || gateway_card::cyfral_of(&frame).is_some() || gateway_card::metakom_of(&frame).is_some());
                    }
                }
            }
        }
    }
}
