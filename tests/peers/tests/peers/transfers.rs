//! Phones that hand the door's call on by SIP itself: REFER.

use anyhow::ensure;
use peers::{Gateway, Phone, PhoneParams, Site, run};

use crate::secs;
use crate::story::{both_hear, nine_opens, visitor};

#[test]
fn a_phone_hands_a_direct_call_to_a_phone_of_the_list_which_opens_then() {
    run(|rig| {
        let mut first = Phone::start(rig, PhoneParams::direct(0, "anna"))?;
        let mut second = Phone::start(rig, PhoneParams::direct(1, "bert"))?;
        let stranger = Phone::start(rig, PhoneParams::direct(2, "carl"))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            targets: vec![first.address(), second.address()],
            visitor: file,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        first.hears("CALL_INCOMING", secs(10))?;
        first.answer()?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        first.transfer(&second.address())?;
        second.hears("CALL_INCOMING", secs(10))?;
        second.answer()?;
        let told = gateway.event(0, "call.transferred", secs(5), |_| true)?;
        ensure!(told["may_open"] == true, "{told}");
        first.hears("CALL_CLOSED", secs(10))?;
        both_hear(rig, &second, &sound)?;
        nine_opens(rig, &mut gateway, &mut second)?;
        second.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        // to somebody who is in no list of the panel nobody rings; this phone hangs up when it is refused
        let seq = gateway.last_seq();
        gateway.ring()?;
        first.hears("CALL_INCOMING", secs(10))?;
        first.answer()?;
        gateway.event(seq, "call.answered", secs(5), |_| true)?;
        first.transfer(&stranger.address())?;
        let refused = gateway.event(seq, "call.handover-refused", secs(5), |_| true)?;
        ensure!(refused["reason"] == "not-listed", "{refused}");
        gateway.event(seq, "call.ended", secs(10), |_| true)?;
        ensure!(stranger.count("CALL_INCOMING") == 0, "a stranger was called");
        gateway.verify()
    });
}
