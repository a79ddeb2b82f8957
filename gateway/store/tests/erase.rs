//! Somebody is erased, and records whose time is over go: nothing is left in any file, and the chain is whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::{
    CallEvent, Class, DoorEvent, DoorId, Envelope, Event, Factor, LegId, Record, Seq, Subject, Timestamp,
};
use gateway_store::fake::FakeIo;
use gateway_store::{Edit, Options, RealIo, Store, Traces, verify_with};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
const STATE: &str = "/state";
/// What must not be found any more.
const SECRETS: [&str; 5] = ["alice", "Alice Martin", "33476123456", "04567", "c-77"];

fn options() -> Options {
    Options {
        index: false,
        segment: 8192,
        ..Options::default()
    }
}

fn open(fake: &FakeIo) -> Store {
    let (store, report) = Store::open(Path::new(STATE), options(), fake.clone()).expect("opens");
    assert!(report.damage.is_empty(), "{report:?}");
    store
}

fn at(event: Event, seconds: i64) -> Envelope {
    Envelope {
        at: Timestamp::from_second(seconds).expect("a time"),
        event,
        ring: None,
        simulated: false,
    }
}

fn granted(person: &str, n: u64) -> Event {
    let subject = Subject::Person(person.parse().expect("a name"));
    let granted = DoorEvent::Granted {
        factor: Factor::Card,
        grant: n,
        rule: format!(
            "card \"{}\" of {person} at reader street",
            if person == "alice" { "c-77" } else { "c-88" }
        ),
        subject,
    };
    Event::Door(DoorId::new("front").expect("a name"), granted)
}

fn called(number: &str) -> Event {
    Event::Call(CallEvent::Answered {
        leg: LegId(1),
        peer: format!("sip:{number}@pbx"),
    })
}

fn traces() -> Traces {
    let one = |text: &str| vec![text.to_owned()];
    Traces {
        cards: one("123,04567"),
        credentials: one("c-77"),
        names: one("Alice Martin"),
        numbers: one("+33476123456"),
        persons: one("alice"),
    }
}

fn edits() -> Vec<Edit> {
    vec![
        Edit::delete("person", "alice"),
        Edit::delete("credential", "c-77"),
    ]
}

/// Everything that tells of her, and something that does not; gives the number of the last event.
async fn fill(store: &Store) -> u64 {
    let rows = [
        ("person", "alice", serde_json::json!({ "name": "Alice Martin" })),
        (
            "credential",
            "c-77",
            serde_json::json!({ "value": "123,04567", "person": "alice" }),
        ),
        ("person", "bob", serde_json::json!({ "name": "Bob" })),
        ("place", "person:alice", serde_json::json!({ "area": "house" })),
    ];
    for (kind, key, value) in rows {
        store
            .records()
            .put_durable(kind, key, value, None)
            .await
            .expect("kept");
    }
    let mut last = None;
    for n in 0..60 {
        let event = match n % 3 {
            0 => granted("alice", n),
            1 => called("+33476123456"),
            _ => granted("bob", n),
        };
        last = Some(store.append(at(event, 0)).expect("taken"));
    }
    timeout(LIMIT, last.expect("some").durable())
        .await
        .expect("in time")
        .expect("durable")
        .0
}

fn left_in(fake: &FakeIo) -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    for path in fake.files() {
        let bytes = fake.bytes(&path).unwrap_or_default();
        for secret in SECRETS {
            if bytes.windows(secret.len()).any(|part| part == secret.as_bytes()) {
                found.push((path.clone(), secret));
            }
        }
    }
    found
}

