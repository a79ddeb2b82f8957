//! What a crash cut off: doors that were held open, locks and relays that were on, rings that were let in, rings and calls. None
//! of it goes on after a restart, and the records say so.
//!
//! When it ended nobody saw: after the last record of the gateway before, and before the one that tells of it, with why
//! `restart`. An output is let go by its guard within a second of its gateway's death.
//!
//! What stands whatever becomes of the gateway is not ended but remembered: a door that was forced, or stood open, and a tamper
//! contact. The first reading tells what is otherwise.
//!
//! What may last for long is kept as it begins, by the live picture; what begins in the moment before a crash, and each pulse,
//! is told by the last events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_core::{
    CallEvent, Cause, ContactState, DoorEvent, DoorId, Envelope, Event, LineEvent, LineId, LineState,
    LockState, PanelEvent, PanelId, PanelView, Record, RelayEvent, RelayId, RingId, Seq, SiteView, Timestamp,
};
use gateway_site::Told;
use gateway_store::{PutError, Query, Store, Ticket};
use tokio::sync::watch;

use super::APART;

/// Kind of the entries of what is on among the journal's records, by `call:RING`, `hold:NAME`, `lock:NAME`, `relay:NAME`,
/// `ring:RING:PANEL`, `ring-to-open:NAME`, and `forced:NAME`, `held-open:NAME`, `line:NAME`, `open:NAME`, `tamper:NAME`.
pub(crate) const ON: &str = "on";
/// Why it ended.
const WHY: &str = "restart";
/// What tells of begin and end.
const KINDS: [&str; 22] = [
    "call.asked",
    "call.ended",
    "call.incoming",
    "call.leg-offered",
    "call.rejected",
    "door.closed",
    "door.forced",
    "door.forced-ended",
    "door.held-open",
    "door.held-open-ended",
    "door.hold-began",
    "door.hold-ended",
    "door.opened",
    "door.relocked",
    "door.tamper",
    "door.unlocked",
    "line.state",
    "panel.ring",
    "panel.ring-ended",
    "panel.ring-to-open-began",
    "panel.ring-to-open-ended",
    "relay.switched",
];

/// What is on until something ends it, in the order in which ends are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A call goes on.
    Call(RingId),
    /// A door was forced.
    Forced(DoorId),
    /// A door stands open for too long.
    HeldOpen(DoorId),
    /// A door is held open.
    Hold(DoorId),
    /// A line is ours, or rings.
    Line(LineId),
    /// A lock is open.
    Lock(DoorId),
    /// A door stands open.
    Open(DoorId),
    /// A relay that tells something is active.
    Relay(RelayId),
    /// Somebody rings at a panel.
    Ring(RingId, PanelId),
    /// Who rings is let in.
    RingToOpen(PanelId),
    /// A tamper contact is active.
    Tamper(DoorId),
}

/// How something stood when the gateway before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stood {
    /// The event after which it was so.
    after: u64,
    is_on: bool,
    simulated: bool,
}

impl What {
    fn key(&self) -> String {
        match self {
            Self::Call(ring) => format!("call:{ring}"),
            Self::Forced(door) => format!("forced:{door}"),
            Self::HeldOpen(door) => format!("held-open:{door}"),
            Self::Hold(door) => format!("hold:{door}"),
            Self::Line(line) => format!("line:{line}"),
            Self::Lock(door) => format!("lock:{door}"),
            Self::Open(door) => format!("open:{door}"),
            Self::Relay(relay) => format!("relay:{relay}"),
            Self::Ring(ring, panel) => format!("ring:{ring}:{panel}"),
            Self::RingToOpen(panel) => format!("ring-to-open:{panel}"),
            Self::Tamper(door) => format!("tamper:{door}"),
        }
    }

