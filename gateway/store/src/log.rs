//! The growing end of a log: group commit, rotation, recovery at open.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::depot::{Depot, accounted, link, unaccounted};
use crate::io::StoreFile;
use crate::mark::{self, Mark};
use crate::report::Damage;
use crate::segment::{
    FRAME, HEADER, Hash, Header, HeaderKind, IDLE, RECORD, SALT, SALTED, Survey, chain, frame_len,
    push_frame, salted,
};

/// Bytes written with one sync at most, unless one record alone is longer.
const BATCH: usize = 1 << 20;

/// Least time between two notes beside a quiet journal of how far it went: each costs a sync.
const NOTE: Duration = Duration::from_secs(60);

/// The code of the log whose records are salted.
const EVENTS: u8 = 1;

struct Active {
    file: Box<dyn StoreFile>,
    at: u64,
    capacity: u64,
    /// The first record it is for.
    first: u64,
    /// The last frame is an idle mark.
    marked: bool,
}

pub(crate) struct Log {
    depot: Arc<Depot>,
    active: Option<Active>,
    /// When it was last noted how far the log went.
    noted: Option<Instant>,
    pub(crate) segment: u64,
    /// Last durable record and the chain up to it.
    pub(crate) last: u64,
    hash: Hash,
    /// Next sequence number to give.
    pub(crate) next: u64,
    /// What salts are made of; it is nowhere else.
    secret: Option<[u8; 32]>,
}

/// What recovery did.
#[derive(Default)]
pub(crate) struct Recovery {
    pub(crate) damage: Vec<Damage>,
    pub(crate) torn: Vec<String>,
}

impl Log {
    /// Where it is.
    pub(crate) fn depot(&self) -> &Depot {
        &self.depot
    }

    /// Finds the end of the log. Records up to `floor` were acknowledged, so their numbers are not given again.
    pub(crate) fn open(depot: Arc<Depot>, segment: u64, floor: u64) -> io::Result<(Self, Recovery)> {
        let mut log = Self {
            depot,
            active: None,
            noted: None,
            segment: segment.max(4096),
            last: 0,
            hash: [0; 32],
            next: 1,
            secret: None,
        };
        if log.depot.log == EVENTS {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
            log.secret = Some(secret);
        }
        let mut recovery = Recovery::default();
        let mut after = None;
        while let Some(first) = log.depot.firsts().last().copied() {
            if log.recover(first, after, &mut recovery)? {
                break;
            }
            after = Some(first);
        }
        log.account(floor, &mut recovery);
        log.note();
        Ok((log, recovery))
    }

    /// Finds what is missing at the ends of the log, and notes it, so that it is news only once. Numbers of records
    /// that are gone are not given again.
    fn account(&mut self, floor: u64, recovery: &mut Recovery) {
        let (mut anchors, _) = self.depot.anchors();
        let mark = match mark::read(&self.depot) {
            Ok(mark) => mark.unwrap_or_default(),
            Err(error) => {
                recovery.damage.push(self.depot.set_aside(
                    &self.depot.mark,
                    &format!("the note of how far the log went cannot be read: {error}"),
                ));
                Mark::default()
            }
        };
        if let Some(lost) = lost_anchors(mark, anchors.len()) {
            recovery.damage.push(Damage {
                location: self.depot.anchors_path().display().to_string(),
                missing: true,
                set_aside: None,
                what: lost,
            });
        }
        let first = self.depot.firsts().first().copied();
        if let Some(first) = first.filter(|first| *first > 1)
            && let Ok(Some(header)) = self.depot.header(first)
            && let Err(what) = link(None, &header, &anchors)
        {
            recovery.damage.push(self.lost(1, first - 1, what));
            (anchors, _) = self.depot.anchors();
        }
        let known = floor.max(mark.last);
        if known > self.last
            && let Some((from, to)) = unaccounted(&anchors, self.last + 1, known)
        {
            let what = format!("acknowledged records {from} to {to} are missing");
            recovery.damage.push(self.lost(from, to, what));
        }
        let told = accounted(&anchors, self.last + 1);
        self.next = self.next.max(known.saturating_add(1)).max(told);
    }

    /// Notes that records are gone.
    fn lost(&self, from: u64, to: u64, what: String) -> Damage {
        if let Err(error) = self.depot.anchor(from, to, "damage", None) {
            tracing::warn!(%error, "lost journal records could not be noted");
        }
        Damage {
            location: self.depot.dir.display().to_string(),
            missing: true,
            set_aside: None,
            what,
        }
    }

