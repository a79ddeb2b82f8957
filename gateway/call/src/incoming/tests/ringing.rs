//! Calls that ring at the door before they are answered.

use super::*;

fn ringing(answer: Answer) -> IncomingPlan {
    answered_as(true, false, answer)
}

fn at(plan: &mut IncomingPlan, at: u64) -> Vec<Output> {
    plan.handle_timeout(T0 + secs(at));
    drain(plan)
}

fn take(plan: &mut IncomingPlan, at: u64, take: Take) -> Vec<Output> {
    plan.handle_input(T0 + secs(at), Input::Take(take));
    drain(plan)
}

fn press(plan: &mut IncomingPlan, at: u64) -> Vec<Output> {
    plan.handle_input(T0 + secs(at), Input::Pressed);
    drain(plan)
}

const RINGS: LegCommand = LegCommand::Ringing { leg: CALLER };
const ANSWER: LegCommand = LegCommand::Answer { leg: CALLER };

#[test]
fn a_call_rings_for_its_time_and_is_answered_if_it_gets_the_line() {
    let mut plan = ringing(Answer::After(secs(5)));
    let out = drain(&mut plan);
    assert_eq!(commands(&out), [&RINGS]);
    assert!(plan.is_ringing() && !plan.waits_for_press());
    assert!(press(&mut plan, 1).is_empty(), "nobody is asked to press");
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(5)));
    assert!(at(&mut plan, 4).is_empty());
    assert_eq!(at(&mut plan, 5), [Output::WantsLine { pressed: false }]);
    assert!(at(&mut plan, 6).is_empty(), "it is asked for once");
    let out = take(&mut plan, 5, Take::Answer);
    assert_eq!(commands(&out), [&ANSWER]);
    assert!(take(&mut plan, 5, Take::Answer).is_empty(), "it is answered once");
    // the answer has its 32 s from there on
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(37)));
    let out = say(&mut plan, 6, answered(CALLER, "sip:1000@pbx.example"));
    assert!(out.contains(&Output::LineTone(Tone::LookIn)));
    assert_eq!(presses(&mut plan, CALLER, 7), 1);
}

#[test]
fn a_caller_hears_from_the_gateway_that_it_rings_where_that_is_wanted() {
    let mut request = ringing(Answer::ByPress(secs(120))).request().clone();
    request.rings_back = true;
    let mut plan = IncomingPlan::new(T0, request);
    let rings = LegCommand::RingBack { leg: CALLER };
    assert_eq!(commands(&drain(&mut plan)), [&rings]);
    assert_eq!(commands(&at(&mut plan, 60)), [&rings]);
    assert_eq!(press(&mut plan, 61), [Output::WantsLine { pressed: true }]);
}

#[test]
fn a_line_that_is_lost_while_it_rings_refuses_the_call() {
    for (without, cause, word) in [
        (Take::LineBusy, Cause::Busy, "line-busy"),
        (Take::NoCall, Cause::Refused, "no-call"),
    ] {
        let mut plan = ringing(Answer::After(secs(1)));
        at(&mut plan, 1);
        let out = take(&mut plan, 1, without);
        assert_eq!(commands(&out), [&LegCommand::End { leg: CALLER, cause }]);
        let told =
            |o: &Output| matches!(o, Output::Event(CallEvent::Rejected { reason, .. }) if reason == word);
        assert!(out.iter().any(told), "{out:?}");
        assert_eq!(plan.outcome(), Some(Outcome::Rejected));
        assert_eq!(plan.poll_timeout(), None);
        say(&mut plan, 2, ended(CALLER));
        assert!(plan.is_drained());
    }
}

#[test]
fn a_press_answers_and_whoever_pressed_needs_no_tone_to_know() {
    let mut plan = ringing(Answer::ByPress(secs(30)));
    drain(&mut plan);
    assert!(plan.waits_for_press() && !plan.is_answered_by_press());
    assert_eq!(press(&mut plan, 12), [Output::WantsLine { pressed: true }]);
    assert!(press(&mut plan, 12).is_empty() && !plan.waits_for_press());
    let out = take(&mut plan, 12, Take::Answer);
    assert_eq!(commands(&out), [&ANSWER]);
    assert!(plan.is_answered_by_press());
    let out = say(&mut plan, 13, answered(CALLER, "sip:1000@pbx.example"));
    assert!(!out.contains(&Output::LineTone(Tone::LookIn)), "{out:?}");
    assert!(tones(&mut plan, 3_600).is_empty());
    assert_eq!(plan.outcome(), Some(Outcome::Answered(Cause::TalkLimit)));
}

#[test]
fn who_waits_for_a_press_that_does_not_come_is_told_so_and_hears_each_minute_that_it_rings() {
    let mut plan = ringing(Answer::ByPress(secs(90)));
    let out = drain(&mut plan);
    assert_eq!(commands(&out), [&RINGS]);
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(60)));
    let out = at(&mut plan, 60);
    assert_eq!(commands(&out), [&RINGS]);
    assert_eq!(plan.poll_timeout(), Some(T0 + secs(90)));
    let out = at(&mut plan, 90);
    let cause = Cause::NoAnswer;
    assert_eq!(commands(&out), [&LegCommand::End { leg: CALLER, cause }]);
    assert_eq!(plan.outcome(), Some(Outcome::Cancelled(cause)));
    assert!(press(&mut plan, 91).is_empty());
}

#[test]
fn a_caller_who_gives_up_while_it_rings_leaves_nothing() {
    for step in 0..3 {
        let mut plan = ringing(Answer::ByPress(secs(30)));
        drain(&mut plan);
        if step > 0 {
            press(&mut plan, 1);
        }
        if step > 1 {
            take(&mut plan, 1, Take::Answer);
        }
        let out = say(&mut plan, 2, ended(CALLER));
        assert!(commands(&out).is_empty(), "{out:?}");
        assert_eq!(plan.outcome(), Some(Outcome::Cancelled(Cause::Normal)));
        assert!(plan.is_drained());
        assert_eq!(plan.poll_timeout(), None);
        assert!(press(&mut plan, 3).is_empty());
        assert!(take(&mut plan, 3, Take::Answer).is_empty());
    }
}

#[test]
fn keys_while_it_rings_count_for_nothing() {
    let mut plan = ringing(Answer::ByPress(secs(30)));
    drain(&mut plan);
    assert_eq!(presses(&mut plan, CALLER, 1), 0);
    press(&mut plan, 2);
    assert_eq!(presses(&mut plan, CALLER, 2), 0);
    take(&mut plan, 2, Take::Answer);
    assert_eq!(presses(&mut plan, CALLER, 3), 0);
}
