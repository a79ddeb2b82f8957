//! The gateway as an OSDP reader of a controller, which libosdp plays, and the reader whose cards go to it, which libosdp
//! plays, too.

use std::path::Path;
use std::time::SystemTime;

use anyhow::ensure;
use peers::{Api, Gateway, Listener, Mosquitto, OsdpPanel, OsdpReaders, Rig, Site, Use, Wire, run, until};
use serde_json::Value;

use crate::osdp::{key_of, write_key};
use crate::outside::wall_clock_at;
use crate::secs;

/// 26:123,04567: the card of the test site, and the same number for facility 7 in 34 bits (H10306).
const CARD: &str = "26 bd88eb80";
/// The same as commands have it.
const CARD_TEXT: &str = "26:123,04567";

/// The test site with a reader that has no door, and a controller that gets its cards.
fn site(rig: &Rig, reader: &Path, controller: &Path, keys: &str, more: &str) -> String {
    let text = Site {
        http: true,
        targets: vec!["sip:101@127.0.0.1:9".into()],
        more: format!(
            "[readers.gate.osdp]\nport = {reader:?}\nunencrypted = true\nrepeat-ms = 0\nformats = [\"h10301\"]\n\
             [controllers.legacy]\nforward = [\"gate\"]\n{more}\
             [controllers.legacy.osdp]\nport = {controller:?}\naddress = 5\n{keys}\n"
        ),
        ..Site::default()
    };
    text.text(rig)
}

/// Waits until the fault of the controller holds `words`, or until it has none.
fn fault(api: &Api, words: Option<&str>) -> anyhow::Result<()> {
    until(
        secs(40),
        &format!("the fault {words:?} of the controller"),
        || {
            let site = api.get("/api/v1/site")?.body;
            let faults = site["faults"].as_array().cloned().unwrap_or_default();
            let found = faults
                .iter()
                .find(|fault| fault["part"] == "device:controller-legacy");
            let text = found.map(ToString::to_string);
            Ok(match words {
                Some(words) => text.is_some_and(|text| text.contains(words)),
                None => text.is_none(),
            }
            .then_some(()))
        },
    )
}

/// Shows the card until the controller has it; gives it as it came.
fn arrives(readers: &OsdpReaders, panel: &OsdpPanel) -> anyhow::Result<String> {
    let before = panel.cards().len();
    readers.act(&format!("card 0 {CARD}"))?;
    until(secs(10), "the card at the controller", || {
        Ok(panel.cards().get(before).cloned())
    })
}

fn any(_: &Value) -> bool {
    true
}

