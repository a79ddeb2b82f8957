//! Inputs that are held while the gateway starts: what they ask for, and that they ask only then.

use gateway_core::{LineCommand, LineSignal};
use gateway_site::{HeldInput, Input, InputParams, SiteParams, StartParams};
use sim::{Sim, first_door, id, secs};

fn house() -> SiteParams {
    let mut site = first_door();
    for name in ["reset", "tell"] {
        let input = InputParams {
            debounce: std::time::Duration::ZERO,
            simulated: false,
        };
        site.inputs.insert(id(name), input);
    }
    site.start = StartParams {
        hold: secs(10),
        reset_input: Some(id("reset")),
        tell_input: Some(id("tell")),
        tell_line: Some(id("riser")),
    };
    site
}

fn resets(sim: &Sim) -> usize {
    sim.asked
        .iter()
        .filter(|asked| **asked == HeldInput::Reset)
        .count()
}

#[test]
fn an_input_that_is_held_for_its_time_since_the_first_reading_resets_once() {
    let mut sim = Sim::new_held(house(), &["reset"]);
    sim.wait(secs(9));
    assert_eq!(resets(&sim), 0);
    sim.wait(secs(2));
    assert_eq!(resets(&sim), 1);
    sim.wait(secs(3600));
    assert_eq!(resets(&sim), 1);
    assert!(sim.pulses.is_empty(), "it opens nothing: {}", sim.log());
}

#[test]
fn one_that_is_let_go_or_pressed_later_or_read_late_resets_nothing() {
    let mut sim = Sim::new_held(house(), &["reset"]);
    sim.wait(secs(5));
    sim.edge("reset", false);
    sim.edge("reset", true);
    sim.wait(secs(60));
    assert_eq!(resets(&sim), 0, "{:?}", sim.asked);
    assert!(sim.asked.contains(&HeldInput::Released));

    let mut sim = Sim::new(house());
    sim.edge("reset", true);
    sim.wait(secs(60));
    assert_eq!(resets(&sim), 0);
    // its adapter comes back: a first reading, but not at the start of the gateway
    sim.edge_at(sim.now(), &id("reset"), true, true);
    sim.wait(secs(60));
    assert_eq!(resets(&sim), 0);
}

#[test]
fn the_address_is_told_at_a_line_that_is_taken_for_it_and_given_back() {
    let mut sim = Sim::new_held(house(), &["tell"]);
    sim.wait(secs(3));
    assert_eq!(sim.asked, [HeldInput::Released, HeldInput::Tell(id("riser"))]);
    assert_eq!(sim.lines, [(id("riser"), LineCommand::Seize)]);
    sim.input(Input::AddressTold("192.0.2.10".into()));
    assert_eq!(sim.lines.last(), Some(&(id("riser"), LineCommand::Release)));
    assert!(sim.log().contains("gateway.address-told"), "{}", sim.log());
    // nobody waits for a second word
    let records = sim.records.len();
    sim.input(Input::AddressTold("192.0.2.10".into()));
    assert_eq!(sim.records.len(), records);
}

#[test]
fn a_visitor_who_rings_keeps_the_line_and_the_address_is_not_told() {
    let mut sim = Sim::new_held(house(), &["tell"]);
    sim.line("riser", LineSignal::Ring);
    sim.wait(secs(3));
    assert!(
        !sim.asked.contains(&HeldInput::Tell(id("riser"))),
        "{:?}",
        sim.asked
    );
    assert!(sim.log().contains("not told"), "{}", sim.log());
}
