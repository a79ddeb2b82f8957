//! A reader: frames in, cards, keys and reports out.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_card::{Format, MAX_BITS, formats, frame_of};
use gateway_core::{CardFrame, Instant, Misread, ReaderId, SignalKind};

use crate::frame::{Assembler, Damage, Frame, Wire};
use crate::keypad::{Keypad, key};
use crate::told::{Held, Misreads};

/// So many frames in a row that fit only if the wires are exchanged make a fault.
const REVERSED: u32 = 3;
/// No frame lasts so long: a pause is missing, whatever the pulses are. The longest has [`MAX_BITS`], the slowest one
/// bit in 20 ms.
const ENDLESS: Duration = Duration::from_secs(6);
/// A wire that is low for so long without a pulse is not at rest.
const STUCK: Duration = Duration::from_millis(200);

/// What a reader sends by itself to show that it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The frame, which is then no card.
    pub frame: CardFrame,
    /// Longest time between two, or anything else from the reader, before it counts as silent.
    pub limit: Duration,
}

/// What a reader is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiegandParams {
    /// Formats that are cards.
    pub formats: Vec<Format>,
    /// Silence that ends a frame.
    pub frame_gap: Duration,
    /// What it sends by itself; without it a cut cable cannot be noticed.
    pub heartbeat: Option<Heartbeat>,
    /// Its keypad.
    pub keypad: Keypad,
    /// The same card counts once in this time.
    pub repeat: Duration,
}

impl Default for WiegandParams {
    /// All published formats, frames end after 25 ms, no keypad, a card counts once in 2 s.
    fn default() -> Self {
        Self {
            formats: formats().to_vec(),
            frame_gap: Duration::from_millis(25),
            heartbeat: None,
            keypad: Keypad::None,
            repeat: Duration::from_secs(2),
        }
    }
}

/// What one frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Bits that some format accepts. The raw bits are the card.
    Card(CardFrame),
    /// A key: `0-9 * #`.
    Key(char),
    /// Neither.
    Misread(Misread),
}

/// Reads one frame, by itself.
#[must_use]
pub fn read(params: &WiegandParams, bits: &[bool], damage: Option<Damage>) -> Reading {
    if let Some(damage) = damage {
        return Reading::Misread(match damage {
            Damage::LostEdges => Misread::LostEdges,
            Damage::Noise => Misread::Noise,
            Damage::Simultaneous => Misread::Simultaneous,
        });
    }
    let of_length = |format: &&Format| format.bits() == bits.len();
    let mut known = params.formats.iter().filter(of_length).peekable();
    if known.peek().is_none() {
        if params.keypad.takes(bits.len()) {
            return key(bits).map_or(Reading::Misread(Misread::Key), Reading::Key);
        }
        let shortest = params.formats.iter().map(Format::bits).min().unwrap_or(MAX_BITS);
        let short = bits.len() < shortest;
        return Reading::Misread(if short { Misread::Short } else { Misread::Length });
    }
    let Some(frame) = frame_of(bits) else {
        return Reading::Misread(Misread::Length);
    };
    let inverted: Vec<bool> = bits.iter().map(|one| !one).collect();
    let mut reversed = false;
    for format in known {
        if format.fits(&frame) {
            return Reading::Card(frame);
        }
        reversed |= frame_of(&inverted).is_some_and(|other| format.fits(&other));
    }
    Reading::Misread(if reversed {
        Misread::Reversed
    } else {
        Misread::Parity
    })
}

/// What comes of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A card.
    Card {
        /// Time of its last edge.
        at: Instant,
        /// Its bits.
        frame: CardFrame,
    },
    /// The reader cannot be used as it is; the text says what to do.
    Fault(String),
    /// A key.
    Key {
        /// Time of its last edge.
        at: Instant,
        /// `0-9 * #`.
        key: char,
    },
    /// Something that is neither.
    Misread {
        /// Time of the last edge.
        at: Instant,
        /// How many bits came last.
        bits: u16,
        /// Why.
        reason: Misread,
        /// How often since it was last told.
        times: u64,
    },
    /// The fault is gone.
    Ready,
}

