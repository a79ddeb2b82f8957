//! The journal in use: order, durability, trouble of the medium, cursors, locks, a killed process.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{DoorEvent, DoorId, Envelope, Event, Factor, GatewayEvent, Seq, Subject, Timestamp};
use gateway_store::fake::FakeIo;
use gateway_store::{
    AppendError, Edit, OfflineError, OpenError, Options, PutError, RealIo, Store, rows, verify, verify_with,
};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);
const STATE: &str = "/state";

fn options() -> Options {
    Options {
        index: false,
        segment: 8192,
        ..Options::default()
    }
}

fn envelope(event: Event) -> Envelope {
    Envelope {
        at: Timestamp::UNIX_EPOCH,
        event,
        ring: None,
        simulated: false,
    }
}

fn gap(gap_ms: u64) -> Envelope {
    envelope(Event::Gateway(GatewayEvent::LoopGap { gap_ms }))
}

fn open(fake: &FakeIo, options: Options) -> Store {
    let (store, report) = Store::open(Path::new(STATE), options, fake.clone()).expect("opens");
    assert!(report.damage.is_empty(), "{report:?}");
    store
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within 20 s"))
}

#[tokio::test]
async fn records_get_their_number_at_once_and_come_back_in_order() {
    let fake = FakeIo::new();
    let store = open(&fake, options());
    let mut live = store.live();
    let tickets: Vec<_> = (1..=100).map(|n| store.append(gap(n)).expect("taken")).collect();
    for (n, ticket) in (1..).zip(tickets) {
        assert_eq!(ticket.seq(), Seq(n));
        assert_eq!(within("durability", ticket.durable()).await, Ok(Seq(n)));
    }
    for n in 1..=100 {
        assert_eq!(
            within("the live record", live.recv()).await.expect("no lag").seq,
            Seq(n)
        );
    }
    let page = store.read(Seq(42), 3).expect("reads");
    assert_eq!(page.iter().map(|r| r.seq.0).collect::<Vec<_>>(), [42, 43, 44]);
    store.close();
    assert_eq!(store.append(gap(1)).err(), Some(AppendError::Closed));
    let store = open(&fake, options());
    assert_eq!(store.read(Seq(99), 10).expect("reads").len(), 2);
    assert_eq!(store.append(gap(1)).expect("taken").seq(), Seq(101));
}

