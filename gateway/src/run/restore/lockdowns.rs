//! What is locked down.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::{DoorGroupId, Event, GatewayEvent, Timestamp};
use gateway_store::{PutError, Store};

use super::last_events;

/// Kind of the lockdown entries among the journal's records.
pub(crate) const LOCKDOWNS: &str = "lockdown";
/// Key of the lockdown of the whole site; no name of a group has a space in it.
const WHOLE_SITE: &str = "whole site";

/// Keeps what is locked down, so that a restart ends no lockdown.
///
/// # Errors
/// [`PutError`] if the records cannot take it now.
pub(crate) fn keep_lockdowns(
    store: &Store,
    groups: &BTreeSet<Option<DoorGroupId>>,
    wall: Timestamp,
) -> Result<(), PutError> {
    let key = |group: &Option<DoorGroupId>| group.as_ref().map_or(WHOLE_SITE, DoorGroupId::as_str).to_owned();
    let wanted: BTreeSet<String> = groups.iter().map(key).collect();
    let known = store.records().list(LOCKDOWNS).into_iter();
    let known: BTreeSet<String> = known.map(|(group, _)| group).collect();
    for begun in wanted.difference(&known) {
        // an end that stands in the journal up to here is that of an earlier one
        let after = store.durable().borrow().0;
        let value = serde_json::json!({ "since": wall.to_string(), "after": after });
        store.records().put(LOCKDOWNS, begun, value, None)?;
    }
    for ended in known.difference(&wanted) {
        store.records().delete(LOCKDOWNS, ended)?;
    }
    Ok(())
}

/// The lockdowns of the records, and what the last events say that the records may not have yet: the answer to a
/// command waits for its event.
pub(super) fn lockdowns(store: &Store) -> Vec<Option<DoorGroupId>> {
    let entries = store.records().list(LOCKDOWNS).into_iter();
    // each with the number of the event after which it began
    let mut all: BTreeMap<Option<DoorGroupId>, u64> = entries
        .filter_map(|(key, entry)| {
            let group = (key != WHOLE_SITE).then(|| DoorGroupId::new(&key));
            Some((
                group.transpose().ok()?,
                entry.value["after"].as_u64().unwrap_or(0),
            ))
        })
        .collect();
    let found = last_events(store, &["gateway.lockdown"], "the last lockdowns");
    // the newest one of each counts
    for record in &found {
        if let Ok(Event::Gateway(GatewayEvent::Lockdown { active, group, .. })) = record.event() {
            if active {
                all.entry(group).or_insert(record.seq.0);
            } else if all.get(&group).is_some_and(|after| record.seq.0 > *after) {
                all.remove(&group);
            }
        }
    }
    all.into_keys().collect()
}
