//! Rules in the whole gateway: an event sets one off, and what it asks for passes the access decision and the journal.

use std::collections::BTreeSet;

use gateway_core::{Command, DoorEvent, Event, Factor, LegCommand, RelaySet, RuleEvent, Subject, Template};
use gateway_site::rules::{Action, Conditions, Counter, DoorIs, FieldIs, Rule, State, Trigger};
use gateway_site::{
    ButtonParams, Input, InputParams, RelayFunction, RelayParams, Schedule, Schedules, SiteParams, When,
};
use sim::{Sim, first_door, id, ms, secs, wall};

const CARD: &str = "26:123,04567";

fn rule(on: &[&str], sources: &[&str], actions: Vec<Action>) -> Rule {
    let set = |words: &[&str]| -> BTreeSet<String> { words.iter().map(|&word| word.to_owned()).collect() };
    Rule {
        actions,
        most_per_minute: 20,
        on: Trigger {
            kinds: set(on),
            sources: set(sources),
        },
        when: Conditions::default(),
    }
}

fn notify(message: &str) -> Action {
    Action::Notify {
        channel: id("erp"),
        message: Template::new(message).expect("a template"),
    }
}

/// The first door with a garage that has no panel, an input `loop` in the ground, and these rules.
fn house(rules: &[(&str, Rule)]) -> SiteParams {
    let mut site = first_door();
    let mut garage = site.doors[&id("front")].clone();
    (garage.contact, garage.tamper, garage.rex, garage.readers) = (None, None, vec![], vec![]);
    garage.output = Some(id("garage-strike"));
    site.doors.insert(id("garage"), garage);
    let strike = site.outputs[&id("front-strike")].clone();
    site.outputs.insert(id("garage-strike"), strike);
    let wire = InputParams {
        debounce: ms(30),
        simulated: false,
    };
    site.inputs.insert(id("loop"), wire);
    site.rules = rules
        .iter()
        .map(|(name, rule)| (id(name), rule.clone()))
        .collect();
    site
}

fn opens_garage() -> Vec<Action> {
    vec![Action::Open(id("garage"))]
}

/// Records of rules, as `kind source`, with the ring they stand under.
fn did(sim: &Sim) -> Vec<String> {
    let of_rules = sim.records.iter().filter_map(|e| {
        if let Event::Rule(rule, event) = &e.event {
            let what = match event {
                RuleEvent::Called { button, panel, .. } => format!("called {panel}/{button}"),
                RuleEvent::Failed { action, text } => format!("failed {action}: {text}"),
                RuleEvent::Fired { actions, by, of } => format!("fired by {by} of {of}: {actions}"),
                RuleEvent::HeldBack { by, text } => format!("held back at {by}: {text}"),
                RuleEvent::Notify { channel, message } => format!("{channel}: {message}"),
                RuleEvent::Prompted { line, text } => format!("heard at {line}: {text}"),
                RuleEvent::Publish {
                    message,
                    retain,
                    topic,
                } => format!("says at {topic} ({retain}): {message}"),
            };
            Some(format!("{rule} {what}"))
        } else {
            None
        }
    });
    of_rules.collect()
}

fn outputs(sim: &Sim) -> Vec<String> {
    sim.pulses
        .iter()
        .map(|pulse| pulse.grant.output.to_string())
        .collect()
}

#[test]
fn who_is_let_in_at_the_front_has_the_garage_opened_by_a_request_of_its_own() {
    let mut sim = Sim::new(house(&[(
        "both",
        rule(&["door.granted"], &["front"], opens_garage()),
    )]));
    sim.wait(ms(10));
    sim.card("front-reader", CARD);
    assert_eq!(outputs(&sim), ["front-strike", "garage-strike"], "{}", sim.log());
    let second = &sim.pulses[1].grant;
    assert_eq!(
        (second.factor, &second.subject),
        (Factor::Rule, &Subject::Rule(id("both")))
    );
    assert_eq!(second.rule, "rule both opens");
    assert_eq!(did(&sim), ["both fired by door.granted of front: open garage"]);
    // a card of nobody sets nothing off
    sim.wait(secs(10));
    sim.card("front-reader", "26:1,1");
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
}

