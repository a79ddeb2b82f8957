//! `doorline people`: people and credentials of a running gateway, through its control socket.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::cli::{Addition, People, PeopleAct, PeopleForm, exit};
use crate::commands::input::text_of;
use crate::commands::{WrongUsage, out, site};
use crate::control;
use crate::run::log;

/// Runs one act.
pub(super) fn people(args: &People) -> anyhow::Result<u8> {
    let run_dir = site::running(&args.site.config)?.site.run_dir.clone();
    match &args.act {
        PeopleAct::Add(addition) => import(&run_dir, &lines(addition).to_string(), false, false),
        PeopleAct::Confirm => {
            let ended = control::ask(&run_dir, &json!({ "act": "people-confirm" }))?;
            let text = if ended == json!(true) {
                "noted; start the gateway anew (systemctl restart doorline), and they open again"
            } else {
                "nothing is in doubt"
            };
            writeln!(out(), "{text}")?;
            Ok(exit::OK)
        }
        PeopleAct::Erase {
            person,
            also,
            confirm,
        } => erase(&run_dir, person, also, confirm.as_deref()),
        PeopleAct::Export { format } => {
            let form = match format {
                PeopleForm::Csv => "csv",
                PeopleForm::Json => "json",
            };
            let answer = control::ask(&run_dir, &json!({ "act": "people-export", "form": form }))?;
            write!(out(), "{}", answer.as_str().unwrap_or_default())?;
            Ok(exit::OK)
        }
        PeopleAct::Import {
            file,
            dry_run,
            replace,
        } => {
            let text = text_of(file)?;
            import(&run_dir, &text, *dry_run, *replace)
        }
        PeopleAct::List { json } => {
            let answer = control::ask(&run_dir, &json!({ "act": "people-list" }))?;
            if *json {
                writeln!(out(), "{answer:#}")?;
            } else {
                list(&answer)?;
            }
            Ok(exit::OK)
        }
        PeopleAct::Remove { person, credential } => {
            let request = json!({ "act": "people-remove", "person": person, "credential": credential });
            tell_left(&control::ask(&run_dir, &request)?)?;
            Ok(exit::OK)
        }
    }
}

/// Erases somebody, if it is meant.
fn erase(run_dir: &Path, person: &str, also: &[String], confirm: Option<&str>) -> anyhow::Result<u8> {
    let mut typed = String::new();
    let again = match confirm {
        Some(again) => again,
        None => {
            log::say(&format!(
                "everything that tells of {person:?} is taken out of the records and the journal, for ever; type the id \
                 again to have it done:"
            ));
            std::io::stdin()
                .read_line(&mut typed)
                .context("standard input cannot be read")?;
            typed.trim()
        }
    };
    if again != person {
        let text = format!("{again:?} is not {person:?}; nothing was erased");
        return Err(WrongUsage(text).into());
    }
    // the body has a longer patience: the whole journal is read
    let request = json!({ "act": "people-erase", "person": person });
    let answer = control::ask_with(run_dir, &request, &json!(also).to_string())?;
    let events = answer["events"].as_u64().unwrap_or_default();
    writeln!(out(), "erased; {events} events of the journal told of them")?;
    for place in answer["left"].as_array().into_iter().flatten() {
        writeln!(out(), "{}", still_named(place))?;
    }
    Ok(exit::OK)
}

/// Where somebody who is erased still stands, and what to do.
fn still_named(place: &Value) -> String {
    let text = |key: &str| place[key].as_str().unwrap_or_default();
    let (file, what) = (text("file"), text("what"));
    let Some(line) = place["line"].as_u64() else {
        return format!("still named in {file}, which is no text: remove it if nothing needs it");
    };
    if place["sure"] == true {
        format!(
            "still named in {file}, line {line}, by their {what}: take it out of the site file, and load it"
        )
    } else {
        format!(
            "perhaps named in {file}, line {line}: a text like their {what} stands there, which may be somebody or something \
             else; look, and take it out of the site file if it is theirs"
        )
    }
}

/// Sends lines, and tells what became of them.
fn import(run_dir: &Path, text: &str, dry_run: bool, replace: bool) -> anyhow::Result<u8> {
    let request = json!({ "act": "people-import", "dry-run": dry_run, "replace": replace });
    let answer = control::ask_with(run_dir, &request, text)?;
    if let Some(faults) = answer["faults"].as_array() {
        for fault in faults.iter().filter_map(Value::as_str) {
            log::say(fault);
        }
        let count = answer["count"].as_u64().unwrap_or_default();
        let s = if count == 1 { "" } else { "s" };
        anyhow::bail!(control::Refused(format!("{count} fault{s}; nothing was changed")));
    }
    let counts = |of: &str| {
        let n = |key: &str| answer[of][key].as_u64().unwrap_or_default();
        format!(
            "{} new, {} changed, {} removed",
            n("new"),
            n("changed"),
            n("removed")
        )
    };
    if dry_run {
        writeln!(out(), "nothing was changed; it would be:")?;
    }
    writeln!(out(), "people: {}", counts("people"))?;
    writeln!(out(), "credentials: {}", counts("credentials"))?;
    for made in answer["codes"].as_array().into_iter().flatten() {
        let word = |key: &str| made[key].as_str().unwrap_or_default();
        writeln!(out(), "code of {}: {}", word("credential"), word("code"))?;
    }
    tell_left(&answer)?;
    Ok(exit::OK)
}

