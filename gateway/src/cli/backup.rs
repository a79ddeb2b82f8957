//! Arguments of `doorline backup` and `doorline restore`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// File to write; it must not be there.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// File with the passphrase in its first line, for its owner only; - is standard input. Asked for at the terminal
    /// otherwise. At least 12 characters.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) act: Option<BackupAct>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupAct {
    /// What is in a backup, without its secrets.
    Show {
        /// The backup.
        file: PathBuf,
        /// Each person, credential, user and token.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// The backup.
    pub(crate) file: PathBuf,
    /// Do it.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Leave the site file that is there.
    #[arg(long)]
    pub(crate) keep_site_file: bool,
    /// The backup may be that of another site than the site file that is there.
    #[arg(long)]
    pub(crate) other_site: bool,
    /// Also write files that the site file names and that lie outside of its folder.
    #[arg(long)]
    pub(crate) files_outside: bool,
    /// File with the passphrase in its first line, for its owner only; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
