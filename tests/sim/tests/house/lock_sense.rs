//! A lock that the panel owns, with a sense across its strike.

use gateway_core::{ContactState, LockState};
use gateway_site::{InputParams, LockOwner, SiteParams};
use sim::{Sim, first_door, id, ms, secs};

fn house() -> SiteParams {
    let mut site = first_door();
    let sense = InputParams {
        debounce: ms(0),
        simulated: false,
    };
    site.inputs.insert(id("front-sense"), sense);
    let front = site.doors.get_mut(&id("front")).expect("there");
    (front.owner, front.lock_sense) = (LockOwner::Panel, Some(id("front-sense")));
    site
}

/// Kinds of what is recorded of the door from there on.
fn door_kinds(sim: &mut Sim, then: impl FnOnce(&mut Sim)) -> Vec<String> {
    let before = sim.kinds().len();
    then(sim);
    let all = sim.kinds().split_off(before);
    all.into_iter().filter(|kind| kind.starts_with("door.")).collect()
}

#[test]
fn what_the_panel_opens_for_others_is_told_and_never_forced() {
    let mut sim = Sim::new(house());
    for input in ["front-sense", "front-contact"] {
        let at = sim.now();
        sim.edge_at(at, &id(input), false, true);
    }
    let said = door_kinds(&mut sim, |sim| {
        sim.edge("front-sense", true);
        sim.wait(ms(500));
        sim.edge("front-contact", true);
    });
    assert_eq!(said, ["door.opened-by-panel", "door.opened"], "{}", sim.log());
    let lock = |sim: &Sim| {
        let view = sim.site.view();
        let door = view
            .doors
            .iter()
            .find(|door| door.id == id("front"))
            .expect("there");
        (door.lock, door.contact)
    };
    assert_eq!(lock(&sim), (LockState::Unlocked, ContactState::Open));
    sim.edge("front-contact", false);
    sim.edge("front-sense", false);
    assert_eq!(lock(&sim), (LockState::Locked, ContactState::Closed));

    let stuck = door_kinds(&mut sim, |sim| {
        sim.edge("front-sense", true);
        sim.wait(secs(601));
        sim.wait(secs(601));
    });
    assert_eq!(stuck, ["door.opened-by-panel", "door.lock-fault"], "once");
}

#[test]
fn a_press_of_ours_that_the_lock_follows_is_no_opening_by_the_panel_and_one_that_it_does_not_is_a_fault() {
    let mut sim = Sim::new(house());
    let at = sim.now();
    sim.edge_at(at, &id("front-sense"), false, true);
    let said = door_kinds(&mut sim, |sim| {
        sim.card("front-reader", "26:123,04567");
        sim.edge("front-sense", true);
        sim.wait(secs(2));
        sim.edge("front-sense", false);
        sim.wait(secs(30));
    });
    assert_eq!(
        said,
        ["door.granted", "door.unlocked", "door.relocked"],
        "{}",
        sim.log()
    );
    let said = door_kinds(&mut sim, |sim| {
        sim.card("front-reader", "26:123,04567");
        sim.wait(secs(30));
    });
    let expected = [
        "door.granted",
        "door.unlocked",
        "door.relocked",
        "door.lock-fault",
    ];
    assert_eq!(said, expected, "{}", sim.log());
}
