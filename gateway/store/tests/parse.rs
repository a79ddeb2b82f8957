//! Whatever stands in the files: no panic, and the journal goes on.

use std::path::Path;

use gateway_core::Seq;
use gateway_store::Store;
use gateway_store::fake::FakeIo;
use gateway_store::fuzz::{STATE, goes_on, options, segment, sound};
use proptest::prelude::*;

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
