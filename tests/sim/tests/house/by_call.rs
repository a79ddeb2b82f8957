//! Doors that open by a call alone: known callers in their time, and nobody answers.

use gateway_access::CallerPattern;
use gateway_core::{Cause, Command, DoorId, Factor, LegCommand, LegEvent, LegId, Peer, RingId};
use gateway_site::{
    Change, Credential, Directory, Input, Person, PinKey, Proof, Schedule, Schedules, SiteParams, Validity,
    When,
};
use sim::{Sim, first_door, id, ms, secs, wall};

/// Until the hour of the day is certainly over.
const EVENING: std::time::Duration = secs(2 * 3600);
const RECEPTION: &str = "sip:1000@pbx.example";

/// The first door opens by a call alone in the hour in which the simulation begins; other calls are busy.
fn house() -> SiteParams {
    let mut site = first_door();
    let begin = wall(Sim::new(first_door()).now()).to_zoned(jiff::tz::TimeZone::UTC);
    let line = format!("daily {:02}:00-{:02}:00", begin.hour(), begin.hour() + 1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("day"), schedule)].into());
    site.doors.get_mut(&id("front")).expect("the door").by_call = When::In(id("day"));
    site.panels.get_mut(&id("main")).expect("the panel").other_calls = Some(Cause::Busy);
    site
}

/// With the telephones of Alice, and of Bob, who needs his PIN.
fn sim(site: SiteParams) -> Sim {
    let mut directory = Directory::new(PinKey::new([3; 32]));
    for (name, number, needs_pin) in [("alice", "1007", false), ("bob", "1008", true)] {
        directory.apply(Change::Person(Person {
            blocked: false,
            groups: [].into(),
            id: id(name),
            valid: Validity::default(),
        }));
        directory.apply(Change::Credential(Credential {
            doors: [id("front")].into(),
            id: id(&format!("c-{name}")),
            person: Some(id(name)),
            proof: Proof::Phone {
                needs_pin,
                number: CallerPattern::parse(number).expect("a number"),
            },
            uses: None,
            valid: Validity::default(),
            when: When::Always,
        }));
    }
    let mut sim = Sim::new(site);
    sim.site.restore_people(directory);
    sim.wait(secs(1));
    sim
}

/// Calls the panel; returns how the call was refused, if it was.
fn call(sim: &mut Sim, leg: u64, address: &str, trusted: bool) -> Option<Cause> {
    let leg = LegId((1 << 40) + leg);
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: Some(id("pbx")),
        leg,
        panel: id("main"),
        peer: Peer {
            address: address.into(),
            foreign: false,
            display: None,
            trusted,
            withheld: false,
        },
    }));
    sim.wait(ms(10));
    sim.legs.iter().find_map(|command| {
        if let LegCommand::End { leg: of, cause } = command {
            (*of == leg).then_some(*cause)
        } else {
            None
        }
    })
}

fn answered(sim: &Sim) -> bool {
    sim.legs
        .iter()
        .any(|leg| matches!(leg, LegCommand::Answer { .. }))
}

fn grants(sim: &Sim) -> Vec<(Factor, String, Option<RingId>)> {
    let grant = |pulse: &sim::Pulse| (pulse.grant.factor, pulse.grant.rule.clone(), pulse.grant.ring);
    sim.pulses.iter().map(grant).collect()
}

#[test]
fn a_listed_caller_opens_by_day_without_being_answered_and_is_busy_by_night() {
    let mut sim = sim(house());
    assert_eq!(
        call(&mut sim, 1, RECEPTION, true),
        Some(Cause::Declined),
        "{}",
        sim.log()
    );
    let all = grants(&sim);
    assert_eq!(all.len(), 1, "{}", sim.log());
    let (factor, rule, ring) = &all[0];
    let said = "listed caller \"Reception\" calls the door within schedule day";
    assert_eq!((*factor, rule.as_str()), (Factor::Caller, said));
    let story = sim.story(ring.expect("the call has a story"));
    let kinds = [
        "door.granted",
        "call.incoming",
        "call.rejected",
        "door.unlocked",
        "call.leg-ended",
    ];
    assert_eq!(story, kinds, "{}", sim.log());
    sim.wait(EVENING);
    assert_eq!(
        call(&mut sim, 2, RECEPTION, true),
        Some(Cause::Busy),
        "{}",
        sim.log()
    );
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert!(!answered(&sim), "{}", sim.log());
    assert_eq!(
        sim.denials(),
        Vec::<String>::new(),
        "the time of day is nobody's fault"
    );
}

