//! What the journal tells people: damage, health, why it did not open.

use std::io;
use std::path::PathBuf;

use gateway_core::Seq;

/// Damage that was found, and what was done. Never a reason not to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where: file, byte offset or sequence numbers.
    pub location: String,
    /// True if it is about what is not there: there is nothing to set aside.
    pub missing: bool,
    /// Where the bad file was put, and its readable part; `None` if it had to stay.
    pub set_aside: Option<PathBuf>,
    /// What was found, in words.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}", self.what, self.location)?;
        match &self.set_aside {
            Some(path) => write!(f, ", set aside as {}", path.display()),
            None if self.missing => Ok(()),
            None => f.write_str(", left where it is"),
        }
    }
}

/// What [`Store::open`](crate::Store::open) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Damage, each with what was done. The caller journals and shows it.
    pub damage: Vec<Damage>,
    /// True if some of it is in the log of keys and values: users or tokens may be lost.
    pub records_damaged: bool,
    /// Last event record that survived; 0 if there is none.
    pub last: Seq,
    /// Sequence number the next event gets. More than `last + 1` if acknowledged records may be lost.
    pub next: Seq,
    /// Unfinished, never acknowledged writes that were cut off, in words: the ordinary trace of a power cut.
    pub torn: Vec<String>,
}

/// Why the journal could not be opened at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The state folder cannot be made or read.
    #[error("state folder {} cannot be used", dir.display())]
    Dir {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another instance has locked the folder.
    #[error("state folder {} is in use by process {pid}", dir.display())]
    InUse {
        /// Which.
        dir: PathBuf,
        /// Process id of the holder, 0 if it did not say.
        pid: u32,
    },
    /// A thread could not be started.
    #[error("journal thread could not be started")]
    Thread(#[source] io::Error),
}

/// Whether the journal takes records to the medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Records waiting in memory to be written.
    pub buffered: u64,
    /// Records that found no room in the queue, since start.
    pub lost: u64,
    /// True if the last write and sync succeeded.
    pub ok: bool,
    /// What is wrong and what to do; empty if nothing.
    pub text: String,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            buffered: 0,
            lost: 0,
            ok: true,
            text: String::new(),
        }
    }
}

/// Records could not be read.
#[derive(Debug, thiserror::Error)]
#[error("journal segment {} cannot be read", path.display())]
pub struct ReadFailure {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}
