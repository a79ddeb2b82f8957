//! `doorline relay-guard`: the process that holds the outputs, and its sentinel.

use std::path::{Path, PathBuf};

use gateway_config::Config;
use gateway_guard::{GuardParams, Rested};

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
    run::log::foresee(&args.site.config);
    if args.rest {
        return rest(args);
    }
    // passwords are not the guard's business: it reads the outputs and its own limits, nothing else
    let config = site::load(&args.site.config)?;
    run::log::configure_form(&config.log);
    let params = run::guard_params(&config, &args.site.config, args.follow_stdin);
    if args.sentinel {
        gateway_guard::sentinel_main(params.boards)?;
    } else {
        gateway_guard::guard_main(params)?;
    }
    Ok(exit::OK)
}

/// Brings every board to rest in place of processes that are no more.
fn rest(args: &RelayGuard) -> anyhow::Result<u8> {
    let file = &args.site.config;
    let (config, file) = match site::load(file) {
        Ok(config) => (config, file.clone()),
        Err(error) => {
            // somebody is at work on the file: the outputs are those of the text that was in force
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let in_force = gateway_config::state_dir_of(&text).join(run::IN_FORCE);
            if !in_force.exists() {
                return Err(error);
            }
            (site::load(&in_force)?, in_force)
        }
    };
    let on_trial = on_trial(&config, &file);
    for (config, file) in std::iter::once((config, file)).chain(on_trial) {
        written(run::guard_params(&config, &file, false))?;
    }
    Ok(exit::OK)
}

/// What was in force when everything ended, if it was a configuration on trial: its outputs may be others.
fn on_trial(config: &Config, file: &Path) -> Option<(Config, PathBuf)> {
    let state = &config.site.state_dir;
    let left = gateway_config::TrialStore::new(state).left(file).ok().flatten();
    left.and_then(|_| {
        let in_force = state.join(run::IN_FORCE);
        Some((site::load(&in_force).ok()?, in_force))
    })
}

fn written(params: GuardParams) -> anyhow::Result<()> {
    match gateway_guard::rest_main(params)? {
        Rested::LeftToGuard => tracing::info!("a relay guard runs and holds the outputs; it was left alone"),
        Rested::Written(boards) => tracing::info!(boards, "every output was written to rest"),
    }
    Ok(())
}