#[tokio::test]
async fn a_full_disk_is_told_bounded_and_left_without_a_restart() {
    let fake = FakeIo::new();
    let store = open(
        &fake,
        Options {
            queue: 50,
            reserve: 5,
            ..options()
        },
    );
    let first = store.append(gap(0)).expect("taken");
    within("durability", first.durable()).await.expect("open");
    fake.set_full(true);
    let mut tickets = Vec::new();
    let mut health = store.health();
    // The first segment has room for some more; then there is trouble.
    while health.borrow_and_update().ok {
        tickets.extend(store.append(gap(7)));
        assert!(tickets.len() < 1000, "the room reserved is small");
        tokio::task::yield_now().await;
    }
    let told = health.borrow().clone();
    // what it is, where, how much is left, and what to do, before what the system calls it
    for part in [
        "the disk is full: 0 KiB are free for ",
        "; free some room there (df -h ",
    ] {
        assert!(told.text.contains(part), "{part} in {told:?}");
    }
    let full = loop {
        match store.append(gap(7)) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
    };
    assert_eq!(full, AppendError::Full { waiting: 50 });

    let egress = || {
        let door = DoorId::new("front").expect("a name");
        let rex = DoorEvent::Granted {
            factor: Factor::Rex,
            grant: 1,
            rule: "rex".into(),
            subject: Subject::Unknown,
        };
        store.append(envelope(Event::Door(door, rex)))
    };
    for _ in 0..5 {
        tickets.push(egress().expect("egress has a reserve"));
    }
    assert_eq!(egress().err(), Some(AppendError::Full { waiting: 55 }));
    let lost = health.borrow().lost;
    assert!(lost >= 2, "both that found no room are counted: {lost}");

    fake.set_full(false);
    let last = tickets.last().expect("some").seq();
    for ticket in tickets {
        within("durability", ticket.durable())
            .await
            .expect("written after all");
    }
    within("good health", health.wait_for(|h| h.ok && h.buffered == 0))
        .await
        .expect("open");
    store.close();
    let store = open(&fake.after_power_cut(5), options());
    let all = store.read(Seq(1), 10_000).expect("reads");
    assert_eq!(all.len() as u64, last.0);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_syncs_fail_and_a_power_cut_then_loses_only_that() {
    for seed in 0..20 {
        let fake = FakeIo::new();
        let store = open(&fake, options());
        within("durability", store.append(gap(1)).expect("taken").durable())
            .await
            .expect("open");
        fake.set_broken(true);
        let ticket = store.append(gap(2)).expect("taken");
        let mut health = store.health();
        within("bad health", health.wait_for(|h| !h.ok))
            .await
            .expect("open");
        assert_eq!(*store.durable().borrow(), Seq(1));
        let after = fake.after_power_cut(seed);
        store.close();
        assert!(
            within("an answer", ticket.durable()).await.is_err(),
            "closed without being durable"
        );
        let store = open(&after, options());
        assert!(!store.read(Seq(1), 10).expect("reads").is_empty());
        store.close();
        assert!(verify_with(Path::new(STATE), after).expect("verifies").ok());
    }
}

#[tokio::test]
async fn power_cuts_under_load_leave_every_acknowledged_record() {
    for seed in 0..40u64 {
        let fake = FakeIo::new();
        let store = open(&fake, options());
        fake.die_at(20 + seed * 3);
        let mut acked = 0;
        for n in 1..=200 {
            let Ok(ticket) = store.append(gap(n)) else { break };
            if n % 3 == 0 {
                let mut health = store.health();
                tokio::select! {
                    done = ticket.durable() => acked = done.expect("open").0,
                    _ = health.wait_for(|h| !h.ok) => break,
                }
            }
        }
        let after = fake.after_power_cut(seed);
        store.close();
        let store = open(&after, options());
        let all = store.read(Seq(1), 1000).expect("reads");
        assert!(
            all.len() as u64 >= acked,
            "seed {seed}: {acked} acknowledged, {} left",
            all.len()
        );
        for (n, record) in (1..).zip(&all) {
            assert_eq!(record.seq, Seq(n), "seed {seed}");
            assert_eq!(
                record.event(),
                Ok(Event::Gateway(GatewayEvent::LoopGap { gap_ms: n })),
                "seed {seed}"
            );
        }
    }
}

#[tokio::test]
async fn values_cursors_and_deletions_survive_a_restart() {
    let fake = FakeIo::new();
    let store = open(&fake, options());
    for n in 1..=20 {
        store.append(gap(n)).expect("taken");
    }
    let records = store.records();
    within(
        "durability",
        records.put_durable("user", "ann", serde_json::json!({"n": 1}), None),
    )
    .await
    .expect("open");
    within(
        "durability",
        records.put_durable("user", "bob", true.into(), None),
    )
    .await
    .expect("open");
    within("durability", records.delete_durable("user", "bob"))
        .await
        .expect("open");
    let soon = Timestamp::from_second(60).expect("a time");
    records
        .put("command", "old", true.into(), Some(Timestamp::UNIX_EPOCH))
        .expect("taken");
    records
        .put("command", "new", true.into(), Some(soon))
        .expect("taken");
    assert!(records.get("command", "old").is_none(), "expired");
    let cursor = store.cursor("mqtt");
    for n in 1..=17 {
        cursor.advance(Seq(n));
    }
    cursor.advance(Seq(3));
    assert_eq!(store.cursor("mqtt").get(), Seq(17), "never back");
    store.cursor("mqtt").begin(Seq(40));
    store.cursor("new").begin(Seq(0));
    let syncs = fake.syncs();
    drop(cursor);
    store.close();
    // a busy machine may let the writer see some of them one by one, and the puts before them
    assert!(fake.syncs() - syncs < 17, "movements of a cursor are gathered");
    let store = open(&fake.after_power_cut(1), options());
    let users: Vec<_> = store
        .records()
        .list("user")
        .into_iter()
        .map(|(key, e)| (key, e.value))
        .collect();
    assert_eq!(users, [("ann".to_owned(), serde_json::json!({"n": 1}))]);
    assert_eq!(store.records().list("command").len(), 1);
    assert_eq!(
        store.cursor("mqtt").get(),
        Seq(17),
        "one that exists does not begin anew"
    );
    store.cursor("new").begin(Seq(5));
    assert_eq!(
        store.cursor("new").get(),
        Seq(0),
        "nor does one at the very beginning"
    );
}

#[test]
fn a_kind_has_a_limit_that_expired_entries_do_not_count_for() {
    let fake = FakeIo::new();
    let store = open(
        &fake,
        Options {
            kind_limit: 2,
            ..options()
        },
    );
    let records = store.records();
    records
        .put("id", "a", 1.into(), Some(Timestamp::UNIX_EPOCH))
        .expect("taken");
    records.put("id", "b", 1.into(), None).expect("taken");
    records
        .put("id", "c", 1.into(), None)
        .expect("takes the place of the expired one");
    assert_eq!(
        records.put("id", "d", 1.into(), None).err(),
        Some(PutError::KindFull { limit: 2 })
    );
    records
        .put("id", "c", 2.into(), None)
        .expect("changing is no new entry");
    let long = "x".repeat(1 << 20);
    assert!(matches!(
        records.put("id", "c", long.into(), None),
        Err(PutError::TooLong { .. })
    ));
}

#[test]
fn a_lost_events_log_does_not_give_used_numbers_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open(dir.path(), options(), RealIo).expect("opens");
    for n in 1..=9 {
        store.append(gap(n)).expect("taken");
    }
    store.cursor("mqtt").advance(Seq(9));
    store.close();
    std::fs::remove_dir_all(dir.path().join("journal/events")).expect("removes");
    let (store, report) = Store::open(dir.path(), options(), RealIo).expect("opens");
    assert_eq!((report.damage.len(), report.next), (1, Seq(10)), "{report:?}");
    assert_eq!(store.append(gap(1)).expect("taken").seq(), Seq(10));
    store.close();
    assert!(verify(dir.path()).expect("verifies").ok());
}

