//! The decision, rule by rule.

use std::time::Duration;

use crate::site::{FIT, burning, called, calling, card, command, door, keypad, peer, policy, rex};
use gateway_access::{Access, Context, Decision, Reason, Request};
use gateway_core::{DoorEvent, Factor, Instant, Origin, Refusal, RingId, Secret, Subject};

const T0: Instant = Instant::from_nanos(3_000_000_000_000);

/// Asks a fresh gateway in good order.
#[track_caller]
fn check(request: Request, expected: Result<&str, Reason>) {
    check_in(&FIT, request, expected);
}

#[track_caller]
fn check_in(context: &Context, request: Request, expected: Result<&str, Reason>) {
    let (want_door, factor) = (request.door().clone(), request.factor());
    match (burning(policy()).decide(T0, context, request), expected) {
        (Decision::Granted(grant), Ok(rule)) => {
            let parts = grant.parts();
            assert_eq!(parts.rule, rule);
            assert_eq!(
                (&parts.door, parts.factor, parts.generation),
                (&want_door, factor, context.generation)
            );
            assert_eq!(parts.deadline, T0 + Duration::from_secs(2));
            assert_eq!(parts.output.as_str(), format!("{want_door}-strike"));
        }
        (Decision::Denied(denied), Err(reason)) => {
            assert_eq!(
                (denied.reason, denied.door, denied.factor),
                (reason, want_door, factor)
            );
        }
        (decision, expected) => panic!("{} where {expected:?} was expected", decision.explain()),
    }
}

#[test]
fn cards_open_their_doors_at_their_readers() {
    check(
        card(T0, "front", "front-reader", "26:123,04567"),
        Ok("card alice at reader front-reader"),
    );
    check(
        card(T0, "back", "back-reader", "34:hex:0123abcd4"),
        Ok("card spare at reader back-reader"),
    );
    check(
        card(T0, "back", "back-reader", "26:123,04567"),
        Err(Reason::CardNotForDoor),
    );
    check(
        card(T0, "front", "back-reader", "26:123,04567"),
        Err(Reason::ReaderElsewhere),
    );
    check(
        card(T0, "front", "front-reader", "26:123,04568"),
        Err(Reason::CardUnknown { bits: 26 }),
    );
    check(
        card(T0, "nowhere", "front-reader", "26:123,04567"),
        Err(Reason::UnknownDoor),
    );
}

#[test]
fn a_card_with_wrong_parity_or_length_is_another_card() {
    let request = |change: fn(&mut gateway_core::CardFrame)| {
        let Request::Card {
            at,
            door,
            mut frame,
            pin,
            reader,
        } = card(T0, "front", "front-reader", "26:123,04567")
        else {
            unreachable!("made above");
        };
        change(&mut frame);
        Request::Card {
            at,
            door,
            frame,
            pin,
            reader,
        }
    };
    check(
        request(|f| f.data[0] ^= 0x80),
        Err(Reason::CardUnknown { bits: 26 }),
    );
    check(request(|f| f.bits = 25), Err(Reason::CardUnknown { bits: 25 }));
    check(request(|f| f.bits = 0), Err(Reason::CardUnknown { bits: 0 }));
    check(request(|f| f.data.push(0)), Err(Reason::CardUnknown { bits: 26 }));
    // Bits behind the last are noise of the reader.
    check(
        request(|f| f.data[3] |= 0x3f),
        Ok("card alice at reader front-reader"),
    );
}

#[test]
fn a_card_names_its_person_and_a_spare_card_itself() {
    let mut access = Access::new(policy());
    let mut subject = |request| match access.decide(T0, &FIT, request) {
        Decision::Granted(grant) => grant.spend().subject,
        Decision::Denied(denied) => denied.subject,
        Decision::Held(_) => unreachable!("nothing here is counted"),
    };
    assert_eq!(
        subject(card(T0, "front", "front-reader", "26:123,04567")).to_string(),
        "person:alice"
    );
    assert_eq!(
        subject(card(T0, "front", "front-reader", "34:hex:0123abcd4")).to_string(),
        "credential:spare"
    );
    assert_eq!(
        subject(keypad(T0, "front", "front-reader", "1234")).to_string(),
        "credential:pin"
    );
    assert_eq!(
        subject(card(T0, "front", "front-reader", "26:1,1")),
        Subject::Unknown
    );
}

