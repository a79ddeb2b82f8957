//! What survives a restart, and how it comes back before the first decision.

mod alarms;
mod cut_off;
mod fire;
mod lockdowns;
mod locks;
mod places;
mod quiets;
mod tries;

use std::sync::Arc;
use std::time::Duration;

use gateway_config::LoadError;
use gateway_core::{CommandEvent, CommandId, Envelope, Event, GatewayEvent, Instant, Record, Seq, Timestamp};
use gateway_site::{SeenId, Site};
use gateway_store::{Filter, Query, Store};

pub(crate) use alarms::keep_alarms;
pub(crate) use cut_off::{Before, ON, follow_what_is_on};
pub(crate) use fire::{FIRE, keep_fire};
pub(crate) use lockdowns::{LOCKDOWNS, keep_lockdowns};
pub(crate) use locks::keep_locks;
pub(crate) use places::{PLACES, keep_place};
pub(crate) use quiets::{keep_quiets, quiets};
pub(crate) use tries::{Moment, keep_tries, tries};

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
            Ok(Event::Command(CommandEvent::Accepted { id, subject, .. })) => Some(SeenId {
                accepted: true,
                at: record.at,
                id,
                subject,
            }),
            Ok(Event::Command(CommandEvent::Refused { id, subject, .. })) => Some(SeenId {
                accepted: false,
                at: record.at,
                id: CommandId::new(&id)?,
                subject,
            }),
            Ok(_) | Err(_) => None,
        }));
    }
    site.restore_ids(seen, now, wall);
    site.restore_locks(locks::locks(store, wall), now);
    site.restore_fire(fire::fire(store));
    site.restore_lockdowns(lockdowns::lockdowns(store));
    site.restore_alarms(alarms::alarms(store), now);
    site.restore_places(places::places(store));
    site.restore_quiets(quiets(store), now, wall);
}

/// How many of the last events are looked through for what the records do not have yet: both are written at once, each to
/// its own file, and the answer to a command waits for its event.
const APART: u64 = 4096;

/// The last events of some kinds, the oldest first; none if they cannot be read, which is logged as `what`.
fn last_events(store: &Store, kinds: &[&str], what: &str) -> Vec<Arc<Record>> {
    let from = Seq(store.durable().borrow().0.saturating_sub(APART));
    let mut all = Vec::new();
    for kind in kinds {
        let query = Query {
            filter: Filter {
                kind: Some((*kind).to_owned()),
                ..Filter::default()
            },
            from,
            max: 1000,
            newest_first: true,
            ..Query::default()
        };
        match store.find(&query) {
            Ok(found) => all.extend(found),
            Err(error) => tracing::error!(%error, "{what} cannot be read"),
        }
    }
    all.sort_by_key(|record| record.seq);
    all
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

#[cfg(test)]
mod tests;
