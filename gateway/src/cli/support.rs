//! Arguments of `doorline support`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Support {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: SupportAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SupportAct {
    /// Write a tar file: site file without secrets, health, the newest events, the last calls. It tells of people.
    Bundle {
        /// File to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// SIP messages and headers of RTP, as packet analysers read them.
    Capture {
        #[command(subcommand)]
        act: CaptureAct,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaptureAct {
    /// Begin one. The one before is forgotten.
    Begin {
        /// It ends by itself after so many seconds.
        #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
    },
    /// End it.
    End,
    /// Write what was captured (pcap).
    Save {
        /// File to write; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}
