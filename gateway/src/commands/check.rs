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
    let loaded = site::loaded(file, SecretFiles::WhereFound)?;
    if !loaded.warnings.list.is_empty() {
        log::say(&loaded.warnings.to_string());
    }
    let c = &loaded.config;
    writeln!(
        out,
        "{}: no faults, {} warnings; {} doors, {} panels, {} outputs, {} accounts",
        file.display(),
        loaded.warnings.list.len(),
        c.doors.len(),
        c.panels.len(),
        c.outputs.len(),
        c.accounts.len()
    )?;
    Ok(exit::OK)
}
