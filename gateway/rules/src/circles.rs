//! Rules that would make each other act for ever.
//!
//! What an action leads to by itself is told from its kind: the doors it opens, the panel it calls at. What people do in
//! a call is theirs and no part of a circle. It is judged by kinds and sources alone, so that a rule whose conditions
//! would end a circle is found, too: conditions change while the gateway runs.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::{DoorGroupId, DoorId, LineId, PanelId, RelayId, RuleId};

use crate::rule::{Action, Ear, Rule, Trigger};

/// What has to be known of a site to tell what actions lead to.
pub trait Layout {
    /// Doors of a group; of the whole site without one.
    fn doors_of(&self, group: Option<&DoorGroupId>) -> BTreeSet<DoorId>;
    /// The line of a panel.
    fn line_of(&self, panel: &PanelId) -> Option<LineId>;
    /// Panels at which a door can be opened.
    fn panels_of(&self, door: &DoorId) -> BTreeSet<PanelId>;
    /// Relays that follow calls and doors: light, lamps, lines.
    fn followers(&self) -> BTreeSet<RelayId>;
}

/// What becomes of a door that is opened.
const OPENING: &[&str] = &[
    "door.closed",
    "door.denied",
    "door.granted",
    "door.held-open",
    "door.held-open-ended",
    "door.lock-fault",
    "door.opened",
    "door.relocked",
    "door.second-awaited",
    "door.unlocked",
];
/// What becomes of a door where nobody is let in any more.
const SHUTTING: &[&str] = &["door.hold-ended", "door.relocked"];
/// What becomes of a call that the gateway makes; what is said and dialled in it is people's.
const CALLING: &[&str] = &[
    "call.answered",
    "call.confirm-awaited",
    "call.ended",
    "call.leg-ended",
    "call.leg-offered",
    "call.leg-ringing",
    "call.recording-began",
    "call.recording-ended",
    "call.talk-warning",
];
/// What becomes of an alarm by itself; whoever confirms it, or types a wrong code, is somebody.
const ALARMING: &[&str] = &[
    "alarm.called",
    "alarm.escalated",
    "alarm.raised",
    "alarm.unconfirmed",
];
/// What becomes of a call that an opening ends.
const HANGING_UP: &[&str] = &["call.ended", "call.leg-ended"];
const RINGING: &[&str] = &[
    "panel.press-ignored",
    "panel.pressed-again",
    "panel.ring",
    "panel.ring-ended",
];
const RULING: &[&str] = &[
    "rule.called",
    "rule.failed",
    "rule.fired",
    "rule.held-back",
    "rule.notify",
    "rule.prompted",
    "rule.publish",
];
const SENDING: &[&str] = &[
    "controller.beeped",
    "controller.missed",
    "controller.sent",
    "controller.showed",
    "controller.taken",
    "controller.told",
];
const SWITCHING: &[&str] = &["relay.switched"];

/// Events of some kinds.
struct Effect {
    kinds: &'static [&'static str],
    /// `None` if such events have no source.
    sources: Option<BTreeSet<String>>,
}

impl Effect {
    fn of<S: ToString>(kinds: &'static [&'static str], sources: impl IntoIterator<Item = S>) -> Self {
        let sources = sources.into_iter().map(|source| source.to_string()).collect();
        Self {
            kinds,
            sources: Some(sources),
        }
    }

    const fn plain(kinds: &'static [&'static str]) -> Self {
        Self { kinds, sources: None }
    }

    /// Can a rule be set off by it?
    fn sets_off(&self, on: &Trigger) -> bool {
        let source = match &self.sources {
            // a rule that names sources hears nothing of what has none
            None => on.sources.is_empty(),
            Some(sources) => on.sources.is_empty() || !on.sources.is_disjoint(sources),
        };
        source && self.kinds.iter().any(|kind| on.has_kind(kind))
    }
}

