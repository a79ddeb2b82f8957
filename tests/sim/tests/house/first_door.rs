//! One door through the whole chain.

use gateway_core::{
    Cause, Command, CommandEvent, CommandId, CommandRequest, DigitVia, Event, Factor, Given, LegCommand,
    LegEvent, LegId, LineCommand, LineSignal, Origin, OutputId, Peer, ReaderCommand, Refusal, SignalKind,
    Subject, Tone,
};
use gateway_site::{Decision, GuardReport, Input};
use sim::{Phone, Sim, first_door, id, ms, secs, three_phones, wall};

fn ringing() -> Sim {
    let mut sim = Sim::new(first_door());
    sim.phone("1000", Phone::Answers(secs(4)));
    sim
}

fn refused(decision: &Decision) -> Option<Refusal> {
    match decision {
        Decision::Accepted { .. } => None,
        Decision::Refused { reason, .. } => Some(*reason),
    }
}

fn open(door: &str) -> Command {
    Command::Open { door: id(door) }
}

#[test]
fn a_press_becomes_a_call_a_nine_a_pulse_and_an_end_under_one_ring_id() {
    let mut sim = ringing();
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    assert!(sim.legs.contains(&LegCommand::Connect { leg }));
    assert_eq!(sim.lines, [(id("riser"), LineCommand::Seize)]);
    sim.digit(leg, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let pulse = sim.pulses[0].clone();
    assert_eq!((pulse.grant.ring, pulse.length), (Some(ring), secs(3)));
    assert_eq!(pulse.grant.factor, Factor::Digits);
    sim.wait(ms(2900));
    assert!(sim.is_energised("front-strike"));
    sim.wait(secs(1));
    assert!(!sim.is_energised("front-strike"));
    assert_eq!(
        sim.story(ring),
        [
            "panel.ring",
            "call.leg-offered",
            "call.leg-ringing",
            "call.answered",
            "call.digit",
            "door.granted",
            "door.unlocked",
            "door.relocked",
            "call.ended",
            "panel.ring-ended",
            "call.leg-ended",
        ]
    );
    let tone = Tone::Opening;
    assert!(sim.legs.contains(&LegCommand::PlayToLeg { leg, tone }));
    assert_eq!(sim.lines.last(), Some(&(id("riser"), LineCommand::Release)));
    assert!(sim.site.view().calls.is_empty());
}

#[test]
fn who_gets_the_call_by_a_transfer_stands_in_its_story_before_what_he_does() {
    let mut sim = ringing();
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    let named = |sim: &mut Sim, address: &str| {
        let peer = Peer {
            address: address.to_owned(),
            trusted: true,
            ..Peer::default()
        };
        sim.input(Input::Leg(LegEvent::Answered { leg, peer }));
    };
    named(&mut sim, "sip:1000@pbx.example");
    for to in ["sip:2000@pbx.example", "sip:2000@pbx.example", "1000"] {
        named(&mut sim, to);
    }
    assert_eq!(sim.site.view().calls[0].parties, ["1000"]);
    sim.digit(leg, '9');
    sim.wait(ms(10));
    sim.input(Input::Leg(LegEvent::AuthorityLost {
        leg,
        why: "somebody else is there".into(),
    }));
    sim.digit(leg, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let story = sim.story(ring);
    assert_eq!(
        story[3..],
        [
            "call.answered",
            "call.transferred",
            "call.transferred",
            "call.digit",
            "door.granted",
            "door.unlocked",
            "call.authority-lost",
            "call.digit-ignored",
        ]
    );
}

#[test]
fn of_three_phones_one_talks_and_two_nines_make_one_pulse() {
    let mut sim = Sim::new(three_phones());
    sim.phone("1001", Phone::Answers(secs(2)));
    sim.phone("1002", Phone::Answers(secs(2)));
    sim.press("bell");
    sim.wait(secs(3));
    let (winner, loser) = (sim.leg_of("1001"), sim.leg_of("1002"));
    sim.digit(loser, '9');
    sim.digit(winner, '9');
    sim.digit(loser, '9');
    sim.digit(winner, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let connected: Vec<_> = sim
        .legs
        .iter()
        .filter(|c| matches!(c, LegCommand::Connect { .. }))
        .collect();
    assert_eq!(connected, [&LegCommand::Connect { leg: winner }]);
    for leg in [loser, sim.leg_of("1000")] {
        let cause = Cause::AnsweredElsewhere;
        assert!(sim.legs.contains(&LegCommand::End { leg, cause }));
    }
    assert!(sim.ignored_digits().iter().all(|r| r == "not-winner"));
}

#[test]
fn a_busy_phone_makes_room_for_the_next() {
    let mut sim = Sim::new(first_door());
    sim.phone("1000", Phone::Fails(Cause::Busy));
    sim.phone("1001", Phone::Answers(secs(1)));
    sim.press("bell");
    sim.wait(secs(3));
    sim.digit(sim.leg_of("1001"), '9');
    assert_eq!(sim.pulses.len(), 1);
}

#[test]
fn the_ring_window_ends_a_ring_that_nobody_answers() {
    let mut params = first_door();
    params.lines.get_mut(&id("riser")).expect("the line").ring_window = secs(15);
    let mut sim = Sim::new(params);
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(60));
    let story = sim.story(ring);
    assert_eq!(story.last().map(String::as_str), Some("call.leg-ended"));
    assert!(sim.log().contains("outcome=Text(\"window\")"), "{}", sim.log());
    // The line is free again.
    assert!(sim.press("bell").is_some());
}

#[test]
fn a_second_press_joins_the_ring_in_progress() {
    let mut sim = ringing();
    let ring = sim.press("bell").expect("a ring began");
    assert_eq!(sim.press("bell"), None);
    assert!(sim.story(ring).contains(&"panel.press-ignored".to_owned()));
    let offers = sim.legs.iter().filter(|c| matches!(c, LegCommand::Offer { .. }));
    assert_eq!(offers.count(), 1);
}

#[test]
fn a_stale_edge_rings_nobody_and_a_stale_digit_or_card_opens_nothing() {
    let mut sim = ringing();
    let old = sim.now();
    sim.wait(secs(3));
    sim.edge_at(old, &id("bell"), true, false);
    sim.wait(secs(1));
    assert!(sim.legs.is_empty(), "{}", sim.log());
    sim.edge("bell", false);
    sim.press("bell");
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    sim.digit_with(leg, '9', sim.now() - secs(3), false, DigitVia::Info);
    sim.digit_with(leg, '9', sim.now() - ms(900), false, DigitVia::Info);
    let frame = gateway_site::card_frame("26:123,04567").expect("a good card");
    let reader = id("front-reader");
    sim.signal(sim.now() - secs(1), false, SignalKind::Card { frame, reader });
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    assert!(
        sim.denials().iter().all(|d| d.contains("old")),
        "{:?}",
        sim.denials()
    );
}

#[test]
fn digits_before_the_answer_by_echo_or_after_the_end_open_nothing() {
    let mut sim = ringing();
    sim.press("bell");
    let leg = sim.leg_of("1000");
    sim.digit(leg, '9');
    sim.wait(secs(5));
    sim.digit_with(leg, '9', sim.now(), true, DigitVia::TelephoneEvent);
    let (cause, detail) = (Cause::Normal, String::new());
    sim.input(Input::Leg(LegEvent::Ended { cause, leg, detail }));
    sim.digit(leg, '9');
    assert!(sim.pulses.is_empty());
    assert_eq!(sim.ignored_digits(), ["before-answer", "echo"]);
}

#[test]
fn only_news_is_acted_on() {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(60));
    assert_eq!(refused(&sim.command("a", open("front"))), None);
    assert_eq!(sim.pulses.len(), 1);
    sim.wait(secs(5));
    assert_eq!(
        refused(&sim.command("a", open("front"))),
        Some(Refusal::Duplicate)
    );
    let request = CommandRequest {
        command: open("front"),
        given: Given::Undated,
        id: CommandId::new("b").expect("an id"),
        origin: Origin {
            factor: Factor::Mqtt,
            may_simulate: false,
            subject: Subject::Integration("ha".into()),
        },
        stale_by_transport: false,
    };
    assert_eq!(refused(&sim.request(request.clone())), Some(Refusal::Untimed));
    let old = CommandRequest {
        given: Given::At(wall(sim.now() - secs(11))),
        id: CommandId::new("c").expect("an id"),
        ..request.clone()
    };
    assert_eq!(refused(&sim.request(old)), Some(Refusal::Stale));
    let kept = CommandRequest {
        given: Given::At(wall(sim.now())),
        id: CommandId::new("d").expect("an id"),
        stale_by_transport: true,
        ..request
    };
    assert_eq!(refused(&sim.request(kept)), Some(Refusal::Stale));
    assert_eq!(
        refused(&sim.command("e", open("nowhere"))),
        Some(Refusal::Unknown)
    );
    assert_eq!(sim.pulses.len(), 1);
    // Across a restart, too.
    sim.restart();
    sim.wait(secs(1));
    assert_eq!(
        refused(&sim.command("e", open("front"))),
        Some(Refusal::Duplicate)
    );
    assert_eq!(refused(&sim.command("f", open("front"))), None);
}

#[test]
fn what_an_interface_refused_itself_is_put_on_record_and_does_nothing() {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(60));
    let unread = |times| Command::Unread {
        reason: Refusal::Malformed,
        text: "no command".into(),
        times,
    };
    assert_eq!(refused(&sim.command("a", unread(1))), Some(Refusal::Malformed));
    assert_eq!(refused(&sim.command("b", unread(7))), Some(Refusal::Overload));
    let recorded: Vec<_> = sim
        .records
        .iter()
        .filter_map(|e| {
            if let Event::Command(event) = &e.event {
                Some(event)
            } else {
                None
            }
        })
        .collect();
    assert!(
        matches!(
            &recorded[..],
            [
                CommandEvent::Refused { id, reason: Refusal::Malformed, verb, .. },
                CommandEvent::Dropped { times: 7, .. },
            ] if id == "a" && verb == "unread"
        ),
        "{recorded:?}"
    );
    assert_eq!(sim.pulses.len(), 0);
    // it was never a command: its id is still free
    assert_eq!(refused(&sim.command("a", open("front"))), None);
}

