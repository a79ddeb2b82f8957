//! What `doorline journal` does with a state folder: look, verify, export, build the index again.
//!
//! Looking works while a gateway runs; it then also sees records that are written and not yet synced.

use std::io::{self, Write};
use std::ops::{ControlFlow, RangeInclusive};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_core::{Record, Seq};

use crate::depot::{Depot, hex, link, unaccounted};
use crate::entries::Entry;
use crate::index::Index;
use crate::io::{RealIo, StoreIo};
use crate::log::lost_anchors;
use crate::mark;
use crate::query::Filter;
use crate::reader::Reader;
use crate::records;
use crate::report::{OpenError, ReadFailure};
use crate::row::{from_json_text, json_text};
use crate::store::{EVENTS, RECORDS, take_lock};

/// How often what does not fit together is looked at: a gateway that runs may have changed it meanwhile.
const TRIES: usize = 3;

/// Why an offline task could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// The records are not whole.
    #[error("the records of people, users and tokens are damaged: {0}; look at `doorline journal verify`")]
    Damaged(String),
    /// The index could not be built.
    #[error("index cannot be built: {0}")]
    Index(String),
    /// A file of the index is another user's.
    #[error(
        "{} cannot be removed: it is of user {found}, we are user {user}; as root: chown -R {}:{} {}",
        path.display(), owner.0, owner.1, dir.display()
    )]
    Owner {
        /// The state folder.
        dir: PathBuf,
        /// Whose the file is.
        found: u32,
        /// User and group of the state folder.
        owner: (u32, u32),
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
        /// Who we are.
        user: u32,
    },
    /// The folder is in use or cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A segment cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFailure),
    /// The output of an export cannot be written.
    #[error("output cannot be written")]
    Write(#[from] io::Error),
}

/// What is known of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// What is wrong, in words; empty if the log is whole.
    pub faults: Vec<String>,
    /// First record.
    pub first: Seq,
    /// Records that are missing and accounted for: trimmed, or lost to damage that was reported (from, to).
    pub gaps: Vec<(Seq, Seq)>,
    /// Chain hash of the last record, in hexadecimal.
    pub head: String,
    /// Last record.
    pub last: Seq,
    /// What is unusual and right: an unfinished write at the end.
    pub notes: Vec<String>,
    /// How many records there are.
    pub records: u64,
    /// Of how many of them something was taken out: their time was over, or somebody was erased.
    pub redacted: u64,
    /// How many segments there are.
    pub segments: u64,
}

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The events log.
    pub events: LogReport,
    /// The records log.
    pub records: LogReport,
}

impl VerifyReport {
    /// True if nothing is wrong.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.events.faults.is_empty() && self.records.faults.is_empty()
    }
}

fn look(io: Arc<dyn StoreIo>, dir: &Path, name: &str, log: u8) -> Result<Arc<Depot>, OpenError> {
    let depot = Depot::open(io, dir, name, log, false);
    depot.map(Arc::new).map_err(|source| OpenError::Dir {
        dir: dir.to_owned(),
        source,
    })
}

/// Checks every frame, every chain and every gap of both logs, and the snapshots. Changes nothing.
///
/// # Errors
/// [`OpenError::Dir`] if the folder cannot be read.
pub fn verify(dir: &Path) -> Result<VerifyReport, OpenError> {
    verify_with(dir, RealIo)
}

/// [`verify`] on a given medium.
///
/// # Errors
/// [`OpenError::Dir`] if the folder cannot be read.
pub fn verify_with(dir: &Path, io: impl StoreIo) -> Result<VerifyReport, OpenError> {
    let io: Arc<dyn StoreIo> = Arc::new(io);
    let mut report = VerifyReport::default();
    for _ in 0..TRIES {
        report = verify_once(dir, &io)?;
        if report.ok() {
            break;
        }
    }
    Ok(report)
}

