//! The site's own device: the gateway, fire, lockdowns, registrations, alarms, relays, and panels without a door.

use serde_json::json;

use super::{Part, Parts, STAMP, Switch, on_off, part};
use crate::state::{OFFLINE, ONLINE};

/// How a relay is set.
const SET: &str = "\"state\":\"{{ 'on' if value == 'ON' else 'off' }}\",";
/// The function of a relay that is there to be set.
const COMMAND: &str = "command";

impl Parts<'_> {
    /// The gateway itself, and panels that belong to no door.
    pub(in crate::discovery) fn site(&self) -> Vec<Part> {
        let state = self.topics.state();
        let connection = json!({
            "name": self.words.connection,
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": self.topics.availability(),
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
            // what is kept there says nothing of a gateway that nobody hears
            "availability": self.known(),
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
        // it shows and installs nothing: there is no command
        let update = json!({
            "name": self.words.update,
            "device_class": "firmware",
            "entity_category": "diagnostic",
            "title": "Doorline",
            "state_topic": self.topics.update_state(),
            "availability": self.site_up(),
        });
        let mut parts = vec![
            part("connection", "binary_sensor", connection),
            part("problem", "binary_sensor", problem),
            part("update", "update", update),
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
        parts.extend(self.fire());
        parts.extend(self.lockdowns());
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

    /// The fire alarm and what resets it, where there is a fire input. It is latched and no detector, so that it is told as
    /// `safety` and not as `smoke`: nobody knows whether there is smoke still.
    fn fire(&self) -> Vec<Part> {
        if self.view.fire.is_none() {
            return Vec::new();
        }
        let alarm = json!({
            "name": self.words.fire,
            "device_class": "safety",
            "icon": "mdi:fire",
            "state_topic": self.topics.state(),
            "value_template": "{{ 'ON' if value_json.fire else 'OFF' }}",
            "availability": self.site_up(),
        });
        let reset = json!({
            "name": self.words.reset_fire,
            "icon": "mdi:fire-off",
            "command_topic": self.topics.command(),
            "command_template": format!("{{\"command\":\"reset-fire\",{STAMP}"),
            "qos": 1,
            "availability": self.site_up(),
        });
        vec![
            part("fire", "binary_sensor", alarm),
            part("reset_fire", "button", reset),
        ]
    }

    /// Lockdowns of the whole site and of its groups of doors. One that an input asks for cannot be ended, and so stays on.
    fn lockdowns(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for lockdown in &self.view.lockdowns {
            let (key, group, is_on, name) = match &lockdown.group {
                None => (
                    "lockdown".to_owned(),
                    String::new(),
                    "value_json.lockdown".to_owned(),
                    self.words.lockdown.to_owned(),
                ),
                Some(id) => (
                    format!("lockdown_{id}"),
                    format!("\"group\":\"{id}\","),
                    format!("'{id}' in value_json.lockdown_groups"),
                    format!("{} {}", self.words.lockdown, lockdown.name),
                ),
            };
            let switch = Switch {
                command_topic: self.topics.command(),
                template: on_off("lockdown", "end-lockdown") + &group,
                state_topic: self.topics.state(),
                is_on: &is_on,
            };
            let mut told = switch.told(name, "mdi:shield-lock");
            told["availability"] = self.site_up();
            parts.push(part(key, "switch", told));
        }
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
}
