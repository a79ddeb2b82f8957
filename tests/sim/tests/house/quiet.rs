//! Do-not-disturb: nobody is called, and the ring is told all the same.

use gateway_core::{Command, LegCommand, LineSignal, Refusal};
use gateway_site::{Decision, Input, Schedule, Schedules, SiteParams, When};
use sim::{Sim, first_door, id, ms, secs, wall};

/// The bells are quiet in the hour in which the simulation begins.
fn house() -> SiteParams {
    let mut site = first_door();
    let begin = Sim::new(first_door()).now();
    let now = wall(begin).to_zoned(jiff::tz::TimeZone::UTC);
    let line = format!("daily {:02}:00-{:02}:00", now.hour(), now.hour() + 1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("rest"), schedule)].into());
    for panel in site.panels.values_mut() {
        for button in panel.buttons.values_mut() {
            button.quiet = When::In(id("rest"));
        }
    }
    site
}

fn called(sim: &Sim) -> usize {
    let offers = sim
        .legs
        .iter()
        .filter(|leg| matches!(leg, LegCommand::Offer { .. }));
    offers.count()
}

#[test]
fn a_quiet_button_calls_nobody_and_its_ring_is_told() {
    let mut sim = Sim::new(house());
    sim.wait(ms(10));
    let ring = sim.press("bell").expect("a ring");
    assert_eq!(
        sim.story(ring),
        ["panel.ring", "panel.ring-ended"],
        "{}",
        sim.log()
    );
    assert_eq!((called(&sim), sim.lines.len()), (0, 0), "{}", sim.log());
    // another one is another ring
    assert_ne!(sim.press("bell"), Some(ring));
    sim.wait(secs(2 * 3600));
    sim.press("bell").expect("a ring");
    assert!(called(&sim) > 0, "{}", sim.log());
}

#[test]
fn a_panel_that_rings_over_its_wires_is_quiet_too_and_gets_its_line_back() {
    let mut sim = Sim::new(house());
    sim.wait(ms(10));
    sim.line("riser", LineSignal::Ring);
    assert_eq!(called(&sim), 0, "{}", sim.log());
    assert!(
        sim.kinds().iter().any(|kind| kind == "panel.ring"),
        "{}",
        sim.log()
    );
    sim.wait(secs(2 * 3600));
    sim.line("riser", LineSignal::RingStopped);
    sim.line("riser", LineSignal::Ring);
    assert!(called(&sim) > 0, "{}", sim.log());
}

#[test]
fn a_clock_that_is_not_believed_silences_no_bell() {
    let mut sim = Sim::new(house());
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
    sim.press("bell").expect("a ring");
    assert!(called(&sim) > 0, "{}", sim.log());
}

fn quiet(sim: &mut Sim, command: &str, time: Option<std::time::Duration>) {
    let panel = id("main");
    let said = sim.command(command, Command::Quiet { panel, time });
    assert!(matches!(said, Decision::Accepted { .. }), "{said:?}");
}

fn end(sim: &mut Sim, command: &str) -> Option<Refusal> {
    match sim.command(command, Command::EndQuiet { panel: id("main") }) {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, .. } => Some(reason),
    }
}

/// Does a press at the panel call somebody? Whoever is called is let ring for a while, and the ring is told in any case.
fn rings(sim: &mut Sim) -> bool {
    let before = called(sim);
    let ring = sim.press("bell").expect("a ring");
    assert_eq!(sim.story(ring)[0], "panel.ring", "{}", sim.log());
    let rang = called(sim) > before;
    sim.wait(secs(200));
    rang
}

fn is_shown(sim: &Sim) -> bool {
    let view = sim.site.view();
    view.panels
        .iter()
        .any(|panel| panel.id == id("main") && panel.quiet.is_some())
}

fn plain() -> Sim {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(1));
    sim
}

#[test]
fn a_command_silences_a_panel_until_another_one_ends_it_over_restarts_and_reloads() {
    let mut sim = plain();
    assert!(rings(&mut sim));
    quiet(&mut sim, "a", None);
    assert!(!rings(&mut sim) && is_shown(&sim), "{}", sim.log());
    sim.restart();
    sim.wait(secs(1));
    assert!(!rings(&mut sim) && is_shown(&sim), "{}", sim.log());
    sim.reload(first_door());
    assert!(!rings(&mut sim), "{}", sim.log());
    // nobody doubts it with the clock: no date ends it
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
    assert!(!rings(&mut sim), "{}", sim.log());
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: true,
    });
    assert_eq!(end(&mut sim, "b"), None);
    assert!(rings(&mut sim) && !is_shown(&sim), "{}", sim.log());
    assert_eq!(end(&mut sim, "c"), Some(Refusal::Unknown));
    let told = sim
        .kinds()
        .into_iter()
        .filter(|kind| kind.starts_with("panel.quiet"));
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["panel.quiet-began", "panel.quiet-ended"]
    );
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn for_a_time_it_ends_by_itself_and_a_restart_goes_on_with_what_is_left() {
    for restart in [false, true] {
        let mut sim = plain();
        quiet(&mut sim, "a", Some(secs(3600)));
        sim.wait(secs(1800));
        if restart {
            sim.restart();
            sim.wait(secs(1));
        }
        assert!(!rings(&mut sim), "restart {restart}\n{}", sim.log());
        sim.wait(secs(1500));
        assert!(!rings(&mut sim), "restart {restart}\n{}", sim.log());
        sim.wait(secs(200));
        assert!(!is_shown(&sim), "restart {restart}\n{}", sim.log());
        assert!(rings(&mut sim), "restart {restart}\n{}", sim.log());
        let ended = sim
            .kinds()
            .iter()
            .filter(|kind| *kind == "panel.quiet-ended")
            .count();
        assert_eq!(ended, 1, "{}", sim.log());
    }
}

#[test]
fn after_a_restart_by_a_clock_that_is_not_believed_no_time_silences_a_bell() {
    let mut sim = plain();
    quiet(&mut sim, "a", Some(secs(3600)));
    let believed = |sim: &mut Sim, trusted| sim.input(Input::ClockStep { step_ms: 0, trusted });
    // begun in this life it is measured by the clock that nobody sets
    believed(&mut sim, false);
    assert!(!rings(&mut sim), "{}", sim.log());
    believed(&mut sim, true);
    sim.restart();
    believed(&mut sim, false);
    assert!(rings(&mut sim), "{}", sim.log());
    believed(&mut sim, true);
    assert!(!rings(&mut sim), "{}", sim.log());
}

#[test]
fn a_panel_that_is_gone_is_quiet_no_more_and_unknown_ones_are_refused() {
    let mut sim = plain();
    quiet(&mut sim, "a", None);
    let mut without = first_door();
    without.panels.remove(&id("main"));
    sim.reload(without);
    sim.reload(first_door());
    assert!(rings(&mut sim), "{}", sim.log());
    let nowhere = Command::Quiet {
        panel: id("nowhere"),
        time: None,
    };
    assert!(matches!(
        sim.command("b", nowhere),
        Decision::Refused {
            reason: Refusal::Unknown,
            ..
        }
    ));
}
