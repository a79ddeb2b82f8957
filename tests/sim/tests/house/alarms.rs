//! Alarms: security is called until somebody confirms, whatever happens meanwhile.

use gateway_core::{
    AccountEvent, AccountState, AlarmEvent, Cause, Command, Event, LegCommand, LegId, Record, Secret, Tone,
};
use gateway_site::{
    AlarmParams, Decision, Input, InputParams, ListParams, RelayFunction, RelayParams, SiteParams,
    TargetParams,
};
use sim::{Phone, Sim, first_door, id, ms, secs};

fn list(parallel: bool, targets: &[&str]) -> ListParams {
    let target = |address: &&str| TargetParams {
        account: None,
        address: (*address).into(),
        confirm: None,
        contact: None,
        direct: false,
        manner: gateway_core::Manner::default(),
        name: None,
    };
    ListParams {
        again: secs(10),
        hang_up_after_open: false,
        parallel,
        ring: secs(20),
        rounds: 1,
        talk_limit: Some(secs(60)),
        targets: targets.iter().map(target).collect(),
    }
}

/// The first door with an alarm of an input `detector`: first the guards, one after the other, then the chiefs at once.
fn house() -> SiteParams {
    let mut site = first_door();
    let wire = InputParams {
        debounce: ms(0),
        simulated: false,
    };
    site.inputs.insert(id("detector"), wire);
    site.lists.insert(id("guards"), list(false, &["510", "511"]));
    site.lists.insert(id("chiefs"), list(true, &["520", "521"]));
    let alarm = AlarmParams {
        again: secs(60),
        calls: vec![id("guards"), id("chiefs")],
        code: Secret::new("4711"),
        input: Some(id("detector")),
        name: "Intrusion".into(),
        panel: id("main"),
        rounds: 2,
    };
    site.alarms.insert(id("intrusion"), alarm);
    let function = RelayFunction::Alarm([id("intrusion")].into());
    site.relays
        .insert(id("siren"), RelayParams::new(id("siren-output"), function));
    site
}

fn raised() -> Sim {
    let mut sim = Sim::new(house());
    sim.wait(ms(10));
    sim
}

fn siren(sim: &Sim) -> bool {
    sim.site.relays()[&id("siren-output")]
}

/// What the alarm did, as `kind` and what is told.
fn did(sim: &Sim) -> Vec<String> {
    let told = sim.records.iter().filter_map(|e| {
        let Event::Alarm(_, event) = &e.event else {
            return None;
        };
        Some(match event {
            AlarmEvent::Called { list, round, .. } => format!("called {list} {round}"),
            AlarmEvent::Confirmed { factor, subject } => format!("confirmed {} {subject}", factor.word()),
            AlarmEvent::Escalated { list, outcome } => format!("escalated {list} {outcome}"),
            AlarmEvent::LockedOut { lock_s, tries, .. } => format!("locked-out {lock_s} after {tries}"),
            AlarmEvent::Raised { subject } => format!("raised {subject}"),
            AlarmEvent::Unconfirmed { rounds } => format!("unconfirmed {rounds}"),
            AlarmEvent::WrongCode { left, .. } => format!("wrong-code {left}"),
        })
    });
    told.collect()
}

fn offered(sim: &Sim) -> Vec<String> {
    let offers = sim.legs.iter().filter_map(|leg| {
        if let LegCommand::Offer { target, .. } = leg {
            Some(target.clone())
        } else {
            None
        }
    });
    offers.collect()
}

fn type_code(sim: &mut Sim, leg: LegId, code: &str) {
    for digit in code.chars() {
        sim.digit(leg, digit);
        sim.wait(ms(200));
    }
}

fn confirms(sim: &mut Sim, number: u32) -> Decision {
    let alarm = id("intrusion");
    sim.command(&format!("confirm-{number}"), Command::ConfirmAlarm { alarm })
}

