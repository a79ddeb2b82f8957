//! By which date something is too old. What is destroyed for its age does not come back, so that a clock which jumped ahead
//! must not decide it alone: a doubt keeps things for too long.
//!
//! The proven date goes on with the time that really passed (`CLOCK_BOOTTIME`), is never later than the wall clock, and takes
//! over what the wall clock shows only once a time service has kept that right for a while, or an operator has set it by
//! `doorline time set`. It goes back with a clock that was set back and is believed.
//!
//! There are two, which go on across restarts (see [`keep`]): time without power counts once a time service has confirmed it. For
//! the channels of notifications a minute of one does, for the journal a day. What the clock shows at a start is nothing that
//! speaks for it: it may have been set ahead shortly before, or while there was no power.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::{Clock, Instant, Timestamp};
use gateway_store::Store;

/// For so long a time service must have kept the clock right, for channels and for the journal.
const STEADY: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(24 * 3600)];
/// A jump of more than this between two looks begins the waiting anew.
const FAR: Duration = Duration::from_secs(60);

/// What speaks for the wall clock at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    /// It is believed, see [`wall`](super::wall).
    pub(crate) believed: bool,
    /// How often an operator has set it so far.
    pub(crate) by_hand: u64,
    /// A time service keeps it right.
    pub(crate) served: bool,
}

/// A date that is shown to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// A proven date, and when it was.
    base: Option<(Instant, Timestamp)>,
    /// An operator has set the clock, and it is not believed yet.
    by_hand: bool,
    /// How often an operator had set it at the last look.
    hands: u64,
    /// Since when a time service keeps it right, without a jump.
    kept_right: Option<Instant>,
    /// Both clocks at the last look.
    last: Option<(Instant, Timestamp)>,
    steady: Duration,
}

impl Proven {
    /// `base` is a date that was proven before `now`; without one the first date that is believed counts.
    pub(crate) fn new(now: Instant, base: Option<Timestamp>, steady: Duration) -> Self {
        Self {
            base: base.map(|at| (now, at)),
            by_hand: false,
            hands: 0,
            kept_right: None,
            last: None,
            steady,
        }
    }

    /// The date that is proven, not later than what the wall clock shows.
    pub(crate) fn date(&self, now: Instant, wall: Timestamp) -> Option<Timestamp> {
        self.reached(now).map(|reached| reached.min(wall))
    }

    /// The proven date by the time that passed alone.
    fn reached(&self, now: Instant) -> Option<Timestamp> {
        let (since, at) = self.base?;
        at.checked_add(now.since(since)).ok()
    }

    /// Looks at the clocks. Once a minute is enough.
    pub(crate) fn look(&mut self, now: Instant, wall: Timestamp, witness: Witness) {
        let jumped = self.last.replace((now, wall)).is_some_and(|(then, told)| {
            let expected = told.checked_add(now.since(then)).unwrap_or(Timestamp::MAX);
            wall.duration_since(expected).unsigned_abs() > FAR
        });
        let set = std::mem::replace(&mut self.hands, witness.by_hand) != witness.by_hand;
        // what an operator set is what is shown since, and no other time
        self.by_hand = set || (self.by_hand && !jumped);
        if jumped || !witness.served || !witness.believed {
            self.kept_right = None;
        } else {
            self.kept_right.get_or_insert(now);
        }
        if !witness.believed {
            return;
        }
        let kept = self
            .kept_right
            .is_some_and(|since| now.since(since) >= self.steady);
        let back = self.reached(now).is_none_or(|reached| wall < reached);
        if self.by_hand || kept || back {
            self.base = Some((now, wall));
            self.by_hand = false;
        }
    }
}

/// The two of them, shared.
#[derive(Clone)]
pub(crate) struct Dates {
    both: Arc<Mutex<[Proven; 2]>>,
    clock: Arc<dyn Clock>,
}

