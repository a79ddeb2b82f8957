//! How far a log went, noted beside the journal: a log that lost its end, or is gone, cannot say so itself.

use std::io;

use serde::{Deserialize, Serialize};

use crate::depot::Depot;
use crate::segment::Scanner;

/// What a log is known to have had. Never more than what is on the medium when it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Rows of `anchors.jsonl`.
    pub(crate) anchors: u64,
    /// Last record.
    pub(crate) last: u64,
}

/// Reads the mark of a log; `Ok(None)` if it has none yet.
///
/// # Errors
/// It cannot be read, or says nothing.
pub(crate) fn read(depot: &Depot) -> io::Result<Option<Mark>> {
    let mut scanner = match Scanner::open(depot.io.as_ref(), &depot.mark) {
        Ok(scanner) => scanner,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = scanner.len;
    let bytes = scanner.raw(0, len)?;
    let mark = serde_json::from_slice(&bytes)?;
    Ok(Some(mark))
}

/// Replaces the mark: the old one or the new one is there, whenever the power goes.
///
/// # Errors
/// Any error of the medium.
pub(crate) fn write(depot: &Depot, mark: Mark) -> io::Result<()> {
    let draft = depot.mark.with_extension("draft");
    let text = serde_json::to_string(&mark).expect("two numbers");
    let file = depot.io.open(&draft, true)?;
    file.set_len(0)?;
    file.write_at(format!("{text}\n").as_bytes(), 0)?;
    file.sync()?;
    depot.io.rename(&draft, &depot.mark)?;
    match depot.mark.parent() {
        Some(folder) => depot.io.sync_dir(folder),
        None => Ok(()),
    }
}
