//! Panels that are quiet.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{Event, PanelEvent, PanelId, Timestamp};
use gateway_store::{PutError, Store};

use super::last_events;

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
    let kinds = ["panel.quiet-began", "panel.quiet-ended"];
    let found = last_events(store, &kinds, "the last bells that were quiet");
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
