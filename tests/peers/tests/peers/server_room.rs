//! The server room of `config/examples/scenarios/server-room`: a card is told to the ERP and leads to a call of security;
//! only their code opens. No card, no entry; no answer, no entry.

use anyhow::ensure;
use peers::{Asterisk, Gateway, PbxParams, Phone, PhoneParams, Scenario, Use, WebhookServer, run, until};

use crate::secs;

#[test]
fn a_card_is_told_to_the_erp_and_only_the_code_of_security_opens() {
    run(|rig| {
        let room = Scenario::named("server-room");
        // here somebody who finds out its number can call it
        let plan = room.plan("server-room")? + "[house](+)\nexten => 505,1,Dial(PJSIP/505,10)\n";
        let params = PbxParams {
            plan: &plan,
            users: &["505", "510", "511"],
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let port = rig.port(Use::PbxSip);
        let mut security = Phone::start(rig, PhoneParams::at_pbx(0, "510", port))?;
        let mut second = Phone::start(rig, PhoneParams::at_pbx(1, "511", port))?;
        for user in ["510", "511"] {
            pbx.registered(user, secs(5))?;
        }
        let erp = WebhookServer::start(rig)?;
        let (url, key) = (
            format!("http://127.0.0.1:{}/hooks/door", rig.port(Use::Webhook)),
            format!("key = \"{}\"", WebhookServer::KEY),
        );
        let changes = [
            ("https://erp.example/hooks/door", url.as_str()),
            ("key-file = \"erp.secret\"", key.as_str()),
            ("ring-s = 20", "ring-s = 10"),
        ];
        let mut gateway = Gateway::start(rig, &room.site(rig, &changes)?)?;
        pbx.registered("505", secs(10))?;
        let add = [
            "add",
            "alice",
            "--groups",
            "server-staff",
            "--card",
            "26:123,04567",
        ];
        let added = gateway.command("people", &add)?;
        ensure!(added.status.success(), "{added:?}");
        let card = |gateway: &Gateway, card: &str| gateway.sim(&["card", "server-room", card]);

        // no card that counts: a stranger's leads to no call
        card(&gateway, "26:1,1")?;
        gateway.event(0, "door.denied", secs(5), |_| true)?;
        gateway.stays_at_rest(secs(2))?;
        ensure!(
            security.count("CALL_INCOMING") == 0,
            "a stranger's card called security"
        );

        // a card, the call, a wrong code, the right one
        let before = gateway.last_seq();
        card(&gateway, "26:123,04567")?;
        security.hears("CALL_INCOMING", secs(10))?;
        let told = gateway.event(before, "rule.notify", secs(5), |e| e["source"] == "card")?;
        ensure!(
            told["message"] == "person:alice asks for the server room",
            "{told}"
        );
        let line = format!("{} rule.notify card", told["seq"]);
        until(secs(10), "the ERP to be told", || {
            Ok(erp.lines().contains(&line).then_some(()))
        })?;
        let called = gateway.event(before, "rule.called", secs(5), |_| true)?;
        security.answer()?;
        gateway.event(before, "call.answered", secs(10), |e| {
            e["ring_id"] == called["call"]
        })?;
        gateway.stays_at_rest(secs(1))?;
        for key in "4712".chars() {
            security.press(key)?;
        }
        gateway.event(before, "door.denied", secs(10), |e| e["factor"] == "digits")?;
        gateway.stays_at_rest(secs(1))?;
        for key in "4711".chars() {
            security.press(key)?;
        }
        let granted = gateway.event(before, "door.granted", secs(10), |_| true)?;
        let who = granted["subject"].as_str().unwrap_or_default();
        ensure!(
            granted["factor"] == "digits" && granted["ring_id"] == called["call"] && who.contains("510"),
            "{granted}"
        );
        gateway.energised(secs(5))?;
        gateway.released(secs(6))?;
        security.hears("CALL_CLOSED", secs(10))?;
        let line = format!("{} door.granted server-room", granted["seq"]);
        until(secs(10), "the ERP to be told of the opening", || {
            Ok(erp.lines().contains(&line).then_some(()))
        })?;

        // nobody answers at either desk
        let before = gateway.last_seq();
        card(&gateway, "26:123,04567")?;
        security.hears("CALL_INCOMING", secs(10))?;
        second.hears("CALL_INCOMING", secs(20))?;
        gateway.event(before, "panel.ring-ended", secs(30), |e| {
            e["outcome"] == "no-answer"
        })?;
        gateway.stays_at_rest(secs(1))?;

        // and security alone, without a card, opens nothing: the room takes no calls
        let before = gateway.last_seq();
        security.dial(&format!("sip:505@127.0.0.1:{port}"))?;
        security.hears("CALL_CLOSED", secs(10))?;
        let rejected = gateway.event(before, "call.rejected", secs(5), |_| true)?;
        ensure!(rejected["reason"] == "refused", "{rejected}");
        gateway.stays_at_rest(secs(1))?;
        let granted = gateway
            .events()?
            .iter()
            .any(|e| e["seq"].as_u64() > Some(before) && e["kind"] == "door.granted");
        ensure!(!granted && gateway.pulses() == 1, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}
