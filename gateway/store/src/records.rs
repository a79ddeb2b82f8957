//! The records log: durable keys and values, compacted by snapshot.
//!
//! A change is one JSON row: `{"kind":"token","key":"ha","value":{…},"expires":"2026-…"}`, without `expires` if it
//! lasts, and `{"kind":"token","key":"ha","gone":true}` when deleted. A snapshot file `<seq>.snap` has the segment
//! format, holds one row per entry and a last frame that counts them. The two newest snapshots and all segments
//! after the older one are kept, so that one bad snapshot loses nothing.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gateway_core::{Seq, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::background::verify_sealed;
use crate::depot::Depot;
use crate::entries::{CURSOR, Change, Edit, Entries, Entry, Kept, Replay};
use crate::log::{Log, Recovery};
use crate::reader::Reader;
use crate::report::Damage;
use crate::segment::{END, Header, HeaderKind, MAX_PAYLOAD, RECORD, Scanner, Step, chain, push_frame};
use crate::store::Ticket;
use crate::traces::Traces;
use crate::worker::{Item as _, Queue, Sink};

/// Changes that may wait for the medium.
const QUEUE: usize = 4096;
/// Changes that may count together: everybody of a large site, at once.
const TOGETHER: usize = 500_000;
/// Longest entry in bytes.
const ENTRY: usize = MAX_PAYLOAD / 4;
/// Changes after which a snapshot is worth it, if they are also more than four times the entries.
const SNAPSHOT_AFTER: u64 = 4096;
/// Why a change was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The journal is closed.
    #[error("journal is closed")]
    Closed,
    /// Too many changes wait for the medium.
    #[error("journal queue is full, {waiting} changes wait for the medium")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// The kind has its full number of entries that are not expired.
    #[error("there are {limit} entries of this kind, which is the limit")]
    KindFull {
        /// The limit.
        limit: usize,
    },
    /// The change is in memory, but the journal was closed before it was durable.
    #[error("journal closed before the change was durable")]
    NotDurable,
    /// More changes than can be made together.
    #[error("{size} changes at once are too many, at most {limit} are allowed")]
    TooMany {
        /// The limit.
        limit: usize,
        /// Changes found.
        size: usize,
    },
    /// Kind, key and value together are too long.
    #[error("entry of {size} bytes is too long, at most {limit} are allowed")]
    TooLong {
        /// The limit.
        limit: usize,
        /// Bytes found.
        size: usize,
    },
}

/// The durable key/value records: users, tokens, used command ids, lock-outs. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) queue: Arc<Queue<Change>>,
    /// Locked after the queue, so that changes and their order agree.
    entries: std::sync::RwLock<Entries>,
    depot: Arc<Depot>,
    limits: Limits,
}

/// How many entries a kind may have.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Kinds with a limit of their own.
    pub(crate) by_kind: BTreeMap<&'static str, usize>,
    pub(crate) other: usize,
}

impl Limits {
    fn of(&self, kind: &str) -> usize {
        self.by_kind.get(kind).copied().unwrap_or(self.other)
    }
}

