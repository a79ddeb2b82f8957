//! Targets that name somebody: who is rung, and who may open.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_site::{Contact, Contacts, Input, SiteParams};
use sim::{Phone, Sim, first_door, id, secs};

/// The first door, whose list names Alice, and then nobody that there is.
fn site() -> SiteParams {
    let mut site = first_door();
    let list = site.lists.get_mut(&id("reception")).expect("the list");
    for (target, name) in list.targets.iter_mut().zip(["Alice", "Nobody"]) {
        target.address = String::new();
        target.contact = Some(name.to_owned());
    }
    site
}

fn alice(address: &str, vouched: bool) -> Input {
    let contact = Contact {
        account: None,
        address: address.to_owned(),
        direct: address.contains('@'),
        vouched,
    };
    Input::Contacts(Arc::new(Contacts::new(BTreeMap::from([(
        "Alice".to_owned(),
        contact,
    )]))))
}

/// Rings, has the phone answer, and presses 9; how many pulses there were.
fn nine(sim: &mut Sim, address: &str) -> usize {
    sim.phone(address, Phone::Answers(secs(1)));
    sim.press("bell").expect("a ring began");
    sim.wait(secs(3));
    let leg = sim.leg_of(address);
    sim.digit(leg, '9');
    sim.wait(secs(5));
    sim.pulses.len()
}

#[test]
fn whom_the_directory_alone_knows_is_rung_and_opens_nothing() {
    for address in ["1000", "sip:1000@192.0.2.66"] {
        let mut sim = Sim::new(site());
        sim.input(alice(address, false));
        assert_eq!(nine(&mut sim, address), 0, "{}", sim.log());
        assert_eq!(sim.ignored_digits(), ["unlisted"], "{}", sim.log());
    }
}

#[test]
fn a_contact_that_is_vouched_for_opens_as_any_target() {
    let mut sim = Sim::new(site());
    sim.input(alice("1000", true));
    assert_eq!(nine(&mut sim, "1000"), 1, "{}", sim.log());
}

#[test]
fn a_name_that_nobody_has_rings_nobody() {
    let mut sim = Sim::new(site());
    assert!(sim.press("bell").is_some(), "the ring is there");
    sim.wait(secs(2));
    assert!(
        !sim.kinds().contains(&"call.leg-offered".to_owned()),
        "{}",
        sim.log()
    );
    assert!(
        sim.kinds().contains(&"panel.ring-ended".to_owned()),
        "{}",
        sim.log()
    );
    assert!(sim.pulses.is_empty());
}
