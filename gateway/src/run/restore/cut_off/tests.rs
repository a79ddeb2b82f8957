use std::path::Path;

use gateway_core::{
    CallEvent, CallView, DoorEvent, DoorView, Event, Factor, FireView, GatewayEvent, HoldView, InputEvent,
    LegId, LineView, PanelEvent, PanelId, RelayEvent, RelayView, RingId, Subject,
};
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
        announcements: Vec::new(),
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
        What::Fire,
        What::Forced(named("front")),
        What::HeldOpen(named("front")),
        What::Hold(named("front")),
        What::Input(named("loop")),
        What::Line(named("riser")),
        What::Lock(named("front")),
        What::Network,
        What::Open(named("front")),
        What::Relay(named("siren")),
        What::Ring(ring, named("main")),
        What::RingToOpen(named("main")),
        What::Stuck(named("main"), named("bell")),
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
    for odd in [
        "",
        "hold",
        "hold:",
        "lamp:x",
        "lock:a b",
        "call:x",
        "ring:x:main",
        "fire:x",
        "network:",
        "stuck:main",
    ] {
        assert_eq!(What::of_key(odd), None, "{odd}");
    }
}

#[tokio::test]
async fn what_only_a_reading_ends_is_remembered_until_it_is_told_over() {
    let store = journal();
    let (main, side): (PanelId, PanelId) = (named("main"), named("side"));
    let button = || named("bell");
    let network = |active| {
        let text = "port eth0".to_owned();
        Event::Gateway(GatewayEvent::Network { active, text })
    };
    let told_of = [
        Event::Gateway(GatewayEvent::Fire { active: true }),
        Event::Input(named("loop"), InputEvent::Active {}),
        Event::Input(named("gate"), InputEvent::Active {}),
        Event::Input(named("gate"), InputEvent::Rest {}),
        Event::Panel(main.clone(), PanelEvent::ButtonStuck { button: button() }),
        Event::Panel(side.clone(), PanelEvent::ButtonStuck { button: button() }),
        Event::Panel(side, PanelEvent::ButtonReleased { button: button() }),
        network(false),
    ];
    for (second, event) in (0..).zip(told_of) {
        told(&store, second, event).await;
    }
    let lasting = Lasting {
        fire: true,
        inputs: [named("loop")].into(),
        network_lost: true,
        stuck: [(main, button())].into(),
    };
    let before = Before::read(&store);
    assert_eq!(before.lasting(), lasting);
    assert!(before.end(&store, at(60)).is_empty());
    // by the records alone, however much happened since
    let view = SiteView {
        lasting: lasting.clone(),
        ..SiteView::default()
    };
    let seq = *store.durable().borrow();
    keep(&store, &on(&view), seq).expect("kept");
    let kept = |store: &Store| {
        let all = store.records().list(ON).into_iter();
        all.map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(
        kept(&store),
        ["fire:input", "input:loop", "network:lost", "stuck:main:bell"]
    );
    told(&store, 61, network(true)).await;
    told(&store, 62, Event::Gateway(GatewayEvent::Fire { active: false })).await;
    let rest = Lasting {
        fire: false,
        network_lost: false,
        ..lasting
    };
    assert_eq!(Before::read(&store).lasting(), rest);
    keep(&store, &on(&SiteView::default()), Seq(0)).expect("taken back");
    assert!(kept(&store).is_empty());
}