impl Dates {
    /// `newest` is the date of the journal's last record: that of an earlier version proves no more. `start` is what the clock
    /// shows, if it is believed at the start; it counts where nothing has happened before.
    pub(crate) fn new(
        store: &Store,
        clock: Arc<dyn Clock>,
        newest: Option<Timestamp>,
        start: Option<Timestamp>,
    ) -> Self {
        let now = clock.now();
        let [channels, journal] = STEADY;
        let before = kept(store).or(newest);
        let both = [
            Proven::new(now, before.or(start), channels),
            Proven::new(now, before, journal),
        ];
        Self {
            both: Arc::new(Mutex::new(both)),
            clock,
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Proven; 2]> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Proven::look`].
    pub(crate) fn look(&self, witness: Witness) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        for one in self.lock().iter_mut() {
            one.look(now, wall, witness);
        }
    }

    /// By which records of the journal are too old.
    pub(crate) fn of_journal(&self) -> Option<Timestamp> {
        let [_, journal] = &*self.lock();
        journal.date(self.clock.now(), self.clock.wall())
    }
}

impl gateway_notify::Proven for Dates {
    fn date(&self) -> Option<Timestamp> {
        let [channels, _] = &*self.lock();
        channels.date(self.clock.now(), self.clock.wall())
    }
}

/// Kind and key of the proven date among the journal's records.
const KIND: &str = "clock";
const KEY: &str = "proven";

/// What was proven before this start.
fn kept(store: &Store) -> Option<Timestamp> {
    let entry = store.records().get(KIND, KEY)?;
    entry.value["at"].as_str()?.parse().ok()
}

/// Keeps the journal's date across restarts. What is not taken is tried again with the next one; until then less is proven.
pub(crate) fn keep(store: &Store, at: Timestamp) {
    let value = serde_json::json!({ "at": at.to_string() });
    if let Err(error) = store.records().put(KIND, KEY, value, None) {
        tracing::debug!(%error, "the proven date is not kept yet");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_800_000_000;
    const BELIEVED: Witness = Witness {
        believed: true,
        by_hand: 0,
        served: false,
    };
    const SERVED: Witness = Witness {
        served: true,
        ..BELIEVED
    };

    fn mono(s: i64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_secs(s.unsigned_abs())
    }

    fn date(s: i64) -> Timestamp {
        Timestamp::from_second(s).expect("a date")
    }

    /// One that has NOW proven, with a time service wanted for an hour.
    fn proven() -> Proven {
        Proven::new(mono(0), Some(date(NOW)), Duration::from_secs(3600))
    }

    /// Looks each minute from one second to another, while the clock is `ahead` by so much.
    fn looks(of: &mut Proven, (from, to): (i64, i64), ahead: i64, witness: Witness) {
        for s in (from..=to).step_by(60) {
            of.look(mono(s), date(NOW + s + ahead), witness);
        }
    }

    /// How far ahead of the time that passed since NOW the proven date is.
    fn ahead(of: &Proven, s: i64, shown: i64) -> i64 {
        let at = of.date(mono(s), date(NOW + s + shown)).expect("proven");
        at.as_second() - NOW - s
    }

    #[test]
    fn a_jump_ahead_proves_nothing_however_long_it_is_believed() {
        let mut of = proven();
        looks(&mut of, (0, 600), 0, BELIEVED);
        assert_eq!(ahead(&of, 600, 0), 0);
        // at once, and without a look
        assert_eq!(ahead(&of, 603, 400 * DAY), 0);
        looks(&mut of, (660, 90 * DAY), 400 * DAY, BELIEVED);
        assert_eq!(ahead(&of, 90 * DAY, 400 * DAY), 0);
    }

    #[test]
    fn a_time_service_confirms_it_after_a_while_without_a_jump() {
        let mut of = proven();
        looks(&mut of, (0, 600), 0, SERVED);
        looks(&mut of, (660, 4200), 400 * DAY, SERVED);
        assert_eq!(ahead(&of, 4200, 400 * DAY), 0);
        // another jump begins anew
        looks(&mut of, (4260, 7800), 401 * DAY, SERVED);
        assert_eq!(ahead(&of, 7800, 401 * DAY), 0);
        // and so does a service that is away, or a clock that is not believed
        looks(&mut of, (7860, 7860), 401 * DAY, BELIEVED);
        looks(&mut of, (7920, 11_460), 401 * DAY, SERVED);
        let doubted = Witness {
            believed: false,
            ..SERVED
        };
        looks(&mut of, (11_520, 11_520), 401 * DAY, doubted);
        looks(&mut of, (11_580, 15_120), 401 * DAY, SERVED);
        assert_eq!(ahead(&of, 15_120, 401 * DAY), 0);
        looks(&mut of, (15_180, 15_180), 401 * DAY, SERVED);
        assert_eq!(ahead(&of, 15_180, 401 * DAY), 401 * DAY);
    }

    #[test]
    fn an_operator_confirms_what_was_set_once_it_is_believed_and_no_later_jump() {
        let set = Witness {
            by_hand: 1,
            ..BELIEVED
        };
        let doubted = Witness {
            believed: false,
            ..set
        };
        let mut of = proven();
        looks(&mut of, (0, 60), 0, BELIEVED);
        looks(&mut of, (120, 120), 200 * DAY, doubted);
        assert_eq!(ahead(&of, 120, 200 * DAY), 0);
        looks(&mut of, (180, 240), 200 * DAY, set);
        assert_eq!(ahead(&of, 240, 200 * DAY), 200 * DAY);
        looks(&mut of, (300, 7200), 400 * DAY, set);
        assert_eq!(ahead(&of, 7200, 400 * DAY), 200 * DAY);

        let mut of = proven();
        looks(&mut of, (0, 60), 200 * DAY, doubted);
        looks(&mut of, (120, 120), 400 * DAY, doubted);
        looks(&mut of, (180, 7200), 400 * DAY, set);
        assert_eq!(ahead(&of, 7200, 400 * DAY), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_it_back_and_time_goes_on_from_there() {
        let mut of = proven();
        looks(&mut of, (0, 60), 0, BELIEVED);
        assert_eq!(ahead(&of, 60, -DAY), -DAY);
        looks(&mut of, (120, 600), -DAY, BELIEVED);
        // ahead again: the day was not lived through
        looks(&mut of, (660, 7200), 0, BELIEVED);
        assert_eq!(ahead(&of, 7200, 0), -DAY);
        // one that is not believed says nothing
        let mut of = proven();
        let doubted = Witness {
            believed: false,
            ..BELIEVED
        };
        looks(&mut of, (0, 600), -DAY, doubted);
        assert_eq!(ahead(&of, 660, 0), 0);
    }

    /// Clocks that a test sets.
    struct Shown(Mutex<(Instant, Timestamp)>);

    impl Clock for Shown {
        fn now(&self) -> Instant {
            self.0.lock().expect("whole").0
        }

        fn wall(&self) -> Timestamp {
            self.0.lock().expect("whole").1
        }
    }

    #[test]
    fn a_restart_while_the_clock_is_ahead_makes_nothing_too_old_for_a_channel() {
        let open = || {
            let fake = gateway_store::fake::FakeIo::new();
            let opened = gateway_store::Store::open(std::path::Path::new("/state"), Default::default(), fake);
            opened.expect("opens").0
        };
        let store = open();
        keep(&store, date(NOW));
        // the last records have the wrong date, too
        let ahead = Some(date(NOW + 400 * DAY));
        let shown = |s: i64| Mutex::new((mono(s), date(NOW + s + 400 * DAY)));
        let clock = Arc::new(Shown(shown(0)));
        let dates = Dates::new(&store, Arc::clone(&clock) as Arc<dyn Clock>, ahead, ahead);
        let of_channels = || gateway_notify::Proven::date(&dates);
        assert_eq!(of_channels(), Some(date(NOW)));
        for s in (0..=3600).step_by(60) {
            *clock.0.lock().expect("whole") = (mono(s), date(NOW + s + 400 * DAY));
            dates.look(BELIEVED);
        }
        assert_eq!(of_channels(), Some(date(NOW + 3600)));
        // a minute of a time service says that it is right after all
        for s in [3660, 3720] {
            *clock.0.lock().expect("whole") = (mono(s), date(NOW + s + 400 * DAY));
            dates.look(SERVED);
        }
        assert_eq!(of_channels(), Some(date(NOW + 3720 + 400 * DAY)));
        // where nothing has happened before, the clock is all there is
        let dates = Dates::new(&open(), clock, None, ahead);
        assert_eq!(gateway_notify::Proven::date(&dates), ahead);
    }

    #[test]
    fn without_a_date_the_first_one_that_is_believed_counts() {
        let mut of = Proven::new(mono(0), None, Duration::from_secs(60));
        let doubted = Witness {
            believed: false,
            ..SERVED
        };
        of.look(mono(0), date(0), doubted);
        assert_eq!(of.date(mono(60), date(NOW)), None);
        of.look(mono(60), date(NOW + 60), BELIEVED);
        assert_eq!(ahead(&of, 120, 0), 0);
    }
}
