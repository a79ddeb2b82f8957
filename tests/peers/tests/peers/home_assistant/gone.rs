//! What outlives a gateway and must not be believed: its presence on the disk of a broker, and doors that are no more.

use std::time::Instant;

use anyhow::ensure;
use peers::{Edition, Listener, until};
use serde_json::json;

use super::{LOCK, SOON, Stage};
use crate::secs;

const AVAILABILITY: &str = "doorline/test/availability";
const ALIVE: &str = "doorline/test/alive";
/// Home Assistant says here that it is connected, once it has subscribed.
const BIRTH: &str = "homeassistant/status";
/// Doors that come and go, beside the one of the site.
const YARD: &str = "[outputs.yard-strike]\nmax-on-ms = 10000\n[outputs.yard-strike.virtual]\n\
                    [doors.yard]\nname = \"Yard\"\noutput = \"yard-strike\"\n";
/// A relay that comes and goes: a part of the site's device, which stays.
const LAMP: &str = "[outputs.lamp-relay]\nmax-on-ms = 10000\n[outputs.lamp-relay.virtual]\n[relays.lamp]\n\
                    output = \"lamp-relay\"\n[relays.lamp.command]\nlongest-s = 5\n";

/// A second panel at the door, which stays without it.
const SIDE: &str = "[inputs.side-bell.virtual]\n[lines.side.virtual]\n[panels.side]\nname = \"Side\"\nline = \"side\"\n\
                    doors = [\"front\"]\n[panels.side.buttons.bell]\nname = \"Bell\"\ninput = \"side-bell\"\n\
                    call = \"people\"\n";
/// Parts of what goes from devices that stay, by their ids.
const PARTS: [&str; 6] = [
    "relay_lamp",
    "ring_side",
    "test_fire",
    "reset_fire",
    "lockdown_street",
    "picture_main",
];

/// The site without its fire input, its group of doors and one of its options.
fn less(text: &str) -> String {
    let less = text
        .replace("fire-input = \"fire\"\n", "")
        .replace("discovery-pictures = true\n", "");
    let (before, group) = less.split_once("[door-groups.street]").unwrap_or((&less, ""));
    let after = group.split_once("\n[").map_or("", |(_, after)| after);
    if after.is_empty() {
        before.to_owned()
    } else {
        format!("{before}[{after}")
    }
}

