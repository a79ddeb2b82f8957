//! What somebody hears who has tried too many codes in a call.

use std::time::Duration;

use anyhow::ensure;
use peers::{Gateway, Phone, PhoneParams, Rig, Site, run, until};

use crate::secs;

/// The end of what the phone hears has this tone; waited for.
fn hears(rig: &Rig, phone: &Phone, what: &str, hz: f64) -> anyhow::Result<()> {
    let share = until(secs(5), what, || {
        let share = phone.recording()?.last(0.6).tone(hz);
        Ok((share > 0.8).then_some(share))
    })?;
    rig.measured(what, format!("{hz} Hz {share:.2}"));
    Ok(())
}

#[test]
fn three_falling_tones_say_that_nothing_counts_any_more_and_the_right_code_is_answered_by_them_too() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let site = Site {
            targets: vec![phone.address()],
            visitor: "silence".into(),
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        for n in 1..=6 {
            let before = gateway.last_seq();
            phone.press('5')?;
            phone.press('#')?;
            gateway.event(before, "door.denied", secs(5), |_| true)?;
            if n == 5 {
                hears(rig, &phone, "a wrong code", 300.0)?;
            }
        }
        let locked = gateway.event(0, "door.locked-out", secs(5), |_| true)?;
        ensure!(locked["locks"] == "caller" && locked["lock_s"] == 10, "{locked}");
        for (what, hz) in [("locked out: the middle", 350.0), ("locked out: the end", 250.0)] {
            hears(rig, &phone, what, hz)?;
        }
        // the tone is over
        until(secs(5), "silence", || {
            Ok((phone.recording()?.last(0.6).level_dbfs() < -50.0).then_some(()))
        })?;
        let before = gateway.last_seq();
        phone.press('9')?;
        // right or wrong, what is typed ends at its pause then
        gateway.event(before, "door.denied", secs(8), |_| true)?;
        hears(rig, &phone, "the right code while locked out", 250.0)?;
        gateway.stays_at_rest(Duration::from_millis(500))?;
        ensure!(gateway.pulses() == 0, "{} pulses", gateway.pulses());
        gateway.verify()
    });
}