#[test]
fn a_command_is_refused_while_the_gateway_cannot_answer_for_it() {
    let mut sim = Sim::new(first_door());
    let text = "no space left".to_owned();
    sim.input(Input::Journal { ok: false, text });
    assert_eq!(refused(&sim.command("a", open("front"))), Some(Refusal::Fault));
    // Cards go on where the door says so.
    sim.card("front-reader", "26:123,04567");
    assert_eq!(sim.pulses.len(), 1);
    let text = "written again".to_owned();
    sim.input(Input::Journal { ok: true, text });
    sim.input(Input::SecondInstance(Some("box-2".into())));
    assert_eq!(refused(&sim.command("b", open("front"))), Some(Refusal::Instance));
    sim.input(Input::SecondInstance(None));
    let text = "killed".to_owned();
    sim.input(Input::Guard(GuardReport::Down { text }));
    assert_eq!(refused(&sim.command("c", open("front"))), Some(Refusal::Fault));
    sim.input(Input::Guard(GuardReport::Up { dead: vec![] }));
    sim.input(Input::ShutDown);
    assert_eq!(refused(&sim.command("d", open("front"))), Some(Refusal::NotReady));
}

#[test]
fn a_command_of_which_nothing_came_may_be_sent_again_by_who_waits_for_its_answer() {
    let mut sim = Sim::new(first_door());
    let by = |sim: &Sim, factor| CommandRequest {
        command: open("front"),
        given: Given::Live(sim.now()),
        id: CommandId::new("k1").expect("an id"),
        origin: Origin {
            factor,
            may_simulate: false,
            subject: Subject::Integration(factor.word().into()),
        },
        stale_by_transport: false,
    };
    let text = "killed".to_owned();
    sim.input(Input::Guard(GuardReport::Down { text }));
    for factor in [Factor::Api, Factor::Mqtt] {
        let request = by(&sim, factor);
        assert_eq!(refused(&sim.request(request)), Some(Refusal::Fault), "{factor:?}");
    }
    sim.input(Input::Guard(GuardReport::Up { dead: vec![] }));
    // of MQTT a copy of what was refused may come
    let request = by(&sim, Factor::Mqtt);
    assert_eq!(refused(&sim.request(request)), Some(Refusal::Duplicate));
    assert_eq!(sim.pulses.len(), 0);
    let request = by(&sim, Factor::Api);
    assert_eq!(refused(&sim.request(request)), None);
    let request = by(&sim, Factor::Api);
    assert_eq!(refused(&sim.request(request)), Some(Refusal::Duplicate));
    assert_eq!(sim.pulses.len(), 1);
}