#[tokio::test]
async fn who_is_erased_is_in_no_file_and_the_journal_is_whole() {
    let fake = FakeIo::new();
    // copies of damaged parts, one of them hers
    fake.plant(
        &Path::new(STATE).join("journal/damaged/records-1"),
        b"..\"alice\"..".to_vec(),
    );
    fake.plant(
        &Path::new(STATE).join("journal/damaged/records-2"),
        b"nothing of her".to_vec(),
    );
    let store = open(&fake);
    let last = fill(&store).await;
    assert!(left_in(&fake).len() > 5);
    let head = verify_with(Path::new(STATE), fake.clone())
        .expect("reads")
        .events
        .head;
    store.begin_erasure(edits(), &traces()).await.expect("kept");
    let erased = store.finish_erasure().expect("done");
    assert_eq!((erased.events, erased.files), (40, 1));
    assert_eq!(left_in(&fake), []);
    assert!(
        fake.bytes(&Path::new(STATE).join("journal/damaged/records-2"))
            .is_some()
    );

    // what happened is still told, without who
    let all = store.read(Seq(1), 100).expect("reads");
    assert_eq!(all.len() as u64, last);
    let text = |record: &Record, name: &str| record.get(name).as_text().unwrap_or_default().to_owned();
    assert_eq!(text(&all[0], "subject"), "person:erased");
    assert_eq!(
        text(&all[0], "rule"),
        "card \"erased\" of erased at reader street"
    );
    assert_eq!(text(&all[1], "peer"), "sip:erased@pbx");
    assert_eq!(text(&all[2], "subject"), "person:bob");
    assert!(all.iter().all(|record| record.event().is_ok()));
    assert!(store.records().get("person", "bob").is_some());
    assert!(store.records().get("place", "person:alice").is_none());

    let report = verify_with(Path::new(STATE), fake.clone()).expect("reads");
    assert!(report.ok(), "{report:?}");
    assert_eq!((report.events.redacted, report.events.head), (40, head));
    // and it goes on, also after a restart
    store.append(at(granted("bob", 99), 0)).expect("taken");
    store.close();
    let store = open(&fake);
    assert_eq!(store.read(Seq(1), 100).expect("reads").len() as u64, last + 1);
    assert!(store.records().get("person", "bob").is_some());
    assert!(store.records().get("person", "alice").is_none());
    let report = verify_with(Path::new(STATE), fake.clone()).expect("reads");
    assert!(report.ok(), "{report:?}");
}

