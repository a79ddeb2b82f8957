//! What a device consists of: its entities and triggers.

use gateway_core::{ContactState, DoorEvent, DoorView, PanelView, SiteView};
use serde_json::{Value, json};

use crate::params::MqttParams;
use crate::state::{CALL_STATES, OFFLINE, ONLINE};
use crate::topics::Topics;
use crate::words::{Words, words};

/// Platform of what is no entity but fires automations.
pub(super) const TRIGGER: &str = "device_automation";
/// What every command carries: time and a fresh id. Home Assistant takes no range above 100 000 numbers.
const STAMP: &str = "\"id\":\"ha-{{ utcnow().timestamp() }}-{{ range(10000,99999)|random }}\",\
    \"at\":\"{{ utcnow().isoformat() }}\"}";
/// A lock entity also has "lock", which must not open.
const OPEN: &str = "{\"command\":\"{{ 'open' if value in ['OPEN','UNLOCK','PRESS'] else 'lock' }}\",";
/// A switch of Home Assistant before 2025 takes no template and sends the bare word, which is refused.
const QUIET: &str = "{\"command\":\"{{ 'quiet' if value == 'ON' else 'end-quiet' }}\",";
/// As [`QUIET`], of a relay.
const SET: &str = "\"state\":\"{{ 'on' if value == 'ON' else 'off' }}\",";
/// The function of a relay that is there to be set.
const COMMAND: &str = "command";
/// Only rings: an entity that fires at the end of a ring too would ring twice.
const RINGS: &str = "{{ value if value_json.event_type == 'ring' else '' }}";
/// What of a door can start an automation.
const TRIGGERS: [&str; 5] = ["denied", "forced", "held-open", "opened", "unlocked"];

/// One entity or trigger: its key within the device, its platform, the rest of its configuration.
pub(super) struct Part {
    pub(super) key: String,
    pub(super) platform: &'static str,
    pub(super) rest: Value,
}

/// Was this key announced on this platform before?
pub(super) type Before<'a> = dyn Fn(&str, &str) -> bool + 'a;

/// Makes the parts of all devices.
pub(super) struct Parts<'a> {
    people: bool,
    press: bool,
    topics: &'a Topics,
    view: &'a SiteView,
    words: Words,
}

impl<'a> Parts<'a> {
    pub(super) fn new(params: &'a MqttParams, topics: &'a Topics, view: &'a SiteView) -> Self {
        Self {
            people: params.discovery.as_ref().is_some_and(|d| d.people),
            press: params.press,
            topics,
            view,
            words: words(&params.language),
        }
    }

    /// The gateway itself, and panels that belong to no door.
    pub(super) fn site(&self) -> Vec<Part> {
        let state = self.topics.state();
        let connection = json!({
            "name": self.words.connection,
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.topics.availability(),
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
        });
        let problem = json!({
            "name": self.words.problem,
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": state,
            "value_template": "{{ 'ON' if value_json.faults else 'OFF' }}",
            "json_attributes_topic": state,
            "availability": self.site_up(),
        });
        let mut parts = vec![
            part("connection", "binary_sensor", connection),
            part("problem", "binary_sensor", problem),
        ];
        for account in &self.view.accounts {
            let registration = json!({
                "name": format!("{} {}", self.words.account, account.id),
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                "state_topic": self.topics.of("account", &account.id, "state"),
                "value_template": "{{ 'ON' if value_json.state == 'registered' else 'OFF' }}",
                "availability": self.site_up(),
            });
            parts.push(part(
                format!("account_{}", account.id),
                "binary_sensor",
                registration,
            ));
        }
        parts.extend(self.alarms());
        parts.extend(self.relays());
        let homeless: Vec<_> = self
            .view
            .panels
            .iter()
            .filter(|p| self.home(p).is_none())
            .collect();
        parts.extend(self.panels(&homeless));
        parts
    }

