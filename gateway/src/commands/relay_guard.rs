//! `doorline relay-guard`: the process that holds the outputs, and its sentinel.

use crate::cli::{RelayGuard, exit};
use crate::commands::site;
use crate::run;

/// Runs until the gateway that started it is gone, or a signal ends it; outputs are at rest then.
pub(super) fn relay_guard(args: &RelayGuard) -> anyhow::Result<u8> {
    if args.follow_stdin {
        // the gateway that started it journals each pulse already
        run::log::quiet();
    } else {
        run::log::to_stderr();
    }
    // passwords are not the guard's business: it reads the outputs and its own limits, nothing else
    let config = site::load(&args.site.config)?;
    let params = run::guard_params(&config, &args.site.config, args.follow_stdin);
    if args.sentinel {
        gateway_guard::sentinel_main(params.boards)?;
    } else {
        gateway_guard::guard_main(params)?;
    }
    Ok(exit::OK)
}
