//! What somebody may do at the page.

use crate::describe::words;

words! {
    /// What somebody may do at page and API.
    pub enum UserScope {
        /// Open doors.
        Open = "open",
        /// End calls, press virtual bells.
        Operate = "operate",
        /// See states, journal and live events.
        Read = "read",
    }
}
