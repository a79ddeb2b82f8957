//! Arguments of `doorline network` and `doorline time`.

use clap::{Args, Subcommand};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Network {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: NetworkAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetworkAct {
    /// Carry out what the site file says of the port.
    Apply {
        /// Take it back unless it is confirmed within this time, 10 to 3600 s.
        #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(10..=3600))]
        seconds: u64,
    },
    /// Say what would be written and what stands in the way; change nothing.
    Check,
    /// Keep the change that waits.
    Confirm,
    /// Give the port its factory address, for an hour unless it is confirmed; run by its unit when an input was held at
    /// the gateway's start.
    #[command(hide = true)]
    Factory,
    /// The process that takes a change back: internal, started by `apply`.
    #[command(hide = true)]
    Hold,
    /// Take back what waited when the machine went down; run by its unit before the network starts.
    Recover,
    /// Take the change that waits back at once.
    Rollback,
    /// Show ports, our files, and the change that waits.
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct Time {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: TimeAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TimeAct {
    /// Set the clock of the machine; the gateway believes it after a steady minute.
    Set {
        /// `YYYY-MM-DD HH:MM:SS` in the site's time zone, or with an offset: `2026-11-29T10:15:00+01:00`.
        time: String,
    },
    /// Show the time, the time zone, and whether a time service keeps the clock right.
    Show,
}
