//! `doorline run`: the gateway, until a signal ends it.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::cli::{SiteFile, exit};
use crate::run;

/// Runs it.
pub(super) fn run(args: &SiteFile) -> anyhow::Result<u8> {
    run::log::to_stderr();
    // passwords and keys are in memory: a crash leaves no copy of them on the disk, nor one of a child
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    run::runtime()?.block_on(run::daemon::run(&args.config))?;
    Ok(exit::OK)
}
