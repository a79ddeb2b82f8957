use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use gateway_core::{DigitVia, Tone};

use super::*;

mod ringing;

const T0: Instant = Instant::from_nanos(1_000_000_000_000);
const CALLER: LegId = LegId(1 << 40);
const ANNA: &str = "sip:1002@pbx.example";
const STRANGER: &str = "sip:0900123456@pbx.example";

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn peer(address: &str, trusted: bool) -> Peer {
    Peer {
        address: address.into(),
        foreign: false,
        display: None,
        trusted,
        withheld: false,
    }
}

fn pbx() -> Option<AccountId> {
    Some(AccountId::new("pbx").expect("a name"))
}

/// `1000` calls the door. `1002` and `1003` are in its lists, and `1002` may open.
fn called(listed: bool, any: bool) -> IncomingPlan {
    answered_as(listed, any, Answer::AtOnce)
}

fn answered_as(listed: bool, any: bool, answer: Answer) -> IncomingPlan {
    let request = IncomingRequest {
        account: pbx(),
        answer,
        digits: DigitPolicy {
            contacts: vec!["1000".into(), "1002".into()],
            mask: false,
        },
        display: "Main entrance".into(),
        handover: Handover {
            any,
            known: vec!["1002".into(), "1003".into()],
            spare: vec![LegId(11), LegId(12)],
        },
        rings_back: false,
        hang_up_after_open: false,
        leg: CALLER,
        line: LineId::new("riser").expect("a name"),
        listed,
        panel: PanelId::new("main").expect("a name"),
        peer: peer("sip:1000@pbx.example", true),
        ring: RingId::new(1, [1; 10]),
        take: Take::Answer,
        talk_limit: TalkLimit::After(secs(600)),
    };
    IncomingPlan::new(T0, request)
}

fn drain(plan: &mut IncomingPlan) -> Vec<Output> {
    std::iter::from_fn(|| plan.poll_output()).collect()
}

fn say(plan: &mut IncomingPlan, at: u64, event: LegEvent) -> Vec<Output> {
    plan.handle_input(T0 + secs(at), Input::Leg(event));
    drain(plan)
}

fn talking(listed: bool, any: bool) -> IncomingPlan {
    let mut plan = called(listed, any);
    say(&mut plan, 1, answered(CALLER, "sip:1000@pbx.example"));
    plan
}

fn answered(leg: LegId, address: &str) -> LegEvent {
    LegEvent::Answered {
        leg,
        peer: peer(address, true),
    }
}

fn ended(leg: LegId) -> LegEvent {
    LegEvent::Ended {
        cause: Cause::Normal,
        detail: String::new(),
        leg,
    }
}

fn asked(leg: LegId, target: &str) -> LegEvent {
    LegEvent::TransferAsked {
        at_pbx: true,
        leg,
        replaces: Some("a;to-tag=b;from-tag=c".into()),
        target: target.into(),
    }
}

fn taking_over(leg: LegId, replaced: LegId, peer: Peer) -> LegEvent {
    LegEvent::TakingOver {
        account: pbx(),
        leg,
        peer,
        replaced,
    }
}

fn nine(leg: LegId, at: u64) -> LegEvent {
    LegEvent::Digit {
        at: T0 + secs(at),
        digit: '9',
        echo: false,
        leg,
        via: DigitVia::Info,
    }
}

/// The digits that count of one press of `9` at this second.
fn presses(plan: &mut IncomingPlan, leg: LegId, at: u64) -> usize {
    let counts = |o: &&Output| matches!(o, Output::Digit { .. });
    say(plan, at, nine(leg, at)).iter().filter(counts).count()
}

/// The seconds up to this one at which the tone sounds at the door, by the plan's own timers.
fn tones(plan: &mut IncomingPlan, until: u64) -> Vec<u64> {
    let mut at = Vec::new();
    while let Some(due) = plan.poll_timeout().filter(|due| *due <= T0 + secs(until)) {
        plan.handle_timeout(due);
        let sounds = drain(plan).contains(&Output::LineTone(Tone::LookIn));
        at.extend(sounds.then(|| due.since(T0).as_secs()));
    }
    at
}

