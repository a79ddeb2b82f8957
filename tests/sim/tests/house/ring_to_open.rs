//! Ring-to-open: for a time that a command asks for, who rings is let in.

use gateway_core::{Command, DoorGroupId, Factor, LegCommand, LineSignal, Refusal};
use gateway_site::{ButtonMode, Decision, DoorGroupParams, Input, SiteParams, When};
use sim::{Sim, first_door, id, ms, secs};

/// With a panel where a command may let in who rings for an hour.
fn house() -> SiteParams {
    let mut site = first_door();
    let main = site.panels.get_mut(&id("main")).expect("the panel");
    main.ring_to_open = Some(secs(3600));
    let street = DoorGroupParams {
        doors: [id("front")].into(),
        name: "Street side".into(),
        ..DoorGroupParams::default()
    };
    site.door_groups = [(id::<DoorGroupId>("street"), street)].into();
    site
}

fn begun(site: SiteParams) -> Sim {
    let mut sim = Sim::new(site);
    sim.wait(secs(1));
    begin(&mut sim, "a", 600);
    sim
}

fn begin(sim: &mut Sim, command: &str, s: u64) {
    let said = try_it(sim, command, s);
    assert_eq!(said, None, "{}", sim.log());
}

fn try_it(sim: &mut Sim, command: &str, s: u64) -> Option<Refusal> {
    let (panel, time) = (id("main"), secs(s));
    refused(sim.command(command, Command::RingToOpen { panel, time }))
}

fn end(sim: &mut Sim, command: &str) -> Option<Refusal> {
    refused(sim.command(command, Command::EndRingToOpen { panel: id("main") }))
}

fn refused(said: Decision) -> Option<Refusal> {
    match said {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, .. } => Some(reason),
    }
}

/// Somebody rings: is the door opened, or somebody called? Whoever is called is let ring.
fn rings(sim: &mut Sim) -> &'static str {
    let calls = |sim: &Sim| {
        let offers = sim.legs.iter();
        offers
            .filter(|leg| matches!(leg, LegCommand::Offer { .. }))
            .count()
    };
    let (pulses, called) = (sim.pulses.len(), calls(sim));
    sim.press("bell").expect("a ring");
    let did = match (sim.pulses.len() > pulses, calls(sim) > called) {
        (true, false) => "opens",
        (false, true) => "calls",
        (false, false) => "nothing",
        (true, true) => "both",
    };
    sim.wait(secs(100));
    did
}

fn whys(sim: &Sim) -> Vec<String> {
    sim.told("panel.ring-to-open-ended", "why")
}

#[test]
fn who_rings_is_let_in_until_the_time_is_over() {
    let mut sim = Sim::new(house());
    sim.wait(secs(1));
    assert_eq!(rings(&mut sim), "calls");
    begin(&mut sim, "a", 600);
    let view = sim.site.view();
    let shown = view
        .panels
        .iter()
        .find(|panel| panel.id == id("main"))
        .expect("it");
    let opens = shown.ring_to_open.expect("it is shown");
    assert_eq!(
        (opens.until, shown.ring_to_open_limit),
        (sim.now() + secs(600), Some(secs(3600)))
    );
    assert_eq!(opens.date, sim::wall(sim.now() + secs(600)));
    let ring = sim.press("bell").expect("a ring");
    let grant = &sim.pulses[0].grant;
    assert_eq!((grant.factor, grant.ring), (Factor::Button, Some(ring)));
    assert_eq!(grant.rule, "button bell of panel main opens by ring-to-open");
    let story = ["door.granted", "panel.ring", "panel.ring-ended", "door.unlocked"];
    assert_eq!(sim.story(ring), story, "{}", sim.log());
    sim.wait(secs(100));
    assert_eq!(rings(&mut sim), "opens");
    let left = opens.until.since(sim.now());
    sim.wait(left - ms(1));
    assert_eq!(whys(&sim), Vec::<String>::new());
    sim.wait(ms(1));
    assert_eq!(whys(&sim), ["time"], "{}", sim.log());
    assert_eq!(rings(&mut sim), "calls", "{}", sim.log());
    assert_eq!(sim.told("panel.ring-to-open-began", "limit_s"), ["600"]);
}

