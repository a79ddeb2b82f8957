//! Devices of others at a real Mosquitto: a bell over Zigbee rings the door, a relay with its own timer opens it, a web
//! request rings it; nothing that was kept, repeated or away does anything.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use peers::{Api, Edge, Gateway, Listener, Mosquitto, Reply, Rig, Shelly, Use, WebRelay, post, run, until};
use rustix::process::Signal;
use serde_json::json;

use crate::mqtt5::Subscriber;
use crate::outside::wall_clock;
use crate::secs;

const BELL: &str = "zigbee2mqtt/front-bell";
const TOKEN: &str = "3b1f0d6c5a4e49d2";
const MS: u64 = 1_000_000;
/// What a device may take beyond its time on a busy machine, ns.
const SLACK: u64 = 2_000 * MS;

fn site(rig: &Rig) -> String {
    let (low, high) = rig.ports.gateway_rtp();
    format!(
        r#"[site]
id = "test"
name = "Test house"
number = "000000001"
address = "1 Test Street, 00001 Test"
state-dir = {:?}
run-dir = {:?}
[sip]
bind = "127.0.0.1"
udp-port = {sip}
tcp-port = {sip}
rtp-ports = [{low}, {high}]
[http]
listen = "127.0.0.1:{}"
[mqtt]
broker = "mqtt://127.0.0.1:{}"

[inputs.bell.mqtt]
topic = "{BELL}"
field = "/action"
on = ["single"]
availability = {{ topic = "{BELL}/availability", field = "/state" }}
[inputs.contact.mqtt]
topic = "zigbee2mqtt/front-door"
field = "/contact"
on = ["false"]
off = ["true"]
[inputs.parcel.webhook]
token = "{TOKEN}"

[outputs.strike]
max-on-ms = 10000
[outputs.strike.mqtt]
topic = "shelly/rpc"
on = '{{"id":1,"src":"doorline","method":"Switch.Set","params":{{"id":0,"on":true,"toggle_after":{{s}}}}}}'
off = '{{"id":1,"src":"doorline","method":"Switch.Set","params":{{"id":0,"on":false}}}}'
state-topic = "shelly/status/switch:0"
state-field = "/output"
ask-topic = "shelly/command"
ask = "status_update"
late-opening = "accepted"
availability = {{ topic = "shelly/online", online = ["true"], offline = ["false"] }}
timeout-ms = 3000

[lines.wire.contact]
[panels.main]
name = "Main entrance"
line = "wire"
doors = ["front"]
[panels.main.buttons.bell]
name = "Bell"
input = "bell"
call = "people"
[panels.main.buttons.parcel]
name = "Parcels"
input = "parcel"
call = "people"
[doors.front]
name = "Main entrance"
output = "strike"
strike-ms = 3000
contact = {{ input = "contact" }}
[lists.people]
ring-s = 10
targets = ["sip:101@127.0.0.1:9"]
"#,
        rig.path("state"),
        rig.path("run"),
        rig.port(Use::Http),
        rig.port(Use::Mqtt),
        sip = rig.port(Use::Sip),
    )
}

fn there(listener: &Listener) -> anyhow::Result<()> {
    listener.send(
        &format!("{BELL}/availability"),
        &json!({ "state": "online" }),
        true,
    )
}

/// Rings at `panel.ring` so far.
fn rings(gateway: &Gateway) -> anyhow::Result<usize> {
    Ok(gateway
        .events()?
        .iter()
        .filter(|e| e["kind"] == "panel.ring")
        .count())
}

fn rung(gateway: &Gateway, before: usize) -> anyhow::Result<()> {
    until(secs(10), "the bell to ring", || {
        Ok((rings(gateway)? > before).then_some(()))
    })
}

/// Waits until the fault of a device that holds `text` stands, or no fault of one does.
fn fault(api: &Api, part: &str, text: Option<&str>) -> anyhow::Result<()> {
    let mut last = String::new();
    until(secs(30), &format!("{part} to say {text:?}"), || {
        let site = api.get("/api/v1/site")?.body;
        last = site["faults"].to_string();
        let faults = site["faults"].as_array().cloned().unwrap_or_default();
        let mut of = faults
            .iter()
            .filter(|f| f["part"].as_str().is_some_and(|p| p.starts_with(part)));
        Ok(match text {
            Some(text) => of.any(|f| f.to_string().contains(text)),
            None => of.next().is_none(),
        }
        .then_some(()))
    })
    .map_err(|e| e.context(last))
}

