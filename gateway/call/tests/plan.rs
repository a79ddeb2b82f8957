//! The call plan under virtual time.

use std::time::Duration;

use gateway_call::{
    Answer, CallPlan, CallRequest, DigitPolicy, Handover, IncomingPlan, IncomingRequest, Input, Outcome,
    Output, Purpose, Strategy, Take, TalkLimit, Target,
};
use gateway_core::{
    AccountId, CallEvent, Cause, DigitVia, Instant, LegCommand, LegEvent, LegId, LineId, PanelId, Peer,
    RingId, Tone,
};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

const T0: Instant = Instant::from_nanos(1_000_000_000_000);

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn line() -> LineId {
    LineId::new("riser").expect("a name")
}

fn request(targets: u64, strategy: Strategy) -> CallRequest {
    CallRequest {
        digits: DigitPolicy::default(),
        display: "Main entrance".into(),
        further: Vec::new(),
        handover: Handover::default(),
        early_media: true,
        hang_up_after_open: false,
        line: line(),
        look_in: false,
        pause: secs(10),
        purpose: Purpose::Visitor,
        ring: RingId::new(1, [1; 10]),
        ring_time: secs(20),
        ring_window: secs(120),
        strategy,
        talk_limit: TalkLimit::After(secs(180)),
        targets: (0..targets)
            .map(|n| Target {
                account: None,
                address: format!("100{n}"),
                backups: Vec::new(),
                barred: false,
                confirm: None,
                leg: LegId(n),
                listed: true,
                manner: gateway_core::Manner::default(),
                name: None,
            })
            .collect(),
    }
}

