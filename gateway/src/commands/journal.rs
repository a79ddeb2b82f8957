//! `doorline journal`: reads the journal's files; the gateway may run meanwhile, except for `rebuild`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use gateway_core::RingId;
use gateway_store::{Filter, LogReport, VerifyReport};

use crate::cli::{Format, Journal, JournalAct, exit};

/// Runs one act.
pub(super) fn journal(args: &Journal) -> anyhow::Result<u8> {
    let dir = match &args.state {
        Some(dir) => dir.clone(),
        None => state_dir(&args.site.config)?,
    };
    anyhow::ensure!(
        dir.is_dir(),
        "{} is not a state folder; see --state",
        dir.display()
    );
    let out = std::io::stdout();
    match &args.act {
        JournalAct::Export {
            format,
            from,
            ring,
            source,
            to,
        } => {
            let ring = ring
                .as_deref()
                .map(|text| RingId::parse(text).context("--ring is not a UUID"))
                .transpose()?;
            let filter = Filter {
                ring,
                source: source.clone(),
                ..Filter::default()
            };
            let range = *from..=to.unwrap_or(u64::MAX);
            let format = match format {
                Format::Csv => gateway_store::Format::Csv,
                Format::Jsonl => gateway_store::Format::Jsonl,
            };
            gateway_store::export(&dir, range, &filter, &mut out.lock(), format)?;
            Ok(exit::OK)
        }
        JournalAct::Rebuild => {
            let last = gateway_store::rebuild(&dir)?;
            writeln!(out.lock(), "the index holds every event up to {last}")?;
            Ok(exit::OK)
        }
        JournalAct::Tail { follow, lines } => {
            let mut out = out.lock();
            let mut tail = gateway_store::tail(&dir, *lines)?;
            loop {
                let page = tail.next(1000)?;
                for record in &page {
                    writeln!(out, "{}", gateway_store::json_text(record))?;
                }
                out.flush()?;
                if page.is_empty() && !follow {
                    return Ok(exit::OK);
                }
                if page.is_empty() {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
            }
        }
        JournalAct::Verify => {
            let report = gateway_store::verify(&dir)?;
            writeln!(out.lock(), "{}", verified(&report))?;
            Ok(if report.ok() { exit::OK } else { exit::DAMAGE })
        }
    }
}

/// The state folder that the site file names, even if the file has faults.
fn state_dir(file: &std::path::Path) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} cannot be read; name the folder with --state", file.display()))?;
    Ok(gateway_config::state_dir_of(&text))
}

/// What the verifier found, in words.
pub(crate) fn verified(report: &VerifyReport) -> String {
    let log = |name: &str, log: &LogReport| {
        let mut text = format!("{name}: {} records in {} segments", log.records, log.segments);
        for (from, to) in &log.gaps {
            text += &format!("\n  {from} to {to} are missing and accounted for");
        }
        for note in &log.notes {
            text += &format!("\n  {note}");
        }
        for fault in &log.faults {
            text += &format!("\n  DAMAGE {fault}");
        }
        text
    };
    let end = if report.ok() {
        "every record and the chain are whole"
    } else {
        "there is damage"
    };
    format!(
        "{}\n{}\n{end}",
        log("events", &report.events),
        log("records", &report.records)
    )
}
