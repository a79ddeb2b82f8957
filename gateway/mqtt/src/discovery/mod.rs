//! Home Assistant discovery: the site and each door as devices.
//!
//! Formats: <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload> and, for versions before
//! 2024.11, one message per entity. `object_id` and `default_entity_id` are both sent: older versions know only the
//! first, newer ones only the second. A component that was announced once and is gone is sent with its platform
//! alone, which removes it; an entity's own topic is cleared.
//!
//! Home Assistant does not sign: where only signed commands are taken, it is told what shows how things are, and no controls.

mod parts;

use std::collections::BTreeMap;

use gateway_core::{ContactState, DoorView, LockState, SiteView};
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
            !d.owned && d.lock == LockState::Unknown,
            d.simulated,
            d.tamper.is_none(),
            d.hold_limit.map(|limit| limit.as_secs()),
            d.hold_scheduled,
            d.readers.iter().map(|r| r.as_str()).collect::<Vec<_>>(),
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
                p.callable,
                p.ring_to_open_limit.map(|limit| limit.as_secs()),
                p.doors.iter().map(|d| d.as_str()).collect::<Vec<_>>(),
                p.buttons
                    .iter()
                    .map(|(id, name)| (id.as_str(), name.as_str()))
                    .collect::<Vec<_>>(),
                p.announcements
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
        view.fire.is_some(),
        view.lockdowns
            .iter()
            .map(|l| json!([
                l.group.as_ref().map(|group| group.as_str()),
                l.name,
                l.doors.iter().map(|d| d.as_str()).collect::<Vec<_>>(),
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
    let Some(discovery) = &params.discovery else {
        return Vec::new();
    };
    let node = site_node(params);
    let parts = Parts::new(params, topics, view);
    let maker = Maker {
        before: &before,
        format: discovery.format,
        params,
        prefix: &discovery.prefix,
    };
    let mut all = maker.device(&node, site_device(&node, params), |_| parts.usable(parts.site()));
    for door in &view.doors {
        let own = format!("{node}_door_{}", door.id);
        let device = door_device(&own, &node, door, params);
        all.extend(maker.device(&own, device, |before| parts.usable(parts.door(door, before))));
    }
    all
}

/// The device, or the entity, of a discovery topic as it is announced once more to be removed: with the ids that it had, what
/// is required besides, and nothing that could be used. `None` of what no hub keeps when it ends, triggers and scanners.
/// `stays`: an announcement of the device that stays, whose name and other parts stay as they are.
pub(crate) fn ghost(topics: &Topics, topic: &str, of: &Components, stays: Option<&str>) -> Option<String> {
    let (own, whole) = device_of(topic)?;
    let stays: Option<Value> = stays.and_then(|payload| serde_json::from_str(payload).ok());
    let device = stays.as_ref().and_then(|of| of.get("device")).cloned();
    let device = device.unwrap_or_else(|| json!({ "identifiers": [own], "name": own }));
    let mut components: Map<String, Value> = of
        .iter()
        .filter_map(|(key, platform)| {
            let part = parts::ghost(topics, key, platform)?;
            Some((key.clone(), Value::Object(component(own, &part))))
        })
        .collect();
    let origin = json!({ "name": "Doorline" });
    if whole {
        if components.is_empty() {
            return None;
        }
        let nothing = json!({ "device": device, "origin": origin, "components": {} });
        let mut payload = stays.unwrap_or(nothing);
        payload["components"].as_object_mut()?.append(&mut components);
        return Some(payload.to_string());
    }
    let key = of.keys().next()?;
    let mut payload = components.remove(key)?;
    payload["device"] = device;
    payload["origin"] = origin;
    if let Value::Object(all) = &mut payload {
        all.remove("platform");
    }
    Some(payload.to_string())
}

/// The name of the device that a discovery topic is of, and whether it is of the whole device.
pub(crate) fn device_of(topic: &str) -> Option<(&str, bool)> {
    let levels: Vec<&str> = topic.rsplit('/').collect();
    let whole = levels.get(2) == Some(&"device");
    Some((levels.get(if whole { 1 } else { 2 })?, whole))
}

/// What an announcement of a whole device says is no more: such a component has its platform and nothing else.
pub(crate) fn removed(payload: &str) -> Components {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let all = payload.get("components").and_then(Value::as_object);
    all.into_iter()
        .flatten()
        .filter(|(_, of)| of.as_object().is_some_and(|of| of.len() == 1))
        .filter_map(|(key, of)| Some((key.clone(), of.get("platform")?.as_str()?.to_owned())))
        .collect()
}

/// Does a discovery topic bear the name of this site or of a door of it, in the format that is set? One of the other
/// format may not be cleared while ours stand: Home Assistant goes by the names, which are the same, and an empty
/// message for a device removes what was announced for its entities.
pub(crate) fn is_own(params: &MqttParams, topic: &str) -> bool {
    let of_device = topic.split('/').rev().nth(2) == Some("device");
    let is_format = params.discovery.as_ref().is_none_or(|d| match d.format {
        DiscoveryFormat::Device => of_device,
        DiscoveryFormat::Entities => !of_device,
    });
    let site = site_node(params);
    let is_own = |rest: &str| rest.is_empty() || rest.starts_with("_door_");
    is_format
        && topic
            .split('/')
            .any(|level| level.strip_prefix(site.as_str()).is_some_and(is_own))
}

/// The site in discovery topics.
fn site_node(params: &MqttParams) -> String {
    node(&format!("{}_{}", params.base, params.site_id))
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
    if parts::is_entity(platform) {
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
mod tests;
