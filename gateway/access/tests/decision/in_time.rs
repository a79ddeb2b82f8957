//! What is limited in time: schedules of codes, cards, callers and readers, and a clock that is not believed.

use std::time::Duration;

use crate::site::{FIT, burning, called, calling, card, command, door, keypad, peer, policy, reader, rex};
use gateway_access::{
    Access, Context, HoldBy, HoldPolicy, Policy, Quarters, ReaderPolicy, Reason, Request, Schedule,
    Schedules, TimesLine, When,
};
use gateway_core::{ButtonId, Instant, PanelId, Secret, Timestamp};

const T0: Instant = Instant::from_nanos(3_000_000_000_000);
/// A Monday; the schedule of these tests is on working days from 8 to 18, UTC.
const DAY: &str = "2026-01-12T12:00:00Z";
const NIGHT: &str = "2026-01-12T22:00:00Z";

fn day() -> When {
    When::parse("day").expect("a name")
}

/// The site of the other tests, in which everything is limited to the day, and the reader at the front asks for a
/// PIN at night.
fn timed() -> Policy {
    let mut policy = policy();
    let times: TimesLine = "mon-fri 08:00-18:00".parse().expect("times");
    let day_schedule = Schedule::new(&[times], vec![], vec![]);
    policy.schedules = Schedules::new(
        jiff::tz::TimeZone::UTC,
        [("day".parse().expect("a name"), day_schedule)].into(),
    );
    for code in &mut policy.codes {
        code.when = day();
    }
    let front = policy.doors.get_mut(&door("front")).expect("the door");
    front.callers[0].when = day();
    // alice has a PIN and opens at any time, the spare card none and opens by day
    policy.cards[0].pin = Some(Secret::new("4711"));
    policy.cards[1].when = day();
    policy.readers.insert(
        reader("front-reader"),
        ReaderPolicy {
            card_alone: day(),
            ..ReaderPolicy::default()
        },
    );
    policy
}

fn at(wall: Option<&str>) -> Context {
    let wall = wall.map(|text| text.parse::<Timestamp>().expect("a time"));
    Context { wall, ..FIT }
}

fn with_pin(request: Request, typed: &str) -> Request {
    let Request::Card {
        at,
        door,
        frame,
        reader,
        ..
    } = request
    else {
        unreachable!("it is a card");
    };
    Request::Card {
        at,
        door,
        frame,
        pin: Some(Secret::new(typed)),
        reader,
    }
}

#[track_caller]
fn check(wall: Option<&str>, request: Request, expected: Result<&str, Reason>) {
    let mut access = burning(timed());
    let told = access.explain(T0, &at(wall), &request).result;
    let decided = access.decide(T0, &at(wall), request);
    let expected = expected.map(str::to_owned);
    assert_eq!(told, expected);
    assert_eq!(decided.granted().map(|grant| grant.spend().rule), expected.ok());
}

fn not_now() -> Reason {
    Reason::NotNow {
        schedule: Some("day".parse().expect("a name")),
    }
}

fn doubtful() -> Reason {
    Reason::ClockUntrusted {
        schedule: Some("day".parse().expect("a name")),
    }
}

#[test]
fn a_code_opens_within_its_schedule_only() {
    let typed = || keypad(T0, "front", "front-reader", "1234");
    check(
        Some(DAY),
        typed(),
        Ok("code pin within schedule day at keypad front-reader"),
    );
    check(Some(NIGHT), typed(), Err(not_now()));
    check(None, typed(), Err(doubtful()));
    let dialled = || called(T0, "front", "sip:1000@pbx.example", "9", true, true);
    let rule = "code nine within schedule day dialled by a called target of the list";
    check(Some(DAY), dialled(), Ok(rule));
    check(Some(NIGHT), dialled(), Err(not_now()));
}