#[test]
fn a_second_instance_is_told_who_holds_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open(dir.path(), options(), RealIo).expect("opens");
    let Err(error) = Store::open(dir.path(), options(), RealIo) else {
        panic!("opened twice")
    };
    assert!(
        matches!(error, OpenError::InUse { pid, .. } if pid == std::process::id()),
        "{error}"
    );
    store.close();
    Store::open(dir.path(), options(), RealIo).expect("free again");
}

#[test]
fn a_segment_that_the_medium_does_not_give_back_keeps_nothing_from_starting() {
    let fake = FakeIo::new();
    let store = open(&fake, options());
    for n in 1..=100 {
        store.append(gap(n)).expect("taken");
    }
    store.close();
    let last = fake
        .files()
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .max();
    let last = last.expect("a segment");
    let first: u64 = last
        .file_stem()
        .and_then(|s| s.to_str()?.parse().ok())
        .expect("a number");
    fake.set_unreadable(&last);
    let (store, report) = Store::open(Path::new(STATE), options(), fake.clone()).expect("opens");
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(report.damage[0].what.contains("cannot be read"), "{report:?}");
    assert!(report.next > Seq(100), "{report:?}");
    assert_eq!(store.read(Seq(1), 1000).expect("reads").len() as u64, first - 1);
    assert_eq!(store.append(gap(1)).expect("taken").seq(), report.next);
    store.close();
    assert!(verify_with(Path::new(STATE), fake).expect("verifies").ok());
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let fake = FakeIo::new();
    let store = open(&fake, options());
    let text = "é".repeat(5000);
    store
        .append(envelope(Event::Gateway(GatewayEvent::JournalDamage { text })))
        .expect("taken");
    store.close();
    let store = open(&fake, options());
    let page = store.read(Seq(1), 1).expect("reads");
    let kept = page[0].get("text").as_text().expect("a text").to_owned();
    assert_eq!(kept.chars().count(), 2049);
    assert!(kept.ends_with("é…"));
}

