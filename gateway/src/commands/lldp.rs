//! `doorline lldp`: hellos to the switch, from a process that may send raw frames and does nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gateway_config::Config;
use gateway_core::Clock;
use gateway_guard::Systemd;
use gateway_network::lldp::Hellos;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{SiteFile, exit};
use crate::clock::SystemClock;
use crate::commands::site;
use crate::run::{daemon, log, network_name};

/// How often ports are looked at: a link that came up is greeted within this time.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until it is told to stop; SIGHUP reads the site file again.
pub(super) fn lldp(args: &SiteFile) -> anyhow::Result<u8> {
    log::to_stderr();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(run(&args.config))?;
    Ok(exit::OK)
}

async fn run(file: &Path) -> anyhow::Result<()> {
    let mut reload = signal(SignalKind::hangup())?;
    // this process reads no password, and may not be able to
    let read = || site::load(file);
    let mut hellos = open(&read()?)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ended = daemon::ended()?;
    tokio::pin!(ended);
    Systemd::from_env().ready(said(hellos.is_some()));
    loop {
        tokio::select! {
            () = &mut ended => {
                if let Some(hellos) = &hellos {
                    hellos.goodbye();
                }
                return Ok(());
            }
            _ = reload.recv() => match read().and_then(|config| open(&config)) {
                Ok(new) => {
                    if let Some(old) = std::mem::replace(&mut hellos, new) {
                        old.goodbye();
                    }
                    tracing::info!("{}", said(hellos.is_some()));
                }
                Err(error) => tracing::error!("the site file was not taken, the old one stays in force: {error:#}"),
            },
            _ = look.tick() => {
                if let Some(hellos) = &mut hellos {
                    hellos.look(clock.now());
                }
            }
        }
    }
}

const fn said(on: bool) -> &'static str {
    if on {
        "hellos are sent on every wire"
    } else {
        "lldp is false in the site file: nothing is sent"
    }
}

fn open(config: &Config) -> anyhow::Result<Option<Hellos>> {
    let announce = &config.announce;
    if !announce.lldp {
        return Ok(None);
    }
    let description = concat!("Doorline ", env!("CARGO_PKG_VERSION"));
    let hellos = Hellos::open(&network_name(config), description, announce.lldp_interval)?;
    Ok(Some(hellos))
}