/// The seconds up to this one at which whoever stands at the line is told that somebody listens.
fn told_of(plan: &mut CallPlan, until: u64) -> Vec<u64> {
    let mut at = Vec::new();
    while let Some(due) = plan.poll_timeout().filter(|due| *due <= T0 + secs(until)) {
        plan.handle_timeout(due);
        let sounds = drain(plan).contains(&Output::LineTone(Tone::LookIn));
        at.extend(sounds.then(|| due.since(T0).as_secs()));
    }
    at
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

fn drain(plan: &mut CallPlan) -> Vec<Output> {
    std::iter::from_fn(|| plan.poll_output()).collect()
}

fn legs(outputs: &[Output]) -> Vec<LegCommand> {
    outputs
        .iter()
        .filter_map(|o| match o {
            Output::Leg(command) => Some(command.clone()),
            Output::Digit { .. }
            | Output::Event(_)
            | Output::LineTone(_)
            | Output::Over { .. }
            | Output::WantsLine { .. }
            | Output::Won { .. } => None,
        })
        .collect()
}

fn offered(outputs: &[Output]) -> Vec<u64> {
    legs(outputs)
        .iter()
        .filter_map(|c| match c {
            LegCommand::Offer { leg, .. } => Some(leg.0),
            LegCommand::Answer { .. }
            | LegCommand::Connect { .. }
            | LegCommand::Divert { .. }
            | LegCommand::End { .. }
            | LegCommand::Join { .. }
            | LegCommand::Listen { .. }
            | LegCommand::PlayToLeg { .. }
            | LegCommand::RefuseTransfer { .. }
            | LegCommand::RingBack { .. }
            | LegCommand::Ringing { .. }
            | LegCommand::Transfer { .. } => None,
        })
        .collect()
}

fn ended(outputs: &[Output]) -> Vec<(u64, Cause)> {
    legs(outputs)
        .iter()
        .filter_map(|c| match c {
            LegCommand::End { leg, cause } => Some((leg.0, *cause)),
            LegCommand::Answer { .. }
            | LegCommand::Connect { .. }
            | LegCommand::Divert { .. }
            | LegCommand::Join { .. }
            | LegCommand::Listen { .. }
            | LegCommand::Offer { .. }
            | LegCommand::PlayToLeg { .. }
            | LegCommand::RefuseTransfer { .. }
            | LegCommand::RingBack { .. }
            | LegCommand::Ringing { .. }
            | LegCommand::Transfer { .. } => None,
        })
        .collect()
}

fn digits(outputs: &[Output]) -> Vec<char> {
    outputs
        .iter()
        .filter_map(|o| match o {
            Output::Digit { digit, .. } => Some(*digit),
            Output::Event(_)
            | Output::Leg(_)
            | Output::LineTone(_)
            | Output::Over { .. }
            | Output::WantsLine { .. }
            | Output::Won { .. } => None,
        })
        .collect()
}

fn ignored(outputs: &[Output]) -> Vec<String> {
    outputs
        .iter()
        .filter_map(|o| {
            if let Output::Event(CallEvent::DigitIgnored { reason, .. }) = o {
                Some(reason.clone())
            } else {
                None
            }
        })
        .collect()
}

fn over(outputs: &[Output]) -> Option<Outcome> {
    outputs.iter().find_map(|o| {
        if let Output::Over { outcome } = o {
            Some(*outcome)
        } else {
            None
        }
    })
}

#[test]
fn where_nobody_rang_the_door_is_told_who_listens_as_the_talk_begins_and_each_minute() {
    let mut asked = request(1, Strategy::Sequential);
    asked.look_in = true;
    asked.talk_limit = TalkLimit::After(secs(300));
    let mut plan = CallPlan::new(T0, asked);
    drain(&mut plan);
    assert!(told_of(&mut plan, 4).is_empty(), "nobody has answered");
    plan.handle_input(T0 + secs(5), answer(0));
    assert!(drain(&mut plan).contains(&Output::LineTone(Tone::LookIn)));
    let held = |held| Input::Leg(LegEvent::Held { held, leg: LegId(0) });
    assert_eq!(told_of(&mut plan, 70), [65]);
    plan.handle_input(T0 + secs(70), held(true));
    assert!(told_of(&mut plan, 130).is_empty(), "who holds it does not listen");
    plan.handle_input(T0 + secs(130), held(false));
    assert_eq!(told_of(&mut plan, 3_600), [185, 245]);
    assert_eq!(plan.outcome(), Some(Outcome::Answered(Cause::TalkLimit)));
    // a visitor who rang knows
    let mut plan = CallPlan::new(T0, request(1, Strategy::Sequential));
    plan.handle_input(T0 + secs(5), answer(0));
    assert!(!drain(&mut plan).contains(&Output::LineTone(Tone::LookIn)));
    assert!(told_of(&mut plan, 3_600).is_empty());
}

fn answer(leg: u64) -> Input {
    Input::Leg(LegEvent::Answered {
        leg: LegId(leg),
        peer: peer(&format!("sip:100{leg}@pbx.example")),
    })
}

fn end(leg: u64, cause: Cause) -> Input {
    Input::Leg(LegEvent::Ended {
        cause,
        leg: LegId(leg),
        detail: String::new(),
    })
}

fn digit(leg: u64, at: Instant, via: DigitVia, echo: bool) -> Input {
    Input::Leg(LegEvent::Digit {
        at,
        digit: '9',
        echo,
        leg: LegId(leg),
        via,
    })
}

fn talking(mut request: CallRequest, change: impl FnOnce(&mut CallRequest)) -> CallPlan {
    change(&mut request);
    let mut plan = CallPlan::new(T0, request);
    plan.handle_input(T0 + secs(1), answer(0));
    drain(&mut plan);
    plan
}

fn speaks(plan: &mut CallPlan, leg: u64) -> Vec<u64> {
    let leg = LegId(leg);
    plan.handle_input(T0 + secs(1), Input::Leg(LegEvent::EarlyMedia { leg }));
    listened(plan)
}

/// Who is heard at the line from here on.
fn listened(plan: &mut CallPlan) -> Vec<u64> {
    let commands = legs(&drain(plan));
    let heard = commands.iter().filter_map(|command| {
        if let LegCommand::Listen { leg } = command {
            Some(leg.0)
        } else {
            None
        }
    });
    heard.collect()
}

#[test]
fn the_first_that_has_something_to_be_heard_is_heard_before_the_answer_and_nobody_beside_him() {
    let mut plan = CallPlan::new(T0, request(3, Strategy::Parallel));
    drain(&mut plan);
    assert_eq!(speaks(&mut plan, 1), [1]);
    assert!(speaks(&mut plan, 1).is_empty() && speaks(&mut plan, 2).is_empty());
    // it is no answer: nobody talks, and no key counts
    assert!(plan.winner().is_none());
    plan.handle_input(
        T0 + secs(2),
        digit(1, T0 + secs(2), DigitVia::TelephoneEvent, false),
    );
    let out = drain(&mut plan);
    assert_eq!(
        (digits(&out), ignored(&out)),
        (vec![], vec!["before-answer".to_owned()])
    );
    // who is heard declines: the next one has its turn, until somebody answers
    plan.handle_input(T0 + secs(3), end(1, Cause::Busy));
    assert_eq!(listened(&mut plan), [2]);
    plan.handle_input(T0 + secs(4), answer(0));
    let out = legs(&drain(&mut plan));
    assert!(out.contains(&LegCommand::Connect { leg: LegId(0) }), "{out:?}");
    assert!(speaks(&mut plan, 2).is_empty());

    // one who is asked for a key is not heard, nor is anybody where nobody listens
    let mut asking = request(2, Strategy::Parallel);
    asking.targets[0].confirm = Some('1');
    let mut plan = CallPlan::new(T0, asking);
    drain(&mut plan);
    assert_eq!(speaks(&mut plan, 0), [0]);
    plan.handle_input(T0 + secs(2), answer(0));
    assert!(listened(&mut plan).is_empty() && plan.winner().is_none());
    assert_eq!(speaks(&mut plan, 1), [1]);
    let mut deaf = request(1, Strategy::Parallel);
    deaf.early_media = false;
    let mut plan = CallPlan::new(T0, deaf);
    drain(&mut plan);
    assert!(speaks(&mut plan, 0).is_empty());
}

#[test]
fn sequential_targets_move_on_whatever_the_reason() {
    for cause in [
        Cause::Busy,
        Cause::Declined,
        Cause::NoAnswer,
        Cause::NotFound,
        Cause::Refused,
        Cause::Unavailable,
        Cause::Unreachable,
    ] {
        let mut plan = CallPlan::new(T0, request(2, Strategy::Sequential));
        assert_eq!(offered(&drain(&mut plan)), [0]);
        plan.handle_input(T0 + secs(1), end(0, cause));
        assert_eq!(offered(&drain(&mut plan)), [1], "{cause}");
        plan.handle_input(T0 + secs(2), answer(1));
        let out = drain(&mut plan);
        assert!(legs(&out).contains(&LegCommand::Connect { leg: LegId(1) }));
    }
}

#[test]
fn a_target_that_does_not_answer_in_its_time_makes_room() {
    let mut plan = CallPlan::new(T0, request(2, Strategy::Sequential));
    drain(&mut plan);
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(20)));
    plan.handle_timeout(T0 + secs(20));
    let out = drain(&mut plan);
    assert_eq!(ended(&out), [(0, Cause::Cancelled)]);
    assert_eq!(offered(&out), [1]);
    // Its answer races with our cancel: ended again, the second goes on.
    plan.handle_input(T0 + secs(21), answer(0));
    assert_eq!(ended(&drain(&mut plan)), [(0, Cause::Cancelled)]);
    plan.handle_timeout(T0 + secs(40));
    assert_eq!(over(&drain(&mut plan)), Some(Outcome::NoAnswer));
}

#[test]
fn the_first_answer_wins_and_the_others_hear_answered_elsewhere() {
    let mut plan = CallPlan::new(T0, request(3, Strategy::Parallel));
    assert_eq!(offered(&drain(&mut plan)), [0, 1, 2]);
    plan.handle_input(T0 + secs(3), answer(1));
    let out = drain(&mut plan);
    assert_eq!(
        ended(&out),
        [(0, Cause::AnsweredElsewhere), (2, Cause::AnsweredElsewhere)]
    );
    assert_eq!(plan.winner(), Some(LegId(1)));
    plan.handle_input(T0 + secs(3), answer(2));
    let out = drain(&mut plan);
    assert_eq!(
        legs(&out),
        [LegCommand::End {
            leg: LegId(2),
            cause: Cause::AnsweredElsewhere
        }]
    );
    assert_eq!(plan.winner(), Some(LegId(1)));
    plan.handle_input(T0 + secs(4), digit(2, T0 + secs(4), DigitVia::Info, false));
    assert_eq!(ignored(&drain(&mut plan)), ["not-winner"]);
}

