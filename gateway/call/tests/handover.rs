//! Calls that are handed on: transfer, take-over, redirection.

use std::time::Duration;

use gateway_call::{
    CallPlan, CallRequest, DigitPolicy, Handover, Input, Outcome, Output, Purpose, Strategy, TalkLimit,
    Target,
};
use gateway_core::{
    AccountId, CallEvent, Cause, DigitVia, Instant, LegCommand, LegEvent, LegId, LineId, Peer, RingId,
};

const T0: Instant = Instant::from_nanos(1_000_000_000_000);

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn pbx() -> AccountId {
    AccountId::new("pbx").expect("a name")
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

/// `1000` is called through the PBX; whoever else may have the call stands in `known`, who may open in `contacts`.
fn plan(known: &[&str], contacts: &[&str]) -> CallPlan {
    plan_with(false, known, contacts)
}

fn plan_with(any: bool, known: &[&str], contacts: &[&str]) -> CallPlan {
    let all = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let target = Target {
        account: Some(pbx()),
        address: "1000".into(),
        backups: Vec::new(),
        barred: false,
        confirm: None,
        leg: LegId(1),
        listed: true,
        manner: gateway_core::Manner::default(),
        name: None,
    };
    let request = CallRequest {
        digits: DigitPolicy {
            contacts: all(contacts),
            mask: false,
        },
        display: "Main entrance".into(),
        further: Vec::new(),
        handover: Handover {
            any,
            known: all(known),
            spare: vec![LegId(11), LegId(12)],
        },
        early_media: true,
        hang_up_after_open: false,
        line: LineId::new("riser").expect("a name"),
        look_in: false,
        pause: secs(10),
        purpose: Purpose::Visitor,
        ring: RingId::new(1, [1; 10]),
        ring_time: secs(20),
        ring_window: secs(120),
        strategy: Strategy::Sequential,
        talk_limit: TalkLimit::After(secs(180)),
        targets: vec![target],
    };
    CallPlan::new(T0, request)
}

fn drain(plan: &mut CallPlan) -> Vec<Output> {
    std::iter::from_fn(|| plan.poll_output()).collect()
}

fn commands(outputs: &[Output]) -> Vec<LegCommand> {
    let commands = outputs.iter().filter_map(|output| {
        if let Output::Leg(command) = output {
            Some(command.clone())
        } else {
            None
        }
    });
    commands.collect()
}

/// Hand-overs as the journal tells them.
fn told(outputs: &[Output]) -> Vec<String> {
    let told = outputs.iter().filter_map(|output| {
        if let Output::Event(CallEvent::HandoverRefused { reason, target, .. }) = output {
            Some(format!("{target} {reason}"))
        } else if let Output::Event(CallEvent::Transferred { leg, may_open, peer }) = output {
            Some(format!("{} {peer} {may_open}", leg.0))
        } else {
            None
        }
    });
    told.collect()
}

fn say(plan: &mut CallPlan, at: u64, event: LegEvent) -> Vec<Output> {
    plan.handle_input(T0 + secs(at), Input::Leg(event));
    drain(plan)
}

fn answered(leg: u64, address: &str) -> LegEvent {
    LegEvent::Answered {
        leg: LegId(leg),
        peer: peer(address),
    }
}

fn ended(leg: u64, cause: Cause) -> LegEvent {
    LegEvent::Ended {
        cause,
        leg: LegId(leg),
        detail: String::new(),
    }
}

fn asked(at_pbx: bool, target: &str) -> LegEvent {
    LegEvent::TransferAsked {
        at_pbx,
        leg: LegId(1),
        replaces: Some("a;to-tag=b;from-tag=c".into()),
        target: target.into(),
    }
}

/// The digits that count of one press of `9` at this second.
fn presses(plan: &mut CallPlan, leg: u64, at: u64) -> usize {
    let digit = LegEvent::Digit {
        at: T0 + secs(at),
        digit: '9',
        echo: false,
        leg: LegId(leg),
        via: DigitVia::Info,
    };
    let outputs = say(plan, at, digit);
    outputs
        .iter()
        .filter(|o| matches!(o, Output::Digit { .. }))
        .count()
}

fn talking(known: &[&str], contacts: &[&str]) -> CallPlan {
    let mut plan = plan(known, contacts);
    say(&mut plan, 1, answered(1, "sip:1000@pbx.example"));
    plan
}

#[test]
fn a_listed_party_gets_the_call_on_a_leg_of_its_own_and_may_open() {
    let mut plan = talking(&["1000", "1002"], &["1000", "1002"]);
    let outputs = say(&mut plan, 2, asked(true, "sip:1002@pbx.example"));
    let [
        LegCommand::Transfer {
            account,
            by,
            leg,
            replaces,
            target,
            ..
        },
    ] = &commands(&outputs)[..]
    else {
        panic!("{outputs:?}");
    };
    assert_eq!((account, by, leg), (&Some(pbx()), &LegId(1), &LegId(12)));
    assert_eq!(target, "sip:1002@pbx.example");
    assert_eq!(replaces.as_deref(), Some("a;to-tag=b;from-tag=c"));
    assert!(plan.has_leg(LegId(12)) && plan.has_leg(LegId(11)));
    // until the other one has it, whoever had it may open, and the other one not
    assert_eq!((presses(&mut plan, 1, 3), presses(&mut plan, 12, 3)), (1, 0));
    say(&mut plan, 4, LegEvent::Ringing { leg: LegId(12) });
    let outputs = say(&mut plan, 5, answered(12, "sip:1002@pbx.example"));
    assert_eq!(told(&outputs), ["12 sip:1002@pbx.example true"]);
    assert_eq!(
        commands(&outputs),
        [
            LegCommand::End {
                leg: LegId(1),
                cause: Cause::Released
            },
            LegCommand::Connect { leg: LegId(12) }
        ]
    );
    assert_eq!(plan.winner(), Some(LegId(12)));
    assert_eq!((presses(&mut plan, 1, 6), presses(&mut plan, 12, 6)), (0, 1));
    assert_eq!(plan.parties(), ["sip:1002@pbx.example"]);
    say(&mut plan, 7, ended(1, Cause::Normal));
    assert_eq!(plan.outcome(), None);
    say(&mut plan, 8, ended(12, Cause::Normal));
    assert_eq!(plan.outcome(), Some(Outcome::Answered(Cause::Normal)));
    assert!(plan.is_drained());
}

#[test]
fn whoever_is_listed_is_called_as_he_is_listed_whatever_the_name_adds() {
    for (at_pbx, named, called) in [
        (
            true,
            "sip:1002@pbx.example:5099;maddr=10.6.6.6",
            "sip:1002@pbx.example",
        ),
        (false, "sip:night@10.0.0.9:5070;transport=tcp", "night@10.0.0.9"),
        (false, "sip:10.0.0.7:5070", "10.0.0.7"),
    ] {
        let mut plan = talking(&["1002", "night@10.0.0.9", "10.0.0.7"], &[]);
        let outputs = say(&mut plan, 2, asked(at_pbx, named));
        assert!(
            matches!(&commands(&outputs)[..], [LegCommand::Transfer { target, .. }] if target == called),
            "{named}: {outputs:?}"
        );
    }
}

#[test]
fn a_name_that_only_looks_like_a_listed_one_is_another() {
    for (at_pbx, named) in [
        (true, "sip:10.0.0.7@10.6.6.6"),
        (false, "sip:10.0.0.7@10.6.6.6"),
        (false, "sip:1002;x=y@10.6.6.6"),
        (true, "sip:1002;x=y@pbx.example"),
        (true, "sip:1002?x@pbx.example"),
    ] {
        let mut plan = talking(&["1002", "10.0.0.7"], &["1002", "10.0.0.7"]);
        let outputs = say(&mut plan, 2, asked(at_pbx, named));
        assert_eq!(told(&outputs), [format!("{named} not-listed")]);
    }
}

#[test]
fn a_press_from_before_the_call_was_handed_on_does_not_count() {
    let mut plan = talking(&["1002"], &["1002"]);
    say(&mut plan, 2, asked(true, "sip:1002@pbx.example"));
    say(&mut plan, 5, answered(12, "sip:1002@pbx.example"));
    let early = LegEvent::Digit {
        at: T0 + secs(5) - Duration::from_millis(100),
        digit: '9',
        echo: false,
        leg: LegId(12),
        via: DigitVia::Info,
    };
    let outputs = say(&mut plan, 5, early);
    assert!(!outputs.iter().any(|o| matches!(o, Output::Digit { .. })));
}

#[test]
fn whoever_is_in_no_list_is_not_called_and_the_talk_goes_on() {
    for (at_pbx, target) in [
        (true, "sip:1003@pbx.example"),
        (true, "sip:0900123456@pbx.example"),
        // a bare number of a list is a user of the PBX, and nobody elsewhere who calls himself so
        (false, "sip:1002@evil.example"),
        (false, "sip:guard@evil.example"),
    ] {
        let mut plan = talking(&["1002", "guard@10.0.0.9"], &["1002"]);
        let outputs = say(&mut plan, 2, asked(at_pbx, target));
        assert_eq!(told(&outputs), [format!("{target} not-listed")]);
        assert!(matches!(
            &commands(&outputs)[..],
            [LegCommand::RefuseTransfer { leg: LegId(1), .. }]
        ));
        assert_eq!(presses(&mut plan, 1, 3), 1, "{target}");
    }
}

#[test]
fn who_may_have_the_call_and_is_nobody_that_opens_does_not_open() {
    let mut plan = talking(&["1000", "night@10.0.0.9"], &["1000"]);
    say(&mut plan, 2, asked(false, "sip:night@10.0.0.9:5070"));
    // not even as the PBX, or he himself, calls him somebody who opens
    let outputs = say(&mut plan, 3, answered(12, "sip:1000@pbx.example"));
    assert_eq!(told(&outputs), ["12 sip:1000@pbx.example false"]);
    assert_eq!(presses(&mut plan, 12, 4), 0);
    say(&mut plan, 5, answered(12, "sip:1000@pbx.example"));
    assert_eq!(presses(&mut plan, 12, 6), 0);
}

#[test]
fn whoever_hands_the_call_on_may_hang_up_before_it_is_taken() {
    let mut plan = talking(&["1002"], &["1002"]);
    say(&mut plan, 2, asked(true, "sip:1002@pbx.example"));
    say(&mut plan, 3, ended(1, Cause::Normal));
    assert_eq!(plan.outcome(), None);
    say(&mut plan, 4, answered(12, "sip:1002@pbx.example"));
    assert_eq!(presses(&mut plan, 12, 5), 1);

    let mut plan = talking(&["1002"], &["1002"]);
    say(&mut plan, 2, asked(true, "sip:1002@pbx.example"));
    say(&mut plan, 3, ended(1, Cause::Normal));
    say(&mut plan, 4, ended(12, Cause::Busy));
    assert_eq!(plan.outcome(), Some(Outcome::Answered(Cause::Busy)));
    assert!(plan.is_drained());
}

#[test]
fn nobody_rings_for_ever_to_get_a_call() {
    let mut plan = talking(&["1002"], &["1002"]);
    say(&mut plan, 2, asked(true, "sip:1002@pbx.example"));
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(22)));
    plan.handle_timeout(T0 + secs(22));
    let outputs = drain(&mut plan);
    assert_eq!(
        commands(&outputs),
        [LegCommand::End {
            leg: LegId(12),
            cause: Cause::Cancelled
        }]
    );
    // an answer that raced with it has nothing
    let outputs = say(&mut plan, 23, answered(12, "sip:1002@pbx.example"));
    assert!(matches!(
        commands(&outputs)[..],
        [LegCommand::End { leg: LegId(12), .. }]
    ));
    assert_eq!(plan.winner(), Some(LegId(1)));
    assert_eq!(presses(&mut plan, 1, 24), 1);
    say(&mut plan, 25, ended(12, Cause::Cancelled));
    assert_eq!(plan.outcome(), None);
}

