//! The classes that the trade sorts events into.

use crate::value::words;

words! {
    /// What an event is about, as people who look after a site sort it. Each kind belongs to one.
    Class {
        /// The gateway as a program: start and stop, configuration, journal, clock, users and rights, rules.
        Application = "application",
        /// Calls: who was called, who answered, how it ended.
        Audio = "audio",
        /// What tells something to people: lamps and other relays, lights of readers.
        Display = "display",
        /// Doors: granted, refused, opened, forced, held; lockdown and fire.
        Door = "door",
        /// Devices, lines, inputs, the guard, and what is wrong with them.
        Hardware = "hardware",
        /// Accounts at the PBX, the switch port, the network.
        Network = "network",
        /// What people do: ring, show a card, type, command.
        Use = "use",
    }
}

impl Class {
    /// The class of a kind such as `door.granted`; `None` if this version does not know the kind.
    #[must_use]
    pub fn of_kind(kind: &str) -> Option<Self> {
        let (family, tag) = kind.split_once('.')?;
        let known = super::record::FAMILIES.iter().find(|(name, _)| *name == family);
        known.filter(|(_, tags)| tags.contains(&tag))?;
        Some(match (family, tag) {
            ("reader", "misread" | "service-began" | "service-ended" | "service-refused")
            | ("panel", "button-stuck" | "button-released") => Self::Hardware,
            ("reader", "pin-awaited") => Self::Display,
            ("gateway", "address-told" | "network" | "second-instance") => Self::Network,
            ("gateway", "factory" | "guard") => Self::Hardware,
            ("gateway", "fire" | "fire-alarm" | "lockdown" | "passback-reset") => Self::Door,
            ("account" | "port", _) => Self::Network,
            ("call", _) => Self::Audio,
            ("alarm" | "command" | "controller" | "panel" | "reader", _) => Self::Use,
            ("device" | "input" | "line", _) => Self::Hardware,
            ("access" | "door", _) => Self::Door,
            ("relay", _) => Self::Display,
            ("gateway" | "rule" | "user", _) => Self::Application,
            _ => return None,
        })
    }

    /// The same, where a class is needed: what this version does not know is of the program.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self::of_kind(kind).unwrap_or(Self::Application)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_class_and_every_class_has_kinds() {
        let mut used = BTreeSet::new();
        for (family, tags) in super::super::record::FAMILIES {
            for tag in *tags {
                let kind = format!("{family}.{tag}");
                let class = Class::of_kind(&kind);
                assert!(class.is_some(), "{kind} has no class");
                used.extend(class);
            }
        }
        assert_eq!(used, Class::ALL.iter().copied().collect());
    }

    #[test]
    fn kinds_are_where_people_look_for_them() {
        for (kind, class) in [
            ("door.granted", Class::Door),
            ("door.lock-fault", Class::Door),
            ("panel.ring", Class::Use),
            ("panel.button-stuck", Class::Hardware),
            ("reader.service-ended", Class::Hardware),
            ("call.answered", Class::Audio),
            ("account.failed", Class::Network),
            ("gateway.network", Class::Network),
            ("gateway.started", Class::Application),
            ("relay.switched", Class::Display),
        ] {
            assert_eq!(Class::of_kind(kind), Some(class), "{kind}");
        }
        for unknown in ["lift.stuck", "door.flew-away", "door", ""] {
            assert_eq!(Class::of_kind(unknown), None, "{unknown}");
            assert_eq!(Class::of(unknown), Class::Application, "{unknown}");
        }
    }
}