#[test]
fn codes_open_their_doors_from_their_places() {
    check(
        keypad(T0, "front", "front-reader", "1234"),
        Ok("code pin at keypad front-reader"),
    );
    check(
        keypad(T0, "front", "front-reader", "9"),
        Err(Reason::CodeNotForDoor),
    );
    check(
        keypad(T0, "back", "back-reader", "1234"),
        Err(Reason::CodeNotForDoor),
    );
    for wrong in ["", "1", "123", "12345", "1235", "123456789"] {
        check(
            keypad(T0, "front", "front-reader", wrong),
            Err(Reason::CodeUnknown),
        );
    }
    check(
        keypad(T0, "front", "back-reader", "1234"),
        Err(Reason::ReaderElsewhere),
    );
}

#[test]
fn digits_count_from_the_confirmed_winner_of_the_list_only() {
    check(
        called(T0, "front", "1000", "9", true, true),
        Ok("code nine dialled by a called target of the list"),
    );
    check(
        called(T0, "front", "1000", "9", true, false),
        Err(Reason::NoAuthority),
    );
    check(
        called(T0, "front", "1000", "9", false, true),
        Err(Reason::NotListed),
    );
    check(
        called(T0, "front", "1000", "1234", true, true),
        Err(Reason::CodeNotForDoor),
    );
    check(
        called(T0, "front", "1000", "8", true, true),
        Err(Reason::CodeUnknown),
    );
    check(
        called(T0, "back", "1000", "9", true, true),
        Err(Reason::DigitsNotAllowed),
    );
}

#[test]
fn a_caller_opens_only_if_listed_and_vouched_for() {
    let call = |at: &str, who| Request::Caller {
        account: None,
        door: door(at),
        peer: who,
        ring: None,
    };
    let reception = "sip:1000@pbx.example";
    check(
        call("front", peer(reception, true)),
        Ok("listed caller \"Reception\" calls the door"),
    );
    check(
        call("front", peer(reception, false)),
        Err(Reason::CallerUntrusted),
    );
    check(
        call("front", peer("sip:1001@pbx.example", true)),
        Err(Reason::CallerUnlisted),
    );
    check(call("back", peer(reception, true)), Err(Reason::CallerUnlisted));
    // nobody knows when: no call opens by itself, and what is dialled in it counts as ever
    let doubt = Context { wall: None, ..FIT };
    check_in(
        &doubt,
        call("front", peer(reception, true)),
        Err(Reason::ClockUntrusted { schedule: None }),
    );
    check_in(
        &doubt,
        calling(T0, "front", peer(reception, true), "9"),
        Ok("code nine dialled by listed caller \"Reception\""),
    );
    check(
        calling(T0, "front", peer(reception, true), "9"),
        Ok("code nine dialled by listed caller \"Reception\""),
    );
    check(
        calling(T0, "front", peer(reception, false), "9"),
        Err(Reason::CallerUntrusted),
    );
    check(
        calling(T0, "front", peer("sip:6@pbx.example", true), "9"),
        Err(Reason::CallerUnlisted),
    );
    check(
        calling(T0, "back", peer(reception, true), "9"),
        Err(Reason::CallerUnlisted),
    );
}

#[test]
fn commands_need_a_permitted_client_over_a_command_interface() {
    for factor in [Factor::Api, Factor::Local, Factor::Mqtt, Factor::Web] {
        let rule = format!("command by {factor} of user:ann, who may open this door");
        check(command("front", factor, "ann", true), Ok(&rule));
        check(command("front", factor, "ann", false), Err(Reason::NotPermitted));
    }
    for factor in [
        Factor::Card,
        Factor::Code,
        Factor::Digits,
        Factor::Rex,
        Factor::Fire,
        Factor::Button,
        Factor::ByPanel,
        Factor::Caller,
        Factor::Rule,
        Factor::Schedule,
    ] {
        check(
            command("front", factor, "ann", true),
            Err(Reason::FactorNotCommand),
        );
    }
}

