//! A mantrap in the whole gateway: one door opens only while the other is shut and not being opened.

use gateway_core::{Command, ContactState, Factor, Refusal, SignalKind};
use gateway_site::{
    Decision, DoorGroupParams, GuardReport, Input, InputParams, OutputParams, RexKind, RexParams, SiteParams,
};
use sim::{Sim, first_door, id, ms, secs};

const CARD: &str = "26:123,04567";

/// The first door and one behind it, `lobby`, both with contact and exit, in one interlock.
fn mantrap() -> SiteParams {
    let mut site = first_door();
    let mut lobby = site.doors.get(&id("front")).expect("the door").clone();
    lobby.output = Some(id("lobby-strike"));
    lobby.contact = Some(id("lobby-contact"));
    lobby.tamper = None;
    lobby.readers = Vec::new();
    lobby.rex = vec![RexParams {
        input: id("lobby-rex"),
        kind: RexKind::Unlock,
    }];
    site.doors.insert(id("lobby"), lobby);
    site.outputs
        .insert(id("lobby-strike"), OutputParams { simulated: false });
    for name in ["lobby-contact", "lobby-rex"] {
        let input = InputParams {
            debounce: ms(0),
            simulated: false,
        };
        site.inputs.insert(id(name), input);
    }
    let trap = DoorGroupParams {
        doors: [id("front"), id("lobby")].into(),
        interlock: true,
        lockdown_input: None,
        name: "Mantrap".into(),
    };
    site.door_groups = [(id("trap"), trap)].into();
    site
}

fn open(sim: &mut Sim, command: &str, door: &str) -> Option<Refusal> {
    match sim.command(command, Command::Open { door: id(door) }) {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, .. } => Some(reason),
    }
}

#[test]
fn one_door_opens_while_the_other_is_shut_at_rest() {
    let mut sim = Sim::new(mantrap());
    assert_eq!(open(&mut sim, "a", "front"), None);
    // it is being opened
    assert_eq!(open(&mut sim, "b", "lobby"), Some(Refusal::Interlock));
    sim.wait(secs(1));
    sim.edge("front-contact", true);
    sim.wait(secs(10));
    // it stands open
    assert_eq!(open(&mut sim, "c", "lobby"), Some(Refusal::Interlock));
    sim.edge("front-contact", false);
    sim.wait(secs(10));
    assert_eq!(open(&mut sim, "d", "lobby"), None, "{}", sim.log());
    sim.wait(ms(100));
    sim.card("front-reader", CARD);
    assert_eq!(
        sim.denials(),
        [
            "interlock: door front is being opened",
            "interlock: door front is open",
            "interlock: door lobby is being opened",
        ]
    );
}

#[test]
fn a_door_that_may_still_be_pulled_open_keeps_the_other_shut() {
    let mut sim = Sim::new(mantrap());
    assert_eq!(open(&mut sim, "a", "front"), None);
    // the strike fell back a moment ago, and somebody may have the door in hand
    sim.wait(ms(3200));
    assert!(!sim.is_energised("front-strike"));
    assert_eq!(open(&mut sim, "b", "lobby"), Some(Refusal::Interlock));
    sim.wait(secs(2));
    assert_eq!(open(&mut sim, "c", "lobby"), None, "{}", sim.log());
}

#[test]
fn nobody_is_kept_between_the_doors() {
    let mut sim = Sim::new(mantrap());
    open(&mut sim, "a", "front");
    sim.edge("front-contact", true);
    sim.edge("lobby-rex", true);
    sim.wait(ms(10));
    assert!(sim.is_energised("lobby-strike"), "{}", sim.log());
    sim.edge("fire", true);
    let fires = sim.pulses.iter().filter(|p| p.grant.factor == Factor::Fire);
    assert_eq!(fires.count(), 3, "{}", sim.log());
}

#[test]
fn a_contact_that_was_not_read_and_a_restart_keep_the_other_door_shut() {
    let params = mantrap();
    let mut sim = Sim::new(params.clone());
    sim.edge("front-contact", true);
    sim.restart();
    // settled by the start as shut: an edge must say otherwise
    sim.edge("front-contact", true);
    assert_eq!(open(&mut sim, "a", "lobby"), Some(Refusal::Interlock));
    // a contact that a reload brings has not been read
    let mut other = params;
    other.inputs.insert(
        id("new-contact"),
        InputParams {
            debounce: ms(0),
            simulated: false,
        },
    );
    other.doors.get_mut(&id("front")).expect("the door").contact = Some(id("new-contact"));
    sim.reload(other);
    sim.wait(secs(20));
    assert_eq!(open(&mut sim, "b", "lobby"), Some(Refusal::Interlock));
    sim.edge_at(sim.now(), &id("new-contact"), false, true);
    assert_eq!(open(&mut sim, "c", "lobby"), None, "{}", sim.log());
}

#[test]
fn a_contact_that_nobody_reads_any_more_is_not_believed() {
    let mut sim = Sim::new(mantrap());
    sim.signal(sim.now(), false, SignalKind::Unread(id("front-contact")));
    assert_eq!(open(&mut sim, "a", "lobby"), Some(Refusal::Interlock));
    assert_eq!(sim.denials(), ["interlock: door front is not known to be shut"]);
    let contact = |sim: &Sim| {
        sim.site
            .view()
            .doors
            .iter()
            .find(|d| d.id == id("front"))
            .map(|d| d.contact)
    };
    assert_eq!(contact(&sim), Some(ContactState::Unknown));
    // who wants out does
    sim.edge("lobby-rex", true);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.edge("lobby-rex", false);
    sim.wait(secs(20));
    // read again, as the line is there again
    sim.edge_at(sim.now(), &id("front-contact"), false, true);
    assert_eq!(open(&mut sim, "b", "lobby"), None, "{}", sim.log());
}

#[test]
fn the_contact_before_a_reload_says_nothing_about_the_one_after_it() {
    let mut sim = Sim::new(mantrap());
    let mut other = mantrap();
    let input = other.inputs[&id("front-contact")].clone();
    other.inputs.insert(id("new-contact"), input);
    other.doors.get_mut(&id("front")).expect("the door").contact = Some(id("new-contact"));
    sim.reload(other);
    sim.wait(secs(20));
    assert_eq!(open(&mut sim, "a", "lobby"), Some(Refusal::Interlock));
    sim.edge_at(sim.now(), &id("new-contact"), false, true);
    assert_eq!(open(&mut sim, "b", "lobby"), None, "{}", sim.log());
}

#[test]
fn a_guard_that_is_gone_in_a_pulse_leaves_no_door_blocked_for_good() {
    let mut sim = Sim::new(mantrap());
    open(&mut sim, "a", "front");
    let text = "killed".to_owned();
    sim.input(Input::Guard(GuardReport::Down { text }));
    sim.input(Input::Guard(GuardReport::Up { dead: vec![] }));
    sim.wait(secs(10));
    assert_eq!(open(&mut sim, "b", "lobby"), None, "{}", sim.log());
}
