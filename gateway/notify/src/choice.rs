//! Which events a channel tells.

use std::collections::BTreeSet;

use gateway_core::{Class, Record, is_confidential};

/// A choice of events: those of `events`, less those of `without`, of certain doors and devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The channel's own name: a message of a rule for it is told whatever else is, and by no other channel.
    pub channel: String,
    /// Classes, beside `events`; where both are empty, all is told but what is confidential.
    pub classes: BTreeSet<Class>,
    /// Kinds (`door.granted`) and families (`door`); what is confidential is told only where it is named here.
    pub events: BTreeSet<String>,
    /// Sources, such as doors and panels; empty means all.
    pub sources: BTreeSet<String>,
    /// Kinds and families that are left out.
    pub without: BTreeSet<String>,
}

impl Choice {
    /// Is it told?
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        let is_for_us = || record.get("channel").as_text() == Some(self.channel.as_str());
        if record.kind == "rule.notify" {
            return is_for_us();
        }
        if record.kind == "gateway.notify-dropped" && is_for_us() {
            // whoever counts on this channel has to know that something is missing
            return true;
        }
        let family = record.kind.split('.').next().unwrap_or_default();
        let named = |set: &BTreeSet<String>| set.contains(&record.kind) || set.contains(family);
        let unnamed = (self.events.is_empty() && self.classes.is_empty()
            || self.classes.contains(&record.class()))
            && !is_confidential(&record.kind);
        (unnamed || named(&self.events))
            && !named(&self.without)
            && (self.sources.is_empty() || self.sources.contains(&record.source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::record;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn families_kinds_and_sources_choose() {
        let granted = record(1);
        assert!(Choice::default().fits(&granted));
        for (events, without, sources, fits) in [
            (&["door"][..], &[][..], &[][..], true),
            (&["door.granted"], &[], &["front"], true),
            (&["doo", "granted", "call"], &[], &[], false),
            (&["door"], &["door.granted"], &[], false),
            (&[], &["door"], &[], false),
            (&[], &[], &["back"], false),
        ] {
            let choice = Choice {
                events: set(events),
                sources: set(sources),
                without: set(without),
                ..Choice::default()
            };
            assert_eq!(choice.fits(&granted), fits, "{choice:?}");
        }
    }

    #[test]
    fn classes_choose_beside_kinds() {
        let granted = record(1);
        for (classes, events, fits) in [
            (&[Class::Door][..], &[][..], true),
            (&[Class::Use, Class::Audio], &[], false),
            (&[Class::Audio], &["door.granted"], true),
            (&[Class::Door], &["call"], true),
        ] {
            let choice = Choice {
                classes: classes.iter().copied().collect(),
                events: set(events),
                ..Choice::default()
            };
            assert_eq!(choice.fits(&granted), fits, "{choice:?}");
        }
        let without = Choice {
            classes: BTreeSet::from([Class::Door]),
            without: set(&["door.granted"]),
            ..Choice::default()
        };
        assert!(!without.fits(&granted));
    }

    #[test]
    fn what_is_confidential_goes_only_where_it_is_named() {
        let mut silent = record(1);
        silent.kind = "access.duress".to_owned();
        for (events, without, fits) in [
            (&[][..], &[][..], false),
            (&["door", "gateway"], &[], false),
            (&["access"], &[], true),
            (&["door", "access.duress"], &[], true),
            (&["access"], &["access.duress"], false),
        ] {
            let choice = Choice {
                events: set(events),
                without: set(without),
                ..Choice::default()
            };
            assert_eq!(choice.fits(&silent), fits, "{choice:?}");
        }
    }

    #[test]
    fn what_a_channel_left_out_is_told_by_that_channel_whatever_it_tells() {
        let mut dropped = record(1);
        dropped.kind = "gateway.notify-dropped".to_owned();
        dropped.fields = vec![("channel".to_owned(), gateway_core::Value::Text("erp".to_owned()))];
        for (channel, events, fits) in [
            ("erp", &["door"][..], true),
            ("family", &["door"], false),
            ("family", &["gateway"], true),
        ] {
            let choice = Choice {
                channel: channel.to_owned(),
                events: set(events),
                ..Choice::default()
            };
            assert_eq!(choice.fits(&dropped), fits, "{choice:?}");
        }
    }

    #[test]
    fn a_message_of_a_rule_goes_to_the_channel_that_it_names_and_to_no_other() {
        let mut message = record(1);
        message.kind = "rule.notify".to_owned();
        message.fields = vec![("channel".to_owned(), gateway_core::Value::Text("erp".to_owned()))];
        for (channel, events, fits) in [
            ("erp", &["panel.ring"][..], true),
            ("erp", &[], true),
            ("family", &[], false),
            ("family", &["rule"], false),
        ] {
            let choice = Choice {
                channel: channel.to_owned(),
                events: set(events),
                ..Choice::default()
            };
            assert_eq!(choice.fits(&message), fits, "{choice:?}");
        }
    }
}
