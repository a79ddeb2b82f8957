//! `[areas.*]`.

use std::time::Duration;

use crate::describe::table;
use crate::rules::{secs, text, word};
use crate::value::AntiPassback;

table! {
    /// An area of the site that readers lead into: whoever is in it does not come in again before they left. A position
    /// changes as somebody is let in or out at a reader, and is kept across restarts.
    pub struct Area {
        /// Name for people, 1 to 60 characters.
        name: String = "name", text(1, 60), needed("'x'"), Live;
        /// What is done with somebody who is in the area already.
        anti_passback: AntiPassback = "anti-passback", word(), or("\"soft\""), Live;
        /// A position counts for so long, 60 to 604800 s; somebody may have left unseen. While the clock is not believed
        /// it counts on.
        time_out: Duration = "time-out-s", secs(60, 604_800), or("43200"), Live;
    }
}
