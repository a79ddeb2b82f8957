//! A door's device.

use gateway_core::{ContactState, DoorEvent, DoorView, LockState};
use serde_json::json;

use super::{Before, PERSON, Part, Parts, STAMP, TAG, TRIGGER, part, trigger};

/// A lock entity also has "lock", which must not open.
const OPEN: &str = "{\"command\":\"{{ 'open' if value in ['OPEN','UNLOCK','PRESS'] else 'lock' }}\",";
/// What was typed in Home Assistant.
const CODE: &str = "\"code\":{{ code | tojson }},";
/// As the lock is: between a permission and the relay that follows it, it is unlocking. Nothing tells where the bolt is, so
/// that it is never jammed.
const LOCK: &str = "{{ 'UNLOCKING' if value_json.lock == 'locked' and value_json.pulse \
    else {'locked':'LOCKED','unlocked':'UNLOCKED'}.get(value_json.lock) }}";
/// What of a door can start an automation.
const TRIGGERS: [&str; 5] = ["denied", "forced", "held-open", "opened", "unlocked"];

impl Parts<'_> {
    /// A door, with the panels whose first door it is.
    pub(in crate::discovery) fn door(&self, door: &DoorView, before: &Before<'_>) -> Vec<Part> {
        let state = self.topics.of("door", &door.id, "state");
        let events = self.topics.of("door", &door.id, "event");
        let command = self.topics.of("door", &door.id, "command");
        let can_be_opened = self.up(&format!("'{}' in value_json.available", door.id));
        let mut parts = Vec::new();
        if door.owned {
            let mut lock = json!({
                "name": self.words.lock,
                "command_topic": command,
                "command_template": format!("{OPEN}{}{STAMP}", if self.code { CODE } else { "" }),
                "payload_open": "OPEN",
                "qos": 1,
                "state_topic": state,
                "value_template": LOCK,
                "availability": can_be_opened,
            });
            if self.code {
                lock["code_format"] = json!("^[0-9*#]{1,8}$");
            }
            parts.push(part("lock", "lock", lock));
        }
        let open = json!({
            "name": self.words.open,
            "command_topic": command,
            "command_template": format!("{OPEN}{STAMP}"),
            "qos": 1,
            "availability": can_be_opened,
        });
        if !self.code {
            // a button asks for nothing
            parts.push(part("open", "button", open));
        }
        parts.extend(self.mode(door));
        if door.contact != ContactState::Unknown || before("contact", "binary_sensor") {
            let contact = json!({
                "name": self.words.contact,
                "device_class": "door",
                "state_topic": state,
                "value_template": "{{ {'open':'ON','closed':'OFF'}.get(value_json.contact) }}",
                "availability": self.site_up(),
            });
            parts.push(part("contact", "binary_sensor", contact));
        }
        // a lock of the panel is no lock of Home Assistant's, which would want to open it
        if !door.owned && (door.lock != LockState::Unknown || before("sense", "binary_sensor")) {
            let sense = json!({
                "name": self.words.lock,
                "device_class": "lock",
                "state_topic": state,
                "value_template": "{{ {'unlocked':'ON','locked':'OFF'}.get(value_json.lock) }}",
                "availability": self.site_up(),
            });
            parts.push(part("sense", "binary_sensor", sense));
        }
        if door.tamper.is_some() || before("tamper", "binary_sensor") {
            let tamper = json!({
                "name": self.words.tamper,
                "device_class": "tamper",
                "entity_category": "diagnostic",
                "state_topic": state,
                "value_template": "{{ {true:'ON',false:'OFF'}.get(value_json.tamper) }}",
                "availability": self.site_up(),
            });
            parts.push(part("tamper", "binary_sensor", tamper));
        }
        let problem = json!({
            "name": self.words.problem,
            "device_class": "problem",
            "state_topic": state,
            "value_template": "{{ 'ON' if value_json.forced or value_json.held_open else 'OFF' }}",
            "availability": self.site_up(),
        });
        parts.push(part("problem", "binary_sensor", problem));
        let activity = json!({
            "name": self.words.activity,
            "event_types": DoorEvent::TAGS,
            "state_topic": events,
            "availability": self.site_up(),
        });
        parts.push(part("activity", "event", activity));
        if self.people {
            let person = json!({
                "name": self.words.person,
                "enabled_by_default": false,
                "state_topic": events,
                "value_template":
                    "{{ value_json.subject if value_json.event_type == 'granted' else this.state }}",
                "availability": self.site_up(),
            });
            parts.push(part(PERSON, "sensor", person));
        }
        for reader in door.readers.iter().filter(|_| self.tags) {
            let scanner = json!({
                "topic": self.topics.of("reader", reader, "tag"),
                "value_template": "{{ value_json.tag }}",
            });
            parts.push(part(format!("tag_{reader}"), TAG, scanner));
        }
        for word in TRIGGERS {
            let trigger = trigger(&events, word, "door", "{{ value_json.event_type }}", word);
            parts.push(part(format!("trigger_{word}"), TRIGGER, trigger));
        }
        let ours = self.view.panels.iter().filter(|p| self.home(p) == Some(door));
        parts.extend(self.panels(&ours.collect::<Vec<_>>()));
        parts
    }
}
