//! From raw edges to logical ones. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Edge, InputId, Instant};

use crate::config::InputLine;
use crate::pulsed::Pulsed;

/// A line that lost edges is well again when it lost none for so long. Until then it is one fault, however many edges
/// a flood costs, so that it fills neither log nor journal.
pub(crate) const CALM: Duration = Duration::from_secs(2);

/// An edge as a back end gives it; `active` is after inversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawEdge {
    pub(crate) active: bool,
    pub(crate) at: Instant,
    pub(crate) line: u32,
    /// Counts this line's edges from 1.
    pub(crate) seqno: u32,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Input {
        at: Instant,
        edge: Edge,
        input: InputId,
    },
    /// Edges of this input are lost; `count` of them until it was noticed.
    Losing {
        input: InputId,
        count: u32,
    },
    /// It has lost none for [`CALM`].
    Whole {
        /// No other line of the device loses edges.
        alone: bool,
        input: InputId,
        /// All that were lost since it was said that they are.
        count: u64,
    },
}

struct Line {
    active: bool,
    input: InputId,
    losing: Option<Losing>,
    /// Of a wire with half-waves: what they make together.
    pulsed: Option<Pulsed>,
    /// When the level was read; edges before it are in the reading.
    read: Instant,
    seqno: u32,
}

/// A line that loses edges.
struct Losing {
    count: u64,
    last: Instant,
}

/// The levels of the inputs of one chip.
#[derive(Default)]
pub(crate) struct Levels(BTreeMap<u32, Line>);

impl Levels {
    /// The first reading of a line.
    pub(crate) fn initial(&mut self, of: &InputLine, active: bool, at: Instant) -> Decoded {
        let input = of.input.clone();
        self.0.insert(
            of.line,
            Line {
                active,
                input: input.clone(),
                losing: None,
                pulsed: of.own_debounce().map(|time| Pulsed::new(time, active, at)),
                read: at,
                seqno: 0,
            },
        );
        Decoded::Input {
            at,
            edge: Edge {
                active,
                initial: true,
            },
            input,
        }
    }

    /// An edge. Few results: a loss, the edge that was lost in between, and the edge itself; of half-waves what they make together.
    pub(crate) fn edge(&mut self, raw: RawEdge) -> Vec<Decoded> {
        let Some(line) = self.0.get_mut(&raw.line) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        // Sequence numbers wrap, and the first edge has 1.
        let lost = raw.seqno.wrapping_sub(line.seqno).wrapping_sub(1);
        line.seqno = raw.seqno;
        if lost > 0 {
            if line.losing.is_none() {
                out.push(Decoded::Losing {
                    input: line.input.clone(),
                    count: lost,
                });
            }
            let before = line.losing.take().map_or(0, |losing| losing.count);
            line.losing = Some(Losing {
                count: before + u64::from(lost),
                last: raw.at,
            });
        }
        if raw.active == line.active {
            // It came between the request and the first reading, which shows it already.
            if lost == 0 || raw.at <= line.read {
                return out;
            }
            // The level went away and came back: the way out was lost, the way back is here.
            out.extend(line.passes(raw.at, !raw.active));
        }
        out.extend(line.passes(raw.at, raw.active));
        line.active = raw.active;
        out
    }

    /// Half-waves whose time is over, and lines that have lost nothing for [`CALM`]. All edges up to `now` must have been given before.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<Decoded> {
        let mut out = Vec::new();
        let mut inputs = Vec::new();
        for line in self.0.values_mut() {
            let due = line.pulsed.as_mut().and_then(|pulsed| pulsed.handle_timeout(now));
            inputs.extend(due.map(|(at, edge)| line.says(at, edge)));
            if let Some(losing) = line.losing.take_if(|losing| now >= losing.last + CALM) {
                out.push((line.input.clone(), losing.count));
            }
        }
        let alone = self.0.values().all(|line| line.losing.is_none());
        let whole = |(input, count)| Decoded::Whole { alone, input, count };
        inputs.into_iter().chain(out.into_iter().map(whole)).collect()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let losing = self.0.values().filter_map(|line| line.losing.as_ref());
        let calm = losing.map(|losing| losing.last + CALM);
        let pulsed = self
            .0
            .values()
            .filter_map(|line| line.pulsed.as_ref()?.poll_timeout());
        calm.chain(pulsed).min()
    }
}

impl Line {
    fn says(&self, at: Instant, edge: Edge) -> Decoded {
        let input = self.input.clone();
        Decoded::Input { at, edge, input }
    }

