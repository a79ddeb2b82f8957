//! A real Home Assistant and a real broker: the site appears by itself, its bell fires automations once per ring, its
//! lock opens and is seen to relock, and it tells the truth after restarts in any order.

mod entities;
mod gone;
mod orders;

use std::net::UdpSocket;
use std::time::Instant;

use anyhow::ensure;
use peers::{BrokerParams, Edition, Gateway, HomeAssistant, Listener, Mosquitto, Rig, Site, run, until};
use serde_json::{Value, json};

use crate::secs;

/// Longest wait for Home Assistant to show something: its own connection to the broker may pause meanwhile.
const SOON: u64 = 90;
const LOCK: &str = "lock.doorline_test_door_front_lock";
const BELL: &str = "event.doorline_test_door_front_ring_main";
const CONNECTION: &str = "binary_sensor.doorline_test_connection";
const CALL: &str = "sensor.doorline_test_door_front_call_main";
const CONTACT: &str = "binary_sensor.doorline_test_door_front_contact";

#[test]
fn home_assistant_shows_the_site_rings_once_opens_and_tells_the_truth_after_restarts() {
    run(|rig| whole_site(rig, Edition::Devices));
}

#[test]
#[ignore = "long: a second Home Assistant; tests/run --full"]
fn a_home_assistant_from_before_devices_shows_the_site_by_its_entities() {
    run(|rig| whole_site(rig, Edition::Entities));
}

#[test]
#[ignore = "long: a Home Assistant starts eleven times; tests/run --full"]
fn whoever_ends_and_in_whatever_order_they_come_back_the_truth_is_shown_and_nothing_opens() {
    run(|rig| {
        // takes every INVITE and answers none: the call lasts until somebody hangs up
        let silent = UdpSocket::bind("127.0.0.1:0")?;
        let site = Site {
            targets: vec![format!("sip:101@{}", silent.local_addr()?)],
            mqtt: true,
            ..Site::default()
        };
        let text = site.text(rig).replace("strike-ms = 3000", "strike-ms = 8000");
        let broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let gateway = Gateway::start(rig, &text.replace("ring-s = 20", "ring-s = 60"))?;
        let hub = HomeAssistant::start(rig, Edition::Devices)?;
        let presses = 0;
        let mut stage = Stage {
            broker,
            gateway,
            hub,
            listener,
            presses,
            rig,
        };
        stage.truth("at first")?;
        automations(&stage)?;
        stage.rings()?;
        stage.every_order()
    });
}

/// Everything that runs.
struct Stage<'a> {
    broker: Mosquitto,
    gateway: Gateway,
    hub: HomeAssistant,
    listener: Listener,
    /// Presses of the bell.
    presses: usize,
    rig: &'a Rig,
}

impl Stage<'_> {
    /// How often an automation has fired.
    fn fired(&self, topic: &str) -> usize {
        self.listener.all().iter().filter(|m| m.topic == topic).count()
    }

    /// Presses the bell: each automation fires once.
    fn rings(&mut self) -> anyhow::Result<()> {
        self.leads_to("panel.ring", |stage| stage.gateway.ring())?;
        self.heard()
    }

    /// Does something until the journal has the record that should follow. A machine that is busy enough to make the
    /// gateway or its guard stand still has what came meanwhile refused, rightly; then it is asked again.
    fn leads_to(&self, kind: &str, ask: impl Fn(&Self) -> anyhow::Result<()>) -> anyhow::Result<Value> {
        let refusals = ["command.refused", "door.lock-fault", "panel.press-ignored"];
        for _ in 0..5 {
            let before = self.gateway.last_seq();
            ask(self)?;
            let (done, record) = until(secs(30), &format!("{kind} or a refusal"), || {
                let events = self.gateway.events()?;
                let after = || events.iter().filter(|e| e["seq"].as_u64() > Some(before));
                if let Some(done) = after().find(|e| e["kind"] == kind) {
                    return Ok(Some((true, done.clone())));
                }
                let refused = after().find(|e| refusals.iter().any(|kind| e["kind"] == *kind));
                Ok(refused.map(|e| (false, e.clone())))
            })?;
            if done {
                return Ok(record);
            }
            self.rig
                .measured("refused on a busy machine, asked again", record);
        }
        anyhow::bail!("{kind} was refused five times")
    }

    /// After a press: each automation fires once, and the call is ended from there.
    fn heard(&mut self) -> anyhow::Result<()> {
        self.presses += 1;
        let due = self.presses;
        until(secs(SOON), "both automations of the bell", || {
            let both = self.fired("fired/state") >= due && self.fired("fired/device") >= due;
            Ok(both.then_some(()))
        })?;
        self.hub.shows(CALL, "ringing", secs(SOON))?;
        let hang_up = "button.doorline_test_door_front_hang_up_main";
        let ended = self.leads_to("panel.ring-ended", |stage| {
            stage.hub.call("button/press", hang_up)
        })?;
        ensure!(ended["outcome"] == "cancelled", "{ended}");
        self.hub.shows(CALL, "idle", secs(SOON))?;
        self.counts()
    }

    /// Neither a restart nor anything else has fired an automation or opened the door.
    fn counts(&mut self) -> anyhow::Result<()> {
        for topic in ["fired/state", "fired/device"] {
            let fired = self.fired(topic);
            ensure!(
                fired == self.presses,
                "{topic}: {fired} for {} presses",
                self.presses
            );
        }
        self.gateway.stays_at_rest(secs(0))
    }

    /// Home Assistant shows what is: the door is locked, can be opened, and its contact is shut.
    fn truth(&mut self, when: &str) -> anyhow::Result<()> {
        let shown = || {
            self.hub.shows(LOCK, "locked", secs(SOON))?;
            self.hub.shows(CONTACT, "off", secs(SOON))?;
            self.hub.shows(CONNECTION, "on", secs(SOON))
        };
        shown().map_err(|e| e.context(when.to_owned()))?;
        self.counts().map_err(|e| e.context(when.to_owned()))
    }

    /// Opens over Home Assistant and sees the door relock there.
    fn opens(&mut self, service: &str, entity: &str) -> anyhow::Result<()> {
        self.leads_to("door.unlocked", |stage| stage.hub.call(service, entity))?;
        self.gateway.energised(secs(20))?;
        self.hub.shows(LOCK, "unlocked", secs(SOON))?;
        self.gateway.released(secs(20))?;
        self.hub.shows(LOCK, "locked", secs(SOON))
    }
}

