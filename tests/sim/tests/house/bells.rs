//! Lines that say whom their panel rings: apartments that are served have their own numbers, others leave no trace.

use gateway_core::{Bell, LegCommand, LineSignal};
use gateway_site::{ButtonParams, SiteParams};
use sim::{Sim, first_door, id, ms};

/// The panel serves apartments 12 and 13 and the bell at the door of one of them, beside its button.
fn house() -> SiteParams {
    let mut site = first_door();
    let reception = site.lists[&id("reception")].clone();
    let panel = site.panels.get_mut(&id("main")).expect("the panel");
    for (button, bell, address) in [
        ("apartment-12", Bell::Apartment(12), "5012"),
        ("apartment-13", Bell::Apartment(13), "5013"),
        ("floor", Bell::Floor, "5099"),
    ] {
        let mut list = reception.clone();
        list.targets.truncate(1);
        list.targets[0].address = address.to_owned();
        site.lists.insert(id(button), list);
        let params = ButtonParams {
            bell: Some(bell),
            ..ButtonParams::calling(id(button), button)
        };
        panel.buttons.insert(id(button), params);
    }
    site
}

fn called(sim: &Sim) -> Vec<String> {
    let mut called = Vec::new();
    for leg in &sim.legs {
        if let LegCommand::Offer { target, .. } = leg {
            called.push(target.clone());
        }
    }
    called
}

#[test]
fn a_bell_calls_the_number_of_its_apartment() {
    for (bell, number) in [
        (Bell::Apartment(12), "5012"),
        (Bell::Apartment(13), "5013"),
        (Bell::Floor, "5099"),
    ] {
        let mut sim = Sim::new(house());
        sim.wait(ms(10));
        sim.line("riser", LineSignal::RingFor(bell));
        let called = called(&sim);
        assert!(
            called.len() == 1 && called[0].contains(number),
            "{called:?}\n{}",
            sim.log()
        );
        // within its ring another press belongs to it
        sim.line("riser", LineSignal::RingFor(Bell::Apartment(12)));
        assert_eq!(self::called(&sim).len(), 1, "{}", sim.log());
    }
}

#[test]
fn a_bell_of_somebody_who_is_not_served_is_no_ring() {
    let mut sim = Sim::new(house());
    sim.wait(ms(10));
    sim.line("riser", LineSignal::RingFor(Bell::Apartment(14)));
    assert!(called(&sim).is_empty(), "{}", sim.log());
    assert!(
        !sim.kinds().iter().any(|kind| kind == "panel.ring"),
        "{}",
        sim.log()
    );
    // and the line is free for the next one
    sim.line("riser", LineSignal::RingFor(Bell::Apartment(12)));
    assert_eq!(called(&sim).len(), 1, "{}", sim.log());
}

#[test]
fn a_line_that_does_not_say_whom_rings_the_button() {
    let mut sim = Sim::new(house());
    sim.wait(ms(10));
    sim.line("riser", LineSignal::Ring);
    let called = called(&sim);
    assert!(called.len() == 1 && called[0].contains("1000"), "{called:?}");
}