#[test]
fn who_goes_out_and_a_fire_open_no_other_door_by_a_rule() {
    let mut sim = Sim::new(house(&[(
        "both",
        rule(&["door.granted"], &["front"], opens_garage()),
    )]));
    sim.wait(secs(1));
    for (input, factor) in [("front-rex", "rex"), ("fire", "fire")] {
        sim.edge(input, true);
        sim.wait(secs(10));
        let said = did(&sim);
        let why = format!("both failed open garage: nobody was let in by {factor}, so no rule opens");
        assert_eq!(said.last(), Some(&why), "{}", sim.log());
        assert!(
            sim.pulses.iter().all(|pulse| pulse.grant.factor != Factor::Rule),
            "{}",
            sim.log()
        );
    }
}

#[test]
fn a_rule_opens_nothing_that_the_decision_refuses() {
    let both = || house(&[("both", rule(&["door.granted"], &["front"], opens_garage()))]);
    // the door wants two persons, and a rule is none
    let mut site = both();
    site.doors.get_mut(&id("garage")).expect("garage").two_persons = When::Always;
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.card("front-reader", CARD);
    assert_eq!(outputs(&sim), ["front-strike"], "{}", sim.log());
    assert!(
        did(&sim)[1].starts_with("both failed open garage: "),
        "{:?}",
        did(&sim)
    );

    // the garage is locked down, the front is not
    let mut site = both();
    let group = gateway_site::DoorGroupParams {
        doors: [id("garage")].into(),
        ..Default::default()
    };
    site.door_groups.insert(id("yard"), group);
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.command(
        "a",
        Command::Lockdown {
            group: Some(id("yard")),
        },
    );
    sim.card("front-reader", CARD);
    assert_eq!(outputs(&sim), ["front-strike"], "{}", sim.log());
    let denied = sim.records.iter().any(|e| {
        matches!(&e.event, Event::Door(door, DoorEvent::Denied { factor: Factor::Rule, .. }) if *door == id("garage"))
    });
    assert!(denied, "{}", sim.log());

    // without journal
    let mut sim = Sim::new(both());
    sim.wait(ms(10));
    sim.input(Input::Journal {
        ok: false,
        text: "no room".into(),
    });
    sim.card("front-reader", CARD);
    assert_eq!(outputs(&sim), ["front-strike"], "{}", sim.log());
}

#[test]
fn an_input_opens_by_its_edge_and_neither_at_a_start_nor_as_old_news() {
    let site = || house(&[("car", rule(&["input.active"], &["loop"], opens_garage()))]);
    let mut sim = Sim::new_held(site(), &["loop"]);
    sim.wait(secs(1));
    assert!(sim.pulses.is_empty() && did(&sim).is_empty(), "{}", sim.log());
    sim.edge("loop", false);
    sim.wait(secs(1));
    sim.edge("loop", true);
    sim.wait(secs(1));
    assert_eq!(outputs(&sim), ["garage-strike"], "{}", sim.log());

    // it waited while the main loop stood still
    let mut sim = Sim::new(site());
    sim.wait(ms(10));
    let before = sim.now();
    sim.freeze(secs(5));
    sim.edge_at(before, &id("loop"), true, false);
    sim.wait(secs(1));
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    assert_eq!(
        did(&sim),
        [
            "car fired by input.active of loop: open garage",
            "car failed open garage: the event is old news, and opens nothing"
        ]
    );
    // an input that no rule looks at has no events
    assert!(
        !sim.kinds().iter().any(|kind| kind == "input.rest"),
        "{}",
        sim.log()
    );
    let mut sim = Sim::new(house(&[]));
    sim.wait(ms(10));
    sim.edge("loop", true);
    sim.wait(secs(1));
    assert!(
        !sim.kinds().iter().any(|kind| kind.starts_with("input.")),
        "{}",
        sim.log()
    );
}

