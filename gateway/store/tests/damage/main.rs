//! Damage of every file is reported, set aside, and the readable part goes on.

mod lost;
mod tail;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway_core::{DoorEvent, DoorId, Envelope, Event, RingId, Seq, Timestamp};
use gateway_store::{
    Filter, Format, OpenReport, Options, Query, RealIo, Store, export, rebuild, tail, verify,
};

fn options() -> Options {
    Options {
        index: false,
        segment: 4096,
        verify_sealed: false,
        ..Options::default()
    }
}

fn event(n: u64) -> Envelope {
    Envelope {
        at: Timestamp::from_second(1_700_000_000 + i64::try_from(n).expect("small")).expect("a time"),
        event: Event::Door(
            DoorId::new(if n.is_multiple_of(2) { "front" } else { "back" }).expect("a name"),
            DoorEvent::Unlocked {
                grant: n,
                pulse_ms: 3000,
            },
        ),
        ring: Some(RingId::new(n / 10, [1; 10])),
        simulated: true,
    }
}

fn open(dir: &Path, options: Options) -> (Store, OpenReport) {
    Store::open(dir, options, RealIo).expect("opens whatever it finds")
}

/// Waits for something that another thread does.
fn until(what: &str, mut f: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !f() {
        assert!(Instant::now() < end, "{what} did not happen within 20 s");
        std::thread::yield_now();
    }
}

fn fill(store: &Store, from: u64, to: u64) {
    for n in from..=to {
        assert_eq!(store.append(event(n)).expect("taken").seq(), Seq(n));
    }
    let durable = store.durable();
    until("durability", || durable.borrow().0 >= to);
}

/// A closed journal with 60 events in several segments.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, report) = open(dir.path(), options());
    assert_eq!(
        (report.last, report.next, report.damage.len()),
        (Seq(0), Seq(1), 0)
    );
    fill(&store, 1, 60);
    dir
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir.join("journal/events"))
        .expect("lists")
        .map(|e| e.expect("entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    all.sort();
    all
}

fn numbers(store: &Store) -> Vec<u64> {
    store
        .read(Seq(0), 1000)
        .expect("reads")
        .iter()
        .map(|r| r.seq.0)
        .collect()
}

/// Flips a bit in a file, opens, and checks what must hold after any damage.
fn check_flip(segment: usize, byte: usize, bit: u8) {
    let dir = filled();
    let path = segments(dir.path())[segment].clone();
    let mut bytes = fs::read(&path).expect("reads");
    let byte = byte % bytes.len();
    bytes[byte] ^= 1 << bit;
    fs::write(&path, bytes).expect("writes");

    let green = verify(dir.path()).expect("verifies").ok();
    let (store, mut report) = open(
        dir.path(),
        Options {
            verify_sealed: true,
            ..options()
        },
    );
    if !green && report.damage.is_empty() {
        let damage = store.damage();
        until("the report of the damage", || !damage.borrow().is_empty());
        report.damage = damage.borrow().clone();
    }
    for damage in &report.damage {
        assert!(damage.set_aside.as_ref().is_some_and(|p| p.exists()), "{damage}");
    }
    let left = numbers(&store);
    assert!(
        left.len() >= 59,
        "byte {byte} of segment {segment}: one record at most: {left:?} {report:?}"
    );
    assert!(left.windows(2).all(|w| w[0] < w[1]), "{left:?}");
    for record in store.read(Seq(0), 1000).expect("reads") {
        assert_eq!(
            record.event().expect("known"),
            event(record.seq.0).event,
            "no record has changed"
        );
    }
    let next = store.append(event(99)).expect("taken").seq();
    assert!(
        next >= Seq(61) || report.damage.is_empty() && next == Seq(60),
        "{next} {report:?}"
    );
    store.close();
    let report = verify(dir.path()).expect("verifies");
    assert!(report.ok(), "byte {byte} of segment {segment}: {report:?}");
}

#[test]
fn a_flipped_bit_anywhere_costs_one_record_and_is_reported() {
    let count = segments(filled().path()).len();
    assert!(count >= 4, "{count}");
    for (k, byte) in [0, 9, 25, 127, 128, 133, 140, 160, 190, 200, 700, 1500, 2100]
        .into_iter()
        .enumerate()
    {
        check_flip(k % count, byte, u8::try_from(k % 8).expect("small"));
        check_flip(count - 1, byte, 3);
    }
}

/// Offsets of the records' frames in a segment.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut at = 128;
    let mut all = Vec::new();
    while at + 64 <= bytes.len() && &bytes[at..at + 4] == b"DLf1" {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        if len > 0 {
            all.push(at);
        }
        at += (64 + usize::try_from(len).expect("small")).next_multiple_of(8);
    }
    all
}

