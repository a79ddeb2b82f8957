use std::collections::BTreeMap;

use gateway_backup::{Content, File, Head, Place, Record};
use gateway_store::Entry;
use serde_json::{Value, json};

use super::current::Rows;
use super::restore::{How, prepare};
use super::revived::told;
use super::{KEPT, LEFT, summary};

fn record(kind: &str, key: &str, value: Value) -> Record {
    Record {
        expires: None,
        key: key.to_owned(),
        kind: kind.to_owned(),
        value,
    }
}

fn content(records: Vec<Record>) -> Content {
    let site = "[site]\nid = \"house\"\nname = \"House\"\nnumber = \"000000001\"\naddress = \"1 Example Street\"\n\
                state-dir = \"/nonexistent/doorline\"\n";
    Content {
        files: vec![File {
            bytes: site.as_bytes().to_vec().into(),
            mode: 0o640,
            path: "site.toml".to_owned(),
            place: Place::SiteFile,
        }],
        head: Head {
            in_doubt: false,
            made: "2026-03-01T12:00:00Z".parse().expect("a time"),
            program: "0.1.0".to_owned(),
            site: "house".to_owned(),
            site_name: "House".to_owned(),
        },
        records,
    }
}

fn rows(rows: &[(&'static str, &str, Value)]) -> Rows {
    let mut all: Rows = BTreeMap::new();
    for (kind, key, value) in rows {
        let entry = Entry {
            expires: None,
            value: value.clone(),
        };
        all.entry(kind).or_default().insert((*key).to_owned(), entry);
    }
    all
}

#[test]
fn no_kind_is_both_in_a_backup_and_left_out() {
    for (left, why) in LEFT {
        assert!(!KEPT.contains(&left) && !why.is_empty(), "{left}");
    }
}

#[test]
fn who_comes_back_and_who_goes_is_told_by_name_and_without_secrets() {
    let card = |value: &str| json!({ "kind": "card", "value": value, "person": "ann" });
    let user = |hash: &str| json!({ "created": "x", "doors": null, "hash": hash, "scopes": ["admin"] });
    let then = content(vec![
        record("person", "ann", json!({ "name": "Ann" })),
        record("person", "ben", json!({ "name": "Ben" })),
        record("credential", "c-1", card("1,1")),
        record("user", "warden", user("old-digest")),
    ]);
    let now = rows(&[
        ("person", "ben", json!({ "name": "Ben", "blocked": true })),
        ("person", "eve", json!({})),
        ("user", "warden", user("new-digest")),
        ("lockdown", "whole site", json!({})),
    ]);
    let lines = told(&then, &now).join("\n");
    for part in [
        "people that are there again: 1\n  ann (Ann)",
        "people who are blocked and will not be: 1\n  ben (Ben)",
        "people of later, which will be gone: 1\n  eve",
        "credentials that are there again: 1\n  card c-1 of ann",
        "users of the page that are as they were: 1\n  warden",
    ] {
        assert!(lines.contains(part), "{part}\n{lines}");
    }
    for not in ["digest", "1,1", "lockdown"] {
        assert!(!lines.contains(not), "{not}\n{lines}");
    }
    let all = summary(&then, true).join("\n");
    assert!(
        all.contains("ann (Ann)") && !all.contains("digest") && !all.contains("1,1"),
        "{all}"
    );
}

#[test]
fn what_nobody_can_compare_is_said_to_be_so() {
    let uses = json!({ "kind": "code", "value": "digest", "uses": 3 });
    let then = content(vec![
        record("credential", "c-1", uses.clone()),
        record("credential-use", "c-1", json!({ "times": 1 })),
        record("credential", "c-2", uses),
        record("credential-use", "c-2", json!({ "times": 3 })),
    ]);
    let lines = told(&then, &Rows::new()).join("\n");
    assert!(
        lines.contains("which may have been used since: 1\n  code c-1, 3 uses, 2 left then"),
        "{lines}"
    );
}

#[test]
fn names_of_which_there_are_many_are_counted() {
    let all = (0..50)
        .map(|n| record("person", &format!("p-{n:02}"), json!({})))
        .collect();
    let lines = told(&content(all), &rows(&[("user", "x", json!({}))]));
    assert!(
        lines.contains(&"people that are there again: 50".to_owned()),
        "{lines:?}"
    );
    assert!(lines.contains(&"  and 30 more".to_owned()), "{lines:?}");
}

#[test]
fn what_this_program_does_not_know_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = dir.path().join("site.toml");
    let refused = |content: Content| {
        let error = prepare(content, &site, How::default())
            .err()
            .expect("it is refused");
        format!("{error:#}")
    };
    let text = refused(content(vec![record("novelty", "x", json!(1))]));
    assert!(
        text.contains("\"novelty\", which this program does not know"),
        "{text}"
    );
    let mut other = content(vec![]);
    other.files.push(File {
        bytes: b"x".to_vec().into(),
        mode: 0o600,
        path: "lock".to_owned(),
        place: Place::State,
    });
    let text = refused(other);
    assert!(text.contains("\"lock\" of the state folder"), "{text}");
    let mut faulty = content(vec![]);
    faulty.files[0].bytes = b"[site]\nid = 7\n".to_vec().into();
    let text = refused(faulty);
    assert!(text.contains("--keep-site-file"), "{text}");
    assert!(!site.exists());
}

#[test]
fn files_outside_of_the_folder_of_the_site_file_are_not_written_unasked() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("etc");
    std::fs::create_dir(&folder).expect("made");
    let mut content = content(vec![]);
    for path in ["in.secret", "../out.secret", "/nowhere/at/all.pem"] {
        content.files.push(File {
            bytes: b"x".to_vec().into(),
            mode: 0o600,
            path: path.to_owned(),
            place: Place::Named,
        });
    }
    let lines = |how| {
        prepare(content.clone(), &folder.join("site.toml"), how)
            .expect("prepared")
            .lines
            .join("\n")
    };
    let told = lines(How::default());
    assert!(told.contains("in.secret: is written"), "{told}");
    assert_eq!(told.matches("is outside of the folder").count(), 2, "{told}");
    let told = lines(How {
        files_outside: true,
        ..How::default()
    });
    assert_eq!(
        told.matches(": is written").count(),
        4,
        "with the site file: {told}"
    );
}
