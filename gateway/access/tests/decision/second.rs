//! The two-person rule against a model of its own: random persons, shared and counted codes, commands, time, schedules,
//! doubts about the clock, reloads, lockdowns and changes of people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::site::{FIT, command, door, input, keypad, policy, reader, rex};
use gateway_access::{
    Access, Change, CodeFrom, Context, Credential, Decision, Directory, DoorPolicy, Limits, Person, PinKey,
    Policy, Proof, Reason, RexKind, Schedule, Schedules, Validity, When,
};
use gateway_core::{Factor, Instant, OutputId, Secret, Timestamp};
use proptest::prelude::*;

/// `vault` always wants two, `day` by day, `free` never.
const DOORS: [&str; 3] = ["vault", "day", "free"];
const PEOPLE: [&str; 3] = ["ann", "bob", "carol"];
/// Codes of the three; then one of nobody, and one of ann's that is counted.
const DIGITS: [&str; 5] = ["1001", "1002", "1003", "2000", "3000"];
/// Midnight of a Monday, UTC.
const MONDAY: i64 = 1_768_176_000;
const WITHIN: u64 = 20_000;

fn world() -> Policy {
    let line = "daily 08:00-18:00".parse().expect("times");
    let day = Schedule::new(&[line], vec![], vec![]);
    let doors = DOORS.iter().map(|name| {
        let mut at = DoorPolicy::new(OutputId::new(&format!("{name}-strike")).expect("a name"));
        at.readers = [reader("pad")].into();
        at.rex = [(input("rex"), RexKind::Unlock)].into();
        at.second_within = Duration::from_millis(WITHIN);
        at.two_persons = match *name {
            "vault" => When::Always,
            "day" => When::In("day".parse().expect("a name")),
            _ => When::Never,
        };
        (door(name), at)
    });
    // a blocked person's code is a wrong try; in this world nobody is locked out for it
    let mut limits = Limits::default();
    limits.codes.free_tries = u32::MAX;
    Policy {
        doors: doors.collect(),
        limits,
        schedules: Schedules::new(
            jiff::tz::TimeZone::UTC,
            [("day".parse().expect("a name"), day)].into(),
        ),
        ..policy()
    }
}

fn person(n: usize, blocked: bool) -> Change {
    Change::Person(Person {
        blocked,
        groups: BTreeSet::new(),
        id: PEOPLE[n].parse().expect("a name"),
        valid: Validity::default(),
    })
}

fn directory() -> Directory {
    let key = PinKey::new([3; 32]);
    let codes = DIGITS.iter().enumerate().map(|(n, digits)| {
        let owner = match n {
            3 => None,
            4 => Some(0),
            n => Some(n),
        };
        Credential {
            doors: DOORS.iter().map(|name| door(name)).collect(),
            id: format!("c-{n}").parse().expect("a name"),
            person: owner.map(|n: usize| PEOPLE[n].parse().expect("a name")),
            proof: Proof::Code {
                duress: false,
                from: [CodeFrom::Keypad].into(),
                heads: key.heads(&Secret::new(*digits)),
                tag: key.code(&Secret::new(*digits)),
            },
            uses: (n == 4).then_some(100_000),
            valid: Validity::default(),
            when: When::Always,
        }
    });
    let codes: Vec<Credential> = codes.collect();
    let mut directory = Directory::new(key);
    for n in 0..PEOPLE.len() {
        directory.apply(person(n, false));
    }
    for code in codes {
        directory.apply(Change::Credential(code));
    }
    directory
}

#[derive(Clone, Debug)]
enum Step {
    Block(usize, bool),
    Clock(bool),
    Command(usize),
    Gap,
    Lockdown,
    Reload,
    Rex(usize),
    /// Which code, at which door.
    Type(usize, usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (0..5_usize, 0..3_usize).prop_map(|(code, door)| Step::Type(code, door)),
        1 => (0..3_usize, prop::bool::weighted(0.3)).prop_map(|(n, blocked)| Step::Block(n, blocked)),
        1 => any::<bool>().prop_map(Step::Clock),
        1 => (0..3_usize).prop_map(Step::Command),
        1 => Just(Step::Gap),
        1 => Just(Step::Lockdown),
        1 => Just(Step::Reload),
        2 => (0..3_usize).prop_map(Step::Rex),
        4 => prop_oneof![0..WITHIN, Just(WITHIN), 0..7_200_000_u64].prop_map(Step::Wait),
    ]
}

struct Model {
    believed: bool,
    blocked: BTreeSet<usize>,
    /// Who waits at a door, until when.
    first: BTreeMap<usize, (usize, u64)>,
    now: u64,
}

impl Model {
    fn wants_two(&self, at: usize) -> bool {
        let hour = (self.now / 3_600_000 + 7) % 24;
        match at {
            0 => true,
            1 => !self.believed || (8..18).contains(&hour),
            _ => false,
        }
    }

