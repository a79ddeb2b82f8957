//! `doorline network`: the address of the port, changed by root and taken back unless somebody confirms.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;
use gateway_config::Config;
use gateway_core::{Clock, Instant};
use gateway_network::ports::{self, Address, Port};
use gateway_network::settings::change::{self, ChangeError, Changer, LOOK};
use gateway_network::settings::owner::{Machine, Obstacle, decide};
use gateway_network::settings::programs::Programs;
use gateway_network::settings::{Manager, Settings, V4, V6};

use crate::cli::{Network, NetworkAct, exit};
use crate::clock::SystemClock;
use crate::commands::{out, site};
use crate::run::{held, log, page_urls, port_settings};

/// How long a holder may take to start, and waits for the change that it is to watch.
const START: Duration = Duration::from_secs(10);
/// How long an address may take to come from a server, before it is said that there is none yet.
const LEASE: Duration = Duration::from_secs(20);
/// Pause before a change is taken back once more that could not be.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the factory address stays that nobody confirms.
const FACTORY: Duration = Duration::from_secs(3600);
/// Where systemd is the first process.
const SYSTEMD: &str = "/run/systemd/system";

/// Runs one act.
pub(super) fn network(args: &Network) -> anyhow::Result<u8> {
    match args.act {
        NetworkAct::Apply { seconds } => apply(&args.site.config, Duration::from_secs(seconds)),
        NetworkAct::Check => check(&args.site.config),
        NetworkAct::Confirm => confirm(),
        NetworkAct::Factory => factory(&args.site.config),
        NetworkAct::Hold => hold(&args.site.config),
        NetworkAct::Recover => recover(),
        NetworkAct::Rollback => rollback(&args.site.config),
        NetworkAct::Show => show(&args.site.config),
    }
}

fn changer() -> Changer<Programs> {
    Changer::new("/", Programs)
}

fn needs_root() -> anyhow::Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "only root may change the network of the machine; try it with sudo"
    );
    Ok(())
}

fn settings(config: &Config, file: &Path) -> anyhow::Result<(Settings, Option<Manager>)> {
    port_settings(config).with_context(|| {
        format!(
            "{} has no table [network]: the network of the machine is left alone",
            file.display()
        )
    })
}

/// Says what stands in the way, all of it.
fn refused(obstacles: &[Obstacle]) -> anyhow::Result<u8> {
    let mut out = out();
    for obstacle in obstacles {
        writeln!(out, "REFUSED {}\n        {}", obstacle.text, obstacle.remedy)?;
    }
    writeln!(out, "nothing was changed")?;
    Ok(exit::REFUSED)
}

fn check(file: &Path) -> anyhow::Result<u8> {
    let config = site::load(file)?;
    let (settings, wanted) = settings(&config, file)?;
    let manager = match decide(&Machine::here(), &settings, wanted) {
        Ok(manager) => manager,
        Err(obstacles) => return refused(&obstacles),
    };
    let mut out = out();
    writeln!(out, "{} would carry these files:", manager.name())?;
    for file in settings.files(manager) {
        writeln!(out, "\n{}\n{}", file.path.display(), file.text.trim_end())?;
    }
    writeln!(out, "\n{}", whereabouts(&config, &settings.addresses()))?;
    Ok(exit::OK)
}

/// Where the gateway will be, in words.
fn whereabouts(config: &Config, addresses: &[IpAddr]) -> String {
    let urls = page_urls(config, addresses);
    if !urls.is_empty() {
        return format!("the page of the gateway will be at {}", urls.join(" or "));
    }
    let known: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    match (&config.http, known.is_empty()) {
        (Some(http), _) if http.listen.ip().is_loopback() => {
            "the page listens on this machine only; by SIP the gateway will be at its new address".to_owned()
        }
        (_, true) => "the address will come from the network".to_owned(),
        (_, false) => format!("the gateway will be at {}", known.join(" and ")),
    }
}

