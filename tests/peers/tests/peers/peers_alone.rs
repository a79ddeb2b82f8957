//! The peers without the gateway: if one of these fails, look at the rig and not at the gateway.

use peers::{Asterisk, Link, Listener, Mosquitto, PbxParams, Phone, PhoneParams, Trust, run};
use serde_json::json;

use crate::secs;

/// Two phones call each other through the PBX, speak, and one presses a key.
fn two_phones(secure: bool) {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let link = if secure {
            Link::secure(&trust)
        } else {
            Link::default()
        };
        let port = link.pbx_port(&rig.ports);
        let pbx = Asterisk::start(
            rig,
            PbxParams {
                secure: link.trust,
                ..PbxParams::default()
            },
        )?;
        let one = PhoneParams {
            link,
            ..PhoneParams::at_pbx(0, "101", port)
        };
        let two = PhoneParams {
            link,
            voice: (600.0, 2400.0),
            ..PhoneParams::at_pbx(1, "102", port)
        };
        let (mut one, mut two) = (Phone::start(rig, one)?, Phone::start(rig, two)?);
        pbx.registered("101", secs(5))?;
        pbx.registered("102", secs(5))?;
        one.dial(&format!("sip:102@127.0.0.1:{port}"))?;
        two.hears("CALL_INCOMING", secs(10))?;
        two.answer()?;
        one.hears("CALL_ESTABLISHED", secs(10))?;
        two.hears("CALL_ESTABLISHED", secs(10))?;
        for (hearer, speaker, who) in [(&one, &two, "101 hears 102"), (&two, &one, "102 hears 101")] {
            let heard = peers::until(secs(60), "3 s of sound", || {
                Ok(hearer.recording().ok().filter(|s| s.seconds() > 4.0))
            })?
            .last(3.0);
            let likeness = heard.likeness(speaker.voice());
            rig.measured(
                who,
                format!("{:.1} dBFS, likeness {likeness:.2}", heard.level_dbfs()),
            );
            anyhow::ensure!(likeness > 0.8 && heard.level_dbfs() > -25.0, "{who}: {likeness}");
        }
        one.press('9')?;
        let digit = two.hears("CALL_DTMF_START", secs(5))?;
        anyhow::ensure!(digit.whole["param"] == "9", "{digit:?}");
        one.hang_up()?;
        two.hears("CALL_CLOSED", secs(5))?;
        Ok(())
    });
}

#[test]
fn two_phones_talk_through_asterisk() {
    two_phones(false);
}

#[test]
fn two_phones_talk_through_asterisk_over_tls_and_srtp() {
    two_phones(true);
}

#[test]
fn mosquitto_delivers_and_comes_back_empty() {
    run(|rig| {
        let mut broker = Mosquitto::start(rig)?;
        let listener = Listener::start(rig)?;
        listener.send("a/b", &json!({ "x": 1 }), true)?;
        listener.hears("the message", secs(5), |m| {
            m.topic == "a/b" && m.payload["x"] == 1
        })?;
        broker.kill();
        broker.again(rig)?;
        let second = Listener::start(rig)?;
        second.send("c", &json!(2), false)?;
        let first = second.hears("a message", secs(5), |_| true)?;
        anyhow::ensure!(first.topic == "c", "nothing retained survives: {first:?}");
        Ok(())
    });
}
