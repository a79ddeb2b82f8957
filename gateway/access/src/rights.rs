//! Who may open which door, as a list: for comparing two configurations.

use std::collections::BTreeMap;

use gateway_core::{CredentialId, DoorId, PersonId};

use crate::access::Access;
use crate::directory::{Credential, Proof, Validity};
use crate::schedule::When;

/// One right: who, by what, which door.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RightOf {
    /// `person:alice`, `card:spare`, `caller:Reception`.
    pub who: String,
    /// By what: `card c-2x`, `code nine at a keypad`.
    pub by: String,
    /// Which door.
    pub door: DoorId,
}

impl std::fmt::Display for RightOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} by {} at {}", self.who, self.by, self.door)
    }
}

impl Access {
    /// Every right, and in words what limits it.
    #[must_use]
    pub fn rights(&self) -> BTreeMap<RightOf, String> {
        let mut all = BTreeMap::new();
        let mut add = |who: String, by: String, door: &DoorId, limits: String| {
            let door = door.clone();
            all.insert(RightOf { by, door, who }, limits);
        };
        for (id, door) in &self.doors {
            for ((panel, button), when) in &door.buttons {
                let by = format!("button {button} of panel {panel}");
                add("anybody".to_owned(), by, id, limits(when));
            }
            for rule in &door.rules {
                add(
                    format!("rule:{rule}"),
                    "acting".to_owned(),
                    id,
                    "whenever it acts".to_owned(),
                );
            }
            if door.hold.when != When::Never {
                let by = "holding it open".to_owned();
                let mut limits = limits(&door.hold.when);
                if let Some(group) = &door.hold.after {
                    limits += &format!(", after the first of group {group} came in");
                }
                add("schedule".to_owned(), by, id, limits);
            }
            if door.by_call != When::Never {
                let by = "a call alone".to_owned();
                add("callers it listens to".to_owned(), by, id, limits(&door.by_call));
            }
            for caller in &door.callers {
                add(
                    format!("caller {:?}", caller.name),
                    "calling".into(),
                    id,
                    limits(&caller.when),
                );
            }
        }
        // A door that is not there, or has no output, is opened by nobody.
        let there = |door: &&DoorId| self.doors.contains_key(*door);
        for card in &self.policy.cards {
            let Some(days) = self.days_of_named(card.person.as_ref()) else {
                continue;
            };
            for door in card.doors.iter().filter(there) {
                let mut limits = limits(&card.when) + &days;
                self.add_readers(door, &mut limits);
                add(
                    whose(card.person.as_ref(), &card.id),
                    format!("card {}", card.id),
                    door,
                    limits,
                );
            }
        }
        for code in &self.policy.codes {
            let Some(days) = self.days_of_named(code.person.as_ref()) else {
                continue;
            };
            for door in code.doors.iter().filter(there) {
                for from in &code.from {
                    let by = format!("code {} {}", code.id, from.words());
                    let limits = limits(&code.when) + &days;
                    add(whose(code.person.as_ref(), &code.id), by, door, limits);
                }
            }
        }
        for credential in self.directory.credentials() {
            self.rights_of(credential, &mut add);
        }
        all
    }

    /// The days of whom the site file names, in words; `None` if nothing of theirs opens.
    fn days_of_named(&self, person: Option<&PersonId>) -> Option<String> {
        let Some(id) = person else {
            return Some(String::new());
        };
        match self.directory.person(id) {
            Some(person) => (!person.blocked).then(|| days("person ", person.valid)),
            None => (!self.directory.is_barred(id)).then(String::new),
        }
    }

    fn rights_of(&self, credential: &Credential, add: &mut dyn FnMut(String, String, &DoorId, String)) {
        let person = credential
            .person
            .as_ref()
            .map(|id| (id, self.directory.person(id)));
        if person.is_some_and(|(_, person)| person.is_none_or(|person| person.blocked)) {
            return;
        }
        let (by, reads) = match &credential.proof {
            Proof::Card(_) => (format!("card {}", credential.id), true),
            Proof::Code { duress, from, .. } => {
                let from: Vec<&str> = from.iter().map(|from| from.words()).collect();
                let what = if *duress { "duress code" } else { "code" };
                (format!("{what} {} {}", credential.id, from.join(" or ")), false)
            }
            Proof::Phone { needs_pin: true, .. } => (format!("telephone {} and PIN", credential.id), false),
            Proof::Phone { .. } => (format!("telephone {}", credential.id), false),
            Proof::DuressPin(_) | Proof::Pin(_) => return,
        };
        let mut doors: BTreeMap<&DoorId, Vec<String>> = BTreeMap::new();
        for door in &credential.doors {
            doors.entry(door).or_default().push("itself".to_owned());
        }
        let holder = person.and_then(|(_, person)| person);
        for id in holder.into_iter().flat_map(|person| &person.groups) {
            let Some(group) = self.policy.groups.get(id) else {
                continue;
            };
            for door in &group.doors {
                let mut when = limits(&group.when);
                if let Some(escort) = &group.escort {
                    let (by, within) = (&escort.by, escort.within.as_secs());
                    when += &format!(", at most {within} s after another one of group {by}");
                }
                doors.entry(door).or_default().push(format!("group {id}, {when}"));
            }
        }
        for (door, why) in doors
            .into_iter()
            .filter(|(door, _)| self.doors.contains_key(*door))
        {
            let mut words = format!("{} ({})", limits(&credential.when), why.join("; "));
            for (whose, valid) in [("", Some(credential.valid)), ("person ", holder.map(|h| h.valid))] {
                words += &days(whose, valid.unwrap_or_default());
            }
            if let Some(uses) = credential.uses {
                words += &format!(", {uses} times");
            }
            if reads {
                self.add_readers(door, &mut words);
            }
            let who = whose(credential.person.as_ref(), &credential.id);
            add(who, by.clone(), door, words);
        }
    }

    /// What the readers of a door ask for beside a card.
    fn add_readers(&self, door: &DoorId, words: &mut String) {
        for reader in self.doors.get(door).into_iter().flat_map(|door| &door.readers) {
            if let Some(policy) = self
                .policy
                .readers
                .get(reader)
                .filter(|r| r.card_alone != When::Always)
            {
                *words += &format!(", alone at {reader} {}", limits(&policy.card_alone));
            }
        }
    }
}

fn limits(when: &When) -> String {
    match when {
        When::Always => "at any time".to_owned(),
        When::In(id) => format!("within {id}"),
        When::Never => "never".to_owned(),
    }
}

fn days(whose: &str, valid: Validity) -> String {
    let from = valid.from.map(|from| format!(", {whose}from {from}"));
    let until = valid.until.map(|until| format!(", {whose}until {until}"));
    from.unwrap_or_default() + &until.unwrap_or_default()
}

fn whose(person: Option<&PersonId>, id: &CredentialId) -> String {
    match person {
        Some(person) => format!("person:{person}"),
        None => format!("credential:{id}"),
    }
}
