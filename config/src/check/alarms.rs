//! Alarms: somebody has to raise them, and calls about them are nobody's at a door.

use gateway_core::{AlarmId, ListId};

use super::Check;
use crate::fault::FaultKind;
use crate::model::{Config, LineDriver, RuleDo};
use crate::value::OnLineFault;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, alarm) in &config.alarms {
        let at = format!("alarms.{id}");
        if alarm.input.is_none() && !is_raised_by_a_rule(config, id) {
            let text = "nothing raises this alarm".to_owned();
            let hint = "add an input, or a rule with: do = [{ alarm = { alarm = \"…\" } }]";
            check.fault(FaultKind::Missing, &at, &[], text, hint);
        }
        let (panel, twice) = (format!("{at}.panel"), format!("{at}.calls"));
        if let Some(of) = config.panels.get(&alarm.panel)
            && let Some(line) = config.lines.get(&of.line)
            && !matches!(line.driver, LineDriver::Contact(_) | LineDriver::Virtual(_))
        {
            let text = format!("the calls would be heard at line {:?}", of.line.as_str());
            let hint = "allowed: a panel of a line with contact";
            check.fault(FaultKind::Conflict, &panel, &[], text, hint);
        }
        if let Some(of) = config.panels.get(&alarm.panel)
            && of.on_line_fault == OnLineFault::Unregister
        {
            let text =
                "while the line of this panel is faulty its account is not registered, and nobody is called"
                    .to_owned();
            let hint = "allowed: a panel with on-line-fault = \"reject-480\" or \"stay\"";
            check.fault(FaultKind::Conflict, &panel, &[], text, hint);
        }
        let mut calls: Vec<&ListId> = alarm.calls.iter().collect();
        calls.sort_unstable();
        if let Some(pair) = calls.windows(2).find(|pair| pair[0] == pair[1]) {
            let text = format!("{:?} stands there twice", pair[0].as_str());
            check.fault(
                FaultKind::Conflict,
                &twice,
                &[],
                text,
                "allowed: each once; see rounds",
            );
        }
    }
}

/// Does an alarm call this list?
pub(super) fn calls(config: &Config, list: &ListId) -> bool {
    config.alarms.values().any(|alarm| alarm.calls.contains(list))
}

fn is_raised_by_a_rule(config: &Config, id: &AlarmId) -> bool {
    let mut actions = config.rules.values().flat_map(|rule| &rule.actions);
    actions.any(|action| matches!(&action.what, RuleDo::Alarm(alarm) if alarm.alarm == *id))
}
