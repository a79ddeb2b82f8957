//! The fire alarm.

use gateway_core::{Event, GatewayEvent, InputId, Subject, Timestamp};
use gateway_site::KeptFire;
use gateway_store::{PutError, Store};

use super::last_events;

/// Kind of the entry of the fire alarm among the journal's records, by the input that raised it.
pub(crate) const FIRE: &str = "fire";

/// Keeps the fire alarm, so that a restart shuts no door that was opened for it.
///
/// # Errors
/// [`PutError`] if the records cannot take it now.
pub(crate) fn keep_fire(store: &Store, alarm: Option<&KeptFire>, wall: Timestamp) -> Result<(), PutError> {
    let known = store.records().list(FIRE);
    let same = |key: &str, simulated: &serde_json::Value| {
        alarm.is_some_and(|alarm| alarm.input.as_str() == key && *simulated == alarm.simulated)
    };
    for (key, entry) in &known {
        if !same(key, &entry.value["simulated"]) {
            store.records().delete(FIRE, key)?;
        }
    }
    let kept = known
        .iter()
        .any(|(key, entry)| same(key, &entry.value["simulated"]));
    if let Some(alarm) = alarm.filter(|_| !kept) {
        // as for lockdowns
        let after = store.durable().borrow().0;
        let value = serde_json::json!({
            "since": wall.to_string(),
            "after": after,
            "simulated": alarm.simulated,
        });
        store.records().put(FIRE, alarm.input.as_str(), value, None)?;
    }
    Ok(())
}

/// The alarm of the records, and what the last events say that the records may not have yet.
pub(super) fn fire(store: &Store) -> Option<KeptFire> {
    let entries = store.records().list(FIRE).into_iter();
    // with the number of the event after which it was raised
    let mut alarm: Option<(KeptFire, u64)> = entries
        .filter_map(|(key, entry)| {
            let alarm = KeptFire {
                input: InputId::new(&key).ok()?,
                simulated: entry.value["simulated"].as_bool().unwrap_or(false),
            };
            Some((alarm, entry.value["after"].as_u64().unwrap_or(0)))
        })
        .max_by_key(|(_, after)| *after);
    for record in &last_events(store, &["gateway.fire-alarm"], "the last fire alarm") {
        let Ok(Event::Gateway(GatewayEvent::FireAlarm { active, subject })) = record.event() else {
            continue;
        };
        let newer = alarm.as_ref().is_none_or(|(_, after)| record.seq.0 > *after);
        if let Subject::Input(input) = subject
            && active
            && newer
        {
            let simulated = record.simulated;
            alarm = Some((KeptFire { input, simulated }, record.seq.0));
        } else if !active && newer {
            alarm = None;
        }
    }
    alarm.map(|(alarm, _)| alarm)
}
