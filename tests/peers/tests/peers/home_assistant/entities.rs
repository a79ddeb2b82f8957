//! What of the site is more than a lock and a bell: fire, lockdowns, the door's mode, ring-to-open, cards, pictures, versions.

use std::net::UdpSocket;

use anyhow::ensure;
use peers::until;
use serde_json::json;

use super::{CALL, LOCK, SOON, Stage};
use crate::secs;

const FIRE: &str = "binary_sensor.doorline_test_fire";
const IMAGE: &str = "image.doorline_test_door_front_picture_main";
const LOCKDOWN: &str = "switch.doorline_test_lockdown";
const MODE: &str = "select.doorline_test_door_front_mode";
const RINGS: &str = "switch.doorline_test_door_front_ring_to_open_main";
const STREET: &str = "switch.doorline_test_lockdown_street";
const VERSION: &str = "update.doorline_test_update";

/// What is there from the begin, and how.
pub(super) const DUE: [(&str, &str); 8] = [
    (FIRE, "off"),
    (IMAGE, "unknown"),
    (LOCKDOWN, "off"),
    (MODE, "Normal"),
    (RINGS, "off"),
    (STREET, "off"),
    (VERSION, "off"),
    ("button.doorline_test_reset_fire", "unknown"),
];

/// The site file with what they need. Who rings is let in for a minute.
pub(super) fn site(text: &str) -> String {
    text.replace("[site]\n", "[site]\nfire-input = \"fire\"\n")
        .replace("max-on-ms = 10000", "max-on-ms = 600000")
        .replace(
            "[inputs.front-bell.virtual]",
            "[inputs.fire.virtual]\n[inputs.front-bell.virtual]",
        )
        .replace("[panels.main]\n", "[panels.main]\nring-to-open-limit-s = 60\n")
        .replace(
            "strike-ms = ",
            "duty = \"continuous\"\nhold-open-limit-s = 600\nstrike-ms = ",
        )
        + "[door-groups.street]\nname = \"Street side\"\ndoors = [\"front\"]\n"
}

