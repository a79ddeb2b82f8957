//! Writes down what must outlast a restart and is no event: uses of credentials, who is where, and who is locked out.
//!
//! Whoever changes people may hold the records for as long as a large import takes, so this waits for them beside the
//! thread of the doors. Uses keep their order, and are refused if too many wait. Of lock-outs, of lockdowns, of fire, of quiet bells
//! and of where somebody is only the newest state counts: it is tried again until it is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_core::{AccountId, Clock as _, CredentialId, DoorGroupId, PanelId, Subject, Timestamp};
use gateway_network::settings::change::this_boot;
use gateway_people::{USE, use_value};
use gateway_sip_io::Tries;
use gateway_site::{KeptAlarm, KeptFire, LockOut, PinKey, Place};
use gateway_store::{PutError, Store, Ticket};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock::SystemClock;
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
const PLACES: (&str, &str) = ("passback", "who is where");
const ALARMS: (&str, &str) = ("alarms", "which alarms go on");
const LOCKDOWNS: (&str, &str) = ("lockdown", "what is locked down");
const FIRE: (&str, &str) = ("fire", "the fire alarm");
const QUIETS: (&str, &str) = ("quiet", "which bells are quiet");
const TRIES: (&str, &str) = ("register-tries", "which passwords a PBX refuses");

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

/// Alarms that go on.
type Alarms = Vec<KeptAlarm>;

/// What is locked down, as of a date: groups of doors, `None` for the whole site.
type Lockdowns = (BTreeSet<Option<DoorGroupId>>, Timestamp);

/// The fire alarm, as of a date.
type Fire = (Option<KeptFire>, Timestamp);

/// Panels whose bells are quiet, each with its end.
type Quiets = BTreeMap<PanelId, Option<Timestamp>>;

/// The main loop's end.
pub(crate) struct Keeper {
    alarms: watch::Sender<Alarms>,
    fire: watch::Sender<Fire>,
    lockdowns: watch::Sender<Lockdowns>,
    locks: watch::Sender<Locks>,
    tasks: JoinSet<()>,
    places: watch::Sender<()>,
    quiets: watch::Sender<Quiets>,
    uses: mpsc::Sender<(u64, Keep)>,
    waiting: Waiting,
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
        let (places, moved) = watch::channel(());
        let writer = Writer {
            faults: faults.clone(),
            places: moved,
            store: store.clone(),
            told,
            troubled: false,
            uses: used,
            waiting: Waiting::default(),
            writing: JoinSet::new(),
        };
        let waiting = writer.waiting.clone();
        tasks.spawn_on(writer.run(), general);
        let records = store.clone();
        let put = move |(locks, wall): &Locks| restore::keep_locks(&records, locks, *wall);
        tasks.spawn_on(keep_newest(put, locked, faults.clone(), LOCK_OUTS), general);
        let (lockdowns, locked_down) = watch::channel((BTreeSet::new(), Timestamp::UNIX_EPOCH));
        let records = store.clone();
        let put = move |(groups, wall): &Lockdowns| restore::keep_lockdowns(&records, groups, *wall);
        tasks.spawn_on(keep_newest(put, locked_down, faults.clone(), LOCKDOWNS), general);
        let (alarms, raised) = watch::channel(Vec::new());
        let records = store.clone();
        let put = move |alarms: &Alarms| restore::keep_alarms(&records, alarms);
        tasks.spawn_on(keep_newest(put, raised, faults.clone(), ALARMS), general);
        let (fire, burns) = watch::channel((None, Timestamp::UNIX_EPOCH));
        let records = store.clone();
        let put = move |(alarm, wall): &Fire| restore::keep_fire(&records, alarm.as_ref(), *wall);
        tasks.spawn_on(keep_newest(put, burns, faults.clone(), FIRE), general);
        let (quiets, quieted) = watch::channel(Quiets::new());
        let records = store.clone();
        let put = move |quiets: &Quiets| restore::keep_quiets(&records, quiets);
        tasks.spawn_on(keep_newest(put, quieted, faults.clone(), QUIETS), general);
        let keeper = Self {
            alarms,
            fire,
            lockdowns,
            locks,
            places,
            quiets,
            tasks,
            uses,
            waiting,
        };
        (keeper, kept)
    }

    /// Takes a use; false if too many wait, then nothing may be opened by it. Where people are, with nobody who waits
    /// for it, is taken in any case.
    pub(crate) fn keep(&self, what: Keep) -> bool {
        if what.id.is_none() && what.uses.is_none() {
            self.waiting.add(what.places);
            self.places.send_replace(());
            return true;
        }
        self.uses.try_send((self.waiting.stamp(), what)).is_ok()
    }

    /// Takes who is locked out; earlier states that still wait are passed over.
    pub(crate) fn keep_locks(&self, locks: Vec<LockOut>, wall: Timestamp) {
        self.locks.send_replace((locks, wall));
    }

    /// Takes what is locked down; earlier states that still wait are passed over.
    pub(crate) fn keep_lockdowns(&self, groups: BTreeSet<Option<DoorGroupId>>, wall: Timestamp) {
        self.lockdowns.send_replace((groups, wall));
    }

    /// Takes which alarms go on; earlier states that still wait are passed over.
    pub(crate) fn keep_alarms(&self, alarms: Vec<KeptAlarm>) {
        self.alarms.send_replace(alarms);
    }

    /// Takes the fire alarm; earlier states that still wait are passed over.
    pub(crate) fn keep_fire(&self, alarm: Option<KeptFire>, wall: Timestamp) {
        self.fire.send_replace((alarm, wall));
    }

    /// Takes which bells are quiet; earlier states that still wait are passed over.
    pub(crate) fn keep_quiets(&self, quiets: BTreeMap<PanelId, Option<Timestamp>>) {
        self.quiets.send_replace(quiets);
    }

    /// Ends when everything was given to the journal, or after a second.
    pub(crate) async fn end(self) {
        let Self {
            alarms,
            fire,
            lockdowns,
            locks,
            places,
            quiets,
            mut tasks,
            uses,
            waiting: _,
        } = self;
        drop((alarms, fire, lockdowns, locks, places, quiets, uses));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END, all).await.is_err() {
            tracing::error!(
                "uses of credentials, lock-outs or where people are could not be written down before the end"
            );
        }
    }
}