#[test]
fn whoever_is_not_known_or_not_vouched_for_opens_nothing_and_is_locked_out_of_nothing() {
    let mut sim = sim(house());
    for n in 0..20 {
        assert_eq!(call(&mut sim, n, RECEPTION, false), Some(Cause::Busy));
        assert_eq!(
            call(&mut sim, 100 + n, "sip:6666@pbx.example", true),
            Some(Cause::Busy)
        );
    }
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials(), Vec::<String>::new());
    call(&mut sim, 500, RECEPTION, true);
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_number_that_needs_a_pin_opens_nothing_by_itself() {
    let mut sim = sim(house());
    assert_eq!(call(&mut sim, 1, "sip:1008@pbx.example", true), Some(Cause::Busy));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(sim.denials(), ["the PIN is needed too at this time"]);
    assert_eq!(
        call(&mut sim, 2, "sip:1007@pbx.example", true),
        Some(Cause::Declined)
    );
    let said = "telephone c-alice calls the door within schedule day";
    assert_eq!(grants(&sim)[0].1, said, "{}", sim.log());
}

#[test]
fn by_a_clock_that_is_not_believed_no_call_opens() {
    for when in [When::In(id("day")), When::Always] {
        let mut site = house();
        site.doors.get_mut(&id("front")).expect("the door").by_call = when;
        let mut sim = sim(site);
        sim.input(Input::ClockStep {
            step_ms: 0,
            trusted: false,
        });
        assert_eq!(call(&mut sim, 1, RECEPTION, true), Some(Cause::Busy));
        assert_eq!((sim.pulses.len(), sim.denials().len()), (0, 1), "{}", sim.log());
    }
}

#[test]
fn a_lockdown_keeps_out_who_calls() {
    let mut sim = sim(house());
    sim.command("a", Command::Lockdown { group: None });
    assert_eq!(call(&mut sim, 1, RECEPTION, true), Some(Cause::Busy));
    assert_eq!(sim.denials(), ["lockdown: the whole site is locked down"]);
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}

#[test]
fn a_call_that_waited_while_the_gateway_stood_still_opens_nothing() {
    let mut sim = sim(house());
    sim.freeze(secs(3));
    sim.wait(ms(100));
    assert_eq!(
        call(&mut sim, 1, RECEPTION, true),
        Some(Cause::Busy),
        "{}",
        sim.log()
    );
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.wait(secs(1));
    assert_eq!(
        call(&mut sim, 2, RECEPTION, true),
        Some(Cause::Declined),
        "{}",
        sim.log()
    );
}

#[test]
fn a_line_in_use_keeps_nobody_out_and_a_visitor_keeps_his_call() {
    let mut sim = sim(house());
    let ring = sim.press("bell").expect("a ring");
    assert_eq!(
        call(&mut sim, 1, RECEPTION, true),
        Some(Cause::Declined),
        "{}",
        sim.log()
    );
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert!(
        sim.site.view().calls.iter().any(|call| call.ring == ring),
        "{}",
        sim.log()
    );
}

#[test]
fn what_callers_are_told_is_set_and_where_it_is_not_they_are_answered() {
    let mut site = house();
    let main = site.panels.get_mut(&id("main")).expect("the panel");
    (main.opened_call, main.other_calls) = (Cause::Refused, None);
    let mut sim = sim(site);
    assert_eq!(
        call(&mut sim, 1, RECEPTION, true),
        Some(Cause::Refused),
        "{}",
        sim.log()
    );
    assert!(!answered(&sim));
    assert_eq!(call(&mut sim, 2, "sip:6666@pbx.example", true), None);
    assert!(answered(&sim), "{}", sim.log());
}

#[test]
fn a_door_that_does_not_say_so_opens_by_no_call_alone() {
    let mut sim = sim(first_door());
    assert_eq!(call(&mut sim, 1, RECEPTION, true), None);
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert!(answered(&sim), "{}", sim.log());
    let front: DoorId = id("front");
    assert!(sim.params().doors[&front].by_call == When::Never);
}

#[test]
fn a_flood_of_known_callers_fills_no_journal() {
    let mut sim = sim(house());
    sim.command("a", Command::Lockdown { group: None });
    let before = sim.records.len();
    for n in 0..1000 {
        call(&mut sim, n, RECEPTION, true);
    }
    assert!(sim.records.len() - before < 200, "{}", sim.records.len() - before);
}