    /// Notes beside the journal how far it went. What is noted is on the medium.
    pub(crate) fn note(&mut self) {
        let before = mark::read(&self.depot).ok().flatten().unwrap_or_default();
        let now = Mark {
            anchors: self.depot.anchors().0.len() as u64,
            // what is gone stays known
            last: before.last.max(self.last),
        };
        self.noted = Some(Instant::now());
        if now != before
            && let Err(error) = mark::write(&self.depot, now)
        {
            tracing::debug!(%error, "it could not be noted how far the journal went");
        }
    }

    /// Takes the end of the log from its last segment; false if that one holds nothing and is gone.
    fn recover(&mut self, first: u64, after: Option<u64>, recovery: &mut Recovery) -> io::Result<bool> {
        let path = self.depot.path(first);
        let found = match self.depot.survey(first) {
            Ok(found) => found,
            Err(error) => {
                self.give_up(first, &error, recovery);
                return Ok(true);
            }
        };
        let sound = found.sound();
        let empty = found.runs.is_empty();
        if found.header.is_none() && empty && !self.dirty(first, HEADER as u64)? {
            // A header is synced before anything follows it: this segment was never begun.
            self.depot.io.remove(&path)?;
            self.depot.io.sync_dir(&self.depot.dir)?;
            self.depot.refresh()?;
            recovery
                .torn
                .push(format!("{}: unfinished new segment removed", path.display()));
            return Ok(false);
        }
        let cut = found.header.as_ref().is_some_and(|h| found.len < h.capacity) && after.is_none();
        let dirty = self.dirty(first, found.end)?;
        if let Some((last, hash)) = sound {
            // a segment that is full to its end has no room for a frame that says so, but the note beside the log does
            let noted = || mark::read(&self.depot).ok().flatten().unwrap_or_default().last;
            let acknowledged = found.durable > last || !found.faults.is_empty() && noted() > last;
            if !acknowledged && !cut {
                let prev = found.header.as_ref().map_or(0, |h| h.prev_seq);
                self.last = if found.anchored { last } else { prev };
                self.hash = hash;
                self.next = last + 1;
                self.resume(first, &found, dirty, recovery)?;
                return Ok(true);
            }
        }
        // Acknowledged records are bad or gone. Their number is not known if they were the last.
        let known = found.runs.last().map_or(0, |r| r.last).max(found.durable);
        let tail = found.seen;
        let last_is_bad = found.faults.last().is_some_and(|(at, _)| *at >= tail);
        let room = found
            .header
            .as_ref()
            .map_or(found.len, |h| h.capacity)
            .max(found.len);
        // Whatever the bad bytes say of themselves is not believed: their room says how many records they can be.
        let lost = if cut {
            room.saturating_sub(tail) / (FRAME as u64 + 8) + 1
        } else if last_is_bad {
            (self.content_end(first, tail)? - tail).div_ceil(FRAME as u64 + 8)
        } else {
            0
        };
        let mut found = found;
        if cut {
            found
                .faults
                .push((found.len, format!("file cut off, {room} bytes expected")));
        }
        let known = known.max(first.saturating_sub(1));
        let next = known + 1 + lost;
        recovery
            .damage
            .push(self.depot.repair(first, &found, known, next));
        match found.runs.last() {
            Some(run) => (self.last, self.hash) = (run.last, run.last_hash),
            None => {
                let (last, hash) = found
                    .header
                    .as_ref()
                    .map_or((first.saturating_sub(1), [0; 32]), |h| (h.prev_seq, h.prev_hash));
                (self.last, self.hash) = (last, hash);
            }
        }
        self.next = next;
        Ok(true)
    }

    /// The medium does not give the last segment back.
    fn give_up(&mut self, first: u64, error: &io::Error, recovery: &mut Recovery) {
        let damage = self.depot.set_aside(
            &self.depot.path(first),
            &format!("segment cannot be read: {error}"),
        );
        recovery.damage.push(damage);
        self.last = first.saturating_sub(1);
        self.next = first + self.segment / (FRAME as u64 + 8) + 1;
        let noted = self
            .depot
            .anchor(first, self.next - 1, "damage", None)
            .and_then(|()| self.depot.refresh());
        if let Err(error) = noted {
            tracing::warn!(%error, "lost journal records could not be noted");
        }
    }

    fn dirty(&self, first: u64, at: u64) -> io::Result<bool> {
        crate::segment::Scanner::open(self.depot.io.as_ref(), &self.depot.path(first))?.dirty_after(at)
    }

    fn content_end(&self, first: u64, at: u64) -> io::Result<u64> {
        crate::segment::Scanner::open(self.depot.io.as_ref(), &self.depot.path(first))?.content_end(at)
    }