#[test]
fn nobody_answers_after_the_ring_window() {
    let mut slow = request(4, Strategy::Sequential);
    slow.ring_window = secs(30);
    let mut plan = CallPlan::new(T0, slow);
    plan.handle_timeout(T0 + secs(20));
    drain(&mut plan);
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(30)));
    plan.handle_timeout(T0 + secs(30));
    let out = drain(&mut plan);
    assert_eq!(over(&out), Some(Outcome::Window));
    assert_eq!(offered(&out), [0_u64; 0]);
    plan.handle_input(T0 + secs(31), answer(1));
    let out = drain(&mut plan);
    assert_eq!(ended(&out), [(1, Cause::Cancelled)]);
    assert_eq!(plan.winner(), None);
    plan.handle_input(T0 + secs(31), end(0, Cause::Cancelled));
    plan.handle_input(T0 + secs(31), end(1, Cause::Normal));
    assert!(plan.is_drained());
}

#[test]
fn a_list_nobody_of_which_can_be_reached_says_so() {
    let mut plan = CallPlan::new(T0, request(2, Strategy::Parallel));
    plan.handle_input(T0, end(0, Cause::Unreachable));
    plan.handle_input(T0, end(1, Cause::NotFound));
    assert_eq!(over(&drain(&mut plan)), Some(Outcome::Unreachable));
    let mut empty = CallPlan::new(T0, request(0, Strategy::Parallel));
    assert_eq!(over(&drain(&mut empty)), Some(Outcome::Unreachable));
    assert!(empty.is_drained());
}

#[test]
fn digits_count_only_on_the_answered_winner_by_one_transport_without_echo() {
    let mut plan = CallPlan::new(T0, request(1, Strategy::Parallel));
    let at = T0 + secs(1);
    plan.handle_input(at, digit(0, at, DigitVia::TelephoneEvent, false));
    assert_eq!(ignored(&drain(&mut plan)), ["before-answer"]);
    plan.handle_input(T0 + secs(2), answer(0));
    drain(&mut plan);
    // Pressed before the answer, delivered after it.
    plan.handle_input(T0 + secs(2), digit(0, at, DigitVia::TelephoneEvent, false));
    assert_eq!(ignored(&drain(&mut plan)), ["before-answer"]);
    // An echo does not latch the transport.
    let at = T0 + secs(3);
    plan.handle_input(at, digit(0, at, DigitVia::Inband, true));
    assert_eq!(ignored(&drain(&mut plan)), ["echo"]);
    plan.handle_input(at, digit(0, at, DigitVia::TelephoneEvent, false));
    assert_eq!(digits(&drain(&mut plan)), ['9']);
    plan.handle_input(at, digit(0, at, DigitVia::Info, false));
    assert_eq!(ignored(&drain(&mut plan)), ["other-transport"]);
    plan.handle_input(at + secs(3), digit(0, at, DigitVia::TelephoneEvent, false));
    assert_eq!(ignored(&drain(&mut plan)), ["stale"]);
    plan.handle_input(at + secs(3), end(0, Cause::Normal));
    drain(&mut plan);
    let at = at + secs(4);
    plan.handle_input(at, digit(0, at, DigitVia::TelephoneEvent, false));
    assert_eq!(ignored(&drain(&mut plan)), ["ended"]);
}

#[test]
fn a_tone_that_was_taken_for_a_key_makes_no_leg_deaf_to_its_messages() {
    for via in [DigitVia::TelephoneEvent, DigitVia::Info] {
        let mut plan = talking(request(1, Strategy::Parallel), |_| {});
        let heard = T0 + secs(5);
        plan.handle_input(heard, digit(0, heard, DigitVia::Inband, false));
        assert_eq!(digits(&drain(&mut plan)), ['9']);
        // the message of the same key is no second press
        let copy = heard + Duration::from_millis(600);
        plan.handle_input(copy, digit(0, copy, via, false));
        assert_eq!(ignored(&drain(&mut plan)), ["other-transport"]);
        let again = heard + Duration::from_millis(900);
        plan.handle_input(again, digit(0, again, via, false));
        assert_eq!(digits(&drain(&mut plan)), ['9'], "{via:?}");
        // and the speech never counts again
        let later = heard + secs(10);
        plan.handle_input(later, digit(0, later, DigitVia::Inband, false));
        assert_eq!(ignored(&drain(&mut plan)), ["other-transport"]);
    }
    // one that came too late in the speech does not count by its message either
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    let (late, copy) = (T0 + secs(4), T0 + secs(9));
    plan.handle_input(copy, digit(0, late, DigitVia::Inband, false));
    plan.handle_input(copy, digit(0, copy, DigitVia::Info, false));
    assert_eq!(ignored(&drain(&mut plan)), ["stale", "other-transport"]);
}

#[test]
fn of_several_keys_in_the_speech_each_has_its_message_as_a_copy() {
    use DigitVia::{Inband, Info};
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    let ms = |ms| T0 + secs(5) + Duration::from_millis(ms);
    let mut taken = Vec::new();
    // the messages may come only after all tones, and up to eight seconds late: the fifth try of an INFO
    for (at, digit, via) in [
        (0, '1', Inband),
        (300, '2', Inband),
        (600, '2', Inband),
        (7_900, '1', Info),
        (8_200, '2', Info),
        (8_400, '2', Info),
        // one more press than was heard
        (8_500, '2', Info),
        (8_600, '1', Info),
    ] {
        taken.extend(digits(&presses(&mut plan, ms(at), digit, via, false)));
    }
    assert_eq!(taken, ['1', '2', '2', '2', '1']);
}

#[test]
fn a_key_whose_message_is_lost_counts_by_its_tone_and_so_does_the_next_press_of_it() {
    use DigitVia::{Inband, Info};
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    let ms = |ms| T0 + secs(5) + Duration::from_millis(ms);
    let mut taken = Vec::new();
    for (at, digit, via) in [
        // its message never comes
        (0, '1', Inband),
        // this one's does, at the third try
        (2_000, '2', Inband),
        (3_500, '2', Info),
        // from the first message on they count alone; its tone is heard, too
        (5_000, '1', Info),
        (5_050, '1', Inband),
    ] {
        taken.extend(digits(&presses(&mut plan, ms(at), digit, via, false)));
    }
    assert_eq!(taken, ['1', '2', '1']);
    // the message before its tone
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    presses(&mut plan, ms(0), '9', Info, false);
    let out = presses(&mut plan, ms(50), '9', Inband, false);
    assert_eq!(ignored(&out), ["other-transport"]);
}