fn ask(api: &Api, id: &str) -> anyhow::Result<Reply> {
    api.post(
        "/api/v1/doors/front/open",
        &json!({ "id": id, "at": wall_clock()? }),
    )
}

/// Opens the door; where it just came back, as often as it takes. `edge` is the relay's next one.
fn open(api: &Api, id: &str, edge: &mut impl FnMut(Duration) -> anyhow::Result<Edge>) -> anyhow::Result<u64> {
    let mut n = 0;
    until(secs(30), "the door to open", || {
        n += 1;
        let reply = ask(api, &format!("{id}-{n}"))?;
        Ok((reply.status == 200).then_some(()))
    })?;
    let edge = edge(secs(5))?;
    ensure!(edge.energised, "{edge:?}");
    Ok(edge.at_ns)
}

fn hook(rig: &Rig, token: &str, more: &[(&str, String)]) -> anyhow::Result<u16> {
    let mut headers = vec![("Authorization", format!("Bearer {token}"))];
    headers.extend(more.iter().cloned());
    Ok(peers::post(rig.port(Use::Http), "/api/v1/hooks/parcel", &headers)?.status)
}

#[test]
fn a_bell_over_zigbee_rings_and_what_was_kept_or_came_while_it_was_away_does_not() {
    run(|rig| {
        let mut broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let _shelly = Shelly::start(rig);
        there(&listener)?;
        // somebody pressed it yesterday, and the bridge retains
        listener.send(BELL, &json!({ "action": "single" }), true)?;
        let gateway = Gateway::start(rig, &site(rig))?;
        let api = Api::set_up(rig, &gateway)?;
        fault(&api, "device:outside", None)?;
        let press = |retained| listener.send(BELL, &json!({ "action": "single", "battery": 80 }), retained);
        // its contact is known: so is the bell
        listener.send("zigbee2mqtt/front-door", &json!({ "contact": true }), true)?;
        until(secs(20), "the door to be shut", || {
            let door = api.get("/api/v1/doors/front")?.body;
            Ok((door["contact"] == "closed").then_some(()))
        })?;
        press(false)?;
        rung(&gateway, 0)?;
        ensure!(rings(&gateway)? == 1, "the retained press rang, too");

        // one that the broker is to keep is none, as it comes live either: nobody knows how often it will come
        press(true)?;
        // a message of the device that is no press
        listener.send(BELL, &json!({ "action": "" }), false)?;

        // broker away: said, and what is pressed meanwhile or retained then rings nobody
        broker.kill();
        fault(
            &api,
            "device:mqtt-devices",
            Some("devices are not read meanwhile"),
        )?;
        broker.again(rig)?;
        let fresh = Listener::start(rig)?;
        fresh.send(BELL, &json!({ "action": "single" }), true)?;
        fault(&api, "device:mqtt-devices", None)?;
        fault(
            &api,
            "device:outside-bell",
            Some("says nothing on zigbee2mqtt/front-bell/availability"),
        )?;
        fresh.send(BELL, &json!({ "action": "single" }), false)?;
        fresh.send(
            &format!("{BELL}/availability"),
            &json!({ "state": "offline" }),
            true,
        )?;
        fault(&api, "device:outside-bell", Some("that it is not there"))?;
        there(&fresh)?;
        fault(&api, "device:outside-bell", None)?;
        ensure!(rings(&gateway)? == 1, "a press of a device that was away rang");
        fresh.send(BELL, &json!({ "action": "single" }), false)?;
        rung(&gateway, 1)?;
        ensure!(rings(&gateway)? == 2, "one press rang twice");
        Ok(())
    });
}

/// The module's controls as a Wiren Board controller has them at its broker.
const DOMOFON: &str = "/devices/wb-domofon_16/controls";

