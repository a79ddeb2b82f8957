//! The snippets of dial plans that integrators know, letter for letter: an extension that answers, waits a second and
//! sends 9, and a macro that reads a digit and runs a command.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use peers::{Account, Api, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Site, Use, run, until};
use serde_json::json;

use crate::secs;

const ANSWERS_AND_SENDS_NINE: &str = "\
; Incoming call from intercom EXT 200
; Answer, wait for pickup, send DTMF
; press 9 to open the door
[from-sip-200]
exten => 200,1,Answer()
exten => 200,n,Wait(1)
exten => 200,n,SendDTMF(9)
exten => 200,n,Wait(2)
exten => 200,n,Hangup()
";

const READS_A_DIGIT: &str = "\
; Scenario: DTMF 1 from extension -> open door
[macro-open-door]
exten => s,1,Read(dtmf,,1)
exten => s,n,GotoIf($[\"${dtmf}\"=\"9\"]?open:reject)
exten => s,n(open),System(/usr/local/bin/open-door.sh)
exten => s,n,Playback(opened)
exten => s,n,Hangup()
exten => s,n(reject),Playback(forbidden)
exten => s,n,Hangup()
";

#[test]
fn the_extension_that_answers_waits_a_second_and_sends_nine_opens_the_door() {
    run(|rig| {
        let pbx = Asterisk::start(
            rig,
            PbxParams {
                door: "context = from-sip-200\n",
                plan: ANSWERS_AND_SENDS_NINE,
                ..PbxParams::default()
            },
        )?;
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["200".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("200", secs(10))?;
        for pulses in 1..=2 {
            let before = gateway.last_seq();
            gateway.ring()?;
            gateway.energised(secs(10))?;
            let granted = gateway.event(before, "door.granted", secs(5), |_| true)?;
            ensure!(granted["factor"] == "digits", "{granted}");
            gateway.released(secs(6))?;
            // the PBX hangs up, and the next visitor finds the line free
            gateway.event(before, "panel.ring-ended", secs(10), |e| {
                e["outcome"] == "answered"
            })?;
            ensure!(gateway.pulses() == pulses, "{} pulses", gateway.pulses());
        }
        gateway.verify()
    });
}

/// What `open-door.sh` is for whoever has no more than a shell: one request to the API.
const OPEN_DOOR: &str = r#"#!/bin/bash
exec 3<>"/dev/tcp/127.0.0.1/$DOOR_PORT" || exit 1
printf 'POST /api/v1/doors/front/open HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nAuthorization: Bearer %s\r\n' \
    "$DOOR_PORT" "$(cat "$DOOR_TOKEN")" >&3
printf 'Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
"#;

/// Waits until Asterisk listens for a digit.
fn reads(pbx: &Asterisk) -> anyhow::Result<()> {
    until(secs(10), "Asterisk to read a digit", || {
        Ok(pbx
            .cli("core show channels concise")?
            .contains("!Read!")
            .then_some(()))
    })
}

#[test]
fn the_macro_that_reads_nine_and_runs_open_door_opens_the_door_and_any_other_digit_does_not() {
    run(|rig| {
        let root =
            std::env::var_os("DOORLINE_ASTERISK").context("DOORLINE_ASTERISK is not set; see tests/run")?;
        let root = PathBuf::from(root);
        let script = root.join("usr/local/bin/open-door.sh");
        // written aside and moved: another run may be starting it
        let aside = rig.path("open-door.sh");
        std::fs::write(&aside, OPEN_DOOR)?;
        std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o755))?;
        let new = script.with_extension(format!("{}", std::process::id()));
        std::fs::copy(&aside, &new)?;
        std::fs::rename(&new, &script)?;

        let token_in_root = format!("/srv/token-{}", rig.port(Use::Http));
        let port = rig.port(Use::Http).to_string();
        let plan = format!(
            "[house](+)\nexten => 930,1,Answer()\n same => n,Goto(macro-open-door,s,1)\n{READS_A_DIGIT}"
        );
        let pbx = Asterisk::start(
            rig,
            PbxParams {
                env: &[("DOOR_PORT", &port), ("DOOR_TOKEN", &token_in_root)],
                plan: &plan,
                ..PbxParams::default()
            },
        )?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        pbx.registered("101", secs(5))?;
        let site = Site {
            http: true,
            targets: vec!["sip:101@127.0.0.1:9".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let api = Api::set_up(rig, &gateway)?;
        let made = api.post(
            "/api/v1/tokens",
            &json!({ "name": "pbx", "scopes": ["open"], "doors": ["front"] }),
        )?;
        let token = made.body["token"].as_str().with_context(|| format!("{made:?}"))?;
        let file = root.join(token_in_root.trim_start_matches('/'));
        std::fs::write(&file, token)?;

        let number = format!("sip:930@127.0.0.1:{}", rig.port(Use::PbxSip));
        phone.dial(&number)?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        reads(&pbx)?;
        phone.press('8')?;
        phone.hears("CALL_CLOSED", secs(10))?;
        gateway.stays_at_rest(secs(1))?;

        phone.dial(&number)?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        reads(&pbx)?;
        phone.press('9')?;
        gateway.energised(secs(10))?;
        phone.hears("CALL_CLOSED", secs(10))?;
        gateway.released(secs(6))?;
        let granted = gateway.event(0, "door.granted", secs(5), |_| true)?;
        let who = granted["subject"].as_str().unwrap_or_default();
        ensure!(granted["factor"] == "api" && who.contains("pbx"), "{granted}");
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        std::fs::remove_file(&file)?;
        gateway.verify()
    });
}
