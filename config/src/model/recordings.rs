//! `[recordings]`: talks that are kept.

use std::path::PathBuf;

use crate::describe::table;
use crate::rules::{Path, int};

table! {
    /// How talks of panels with `record = true` are kept: as WAV files of two channels and 16 kHz, the panel left and the telephone
    /// right, in the folder `recordings` of the state folder. What is beyond a limit goes, the oldest first. `docs/privacy.md` says what
    /// else is to be thought of.
    pub struct Recordings {
        /// What both sides hear as the recording begins, a WAV file: 16 bit, 8 to 48 kHz, at most 30 s. Nothing is recorded that could
        /// not be announced. A relative path starts at the folder of this file.
        announcement_file: PathBuf = "announcement-file", Path, required, Live;
        /// Most files that are kept, 1 to 10000.
        most_files: u32 = "most-files", int(1, 10_000), or("200"), Live;
        /// Most room that they take, 10 to 1000000 MiB; a minute takes 4.
        most_mib: u64 = "most-mib", int(10, 1_000_000), or("1000"), Live;
    }
}
