//! The journal as the gateway sees it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gateway_core::{AlarmEvent, DoorEvent, Envelope, Event, Factor, GatewayEvent, Record, Seq, Value};
use tokio::sync::{broadcast, watch};

use crate::background::{Keeper, REPLACED, VERIFY_PAUSE, verify_sealed};
use crate::depot::Depot;
use crate::index::{Index, Trouble, ring_prefix, source_prefix};
use crate::io::{LockError, LockGuard, StoreIo};
use crate::log::Log;
use crate::query::Query;
use crate::reader::Reader;
use crate::records::{self, Compactor, Cursor, Limits, Records};
use crate::report::{Damage, Health, OpenError, OpenReport, ReadFailure};
use crate::row::{from_json_text, json_text};
use crate::segment::Frame;
use crate::worker::{Item, Measures, Queue, Sink, Vitals, start};

/// Newest records kept in memory.
const RECENT: usize = 256;
/// Records a live subscriber may be behind before it is told that it missed some.
const LIVE: usize = 1024;
/// Longest text of a field in bytes; more is cut and ends in `…`.
const TEXT: usize = 4096;
pub(crate) const EVENTS: &str = "events";
pub(crate) const RECORDS: &str = "records";

/// Sizes and limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long cursor movements are gathered before they are written.
    pub cursor_flush: Duration,
    /// False leaves sled out; look-ups scan.
    pub index: bool,
    /// Memory of the sled cache in bytes.
    pub index_cache: u64,
    /// Entries per kind of the records log.
    pub kind_limit: usize,
    /// Kinds that may have another number of entries.
    pub kind_limits: BTreeMap<&'static str, usize>,
    /// Events that may wait for the medium before `append` says `Full`.
    pub queue: usize,
    /// Further events of egress that may wait.
    pub reserve: usize,
    /// Size of a segment in bytes, preallocated; at least 4096.
    pub segment: u64,
    /// False leaves out the verification of sealed segments after start.
    pub verify_sealed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cursor_flush: Duration::from_millis(250),
            index: true,
            index_cache: 8 << 20,
            kind_limit: 10_000,
            kind_limits: BTreeMap::new(),
            queue: 4096,
            reserve: 4096,
            segment: 4 << 20,
            verify_sealed: true,
        }
    }
}

/// What [`Store::keep_within`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Cursors that had not come to the end of what was removed, and how far they had.
    pub behind: Vec<(String, Seq)>,
    /// First event that is left.
    pub first: Seq,
}

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The journal is closed.
    #[error("journal is closed")]
    Closed,
    /// The medium does not take records and the queue is full.
    #[error("journal queue is full, {waiting} records wait for the medium")]
    Full {
        /// How many wait.
        waiting: usize,
    },
}

/// The journal was closed before the record was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal closed before record {seq} was durable")]
pub struct NotDurable {
    /// Which.
    pub seq: Seq,
}

/// A place in the queue; tells when it is on the medium.
#[derive(Clone, Debug)]
pub struct Ticket {
    durable: watch::Receiver<Seq>,
    seq: Seq,
}

impl Ticket {
    pub(crate) const fn new(seq: Seq, durable: watch::Receiver<Seq>) -> Self {
        Self { durable, seq }
    }

    /// Sequence number.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// Waits until the record is on the medium.
    ///
    /// # Errors
    /// [`NotDurable`] if the journal is closed before.
    pub async fn durable(mut self) -> Result<Seq, NotDurable> {
        let seq = self.seq;
        let reached = self.durable.wait_for(|durable| *durable >= seq).await;
        reached.map(|_| seq).map_err(|_| NotDurable { seq })
    }
}

impl Item for Arc<Record> {
    fn payload(&self) -> Vec<u8> {
        json_text(self).into_bytes()
    }
}

