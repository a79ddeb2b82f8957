//! What a panel brings into the device in which it stands.

use std::collections::BTreeSet;

use gateway_core::PanelView;
use serde_json::json;

use super::{Part, Parts, STAMP, Switch, TRIGGER, on_off, part, trigger};
use crate::state::CALL_STATES;

/// Only rings: an entity that fires at the end of a ring too would ring twice.
const RINGS: &str = "{{ value if value_json.event_type == 'ring' else '' }}";

impl Parts<'_> {
    pub(super) fn panels(&self, panels: &[&PanelView]) -> Vec<Part> {
        let mut parts = Vec::new();
        // of two triggers with the same words a hub takes one
        let mut words = BTreeSet::new();
        for panel in panels {
            // the panel's own name is needed only where there are several
            let name = |word: &str| {
                if panels.len() == 1 {
                    word.to_owned()
                } else {
                    format!("{word} {}", panel.name)
                }
            };
            let events = self.topics.of("panel", &panel.id, "event");
            let command = self.topics.of("panel", &panel.id, "command");
            let bell = json!({
                "name": name(self.words.ring),
                "device_class": "doorbell",
                "event_types": ["ring"],
                "state_topic": events,
                "value_template": RINGS,
                "availability": self.site_up(),
            });
            parts.push(part(format!("ring_{}", panel.id), "event", bell));
            let call = json!({
                "name": name(self.words.call),
                "device_class": "enum",
                "options": CALL_STATES,
                "state_topic": self.topics.of("panel", &panel.id, "state"),
                "value_template": "{{ value_json.call }}",
                "availability": self.site_up(),
            });
            parts.push(part(format!("call_{}", panel.id), "sensor", call));
            let hang_up = json!({
                "name": name(self.words.hang_up),
                "command_topic": command,
                "command_template": format!("{{\"command\":\"hang-up\",{STAMP}"),
                "qos": 1,
                "availability": self.site_up(),
            });
            parts.push(part(format!("hang_up_{}", panel.id), "button", hang_up));
            let state = self.topics.of("panel", &panel.id, "state");
            let quiet = Switch {
                command_topic: command.clone(),
                template: on_off("quiet", "end-quiet"),
                state_topic: state.clone(),
                is_on: "value_json.quiet",
            };
            let mut quiet = quiet.told(name(self.words.quiet), "mdi:bell-off");
            quiet["entity_category"] = json!("config");
            quiet["availability"] = self.site_up();
            parts.push(part(format!("quiet_{}", panel.id), "switch", quiet));
            if let Some(limit) = panel.ring_to_open_limit.filter(|_| !self.code) {
                let minutes = limit.as_secs() / 60;
                let opens = Switch {
                    command_topic: command.clone(),
                    template: on_off("ring-to-open", "end-ring-to-open") + &format!("\"minutes\":{minutes},"),
                    state_topic: state.clone(),
                    is_on: "value_json.ring_to_open",
                };
                let mut opens = opens.told(name(self.words.ring_to_open), "mdi:door-open");
                opens["json_attributes_topic"] = json!(state);
                opens["json_attributes_template"] =
                    json!("{{ {'until': value_json.ring_to_open_until} | tojson }}");
                opens["availability"] = self.site_up();
                parts.push(part(format!("ring_to_open_{}", panel.id), "switch", opens));
            }
            if self.pictures {
                let picture = json!({
                    "name": name(self.words.picture),
                    "icon": "mdi:cctv",
                    "image_topic": self.topics.picture(&panel.id),
                    "content_type": "image/jpeg",
                    "availability": self.site_up(),
                });
                parts.push(part(format!("picture_{}", panel.id), "image", picture));
            }
            for (announcement, label) in &panel.announcements {
                let announce = json!({
                    "name": name(&format!("{} {label}", self.words.announce)),
                    "icon": "mdi:bullhorn",
                    "command_topic": command,
                    "command_template":
                        format!("{{\"command\":\"announce\",\"announcement\":\"{announcement}\",{STAMP}"),
                    "qos": 1,
                    "availability": self.site_up(),
                });
                parts.push(part(
                    format!("announce_{}_{announcement}", panel.id),
                    "button",
                    announce,
                ));
            }
            for (button, label) in &panel.buttons {
                let (id, template) = (
                    &panel.id,
                    "{{ value_json.event_type }} {{ value_json.button|default }}",
                );
                let word = if words.insert(button) {
                    button.to_string()
                } else {
                    format!("{id} {button}")
                };
                let trigger = trigger(&events, "ring", &word, template, &format!("ring {button}"));
                parts.push(part(format!("trigger_ring_{id}_{button}"), TRIGGER, trigger));
                if panel.callable {
                    let call = json!({
                        "name": name(&format!("{} {label}", self.words.call_for)),
                        "icon": "mdi:phone-outgoing",
                        "command_topic": command,
                        "command_template":
                            format!("{{\"command\":\"call\",\"button\":\"{button}\",{STAMP}"),
                        "qos": 1,
                        "availability": self.site_up(),
                    });
                    parts.push(part(format!("make_call_{id}_{button}"), "button", call));
                }
                if self.press && panel.simulated {
                    let press = json!({
                        "name": name(&format!("{} {label}", self.words.press)),
                        "command_topic": command,
                        "command_template":
                            format!("{{\"command\":\"press\",\"button\":\"{button}\",{STAMP}"),
                        "qos": 1,
                        "availability": self.site_up(),
                    });
                    parts.push(part(format!("press_{id}_{button}"), "button", press));
                }
            }
        }
        parts
    }
}
