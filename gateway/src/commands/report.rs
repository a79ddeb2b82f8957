//! `doorline report`: reads the journal's files; the gateway may run meanwhile, and is asked for the names of people.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context as _;
use gateway_core::{Record, RingId, Timestamp};
use gateway_reports::{
    CALL_COLUMNS, Choice, DOOR_COLUMNS, OPENING_COLUMNS, Statistics, begun, call, line, opening,
};
use gateway_store::Filter;
use serde_json::json;

use crate::cli::{Report, ReportAct, ReportRange, exit};
use crate::commands::{WrongUsage, journal, out};
use crate::control;

/// Records of one call that are looked at.
const STORY: usize = 500;
/// Calls whose end has not come yet; the oldest are told as they are.
const OPEN: usize = 4096;

/// Runs one act.
pub(super) fn report(args: &Report) -> anyhow::Result<u8> {
    let (ReportAct::Calls { range } | ReportAct::Doors { range } | ReportAct::Openings { range, .. }) =
        &args.act;
    // what was typed wrong is told first, whatever else is missing; the zone does not matter for that
    filter(range, &jiff::tz::TimeZone::UTC, None)?;
    let dir = match &args.state {
        Some(dir) => dir.clone(),
        None => journal::state_dir(&args.site.config)?,
    };
    anyhow::ensure!(
        dir.is_dir(),
        "{} is not a state folder; see --state",
        dir.display()
    );
    let config = site(&args.site.config);
    let zone = config.as_ref().and_then(crate::run::params::zone);
    let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
    match &args.act {
        ReportAct::Calls { range } => {
            let serves = |panel: &str, door: &str| {
                let panels = config.iter().flat_map(|config| &config.panels);
                let mut named = panels.filter(|(id, _)| id.as_str() == panel);
                named.any(|(_, panel)| panel.doors.iter().any(|id| id.as_str() == door))
            };
            calls(&dir, range, &zone, &serves)
        }
        ReportAct::Doors { range } => doors(&dir, range, zone),
        ReportAct::Openings {
            range,
            by,
            who,
            refused,
        } => {
            let choice = Choice {
                by: *by,
                door: range.door.clone(),
                refused: *refused,
                who: who.clone(),
            };
            openings(&dir, range, &zone, &choice, &names(&args.site.config))
        }
    }
}

/// The site file, if it can be read: for its time zone, and for which panel serves which door.
fn site(file: &Path) -> Option<gateway_config::Config> {
    let loaded = gateway_config::load(file, gateway_config::SecretFiles::Untouched);
    loaded.ok().map(|loaded| loaded.config)
}

/// Names by id, if the gateway runs: its records are open to nobody else meanwhile.
fn names(file: &Path) -> BTreeMap<String, String> {
    let asked = || {
        let run_dir = crate::commands::site::running(file).ok()?.site.run_dir.clone();
        control::ask(&run_dir, &json!({ "act": "people-list" })).ok()
    };
    let list = asked();
    let lines = list.as_ref().and_then(|list| list.as_array());
    let name = |line: &serde_json::Value| {
        Some((
            line["person"].as_str()?.to_owned(),
            line["name"].as_str()?.to_owned(),
        ))
    };
    lines.into_iter().flatten().filter_map(name).collect()
}

fn time(text: &str, zone: &jiff::tz::TimeZone, end: bool) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let wrong = || {
        WrongUsage(format!(
            "{text:?} is no time; allowed are 2026-12-24, 2026-12-24T22:10, and 2026-12-24T22:10:00+01:00"
        ))
    };
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let day = if end { day.tomorrow()? } else { day };
        return Ok(zone.to_timestamp(day.at(0, 0, 0, 0))?);
    }
    let local: jiff::civil::DateTime = text.parse().map_err(|_| wrong())?;
    Ok(zone.to_timestamp(local)?)
}

fn filter(range: &ReportRange, zone: &jiff::tz::TimeZone, kind: Option<&str>) -> anyhow::Result<Filter> {
    let time = |text: &Option<String>, end| text.as_deref().map(|text| time(text, zone, end)).transpose();
    let filter = Filter {
        kind: kind.map(str::to_owned),
        since: time(&range.from, false)?,
        until: time(&range.to, true)?,
        ..Filter::default()
    };
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since >= until
    {
        let text = format!("--from {since} is not before --to {until}");
        return Err(WrongUsage(text).into());
    }
    Ok(filter)
}

