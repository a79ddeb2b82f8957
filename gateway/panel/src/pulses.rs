//! Lines that say by a count of pulses whom they ring: "digital" two-wire risers.
//!
//! The line is low at rest. It rises, then comes a row of short low pulses whose number is the apartment, then a tone
//! whose frequency says what happens: a ring, an opening, a wrong code. All of it is read here in the times of a
//! [`PulseInput`], edge by edge. What does not fit in any step is noise until the line has been at rest again.

use std::time::Duration;

use gateway_core::Instant;

use crate::profile::PulseInput;

/// Highest number that jumpers of a handset can be set to.
const MOST: u16 = 255;

/// What follows a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// The panel opens its door: the right code was typed.
    Opened,
    /// The panel rings.
    Ring,
    /// A wrong code was typed at the panel.
    WrongCode,
}

/// One whole command of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Pulses: the number that the jumpers of the handset are set to, 1 to 255.
    pub address: u16,
    /// Periods of the tone that were counted.
    pub periods: u32,
    /// What it means.
    pub tone: Tone,
}

/// What is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Noise {
    /// Low for longer than a pulse and shorter than rest, so long in µs.
    Long(u64),
    /// More pulses than handsets can be set to.
    Many,
    /// No pulse followed the rise.
    NoPulse,
    /// A tone that has none of the known meanings, with its periods.
    Periods(u32),
    /// Low for shorter than a pulse, so long in µs.
    Short(u64),
    /// A count without a tone.
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// High after rest, counting low pulses.
    Counting {
        rise: Instant,
        last: Option<Instant>,
        count: u16,
    },
    /// Low within a count.
    Pulse {
        rise: Instant,
        fall: Instant,
        count: u16,
    },
    /// At rest, or not at rest for long enough so far.
    Rest,
    /// After the count: periods of the tone, and when the first one began.
    Tone {
        count: u16,
        closed: Instant,
        first: Option<Instant>,
        periods: u32,
    },
    /// A command was read, or noise: nothing counts until the line was at rest.
    Spent,
}

/// Reads the edges of one line.
#[derive(Clone, Debug)]
pub struct PulseCounter {
    input: PulseInput,
    /// Since when the line has been low; `None` while it is high, or before its first reading.
    low: Option<Instant>,
    step: Step,
}

impl PulseCounter {
    /// A line that was not read so far.
    #[must_use]
    pub const fn new(input: PulseInput) -> Self {
        Self {
            input,
            low: None,
            step: Step::Rest,
        }
    }

    /// Takes an edge, or the level at the start.
    ///
    /// # Errors
    /// [`Noise`] where the edge shows that what came is no command.
    pub fn handle_edge(&mut self, at: Instant, level: bool) -> Result<Option<Counted>, Noise> {
        // in the words of a line whose rest is low
        let high = level != self.input.idle.is_active(true);
        let timed = self.handle_timeout(at);
        let was_low = self.low;
        self.note(at, high);
        if !matches!(timed, Ok(None)) {
            // this edge may begin the next command all the same
            if high {
                self.rose(at, was_low);
            }
            return timed;
        }
        match (self.step, high) {
            (Step::Rest | Step::Spent, true) => {
                self.rose(at, was_low);
                Ok(None)
            }
            (Step::Counting { rise, count, .. }, false) => {
                self.step = Step::Pulse {
                    rise,
                    fall: at,
                    count,
                };
                Ok(None)
            }
            (Step::Pulse { rise, fall, count }, true) => self.pulse(rise, fall, count, at),
            (
                Step::Tone {
                    count,
                    closed,
                    first,
                    periods,
                },
                false,
            ) => {
                self.step = Step::Tone {
                    count,
                    closed,
                    first: first.or(Some(at)),
                    periods: periods + 1,
                };
                Ok(None)
            }
            (Step::Rest | Step::Spent | Step::Pulse { .. }, false)
            | (Step::Counting { .. } | Step::Tone { .. }, true) => Ok(None),
        }
    }

    /// Edges were lost: nothing counts until the line was seen at rest again.
    pub const fn forget(&mut self) {
        self.low = None;
        self.step = Step::Spent;
    }

    fn note(&mut self, at: Instant, high: bool) {
        if high {
            self.low = None;
        } else if self.low.is_none() {
            self.low = Some(at);
        }
    }

    fn rose(&mut self, at: Instant, was_low: Option<Instant>) {
        let rested = was_low.is_some_and(|since| at.since(since) >= ms(self.input.reset_ms));
        self.step = if rested {
            Step::Counting {
                rise: at,
                last: None,
                count: 0,
            }
        } else {
            Step::Spent
        };
    }

    fn pulse(
        &mut self,
        rise: Instant,
        fall: Instant,
        count: u16,
        at: Instant,
    ) -> Result<Option<Counted>, Noise> {
        let width = at.since(fall);
        let width_us = u64::try_from(width.as_micros()).unwrap_or(u64::MAX);
        self.step = Step::Spent;
        if width < us(self.input.shortest_us) {
            return Err(Noise::Short(width_us));
        }
        if width > us(self.input.longest_us) {
            return Err(Noise::Long(width_us));
        }
        if count >= MOST {
            return Err(Noise::Many);
        }
        self.step = Step::Counting {
            rise,
            last: Some(at),
            count: count + 1,
        };
        Ok(None)
    }

