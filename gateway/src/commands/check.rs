//! `doorline check`: every fault of a site file at once; its schema; its reference page.

use std::io::Write;

use anyhow::Context;
use gateway_config::SecretFiles;

use crate::cli::{Check, exit};
use crate::commands::{out, site};
use crate::run::log;

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
    writeln!(
        out,
        "{}: no faults, {}; {}, {}, {}, {}",
        file.display(),
        count(loaded.warnings.list.len(), "warning"),
        count(c.doors.len(), "door"),
        count(c.panels.len(), "panel"),
        count(c.outputs.len(), "output"),
        count(c.accounts.len(), "account")
    )?;
    Ok(exit::OK)
}

fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}
