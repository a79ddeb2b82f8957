//! The dial plan of `config/examples/scenarios/dial-plan`: an extension that answers, waits a second and sends 9, and a key
//! that has a command run, as integrators know them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use peers::{Api, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Rig, Scenario, Use, run, until};
use serde_json::json;

use crate::secs;

/// The PBX with the dial plan, the door in its context.
fn pbx(rig: &Rig, example: &Scenario, env: &[(&str, &str)]) -> anyhow::Result<Asterisk> {
    let plan = example.plan("open-door")?;
    let params = PbxParams {
        door: "context = from-sip-200\n",
        env,
        plan: &plan,
        ..PbxParams::default()
    };
    Asterisk::start(rig, params)
}

fn gateway(rig: &Rig, example: &Scenario) -> anyhow::Result<Gateway> {
    let page = format!("listen = \"127.0.0.1:{}\"", rig.port(Use::Http));
    let page = ("listen = \"0.0.0.0:8443\"\ntls = true", page.as_str());
    Gateway::start(rig, &example.site(rig, &[page])?)
}

#[test]
fn the_extension_that_answers_waits_a_second_and_sends_nine_opens_the_door() {
    run(|rig| {
        let example = Scenario::named("dial-plan");
        let pbx = pbx(rig, &example, &[])?;
        let mut gateway = gateway(rig, &example)?;
        pbx.registered("200", secs(10))?;
        for pulses in 1..=2 {
            let before = gateway.last_seq();
            gateway.sim(&["press", "entrance", "bell"])?;
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

/// What stands for `curl`, which the folder of Asterisk has not: a request with the header of a file and the body that is given.
const CURL: &str = r#"#!/bin/bash
while [ $# -gt 0 ]; do
    case $1 in
        --header) header=$(cat "${2#@}") || exit 26; shift ;;
        --json) body=$2; shift ;;
        --cacert | --max-time | --output) shift ;;
        --*) ;;
        *) url=${1#http://} ;;
    esac
    shift
done
host=${url%%/*}
exec 3<>"/dev/tcp/${host/://}" || exit 7
printf 'POST /%s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: application/json\r\n' "${url#*/}" "$host" "$header" >&3
printf 'Content-Length: %s\r\nConnection: close\r\n\r\n%s' "${#body}" "$body" >&3
read -r _ status _ <&3
[ "$status" = 200 ] || exit 22
"#;

/// Puts a command where the dial plan, or another command, finds it. Another run may be starting it.
fn put(rig: &Rig, root: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let aside = rig.path(name);
    std::fs::write(&aside, text)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o755))?;
    let place = root.join("usr/local/bin").join(name);
    let new = place.with_extension(format!("{}", std::process::id()));
    std::fs::copy(&aside, &new)?;
    std::fs::rename(&new, &place)?;
    Ok(())
}

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
        let example = Scenario::named("dial-plan");
        put(rig, &root, "open-door.sh", &example.file("open-door.sh")?)?;
        put(rig, &root, "curl", CURL)?;

        let header = format!("/srv/header-{}", rig.port(Use::Http));
        let api = format!("http://127.0.0.1:{}/api/v1", rig.port(Use::Http));
        let env = [
            ("DOORLINE_API", api.as_str()),
            ("DOORLINE_HEADER", header.as_str()),
        ];
        let pbx = pbx(rig, &example, &env)?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        pbx.registered("101", secs(5))?;
        let mut gateway = gateway(rig, &example)?;
        let api = Api::set_up(rig, &gateway)?;
        let made = api.post(
            "/api/v1/tokens",
            &json!({ "name": "pbx", "scopes": ["open"], "doors": ["entrance"] }),
        )?;
        let token = made.body["token"].as_str().with_context(|| format!("{made:?}"))?;
        let file = root.join(header.trim_start_matches('/'));
        std::fs::write(&file, format!("Authorization: Bearer {token}\n"))?;

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
