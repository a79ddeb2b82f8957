//! The warehouse of `config/examples/scenarios/alarm`: a detector has security called, one after the other and then at once,
//! until somebody types the code. A wrong code, an answer without one and a gateway that is killed end no alarm.

use std::time::Duration;

use anyhow::ensure;
use peers::{
    Asterisk, Gateway, Listener, Mosquitto, PbxParams, Phone, PhoneParams, Scenario, Use, WebhookServer, run,
    until,
};

use crate::secs;

#[test]
fn security_is_called_until_somebody_types_the_code_and_the_siren_rests() {
    run(|rig| {
        let house = Scenario::named("alarm");
        let plan = house.plan("alarm")?;
        let params = PbxParams {
            plan: &plan,
            users: &["507", "510", "511", "520", "521"],
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let port = rig.port(Use::PbxSip);
        let mut phones = Vec::new();
        for (n, user) in (0..).zip(["510", "511", "520", "521"]) {
            phones.push(Phone::start(rig, PhoneParams::at_pbx(n, user, port))?);
        }
        for user in ["510", "511", "520", "521"] {
            pbx.registered(user, secs(5))?;
        }
        let [mut gate, mut patrol, mut chief, mut deputy] =
            <[Phone; 4]>::try_from(phones).map_err(|_| anyhow::anyhow!("four phones"))?;
        let _broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        let control = WebhookServer::start(rig)?;
        let (url, key) = (
            format!("http://127.0.0.1:{}/hooks/door", rig.port(Use::Webhook)),
            format!("key = \"{}\"", WebhookServer::KEY),
        );
        let changes = [
            ("https://control.example/hooks/alarm", url.as_str()),
            ("key-file = \"control.secret\"", key.as_str()),
            ("ring-s = 20", "ring-s = 10"),
        ];
        let mut gateway = Gateway::start(rig, &house.site(rig, &changes)?)?;
        pbx.registered("507", secs(10))?;
        let said = |step: &str| {
            listener.hears(step, secs(10), |m| {
                m.topic == "doorline/warehouse/message/alarm" && m.payload["step"] == step
            })
        };

        // the guard at the gate answers and says nothing; the one on patrol refuses
        gateway.sim(&["contact", "detector", "on"])?;
        gateway.energised(secs(5))?;
        said("alarm.raised")?;
        gate.hears("CALL_INCOMING", secs(10))?;
        gate.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        gate.hang_up()?;
        patrol.hears("CALL_INCOMING", secs(10))?;
        patrol.hang_up()?;

        // then both chiefs ring; one types a wrong code, and the right one
        chief.hears("CALL_INCOMING", secs(10))?;
        deputy.hears("CALL_INCOMING", secs(10))?;
        said("alarm.escalated")?;
        let before = gateway.last_seq();
        chief.answer()?;
        deputy.hears("CALL_CLOSED", secs(10))?;
        gateway.event(before, "call.answered", secs(10), |_| true)?;
        for key in "4712".chars() {
            chief.press(key)?;
        }
        gateway.event(before, "alarm.wrong-code", secs(10), |e| e["left"] == 2)?;
        gateway.stays_at_rest(secs(0))?;
        for key in "4711".chars() {
            chief.press(key)?;
        }
        gateway.released(secs(10))?;
        let confirmed = gateway.event(before, "alarm.confirmed", secs(5), |_| true)?;
        let who = confirmed["subject"].as_str().unwrap_or_default();
        ensure!(
            confirmed["factor"] == "digits" && who.contains("520"),
            "{confirmed}"
        );
        chief.hears("CALL_CLOSED", secs(10))?;
        said("alarm.confirmed")?;
        let line = format!("{} alarm.confirmed intrusion", confirmed["seq"]);
        until(secs(10), "the control room to be told", || {
            Ok(control.lines().contains(&line).then_some(()))
        })?;
        let story = gateway.events()?;
        let of_it = story.iter().filter(|e| e["source"] == "intrusion");
        let told: Vec<(&str, bool)> = of_it
            .map(|e| {
                let kind = e["kind"].as_str().unwrap_or_default();
                (kind, e["ring_id"] == confirmed["ring_id"])
            })
            .collect();
        let want = [
            "alarm.raised",
            "alarm.called",
            "alarm.called",
            "alarm.escalated",
            "alarm.called",
            "alarm.wrong-code",
            "alarm.confirmed",
        ];
        ensure!(told == want.map(|kind| (kind, true)), "{told:?}");

        // it is killed while the next alarm goes on
        let raised = until(secs(20), "the next alarm to be raised", || {
            gateway.sim(&["contact", "detector", "off"])?;
            // for longer than its contact may bounce
            std::thread::sleep(Duration::from_millis(100));
            gateway.sim(&["contact", "detector", "on"])?;
            Ok(gateway.event(before, "alarm.raised", secs(1), |_| true).ok())
        })?;
        gateway.energised(secs(5))?;
        gate.hears("CALL_INCOMING", secs(10))?;
        gateway.process().kill();
        gateway.released(secs(5))?;
        // the PBX does not know, and rings on
        gate.hang_up()?;
        gate.hears("CALL_CLOSED", secs(10))?;
        let before = gateway.last_seq();
        gateway.again(rig)?;
        gateway.energised(secs(10))?;
        let called = gateway.event(before, "alarm.called", secs(10), |_| true)?;
        ensure!(called["ring_id"] == raised["ring_id"], "{called} of {raised}");
        gate.hears("CALL_INCOMING", secs(20))?;
        gate.answer()?;
        gateway.event(before, "call.answered", secs(10), |_| true)?;
        for key in "4711".chars() {
            gate.press(key)?;
        }
        gateway.released(secs(10))?;
        gateway.event(before, "alarm.confirmed", secs(5), |_| true)?;
        gateway.verify()
    });
}