#[test]
fn osdp_a_controller_gets_cards_through_the_secure_channel_and_its_light_comes_back() {
    run(|rig| {
        let (wire, line) = (
            Wire::new(rig)?,
            Wire::named(rig, "usb-Test_Controller-if00-port0")?,
        );
        write_key(rig, "legacy.key", &key_of(1))?;
        let readers = OsdpReaders::start(rig, &wire.board(), &["0:clear".to_owned()])?;
        let panel = OsdpPanel::start(rig, &line.board(), &format!("5:{}:has", key_of(1)))?;
        let text = site(rig, wire.port(), line.port(), "key-file = \"legacy.key\"", "");
        let mut gateway = Gateway::start(rig, &text)?;
        let api = Api::set_up(rig, &gateway)?;
        panel.is("sc", secs(20))?;
        let device = |event: &Value| event.to_string().contains("controller-legacy");
        gateway.event(0, "device.ready", secs(20), device)?;
        let gate = |event: &Value| event.to_string().contains("reader-gate");
        gateway.event(0, "device.ready", secs(20), gate)?;
        // as it was read
        ensure!(arrives(&readers, &panel)? == CARD, "{:?}", panel.cards());
        let seq = gateway.event(0, "controller.taken", secs(5), |event| event["reader"] == "gate")?;
        let seq = seq["seq"].as_u64().unwrap_or_default();
        // its answer is seen at the reader where the card was
        let said = panel.ask("led green 30")?;
        ensure!(said == "True", "{said}");
        gateway.event(seq, "controller.showed", secs(10), |event| {
            event["colour"] == "green" && event["time_ms"] == 3000
        })?;
        until(secs(5), "the green light at the reader", || {
            Ok(readers
                .commands(0)
                .iter()
                .any(|led| led["on_color"] == 2)
                .then_some(()))
        })?;
        panel.ask("beep 2")?;
        gateway.event(seq, "controller.beeped", secs(10), |event| event["times"] == 2)?;
        panel.ask("text WELCOME")?;
        gateway.event(seq, "controller.told", secs(10), |event| {
            event["text"] == "WELCOME"
        })?;
        // recorded commands are none; a panel of libosdp gives its reader up for five minutes then, and is switched off and on
        let seq = gateway.last_seq();
        let recorded: usize = panel.ask("again")?.parse()?;
        ensure!(recorded > 3, "{recorded} were recorded");
        drop(panel);
        let panel = OsdpPanel::start(rig, &line.board(), &format!("5:{}:has", key_of(1)))?;
        panel.is("sc", secs(30))?;
        ensure!(arrives(&readers, &panel)? == CARD, "{:?}", panel.cards());
        let events = gateway.events()?;
        let shown = events.iter().filter(|event| {
            let kind = event["kind"].as_str().unwrap_or_default();
            event["seq"].as_u64() > Some(seq) && ["controller.showed", "controller.beeped"].contains(&kind)
        });
        ensure!(shown.count() == 0, "a recorded command counted: {events:?}");
        // replies with a wrong bit under a right check are none to the controller: the card is not taken, and that is told
        let seq = gateway.last_seq();
        let before = panel.cards().len();
        panel.ask("damage 2")?;
        readers.act(&format!("card 0 {CARD}"))?;
        gateway.event(seq, "controller.missed", secs(20), any)?;
        ensure!(panel.cards().len() == before, "{:?}", panel.cards());
        drop(panel);
        // another key
        let other = OsdpPanel::start(rig, &line.board(), &format!("5:{}:has", key_of(2)))?;
        fault(&api, Some("does not have the reader's key"))?;
        readers.act(&format!("card 0 {CARD}"))?;
        gateway.event(seq, "controller.missed", secs(10), any)?;
        ensure!(other.cards().is_empty(), "{:?}", other.cards());
        drop(other);
        let panel = OsdpPanel::start(rig, &line.board(), &format!("5:{}:has", key_of(1)))?;
        fault(&api, None)?;
        ensure!(arrives(&readers, &panel)? == CARD);
        // all of it opened nothing of ours
        gateway.stays_at_rest(secs(1))?;
        ensure!(
            !gateway
                .events()?
                .iter()
                .any(|event| event["kind"] == "door.granted")
        );
        gateway.stop()
    });
}

