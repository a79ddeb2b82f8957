//! `[time]`: when the machine's clock is believed.

use crate::describe::table;
use crate::rules::Flag;

table! {
    /// When the machine's clock is believed. Its time zone, with daylight saving time, is `time-zone` under `[site]`.
    pub struct Time {
        /// Believe the clock only while a time service keeps it right (NTP by systemd-timesyncd, chrony or ntpd; the
        /// kernel is asked, which forgets hours after the last word of the service). While it is not believed, commands
        /// with a date and API tokens wait, and codes of visitors, callers and schedules open nothing; cards, codes,
        /// people who log in and exits do not wait. Set it wherever a schedule or a date lets somebody in, and the
        /// machine has a time service: a machine without a battery for its clock starts with the time at which it
        /// stopped.
        require_sync: bool = "require-sync", Flag, or("false"), Live;
    }
}
