//! A door that wants two persons, in the whole gateway.

use gateway_core::{Command, ReaderCommand, Refusal};
use gateway_site::{CardParams, Decision, SiteParams, When, card_frame};
use sim::{Sim, first_door, id, ms, secs};

const ALICE: &str = "26:123,04567";
const BOB: &str = "26:123,04568";
const SPARE: &str = "26:123,04569";

fn vault() -> SiteParams {
    let mut site = first_door();
    let front = site.doors.get_mut(&id("front")).expect("the door");
    front.two_persons = When::Always;
    front.second_within = secs(20);
    let alice = site.cards.get(&id("alice")).expect("the card").clone();
    for (name, card, person) in [("bob", BOB, Some(id("bob"))), ("spare", SPARE, None)] {
        let params = CardParams {
            frame: card_frame(card).expect("a good card"),
            person,
            ..alice.clone()
        };
        site.cards.insert(id(name), params);
    }
    site
}

fn shown(sim: &Sim) -> Option<&ReaderCommand> {
    sim.readers.last().map(|(_, command)| command)
}

#[test]
fn the_first_waits_and_the_second_opens() {
    let mut sim = Sim::new(vault());
    sim.card("front-reader", ALICE);
    sim.wait(secs(1));
    sim.card("front-reader", ALICE);
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(shown(&sim), Some(&ReaderCommand::WaitPin));
    let awaited = sim.kinds().iter().filter(|k| *k == "door.second-awaited").count();
    assert_eq!(awaited, 2, "{}", sim.log());
    sim.card("front-reader", SPARE);
    assert_eq!(shown(&sim), Some(&ReaderCommand::Denied));
    sim.wait(secs(10));
    sim.card("front-reader", BOB);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert_eq!(sim.denials().len(), 1, "{}", sim.log());
    // both are used up: the next two begin anew
    sim.wait(secs(5));
    sim.card("front-reader", BOB);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_second_who_comes_late_after_a_gap_a_reload_or_a_lockdown_is_a_first() {
    let ways: [fn(&mut Sim); 4] = [
        |sim| sim.wait(secs(20)),
        |sim| sim.freeze(ms(800)),
        |sim| {
            sim.reload(vault());
        },
        |sim| {
            sim.command("l", Command::Lockdown { group: None });
            sim.command("e", Command::EndLockdown { group: None });
        },
    ];
    for (n, way) in ways.iter().enumerate() {
        let mut sim = Sim::new(vault());
        sim.wait(secs(1));
        sim.card("front-reader", ALICE);
        way(&mut sim);
        sim.wait(ms(300));
        sim.card("front-reader", BOB);
        assert_eq!(sim.pulses.len(), 0, "way {n}\n{}", sim.log());
        sim.card("front-reader", ALICE);
        assert_eq!(sim.pulses.len(), 1, "way {n}\n{}", sim.log());
    }
}

#[test]
fn a_command_opens_no_door_that_wants_two_and_an_exit_does() {
    let mut sim = Sim::new(vault());
    let decision = sim.command("a", Command::Open { door: id("front") });
    assert!(
        matches!(&decision, Decision::Refused { reason: Refusal::Forbidden, text } if text.starts_with("two persons")),
        "{decision:?}"
    );
    sim.card("front-reader", ALICE);
    let decision = sim.command("b", Command::Open { door: id("front") });
    assert!(matches!(decision, Decision::Refused { .. }), "{decision:?}");
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.edge("front-rex", true);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}
