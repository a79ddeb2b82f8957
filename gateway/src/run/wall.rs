//! Can the wall clock be believed? It is compared with `CLOCK_BOOTTIME` at each turn of the main loop.
//!
//! It is not believed when it shows a time before this program was written, before the journal's last record, or before
//! a time that it showed when it was believed; and for [`STEADY`] after it jumped by more than [`FAR_MS`]. What is limited
//! in time waits meanwhile: whoever turns the clock back revives no code that has expired. A clock that is too early is
//! believed once it has caught up, once a time service has kept it right for [`STEADY`], or [`STEADY`] after an operator
//! has set it by `doorline time set`. Slewing is no jump.
//!
//! Where the site file asks for it, it is also not believed unless a time service keeps it right, which the kernel knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gateway_core::{Instant, Timestamp};
use gateway_network::clock::{self, Sync};
use tokio::sync::watch;

use crate::run::proven::Witness;

/// A jump of this many ms or more is journalled.
const STEP_MS: i64 = 1000;
/// A jump of more than this many ms makes the clock untrusted.
const FAR_MS: i64 = 60_000;
/// For so long after a far jump.
const STEADY: Duration = Duration::from_secs(60);
/// Two readings of one clock, around one of the other, that are further apart say nothing.
const APART: Duration = Duration::from_millis(100);
/// 2025-01-01T00:00:00Z: no machine ran this program before.
pub(crate) const WRITTEN_S: i64 = 1_735_689_600;
/// How much earlier than it was the clock may be: clocks are slewed back, too.
const BACK_S: i64 = 60;

/// How often the kernel is asked about the time service.
const ASK: Duration = Duration::from_secs(1);

/// What the core is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// How far it jumped, signed.
    pub(crate) step_ms: i64,
    /// Is it believed from here on?
    pub(crate) trusted: bool,
}

/// The watch over the wall clock.
pub(crate) struct WallWatch {
    /// Believed only from this date on.
    floor: Timestamp,
    /// Since when a time service keeps a clock right that is before that date.
    kept_right: Option<Instant>,
    /// Both clocks at the last look.
    last: Option<(Instant, Timestamp)>,
    /// When the last far jump was.
    jumped: Option<Instant>,
    service: Service,
    trusted: bool,
}

/// What is known of the clock: can it be believed? `None` until it was looked at.
pub(crate) type Trust = watch::Receiver<Option<bool>>;

/// What is asked of a time service, and how it does. Cheap to clone: the site file's wish is shared.
#[derive(Clone)]
pub(crate) struct Service {
    /// Asks the kernel.
    ask: fn() -> Option<Sync>,
    asked: Option<Instant>,
    by_hand: Arc<AtomicBool>,
    /// How often an operator has set the clock.
    hands: Arc<AtomicU64>,
    required: Arc<AtomicBool>,
    synchronised: bool,
}

impl Service {
    /// As the kernel has it.
    pub(crate) fn new(required: bool) -> Self {
        Self {
            ask: clock::sync,
            asked: None,
            by_hand: Arc::new(AtomicBool::new(false)),
            hands: Arc::new(AtomicU64::new(0)),
            required: Arc::new(AtomicBool::new(required)),
            synchronised: true,
        }
    }

    /// Takes another wish of the site file.
    pub(crate) fn require(&self, required: bool) {
        self.required.store(required, Ordering::Relaxed);
    }

    /// An operator has set the clock: what it showed before counts no more.
    pub(crate) fn set_by_hand(&self) {
        self.by_hand.store(true, Ordering::Relaxed);
        self.set_before();
    }

    /// An operator had set it before this start, which the watch knows already.
    pub(crate) fn set_before(&self) {
        self.hands.fetch_add(1, Ordering::Relaxed);
    }

    /// What speaks for a clock that is `believed` or not, by the kernel's word at this moment.
    pub(crate) fn witness(&self, believed: bool) -> Witness {
        Witness {
            believed,
            by_hand: self.hands.load(Ordering::Relaxed),
            served: (self.ask)().is_some_and(|sync| sync.synchronised),
        }
    }

    /// May the clock be believed as far as the service goes?
    fn allows(&mut self, now: Instant) -> bool {
        if !self.required.load(Ordering::Relaxed) {
            self.asked = None;
            return true;
        }
        self.keeps_right(now)
    }