#[test]
fn the_first_guard_is_called_types_the_code_and_the_siren_rests() {
    let mut sim = raised();
    sim.phone("510", Phone::Answers(secs(3)));
    sim.edge("detector", true);
    assert!(siren(&sim), "{}", sim.log());
    sim.wait(secs(4));
    let leg = sim.leg_of("510");
    type_code(&mut sim, leg, "4711");
    assert!(!siren(&sim), "{}", sim.log());
    assert!(sim.legs.contains(&LegCommand::PlayToLeg {
        leg,
        tone: Tone::Opening
    }));
    sim.wait(secs(3));
    assert!(
        sim.legs
            .iter()
            .any(|command| matches!(command, LegCommand::End { leg: of, .. } if *of == leg)),
        "the call ends: {}",
        sim.log()
    );
    assert_eq!(
        did(&sim),
        [
            "raised input:detector",
            "called guards 1",
            "confirmed digits contact:sip:510@pbx.example"
        ]
    );
    // all of it stands under one ring, and the fault is gone
    let rings: Vec<_> = sim
        .records
        .iter()
        .filter(|e| matches!(e.event, Event::Alarm(..)))
        .map(|e| e.ring)
        .collect();
    assert!(
        rings.iter().all(|ring| ring.is_some() && *ring == rings[0]),
        "{rings:?}"
    );
    assert!(sim.site.view().faults.is_empty());
    // the detector is active still, and then raises it anew
    sim.wait(secs(3600));
    assert!(!siren(&sim), "{}", sim.log());
    sim.edge("detector", false);
    sim.wait(secs(1));
    sim.edge("detector", true);
    assert!(siren(&sim), "{}", sim.log());
    assert!(sim.pulses.is_empty(), "an alarm opens nothing: {}", sim.log());
}

#[test]
fn nobody_answers_and_it_goes_on_to_the_next_list_and_begins_anew_until_all_rounds_are_over() {
    let mut sim = raised();
    sim.edge("detector", true);
    sim.edge("detector", false);
    sim.wait(secs(21));
    assert_eq!(offered(&sim), ["510", "511"], "{}", sim.log());
    sim.wait(secs(20));
    assert_eq!(offered(&sim), ["510", "511", "520", "521"], "{}", sim.log());
    sim.wait(secs(3600));
    assert_eq!(
        did(&sim),
        [
            "raised input:detector",
            "called guards 1",
            "escalated guards no-answer",
            "called chiefs 1",
            "escalated chiefs no-answer",
            "called guards 2",
            "escalated guards no-answer",
            "called chiefs 2",
            "escalated chiefs no-answer",
            "unconfirmed 2",
        ]
    );
    assert!(siren(&sim), "it goes on: {}", sim.log());
    let faults = sim.site.view().faults;
    assert!(
        faults.iter().any(|fault| fault.part == "alarm:intrusion"),
        "{faults:?}"
    );
    // another movement has them called again
    let before = offered(&sim).len();
    sim.edge("detector", true);
    sim.wait(secs(1));
    assert_eq!(offered(&sim).len(), before + 1, "{}", sim.log());
    assert!(matches!(confirms(&mut sim, 1), Decision::Accepted { .. }));
    assert!(!siren(&sim), "{}", sim.log());
    assert_eq!(
        did(&sim).last().map(String::as_str),
        Some("confirmed mqtt integration:ha")
    );
    assert!(matches!(confirms(&mut sim, 2), Decision::Refused { .. }));
}

#[test]
fn rounds_in_which_nobody_can_be_reached_do_not_count_and_a_registration_has_all_called_at_once() {
    let account = |sim: &mut Sim, up: bool| {
        let (event, state) = if up {
            (
                AccountEvent::Registered { expires_s: 300 },
                AccountState::Registered,
            )
        } else {
            let (detail, retry_s) = ("no answer".to_owned(), 30);
            (AccountEvent::Failed { detail, retry_s }, AccountState::Failed)
        };
        sim.input(Input::Account {
            account: id("pbx"),
            event,
            state,
        });
    };
    let mut sim = raised();
    account(&mut sim, true);
    account(&mut sim, false);
    // one is as when nothing comes back from the PBX at all: only the account tells
    for phone in ["510", "511", "521"] {
        sim.phone(phone, Phone::Fails(Cause::Unreachable));
    }
    sim.edge("detector", true);
    // both of its rounds would be over after a minute
    sim.wait(secs(24 * 3600));
    let said = did(&sim);
    assert!(
        said.iter().all(|told| !told.starts_with("unconfirmed")),
        "{said:?}"
    );
    assert!(
        said[1..].iter().all(|told| !told.ends_with(" 2")),
        "it is the first round still: {said:?}"
    );
    let calls = said
        .iter()
        .filter(|told| told.starts_with("called guards"))
        .count();
    // after 1, 2, 4 and 8 min, and then each 15 min
    assert!((95..=100).contains(&calls), "{calls}: {said:?}");
    // away again as it was: nothing new
    account(&mut sim, false);
    sim.wait(secs(1));
    let calls_now = |sim: &Sim| {
        did(sim)
            .iter()
            .filter(|told| told.starts_with("called guards"))
            .count()
    };
    assert_eq!(calls_now(&sim), calls);
    sim.phone("510", Phone::Answers(secs(1)));
    account(&mut sim, true);
    sim.wait(secs(2));
    assert_eq!(calls_now(&sim), calls + 1, "{}", sim.log());
    let leg = sim.leg_of("510");
    type_code(&mut sim, leg, "4711");
    assert_eq!(
        did(&sim).last().map(String::as_str),
        Some("confirmed digits contact:sip:510@pbx.example")
    );
}

