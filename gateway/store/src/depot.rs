//! The folder of one log: its segments, what was set aside, and the anchors that say what is missing and why.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::io::StoreIo;
use crate::report::Damage;
use crate::segment::{Hash, Header, HeaderKind, Scanner, Step, Survey, survey};

const ANCHORS: &str = "anchors.jsonl";

/// Records that are missing, and why: a row of `anchors.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    /// First missing record.
    pub from: u64,
    /// Last missing record.
    pub to: u64,
    /// `trim` or `damage`.
    pub why: String,
    /// When, RFC 3339.
    pub at: String,
    /// Chain hash of the last missing record in hexadecimal, if it is known.
    pub hash: Option<String>,
}

pub(crate) fn hex(hash: &Hash) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) struct Depot {
    pub(crate) io: Arc<dyn StoreIo>,
    pub(crate) dir: PathBuf,
    pub(crate) damaged: PathBuf,
    pub(crate) log: u8,
    /// Says how far the log went.
    pub(crate) mark: PathBuf,
    /// First sequence numbers of the segments; the last one may be growing.
    pub(crate) segments: RwLock<BTreeSet<u64>>,
    /// Held while sealed segments are moved or removed.
    shape: Mutex<()>,
}

impl Depot {
    /// Opens a log folder. With `repair`, finishes what a power cut interrupted.
    pub(crate) fn open(
        io: Arc<dyn StoreIo>,
        state: &Path,
        name: &str,
        log: u8,
        repair: bool,
    ) -> io::Result<Self> {
        let journal = state.join("journal");
        let depot = Self {
            io,
            dir: journal.join(name),
            damaged: journal.join("damaged"),
            log,
            mark: state.join(format!("journal-{name}.mark")),
            segments: RwLock::new(BTreeSet::new()),
            shape: Mutex::new(()),
        };
        if repair {
            depot.io.create_dir(&depot.dir)?;
            depot.finish_repairs()?;
            depot.drop_drafts()?;
        }
        depot.refresh()?;
        Ok(depot)
    }

    /// Reads the names of the segments again.
    pub(crate) fn refresh(&self) -> io::Result<()> {
        let names = self.io.list(&self.dir)?;
        let firsts = names
            .iter()
            .filter_map(|n| n.strip_suffix(".seg")?.parse().ok())
            .collect();
        *self.segments.write().unwrap_or_else(PoisonError::into_inner) = firsts;
        Ok(())
    }

    pub(crate) fn path(&self, first: u64) -> PathBuf {
        self.dir.join(format!("{first:020}.seg"))
    }

    pub(crate) fn firsts(&self) -> Vec<u64> {
        self.segments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect()
    }

    fn name(&self) -> String {
        self.dir
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    }

    /// A free place for something bad, without touching it.
    pub(crate) fn aside(&self, file: &Path) -> io::Result<PathBuf> {
        self.io.create_dir(&self.damaged)?;
        let taken = self.io.list(&self.damaged)?;
        let stem = format!(
            "{}-{}-{}",
            self.name(),
            file.file_name()
                .map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            self.io.wall().as_second(),
        );
        let free = (0u32..)
            .map(|n| format!("{stem}-{n}"))
            .find(|name| !taken.contains(name));
        Ok(self
            .damaged
            .join(free.expect("one of four billion names is free")))
    }

    /// Where it stands which records are missing.
    pub(crate) fn anchors_path(&self) -> PathBuf {
        self.dir.join(ANCHORS)
    }