fn whole_site(rig: &Rig, edition: Edition) -> anyhow::Result<()> {
    let on_disk = BrokerParams {
        persistent: true,
        ..BrokerParams::default()
    };
    let broker = Mosquitto::start_with(rig, &on_disk)?;
    let listener = Listener::start(rig)?;
    // takes every INVITE and answers none: the call lasts until somebody hangs up
    let silent = UdpSocket::bind("127.0.0.1:0")?;
    let mut site = Site {
        targets: vec![format!("sip:101@{}", silent.local_addr()?)],
        mqtt: true,
        mqtt_keys: format!(
            "discovery-format = {:?}\npress = true\ndiscovery-people = true\ndiscovery-tags = true\ndiscovery-pictures = true\n",
            edition.format()
        ),
        ..Site::default()
    };
    // slow enough to be seen through the polls of a busy machine
    let text = |site: &Site<'_>| {
        let text = site.text(rig).replace("strike-ms = 3000", "strike-ms = 8000");
        entities::site(&text.replace("ring-s = 20", "ring-s = 60"))
    };
    let gateway = Gateway::start(rig, &text(&site))?;
    let hub = HomeAssistant::start(rig, edition)?;
    let mut stage = Stage {
        broker,
        gateway,
        hub,
        listener,
        presses: 0,
        rig,
    };
    stage.truth("at first")?;
    all_there(&stage)?;
    automations(&stage)?;
    stage.rings()?;
    stage.rings()?;

    stage.opens("lock/unlock", LOCK)?;
    stage.opens("button/press", "button.doorline_test_door_front_open")?;
    // locking does nothing but an answer that says so
    stage.hub.call("lock/lock", LOCK)?;
    stage.listener.hears("the answer to locking", secs(20), |m| {
        m.topic == "doorline/test/response"
            && m.payload["error"]
                .as_str()
                .is_some_and(|e| e.contains("locks by itself"))
    })?;
    stage.counts()?;
    // the bell can be pressed from there, since this panel is virtual
    let press = "button.doorline_test_door_front_press_main_bell";
    stage.leads_to("panel.ring", |stage| stage.hub.call("button/press", press))?;
    stage.heard()?;
    stage.calls_without_a_ring(&silent)?;
    stage.entities(edition == Edition::Devices)?;

    // what is left after restarts is what the broker keeps, in either form: once is enough
    if edition == Edition::Devices {
        restarts(&mut stage)?;
        stage.presence_of_the_dead()?;
        stage.doors_that_went(&text(&site))?;
        stage.rings()?;
        stage.opens("lock/unlock", LOCK)?;
        stage.gateway.reload(&text(&site))?;
    }
    stage.door_that_went_unseen(&text(&site), edition)?;
    stage.controls_of_who_cannot_sign(&text(&site))?;

    // a door that is renamed while the gateway is down leaves nothing behind
    stage.gateway.stop()?;
    site.mqtt_keys += "base = \"house\"\n";
    let renamed = text(&site)
        .replace("front\"]", "side\"]")
        .replace("[doors.front]", "[doors.side]");
    stage.gateway.again_with(rig, &renamed)?;
    stage
        .hub
        .shows("lock.house_test_door_side_lock", "locked", secs(SOON))?;
    until(secs(SOON), "the old door to go", || {
        Ok(stage.hub.entities("doorline_test")?.is_empty().then_some(()))
    })?;
    stage.gateway.stays_at_rest(secs(1))?;
    // what its entities listened to goes after them
    let mut left = Vec::new();
    let gone = until(secs(30), "what was kept to go", || {
        let after = Listener::start(rig)?;
        after.hears("the new door", secs(20), |m| {
            m.topic == "house/test/door/side/state"
        })?;
        left = after.all();
        left.retain(|m| {
            m.retained && (m.topic.starts_with("doorline/") || m.topic.contains("doorline_test"))
        });
        Ok(left.is_empty().then_some(()))
    });
    gone.map_err(|e| e.context(format!("left behind: {left:?}")))?;
    let complaints = stage.hub.complaints();
    ensure!(
        !complaints
            .iter()
            .any(|line| line.contains("ERROR") || line.contains("rror occurred")),
        "{complaints:#?}"
    );
    for line in &complaints {
        rig.measured("Home Assistant complains", line);
    }
    Ok(())
}

