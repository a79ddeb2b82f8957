//! What the outside sees of one ring: journal, MQTT and API tell the same; broker gone and back.

use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use peers::{
    Api, BrokerParams, Gateway, Listener, Mosquitto, Phone, PhoneParams, Shaky, Site, Use, run, until,
};
use serde_json::{Value, json};

use crate::faults::door_works;
use crate::secs;
use crate::story::{nine_opens, one_ring};

const EVENTS: &str = "doorline/test/event";

pub(crate) fn wall_clock() -> anyhow::Result<String> {
    wall_clock_at(SystemTime::now())
}

/// A time as RFC 3339 has it.
pub(crate) fn wall_clock_at(at: SystemTime) -> anyhow::Result<String> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH)?;
    let out = Command::new("date")
        .arg("-u")
        .arg(format!(
            "--date=@{}.{:03}",
            since.as_secs(),
            since.subsec_millis()
        ))
        .arg("+%Y-%m-%dT%H:%M:%S.%3NZ")
        .output()?;
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

/// Every record of the journal up to `last` has come over MQTT, in order.
fn all_over_mqtt(listener: &Listener, gateway: &Gateway, last: u64) -> anyhow::Result<()> {
    listener.hears("the last record", secs(20), |m| {
        m.topic == EVENTS && m.payload["seq"] == last
    })?;
    let mut seen: Vec<u64> = vec![];
    for message in listener.all().iter().filter(|m| m.topic == EVENTS) {
        ensure!(!message.retained, "an event was retained: {message:?}");
        let seq = message.payload["seq"].as_u64().context("an event without seq")?;
        // at least once: a record may come again, but none before its time
        ensure!(
            seq <= seen.last().copied().unwrap_or(0) + 1 || seen.is_empty(),
            "{seq} after {seen:?}"
        );
        if !seen.contains(&seq) {
            seen.push(seq);
        }
    }
    let wanted: Vec<u64> = gateway
        .events()?
        .iter()
        .filter_map(|e| e["seq"].as_u64())
        .filter(|s| *s <= last)
        .collect();
    let missing: Vec<&u64> = wanted.iter().filter(|s| !seen.contains(s)).collect();
    ensure!(missing.is_empty(), "records {missing:?} did not come over MQTT");
    Ok(())
}

#[test]
fn journal_mqtt_and_api_tell_one_story_under_one_ring_id() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let site = Site {
            targets: vec![phone.address()],
            mqtt: true,
            http: true,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let api = Api::set_up(rig, &gateway)?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        nine_opens(rig, &mut gateway, &mut phone)?;
        phone.hang_up()?;
        gateway.event(0, "panel.ring-ended", secs(5), |_| true)?;

        let events = gateway.events()?;
        let ring = one_ring(
            &events,
            &[
                "panel.ring",
                "call.answered",
                "door.unlocked",
                "door.relocked",
                "call.ended",
            ],
        )?;
        let of_ring: Vec<&Value> = events.iter().filter(|e| e["ring_id"] == ring.as_str()).collect();
        let last = of_ring
            .last()
            .and_then(|e| e["seq"].as_u64())
            .context("records of the ring")?;
        all_over_mqtt(&listener, &gateway, last)?;
        let messages = listener.all();
        for event in &of_ring {
            let same = messages.iter().any(|m| m.topic == EVENTS && m.payload == **event);
            ensure!(same, "{event} is not on MQTT as it is in the journal");
        }
        let story = api.get(&format!("/api/v1/rings/{ring}"))?;
        ensure!(story.status == 200, "{story:?}");
        let text = story.body.to_string();
        for word in [ring.as_str(), "main", "bell", "front", "digits"] {
            ensure!(text.contains(word), "{word} is not in the API's story: {text}");
        }
        let listed = api.get("/api/v1/rings")?;
        let count = listed.body.to_string().matches(&format!("\"{ring}\"")).count();
        ensure!(count == 1, "the ring is listed {count} times: {}", listed.body);
        gateway.verify()
    });
}