#[test]
fn osdp_a_controller_gives_its_reader_a_key_once_and_gets_translated_cards_after_a_restart() {
    run(|rig| {
        let (wire, line) = (
            Wire::new(rig)?,
            Wire::named(rig, "usb-Test_Controller-if00-port0")?,
        );
        let readers = OsdpReaders::start(rig, &wire.board(), &["0:clear".to_owned()])?;
        let panel = OsdpPanel::start(rig, &line.board(), &format!("5:{}:gives", key_of(3)))?;
        let more = "format = \"h10306\"\nfacilities = [\"123=7\"]\n";
        let text = site(rig, wire.port(), line.port(), "install = true", more);
        let mut gateway = Gateway::start(rig, &text)?;
        gateway.event(0, "controller.key-set", secs(40), any)?;
        panel.is("sc", secs(30))?;
        let device = |event: &Value| event.to_string().contains("controller-legacy");
        gateway.event(0, "device.ready", secs(20), device)?;
        drop(panel);
        let mut api = Api::set_up(rig, &gateway)?;
        gateway.stop()?;
        gateway.again(rig)?;
        api.log_in()?;
        // one that would give it another one by the default key
        let stranger = OsdpPanel::start(rig, &line.board(), &format!("5:{}:gives", key_of(4)))?;
        fault(&api, Some("does not have the reader's key"))?;
        drop(stranger);
        let panel = OsdpPanel::start(rig, &line.board(), &format!("5:{}:has", key_of(3)))?;
        panel.is("sc", secs(30))?;
        fault(&api, None)?;
        let card = until(secs(30), "a card", || {
            let before = panel.cards().len();
            readers.act(&format!("card 0 {CARD}"))?;
            Ok(until(secs(4), "it", || Ok(panel.cards().get(before).cloned())).ok())
        })?;
        // 34:7,04567 with its two parity bits
        ensure!(card == translated(), "{card}");
        ensure!(
            gateway
                .events()?
                .iter()
                .filter(|event| event["kind"] == "controller.key-set")
                .count()
                == 1
        );
        gateway.stop()
    });
}

/// H10306, facility 7, number 4567: even parity of the first 16 bits behind it, odd of the last 16.
fn translated() -> String {
    let (facility, number) = (7_u64, 4567_u64);
    let first = facility.count_ones() % 2;
    let last = (number.count_ones() + 1) % 2;
    let bits = u64::from(first) << 33 | facility << 17 | number << 1 | u64::from(last);
    let bytes = (bits << 30).to_be_bytes();
    let hex: String = bytes[..5].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("34 {hex}")
}