#[test]
fn once_somebody_was_reached_the_rounds_count_from_there() {
    let mut sim = raised();
    for phone in ["510", "511", "520", "521"] {
        sim.phone(phone, Phone::Fails(Cause::Unreachable));
    }
    sim.edge("detector", true);
    sim.wait(secs(600));
    sim.phone("521", Phone::Rings);
    sim.wait(secs(3600));
    let said = did(&sim);
    assert_eq!(said.last().map(String::as_str), Some("unconfirmed 2"), "{said:?}");
    let reached = said
        .iter()
        .filter(|told| *told == "escalated chiefs no-answer")
        .count();
    assert_eq!(reached, 2, "{said:?}");
}

#[test]
fn who_answers_and_says_nothing_makes_room_for_the_next() {
    let mut sim = raised();
    // an answering machine
    sim.phone("510", Phone::Answers(secs(1)));
    sim.edge("detector", true);
    sim.wait(secs(2));
    let leg = sim.leg_of("510");
    sim.wait(secs(62));
    assert_eq!(offered(&sim), ["510", "511"], "{}", sim.log());
    assert!(siren(&sim));
    // its digits count no more
    type_code(&mut sim, leg, "4711");
    assert!(siren(&sim), "{}", sim.log());
    // of those who ring at once the others are called again
    sim.phone("520", Phone::Answers(secs(1)));
    sim.wait(secs(21));
    let leg = sim.leg_of("520");
    sim.input(gateway_site::Input::Leg(gateway_core::LegEvent::Ended {
        cause: Cause::Normal,
        leg,
        detail: String::new(),
    }));
    sim.wait(ms(100));
    assert_eq!(
        offered(&sim),
        ["510", "511", "520", "521", "521"],
        "{}",
        sim.log()
    );
}

#[test]
fn wrong_codes_are_told_and_the_third_ends_the_call() {
    let mut sim = raised();
    sim.phone("510", Phone::Answers(secs(1)));
    sim.edge("detector", true);
    sim.wait(secs(2));
    let leg = sim.leg_of("510");
    for code in ["1234", "4712", "99#"] {
        type_code(&mut sim, leg, code);
    }
    sim.wait(secs(1));
    let said = did(&sim);
    assert_eq!(
        said[2..5],
        ["wrong-code 2", "wrong-code 1", "wrong-code 0"],
        "{said:?}"
    );
    assert!(siren(&sim));
    assert_eq!(offered(&sim), ["510", "511"], "{}", sim.log());
    // a slip is taken back with *, and what was typed long ago is forgotten
    let mut sim = raised();
    sim.phone("510", Phone::Answers(secs(1)));
    sim.edge("detector", true);
    sim.wait(secs(2));
    let leg = sim.leg_of("510");
    type_code(&mut sim, leg, "12*47");
    sim.wait(secs(6));
    type_code(&mut sim, leg, "4711");
    assert!(!siren(&sim), "{}", sim.log());
    assert!(
        !did(&sim).iter().any(|line| line.starts_with("wrong")),
        "{:?}",
        did(&sim)
    );
}

/// Waits until 510 has answered so often, and types these codes there.
fn answers_and_types(sim: &mut Sim, times: usize, codes: &[&str]) {
    let answered = |sim: &Sim| sim.kinds().iter().filter(|kind| *kind == "call.answered").count();
    for _ in 0..300 {
        if answered(sim) >= times {
            break;
        }
        sim.wait(ms(100));
    }
    assert_eq!(answered(sim), times, "{}", sim.log());
    let leg = sim.leg_of("510");
    for code in codes {
        type_code(sim, leg, code);
    }
}

