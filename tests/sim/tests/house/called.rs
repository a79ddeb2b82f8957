//! Calls to the door that ring before they are answered: after some seconds, or until somebody presses.

use gateway_core::{Cause, LegCommand, LegEvent, LegId, LineCommand, LineSignal, LineState, Peer, Tone};
use gateway_site::{Answer, CallIn, Input, SiteParams};
use sim::{Phone, Sim, first_door, id, ms, secs};

const RECEPTION: &str = "sip:1000@pbx.example";
const CALLER: LegId = LegId(1 << 40);
const SECOND: LegId = LegId((1 << 40) + 1);

fn house(answer: Answer) -> SiteParams {
    let mut site = first_door();
    site.panels.get_mut(&id("main")).expect("the panel").answer = answer;
    site
}

fn by_press() -> SiteParams {
    house(Answer::ByPress(secs(30)))
}

/// A house that somebody has called.
fn called(site: SiteParams) -> Sim {
    let mut sim = Sim::new(site);
    sim.phone("1000", Phone::Rings);
    call(&mut sim, CALLER);
    sim
}

fn call(sim: &mut Sim, leg: LegId) {
    call_at(sim, leg, "main");
}

fn call_at(sim: &mut Sim, leg: LegId, panel: &str) {
    call_as(sim, leg, panel, false);
}

fn call_as(sim: &mut Sim, leg: LegId, panel: &str, at_once: bool) {
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once,
        account: Some(id("pbx")),
        leg,
        panel: id(panel),
        peer: Peer {
            address: RECEPTION.into(),
            foreign: false,
            display: None,
            trusted: true,
            withheld: false,
        },
    }));
    sim.wait(ms(10));
}

fn hangs_up(sim: &mut Sim, leg: LegId) {
    sim.input(Input::Leg(LegEvent::Ended {
        cause: Cause::Cancelled,
        detail: String::new(),
        leg,
    }));
    sim.wait(ms(10));
}

fn says(sim: &Sim, command: &LegCommand) -> bool {
    sim.legs.contains(command)
}

fn rings(sim: &Sim) -> bool {
    says(sim, &LegCommand::Ringing { leg: CALLER })
}

fn answered(sim: &Sim) -> bool {
    says(sim, &LegCommand::Answer { leg: CALLER })
}

fn refused(sim: &Sim, leg: LegId) -> Option<Cause> {
    sim.legs.iter().find_map(|command| {
        if let LegCommand::End { leg: of, cause } = command {
            (*of == leg).then_some(*cause)
        } else {
            None
        }
    })
}

fn offers(sim: &Sim) -> usize {
    let offer = |leg: &&LegCommand| matches!(leg, LegCommand::Offer { .. });
    sim.legs.iter().filter(offer).count()
}

fn riser(sim: &Sim) -> LineState {
    let lines = sim.site.view().lines;
    lines
        .iter()
        .find(|line| line.id == id("riser"))
        .expect("the line")
        .state
}

#[test]
fn a_call_rings_for_its_seconds_and_has_the_line_from_the_answer_on() {
    let mut sim = called(house(Answer::After(secs(5))));
    assert!(rings(&sim) && !answered(&sim), "{}", sim.log());
    sim.wait(secs(4));
    assert_eq!(riser(&sim), LineState::Idle);
    assert!(!answered(&sim), "{}", sim.log());
    sim.wait(secs(2));
    assert!(answered(&sim), "{}", sim.log());
    assert_eq!(riser(&sim), LineState::Ours);
    sim.digit(CALLER, '9');
    sim.wait(ms(100));
    assert_eq!(sim.pulses.len(), 1, "a listed caller opens: {}", sim.log());
    hangs_up(&mut sim, CALLER);
    assert_eq!(riser(&sim), LineState::Idle);
}

#[test]
fn a_visitor_goes_before_a_call_that_rings_and_a_second_call_finds_it_busy() {
    let mut sim = called(house(Answer::After(secs(5))));
    call(&mut sim, SECOND);
    assert_eq!(refused(&sim, SECOND), Some(Cause::Busy), "{}", sim.log());
    let ring = sim.press("bell").expect("a ring");
    assert_eq!(refused(&sim, CALLER), Some(Cause::Busy), "{}", sim.log());
    assert_eq!(offers(&sim), 1, "the list is called: {}", sim.log());
    sim.wait(secs(10));
    assert!(!answered(&sim), "{}", sim.log());
    assert_eq!(riser(&sim), LineState::Ringing);
    assert!(sim.site.view().calls.iter().any(|call| call.ring == ring));
}

