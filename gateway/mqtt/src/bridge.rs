//! Two documents for who comes new and wants to know what there is: the gateway itself, and its doors. Pure.
//!
//! They hold what is set, and not how anything is: they change with the site file, the program and the connection. Nothing in
//! them is secret; who may read the topics of the site learns the names of its doors and panels from their states, too.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{ContactState, DoorView, PanelView, SiteView};
use serde::Serialize;

use crate::command::MAX_PAYLOAD;
use crate::params::{DiscoveryFormat, MqttParams};
use crate::topics::Topics;

/// The gateway.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Info<'a> {
    site: &'a str,
    name: &'a str,
    instance: &'a str,
    version: &'a str,
    /// Of the configuration; a new one has the next number.
    generation: u64,
    /// Of names and texts.
    language: &'a str,
    /// Which MQTT is spoken with this broker: `3.1.1` or `5`.
    protocol: &'a str,
    /// Where the page is, if there is one.
    page: Option<&'a str>,
    commands: Commands,
    /// For Home Assistant; none without it.
    discovery: Option<Discovery<'a>>,
    /// What there is beside doors and panels: `alarms`, `fire`, `lockdown`, `people`, `pictures`, `press`, `relays`, `tags`.
    features: Vec<&'static str>,
    topics: SiteTopics,
}

/// What holds for commands.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Commands {
    /// Only signed ones are taken.
    signed: bool,
    /// They are good for so long, s.
    ttl_s: u64,
    /// They are also taken without time and id.
    untimed: bool,
    /// Without a code no unsigned one opens.
    code: bool,
    /// Longest one, bytes.
    largest: usize,
}

/// How Home Assistant is told.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Discovery<'a> {
    /// `device` or `entities`.
    format: &'static str,
    prefix: &'a str,
}

/// Topics of the site.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SiteTopics {
    alive: String,
    availability: String,
    command: String,
    doors: String,
    event: String,
    response: String,
    state: String,
}

/// The doors.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Doors<'a> {
    doors: Vec<DoorInfo<'a>>,
}

/// A door, and what it can do.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct DoorInfo<'a> {
    id: &'a str,
    name: &'a str,
    /// The gateway owns and times the lock, so that it knows how that is; else the panel does.
    owned: bool,
    simulated: bool,
    /// Unsigned commands open it with a code only.
    code: bool,
    /// A command may hold it open for so long, min; none if none may.
    hold_minutes: Option<u64>,
    /// A schedule holds it open at times.
    hold_scheduled: bool,
    /// Its contact is read, so that its state has `open` or `closed`; false where it has none, or none is read at present.
    contact: bool,
    /// Its tamper contact is read, so that its state has true or false; false where it has none, or none is read at present.
    tamper: bool,
    /// Groups by which it can be locked down.
    groups: Vec<&'a str>,
    panels: Vec<PanelInfo<'a>>,
    readers: Vec<&'a str>,
    topics: DoorTopics,
}

/// A panel of a door.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PanelInfo<'a> {
    id: &'a str,
    name: &'a str,
    line: &'a str,
    /// What a command may have heard at it, with names.
    announcements: BTreeMap<&'a str, &'a str>,
    /// With their names.
    buttons: BTreeMap<&'a str, &'a str>,
    /// A command may have it call though nobody rings.
    call: bool,
    /// By what it is called, the first its own account.
    extensions: Vec<ExtensionInfo<'a>>,
    /// A command may have it open to who rings for so long, min; none if none may.
    ring_to_open_minutes: Option<u64>,
    topics: PanelTopics,
}

/// An extension of a panel.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ExtensionInfo<'a> {
    /// User part of its SIP address.
    extension: &'a str,
    /// At which PBX, by its account; none where it is called directly or over a trunk.
    account: Option<&'a str>,
    /// Host of that address.
    domain: Option<&'a str>,
}

/// Topics of a door.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct DoorTopics {
    availability: String,
    command: String,
    event: String,
    state: String,
}

/// Topics of a panel.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PanelTopics {
    command: String,
    event: String,
    state: String,
}

/// Both documents with their topics. `protocol` is the MQTT that is spoken.
pub(crate) fn documents(
    params: &MqttParams,
    topics: &Topics,
    view: &SiteView,
    protocol: &str,
) -> BTreeMap<String, String> {
    let doors = Doors {
        doors: view
            .doors
            .iter()
            .map(|door| self::door(params, topics, view, door))
            .collect(),
    };
    BTreeMap::from([
        (topics.info(), text(&info(params, topics, view, protocol))),
        (topics.doors(), text(&doors)),
    ])
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields and text keys only")
}

