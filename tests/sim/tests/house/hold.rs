//! Doors that are held open: by a schedule or a command, each time by a decision, and ended by much.

use std::time::Duration;

use gateway_core::{Command, DoorEvent, Event, Factor, Refusal};
use gateway_site::{Decision, Duty, Input, Schedule, Schedules, SiteParams, When};
use sim::{Sim, first_door, id, ms, secs, wall};

const CARD: &str = "26:123,04567";
/// From 22:30, when simulations begin, until the schedule of these tests ends.
const LEFT: Duration = secs(1800);
const DAY: Duration = secs(24 * 3600);

/// The first door held open in the hour in which the simulation begins, and by command for two hours at most.
fn house() -> SiteParams {
    let mut site = by_command();
    let begin = wall(Sim::new(first_door()).now()).to_zoned(jiff::tz::TimeZone::UTC);
    assert_eq!(
        (begin.minute(), begin.second()),
        (30, 0),
        "these tests count from there"
    );
    let line = format!("daily {:02}:00-{:02}:00", begin.hour(), begin.hour() + 1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("shop"), schedule)].into());
    site.doors.get_mut(&id("front")).expect("the door").hold = When::In(id("shop"));
    site
}

fn by_command() -> SiteParams {
    let mut site = first_door();
    let front = site.doors.get_mut(&id("front")).expect("the door");
    front.duty = Duty::Continuous;
    front.hold_limit = Some(secs(7200));
    site
}

fn sim(site: SiteParams) -> Sim {
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim
}

fn hold(sim: &mut Sim, command: &str, door: &str, time: Duration) -> Option<Refusal> {
    let door = id(door);
    refused(&sim.command(command, Command::Hold { door, time }))
}

fn end(sim: &mut Sim, command: &str) -> Option<Refusal> {
    let door = id("front");
    let said = refused(&sim.command(command, Command::EndHold { door }));
    sim.wait(ms(10));
    said
}

fn refused(decision: &Decision) -> Option<Refusal> {
    match decision {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, .. } => Some(*reason),
    }
}

/// What the journal has of it.
fn told(sim: &Sim) -> Vec<String> {
    let events = sim.records.iter().filter_map(|envelope| {
        if let Event::Door(_, DoorEvent::HoldBegan { subject, .. }) = &envelope.event {
            Some(subject.to_string())
        } else if let Event::Door(_, DoorEvent::HoldEnded { why }) = &envelope.event {
            Some(why.clone())
        } else {
            None
        }
    });
    events.collect()
}

fn is_held(sim: &Sim) -> bool {
    let view = sim.site.view();
    let shown = view.doors.iter().any(|door| door.hold.is_some());
    assert_eq!(shown, sim.is_energised("front-strike"), "{}", sim.log());
    shown
}

fn doubt(sim: &mut Sim, trusted: bool) {
    sim.input(Input::ClockStep { step_ms: 0, trusted });
    sim.wait(ms(10));
}

#[test]
fn a_reload_that_changes_outputs_lets_go_of_a_held_door_without_a_fault_and_the_schedule_holds_it_again() {
    let mut sim = sim(house());
    assert!(is_held(&sim), "{}", sim.log());
    assert!(sim.site.is_at_rest(sim.now()), "a held door waits for no reload");
    sim.card("front-reader", CARD);
    assert!(
        !sim.site.is_at_rest(sim.now()),
        "whoever was let in has their time"
    );
    sim.wait(secs(30));
    assert!(sim.site.is_at_rest(sim.now()));
    sim.guard_goes();
    sim.wait(ms(200));
    assert!(!is_held(&sim), "{}", sim.log());
    sim.guard_comes();
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
    assert!(
        !sim.kinds().contains(&"door.lock-fault".to_owned()),
        "{}",
        sim.log()
    );
}

#[test]
fn a_schedule_holds_its_door_open_until_it_ends_and_again_the_next_day() {
    let mut sim = sim(house());
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let grant = &sim.pulses[0].grant;
    assert_eq!(
        (grant.factor, grant.rule.as_str()),
        (Factor::Schedule, "schedule shop holds the door open")
    );
    sim.wait(LEFT - secs(1));
    assert!(is_held(&sim), "{}", sim.log());
    sim.wait(secs(2));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "schedule"]);
    sim.wait(DAY - LEFT - secs(1));
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 2, "one permission for each begin");
    sim.wait(secs(30 * 24 * 3600));
    assert_eq!(sim.pulses.len(), 32, "{}", sim.log());
    assert_eq!(sim.denials(), Vec::<String>::new());
}

