//! Anti-passback against a model of its own: random persons at readers that lead into and out of areas, time, doubts about
//! the clock, uses that are kept or given up, resets, reloads and restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::site::{FIT, door, input, keypad, policy, reader, rex};
use gateway_access::{
    Access, Area, Change, CodeFrom, Context, Credential, Decision, Directory, DoorPolicy, Held, Limits,
    Passback, Person, PinKey, Place, Policy, Proof, ReaderPolicy, Reason, RexKind, Validity, When,
};
use gateway_core::{Instant, OutputId, Secret, Subject, Timestamp};
use proptest::prelude::*;

/// Reader, leads into, leads out of; all at the door `front`.
const READERS: [(&str, Option<usize>, Option<usize>); 6] = [
    ("house-in", Some(0), None),
    ("house-out", None, Some(0)),
    ("lab-in", Some(1), Some(0)),
    ("lab-out", Some(0), Some(1)),
    ("club-in", Some(2), None),
    ("plain", None, None),
];
/// `house` and `lab` are hard, `club` is soft.
const AREAS: [(&str, Passback); 3] = [
    ("house", Passback::Hard),
    ("lab", Passback::Hard),
    ("club", Passback::Soft),
];
/// Codes of ann and bob, one of nobody, and one of ann's that is counted.
const DIGITS: [&str; 4] = ["1001", "1002", "2000", "3000"];
const PEOPLE: [&str; 2] = ["ann", "bob"];
const TIME_OUT: u64 = 3_600;
const BEGIN: i64 = 1_768_176_000;

fn world() -> Policy {
    let mut front = DoorPolicy::new(OutputId::new("front-strike").expect("a name"));
    front.rex = [(input("rex"), RexKind::Unlock)].into();
    front.readers = READERS.iter().map(|(name, ..)| reader(name)).collect();
    let area = |n: usize| AREAS[n].0.parse().expect("a name");
    let readers = READERS.iter().map(|(name, into, out_of)| {
        let policy = ReaderPolicy {
            card_alone: When::Always,
            into: into.map(area),
            out_of: out_of.map(area),
        };
        (reader(name), policy)
    });
    let areas = AREAS.iter().map(|(name, passback)| {
        let area = Area {
            passback: *passback,
            time_out: Duration::from_secs(TIME_OUT),
        };
        (name.parse().expect("a name"), area)
    });
    let mut limits = Limits::default();
    limits.codes.free_tries = u32::MAX;
    Policy {
        areas: areas.collect(),
        doors: [(door("front"), front)].into(),
        limits,
        readers: readers.collect(),
        ..policy()
    }
}

fn directory() -> Directory {
    let key = PinKey::new([3; 32]);
    let owners = [Some(0), Some(1), None, Some(0)];
    let codes = DIGITS
        .iter()
        .zip(owners)
        .enumerate()
        .map(|(n, (digits, owner))| Credential {
            doors: [door("front")].into(),
            id: format!("c-{n}").parse().expect("a name"),
            person: owner.map(|n: usize| PEOPLE[n].parse().expect("a name")),
            proof: Proof::Code {
                duress: false,
                from: [CodeFrom::Keypad].into(),
                heads: key.heads(&Secret::new(*digits)),
                tag: key.code(&Secret::new(*digits)),
            },
            uses: (n == 3).then_some(100_000),
            valid: Validity::default(),
            when: When::Always,
        });
    let codes: Vec<Credential> = codes.collect();
    let mut directory = Directory::new(key);
    for name in PEOPLE {
        directory.apply(Change::Person(Person {
            blocked: false,
            groups: BTreeSet::new(),
            id: name.parse().expect("a name"),
            valid: Validity::default(),
        }));
    }
    for code in codes {
        directory.apply(Change::Credential(code));
    }
    directory
}

#[derive(Clone, Copy, Debug)]
enum Use {
    GivenUp,
    Kept,
    /// What waits for the medium waits while other things happen, one at a time.
    Waits,
}

