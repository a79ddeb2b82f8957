//! Lines that say whom their panel rings: apartments that are served have their own numbers, others leave no trace.

use gateway_core::{Bell, Cause, Command, LegCommand, LineCommand, LineSignal};
use gateway_site::{ButtonParams, LockOwner, OpenWhen, SiteParams};
use sim::{Phone, Sim, first_door, id, ms, secs};

/// The panel serves apartments 12 and 13 and the bell at the door of one of them, beside its button.
fn house() -> SiteParams {
    let mut site = first_door();
    let reception = site.lists[&id("reception")].clone();
    let panel = site.panels.get_mut(&id("main")).expect("the panel");
    for (button, bell, address) in [
        ("apartment-12", Bell::Apartment(12), "5012"),
        ("apartment-13", Bell::Apartment(13), "5013"),
        ("floor", Bell::Floor, "5099"),
    ] {
        let mut list = reception.clone();
        list.targets.truncate(1);
        list.targets[0].address = address.to_owned();
        site.lists.insert(id(button), list);
        let params = ButtonParams {
            bell: Some(bell),
            ..ButtonParams::calling(id(button), button)
        };
        panel.buttons.insert(id(button), params);
    }
    site
}

fn called(sim: &Sim) -> Vec<String> {
    let mut called = Vec::new();
    for leg in &sim.legs {
        if let LegCommand::Offer { target, .. } = leg {
            called.push(target.clone());
        }
    }
    called
}

#[test]
fn a_bell_calls_the_number_of_its_apartment() {
    for (bell, number) in [
        (Bell::Apartment(12), "5012"),
        (Bell::Apartment(13), "5013"),
        (Bell::Floor, "5099"),
    ] {
        let mut sim = Sim::new(house());
        sim.wait(ms(10));
        sim.line("riser", LineSignal::RingFor(bell));
        let called = called(&sim);
        assert!(
            called.len() == 1 && called[0].contains(number),
            "{called:?}\n{}",
            sim.log()
        );
        // within its ring another press belongs to it
        sim.line("riser", LineSignal::RingFor(bell));
        assert_eq!(self::called(&sim).len(), 1, "{}", sim.log());
    }
}

/// The panel has the lock of the front door, and opens it for whom it rings.
fn site_of_panel() -> SiteParams {
    let mut site = house();
    site.lines.get_mut(&id("riser")).expect("the line").open_when = OpenWhen::Ringing;
    site.doors.get_mut(&id("front")).expect("the door").owner = LockOwner::Panel;
    site
}

fn panel_opens() -> Sim {
    let mut sim = Sim::new(site_of_panel());
    for number in ["5012", "5013", "5099", "1000"] {
        sim.phone(number, Phone::Answers(secs(1)));
    }
    sim.wait(ms(10));
    sim
}

#[test]
fn who_opens_in_a_ring_without_a_talk_answers_it_for_the_press_where_that_takes_somebody_off_hook() {
    for hook_to_open in [false, true] {
        let mut site = site_of_panel();
        site.lines.get_mut(&id("riser")).expect("the line").hook_to_open = hook_to_open;
        let mut sim = Sim::new(site);
        sim.phone("5012", Phone::Rings);
        sim.wait(ms(10));
        sim.line("riser", LineSignal::RingFor(Bell::Apartment(12)));
        sim.wait(ms(500));
        sim.command("one", Command::Open { door: id("front") });
        assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
        let riser = |command| (id("riser"), command);
        let lifted = match hook_to_open {
            false => vec![],
            true => vec![riser(LineCommand::Seize)],
        };
        assert_eq!(sim.lines, lifted, "{}", sim.log());
        sim.wait(secs(10));
        if hook_to_open {
            assert_eq!(
                sim.lines,
                [riser(LineCommand::Seize), riser(LineCommand::Release)],
                "{}",
                sim.log()
            );
            // the panel's call was answered, and is over
            assert_eq!(count(&sim, "panel.ring-ended"), 1, "{}", sim.log());
        }
    }
}

fn count(sim: &Sim, kind: &str) -> usize {
    sim.kinds().iter().filter(|of| *of == kind).count()
}

#[test]
fn a_floor_call_that_is_answered_while_another_panel_has_the_line_leaves_it_alone() {
    for signal in [
        LineSignal::BusyOther,
        LineSignal::Fault,
        LineSignal::HandsetLifted,
        LineSignal::Idle,
    ] {
        let mut sim = panel_opens();
        sim.line("riser", signal);
        let states = count(&sim, "line.state");
        sim.line("riser", LineSignal::RingFor(Bell::Floor));
        sim.wait(secs(2));
        assert_eq!(count(&sim, "call.answered"), 1, "{signal:?}\n{}", sim.log());
        let leg = sim.leg_of("5099");
        sim.digit(leg, '9');
        assert!(sim.pulses.is_empty(), "{signal:?}\n{}", sim.log());
        let rings = sim.told("panel.ring", "button");
        assert_eq!(rings, ["floor"], "{}", sim.log());
        let open = Command::OpenFor {
            door: id("front"),
            ring: sim.records.iter().find_map(|e| e.ring).expect("a ring"),
        };
        sim.command("one", open);
        assert!(sim.pulses.is_empty(), "{signal:?}\n{}", sim.log());
        assert!(
            !sim.legs.contains(&LegCommand::Connect { leg }),
            "nobody hears it"
        );
        assert!(sim.lines.is_empty(), "{signal:?}: {:?}", sim.lines);
        assert_eq!(count(&sim, "line.state"), states, "{}", sim.log());
        // it ends by its own time, and nothing of the line is given back that it never had
        sim.wait(secs(700));
        assert_eq!(count(&sim, "panel.ring-ended"), 1, "{}", sim.log());
        assert!(sim.lines.is_empty(), "{signal:?}: {:?}", sim.lines);
    }
}