#[test]
fn the_api_opens_for_a_person_and_for_nobody_else() {
    run(|rig| {
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            http: true,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let stranger = Api::new(rig);
        let refused = stranger.post("/api/v1/doors/front/open", &json!({}))?;
        ensure!(refused.status == 401 || refused.status == 403, "{refused:?}");
        gateway.stays_at_rest(secs(1))?;
        let mut api = Api::set_up(rig, &gateway)?;
        // who misspells a field, or lost the group, ends no lockdown of the whole site
        ensure!(api.post("/api/v1/lockdown/begin", &json!({}))?.status == 200);
        for (body, reason) in [
            (json!({ "gruop": "lobby" }), "body"),
            (json!({ "group": null }), "body"),
        ] {
            let refused = api.post("/api/v1/lockdown/end", &body)?;
            ensure!(
                refused.status == 400 && refused.body["reason"] == reason,
                "{body}: {refused:?}"
            );
        }
        ensure!(
            api.get("/api/v1/doors/front")?.body["lockdown"] == true,
            "it was ended by mistake"
        );
        ensure!(api.post("/api/v1/lockdown/end", &json!({}))?.status == 200);
        let command = json!({ "id": "peers-1", "at": wall_clock()? });
        let opened = api.post("/api/v1/doors/front/open", &command)?;
        ensure!(opened.status == 200, "{opened:?}");
        let seq = opened.body["seq"].as_u64().context("the record's number")?;
        gateway.energised(secs(3))?;
        gateway.released(secs(5))?;
        // accepted is durable: it is there after a kill -9
        gateway.process().kill();
        ensure!(
            gateway.events()?.iter().any(|e| e["seq"] == seq),
            "record {seq} was acknowledged and is gone"
        );
        gateway.again(rig)?;
        api.log_in()?;
        let again = api.post("/api/v1/doors/front/open", &command)?;
        ensure!(again.status >= 400, "the same command opened twice: {again:?}");
        gateway.stays_at_rest(secs(2))
    });
}

#[test]
fn mqtt_opens_with_id_and_time_and_old_news_opens_nothing() {
    run(|rig| {
        let _broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let topic = "doorline/test/door/front/command";
        // kept by the broker from before the gateway came
        listener.send(
            topic,
            &json!({ "command": "open", "id": "kept", "at": wall_clock()? }),
            true,
        )?;
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            mqtt: true,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        listener.hears("the gateway's presence", secs(10), |m| {
            m.topic == "doorline/test/availability" && m.payload == "online"
        })?;
        gateway.stays_at_rest(secs(2))?;
        let answer = |id: &str| {
            let id = id.to_owned();
            listener.hears(&format!("the answer to {id}"), secs(10), move |m| {
                m.topic == "doorline/test/response" && m.payload["id"] == id.as_str()
            })
        };
        let good = json!({ "command": "open", "id": "now", "at": wall_clock()? });
        listener.send(topic, &good, false)?;
        ensure!(answer("now")?.payload["status"] == "ok", "{:?}", answer("now")?);
        gateway.energised(secs(3))?;
        gateway.released(secs(5))?;
        listener.send(topic, &good, false)?;
        listener.send(
            topic,
            &json!({ "command": "open", "id": "old", "at": "2026-01-01T00:00:00Z" }),
            false,
        )?;
        listener.send(topic, &json!({ "command": "open" }), false)?;
        ensure!(
            answer("old")?.payload["status"] == "refused",
            "{:?}",
            answer("old")?
        );
        gateway.stays_at_rest(secs(2))
    });
}

#[test]
fn a_broker_that_goes_and_comes_back_gets_every_record_in_order() {
    run(|rig| {
        let mut broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            mqtt: true,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        door_works(&mut gateway)?;
        broker.kill();
        // cards go on without a broker
        door_works(&mut gateway)?;
        let before = gateway.last_seq();
        broker.again(rig)?;
        // either of the two may be back first, so something goes on happening; each level stands for longer than
        // the input's debounce of 20 ms, or nothing would have happened
        let mut level = "on";
        until(secs(30), "the gateway at the broker again", || {
            gateway.sim(&["contact", "front-contact", level])?;
            level = if level == "on" { "off" } else { "on" };
            std::thread::sleep(std::time::Duration::from_millis(100));
            Ok(listener
                .all()
                .iter()
                .any(|m| m.payload["seq"].as_u64() > Some(before) && m.topic == EVENTS)
                .then_some(()))
        })?;
        let last = gateway.last_seq();
        listener.hears("the last record", secs(20), |m| {
            m.topic == EVENTS && m.payload["seq"] == last
        })?;
        ensure!(!gateway.log().contains("panicked"), "the gateway panicked");
        let retained = Listener::start(rig)?;
        retained.hears("the door's state, kept by the new broker", secs(5), |m| {
            m.retained && m.topic == "doorline/test/door/front/state"
        })?;
        Ok(())
    });
}

