//! Calls that somebody has the door make: nobody rings, nothing opens, and a visitor goes before them.

use gateway_core::{
    Cause, Command, LegCommand, LegEvent, LegId, LineCommand, LineId, LineSignal, LineState, Peer, Refusal,
    RingId, Tone,
};
use gateway_site::{
    ButtonMode, ButtonParams, CallIn, Decision, Input, LampShows, OutputParams, RelayFunction, RelayParams,
    SiteParams, When,
};
use sim::{Phone, Sim, first_door, id, ms, secs};

fn call(panel: &str) -> Command {
    Command::Call {
        button: None,
        panel: id(panel),
    }
}

fn begun(decision: &Decision) -> RingId {
    match decision {
        Decision::Accepted { ring } => ring.expect("a call has an id"),
        Decision::Refused { text, .. } => panic!("refused: {text}"),
    }
}

fn refused(decision: &Decision) -> (Refusal, String) {
    match decision {
        Decision::Refused { reason, text } => (*reason, text.clone()),
        Decision::Accepted { .. } => panic!("it was accepted"),
    }
}

fn sim() -> Sim {
    with(first_door())
}

fn with(params: SiteParams) -> Sim {
    let mut sim = Sim::new(params);
    sim.phone("1000", Phone::Answers(secs(4)));
    sim
}

fn riser(sim: &Sim) -> LineState {
    let lines = sim.site.view().lines;
    lines
        .iter()
        .find(|line| line.id == id("riser"))
        .expect("the line")
        .state
}

fn offers(sim: &Sim) -> usize {
    let all = sim.legs.iter();
    all.filter(|leg| matches!(leg, LegCommand::Offer { .. })).count()
}

