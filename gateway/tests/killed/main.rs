//! What a gateway has acknowledged outlives it, at whatever moment it is killed: credentials, withdrawals, used codes,
//! who is where, lockdowns and alarms; and its journal verifies.

mod house;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use house::{House, KEYPADS};
use serde_json::{Value, json};
use work::{Changes, Moment, people, types, walks};

/// How often it is killed.
const ROUNDS: usize = 12;
/// Codes of visitors that open once, for each round.
const CODES: usize = 2;
/// People who go into the laboratory and out again.
const WALKERS: usize = 3;

/// An opening of the laboratory.
#[derive(Debug)]
struct Walk {
    /// Which of the gateway's lives, from 0.
    life: usize,
    who: String,
    into: bool,
}

/// Openings of the laboratory, in their order.
fn walked(records: &[Value]) -> Vec<Walk> {
    let mut lives = 0_usize;
    let mut walked = Vec::new();
    for record in records {
        if record["kind"] == "gateway.started" {
            lives += 1;
        }
        if record["kind"] == "door.granted" && record["source"] == "lab" {
            let rule = record["rule"].as_str().expect("a rule");
            let who = record["subject"].as_str().expect("somebody");
            walked.push(Walk {
                life: lives.checked_sub(1).expect("it started"),
                who: who.to_owned(),
                into: rule.contains("reader lab-in"),
            });
        }
    }
    walked
}

/// Nobody comes in twice without having left, as the journal has it. An exit waits for no disk: the last one before a
/// blow opens, and may be kept as a position and be lost as a record. `leaving`: by life and walker, how often they
/// showed a card to go out.
fn nobody_came_in_twice(walked: &[Walk], leaving: &[Vec<usize>]) {
    for walker in 0..WALKERS {
        let who = format!("person:walker-{walker}");
        let ways: Vec<&Walk> = walked.iter().filter(|walk| walk.who == who).collect();
        for pair in ways.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if !(first.into && second.into) {
                continue;
            }
            let left = ways.iter().filter(|walk| walk.life == first.life && !walk.into);
            let asked = leaving.get(first.life).and_then(|walkers| walkers.get(walker));
            let lost = first.life < second.life && asked.is_some_and(|times| left.count() < *times);
            assert!(lost, "{who} came in twice: {first:?}, {second:?}\n{walked:#?}");
        }
    }
}

/// What is on is off before it is on again, also where a gateway that was killed could not say so. Gives how many ends a
/// restart has told.
fn ends_told(records: &[Value]) -> usize {
    let mut on: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut restarts = 0;
    for record in records {
        let is_on = match record["kind"].as_str() {
            Some("door.unlocked") => true,
            Some("door.relocked") => false,
            Some("relay.switched") => record["active"] == true,
            _ => continue,
        };
        let family = record["kind"].as_str().and_then(|kind| kind.split_once('.'));
        let family = family.map_or("", |(family, _)| family);
        let what = (family, record["source"].as_str().expect("a source"));
        let is_change = if is_on { on.insert(what) } else { on.remove(&what) };
        assert!(is_change, "{record} tells nothing new\n{records:#?}");
        restarts += usize::from(record["why"] == "restart" || record["text"] == "restart");
    }
    restarts
}

/// How often each code opened.
fn used(records: &[Value]) -> BTreeMap<String, u32> {
    let mut used = BTreeMap::new();
    for record in records.iter().filter(|record| record["kind"] == "door.granted") {
        let who = record["subject"].as_str().expect("somebody");
        if let Some(code) = who.strip_prefix("credential:c-visit-") {
            *used.entry(code.to_owned()).or_default() += 1;
        }
    }
    used
}

/// Names of the credentials that are there.
fn credentials(house: &House) -> BTreeSet<String> {
    let all = house.ask(json!({ "act": "people-list" }));
    let all = all.as_array().expect("a list").iter();
    all.filter_map(|line| line["credential"].as_str().map(str::to_owned))
        .collect()
}