#[test]
fn one_after_another_and_so_often_and_no_more() {
    let mut plan = talking(&["1002"], &["1002"]);
    say(&mut plan, 2, asked(true, "sip:1002@pbx.example"));
    let outputs = say(&mut plan, 3, asked(true, "sip:1002@pbx.example"));
    assert_eq!(told(&outputs), ["sip:1002@pbx.example running"]);
    say(&mut plan, 4, ended(12, Cause::Busy));
    say(&mut plan, 5, asked(true, "sip:1002@pbx.example"));
    say(&mut plan, 6, ended(11, Cause::Busy));
    let outputs = say(&mut plan, 7, asked(true, "sip:1002@pbx.example"));
    assert_eq!(told(&outputs), ["sip:1002@pbx.example too-many"]);
    let mut refused = 0;
    for second in 8..40 {
        refused += told(&say(&mut plan, second, asked(true, "sip:1002@pbx.example"))).len();
    }
    assert_eq!(refused, 8, "ten refusals of a call stand in the journal");
}

#[test]
fn before_the_answer_and_about_an_alarm_nothing_is_handed_on() {
    let mut early = plan(&["1002"], &["1002"]);
    let outputs = say(&mut early, 1, asked(true, "sip:1002@pbx.example"));
    assert_eq!(told(&outputs), ["sip:1002@pbx.example not-talking"]);
}