    /// Everything `anchors.jsonl` says, and how many of its lines cannot be read.
    pub(crate) fn anchors(&self) -> (Vec<Anchor>, usize) {
        let Ok(mut scanner) = Scanner::open(self.io.as_ref(), &self.anchors_path()) else {
            return (Vec::new(), 0);
        };
        let len = scanner.len;
        let bytes = scanner.raw(0, len).unwrap_or_default();
        let mut bad = 0;
        let mut anchors = Vec::new();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(anchor) => anchors.push(anchor),
                Err(_) => bad += 1,
            }
        }
        (anchors, bad)
    }

    pub(crate) fn anchor(&self, from: u64, to: u64, why: &str, hash: Option<&Hash>) -> io::Result<()> {
        let anchor = Anchor {
            from,
            to,
            why: why.into(),
            at: self.io.wall().to_string(),
            hash: hash.map(hex),
        };
        let file = self.io.open(&self.anchors_path(), true)?;
        // A line end in front keeps a torn line from spoiling this one.
        let row = serde_json::to_string(&anchor).expect("an anchor has plain fields");
        file.write_at(format!("\n{row}\n").as_bytes(), file.len()?)?;
        file.sync()?;
        self.io.sync_dir(&self.dir)
    }

    /// First record and length in bytes of each segment, oldest first.
    pub(crate) fn sizes(&self) -> io::Result<Vec<(u64, u64)>> {
        let size = |first| match self.io.open(&self.path(first), false) {
            Ok(file) => Ok((first, file.len()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((first, 0)),
            Err(error) => Err(error),
        };
        self.firsts().into_iter().map(size).collect()
    }

    /// Removes whole segments before `seq`. Gives the first record left.
    pub(crate) fn trim(&self, seq: u64) -> io::Result<u64> {
        let _shape = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        let firsts = self.firsts();
        let keep = firsts.iter().rposition(|first| *first <= seq).unwrap_or(0);
        let Some(first_left) = firsts.get(keep).copied() else {
            return Ok(seq);
        };
        if keep == 0 {
            return Ok(first_left);
        }
        // What the next segment was chained to is what verification needs to go on from.
        let next = self.header(first_left)?;
        let hash = next
            .filter(|h| h.kind == HeaderKind::Chained)
            .map(|h| h.prev_hash);
        self.anchor(1, first_left - 1, "trim", hash.as_ref())?;
        for first in &firsts[..keep] {
            self.segments
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(first);
            self.io.remove(&self.path(*first))?;
        }
        self.io.sync_dir(&self.dir)?;
        Ok(first_left)
    }

    /// Sets a damaged segment aside and puts its readable runs in its place. `known` is the last record that it is
    /// known to have had, `next` the first one after it. What cannot be done (a full disk) leaves the file where it is: readers step over bad frames.
    pub(crate) fn repair(&self, first: u64, found: &Survey, known: u64, next: u64) -> Damage {
        let _shape = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(first);
        let what = match found.faults.as_slice() {
            [] => "records missing at the end".to_owned(),
            [(at, what)] => format!("{what} at byte {at}"),
            [(at, what), rest @ ..] => format!("{what} at byte {at} and {} more faults", rest.len()),
        };
        let mut damage = Damage {
            location: if known < first {
                format!("{} (records from {first} on)", path.display())
            } else {
                format!("{} (records {first} to {known})", path.display())
            },
            missing: false,
            set_aside: None,
            what,
        };
        if next > known + 1 {
            damage.what.push_str(&format!(
                "; at most {} records after {known} are lost, and the next one gets number {next}",
                next - known - 1
            ));
        }
        match self.replace(first, found, next, &path) {
            Ok(aside) => damage.set_aside = Some(aside),
            Err(error) => damage
                .what
                .push_str(&format!("; it could not be replaced: {error}")),
        }
        if let Err(error) = self.refresh() {
            tracing::warn!(%error, "journal folder could not be read again");
        }
        damage
    }

    fn replace(&self, first: u64, found: &Survey, next: u64, path: &Path) -> io::Result<PathBuf> {
        let mut scanner = Scanner::open(self.io.as_ref(), path)?;
        let aside = self.aside(path)?;
        let runs: Vec<_> = found
            .runs
            .iter()
            .filter(|r| r.first >= first && r.last < next)
            .collect();
        let mut prev = (first.saturating_sub(1), [0; 32]);
        let mut made = Vec::new();
        let mut export = Vec::new();
        let mut missing = Vec::new();
        for (k, run) in runs.iter().enumerate() {
            let own = found.header.as_ref().filter(|_| k == 0 && found.anchored);
            let frames = scanner.raw(run.start, run.end)?;
            let capacity = (crate::segment::HEADER + frames.len()) as u64;
            let header = match own {
                Some(header) => Header {
                    capacity,
                    ..header.clone()
                },
                None => Header {
                    log: self.log,
                    kind: HeaderKind::Salvaged,
                    capacity,
                    first: run.first,
                    prev_seq: prev.0,
                    prev_hash: run.first_hash,
                    made_ms: self.io.wall().as_millisecond(),
                },
            };
            if run.first > prev.0 + 1 {
                missing.push((prev.0 + 1, run.first - 1));
            }
            prev = (run.last, run.last_hash);
            let name = self.dir.join(format!("{first:020}-{:020}.repair", run.first));
            let file = self.io.open(&name, true)?;
            file.set_len(0)?;
            file.write_at(&header.encode(), 0)?;
            file.write_at(&frames, crate::segment::HEADER as u64)?;
            file.sync()?;
            made.push((name, self.path(run.first)));
            scanner.at = run.start;
            while scanner.at < run.end {
                if let Step::Frame(frame) = scanner.step()? {
                    if frame.flags != crate::segment::IDLE {
                        export.extend_from_slice(frame.body());
                        export.push(b'\n');
                    }
                } else {
                    break;
                }
            }
        }
        if next > prev.0 + 1 {
            missing.push((prev.0 + 1, next - 1));
        }
        let mut readable = aside.clone().into_os_string();
        readable.push(".jsonl");
        let text = self.io.open(Path::new(&readable), true)?;
        text.set_len(0)?;
        text.write_at(&export, 0)?;
        text.sync()?;
        for (from, to) in missing {
            self.anchor(from, to, "damage", None)?;
        }
        self.io.sync_dir(&self.dir)?;
        self.io.rename(path, &aside)?;
        self.io.sync_dir(&self.damaged)?;
        // The run with the old name comes last: while it is pending, the others can be finished.
        for (from, to) in made.iter().rev() {
            self.io.rename(from, to)?;
        }
        self.io.sync_dir(&self.dir)?;
        Ok(aside)
    }

    fn finish_repairs(&self) -> io::Result<()> {
        let names = self.io.list(&self.dir)?;
        let mut touched = false;
        for name in names.iter().rev() {
            let Some((old, run)) = name.strip_suffix(".repair").and_then(|n| n.split_once('-')) else {
                continue;
            };
            touched = true;
            let from = self.dir.join(name);
            if names.contains(&format!("{old}.seg")) {
                self.io.remove(&from)?;
            } else {
                self.io.rename(&from, &self.dir.join(format!("{run}.seg")))?;
            }
        }
        if touched {
            self.io.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Removes what was begun and has no name of its own yet: it may hold what somebody had taken out.
    fn drop_drafts(&self) -> io::Result<()> {
        let names = self.io.list(&self.dir)?;
        let drafts = names.iter().filter(|name| name.ends_with(".draft"));
        let mut touched = false;
        for name in drafts {
            self.io.remove(&self.dir.join(name))?;
            touched = true;
        }
        if touched {
            self.io.sync_dir(&self.dir)
        } else {
            Ok(())
        }
    }

    /// Writes a segment that grows no more anew, with what `fate` says of each record: `None` leaves its body as it is, a
    /// text takes its place, and an empty one takes it away. Either all of it is done or nothing. Says of how many
    /// records the body changed.
    pub(crate) fn redact(
        &self,
        first: u64,
        fate: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> io::Result<u64> {
        let _shape = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(first);
        let mut scanner = Scanner::open(self.io.as_ref(), &path)?;
        let Some(header) = scanner.header()? else {
            return if scanner.dirty_after(0)? {
                Err(io::Error::other(format!("{} is damaged", path.display())))
            } else {
                Ok(0)
            };
        };
        let mut frames = Vec::new();
        let mut changed = 0;
        loop {
            let at = scanner.at;
            match scanner.step()? {
                Step::Frame(frame) => {
                    let body = (frame.flags != crate::segment::IDLE && !frame.body().is_empty())
                        .then(|| fate(frame.body()))
                        .flatten();
                    match body {
                        None => {
                            let end = scanner.at;
                            let raw = scanner.raw(at, end)?;
                            frames.extend_from_slice(&raw);
                        }
                        Some(body) => {
                            frame.redacted(&mut frames, &body);
                            changed += 1;
                        }
                    }
                }
                Step::End => break,
                Step::Zero if !scanner.dirty_after(at)? => break,
                Step::Zero | Step::Bad(_) => {
                    return Err(io::Error::other(format!(
                        "{} is damaged at byte {at}",
                        path.display()
                    )));
                }
            }
        }
        if changed == 0 {
            return Ok(0);
        }
        let header = Header {
            capacity: (crate::segment::HEADER + frames.len()) as u64,
            ..header
        };
        let draft = path.with_extension("draft");
        let file = self.io.open(&draft, true)?;
        file.set_len(0)?;
        file.write_at(&header.encode(), 0)?;
        file.write_at(&frames, crate::segment::HEADER as u64)?;
        file.sync()?;
        self.io.rename(&draft, &path)?;
        self.io.sync_dir(&self.dir)?;
        Ok(changed)
    }

    /// Moves a file away as it is.
    pub(crate) fn set_aside(&self, path: &Path, what: &str) -> Damage {
        let moved = self.aside(path).and_then(|aside| {
            self.io.rename(path, &aside)?;
            self.io.sync_dir(&self.damaged)?;
            self.io.sync_dir(&self.dir)?;
            Ok(aside)
        });
        Damage {
            location: path.display().to_string(),
            missing: false,
            set_aside: moved.as_ref().ok().cloned(),
            what: match moved {
                Ok(_) => what.to_owned(),
                Err(error) => format!("{what}; it could not be moved: {error}"),
            },
        }
    }

    /// True if a segment has something behind the room of its header.
    pub(crate) fn dirty(&self, first: u64) -> io::Result<bool> {
        Scanner::open(self.io.as_ref(), &self.path(first))?.dirty_after(crate::segment::HEADER as u64)
    }

    pub(crate) fn header(&self, first: u64) -> io::Result<Option<Header>> {
        Scanner::open(self.io.as_ref(), &self.path(first))?.header()
    }

    pub(crate) fn survey(&self, first: u64) -> io::Result<Survey> {
        survey(self.io.as_ref(), &self.path(first))
    }
}

/// The part of a range of missing records, up to its end, that no anchor speaks of.
pub(crate) fn unaccounted(anchors: &[Anchor], from: u64, to: u64) -> Option<(u64, u64)> {
    let next = accounted(anchors, from);
    (next <= to).then_some((next, to))
}

/// The first record from `from` on that no anchor speaks of.
pub(crate) fn accounted(anchors: &[Anchor], from: u64) -> u64 {
    let mut next = from;
    let mut sorted: Vec<_> = anchors.iter().collect();
    sorted.sort_by_key(|anchor| anchor.from);
    for anchor in sorted {
        if anchor.from <= next && anchor.to >= next {
            next = anchor.to.saturating_add(1);
        }
    }
    next
}

/// Whether a segment follows what came before it: `Ok(Some(..))` is a declared gap.
pub(crate) fn link(
    before: Option<(u64, Hash)>,
    header: &Header,
    anchors: &[Anchor],
) -> Result<Option<(u64, u64)>, String> {
    let first = header.first;
    let (last, hash) = before.unwrap_or((0, [0; 32]));
    let gap = (first > last + 1).then_some((last + 1, first.saturating_sub(1)));
    if header.kind == HeaderKind::Salvaged && header.prev_seq == last {
        return Ok(gap);
    }
    if header.prev_seq == last && header.prev_hash == hash {
        return Ok(gap);
    }
    if let Some((from, to)) = gap {
        if let Some((from, to)) = unaccounted(anchors, from, to) {
            return Err(format!("records {from} to {to} are missing"));
        }
        let mut ends = anchors.iter().rev().filter(|anchor| anchor.to == to);
        let known = ends.find_map(|anchor| anchor.hash.clone());
        if known.is_some_and(|known| known != hex(&header.prev_hash)) {
            return Err(format!("record {first} does not follow the anchor before it"));
        }
        return Ok(gap);
    }
    Err(format!("record {first} does not follow record {last}"))
}
