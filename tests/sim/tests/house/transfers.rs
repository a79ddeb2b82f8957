//! Calls that phones hand on: to whom, and who opens then.

use std::time::Duration;

use gateway_core::{Cause, LegCommand, LegEvent, LegId, Peer, RingId};
use gateway_site::{Input, SiteParams, Transfers};
use sim::{Phone, Sim, first_door, id, ms, secs};

/// `1000` has answered the bell.
fn talking(site: SiteParams) -> (Sim, RingId, LegId) {
    let mut sim = Sim::new(site);
    sim.phone("1000", Phone::Answers(Duration::from_secs(2)));
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(3));
    let leg = sim.leg_of("1000");
    (sim, ring, leg)
}

fn asks(sim: &mut Sim, leg: LegId, target: &str) {
    sim.phone(target, Phone::Answers(Duration::from_secs(1)));
    sim.input(Input::Leg(LegEvent::TransferAsked {
        at_pbx: true,
        leg,
        replaces: None,
        target: target.into(),
    }));
    sim.wait(secs(2));
}

fn refused(sim: &Sim) -> usize {
    let refused = |c: &&LegCommand| matches!(c, LegCommand::RefuseTransfer { .. });
    sim.legs.iter().filter(refused).count()
}

#[test]
fn a_listed_phone_gets_the_call_and_opens_and_whoever_gave_it_away_does_not() {
    let (mut sim, ring, leg) = talking(first_door());
    asks(&mut sim, leg, "sip:1001@pbx.example");
    assert_eq!(refused(&sim), 0, "{}", sim.log());
    let heir = sim.leg_of("sip:1001@pbx.example");
    let cause = Cause::Released;
    assert!(
        sim.legs.contains(&LegCommand::End { leg, cause }),
        "{}",
        sim.log()
    );
    assert!(sim.legs.contains(&LegCommand::Connect { leg: heir }));
    sim.digit(leg, '9');
    sim.wait(ms(10));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.digit(heir, '9');
    sim.wait(ms(10));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let story = sim.story(ring);
    assert!(story.iter().any(|kind| kind == "call.transferred"), "{story:?}");
}

#[test]
fn a_number_outside_the_lists_is_not_called_unless_the_panel_says_so_and_opens_nothing_then() {
    for (transfers, called) in [
        (Transfers::Listed, false),
        (Transfers::Refuse, false),
        (Transfers::Any, true),
    ] {
        let mut site = first_door();
        site.panels.get_mut(&id("main")).expect("the panel").transfers = transfers;
        let (mut sim, _, leg) = talking(site);
        asks(&mut sim, leg, "sip:0900123456@pbx.example");
        assert_eq!(
            refused(&sim),
            usize::from(!called),
            "{transfers:?}: {}",
            sim.log()
        );
        if called {
            let heir = sim.leg_of("sip:0900123456@pbx.example");
            sim.digit(heir, '9');
            sim.wait(ms(10));
        }
        assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    }
}

#[test]
fn with_transfers_refused_nobody_gets_the_call_not_even_of_the_list() {
    let mut site = first_door();
    site.panels.get_mut(&id("main")).expect("the panel").transfers = Transfers::Refuse;
    let (mut sim, _, leg) = talking(site);
    asks(&mut sim, leg, "sip:1001@pbx.example");
    assert_eq!(refused(&sim), 1, "{}", sim.log());
    sim.digit(leg, '9');
    sim.wait(ms(10));
    assert_eq!(
        sim.pulses.len(),
        1,
        "whoever has the call still has it: {}",
        sim.log()
    );
}

#[test]
fn who_has_to_confirm_that_he_takes_a_call_is_handed_none() {
    let mut site = first_door();
    for list in site.lists.values_mut() {
        for target in list.targets.iter_mut().filter(|target| target.address == "1001") {
            target.confirm = Some('1');
        }
    }
    let (mut sim, _, leg) = talking(site);
    asks(&mut sim, leg, "sip:1001@pbx.example");
    assert_eq!(refused(&sim), 1, "{}", sim.log());
}

