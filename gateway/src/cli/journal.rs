//! Arguments of `doorline journal`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::SiteFile;

fn class(word: &str) -> Result<gateway_core::Class, String> {
    gateway_core::Class::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = gateway_core::Class::ALL
            .iter()
            .map(|class| class.word())
            .collect();
        format!("allowed: {}", all.join(", "))
    })
}

#[derive(Args, Debug)]
pub(crate) struct Journal {
    /// Site file, to find the state folder.
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// State folder; instead of the one in the site file.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) act: JournalAct,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values, with a head line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalAct {
    /// Print the last records.
    Tail {
        /// Go on with new records.
        #[arg(short, long)]
        follow: bool,
        /// How many to begin with.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
    },
    /// Write records to standard output.
    Export {
        /// Only this class: application, audio, display, door, hardware, network or use.
        #[arg(long, value_parser = class)]
        class: Option<gateway_core::Class>,
        /// Form.
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
        /// First sequence number.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Last sequence number.
        #[arg(long)]
        to: Option<u64>,
        /// Only this ring.
        #[arg(long)]
        ring: Option<String>,
        /// Only this source: a door, panel, line, reader, account or device.
        #[arg(long)]
        source: Option<String>,
    },
    /// Check every record and the chain; exit code 5 if there is damage.
    Verify,
    /// Throw the index away and make it again from the logs. The gateway must not run.
    Rebuild,
}