impl Output {
    /// The same as a signal of this reader, and its time; what has none is of `now`.
    #[must_use]
    pub fn signal(self, now: Instant, reader: ReaderId) -> (Instant, SignalKind) {
        match self {
            Self::Card { at, frame } => (at, SignalKind::Card { frame, reader }),
            Self::Fault(text) => (now, SignalKind::Fault(text)),
            Self::Key { at, key } => (at, SignalKind::Key { key, reader }),
            Self::Misread {
                at,
                bits,
                reason,
                times,
            } => {
                let kind = SignalKind::Misread {
                    bits,
                    reader,
                    reason,
                    times,
                };
                (at, kind)
            }
            Self::Ready => (now, SignalKind::Ready),
        }
    }
}

/// A reader on two wires.
pub struct WiegandReader {
    assembler: Assembler,
    fault: Option<String>,
    held: Held,
    misreads: Misreads,
    /// When the reader counts as silent.
    silent: Option<Instant>,
    out: VecDeque<Output>,
    params: WiegandParams,
    /// The last frame as it came, until somebody takes it.
    raw: Option<(Instant, CardFrame)>,
    /// Since when each wire is low without a pulse.
    low: [Option<Instant>; 2],
    reversed: u32,
}

impl WiegandReader {
    /// A reader that is heard from `now` on.
    #[must_use]
    pub fn new(params: WiegandParams, now: Instant) -> Self {
        Self {
            assembler: Assembler::new(params.frame_gap),
            fault: None,
            held: Held::default(),
            misreads: Misreads::default(),
            silent: params.heartbeat.as_ref().map(|h| now + h.limit),
            out: VecDeque::new(),
            params,
            raw: None,
            low: [None, None],
            reversed: 0,
        }
    }

    /// Takes the falling edge of a pulse.
    pub fn edge(&mut self, at: Instant, wire: Wire) {
        // a wire that was seen low was in a pulse
        self.low = [None, None];
        if let Some(frame) = self.assembler.edge(at, wire) {
            self.frame(frame);
        }
    }

    /// Edges were lost just before the next one.
    pub fn lost(&mut self) {
        self.assembler.lost();
    }

    /// The wires were read: true where one is low. To be told now and then. Between the edges of a frame it says
    /// nothing.
    pub fn levels(&mut self, now: Instant, low: [bool; 2]) {
        let rest = self.assembler.poll_timeout().is_none();
        let low = low.map(|low| low && rest);
        for (since, low) in self.low.iter_mut().zip(low) {
            *since = low.then(|| since.unwrap_or(now));
        }
        self.judge(now);
    }

