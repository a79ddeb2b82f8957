//! What keys say together: resources claimed twice, doors that could open by accident, calls that cannot work.

mod alarms;
mod announcements;
mod apart;
mod areas;
mod arrivals;
mod boards;
mod buttons;
mod callers;
mod calls;
mod claims;
mod codes;
mod controllers;
mod deed;
mod directory;
mod door_groups;
mod doors;
mod dot1x;
mod front_end;
mod hold;
mod logins;
mod network;
mod notify;
mod osdp;
mod outputs;
mod outside;
mod readers;
mod relays;
mod resource;
mod rules;
mod schedules;
mod services;
mod simulated;
mod start;
mod time;
mod voice;
mod volume;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::fault::{FaultKind, Finding};
use crate::model::Config;
use crate::read::{Places, Reader};

pub use osdp::BAUDS as OSDP_BAUDS;
pub(crate) use osdp::keys;

/// Checks what is left to check when every key is read.
pub(crate) fn check(config: &Config, text: &str, reader: &mut Reader, warnings: &mut Vec<Finding>) {
    let wrong = reader.findings.iter().map(|f| f.path.clone()).collect();
    let mut check = Check {
        config,
        findings: Vec::new(),
        places: &reader.places,
        text,
        warnings,
        wrong,
    };
    claims::check(&mut check);
    outputs::check(&mut check);
    boards::inputs(&mut check);
    relays::check(&mut check);
    readers::check(&mut check);
    osdp::check(&mut check);
    controllers::check(&mut check);
    front_end::check(&mut check);
    volume::check(&mut check);
    outside::check(&mut check);
    apart::check(&mut check);
    areas::check(&mut check);
    alarms::check(&mut check);
    announcements::check(&mut check);
    doors::check(&mut check);
    door_groups::check(&mut check);
    arrivals::check(&mut check);
    hold::check(&mut check);
    codes::check(&mut check);
    schedules::check(&mut check);
    simulated::check(&mut check);
    calls::check(&mut check);
    callers::check(&mut check);
    buttons::check(&mut check);
    services::check(&mut check);
    logins::check(&mut check);
    dot1x::check(&mut check);
    directory::check(&mut check);
    network::check(&mut check);
    start::check(&mut check);
    time::check(&mut check);
    voice::check(&mut check);
    notify::check(&mut check);
    rules::check(&mut check);
    let findings = check.findings;
    reader.findings.extend(findings);
}

/// A configuration under check.
pub(crate) struct Check<'a> {
    pub(crate) config: &'a Config,
    findings: Vec<Finding>,
    places: &'a Places,
    text: &'a str,
    warnings: &'a mut Vec<Finding>,
    /// Keys with a fault of their own; what depends on them is not judged.
    wrong: BTreeSet<String>,
}

impl Check<'_> {
    /// Reports a fault at `at`, unless `at` or one of `depends` is wrong by itself.
    pub(crate) fn fault(&mut self, kind: FaultKind, at: &str, depends: &[&str], text: String, hint: &str) {
        if let Some(finding) = self.finding(kind, at, depends, text, hint) {
            self.findings.push(finding);
        }
    }

    /// Reports something risky but allowed.
    pub(crate) fn warn(&mut self, kind: FaultKind, at: &str, text: String, hint: &str) {
        if let Some(finding) = self.finding(kind, at, &[], text, hint) {
            self.warnings.push(finding);
        }
    }

    fn finding(
        &self,
        kind: FaultKind,
        at: &str,
        depends: &[&str],
        text: String,
        hint: &str,
    ) -> Option<Finding> {
        if self.is_wrong(at) || depends.iter().any(|path| self.is_wrong(path)) {
            return None;
        }
        Some(Finding {
            hint: hint.to_owned(),
            kind,
            path: at.to_owned(),
            span: self.span(at),
            text,
        })
    }

    fn is_wrong(&self, path: &str) -> bool {
        self.wrong.contains(path)
    }

    /// A scalar is shown by its value, a table by its name.
    fn span(&self, at: &str) -> Range<usize> {
        let value = self.places.of(at);
        let text = self.text.get(value.clone()).unwrap_or_default();
        if text.starts_with(['[', '{']) {
            self.places.key(at)
        } else {
            value
        }
    }

    /// True if the key is written in the file.
    pub(crate) fn is_written(&self, at: &str) -> bool {
        self.places.has(at)
    }

    /// Where the key stands, for saying which of two came first.
    pub(crate) fn position(&self, at: &str) -> usize {
        self.span(at).start
    }

    /// `PATH (line N)`.
    pub(crate) fn cite(&self, at: &str) -> String {
        let end = self.position(at);
        let line = self.text.bytes().take(end).filter(|b| *b == b'\n').count() + 1;
        format!("{at} (line {line})")
    }
}