    /// Goes on in the last segment; bytes of an unfinished write behind its end are made zero first.
    fn resume(&mut self, first: u64, found: &Survey, dirty: bool, recovery: &mut Recovery) -> io::Result<()> {
        let Some(header) = found.header.as_ref() else {
            return Ok(());
        };
        if dirty {
            recovery.torn.push(format!(
                "{}: unfinished write after record {} cut off at byte {}",
                self.depot.path(first).display(),
                self.last,
                found.end,
            ));
        }
        let file = match self.depot.io.open(&self.depot.path(first), true) {
            Ok(file) => file,
            // A read-only medium: the next segment is tried when there is something to write.
            Err(error) => {
                tracing::warn!(%error, "last journal segment cannot be written, a new one is begun");
                return Ok(());
            }
        };
        if dirty {
            let zeros = vec![0; usize::try_from(found.len.saturating_sub(found.end)).unwrap_or(0)];
            let cleaned = file.write_at(&zeros, found.end).and_then(|()| file.sync());
            if let Err(error) = cleaned {
                tracing::warn!(%error, "end of the last journal segment cannot be cleaned, a new one is begun");
                return Ok(());
            }
        }
        // What a process left that was killed before its sync counts from now on.
        if let Err(error) = file.sync() {
            tracing::warn!(%error, "last journal segment cannot be synced, a new one is begun");
            return Ok(());
        }
        self.active = Some(Active {
            file,
            at: found.end,
            capacity: header.capacity,
            first,
            // A frame that says so stands behind the last record.
            marked: found.durable >= self.last,
        });
        Ok(())
    }

