//! The decision with 100 and with 100 000 credentials of people, and 1 000 schedules:
//! `cargo bench -p gateway-access --bench people`. Beside criterion's figures it prints p50 and p99 of single decisions, and
//! how many times as long they take with the greater number of credentials: flat is about 1.
//! `cargo bench -p gateway-access --bench people -- --test` prints these alone, in some seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Instant as Clock;

use criterion::{BatchSize, Criterion};
use gateway_access::{
    Access, CardKey, Change, CodeFrom, Context, Credential, Decision, Directory, DoorPolicy, Group, Person,
    PinKey, Policy, Proof, Request, Schedule, Schedules, Validity, When, card_frame,
};
use gateway_core::{DoorId, Instant, OutputId, ReaderId, ScheduleId, Secret};

const T0: Instant = Instant::from_nanos(3_000_000_000_000);
const SCHEDULES: u32 = 1000;
/// Single decisions that are timed for the percentiles.
const TIMED: u32 = 20_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut few: Option<Vec<Times>> = None;
    // everybody has two: a card and a code
    for people in [50_u32, 50_000] {
        let mut access = house(people);
        let times = percentiles(&mut access, people);
        match &few {
            Some(few) => ratios(few, &times),
            None => few = Some(times),
        }
        let mut group = criterion.benchmark_group(format!("decide-{}-credentials", 2 * people));
        let mut n = 0;
        group.bench_function("card-granted", |b| {
            b.iter_batched(
                || {
                    n = (n + 7919) % people;
                    card(n)
                },
                |request| granted(access.decide(T0, &context(), request)),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("code-granted", |b| {
            b.iter_batched(
                || {
                    n = (n + 7919) % people;
                    code(n)
                },
                |request| granted(access.decide(T0, &context(), request)),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
    criterion.final_summary();
}

/// What single decisions took, ns.
struct Times {
    p50: u128,
    p99: u128,
    what: &'static str,
}

fn say(line: &str) {
    std::io::stdout().write_all(line.as_bytes()).expect("written");
}

/// How many times as long decisions take among many.
fn ratios(few: &[Times], many: &[Times]) {
    for (few, many) in few.iter().zip(many) {
        let times = |few: u128, many: u128| {
            let hundredths = (many * 100).div_ceil(few.max(1));
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        };
        let (p50, p99) = (times(few.p50, many.p50), times(few.p99, many.p99));
        say(&format!(
            "100000 credentials against 100, {}: p50 {p50} times, p99 {p99} times\n",
            few.what
        ));
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn percentiles(access: &mut Access, people: u32) -> Vec<Times> {
    let mut all = Vec::new();
    for (what, request) in [("card", card as fn(u32) -> Request), ("code", code)] {
        let mut times: Vec<u128> = (0..TIMED)
            .map(|n| {
                let request = request(n.wrapping_mul(7919) % people);
                let begin = Clock::now();
                let decision = access.decide(T0, &context(), request);
                let time = begin.elapsed().as_nanos();
                let _ = granted(decision);
                time
            })
            .collect();
        times.sort_unstable();
        let at = |part: usize| times[times.len() * part / 100];
        let (p50, p99) = (at(50), at(99));
        let credentials = 2 * people;
        say(&format!(
            "{credentials} credentials, {SCHEDULES} schedules, {what}: p50 {p50} ns, p99 {p99} ns\n"
        ));
        all.push(Times { p50, p99, what });
    }
    all
}

fn context() -> Context {
    Context {
        generation: 7,
        journal_ok: true,
        projection_at_head: true,
        ready: true,
        // a Monday at noon
        wall: Some("2026-01-12T12:00:00Z".parse().expect("a time")),
    }
}

/// A refusal is another path: it must not be measured for this one.
fn granted(decision: Decision) -> Decision {
    assert!(matches!(decision, Decision::Granted(_)), "{}", decision.explain());
    decision
}

fn door() -> DoorId {
    DoorId::new("front").expect("a name")
}

fn reader() -> ReaderId {
    ReaderId::new("front-reader").expect("a name")
}

fn card(n: u32) -> Request {
    Request::Card {
        at: T0,
        door: door(),
        frame: card_frame(&format!("26:{},{:05}", n >> 16, n & 0xffff)).expect("a card"),
        pin: None,
        reader: reader(),
    }
}

fn code(n: u32) -> Request {
    Request::KeypadCode {
        at: T0,
        digits: Secret::new(format!("{n:08}")),
        door: door(),
        reader: reader(),
    }
}

/// Everybody has a card and a code, and is in a group of one of the schedules.
fn house(people: u32) -> Access {
    let day = Schedule::new(&["mon-fri 08:00-18:00".parse().expect("times")], vec![], vec![]);
    let schedule = |n: u32| ScheduleId::new(&format!("s{n}")).expect("a name");
    let by_id: BTreeMap<_, _> = (0..SCHEDULES).map(|n| (schedule(n), day.clone())).collect();
    let zone = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule");
    let group = |n: u32| Group {
        escort: None,
        doors: BTreeSet::from([door()]),
        when: When::In(schedule(n)),
        open_for: None,
    };
    let mut front = DoorPolicy::new(OutputId::new("front-strike").expect("a name"));
    front.readers = [reader()].into();
    let mut access = Access::new(Policy {
        doors: [(door(), front)].into(),
        groups: (0..SCHEDULES)
            .map(|n| (format!("g{n}").parse().expect("a name"), group(n)))
            .collect(),
        schedules: Schedules::new(zone, by_id),
        ..Policy::default()
    });
    let key = PinKey::new([42; 32]);
    let mut directory = Directory::new(key.clone());
    for n in 0..people {
        let person: gateway_core::PersonId = format!("p{n}").parse().expect("a name");
        directory.apply(Change::Person(Person {
            blocked: false,
            groups: BTreeSet::from([format!("g{}", n % SCHEDULES).parse().expect("a name")]),
            id: person.clone(),
            valid: Validity::default(),
        }));
        let proofs = [
            Proof::Card(CardKey::parse(&format!("{},{:05}", n >> 16, n & 0xffff)).expect("a card")),
            Proof::Code {
                duress: false,
                from: BTreeSet::from([CodeFrom::Keypad]),
                heads: key.heads(&Secret::new(format!("{n:08}"))),
                tag: key.code(&Secret::new(format!("{n:08}"))),
            },
        ];
        for (which, proof) in proofs.into_iter().enumerate() {
            directory.apply(Change::Credential(Credential {
                doors: BTreeSet::new(),
                id: format!("c{which}-{n}").parse().expect("a name"),
                person: Some(person.clone()),
                proof,
                uses: None,
                valid: Validity::default(),
                when: When::Always,
            }));
        }
    }
    access.set_directory(directory);
    access
}