#[tokio::test]
async fn an_event_that_is_changed_in_place_of_erased_breaks_the_chain() {
    let fake = FakeIo::new();
    let store = open(&fake);
    fill(&store).await;
    store.begin_erasure(edits(), &traces()).await.expect("kept");
    store.finish_erasure().expect("done");
    store.close();
    let segment = Path::new(STATE).join("journal/events/00000000000000000001.seg");
    let good = fake.bytes(&segment).expect("there");
    // a frame of somebody else's, with a right checksum
    let needle = b"person:bob";
    let found = good
        .windows(needle.len())
        .position(|part| part == needle)
        .expect("there");
    let begin = good[..found]
        .windows(4)
        .rposition(|part| part == b"DLf1")
        .expect("a frame");
    let mut bad = good.clone();
    bad[found + 7..found + 10].copy_from_slice(b"eve");
    let len = u32::from_le_bytes(bad[begin + 4..begin + 8].try_into().expect("four")) as usize;
    let crc = crc32c::crc32c_append(
        crc32c::crc32c(&bad[begin..begin + 60]),
        &bad[begin + 64..begin + 64 + len],
    );
    bad[begin + 60..begin + 64].copy_from_slice(&crc.to_le_bytes());
    fake.plant(&segment, bad);
    let report = verify_with(Path::new(STATE), fake.clone()).expect("reads");
    assert!(
        report
            .events
            .faults
            .iter()
            .any(|fault| fault.contains("hash chain broken")),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_power_cut_ends_an_erasure_in_nothing_or_all_of_it_and_an_acknowledged_one_stays() {
    let mut ends = [0; 3];
    for seed in 0..120_u64 {
        let fake = FakeIo::new();
        let store = open(&fake);
        let last = fill(&store).await;
        fake.die_at(fake.ops() + seed);
        let begun = timeout(LIMIT, async {
            let mut health = store.health();
            let traces = traces();
            tokio::select! {
                done = store.begin_erasure(edits(), &traces) => done.is_ok(),
                _ = health.wait_for(|health| !health.ok) => false,
            }
        });
        let begun = begun.await.expect("in time");
        // the medium is dead: a task that waits for it is not waited for
        let finished = begun && {
            let eraser = store.clone();
            let task = std::thread::spawn(move || eraser.finish_erasure().is_ok());
            let mut health = store.health();
            let ended = async {
                while !task.is_finished() && health.borrow().ok {
                    tokio::select! {
                        _ = health.changed() => {}
                        () = tokio::time::sleep(Duration::from_millis(1)) => {}
                    }
                }
                task.is_finished()
            };
            let ended = timeout(LIMIT, ended).await.expect("in time");
            ended && task.join().expect("no panic")
        };
        let after = fake.after_power_cut(seed);
        store.close();
        let store = open(&after);
        store.finish_erasure().expect("it goes to its end");
        let there = store.records().get("person", "alice").is_some();
        assert!(!(begun && there), "seed {seed}: acknowledged and back");
        if there {
            assert_eq!(
                store.records().get("credential", "c-77").is_some(),
                there,
                "seed {seed}"
            );
            let told = store.read(Seq(1), 100).expect("reads");
            let hers = told
                .iter()
                .filter(|r| r.get("subject").as_text() == Some("person:alice"));
            assert_eq!(hers.count(), 20, "seed {seed}: nothing was done");
        } else {
            assert_eq!(left_in(&after), [], "seed {seed}");
        }
        assert_eq!(
            store.read(Seq(1), 100).expect("reads").len() as u64,
            last,
            "seed {seed}"
        );
        assert!(store.records().get("person", "bob").is_some(), "seed {seed}");
        store.close();
        let report = verify_with(Path::new(STATE), after).expect("reads");
        assert!(report.ok(), "seed {seed}: {report:?}");
        ends[usize::from(finished) + usize::from(!there)] += 1;
    }
    assert!(
        ends.iter().all(|times| *times > 0),
        "nothing, cut off, whole: {ends:?}"
    );
}

#[tokio::test]
async fn records_whose_time_is_over_go_class_by_class_and_the_rest_stays() {
    let fake = FakeIo::new();
    let store = open(&fake);
    for day in 0..40 {
        for event in [granted("bob", 1), called("1000")] {
            store.append(at(event, day * 86_400)).expect("taken");
        }
    }
    let last = store.append(at(granted("bob", 2), 40 * 86_400)).expect("taken");
    timeout(LIMIT, last.durable())
        .await
        .expect("in time")
        .expect("durable");
    let now = Timestamp::from_second(40 * 86_400).expect("a time");
    let days = |record: &Record, days: u64| record.at.checked_add(Duration::from_secs(days * 86_400)).ok();
    let until = |record: &Record| match record.class() {
        Class::Door => days(record, 20),
        Class::Audio => days(record, 5),
        Class::Application | Class::Display | Class::Hardware | Class::Network | Class::Use => None,
    };
    let gone = store.expire(now, &until).expect("done");
    assert_eq!(gone, 20 + 35);
    assert_eq!(store.expire(now, &until).expect("nothing more"), 0);
    let left = store.read(Seq(1), 100).expect("reads");
    assert!(
        left.iter()
            .all(|record| until(record).is_none_or(|end| end >= now))
    );
    assert_eq!(left.len(), 21 + 5);
    store.close();
    let report = verify_with(Path::new(STATE), fake.clone()).expect("reads");
    assert!(report.ok(), "{report:?}");
    // whole segments of which nothing is left are gone
    assert!(report.events.first.0 > 1, "{report:?}");
}

/// The index and every other file of a real folder.
#[tokio::test]
async fn a_real_folder_has_no_trace_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options {
        segment: 8192,
        ..Options::default()
    };
    let (store, _) = Store::open(dir.path(), options, RealIo).expect("opens");
    let last = fill(&store).await;
    let indexed = async {
        while store.indexed().0 < last {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, indexed).await.expect("indexed");
    store.begin_erasure(edits(), &traces()).await.expect("kept");
    store.finish_erasure().expect("done");
    store.close();
    let mut folders = vec![dir.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("reads").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(entry.path()).expect("reads");
            for secret in SECRETS {
                let there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!there, "{secret} in {}", entry.path().display());
            }
        }
    }
    assert!(files > 5, "{files}");
    let report = verify_with(dir.path(), RealIo).expect("reads");
    assert!(report.ok(), "{report:?}");
}
