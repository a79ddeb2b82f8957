//! What another site file alters, for whom: rights one by one, parts of the file that bear on them, and names that people
//! go by and that it does not have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_bus::{Altered, NotThere, RightChange};
use gateway_config::Config;
use gateway_people::Missing;
use gateway_site::{PinKey, RightOf};
use gateway_store::Records;
use tokio::sync::watch;

use crate::run::bearing::bearing;
use crate::run::faults::Faults;
use crate::run::params;
use crate::run::people::names;
use crate::run::take::note_trouble;

/// Changes of rights that are told one by one.
const TOLD: usize = 1000;
/// Missing names that the health page tells.
const NAMES: usize = 8;
/// Part of the health page.
const PART: &str = "people-names";
/// While names are missing it is looked again so often.
const AGAIN: Duration = Duration::from_secs(60);

/// Compares the file in force with another one. Goes through all credentials twice: not for a thread that others wait for.
pub(crate) fn altered(records: &Records, key: &PinKey, old: &Config, new: &Config) -> Altered {
    let rights = |config: &Config| {
        let (directory, _) = gateway_people::directory(records, key.clone());
        gateway_site::rights(&params::site(config, ""), directory)
    };
    let mut rights = differences(&rights(old), &rights(new));
    let more = rights.len().saturating_sub(TOLD);
    rights.truncate(TOLD);
    Altered {
        missing: missing(records, new).iter().map(not_there).collect(),
        more,
        parts: bearing(old, new),
        rights,
    }
}

/// What people name and this file does not have.
pub(crate) fn missing(records: &Records, config: &Config) -> Vec<Missing> {
    let visit = |kind: &str, each: &mut dyn FnMut(&str, serde_json::Value)| records.visit(kind, each);
    gateway_people::missing(visit, &names(config))
}

/// Keeps the fault of what people name and the site file in force does not have, until nobody can change that file any more.
pub(crate) async fn watch_missing(records: Records, mut site: watch::Receiver<Arc<Config>>, faults: Faults) {
    loop {
        let (records, config) = (records.clone(), site.borrow_and_update().clone());
        let found = tokio::task::spawn_blocking(move || missing(&records, &config)).await;
        let told = told(&found.unwrap_or_default());
        let stands = told.is_some();
        note_trouble(&faults, PART, told);
        let changed = if stands {
            // people are changed, too; what is changed is checked against the file, so that nothing new comes in this way
            tokio::time::timeout(AGAIN, site.changed())
                .await
                .unwrap_or(Ok(()))
        } else {
            site.changed().await
        };
        if changed.is_err() {
            return;
        }
    }
}

/// The fault of missing names.
fn told(missing: &[Missing]) -> Option<String> {
    let mut told: Vec<String> = missing.iter().take(NAMES).map(ToString::to_string).collect();
    if missing.len() > NAMES {
        told.push(format!("and {} more names", missing.len() - NAMES));
    }
    (!told.is_empty()).then(|| {
        format!(
            "{}; put it back into the site file, or change them (doorline people import)",
            told.join("; ")
        )
    })
}

/// As lines, for the command.
pub(crate) fn lines(altered: &Altered) -> Vec<String> {
    let more = (altered.more > 0).then(|| format!("and {} more", altered.more));
    let rights = altered.rights.iter().map(ToString::to_string);
    let parts = altered.parts.iter().map(|part| format!("* {part}"));
    let missing = altered
        .missing
        .iter()
        .map(|missing| format!("! {}", missing.text));
    rights.chain(more).chain(parts).chain(missing).collect()
}

fn not_there(missing: &Missing) -> NotThere {
    NotThere {
        count: missing.count,
        name: missing.name.clone(),
        text: missing.to_string(),
        who: missing.who.clone(),
    }
}

fn differences(old: &BTreeMap<RightOf, String>, new: &BTreeMap<RightOf, String>) -> Vec<RightChange> {
    let change = |right: &RightOf, before: Option<&String>, after: Option<&String>| RightChange {
        after: after.cloned(),
        before: before.cloned(),
        by: right.by.clone(),
        door: right.door.to_string(),
        who: right.who.clone(),
    };
    let lost = old.iter().filter_map(|(right, before)| {
        let after = new.get(right);
        (after != Some(before)).then(|| change(right, Some(before), after))
    });
    let gained = new.iter().filter(|(right, _)| !old.contains_key(*right));
    lost.chain(gained.map(|(right, after)| change(right, None, Some(after))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_for_whom_is_told_line_by_line() {
        let right = |who: &str| RightOf {
            who: who.to_owned(),
            by: "card c".to_owned(),
            door: "front".parse().expect("a name"),
        };
        let old = BTreeMap::from([
            (right("a"), "at any time".to_owned()),
            (right("b"), "at any time".to_owned()),
            (right("c"), "never".to_owned()),
        ]);
        let new = BTreeMap::from([
            (right("b"), "within day".to_owned()),
            (right("c"), "never".to_owned()),
            (right("d"), "never".to_owned()),
        ]);
        let altered = Altered {
            missing: vec![NotThere {
                count: 1,
                name: "groups.staff".to_owned(),
                text: "groups.staff is not there".to_owned(),
                who: vec!["a".to_owned()],
            }],
            more: 7,
            parts: vec!["doors.front: relock".to_owned()],
            rights: differences(&old, &new),
        };
        assert_eq!(
            lines(&altered),
            [
                "- a by card c at front: at any time",
                "~ b by card c at front: at any time -> within day",
                "+ d by card c at front: never",
                "and 7 more",
                "* doors.front: relock",
                "! groups.staff is not there",
            ]
        );
    }
}