#[test]
fn damage_at_the_tail_is_not_made_larger_than_it_is() {
    // with the mark that the last record is durable, which is written at rest, and without any frame after the damage;
    // the records after the one that is bad in the middle say that it was durable
    for mark in [true, false] {
        let dir = tempfile::tempdir().expect("a folder");
        let large = || Options {
            segment: 4 << 20,
            ..options()
        };
        let (store, _) = open(dir.path(), large());
        for n in 1..=26 {
            fill(&store, n, n);
        }
        store.close();
        let path = segments(dir.path()).pop().expect("a segment");
        let mut bytes = fs::read(&path).expect("reads");
        let records = frames(&bytes);
        assert_eq!(records.len(), 26);
        for at in [records[19], records[24], records[25]] {
            bytes[at + 70] ^= 0x20;
        }
        let last = records[25];
        let len = u32::from_le_bytes(bytes[last + 4..last + 8].try_into().expect("four bytes"));
        let end = (last + 64 + usize::try_from(len).expect("small")).next_multiple_of(8);
        if !mark {
            bytes[end..].fill(0);
        }
        fs::write(&path, bytes).expect("writes");
        // frames of at least 72 bytes in the room of the two that are bad
        let most = if mark {
            26
        } else {
            24 + u64::try_from((end - records[24]).div_ceil(72)).expect("small")
        };
        let (store, report) = open(dir.path(), large());
        assert_eq!(report.damage.len(), 1, "{report:?}");
        let text = report.damage[0].to_string();
        assert!(report.next > Seq(26), "no number is given twice: {report:?}");
        assert!(report.next.0 <= most + 1, "{report:?}");
        let range = if mark {
            "(records 1 to 26)"
        } else {
            "(records 1 to 24)"
        };
        assert!(text.contains(range), "{text}");
        assert_eq!(text.contains("at most"), !mark, "{text}");
        assert_eq!(store.append(event(99)).expect("taken").seq(), report.next);
        store.close();
        let verified = verify(dir.path()).expect("verifies");
        assert!(verified.ok(), "{verified:?}");
        assert_eq!(
            verified.events.gaps,
            [(Seq(20), Seq(20)), (Seq(25), Seq(report.next.0 - 1))]
        );
    }
}

#[test]
fn a_cut_off_tail_is_reported_and_its_numbers_are_not_given_again() {
    for cut in [10, 100, 300, 2000] {
        let dir = filled();
        let path = segments(dir.path()).pop().expect("a segment");
        let bytes = fs::read(&path).expect("reads");
        let content = bytes.iter().rposition(|b| *b != 0).expect("content") + 1;
        fs::write(&path, &bytes[..content.saturating_sub(cut)]).expect("writes");
        let (store, report) = open(dir.path(), options());
        assert_eq!(report.damage.len(), 1, "{report:?}");
        assert!(report.next > Seq(60), "{report:?}");
        let next = store.append(event(1)).expect("taken").seq();
        assert_eq!(next, report.next);
        store.close();
        let report = verify(dir.path()).expect("verifies");
        assert!(report.ok(), "{report:?}");
        assert!(!report.events.gaps.is_empty());
    }
}

