//! Whatever happens to the last batches of a journal whose process has just died, before anything says that they were
//! durable: it is told, what is readable stays, and the journal goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::Seq;
use gateway_store::fake::FakeIo;
use gateway_store::{Options, Store, verify_with};

use super::{event, frames, until};

const STATE: &str = "/state";
/// Batches and how many records each has.
const BATCHES: [u64; 4] = [2, 3, 2, 3];
const ALL: u64 = 10;

fn options() -> Options {
    Options {
        // no cursor movement comes between
        cursor_flush: Duration::from_secs(3600),
        ..super::options()
    }
}

fn segment(log: &str) -> PathBuf {
    Path::new(STATE).join(format!("journal/{log}/{:020}.seg", 1))
}

fn value(n: u64) -> serde_json::Value {
    serde_json::json!({ "n": n, "text": "x".repeat(usize::try_from(n % 4).expect("small") * 9) })
}

/// What a process leaves that dies right after its last record was acknowledged: the content of every file.
fn left_behind() -> BTreeMap<PathBuf, Vec<u8>> {
    let fake = FakeIo::new();
    let (store, _) = Store::open(Path::new(STATE), options(), fake.clone()).expect("opens");
    let mut n = 0;
    for batch in BATCHES {
        // what waits while the medium hangs is one batch
        fake.set_hanging(true);
        let mut last = None;
        for _ in 0..batch {
            n += 1;
            store.append(event(n)).expect("taken");
            last = Some(
                store
                    .records()
                    .put("user", &format!("u{n}"), value(n), None)
                    .expect("taken"),
            );
        }
        fake.set_hanging(false);
        let durable = store.durable();
        until("durability", || durable.borrow().0 >= n);
        let kept = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(last.expect("a record").durable());
        assert_eq!(kept, Ok(Seq(n)));
    }
    let files = fake.files().into_iter();
    files
        .map(|path| {
            let bytes = fake.bytes(&path).expect("there");
            (path, bytes)
        })
        .collect()
}

/// Opens what is left of a log and checks what must hold; `whole` says of each record whether its bytes are as they were.
fn check(
    what: &str,
    files: &BTreeMap<PathBuf, Vec<u8>>,
    log: &str,
    bytes: Vec<u8>,
    whole: impl Fn(u64) -> bool,
) {
    let fake = FakeIo::new();
    for (path, content) in files {
        fake.plant(path, content.clone());
    }
    fake.plant(&segment(log), bytes);
    let (store, report) =
        Store::open(Path::new(STATE), options(), fake.clone()).expect("opens whatever it finds");
    let events = store.read(Seq(1), 100).expect("readable");
    let mut lost = 0;
    for n in 1..=ALL {
        let found = if log == "events" {
            let found = events.iter().find(|record| record.seq == Seq(n));
            found.map(|record| record.event().expect("known") == event(n).event)
        } else {
            let found = store.records().get("user", &format!("u{n}"));
            found.map(|entry| entry.value == value(n))
        };
        assert_ne!(found, Some(false), "{what}: record {n} has changed");
        assert!(
            found.is_some() || !whole(n),
            "{what}: record {n} is gone: {report:?}"
        );
        lost += u64::from(found.is_none());
    }
    if lost > 0 {
        // all of them were acknowledged
        assert!(
            !report.damage.is_empty(),
            "{what}: {lost} lost and not told: {report:?}"
        );
        assert_eq!(report.records_damaged, log == "records", "{what}: {report:?}");
    }
    let next = store.append(event(ALL + 1)).expect("taken").seq();
    assert!(next > Seq(ALL), "{what}: number {next} is given twice");
    store.close();
    let verified = verify_with(Path::new(STATE), fake.clone()).expect("verifies");
    assert!(verified.ok(), "{what}: {verified:?}");
    if log == "events" {
        let gaps: u64 = verified
            .events
            .gaps
            .iter()
            .map(|(from, to)| to.0 - from.0 + 1)
            .sum();
        assert!(
            gaps >= lost,
            "{what}: {lost} lost, {gaps} accounted for: {verified:?}"
        );
    }
    // told once
    let (_store, again) = Store::open(Path::new(STATE), options(), fake).expect("opens");
    assert_eq!(
        (again.damage.len(), again.torn.len()),
        (0, 0),
        "{what}: {again:?}"
    );
}

/// For each record, from where to where its frame goes, without the zero bytes that fill it up.
fn places(bytes: &[u8]) -> Vec<(usize, usize)> {
    let all = frames(bytes);
    assert_eq!(all.len() as u64, ALL);
    let end = |at: usize| {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        at + 64 + usize::try_from(len).expect("small")
    };
    all.into_iter().map(|at| (at, end(at))).collect()
}

fn index(n: u64) -> usize {
    usize::try_from(n - 1).expect("small")
}

#[test]
fn wherever_the_file_is_cut_off_what_stood_before_stays_and_the_rest_is_told() {
    let files = left_behind();
    for log in ["events", "records"] {
        let bytes = files[&segment(log)].clone();
        let places = places(&bytes);
        let content = places[index(ALL)].1 + 128;
        let begin = places[index(ALL - BATCHES[2] - BATCHES[3] + 1)].0;
        // in the room that is set aside behind the records every place is like the other
        let cuts = (begin..content).chain((content..bytes.len()).step_by(64));
        for cut in cuts {
            let what = format!("{log} cut off at byte {cut}");
            check(&what, &files, log, bytes[..cut].to_vec(), |n| {
                places[index(n)].1 <= cut
            });
        }
    }
}

#[test]
fn whichever_bit_flips_one_record_is_lost_at_most_and_told() {
    let files = left_behind();
    for log in ["events", "records"] {
        let bytes = files[&segment(log)].clone();
        let places = places(&bytes);
        let begin = places[index(ALL - BATCHES[2] - BATCHES[3] + 1)].0;
        // and the mark behind the last record
        for at in begin..places[index(ALL)].1 + 80 {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let what = format!("{log}: bit {bit} of byte {at}");
                check(&what, &files, log, bytes, |n| {
                    let (from, to) = places[index(n)];
                    !(from..to).contains(&at)
                });
            }
        }
    }
}

#[test]
fn a_write_that_a_power_cut_tore_is_told_and_is_no_damage() {
    let files = left_behind();
    for log in ["events", "records"] {
        let mut bytes = files[&segment(log)].clone();
        let end = (places(&bytes)[index(ALL)].1).next_multiple_of(8);
        // the beginning of a batch took the place of the mark, and only its first sector came to the medium
        bytes[end..end + 64].copy_from_slice(&[0x5A; 64]);
        let fake = FakeIo::new();
        for (path, content) in &files {
            fake.plant(path, content.clone());
        }
        fake.plant(&segment(log), bytes);
        let (store, report) = Store::open(Path::new(STATE), options(), fake).expect("opens");
        assert_eq!(
            (report.damage.len(), report.torn.len()),
            (0, 1),
            "{log}: {report:?}"
        );
        assert!(report.torn[0].contains("after record 10 cut off"), "{report:?}");
        assert_eq!(store.read(Seq(1), 100).expect("readable").len() as u64, ALL);
        assert_eq!(store.records().list("user").len() as u64, ALL);
    }
}
