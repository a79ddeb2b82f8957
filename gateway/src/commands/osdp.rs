//! `doorline osdp`: keys of OSDP readers, the window in which a reader is given its own, their address, their firmware.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use rand::TryRngCore;
use serde_json::{Value, json};

use crate::cli::{SiteFile, exit};
use crate::commands::{out, site};
use crate::control;

/// How often it is asked how far a reader is.
const LOOK: Duration = Duration::from_millis(500);
/// A line that runs has said something by then.
const BEGINS: Duration = Duration::from_secs(15);

/// Arguments of `doorline osdp`.
#[derive(Args, Debug)]
pub(crate) struct Osdp {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Give a reader a file, its firmware mostly, and show how far it is. Cards are read meanwhile if the reader allows it.
    /// What the reader makes of half a file is its own: look at its manual before.
    Firmware {
        #[command(flatten)]
        site: SiteFile,
        /// The reader.
        reader: String,
        /// The file, 1 byte to 16 MiB, as the reader's maker gives it.
        file: PathBuf,
        /// Type of the file: 1 is one that only the reader understands, 128 to 255 are the maker's.
        #[arg(long, default_value_t = 1)]
        kind: u8,
    },
    /// Give up what is on its way to a reader.
    GiveUp {
        #[command(flatten)]
        site: SiteFile,
        /// The reader.
        reader: String,
    },
    /// Let a reader that is new or was reset be given its key, for some minutes. The gateway must run. Meanwhile the key
    /// that everybody knows (SCBK-D) is used once, for nothing but handing over the reader's own: whoever listens on the
    /// cable just then learns it.
    Install {
        #[command(flatten)]
        site: SiteFile,
        /// The reader.
        reader: String,
        /// For how many minutes, 1 to 60.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
        minutes: u64,
    },
    /// Have a reader take another address or speed, in the window that `install` opens. Then the site file has to say the
    /// same, or the gateway does not find the reader any more.
    Move {
        #[command(flatten)]
        site: SiteFile,
        /// The reader.
        reader: String,
        /// Its new address, 0 to 126; no other reader of its line may have it. Left out it stays.
        #[arg(long, required_unless_present = "baud", value_parser = clap::value_parser!(u8).range(0..=126))]
        address: Option<u8>,
        /// Its new speed, bits per second. Left out it stays.
        #[arg(long)]
        baud: Option<u32>,
    },
    /// Make a file with a new key, for its owner only. A file that is there is not replaced.
    NewKey {
        /// The file.
        file: PathBuf,
    },
}

/// Runs one act.
pub(super) fn osdp(args: &Osdp) -> anyhow::Result<u8> {
    match &args.act {
        Act::Firmware {
            site,
            reader,
            file,
            kind,
        } => {
            let run_dir = site::running(&site.config)?.site.run_dir.clone();
            let length = std::fs::metadata(file).map_or(0, |file| file.len());
            let most = adapter_osdp::LONGEST_FILE as u64;
            ensure!(
                length <= most,
                "{} has {length} bytes, {most} are the most",
                file.display()
            );
            let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
            let request = json!({ "act": "osdp-firmware", "reader": reader, "kind": kind });
            control::ask_with(&run_dir, &request, &STANDARD.encode(&bytes))?;
            follow(&run_dir, reader)?;
        }
        Act::GiveUp { site, reader } => {
            let run_dir = site::running(&site.config)?.site.run_dir.clone();
            control::ask(&run_dir, &json!({ "act": "osdp-give-up", "reader": reader }))?;
            writeln!(out(), "reader {reader} gets no more of it")?;
        }
        Act::Move {
            site,
            reader,
            address,
            baud,
        } => {
            let config = site::running(&site.config)?;
            let id = reader.parse::<gateway_core::ReaderId>();
            let id = id.map_err(|error| anyhow::anyhow!("reader: {error}"))?;
            let found = config.readers.get(&id).map(|reader| &reader.driver);
            let Some(gateway_config::ReaderDriver::Osdp(is)) = found else {
                bail!("{reader} is no OSDP reader of the site file");
            };
            let (address, baud) = (address.unwrap_or(is.address), baud.unwrap_or(is.baud));
            let request = json!({ "act": "osdp-move", "reader": reader, "address": address, "baud": baud });
            control::ask(&config.site.run_dir, &request)?;
            follow(&config.site.run_dir, reader)?;
            writeln!(
                out(),
                "now set address = {address} and baud = {baud} in [readers.{reader}.osdp] and reload: until then it is away"
            )?;
        }
        Act::Install {
            site,
            reader,
            minutes,
        } => {
            let run_dir = site::running(&site.config)?.site.run_dir.clone();
            let request = json!({ "act": "osdp-install", "reader": reader, "seconds": minutes * 60 });
            control::ask(&run_dir, &request)?;
            writeln!(
                out(),
                "reader {reader} is given its key if it comes online within {minutes} min; its fault ends when it has it"
            )?;
        }
        Act::NewKey { file } => {
            let mut key = [0; 16];
            rand::rngs::OsRng
                .try_fill_bytes(&mut key)
                .context("the system gives no random numbers")?;
            let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut to = std::fs::File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(file)
                .with_context(|| format!("{} cannot be made", file.display()))?;
            writeln!(to, "{digits}")?;
            to.sync_all()?;
            writeln!(
                out(),
                "key: {} (for its owner only; the gateway has to be able to read it: set key-file)",
                file.display()
            )?;
        }
    }
    Ok(exit::OK)
}

/// Shows how far it is until it is over.
fn follow(run_dir: &Path, reader: &str) -> anyhow::Result<()> {
    let (begun, mut shown) = (Instant::now(), None);
    loop {
        let said = control::ask(run_dir, &json!({ "act": "osdp-progress", "reader": reader }))?;
        let text = said["text"].as_str().unwrap_or_default();
        let number = |key: &str| said.get(key).and_then(Value::as_u64).unwrap_or(0);
        match said["state"].as_str() {
            Some("done") => {
                writeln!(out(), "{text}")?;
                return Ok(());
            }
            Some("failed") => bail!("{text}"),
            Some("runs") => {}
            Some(_) | None => {
                bail!("the gateway knows of nothing on its way to {reader}; it was started anew")
            }
        }
        let (sent, total) = (number("sent"), number("total"));
        let part = sent * 100 / total.max(1);
        if sent == 0 && begun.elapsed() >= BEGINS {
            bail!(
                "the line of {reader} does nothing: doorline doctor and the page say what is wrong with it"
            );
        }
        if sent > 0 && shown != Some(part) {
            writeln!(out(), "{part} %, {sent} of {total} bytes")?;
            shown = Some(part);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_for_its_owner_only_and_never_replaces_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("street.key");
        let make = Osdp {
            act: Act::NewKey { file: file.clone() },
        };
        assert_eq!(osdp(&make).expect("made"), exit::OK);
        let text = std::fs::read_to_string(&file).expect("there");
        assert!(adapter_osdp::Key::parse(text.trim()).is_ok());
        let mode = std::fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(osdp(&make).is_err());
        assert_eq!(std::fs::read_to_string(&file).expect("there"), text);
    }
}
