//! The guard's socket: one guard per path, mode 0600, the same user only.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, flock};
use rustix::process::{geteuid, umask};
use tokio::net::{UnixListener, UnixStream};

use crate::clock::awake;

/// A guard whose gateway died may need its lease time to end; the next one waits for it.
const WAIT: Duration = Duration::from_secs(4);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum SocketError {
    #[error("{path}: cannot be created")]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: held by another guard that did not end within {} s", WAIT.as_secs())]
    Held { path: PathBuf },
}

/// The socket and the lock that says whose it is.
pub(super) struct Socket {
    /// Device and inode: a socket of another guard may stand at our path.
    file: (u64, u64),
    pub(super) listener: UnixListener,
    path: PathBuf,
    _lock: std::fs::File,
}

impl Socket {
    pub(super) fn bind(path: &Path, lock: std::fs::File) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Create {
            path: path.to_owned(),
            source,
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        // The mask makes it 0600 from its first moment. One thread: nobody else creates files meanwhile.
        let mask = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(mask);
        let listener = bound.map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self {
            file: file_at(path).map_err(failed)?,
            listener,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// False if it was removed, or another one stands in its place.
    pub(super) fn is_ours(&self) -> bool {
        file_at(&self.path).is_ok_and(|file| file == self.file)
    }

    /// The next connection of our own user; others are closed.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            if uid == geteuid().as_raw() {
                return Ok(stream);
            }
            tracing::warn!(uid, "a connection of another user was closed");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Takes the lock beside the socket, waiting for a guard that is about to end.
pub(super) async fn lock(socket: &Path) -> Result<std::fs::File, SocketError> {
    lock_within(socket, WAIT).await
}

/// The same, with another patience.
pub(super) async fn lock_within(socket: &Path, wait: Duration) -> Result<std::fs::File, SocketError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| SocketError::Create {
        path: path.clone(),
        source,
    };
    if let Some(folder) = path.parent() {
        // It may have been removed while the gateway runs.
        let mut folders = std::fs::DirBuilder::new();
        folders
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
    }
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    let started = awake();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
        if awake().since(started) >= wait {
            return Err(SocketError::Held { path });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
