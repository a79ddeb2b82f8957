//! `doorline rules`: what the rules of a site file make of an event. Nothing is done, and no gateway is asked.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use gateway_config::Config;
use gateway_core::Clock as _;
use serde_json::{Value, json};

use crate::cli::{Rules, RulesAct, TryRules, exit};
use crate::clock::SystemClock;
use crate::commands::{out, site};
use crate::run::params;
use crate::run::people::time_of;

/// Runs one act.
pub(super) fn rules(args: &Rules) -> anyhow::Result<u8> {
    let config = site::load(&args.site.config)?;
    match &args.act {
        RulesAct::Try(ask) => try_out(&config, ask),
    }
}

fn try_out(config: &Config, ask: &TryRules) -> anyhow::Result<u8> {
    let now = SystemClock.wall();
    let at = ask.at.as_ref().map(|text| time_of(text, config)).transpose()?;
    let event: Value = serde_json::from_str(&ask.event).context("--event is not JSON")?;
    let question = json!({
        "at": at.map(|at| at.to_string()),
        "event": event,
        "groups": ask.group,
        "states": ask.state,
        "times": ask.times,
    });
    let question = gateway_bus::try_rules_of(&question, now).map_err(|text| anyhow!("--{text}"))?;
    let told = gateway_site::try_rules(&params::site(config, ""), now, &question);
    let told = told.map_err(|text| anyhow!(text))?;
    let mut out = out();
    if told.is_empty() {
        let record = &question.event;
        let of = if record.source.is_empty() {
            String::new()
        } else {
            format!(" of {}", record.source)
        };
        writeln!(out, "no rule looks at {}{of}", record.kind)?;
    }
    let mut acts = false;
    for tried in told {
        let rule = &tried.rule;
        match (tried.why.as_str(), tried.held_back) {
            ("", _) => {
                acts = true;
                writeln!(out, "{rule} acts:")?;
                for action in &tried.actions {
                    writeln!(out, "  {action}")?;
                }
            }
            (why, true) => writeln!(out, "{rule} is held back: {why}")?,
            (why, false) => writeln!(out, "{rule} does not act: {why}")?,
        }
    }
    Ok(if acts { exit::OK } else { exit::REFUSED })
}
