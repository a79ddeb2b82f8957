//! `doorline controllers`: cards for access controllers of somebody else.

use std::io::Write as _;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{SiteFile, exit};
use crate::commands::{out, site};
use crate::control;

/// Arguments of `doorline controllers`.
#[derive(Args, Debug)]
pub(crate) struct Controllers {
    #[command(flatten)]
    site: SiteFile,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Send a controller a card that nobody showed: it opens what it opens by that card. Its site file has to allow it
    /// (`by-command`), and the journal has it.
    Send {
        /// The controller.
        controller: String,
        /// The card: `26:FACILITY,NUMBER`, `37:NUMBER`, `BITS:hex:DIGITS`, or a contact key as the site file writes it (`ibutton:SERIAL`). It goes
        /// out as it is: of a contact key 64 bits.
        card: String,
    },
}

/// Runs one act.
pub(super) fn controllers(args: &Controllers) -> anyhow::Result<u8> {
    let Act::Send { controller, card } = &args.act;
    let run_dir = site::running(&args.site.config)?.site.run_dir.clone();
    let request = json!({ "act": "controller-send", "controller": controller, "card": card });
    control::ask(&run_dir, &request)?;
    writeln!(
        out(),
        "the card goes to {controller}; the journal tells what became of it (controller.taken, controller.missed)"
    )?;
    Ok(exit::OK)
}
