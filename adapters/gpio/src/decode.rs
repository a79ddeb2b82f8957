//! From raw edges to logical ones. Pure.

use std::collections::BTreeMap;

use gateway_core::{Edge, InputId, Instant};

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
    /// Edges of this input were lost.
    Lost {
        input: InputId,
        count: u32,
    },
}

struct Line {
    active: bool,
    input: InputId,
    lost: u64,
    /// When the level was read; edges before it are in the reading.
    read: Instant,
    seqno: u32,
}

/// The levels of the inputs of one chip.
#[derive(Default)]
pub(crate) struct Levels(BTreeMap<u32, Line>);

impl Levels {
    /// The first reading of a line.
    pub(crate) fn initial(&mut self, line: u32, input: InputId, active: bool, at: Instant) -> Decoded {
        self.0.insert(
            line,
            Line {
                active,
                input: input.clone(),
                lost: 0,
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

    /// An edge. At most three results: a loss, the edge that was lost in between, and the edge itself.
    pub(crate) fn edge(&mut self, raw: RawEdge) -> Vec<Decoded> {
        let Some(line) = self.0.get_mut(&raw.line) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        // Sequence numbers wrap, and the first edge has 1.
        let lost = raw.seqno.wrapping_sub(line.seqno).wrapping_sub(1);
        line.seqno = raw.seqno;
        if lost > 0 {
            line.lost += u64::from(lost);
            out.push(Decoded::Lost {
                input: line.input.clone(),
                count: lost,
            });
        }
        let input = |at, active| {
            let edge = Edge {
                active,
                initial: false,
            };
            Decoded::Input {
                at,
                edge,
                input: line.input.clone(),
            }
        };
        if raw.active == line.active {
            // It came between the request and the first reading, which shows it already.
            if lost == 0 || raw.at <= line.read {
                return out;
            }
            // The level went away and came back: the way out was lost, the way back is here.
            out.push(input(raw.at, !raw.active));
        }
        out.push(input(raw.at, raw.active));
        line.active = raw.active;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell() -> InputId {
        "bell".parse().expect("a name")
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

    fn levels(active: bool) -> Levels {
        let mut levels = Levels::default();
        let first = levels.initial(4, bell(), active, t(10));
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
        let lost = Decoded::Lost {
            input: bell(),
            count: 2,
        };
        assert_eq!(levels.edge(raw(50, false, 4)), [lost, input(50, false)]);
    }

    #[test]
    fn a_lost_release_is_put_before_the_press_that_shows_it() {
        let mut levels = levels(false);
        levels.edge(raw(20, true, 1));
        let lost = Decoded::Lost {
            input: bell(),
            count: 1,
        };
        assert_eq!(
            levels.edge(raw(50, true, 3)),
            [lost, input(50, false), input(50, true)]
        );
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
