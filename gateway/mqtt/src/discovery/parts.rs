//! What a device consists of: its entities and triggers.

mod door;
mod mode;
mod panel;
mod site;

use gateway_core::{DoorView, PanelView, SiteView};
use serde_json::{Map, Value, json};

use crate::params::{MqttDiscovery, MqttParams};
use crate::state::ONLINE;
use crate::topics::Topics;
use crate::words::{Words, words};

/// Platform of what is no entity but fires automations.
const TRIGGER: &str = "device_automation";
/// Platform of what is no entity but tells of cards.
const TAG: &str = "tag";

/// Is it an entity, with an id of its own?
pub(super) fn is_entity(platform: &str) -> bool {
    ![TAG, TRIGGER].contains(&platform)
}

/// What every command carries: time and a fresh id. Home Assistant takes no range above 100 000 numbers.
const STAMP: &str = "\"id\":\"ha-{{ utcnow().timestamp() }}-{{ range(10000,99999)|random }}\",\
    \"at\":\"{{ utcnow().isoformat() }}\"}";
/// Key of the last person, who is off until somebody wants it.
const PERSON: &str = "person";
/// What shows how something is.
const SHOWN: &[&str] = &[
    "name",
    "icon",
    "options",
    "state_topic",
    "value_template",
    "json_attributes_topic",
    "json_attributes_template",
];
/// Of a lock that can only be seen: open is on.
const IS_UNLOCKED: &str = "{{ {'unlocked':'ON','locked':'OFF'}.get(value_json.lock) }}";
/// A payload that is never said.
const NEVER: &str = "-";

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
    /// Where Home Assistant says that it was started, or is connected again.
    birth: Option<String>,
    /// Nothing opens without a code, so that only what asks for one is announced.
    code: bool,
    people: bool,
    pictures: bool,
    press: bool,
    /// Only signed commands are taken, and no hub signs.
    signed: bool,
    tags: bool,
    topics: &'a Topics,
    view: &'a SiteView,
    words: Words,
}

impl<'a> Parts<'a> {
    pub(super) fn new(params: &'a MqttParams, topics: &'a Topics, view: &'a SiteView) -> Self {
        let discovery = params.discovery.as_ref();
        Self {
            birth: discovery.map(MqttDiscovery::birth),
            code: params.code_needed,
            people: discovery.is_some_and(|d| d.people),
            pictures: discovery.is_some_and(|d| d.pictures),
            press: params.press,
            signed: params.signed_only,
            tags: discovery.is_some_and(|d| d.tags),
            topics,
            view,
            words: words(&params.language),
        }
    }

    /// What a hub can use of these parts: where it cannot command, what shows how things are.
    pub(super) fn usable(&self, parts: Vec<Part>) -> Vec<Part> {
        if self.signed {
            parts.into_iter().filter_map(|part| self.shown(part)).collect()
        } else {
            parts
        }
    }

    /// A part without what it commands; `None` if nothing is left to show. Under a key of its own: what is announced under one
    /// key stays of one platform.
    fn shown(&self, part: Part) -> Option<Part> {
        if part.rest.get("command_topic").is_none() {
            return Some(part);
        }
        let (platform, class) = match part.platform {
            "lock" => ("binary_sensor", Some("lock")),
            "select" => ("sensor", Some("enum")),
            "switch" => ("binary_sensor", None),
            _ => return None,
        };
        let mut rest = Map::new();
        for kept in SHOWN {
            if let Some(value) = part.rest.get(kept) {
                rest.insert((*kept).to_owned(), value.clone());
            }
        }
        // whether it could be operated at this moment is nothing to who cannot
        rest.insert("availability".to_owned(), self.site_up());
        if part.platform == "lock" {
            rest.insert("value_template".to_owned(), json!(IS_UNLOCKED));
        }
        if let Some(class) = class {
            rest.insert("device_class".to_owned(), json!(class));
        }
        let key = format!("shows_{}", part.key);
        Some(self::part(key, platform, Value::Object(rest)))
    }

    /// Available while the gateway is there.
    fn site_up(&self) -> Value {
        self.up("value_json.alive")
    }

    /// Available while something is so by what the gateway says of itself now. Of several topics the last message counts,
    /// which is the mode that Home Assistant has by itself, and two of three can only say no: our last will, and its own
    /// birth, which follows each of its connections and which we answer. What brokers keep can so be as old as it is.
    fn up(&self, is_so: &str) -> Value {
        let will = json!({ "topic": self.topics.availability(), "payload_available": NEVER });
        self.last_of(is_so, Some(will))
    }

    /// Available while it is known whether the gateway is there.
    fn known(&self) -> Value {
        self.last_of("value_json.alive", None)
    }

    fn last_of(&self, is_so: &str, will: Option<Value>) -> Value {
        let alive = json!({
            "topic": self.topics.alive(),
            "value_template": format!("{{{{ 'online' if {is_so} else 'offline' }}}}"),
        });
        let birth = self.birth.as_ref().map(
            |birth| json!({ "topic": birth, "payload_available": NEVER, "payload_not_available": ONLINE }),
        );
        std::iter::once(alive).chain(will).chain(birth).collect()
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

/// An entity that is no more, with what its platform requires; `None` of what no hub keeps when it ends. What had a topic to
/// listen to has one: where none is left, Home Assistant 2025.12 goes on to listen to the one of before, and fails once something
/// is said there.
pub(super) fn ghost(topics: &Topics, key: &str, platform: &str) -> Option<Part> {
    let nowhere = topics.gone();
    let (platform, mut rest) = match platform {
        "binary_sensor" => ("binary_sensor", json!({ "state_topic": nowhere })),
        "button" => ("button", json!({ "command_topic": nowhere })),
        "event" => ("event", json!({ "state_topic": nowhere, "event_types": [NEVER] })),
        "image" => ("image", json!({ "image_topic": nowhere })),
        "lock" => (
            "lock",
            json!({ "command_topic": nowhere, "state_topic": nowhere }),
        ),
        "select" => (
            "select",
            json!({ "command_topic": nowhere, "state_topic": nowhere, "options": [NEVER] }),
        ),
        "sensor" => ("sensor", json!({ "state_topic": nowhere })),
        "switch" => (
            "switch",
            json!({ "command_topic": nowhere, "state_topic": nowhere }),
        ),
        "update" => ("update", json!({ "state_topic": nowhere })),
        _ => return None,
    };
    rest["availability_topic"] = json!(nowhere);
    // as it was announced: who never saw it is to have it no other way, should it come back meanwhile
    if key == PERSON {
        rest["enabled_by_default"] = json!(false);
    }
    Some(part(key, platform, rest))
}

/// A switch: what it sends as it is switched on and off, and what shows how it is. Home Assistant before 2025 gives it no
/// template and sends the bare word, which is refused: it shows, and does not switch.
struct Switch<'a> {
    command_topic: String,
    /// The command without its time and id, up to the comma before them.
    template: String,
    state_topic: String,
    /// What is true while it is on.
    is_on: &'a str,
}

impl Switch<'_> {
    fn told(self, name: String, icon: &str) -> Value {
        json!({
            "name": name,
            "icon": icon,
            "command_topic": self.command_topic,
            "command_template": format!("{{{}{STAMP}", self.template),
            "qos": 1,
            "state_topic": self.state_topic,
            "value_template": format!("{{{{ 'ON' if {} else 'OFF' }}}}", self.is_on),
        })
    }
}

/// The command that a switch gives, with its end.
fn on_off(on: &str, off: &str) -> String {
    format!("\"command\":\"{{{{ '{on}' if value == 'ON' else '{off}' }}}}\",")
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