#[test]
fn the_door_is_told_each_minute_that_somebody_listens_until_the_end_of_the_talk() {
    let mut plan = called(false, false);
    let out = say(&mut plan, 1, answered(CALLER, "sip:1000@pbx.example"));
    assert!(out.contains(&Output::LineTone(Tone::LookIn)));
    let minutes: Vec<u64> = (1..=9).map(|minute| 1 + 60 * minute).collect();
    assert_eq!(tones(&mut plan, 3_600), minutes);
    assert_eq!(plan.outcome(), Some(Outcome::Answered(Cause::TalkLimit)));
    assert_eq!(plan.poll_timeout(), None);
}

#[test]
fn who_holds_the_call_does_not_listen_and_to_whom_it_is_handed_does() {
    let mut plan = talking(true, false);
    let held = |held| LegEvent::Held { held, leg: CALLER };
    say(&mut plan, 50, held(true));
    assert!(tones(&mut plan, 150).is_empty());
    say(&mut plan, 150, held(false));
    assert_eq!(tones(&mut plan, 190), [181]);
    say(&mut plan, 190, asked(CALLER, ANNA));
    say(&mut plan, 195, answered(LegId(12), ANNA));
    assert_eq!(plan.winner(), Some(LegId(12)));
    assert_eq!(tones(&mut plan, 310), [241, 301]);
    say(&mut plan, 311, ended(LegId(12)));
    assert_eq!(plan.poll_timeout(), None);
}

/// Why it was refused to hand the call on, as the journal has it.
fn refusals(outputs: &[Output]) -> Vec<String> {
    let told = outputs.iter().filter_map(|output| {
        if let Output::Event(CallEvent::HandoverRefused { reason, .. }) = output {
            Some(reason.clone())
        } else {
            None
        }
    });
    told.collect()
}

fn commands(outputs: &[Output]) -> Vec<&LegCommand> {
    let commands = outputs.iter().filter_map(|output| {
        if let Output::Leg(command) = output {
            Some(command)
        } else {
            None
        }
    });
    commands.collect()
}

#[test]
fn a_caller_hands_the_call_to_somebody_of_the_lists_who_has_it_and_opens_then() {
    for listed in [true, false] {
        let mut plan = talking(listed, false);
        let out = say(&mut plan, 2, asked(CALLER, ANNA));
        let [
            LegCommand::Transfer {
                account,
                by,
                display,
                leg,
                replaces,
                target,
                ..
            },
        ] = &commands(&out)[..]
        else {
            panic!("{out:?}");
        };
        assert_eq!((account, *by, *leg), (&pbx(), CALLER, LegId(12)));
        assert_eq!((display.as_str(), target.as_str()), ("Main entrance", ANNA));
        assert_eq!(replaces.as_deref(), Some("a;to-tag=b;from-tag=c"));
        assert!(plan.has_leg(CALLER) && plan.has_leg(LegId(11)) && plan.has_leg(LegId(12)));
        // until she has it, the caller is who he was
        assert!(plan.caller().is_some() && plan.winner() == Some(CALLER));
        assert_eq!(presses(&mut plan, CALLER, 3), usize::from(listed));
        assert_eq!(presses(&mut plan, LegId(12), 3), 0);
        let out = say(&mut plan, 4, answered(LegId(12), ANNA));
        let [end, connect] = &commands(&out)[..] else {
            panic!("{out:?}");
        };
        let cause = Cause::Released;
        assert_eq!(**end, LegCommand::End { leg: CALLER, cause });
        assert_eq!(**connect, LegCommand::Connect { leg: LegId(12) });
        assert_eq!((plan.winner(), plan.caller()), (Some(LegId(12)), None));
        assert_eq!(plan.parties(), [ANNA]);
        assert_eq!(presses(&mut plan, CALLER, 5), 0);
        assert_eq!(presses(&mut plan, LegId(12), 5), 1);
        say(&mut plan, 6, ended(CALLER));
        assert_eq!(plan.outcome(), None);
        say(&mut plan, 7, ended(LegId(12)));
        assert_eq!(plan.outcome(), Some(Outcome::Answered(Cause::Normal)));
        assert!(plan.is_drained());
    }
}

#[test]
fn a_caller_who_may_open_gives_that_to_nobody_who_may_not() {
    let mut plan = talking(true, false);
    say(&mut plan, 2, asked(CALLER, "sip:1003@pbx.example"));
    say(&mut plan, 3, answered(LegId(12), "sip:1003@pbx.example"));
    assert_eq!(plan.winner(), Some(LegId(12)));
    assert_eq!(presses(&mut plan, LegId(12), 4), 0);
}

