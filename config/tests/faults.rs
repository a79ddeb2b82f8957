//! The full text of each kind of fault, compared with files in `testdata/faults`.
//!
//! Each case is a change of one good site file: `DOORLINE_BLESS=1 cargo test -p gateway-config` writes the
//! expected texts anew; read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use gateway_config::{SecretFiles, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/faults")
}

/// What `doorline check` would print.
fn printed(text: &str) -> String {
    match parse("site.toml", Path::new("."), text, SecretFiles::Untouched) {
        Ok(loaded) => format!("{}\n", loaded.warnings),
        Err(faults) => format!("{faults}\n"),
    }
}

/// A case holds lines `- OLD` and `+ NEW`: OLD is taken out of the good site, the NEW lines after it stand in its
/// place; lines `> NEW` go to the end of the file.
fn site_of(case: &str) -> String {
    let good = fs::read_to_string(folder().join("../good.toml")).expect("readable");
    let mut lines: Vec<&str> = good.lines().collect();
    let mut at = lines.len();
    for line in case.lines() {
        if let Some(old) = line.strip_prefix("- ") {
            let found: Vec<usize> = (0..lines.len()).filter(|i| lines[*i] == old).collect();
            assert_eq!(found.len(), 1, "the good site has {} times {old:?}", found.len());
            at = found[0];
            lines.remove(at);
        } else if let Some(new) = line.strip_prefix("+ ") {
            lines.insert(at, new);
            at += 1;
        } else if let Some(new) = line.strip_prefix("> ") {
            lines.push(new);
        } else {
            panic!("a case has lines of - + >, found {line:?}");
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_good_site_has_neither_faults_nor_warnings() {
    assert_eq!(printed(&site_of("")), "\n");
}

#[test]
fn every_fault_is_printed_as_recorded() {
    let bless = std::env::var_os("DOORLINE_BLESS").is_some();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .collect();
    cases.sort();
    assert!(cases.len() > 40, "found {} cases", cases.len());
    let mut wrong = String::new();
    for path in cases {
        if path.ends_with("bad-time-zone.case") && !Path::new("/usr/share/zoneinfo/Europe").exists() {
            eprintln!(
                "skipped {}: this machine has no time zone database",
                path.display()
            );
            continue;
        }
        let case = fs::read_to_string(&path).expect("readable");
        let found = printed(&site_of(&case));
        let expected = path.with_extension("txt");
        if bless {
            fs::write(&expected, &found).expect("writable");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted {
            wrong += &format!("{}:\nwanted:\n{wanted}\nfound:\n{found}\n", path.display());
        }
        assert!(found.trim() != "", "{} raises nothing", path.display());
        // what cases take for a secret
        assert!(
            !found.contains("hush"),
            "{}: a secret is shown\n{found}",
            path.display()
        );
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn too_many_entries_hide_no_other_fault() {
    let mut text = fs::read_to_string(folder().join("../good.toml")).expect("readable");
    text = text.replace("strike-ms = 3000", "strike-ms = 30");
    for n in 0..2001 {
        text += &format!("[cards.c{n}]\ncard = \"26:123,{n:05}\"\ndoors = [\"model\"]\n");
    }
    let found = printed(&text);
    assert!(found.contains("cards: has 2002 entries"), "{found}");
    assert!(found.contains("doors.front.strike-ms"), "{found}");
    assert_eq!(found.matches("site.toml:").count(), 2, "{found}");
    // what is something to press at each panel is few
    let mut text = fs::read_to_string(folder().join("../good.toml")).expect("readable");
    for n in 0..65 {
        text += &format!("[announcements.a{n}]\nname = \"A\"\nfile = \"a.wav\"\n");
    }
    let found = printed(&text);
    assert!(found.contains("announcements: has 65 entries"), "{found}");
    assert_eq!(found.matches("site.toml:").count(), 1, "{found}");
}
