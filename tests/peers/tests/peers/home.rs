//! The house of `config/examples/scenarios/home`: the bell goes through Home Assistant to a telephone, whose button opens
//! for this visitor and for nobody who comes later.

use anyhow::{Context, bail, ensure};
use peers::{Edition, Gateway, HomeAssistant, Listener, Mosquitto, Scenario, run};
use serde_json::json;

use crate::secs;

/// Longest wait for Home Assistant.
const SOON: u64 = 60;

/// In place of the app of a telephone: what is pushed to it goes to a topic.
const PHONE: &str = "script:\n  phone:\n    mode: queued\n    sequence:\n      - service: mqtt.publish\n        data: \
                     {topic: phone/push, payload: \"{{ data | to_json }}\"}\n";

/// Waits until Home Assistant hears the panel: its subscription comes a moment after its start.
fn hears_the_panel(listener: &Listener) -> anyhow::Result<()> {
    let ring = json!({ "event_type": "ring", "ring_id": "a trial" });
    for _ in 0..SOON {
        listener.send("doorline/home/panel/street/event", &ring, false)?;
        let pushed = listener.hears("the push", secs(1), |m| {
            m.topic == "phone/push" && m.payload["tag"] == "a trial"
        });
        if pushed.is_ok() {
            return Ok(());
        }
    }
    bail!("Home Assistant does not hear the panel")
}

/// Somebody rings: the id of the ring, and what the telephone's button would send.
fn rings(gateway: &Gateway, listener: &Listener) -> anyhow::Result<(String, String)> {
    let before = gateway.last_seq();
    gateway.sim(&["press", "street", "bell"])?;
    let ring = gateway.event(before, "panel.ring", secs(10), |_| true)?;
    let ring = ring["ring_id"].as_str().context("a ring has an id")?.to_owned();
    let pushed = listener.hears("the push", secs(SOON), |m| {
        m.topic == "phone/push" && m.payload["tag"] == ring.as_str()
    })?;
    let button = pushed.payload["actions"][0]["action"].as_str();
    Ok((ring, button.context("the push has a button")?.to_owned()))
}

#[test]
fn the_bell_is_pushed_and_its_button_opens_for_this_visitor_and_is_dead_afterwards() {
    run(|rig| {
        let home = Scenario::named("home");
        let _broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let automations = home.file("home-assistant.yaml")?;
        let ours = automations.replace("notify.mobile_app_phone", "script.phone");
        ensure!(ours != automations, "the scenario notifies something else");
        let hub = HomeAssistant::start_with(rig, Edition::Devices, PHONE, &ours)?;
        // nobody is in the hall; and a test has no two minutes
        let changes = [
            ("visitor-s = 120", "visitor-s = 15"),
            ("to = \"620\"", "to = \"sip:620@127.0.0.1:9\""),
        ];
        let mut gateway = Gateway::start(rig, &home.site(rig, &changes)?)?;
        listener.hears("the gateway's presence", secs(30), |m| {
            m.topic == "doorline/home/availability" && m.payload == "online"
        })?;
        let press = |button: &str| hub.fire("mobile_app_notification_action", &json!({ "action": button }));

        hears_the_panel(&listener)?;
        let (ring, button) = rings(&gateway, &listener)?;
        press(&button)?;
        gateway.energised(secs(SOON))?;
        let granted = gateway.event(0, "door.granted", secs(5), |_| true)?;
        ensure!(
            granted["factor"] == "mqtt" && granted["ring_id"] == ring.as_str(),
            "{granted}"
        );
        gateway.released(secs(10))?;

        // long after the visitor has gone
        gateway.stays_at_rest(secs(16))?;
        press(&button)?;
        let late = listener.hears("the answer", secs(SOON), |m| {
            m.topic == "doorline/home/response" && m.payload["reason"] == "stale"
        })?;
        let why = late.payload["error"].as_str().unwrap_or_default();
        ensure!(why.contains("15 s"), "{late:?}");
        gateway.event(0, "command.refused", secs(10), |e| e["verb"] == "open")?;

        // the next visitor has a button of their own, and a button of nobody's ring opens nothing
        let (_, next) = rings(&gateway, &listener)?;
        ensure!(next != button, "two visitors have one button");
        press("DOORLINE 01990000-0000-7707-8707-070707070707")?;
        listener.hears("the answer", secs(SOON), |m| {
            m.topic == "doorline/home/response" && m.payload["reason"] == "unknown"
        })?;
        gateway.stays_at_rest(secs(0))?;
        press(&next)?;
        gateway.energised(secs(SOON))?;
        gateway.released(secs(10))?;
        ensure!(gateway.pulses() == 2, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}
