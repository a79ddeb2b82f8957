//! Doors that open longer for some.

use gateway_core::{Command, ReaderCommand};
use gateway_site::{
    Change, Credential, Directory, Group, Person, PinKey, Proof, SiteParams, Validity, When, card_frame,
};
use sim::{Sim, first_door, id, ms, secs};

const ALICE: &str = "26:123,04567";
const BOB: &str = "26:123,04568";

/// Alice's card opens for 9 s; bob is in a group that opens for 12 s, and in one that says nothing.
fn house() -> SiteParams {
    let mut site = first_door();
    site.cards.get_mut(&id("alice")).expect("the card").open_for = Some(secs(9));
    let group = |open_for| Group {
        escort: None,
        doors: [id("front")].into(),
        open_for,
        when: When::Always,
    };
    site.groups = [(id("slow"), group(Some(secs(12)))), (id("staff"), group(None))].into();
    site
}

fn sim() -> Sim {
    let mut sim = Sim::new(house());
    let mut directory = Directory::new(PinKey::new([3; 32]));
    directory.apply(Change::Person(Person {
        blocked: false,
        groups: [id("slow"), id("staff")].into(),
        id: id("bob"),
        valid: Validity::default(),
    }));
    let frame = card_frame(BOB).expect("a good card");
    directory.apply(Change::Credential(Credential {
        doors: [].into(),
        id: id("c-bob"),
        person: Some(id("bob")),
        proof: Proof::Card(gateway_site::CardKey::Bits(frame)),
        uses: None,
        valid: Validity::default(),
        when: When::Always,
    }));
    sim.site.restore_people(directory);
    sim
}

#[test]
fn a_door_opens_longer_for_a_card_and_for_the_people_of_a_group() {
    for (card, long) in [(ALICE, 9), (BOB, 12)] {
        let mut sim = sim();
        sim.card("front-reader", card);
        assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
        assert_eq!(sim.pulses[0].length, secs(long));
        let time = secs(long);
        let shown = sim.readers.last().map(|(_, command)| command);
        assert_eq!(shown, Some(&ReaderCommand::Granted { time }));
        sim.wait(secs(long) - ms(1));
        assert!(sim.is_energised("front-strike"));
        sim.wait(ms(2));
        assert!(!sim.is_energised("front-strike"), "{}", sim.log());
    }
}

#[test]
fn who_needs_more_time_gets_it_after_another_one_and_never_beyond_the_cap() {
    let mut sim = sim();
    sim.command("a", Command::Open { door: id("front") });
    sim.wait(ms(300));
    sim.card("front-reader", ALICE);
    sim.wait(ms(8_900));
    assert!(sim.is_energised("front-strike"), "{}", sim.log());
    sim.wait(ms(200));
    assert!(!sim.is_energised("front-strike"), "{}", sim.log());
    // the other way round the longer one is not shortened
    sim.wait(secs(10));
    sim.card("front-reader", ALICE);
    sim.wait(ms(1_500));
    sim.command("b", Command::Open { door: id("front") });
    sim.wait(ms(7_400));
    assert!(sim.is_energised("front-strike"), "{}", sim.log());
    sim.wait(secs(10));
    // again and again: 25 s from the begin, and not more
    for n in 0..4 {
        sim.card("front-reader", BOB);
        sim.wait(ms(if n < 3 { 7_000 } else { 3_900 }));
        assert!(sim.is_energised("front-strike"), "{n}\n{}", sim.log());
    }
    sim.wait(ms(200));
    assert!(!sim.is_energised("front-strike"), "{}", sim.log());
}

#[test]
fn a_reload_cuts_nobodys_time_short_unless_the_door_opens_for_less() {
    let mut sim = sim();
    sim.card("front-reader", BOB);
    sim.wait(secs(5));
    sim.reload(house());
    sim.wait(secs(6));
    assert!(sim.is_energised("front-strike"), "{}", sim.log());
    sim.wait(secs(2));
    assert!(!sim.is_energised("front-strike"), "{}", sim.log());
    // somebody leaves while it is unlocked already
    sim.wait(secs(10));
    sim.command("a", Command::Open { door: id("front") });
    sim.wait(ms(2_500));
    sim.edge("front-rex", true);
    sim.reload(house());
    sim.wait(ms(2_900));
    assert!(sim.is_energised("front-strike"), "{}", sim.log());
    sim.wait(ms(200));
    assert!(!sim.is_energised("front-strike"), "{}", sim.log());
}
