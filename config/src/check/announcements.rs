//! Announcements: somebody has to be able to hear them.

use super::Check;
use crate::fault::FaultKind;
use crate::value::CallIn;

/// Most announcements of a site: each is something to press at each of its panels.
const MOST: usize = 64;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let count = config.announcements.len();
    if count > MOST {
        let text = format!("has {count} entries");
        let hint = format!("allowed: at most {MOST}");
        check.fault(FaultKind::OutOfRange, "announcements", &[], text, &hint);
    }
    for (id, announcement) in &config.announcements {
        for (index, panel) in announcement.panels.iter().enumerate() {
            let at = format!("announcements.{id}.panels[{index}]");
            let line = config.panels.get(panel).map(|panel| &panel.line);
            let Some((name, line)) = line.and_then(|line| config.lines.get_key_value(line)) else {
                continue;
            };
            let name = name.as_str();
            if let Some(why) = line.silent() {
                let text = format!("line {name:?} {why}: nobody hears anything there");
                let hint = "allowed: panels of a line with audio";
                check.fault(FaultKind::Conflict, &at, &[], text, hint);
            } else if line.call_in == CallIn::None && !line.driver.is_virtual() {
                let text = format!("line {name:?} does not start by itself: it is heard in a talk only");
                let hint = format!("leave it, or add to [lines.{name}]: call-in = \"self-start\"");
                check.warn(FaultKind::Conflict, &at, text, &hint);
            }
        }
    }
}