impl Stage<'_> {
    /// Everything in its turn; switches only where Home Assistant can give them a template.
    pub(super) fn entities(&mut self, switches: bool) -> anyhow::Result<()> {
        self.fire()?;
        self.modes()?;
        self.cards()?;
        self.told_by_others()?;
        if switches {
            self.lockdowns()?;
            self.visitors()?;
        }
        self.counts()
    }

    /// The button has somebody called although nobody rings: no automation of the bell fires, and nothing opens.
    pub(super) fn calls_without_a_ring(&mut self, phone: &UdpSocket) -> anyhow::Result<()> {
        phone.set_nonblocking(true)?;
        let mut datagram = [0; 2048];
        // what came before
        while phone.recv(&mut datagram).is_ok() {}
        let before = self.gateway.last_seq();
        let make_call = "button.doorline_test_door_front_make_call_main_bell";
        let asked = self.leads_to("call.asked", |stage| stage.hub.call("button/press", make_call))?;
        ensure!(asked["subject"] == "integration:mqtt", "{asked}");
        until(secs(10), "an INVITE", || {
            let size = phone.recv(&mut datagram).unwrap_or_default();
            Ok(datagram[..size].starts_with(b"INVITE sip:101@").then_some(()))
        })?;
        self.hub.shows(CALL, "ringing", secs(SOON))?;
        let hang_up = "button.doorline_test_door_front_hang_up_main";
        self.leads_to("call.ended", |stage| stage.hub.call("button/press", hang_up))?;
        self.hub.shows(CALL, "idle", secs(SOON))?;
        let events = self.gateway.events()?;
        let since = events.iter().filter(|e| e["seq"].as_u64() > Some(before));
        let kinds: Vec<_> = since.filter_map(|e| e["kind"].as_str()).collect();
        ensure!(
            !kinds
                .iter()
                .any(|kind| kind.starts_with("panel.") || kind.starts_with("door.")),
            "{kinds:?}"
        );
        self.counts()
    }

    fn fire(&mut self) -> anyhow::Result<()> {
        self.gateway.sim(&["fire", "fire", "on"])?;
        self.hub.shows(FIRE, "on", secs(SOON))?;
        self.gateway.energised(secs(20))?;
        self.hub.shows(LOCK, "unlocked", secs(SOON))?;
        self.gateway.sim(&["fire", "fire", "off"])?;
        // refused until the input has rested for a moment
        self.leads_to("gateway.fire-alarm", |stage| {
            stage.hub.call("button/press", "button.doorline_test_reset_fire")
        })?;
        self.hub.shows(FIRE, "off", secs(SOON))?;
        self.gateway.released(secs(20))?;
        self.hub.shows(LOCK, "locked", secs(SOON))
    }

    fn choose(&self, mode: &str) -> anyhow::Result<()> {
        let data = json!({ "entity_id": MODE, "option": mode });
        self.hub.call_with("select/select_option", &data)
    }

    /// The mode is chosen, and shown as it is.
    fn modes(&mut self) -> anyhow::Result<()> {
        self.leads_to("door.hold-began", |stage| stage.choose("Held open"))?;
        self.gateway.energised(secs(20))?;
        self.hub.shows(MODE, "Held open", secs(SOON))?;
        self.hub.shows(LOCK, "unlocked", secs(SOON))?;
        self.leads_to("door.hold-ended", |stage| stage.choose("Normal"))?;
        self.gateway.released(secs(20))?;
        self.hub.shows(MODE, "Normal", secs(SOON))?;
        self.leads_to("gateway.lockdown", |stage| stage.choose("Lockdown"))?;
        self.hub.shows(MODE, "Lockdown", secs(SOON))?;
        self.hub.shows(STREET, "on", secs(SOON))?;
        self.leads_to("gateway.lockdown", |stage| stage.choose("Normal"))?;
        self.hub.shows(MODE, "Normal", secs(SOON))?;
        self.hub.shows(STREET, "off", secs(SOON))
    }

    fn lockdowns(&mut self) -> anyhow::Result<()> {
        self.leads_to("gateway.lockdown", |stage| {
            stage.hub.call("switch/turn_on", LOCKDOWN)
        })?;
        self.hub.shows(LOCKDOWN, "on", secs(SOON))?;
        self.hub.shows(STREET, "off", secs(SOON))?;
        self.hub.shows(MODE, "Lockdown", secs(SOON))?;
        self.hub.shows(LOCK, "unavailable", secs(SOON))?;
        self.leads_to("gateway.lockdown", |stage| {
            stage.hub.call("switch/turn_off", LOCKDOWN)
        })?;
        self.hub.shows(LOCKDOWN, "off", secs(SOON))?;
        self.hub.shows(LOCK, "locked", secs(SOON))
    }

    /// A card fires an automation, by the same name each time, and nothing on the way has its number.
    fn cards(&mut self) -> anyhow::Result<()> {
        let scanned = json!({ "platform": "event", "event_type": "tag_scanned" });
        self.hub.automation("by_tag", &scanned, "fired/tag")?;
        let mut names = Vec::new();
        for n in 1..=2 {
            self.leads_to("door.unlocked", |stage| stage.gateway.card())?;
            self.gateway.energised(secs(20))?;
            until(secs(SOON), "the automation of the card", || {
                Ok((self.fired("fired/tag") >= n).then_some(()))
            })?;
            self.gateway.released(secs(20))?;
            let told = self.listener.all().into_iter();
            let told = told.filter(|m| m.topic == "doorline/test/reader/front-reader/tag");
            names = told.map(|m| (m.retained, m.payload["tag"].to_string())).collect();
        }
        ensure!(
            names.len() >= 2 && names.iter().all(|name| *name == names[0]),
            "{names:?}"
        );
        let (retained, name) = &names[0];
        let hidden = name.len() == 34 && !name.contains("4567");
        ensure!(!retained && hidden, "{names:?}");
        self.hub.shows(LOCK, "locked", secs(SOON))
    }

    /// A camera keeps a picture, and an operator announces a version.
    fn told_by_others(&self) -> anyhow::Result<()> {
        let jpeg = [
            0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, b'J', b'F', b'I', b'F', 0x00, 0xff, 0xd9,
        ];
        self.listener
            .send_bytes("doorline/test/panel/main/picture", jpeg, true)?;
        until(secs(SOON), "the picture", || {
            let state = self.hub.state(IMAGE);
            Ok(state.is_some_and(|state| state.starts_with("20")).then_some(()))
        })?;
        self.listener
            .send_bytes("doorline/test/update/latest", "v99.0.0", true)?;
        self.hub.shows(VERSION, "on", secs(SOON))?;
        let latest = format!("{{{{ state_attr('{VERSION}', 'latest_version') }}}}");
        let latest = self.hub.template(&latest)?;
        ensure!(latest == "99.0.0", "the latest version is {latest}");
        Ok(())
    }

    /// Who rings is let in while the switch is on, and nobody is once it has gone off by itself.
    fn visitors(&mut self) -> anyhow::Result<()> {
        self.leads_to("panel.ring-to-open-began", |stage| {
            stage.hub.call("switch/turn_on", RINGS)
        })?;
        self.hub.shows(RINGS, "on", secs(SOON))?;
        let granted = self.leads_to("door.granted", |stage| stage.gateway.ring())?;
        ensure!(granted["factor"] == "button", "{granted}");
        self.gateway.energised(secs(20))?;
        self.gateway.released(secs(20))?;
        self.presses += 1;
        let due = self.presses;
        until(secs(SOON), "the automations of a bell that opened", || {
            let both = self.fired("fired/state") >= due && self.fired("fired/device") >= due;
            Ok(both.then_some(()))
        })?;
        self.hub.shows(RINGS, "off", secs(60 + SOON))?;
        let ended = self
            .gateway
            .event(0, "panel.ring-to-open-ended", secs(10), |_| true)?;
        ensure!(ended["why"] == "time", "{ended}");
        let pulses = self.gateway.pulses();
        self.rings()?;
        ensure!(self.gateway.pulses() == pulses, "a bell opened after the end");
        // and off by hand
        self.leads_to("panel.ring-to-open-began", |stage| {
            stage.hub.call("switch/turn_on", RINGS)
        })?;
        self.hub.shows(RINGS, "on", secs(SOON))?;
        self.leads_to("panel.ring-to-open-ended", |stage| {
            stage.hub.call("switch/turn_off", RINGS)
        })?;
        self.hub.shows(RINGS, "off", secs(SOON))?;
        self.rings()?;
        ensure!(self.gateway.pulses() == pulses, "a bell opened after the end");
        Ok(())
    }
}
