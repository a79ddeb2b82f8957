//! `[readers.*.ibutton]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::describe::table;
use crate::rules::{Path, ms};

table! {
    /// Contact keys (Dallas DS1990A) at a 1-Wire master of the kernel. A key is the card `ibutton:SERIAL`.
    pub struct IbuttonReader {
        /// Folder of the master; `doorline doctor` lists those that are there.
        master: PathBuf = "master", Path, or("\"/sys/bus/w1/devices/w1_bus_master1\""), Restart;
        /// The same key counts once in this time, 0 to 60000 ms.
        repeat: Duration = "repeat-ms", ms(0, 60_000), or("2000"), Restart;
    }
}