#[test]
fn a_press_answers_the_call_that_waits_for_it_and_calls_nobody() {
    let mut sim = called(by_press());
    sim.wait(secs(10));
    assert!(rings(&sim) && !answered(&sim), "{}", sim.log());
    sim.press("bell");
    assert!(answered(&sim), "{}", sim.log());
    sim.wait(secs(1));
    assert_eq!(offers(&sim), 0, "{}", sim.log());
    assert_eq!(riser(&sim), LineState::Ours);
    assert_eq!(
        sim.told("panel.pressed-again", "means"),
        ["answer"],
        "{}",
        sim.log()
    );
    assert!(!sim.kinds().contains(&"panel.ring".to_owned()), "{}", sim.log());
    // whoever pressed knows of the talk, and stays in it when he leans on the button
    sim.press("bell");
    sim.wait(secs(70));
    assert_eq!((riser(&sim), offers(&sim)), (LineState::Ours, 0), "{}", sim.log());
    let tone = (id("riser"), LineCommand::Tone(Tone::LookIn));
    assert!(!sim.lines.contains(&tone), "{}", sim.log());
    sim.digit(CALLER, '9');
    sim.wait(ms(100));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_press_in_the_talk_that_a_press_answered_ends_it_where_the_button_says_so() {
    let mut site = by_press();
    let main = site.panels.get_mut(&id("main")).expect("the panel");
    main.buttons.get_mut(&id("bell")).expect("the bell").hangs_up = true;
    let mut sim = called(site);
    sim.press("bell");
    sim.wait(secs(1));
    sim.press("bell");
    sim.wait(secs(1));
    assert_eq!(refused(&sim, CALLER), Some(Cause::Released), "{}", sim.log());
    assert_eq!((riser(&sim), offers(&sim)), (LineState::Idle, 0), "{}", sim.log());
    assert_eq!(
        sim.told("panel.pressed-again", "means"),
        ["answer", "hang-up"],
        "{}",
        sim.log()
    );
}

#[test]
fn a_caller_who_waits_too_long_or_gives_up_leaves_the_bell_as_it_was() {
    for gives_up in [false, true] {
        let mut sim = called(by_press());
        sim.wait(secs(20));
        if gives_up {
            hangs_up(&mut sim, CALLER);
        } else {
            sim.wait(secs(11));
            assert_eq!(refused(&sim, CALLER), Some(Cause::NoAnswer), "{}", sim.log());
        }
        let ring = sim.press("bell");
        assert!(ring.is_some() && offers(&sim) == 1, "{}", sim.log());
        assert_eq!(riser(&sim), LineState::Ringing);
        assert!(!answered(&sim), "{}", sim.log());
    }
}

#[test]
fn the_line_of_a_call_that_rings_is_whoever_takes_its() {
    for (signal, state) in [
        (LineSignal::HandsetLifted, LineState::Handset),
        (LineSignal::BusyOther, LineState::BusyOther),
        (LineSignal::Fault, LineState::Fault),
    ] {
        for site in [by_press(), house(Answer::After(secs(9)))] {
            let mut sim = called(site);
            sim.line("riser", signal);
            let cause = if signal == LineSignal::Fault {
                Cause::Unavailable
            } else {
                Cause::Busy
            };
            assert_eq!(refused(&sim, CALLER), Some(cause), "{}", sim.log());
            sim.wait(secs(10));
            assert_eq!(riser(&sim), state, "{}", sim.log());
            assert!(!answered(&sim), "{}", sim.log());
        }
    }
}

/// A panel whose talk path is there in a ring only rings over its wires: that ring is the press.
#[test]
fn a_line_that_needs_a_ring_is_called_and_answered_by_one() {
    let mut site = by_press();
    site.lines.get_mut(&id("riser")).expect("the line").call_in = CallIn::None;
    let main = site.panels.get_mut(&id("main")).expect("the panel");
    main.buttons.get_mut(&id("bell")).expect("the bell").input = None;
    let mut sim = called(site.clone());
    sim.line("riser", LineSignal::Ring);
    sim.wait(secs(1));
    assert!(answered(&sim), "{}", sim.log());
    assert_eq!((riser(&sim), offers(&sim)), (LineState::Ours, 0), "{}", sim.log());
    hangs_up(&mut sim, CALLER);
    sim.wait(secs(1));
    assert_eq!(riser(&sim), LineState::Idle, "{}", sim.log());

    // answered after some seconds it would need what it cannot do
    site.panels.get_mut(&id("main")).expect("the panel").answer = Answer::After(secs(5));
    let sim = called(site);
    assert_eq!(refused(&sim, CALLER), Some(Cause::Refused), "{}", sim.log());
}

#[test]
fn a_simulated_press_answers_and_the_caller_opens_no_real_door() {
    for (door, opened) in [("front", 0), ("toy", 1)] {
        let mut site = first_door();
        let toys = site.panels.get_mut(&id("toys")).expect("the panel");
        (toys.answer, toys.doors) = (Answer::ByPress(secs(30)), vec![id(door)]);
        let mut sim = Sim::new(site);
        call_at(&mut sim, CALLER, "toys");
        sim.press("toy-bell");
        sim.wait(secs(1));
        assert!(answered(&sim), "{}", sim.log());
        sim.digit(CALLER, '9');
        sim.wait(ms(100));
        assert_eq!(sim.pulses.len(), opened, "{door}: {}", sim.log());
    }
}

#[test]
fn who_asks_to_be_answered_at_once_waits_for_no_seconds_but_for_a_press() {
    for (site, answers) in [(house(Answer::After(secs(9))), true), (by_press(), false)] {
        let mut sim = Sim::new(site);
        call_as(&mut sim, CALLER, "main", true);
        assert_eq!(
            (answered(&sim), rings(&sim)),
            (answers, !answers),
            "{}",
            sim.log()
        );
    }
}
