//! A journal that lost its end, or everything, says so: `verify` until a start has told it, a start once.

use std::fs;
use std::path::Path;

use gateway_core::{RingId, Seq};
use gateway_store::{Filter, OpenReport, Options, Query, verify};

use super::{fill, filled, frames, numbers, open, options, segments, until};

/// A closed journal with 60 events in several segments, some records, and a reader that has had event 58.
fn known() -> tempfile::TempDir {
    let dir = filled();
    let (store, _) = open(dir.path(), options());
    store.cursor("reader").advance(Seq(58));
    store
        .records()
        .put("user", "ann", "x".into(), None)
        .expect("taken");
    store.close();
    dir
}

/// Removes the files of a log that fit.
fn remove(dir: &Path, log: &str, fits: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(dir.join("journal").join(log)).expect("lists") {
        let entry = entry.expect("entry");
        if fits(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).expect("removed");
        }
    }
}

fn zero_tail(path: &Path) {
    let mut bytes = fs::read(path).expect("reads");
    let second = frames(&bytes)[1];
    bytes[second..].fill(0);
    fs::write(path, bytes).expect("writes");
}

/// `verify` finds it, a start tells it once, and then the journal is whole but for what is gone.
fn told_once(what: &str, dir: &Path, next: u64) -> OpenReport {
    let found = verify(dir);
    let missing = found.as_ref().map_or_else(
        |_| "the folder is missing".to_owned(),
        |found| {
            [&found.events.faults[..], &found.records.faults[..]]
                .concat()
                .join("; ")
        },
    );
    assert!(found.is_err() || missing.contains("missing"), "{what}: {missing}");
    let (store, report) = open(dir, options());
    assert!(!report.damage.is_empty(), "{what}");
    assert_eq!(report.next, Seq(next), "{what}: no number is given twice");
    // a start that was not followed by any event
    store.close();
    let (store, again) = open(dir, options());
    assert_eq!((&again.damage[..], again.next), (&[][..], Seq(next)), "{what}");
    fill(&store, next, next + 3);
    store.close();
    let green = verify(dir).expect("verifies");
    assert!(green.ok(), "{what}: {green:?}");
    let (store, again) = open(dir, options());
    assert_eq!(
        (&again.damage[..], again.next),
        (&[][..], Seq(next + 4)),
        "{what}"
    );
    store.close();
    report
}

#[test]
fn a_lost_end_is_found_and_told_once() {
    let last = |dir: &Path| segments(dir).pop().expect("a segment");
    let dir = known();
    fs::remove_file(last(dir.path())).expect("removed");
    told_once("the last segment", dir.path(), 61);

    let dir = known();
    zero_tail(&last(dir.path()));
    let report = told_once("a zeroed tail", dir.path(), 61);
    let text = report.damage[0].to_string();
    assert!(text.contains(" to 60 are missing"), "{text}");
    let gaps = verify(dir.path()).expect("verifies").events.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].1, Seq(60), "{gaps:?}");

    let dir = known();
    remove(dir.path(), "events", |name| name.ends_with(".seg"));
    let report = told_once("every event", dir.path(), 61);
    assert!(
        report.damage[0]
            .to_string()
            .contains("records 1 to 60 are missing"),
        "{report:?}"
    );
    assert!(!report.records_damaged);

    let dir = known();
    remove(dir.path(), "records", |_| true);
    assert!(told_once("every record", dir.path(), 61).records_damaged);

    let dir = known();
    fs::remove_dir_all(dir.path().join("journal")).expect("removed");
    let report = told_once("the journal", dir.path(), 61);
    assert!(report.records_damaged && report.damage.len() == 2, "{report:?}");
}

#[test]
fn without_the_note_beside_the_journal_its_readers_know_what_there_was() {
    let dir = known();
    fs::remove_file(dir.path().join("journal-events.mark")).expect("there");
    assert!(verify(dir.path()).expect("verifies").ok());
    remove(dir.path(), "events", |name| name.ends_with(".seg"));
    let faults = verify(dir.path()).expect("verifies").events.faults;
    assert_eq!(faults, ["acknowledged records 1 to 58 are missing"]);
    told_once("every event, and the note", dir.path(), 59);
}

#[test]
fn lost_notes_of_what_is_missing_are_told_once() {
    for garbage in [None, Some("garbage\n")] {
        let dir = filled();
        let (store, _) = open(dir.path(), options());
        let first = store.trim_before(Seq(40)).expect("trims");
        store.close();
        assert!(verify(dir.path()).expect("verifies").ok());
        let anchors = dir.path().join("journal/events/anchors.jsonl");
        match garbage {
            Some(text) => fs::write(&anchors, text).expect("written"),
            None => fs::remove_file(&anchors).expect("removed"),
        }
        let report = told_once("anchors", dir.path(), 61);
        assert_eq!(report.damage.len(), 2, "{report:?}");
        let gaps = verify(dir.path()).expect("verifies").events.gaps;
        assert_eq!(gaps, [(Seq(1), Seq(first.0 - 1))]);
    }
    // also where the gap is said by the segments themselves
    let dir = known();
    zero_tail(&segments(dir.path()).pop().expect("a segment"));
    told_once("a zeroed tail", dir.path(), 61);
    fs::remove_file(dir.path().join("journal/events/anchors.jsonl")).expect("removed");
    assert!(!verify(dir.path()).expect("verifies").ok());
}

