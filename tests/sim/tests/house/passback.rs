//! Anti-passback in the whole gateway: who is in an area does not come in again.

use gateway_core::{Command, Factor};
use gateway_site::{Area, CardParams, Input, Passback, ReaderParams, SiteParams, When, card_frame};
use sim::{Sim, first_door, id, ms, secs};

const ALICE: &str = "26:123,04567";
const BOB: &str = "26:123,04568";

/// The front door with a reader outside and one inside; the time-out is an hour.
fn house(passback: Passback) -> SiteParams {
    let mut site = first_door();
    let outside = site.readers.get_mut(&id("front-reader")).expect("the reader");
    outside.into = Some(id("house"));
    let inside = ReaderParams {
        card_alone: When::Always,
        into: None,
        out_of: Some(id("house")),
        simulated: false,
    };
    site.readers.insert(id("inside"), inside);
    let front = site.doors.get_mut(&id("front")).expect("the door");
    front.readers.push(id("inside"));
    let bob = CardParams {
        frame: card_frame(BOB).expect("a good card"),
        person: Some(id("bob")),
        ..site.cards.get(&id("alice")).expect("the card").clone()
    };
    site.cards.insert(id("bob"), bob);
    let area = Area {
        passback,
        time_out: secs(3600),
    };
    site.areas = [(id("house"), area)].into();
    site
}

/// Shows a card, and waits until whatever opens has opened and is shut again.
fn show(sim: &mut Sim, reader: &str, card: &str) -> bool {
    let before = sim.pulses.len();
    sim.card(reader, card);
    sim.wait(secs(10));
    sim.pulses.len() > before
}

#[test]
fn who_is_inside_does_not_come_in_again_before_they_left() {
    let mut sim = Sim::new(house(Passback::Hard));
    assert!(show(&mut sim, "front-reader", ALICE));
    assert!(!show(&mut sim, "front-reader", ALICE));
    assert_eq!(
        sim.denials(),
        ["anti-passback: in area house already, and did not leave it"]
    );
    assert!(show(&mut sim, "front-reader", BOB), "another one\n{}", sim.log());
    assert!(show(&mut sim, "inside", ALICE));
    // who leaves is never refused for it
    assert!(show(&mut sim, "inside", ALICE), "{}", sim.log());
    assert!(show(&mut sim, "front-reader", ALICE), "{}", sim.log());
}

#[test]
fn a_position_is_on_the_medium_before_the_door_opens_and_outlives_a_restart() {
    let mut sim = Sim::new(house(Passback::Hard));
    sim.medium = Some(ms(40));
    sim.card("front-reader", ALICE);
    sim.wait(ms(39));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.places.len(), 1);
    sim.wait(ms(2));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.restart();
    assert!(!show(&mut sim, "front-reader", ALICE), "{}", sim.log());
    assert!(show(&mut sim, "inside", ALICE), "{}", sim.log());
    sim.restart();
    assert!(show(&mut sim, "front-reader", ALICE), "{}", sim.log());
}

#[test]
fn who_did_not_come_in_after_all_is_where_they_were() {
    let mut sim = Sim::new(house(Passback::Hard));
    sim.medium = None;
    assert!(!show(&mut sim, "front-reader", ALICE), "the disk hangs");
    sim.medium = Some(ms(5));
    assert!(show(&mut sim, "front-reader", ALICE), "{}", sim.log());
    // the same when the gateway stood still meanwhile
    let mut sim = Sim::new(house(Passback::Hard));
    sim.wait(secs(1));
    sim.medium = Some(ms(100));
    sim.card("front-reader", ALICE);
    sim.freeze(ms(800));
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert!(show(&mut sim, "front-reader", ALICE), "{}", sim.log());
}

#[test]
fn without_a_journal_nobody_comes_into_a_hard_area_and_everybody_leaves_it() {
    let mut sim = Sim::new(house(Passback::Hard));
    assert!(show(&mut sim, "front-reader", ALICE));
    let text = "disk full".to_owned();
    sim.input(Input::Journal { ok: false, text });
    assert!(!show(&mut sim, "front-reader", BOB));
    assert!(show(&mut sim, "inside", ALICE), "{}", sim.log());
    sim.edge("front-rex", true);
    assert_eq!(sim.pulses.last().map(|p| p.grant.factor), Some(Factor::Rex));
}

#[test]
fn soft_lets_in_and_tells() {
    let mut sim = Sim::new(house(Passback::Soft));
    let told = |sim: &Sim| sim.kinds().iter().filter(|k| *k == "door.passback").count();
    assert!(show(&mut sim, "front-reader", ALICE));
    assert_eq!(told(&sim), 0);
    assert!(show(&mut sim, "front-reader", ALICE));
    assert_eq!(told(&sim), 1, "{}", sim.log());
    assert!(show(&mut sim, "inside", ALICE));
    assert!(show(&mut sim, "front-reader", ALICE));
    assert_eq!(told(&sim), 1, "{}", sim.log());
}

#[test]
fn a_position_ends_by_its_time_or_a_reset_and_counts_on_while_the_clock_is_doubted() {
    let mut sim = Sim::new(house(Passback::Hard));
    assert!(show(&mut sim, "front-reader", ALICE));
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
    sim.wait(secs(4000));
    assert!(!show(&mut sim, "front-reader", ALICE), "{}", sim.log());
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: true,
    });
    assert!(show(&mut sim, "front-reader", ALICE), "{}", sim.log());
    assert!(show(&mut sim, "front-reader", BOB));
    let person = Some(id("alice"));
    sim.command("a", Command::ResetPassback { person });
    assert!(!show(&mut sim, "front-reader", BOB));
    assert!(show(&mut sim, "front-reader", ALICE), "{}", sim.log());
    let reply = sim.command(
        "n",
        Command::ResetPassback {
            person: Some(id("nobody")),
        },
    );
    assert!(format!("{reply:?}").contains("Unknown"), "{reply:?}");
    sim.command("b", Command::ResetPassback { person: None });
    assert!(sim.places.iter().all(|place| place.area.is_none()));
    assert!(show(&mut sim, "front-reader", BOB), "{}", sim.log());
}
