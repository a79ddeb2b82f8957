//! Levels of digital inputs: first readings, debouncing, and the age of edges.
//!
//! The first reading of an input is state, not an edge: it acts only after it was seen inactive. An edge that
//! is old by its own timestamp, or that waited while the main loop stood still, is *late*: it becomes state
//! only after it held for a moment, and whoever acts on it decides what late news is worth.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Edge, InputId, Instant};

use crate::params::InputParams;

/// Edges older than this are late.
pub(crate) const EDGE_AGE: Duration = Duration::from_secs(2);
/// How long a late level must hold: what else waits in the queue comes within this.
const LATE_HOLD: Duration = Duration::from_millis(50);
/// Held active for longer than this, an input is stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(600);

/// A level that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) active: bool,
    /// True if it may act: an edge to active of an input that was seen inactive before.
    pub(crate) acts: bool,
    /// When the edge was seen.
    pub(crate) at: Instant,
    /// State, not an edge.
    pub(crate) initial: bool,
    /// Old news that still holds.
    pub(crate) late: bool,
    /// Injected into a virtual device.
    pub(crate) simulated: bool,
}

impl Change {
    /// As the door machine takes it.
    pub(crate) const fn edge(self) -> Edge {
        Edge {
            active: self.active,
            initial: self.initial,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    active: bool,
    at: Instant,
    due: Instant,
    late: bool,
    simulated: bool,
}

#[derive(Clone, Debug)]
struct Level {
    active_since: Option<Instant>,
    armed: bool,
    debounce: Duration,
    pending: Option<Pending>,
    /// Active counts only after so long.
    press: Duration,
    stable: Option<bool>,
    stuck: bool,
    /// Nobody reads it any more: the next reading is its first.
    unread: bool,
}

/// All inputs of the site.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    levels: BTreeMap<InputId, Level>,
}

impl Level {
    /// How long a level must hold to count.
    fn wait(&self, active: bool) -> Duration {
        if active {
            self.debounce.max(self.press)
        } else {
            self.debounce
        }
    }
}

impl Levels {
    /// Takes over for how long inputs must be pressed to count.
    pub(crate) fn configure_presses(&mut self, presses: &BTreeMap<InputId, Duration>) {
        for (id, level) in &mut self.levels {
            level.press = presses.get(id).copied().unwrap_or_default();
        }
    }

    /// Takes over a configuration: what is known of an input stays known, unless it became another one.
    pub(crate) fn configure(
        &mut self,
        old: &BTreeMap<InputId, InputParams>,
        new: &BTreeMap<InputId, InputParams>,
    ) {
        self.levels.retain(|id, _| new.contains_key(id));
        for (id, params) in new {
            let same = old.get(id).is_some_and(|old| old.simulated == params.simulated);
            if let Some(level) = self.levels.get_mut(id).filter(|_| same) {
                level.debounce = params.debounce;
            } else {
                let level = Level {
                    active_since: None,
                    armed: false,
                    debounce: params.debounce,
                    pending: None,
                    press: Duration::ZERO,
                    stable: None,
                    stuck: false,
                    unread: false,
                };
                self.levels.insert(id.clone(), level);
            }
        }
    }

    /// Takes a reading. `Some` if a level counts at once.
    pub(crate) fn reading(
        &mut self,
        now: Instant,
        at: Instant,
        input: &InputId,
        edge: Edge,
        late: bool,
        simulated: bool,
    ) -> Option<Change> {
        let level = self.levels.get_mut(input)?;
        if edge.initial || level.unread || level.stable.is_none() {
            (level.pending, level.unread) = (None, false);
            level.stable = Some(edge.active);
            level.armed = !edge.active;
            level.active_since = edge.active.then_some(at);
            return Some(Change {
                active: edge.active,
                acts: false,
                at,
                initial: true,
                late,
                simulated,
            });
        }
        let pending = Pending {
            active: edge.active,
            at,
            // Only what could act must hold: an input at rest does no harm, and the next press must count.
            due: if late && edge.active {
                now + LATE_HOLD.max(level.wait(true))
            } else {
                at + level.wait(edge.active)
            },
            late,
            simulated,
        };
        if level.stable == Some(edge.active) {
            // Back to where it was before it counted: a bounce.
            level.pending = None;
            return None;
        }
        // A repeated reading of the same level neither starts the wait again nor makes old news fresh.
        let pending = level
            .pending
            .filter(|p| p.active == edge.active)
            .unwrap_or(pending);
        if pending.due <= now {
            return Some(level.commit(pending));
        }
        level.pending = Some(pending);
        None
    }