#[test]
fn half_a_code_of_one_is_not_ended_by_another() {
    let mut site = first_door();
    let code = site.codes.get_mut(&id("nine")).expect("the code");
    code.digits = "99".into();
    let (mut sim, _, leg) = talking(site);
    sim.digit(leg, '9');
    asks(&mut sim, leg, "sip:1001@pbx.example");
    let heir = sim.leg_of("sip:1001@pbx.example");
    sim.digit(heir, '9');
    sim.wait(ms(100));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.digit(heir, '9');
    sim.wait(ms(100));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn somebody_who_takes_over_a_call_that_is_over_is_declined() {
    let (mut sim, _, leg) = talking(first_door());
    sim.input(Input::Leg(LegEvent::Ended {
        cause: Cause::Normal,
        leg,
        detail: String::new(),
    }));
    sim.wait(secs(60));
    let new = LegId(1 << 40);
    sim.input(Input::Leg(LegEvent::TakingOver {
        account: Some(id("pbx")),
        leg: new,
        peer: Peer {
            address: "sip:1001@pbx.example".into(),
            foreign: false,
            display: None,
            trusted: true,
            withheld: false,
        },
        replaced: leg,
    }));
    let cause = Cause::Declined;
    assert!(sim.legs.contains(&LegCommand::End { leg: new, cause }));
}

/// `1000`, or somebody else, calls the door and is answered.
fn called(mut site: SiteParams, address: &str, transfers: Transfers) -> (Sim, LegId) {
    site.panels.get_mut(&id("main")).expect("the panel").transfers = transfers;
    let mut sim = Sim::new(site);
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
            withheld: false,
        },
    }));
    sim.wait(secs(1));
    (sim, leg)
}

#[test]
fn a_caller_hands_his_call_to_a_listed_phone_which_opens_then_and_he_does_not() {
    for address in ["sip:1000@pbx.example", "sip:6666@pbx.example"] {
        let (mut sim, leg) = called(first_door(), address, Transfers::Listed);
        asks(&mut sim, leg, "sip:1001@pbx.example");
        assert_eq!(refused(&sim), 0, "{}", sim.log());
        let heir = sim.leg_of("sip:1001@pbx.example");
        let cause = Cause::Released;
        assert!(
            sim.legs.contains(&LegCommand::End { leg, cause }),
            "{}",
            sim.log()
        );
        sim.digit(leg, '9');
        sim.wait(ms(10));
        assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
        let call = &sim.site.view().calls[0];
        assert_eq!(call.parties, ["sip:1001@pbx.example"]);
        sim.digit(heir, '9');
        sim.wait(ms(10));
        assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
        let subject = sim.pulses[0].grant.subject.to_string();
        assert!(subject.contains("1001"), "{subject}");
    }
}

#[test]
fn for_a_caller_strangers_are_called_only_if_the_panel_says_so_and_he_may_open() {
    let (listed, stranger) = ("sip:1000@pbx.example", "sip:6666@pbx.example");
    for (address, transfers, target, is_called) in [
        (listed, Transfers::Any, "sip:0900123456@pbx.example", true),
        (stranger, Transfers::Any, "sip:0900123456@pbx.example", false),
        (listed, Transfers::Listed, "sip:0900123456@pbx.example", false),
        (listed, Transfers::Refuse, "sip:1001@pbx.example", false),
        (stranger, Transfers::Any, "sip:1001@pbx.example", true),
    ] {
        let (mut sim, leg) = called(first_door(), address, transfers);
        asks(&mut sim, leg, target);
        let expected = usize::from(!is_called);
        assert_eq!(
            refused(&sim),
            expected,
            "{address} {transfers:?} {target}: {}",
            sim.log()
        );
    }
}

#[test]
fn what_a_caller_began_to_dial_is_ended_by_nobody_else_and_a_new_file_counts_for_who_has_his_call() {
    let mut site = first_door();
    site.codes.get_mut(&id("nine")).expect("the code").digits = "99".into();
    let (mut sim, leg) = called(site.clone(), "sip:1000@pbx.example", Transfers::Listed);
    sim.digit(leg, '9');
    asks(&mut sim, leg, "sip:1001@pbx.example");
    let heir = sim.leg_of("sip:1001@pbx.example");
    sim.digit(heir, '9');
    sim.wait(ms(100));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    // whoever has it now is taken off the list: the second of two keys counts no more
    for list in site.lists.values_mut() {
        list.targets.retain(|target| target.address != "1001");
    }
    for door in site.doors.values_mut() {
        door.callers.retain(|caller| caller.address != "1001");
    }
    sim.reload(site);
    for _ in 0..2 {
        sim.digit(heir, '9');
        sim.wait(ms(100));
    }
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}
