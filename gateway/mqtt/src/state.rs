//! Retained states: what a topic says about the live picture.

use std::collections::BTreeMap;

use gateway_core::{DoorGroupId, PanelView, SiteView, Timestamp};
use serde::Serialize;

use crate::params::MqttParams;
use crate::topics::Topics;

/// Payloads of availability topics.
pub(crate) const ONLINE: &str = "online";
pub(crate) const OFFLINE: &str = "offline";
/// What a call can do, as the core's view words it; without one it is the first.
pub(crate) const CALL_STATES: [&str; 3] = ["idle", "ringing", "talking"];

/// The site.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Site<'a> {
    site: &'a str,
    name: &'a str,
    number: &'a str,
    address: &'a str,
    instance: &'a str,
    version: &'a str,
    generation: u64,
    /// Doors open for fire until an operator resets it.
    fire: bool,
    /// Of the whole site.
    lockdown: bool,
    /// Groups of doors that are locked down.
    lockdown_groups: Vec<&'a str>,
    faults: Vec<Fault<'a>>,
}

/// A fault that stands, with what to do.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Fault<'a> {
    part: &'a str,
    text: &'a str,
}

/// A door.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Door<'a> {
    name: &'a str,
    lock: &'static str,
    lockdown: bool,
    contact: &'static str,
    available: bool,
    forced: bool,
    held_open: bool,
    /// Held open on purpose: `schedule`, `command`, `both`; none if it is not.
    hold: Option<&'static str>,
    /// A pulse runs.
    pulse: bool,
    owned: bool,
    simulated: bool,
    tamper: Option<bool>,
}

/// A panel, its line and its call.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Panel<'a> {
    name: &'a str,
    line: &'a str,
    line_state: Option<&'static str>,
    ring_id: Option<String>,
    /// `idle`, `ringing` or `talking`.
    call: &'static str,
    doors: Vec<&'a str>,
    buttons: BTreeMap<&'a str, &'a str>,
    /// Do-not-disturb by a command.
    quiet: bool,
    /// Who rings is let in, by a command.
    ring_to_open: bool,
    /// Until when, RFC 3339, by the clock as it went when it began.
    ring_to_open_until: Option<String>,
    simulated: bool,
}

/// Who has a line.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Line {
    state: &'static str,
}

/// An alarm.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Alarm<'a> {
    name: &'a str,
    /// `calling`, `confirmed`, `rest`, `unconfirmed`, `waiting`.
    state: &'static str,
    /// Raised, and not confirmed.
    raised: bool,
    ring_id: Option<String>,
}

/// A relay that tells something and opens nothing.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Relay<'a> {
    active: bool,
    function: &'static str,
    /// What it tells.
    text: &'a str,
}

/// A registration at a PBX.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Account<'a> {
    state: &'static str,
    detail: &'a str,
}

/// A card that was read.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Tag<'a> {
    /// A name of the card that is always the same and tells nothing of its number, 32 hexadecimal digits.
    tag: &'a str,
}

/// What is said of a card that was read.
pub(crate) fn tag(tag: &str) -> String {
    text(&Tag { tag })
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields and text keys only")
}

/// Every retained state topic with its payload, availability of the site apart.
pub(crate) fn states(params: &MqttParams, topics: &Topics, view: &SiteView) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let site = Site {
        site: params.site_id.as_str(),
        name: &params.site_name,
        number: &params.site_number,
        address: &params.site_address,
        instance: &params.instance,
        version: &params.version,
        generation: view.generation,
        fire: view.fire.is_some_and(|fire| fire.alarm),
        lockdown: view.lockdowns.iter().any(|l| l.active && l.group.is_none()),
        lockdown_groups: view
            .lockdowns
            .iter()
            .filter(|l| l.active)
            .filter_map(|l| l.group.as_ref())
            .map(DoorGroupId::as_str)
            .collect(),
        faults: view
            .faults
            .iter()
            .map(|f| Fault {
                part: &f.part,
                text: &f.text,
            })
            .collect(),
    };
    all.insert(topics.state(), text(&site));
    for door in &view.doors {
        let state = Door {
            name: &door.name,
            lock: door.lock.word(),
            lockdown: door.lockdown,
            contact: door.contact.word(),
            available: door.available,
            forced: door.forced,
            held_open: door.held_open,
            hold: door.hold.map(|hold| match (hold.schedule, hold.until.is_some()) {
                (true, true) => "both",
                (true, false) => "schedule",
                (false, _) => "command",
            }),
            pulse: door.pulse_until.is_some(),
            owned: door.owned,
            simulated: door.simulated,
            tamper: door.tamper,
        };
        all.insert(topics.of("door", &door.id, "state"), text(&state));
        let word = if door.available { ONLINE } else { OFFLINE };
        all.insert(topics.of("door", &door.id, "availability"), word.to_owned());
    }
    for panel in &view.panels {
        let line = view.lines.iter().find(|line| line.id == panel.line);
        let state = Panel {
            name: &panel.name,
            line: panel.line.as_str(),
            line_state: line.map(|line| line.state.word()),
            ring_id: panel.ring.map(|ring| ring.to_string()),
            call: call(view, panel),
            doors: panel.doors.iter().map(|door| door.as_str()).collect(),
            buttons: panel
                .buttons
                .iter()
                .map(|(id, name)| (id.as_str(), name.as_str()))
                .collect(),
            quiet: panel.quiet.is_some(),
            ring_to_open: panel.ring_to_open.is_some(),
            ring_to_open_until: panel.ring_to_open.map(|opens| seconds(opens.date)),
            simulated: panel.simulated,
        };
        all.insert(topics.of("panel", &panel.id, "state"), text(&state));
    }
    for line in &view.lines {
        let state = Line {
            state: line.state.word(),
        };
        all.insert(topics.of("line", &line.id, "state"), text(&state));
    }
    for alarm in &view.alarms {
        let state = Alarm {
            name: &alarm.name,
            state: alarm.state.word(),
            raised: alarm.state.is_raised(),
            ring_id: alarm.ring.map(|ring| ring.to_string()),
        };
        all.insert(topics.of("alarm", &alarm.id, "state"), text(&state));
    }
    for relay in &view.relays {
        let state = Relay {
            active: relay.active,
            function: relay.function,
            text: &relay.text,
        };
        all.insert(topics.of("relay", &relay.id, "state"), text(&state));
    }
    for account in &view.accounts {
        let state = Account {
            state: account.state.word(),
            detail: &account.detail,
        };
        all.insert(topics.of("account", &account.id, "state"), text(&state));
    }
    all
}