#[test]
fn anybody_is_called_for_a_caller_who_may_open_and_for_nobody_else() {
    for (listed, any, expected) in [
        (true, true, &[][..]),
        (true, false, &["not-listed"]),
        (false, true, &["not-listed"]),
        (false, false, &["not-listed"]),
    ] {
        let mut plan = talking(listed, any);
        // a file that allows it later changes nothing for him
        let all = Handover {
            any: true,
            known: vec!["1002".into()],
            spare: Vec::new(),
        };
        plan.narrow(|_| true, &all);
        let out = say(&mut plan, 2, asked(CALLER, STRANGER));
        assert_eq!(refusals(&out), expected, "listed {listed}, any {any}");
        if expected.is_empty() {
            say(&mut plan, 3, answered(LegId(12), STRANGER));
            assert_eq!(presses(&mut plan, LegId(12), 4), 0);
        } else {
            assert!(matches!(commands(&out)[..], [LegCommand::RefuseTransfer { .. }]));
        }
    }
}

#[test]
fn a_trusted_party_of_the_lists_takes_the_place_of_a_caller_and_nobody_else() {
    let taker = LegId(CALLER.0 + 1);
    for (who, declined) in [
        (peer(ANNA, true), false),
        (peer(ANNA, false), true),
        (peer(STRANGER, true), true),
    ] {
        let mut plan = talking(true, false);
        let out = say(&mut plan, 2, taking_over(taker, CALLER, who.clone()));
        if declined {
            let cause = Cause::Declined;
            assert_eq!(
                commands(&out),
                [&LegCommand::End { leg: taker, cause }],
                "{who:?}"
            );
            assert_eq!(presses(&mut plan, CALLER, 3), 1);
        } else {
            assert_eq!(commands(&out), [&LegCommand::Answer { leg: taker }]);
            say(&mut plan, 3, answered(taker, ANNA));
            assert_eq!((plan.winner(), presses(&mut plan, taker, 4)), (Some(taker), 1));
        }
    }
    // before anybody talks there is no place to take
    let mut plan = called(true, false);
    drain(&mut plan);
    let out = say(&mut plan, 1, taking_over(taker, CALLER, peer(ANNA, true)));
    let cause = Cause::Declined;
    assert_eq!(commands(&out), [&LegCommand::End { leg: taker, cause }]);
}

#[test]
fn a_caller_whom_the_network_names_otherwise_opens_no_more_whoever_he_is_then() {
    let mut plan = talking(true, false);
    for (at, name) in [(2, STRANGER), (3, ANNA), (4, "sip:1000@pbx.example")] {
        say(&mut plan, at, answered(CALLER, name));
        assert!(!plan.has_authority(), "{name}");
        assert_eq!(presses(&mut plan, CALLER, at), 0, "{name}");
    }
}

#[test]
fn who_is_taken_off_the_lists_opens_no_more_and_what_a_caller_may_is_asked_elsewhere() {
    let none = Handover::default();
    let mut plan = talking(true, false);
    plan.narrow(|_| false, &none);
    assert!(plan.has_authority());
    assert_eq!(refusals(&say(&mut plan, 2, asked(CALLER, ANNA))), ["not-listed"]);
    let mut plan = talking(true, false);
    say(&mut plan, 2, asked(CALLER, ANNA));
    say(&mut plan, 3, answered(LegId(12), ANNA));
    assert!(plan.has_authority());
    plan.narrow(|address| address != "1002", &none);
    assert!(!plan.has_authority());
    assert_eq!(presses(&mut plan, LegId(12), 4), 0);
}

#[test]
fn a_caller_who_hangs_up_before_it_is_taken_leaves_it_to_whoever_is_called() {
    let mut plan = talking(true, false);
    say(&mut plan, 2, asked(CALLER, ANNA));
    say(&mut plan, 3, ended(CALLER));
    assert_eq!(plan.outcome(), None);
    // nobody takes it: it ends then
    let due = plan.poll_timeout().expect("it is not waited for without end");
    assert_eq!(due, T0 + secs(22));
    plan.handle_timeout(due);
    assert_eq!(plan.outcome(), Some(Outcome::Answered(Cause::NoAnswer)));
    say(&mut plan, 30, ended(LegId(12)));
    assert!(plan.is_drained());
}

