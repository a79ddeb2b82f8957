//! People and credentials: the decision against a small model that was written apart from it.
//!
//! The model has lists where the directory has indexes, digits where it has digests, and hours where it has schedules.
//! Random changes of people, credentials and configuration, time, doubts about the clock, restarts and requests run
//! through both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::site::{FIT, burning, called, calling, card, command, door, keypad, peer, policy, reader, rex};
use gateway_access::{
    Access, CallerPattern, CardKey, Change, CodeFrom, Context, Credential, Decision, Directory, Group,
    Person, PinKey, Policy, Proof, ReaderPolicy, Reason, Request, Schedule, Schedules, Validity, When,
    card_frame,
};
use gateway_core::{DoorId, Instant, Secret, Timestamp};
use proptest::prelude::*;

/// Midnight of a Monday, UTC.
const MONDAY: i64 = 1_768_176_000;
const CARD: &str = "26:123,04567";
const PEOPLE: [&str; 2] = ["ann", "bob"];
const DOORS: [&str; 2] = ["front", "back"];
const READERS: [&str; 2] = ["front-reader", "back-reader"];
const CALLERS: [&str; 2] = ["sip:1000@pbx.example", "sip:2000@pbx.example"];
const DIGITS: [&str; 7] = ["4711", "9876", "1111", "2222", "0000", "3333", "5555"];

fn key() -> PinKey {
    PinKey::new([7; 32])
}

/// The credentials of this world. `id`, owner, what it is, digits if it has some, how often it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Card,
    Code,
    DuressCode,
    DuressPin,
    Phone { needs_pin: bool },
    Pin,
}

struct Kind {
    id: &'static str,
    owner: Option<usize>,
    what: What,
    digits: &'static str,
    uses: Option<u32>,
    doors: &'static [&'static str],
}

const KINDS: [Kind; 9] = [
    Kind {
        id: "c-card",
        owner: Some(0),
        what: What::Card,
        digits: "",
        uses: None,
        doors: &[],
    },
    Kind {
        id: "c-code",
        owner: Some(0),
        what: What::Code,
        digits: "4711",
        uses: Some(2),
        doors: &[],
    },
    Kind {
        id: "c-visit",
        owner: None,
        what: What::Code,
        digits: "9876",
        uses: Some(1),
        doors: &["front"],
    },
    Kind {
        id: "c-pin-ann",
        owner: Some(0),
        what: What::Pin,
        digits: "1111",
        uses: None,
        doors: &[],
    },
    Kind {
        id: "c-pin-bob",
        owner: Some(1),
        what: What::Pin,
        digits: "2222",
        uses: None,
        doors: &[],
    },
    Kind {
        id: "c-phone",
        owner: Some(1),
        what: What::Phone { needs_pin: true },
        digits: "",
        uses: None,
        doors: &["back"],
    },
    Kind {
        id: "c-mobile",
        owner: Some(0),
        what: What::Phone { needs_pin: false },
        digits: "",
        uses: Some(3),
        doors: &[],
    },
    Kind {
        id: "c-forced-pin",
        owner: Some(0),
        what: What::DuressPin,
        digits: "3333",
        uses: None,
        doors: &[],
    },
    Kind {
        id: "c-forced",
        owner: Some(0),
        what: What::DuressCode,
        digits: "5555",
        uses: None,
        doors: &[],
    },
];

#[derive(Clone, Debug)]
struct Holder {
    blocked: bool,
    /// Group 0 opens the front at any time, group 1 both doors by day.
    groups: [bool; 2],
    until: Option<i64>,
}

#[derive(Clone, Debug)]
struct Held {
    by_day: bool,
    from: Option<i64>,
    until: Option<i64>,
}

#[derive(Clone, Debug)]
enum Ask {
    Call { who: usize, at: usize },
    Card { at: usize, pin: Option<usize> },
    DialIn { who: usize, at: usize, digits: usize },
    Dialled { at: usize, digits: usize },
    Typed { at: usize, digits: usize },
}