fn show(file: &Path) -> anyhow::Result<u8> {
    let config = site::load(file)?;
    let mut out = out();
    for port in ports::ports()?.iter().filter(|port| !port.loopback) {
        let addresses: Vec<String> = port.addresses.iter().map(ToString::to_string).collect();
        let addresses = if addresses.is_empty() {
            "no address".to_owned()
        } else {
            addresses.join(", ")
        };
        let link = if port.carrier { "link up" } else { "no link" };
        writeln!(out, "{}: {link}, {addresses}", port.name)?;
    }
    for file in change::in_place(Path::new("/")) {
        writeln!(out, "\n{}\n{}", file.path.display(), file.text.trim_end())?;
    }
    if let Some((settings, wanted)) = port_settings(&config) {
        let manager = decide(&Machine::here(), &settings, wanted);
        let as_file = match &manager {
            Ok(manager) if settings.files(*manager) == change::in_place(Path::new("/")) => {
                format!("{} has what the site file says", manager.name())
            }
            Ok(manager) => format!(
                "{} does not have what the site file says: doorline network apply",
                manager.name()
            ),
            Err(obstacles) => {
                let texts: Vec<&str> = obstacles.iter().map(|o| o.text.as_str()).collect();
                format!("the site file's settings cannot be applied: {}", texts.join("; "))
            }
        };
        writeln!(out, "\n{as_file}")?;
    } else {
        writeln!(
            out,
            "\nthe site file has no table [network]: the network is left alone"
        )?;
    }
    // the folder of the note is root's alone: an error is nothing to tell others
    if let Ok(Some(note)) = changer().waiting() {
        if changer().is_watched() {
            let left = note.deadline.since(SystemClock.now()).as_secs();
            writeln!(
                out,
                "a change waits for its confirmation, {left} s left: doorline network confirm"
            )?;
        } else {
            writeln!(
                out,
                "a change waits for its confirmation, and nobody takes it back by itself, since that process was stopped: \
                 doorline network confirm, or rollback"
            )?;
        }
    }
    Ok(exit::OK)
}

fn apply(file: &Path, patience: Duration) -> anyhow::Result<u8> {
    needs_root()?;
    let config = site::load(file)?;
    let (settings, wanted) = settings(&config, file)?;
    carry_out((&config, file), &settings, wanted, patience)
}

/// What somebody asked for who held an input at the gateway's start. Nothing is taken from the note but that it is there:
/// who takes the gateway over can ask for this, and for nothing else.
fn factory(file: &Path) -> anyhow::Result<u8> {
    needs_root()?;
    let config = site::load(file)?;
    let note = held::asked(&config);
    // first, so that it is not tried again and again
    match std::fs::remove_file(&note) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be removed", note.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let (settings, wanted) = settings(&config, file)?;
    let address = config.start.factory_address;
    let settings = Settings {
        dns: vec![],
        ipv4: V4::Static {
            address: Address {
                ip: address.ip.into(),
                prefix: address.prefix,
            },
            gateway: None,
        },
        ipv6: V6::Auto,
        ntp: vec![],
        port: settings.port,
        vlan: None,
    };
    carry_out((&config, file), &settings, wanted, FACTORY)
}

fn carry_out(
    (config, file): (&Config, &Path),
    settings: &Settings,
    wanted: Option<Manager>,
    patience: Duration,
) -> anyhow::Result<u8> {
    let manager = match decide(&Machine::here(), settings, wanted) {
        Ok(manager) => manager,
        Err(obstacles) => return refused(&obstacles),
    };
    let mut changer = changer();
    if changer.waiting()?.is_some() {
        anyhow::bail!(ChangeError::Waits);
    }
    start_holder(&changer, file)?;
    let seconds = patience.as_secs();
    {
        // before the change: whoever is logged in over this port may hear nothing after it
        let mut out = out();
        writeln!(out, "{}", whereabouts(config, &settings.addresses()))?;
        writeln!(
            out,
            "within {seconds} s from when it is in force:  doorline network confirm  ; otherwise the change is taken \
             back by itself"
        )?;
        out.flush()?;
    }
    let lock = changer.lock()?;
    let now = || SystemClock.now();
    changer.apply(settings, manager, &change::this_boot(), now, patience)?;
    drop(lock);
    let deadline = now() + patience;
    let got = wait_for_address(settings, deadline);
    let mut out = out();
    match got {
        Some(port) => {
            let addresses: Vec<IpAddr> = port.addresses.iter().map(|a| a.ip).collect();
            let texts: Vec<String> = port.addresses.iter().map(ToString::to_string).collect();
            writeln!(out, "{} has {} now", port.name, texts.join(", "))?;
            writeln!(out, "{}", whereabouts(config, &addresses))?;
        }
        None => {
            let port = settings.addressed();
            let _lock = changer.lock()?;
            let taken_back = match changer.waiting()? {
                // a VLAN that the kernel or the manager could not make
                Some(_) if !is_there(&port) => {
                    changer.rollback()?;
                    Some("there is no such port after it")
                }
                None if now() >= deadline => Some("it got no address in that time"),
                // or confirmed, by somebody who was quick
                Some(_) | None => None,
            };
            if let Some(why) = taken_back {
                writeln!(out, "{port}: {why}; the change was taken back")?;
                return Ok(exit::FAILED);
            }
            writeln!(
                out,
                "{port} has no address yet; doorline network show tells when it has"
            )?;
        }
    }
    Ok(exit::OK)
}