#[test]
fn a_press_that_came_too_late_does_not_count_when_its_copy_comes_the_other_way() {
    let (late, copy) = (T0 + secs(2), T0 + secs(5));
    for (echo, expected) in [(false, &["stale", "other-transport"][..]), (true, &["stale"])] {
        let mut plan = talking(request(1, Strategy::Parallel), |_| {});
        plan.handle_input(copy, digit(0, late, DigitVia::TelephoneEvent, echo));
        plan.handle_input(copy, digit(0, copy, DigitVia::Info, false));
        let out = drain(&mut plan);
        assert_eq!(
            ignored(&out),
            expected,
            "what the visitor's voice made binds nobody"
        );
        assert_eq!(digits(&out).len(), usize::from(echo));
    }
    // also what waited while the main loop stood still
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    plan.discard_before(T0 + secs(5));
    for (at, via) in [(4, DigitVia::TelephoneEvent), (5, DigitVia::Info)] {
        plan.handle_input(T0 + secs(at), digit(0, T0 + secs(at), via, false));
    }
    assert_eq!(ignored(&drain(&mut plan)), ["stale", "other-transport"]);
}

#[test]
fn a_transfer_takes_authority_unless_the_new_party_is_listed() {
    let mut plan = talking(request(1, Strategy::Parallel), |r| {
        r.digits.contacts = vec!["2000".into()];
    });
    let press = |plan: &mut CallPlan, s: u64| {
        plan.handle_input(
            T0 + secs(s),
            digit(0, T0 + secs(s), DigitVia::TelephoneEvent, false),
        );
        drain(plan)
    };
    assert_eq!(digits(&press(&mut plan, 2)), ['9']);
    let lost = LegEvent::AuthorityLost {
        leg: LegId(0),
        why: "REFER".into(),
    };
    plan.handle_input(T0 + secs(3), Input::Leg(lost));
    assert_eq!(ignored(&press(&mut plan, 3)), ["no-authority"]);
    let named = |address: &str, trusted| {
        let peer = Peer {
            trusted,
            ..peer(address)
        };
        Input::Leg(LegEvent::Answered { leg: LegId(0), peer })
    };
    plan.handle_input(T0 + secs(4), named("sip:666@pbx.example", true));
    assert_eq!(ignored(&press(&mut plan, 4)), ["no-authority"]);
    plan.handle_input(T0 + secs(5), named("sip:2000@pbx.example", false));
    assert_eq!(ignored(&press(&mut plan, 5)), ["no-authority"]);
    plan.handle_input(T0 + secs(6), named("sip:2000@pbx.example", true));
    assert_eq!(digits(&press(&mut plan, 6)), ['9']);
}

/// What a plan says of who has the call.
fn transfers(outputs: &[Output]) -> Vec<String> {
    let told = outputs.iter().filter_map(|output| {
        if let Output::Event(CallEvent::Transferred { may_open, peer, .. }) = output {
            Some(format!("{peer} {may_open}"))
        } else if let Output::Event(CallEvent::AuthorityLost { why, .. }) = output {
            Some(why.clone())
        } else {
            None
        }
    });
    told.collect()
}

#[test]
fn a_transfer_is_told_with_who_has_the_call_and_a_repeated_name_is_not() {
    let mut plan = talking(request(1, Strategy::Parallel), |r| {
        r.digits.contacts = vec!["2000".into()];
    });
    let mut named = |s: u64, address: &str| {
        let peer = peer(address);
        plan.handle_input(
            T0 + secs(s),
            Input::Leg(LegEvent::Answered { leg: LegId(0), peer }),
        );
        transfers(&drain(&mut plan))
    };
    assert_eq!(
        named(2, "<sip:1000@pbx.example:5060;user=phone>"),
        [""; 0],
        "as it was"
    );
    assert_eq!(named(3, "sip:666@pbx.example"), ["sip:666@pbx.example false"]);
    assert_eq!(named(4, "sip:666@pbx.example"), [""; 0]);
    assert_eq!(named(5, ""), [""; 0], "no name is none");
    assert_eq!(named(6, "sip:2000@pbx.example"), ["sip:2000@pbx.example true"]);
    assert_eq!(named(7, "sip:1000@pbx.example"), ["sip:1000@pbx.example true"]);
    let lost = Input::Leg(LegEvent::AuthorityLost {
        leg: LegId(0),
        why: "BYE also".into(),
    });
    for expected in [&["BYE also"][..], &[]] {
        plan.handle_input(T0 + secs(8), lost.clone());
        assert_eq!(transfers(&drain(&mut plan)), expected);
    }
}

#[test]
fn who_is_taken_off_the_lists_in_a_call_gets_no_right_back_by_any_name() {
    let mut plan = talking(request(1, Strategy::Parallel), |r| {
        r.digits.contacts = vec!["2000".into(), "3000".into()];
    });
    let named = |plan: &mut CallPlan, address: &str| {
        let peer = peer(address);
        plan.handle_input(
            T0 + secs(4),
            Input::Leg(LegEvent::Answered { leg: LegId(0), peer }),
        );
        transfers(&drain(plan))
    };
    plan.narrow(|_| true, &Handover::default());
    assert_eq!(transfers(&drain(&mut plan)), [""; 0]);
    // the target and one contact are gone, one contact stays
    plan.narrow(|address| address == "3000", &Handover::default());
    assert_eq!(
        transfers(&drain(&mut plan)),
        ["it is in no list of the panel any more"]
    );
    for gone in ["sip:1000@pbx.example", "sip:2000@pbx.example"] {
        named(&mut plan, gone);
        assert!(!plan.has_authority(), "{gone}");
    }
    assert_eq!(
        named(&mut plan, "sip:3000@pbx.example"),
        ["sip:3000@pbx.example true"]
    );
    plan.narrow(|_| false, &Handover::default());
    assert!(!plan.has_authority());
}

