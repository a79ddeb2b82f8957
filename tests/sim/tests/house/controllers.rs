//! Cards that are handed on to a controller of somebody else, and what it answers.

use std::time::Duration;

use gateway_core::{ControllerSaid, LightColour, ReaderCommand, SignalKind};
use sim::{Sim, first_door, id, ms, secs};

/// The first door, whose reader also hands on, and a reader without a door that does nothing else.
fn site() -> Sim {
    let mut params = first_door();
    let mut gate = params.readers[&id("front-reader")].clone();
    gate.simulated = false;
    params.readers.insert(id("gate-reader"), gate);
    let readers = vec![id("front-reader"), id("gate-reader")];
    params.controllers.insert(id("legacy"), readers);
    Sim::new(params)
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
        (sim.forwarded[0].0.as_str(), sim.forwarded[0].2.as_str()),
        ("legacy", "front-reader")
    );
    assert_eq!(sim.pulses.len(), 1);
    // one that is nobody's here may be somebody's there
    sim.card("gate-reader", "26:9,00001");
    assert_eq!(sim.forwarded.len(), 2);
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
        2
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
        2
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
