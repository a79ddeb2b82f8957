//! Everybody, as the records have them.

use std::collections::BTreeMap;

use gateway_access::{Change, Directory, PinKey};
use gateway_core::CredentialId;
use gateway_store::Records;
use serde_json::Value;

use crate::row::{CREDENTIAL, CredentialRow, PERSON, PersonRow, USE, UseRow};

/// The rows, by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) credentials: BTreeMap<String, CredentialRow>,
    pub(crate) people: BTreeMap<String, PersonRow>,
    /// Rows that this version cannot read, by kind and key: they open nothing, and are left as they are.
    pub(crate) unread: Vec<(&'static str, String)>,
    pub(crate) uses: BTreeMap<String, u32>,
}

impl State {
    pub(crate) fn load(records: &Records) -> Self {
        let mut state = Self::default();
        let mut unread = Vec::new();
        records.visit(PERSON, |key, value| match serde_json::from_value(value) {
            Ok(row) => {
                state.people.insert(key.to_owned(), row);
            }
            Err(_) => unread.push((PERSON, key.to_owned())),
        });
        records.visit(CREDENTIAL, |key, value| match serde_json::from_value(value) {
            Ok(row) => {
                state.credentials.insert(key.to_owned(), row);
            }
            Err(_) => unread.push((CREDENTIAL, key.to_owned())),
        });
        records.visit(USE, |key, value| {
            state.uses.insert(key.to_owned(), used(value));
        });
        state.unread = unread;
        state
    }
}

/// A count that cannot be read is used up: what was used must not come back.
fn used(value: Value) -> u32 {
    serde_json::from_value::<UseRow>(value).map_or(u32::MAX, |row| row.times)
}

/// Fills the decision's directory from the records, one row after the other; and how many rows could not be read.
#[must_use]
pub fn directory(records: &Records, key: PinKey) -> (Directory, usize) {
    let mut directory = Directory::new(key);
    let mut unread = 0;
    let mut take = |change: Option<Change>| match change {
        Some(change) => directory.apply(change),
        None => unread += 1,
    };
    records.visit(PERSON, |key, value| {
        let row = serde_json::from_value::<PersonRow>(value).ok();
        take(row.and_then(|row| row.change(key)));
    });
    records.visit(CREDENTIAL, |key, value| {
        let row = serde_json::from_value::<CredentialRow>(value).ok();
        take(row.and_then(|row| row.change(key)));
    });
    records.visit(USE, |key, value| {
        let change = CredentialId::new(key).ok().map(|credential| Change::Used {
            credential,
            times: used(value),
        });
        take(change);
    });
    (directory, unread)
}
