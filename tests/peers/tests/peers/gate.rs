//! The gate of `config/examples/scenarios/gate`: a driver calls its number, the manager sees who calls and presses 5.

use anyhow::ensure;
use peers::{Asterisk, Gateway, PbxParams, Phone, PhoneParams, Scenario, Use, run, until};

use crate::secs;

#[test]
fn the_manager_sees_the_drivers_number_and_five_opens_the_barrier_while_they_talk() {
    run(|rig| {
        let gate = Scenario::named("gate");
        let plan = gate.plan("gate")?;
        let features = gate.file("features.conf")?;
        let params = PbxParams {
            files: &[("features.conf", &features)],
            plan: &plan,
            users: &["506", "510", "0476000001"],
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let port = rig.port(Use::PbxSip);
        let mut driver = Phone::start(rig, PhoneParams::at_pbx(0, "0476000001", port))?;
        let mut manager = Phone::start(rig, PhoneParams::at_pbx(1, "510", port))?;
        for user in ["0476000001", "510"] {
            pbx.registered(user, secs(5))?;
        }
        let mut gateway = Gateway::start(rig, &gate.site(rig, &[])?)?;
        pbx.registered("506", secs(10))?;

        driver.dial(&format!("sip:507@127.0.0.1:{port}"))?;
        let rings = manager.hears("CALL_INCOMING", secs(10))?;
        ensure!(rings.whole.to_string().contains("0476000001"), "{rings:?}");
        manager.answer()?;
        driver.hears("CALL_ESTABLISHED", secs(10))?;
        manager.hears("CALL_ESTABLISHED", secs(10))?;
        // the driver's own keys are no one's permission, nor are the manager's other ones
        for key in ['5', '9'] {
            driver.press(key)?;
        }
        manager.press('9')?;
        gateway.stays_at_rest(secs(3))?;
        let called = gateway.events()?.iter().any(|e| e["kind"] == "call.incoming");
        ensure!(!called, "a key of the driver, or another one, called the barrier");

        manager.press('5')?;
        let granted = gateway.event(0, "door.granted", secs(10), |_| true)?;
        let who = granted["subject"].as_str().unwrap_or_default();
        ensure!(granted["factor"] == "caller" && who.contains("510"), "{granted}");
        gateway.energised(secs(5))?;
        gateway.released(secs(5))?;
        // they still talk: the manager opens again, for the next in the queue
        for phone in [&driver, &manager] {
            ensure!(phone.count("CALL_CLOSED") == 0, "the talk ended");
        }
        until(secs(10), "the first call of the barrier to be over", || {
            let channels = pbx.cli("core show channels concise")?;
            Ok((!channels.contains("PJSIP/506-")).then_some(()))
        })?;
        manager.press('5')?;
        gateway.energised(secs(10))?;
        gateway.released(secs(5))?;
        manager.hang_up()?;
        driver.hears("CALL_CLOSED", secs(10))?;

        // a driver who finds out the barrier's own extension does not reach it
        let before = gateway.last_seq();
        driver.dial(&format!("sip:506@127.0.0.1:{port}"))?;
        let closed = driver.hears("CALL_CLOSED", secs(10))?;
        ensure!(closed.whole.to_string().contains("404"), "{closed:?}");
        gateway.stays_at_rest(secs(1))?;
        ensure!(gateway.last_seq() == before, "the barrier was called");
        ensure!(gateway.pulses() == 2, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}