const CHILD: &str = "JOURNAL_CHILD";

/// Only for [`a_killed_process_leaves_every_acknowledged_record`]: writes and tells what is acknowledged.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let (store, _) = Store::open(Path::new(&dir), options(), RealIo).expect("opens");
    let store = Arc::new(store);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut out = std::io::stdout();
    for n in 1.. {
        let ticket = store.append(gap(n)).expect("taken");
        if n % 3 == 0 {
            let seq = runtime.block_on(ticket.durable()).expect("open");
            writeln!(out, "acked {seq}")
                .and_then(|()| out.flush())
                .expect("the parent reads");
        }
    }
}

#[test]
fn a_killed_process_leaves_every_acknowledged_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut acked = 0;
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let seqs = lines
            .map_while(Result::ok)
            .filter_map(|l| l.strip_prefix("acked ")?.parse::<u64>().ok());
        for (count, seq) in seqs.enumerate() {
            acked = seq;
            if count == 40 * round {
                // SIGKILL; the lines that are still in the pipe are acknowledged too.
                child.kill().expect("was running");
            }
        }
        child.wait().expect("ends");
        let (store, report) = Store::open(dir.path(), options(), RealIo).expect("opens");
        assert!(report.damage.is_empty(), "{report:?}");
        let last = report.last.0;
        assert!(last >= acked && acked > 0, "{acked} acknowledged, {last} left");
        let all = store.read(Seq(1), usize::MAX).expect("reads");
        assert!((1..).zip(&all).all(|(n, r)| r.seq == Seq(n)));
        assert_eq!(all.len() as u64, last);
        store.close();
        assert!(verify(dir.path()).expect("verifies").ok());
    }
}

#[tokio::test]
async fn records_are_read_beside_the_gateway_that_writes_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open(dir.path(), options(), RealIo).expect("opens");
    let later = Timestamp::now() + Duration::from_secs(3600);
    let records = store.records();
    let value = |n: u64| serde_json::json!({ "n": n });
    for n in 0..200 {
        within(
            "a change",
            records.put_durable("person", &format!("p-{n}"), value(n), None),
        )
        .await
        .expect("taken");
    }
    let edits = vec![
        Edit::set("token", "good", value(1)).until(Some(later)),
        Edit::set("token", "over", value(2)).until(Some(Timestamp::UNIX_EPOCH)),
        Edit::delete("person", "p-7"),
    ];
    let ticket = records.put_all(edits).expect("taken");
    within("the changes", ticket.durable()).await.expect("durable");
    let mut found = Vec::new();
    rows(dir.path(), &mut |kind, key, entry| {
        found.push((kind.to_owned(), key.to_owned(), entry))
    })
    .expect("read");
    let of = |kind: &str| found.iter().filter(|(k, ..)| k == kind).count();
    assert_eq!(
        (of("person"), of("token")),
        (199, 1),
        "what is over or gone is not there"
    );
    let token = found.iter().find(|(kind, ..)| kind == "token").expect("a token");
    assert_eq!((token.1.as_str(), token.2.expires), ("good", Some(later)));
    store.close();

    // a changed byte in the middle: nothing is given
    let log = dir.path().join("journal/records");
    let file = std::fs::read_dir(&log)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .min()
        .expect("a segment");
    let mut bytes = std::fs::read(&file).expect("readable");
    let at = bytes
        .windows(5)
        .position(|part| part == b"\"p-9\"")
        .expect("a row");
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let mut given = 0;
    let damaged = rows(dir.path(), &mut |_, _, _| given += 1);
    assert!(matches!(damaged, Err(OfflineError::Damaged(_))), "{damaged:?}");
    assert_eq!(given, 0);
}