/// Where people are that is not written down yet, the newest of each: as many as there are people.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Positions>>);

#[derive(Default)]
struct Positions {
    /// Each with its number in the order of all that is to be kept.
    newest: BTreeMap<Subject, (u64, Place)>,
    stamp: u64,
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of what is to be kept next.
    fn stamp(&self) -> u64 {
        let mut all = self.lock();
        all.stamp += 1;
        all.stamp
    }

    fn add(&self, places: Vec<Place>) {
        let stamp = self.stamp();
        let newest = places
            .into_iter()
            .map(|place| (place.who.clone(), (stamp, place)));
        self.lock().newest.extend(newest);
    }

    fn take(&self) -> BTreeMap<Subject, (u64, Place)> {
        std::mem::take(&mut self.lock().newest)
    }

    /// What was not taken waits again, unless there is newer by now.
    fn give_back(&self, places: BTreeMap<Subject, (u64, Place)>) {
        let mut all = self.lock();
        for (who, place) in places {
            all.newest.entry(who).or_insert(place);
        }
    }

    /// What a use says of where somebody is takes the place of what waits from before it.
    fn overtaken(&self, stamp: u64, places: &[Place]) {
        let mut all = self.lock();
        for place in places {
            if all
                .newest
                .get(&place.who)
                .is_some_and(|(other, _)| *other < stamp)
            {
                all.newest.remove(&place.who);
            }
        }
    }
}

/// Writes down what [`Keeper::keep`] takes, in its order.
struct Writer {
    faults: Faults,
    places: watch::Receiver<()>,
    store: Store,
    told: mpsc::Sender<(u64, bool)>,
    /// Where people are could not be written down at the last try.
    troubled: bool,
    uses: mpsc::Receiver<(u64, Keep)>,
    waiting: Waiting,
    writing: JoinSet<()>,
}

impl Writer {
    async fn run(mut self) {
        let mut again = None;
        loop {
            // The uses first: a place that waits is never older than those before it in their queue.
            let next = tokio::select! {
                biased;
                next = self.uses.recv() => Some(next),
                changed = self.places.changed() => changed.is_err().then_some(None),
                () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => None,
            };
            let ended = match next {
                Some(Some((stamp, keep))) => self.keep_use(stamp, keep).await,
                None => {
                    again = self.keep_places().await.then(|| Instant::now() + AGAIN);
                    false
                }
                Some(None) => true,
            };
            if ended {
                break;
            }
        }
        // those of the end; until its time is over they are tried again
        while self.keep_places().await {
            tokio::time::sleep(AGAIN).await;
        }
        while self.writing.join_next().await.is_some() {}
    }

    /// Writes down where people are. True if it must be tried again.
    async fn keep_places(&mut self) -> bool {
        let mut left = self.waiting.take();
        if left.is_empty() {
            return false;
        }
        let store = self.store.clone();
        let put = move || {
            while let Some(entry) = left.first_entry() {
                if let Err(error) = restore::keep_place(&store, &entry.get().1) {
                    return (left, Some(error));
                }
                entry.remove();
            }
            (left, None)
        };
        let Ok((left, error)) = tokio::task::spawn_blocking(put).await else {
            // the runtime ends
            return false;
        };
        let (part, what) = PLACES;
        let text = |error: &PutError| format!("{what} is not written down, a restart forgets it: {error}");
        self.faults.set(part, error.as_ref().map(text));
        self.waiting.give_back(left);
        let known = std::mem::replace(&mut self.troubled, error.is_some());
        if let Some(error) = error.as_ref().filter(|_| !known) {
            tracing::error!(%error, "{what} could not be written down and is tried again");
        }
        error.is_some_and(|error| error != PutError::Closed)
    }

