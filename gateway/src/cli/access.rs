//! Arguments of `doorline access`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Access {
    #[command(flatten)]
    pub(crate) site: SiteFile,
    #[command(subcommand)]
    pub(crate) act: AccessAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccessAct {
    /// Say whether it would open, and which rule decides. Exit code 6 if it would not.
    Explain(Box<Ask>),
    /// Say what another site file would alter, for whom.
    Diff {
        /// The other site file.
        file: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Door.
    #[arg(long)]
    pub(crate) door: String,
    /// A card, in any of the notations of `doorline people add`.
    #[arg(long, conflicts_with_all = ["code", "caller"])]
    pub(crate) card: Option<String>,
    /// What is typed after the card, or dialled by the caller.
    #[arg(long)]
    pub(crate) pin: Option<String>,
    /// A code, typed at a keypad, or dialled by the caller.
    #[arg(long, required_unless_present_any = ["card", "caller", "button", "hold"])]
    pub(crate) code: Option<String>,
    /// The code is dialled by whoever the door called.
    #[arg(long, requires = "code")]
    pub(crate) in_call: bool,
    /// A number that calls the door.
    #[arg(long)]
    pub(crate) caller: Option<String>,
    /// A button that opens by day: PANEL/BUTTON.
    #[arg(long, conflicts_with_all = ["card", "code", "caller", "hold"])]
    pub(crate) button: Option<String>,
    /// The door's schedule that holds it open.
    #[arg(long, conflicts_with_all = ["card", "code", "caller"])]
    pub(crate) hold: bool,
    /// Reader; the first one of the door if not given.
    #[arg(long)]
    pub(crate) reader: Option<String>,
    /// When: 2026-12-24T22:10 in the site's time zone, or with an offset; at this moment if not given.
    #[arg(long)]
    pub(crate) at: Option<String>,
}