#[test]
fn a_door_whose_board_does_not_answer_is_not_offered_and_asks_for_nothing_but_an_exit() {
    let mut sim = Sim::new(first_door());
    let output: OutputId = id("front-strike");
    let available = |sim: &Sim| {
        let doors = sim.site.view().doors;
        doors.iter().map(|d| d.available).collect::<Vec<_>>()
    };
    assert_eq!(available(&sim), [true, true]);
    let dead = vec![output.clone()];
    sim.input(Input::Guard(GuardReport::Up { dead }));
    assert_eq!(available(&sim), [false, true], "dead when the guard came");
    assert_eq!(refused(&sim.command("a", open("front"))), Some(Refusal::Fault));
    sim.card("front-reader", "26:123,04567");
    assert_eq!(sim.pulses.len(), 0, "{}", sim.log());
    // who asked is on record where it is known without a decision
    let asked = sim.told("door.denied", "subject");
    assert_eq!(asked, ["integration:ha", "unknown"], "{}", sim.log());
    let usable = |usable| {
        Input::Guard(GuardReport::Usable {
            output: output.clone(),
            usable,
        })
    };
    sim.input(usable(true));
    assert_eq!(available(&sim), [true, true]);
    sim.input(usable(false));
    assert_eq!(available(&sim), [false, true], "dead since");
    assert_eq!(refused(&sim.command("b", open("front"))), Some(Refusal::Fault));
    // whoever wants out is never told no by what we believe of a board
    sim.press("front-rex");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
}

