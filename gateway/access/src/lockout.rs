//! Wrong tries lock their source for a growing time.
//!
//! The map is bounded. A stranger may push out the oldest source that is not locked, which is counted; a locked
//! source is never pushed out, and when all are locked, strangers share one count.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use gateway_core::{AccountId, Instant, ReaderId};

use crate::policy::{Limits, Throttle};

/// Longest caller or client text that is kept apart from others; the rest is cut.
const SOURCE_LEN: usize = 160;

/// Where wrong tries come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// All in calls through this account, or of direct peers, who have no number.
    Anonymous(Option<AccountId>),
    /// The other side of a call, by an address the network vouches for.
    Caller(String),
    /// An API, web, MQTT or command line client, by its subject.
    Client(String),
    /// The keypad of a reader.
    Keypad(ReaderId),
    /// Everybody for whom there is no room, and callers nobody vouches for.
    Others,
    /// A card reader.
    Reader(ReaderId),
}

impl Locked {
    /// For how long, in whole seconds that have begun.
    #[must_use]
    pub fn lock_s(&self) -> u64 {
        u64::try_from(self.left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

impl Source {
    pub(crate) fn caller(address: &str) -> Self {
        Self::Caller(cut(address))
    }

    pub(crate) fn client(subject: &str) -> Self {
        Self::Client(cut(subject))
    }

    /// Used by many persons, so that a success of one does not clear the tries of another.
    const fn shared(&self) -> bool {
        match self {
            Self::Anonymous(_) | Self::Keypad(_) | Self::Others | Self::Reader(_) => true,
            Self::Caller(_) | Self::Client(_) => false,
        }
    }

    /// Where it is, without who it is: `anonymous`, `anonymous:…`, `caller`, `client`, `keypad:…`, `reader:…`, `others`. What names a person is told
    /// apart from it, so that they can be erased.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Caller(_) => "caller".to_owned(),
            Self::Client(_) => "client".to_owned(),
            Self::Anonymous(_) | Self::Keypad(_) | Self::Others | Self::Reader(_) => self.to_string(),
        }
    }

    const fn throttle(&self, limits: &Limits) -> Throttle {
        match self {
            Self::Reader(_) => limits.cards,
            Self::Anonymous(_) | Self::Caller(_) | Self::Client(_) | Self::Keypad(_) | Self::Others => {
                limits.codes
            }
        }
    }
}

/// What came of digits that were dialled for something that is no door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// They do not count, right or wrong.
    Locked(Locked),
    /// They are right.
    Right,
    /// They are wrong, and whoever dialled them is locked out if so many were.
    Wrong(Option<Locked>),
}

/// What is locked out from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Wrong tries in a row.
    pub failures: u32,
    /// For how long.
    pub left: Duration,
    /// What: all others, if there is no room to tell them apart.
    pub source: Source,
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(SOURCE_LEN)
        .collect()
}

/// `anonymous:…` or `anonymous`, `caller:…`, `client:…`, `keypad:…`, `reader:…`, `others`: for the journal.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous(None) => f.write_str("anonymous"),
            Self::Anonymous(Some(v)) => write!(f, "anonymous:{v}"),
            Self::Caller(v) => write!(f, "caller:{v}"),
            Self::Client(v) => write!(f, "client:{v}"),
            Self::Keypad(v) => write!(f, "keypad:{v}"),
            Self::Others => f.write_str("others"),
            Self::Reader(v) => write!(f, "reader:{v}"),
        }
    }
}

/// A text that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} names no source of tries: expected anonymous, caller:, client:, keypad:, reader: or others"
)]
pub struct SourceError {
    /// What was found.
    pub found: String,
}

