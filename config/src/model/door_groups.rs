//! `[door-groups.*]`.

use gateway_core::{DoorId, InputId};

use crate::describe::table;
use crate::rules::{Flag, list, refer, text};

table! {
    /// A group of doors: what is locked down together, or of which one opens at a time.
    pub struct DoorGroup {
        /// Name for people, 1 to 60 characters.
        name: String = "name", text(1, 60), needed("'x'"), Live;
        /// Its doors, 1 to 64; a door may be in several groups.
        doors: Vec<DoorId> = "doors", list(refer("door"), 1, 64), required, Live;
        /// Interlock (mantrap): one of its doors opens only while the contacts of all the others say that they are shut,
        /// and none of them is being opened. Exits and fire open as ever.
        interlock: bool = "interlock", Flag, or("false"), Live;
        /// Input that locks the group down: nobody is let in, exits and fire open as ever. The lockdown stays when the
        /// input is inactive again, until somebody ends it.
        lockdown_input: Option<InputId> = "lockdown-input", refer("input"), optional, Live;
    }
}