#[test]
fn a_guard_that_restarts_for_a_new_file_is_no_fault_until_it_stays_away() {
    let mut sim = Sim::new(first_door());
    let told = |sim: &Sim| sim.kinds().iter().filter(|kind| *kind == "gateway.guard").count();
    let faults = |sim: &Sim| sim.site.view().faults.iter().any(|fault| fault.part == "guard");
    let before = told(&sim);
    let text = "outputs changed".to_owned();
    sim.input(Input::Guard(GuardReport::Restarts { text }));
    let view = sim.site.view();
    assert!(!faults(&sim), "it was told to end: {:?}", view.faults);
    assert!(
        view.doors.iter().all(|door| !door.available),
        "but nothing can be opened"
    );
    assert_eq!(refused(&sim.command("a", open("front"))), Some(Refusal::Fault));
    sim.input(Input::Guard(GuardReport::Up { dead: vec![] }));
    assert!(!faults(&sim) && sim.site.view().doors.iter().all(|door| door.available));
    assert_eq!(told(&sim), before + 2, "{}", sim.log());

    let text = "outputs changed again".to_owned();
    sim.input(Input::Guard(GuardReport::Restarts { text }));
    let text = "it does not come back".to_owned();
    sim.input(Input::Guard(GuardReport::Down { text }));
    assert!(faults(&sim));
    sim.input(Input::Guard(GuardReport::Up { dead: vec![] }));
    assert!(!faults(&sim));
    assert_eq!(told(&sim), before + 5, "{}", sim.log());
}

#[test]
fn a_restart_in_the_middle_of_anything_operates_nothing() {
    let mut sim = ringing();
    sim.press("bell");
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    sim.digit(leg, '9');
    sim.wait(ms(500));
    assert_eq!(sim.pulses.len(), 1);
    sim.restart();
    assert!(!sim.is_energised("front-strike"));
    // The digit of the old leg, held inputs, and time.
    sim.digit(leg, '9');
    sim.edge_at(sim.now(), &id("front-rex"), true, true);
    sim.edge_at(sim.now(), &id("fire"), true, true);
    sim.edge_at(sim.now(), &id("bell"), true, true);
    sim.wait(secs(3600));
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    let rings = sim.kinds().iter().filter(|k| *k == "panel.ring").count();
    assert_eq!(rings, 1);
}