    /// Does a service keep the clock right? Asked once a second.
    fn keeps_right(&mut self, now: Instant) -> bool {
        if self.asked.is_none_or(|at| now.since(at) >= ASK) {
            self.asked = Some(now);
            // a kernel that does not tell vouches for nothing
            self.synchronised = (self.ask)().is_some_and(|sync| sync.synchronised);
        }
        self.synchronised
    }
}

impl WallWatch {
    /// `newest` is the date of the journal's last record.
    pub(crate) fn new(newest: Option<Timestamp>, service: Service) -> Self {
        let second = newest.map_or(i64::MIN, |at| at.as_second().saturating_sub(BACK_S));
        Self {
            floor: date(second.max(WRITTEN_S)),
            kept_right: None,
            last: None,
            jumped: None,
            service,
            trusted: true,
        }
    }

    /// Looks at the clock: `wall` was read after `before` and before `after`.
    pub(crate) fn look(&mut self, before: Instant, wall: Timestamp, after: Instant) -> Option<Step> {
        if after.since(before) > APART {
            // frozen in between: nobody knows which of the two times belongs to the date
            return None;
        }
        let step_ms = self.last.replace((before, wall)).map_or(0, |(then, told)| {
            let passed = i64::try_from(before.since(then).as_millis()).unwrap_or(i64::MAX);
            let by_wall = wall.as_millisecond().saturating_sub(told.as_millisecond());
            by_wall.saturating_sub(passed)
        });
        let step_ms = if step_ms.abs() < STEP_MS { 0 } else { step_ms };
        if step_ms.abs() > FAR_MS {
            self.jumped = Some(before);
        }
        self.jumped = self.jumped.filter(|at| before.since(*at) < STEADY);
        let served = self.service.allows(before);
        if self.service.by_hand.swap(false, Ordering::Relaxed) {
            self.begin_at(wall);
        }
        self.lower_floor(before, wall);
        let trusted = wall >= self.floor && self.jumped.is_none() && served;
        let news = step_ms != 0 || trusted != self.trusted;
        self.trusted = trusted;
        if trusted {
            self.floor = self.floor.max(date(wall.as_second().saturating_sub(BACK_S)));
        }
        news.then_some(Step { step_ms, trusted })
    }

    /// A time service that has kept the clock right for a while knows better than what it showed before.
    fn lower_floor(&mut self, now: Instant, wall: Timestamp) {
        let early = wall < self.floor && self.jumped.is_none();
        if !early || !self.service.keeps_right(now) {
            self.kept_right = None;
            return;
        }
        if now.since(*self.kept_right.get_or_insert(now)) >= STEADY {
            self.begin_at(wall);
        }
    }

    /// Believes nothing that is older than this, or than the program.
    fn begin_at(&mut self, wall: Timestamp) {
        self.floor = date(wall.as_second().saturating_sub(BACK_S).max(WRITTEN_S));
    }

    /// Is it believed? `None` before it was looked at.
    pub(crate) fn trusted(&self) -> Option<bool> {
        self.last.is_some().then_some(self.trusted)
    }

    /// Why the clock is not believed, if that lasts: it is behind, or no time service keeps it right.
    pub(crate) fn unserved(&self) -> Option<String> {
        if self.last.is_some_and(|(_, wall)| wall < self.floor) {
            return Some(format!(
                "the clock shows a time before {}, which is past by the journal or by the clock itself: it is believed from \
                 then on, or a minute after a time service has set it right; look at doorline time show, and where no \
                 service runs set it by doorline time set",
                self.floor
            ));
        }
        let unserved = self.service.required.load(Ordering::Relaxed) && !self.service.synchronised;
        unserved.then(|| {
            "no time service keeps the clock right, and the site file says require-sync: look at timedatectl or \
             chronyc tracking, and whether the time server is reached"
                .to_owned()
        })
    }
}

/// What the clock shows at a start, if it is believed at once: a time service is not waited for where the site file wants one.
pub(crate) fn at_start(wall: Timestamp, newest: Option<Timestamp>, require_sync: bool) -> Option<Timestamp> {
    let mut watch = WallWatch::new(newest, Service::new(false));
    watch.look(Instant::ZERO, wall, Instant::ZERO);
    (watch.trusted && !require_sync).then_some(wall)
}

