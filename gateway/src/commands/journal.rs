//! `doorline journal`: reads the journal's files; the gateway may run meanwhile, except for `rebuild`.

use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gateway_core::RingId;
use gateway_store::{Filter, LogReport, OpenError, VerifyReport};
use rustix::process::{Gid, Uid};

use crate::cli::{Format, Journal, JournalAct, exit};
use crate::commands::{WrongUsage, out};
use crate::run::log;

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
    match &args.act {
        JournalAct::Export {
            class,
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
                class: *class,
                ring,
                source: source.clone(),
                ..Filter::default()
            };
            let range = *from..=to.unwrap_or(u64::MAX);
            if range.is_empty() {
                let (from, to) = (range.start(), range.end());
                let text =
                    format!("--from {from} is after --to {to}; allowed is --from 1 to {to}, or a later --to");
                return Err(WrongUsage(text).into());
            }
            let format = match format {
                Format::Csv => gateway_store::Format::Csv,
                Format::Jsonl => gateway_store::Format::Jsonl,
            };
            gateway_store::export(&dir, range.clone(), &filter, &mut out(), format)?;
            missing(&dir, &range)
        }
        JournalAct::Rebuild => {
            as_owner_of(&dir)?;
            let last = gateway_store::rebuild(&dir)?;
            writeln!(out(), "the index holds every event up to {last}")?;
            Ok(exit::OK)
        }
        JournalAct::Tail { follow, lines } => {
            if *lines == 0 && !follow {
                return Ok(exit::OK);
            }
            let mut out = out();
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
            let report = match gateway_store::verify(&dir) {
                Ok(report) => report,
                Err(error) if is_gone(&error) && dir.join("instance").exists() => {
                    writeln!(
                        out(),
                        "{} has been a gateway's state folder and its journal is gone: {error}\nthere is damage",
                        dir.display()
                    )?;
                    return Ok(exit::DAMAGE);
                }
                Err(error) => return Err(error.into()),
            };
            writeln!(out(), "{}", verified(&report))?;
            Ok(if report.ok() { exit::OK } else { exit::DAMAGE })
        }
    }
}

/// Root acts as the owner of the state folder from here on: what root wrote, the gateway's user could not use again.
fn as_owner_of(dir: &Path) -> anyhow::Result<()> {
    use rustix::thread;
    let owner = std::fs::metadata(dir).with_context(|| format!("{} cannot be looked at", dir.display()))?;
    if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    // of this thread, and of those it starts: the one of the log writes to standard error only
    let (user, group) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    thread::set_thread_groups(&[])
        .and_then(|()| thread::set_thread_res_gid(group, group, group))
        .and_then(|()| thread::set_thread_res_uid(user, user, user))
        .with_context(|| {
            let (dir, user) = (dir.display(), owner.uid());
            format!("root cannot act as user {user}, who owns {dir}; run this as that user")
        })
}

fn is_gone(error: &OpenError) -> bool {
    if let OpenError::Dir { source, .. } = error {
        source.kind() == std::io::ErrorKind::NotFound
    } else {
        false
    }
}

/// Says which records of a range an export could not give. Damage that nobody knew of makes the exit code.
fn missing(dir: &Path, range: &RangeInclusive<u64>) -> anyhow::Result<u8> {
    let events = gateway_store::verify(dir)?.events;
    let last = (*range.end()).min(events.last.0);
    for (from, to) in &events.gaps {
        let (from, to) = (from.0.max(*range.start()), to.0.min(last));
        if from <= to {
            log::say(&format!(
                "no records {from} to {to}: they were trimmed, or lost to damage that was reported"
            ));
        }
    }
    for fault in &events.faults {
        log::say(&format!("DAMAGE {fault}"));
    }
    if events.faults.is_empty() {
        return Ok(exit::OK);
    }
    log::say(
        "the journal has damage: the export has every record that can be read; what cannot be read is missing from it",
    );
    Ok(exit::DAMAGE)
}

/// The state folder that the site file names, even if the file has faults.
pub(super) fn state_dir(file: &std::path::Path) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} cannot be read; name the folder with --state", file.display()))?;
    Ok(gateway_config::state_dir_of(&text))
}

/// What the verifier found, in words.
pub(crate) fn verified(report: &VerifyReport) -> String {
    let log = |name: &str, log: &LogReport| {
        let mut text = format!("{name}: {} records in {} segments", log.records, log.segments);
        for (from, to) in &log.gaps {
            text += &format!("\n  {from} to {to} have no record and are accounted for");
        }
        if log.redacted > 0 {
            text += &format!(
                "\n  of {} the content was taken out, in whole or in part: their time was over, or somebody was erased",
                log.redacted
            );
        }
        for note in &log.notes {
            text += &format!("\n  {note}");
        }
        for fault in &log.faults {
            text += &format!("\n  DAMAGE {fault}");
        }
        text
    };
    let gaps = !report.events.gaps.is_empty() || !report.records.gaps.is_empty();
    let end = match (report.ok(), gaps) {
        (true, false) => "every record and the chain are whole",
        (true, true) => "every record is whole or accounted for, and the chain is whole",
        (false, _) => "there is damage",
    };
    format!(
        "{}\n{}\n{end}",
        log("events", &report.events),
        log("records", &report.records)
    )
}