/// Keys that are typed while the broker is away: ten a second for ten minutes.
const TRAFFIC: usize = 6000;
/// How often the connection ends amid acknowledgements, each time after so many bytes of them: MQTT 5 has 4 or 6 for each.
const BREAKS: u64 = 6;
const ACKNOWLEDGED: u64 = 333;

/// Numbers of records on the feed, each with whether it is marked as one that may have come before.
fn fed(listener: &Listener) -> Vec<(u64, bool)> {
    let all = listener
        .all()
        .into_iter()
        .filter(|message| message.topic == EVENTS);
    all.filter_map(|message| Some((message.payload["seq"].as_u64()?, message.payload["again"] == true)))
        .collect()
}

#[test]
fn ten_minutes_without_a_broker_and_a_way_that_breaks_amid_acknowledgements_lose_no_record() {
    run(|rig| {
        let params = BrokerParams {
            patient: true,
            ..BrokerParams::default()
        };
        let mut broker = Mosquitto::start_with(rig, &params)?;
        let way = Shaky::to(rig.port(Use::Mqtt))?;
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            mqtt: true,
            ..Site::default()
        };
        let direct = format!("mqtt://127.0.0.1:{}", rig.port(Use::Mqtt));
        let text = site.text(rig);
        ensure!(text.contains(&direct), "{text}");
        let text = text.replace(&direct, &format!("mqtt://127.0.0.1:{}", way.port));
        let first = Listener::start(rig)?;
        let mut gateway = Gateway::start(rig, &text)?;
        first.hears("a record", secs(20), |message| message.topic == EVENTS)?;
        until(secs(20), "everything so far", || {
            Ok((fed(&first).last().map(|(seq, _)| *seq) >= Some(gateway.last_seq())).then_some(()))
        })?;

        way.shut(true);
        broker.kill();
        type_keys(&gateway, TRAFFIC / 2)?;
        gateway.process().signal(rustix::process::Signal::KILL)?;
        gateway.process().wait(secs(10))?;
        gateway.again(rig)?;
        type_keys(&gateway, TRAFFIC / 2)?;
        broker.again(rig)?;
        // who listens is there before anything comes, as a program with a session of its own is
        let listener = Listener::start(rig)?;
        way.break_after(ACKNOWLEDGED);
        way.shut(false);
        until(secs(120), "the way to break", || {
            Ok((way.broken() >= BREAKS).then_some(()))
        })?;
        way.break_after(u64::MAX);
        let last = gateway
            .events()?
            .last()
            .and_then(|event| event["seq"].as_u64())
            .unwrap_or_default();
        let mut heard = vec![];
        until(secs(120), "the last record", || {
            std::thread::sleep(Duration::from_millis(300));
            heard = fed(&listener);
            Ok((heard.last().map(|(seq, _)| *seq) >= Some(last)).then_some(()))
        })?;
        // the first connection of the dead broker had everything before
        let before = fed(&first).last().map_or(0, |(seq, _)| *seq);
        let (mut next, mut twice) = (heard[0].0, 0);
        ensure!(next <= before + 1, "it begins with {next}, and {before} had come");
        for (seq, again) in &heard {
            ensure!(*seq <= next, "record {next} is missing before {seq}");
            ensure!(*seq == next || *again, "record {seq} came twice without a mark");
            twice += usize::from(*seq < next);
            next = next.max(seq + 1);
        }
        ensure!(next > last && last > TRAFFIC as u64, "{next} {last}");
        rig.measured(
            "records after ten minutes without a broker",
            format!(
                "{} of which {twice} came again, over {} connections that broke",
                heard.len(),
                way.broken()
            ),
        );
        Ok(())
    });
}

/// Types so many keys, each of them a record.
fn type_keys(gateway: &Gateway, keys: usize) -> anyhow::Result<()> {
    let before = gateway.events()?.len();
    for _ in 0..keys / 500 {
        gateway.sim(&["keys", "front-reader", &"7".repeat(500)])?;
    }
    until(secs(120), "every key", || {
        std::thread::sleep(Duration::from_millis(200));
        Ok((gateway.events()?.len() >= before + keys).then_some(()))
    })
}
