//! Schedules, and what they leave without a way in.

use std::collections::BTreeSet;

use gateway_access::When;
use gateway_core::DoorId;

use super::Check;
use crate::fault::FaultKind;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for id in config.schedules.keys() {
        let name = id.as_str();
        if matches!(name, "always" | "never") {
            let text = format!("{name:?} is there without being written, and cannot be another one");
            let hint = "allowed: another name";
            check.fault(FaultKind::BadName, &format!("schedules.{name}"), &[], text, hint);
        }
    }
    for (id, schedule) in &config.schedules {
        let all = &schedule.exceptions;
        for (place, exception) in all.iter().enumerate() {
            let earlier = all.iter().take(place).enumerate();
            let shared = earlier.filter_map(|(at, other)| Some((at, other.shares(exception)?)));
            let Some((at, day)) = shared.min() else { continue };
            let text = format!(
                "this exception and exceptions[{at}] both name {day}, and only one can say what counts then"
            );
            let hint = "allowed: exceptions of which no two name the same date";
            let at = format!("schedules.{id}.exceptions[{place}]");
            check.fault(FaultKind::Conflict, &at, &[], text, hint);
        }
    }
    let zone = &config.site.time_zone;
    if !config.schedules.is_empty() && zone != "UTC" && jiff::tz::db().is_definitively_empty() {
        let text = "schedules need a time zone, and this machine has no time zone database".to_owned();
        let hint = "install the package tzdata";
        check.fault(FaultKind::File, "schedules", &["site.time-zone"], text, hint);
    }
    for (id, reader) in &config.readers {
        if reader.card_alone == When::Always {
            continue;
        }
        let at_reader = |door: &&DoorId| config.doors.get(*door).is_some_and(|d| d.readers.contains(id));
        let without: BTreeSet<&str> = config
            .cards
            .iter()
            .filter(|(_, card)| card.pin.is_none() && card.doors.iter().any(|door| at_reader(&door)))
            .map(|(card, _)| card.as_str())
            .collect();
        if let Some(first) = without.first() {
            let text = format!(
                "the reader asks for a PIN outside {:?}, and {} of the cards at its doors have none ({first:?} first)",
                reader.card_alone.to_string(),
                without.len()
            );
            let at = format!("readers.{id}.card-alone");
            check.warn(
                FaultKind::Conflict,
                &at,
                text,
                "give them a pin, or they open nothing at these times",
            );
        }
    }
}