fn verify_once(dir: &Path, io: &Arc<dyn StoreIo>) -> Result<VerifyReport, OpenError> {
    let events = look(io.clone(), dir, EVENTS, 1)?;
    let changes = look(io.clone(), dir, RECORDS, 2)?;
    // before the records: a gateway that runs writes on
    let cursor = records::furthest(&changes);
    let mut report = VerifyReport {
        events: examine(&events, cursor),
        records: examine(&changes, 0),
    };
    for name in changes.io.list(&changes.dir).unwrap_or_default() {
        let upto = name.strip_suffix(".snap").and_then(|n| n.parse().ok());
        if let Some(fault) = upto.and_then(|upto| records::load(&changes, upto).1) {
            report.records.faults.push(format!("{name}: {fault}"));
        }
    }
    Ok(report)
}

/// `acknowledged` is a record that somebody outside of the log knows of.
fn examine(depot: &Depot, acknowledged: u64) -> LogReport {
    let mut report = LogReport::default();
    let mark = match mark::read(depot) {
        Ok(mark) => mark.unwrap_or_default(),
        Err(error) => {
            let path = depot.mark.display();
            report.faults.push(format!(
                "{path}, the note of how far the log went, cannot be read: {error}"
            ));
            mark::Mark::default()
        }
    };
    let (anchors, bad) = depot.anchors();
    if let Some(lost) = lost_anchors(mark, anchors.len()) {
        report.faults.push(lost);
    } else if bad > 0 {
        report
            .notes
            .push(format!("{bad} lines of the anchor file cannot be read"));
    }
    let firsts = depot.firsts();
    let mut before = None;
    for (k, first) in firsts.iter().enumerate() {
        let growing = k + 1 == firsts.len();
        let name = format!("{first:020}.seg");
        report.segments += 1;
        let found = match depot.survey(*first) {
            Ok(found) => found,
            Err(error) => {
                report.faults.push(format!("{name}: cannot be read: {error}"));
                continue;
            }
        };
        let begun = !growing || found.header.is_some() || !found.runs.is_empty();
        if !begun && !depot.dirty(*first).unwrap_or(true) {
            // as after a rotation that a full disk or a power cut ended: nothing was ever in it
            report.segments -= 1;
            report.notes.push(format!("{name}: unfinished new segment"));
            continue;
        }
        report.records += found.records;
        report.redacted += found.redacted;
        if let Some(header) = &found.header {
            if header.first != *first || header.log != depot.log {
                report
                    .faults
                    .push(format!("{name}: the header belongs to another segment"));
            }
            match link(before, header, &anchors) {
                Ok(gap) => report.gaps.extend(gap.map(|(from, to)| (Seq(from), Seq(to)))),
                Err(what) => report.faults.push(format!("{name}: {what}")),
            }
            if growing && found.len < header.capacity {
                report.faults.push(format!(
                    "{name}: cut off, {} of {} bytes",
                    found.len, header.capacity
                ));
            }
        }
        let sound = found.sound().map_or(0, |(last, _)| last);
        let torn = growing && found.header.is_some() && found.durable <= sound;
        for (at, what) in &found.faults {
            let text = format!("{name}: {what} at byte {at}");
            if torn {
                report.notes.push(text)
            } else {
                report.faults.push(text)
            }
        }
        if let Some(run) = found.runs.first().filter(|_| report.first.0 == 0) {
            report.first = Seq(run.first);
        }
        if let Some(run) = found.runs.last() {
            (report.last, report.head) = (Seq(run.last), hex(&run.last_hash));
            before = Some((run.last, run.last_hash));
        } else if let Some(header) = &found.header {
            before = Some((header.prev_seq, header.prev_hash));
        }
    }
    let known = acknowledged.max(mark.last);
    if known > report.last.0 {
        match unaccounted(&anchors, report.last.0 + 1, known) {
            Some((from, to)) => report
                .faults
                .push(format!("acknowledged records {from} to {to} are missing")),
            None => report.gaps.push((Seq(report.last.0 + 1), Seq(known))),
        }
    }
    report
}