#[test]
fn the_readable_part_of_a_bad_segment_is_exported() {
    let dir = filled();
    let path = segments(dir.path()).pop().expect("a segment");
    let mut bytes = fs::read(&path).expect("reads");
    bytes[300] ^= 0x10;
    fs::write(&path, bytes).expect("writes");
    let (_store, report) = open(dir.path(), options());
    let aside = report.damage[0].set_aside.clone().expect("set aside");
    let text = fs::read_to_string(format!("{}.jsonl", aside.display())).expect("exported");
    assert!(text.lines().count() > 2);
    assert!(
        text.lines()
            .all(|l| gateway_store::from_json_text(l.as_bytes()).is_ok())
    );
}

#[test]
fn damage_of_a_users_record_is_told_as_such() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), options());
    fill(&store, 1, 3);
    for user in ["ann", "bob"] {
        store
            .records()
            .put("user", user, "x".into(), None)
            .expect("taken");
    }
    store.close();
    // damage of the events alone says nothing of users
    let path = segments(dir.path()).pop().expect("a segment");
    let mut bytes = fs::read(&path).expect("reads");
    bytes[128 + 64 + 5] ^= 1;
    fs::write(&path, bytes).expect("writes");
    let (store, report) = open(dir.path(), options());
    assert_eq!(
        (report.damage.len(), report.records_damaged),
        (1, false),
        "{report:?}"
    );
    store.close();
    let folder = dir.path().join("journal/records");
    let path = fs::read_dir(&folder)
        .expect("lists")
        .map(|e| e.expect("entry").path())
        .find(|p| p.extension().is_some_and(|e| e == "seg"))
        .expect("a segment");
    let mut bytes = fs::read(&path).expect("reads");
    bytes[128 + 64 + 5] ^= 1;
    fs::write(&path, bytes).expect("writes");
    let (store, report) = open(dir.path(), options());
    assert!(report.records_damaged, "{report:?}");
    assert!(store.records().get("user", "ann").is_none());
}

/// The snapshots of the records log, oldest first.
fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("lists");
    let paths = entries.map(|e| e.expect("entry").path());
    let mut snaps: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "snap"))
        .collect();
    snaps.sort();
    snaps
}

#[test]
fn a_damaged_snapshot_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), options());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let folder = dir.path().join("journal/records");
    let mut newest_before = None;
    for n in 0..15_000u64 {
        let ticket = store
            .records()
            .put("token", &format!("k{}", n % 50), n.into(), None)
            .expect("taken");
        if n % 1000 == 999 {
            runtime.block_on(ticket.durable()).expect("open");
        }
        // a snapshot is made when nothing waits, so here it gets the time
        if n % 5000 == 4999 {
            let end = std::time::Instant::now() + Duration::from_secs(30);
            while snapshots(&folder).last() == newest_before.as_ref() {
                assert!(std::time::Instant::now() < end, "no snapshot after {n} changes");
                std::thread::sleep(Duration::from_millis(5));
            }
            newest_before = snapshots(&folder).pop();
        }
    }
    store.close();
    let mut snaps = snapshots(&folder);
    assert_eq!(snaps.len(), 2, "the two newest are kept");
    let newest = snaps.pop().expect("one");
    let mut bytes = fs::read(&newest).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&newest, bytes).expect("writes");
    assert!(!verify(dir.path()).expect("verifies").ok());
    let (store, report) = open(dir.path(), options());
    assert_eq!(report.damage.len(), 1, "{report:?}");
    let all = store.records().list("token");
    assert_eq!(all.len(), 50);
    for (key, entry) in all {
        let k: u64 = key[1..].parse().expect("a number");
        let newest = (14_950..15_000).find(|n| n % 50 == k).expect("one of them");
        assert_eq!(entry.value, serde_json::json!(newest), "{key}");
    }
    store.close();
    assert!(verify(dir.path()).expect("verifies").ok());
}

