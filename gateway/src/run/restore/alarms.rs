//! Alarms that go on.

use std::collections::BTreeMap;

use gateway_core::{AlarmEvent, AlarmId, Event, RingId};
use gateway_site::KeptAlarm;
use gateway_store::{PutError, Store};

use super::last_events;

/// Kind of the alarm entries among the journal's records, by the alarm's name.
const ALARMS: &str = "alarm";

/// Keeps which alarms go on, so that a restart ends none.
///
/// # Errors
/// [`PutError`] if the records cannot take it now.
pub(crate) fn keep_alarms(store: &Store, alarms: &[KeptAlarm]) -> Result<(), PutError> {
    // what stands in the journal up to here is told by these
    let after = store.durable().borrow().0;
    let known: BTreeMap<String, _> = store.records().list(ALARMS).into_iter().collect();
    for kept in alarms {
        let (id, ring) = (kept.alarm.as_str(), kept.ring.to_string());
        let same = known.get(id).is_some_and(|entry| {
            entry.value["ring"].as_str() == Some(&ring)
                && entry.value["confirmed"].as_bool() == Some(kept.confirmed)
        });
        if !same {
            let value = serde_json::json!({
                "after": after,
                "confirmed": kept.confirmed,
                "ring": ring,
                "simulated": kept.simulated,
            });
            store.records().put(ALARMS, id, value, None)?;
        }
    }
    for id in known.keys() {
        if alarms.iter().all(|kept| kept.alarm.as_str() != id) {
            store.records().delete(ALARMS, id)?;
        }
    }
    Ok(())
}

/// The alarms of the records, and what the last events say that the records may not have yet.
pub(super) fn alarms(store: &Store) -> Vec<KeptAlarm> {
    let entries = store.records().list(ALARMS).into_iter();
    // each with the number of the event after which it was kept; none for what only the events tell
    let mut all: BTreeMap<AlarmId, (Option<u64>, KeptAlarm)> = entries
        .filter_map(|(id, entry)| {
            let alarm = AlarmId::new(&id).ok()?;
            let kept = KeptAlarm {
                alarm: alarm.clone(),
                confirmed: entry.value["confirmed"].as_bool()?,
                ring: RingId::parse(entry.value["ring"].as_str()?)?,
                simulated: entry.value["simulated"].as_bool().unwrap_or(false),
            };
            Some((alarm, (Some(entry.value["after"].as_u64().unwrap_or(0)), kept)))
        })
        .collect();
    let found = last_events(store, &[ALARMS], "the last alarms");
    for record in &found {
        let (Ok(Event::Alarm(alarm, event)), Some(ring)) = (record.event(), record.ring) else {
            continue;
        };
        match event {
            AlarmEvent::Raised { .. } => {
                let kept = KeptAlarm {
                    alarm: alarm.clone(),
                    confirmed: false,
                    ring,
                    simulated: record.simulated,
                };
                // one of before may still stand in the records, confirmed or not
                let is_newer = |(after, known): &(Option<u64>, KeptAlarm)| {
                    known.ring != ring && after.is_none_or(|after| record.seq.0 > after)
                };
                if all.get(&alarm).is_none_or(is_newer) {
                    all.insert(alarm, (None, kept));
                }
            }
            // whether its input raises it no more is told by the records; without them it rather does
            AlarmEvent::Confirmed { .. } => match all.get_mut(&alarm) {
                Some((Some(after), kept)) => kept.confirmed |= record.seq.0 > *after,
                Some((None, _)) => {
                    all.remove(&alarm);
                }
                None => {}
            },
            AlarmEvent::Called { .. }
            | AlarmEvent::Escalated { .. }
            | AlarmEvent::LockedOut { .. }
            | AlarmEvent::Unconfirmed { .. }
            | AlarmEvent::WrongCode { .. } => {}
        }
    }
    all.into_values().map(|(_, kept)| kept).collect()
}
