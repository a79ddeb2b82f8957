//! Nobody answers, and the visitor presses again.

use gateway_core::{Event, LegCommand, PanelEvent};
use gateway_site::SiteParams;
use sim::{Phone, Sim, first_door, id, ms, secs};

/// The first door, whose list (1000, 1001) is called twice.
fn house(next: bool, hangs_up: bool) -> SiteParams {
    let mut site = first_door();
    let list = site.lists.get_mut(&id("reception")).expect("the list");
    (list.rounds, list.again) = (2, secs(15));
    let panel = site.panels.get_mut(&id("main")).expect("the panel");
    let bell = panel.buttons.get_mut(&id("bell")).expect("the bell");
    (bell.again_next, bell.hangs_up) = (next, hangs_up);
    site
}

fn called(sim: &Sim) -> Vec<&str> {
    let offers = sim.legs.iter().filter_map(|leg| {
        if let LegCommand::Offer { target, .. } = leg {
            Some(target.as_str())
        } else {
            None
        }
    });
    offers.collect()
}

/// What presses meant after the first one.
fn meant(sim: &Sim) -> Vec<&str> {
    let presses = sim.records.iter().filter_map(|e| {
        if let Event::Panel(_, PanelEvent::PressedAgain { means: text, .. })
        | Event::Panel(_, PanelEvent::PressIgnored { reason: text, .. }) = &e.event
        {
            Some(text.as_str())
        } else {
            None
        }
    });
    presses.collect()
}

#[test]
fn the_list_is_called_anew_under_the_same_ring_and_whoever_answers_then_opens() {
    let mut sim = Sim::new(house(false, false));
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(50));
    assert_eq!(called(&sim), ["1000", "1001"], "{}", sim.log());
    sim.phone("1000", Phone::Answers(secs(2)));
    sim.wait(secs(10));
    assert_eq!(called(&sim), ["1000", "1001", "1000"], "{}", sim.log());
    sim.digit(sim.leg_of("1000"), '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert_eq!(sim.pulses[0].grant.ring, Some(ring));
    let rings = sim.kinds().iter().filter(|kind| *kind == "panel.ring").count();
    assert_eq!(rings, 1);
}

#[test]
fn after_the_last_round_it_is_over() {
    let mut sim = Sim::new(house(false, false));
    sim.press("bell");
    sim.wait(secs(100));
    assert_eq!(called(&sim), ["1000", "1001", "1000", "1001"], "{}", sim.log());
    assert_eq!(sim.told("panel.ring-ended", "outcome"), ["no-answer"]);
    // and who presses then begins another ring
    assert!(sim.press("bell").is_some());
}

#[test]
fn a_press_joins_the_ring_unless_the_button_says_more() {
    let mut sim = Sim::new(house(false, false));
    sim.phone("1001", Phone::Answers(secs(3)));
    sim.press("bell");
    sim.wait(secs(5));
    assert_eq!(sim.press("bell"), None);
    sim.wait(secs(25));
    sim.press("bell");
    assert_eq!(meant(&sim), ["joined", "joined"], "{}", sim.log());
    assert_eq!(sim.site.view().calls.len(), 1);
}

#[test]
fn a_press_calls_the_next_and_in_a_talk_ends_it() {
    let mut sim = Sim::new(house(true, true));
    sim.phone("1001", Phone::Answers(secs(3)));
    sim.press("bell");
    sim.wait(secs(5));
    sim.press("bell");
    assert_eq!(called(&sim), ["1000", "1001"], "{}", sim.log());
    sim.wait(secs(4));
    assert!(
        sim.site.view().calls.iter().any(|call| call.state == "talking"),
        "{}",
        sim.log()
    );
    sim.press("bell");
    sim.wait(ms(100));
    assert_eq!(meant(&sim), ["next", "hang-up"], "{}", sim.log());
    assert!(sim.site.view().calls.is_empty(), "{}", sim.log());
    assert_eq!(sim.told("panel.ring-ended", "outcome"), ["answered"]);
}

#[test]
fn a_press_between_two_rounds_begins_the_next_at_once() {
    let mut sim = Sim::new(house(false, false));
    sim.press("bell");
    sim.wait(secs(42));
    sim.press("bell");
    assert_eq!(meant(&sim), ["again"], "{}", sim.log());
    assert_eq!(called(&sim), ["1000", "1001", "1000"], "{}", sim.log());
}
