//! What is heard before anybody has answered, at the door and by who calls it; and what whoever answered is told.

use anyhow::ensure;
use peers::{
    Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Rig, Site, Sound, Use, run, sweep, until,
};

use crate::secs;
use crate::story::{both_hear, nine_opens, visitor};

/// Keys for the panel, and tables after it.
fn with(site: &Site<'_>, rig: &Rig, keys: &str, more: &str) -> String {
    let panel = "name = \"Main entrance\"\nline = \"riser\"\n";
    site.text(rig).replacen(panel, &format!("{panel}{keys}\n"), 1) + more
}

/// Asterisk plays an announcement and then rings a phone: the visitor hears it, and nobody has answered by that. Whoever answers
/// hears a greeting and what a rule says, and the visitor hears neither.
#[test]
fn what_a_pbx_says_before_the_answer_is_heard_at_the_door_and_a_greeting_by_who_answers() {
    run(|rig| {
        let plan = "exten => 930,1,Progress()\n same => n,Playback(${ASTSPOOLDIR}/wait,noanswer)\n same => n,Dial(PJSIP/101,30)\n";
        let pbx = Asterisk::start(
            rig,
            PbxParams {
                plan,
                ..PbxParams::default()
            },
        )?;
        let file = pbx.spooled("wait.wav");
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let announced = sweep(&file, 600.0, 1600.0, 4)?;
        let greeting = rig.path("greeting.wav");
        let greeted = sweep(&greeting, 2000.0, 3000.0, 3)?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        pbx.registered("101", secs(5))?;
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["930".into()],
            visitor: "silence".into(),
            ..Site::default()
        };
        let rule = "\n[rules.told]\non = [\"call.answered\"]\n\
                    do = [{ prompt = { line = \"riser\", tones = \"1200/1500\", to = \"phone\" } }]\n";
        let mut gateway = Gateway::start(
            rig,
            &with(&site, rig, &format!("greeting-file = {greeting:?}"), rule),
        )?;
        pbx.registered("200", secs(10))?;
        gateway.ring()?;
        let heard = || Sound::read(&Site::heard(rig));
        until(secs(15), "3 s of the announcement at the door", || {
            Ok(heard().ok().filter(|sound| sound.seconds() > 3.0).map(drop))
        })?;
        let at_door = heard()?.last(2.5);
        let (likeness, level) = (at_door.likeness(&announced), at_door.level_dbfs());
        rig.measured(
            "the announcement at the door",
            format!("{level:.1} dBFS, likeness {likeness:.2}"),
        );
        ensure!(
            likeness > 0.7 && level > -30.0,
            "likeness {likeness:.2}, {level:.1} dBFS"
        );
        let taken = gateway
            .events()?
            .into_iter()
            .any(|e| e["kind"] == "call.answered" || (e["kind"] == "line.state" && e["state"] == "ours"));
        ensure!(!taken, "an announcement is no answer");

        phone.hears("CALL_INCOMING", secs(15))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        let told = gateway.event(0, "rule.prompted", secs(10), |_| true)?;
        ensure!(told["line"] == "riser", "{told}");
        let at_phone = until(secs(15), "6 s of sound at the phone", || {
            Ok(phone.recording().ok().filter(|sound| sound.seconds() > 6.0))
        })?;
        let shared = at_phone.shared_with(&greeted);
        let tone = at_phone.tone(1200.0);
        rig.measured(
            "the greeting at the phone",
            format!("{shared:.2} of it, the rule's tone {tone:.2}"),
        );
        ensure!(
            shared > 0.25 && tone > 0.8,
            "{shared:.2} of the greeting, {tone:.2} of the tone"
        );
        let at_door = heard()?.last(3.0);
        let voice = at_door.likeness(phone.voice());
        let leaked = at_door.shared_with(&greeted);
        rig.measured(
            "the phone at the door",
            format!("likeness {voice:.2}, {leaked:.2} of the greeting"),
        );
        ensure!(
            voice > 0.7 && leaked < 0.1,
            "likeness {voice:.2}, {leaked:.2} of the greeting"
        );
        nine_opens(rig, &mut gateway, &mut phone)?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        gateway.verify()
    });
}

/// A phone that calls the door hears from the gateway that it rings, before anybody has answered; then they talk.
#[test]
fn who_calls_the_door_hears_its_ring_back_tone_until_somebody_answers() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            callers: vec![phone.address()],
            targets: vec![phone.address()],
            visitor: file,
            ..Site::default()
        };
        let keys = "answer-by-button-s = 60\nring-back = \"gateway\"";
        let mut gateway = Gateway::start(rig, &with(&site, rig, keys, ""))?;
        phone.dial(&format!("sip:main@127.0.0.1:{}", rig.port(Use::Sip)))?;
        let tone = until(secs(15), "a ring-back tone at the phone", || {
            let heard = phone.recording().ok().filter(|sound| sound.seconds() > 1.0);
            Ok(heard.map(|sound| sound.tone(425.0)).filter(|tone| *tone > 0.9))
        })?;
        rig.measured(
            "ring-back at the phone",
            format!("{tone:.2} of the energy at 425 Hz"),
        );
        ensure!(phone.count("CALL_ESTABLISHED") == 0, "nobody has answered");
        gateway.sim(&["press", "main", "bell", "--ms", "100"])?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        both_hear(rig, &phone, &sound)?;
        let talk = phone.recording()?.last(2.0);
        ensure!(talk.share(425.0) < 0.1, "it goes on to ring");
        nine_opens(rig, &mut gateway, &mut phone)?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        gateway.verify()
    });
}
