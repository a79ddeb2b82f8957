//! What tells of a person who is erased.

use gateway_access::{CallerPattern, CardKey};
use gateway_store::Traces;

use crate::registry::PeopleError;
use crate::row::Kind;
use crate::state::State;

/// The state as it is and without the person, and what is to be taken out elsewhere.
pub(crate) fn plan(old: &State, id: &str, also: Vec<String>) -> Result<(State, State, Traces), PeopleError> {
    let mut traces = Traces {
        persons: vec![id.to_owned()],
        ..Traces::default()
    };
    let mut new = old.clone();
    let row = new.people.remove(id);
    traces.names.extend(row.as_ref().map(|row| row.name.clone()));
    new.credentials.retain(|credential, row| {
        let theirs = row.person.as_deref() == Some(id);
        if theirs {
            traces.credentials.push(credential.clone());
            match row.kind {
                Kind::Card | Kind::Ibutton | Kind::Qr => cards(&row.value, &mut traces.cards),
                Kind::Phone | Kind::PhonePin => numbers(&row.value, &mut traces.numbers),
                Kind::Code | Kind::DuressCode | Kind::DuressPin | Kind::Pin => {}
            }
        }
        !theirs
    });
    let credentials = &new.credentials;
    new.uses
        .retain(|credential, _| credentials.contains_key(credential));
    if row.is_none() && traces.credentials.is_empty() && also.is_empty() {
        return Err(PeopleError::Unknown {
            id: id.to_owned(),
            what: "person",
        });
    }
    for text in also {
        let number = text.chars().all(|c| c.is_ascii_digit() || "+-.() ".contains(c));
        if number {
            numbers(&text, &mut traces.numbers);
        }
        if CardKey::parse(&text).is_ok() {
            cards(&text, &mut traces.cards);
        } else if !number {
            traces.names.push(text);
        }
    }
    traces.names.retain(|name| !name.trim().is_empty());
    Ok((old.clone(), new, traces))
}

/// The card as it is written, and as it is stored.
fn cards(text: &str, into: &mut Vec<String>) {
    into.push(text.to_owned());
    let stored = CardKey::parse(text).map(|key| key.to_string());
    into.extend(stored.ok().filter(|stored| stored != text));
}

/// A number; a pattern that stands for many is nobody's.
fn numbers(text: &str, into: &mut Vec<String>) {
    let user =
        CallerPattern::parse(text).map_or_else(|_| text.to_owned(), |pattern| pattern.user().to_owned());
    // so short a number is that of many things
    let long = user.len() >= 3;
    if long && !user.contains(['*', '?']) {
        into.push(user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{CredentialRow, PersonRow};

    fn state() -> State {
        let mut state = State::default();
        for (id, name) in [("alice", "Alice Martin"), ("bob", "Bob")] {
            let row = PersonRow {
                name: name.to_owned(),
                ..PersonRow::default()
            };
            state.people.insert(id.to_owned(), row);
        }
        for (id, person, kind, value) in [
            ("c-1", "alice", Kind::Card, "123,04567"),
            ("c-2", "alice", Kind::Phone, "sip:+33476123456@pbx"),
            ("c-3", "alice", Kind::Phone, "+3347699*"),
            ("c-4", "bob", Kind::Phone, "1000"),
        ] {
            let row = serde_json::json!({ "kind": kind, "value": value, "person": person });
            let row: CredentialRow = serde_json::from_value(row).expect("a row");
            state.credentials.insert(id.to_owned(), row);
            state.uses.insert(id.to_owned(), 1);
        }
        state
    }

    #[test]
    fn all_of_one_person_and_nothing_of_another() {
        let also = vec![
            "+33 6 11".to_owned(),
            "Alice Dupont".to_owned(),
            "04A1B2C3".to_owned(),
        ];
        let (_, new, traces) = plan(&state(), "alice", also).expect("known");
        assert_eq!(new.people.keys().collect::<Vec<_>>(), ["bob"]);
        assert_eq!(new.credentials.keys().collect::<Vec<_>>(), ["c-4"]);
        assert_eq!(new.uses.keys().collect::<Vec<_>>(), ["c-4"]);
        assert_eq!(traces.persons, ["alice"]);
        assert_eq!(traces.credentials, ["c-1", "c-2", "c-3"]);
        assert_eq!(traces.names, ["Alice Martin", "Alice Dupont"]);
        assert_eq!(traces.numbers, ["+33476123456", "+33611"]);
        assert_eq!(traces.cards, ["123,04567", "04A1B2C3", "0077705923"]);
    }

    #[test]
    fn nobody_is_unknown_unless_something_of_theirs_is_named() {
        assert!(matches!(
            plan(&state(), "eve", vec![]),
            Err(PeopleError::Unknown { .. })
        ));
        let (_, new, traces) = plan(&state(), "eve", vec!["+33 6 11".to_owned()]).expect("a number");
        assert_eq!(new, state());
        assert_eq!(traces.numbers, ["+33611"]);
    }
}