impl Shared {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Entries> {
        self.entries
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Entries> {
        self.entries
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Records {
    pub(crate) fn new(
        log: &Log,
        depot: Arc<Depot>,
        entries: Entries,
        limits: Limits,
    ) -> (Self, watch::Sender<Seq>) {
        let (queue, durable) = Queue::new(log);
        let shared = Shared {
            queue: Arc::new(queue),
            entries: entries.into(),
            depot,
            limits,
        };
        (
            Self {
                shared: Arc::new(shared),
            },
            durable,
        )
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    fn ticket(&self, seq: u64) -> Ticket {
        Ticket::new(Seq(seq), self.shared.queue.durable.clone())
    }

    /// Sets a value; readers see it at once, the ticket (numbered by the records log) tells when it is durable.
    ///
    /// # Errors
    /// [`PutError`] if it was not taken.
    pub fn put(
        &self,
        kind: &str,
        key: &str,
        value: serde_json::Value,
        expires: Option<Timestamp>,
    ) -> Result<Ticket, PutError> {
        let entry = Entry { expires, value };
        let change = Change::set(kind, key, &entry);
        let size = change.payload().len();
        if size > ENTRY {
            return Err(PutError::TooLong { limit: ENTRY, size });
        }
        let now = self.shared.depot.io.wall();
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            return Err(PutError::Closed);
        }
        if queue.waiting.len() >= QUEUE {
            return Err(PutError::Full {
                waiting: queue.waiting.len(),
            });
        }
        let mut all = self.shared.write();
        let limit = self.shared.limits.of(kind);
        let entries = all.0.entry(kind.to_owned()).or_default();
        if !entries.contains_key(key) && entries.len() >= limit {
            entries.retain(|_, kept| kept.is_live(now));
            if entries.len() >= limit {
                return Err(PutError::KindFull { limit });
            }
        }
        entries.insert(key.into(), Kept::from(&entry));
        drop(all);
        let seq = queue.push(change);
        drop(queue);
        self.shared.queue.ring();
        Ok(self.ticket(seq))
    }

    /// [`put`](Self::put), then waits until it is on the medium.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_durable(
        &self,
        kind: &str,
        key: &str,
        value: serde_json::Value,
        expires: Option<Timestamp>,
    ) -> Result<(), PutError> {
        let ticket = self.put(kind, key, value, expires)?;
        ticket
            .durable()
            .await
            .map(|_| ())
            .map_err(|_| PutError::NotDurable)
    }

    /// Removes a value; no error if there is none.
    ///
    /// # Errors
    /// [`PutError`] if it was not taken.
    pub fn delete(&self, kind: &str, key: &str) -> Result<Ticket, PutError> {
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            return Err(PutError::Closed);
        }
        if queue.waiting.len() >= QUEUE {
            return Err(PutError::Full {
                waiting: queue.waiting.len(),
            });
        }
        let change = Change::delete(kind, key);
        self.shared.write().apply(change.clone());
        let seq = queue.push(change);
        drop(queue);
        self.shared.queue.ring();
        Ok(self.ticket(seq))
    }

    /// [`delete`](Self::delete), then waits until it is on the medium.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn delete_durable(&self, kind: &str, key: &str) -> Result<(), PutError> {
        let ticket = self.delete(kind, key)?;
        ticket
            .durable()
            .await
            .map(|_| ())
            .map_err(|_| PutError::NotDurable)
    }

    /// The entry, if there is one that is not expired.
    #[must_use]
    pub fn get(&self, kind: &str, key: &str) -> Option<Entry> {
        let now = self.shared.depot.io.wall();
        let kept = self.shared.read().0.get(kind)?.get(key)?.clone();
        kept.is_live(now).then(|| kept.entry())
    }

    /// All entries of a kind that are not expired, by key.
    #[must_use]
    pub fn list(&self, kind: &str) -> Vec<(String, Entry)> {
        let now = self.shared.depot.io.wall();
        let all = self.shared.read();
        let entries = all.0.get(kind).into_iter().flatten();
        let live = entries.filter(|(_, kept)| kept.is_live(now));
        live.map(|(key, kept)| (key.to_string(), kept.entry())).collect()
    }

    /// As [`list`](Self::list), one after the other: a kind with many entries is never in memory as a whole, and who
    /// looks at them holds up nobody.
    pub fn visit(&self, kind: &str, mut each: impl FnMut(&str, serde_json::Value)) {
        let now = self.shared.depot.io.wall();
        let kept: Vec<_> = {
            let all = self.shared.read();
            let entries = all.0.get(kind).into_iter().flatten();
            entries
                .map(|(key, kept)| (Arc::clone(key), kept.clone()))
                .collect()
        };
        for (key, kept) in kept.into_iter().filter(|(_, kept)| kept.is_live(now)) {
            each(&key, kept.value());
        }
    }

