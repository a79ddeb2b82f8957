//! A small site for the tests of the decision: two doors, cards, codes, callers.

use gateway_access::{
    Access, Caller, CallerPattern, Card, Code, CodeFrom, Context, DigitsFrom, DoorPolicy, OnJournalFault,
    Policy, Request, RexKind, When, card_frame,
};
use gateway_core::{
    DoorId, Factor, InputId, Instant, Origin, OutputId, Peer, PersonId, ReaderId, Secret, Subject,
};

pub(crate) const FIT: Context = Context {
    generation: 7,
    journal_ok: true,
    projection_at_head: true,
    ready: true,
    wall: Some(gateway_core::Timestamp::UNIX_EPOCH),
};

pub(crate) fn door(name: &str) -> DoorId {
    DoorId::new(name).expect("a name")
}

pub(crate) fn input(name: &str) -> InputId {
    InputId::new(name).expect("a name")
}

pub(crate) fn reader(name: &str) -> ReaderId {
    ReaderId::new(name).expect("a name")
}

pub(crate) fn peer(address: &str, trusted: bool) -> Peer {
    Peer {
        address: address.into(),
        foreign: false,
        display: Some("sip:1000@pbx.example".into()),
        trusted,
        withheld: false,
    }
}

/// `front` opens for nearly everything, `back` refuses without journal and listens to no caller and no list.
pub(crate) fn policy() -> Policy {
    let code = |id: &str, digits: &str, doors: &[&str], from: &[CodeFrom]| Code {
        digits: Secret::new(digits),
        doors: doors.iter().map(|d| door(d)).collect(),
        from: from.iter().copied().collect(),
        id: id.parse().expect("a name"),
        person: None,
        when: When::Always,
    };
    let card = |id: &str, text: &str, person: Option<&str>, doors: &[&str]| Card {
        doors: doors.iter().map(|d| door(d)).collect(),
        frame: card_frame(text).expect("a card"),
        id: id.parse().expect("a name"),
        open_for: None,
        person: person.map(|p| PersonId::new(p).expect("a name")),
        pin: None,
        when: When::Always,
    };
    let mut front = DoorPolicy::new(OutputId::new("front-strike").expect("a name"));
    front.callers = vec![Caller {
        name: "Reception".into(),
        pattern: CallerPattern::parse("sip:1000@pbx.example").expect("a pattern"),
        when: When::Always,
    }];
    front.by_call = When::Always;
    front.digits_by_list = true;
    front.readers = [reader("front-reader")].into();
    front.rex = [
        (input("front-rex"), RexKind::Unlock),
        (input("front-handle"), RexKind::ShuntOnly),
        (input("front-button"), RexKind::Parallel),
    ]
    .into();
    let mut back = DoorPolicy::new(OutputId::new("back-strike").expect("a name"));
    back.by_call = When::Always;
    back.on_journal_fault = OnJournalFault::Refuse;
    back.readers = [reader("back-reader")].into();
    back.rex = [(input("back-rex"), RexKind::Unlock)].into();
    Policy {
        cards: vec![
            card("alice", "26:123,04567", Some("alice"), &["front"]),
            card("spare", "34:hex:0123abcd4", None, &["front", "back"]),
        ],
        codes: vec![
            code("nine", "9", &["front", "back"], &[CodeFrom::Call]),
            code("pin", "1234", &["front"], &[CodeFrom::Keypad]),
        ],
        doors: [(door("front"), front), (door("back"), back)].into(),
        index_key: [42; 32],
        ..Policy::default()
    }
}

/// The same with the fire alarm standing, for what is never refused.
pub(crate) fn burning(policy: Policy) -> Access {
    let mut access = Access::new(policy);
    access.set_fire(Some(input("fire")));
    access
}

pub(crate) fn card(now: Instant, at_door: &str, at_reader: &str, text: &str) -> Request {
    Request::Card {
        at: now,
        door: door(at_door),
        frame: card_frame(text).expect("a card"),
        pin: None,
        reader: reader(at_reader),
    }
}

pub(crate) fn keypad(now: Instant, at_door: &str, at_reader: &str, digits: &str) -> Request {
    Request::KeypadCode {
        at: now,
        digits: Secret::new(digits),
        door: door(at_door),
        reader: reader(at_reader),
    }
}

pub(crate) fn called(
    now: Instant,
    at_door: &str,
    who: &str,
    digits: &str,
    listed: bool,
    winner: bool,
) -> Request {
    let from = DigitsFrom::Called {
        account: None,
        listed,
        peer: peer(who, true),
    };
    Request::Digits {
        at: now,
        digits: Secret::new(digits),
        door: door(at_door),
        from,
        ring: None,
        winner,
    }
}

pub(crate) fn calling(now: Instant, at_door: &str, peer: Peer, digits: &str) -> Request {
    let account = None;
    let from = DigitsFrom::Caller { account, peer };
    Request::Digits {
        at: now,
        digits: Secret::new(digits),
        door: door(at_door),
        from,
        ring: None,
        winner: true,
    }
}

pub(crate) fn command(at_door: &str, factor: Factor, user: &str, permitted: bool) -> Request {
    let origin = Origin {
        factor,
        may_simulate: false,
        subject: Subject::User(user.into()),
    };
    Request::Command {
        door: door(at_door),
        origin,
        permitted,
        ring: None,
    }
}

pub(crate) fn rex(at_door: &str, name: &str) -> Request {
    Request::Rex {
        door: door(at_door),
        input: input(name),
    }
}