#[test]
fn a_reload_keeps_the_call_and_the_pulse_of_what_did_not_change() {
    let mut sim = ringing();
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    sim.digit(leg, '9');
    sim.wait(secs(1));
    let mut other = first_door();
    other.doors.get_mut(&id("toy")).expect("the door").strike = secs(5);
    let plan = sim.reload(other);
    assert_eq!(plan.to_string(), "live: door toy");
    assert!(sim.is_energised("front-strike"));
    assert_eq!(sim.site.view().calls.len(), 1);
    sim.wait(ms(1900));
    assert!(sim.is_energised("front-strike"));
    sim.wait(ms(200));
    assert!(!sim.is_energised("front-strike"));
    assert!(sim.story(ring).contains(&"door.relocked".to_owned()));
    // The next Grant is of the new generation.
    sim.card("front-reader", "26:123,04567");
    assert_eq!(sim.pulses.last().map(|p| p.grant.generation), Some(2));
}

#[test]
fn a_removed_door_is_released_at_once_and_a_shorter_strike_ends_earlier() {
    let mut sim = Sim::new(first_door());
    sim.card("front-reader", "26:123,04567");
    sim.wait(ms(100));
    assert!(sim.is_energised("front-strike"));
    let mut without = first_door();
    without.doors.remove(&id("front"));
    let plan = sim.reload(without);
    assert!(!sim.is_energised("front-strike"));
    assert!(plan.removed.contains(&"door front".to_owned()), "{plan}");

    let mut sim = Sim::new(first_door());
    sim.card("front-reader", "26:123,04567");
    sim.wait(ms(100));
    let mut shorter = first_door();
    shorter.doors.get_mut(&id("front")).expect("the door").strike = secs(1);
    sim.reload(shorter);
    sim.wait(ms(950));
    assert!(!sim.is_energised("front-strike"));
}

#[test]
fn a_changed_panel_ends_its_call() {
    let mut sim = ringing();
    let ring = sim.press("bell").expect("a ring began");
    let mut other = first_door();
    other
        .panels
        .get_mut(&id("main"))
        .expect("the panel")
        .accounts
        .clear();
    let plan = sim.reload(other);
    assert_eq!(plan.to_string(), "restart: panel main");
    assert!(sim.story(ring).contains(&"call.ended".to_owned()));
    assert!(sim.press("bell").is_some());
}

#[test]
fn what_waited_while_the_process_stood_still_opens_nothing() {
    let mut sim = ringing();
    sim.press("bell");
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    let before = sim.now();
    sim.freeze(ms(700));
    sim.digit_with(leg, '9', before + ms(300), false, DigitVia::TelephoneEvent);
    let late = CommandRequest {
        command: open("front"),
        given: Given::Live(before + ms(300)),
        id: CommandId::new("a").expect("an id"),
        origin: Origin {
            factor: Factor::Web,
            may_simulate: false,
            subject: Subject::User("eve".into()),
        },
        stale_by_transport: false,
    };
    assert_eq!(refused(&sim.request(late)), Some(Refusal::Stale));
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    assert!(sim.kinds().contains(&"gateway.loop-gap".to_owned()));
    // An INFO waits in its socket without a date: it is dated when it is read, a moment after the gap.
    sim.wait(ms(100));
    sim.digit_with(leg, '9', sim.now(), false, DigitVia::Info);
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    // Fresh input counts again.
    sim.wait(ms(200));
    sim.digit(leg, '9');
    assert_eq!(sim.pulses.len(), 1);
}

#[test]
fn a_handset_that_is_lifted_first_has_the_visitor() {
    let mut sim = Sim::new(three_phones());
    let ring = sim.press("bell").expect("a ring began");
    sim.line("riser", LineSignal::HandsetLifted);
    for target in ["1000", "1001", "1002"] {
        let (leg, cause) = (sim.leg_of(target), Cause::AnsweredElsewhere);
        assert!(sim.legs.contains(&LegCommand::End { leg, cause }));
    }
    assert!(sim.log().contains("outcome=Text(\"handset\")"), "{}", sim.log());
    assert!(sim.story(ring).contains(&"panel.ring-ended".to_owned()));
    // While it is lifted the line is in its hands.
    assert_eq!(sim.press("bell"), None);
    sim.line("riser", LineSignal::HandsetReplaced);
    assert!(sim.press("bell").is_some());
}

