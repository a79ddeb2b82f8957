//! Frames of edges.

use std::time::Duration;

use gateway_card::MAX_BITS;
use gateway_core::Instant;

/// Two edges closer together than this are not two bits: readers send a bit every 200 µs or slower (SIA AC-01
/// §5.2.2), and the fastest seen send one every 160 µs.
pub const CLOSEST: Duration = Duration::from_micros(20);

/// One of the two data wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// A pulse on it is a 0.
    D0,
    /// A pulse on it is a 1.
    D1,
}

/// Why the bits of a frame cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// Edges of one wire closer together than [`CLOSEST`], or more bits than any frame has.
    Noise,
    /// Edges of both wires closer together than [`CLOSEST`].
    Simultaneous,
    /// The system lost edges.
    LostEdges,
}

/// What stood between two silences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Time of its last edge.
    pub at: Instant,
    /// In the order of arrival, at most 256.
    pub bits: Vec<bool>,
    /// What is wrong with it, if anything.
    pub damage: Option<Damage>,
}

/// Puts edges together. A frame ends with silence.
#[derive(Debug)]
pub struct Assembler {
    bits: Vec<bool>,
    damage: Option<Damage>,
    /// First edge of the frame that is open.
    first: Instant,
    gap: Duration,
    last: Option<(Instant, Wire)>,
    /// Edges were lost since the last one: if the next one begins a frame, they may be its own.
    lost_between: bool,
}

impl Assembler {
    /// A frame ends when nothing came for `gap`.
    #[must_use]
    pub const fn new(gap: Duration) -> Self {
        Self {
            bits: Vec::new(),
            damage: None,
            first: Instant::ZERO,
            gap,
            last: None,
            lost_between: false,
        }
    }

    /// Takes the falling edge of a pulse. Returns the frame before it, if this edge is not part of that one.
    pub fn edge(&mut self, at: Instant, wire: Wire) -> Option<Frame> {
        // by the edges' own times: how late anybody looked does not cut a frame or glue two together
        let before = self.handle_timeout(at);
        self.lost_between = false;
        if self.last.is_none() {
            self.first = at;
        }
        if let Some((last, other)) = self.last
            && at.since(last) < CLOSEST
        {
            self.hurt(if wire == other {
                Damage::Noise
            } else {
                Damage::Simultaneous
            });
        }
        if self.bits.len() < MAX_BITS {
            self.bits.push(wire == Wire::D1);
        } else {
            self.hurt(Damage::Noise);
        }
        self.last = Some((at.max(self.last.map_or(at, |(last, _)| last)), wire));
        before
    }

    /// Edges were lost just before the next one. The frame that is open and the next one are spoilt: nobody knows
    /// in which of them they were.
    pub fn lost(&mut self) {
        self.hurt(Damage::LostEdges);
        self.lost_between = self.last.is_some();
    }

    /// The worst damage is kept.
    fn hurt(&mut self, damage: Damage) {
        self.damage = self.damage.max(Some(damage));
    }

