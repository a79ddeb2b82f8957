//! A phone calls the door.

use anyhow::ensure;
use peers::{Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Site, Use, run};

use crate::secs;
use crate::story::{both_hear, nine_opens, visitor};

/// Phone 101 calls extension 200, talks, and presses 9.
fn call_the_door(callers: &[&str], opens: bool) {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let port = rig.port(Use::PbxSip);
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", port))?;
        pbx.registered("101", secs(5))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            account: Some(Account::default()),
            callers: callers.iter().map(|c| (*c).to_owned()).collect(),
            targets: vec!["101".into()],
            visitor: file,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("200", secs(10))?;
        phone.dial(&format!("sip:200@127.0.0.1:{port}"))?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        both_hear(rig, &phone, &sound)?;
        if opens {
            nine_opens(rig, &mut gateway, &mut phone)?;
        } else {
            phone.press('9')?;
            gateway.stays_at_rest(secs(3))?;
        }
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        let granted = gateway
            .events()?
            .iter()
            .filter(|e| e["kind"] == "door.granted")
            .count();
        ensure!(granted == usize::from(opens), "{granted} grants");
        gateway.verify()
    });
}

#[test]
fn a_listed_caller_is_answered_talks_and_opens() {
    call_the_door(&["101"], true);
}

#[test]
fn a_caller_that_is_not_listed_is_answered_and_talks_but_does_not_open() {
    call_the_door(&["102"], false);
}

#[test]
fn without_a_list_no_caller_opens() {
    call_the_door(&[], false);
}