#[test]
fn a_note_that_cannot_be_read_is_damage_and_no_reason_not_to_start() {
    let dir = known();
    let mark = dir.path().join("journal-events.mark");
    fs::write(&mark, [0; 20]).expect("written");
    assert!(!verify(dir.path()).expect("verifies").ok());
    let (store, report) = open(dir.path(), options());
    assert_eq!((report.damage.len(), report.next), (1, Seq(61)), "{report:?}");
    store.close();
    assert!(verify(dir.path()).expect("verifies").ok());
}

#[test]
fn a_note_whose_numbers_are_not_those_that_were_written_is_not_believed() {
    let dir = known();
    let mark = dir.path().join("journal-events.mark");
    let text = fs::read_to_string(&mark).expect("there");
    assert!(text.contains("\"last\":60,"), "{text}");
    // one digit, as a card that ages may change it: a thousand records would be missed
    fs::write(&mark, text.replace("\"last\":60,", "\"last\":1060,")).expect("written");
    let faults = verify(dir.path()).expect("verifies").events.faults;
    assert!(
        faults.len() == 1 && faults[0].contains("its checksum is"),
        "{faults:?}"
    );
    let (store, report) = open(dir.path(), options());
    assert_eq!((report.damage.len(), report.next), (1, Seq(61)), "{report:?}");
    store.close();
    assert!(verify(dir.path()).expect("verifies").ok());
    // that of an earlier release has no checksum
    fs::write(&mark, "{\"anchors\":0,\"last\":60}\n").expect("written");
    assert!(verify(dir.path()).expect("verifies").ok());
    let (store, report) = open(dir.path(), options());
    assert!(report.damage.is_empty(), "{report:?}");
    store.close();
}

#[test]
fn a_segment_that_a_full_disk_left_empty_is_no_damage() {
    let dir = filled();
    let empty = dir.path().join(format!("journal/events/{:020}.seg", 61));
    fs::write(&empty, "").expect("written");
    let report = verify(dir.path()).expect("verifies");
    assert!(report.ok(), "{report:?}");
    assert_eq!(report.events.notes.len(), 1, "{report:?}");
    fs::write(&empty, "x".repeat(200)).expect("written");
    assert!(!verify(dir.path()).expect("verifies").ok());
}

#[test]
fn a_journal_is_kept_within_its_room_and_names_who_had_not_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let with_index = Options {
        index: true,
        ..options()
    };
    let (store, _) = open(dir.path(), with_index);
    let size = || -> u64 {
        let lengths = segments(dir.path()).into_iter();
        lengths.map(|path| fs::metadata(path).expect("there").len()).sum()
    };
    assert_eq!(store.keep_within(4096).expect("nothing to do"), None);
    let room = 40 * 1024;
    for step in 0..10 {
        fill(&store, step * 100 + 1, step * 100 + 100);
        if step == 3 {
            store.cursor("slow").advance(Seq(320));
        }
        store.cursor("quick").advance(Seq(step * 100 + 100));
        let before = numbers(&store).len();
        match store.keep_within(room).expect("trims") {
            None => assert!(size() <= room, "{} bytes", size()),
            Some(trimmed) => {
                assert!(size() <= room - room / 8, "{} bytes", size());
                assert!(numbers(&store).len() < before);
                assert_eq!(numbers(&store).first(), Some(&trimmed.first.0));
                let slow = step >= 3 && trimmed.first > Seq(321);
                let behind = slow.then(|| ("slow".to_owned(), Seq(320)));
                assert_eq!(trimmed.behind, Vec::from_iter(behind), "step {step}");
            }
        }
    }
    assert!(numbers(&store)[0] > 500, "{}", numbers(&store)[0]);
    // less than a segment: the one that grows stays
    store.keep_within(1).expect("trims");
    assert_eq!(segments(dir.path()).len(), 1);
    until("the index", || store.indexed() == Seq(1000));
    let by_ring = Query {
        filter: Filter {
            ring: Some(RingId::new(100, [1; 10])),
            ..Filter::default()
        },
        ..Query::default()
    };
    assert_eq!(store.find(&by_ring).expect("finds").len(), 1);
    store.close();
    assert!(verify(dir.path()).expect("verifies").ok());
}
