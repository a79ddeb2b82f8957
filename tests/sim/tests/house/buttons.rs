//! Buttons by day and by night: they ring, open, or say no.

use gateway_core::{
    Command, DoorEvent, Event, Explain, Factor, LegCommand, LineSignal, Means, PanelEvent, Refusal, RingId,
};
use gateway_site::{
    ButtonMode, ButtonParams, Decision, Input, ListParams, Schedule, Schedules, SiteParams, When,
};
use sim::{Sim, first_door, id, ms, secs, wall};

/// Until the hour of the day is certainly over.
const EVENING: std::time::Duration = secs(2 * 3600);

/// Both bells in a mode; their day is the hour in which the simulation begins, and by night 1009 is called where the
/// mode has a list of its own for it.
fn house(mode: ButtonMode) -> SiteParams {
    let mut site = first_door();
    let begin = wall(Sim::new(first_door()).now()).to_zoned(jiff::tz::TimeZone::UTC);
    let line = format!("daily {:02}:00-{:02}:00", begin.hour(), begin.hour() + 1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("day"), schedule)].into());
    let mut night: ListParams = site.lists[&id("reception")].clone();
    night.targets.truncate(1);
    night.targets[0].address = "1009".into();
    site.lists.insert(id("guards"), night);
    for panel in site.panels.values_mut() {
        for button in panel.buttons.values_mut() {
            button.mode = mode;
            button.day = When::In(id("day"));
            button.night = (mode == ButtonMode::ListList).then(|| id("guards"));
        }
    }
    site
}

fn sim(mode: ButtonMode) -> Sim {
    let mut sim = Sim::new(house(mode));
    sim.wait(secs(1));
    sim
}

fn called(sim: &Sim) -> Vec<String> {
    let offers = sim.legs.iter().filter_map(|leg| {
        if let LegCommand::Offer { target, .. } = leg {
            Some(target.clone())
        } else {
            None
        }
    });
    offers.collect()
}

fn ignored(sim: &Sim) -> Vec<String> {
    let events = sim.records.iter().filter_map(|envelope| {
        if let Event::Panel(_, PanelEvent::PressIgnored { reason, .. }) = &envelope.event {
            Some(reason.clone())
        } else {
            None
        }
    });
    events.collect()
}

fn doubt(sim: &mut Sim) {
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
}

#[test]
fn by_night_another_list_is_called() {
    let mut sim = sim(ButtonMode::ListList);
    sim.press("bell").expect("a ring");
    assert_eq!(called(&sim), ["1000"], "{}", sim.log());
    sim.wait(EVENING);
    sim.press("bell").expect("a ring");
    assert_eq!(
        called(&sim).last().map(String::as_str),
        Some("1009"),
        "{}",
        sim.log()
    );
}

#[test]
fn while_the_clock_is_not_believed_it_is_night() {
    let mut sim = sim(ButtonMode::ListList);
    doubt(&mut sim);
    sim.press("bell").expect("a ring");
    assert_eq!(called(&sim), ["1009"], "{}", sim.log());
}

#[test]
fn a_button_that_opens_by_day_calls_nobody_and_its_ring_is_told() {
    let mut sim = sim(ButtonMode::StrikeList);
    let ring = sim.press("bell").expect("a ring");
    assert_eq!(called(&sim), Vec::<String>::new(), "{}", sim.log());
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let grant = &sim.pulses[0].grant;
    assert_eq!((grant.factor, grant.ring), (Factor::Button, Some(ring)));
    assert_eq!(grant.rule, "button bell of panel main opens within schedule day");
    let story = sim.story(ring);
    assert_eq!(
        story,
        ["door.granted", "panel.ring", "panel.ring-ended", "door.unlocked"],
        "{}",
        sim.log()
    );
    sim.wait(EVENING);
    sim.press("bell").expect("a ring");
    assert_eq!(called(&sim), ["1000"], "{}", sim.log());
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert_eq!(
        sim.denials(),
        Vec::<String>::new(),
        "by night nothing is asked for"
    );
}