#[test]
fn a_simulated_event_opens_no_real_door() {
    let mut sim = Sim::new(house(&[(
        "toy",
        rule(&["door.granted"], &["toy"], opens_garage()),
    )]));
    sim.wait(ms(10));
    sim.card("toy-reader", CARD);
    assert_eq!(outputs(&sim), ["toy-strike"], "{}", sim.log());
    assert!(did(&sim)[1].contains("simulated"), "{:?}", did(&sim));
    assert!(
        sim.records
            .iter()
            .filter(|e| matches!(e.event, Event::Rule(..)))
            .all(|e| e.simulated)
    );
}

#[test]
fn neither_a_restart_nor_a_reload_sets_a_rule_off() {
    let of = || rule(&["gateway", "door", "line", "input.active"], &[], opens_garage());
    let mut sim = Sim::new(house(&[("any", of())]));
    sim.wait(ms(10));
    sim.restart();
    sim.wait(secs(5));
    let rules = [("any", of()), ("more", of())];
    sim.reload(house(&rules));
    sim.wait(secs(5));
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn three_refusals_call_the_guard_and_tell_the_erp() {
    let call = Action::Call {
        button: id("guard"),
        panel: id("main"),
    };
    let mut of = rule(
        &["door.denied"],
        &["front"],
        vec![notify("{source}: {subject} at {site}"), call],
    );
    of.when.counter = Some(Counter {
        times: 3,
        within: secs(60),
    });
    let mut site = house(&[("tries", of)]);
    let panel = site.panels.get_mut(&id("main")).expect("main");
    panel
        .buttons
        .insert(id("guard"), ButtonParams::calling(id("reception"), "Guard"));
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    for _ in 0..3 {
        assert!(sim.legs.is_empty(), "{}", sim.log());
        sim.card("front-reader", "26:1,1");
        sim.wait(secs(5));
    }
    assert!(
        sim.legs.iter().any(|leg| matches!(leg, LegCommand::Offer { .. })),
        "{}",
        sim.log()
    );
    assert_eq!(
        did(&sim),
        [
            "tries fired by door.denied of front: notify erp, call main/guard",
            "tries erp: front: unknown at 12 rue des Lilas",
            "tries called main/guard",
        ]
    );
}

#[test]
fn what_a_rule_does_stands_under_the_ring_of_its_event() {
    let mut of = rule(&["panel.ring-ended"], &["main"], vec![notify("nobody answered")]);
    of.when.fields = vec![FieldIs {
        name: "outcome".into(),
        value: "no-answer".into(),
    }];
    let mut sim = Sim::new(house(&[("missed", of)]));
    sim.wait(ms(10));
    let ring = sim.press("bell").expect("a ring");
    sim.wait(secs(120));
    let story = sim.story(ring);
    let due = ["panel.ring-ended", "rule.fired", "rule.notify"];
    assert!(story.windows(3).any(|three| three == due), "{story:?}");
}

#[test]
fn states_and_schedules_decide_and_a_clock_in_doubt_opens_nothing() {
    let mut of = rule(&["input.active"], &["loop"], opens_garage());
    of.when.states = vec![State::Door(id("front"), DoorIs::Shut)];
    of.when.schedule = When::In(id("now"));
    let mut site = house(&[("car", of)]);
    let begin = wall(Sim::new(first_door()).now()).to_zoned(jiff::tz::TimeZone::UTC);
    let line = format!("daily {:02}:00-{:02}:00", begin.hour(), begin.hour() + 1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("now"), schedule)].into());
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    let drives_up = |sim: &mut Sim| {
        sim.edge("loop", true);
        sim.wait(secs(5));
        sim.edge("loop", false);
        sim.wait(secs(5));
        sim.pulses.len()
    };
    assert_eq!(drives_up(&mut sim), 1, "{}", sim.log());
    sim.edge("front-contact", true);
    sim.wait(secs(1));
    assert_eq!(drives_up(&mut sim), 1, "the front is open: {}", sim.log());
    sim.edge("front-contact", false);
    sim.wait(secs(1));
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
    assert_eq!(drives_up(&mut sim), 1, "the clock is in doubt: {}", sim.log());
    assert!(
        did(&sim)
            .last()
            .is_some_and(|last| last.contains("clock is not trusted")),
        "{:?}",
        did(&sim)
    );
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: true,
    });
    sim.wait(secs(2 * 3600));
    assert_eq!(drives_up(&mut sim), 1, "another time: {}", sim.log());
}