    fn of_key(key: &str) -> Option<Self> {
        let (kind, name) = key.split_once(':')?;
        match kind {
            "call" => RingId::parse(name).map(Self::Call),
            "forced" => DoorId::new(name).ok().map(Self::Forced),
            "held-open" => DoorId::new(name).ok().map(Self::HeldOpen),
            "hold" => DoorId::new(name).ok().map(Self::Hold),
            "line" => LineId::new(name).ok().map(Self::Line),
            "lock" => DoorId::new(name).ok().map(Self::Lock),
            "open" => DoorId::new(name).ok().map(Self::Open),
            "relay" => RelayId::new(name).ok().map(Self::Relay),
            "ring" => {
                let (ring, panel) = name.split_once(':')?;
                Some(Self::Ring(RingId::parse(ring)?, PanelId::new(panel).ok()?))
            }
            "ring-to-open" => PanelId::new(name).ok().map(Self::RingToOpen),
            "tamper" => DoorId::new(name).ok().map(Self::Tamper),
            _ => None,
        }
    }

    /// What an event says of it: whether it is on from there. `ring` is that of its record.
    fn told(event: Event, ring: Option<RingId>) -> Option<(Self, bool)> {
        if let Event::Door(door, event) = event {
            return Self::told_of_door(door, &event);
        }
        match event {
            Event::Call(CallEvent::Ended { .. } | CallEvent::Rejected { .. }) => {
                Some((Self::Call(ring?), false))
            }
            // whatever else is told of a call belongs to one that goes on, but for what comes after its end
            Event::Call(
                CallEvent::Asked { .. } | CallEvent::Incoming { .. } | CallEvent::LegOffered { .. },
            ) => Some((Self::Call(ring?), true)),
            Event::Line(line, LineEvent::State { state }) => {
                let begun_here = matches!(state, LineState::Ours | LineState::Ringing);
                Some((Self::Line(line), begun_here))
            }
            Event::Panel(panel, PanelEvent::Ring { .. }) => Some((Self::Ring(ring?, panel), true)),
            Event::Panel(panel, PanelEvent::RingEnded { .. }) => Some((Self::Ring(ring?, panel), false)),
            Event::Panel(panel, PanelEvent::RingToOpenBegan { .. }) => Some((Self::RingToOpen(panel), true)),
            Event::Panel(panel, PanelEvent::RingToOpenEnded { .. }) => Some((Self::RingToOpen(panel), false)),
            Event::Relay(relay, RelayEvent::Switched { active, .. }) => Some((Self::Relay(relay), active)),
            Event::Access(..)
            | Event::Account(..)
            | Event::Alarm(..)
            | Event::Call(_)
            | Event::Command(_)
            | Event::Controller(..)
            | Event::Device(..)
            | Event::Door(..)
            | Event::Gateway(_)
            | Event::Input(..)
            | Event::Panel(..)
            | Event::Port(..)
            | Event::Reader(..)
            | Event::Rule(..)
            | Event::User(_) => None,
        }
    }

    fn told_of_door(door: DoorId, event: &DoorEvent) -> Option<(Self, bool)> {
        match event {
            DoorEvent::Closed {} => Some((Self::Open(door), false)),
            DoorEvent::Forced {} => Some((Self::Forced(door), true)),
            DoorEvent::ForcedEnded {} => Some((Self::Forced(door), false)),
            DoorEvent::HeldOpen {} => Some((Self::HeldOpen(door), true)),
            DoorEvent::HeldOpenEnded {} => Some((Self::HeldOpen(door), false)),
            DoorEvent::HoldBegan { .. } => Some((Self::Hold(door), true)),
            DoorEvent::HoldEnded { .. } => Some((Self::Hold(door), false)),
            DoorEvent::Opened {} => Some((Self::Open(door), true)),
            DoorEvent::Relocked { .. } => Some((Self::Lock(door), false)),
            DoorEvent::Tamper { active } => Some((Self::Tamper(door), *active)),
            DoorEvent::Unlocked { .. } => Some((Self::Lock(door), true)),
            DoorEvent::Denied { .. }
            | DoorEvent::Granted { .. }
            | DoorEvent::LockFault { .. }
            | DoorEvent::LockedOut { .. }
            | DoorEvent::OpenedByPanel { .. }
            | DoorEvent::Passback { .. }
            | DoorEvent::RexShunt { .. }
            | DoorEvent::SecondAwaited { .. } => None,
        }
    }

