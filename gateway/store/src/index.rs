//! The sled index: ring → records, source → records, time → records. It can always be thrown away.
//!
//! sled is not trusted: it is opened on a thread of its own with a time limit, every call is guarded against
//! panics, iteration ends at the first error, and on any trouble the folder is set aside and built again in the
//! background. Look-ups that find no index, or one that is behind, scan the log for the rest.
//!
//! Records are indexed in blocks of 64, which a look-up then reads: an entry per record would need more room
//! than the log itself. Keys: `r` ring (32 hex digits) block and `s` source `\0` block (segment and offset of the
//! first such record in the block) · `t` block (lowest and highest Unix ms) · `m` (how far the index reaches, and
//! the chain hash there). Numbers are big-endian.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, mpsc};
use std::time::Duration;

use gateway_core::{RingId, Timestamp};

use crate::background::REPLACED;
use crate::depot::Depot;
use crate::io::full;
use crate::reader::{Place, Reader};
use crate::report::Damage;
use crate::row::from_json_text;
use crate::segment::Hash;

/// Time sled has to open.
const OPEN: Duration = Duration::from_secs(10);
/// Records indexed in one step.
const STEP: usize = 512;
/// Records per block.
const BLOCK: u64 = 64;
const META: &[u8] = b"m";

/// The index cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("index is not open")]
    Absent,
    #[error("the index that was built of the journal is empty; it is built again, which loses nothing")]
    Empty,
    #[error("index log does not fit: {0}")]
    Foreign(&'static str),
    #[error("index panicked: {0}")]
    Panic(String),
    #[error("index refused")]
    Sled(#[from] sled::Error),
    #[error("index did not open within {} s", OPEN.as_secs())]
    Slow,
    #[error("index thread could not be started")]
    Thread(#[from] io::Error),
}

pub(crate) struct Index {
    dir: PathBuf,
    cache: u64,
    db: RwLock<Option<sled::Db>>,
    upto: AtomicU64,
    /// Something found it unusable; the thread behind builds it again.
    spoiled: Mutex<Option<String>>,
    given_up: AtomicBool,
    /// It stands beside it that it was built.
    noted: AtomicBool,
}

/// The trouble with its cause.
pub(crate) fn words(trouble: &Trouble) -> String {
    match std::error::Error::source(trouble) {
        Some(source) => format!("{trouble}: {source}"),
        None => trouble.to_string(),
    }
}

fn guarded<R>(f: impl FnOnce() -> Result<R, Trouble>) -> Result<R, Trouble> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(Trouble::Panic(
            text.or(panic.downcast_ref::<&str>().copied())
                .unwrap_or("no words")
                .to_owned(),
        ))
    })
}

fn open_sled(dir: &Path, cache: u64) -> Result<sled::Db, Trouble> {
    let (tell, told) = mpsc::channel();
    let dir = dir.to_owned();
    std::thread::Builder::new()
        .name("journal-open".into())
        .spawn(move || {
            let opened = guarded(|| {
                let config = sled::Config::new()
                    .path(&dir)
                    .cache_capacity(cache)
                    .mode(sled::Mode::LowSpace)
                    .flush_every_ms(Some(5000));
                Ok(config.open()?)
            });
            // If nobody waits any more, the folder was set aside meanwhile.
            drop(tell.send(opened));
        })?;
    told.recv_timeout(OPEN).unwrap_or(Err(Trouble::Slow))
}

fn meta(upto: u64, hash: &Hash) -> Vec<u8> {
    let mut value = upto.to_be_bytes().to_vec();
    value.extend_from_slice(hash);
    value
}

fn key(prefix: &[u8], seq: u64) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The part of a block that lies in `from..=to`.
fn within(block: u64, from: u64, to: u64) -> (u64, u64) {
    let first = block.saturating_mul(BLOCK);
    (first.max(from), first.saturating_add(BLOCK - 1).min(to))
}