fn taking_over(address: &str, account: Option<AccountId>, trusted: bool) -> LegEvent {
    LegEvent::TakingOver {
        account,
        leg: LegId(1000),
        peer: Peer {
            trusted,
            ..peer(address)
        },
        replaced: LegId(1),
    }
}

#[test]
fn a_listed_party_that_takes_the_call_over_is_answered_and_has_it_then() {
    let mut plan = talking(&["1002"], &["1002"]);
    let outputs = say(
        &mut plan,
        2,
        taking_over("sip:1002@pbx.example", Some(pbx()), true),
    );
    assert_eq!(commands(&outputs), [LegCommand::Answer { leg: LegId(1000) }]);
    assert!(plan.has_leg(LegId(1000)));
    assert_eq!(presses(&mut plan, 1000, 3), 0);
    let outputs = say(&mut plan, 4, answered(1000, "sip:1002@pbx.example"));
    assert_eq!(told(&outputs), ["1000 sip:1002@pbx.example true"]);
    assert_eq!((presses(&mut plan, 1, 5), presses(&mut plan, 1000, 5)), (0, 1));
}

#[test]
fn nobody_else_takes_a_call_over() {
    for (address, account, trusted) in [
        ("sip:1003@pbx.example", Some(pbx()), true),
        ("sip:1002@pbx.example", Some(pbx()), false),
        // a direct peer that calls itself by a number of the PBX
        ("sip:1002@192.0.2.66", None, true),
    ] {
        let mut plan = talking(&["1002"], &["1002"]);
        let outputs = say(&mut plan, 2, taking_over(address, account, trusted));
        assert_eq!(told(&outputs), [format!("{address} not-listed")]);
        assert_eq!(
            commands(&outputs),
            [LegCommand::End {
                leg: LegId(1000),
                cause: Cause::Declined
            }]
        );
        assert_eq!(presses(&mut plan, 1, 3), 1);
    }
}