type Recent = Arc<Mutex<VecDeque<Arc<Record>>>>;

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Inner {
    damage: Arc<watch::Sender<Vec<Damage>>>,
    /// One at a time takes something out of the journal.
    erasing: Mutex<()>,
    index: Option<Arc<Index>>,
    index_bell: Mutex<Option<SyncSender<()>>>,
    /// Dropped to end the wait of the index thread.
    closing: Mutex<Option<SyncSender<()>>>,
    live: broadcast::Sender<Arc<Record>>,
    /// Held while the journal is open.
    lock: Mutex<Option<Box<dyn LockGuard>>>,
    options: Options,
    queue: Arc<Queue<Arc<Record>>>,
    reader: Arc<Reader>,
    recent: Recent,
    records: Records,
    stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    vitals: Arc<Vitals>,
}

/// The journal. Cheap to clone; the last clone that goes writes what waits and closes.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Opens the journal in a state folder, and locks the folder. Checks the growing segments and all of the records:
    /// a withdrawal that is lost must be known of before the first decision. Sealed segments of events
    /// are verified in the background (see [`damage`](Self::damage)).
    ///
    /// # Errors
    /// [`OpenError::InUse`] names a second instance. Damage is no error: it is in the report.
    pub fn open(dir: &Path, options: Options, io: impl StoreIo) -> Result<(Self, OpenReport), OpenError> {
        let io: Arc<dyn StoreIo> = Arc::new(io);
        let lock = take_lock(io.as_ref(), dir)?;
        let unusable = |source| OpenError::Dir {
            dir: dir.to_owned(),
            source,
        };
        let depot = |name, code| {
            Depot::open(io.clone(), dir, name, code, true)
                .map(Arc::new)
                .map_err(unusable)
        };
        let (events, changes) = (depot(EVENTS, 1)?, depot(RECORDS, 2)?);
        let kept = records::open(&changes, options.segment).map_err(unusable)?;
        let floor = kept.entries.furthest();
        let (log, recovery) = Log::open(events.clone(), options.segment, floor).map_err(unusable)?;
        let mut report = OpenReport {
            records_damaged: !kept.recovery.damage.is_empty(),
            damage: kept.recovery.damage,
            last: Seq(log.last),
            next: Seq(log.next),
            torn: kept.recovery.torn,
        };
        report.damage.extend(recovery.damage);
        report.torn.extend(recovery.torn);

        let limits = Limits {
            by_kind: options.kind_limits.clone(),
            other: options.kind_limit,
        };
        let (records, kept_durable) = Records::new(&kept.log, changes, kept.entries, limits);
        let (queue, durable) = Queue::new(&log);
        let (bell, rung) = sync_channel(1);
        let (closing, closed) = sync_channel(0);
        let inner = Inner {
            damage: Arc::new(watch::Sender::new(report.damage.clone())),
            erasing: Mutex::default(),
            index: options
                .index
                .then(|| Arc::new(Index::new(dir, options.index_cache))),
            index_bell: Mutex::new(Some(bell.clone())),
            closing: Mutex::new(Some(closing)),
            live: broadcast::Sender::new(LIVE),
            lock: Mutex::new(Some(lock)),
            options,
            queue: Arc::new(queue),
            reader: Arc::new(Reader::new(events)),
            recent: Recent::default(),
            records,
            stop: Arc::default(),
            threads: Mutex::default(),
            vitals: Arc::new(Vitals::new()),
        };
        inner
            .start(
                log,
                durable,
                kept.log,
                kept_durable,
                kept.since,
                bell,
                (rung, closed),
            )
            .map_err(OpenError::Thread)?;
        let store = Self(Arc::new(inner));
        store.resume_erasure().map_err(OpenError::Thread)?;
        Ok((store, report))
    }

    pub(crate) fn depot(&self) -> &Depot {
        &self.0.reader.depot
    }

    /// True once it closes, or did.
    pub(crate) fn closes(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn erasing(&self) -> &Mutex<()> {
        &self.0.erasing
    }

    pub(crate) fn events_queue(&self) -> &Queue<Arc<Record>> {
        &self.0.queue
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// Segments are others than they were: nothing that was remembered of them holds.
    pub(crate) fn replaced(&self, why: &str) {
        held(&self.0.recent).clear();
        self.0.reader.forget();
        if let Some(index) = &self.0.index {
            index.spoil(why);
            self.0.ring_index();
        }
    }

    /// Queues an event in order and gives its number at once, without waiting for the medium. A text of more
    /// than 4096 bytes in a field is cut.
    ///
    /// When [`Options::queue`] records wait, only egress and what already happened at a door is taken, up to
    /// [`Options::reserve`] more. What is not taken is counted in [`Health::lost`].
    ///
    /// # Errors
    /// [`AppendError::Full`] as told above, [`AppendError::Closed`] after [`close`](Self::close).
    pub fn append(&self, envelope: Envelope) -> Result<Ticket, AppendError> {
        let ticket = self.queue(envelope)?;
        self.write_queued();
        Ok(ticket)
    }

    /// As [`append`](Self::append), but the writer is not woken: call [`write_queued`](Self::write_queued) as soon as
    /// what cannot wait is done. The order is fixed all the same.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn queue(&self, envelope: Envelope) -> Result<Ticket, AppendError> {
        let mut record = Record::from(&envelope);
        clip(&mut record);
        let must = is_egress(&envelope.event);
        let mut queue = self.0.queue.lock();
        if queue.closed {
            return Err(AppendError::Closed);
        }
        let waiting = queue.waiting.len();
        let limit = self.0.options.queue + if must { self.0.options.reserve } else { 0 };
        if waiting >= limit {
            drop(queue);
            self.0.vitals.health.send_modify(|health| health.lost += 1);
            return Err(AppendError::Full { waiting });
        }
        let seq = Seq(queue.next);
        record.seq = seq;
        queue.push(Arc::new(record));
        drop(queue);
        Ok(Ticket::new(seq, self.0.queue.durable.clone()))
    }

    /// Wakes the writer for what was given to [`queue`](Self::queue).
    pub fn write_queued(&self) {
        self.0.queue.ring();
    }

    /// The last durable event; changes wake the receiver. Its sender is gone once the journal is closed.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Seq> {
        self.0.queue.durable.clone()
    }

    /// Whether records reach the medium; changes wake the receiver.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.vitals.health.subscribe()
    }

    /// What the journal measures, as it is at each moment.
    #[must_use]
    pub fn measures(&self) -> &Measures {
        &self.0.vitals.measures
    }

    /// All damage since open, that found in the background included; changes wake the receiver.
    #[must_use]
    pub fn damage(&self) -> watch::Receiver<Vec<Damage>> {
        self.0.damage.subscribe()
    }

    /// Records as they become durable. A slow receiver is told how many it missed (`RecvError::Lagged`) and
    /// reads them with [`read`](Self::read).
    #[must_use]
    pub fn live(&self) -> broadcast::Receiver<Arc<Record>> {
        self.0.live.subscribe()
    }

    /// Durable records from `from` on, at most `max`. Missing numbers (trimmed, damaged) are stepped over.
    /// The newest come from memory; others are read from the medium on the caller's thread.
    ///
    /// # Errors
    /// [`ReadFailure`] of the medium.
    pub fn read(&self, from: Seq, max: usize) -> Result<Vec<Arc<Record>>, ReadFailure> {
        let last = self.last();
        if from.0 > last || max == 0 {
            return Ok(Vec::new());
        }
        {
            let recent = held(&self.0.recent);
            if recent.front().is_some_and(|r| r.seq <= from) {
                let fitting = recent.iter().filter(|r| r.seq >= from && r.seq.0 <= last);
                return Ok(fitting.take(max).cloned().collect());
            }
        }
        let mut page = Vec::new();
        self.0.reader.scan(from.0, last, &mut |frame, _| {
            page.extend(parse(&frame));
            if page.len() < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(page)
    }

    /// One page of durable records that fit, through the index where it helps, by scanning where it does not.
    ///
    /// # Errors
    /// [`ReadFailure`] of the medium.
    pub fn find(&self, query: &Query) -> Result<Vec<Arc<Record>>, ReadFailure> {
        let (from, to) = (query.from.0.max(1), query.to.0.min(self.last()));
        if query.max == 0 || from > to {
            return Ok(Vec::new());
        }
        if let Some(index) = self.0.index.as_ref().filter(|i| i.upto() > 0) {
            match self.find_indexed(index, query, from, to) {
                Ok(found) => return found,
                Err(Trouble::Absent) => {}
                Err(trouble) => {
                    tracing::warn!(error = %trouble, "journal index cannot be used, it is built again");
                    index.spoil(&trouble.to_string());
                    self.0.ring_index();
                }
            }
        }
        self.scan(query, from, to, query.max)
    }

    fn find_indexed(
        &self,
        index: &Index,
        query: &Query,
        from: u64,
        to: u64,
    ) -> Result<Result<Vec<Arc<Record>>, ReadFailure>, Trouble> {
        let filter = &query.filter;
        let upto = index.upto().min(to);
        let mut found = Vec::new();
        let fresh = upto.max(from.saturating_sub(1)) + 1;
        if query.newest_first && fresh <= to {
            match self.scan(query, fresh, to, query.max) {
                Ok(newest) => found = newest,
                Err(failure) => return Ok(Err(failure)),
            }
        }
        let prefix = filter
            .ring
            .map(ring_prefix)
            .or_else(|| filter.source.as_deref().map(source_prefix));
        if let Some(prefix) = prefix {
            let mut failed = None;
            if from <= upto && found.len() < query.max {
                index.walk(
                    &prefix,
                    from,
                    upto,
                    query.newest_first,
                    &mut |first, last, place| {
                        let begin = found.len();
                        let read = self.0.reader.scan_at(Some(place), first, last, &mut |frame, _| {
                            found.extend(parse(&frame).filter(|record| filter.fits(record)));
                            ControlFlow::Continue(())
                        });
                        if query.newest_first {
                            found[begin..].reverse();
                        }
                        failed = read.err();
                        if found.len() < query.max && failed.is_none() {
                            ControlFlow::Continue(())
                        } else {
                            ControlFlow::Break(())
                        }
                    },
                )?;
            }
            if let Some(failure) = failed {
                return Ok(Err(failure));
            }
            found.truncate(query.max);
        } else if from <= upto && found.len() < query.max {
            let mut ranges = if filter.since.is_some() || filter.until.is_some() {
                index.ranges(filter.since, filter.until, from, upto)?
            } else {
                vec![(from, upto)]
            };
            if query.newest_first {
                ranges.reverse();
            }
            for (first, last) in ranges {
                match self.scan(query, first, last, query.max - found.len()) {
                    Ok(more) => found.extend(more),
                    Err(failure) => return Ok(Err(failure)),
                }
                if found.len() >= query.max {
                    break;
                }
            }
        }
        if !query.newest_first && fresh <= to && found.len() < query.max {
            match self.scan(query, fresh, to, query.max - found.len()) {
                Ok(newest) => found.extend(newest),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        Ok(Ok(found))
    }

    fn scan(&self, query: &Query, from: u64, to: u64, max: usize) -> Result<Vec<Arc<Record>>, ReadFailure> {
        let fitting = |frame: &Frame| parse(frame).filter(|record| query.filter.fits(record));
        if query.newest_first {
            return self
                .0
                .reader
                .scan_back(from, to, max, &mut |frame| fitting(&frame));
        }
        let mut page = Vec::new();
        self.0.reader.scan(from, to, &mut |frame, _| {
            page.extend(fitting(&frame));
            if page.len() < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(page)
    }

    fn last(&self) -> u64 {
        self.0.queue.durable.borrow().0
    }

    /// A durable cursor: the last event a reader has dealt with. Handles of one name are the same cursor.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Cursor {
        Cursor::new(self.0.records.clone(), name, self.0.options.cursor_flush)
    }

    /// The durable key/value records.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// Last event in the index; 0 while it is built.
    #[must_use]
    pub fn indexed(&self) -> Seq {
        Seq(self.0.index.as_ref().map_or(0, |index| index.upto()))
    }

    /// Removes whole segments that hold only events before `seq`, and leaves an anchor for `verify`.
    /// Gives the first event that is left. The growing segment always stays.
    ///
    /// # Errors
    /// [`ReadFailure`] of the medium.
    pub fn trim_before(&self, seq: Seq) -> Result<Seq, ReadFailure> {
        let depot = &self.0.reader.depot;
        let left = depot.trim(seq.0).map_err(|source| ReadFailure {
            path: depot.dir.clone(),
            source,
        })?;
        self.0.reader.forget();
        Ok(Seq(left))
    }

    /// Keeps the events log within so many bytes: when it is larger, whole segments are removed, the oldest first, until
    /// an eighth of the room is free again. The growing segment always stays. Nothing waits for readers: who had not
    /// read what is removed is named. `None` if nothing was removed.
    ///
    /// # Errors
    /// [`ReadFailure`] of the medium.
    pub fn keep_within(&self, bytes: u64) -> Result<Option<Trimmed>, ReadFailure> {
        let depot = &self.0.reader.depot;
        let sizes = depot.sizes().map_err(|source| ReadFailure {
            path: depot.dir.clone(),
            source,
        })?;
        let mut size: u64 = sizes.iter().map(|(_, size)| size).sum();
        if size <= bytes {
            return Ok(None);
        }
        let mut sizes = sizes.into_iter().peekable();
        while size > bytes - bytes / 8
            && let Some((_, gone)) = sizes.next()
        {
            size -= gone;
        }
        // the last one stays, whatever its size
        let keep = sizes.peek().map_or(u64::MAX, |(first, _)| *first);
        let before = depot.firsts().first().copied().unwrap_or(0);
        let first = self.trim_before(Seq(keep))?;
        if first.0 <= before {
            return Ok(None);
        }
        if let Some(index) = &self.0.index {
            // what it says of records that are gone would grow for ever
            index.spoil(REPLACED);
            self.0.ring_index();
        }
        Ok(Some(Trimmed {
            behind: self.0.records.cursors_before(first),
            first,
        }))
    }

    /// Writes what waits, stops the threads and unlocks the folder. Later appends are refused. If the medium
    /// refuses, what waits is tried once more and then given up: its tickets say so.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    #[expect(clippy::too_many_arguments, reason = "called once; the parts come apart here")]
    fn start(
        &self,
        log: Log,
        durable: watch::Sender<Seq>,
        kept: Log,
        kept_durable: watch::Sender<Seq>,
        since: u64,
        bell: SyncSender<()>,
        (rung, closed): (Receiver<()>, Receiver<()>),
    ) -> std::io::Result<()> {
        let mut threads = held(&self.threads);
        let publisher = Publisher {
            bell,
            live: self.live.clone(),
            recent: self.recent.clone(),
        };
        threads.push(start(
            EVENTS,
            log,
            self.queue.clone(),
            durable,
            self.vitals.clone(),
            publisher,
        )?);
        let shared = self.records.shared();
        let compactor = Compactor::new(shared.clone(), since);
        threads.push(start(
            RECORDS,
            kept,
            shared.queue.clone(),
            kept_durable,
            self.vitals.clone(),
            compactor,
        )?);
        if let Some(index) = self.index.clone() {
            let keeper = Keeper {
                damage: self.damage.clone(),
                durable: self.queue.durable.clone(),
                index,
                reader: self.reader.clone(),
                stop: self.stop.clone(),
            };
            threads.push(
                std::thread::Builder::new()
                    .name("journal-index".into())
                    .spawn(move || keeper.run(&rung, &closed))?,
            );
        }
        if self.options.verify_sealed {
            let (stop, damage) = (self.stop.clone(), self.damage.clone());
            let (reader, index) = (self.reader.clone(), self.index.clone());
            let verify = move || {
                let found = verify_sealed(&reader.depot, &stop, VERIFY_PAUSE);
                if !found.is_empty() {
                    reader.forget();
                    if let Some(index) = &index {
                        index.spoil(REPLACED);
                    }
                    damage.send_modify(|all| all.extend(found));
                }
            };
            threads.push(
                std::thread::Builder::new()
                    .name("journal-verify".into())
                    .spawn(verify)?,
            );
        }
        Ok(())
    }

    fn ring_index(&self) {
        if let Some(bell) = held(&self.index_bell).as_ref() {
            // Full means that it was rung already.
            let _ = bell.try_send(());
        }
    }

    fn close(&self) {
        self.queue.close();
        self.records.shared().queue.close();
        self.stop.store(true, Ordering::Relaxed);
        self.ring_index();
        held(&self.index_bell).take();
        held(&self.closing).take();
        for thread in held(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a journal thread panicked");
            }
        }
        if let Some(index) = &self.index {
            index.note_built(&self.reader.depot);
            index.close();
        }
        // whoever writes segments anew comes to an end before somebody else may have the folder
        let _turn = held(&self.erasing);
        held(&self.lock).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

pub(crate) fn take_lock(io: &dyn StoreIo, dir: &Path) -> Result<Box<dyn LockGuard>, OpenError> {
    let unusable = |source| OpenError::Dir {
        dir: dir.to_owned(),
        source,
    };
    io.create_dir(dir).map_err(unusable)?;
    io.lock(&dir.join("lock")).map_err(|error| match error {
        LockError::Held { pid } => OpenError::InUse {
            dir: dir.to_owned(),
            pid,
        },
        LockError::Io(source) => unusable(source),
    })
}

fn parse(frame: &Frame) -> Option<Arc<Record>> {
    if frame.body().is_empty() {
        // its time was over
        return None;
    }
    match from_json_text(frame.body()) {
        Ok(record) => Some(Arc::new(record)),
        Err(error) => {
            tracing::debug!(seq = frame.seq, %error, "journal row is no record");
            None
        }
    }
}

/// Egress, and what already happened at a door: never refused while there is reserve.
fn is_egress(event: &Event) -> bool {
    match event {
        Event::Door(_, door) => match door {
            DoorEvent::Granted { factor, .. } => matches!(factor, Factor::Fire | Factor::Rex),
            DoorEvent::Forced {}
            | DoorEvent::HoldEnded { .. }
            | DoorEvent::LockFault { .. }
            | DoorEvent::Relocked { .. }
            | DoorEvent::RexShunt {}
            | DoorEvent::Tamper { .. }
            | DoorEvent::Unlocked { .. } => true,
            DoorEvent::Closed {}
            | DoorEvent::Denied { .. }
            | DoorEvent::ForcedEnded {}
            | DoorEvent::HeldOpen {}
            | DoorEvent::HeldOpenEnded {}
            | DoorEvent::HoldBegan { .. }
            | DoorEvent::LockedOut { .. }
            | DoorEvent::Opened {}
            | DoorEvent::Passback { .. }
            | DoorEvent::SecondAwaited { .. }
            | DoorEvent::OpenedByPanel {} => false,
        },
        Event::Gateway(gateway) => matches!(
            gateway,
            GatewayEvent::Fire { .. }
                | GatewayEvent::FireAlarm { .. }
                | GatewayEvent::JournalFault { .. }
                | GatewayEvent::Lockdown { .. }
        ),
        Event::Access(..) => true,
        Event::Alarm(_, alarm) => {
            matches!(alarm, AlarmEvent::Confirmed { .. } | AlarmEvent::Raised { .. })
        }
        Event::Account(..)
        | Event::Call(_)
        | Event::Command(_)
        | Event::Controller(..)
        | Event::Device(..)
        | Event::Input(..)
        | Event::Line(..)
        | Event::Panel(..)
        | Event::Port(..)
        | Event::Reader(..)
        | Event::Relay(..)
        | Event::Rule(..)
        | Event::User(_) => false,
    }
}

fn clip(record: &mut Record) {
    for (_, value) in &mut record.fields {
        if let Value::Text(text) = value
            && text.len() > TEXT
        {
            let end = (0..=TEXT).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
    }
}

/// Tells readers what is durable.
struct Publisher {
    bell: SyncSender<()>,
    live: broadcast::Sender<Arc<Record>>,
    recent: Recent,
}

impl Sink<Arc<Record>> for Publisher {
    fn durable(&mut self, items: &[(u64, Arc<Record>)]) {
        let mut recent = held(&self.recent);
        for (_, record) in items {
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(record.clone());
            // No subscriber is no error.
            let _ = self.live.send(record.clone());
        }
    }

    fn rest(&mut self, _log: &mut Log) {
        let _ = self.bell.try_send(());
    }
}
