//! Says that the disk of the state folder runs full, while there is still room to journal it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Clock, DeviceId, Signal, SignalKind};
use tokio::sync::mpsc;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Less room than this is told: a segment of the journal and what its index takes meanwhile.
const LOW: u64 = 32 * MIB;
/// It is over once there is this much: room that comes and goes is told once.
const ENOUGH: u64 = 48 * MIB;
const MIB: u64 = 1024 * 1024;

/// Watches until the core is gone.
pub(crate) async fn watch(dir: PathBuf, clock: Arc<dyn Clock>, signals: mpsc::Sender<Signal>) {
    let Ok(device) = DeviceId::new("disk") else { return };
    let mut every = tokio::time::interval(LOOK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut low = false;
    loop {
        every.tick().await;
        let place = dir.clone();
        // a disk that hangs may keep this one waiting, and nobody else
        let free = tokio::task::spawn_blocking(move || free(&place)).await;
        let Ok(Some(free)) = free else { continue };
        let Some(kind) = look(&mut low, free, &dir) else {
            continue;
        };
        let signal = Signal {
            at: clock.now(),
            device: device.clone(),
            kind,
            simulated: false,
        };
        if signals.send(signal).await.is_err() {
            return;
        }
    }
}

/// Bytes that this user may still write there.
pub(crate) fn free(dir: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(dir).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// What is to be said of the room, if that is news.
fn look(low: &mut bool, free: u64, dir: &Path) -> Option<SignalKind> {
    let now = free < if *low { ENOUGH } else { LOW };
    if std::mem::replace(low, now) == now {
        return None;
    }
    Some(if now {
        let dir = dir.display();
        let text = format!(
            "the disk of {dir} is nearly full, {} MiB are free: free some room there (df -h {dir}), or what happens at \
             the doors cannot be journalled",
            free / MIB
        );
        tracing::warn!("{text}");
        SignalKind::Fault(text)
    } else {
        SignalKind::Ready
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_runs_full_is_told_once_with_place_room_and_remedy_and_its_end_too() {
        let (mut low, dir) = (false, Path::new("/var/lib/doorline"));
        assert_eq!(look(&mut low, 100 * MIB, dir), None);
        let told = look(&mut low, 31 * MIB, dir);
        let Some(SignalKind::Fault(text)) = told else {
            panic!("{told:?}");
        };
        for part in ["/var/lib/doorline", "31 MiB are free", "free some room"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        for free in [0, 31, 40, 47] {
            assert_eq!(look(&mut low, free * MIB, dir), None);
        }
        assert_eq!(look(&mut low, 48 * MIB, dir), Some(SignalKind::Ready));
        assert_eq!(look(&mut low, 33 * MIB, dir), None);
    }

    #[test]
    fn the_room_of_a_folder_is_known() {
        assert!(free(&std::env::temp_dir()).is_some());
        assert_eq!(free(Path::new("/no/such/folder")), None);
    }
}
