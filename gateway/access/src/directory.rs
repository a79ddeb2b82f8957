//! People and their credentials, as far as the decision must know them: who they are is told apart by ids only.
//!
//! The directory is the projection of the records in the journal. It is filled before the first decision and changed
//! while the gateway runs; the decision finds a credential in it in the same time whether it holds a hundred or a
//! hundred thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_core::{CardFrame, CredentialId, DoorId, GroupId, Peer, PersonId, Secret, Timestamp};

use crate::caller::{CallerPattern, user_of};
use crate::card_key::{CardKey, keys_of};
use crate::pin::{PinKey, PinTag};
use crate::policy::CodeFrom;
use crate::schedule::When;

/// From when until when something is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not from then on.
    pub until: Option<Timestamp>,
}

impl Validity {
    /// Is it valid then? What has no first and no last day needs no clock.
    #[must_use]
    pub fn holds_at(&self, wall: Option<Timestamp>) -> bool {
        match wall {
            None => *self == Self::default(),
            Some(wall) => {
                self.from.is_none_or(|from| wall >= from) && self.until.is_none_or(|until| wall < until)
            }
        }
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Nothing of theirs opens.
    pub blocked: bool,
    /// What they may open: the doors of their groups.
    pub groups: BTreeSet<GroupId>,
    /// Who.
    pub id: PersonId,
    /// When.
    pub valid: Validity,
}

/// What is shown, typed or dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A card, tag or iButton.
    Card(CardKey),
    /// A code that opens by itself: a visitor's, or a PIN alone.
    Code {
        /// Typed under duress: it opens as the others do, and is told in silence.
        duress: bool,
        /// Where it may be typed.
        from: BTreeSet<CodeFrom>,
        /// What it begins with, by the site's key: [`PinKey::heads`].
        heads: Vec<PinTag>,
        /// The digits, by the site's key.
        tag: PinTag,
    },
    /// A PIN as [`Pin`](Self::Pin) that is typed under duress: it does the same, and is told in silence.
    DuressPin(PinTag),
    /// A telephone number.
    Phone {
        /// The PIN of its owner is needed too.
        needs_pin: bool,
        /// Which; without wildcards.
        number: CallerPattern,
    },
    /// A PIN that opens nothing by itself: it completes a card or a telephone number of the same person.
    Pin(PinTag),
}

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What it opens beside the doors of its person's groups.
    pub doors: BTreeSet<DoorId>,
    /// Its name, never used again for another one.
    pub id: CredentialId,
    /// Whose it is.
    pub person: Option<PersonId>,
    /// What it is.
    pub proof: Proof,
    /// How often it opens; `None` is without end.
    pub uses: Option<u32>,
    /// When.
    pub valid: Validity,
    /// When, in the week.
    pub when: When,
}

/// One change of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A credential is there, or differs.
    Credential(Credential),
    /// A credential is withdrawn.
    CredentialGone(CredentialId),
    /// A person is there, or differs.
    Person(Person),
    /// A person whom the site file names was removed, by [`PinKey::removed`]: what it has of theirs opens nothing until
    /// they are there again.
    PersonBarred(PinTag),
    /// A person is gone; their credentials open nothing.
    PersonGone(PersonId),
    /// A credential with a number of uses was used so often; never taken back.
    Used {
        /// Which.
        credential: CredentialId,
        /// How often.
        times: u32,
    },
}

/// Everybody, found by what they show.
#[derive(Debug, Default)]
pub struct Directory {
    /// Removed persons whom the site file named.
    barred: BTreeSet<PinTag>,
    by_card: BTreeMap<CardKey, Vec<CredentialId>>,
    by_code: BTreeMap<PinTag, Vec<CredentialId>>,
    /// Codes by what they begin with.
    by_head: BTreeMap<PinTag, Vec<CredentialId>>,
    by_phone: BTreeMap<String, Vec<CredentialId>>,
    credentials: BTreeMap<CredentialId, Arc<Credential>>,
    key: PinKey,
    people: BTreeMap<PersonId, Person>,
    pins: BTreeMap<PersonId, Vec<CredentialId>>,
    used: BTreeMap<CredentialId, u32>,
}