#[derive(Clone, Debug)]
enum Step {
    /// A request; for one that waits for the medium: milliseconds until it is kept, none if it never is.
    Ask(Ask, Option<u64>),
    Clock(bool),
    Credential(usize, Held),
    CredentialGone(usize),
    Config(bool),
    Journal(bool),
    Person(usize, Holder),
    PersonGone(usize),
    Restart,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = prop_oneof![
        2 => (0..2_usize, 0..2_usize).prop_map(|(who, at)| Ask::Call { who, at }),
        3 => (0..2_usize, prop::option::of(0..7_usize)).prop_map(|(at, pin)| Ask::Card { at, pin }),
        2 => (0..2_usize, 0..2_usize, 0..7_usize).prop_map(|(who, at, digits)| Ask::DialIn { who, at, digits }),
        1 => (0..2_usize, 0..7_usize).prop_map(|(at, digits)| Ask::Dialled { at, digits }),
        3 => (0..2_usize, 0..7_usize).prop_map(|(at, digits)| Ask::Typed { at, digits }),
    ];
    let kept =
        prop_oneof![5 => (0..2000_u64).prop_map(Some), 1 => (2001..9000_u64).prop_map(Some), 1 => Just(None)];
    // hours around the present
    let hour = prop::option::of((-40..80_i64).prop_map(|h| h * 3600));
    let held =
        (any::<bool>(), prop::option::of(-40..20_i64), hour.clone()).prop_map(|(by_day, from, until)| Held {
            by_day,
            from: from.map(|h| h * 3600),
            until,
        });
    let holder =
        (prop::bool::weighted(0.1), any::<[bool; 2]>(), hour).prop_map(|(blocked, groups, until)| Holder {
            blocked,
            groups,
            until,
        });
    let step = prop_oneof![
        12 => (ask, kept).prop_map(|(ask, kept)| Step::Ask(ask, kept)),
        1 => prop::bool::weighted(0.7).prop_map(Step::Clock),
        5 => (0..9_usize, held).prop_map(|(n, held)| Step::Credential(n, held)),
        1 => (0..9_usize).prop_map(Step::CredentialGone),
        1 => any::<bool>().prop_map(Step::Config),
        1 => prop::bool::weighted(0.7).prop_map(Step::Journal),
        3 => (0..2_usize, holder).prop_map(|(n, holder)| Step::Person(n, holder)),
        1 => (0..2_usize).prop_map(Step::PersonGone),
        2 => Just(Step::Restart),
        4 => (0..36_000_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..80)
}

/// What the model knows; times are seconds since the Monday's midnight.
struct Model {
    clock: bool,
    /// The second group is in the site file.
    configured: bool,
    credentials: BTreeMap<usize, Held>,
    journal: bool,
    now: i64,
    people: BTreeMap<usize, Holder>,
    used: BTreeMap<usize, u32>,
}

impl Model {
    fn is_day(&self) -> bool {
        let hour = self.now.rem_euclid(86_400) / 3600;
        let weekday = self.now.div_euclid(86_400).rem_euclid(7);
        weekday < 5 && (8..18).contains(&hour)
    }

    /// Is this credential good at this door, if everything else is right?
    fn good(&self, n: usize, at: usize) -> bool {
        let Some(held) = self.credentials.get(&n) else {
            return false;
        };
        let kind = &KINDS[n];
        let mut by = kind.doors.contains(&DOORS[at]);
        if let Some(owner) = kind.owner {
            let Some(holder) = self.people.get(&owner) else {
                return false;
            };
            if holder.blocked || holder.until.is_some_and(|until| !self.clock || self.now >= until) {
                return false;
            }
            by |= holder.groups[0] && at == 0;
            by |= holder.groups[1] && self.configured && self.clock && self.is_day();
        }
        let timed = held.from.is_some() || held.until.is_some();
        if (timed || held.by_day) && !self.clock {
            return false;
        }
        by && (!held.by_day || self.is_day())
            && held.from.is_none_or(|from| self.now >= from)
            && held.until.is_none_or(|until| self.now < until)
            && kind.uses.is_none_or(|uses| {
                self.used.get(&n).copied().unwrap_or(0) < uses && self.journal && self.clock
            })
    }

    fn has_pin(&self, owner: Option<usize>, digits: &str) -> bool {
        self.credentials.keys().any(|n| {
            let kind = &KINDS[*n];
            let is_pin = matches!(kind.what, What::DuressPin | What::Pin);
            owner.is_some() && kind.owner == owner && is_pin && kind.digits == digits
        })
    }

    fn code(&self, at: usize, digits: usize) -> Option<usize> {
        let fits = |n: &&usize| {
            matches!(KINDS[**n].what, What::Code | What::DuressCode) && KINDS[**n].digits == DIGITS[digits]
        };
        self.credentials
            .keys()
            .filter(fits)
            .copied()
            .find(|n| self.good(*n, at))
    }

