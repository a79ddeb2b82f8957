//! The house in which the stories play, and what a change of its site file may alter.

use std::time::Duration;

use gateway_core::{ButtonId, Cause, Secret, Volume};
use gateway_site::{
    Answer, Area, ButtonMode, ButtonParams, CallIn, Caller, CardParams, CodeParams, DoorGroupParams,
    DoorParams, Duty, Escort, Group, InputParams, LineParams, ListParams, OnJournalFault, OpenWhen,
    OutputParams, PanelParams, Passback, ReaderParams, RexKind, RexParams, Schedule, Schedules, SiteParams,
    TargetParams, When, card_frame,
};
use sim::{first_door, id, secs};

/// `front` is held open in office hours once somebody of the staff came, `outer` and `inner` are a mantrap, `vault` wants
/// two persons and a journal, `lab` is an area with hard anti-passback, `barrier` opens by a call.
pub(crate) const DOORS: [&str; 6] = ["barrier", "front", "inner", "lab", "outer", "vault"];
/// Readers, and the door at which each is.
pub(crate) const READERS: [(&str, &str); 7] = [
    ("barrier-reader", "barrier"),
    ("front-reader", "front"),
    ("inner-reader", "inner"),
    ("lab-in", "lab"),
    ("lab-out", "lab"),
    ("outer-reader", "outer"),
    ("vault-reader", "vault"),
];
/// Buttons of the panel `main`, each on an input of its name.
pub(crate) const BUTTONS: [&str; 3] = ["bell", "desk", "side"];
/// Doors with a contact.
pub(crate) const CONTACTS: [&str; 2] = ["inner", "outer"];
/// How many site files there are; the first is the one of the beginning.
pub(crate) const FILES: usize = 17;

/// A site file.
#[derive(Clone)]
pub(crate) struct House {
    /// Office hours are other ones.
    pub(crate) early: bool,
    pub(crate) params: SiteParams,
}

/// A card of the site file, the PIN for it, whose it is.
pub(crate) const SITE_CARDS: [(&str, &str, Option<&str>, Option<&str>); 2] = [
    ("alice", "26:100,00001", Some("4711"), Some("alice")),
    ("spare", "26:100,00002", None, None),
];

fn office() -> When {
    When::In(id("office"))
}

fn night() -> When {
    When::In(id("night"))
}

fn schedules(early: bool) -> Schedules {
    let office = if early {
        "mon-fri 06:00-14:00"
    } else {
        "mon-fri 08:00-18:00"
    };
    let schedule = |lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| line.parse().expect("times")).collect();
        Schedule::new(&lines, vec![], vec![])
    };
    let night = schedule(&["daily 22:00-24:00", "daily 00:00-06:00"]);
    let by_id = [(id("office"), schedule(&[office])), (id("night"), night)];
    Schedules::new(jiff::tz::TimeZone::UTC, by_id.into())
}

fn doors(plain: &DoorParams) -> Vec<(&'static str, DoorParams)> {
    let mut all = Vec::new();
    for name in DOORS {
        let at_it = READERS.iter().filter(|(_, door)| *door == name);
        let mut door = DoorParams {
            callers: vec![],
            contact: CONTACTS.contains(&name).then(|| id(&format!("{name}-contact"))),
            output: Some(id(&format!("{name}-strike"))),
            readers: at_it.map(|(reader, _)| id(reader)).collect(),
            rex: vec![RexParams {
                input: id(&format!("{name}-rex")),
                kind: RexKind::Unlock,
            }],
            tamper: None,
            ..plain.clone()
        };
        match name {
            "barrier" => {
                door.by_call = office();
                door.callers = vec![caller("sip:1005@pbx.example", office())];
                door.strike = secs(5);
            }
            "front" => {
                door.callers = vec![caller("sip:1000@pbx.example", When::Always)];
                door.duty = Duty::Continuous;
                door.hold = office();
                door.hold_after = Some(id("staff"));
                door.hold_limit = Some(secs(7200));
            }
            "vault" => {
                door.on_journal_fault = OnJournalFault::Refuse;
                door.second_within = secs(20);
                door.two_persons = When::Always;
            }
            _ => {}
        }
        all.push((name, door));
    }
    all
}

fn caller(address: &str, when: When) -> Caller {
    Caller {
        address: address.into(),
        name: address.into(),
        when,
    }
}