#[derive(Clone, Debug)]
enum Step {
    Answer(usize),
    Ask(usize, bool),
    Cancel,
    Digit(usize),
    End(usize),
    TakeOver(usize, bool),
    Wait(u64),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_usize).prop_map(Step::Answer),
        4 => ((0..5_usize), any::<bool>()).prop_map(|(leg, known)| Step::Ask(leg, known)),
        1 => Just(Step::Cancel),
        4 => (0..5_usize).prop_map(Step::Digit),
        1 => (0..5_usize).prop_map(Step::End),
        2 => ((0..5_usize), any::<bool>()).prop_map(|(leg, known)| Step::TakeOver(leg, known)),
        2 => (0..30_u64).prop_map(Step::Wait),
    ]
}

/// Legs of a run: the caller's, those for whom it is handed to, and two that call to take its place.
const LEGS: [LegId; 5] = [CALLER, LegId(11), LegId(12), LegId(900), LegId(901)];

proptest! {
    /// Whatever happens: one has the call at a time, only he presses, strangers never, and each leg that began ends.
    #[test]
    fn one_has_the_call_and_opens_as_himself_and_every_leg_comes_to_its_end(
        steps in prop::collection::vec(step(), 0..60),
        listed: bool,
        any: bool,
    ) {
        let mut plan = called(listed, any);
        let mut now = 0;
        let mut begun = vec![CALLER];
        // who is on which leg
        let mut names = std::collections::BTreeMap::from([(CALLER, "sip:1000@pbx.example")]);
        let mut all = drain(&mut plan);
        for step in steps {
            let event = match step {
                Step::Answer(n) => names.get(&LEGS[n]).map(|name| answered(LEGS[n], name)),
                Step::Ask(n, known) => Some(asked(LEGS[n], if known { ANNA } else { STRANGER })),
                Step::Cancel => {
                    plan.handle_input(T0 + secs(now), Input::Cancel(Cause::Released));
                    None
                }
                Step::Digit(n) => Some(nine(LEGS[n], now)),
                Step::End(n) => Some(ended(LEGS[n])),
                Step::TakeOver(n, known) => {
                    let (leg, name) = (LEGS[n], if known { ANNA } else { STRANGER });
                    (n > 2 && !begun.contains(&leg)).then(|| {
                        begun.push(leg);
                        names.insert(leg, name);
                        taking_over(leg, plan.winner().unwrap_or(CALLER), peer(name, true))
                    })
                }
                Step::Wait(seconds) => {
                    now += seconds;
                    plan.handle_timeout(T0 + secs(now));
                    None
                }
            };
            let winner = plan.winner();
            let mut new = Vec::new();
            if let Some(event) = event {
                new = say(&mut plan, now, event);
            }
            new.extend(drain(&mut plan));
            for output in &new {
                if let Output::Digit { leg, .. } = output {
                    prop_assert_eq!(Some(*leg), winner);
                    let who = names[leg];
                    prop_assert!(who != STRANGER, "a stranger pressed");
                    prop_assert!(who == ANNA || listed, "a caller pressed who is not listed");
                }
                if let Output::Leg(LegCommand::Transfer { leg, target, .. }) = output {
                    begun.push(*leg);
                    let name = if target == ANNA { ANNA } else { STRANGER };
                    prop_assert!(name == ANNA || any && listed, "a stranger was called");
                    names.insert(*leg, name);
                }
            }
            all.extend(new);
        }
        let later = T0 + secs(now + 3600);
        plan.handle_timeout(later);
        plan.handle_timeout(later);
        all.extend(drain(&mut plan));
        prop_assert_eq!(all.iter().filter(|o| matches!(o, Output::Over { .. })).count(), 1);
        prop_assert_eq!(plan.poll_timeout(), None);
        for begun in begun {
            let over = all.iter().any(|output| match output {
                Output::Leg(LegCommand::End { leg, .. }) => *leg == begun,
                Output::Event(CallEvent::LegEnded { leg, .. }) => *leg == begun,
                Output::Digit { .. } | Output::Event(_) | Output::Leg(_) | Output::LineTone(_)
                | Output::Over { .. } | Output::WantsLine { .. } | Output::Won { .. } => false,
            });
            prop_assert!(over, "leg {} goes on", begun.0);
        }
    }
}
