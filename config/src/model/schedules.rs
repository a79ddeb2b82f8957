//! `[schedules.*]` and `[holidays.*]`.

use gateway_access::{ExceptionLine, HolidayLine, TimesLine};
use gateway_core::HolidaysId;

use crate::describe::table;
use crate::rules::{list, parsed, refer};

table! {
    /// Times at which something counts, in `site.time-zone`, on a quarter-hour grid. `always` and `never` are there
    /// without being written. While the clock is not believed, no schedule is in force.
    pub struct Schedule {
        /// Days and times, at most 50: `mon-fri 08:00-12:00, 13:00-18:00`, `sat,sun 09:00-13:00`, `daily open`,
        /// `holiday closed`. The end is not included and may be 24:00. An hour that the clocks skip in spring never
        /// comes; one that they repeat in autumn counts both times.
        times: Vec<TimesLine> = "times", list(parsed(), 0, 50), or("[]"), Live;
        /// Lists of holidays, at most 8: on their days only the lines of `holiday` count.
        holidays: Vec<HolidaysId> = "holidays", list(refer("holiday"), 0, 8), or("[]"), Live;
        /// Dates on which other times count, before weekdays and holidays, at most 400:
        /// `2026-12-24 08:00-12:00`, `2026-08-03..2026-08-21 closed`. No two may name the same date.
        exceptions: Vec<ExceptionLine> = "exceptions", list(parsed(), 0, 400), or("[]"), Live;
    }
}

table! {
    /// A list of holidays.
    pub struct Holidays {
        /// Days, 1 to 400: `12-25` is one of every year, `2026-04-03` of one; `12-24..12-26` is from one day to another.
        days: Vec<HolidayLine> = "days", list(parsed(), 1, 400), required, Live;
    }
}