#[test]
fn who_is_taken_off_the_lists_while_it_rings_opens_nothing_when_he_answers() {
    let mut plan = CallPlan::new(T0, request(1, Strategy::Parallel));
    plan.narrow(|_| false, &Handover::default());
    let peer = peer("sip:1000@pbx.example");
    plan.handle_input(
        T0 + secs(1),
        Input::Leg(LegEvent::Answered { leg: LegId(0), peer }),
    );
    assert!(plan.winner().is_some() && !plan.has_authority());
}

#[test]
fn a_pbx_that_changes_the_name_all_the_time_fills_no_journal() {
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    let mut told = 0;
    for n in 0..1000 {
        let peer = peer(&format!("sip:{n}@pbx.example"));
        plan.handle_input(
            T0 + secs(2),
            Input::Leg(LegEvent::Answered { leg: LegId(0), peer }),
        );
        told += transfers(&drain(&mut plan)).len();
    }
    assert_eq!(told, 10);
    assert_eq!(plan.parties(), ["sip:999@pbx.example"]);
    let peer = peer("sip:2000@pbx.example");
    plan.handle_input(
        T0 + secs(13),
        Input::Leg(LegEvent::Answered { leg: LegId(0), peer }),
    );
    assert_eq!(transfers(&drain(&mut plan)), ["sip:2000@pbx.example false"]);
}

#[test]
fn whoever_answers_in_place_of_a_target_must_be_listed() {
    for (address, listed, expected) in [
        ("sip:1000@pbx.example", true, true),
        ("", true, true),
        ("sip:666@pbx.example", true, false),
        ("sip:2000@pbx.example", true, true),
        ("sip:1000@pbx.example", false, false),
    ] {
        let mut request = request(1, Strategy::Parallel);
        request.targets[0].listed = listed;
        request.digits.contacts = vec!["sip:2000@pbx.example".into()];
        let mut plan = CallPlan::new(T0, request);
        let peer = peer(address);
        plan.handle_input(T0, Input::Leg(LegEvent::Answered { leg: LegId(0), peer }));
        assert_eq!(plan.has_authority(), expected, "{address} {listed}");
    }
}

#[test]
fn a_barred_target_opens_nothing_whatever_the_network_says() {
    // a directory may give any number the address of any machine: a bare contact fits that user at every host
    let mut request = request(1, Strategy::Parallel);
    request.targets[0].barred = true;
    request.targets[0].address = "sip:1000@192.0.2.66".into();
    request.digits.contacts = vec!["1000".into(), "sip:2000@pbx.example".into()];
    let mut plan = CallPlan::new(T0, request);
    for address in ["sip:1000@192.0.2.66", "", "1000", "sip:2000@pbx.example"] {
        let peer = peer(address);
        plan.handle_input(T0, Input::Leg(LegEvent::Answered { leg: LegId(0), peer }));
        assert!(!plan.has_authority(), "{address}");
        drain(&mut plan);
        let at = T0 + secs(1);
        plan.handle_input(at, digit(0, at, DigitVia::TelephoneEvent, false));
        assert_eq!(digits(&drain(&mut plan)), [' '; 0], "{address}");
    }
}

#[test]
fn ignored_digits_cannot_fill_the_journal() {
    let mut plan = CallPlan::new(T0, request(1, Strategy::Parallel));
    let mut records = 0;
    for n in 0..1000_u64 {
        let at = T0 + Duration::from_millis(n);
        plan.handle_input(at, digit(0, at, DigitVia::Info, false));
        records += ignored(&drain(&mut plan)).len();
    }
    assert_eq!(records, 10);
    let at = T0 + secs(11);
    plan.handle_input(at, digit(0, at, DigitVia::Info, false));
    assert_eq!(ignored(&drain(&mut plan)).len(), 1);
}

#[test]
fn the_talk_limit_warns_and_then_ends_the_call() {
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    let answered = T0 + secs(1);
    assert_eq!(plan.poll_timeout(), Some(answered + secs(170)));
    plan.handle_timeout(answered + secs(170));
    assert_eq!(
        drain(&mut plan),
        [
            Output::Event(CallEvent::TalkWarning { left_ms: 10_000 }),
            Output::Leg(LegCommand::PlayToLeg {
                leg: LegId(0),
                tone: Tone::TalkWarning
            }),
            Output::LineTone(Tone::TalkWarning),
        ]
    );
    plan.handle_timeout(answered + secs(180));
    let out = drain(&mut plan);
    assert_eq!(ended(&out), [(0, Cause::TalkLimit)]);
    assert_eq!(over(&out), Some(Outcome::Answered(Cause::TalkLimit)));
}

#[test]
fn permanent_talk_sounds_a_tone_each_minute_and_goes_on() {
    let mut plan = talking(request(1, Strategy::Parallel), |r| {
        r.talk_limit = TalkLimit::Permanent { tone_every: secs(60) };
    });
    let mut tones = 0;
    for _ in 0..60 {
        let due = plan.poll_timeout().expect("a tone is due");
        plan.handle_timeout(due);
        let out = drain(&mut plan);
        tones += out
            .iter()
            .filter(|o| matches!(o, Output::LineTone(Tone::TalkWarning)))
            .count();
        assert_eq!(over(&out), None);
    }
    assert_eq!(tones, 60);
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(1 + 61 * 60)));
}

#[test]
fn the_end_of_the_strike_ends_the_call_only_where_asked() {
    let mut plan = talking(request(1, Strategy::Parallel), |_| {});
    plan.handle_input(T0 + secs(9), Input::OpenedAndStrikeEnded);
    assert_eq!(over(&drain(&mut plan)), None);
    let mut plan = talking(request(1, Strategy::Parallel), |r| r.hang_up_after_open = true);
    plan.handle_input(T0 + secs(9), Input::OpenedAndStrikeEnded);
    assert_eq!(over(&drain(&mut plan)), Some(Outcome::Answered(Cause::Released)));
}

#[test]
fn a_lifted_handset_cancels_the_phones_with_answered_elsewhere() {
    let mut plan = CallPlan::new(T0, request(2, Strategy::Parallel));
    drain(&mut plan);
    plan.handle_input(T0 + secs(2), Input::Cancel(Cause::AnsweredElsewhere));
    let out = drain(&mut plan);
    assert_eq!(
        ended(&out),
        [(0, Cause::AnsweredElsewhere), (1, Cause::AnsweredElsewhere)]
    );
    assert_eq!(over(&out).map(Outcome::word), Some("handset"));
}

