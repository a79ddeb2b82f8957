//! The office of `config/examples/scenarios/office`: a guest presses, reception answers and presses 9, the door opens.

use anyhow::ensure;
use peers::{Asterisk, Gateway, PbxParams, Phone, PhoneParams, Scenario, Use, run};

use crate::secs;
use crate::story::one_ring;

#[test]
fn a_guest_rings_reception_answers_and_nine_opens_and_without_an_answer_the_back_office_is_asked() {
    run(|rig| {
        let office = Scenario::named("office");
        let plan = office.plan("office")?;
        let params = PbxParams {
            plan: &plan,
            users: &["503", "1000", "1001"],
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let port = rig.port(Use::PbxSip);
        let mut reception = Phone::start(rig, PhoneParams::at_pbx(0, "1000", port))?;
        let mut back = Phone::start(rig, PhoneParams::at_pbx(1, "1001", port))?;
        for user in ["1000", "1001"] {
            pbx.registered(user, secs(5))?;
        }
        let mut gateway = Gateway::start(rig, &office.site(rig, &[("ring-s = 20", "ring-s = 10")])?)?;
        pbx.registered("503", secs(10))?;

        gateway.sim(&["press", "entrance", "bell"])?;
        reception.hears("CALL_INCOMING", secs(10))?;
        gateway.stays_at_rest(secs(1))?;
        reception.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        // the PBX says so a moment before it has joined both
        gateway.stays_at_rest(secs(1))?;
        reception.press('5')?;
        // longer than a code waits for its next digit
        gateway.stays_at_rest(secs(5))?;
        // who typed it hears that it was wrong, and what is heard is no key
        let heard = reception.recording()?.last(5.0);
        let (refused, opening) = (heard.tone(300.0), heard.tone(1047.0));
        rig.measured(
            "a wrong code sounds",
            format!("300 Hz {refused:.2}, 1047 Hz {opening:.2}"),
        );
        ensure!(
            refused > 0.8 && opening < 0.3,
            "300 Hz {refused:.2}, 1047 Hz {opening:.2}"
        );
        let denied = gateway.event(0, "door.denied", secs(5), |_| true)?;
        ensure!(denied["reason"] == "wrong code", "{denied}");
        let digits = gateway.events()?;
        let digits = digits
            .iter()
            .filter(|e| e["kind"].as_str().is_some_and(|k| k.starts_with("call.digit")));
        ensure!(digits.count() == 1, "the tone was taken for a key");
        reception.press('9')?;
        gateway.energised(secs(5))?;
        // the guest pulls the door open, and that ends the strike and the call
        gateway.sim(&["contact", "contact", "on"])?;
        gateway.released(secs(3))?;
        reception.hears("CALL_CLOSED", secs(10))?;
        gateway.sim(&["contact", "contact", "off"])?;
        gateway.event(0, "door.closed", secs(5), |_| true)?;
        ensure!(back.count("CALL_INCOMING") == 0, "the back office was called");
        let granted = gateway.event(0, "door.granted", secs(5), |_| true)?;
        let who = granted["subject"].as_str().unwrap_or_default();
        ensure!(granted["factor"] == "digits" && who.contains("1000"), "{granted}");
        let story: Vec<_> = gateway
            .events()?
            .into_iter()
            // a door that is shut belongs to nobody's ring
            .filter(|e| e["kind"] != "door.opened" && e["kind"] != "door.closed")
            .collect();
        one_ring(
            &story,
            &[
                "panel.ring",
                "call.answered",
                "door.granted",
                "door.unlocked",
                "call.ended",
            ],
        )?;

        // nobody at reception
        let before = gateway.last_seq();
        gateway.sim(&["press", "entrance", "bell"])?;
        reception.hears("CALL_INCOMING", secs(10))?;
        back.hears("CALL_INCOMING", secs(20))?;
        back.answer()?;
        gateway.event(before, "call.answered", secs(10), |_| true)?;
        // who rang and did not answer has no say
        reception.hears("CALL_CLOSED", secs(10))?;
        back.press('9')?;
        gateway.energised(secs(5))?;
        let granted = gateway.event(before, "door.granted", secs(5), |_| true)?;
        let who = granted["subject"].as_str().unwrap_or_default();
        ensure!(who.contains("1001"), "{granted}");
        gateway.released(secs(6))?;
        ensure!(gateway.pulses() == 2, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}
