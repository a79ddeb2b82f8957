//! What of a changed site file bears on who may open, beside the rights that can be listed one by one: times behind the
//! name of a schedule, digits behind the name of a code, what a door asks for besides.

use gateway_config::{Change, Component, Config, Step, plan};

/// One line for each part of the file whose change may let somebody in, or keep somebody out, or at other times.
pub(crate) fn bearing(old: &Config, new: &Config) -> Vec<String> {
    let steps = plan(old, new).steps.into_iter();
    let lines = steps.filter_map(|step| line(&step));
    lines.collect()
}

fn line(step: &Step) -> Option<String> {
    let what = match step.change {
        Change::Same => return None,
        Change::Added => "is new".to_owned(),
        Change::Removed => "is gone".to_owned(),
        Change::Changed => {
            let mut keys = step.keys.iter().copied();
            let bears = |key: &&str| bears(&step.component, key);
            let keys: Vec<&str> = keys.by_ref().filter(bears).collect();
            if keys.is_empty() {
                return None;
            }
            keys.join(", ")
        }
    };
    // a part that comes or goes is told if any of its keys would be
    bears(&step.component, "").then(|| format!("{}: {what}", step.component))
}

/// May another value of this key of it change who may open, or when?
fn bears(component: &Component, key: &str) -> bool {
    match component {
        Component::Area(_)
        | Component::Card(_)
        | Component::CardFormat(_)
        | Component::Code(_)
        | Component::Controller(_)
        | Component::Door(_)
        | Component::DoorGroup(_)
        | Component::Group(_)
        | Component::Holidays(_)
        | Component::List(_)
        | Component::Logins
        | Component::Panel(_)
        | Component::Reader(_)
        | Component::Rule(_)
        | Component::Schedule(_)
        | Component::Time => key != "name",
        Component::Site => matches!(key, "" | "fire-input" | "lockdown-input" | "time-zone"),
        Component::Sip => matches!(key, "" | "direct-peers"),
        // who may command over the broker
        Component::Mqtt => matches!(
            key,
            "" | "accept-untimed" | "base" | "broker" | "command-ttl-s" | "commands" | "keys"
        ),
        // by which names and numbers somebody is believed
        Component::Account(_) => matches!(key, "" | "country" | "domain" | "tls-check-name" | "tls-verify"),
        Component::Alarm(_)
        | Component::Announce
        | Component::Announcement(_)
        | Component::Directory
        | Component::Dot1x
        | Component::Guard
        | Component::Http
        | Component::Input(_)
        | Component::Line(_)
        | Component::Log
        | Component::Network
        | Component::Notify(_)
        | Component::Output(_)
        | Component::Relay(_)
        | Component::Start => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_config::{SecretFiles, parse};

    use super::*;

    fn config(change: (&str, &str)) -> Config {
        let text = include_str!("../../../config/testdata/good.toml");
        assert!(text.contains(change.0), "{} is in the good site", change.0);
        let text = text.replacen(change.0, change.1, 1);
        let loaded = parse("site.toml", Path::new("."), &text, SecretFiles::Untouched);
        loaded.unwrap_or_else(|faults| panic!("{faults}")).config
    }

    #[test]
    fn what_stands_behind_a_name_is_told_and_mere_names_are_not() {
        let same = ("[site]", "[site]");
        for (change, wanted) in [
            (same, ""),
            (("name = \"Back door\"", "name = \"Yard\""), ""),
            (
                (
                    "callers = [{ number = \"sip:1000@pbx.example\" }]",
                    "callers = []",
                ),
                "doors.model: callers",
            ),
            (
                (
                    "[doors.front]",
                    "[codes.new]\ndigits = \"77\"\ndoors = [\"front\"]\n[doors.front]",
                ),
                "codes.new: is new",
            ),
        ] {
            let told = bearing(&config(same), &config(change));
            assert_eq!(told.join("\n"), wanted, "{change:?}");
        }
    }
}