fn info<'a>(params: &'a MqttParams, topics: &Topics, view: &SiteView, protocol: &'a str) -> Info<'a> {
    let discovery = params.discovery.as_ref();
    let features = [
        ("alarms", !view.alarms.is_empty()),
        ("fire", view.fire.is_some()),
        ("lockdown", !view.lockdowns.is_empty()),
        ("people", discovery.is_some_and(|d| d.people)),
        ("pictures", discovery.is_some_and(|d| d.pictures)),
        ("press", params.press),
        ("relays", !view.relays.is_empty()),
        ("tags", discovery.is_some_and(|d| d.tags)),
    ];
    Info {
        site: params.site_id.as_str(),
        name: &params.site_name,
        instance: &params.instance,
        version: &params.version,
        generation: view.generation,
        language: &params.language,
        protocol,
        page: params.page.as_deref(),
        commands: Commands {
            signed: params.signed_only,
            ttl_s: params.command_ttl.as_secs(),
            untimed: params.accept_untimed && !params.signed_only,
            code: params.code_needed,
            largest: MAX_PAYLOAD,
        },
        discovery: discovery.map(|d| Discovery {
            format: match d.format {
                DiscoveryFormat::Device => "device",
                DiscoveryFormat::Entities => "entities",
            },
            prefix: &d.prefix,
        }),
        features: features
            .into_iter()
            .filter_map(|(word, has)| has.then_some(word))
            .collect(),
        topics: SiteTopics {
            alive: topics.alive(),
            availability: topics.availability(),
            command: topics.command(),
            doors: topics.doors(),
            event: topics.event(),
            response: topics.response(),
            state: topics.state(),
        },
    }
}

fn minutes(limit: Duration) -> u64 {
    limit.as_secs() / 60
}

fn door<'a>(params: &'a MqttParams, topics: &Topics, view: &'a SiteView, door: &'a DoorView) -> DoorInfo<'a> {
    let of = |leaf| topics.of("door", &door.id, leaf);
    let panels = view.panels.iter().filter(|panel| panel.doors.contains(&door.id));
    let groups = view.lockdowns.iter().filter(|l| l.doors.contains(&door.id));
    DoorInfo {
        id: door.id.as_str(),
        name: &door.name,
        owned: door.owned,
        simulated: door.simulated,
        code: params.code_needed,
        hold_minutes: door.hold_limit.map(minutes),
        hold_scheduled: door.hold_scheduled,
        contact: door.contact != ContactState::Unknown,
        tamper: door.tamper.is_some(),
        groups: groups
            .filter_map(|l| l.group.as_ref())
            .map(|group| group.as_str())
            .collect(),
        panels: panels.map(|panel| self::panel(params, topics, panel)).collect(),
        readers: door.readers.iter().map(|reader| reader.as_str()).collect(),
        topics: DoorTopics {
            availability: of("availability"),
            command: of("command"),
            event: of("event"),
            state: of("state"),
        },
    }
}