#[test]
fn whoever_answers_talks_with_the_panel_and_nobody_has_rung() {
    let mut sim = sim();
    let ring = begun(&sim.command("a", call("main")));
    assert_eq!(
        riser(&sim),
        LineState::Idle,
        "the panel is left alone until somebody answers"
    );
    assert_eq!(sim.site.view().panels[0].ring, None);
    assert_eq!(sim.site.view().calls[0].panel, Some(id("main")));
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    assert!(sim.legs.contains(&LegCommand::Connect { leg }), "{}", sim.log());
    // whoever stands there has not rung, and is told that somebody listens
    let (line, listens): (LineId, _) = (id("riser"), LineCommand::Tone(Tone::LookIn));
    assert_eq!(sim.lines, [(line.clone(), LineCommand::Seize), (line, listens)]);
    assert_eq!(sim.site.view().calls[0].state, "talking");
    assert!(sim.pulses.is_empty(), "a call opens nothing");
    // who answers may what he may in any call of that button
    sim.digit(leg, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    sim.wait(secs(10));
    assert_eq!(riser(&sim), LineState::Idle);
    let story = sim.story(ring);
    assert_eq!(story[..3], ["call.asked", "call.leg-offered", "command.accepted"]);
    assert!(story.contains(&"call.ended".to_owned()));
    assert!(
        !sim.kinds().iter().any(|kind| kind.starts_with("panel.")),
        "{}",
        sim.log()
    );
    assert_eq!(sim.told("call.asked", "subject"), ["integration:ha"]);
    assert_eq!(sim.told("call.asked", "panel"), ["main"]);
    assert_eq!(sim.told("call.asked", "button"), ["bell"]);
}

#[test]
fn nobody_is_let_in_as_the_visitor_of_a_call_without_one() {
    let mut sim = sim();
    let ring = begun(&sim.command("a", call("main")));
    let open = Command::OpenFor {
        door: id("front"),
        ring,
    };
    refused(&sim.command("b", open));
    assert!(sim.pulses.is_empty());
    sim.command("c", Command::HangUp { ring });
    sim.wait(secs(5));
    assert!(sim.site.view().calls.is_empty());
    assert_eq!(sim.told("call.ended", "cause"), ["released"]);
}

#[test]
fn it_is_refused_by_name_where_the_panel_is_heard_in_a_ring_only() {
    let mut params = first_door();
    for line in params.lines.values_mut() {
        line.call_in = CallIn::None;
    }
    let mut sim = with(params.clone());
    let (reason, text) = refused(&sim.command("a", call("main")));
    assert_eq!(reason, Refusal::NoCall);
    assert!(
        text.contains("call-in = \"self-start\" in [lines.riser]"),
        "{text}"
    );
    assert!(!sim.site.view().panels[0].callable);
    assert_eq!(offers(&sim), 0);
    // a virtual one has no wires that could not
    assert!(sim.site.view().panels[1].callable);
    begun(&sim.command("b", call("toys")));
    sim.wait(secs(5));
    assert_eq!(sim.lines.first(), Some(&(id("toy-line"), LineCommand::Seize)));
    sim.digit(sim.leg_of("1000"), '9');
    assert_eq!(sim.pulses.len(), 1, "the toy door alone");
    // a file that takes that back keeps whoever answers from the line
    let mut sim = with(first_door());
    begun(&sim.command("a", call("main")));
    sim.reload(params);
    sim.wait(secs(5));
    assert!(sim.lines.is_empty(), "{}", sim.log());
    assert!(sim.site.view().calls.is_empty(), "{}", sim.log());
}

#[test]
fn a_call_from_a_virtual_panel_opens_no_real_door() {
    let mut params = first_door();
    params.panels.get_mut(&id("toys")).expect("the panel").doors = vec![id("front")];
    let mut sim = with(params);
    begun(&sim.command("a", call("toys")));
    sim.wait(secs(5));
    sim.digit(sim.leg_of("1000"), '9');
    assert!(sim.pulses.is_empty());
    assert!(sim.denials().iter().any(|d| d.contains("simulated")));
}

#[test]
fn unknown_names_and_several_buttons_without_a_name_call_nobody() {
    let mut params = first_door();
    let main = params.panels.get_mut(&id("main")).expect("the panel");
    main.buttons
        .insert(id("office"), ButtonParams::calling(id("reception"), "Office"));
    let mut sim = with(params);
    let (reason, text) = refused(&sim.command("a", call("main")));
    assert_eq!(reason, Refusal::Malformed);
    assert!(text.contains("bell, office"), "{text}");
    let named = |button: &str, panel: &str| Command::Call {
        button: Some(id(button)),
        panel: id(panel),
    };
    assert_eq!(
        refused(&sim.command("b", named("door", "main"))).0,
        Refusal::Unknown
    );
    assert_eq!(
        refused(&sim.command("c", named("bell", "yard"))).0,
        Refusal::Unknown
    );
    assert_eq!(offers(&sim), 0);
    begun(&sim.command("d", named("office", "main")));
}

#[test]
fn it_is_refused_while_a_ring_a_call_or_the_handset_has_the_line_and_while_it_is_faulty() {
    let busy = Refusal::LineBusy;
    let mut sim = sim();
    begun(&sim.command("a", call("main")));
    assert_eq!(
        refused(&sim.command("b", call("main"))).0,
        busy,
        "one call at a time"
    );
    sim.wait(secs(5));
    assert_eq!(refused(&sim.command("c", call("main"))).0, busy, "somebody talks");
    let mut sim = self::sim();
    sim.press("bell").expect("a ring");
    assert_eq!(refused(&sim.command("a", call("main"))).0, busy, "somebody rings");
    let mut sim = self::sim();
    sim.line("riser", LineSignal::HandsetLifted);
    assert_eq!(refused(&sim.command("a", call("main"))).0, busy, "the handset");
    sim.line("riser", LineSignal::HandsetReplaced);
    sim.line("riser", LineSignal::Fault);
    assert_eq!(refused(&sim.command("b", call("main"))).0, Refusal::Fault);
    assert_eq!(offers(&sim), 0, "{}", sim.log());
}

#[test]
fn bells_that_call_nobody_at_this_time_are_not_called_for_either() {
    let mut sim = sim();
    let quiet = Command::Quiet {
        panel: id("main"),
        time: None,
    };
    sim.command("a", quiet);
    let (reason, text) = refused(&sim.command("b", call("main")));
    assert_eq!(reason, Refusal::Forbidden);
    assert!(text.contains("do-not-disturb"), "{text}");
    let mut params = first_door();
    for button in params
        .panels
        .get_mut(&id("main"))
        .expect("the panel")
        .buttons
        .values_mut()
    {
        (button.mode, button.day) = (ButtonMode::ListForbidden, When::Never);
    }
    let mut sim = with(params.clone());
    assert_eq!(refused(&sim.command("a", call("main"))).0, Refusal::Forbidden);
    // one that opens by day does not open for a command: it calls
    for button in params
        .panels
        .get_mut(&id("main"))
        .expect("the panel")
        .buttons
        .values_mut()
    {
        (button.mode, button.day) = (ButtonMode::StrikeList, When::Always);
    }
    let mut sim = with(params);
    begun(&sim.command("a", call("main")));
    assert_eq!((offers(&sim), sim.pulses.len()), (1, 0));
}

#[test]
fn a_visitor_goes_before_it_whether_it_is_answered_or_not() {
    for answered in [false, true] {
        for by_wire in [false, true] {
            // over the wires a panel rings only while nobody talks
            if answered && by_wire {
                continue;
            }
            let mut sim = sim();
            let asked = begun(&sim.command("a", call("main")));
            sim.wait(secs(if answered { 5 } else { 1 }));
            let leg = sim.leg_of("1000");
            if by_wire {
                sim.line("riser", LineSignal::Ring);
            } else {
                sim.press("bell").expect("a ring begins");
            }
            let cause = if answered {
                Cause::Released
            } else {
                Cause::Cancelled
            };
            assert!(
                sim.legs.contains(&LegCommand::End { leg, cause }),
                "{}",
                sim.log()
            );
            assert!(sim.kinds().contains(&"panel.ring".to_owned()), "{}", sim.log());
            assert!(sim.story(asked).contains(&"call.ended".to_owned()));
            sim.wait(secs(5));
            let phone = sim.leg_of("1000");
            assert_ne!(phone, leg);
            assert_eq!(
                riser(&sim),
                LineState::Ours,
                "the visitor is heard: {}",
                sim.log()
            );
            sim.digit(phone, '9');
            assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
        }
    }
}

#[test]
fn a_handset_that_is_lifted_or_a_line_that_fails_ends_it_before_somebody_answers_in_vain() {
    for signal in [
        LineSignal::HandsetLifted,
        LineSignal::Fault,
        LineSignal::BusyOther,
    ] {
        let mut sim = sim();
        begun(&sim.command("a", call("main")));
        sim.wait(secs(1));
        sim.line("riser", signal);
        assert!(sim.site.view().calls.is_empty(), "{signal:?}: {}", sim.log());
        sim.wait(secs(10));
        assert!(sim.lines.is_empty(), "nobody has the line: {}", sim.log());
    }
}

#[test]
fn whoever_calls_the_door_meanwhile_finds_it_busy() {
    let mut sim = sim();
    begun(&sim.command("a", call("main")));
    let leg = LegId(1 << 40);
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: None,
        leg,
        panel: id("main"),
        peer: Peer::default(),
    }));
    let cause = Cause::Busy;
    assert!(
        sim.legs.contains(&LegCommand::End { leg, cause }),
        "{}",
        sim.log()
    );
    sim.wait(secs(5));
    let phone = sim.leg_of("1000");
    assert!(
        sim.legs.contains(&LegCommand::Connect { leg: phone }),
        "{}",
        sim.log()
    );
}

