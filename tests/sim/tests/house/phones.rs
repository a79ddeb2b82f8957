//! Telephones of people, and the PINs that are dialled after them.

use gateway_access::CallerPattern;
use gateway_core::{Cause, LegEvent, LegId, Peer, Quality, Secret};
use gateway_site::{
    Change, Credential, Directory, DoorParams, Input, OutputParams, PinKey, Proof, SiteParams, Validity, When,
};
use sim::{Sim, first_door, id, ms, secs, three_phones};

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
            foreign: false,
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

/// Somebody calls the panel whose number the network tells in confidence.
fn calls_in_confidence(sim: &mut Sim, address: &str) -> LegId {
    let leg = LegId(1 << 40);
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: Some(id("pbx")),
        leg,
        panel: id("main"),
        peer: Peer {
            address: address.into(),
            foreign: false,
            display: None,
            trusted: true,
            withheld: true,
        },
    }));
    sim.wait(secs(1));
    leg
}

#[test]
fn who_withholds_his_number_opens_by_it_and_no_record_nor_the_picture_shows_it() {
    let mut sim = Sim::new(first_door());
    let leg = calls_in_confidence(&mut sim, "sip:1000@pbx.example");
    let shown = format!("{:?}", sim.site.view().calls);
    assert!(shown.contains("anonymous") && !shown.contains("1000"), "{shown}");
    sim.digit(leg, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    for (kind, field) in [
        ("call.incoming", "peer"),
        ("call.answered", "peer"),
        ("door.granted", "subject"),
    ] {
        let told = sim.told(kind, field);
        assert!(
            !told.is_empty() && told.iter().all(|told| told.contains("anonymous")),
            "{kind}: {told:?}"
        );
    }
    // somebody unknown stays unknown, and counts for himself
    let mut sim = Sim::new(first_door());
    let leg = calls_in_confidence(&mut sim, "sip:6666@pbx.example");
    sim.digit(leg, '9');
    assert!(
        sim.pulses.is_empty() && !sim.log().contains("6666"),
        "{}",
        sim.log()
    );
}

#[test]
fn how_the_speech_of_a_leg_came_is_on_record_with_its_call_though_that_is_over() {
    let mut sim = Sim::new(first_door());
    let leg = calls_in_confidence(&mut sim, "sip:1000@pbx.example");
    let quality = Quality {
        jitter_us: 900,
        lost: 3,
        received: 500,
        ..Quality::default()
    };
    let told = |sim: &mut Sim, leg| {
        sim.input(Input::Quality { leg, quality });
        sim.told("call.media", "lost")
    };
    assert!(told(&mut sim, leg).is_empty(), "it is not over yet");
    let cause = Cause::Normal;
    let detail = String::new();
    sim.input(Input::Leg(LegEvent::Ended { cause, leg, detail }));
    sim.wait(secs(60));
    assert_eq!(told(&mut sim, leg), ["3"], "{}", sim.log());
    assert_eq!(told(&mut sim, leg), ["3"], "once");
    assert_eq!(told(&mut sim, LegId(77)), ["3"], "of a leg that nobody knows");
}

#[test]
fn strangers_are_on_record_as_they_are_told() {
    let mut sim = Sim::new(first_door());
    for (count, source) in [(1, Some([192, 0, 2, 9].into())), (4_000, None)] {
        let method = "REGISTER".to_owned();
        sim.input(Input::Stranger {
            count,
            method,
            source,
        });
    }
    assert_eq!(sim.told("gateway.stranger", "from"), ["192.0.2.9", "others"]);
    assert_eq!(sim.told("gateway.stranger", "times"), ["1", "4000"]);
}

#[test]
fn one_phone_of_the_house_that_withholds_its_number_and_guesses_does_not_lock_out_another_that_does() {
    let mut sim = Sim::new(three_phones());
    let answers = |sim: &mut Sim, target: &str| {
        sim.press("bell");
        sim.wait(secs(1));
        let leg = sim.leg_of(target);
        sim.input(Input::Leg(LegEvent::Answered {
            leg,
            peer: Peer {
                address: format!("sip:{target}@pbx.example"),
                foreign: false,
                display: None,
                trusted: true,
                withheld: true,
            },
        }));
        leg
    };
    let leg = answers(&mut sim, "1000");
    for _ in 0..6 {
        sim.digit(leg, '5');
        sim.wait(secs(4));
    }
    assert_eq!(sim.told("door.locked-out", "locks"), ["caller"], "{}", sim.log());
    let (cause, detail) = (Cause::Normal, String::new());
    sim.input(Input::Leg(LegEvent::Ended { cause, leg, detail }));
    let leg = answers(&mut sim, "1001");
    sim.digit(leg, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert!(!sim.log().contains("sip:100"), "{}", sim.log());
}
