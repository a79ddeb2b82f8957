//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gateway_core::{Envelope, Event, GatewayEvent, Seq, Timestamp};

use crate::fake::FakeIo;
use crate::{Options, Store, from_json_text, json_text, verify_with};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 2] = [("journal", journal), ("row", row)];

/// Folder of the journals here.
pub const STATE: &str = "/state";
const LOGS: [&str; 2] = ["events", "records"];

/// Small segments, no index.
#[must_use]
pub fn options() -> Options {
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

/// The first segment of a log.
#[must_use]
pub fn segment(log: &str) -> PathBuf {
    Path::new(STATE)
        .join("journal")
        .join(log)
        .join(format!("{:020}.seg", 1))
}

/// Both segments of a small journal.
///
/// # Panics
/// If it cannot be written.
pub fn sound() -> &'static [Vec<u8>; 2] {
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
        LOGS.map(|log| fake.bytes(&segment(log)).expect("there"))
    })
}

/// Any bytes as both segments, a snapshot and the anchors; or, if the first byte is odd, a small sound journal that is cut
/// at a place (two bytes) and changed at others (two bytes and the new one, again and again).
///
/// # Panics
/// If the journal does not go on behind them.
pub fn journal(data: &[u8]) {
    let fake = FakeIo::new();
    match data {
        [first, high, low, changes @ ..] if first & 1 == 1 => {
            for (log, bytes) in LOGS.iter().zip(sound()) {
                let mut bytes = bytes.clone();
                let place = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
                for change in changes.chunks_exact(3) {
                    let at = place(change[0], change[1]) % bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = change[2];
                    }
                }
                bytes.truncate(place(*high, *low));
                fake.plant(&segment(log), bytes);
            }
        }
        _ => {
            for log in LOGS {
                fake.plant(&segment(log), data.to_vec());
            }
            let records = Path::new(STATE).join("journal/records");
            fake.plant(&records.join(format!("{:020}.snap", 3)), data.to_vec());
            fake.plant(&records.join("anchors.jsonl"), data.to_vec());
        }
    }
    goes_on(&fake);
}

/// A row: an error, or a record that comes back from its own text.
///
/// # Panics
/// If it does not.
pub fn row(data: &[u8]) {
    if let Ok(record) = from_json_text(data) {
        let again = from_json_text(json_text(&record).as_bytes()).expect("own text");
        assert_eq!(again, record);
    }
}

/// Opens what stands there, writes behind it, and finds that again.
///
/// # Panics
/// If it does not.
pub fn goes_on(fake: &FakeIo) {
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

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
