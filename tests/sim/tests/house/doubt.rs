//! What the gateway does not do while it cannot be sure: of the date, or of the wire behind a name.

use gateway_core::{Command, CommandId, CommandRequest, Factor, Given, Origin, Refusal, Subject};
use gateway_site::{Decision, GuardReport, Input};
use sim::{Sim, first_door, id, ms, secs, wall};

fn dated(sim: &Sim, name: &str, factor: Factor) -> CommandRequest {
    open(name, factor, Given::At(wall(sim.now())))
}

fn open(name: &str, factor: Factor, given: Given) -> CommandRequest {
    CommandRequest {
        command: Command::Open { door: id("front") },
        given,
        id: CommandId::new(name).expect("an id"),
        origin: Origin {
            factor,
            may_simulate: false,
            subject: Subject::Integration("ha".into()),
        },
        stale_by_transport: false,
    }
}

fn refused(decision: &Decision) -> Option<(Refusal, &str)> {
    match decision {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, text } => Some((*reason, text)),
    }
}

#[test]
fn a_dated_command_waits_for_a_clock_that_is_believed_and_cards_exits_and_people_do_not() {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(60));
    let doubt = |trusted| Input::ClockStep { step_ms: 0, trusted };
    sim.input(doubt(false));
    assert!(
        sim.kinds().iter().any(|kind| kind == "gateway.clock"),
        "{}",
        sim.log()
    );
    for (name, factor) in [("a", Factor::Mqtt), ("a2", Factor::Api)] {
        let decision = sim.request(dated(&sim, name, factor));
        let (reason, text) = refused(&decision).expect("its date says nothing");
        assert_eq!(reason, Refusal::Stale);
        assert!(text.contains("clock"), "{text}");
    }
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());

    // somebody waits for the answer
    let live = open("b", Factor::Web, Given::Live(sim.now()));
    assert_eq!(refused(&sim.request(live)), None);
    sim.wait(secs(5));
    sim.edge("front-rex", true);
    sim.edge("front-rex", false);
    sim.wait(secs(5));
    assert_eq!(sim.pulses.len(), 2, "{}", sim.log());

    sim.input(doubt(true));
    assert_eq!(refused(&sim.request(dated(&sim, "c", Factor::Mqtt))), None);
    assert_eq!(sim.pulses.len(), 3, "{}", sim.log());
}

#[test]
fn an_output_that_is_another_wire_to_the_guard_is_told_once_and_opened_by_nobody_who_can_wait() {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(60));
    let output: gateway_core::OutputId = id("front-strike");
    let told = |sim: &Sim| sim.kinds().iter().filter(|kind| *kind == "gateway.guard").count();
    let before = told(&sim);
    let wired = |differently| Input::Guard(GuardReport::Wired { differently });
    for _ in 0..2 {
        sim.input(wired(vec![output.clone()]));
    }
    assert_eq!(told(&sim), before + 1, "{}", sim.log());
    let view = sim.site.view();
    assert!(
        !view
            .doors
            .iter()
            .any(|door| door.id == id("front") && door.available)
    );
    let part = format!("output:{output}");
    assert!(
        view.faults
            .iter()
            .any(|f| f.part == part && f.text.contains("start the guard anew")),
        "{view:?}"
    );
    let decision = sim.request(dated(&sim, "a", Factor::Api));
    let (reason, text) = refused(&decision).expect("it would be another door");
    assert_eq!(reason, Refusal::Fault);
    assert!(text.contains("another wire"), "{text}");
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    // an exit is asked for all the same: the guard has the last word
    sim.edge("front-rex", true);
    sim.wait(ms(10));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());

    sim.wait(secs(10));
    sim.input(wired(vec![]));
    assert_eq!(told(&sim), before + 2, "{}", sim.log());
    assert!(sim.site.view().doors.iter().all(|door| door.available));
    assert_eq!(refused(&sim.request(dated(&sim, "b", Factor::Api))), None);
}

#[test]
fn a_strike_that_nobody_asked_for_or_that_let_go_is_on_record_at_its_door_each_time() {
    let mut sim = Sim::new(first_door());
    let text = "front-strike was energised without a lease".to_owned();
    let output = || id("front-strike");
    for report in [
        GuardReport::Unasked {
            output: output(),
            text: text.clone(),
        },
        GuardReport::LetGo {
            output: output(),
            text: text.clone(),
        },
    ] {
        sim.input(Input::Guard(report));
    }
    sim.input(Input::Guard(GuardReport::Unasked {
        output: id("siren"),
        text: String::new(),
    }));
    let told = format!("door.lock-fault front, text {text}");
    assert_eq!(sim.told("door.lock-fault", "text"), [told.clone(), told]);
    // it opens as ever
    sim.card("front-reader", "26:123,04567");
    assert!(
        sim.kinds().iter().any(|kind| kind == "door.granted"),
        "{}",
        sim.log()
    );
}