/// Everybody who is there from the beginning: walkers, and visitors with their codes.
fn prepare(house: &House) {
    let mut lines = "person,credential,kind,value,doors,uses,at\n".to_owned();
    for n in 0..WALKERS {
        lines += &format!("walker-{n},c-walker-{n},card,\"77,{n:05}\",lab,,\n");
    }
    for n in 0..CODES * ROUNDS {
        lines += &format!(",c-visit-{n},code,{},front,1,keypad\n", code(n));
    }
    let mut desk = house.reach().expect("it listens");
    let done = desk.ask_with(json!({ "act": "people-import" }), Some(&lines));
    let done = done.expect("it answers");
    assert!(done.get("faults").is_none(), "{done}");
}

fn code(n: usize) -> String {
    format!("{:06}", 400_000 + n * 7)
}

/// The moment of the blow in round `n`: drawn, from a few ms to more than a second after the work began.
fn moment(n: usize) -> Duration {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(n as u64 + 1);
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    Duration::from_millis(20 + (seed >> 33) % 1300)
}

#[test]
fn what_was_acknowledged_outlives_a_gateway_that_is_killed_at_any_moment() {
    let mut house = House::start();
    prepare(&house);
    let always = credentials(&house);
    let (mut there, mut gone) = (BTreeSet::new(), BTreeSet::new());
    let mut retyped = 0;
    let mut leaving = Vec::new();
    for round in 0..ROUNDS {
        let until = Moment::default();
        let mine = round * CODES..(round + 1) * CODES;
        let codes: Vec<String> = mine.map(code).collect();
        let run = house.run_dir();
        let changes = std::thread::scope(|scope| {
            let changes = scope.spawn(|| people(&run, round, &there, &until));
            let walks = scope.spawn(|| walks(&run, WALKERS, &until));
            scope.spawn(|| types(&run, "fresh", &codes, &until));
            std::thread::sleep(moment(round));
            house.kill();
            until.comes();
            leaving.push(walks.join().expect("no panic"));
            changes.join().expect("no panic")
        });
        house.start_again();
        house.verify();

        let Changes {
            came,
            coming,
            going,
            left,
        } = changes;
        there.extend(came);
        there.retain(|id| !left.contains(id));
        gone.extend(left);
        let found = credentials(&house);
        for id in always.iter().chain(&there) {
            let lost = !found.contains(id) && !going.contains(id);
            assert!(
                !lost,
                "round {round}: {id} was acknowledged and is lost\n{}",
                house.log()
            );
        }
        for id in &gone {
            assert!(
                !found.contains(id),
                "round {round}: {id} was withdrawn and is back\n{}",
                house.log()
            );
        }
        let halves = coming.iter().filter(|id| found.contains(*id)).count();
        assert!(
            halves == 0 || halves == coming.len(),
            "round {round}: {halves} of {coming:?} came"
        );
        let known = |id: &String| always.contains(id) || there.contains(id) || coming.contains(id);
        assert!(found.iter().all(known), "round {round}: {found:?}");
        // what nobody acknowledged is there or not, and stays as it is
        there = found.into_iter().filter(|id| !always.contains(id)).collect();

        // codes that opened a door are typed once more, at a keypad that nobody has used
        let before = used(&house.records());
        let again: Vec<String> = codes
            .iter()
            .enumerate()
            .filter(|(n, _)| before.contains_key(&(round * CODES + n).to_string()))
            .map(|(_, code)| code.clone())
            .collect();
        types(
            &house.run_dir(),
            &format!("again-{}", round % KEYPADS),
            &again,
            &Moment::default(),
        );
        retyped += again.len();
        let refused = |house: &House| {
            let records = house.records();
            let said = |record: &&Value| record["reason"] == "it was used as often as it may be";
            records.iter().filter(said).count()
        };
        house.wait("they are refused", |house| refused(house) >= retyped);
    }
    let records = house.records();
    let used = used(&records);
    assert!(
        used.values().all(|times| *times == 1),
        "a used code opened again: {used:?}\n{}",
        house.log()
    );
    assert!(
        used.len() >= ROUNDS / 2,
        "only {} codes were used: the test shows nothing",
        used.len()
    );
    ends_told(&records);
    let walked = walked(&records);
    nobody_came_in_twice(&walked, &leaving);
    assert!(
        walked.len() >= ROUNDS,
        "only {} went in or out: the test shows nothing",
        walked.len()
    );
    assert!(
        !gone.is_empty() && !there.is_empty(),
        "nothing was changed: the test shows nothing"
    );
}

