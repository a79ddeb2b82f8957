//! What a crash cut off: doors that were held open, locks and relays that were on, rings that were let in. None of it goes on
//! after a restart, and the records say so.
//!
//! When it ended nobody saw: after the last record of the gateway before, and before the one that tells of it, with why
//! `restart`. An output is let go by its guard within a second of its gateway's death.
//!
//! What may last for long is kept as it begins, by the live picture; what begins in the moment before a crash, and each pulse,
//! is told by the last events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_core::{
    DoorEvent, DoorId, Envelope, Event, LockState, PanelEvent, PanelId, Record, RelayEvent, RelayId, Seq,
    SiteView, Timestamp,
};
use gateway_store::{PutError, Query, Store, Ticket};
use tokio::sync::watch;

use super::APART;

/// Kind of the entries of what is on among the journal's records, by `hold:NAME`, `lock:NAME`, `relay:NAME`,
/// `ring-to-open:NAME`.
pub(crate) const ON: &str = "on";
/// Why it ended.
const WHY: &str = "restart";
/// What tells of begin and end.
const KINDS: [&str; 7] = [
    "door.hold-began",
    "door.hold-ended",
    "door.relocked",
    "door.unlocked",
    "panel.ring-to-open-began",
    "panel.ring-to-open-ended",
    "relay.switched",
];

/// What is on until something ends it, in the order in which ends are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A door is held open.
    Hold(DoorId),
    /// A lock is open.
    Lock(DoorId),
    /// A relay that tells something is active.
    Relay(RelayId),
    /// Who rings is let in.
    RingToOpen(PanelId),
}

impl What {
    fn key(&self) -> String {
        match self {
            Self::Hold(door) => format!("hold:{door}"),
            Self::Lock(door) => format!("lock:{door}"),
            Self::Relay(relay) => format!("relay:{relay}"),
            Self::RingToOpen(panel) => format!("ring-to-open:{panel}"),
        }
    }

    fn of_key(key: &str) -> Option<Self> {
        let (kind, name) = key.split_once(':')?;
        match kind {
            "hold" => DoorId::new(name).ok().map(Self::Hold),
            "lock" => DoorId::new(name).ok().map(Self::Lock),
            "relay" => RelayId::new(name).ok().map(Self::Relay),
            "ring-to-open" => PanelId::new(name).ok().map(Self::RingToOpen),
            _ => None,
        }
    }

    /// What an event says of it: whether it is on from there.
    fn told(event: Event) -> Option<(Self, bool)> {
        if let Event::Door(door, event) = event {
            match event {
                DoorEvent::HoldBegan { .. } => Some((Self::Hold(door), true)),
                DoorEvent::HoldEnded { .. } => Some((Self::Hold(door), false)),
                DoorEvent::Relocked { .. } => Some((Self::Lock(door), false)),
                DoorEvent::Unlocked { .. } => Some((Self::Lock(door), true)),
                DoorEvent::Closed { .. }
                | DoorEvent::Denied { .. }
                | DoorEvent::Forced { .. }
                | DoorEvent::ForcedEnded { .. }
                | DoorEvent::Granted { .. }
                | DoorEvent::HeldOpen { .. }
                | DoorEvent::HeldOpenEnded { .. }
                | DoorEvent::LockFault { .. }
                | DoorEvent::LockedOut { .. }
                | DoorEvent::Opened { .. }
                | DoorEvent::OpenedByPanel { .. }
                | DoorEvent::Passback { .. }
                | DoorEvent::RexShunt { .. }
                | DoorEvent::SecondAwaited { .. }
                | DoorEvent::Tamper { .. } => None,
            }
        } else if let Event::Panel(panel, PanelEvent::RingToOpenBegan { .. }) = event {
            Some((Self::RingToOpen(panel), true))
        } else if let Event::Panel(panel, PanelEvent::RingToOpenEnded { .. }) = event {
            Some((Self::RingToOpen(panel), false))
        } else if let Event::Relay(relay, RelayEvent::Switched { active, .. }) = event {
            Some((Self::Relay(relay), active))
        } else {
            None
        }
    }