#[test]
fn a_command_holds_a_door_open_for_its_time_and_no_longer_than_the_door_allows() {
    let mut sim = sim(by_command());
    assert!(!is_held(&sim));
    assert_eq!(hold(&mut sim, "a", "front", secs(7201)), Some(Refusal::Forbidden));
    assert_eq!(hold(&mut sim, "b", "toy", secs(60)), Some(Refusal::Forbidden));
    assert_eq!(hold(&mut sim, "c", "nowhere", secs(60)), Some(Refusal::Unknown));
    assert_eq!(end(&mut sim, "d"), Some(Refusal::Unknown));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(hold(&mut sim, "e", "front", secs(600)), None);
    sim.wait(secs(599));
    assert!(is_held(&sim), "{}", sim.log());
    let view = sim.site.view();
    let shown = view
        .doors
        .iter()
        .find_map(|door| door.hold)
        .expect("it is held open");
    assert!(!shown.schedule && shown.until.is_some());
    sim.wait(secs(1));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["integration:ha", "time"]);
    // old news holds nothing open
    assert_eq!(hold(&mut sim, "e", "front", secs(600)), Some(Refusal::Duplicate));
    assert_eq!(sim.pulses.len(), 1);
}

#[test]
fn what_a_command_ends_waits_for_the_next_begin_of_the_schedule() {
    let mut sim = sim(house());
    assert_eq!(end(&mut sim, "a"), None);
    sim.wait(secs(900));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "command"]);
    // a command of its own holds it, over the end of the schedule
    assert_eq!(hold(&mut sim, "b", "front", secs(3600)), None);
    sim.wait(LEFT);
    assert!(is_held(&sim), "{}", sim.log());
    sim.wait(secs(1800));
    assert!(!is_held(&sim), "{}", sim.log());
    sim.wait(DAY - LEFT - secs(900 + 1800));
    assert!(is_held(&sim), "{}", sim.log());
}

#[test]
fn a_command_and_a_schedule_hold_it_open_until_both_are_over() {
    let mut sim = sim(house());
    assert_eq!(hold(&mut sim, "a", "front", secs(3600)), None);
    sim.wait(LEFT + secs(60));
    assert!(is_held(&sim), "{}", sim.log());
    sim.wait(secs(1800));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "time"]);
}

#[test]
fn a_lockdown_ends_it_and_it_begins_as_that_ends() {
    let mut sim = sim(house());
    sim.command("a", Command::Lockdown { group: None });
    sim.wait(secs(300));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "lockdown"]);
    assert_eq!(hold(&mut sim, "b", "front", secs(60)), Some(Refusal::Lockdown));
    // an exit opens, and for its strike time only
    sim.edge("front-rex", true);
    sim.wait(secs(1));
    assert!(sim.is_energised("front-strike"));
    sim.edge("front-rex", false);
    sim.wait(secs(30));
    assert!(!is_held(&sim), "{}", sim.log());
    sim.command("c", Command::EndLockdown { group: None });
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
}

#[test]
fn fire_opens_a_door_that_is_held_open_and_ends_nothing() {
    let mut sim = sim(house());
    sim.edge("fire", true);
    sim.wait(secs(60));
    assert!(is_held(&sim), "{}", sim.log());
    sim.edge("fire", false);
    sim.command("a", Command::ResetFire);
    sim.wait(secs(60));
    assert!(is_held(&sim), "{}", sim.log());
}

#[test]
fn while_the_clock_is_not_believed_no_schedule_holds_a_door_open_and_a_command_does() {
    let mut sim = sim(house());
    doubt(&mut sim, false);
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "clock"]);
    sim.wait(secs(120));
    doubt(&mut sim, true);
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(hold(&mut sim, "a", "front", secs(600)), None);
    doubt(&mut sim, false);
    sim.wait(secs(500));
    assert!(is_held(&sim), "{}", sim.log());
    sim.wait(secs(100));
    assert!(!is_held(&sim), "{}", sim.log());
}

