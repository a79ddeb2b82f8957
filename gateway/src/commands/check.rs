//! `doorline check`: every fault of a site file at once; its schema; its reference page; what MQTT says.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use gateway_config::{Config, SecretFiles};
use gateway_people::{CREDENTIAL, PERSON};
use serde_json::Value;

use crate::cli::{Check, exit};
use crate::commands::{out, site};
use crate::run::log;
use crate::run::people::names;

/// Checks, or prints a document.
pub(super) fn check(args: &Check) -> anyhow::Result<u8> {
    let mut out = out();
    if args.schema {
        writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&gateway_config::schema())?
        )?;
        return Ok(exit::OK);
    }
    if args.reference {
        write!(out, "{}", gateway_config::reference())?;
        return Ok(exit::OK);
    }
    if args.asyncapi {
        write!(out, "{}", gateway_mqtt::asyncapi())?;
        return Ok(exit::OK);
    }
    let file = args.file.as_deref().context("no site file was given")?;
    let secrets = if args.elsewhere {
        SecretFiles::WhereFound
    } else {
        SecretFiles::Needed
    };
    let loaded = site::loaded(file, secrets)?;
    if !loaded.warnings.list.is_empty() {
        log::say(&loaded.warnings.to_string());
    }
    let c = &loaded.config;
    let missing = if args.elsewhere {
        Vec::new()
    } else {
        missing(args.state.as_deref().unwrap_or(&c.site.state_dir), c)
    };
    for text in &missing {
        log::say(&format!("{}: {text}", file.display()));
    }
    writeln!(
        out,
        "{}: no faults, {}; {}, {}, {}, {}",
        file.display(),
        count(loaded.warnings.list.len() + missing.len(), "warning"),
        count(c.doors.len(), "door"),
        count(c.panels.len(), "panel"),
        count(c.outputs.len(), "output"),
        count(c.accounts.len(), "account")
    )?;
    Ok(exit::OK)
}

/// What people of the records name and the site file does not have. Whoever has no gateway here has no records.
fn missing(state: &Path, config: &Config) -> Vec<String> {
    if !state.join("journal/records").is_dir() {
        return Vec::new();
    }
    let mut all: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    let read = gateway_store::rows(state, &mut |kind, key, entry| {
        if [CREDENTIAL, PERSON].contains(&kind) {
            let of_kind = all.entry(kind.to_owned()).or_default();
            of_kind.push((key.to_owned(), entry.value));
        }
    });
    if let Err(error) = read {
        return vec![format!(
            "whether people name groups, schedules and doors that it does not have is not known: {error}"
        )];
    }
    let visit = |kind: &str, each: &mut dyn FnMut(&str, Value)| {
        for (key, value) in all.get(kind).into_iter().flatten() {
            each(key, value.clone());
        }
    };
    let missing = gateway_people::missing(visit, &names(config));
    missing.iter().map(ToString::to_string).collect()
}

fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}