/// Is there a port of this name? If nobody can tell, there is.
fn is_there(name: &str) -> bool {
    ports::ports().map_or(true, |ports| ports.iter().any(|port| port.name == name))
}

/// Waits until the port has the given addresses, or any that does not hold on the link only.
fn wait_for_address(settings: &Settings, deadline: Instant) -> Option<Port> {
    let (name, wanted) = (settings.addressed(), settings.addresses());
    let limit = (SystemClock.now() + LEASE).min(deadline);
    loop {
        let port = ports::ports()
            .unwrap_or_default()
            .into_iter()
            .find(|port| port.name == name);
        if let Some(port) = port {
            let has = |ip: &IpAddr| port.addresses.iter().any(|a| a.ip == *ip);
            let any = port.addresses.iter().any(|a| !is_local(&a.ip));
            if any && wanted.iter().all(has) {
                return Some(port);
            }
        }
        if SystemClock.now() >= limit {
            return None;
        }
        sleep(LOOK);
    }
}

/// Runs the holder until it has ended well: one that is killed, or runs out of memory, is followed by another one. A shell,
/// which needs little and is not called as we are.
const AGAIN_AND_AGAIN: &str = "until \"$@\"; do sleep 1; done";

/// The words that start the process which takes the change back, where neither the end of the gateway nor of this session
/// reaches it: as a unit of its own under systemd, else in a session of its own. Somebody starts another one if it is killed.
fn holder_words(systemd: bool, program: &Path, file: &Path) -> Vec<String> {
    let unit = format!("--unit=doorline-network-hold-{}", std::process::id());
    let mut words = if systemd {
        vec![
            "systemd-run",
            "--quiet",
            "--collect",
            // a DHCP client that a roll-back starts belongs to the port, and does not end with the holder
            "--property=KillMode=process",
            // also after a SIGTERM, which systemd takes for a good end
            "--property=Restart=always",
            "--property=RestartPreventExitStatus=0",
            // so seldom that systemd does not give it up
            "--property=RestartSec=5s",
            &unit,
            "--description=Takes a change of the network back unless it is confirmed",
        ]
    } else {
        vec!["setsid", "--fork", "sh", "-c", AGAIN_AND_AGAIN, "sh"]
    };
    let (program, file) = (program.display().to_string(), file.display().to_string());
    words.extend([program.as_str(), "network", "--config", &file, "hold"]);
    words.into_iter().map(str::to_owned).collect()
}

/// Starts it.
fn start_holder(changer: &Changer<Programs>, file: &Path) -> anyhow::Result<()> {
    // the holder of the last change ends by itself once that was confirmed; ours must be another one
    let limit = SystemClock.now() + START + START + START;
    while changer.is_watched() {
        anyhow::ensure!(
            SystemClock.now() < limit,
            "another process watches for a change; try again in a minute"
        );
        sleep(LOOK);
    }
    let program = std::env::current_exe().context("our own program cannot be found")?;
    let file = std::path::absolute(file)?;
    let words = holder_words(Path::new(SYSTEMD).is_dir(), &program, &file);
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command
        .status()
        .context("the process that takes the change back cannot be started")?;
    anyhow::ensure!(
        status.success(),
        "the process that takes the change back cannot be started: {:?} gave {status}",
        command.get_program()
    );
    let limit = SystemClock.now() + START;
    while !changer.is_watched() {
        anyhow::ensure!(SystemClock.now() < limit, ChangeError::NoHolder);
        sleep(LOOK);
    }
    Ok(())
}

