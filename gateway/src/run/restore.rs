//! What survives a restart, and how it comes back before the first decision.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_config::LoadError;
use gateway_core::{
    AlarmEvent, AlarmId, CommandEvent, CommandId, DoorGroupId, Envelope, Event, Field, GatewayEvent, Instant,
    PanelEvent, PanelId, RingId, Seq, Subject, Timestamp, Value,
};
use gateway_site::{KeptAlarm, LockOut, Place, SeenId, Site};
use gateway_store::{Filter, PutError, Query, Store, Ticket};

/// Command ids of the last moments: a repetition must not be acted on again.
pub(crate) fn site(site: &mut Site, store: &Store, ttl: Duration, now: Instant, wall: Timestamp) {
    // all of the last moments, and what was acted on within a day
    let looks = [
        ("command", ttl * 2, 10_000),
        ("command.accepted", Site::ACTED_ON, 4096),
    ];
    let mut seen = Vec::new();
    for (kind, age, max) in looks {
        let filter = Filter {
            kind: Some(kind.to_owned()),
            since: Some(wall.checked_sub(age).unwrap_or(wall)),
            ..Filter::default()
        };
        let query = Query {
            filter,
            max,
            newest_first: true,
            ..Query::default()
        };
        let found = store
            .find(&query)
            .inspect_err(|error| tracing::error!(%error, "commands judged before the restart cannot be read"))
            .unwrap_or_default();
        seen.extend(found.iter().filter_map(|record| match record.event() {
            Ok(Event::Command(CommandEvent::Accepted { id, .. })) => Some(SeenId {
                accepted: true,
                at: record.at,
                id,
            }),
            Ok(Event::Command(CommandEvent::Refused { id, .. })) => Some(SeenId {
                accepted: false,
                at: record.at,
                id: CommandId::new(&id)?,
            }),
            Ok(_) | Err(_) => None,
        }));
    }
    site.restore_ids(seen, now, wall);
    site.restore_locks(locks(store, wall), now);
    site.restore_lockdowns(lockdowns(store));
    site.restore_alarms(alarms(store), now);
    site.restore_places(places(store));
    site.restore_quiets(quiets(store), now, wall);
}

/// Kind of the entries of who is where among the journal's records, by `person:NAME` or `credential:NAME`.
pub(crate) const PLACES: &str = "place";

/// Keeps where somebody is.
///
/// # Errors
/// [`PutError`] if the records cannot take it.
pub(crate) fn keep_place(store: &Store, place: &Place) -> Result<Ticket, PutError> {
    let who = place.who.to_string();
    match &place.area {
        Some(area) => {
            let since = place.since.map(|since| since.to_string());
            let value = serde_json::json!({ "area": area.as_str(), "since": since });
            store.records().put(PLACES, &who, value, None)
        }
        None => store.records().delete(PLACES, &who),
    }
}

fn places(store: &Store) -> Vec<Place> {
    let entries = store.records().list(PLACES).into_iter();
    let read = entries.filter_map(|(who, entry)| {
        Some(Place {
            area: Some(entry.value["area"].as_str()?.parse().ok()?),
            since: entry.value["since"].as_str().and_then(|text| text.parse().ok()),
            who: Subject::from_value(&Value::Text(who))?,
        })
    });
    read.collect()
}