    /// Edits that remove every row of these kinds that tells of somebody.
    pub(crate) fn sweep(&self, kinds: &[&'static str], traces: &Traces) -> Vec<Edit> {
        let all = self.shared.read();
        let mut edits = Vec::new();
        for kind in kinds {
            let entries = all.0.get(*kind).into_iter().flatten();
            let told = entries
                .filter(|(key, kept)| traces.clean("", key).is_some() || traces.tell(kept.text().as_bytes()));
            edits.extend(told.map(|(key, _)| Edit::delete(kind, key)));
        }
        edits
    }

    /// Cursors that have not come to the event before this one.
    pub(crate) fn cursors_before(&self, first: Seq) -> Vec<(String, Seq)> {
        let all = self.shared.read();
        let cursors = all.0.get(CURSOR).into_iter().flatten();
        cursors
            .map(|(name, kept)| (name.to_string(), Seq(kept.value().as_u64().unwrap_or(0))))
            .filter(|(_, had)| had.0 + 1 < first.0)
            .collect()
    }

    /// Makes changes together: readers see all of them at once, and after a power cut either all are there or none.
    /// The ticket is that of the last.
    ///
    /// # Errors
    /// [`PutError`] if nothing of it was taken.
    pub fn put_all(&self, edits: Vec<Edit>) -> Result<Ticket, PutError> {
        let mut changes: Vec<Change> = edits.into_iter().map(Change::of_edit).collect();
        if changes.len() > TOGETHER {
            let (limit, size) = (TOGETHER, changes.len());
            return Err(PutError::TooMany { limit, size });
        }
        // Everything that takes time is done before anybody has to wait for it.
        let mut kept = Vec::with_capacity(changes.len());
        for change in &changes {
            let size = change.payload().len();
            if size > ENTRY {
                return Err(PutError::TooLong { limit: ENTRY, size });
            }
            kept.push((Arc::<str>::from(change.key.as_str()), Kept::of(change)));
        }
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            return Err(PutError::Closed);
        }
        if queue.waiting.len() >= QUEUE {
            return Err(PutError::Full {
                waiting: queue.waiting.len(),
            });
        }
        let mut all = self.shared.write();
        self.room_for(&all, &changes)?;
        let (first, mut left) = (queue.next, changes.len() as u64);
        let single = left == 1;
        let mut seq = queue.next.saturating_sub(1);
        for change in &mut changes {
            left -= 1;
            change.part = (!single).then_some([first, left]);
        }
        for (change, (key, kept)) in changes.into_iter().zip(kept) {
            all.put(&change.kind, key, kept);
            seq = queue.push(change);
        }
        drop(all);
        drop(queue);
        self.shared.queue.ring();
        Ok(self.ticket(seq))
    }

    /// Do the new entries fit into their kinds?
    fn room_for(&self, all: &Entries, changes: &[Change]) -> Result<(), PutError> {
        let mut new: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
        for change in changes.iter().filter(|change| !change.gone) {
            let known = all.0.get(&change.kind);
            if known.is_none_or(|known| !known.contains_key(change.key.as_str())) {
                new.entry(&change.kind).or_default().insert(&change.key);
            }
        }
        for (kind, keys) in new {
            let limit = self.shared.limits.of(kind);
            if all.0.get(kind).map_or(0, BTreeMap::len) + keys.len() > limit {
                return Err(PutError::KindFull { limit });
            }
        }
        Ok(())
    }
}

/// A durable cursor: the last event a reader has dealt with. Cheap to clone.
#[derive(Clone)]
pub struct Cursor {
    records: Records,
    name: String,
    flush: Duration,
}

impl Cursor {
    pub(crate) fn new(records: Records, name: &str, flush: Duration) -> Self {
        Self {
            records,
            name: name.to_owned(),
            flush,
        }
    }

    /// The last event dealt with; 0 if none.
    #[must_use]
    pub fn get(&self) -> Seq {
        self.place().unwrap_or(Seq(0))
    }

    fn place(&self) -> Option<Seq> {
        let all = self.records.shared.read();
        let entry = all.0.get(CURSOR).and_then(|e| e.get(self.name.as_str()))?;
        Some(Seq(entry.value().as_u64().unwrap_or(0)))
    }

    /// Makes it, where it is new; one that exists stays where it is, even at 0.
    pub fn begin(&self, seq: Seq) {
        self.set(seq, |had| had.is_none());
    }

    /// Moves on, never back. Movements are gathered and written within `Options::cursor_flush`; after a
    /// power cut the cursor may be back by that much, so that events are repeated, never lost.
    pub fn advance(&self, seq: Seq) {
        self.set(seq, |had| seq > had.unwrap_or(Seq(0)));
    }

    fn set(&self, seq: Seq, may: impl Fn(Option<Seq>) -> bool) {
        let shared = &self.records.shared;
        let mut queue = shared.queue.lock();
        if queue.closed || !may(self.place()) {
            return;
        }
        let entry = Entry {
            expires: None,
            value: seq.0.into(),
        };
        let change = Change::set(CURSOR, &self.name, &entry);
        shared.write().apply(change.clone());
        queue.defer(&self.name, change, self.flush);
        drop(queue);
        shared.queue.ring();
    }
}

/// Makes snapshots when changes outgrow entries.
pub(crate) struct Compactor {
    shared: Arc<Shared>,
    since: u64,
}

impl Compactor {
    pub(crate) fn new(shared: Arc<Shared>, since: u64) -> Self {
        Self { shared, since }
    }
}

impl Sink<Change> for Compactor {
    fn durable(&mut self, items: &[(u64, Change)]) {
        self.since += items.len() as u64;
    }

