//! Rings that are a level or an alternating voltage, and levels that have to stand.

use std::time::Duration;

use gateway_core::Instant;

use crate::profile::{BurstInput, LevelInput};

/// A level that counts once it has stood for a time.
#[derive(Clone, Debug)]
pub struct Debounce {
    level: bool,
    off: Duration,
    on: Duration,
    /// Level and time of the last change that does not count so far.
    settling: Option<(bool, Instant)>,
}

impl Debounce {
    /// At rest; active counts after `on`, rest after `off`.
    #[must_use]
    pub const fn new(on: Duration, off: Duration) -> Self {
        Self {
            level: false,
            off,
            on,
            settling: None,
        }
    }

    /// Takes the first reading: it is the state, and nothing changed.
    pub const fn begin(&mut self, active: bool) {
        self.level = active;
        self.settling = None;
    }

    /// Takes a reading; the change that counts by it, if there is one.
    pub fn handle(&mut self, at: Instant, active: bool) -> Option<bool> {
        let changed = self.handle_timeout(at);
        match self.settling {
            Some((to, _)) if to == active => {}
            Some(_) | None if self.level == active => self.settling = None,
            Some(_) | None => self.settling = Some((active, at)),
        }
        changed
    }

    /// The change that counts by now.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<bool> {
        let (to, _) = self.settling?;
        if now < self.poll_timeout()? {
            return None;
        }
        self.settling = None;
        self.level = to;
        Some(to)
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (to, since) = self.settling?;
        Some(since + if to { self.on } else { self.off })
    }

    /// What counts.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.level
    }
}

/// What a ring input says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingEvent {
    /// It rings.
    Started,
    /// It has been silent for long enough.
    Stopped,
}

/// A ring that is a level or half waves.
#[derive(Clone, Debug)]
pub enum RingDetector {
    /// Half waves.
    Burst(Burst),
    /// A level.
    Level(LevelInput, Debounce),
}

/// Half waves in a row.
#[derive(Clone, Debug)]
pub struct Burst {
    input: BurstInput,
    /// The last edge of a burst.
    last: Option<Instant>,
    ringing: bool,
    /// Edges of the burst so far.
    row: u32,
}

impl RingDetector {
    /// A ring that is a level.
    #[must_use]
    pub fn level(input: LevelInput) -> Self {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        Self::Level(input, Debounce::new(ms(input.on_ms), ms(input.off_ms)))
    }

    /// A ring that is half waves.
    #[must_use]
    pub const fn burst(input: BurstInput) -> Self {
        Self::Burst(Burst {
            input,
            last: None,
            ringing: false,
            row: 0,
        })
    }

    /// Takes the first reading. What is active then is no ring: it may have been so for days.
    pub const fn begin(&mut self, level: bool) {
        match self {
            Self::Burst(_) => {}
            Self::Level(input, debounce) => debounce.begin(input.active.is_active(level)),
        }
    }

    /// Takes an edge.
    pub fn handle_edge(&mut self, at: Instant, level: bool) -> Option<RingEvent> {
        match self {
            Self::Burst(burst) => burst.edge(at),
            Self::Level(input, debounce) => debounce.handle(at, input.active.is_active(level)).map(of),
        }
    }

    /// What is so by now.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<RingEvent> {
        match self {
            Self::Burst(burst) => burst.timeout(now),
            Self::Level(_, debounce) => debounce.handle_timeout(now).map(of),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Burst(burst) => burst.until(),
            Self::Level(_, debounce) => debounce.poll_timeout(),
        }
    }

    /// Does it ring?
    #[must_use]
    pub const fn is_ringing(&self) -> bool {
        match self {
            Self::Burst(burst) => burst.ringing,
            Self::Level(_, debounce) => debounce.is_active(),
        }
    }
}

const fn of(active: bool) -> RingEvent {
    if active {
        RingEvent::Started
    } else {
        RingEvent::Stopped
    }
}

impl Burst {
    fn edge(&mut self, at: Instant) -> Option<RingEvent> {
        let stopped = self.timeout(at);
        let us = |us: u32| Duration::from_micros(us.into());
        let gap = self.last.map(|last| at.since(last));
        match gap {
            Some(gap) if gap < us(self.input.shortest_us) => {
                // too quick for any voltage of a bell: neither is an edge of one
                self.row = 0;
            }
            Some(gap) if gap <= us(self.input.longest_us) => self.row += 1,
            Some(_) | None => self.row = 1,
        }
        let counts = self.row > 0;
        if counts || !self.ringing {
            self.last = Some(at);
        }
        if self.row >= self.input.edges && !self.ringing {
            self.ringing = true;
            return Some(RingEvent::Started);
        }
        stopped
    }

