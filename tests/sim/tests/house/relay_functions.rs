//! What relays tell that open nothing: commands, light, lamps, lines, mains; each delayed or turned over.

use gateway_core::{Command, LegCommand, LegEvent, LegId, Peer, Refusal, RelaySet};
use gateway_site::{
    Decision, Input, InputParams, LampShows, LightParams, RelayFunction, RelayParams, Schedule, Schedules,
    SiteParams, When,
};
use sim::{Phone, Sim, first_door, id, ms, secs, wall};

/// The first door, with one relay `lamp` and an input `motion`.
fn house(relay: RelayParams) -> SiteParams {
    let mut site = first_door();
    let wire = InputParams {
        debounce: ms(0),
        simulated: false,
    };
    site.inputs.insert(id("motion"), wire);
    site.relays.insert(id("lamp"), relay);
    site
}

fn tells(function: RelayFunction) -> RelayParams {
    RelayParams::new(id("lamp-output"), function)
}

fn command(longest: Option<u64>) -> RelayParams {
    tells(RelayFunction::Command {
        longest: longest.map(secs),
    })
}

fn light() -> LightParams {
    LightParams {
        doors: [].into(),
        inputs: [].into(),
        panels: [].into(),
        time: secs(60),
        when: When::Always,
    }
}

fn lamp(shows: LampShows) -> RelayParams {
    tells(RelayFunction::Lamp {
        panel: id("main"),
        shows: [shows].into(),
    })
}

fn lit(sim: &Sim) -> bool {
    sim.site.relays()[&id("lamp-output")]
}

fn set(sim: &mut Sim, number: u32, set: RelaySet) -> Decision {
    let relay = id("lamp");
    sim.command(&format!("set-{number}"), Command::SetRelay { relay, set })
}

/// The house at a time when a schedule `now` is in force for another hour at most.
fn now_only(light: LightParams) -> SiteParams {
    let mut site = house(tells(RelayFunction::Light(LightParams {
        when: When::In(id("now")),
        ..light
    })));
    let begin = wall(Sim::new(first_door()).now()).to_zoned(jiff::tz::TimeZone::UTC);
    let line = format!("daily {:02}:00-{:02}:00", begin.hour(), begin.hour() + 1);
    let schedule = Schedule::new(&[line.parse().expect("times")], vec![], vec![]);
    site.schedules = Schedules::new(jiff::tz::TimeZone::UTC, [(id("now"), schedule)].into());
    site
}

fn calls(sim: &mut Sim, number: u64) -> LegId {
    let leg = LegId((1 << 40) + number);
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: Some(id("pbx")),
        leg,
        panel: id("main"),
        peer: Peer {
            address: "sip:1000@pbx.example".into(),
            foreign: false,
            display: None,
            trusted: true,
            withheld: false,
        },
    }));
    leg
}

fn hang_up(sim: &mut Sim, leg: LegId) {
    let (cause, detail) = (gateway_core::Cause::Normal, String::new());
    sim.input(Input::Leg(LegEvent::Ended { cause, leg, detail }));
}

