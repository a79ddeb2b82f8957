//! `doorline run`: start, signals, orderly end.

use std::path::Path;
use std::pin::Pin;

use gateway_config::{Boot, LoadError, Loaded, SecretFiles};
use gateway_guard::Systemd;
use gateway_site::HeldInput;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::commands;
use crate::run::site_file::SiteFile;
use crate::run::{Gateway, Taken, home, log};

/// Runs until SIGTERM or SIGINT; SIGHUP reads the site file again.
pub(crate) async fn run(file: &Path) -> anyhow::Result<()> {
    log::foresee(file);
    let (loaded, refused) = boot(file)?;
    // before anything is started that tells something
    log::configure(&loaded.config.log);
    if !loaded.warnings.list.is_empty() {
        log::say(&loaded.warnings.to_string());
    }
    let mut reload = signal(SignalKind::hangup())?;
    let (asking, desk) = gateway_bus::site_file();
    let site = &loaded.config.site;
    let folders = [site.state_dir.clone(), site.run_dir.clone()];
    let started = Gateway::start(file, loaded, refused, Some(asking)).await;
    let mut gateway = started.map_err(|error| home::with_remedy(error, &folders))?;
    let mut site_file = SiteFile::new(file, desk, &gateway);
    announce(&gateway);
    // before anybody hears that it is ready: who stops it then is to find an orderly end
    let ended = ended()?;
    let systemd = Systemd::from_env();
    let mut missing: Option<Pin<Box<dyn Future<Output = ()>>>> = None;
    match gateway.ready().await {
        Ok(()) => every_door(&systemd, &gateway),
        Err(error) => {
            tracing::warn!("{error:#}");
            // it goes on: what is missing may come, and other doors work
            systemd.ready(&format!("{error:#}"));
            missing = Some(Box::pin(gateway.all_doors()));
        }
    }
    gateway_guard::settle();
    let served = gateway.serve_control();
    tokio::pin!(served, ended);
    let mut waiting: Option<Waiting> = None;
    let mut held = gateway.held();
    // the file is to be read once what is on trial has given way
    let mut waits_for_trial = false;
    loop {
        let (page_due, keep_due) = (gateway.page_due(), gateway.keep_due());
        tokio::select! {
            end = &mut served => end?,
            () = &mut ended => break,
            () = gateway.core_ended() => anyhow::bail!("the core has ended by itself; outputs go to rest"),
            // a newer file takes the place of one that waits, also if it has faults: nobody wants the older one
            _ = reload.recv() => {
                waits_for_trial = !site_file.give_way(&mut gateway).await;
                if !waits_for_trial {
                    waiting = reread(&mut gateway, file).await;
                }
            }
            Some(what) = next_held(&mut held) => if gateway.act_on(what).await {
                announce_page(&gateway);
            },
            loaded = due(&mut waiting) => take(&mut gateway, loaded).await,
            due = site_file.due(), if waiting.is_none() => {
                site_file.act(due, &mut gateway).await;
                if waits_for_trial && site_file.idle() {
                    waits_for_trial = false;
                    waiting = reread(&mut gateway, file).await;
                }
            }
            () = maybe(&mut missing) => {
                missing = None;
                every_door(&systemd, &gateway);
            }
            () = at(keep_due) => gateway.keep(!site_file.idle()),
            () = at(page_due) => if gateway.page_again().await {
                announce_page(&gateway);
            },
        }
    }
    if waiting.is_some() {
        tracing::warn!(
            "the new site file was still waiting for a pulse to end; it is read at the next start"
        );
    }
    site_file.stopping(&gateway);
    tracing::info!("stopping: calls end, outputs go to rest");
    systemd.stopping();
    gateway.stop().await;
    Ok(())
}

/// The given file, or the last confirmed generation of it if it has faults.
fn boot(file: &Path) -> anyhow::Result<(Loaded, Option<LoadError>)> {
    match gateway_config::boot(file) {
        Ok(Boot::Given(loaded)) => Ok((loaded, None)),
        Ok(Boot::LastConfirmed { loaded, why, .. }) => {
            log::complain(&why.to_string());
            Ok((loaded, Some(why)))
        }
        // read once more to print every fault, with their exit code
        Err(_) => commands::loaded(file, SecretFiles::Needed).map(|loaded| (loaded, None)),
    }
}

/// SIGTERM or SIGINT, from now on.
pub(crate) fn ended() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Says where everything is, and how to begin.
pub(crate) fn announce(gateway: &Gateway) {
    let site = &gateway.config().site;
    tracing::info!(site = %site.id, state = %site.state_dir.display(), run = %site.run_dir.display(), "running");
    announce_page(gateway);
}

fn announce_page(gateway: &Gateway) {
    if let Some(url) = gateway.outside().url() {
        tracing::info!(%url, "page and API");
    }
    if let Some(fingerprint) = gateway.outside().fingerprint() {
        tracing::info!(%fingerprint, "certificate of the page (SHA-256)");
    }
    if let Some(code) = gateway.outside().setup_code() {
        // a person needs it once; it opens nothing by itself and ends at first use
        log::say(&format!(
            "setup code for the page, valid once and for 24 hours: {code}"
        ));
    }
}

/// A site file that waits until no output is energised.
struct Waiting {
    loaded: Loaded,
    rests: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The file that waits, once its time has come; never, if none does.
async fn due(waiting: &mut Option<Waiting>) -> Loaded {
    match waiting {
        Some(file) => file.rests.as_mut().await,
        None => std::future::pending().await,
    }
    match waiting.take() {
        Some(file) => file.loaded,
        None => std::future::pending().await,
    }
}

/// Says that nothing is missing; under a lockdown nobody is let in all the same.
fn every_door(systemd: &Systemd, gateway: &Gateway) {
    let text = if gateway.is_locked_down() {
        "every door can be opened, once the lockdown that is in force has ended: until then nobody is let in where it is"
    } else {
        "every door can be opened"
    };
    tracing::info!("ready: {text}");
    systemd.ready(text);
}

/// Waits for what may come; for ever, if nothing is awaited.
async fn maybe(awaited: &mut Option<Pin<Box<dyn Future<Output = ()>>>>) {
    match awaited {
        Some(awaited) => awaited.await,
        None => std::future::pending().await,
    }
}

/// The next thing that an input asks for that was held at the start.
async fn next_held(held: &mut Option<mpsc::Receiver<HeldInput>>) -> Option<HeldInput> {
    match held {
        Some(held) => held.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits for a moment; for ever, if there is none.
async fn at(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Reads the file again. A file with faults changes nothing; one that moves outputs waits for their pulses, and
/// everything else goes on meanwhile.
async fn reread(gateway: &mut Gateway, file: &Path) -> Option<Waiting> {
    let loaded = match commands::loaded_at(file, SecretFiles::Needed, gateway.date()) {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!("the site file was not taken, the old one stays in force: {error:#}");
            gateway.refused(&error);
            return None;
        }
    };
    if let Some(rests) = gateway.rests(&loaded.config) {
        tracing::info!("the new site file moves outputs and waits until no pulse runs");
        return Some(Waiting {
            loaded,
            rests: Box::pin(rests),
        });
    }
    take(gateway, loaded).await;
    None
}

async fn take(gateway: &mut Gateway, loaded: Loaded) {
    match gateway.apply(loaded, Taken::Confirmed).await {
        Ok(plan) => tracing::info!(%plan, "the new site file is in force"),
        Err(error) => {
            tracing::error!("the site file was not taken as a whole: {error:#}");
            gateway.refused(&error);
        }
    }
}
