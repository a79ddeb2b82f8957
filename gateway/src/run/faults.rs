//! Faults that stand now and belong to no part of the site machine: guard, journal, accounts, devices, MQTT.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::Fault;

/// A shared list of standing faults by part. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<BTreeMap<String, String>>>);

impl Faults {
    /// Notes a fault of a part, or that it is gone (`None`).
    pub(crate) fn set(&self, part: &str, text: Option<String>) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => faults.insert(part.to_owned(), text),
            None => faults.remove(part),
        };
    }

    /// Nothing stands any more against parts whose names begin so.
    pub(crate) fn clear(&self, prefix: &str) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|part, _| !part.starts_with(prefix));
    }

    /// All of them, by part.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults
            .iter()
            .map(|(part, text)| Fault {
                part: part.clone(),
                text: text.clone(),
            })
            .collect()
    }
}
