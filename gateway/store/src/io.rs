//! Every touch of the medium, behind a trait, so that tests can cut the power.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{FallocateFlags, FlockOperation};

/// Held as long as a lock is wanted.
pub trait LockGuard: Send + Sync {}

/// Why a lock was not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Someone else holds it.
    #[error("locked by process {pid}")]
    Held {
        /// Process id, 0 if unknown.
        pid: u32,
    },
    /// The file cannot be made.
    #[error("lock file cannot be made")]
    Io(#[from] io::Error),
}

/// The file operations the journal needs. All paths are absolute or relative to the working directory.
pub trait StoreIo: Send + Sync + 'static {
    /// Makes a directory and its parents.
    ///
    /// # Errors
    /// Any error of the medium.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that this user may still write to the medium of a directory; `None` if nobody knows.
    fn free(&self, dir: &Path) -> Option<u64>;
    /// Names of the entries of a directory, sorted.
    ///
    /// # Errors
    /// Any error of the medium.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Takes an exclusive lock without waiting and leaves our process id in the file.
    ///
    /// # Errors
    /// [`LockError::Held`] names the holder.
    fn lock(&self, path: &Path) -> Result<Box<dyn LockGuard>, LockError>;
    /// Opens a file to read; with `write`, also to write, and makes it if it is absent.
    ///
    /// # Errors
    /// Any error of the medium.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn StoreFile>>;
    /// Removes a file. Durable after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// Any error of the medium.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Renames a file or directory. Durable after [`sync_dir`](Self::sync_dir) of both directories.
    ///
    /// # Errors
    /// Any error of the medium.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes names in a directory durable.
    ///
    /// # Errors
    /// Any error of the medium.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Wall clock, for expiry and for names of what is set aside.
    fn wall(&self) -> Timestamp;
}

/// An open file; positions are given with each call.
pub trait StoreFile: Send + Sync {
    /// Reserves room up to `len` bytes and makes the file that long; new bytes read as zero.
    ///
    /// # Errors
    /// Any error of the medium.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Length in bytes.
    ///
    /// # Errors
    /// Any error of the medium.
    fn len(&self) -> io::Result<u64>;
    /// True if the length is zero.
    ///
    /// # Errors
    /// Any error of the medium.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to `buf.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// Any error of the medium.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Cuts or lengthens the file.
    ///
    /// # Errors
    /// Any error of the medium.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`).
    ///
    /// # Errors
    /// Any error of the medium. Afterwards nothing written since the last success may be taken as stored.
    fn sync(&self) -> io::Result<()>;
    /// Writes all of `data`.
    ///
    /// # Errors
    /// Any error of the medium; part of it may be written.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealIo;

struct RealLock(fs::File);

impl LockGuard for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a process just being started holds a copy until it has begun.
        if let Err(error) = rustix::fs::flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "state folder could not be unlocked");
        }
    }
}

impl StoreIo for RealIo {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn free(&self, dir: &Path) -> Option<u64> {
        let found = rustix::fs::statvfs(dir).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn LockGuard>, LockError> {
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        if let Err(e) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if e != rustix::io::Errno::WOULDBLOCK {
                return Err(LockError::Io(e.into()));
            }
            let text = fs::read_to_string(path).unwrap_or_default();
            return Err(LockError::Held {
                pid: text.trim().parse().unwrap_or(0),
            });
        }
        // The lock is what counts; on a full disk the number may be missing.
        let pid = format!("{}\n", std::process::id());
        if file
            .set_len(0)
            .and_then(|()| file.write_all_at(pid.as_bytes(), 0))
            .is_err()
        {
            tracing::debug!("process id could not be written to the lock file");
        }
        Ok(Box::new(RealLock(file)))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn StoreFile>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(write)
            .create(write)
            .truncate(false)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Less than this is a full disk: one step of the index alone may want more.
const FULL: u64 = 1024 * 1024;

/// What a person must know of a medium that takes no more; `None` if there is room, or nobody knows.
/// `error` is what a write was answered, and how many bytes it wanted.
pub(crate) fn full(io: &dyn StoreIo, dir: &Path, error: Option<(&io::Error, u64)>) -> Option<String> {
    let free = io.free(dir);
    let told = error.is_some_and(|(e, _)| {
        matches!(
            e.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    });
    if !told && free.is_none_or(|free| free >= FULL) {
        return None;
    }
    let free = free.map_or_else(|| "little".to_owned(), |free| format!("{} KiB", free / 1024));
    let dir = dir.display();
    let need = error.map_or_else(String::new, |(_, need)| {
        format!(" and {} KiB are needed at once", need.div_ceil(1024))
    });
    Some(format!(
        "the disk is full: {free} are free for {dir}{need}; free some room there (df -h {dir})"
    ))
}

struct RealFile(fs::File);

impl StoreFile for RealFile {
    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            // Not every file system can reserve room; then a full disk shows at the write instead.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.0.set_len(len),
            other => Ok(other?),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
