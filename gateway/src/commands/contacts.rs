//! `doorline contacts`: contacts of a running gateway as a table, through its control socket.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::cli::{Contacts, ContactsAct, exit};
use crate::commands::input::text_of;
use crate::commands::{out, site};
use crate::control;
use crate::run::log;

/// Runs one act.
pub(super) fn contacts(args: &Contacts) -> anyhow::Result<u8> {
    let run_dir = site::running(&args.site.config)?.site.run_dir.clone();
    let (file, dry_run, replace) = match &args.act {
        ContactsAct::Export => {
            let answer = control::ask(&run_dir, &json!({ "act": "contacts-export" }))?;
            write!(out(), "{}", answer.as_str().unwrap_or_default())?;
            return Ok(exit::OK);
        }
        ContactsAct::Import {
            file,
            dry_run,
            replace,
        } => (file, dry_run, replace),
    };
    let text = text_of(file)?;
    let request = json!({ "act": "contacts-import", "dry-run": dry_run, "replace": replace });
    let answer = control::ask_with(&run_dir, &request, &text)?;
    if let Some(faults) = answer["faults"].as_array() {
        for fault in faults.iter().filter_map(Value::as_str) {
            log::say(fault);
        }
        log::say("nothing was changed");
        return Ok(exit::FAILED);
    }
    let would = if *dry_run { "would be " } else { "" };
    writeln!(
        out(),
        "{} {would}new, {} {would}changed, {} {would}removed",
        answer["new"],
        answer["changed"],
        answer["removed"]
    )?;
    Ok(exit::OK)
}
