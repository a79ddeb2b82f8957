//! Which events a channel tells.

use std::collections::BTreeSet;

use gateway_core::Record;

/// A choice of events: those of `events`, less those of `without`, of certain doors and devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The channel's own name: a message of a rule for it is told whatever else is, and by no other channel.
    pub channel: String,
    /// Kinds (`door.granted`) and families (`door`); empty means all.
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
        if record.kind == "rule.notify" {
            return record.get("channel").as_text() == Some(self.channel.as_str());
        }
        let family = record.kind.split('.').next().unwrap_or_default();
        let named = |set: &BTreeSet<String>| set.contains(&record.kind) || set.contains(family);
        (self.events.is_empty() || named(&self.events))
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
                channel: String::new(),
                events: set(events),
                sources: set(sources),
                without: set(without),
            };
            assert_eq!(choice.fits(&granted), fits, "{choice:?}");
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
