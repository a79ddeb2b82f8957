//! Who came in: the first of the day and hosts, against a model of its own. Random persons with cards of the records and
//! counted codes, a reader that leads out, commands, time over days, doubts about the clock, reloads, lockdowns, gaps and
//! changes of people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::site::{FIT, command, door, input, keypad, policy, reader, rex};
use gateway_access::{
    Access, Area, Change, CodeFrom, Context, Credential, Decision, Directory, DoorPolicy, Escort, Group,
    HoldBy, HoldPolicy, OnJournalFault, Passback, Person, PinKey, Policy, Proof, ReaderPolicy, Reason,
    Request, RexKind, Schedule, Schedules, Validity, When,
};
use gateway_core::{Factor, Instant, OutputId, Secret, Timestamp};
use proptest::prelude::*;

/// `shop` is held open by day after the first of the staff; `lab` is an area with hard anti-passback.
const DOORS: [&str; 2] = ["shop", "lab"];
/// Two of the staff, a visitor, a trainee who is a visitor and of the staff, and somebody who may open by himself.
const PEOPLE: [&str; 5] = ["ann", "bob", "vic", "tom", "guy"];
const GROUPS: [&[&str]; 5] = [&["staff"], &["staff"], &["visitors"], &["visitors", "staff"], &[]];
const DIGITS: [&str; 5] = ["1001", "1002", "1003", "1004", "1005"];
/// Midnight of a Monday, UTC.
const MONDAY: i64 = 1_768_176_000;
const WITHIN: u64 = 30_000;
const DAY: u64 = 24 * 3_600_000;

fn world() -> Policy {
    let line = "daily 08:00-18:00".parse().expect("times");
    let day = Schedule::new(&[line], vec![], vec![]);
    let doors = DOORS.iter().map(|name| {
        let mut at = DoorPolicy::new(OutputId::new(&format!("{name}-strike")).expect("a name"));
        at.readers = [reader("in"), reader("out"), reader("lab-in")].into();
        at.rex = [(input("rex"), RexKind::Unlock)].into();
        at.on_journal_fault = OnJournalFault::Refuse;
        if *name == "shop" {
            at.hold = HoldPolicy {
                after: Some("staff".parse().expect("a name")),
                limit: None,
                when: When::In("day".parse().expect("a name")),
            };
        }
        (door(name), at)
    });
    let group = |escort| Group {
        doors: DOORS.iter().map(|name| door(name)).collect(),
        escort,
        open_for: None,
        when: When::Always,
    };
    let escort = Escort {
        by: "staff".parse().expect("a name"),
        within: Duration::from_millis(WITHIN),
    };
    let lab = Area {
        passback: Passback::Hard,
        time_out: Duration::from_millis(1),
    };
    let leads = |into: Option<&str>, out_of: Option<&str>| ReaderPolicy {
        into: into.map(|area| area.parse().expect("a name")),
        out_of: out_of.map(|area| area.parse().expect("a name")),
        ..ReaderPolicy::default()
    };
    let mut world = Policy {
        areas: [("lab".parse().expect("a name"), lab)].into(),
        doors: doors.collect(),
        groups: [
            ("staff".parse().expect("a name"), group(None)),
            ("visitors".parse().expect("a name"), group(Some(escort))),
        ]
        .into(),
        readers: [
            (reader("in"), leads(None, None)),
            (reader("out"), leads(None, Some("lab"))),
            (reader("lab-in"), leads(Some("lab"), None)),
        ]
        .into(),
        schedules: Schedules::new(
            jiff::tz::TimeZone::UTC,
            [("day".parse().expect("a name"), day)].into(),
        ),
        ..policy()
    };
    // a blocked person's code is a wrong try; in this world nobody is locked out for it
    world.limits.codes.free_tries = u32::MAX;
    world
}

fn person(n: usize, blocked: bool) -> Change {
    Change::Person(Person {
        blocked,
        groups: GROUPS[n]
            .iter()
            .map(|name| name.parse().expect("a name"))
            .collect(),
        id: PEOPLE[n].parse().expect("a name"),
        valid: Validity::default(),
    })
}

fn directory() -> Directory {
    let key = PinKey::new([3; 32]);
    let mut directory = Directory::new(key.clone());
    for (n, digits) in DIGITS.iter().enumerate() {
        directory.apply(person(n, false));
        let own = DOORS.iter().map(|name| door(name));
        directory.apply(Change::Credential(Credential {
            doors: own.filter(|_| GROUPS[n].is_empty()).collect(),
            id: format!("c-{n}").parse().expect("a name"),
            person: Some(PEOPLE[n].parse().expect("a name")),
            proof: Proof::Code {
                duress: false,
                from: [CodeFrom::Keypad].into(),
                heads: key.heads(&Secret::new(*digits)),
                tag: key.code(&Secret::new(*digits)),
            },
            uses: None,
            valid: Validity::default(),
            when: When::Always,
        }));
    }
    directory
}

