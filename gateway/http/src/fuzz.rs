//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::parse::{Query, accept_language, bearer, cookie, escape, idempotency, percent};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 2] = [("http_contacts", contacts), ("http_head", head)];

/// A list of contacts, as somebody imports it.
///
/// # Panics
/// If a fault has no words.
pub fn contacts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let faults = crate::contact_list::faults(&text);
    assert!(faults.iter().all(|fault| !fault.is_empty()), "{faults:?}");
}

/// What stands in the head of a request.
///
/// # Panics
/// If an escaped text does not come back.
pub fn head(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = percent(&text, true);
    let _ = Query::parse(&text);
    let _ = cookie(&text, "doorline");
    let _ = bearer(&text);
    let _ = accept_language(&text);
    let _ = idempotency(&text);
    let _ = crate::origin::host_name(&text);
    assert_eq!(percent(&escape(&text), true).as_deref(), Some(&*text));
}

#[cfg(test)]
#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_survives_its_corpus() {
        super::replay::replay(&super::TARGETS);
    }
}
