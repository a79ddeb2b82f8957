//! Arguments of `doorline report`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    /// State folder; instead of the one in the site file.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) state: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) act: ReportAct,
}

/// What every report takes.
#[derive(Args, Debug)]
pub(crate) struct ReportRange {
    /// Only this door; of calls those that opened it, and those at a panel that the site file has serve it.
    #[arg(long)]
    pub(crate) door: Option<String>,
    /// From when on: 2026-12-24, 2026-12-24T22:10 in the site's time zone, or with an offset.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Until when; a day without time counts as a whole.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Comma-separated values, with a head line.
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportAct {
    /// One line for each call: who rang or called, who was called and answered, how long, how it ended, what it opened.
    Calls {
        #[command(flatten)]
        range: ReportRange,
    },
    /// Openings by means, hour and day, refusals, doors forced and held open, time until somebody answered.
    Doors {
        #[command(flatten)]
        range: ReportRange,
    },
    /// Who opened which door when, by which means. Names are those of a running gateway's records.
    Openings {
        #[command(flatten)]
        range: ReportRange,
        /// Only by this means: api, button, by-panel, caller, card, code, digits, fire, local, mqtt, rex, rule, schedule or web.
        #[arg(long, value_parser = factor)]
        by: Option<gateway_core::Factor>,
        /// Only of this person or other subject: alice, person:alice, contact:sip:1000@pbx.
        #[arg(long)]
        who: Option<String>,
        /// Refusals too.
        #[arg(long)]
        refused: bool,
    },
}

fn factor(word: &str) -> Result<gateway_core::Factor, String> {
    gateway_core::Factor::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = gateway_core::Factor::ALL
            .iter()
            .map(|factor| factor.word())
            .collect();
        format!("allowed: {}", all.join(", "))
    })
}