fn incoming(take: Take, listed: bool, trusted: bool) -> IncomingPlan {
    let peer = Peer {
        trusted,
        ..peer("sip:1000@pbx.example")
    };
    IncomingPlan::new(
        T0,
        IncomingRequest {
            account: None,
            answer: Answer::AtOnce,
            digits: DigitPolicy::default(),
            display: "Main entrance".into(),
            handover: Handover::default(),
            rings_back: false,
            hang_up_after_open: false,
            leg: LegId(7),
            line: line(),
            listed,
            panel: PanelId::new("main").expect("a name"),
            peer,
            ring: RingId::new(1, [1; 10]),
            take,
            talk_limit: TalkLimit::After(secs(60)),
        },
    )
}

fn drain_in(plan: &mut IncomingPlan) -> Vec<Output> {
    std::iter::from_fn(|| plan.poll_output()).collect()
}

#[test]
fn a_call_to_a_line_that_cannot_start_or_is_busy_is_refused_with_the_reason() {
    for (take, cause, word) in [
        (Take::NoCall, Cause::Refused, "no-call"),
        (Take::LineBusy, Cause::Busy, "line-busy"),
    ] {
        let mut plan = incoming(take, true, true);
        let out = drain_in(&mut plan);
        assert_eq!(ended(&out), [(7, cause)]);
        assert!(
            out.iter()
                .any(|o| matches!(o, Output::Event(CallEvent::Rejected { reason, .. }) if reason == word))
        );
    }
}

#[test]
fn an_incoming_caller_opens_only_if_listed_and_trusted_and_after_the_confirmation() {
    for (listed, trusted) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut plan = incoming(Take::Answer, listed, trusted);
        assert_eq!(legs(&drain_in(&mut plan)), [LegCommand::Answer { leg: LegId(7) }]);
        plan.handle_input(T0, digit(7, T0, DigitVia::Info, false));
        assert_eq!(ignored(&drain_in(&mut plan)), ["before-answer"]);
        // The confirmation cannot turn the caller into somebody who is listed and trusted.
        plan.handle_input(
            T0 + secs(1),
            Input::Leg(LegEvent::Answered {
                leg: LegId(7),
                peer: peer("sip:1000@pbx.example"),
            }),
        );
        let out = drain_in(&mut plan);
        assert!(out.contains(&Output::LineTone(Tone::LookIn)));
        plan.handle_input(T0 + secs(2), digit(7, T0 + secs(2), DigitVia::Info, false));
        let out = drain_in(&mut plan);
        let expected = if listed && trusted { vec!['9'] } else { vec![] };
        assert_eq!(digits(&out), expected, "listed {listed}, trusted {trusted}");
    }
}

#[test]
fn an_unconfirmed_answer_is_given_up() {
    let mut plan = incoming(Take::Answer, true, true);
    drain_in(&mut plan);
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(32)));
    plan.handle_timeout(T0 + secs(32));
    let out = drain_in(&mut plan);
    assert_eq!(ended(&out), [(7, Cause::Unreachable)]);
    assert!(over(&out).is_some());
}