    /// Levels that have held for their time.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(InputId, Change)> {
        let mut changes = Vec::new();
        for (id, level) in &mut self.levels {
            if let Some(pending) = level.pending.filter(|p| p.due <= now) {
                changes.push((id.clone(), level.commit(pending)));
            }
        }
        changes.sort_by_key(|(_, change)| change.at);
        changes
    }

    /// The main loop stood still: what waits must hold anew, for the end of it may wait in the queue. A release
    /// that waits counts as it is: else the next press would be taken for a bounce of the one before.
    pub(crate) fn after_gap(&mut self, now: Instant) {
        for level in self.levels.values_mut() {
            if let Some(pending) = level.pending.as_mut().filter(|pending| pending.active) {
                pending.late = true;
                pending.due = now + LATE_HOLD.max(level.debounce.max(level.press));
            }
        }
    }

    /// Inputs that have been active for too long, each once.
    pub(crate) fn newly_stuck(&mut self, now: Instant) -> Vec<InputId> {
        let mut stuck = Vec::new();
        for (id, level) in &mut self.levels {
            if !level.stuck && level.active_since.is_some_and(|since| now >= since + STUCK) {
                level.stuck = true;
                stuck.push(id.clone());
            }
        }
        stuck
    }

    /// Ends the stuck state of an input that is inactive again; true if it was stuck.
    pub(crate) fn unstick(&mut self, input: &InputId) -> bool {
        match self.levels.get_mut(input) {
            Some(level) if level.stuck && level.active_since.is_none() => {
                level.stuck = false;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The records say that it is stuck: its next reading tells whether it still is.
    pub(crate) fn restore_stuck(&mut self, input: &InputId) {
        if let Some(level) = self.levels.get_mut(input) {
            level.stuck = true;
        }
    }

    pub(crate) fn is_stuck(&self, input: &InputId) -> bool {
        self.levels.get(input).is_some_and(|l| l.stuck)
    }

    /// Nobody reads it any more.
    pub(crate) fn lose(&mut self, input: &InputId) {
        if let Some(level) = self.levels.get_mut(input) {
            (level.pending, level.unread) = (None, true);
        }
    }

    /// The level that counts at this moment, if somebody reads it.
    pub(crate) fn current(&self, input: &InputId) -> Option<bool> {
        self.levels
            .get(input)
            .filter(|l| !l.unread)
            .and_then(|l| l.stable)
    }

    /// The level that counted last, if it was ever read.
    pub(crate) fn level(&self, input: &InputId) -> Option<bool> {
        self.levels.get(input).and_then(|l| l.stable)
    }

    /// Active, and not just found so at a first reading.
    pub(crate) fn is_pressed(&self, input: &InputId) -> bool {
        self.levels
            .get(input)
            .is_some_and(|l| l.armed && l.stable == Some(true))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.levels
            .values()
            .flat_map(|level| {
                let stuck = level
                    .active_since
                    .filter(|_| !level.stuck)
                    .map(|since| since + STUCK);
                [level.pending.map(|p| p.due), stuck]
            })
            .flatten()
            .min()
    }
}

impl Level {
    fn commit(&mut self, pending: Pending) -> Change {
        let acts = pending.active && self.armed;
        self.pending = None;
        self.stable = Some(pending.active);
        self.armed = true;
        self.active_since = pending.active.then_some(pending.at);
        Change {
            active: pending.active,
            acts,
            at: pending.at,
            initial: false,
            late: pending.late,
            simulated: pending.simulated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000_000);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn bell() -> InputId {
        InputId::new("bell").expect("a name")
    }

    fn levels(debounce: Duration) -> Levels {
        let params = InputParams {
            debounce,
            simulated: false,
        };
        let mut levels = Levels::default();
        levels.configure(&BTreeMap::new(), &BTreeMap::from([(bell(), params)]));
        levels
    }

    fn edge(levels: &mut Levels, at: Instant, active: bool, initial: bool) -> Option<Change> {
        levels.reading(at, at, &bell(), Edge { active, initial }, false, false)
    }

    #[test]
    fn a_level_that_was_active_from_the_start_acts_only_after_it_was_inactive() {
        let mut levels = levels(ms(0));
        assert!(!edge(&mut levels, T0, true, true).expect("state").acts);
        assert_eq!(edge(&mut levels, T0 + ms(1), true, false), None);
        assert!(!edge(&mut levels, T0 + ms(2), false, false).expect("change").acts);
        assert!(edge(&mut levels, T0 + ms(3), true, false).expect("change").acts);
        // A reconnect makes it state again.
        assert!(!edge(&mut levels, T0 + ms(4), true, true).expect("state").acts);
    }

    #[test]
    fn the_first_reading_is_state_even_if_the_driver_calls_it_an_edge() {
        let mut levels = levels(ms(0));
        let change = edge(&mut levels, T0, true, false).expect("state");
        assert!(change.initial && !change.acts);
    }

    #[test]
    fn a_bouncing_contact_counts_once_when_it_has_settled() {
        let mut levels = levels(ms(30));
        edge(&mut levels, T0, false, true);
        for n in 1..10_u64 {
            assert_eq!(edge(&mut levels, T0 + ms(n), n % 2 == 1, false), None);
        }
        assert_eq!(levels.poll_timeout(), Some(T0 + ms(39)));
        assert_eq!(levels.due(T0 + ms(38)), []);
        let due = levels.due(T0 + ms(39));
        assert!(due.len() == 1 && due[0].1.acts);
        assert_eq!(levels.due(T0 + ms(100)), []);
    }

    #[test]
    fn a_late_press_that_was_released_meanwhile_never_counts() {
        let mut levels = levels(ms(0));
        edge(&mut levels, T0, false, true);
        let now = T0 + ms(9000);
        let press = Edge {
            active: true,
            initial: false,
        };
        let release = Edge {
            active: false,
            initial: false,
        };
        assert_eq!(
            levels.reading(now, T0 + ms(10), &bell(), press, true, false),
            None
        );
        assert_eq!(
            levels.reading(now, T0 + ms(20), &bell(), release, true, false),
            None
        );
        assert_eq!(levels.due(now + ms(100)), []);
        // One that is still held counts, marked as late.
        levels.reading(now, T0 + ms(30), &bell(), press, true, false);
        let due = levels.due(now + ms(50));
        assert!(due.len() == 1 && due[0].1.late);
    }

    #[test]
    fn a_press_right_after_a_gap_counts_though_the_release_before_it_still_settled() {
        let mut levels = levels(ms(20));
        edge(&mut levels, T0, false, true);
        edge(&mut levels, T0 + ms(100), true, false);
        assert_eq!(levels.due(T0 + ms(120)).len(), 1);
        edge(&mut levels, T0 + ms(400), false, false);
        let end = T0 + ms(2400);
        levels.after_gap(end);
        let due = levels.due(end);
        assert!(due.len() == 1 && !due[0].1.active, "{due:?}");
        edge(&mut levels, end + ms(5), true, false);
        let due = levels.due(end + ms(25));
        assert!(due.len() == 1 && due[0].1.acts, "{due:?}");
    }

    #[test]
    fn what_is_not_read_any_more_is_unknown_and_its_next_reading_is_state() {
        let mut levels = levels(ms(0));
        edge(&mut levels, T0, false, true);
        levels.lose(&bell());
        assert_eq!(
            (levels.current(&bell()), levels.level(&bell())),
            (None, Some(false))
        );
        let change = edge(&mut levels, T0 + ms(5), true, false).expect("state");
        assert!(change.initial && !change.acts);
        assert_eq!(levels.current(&bell()), Some(true));
    }

    #[test]
    fn another_debouncing_time_forgets_no_level() {
        let mut levels = levels(ms(0));
        edge(&mut levels, T0, false, true);
        let with = |debounce, simulated| BTreeMap::from([(bell(), InputParams { debounce, simulated })]);
        levels.configure(&with(ms(0), false), &with(ms(30), false));
        assert_eq!(levels.current(&bell()), Some(false));
        assert_eq!(edge(&mut levels, T0 + ms(1), true, false), None);
        assert_eq!(levels.poll_timeout(), Some(T0 + ms(31)));
        levels.configure(&with(ms(30), false), &with(ms(30), true));
        assert_eq!(levels.current(&bell()), None);
    }

    #[test]
    fn a_held_input_is_stuck_after_ten_minutes_and_comes_back() {
        let mut levels = levels(ms(0));
        edge(&mut levels, T0, false, true);
        edge(&mut levels, T0 + ms(1), true, false);
        assert_eq!(levels.newly_stuck(T0 + STUCK), []);
        assert_eq!(levels.newly_stuck(T0 + ms(1) + STUCK), [bell()]);
        assert_eq!(levels.newly_stuck(T0 + STUCK + STUCK), []);
        assert!(levels.is_stuck(&bell()) && !levels.unstick(&bell()));
        edge(&mut levels, T0 + STUCK + ms(2), false, false);
        assert!(levels.unstick(&bell()) && !levels.is_stuck(&bell()));
    }
}
