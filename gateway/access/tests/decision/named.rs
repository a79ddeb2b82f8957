//! Cards and codes of the site file that name a person: what the records say of the person counts for them too.

use std::collections::BTreeSet;

use crate::site::{
    FIT, burning, called, calling, card, command, door, input, keypad, peer, policy, reader, rex,
};
use gateway_access::{
    Access, CardKey, Change, Credential, Directory, Person, PinKey, Policy, Proof, Reason, Request, Validity,
    When, card_frame,
};
use gateway_core::{Instant, PersonId, Subject, Timestamp};

const CARD: &str = "26:123,04567";
const SPARE: &str = "34:hex:0123abcd4";
const NOW: Instant = Instant::ZERO;

fn key() -> PinKey {
    PinKey::new([7; 32])
}

fn person(name: &str) -> PersonId {
    PersonId::new(name).expect("a name")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// Alice has a card, and a code at the keypad, in the site file; the code `nine` in calls is hers too.
fn alices() -> Policy {
    let mut policy = policy();
    for code in &mut policy.codes {
        code.person = Some(person("alice"));
    }
    policy
}

fn alice(blocked: bool, valid: Validity) -> Change {
    Change::Person(Person {
        blocked,
        groups: BTreeSet::new(),
        id: person("alice"),
        valid,
    })
}

fn access(changes: impl IntoIterator<Item = Change>) -> Access {
    let mut access = burning(alices());
    let mut directory = Directory::new(key());
    changes.into_iter().for_each(|change| directory.apply(change));
    access.set_directory(directory);
    access
}

/// Everything of hers.
fn hers() -> [Request; 4] {
    let caller = || peer("sip:1000@pbx.example", true);
    [
        card(NOW, "front", "front-reader", CARD),
        keypad(NOW, "front", "front-reader", "1234"),
        called(NOW, "front", "1000", "9", true, true),
        calling(NOW, "front", caller(), "9"),
    ]
}

/// What is decided, and what would be by the explanation: they never differ.
#[track_caller]
fn reason(access: &mut Access, request: Request) -> Option<Reason> {
    let told = access.explain(NOW, &FIT, &request);
    let decided = access.decide(NOW, &FIT, request);
    match decided {
        gateway_access::Decision::Denied(denied) => {
            assert_eq!(Err(&denied.reason), told.result.as_ref());
            Some(denied.reason)
        }
        decided @ (gateway_access::Decision::Granted(_) | gateway_access::Decision::Held(_)) => {
            assert_eq!(Ok(decided.explain()), told.result);
            None
        }
    }
}

/// Exits, fire, and what is of others.
#[track_caller]
fn others_open(access: &mut Access) {
    for request in [
        rex("front", "front-rex"),
        Request::Fire { door: door("front") },
        card(NOW, "front", "front-reader", SPARE),
        command("front", gateway_core::Factor::Api, "admin", true),
    ] {
        assert_eq!(reason(access, request.clone()), None, "{request:?}");
    }
    assert_eq!(input("front-rex").as_str(), "front-rex");
    assert_eq!(reader("front-reader").as_str(), "front-reader");
}

#[test]
fn of_whom_the_records_never_told_the_site_file_alone_decides() {
    let mut access = access([]);
    for request in hers() {
        assert_eq!(reason(&mut access, request.clone()), None, "{request:?}");
    }
    let mut told = access.rights().into_iter();
    assert!(told.any(|(right, _)| right.who == "person:alice" && right.by.starts_with("code pin")));
}

#[test]
fn whose_records_are_good_opens_and_a_code_says_whose_it_is() {
    let mut access = access([alice(false, Validity::default())]);
    for request in hers() {
        assert_eq!(reason(&mut access, request.clone()), None, "{request:?}");
    }
    let typed = keypad(NOW, "front", "front-reader", "1234");
    assert_eq!(
        access.explain(NOW, &FIT, &typed).subject,
        Subject::Person(person("alice"))
    );
}

#[test]
fn nothing_of_somebody_blocked_removed_or_out_of_their_days_opens() {
    let day = |from: Option<i64>, until: Option<i64>| {
        alice(
            false,
            Validity {
                from: from.map(at),
                until: until.map(at),
            },
        )
    };
    let gone = || {
        vec![
            alice(false, Validity::default()),
            Change::PersonBarred(key().removed(&person("alice"))),
            Change::PersonGone(person("alice")),
        ]
    };
    // the clock of these tests stands at 0
    for (changes, expected) in [
        (vec![alice(true, Validity::default())], Reason::Blocked),
        (vec![day(None, Some(0))], Reason::Expired),
        (vec![day(Some(1), None)], Reason::NotYetValid),
        (gone(), Reason::Blocked),
        // after a restart only that she is barred is read
        (
            vec![Change::PersonBarred(key().removed(&person("alice")))],
            Reason::Blocked,
        ),
    ] {
        // as it is read at a start, and as it comes while the gateway runs
        let mut live = access([]);
        changes.iter().cloned().for_each(|change| live.change(change));
        for mut access in [access(changes), live] {
            for request in hers() {
                assert_eq!(
                    reason(&mut access, request.clone()),
                    Some(expected.clone()),
                    "{request:?}"
                );
            }
            others_open(&mut access);
            let theirs = access
                .rights()
                .into_iter()
                .filter(|(right, _)| right.who == "person:alice")
                .map(|(_, limits)| limits)
                .collect::<Vec<_>>();
            let right = if expected == Reason::Blocked {
                theirs.is_empty()
            } else {
                theirs.len() == 4 && theirs.iter().all(|limits| limits.contains("person "))
            };
            assert!(right, "{theirs:?}");
        }
    }
}

#[test]
fn by_a_doubtful_clock_nobody_with_days_comes_in_and_exits_open() {
    let days = Validity {
        from: None,
        until: Some(at(1)),
    };
    let mut access = access([alice(false, days)]);
    let context = gateway_access::Context { wall: None, ..FIT };
    let asked = card(NOW, "front", "front-reader", CARD);
    assert_eq!(
        access.explain(NOW, &context, &asked).result,
        Err(Reason::ClockUntrusted { schedule: None })
    );
    assert!(
        access
            .decide(NOW, &context, rex("front", "front-rex"))
            .granted()
            .is_some()
    );
}

#[test]
fn somebody_who_is_there_again_comes_in_again() {
    let mut access = access([Change::PersonBarred(key().removed(&person("alice")))]);
    access.change(alice(false, Validity::default()));
    assert_eq!(
        reason(&mut access, card(NOW, "front", "front-reader", CARD)),
        None
    );
    access.change(alice(true, Validity::default()));
    assert_eq!(
        reason(&mut access, card(NOW, "front", "front-reader", CARD)),
        Some(Reason::Blocked)
    );
}

#[test]
fn a_card_of_nobody_that_somebody_has_in_the_records_is_blocked_with_them() {
    let theirs = |blocked| {
        let frame = card_frame(SPARE).expect("a card");
        let credential = Credential {
            doors: BTreeSet::new(),
            id: "c-1".parse().expect("a name"),
            person: Some(person("alice")),
            proof: Proof::Card(CardKey::Bits(frame)),
            uses: None,
            valid: Validity::default(),
            when: When::Always,
        };
        [
            alice(blocked, Validity::default()),
            Change::Credential(credential),
        ]
    };
    let asked = || card(NOW, "front", "front-reader", SPARE);
    assert_eq!(reason(&mut access(theirs(false)), asked()), None);
    assert_eq!(reason(&mut access(theirs(true)), asked()), Some(Reason::Blocked));
    let mut blocked = access(theirs(true));
    assert!(
        blocked
            .decide(NOW, &FIT, rex("front", "front-rex"))
            .granted()
            .is_some()
    );
}
