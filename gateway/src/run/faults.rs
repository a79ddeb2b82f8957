//! Faults that stand now and belong to no part of the site machine: guard, journal, accounts, devices, MQTT.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::Fault;
use tokio::sync::watch;

/// How the relay guard is, as far as it is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// It cannot be reached, for this reason.
    Away(String),
    /// It starts, for the first time or anew.
    Starts,
    /// It holds the outputs.
    Up,
}

/// Faults of two lists as one, each part once: of the same said twice the longer text stands, of two things both.
pub(crate) fn merged(mut faults: Vec<Fault>, others: Vec<Fault>) -> Vec<Fault> {
    for other in others {
        match faults.iter_mut().find(|fault| fault.part == other.part) {
            None => faults.push(other),
            Some(fault) if fault.text.contains(&other.text) => {}
            Some(fault) if other.text.contains(&fault.text) => fault.text = other.text,
            Some(fault) => fault.text = format!("{}; {}", fault.text, other.text),
        }
    }
    faults
}

/// A shared list of standing faults by part. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Faults(Arc<Mutex<BTreeMap<String, String>>>, Arc<watch::Sender<Guarded>>);

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::default(), Arc::new(watch::channel(Guarded::Starts).0))
    }
}

impl Faults {
    /// Notes a fault of a part, or that it is gone (`None`).
    pub(crate) fn set(&self, part: &str, text: Option<String>) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => faults.insert(part.to_owned(), text),
            None => faults.remove(part),
        };
    }

    /// Is just this said of a part?
    pub(crate) fn has(&self, part: &str, text: &str) -> bool {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(part).is_some_and(|said| said == text)
    }

    /// Nothing stands any more against parts whose names begin so.
    pub(crate) fn clear(&self, prefix: &str) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|part, _| !part.starts_with(prefix));
    }

    /// Notes how the relay guard is, for who waits for it.
    pub(crate) fn guard_is(&self, guarded: Guarded) {
        self.1.send_replace(guarded);
    }

    /// How the relay guard is.
    pub(crate) fn guarded(&self) -> watch::Receiver<Guarded> {
        self.1.subscribe()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_one_fault_whoever_tells_of_it() {
        let fault = |part: &str, text: &str| Fault {
            part: part.to_owned(),
            text: text.to_owned(),
        };
        let site = vec![
            fault("account:pbx", "503 Service Unavailable"),
            fault("journal", "the disk is full"),
            fault("output:strike", "is another wire"),
        ];
        let driver = vec![
            fault(
                "account:pbx",
                "not registered: 503 Service Unavailable; next try in 30 s",
            ),
            fault("journal", "the disk is full"),
            fault("output:strike", "does not confirm"),
            fault("mqtt", "broker away"),
        ];
        let all = merged(site, driver);
        let texts: Vec<(&str, &str)> = all.iter().map(|f| (f.part.as_str(), f.text.as_str())).collect();
        assert_eq!(
            texts,
            [
                (
                    "account:pbx",
                    "not registered: 503 Service Unavailable; next try in 30 s"
                ),
                ("journal", "the disk is full"),
                ("output:strike", "is another wire; does not confirm"),
                ("mqtt", "broker away"),
            ]
        );
    }
}
