//! `doorline osdp`: keys of OSDP readers, and the window in which a reader is given its own.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use rand::TryRngCore;
use serde_json::json;

use crate::cli::{SiteFile, exit};
use crate::commands::{out, site};
use crate::control;

/// Arguments of `doorline osdp`.
#[derive(Args, Debug)]
pub(crate) struct Osdp {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
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
    /// Make a file with a new key, for its owner only. A file that is there is not replaced.
    NewKey {
        /// The file.
        file: PathBuf,
    },
}

/// Runs one act.
pub(super) fn osdp(args: &Osdp) -> anyhow::Result<u8> {
    match &args.act {
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
