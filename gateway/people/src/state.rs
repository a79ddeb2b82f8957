//! Everybody, as the records have them.

use std::collections::{BTreeMap, BTreeSet};

use gateway_access::{Change, Directory, PinKey, PinTag};
use gateway_core::{CredentialId, PersonId};
use gateway_store::Records;
use serde_json::Value;

use crate::plan::SiteNames;
use crate::row::{BARRED, CREDENTIAL, CredentialRow, PERSON, PersonRow, USE, UseRow};

/// The rows, by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// Digests of removed people whom the site file named: what it has of theirs opens nothing.
    pub(crate) barred: BTreeSet<String>,
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
        records.visit(BARRED, |key, _| {
            state.barred.insert(key.to_owned());
        });
        state
    }

    /// Who was there before, is not any more, and is named by the site file, gets in by it no more; who is there again does
    /// by what the records say.
    pub(crate) fn bar(&mut self, old: &Self, site: &SiteNames, key: &PinKey) {
        let tag = |id: &str| PersonId::new(id).ok().map(|id| key.removed(&id).to_string());
        let gone = old.people.keys().filter(|id| !self.people.contains_key(*id));
        self.barred
            .extend(gone.filter(|id| site.has_of(id)).filter_map(|id| tag(id)));
        if !self.barred.is_empty() {
            let come = self.people.keys().filter(|id| !old.people.contains_key(*id));
            for tag in come.filter_map(|id| tag(id)).collect::<Vec<_>>() {
                self.barred.remove(&tag);
            }
        }
    }
}

/// A count that cannot be read is used up: what was used must not come back.
fn used(value: Value) -> u32 {
    serde_json::from_value::<UseRow>(value).map_or(u32::MAX, |row| row.times)
}

/// Fills the decision's directory from the records, one row after the other; and how many rows could not be read.
#[must_use]
pub fn directory(records: &Records, key: PinKey) -> (Directory, usize) {
    let (mut directory, mut unread) = people_only(records, key);
    let mut take = |change: Option<Change>| match change {
        Some(change) => directory.apply(change),
        None => unread += 1,
    };
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

/// As [`directory`], with nobody's credentials: who is blocked, out of their days or removed, for cards and codes of the
/// site file. Of whom the row cannot be read nothing opens.
#[must_use]
pub fn people_only(records: &Records, key: PinKey) -> (Directory, usize) {
    let mut directory = Directory::new(key.clone());
    let mut unread = 0;
    records.visit(BARRED, |tag, _| match PinTag::parse(tag) {
        Some(tag) => directory.apply(Change::PersonBarred(tag)),
        None => unread += 1,
    });
    records.visit(PERSON, |id, value| {
        let row = serde_json::from_value::<PersonRow>(value).ok();
        let change = row.and_then(|row| row.change(id));
        unread += usize::from(change.is_none());
        let barred = || {
            PersonId::new(id)
                .ok()
                .map(|id| Change::PersonBarred(key.removed(&id)))
        };
        if let Some(change) = change.or_else(barred) {
            directory.apply(change);
        }
    });
    (directory, unread)
}
