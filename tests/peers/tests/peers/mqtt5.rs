//! MQTT 5 with Mosquitto's own clients, signed commands by the examples of `docs/mqtt.md` behind its access list, and the
//! AsyncAPI document beside what is really sent.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use peers::{ApiClients, BrokerParams, Gateway, Listener, Message, Mosquitto, Rig, Site, Use, run, until};
use serde_json::{Value, json};

use crate::outside::wall_clock_at;
use crate::secs;

const DOOR: &str = "doorline/test/door/front/command";
const PANEL: &str = "doorline/test/panel/main/command";
const RESPONSE: &str = "doorline/test/response";
const DOCUMENTATION: &str = include_str!("../../../../docs/mqtt.md");

fn open(id: &str, age: Duration, more: &Value) -> anyhow::Result<String> {
    let mut command = json!({ "command": "open", "id": id, "at": wall_clock_at(SystemTime::now() - age)? });
    for (key, value) in more.as_object().context("fields")? {
        command[key] = value.clone();
    }
    Ok(command.to_string())
}

/// A client of Mosquitto's, speaking MQTT 5.
fn client(rig: &Rig, program: &str, name: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.args(["-V", "5", "-h", "127.0.0.1", "-q", "1", "-p"]);
    command.arg(rig.port(Use::Mqtt).to_string());
    if let Some(name) = name {
        command.args(["-u", name, "-P", Mosquitto::LOGIN.1]);
    }
    command
}

fn publish(
    rig: &Rig,
    name: Option<&str>,
    topic: &str,
    payload: &str,
    properties: &[(&str, &str)],
) -> anyhow::Result<()> {
    let mut command = client(rig, "mosquitto_pub", name);
    command.args(["-t", topic, "-m", payload]);
    for (property, value) in properties {
        command.args(["-D", "publish", property, value]);
    }
    let out = command.output()?;
    ensure!(out.status.success(), "{out:?}");
    Ok(())
}

/// What comes on some topics, with what MQTT 5 adds: topic, correlation data, expiry, content type, user properties, payload.
pub(crate) struct Subscriber {
    child: Child,
    file: std::path::PathBuf,
}

impl Subscriber {
    pub(crate) fn start(rig: &Rig, name: Option<&str>, topics: &[&str]) -> anyhow::Result<Self> {
        let file = rig.path("subscriber.txt");
        let mut command = client(rig, "mosquitto_sub", name);
        for topic in topics {
            command.args(["-t", topic]);
        }
        command.args(["-F", "%t|%D|%E|%C|%P|%p"]).stdin(Stdio::null());
        let child = command.stdout(File::create(&file)?).spawn()?;
        Ok(Self { child, file })
    }

    pub(crate) fn line(&self, what: &str, fits: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        until(secs(30), what, || {
            let text = std::fs::read_to_string(&self.file)?;
            Ok(text.lines().find(|line| fits(line)).map(str::to_owned))
        })
    }

