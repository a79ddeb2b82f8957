//! What waits for the disk: does the journal get on, and what found no room in it.

use std::time::Duration;

use gateway_core::{Instant, Record, Seq};
use gateway_store::AppendError;

/// A disk that takes longer than this for a record counts as broken, though it reports no error.
const STALLED: Duration = Duration::from_secs(3);
/// So many records that wait are as bad, however fast it writes: half of what the journal's queue holds, so that a door
/// with `on-journal-fault = "refuse"` is shut before a record of it finds no room.
const BEHIND: u64 = 2048;
/// How often the log counts records that found no room.
const TELL: Duration = Duration::from_secs(10);

/// Does the journal get on? A write that hangs is no error and would never be told as one.
pub(super) struct Disk {
    /// Records that found no room since the journal was last all right.
    lost: u64,
    moved: Instant,
    pub(super) stalled: bool,
    told: Option<Instant>,
    /// Records that are queued and not on the medium.
    waiting: u64,
    written: Seq,
}

impl Disk {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            lost: 0,
            moved: now,
            stalled: false,
            told: None,
            waiting: 0,
            written: Seq(0),
        }
    }

    /// True if it stalled, or got on again, since the last look.
    pub(super) fn look(&mut self, now: Instant, queued: Seq, written: Seq) -> bool {
        if written >= queued || written != self.written {
            (self.moved, self.written) = (now, written);
        }
        self.waiting = queued.0.saturating_sub(written.0);
        let stalled = now.since(self.moved) > STALLED || self.is_behind();
        std::mem::replace(&mut self.stalled, stalled) != stalled
    }

    /// True if the next record may find no room.
    pub(super) const fn is_behind(&self) -> bool {
        self.waiting >= BEHIND
    }

    /// What is wrong, while it is stalled.
    pub(super) fn text(&self) -> String {
        if self.is_behind() {
            format!("{} records wait for the disk; look at it", self.waiting)
        } else {
            format!("the disk took no record for {} s; look at it", STALLED.as_secs())
        }
    }

    /// A record found no room. An opening is told in the log with who and where, since it stands nowhere else; of the
    /// others the log gets one line in ten seconds.
    pub(super) fn lost(&mut self, now: Instant, record: Option<&Record>, error: &AppendError) {
        self.lost += 1;
        let lost = self.lost;
        if let Some(record) = record.filter(|record| record.kind == "door.granted") {
            let (door, fields) = (&record.source, &record.fields);
            tracing::error!(%door, ?fields, lost, "a door opens without a record: {error}");
            return;
        }
        if self.told.is_none_or(|told| now.since(told) >= TELL) {
            self.told = Some(now);
            let kind = record.map_or("", |record| record.kind.as_str());
            tracing::error!(kind, lost, "records find no room and are lost: {error}");
        }
    }

    /// What is to be said when the journal is all right again: how much is missing. Begins to count anew.
    pub(super) fn recovered(&mut self) -> String {
        self.told = None;
        match std::mem::take(&mut self.lost) {
            0 => String::new(),
            1 => "1 record found no room and is lost".to_owned(),
            lost => format!("{lost} records found no room and are lost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_hangs_is_told_once_and_again_when_it_gets_on() {
        let t0 = Instant::from_nanos(1_000_000_000_000);
        let at = |seconds| t0 + Duration::from_secs(seconds);
        let mut disk = Disk::new(t0);
        // idle for long: nothing waits
        assert!(!disk.look(at(60), Seq(5), Seq(5)));
        // slow, but it gets on
        assert!(!disk.look(at(61), Seq(9), Seq(5)));
        assert!(!disk.look(at(63), Seq(9), Seq(6)));
        assert!(!disk.look(at(66), Seq(9), Seq(6)));
        assert!(disk.look(at(67), Seq(9), Seq(6)) && disk.stalled);
        assert!(!disk.look(at(90), Seq(12), Seq(6)));
        assert!(disk.look(at(91), Seq(12), Seq(7)) && !disk.stalled);
    }

    #[test]
    fn a_disk_that_writes_but_does_not_keep_up_counts_as_broken_before_the_queue_is_full() {
        let limit = gateway_store::Options::default().queue as u64;
        let t0 = Instant::from_nanos(1_000_000_000_000);
        let mut disk = Disk::new(t0);
        assert!(!disk.look(t0, Seq(BEHIND), Seq(1)));
        assert!(disk.look(t0, Seq(BEHIND + 5), Seq(5)) && disk.text().contains("2048 records wait"));
        assert!(BEHIND < limit, "room must be left");
        assert!(disk.look(t0, Seq(BEHIND + 5), Seq(6)) && !disk.stalled);
    }

    #[test]
    fn what_found_no_room_is_counted_until_the_journal_is_all_right_again() {
        let t0 = Instant::from_nanos(1_000_000_000_000);
        let mut disk = Disk::new(t0);
        assert_eq!(disk.recovered(), "");
        for _ in 0..7 {
            disk.lost(t0, None, &AppendError::Full { waiting: 4096 });
        }
        assert_eq!(disk.recovered(), "7 records found no room and are lost");
        assert_eq!(disk.recovered(), "");
    }
}