/// Goes through the entries of the records that are not expired, by kind and key. Changes nothing, and works while a gateway
/// runs: what it is just writing may be among them or not, but nothing half of what is changed together.
///
/// # Errors
/// [`OfflineError::Damaged`] if not all of them can be vouched for; nothing is given then.
pub fn rows(dir: &Path, each: &mut dyn FnMut(&str, &str, Entry)) -> Result<(), OfflineError> {
    let io: Arc<dyn StoreIo> = Arc::new(RealIo);
    let now = io.wall();
    let mut tries = 0;
    let entries = loop {
        let depot = look(io.clone(), dir, RECORDS, 2)?;
        let (entries, fault) = records::replayed(&depot);
        let fault = fault.or_else(|| examine(&depot, 0).faults.into_iter().next());
        tries += 1;
        match fault {
            None => break entries,
            // a gateway that runs may have put a snapshot in the place of what was just read
            Some(_) if tries < TRIES => {}
            Some(fault) => return Err(OfflineError::Damaged(fault)),
        }
    };
    for (kind, entries) in &entries.0 {
        for (key, kept) in entries.iter().filter(|(_, kept)| kept.is_live(now)) {
            each(kind, key, kept.entry());
        }
    }
    Ok(())
}

/// Form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) with a head line; the event's own fields are one JSON object.
    Csv,
    /// One JSON object per line, as [`json`](crate::json) gives it.
    Jsonl,
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Head line of [`csv_line`], with its end.
pub const CSV_HEAD: &str = "seq,at,kind,source,ring_id,simulated,fields\r\n";