    /// Ends what is over.
    ///
    /// # Errors
    /// [`Noise`] if what is over is no command.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<Option<Counted>, Noise> {
        while let Some(until) = self.poll_timeout().filter(|until| now >= *until) {
            match self.step {
                Step::Counting { count: 0, .. } => {
                    self.step = Step::Spent;
                    return Err(Noise::NoPulse);
                }
                Step::Counting { count, .. } => {
                    self.step = Step::Tone {
                        count,
                        closed: until,
                        first: None,
                        periods: 0,
                    };
                }
                Step::Pulse { fall, .. } => {
                    self.step = Step::Spent;
                    let width = u64::try_from(until.since(fall).as_micros()).unwrap_or(u64::MAX);
                    return Err(Noise::Long(width));
                }
                Step::Tone { first: None, .. } => {
                    self.step = Step::Spent;
                    return Err(Noise::Silent);
                }
                Step::Tone { count, periods, .. } => {
                    self.step = Step::Spent;
                    return self.meaning(count, periods).map(Some);
                }
                Step::Rest | Step::Spent => return Ok(None),
            }
        }
        Ok(None)
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.step {
            Step::Counting { rise, last, .. } => {
                let window = rise + ms(self.input.window_ms);
                Some(last.map_or(window, |last| window.min(last + ms(self.input.quiet_ms))))
            }
            // a pulse that does not end: the line fell to rest
            Step::Pulse { fall, .. } => Some(fall + ms(self.input.quiet_ms)),
            Step::Tone { closed, first, .. } => Some(first.unwrap_or(closed) + ms(self.input.tone_ms)),
            Step::Rest | Step::Spent => None,
        }
    }

    fn meaning(&self, address: u16, periods: u32) -> Result<Counted, Noise> {
        let is = |[first, last]: [u32; 2]| (first..=last).contains(&periods);
        let tone = if is(self.input.ring) {
            Tone::Ring
        } else if is(self.input.opened) {
            Tone::Opened
        } else if is(self.input.wrong_code) {
            Tone::WrongCode
        } else {
            return Err(Noise::Periods(periods));
        };
        Ok(Counted {
            address,
            periods,
            tone,
        })
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

fn us(us: u32) -> Duration {
    Duration::from_micros(us.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::edges::Edge;
    use crate::profile::{Profile, RingInput};
    use proptest::prelude::*;

    pub(crate) fn laskomex() -> PulseInput {
        let profile =
            Profile::parse(include_str!("../../../config/panels/laskomex-digital.toml")).expect("a profile");
        match profile.ring {
            RingInput::PulseCount(input) => input,
            RingInput::Burst(_) | RingInput::Frame(_) | RingInput::Level(_) => panic!("it counts"),
        }
    }

    fn at(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
    }

    /// A command as it was measured on a Laskomex line: 200 ms low, the rise, 4 ms, `count` pulses of 22 µs with a pitch
    /// of 63 µs, 5 ms, then a tone of `period` µs for a while; low again.
    pub(crate) fn command(count: u16, period: u64) -> Vec<Edge> {
        let mut edges = vec![Edge {
            at_us: 0,
            level: false,
        }];
        let mut now = 200_000;
        let mut push = |at_us, level| edges.push(Edge { at_us, level });
        push(now, true);
        now += 4000;
        for _ in 0..count {
            push(now, false);
            push(now + 22, true);
            now += 63;
        }
        now += 5000;
        for _ in 0..60_000 / period {
            push(now, false);
            push(now + period / 2, true);
            now += period;
        }
        push(now, false);
        edges
    }

    fn read(edges: &[Edge]) -> Vec<Result<Counted, Noise>> {
        let mut counter = PulseCounter::new(laskomex());
        let mut said = Vec::new();
        for edge in edges {
            said.extend(counter.handle_edge(at(edge.at_us), edge.level).transpose());
        }
        let end = edges.last().map_or(0, |e| e.at_us) + 1_000_000;
        said.extend(counter.handle_timeout(at(end)).transpose());
        said
    }

    #[track_caller]
    fn check(count: u16, period: u64, tone: Tone) {
        let said = read(&command(count, period));
        assert!(
            matches!(said[..], [Ok(Counted { address, tone: is, .. })] if address == count && is == tone),
            "{count} {period}: {said:?}"
        );
    }

    #[test]
    fn measured_commands_say_whom_and_why() {
        // 500 µs half a period is a ring, 530 µs a wrong code, 424 µs the door (bordeux, measured)
        for count in [1, 10, 73, 254, 255] {
            check(count, 1000, Tone::Ring);
            check(count, 530, Tone::WrongCode);
            check(count, 424, Tone::Opened);
        }
    }

    #[test]
    fn pulses_may_come_with_longer_gaps_between_them() {
        let mut edges = vec![
            Edge {
                at_us: 0,
                level: false,
            },
            Edge {
                at_us: 140_000,
                level: true,
            },
        ];
        let mut now = 144_000;
        // gaps of 100 to 180 µs were seen on a scope for 10 pulses, others report up to 1 ms
        for gap in [63, 100, 180, 63, 63, 1000, 63, 120, 63, 63] {
            edges.push(Edge {
                at_us: now,
                level: false,
            });
            edges.push(Edge {
                at_us: now + 24,
                level: true,
            });
            now += gap;
        }
        now += 6000;
        for n in 0..20 {
            edges.push(Edge {
                at_us: now + n * 500,
                level: n % 2 == 1,
            });
        }
        let said = read(&edges);
        assert!(
            matches!(
                said[..],
                [Ok(Counted {
                    address: 10,
                    tone: Tone::Ring,
                    ..
                })]
            ),
            "{said:?}"
        );
    }

    #[test]
    fn what_is_no_command_says_why() {
        let rise = |edges: &[(u64, bool)]| {
            let start = [(0, false), (200_000, true)];
            let all = start.iter().chain(edges);
            read(
                &all.map(|&(at_us, level)| Edge { at_us, level })
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(rise(&[]), [Err(Noise::NoPulse)]);
        assert_eq!(rise(&[(204_000, false), (204_003, true)]), [Err(Noise::Short(3))]);
        assert_eq!(
            rise(&[(204_000, false), (204_500, true)]),
            [Err(Noise::Long(500))]
        );
        assert_eq!(rise(&[(204_000, false), (204_022, true)]), [Err(Noise::Silent)]);
        assert_eq!(read(&command(256, 1000)), [Err(Noise::Many)]);
        let said = read(&command(12, 2000));
        assert_eq!(said, [Err(Noise::Periods(5))]);
        // without a rest before it nothing counts
        let mut edges = command(12, 1000);
        edges.remove(0);
        for edge in &mut edges {
            edge.at_us -= 100_000;
        }
        edges.insert(
            0,
            Edge {
                at_us: 0,
                level: false,
            },
        );
        assert_eq!(read(&edges), []);
    }

    #[test]
    fn a_line_that_rests_high_is_read_the_other_way_round() {
        let input = PulseInput {
            idle: crate::profile::Polarity::High,
            ..laskomex()
        };
        let mut counter = PulseCounter::new(input);
        let said: Vec<_> = command(7, 1000)
            .into_iter()
            .filter_map(|e| counter.handle_edge(at(e.at_us), !e.level).transpose())
            .collect();
        assert!(matches!(said[..], [Ok(Counted { address: 7, .. })]), "{said:?}");
    }

    proptest! {
        #[test]
        fn every_count_comes_back(count in 1_u16..=255, tone in 0..3) {
            let (period, tone) = [(1000, Tone::Ring), (530, Tone::WrongCode), (424, Tone::Opened)][tone as usize];
            let said = read(&command(count, period));
            prop_assert_eq!(said.len(), 1);
            prop_assert!(said[0].is_ok_and(|c| c.address == count && c.tone == tone));
        }

        /// Noise: a command needs a rest, pulses of the right width only, silence, and a tone of the right pitch. Edges
        /// without a rest before them never make one.
        #[test]
        fn edges_without_a_rest_never_ring(gaps in prop::collection::vec(1_u64..139_000, 0..600)) {
            let (mut now, mut edges) = (0, Vec::new());
            for (n, gap) in gaps.into_iter().enumerate() {
                edges.push(Edge { at_us: now, level: n % 2 == 1 });
                now += gap;
            }
            edges.push(Edge { at_us: now, level: false });
            prop_assert!(read(&edges).iter().all(Result::is_err));
        }

        #[test]
        fn no_edges_make_it_panic(gaps in prop::collection::vec((any::<u32>(), any::<bool>()), 0..300)) {
            let (mut now, mut edges) = (0, Vec::new());
            for (gap, level) in gaps {
                now += u64::from(gap);
                edges.push(Edge { at_us: now, level });
            }
            let _ = read(&edges);
        }
    }

    /// A rest, then noise of the widths of pulses and tones: how often it is a ring of anybody. The tone alone has to hit
    /// 3 of the counts that are possible, so 3 in 10 of what looks like a count may; with widths at random it is rarer.
    #[test]
    fn noise_after_a_rest_rings_no_more_often_than_chance() {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut rings, tries) = (0, 2000);
        for _ in 0..tries {
            let mut edges = vec![Edge {
                at_us: 0,
                level: false,
            }];
            let mut now = 150_000;
            for n in 0..200 {
                edges.push(Edge {
                    at_us: now,
                    level: n % 2 == 0,
                });
                now += 1 + random(6000);
            }
            edges.push(Edge {
                at_us: now,
                level: false,
            });
            let said = read(&edges);
            rings += usize::from(said.iter().flatten().any(|c| c.tone == Tone::Ring));
        }
        assert!(rings * 100 <= tries, "{rings} of {tries}");
    }
}