impl Stage<'_> {
    /// How often Home Assistant has said that it is connected and subscribed.
    pub(super) fn births(&self) -> usize {
        let is_birth = |m: &&peers::Message| m.topic == BIRTH && m.payload == "online" && !m.retained;
        self.listener.all().iter().filter(is_birth).count()
    }

    /// Waits until it has said so more often than that.
    pub(super) fn born(&self, births: usize) -> anyhow::Result<()> {
        until(secs(SOON), "Home Assistant to be back at the broker", || {
            Ok((self.births() > births).then_some(()))
        })
    }

    /// Broker and gateway are killed at once, and the broker alone comes back: with what it had on its disk, where the gateway
    /// is online still, and then without. Nobody is left to speak a last will.
    pub(super) fn presence_of_the_dead(&mut self) -> anyhow::Result<()> {
        for keeps in [true, false] {
            let births = self.births();
            self.broker.kill();
            self.gateway.process().kill();
            if !keeps {
                self.broker.erase(self.rig)?;
            }
            self.broker.again(self.rig)?;
            let fresh = Listener::start(self.rig)?;
            if keeps {
                fresh.hears("a presence that is no more", secs(10), |m| {
                    m.retained && m.topic == AVAILABILITY && m.payload == "online"
                })?;
                fresh.hears("that it is not to be believed", secs(10), |m| {
                    m.retained && m.topic == ALIVE && m.payload["alive"] == false
                })?;
            }
            // before that all of it is unavailable for want of a broker
            self.born(births)?;
            let back = Instant::now();
            let mut shown = Vec::new();
            let away = until(secs(10), "everything to be unavailable", || {
                shown = self.hub.entities("doorline_test")?;
                let away = |(_, state): &(String, String)| state == "unavailable";
                Ok((!shown.is_empty() && shown.iter().all(away)).then_some(()))
            });
            away.map_err(|e| e.context(format!("the broker keeps something: {keeps}; {shown:#?}")))?;
            self.rig.measured(
                "Home Assistant at the broker to the truth of a dead gateway",
                format!("{:?}", back.elapsed()),
            );
            // asked for while nobody is there: it must not be done later
            self.hub.call("lock/unlock", LOCK)?;
            let back = Instant::now();
            self.gateway.again(self.rig)?;
            self.truth("after broker and gateway, the broker first")?;
            self.rig.measured(
                "start of a gateway to the truth at Home Assistant",
                format!("{:?}", back.elapsed()),
            );
        }
        Ok(())
    }

    /// While the broker is away the gateway gets another file, in which one door has another name, and another door is
    /// another one. Home Assistant runs all the time; the gateway is back at the broker before it, or after it.
    pub(super) fn doors_that_went(&mut self, text: &str) -> anyhow::Result<()> {
        self.gateway.reload(&format!("{text}{YARD}"))?;
        let yard = "lock.doorline_test_door_yard_lock";
        self.hub.shows(yard, "locked", secs(SOON))?;
        let device = self.hub.template(&format!("{{{{ device_id('{yard}') }}}}"))?;
        let name_of = |device: &str| {
            self.hub
                .template(&format!("{{{{ device_attr('{device}', 'name') }}}}"))
        };
        ensure!(
            name_of(&device)? == "Yard",
            "the door's device is called otherwise"
        );

        self.broker.kill();
        self.gateway.stop()?;
        let court = YARD.replace("doors.yard", "doors.court").replace("Yard", "Court");
        let renamed = text.replace(
            "[doors.front]\nname = \"Main entrance\"",
            "[doors.front]\nname = \"Side entrance\"",
        );
        ensure!(renamed != text, "the site has another text");
        self.gateway.again_with(self.rig, &format!("{renamed}{court}"))?;
        self.broker.again(self.rig)?;
        self.truth("after the broker was away and doors went")?;
        self.hub
            .shows("lock.doorline_test_door_court_lock", "locked", secs(SOON))?;
        until(secs(SOON), "the door that went to leave nothing behind", || {
            let left = self.hub.entities("door_yard")?;
            // of a device that is no more nothing has a name
            let name = self
                .hub
                .template(&format!("{{{{ device_attr('{device}', 'name') }}}}"))?;
            Ok((left.is_empty() && name == "None").then_some(()))
        })?;
        until(secs(SOON), "the new name", || {
            let name = format!("{{{{ device_attr(device_id('{LOCK}'), 'name') }}}}");
            Ok((self.hub.template(&name)? == "Side entrance").then_some(()))
        })?;
        let after = Listener::start(self.rig)?;
        let doors = after.hears("which doors there are", secs(20), |m| {
            m.retained && m.topic == "doorline/test/doors"
        })?;
        let named: Vec<_> = doors.payload["doors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|d| d["name"].clone())
            .collect();
        ensure!(named == [json!("Court"), json!("Side entrance")], "{named:?}");
        after.hears("the new door", secs(20), |m| {
            m.topic == "doorline/test/door/court/state"
        })?;
        let left: Vec<_> = after
            .all()
            .into_iter()
            .filter(|m| m.topic.contains("yard"))
            .collect();
        ensure!(left.is_empty(), "left at the broker: {left:?}");
        Ok(())
    }

    /// A door goes while Home Assistant does not run, and from the devices that stay a relay, a panel, the fire input, a group of
    /// doors and an option: what it remembers of them goes when it is back, and comes back with the door, also in the moment in
    /// which it is being removed.
    pub(super) fn door_that_went_unseen(&mut self, text: &str, edition: Edition) -> anyhow::Result<()> {
        let yard = "lock.doorline_test_door_yard_lock";
        let with_yard = format!("{text}{YARD}{LAMP}{SIDE}");
        let less = less(text);
        ensure!(
            !less.contains("fire-input") && !less.contains("door-groups") && !less.contains("pictures"),
            "{less}"
        );
        // nothing of before
        self.hub.registers("door_yard", false)?;
        self.gateway.reload(&with_yard)?;
        self.hub.shows(yard, "locked", secs(SOON))?;
        self.hub.registers("door_yard", true)?;
        let lamp = until(secs(SOON), "the relay", || {
            Ok(self.hub.entities("relay_lamp")?.pop())
        })?
        .0;
        for part in PARTS {
            self.hub.registers(part, true)?;
        }
        let site = self.hub.template(&format!("{{{{ device_id('{lamp}') }}}}"))?;
        let site_name = format!("{{{{ device_attr('{site}', 'name') }}}}");
        let called = self.hub.template(&site_name)?;
        ensure!(called != "None", "the registry has no device for {lamp}");
        self.hub.kill();
        self.gateway.reload(&less)?;
        let topic = match edition {
            Edition::Devices => "homeassistant/device/doorline_test_door_yard/config",
            Edition::Entities => "homeassistant/lock/doorline_test_door_yard/lock/config",
        };
        let told = |stage: &Self, what: &str, is_told: &dyn Fn(&serde_json::Value) -> bool, from: usize| {
            until(secs(SOON), what, || {
                let all = stage.listener.all();
                let mut since = all.iter().skip(from);
                Ok(since
                    .any(|m| m.topic == topic && is_told(&m.payload))
                    .then_some(()))
            })
        };
        let is_empty = |payload: &serde_json::Value| payload.is_null() || payload == "";
        told(self, "the door to be taken back", &is_empty, 0)?;
        let from = self.listener.all().len();
        self.hub.again(self.rig)?;
        ensure!(
            !self.hub.entities("door_yard")?.is_empty(),
            "Home Assistant remembers nothing of the door: this shows nothing"
        );
        let runs = Instant::now();
        let device = self.hub.template(&format!("{{{{ device_id('{yard}') }}}}"))?;
        ensure!(device != "None", "the registry has no device for {yard}");
        until(
            secs(SOON),
            "a door that went unseen to leave nothing behind",
            || {
                let left = self.hub.entities("door_yard")?;
                let name = self
                    .hub
                    .template(&format!("{{{{ device_attr('{device}', 'name') }}}}"))?;
                Ok((left.is_empty() && name == "None").then_some(()))
            },
        )?;
        self.rig.measured(
            "a running Home Assistant to the end of a door that went unseen",
            format!("{:?}", runs.elapsed()),
        );
        self.hub.registers("door_yard", false)?;
        for part in PARTS {
            until(secs(SOON), &format!("{part} that went unseen to go"), || {
                Ok(self.hub.entities(part)?.is_empty().then_some(()))
            })?;
            self.hub.registers(part, false)?;
        }
        self.hub.shows(LOCK, "locked", secs(SOON))?;
        let now_called = self.hub.template(&site_name)?;
        ensure!(now_called == called, "{called} is called {now_called}");
        told(self, "the end of what was announced once more", &is_empty, from)?;
        let kept = Listener::start(self.rig)?;
        kept.hears("what is kept", secs(20), |m| {
            m.retained && m.topic == AVAILABILITY && m.payload == "online"
        })?;
        let left: Vec<_> = kept
            .all()
            .into_iter()
            .filter(|m| m.topic.contains("yard"))
            .collect();
        ensure!(left.is_empty(), "left at the broker: {left:?}");

        // it comes back while another hub, as it were, is told of its end
        let from = self.listener.all().len();
        self.listener.send_bytes(BIRTH, "online", false)?;
        told(self, "the door once more", &|payload| !is_empty(payload), from)?;
        self.gateway.reload(&with_yard)?;
        self.hub.shows(yard, "locked", secs(SOON))?;
        // longer than it takes to be removed
        self.opens("lock/unlock", LOCK)?;
        self.opens("lock/unlock", LOCK)?;
        self.hub.shows(yard, "locked", secs(SOON))?;
        let all = self.listener.all();
        let mut since = all.iter().skip(from).filter(|m| m.topic == topic);
        ensure!(
            !since.any(|m| is_empty(&m.payload)),
            "a door that is back was cleared"
        );
        self.gateway.reload(text)?;
        until(secs(SOON), "the door to go", || {
            Ok(self.hub.entities("door_yard")?.is_empty().then_some(()))
        })
    }

    /// Home Assistant cannot sign: where only signed commands are taken it has no controls, and sees how things are; they come
    /// back with the others.
    pub(super) fn controls_of_who_cannot_sign(&mut self, text: &str) -> anyhow::Result<()> {
        let signed = text.replace("[mqtt]\n", "[mqtt]\ncommands = \"signed\"\n")
            + "[mqtt.keys.desk]\nsecret = \"0f7c2f3b9d1e4a58b6c70d2e\"\nscopes = [\"open\"]\n";
        ensure!(signed.contains("commands ="), "the site has another text");
        let lock = "binary_sensor.doorline_test_door_front_shows_lock";
        self.gateway.reload(&signed)?;
        self.hub.shows(lock, "off", secs(SOON))?;
        let mut left = Vec::new();
        let gone = until(secs(SOON), "all controls to go", || {
            left = self.hub.entities("doorline_test")?;
            left.retain(|(id, _)| {
                let controls = ["button.", "lock.", "select.", "switch."];
                controls.iter().any(|of| id.starts_with(of))
            });
            Ok(left.is_empty().then_some(()))
        });
        gone.map_err(|e| e.context(format!("{left:?}")))?;
        self.hub.shows(super::CONTACT, "off", secs(SOON))?;
        self.gateway.reload(text)?;
        self.hub.shows(LOCK, "locked", secs(SOON))?;
        until(secs(SOON), "what only showed to go", || {
            Ok(self.hub.entities("_shows_")?.is_empty().then_some(()))
        })
    }
}