#[test]
fn a_panel_that_rings_over_its_wires_opens_too_and_gets_its_line_back() {
    let mut sim = sim(ButtonMode::StrikeList);
    sim.line("riser", LineSignal::Ring);
    assert_eq!((sim.pulses.len(), called(&sim).len()), (1, 0), "{}", sim.log());
    sim.wait(EVENING);
    sim.line("riser", LineSignal::RingStopped);
    sim.line("riser", LineSignal::Ring);
    assert_eq!((sim.pulses.len(), called(&sim).len()), (1, 1), "{}", sim.log());
}

#[test]
fn a_door_that_is_not_to_be_opened_is_not_and_the_button_rings() {
    let mut sim = sim(ButtonMode::StrikeList);
    sim.command("a", Command::Lockdown { group: None });
    sim.press("bell").expect("a ring");
    assert_eq!((sim.pulses.len(), called(&sim).len()), (0, 1), "{}", sim.log());
    assert_eq!(sim.denials(), ["lockdown: the whole site is locked down"]);
}

#[test]
fn by_a_clock_that_is_not_believed_no_button_opens() {
    for day in [When::In(id("day")), When::Always] {
        let mut site = house(ButtonMode::StrikeList);
        // `check` refuses a button that opens at any time; if one comes this far, it opens by a good clock only
        let bell = site
            .panels
            .get_mut(&id("main"))
            .and_then(|p| p.buttons.get_mut(&id("bell")));
        bell.expect("the bell").day = day;
        let mut sim = Sim::new(site);
        sim.wait(secs(1));
        doubt(&mut sim);
        sim.press("bell").expect("a ring");
        assert_eq!((sim.pulses.len(), called(&sim).len()), (0, 1), "{}", sim.log());
        sim.input(Input::ClockStep {
            step_ms: 0,
            trusted: true,
        });
        sim.wait(secs(200));
        sim.press("bell").expect("a ring");
        assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    }
}

#[test]
fn a_button_held_at_the_start_or_seen_too_late_opens_nothing() {
    let mut sim = Sim::new_held(house(ButtonMode::StrikeList), &["bell"]);
    sim.wait(secs(60));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    sim.edge("bell", false);
    sim.wait(secs(60));
    let then = sim.now();
    sim.wait(secs(5));
    sim.edge_at(then, &id("bell"), true, false);
    sim.wait(secs(1));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    assert_eq!(ignored(&sim), ["stale"], "{}", sim.log());
}

#[test]
fn a_simulated_press_opens_no_door_with_a_real_output() {
    let mut site = house(ButtonMode::StrikeList);
    let bell = |site: &mut SiteParams, door: &str| {
        let panel = site.panels.get_mut(&id("toys")).expect("the panel");
        panel.buttons.get_mut(&id("bell")).expect("the bell").opens = Some(id(door));
    };
    bell(&mut site, "front");
    let mut sim = Sim::new(site.clone());
    sim.wait(secs(1));
    sim.press("toy-bell").expect("a ring");
    assert_eq!((sim.pulses.len(), called(&sim).len()), (0, 1), "{}", sim.log());
    assert_eq!(
        sim.denials(),
        ["a simulated input opens no door with a real output"]
    );
    bell(&mut site, "toy");
    let mut sim = Sim::new(site);
    sim.wait(secs(1));
    sim.press("toy-bell").expect("a ring");
    assert_eq!((sim.pulses.len(), called(&sim).len()), (1, 0), "{}", sim.log());
}

#[test]
fn a_button_opens_none_but_the_doors_of_its_panel() {
    let mut site = house(ButtonMode::StrikeList);
    let panel = site.panels.get_mut(&id("main")).expect("the panel");
    panel.buttons.get_mut(&id("bell")).expect("the bell").opens = Some(id("toy"));
    let mut sim = Sim::new(site);
    sim.wait(secs(1));
    sim.press("bell").expect("a ring");
    assert_eq!((sim.pulses.len(), called(&sim).len()), (0, 1), "{}", sim.log());
}

#[test]
fn by_night_a_forbidden_button_says_no() {
    let mut sim = sim(ButtonMode::ListForbidden);
    sim.press("bell").expect("a ring");
    assert_eq!(called(&sim), ["1000"], "{}", sim.log());
    sim.wait(EVENING);
    let before = called(&sim).len();
    assert_eq!(sim.press("bell"), None::<RingId>);
    sim.line("riser", LineSignal::Ring);
    sim.line("riser", LineSignal::RingStopped);
    assert_eq!(ignored(&sim), ["forbidden", "forbidden"], "{}", sim.log());
    let press = Command::Press {
        button: id("bell"),
        panel: id("toys"),
    };
    let said = sim.command("a", press);
    assert!(
        matches!(
            said,
            Decision::Refused {
                reason: Refusal::Forbidden,
                ..
            }
        ),
        "{said:?}"
    );
    assert_eq!(called(&sim).len(), before, "{}", sim.log());
}

