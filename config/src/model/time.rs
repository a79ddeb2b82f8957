//! `[time]`: when the machine's clock is believed.

use crate::describe::table;
use crate::rules::Flag;

table! {
    /// When the machine's clock is believed. Its time zone, with daylight saving time, is `time-zone` under `[site]`.
    pub struct Time {
        /// Believe the clock only while a time service keeps it right (NTP by systemd-timesyncd, chrony or ntpd; the
        /// kernel is asked, which forgets hours after the last word of the service). While it is not believed, commands
        /// with a date and API tokens wait; cards, codes, people who log in and exits do not.
        require_sync: bool = "require-sync", Flag, or("false"), Live;
    }
}
