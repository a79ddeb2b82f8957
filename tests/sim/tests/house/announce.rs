//! Announcements that somebody has heard by a command: in a talk and without one, and in nobody's way.

use gateway_core::{
    AnnounceTo, AnnouncementId, Cause, Command, Event, Given, LegCommand, LegEvent, LegId, LineCommand,
    LineSignal, LineState, PanelEvent, Peer, Refusal,
};
use gateway_site::rules::Sound;
use gateway_site::{AnnouncementParams, CallIn, Decision, Input, SiteParams};
use sim::{Phone, Sim, first_door, id, ms, secs, wall};

fn announce(panel: &str, to: AnnounceTo) -> Command {
    Command::Announce {
        announcement: id("lift"),
        panel: id(panel),
        to,
    }
}

fn accepted(decision: &Decision) {
    if let Decision::Refused { text, .. } = decision {
        panic!("refused: {text}");
    }
}

fn refused(decision: &Decision) -> (Refusal, String) {
    match decision {
        Decision::Refused { reason, text } => (*reason, text.clone()),
        Decision::Accepted { .. } => panic!("it was accepted"),
    }
}

fn with(params: SiteParams) -> Sim {
    let mut sim = Sim::new(params);
    sim.phone("1000", Phone::Answers(secs(4)));
    sim.wait(secs(1));
    sim
}

fn sim() -> Sim {
    with(first_door())
}

/// Somebody rang and talks.
fn talking() -> Sim {
    let mut sim = sim();
    sim.press("bell").expect("a ring");
    sim.wait(secs(5));
    sim
}

fn lift() -> Sound {
    Sound::File("lift.wav".into())
}

/// The driver says that it was heard at the riser. It counts turns from 1.
fn said(sim: &mut Sim, turn: u64) {
    sim.input(Input::Said {
        heard: Ok(ms(1500)),
        line: id("riser"),
        turn,
    });
}

fn riser(sim: &Sim) -> LineState {
    let lines = sim.site.view().lines;
    let riser = lines.iter().find(|line| line.id == id("riser"));
    riser.expect("the line").state
}

fn ended(sim: &Sim) -> Vec<String> {
    let all = sim.records.iter().filter_map(|record| {
        if let Event::Panel(_, PanelEvent::AnnouncementEnded { text, .. }) = &record.event {
            Some(text.clone())
        } else {
            None
        }
    });
    all.collect()
}

#[test]
fn without_a_call_it_takes_the_line_and_gives_it_back_and_calls_nobody() {
    for to in [AnnounceTo::Door, AnnounceTo::Both] {
        let mut sim = sim();
        accepted(&sim.command("a", announce("main", to)));
        assert_eq!(sim.heard, [(id("riser"), Some(lift()))], "{}", sim.log());
        assert_eq!(riser(&sim), LineState::Ours);
        assert!(sim.told.is_empty() && sim.legs.is_empty(), "{}", sim.log());
        assert!(sim.site.view().calls.is_empty());
        said(&mut sim, 1);
        assert_eq!(riser(&sim), LineState::Idle);
        assert_eq!(sim.lines.last(), Some(&(id("riser"), LineCommand::Release)));
        assert_eq!(ended(&sim), ["1500 ms"]);
        assert_eq!(sim.told("panel.announced", "subject"), ["integration:ha"]);
        assert_eq!(sim.told("panel.announced", "announcement"), ["lift"]);
        assert!(sim.pulses.is_empty());
        // who wants it once more says so by another command
        let (reason, _) = refused(&sim.command("a", announce("main", to)));
        assert_eq!(reason, Refusal::Duplicate);
    }
}

#[test]
fn in_a_talk_each_side_hears_what_is_for_it_and_nothing_is_answered_or_opened_by_it() {
    for (to, door, phone) in [
        (AnnounceTo::Both, true, true),
        (AnnounceTo::Door, true, false),
        (AnnounceTo::Phone, false, true),
    ] {
        let mut sim = talking();
        let leg = sim.leg_of("1000");
        let before = sim.kinds().len();
        accepted(&sim.command("a", announce("main", to)));
        assert_eq!(sim.heard.len(), usize::from(door), "{to}: {}", sim.log());
        assert_eq!(sim.told, vec![(leg, lift()); usize::from(phone)], "{to}");
        let kinds = sim.kinds();
        assert_eq!(kinds[before..], ["panel.announced", "command.accepted"], "{to}");
        for turn in 1..=u64::from(door) + u64::from(phone) {
            said(&mut sim, turn);
        }
        assert_eq!(ended(&sim).len(), usize::from(door) + usize::from(phone));
        assert_eq!(ended(&sim).contains(&"by the phone, 1500 ms".to_owned()), phone);
        assert_eq!(riser(&sim), LineState::Ours, "the talk goes on");
        assert!(sim.pulses.is_empty());
        sim.digit(leg, '9');
        assert_eq!(sim.pulses.len(), 1, "and so does what a key opens");
    }
}

