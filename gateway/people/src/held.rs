//! Cards and codes of the site file, as far as people and their credentials meet them.

use std::collections::{BTreeMap, BTreeSet};

use gateway_access::CardKey;
use gateway_core::{CardFrame, Secret};
use gateway_store::Records;

use crate::plan::SiteNames;
use crate::row::{CREDENTIAL, CredentialRow};
use crate::state::State;

/// A card, code or caller of the site file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfSite {
    /// Where it stands: `cards.bob`, `codes.nine`, `doors.front.callers[0]`.
    pub at: String,
    /// Its bits, if it is a card.
    pub card: Option<CardFrame>,
    /// Its digits, if it is a code.
    pub digits: Option<Secret>,
    /// What it opens.
    pub doors: Vec<String>,
    /// What it is called.
    pub name: String,
    /// Its number, if it is a caller.
    pub number: Option<String>,
    /// Whom it names.
    pub person: Option<String>,
    /// Where a code may be typed, if not everywhere: `call` or `keypad`.
    pub place: Option<&'static str>,
    /// When it opens, if not always.
    pub schedule: Option<String>,
}

/// Which of these cards of a site file, by index, somebody has in the records. Goes through all credentials once.
#[must_use]
pub fn same_cards(records: &Records, frames: &[&CardFrame]) -> Vec<usize> {
    let mut by_key: BTreeMap<CardKey, Vec<usize>> = BTreeMap::new();
    for (at, frame) in frames.iter().enumerate() {
        for key in CardKey::all_of(frame) {
            by_key.entry(key).or_default().push(at);
        }
    }
    let mut found = BTreeSet::new();
    records.visit(CREDENTIAL, |_, value| {
        let row = serde_json::from_value::<CredentialRow>(value).ok();
        let row = row.filter(|row| row.kind.is_card());
        let key = row.and_then(|row| CardKey::parse(&row.value).ok());
        found.extend(
            key.and_then(|key| by_key.get(&key))
                .into_iter()
                .flatten()
                .copied(),
        );
    });
    found.into_iter().collect()
}

/// Cards of the site file by all they are known by, and where they stand.
pub(crate) fn cards(site: &SiteNames) -> BTreeMap<CardKey, &str> {
    let mut all = BTreeMap::new();
    for held in &site.held {
        for key in held.card.iter().flat_map(CardKey::all_of) {
            all.insert(key, held.at.as_str());
        }
    }
    all
}

impl SiteNames {
    /// Does a card or code name this person?
    pub(crate) fn has_of(&self, person: &str) -> bool {
        self.held
            .iter()
            .any(|held| held.person.as_deref() == Some(person))
    }

    /// Where the site file has cards and codes of this person: what names them, and what is the same as a card of theirs.
    fn places_of(&self, person: &str, state: &State) -> BTreeSet<&str> {
        let theirs = |row: &&CredentialRow| row.person.as_deref() == Some(person);
        let cards: BTreeSet<CardKey> = state
            .credentials
            .values()
            .filter(theirs)
            .filter(|row| row.kind.is_card())
            .filter_map(|row| CardKey::parse(&row.value).ok())
            .collect();
        let same = |frame: &CardFrame| CardKey::all_of(frame).iter().any(|key| cards.contains(key));
        let held = self.held.iter().filter(|held| {
            held.person.as_deref() == Some(person)
                || held.person.is_none() && !cards.is_empty() && held.card.as_ref().is_some_and(same)
        });
        held.map(|held| held.at.as_str()).collect()
    }

    /// What of the people whom a change blocks or removes still stands in the site file, in words; none if nothing does.
    pub(crate) fn left(&self, old: &State, new: &State) -> Vec<String> {
        let mut left = Vec::new();
        for (id, row) in &new.people {
            if row.blocked && old.people.get(id).is_none_or(|old| !old.blocked) {
                let places = self.places_of(id, new);
                if !places.is_empty() {
                    left.push(format!(
                        "the site file has {} of {id:?}: blocked with them; take it out of the file if they do not come \
                         back",
                        listed(&places)
                    ));
                }
            }
        }
        if old.barred.iter().any(|tag| !new.barred.contains(tag)) {
            for id in new.people.keys().filter(|id| !old.people.contains_key(*id)) {
                let places = self.places_of(id, new);
                if !places.is_empty() {
                    left.push(format!(
                        "the site file has {} of {id:?}: what was shut since somebody of this id was removed opens again",
                        listed(&places)
                    ));
                }
            }
        }
        for id in old.people.keys().filter(|id| !new.people.contains_key(*id)) {
            let places = self.places_of(id, old);
            let (named, same): (BTreeSet<&str>, BTreeSet<&str>) = places.into_iter().partition(|at| {
                let mut held = self.held.iter().filter(|held| held.at == *at);
                held.any(|held| held.person.as_deref() == Some(id))
            });
            if !named.is_empty() {
                left.push(format!(
                    "the site file still has {} of {id:?}: it opens nothing any more; take it out of the file",
                    listed(&named)
                ));
            }
            if !same.is_empty() {
                left.push(format!(
                    "STILL OPENS: the site file has {}, the same card as one of {id:?}, and names nobody; take it out of \
                     the file and load it",
                    listed(&same)
                ));
            }
        }
        left
    }
}

fn listed(places: &BTreeSet<&str>) -> String {
    const NAMED: usize = 8;
    let mut text = places.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if places.len() > NAMED {
        text += " and more";
    }
    text
}