#[test]
fn a_circle_that_no_check_has_seen_ends_by_itself() {
    // each tells, and each record of the one sets the other off
    let ping = rule(&["rule.notify", "door.granted"], &[], vec![notify("again")]);
    let mut sim = Sim::new(house(&[("ping", ping.clone()), ("pong", ping)]));
    sim.wait(ms(10));
    sim.card("front-reader", CARD);
    sim.wait(secs(1));
    let (fired, held) = (
        did(&sim).iter().filter(|line| line.contains(" fired ")).count(),
        did(&sim)
            .iter()
            .filter(|line| line.contains(" held back "))
            .count(),
    );
    assert!((2..=40).contains(&fired), "{fired}: {:?}", did(&sim));
    assert_eq!(held, 2, "{:?}", did(&sim));
    // and doors go on
    sim.wait(secs(120));
    sim.card("front-reader", CARD);
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
}

#[test]
fn a_lockdown_by_a_rule_is_like_any_other() {
    let forced = rule(&["door.forced"], &[], vec![Action::Lockdown(None)]);
    let mut sim = Sim::new(house(&[("forced", forced)]));
    sim.wait(ms(10));
    sim.edge("front-contact", true);
    sim.wait(secs(1));
    sim.edge("front-contact", false);
    sim.wait(secs(1));
    sim.card("front-reader", CARD);
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    let begun = sim.records.iter().any(|e| {
        let by = Subject::Rule(id("forced"));
        matches!(&e.event, Event::Gateway(gateway_core::GatewayEvent::Lockdown { active: true, group: None, subject }) if *subject == by)
    });
    assert!(begun, "{}", sim.log());
    // and everybody gets out
    sim.edge("front-rex", true);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_rule_sets_a_relay_that_is_there_to_be_set_and_no_other() {
    let sets = |set| Action::Output {
        relay: id("siren"),
        set,
    };
    let house = |function| {
        let mut site = house(&[
            (
                "on",
                rule(&["door.denied"], &[], vec![sets(RelaySet::For(secs(30)))]),
            ),
            (
                "off",
                rule(&["door.granted"], &["front"], vec![sets(RelaySet::Off)]),
            ),
        ]);
        site.relays
            .insert(id("siren"), RelayParams::new(id("siren-output"), function));
        site
    };
    let on = |sim: &Sim| sim.site.relays()[&id("siren-output")];
    let mut sim = Sim::new(house(RelayFunction::Command { longest: None }));
    sim.wait(ms(10));
    sim.card("front-reader", "26:1,1");
    assert!(on(&sim), "{}", sim.log());
    assert_eq!(
        did(&sim),
        ["on fired by door.denied of front: output siren on for 30 s"]
    );
    sim.card("front-reader", CARD);
    assert!(!on(&sim), "{}", sim.log());
    sim.card("front-reader", "26:1,1");
    sim.wait(secs(29));
    assert!(on(&sim), "{}", sim.log());
    sim.wait(secs(2));
    assert!(!on(&sim), "{}", sim.log());
    assert!(sim.pulses.iter().all(|pulse| pulse.grant.factor != Factor::Rule));

    let mut sim = Sim::new(house(RelayFunction::MainsFault { input: id("loop") }));
    sim.wait(ms(10));
    sim.card("front-reader", "26:1,1");
    assert!(!on(&sim), "{}", sim.log());
    assert!(
        did(&sim)[1].starts_with("on failed output siren on for 30 s: "),
        "{:?}",
        did(&sim)
    );
}

#[test]
fn rules_that_switch_each_others_relays_for_ever_are_held_back() {
    let flip = |relay: &str| Action::Output {
        relay: id(relay),
        set: RelaySet::Toggle,
    };
    let mut site = house(&[
        ("a", rule(&["relay.switched"], &["one"], vec![flip("two")])),
        ("b", rule(&["relay.switched"], &["two"], vec![flip("one")])),
        ("start", rule(&["door.denied"], &[], vec![flip("one")])),
    ]);
    for name in ["one", "two"] {
        let function = RelayFunction::Command { longest: None };
        site.relays
            .insert(id(name), RelayParams::new(id(&format!("{name}-out")), function));
    }
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.card("front-reader", "26:1,1");
    sim.wait(secs(1));
    let switched = sim
        .kinds()
        .iter()
        .filter(|kind| *kind == "relay.switched")
        .count();
    assert!((2..=8).contains(&switched), "{switched}: {}", sim.log());
    assert!(
        did(&sim).iter().any(|line| line.contains(" held back ")),
        "{:?}",
        did(&sim)
    );
}

#[test]
fn a_rule_says_something_over_mqtt_as_text_or_json() {
    let says = |message: &str| Action::Mqtt {
        message: Template::new(message).expect("a template"),
        retain: true,
        topic: "tries/front".into(),
    };
    let actions = vec![
        says("{subject} at {source}"),
        says(r#"{{"who":"{subject}","site":"{site}"}}"#),
    ];
    let mut site = house(&[("says", rule(&["door.denied"], &[], actions))]);
    site.name = r#"12 "rue des Lilas""#.into();
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.card("front-reader", "26:1,1");
    assert_eq!(
        did(&sim)[1..],
        [
            "says says at tries/front (true): unknown at front".to_owned(),
            r#"says says at tries/front (true): {"who":"unknown","site":"12 \"rue des Lilas\""}"#.to_owned(),
        ]
    );
}

#[test]
fn a_group_means_nobody_before_their_first_day_or_after_their_last() {
    use gateway_site::{Change, Person, Validity};
    let mut of = rule(&["door.granted"], &["front"], vec![notify("{subject}")]);
    of.when.groups = [id("staff")].into();
    let hour = jiff::SignedDuration::from_hours(1);
    for (from, until, counts) in [
        (None, None, true),
        (Some(hour), None, false),
        (None, Some(-hour), false),
        (Some(-hour), Some(hour), true),
    ] {
        let mut sim = Sim::new(house(&[("staff", of.clone())]));
        sim.wait(ms(10));
        let at = |by: jiff::SignedDuration| wall(sim.now()).checked_add(by).expect("this century");
        let alice = Person {
            blocked: false,
            groups: [id("staff")].into(),
            id: id("alice"),
            valid: Validity {
                from: from.map(at),
                until: until.map(at),
            },
        };
        sim.input(Input::People(vec![Change::Person(alice)]));
        sim.card("front-reader", CARD);
        let fired = !did(&sim).is_empty();
        assert_eq!(fired, counts, "{from:?} {until:?}: {}", sim.log());
        if from.is_some() || until.is_some() {
            sim.input(Input::ClockStep {
                step_ms: 0,
                trusted: false,
            });
            let before = did(&sim).len();
            sim.wait(secs(10));
            sim.card("front-reader", CARD);
            assert_eq!(did(&sim).len(), before, "nobody knows the day: {}", sim.log());
        }
    }
}