#[test]
fn after_a_restart_a_schedule_is_decided_anew_and_a_command_is_forgotten() {
    let mut sim = sim(house());
    sim.restart();
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 2, "a permission of its own");
    let mut sim = self::sim(by_command());
    assert_eq!(hold(&mut sim, "a", "front", secs(600)), None);
    sim.restart();
    sim.wait(secs(60));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_guard_that_is_away_ends_it_and_the_next_one_gets_a_new_permission() {
    let mut sim = sim(house());
    sim.guard_goes();
    assert!(!is_held(&sim), "{}", sim.log());
    sim.wait(secs(5));
    assert_eq!(told(&sim), ["schedule:shop", "guard"]);
    sim.guard_comes();
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
    let grants: Vec<u64> = sim.pulses.iter().map(|pulse| pulse.grant.id).collect();
    assert_eq!(grants.len(), 2);
    assert_ne!(grants[0], grants[1]);
    let mut sim = self::sim(by_command());
    assert_eq!(hold(&mut sim, "a", "front", secs(600)), None);
    sim.guard_goes();
    sim.guard_comes();
    sim.wait(secs(60));
    assert!(!is_held(&sim), "{}", sim.log());
}

#[test]
fn a_lease_that_lapsed_is_asked_for_again_after_a_pause() {
    let mut sim = sim(house());
    sim.freeze(secs(3));
    assert!(!is_held(&sim), "{}", sim.log());
    sim.wait(secs(50));
    assert!(!is_held(&sim), "{}", sim.log());
    sim.wait(secs(15));
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "guard", "schedule:shop"]);
}

#[test]
fn a_reload_keeps_what_it_does_not_change_and_ends_the_rest() {
    let mut sim = sim(house());
    sim.reload(house());
    sim.wait(secs(10));
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.reload(by_command());
    sim.wait(ms(10));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "config"]);
    assert_eq!(hold(&mut sim, "a", "front", secs(600)), None);
    sim.reload(first_door());
    sim.wait(ms(10));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim).last().map(String::as_str), Some("config"));
}

#[test]
fn a_door_that_is_not_made_for_it_is_not_held_open_whatever_a_file_says() {
    let mut site = house();
    site.doors.get_mut(&id("front")).expect("the door").duty = Duty::Pulse;
    let mut sim = sim(site);
    sim.wait(secs(1200));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert!(sim.denials().len() < 25, "{}", sim.log());
}

#[test]
fn where_two_persons_are_wanted_no_schedule_opens_and_that_is_told_once() {
    let mut site = house();
    site.doors.get_mut(&id("front")).expect("the door").two_persons = When::Always;
    let mut sim = sim(site);
    for _ in 0..20 {
        sim.wait(secs(60));
        sim.edge("front-contact", true);
        sim.edge("front-contact", false);
    }
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials().len(), 1, "{}", sim.log());
    assert!(sim.denials()[0].starts_with("two persons:"), "{}", sim.log());
}

#[test]
fn a_card_at_a_door_that_is_held_open_is_told_and_moves_nothing() {
    let mut sim = sim(house());
    sim.card("front-reader", CARD);
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert_eq!(sim.denials(), Vec::<String>::new());
    // whoever came in just before it ends has his time
    assert_eq!(end(&mut sim, "a"), None);
    assert!(sim.is_energised("front-strike"), "{}", sim.log());
    sim.wait(secs(3));
    assert!(!is_held(&sim), "{}", sim.log());
}

#[test]
fn a_gateway_that_stops_says_so_and_begins_nothing() {
    let mut sim = sim(house());
    sim.input(Input::ShutDown);
    sim.wait(secs(60));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(told(&sim), ["schedule:shop", "stop"]);
}

#[test]
fn without_a_journal_no_command_begins_it_and_one_ends_it() {
    let mut sim = sim(house());
    let text = "disk full".to_owned();
    sim.input(Input::Journal { ok: false, text });
    assert_eq!(hold(&mut sim, "a", "front", secs(600)), Some(Refusal::Fault));
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(end(&mut sim, "b"), None);
    assert!(!is_held(&sim), "{}", sim.log());
}