#[test]
fn a_press_by_a_command_opens_nothing_where_the_button_would() {
    let mut sim = sim(ButtonMode::StrikeList);
    let press = || Command::Press {
        button: id("bell"),
        panel: id("toys"),
    };
    let said = sim.command("a", press());
    let refused =
        matches!(&said, Decision::Refused { reason: Refusal::Forbidden, text } if text.contains("toy"));
    assert!(refused, "{said:?}");
    assert_eq!((sim.pulses.len(), called(&sim).len()), (0, 0), "{}", sim.log());
    sim.wait(EVENING);
    let said = sim.command("b", press());
    assert!(matches!(said, Decision::Accepted { .. }), "{said:?}");
    assert_eq!(
        (sim.pulses.len(), called(&sim).len()),
        (0, 1),
        "by night it calls\n{}",
        sim.log()
    );
}

#[test]
fn whoever_presses_again_and_again_holds_no_coil_on() {
    let mut sim = sim(ButtonMode::StrikeList);
    for _ in 0..40 {
        sim.press("bell");
        sim.wait(secs(1));
    }
    let (mut on, mut longest) = (None, ms(0));
    for envelope in &sim.records {
        if let Event::Door(_, DoorEvent::Unlocked { .. }) = &envelope.event {
            on = Some(envelope.at);
        } else if let (Event::Door(_, DoorEvent::Relocked { .. }), Some(on)) = (&envelope.event, on) {
            longest = longest.max(envelope.at.duration_since(on).unsigned_abs());
        }
    }
    assert!(
        longest > secs(3) && longest <= secs(25),
        "{longest:?}\n{}",
        sim.log()
    );
}

#[test]
fn a_button_without_a_mode_does_what_it_did() {
    let bell = ButtonParams::calling(id("reception"), "Bell");
    assert_eq!(
        (bell.mode, bell.day, bell.opens),
        (ButtonMode::ListList, When::Always, None)
    );
}

#[test]
fn a_button_that_must_be_held_counts_after_its_time_and_a_release_at_once() {
    let mut site = first_door();
    site.presses.insert(id("bell"), secs(2));
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    let rings = |sim: &Sim| sim.kinds().iter().filter(|kind| *kind == "panel.ring").count();
    // leaned on
    for _ in 0..5 {
        sim.edge("bell", true);
        sim.wait(ms(1900));
        sim.edge("bell", false);
        sim.wait(ms(50));
    }
    assert_eq!(rings(&sim), 0, "{}", sim.log());
    sim.edge("bell", true);
    sim.wait(ms(1900));
    assert_eq!(rings(&sim), 0, "{}", sim.log());
    sim.wait(ms(200));
    assert_eq!(rings(&sim), 1, "{}", sim.log());
    // held for half of it as the gateway stood still: it must hold anew
    sim.edge("bell", false);
    sim.wait(secs(300));
    sim.edge("bell", true);
    sim.wait(secs(1));
    sim.freeze(secs(5));
    sim.edge("bell", false);
    sim.wait(secs(60));
    assert_eq!(rings(&sim), 1, "{}", sim.log());
}

#[test]
fn the_site_says_what_a_button_opens_and_when() {
    let sim = sim(ButtonMode::StrikeList);
    let said = |button: &str, at| {
        let ask = Explain {
            at,
            door: id("front"),
            means: Means::Button {
                button: id(button),
                panel: id("main"),
            },
            reader: None,
        };
        let told = sim.site.explain_to(sim.now(), wall(sim.now()), &ask);
        (told.allowed, told.rule)
    };
    let opens = "button bell of panel main opens within schedule day".to_owned();
    assert_eq!(said("bell", None), (true, opens));
    let evening = Some(wall(sim.now() + EVENING));
    assert_eq!(said("bell", evening), (false, "outside schedule day".to_owned()));
    let other = "the button does not open this door".to_owned();
    assert_eq!(said("other", None), (false, other));
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
}