/// A date to the second.
fn seconds(date: Timestamp) -> String {
    Timestamp::from_second(date.as_second())
        .unwrap_or(date)
        .to_string()
}

/// What a panel's call does.
fn call(view: &SiteView, panel: &PanelView) -> &'static str {
    let ours = |call: &&gateway_core::CallView| call.panel.as_ref() == Some(&panel.id);
    match view.calls.iter().find(ours) {
        Some(call) => call.state,
        None if panel.ring.is_some() => "ringing",
        None => CALL_STATES[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{params, view};

    #[test]
    fn the_exact_text_of_a_card() {
        assert_eq!(tag("00ff"), r#"{"tag":"00ff"}"#);
    }

    #[test]
    fn the_exact_texts_of_the_states() {
        let topics = Topics::new("doorline", "lilas");
        let all = states(&params(1883), &topics, &view());
        let expected = [
            (
                "doorline/lilas/account/pbx/state",
                r#"{"state":"failed","detail":"403 Forbidden"}"#,
            ),
            (
                "doorline/lilas/alarm/intrusion/state",
                r#"{"name":"Warehouse","state":"waiting","raised":true,"ring_id":"00000000-0001-7000-8000-000000000000"}"#,
            ),
            ("doorline/lilas/door/front/availability", "online"),
            (
                "doorline/lilas/door/front/state",
                r#"{"name":"Main entrance","lock":"locked","lockdown":false,"contact":"closed","available":true,"forced":false,"held_open":false,"hold":null,"pulse":false,"owned":true,"simulated":true,"tamper":false}"#,
            ),
            ("doorline/lilas/door/yard/availability", "offline"),
            (
                "doorline/lilas/door/yard/state",
                r#"{"name":"Yard","lock":"unknown","lockdown":true,"contact":"unknown","available":false,"forced":false,"held_open":false,"hold":"schedule","pulse":false,"owned":false,"simulated":false,"tamper":null}"#,
            ),
            ("doorline/lilas/line/riser/state", r#"{"state":"idle"}"#),
            (
                "doorline/lilas/panel/main/state",
                r#"{"name":"Street","line":"riser","line_state":"idle","ring_id":null,"call":"idle","doors":["front"],"buttons":{"bell":"Bell"},"quiet":false,"ring_to_open":true,"ring_to_open_until":"2026-03-01T12:00:00Z","simulated":true}"#,
            ),
            (
                "doorline/lilas/relay/network/state",
                r#"{"active":true,"function":"network-fault","text":"no address"}"#,
            ),
            (
                "doorline/lilas/relay/siren/state",
                r#"{"active":false,"function":"command","text":""}"#,
            ),
            (
                "doorline/lilas/state",
                r#"{"site":"lilas","name":"12 rue des Lilas","number":"041234567","address":"12 rue des Lilas, 38000 Grenoble","instance":"00112233445566778899aabbccddeeff","version":"0.1.0","generation":3,"fire":true,"lockdown":false,"lockdown_groups":["street"],"faults":[{"part":"account:pbx","text":"403 Forbidden"}]}"#,
            ),
        ];
        let found: Vec<_> = all.iter().map(|(t, p)| (t.as_str(), p.as_str())).collect();
        assert_eq!(found, expected);
    }
}
