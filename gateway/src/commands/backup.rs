//! `doorline backup` and `doorline restore`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use gateway_backup::{Content, Cost, MAX_BYTES};
use gateway_core::Secret;

use crate::backup::{self, How};
use crate::cli::{Backup, BackupAct, Restore, exit};
use crate::commands::{WrongUsage, out};
use crate::run::log;

/// Takes a backup, or shows what is in one.
pub(super) fn backup(args: &Backup) -> anyhow::Result<u8> {
    match (&args.act, &args.out) {
        (Some(BackupAct::Show { file, all }), _) => {
            let content = read(file, &passphrase(args.passphrase_file.as_deref(), false)?)?;
            for line in backup::summary(&content, *all) {
                writeln!(out(), "{line}")?;
            }
        }
        (None, Some(to)) => {
            let gathered = backup::gather(&args.site.config)?;
            let passphrase = passphrase(args.passphrase_file.as_deref(), true)?;
            write(to, &gathered.content, &passphrase)?;
            let size = std::fs::metadata(to).map_or(0, |meta| meta.len());
            writeln!(
                out(),
                "{}: {} files, {} records, {size} bytes; it has every secret of the site, and nobody can read it without the \
                 passphrase",
                to.display(),
                gathered.content.files.len(),
                gathered.content.records.len()
            )?;
            for missing in gathered.missing {
                log::say(&format!("not in it, though the site file names it: {missing}"));
            }
        }
        (None, None) => {
            return Err(
                WrongUsage("say --out FILE, or show FILE; see doorline backup --help".to_owned()).into(),
            );
        }
    }
    Ok(exit::OK)
}

/// Restores a backup; without `--yes` it only says what that would do.
pub(super) fn restore(args: &Restore) -> anyhow::Result<u8> {
    let content = read(&args.file, &passphrase(args.passphrase_file.as_deref(), false)?)?;
    let how = How {
        files_outside: args.files_outside,
        keep_site_file: args.keep_site_file,
        other_site: args.other_site,
    };
    for line in backup::summary(&content, false) {
        writeln!(out(), "{line}")?;
    }
    // a bare name has no folder to be looked at
    let site_file = std::path::absolute(&args.site.config)?;
    let prepared = backup::prepare(content, &site_file, how)?;
    for line in &prepared.lines {
        writeln!(out(), "{line}")?;
    }
    if !args.yes {
        writeln!(out(), "nothing was changed; with --yes all of this is done")?;
        return Ok(exit::OK);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(prepared.restore())?;
    for left in &done.left {
        log::say(&format!("not written: {left}"));
    }
    writeln!(out(), "restored into {}", done.state_dir.display())?;
    match done.before {
        Some(before) => writeln!(
            out(),
            "what was there is in {}; it has people and secrets of before: remove it once all is well",
            before.display()
        )?,
        None if rustix::process::geteuid().is_root() => writeln!(
            out(),
            "its files, and the others that were written, are root's; if the gateway has a user of its own, they have to be that \
             user's: chown -R doorline: {}",
            done.state_dir.display()
        )?,
        None => {}
    }
    Ok(exit::OK)
}

fn passphrase(file: Option<&Path>, new: bool) -> anyhow::Result<Secret> {
    match file {
        Some(file) => backup::given(file),
        None => backup::from_terminal(new),
    }
}

fn read(file: &Path, passphrase: &Secret) -> anyhow::Result<Content> {
    let named = || file.display().to_string();
    let opened = File::open(file).with_context(|| format!("{} cannot be read", named()))?;
    let meta = opened.metadata()?;
    anyhow::ensure!(meta.is_file(), "{} is no file", named());
    anyhow::ensure!(
        meta.len() <= MAX_BYTES,
        "{} has {} bytes, which no backup has: at most {MAX_BYTES}",
        named(),
        meta.len()
    );
    gateway_backup::read(BufReader::new(opened), passphrase).with_context(named)
}

/// Writes it where nothing is yet, for its owner only; nothing is left of one that was not finished.
fn write(to: &Path, content: &Content, passphrase: &Secret) -> anyhow::Result<()> {
    let named = || format!("{} cannot be made", to.display());
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(named)?;
    let written = gateway_backup::write(BufWriter::new(file), content, passphrase, Cost::NEW)
        .map_err(anyhow::Error::from)
        .and_then(|file| Ok(file.into_inner()?.sync_all()?));
    if written.is_err() {
        // of use to nobody
        let _ = std::fs::remove_file(to);
    }
    written.with_context(named)
}
