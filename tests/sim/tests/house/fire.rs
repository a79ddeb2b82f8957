//! The fire alarm of a site: raised by its input, reset by somebody.

use gateway_core::{Command, Event, Factor, GatewayEvent, Refusal};
use gateway_site::{Decision, Duty, LockKind, SiteParams};
use sim::{Sim, first_door, id, ms, secs};

/// `front` is made for continuous duty.
fn house() -> SiteParams {
    let mut site = first_door();
    site.doors.get_mut(&id("front")).expect("a door").duty = Duty::Continuous;
    site
}

fn reset(sim: &mut Sim, n: &str) -> Option<Refusal> {
    match sim.command(n, Command::ResetFire) {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, .. } => Some(reason),
    }
}

/// What the journal has of the alarm.
fn told(sim: &Sim) -> Vec<String> {
    let records = sim.records.iter();
    let of_fire = records.filter_map(|record| {
        if let Event::Gateway(GatewayEvent::Fire { active }) = &record.event {
            Some(format!("input {active}"))
        } else if let Event::Gateway(GatewayEvent::FireAlarm { active, subject }) = &record.event {
            Some(format!("alarm {active} {subject}"))
        } else {
            None
        }
    });
    of_fire.collect()
}

fn burns(sim: &mut Sim) -> bool {
    sim.wait(ms(1));
    sim.is_energised("front-strike")
}

#[test]
fn doors_of_ours_open_at_once_and_until_somebody_resets_the_alarm() {
    let mut sim = Sim::new(house());
    sim.edge("fire", true);
    let opened: Vec<_> = sim.pulses.iter().map(|p| p.grant.door.to_string()).collect();
    assert_eq!(opened, ["front", "toy"]);
    assert!(sim.pulses.iter().all(|p| p.grant.factor == Factor::Fire));
    assert_eq!(reset(&mut sim, "a"), Some(Refusal::Fire));
    sim.edge("fire", false);
    sim.wait(secs(3600));
    assert!(burns(&mut sim), "{}", sim.log());
    let toy = sim
        .pulses
        .iter()
        .filter(|p| p.grant.door.as_str() == "toy")
        .count();
    assert!(
        toy > 400,
        "{toy}: a coil of pulse duty is energised again and again"
    );
    // a second alarm is the same one
    sim.edge("fire", true);
    sim.edge("fire", false);
    assert_eq!(reset(&mut sim, "b"), None);
    assert!(!burns(&mut sim));
    let pulses = sim.pulses.len();
    sim.wait(secs(3600));
    assert_eq!(sim.pulses.len(), pulses);
    assert_eq!(reset(&mut sim, "c"), None, "there is nothing to reset");
    let all = [
        "input true",
        "alarm true input:fire",
        "input false",
        "input true",
        "input false",
        "alarm false integration:ha",
    ];
    assert_eq!(told(&sim), all);
}

#[test]
fn neither_a_lockdown_nor_a_reload_nor_a_restart_shuts_a_door_that_burns() {
    let mut sim = Sim::new(house());
    sim.edge("fire", true);
    sim.edge("fire", false);
    sim.command("a", Command::Lockdown { group: None });
    assert!(burns(&mut sim), "{}", sim.log());
    let mut longer = house();
    longer.doors.get_mut(&id("front")).expect("a door").strike = secs(9);
    sim.reload(longer);
    assert!(burns(&mut sim), "{}", sim.log());
    // a file without the input ends no alarm either
    let mut without = house();
    without.fire_input = None;
    sim.reload(without);
    assert!(burns(&mut sim), "{}", sim.log());
    sim.restart();
    assert!(burns(&mut sim), "{}", sim.log());
    assert!(sim.site.view().fire.is_some_and(|fire| fire.alarm));
    sim.wait(secs(10));
    assert_eq!(reset(&mut sim, "b"), None);
    assert!(!burns(&mut sim));
    sim.restart();
    assert!(!burns(&mut sim), "{}", sim.log());
}

#[test]
fn a_door_that_the_file_brings_opens_as_it_comes_and_one_that_it_takes_shuts() {
    let mut sim = Sim::new(house());
    let whole = house();
    let mut part = house();
    part.doors.remove(&id("front"));
    for panel in part.panels.values_mut() {
        panel.doors.retain(|door| door.as_str() != "front");
    }
    sim.reload(part.clone());
    sim.edge("fire", true);
    assert!(!burns(&mut sim));
    sim.reload(whole);
    assert!(burns(&mut sim), "{}", sim.log());
    sim.reload(part);
    assert!(!burns(&mut sim), "{}", sim.log());
}

#[test]
fn active_at_the_first_reading_it_is_told_and_opens_nothing() {
    let mut sim = Sim::new(house());
    sim.edge_at(sim.now(), &id("fire"), true, true);
    sim.wait(secs(10));
    assert!(sim.pulses.is_empty());
    assert_eq!(told(&sim), ["input true"]);
}

#[test]
fn an_input_that_nobody_reads_is_no_reason_to_believe_that_the_fire_is_over() {
    let mut sim = Sim::new(house());
    sim.edge("fire", true);
    sim.edge("fire", false);
    sim.signal(sim.now(), false, gateway_core::SignalKind::Unread(id("fire")));
    assert_eq!(reset(&mut sim, "a"), Some(Refusal::Fire));
    sim.edge_at(sim.now(), &id("fire"), false, true);
    assert_eq!(reset(&mut sim, "b"), None);
}

