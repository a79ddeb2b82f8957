//! Whatever stands in the files: no panic, and the journal goes on.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gateway_core::{Envelope, Event, GatewayEvent, Seq, Timestamp};
use gateway_store::fake::FakeIo;
use gateway_store::{Options, Store, verify_with};
use proptest::prelude::*;

const STATE: &str = "/state";

fn options() -> Options {
    Options {
        index: false,
        segment: 4096,
        verify_sealed: false,
        ..Options::default()
    }
}

fn stop() -> Envelope {
    Envelope {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Gateway(GatewayEvent::Stopping {}),
        ring: None,
        simulated: false,
    }
}

fn segment(log: &str) -> PathBuf {
    Path::new(STATE)
        .join("journal")
        .join(log)
        .join(format!("{:020}.seg", 1))
}

/// Both segments of a small journal.
fn sound() -> &'static [Vec<u8>; 2] {
    static SOUND: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    SOUND.get_or_init(|| {
        let fake = FakeIo::new();
        let (store, _) = Store::open(Path::new(STATE), options(), fake.clone()).expect("opens");
        for n in 0..6u64 {
            store.append(stop()).expect("taken");
            store
                .records()
                .put("token", &n.to_string(), n.into(), None)
                .expect("taken");
        }
        store.close();
        ["events", "records"].map(|log| fake.bytes(&segment(log)).expect("there"))
    })
}

fn goes_on(fake: &FakeIo) {
    verify_with(Path::new(STATE), fake.clone()).expect("lists");
    let (store, report) = Store::open(Path::new(STATE), options(), fake.clone()).expect("opens");
    assert_eq!(store.append(stop()).expect("taken").seq(), report.next);
    store
        .records()
        .put("token", "new", true.into(), None)
        .expect("taken");
    store.close();
    let (store, again) = Store::open(Path::new(STATE), options(), fake.clone()).expect("opens");
    assert_eq!(again.last, report.next, "{report:?} {again:?}");
    assert!(again.damage.is_empty(), "{report:?} {again:?}");
    assert!(store.records().get("token", "new").is_some());
    let last = store.read(Seq(report.next.0), 10).expect("reads");
    assert_eq!(last.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_in_every_file(data in prop::collection::vec(any::<u8>(), 0..3000)) {
        gateway_store::fuzz::journal(&data);
    }

    #[test]
    fn a_sound_segment_with_bytes_changed_moved_or_gone(
        changes in prop::collection::vec((0..4096usize, any::<u8>()), 0..6),
        cut in 0..4096usize,
        from in 0..4096usize,
        to in 0..4096usize,
    ) {
        let fake = FakeIo::new();
        for (log, bytes) in ["events", "records"].iter().zip(sound()) {
            let mut bytes = bytes.clone();
            let part = bytes[from.min(3000)..from.min(3000) + 200].to_vec();
            bytes[to.min(3800)..to.min(3800) + 200].copy_from_slice(&part);
            for (at, byte) in &changes {
                bytes[*at] = *byte;
            }
            bytes.truncate(cut + 1);
            fake.plant(&segment(log), bytes);
        }
        goes_on(&fake);
    }

    #[test]
    fn any_row(data in r#"\{"seq":[0-9]{1,22},"at":"(2026-03-01T12:00:00Z|x)","kind":"[a-z.]{0,9}","source":(null|"[a-z]{1,5}"),"ring_id":null,"(schema|_|source_|seq__|at_)":(null|1|-7|1.5|"é"|\[\{\}\])\}"#) {
        gateway_store::fuzz::row(data.as_bytes());
    }
}

#[test]
fn a_journal_left_alone_stays_as_it_is() {
    let fake = FakeIo::new();
    for (log, bytes) in ["events", "records"].iter().zip(sound()) {
        fake.plant(&segment(log), bytes.clone());
    }
    let (store, report) = Store::open(Path::new(STATE), options(), fake.clone()).expect("opens");
    assert_eq!(
        (report.last, report.damage.len(), report.torn.len()),
        (Seq(6), 0, 0),
        "{report:?}"
    );
    store.close();
    assert_eq!(fake.bytes(&segment("events")).as_ref(), Some(&sound()[0]));
}
