//! What parts of the process itself put into the journal, and the files that say something by being there.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gateway_core::{Clock as _, Envelope, Event};
use gateway_store::Store;

use crate::clock::SystemClock;

/// Journals something that happens now and belongs to no ring. What cannot be journalled is in the log.
pub(crate) fn journal(store: &Store, event: Event) {
    let kind = event.kind();
    let envelope = Envelope {
        at: SystemClock.wall(),
        event,
        ring: None,
        simulated: false,
    };
    if let Err(error) = store.append(envelope) {
        tracing::error!(%error, kind, "this could not be journalled");
    }
}

/// Makes a file that says by being there, on the medium.
///
/// # Errors
/// It cannot be made.
pub(crate) fn mark(path: &Path) -> std::io::Result<()> {
    std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .sync_all()
}
