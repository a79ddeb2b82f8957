//! Calls to the door that ring before they are answered, that go elsewhere, and that are put through to a guard.

use anyhow::{Context, ensure};
use peers::{Account, Asterisk, Gateway, PbxParams, Phone, PhoneParams, Rig, Site, Sound, Use, run, until};

use crate::secs;
use crate::story::{both_hear, nine_opens, visitor};

/// The site with more keys for its panel.
fn with(site: &Site<'_>, rig: &Rig, keys: &str) -> String {
    let text = site.text(rig);
    let panel = "name = \"Main entrance\"\nline = \"riser\"\n";
    text.replacen(panel, &format!("{panel}{keys}\n"), 1)
}

/// A call rings until somebody at the panel presses: then they talk, and the bell has rung nobody. One that is given up
/// leaves the bell as it was.
#[test]
fn a_call_rings_until_somebody_at_the_door_presses_and_then_they_talk() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let (file, sound) = visitor(rig)?;
        let site = Site {
            callers: vec![phone.address()],
            targets: vec![phone.address()],
            visitor: file,
            ..Site::default()
        };
        let announced = rig.path("recorded.wav");
        peers::sweep(&announced, 3000.0, 3400.0, 2)?;
        let recorded = format!("\n[recordings]\nannouncement-file = {announced:?}\n");
        let keys = "answer-by-button-s = 60\nrecord = true";
        let mut gateway = Gateway::start(rig, &(with(&site, rig, keys) + &recorded))?;
        let door = format!("sip:main@127.0.0.1:{}", rig.port(Use::Sip));

        phone.dial(&door)?;
        phone.hears("CALL_RINGING", secs(10))?;
        phone.hang_up()?;
        let ended = gateway.event(0, "call.ended", secs(10), |_| true)?;
        ensure!(ended["cause"] == "cancelled", "{ended}");

        let before = gateway.last_seq();
        phone.dial(&door)?;
        phone.hears("CALL_RINGING", secs(10))?;
        ensure!(phone.count("CALL_ESTABLISHED") == 0, "it was answered by nobody");
        gateway.sim(&["press", "main", "bell", "--ms", "100"])?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        let pressed = gateway.event(before, "panel.pressed-again", secs(5), |_| true)?;
        ensure!(pressed["means"] == "answer", "{pressed}");
        both_hear(rig, &phone, &sound)?;
        nine_opens(rig, &mut gateway, &mut phone)?;
        phone.hang_up()?;
        gateway.event(before, "call.ended", secs(10), |_| true)?;
        sides_are_kept(rig, &gateway, &phone, &sound)?;
        let rang = gateway.events()?.iter().any(|e| e["kind"] == "call.leg-offered");
        ensure!(!rang, "the press rang somebody");

        gateway.sim(&["press", "main", "bell", "--ms", "100"])?;
        phone.hears("CALL_INCOMING", secs(10))?;
        gateway.verify()
    });
}

/// The recording of the talk is there, with the visitor left and the phone right.
fn sides_are_kept(rig: &Rig, gateway: &Gateway, phone: &Phone, visitor: &Sound) -> anyhow::Result<()> {
    let ended = gateway.event(0, "call.recording-ended", secs(10), |_| true)?;
    ensure!(ended["why"] == "ended", "{ended}");
    let folder = rig.path("state").join("recordings");
    let bytes = std::fs::read(folder.join(ended["file"].as_str().unwrap_or_default()))?;
    let (head, sound) = bytes.split_at_checked(44).context("no head")?;
    ensure!(
        head.starts_with(b"RIFF") && head[22] == 2,
        "no WAV file of two channels"
    );
    for (side, name, said) in [(0, "left", visitor), (1, "right", phone.voice())] {
        let path = rig.path(&format!("{name}.wav"));
        let samples = sound
            .chunks_exact(4)
            .flat_map(|both| [both[2 * side], both[2 * side + 1]]);
        let mut alone = head.to_vec();
        // one channel
        alone[22] = 1;
        alone.extend(samples);
        std::fs::write(&path, alone)?;
        // the end of it has the key that was pressed
        let talk = Sound::read(&path)?;
        let likeness = talk.shared_with(said);
        rig.measured(
            &format!("recorded, {name}"),
            format!("{:.1} s, like it {likeness:.2}", talk.seconds()),
        );
        ensure!(talk.seconds() > 4.0 && likeness > 0.5, "{name}: {likeness:.2}");
    }
    Ok(())
}

