//! What is there before a restore: the records of the state folder, by kind and key.

use std::collections::BTreeMap;
use std::path::Path;

use gateway_store::{Entry, OfflineError};

use super::KEPT;

/// Records, by kind and key.
pub(super) type Rows = BTreeMap<&'static str, BTreeMap<String, Entry>>;

/// The records of a state folder that a restore may change; none of a folder without a journal.
///
/// # Errors
/// They are damaged or cannot be read.
pub(super) fn rows(state_dir: &Path) -> Result<Rows, OfflineError> {
    let mut rows = Rows::new();
    if !state_dir.join("journal/records").is_dir() {
        return Ok(rows);
    }
    gateway_store::rows(state_dir, &mut |kind, key, entry| {
        if let Some(kind) = KEPT.iter().find(|known| **known == kind) {
            rows.entry(kind).or_default().insert(key.to_owned(), entry);
        }
    })?;
    Ok(rows)
}
