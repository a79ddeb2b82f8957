//! Who is where, for anti-passback.

use gateway_core::{Field as _, Subject, Value};
use gateway_site::Place;
use gateway_store::{PutError, Store, Ticket};

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

pub(super) fn places(store: &Store) -> Vec<Place> {
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