#[test]
fn a_ring_while_the_handset_is_lifted_calls_nobody_and_is_on_record() {
    let mut sim = Sim::new(three_phones());
    sim.line("riser", LineSignal::HandsetLifted);
    let rings = |sim: &Sim| sim.kinds().iter().filter(|kind| *kind == "panel.ring").count();
    sim.line("riser", LineSignal::Ring);
    assert_eq!(rings(&sim), 1, "{}", sim.log());
    assert!(sim.log().contains("outcome=Text(\"handset\")"), "{}", sim.log());
    // the same visitor, whom the handset has
    sim.line("riser", LineSignal::Ring);
    assert_eq!(rings(&sim), 1, "{}", sim.log());
    assert!(sim.log().contains("reason=Text(\"line-busy\")"), "{}", sim.log());
    assert!(sim.legs.is_empty(), "{}", sim.log());
    // it lies beside its rest, and somebody else comes
    sim.wait(secs(600));
    sim.line("riser", LineSignal::Ring);
    assert_eq!(rings(&sim), 2, "{}", sim.log());
    sim.line("riser", LineSignal::HandsetReplaced);
    sim.line("riser", LineSignal::Ring);
    assert_eq!(rings(&sim), 3, "{}", sim.log());
    assert!(!sim.legs.is_empty(), "{}", sim.log());
}

#[test]
fn a_listed_caller_opens_after_the_answer_and_a_stranger_does_not() {
    for (address, trusted, expected) in [
        ("sip:1000@pbx.example", true, 1),
        ("sip:1000@pbx.example", false, 0),
        ("sip:6666@pbx.example", true, 0),
    ] {
        let mut sim = Sim::new(first_door());
        let leg = LegId(1);
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
        assert!(sim.legs.contains(&LegCommand::Answer { leg }));
        sim.digit(leg, '9');
        sim.wait(secs(1));
        assert!(
            sim.lines
                .contains(&(id("riser"), LineCommand::Tone(Tone::LookIn)))
        );
        sim.digit(leg, '9');
        assert_eq!(sim.pulses.len(), expected, "{address} {trusted} {}", sim.log());
        assert_eq!(look_ins(&sim), 1, "{}", sim.log());
        sim.wait(secs(61));
        assert_eq!(look_ins(&sim), 2, "{}", sim.log());
    }
}

/// How often the door was told that somebody listens.
fn look_ins(sim: &Sim) -> usize {
    let tone = (id("riser"), LineCommand::Tone(Tone::LookIn));
    sim.lines.iter().filter(|command| **command == tone).count()
}

#[test]
fn nobody_is_told_that_somebody_listens_in_a_talk_that_a_visitor_began() {
    let mut sim = ringing();
    sim.phone("1000", Phone::Answers(secs(1)));
    let ring = sim.press("bell").expect("a ring");
    sim.wait(secs(100));
    let calls = sim.site.view().calls;
    assert!(
        calls
            .iter()
            .any(|call| call.ring == ring && call.state == "talking")
    );
    assert_eq!(look_ins(&sim), 0, "{}", sim.log());
}

#[test]
fn an_incoming_call_is_refused_where_the_line_cannot_start_or_is_busy() {
    let call = |sim: &mut Sim, leg: u64| {
        sim.input(Input::Leg(LegEvent::Incoming {
            at_once: false,
            account: None,
            leg: LegId(leg),
            panel: id("main"),
            peer: Peer::default(),
        }));
    };
    let mut sim = ringing();
    sim.press("bell");
    call(&mut sim, 1 << 40);
    let (leg, cause) = (LegId(1 << 40), Cause::Busy);
    assert!(sim.legs.contains(&LegCommand::End { leg, cause }));
    let mut params = first_door();
    params.lines.get_mut(&id("riser")).expect("the line").call_in = gateway_site::CallIn::None;
    let mut sim = Sim::new(params);
    call(&mut sim, 1 << 40);
    let cause = Cause::Refused;
    assert!(sim.legs.contains(&LegCommand::End { leg, cause }));
    assert!(sim.log().contains("no-call"));
}