fn redirected(at_pbx: bool, target: &str) -> LegEvent {
    LegEvent::Redirected {
        at_pbx,
        leg: LegId(1),
        target: target.into(),
    }
}

#[test]
fn a_redirection_to_somebody_listed_is_followed_and_its_party_opens() {
    let mut plan = plan(&["1000", "1002"], &["1000", "1002"]);
    drain(&mut plan);
    say(&mut plan, 1, redirected(true, "sip:1002@pbx.example"));
    let outputs = say(&mut plan, 1, ended(1, Cause::Refused));
    assert!(
        matches!(
            &commands(&outputs)[..],
            [LegCommand::Offer { leg: LegId(12), target, .. }] if target == "sip:1002@pbx.example"
        ),
        "{outputs:?}"
    );
    say(&mut plan, 2, answered(12, "sip:1002@pbx.example"));
    assert_eq!(presses(&mut plan, 12, 3), 1);
}

#[test]
fn a_redirection_to_anybody_else_is_not_followed() {
    let mut plan = plan(&["1000"], &["1000"]);
    drain(&mut plan);
    let outputs = say(&mut plan, 1, redirected(true, "sip:0900123456@pbx.example"));
    assert_eq!(told(&outputs), ["sip:0900123456@pbx.example not-listed"]);
    let outputs = say(&mut plan, 1, ended(1, Cause::Refused));
    assert_eq!(commands(&outputs), []);
    assert_eq!(plan.outcome(), Some(Outcome::Unreachable));
}

