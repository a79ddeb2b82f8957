//! Keeps the journal within the room that the site file gives it.

use std::time::Duration;

use gateway_store::Store;
use tokio::sync::watch;

/// How often its size is looked at: a journal at its fastest writes some 30 MiB meanwhile.
const LOOK: Duration = Duration::from_secs(60);
const MIB: u64 = 1024 * 1024;

/// Watches until the sender of the room, in MiB, is gone.
pub(crate) async fn watch(store: Store, mut room: watch::Receiver<u64>) {
    loop {
        let mib = *room.borrow_and_update();
        let journal = store.clone();
        // removing files may take long, and nobody waits for it
        let done = tokio::task::spawn_blocking(move || journal.keep_within(mib.saturating_mul(MIB))).await;
        match done {
            Ok(Ok(None)) | Err(_) => {}
            Ok(Ok(Some(trimmed))) => {
                let first = trimmed.first;
                tracing::info!(%first, "the journal reached site.journal-mib = {mib}: older records were removed");
                for (reader, had) in trimmed.behind {
                    tracing::warn!(%reader, %had, %first, "records were removed that this reader had not had");
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the journal could not be made smaller"),
        }
        if let Ok(Err(_)) = tokio::time::timeout(LOOK, room.changed()).await {
            return;
        }
    }
}