    /// Writes down a use. True if the runtime ends.
    async fn keep_use(&mut self, stamp: u64, keep: Keep) -> bool {
        let Keep { id, places, uses } = keep;
        while self.writing.try_join_next().is_some() {}
        if self.writing.len() >= USES {
            self.writing.join_next().await;
        }
        self.waiting.overtaken(stamp, &places);
        let store = self.store.clone();
        let put = move || -> Result<Vec<Ticket>, PutError> {
            let places = places.iter().map(|place| restore::keep_place(&store, place));
            let mut tickets = places.collect::<Result<Vec<_>, _>>()?;
            if let Some((credential, times)) = uses {
                let records = store.records();
                tickets.push(records.put(USE, credential.as_str(), use_value(times), None)?);
            }
            Ok(tickets)
        };
        let told = self.told.clone();
        match (tokio::task::spawn_blocking(put).await, id) {
            (Ok(Ok(tickets)), Some(id)) => {
                self.writing.spawn(async move {
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
                tracing::error!(%error, "it could not be written down that a credential was used");
                if let Some(id) = id {
                    let _ = told.send((id, false)).await;
                }
            }
            (Err(_), _) => return true,
        }
        false
    }
}

/// Writes down which credentials PBXs refuse, until the SIP engine has ended.
pub(crate) async fn follow_tries(
    store: Store,
    key: PinKey,
    states: watch::Receiver<BTreeMap<AccountId, Tries>>,
    faults: Faults,
) {
    let boot = this_boot();
    let put = move |tries: &BTreeMap<AccountId, Tries>| {
        let at = restore::Moment {
            boot: &boot,
            now: SystemClock.now(),
            wall: SystemClock.wall(),
        };
        restore::keep_tries(&store, &key, tries, &at)
    };
    keep_newest(put, states, faults, TRIES).await;
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
    async fn quiet_bells_are_there_after_a_restart_with_their_ends() {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
        let (keeper, _kept) = Keeper::start(&Handle::current(), &store, &Faults::default());
        let panel = |name: &str| name.parse::<PanelId>().expect("a name");
        let until = Timestamp::from_second(4_000_000_000).ok();
        keeper.keep_quiets([(panel("gone"), None)].into());
        let all: BTreeMap<PanelId, Option<Timestamp>> =
            [(panel("main"), until), (panel("yard"), None)].into();
        keeper.keep_quiets(all.clone());
        keeper.end().await;
        assert_eq!(restore::quiets(&store), all);
        // what the records do not have yet the events say
        let event = |name: &str, event| gateway_core::Envelope {
            at: Timestamp::from_second(3_999_999_000).expect("a date"),
            event: gateway_core::Event::Panel(panel(name), event),
            ring: None,
            simulated: false,
        };
        let ended = gateway_core::PanelEvent::QuietEnded {
            why: "command".into(),
        };
        let began = gateway_core::PanelEvent::QuietBegan {
            limit_s: Some(60),
            subject: Subject::Unknown,
        };
        for event in [event("main", ended), event("side", began)] {
            let ticket = store.append(event).expect("taken");
            ticket.durable().await.expect("durable");
        }
        let until = Timestamp::from_second(3_999_999_060).ok();
        assert_eq!(
            restore::quiets(&store),
            [(panel("side"), until), (panel("yard"), None)].into()
        );
        store.close();
    }

    fn at(who: &str, area: &str) -> Place {
        Place {
            area: area.parse().ok(),
            since: None,
            who: Subject::Person(who.parse().expect("a name")),
        }
    }

    fn nobody_waits(places: Vec<Place>) -> Keep {
        Keep {
            id: None,
            places,
            uses: None,
        }
    }

    #[tokio::test]
    async fn where_people_are_is_there_at_the_end_however_many_move_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(dir.path(), Options::default(), RealIo).expect("opens");
        let (keeper, _kept) = Keeper::start(&Handle::current(), &store, &Faults::default());
        let people = 3 * USES;
        for area in ["lobby", "cellar", "lab"] {
            for n in 0..people {
                assert!(keeper.keep(nobody_waits(vec![at(&format!("p{n}"), area)])));
            }
        }
        keeper.end().await;
        let kept = store.records().list(restore::PLACES);
        assert_eq!(kept.len(), people);
        assert!(kept.iter().all(|(_, entry)| entry.value["area"] == "lab"));
        store.close();
    }

    #[test]
    fn the_newest_of_a_person_counts_whichever_way_it_comes() {
        let waiting = Waiting::default();
        let areas = |waiting: &Waiting| -> Vec<String> {
            let all = waiting.lock();
            let places = all.newest.values();
            places
                .filter_map(|(_, p)| p.area.as_ref().map(ToString::to_string))
                .collect()
        };
        waiting.add(vec![at("ann", "lobby"), at("bob", "lobby")]);
        let refused = waiting.take();
        waiting.add(vec![at("ann", "lab")]);
        waiting.give_back(refused);
        assert_eq!(areas(&waiting), ["lab", "lobby"]);
        // a use that came before it does not take its place, and one that came after it does
        let before = waiting.stamp();
        waiting.add(vec![at("bob", "cellar")]);
        waiting.overtaken(before, &[at("ann", "hall"), at("bob", "hall")]);
        assert_eq!(areas(&waiting), ["cellar"]);
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