#[test]
fn a_broken_index_is_set_aside_and_built_again() {
    let with_index = || Options {
        index: true,
        ..options()
    };
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), with_index());
    fill(&store, 1, 60);
    until("the index", || store.indexed() == Seq(60));
    store.close();
    for entry in fs::read_dir(dir.path().join("index")).expect("lists") {
        let path = entry.expect("entry").path();
        if path.is_file() {
            let len = fs::metadata(&path).expect("there").len();
            fs::write(&path, vec![0xA5; usize::try_from(len).expect("small").max(64)]).expect("writes");
        }
    }
    let (store, _) = open(dir.path(), with_index());
    let by_ring = Query {
        filter: Filter {
            ring: Some(RingId::new(2, [1; 10])),
            ..Filter::default()
        },
        ..Query::default()
    };
    let found: Vec<_> = store
        .find(&by_ring)
        .expect("finds")
        .iter()
        .map(|r| r.seq.0)
        .collect();
    assert_eq!(
        found,
        (20..30).collect::<Vec<_>>(),
        "before or after, a look-up is right"
    );
    let damage = store.damage();
    until("the report of the damage", || !damage.borrow().is_empty());
    until("the index", || store.indexed() == Seq(60));
    let found: Vec<_> = store
        .find(&by_ring)
        .expect("finds")
        .iter()
        .map(|r| r.seq.0)
        .collect();
    assert_eq!(found, (20..30).collect::<Vec<_>>());
    store.close();
    assert_eq!(rebuild(dir.path()).expect("builds"), Seq(60));
}

#[test]
fn an_index_that_was_emptied_or_removed_is_told_once_and_built_again() {
    let with_index = || Options {
        index: true,
        ..options()
    };
    let dir = tempfile::tempdir().expect("a folder");
    let index = dir.path().join("index");
    let told = |what: &str, to: u64| {
        let (store, _) = open(dir.path(), with_index());
        let damage = store.damage();
        until(what, || store.indexed() == Seq(to));
        let told: Vec<String> = damage.borrow().iter().map(ToString::to_string).collect();
        (store, told)
    };
    // neither a first start nor the next one has anything to say
    let (store, damage) = told("the first start", 0);
    assert!(damage.is_empty(), "{damage:?}");
    fill(&store, 1, 60);
    until("the index", || store.indexed() == Seq(60));
    store.close();
    let (store, damage) = told("a second start", 60);
    assert!(damage.is_empty(), "{damage:?}");
    store.close();

    for entry in fs::read_dir(&index).expect("lists") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            fs::remove_dir_all(path).expect("removed");
        } else {
            fs::write(path, "").expect("emptied");
        }
    }
    let (store, damage) = told("an index of empty files", 60);
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].contains("set aside as"), "{damage:?}");
    store.close();

    fs::remove_file(index.join("db")).expect("there");
    let (store, damage) = told("an index without its data", 60);
    assert_eq!(damage.len(), 1, "{damage:?}");
    store.close();

    fs::remove_dir_all(&index).expect("there");
    let (store, damage) = told("no index", 60);
    let text = format!(
        "the index that was built of the journal is gone; it is built again, which loses nothing in {}",
        index.display()
    );
    assert_eq!(damage, [text]);
    store.close();
    let (store, damage) = told("the start after it", 60);
    assert!(damage.is_empty(), "{damage:?}");
    store.close();

    // whoever has it built again on purpose hears nothing of it
    assert_eq!(rebuild(dir.path()).expect("builds"), Seq(60));
    let (_store, damage) = told("one built on purpose", 60);
    assert!(damage.is_empty(), "{damage:?}");
}