    fn until(&self) -> Option<Instant> {
        let off = Duration::from_millis(self.input.off_ms.into());
        self.last.filter(|_| self.ringing).map(|last| last + off)
    }

    fn timeout(&mut self, now: Instant) -> Option<RingEvent> {
        if self.until().is_some_and(|until| now >= until) {
            (self.last, self.ringing, self.row) = (None, false, 0);
            return Some(RingEvent::Stopped);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Polarity;
    use proptest::prelude::*;

    fn at(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_micros(us)
    }

    fn bell() -> RingDetector {
        // 50 Hz: half a wave is 10 ms
        RingDetector::burst(BurstInput {
            longest_us: 30_000,
            shortest_us: 2000,
            edges: 6,
            off_ms: 3000,
        })
    }

    fn opto() -> RingDetector {
        RingDetector::level(LevelInput {
            active: Polarity::Low,
            on_ms: 50,
            off_ms: 4000,
        })
    }

    #[test]
    fn an_alternating_voltage_rings_after_its_edges_and_ends_after_silence() {
        let mut ring = bell();
        let said: Vec<_> = (0..50)
            .filter_map(|n| ring.handle_edge(at(n * 10_000), n % 2 == 0))
            .collect();
        assert_eq!(said, [RingEvent::Started]);
        assert_eq!(ring.poll_timeout(), Some(at(490_000 + 3_000_000)));
        // a second burst belongs to the same ring
        assert_eq!(ring.handle_edge(at(2_000_000), true), None);
        assert_eq!(ring.handle_timeout(at(4_999_999)), None);
        assert_eq!(ring.handle_timeout(at(5_000_000)), Some(RingEvent::Stopped));
        assert_eq!(ring.poll_timeout(), None);
    }

    #[test]
    fn a_level_rings_once_it_stands_and_pauses_do_not_end_it() {
        let mut ring = opto();
        assert_eq!(ring.handle_edge(at(0), true), None);
        assert_eq!(ring.handle_edge(at(1000), false), None);
        // a bounce shorter than on-ms begins anew
        assert_eq!(ring.handle_edge(at(40_000), true), None);
        assert_eq!(ring.handle_edge(at(41_000), false), None);
        assert_eq!(ring.handle_timeout(at(90_999)), None);
        assert_eq!(ring.handle_timeout(at(91_000)), Some(RingEvent::Started));
        assert_eq!(ring.handle_edge(at(1_000_000), true), None);
        assert_eq!(ring.handle_edge(at(3_000_000), false), None);
        assert_eq!(ring.handle_edge(at(4_000_000), true), None);
        assert_eq!(ring.handle_timeout(at(8_000_000)), Some(RingEvent::Stopped));
    }

    proptest! {
        /// Edges that are too quick or too rare for the voltage of a bell never ring.
        #[test]
        fn what_is_no_alternating_voltage_does_not_ring(gaps in prop::collection::vec(
            prop_oneof![1_u64..2000, 30_001_u64..5_000_000], 0..300)) {
            let (mut ring, mut now) = (bell(), 0);
            for (n, gap) in gaps.into_iter().enumerate() {
                now += gap;
                prop_assert_eq!(ring.handle_edge(at(now), n % 2 == 0), None);
            }
        }

        /// A level that never stands for on-ms never rings.
        #[test]
        fn spikes_do_not_ring(gaps in prop::collection::vec((1_u64..50_000, 1_u64..3_000_000), 0..200)) {
            let (mut ring, mut now) = (opto(), 0);
            for (low, high) in gaps {
                now += high;
                prop_assert_eq!(ring.handle_edge(at(now), false), None);
                now += low;
                prop_assert_eq!(ring.handle_edge(at(now), true), None);
            }
        }

        /// Started and Stopped take turns, and a ring always has an end.
        #[test]
        fn rings_begin_and_end_in_turns(gaps in prop::collection::vec(1_u64..200_000, 0..400)) {
            for mut ring in [bell(), opto()] {
                let (mut now, mut rings) = (0, false);
                for (n, gap) in gaps.iter().enumerate() {
                    now += gap;
                    let timed = ring.handle_timeout(at(now));
                    for event in [timed, ring.handle_edge(at(now), n % 2 == 0)].into_iter().flatten() {
                        prop_assert_eq!(rings, event == RingEvent::Stopped);
                        rings = !rings;
                    }
                    prop_assert_eq!(rings, ring.is_ringing());
                }
                // silence: a low level is a ring that goes on, so let it rise first
                let _ = ring.handle_edge(at(now), true);
                let _ = ring.handle_timeout(at(now + 20_000_000));
                prop_assert!(!ring.is_ringing());
            }
        }
    }
}