/// wb-mqtt-serial with one such module: what is written to a control is its value from then on. Lives as long as its listener
/// is listened to.
fn domofon(rig: &Rig, stop: &std::sync::Arc<std::sync::atomic::AtomicBool>) -> anyhow::Result<()> {
    let (listener, stop) = (Listener::start(rig)?, std::sync::Arc::clone(stop));
    let state = format!("{DOMOFON}/Call accept");
    listener.send_bytes(&state, "0", true)?;
    std::thread::spawn(move || {
        let mut seen = 0;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let all = listener.all();
            let told = all.iter().skip(seen);
            for told in told.filter(|told| told.topic == format!("{state}/on")) {
                let _ = listener.send_bytes(&state, told.payload.to_string(), true);
            }
            seen = all.len();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    Ok(())
}

#[test]
fn an_intercom_module_at_its_controller_rings_and_opens_and_a_kept_call_does_not() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let stop = std::sync::Arc::default();
        domofon(rig, &stop)?;
        let call = |level: &str| listener.send_bytes(&format!("{DOMOFON}/Incoming call"), level, true);
        // somebody rings already
        call("1")?;
        let text = site(rig);
        let (before, rest) = text.split_once("[inputs.bell.mqtt]").context("an input")?;
        let (_, rest) = rest.split_once("[inputs.contact.mqtt]").context("the next")?;
        let (inputs, rest) = rest.split_once("[outputs.strike.mqtt]").context("an output")?;
        let (_, rest) = rest.split_once("[lines.wire.contact]").context("the next")?;
        let text = format!(
            "{before}[inputs.bell.mqtt]\ntopic = \"{DOMOFON}/Incoming call\"\non = [\"1\"]\noff = [\"0\"]\n\
             [inputs.contact.mqtt]{inputs}[outputs.strike.mqtt]\ntopic = \"{DOMOFON}/Call accept/on\"\non = \"1\"\noff = \"0\"\n\
             own-timer-s = 3\nstate-topic = \"{DOMOFON}/Call accept\"\nstate-on = [\"1\"]\nstate-off = [\"0\"]\n\
             late-opening = \"accepted\"\ntimeout-ms = 3000\n[lines.wire.contact]{rest}"
        );
        let mut gateway = Gateway::start(rig, &text)?;
        let api = Api::set_up(rig, &gateway)?;
        fault(&api, "output:", None)?;
        call("0")?;
        call("1")?;
        rung(&gateway, 0)?;
        ensure!(rings(&gateway)? == 1, "what was kept rang, too");
        let mut n = 0;
        until(secs(30), "the door to open", || {
            n += 1;
            Ok((ask(&api, &format!("flat-{n}"))?.status == 200).then_some(()))
        })?;
        gateway.event(0, "door.unlocked", secs(10), |_| true)?;
        gateway.event(0, "door.relocked", secs(10), |_| true)?;
        let told: Vec<String> = listener
            .all()
            .iter()
            .filter(|message| message.topic == format!("{DOMOFON}/Call accept/on"))
            .map(|message| message.payload.to_string())
            .collect();
        // at rest first and last, and on once
        let on = told.iter().filter(|level| *level == "1").count();
        let ends = (told.first().map(String::as_str), told.last().map(String::as_str));
        ensure!(on == 1 && ends == (Some("0"), Some("0")), "{told:?}");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        gateway.stop()
    });
}

#[test]
fn a_web_request_rings_with_its_token_only_and_not_when_it_is_old() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let _shelly = Shelly::start(rig);
        let mut gateway = Gateway::start(rig, &site(rig))?;
        let old = ("X-Doorline-At", "2026-01-01T00:00:00Z".to_owned());
        ensure!(hook(rig, TOKEN, &[old])? == 409);
        ensure!(hook(rig, "0000000000000000", &[])? == 401);
        ensure!(rings(&gateway)? == 0);
        let fresh = ("X-Doorline-At", wall_clock()?);
        ensure!(hook(rig, TOKEN, std::slice::from_ref(&fresh))? == 204);
        rung(&gateway, 0)?;
        // a copy of it rings nobody, and is on record; nor does one after a restart
        let before = rings(&gateway)?;
        ensure!(hook(rig, TOKEN, std::slice::from_ref(&fresh))? == 409);
        gateway.event(0, "command.refused", secs(5), |record| {
            record["reason"] == "duplicate"
        })?;
        gateway.stop()?;
        gateway.again(rig)?;
        ensure!(hook(rig, TOKEN, &[fresh])? == 409);
        ensure!(rings(&gateway)? == before);
        Ok(())
    });
}

