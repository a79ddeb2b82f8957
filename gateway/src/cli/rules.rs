//! Arguments of `doorline rules`.

use clap::{Args, Subcommand};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Rules {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: RulesAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesAct {
    /// Say of each rule that looks at the event whether it acts, and what is asked for or what is missing. Exit code 6 if
    /// none acts.
    Try(Box<TryRules>),
}

#[derive(Args, Debug)]
pub(crate) struct TryRules {
    /// The event, as the journal exports it; `kind` is enough.
    #[arg(long, value_name = "JSON")]
    pub(crate) event: String,
    /// When: 2026-12-24T22:10 in the site's time zone, or with an offset; at this moment if not given.
    #[arg(long)]
    pub(crate) at: Option<String>,
    /// It comes so often, a second apart; the last one is told.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) times: u32,
    /// How a door or an input is: `front=open`, `alarm=active`. May be given several times.
    #[arg(long, value_name = "NAME=STATE")]
    pub(crate) state: Vec<String>,
    /// A group that whoever the event is about is in. May be given several times.
    #[arg(long)]
    pub(crate) group: Vec<String>,
}
