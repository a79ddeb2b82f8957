//! Card formats and the readers that take them.

use std::collections::BTreeSet;

use gateway_card::{FormatError, format_named, formats};

use super::Check;
use crate::fault::FaultKind;
use crate::model::ReaderDriver;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, format) in &config.card_formats {
        let at = format!("card-formats.{id}");
        if format_named(id.as_str()).is_some() {
            let text = format!("{:?} is a published format", id.as_str());
            check.fault(FaultKind::Duplicate, &at, &[], text, "allowed: a name of its own");
        }
        if let Err(error) = format.format(id) {
            let key = if let FormatError::Length { row, .. }
            | FormatError::Order { row, .. }
            | FormatError::Row { row } = error
            {
                format!("{at}.parity[{}]", row - 1)
            } else {
                format!("{at}.layout")
            };
            let hint = "allowed: layout and parity masks of one length, such as \"PFFNNP\" and [\"EXX...\", \"...XXO\"]";
            check.fault(FaultKind::BadValue, &key, &[], error.to_string(), hint);
        }
    }
    for (id, reader) in &config.readers {
        let Some(named) = reader.driver.formats() else {
            continue;
        };
        let at = format!("readers.{id}.{}", reader.driver.family());
        let mut seen = BTreeSet::new();
        for (index, name) in named.iter().enumerate() {
            let key = format!("{at}.formats[{index}]");
            if format_named(name.as_str()).is_none() && !config.card_formats.contains_key(name) {
                let known: Vec<&str> = formats().iter().map(gateway_card::Format::name).collect();
                let text = format!("{:?} is no card format", name.as_str());
                let hint = format!("allowed: {}, and those under card-formats", known.join(", "));
                check.fault(FaultKind::Dangling, &key, &[], text, &hint);
            }
            if !seen.insert(name) {
                let text = format!("{:?} is named twice", name.as_str());
                check.fault(FaultKind::Duplicate, &key, &[], text, "allowed: each format once");
            }
        }
        let ReaderDriver::Wiegand(reader) = &reader.driver else {
            continue;
        };
        let limit = format!("{at}.heartbeat-s");
        if reader.heartbeat.is_none() && check.is_written(&limit) {
            let text = "nothing says what a sign of life is".to_owned();
            check.fault(
                FaultKind::Conflict,
                &limit,
                &[],
                text,
                "add heartbeat, or remove it",
            );
        }
    }
}
