//! `doorline run`: the gateway, until a signal ends it.

use crate::cli::{SiteFile, exit};
use crate::run;

/// Runs it.
pub(super) fn run(args: &SiteFile) -> anyhow::Result<u8> {
    run::log::to_stderr();
    run::runtime()?.block_on(run::daemon::run(&args.config))?;
    Ok(exit::OK)
}
