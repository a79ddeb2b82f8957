//! What is done until the blow falls.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::house::Desk;

/// The moment after which nobody answers any more.
#[derive(Default)]
pub(crate) struct Moment(AtomicBool);

impl Moment {
    pub(crate) fn comes(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What somebody did with people, as far as it was acknowledged, and what was asked for last and not answered.
#[derive(Default)]
pub(crate) struct Changes {
    /// Acknowledged, and there.
    pub(crate) came: BTreeSet<String>,
    /// Asked for, not acknowledged.
    pub(crate) coming: BTreeSet<String>,
    /// Its withdrawal was asked for, and not acknowledged.
    pub(crate) going: BTreeSet<String>,
    /// Withdrawn, acknowledged.
    pub(crate) left: BTreeSet<String>,
}

/// Imports cards and withdraws some, until nobody answers.
pub(crate) fn people(run: &Path, round: usize, before: &BTreeSet<String>, until: &Moment) -> Changes {
    let mut all = Changes::default();
    let mut there = before.clone();
    let Ok(mut desk) = Desk::new(run) else {
        return all;
    };
    for n in 0_usize.. {
        if until.is_over() {
            break;
        }
        if n % 3 == 2 {
            let gone = there.pop_first().expect("some came");
            all.going = [gone.clone()].into();
            if desk
                .ask(json!({ "act": "people-remove", "credential": gone }))
                .is_err()
            {
                return all;
            }
            all.going.clear();
            all.came.remove(&gone);
            all.left.insert(gone);
            continue;
        }
        let name = |i: usize| format!("c-{round}-{n}-{i}");
        let line = |i: usize| {
            format!(
                "p{round}-{n},{},card,\"{},{:05}\",front\n",
                name(i),
                100 + round,
                n * 4 + i
            )
        };
        let lines: String = (0..4).map(line).collect();
        let lines = format!("person,credential,kind,value,doors\n{lines}");
        all.coming = (0..4).map(name).collect();
        match desk.ask_with(json!({ "act": "people-import" }), Some(&lines)) {
            Ok(done) => assert!(done.get("faults").is_none(), "{done}"),
            Err(_) => return all,
        }
        there.extend(all.coming.iter().cloned());
        let came = std::mem::take(&mut all.coming);
        all.came.extend(came);
    }
    all
}

/// People go into the laboratory, try to go in once more, and go out, until nobody answers. How often each of them
/// showed a card to go out, whatever became of it.
pub(crate) fn walks(run: &Path, people: usize, until: &Moment) -> Vec<usize> {
    let mut leaving = vec![0; people];
    let Ok(mut desk) = Desk::new(run) else {
        return leaving;
    };
    for n in 0_usize.. {
        let reader = ["lab-in", "lab-in", "lab-out"][n / people % 3];
        if reader == "lab-out" {
            leaving[n % people] += 1;
        }
        let card = format!("26:77,{:05}", n % people);
        let shown = desk.ask(json!({ "act": "card", "reader": reader, "card": card }));
        if shown.is_err() || until.is_over() {
            break;
        }
        std::thread::sleep(Duration::from_millis(15));
    }
    leaving
}

/// Types codes, one after the other, until nobody answers.
pub(crate) fn types(run: &Path, keypad: &str, codes: &[String], until: &Moment) {
    let Ok(mut desk) = Desk::new(run) else {
        return;
    };
    for keys in codes {
        let typed = desk.ask(json!({ "act": "keys", "reader": keypad, "keys": keys }));
        if typed.is_err() || until.is_over() {
            return;
        }
        std::thread::sleep(Duration::from_millis(120));
    }
}
