use gateway_core::{AccountId, DigitVia, LineId, RingId, Tone};
use proptest::prelude::{Just, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;
use crate::types::{DigitPolicy, Purpose, Strategy, TalkLimit, Target};

const T0: Instant = Instant::from_nanos(1_000_000_000_000);
const CALLER: LegId = LegId(1 << 40);
const GUARD: LegId = LegId(1);
const DEPUTY: LegId = LegId(2);
const HEIR: LegId = LegId(9);

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn peer(address: &str) -> Peer {
    Peer {
        address: address.into(),
        foreign: false,
        display: None,
        trusted: true,
        withheld: false,
    }
}

fn target(leg: LegId, address: &str) -> Target {
    Target {
        account: Some(AccountId::new("pbx").expect("a name")),
        address: address.into(),
        backups: Vec::new(),
        barred: false,
        confirm: None,
        leg,
        listed: true,
        manner: gateway_core::Manner::default(),
        name: None,
    }
}

/// `0612345678` calls the gate; 1000 and then 1001 are to answer it.
fn called() -> BridgePlan {
    let list = CallRequest {
        digits: DigitPolicy::default(),
        display: "0612345678, Gate".into(),
        further: Vec::new(),
        handover: Handover {
            any: false,
            known: vec!["1001".into(), "1002".into()],
            spare: vec![HEIR],
        },
        early_media: true,
        hang_up_after_open: false,
        line: LineId::new("riser").expect("a name"),
        look_in: false,
        pause: Duration::ZERO,
        purpose: Purpose::Bridge,
        ring: RingId::new(1, [1; 10]),
        ring_time: secs(40),
        ring_window: secs(300),
        strategy: Strategy::Sequential,
        talk_limit: TalkLimit::After(secs(180)),
        targets: vec![target(GUARD, "1000"), target(DEPUTY, "1001")],
    };
    let request = BridgeRequest {
        leg: CALLER,
        list,
        panel: PanelId::new("gate").expect("a name"),
        peer: peer("sip:0612345678@provider.example"),
    };
    BridgePlan::new(T0, request)
}

fn drain(plan: &mut BridgePlan) -> Vec<Output> {
    std::iter::from_fn(|| plan.poll_output()).collect()
}

fn say(plan: &mut BridgePlan, at: u64, event: LegEvent) -> Vec<Output> {
    plan.handle_input(T0 + secs(at), Input::Leg(event));
    drain(plan)
}

fn answered(leg: LegId) -> LegEvent {
    let address = match leg {
        CALLER => "sip:0612345678@provider.example",
        GUARD => "sip:1000@pbx.example",
        _ => "sip:1001@pbx.example",
    };
    LegEvent::Answered {
        leg,
        peer: peer(address),
    }
}

fn ended(leg: LegId, cause: Cause) -> LegEvent {
    LegEvent::Ended {
        cause,
        detail: String::new(),
        leg,
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

fn digits(outputs: &[Output]) -> Vec<LegId> {
    let legs = outputs.iter().filter_map(|output| {
        if let Output::Digit { leg, .. } = output {
            Some(*leg)
        } else {
            None
        }
    });
    legs.collect()
}

/// Both talk, from the second second on.
fn talking() -> BridgePlan {
    let mut plan = called();
    drain(&mut plan);
    say(&mut plan, 1, answered(GUARD));
    say(&mut plan, 2, answered(CALLER));
    plan
}

#[test]
fn the_caller_hears_that_it_rings_and_is_answered_when_somebody_of_the_list_is() {
    let mut plan = called();
    let out = drain(&mut plan);
    let kinds: Vec<&str> = out
        .iter()
        .filter_map(|output| {
            if let Output::Event(event) = output {
                Some(event.tag())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(kinds, ["incoming", "leg-offered"]);
    let [ringing, LegCommand::Offer { leg, display, .. }] = &commands(&out)[..] else {
        panic!("{out:?}");
    };
    assert_eq!(**ringing, LegCommand::Ringing { leg: CALLER });
    assert_eq!((*leg, display.as_str()), (GUARD, "0612345678, Gate"));
    assert!(commands(&say(&mut plan, 1, LegEvent::Ringing { leg: GUARD })).is_empty());
    let out = say(&mut plan, 5, answered(GUARD));
    assert_eq!(
        commands(&out),
        [&LegCommand::Answer { leg: CALLER }],
        "no line is connected"
    );
    let out = say(&mut plan, 6, answered(CALLER));
    let join = LegCommand::Join {
        leg: CALLER,
        with: GUARD,
    };
    assert_eq!(commands(&out), [&join]);
    assert_eq!(
        (plan.winner(), plan.parties()),
        (Some(GUARD), vec!["sip:1000@pbx.example".to_owned()])
    );
}

#[test]
fn keys_count_of_whoever_was_called_and_never_of_the_caller() {
    let mut plan = called();
    drain(&mut plan);
    assert!(digits(&say(&mut plan, 1, nine(CALLER, 1))).is_empty());
    assert!(digits(&say(&mut plan, 1, nine(GUARD, 1))).is_empty());
    let mut plan = talking();
    assert!(plan.has_authority());
    let out = say(&mut plan, 3, nine(CALLER, 3));
    assert!(digits(&out).is_empty());
    let told =
        |o: &Output| matches!(o, Output::Event(CallEvent::DigitIgnored { reason, .. }) if reason == "caller");
    assert!(out.iter().any(told), "{out:?}");
    assert_eq!(digits(&say(&mut plan, 4, nine(GUARD, 4))), [GUARD]);
}

#[test]
fn either_ends_it_for_both() {
    let mut plan = talking();
    let out = say(&mut plan, 9, ended(CALLER, Cause::Normal));
    let cause = Cause::Normal;
    assert_eq!(commands(&out), [&LegCommand::End { leg: GUARD, cause }]);
    assert_eq!(plan.outcome(), Some(Outcome::Answered(cause)));
    say(&mut plan, 9, ended(GUARD, Cause::Released));
    assert!(plan.is_drained());

    let mut plan = talking();
    let out = say(&mut plan, 9, ended(GUARD, Cause::Normal));
    let cause = Cause::Released;
    assert_eq!(commands(&out), [&LegCommand::End { leg: CALLER, cause }]);
    say(&mut plan, 9, ended(CALLER, Cause::Released));
    assert!(plan.is_drained());
    assert_eq!(plan.poll_timeout(), None);
}

#[test]
fn a_caller_who_gives_up_ends_the_ringing() {
    let mut plan = called();
    drain(&mut plan);
    let out = say(&mut plan, 3, ended(CALLER, Cause::Cancelled));
    let cause = Cause::Cancelled;
    assert_eq!(commands(&out), [&LegCommand::End { leg: GUARD, cause }]);
    // an answer that races with it is ended, and nobody is put through
    let out = say(&mut plan, 3, answered(GUARD));
    assert_eq!(commands(&out), [&LegCommand::End { leg: GUARD, cause }]);
    say(&mut plan, 4, ended(GUARD, Cause::Cancelled));
    assert!(plan.is_drained());
}

#[test]
fn where_nobody_answers_the_caller_is_told_so() {
    for (cause, told) in [
        (Cause::Busy, Cause::NoAnswer),
        (Cause::Unreachable, Cause::Unavailable),
    ] {
        let mut plan = called();
        drain(&mut plan);
        let out = say(&mut plan, 1, ended(GUARD, cause));
        assert!(
            matches!(commands(&out)[..], [LegCommand::Offer { leg: DEPUTY, .. }]),
            "{out:?}"
        );
        let out = say(&mut plan, 2, ended(DEPUTY, cause));
        assert_eq!(
            commands(&out),
            [&LegCommand::End {
                leg: CALLER,
                cause: told
            }]
        );
        say(&mut plan, 2, ended(CALLER, told));
        assert!(plan.is_drained());
    }
}

#[test]
fn it_rings_on_each_minute_and_not_without_end() {
    let mut plan = called();
    drain(&mut plan);
    let (mut rings, mut over) = (0, None);
    while let Some(due) = plan.poll_timeout() {
        plan.handle_timeout(due);
        for command in commands(&drain(&mut plan)) {
            rings += usize::from(*command == LegCommand::Ringing { leg: CALLER });
            if *command
                == (LegCommand::End {
                    leg: CALLER,
                    cause: Cause::NoAnswer,
                })
            {
                over = Some(due.since(T0));
            }
        }
    }
    assert_eq!((rings, over), (1, Some(secs(80))));
}

#[test]
fn an_answer_of_the_caller_that_is_not_confirmed_is_given_up() {
    let mut plan = called();
    drain(&mut plan);
    say(&mut plan, 1, answered(GUARD));
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(33)));
    plan.handle_timeout(T0 + secs(33));
    let out = drain(&mut plan);
    let of = |leg| LegCommand::End {
        leg,
        cause: Cause::Unreachable,
    };
    assert!(commands(&out).contains(&&of(GUARD)), "{out:?}");
    let ends = |c: &&&LegCommand| matches!(c, LegCommand::End { leg: CALLER, .. });
    assert_eq!(commands(&out).iter().filter(ends).count(), 1);
}

#[test]
fn the_caller_hears_the_warning_and_the_limit_ends_both() {
    let mut plan = talking();
    let warned = plan.poll_timeout().expect("a limit");
    assert_eq!(warned, T0 + secs(171));
    plan.handle_timeout(warned);
    let out = drain(&mut plan);
    for leg in [GUARD, CALLER] {
        let tone = Tone::TalkWarning;
        assert!(
            commands(&out).contains(&&LegCommand::PlayToLeg { leg, tone }),
            "{out:?}"
        );
    }
    plan.handle_timeout(T0 + secs(181));
    let out = drain(&mut plan);
    for leg in [GUARD, CALLER] {
        let cause = Cause::TalkLimit;
        assert!(
            commands(&out).contains(&&LegCommand::End { leg, cause }),
            "{out:?}"
        );
    }
}

#[test]
fn whoever_was_called_hands_the_caller_on_and_the_caller_hands_on_nobody() {
    let mut plan = talking();
    let asks = |leg, target: &str| LegEvent::TransferAsked {
        at_pbx: true,
        leg,
        replaces: None,
        target: target.into(),
    };
    let out = say(&mut plan, 3, asks(CALLER, "sip:1001@pbx.example"));
    assert!(
        matches!(
            commands(&out)[..],
            [LegCommand::RefuseTransfer { leg: CALLER, .. }]
        ),
        "{out:?}"
    );
    let out = say(&mut plan, 3, asks(GUARD, "sip:1001@pbx.example"));
    assert!(
        matches!(commands(&out)[..], [LegCommand::Transfer { leg: HEIR, .. }]),
        "{out:?}"
    );
    let out = say(&mut plan, 4, answered(HEIR));
    let join = LegCommand::Join {
        leg: CALLER,
        with: HEIR,
    };
    assert!(commands(&out).contains(&&join), "{out:?}");
    assert!(digits(&say(&mut plan, 5, nine(GUARD, 5))).is_empty());
    // somebody calls to take the caller's place
    let out = say(
        &mut plan,
        6,
        LegEvent::TakingOver {
            account: None,
            leg: LegId(77),
            peer: peer("sip:1002@pbx.example"),
            replaced: CALLER,
        },
    );
    let cause = Cause::Declined;
    assert_eq!(
        commands(&out),
        [&LegCommand::End {
            leg: LegId(77),
            cause
        }]
    );
}

#[derive(Clone, Debug)]
enum Step {
    Answer(usize),
    Cancel,
    Digit(usize),
    End(usize),
    Wait(u64),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Step::Answer),
        1 => Just(Step::Cancel),
        4 => (0..3_usize).prop_map(Step::Digit),
        1 => (0..3_usize).prop_map(Step::End),
        2 => (0..60_u64).prop_map(Step::Wait),
    ]
}

const LEGS: [LegId; 3] = [CALLER, GUARD, DEPUTY];

proptest! {
    /// Whatever happens: the caller never presses, who presses has the call, and each leg that began is told to end or ended.
    #[test]
    fn only_whoever_was_called_presses_and_every_leg_comes_to_its_end(steps in prop::collection::vec(step(), 0..60)) {
        let mut plan = called();
        let mut now = 0;
        let mut begun = vec![CALLER];
        let mut all = drain(&mut plan);
        for step in steps {
            let event = match step {
                Step::Answer(n) => Some(answered(LEGS[n])),
                Step::Cancel => {
                    plan.handle_input(T0 + secs(now), Input::Cancel(Cause::Released));
                    None
                }
                Step::Digit(n) => Some(nine(LEGS[n], now)),
                Step::End(n) => Some(ended(LEGS[n], Cause::Normal)),
                Step::Wait(seconds) => {
                    now += seconds;
                    plan.handle_timeout(T0 + secs(now));
                    None
                }
            };
            let winner = plan.winner();
            let mut new = drain(&mut plan);
            if let Some(event) = event {
                new.extend(say(&mut plan, now, event));
            }
            for output in &new {
                if let Output::Digit { leg, .. } = output {
                    prop_assert!(Some(*leg) == winner && *leg != CALLER);
                }
                prop_assert!(!matches!(output, Output::LineTone(_) | Output::Leg(LegCommand::Connect { .. })), "the line has no part in it");
            }
            all.extend(new);
        }
        let later = T0 + secs(now + 3600);
        plan.handle_timeout(later);
        plan.handle_timeout(later);
        all.extend(drain(&mut plan));
        prop_assert_eq!(all.iter().filter(|o| matches!(o, Output::Over { .. })).count(), 1);
        begun.extend(all.iter().filter_map(|output| {
            if let Output::Leg(LegCommand::Offer { leg, .. }) = output { Some(*leg) } else { None }
        }));
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