#[test]
fn who_guesses_in_call_after_call_is_locked_out_until_the_lock_is_over() {
    let mut site = house();
    site.lists.insert(id("guards"), list(false, &["510"]));
    let alarm = site.alarms.get_mut(&id("intrusion")).expect("it");
    (alarm.calls, alarm.again, alarm.rounds) = (vec![id("guards")], secs(1), 20);
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.phone("510", Phone::Answers(secs(1)));
    sim.edge("detector", true);
    answers_and_types(&mut sim, 1, &["1111", "2222", "3333"]);
    // the sixth in a row locks, though another call began meanwhile
    answers_and_types(&mut sim, 2, &["4444", "5555", "6666"]);
    let said = |sim: &Sim, word: &str| -> Vec<String> {
        let lines = did(sim).into_iter();
        lines.filter(|line| line.starts_with(word)).collect()
    };
    assert_eq!(
        said(&sim, "locked-out"),
        ["locked-out 10 after 6"],
        "{:?}",
        did(&sim)
    );
    assert_eq!(said(&sim, "wrong").len(), 6, "{:?}", did(&sim));
    let tones = sim.legs.iter().filter(|leg| {
        matches!(
            leg,
            LegCommand::PlayToLeg {
                tone: Tone::LockedOut,
                ..
            }
        )
    });
    assert_eq!(tones.count(), 1, "{}", sim.log());
    // the right one does not count meanwhile, and is no try
    answers_and_types(&mut sim, 3, &["4711", "4711"]);
    assert!(siren(&sim), "{:?}", did(&sim));
    let locked = said(&sim, "locked-out");
    assert!(
        locked.len() == 2 && locked[1].ends_with(" after 6") && locked[1] != locked[0],
        "{locked:?}"
    );
    // time ends it
    let calls = |sim: &Sim| sim.kinds().iter().filter(|kind| *kind == "call.answered").count();
    for _ in 0..20 {
        if !siren(&sim) {
            break;
        }
        let next = calls(&sim) + 1;
        answers_and_types(&mut sim, next, &["4711"]);
        sim.wait(ms(100));
    }
    assert!(!siren(&sim), "{:?}\n{}", did(&sim), sim.log());
    assert_eq!(said(&sim, "wrong").len(), 6, "{:?}", did(&sim));
}

#[test]
fn only_who_answered_confirms_and_only_after_the_answer() {
    let mut sim = raised();
    sim.edge("detector", true);
    sim.wait(secs(1));
    let rings = sim.leg_of("510");
    type_code(&mut sim, rings, "4711");
    assert!(siren(&sim), "it only rings: {}", sim.log());
    // of two who answer one has the call
    let mut site = house();
    site.alarms.get_mut(&id("intrusion")).expect("it").calls = vec![id("chiefs")];
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.phone("520", Phone::Answers(secs(2)));
    sim.phone("521", Phone::Answers(secs(2)));
    sim.edge("detector", true);
    sim.wait(secs(3));
    let (first, second) = (sim.leg_of("520"), sim.leg_of("521"));
    type_code(&mut sim, second, "4711");
    assert!(siren(&sim), "{}", sim.log());
    type_code(&mut sim, first, "4711");
    assert!(!siren(&sim), "{}", sim.log());
    let confirmed = did(&sim)
        .iter()
        .filter(|line| line.starts_with("confirmed"))
        .count();
    type_code(&mut sim, first, "4711");
    assert_eq!((confirmed, did(&sim).len()), (1, 3), "{:?}", did(&sim));
    // a transfer hands the right to somebody else, who has none
    let mut sim = raised();
    sim.phone("510", Phone::Answers(secs(1)));
    sim.edge("detector", true);
    sim.wait(secs(2));
    let leg = sim.leg_of("510");
    let why = "transferred".to_owned();
    sim.input(gateway_site::Input::Leg(gateway_core::LegEvent::AuthorityLost {
        leg,
        why,
    }));
    type_code(&mut sim, leg, "4711");
    assert!(siren(&sim), "{}", sim.log());
}

#[test]
fn a_restart_in_the_middle_goes_on_with_the_alarm_and_forgets_no_confirmation() {
    let mut sim = raised();
    sim.edge("detector", true);
    sim.edge("detector", false);
    sim.wait(secs(5));
    let of_it = |e: &&gateway_core::Envelope| matches!(e.event, Event::Alarm(..));
    let ring = sim.records.iter().find(of_it).and_then(|e| e.ring);
    sim.restart();
    sim.wait(ms(100));
    assert!(siren(&sim), "{}", sim.log());
    assert_eq!(
        did(&sim),
        ["raised input:detector", "called guards 1", "called guards 1"]
    );
    let last = sim.records.iter().rev().find(of_it);
    assert_eq!(last.and_then(|e| e.ring), ring);
    sim.phone("510", Phone::Answers(secs(1)));
    sim.restart();
    sim.wait(secs(2));
    let leg = sim.leg_of("510");
    type_code(&mut sim, leg, "4711");
    assert!(!siren(&sim), "{}", sim.log());
    sim.restart();
    sim.wait(secs(60));
    assert!(!siren(&sim), "{}", sim.log());
}