#[derive(Clone, Debug)]
enum Step {
    Block(usize, bool),
    Clock(bool),
    Command(usize),
    Gap,
    Hold,
    Lockdown(bool),
    Reload,
    Restart,
    Rex(usize),
    TakeBack,
    /// Whose code, at which door, at which of its readers.
    Type(usize, usize, usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (0..5_usize, 0..2_usize, 0..3_usize).prop_map(|(who, at, by)| Step::Type(who, at, by)),
        1 => (0..5_usize, prop::bool::weighted(0.3)).prop_map(|(n, blocked)| Step::Block(n, blocked)),
        1 => any::<bool>().prop_map(Step::Clock),
        1 => (0..2_usize).prop_map(Step::Command),
        1 => Just(Step::Gap),
        8 => Just(Step::Hold),
        1 => any::<bool>().prop_map(Step::Lockdown),
        1 => Just(Step::Reload),
        1 => Just(Step::Restart),
        2 => (0..2_usize).prop_map(Step::Rex),
        2 => Just(Step::TakeBack),
        5 => prop_oneof![0..WITHIN, Just(WITHIN), 0..7_200_000_u64, 0..DAY].prop_map(Step::Wait),
    ]
}

/// Those of the staff who came in at the shop on a day.
type First = (BTreeSet<usize>, u64);
/// Who came in, at which door and when.
type Came = (usize, usize, u64);
/// Both of them.
type Arrived = (Option<First>, Vec<Came>);