#[test]
fn a_phone_that_is_not_there_and_an_announcement_that_is_not_listed_are_refused_by_name() {
    let mut sim = sim();
    let (reason, text) = refused(&sim.command("a", announce("main", AnnounceTo::Phone)));
    assert_eq!(reason, Refusal::NoCall);
    assert!(text.contains("nobody has a call at panel main"), "{text}");
    let (reason, text) = refused(&sim.command("b", announce("yard", AnnounceTo::Door)));
    assert_eq!(reason, Refusal::Unknown, "{text}");
    let named = |name: &str| Command::Announce {
        announcement: id(name),
        panel: id("main"),
        to: AnnounceTo::Door,
    };
    let (reason, text) = refused(&sim.command("c", named("fire")));
    assert_eq!(reason, Refusal::Unknown);
    assert!(text.contains("there are: lift"), "{text}");
    // one of other panels only is not there, either
    let mut params = first_door();
    let elsewhere = AnnouncementParams {
        file: "/etc/passwd".into(),
        name: "Elsewhere".into(),
        panels: [id("toys")].into(),
    };
    params.announcements.insert(id("elsewhere"), elsewhere);
    sim.reload(params);
    assert_eq!(refused(&sim.command("d", named("elsewhere"))).0, Refusal::Unknown);
    let lists = sim.site.view();
    let names = |n: usize| -> Vec<AnnouncementId> {
        let all = lists.panels[n].announcements.iter();
        all.map(|(id, _)| id.clone()).collect()
    };
    assert_eq!(names(0), [id("lift")]);
    assert_eq!(names(1), [id("elsewhere"), id("lift")]);
    assert!(sim.heard.is_empty() && sim.lines.is_empty(), "{}", sim.log());
}

#[test]
fn a_line_that_is_heard_in_a_ring_only_is_spoken_on_in_a_talk_and_else_refused() {
    let mut params = first_door();
    params.lines.get_mut(&id("riser")).expect("the line").call_in = CallIn::None;
    let mut sim = with(params);
    let (reason, text) = refused(&sim.command("a", announce("main", AnnounceTo::Door)));
    assert_eq!(reason, Refusal::NoCall);
    assert!(
        text.contains("call-in = \"self-start\" in [lines.riser]"),
        "{text}"
    );
    assert!(sim.lines.is_empty());
    sim.press("bell").expect("a ring");
    let (reason, _) = refused(&sim.command("b", announce("main", AnnounceTo::Door)));
    assert_eq!(reason, Refusal::NoCall, "nobody has answered");
    sim.wait(secs(5));
    accepted(&sim.command("c", announce("main", AnnounceTo::Door)));
    assert_eq!(sim.heard.len(), 1);
}

#[test]
fn one_is_heard_at_a_time_and_a_ring_the_handset_and_a_fault_are_not_talked_over() {
    let busy = Refusal::LineBusy;
    let mut sim = talking();
    accepted(&sim.command("a", announce("main", AnnounceTo::Phone)));
    for (n, to) in AnnounceTo::ALL.iter().enumerate() {
        let (reason, text) = refused(&sim.command(&format!("b{n}"), announce("main", *to)));
        assert_eq!(reason, busy, "{to}: {text}");
    }
    said(&mut sim, 1);
    accepted(&sim.command("c", announce("main", AnnounceTo::Both)));
    assert_eq!((sim.heard.len(), sim.told.len()), (1, 2));

    let mut sim = self::sim();
    sim.press("bell").expect("a ring");
    assert_eq!(
        refused(&sim.command("a", announce("main", AnnounceTo::Door))).0,
        busy
    );
    let mut sim = self::sim();
    sim.line("riser", LineSignal::HandsetLifted);
    assert_eq!(
        refused(&sim.command("a", announce("main", AnnounceTo::Both))).0,
        busy
    );
    sim.line("riser", LineSignal::HandsetReplaced);
    sim.line("riser", LineSignal::Fault);
    assert_eq!(
        refused(&sim.command("b", announce("main", AnnounceTo::Door))).0,
        Refusal::Fault
    );
    assert!(sim.heard.is_empty() && sim.told("panel.announced", "to").is_empty());
}