/// The holder: until the change that it watches was confirmed, or its time is over.
fn hold(file: &Path) -> anyhow::Result<u8> {
    needs_root()?;
    log::to_stderr();
    let mut changer = changer();
    let _watching = changer.watch()?;
    let limit = SystemClock.now() + START + START;
    let mut seen = false;
    loop {
        match changer.waiting()? {
            Some(note) if SystemClock.now() >= note.deadline => {
                let lock = changer.lock()?;
                // whoever made the change, and held the lock, may have given more time for it
                if changer
                    .waiting()?
                    .is_some_and(|note| SystemClock.now() < note.deadline)
                {
                    continue;
                }
                return match changer.rollback() {
                    Err(error @ ChangeError::File { .. }) => {
                        tracing::error!(
                            "nobody confirmed the change of the network, and it cannot be taken back: {error}; it is tried again"
                        );
                        drop(lock);
                        sleep(AGAIN);
                        continue;
                    }
                    Ok(()) => {
                        let now = back_at(&note, file);
                        tracing::warn!(
                            "nobody confirmed the change of the network: it was taken back; {now}"
                        );
                        Ok(exit::OK)
                    }
                    // confirmed at the last moment
                    Err(ChangeError::NothingWaits) => Ok(exit::OK),
                    Err(error) => Err(error.into()),
                };
            }
            Some(_) => seen = true,
            None if seen || SystemClock.now() >= limit => return Ok(exit::OK),
            None => {}
        }
        sleep(LOOK);
    }
}

fn confirm() -> anyhow::Result<u8> {
    needs_root()?;
    let changer = changer();
    let _lock = changer.lock()?;
    changer.confirm()?;
    writeln!(out(), "the change stays")?;
    Ok(exit::OK)
}

fn rollback(file: &Path) -> anyhow::Result<u8> {
    needs_root()?;
    let mut changer = changer();
    let _lock = changer.lock()?;
    let note = changer.waiting()?.ok_or(ChangeError::NothingWaits)?;
    changer.rollback()?;
    writeln!(out(), "the change was taken back; {}", back_at(&note, file))?;
    Ok(exit::OK)
}

/// Where the gateway is after a change was taken back, in words, once one of its ports has an address.
fn back_at(note: &change::Note, file: &Path) -> String {
    let limit = SystemClock.now() + LEASE;
    let addresses = loop {
        let found = ports::ports().unwrap_or_default();
        let ours = found.iter().filter(|port| note.ports.contains(&port.name));
        let addresses: Vec<IpAddr> = ours.flat_map(|port| &port.addresses).map(|a| a.ip).collect();
        if addresses.iter().any(|ip| !is_local(ip)) || SystemClock.now() >= limit {
            break addresses;
        }
        sleep(LOOK);
    };
    let reached: Vec<IpAddr> = addresses.into_iter().filter(|ip| !is_local(ip)).collect();
    if reached.is_empty() {
        return format!(
            "{} has no address yet: doorline network show tells when it has",
            note.ports.join(", ")
        );
    }
    // the file may be what has to be corrected
    match gateway_config::load(file, gateway_config::SecretFiles::Untouched) {
        Ok(loaded) => whereabouts(&loaded.config, &reached),
        Err(_) => {
            let texts: Vec<String> = reached.iter().map(ToString::to_string).collect();
            format!("the gateway is at {}", texts.join(" and "))
        }
    }
}

/// It holds on the link only.
fn is_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// At a start of the machine, before its network: what waited for a confirmation is not kept.
fn recover() -> anyhow::Result<u8> {
    needs_root()?;
    let mut changer = changer();
    let _lock = changer.lock()?;
    if changer.recover(&change::this_boot())? {
        writeln!(
            out(),
            "a change of the network waited for its confirmation when the machine stopped: it was taken back"
        )?;
    }
    Ok(exit::OK)
}