#[test]
fn a_code_of_another_time_counts_as_a_wrong_try() {
    let mut access = burning(timed());
    for _ in 0..6 {
        let _ = access.decide(T0, &at(Some(NIGHT)), keypad(T0, "front", "front-reader", "1234"));
    }
    let locks = access.export_locks(T0);
    assert_eq!((locks.len(), locks[0].failures), (1, 6));
    assert!(locks[0].left > Duration::ZERO);
}

#[test]
fn a_listed_caller_is_listened_to_within_its_schedule_and_never_counts_as_a_guesser() {
    let call = || Request::Caller {
        account: None,
        door: door("front"),
        peer: peer("sip:1000@pbx.example", true),
        ring: None,
    };
    check(
        Some(DAY),
        call(),
        Ok("listed caller \"Reception\" calls the door"),
    );
    check(Some(NIGHT), call(), Err(not_now()));
    check(None, call(), Err(doubtful()));
    let mut access = burning(timed());
    let dialled = calling(T0, "front", peer("sip:1000@pbx.example", true), "9");
    for _ in 0..9 {
        assert_eq!(
            access.decide(T0, &at(Some(NIGHT)), dialled.clone()).granted(),
            None
        );
    }
    assert!(access.export_locks(T0).is_empty());
    let peer = peer("sip:1000@pbx.example", true);
    for (wall, listens) in [(Some(DAY), true), (Some(NIGHT), false), (None, false)] {
        assert_eq!(access.listens(&at(wall), &door("front"), &peer), listens);
    }
}

#[test]
fn a_button_opens_its_door_within_its_schedule_and_by_a_good_clock_only() {
    let mut policy = timed();
    let panel = |name: &str| PanelId::new(name).expect("a name");
    let button = |name: &str| ButtonId::new(name).expect("a name");
    let front = policy.doors.get_mut(&door("front")).expect("the door");
    front.buttons = [
        ((panel("main"), button("bell")), day()),
        ((panel("main"), button("always")), When::Always),
    ]
    .into();
    let mut access = burning(policy);
    let mut told = |wall, at_door: &str, of: &str, pressed: &str| {
        let request = Request::Button {
            button: button(pressed),
            door: door(at_door),
            panel: panel(of),
            ring: None,
        };
        let told = access.explain(T0, &at(wall), &request).result;
        let granted = access.decide(T0, &at(wall), request).granted();
        assert_eq!(granted.map(|grant| grant.spend().rule), told.clone().ok());
        told
    };
    let rule = "button bell of panel main opens within schedule day";
    assert_eq!(told(Some(DAY), "front", "main", "bell"), Ok(rule.to_owned()));
    assert_eq!(told(Some(NIGHT), "front", "main", "bell"), Err(not_now()));
    assert_eq!(told(None, "front", "main", "bell"), Err(doubtful()));
    let nobody_knows = Reason::ClockUntrusted { schedule: None };
    assert_eq!(told(None, "front", "main", "always"), Err(nobody_knows));
    for (at_door, of, pressed) in [
        ("back", "main", "bell"),
        ("front", "other", "bell"),
        ("front", "main", "other"),
    ] {
        let said = told(Some(DAY), at_door, of, pressed);
        assert_eq!(said, Err(Reason::ButtonNotForDoor), "{at_door} {of} {pressed}");
    }
}