    /// Ends the frame if its silence has lasted long enough at `now`. All edges up to `now` must have been given
    /// before.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Frame> {
        if now < self.poll_timeout()? {
            return None;
        }
        let (at, _) = self.last.take()?;
        let next = std::mem::take(&mut self.lost_between).then_some(Damage::LostEdges);
        Some(Frame {
            at,
            bits: std::mem::take(&mut self.bits),
            damage: std::mem::replace(&mut self.damage, next),
        })
    }

    /// How long the frame that is open has lasted: from its first edge to its last.
    #[must_use]
    pub fn lasted(&self) -> Option<Duration> {
        self.last.map(|(last, _)| last.since(self.first))
    }

    /// When the frame ends, if nothing else comes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.last.map(|(last, _)| last + self.gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GAP: Duration = Duration::from_millis(25);

    fn t(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
    }

    /// Edges as `(µs, wire)`; the frames that come of them, the last one after its silence.
    fn frames(edges: &[(u64, Wire)]) -> Vec<(u64, String, Option<Damage>)> {
        let mut assembler = Assembler::new(GAP);
        let mut frames: Vec<Frame> = edges
            .iter()
            .filter_map(|(at, wire)| assembler.edge(t(*at), *wire))
            .collect();
        frames.extend(
            assembler
                .poll_timeout()
                .and_then(|due| assembler.handle_timeout(due)),
        );
        let shown = |f: Frame| {
            let bits = f.bits.iter().map(|one| if *one { '1' } else { '0' }).collect();
            let at = u64::try_from(f.at.since(t(0)).as_micros()).expect("small");
            (at, bits, f.damage)
        };
        frames.into_iter().map(shown).collect()
    }

    use Wire::{D0, D1};

    #[test]
    fn edges_between_silences_are_a_frame() {
        assert_eq!(
            frames(&[(0, D1), (200, D0), (400, D0), (30_000, D1), (30_160, D1)]),
            [(400, "100".into(), None), (30_160, "11".into(), None)]
        );
    }

    #[test]
    fn the_slowest_legal_reader_is_one_frame() {
        assert_eq!(
            frames(&[(0, D1), (20_000, D0), (40_000, D1)]),
            [(40_000, "101".into(), None)]
        );
    }

    #[test]
    fn edges_too_close_together_spoil_the_frame() {
        assert_eq!(
            frames(&[(0, D1), (10, D0)]),
            [(10, "10".into(), Some(Damage::Simultaneous))]
        );
        assert_eq!(
            frames(&[(0, D1), (10, D1)]),
            [(10, "11".into(), Some(Damage::Noise))]
        );
    }

    #[test]
    fn a_wire_that_never_rests_makes_one_bounded_frame() {
        let edges: Vec<(u64, Wire)> = (0..5000).map(|n| (n * 1000, D0)).collect();
        let seen = frames(&edges);
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].1.len(), seen[0].2), (MAX_BITS, Some(Damage::Noise)));
    }

    #[test]
    fn lost_edges_spoil_the_frame_they_were_in() {
        let mut assembler = Assembler::new(GAP);
        assembler.edge(t(0), D0);
        assembler.lost();
        assert_eq!(assembler.edge(t(400), D0), None);
        let first = assembler.edge(t(50_000), D1).expect("a frame");
        assert_eq!((first.bits.len(), first.damage), (2, Some(Damage::LostEdges)));
        let next = assembler.handle_timeout(t(90_000)).expect("a frame");
        assert_eq!((next.bits.len(), next.damage), (1, None));
    }

    #[test]
    fn edges_lost_between_two_frames_spoil_both() {
        let mut assembler = Assembler::new(GAP);
        assembler.edge(t(0), D0);
        assembler.lost();
        let first = assembler.edge(t(50_000), D1).expect("a frame");
        assert_eq!(first.damage, Some(Damage::LostEdges));
        let next = assembler.handle_timeout(t(90_000)).expect("a frame");
        assert_eq!(next.damage, Some(Damage::LostEdges));
        assembler.edge(t(100_000), D1);
        assert_eq!(
            assembler.handle_timeout(t(200_000)).expect("a frame").damage,
            None
        );
    }

    #[test]
    fn it_does_not_matter_how_late_anybody_looks() {
        let mut assembler = Assembler::new(GAP);
        assembler.edge(t(0), D0);
        assert_eq!(assembler.handle_timeout(t(24_999)), None);
        // the edge was at 20 ms, though it is read at 3 s
        assert_eq!(assembler.edge(t(20_000), D1), None);
        let frame = assembler.handle_timeout(t(3_000_000)).expect("a frame");
        assert_eq!((frame.bits.len(), frame.at), (2, t(20_000)));
    }

    proptest! {
        #[test]
        fn it_stays_small_and_never_panics(edges in prop::collection::vec((any::<u32>(), any::<bool>(), 0_u8..8), 0..600)) {
            let mut assembler = Assembler::new(GAP);
            let mut now = t(0);
            for (step, one, kind) in edges {
                // also backwards: nobody promises that times of two wires are in order
                now = if kind == 0 { t(u64::from(step)) } else { now + Duration::from_micros(u64::from(step % 3000)) };
                if kind == 1 { assembler.lost(); }
                let frame = assembler.edge(now, if one { D1 } else { D0 });
                prop_assert!(frame.is_none_or(|f| !f.bits.is_empty() && f.bits.len() <= MAX_BITS));
            }
        }
    }
}