#[test]
fn who_rings_over_the_wires_of_the_panel_is_let_in_too() {
    let mut sim = begun(house());
    sim.line("riser", LineSignal::Ring);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.line("riser", LineSignal::RingStopped);
    assert_eq!(end(&mut sim, "b"), None);
    sim.wait(secs(60));
    sim.line("riser", LineSignal::Ring);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_command_ends_it_and_nothing_is_left_to_be_ended() {
    let mut sim = begun(house());
    assert_eq!(rings(&mut sim), "opens");
    assert_eq!(end(&mut sim, "b"), None);
    assert_eq!(rings(&mut sim), "calls");
    assert_eq!(whys(&sim), ["command"]);
    assert_eq!(end(&mut sim, "c"), Some(Refusal::Unknown));
}

#[test]
fn a_restart_ends_it() {
    let mut sim = begun(house());
    sim.restart();
    sim.wait(secs(1));
    assert_eq!(rings(&mut sim), "calls", "{}", sim.log());
    begin(&mut sim, "b", 600);
    sim.input(Input::ShutDown);
    assert_eq!(whys(&sim), ["stop"]);
}

#[test]
fn a_lockdown_of_its_door_ends_it_and_lets_none_begin() {
    for group in [None, Some(id("street"))] {
        let mut sim = begun(house());
        let lockdown = Command::Lockdown { group: group.clone() };
        assert_eq!(refused(sim.command("b", lockdown)), None);
        assert_eq!(whys(&sim), ["lockdown"]);
        assert_eq!(rings(&mut sim), "calls");
        assert_eq!(try_it(&mut sim, "c", 600), Some(Refusal::Lockdown));
        let over = Command::EndLockdown { group };
        assert_eq!(refused(sim.command("d", over)), None);
        assert_eq!(rings(&mut sim), "calls", "{}", sim.log());
        begin(&mut sim, "e", 600);
        assert_eq!(rings(&mut sim), "opens", "{}", sim.log());
    }
}

#[test]
fn no_longer_than_the_file_says_and_nowhere_else() {
    let mut sim = Sim::new(house());
    sim.wait(secs(1));
    assert_eq!(try_it(&mut sim, "a", 3601), Some(Refusal::Forbidden));
    assert_eq!(rings(&mut sim), "calls");
    begin(&mut sim, "b", 3600);
    // another one counts from its own begin, be it shorter
    begin(&mut sim, "c", 60);
    sim.wait(secs(60));
    assert_eq!((rings(&mut sim), whys(&sim)), ("calls", vec!["time".to_owned()]));
    let (panel, time) = (id("nowhere"), secs(60));
    let nowhere = sim.command("d", Command::RingToOpen { panel, time });
    assert_eq!(refused(nowhere), Some(Refusal::Unknown));
    let mut plain = Sim::new(first_door());
    plain.wait(secs(1));
    assert_eq!(try_it(&mut plain, "a", 60), Some(Refusal::Forbidden));
}

#[test]
fn another_file_that_does_not_allow_it_ends_it() {
    let change: [fn(&mut SiteParams); 4] = [
        |site| site.panels.get_mut(&id("main")).expect("it").ring_to_open = None,
        |site| site.panels.get_mut(&id("main")).expect("it").ring_to_open = Some(secs(300)),
        |site| {
            site.panels.get_mut(&id("main")).expect("it").doors.clear();
        },
        |site| {
            site.doors.get_mut(&id("front")).expect("it").output = None;
        },
    ];
    for change in change {
        let mut sim = begun(house());
        let mut site = house();
        change(&mut site);
        sim.reload(site);
        assert_eq!(whys(&sim), ["config"], "{}", sim.log());
        sim.reload(house());
        assert_eq!(rings(&mut sim), "calls", "{}", sim.log());
    }
    let mut sim = begun(house());
    sim.reload(house());
    assert_eq!(rings(&mut sim), "opens", "{}", sim.log());
}

#[test]
fn a_door_that_is_not_to_be_opened_is_not_and_somebody_is_called() {
    let mut site = house();
    let bell = site
        .panels
        .get_mut(&id("main"))
        .and_then(|p| p.buttons.get_mut(&id("bell")));
    // it calls nobody at this time, and so it does when it is not opened
    let bell = bell.expect("the bell");
    (bell.mode, bell.day) = (ButtonMode::ListForbidden, When::Never);
    let mut sim = begun(site);
    assert_eq!(rings(&mut sim), "opens");
    sim.guard_goes();
    sim.press("bell");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert!(!sim.legs.iter().any(|leg| matches!(leg, LegCommand::Offer { .. })));

    let mut site = house();
    site.doors.get_mut(&id("front")).expect("it").two_persons = When::Always;
    let mut sim = begun(site);
    assert_eq!(rings(&mut sim), "calls", "{}", sim.log());
}

#[test]
fn it_needs_no_clock_that_is_believed_to_end() {
    let mut sim = begun(house());
    sim.input(Input::ClockStep {
        step_ms: -7_200_000,
        trusted: false,
    });
    assert_eq!(rings(&mut sim), "opens");
    sim.wait(secs(600));
    assert_eq!(rings(&mut sim), "calls", "{}", sim.log());
}