    /// What says that it ended, and under which ring; `None` of what stands whatever becomes of the gateway.
    fn end(self) -> Option<(Event, Option<RingId>)> {
        let why = WHY.to_owned();
        Some(match self {
            Self::Call(ring) => {
                // for how long they had talked by then nobody knows
                let (cause, talk_ms) = (Cause::GatewayRestarted, 0);
                (Event::Call(CallEvent::Ended { cause, talk_ms }), Some(ring))
            }
            Self::Hold(door) => (Event::Door(door, DoorEvent::HoldEnded { why }), None),
            Self::Line(line) => {
                let state = LineState::Idle;
                (Event::Line(line, LineEvent::State { state }), None)
            }
            Self::Lock(door) => (Event::Door(door, DoorEvent::Relocked { why }), None),
            Self::Relay(relay) => {
                let (active, text) = (false, why);
                (Event::Relay(relay, RelayEvent::Switched { active, text }), None)
            }
            Self::Ring(ring, panel) => {
                let outcome = why;
                (Event::Panel(panel, PanelEvent::RingEnded { outcome }), Some(ring))
            }
            Self::RingToOpen(panel) => (Event::Panel(panel, PanelEvent::RingToOpenEnded { why }), None),
            Self::Forced(_) | Self::HeldOpen(_) | Self::Open(_) | Self::Tamper(_) => return None,
        })
    }
}