/// Asterisk hears 302 and calls whom it names; who is not wanted gets 603; who asks for the door gets it, and no answer.
#[test]
fn by_who_calls_a_pbx_is_sent_elsewhere_refused_or_has_the_door_opened() {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let port = rig.port(Use::PbxSip);
        let mut first = Phone::start(rig, PhoneParams::at_pbx(0, "101", port))?;
        let mut second = Phone::start(rig, PhoneParams::at_pbx(1, "102", port))?;
        let mut third = Phone::start(rig, PhoneParams::at_pbx(2, "103", port))?;
        for user in ["101", "102", "103"] {
            pbx.registered(user, secs(5))?;
        }
        let site = Site {
            account: Some(Account::default()),
            callers: vec!["103".into(), "101".into()],
            targets: vec!["102".into()],
            ..Site::default()
        };
        let callers = r#"callers = [
    { number = "101", do = "divert", to = "102" },
    { number = "102", do = "reject" },
    { number = "103", do = "open" },
]"#;
        let door = "readers = [\"front-reader\"]\n";
        let text = with(&site, rig, callers).replacen(door, &format!("{door}open-by-call = \"always\"\n"), 1);
        let mut gateway = Gateway::start(rig, &text)?;
        pbx.registered("200", secs(10))?;
        let called = format!("sip:200@127.0.0.1:{port}");

        first.dial(&called)?;
        second.hears("CALL_INCOMING", secs(10))?;
        second.answer()?;
        first.hears("CALL_ESTABLISHED", secs(10))?;
        let diverted = gateway.event(0, "call.diverted", secs(5), |_| true)?;
        ensure!(diverted["target"] == "102", "{diverted}");
        first.hang_up()?;
        second.hears("CALL_CLOSED", secs(10))?;

        second.dial(&called)?;
        second.hears("CALL_CLOSED", secs(10))?;
        let refused = |e: &serde_json::Value| e["reason"] == "refused";
        gateway.event(0, "call.rejected", secs(5), refused)?;
        ensure!(gateway.pulses() == 0, "a call that is not for the door opened it");

        third.dial(&called)?;
        gateway.energised(secs(10))?;
        third.hears("CALL_CLOSED", secs(10))?;
        ensure!(third.count("CALL_ESTABLISHED") == 0, "nobody answers");
        gateway.verify()
    });
}

/// Somebody from outside calls the gate: its guard is rung, sees the number, talks and opens; the caller's key does nothing. A guard
/// who does not want him leaves him with 480.
#[test]
fn a_guard_talks_with_whoever_calls_the_gate_sees_his_number_and_opens() {
    run(|rig| {
        let outside = PhoneParams {
            codecs: "pcma",
            voice: (500.0, 1100.0),
            ..PhoneParams::direct(0, "0612345678")
        };
        let mut outside = Phone::start(rig, outside)?;
        let inside = PhoneParams {
            codecs: "pcmu",
            voice: (2600.0, 1500.0),
            ..PhoneParams::direct(1, "guard")
        };
        let mut guard = Phone::start(rig, inside)?;
        let site = Site {
            // whoever calls might open, if he were answered himself
            callers: vec![outside.address()],
            targets: vec![guard.address()],
            ..Site::default()
        };
        let callers = "callers = [{ number = \"0612*\", do = \"bridge\", list = \"people\" }]";
        let mut gateway = Gateway::start(rig, &with(&site, rig, callers))?;
        let door = format!("sip:main@127.0.0.1:{}", rig.port(Use::Sip));

        outside.dial(&door)?;
        outside.hears("CALL_RINGING", secs(10))?;
        let rung = guard.hears("CALL_INCOMING", secs(10))?;
        let shown = rung.whole.to_string();
        ensure!(shown.contains("0612345678"), "the guard sees {shown}");
        ensure!(outside.count("CALL_ESTABLISHED") == 0, "nobody has answered");
        guard.answer()?;
        outside.hears("CALL_ESTABLISHED", secs(10))?;
        for (who, hears, said) in [
            ("guard", &guard, outside.voice()),
            ("caller", &outside, guard.voice()),
        ] {
            let heard = until(secs(20), "5 s of sound", || {
                Ok(hears.recording().ok().filter(|s| s.seconds() > 5.0))
            })?;
            let heard = heard.last(3.0);
            let (likeness, level) = (heard.likeness(said), heard.level_dbfs());
            rig.measured(who, format!("{level:.1} dBFS, likeness {likeness:.2}"));
            ensure!(
                likeness > 0.7 && level > -30.0,
                "{who}: likeness {likeness:.2}, {level:.1} dBFS"
            );
        }
        outside.press('9')?;
        let ignored = gateway.event(0, "call.digit-ignored", secs(5), |_| true)?;
        ensure!(ignored["reason"] == "caller", "{ignored}");
        gateway.stays_at_rest(secs(1))?;
        nine_opens(rig, &mut gateway, &mut guard)?;
        let line = gateway.events()?.iter().any(|e| e["kind"] == "line.state");
        ensure!(!line, "the line has no part in it");
        guard.hang_up()?;
        outside.hears("CALL_CLOSED", secs(10))?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;

        let before = gateway.last_seq();
        outside.dial(&door)?;
        guard.hears("CALL_INCOMING", secs(10))?;
        guard.hang_up()?;
        let closed = outside.hears("CALL_CLOSED", secs(10))?;
        ensure!(closed.whole.to_string().contains("480"), "{closed:?}");
        gateway.event(before, "call.ended", secs(5), |_| true)?;
        gateway.verify()
    });
}
