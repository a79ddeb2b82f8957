//! Sounds that rules have heard at panels: they take the line as a call would, and stand in nobody's way.

use gateway_core::{Event, LegCommand, LegEvent, LegId, LineCommand, LineId, LineState, Peer, RuleEvent};
use gateway_site::rules::{Action, Beep, Conditions, Ear, Rule, Sound, Trigger};
use gateway_site::{CallIn, Input, SiteParams};
use sim::{Phone, Sim, first_door, id, ms, secs};

fn beep() -> Sound {
    Sound::Tones(vec![Beep {
        hz: 660,
        time: ms(800),
    }])
}

/// A rule that has something heard at the riser whenever somebody is refused at the front.
fn house() -> SiteParams {
    let mut site = first_door();
    let action = Action::Prompt {
        line: id("riser"),
        sound: beep(),
        to: Ear::Line,
    };
    let rule = Rule {
        actions: vec![action],
        most_per_minute: 20,
        on: Trigger {
            kinds: ["door.denied".to_owned()].into(),
            sources: ["front".to_owned()].into(),
        },
        when: Conditions::default(),
    };
    site.rules.insert(id("refused"), rule);
    site
}

fn sim() -> Sim {
    let mut sim = Sim::new(house());
    sim.phone("1000", Phone::Answers(secs(4)));
    sim.wait(secs(1));
    sim
}

/// A stranger's card, which is refused.
fn stranger(sim: &mut Sim) {
    sim.card("front-reader", "26:1,1");
}

/// The driver says that it was heard, or not. It counts turns from 1.
fn said(sim: &mut Sim, turn: u64, heard: Result<u64, &str>) {
    sim.input(Input::Said {
        heard: heard.map(ms).map_err(str::to_owned),
        line: id("riser"),
        turn,
    });
}

fn told(sim: &Sim) -> Vec<String> {
    let of_rules = sim.records.iter().filter_map(|e| {
        if let Event::Rule(_, RuleEvent::Prompted { text, .. }) = &e.event {
            Some(text.clone())
        } else if let Event::Rule(_, RuleEvent::Failed { action, text }) = &e.event {
            Some(format!("{action}: {text}"))
        } else {
            None
        }
    });
    of_rules.collect()
}

fn riser(sim: &Sim) -> LineState {
    let line: LineId = id("riser");
    let lines = sim.site.view().lines;
    lines.into_iter().find(|l| l.id == line).expect("the line").state
}

#[test]
fn it_takes_the_line_and_gives_it_back() {
    let mut sim = sim();
    stranger(&mut sim);
    let line: LineId = id("riser");
    assert_eq!(sim.heard, [(line.clone(), Some(beep()))], "{}", sim.log());
    assert_eq!(riser(&sim), LineState::Ours);
    assert!(sim.lines.contains(&(line.clone(), LineCommand::Seize)));
    // another one meanwhile is refused, and one that is over is not over twice
    stranger(&mut sim);
    said(&mut sim, 1, Ok(800));
    said(&mut sim, 1, Ok(800));
    assert_eq!(
        told(&sim),
        [
            "prompt riser 660/800: something else is being heard there",
            "800 ms"
        ]
    );
    assert_eq!(riser(&sim), LineState::Idle);
    assert_eq!(sim.lines.last(), Some(&(line, LineCommand::Release)));
    assert_eq!(sim.heard.len(), 1);
    // and what cannot be read is told
    stranger(&mut sim);
    said(&mut sim, 2, Err("it is not there"));
    assert_eq!(told(&sim)[2], "prompt riser 660/800: it is not there");
    assert_eq!(riser(&sim), LineState::Idle);
}

#[test]
fn a_visitor_who_rings_is_not_kept_waiting() {
    let mut sim = sim();
    stranger(&mut sim);
    assert!(sim.press("bell").is_some(), "{}", sim.log());
    assert_eq!(told(&sim), ["ended early: somebody rings"]);
    assert_eq!(sim.heard.last(), Some(&(id("riser"), None)));
    // while somebody is rung nothing is played, and the answered call has the line
    stranger(&mut sim);
    assert!(
        told(&sim)[1].contains("the line is in other hands"),
        "{:?}",
        told(&sim)
    );
    sim.wait(secs(5));
    sim.digit(sim.leg_of("1000"), '9');
    assert_eq!(sim.pulses.len(), 1, "{}", sim.log());
    // what comes late of the first one changes nothing
    said(&mut sim, 1, Ok(800));
    assert_eq!(told(&sim).len(), 2);
}