/// One random thing that happens to a plan.
#[derive(Clone, Debug)]
enum Step {
    Answer(u64),
    Cancel,
    Digit(u64, bool),
    End(u64),
    Ringing(u64),
    Strike,
    Wait(u64),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        (0..4_u64).prop_map(Step::Answer),
        Just(Step::Cancel),
        ((0..4_u64), any::<bool>()).prop_map(|(leg, echo)| Step::Digit(leg, echo)),
        (0..4_u64).prop_map(Step::End),
        (0..4_u64).prop_map(Step::Ringing),
        Just(Step::Strike),
        (0..40_000_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn one_winner_at_most_and_every_offered_leg_is_told_to_end(
        steps in prop::collection::vec(step(), 0..60),
        parallel: bool,
        targets in 0..5_u64,
    ) {
        let strategy = if parallel { Strategy::Parallel } else { Strategy::Sequential };
        let mut plan = CallPlan::new(T0, request(targets, strategy));
        let mut now = T0;
        let mut all = drain(&mut plan);
        for step in steps {
            let input = match step {
                Step::Answer(leg) => Some(answer(leg)),
                Step::Cancel => Some(Input::Cancel(Cause::Released)),
                Step::Digit(leg, echo) => Some(digit(leg, now, DigitVia::Info, echo)),
                Step::End(leg) => Some(end(leg, Cause::Busy)),
                Step::Ringing(leg) => Some(Input::Leg(LegEvent::Ringing { leg: LegId(leg) })),
                Step::Strike => Some(Input::OpenedAndStrikeEnded),
                Step::Wait(ms) => {
                    now = now + Duration::from_millis(ms);
                    plan.handle_timeout(now);
                    None
                }
            };
            if let Some(input) = input {
                plan.handle_input(now, input);
            }
            let new = drain(&mut plan);
            if !digits(&new).is_empty() {
                prop_assert!(plan.winner().is_some() && plan.outcome().is_none());
            }
            all.extend(new);
        }
        plan.handle_timeout(now + secs(3600));
        all.extend(drain(&mut plan));
        let won = all.iter().filter(|o| matches!(o, Output::Won { .. })).count();
        prop_assert!(won <= 1);
        prop_assert_eq!(all.iter().filter(|o| matches!(o, Output::Over { .. })).count(), 1);
        prop_assert_eq!(plan.poll_timeout(), None);
        for leg in offered(&all) {
            let told = ended(&all).iter().any(|(l, _)| *l == leg);
            let gone = all.iter().any(|o| matches!(o,
                Output::Event(CallEvent::LegEnded { leg: l, .. }) if l.0 == leg));
            prop_assert!(told || gone, "leg {} is left ringing", leg);
        }
    }
}

/// A plan of two targets, one after the other, of which the first can be called through two further accounts.
fn with_backups() -> (CallPlan, Vec<Output>) {
    let account = |name: &str| AccountId::new(name).expect("a name");
    let mut request = request(2, Strategy::Sequential);
    request.targets[0].account = Some(account("pbx"));
    request.targets[0].backups = vec![(account("second"), LegId(10)), (account("third"), LegId(11))];
    let mut plan = CallPlan::new(T0, request);
    let out = drain(&mut plan);
    (plan, out)
}

fn through(outputs: &[Output]) -> Vec<(u64, Option<String>, Option<Duration>)> {
    let offers = legs(outputs).into_iter().filter_map(|c| match c {
        LegCommand::Offer {
            account,
            leg,
            patience,
            ..
        } => Some((leg.0, account.map(|a| a.to_string()), patience)),
        LegCommand::Answer { .. }
        | LegCommand::Connect { .. }
        | LegCommand::Divert { .. }
        | LegCommand::End { .. }
        | LegCommand::Join { .. }
        | LegCommand::Listen { .. }
        | LegCommand::PlayToLeg { .. }
        | LegCommand::RefuseTransfer { .. }
        | LegCommand::RingBack { .. }
        | LegCommand::Ringing { .. }
        | LegCommand::Transfer { .. } => None,
    });
    offers.collect()
}

fn ends(plan: &mut CallPlan, at: Instant, leg: u64, cause: Cause) -> Vec<Output> {
    let detail = String::new();
    let leg = LegId(leg);
    plan.handle_input(at, Input::Leg(LegEvent::Ended { cause, detail, leg }));
    drain(plan)
}

#[test]
fn a_target_that_a_pbx_does_not_reach_is_called_through_the_next_one_and_then_makes_room() {
    let patient = Some(secs(4));
    let (mut plan, out) = with_backups();
    assert_eq!(through(&out), [(0, Some("pbx".to_owned()), patient)]);
    let out = ends(&mut plan, T0, 0, Cause::Refused);
    assert_eq!(through(&out), [(10, Some("second".to_owned()), patient)]);
    assert!(plan.has_leg(LegId(10)) && !plan.has_leg(LegId(0)));
    // the last one is waited for as long as SIP does
    let out = ends(&mut plan, T0 + secs(4), 10, Cause::Unreachable);
    assert_eq!(through(&out), [(11, Some("third".to_owned()), None)]);
    let out = ends(&mut plan, T0 + secs(8), 11, Cause::Unreachable);
    assert_eq!(through(&out), [(1, None, None)]);
}

#[test]
fn a_phone_that_rang_and_a_person_who_does_not_want_are_not_called_again_elsewhere() {
    for (rings, cause) in [
        (true, Cause::Unreachable),
        (false, Cause::Busy),
        (false, Cause::Declined),
        (false, Cause::NotFound),
    ] {
        let (mut plan, _) = with_backups();
        if rings {
            plan.handle_input(T0, Input::Leg(LegEvent::Ringing { leg: LegId(0) }));
        }
        let out = ends(&mut plan, T0 + secs(5), 0, cause);
        assert_eq!(through(&out), [(1, None, None)], "{cause}");
    }
}

#[test]
fn whoever_answers_through_a_backup_has_the_authority_of_the_target() {
    let (mut plan, _) = with_backups();
    ends(&mut plan, T0, 0, Cause::Unreachable);
    let answered = LegEvent::Answered {
        leg: LegId(10),
        peer: peer("1000"),
    };
    plan.handle_input(T0 + secs(1), Input::Leg(answered));
    assert!(plan.has_authority());
    assert_eq!(plan.winner(), Some(LegId(10)));
}

/// A plan of two targets of which the first has to press 1.
fn with_a_key(strategy: Strategy) -> CallPlan {
    let mut request = request(2, strategy);
    request.targets[0].confirm = Some('1');
    let mut plan = CallPlan::new(T0, request);
    drain(&mut plan);
    plan
}

fn answers(plan: &mut CallPlan, at: Instant, leg: u64) -> Vec<Output> {
    let leg = LegId(leg);
    let peer = peer(&format!("100{}", leg.0));
    plan.handle_input(at, Input::Leg(LegEvent::Answered { leg, peer }));
    drain(plan)
}

fn presses(plan: &mut CallPlan, at: Instant, digit: char, via: DigitVia, echo: bool) -> Vec<Output> {
    let press = LegEvent::Digit {
        at,
        digit,
        echo,
        leg: LegId(0),
        via,
    };
    plan.handle_input(at, Input::Leg(press));
    drain(plan)
}

fn asked(outputs: &[Output]) -> usize {
    let ask = |c: &LegCommand| {
        matches!(
            c,
            LegCommand::PlayToLeg {
                tone: Tone::Confirm,
                ..
            }
        )
    };
    legs(outputs).iter().filter(|c| ask(c)).count()
}

#[test]
fn a_voicemail_that_presses_nothing_makes_room_for_the_next() {
    let mut plan = with_a_key(Strategy::Sequential);
    let out = answers(&mut plan, T0 + secs(5), 0);
    assert_eq!(asked(&out), 1);
    assert!(plan.winner().is_none() && !plan.has_authority());
    let mut more = 0;
    for second in 6..20 {
        plan.handle_timeout(T0 + secs(second));
        let out = drain(&mut plan);
        assert_eq!((ended(&out), offered(&out)), (vec![], vec![]), "{second}");
        more += asked(&out);
    }
    assert_eq!(more, 3);
    plan.handle_timeout(T0 + secs(20));
    let out = drain(&mut plan);
    assert_eq!(
        (ended(&out), offered(&out)),
        (vec![(0, Cause::Cancelled)], vec![1])
    );
}

#[test]
fn the_key_takes_the_call_and_is_no_digit_of_it() {
    use DigitVia::{Inband, Info, TelephoneEvent};
    let mut plan = with_a_key(Strategy::Parallel);
    answers(&mut plan, T0 + secs(5), 0);
    // another key, and our own tone that comes back
    for (digit, echo) in [('9', false), ('1', true)] {
        let out = presses(&mut plan, T0 + secs(6), digit, TelephoneEvent, echo);
        assert_eq!((digits(&out), ended(&out)), (vec![], vec![]));
    }
    let out = presses(&mut plan, T0 + secs(7), '1', TelephoneEvent, false);
    assert_eq!(digits(&out), []);
    assert_eq!(ended(&out), [(1, Cause::AnsweredElsewhere)]);
    assert_eq!(plan.winner(), Some(LegId(0)));
    assert!(plan.has_authority());
    // the same press, told the other way as well
    let out = presses(&mut plan, T0 + secs(7), '1', Info, false);
    assert_eq!(digits(&out), []);
    let out = presses(&mut plan, T0 + secs(9), '9', TelephoneEvent, false);
    assert_eq!(digits(&out), ['9']);
    // a tone in the speech, and the message of the same press
    let mut plan = with_a_key(Strategy::Parallel);
    answers(&mut plan, T0 + secs(5), 0);
    presses(&mut plan, T0 + secs(7), '1', Inband, false);
    assert_eq!(plan.winner(), Some(LegId(0)));
    let out = presses(&mut plan, T0 + secs(8), '1', Info, false);
    assert_eq!(digits(&out), []);
    let out = presses(&mut plan, T0 + secs(8), '1', Info, false);
    assert_eq!(digits(&out), ['1'], "the next press");
}

#[test]
fn while_one_is_asked_another_may_answer() {
    let mut plan = with_a_key(Strategy::Parallel);
    answers(&mut plan, T0 + secs(5), 0);
    let out = answers(&mut plan, T0 + secs(6), 1);
    assert_eq!(ended(&out), [(0, Cause::AnsweredElsewhere)]);
    assert_eq!(plan.winner(), Some(LegId(1)));
    let out = presses(&mut plan, T0 + secs(7), '1', DigitVia::Info, false);
    assert_eq!((digits(&out), plan.winner()), (vec![], Some(LegId(1))));
}

#[test]
fn whoever_becomes_another_one_while_asked_has_the_call_without_the_right_to_open() {
    let mut plan = with_a_key(Strategy::Sequential);
    answers(&mut plan, T0 + secs(5), 0);
    let why = "somebody else answers".to_owned();
    plan.handle_input(
        T0 + secs(6),
        Input::Leg(LegEvent::AuthorityLost { leg: LegId(0), why }),
    );
    presses(&mut plan, T0 + secs(7), '1', DigitVia::Info, false);
    assert_eq!(plan.winner(), Some(LegId(0)));
    assert!(!plan.has_authority());
}

/// `rounds` rounds of as many targets; legs count on from round to round.
fn in_rounds(rounds: u64, targets: u64, strategy: Strategy) -> CallRequest {
    let mut request = request(targets, strategy);
    let round = |n: u64| {
        let of = request.targets.iter().cloned();
        of.map(|target| Target {
            leg: LegId(target.leg.0 + n * targets),
            ..target
        })
        .collect()
    };
    request.further = (1..rounds).map(round).collect();
    request
}

/// Lets the plan run for so long; gives which legs were offered, with the second.
fn runs(plan: &mut CallPlan, from: u64, to: u64) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    for second in from..to {
        plan.handle_timeout(T0 + secs(second));
        all.extend(offered(&drain(plan)).into_iter().map(|leg| (second, leg)));
    }
    all
}