    /// The refusal of a command.
    fn refused(&self, id: &str, reason: &str) -> anyhow::Result<String> {
        let line = self.line(&format!("the answer to {id}"), |line| {
            line.starts_with(RESPONSE)
                && line.contains(&format!("\"id\":\"{id}\""))
                && line.contains("refused")
        })?;
        ensure!(line.contains(&format!("\"reason\":\"{reason}\"")), "{line}");
        Ok(line)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_online(message: &Message) -> bool {
    message.topic == "doorline/test/availability" && message.payload == "online"
}

#[test]
fn mqtt_5_with_mosquitto_and_every_message_is_as_the_asyncapi_document_says() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            mqtt: true,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        listener.hears("the gateway's presence", secs(30), is_online)?;
        let subscriber = Subscriber::start(rig, None, &["clients/#", "doorline/test/#"])?;
        subscriber.line("what is kept", |line| line.starts_with("doorline/test/state|"))?;
        let none = Duration::ZERO;

        // an answer where it is wanted, with what the request had
        let properties = [
            ("message-expiry-interval", "5"),
            ("response-topic", "clients/7/reply"),
            ("correlation-data", "abc"),
        ];
        publish(
            rig,
            None,
            DOOR,
            &open("good", none, &json!({ "ttl_s": 5 }))?,
            &properties,
        )?;
        gateway.energised(secs(20))?;
        let reply = subscriber.line("the reply", |line| line.starts_with("clients/7/reply|abc|"))?;
        ensure!(
            reply.contains("|application/json|site:test|") && reply.contains("\"status\":\"ok\""),
            "{reply}"
        );
        subscriber.line("the answer for all", |line| {
            line.starts_with("doorline/test/response|abc|")
        })?;
        let event = subscriber.line("the event at the door", |line| {
            line.starts_with("doorline/test/door/front/event|") && line.contains("\"event_type\":\"granted\"")
        })?;
        let fields: Vec<&str> = event.split('|').collect();
        let expiry: u32 = fields[2].parse().with_context(|| event.clone())?;
        ensure!((1..=60).contains(&expiry), "{event}");
        ensure!(
            fields[4].contains("kind:door.granted") && fields[4].contains("seq:"),
            "{event}"
        );
        subscriber.line("the feed, which does not expire", |line| {
            line.starts_with("doorline/test/event||")
                && line.split('|').nth(2) == Some("")
                && line.contains("door.granted")
        })?;
        gateway.released(secs(20))?;

        // larger than any message we take: the broker knows that, and keeps it to itself
        let large = rig.path("large.txt");
        std::fs::write(&large, "x".repeat(400_000))?;
        let mut too_large = client(rig, "mosquitto_pub", None);
        too_large.args(["-r", "-t", PANEL, "-f"]).arg(&large);
        ensure!(too_large.status()?.success(), "not published");
        listener.hears("what is too large", secs(20), |m| m.topic == PANEL)?;

        // kept while the gateway is there
        let mut kept = client(rig, "mosquitto_pub", None);
        kept.args(["-r", "-t", DOOR, "-m", &open("kept", none, &json!({}))?]);
        ensure!(kept.status()?.success(), "not published");
        subscriber.refused("kept", "stale")?;
        listener.hears("the clearing", secs(20), |m| m.topic == DOOR && m.payload == "")?;
        // too old by its own word, and answers where commands are taken
        publish(
            rig,
            None,
            DOOR,
            &open("old", secs(4), &json!({ "ttl_s": 2 }))?,
            &[],
        )?;
        subscriber.refused("old", "stale")?;
        let bad = [("response-topic", "doorline/test/command")];
        publish(rig, None, DOOR, &open("bad-topic", none, &json!({}))?, &bad)?;
        subscriber.refused("bad-topic", "malformed")?;
        // the broker says that it waited for 8 of 9 s, whatever the clocks say
        let waited = [("message-expiry-interval", "1")];
        publish(
            rig,
            None,
            DOOR,
            &open("waited", none, &json!({ "ttl_s": 60 }))?,
            &waited,
        )?;
        subscriber.refused("waited", "stale")?;
        gateway.stays_at_rest(secs(1))?;
        let offline = |m: &Message| m.topic == "doorline/test/availability" && m.payload == "offline";
        ensure!(!listener.all().iter().any(offline), "the gateway was away");

        // what comes while the gateway is away, with time enough to wait for it
        gateway.process().kill();
        publish(
            rig,
            None,
            DOOR,
            &open("away", none, &json!({}))?,
            &[("message-expiry-interval", "600")],
        )?;
        gateway.again(rig)?;
        subscriber.line("a presence again", |line| {
            line.starts_with("doorline/test/availability|") && line.ends_with("|online")
        })?;
        gateway.ring()?;
        listener.hears("the ring", secs(20), |m| {
            m.topic == "doorline/test/panel/main/event"
        })?;
        gateway.stays_at_rest(secs(1))?;
        ensure!(
            gateway.pulses() == 1,
            "{} pulses for one command",
            gateway.pulses()
        );
        let events = gateway.events()?;
        ensure!(
            !events.iter().any(|e| e["id"] == "away"),
            "a queued command reached the gateway"
        );
        ensure!(!gateway.log().contains("panicked"), "{}", gateway.log());

        // who comes new learns what there is, and how it is taken
        let new = Listener::start(rig)?;
        let kept = |topic: &str| {
            new.hears(topic, secs(20), |m| {
                m.retained && m.topic == format!("doorline/test/{topic}")
            })
        };
        let info = kept("info")?.payload;
        ensure!(
            info["protocol"] == "5" && info["commands"]["ttl_s"] == 10 && info["commands"]["signed"] == false,
            "{info}"
        );
        let doors = kept("doors")?.payload;
        let front = &doors["doors"][0];
        ensure!(
            front["id"] == "front" && front["owned"] == true && front["topics"]["command"] == DOOR,
            "{doors}"
        );
        // what is kept of our being there says no; yes is said
        ensure!(kept("alive")?.payload["alive"] == false, "it is kept");
        new.hears("that it is there", secs(20), |m| {
            m.topic == "doorline/test/alive" && !m.retained && m.payload["available"] == json!(["front"])
        })?;

        // what others say below our topics is in the document, too
        let picture = "doorline/test/panel/main/picture";
        listener.send(picture, &json!("a picture"), false)?;
        listener.hears("the picture", secs(20), |m| m.topic == picture)?;

        let document = Command::new(peers::program())
            .args(["check", "--asyncapi"])
            .output()?;
        let document = String::from_utf8(document.stdout)?;
        let channels = [
            "alive",
            "availability",
            "device",
            "doorAvailability",
            "doorCommand",
            "doorEvent",
            "doorState",
            "doors",
            "event",
            "info",
            "lineState",
            "panelEvent",
            "panelPicture",
            "panelState",
            "response",
            "state",
        ];
        let said = ApiClients::new(rig)?.asyncapi(rig, &document, &listener.all(), &channels)?;
        rig.measured("AsyncAPI", said.trim());
        gateway.verify()
    });
}

