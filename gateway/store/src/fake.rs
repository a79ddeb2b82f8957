//! A medium in memory that loses power: unsynced writes are dropped, torn or reordered by a seed, and it can be
//! full or broken. For tests of everything that stores.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gateway_core::Timestamp;

use crate::io::{LockError, LockGuard, StoreFile, StoreIo};

/// Bytes a medium writes whole or not at all.
const SECTOR: usize = 512;

enum Op {
    Len(u64),
    Write(u64, Vec<u8>),
}

#[derive(Default)]
struct Content {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What is on the medium for sure.
    safe: Vec<u8>,
    /// What happened since, in order.
    since: Vec<Op>,
    /// Room reserved, so that a full medium still takes it.
    room: u64,
}

type Shared = Arc<Mutex<Content>>;

enum Name {
    Set(PathBuf, Shared),
    Unset(PathBuf),
    Moved(PathBuf, PathBuf),
}

#[derive(Default)]
struct Names {
    seen: BTreeMap<PathBuf, Shared>,
    safe: BTreeMap<PathBuf, Shared>,
    since: Vec<Name>,
}

#[derive(Default)]
struct Medium {
    names: Mutex<Names>,
    full: AtomicBool,
    /// Syncs wait, and how many do.
    hangs: (Mutex<(bool, usize)>, Condvar),
    broken: AtomicBool,
    dead: AtomicBool,
    /// Writes, syncs and name changes so far.
    ops: AtomicU64,
    dies_at: AtomicU64,
    locked: AtomicBool,
    syncs: AtomicU64,
    unreadable: Mutex<Option<PathBuf>>,
}

/// The medium; clones are the same one.
#[derive(Clone, Default)]
pub struct FakeIo(Arc<Medium>);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small generator (splitmix64), so that a seed tells everything.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn put(bytes: &mut Vec<u8>, data: &[u8], offset: u64) {
    let at = usize::try_from(offset).expect("fake files are small");
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl FakeIo {
    /// An empty medium.
    #[must_use]
    pub fn new() -> Self {
        let fake = Self::default();
        fake.0.dies_at.store(u64::MAX, Ordering::Relaxed);
        fake
    }

    /// From here on there is no room for new bytes, or there is again.
    pub fn set_full(&self, full: bool) {
        self.0.full.store(full, Ordering::Relaxed);
    }

    /// From here on syncs fail and what was unsynced is lost, or they work again.
    pub fn set_broken(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::Relaxed);
    }

    /// From here on syncs of files hang, or they go on.
    pub fn set_hanging(&self, hangs: bool) {
        let (state, changed) = &self.0.hangs;
        held(state).0 = hangs;
        changed.notify_all();
    }

    /// How many syncs hang.
    #[must_use]
    pub fn hanging(&self) -> usize {
        held(&self.0.hangs.0).1
    }

    /// From here on this file cannot be read.
    pub fn set_unreadable(&self, path: &Path) {
        *held(&self.0.unreadable) = Some(path.to_owned());
    }

    /// The power goes at the `op`-th write, sync or name change from the beginning: that one and all later fail.
    pub fn die_at(&self, op: u64) {
        self.0.dies_at.store(op, Ordering::Relaxed);
    }

    /// Writes, syncs and name changes so far.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.0.ops.load(Ordering::Relaxed)
    }

    /// Syncs of files so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::Relaxed)
    }

    /// What the medium holds after a power cut at this moment: everything synced, and of the rest what the seed
    /// leaves, sector by sector, in any order.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut seed = seed;
        let names = held(&self.0.names);
        let mut left = names.safe.clone();
        let kept = draw(&mut seed) % (names.since.len() as u64 + 1);
        for change in names.since.iter().take(usize::try_from(kept).unwrap_or(0)) {
            apply(&mut left, change);
        }
        let fresh = Self::new();
        for (path, content) in &left {
            let content = held(content);
            let mut bytes = content.safe.clone();
            for op in &content.since {
                match op {
                    Op::Len(len) => {
                        if draw(&mut seed).is_multiple_of(2) {
                            bytes.resize(usize::try_from(*len).expect("fake files are small"), 0);
                        }
                    }
                    Op::Write(offset, data) => scatter(&mut bytes, *offset, data, &mut seed),
                }
            }
            fresh.plant(path, bytes);
        }
        fresh
    }

    /// Puts a file there, durable.
    pub fn plant(&self, path: &Path, bytes: Vec<u8>) {
        let content = Content {
            seen: bytes.clone(),
            room: bytes.len() as u64,
            safe: bytes,
            since: Vec::new(),
        };
        let content: Shared = Arc::new(Mutex::new(content));
        let mut names = held(&self.0.names);
        names.seen.insert(path.to_owned(), content.clone());
        names.safe.insert(path.to_owned(), content);
    }

    /// The content of a file as a reader sees it.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        held(&self.0.names).seen.get(path).map(|c| held(c).seen.clone())
    }

    /// All files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        held(&self.0.names).seen.keys().cloned().collect()
    }

    /// Waits as long as the medium hangs.
    fn wait(&self) {
        let (state, changed) = &self.0.hangs;
        let mut state = held(state);
        state.1 += 1;
        while state.0 {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.1 -= 1;
    }

    fn act(&self) -> io::Result<()> {
        let op = self.0.ops.fetch_add(1, Ordering::Relaxed);
        if op >= self.0.dies_at.load(Ordering::Relaxed) {
            self.0.dead.store(true, Ordering::Relaxed);
        }
        if self.0.dead.load(Ordering::Relaxed) {
            return Err(io::Error::other("power is gone"));
        }
        Ok(())
    }

    fn change(&self, change: Name) -> io::Result<()> {
        self.act()?;
        let mut names = held(&self.0.names);
        apply(&mut names.seen, &change);
        names.since.push(change);
        Ok(())
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Shared>, change: &Name) {
    match change {
        Name::Moved(from, to) => {
            if let Some(content) = names.remove(from) {
                names.insert(to.clone(), content);
            }
        }
        Name::Set(path, content) => {
            names.insert(path.clone(), content.clone());
        }
        Name::Unset(path) => {
            names.remove(path);
        }
    }
}

/// Lets some sectors of a write reach the medium.
fn scatter(bytes: &mut Vec<u8>, offset: u64, data: &[u8], seed: &mut u64) {
    let mode = draw(seed) % 3;
    let mut at = 0;
    while at < data.len() {
        let from = usize::try_from(offset).expect("fake files are small") + at;
        let n = (SECTOR - from % SECTOR).min(data.len() - at);
        if mode == 0 || (mode == 1 && draw(seed).is_multiple_of(2)) {
            put(bytes, &data[at..at + n], offset + at as u64);
        }
        at += n;
    }
}

struct FakeLock(Arc<Medium>);

impl LockGuard for FakeLock {}

impl Drop for FakeLock {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Relaxed);
    }
}

