//! Codes of a site file against those of people.

use std::collections::BTreeMap;

use gateway_access::PinKey;
use gateway_core::Secret;
use gateway_store::Records;

use crate::row::{CREDENTIAL, CredentialRow};

/// Which of these codes, by index, are a person's code, begin one, or go on after one. Goes through all credentials
/// once.
#[must_use]
pub fn clashes(records: &Records, key: &PinKey, codes: &[&Secret]) -> Vec<usize> {
    let mut by_value: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut by_head: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, code) in codes.iter().enumerate() {
        let text = code.reveal();
        for (start, char) in text.char_indices() {
            let begin = Secret::new(&text[..start + char.len_utf8()]);
            by_value.entry(key.code(&begin).to_string()).or_default().push(at);
        }
        by_head.entry(key.head(text).to_string()).or_default().push(at);
    }
    let mut found = vec![false; codes.len()];
    records.visit(CREDENTIAL, |_, value| {
        // what cannot be read opens nothing
        let row = serde_json::from_value::<CredentialRow>(value).ok();
        let Some(row) = row.filter(|row| row.kind.is_code()) else {
            return;
        };
        let begun = row.heads.iter().filter_map(|head| by_head.get(head));
        for at in begun.chain(by_value.get(&row.value)).flatten() {
            found[*at] = true;
        }
    });
    (0..codes.len()).filter(|at| found[*at]).collect()
}