#[test]
fn an_alarm_and_a_lockdown_that_are_in_the_journal_outlive_a_gateway_that_is_killed_in_the_next_moment() {
    let mut house = House::start();
    let mut lines = "person,credential,kind,value,doors\n".to_owned();
    lines += "ann,c-ann,card,\"77,00009\",front\n";
    let mut desk = house.reach().expect("it listens");
    desk.ask_with(json!({ "act": "people-import" }), Some(&lines))
        .expect("it answers");
    let has = |house: &House, kind: &str| house.records().iter().any(|record| record["kind"] == kind);
    for (input, kind) in [("detector", "alarm.raised"), ("panic", "gateway.lockdown")] {
        house.ask(json!({ "act": "input", "input": input, "active": true }));
        house.wait(kind, |house| has(house, kind));
        house.kill();
        house.start_again();
        house.verify();
    }
    // nobody is told that everybody can come in
    let until = "ready: every door can be opened, once the lockdown that is in force has ended";
    assert_eq!(house.log().matches(until).count(), 1, "{}", house.log());
    // the siren sounds again in each life, though nothing is detected any more
    let lit = "a relay that only tells something is on output=siren";
    house.wait("the siren", |house| house.log().matches(lit).count() == 3);
    house.ask(json!({ "act": "card", "reader": "fresh", "card": "26:77,00009" }));
    let refused = |house: &House| {
        let records = house.records();
        let mut denied = records.iter().filter(|record| record["kind"] == "door.denied");
        denied.any(|record| record["reason"] == "lockdown: the whole site is locked down")
    };
    house.wait("nobody is let in", refused);
    assert!(!has(&house, "door.granted"), "{}", house.log());
}

#[test]
fn a_fire_alarm_outlives_a_gateway_that_is_killed_in_the_next_moment_and_opens_the_doors_again() {
    let mut house = House::start();
    let has = |house: &House, kind: &str| house.records().iter().any(|record| record["kind"] == kind);
    house.ask(json!({ "act": "input", "input": "smoke", "active": true }));
    house.wait("the alarm", |house| has(house, "gateway.fire-alarm"));
    let opened = |house: &House| {
        let records = house.records();
        let of_fire = |record: &&Value| record["kind"] == "door.granted" && record["factor"] == "fire";
        records.iter().filter(of_fire).count()
    };
    // a coil of pulse duty, again and again
    house.wait("both doors, twice", |house| opened(house) >= 4);
    house.kill();
    // the input of the next life is at rest, and raises nothing
    house.start_again();
    let before = opened(&house);
    house.wait("both doors, once more", |house| opened(house) >= before + 2);
    // what was on record as active is so no longer, and that is told once
    let input = |house: &House| {
        let records = house.records().into_iter();
        let of_input = records.filter(|record| record["kind"] == "gateway.fire");
        of_input
            .map(|record| record["active"] == true)
            .collect::<Vec<_>>()
    };
    house.wait("the input to be told at rest", |house| {
        input(house) == [true, false]
    });
    let told = ends_told(&house.records());
    let alarms = house.records();
    let alarms = alarms
        .iter()
        .filter(|record| record["kind"] == "gateway.fire-alarm");
    assert_eq!(alarms.count(), 1, "{}", house.log());
    // in the middle of a pulse
    let unlocked = |house: &House| {
        let records = house.records();
        let of_locks = |record: &&Value| {
            ["door.unlocked", "door.relocked"]
                .iter()
                .any(|kind| record["kind"] == *kind)
        };
        records
            .iter()
            .rfind(of_locks)
            .is_some_and(|record| record["kind"] == "door.unlocked")
    };
    house.wait("a door to be open", unlocked);
    house.kill();
    let was_open = unlocked(&house);
    house.start_again();
    house.verify();
    let ends = ends_told(&house.records());
    assert!(
        !was_open || ends > told,
        "a lock that was open has no end\n{}",
        house.log()
    );
    assert_eq!(input(&house), [true, false], "{}", house.log());
}