fn effects(rule: &RuleId, actions: &[Action], layout: &impl Layout) -> Vec<Effect> {
    let mut effects = vec![Effect::of(RULING, [rule])];
    for action in actions {
        match action {
            Action::Alarm(alarm) => {
                effects.push(Effect::of(ALARMING, [alarm]));
                effects.push(Effect::plain(CALLING));
                effects.push(Effect::of(SWITCHING, layout.followers()));
            }
            Action::Call { panel, .. } => {
                effects.push(Effect::of(RINGING, [panel]));
                effects.push(Effect::of(&["line.state"], layout.line_of(panel)));
                effects.push(Effect::plain(CALLING));
                effects.push(Effect::of(SWITCHING, layout.followers()));
            }
            Action::Card { controller, .. } => effects.push(Effect::of(SENDING, [controller])),
            Action::Lockdown(group) => {
                effects.push(Effect::plain(&["gateway.lockdown"]));
                effects.push(Effect::of(SHUTTING, layout.doors_of(group.as_ref())));
            }
            // the record of it is the rule's
            Action::Mqtt { .. } | Action::Notify { .. } | Action::Text { .. } => {}
            Action::Output { relay, .. } => effects.push(Effect::of(SWITCHING, [relay])),
            Action::Prompt {
                line, to: Ear::Line, ..
            } => effects.push(Effect::of(&["line.state"], [line])),
            Action::Prompt {
                to: Ear::Phone { .. },
                ..
            } => {}
            Action::Open(door) => {
                effects.push(Effect::of(OPENING, [door]));
                effects.push(Effect::of(SWITCHING, layout.followers()));
                // a call at the door ends with the opening where its list says so
                let panels = layout.panels_of(door);
                let lines: BTreeSet<LineId> =
                    panels.iter().filter_map(|panel| layout.line_of(panel)).collect();
                if !panels.is_empty() {
                    effects.push(Effect::of(&["line.state"], lines));
                    effects.push(Effect::of(&["panel.ring-ended"], panels));
                    effects.push(Effect::plain(HANGING_UP));
                }
            }
        }
    }
    effects
}

/// Every circle once, each as the rules in it, beginning with the first by name. A rule that sets itself off is one of
/// one.
#[must_use]
pub fn circles(rules: &BTreeMap<RuleId, Rule>, layout: &impl Layout) -> Vec<Vec<RuleId>> {
    let next: BTreeMap<&RuleId, Vec<&RuleId>> = rules
        .iter()
        .map(|(id, rule)| {
            let effects = effects(id, &rule.actions, layout);
            let set_off = rules
                .iter()
                .filter(|(_, other)| effects.iter().any(|effect| effect.sets_off(&other.on)));
            (id, set_off.map(|(other, _)| other).collect())
        })
        .collect();
    let mut found = Vec::new();
    let mut told: BTreeSet<&RuleId> = BTreeSet::new();
    for start in rules.keys() {
        if told.contains(start) {
            continue;
        }
        if let Some(path) = way_back(start, &next) {
            told.extend(path.iter().copied());
            found.push(path.into_iter().cloned().collect());
        }
    }
    found
}

/// The shortest way from a rule back to itself.
fn way_back<'a>(start: &'a RuleId, next: &BTreeMap<&'a RuleId, Vec<&'a RuleId>>) -> Option<Vec<&'a RuleId>> {
    let mut paths: Vec<Vec<&RuleId>> = vec![vec![start]];
    let mut seen: BTreeSet<&RuleId> = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            let last = path.last().copied().unwrap_or(start);
            for after in next.get(last).into_iter().flatten().copied() {
                if after == start {
                    return Some(path);
                }
                if seen.insert(after) {
                    longer.push(path.iter().copied().chain([after]).collect());
                }
            }
        }
        paths = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::Event;

    #[test]
    fn every_kind_that_is_named_here_is_one() {
        let kinds: BTreeSet<String> = Event::families()
            .iter()
            .flat_map(|(family, tags)| tags.iter().map(move |tag| format!("{family}.{tag}")))
            .collect();
        for kind in [
            OPENING, SHUTTING, CALLING, HANGING_UP, RINGING, RULING, SWITCHING, ALARMING,
        ]
        .concat()
        {
            assert!(kinds.contains(kind), "{kind}");
        }
        let ruling: BTreeSet<&str> = kinds
            .iter()
            .map(String::as_str)
            .filter(|k| k.starts_with("rule."))
            .collect();
        assert_eq!(ruling, RULING.iter().copied().collect());
    }
}