#[test]
fn a_relay_with_its_own_timer_opens_and_lets_go_whatever_is_gone() {
    run(|rig| {
        let mut broker = Mosquitto::start(rig)?;
        let mut shelly = Shelly::start(rig);
        let mut gateway = Gateway::start(rig, &site(rig))?;
        let api = Api::set_up(rig, &gateway)?;

        // the guard ends it in time; what opens is good for the time in which it has to be confirmed, and no longer
        let subscriber = Subscriber::start(rig, None, &["shelly/rpc"])?;
        until(secs(10), "the subscription", || {
            let all = broker.subscribers();
            let other = |name: &String| name != "shelly" && !name.starts_with("doorline");
            Ok(all.iter().any(other).then_some(()))
        })?;
        let on = open(&api, "first", &mut |limit| shelly.edge(limit))?;
        let order = subscriber.line("the order to open", |line| line.contains("toggle_after"))?;
        let expiry = order
            .split('|')
            .nth(2)
            .and_then(|field| field.parse::<u64>().ok());
        ensure!(expiry.is_some_and(|s| (1..=3).contains(&s)), "{order}");
        let spoken = broker.spoken();
        for part in ["-inputs", "-guard-strike"] {
            let mut of = spoken
                .iter()
                .filter(|(name, _)| name.starts_with("doorline-test-"));
            let is_so = of.any(|(name, how)| name.contains(part) && how == "p5");
            ensure!(is_so, "{part} does not speak MQTT 5: {spoken:?}");
        }
        let off = shelly.edge(secs(10))?;
        ensure!(!off.energised && off.why == "told", "{off:?}");
        let length = (off.at_ns - on) / MS;
        rig.measured(
            "pulse of 3000 ms at a relay behind a broker",
            format!("{length} ms"),
        );
        ensure!((2800..5000).contains(&length), "{length} ms");

        // somebody else switches it on: it is written back
        let listener = Listener::start(rig)?;
        let by_hand = json!({ "method": "Switch.Set", "params": { "id": 0, "on": true } });
        listener.send("shelly/rpc", &by_hand, false)?;
        ensure!(shelly.edge(secs(5))?.energised);
        let back = shelly.edge(secs(10))?;
        ensure!(!back.energised && back.at_ns > on, "{back:?}");

        // the guard is killed in a pulse: the broker says off in its place, or the next guard does
        open(&api, "second", &mut |limit| shelly.edge(limit))?;
        gateway.signal_guard(Signal::KILL)?;
        let off = shelly.edge(secs(10))?;
        ensure!(!off.energised, "{off:?}");

        // broker and guard are gone in a pulse: the relay lets go by itself
        let on = open(&api, "third", &mut |limit| shelly.edge(limit))?;
        broker.kill();
        gateway.signal_guard(Signal::KILL)?;
        let off = shelly.edge(secs(15))?;
        ensure!(!off.energised && off.why == "its own timer", "{off:?}");
        ensure!(
            off.at_ns - on < 4_000 * MS + SLACK,
            "{} ms",
            (off.at_ns - on) / MS
        );
        fault(&api, "output:", Some("broker"))?;
        ensure!(ask(&api, "without-a-broker")?.status == 503);
        ensure!(shelly.pulses() == 4);

        // it comes back with the broker, and nothing that was refused is made up for
        broker.again(rig)?;
        fault(&api, "output:", None)?;
        ensure!(shelly.pulses() == 4, "it opened by itself");
        open(&api, "fourth", &mut |limit| shelly.edge(limit))?;
        ensure!(!shelly.edge(secs(10))?.energised);

        // without its supply it is a fault, and no order waits for it
        drop(shelly);
        fault(&api, "output:", Some("it is not there"))?;
        ensure!(ask(&api, "without-its-supply")?.status == 503);
        let shelly = Shelly::start(rig);
        fault(&api, "output:", None)?;
        std::thread::sleep(Duration::from_millis(500));
        ensure!(shelly.pulses() == 0, "an order waited for it");
        gateway.stop()
    });
}

/// The same house with a relay that takes web requests.
fn with_web_relay(rig: &Rig) -> anyhow::Result<String> {
    let site = site(rig);
    let (before, rest) = site.split_once("[outputs.strike.mqtt]").context("the output")?;
    let (_, after) = rest.split_once("[lines.wire.contact]").context("what follows")?;
    let relay = format!(
        r#"[outputs.strike.http]
server = "http://127.0.0.1:{}"
on = "/rpc/Switch.Set?id=0&on=true&toggle_after={{s}}"
off = "/rpc/Switch.Set?id=0&on=false"
state = "/rpc/Switch.GetStatus?id=0"
state-field = "/output"
late-opening = "accepted"
timeout-ms = 1000
"#,
        rig.port(Use::WebRelay)
    );
    Ok(format!("{before}{relay}[lines.wire.contact]{after}"))
}

