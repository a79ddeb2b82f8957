//! Phones and a PBX that hand the door's call on by SIP itself: REFER and 302.

use anyhow::ensure;
use peers::{Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Site, Use, run};

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
        // to somebody who is in no list of the panel: nobody rings, and the talk goes on
        first.transfer(&stranger.address())?;
        let refused = gateway.event(0, "call.handover-refused", secs(5), |_| true)?;
        ensure!(refused["reason"] == "not-listed", "{refused}");
        nine_opens(rig, &mut gateway, &mut first)?;
        ensure!(stranger.count("CALL_INCOMING") == 0, "a stranger was called");

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
        ensure!(gateway.pulses() == 2, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}

const PLAN: &str = "\
exten => 930,1,Answer()
 same => n,Wait(1)
 same => n,Transfer(PJSIP/sip:102@PBX)
 same => n,Verbose(0, transfer: ${TRANSFERSTATUS})
 same => n,Wait(30)
exten => 940,1,Transfer(PJSIP/sip:102@PBX)
 same => n,Hangup()
exten => 950,1,Transfer(PJSIP/sip:103@PBX)
 same => n,Hangup()
";

#[test]
fn asterisk_hands_the_call_on_by_refer_and_by_302_and_only_to_the_list() {
    run(|rig| {
        let plan = PLAN.replace("PBX", &format!("127.0.0.1:{}", rig.port(Use::PbxSip)));
        let pbx = Asterisk::start(
            rig,
            PbxParams {
                plan: &plan,
                ..PbxParams::default()
            },
        )?;
        let mut listed = Phone::start(rig, PhoneParams::at_pbx(0, "102", rig.port(Use::PbxSip)))?;
        let other = Phone::start(rig, PhoneParams::at_pbx(1, "103", rig.port(Use::PbxSip)))?;
        for user in ["102", "103"] {
            pbx.registered(user, secs(5))?;
        }
        for (target, by_refer) in [("930", true), ("940", false)] {
            let site = Site {
                account: Some(Account::default()),
                targets: vec![target.into(), "102".into()],
                state: Some(rig.path(target)),
                ..Site::default()
            };
            let mut gateway = Gateway::start(rig, &site.text(rig))?;
            gateway.event(0, "account.registered", secs(10), |_| true)?;
            let before = listed.count("CALL_INCOMING");
            gateway.ring()?;
            listed.hears("CALL_INCOMING", secs(15))?;
            ensure!(listed.count("CALL_INCOMING") == before + 1, "called twice");
            listed.answer()?;
            if by_refer {
                let told = gateway.event(0, "call.transferred", secs(10), |_| true)?;
                ensure!(told["may_open"] == true, "{told}");
            } else {
                gateway.event(0, "call.answered", secs(10), |_| true)?;
            }
            nine_opens(rig, &mut gateway, &mut listed)?;
            listed.hang_up()?;
            gateway.event(0, "call.ended", secs(10), |_| true)?;
            gateway.verify()?;
            gateway.stop()?;
        }
        let log = pbx.log();
        ensure!(log.contains("REFER sip:"), "Asterisk sent no REFER");
        ensure!(log.contains("message/sipfrag"), "it was not told how that went");
        ensure!(log.contains("SIP/2.0 302 "), "Asterisk sent no 302");

        let site = Site {
            account: Some(Account::default()),
            targets: vec!["950".into()],
            state: Some(rig.path("950")),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.event(0, "account.registered", secs(10), |_| true)?;
        gateway.ring()?;
        let refused = gateway.event(0, "call.handover-refused", secs(10), |_| true)?;
        ensure!(refused["reason"] == "not-listed", "{refused}");
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        ensure!(other.count("CALL_INCOMING") == 0, "a phone outside the list rang");
        gateway.verify()
    });
}