    fn phone(&self, who: usize, at: usize) -> Option<usize> {
        let n = 5 + usize::from(who == 0);
        (who < 2 && self.good(n, at)).then_some(n)
    }

    /// Is somebody forced who shows this, whatever comes of it?
    fn forced(&self, ask: &Ask) -> bool {
        let there = |n: usize| self.credentials.contains_key(&n);
        let pin = |digits: usize| there(7) && DIGITS[digits] == "3333";
        let code = |digits: usize| there(8) && DIGITS[digits] == "5555";
        match ask {
            Ask::Call { .. } | Ask::Card { pin: None, .. } => false,
            Ask::Card {
                pin: Some(digits), ..
            } => there(0) && pin(*digits),
            // the first caller's telephone is that of whom the duress PIN belongs to
            Ask::DialIn { who, digits, .. } => *who == 0 && there(6) && pin(*digits) || code(*digits),
            Ask::Dialled { digits, .. } | Ask::Typed { digits, .. } => code(*digits),
        }
    }

    /// Which credential opens; the site's own listed caller and codes are left out of this world.
    fn opens(&self, ask: &Ask) -> Option<usize> {
        match ask {
            Ask::Card { at, pin } => {
                let alone = *at != 0 || (self.clock && self.is_day());
                let with = |digits: usize| self.has_pin(Some(0), DIGITS[digits]);
                let enough = match pin {
                    None => alone,
                    Some(digits) => with(*digits),
                };
                (self.good(0, *at) && enough).then_some(0)
            }
            Ask::Call { who, at } => {
                let n = self.phone(*who, *at)?;
                (self.clock && KINDS[n].what == What::Phone { needs_pin: false }).then_some(n)
            }
            Ask::DialIn { who, at, digits } => {
                let n = self.phone(*who, *at)?;
                if self.has_pin(KINDS[n].owner, DIGITS[*digits]) {
                    Some(n)
                } else if KINDS[n].what == (What::Phone { needs_pin: true }) {
                    None
                } else {
                    self.code(*at, *digits)
                }
            }
            Ask::Dialled { at, digits } => {
                if *at == 0 {
                    self.code(0, *digits)
                } else {
                    None
                }
            }
            Ask::Typed { at, digits } => self.code(*at, *digits),
        }
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(MONDAY + seconds).expect("a time")
}

fn change_of(n: usize, held: &Held) -> Change {
    let kind = &KINDS[n];
    let person = kind.owner.map(|owner| PEOPLE[owner].parse().expect("a name"));
    let digits = Secret::new(kind.digits);
    let proof = match kind.what {
        What::Card => Proof::Card(CardKey::parse("123,04567").expect("a card")),
        What::Code | What::DuressCode => Proof::Code {
            duress: kind.what == What::DuressCode,
            from: BTreeSet::from([CodeFrom::Call, CodeFrom::Keypad]),
            heads: key().heads(&digits),
            tag: key().code(&digits),
        },
        What::DuressPin => Proof::DuressPin(key().pin(person.as_ref().expect("a PIN has an owner"), &digits)),
        What::Phone { needs_pin } => Proof::Phone {
            needs_pin,
            number: CallerPattern::parse(if needs_pin { "2000" } else { "1000" }).expect("a number"),
        },
        What::Pin => Proof::Pin(key().pin(person.as_ref().expect("a PIN has an owner"), &digits)),
    };
    Change::Credential(Credential {
        doors: kind.doors.iter().map(|name| door(name)).collect(),
        id: kind.id.parse().expect("a name"),
        person,
        proof,
        uses: kind.uses,
        valid: Validity {
            from: held.from.map(time),
            until: held.until.map(time),
        },
        when: if held.by_day {
            When::parse("day").expect("a name")
        } else {
            When::Always
        },
    })
}

fn person_of(n: usize, holder: &Holder) -> Change {
    let groups = ["always", "daily"]
        .iter()
        .zip(holder.groups)
        .filter(|(_, is)| *is);
    Change::Person(Person {
        blocked: holder.blocked,
        groups: groups.map(|(name, _)| name.parse().expect("a name")).collect(),
        id: PEOPLE[n].parse().expect("a name"),
        valid: Validity {
            from: None,
            until: holder.until.map(time),
        },
    })
}

/// The site of the other tests without cards, codes and callers of its own; wrong tries lock nobody out here.
fn world(configured: bool) -> Policy {
    let mut policy = policy();
    (policy.cards, policy.codes) = (Vec::new(), Vec::new());
    for door in policy.doors.values_mut() {
        door.callers.clear();
    }
    policy.limits.cards.free_tries = u32::MAX;
    policy.limits.codes.free_tries = u32::MAX;
    let day = Schedule::new(&["mon-fri 08:00-18:00".parse().expect("times")], vec![], vec![]);
    policy.schedules = Schedules::new(
        jiff::tz::TimeZone::UTC,
        [("day".parse().expect("a name"), day)].into(),
    );
    let day = When::parse("day").expect("a name");
    policy.readers.insert(
        reader("front-reader"),
        ReaderPolicy {
            card_alone: day.clone(),
            ..ReaderPolicy::default()
        },
    );
    let group = |doors: &[&str], when| Group {
        escort: None,
        doors: doors.iter().map(|name| door(name)).collect::<BTreeSet<DoorId>>(),
        when,
        open_for: None,
    };
    policy
        .groups
        .insert("always".parse().expect("a name"), group(&["front"], When::Always));
    if configured {
        policy
            .groups
            .insert("daily".parse().expect("a name"), group(&["front", "back"], day));
    }
    policy
}

fn directory(model: &Model) -> Directory {
    let mut directory = Directory::new(key());
    for (n, held) in &model.credentials {
        directory.apply(change_of(*n, held));
    }
    for (n, holder) in &model.people {
        directory.apply(person_of(*n, holder));
    }
    for (n, times) in &model.used {
        let credential = KINDS[*n].id.parse().expect("a name");
        directory.apply(Change::Used {
            credential,
            times: *times,
        });
    }
    directory
}

fn request(ask: &Ask, now: Instant) -> Request {
    match ask {
        Ask::Call { who, at } => Request::Caller {
            account: None,
            door: door(DOORS[*at]),
            peer: peer(CALLERS[*who], true),
            ring: None,
        },
        Ask::Card { at, pin } => {
            let shown = card(now, DOORS[*at], READERS[*at], CARD);
            match (pin, shown) {
                (
                    Some(digits),
                    Request::Card {
                        at,
                        door,
                        frame,
                        reader,
                        ..
                    },
                ) => Request::Card {
                    at,
                    door,
                    frame,
                    pin: Some(Secret::new(DIGITS[*digits])),
                    reader,
                },
                (_, shown) => shown,
            }
        }
        Ask::DialIn { who, at, digits } => {
            calling(now, DOORS[*at], peer(CALLERS[*who], true), DIGITS[*digits])
        }
        Ask::Dialled { at, digits } => called(now, DOORS[*at], CALLERS[0], DIGITS[*digits], true, true),
        Ask::Typed { at, digits } => keypad(now, DOORS[*at], READERS[*at], DIGITS[*digits]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Not one opening that the model forbids, not one refusal where it would open; and no use comes back.
    #[test]
    fn people_open_what_the_model_allows(steps in steps()) {
        let mut model = Model {
            clock: true, configured: true, credentials: BTreeMap::new(), journal: true, now: 10 * 3600,
            people: BTreeMap::new(), used: BTreeMap::new(),
        };
        let mut access = burning(world(true));
        access.set_directory(directory(&model));
        let mut mono = Instant::from_nanos(1_000_000_000_000);
        let mut opened: BTreeMap<usize, u32> = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            let context = |model: &Model| Context {
                journal_ok: model.journal,
                wall: model.clock.then(|| time(model.now)),
                ..FIT
            };
            match step {
                Step::Ask(ask, kept) => {
                    let told = access.explain(mono, &context(&model), &request(ask, mono)).result;
                    let forced = access.under_duress(&request(ask, mono)).is_some();
                    prop_assert_eq!(forced, model.forced(ask), "step {}: {:?}", at, ask);
                    let decision = access.decide(mono, &context(&model), request(ask, mono));
                    // the back door waits for the journal, whatever opens it
                    let waits = !model.journal && matches!(ask, Ask::Call { at: 1, .. } | Ask::Card { at: 1, .. }
                        | Ask::DialIn { at: 1, .. } | Ask::Dialled { at: 1, .. } | Ask::Typed { at: 1, .. });
                    let by = model.opens(ask).filter(|_| !waits);
                    prop_assert_eq!(told.is_ok(), by.is_some(), "step {}: {:?}: {:?}", at, ask, told);
                    let counted = by.filter(|n| KINDS[*n].uses.is_some());
                    match decision {
                        Decision::Granted(grant) => {
                            prop_assert!(by.is_some() && counted.is_none(), "step {at}: {ask:?}: {}", grant.parts().rule);
                        }
                        Decision::Held(held) => {
                            let n = counted.ok_or_else(|| TestCaseError::fail(format!("step {at}: {ask:?} held")))?;
                            let used = model.used.entry(n).or_default();
                            *used += 1;
                            prop_assert_eq!(held.to_keep(), Some(&(KINDS[n].id.parse().expect("a name"), *used)));
                            let Some(after) = kept else {
                                let decision = access.give_up(held);
                                let reason = |d: &Decision| matches!(d, Decision::Denied(d) if d.reason == Reason::UseNotKept);
                                prop_assert!(reason(&decision));
                                continue;
                            };
                            mono = mono + Duration::from_millis(*after);
                            let granted = access.release(mono, &context(&model), held).granted().is_some();
                            prop_assert_eq!(granted, *after <= 2000, "step {}", at);
                            *opened.entry(n).or_default() += u32::from(granted);
                        }
                        Decision::Denied(denied) => prop_assert!(by.is_none(), "step {at}: {ask:?}: {}", denied.reason),
                    }
                }
                Step::Clock(trusted) => model.clock = *trusted,
                Step::Credential(n, held) => {
                    model.credentials.insert(*n, held.clone());
                    access.change(change_of(*n, held));
                }
                Step::CredentialGone(n) => {
                    model.credentials.remove(n);
                    // a name is not used again; in this world it is, so its count goes with it
                    model.used.remove(n);
                    opened.remove(n);
                    access.change(Change::CredentialGone(KINDS[*n].id.parse().expect("a name")));
                }
                Step::Config(configured) => {
                    model.configured = *configured;
                    access.apply(world(*configured));
                }
                Step::Journal(ok) => model.journal = *ok,
                Step::Person(n, holder) => {
                    model.people.insert(*n, holder.clone());
                    access.change(person_of(*n, holder));
                }
                Step::PersonGone(n) => {
                    model.people.remove(n);
                    access.change(Change::PersonGone(PEOPLE[*n].parse().expect("a name")));
                }
                Step::Restart => {
                    // the records have what was acknowledged; the process has forgotten everything else
                    access = Access::new(world(model.configured));
                    let context = Context { projection_at_head: false, ..context(&model) };
                    let early = access.decide(mono, &context, request(&Ask::Card { at: 0, pin: None }, mono));
                    prop_assert!(early.granted().is_none(), "before the projection was there");
                    prop_assert!(access.decide(mono, &context, rex("front", "front-rex")).granted().is_some());
                    access.set_directory(directory(&model));
                }
                Step::Wait(seconds) => {
                    model.now += seconds;
                    mono = mono + Duration::from_secs(u64::try_from(*seconds).expect("forward"));
                }
            }
            for (n, times) in &opened {
                prop_assert!(KINDS[*n].uses.is_none_or(|uses| *times <= uses), "{} opened {times} times", KINDS[*n].id);
            }
        }
    }
}

#[test]
fn what_was_withdrawn_or_changed_while_the_disk_wrote_opens_nothing() {
    let mut model = Model {
        clock: true,
        configured: true,
        credentials: BTreeMap::new(),
        journal: true,
        now: 10 * 3600,
        people: BTreeMap::new(),
        used: BTreeMap::new(),
    };
    let always = Held {
        by_day: false,
        from: None,
        until: None,
    };
    model.credentials.insert(2, always);
    let t0 = Instant::from_nanos(1_000_000_000_000);
    let context = Context {
        wall: Some(time(model.now)),
        ..FIT
    };
    let hold = |access: &mut Access| {
        access.set_directory(directory(&model));
        match access.decide(t0, &context, keypad(t0, "front", "front-reader", "9876")) {
            Decision::Held(held) => held,
            other @ (Decision::Denied(_) | Decision::Granted(_)) => panic!("{}", other.explain()),
        }
    };
    let reason = |decision: Decision| match decision {
        Decision::Denied(denied) => Some(denied.reason),
        Decision::Granted(_) | Decision::Held(_) => None,
    };
    let mut access = burning(world(true));
    let held = hold(&mut access);
    assert_eq!(reason(access.release(t0, &context, held)), None);
    let held = hold(&mut access);
    access.change(Change::CredentialGone("c-visit".parse().expect("a name")));
    assert_eq!(reason(access.release(t0, &context, held)), Some(Reason::Blocked));
    let held = hold(&mut access);
    let newer = Context {
        generation: 8,
        ..context
    };
    assert_eq!(
        reason(access.release(t0, &newer, held)),
        Some(Reason::ConfigChanged)
    );
    let held = hold(&mut access);
    let stops = Context {
        ready: false,
        ..context
    };
    assert_eq!(reason(access.release(t0, &stops, held)), Some(Reason::NotReady));
    // whatever became of it, it was used
    let again = access.decide(t0, &context, keypad(t0, "front", "front-reader", "9876"));
    assert_eq!(reason(again), Some(Reason::UsedUp));
}

#[test]
fn who_leaves_and_who_commands_needs_no_directory() {
    let mut access = burning(world(true));
    let t0 = Instant::from_nanos(1_000_000_000_000);
    assert!(
        access
            .decide(t0, &FIT, rex("front", "front-rex"))
            .granted()
            .is_some()
    );
    let open = command("front", gateway_core::Factor::Web, "ann", true);
    assert!(access.decide(t0, &FIT, open).granted().is_some());
    assert!(card_frame(CARD).is_ok());
}

#[test]
fn a_duress_code_and_pin_are_spoken_of_as_the_ordinary_ones() {
    let held = || Held {
        by_day: false,
        from: None,
        until: None,
    };
    let model = Model {
        clock: true,
        configured: true,
        credentials: [0, 3, 7, 8].map(|n| (n, held())).into(),
        journal: true,
        now: 20 * 3600,
        people: [(
            0,
            Holder {
                blocked: false,
                groups: [true, false],
                until: None,
            },
        )]
        .into(),
        used: BTreeMap::new(),
    };
    let mut directory = directory(&model);
    let Change::Credential(mut code) = change_of(1, &held()) else {
        unreachable!("a credential");
    };
    code.uses = None;
    directory.apply(Change::Credential(code));
    let mut access = burning(world(true));
    access.set_directory(directory);
    let t0 = Instant::from_nanos(1_000_000_000_000);
    let context = Context {
        wall: Some(time(model.now)),
        ..FIT
    };
    let typed = |digits| Ask::Typed { at: 0, digits };
    let with = |digits| Ask::Card {
        at: 0,
        pin: Some(digits),
    };
    for (usual, forced) in [(typed(0), typed(6)), (with(2), with(5))] {
        let said = [&usual, &forced].map(|ask| access.explain(t0, &context, &request(ask, t0)));
        assert!(said[0].result.is_ok(), "{:?}", said[0]);
        assert_eq!(said[0], said[1]);
        assert!(access.is_pin(&card_frame(CARD).expect("a card"), "3333"));
        let found = [&usual, &forced].map(|ask| access.under_duress(&request(ask, t0)).is_some());
        assert_eq!(found, [false, true]);
    }
    // one who lost a race for the call, and one nobody vouches for, say nothing
    let front = || door("front");
    let silent = [
        called(t0, "front", CALLERS[0], "5555", true, false),
        calling(t0, "front", peer(CALLERS[0], false), "5555"),
        Request::Fire { door: front() },
    ];
    for request in &silent {
        assert_eq!(access.under_duress(request), None, "{request:?}");
    }
}

#[test]
fn a_card_that_is_read_is_shown_as_a_list_shows_it() {
    let frame = card_frame(CARD).expect("a card");
    for written in [None, Some("123,04567"), Some(CARD), Some("0008065495")] {
        let mut directory = Directory::new(key());
        let shown = written.map(|written| {
            let known = CardKey::parse(written).expect("a card");
            let Change::Credential(mut card) = change_of(
                0,
                &Held {
                    by_day: false,
                    from: None,
                    until: None,
                },
            ) else {
                unreachable!("a credential");
            };
            card.proof = Proof::Card(known.clone());
            directory.apply(Change::Credential(card));
            known.masked()
        });
        let unknown = || "***67".to_owned();
        assert_eq!(
            directory.masked(&frame),
            shown.unwrap_or_else(unknown),
            "{written:?}"
        );
    }
}
