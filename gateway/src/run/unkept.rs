//! What is in force and could not be written down: when the disk is asked again, and what is said meanwhile.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::run::disk;

/// How often the room on the disk is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A disk that refuses for another reason, or whose room is not known, is asked at least so often.
const ASK: Duration = Duration::from_secs(30);
/// Room that a copy takes beside its text.
const BESIDE: u64 = 64 * 1024;

/// Something waits to be written down.
#[derive(Debug)]
pub(crate) struct Unkept {
    asked: Instant,
    /// Until a disk with room is asked again.
    pause: Duration,
    look: Instant,
}

impl Unkept {
    /// The disk has just refused.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            asked: now,
            pause: LOOK,
            look: now + LOOK,
        }
    }

    /// When the room is to be looked at.
    pub(crate) const fn due(&self) -> Instant {
        self.look
    }

    /// Looks at the room. True if the disk is to be asked now: one without room is spared the attempt.
    pub(crate) fn asks(&mut self, now: Instant, room: bool) -> bool {
        self.look = now + LOOK;
        let pause = if room { self.pause } else { ASK };
        let asks = now.saturating_duration_since(self.asked) >= pause;
        if asks {
            self.asked = now;
            // the next refusal with room has another reason than that there is none
            self.pause = if room { (self.pause * 2).min(ASK) } else { LOOK };
        }
        asks
    }
}

/// True if there is room for a text in a folder, as far as is known.
pub(crate) fn has_room(folder: &Path, text: &str) -> bool {
    let needed = BESIDE + 3 * text.len() as u64;
    disk::free(folder).is_none_or(|free| free >= needed)
}

/// True if something could not be written for want of room.
pub(crate) fn is_full(error: &anyhow::Error) -> bool {
    let full = |kind| matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| full(cause.kind()))
}

/// What is waited for, in words.
pub(crate) fn awaited(error: &anyhow::Error, folder: &Path) -> String {
    if is_full(error) {
        let folder = folder.display();
        format!(
            "free some room on the disk of {folder} (df -h {folder}): it is written down by itself within seconds after that"
        )
    } else {
        "it is tried again by itself, at least twice a minute".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which a disk is asked that refuses, looked at when due; `room` is whether it says that it has room.
    fn asked(seconds: u64, room: impl Fn(u64) -> bool) -> Vec<u64> {
        let begin = Instant::now();
        let mut unkept = Unkept::new(begin);
        let mut all = vec![];
        loop {
            let now = unkept.due();
            let at = (now - begin).as_secs();
            if at > seconds {
                return all;
            }
            if unkept.asks(now, room(at)) {
                all.push(at);
            }
        }
    }

    #[test]
    fn a_full_disk_is_spared_and_asked_seconds_after_there_is_room() {
        assert_eq!(asked(59, |_| false), [30]);
        for came in 1..200 {
            let all = asked(came + 60, |at| at >= came);
            let first = all.iter().find(|at| **at >= came).expect("asked");
            assert!(first - came <= 2, "room after {came} s: {all:?}");
        }
    }

    #[test]
    fn a_disk_that_refuses_though_it_has_room_is_asked_less_and_less_often() {
        assert_eq!(asked(140, |_| true), [2, 6, 14, 30, 60, 90, 120]);
    }

    #[test]
    fn what_is_waited_for_is_said() {
        let folder = Path::new("/var/lib/doorline");
        for (kind, said) in [
            (
                ErrorKind::StorageFull,
                "free some room on the disk of /var/lib/doorline",
            ),
            (ErrorKind::QuotaExceeded, "df -h /var/lib/doorline"),
            (ErrorKind::ReadOnlyFilesystem, "tried again by itself"),
        ] {
            let error =
                anyhow::Error::from(std::io::Error::from(kind)).context("in-force.new cannot be written");
            let text = awaited(&error, folder);
            assert!(text.contains(said), "{kind:?}: {text}");
        }
    }

    #[test]
    fn a_folder_whose_room_is_not_known_is_asked() {
        assert!(has_room(Path::new("/no/such/folder"), "x"));
        assert!(has_room(&std::env::temp_dir(), "x"));
    }
}
