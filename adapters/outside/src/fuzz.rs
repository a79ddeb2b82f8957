//! Fuzz targets: plain functions over bytes, for any fuzzer (`tests/fuzz/run`) and for the replay of what it found.

use crate::{Reading, Word};

/// Name and function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 1] = [("outside_payload", payload)];

/// A payload of a device, read as a word and at a few places of its JSON. The first byte chooses the place.
///
/// # Panics
/// If a payload that is not the word is taken for it.
pub fn payload(data: &[u8]) {
    let Some((first, payload)) = data.split_first() else {
        return;
    };
    let places = [
        None,
        Some("/action"),
        Some("/contact"),
        Some("/params/events/0/event"),
        Some(""),
    ];
    let field = places[usize::from(*first) % places.len()];
    let reading = Reading {
        field: field.map(str::to_owned),
        on: vec!["ON".to_owned(), "true".to_owned(), "1".to_owned()],
        off: vec!["OFF".to_owned(), "false".to_owned(), "0".to_owned()],
    };
    if let Some(word) = reading.word(payload) {
        let words = if word == Word::On {
            &reading.on
        } else {
            &reading.off
        };
        let text = String::from_utf8_lossy(payload);
        assert!(
            field.is_some() || words.contains(&text.trim().to_owned()),
            "{text}"
        );
    }
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