fn is_pin(kind: &str) -> bool {
    matches!(kind, "pin" | "duress-pin")
}

fn set(line: &mut Map<String, Value>, key: &str, text: Option<&String>) {
    if let Some(text) = text {
        line.insert(key.to_owned(), json!(text));
    }
}

/// What limits a credential. Where there is none, or nothing but a PIN, the gateway refuses it and says why.
fn limit(line: &mut Map<String, Value>, addition: &Addition, uses: Option<u32>) {
    set(line, "doors", addition.doors.as_ref());
    set(line, "schedule", addition.schedule.as_ref());
    set(line, "from", addition.from.as_ref());
    set(line, "until", addition.until.as_ref());
    if let Some(uses) = uses {
        line.insert("uses".to_owned(), json!(uses));
    }
}

/// What of those who were blocked or removed the site file still has.
fn tell_left(answer: &Value) -> anyhow::Result<()> {
    let left = answer["left"].as_array().into_iter().flatten();
    for text in left.filter_map(Value::as_str) {
        writeln!(out(), "{text}")?;
    }
    Ok(())
}

/// The options of `add` as lines of an import.
fn lines(addition: &Addition) -> Value {
    let mut person = Map::new();
    set(&mut person, "person", addition.person.as_ref());
    set(&mut person, "name", addition.name.as_ref());
    set(&mut person, "groups", addition.groups.as_ref());
    set(&mut person, "person-from", addition.person_from.as_ref());
    set(&mut person, "person-until", addition.person_until.as_ref());
    if addition.block || addition.unblock {
        person.insert("blocked".to_owned(), json!(addition.block));
    }
    let phone = if addition.phone_needs_pin {
        "phone-pin"
    } else {
        "phone"
    };
    let mut credentials: Vec<(&str, &String)> = Vec::new();
    credentials.extend(addition.pin.iter().map(|pin| ("pin", pin)));
    credentials.extend(addition.duress_pin.iter().map(|pin| ("duress-pin", pin)));
    credentials.extend(addition.card.iter().map(|card| ("card", card)));
    credentials.extend(addition.ibutton.iter().map(|key| ("ibutton", key)));
    credentials.extend(addition.qr.iter().map(|text| ("qr", text)));
    credentials.extend(addition.code.iter().map(|code| ("code", code)));
    credentials.extend(addition.duress_code.iter().map(|code| ("duress-code", code)));
    credentials.extend(addition.phone.iter().map(|number| (phone, number)));
    let pins_alone = credentials.iter().all(|(kind, _)| is_pin(kind));
    let mut all = Vec::new();
    for (kind, value) in &credentials {
        let mut line = person.clone();
        line.insert("kind".to_owned(), json!(kind));
        line.insert("value".to_owned(), json!(value));
        if pins_alone || !is_pin(kind) {
            let uses = addition.uses.filter(|_| *kind != "duress-code");
            limit(&mut line, addition, uses);
        }
        all.push(Value::Object(line));
    }
    if all.is_empty() {
        limit(&mut person, addition, addition.uses);
        all.push(Value::Object(person));
    }
    Value::Array(all)
}

fn list(answer: &Value) -> anyhow::Result<()> {
    let columns = [
        "person",
        "name",
        "groups",
        "person-from",
        "person-until",
        "blocked",
        "kind",
        "value",
        "doors",
        "schedule",
        "until",
        "uses",
        "credential",
        "origin",
    ];
    let cell = |line: &Value, column: &str| line[column].as_str().unwrap_or_default().to_owned();
    let lines = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = std::iter::once(columns.map(str::to_owned).to_vec())
        .chain(
            lines
                .iter()
                .map(|line| columns.iter().map(|c| cell(line, c)).collect()),
        )
        .collect();
    let width = |at: usize| {
        rows.iter()
            .filter_map(|row| row.get(at))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out(), "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    #[test]
    fn each_credential_of_an_addition_is_a_line() {
        let words = "doorline people add alice --name Alice --groups residents --card 123,04567 --pin 4711 --phone 1000 \
                     --phone-needs-pin --until 2026-12-24 --person-from 2026-12-01 --person-until -";
        let cli = Cli::try_parse_from(words.split_whitespace()).expect("parses");
        let Command::People(People {
            act: PeopleAct::Add(addition),
            ..
        }) = cli.command
        else {
            unreachable!("it is an addition");
        };
        let lines = lines(&addition);
        let kinds: Vec<&str> = lines
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|l| l["kind"].as_str())
            .collect();
        assert_eq!(kinds, ["pin", "card", "phone-pin"]);
        assert_eq!(lines[0]["until"], Value::Null, "a PIN has no limits of its own");
        assert_eq!(lines[1]["until"], "2026-12-24");
        assert_eq!(lines[2]["name"], "Alice");
        for line in lines.as_array().expect("a list") {
            assert_eq!(
                (&line["person-from"], &line["person-until"]),
                (&json!("2026-12-01"), &json!("-"))
            );
        }
    }

    #[test]
    fn a_limit_of_nothing_but_a_pin_is_not_dropped_in_silence() {
        let words = "doorline people add alice --pin 4711 --until 2026-12-24";
        let cli = Cli::try_parse_from(words.split_whitespace()).expect("parses");
        let Command::People(People {
            act: PeopleAct::Add(addition),
            ..
        }) = cli.command
        else {
            unreachable!("it is an addition");
        };
        // the gateway refuses this line, and says why
        assert_eq!(lines(&addition)[0]["until"], "2026-12-24");
    }
}