#[test]
fn look_ups_agree_with_and_without_the_index() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(
        dir.path(),
        Options {
            index: true,
            ..options()
        },
    );
    fill(&store, 1, 300);
    until("the index", || store.indexed() == Seq(300));
    let filters = [
        Filter {
            source: Some("front".into()),
            ..Filter::default()
        },
        Filter {
            ring: Some(RingId::new(7, [1; 10])),
            kind: Some("door".into()),
            ..Filter::default()
        },
        Filter {
            since: Timestamp::from_second(1_700_000_100).ok(),
            until: Timestamp::from_second(1_700_000_170).ok(),
            ..Filter::default()
        },
        Filter {
            kind: Some("door.unlocked".into()),
            ..Filter::default()
        },
        Filter {
            kind: Some("door.unlock".into()),
            ..Filter::default()
        },
    ];
    for filter in filters {
        for newest_first in [false, true] {
            let query = Query {
                filter: filter.clone(),
                from: Seq(5),
                max: 40,
                newest_first,
                to: Seq(280),
            };
            let mut want: Vec<_> = store.read(Seq(1), 1000).expect("reads");
            want.retain(|r| (5..=280).contains(&r.seq.0) && filter.fits(r));
            if newest_first {
                want.reverse();
            }
            want.truncate(40);
            assert_eq!(store.find(&query).expect("finds"), want, "{query:?}");
        }
    }
}

#[test]
fn trimming_leaves_an_anchor_and_a_green_journal() {
    let dir = filled();
    let (store, _) = open(dir.path(), options());
    let first = store.trim_before(Seq(40)).expect("trims");
    assert!(first > Seq(1) && first <= Seq(40), "{first}");
    assert_eq!(numbers(&store).first(), Some(&first.0));
    store.close();
    let report = verify(dir.path()).expect("verifies");
    assert!(report.ok(), "{report:?}");
    assert_eq!(report.events.gaps, [(Seq(1), Seq(first.0 - 1))]);
    fs::remove_file(dir.path().join("journal/events/anchors.jsonl")).expect("removes");
    assert!(
        !verify(dir.path()).expect("verifies").ok(),
        "without its anchor the gap is a fault"
    );
}

#[test]
fn a_changed_record_with_a_right_checksum_is_found_by_the_chain() {
    // Both frames of two journals are valid by themselves; exchanging whole segments breaks the chain.
    let (one, other) = (filled(), tempfile::tempdir().expect("a folder"));
    let (store, _) = open(other.path(), options());
    for n in 1..=60 {
        store.append(event(n + 2)).expect("taken");
    }
    store.close();
    let (to, from) = (segments(one.path())[1].clone(), segments(other.path())[1].clone());
    assert_eq!(to.file_name(), from.file_name());
    fs::copy(from, to).expect("copies");
    let report = verify(one.path()).expect("verifies");
    assert!(!report.ok(), "{report:?}");
}

#[test]
fn export_and_tail_show_the_same_records_while_the_gateway_runs() {
    let dir = filled();
    let (store, _) = open(dir.path(), options());
    let mut tail = tail(dir.path(), 5).expect("reads");
    let seqs = |records: Vec<gateway_core::Record>| records.iter().map(|r| r.seq.0).collect::<Vec<_>>();
    assert_eq!(seqs(tail.next(100).expect("reads")), [56, 57, 58, 59, 60]);
    fill(&store, 61, 63);
    let mut seen = Vec::new();
    until("the tail", || {
        seen.extend(seqs(tail.next(100).expect("reads")));
        seen.len() >= 3
    });
    assert_eq!(seen, [61, 62, 63]);
    let mut out = Vec::new();
    let front = Filter {
        source: Some("front".into()),
        ..Filter::default()
    };
    assert_eq!(
        export(dir.path(), 1..=4, &front, &mut out, Format::Csv).expect("exports"),
        2
    );
    let text = String::from_utf8(out).expect("text");
    let first = "2,2023-11-14T22:13:22Z,door.unlocked,front,00000000-0000-7101-8101-010101010101,true,\"{\"\"grant\"\":2,\"\"pulse_ms\"\":3000}\"";
    assert_eq!(text.lines().nth(1), Some(first));
    let mut out = Vec::new();
    assert_eq!(
        export(
            dir.path(),
            1..=u64::MAX,
            &Filter::default(),
            &mut out,
            Format::Jsonl
        )
        .expect("exports"),
        63
    );
}