fn each(
    dir: &Path,
    filter: &Filter,
    mut take: impl FnMut(Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut failed = None;
    gateway_store::scan(dir, 1..=u64::MAX, filter, &mut |record| match take(record) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// A line of CSV, or of text with two spaces between.
fn row<T: AsRef<str>>(csv: bool, cells: &[T]) -> String {
    if csv {
        return line(cells);
    }
    let cells: Vec<&str> = cells
        .iter()
        .map(AsRef::as_ref)
        .map(|cell| if cell.is_empty() { "-" } else { cell })
        .collect();
    cells.join("  ") + "\n"
}

fn openings(
    dir: &Path,
    range: &ReportRange,
    zone: &jiff::tz::TimeZone,
    choice: &Choice,
    names: &BTreeMap<String, String>,
) -> anyhow::Result<u8> {
    let mut out = out();
    write!(out, "{}", row(range.csv, &OPENING_COLUMNS))?;
    each(dir, &filter(range, zone, Some("door"))?, |record| {
        if let Some(mut found) = opening(&record).filter(|found| choice.fits(found)) {
            let name = found.person().and_then(|id| names.get(id));
            found.name = name.cloned().unwrap_or_default();
            write!(out, "{}", row(range.csv, &found.cells()))?;
        }
        Ok(())
    })?;
    out.flush().context("standard output cannot be written")?;
    Ok(exit::OK)
}

fn calls(
    dir: &Path,
    range: &ReportRange,
    zone: &jiff::tz::TimeZone,
    serves: &dyn Fn(&str, &str) -> bool,
) -> anyhow::Result<u8> {
    let mut out = out();
    write!(out, "{}", row(range.csv, &CALL_COLUMNS))?;
    let mut open: BTreeMap<RingId, Vec<Record>> = BTreeMap::new();
    // those whose gateway was started anew before they had an end
    let mut cut: BTreeMap<RingId, Timestamp> = BTreeMap::new();
    let mut tell = |ring: RingId, records: &[Record], start: Option<Timestamp>| -> anyhow::Result<()> {
        let mut found = call(ring, records);
        if let (Some(call), Some(start)) = (&mut found, start) {
            call.cut_off(start);
        }
        let wanted = found.filter(|call| {
            let door = range.door.as_ref();
            door.is_none_or(|door| call.is_about(door, |panel| serves(panel, door)))
        });
        if let Some(call) = wanted {
            write!(out, "{}", row(range.csv, &call.cells()))?;
        }
        Ok(())
    };
    each(dir, &filter(range, zone, None)?, |record| {
        if record.kind == "gateway.started" {
            for ring in open.keys() {
                cut.entry(*ring).or_insert(record.at);
            }
        }
        // the record that begins a call about an alarm belongs to the alarm's own ring, which is no call
        let Some(ring) = begun(&record).or(record.ring) else {
            return Ok(());
        };
        // what follows a ring by minutes (a door that is held) is no part of its call
        let records = open.entry(ring).or_default();
        if records.len() < STORY {
            records.push(record);
        }
        if open.len() > OPEN
            && let Some((ring, records)) = open.pop_first()
        {
            tell(ring, &records, cut.remove(&ring))?;
        }
        Ok(())
    })?;
    // ids of rings begin with their time, so this is their order
    for (ring, records) in open {
        tell(ring, &records, cut.remove(&ring))?;
    }
    out.flush().context("standard output cannot be written")?;
    Ok(exit::OK)
}

fn doors(dir: &Path, range: &ReportRange, zone: jiff::tz::TimeZone) -> anyhow::Result<u8> {
    let wanted = filter(range, &zone, None)?;
    let mut all = Statistics::new(zone);
    each(dir, &wanted, |record| {
        all.take(&record);
        Ok(())
    })?;
    let mut out = out();
    write!(out, "{}", row(range.csv, &DOOR_COLUMNS))?;
    let doors = all.doors.iter();
    for (name, door) in doors.filter(|(name, _)| range.door.as_ref().is_none_or(|door| door == *name)) {
        write!(out, "{}", row(range.csv, &door.cells(name)))?;
    }
    if !range.csv {
        for (name, panel) in &all.panels {
            let median = panel.median_answer_ms();
            let median =
                median.map_or_else(String::new, |ms| format!(", half of the answers within {ms} ms"));
            writeln!(
                out,
                "panel {name}: {} rings, {} answered{median}",
                panel.rings, panel.answered
            )?;
        }
    }
    out.flush().context("standard output cannot be written")?;
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_as_a_whole_in_the_time_zone_of_the_site() {
        let zone = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule");
        let of = |text, end| time(text, &zone, end).map(|at| at.to_string()).ok();
        assert_eq!(of("2026-12-24", false).as_deref(), Some("2026-12-23T23:00:00Z"));
        assert_eq!(of("2026-12-24", true).as_deref(), Some("2026-12-24T23:00:00Z"));
        assert_eq!(
            of("2026-07-01T10:00", true).as_deref(),
            Some("2026-07-01T08:00:00Z")
        );
        assert_eq!(
            of("2026-07-01T10:00:00+05:00", false).as_deref(),
            Some("2026-07-01T05:00:00Z")
        );
        assert_eq!(of("yesterday", false), None);
    }
}