    /// Does this code open this door now? Remembers who was first.
    fn opens(&mut self, code: usize, at: usize) -> bool {
        let owner = match code {
            3 => None,
            4 => Some(0),
            n => Some(n),
        };
        // a code that is counted opens by no clock that is doubted
        if code == 4 && !self.believed || owner.is_some_and(|owner| self.blocked.contains(&owner)) {
            return false;
        }
        if !self.wants_two(at) {
            // whoever waited there does not any more
            self.first.remove(&at);
            return true;
        }
        let (Some(owner), true) = (owner, code < 3) else {
            return false;
        };
        match self.first.get(&at) {
            Some((who, until)) if *who != owner && self.now < *until => {
                self.first.remove(&at);
                true
            }
            Some(_) | None => {
                self.first.insert(at, (owner, self.now + WITHIN));
                false
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_persons_open_what_the_model_allows(steps in prop::collection::vec(step(), 1..80)) {
        let mut access = Access::new(world());
        access.set_directory(directory());
        let mut model = Model { believed: true, blocked: BTreeSet::new(), first: BTreeMap::new(), now: 0 };
        for (n, step) in steps.iter().enumerate() {
            let mono = Instant::from_nanos(1_000_000_000_000) + Duration::from_millis(model.now);
            let seconds = MONDAY + 7 * 3600 + i64::try_from(model.now / 1000).expect("some days");
            let wall = model.believed.then(|| Timestamp::from_second(seconds).expect("a date"));
            let context = Context { wall, ..FIT };
            match step {
                Step::Block(who, blocked) => {
                    if *blocked { model.blocked.insert(*who); } else { model.blocked.remove(who); }
                    model.first.clear();
                    access.change(person(*who, *blocked));
                }
                Step::Clock(believed) => model.believed = *believed,
                Step::Command(at) => {
                    let decision = access.decide(mono, &context, command(DOORS[*at], Factor::Api, "ann", true));
                    let alone = !model.wants_two(*at);
                    if alone { model.first.remove(at); }
                    prop_assert_eq!(decision.granted().is_some(), alone, "step {}: {:?}", n, step);
                }
                Step::Gap => {
                    model.first.clear();
                    access.forget_firsts();
                }
                Step::Lockdown => {
                    model.first.clear();
                    access.set_lockdown(None, true);
                    let decision = access.decide(mono, &context, keypad(mono, "vault", "pad", DIGITS[0]));
                    prop_assert!(decision.granted().is_none());
                    access.set_lockdown(None, false);
                }
                Step::Reload => {
                    model.first.clear();
                    access.apply(world());
                }
                Step::Rex(at) => {
                    let exit = access.decide(mono, &context, rex(DOORS[*at], "rex"));
                    prop_assert!(exit.granted().is_some(), "step {}: kept in at {}", n, DOORS[*at]);
                }
                Step::Type(code, at) => {
                    let request = keypad(mono, DOORS[*at], "pad", DIGITS[*code]);
                    let told = access.explain(mono, &context, &request).result.is_ok();
                    let decision = access.decide(mono, &context, request);
                    let opens = model.opens(*code, *at);
                    prop_assert_eq!(told, opens, "step {}: {:?}", n, step);
                    match decision {
                        Decision::Granted(grant) => {
                            prop_assert!(opens && *code != 4, "step {n}: {step:?}: {}", grant.parts().rule);
                        }
                        Decision::Held(held) => {
                            prop_assert!(opens && *code == 4, "step {n}: {step:?}");
                            prop_assert!(access.release(mono, &context, held).granted().is_some());
                        }
                        Decision::Denied(denied) => {
                            prop_assert!(!opens, "step {n}: {step:?}: {}", denied.reason);
                            let awaited = matches!(denied.reason, Reason::SecondAwaited { .. });
                            prop_assert!(!awaited || *code < 3);
                        }
                    }
                }
                Step::Wait(ms) => model.now += ms,
            }
        }
    }
}

#[test]
fn the_second_person_is_told_with_the_first() {
    let mut access = Access::new(world());
    access.set_directory(directory());
    let t0 = Instant::from_nanos(1_000_000_000_000);
    let first = access.decide(t0, &FIT, keypad(t0, "vault", "pad", DIGITS[0]));
    assert_eq!(first.explain(), "two persons: another one is awaited for 20 s");
    let same = access.decide(t0, &FIT, keypad(t0, "vault", "pad", DIGITS[0]));
    assert_eq!(same.explain(), "two persons: another one is awaited for 20 s");
    let shared = access.decide(t0, &FIT, keypad(t0, "vault", "pad", DIGITS[3]));
    assert!(
        shared
            .explain()
            .starts_with("two persons: only credentials of persons")
    );
    let second = access.decide(t0, &FIT, keypad(t0, "vault", "pad", DIGITS[1]));
    assert_eq!(
        second.explain(),
        "code c-1 at keypad pad, second after person ann"
    );
}
