//! Names that people and credentials go by and the site file does not have: who stands at a door with them gets in by none
//! of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::plan::SiteNames;
use crate::row::{CREDENTIAL, CredentialRow, PERSON, PersonRow};

/// Those who are named; more are counted.
const NAMED: usize = 20;

/// A group, schedule or door that is named and not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `groups.staff`, as it would stand in the site file.
    pub name: String,
    /// How many people name it, and credentials that are nobody's.
    pub count: usize,
    /// The first of them: ids of people, `credential ID` for what is nobody's.
    pub who: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, count, who } = self;
        let more = if *count > who.len() { " and more" } else { "" };
        let s = if *count == 1 { "s" } else { "" };
        write!(
            f,
            "{name} is not in the site file, and {count} of the records name{s} it, which opens nothing: {}{more}",
            who.join(", ")
        )
    }
}

/// What is missing, by name. `visit` goes through all records of a kind, with key and value.
///
/// What cannot be read is passed over: it opens nothing either, and is told elsewhere.
#[must_use]
pub fn missing(
    visit: impl Fn(&str, &mut dyn FnMut(&str, serde_json::Value)),
    site: &SiteNames,
) -> Vec<Missing> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut note = |table: &str, name: &str, known: &BTreeSet<String>, who: &str| {
        if !known.contains(name) {
            let names = found.entry(format!("{table}.{name}")).or_default();
            names.insert(who.to_owned());
        }
    };
    visit(PERSON, &mut |id, value| {
        let row = serde_json::from_value::<PersonRow>(value).unwrap_or_default();
        for group in &row.groups {
            note("groups", group, &site.groups, id);
        }
    });
    visit(CREDENTIAL, &mut |id, value| {
        let Ok(row) = serde_json::from_value::<CredentialRow>(value) else {
            return;
        };
        let who = row.person.unwrap_or_else(|| format!("credential {id}"));
        for door in &row.doors {
            note("doors", door, &site.doors, &who);
        }
        if let Some(schedule) = row.schedule.filter(|schedule| schedule != "never") {
            note("schedules", &schedule, &site.schedules, &who);
        }
    });
    let told = found.into_iter().map(|(name, who)| Missing {
        name,
        count: who.len(),
        who: who.into_iter().take(NAMED).collect(),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_name_that_is_not_there_is_told_with_those_who_name_it() {
        let people = [
            ("alice", json!({ "groups": ["staff", "guests"] })),
            ("bob", json!({ "groups": ["staff"] })),
            ("unread", json!(7)),
        ];
        let card = |person: Option<&str>, schedule: &str, doors: &[&str]| json!({ "kind": "card", "value": "1,1", "person": person, "schedule": schedule, "doors": doors });
        let credentials = [
            ("c-1", card(Some("alice"), "nights", &["front"])),
            ("c-2", card(None, "day", &["yard"])),
            ("c-3", card(Some("bob"), "nights", &["yard"])),
            ("c-4", card(Some("bob"), "nights", &[])),
        ];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let site = SiteNames {
            doors: names(&["front"]),
            groups: names(&["guests"]),
            schedules: names(&["day"]),
            ..SiteNames::default()
        };
        let visit = |kind: &str, each: &mut dyn FnMut(&str, serde_json::Value)| {
            let rows = if kind == PERSON {
                &people[..]
            } else {
                &credentials[..]
            };
            rows.iter().for_each(|(id, value)| each(id, value.clone()));
        };
        let told: Vec<String> = missing(visit, &site).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "doors.yard is not in the site file, and 2 of the records name it, which opens nothing: bob, credential c-2",
                "groups.staff is not in the site file, and 2 of the records name it, which opens nothing: alice, bob",
                "schedules.nights is not in the site file, and 2 of the records name it, which opens nothing: alice, bob",
            ]
        );
        let many: Vec<(String, serde_json::Value)> = (0..30)
            .map(|n| (format!("p{n:02}"), json!({ "groups": ["staff"] })))
            .collect();
        let visit = |kind: &str, each: &mut dyn FnMut(&str, serde_json::Value)| {
            let rows = many.iter().filter(|_| kind == PERSON);
            rows.for_each(|(id, value)| each(id, value.clone()));
        };
        let found = missing(visit, &site);
        assert_eq!((found[0].count, found[0].who.len()), (30, 20));
        assert!(found[0].to_string().ends_with("p19 and more"), "{}", found[0]);
    }
}
