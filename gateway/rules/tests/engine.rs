//! The engine under virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_access::{InForce, When};
use gateway_core::{
    DoorEvent, DoorGroupId, DoorId, Envelope, Event, Factor, GroupId, Instant, LineId, PanelId, Record,
    RelayId, RelaySet, RuleId, Subject, Template, Timestamp,
};
use gateway_rules::{
    Action, Conditions, Counter, DoorIs, Ear, Engine, Facts, FieldIs, HeldBack, Layout, MAX_DEPTH, Outcome,
    Rule, Sound, State, Trigger, Unmet, circles,
};
use proptest::prelude::*;

fn id<T: std::str::FromStr>(name: &str) -> T {
    name.parse().ok().expect("a name")
}

fn at(s: u64) -> Instant {
    Instant::from_nanos(1_000_000_000_000) + Duration::from_secs(s)
}

/// A site of a test.
struct Site {
    clock: InForce,
    group: &'static str,
    open: Option<bool>,
}

const QUIET: Site = Site {
    clock: InForce::Yes,
    group: "staff",
    open: Some(false),
};

impl Facts for Site {
    fn in_force(&self, when: &When) -> InForce {
        match when {
            When::Always => InForce::Yes,
            When::In(_) => self.clock,
            When::Never => InForce::No,
        }
    }
    fn is_so(&self, state: &State) -> Option<bool> {
        match state {
            State::Door(_, DoorIs::Open) => self.open,
            State::Door(_, DoorIs::Shut) => self.open.map(|open| !open),
            State::Door(_, DoorIs::Locked | DoorIs::Unlocked) | State::Input(..) => None,
        }
    }
    fn is_in(&self, subject: &str, group: &GroupId) -> bool {
        subject == "person:alice" && group.as_str() == self.group
    }
}

fn denied(door: &str, who: Subject) -> Record {
    let event = DoorEvent::Denied {
        factor: Factor::Card,
        reason: "the card does not open this door".into(),
        subject: who,
    };
    Record::from(&Envelope {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Door(id(door), event),
        ring: None,
        simulated: false,
    })
}

fn stranger() -> Record {
    denied("front", Subject::Unknown)
}

fn rule(kinds: &[&str], actions: Vec<Action>) -> Rule {
    Rule {
        actions,
        most_per_minute: 20,
        on: Trigger {
            kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
            sources: BTreeSet::new(),
        },
        when: Conditions::default(),
    }
}

fn tell() -> Action {
    Action::Notify {
        channel: id("erp"),
        message: Template::new("{source}").expect("a template"),
    }
}

fn engine(rule: Rule) -> Engine {
    Engine::new([(id("r"), rule)].into())
}

fn one(engine: &mut Engine, now: Instant, record: &Record, site: &Site) -> Option<Outcome> {
    engine.take(now, record, 0, site).pop().map(|turn| turn.outcome)
}

const fn acts(outcome: &Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Acts { in_doubt: false, .. }))
}

#[test]
fn kinds_families_and_sources_set_a_rule_off() {
    for (kinds, sources, expected) in [
        (&["door.denied"][..], &[][..], true),
        (&["door"], &["front"], true),
        (&["doo", "denied", "door.granted"], &[], false),
        (&["door"], &["back"], false),
    ] {
        let mut of = rule(kinds, vec![tell()]);
        of.on.sources = sources.iter().map(|&source| source.to_owned()).collect();
        let outcome = one(&mut engine(of), at(0), &stranger(), &QUIET);
        assert_eq!(acts(&outcome), expected, "{kinds:?} {sources:?}: {outcome:?}");
    }
}