#[test]
fn egress_is_never_refused() {
    for context in contexts() {
        check_in(&context, rex("front", "front-rex"), Ok("exit input front-rex"));
        check_in(&context, rex("back", "back-rex"), Ok("exit input back-rex"));
        check_in(
            &context,
            Request::Fire { door: door("back") },
            Ok("fire input fire, until an operator resets the alarm"),
        );
    }
}

#[test]
fn only_the_exits_of_a_door_unlock_it() {
    check(rex("front", "back-rex"), Err(Reason::RexUnknown));
    check(rex("front", "front-handle"), Err(Reason::RexNotUnlock));
    check(rex("front", "front-button"), Err(Reason::RexNotUnlock));
    let mut access = burning(policy());
    access.set_fire(None);
    let denied = access.decide(T0, &FIT, Request::Fire { door: door("front") });
    assert_eq!(denied.explain(), "no fire alarm stands");
}

#[test]
fn nobody_is_let_in_before_the_gateway_is_ready_and_knows_its_restrictions() {
    for context in contexts()
        .into_iter()
        .filter(|c| !c.ready || !c.projection_at_head)
    {
        let reason = if context.ready {
            Reason::ProjectionBehind
        } else {
            Reason::NotReady
        };
        for request in credentials(T0) {
            check_in(&context, request, Err(reason.clone()));
        }
    }
}

#[test]
fn without_journal_each_door_does_as_configured_and_commands_wait() {
    let context = Context {
        journal_ok: false,
        ..FIT
    };
    check_in(
        &context,
        card(T0, "front", "front-reader", "26:123,04567"),
        Ok("card alice at reader front-reader"),
    );
    check_in(
        &context,
        card(T0, "back", "back-reader", "34:hex:0123abcd4"),
        Err(Reason::JournalFault),
    );
    check_in(
        &context,
        command("front", Factor::Web, "ann", true),
        Err(Reason::JournalFault),
    );
}

#[test]
fn old_news_opens_nothing() {
    for (ms, fresh) in [(0, true), (500, true), (501, false), (60_000, false)] {
        let then = T0 - Duration::from_millis(ms);
        let age = Duration::from_millis(ms);
        let expected = |rule| {
            if fresh {
                Ok(rule)
            } else {
                Err(Reason::Stale { age: Some(age) })
            }
        };
        check(
            card(then, "front", "front-reader", "26:123,04567"),
            expected("card alice at reader front-reader"),
        );
        check(
            keypad(then, "front", "front-reader", "1234"),
            expected("code pin at keypad front-reader"),
        );
        let rule = "code nine dialled by a called target of the list";
        check(called(then, "front", "1000", "9", true, true), expected(rule));
    }
    let age = Duration::from_secs(1);
    check(
        card(T0 + age, "front", "front-reader", "26:123,04567"),
        Err(Reason::Stale { age: Some(age) }),
    );
    // what waited somewhere, in a reader that was away for example
    check(
        card(Instant::ZERO, "front", "front-reader", "26:123,04567"),
        Err(Reason::Stale { age: None }),
    );
}

#[test]
fn a_locked_source_is_refused_even_the_right_code_and_others_are_not() {
    let mut access = Access::new(policy());
    for _ in 0..6 {
        let wrong = access.decide(T0, &FIT, called(T0, "front", "1000", "8", true, true));
        assert_eq!(wrong.explain(), "wrong code");
    }
    let mut ask = |now, who| access.decide(now, &FIT, called(now, "front", who, "9", true, true));
    assert_eq!(ask(T0, "1000").explain(), "locked after wrong tries, 10 s left");
    assert!(ask(T0, "1001").granted().is_some());
    let later = T0 + Duration::from_secs(10);
    assert!(ask(later, "1000").granted().is_some());
}

