//! What a restore would bring back that was withdrawn since, and what it would take away.

use std::collections::BTreeMap;

use gateway_backup::{Content, Record};
use gateway_people::{BARRED, CREDENTIAL, PERSON, USE};

use super::current::Rows;
use super::{KEPT, in_words, shown};
use crate::run::LOCKDOWNS;

/// Names that are told of a kind; the others are counted.
const TOLD: usize = 20;

/// The difference in words, a line each. Nothing in it is secret.
pub(super) fn told(content: &Content, there: &Rows) -> Vec<String> {
    let mut lines = Vec::new();
    let compared = there.keys().any(|kind| *kind != BARRED);
    for kind in KEPT.into_iter().filter(|kind| !matches!(*kind, BARRED | USE)) {
        let empty = BTreeMap::new();
        let now = there.get(kind).unwrap_or(&empty);
        let then: BTreeMap<&str, &Record> = of(content, kind)
            .map(|record| (record.key.as_str(), record))
            .collect();
        if compared {
            let back = then.values().filter(|record| !now.contains_key(&record.key));
            push(
                &mut lines,
                &format!("{} that are there again", in_words(kind)),
                back.map(|r| shown(r)),
            );
            let changed = then
                .values()
                .filter(|record| now.get(&record.key).is_some_and(|e| e.value != record.value));
            push(
                &mut lines,
                &format!("{} that are as they were", in_words(kind)),
                changed.map(|r| shown(r)),
            );
            let unblocked = then.values().filter(|record| {
                kind == PERSON
                    && record.value["blocked"] != true
                    && now
                        .get(&record.key)
                        .is_some_and(|entry| entry.value["blocked"] == true)
            });
            push(
                &mut lines,
                "people who are blocked and will not be",
                unblocked.map(|r| shown(r)),
            );
        }
        // a lockdown that goes on is ended by nothing but a command
        let gone = now
            .keys()
            .filter(|key| kind != LOCKDOWNS && !then.contains_key(key.as_str()));
        push(
            &mut lines,
            &format!("{} of later, which will be gone", in_words(kind)),
            gone.cloned(),
        );
    }
    if !compared {
        let limited = of(content, CREDENTIAL).filter(|record| record.value["uses"].is_u64());
        let used: BTreeMap<&str, u64> = of(content, USE)
            .map(|r| (r.key.as_str(), r.value["times"].as_u64().unwrap_or(u64::MAX)))
            .collect();
        let left = limited.filter_map(|record| {
            let times = used.get(record.key.as_str()).copied().unwrap_or(0);
            let left = record.value["uses"].as_u64()?.saturating_sub(times);
            (left > 0).then(|| format!("{}, {left} left then", shown(record)))
        });
        push(
            &mut lines,
            "credentials with a number of uses, which may have been used since",
            left,
        );
    }
    lines
}

fn of<'a>(content: &'a Content, kind: &'a str) -> impl Iterator<Item = &'a Record> {
    content.records.iter().filter(move |record| record.kind == kind)
}

fn push(lines: &mut Vec<String>, what: &str, all: impl Iterator<Item = String>) {
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        return;
    }
    lines.push(format!("{what}: {}", all.len()));
    lines.extend(all.iter().take(TOLD).map(|one| format!("  {one}")));
    if let Some(more) = all.len().checked_sub(TOLD).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
}
