//! Home Assistant device discovery: one retained message per device, the site and each door.
//!
//! Format: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>. `object_id` and
//! `default_entity_id` are both sent: older versions know only the first, newer ones only the second. A component
//! that was announced once and is gone is sent with its platform alone, which removes it.

use std::collections::BTreeMap;

use gateway_core::{ContactState, DoorEvent, DoorView, PanelView, SiteView};
use serde_json::{Map, Value, json};

use crate::params::MqttParams;
use crate::retained::Components;
use crate::state::{OFFLINE, ONLINE};
use crate::topics::Topics;
use crate::words::{Words, words};

/// Adds time and a fresh id to what Home Assistant sends. A lock entity also has "lock", which must not open.
const COMMAND: &str = "{\"command\":\"{{ 'open' if value in ['OPEN','UNLOCK','PRESS'] else 'lock' }}\",\
    \"id\":\"ha-{{ utcnow().timestamp() }}-{{ range(100000,999999)|random }}\",\
    \"at\":\"{{ utcnow().isoformat() }}\"}";
/// Only rings: an entity that fires at the end of a ring too would ring twice.
const RINGS: &str = "{{ value if value_json.event_type == 'ring' else '' }}";

/// One discovery message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Announcement {
    /// Every component ever announced here, this message's included.
    pub(crate) components: Components,
    pub(crate) payload: String,
    pub(crate) topic: String,
}

/// What the announcements depend on; while it stays the same, so do they.
pub(crate) fn shape(view: &SiteView) -> Value {
    json!([
        view.doors
            .iter()
            .map(|d| json!([
                d.id.as_str(),
                d.name,
                d.owned,
                d.contact == ContactState::Unknown,
                d.simulated
            ]))
            .collect::<Vec<_>>(),
        view.panels
            .iter()
            .map(|p| json!([
                p.id.as_str(),
                p.name,
                p.doors.iter().map(|d| d.as_str()).collect::<Vec<_>>()
            ]))
            .collect::<Vec<_>>(),
    ])
}

/// All announcements of the site; empty without discovery. `before` tells the components ever announced.
pub(crate) fn announcements(
    params: &MqttParams,
    topics: &Topics,
    view: &SiteView,
    before: impl Fn(&str) -> Components,
) -> Vec<Announcement> {
    let Some(prefix) = &params.discovery else {
        return Vec::new();
    };
    let maker = Maker {
        node: node(&format!("{}_{}", params.base, params.site_id)),
        params,
        topics,
        words: words(&params.language),
    };
    let topic = |node: &str| format!("{prefix}/device/{node}/config");
    let mut all = Vec::new();
    let site_topic = topic(&maker.node);
    all.push(maker.message(site_topic, maker.site_device(), maker.site(view), &before));
    for door in &view.doors {
        let node = maker.door_node(door);
        let topic = topic(&node);
        let had_contact = before(&topic).contains_key("contact");
        let parts = maker.door(view, door, had_contact);
        all.push(maker.message(topic, maker.door_device(door), parts, &before));
    }
    all
}

/// Text that may stand in a discovery topic: `[A-Za-z0-9_-]`.
fn node(text: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    text.chars().map(safe).collect()
}

/// Key, platform, the rest of the component.
type Part = (String, &'static str, Value);

struct Maker<'a> {
    node: String,
    params: &'a MqttParams,
    topics: &'a Topics,
    words: Words,
}

