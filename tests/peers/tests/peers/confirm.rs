//! Targets that have to press a key: a voicemail that answers at once has no call.

use anyhow::ensure;
use peers::{Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Site, Use, run};

use crate::secs;
use crate::story::{both_hear, nine_opens, visitor};

#[test]
fn a_voicemail_that_answers_first_is_asked_in_vain_and_a_person_takes_the_call_by_a_key() {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        pbx.registered("101", secs(5))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            account: Some(Account::default()),
            parallel: true,
            // 910 answers by itself
            targets: vec!["910".into(), "101".into()],
            visitor: file,
            ..Site::default()
        };
        let text = site.text(rig).replacen(
            "targets = [\"910\", \"101\"]",
            "targets = [{ to = \"910\", confirm = \"1\" }, { to = \"101\", confirm = \"1\" }]",
            1,
        );
        let mut gateway = Gateway::start(rig, &text)?;
        pbx.registered("200", secs(10))?;
        gateway.ring()?;
        gateway.event(0, "call.confirm-awaited", secs(10), |e| {
            e["peer"].as_str().is_some_and(|peer| peer.contains("910"))
        })?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        gateway.event(0, "call.confirm-awaited", secs(10), |e| {
            e["peer"].as_str().is_some_and(|peer| peer.contains("101"))
        })?;
        phone.press('9')?;
        gateway.event(0, "call.digit-ignored", secs(10), |e| {
            e["reason"] == "before-answer"
        })?;
        phone.press('1')?;
        let answered = gateway.event(0, "call.answered", secs(10), |_| true)?;
        ensure!(
            answered["peer"].as_str().is_some_and(|peer| peer.contains("101")),
            "{answered}"
        );
        both_hear(rig, &phone, &sound)?;
        nine_opens(rig, &mut gateway, &mut phone)?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        let granted = gateway
            .events()?
            .iter()
            .filter(|e| e["kind"] == "door.granted")
            .count();
        ensure!(granted == 1, "{granted} grants");
        gateway.verify()
    });
}
