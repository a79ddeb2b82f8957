//! A wire across an electric strike: alternating current makes an optocoupler give pulses, one or two in each period, for as
//! long as the strike is fed. Pure.
//!
//! The kernel's debouncing would take each half-wave for a bounce. Here gaps up to [`GAP`] are none, and active counts when
//! half-waves have come for the time of the debouncing.

use std::time::Duration;

use gateway_core::{Edge, Instant};

/// Gaps in an active level that are none: two periods of 50 Hz, and some time to be late.
pub(crate) const GAP: Duration = Duration::from_millis(45);

/// The level of one line, smoothed.
#[derive(Debug)]
pub(crate) struct Pulsed {
    /// When the half-waves that go on began.
    began: Option<Instant>,
    debounce: Duration,
    /// Since when the line rests, while half-waves go on.
    quiet: Option<Instant>,
    /// When it was read first.
    read: Instant,
    /// As it was told.
    told: bool,
}

impl Pulsed {
    /// A line that was read.
    pub(crate) fn new(debounce: Duration, active: bool, at: Instant) -> Self {
        Self {
            began: active.then_some(at),
            debounce,
            quiet: None,
            read: at,
            told: active,
        }
    }

    /// An edge of the wire, in the order of time. What was due before it comes first. Of half-waves too the time is the end of the
    /// debouncing, though the one that made them long enough came later.
    pub(crate) fn edge(&mut self, at: Instant, active: bool) -> Vec<(Instant, Edge)> {
        let mut out = Vec::from_iter(self.handle_timeout(at));
        if active {
            self.quiet = None;
            self.began.get_or_insert(at);
            out.extend(self.handle_timeout(at));
        } else if self.began.is_some() {
            self.quiet.get_or_insert(at);
        }
        out
    }

    /// What counts by then. All edges up to `now` must have been given before.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<(Instant, Edge)> {
        let at = self.poll_timeout().filter(|at| *at <= now)?;
        if self.quiet.is_some() {
            (self.began, self.quiet) = (None, None);
            let was = std::mem::replace(&mut self.told, false);
            let (active, initial) = (false, false);
            return was.then_some((at, Edge { active, initial }));
        }
        self.told = true;
        // It may have been read between two half-waves: then it was active as it was read.
        let initial = self.began.is_some_and(|began| began <= self.read + GAP);
        let active = true;
        Some((at, Edge { active, initial }))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match (self.began, self.quiet) {
            (_, Some(quiet)) => Some(quiet + GAP),
            (Some(began), None) => (!self.told).then_some(began + self.debounce),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::from_millis(30);

    fn t(us: u64) -> Instant {
        Instant::from_nanos(1_000_000_000 + us * 1000)
    }

    /// Edges in µs, and what is told of them in ms, with a look at the time between.
    fn told(line: &mut Pulsed, edges: impl IntoIterator<Item = (u64, bool)>, until: u64) -> Vec<(u64, bool)> {
        let mut out = Vec::new();
        for (at, active) in edges {
            out.extend(line.edge(t(at), active));
        }
        out.extend(line.handle_timeout(t(until)));
        let ms = |at: Instant| (at.as_nanos() - 1_000_000_000) / 1_000_000;
        let all = out.into_iter();
        all.map(|(at, edge)| {
            assert!(!edge.initial);
            (ms(at), edge.active)
        })
        .collect()
    }

    /// Half-waves from `from` on: `on` of each `period`, all in µs.
    fn waves(from: u64, period: u64, on: u64, count: u64) -> impl Iterator<Item = (u64, bool)> {
        (0..count).flat_map(move |n| [(from + n * period, true), (from + n * period + on, false)])
    }

    #[test]
    fn half_waves_are_one_opening_whatever_the_mains_and_the_rectifier() {
        // 50 and 60 Hz, a diode and a bridge, and an optocoupler that conducts near the peaks only
        for (period, on) in [
            (20_000, 9000),
            (16_667, 7000),
            (10_000, 8000),
            (8333, 2000),
            (20_000, 2500),
        ] {
            let mut line = Pulsed::new(DEBOUNCE, false, t(0));
            let count = 3_000_000 / period;
            let said = told(&mut line, waves(200_000, period, on, count), 10_000_000);
            let last = 200_000 + (count - 1) * period + on;
            assert_eq!(said.len(), 2, "{period} {on}: {said:?}");
            assert!(said[0].1 && (230..=255).contains(&said[0].0), "{said:?}");
            assert_eq!(said[1], ((last + 45_000) / 1000, false), "{period} {on}");
            assert_eq!(line.poll_timeout(), None);
        }
    }

    #[test]
    fn direct_current_is_one_opening_and_noise_is_none() {
        let mut line = Pulsed::new(DEBOUNCE, false, t(0));
        let said = told(&mut line, [(200_000, true), (5_200_000, false)], 9_000_000);
        assert_eq!(said, [(230, true), (5245, false)]);
        let mut line = Pulsed::new(DEBOUNCE, false, t(0));
        let noise = [
            (200_000, true),
            (201_000, false),
            (300_000, true),
            (310_000, false),
        ];
        assert_eq!(told(&mut line, noise, 9_000_000), []);
        assert_eq!(line.poll_timeout(), None);
    }

    #[test]
    fn who_reads_it_between_two_half_waves_finds_it_active() {
        let mut line = Pulsed::new(DEBOUNCE, false, t(0));
        let mut said = Vec::new();
        for (at, active) in waves(12_000, 20_000, 8000, 10) {
            said.extend(line.edge(t(at), active));
        }
        assert_eq!(said.len(), 1);
        assert!(said[0].1.active && said[0].1.initial, "{said:?}");
        let mut line = Pulsed::new(DEBOUNCE, true, t(0));
        assert_eq!(line.edge(t(3000), false), [], "it was told active at once");
        assert_eq!(
            line.handle_timeout(t(48_000)).map(|(_, edge)| edge.active),
            Some(false)
        );
    }
}