    /// Ends frames and what else is due. All edges up to `now` must have been given before.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(frame) = self.assembler.handle_timeout(now) {
            self.frame(frame);
        }
        self.out.extend(self.misreads.due(now));
        self.judge(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let counts = self.misreads.poll_timeout();
        let silent = self.silent.filter(|_| self.fault.is_none());
        self.assembler
            .poll_timeout()
            .into_iter()
            .chain(counts)
            .chain(silent)
            .min()
    }

    /// What came of it.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The last whole frame that is no key and no sign of life, each once: its bits as they came, whether a format has them or
    /// not.
    pub fn poll_raw(&mut self) -> Option<(Instant, CardFrame)> {
        self.raw.take()
    }

    /// Takes a whole frame of a reader that sends its bits by other ways than two wires.
    pub fn frame(&mut self, frame: Frame) {
        let Frame { at, bits, damage } = frame;
        if let Some(heartbeat) = &self.params.heartbeat {
            self.silent = Some(at + heartbeat.limit);
            if damage.is_none() && frame_of(&bits).as_ref() == Some(&heartbeat.frame) {
                self.reversed = 0;
                return;
            }
        }
        let reading = read(&self.params, &bits, damage);
        self.raw = match reading {
            Reading::Card(_) | Reading::Misread(_) if damage.is_none() => {
                frame_of(&bits).map(|frame| (at, frame))
            }
            Reading::Card(_) | Reading::Key(_) | Reading::Misread(_) => None,
        };
        match reading {
            Reading::Card(frame) => {
                self.reversed = 0;
                self.seen(at, frame);
            }
            Reading::Key(key) => self.out.push_back(Output::Key { at, key }),
            Reading::Misread(reason) => {
                self.reversed = if reason == Misread::Reversed {
                    self.reversed.saturating_add(1)
                } else {
                    self.reversed
                };
                self.misread(at, u16::try_from(bits.len()).unwrap_or(u16::MAX), reason);
            }
        }
    }

    /// A card that is held on the reader counts once in a while.
    fn seen(&mut self, at: Instant, frame: CardFrame) {
        if self.held.counts(at, &frame, self.params.repeat) {
            self.out.push_back(Output::Card { at, frame });
        }
    }

    /// Counts something that is no card, and tells it as often as is good for the journal.
    pub fn misread(&mut self, at: Instant, bits: u16, reason: Misread) {
        self.out.extend(self.misreads.count(at, bits, reason));
    }

    /// Says what is wrong with the reader as a whole, once, and when it is over.
    fn judge(&mut self, now: Instant) {
        let stuck = |since: &Option<Instant>| since.is_some_and(|since| now.since(since) >= STUCK);
        let fault = match (stuck(&self.low[0]), stuck(&self.low[1])) {
            (true, true) => Some(
                "D0 and D1 are low at rest: no supply at the reader, no pull-up, or the wrong level in active-low".to_owned(),
            ),
            (true, false) => Some("D0 is low at rest: a short circuit, a broken wire without pull-up, or a dead reader".to_owned()),
            (false, true) => Some("D1 is low at rest: a short circuit, a broken wire without pull-up, or a dead reader".to_owned()),
            (false, false) if self.assembler.lasted().is_some_and(|lasted| lasted >= ENDLESS) => Some(
                "pulses come without a pause: noise on D0 or D1, a broken shield or ground wire, or somebody at the cable"
                    .to_owned(),
            ),
            (false, false) if self.silent.is_some_and(|due| now >= due) => Some(
                "the reader has sent no sign of life: its supply, or its cable, may be cut".to_owned(),
            ),
            (false, false) if self.reversed >= REVERSED => {
                Some("the bits fit only with D0 and D1 exchanged: exchange the two wires, or d0 and d1 in the site file".to_owned())
            }
            (false, false) => None,
        };
        if fault != self.fault {
            self.fault.clone_from(&fault);
            self.out.push_back(fault.map_or(Output::Ready, Output::Fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_card::{Fields, bits_of, format_named};
    use proptest::prelude::*;

    fn t(ms: u64) -> Instant {
        Instant::from_nanos(7_000_000_000) + Duration::from_millis(ms)
    }

    fn card(facility: u64, number: u64) -> CardFrame {
        let fields = Fields {
            facility: Some(facility),
            number: Some(number),
            ..Fields::default()
        };
        format_named("h10301")
            .expect("there")
            .write(&fields)
            .expect("fits")
    }

    fn only_26() -> WiegandParams {
        WiegandParams {
            formats: vec![format_named("h10301").expect("there").clone()],
            ..WiegandParams::default()
        }
    }

    struct Rig(WiegandReader);

    impl Rig {
        fn new(params: WiegandParams) -> Self {
            Self(WiegandReader::new(params, t(0)))
        }

        /// Sends bits, the first at `ms`, one each ms, and waits for the end of the frame.
        fn send(&mut self, ms: u64, bits: &[bool]) -> Vec<Output> {
            for (n, one) in (ms..).zip(bits) {
                self.0.edge(t(n), if *one { Wire::D1 } else { Wire::D0 });
            }
            let end = t(ms + bits.len() as u64 - 1 + 25);
            self.0.handle_timeout(end);
            self.out()
        }

        fn out(&mut self) -> Vec<Output> {
            std::iter::from_fn(|| self.0.poll_output()).collect()
        }

        fn told(&mut self, ms: u64, bits: &[bool]) -> Vec<(Misread, u64)> {
            let misread = |output| match output {
                Output::Misread { reason, times, .. } => Some((reason, times)),
                Output::Card { .. } | Output::Fault(_) | Output::Key { .. } | Output::Ready => None,
            };
            self.send(ms, bits).into_iter().filter_map(misread).collect()
        }
    }

    #[test]
    fn a_card_carries_the_time_of_its_last_edge_and_all_of_its_bits() {
        let mut rig = Rig::new(only_26());
        let frame = card(123, 4567);
        let at = t(10 + 25);
        assert_eq!(rig.send(10, &bits_of(&frame)), [Output::Card { at, frame }]);
    }

    #[test]
    fn bits_of_any_format_are_told_as_they_came_and_those_of_keys_are_not() {
        let mut rig = Rig::new(WiegandParams {
            keypad: Keypad::Four,
            ..only_26()
        });
        let odd = [true, false, true, true, false, false, true, false, true];
        for ms in [10, 5000] {
            rig.send(ms, &odd);
            let raw = rig.0.poll_raw();
            assert_eq!(
                raw.map(|(_, frame)| bits_of(&frame)),
                Some(odd.to_vec()),
                "each time"
            );
        }
        rig.send(8000, &[false, true, false, true]);
        assert_eq!(rig.0.poll_raw(), None);
        rig.send(9000, &bits_of(&card(1, 2)));
        assert_eq!(rig.0.poll_raw().map(|(_, frame)| frame), Some(card(1, 2)));
        assert_eq!(rig.0.poll_raw(), None, "once");
    }

    #[test]
    fn a_card_held_on_the_reader_counts_once_in_two_seconds() {
        let mut rig = Rig::new(only_26());
        let bits = bits_of(&card(1, 2));
        let counted = (0..50).filter(|n| !rig.send(n * 100, &bits).is_empty()).count();
        // read every 100 ms for 5 s: at 0, 2 and 4 s
        assert_eq!(counted, 3);
        // another card counts at once, and so does the first after it
        assert_eq!(rig.send(5000, &bits_of(&card(1, 3))).len(), 1);
        assert_eq!(rig.send(5100, &bits).len(), 1);
    }

    #[test]
    fn noise_that_never_pauses_is_a_fault_until_it_does() {
        let mut rig = Rig::new(only_26());
        let mut told = Vec::new();
        for ms in 0..20_000 {
            rig.0.edge(t(ms), if ms % 3 == 0 { Wire::D1 } else { Wire::D0 });
            rig.0.handle_timeout(t(ms));
            let out = rig.out();
            told.extend(out.into_iter().map(|output| (ms, output)));
        }
        assert!(
            matches!(&told[..], [(6000, Output::Fault(text))] if text.contains("without a pause")),
            "{told:?}"
        );
        rig.0.handle_timeout(t(20_100));
        let out = rig.out();
        assert!(
            matches!(
                out[..],
                [
                    Output::Misread {
                        reason: Misread::Noise,
                        ..
                    },
                    Output::Ready
                ]
            ),
            "{out:?}"
        );
        assert_eq!(
            rig.send(30_000, &bits_of(&card(1, 2))).len(),
            1,
            "cards are read again"
        );
    }

    #[test]
    fn what_is_no_card_is_told_by_its_kind() {
        let good = bits_of(&card(123, 4567));
        let mut parity = good.clone();
        parity[3] = !parity[3];
        let reversed: Vec<bool> = good.iter().map(|one| !one).collect();
        for (bits, expected) in [
            (&good[..25], Misread::Short),
            (&[good.clone(), good.clone()].concat()[..], Misread::Length),
            (&parity[..], Misread::Parity),
            (&reversed[..], Misread::Reversed),
            (&[true; 4][..], Misread::Short),
        ] {
            assert_eq!(Rig::new(only_26()).told(0, bits), [(expected, 1)]);
        }
        let mut rig = Rig::new(only_26());
        for (ms, one) in (0..).zip(&good) {
            rig.0.edge(t(ms), if *one { Wire::D1 } else { Wire::D0 });
            if ms == 7 {
                rig.0.edge(
                    t(ms) + Duration::from_micros(5),
                    if *one { Wire::D0 } else { Wire::D1 },
                );
            }
        }
        rig.0.handle_timeout(t(100));
        assert!(matches!(
            rig.out()[..],
            [Output::Misread {
                reason: Misread::Simultaneous,
                bits: 27,
                ..
            }]
        ));
    }

    #[test]
    fn a_frame_with_lost_edges_is_no_card_though_its_parity_fits() {
        let mut rig = Rig::new(only_26());
        rig.0.lost();
        assert_eq!(rig.told(0, &bits_of(&card(1, 2))), [(Misread::LostEdges, 1)]);
        assert_eq!(rig.send(100, &bits_of(&card(1, 2))).len(), 1);
    }

    #[test]
    fn keys_are_taken_only_where_there_is_a_keypad() {
        let five = [false, true, false, true];
        let mut rig = Rig::new(WiegandParams {
            keypad: Keypad::Four,
            ..only_26()
        });
        assert_eq!(rig.send(0, &five), [Output::Key { at: t(3), key: '5' }]);
        assert_eq!(rig.told(100, &[true; 4]), [(Misread::Key, 1)]);
        assert_eq!(rig.told(200, &[true; 8]), [(Misread::Short, 1)]);
        assert_eq!(Rig::new(only_26()).told(0, &five), [(Misread::Short, 1)]);
    }

    #[test]
    fn exchanged_wires_are_a_fault_that_ends_with_the_first_card() {
        let mut rig = Rig::new(only_26());
        let good = bits_of(&card(5, 6));
        let reversed: Vec<bool> = good.iter().map(|one| !one).collect();
        assert_eq!(rig.send(0, &reversed).len(), 1);
        assert_eq!(rig.send(1000, &reversed), []);
        assert!(matches!(&rig.send(2000, &reversed)[..], [Output::Fault(text)] if text.contains("exchange")));
        let after = rig.send(3000, &good);
        assert!(
            matches!(after[..], [Output::Card { .. }, Output::Ready]),
            "{after:?}"
        );
    }

    #[test]
    fn noise_is_told_at_once_and_then_counted() {
        let mut rig = Rig::new(only_26());
        let told: Vec<(Misread, u64)> = (0..400).flat_map(|n| rig.told(n * 100, &[true; 3])).collect();
        // 40 s: at once, and the rest in three sums
        assert_eq!(told.len(), 4);
        assert!(told.iter().map(|(_, times)| times).sum::<u64>() > 300);
        rig.0.handle_timeout(t(60_000));
        rig.out();
        rig.0.handle_timeout(t(80_000));
        assert_eq!((rig.out(), rig.0.poll_timeout()), (vec![], None));
    }

    #[test]
    fn a_wire_that_is_low_at_rest_is_a_fault_until_it_rises() {
        let mut rig = Rig::new(only_26());
        rig.0.levels(t(0), [true, false]);
        assert_eq!(rig.out(), []);
        rig.0.levels(t(1000), [true, false]);
        assert!(matches!(&rig.out()[..], [Output::Fault(text)] if text.starts_with("D0 ")));
        rig.0.levels(t(2000), [true, true]);
        rig.0.levels(t(3000), [true, true]);
        assert!(matches!(&rig.out()[..], [Output::Fault(text)] if text.starts_with("D0 and D1 ")));
        rig.0.levels(t(4000), [false, false]);
        assert_eq!(rig.out(), [Output::Ready]);
    }

    #[test]
    fn a_wire_that_is_seen_low_in_its_pulses_is_well() {
        let mut rig = Rig::new(only_26());
        let bits = bits_of(&card(1, 2));
        rig.0.levels(t(0), [true, false]);
        for n in 0..20 {
            rig.send(100 + n * 1000, &bits);
            rig.0.levels(t(190 + n * 1000), [true, false]);
            rig.0.edge(t(200 + n * 1000), Wire::D0);
            rig.0.levels(t(201 + n * 1000), [true, true]);
            rig.0.handle_timeout(t(400 + n * 1000));
            let said = rig.out();
            assert!(
                !said.iter().any(|output| matches!(output, Output::Fault(_))),
                "{said:?}"
            );
        }
    }

    #[test]
    fn a_reader_with_a_heartbeat_that_falls_silent_is_a_fault() {
        let frame = card(255, 65_535);
        let mut rig = Rig::new(WiegandParams {
            heartbeat: Some(Heartbeat {
                frame: frame.clone(),
                limit: Duration::from_secs(60),
            }),
            ..only_26()
        });
        assert_eq!(rig.send(30_000, &bits_of(&frame)), []);
        assert_eq!(rig.0.poll_timeout(), Some(t(30_025 + 60_000)));
        rig.0.handle_timeout(t(90_024));
        assert_eq!(rig.out(), []);
        rig.0.handle_timeout(t(90_025));
        assert!(matches!(&rig.out()[..], [Output::Fault(text)] if text.contains("sign of life")));
        assert_eq!(rig.0.poll_timeout(), None);
        assert_eq!(rig.send(100_000, &bits_of(&frame)), [Output::Ready]);
    }

    proptest! {
        /// Whatever the wires do: no panic, no card that its format does not accept, little memory, few reports.
        #[test]
        fn any_edges_make_only_cards_that_fit(
            edges in prop::collection::vec((0_u32..40_000, 0_u8..16), 0..800),
        ) {
            let params = WiegandParams { keypad: Keypad::Either, ..only_26() };
            let format = params.formats[0].clone();
            let mut reader = WiegandReader::new(params, t(0));
            let (mut now, mut told) = (t(0), 0);
            for (us, kind) in edges {
                now = now + Duration::from_micros(u64::from(us));
                match kind {
                    0 => reader.lost(),
                    1 => reader.levels(now, [us % 2 == 0, us % 3 == 0]),
                    2 => reader.handle_timeout(now),
                    3..=9 => reader.edge(now, Wire::D0),
                    _ => reader.edge(now, Wire::D1),
                }
                while let Some(output) = reader.poll_output() {
                    match output {
                        Output::Card { frame, at } => prop_assert!(format.fits(&frame) && at <= now),
                        Output::Key { key, .. } => prop_assert!("0123456789*#".contains(key)),
                        Output::Misread { times, bits, .. } => {
                            told += 1;
                            prop_assert!(times > 0 && bits > 0 && bits <= 256);
                        }
                        Output::Fault(_) | Output::Ready => {}
                    }
                }
            }
            // 8 kinds, each at once and then once in 10 s of at most 32 s
            prop_assert!(told <= 8 * 5);
        }
    }

    /// Bits at random, in the lengths that readers send: how many become cards, against what chance gives.
    #[test]
    fn noise_becomes_a_card_no_more_often_than_parity_lets_it() {
        let params = only_26();
        let mut state = 88_172_645_463_325_252_u64;
        let mut cards = 0_u32;
        const TRIES: u32 = 40_000;
        for _ in 0..TRIES {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 20;
            let bits: Vec<bool> = (0..26).map(|at| noise >> at & 1 == 1).collect();
            cards += u32::from(matches!(read(&params, &bits, None), Reading::Card(_)));
        }
        // two parity bits: one in four; six standard deviations of it
        let slack = 6.0 * (f64::from(TRIES) * 0.25 * 0.75).sqrt();
        assert!(
            (f64::from(cards) - f64::from(TRIES) / 4.0).abs() < slack,
            "{cards}"
        );
    }
}
