//! Cards that are handed on to a controller of somebody else, and what it answers.

use std::time::Duration;

use gateway_core::{Command, ControllerSaid, LightColour, ReaderCommand, Refusal, SignalKind};
use gateway_site::rules::{Action, Conditions, Rule, Trigger};
use gateway_site::{ControllerParams, Decision, SiteParams};
use sim::{Sim, first_door, id, ms, secs};

/// The first door, whose reader also hands on, and a reader without a door that does nothing else.
fn site() -> Sim {
    Sim::new(params())
}

fn params() -> SiteParams {
    let mut params = first_door();
    let mut gate = params.readers[&id("front-reader")].clone();
    gate.simulated = false;
    params.readers.insert(id("gate-reader"), gate);
    let legacy = ControllerParams {
        by_command: false,
        keys: false,
        readers: vec![id("front-reader"), id("gate-reader")],
    };
    let cloud = ControllerParams {
        by_command: true,
        keys: true,
        readers: vec![id("gate-reader")],
    };
    params.controllers.insert(id("legacy"), legacy);
    params.controllers.insert(id("cloud"), cloud);
    params
}

fn said(sim: &mut Sim, reader: Option<&str>, said: ControllerSaid) {
    let signal = SignalKind::Controller {
        controller: id("legacy"),
        reader: reader.map(id),
        said,
    };
    sim.signal(sim.now(), false, signal);
}

const fn light(colour: LightColour, time: Option<Duration>) -> ControllerSaid {
    ControllerSaid::Light { colour, time }
}

#[test]
fn a_card_is_handed_on_once_and_the_door_of_its_reader_is_decided_all_the_same() {
    let mut sim = site();
    sim.card("front-reader", "26:123,04567");
    assert_eq!(sim.forwarded.len(), 1, "{}", sim.log());
    assert_eq!(
        (sim.forwarded[0].0.as_str(), &sim.forwarded[0].2),
        ("legacy", &Some(id("front-reader")))
    );
    assert_eq!(sim.pulses.len(), 1);
    // one that is nobody's here may be somebody's there
    sim.card("gate-reader", "26:9,00001");
    assert_eq!(sim.forwarded.len(), 3);
    assert_eq!(sim.pulses.len(), 1);
    // and nobody says no at a reader of the controller's alone
    assert!(
        !sim.readers.iter().any(|(reader, _)| *reader == id("gate-reader")),
        "{:?}",
        sim.readers
    );
    assert_eq!(
        sim.kinds()
            .iter()
            .filter(|kind| *kind == "controller.sent")
            .count(),
        3
    );
}

#[test]
fn an_old_card_is_handed_on_to_nobody() {
    let mut sim = site();
    sim.wait(secs(5));
    for age in [ms(501), secs(3)] {
        let frame = gateway_site::card_frame("26:9,00001").expect("a card");
        let reader = id("gate-reader");
        sim.signal(sim.now() - age, false, SignalKind::Card { frame, reader });
    }
    assert!(sim.forwarded.is_empty(), "{:?}", sim.forwarded);
    assert_eq!(
        sim.kinds()
            .iter()
            .filter(|kind| *kind == "controller.missed")
            .count(),
        4
    );
}

#[test]
fn what_a_controller_shows_is_told_and_shown_where_the_card_was_and_opens_nothing() {
    let mut sim = site();
    let green = || light(LightColour::Green, Some(secs(3)));
    said(&mut sim, Some("gate-reader"), green());
    let granted = ReaderCommand::Granted { time: secs(3) };
    assert_eq!(sim.readers, [(id("gate-reader"), granted)]);
    said(
        &mut sim,
        Some("gate-reader"),
        light(LightColour::Red, Some(secs(1))),
    );
    assert_eq!(sim.readers[1..], [(id("gate-reader"), ReaderCommand::Denied)]);
    // a door of ours has its own light, and nobody's is shown nowhere
    said(&mut sim, Some("front-reader"), green());
    said(&mut sim, None, green());
    said(&mut sim, Some("gate-reader"), light(LightColour::Red, None));
    said(&mut sim, Some("gate-reader"), ControllerSaid::Beep(2));
    assert_eq!(sim.readers.len(), 2, "{:?}", sim.readers);
    let kinds = sim.kinds();
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "controller.showed").count(),
        5
    );
    assert!(kinds.contains(&"controller.beeped".to_owned()));
    assert!(sim.pulses.is_empty());
}

