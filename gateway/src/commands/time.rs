//! `doorline time`: the machine's clock, who keeps it right, and setting it by hand where nobody does.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use gateway_config::Config;
use gateway_network::clock;
use gateway_network::settings::owner::Machine;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::cli::{SITE_FILE, Time, TimeAct, exit};
use crate::commands::{out, site};
use crate::run::by_hand::{self, Told};

/// Programs that set the clock, as the kernel names them, and how to look at them.
const SERVICES: [(&str, &str, &str); 4] = [
    ("chronyd", "chrony", "chronyc tracking"),
    ("ntpd", "ntpd", "ntpq -p"),
    ("openntpd", "OpenNTPD", "ntpctl -s all"),
    // the name ends after 15 bytes
    (
        "systemd-timesyn",
        "systemd-timesyncd",
        "timedatectl timesync-status",
    ),
];

/// Runs one act.
pub(super) fn time(args: &Time) -> anyhow::Result<u8> {
    let file = &args.site.config;
    // a machine whose clock is looked at before there is a site
    if let TimeAct::Show = args.act
        && file.as_path() == Path::new(SITE_FILE)
        && !file.exists()
    {
        return show(&TimeZone::system(), false);
    }
    let config = site::load(file)?;
    let zone = zone(&config.site.time_zone)?;
    match &args.act {
        TimeAct::Set { time } => set(time, &zone, &config),
        TimeAct::Show => show(&zone, config.time.require_sync),
    }
}

fn zone(name: &str) -> anyhow::Result<TimeZone> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name)
        .with_context(|| format!("{name} is not in the time zone database of this machine; install tzdata"))
}

/// The service that sets the clock of this machine.
fn service() -> Option<(&'static str, &'static str)> {
    let machine = Machine::here();
    let found = SERVICES
        .iter()
        .find(|(comm, _, _)| machine.running.contains(*comm));
    found.map(|(_, name, look)| (*name, *look))
}

fn show(zone: &TimeZone, required: bool) -> anyhow::Result<u8> {
    let mut out = out();
    let now = Timestamp::now();
    let local = now.to_zoned(zone.clone());
    let dst = zone.to_offset_info(now).dst().is_dst();
    let summer = if dst { ", daylight saving time" } else { "" };
    writeln!(
        out,
        "time       {}{summer}",
        local.strftime("%Y-%m-%d %H:%M:%S %Z")
    )?;
    writeln!(out, "time zone  {}", zone.iana_name().unwrap_or("UTC"))?;
    if let Some(next) = zone.following(now).next() {
        let at = next.timestamp().to_zoned(zone.clone());
        writeln!(
            out,
            "changes    at {} to {}",
            at.strftime("%Y-%m-%d %H:%M:%S"),
            next.abbreviation()
        )?;
    }
    match service() {
        Some((name, look)) => writeln!(out, "service    {name}; details: {look}")?,
        None => writeln!(
            out,
            "service    none: apt-get install systemd-timesyncd, or chrony"
        )?,
    }
    let sync = clock::sync();
    match sync {
        Some(sync) if sync.synchronised => {
            writeln!(
                out,
                "kept right yes, within {} ms",
                (sync.max_error_us + 999) / 1000
            )?;
        }
        Some(_) => writeln!(
            out,
            "kept right no, the kernel has not heard from a time service for long, or never"
        )?,
        None => writeln!(out, "kept right unknown, the kernel does not tell")?,
    }
    let well = sync.is_some_and(|sync| sync.synchronised);
    if required && !well {
        writeln!(
            out,
            "the site file says require-sync: the gateway does not believe the clock"
        )?;
    }
    Ok(exit::OK)
}

/// What was written as a moment. A local time that comes twice or never, where the clocks change, needs its offset.
fn moment(text: &str, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local: DateTime = text.parse().map_err(|_| {
        anyhow::anyhow!(
            "{text:?} is no time: write YYYY-MM-DD HH:MM:SS, or with an offset 2026-11-29T10:15:00+01:00"
        )
    })?;
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let name = zone.iana_name().unwrap_or("UTC");
    match ambiguous.offset() {
        AmbiguousOffset::Fold { before, after } => {
            bail!(
                "{local} comes twice in {name}, where the clocks go back: write {local}{before} or {local}{after}"
            )
        }
        AmbiguousOffset::Gap { .. } => bail!("{local} does not exist in {name}, where the clocks go forward"),
        AmbiguousOffset::Unambiguous { .. } => Ok(ambiguous.compatible()?),
    }
}

fn set(text: &str, zone: &TimeZone, config: &Config) -> anyhow::Result<u8> {
    let moment = moment(text, zone)?;
    if let Some((name, look)) = service() {
        writeln!(
            out(),
            "REFUSED {name} sets the clock of this machine and would set it back\n        \
             look at it with: {look}; or stop it: timedatectl set-ntp false, or systemctl stop {name}"
        )?;
        return Ok(exit::REFUSED);
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root may set the clock of the machine; try it with sudo"
    );
    let time = rustix::time::Timespec {
        tv_sec: moment.as_second(),
        tv_nsec: moment.subsec_nanosecond().into(),
    };
    rustix::time::clock_settime(rustix::time::ClockId::Realtime, time)
        .with_context(|| format!("the clock cannot be set to {moment}"))?;
    let mut out = out();
    writeln!(
        out,
        "the clock shows {} now",
        moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z")
    )?;
    // the clock of the board, so that the next start begins with it
    if Path::new("/dev/rtc0").exists() {
        match Command::new("hwclock").args(["--systohc", "--utc"]).status() {
            Ok(status) if status.success() => writeln!(out, "and so does the clock of the board")?,
            Ok(_) | Err(_) => writeln!(out, "the clock of the board was not set: hwclock --systohc")?,
        }
    }
    match by_hand::tell(&config.site.run_dir, &config.site.state_dir, moment) {
        Ok(Told::Running) => writeln!(out, "the gateway believes it after a steady minute")?,
        Ok(Told::Next) => writeln!(out, "no gateway runs; the next one believes it")?,
        Err(error) => writeln!(out, "no gateway runs, and none could be told: {error:#}")?,
    }
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_is_that_of_the_site_and_must_be_one_moment() {
        let Ok(zone) = TimeZone::get("Europe/Paris") else {
            return;
        };
        let read = |text| {
            moment(text, &zone)
                .map(|at| at.to_string())
                .map_err(|e| e.to_string())
        };
        assert_eq!(read("2026-11-29 10:15:00"), Ok("2026-11-29T09:15:00Z".into()));
        assert_eq!(read("2026-07-01T10:15:00"), Ok("2026-07-01T08:15:00Z".into()));
        assert_eq!(
            read("2026-11-29T10:15:00-05:00"),
            Ok("2026-11-29T15:15:00Z".into())
        );
        assert_eq!(read("2026-11-29T10:15:00Z"), Ok("2026-11-29T10:15:00Z".into()));
        let twice = read("2026-10-25 02:30:00").expect_err("it comes twice");
        assert!(
            twice.contains("comes twice in Europe/Paris") && twice.contains("+02"),
            "{twice}"
        );
        let never = read("2026-03-29 02:30:00").expect_err("there is none");
        assert!(never.contains("does not exist"), "{never}");
        assert!(read("noon").expect_err("no time").contains("YYYY-MM-DD"));
    }
}