#[test]
fn a_call_to_the_door_takes_the_line_from_it() {
    let mut sim = sim();
    stranger(&mut sim);
    let leg = LegId(1 << 40);
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
    sim.wait(secs(1));
    assert_eq!(
        told(&sim),
        ["ended early: somebody calls the door"],
        "{}",
        sim.log()
    );
    assert!(
        sim.site.view().calls.iter().any(|call| call.state == "talking"),
        "{}",
        sim.log()
    );
}

#[test]
fn in_a_talk_it_is_heard_beside_it_and_ends_with_it() {
    let mut sim = sim();
    let ring = sim.press("bell").expect("a ring began");
    sim.wait(secs(5));
    stranger(&mut sim);
    assert_eq!(sim.heard, [(id("riser"), Some(beep()))], "{}", sim.log());
    said(&mut sim, 1, Ok(800));
    assert_eq!(riser(&sim), LineState::Ours, "the call goes on");
    stranger(&mut sim);
    sim.command("a", gateway_core::Command::HangUp { ring });
    sim.wait(secs(1));
    assert_eq!(
        told(&sim),
        ["800 ms", "ended early: the call ended"],
        "{}",
        sim.log()
    );
    assert_eq!(riser(&sim), LineState::Idle);
}

#[test]
fn a_line_that_cannot_start_by_itself_says_so_and_nobody_waits_for_ever() {
    let mut sim = sim();
    let mut params = house();
    params.lines.get_mut(&id("riser")).expect("the line").call_in = CallIn::None;
    sim.reload(params);
    stranger(&mut sim);
    assert!(sim.heard.is_empty());
    assert!(
        told(&sim)[0].contains("cannot start by itself"),
        "{:?}",
        told(&sim)
    );
    sim.reload(house());
    stranger(&mut sim);
    sim.wait(secs(41));
    assert!(
        told(&sim)[1].contains("it was not over after 40 s"),
        "{:?}",
        told(&sim)
    );
    assert_eq!(riser(&sim), LineState::Idle);
    // a stop ends it
    stranger(&mut sim);
    sim.input(Input::ShutDown);
    assert_eq!(told(&sim)[2], "ended early: the gateway stops");
}

/// A rule that tells whoever talks at the riser something whenever somebody is refused, and a panel that greets.
fn greets() -> Sim {
    let mut site = house();
    let action = Action::Prompt {
        line: id("riser"),
        sound: beep(),
        to: Ear::Phone { alone: true },
    };
    site.rules.get_mut(&id("refused")).expect("the rule").actions = vec![action];
    site.panels.get_mut(&id("main")).expect("the panel").greeting = Some("main.wav".into());
    let mut sim = Sim::new(site);
    sim.phone("1000", Phone::Answers(secs(4)));
    sim.wait(secs(1));
    sim
}

#[test]
fn whoever_answers_is_greeted_and_told_and_nobody_at_the_panel_hears_of_it() {
    let mut sim = greets();
    stranger(&mut sim);
    assert_eq!(
        told(&sim),
        ["prompt the phone at riser 660/800: nobody has a call there"]
    );
    assert!(sim.press("bell").is_some(), "{}", sim.log());
    sim.wait(secs(2));
    assert!(sim.told.is_empty(), "it rings");
    sim.wait(secs(4));
    let leg = sim.told.first().map(|(leg, _)| *leg).expect("a greeting");
    assert_eq!(sim.told, [(leg, Sound::File("main.wav".into()))]);
    stranger(&mut sim);
    assert_eq!(sim.told[1..], [(leg, beep())]);
    assert!(sim.heard.is_empty() && riser(&sim) == LineState::Ours);
    said(&mut sim, 1, Ok(800));
    assert_eq!(told(&sim)[1], "by the phone, 800 ms");
}

#[test]
fn what_can_be_heard_before_the_answer_is_heard_at_the_panel_and_takes_nothing() {
    let mut site = first_door();
    site.panels.get_mut(&id("main")).expect("the panel").greeting = None;
    let mut sim = Sim::new(site);
    sim.phone("1000", Phone::Rings);
    sim.wait(secs(1));
    assert!(sim.press("bell").is_some(), "{}", sim.log());
    sim.wait(secs(1));
    let leg = sim.leg_of("1000");
    sim.input(Input::Leg(LegEvent::EarlyMedia { leg }));
    assert!(sim.legs.contains(&LegCommand::Listen { leg }));
    assert_eq!(riser(&sim), LineState::Ringing);
}
