//! The car park of `config/examples/scenarios/parking`: a known caller opens by day without being answered, and reaches
//! the security desk at night.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use peers::{Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Rig, Site, Use, run};

use crate::secs;

/// The scenario's dial plan with the extensions of the test PBX: the barrier is 200, the desk 103.
fn plan() -> anyhow::Result<String> {
    let file = "../../config/examples/scenarios/parking/extensions.conf";
    let plan = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))?;
    let ours = plan
        .replace("PJSIP/505", "PJSIP/200")
        .replace("PJSIP/510", "PJSIP/103");
    ensure!(ours != plan, "the scenario has other extensions");
    Ok(format!("[house](+)\nexten => 505,1,Goto(parking,505,1)\n{ours}"))
}

/// 101 is listed; 102 is the telephone of somebody who needs a PIN.
fn site(rig: &Rig, times: &str) -> anyhow::Result<String> {
    let site = Site {
        account: Some(Account::default()),
        callers: vec!["101".into()],
        targets: vec!["103".into()],
        more: format!("[groups.staff]\ndoors = [\"front\"]\n[schedules.day]\ntimes = [{times:?}]\n"),
        ..Site::default()
    };
    let text = site.text(rig);
    let changed = text
        .replace("strike-ms = 3000\n", "strike-ms = 3000\nopen-by-call = \"day\"\n")
        .replace(
            "doors = [\"front\"]\naccount",
            "doors = [\"front\"]\nother-calls = \"busy\"\naccount",
        );
    ensure!(changed.len() > text.len() + 40, "the site is another one");
    Ok(changed)
}

#[test]
fn a_known_caller_opens_by_day_unanswered_and_reaches_the_desk_at_night() {
    run(|rig| {
        let plan = plan()?;
        let params = PbxParams {
            plan: &plan,
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let port = rig.port(Use::PbxSip);
        let mut caller = Phone::start(rig, PhoneParams::at_pbx(0, "101", port))?;
        let mut forged = Phone::start(rig, PhoneParams::at_pbx(1, "102", port))?;
        let mut desk = Phone::start(rig, PhoneParams::at_pbx(2, "103", port))?;
        for user in ["101", "102", "103"] {
            pbx.registered(user, secs(5))?;
        }
        let mut gateway = Gateway::start(rig, &site(rig, "daily open")?)?;
        pbx.registered("200", secs(10))?;
        let number = format!("sip:505@127.0.0.1:{port}");

        caller.dial(&number)?;
        let granted = gateway.event(0, "door.granted", secs(10), |_| true)?;
        ensure!(granted["factor"] == "caller", "{granted}");
        gateway.energised(secs(5))?;
        let closed = caller.hears("CALL_CLOSED", secs(10))?;
        // what this PBX makes of cause 21
        ensure!(closed.whole.to_string().contains("403"), "{closed:?}");
        ensure!(caller.count("CALL_ESTABLISHED") == 0, "somebody answered");
        ensure!(desk.count("CALL_INCOMING") == 0, "the desk was called");
        let rejected = gateway.event(0, "call.rejected", secs(5), |_| true)?;
        ensure!(rejected["reason"] == "opened", "{rejected}");
        gateway.released(secs(10))?;

        // a number that needs its PIN, be it forged or not
        let added = gateway.command(
            "people",
            &[
                "add",
                "bob",
                "--groups",
                "staff",
                "--phone",
                "102",
                "--phone-needs-pin",
                "--pin",
                "4711",
            ],
        )?;
        ensure!(added.status.success(), "{added:?}");
        let before = gateway.last_seq();
        forged.dial(&number)?;
        let denied = gateway.event(before, "door.denied", secs(10), |_| true)?;
        let why = denied["reason"].as_str().context("a reason")?;
        ensure!(why.contains("PIN"), "{denied}");
        desk.hears("CALL_INCOMING", secs(10))?;
        forged.hang_up()?;
        desk.hears("CALL_CLOSED", secs(10))?;

        let said = gateway.reload(&site(rig, "daily closed")?)?;
        ensure!(said.contains("in force"), "{said}");
        let before = gateway.last_seq();
        caller.dial(&number)?;
        desk.hears("CALL_INCOMING", secs(10))?;
        desk.answer()?;
        caller.hears("CALL_ESTABLISHED", secs(10))?;
        let rejected = gateway.event(before, "call.rejected", secs(5), |_| true)?;
        ensure!(rejected["reason"] == "refused", "{rejected}");
        caller.hang_up()?;
        gateway.stays_at_rest(secs(2))?;
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}