#[test]
fn a_code_that_comes_with_a_command_is_one_typed_at_the_door() {
    let by_mqtt = |at_door: &str, digits: &str| command_code(at_door, Factor::Mqtt, digits);
    check(by_mqtt("front", "1234"), Ok("code pin by mqtt of integration:ha"));
    check(by_mqtt("back", "1234"), Err(Reason::CodeNotForDoor));
    // this one is dialled in calls only
    check(by_mqtt("front", "9"), Err(Reason::CodeNotForDoor));
    check(by_mqtt("front", "4321"), Err(Reason::CodeUnknown));
    check(
        command_code("front", Factor::Code, "1234"),
        Err(Reason::FactorNotCommand),
    );
    let no_journal = Context {
        journal_ok: false,
        ..FIT
    };
    check_in(&no_journal, by_mqtt("front", "1234"), Err(Reason::JournalFault));
}

#[test]
fn wrong_codes_by_command_lock_their_client_and_a_right_one_forgives_none_of_them() {
    let mut access = Access::new(policy());
    let mut ask = |now, digits| access.decide(now, &FIT, command_code("front", Factor::Mqtt, digits));
    for guess in ["0000", "0001", "0002", "0003", "0004"] {
        assert_eq!(ask(T0, guess).explain(), "wrong code");
        assert!(ask(T0, "1234").granted().is_some());
    }
    assert_eq!(ask(T0, "0005").explain(), "wrong code");
    assert_eq!(ask(T0, "1234").explain(), "locked after wrong tries, 10 s left");
    assert!(ask(T0 + Duration::from_secs(10), "1234").granted().is_some());
    // neither the keypad nor commands of the same client without a code are locked by it
    let keypad = keypad(T0, "front", "front-reader", "1234");
    assert!(access.decide(T0, &FIT, keypad).granted().is_some());
}

#[test]
fn wrong_codes_of_nobody_known_lock_their_door_and_those_of_a_key_lock_the_key() {
    let by = |name: &str, at_door: &str, digits: &str| {
        let mut request = command_code(at_door, Factor::Mqtt, digits);
        if let Request::CommandCode { origin, .. } = &mut request {
            origin.subject = Subject::Integration(name.into());
        }
        request
    };
    let mut access = Access::new(policy());
    let mut ask = |name, at_door, digits| access.decide(T0, &FIT, by(name, at_door, digits)).explain();
    for _ in 0..6 {
        assert_eq!(ask(Subject::UNSIGNED, "front", "0000"), "wrong code");
        assert_eq!(ask("hub", "back", "0000"), "wrong code");
    }
    let locked = "locked after wrong tries, 10 s left";
    assert_eq!(ask(Subject::UNSIGNED, "front", "1234"), locked);
    assert_eq!(ask("hub", "front", "1234"), locked, "whatever the door");
    assert_eq!(ask("hub", "back", "0000"), locked);
    // who guesses at one door locks nobody out at another, and no key
    assert_ne!(ask(Subject::UNSIGNED, "back", "1234"), locked);
    assert_ne!(ask("desk", "front", "1234"), locked);
    // each door has its own count: guessing at all of them is slowed down at each
    for _ in 0..6 {
        ask(Subject::UNSIGNED, "back", "0000");
    }
    assert_eq!(ask(Subject::UNSIGNED, "back", "1234"), locked);
}

#[test]
fn using_the_name_of_the_reception_does_not_lock_out_the_reception() {
    let mut access = Access::new(policy());
    for _ in 0..50 {
        let forged = calling(T0, "front", peer("sip:1000@pbx.example", false), "9");
        assert!(access.decide(T0, &FIT, forged).granted().is_none());
    }
    let real = calling(T0, "front", peer("sip:1000@pbx.example", true), "9");
    assert!(access.decide(T0, &FIT, real).granted().is_some());
}

#[test]
fn lock_outs_survive_a_restart_and_a_new_policy() {
    let mut access = Access::new(policy());
    for _ in 0..8 {
        let _ = access.decide(T0, &FIT, keypad(T0, "front", "front-reader", "0000"));
    }
    access.apply(policy());
    let kept = access.export_locks(T0);
    let mut reborn = Access::new(policy());
    let boot = Instant::from_nanos(1);
    reborn.restore_locks(boot, kept);
    let refused = reborn.decide(boot, &FIT, keypad(boot, "front", "front-reader", "1234"));
    assert!(
        refused.explain().starts_with("locked after wrong tries"),
        "{}",
        refused.explain()
    );
    // The card reader of the same device is not the keypad.
    assert!(
        reborn
            .decide(boot, &FIT, card(boot, "front", "front-reader", "26:123,04567"))
            .granted()
            .is_some()
    );
}

