//! Schedules: named times on a quarter-hour grid, with holidays, exceptions and a time zone.
//!
//! A schedule is a set of local times; an instant is looked up by the local date and time that the time zone gives
//! it. So a quarter of an hour that a clock change skips never comes, and one that it repeats counts both times.
//! Of a date, the exception that names it counts, else (on a holiday) the lines for holidays, else those of its weekday.
//!
//! Without a believed wall clock nobody knows which quarter it is: then a schedule says [`InForce::Unknown`], and who
//! asks takes the stricter side.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{ScheduleId, Timestamp};
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

pub use text::{ExceptionLine, HolidayLine, ScheduleText, TimesLine};

/// Quarters of an hour in a day.
const QUARTERS: u8 = 96;
/// Longest way that [`Schedules::next_change`] looks ahead, in looks: a look covers a day that is all alike, else a
/// quarter of an hour. That is more than a year.
const LOOKS: usize = 800;

/// When something counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// At any time, whatever the clock says.
    #[default]
    Always,
    /// While a schedule is in force.
    In(ScheduleId),
    /// At no time.
    Never,
}

impl When {
    /// `always`, `never` or the name of a schedule, as the site file writes it.
    ///
    /// # Errors
    /// [`gateway_core::NameError`] if it is none of these.
    pub fn parse(text: &str) -> Result<Self, gateway_core::NameError> {
        Ok(match text {
            "always" => Self::Always,
            "never" => Self::Never,
            name => Self::In(ScheduleId::new(name)?),
        })
    }
}

/// As the site file writes it.
impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::In(id) => write!(f, "{id}"),
            Self::Never => f.write_str("never"),
        }
    }
}

/// Does it count?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// No.
    No,
    /// It depends on a wall clock that is not believed.
    Unknown,
    /// Yes.
    Yes,
}

/// A set of quarters of an hour of one day: quarter 0 begins at 00:00, quarter 95 at 23:45.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quarters(u128);

impl Quarters {
    /// No time of the day.
    pub const NONE: Self = Self(0);
    /// The whole day.
    pub const ALL: Self = Self((1 << QUARTERS) - 1);

    /// From quarter `begin` until the beginning of quarter `end`, 0 to 96.
    #[must_use]
    pub fn between(begin: u8, end: u8) -> Self {
        let one = |q| if q < QUARTERS { 1_u128 << q } else { 0 };
        Self((begin..end).map(one).fold(0, |all, q| all | q))
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn contains(self, quarter: u8) -> bool {
        self.0 >> quarter & 1 == 1
    }
}

/// One schedule: what counts on which date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    exceptions: Vec<ExceptionLine>,
    holiday: Quarters,
    holidays: Vec<HolidayLine>,
    /// Monday first.
    week: [Quarters; 7],
}

impl Schedule {
    /// A schedule of its lines. Of exceptions that name the same date the first counts; the check of a site file refuses them.
    #[must_use]
    pub fn new(times: &[TimesLine], holidays: Vec<HolidayLine>, exceptions: Vec<ExceptionLine>) -> Self {
        let mut schedule = Self {
            exceptions,
            holidays,
            ..Self::default()
        };
        for line in times {
            for (day, quarters) in schedule.week.iter_mut().enumerate() {
                if line.weekdays >> day & 1 == 1 {
                    *quarters = quarters.and(line.quarters);
                }
            }
            if line.holiday {
                schedule.holiday = schedule.holiday.and(line.quarters);
            }
        }
        schedule
    }

    /// Longest time for which it is in force in one go, by its weekdays alone: neither holidays nor exceptions count.
    /// `None` if it never ends.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        let quarters = || {
            let days = self.week.iter();
            days.flat_map(|day| (0..QUARTERS).map(|quarter| day.contains(quarter)))
        };
        if quarters().all(|on| on) {
            return None;
        }
        // twice round, for what goes on from Sunday to Monday
        let (mut run, mut longest) = (0_u64, 0);
        for on in quarters().chain(quarters()) {
            run = if on { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        Some(Duration::from_secs(longest * 900))
    }

    /// What counts on a local date.
    fn on(&self, date: Date) -> Quarters {
        if let Some(exception) = self.exceptions.iter().find(|e| e.names(date)) {
            return exception.quarters;
        }
        if self.holidays.iter().any(|h| h.names(date)) {
            return self.holiday;
        }
        let day = Weekday::to_monday_zero_offset(date.weekday());
        usize::try_from(day)
            .ok()
            .and_then(|day| self.week.get(day))
            .copied()
            .unwrap_or_default()
    }

    fn contains(&self, local: DateTime) -> bool {
        // hours 0 to 23 and minutes 0 to 59 by the type
        let quarter = local.hour() * 4 + local.minute() / 15;
        u8::try_from(quarter).is_ok_and(|quarter| self.on(local.date()).contains(quarter))
    }
}

/// Every schedule of a site, in its time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedules {
    by_id: BTreeMap<ScheduleId, Schedule>,
    zone: TimeZone,
}

impl Default for Schedules {
    fn default() -> Self {
        Self::new(TimeZone::UTC, BTreeMap::new())
    }
}

impl Schedules {
    /// Schedules in a time zone, which the caller has read from the machine's database.
    #[must_use]
    pub const fn new(zone: TimeZone, by_id: BTreeMap<ScheduleId, Schedule>) -> Self {
        Self { by_id, zone }
    }

    /// Does it count at this time? `wall` is `None` while the clock is not believed. A schedule that is not there is
    /// never in force.
    #[must_use]
    pub fn look(&self, when: &When, wall: Option<Timestamp>) -> InForce {
        let id = match when {
            When::Always => return InForce::Yes,
            When::Never => return InForce::No,
            When::In(id) => id,
        };
        let Some(schedule) = self.by_id.get(id) else {
            return InForce::No;
        };
        match wall {
            None => InForce::Unknown,
            Some(wall) if schedule.contains(self.local(wall)) => InForce::Yes,
            Some(_) => InForce::No,
        }
    }

    /// When the answer of [`look`](Self::look) changes next after `at`; `None` if it does not within a year.
    #[must_use]
    pub fn next_change(&self, when: &When, at: Timestamp) -> Option<Timestamp> {
        let When::In(id) = when else { return None };
        let schedule = self.by_id.get(id)?;
        let before = schedule.contains(self.local(at));
        let mut at = at;
        let mut jump = self.jump_after(at);
        for _ in 0..LOOKS {
            let local = self.local(at);
            let day = schedule.on(local.date());
            let alike = day == Quarters::ALL && before || day == Quarters::NONE && !before;
            let next = if alike {
                self.next_day(local.date())?
            } else {
                let into = i64::from(local.minute() % 15) * 60 + i64::from(local.second());
                Timestamp::from_second(at.as_second() + 900 - into).ok()?
            };
            // a clock change makes another local time without any quarter going by
            at = match jump {
                Some(jump_at) if jump_at <= next => {
                    jump = self.jump_after(jump_at);
                    jump_at
                }
                Some(_) | None => next,
            };
            if schedule.contains(self.local(at)) != before {
                return Some(at);
            }
        }
        None
    }

    /// The local date and time, for people.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.zone.to_datetime(at)
    }

    /// The time zone.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    fn jump_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.zone.following(at).next().map(|jump| jump.timestamp())
    }

    fn next_day(&self, date: Date) -> Option<Timestamp> {
        let midnight = date.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight());
        self.zone.to_timestamp(midnight).ok()
    }
}

#[cfg(test)]
mod tests;
