//! What opens by the clock, on a machine whose clock nobody has to keep right.

use gateway_access::When;

use super::Check;
use crate::fault::FaultKind;
use crate::model::Config;

pub(super) fn check(check: &mut Check<'_>) {
    // who has written it, either way, knows
    if check.is_written("time.require-sync") {
        return;
    }
    let opens = opens_by_schedule(check.config);
    let first = opens.into_iter().min_by_key(|at| check.position(at));
    if let Some(at) = first {
        let text =
            "it opens by the clock, which is believed though nobody may keep it right: a machine without a \
                    battery for it starts with the time at which it stopped"
                .to_owned();
        let hint = "add under [time]: require-sync = true; false written there says that the clock runs on, or is set \
                    by hand";
        check.warn(FaultKind::Unsafe, &at, text, hint);
    }
}

/// Every key that names a schedule by which somebody is let in, or more easily let in.
fn opens_by_schedule(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |when: &When, at: String| {
        if let When::In(_) = when {
            found.push(at);
        }
    };
    for (id, door) in &config.doors {
        note(&door.hold_open, format!("doors.{id}.hold-open"));
        note(&door.open_by_call, format!("doors.{id}.open-by-call"));
        for (position, caller) in door.callers.iter().enumerate() {
            note(
                &caller.schedule,
                format!("doors.{id}.callers[{position}].schedule"),
            );
        }
    }
    for (id, reader) in &config.readers {
        note(&reader.card_alone, format!("readers.{id}.card-alone"));
    }
    for (id, code) in &config.codes {
        note(&code.schedule, format!("codes.{id}.schedule"));
    }
    for (id, card) in &config.cards {
        note(&card.schedule, format!("cards.{id}.schedule"));
    }
    for (id, group) in &config.groups {
        note(&group.schedule, format!("groups.{id}.schedule"));
    }
    found
}

impl Config {
    /// True if anybody is let in by a schedule: then a clock that is wrong opens when it should not.
    #[must_use]
    pub fn opens_by_clock(&self) -> bool {
        !opens_by_schedule(self).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::load::{SecretFiles, parse};

    fn warned(lines: &str) -> bool {
        let text = include_str!("../../testdata/good.toml");
        let callers = "callers = [{ number = \"sip:1000@pbx.example\"";
        let text = text.replace(callers, &format!("{callers}, schedule = \"office\""));
        let text = format!("{text}\n[schedules.office]\ntimes = [\"mon-fri 08:00-18:00\"]\n{lines}");
        let loaded = parse("site.toml", Path::new("."), &text, SecretFiles::Untouched);
        let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
        assert!(loaded.config.opens_by_clock());
        !loaded.warnings.list.is_empty()
    }

    #[test]
    fn who_says_whether_the_clock_is_kept_right_is_not_warned() {
        assert!(warned(""));
        assert!(warned("[time]\n"));
        assert!(!warned("[time]\nrequire-sync = true\n"));
        assert!(!warned("[time]\nrequire-sync = false\n"));
    }
}