/// Whom the commands of these outputs have called.
fn offered(outputs: &[Output]) -> Vec<(u64, String)> {
    let offers = commands(outputs).into_iter().filter_map(|command| {
        if let LegCommand::Offer { leg, target, .. } = command {
            Some((leg.0, target))
        } else {
            None
        }
    });
    offers.collect()
}

#[test]
fn of_several_that_a_redirection_names_the_listed_ones_are_called_in_turn() {
    let named = |user: &str| format!("sip:{user}@pbx.example");
    let mut plan = plan(&["1000", "1001", "1002", "1003"], &["1000", "1002"]);
    drain(&mut plan);
    for user in ["1001", "0900123456", "1002", "1003"] {
        let outputs = say(&mut plan, 1, redirected(true, &named(user)));
        let refused = match user {
            "0900123456" => vec![format!("{} not-listed", named(user))],
            // there are two legs for them
            "1003" => vec![format!("{} too-many", named(user))],
            _ => Vec::new(),
        };
        assert_eq!(told(&outputs), refused);
    }
    let outputs = say(&mut plan, 1, ended(1, Cause::Refused));
    assert_eq!(offered(&outputs), [(12, named("1001"))]);
    // who may not open himself takes nothing from who is called after him
    let outputs = say(&mut plan, 2, ended(12, Cause::Busy));
    assert_eq!(offered(&outputs), [(11, named("1002"))]);
    say(&mut plan, 3, answered(11, &named("1002")));
    assert_eq!(presses(&mut plan, 11, 4), 1);
}

#[test]
fn one_of_them_who_lets_it_ring_makes_room_for_the_next_once_his_leg_is_over() {
    let named = |user: &str| format!("sip:{user}@pbx.example");
    let mut plan = plan(&["1001", "1002"], &[]);
    drain(&mut plan);
    say(&mut plan, 1, redirected(true, &named("1001")));
    say(&mut plan, 1, redirected(true, &named("1002")));
    say(&mut plan, 1, ended(1, Cause::Refused));
    say(&mut plan, 2, LegEvent::Ringing { leg: LegId(12) });
    plan.handle_timeout(T0 + secs(21));
    let outputs = drain(&mut plan);
    let cause = Cause::Cancelled;
    assert_eq!(
        commands(&outputs),
        [LegCommand::End {
            leg: LegId(12),
            cause
        }]
    );
    assert_eq!(plan.outcome(), None);
    let outputs = say(&mut plan, 22, ended(12, Cause::Cancelled));
    assert_eq!(offered(&outputs), [(11, named("1002"))]);
    say(&mut plan, 23, LegEvent::Ringing { leg: LegId(11) });
    let outputs = say(&mut plan, 24, ended(11, Cause::Busy));
    assert_eq!(offered(&outputs), []);
    assert_eq!(plan.outcome(), Some(Outcome::NoAnswer));
}

#[test]
fn who_is_taken_off_the_lists_before_his_turn_is_not_called_and_the_next_one_opens_only_if_who_named_him_might()
 {
    let lists = |known: &[&str]| Handover {
        any: false,
        known: known.iter().map(|one| (*one).to_owned()).collect(),
        spare: Vec::new(),
    };
    for (still, opens) in [(&["1000", "1002"][..], 1), (&["1002"], 0)] {
        let mut plan = plan(&["1001", "1002"], &["1000", "1001", "1002"]);
        drain(&mut plan);
        say(&mut plan, 1, redirected(true, "sip:1001@pbx.example"));
        say(&mut plan, 1, redirected(true, "sip:1002@pbx.example"));
        plan.narrow(|address| still.contains(&address), &lists(&["1002"]));
        let outputs = say(&mut plan, 2, ended(1, Cause::Refused));
        assert_eq!(offered(&outputs), [(12, "sip:1002@pbx.example".to_owned())]);
        // nobody says who it is but the list
        say(&mut plan, 3, answered(12, ""));
        assert_eq!(presses(&mut plan, 12, 4), opens, "{still:?}");
    }
}

