//! Lines of a schedule as people write them.
//!
//! ```text
//! mon-fri 08:00-12:00, 13:00-18:00      weekdays and times
//! sat,sun 09:00-13:00
//! daily 00:00-24:00                     every weekday
//! holiday closed                        what counts on holidays
//! 12-25   12-24..12-26                  a holiday of every year
//! 2026-04-03   2026-12-28..2027-01-03   holidays of one year
//! 2026-12-24 08:00-12:00                an exception
//! 2026-08-03..2026-08-21 closed
//! ```
//! Times lie on the quarter-hour grid; the end is not included and may be 24:00. `open` is the whole day.

use std::fmt;

use jiff::civil::{Date, date};

use super::{QUARTERS, Quarters};

/// A text that is no line of a schedule. The display says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{allowed}")]
pub struct ScheduleText {
    /// What is allowed in its place.
    pub allowed: String,
}

fn bad<T>(allowed: impl Into<String>) -> Result<T, ScheduleText> {
    Err(ScheduleText {
        allowed: allowed.into(),
    })
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_HINT: &str = "days such as mon, mon-fri, sat,sun, daily or holiday, then times such as 08:00-18:00";

/// Weekdays, holidays or both, with their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimesLine {
    pub(super) holiday: bool,
    pub(super) quarters: Quarters,
    /// Bit 0 is Monday.
    pub(super) weekdays: u8,
}

impl std::str::FromStr for TimesLine {
    type Err = ScheduleText;
    fn from_str(text: &str) -> Result<Self, ScheduleText> {
        let Some((days, times)) = text.trim().split_once(' ') else {
            return bad(DAY_HINT);
        };
        let mut line = Self {
            holiday: false,
            quarters: quarters(times)?,
            weekdays: 0,
        };
        for part in days.split(',') {
            match part {
                "daily" => line.weekdays |= 0x7f,
                "holiday" => line.holiday = true,
                _ => line.weekdays |= weekdays(part)?,
            }
        }
        Ok(line)
    }
}

/// A line that means the same; `mon,tue,wed` comes back as `mon-wed`.
impl fmt::Display for TimesLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut days: Vec<String> = Vec::new();
        if self.weekdays == 0x7f {
            days.push("daily".to_owned());
        } else {
            let set: Vec<usize> = (0..DAYS.len()).filter(|n| self.weekdays >> n & 1 == 1).collect();
            for run in set.chunk_by(|a, b| a + 1 == *b) {
                match *run {
                    [first, _, .., last] => days.push(format!("{}-{}", DAYS[first], DAYS[last])),
                    _ => days.extend(run.iter().map(|n| DAYS[*n].to_owned())),
                }
            }
        }
        if self.holiday {
            days.push("holiday".to_owned());
        }
        write!(f, "{} {}", days.join(","), self.quarters)
    }
}

/// As a line writes them: `08:00-12:00, 13:00-18:00`, `open` or `closed`.
impl fmt::Display for Quarters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ALL => return f.write_str("open"),
            Self::NONE => return f.write_str("closed"),
            _ => {}
        }
        let set: Vec<u8> = (0..QUARTERS).filter(|n| self.contains(*n)).collect();
        for (n, run) in set.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            let clock = |quarter: u8| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
            let between = if n == 0 { "" } else { ", " };
            write!(f, "{between}{}-{}", clock(*first), clock(last + 1))?;
        }
        Ok(())
    }
}

fn weekdays(text: &str) -> Result<u8, ScheduleText> {
    let day = |word: &str| DAYS.iter().position(|day| *day == word);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Some(first), Some(last)) = (day(first), day(last)) else {
        return bad(DAY_HINT);
    };
    // sat-mon goes over the end of the week
    let length = (last + 7 - first) % 7;
    Ok((0..=length).fold(0, |all, n| all | 1 << ((first + n) % 7)))
}