/// Entities in states that are true; some are off until somebody wants them.
fn all_there(stage: &Stage<'_>) -> anyhow::Result<()> {
    let due = [
        ("button.doorline_test_door_front_hang_up_main", "unknown"),
        ("button.doorline_test_door_front_make_call_main_bell", "unknown"),
        ("button.doorline_test_door_front_open", "unknown"),
        ("button.doorline_test_door_front_press_main_bell", "unknown"),
        ("switch.doorline_test_door_front_quiet_main", "off"),
        ("binary_sensor.doorline_test_door_front_problem", "off"),
        ("binary_sensor.doorline_test_problem", "off"),
        ("event.doorline_test_door_front_activity", "unknown"),
        (BELL, "unknown"),
        (CALL, "idle"),
    ];
    for (entity, state) in due.into_iter().chain(entities::DUE) {
        stage.hub.shows(entity, state, secs(SOON))?;
    }
    let all = stage.hub.entities("doorline_test")?;
    ensure!(
        !all.iter().any(|(id, _)| id.contains("person")),
        "an entity that should be off is on: {all:?}"
    );
    ensure!(all.len() == due.len() + entities::DUE.len() + 3, "{all:#?}");
    let device = stage
        .hub
        .template(&format!("{{{{ device_attr('{LOCK}', 'name') }}}}"))?;
    ensure!(device == "Main entrance", "the door's device is called {device}");
    Ok(())
}

/// Two automations of the bell: one by its entity, one by its device.
fn automations(stage: &Stage<'_>) -> anyhow::Result<()> {
    let device = stage.hub.template(&format!("{{{{ device_id('{LOCK}') }}}}"))?;
    let by_entity = json!({
        "platform": "state", "entity_id": BELL,
        "not_from": ["unavailable"], "not_to": ["unavailable", "unknown"],
    });
    stage.hub.automation("by_entity", &by_entity, "fired/state")?;
    let by_device = json!({
        "platform": "device", "domain": "mqtt", "device_id": device, "type": "ring", "subtype": "bell",
        "discovery_id": "doorline_test_door_front trigger_ring_main_bell",
    });
    stage.hub.automation("by_device", &by_device, "fired/device")
}

/// Broker, gateway and Home Assistant end and come back in several orders; in between nothing is shown that is not so.
fn restarts(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let rig = stage.rig;
    let births = stage.births();
    stage.broker.kill();
    stage.hub.shows(LOCK, "unavailable", secs(SOON))?;
    stage.broker.again(rig)?;
    stage.truth("after the broker")?;
    // whoever dies before that is not known to have been there
    stage.born(births)?;
    stage.truth("after the birth that follows")?;

    stage.gateway.process().kill();
    stage.hub.shows(LOCK, "unavailable", secs(SOON))?;
    stage.hub.shows(CONNECTION, "off", secs(SOON))?;
    // asked for while nobody is there: it must not be done later
    stage.hub.call("lock/unlock", LOCK)?;
    stage.gateway.again(rig)?;
    stage.truth("after the gateway")?;

    // the gateway is there all the time, and says so once it hears of it
    stage.hub.kill();
    stage.hub.again(rig)?;
    let runs = Instant::now();
    stage.truth("after Home Assistant")?;
    rig.measured(
        "a running Home Assistant to the truth",
        format!("{:?}", runs.elapsed()),
    );

    stage.gateway.process().kill();
    stage.hub.kill();
    stage.hub.again(rig)?;
    stage.hub.shows(LOCK, "unavailable", secs(SOON))?;
    stage.gateway.again(rig)?;
    stage.truth("after gateway and Home Assistant, the gateway last")?;

    stage.broker.kill();
    stage.gateway.process().kill();
    stage.hub.kill();
    stage.gateway.again(rig)?;
    stage.hub.launch(rig)?;
    stage.broker.again(rig)?;
    stage.hub.runs()?;
    stage.truth("after all three, the broker last")
}
