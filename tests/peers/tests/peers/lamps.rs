//! What other phones learn of a door without a call: lamps, and texts both ways.

use anyhow::ensure;
use peers::{Gateway, Phone, PhoneParams, Sipp, Site, run};

use crate::secs;

#[test]
fn a_lamp_follows_the_call_of_a_bell() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(1, "anna"))?;
        let site = Site {
            targets: vec![phone.address()],
            ..Site::default()
        };
        let gateway = Gateway::start(rig, &site.text(rig))?;
        let mut lamp = Sipp::calls(rig, "watches-the-door", 1)?;
        // it sees that nobody calls before the bell is pressed
        std::thread::sleep(secs(2));
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        std::thread::sleep(secs(2));
        phone.answer()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        std::thread::sleep(secs(2));
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        lamp.done(secs(20))?;
        gateway.verify()
    });
}

#[test]
fn a_text_is_in_the_journal_and_opens_nothing_and_a_rule_sends_one() {
    run(|rig| {
        let more = "[rules.opened]\non = [\"door.granted\"]\n\
                    do = [{ text = { list = \"people\", panel = \"main\", message = \"{source} was opened\" } }]\n";
        let site = Site {
            callers: vec![Sipp::address(rig)],
            targets: vec![Sipp::address(rig)],
            more: more.into(),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        Sipp::calls(rig, "sends-a-text", 1)?.done(secs(20))?;
        let told = gateway.event(0, "panel.message-received", secs(5), |_| true)?;
        ensure!(told["text"] == "9" && told["source"] == "main", "{told}");
        ensure!(gateway.pulses() == 0, "a text has opened the door");
        let mut getter = Sipp::called(rig, "gets-a-text", 1)?;
        std::thread::sleep(secs(1));
        gateway.sim(&["rex", "front-rex"])?;
        gateway.energised(secs(5))?;
        getter.done(secs(20))?;
        gateway.verify()
    });
}
