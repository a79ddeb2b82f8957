//! Do-not-disturb: nobody is called, and the ring is told all the same.

use gateway_core::{LegCommand, LineSignal};
use gateway_site::{Input, Schedule, Schedules, SiteParams, When};
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