fn signed(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

pub(crate) fn ring_prefix(ring: RingId) -> Vec<u8> {
    format!("r{}", ring.session_id()).into_bytes()
}

pub(crate) fn source_prefix(source: &str) -> Vec<u8> {
    format!("s{source}\0").into_bytes()
}

impl Index {
    pub(crate) fn new(state: &Path, cache: u64) -> Self {
        Self {
            dir: state.join("index"),
            cache,
            db: RwLock::new(None),
            upto: AtomicU64::new(0),
            spoiled: Mutex::new(None),
            given_up: AtomicBool::new(false),
            noted: AtomicBool::new(false),
        }
    }

    /// Last record that look-ups find without scanning.
    pub(crate) fn upto(&self) -> u64 {
        self.upto.load(Ordering::Acquire)
    }

    /// Has it built again.
    pub(crate) fn spoil(&self, why: &str) {
        self.upto.store(0, Ordering::Release);
        self.spoiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| why.to_owned());
    }

    fn with<R>(&self, f: impl FnOnce(&sled::Db) -> Result<R, Trouble>) -> Result<R, Trouble> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(Trouble::Absent)?;
        guarded(|| f(db))
    }

    /// Opens it if it is not open, sets it aside if it cannot be used. `last` is the end of the log.
    pub(crate) fn ready(&self, reader: &Reader, last: u64) -> Result<(), Damage> {
        let spoiled = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(why) = spoiled {
            return Err(self.discard(&reader.depot, &why));
        }
        if self.given_up.load(Ordering::Relaxed)
            || self.db.read().unwrap_or_else(PoisonError::into_inner).is_some()
        {
            return Ok(());
        }
        let built = self.was_built(&reader.depot);
        // opening makes the folder
        let there = self.dir.exists();
        let opened = open_sled(&self.dir, self.cache).and_then(|db| {
            let upto = guarded(|| Self::check(&db, reader, last))?;
            if upto == 0 && built && there {
                return Err(Trouble::Empty);
            }
            Ok((db, upto))
        });
        match opened {
            Ok((_, 0)) if built => {
                self.forget_built(&reader.depot);
                Err(Damage {
                    location: self.dir.display().to_string(),
                    missing: true,
                    set_aside: None,
                    what: "the index that was built of the journal is gone; it is built again, which loses nothing"
                        .to_owned(),
                })
            }
            Ok((db, upto)) => {
                *self.db.write().unwrap_or_else(PoisonError::into_inner) = Some(db);
                self.upto.store(upto, Ordering::Release);
                Ok(())
            }
            Err(trouble) => Err(self.discard(&reader.depot, &words(&trouble))),
        }
    }

    /// How far it reaches, if it belongs to this log.
    fn check(db: &sled::Db, reader: &Reader, last: u64) -> Result<u64, Trouble> {
        let Some(value) = db.get(META)? else {
            let empty = db.iter().next().transpose()?.is_none();
            return if empty {
                Ok(0)
            } else {
                Err(Trouble::Foreign("it has entries but no end"))
            };
        };
        let upto = value
            .get(..8)
            .and_then(number)
            .ok_or(Trouble::Foreign("its end is no number"))?;
        if upto > last {
            return Err(Trouble::Foreign("it reaches further than the log"));
        }
        let mut hash = None;
        let found = reader.scan(upto, upto, &mut |frame, _| {
            hash = Some(frame.hash);
            ControlFlow::Break(())
        });
        match (found, hash) {
            (Ok(()), Some(hash)) if value.get(8..) != Some(hash.as_slice()) => {
                Err(Trouble::Foreign("its end is another record"))
            }
            (Ok(()) | Err(_), _) => Ok(upto),
        }
    }

    /// Says that there was an index: one that is gone is not taken for one that never was.
    fn built_note(&self) -> PathBuf {
        self.dir.with_file_name("journal-index.mark")
    }

    fn was_built(&self, depot: &Depot) -> bool {
        depot.io.open(&self.built_note(), false).is_ok()
    }

    /// Notes beside it that it was built, once it is and can be found again.
    pub(crate) fn note_built(&self, depot: &Depot) {
        if self.upto() == 0 || self.noted.load(Ordering::Relaxed) {
            return;
        }
        let note = || {
            let path = self.built_note();
            depot.io.open(&path, true)?.sync()?;
            path.parent().map_or(Ok(()), |folder| depot.io.sync_dir(folder))
        };
        let noted = self
            .with(|db| Ok(db.flush()?))
            .map_err(|trouble| words(&trouble))
            .and_then(|_| note().map_err(|error| error.to_string()));
        match noted {
            Ok(()) => self.noted.store(true, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "it could not be noted that the journal has an index"),
        }
    }

    /// It is built anew from here on.
    pub(crate) fn forget_built(&self, depot: &Depot) {
        self.noted.store(false, Ordering::Relaxed);
        if let Err(error) = depot.io.remove(&self.built_note())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "the note that the journal has an index could not be removed");
        }
    }

    /// It could not be set aside: look-ups scan the journal until the next start.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Sets the folder aside; only the newest of those is kept.
    fn discard(&self, depot: &Depot, why: &str) -> Damage {
        self.upto.store(0, Ordering::Release);
        let old = self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        // Dropping flushes, which may panic too.
        drop(catch_unwind(AssertUnwindSafe(|| drop(old))));
        let mut damage = Damage {
            location: self.dir.display().to_string(),
            missing: false,
            set_aside: None,
            what: why.to_owned(),
        };
        if let Some(full) = full(depot.io.as_ref(), &depot.dir, None) {
            // nothing is wrong with it but that it cannot grow: opened again, or built anew, once there is room
            damage.what = format!(
                "{full}; the index waits for it, until then look-ups scan the journal, which loses nothing ({why})"
            );
            return damage;
        }
        self.forget_built(depot);
        if why == REPLACED {
            // nothing is wrong with it, and it may tell of what somebody had taken out
            if let Err(error) = fs::remove_dir_all(&self.dir)
                && error.kind() != io::ErrorKind::NotFound
            {
                self.given_up.store(true, Ordering::Relaxed);
                damage.what = format!("the old index could not be removed, look-ups will scan: {error}");
            }
            return damage;
        }
        let before = fs::read_dir(&depot.damaged).into_iter().flatten().flatten();
        for entry in before.filter(|e| e.file_name().to_string_lossy().starts_with("index-")) {
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::debug!(%error, "an index set aside earlier could not be removed");
            }
        }
        let aside = depot
            .damaged
            .join(format!("index-{}", depot.io.wall().as_millisecond()));
        let moved = fs::create_dir_all(&depot.damaged).and_then(|()| fs::rename(&self.dir, &aside));
        match moved {
            Ok(()) => damage.set_aside = Some(aside),
            Err(error) => {
                self.given_up.store(true, Ordering::Relaxed);
                damage
                    .what
                    .push_str(&format!("; it could not be moved, look-ups will scan: {error}"));
            }
        }
        damage
    }

    /// Takes up to [`STEP`] records after the end into the index. False if there was none.
    pub(crate) fn catch_up(&self, reader: &Reader, last: u64) -> Result<bool, Trouble> {
        let upto = self.upto();
        if upto >= last || self.given_up.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut batch = sled::Batch::default();
        let mut blocks: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
        let mut end = None;
        let mut count = 0;
        let mut firsts: BTreeMap<Vec<u8>, Place> = BTreeMap::new();
        let read = reader.scan(upto + 1, last, &mut |frame, place| {
            if let Ok(record) = from_json_text(frame.body()) {
                let block = frame.seq / BLOCK;
                if let Some(ring) = record.ring {
                    firsts.entry(key(&ring_prefix(ring), block)).or_insert(place);
                }
                if !record.source.is_empty() {
                    firsts
                        .entry(key(&source_prefix(&record.source), block))
                        .or_insert(place);
                }
                let ms = record.at.as_millisecond();
                let span = blocks.entry(block).or_insert((ms, ms));
                *span = (span.0.min(ms), span.1.max(ms));
            }
            end = Some((frame.seq, frame.hash));
            count += 1;
            if count < STEP {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        if let Err(failure) = read {
            tracing::debug!(error = %failure, "records could not be read for the index");
        }
        // Records may be missing up to the end of the log: the gap is indexed as such.
        let Some((seq, hash)) = end else { return Ok(false) };
        self.with(|db| {
            for (block, (low, high)) in blocks {
                let key = key(b"t", block);
                let known = db
                    .get(&key)?
                    .and_then(|v| Some((signed(v.get(..8)?)?, signed(v.get(8..)?)?)));
                let (low, high) = known.map_or((low, high), |(l, h)| (l.min(low), h.max(high)));
                let mut value = low.to_be_bytes().to_vec();
                value.extend_from_slice(&high.to_be_bytes());
                batch.insert(key, value);
            }
            for (key, place) in firsts {
                if !db.contains_key(&key)? {
                    let mut value = place.segment.to_be_bytes().to_vec();
                    value.extend_from_slice(&place.at.to_be_bytes());
                    batch.insert(key, value);
                }
            }
            batch.insert(META, meta(seq, &hash));
            Ok(db.apply_batch(batch)?)
        })?;
        self.upto.store(seq, Ordering::Release);
        Ok(true)
    }

    /// Goes through the blocks of a prefix in order, or newest first, until `f` breaks: the part of each block
    /// that lies in `from..=to`, and the place of its first record of that prefix.
    pub(crate) fn walk(
        &self,
        prefix: &[u8],
        from: u64,
        to: u64,
        newest_first: bool,
        f: &mut dyn FnMut(u64, u64, Place) -> ControlFlow<()>,
    ) -> Result<(), Trouble> {
        self.with(|db| {
            let mut range = db.range(key(prefix, from / BLOCK)..=key(prefix, to / BLOCK));
            loop {
                let entry = if newest_first {
                    range.next_back()
                } else {
                    range.next()
                };
                let Some(entry) = entry else { return Ok(()) };
                let (key, value) = entry?;
                let block = key.get(prefix.len()..).and_then(number);
                let place = (value.get(..8).and_then(number), value.get(8..).and_then(number));
                let (Some(block), (Some(segment), Some(at))) = (block, place) else {
                    return Err(Trouble::Foreign("an entry has another form"));
                };
                let (first, last) = within(block, from, to);
                if f(first, last, Place { segment, at }).is_break() {
                    return Ok(());
                }
            }
        })
    }

    /// Ranges of records within `from..=to` that may lie in a time.
    pub(crate) fn ranges(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        from: u64,
        to: u64,
    ) -> Result<Vec<(u64, u64)>, Trouble> {
        let since = since.map_or(i64::MIN, |t| t.as_millisecond());
        let until = until.map_or(i64::MAX, |t| t.as_millisecond());
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        self.with(|db| {
            for entry in db.range(key(b"t", from / BLOCK)..=key(b"t", to / BLOCK)) {
                let (key, value) = entry?;
                let block = key.get(1..).and_then(number);
                let span = (value.get(..8).and_then(signed), value.get(8..).and_then(signed));
                let (Some(block), (Some(low), Some(high))) = (block, span) else {
                    return Err(Trouble::Foreign("a time block has another form"));
                };
                if high < since || low > until {
                    continue;
                }
                let (first, last) = within(block, from, to);
                match ranges.last_mut() {
                    Some(range) if range.1 + 1 == first => range.1 = last,
                    Some(_) | None => ranges.push((first, last)),
                }
            }
            Ok(())
        })?;
        Ok(ranges)
    }

    /// Gives the folder back.
    pub(crate) fn close(&self) {
        let db = self.db.write().unwrap_or_else(PoisonError::into_inner).take();
        self.upto.store(0, Ordering::Release);
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::warn!("index could not be closed in good order, it will be checked at the next start");
        }
    }
}
