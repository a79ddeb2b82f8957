//! Home Assistant discovery: the site and each door as devices.
//!
//! Formats: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload> and, for versions before
//! 2024.11, one message per entity. `object_id` and `default_entity_id` are both sent: older versions know only the
//! first, newer ones only the second. A component that was announced once and is gone is sent with its platform
//! alone, which removes it; an entity's own topic is cleared.

mod parts;

use std::collections::BTreeMap;

use gateway_core::{ContactState, DoorView, SiteView};
use serde_json::{Map, Value, json};

use crate::discovery::parts::{Before, Part, Parts};
use crate::params::{DiscoveryFormat, MqttParams};
use crate::retained::Components;
use crate::topics::Topics;

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
    let door = |d: &DoorView| {
        json!([
            d.id.as_str(),
            d.name,
            d.owned,
            d.contact == ContactState::Unknown,
            d.simulated,
            d.tamper.is_none()
        ])
    };
    json!([
        view.doors.iter().map(door).collect::<Vec<_>>(),
        view.panels
            .iter()
            .map(|p| json!([
                p.id.as_str(),
                p.name,
                p.simulated,
                p.doors.iter().map(|d| d.as_str()).collect::<Vec<_>>(),
                p.buttons
                    .iter()
                    .map(|(id, name)| (id.as_str(), name.as_str()))
                    .collect::<Vec<_>>(),
            ]))
            .collect::<Vec<_>>(),
        view.accounts.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(),
        view.alarms
            .iter()
            .map(|a| (a.id.as_str(), a.name.as_str()))
            .collect::<Vec<_>>(),
        view.relays
            .iter()
            .map(|r| (r.id.as_str(), r.function))
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
    let Some(discovery) = &params.discovery else {
        return Vec::new();
    };
    let node = node(&format!("{}_{}", params.base, params.site_id));
    let parts = Parts::new(params, topics, view);
    let maker = Maker {
        before: &before,
        format: discovery.format,
        params,
        prefix: &discovery.prefix,
    };
    let mut all = maker.device(&node, site_device(&node, params), |_| parts.site());
    for door in &view.doors {
        let own = format!("{node}_door_{}", door.id);
        let device = door_device(&own, &node, door, params);
        all.extend(maker.device(&own, device, |before| parts.door(door, before)));
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

fn site_device(node: &str, params: &MqttParams) -> Value {
    let mut device = json!({
        "identifiers": [node],
        "name": params.site_name,
        "manufacturer": "Doorline",
        "model": "Gateway",
        "sw_version": params.version,
    });
    if !params.site_number.is_empty() {
        device["serial_number"] = json!(params.site_number);
    }
    with_page(device, params)
}

fn door_device(own: &str, site: &str, door: &DoorView, params: &MqttParams) -> Value {
    let device = json!({
        "identifiers": [own],
        "name": door.name,
        "manufacturer": "Doorline",
        "model": "Door",
        "via_device": site,
    });
    with_page(device, params)
}

fn with_page(mut device: Value, params: &MqttParams) -> Value {
    let is_web = |page: &&String| page.starts_with("http://") || page.starts_with("https://");
    if let Some(page) = params.page.as_ref().filter(is_web) {
        device["configuration_url"] = json!(page);
    }
    device
}

struct Maker<'a, B> {
    before: &'a B,
    format: DiscoveryFormat,
    params: &'a MqttParams,
    prefix: &'a str,
}

impl<B: Fn(&str) -> Components> Maker<'_, B> {
    /// The messages of one device. An input that was not read yet must not take away what was announced for it, so
    /// `make` is told what was.
    fn device(
        &self,
        own: &str,
        device: Value,
        make: impl FnOnce(&Before<'_>) -> Vec<Part>,
    ) -> Vec<Announcement> {
        let origin = json!({ "name": "Doorline", "sw_version": self.params.version });
        let whole = format!("{}/device/{own}/config", self.prefix);
        let single =
            |key: &str, platform: &str| format!("{}/{platform}/{own}/{}/config", self.prefix, node(key));
        match self.format {
            DiscoveryFormat::Device => {
                let mut ever = (self.before)(&whole);
                let parts = make(&|key, _| ever.contains_key(key));
                let mut components = Map::new();
                for part in &parts {
                    components.insert(part.key.clone(), Value::Object(component(own, part)));
                }
                for (key, platform) in &ever {
                    components
                        .entry(key.clone())
                        .or_insert_with(|| json!({ "platform": platform }));
                }
                ever.extend(parts.into_iter().map(|part| (part.key, part.platform.to_owned())));
                let payload = json!({ "device": device, "origin": origin, "components": components });
                vec![Announcement {
                    components: ever,
                    payload: payload.to_string(),
                    topic: whole,
                }]
            }
            DiscoveryFormat::Entities => {
                let known = |key: &str, platform: &str| !(self.before)(&single(key, platform)).is_empty();
                let message = |part: Part| {
                    let mut payload = component(own, &part);
                    payload.remove("platform");
                    payload.insert("device".into(), device.clone());
                    payload.insert("origin".into(), origin.clone());
                    Announcement {
                        topic: single(&part.key, part.platform),
                        components: BTreeMap::from([(part.key, part.platform.to_owned())]),
                        payload: Value::Object(payload).to_string(),
                    }
                };
                make(&known).into_iter().map(message).collect()
            }
        }
    }
}

fn component(own: &str, part: &Part) -> Map<String, Value> {
    let unique = format!("{own}_{}", part.key);
    let object = unique.to_ascii_lowercase().replace('-', "_");
    let platform = part.platform;
    let mut component = Map::new();
    component.insert("platform".into(), json!(platform));
    // a trigger is no entity
    if platform != parts::TRIGGER {
        component.insert("unique_id".into(), json!(unique));
        component.insert("object_id".into(), json!(object));
        component.insert("default_entity_id".into(), json!(format!("{platform}.{object}")));
    }
    if let Value::Object(rest) = &part.rest {
        component.extend(rest.clone());
    }
    component
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
                r#""command_template":"{\"command\":\"{{ 'open' if value in ['OPEN','UNLOCK','PRESS'] else 'lock' }}\",\"id\":\"ha-{{ utcnow().timestamp() }}-{{ range(10000,99999)|random }}\",\"at\":\"{{ utcnow().isoformat() }}\"}","qos":1,"#,
                r#""availability":[{"topic":"doorline/lilas/availability"},{"topic":"doorline/lilas/door/yard/availability"}],"availability_mode":"all"},"#,
                r#""problem":{"platform":"binary_sensor","unique_id":"doorline_lilas_door_yard_problem","object_id":"doorline_lilas_door_yard_problem","default_entity_id":"binary_sensor.doorline_lilas_door_yard_problem","name":"Problème","device_class":"problem","state_topic":"doorline/lilas/door/yard/state","value_template":"{{ 'ON' if value_json.forced or value_json.held_open else 'OFF' }}","availability":[{"topic":"doorline/lilas/availability"}]},"#,
                r#""activity":{"platform":"event","unique_id":"doorline_lilas_door_yard_activity","object_id":"doorline_lilas_door_yard_activity","default_entity_id":"event.doorline_lilas_door_yard_activity","name":"Activité","event_types":["closed","denied","forced","forced-ended","granted","held-open","held-open-ended","hold-began","hold-ended","lock-fault","locked-out","opened","opened-by-panel","passback","relocked","rex-shunt","second-awaited","tamper","unlocked"],"state_topic":"doorline/lilas/door/yard/event","availability":[{"topic":"doorline/lilas/availability"}]},"#,
                r#""trigger_denied":{"platform":"device_automation","automation_type":"trigger","type":"denied","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"denied"},"#,
                r#""trigger_forced":{"platform":"device_automation","automation_type":"trigger","type":"forced","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"forced"},"#,
                r#""trigger_held-open":{"platform":"device_automation","automation_type":"trigger","type":"held-open","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"held-open"},"#,
                r#""trigger_opened":{"platform":"device_automation","automation_type":"trigger","type":"opened","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"opened"},"#,
                r#""trigger_unlocked":{"platform":"device_automation","automation_type":"trigger","type":"unlocked","subtype":"door","topic":"doorline/lilas/door/yard/event","value_template":"{{ value_json.event_type }}","payload":"unlocked"}}}"#,
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
            [
                "lock",
                "open",
                "contact",
                "tamper",
                "problem",
                "activity",
                "trigger_denied",
                "trigger_forced",
                "trigger_held-open",
                "trigger_opened",
                "trigger_unlocked",
                "ring_main",
                "call_main",
                "hang_up_main",
                "quiet_main",
                "trigger_ring_main_bell"
            ]
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
        assert_eq!(
            keys(&site["components"]),
            [
                "connection",
                "problem",
                "account_pbx",
                "alarm_intrusion",
                "confirm_intrusion",
                "relay_network",
                "relay_siren",
                "ring_main",
                "call_main",
                "hang_up_main",
                "quiet_main",
                "trigger_ring_main_bell"
            ]
        );
        assert_eq!(site["device"]["serial_number"], "041234567");
        assert!(site["components"]["connection"].get("availability").is_none());
    }

    #[test]
    fn an_alarm_can_be_confirmed_and_only_a_relay_that_is_to_be_set_is_a_switch() {
        let found = all(&params(1883), &view(), |_| Components::new());
        let parts = &found[0].1["components"];
        let alarm = &parts["alarm_intrusion"];
        assert_eq!(
            (&alarm["platform"], &alarm["device_class"], &alarm["state_topic"]),
            (
                &json!("binary_sensor"),
                &json!("safety"),
                &json!("doorline/lilas/alarm/intrusion/state")
            )
        );
        let confirm = &parts["confirm_intrusion"];
        assert_eq!(
            (&confirm["platform"], &confirm["name"], &confirm["command_topic"]),
            (
                &json!("button"),
                &json!("Acquitter Warehouse"),
                &json!("doorline/lilas/command")
            )
        );
        let template = confirm["command_template"].as_str().expect("a text");
        assert!(
            template.starts_with(r#"{"command":"confirm-alarm","alarm":"intrusion","id":"#),
            "{template}"
        );
        let siren = &parts["relay_siren"];
        assert_eq!(siren["platform"], "switch");
        let template = siren["command_template"].as_str().expect("a text");
        let set = r#"{"command":"set-relay","relay":"siren","state":"{{ 'on' if value == 'ON' else 'off' }}","id":"#;
        assert!(template.starts_with(set), "{template}");
        let network = &parts["relay_network"];
        assert_eq!(network["platform"], "binary_sensor");
        assert!(network.get("command_topic").is_none());
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
    fn older_versions_get_a_message_per_entity_with_the_same_names() {
        let whole = all(&params(1883), &view(), |_| Components::new());
        let mut params = params(1883);
        params.press = true;
        let discovery = params.discovery.as_mut().expect("discovery");
        discovery.format = DiscoveryFormat::Entities;
        discovery.people = true;
        let mut view = view();
        view.doors[0].contact = ContactState::Unknown;
        let contact = "homeassistant/binary_sensor/doorline_lilas_door_front/contact/config";
        let before = |topic: &str| {
            let known = (topic == contact).then(|| ("contact".to_owned(), "binary_sensor".to_owned()));
            known.into_iter().collect()
        };
        let found = all(&params, &view, before);
        let one = |topic: &str| {
            let fits = found.iter().find(|(t, _)| t == topic);
            &fits.unwrap_or_else(|| panic!("{topic} is not among them")).1
        };
        let lock = one("homeassistant/lock/doorline_lilas_door_front/lock/config");
        let in_device = &whole[1].1["components"]["lock"];
        assert_eq!(lock["unique_id"], in_device["unique_id"]);
        assert_eq!(lock["command_template"], in_device["command_template"]);
        assert_eq!(lock["device"], whole[1].1["device"]);
        assert!(lock.get("platform").is_none());
        // not read yet, but announced before
        one(contact);
        let person = one("homeassistant/sensor/doorline_lilas_door_front/person/config");
        assert_eq!(person["enabled_by_default"], false);
        let press = one("homeassistant/button/doorline_lilas_door_front/press_main_bell/config");
        assert_eq!(press["name"], "Appuyer Bell");
        let ring =
            one("homeassistant/device_automation/doorline_lilas_door_front/trigger_ring_main_bell/config");
        assert_eq!(ring["payload"], "ring bell");
        assert!(ring.get("unique_id").is_none());
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