    /// Writes and syncs records in order; gives how many are durable, and the first error.
    /// After an error the same records are given again, and overwrite what the failed write may have left.
    pub(crate) fn commit(&mut self, batch: &[(u64, Vec<u8>)]) -> (usize, io::Result<()>) {
        let mut done = 0;
        while done < batch.len() {
            match self.commit_some(&batch[done..]) {
                Ok(n) => done += n,
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    fn commit_some(&mut self, batch: &[(u64, Vec<u8>)]) -> io::Result<usize> {
        let Some((first, payload)) = batch.first() else {
            return Ok(0);
        };
        let need = Salts(self.secret).room_of(payload) as u64;
        // A gap in the numbers stands between two segments: the header of the second says what it follows.
        let gap = *first != self.last + 1;
        let next = |active: &Active| active.at + need > active.capacity || gap && active.first != *first;
        if self.active.as_ref().is_none_or(next)
            && let Err(error) = self.rotate(*first, need)
        {
            // on a full medium: what was begun is not a segment, and takes a name that means one
            let _ = self.depot.io.remove(&self.depot.path(*first));
            return Err(error);
        }
        let active = self.active.as_mut().expect("rotation gave a segment");
        let room = usize::try_from(active.capacity - active.at)
            .unwrap_or(usize::MAX)
            .min(BATCH.max(usize::try_from(need).unwrap_or(usize::MAX)));
        let salts = Salts(self.secret);
        let mut bytes = Vec::new();
        let (mut last, mut hash, mut count) = (self.last, self.hash, 0);
        for (seq, payload) in batch {
            if bytes.len() + salts.room_of(payload) > room {
                break;
            }
            last = *seq;
            match salts.of(*seq) {
                Some(salt) => {
                    let (payload, after) = salted(&hash, *seq, &salt, payload);
                    hash = after;
                    push_frame(&mut bytes, SALTED, *seq, self.last, &hash, &payload);
                }
                None => {
                    hash = chain(&hash, *seq, payload);
                    push_frame(&mut bytes, RECORD, *seq, self.last, &hash, payload);
                }
            }
            count += 1;
        }
        active.file.write_at(&bytes, active.at)?;
        active.file.sync()?;
        active.at += bytes.len() as u64;
        active.marked = false;
        (self.last, self.hash, self.next) = (last, hash, last + 1);
        self.hint();
        Ok(count)
    }

    /// Writes the mark of [`Self::mark`] and neither syncs it nor lets anything stand behind it: it costs no time of the medium,
    /// and the next batch takes its place. Where it survives, as it does when only the process dies, damage to the last
    /// batch is told from a torn write also in the second before the mark.
    fn hint(&mut self) {
        let Some(active) = self
            .active
            .as_ref()
            .filter(|active| active.at + FRAME as u64 <= active.capacity)
        else {
            return;
        };
        let mut bytes = Vec::new();
        push_frame(&mut bytes, IDLE, self.last, self.last, &self.hash, &[]);
        if let Err(error) = active.file.write_at(&bytes, active.at) {
            tracing::debug!(%error, "the end of the journal could not be marked");
        }
    }

    fn rotate(&mut self, first: u64, need: u64) -> io::Result<()> {
        // If this fails, nothing smaller may still go to the old segment: its numbers belong to the new one.
        let old = self.active.take();
        let io = &self.depot.io;
        let capacity = self.segment.max(HEADER as u64 + need);
        let file = io.open(&self.depot.path(first), true)?;
        // A failed try may have left something.
        file.set_len(0)?;
        file.allocate(capacity)?;
        // The length first: a header on the medium means that a shorter file has lost something.
        file.sync()?;
        let header = Header {
            log: self.depot.log,
            kind: HeaderKind::Chained,
            capacity,
            first,
            prev_seq: self.last,
            prev_hash: self.hash,
            made_ms: io.wall().as_millisecond(),
        };
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        io.sync_dir(&self.depot.dir)?;
        if let Some(old) = old {
            // Sealed: gives back the room it did not need. No harm if this fails.
            if let Err(error) = old.file.set_len(old.at).and_then(|()| old.file.sync()) {
                tracing::debug!(%error, "sealed segment could not be shortened");
            }
        }
        self.depot
            .segments
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(first);
        self.active = Some(Active {
            file,
            at: HEADER as u64,
            capacity,
            first,
            marked: true,
        });
        self.note();
        Ok(())
    }

    /// Ends the growing segment and begins another, so that nothing of before is written to any more.
    pub(crate) fn seal(&mut self) -> io::Result<()> {
        let next = self.next;
        if self.active.as_ref().is_some_and(|active| active.first == next) {
            // nothing is in it yet
            return Ok(());
        }
        self.rotate(next, 0).inspect_err(|_| {
            // on a full medium: what was begun is not a segment, and takes a name that means one
            let _ = self.depot.io.remove(&self.depot.path(next));
        })
    }

    /// Notes on the medium that everything so far is durable, so that damage to the last records is told
    /// from a torn write.
    pub(crate) fn mark(&mut self) -> io::Result<()> {
        let Some(active) = self
            .active
            .as_mut()
            .filter(|a| !a.marked && a.at + FRAME as u64 <= a.capacity)
        else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        push_frame(&mut bytes, IDLE, self.last, self.last, &self.hash, &[]);
        active.file.write_at(&bytes, active.at)?;
        active.file.sync()?;
        active.at += bytes.len() as u64;
        active.marked = true;
        if self.noted.is_none_or(|noted| noted.elapsed() >= NOTE) {
            self.note();
        }
        Ok(())
    }

    pub(crate) const fn hash(&self) -> &Hash {
        &self.hash
    }
}

/// The salts of a log whose records have one.
#[derive(Clone, Copy)]
struct Salts(Option<[u8; 32]>);

impl Salts {
    fn of(&self, seq: u64) -> Option<[u8; SALT]> {
        let whole = chain(&self.0?, seq, b"salt");
        let mut salt = [0; SALT];
        salt.copy_from_slice(&whole[..SALT]);
        Some(salt)
    }

    fn room_of(&self, body: &[u8]) -> usize {
        frame_len(body.len() + if self.0.is_some() { SALT } else { 0 })
    }
}

/// What is to be said of anchors that were there and are not any more.
pub(crate) fn lost_anchors(mark: Mark, found: usize) -> Option<String> {
    let gone = mark.anchors.saturating_sub(found as u64);
    (gone > 0).then(|| {
        format!(
            "{gone} of {} notes of which records are missing, and why, are gone or cannot be read",
            mark.anchors
        )
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use super::*;
    use crate::fake::FakeIo;
    use crate::reader::Reader;

    const STATE: &str = "/state";

    fn depot(fake: &FakeIo) -> io::Result<Arc<Depot>> {
        Depot::open(Arc::new(fake.clone()), Path::new(STATE), "events", 1, true).map(Arc::new)
    }

    fn payload(seq: u64, seed: u64) -> Vec<u8> {
        let len = 5 + (seq.wrapping_mul(seed | 1) % 400) as usize;
        format!("{seq}:")
            .bytes()
            .chain(std::iter::repeat_n(b'x', len))
            .collect()
    }

    /// Opens, checks that everything up to `acked` is there in order and unchanged, and gives the log.
    fn reopen(fake: &FakeIo, acked: u64, seed: u64) -> Log {
        let depot = depot(fake).expect("opens");
        let (log, recovery) = Log::open(depot.clone(), 4096, 0).expect("opens");
        assert!(recovery.damage.is_empty(), "seed {seed}: {:?}", recovery.damage);
        assert!(
            log.last >= acked,
            "seed {seed}: {acked} acknowledged, {} left",
            log.last
        );
        assert_eq!(log.next, log.last + 1, "seed {seed}");
        let mut next = 1;
        Reader::new(depot)
            .scan(1, u64::MAX, &mut |frame, _| {
                assert_eq!(frame.seq, next, "seed {seed}");
                assert_eq!(frame.body(), payload(frame.seq, seed), "seed {seed}");
                next += 1;
                ControlFlow::Continue(())
            })
            .expect("reads");
        assert_eq!(next, log.next, "seed {seed}");
        let report = crate::verify_with(Path::new(STATE), fake.clone()).expect("verifies");
        assert!(report.ok(), "seed {seed}: {report:?}");
        log
    }

    /// Writes until the power goes; gives the last acknowledged record.
    fn live(fake: &FakeIo, log: &mut Log, seed: u64) -> u64 {
        let mut turn = seed;
        for _ in 0..60 {
            turn = turn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let batch: Vec<_> = (log.last + 1..=log.last + 1 + (turn >> 33) % 6)
                .map(|seq| (seq, payload(seq, seed)))
                .collect();
            if log.commit(&batch).1.is_err() || (turn >> 40).is_multiple_of(5) && log.mark().is_err() {
                break;
            }
        }
        let _ = fake;
        log.last
    }

    #[test]
    fn whatever_a_power_cut_leaves_every_acknowledged_record_survives_in_order() {
        for seed in 0..400 {
            let mut fake = FakeIo::new();
            let mut acked = 0;
            for life in 0..3 {
                let mut log = reopen(&fake, acked, seed);
                fake.die_at(fake.ops() + (seed * 7 + life * 13) % 170);
                acked = live(&fake, &mut log, seed).max(acked);
                fake = fake.after_power_cut(seed.wrapping_mul(31) + life);
            }
            reopen(&fake, acked, seed);
        }
    }

    #[test]
    fn a_power_cut_during_recovery_loses_nothing_either() {
        for seed in 0..150 {
            let fake = FakeIo::new();
            let mut log = reopen(&fake, 0, seed);
            fake.die_at(fake.ops() + 20 + seed % 90);
            let acked = live(&fake, &mut log, seed);
            let mut fake = fake.after_power_cut(seed);
            for op in 0..6 {
                fake.die_at(fake.ops() + op);
                // Whether this one comes to its end or not: the next power cut follows.
                let _ = depot(&fake).and_then(|d| Log::open(d, 4096, 0).map(drop));
                fake = fake.after_power_cut(seed + op);
            }
            reopen(&fake, acked, seed);
        }
    }

    #[test]
    fn records_that_a_failed_sync_forgot_are_written_again() {
        let fake = FakeIo::new();
        let mut log = reopen(&fake, 0, 1);
        let rows = |from: u64, to| (from..=to).map(|seq| (seq, payload(seq, 1))).collect::<Vec<_>>();
        assert!(log.commit(&rows(1, 3)).1.is_ok());
        fake.set_broken(true);
        assert!(log.commit(&rows(4, 6)).1.is_err());
        assert!(log.commit(&rows(4, 8)).1.is_err());
        assert_eq!(log.last, 3);
        fake.set_broken(false);
        assert!(log.commit(&rows(4, 8)).1.is_ok());
        reopen(&fake.after_power_cut(9), 8, 1);
    }

    #[test]
    fn a_full_medium_at_rotation_keeps_what_is_there_and_goes_on_later() {
        let fake = FakeIo::new();
        let mut log = reopen(&fake, 0, 3);
        fake.set_full(false);
        assert!(log.commit(&[(1, payload(1, 3))]).1.is_ok());
        fake.set_full(true);
        let batch: Vec<_> = (2..=40).map(|seq| (seq, payload(seq, 3))).collect();
        let (done, result) = log.commit(&batch);
        assert!(result.is_err());
        assert!(done > 0, "the room of the first segment was reserved");
        assert!(log.commit(&batch[done..]).1.is_err());
        let report = crate::verify_with(Path::new(STATE), fake.clone()).expect("verifies");
        assert!(report.ok() && report.events.notes.is_empty(), "{report:?}");
        fake.set_full(false);
        assert!(log.commit(&batch[done..]).1.is_ok());
        reopen(&fake.after_power_cut(4), 40, 3);
    }
}
