//! Who came in, in the whole gateway: a schedule that waits for the first of the day, and visitors who come in after a host.

use gateway_access::{CardKey, Person};
use gateway_core::{Command, Explain, Means, ReaderCommand};
use gateway_site::{
    Change, Credential, Directory, Duty, Escort, Group, Input, PinKey, Proof, Schedule, Schedules,
    SiteParams, Validity, When,
};
use sim::{Sim, first_door, id, ms, secs, wall};

const STAFF: &str = "26:200,00001";
const VISITOR: &str = "26:200,00002";

/// The first door held open from the hour in which the simulation begins for three hours, after the first of the staff.
fn house() -> SiteParams {
    let mut site = first_door();
    let begin = wall(Sim::new(first_door()).now()).to_zoned(jiff::tz::TimeZone::UTC);
    let lines = ["00:00-02:00", "20:00-24:00"].map(|hours| format!("daily {hours}").parse().expect("times"));
    assert_eq!(begin.hour(), 22, "these tests count from there");
    let schedule = Schedule::new(&lines, vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("shop"), schedule)].into());
    let front = site.doors.get_mut(&id("front")).expect("the door");
    front.duty = Duty::Continuous;
    front.hold = When::In(id("shop"));
    front.hold_after = Some(id("staff"));
    let group = |escort| Group {
        doors: [id("front")].into(),
        escort,
        open_for: None,
        when: When::Always,
    };
    let escort = Escort {
        by: id("staff"),
        within: secs(20),
    };
    site.groups = [(id("staff"), group(None)), (id("visitors"), group(Some(escort)))].into();
    site
}

fn people() -> Directory {
    let mut directory = Directory::new(PinKey::new([3; 32]));
    for (name, group, card) in [("ann", "staff", STAFF), ("vic", "visitors", VISITOR)] {
        directory.apply(Change::Person(Person {
            blocked: false,
            groups: [id(group)].into(),
            id: id(name),
            valid: Validity::default(),
        }));
        directory.apply(Change::Credential(Credential {
            doors: [].into(),
            id: id(&format!("c-{name}")),
            person: Some(id(name)),
            proof: Proof::Card(CardKey::parse(&card[3..]).expect("a card")),
            uses: None,
            valid: Validity::default(),
            when: When::Always,
        }));
    }
    directory
}

fn sim() -> Sim {
    let mut sim = Sim::new(house());
    sim.site.restore_people(people());
    sim.wait(ms(10));
    sim
}

fn is_held(sim: &Sim) -> bool {
    sim.site.view().doors.iter().any(|door| door.hold.is_some())
}

/// What the site says of the schedule that holds the door open.
fn said(sim: &Sim) -> String {
    let ask = Explain {
        at: None,
        door: id("front"),
        means: Means::Hold,
        reader: None,
    };
    sim.site.explain_to(sim.now(), wall(sim.now()), &ask).rule
}

#[test]
fn a_schedule_waits_for_the_first_of_the_day() {
    let mut sim = sim();
    assert_eq!(said(&sim), "first person in: nobody of group staff came in today");
    // nobody is let in by a command, and whoever is none of the staff opens for himself only
    sim.command("a", Command::Open { door: id("front") });
    sim.card("front-reader", "26:123,04567");
    sim.wait(secs(60));
    assert!(
        !is_held(&sim) && !sim.is_energised("front-strike"),
        "{}",
        sim.log()
    );
    sim.card("front-reader", STAFF);
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
    assert_eq!(said(&sim), "schedule shop holds the door open");
    sim.wait(secs(600));
    assert!(is_held(&sim) && sim.is_energised("front-strike"), "{}", sim.log());
    // a reload, and a guard that was away, find somebody in
    sim.reload(house());
    assert!(is_held(&sim), "{}", sim.log());
    sim.guard_goes();
    sim.wait(ms(200));
    sim.guard_comes();
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
    // after a lockdown somebody has to come anew, and after a restart
    sim.command("l", Command::Lockdown { group: None });
    sim.command("e", Command::EndLockdown { group: None });
    sim.wait(secs(60));
    assert!(!is_held(&sim), "{}", sim.log());
    sim.card("front-reader", STAFF);
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
    sim.restart();
    sim.site.restore_people(people());
    sim.wait(secs(60));
    assert!(!is_held(&sim), "{}", sim.log());
    assert_eq!(sim.denials(), Vec::<String>::new(), "{}", sim.log());
}

