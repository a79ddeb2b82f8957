//! Who is locked out.

use std::time::Duration;

use gateway_core::Timestamp;
use gateway_site::LockOut;
use gateway_store::{PutError, Store};

/// Kind of the lock-out entries among the journal's records.
const LOCKS: &str = "lock-out";

/// Keeps who is locked out, so that a restart is no way round it. Entries end by themselves. Whoever holds the records
/// is waited for.
///
/// # Errors
/// The first change that was not taken; the others may have been. It may be tried again.
pub(crate) fn keep_locks(store: &Store, locks: &[LockOut], wall: Timestamp) -> Result<(), PutError> {
    let records = store.records();
    let mut first = Ok(());
    for lock in locks {
        let until = wall.checked_add(lock.left).unwrap_or(wall);
        let value = serde_json::json!({ "failures": lock.failures, "until": until.to_string() });
        let expires = wall.checked_add(lock.left + FORGET).ok();
        let put = records.put(LOCKS, &lock.source.to_string(), value, expires);
        first = first.and(put.map(|_| ()));
    }
    for (source, _) in records.list(LOCKS) {
        if locks.iter().all(|lock| lock.source.to_string() != source) {
            first = first.and(records.delete(LOCKS, &source).map(|_| ()));
        }
    }
    first
}

/// Wrong tries are remembered this long.
const FORGET: Duration = Duration::from_secs(3600);

pub(super) fn locks(store: &Store, wall: Timestamp) -> Vec<LockOut> {
    let entries = store.records().list(LOCKS).into_iter();
    let read = entries.filter_map(|(source, entry)| {
        let until: Timestamp = entry.value["until"].as_str()?.parse().ok()?;
        Some(LockOut {
            failures: u32::try_from(entry.value["failures"].as_u64()?).ok()?,
            left: Duration::try_from(until.duration_since(wall)).unwrap_or(Duration::ZERO),
            source: source.parse().ok()?,
        })
    });
    read.collect()
}
