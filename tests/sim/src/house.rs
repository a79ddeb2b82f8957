//! Sites to test with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::{Cause, SiteId, Volume};
use gateway_site::{
    AccountParams, AnnouncementParams, Answer, ButtonParams, CallIn, Caller, CardParams, CodeParams,
    DoorParams, Duty, FailMode, InputParams, LineParams, ListParams, LockKind, LockOwner, OnJournalFault,
    OpenWhen, OutputParams, PanelParams, ReaderParams, Relock, RexKind, RexParams, SiteParams, TargetParams,
    When, card_frame,
};

use crate::sim::secs;

/// Any identifier of a literal name.
///
/// # Panics
/// If the text is no name.
pub fn id<T: std::str::FromStr<Err = gateway_core::NameError>>(name: &str) -> T {
    name.parse().expect("tests use names of small letters")
}

fn input(simulated: bool) -> InputParams {
    InputParams {
        debounce: Duration::ZERO,
        simulated,
    }
}

fn reader(simulated: bool) -> ReaderParams {
    ReaderParams {
        card_alone: When::Always,
        into: None,
        out_of: None,
        simulated,
    }
}

fn door(name: &str, output: &str) -> DoorParams {
    DoorParams {
        by_call: When::Never,
        callers: vec![Caller {
            address: "sip:1000@pbx.example".into(),
            name: "Reception".into(),
            when: When::Always,
        }],
        contact: None,
        digits_by_list: true,
        duty: Duty::Pulse,
        fail: FailMode::Secure,
        held_open: secs(30),
        hold: When::Never,
        hold_after: None,
        hold_limit: None,
        lock: LockKind::Strike,
        lock_sense: None,
        name: name.into(),
        on_journal_fault: OnJournalFault::OpenAndBuffer,
        output: Some(id(output)),
        owner: LockOwner::Gateway,
        relock: Relock::Time,
        rex: Vec::new(),
        readers: Vec::new(),
        second_within: secs(30),
        strike: secs(3),
        tamper: None,
        travel: secs(20),
        two_persons: When::Never,
        visitor: secs(120),
    }
}

fn target(address: &str) -> TargetParams {
    TargetParams {
        confirm: None,
        contact: None,
        account: None,
        address: address.into(),
        direct: false,
        manner: gateway_core::Manner::default(),
        name: None,
    }
}

/// One real door `front` (strike, contact, REX, tamper, reader) at panel `main` on line `riser`; one virtual
/// door `toy` at the virtual panel `toys`, which also claims to serve `front`; fire input `fire`; code 9 from
/// calls and 1234 at keypads; Alice's card. The list calls 1000, then 1001.
///
/// # Panics
/// Never: all names are literals.
#[must_use]
pub fn first_door() -> SiteParams {
    let mut front = door("Main entrance", "front-strike");
    front.contact = Some(id("front-contact"));
    front.tamper = Some(id("front-tamper"));
    front.readers = vec![id("front-reader")];
    front.rex = vec![RexParams {
        input: id("front-rex"),
        kind: RexKind::Unlock,
    }];
    let mut toy = door("Toy door", "toy-strike");
    toy.rex = vec![RexParams {
        input: id("toy-rex"),
        kind: RexKind::Unlock,
    }];
    toy.readers = vec![id("toy-reader")];
    let both: BTreeSet<_> = [id("front"), id("toy")].into();
    let list = ListParams {
        again: secs(10),
        hang_up_after_open: true,
        parallel: false,
        ring: secs(20),
        rounds: 1,
        talk_limit: Some(secs(180)),
        targets: vec![target("1000"), target("1001")],
    };
    let line = |simulated| LineParams {
        call_in: CallIn::SelfStart,
        handset_sense: true,
        hook_to_open: false,
        open_when: OpenWhen::Always,
        quiet: When::Never,
        quiet_volume: Volume::default(),
        ring_window: secs(120),
        simulated,
        talk_window: secs(600),
        volume: Volume::default(),
    };
    let panel = |name: &str, line: &str, input: &str, doors: &[&str]| PanelParams {
        accounts: vec![id("pbx")],
        answer: Answer::AtOnce,
        buttons: [(
            id("bell"),
            ButtonParams {
                input: Some(id(input)),
                ..ButtonParams::calling(id("reception"), "Bell")
            },
        )]
        .into(),
        callers: Vec::new(),
        doors: doors.iter().map(|d| id(d)).collect(),
        line: id(line),
        name: name.into(),
        record: None,
        opened_call: Cause::Declined,
        other_calls: None,
        on_line_fault: gateway_site::OnLineFault::Reject,
        transfers: gateway_site::Transfers::Listed,
        ring_to_open: None,
        early_media: true,
        greeting: None,
        rings_back: false,
    };
    SiteParams {
        accounts: [(
            id("pbx"),
            AccountParams {
                domain: "pbx.example".into(),
                register: true,
            },
        )]
        .into(),
        announcements: [(
            id("lift"),
            AnnouncementParams {
                file: "lift.wav".into(),
                name: "The lift is out of order".into(),
                panels: [id("main"), id("toys")].into(),
            },
        )]
        .into(),
        cards: [(
            id("alice"),
            CardParams {
                doors: both.clone(),
                frame: card_frame("26:123,04567").expect("a good card"),
                open_for: None,
                person: Some(id("alice")),
                pin: None,
                when: When::Always,
            },
        )]
        .into(),
        codes: [
            (
                id("nine"),
                CodeParams {
                    digits: "9".into(),
                    doors: both.clone(),
                    from_call: true,
                    from_keypad: false,
                    person: None,
                    when: When::Always,
                },
            ),
            (
                id("pin"),
                CodeParams {
                    digits: "1234".into(),
                    doors: both,
                    from_call: false,
                    from_keypad: true,
                    person: None,
                    when: When::Always,
                },
            ),
        ]
        .into(),
        doors: [(id("front"), front), (id("toy"), toy)].into(),
        fire_input: Some(id("fire")),
        inputs: [
            (id("bell"), input(false)),
            (id("fire"), input(false)),
            (id("front-contact"), input(false)),
            (id("front-rex"), input(false)),
            (id("front-tamper"), input(false)),
            (id("toy-bell"), input(true)),
            (id("toy-rex"), input(true)),
        ]
        .into(),
        instance: "box-1".into(),
        lines: BTreeMap::from([(id("riser"), line(false)), (id("toy-line"), line(true))]),
        lists: [(id("reception"), list)].into(),
        name: "12 rue des Lilas".into(),
        numbers: None,
        outputs: [
            (id("front-strike"), OutputParams { simulated: false }),
            (id("toy-strike"), OutputParams { simulated: true }),
        ]
        .into(),
        panels: [
            (id("main"), panel("Main entrance", "riser", "bell", &["front"])),
            (
                id("toys"),
                panel("Toys", "toy-line", "toy-bell", &["toy", "front"]),
            ),
        ]
        .into(),
        readers: [
            (id("front-reader"), reader(false)),
            (id("toy-reader"), reader(true)),
        ]
        .into(),
        version: "0.0.0".into(),
        ..SiteParams::empty(SiteId::new("lilas").expect("a name"))
    }
}

/// [`first_door`] whose list calls 1000, 1001 and 1002 at once.
///
/// # Panics
/// Never: all names are literals.
#[must_use]
pub fn three_phones() -> SiteParams {
    let mut site = first_door();
    let list = site.lists.get_mut(&id("reception")).expect("it has this list");
    list.parallel = true;
    list.targets = ["1000", "1001", "1002"].map(target).into();
    site
}