    /// What says that it ended, and why.
    fn end(self, why: &str) -> Event {
        let why = why.to_owned();
        match self {
            Self::Hold(door) => Event::Door(door, DoorEvent::HoldEnded { why }),
            Self::Lock(door) => Event::Door(door, DoorEvent::Relocked { why }),
            Self::Relay(relay) => {
                let (active, text) = (false, why);
                Event::Relay(relay, RelayEvent::Switched { active, text })
            }
            Self::RingToOpen(panel) => Event::Panel(panel, PanelEvent::RingToOpenEnded { why }),
        }
    }
}

/// What is on by the live picture, of all that may last, and whether it is simulated.
fn on(view: &SiteView) -> BTreeMap<What, bool> {
    let mut all = BTreeMap::new();
    for door in &view.doors {
        if door.hold.is_some() {
            all.insert(What::Hold(door.id.clone()), door.simulated);
        }
        // a pulse is over soon; one for fire is not
        let lasts = door.hold.is_some() || view.fire.is_some_and(|fire| fire.alarm);
        if lasts && door.lock == LockState::Unlocked {
            all.insert(What::Lock(door.id.clone()), door.simulated);
        }
    }
    let relays = view.relays.iter().filter(|relay| relay.active);
    all.extend(relays.map(|relay| (What::Relay(relay.id.clone()), false)));
    let panels = view.panels.iter().filter(|panel| panel.ring_to_open.is_some());
    all.extend(panels.map(|panel| (What::RingToOpen(panel.id.clone()), panel.simulated)));
    all
}

/// The last events, the oldest first; none if they cannot be read.
fn last_events(store: &Store) -> Vec<Arc<Record>> {
    let query = Query {
        from: Seq(store.durable().borrow().0.saturating_sub(APART)),
        max: usize::try_from(APART).unwrap_or(usize::MAX) + 1,
        ..Query::default()
    };
    let found = store.find(&query);
    found
        .inspect_err(|error| tracing::error!(%error, "what was on before the restart cannot be read"))
        .unwrap_or_default()
}

/// Journals the end of all that the gateway before did not end, and gives what tells when that is durable.
pub(crate) fn end_cut_off(store: &Store, wall: Timestamp) -> Vec<Ticket> {
    // with the number of the event after which it was so, and whether it was simulated
    let mut all: BTreeMap<What, (u64, bool, bool)> = BTreeMap::new();
    for (key, entry) in store.records().list(ON) {
        if let Some(what) = What::of_key(&key) {
            let after = entry.value["after"].as_u64().unwrap_or(0);
            let simulated = entry.value["simulated"].as_bool().unwrap_or(false);
            all.insert(what, (after, true, simulated));
        }
    }
    for record in last_events(store) {
        let is_of_these = KINDS.contains(&record.kind.as_str());
        if is_of_these
            && let Some((what, is_on)) = record.event().ok().and_then(What::told)
            && all.get(&what).is_none_or(|(after, ..)| record.seq.0 > *after)
        {
            all.insert(what, (record.seq.0, is_on, record.simulated));
        }
    }
    let mut ends = Vec::new();
    for (what, (_, _, simulated)) in all.into_iter().filter(|(_, (_, is_on, _))| *is_on) {
        let told = store.append(Envelope {
            at: wall,
            event: what.clone().end(WHY),
            ring: None,
            simulated,
        });
        match told {
            Ok(ticket) => ends.push(ticket),
            Err(error) => tracing::error!(%error, ?what, "what the restart ended could not be journalled"),
        }
    }
    ends
}

