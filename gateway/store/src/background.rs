//! What goes on behind the journal: the index is kept up to date, sealed segments are verified.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use gateway_core::Seq;
use tokio::sync::watch;

use crate::depot::{Depot, link};
use crate::index::{Index, Trouble, words};
use crate::reader::Reader;
use crate::report::Damage;
use crate::segment::Scanner;

/// How often a quiet index looks for work.
const INDEX_IDLE: Duration = Duration::from_secs(5);
/// How long records are gathered for the index: larger steps touch fewer of its pages.
const INDEX_GATHER: Duration = Duration::from_millis(250);
/// Pause between two sealed segments that are verified: they can wait; the doors cannot.
pub(crate) const VERIFY_PAUSE: Duration = Duration::from_millis(20);
/// Why the index is built again after a repair, which is reported by itself.
pub(crate) const REPLACED: &str = "segments were replaced";

/// Keeps the index up to date.
pub(crate) struct Keeper {
    pub(crate) damage: Arc<watch::Sender<Vec<Damage>>>,
    pub(crate) durable: watch::Receiver<Seq>,
    pub(crate) index: Arc<Index>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Keeper {
    pub(crate) fn run(&self, rung: &Receiver<()>, closed: &Receiver<()>) {
        let mut failures = 0u32;
        while !self.stop.load(Ordering::Relaxed) {
            let last = self.durable.borrow().0;
            if let Err(damage) = self.index.ready(&self.reader, last) {
                failures += 1;
                // The first is news; the next ones (a full disk) are the same trouble, tried again in a while.
                if failures == 1 {
                    tracing::warn!(%damage, "the journal's index cannot be used and is built again");
                    // one that only waits for room on the disk is not damaged
                    let lasting = damage.set_aside.is_some() || damage.missing || self.index.is_given_up();
                    if damage.what != REPLACED && lasting {
                        self.damage.send_modify(|all| all.push(damage));
                    }
                } else if closed.recv_timeout(INDEX_IDLE) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                continue;
            }
            match self.index.catch_up(&self.reader, last) {
                Ok(true) => {
                    failures = 0;
                    continue;
                }
                Ok(false) => self.index.note_built(&self.reader.depot),
                Err(Trouble::Absent) => {}
                Err(trouble) => {
                    self.index.spoil(&words(&trouble));
                    continue;
                }
            }
            match rung.recv_timeout(INDEX_IDLE) {
                Ok(()) => {
                    if closed.recv_timeout(INDEX_GATHER) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Looks through sealed segments and repairs what is damaged; `pause` between two of them.
pub(crate) fn verify_sealed(depot: &Depot, stop: &AtomicBool, pause: Duration) -> Vec<Damage> {
    let mut damage = Vec::new();
    let (anchors, _) = depot.anchors();
    let firsts = depot.firsts();
    let mut before = None;
    for pair in firsts.windows(2) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (first, next) = (pair[0], pair[1]);
        let found = match depot.survey(first) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                damage.push(Damage {
                    location: depot.path(first).display().to_string(),
                    missing: false,
                    set_aside: None,
                    what: format!("segment cannot be read: {error}"),
                });
                before = None;
                continue;
            }
        };
        if let (Some(last), Some(header)) = (before, found.header.as_ref())
            && let Err(what) = link(Some(last), header, &anchors)
        {
            damage.push(Damage {
                location: depot.path(first).display().to_string(),
                missing: false,
                set_aside: None,
                what,
            });
        }
        let end = found.runs.last().map_or(first - 1, |r| r.last);
        let missing = end + 1 < next
            && !anchors.iter().any(|a| a.from <= end + 1 && a.to + 1 >= next)
            && !declared(depot, next, end);
        if !found.faults.is_empty() || missing {
            damage.push(depot.repair(first, &found, next - 1, next));
        }
        before = found
            .runs
            .last()
            .map(|r| (r.last, r.last_hash))
            .or_else(|| found.sound());
        std::thread::sleep(pause);
    }
    damage
}

/// The next segment itself says that it begins after a gap.
fn declared(depot: &Depot, next: u64, end: u64) -> bool {
    let header = Scanner::open(depot.io.as_ref(), &depot.path(next)).and_then(|mut s| s.header());
    header.ok().flatten().is_some_and(|h| h.prev_seq == end)
}
