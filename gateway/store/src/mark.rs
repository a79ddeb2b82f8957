//! How far a log went, noted beside the journal: a log that lost its end, or is gone, cannot say so itself.

use std::io;

use serde::{Deserialize, Serialize};

use crate::depot::Depot;
use crate::segment::Scanner;

/// Longest file that is a mark.
const LONGEST: u64 = 1024;

/// What a log is known to have had. Never more than what is on the medium when it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Rows of `anchors.jsonl`.
    pub(crate) anchors: u64,
    /// Last record.
    pub(crate) last: u64,
}

/// A mark as it is written. Those of earlier releases have no checksum.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    anchors: u64,
    last: u64,
    /// CRC-32C of the two numbers before it, as octets with the least significant first.
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32c: Option<u32>,
}

fn checksum(mark: Mark) -> u32 {
    crc32c::crc32c_append(
        crc32c::crc32c(&mark.anchors.to_le_bytes()),
        &mark.last.to_le_bytes(),
    )
}

fn damaged(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Reads the mark of a log; `Ok(None)` if it has none yet.
///
/// # Errors
/// It cannot be read, says nothing, or is not as it was written.
pub(crate) fn read(depot: &Depot) -> io::Result<Option<Mark>> {
    let mut scanner = match Scanner::open(depot.io.as_ref(), &depot.mark) {
        Ok(scanner) => scanner,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = scanner.len;
    if len > LONGEST {
        return Err(damaged(format!("{len} bytes, at most {LONGEST} are one")));
    }
    let bytes = scanner.raw(0, len)?;
    let Written {
        anchors,
        last,
        crc32c,
    } = serde_json::from_slice(&bytes)?;
    let mark = Mark { anchors, last };
    let sum = checksum(mark);
    match crc32c.filter(|found| *found != sum) {
        Some(found) => Err(damaged(format!(
            "its checksum is {found}, its numbers have {sum}"
        ))),
        None => Ok(Some(mark)),
    }
}

/// Replaces the mark: the old one or the new one is there, whenever the power goes.
///
/// # Errors
/// Any error of the medium.
pub(crate) fn write(depot: &Depot, mark: Mark) -> io::Result<()> {
    let draft = depot.mark.with_extension("draft");
    let written = Written {
        anchors: mark.anchors,
        last: mark.last,
        crc32c: Some(checksum(mark)),
    };
    let text = serde_json::to_string(&written).expect("three numbers");
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