fn reader(name: &str) -> ReaderParams {
    ReaderParams {
        card_alone: if name == "barrier-reader" {
            office()
        } else {
            When::Always
        },
        into: (name == "lab-in").then(|| id("laboratory")),
        out_of: (name == "lab-out").then(|| id("laboratory")),
        simulated: false,
    }
}

fn buttons() -> Vec<(ButtonId, ButtonParams)> {
    let button = |name: &str, mode| ButtonParams {
        day: office(),
        input: Some(id(name)),
        mode,
        ..ButtonParams::calling(id("reception"), name)
    };
    let bell = ButtonParams {
        opens: Some(id("front")),
        ..button("bell", ButtonMode::StrikeList)
    };
    let side = ButtonParams {
        night: Some(id("guards")),
        quiet: night(),
        ..button("side", ButtonMode::ListList)
    };
    vec![
        (id("bell"), bell),
        (id("desk"), button("desk", ButtonMode::ListForbidden)),
        (id("side"), side),
    ]
}

fn lists() -> Vec<(&'static str, ListParams)> {
    let list = |number: &str| ListParams {
        again: secs(10),
        hang_up_after_open: false,
        parallel: false,
        ring: secs(20),
        rounds: 1,
        talk_limit: Some(secs(180)),
        targets: vec![TargetParams {
            account: None,
            address: number.into(),
            confirm: None,
            contact: None,
            direct: false,
            manner: gateway_core::Manner::default(),
            name: None,
        }],
    };
    vec![("guards", list("1009")), ("reception", list("1000"))]
}