/// What is on by the live picture, of all that may last, and whether it is simulated. `None` of what the picture does not know.
fn on(view: &SiteView) -> BTreeMap<What, Option<bool>> {
    let mut all = BTreeMap::new();
    for door in &view.doors {
        let mut is_so = |what: fn(DoorId) -> What, so: bool| {
            if so {
                all.insert(what(door.id.clone()), Some(door.simulated));
            }
        };
        is_so(What::Hold, door.hold.is_some());
        is_so(What::Forced, door.forced);
        is_so(What::HeldOpen, door.held_open);
        is_so(What::Open, door.contact == ContactState::Open);
        is_so(What::Tamper, door.tamper == Some(true));
        // a pulse is over soon; one for fire is not
        let lasts = door.hold.is_some() || view.fire.is_some_and(|fire| fire.alarm);
        is_so(What::Lock, lasts && door.lock == LockState::Unlocked);
        if door.contact == ContactState::Unknown {
            all.insert(What::Open(door.id.clone()), None);
        }
        if door.tamper.is_none() {
            all.insert(What::Tamper(door.id.clone()), None);
        }
    }
    let relays = view.relays.iter().filter(|relay| relay.active);
    all.extend(relays.map(|relay| (What::Relay(relay.id.clone()), Some(false))));
    let panels = view.panels.iter().filter(|panel| panel.ring_to_open.is_some());
    all.extend(panels.map(|panel| (What::RingToOpen(panel.id.clone()), Some(panel.simulated))));
    // what nobody has answered yet is over soon
    for call in view.calls.iter().filter(|call| call.state == "talking") {
        let of = |id: &&PanelView| call.panel.as_ref() == Some(&id.id);
        let panel = view.panels.iter().find(of);
        let simulated = Some(panel.is_some_and(|panel| panel.simulated));
        all.insert(What::Call(call.ring), simulated);
        if let Some(panel) = panel.filter(|panel| panel.ring == Some(call.ring)) {
            all.insert(What::Ring(call.ring, panel.id.clone()), simulated);
        }
    }
    for line in view.lines.iter().filter(|line| line.state == LineState::Ours) {
        let panel = view.panels.iter().find(|panel| panel.line == line.id);
        let simulated = panel.is_some_and(|panel| panel.simulated);
        all.insert(What::Line(line.id.clone()), Some(simulated));
    }
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

/// How everything stood when the gateway before ended.
pub(crate) struct Before(BTreeMap<What, Stood>);

impl Before {
    /// By the records and the last events.
    pub(crate) fn read(store: &Store) -> Self {
        let mut all: BTreeMap<What, Stood> = BTreeMap::new();
        for (key, entry) in store.records().list(ON) {
            if let Some(what) = What::of_key(&key) {
                let stood = Stood {
                    after: entry.value["after"].as_u64().unwrap_or(0),
                    is_on: true,
                    simulated: entry.value["simulated"].as_bool().unwrap_or(false),
                };
                all.insert(what, stood);
            }
        }
        for record in last_events(store) {
            let is_of_these = KINDS.contains(&record.kind.as_str());
            let told = is_of_these.then(|| record.event().ok()).flatten();
            if let Some((what, is_on)) = told.and_then(|event| What::told(event, record.ring))
                && all.get(&what).is_none_or(|stood| record.seq.0 > stood.after)
            {
                let (after, simulated) = (record.seq.0, record.simulated);
                all.insert(
                    what,
                    Stood {
                        after,
                        is_on,
                        simulated,
                    },
                );
            }
        }
        all.retain(|_, stood| stood.is_on);
        Self(all)
    }

    /// What was told of doors that the gateway has no part in: it stands until it is read.
    pub(crate) fn doors(&self) -> BTreeMap<DoorId, Told> {
        let mut doors: BTreeMap<DoorId, Told> = BTreeMap::new();
        let mut of = |door: &DoorId, tell: fn(&mut Told)| tell(doors.entry(door.clone()).or_default());
        for what in self.0.keys() {
            match what {
                What::Forced(door) => of(door, |told| told.forced = true),
                What::HeldOpen(door) => of(door, |told| told.held_open = true),
                What::Open(door) => of(door, |told| told.open = true),
                What::Tamper(door) => of(door, |told| told.tamper = true),
                What::Call(_)
                | What::Hold(_)
                | What::Line(_)
                | What::Lock(_)
                | What::Relay(_)
                | What::Ring(..)
                | What::RingToOpen(_) => {}
            }
        }
        doors
    }

    /// Journals the end of all that the gateway before did not end, and gives what tells when that is durable.
    pub(crate) fn end(self, store: &Store, wall: Timestamp) -> Vec<Ticket> {
        let mut ends = Vec::new();
        for (what, stood) in self.0 {
            let Some((event, ring)) = what.clone().end() else {
                continue;
            };
            let told = store.append(Envelope {
                at: wall,
                event,
                ring,
                simulated: stood.simulated,
            });
            match told {
                Ok(ticket) => ends.push(ticket),
                Err(error) => {
                    tracing::error!(%error, ?what, "what the restart ended could not be journalled");
                }
            }
        }
        ends
    }
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

/// Keeps what is on by a picture, and nothing else but what the picture does not know. `seq` is the last event of that picture:
/// an end comes after it.
fn keep(store: &Store, on: &BTreeMap<What, Option<bool>>, seq: Seq) -> Result<(), PutError> {
    let known: BTreeSet<String> = store.records().list(ON).into_iter().map(|(key, _)| key).collect();
    let mut wanted = BTreeSet::new();
    for (what, simulated) in on {
        let key = what.key();
        if let Some(simulated) = simulated
            && !known.contains(&key)
        {
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

    use gateway_core::{CallView, DoorView, Factor, FireView, HoldView, LegId, LineView, RelayView, Subject};
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
        told_of(store, second, event, None).await;
    }

    async fn told_of(store: &Store, second: i64, event: Event, ring: Option<RingId>) {
        let envelope = Envelope {
            at: at(second),
            event,
            ring,
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

    /// What says that it is over.
    fn over(what: What) -> Event {
        what.end().expect("it ends").0
    }

    /// Ends what was cut off, and gives the events that say so.
    async fn ends(store: &Store, second: i64) -> Vec<Event> {
        for ticket in Before::read(store).end(store, at(second)) {
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
        told(&store, 2, over(What::RingToOpen(named("side")))).await;
        told(&store, 3, held("front")).await;
        told(&store, 4, unlocked("front")).await;
        told(&store, 5, held("yard")).await;
        told(&store, 6, over(What::Hold(named("yard")))).await;
        told(&store, 7, unlocked("yard")).await;
        told(&store, 8, unlocked("shed")).await;
        told(&store, 9, over(What::Lock(named("shed")))).await;
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
        assert_eq!(ends(&store, 60).await, all.map(over));
        assert_eq!(ends(&store, 61).await, [], "once");
    }

    #[tokio::test]
    async fn what_has_been_on_for_long_is_ended_on_record_however_much_happened_since() {
        let store = journal();
        let standing = [
            (What::Hold(named("front")), Some(false)),
            (What::Lock(named("front")), Some(false)),
            (What::Relay(named("siren")), Some(true)),
        ];
        keep(&store, &standing.clone().into(), Seq(0)).expect("kept");
        keep(&store, &standing.clone().into(), Seq(0)).expect("kept once");
        assert_eq!(store.records().list(ON).len(), 3);
        // one that ended, and whose entry was not taken back before the crash
        told(&store, 0, over(What::Hold(named("front")))).await;
        told(&store, 1, over(What::Lock(named("front")))).await;
        let found = Before::read(&store).end(&store, at(60));
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
            over(What::Relay(named("siren")))
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
        keep(&store, &[(What::Relay(named("old")), Some(false))].into(), Seq(0)).expect("kept");
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

    fn rang(panel: &str) -> Event {
        let button = named("bell");
        Event::Panel(named(panel), PanelEvent::Ring { button })
    }

    fn offered() -> Event {
        Event::Call(CallEvent::LegOffered {
            leg: LegId(1),
            target: "1000".to_owned(),
        })
    }

    #[tokio::test]
    async fn rings_and_calls_that_a_crash_cut_off_are_over_by_the_next_start_each_under_its_id() {
        let store = journal();
        let ring = |n: u64| RingId::new(n, [0; 10]);
        told_of(&store, 0, rang("main"), Some(ring(1))).await;
        told_of(&store, 1, offered(), Some(ring(1))).await;
        for event in [
            over(What::Call(ring(1))),
            over(What::Ring(ring(1), named("main"))),
        ] {
            told_of(&store, 2, event, Some(ring(1))).await;
        }
        told_of(&store, 3, rang("main"), Some(ring(2))).await;
        told_of(&store, 4, offered(), Some(ring(2))).await;
        // somebody called the door, and was refused
        let (leg, peer) = (LegId(2), "sip:1000@pbx".to_owned());
        let came = CallEvent::Incoming {
            leg,
            panel: None,
            peer: peer.clone(),
        };
        told_of(&store, 5, Event::Call(came), Some(ring(3))).await;
        let reason = "line-busy".to_owned();
        let refused = CallEvent::Rejected { peer, reason };
        told_of(&store, 6, Event::Call(refused), Some(ring(3))).await;
        // somebody had the door call, long ago: by now the records alone say so
        let talks = [
            (What::Call(ring(4)), Some(true)),
            (What::Line(named("riser")), Some(true)),
        ];
        keep(&store, &talks.into(), Seq(0)).expect("kept");
        let query = Query {
            from: Seq(store.durable().borrow().0 + 1),
            ..Query::default()
        };
        for ticket in Before::read(&store).end(&store, at(60)) {
            ticket.durable().await.expect("durable");
        }
        let found = store.find(&query).expect("readable");
        let found: Vec<_> = found
            .iter()
            .map(|record| (record.event().expect("an event"), record.ring, record.simulated))
            .collect();
        assert_eq!(
            found,
            [
                (over(What::Call(ring(2))), Some(ring(2)), false),
                (over(What::Call(ring(4))), Some(ring(4)), true),
                (over(What::Line(named("riser"))), None, true),
                (over(What::Ring(ring(2), named("main"))), Some(ring(2)), false),
            ]
        );
    }

    #[tokio::test]
    async fn what_a_door_was_told_to_be_is_remembered_and_not_ended() {
        let store = journal();
        let told_of = [
            ("front", DoorEvent::Opened {}),
            ("front", DoorEvent::Forced {}),
            ("yard", DoorEvent::Opened {}),
            ("yard", DoorEvent::HeldOpen {}),
            ("yard", DoorEvent::Closed {}),
            ("yard", DoorEvent::HeldOpenEnded {}),
            ("shed", DoorEvent::Tamper { active: true }),
        ];
        for (second, (door, event)) in (0..).zip(told_of) {
            told(&store, second, Event::Door(named(door), event)).await;
        }
        let before = Before::read(&store);
        let forced = Told {
            forced: true,
            open: true,
            ..Told::default()
        };
        let tampered = Told {
            tamper: true,
            ..Told::default()
        };
        assert_eq!(
            before.doors(),
            [(named("front"), forced), (named("shed"), tampered)].into()
        );
        assert!(before.end(&store, at(60)).is_empty());
        // what is kept stays until the contact is read
        let mut view = SiteView {
            doors: vec![door("front", false, LockState::Locked)],
            ..SiteView::default()
        };
        (view.doors[0].contact, view.doors[0].forced) = (ContactState::Open, true);
        let kept = || {
            let all = store.records().list(ON).into_iter();
            all.map(|(key, _)| key).collect::<Vec<_>>()
        };
        keep(&store, &on(&view), Seq(9)).expect("kept");
        assert_eq!(kept(), ["forced:front", "open:front"]);
        view.doors[0].contact = ContactState::Unknown;
        keep(&store, &on(&view), Seq(9)).expect("kept");
        assert_eq!(kept(), ["forced:front", "open:front"]);
        (view.doors[0].contact, view.doors[0].forced) = (ContactState::Closed, false);
        keep(&store, &on(&view), Seq(10)).expect("taken back");
        assert!(kept().is_empty());
    }

    #[test]
    fn a_talk_is_kept_with_its_line_and_its_ring_and_who_only_rings_is_not() {
        let panel = |id: &str, ring: Option<RingId>| PanelView {
            buttons: Vec::new(),
            callable: true,
            doors: Vec::new(),
            id: named(id),
            line: named("riser"),
            name: String::new(),
            quiet: None,
            ring,
            ring_to_open: None,
            ring_to_open_limit: None,
            simulated: false,
        };
        let ring = RingId::new(1, [0; 10]);
        let call = |state| CallView {
            names: Vec::new(),
            panel: Some(named("main")),
            parties: Vec::new(),
            ring,
            state,
        };
        let view = |state, line, rang: Option<RingId>| SiteView {
            calls: vec![call(state)],
            lines: vec![LineView {
                id: named("riser"),
                state: line,
            }],
            panels: vec![panel("main", rang)],
            ..SiteView::default()
        };
        let kept = |view: &SiteView| on(view).into_keys().collect::<Vec<_>>();
        assert_eq!(
            kept(&view("talking", LineState::Ours, Some(ring))),
            [
                What::Call(ring),
                What::Line(named("riser")),
                What::Ring(ring, named("main"))
            ]
        );
        assert_eq!(
            kept(&view("talking", LineState::Ours, None)),
            [What::Call(ring), What::Line(named("riser"))],
            "nobody rang"
        );
        assert_eq!(kept(&view("ringing", LineState::Ringing, Some(ring))), []);
    }

    #[test]
    fn every_entry_is_found_again_and_every_end_is_understood() {
        let ring = RingId::new(7, [3; 10]);
        for what in [
            What::Call(ring),
            What::Forced(named("front")),
            What::HeldOpen(named("front")),
            What::Hold(named("front")),
            What::Line(named("riser")),
            What::Lock(named("front")),
            What::Open(named("front")),
            What::Relay(named("siren")),
            What::Ring(ring, named("main")),
            What::RingToOpen(named("main")),
            What::Tamper(named("front")),
        ] {
            assert_eq!(What::of_key(&what.key()).as_ref(), Some(&what));
            if let Some((event, of)) = what.clone().end() {
                let kind = Record::from(&Envelope {
                    at: at(0),
                    event: event.clone(),
                    ring: of,
                    simulated: false,
                })
                .kind;
                assert!(KINDS.contains(&kind.as_str()), "{kind} is looked for");
                assert_eq!(What::told(event, of), Some((what, false)));
            }
        }
        for odd in ["", "hold", "hold:", "lamp:x", "lock:a b", "call:x", "ring:x:main"] {
            assert_eq!(What::of_key(odd), None, "{odd}");
        }
    }
}
