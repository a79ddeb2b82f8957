//! Announcements that somebody has heard by a command, over the API: at the door, by whoever has its call, and by both.

use anyhow::ensure;
use peers::{Api, Gateway, Phone, PhoneParams, Rig, Site, Sound, run, sweep, until};
use serde_json::json;

use crate::secs;
use crate::story::nine_opens;

/// Of the announcement, Hz.
const TONE: f64 = 1200.0;
const PATH: &str = "/api/v1/panels/main/announce/lift";

/// A tone that the site file lists, 2 s of it; and a door whose visitor says nothing.
fn house(rig: &Rig, targets: Vec<String>) -> anyhow::Result<Gateway> {
    let file = rig.path("lift.wav");
    sweep(&file, TONE, TONE, 2)?;
    let site = Site {
        http: true,
        more: format!("[announcements.lift]\nname = \"The lift is out of order\"\nfile = {file:?}\n"),
        targets,
        visitor: "silence".into(),
        ..Site::default()
    };
    Gateway::start(rig, &site.text(rig))
}

/// Nobody has a call: the line is taken for it and given back, nobody is called, and what is not listed is not heard.
#[test]
fn at_a_door_without_a_call_an_announcement_is_heard_and_nobody_is_called() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let mut gateway = house(rig, vec![phone.address()])?;
        let api = Api::set_up(rig, &gateway)?;
        let panel = &api.get("/api/v1/site")?.body["panels"][0];
        ensure!(
            panel["may_announce"] == true && panel["announcements"][0]["id"] == "lift",
            "{panel}"
        );
        for (path, to, status, reason) in [
            (PATH, "phone", 423, "no-call"),
            (PATH, "everybody", 400, "to"),
            ("/api/v1/panels/main/announce/other", "door", 404, "unknown"),
        ] {
            let refused = api.post(path, &json!({ "to": to }))?;
            ensure!(
                refused.status == status && refused.body["reason"] == reason,
                "{path} to {to}: {refused:?}"
            );
        }
        let before = gateway.last_seq();
        let asked = api.post(PATH, &json!({}))?;
        ensure!(asked.status == 200, "{asked:?}");
        let twice = api.post(PATH, &json!({}))?;
        ensure!(
            twice.status == 409 && twice.body["reason"] == "line-busy",
            "{twice:?}"
        );
        let ended = gateway.event(before, "panel.announcement-ended", secs(10), |_| true)?;
        ensure!(
            ended["announcement"] == "lift"
                && ended["text"].as_str().is_some_and(|text| text.ends_with(" ms")),
            "{ended}"
        );
        let told = gateway.event(before, "panel.announced", secs(1), |_| true)?;
        ensure!(
            told["to"] == "door"
                && told["subject"]
                    .as_str()
                    .is_some_and(|who| who.starts_with("user:")),
            "{told}"
        );
        gateway.event(before, "line.state", secs(5), |e| e["state"] == "idle")?;
        let heard = until(secs(10), "the announcement at the door", || {
            let heard = Sound::read(&Site::heard(rig)).ok();
            Ok(heard.map(|sound| sound.tone(TONE)).filter(|tone| *tone > 0.9))
        })?;
        rig.measured(
            "the announcement at the door",
            format!("{heard:.2} of the energy"),
        );
        ensure!(phone.count("CALL_INCOMING") == 0, "somebody was called");
        gateway.stays_at_rest(secs(1))?;
        // who rings then is served as ever
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(15))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        nine_opens(rig, &mut gateway, &mut phone)?;
        gateway.verify()
    });
}

/// What door and phone heard from here on, once both have so many seconds of it.
fn longer(
    phone: &Phone,
    both: impl Fn(&Phone) -> anyhow::Result<(Sound, Sound)>,
    seconds: f64,
) -> anyhow::Result<(Sound, Sound)> {
    let (door, heard) = until(secs(20), "sound at both ends", || Ok(both(phone).ok()))?;
    let (from_door, from_phone) = (door.seconds(), heard.seconds());
    until(secs(20), "more sound at both ends", || {
        let (door, heard) = both(phone)?;
        let (new_door, new_phone) = (door.seconds() - from_door, heard.seconds() - from_phone);
        let enough = new_door > seconds && new_phone > seconds;
        Ok(enough.then(|| (door.last(new_door), heard.last(new_phone))))
    })
}

/// In a talk it is mixed into the side that it is for, and the talk goes on.
#[test]
fn in_a_call_an_announcement_is_heard_by_whom_it_is_for() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let mut gateway = house(rig, vec![phone.address()])?;
        let api = Api::set_up(rig, &gateway)?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(15))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        let both = |phone: &Phone| Ok((Sound::read(&Site::heard(rig))?, phone.recording()?));
        for (to, at_door, at_phone) in [
            ("phone", false, true),
            ("door", true, false),
            ("both", true, true),
        ] {
            // what the one before left is written down
            longer(&phone, both, 1.0)?;
            let before = gateway.last_seq();
            let asked = api.post(PATH, &json!({ "to": to }))?;
            ensure!(asked.status == 200, "{to}: {asked:?}");
            let (door, heard) = longer(&phone, both, 3.0)?;
            let ends = usize::from(at_door) + usize::from(at_phone);
            until(secs(10), "its end on record", || {
                let events = gateway.events()?.into_iter();
                let after = events.filter(|e| e["seq"].as_u64() > Some(before));
                let ended = after.filter(|e| e["kind"] == "panel.announcement-ended").count();
                Ok((ended == ends).then_some(()))
            })?;
            let told = gateway.event(before, "panel.announced", secs(1), |_| true)?;
            ensure!(told["to"] == to && told["ring_id"].is_string(), "{told}");
            // the telephone speaks all the while, the visitor never does
            let (door, heard) = (door.share(TONE), heard.tone(TONE));
            rig.measured(
                &format!("to {to}"),
                format!("{door:.2} at the door, {heard:.2} at the phone"),
            );
            ensure!((door > 0.1) == at_door, "to {to}: {door:.2} at the door");
            ensure!((heard > 0.8) == at_phone, "to {to}: {heard:.2} at the phone");
        }
        let answers = gateway
            .events()?
            .iter()
            .filter(|e| e["kind"] == "call.answered")
            .count();
        ensure!(answers == 1, "{answers} answers");
        nine_opens(rig, &mut gateway, &mut phone)?;
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(10), |_| true)?;
        gateway.verify()
    });
}