#[test]
fn two_that_redirect_to_each_other_come_to_an_end() {
    let mut plan = plan(&["1000", "1002"], &["1000"]);
    drain(&mut plan);
    let mut leg = 1;
    for second in 1..10 {
        let event = LegEvent::Redirected {
            at_pbx: true,
            leg: LegId(leg),
            target: "sip:1002@pbx.example".into(),
        };
        say(&mut plan, second, event);
        let outputs = say(&mut plan, second, ended(leg, Cause::Refused));
        let Some(LegCommand::Offer { leg: next, .. }) = commands(&outputs).first().cloned() else {
            break;
        };
        leg = next.0;
    }
    assert_eq!(plan.outcome(), Some(Outcome::Unreachable));
}

#[test]
fn who_is_taken_off_the_lists_in_a_call_is_handed_it_no_more_and_a_new_name_of_the_file_neither() {
    let lists = |any, known: &[&str]| Handover {
        any,
        known: known.iter().map(|one| (*one).to_owned()).collect(),
        spare: Vec::new(),
    };
    for (any, now, expected) in [
        (false, lists(false, &["1001", "1002"]), &[][..]),
        (
            false,
            lists(false, &["1002"]),
            &["sip:1001@pbx.example not-listed"],
        ),
        (false, lists(true, &[]), &[]),
        (false, lists(false, &[]), &["sip:1001@pbx.example not-listed"]),
        (true, lists(false, &["1001"]), &[]),
        (
            true,
            lists(false, &["1002"]),
            &["sip:1001@pbx.example not-listed"],
        ),
        (true, lists(true, &["1002"]), &[]),
    ] {
        let mut plan = plan_with(any, &["1001"], &["1000", "1001"]);
        say(&mut plan, 1, answered(1, "sip:1000@pbx.example"));
        plan.narrow(|_| true, &now);
        let out = say(&mut plan, 2, asked(true, "sip:1001@pbx.example"));
        assert_eq!(told(&out), expected, "{any} {now:?}");
        let called = commands(&out)
            .iter()
            .any(|c| matches!(c, LegCommand::Transfer { .. }));
        assert_eq!(called, expected.is_empty());
    }
    // who was not to have it as it began is not to have it by a later file
    let mut plan = plan(&["1002"], &["1000"]);
    say(&mut plan, 1, answered(1, "sip:1000@pbx.example"));
    plan.narrow(|_| true, &lists(false, &["1001"]));
    let out = say(&mut plan, 2, asked(true, "sip:1001@pbx.example"));
    assert_eq!(told(&out), ["sip:1001@pbx.example not-listed"]);
}

#[test]
fn of_two_phones_of_one_machine_the_one_that_is_named_is_called() {
    let (one, other) = ("sip:anna@192.0.2.7:5060", "sip:anna@192.0.2.7:5062");
    for (named, called) in [
        (one, one),
        (other, other),
        ("sip:anna@192.0.2.7:9", one),
        // not word for word
        ("<sip:anna@192.0.2.7:5062;transport=udp>", other),
        ("sip:anna@192.0.2.7", one),
    ] {
        let mut plan = plan(&[one, other], &["1000", one, other]);
        say(&mut plan, 1, answered(1, "sip:1000@pbx.example"));
        let out = say(&mut plan, 2, asked(false, named));
        let targets: Vec<String> = commands(&out)
            .into_iter()
            .filter_map(|command| {
                if let LegCommand::Transfer { target, .. } = command {
                    Some(target)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(targets, [called], "{named}");
    }
}