/// Somebody whose coming in is being written down.
struct Pending {
    at: usize,
    before: Option<(usize, Option<u64>)>,
    held: Held,
    /// Did they go another way meanwhile?
    moved: bool,
    who: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Clock(bool),
    Journal(bool),
    Reload,
    /// Of a person, or of everybody.
    Reset(Option<usize>),
    Restart,
    Rex,
    /// What waits for the medium waits no longer: it was kept, or not.
    Settle(bool),
    /// Which code, at which reader, and what becomes of its use.
    Type(usize, usize, Use),
    Wait(u64),
}

fn used() -> impl Strategy<Value = Use> {
    prop_oneof![1 => Just(Use::GivenUp), 3 => Just(Use::Kept), 2 => Just(Use::Waits)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (0..DIGITS.len(), 0..READERS.len(), used()).prop_map(|(code, at, used)| Step::Type(code, at, used)),
        3 => prop::bool::weighted(0.8).prop_map(Step::Settle),
        1 => any::<bool>().prop_map(Step::Clock),
        1 => prop::bool::weighted(0.7).prop_map(Step::Journal),
        1 => Just(Step::Reload),
        1 => prop::option::of(0..2_usize).prop_map(Step::Reset),
        2 => Just(Step::Restart),
        1 => Just(Step::Rex),
        3 => prop_oneof![0..TIME_OUT, Just(TIME_OUT)].prop_map(Step::Wait),
    ]
}

/// Who is where, and since when, if the clock was believed then. Who: 0 and 1 are persons, 2 is the code of nobody.
type Inside = BTreeMap<usize, (usize, Option<u64>)>;

struct Model {
    believed: bool,
    inside: Inside,
    journal: bool,
    now: u64,
}

impl Model {
    fn is_in(&self, who: usize, area: usize) -> bool {
        match self.inside.get(&who) {
            Some((at, since)) if *at == area => match since {
                Some(since) if self.believed => self.now - since < TIME_OUT,
                Some(_) | None => true,
            },
            Some(_) | None => false,
        }
    }

    /// Lets the code in at the reader, or not; `None` is a refusal, else true if it waits for the medium.
    fn lets_in(&mut self, code: usize, at: usize) -> Option<bool> {
        let (_, into, out_of) = READERS[at];
        let who = if code == 3 { 0 } else { code };
        let counted = code == 3;
        if counted && !(self.journal && self.believed) {
            return None;
        }
        let mut waits = counted;
        if let Some(area) = into {
            let hard = area < 2;
            if hard && (self.is_in(who, area) || !self.journal) {
                return None;
            }
            waits |= hard;
            self.inside.insert(who, (area, self.believed.then_some(self.now)));
        } else if out_of.is_some() {
            self.inside.remove(&who);
        }
        Some(waits)
    }
}

fn leads(at: usize) -> bool {
    let (_, into, out_of) = READERS[at];
    into.is_some() || out_of.is_some()
}

/// Somebody was let through a reader: whatever of theirs is still being written down is overtaken, if it leads anywhere.
fn moves(pending: &mut Option<Pending>, who: usize, at: usize) {
    if let Some(pending) = pending.as_mut().filter(|pending| pending.who == who) {
        pending.moved |= leads(pending.at) && leads(at);
    }
}

fn subject(who: usize) -> Subject {
    match PEOPLE.get(who) {
        Some(name) => Subject::Person(name.parse().expect("a name")),
        None => Subject::Credential("c-2".parse().expect("a name")),
    }
}