#[test]
fn a_lamp_of_the_bell_stays_dark_and_that_of_a_talk_does_not() {
    let mut params = first_door();
    let shows = |what| RelayFunction::Lamp {
        panel: id("main"),
        shows: [what].into(),
    };
    params.relays = [
        (
            id("bell-lamp"),
            RelayParams::new(id("r1"), shows(LampShows::Press)),
        ),
        (
            id("talk-lamp"),
            RelayParams::new(id("r2"), shows(LampShows::Talk)),
        ),
    ]
    .into();
    for output in ["r1", "r2"] {
        params
            .outputs
            .insert(id(output), OutputParams { simulated: true });
    }
    let mut sim = with(params);
    begun(&sim.command("a", call("main")));
    let lit = |sim: &Sim| -> Vec<bool> { sim.site.view().relays.iter().map(|relay| relay.active).collect() };
    sim.wait(ms(500));
    assert_eq!(lit(&sim), [false, false]);
    sim.wait(secs(5));
    assert_eq!(lit(&sim), [false, true]);
}

#[test]
fn a_list_that_nobody_answers_ends_the_call_and_leaves_the_line() {
    let mut sim = Sim::new(first_door());
    let ring = begun(&sim.command("a", call("main")));
    sim.wait(secs(60));
    assert!(sim.site.view().calls.is_empty());
    assert_eq!(sim.told("call.ended", "cause"), ["no-answer"]);
    assert_eq!((riser(&sim), sim.lines.len()), (LineState::Idle, 0));
    assert!(!sim.story(ring).iter().any(|kind| kind.starts_with("panel.")));
    // a stop ends one, too
    begun(&sim.command("b", call("main")));
    sim.input(Input::ShutDown);
    assert!(sim.site.view().calls.is_empty());
}
