//! Telephones of people, and the PINs that are dialled after them.

use gateway_access::CallerPattern;
use gateway_core::{LegEvent, LegId, Peer, Secret};
use gateway_site::{
    Change, Credential, Directory, DoorParams, Input, OutputParams, PinKey, Proof, SiteParams, Validity, When,
};
use sim::{Sim, first_door, id, ms, secs};

/// The panel serves the first door and a garage; Alice may open the garage alone, by her telephone and PIN.
fn house() -> SiteParams {
    let mut site = first_door();
    let garage = DoorParams {
        contact: None,
        output: Some(id("garage-strike")),
        readers: Vec::new(),
        rex: Vec::new(),
        tamper: None,
        ..site.doors[&id("front")].clone()
    };
    site.doors.insert(id("garage"), garage);
    site.outputs
        .insert(id("garage-strike"), OutputParams { simulated: false });
    site.panels.get_mut(&id("main")).expect("the panel").doors = vec![id("front"), id("garage")];
    site
}

fn sim(doors: &[&str]) -> Sim {
    let key = PinKey::new([3; 32]);
    let credential = |name: &str, proof| Credential {
        doors: doors.iter().map(|door| id(door)).collect(),
        id: id(name),
        person: Some(id("alice")),
        proof,
        uses: None,
        valid: Validity::default(),
        when: When::Always,
    };
    let number = CallerPattern::parse("1007").expect("a number");
    let phone = Proof::Phone {
        needs_pin: true,
        number,
    };
    let pin = Proof::Pin(key.pin(&id("alice"), &Secret::new("4711")));
    let mut directory = Directory::new(key);
    directory.apply(Change::Person(gateway_access::Person {
        blocked: false,
        groups: [].into(),
        id: id("alice"),
        valid: Validity::default(),
    }));
    for (name, proof) in [("c-phone", phone), ("c-pin", pin)] {
        directory.apply(Change::Credential(credential(name, proof)));
    }
    let mut sim = Sim::new(house());
    sim.site.restore_people(directory);
    sim
}

fn dials(sim: &mut Sim, digits: &str) {
    let leg = LegId(1 << 40);
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: Some(id("pbx")),
        leg,
        panel: id("main"),
        peer: Peer {
            address: "sip:1007@pbx.example".into(),
            display: None,
            trusted: true,
            withheld: false,
        },
    }));
    sim.wait(secs(1));
    for digit in digits.chars() {
        sim.digit(leg, digit);
        sim.wait(ms(300));
    }
    sim.wait(secs(5));
}

fn opened(sim: &Sim) -> Vec<String> {
    sim.pulses
        .iter()
        .map(|pulse| pulse.grant.door.to_string())
        .collect()
}

#[test]
fn telephone_and_pin_open_the_door_of_the_panel_that_they_may_open() {
    for (doors, expected) in [
        (&["garage"][..], "garage"),
        (&["front"][..], "front"),
        (&["front", "garage"][..], "front"),
    ] {
        let mut sim = sim(doors);
        dials(&mut sim, "4711");
        assert_eq!(opened(&sim), [expected], "{}", sim.log());
    }
}

#[test]
fn a_wrong_pin_opens_none_of_them() {
    let mut sim = sim(&["garage"]);
    dials(&mut sim, "4712#");
    assert_eq!(opened(&sim), Vec::<String>::new(), "{}", sim.log());
}