fn date(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const NOW: i64 = WRITTEN_S + 700 * DAY;

    /// Looks `s` seconds after the start, when the clock shows `shown`.
    fn look(watch: &mut WallWatch, s: u64, shown: i64) -> Option<(i64, bool)> {
        let now = Instant::from_nanos(1_000_000_000) + Duration::from_secs(s);
        watch
            .look(now, date(shown), now)
            .map(|step| (step.step_ms, step.trusted))
    }

    #[test]
    fn a_clock_that_runs_is_no_news_and_a_small_jump_is_told_and_believed() {
        let mut watch = WallWatch::new(Some(date(NOW - 5)), Service::new(false));
        for s in 0..100 {
            assert_eq!(look(&mut watch, s, NOW + i64::try_from(s).expect("small")), None);
        }
        assert_eq!(look(&mut watch, 100, NOW + 130), Some((30_000, true)));
        assert_eq!(look(&mut watch, 101, NOW + 131), None);
        assert_eq!(look(&mut watch, 102, NOW + 130), Some((-2000, true)));
    }

    #[test]
    fn a_far_jump_ahead_is_believed_only_after_a_steady_minute() {
        let mut watch = WallWatch::new(None, Service::new(false));
        assert_eq!(look(&mut watch, 0, NOW), None);
        assert_eq!(look(&mut watch, 1, NOW + DAY + 1), Some((DAY * 1000, false)));
        assert_eq!(look(&mut watch, 60, NOW + DAY + 60), None);
        assert_eq!(watch.unserved(), None);
        assert_eq!(look(&mut watch, 61, NOW + DAY + 61), Some((0, true)));
    }

    /// A watch over a machine of which the kernel says what is set.
    fn asking_the_kernel(required: bool) -> (WallWatch, Service) {
        let service = Service {
            ask: kernel,
            ..Service::new(required)
        };
        (WallWatch::new(None, service.clone()), service)
    }

    #[test]
    fn a_clock_that_was_turned_back_is_believed_when_it_has_caught_up() {
        let (mut watch, _) = asking_the_kernel(false);
        assert_eq!(look(&mut watch, 0, NOW), None);
        assert_eq!(look(&mut watch, 1, NOW - DAY + 1), Some((-DAY * 1000, false)));
        assert_eq!(look(&mut watch, 3600, NOW - DAY + 3600), None);
        assert!(
            watch
                .unserved()
                .is_some_and(|text| text.contains("doorline time show"))
        );
        assert_eq!(look(&mut watch, 86_339, NOW - DAY + 86_339), None);
        assert_eq!(look(&mut watch, 86_340, NOW - DAY + 86_340), Some((0, true)));
        assert_eq!(watch.unserved(), None);
    }

    #[test]
    fn a_clock_that_is_turned_back_little_by_little_is_turned_back() {
        let (mut watch, _) = asking_the_kernel(false);
        assert_eq!(look(&mut watch, 0, NOW), None);
        assert_eq!(look(&mut watch, 1, NOW - 39), Some((-40_000, true)));
        assert_eq!(look(&mut watch, 2, NOW - 78), Some((-40_000, false)));
    }

    #[test]
    fn a_clock_that_a_time_service_turned_back_is_believed_after_a_minute_of_that() {
        let (mut watch, _) = asking_the_kernel(false);
        assert_eq!(look(&mut watch, 0, NOW), None);
        assert_eq!(look(&mut watch, 1, NOW - DAY + 1), Some((-DAY * 1000, false)));
        assert_eq!(look(&mut watch, 90, NOW - DAY + 90), None);
        KERNEL.set(Some(true));
        assert_eq!(look(&mut watch, 100, NOW - DAY + 100), None);
        KERNEL.set(Some(false));
        assert_eq!(look(&mut watch, 150, NOW - DAY + 150), None);
        KERNEL.set(Some(true));
        assert_eq!(look(&mut watch, 160, NOW - DAY + 160), None);
        assert_eq!(look(&mut watch, 219, NOW - DAY + 219), None);
        assert_eq!(look(&mut watch, 220, NOW - DAY + 220), Some((0, true)));
        // never before the program was written
        assert_eq!(
            look(&mut watch, 221, 221),
            Some(((221 - (NOW - DAY + 221)) * 1000, false))
        );
        assert_eq!(look(&mut watch, 400, 400), None);
    }

    #[test]
    fn a_clock_that_an_operator_turned_back_is_believed_after_a_steady_minute() {
        let (mut watch, service) = asking_the_kernel(false);
        let ahead = 365 * DAY;
        assert_eq!(look(&mut watch, 0, NOW + ahead), None);
        assert_eq!(look(&mut watch, 1, NOW + 1), Some((-ahead * 1000, false)));
        service.set_by_hand();
        assert_eq!(look(&mut watch, 2, NOW + 2), None);
        assert_eq!(watch.unserved(), None);
        assert_eq!(look(&mut watch, 61, NOW + 61), Some((0, true)));
        // once, and for this time only
        assert_eq!(look(&mut watch, 62, NOW - DAY + 62), Some((-DAY * 1000, false)));
        assert_eq!(look(&mut watch, 200, NOW - DAY + 200), None);
        // never before the program was written
        service.set_by_hand();
        assert_eq!(look(&mut watch, 201, 201), Some((-(NOW - DAY) * 1000, false)));
        assert_eq!(look(&mut watch, 400, 400), None);
    }

    #[test]
    fn a_clock_that_starts_at_the_epoch_is_believed_once_it_was_set() {
        let mut watch = WallWatch::new(None, Service::new(false));
        assert_eq!(watch.trusted(), None);
        assert_eq!(look(&mut watch, 0, 0), Some((0, false)));
        assert_eq!(watch.trusted(), Some(false));
        assert_eq!(look(&mut watch, 3600, 3600), None);
        assert_eq!(look(&mut watch, 3601, NOW), Some(((NOW - 3601) * 1000, false)));
        assert_eq!(look(&mut watch, 3661, NOW + 60), Some((0, true)));
        assert_eq!(watch.trusted(), Some(true));
    }

    #[test]
    fn what_the_clock_shows_at_a_start_counts_if_it_is_believed_at_once() {
        let at = |shown, newest: i64, sync| at_start(date(shown), Some(date(newest)), sync);
        assert_eq!(at(NOW, NOW - DAY, false), Some(date(NOW)));
        assert_eq!(at(NOW, NOW - DAY, true), None);
        assert_eq!(at(NOW, NOW + DAY, false), None);
        assert_eq!(at_start(date(0), None, false), None);
    }

    #[test]
    fn a_clock_that_starts_before_the_journals_last_record_is_believed_once_it_caught_up() {
        let mut watch = WallWatch::new(Some(date(NOW + 1000)), Service::new(false));
        assert_eq!(look(&mut watch, 0, NOW), Some((0, false)));
        assert_eq!(look(&mut watch, 939, NOW + 939), None);
        assert_eq!(look(&mut watch, 940, NOW + 940), Some((0, true)));
    }

    thread_local! {
        static KERNEL: std::cell::Cell<Option<bool>> = const { std::cell::Cell::new(None) };
    }

    fn kernel() -> Option<Sync> {
        KERNEL.get().map(|synchronised| Sync {
            max_error_us: 1000,
            synchronised,
        })
    }

    #[test]
    fn where_it_is_asked_for_the_clock_is_believed_while_a_service_keeps_it_right() {
        let (mut watch, wish) = asking_the_kernel(true);
        // the kernel does not tell
        assert_eq!(look(&mut watch, 0, NOW), Some((0, false)));
        assert!(watch.unserved().is_some_and(|text| text.contains("timedatectl")));
        KERNEL.set(Some(true));
        assert_eq!(look(&mut watch, 1, NOW + 1), Some((0, true)));
        assert_eq!(watch.unserved(), None);
        KERNEL.set(Some(false));
        assert_eq!(look(&mut watch, 2, NOW + 2), Some((0, false)));
        // nobody asks for it any more
        wish.require(false);
        assert_eq!(look(&mut watch, 3, NOW + 3), Some((0, true)));
        assert_eq!(watch.unserved(), None);
        wish.require(true);
        assert_eq!(look(&mut watch, 4, NOW + 4), Some((0, false)));
        // a service does not make a jump believed sooner
        KERNEL.set(Some(true));
        assert_eq!(look(&mut watch, 5, NOW + DAY + 5), Some((DAY * 1000, false)));
        assert_eq!(look(&mut watch, 65, NOW + DAY + 65), Some((0, true)));
    }

    #[test]
    fn a_freeze_between_the_two_readings_is_no_jump() {
        let mut watch = WallWatch::new(None, Service::new(false));
        let t = |s| Instant::from_nanos(1_000_000_000) + Duration::from_secs(s);
        assert_eq!(watch.look(t(0), date(NOW), t(0)), None);
        // the date was read before or after the freeze of an hour
        assert_eq!(watch.look(t(1), date(NOW + 3601), t(3601)), None);
        assert_eq!(watch.look(t(3602), date(NOW + 3602), t(3602)), None);
    }
}