#[test]
fn an_input_that_is_active_at_a_start_raises_unless_it_was_confirmed() {
    let mut sim = Sim::new_held(house(), &["detector"]);
    sim.wait(ms(100));
    assert!(siren(&sim), "{}", sim.log());
    confirms(&mut sim, 1);
    assert!(!siren(&sim));
    sim.restart();
    sim.wait(secs(5));
    assert!(!siren(&sim), "it was confirmed: {}", sim.log());
    sim.edge("detector", false);
    sim.restart();
    sim.wait(secs(5));
    assert!(siren(&sim), "it went to rest since: {}", sim.log());
}

#[test]
fn a_bell_rings_while_security_is_called_and_a_lockdown_keeps_no_alarm_down() {
    let mut sim = raised();
    sim.phone("1000", Phone::Answers(secs(2)));
    sim.phone("510", Phone::Answers(secs(2)));
    sim.command("down", Command::Lockdown { group: None });
    sim.edge("detector", true);
    sim.press("bell");
    sim.wait(secs(3));
    assert!(offered(&sim).contains(&"1000".to_owned()), "{}", sim.log());
    let leg = sim.leg_of("510");
    type_code(&mut sim, leg, "4711");
    assert!(!siren(&sim), "{}", sim.log());
    assert!(sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn the_code_of_an_alarm_opens_no_door_and_that_of_a_door_confirms_no_alarm() {
    let mut sim = raised();
    sim.phone("1000", Phone::Answers(secs(1)));
    sim.phone("510", Phone::Answers(secs(1)));
    sim.press("bell");
    sim.wait(secs(2));
    let door = sim.leg_of("1000");
    type_code(&mut sim, door, "4711");
    sim.wait(secs(5));
    assert!(sim.pulses.is_empty(), "{}", sim.log());
    sim.edge("detector", true);
    sim.wait(secs(2));
    let guard = sim.leg_of("510");
    type_code(&mut sim, guard, "9#");
    assert!(siren(&sim) && sim.pulses.is_empty(), "{}", sim.log());
}

#[test]
fn another_file_calls_whom_it_names_and_one_without_the_alarm_ends_it() {
    let mut sim = raised();
    sim.edge("detector", true);
    sim.wait(secs(1));
    let mut other = house();
    other.lists.insert(id("guards"), list(false, &["530"]));
    sim.reload(other);
    sim.wait(secs(1));
    assert_eq!(offered(&sim), ["510", "530"], "{}", sim.log());
    assert!(siren(&sim));
    let mut without = house();
    without.alarms.clear();
    without.relays.clear();
    sim.reload(without);
    sim.wait(secs(60));
    assert!(sim.site.export_alarms().is_empty());
    assert!(sim.site.view().faults.is_empty(), "{:?}", sim.site.view().faults);
}

#[test]
fn a_rule_raises_an_alarm_and_a_simulated_one_is_told_as_such() {
    use gateway_site::rules::{Action, Conditions, Rule, Trigger};
    let mut site = house();
    site.alarms.get_mut(&id("intrusion")).expect("it").input = None;
    site.rules.insert(
        id("forced"),
        Rule {
            actions: vec![Action::Alarm(id("intrusion"))],
            most_per_minute: 20,
            on: Trigger {
                kinds: ["door.forced".to_owned()].into(),
                sources: [].into(),
            },
            when: Conditions::default(),
        },
    );
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.edge("front-contact", true);
    sim.wait(ms(100));
    assert!(siren(&sim), "{}", sim.log());
    assert_eq!(did(&sim)[0], "raised rule:forced");
    confirms(&mut sim, 1);
    assert!(!siren(&sim));

    let mut site = house();
    site.inputs.get_mut(&id("detector")).expect("it").simulated = true;
    let mut sim = Sim::new(site);
    sim.wait(ms(10));
    sim.edge("detector", true);
    let alarm = sim
        .records
        .iter()
        .find(|e| Record::from(*e).kind == "alarm.raised");
    assert!(alarm.is_some_and(|e| e.simulated), "{}", sim.log());
}