    fn rest(&mut self, log: &mut Log) {
        if self.since < SNAPSHOT_AFTER {
            return;
        }
        let now = self.shared.depot.io.wall();
        let entries = {
            // Only a state that is durable as a whole may become a snapshot.
            let queue = self.shared.queue.lock();
            if !queue.waiting.is_empty() {
                return;
            }
            let mut all = self.shared.write();
            all.purge(now);
            if self.since < 4 * all.count() {
                return;
            }
            all.clone()
        };
        self.since = 0;
        if let Err(error) = snapshot(&self.shared.depot, log, &entries) {
            tracing::warn!(%error, "snapshot of the records log failed, its segments stay");
        }
    }
}

/// Writes a snapshot of everything, begins a new segment, and keeps so many snapshots and what came after the oldest
/// of them: what the log said before is in no file any more.
pub(crate) fn compact(shared: &Shared, log: &mut Log, keep: usize) -> io::Result<()> {
    let entries = {
        let queue = shared.queue.lock();
        if !queue.waiting.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        shared.read().clone()
    };
    log.seal()?;
    snapshot_keeping(&shared.depot, log, &entries, keep)
}

#[derive(Serialize, Deserialize)]
struct Last {
    upto: u64,
    entries: u64,
}

fn snapshots(depot: &Depot) -> io::Result<Vec<u64>> {
    let names = depot.io.list(&depot.dir)?;
    Ok(names
        .iter()
        .filter_map(|n| n.strip_suffix(".snap")?.parse().ok())
        .collect())
}

pub(crate) fn snapshot_path(depot: &Depot, upto: u64) -> PathBuf {
    depot.dir.join(format!("{upto:020}.snap"))
}

fn snapshot(depot: &Depot, log: &Log, entries: &Entries) -> io::Result<()> {
    snapshot_keeping(depot, log, entries, 2)
}

fn snapshot_keeping(depot: &Depot, log: &Log, entries: &Entries, keep: usize) -> io::Result<()> {
    let upto = log.last;
    let header = Header {
        log: depot.log,
        kind: HeaderKind::Snapshot,
        capacity: 0,
        first: 1,
        prev_seq: upto,
        prev_hash: *log.hash(),
        made_ms: depot.io.wall().as_millisecond(),
    };
    let mut bytes = header.encode().to_vec();
    let mut hash = header.prev_hash;
    let mut seq = 0;
    for change in entries.changes() {
        seq += 1;
        let payload = change.payload();
        hash = chain(&hash, seq, &payload);
        push_frame(&mut bytes, RECORD, seq, seq, &hash, &payload);
    }
    let last = serde_json::to_vec(&Last { upto, entries: seq }).expect("two numbers");
    hash = chain(&hash, seq + 1, &last);
    push_frame(&mut bytes, END, seq + 1, seq + 1, &hash, &last);
    let path = snapshot_path(depot, upto);
    let draft = path.with_extension("draft");
    let file = depot.io.open(&draft, true)?;
    file.set_len(0)?;
    file.write_at(&bytes, 0)?;
    file.sync()?;
    depot.io.rename(&draft, &path)?;
    depot.io.sync_dir(&depot.dir)?;
    let all = snapshots(depot)?;
    let Some(older) = all.len().checked_sub(keep) else {
        return Ok(());
    };
    for upto in &all[..older] {
        depot.io.remove(&snapshot_path(depot, *upto))?;
    }
    // with one snapshot, nothing of before is kept, also where numbers were left out
    let before = if keep == 1 { log.next } else { all[older] + 1 };
    depot.trim(before)?;
    Ok(())
}

/// Reads a snapshot; the entries that could be read, and what is wrong with it.
pub(crate) fn load(depot: &Depot, upto: u64) -> (Entries, Option<String>) {
    let mut replay = Replay::default();
    let fault = read_snapshot(depot, upto, &mut replay);
    (
        replay.entries,
        fault.unwrap_or_else(|error| Some(format!("snapshot cannot be read: {error}"))),
    )
}

