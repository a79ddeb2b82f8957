//! Commands over MQTT that must not open: kept, repeated, queued, old, early, foreign, unreadable, too large, too
//! many. Each is answered and on record, within bounds.

use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use peers::{BrokerParams, Gateway, Listener, Message, Mosquitto, Rig, Site, Trust, Use, run, until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::outside::wall_clock_at;
use crate::secs;

const DOOR: &str = "doorline/test/door/front/command";
const PANEL: &str = "doorline/test/panel/main/command";

fn open_at(id: &str, at: SystemTime) -> anyhow::Result<Value> {
    Ok(json!({ "command": "open", "id": id, "at": wall_clock_at(at)? }))
}

fn open(id: &str) -> anyhow::Result<Value> {
    open_at(id, SystemTime::now())
}

fn site(rig: &Rig) -> String {
    Site {
        targets: vec!["sip:101@127.0.0.1:9".into()],
        mqtt: true,
        ..Site::default()
    }
    .text(rig)
}

fn is_online(message: &Message) -> bool {
    message.topic == "doorline/test/availability" && message.payload == "online"
}

/// Waits for the answer to a command, and for the record of the refusal.
fn refused(listener: &Listener, gateway: &Gateway, id: &str, reason: &str) -> anyhow::Result<()> {
    let answer = listener.hears(&format!("the answer to {id}"), secs(30), |m| {
        m.topic == "doorline/test/response" && m.payload["id"] == id && m.payload["status"] == "refused"
    })?;
    ensure!(answer.payload["reason"] == reason, "{id}: {answer:?}");
    gateway.event(0, "command.refused", secs(30), |e| {
        e["id"] == id && e["reason"] == reason
    })?;
    Ok(())
}

#[test]
fn nothing_kept_repeated_queued_or_old_opens() {
    run(|rig| {
        let mut broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        listener.send(DOOR, &open("kept-before")?, true)?;
        let mut gateway = Gateway::start(rig, &site(rig))?;
        refused(&listener, &gateway, "kept-before", "stale")?;
        listener.hears("the gateway's presence", secs(30), is_online)?;
        gateway.stays_at_rest(secs(1))?;

        // one good one, as the measure of all that follows
        let good = open("good")?;
        listener.send(DOOR, &good, false)?;
        gateway.energised(secs(20))?;
        gateway.released(secs(20))?;

        let now = SystemTime::now();
        let minute = Duration::from_secs(60);
        listener.send(DOOR, &good, false)?;
        refused(&listener, &gateway, "good", "duplicate")?;
        listener.send(DOOR, &open_at("old", now - minute)?, false)?;
        refused(&listener, &gateway, "old", "stale")?;
        listener.send(DOOR, &open_at("early", now + minute)?, false)?;
        refused(&listener, &gateway, "early", "stale")?;
        listener.send(DOOR, &json!({ "command": "open", "id": "untimed" }), false)?;
        refused(&listener, &gateway, "untimed", "untimed")?;
        gateway.stays_at_rest(secs(1))?;

        // what waits in the socket of a gateway that stands still
        gateway.process().signal(Signal::STOP)?;
        for n in 0..5 {
            listener.send(DOOR, &open(&format!("queued-{n}"))?, false)?;
        }
        std::thread::sleep(secs(2));
        gateway.process().signal(Signal::CONT)?;
        for n in 0..5 {
            refused(&listener, &gateway, &format!("queued-{n}"), "stale")?;
        }
        gateway.stays_at_rest(secs(1))?;

        // a restart forgets nothing: neither what was done nor what the broker keeps; one that comes while the gateway
        // is there is like any other
        gateway.process().kill();
        let before = gateway.last_seq();
        listener.send(DOOR, &open("kept-again")?, true)?;
        listener.send(DOOR, &open("while-away")?, false)?;
        gateway.again(rig)?;
        listener.send(DOOR, &good, false)?;
        gateway.event(before, "command.refused", secs(30), |e| {
            e["id"] == "kept-again" && (e["reason"] == "stale" || e["reason"] == "duplicate")
        })?;
        gateway.event(before, "command.refused", secs(30), |e| e["id"] == "good")?;
        gateway.stays_at_rest(secs(1))?;

        // a broker that was away
        broker.kill();
        broker.again(rig)?;
        let fresh = Listener::start(rig)?;
        fresh.hears("the gateway's presence", secs(60), is_online)?;
        fresh.send(DOOR, &good, false)?;
        gateway.event(
            gateway.last_seq().saturating_sub(3),
            "command.refused",
            secs(30),
            |e| e["id"] == "good",
        )?;
        gateway.stays_at_rest(secs(1))?;
        ensure!(
            gateway.pulses() == 1,
            "{} pulses for one good command",
            gateway.pulses()
        );
        gateway.verify()
    });
}

#[test]
fn what_is_no_command_is_answered_put_on_record_and_bounded() {
    run(|rig| {
        // the gateway has a name; people without one may do everything but command the door
        let trust = Trust::new(rig)?;
        let params = BrokerParams {
            anonymous: &["topic readwrite #", "topic deny doorline/test/door/front/command"],
            tls: Some(&trust),
            ..BrokerParams::default()
        };
        let _broker = Mosquitto::start_with(rig, &params)?;
        let listener = Listener::start(rig)?;
        let (user, password) = Mosquitto::LOGIN;
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            mqtt: true,
            mqtt_keys: format!(
                "version = \"3.1.1\"\nbroker = \"mqtts://127.0.0.1:{}\"\nuser = {user:?}\npassword = {password:?}\nca-file = {:?}\n",
                rig.port(Use::MqttTls),
                trust.ca
            ),
            ..Site::default()
        };
        // a broker of 3.1.1 marks what it kept as the gateway subscribes, however new it is
        let ring_to_open = |id: &str| -> anyhow::Result<Value> {
            let at = wall_clock_at(SystemTime::now())?;
            Ok(json!({ "command": "ring-to-open", "minutes": 5, "id": id, "at": at }))
        };
        listener.send(PANEL, &ring_to_open("kept-ring")?, true)?;
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        refused(&listener, &gateway, "kept-ring", "stale")?;
        listener.hears("the gateway's presence", secs(30), is_online)?;
        // one that was given before it connected and arrives live, as from a bridge
        let before = json!({ "command": "ring-to-open", "minutes": 5, "id": "bridged", "at": wall_clock_at(SystemTime::now() - secs(9))? });
        listener.send(PANEL, &before, false)?;
        refused(&listener, &gateway, "bridged", "stale")?;

        // the broker keeps strangers from the door; what it lets through is judged here
        listener.send(DOOR, &open("not-allowed")?, false)?;
        for (payload, error) in [
            ("open sesame".to_owned(), "not a JSON object"),
            (
                r#"{"command":"reboot","id":"no-command","at":"2026-03-01T12:00:00Z"}"#.to_owned(),
                "is not a command here",
            ),
            (
                r#"{"command":"open","id":"nul","at":5}"#.to_owned(),
                "not a JSON object",
            ),
            ("x".repeat(2000), "2000 bytes are too long"),
        ] {
            listener.send_bytes(PANEL, payload, false)?;
            listener.hears(&format!("an answer with {error}"), secs(30), |m| {
                m.topic == "doorline/test/response"
                    && m.payload["reason"] == "malformed"
                    && m.payload["error"].as_str().is_some_and(|e| e.contains(error))
            })?;
        }
        gateway.event(0, "command.refused", secs(30), |e| {
            e["id"] == "no-command" && e["reason"] == "malformed" && e["subject"] == "integration:mqtt"
        })?;
        let press = json!({ "command": "press", "button": "bell", "id": "press", "at": wall_clock_at(SystemTime::now())? });
        listener.send(PANEL, &press, false)?;
        refused(&listener, &gateway, "press", "forbidden")?;

        // a field that is misspelt, or empty, never means the whole site
        let site = |id: &str, command: &str, more: Value| -> anyhow::Result<()> {
            let mut all = json!({ "command": command, "id": id, "at": wall_clock_at(SystemTime::now())? });
            for (name, value) in more.as_object().into_iter().flatten() {
                all[name] = value.clone();
            }
            listener.send("doorline/test/command", &all, false)
        };
        site("down", "lockdown", json!({}))?;
        gateway.event(0, "gateway.lockdown", secs(30), |e| e["active"] == true)?;
        site("misspelt", "end-lockdown", json!({ "gruop": "lobby" }))?;
        refused(&listener, &gateway, "misspelt", "malformed")?;
        site("lost", "end-lockdown", json!({ "group": null }))?;
        refused(&listener, &gateway, "lost", "malformed")?;
        site("narrowed", "end-lockdown", json!({ "relay": "horn" }))?;
        refused(&listener, &gateway, "narrowed", "malformed")?;
        ensure!(
            !gateway
                .events()?
                .iter()
                .any(|e| e["kind"] == "gateway.lockdown" && e["active"] == false),
            "it was ended by mistake"
        );
        site("up", "end-lockdown", json!({}))?;
        gateway.event(0, "gateway.lockdown", secs(30), |e| e["active"] == false)?;

        // a flood costs a bounded number of records, and their number is told
        let before = gateway.last_seq();
        for n in 0..2000 {
            listener.send_bytes(PANEL, format!("flood {n}"), false)?;
        }
        let dropped = gateway.event(before, "command.dropped", secs(120), |e| {
            e["times"].as_u64().is_some_and(|n| n > 1)
        })?;
        rig.measured(
            "messages of a flood of 2000 that got no record each",
            &dropped["times"],
        );
        let records = gateway
            .events()?
            .iter()
            .filter(|e| e["seq"].as_u64() > Some(before) && e["kind"] == "command.refused")
            .count();
        ensure!(records <= 60, "{records} records of a flood");
        ensure!(
            !gateway.events()?.iter().any(|e| e["id"] == "not-allowed"),
            "the broker let a stranger through"
        );

        // larger than any message we take, and kept: the gateway stays there, without commands. A broker of MQTT 5 would not
        // send it
        listener.send_bytes(PANEL, vec![b'x'; 400_000], true)?;
        let said = "no commands are taken over MQTT";
        until(secs(60), "the fault in the state", || {
            let all = listener.all();
            Ok(all
                .iter()
                .any(|m| m.topic == "doorline/test/state" && m.payload.to_string().contains(said))
                .then_some(()))
        })?;
        let offline = listener.all().iter().rposition(|m| m.payload == "offline");
        let at = offline.context("the connection ended once")?;
        until(secs(60), "the gateway's presence again", || {
            Ok(listener.all()[at..].iter().any(is_online).then_some(()))
        })?;
        gateway.stays_at_rest(secs(1))?;
        gateway.card()?;
        gateway.energised(secs(5))?;
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        ensure!(!gateway.log().contains("panicked"), "{}", gateway.log());
        Ok(())
    });
}
