//! How loud lines are: keys that mean nothing.

use gateway_access::When;

use super::Check;
use crate::fault::FaultKind;

/// Keys of a line that are about its sound.
const KEYS: [&str; 5] = [
    "speaker-db",
    "microphone-db",
    "quiet-times",
    "quiet-speaker-db",
    "quiet-microphone-db",
];

pub(super) fn check(check: &mut Check<'_>) {
    for (id, line) in &check.config.lines {
        let at = |key: &str| format!("lines.{id}.{key}");
        if let Some(why) = line.silent() {
            if let Some(key) = KEYS.iter().find(|key| check.is_written(&at(key))) {
                let text = format!("has no meaning: the line {why}");
                check.fault(FaultKind::Conflict, &at(key), &[], text, "remove it");
            }
            continue;
        }
        if line.quiet_times != When::Never {
            continue;
        }
        for key in &KEYS[3..] {
            if check.is_written(&at(key)) {
                let text = "it is never so without quiet-times".to_owned();
                let hint = "remove it, or add: quiet-times = \"name of a schedule\"";
                check.fault(FaultKind::Conflict, &at(key), &[&at("quiet-times")], text, hint);
            }
        }
    }
}