impl StoreIo for FakeIo {
    fn free(&self, _: &Path) -> Option<u64> {
        Some(if self.0.full.load(Ordering::Relaxed) {
            0
        } else {
            u64::MAX
        })
    }

    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = held(&self.0.names);
        let inside = names.seen.keys().filter(|p| p.parent() == Some(dir));
        Ok(inside
            .filter_map(|p| Some(p.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn lock(&self, _path: &Path) -> Result<Box<dyn LockGuard>, LockError> {
        if self.0.locked.swap(true, Ordering::Relaxed) {
            return Err(LockError::Held {
                pid: std::process::id(),
            });
        }
        Ok(Box::new(FakeLock(self.0.clone())))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn StoreFile>> {
        let known = held(&self.0.names).seen.get(path).cloned();
        let content = match known {
            Some(content) => content,
            None if write => {
                let content = Shared::default();
                self.change(Name::Set(path.to_owned(), content.clone()))?;
                content
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let unreadable = held(&self.0.unreadable).as_deref() == Some(path);
        Ok(Box::new(FakeFile {
            content,
            medium: self.clone(),
            unreadable,
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(Name::Unset(path.to_owned()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Name::Moved(from.to_owned(), to.to_owned()))
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.act()?;
        let mut names = held(&self.0.names);
        names.safe = names.seen.clone();
        names.since.clear();
        Ok(())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

struct FakeFile {
    content: Shared,
    medium: FakeIo,
    unreadable: bool,
}

impl StoreFile for FakeFile {
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.medium.act()?;
        let mut content = held(&self.content);
        if self.medium.0.full.load(Ordering::Relaxed) && len > content.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.room = content.room.max(len);
        if (content.seen.len() as u64) < len {
            content
                .seen
                .resize(usize::try_from(len).expect("fake files are small"), 0);
            content.since.push(Op::Len(len));
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(held(&self.content).seen.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.unreadable {
            return Err(io::Error::from_raw_os_error(5));
        }
        let content = held(&self.content);
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.seen.len());
        let n = buf.len().min(content.seen.len() - from);
        buf[..n].copy_from_slice(&content.seen[from..from + n]);
        Ok(n)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.medium.act()?;
        let mut content = held(&self.content);
        content
            .seen
            .resize(usize::try_from(len).expect("fake files are small"), 0);
        content.room = content.room.min(len);
        content.since.push(Op::Len(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.medium.act()?;
        self.medium.0.syncs.fetch_add(1, Ordering::Relaxed);
        self.medium.wait();
        let mut content = held(&self.content);
        if self.medium.0.broken.load(Ordering::Relaxed) {
            // As Linux does it: the dirty pages are forgotten, a reader still sees them.
            content.since.clear();
            return Err(io::Error::from_raw_os_error(5));
        }
        let ops = std::mem::take(&mut content.since);
        for op in ops {
            match op {
                Op::Len(len) => {
                    content
                        .safe
                        .resize(usize::try_from(len).expect("fake files are small"), 0);
                }
                Op::Write(offset, data) => put(&mut content.safe, &data, offset),
            }
        }
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.medium.act()?;
        let mut content = held(&self.content);
        let end = offset + data.len() as u64;
        if self.medium.0.full.load(Ordering::Relaxed) && end > content.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.room = content.room.max(end);
        put(&mut content.seen, data, offset);
        content.since.push(Op::Write(offset, data.to_vec()));
        Ok(())
    }
}