#[test]
fn who_rings_and_who_calls_the_door_take_the_line_from_it() {
    let mut sim = sim();
    accepted(&sim.command("a", announce("main", AnnounceTo::Door)));
    assert!(sim.press("bell").is_some(), "{}", sim.log());
    assert_eq!(ended(&sim), ["ended early: somebody rings"]);
    assert_eq!(sim.heard.last(), Some(&(id("riser"), None)));
    sim.wait(secs(5));
    sim.digit(sim.leg_of("1000"), '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());

    let mut sim = self::sim();
    accepted(&sim.command("a", announce("main", AnnounceTo::Both)));
    let leg = LegId(1 << 40);
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: None,
        leg,
        panel: id("main"),
        peer: Peer::default(),
    }));
    sim.wait(secs(1));
    assert_eq!(ended(&sim), ["ended early: somebody calls the door"]);
    assert!(sim.legs.contains(&LegCommand::Answer { leg }), "{}", sim.log());
}

#[test]
fn the_end_of_the_talk_ends_it_on_both_sides_and_the_next_one_is_free_for_another() {
    let mut sim = talking();
    accepted(&sim.command("a", announce("main", AnnounceTo::Both)));
    let ring = sim.site.view().calls[0].ring;
    sim.command("b", Command::HangUp { ring });
    sim.wait(secs(1));
    assert_eq!(
        ended(&sim),
        ["ended early: the call ended", "ended early: the call ended"]
    );
    assert_eq!(sim.told("call.ended", "cause"), [Cause::Released.word()]);
    accepted(&sim.command("c", announce("main", AnnounceTo::Door)));
    // what comes late of the first one ends nothing
    said(&mut sim, 1);
    said(&mut sim, 2);
    assert_eq!(riser(&sim), LineState::Ours);
    // so does the line's own end, where the panel lets go
    let mut sim = talking();
    accepted(&sim.command("a", announce("main", AnnounceTo::Both)));
    sim.line("riser", LineSignal::Fault);
    assert_eq!(ended(&sim).len(), 2, "{}", sim.log());
}

#[test]
fn at_a_line_of_several_panels_nobody_speaks_into_the_talk_of_another_one() {
    let mut params = first_door();
    params.panels.get_mut(&id("toys")).expect("the panel").line = id("riser");
    let mut sim = with(params);
    sim.press("bell").expect("a ring");
    sim.wait(secs(5));
    for (n, to) in AnnounceTo::ALL.iter().enumerate() {
        let (reason, _) = refused(&sim.command(&format!("a{n}"), announce("toys", *to)));
        assert_eq!(reason, Refusal::LineBusy, "{to}");
    }
    accepted(&sim.command("b", announce("main", AnnounceTo::Both)));
}

#[test]
fn old_and_kept_ones_are_refused_and_one_that_nobody_tells_the_end_of_is_given_up() {
    let mut sim = sim();
    let old = Given::At(wall(sim.now() - secs(20)));
    for (id, given, kept) in [
        ("a", old, false),
        ("b", Given::Undated, false),
        ("c", Given::At(wall(sim.now())), true),
    ] {
        let request = gateway_core::CommandRequest {
            command: announce("main", AnnounceTo::Door),
            given,
            id: gateway_core::CommandId::new(id).expect("an id"),
            origin: gateway_core::Origin {
                factor: gateway_core::Factor::Mqtt,
                may_simulate: false,
                subject: gateway_core::Subject::Integration("ha".into()),
            },
            stale_by_transport: kept,
        };
        let (reason, _) = refused(&sim.request(request));
        assert!(
            matches!(reason, Refusal::Stale | Refusal::Untimed),
            "{id}: {reason}"
        );
    }
    assert!(sim.heard.is_empty());
    accepted(&sim.command("d", announce("main", AnnounceTo::Door)));
    sim.wait(secs(41));
    assert!(
        ended(&sim)[0].contains("it was not over after 40 s"),
        "{:?}",
        ended(&sim)
    );
    assert_eq!(riser(&sim), LineState::Idle);
}