#[test]
fn a_list_that_nobody_answers_is_called_again_after_a_pause_and_so_often_and_no_more() {
    let mut plan = CallPlan::new(T0, in_rounds(3, 2, Strategy::Sequential));
    // each rings for 20 s, and after both there are 10 s
    assert_eq!(runs(&mut plan, 0, 50), [(0, 0), (20, 1)]);
    assert_eq!(runs(&mut plan, 50, 119), [(50, 2), (70, 3), (100, 4)]);
    // the panel's window ends it in the middle of the third round
    assert_eq!(runs(&mut plan, 119, 200), []);
    assert_eq!(plan.outcome(), Some(Outcome::Window));
    let mut short = in_rounds(2, 1, Strategy::Parallel);
    short.ring_window = secs(600);
    let mut plan = CallPlan::new(T0, short);
    assert_eq!(runs(&mut plan, 0, 100), [(0, 0), (30, 1)]);
    assert_eq!(plan.outcome(), Some(Outcome::NoAnswer));
}

#[test]
fn who_answers_in_a_later_round_has_the_call_and_the_leg_of_an_earlier_one_does_not() {
    let mut plan = CallPlan::new(T0, in_rounds(2, 1, Strategy::Sequential));
    assert_eq!(runs(&mut plan, 0, 31), [(0, 0), (30, 1)]);
    plan.handle_input(
        T0 + secs(32),
        Input::Leg(LegEvent::Answered {
            leg: LegId(0),
            peer: peer("1000"),
        }),
    );
    assert_eq!(plan.winner(), None);
    assert!(legs(&drain(&mut plan)).contains(&LegCommand::End {
        leg: LegId(0),
        cause: Cause::Cancelled
    }));
    plan.handle_input(
        T0 + secs(33),
        Input::Leg(LegEvent::Answered {
            leg: LegId(1),
            peer: peer("1000"),
        }),
    );
    assert_eq!(plan.winner(), Some(LegId(1)));
    assert!(plan.has_authority());
}

#[test]
fn a_press_calls_the_next_one_and_in_a_pause_the_next_round() {
    let press = |plan: &mut CallPlan, second: u64, next: bool| {
        plan.handle_input(T0 + secs(second), Input::PressedAgain { next });
        offered(&drain(plan))
    };
    let mut plan = CallPlan::new(T0, in_rounds(2, 2, Strategy::Sequential));
    drain(&mut plan);
    // it joins, unless it is to pass over
    assert_eq!(press(&mut plan, 1, false), []);
    assert_eq!(press(&mut plan, 2, true), [1]);
    // after the last of them the next round begins at once
    assert_eq!(press(&mut plan, 3, true), [2]);
    assert_eq!(press(&mut plan, 4, true), [3]);
    assert!(!plan.has_next());
    // the last of the last round goes on ringing
    assert_eq!(press(&mut plan, 5, true), []);
    assert_eq!(plan.outcome(), None);
    // in a pause any press begins the round
    let mut plan = CallPlan::new(T0, in_rounds(2, 1, Strategy::Parallel));
    assert_eq!(runs(&mut plan, 0, 22), [(0, 0)]);
    assert!(plan.is_between_rounds());
    assert_eq!(press(&mut plan, 22, false), [1]);
    assert!(!plan.is_between_rounds());
}