impl Directory {
    /// An empty one. The key is the one by which the tags of codes and PINs were made.
    #[must_use]
    pub fn new(key: PinKey) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// Takes a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Credential(credential) => {
                self.remove(&credential.id);
                self.index(&credential, true);
                self.credentials
                    .insert(credential.id.clone(), Arc::new(credential));
            }
            Change::CredentialGone(id) => {
                self.remove(&id);
                self.used.remove(&id);
            }
            Change::Person(person) => {
                if !self.barred.is_empty() {
                    self.barred.remove(&self.key.removed(&person.id));
                }
                self.people.insert(person.id.clone(), person);
            }
            Change::PersonBarred(tag) => {
                self.barred.insert(tag);
            }
            Change::PersonGone(id) => {
                self.people.remove(&id);
            }
            Change::Used { credential, times } => {
                let used = self.used.entry(credential).or_default();
                *used = times.max(*used);
            }
        }
    }

    /// How many credentials there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.credentials.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.credentials.is_empty()
    }

    /// Every credential, by name.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.credentials.values().map(AsRef::as_ref)
    }

    /// Is it there?
    #[must_use]
    pub fn has(&self, id: &CredentialId) -> bool {
        self.credentials.contains_key(id)
    }

    pub(crate) fn credential(&self, id: &CredentialId) -> Option<&Credential> {
        self.credentials.get(id).map(AsRef::as_ref)
    }

    /// A person.
    #[must_use]
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.get(id)
    }

    /// Was somebody removed whom the site file names?
    pub(crate) fn is_barred(&self, id: &PersonId) -> bool {
        !self.barred.is_empty()
            && !self.people.contains_key(id)
            && self.barred.contains(&self.key.removed(id))
    }

    /// How often a credential was used.
    #[must_use]
    pub fn used(&self, id: &CredentialId) -> u32 {
        self.used.get(id).copied().unwrap_or(0)
    }

    /// The credentials that answer to a card.
    pub(crate) fn cards(&self, frame: &CardFrame) -> Vec<&Credential> {
        let keys = keys_of(frame);
        let ids = keys.iter().filter_map(|key| self.by_card.get(key)).flatten();
        self.each(ids)
    }

    /// What may be shown of a card that a reader read: the same as a list shows, if somebody has it, whichever of its numbers
    /// that is.
    #[must_use]
    pub fn masked(&self, frame: &CardFrame) -> String {
        let keys = keys_of(frame);
        let known = keys.iter().find(|key| self.by_card.contains_key(key));
        known.map_or_else(|| CardKey::Bits(frame.clone()).masked(), CardKey::masked)
    }

    /// The codes that these digits are.
    pub(crate) fn codes(&self, digits: &Secret) -> Vec<&Credential> {
        if self.by_code.is_empty() {
            return Vec::new();
        }
        let tag = self.key.code(digits);
        self.each(self.by_code.get(&tag).into_iter().flatten())
    }

    /// Does a code begin with these digits, and go on?
    pub(crate) fn begins_code(&self, digits: &Secret) -> bool {
        !self.by_head.is_empty() && self.by_head.contains_key(&self.key.head(digits.reveal()))
    }

    /// The name by which a code is spoken of. One that is typed under duress goes by the name of an ordinary one of the
    /// same person, so that nobody who reads along sees a difference; it is looked for only then, among all.
    pub(crate) fn spoken_of<'a>(&'a self, code: &'a Credential) -> &'a CredentialId {
        if !matches!(code.proof, Proof::Code { duress: true, .. }) {
            return &code.id;
        }
        let ordinary = |other: &&Credential| {
            other.person == code.person && matches!(other.proof, Proof::Code { duress: false, .. })
        };
        self.credentials()
            .find(ordinary)
            .map_or(&code.id, |other| &other.id)
    }

    /// The telephone numbers that the address of a peer is, which may stand in these ways.
    pub(crate) fn phones(&self, peer: &Peer, spellings: &[String]) -> Vec<&Credential> {
        let users: BTreeSet<String> = spellings.iter().map(|address| user_of(address)).collect();
        let ids = users.iter().filter_map(|user| self.by_phone.get(user)).flatten();
        let mut found = self.each(ids);
        let meant = |number: &CallerPattern| number.reaches(peer) && number.matches_any(spellings);
        found.retain(|c| matches!(&c.proof, Proof::Phone { number, .. } if meant(number)));
        found
    }

    /// The PINs of a person.
    pub(crate) fn pins(&self, person: Option<&PersonId>) -> Vec<&Credential> {
        let ids = person
            .and_then(|person| self.pins.get(person))
            .into_iter()
            .flatten();
        self.each(ids)
    }

    /// Is this text one of those PINs?
    pub(crate) fn is_pin(&self, pin: &Credential, digits: &Secret) -> bool {
        match (&pin.proof, &pin.person) {
            (Proof::Pin(tag) | Proof::DuressPin(tag), Some(person)) => *tag == self.key.pin(person, digits),
            (
                Proof::Card(_)
                | Proof::Code { .. }
                | Proof::DuressPin(_)
                | Proof::Phone { .. }
                | Proof::Pin(_),
                _,
            ) => false,
        }
    }

    fn each<'a>(&'a self, ids: impl Iterator<Item = &'a CredentialId>) -> Vec<&'a Credential> {
        ids.filter_map(|id| self.credentials.get(id).map(AsRef::as_ref))
            .collect()
    }

    fn remove(&mut self, id: &CredentialId) {
        if let Some(old) = self.credentials.remove(id) {
            self.index(&old, false);
        }
    }

    fn index(&mut self, credential: &Credential, there: bool) {
        let id = &credential.id;
        match &credential.proof {
            Proof::Card(key) => note(&mut self.by_card, key, id, there),
            Proof::Code { heads, tag, .. } => {
                note(&mut self.by_code, tag, id, there);
                for head in heads {
                    note(&mut self.by_head, head, id, there);
                }
            }
            Proof::Phone { number, .. } => note(&mut self.by_phone, &number.user().to_owned(), id, there),
            Proof::DuressPin(_) | Proof::Pin(_) => {
                if let Some(person) = &credential.person {
                    note(&mut self.pins, person, id, there);
                }
            }
        }
    }
}

fn note<K: Ord + Clone>(index: &mut BTreeMap<K, Vec<CredentialId>>, key: &K, id: &CredentialId, there: bool) {
    if there {
        index.entry(key.clone()).or_default().push(id.clone());
    } else if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