/// Keeps what is on, whenever that changes, until the core ends. `ends` tell of what was on before: it is kept until they
/// are durable.
pub(crate) async fn follow_what_is_on(
    store: Store,
    mut view: watch::Receiver<Arc<SiteView>>,
    ends: Vec<Ticket>,
) {
    for ticket in ends {
        // a journal that took none of it is closed, and takes nothing of this either
        if ticket.durable().await.is_err() {
            return;
        }
    }
    loop {
        let now = view.borrow_and_update().clone();
        // before the first picture nothing is known
        if now.site.is_some()
            && let Err(error) = keep(&store, &on(&now), now.seq)
        {
            tracing::debug!(%error, "what is on could not be kept, it is tried again with the next change");
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps what is on by a picture, and nothing else. `seq` is the last event of that picture: an end comes after it.
fn keep(store: &Store, on: &BTreeMap<What, bool>, seq: Seq) -> Result<(), PutError> {
    let known: BTreeSet<String> = store.records().list(ON).into_iter().map(|(key, _)| key).collect();
    let mut wanted = BTreeSet::new();
    for (what, simulated) in on {
        let key = what.key();
        if !known.contains(&key) {
            let value = serde_json::json!({ "after": seq.0, "simulated": simulated });
            store.records().put(ON, &key, value, None)?;
        }
        wanted.insert(key);
    }
    for ended in known.difference(&wanted) {
        store.records().delete(ON, ended)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_core::{ContactState, DoorView, Factor, FireView, HoldView, RelayView, Subject};
    use gateway_store::fake::FakeIo;
    use gateway_store::{Filter, Options};

    use super::*;

    fn named<T: std::str::FromStr>(name: &str) -> T
    where
        T::Err: std::fmt::Debug,
    {
        name.parse().expect("a name")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    async fn told(store: &Store, second: i64, event: Event) {
        let envelope = Envelope {
            at: at(second),
            event,
            ring: None,
            simulated: false,
        };
        let ticket = store.append(envelope).expect("taken");
        ticket.durable().await.expect("durable");
    }

    fn held(door: &str) -> Event {
        let began = DoorEvent::HoldBegan {
            factor: Factor::Mqtt,
            limit_s: 3600,
            subject: Subject::User("ann".into()),
        };
        Event::Door(named(door), began)
    }

    fn unlocked(door: &str) -> Event {
        let (grant, pulse_ms) = (1, 3000);
        Event::Door(named(door), DoorEvent::Unlocked { grant, pulse_ms })
    }

    fn relay(name: &str, active: bool) -> Event {
        let text = "set by user:ann".to_owned();
        Event::Relay(named(name), RelayEvent::Switched { active, text })
    }

    fn rings(panel: &str) -> Event {
        let began = PanelEvent::RingToOpenBegan {
            limit_s: 3600,
            subject: Subject::User("ann".into()),
        };
        Event::Panel(named(panel), began)
    }

    fn journal() -> Store {
        let options = Options {
            segment: 8192,
            ..Options::default()
        };
        let opened = Store::open(Path::new("/state"), options, FakeIo::new());
        opened.expect("opens").0
    }

    /// Ends what was cut off, and gives the events that say so.
    async fn ends(store: &Store, second: i64) -> Vec<Event> {
        for ticket in end_cut_off(store, at(second)) {
            ticket.durable().await.expect("durable");
        }
        let query = Query {
            filter: Filter {
                since: Some(at(second)),
                ..Filter::default()
            },
            ..Query::default()
        };
        let found = store.find(&query).expect("readable");
        found
            .iter()
            .map(|record| record.event().expect("an event"))
            .collect()
    }

    #[tokio::test]
    async fn what_a_crash_cut_off_is_ended_on_record_once() {
        let store = journal();
        told(&store, 0, rings("main")).await;
        told(&store, 1, rings("side")).await;
        told(&store, 2, What::RingToOpen(named("side")).end("command")).await;
        told(&store, 3, held("front")).await;
        told(&store, 4, unlocked("front")).await;
        told(&store, 5, held("yard")).await;
        told(&store, 6, What::Hold(named("yard")).end("time")).await;
        told(&store, 7, unlocked("yard")).await;
        told(&store, 8, unlocked("shed")).await;
        told(&store, 9, What::Lock(named("shed")).end("time")).await;
        told(&store, 10, relay("siren", true)).await;
        told(&store, 11, relay("lamp", true)).await;
        told(&store, 12, relay("lamp", false)).await;
        let all = [
            What::Hold(named("front")),
            What::Lock(named("front")),
            What::Lock(named("yard")),
            What::Relay(named("siren")),
            What::RingToOpen(named("main")),
        ];
        assert_eq!(ends(&store, 60).await, all.map(|what| what.end(WHY)));
        assert_eq!(ends(&store, 61).await, [], "once");
    }

    #[tokio::test]
    async fn what_has_been_on_for_long_is_ended_on_record_however_much_happened_since() {
        let store = journal();
        let standing = [
            (What::Hold(named("front")), false),
            (What::Lock(named("front")), false),
            (What::Relay(named("siren")), true),
        ];
        keep(&store, &standing.clone().into(), Seq(0)).expect("kept");
        keep(&store, &standing.clone().into(), Seq(0)).expect("kept once");
        assert_eq!(store.records().list(ON).len(), 3);
        // one that ended, and whose entry was not taken back before the crash
        told(&store, 0, What::Hold(named("front")).end("command")).await;
        told(&store, 1, What::Lock(named("front")).end("command")).await;
        let found = end_cut_off(&store, at(60));
        assert_eq!(found.len(), 1, "the siren");
        for ticket in found {
            ticket.durable().await.expect("durable");
        }
        let query = Query {
            newest_first: true,
            max: 1,
            ..Query::default()
        };
        let last = store.find(&query).expect("readable");
        assert_eq!(
            last[0].event().expect("an event"),
            What::Relay(named("siren")).end(WHY)
        );
        assert!(last[0].simulated);
        keep(&store, &BTreeMap::new(), Seq(3)).expect("taken back");
        assert_eq!(store.records().list(ON), []);
    }

    fn door(name: &str, hold: bool, lock: LockState) -> DoorView {
        DoorView {
            available: true,
            contact: ContactState::Closed,
            forced: false,
            held_open: false,
            hold: hold.then_some(HoldView {
                schedule: true,
                until: None,
            }),
            hold_limit: None,
            hold_scheduled: true,
            id: named(name),
            lock,
            works: true,
            lockdown: false,
            name: name.to_owned(),
            owned: true,
            pulse_until: None,
            readers: Vec::new(),
            simulated: true,
            tamper: None,
        }
    }

    #[tokio::test]
    async fn what_lasts_is_kept_by_the_live_picture_from_its_first_on_until_it_ends() {
        let store = journal();
        let relay = RelayView {
            active: true,
            function: "command",
            id: named("siren"),
            text: String::new(),
        };
        let lasts = SiteView {
            doors: vec![
                door("front", true, LockState::Unlocked),
                door("yard", false, LockState::Unlocked),
                door("shed", false, LockState::Locked),
            ],
            relays: vec![relay],
            site: Some(named("test")),
            ..SiteView::default()
        };
        let kept = || {
            let all = store.records().list(ON).into_iter();
            all.map(|(key, _)| key).collect::<Vec<_>>()
        };
        keep(&store, &[(What::Relay(named("old")), false)].into(), Seq(0)).expect("kept");
        let (show, view) = watch::channel(Arc::new(SiteView::default()));
        let follows = tokio::spawn(follow_what_is_on(store.clone(), view, Vec::new()));
        let shown = async |picture: &SiteView, wanted: &[&str]| {
            show.send_replace(Arc::new(picture.clone()));
            let arrives = async {
                while kept() != wanted {
                    tokio::task::yield_now().await;
                }
            };
            let arrived = tokio::time::timeout(std::time::Duration::from_secs(10), arrives).await;
            assert!(arrived.is_ok(), "{:?} instead of {wanted:?}", kept());
        };
        tokio::task::yield_now().await;
        assert_eq!(kept(), ["relay:old"], "nothing is known before the first picture");
        // a pulse of the yard is over soon
        shown(&lasts, &["hold:front", "lock:front", "relay:siren"]).await;
        let fire = FireView {
            active: true,
            alarm: true,
        };
        let burns = SiteView {
            fire: Some(fire),
            ..lasts.clone()
        };
        shown(&burns, &["hold:front", "lock:front", "lock:yard", "relay:siren"]).await;
        let rests = SiteView {
            site: lasts.site.clone(),
            ..SiteView::default()
        };
        shown(&rests, &[]).await;
        drop(show);
        follows.await.expect("it ends with the core");
    }

    #[test]
    fn every_entry_is_found_again_and_every_end_is_understood() {
        for what in [
            What::Hold(named("front")),
            What::Lock(named("front")),
            What::Relay(named("siren")),
            What::RingToOpen(named("main")),
        ] {
            assert_eq!(What::of_key(&what.key()).as_ref(), Some(&what));
            assert_eq!(What::told(what.clone().end(WHY)), Some((what, false)));
        }
        for odd in ["", "hold", "hold:", "lamp:x", "lock:a b"] {
            assert_eq!(What::of_key(odd), None, "{odd}");
        }
    }
}