fn panels() -> Vec<(&'static str, PanelParams)> {
    let panel = |line: &str, doors: &[&str]| PanelParams {
        accounts: vec![id("pbx")],
        answer: Answer::AtOnce,
        buttons: [].into(),
        callers: Vec::new(),
        doors: doors.iter().map(|door| id(door)).collect(),
        line: id(line),
        name: line.into(),
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
    let gate = PanelParams {
        other_calls: Some(Cause::Busy),
        on_line_fault: gateway_site::OnLineFault::Reject,
        transfers: gateway_site::Transfers::Listed,
        ..panel("gate-line", &["barrier"])
    };
    let main = PanelParams {
        ring_to_open: Some(secs(7200)),
        buttons: buttons().into_iter().collect(),
        ..panel("riser", &["front", "outer"])
    };
    vec![("gate", gate), ("main", main)]
}

fn groups() -> Vec<(&'static str, Group)> {
    let group = |doors: &[&str]| Group {
        doors: doors.iter().map(|door| id(door)).collect(),
        escort: None,
        open_for: None,
        when: When::Always,
    };
    let cleaners = Group {
        open_for: Some(secs(12)),
        when: office(),
        ..group(&["front", "lab", "inner"])
    };
    let visitors = Group {
        escort: Some(Escort {
            by: id("staff"),
            within: secs(20),
        }),
        ..group(&["front", "lab"])
    };
    vec![
        ("cleaners", cleaners),
        ("staff", group(&DOORS)),
        ("visitors", visitors),
    ]
}

fn cards() -> Vec<(&'static str, CardParams)> {
    let cards = SITE_CARDS.iter().map(|(name, frame, pin, person)| {
        let alice = *name == "alice";
        let doors: &[&str] = if alice {
            &["front", "vault", "lab", "outer", "barrier"]
        } else {
            &["front", "vault", "barrier"]
        };
        let card = CardParams {
            doors: doors.iter().map(|door| id(door)).collect(),
            frame: card_frame(frame).expect("a card"),
            open_for: (!alice).then(|| secs(9)),
            person: person.map(id),
            pin: pin.map(Secret::new),
            when: if alice { When::Always } else { office() },
        };
        (*name, card)
    });
    cards.collect()
}

fn codes() -> Vec<(&'static str, CodeParams)> {
    let code = |digits: &str, doors: &[&str], from_call, when| CodeParams {
        digits: digits.into(),
        doors: doors.iter().map(|door| id(door)).collect(),
        from_call,
        from_keypad: !from_call,
        person: None,
        when,
    };
    vec![
        ("nine", code("9", &["front"], true, When::Always)),
        ("pin", code("1234", &["front", "inner", "vault"], false, office())),
        ("seven", code("7", &["outer"], true, When::Always)),
    ]
}

/// The site file of the beginning.
fn first() -> House {
    let mut site = first_door();
    let plain = site.doors[&id("front")].clone();
    let wire = InputParams {
        debounce: Duration::ZERO,
        simulated: false,
    };
    let line = LineParams {
        call_in: CallIn::SelfStart,
        handset_sense: false,
        hook_to_open: false,
        open_when: OpenWhen::Always,
        quiet: When::Never,
        quiet_volume: Volume::default(),
        ring_window: secs(120),
        simulated: false,
        talk_window: secs(600),
        volume: Volume::default(),
    };
    let named = ["fire", "lock-street"].map(str::to_owned).into_iter();
    let pressed = BUTTONS.iter().map(|&button| button.to_owned());
    let exits = DOORS.iter().map(|door| format!("{door}-rex"));
    let contacts = CONTACTS.iter().map(|door| format!("{door}-contact"));
    let inputs = named.chain(pressed).chain(exits).chain(contacts);
    site.inputs = inputs.map(|input| (id(&input), wire.clone())).collect();
    let strike = |door: &&str| (id(&format!("{door}-strike")), OutputParams { simulated: false });
    site.outputs = DOORS.iter().map(strike).collect();
    let keyed = READERS.iter().map(|(name, _)| (id(name), reader(name)));
    site.readers = keyed.collect();
    site.lines = [(id("gate-line"), line.clone()), (id("riser"), line)].into();
    site.doors = doors(&plain)
        .into_iter()
        .map(|(name, door)| (id(name), door))
        .collect();
    site.panels = panels()
        .into_iter()
        .map(|(name, panel)| (id(name), panel))
        .collect();
    site.lists = lists().into_iter().map(|(name, list)| (id(name), list)).collect();
    site.groups = groups()
        .into_iter()
        .map(|(name, group)| (id(name), group))
        .collect();
    site.cards = cards().into_iter().map(|(name, card)| (id(name), card)).collect();
    site.codes = codes().into_iter().map(|(name, code)| (id(name), code)).collect();
    let laboratory = Area {
        passback: Passback::Hard,
        time_out: secs(3600),
    };
    site.areas = [(id("laboratory"), laboratory)].into();
    let street = DoorGroupParams {
        doors: [id("barrier"), id("front")].into(),
        interlock: false,
        lockdown_input: Some(id("lock-street")),
        name: "Street side".into(),
    };
    let trap = DoorGroupParams {
        doors: [id("inner"), id("outer")].into(),
        interlock: true,
        lockdown_input: None,
        name: "Mantrap".into(),
    };
    site.door_groups = [(id("street"), street), (id("trap"), trap)].into();
    site.schedules = schedules(false);
    House {
        early: false,
        params: site,
    }
}

impl House {
    /// The site file with this number: the first one with one thing altered.
    pub(crate) fn new(file: usize) -> Self {
        let mut house = first();
        let site = &mut house.params;
        fn door<'a>(site: &'a mut SiteParams, name: &str) -> &'a mut DoorParams {
            site.doors.get_mut(&id(name)).expect("the door")
        }
        match file {
            1 => {
                site.doors.remove(&id("vault"));
            }
            2 => {
                door(site, "front").hold = When::Never;
                door(site, "front").hold_limit = None;
            }
            3 => {
                let staff = site.groups.get_mut(&id("staff")).expect("the group");
                staff.doors.remove(&id("front"));
                staff.doors.remove(&id("vault"));
            }
            4 => site.groups.get_mut(&id("visitors")).expect("the group").escort = None,
            5 => {
                site.schedules = schedules(true);
                house.early = true;
            }
            6 => {
                site.door_groups.remove(&id("trap"));
            }
            7 => door(site, "vault").two_persons = When::Never,
            8 => {
                let laboratory = site.areas.get_mut(&id("laboratory")).expect("the area");
                laboratory.passback = Passback::Soft;
            }
            9 => {
                site.readers
                    .get_mut(&id("barrier-reader"))
                    .expect("it")
                    .card_alone = When::Always
            }
            10 => {
                site.codes.remove(&id("pin"));
                site.codes.remove(&id("nine"));
            }
            11 => {
                door(site, "barrier").by_call = When::Never;
                door(site, "front").callers.clear();
            }
            12 => {
                let main = site.panels.get_mut(&id("main")).expect("the panel");
                main.buttons.get_mut(&id("bell")).expect("it").mode = ButtonMode::ListList;
            }
            13 => DOORS.iter().for_each(|name| door(site, name).strike = secs(2)),
            14 => door(site, "vault").two_persons = night(),
            15 => door(site, "front").hold_after = None,
            16 => {
                let main = site.panels.get_mut(&id("main")).expect("the panel");
                main.ring_to_open = None;
            }
            _ => {}
        }
        house
    }
}
