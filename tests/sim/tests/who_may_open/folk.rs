//! Who lives and works there, what they carry and know, and what may change of it.

use std::collections::BTreeSet;

use gateway_access::{CallerPattern, CodeFrom};
use gateway_core::{Secret, Timestamp};
use gateway_site::{CardKey, Change, Credential, Person, PinKey, Proof, Validity, When};
use sim::{T0, id, ms, wall};

/// Minutes from the begin of the stories in which Dan is valid.
pub(crate) const DAN: (u64, u64) = (60, 1200);

/// What somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Has {
    Card(&'static str),
    /// Typed at a keypad; true if it may be dialled, too.
    Code(&'static str, bool),
    DuressCode(&'static str),
    DuressPin(&'static str),
    /// A number; true if it needs the PIN.
    Phone(&'static str, bool),
    Pin(&'static str),
}

/// One credential.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) doors: &'static [&'static str],
    pub(crate) has: Has,
    pub(crate) name: &'static str,
    pub(crate) uses: Option<u32>,
    pub(crate) whose: Option<&'static str>,
}

/// One person.
#[derive(Clone, Debug)]
pub(crate) struct Man {
    pub(crate) blocked: bool,
    pub(crate) groups: BTreeSet<&'static str>,
    pub(crate) name: &'static str,
}

/// Everybody in the records.
#[derive(Clone, Debug)]
pub(crate) struct Folk {
    pub(crate) people: Vec<Man>,
    pub(crate) things: Vec<Thing>,
}

/// How many changes there are for [`Folk::turn`].
pub(crate) const TURNS: usize = 9;

fn everybody() -> Vec<(&'static str, &'static str)> {
    vec![
        ("ann", "staff"),
        ("bob", "staff"),
        ("cleo", "cleaners"),
        ("dan", "staff"),
        ("eve", ""),
        ("vic", "visitors"),
    ]
}

fn everything() -> Vec<Thing> {
    let of = |whose, name, has| Thing {
        doors: &[],
        has,
        name,
        uses: None,
        whose: Some(whose),
    };
    vec![
        of("ann", "c-ann-card", Has::Card("200,00001")),
        of("ann", "c-ann-pin", Has::Pin("1111")),
        of("ann", "c-ann-forced-pin", Has::DuressPin("1112")),
        of("ann", "c-ann-code", Has::Code("556677", true)),
        of("ann", "c-ann-forced-code", Has::DuressCode("556688")),
        of("bob", "c-bob-card", Has::Card("200,00002")),
        of("bob", "c-bob-phone", Has::Phone("1007", false)),
        of("cleo", "c-cleo-card", Has::Card("200,00003")),
        of("cleo", "c-cleo-code", Has::Code("443322", false)),
        of("dan", "c-dan-card", Has::Card("200,00005")),
        Thing {
            doors: &["barrier", "front"],
            ..of("eve", "c-eve-phone", Has::Phone("1008", true))
        },
        of("eve", "c-eve-pin", Has::Pin("2222")),
        of("vic", "c-vic-card", Has::Card("200,00004")),
        Thing {
            doors: &["front", "lab"],
            has: Has::Code("48121", true),
            name: "c-visit",
            uses: Some(2),
            whose: None,
        },
    ]
}

impl Folk {
    pub(crate) fn new() -> Self {
        let man = |(name, group): (&'static str, &'static str)| Man {
            blocked: false,
            groups: [group].into_iter().filter(|group| !group.is_empty()).collect(),
            name,
        };
        Self {
            people: everybody().into_iter().map(man).collect(),
            things: everything(),
        }
    }

    pub(crate) fn key() -> PinKey {
        PinKey::new([3; 32])
    }

    pub(crate) fn man(&self, name: &str) -> Option<&Man> {
        self.people.iter().find(|man| man.name == name)
    }

    /// Changes something, or changes it back, and tells what.
    pub(crate) fn turn(&mut self, which: usize) -> Vec<Change> {
        match which {
            0 => self.alter("ann", |ann| ann.blocked = !ann.blocked),
            1 => self.alter("ann", |ann| join_or_leave(ann, "staff")),
            2 => self.alter("vic", |vic| join_or_leave(vic, "staff")),
            3 => self.alter("bob", |bob| bob.blocked = !bob.blocked),
            4 => self.come_or_go("bob"),
            5 => self.come_or_go("cleo"),
            6 => self.have_or_lose("c-visit"),
            7 => self.have_or_lose("c-ann-card"),
            _ => self.have_or_lose("c-eve-phone"),
        }
    }

    fn alter(&mut self, name: &str, how: impl FnOnce(&mut Man)) -> Vec<Change> {
        let man = self.people.iter_mut().find(|man| man.name == name);
        let altered = man.map(|man| {
            how(man);
            person(man)
        });
        altered.into_iter().collect()
    }

    fn come_or_go(&mut self, name: &str) -> Vec<Change> {
        if self.man(name).is_some() {
            let (theirs, others) = self.things.iter().cloned().partition(|t| t.whose == Some(name));
            let theirs: Vec<Thing> = theirs;
            self.things = others;
            self.people.retain(|man| man.name != name);
            let gone = theirs.iter().map(|thing| Change::CredentialGone(id(thing.name)));
            return gone.chain([Change::PersonGone(id(name))]).collect();
        }
        let fresh = Self::new();
        let man = fresh.man(name).expect("one of everybody").clone();
        let things: Vec<Thing> = fresh
            .things
            .into_iter()
            .filter(|t| t.whose == Some(name))
            .collect();
        let there = things.iter().map(credential);
        let changes = [person(&man)].into_iter().chain(there).collect();
        self.people.push(man);
        self.things.extend(things);
        changes
    }

    fn have_or_lose(&mut self, name: &str) -> Vec<Change> {
        if self.things.iter().any(|thing| thing.name == name) {
            self.things.retain(|thing| thing.name != name);
            return vec![Change::CredentialGone(id(name))];
        }
        let thing = everything()
            .into_iter()
            .find(|thing| thing.name == name)
            .expect("it is one");
        let change = credential(&thing);
        self.things.push(thing);
        vec![change]
    }

    /// Everybody and everything, as the records have them.
    pub(crate) fn records(&self) -> Vec<Change> {
        let people = self.people.iter().map(person);
        people.chain(self.things.iter().map(credential)).collect()
    }
}

fn join_or_leave(man: &mut Man, group: &'static str) {
    if !man.groups.remove(group) {
        man.groups.insert(group);
    }
}

fn person(man: &Man) -> Change {
    let at = |minutes: u64| -> Timestamp { wall(T0 + ms(minutes * 60_000)) };
    let valid = if man.name == "dan" {
        Validity {
            from: Some(at(DAN.0)),
            until: Some(at(DAN.1)),
        }
    } else {
        Validity::default()
    };
    Change::Person(Person {
        blocked: man.blocked,
        groups: man.groups.iter().map(|group| id(group)).collect(),
        id: id(man.name),
        valid,
    })
}

fn credential(thing: &Thing) -> Change {
    let key = Folk::key();
    let pin = |digits: &str| {
        let whose = id(thing.whose.expect("PINs are somebody's"));
        key.pin(&whose, &Secret::new(digits))
    };
    let code = |digits: &str, from: &[CodeFrom], duress| Proof::Code {
        duress,
        from: from.iter().copied().collect(),
        heads: key.heads(&Secret::new(digits)),
        tag: key.code(&Secret::new(digits)),
    };
    let both = [CodeFrom::Call, CodeFrom::Keypad];
    let proof = match thing.has {
        Has::Card(number) => Proof::Card(CardKey::parse(number).expect("a card")),
        Has::Code(digits, true) => code(digits, &both, false),
        Has::Code(digits, false) => code(digits, &[CodeFrom::Keypad], false),
        Has::DuressCode(digits) => code(digits, &both, true),
        Has::DuressPin(digits) => Proof::DuressPin(pin(digits)),
        Has::Phone(number, needs_pin) => Proof::Phone {
            needs_pin,
            number: CallerPattern::parse(number).expect("a number"),
        },
        Has::Pin(digits) => Proof::Pin(pin(digits)),
    };
    Change::Credential(Credential {
        doors: thing.doors.iter().map(|door| id(door)).collect(),
        id: id(thing.name),
        person: thing.whose.map(id),
        proof,
        uses: thing.uses,
        valid: Validity::default(),
        when: When::Always,
    })
}