    /// What comes of an edge of the wire.
    fn passes(&mut self, at: Instant, active: bool) -> Vec<Decoded> {
        let initial = false;
        let edges = match &mut self.pulsed {
            None => vec![(at, Edge { active, initial })],
            Some(pulsed) => pulsed.edge(at, active),
        };
        edges.into_iter().map(|(at, edge)| self.says(at, edge)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell() -> InputId {
        "bell".parse().expect("a name")
    }

    fn line(line: u32, input: InputId) -> InputLine {
        InputLine {
            active_low: true,
            bias: crate::config::Bias::PullUp,
            debounce: Duration::from_millis(30),
            input,
            line,
            pulsed: false,
        }
    }

    fn t(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn raw(at: u64, active: bool, seqno: u32) -> RawEdge {
        RawEdge {
            active,
            at: t(at),
            line: 4,
            seqno,
        }
    }

    fn input(at: u64, active: bool) -> Decoded {
        Decoded::Input {
            at: t(at),
            edge: Edge {
                active,
                initial: false,
            },
            input: bell(),
        }
    }

    fn losing(count: u32) -> Decoded {
        Decoded::Losing { input: bell(), count }
    }

    fn levels(active: bool) -> Levels {
        let mut levels = Levels::default();
        let first = levels.initial(&line(4, bell()), active, t(10));
        let edge = Edge {
            active,
            initial: true,
        };
        assert_eq!(
            first,
            Decoded::Input {
                at: t(10),
                edge,
                input: bell()
            }
        );
        levels
    }

    #[test]
    fn edges_pass_in_order() {
        let mut levels = levels(false);
        assert_eq!(levels.edge(raw(20, true, 1)), [input(20, true)]);
        assert_eq!(levels.edge(raw(30, false, 2)), [input(30, false)]);
    }

    #[test]
    fn an_edge_that_the_first_reading_shows_already_is_no_edge() {
        let mut levels = levels(true);
        assert_eq!(levels.edge(raw(9, true, 1)), []);
        assert_eq!(levels.edge(raw(20, false, 2)), [input(20, false)]);
    }

    #[test]
    fn a_pair_of_lost_edges_is_counted_and_the_known_edge_passes() {
        let mut levels = levels(false);
        levels.edge(raw(20, true, 1));
        assert_eq!(levels.edge(raw(50, false, 4)), [losing(2), input(50, false)]);
    }

    #[test]
    fn a_lost_release_is_put_before_the_press_that_shows_it() {
        let mut levels = levels(false);
        levels.edge(raw(20, true, 1));
        assert_eq!(
            levels.edge(raw(50, true, 3)),
            [losing(1), input(50, false), input(50, true)]
        );
    }

    #[test]
    fn a_flood_that_loses_edges_is_one_fault_until_it_is_over() {
        let mut levels = levels(false);
        assert_eq!(levels.poll_timeout(), None);
        let mut told = Vec::new();
        for n in 0..100 {
            // every tenth arrives, once a millisecond for a tenth of a second
            told.extend(levels.edge(raw(20 + u64::from(n), n % 2 == 0, n * 10 + 10)));
        }
        told.retain(|decoded| !matches!(decoded, Decoded::Input { .. }));
        assert_eq!(told, [losing(9)]);
        assert_eq!(levels.poll_timeout(), Some(t(119) + CALM));
        assert_eq!(levels.handle_timeout(t(118) + CALM), []);
        let whole = Decoded::Whole {
            alone: true,
            input: bell(),
            count: 900,
        };
        assert_eq!(levels.handle_timeout(t(119) + CALM), [whole]);
        assert_eq!(levels.poll_timeout(), None);
        assert_eq!(levels.edge(raw(5000, true, 1003))[0], losing(2), "another fault");
    }

    #[test]
    fn a_device_is_well_only_when_none_of_its_lines_loses_edges() {
        let mut levels = levels(false);
        levels.initial(&line(5, "gate".parse().expect("a name")), false, t(10));
        levels.edge(raw(20, true, 3));
        levels.edge(RawEdge {
            line: 5,
            ..raw(1000, true, 3)
        });
        let whole = levels.handle_timeout(t(20) + CALM);
        assert!(
            matches!(whole[..], [Decoded::Whole { alone: false, .. }]),
            "{whole:?}"
        );
        let whole = levels.handle_timeout(t(1000) + CALM);
        assert!(
            matches!(whole[..], [Decoded::Whole { alone: true, .. }]),
            "{whole:?}"
        );
    }

    #[test]
    fn half_waves_at_a_lock_sense_are_one_opening() {
        let mut levels = Levels::default();
        let sense = InputLine {
            pulsed: true,
            ..line(4, bell())
        };
        levels.initial(&sense, false, t(10));
        let mut told = Vec::new();
        for n in 0..50_u32 {
            let at = 1000 + u64::from(n) * 20;
            told.extend(levels.edge(raw(at, true, 2 * n + 1)));
            told.extend(levels.edge(raw(at + 9, false, 2 * n + 2)));
        }
        assert_eq!(told, [input(1030, true)]);
        assert_eq!(levels.poll_timeout(), Some(t(1989 + 45)));
        assert_eq!(levels.handle_timeout(t(2034)), [input(2034, false)]);
        assert_eq!(levels.poll_timeout(), None);
    }

    #[test]
    fn sequence_numbers_may_wrap() {
        let mut levels = levels(false);
        levels.edge(raw(20, true, 1));
        levels.0.get_mut(&4).expect("the line").seqno = u32::MAX;
        assert_eq!(levels.edge(raw(30, false, 0)), [input(30, false)]);
    }

    #[test]
    fn an_unknown_line_is_nothing() {
        let stray = RawEdge {
            line: 5,
            ..raw(1, true, 1)
        };
        assert_eq!(levels(false).edge(stray), []);
    }
}
