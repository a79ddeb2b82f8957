//! Lines of schedules; `gateway-access` reads them.

use gateway_access::{ExceptionLine, HolidayLine, TimesLine};

use crate::rules::FromText;

macro_rules! lines {
    ($($ty:ty = $what:literal;)+) => {$(
        impl FromText for $ty {
            const WHAT: &'static str = $what;
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: gateway_access::ScheduleText| error.allowed)
            }
        }
    )+};
}

lines! {
    ExceptionLine = "an exception";
    HolidayLine = "a holiday";
    TimesLine = "a line of times";
}