#[test]
fn what_began_with_the_first_of_yesterday_goes_on_over_midnight_and_does_not_begin_again() {
    let mut sim = sim();
    sim.card("front-reader", STAFF);
    sim.wait(secs(3 * 3600));
    assert!(is_held(&sim), "{}", sim.log());
    sim.wait(secs(3600));
    assert!(!is_held(&sim), "{}", sim.log());
    // the schedule is in force again in the evening, and nobody came on that day
    sim.wait(secs(19 * 3600));
    assert!(!is_held(&sim), "{}", sim.log());
    sim.card("front-reader", STAFF);
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
}

#[test]
fn a_visitor_comes_in_after_a_host_and_nobody_is_kept_in() {
    let mut site = house();
    site.doors.get_mut(&id("front")).expect("the door").hold = When::Never;
    let begin = || {
        let mut sim = Sim::new(site.clone());
        sim.site.restore_people(people());
        sim.wait(ms(10));
        sim
    };
    let shown = |sim: &Sim| sim.readers.last().map(|(_, command)| *command);
    let mut sim = begin();
    sim.card("front-reader", VISITOR);
    assert_eq!(shown(&sim), Some(ReaderCommand::Denied), "{}", sim.log());
    assert!(sim.denials()[0].starts_with("escort:"), "{}", sim.log());
    sim.card("front-reader", STAFF);
    sim.wait(secs(19));
    sim.card("front-reader", VISITOR);
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
    // he is nobody's host himself, and the time counts from the host
    sim.wait(secs(2));
    sim.card("front-reader", VISITOR);
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());
    sim.edge("front-rex", true);
    assert_eq!(sim.pulses.len(), 3, "{}", sim.log());
    let ways: [fn(&mut Sim); 3] = [
        |sim| sim.freeze(ms(800)),
        |sim| {
            sim.reload(house());
        },
        |sim| sim.input(Input::People(vec![Change::CredentialGone(id("c-none"))])),
    ];
    for (n, way) in ways.iter().enumerate() {
        let mut sim = begin();
        sim.card("front-reader", STAFF);
        way(&mut sim);
        sim.wait(ms(300));
        sim.card("front-reader", VISITOR);
        assert!(
            sim.denials().iter().any(|reason| reason.starts_with("escort:")),
            "way {n}\n{}",
            sim.log()
        );
    }
}

#[test]
fn any_of_those_who_came_is_the_first_of_the_day_as_long_as_they_are_of_the_group() {
    let mut site = house();
    site.doors.get_mut(&id("front")).expect("the door").hold = When::Never;
    let mut sim = Sim::new(site);
    let mut all = people();
    let person = |blocked| {
        Change::Person(Person {
            blocked,
            groups: [id("staff")].into(),
            id: id("bob"),
            valid: Validity::default(),
        })
    };
    all.apply(person(false));
    all.apply(Change::Credential(Credential {
        doors: [].into(),
        id: id("c-bob"),
        person: Some(id("bob")),
        proof: Proof::Card(CardKey::parse("200,00003").expect("a card")),
        uses: None,
        valid: Validity::default(),
        when: When::Always,
    }));
    sim.site.restore_people(all);
    sim.wait(ms(10));
    sim.card("front-reader", STAFF);
    sim.wait(secs(10));
    sim.card("front-reader", "26:200,00003");
    sim.input(Input::People(vec![person(true)]));
    sim.wait(secs(10));
    // the schedule begins: the one who came last may not any more, the other one is there
    sim.reload(house());
    sim.wait(ms(10));
    assert!(is_held(&sim), "{}", sim.log());
}