    /// Alarms, each with what confirms it.
    fn alarms(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for alarm in &self.view.alarms {
            let state = self.topics.of("alarm", &alarm.id, "state");
            let raised = json!({
                "name": alarm.name,
                "device_class": "safety",
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.raised else 'OFF' }}",
                "json_attributes_topic": state,
                "availability": self.site_up(),
            });
            parts.push(part(format!("alarm_{}", alarm.id), "binary_sensor", raised));
            let confirm = json!({
                "name": format!("{} {}", self.words.confirm, alarm.name),
                "icon": "mdi:alarm-light-off",
                "command_topic": self.topics.command(),
                "command_template":
                    format!("{{\"command\":\"confirm-alarm\",\"alarm\":\"{}\",{STAMP}", alarm.id),
                "qos": 1,
                "availability": self.site_up(),
            });
            parts.push(part(format!("confirm_{}", alarm.id), "button", confirm));
        }
        parts
    }

    /// Relays that open nothing: those that are there to be set as switches, others as what they tell.
    fn relays(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for relay in &self.view.relays {
            let state = self.topics.of("relay", &relay.id, "state");
            let mut told = json!({
                "name": format!("{} {}", self.words.relay, relay.id),
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.active else 'OFF' }}",
                "json_attributes_topic": state,
                "availability": self.site_up(),
            });
            let platform = if relay.function == COMMAND {
                let set = format!(
                    "{{\"command\":\"set-relay\",\"relay\":\"{}\",{SET}{STAMP}",
                    relay.id
                );
                told["command_topic"] = json!(self.topics.command());
                told["command_template"] = json!(set);
                told["qos"] = json!(1);
                "switch"
            } else {
                told["entity_category"] = json!("diagnostic");
                "binary_sensor"
            };
            parts.push(part(format!("relay_{}", relay.id), platform, told));
        }
        parts
    }

    /// A door, with the panels whose first door it is.
    pub(super) fn door(&self, door: &DoorView, before: &Before<'_>) -> Vec<Part> {
        let state = self.topics.of("door", &door.id, "state");
        let events = self.topics.of("door", &door.id, "event");
        let command = self.topics.of("door", &door.id, "command");
        let both = json!([
            { "topic": self.topics.availability() },
            { "topic": self.topics.of("door", &door.id, "availability") },
        ]);
        let mut parts = Vec::new();
        if door.owned {
            let lock = json!({
                "name": self.words.lock,
                "command_topic": command,
                "command_template": format!("{OPEN}{STAMP}"),
                "payload_open": "OPEN",
                "qos": 1,
                "state_topic": state,
                "value_template": "{{ {'locked':'LOCKED','unlocked':'UNLOCKED'}.get(value_json.lock) }}",
                "availability": both,
                "availability_mode": "all",
            });
            parts.push(part("lock", "lock", lock));
        }
        let open = json!({
            "name": self.words.open,
            "command_topic": command,
            "command_template": format!("{OPEN}{STAMP}"),
            "qos": 1,
            "availability": both,
            "availability_mode": "all",
        });
        parts.push(part("open", "button", open));
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
            parts.push(part("person", "sensor", person));
        }
        for word in TRIGGERS {
            let trigger = trigger(&events, word, "door", "{{ value_json.event_type }}", word);
            parts.push(part(format!("trigger_{word}"), TRIGGER, trigger));
        }
        let ours = self.view.panels.iter().filter(|p| self.home(p) == Some(door));
        parts.extend(self.panels(&ours.collect::<Vec<_>>()));
        parts
    }

    fn panels(&self, panels: &[&PanelView]) -> Vec<Part> {
        let mut parts = Vec::new();
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
            let quiet = json!({
                "name": name(self.words.quiet),
                "icon": "mdi:bell-off",
                "entity_category": "config",
                "command_topic": command,
                "command_template": format!("{QUIET}{STAMP}"),
                "qos": 1,
                "state_topic": self.topics.of("panel", &panel.id, "state"),
                "value_template": "{{ 'ON' if value_json.quiet else 'OFF' }}",
                "availability": self.site_up(),
            });
            parts.push(part(format!("quiet_{}", panel.id), "switch", quiet));
            for (button, label) in &panel.buttons {
                let (id, template) = (
                    &panel.id,
                    "{{ value_json.event_type }} {{ value_json.button|default }}",
                );
                let trigger = trigger(
                    &events,
                    "ring",
                    button.as_str(),
                    template,
                    &format!("ring {button}"),
                );
                parts.push(part(format!("trigger_ring_{id}_{button}"), TRIGGER, trigger));
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

    fn site_up(&self) -> Value {
        json!([{ "topic": self.topics.availability() }])
    }

    /// The door in whose device a panel stands: the first it serves.
    fn home(&self, panel: &PanelView) -> Option<&'a DoorView> {
        let first = panel.doors.first()?;
        self.view.doors.iter().find(|door| door.id == *first)
    }
}

fn part(key: impl Into<String>, platform: &'static str, rest: Value) -> Part {
    Part {
        key: key.into(),
        platform,
        rest,
    }
}

fn trigger(topic: &str, word: &str, subtype: &str, template: &str, payload: &str) -> Value {
    json!({
        "automation_type": "trigger",
        "type": word,
        "subtype": subtype,
        "topic": topic,
        "value_template": template,
        "payload": payload,
    })
}
