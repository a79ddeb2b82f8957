//! A command that names the ring of a visitor opens for this visitor, and for nobody who comes later.

use gateway_core::{Command, Refusal, RingId};
use gateway_site::{ButtonMode, Decision};
use sim::{Sim, first_door, id, ms, secs};

/// Opens a door for a visitor; gives the ring under which it stands.
fn open(sim: &mut Sim, command: &str, door: &str, ring: RingId) -> Result<Option<RingId>, Refusal> {
    match sim.command(command, Command::OpenFor { door: id(door), ring }) {
        Decision::Accepted { ring } => Ok(ring),
        Decision::Refused { reason, .. } => Err(reason),
    }
}

#[test]
fn a_command_with_a_ring_opens_for_its_visitor_until_120_seconds_after_the_ring() {
    for (after, opens) in [(0, true), (119, true), (121, false), (86_400, false)] {
        let mut sim = Sim::new(first_door());
        sim.wait(ms(10));
        let ring = sim.press("bell").expect("a ring");
        sim.wait(secs(after));
        let expected = if opens {
            Ok(Some(ring))
        } else {
            Err(Refusal::Stale)
        };
        assert_eq!(
            open(&mut sim, "a", "front", ring),
            expected,
            "{after} s: {}",
            sim.log()
        );
        assert_eq!(sim.pulses.len(), usize::from(opens), "{after} s: {}", sim.log());
    }
}

#[test]
fn the_time_is_the_doors_own_and_counts_while_nobody_looks() {
    let mut site = first_door();
    site.doors.get_mut(&id("front")).expect("front").visitor = secs(10);
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    let ring = sim.press("bell").expect("a ring");
    sim.freeze(secs(11));
    sim.wait(secs(1));
    assert_eq!(
        open(&mut sim, "a", "front", ring),
        Err(Refusal::Stale),
        "{}",
        sim.log()
    );
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn a_ring_of_another_panel_of_nobody_or_of_an_earlier_life_opens_nothing() {
    let mut sim = Sim::new(first_door());
    sim.wait(ms(10));
    let ring = sim.press("bell").expect("a ring");
    assert_eq!(open(&mut sim, "a", "toy", ring), Err(Refusal::Forbidden));
    let nobody = RingId::new(7, [7; 10]);
    assert_eq!(open(&mut sim, "b", "front", nobody), Err(Refusal::Unknown));
    assert_eq!(open(&mut sim, "c", "cellar", ring), Err(Refusal::Unknown));
    sim.restart();
    assert_eq!(open(&mut sim, "d", "front", ring), Err(Refusal::Unknown));
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn the_next_visitor_is_another_one_and_each_is_let_in_under_their_own_ring() {
    let mut sim = Sim::new(first_door());
    sim.wait(ms(10));
    let first = sim.press("bell").expect("a ring");
    // nobody answers, the call ends by itself
    sim.wait(secs(60));
    let second = sim.press("bell").expect("another ring");
    assert_ne!(first, second);
    assert_eq!(open(&mut sim, "a", "front", first), Ok(Some(first)));
    assert_eq!(open(&mut sim, "b", "front", second), Ok(Some(second)));
    // the same command twice is one
    assert_eq!(open(&mut sim, "b", "front", second), Err(Refusal::Duplicate));
    sim.wait(secs(61));
    assert_eq!(open(&mut sim, "c", "front", first), Err(Refusal::Stale));
}

#[test]
fn whom_a_button_let_in_can_be_let_in_once_more_by_that_ring() {
    let mut site = first_door();
    let bell = site
        .panels
        .get_mut(&id("main"))
        .and_then(|panel| panel.buttons.get_mut(&id("bell")));
    bell.expect("the bell").mode = ButtonMode::StrikeList;
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    let ring = sim.press("bell").expect("a ring");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.wait(secs(60));
    assert_eq!(
        open(&mut sim, "a", "front", ring),
        Ok(Some(ring)),
        "{}",
        sim.log()
    );
    sim.wait(secs(61));
    assert_eq!(open(&mut sim, "b", "front", ring), Err(Refusal::Stale));
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
}
