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

#[test]
fn of_two_doors_the_one_that_is_called_opens_and_a_name_that_none_has_reaches_nobody() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let site = Site {
            callers: vec![phone.address()],
            targets: vec![phone.address()],
            more: format!(
                r#"
[outputs.aback-strike.virtual]
[lines.second]
call-in = "self-start"
[lines.second.virtual]
[panels.aback]
name = "Back"
line = "second"
doors = ["aback"]
extension = "507"
[panels.aback.buttons.bell]
name = "Bell"
call = "people"
[doors.aback]
name = "Back door"
output = "aback-strike"
callers = [{{ number = {:?} }}]
"#,
                phone.address()
            ),
            ..Site::default()
        };
        let text = site.text(rig);
        let both = text.replace(
            "digits = \"9\"\ndoors = [\"front\"]",
            "digits = \"9\"\ndoors = [\"front\", \"aback\"]",
        );
        ensure!(both != text, "the site has another code");
        let gateway = Gateway::start(rig, &both)?;
        let port = rig.port(Use::Sip);
        for (called, door) in [
            ("main", "front"),
            ("aback", "aback"),
            ("507", "aback"),
            ("MAIN", "front"),
        ] {
            let before = gateway.last_seq();
            phone.dial(&format!("sip:{called}@127.0.0.1:{port}"))?;
            phone.hears("CALL_ESTABLISHED", secs(10))?;
            gateway.event(before, "call.incoming", secs(10), |_| true)?;
            phone.press('9')?;
            let granted = gateway.event(before, "door.granted", secs(10), |_| true)?;
            ensure!(granted["source"] == door, "{called}: {granted}");
            phone.hang_up()?;
            phone.hears("CALL_CLOSED", secs(10))?;
            gateway.event(before, "call.ended", secs(10), |_| true)?;
            gateway.event(before, "door.relocked", secs(10), |e| e["source"] == door)?;
        }
        let before = gateway.last_seq();
        phone.dial(&format!("sip:nix@127.0.0.1:{port}"))?;
        let closed = phone.hears("CALL_CLOSED", secs(10))?;
        ensure!(closed.whole.to_string().contains("404"), "{closed:?}");
        let news = gateway
            .events()?
            .into_iter()
            .filter(|e| e["seq"].as_u64() > Some(before))
            .count();
        ensure!(news == 0, "a call for nobody left {news} records");
        gateway.verify()
    });
}
