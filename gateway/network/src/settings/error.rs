//! What can go wrong with a change.

use std::io;
use std::path::{Path, PathBuf};

/// Why a change was not made, or not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// A program of the network manager failed.
    #[error("{program} failed: {text}")]
    Command {
        /// With its arguments.
        program: String,
        /// What it said.
        text: String,
    },
    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The holder did not say that it watches.
    #[error("nobody would take the change back: the holder did not start; nothing was changed")]
    NoHolder,
    /// There is no change that waits.
    #[error("no change waits to be confirmed: it was confirmed or taken back before")]
    NothingWaits,
    /// The note cannot be understood.
    #[error("the note {} is damaged; look at /etc/systemd/network and /etc/network/interfaces.d, then remove it", path.display())]
    Note {
        /// Where it is.
        path: PathBuf,
    },
    /// Another change waits.
    #[error("a change waits for its confirmation: first doorline network confirm, or rollback")]
    Waits,
}

pub(super) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> ChangeError + '_ {
    move |source| ChangeError::File {
        path: path.to_owned(),
        source,
    }
}