/// A record as comma-separated values (RFC 4180), with the end of the line; the event's own fields are one JSON object.
#[must_use]
pub fn csv_line(record: &Record) -> String {
    let shown = crate::row::json(record);
    let own: serde_json::Map<_, _> = shown
        .as_object()
        .into_iter()
        .flatten()
        .skip(7)
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let cells = [
        record.seq.to_string(),
        record.at.to_string(),
        record.kind.clone(),
        record.source.clone(),
        record.ring.map(|r| r.to_string()).unwrap_or_default(),
        record.simulated.to_string(),
        serde_json::Value::Object(own).to_string(),
    ];
    cells.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// Goes through the events that fit, oldest first, until `each` breaks.
///
/// # Errors
/// [`OfflineError`] if the journal cannot be read.
pub fn scan(
    dir: &Path,
    range: RangeInclusive<u64>,
    filter: &Filter,
    each: &mut dyn FnMut(Record) -> ControlFlow<()>,
) -> Result<(), OfflineError> {
    let reader = Reader::new(look(Arc::new(RealIo), dir, EVENTS, 1)?);
    reader.scan(
        *range.start(),
        *range.end(),
        &mut |frame, _| match from_json_text(frame.body()).ok().filter(|r| filter.fits(r)) {
            Some(record) => each(record),
            None => ControlFlow::Continue(()),
        },
    )?;
    Ok(())
}

/// Writes the events of a range that fit. Gives how many.
///
/// # Errors
/// [`OfflineError`]; what was written before stays written.
pub fn export(
    dir: &Path,
    range: RangeInclusive<u64>,
    filter: &Filter,
    out: &mut dyn Write,
    format: Format,
) -> Result<u64, OfflineError> {
    if format == Format::Csv {
        out.write_all(CSV_HEAD.as_bytes())?;
    }
    let mut count = 0;
    let mut written = Ok(());
    scan(dir, range, filter, &mut |record| {
        written = match format {
            Format::Csv => write!(out, "{}", csv_line(&record)),
            Format::Jsonl => writeln!(out, "{}", json_text(&record)),
        };
        count += 1;
        if written.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    written?;
    out.flush()?;
    Ok(count)
}

/// Removes the index and builds it again. Gives the last event it holds.
///
/// # Errors
/// [`OpenError::InUse`] while a gateway runs, which builds it by itself.
pub fn rebuild(dir: &Path) -> Result<Seq, OfflineError> {
    let _lock = take_lock(&RealIo, dir)?;
    let reader = Reader::new(look(Arc::new(RealIo), dir, EVENTS, 1)?);
    let mut last = 0;
    reader.scan(1, u64::MAX, &mut |frame, _| {
        last = frame.seq;
        ControlFlow::Continue(())
    })?;
    let path = dir.join("index");
    Index::new(dir, 8 << 20).forget_built(&reader.depot);
    if path.exists() {
        std::fs::remove_dir_all(&path).map_err(|error| refused(dir, &path, error))?;
    }
    build(dir, &reader, last)
}

fn build(dir: &Path, reader: &Reader, last: u64) -> Result<Seq, OfflineError> {
    let index = Index::new(dir, 8 << 20);
    index
        .ready(reader, last)
        .map_err(|damage| OfflineError::Index(damage.to_string()))?;
    while index
        .catch_up(reader, last)
        .map_err(|trouble| OfflineError::Index(trouble.to_string()))?
    {}
    index.note_built(&reader.depot);
    let upto = index.upto();
    index.close();
    Ok(Seq(upto))
}

/// Why the index could not be removed.
fn refused(dir: &Path, index: &Path, source: io::Error) -> OfflineError {
    let user = rustix::process::geteuid().as_raw();
    let foreign = foreign(index, user);
    let owner = std::fs::metadata(dir).map(|folder| (folder.uid(), folder.gid()));
    if source.kind() == io::ErrorKind::PermissionDenied
        && let (Some((path, found)), Ok(owner)) = (foreign, owner)
    {
        return OfflineError::Owner {
            dir: dir.to_owned(),
            found,
            owner,
            path,
            source,
            user,
        };
    }
    OfflineError::Open(OpenError::Dir {
        dir: index.to_owned(),
        source,
    })
}

/// The first file that is not `user`'s, and whose it is.
fn foreign(path: &Path, user: u32) -> Option<(PathBuf, u32)> {
    let file = std::fs::symlink_metadata(path).ok()?;
    if file.uid() != user {
        return Some((path.to_owned(), file.uid()));
    }
    let within = file.is_dir().then(|| std::fs::read_dir(path).ok()).flatten()?;
    within.flatten().find_map(|entry| foreign(&entry.path(), user))
}

/// Follows the events log of a folder, whether or not a gateway runs.
pub struct Tail {
    reader: Reader,
    next: u64,
    /// A step in the numbers that was seen once: a write in progress, or a real gap.
    step: Option<u64>,
}

/// Begins `last` records before the end, or at the beginning.
///
/// # Errors
/// [`OfflineError`] if the folder cannot be read.
pub fn tail(dir: &Path, last: usize) -> Result<Tail, OfflineError> {
    let reader = Reader::new(look(Arc::new(RealIo), dir, EVENTS, 1)?);
    let newest = reader.scan_back(1, u64::MAX, last.max(1), &mut |frame| Some(frame.seq))?;
    let next = match newest.as_slice() {
        [] => 1,
        [end, ..] if last == 0 => end + 1,
        [.., begin] => *begin,
    };
    Ok(Tail {
        reader,
        next,
        step: None,
    })
}

impl Tail {
    /// Records since the last call, at most `max`; empty if there is nothing new. To follow, call again after
    /// a short wait.
    ///
    /// # Errors
    /// [`OfflineError`] if the folder cannot be read.
    pub fn next(&mut self, max: usize) -> Result<Vec<Record>, OfflineError> {
        let depot = &self.reader.depot;
        depot.refresh().map_err(|source| ReadFailure {
            path: depot.dir.clone(),
            source,
        })?;
        let mut page = Vec::new();
        let (mut next, mut step) = (self.next, self.step);
        self.reader.scan(next, u64::MAX, &mut |frame, _| {
            if frame.seq != next && step != Some(frame.seq) {
                step = Some(frame.seq);
                return ControlFlow::Break(());
            }
            step = None;
            next = frame.seq + 1;
            page.extend(from_json_text(frame.body()).ok());
            if page.len() < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        (self.next, self.step) = (next, step);
        Ok(page)
    }
}
