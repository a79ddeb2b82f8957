//! A phone calls the door.

use anyhow::ensure;
use peers::{Account, Api, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Site, Use, run};
use serde_json::json;

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

/// Somebody has the door call over the API: the phone rings and talks with the panel, though nobody rang. Then the gateway is
/// killed in the talk, with the door forced: what it could not end is ended on record by the next one, and what stands stands.
#[test]
fn a_door_that_is_told_to_call_is_heard_without_a_ring_and_what_a_kill_cuts_off_is_ended_on_record() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            http: true,
            targets: vec![phone.address()],
            visitor: file,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let api = Api::set_up(rig, &gateway)?;
        let panel = &api.get("/api/v1/site")?.body["panels"][0];
        ensure!(panel["may_call"] == true, "{panel}");
        gateway.sim(&["contact", "front-contact", "on"])?;
        gateway.event(0, "door.forced", secs(10), |_| true)?;
        let before = gateway.last_seq();
        let path = "/api/v1/panels/main/call/bell";
        let asked = api.post(path, &json!({}))?;
        ensure!(asked.status == 200, "{asked:?}");
        phone.hears("CALL_INCOMING", secs(10))?;
        let twice = api.post(path, &json!({}))?;
        ensure!(
            twice.status == 409 && twice.body["reason"] == "line-busy",
            "{twice:?}"
        );
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        both_hear(rig, &phone, &sound)?;
        let ring = &asked.body["ring_id"];
        let told = gateway.event(before, "call.asked", secs(5), |_| true)?;
        ensure!(
            told["ring_id"] == *ring && told["panel"] == "main" && told["button"] == "bell",
            "{told}"
        );
        nine_opens(rig, &mut gateway, &mut phone)?;
        let rang = gateway.events()?;
        let rang = rang
            .iter()
            .any(|e| e["kind"].as_str().is_some_and(|kind| kind.starts_with("panel.")));
        ensure!(!rang, "nobody has rung");

        let before = gateway.last_seq();
        gateway.process().kill();
        gateway.again(rig)?;
        let ended = gateway.event(before, "call.ended", secs(10), |_| true)?;
        ensure!(
            ended["ring_id"] == *ring && ended["cause"] == "gateway-restarted",
            "{ended}"
        );
        let idle = gateway.event(before, "line.state", secs(10), |_| true)?;
        ensure!(idle["state"] == "idle" && idle["source"] == "riser", "{idle}");
        // the virtual contact is shut again: the first reading says so
        gateway.event(before, "door.closed", secs(10), |_| true)?;
        gateway.event(before, "door.forced-ended", secs(10), |_| true)?;
        gateway.stays_at_rest(secs(1))?;
        gateway.verify()
    });
}