#[test]
fn a_command_sets_a_relay_and_a_restart_brings_it_to_rest() {
    let mut sim = Sim::new(house(command(None)));
    for (number, (how, after)) in [
        (RelaySet::On, true),
        (RelaySet::On, true),
        (RelaySet::Toggle, false),
        (RelaySet::Toggle, true),
        (RelaySet::Off, false),
        (RelaySet::For(secs(30)), true),
    ]
    .into_iter()
    .enumerate()
    {
        let number = u32::try_from(number).expect("few");
        assert!(matches!(set(&mut sim, number, how), Decision::Accepted { .. }));
        assert_eq!(lit(&sim), after, "{how}: {}", sim.log());
    }
    sim.wait(ms(29_900));
    assert!(lit(&sim), "{}", sim.log());
    sim.wait(ms(200));
    assert!(!lit(&sim), "{}", sim.log());
    // what is on until further notice is not kept
    set(&mut sim, 99, RelaySet::On);
    sim.wait(secs(3600));
    assert!(lit(&sim));
    sim.restart();
    assert!(!lit(&sim), "{}", sim.log());
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn a_relay_goes_off_after_the_longest_time_that_it_may_be_on() {
    let mut sim = Sim::new(house(command(Some(180))));
    for (number, how) in [(1, RelaySet::On), (2, RelaySet::For(secs(900)))] {
        set(&mut sim, number, how);
        sim.wait(secs(179));
        assert!(lit(&sim), "{}", sim.log());
        sim.wait(secs(2));
        assert!(!lit(&sim), "{}", sim.log());
    }
}

#[test]
fn nobody_sets_a_relay_that_tells_something_by_itself_nor_opens_one_that_is_set() {
    let mut sim = Sim::new(house(tells(RelayFunction::MainsFault { input: id("motion") })));
    let said = set(&mut sim, 1, RelaySet::On);
    assert!(
        matches!(&said, Decision::Refused { reason: Refusal::Relay, text } if text.contains("mains-fault")),
        "{said:?}"
    );
    let mut sim = Sim::new(house(command(None)));
    let said = sim.command("open", Command::Open { door: id("lamp") });
    assert!(
        matches!(
            said,
            Decision::Refused {
                reason: Refusal::Relay,
                ..
            }
        ),
        "{said:?}"
    );
    let unknown = Command::SetRelay {
        relay: id("siren"),
        set: RelaySet::On,
    };
    let said = sim.command("siren", unknown);
    assert!(
        matches!(
            said,
            Decision::Refused {
                reason: Refusal::Unknown,
                ..
            }
        ),
        "{said:?}"
    );
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn lost_mains_are_told_after_two_seconds_and_so_is_an_input_that_nobody_reads() {
    let mut sim = Sim::new(house(tells(RelayFunction::MainsFault { input: id("motion") })));
    sim.wait(secs(60));
    assert!(!lit(&sim));
    sim.edge("motion", true);
    sim.wait(ms(1900));
    assert!(!lit(&sim));
    sim.wait(ms(200));
    assert!(lit(&sim), "{}", sim.log());
    sim.edge("motion", false);
    assert!(!lit(&sim), "{}", sim.log());
    sim.signal(sim.now(), false, gateway_core::SignalKind::Unread(id("motion")));
    sim.wait(secs(3));
    assert!(lit(&sim), "{}", sim.log());
}

#[test]
fn a_line_is_seized_from_the_first_invite_for_its_hold_or_until_the_call_ends() {
    let seized = |hold: Option<u64>, panels: &[&str]| {
        let mut sim = Sim::new(house(tells(RelayFunction::LineSeized {
            hold: hold.map(secs),
            panels: panels.iter().map(|panel| id(panel)).collect(),
        })));
        sim.phone("1000", Phone::Answers(secs(3)));
        sim.wait(ms(10));
        sim
    };
    // for 5 s of a call that is longer
    let mut sim = seized(Some(5), &[]);
    sim.press("bell");
    assert!(
        sim.legs.iter().any(|leg| matches!(leg, LegCommand::Offer { .. })) && lit(&sim),
        "{}",
        sim.log()
    );
    sim.wait(ms(4700));
    assert!(lit(&sim), "{}", sim.log());
    sim.wait(ms(200));
    assert!(!lit(&sim), "{}", sim.log());

    // and of one that is shorter
    let mut sim = seized(Some(9), &["main"]);
    sim.press("bell");
    sim.wait(secs(4));
    let leg = sim.leg_of("1000");
    assert!(lit(&sim));
    hang_up(&mut sim, leg);
    assert!(!lit(&sim), "{}", sim.log());

    // until it is hung up, and of a call that comes in
    let mut sim = seized(None, &["main"]);
    sim.press("bell");
    sim.wait(secs(60));
    let leg = sim.leg_of("1000");
    assert!(lit(&sim), "{}", sim.log());
    hang_up(&mut sim, leg);
    assert!(!lit(&sim), "{}", sim.log());
    sim.wait(secs(1));
    let leg = calls(&mut sim, 1);
    assert!(lit(&sim), "{}", sim.log());
    // a second one is refused, and changes nothing
    calls(&mut sim, 2);
    sim.wait(secs(2));
    hang_up(&mut sim, leg);
    assert!(!lit(&sim), "{}", sim.log());

    // another panel's
    let mut sim = seized(None, &["toys"]);
    sim.press("bell");
    assert!(!lit(&sim), "{}", sim.log());
}

#[test]
fn a_ring_an_opening_and_a_movement_light_the_door_and_begin_the_time_anew() {
    let mut sim = Sim::new(house(tells(RelayFunction::Light(LightParams {
        doors: [id("front")].into(),
        inputs: [id("motion")].into(),
        panels: [id("main")].into(),
        ..light()
    }))));
    sim.wait(ms(10));
    let dark_after = |sim: &mut Sim, time: u64| {
        sim.wait(ms(10));
        assert!(lit(sim), "{}", sim.log());
        sim.wait(secs(time - 1));
        assert!(lit(sim), "{}", sim.log());
        sim.wait(secs(2));
        assert!(!lit(sim), "{}", sim.log());
    };
    sim.press("bell");
    dark_after(&mut sim, 60);
    sim.card("front-reader", "26:123,04567");
    dark_after(&mut sim, 60);
    sim.edge("motion", true);
    sim.wait(secs(600));
    assert!(lit(&sim), "{}", sim.log());
    sim.edge("motion", false);
    sim.wait(secs(30));
    sim.edge("motion", true);
    sim.wait(secs(1));
    sim.edge("motion", false);
    dark_after(&mut sim, 60);
}

#[test]
fn a_light_keeps_to_its_schedule_and_without_anything_else_follows_it() {
    let mut sim = Sim::new(now_only(LightParams {
        inputs: [id("motion")].into(),
        ..light()
    }));
    sim.edge("motion", true);
    assert!(lit(&sim), "{}", sim.log());
    // what began in time goes on
    sim.wait(secs(2 * 3600));
    assert!(lit(&sim), "{}", sim.log());
    sim.edge("motion", false);
    sim.wait(secs(61));
    assert!(!lit(&sim), "{}", sim.log());
    sim.edge("motion", true);
    assert!(!lit(&sim), "it is another time: {}", sim.log());

    let mut sim = Sim::new(now_only(light()));
    sim.wait(secs(1));
    assert!(lit(&sim), "{}", sim.log());
    sim.wait(secs(2 * 3600));
    assert!(!lit(&sim), "{}", sim.log());
    // by a clock that nobody believes it is lit
    sim.input(Input::ClockStep {
        step_ms: 0,
        trusted: false,
    });
    assert!(lit(&sim), "{}", sim.log());
}

#[test]
fn lamps_show_press_talk_hold_relay_and_what_is_in_use() {
    let watch = |shows: LampShows| {
        let mut sim = Sim::new(house(lamp(shows)));
        sim.phone("1000", Phone::Answers(secs(3)));
        sim.wait(ms(10));
        let mut seen = vec![lit(&sim)];
        sim.press("bell");
        seen.push(lit(&sim));
        sim.wait(secs(4));
        seen.push(lit(&sim));
        let leg = sim.leg_of("1000");
        for held in [true, false] {
            sim.input(Input::Leg(LegEvent::Held { held, leg }));
            seen.push(lit(&sim));
        }
        sim.digit(leg, '9');
        sim.wait(ms(100));
        seen.push(lit(&sim));
        sim.wait(secs(10));
        seen.push(lit(&sim));
        seen
    };
    //                   rest   press  talk   held   on     opens  over
    for (shows, want) in [
        (LampShows::Press, [false, true, false, false, false, false, false]),
        (LampShows::Talk, [false, false, true, true, true, true, false]),
        (LampShows::Hold, [false, false, false, true, false, false, false]),
        (LampShows::Relay, [false, false, false, false, false, true, false]),
        (LampShows::Io, [false, false, false, false, false, true, false]),
        (LampShows::Incoming, [false; 7]),
    ] {
        assert_eq!(watch(shows), want, "{shows:?}");
    }
    // a call that comes in, and a button that is held
    let mut sim = Sim::new(house(lamp(LampShows::Incoming)));
    sim.wait(ms(10));
    let leg = calls(&mut sim, 1);
    assert!(lit(&sim), "{}", sim.log());
    hang_up(&mut sim, leg);
    assert!(!lit(&sim), "{}", sim.log());
    let mut sim = Sim::new(house(lamp(LampShows::Io)));
    sim.wait(ms(10));
    for active in [true, false] {
        sim.edge("bell", active);
        assert_eq!(lit(&sim), active, "{}", sim.log());
    }
}

#[test]
fn who_holds_a_call_again_and_again_makes_no_lamp_flicker_for_ever() {
    let mut sim = Sim::new(house(lamp(LampShows::Hold)));
    sim.phone("1000", Phone::Answers(secs(1)));
    sim.wait(ms(10));
    sim.press("bell");
    sim.wait(secs(2));
    let leg = sim.leg_of("1000");
    for _ in 0..200 {
        for held in [true, false] {
            sim.input(Input::Leg(LegEvent::Held { held, leg }));
        }
        sim.wait(ms(10));
    }
    let switched = sim.kinds().iter().filter(|k| *k == "relay.switched").count();
    assert!((2..=10).contains(&switched), "{switched}: {}", sim.log());
}

#[test]
fn a_delay_waits_and_a_bistable_relay_is_turned_over() {
    let mut delayed = command(None);
    delayed.delay = secs(5);
    let mut sim = Sim::new(house(delayed));
    set(&mut sim, 1, RelaySet::For(secs(10)));
    sim.wait(ms(4900));
    assert!(!lit(&sim));
    sim.wait(ms(200));
    assert!(lit(&sim), "{}", sim.log());
    // its time begins with it
    sim.wait(ms(9700));
    assert!(lit(&sim), "{}", sim.log());
    sim.wait(ms(300));
    assert!(!lit(&sim), "{}", sim.log());
    // and what is over before that is not told
    set(&mut sim, 2, RelaySet::On);
    sim.wait(secs(4));
    set(&mut sim, 3, RelaySet::Off);
    sim.wait(secs(60));
    assert!(!lit(&sim), "{}", sim.log());

    let mut turned = tells(RelayFunction::Light(LightParams {
        inputs: [id("motion")].into(),
        time: secs(1),
        ..light()
    }));
    turned.bistable = true;
    let mut sim = Sim::new(house(turned));
    for after in [true, false, true] {
        sim.edge("motion", true);
        assert_eq!(lit(&sim), after, "{}", sim.log());
        sim.edge("motion", false);
        sim.wait(secs(600));
        assert_eq!(lit(&sim), after, "{}", sim.log());
    }
    sim.restart();
    assert!(!lit(&sim), "{}", sim.log());
}

#[test]
fn another_file_keeps_what_is_set_only_if_the_relay_is_the_same() {
    let mut sim = Sim::new(house(command(None)));
    set(&mut sim, 1, RelaySet::On);
    let mut same = house(command(None));
    same.name = "Another name".into();
    sim.reload(same);
    assert!(lit(&sim), "{}", sim.log());
    sim.reload(house(command(Some(60))));
    assert!(!lit(&sim), "{}", sim.log());
}