fn read_snapshot(depot: &Depot, upto: u64, replay: &mut Replay) -> io::Result<Option<String>> {
    let mut scanner = Scanner::open(depot.io.as_ref(), &snapshot_path(depot, upto))?;
    let header = scanner
        .header()?
        .filter(|h| h.kind == HeaderKind::Snapshot && h.prev_seq == upto);
    let mut fault = header.is_none().then(|| "bad snapshot header".to_owned());
    let mut hash = header.map_or([0; 32], |h| h.prev_hash);
    let mut seq = 0;
    loop {
        let at = scanner.at;
        match scanner.step()? {
            Step::Frame(frame) => {
                seq += 1;
                hash = chain(&hash, frame.seq, &frame.payload);
                if frame.seq != seq || frame.hash != hash {
                    fault.get_or_insert_with(|| format!("snapshot chain broken at byte {at}"));
                    (seq, hash) = (frame.seq, frame.hash);
                }
                if frame.flags == END {
                    let last = serde_json::from_slice::<Last>(&frame.payload).ok();
                    if last.is_none_or(|l| l.upto != upto || l.entries + 1 != seq) {
                        fault.get_or_insert_with(|| "snapshot count is wrong".to_owned());
                    }
                    return Ok(fault);
                }
                if !replay.row(&frame.payload) {
                    fault.get_or_insert_with(|| format!("snapshot row at byte {at} is no change"));
                }
            }
            Step::End => return Ok(fault.or_else(|| Some("snapshot is cut off".to_owned()))),
            Step::Zero | Step::Bad(_) => {
                fault.get_or_insert_with(|| format!("bad snapshot frame at byte {at}"));
                scanner.resync()?;
            }
        }
    }
}

/// What the log says, read without changing anything, and what is wrong with it.
pub(crate) fn replayed(depot: &Arc<Depot>) -> (Entries, Option<String>) {
    let found = snapshots(depot).unwrap_or_default().into_iter().rev();
    let good = found
        .map(|upto| (upto, load(depot, upto)))
        .find(|(_, (_, fault))| fault.is_none());
    let (upto, entries) = good
        .map(|(upto, (entries, _))| (upto, entries))
        .unwrap_or_default();
    let begin = depot.firsts().first().copied().unwrap_or(1);
    let missing = (begin > upto + 1).then(|| format!("changes {} to {} are missing", upto + 1, begin - 1));
    let mut replay = Replay::new(entries);
    let scanned = Reader::new(depot.clone()).scan(upto + 1, u64::MAX, &mut |frame, _| {
        replay.row(&frame.payload);
        ControlFlow::Continue(())
    });
    let unread = scanned.err().map(|error| error.to_string());
    (replay.entries, missing.or(unread))
}

/// The furthest cursor, read without changing anything. Events up to it were acknowledged.
pub(crate) fn furthest(depot: &Arc<Depot>) -> u64 {
    let (entries, fault) = replayed(depot);
    if let Some(fault) = fault {
        tracing::debug!(fault, "cursors could not be read");
    }
    entries.furthest()
}

/// What the records log holds.
pub(crate) struct Opened {
    pub(crate) log: Log,
    pub(crate) entries: Entries,
    pub(crate) recovery: Recovery,
    /// Changes since the snapshot.
    pub(crate) since: u64,
}

/// Opens the records log: newest good snapshot, then the changes after it.
pub(crate) fn open(depot: &Arc<Depot>, segment: u64) -> io::Result<Opened> {
    let mut bad: Vec<Damage> = Vec::new();
    let mut salvaged = None;
    let mut base = None;
    for upto in snapshots(depot)?.into_iter().rev() {
        let (entries, fault) = load(depot, upto);
        match fault {
            None => {
                base = Some((upto, entries));
                break;
            }
            Some(what) => {
                bad.push(depot.set_aside(&snapshot_path(depot, upto), &what));
                salvaged = salvaged.or(Some((upto, entries)));
            }
        }
    }
    let begin = depot.firsts().first().copied().unwrap_or(1);
    let (upto, entries) = match base {
        Some(base) => base,
        // Without a good snapshot the changes tell everything, as long as none was trimmed.
        None if begin <= 1 => (0, Entries::default()),
        None => salvaged.unwrap_or_default(),
    };
    let floor = upto;
    bad.extend(verify_sealed(depot, &AtomicBool::new(false), Duration::ZERO));
    let (log, mut recovery) = Log::open(depot.clone(), segment, floor)?;
    recovery.damage.splice(0..0, bad);
    let mut replay = Replay::new(entries);
    let mut since = 0;
    let mut unknown = 0u64;
    let scanned = Reader::new(depot.clone()).scan(upto + 1, log.last, &mut |frame, _| {
        since += 1;
        unknown += u64::from(!replay.row(&frame.payload));
        ControlFlow::Continue(())
    });
    if let Err(failure) = scanned {
        recovery.damage.push(Damage {
            location: failure.path.display().to_string(),
            missing: false,
            set_aside: None,
            what: format!("records cannot be read: {}", failure.source),
        });
    }
    if unknown > 0 {
        tracing::warn!(
            unknown,
            "rows of the records log that this version does not know were left out"
        );
    }
    let mut entries = replay.entries;
    entries.purge(depot.io.wall());
    Ok(Opened {
        log,
        entries,
        recovery,
        since,
    })
}