/// Kind of the lockdown entries among the journal's records.
const LOCKDOWNS: &str = "lockdown";
/// Key of the lockdown of the whole site; no name of a group has a space in it.
const WHOLE_SITE: &str = "whole site";
/// How many of the last events are looked through for lockdowns that the records do not have yet: both are written
/// at once, each to its own file.
const APART: u64 = 4096;

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
fn lockdowns(store: &Store) -> Vec<Option<DoorGroupId>> {
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
    let last = store.durable().borrow().0;
    let query = Query {
        filter: Filter {
            kind: Some("gateway.lockdown".to_owned()),
            ..Filter::default()
        },
        from: Seq(last.saturating_sub(APART)),
        max: 1000,
        newest_first: true,
        ..Query::default()
    };
    let found = store.find(&query).unwrap_or_else(|error| {
        tracing::error!(%error, "the last lockdowns cannot be read");
        Vec::new()
    });
    // the newest one of each counts
    for record in found.iter().rev() {
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

/// Kind of the entries of panels that are quiet among the journal's records, by panel.
const QUIETS: &str = "quiet";

/// Keeps which panels are quiet, and until when, so that a restart lets no bell call.
///
/// # Errors
/// [`PutError`] if the records cannot take it now.
pub(crate) fn keep_quiets(
    store: &Store,
    quiets: &BTreeMap<PanelId, Option<Timestamp>>,
) -> Result<(), PutError> {
    let known: BTreeMap<String, _> = store.records().list(QUIETS).into_iter().collect();
    let text = |until: &Option<Timestamp>| until.map(|until| until.to_string());
    for (panel, until) in quiets {
        let same = known
            .get(panel.as_str())
            .is_some_and(|entry| entry.value["until"].as_str() == text(until).as_deref());
        if !same {
            // as for lockdowns
            let after = store.durable().borrow().0;
            let value = serde_json::json!({ "until": text(until), "after": after });
            store.records().put(QUIETS, panel.as_str(), value, None)?;
        }
    }
    for ended in known
        .keys()
        .filter(|panel| !quiets.keys().any(|id| id.as_str() == *panel))
    {
        store.records().delete(QUIETS, ended)?;
    }
    Ok(())
}

/// The alarms of the records, and what the last events say that the records may not have yet.
fn alarms(store: &Store) -> Vec<KeptAlarm> {
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
    let last = store.durable().borrow().0;
    let query = Query {
        filter: Filter {
            kind: Some(ALARMS.to_owned()),
            ..Filter::default()
        },
        from: Seq(last.saturating_sub(APART)),
        max: 1000,
        newest_first: true,
        ..Query::default()
    };
    let found = store.find(&query).unwrap_or_else(|error| {
        tracing::error!(%error, "the last alarms cannot be read");
        Vec::new()
    });
    for record in found.iter().rev() {
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
                all.entry(alarm).or_insert((None, kept));
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
            | AlarmEvent::Unconfirmed { .. }
            | AlarmEvent::WrongCode { .. } => {}
        }
    }
    all.into_values().map(|(_, kept)| kept).collect()
}

/// The panels that are quiet by the records, and what the last events say that the records may not have yet.
pub(crate) fn quiets(store: &Store) -> BTreeMap<PanelId, Option<Timestamp>> {
    let entries = store.records().list(QUIETS).into_iter();
    let mut all: BTreeMap<PanelId, (u64, Option<Timestamp>)> = entries
        .filter_map(|(key, entry)| {
            let until = entry.value["until"].as_str().and_then(|text| text.parse().ok());
            let after = entry.value["after"].as_u64().unwrap_or(0);
            // what cannot be read is no reason to keep a bell from calling
            let whole = until.is_some() || entry.value["until"].is_null();
            whole.then_some((PanelId::new(&key).ok()?, (after, until)))
        })
        .collect();
    let last = store.durable().borrow().0;
    let mut found = Vec::new();
    for kind in ["panel.quiet-began", "panel.quiet-ended"] {
        let query = Query {
            filter: Filter {
                kind: Some(kind.to_owned()),
                ..Filter::default()
            },
            from: Seq(last.saturating_sub(APART)),
            max: 1000,
            newest_first: true,
            ..Query::default()
        };
        found.extend(store.find(&query).unwrap_or_else(|error| {
            tracing::error!(%error, "which bells are quiet cannot be read");
            Vec::new()
        }));
    }
    found.sort_by_key(|record| record.seq);
    for record in &found {
        match record.event() {
            Ok(Event::Panel(panel, PanelEvent::QuietBegan { limit_s, .. })) => {
                let limit = limit_s.map(Duration::from_secs);
                let until = limit.and_then(|limit| record.at.checked_add(limit).ok());
                if all.get(&panel).is_none_or(|(after, _)| record.seq.0 > *after) {
                    all.insert(panel, (record.seq.0, until));
                }
            }
            Ok(Event::Panel(panel, PanelEvent::QuietEnded { .. })) => {
                if all.get(&panel).is_some_and(|(after, _)| record.seq.0 > *after) {
                    all.remove(&panel);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
    all.into_iter()
        .map(|(panel, (_, until))| (panel, until))
        .collect()
}

/// Date of the last record, which the wall clock must not be before.
pub(crate) fn newest(store: &Store) -> Option<Timestamp> {
    let query = Query {
        max: 1,
        newest_first: true,
        ..Query::default()
    };
    let found = store.find(&query);
    let found =
        found.inspect_err(|error| tracing::error!(%error, "the journal's last record cannot be read"));
    found.ok()?.first().map(|record| record.at)
}

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

fn locks(store: &Store, wall: Timestamp) -> Vec<LockOut> {
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

/// Journals that the given site file was not taken at start.
pub(crate) fn refused(store: &Store, why: &LoadError, wall: Timestamp) {
    let count = if let LoadError::Faults(faults) = why {
        faults.list.len() as u64
    } else {
        1
    };
    refusal(store, count, &why.to_string(), wall);
}

/// Journals that a site file was not taken.
pub(crate) fn refusal(store: &Store, faults: u64, text: &str, wall: Timestamp) {
    // the first line names the place; the rest is on standard error
    let first = text.lines().next().unwrap_or_default().to_owned();
    let event = Event::Gateway(GatewayEvent::ConfigRefused { faults, first });
    if store
        .append(Envelope {
            at: wall,
            event,
            ring: None,
            simulated: false,
        })
        .is_err()
    {
        tracing::error!("the refusal could not be journalled");
    }
}
