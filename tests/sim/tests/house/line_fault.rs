//! What the network is told of a panel whose line is faulty, texts, and numbers however they are written.

use std::time::Duration;

use gateway_access::NumberPlan;
use gateway_core::{Cause, LegCommand, LegEvent, LegId, LineSignal, Peer, Standing, Template};
use gateway_site::rules::{Action, Conditions, Rule, Trigger, may_open_on};
use gateway_site::{Caller, Input, OnLineFault, SiteParams, When};
use sim::{Phone, Sim, first_door, id, ms, secs};

const LEG: LegId = LegId(1 << 40);

fn calls(sim: &mut Sim, leg: LegId, address: &str) {
    sim.input(Input::Leg(LegEvent::Incoming {
        at_once: false,
        account: Some(id("pbx")),
        leg,
        panel: id("main"),
        peer: Peer {
            address: address.into(),
            foreign: false,
            display: None,
            trusted: true,
            withheld: false,
        },
    }));
}

fn house(on: OnLineFault) -> SiteParams {
    let mut site = first_door();
    for panel in site.panels.values_mut() {
        panel.on_line_fault = on;
    }
    // the account is for this panel alone
    site.panels
        .get_mut(&id("toys"))
        .expect("the panel")
        .accounts
        .clear();
    site
}

fn refused(sim: &Sim, leg: LegId) -> Option<Cause> {
    sim.legs.iter().find_map(|command| match command {
        LegCommand::End { leg: of, cause } if *of == leg => Some(*cause),
        LegCommand::Answer { .. }
        | LegCommand::Connect { .. }
        | LegCommand::Divert { .. }
        | LegCommand::Join { .. }
        | LegCommand::End { .. }
        | LegCommand::Listen { .. }
        | LegCommand::Offer { .. }
        | LegCommand::PlayToLeg { .. }
        | LegCommand::RefuseTransfer { .. }
        | LegCommand::RingBack { .. }
        | LegCommand::Ringing { .. }
        | LegCommand::Transfer { .. } => None,
    })
}

#[test]
fn a_faulty_line_is_told_as_its_panel_says_and_mended_again() {
    for (on, cause, away, fault) in [
        (OnLineFault::Reject, Cause::Unavailable, false, true),
        (OnLineFault::Unregister, Cause::Unavailable, true, true),
        (OnLineFault::Stay, Cause::Refused, false, false),
    ] {
        let mut sim = Sim::new(house(on));
        sim.wait(secs(1));
        assert!(sim.standings.is_empty(), "{on:?}");
        sim.line("riser", LineSignal::Fault);
        let told = sim.standings.get(&id("pbx")).copied().unwrap_or_default();
        assert_eq!(told, Standing { away, fault }, "{on:?}");
        calls(&mut sim, LEG, "sip:1007@pbx.example");
        sim.wait(secs(1));
        assert_eq!(refused(&sim, LEG), Some(cause), "{on:?}: {}", sim.log());
        sim.line("riser", LineSignal::Idle);
        let told = sim.standings.get(&id("pbx")).copied().unwrap_or_default();
        assert_eq!(told, Standing::default(), "{on:?}");
        calls(&mut sim, LegId(LEG.0 + 1), "sip:1007@pbx.example");
        sim.wait(secs(1));
        assert_eq!(refused(&sim, LegId(LEG.0 + 1)), None, "{on:?}: {}", sim.log());
    }
}

#[test]
fn an_account_of_two_panels_is_well_as_long_as_one_of_them_is() {
    let mut site = house(OnLineFault::Unregister);
    site.panels.get_mut(&id("toys")).expect("the panel").accounts = vec![id("pbx")];
    let toys = site.panels[&id("toys")].line.to_string();
    let mut sim = Sim::new(site);
    sim.line("riser", LineSignal::Fault);
    assert!(sim.standings.is_empty());
    sim.line(&toys, LineSignal::Fault);
    let all = Standing {
        away: true,
        fault: true,
    };
    assert_eq!(sim.standings.get(&id("pbx")), Some(&all));
    sim.line(&toys, LineSignal::Idle);
    assert_eq!(sim.standings.get(&id("pbx")), Some(&Standing::default()));
}

#[test]
fn a_reload_that_says_otherwise_is_told_at_once() {
    let mut sim = Sim::new(house(OnLineFault::Reject));
    sim.line("riser", LineSignal::Fault);
    assert!(sim.standings[&id("pbx")].fault);
    sim.reload(house(OnLineFault::Stay));
    assert_eq!(sim.standings[&id("pbx")], Standing::default());
}