fn panel<'a>(params: &'a MqttParams, topics: &Topics, panel: &'a PanelView) -> PanelInfo<'a> {
    let of = |leaf| topics.of("panel", &panel.id, leaf);
    let extensions = params
        .extensions
        .iter()
        .filter(|extension| extension.panel == panel.id);
    PanelInfo {
        id: panel.id.as_str(),
        name: &panel.name,
        line: panel.line.as_str(),
        announcements: panel
            .announcements
            .iter()
            .map(|(id, name)| (id.as_str(), name.as_str()))
            .collect(),
        buttons: panel
            .buttons
            .iter()
            .map(|(id, name)| (id.as_str(), name.as_str()))
            .collect(),
        call: panel.callable,
        extensions: extensions
            .map(|extension| ExtensionInfo {
                extension: &extension.user,
                account: extension.account.as_ref().map(|(id, _)| id.as_str()),
                domain: extension.account.as_ref().map(|(_, domain)| domain.as_str()),
            })
            .collect(),
        ring_to_open_minutes: panel.ring_to_open_limit.map(minutes),
        topics: PanelTopics {
            command: of("command"),
            event: of("event"),
            state: of("state"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{params, view};

    fn both(params: &MqttParams, view: &SiteView) -> (String, String) {
        let topics = Topics::new("doorline", "lilas");
        let mut all = documents(params, &topics, view, "5");
        let mut one = |topic: &str| all.remove(topic).expect("it is told");
        (one("doorline/lilas/info"), one("doorline/lilas/doors"))
    }

    #[test]
    fn the_exact_texts() {
        let (info, doors) = both(&params(1883), &view());
        assert_eq!(
            info,
            concat!(
                r#"{"site":"lilas","name":"12 rue des Lilas","instance":"00112233445566778899aabbccddeeff","version":"0.1.0","#,
                r#""generation":3,"language":"fr","protocol":"5","page":"https://192.0.2.1/","#,
                r#""commands":{"signed":false,"ttl_s":10,"untimed":false,"code":false,"largest":1024},"#,
                r#""discovery":{"format":"device","prefix":"homeassistant"},"features":["alarms","fire","lockdown","relays"],"#,
                r#""topics":{"alive":"doorline/lilas/alive","availability":"doorline/lilas/availability","command":"doorline/lilas/command","#,
                r#""doors":"doorline/lilas/doors","event":"doorline/lilas/event","response":"doorline/lilas/response","state":"doorline/lilas/state"}}"#,
            )
        );
        assert_eq!(
            doors,
            concat!(
                r#"{"doors":[{"id":"front","name":"Main entrance","owned":true,"simulated":true,"code":false,"hold_minutes":120,"#,
                r#""hold_scheduled":false,"contact":true,"tamper":true,"groups":[],"#,
                r#""panels":[{"id":"main","name":"Street","line":"riser","announcements":{"lift":"The lift is out of order"},"buttons":{"bell":"Bell"},"call":true,"#,
                r#""extensions":[{"extension":"503","account":"pbx","domain":"pbx.example"},{"extension":"front","account":null,"domain":null}],"#,
                r#""ring_to_open_minutes":120,"#,
                r#""topics":{"command":"doorline/lilas/panel/main/command","event":"doorline/lilas/panel/main/event","state":"doorline/lilas/panel/main/state"}}],"#,
                r#""readers":["street"],"topics":{"availability":"doorline/lilas/door/front/availability","command":"doorline/lilas/door/front/command","#,
                r#""event":"doorline/lilas/door/front/event","state":"doorline/lilas/door/front/state"}},"#,
                r#"{"id":"yard","name":"Yard","owned":false,"simulated":false,"code":false,"hold_minutes":null,"hold_scheduled":true,"#,
                r#""contact":false,"tamper":false,"groups":["street"],"panels":[],"readers":[],"#,
                r#""topics":{"availability":"doorline/lilas/door/yard/availability","command":"doorline/lilas/door/yard/command","#,
                r#""event":"doorline/lilas/door/yard/event","state":"doorline/lilas/door/yard/state"}}]}"#,
            )
        );
    }

    #[test]
    fn how_things_are_changes_neither_and_what_is_set_does() {
        let before = both(&params(1883), &view());
        let mut busy = view();
        busy.doors[0].available = false;
        busy.doors[0].forced = true;
        busy.doors[0].lockdown = true;
        busy.doors[0].contact = ContactState::Open;
        busy.panels[0].ring_to_open = None;
        busy.faults.clear();
        busy.fire = Some(gateway_core::FireView {
            active: true,
            alarm: false,
        });
        assert_eq!(both(&params(1883), &busy), before);

        busy.doors[0].name = "Side".into();
        assert_ne!(both(&params(1883), &busy).1, before.1);
        let signed = MqttParams {
            accept_untimed: true,
            code_needed: true,
            signed_only: true,
            ..params(1883)
        };
        let (info, doors) = both(&signed, &view());
        assert!(
            info.contains(r#""signed":true,"ttl_s":10,"untimed":false,"code":true"#),
            "{info}"
        );
        assert!(doors.contains(r#""code":true"#), "{doors}");
    }

    #[test]
    fn nothing_secret_is_in_them() {
        let secret = gateway_core::Secret::new("a-secret-of-4711");
        let key = crate::MqttKey {
            doors: None,
            may_open: true,
            may_operate: true,
            secret: secret.clone(),
        };
        let params = MqttParams {
            keys: BTreeMap::from([("hub".to_owned(), key)]),
            login: Some(("somebody".into(), secret)),
            ..params(1883)
        };
        let (info, doors) = both(&params, &view());
        for word in ["4711", "somebody", "hub"] {
            assert!(!info.contains(word) && !doors.contains(word), "{word}");
        }
    }
}
