//! Writes down what must outlast a restart and is no event: uses of credentials, who is where, and who is locked out.
//!
//! Whoever changes people may hold the records for as long as a large import takes, so this waits for them beside the
//! thread of the doors. Uses keep their order, and are refused if too many wait. Of lock-outs and lockdowns only the
//! newest state counts: it is tried again until it is taken.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_core::{CredentialId, DoorGroupId, Timestamp};
use gateway_people::{USE, use_value};
use gateway_site::{LockOut, Place};
use gateway_store::{PutError, Store, Ticket};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::run::faults::Faults;
use crate::run::restore;

/// Uses that may wait, and as many that may be on their way to the medium.
const USES: usize = 64;
/// Until lock-outs that were not taken are tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// At the end nobody waits longer for a disk.
const END: Duration = Duration::from_secs(1);
/// The parts that have a fault while their state is not written down, and which state that is.
const LOCK_OUTS: (&str, &str) = ("lock-outs", "who is locked out");
const LOCKDOWNS: (&str, &str) = ("lockdown", "what is locked down");

/// What is to be written down as one.
pub(crate) struct Keep {
    /// Who waits for it; nobody without.
    pub(crate) id: Option<u64>,
    /// Who is where.
    pub(crate) places: Vec<Place>,
    /// A credential that opens only so many times, and how often it still does.
    pub(crate) uses: Option<(CredentialId, u32)>,
}

/// Who is locked out, as of a date.
type Locks = (Vec<LockOut>, Timestamp);

/// What is locked down, as of a date: groups of doors, `None` for the whole site.
type Lockdowns = (BTreeSet<Option<DoorGroupId>>, Timestamp);

/// The main loop's end.
pub(crate) struct Keeper {
    lockdowns: watch::Sender<Lockdowns>,
    locks: watch::Sender<Locks>,
    tasks: JoinSet<()>,
    uses: mpsc::Sender<Keep>,
}

impl Keeper {
    /// Starts it on the general runtime. The receiver is told for each use whether it is on the medium.
    pub(crate) fn start(
        general: &Handle,
        store: &Store,
        faults: &Faults,
    ) -> (Self, mpsc::Receiver<(u64, bool)>) {
        let (uses, used) = mpsc::channel(USES);
        let (told, kept) = mpsc::channel(USES);
        let (locks, locked) = watch::channel((Vec::new(), Timestamp::UNIX_EPOCH));
        let mut tasks = JoinSet::new();
        tasks.spawn_on(keep_uses(store.clone(), used, told), general);
        let records = store.clone();
        let put = move |(locks, wall): &Locks| restore::keep_locks(&records, locks, *wall);
        tasks.spawn_on(keep_newest(put, locked, faults.clone(), LOCK_OUTS), general);
        let (lockdowns, locked_down) = watch::channel((BTreeSet::new(), Timestamp::UNIX_EPOCH));
        let records = store.clone();
        let put = move |(groups, wall): &Lockdowns| restore::keep_lockdowns(&records, groups, *wall);
        tasks.spawn_on(keep_newest(put, locked_down, faults.clone(), LOCKDOWNS), general);
        let keeper = Self {
            lockdowns,
            locks,
            tasks,
            uses,
        };
        (keeper, kept)
    }

    /// Takes a use; false if too many wait, then nothing may be opened by it.
    pub(crate) fn keep(&self, what: Keep) -> bool {
        self.uses.try_send(what).is_ok()
    }

    /// Takes who is locked out; earlier states that still wait are passed over.
    pub(crate) fn keep_locks(&self, locks: Vec<LockOut>, wall: Timestamp) {
        self.locks.send_replace((locks, wall));
    }

    /// Takes what is locked down; earlier states that still wait are passed over.
    pub(crate) fn keep_lockdowns(&self, groups: BTreeSet<Option<DoorGroupId>>, wall: Timestamp) {
        self.lockdowns.send_replace((groups, wall));
    }

    /// Ends when everything was given to the journal, or after a second.
    pub(crate) async fn end(self) {
        let Self {
            lockdowns,
            locks,
            mut tasks,
            uses,
        } = self;
        drop((lockdowns, locks, uses));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END, all).await.is_err() {
            tracing::error!("uses of credentials or lock-outs could not be written down before the end");
        }
    }
}

async fn keep_uses(store: Store, mut uses: mpsc::Receiver<Keep>, told: mpsc::Sender<(u64, bool)>) {
    let mut writing = JoinSet::new();
    while let Some(Keep { id, places, uses }) = uses.recv().await {
        while writing.try_join_next().is_some() {}
        if writing.len() >= USES {
            writing.join_next().await;
        }
        let put = {
            let store = store.clone();
            move || -> Result<Vec<Ticket>, PutError> {
                let places = places.iter().map(|place| restore::keep_place(&store, place));
                let mut tickets = places.collect::<Result<Vec<_>, _>>()?;
                if let Some((credential, times)) = uses {
                    let records = store.records();
                    tickets.push(records.put(USE, credential.as_str(), use_value(times), None)?);
                }
                Ok(tickets)
            }
        };
        let told = told.clone();
        match (tokio::task::spawn_blocking(put).await, id) {
            (Ok(Ok(tickets)), Some(id)) => {
                writing.spawn(async move {
                    let mut ok = true;
                    for ticket in tickets {
                        ok &= ticket.durable().await.is_ok();
                    }
                    // without a core there is nobody to open
                    let _ = told.send((id, ok)).await;
                });
            }
            (Ok(Ok(_)), None) => {}
            (Ok(Err(error)), id) => {
                tracing::error!(%error, "it could not be written down who is where, or that a credential was used");
                if let Some(id) = id {
                    let _ = told.send((id, false)).await;
                }
            }
            // the runtime ends
            (Err(_), _) => return,
        }
    }
    while writing.join_next().await.is_some() {}
}