#[test]
fn a_text_is_on_record_and_opens_nothing() {
    let mut sim = Sim::new(first_door());
    sim.wait(secs(1));
    let text = |sim: &mut Sim, panel: &str, trusted| {
        sim.input(Input::Message {
            panel: id(panel),
            peer: Peer {
                address: "sip:1000@pbx.example".into(),
                foreign: false,
                display: None,
                trusted,
                withheld: false,
            },
            text: "9".into(),
        });
        sim.wait(secs(1));
    };
    let told = |sim: &Sim| {
        let kinds = sim.records.iter().map(|envelope| envelope.event.kind());
        kinds.filter(|kind| kind == "panel.message-received").count()
    };
    text(&mut sim, "main", true);
    assert_eq!(told(&sim), 1, "{}", sim.log());
    text(&mut sim, "main", false);
    text(&mut sim, "nowhere", true);
    assert_eq!(told(&sim), 1, "{}", sim.log());
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    assert!(!may_open_on("panel.message-received"));
}

#[test]
fn a_rule_sends_a_text_to_the_telephones_of_a_list() {
    let mut site = first_door();
    let rule = Rule {
        actions: vec![Action::Text {
            list: id("reception"),
            message: Template::new("{source} was opened: é").expect("a template"),
            panel: id("main"),
        }],
        most_per_minute: 20,
        on: Trigger {
            kinds: ["door.granted".to_owned()].into(),
            ..Trigger::default()
        },
        when: Conditions::default(),
    };
    site.rules.insert(id("opened"), rule);
    let mut sim = Sim::new(site);
    sim.phone("1000", Phone::Answers(Duration::from_secs(1)));
    sim.press("bell");
    sim.wait(secs(3));
    let leg = sim.leg_of("1000");
    sim.digit(leg, '9');
    sim.wait(ms(100));
    let text = "front was opened: é".to_owned();
    assert_eq!(
        sim.texts,
        [
            (Some(id("pbx")), "1000".to_owned(), text.clone()),
            (Some(id("pbx")), "1001".to_owned(), text),
        ],
        "{}",
        sim.log()
    );
}

/// The door listens to a caller by the French number that stands there.
fn listens(country: Option<&str>, stands: &str, calls_as: &str) -> usize {
    let mut site = first_door();
    site.numbers = country.and_then(NumberPlan::of);
    site.doors.get_mut(&id("front")).expect("the door").callers = vec![Caller {
        address: stands.into(),
        name: "Caretaker".into(),
        when: When::Always,
    }];
    let mut sim = Sim::new(site);
    sim.wait(secs(1));
    calls(&mut sim, LEG, calls_as);
    sim.wait(secs(1));
    sim.digit(LEG, '9');
    sim.wait(ms(100));
    sim.pulses.len()
}

#[test]
fn a_caller_is_known_however_the_network_writes_his_number() {
    let stands = ["0612345678", "+33 6 12 34 56 78", "0033612345678", "+336123*"];
    let calls = ["0612345678", "+33612345678", "0033612345678", "33612345678"];
    for stands in stands {
        for calls in calls {
            let calls = format!("sip:{calls}@pbx.example");
            assert_eq!(listens(Some("fr"), stands, &calls), 1, "{stands} {calls}");
        }
    }
    assert_eq!(listens(None, "0612345678", "sip:+33612345678@pbx.example"), 0);
    // another country, another number, an extension
    assert_eq!(
        listens(Some("de"), "0612345678", "sip:+33612345678@pbx.example"),
        0
    );
    assert_eq!(listens(Some("fr"), "0612345678", "sip:0612345679@pbx.example"), 0);
    assert_eq!(
        listens(Some("fr"), "612345678", "sip:+33612345678@pbx.example"),
        0
    );
}

#[test]
fn whoever_answers_is_known_however_the_network_writes_his_number() {
    for (country, opens) in [(Some("fr"), 1), (None, 0)] {
        let mut site = first_door();
        site.numbers = country.and_then(NumberPlan::of);
        site.doors
            .get_mut(&id("front"))
            .expect("the door")
            .callers
            .clear();
        let list = site.lists.get_mut(&id("reception")).expect("the list");
        list.targets[1].address = "0612345678".into();
        let mut sim = Sim::new(site);
        sim.phone("1000", Phone::Answers(Duration::from_secs(1)));
        sim.press("bell");
        sim.wait(secs(3));
        let leg = sim.leg_of("1000");
        // the PBX puts the call through, and names whom by the number that the network has
        sim.input(Input::Leg(LegEvent::Answered {
            leg,
            peer: Peer {
                address: "sip:+33612345678@pbx.example".into(),
                foreign: false,
                display: None,
                trusted: true,
                withheld: false,
            },
        }));
        sim.digit(leg, '9');
        sim.wait(ms(100));
        assert_eq!(sim.pulses.len(), opens, "{country:?}: {}", sim.log());
    }
}