impl FromStr for Source {
    type Err = SourceError;
    fn from_str(text: &str) -> Result<Self, SourceError> {
        let bad = || SourceError {
            found: text.chars().take(60).collect(),
        };
        match text {
            "anonymous" => return Ok(Self::Anonymous(None)),
            "others" => return Ok(Self::Others),
            _ => {}
        }
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        match kind {
            "anonymous" => AccountId::new(rest)
                .map(|account| Self::Anonymous(Some(account)))
                .map_err(|_| bad()),
            "caller" => Ok(Self::caller(rest)),
            "client" => Ok(Self::client(rest)),
            "keypad" => ReaderId::new(rest).map(Self::Keypad).map_err(|_| bad()),
            "reader" => ReaderId::new(rest).map(Self::Reader).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

/// The lock-out state of one source, for keeping across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOut {
    /// Wrong tries in a row.
    pub failures: u32,
    /// How long it is locked still; zero if it is not.
    pub left: Duration,
    /// Which.
    pub source: Source,
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    failures: u32,
    last: Instant,
    locked_until: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct LockOuts {
    by_source: BTreeMap<Source, Tries>,
    pub(crate) evicted: u64,
    pub(crate) revision: u64,
}

impl LockOuts {
    /// How long the source is locked still.
    pub(crate) fn left(&self, now: Instant, limits: &Limits, source: &Source) -> Option<Duration> {
        let tries = match self.by_source.get(source) {
            Some(tries) => tries,
            None if self.has_room(now, limits) => return None,
            None => self.by_source.get(&Source::Others)?,
        };
        Some(tries.locked_until.since(now)).filter(|left| !left.is_zero())
    }

    /// The lock of this source, if it is locked.
    pub(crate) fn locked(&self, now: Instant, limits: &Limits, source: &Source) -> Option<Locked> {
        let left = self.left(now, limits, source)?;
        let own = self.by_source.get_key_value(source);
        let (source, tries) = own.or_else(|| self.by_source.get_key_value(&Source::Others))?;
        Some(Locked {
            failures: tries.failures,
            left,
            source: source.clone(),
        })
    }

    /// Counts a wrong try; says what it locks, if it does.
    pub(crate) fn wrong(&mut self, now: Instant, limits: &Limits, source: Source) -> Option<Locked> {
        let source = self.place_for(now, limits, source);
        let throttle = source.throttle(limits);
        let tries = self.by_source.entry(source.clone()).or_insert(Tries {
            failures: 0,
            last: now,
            locked_until: Instant::ZERO,
        });
        tries.failures = tries.failures.saturating_add(1);
        tries.last = now;
        let beyond = tries.failures.saturating_sub(throttle.free_tries);
        if beyond > 0 {
            let doubled = 1_u32.checked_shl(beyond - 1).unwrap_or(u32::MAX);
            tries.locked_until = now + throttle.first.saturating_mul(doubled).min(throttle.max);
        }
        let (failures, left) = (tries.failures, tries.locked_until.since(now));
        self.revision += 1;
        (beyond > 0 && !left.is_zero()).then_some(Locked {
            failures,
            left,
            source,
        })
    }

    /// Forgives after a success: a person everything, a place where many come and go one try.
    pub(crate) fn right(&mut self, source: &Source) {
        let Some(tries) = self.by_source.get_mut(source) else {
            return;
        };
        tries.failures -= u32::from(tries.failures > 0);
        if tries.failures == 0 || !source.shared() {
            self.by_source.remove(source);
        }
        self.revision += 1;
    }

    /// Sources that still count, those locked longest first.
    pub(crate) fn export(&self, now: Instant) -> Vec<LockOut> {
        let mut all: Vec<_> = self
            .by_source
            .iter()
            .map(|(source, tries)| LockOut {
                failures: tries.failures,
                left: tries.locked_until.since(now),
                source: source.clone(),
            })
            .collect();
        all.sort_by_key(|lock| std::cmp::Reverse(lock.left));
        all
    }

    /// Adds restrictions of an earlier life; never shortens one.
    pub(crate) fn restore(&mut self, now: Instant, limits: &Limits, mut locks: Vec<LockOut>) {
        locks.sort_by_key(|lock| std::cmp::Reverse(lock.left));
        for lock in locks {
            let longest = lock.source.throttle(limits).max;
            let source = self.place_for(now, limits, lock.source);
            let tries = self.by_source.entry(source).or_insert(Tries {
                failures: 0,
                last: now,
                locked_until: Instant::ZERO,
            });
            tries.failures = tries.failures.max(lock.failures);
            tries.locked_until = tries.locked_until.max(now + lock.left.min(longest));
        }
        self.revision += 1;
    }

    fn forgettable(now: Instant, limits: &Limits, tries: &Tries) -> bool {
        tries.locked_until <= now && now.since(tries.last) > limits.forget_after
    }

    fn tracked(&self) -> usize {
        self.by_source.len() - usize::from(self.by_source.contains_key(&Source::Others))
    }

    fn has_room(&self, now: Instant, limits: &Limits) -> bool {
        let unlocked =
            |(source, tries): (&Source, &Tries)| *source != Source::Others && tries.locked_until <= now;
        self.tracked() < limits.max_sources || self.by_source.iter().any(unlocked)
    }

    /// The entry that counts for a source: its own, or that of all others if there is no room.
    fn place_for(&mut self, now: Instant, limits: &Limits, source: Source) -> Source {
        self.by_source
            .retain(|_, tries| !Self::forgettable(now, limits, tries));
        if source == Source::Others || self.by_source.contains_key(&source) {
            return source;
        }
        if self.tracked() < limits.max_sources {
            return source;
        }
        let oldest = self
            .by_source
            .iter()
            .filter(|(known, tries)| **known != Source::Others && tries.locked_until <= now)
            .min_by_key(|(_, tries)| tries.last)
            .map(|(known, _)| known.clone());
        match oldest {
            Some(oldest) => {
                self.by_source.remove(&oldest);
                self.evicted += 1;
                source
            }
            None => Source::Others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000_000);

    #[test]
    fn wrong_tries_lock_for_a_growing_and_bounded_time() {
        let limits = Limits::default();
        let mut locks = LockOuts::default();
        let source = client(1);
        let mut now = T0;
        let mut seen = Vec::new();
        for _ in 0..14 {
            let told = locks.wrong(now, &limits, source.clone());
            let left = locks.left(now, &limits, &source).unwrap_or_default();
            assert_eq!(told.map_or(Duration::ZERO, |locked| locked.left), left);
            seen.push(left.as_secs());
            now = now + left;
        }
        assert_eq!(seen, [0, 0, 0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(locks.left(now, &limits, &source), None, "a lock ends");
    }

    #[test]
    fn a_success_clears_a_person_and_forgives_a_place_one_try() {
        let limits = Limits::default();
        let mut locks = LockOuts::default();
        let keypad = Source::Keypad(ReaderId::new("front").expect("a name"));
        for source in [client(1), keypad.clone()] {
            for _ in 0..5 {
                locks.wrong(T0, &limits, source.clone());
            }
            locks.right(&source);
        }
        let kept: Vec<_> = locks
            .export(T0)
            .into_iter()
            .map(|l| (l.source, l.failures))
            .collect();
        assert_eq!(kept, [(keypad, 4)]);
    }

    #[test]
    fn old_tries_are_forgotten() {
        let limits = Limits::default();
        let mut locks = LockOuts::default();
        locks.wrong(T0, &limits, client(1));
        let later = T0 + limits.forget_after + Duration::from_secs(1);
        locks.wrong(later, &limits, client(2));
        assert_eq!(locks.export(later).len(), 1);
    }

    #[test]
    fn strangers_never_push_out_a_locked_source() {
        let limits = Limits {
            max_sources: 3,
            ..Limits::default()
        };
        let mut locks = LockOuts::default();
        for n in 0..3 {
            for _ in 0..6 {
                locks.wrong(T0, &limits, client(n));
            }
        }
        for n in 3..40 {
            locks.wrong(T0, &limits, client(n));
        }
        assert_eq!(locks.evicted, 0);
        for n in 0..3 {
            assert!(locks.left(T0, &limits, &client(n)).is_some());
        }
        assert!(
            locks.left(T0, &limits, &client(99)).is_some(),
            "strangers share one count"
        );
        assert_eq!(locks.export(T0).len(), 4);
    }

    #[test]
    fn the_oldest_idle_source_makes_room_and_is_counted() {
        let limits = Limits {
            max_sources: 2,
            ..Limits::default()
        };
        let mut locks = LockOuts::default();
        for n in 0..3 {
            locks.wrong(T0 + Duration::from_secs(n), &limits, client(n));
        }
        let kept: Vec<_> = locks.export(T0).into_iter().map(|l| l.source).collect();
        assert_eq!((kept, locks.evicted), (vec![client(1), client(2)], 1));
    }

    #[test]
    fn restored_locks_hold_and_round_trip_as_text() {
        let limits = Limits::default();
        let mut locks = LockOuts::default();
        for _ in 0..7 {
            locks.wrong(T0, &limits, Source::caller("sip:1000@pbx"));
        }
        let kept = locks.export(T0 + Duration::from_secs(5));
        assert_eq!(kept[0].left, Duration::from_secs(15));
        assert_eq!(kept[0].source.to_string().parse(), Ok(kept[0].source.clone()));
        let mut reborn = LockOuts::default();
        let start = Instant::from_nanos(7);
        reborn.restore(start, &limits, kept.clone());
        assert_eq!(reborn.export(start), kept);
    }

    fn client(n: u64) -> Source {
        Source::client(&format!("user:{n}"))
    }

    proptest! {
        #[test]
        fn the_map_stays_bounded(tries in prop::collection::vec((0_u64..30, 0_u64..200), 0..200), max in 0_usize..5) {
            let limits = Limits { max_sources: max, ..Limits::default() };
            let mut locks = LockOuts::default();
            let mut now = T0;
            for (who, wait) in tries {
                now = now + Duration::from_secs(wait);
                locks.wrong(now, &limits, client(who));
                prop_assert!(locks.tracked() <= max);
            }
        }

        #[test]
        fn source_texts_round_trip(text in "(anonymous|caller|client|keypad|reader):.{0,200}") {
            if let Ok(source) = text.parse::<Source>() {
                prop_assert_eq!(source.to_string().parse::<Source>(), Ok(source));
            }
        }
    }
}