/// Writes down the newest state, again and again until it is taken.
async fn keep_newest<T, P>(put: P, mut states: watch::Receiver<T>, faults: Faults, (part, what): (&str, &str))
where
    T: Clone + Send + 'static,
    P: Fn(&T) -> Result<(), PutError> + Clone + Send + 'static,
{
    // what was given before the end counts, too
    while states.changed().await.is_ok() {
        let mut told = false;
        loop {
            let newest = states.borrow_and_update().clone();
            let put = put.clone();
            let error = match tokio::task::spawn_blocking(move || put(&newest)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(_) => return,
            };
            let text = |error| format!("{what} is not written down, a restart forgets it: {error}");
            faults.set(part, error.map(text));
            match error {
                None => break,
                Some(error) if !std::mem::replace(&mut told, true) => {
                    tracing::error!(%error, "{what} could not be written down and is tried again");
                }
                Some(_) => {}
            }
            if error == Some(PutError::Closed) {
                return;
            }
            // a newer state counts at once; after the last one there is the end to wait for
            tokio::select! {
                changed = states.changed() => if changed.is_err() { tokio::time::sleep(AGAIN).await },
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use gateway_store::{Options, RealIo};

    use super::*;

    fn locks(failures: u32) -> Vec<LockOut> {
        vec![LockOut {
            failures,
            left: Duration::from_secs(60),
            source: "keypad:gate".parse().expect("a source"),
        }]
    }

    fn used(credential: &CredentialId, id: u64, times: u32) -> Keep {
        Keep {
            id: Some(id),
            places: Vec::new(),
            uses: Some((credential.clone(), times)),
        }
    }

    #[tokio::test]
    async fn each_use_is_told_and_lock_outs_are_there_at_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
        let (keeper, mut kept) = Keeper::start(&Handle::current(), &store, &Faults::default());
        let credential = CredentialId::new("visitor").expect("a name");
        for n in 1..=3 {
            assert!(keeper.keep(used(&credential, n, 3 - n as u32)));
        }
        // each by itself: they come to the medium in order, and may be told in another
        let mut all = BTreeSet::new();
        for _ in 1..=3 {
            all.extend(kept.recv().await);
        }
        assert_eq!(all, (1..=3).map(|n| (n, true)).collect());
        let last = store.records().get(USE, "visitor").expect("kept");
        assert_eq!(last.value, use_value(0));
        let wall = Timestamp::from_second(4_000_000_000).expect("a date");
        for failures in 1..=5 {
            keeper.keep_locks(locks(failures), wall);
        }
        keeper.end().await;
        let entries = store.records().list("lock-out");
        assert_eq!(entries[0].1.value["failures"], 5);
        store.close();
    }

    #[tokio::test]
    async fn the_newest_lockdown_is_there_at_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
        let (keeper, _kept) = Keeper::start(&Handle::current(), &store, &Faults::default());
        let wall = Timestamp::from_second(4_000_000_000).expect("a date");
        keeper.keep_lockdowns(BTreeSet::from([None]), wall);
        keeper.keep_lockdowns(BTreeSet::from([DoorGroupId::new("cellar").ok()]), wall);
        keeper.end().await;
        let kept = store.records().list("lockdown");
        let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cellar"]);
        store.close();
    }

    #[tokio::test]
    async fn uses_beyond_the_queue_are_refused_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
        let (keeper, _kept) = Keeper::start(&Handle::current(), &store, &Faults::default());
        let credential = CredentialId::new("visitor").expect("a name");
        // nobody else has a turn until the first wait
        let taken = (0..2 * USES as u64)
            .filter(|n| keeper.keep(used(&credential, *n, 1)))
            .count();
        assert_eq!(taken, USES);
        store.close();
    }

    #[tokio::test]
    async fn a_lock_out_that_is_not_taken_is_tried_again_and_told_meanwhile() {
        let faults = Faults::default();
        let (to, locked) = watch::channel((Vec::new(), Timestamp::UNIX_EPOCH));
        let tries = Arc::<Mutex<Vec<u32>>>::default();
        let (seen, shown) = (Arc::clone(&tries), faults.clone());
        let (told, mut faulty) = mpsc::channel(8);
        let put = move |(locks, _): &Locks| {
            let mut tries = seen.lock().expect("not poisoned");
            tries.push(locks[0].failures);
            told.try_send(shown.list().len()).expect("room");
            if tries.len() < 3 {
                return Err(PutError::Full { waiting: 4096 });
            }
            Ok(())
        };
        let task = tokio::spawn(keep_newest(put, locked, faults.clone(), LOCK_OUTS));
        to.send_replace((locks(1), Timestamp::UNIX_EPOCH));
        assert_eq!(faulty.recv().await, Some(0));
        assert_eq!(faulty.recv().await, Some(1), "while it is tried again");
        to.send_replace((locks(2), Timestamp::UNIX_EPOCH));
        assert_eq!(faulty.recv().await, Some(1));
        drop(to);
        task.await.expect("no panic");
        assert_eq!(*tries.lock().expect("not poisoned"), [1, 1, 2]);
        assert!(faults.list().is_empty());
    }
}