#[test]
fn a_button_opens_by_ring_to_open_for_as_long_as_a_command_wants_and_the_door_allows() {
    let mut policy = timed();
    let panel = |name: &str| PanelId::new(name).expect("a name");
    let button = |name: &str| ButtonId::new(name).expect("a name");
    let front = policy.doors.get_mut(&door("front")).expect("the door");
    let limit = Duration::from_secs(600);
    front.ring_to_open = [((panel("main"), button("bell")), limit)].into();
    let mut access = burning(policy);
    let told = |access: &Access, now, of: &str, pressed: &str| {
        let request = Request::Button {
            button: button(pressed),
            door: door("front"),
            panel: panel(of),
            ring: None,
        };
        // it needs no clock that is believed
        access.explain(now, &at(None), &request).result
    };
    let not = Err(Reason::ButtonNotForDoor);
    assert_eq!(told(&access, T0, "main", "bell"), not);
    let until = T0 + limit;
    access.set_ring_to_open(panel("main"), Some(until));
    let opens = Ok("button bell of panel main opens by ring-to-open".to_owned());
    assert_eq!(told(&access, T0, "main", "bell"), opens);
    assert_eq!(
        told(&access, until - Duration::from_nanos(1), "main", "bell"),
        opens
    );
    assert_eq!(told(&access, until, "main", "bell"), not);
    assert_eq!(told(&access, T0, "main", "other"), not);
    assert_eq!(told(&access, T0, "other", "bell"), not);
    // longer than the door allows was never agreed to
    access.set_ring_to_open(panel("main"), Some(until + Duration::from_nanos(1)));
    assert_eq!(told(&access, T0, "main", "bell"), not);
    access.set_ring_to_open(panel("main"), Some(until));
    access.set_lockdown(None, true);
    assert_eq!(
        told(&access, T0, "main", "bell"),
        Err(Reason::Lockdown { group: None })
    );
    access.set_lockdown(None, false);
    access.set_ring_to_open(panel("main"), None);
    assert_eq!(told(&access, T0, "main", "bell"), not);
}

#[test]
fn a_door_is_held_open_within_its_schedule_and_by_a_good_clock_only() {
    let mut policy = timed();
    let front = policy.doors.get_mut(&door("front")).expect("the door");
    front.hold = HoldPolicy {
        after: None,
        limit: Some(Duration::from_secs(600)),
        when: day(),
    };
    let mut access = burning(policy);
    let mut told = |wall, at_door: &str, by: HoldBy, seconds: u64| {
        let time = Duration::from_secs(seconds);
        let request = Request::Hold {
            by,
            door: door(at_door),
            time,
        };
        let told = access.explain(T0, &at(wall), &request).result;
        let parts = access
            .decide(T0, &at(wall), request)
            .granted()
            .map(|grant| grant.spend());
        if let Some(parts) = &parts {
            assert_eq!((parts.hold, parts.open_for), (Some(time), None));
        }
        assert_eq!(parts.map(|parts| parts.rule), told.clone().ok());
        told
    };
    let rule = "schedule day holds the door open";
    assert_eq!(
        told(Some(DAY), "front", HoldBy::Schedule, 3600),
        Ok(rule.to_owned())
    );
    assert_eq!(told(Some(NIGHT), "front", HoldBy::Schedule, 60), Err(not_now()));
    assert_eq!(told(None, "front", HoldBy::Schedule, 60), Err(doubtful()));
    assert_eq!(
        told(Some(DAY), "back", HoldBy::Schedule, 60),
        Err(Reason::HoldNotAllowed)
    );
    let by = |factor, permitted| HoldBy::Command {
        origin: gateway_core::Origin {
            factor,
            may_simulate: false,
            subject: gateway_core::Subject::User("ann".into()),
        },
        permitted,
    };
    let web = gateway_core::Factor::Web;
    let rule = "command by web of user:ann, who may open this door, and hold it open for 600 s";
    for wall in [Some(DAY), Some(NIGHT), None] {
        assert_eq!(told(wall, "front", by(web, true), 600), Ok(rule.to_owned()));
        let limit = Duration::from_secs(600);
        assert_eq!(
            told(wall, "front", by(web, true), 601),
            Err(Reason::HoldTooLong { limit })
        );
        assert_eq!(told(wall, "back", by(web, true), 60), Err(Reason::HoldNotAllowed));
        let card = gateway_core::Factor::Card;
        assert_eq!(
            told(wall, "front", by(card, true), 60),
            Err(Reason::FactorNotCommand)
        );
    }
    assert_eq!(
        told(Some(DAY), "front", by(web, false), 60),
        Err(Reason::NotPermitted)
    );
}