fn card(controller: &str) -> Command {
    Command::SendCard {
        card: gateway_site::card_frame("26:9,00001").expect("a card"),
        controller: id(controller),
    }
}

#[test]
fn a_card_by_command_goes_where_that_is_wanted_once_and_its_record_says_whose_it_was() {
    let mut sim = site();
    let done = sim.command("a", card("cloud"));
    assert!(matches!(done, Decision::Accepted { ring: None }), "{done:?}");
    assert_eq!(sim.forwarded.len(), 1, "{}", sim.log());
    assert_eq!(
        (sim.forwarded[0].0.as_str(), &sim.forwarded[0].2),
        ("cloud", &None)
    );
    let log = sim.log();
    let sent: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("controller.sent"))
        .collect();
    assert!(
        sent.len() == 1 && sent[0].contains("subject=") && !sent[0].contains("9,"),
        "{log}"
    );
    // what it shows to that is nobody's at the readers
    said(&mut sim, None, light(LightColour::Green, Some(secs(3))));
    assert!(sim.readers.is_empty() && sim.pulses.is_empty());
    for (number, controller, wanted) in [
        ("a", "cloud", Refusal::Duplicate),
        ("b", "legacy", Refusal::Forbidden),
        ("c", "nowhere", Refusal::Unknown),
    ] {
        let done = sim.command(number, card(controller));
        let is = matches!(&done, Decision::Refused { reason, .. } if *reason == wanted);
        assert!(is, "{controller}: {done:?}");
    }
    assert_eq!(sim.forwarded.len(), 1);
}

fn press(sim: &mut Sim, reader: &str, key: char) {
    let reader = id(reader);
    sim.signal(sim.now(), false, SignalKind::Key { key, reader });
}

#[test]
fn keys_go_to_the_controllers_that_get_keys_and_are_no_entry_at_a_reader_without_a_door() {
    let mut sim = site();
    for key in "4711#".chars() {
        press(&mut sim, "gate-reader", key);
    }
    let keys: String = sim.forwarded_keys.iter().map(|(_, key, _)| *key).collect();
    assert_eq!(keys, "4711#");
    assert!(sim.forwarded_keys.iter().all(|(to, ..)| *to == id("cloud")));
    // no refusal, no light, no digit on record
    assert!(sim.readers.is_empty(), "{:?}", sim.readers);
    assert!(!sim.log().contains("4711"), "{}", sim.log());
    press(&mut sim, "front-reader", '1');
    assert_eq!(sim.forwarded_keys.len(), 5);
    let reader = id("gate-reader");
    sim.signal(sim.now() - ms(501), false, SignalKind::Key { key: '1', reader });
    assert_eq!(sim.forwarded_keys.len(), 5, "an old one goes nowhere");
}

#[test]
fn a_rule_sends_a_card_for_who_was_let_in_and_for_no_other_reason() {
    let mut params = params();
    for (name, kind, controller) in [
        ("in", "door.granted", "cloud"),
        ("out", "door.denied", "cloud"),
        ("closed", "door.granted", "legacy"),
    ] {
        let action = Action::Card {
            card: gateway_site::card_frame("26:9,00001").expect("a card"),
            controller: id(controller),
        };
        let rule = Rule {
            actions: vec![action],
            most_per_minute: 20,
            on: Trigger {
                kinds: [kind.to_owned()].into(),
                sources: [].into(),
            },
            when: Conditions::default(),
        };
        params.rules.insert(id(name), rule);
    }
    let mut sim = Sim::new(params);
    sim.wait(secs(1));
    let sent = |sim: &Sim| {
        sim.forwarded
            .iter()
            .filter(|(_, _, reader)| reader.is_none())
            .count()
    };
    sim.card("front-reader", "26:123,04567");
    sim.wait(ms(10));
    assert_eq!(sent(&sim), 1, "{}", sim.log());
    let log = sim.log();
    assert!(log.contains("rule:in"), "it is on record who sent it: {log}");
    // the other controller takes none, and a refusal is no reason
    sim.wait(secs(10));
    sim.card("front-reader", "26:1,1");
    sim.wait(ms(10));
    assert_eq!(sent(&sim), 1, "{}", sim.log());
    assert_eq!(
        sim.kinds().iter().filter(|kind| *kind == "rule.failed").count(),
        2
    );
}