#[test]
fn a_condition_that_is_not_met_is_named() {
    let alice = Subject::Person(id("alice"));
    let cases: Vec<(Conditions, Record, Site, &str)> = vec![
        (
            Conditions {
                fields: vec![FieldIs {
                    name: "factor".into(),
                    value: "code".into(),
                }],
                ..Conditions::default()
            },
            stranger(),
            QUIET,
            "factor is \"card\", \"code\" is wanted",
        ),
        (
            Conditions {
                fields: vec![FieldIs {
                    name: "outcome".into(),
                    value: "no-answer".into(),
                }],
                ..Conditions::default()
            },
            stranger(),
            QUIET,
            "the event has no outcome, \"no-answer\" is wanted",
        ),
        (
            Conditions {
                groups: [id("staff")].into(),
                ..Conditions::default()
            },
            stranger(),
            QUIET,
            "unknown is in none of the groups",
        ),
        (
            Conditions {
                groups: [id("guards")].into(),
                ..Conditions::default()
            },
            denied("front", alice),
            QUIET,
            "person:alice is in none of the groups",
        ),
        (
            Conditions {
                schedule: When::In(id("night")),
                ..Conditions::default()
            },
            stranger(),
            Site {
                clock: InForce::No,
                ..QUIET
            },
            "schedule night is not in force",
        ),
        (
            Conditions {
                states: vec![State::Door(id("front"), DoorIs::Open)],
                ..Conditions::default()
            },
            stranger(),
            QUIET,
            "it is not so that door front is open",
        ),
        (
            Conditions {
                states: vec![State::Door(id("front"), DoorIs::Shut)],
                ..Conditions::default()
            },
            stranger(),
            Site { open: None, ..QUIET },
            "nobody knows whether door front is shut",
        ),
    ];
    for (when, record, site, expected) in cases {
        let mut of = rule(&["door.denied"], vec![tell()]);
        of.when = when;
        let outcome = one(&mut engine(of), at(0), &record, &site);
        let Some(Outcome::Not(unmet)) = outcome else {
            panic!("{expected}: {outcome:?}");
        };
        assert_eq!(unmet.to_string(), expected);
    }
}

#[test]
fn a_group_is_that_of_whoever_the_event_is_about() {
    let mut of = rule(&["door.denied"], vec![tell()]);
    of.when.groups = [id("guards"), id("staff")].into();
    let mut engine = engine(of);
    let alice = denied("front", Subject::Person(id("alice")));
    assert!(acts(&one(&mut engine, at(0), &alice, &QUIET)));
    let bob = denied("front", Subject::Person(id("bob")));
    assert!(!acts(&one(&mut engine, at(0), &bob, &QUIET)));
}

#[test]
fn three_events_within_a_minute_act_once_and_the_count_begins_anew() {
    let mut of = rule(&["door.denied"], vec![tell()]);
    of.when.counter = Some(Counter {
        times: 3,
        within: Duration::from_secs(60),
    });
    let mut engine = engine(of);
    let mut acted = vec![];
    // the third at 59 s, the sixth at 120 s; those at 200 and 261 are too far apart
    for s in [0, 30, 59, 60, 90, 119, 200, 261, 262, 320] {
        if acts(&one(&mut engine, at(s), &stranger(), &QUIET)) {
            acted.push(s);
        }
    }
    assert_eq!(acted, [59, 119, 320]);
    let outcome = one(&mut engine, at(400), &stranger(), &QUIET);
    let unmet = Unmet::Counter {
        found: 1,
        of: 3,
        within: Duration::from_secs(60),
    };
    assert_eq!(outcome, Some(Outcome::Not(unmet)));
}

#[test]
fn events_that_meet_no_condition_are_not_counted() {
    let mut of = rule(&["door.denied"], vec![tell()]);
    of.when.counter = Some(Counter {
        times: 2,
        within: Duration::from_secs(60),
    });
    of.when.schedule = When::In(id("night"));
    let mut engine = engine(of);
    let day = Site {
        clock: InForce::No,
        ..QUIET
    };
    assert!(!acts(&one(&mut engine, at(0), &stranger(), &day)));
    assert!(!acts(&one(&mut engine, at(1), &stranger(), &QUIET)));
    assert!(acts(&one(&mut engine, at(2), &stranger(), &QUIET)));
}