#[test]
fn a_card_alone_by_day_and_with_its_pin_by_night() {
    let alice = || card(T0, "front", "front-reader", "26:123,04567");
    check(Some(DAY), alice(), Ok("card alice at reader front-reader"));
    check(Some(NIGHT), alice(), Err(Reason::PinNeeded));
    check(
        Some(NIGHT),
        with_pin(alice(), "4711"),
        Ok("card alice and PIN at reader front-reader"),
    );
    check(Some(NIGHT), with_pin(alice(), "4712"), Err(Reason::PinWrong));
    for wrong in ["", "471", "47111", "4711\0"] {
        check(Some(NIGHT), with_pin(alice(), wrong), Err(Reason::PinWrong));
    }
    // while nobody knows whether it is day, the PIN is asked for
    check(None, alice(), Err(Reason::PinNeeded));
    check(
        None,
        with_pin(alice(), "4711"),
        Ok("card alice and PIN at reader front-reader"),
    );
    // by day a PIN is not asked for; a wrong one is still wrong
    check(Some(DAY), with_pin(alice(), "4712"), Err(Reason::PinWrong));
}

#[test]
fn a_card_without_pin_opens_nothing_where_one_is_asked_for() {
    let mut policy = timed();
    policy.cards[1].when = When::Always;
    let mut access = burning(policy);
    let spare = || card(T0, "front", "front-reader", "34:hex:0123abcd4");
    assert!(access.decide(T0, &at(Some(DAY)), spare()).granted().is_some());
    for request in [spare(), with_pin(spare(), "4711"), with_pin(spare(), "")] {
        let told = access.explain(T0, &at(Some(NIGHT)), &request).result;
        assert_eq!(told, Err(Reason::PinMissing));
        assert_eq!(access.decide(T0, &at(Some(NIGHT)), request).granted(), None);
    }
    check(Some(NIGHT), spare(), Err(not_now()));
    check(None, spare(), Err(doubtful()));
}

#[test]
fn wrong_pins_lock_the_keypad_and_leave_the_card_reader_alone() {
    let mut access = burning(timed());
    let alice = || card(T0, "front", "front-reader", "26:123,04567");
    for _ in 0..6 {
        assert_eq!(
            access
                .decide(T0, &at(Some(NIGHT)), with_pin(alice(), "0000"))
                .granted(),
            None
        );
    }
    let right = with_pin(alice(), "4711");
    let told = access.explain(T0, &at(Some(NIGHT)), &right).result;
    assert!(matches!(told, Err(Reason::LockedOut { .. })), "{told:?}");
    assert_eq!(access.decide(T0, &at(Some(NIGHT)), right).granted(), None);
    assert!(access.decide(T0, &at(Some(DAY)), alice()).granted().is_some());
}

#[test]
fn explaining_counts_nothing() {
    let access = burning(timed());
    for _ in 0..100 {
        let _ = access.explain(T0, &FIT, &keypad(T0, "front", "front-reader", "0000"));
        let _ = access.explain(T0, &FIT, &card(T0, "front", "front-reader", "26:9,9"));
    }
    assert!(access.export_locks(T0).is_empty());
    assert_eq!(access.locks_revision(), 0);
}

#[test]
fn neither_schedule_nor_clock_concerns_who_leaves_or_who_commands() {
    for wall in [Some(DAY), Some(NIGHT), None] {
        check(wall, rex("front", "front-rex"), Ok("exit input front-rex"));
        let fire = Request::Fire { door: door("front") };
        check(
            wall,
            fire,
            Ok("fire input fire, until an operator resets the alarm"),
        );
        let open = command("front", gateway_core::Factor::Web, "ann", true);
        check(
            wall,
            open,
            Ok("command by web of user:ann, who may open this door"),
        );
    }
}

#[test]
fn quarters_are_bounded() {
    assert_eq!(Quarters::between(0, 96), Quarters::ALL);
    assert_eq!(Quarters::between(0, 255), Quarters::ALL);
    assert_eq!(Quarters::between(96, 97), Quarters::NONE);
}