/// A block of the documentation, for this site.
fn block(kind: &str, with: &str) -> anyhow::Result<String> {
    let begin = format!("```{kind}\n");
    let mut blocks = DOCUMENTATION.split(&begin).skip(1);
    let block = blocks.find_map(|rest| rest.split("```").next().filter(|block| block.contains(with)));
    let block = block.with_context(|| format!("docs/mqtt.md has no block {kind:?} with {with:?}"))?;
    Ok(block.replace("lilas", "test"))
}

#[test]
fn only_signed_commands_open_behind_the_access_list_of_the_documentation() {
    run(|rig| {
        let list = block("", "acl_file")?;
        let params = BrokerParams {
            people: Some((&list, &["gateway", "hub", "desk", "display"])),
            ..BrokerParams::default()
        };
        let _broker = Mosquitto::start_with(rig, &params)?;
        let secret = "0f7c2f3b9d1e4a58b6c70d2e";
        std::fs::write(rig.path("hub.secret"), format!("{secret}\n"))?;
        let (user, password) = Mosquitto::LOGIN;
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            mqtt: true,
            mqtt_keys: format!(
                "user = {user:?}\npassword = {password:?}\ncommands = \"signed\"\n[mqtt.keys.hub]\nsecret = {secret:?}\ndoors = [\"front\"]\n"
            ),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let subscriber = Subscriber::start(rig, Some("hub"), &["doorline/test/#"])?;
        let online =
            |line: &str| line.starts_with("doorline/test/availability|") && line.ends_with("|online");
        subscriber.line("the gateway's presence", online)?;
        let sign = |program: &str, kind: &str| -> anyhow::Result<String> {
            let script = block(kind, "doorline-command-1")?;
            let out = Command::new(program)
                .args(["-c", &script])
                .current_dir(rig.dir())
                .output()?;
            ensure!(out.status.success(), "{out:?}");
            Ok(String::from_utf8(out.stdout)?.trim().to_owned())
        };
        let id_of = |message: &str| -> anyhow::Result<String> {
            let message: Value = serde_json::from_str(message)?;
            let command: Value = serde_json::from_str(message["signed"].as_str().context("a text")?)?;
            Ok(command["id"].as_str().context("an id")?.to_owned())
        };

        // both examples of the documentation
        let good = sign("sh", "sh")?;
        publish(rig, Some("hub"), DOOR, &good, &[])?;
        gateway.energised(secs(20))?;
        gateway.released(secs(20))?;
        publish(rig, Some("hub"), DOOR, &sign("python3", "python")?, &[])?;
        gateway.energised(secs(20))?;
        gateway.released(secs(20))?;
        gateway.event(0, "command.accepted", secs(20), |e| {
            e["subject"] == "integration:hub"
        })?;

        // a copy, no signature, another one, another topic, and somebody whom the broker does not let write
        publish(rig, Some("hub"), DOOR, &good, &[])?;
        subscriber.refused(&id_of(&good)?, "duplicate")?;
        publish(
            rig,
            Some("hub"),
            DOOR,
            &open("plain", Duration::ZERO, &json!({}))?,
            &[],
        )?;
        subscriber.line("a refusal", |line| {
            line.starts_with(RESPONSE) && line.contains("is not signed")
        })?;
        let other = sign("sh", "sh")?;
        let mut wrong: Value = serde_json::from_str(&other)?;
        wrong["mac"] = json!("0".repeat(64));
        publish(rig, Some("hub"), DOOR, &wrong.to_string(), &[])?;
        subscriber.refused(&id_of(&other)?, "forbidden")?;
        let moved = sign("sh", "sh")?;
        publish(rig, Some("desk"), "doorline/test/command", &moved, &[])?;
        subscriber.refused(&id_of(&moved)?, "forbidden")?;
        let display = sign("sh", "sh")?;
        publish(rig, Some("display"), DOOR, &display, &[])?;
        gateway.event(0, "command.refused", secs(20), |e| e["reason"] == "forbidden")?;

        // a restart forgets nothing
        gateway.process().kill();
        gateway.again(rig)?;
        let before = gateway.last_seq();
        publish(rig, Some("hub"), DOOR, &good, &[])?;
        let id = id_of(&good)?;
        gateway.event(before.saturating_sub(8), "command.refused", secs(30), |e| {
            e["id"] == id && e["seq"].as_u64() > Some(before)
        })?;
        gateway.stays_at_rest(secs(1))?;
        ensure!(gateway.pulses() == 2, "{} pulses", gateway.pulses());
        let display = id_of(&display)?;
        ensure!(
            !gateway.events()?.iter().any(|e| e["id"] == display),
            "the broker let the display write"
        );
        ensure!(!gateway.log().contains(secret), "the secret stands in the log");
        gateway.verify()
    });
}