struct Model {
    believed: bool,
    blocked: BTreeSet<usize>,
    /// Those of the staff who came in at the shop, on the last day on which anybody of them did.
    first: Option<First>,
    /// Everybody who came in, at which door and when.
    came: Vec<Came>,
    /// What the last step did to it.
    undo: Option<Arrived>,
    now: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            believed: true,
            blocked: BTreeSet::new(),
            first: None,
            came: Vec::new(),
            undo: None,
            now: 0,
        }
    }

    fn day(&self) -> u64 {
        (self.now + 7 * 3_600_000) / DAY
    }

    fn is_staff(&self, who: usize) -> bool {
        GROUPS[who].contains(&"staff") && !self.blocked.contains(&who)
    }

    fn is_held(&self) -> bool {
        let hour = (self.now / 3_600_000 + 7) % 24;
        let here = self.first.as_ref();
        let here =
            here.is_some_and(|(came, day)| *day == self.day() && came.iter().any(|who| self.is_staff(*who)));
        self.believed && (8..18).contains(&hour) && here
    }

    fn is_let_in(&self, who: usize, at: usize) -> bool {
        let by_host = |(host, door, when): &(usize, usize, u64)| {
            *door == at && *host != who && self.is_staff(*host) && self.now - when <= WITHIN
        };
        let alone = GROUPS[who].is_empty() || GROUPS[who].contains(&"staff");
        !self.blocked.contains(&who) && (alone || self.came.iter().any(by_host))
    }

    fn comes_in(&mut self, who: usize, at: usize) {
        self.undo = Some((self.first.clone(), self.came.clone()));
        // so many are remembered at a door
        if self.came.iter().filter(|(_, door, _)| *door == at).count() == 16 {
            let oldest = self.came.iter().position(|(_, door, _)| *door == at);
            self.came.remove(oldest.expect("one of them"));
        }
        self.came.push((who, at, self.now));
        if at == 0 && self.believed && self.is_staff(who) {
            let today = self.day();
            let came = self.first.take().filter(|(_, day)| *day == today);
            let mut came = came.map(|(came, _)| came).unwrap_or_default();
            came.insert(who);
            self.first = Some((came, today));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hosts_and_the_first_of_the_day_are_those_of_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut access = Access::new(world());
        access.set_directory(directory());
        let mut model = Model::new();
        for (n, step) in steps.iter().enumerate() {
            let mono = Instant::from_nanos(1_000_000_000_000) + Duration::from_millis(model.now);
            let seconds = MONDAY + 7 * 3600 + i64::try_from(model.now / 1000).expect("some days");
            let wall = model.believed.then(|| Timestamp::from_second(seconds).expect("a date"));
            let context = Context { wall, ..FIT };
            let locked = access.lockdown_of(&door("shop")).is_some();
            match step {
                Step::Block(who, blocked) => {
                    if *blocked { model.blocked.insert(*who); } else { model.blocked.remove(who); }
                    model.came.clear();
                    access.change(person(*who, *blocked));
                }
                Step::Clock(believed) => model.believed = *believed,
                Step::Command(at) => {
                    let decision = access.decide(mono, &context, command(DOORS[*at], Factor::Api, "ann", true));
                    prop_assert_eq!(decision.granted().is_some(), !locked, "step {}: {:?}", n, step);
                    if !locked { model.undo = None; }
                }
                Step::Gap => {
                    model.came.clear();
                    access.forget_firsts();
                }
                Step::Hold => {
                    let request = Request::Hold { by: HoldBy::Schedule, door: door("shop"), time: Duration::from_secs(60) };
                    let told = access.explain(mono, &context, &request).result;
                    let held = access.decide(mono, &context, request).granted().is_some();
                    prop_assert_eq!(told.is_ok(), held);
                    prop_assert_eq!(held, model.is_held() && !locked, "step {}: {:?}", n, told);
                    if held { model.undo = None; }
                }
                Step::Lockdown(begin) => {
                    access.set_lockdown(None, *begin);
                    model.came.clear();
                    if *begin { model.first = None; }
                    model.undo = None;
                    // a Grant of before is not taken back after this
                    let _ = access.decide(mono, &context, rex("shop", "rex"));
                }
                Step::Reload => {
                    model.came.clear();
                    access.apply(world());
                }
                Step::Restart => {
                    access = Access::new(world());
                    let mut directory = directory();
                    for who in &model.blocked { directory.apply(person(*who, true)); }
                    access.set_directory(directory);
                    (model.came, model.first, model.undo) = (Vec::new(), None, None);
                }
                Step::Rex(at) => {
                    let exit = access.decide(mono, &context, rex(DOORS[*at], "rex"));
                    prop_assert!(exit.granted().is_some(), "step {}: kept in at {}", n, DOORS[*at]);
                    model.undo = None;
                }
                Step::TakeBack => {
                    access.take_back();
                    if let Some((first, came)) = model.undo.take() {
                        model.first = first;
                        if !model.came.is_empty() { model.came = came; }
                    }
                }
                Step::Type(who, at, by) => {
                    let at_reader = ["in", "out", "lab-in"][*by];
                    let request = keypad(mono, DOORS[*at], at_reader, DIGITS[*who]);
                    // who leaves needs nobody
                    let leaves = *by == 1 && !model.blocked.contains(who);
                    let opens = (leaves || model.is_let_in(*who, *at)) && !locked;
                    let told = access.explain(mono, &context, &request).result;
                    match access.decide(mono, &context, request) {
                        Decision::Granted(grant) => {
                            prop_assert!(opens && *by != 2, "step {n}: {step:?}: {}", grant.parts().rule);
                        }
                        Decision::Held(held) => {
                            prop_assert!(opens && *by == 2, "step {n}: {step:?}");
                            prop_assert!(access.release(mono, &context, held).granted().is_some());
                        }
                        Decision::Denied(denied) => {
                            let inside = matches!(denied.reason, Reason::Passback { .. });
                            prop_assert!(!opens || inside && *by == 2, "step {n}: {step:?}: {}", denied.reason);
                            prop_assert!(told.is_err());
                            continue;
                        }
                    }
                    prop_assert!(told.is_ok(), "step {}: {:?}", n, told);
                    if *by == 1 {
                        // whoever is out brings nobody in
                        model.came.retain(|(host, ..)| host != who);
                        model.undo = None;
                    } else {
                        model.comes_in(*who, *at);
                    }
                }
                Step::Wait(ms) => model.now += ms,
            }
        }
    }
}

#[test]
fn refusals_say_who_is_awaited() {
    let mut access = Access::new(world());
    access.set_directory(directory());
    let t0 = Instant::from_nanos(1_000_000_000_000);
    let at = |hour: i64| Context {
        wall: Some(Timestamp::from_second(MONDAY + hour * 3600).expect("a date")),
        ..FIT
    };
    let said = access.decide(t0, &at(9), keypad(t0, "shop", "in", DIGITS[2]));
    assert_eq!(
        said.explain(),
        "escort: somebody else of group staff has to come in first, at most 30 s before"
    );
    let hold = || Request::Hold {
        by: HoldBy::Schedule,
        door: door("shop"),
        time: Duration::from_secs(60),
    };
    let said = access.decide(t0, &at(9), hold());
    assert_eq!(
        said.explain(),
        "first person in: nobody of group staff came in today"
    );
    // before the schedule begins counts, too; who is no more of the staff does not
    let came = access.decide(t0, &at(6), keypad(t0, "shop", "in", DIGITS[0]));
    assert!(came.granted().is_some());
    let said = access.decide(t0, &at(9), hold());
    assert_eq!(said.explain(), "schedule day holds the door open");
    access.change(person(0, true));
    assert!(access.decide(t0, &at(9), hold()).granted().is_none());
    let by: BTreeMap<_, _> = access.rights();
    let words: Vec<&String> = by
        .values()
        .filter(|words| words.contains("group staff"))
        .collect();
    assert!(words.len() > 1, "{by:?}");
}