/// `08:00-12:00, 13:00-18:00`, `open` or `closed`.
fn quarters(text: &str) -> Result<Quarters, ScheduleText> {
    match text.trim() {
        "open" => return Ok(Quarters::ALL),
        "closed" => return Ok(Quarters::NONE),
        _ => {}
    }
    let mut all = Quarters::NONE;
    for part in text.split(',') {
        let ends = part.trim().split_once('-');
        let Some((begin, end)) = ends.and_then(|(b, e)| Some((quarter(b)?, quarter(e)?))) else {
            return bad(
                "times such as 08:00-18:00 on the quarter hour, several with commas, or open, or closed",
            );
        };
        if end <= begin {
            return bad(
                "times that end after they begin, at 24:00 at the latest; write a night as two lines: \
                 22:00-24:00 and, for the next day, 00:00-06:00",
            );
        }
        all = all.and(Quarters::between(begin, end));
    }
    Ok(all)
}

fn quarter(text: &str) -> Option<u8> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |text: &str| -> Option<u8> {
        let fits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let fits = hour <= 23 || (hour == 24 && minute == 0);
    (fits && minute < 60 && minute.is_multiple_of(15)).then(|| hour * 4 + minute / 15)
}

/// Holidays: days of every year, or of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolidayLine {
    first: Date,
    last: Date,
    /// The year is not meant; it is a leap year, so that each day of the calendar has its place.
    yearly: bool,
}

/// Any leap year.
const SOME_YEAR: i16 = 2000;

impl HolidayLine {
    pub(super) fn names(&self, day: Date) -> bool {
        if !self.yearly {
            return self.first <= day && day <= self.last;
        }
        let Ok(day) = day.with().year(SOME_YEAR).build() else {
            return false;
        };
        if self.first <= self.last {
            self.first <= day && day <= self.last
        } else {
            // over the turn of the year
            day >= self.first || day <= self.last
        }
    }
}

/// As the site file writes it.
impl fmt::Display for HolidayLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |day: Date| {
            let text = day.to_string();
            let without_year = text.get(5..).filter(|_| self.yearly);
            without_year.unwrap_or(&text).to_owned()
        };
        dates(f, &day(self.first), &day(self.last))
    }
}

fn dates(f: &mut fmt::Formatter<'_>, first: &str, last: &str) -> fmt::Result {
    if first == last {
        f.write_str(first)
    } else {
        write!(f, "{first}..{last}")
    }
}

const HOLIDAY_HINT: &str = "a day of every year (12-25), of one year (2026-04-03), or from one day to another with .. \
                            between, both of the same form";

impl std::str::FromStr for HolidayLine {
    type Err = ScheduleText;
    fn from_str(text: &str) -> Result<Self, ScheduleText> {
        let text = text.trim();
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let yearly = |text: &str| full_date(&format!("{SOME_YEAR}-{text}"));
        if let (Some(first), Some(last)) = (yearly(first), yearly(last)) {
            return Ok(Self {
                first,
                last,
                yearly: true,
            });
        }
        match (full_date(first), full_date(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self {
                first,
                last,
                yearly: false,
            }),
            (_, _) => bad(HOLIDAY_HINT),
        }
    }
}

/// Dates on which other times count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionLine {
    first: Date,
    last: Date,
    pub(super) quarters: Quarters,
}

impl ExceptionLine {
    pub(super) fn names(&self, day: Date) -> bool {
        self.first <= day && day <= self.last
    }

    /// A date that both name: of each date only one can say what counts.
    #[must_use]
    pub fn shares(&self, other: &Self) -> Option<Date> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(first)
    }
}

/// As the site file writes it.
impl fmt::Display for ExceptionLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dates(f, &self.first.to_string(), &self.last.to_string())?;
        write!(f, " {}", self.quarters)
    }
}

impl std::str::FromStr for ExceptionLine {
    type Err = ScheduleText;
    fn from_str(text: &str) -> Result<Self, ScheduleText> {
        let hint = "a date or two with .. between, then times: 2026-12-24 08:00-12:00, or 2026-08-03..2026-08-21 closed";
        let Some((dates, times)) = text.trim().split_once(' ') else {
            return bad(hint);
        };
        let (first, last) = dates.split_once("..").unwrap_or((dates, dates));
        match (full_date(first), full_date(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self {
                first,
                last,
                quarters: quarters(times)?,
            }),
            (_, _) => bad(hint),
        }
    }
}

/// `YYYY-MM-DD` of the years 2000 to 2199.
fn full_date(text: &str) -> Option<Date> {
    let fits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day: Date = fits.then(|| text.parse().ok()).flatten()?;
    (date(2000, 1, 1)..=date(2199, 12, 31))
        .contains(&day)
        .then_some(day)
}