/// What the records have, from what was to be kept.
fn write(records: &mut BTreeMap<Subject, Place>, places: Vec<Place>) {
    for place in places {
        if place.area.is_some() {
            records.insert(place.who.clone(), place);
        } else {
            records.remove(&place.who);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_is_inside_comes_in_again_as_the_model_says(steps in prop::collection::vec(step(), 1..80)) {
        let mut access = Access::new(world());
        access.set_directory(directory());
        let mut records: BTreeMap<Subject, Place> = BTreeMap::new();
        let mut model = Model { believed: true, inside: Inside::new(), journal: true, now: 0 };
        let mut pending: Option<Pending> = None;
        for (n, step) in steps.iter().enumerate() {
            let mono = Instant::from_nanos(1_000_000_000_000) + Duration::from_secs(model.now);
            let seconds = BEGIN + i64::try_from(model.now).expect("some days");
            let wall = model.believed.then(|| Timestamp::from_second(seconds).expect("a date"));
            let context = Context { journal_ok: model.journal, wall, ..FIT };
            match step {
                Step::Clock(believed) => model.believed = *believed,
                Step::Journal(ok) => model.journal = *ok,
                Step::Reload => access.apply(world()),
                Step::Reset(who) => {
                    let person = who.map(|n| PEOPLE[n].parse().expect("a name"));
                    access.reset_places(person.as_ref());
                    if let Some(pending) = &mut pending {
                        let of_them = leads(pending.at) && who.is_none_or(|who| who == pending.who);
                        pending.moved |= of_them && model.inside.contains_key(&pending.who);
                    }
                    match who {
                        Some(who) => {
                            model.inside.remove(who);
                        }
                        None => model.inside.clear(),
                    }
                }
                Step::Restart => {
                    access = Access::new(world());
                    access.set_directory(directory());
                    access.restore_places(records.values().cloned());
                    pending = None;
                }
                Step::Rex => {
                    let exit = access.decide(mono, &context, rex("front", "rex"));
                    prop_assert!(exit.granted().is_some(), "step {}: kept in", n);
                }
                Step::Settle(kept) => if let Some(Pending { at, before, held, moved, who }) = pending.take() {
                    let decided = if *kept { access.release(mono, &context, held) } else { access.give_up(held) };
                    let opened = decided.granted().is_some();
                    prop_assert!(!opened || (*kept && !moved), "step {}: who went another way came in", n);
                    if !opened && !moved && leads(at) {
                        match before {
                            Some(place) => model.inside.insert(who, place),
                            None => model.inside.remove(&who),
                        };
                    }
                },
                Step::Type(code, at, becomes) => {
                    let who = if *code == 3 { 0 } else { *code };
                    let request = keypad(mono, "front", READERS[*at].0, DIGITS[*code]);
                    let told = access.explain(mono, &context, &request).result.is_ok();
                    let again = READERS[*at].1 == Some(2) && model.is_in(who, 2);
                    let before = model.inside.clone();
                    let expected = model.lets_in(*code, *at);
                    prop_assert_eq!(told, expected.is_some(), "step {}: {:?}", n, step);
                    match access.decide(mono, &context, request) {
                        Decision::Granted(grant) => {
                            prop_assert_eq!(expected, Some(false), "step {}: {:?}: {}", n, step, grant.parts().rule);
                            if matches!(becomes, Use::GivenUp) {
                                // the door did not take it
                                access.take_back();
                                model.inside = before;
                            } else {
                                moves(&mut pending, who, *at);
                            }
                        }
                        Decision::Held(held) => {
                            prop_assert_eq!(expected, Some(true), "step {}: {:?}", n, step);
                            match becomes {
                                Use::Waits if pending.is_none() => {
                                    let before = before.get(&who).copied();
                                    pending = Some(Pending { at: *at, before, held, moved: false, who });
                                }
                                Use::Kept | Use::Waits => {
                                    prop_assert!(access.release(mono, &context, held).granted().is_some());
                                    moves(&mut pending, who, *at);
                                }
                                Use::GivenUp => {
                                    prop_assert!(access.give_up(held).granted().is_none());
                                    model.inside = before;
                                }
                            }
                        }
                        Decision::Denied(denied) => {
                            prop_assert_eq!(expected, None, "step {}: {:?}: {}", n, step, denied.reason);
                            let named = matches!(
                                denied.reason,
                                Reason::ClockUntrusted { .. } | Reason::JournalFault | Reason::Passback { .. }
                            );
                            prop_assert!(named, "{}", denied.reason);
                        }
                    }
                    let passed = access.take_passed();
                    prop_assert_eq!(!passed.is_empty(), again && expected.is_some(), "step {}: {:?}", n, passed);
                }
                Step::Wait(seconds) => model.now += seconds,
            }
            write(&mut records, access.take_places());
            let inside: BTreeMap<Subject, String> = model.inside.iter()
                .map(|(who, (area, _))| (subject(*who), AREAS[*area].0.to_owned()))
                .collect();
            let kept: BTreeMap<Subject, String> = records.iter()
                .filter_map(|(who, place)| Some((who.clone(), place.area.as_ref()?.to_string())))
                .collect();
            prop_assert_eq!(kept, inside, "step {}: {:?}", n, step);
        }
    }
}
