//! `[alarms.*]`: what security has to confirm.

use std::time::Duration;

use gateway_core::{InputId, ListId, PanelId, Secret};

use crate::describe::table;
use crate::rules::{hidden, int, into, list, parsed, refer, secs, text};
use crate::value::Pin;

table! {
    /// An alarm: security is called, list after list, until somebody who answered types the code. `docs/alarms.md` says
    /// more. It opens nothing.
    pub struct Alarm {
        /// Name for people, 1 to 60 characters; the phones show it.
        name: String = "name", text(1, 60), required, Live;
        /// What raises it as it becomes active. Without it only rules do.
        input: Option<InputId> = "input", refer("input"), optional, Live;
        /// The panel by whose account it calls. Its line has buttons only (`contact`): nobody there has a part in it.
        panel: PanelId = "panel", refer("panel"), required, Live;
        /// Who is called, one list after the other, 1 to 8; each rings its targets as its `strategy` says.
        calls: Vec<ListId> = "calls", list(refer("list"), 1, 8), required, Live;
        /// What confirms it in such a call: 4 to 8 digits.
        code: Secret = "code", into(hidden(parsed::<Pin>()), |p| p.0), required, Live;
        /// After nobody has confirmed, all are called again after so long, 10 to 3600 s.
        again: Duration = "again-s", secs(10, 3600), or("60"), Live;
        /// How often all are called, 1 to 100 times. Rounds in which nobody could be reached at all do not count.
        rounds: u32 = "rounds", int(1, 100), or("10"), Live;
    }
}