impl Maker<'_> {
    fn door_node(&self, door: &DoorView) -> String {
        format!("{}_door_{}", self.node, door.id)
    }

    fn site_device(&self) -> Value {
        let mut device = json!({
            "identifiers": [self.node],
            "name": self.params.site_name,
            "manufacturer": "Doorline",
            "model": "Gateway",
            "sw_version": self.params.version,
        });
        if !self.params.site_number.is_empty() {
            device["serial_number"] = json!(self.params.site_number);
        }
        self.with_page(device)
    }

    fn door_device(&self, door: &DoorView) -> Value {
        self.with_page(json!({
            "identifiers": [self.door_node(door)],
            "name": door.name,
            "manufacturer": "Doorline",
            "model": "Door",
            "via_device": self.node,
        }))
    }

    fn with_page(&self, mut device: Value) -> Value {
        let is_web = |page: &&String| page.starts_with("http://") || page.starts_with("https://");
        if let Some(page) = self.params.page.as_ref().filter(is_web) {
            device["configuration_url"] = json!(page);
        }
        device
    }

    fn site(&self, view: &SiteView) -> Vec<Part> {
        let state = self.topics.state();
        let mut parts = vec![
            (
                "connection".to_owned(),
                "binary_sensor",
                json!({
                    "name": self.words.connection,
                    "device_class": "connectivity",
                    "entity_category": "diagnostic",
                    "state_topic": self.topics.availability(),
                    "payload_on": ONLINE,
                    "payload_off": OFFLINE,
                }),
            ),
            (
                "problem".to_owned(),
                "binary_sensor",
                json!({
                    "name": self.words.problem,
                    "device_class": "problem",
                    "entity_category": "diagnostic",
                    "state_topic": state,
                    "value_template": "{{ 'ON' if value_json.faults else 'OFF' }}",
                    "json_attributes_topic": state,
                    "availability": self.site_up(),
                }),
            ),
        ];
        let homeless: Vec<_> = view.panels.iter().filter(|p| home(view, p).is_none()).collect();
        parts.extend(self.bells(&homeless));
        parts
    }

    fn door(&self, view: &SiteView, door: &DoorView, had_contact: bool) -> Vec<Part> {
        let state = self.topics.of("door", &door.id, "state");
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
                "command_template": COMMAND,
                "payload_open": "OPEN",
                "qos": 1,
                "state_topic": state,
                "value_template": "{{ {'locked':'LOCKED','unlocked':'UNLOCKED'}.get(value_json.lock) }}",
                "availability": both,
                "availability_mode": "all",
            });
            parts.push(("lock".to_owned(), "lock", lock));
        } else {
            let open = json!({
                "name": self.words.open,
                "command_topic": command,
                "command_template": COMMAND,
                "qos": 1,
                "availability": both,
                "availability_mode": "all",
            });
            parts.push(("open".to_owned(), "button", open));
        }
        if had_contact || door.contact != ContactState::Unknown {
            let contact = json!({
                "name": self.words.contact,
                "device_class": "door",
                "state_topic": state,
                "value_template": "{{ {'open':'ON','closed':'OFF'}.get(value_json.contact) }}",
                "availability": self.site_up(),
            });
            parts.push(("contact".to_owned(), "binary_sensor", contact));
        }
        let problem = json!({
            "name": self.words.problem,
            "device_class": "problem",
            "state_topic": state,
            "value_template": "{{ 'ON' if value_json.forced or value_json.held_open else 'OFF' }}",
            "availability": self.site_up(),
        });
        parts.push(("problem".to_owned(), "binary_sensor", problem));
        let activity = json!({
            "name": self.words.activity,
            "event_types": DoorEvent::TAGS,
            "state_topic": self.topics.of("door", &door.id, "event"),
            "availability": self.site_up(),
        });
        parts.push(("activity".to_owned(), "event", activity));
        let ours = view.panels.iter().filter(|p| home(view, p) == Some(door));
        parts.extend(self.bells(&ours.collect::<Vec<_>>()));
        parts
    }

    fn bells(&self, panels: &[&PanelView]) -> Vec<Part> {
        let name = |panel: &PanelView| {
            if panels.len() == 1 {
                self.words.ring.to_owned()
            } else {
                format!("{} {}", self.words.ring, panel.name)
            }
        };
        let bell = |panel: &&PanelView| {
            let bell = json!({
                "name": name(panel),
                "device_class": "doorbell",
                "event_types": ["ring"],
                "state_topic": self.topics.of("panel", &panel.id, "event"),
                "value_template": RINGS,
                "availability": self.site_up(),
            });
            (format!("ring_{}", panel.id), "event", bell)
        };
        panels.iter().map(bell).collect()
    }

    fn site_up(&self) -> Value {
        json!([{ "topic": self.topics.availability() }])
    }

    fn message(
        &self,
        topic: String,
        device: Value,
        parts: Vec<Part>,
        before: &impl Fn(&str) -> Components,
    ) -> Announcement {
        let owner = device["identifiers"][0].as_str().unwrap_or_default().to_owned();
        let mut ever = before(&topic);
        let gone: BTreeMap<_, _> = ever
            .iter()
            .filter(|(key, _)| !parts.iter().any(|(k, ..)| k == *key))
            .map(|(key, platform)| (key.clone(), json!({ "platform": platform })))
            .collect();
        let mut components = Map::new();
        for (key, platform, rest) in parts {
            let unique = format!("{owner}_{key}");
            let object = unique.to_ascii_lowercase().replace('-', "_");
            let mut component = Map::new();
            component.insert("platform".into(), json!(platform));
            component.insert("unique_id".into(), json!(unique));
            component.insert("object_id".into(), json!(object));
            component.insert("default_entity_id".into(), json!(format!("{platform}.{object}")));
            if let Value::Object(rest) = rest {
                component.extend(rest);
            }
            ever.insert(key.clone(), platform.to_owned());
            components.insert(key, Value::Object(component));
        }
        components.extend(gone);
        let payload = json!({
            "device": device,
            "origin": { "name": "Doorline", "sw_version": self.params.version },
            "components": components,
        });
        Announcement {
            components: ever,
            payload: payload.to_string(),
            topic,
        }
    }
}