#[test]
fn a_clock_in_doubt_is_told_with_the_actions() {
    let mut of = rule(&["door.denied"], vec![tell()]);
    of.when.schedule = When::In(id("night"));
    let doubt = Site {
        clock: InForce::Unknown,
        ..QUIET
    };
    let outcome = one(&mut engine(of), at(0), &stranger(), &doubt);
    assert!(
        matches!(outcome, Some(Outcome::Acts { in_doubt: true, .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_rule_that_acts_too_often_is_held_back_and_that_is_news_once() {
    let mut of = rule(&["door.denied"], vec![tell()]);
    of.most_per_minute = 3;
    let mut engine = engine(of);
    let mut outcomes = vec![];
    for s in [0, 1, 2, 3, 4, 61, 62] {
        outcomes.push(match one(&mut engine, at(s), &stranger(), &QUIET) {
            Some(Outcome::Acts { .. }) => "acts",
            Some(Outcome::HeldBack {
                first: true,
                why: HeldBack::Rate { most: 3 },
            }) => "held, news",
            Some(Outcome::HeldBack { first: false, .. }) => "held",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        outcomes,
        ["acts", "acts", "acts", "held, news", "held", "acts", "acts"]
    );
}

#[test]
fn a_chain_of_rules_ends_by_its_depth() {
    let mut engine = engine(rule(&["door.denied"], vec![tell()]));
    for depth in 0..MAX_DEPTH + 2 {
        let turns = engine.take(at(u64::from(depth)), &stranger(), depth, &QUIET);
        let held = matches!(
            turns[0].outcome,
            Outcome::HeldBack {
                why: HeldBack::Depth,
                ..
            }
        );
        assert_eq!(held, depth >= MAX_DEPTH, "{depth}: {turns:?}");
    }
}

#[test]
fn other_rules_keep_what_did_not_change() {
    let mut of = rule(&["door.denied"], vec![tell()]);
    of.when.counter = Some(Counter {
        times: 2,
        within: Duration::from_secs(60),
    });
    let mut engine = engine(of.clone());
    assert!(!acts(&one(&mut engine, at(0), &stranger(), &QUIET)));
    engine.configure([(id("r"), of.clone()), (id("s"), rule(&["panel"], vec![tell()]))].into());
    assert!(
        acts(&one(&mut engine, at(1), &stranger(), &QUIET)),
        "the count was lost"
    );
    assert!(!acts(&one(&mut engine, at(2), &stranger(), &QUIET)));
    of.most_per_minute = 1;
    engine.configure([(id("r"), of)].into());
    assert!(
        !acts(&one(&mut engine, at(3), &stranger(), &QUIET)),
        "another rule counts anew"
    );
}

/// Two doors, `front` at panel `main` on line `riser`, and `back` without one.
struct House;

impl Layout for House {
    fn doors_of(&self, group: Option<&DoorGroupId>) -> BTreeSet<DoorId> {
        match group {
            None => [id("back"), id("front")].into(),
            Some(_) => [id("back")].into(),
        }
    }
    fn line_of(&self, panel: &PanelId) -> Option<LineId> {
        (panel.as_str() == "main").then(|| id("riser"))
    }
    fn panels_of(&self, door: &DoorId) -> BTreeSet<PanelId> {
        (door.as_str() == "front")
            .then(|| id("main"))
            .into_iter()
            .collect()
    }
    fn followers(&self) -> BTreeSet<RelayId> {
        [id("porch-light")].into()
    }
}

fn found(rules: &[(&str, &[&str], &[&str], Action)]) -> Vec<Vec<String>> {
    let rules: BTreeMap<RuleId, Rule> = rules
        .iter()
        .map(|(name, kinds, sources, action)| {
            let mut of = rule(kinds, vec![action.clone()]);
            of.on.sources = sources.iter().map(|&source| source.to_owned()).collect();
            (id(name), of)
        })
        .collect();
    let circles = circles(&rules, &House).into_iter();
    circles
        .map(|circle| circle.iter().map(ToString::to_string).collect())
        .collect()
}

fn open(door: &str) -> Action {
    Action::Open(id(door))
}

fn call() -> Action {
    Action::Call {
        button: id("guard"),
        panel: id("main"),
    }
}

#[test]
fn rules_that_set_each_other_off_are_found_and_others_are_not() {
    let none: [[&str; 0]; 0] = [];
    // one that sets itself off: by its door, by its panel, by the call, by its own records
    assert_eq!(
        found(&[("a", &["door.closed"], &["front"], open("front"))]),
        [["a"]]
    );
    assert_eq!(found(&[("a", &["door"], &[], open("back"))]), [["a"]]);
    assert_eq!(found(&[("a", &["panel.ring-ended"], &["main"], call())]), [["a"]]);
    assert_eq!(found(&[("a", &["call.ended"], &[], call())]), [["a"]]);
    assert_eq!(found(&[("a", &["rule"], &[], tell())]), [["a"]]);
    assert_eq!(found(&[("a", &["line"], &["riser"], open("front"))]), [["a"]]);
    assert_eq!(
        found(&[("a", &["door.relocked"], &["back"], Action::Lockdown(None))]),
        [["a"]]
    );
    // two
    let there = ("a", &["door.opened"][..], &["front"][..], open("back"));
    let back = ("b", &["door.opened"][..], &["back"][..], open("front"));
    assert_eq!(found(&[there.clone(), back]), [["a", "b"]]);
    // a chain through the records of a rule
    let follows = ("b", &["rule.fired"][..], &["a"][..], open("front"));
    assert_eq!(found(&[there.clone(), follows]), [["a", "b"]]);
    // what leads nowhere
    assert_eq!(found(std::slice::from_ref(&there)), none);
    assert_eq!(
        found(&[("a", &["door.forced"], &[], Action::Lockdown(None))]),
        none
    );
    assert_eq!(found(&[("a", &["door.denied"], &["front"], call())]), none);
    assert_eq!(
        found(&[(
            "a",
            &["door"],
            &["back"],
            Action::Notify {
                channel: id("erp"),
                message: Template::new("x").expect("a template"),
            }
        )]),
        none
    );
    // relays that are set, and those that follow a call or a door; alarms; and what is said over MQTT
    let flip = |relay: &str| Action::Output {
        relay: id(relay),
        set: RelaySet::Toggle,
    };
    let switched = &["relay.switched"][..];
    assert_eq!(found(&[("a", switched, &["siren"], flip("siren"))]), [["a"]]);
    assert_eq!(
        found(&[
            ("a", switched, &["siren"], flip("horn")),
            ("b", switched, &["horn"], flip("siren")),
        ]),
        [["a", "b"]]
    );
    assert_eq!(found(&[("a", switched, &["siren"], flip("horn"))]), none);
    assert_eq!(found(&[("a", switched, &["porch-light"], call())]), [["a"]]);
    assert_eq!(found(&[("a", switched, &["porch-light"], flip("siren"))]), none);
    let raise = || Action::Alarm(id("intrusion"));
    assert_eq!(
        found(&[("a", &["alarm.escalated"], &["intrusion"], raise())]),
        [["a"]]
    );
    assert_eq!(found(&[("a", &["call.ended"], &[], raise())]), [["a"]]);
    assert_eq!(found(&[("a", &["alarm.confirmed"], &[], raise())]), none);
    let says = || Action::Mqtt {
        message: Template::new("x").expect("a template"),
        retain: false,
        topic: "a".into(),
    };
    assert_eq!(found(&[("a", &["door"], &[], says())]), none);
    assert_eq!(found(&[("a", &["rule.publish"], &[], says())]), [["a"]]);
    // a prompt takes the line for its time
    let prompt = || Action::Prompt {
        line: id("riser"),
        sound: Sound::Tones(vec![]),
        to: Ear::Line,
    };
    assert_eq!(found(&[("a", &["line.state"], &["riser"], prompt())]), [["a"]]);
    assert_eq!(found(&[("a", &["door.denied"], &[], prompt())]), none);
    // a rule beside a circle is in none, and each circle is told once
    let beside = ("c", &["panel.ring"][..], &[][..], open("back"));
    let circle = ("b", &["door.opened"][..], &["back"][..], open("front"));
    assert_eq!(found(&[there, circle, beside]), [["a", "b"]]);
}

proptest! {
    /// Whatever comes, a rule acts no more often within any minute than it may, never beyond the depth, and never while a
    /// condition is not met.
    #[test]
    fn no_rule_acts_more_than_it_may(
        most in 1_u32..6,
        times in 1_u32..4,
        events in proptest::collection::vec((0_u64..40_000, 0_u8..7, any::<bool>()), 1..200),
    ) {
        let mut of = rule(&["door.denied"], vec![tell()]);
        of.most_per_minute = most;
        of.when.schedule = When::In(id("night"));
        of.when.counter = Some(Counter { times, within: Duration::from_secs(30) });
        let mut engine = engine(of);
        let (mut now, mut acted, mut met) = (at(0), Vec::<Instant>::new(), 0_usize);
        for (pause_ms, depth, night) in events {
            now = now + Duration::from_millis(pause_ms);
            let site = Site { clock: if night { InForce::Yes } else { InForce::No }, ..QUIET };
            met += usize::from(night);
            let outcome = engine.take(now, &stranger(), depth, &site).pop().map(|turn| turn.outcome);
            if acts(&outcome) {
                prop_assert!(night && depth < MAX_DEPTH, "{outcome:?}");
                acted.push(now);
                let lately = acted.iter().filter(|at| now.since(**at) < Duration::from_secs(60)).count();
                prop_assert!(lately <= most as usize, "{lately} within a minute");
            }
        }
        prop_assert!(acted.len() * times as usize <= met);
    }
}