#[test]
fn a_visitor_goes_before_somebody_who_called_the_door() {
    let mut sim = ringing();
    let leg = LegId(1 << 40);
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: None,
        leg,
        panel: id("main"),
        // answered, and never heard of again
        peer: Peer::default(),
    }));
    assert!(sim.legs.contains(&LegCommand::Answer { leg }));
    sim.wait(secs(3));
    let ring = sim.press("bell").expect("a ring begins");
    assert!(sim.legs.contains(&LegCommand::End {
        leg,
        cause: Cause::Released
    }));
    sim.wait(secs(5));
    let phone = sim.leg_of("1000");
    sim.digit(leg, '9');
    assert!(sim.pulses.is_empty(), "whoever was sent away opens nothing");
    sim.digit(phone, '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert!(sim.site.view().calls.iter().any(|call| call.ring == ring));
}

#[test]
fn whoever_is_taken_off_the_list_in_the_middle_of_a_call_opens_nothing() {
    let mut sim = ringing();
    sim.press("bell");
    sim.wait(secs(5));
    let mut params = first_door();
    let list = params.lists.get_mut(&id("reception")).expect("the list");
    list.targets.retain(|target| !target.address.contains("1000"));
    params
        .doors
        .get_mut(&id("front"))
        .expect("the door")
        .callers
        .clear();
    sim.reload(params);
    sim.digit(sim.leg_of("1000"), '9');
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn a_flood_of_refused_calls_fills_no_journal() {
    let mut params = first_door();
    params.lines.get_mut(&id("riser")).expect("the line").call_in = gateway_site::CallIn::None;
    let mut sim = Sim::new(params);
    let before = sim.records.len();
    let flood = |sim: &mut Sim, from: u64| {
        for leg in from..from + 1000 {
            let leg = LegId((1 << 40) + leg);
            sim.input(Input::Leg(LegEvent::Incoming {
                at_once: false,
                account: None,
                leg,
                panel: id("main"),
                peer: Peer::default(),
            }));
            let refused =
                |command: &LegCommand| matches!(command, LegCommand::End { leg: of, .. } if *of == leg);
            assert!(sim.legs.iter().any(refused), "each is answered");
        }
        sim.records.len()
    };
    let after = flood(&mut sim, 0);
    assert!((30..=120).contains(&(after - before)), "{}", after - before);
    sim.wait(secs(61));
    assert!(flood(&mut sim, 1000) > after, "they are told of again");
}

#[test]
fn a_simulated_press_never_opens_a_real_door() {
    let mut sim = ringing();
    // The virtual panel serves the toy door and, wrongly, the real one.
    let mut params = first_door();
    params.panels.get_mut(&id("toys")).expect("the panel").doors = vec![id("front")];
    sim.reload(params);
    let press = Command::Press {
        button: id("bell"),
        panel: id("toys"),
    };
    assert_eq!(refused(&sim.command("a", press)), None);
    sim.wait(secs(5));
    sim.digit(sim.leg_of("1000"), '9');
    assert!(sim.pulses.is_empty());
    assert!(sim.denials().iter().any(|d| d.contains("simulated")));
    let real = Command::Press {
        button: id("bell"),
        panel: id("main"),
    };
    assert_eq!(refused(&sim.command("b", real)), Some(Refusal::NotVirtual));
    // On the virtual door it does.
    let mut sim = ringing();
    sim.press("toy-bell");
    sim.wait(secs(5));
    sim.digit(sim.leg_of("1000"), '9');
    assert_eq!(sim.pulses.len(), 1);
    assert!(
        sim.records
            .iter()
            .filter(|e| e.ring.is_some())
            .all(|e| e.simulated)
    );
}

#[test]
fn a_stuck_button_is_a_fault_that_returns() {
    let mut sim = ringing();
    sim.edge("bell", true);
    sim.wait(secs(700));
    assert!(sim.kinds().contains(&"panel.button-stuck".to_owned()));
    assert_eq!(sim.site.view().faults.len(), 1);
    sim.edge("bell", false);
    assert!(sim.kinds().contains(&"panel.button-released".to_owned()));
    assert!(sim.site.view().faults.is_empty());
    assert!(sim.press("bell").is_some());
}

#[test]
fn a_keypad_code_opens_and_wrong_ones_lock_it_out() {
    let mut sim = Sim::new(first_door());
    let typed = |sim: &mut Sim, code: &str| {
        for key in code.chars() {
            let reader = id("front-reader");
            sim.signal(sim.now(), false, SignalKind::Key { key, reader });
            sim.wait(ms(200));
        }
        sim.wait(secs(4));
    };
    typed(&mut sim, "1234");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    for _ in 0..6 {
        typed(&mut sim, "5555");
    }
    typed(&mut sim, "1234");
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    assert!(sim.denials().iter().any(|d| d.contains("locked")));
    assert!(!sim.site.export_locks(sim.now()).is_empty());
    // told once, and the keypad shows each refusal
    assert_eq!(sim.told("door.locked-out", "locks"), ["keypad:front-reader"]);
    assert_eq!(sim.told("door.locked-out", "lock_s"), ["10"]);
    assert_eq!(sim.told("door.locked-out", "tries"), ["6"]);
    let shown = sim
        .readers
        .iter()
        .filter(|(_, shown)| *shown == ReaderCommand::Denied);
    assert_eq!(shown.count(), 7);
}

#[test]
fn who_dials_wrong_codes_hears_each_refusal_and_the_lock_out() {
    let mut sim = ringing();
    sim.press("bell");
    sim.wait(secs(5));
    let leg = sim.leg_of("1000");
    let heard = |sim: &Sim| -> Vec<Tone> {
        let tones = sim.legs.iter().filter_map(|command| {
            if let LegCommand::PlayToLeg { leg: of, tone } = command {
                (*of == leg).then_some(*tone)
            } else {
                None
            }
        });
        tones.filter(|tone| *tone != Tone::TalkWarning).collect()
    };
    for _ in 0..5 {
        sim.digit(leg, '7');
        sim.wait(secs(4));
    }
    assert_eq!(heard(&sim), [Tone::Refused; 5], "{}", sim.log());
    assert!(sim.told("door.locked-out", "locks").is_empty());
    sim.digit(leg, '7');
    sim.wait(secs(4));
    // the right one counts for nothing, and sounds like it
    sim.digit(leg, '9');
    sim.wait(secs(4));
    assert_eq!(heard(&sim)[5..], [Tone::LockedOut; 2], "{}", sim.log());
    assert_eq!(sim.told("door.locked-out", "locks"), ["caller"]);
    assert!(sim.pulses.is_empty());
    sim.wait(secs(10));
    sim.digit(leg, '9');
    sim.wait(ms(100));
    assert_eq!(heard(&sim).last(), Some(&Tone::Opening), "{}", sim.log());
}

#[test]
fn a_leg_that_comes_in_under_a_number_of_ours_shares_no_digits() {
    let mut sim = ringing();
    let incoming = |leg| {
        let peer = Peer {
            address: "sip:666@pbx.example".into(),
            foreign: false,
            display: None,
            trusted: true,
            withheld: false,
        };
        let (account, panel) = (None, id("toys"));
        Input::Leg(LegEvent::Incoming {
            at_once: false,
            account,
            leg,
            panel,
            peer,
        })
    };
    // The next leg of ours would have this number.
    sim.input(incoming(LegId(1)));
    sim.wait(secs(1));
    sim.press("bell");
    sim.wait(secs(5));
    let ours = sim.leg_of("1000");
    assert_ne!(ours, LegId(1));
    // And the other way round: a number that is in use is no call.
    let calls = sim.site.view().calls.len();
    sim.input(incoming(ours));
    assert_eq!(sim.site.view().calls.len(), calls);
    sim.digit(LegId(1), '9');
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    sim.digit(ours, '9');
    assert_eq!(sim.pulses.len(), 1);
}

#[test]
fn hang_up_ends_the_call() {
    let mut sim = ringing();
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(5));
    assert_eq!(
        sim.command("a", Command::HangUp { ring }),
        Decision::Accepted { ring: Some(ring) }
    );
    assert!(sim.site.view().calls.is_empty());
    let again = sim.command("b", Command::HangUp { ring });
    assert_eq!(refused(&again), Some(Refusal::Unknown));
}

#[test]
fn a_cut_line_is_a_standing_fault_until_it_is_mended() {
    let mut sim = Sim::new(first_door());
    let told = |sim: &Sim| {
        let faults = sim.site.view().faults;
        faults.iter().any(|fault| fault.part == "line:riser")
    };
    assert!(!told(&sim));
    sim.line("riser", LineSignal::Fault);
    assert!(told(&sim), "{}", sim.log());
    sim.line("riser", LineSignal::Idle);
    assert!(!told(&sim), "{}", sim.log());
}