#[test]
fn a_relay_that_takes_web_requests_opens_and_lets_go_and_does_nothing_later() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let mut relay = WebRelay::start(rig)?;
        let mut gateway = Gateway::start(rig, &with_web_relay(rig)?)?;
        let api = Api::set_up(rig, &gateway)?;

        let on = open(&api, "first", &mut |limit| relay.edge(limit))?;
        let off = relay.edge(secs(10))?;
        ensure!(!off.energised && off.why == "told", "{off:?}");
        let length = (off.at_ns - on) / MS;
        rig.measured(
            "pulse of 3000 ms at a relay by web requests",
            format!("{length} ms"),
        );
        ensure!((2800..5000).contains(&length), "{length} ms");

        // somebody else switches it on: it is written back
        let by_hand = post(rig.port(Use::WebRelay), "/rpc/Switch.Set?id=0&on=true", &[])?;
        ensure!(by_hand.status == 200 && relay.edge(secs(5))?.energised);
        let back = relay.edge(secs(10))?;
        ensure!(!back.energised && back.why == "told", "{back:?}");

        // the guard is killed in a pulse: the relay lets go, by the next guard or by itself
        let on = open(&api, "second", &mut |limit| relay.edge(limit))?;
        gateway.signal_guard(Signal::KILL)?;
        let off = relay.edge(secs(15))?;
        ensure!(!off.energised && off.at_ns - on < 4_000 * MS + SLACK, "{off:?}");
        fault(&api, "output:", None)?;
        fault(&api, "guard", None)?;

        // it has its network and does nothing: what it is asked then is given up, and it does nothing of it later
        relay.be_deaf(true);
        let pulses = relay.pulses();
        ask(&api, "deaf")?;
        until(secs(10), "the door to say that it did not open", || {
            let events = gateway.events()?;
            let mut kinds = events.iter().filter_map(|event| event["kind"].as_str());
            Ok(kinds.any(|kind| kind == "door.lock-fault").then_some(()))
        })?;
        fault(&api, "output:", Some("does not answer within 1000 ms"))?;
        relay.be_deaf(false);
        fault(&api, "output:", None)?;
        std::thread::sleep(Duration::from_millis(500));
        ensure!(relay.pulses() == pulses, "it opened by itself");

        // without its supply it is a fault, and no order waits for it
        drop(relay);
        fault(&api, "output:", Some("cannot be reached"))?;
        ensure!(ask(&api, "without-its-supply")?.status == 503);
        let mut relay = WebRelay::start(rig)?;
        fault(&api, "output:", None)?;
        ensure!(relay.pulses() == 0, "an order waited for it");
        open(&api, "third", &mut |limit| relay.edge(limit))?;
        ensure!(!relay.edge(secs(10))?.energised);
        gateway.stop()
    });
}