#[test]
fn what_is_not_the_fault_of_a_source_locks_nothing() {
    let mut access = Access::new(policy());
    for _ in 0..20 {
        let _ = access.decide(T0, &FIT, called(T0, "front", "1000", "8", true, false));
        let _ = access.decide(T0, &FIT, card(T0, "back", "back-reader", "26:123,04567"));
        let old = T0 - Duration::from_secs(9);
        let _ = access.decide(T0, &FIT, keypad(old, "front", "front-reader", "0000"));
        let behind = Context {
            projection_at_head: false,
            ..FIT
        };
        let _ = access.decide(T0, &behind, keypad(T0, "front", "front-reader", "0000"));
    }
    assert_eq!(access.export_locks(T0), []);
    assert_eq!(access.locks_revision(), 0);
}

#[test]
fn grants_are_numbered_and_a_refusal_names_itself_to_journal_and_client() {
    let mut access = Access::new(policy());
    let ids: Vec<_> = (0..3)
        .filter_map(|_| access.decide(T0, &FIT, rex("front", "front-rex")).granted())
        .map(|grant| grant.spend().id)
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    let ring = Some(RingId::new(1, [0; 10]));
    let Request::Command {
        door,
        origin,
        permitted,
        ..
    } = command("front", Factor::Api, "ann", false)
    else {
        unreachable!("made above");
    };
    let Decision::Denied(denied) = access.decide(
        T0,
        &FIT,
        Request::Command {
            door,
            origin,
            permitted,
            ring,
        },
    ) else {
        panic!("granted without permission");
    };
    assert_eq!((denied.refusal(), denied.ring), (Refusal::Forbidden, ring));
    assert_eq!(
        denied.event(),
        DoorEvent::Denied {
            factor: Factor::Api,
            reason: "the client may not open this door".into(),
            subject: Subject::User("ann".into()),
        }
    );
}

#[test]
fn no_reason_and_no_rule_shows_a_code_or_a_card() {
    let mut access = Access::new(policy());
    for request in credentials(T0).into_iter().chain([
        keypad(T0, "front", "front-reader", "4321"),
        card(T0, "front", "front-reader", "26:77,4321"),
        called(T0, "front", "1000", "4321", true, true),
        command_code("front", Factor::Mqtt, "1234"),
        command_code("front", Factor::Mqtt, "4321"),
    ]) {
        assert!(!format!("{request:?}").contains("4321") && !format!("{request:?}").contains("1234"));
        let decision = access.decide(T0, &FIT, request);
        let text = format!("{} {decision:?}", decision.explain());
        assert!(
            !text.contains("4321") && !text.contains("1234") && !text.contains("4567"),
            "{text}"
        );
    }
}

fn command_code(at_door: &str, factor: Factor, digits: &str) -> Request {
    let origin = Origin {
        factor,
        may_simulate: false,
        subject: Subject::Integration("ha".into()),
    };
    Request::CommandCode {
        digits: Secret::new(digits),
        door: door(at_door),
        origin,
        ring: None,
    }
}

fn credentials(now: Instant) -> Vec<Request> {
    vec![
        card(now, "front", "front-reader", "26:123,04567"),
        keypad(now, "front", "front-reader", "1234"),
        called(now, "front", "1000", "9", true, true),
        calling(now, "front", peer("sip:1000@pbx.example", true), "9"),
        Request::Caller {
            account: None,
            door: door("front"),
            peer: peer("sip:1000@pbx.example", true),
            ring: None,
        },
        command("front", Factor::Web, "ann", true),
        command_code("front", Factor::Mqtt, "1234"),
    ]
}

fn contexts() -> Vec<Context> {
    (0..8_u8)
        .map(|n| Context {
            generation: 7,
            journal_ok: n & 1 > 0,
            projection_at_head: n & 2 > 0,
            ready: n & 4 > 0,
            wall: Some(gateway_core::Timestamp::UNIX_EPOCH),
        })
        .collect()
}