/// The door in whose device a panel's bell stands: the first it serves.
fn home<'a>(view: &'a SiteView, panel: &PanelView) -> Option<&'a DoorView> {
    let first = panel.doors.first()?;
    view.doors.iter().find(|door| door.id == *first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{params, view};

    fn all(
        params: &MqttParams,
        view: &SiteView,
        before: impl Fn(&str) -> Components,
    ) -> Vec<(String, Value)> {
        let topics = Topics::new(&params.base, &params.site_id);
        announcements(params, &topics, view, before)
            .into_iter()
            .map(|a| (a.topic, serde_json::from_str(&a.payload).expect("JSON")))
            .collect()
    }

    fn keys(value: &Value) -> Vec<&str> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn the_exact_text_of_a_door_whose_panel_owns_the_lock() {
        let params = params(1883);
        let topics = Topics::new(&params.base, &params.site_id);
        let found = announcements(&params, &topics, &view(), |_| Components::new());
        let yard = &found[2];
        assert_eq!(yard.topic, "homeassistant/device/doorline_lilas_door_yard/config");
        assert_eq!(
            yard.payload,
            concat!(
                r#"{"device":{"identifiers":["doorline_lilas_door_yard"],"name":"Yard","manufacturer":"Doorline","model":"Door","via_device":"doorline_lilas","configuration_url":"https://192.0.2.1/"},"#,
                r#""origin":{"name":"Doorline","sw_version":"0.1.0"},"#,
                r#""components":{"open":{"platform":"button","unique_id":"doorline_lilas_door_yard_open","object_id":"doorline_lilas_door_yard_open","default_entity_id":"button.doorline_lilas_door_yard_open","name":"Ouvrir","command_topic":"doorline/lilas/door/yard/command","#,
                r#""command_template":"{\"command\":\"{{ 'open' if value in ['OPEN','UNLOCK','PRESS'] else 'lock' }}\",\"id\":\"ha-{{ utcnow().timestamp() }}-{{ range(100000,999999)|random }}\",\"at\":\"{{ utcnow().isoformat() }}\"}","qos":1,"#,
                r#""availability":[{"topic":"doorline/lilas/availability"},{"topic":"doorline/lilas/door/yard/availability"}],"availability_mode":"all"},"#,
                r#""problem":{"platform":"binary_sensor","unique_id":"doorline_lilas_door_yard_problem","object_id":"doorline_lilas_door_yard_problem","default_entity_id":"binary_sensor.doorline_lilas_door_yard_problem","name":"Problème","device_class":"problem","state_topic":"doorline/lilas/door/yard/state","value_template":"{{ 'ON' if value_json.forced or value_json.held_open else 'OFF' }}","availability":[{"topic":"doorline/lilas/availability"}]},"#,
                r#""activity":{"platform":"event","unique_id":"doorline_lilas_door_yard_activity","object_id":"doorline_lilas_door_yard_activity","default_entity_id":"event.doorline_lilas_door_yard_activity","name":"Activité","event_types":["closed","denied","forced","forced-ended","granted","held-open","held-open-ended","lock-fault","opened","opened-by-panel","relocked","rex-shunt","tamper","unlocked"],"state_topic":"doorline/lilas/door/yard/event","availability":[{"topic":"doorline/lilas/availability"}]}}}"#,
            )
        );
    }

    #[test]
    fn a_door_with_its_own_lock_has_a_lock_a_contact_and_its_bell() {
        let found = all(&params(1883), &view(), |_| Components::new());
        let (topic, front) = &found[1];
        assert_eq!(topic, "homeassistant/device/doorline_lilas_door_front/config");
        assert_eq!(
            keys(&front["components"]),
            ["lock", "contact", "problem", "activity", "ring_main"]
        );
        let bell = &front["components"]["ring_main"];
        assert_eq!(bell["event_types"], json!(["ring"]));
        assert_eq!(bell["device_class"], "doorbell");
        assert_eq!(bell["state_topic"], "doorline/lilas/panel/main/event");
        let lock = &front["components"]["lock"];
        assert_eq!(lock["default_entity_id"], "lock.doorline_lilas_door_front_lock");
        assert_eq!(lock["availability_mode"], "all");
        assert!(
            lock.get("payload_lock").is_none(),
            "LOCK must stay what the template does not open for"
        );
    }

    #[test]
    fn the_site_has_connection_and_problem_and_the_bells_without_a_door() {
        let mut view = view();
        view.panels[0].doors.clear();
        let found = all(&params(1883), &view, |_| Components::new());
        let (topic, site) = &found[0];
        assert_eq!(topic, "homeassistant/device/doorline_lilas/config");
        assert_eq!(keys(site), ["device", "origin", "components"]);
        assert_eq!(keys(&site["components"]), ["connection", "problem", "ring_main"]);
        assert_eq!(site["device"]["serial_number"], "041234567");
        assert!(site["components"]["connection"].get("availability").is_none());
    }

    #[test]
    fn a_component_that_is_gone_is_removed_and_a_contact_not_read_yet_stays() {
        let mut view = view();
        view.doors[0].owned = false;
        view.doors[0].contact = ContactState::Unknown;
        let before = |topic: &str| {
            let front = topic.ends_with("door_front/config");
            let known = [("lock", "lock"), ("contact", "binary_sensor")];
            let known = known.iter().filter(|_| front);
            known.map(|(k, p)| ((*k).to_owned(), (*p).to_owned())).collect()
        };
        let found = all(&params(1883), &view, before);
        let components = &found[1].1["components"];
        assert_eq!(components["lock"], json!({ "platform": "lock" }));
        assert_eq!(components["contact"]["device_class"], "door");
        assert_eq!(components["open"]["platform"], "button");
    }

    #[test]
    fn without_discovery_nothing_is_announced_and_odd_bases_make_safe_nodes() {
        let mut params = params(1883);
        params.base = "haus/tür 1".into();
        let found = all(&params, &view(), |_| Components::new());
        assert_eq!(found[0].0, "homeassistant/device/haus_t_r_1_lilas/config");
        params.discovery = None;
        assert_eq!(all(&params, &view(), |_| Components::new()), []);
    }
}