/// Two relays of one device share its server, or its topic, and are told apart by what they are told.
#[test]
fn two_relays_of_one_device_open_each_its_own_door() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let (mut shelly, mut web) = (Shelly::start(rig), WebRelay::start(rig)?);
        let more = format!(
            r#"
[outputs.two]
max-on-ms = 10000
[outputs.two.mqtt]
topic = "shelly/rpc"
on = '{{"id":1,"src":"doorline","method":"Switch.Set","params":{{"id":1,"on":true,"toggle_after":{{s}}}}}}'
off = '{{"id":1,"src":"doorline","method":"Switch.Set","params":{{"id":1,"on":false}}}}'
state-topic = "shelly/status/switch:1"
state-field = "/output"
ask-topic = "shelly/command"
ask = "status_update"
late-opening = "accepted"
timeout-ms = 3000
[outputs.three.http]
server = "http://127.0.0.1:{port}"
on = "/rpc/Switch.Set?id=0&on=true&toggle_after={{s}}"
off = "/rpc/Switch.Set?id=0&on=false"
state = "/rpc/Switch.GetStatus?id=0"
state-field = "/output"
late-opening = "accepted"
[outputs.four.http]
server = "http://127.0.0.1:{port}"
on = "/rpc/Switch.Set?id=1&on=true&toggle_after={{s}}"
off = "/rpc/Switch.Set?id=1&on=false"
state = "/rpc/Switch.GetStatus?id=1"
state-field = "/output"
late-opening = "accepted"
[doors.two]
name = "Second"
output = "two"
strike-ms = 1000
[doors.three]
name = "Third"
output = "three"
strike-ms = 1000
[doors.four]
name = "Fourth"
output = "four"
strike-ms = 1000
"#,
            port = rig.port(Use::WebRelay)
        );
        let text = format!("{}{more}", site(rig));
        // one relay under two names is told before anything runs, with both
        let same = format!(
            "{text}[outputs.again.http]\nserver = \"http://127.0.0.1:{}\"\non = \"/rpc/Switch.Set?id=1&on=true&toggle_after={{s}}\"\n\
             off = \"/rpc/Switch.Set?id=1&on=false&again=1\"\n",
            rig.port(Use::WebRelay)
        );
        let refused = format!("{:#}", Gateway::start(rig, &same).err().context("it was taken")?);
        ensure!(
            refused.contains("outputs.again.http.on") && refused.contains("outputs.four.http.on"),
            "{refused}"
        );

        let mut gateway = Gateway::start(rig, &text)?;
        let api = Api::set_up(rig, &gateway)?;
        fault(&api, "output:", None)?;
        fault(&api, "guard", None)?;
        for (door, why, edge) in [
            (
                "front",
                "told",
                &mut (|limit| shelly.edge(limit)) as &mut dyn FnMut(Duration) -> anyhow::Result<Edge>,
            ),
            ("three", "told", &mut |limit| web.edge(limit)),
        ] {
            let second = if door == "front" { "two" } else { "four" };
            for (door, why) in [(door, why.to_owned()), (second, format!("second: {why}"))] {
                let body = json!({ "id": format!("two-{door}"), "at": wall_clock()? });
                let opened = api.post(&format!("/api/v1/doors/{door}/open"), &body)?;
                ensure!(opened.status == 200, "{door}: {opened:?}");
                let on = edge(secs(5))?;
                ensure!(on.energised && on.why == why, "{door}: {on:?}");
                let off = edge(secs(10))?;
                ensure!(
                    !off.energised && off.why.starts_with("second") == why.starts_with("second"),
                    "{door}: {off:?}"
                );
            }
        }
        gateway.stop()
    });
}

/// Nothing takes an order back that a device has: what can be done is to end it within a moment, and to tell of it.
#[test]
fn a_relay_that_hangs_with_its_order_opens_late_for_a_moment_and_that_is_told() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let mut relay = WebRelay::start(rig)?;
        let site = with_web_relay(rig)?;
        // nobody has it at a door without knowing
        let unaware = site.replace("late-opening = \"accepted\"\n", "");
        let refused = Gateway::start(rig, &unaware).err().context("it was taken")?;
        ensure!(format!("{refused:#}").contains("may open late"), "{refused:#}");

        let mut gateway = Gateway::start(rig, &site)?;
        let api = Api::set_up(rig, &gateway)?;
        fault(&api, "output:", None)?;
        relay.hang(true);
        ask(&api, "hangs")?;
        gateway.event(0, "door.lock-fault", secs(10), |_| true)?;
        fault(&api, "output:", Some("does not answer within 1000 ms"))?;
        // it is not ready, and refuses
        ensure!(ask(&api, "while-it-hangs")?.status == 503);
        let before = gateway.last_seq();
        relay.hang(false);
        ensure!(relay.edge(secs(5))?.energised, "it does late what it was told");
        let off = relay.edge(secs(5))?;
        ensure!(
            !off.energised && off.why == "told",
            "its end was not waited for: {off:?}"
        );
        gateway.event(before, "door.lock-fault", secs(10), |record| {
            record["text"]
                .as_str()
                .is_some_and(|text| text.contains("without a lease"))
        })?;
        ensure!(relay.pulses() == 1, "it opened more often than it was told");
        // and it works on
        fault(&api, "output:http", None)?;
        open(&api, "afterwards", &mut |limit| relay.edge(limit))?;
        ensure!(!relay.edge(secs(10))?.energised);
        gateway.stop()
    });
}