#[test]
fn a_floor_call_and_a_ring_of_the_panel_are_two_calls_whichever_is_first() {
    for floor_first in [true, false] {
        let mut sim = panel_opens();
        let both = [LineSignal::RingFor(Bell::Floor), LineSignal::Ring];
        for index in [usize::from(!floor_first), usize::from(floor_first)] {
            sim.line("riser", both[index]);
            sim.wait(secs(2));
        }
        assert_eq!(count(&sim, "panel.ring"), 2, "{}", sim.log());
        assert_eq!(count(&sim, "call.answered"), 2, "{}", sim.log());
        assert_eq!(sim.lines, [(id("riser"), LineCommand::Seize)]);
        // the panel rings or talks, and yet who rang at the floor is not whom it opens for
        let (floor, street) = (sim.leg_of("5099"), sim.leg_of("1000"));
        sim.digit(floor, '9');
        assert!(sim.pulses.is_empty(), "{}", sim.log());
        sim.digit(street, '9');
        assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
        // the end of one is none of the other
        let cause = Cause::Normal;
        sim.line("riser", LineSignal::BusyOther);
        assert_eq!(count(&sim, "panel.ring-ended"), 1, "{}", sim.log());
        assert!(!sim.legs.contains(&LegCommand::End { leg: floor, cause }));
        // and another press at the floor joins its call
        sim.line("riser", LineSignal::RingFor(Bell::Floor));
        assert_eq!(count(&sim, "panel.ring"), 2, "{}", sim.log());
        assert_eq!(
            sim.told("panel.press-ignored", "reason"),
            ["joined"],
            "{}",
            sim.log()
        );
    }
}

#[test]
fn a_floor_ring_outlasts_the_ring_of_the_panel_and_a_line_that_is_lost() {
    for signal in [
        LineSignal::RingStopped,
        LineSignal::BusyOther,
        LineSignal::HandsetLifted,
        LineSignal::Fault,
    ] {
        let mut sim = panel_opens();
        sim.phone("5099", Phone::Rings);
        sim.phone("1000", Phone::Rings);
        sim.line("riser", LineSignal::RingFor(Bell::Floor));
        sim.line("riser", LineSignal::Ring);
        sim.wait(secs(1));
        sim.line("riser", signal);
        sim.wait(secs(1));
        let floor = sim.leg_of("5099");
        let ended = |leg| {
            sim.legs
                .iter()
                .any(|of| matches!(of, LegCommand::End { leg: l, .. } if *l == leg))
        };
        assert!(!ended(floor), "{signal:?}\n{}", sim.log());
        assert!(ended(sim.leg_of("1000")), "{signal:?}\n{}", sim.log());
    }
}

#[test]
fn a_panel_that_rings_another_apartment_ends_the_talk_of_the_one_before_and_its_keys() {
    let twelve = LineSignal::RingFor(Bell::Apartment(12));
    let mut sim = panel_opens();
    sim.line("riser", twelve);
    sim.wait(secs(2));
    let before = sim.leg_of("5012");
    assert!(sim.legs.contains(&LegCommand::Connect { leg: before }));
    // the same one again, which joins
    sim.line("riser", twelve);
    assert_eq!(count(&sim, "panel.ring"), 1, "{}", sim.log());
    sim.line("riser", LineSignal::RingFor(Bell::Apartment(13)));
    sim.digit(before, '9');
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    let cause = Cause::Released;
    assert!(sim.legs.contains(&LegCommand::End { leg: before, cause }));
    assert_eq!(sim.told("panel.ring", "button"), ["apartment-12", "apartment-13"]);
    sim.wait(secs(2));
    let next = sim.leg_of("5013");
    assert!(
        sim.legs.contains(&LegCommand::Connect { leg: next }),
        "{}",
        sim.log()
    );
    sim.digit(before, '9');
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    sim.digit(next, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let hooks: Vec<_> = sim.lines.iter().map(|(_, command)| *command).collect();
    assert_eq!(
        hooks,
        [LineCommand::Seize, LineCommand::Release, LineCommand::Seize]
    );
    // somebody who is not served is rung: the line says that this talk is over, and no more
    let rings = count(&sim, "panel.ring");
    sim.line("riser", LineSignal::Idle);
    assert!(sim.legs.contains(&LegCommand::End { leg: next, cause }));
    sim.digit(next, '9');
    assert_eq!((sim.pulses.len(), count(&sim, "panel.ring")), (1, rings));
}

#[test]
fn a_bell_of_somebody_who_is_not_served_is_no_ring() {
    let mut sim = Sim::new(house());
    sim.wait(ms(10));
    sim.line("riser", LineSignal::RingFor(Bell::Apartment(14)));
    assert!(called(&sim).is_empty(), "{}", sim.log());
    assert!(
        !sim.kinds().iter().any(|kind| kind == "panel.ring"),
        "{}",
        sim.log()
    );
    // and the line is free for the next one
    sim.line("riser", LineSignal::RingFor(Bell::Apartment(12)));
    assert_eq!(called(&sim).len(), 1, "{}", sim.log());
}

#[test]
fn a_line_that_does_not_say_whom_rings_the_button() {
    let mut sim = Sim::new(house());
    sim.wait(ms(10));
    sim.line("riser", LineSignal::Ring);
    let called = called(&sim);
    assert!(called.len() == 1 && called[0].contains("1000"), "{called:?}");
}