#[test]
fn osdp_a_controller_gets_cards_by_command_and_keys_of_its_reader() {
    run(|rig| {
        let (wire, line) = (
            Wire::new(rig)?,
            Wire::named(rig, "usb-Test_Controller-if00-port0")?,
        );
        write_key(rig, "legacy.key", &key_of(1))?;
        let readers = OsdpReaders::start(rig, &wire.board(), &["0:clear".to_owned()])?;
        let panel = OsdpPanel::start(rig, &line.board(), &format!("5:{}:has", key_of(1)))?;
        let text = site(
            rig,
            wire.port(),
            line.port(),
            "key-file = \"legacy.key\"",
            "forward-keys = true\nby-command = true\n",
        );
        let rule = "[rules.granted]\non = [\"door.granted\"]\n\
                    do = [{ card = { controller = \"legacy\", card = \"26:123,04567\" } }]\n";
        let _broker = Mosquitto::start(rig)?;
        let mqtt = format!("[mqtt]\nbroker = \"mqtt://127.0.0.1:{}\"\n", rig.port(Use::Mqtt));
        let mut gateway = Gateway::start(rig, &format!("{text}\n{rule}\n{mqtt}"))?;
        let api = Api::set_up(rig, &gateway)?;
        panel.is("sc", secs(20))?;
        let gate = |event: &Value| event.to_string().contains("reader-gate");
        gateway.event(0, "device.ready", secs(20), gate)?;
        let device = |event: &Value| event.to_string().contains("controller-legacy");
        gateway.event(0, "device.ready", secs(20), device)?;
        // it is listed, with what goes to it
        let devices = api.get("/api/v1/devices")?.body;
        let listed = devices["devices"].as_array().cloned().unwrap_or_default();
        let legacy = listed.iter().find(|device| device["kind"] == "controller");
        ensure!(
            legacy.is_some_and(|it| it["id"] == "legacy"
                && it["state"] == "ok"
                && it["uses"].to_string().contains("by command")),
            "{devices}"
        );
        // by the API, once
        let path = "/api/v1/controllers/legacy/card";
        let body = serde_json::json!({ "card": "26:123,04567", "id": "card-1" });
        let seq = gateway.last_seq();
        let sent = api.post(path, &body)?;
        ensure!(sent.status == 200, "{} {}", sent.status, sent.body);
        until(secs(10), "the card at the controller", || {
            Ok(panel
                .cards()
                .first()
                .is_some_and(|card| card == CARD)
                .then_some(()))
        })?;
        gateway.event(seq, "controller.sent", secs(5), |event| {
            event["reader"].is_null() && event["subject"].as_str().is_some_and(|who| !who.is_empty())
        })?;
        gateway.event(seq, "controller.taken", secs(5), any)?;
        let again = api.post(path, &body)?;
        ensure!(again.status == 409, "{} {}", again.status, again.body);
        let old = serde_json::json!({ "card": "26:123,04567", "id": "card-2", "at": "2026-01-01T00:00:00Z" });
        let refused = api.post(path, &old)?;
        ensure!(refused.status >= 400, "{} {}", refused.status, refused.body);
        // by the program on its machine
        let sent = gateway.command("controllers", &["send", "legacy", "26:123,04567"])?;
        ensure!(sent.status.success(), "{sent:?}");
        until(secs(10), "the second card at the controller", || {
            Ok((panel.cards().len() == 2).then_some(()))
        })?;
        // through the broker, once, and neither kept nor old
        let listener = Listener::start(rig)?;
        let topic = "doorline/test/command";
        let command = |id: &str, card: &str, at: SystemTime| -> anyhow::Result<Value> {
            let at = wall_clock_at(at)?;
            Ok(
                serde_json::json!({ "command": "send-card", "controller": "legacy", "card": card, "id": id, "at": at }),
            )
        };
        let answers = |id: &str, status: &str, reason: Option<&str>| {
            listener.hears(&format!("{status} to {id}"), secs(30), |message| {
                message.topic == "doorline/test/response"
                    && message.payload["id"] == id
                    && message.payload["status"] == status
                    && message.payload["reason"].as_str() == reason
            })
        };
        let seq = gateway.last_seq();
        let good = command("mqtt-1", "34:7,04567", SystemTime::now())?;
        listener.send(topic, &good, false)?;
        until(secs(10), "the card of the broker at the controller", || {
            Ok((panel.cards().get(2) == Some(&translated())).then_some(()))
        })?;
        gateway.event(seq, "controller.sent", secs(5), |event| {
            event["reader"].is_null() && event["subject"] == "integration:mqtt" && event["bits"] == 34
        })?;
        gateway.event(seq, "controller.taken", secs(5), any)?;
        answers("mqtt-1", "ok", None)?;
        listener.send(topic, &good, false)?;
        answers("mqtt-1", "refused", Some("duplicate"))?;
        let old = SystemTime::now() - secs(60);
        listener.send(topic, &command("mqtt-2", CARD_TEXT, old)?, false)?;
        answers("mqtt-2", "refused", Some("stale"))?;
        listener.send(topic, &command("mqtt-3", CARD_TEXT, SystemTime::now())?, true)?;
        answers("mqtt-3", "refused", Some("stale"))?;
        listener.send(topic, &command("mqtt-4", "26:999,1", SystemTime::now())?, false)?;
        answers("mqtt-4", "refused", Some("malformed"))?;
        ensure!(panel.cards().len() == 3, "{:?}", panel.cards());
        // keys, each as it is typed
        readers.act("keys 0 47")?;
        readers.act("keys 0 #")?;
        until(secs(10), "the keys at the controller", || {
            Ok((panel.keys() == "34370d").then_some(()))
        })?;
        ensure!(panel.cards().len() == 3, "{:?}", panel.cards());
        // a rule: the reader of the test site is virtual, and a card that nobody showed opens nothing of a real controller
        let seq = gateway.last_seq();
        gateway.card()?;
        gateway.event(seq, "rule.failed", secs(10), |event| {
            event.to_string().contains("simulated")
        })?;
        ensure!(panel.cards().len() == 3, "{:?}", panel.cards());
        gateway.stop()
    });
}
