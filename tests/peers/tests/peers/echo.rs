//! The visitor plays telephone keys into the panel's microphone.

use anyhow::ensure;
use peers::{Account, Asterisk, Gateway, PbxParams, Site, Sound, run, until};

use crate::secs;

#[test]
fn a_visitor_who_plays_dtmf_through_an_echoing_far_end_opens_nothing() {
    run(|rig| {
        let pbx = Asterisk::start(rig, PbxParams::default())?;
        let site = Site {
            account: Some(Account::default()),
            callers: vec!["900".into()],
            targets: vec!["900".into()],
            visitor: "tone:700".into(),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        pbx.registered("200", secs(10))?;
        gateway.ring()?;
        gateway.event(0, "call.answered", secs(10), |_| true)?;
        // first that the far end really echoes
        let heard = || Sound::read(&Site::heard(rig));
        until(secs(10), "the visitor's own tone to come back", || {
            Ok(heard()
                .ok()
                .filter(|s| s.seconds() > 3.0 && s.last(1.0).share(700.0) > 0.5))
        })?;
        gateway.sim(&["speak", "riser", "dtmf:9"])?;
        gateway.stays_at_rest(secs(6))?;
        let back = heard()?.last(3.0);
        rig.measured(
            "of the keys that the visitor plays comes back",
            format!(
                "{:.1} dBFS, {:.2} of it the two tones",
                back.level_dbfs(),
                back.share(852.0) + back.share(1477.0)
            ),
        );
        // other keys, and the same out of a file of a real voice path would be the same two tones
        for key in ["dtmf:1", "dtmf:#", "dtmf:9"] {
            gateway.sim(&["speak", "riser", key])?;
            gateway.stays_at_rest(secs(2))?;
        }
        let events = gateway.events()?;
        ensure!(
            !events.iter().any(|e| e["kind"] == "door.granted"),
            "something was granted: {events:#?}"
        );
        ensure!(gateway.pulses() == 0, "the relay moved");
        Ok(())
    });
}