#[test]
fn a_guard_that_comes_late_or_again_opens_whatever_the_input_does_meanwhile() {
    for still in [true, false] {
        let mut sim = Sim::new(house());
        sim.guard_goes();
        sim.edge("fire", true);
        sim.wait(secs(5));
        // who presses an exit meanwhile takes nothing from fire
        sim.edge("front-rex", true);
        sim.wait(secs(5));
        sim.edge("fire", still);
        let asked = sim.pulses.len();
        sim.guard_comes();
        assert!(burns(&mut sim), "{}", sim.log());
        let opened = sim.pulses[asked..].iter().map(|p| p.grant.door.to_string());
        assert_eq!(opened.collect::<Vec<_>>(), ["front", "toy"], "{}", sim.log());
        for ends in [Sim::guard_goes as fn(&mut Sim), Sim::guard_lost] {
            ends(&mut sim);
            assert!(!sim.is_energised("front-strike"));
            sim.wait(ms(300));
            sim.guard_comes();
            assert!(burns(&mut sim), "{}", sim.log());
        }
    }
    // one that stands still
    let mut sim = Sim::new(house());
    sim.guard_freezes();
    sim.edge("fire", true);
    sim.wait(secs(1));
    sim.guard_lost();
    sim.wait(secs(5));
    sim.guard_comes();
    assert!(burns(&mut sim), "{}", sim.log());
}

#[test]
fn without_a_journal_it_opens_and_can_be_reset() {
    let mut sim = Sim::new(house());
    let text = "disk full".to_owned();
    sim.input(gateway_site::Input::Journal { ok: false, text });
    sim.edge("fire", true);
    sim.edge("fire", false);
    sim.wait(secs(5));
    assert!(burns(&mut sim), "{}", sim.log());
    assert_eq!(reset(&mut sim, "a"), None);
    assert!(!burns(&mut sim));
}

#[test]
fn a_played_alarm_opens_virtual_doors_and_a_real_one_takes_its_place() {
    let mut played = house();
    played.inputs.get_mut(&id("fire")).expect("an input").simulated = true;
    let mut sim = Sim::new(played);
    sim.edge("fire", true);
    let opened: Vec<_> = sim.pulses.iter().map(|p| p.grant.door.to_string()).collect();
    assert_eq!(opened, ["toy"]);
    sim.restart();
    assert!(!burns(&mut sim), "{}", sim.log());
    sim.reload(house());
    sim.edge("fire", false);
    sim.edge("fire", true);
    assert!(burns(&mut sim), "{}", sim.log());
}

/// `front` is a gate that takes steps, with a contact or without.
fn gate(contact: bool) -> SiteParams {
    let mut site = first_door();
    let front = site.doors.get_mut(&id("front")).expect("a door");
    front.lock = LockKind::GateStep;
    if !contact {
        front.contact = None;
        front.relock = gateway_site::Relock::Time;
    }
    site
}

fn steps(sim: &Sim) -> usize {
    sim.pulses
        .iter()
        .filter(|p| p.grant.door.as_str() == "front")
        .count()
}

#[test]
fn a_gate_that_takes_steps_gets_none_after_a_restart_until_it_is_seen_shut() {
    let open = || Command::Open { door: id("front") };
    let mut sim = Sim::new(gate(true));
    sim.command("a", open());
    assert_eq!(steps(&sim), 1, "{}", sim.log());
    sim.edge("front-contact", true);
    sim.set_held(&["front-contact"]);
    sim.restart();
    for (n, wait) in [1, 25].into_iter().enumerate() {
        sim.wait(secs(wait));
        sim.command(&format!("b{n}"), open());
    }
    assert_eq!(steps(&sim), 1, "{}", sim.log());
    sim.edge("front-contact", false);
    sim.command("c", open());
    assert_eq!(steps(&sim), 2, "{}", sim.log());
    // one that nobody sees lets in nobody, a second time least of all
    let mut sim = Sim::new(gate(false));
    sim.wait(secs(60));
    sim.command("a", open());
    assert_eq!(steps(&sim), 0, "{}", sim.log());
}

#[test]
fn a_gate_that_takes_steps_is_moved_once_in_all_lives_of_an_alarm() {
    for contact in [true, false] {
        let mut sim = Sim::new(gate(contact));
        sim.edge("fire", true);
        sim.edge("fire", false);
        if contact {
            sim.edge("front-contact", true);
        }
        sim.wait(secs(60));
        assert_eq!(steps(&sim), 1, "{}", sim.log());
        if contact {
            sim.signal(
                sim.now(),
                false,
                gateway_core::SignalKind::Unread(id("front-contact")),
            );
        }
        sim.set_held(if contact { &["front-contact"] } else { &[] });
        sim.restart();
        sim.wait(secs(60));
        sim.reload(gate(contact));
        sim.wait(secs(60));
        assert_eq!(steps(&sim), 1, "contact: {contact}\n{}", sim.log());
        if contact {
            // shut by somebody: people are behind it
            sim.edge("front-contact", false);
            sim.wait(ms(1));
            assert_eq!(steps(&sim), 2, "{}", sim.log());
        }
    }
}
