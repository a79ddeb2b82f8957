//! The first door, end to end: bell, ringing phone, speech both ways, 9, relay, one record of it all.

use anyhow::{Context, ensure};
use peers::{
    Account, Asterisk, Gateway, Handset, Link, PbxParams, Phone, PhoneParams, Rig, Site, Sound, Trust, Use,
    run, sweep, until,
};
use serde_json::Value;

use crate::secs;

/// What the records of one ring must tell, in this order.
const STORY: &[&str] = &[
    "panel.ring",
    "call.leg-offered",
    "call.leg-ringing",
    "call.answered",
    "call.digit",
    "door.granted",
    "door.unlocked",
    "door.relocked",
    "call.ended",
];

/// The guard's own cap in the test site.
const MAX_ON_MS: u64 = 10_000;

/// A visitor's voice, as a file for the virtual line.
pub(crate) fn visitor(rig: &Rig) -> anyhow::Result<(String, Sound)> {
    let path = rig.path("visitor.wav");
    let sound = sweep(&path, 450.0, 2500.0, 2)?;
    Ok((path.display().to_string(), sound))
}

/// Both sides of a call hear each other, for 3 s.
pub(crate) fn both_hear(rig: &Rig, phone: &dyn Handset, visitor: &Sound) -> anyhow::Result<()> {
    let heard_at_door = || Sound::read(&Site::heard(rig)).map_or(0.0, |s| s.seconds());
    let before = heard_at_door();
    let at_phone = until(secs(15), "4 s of sound at the phone", || {
        Ok(phone.recording().ok().filter(|s| s.seconds() > 4.0))
    })?;
    until(secs(15), "4 s of sound at the door", || {
        Ok((heard_at_door() > before + 4.0).then_some(()))
    })?;
    let at_door = Sound::read(&Site::heard(rig))?;
    for (who, heard, original) in [
        ("the phone hears the visitor", at_phone.last(3.0), visitor),
        ("the visitor hears the phone", at_door.last(3.0), phone.voice()),
    ] {
        let (likeness, level) = (heard.likeness(original), heard.level_dbfs());
        rig.measured(who, format!("{level:.1} dBFS, likeness {likeness:.2}"));
        ensure!(
            likeness > 0.7 && level > -30.0,
            "{who}: likeness {likeness:.2}, {level:.1} dBFS"
        );
    }
    Ok(())
}

/// Presses 9 and watches the relay close and release after its 3 s.
pub(crate) fn nine_opens(rig: &Rig, gateway: &mut Gateway, phone: &mut Phone) -> anyhow::Result<()> {
    key_opens(rig, gateway, || phone.press('9'))
}

/// As [`nine_opens`], by a key that comes in some way.
pub(crate) fn key_opens(
    rig: &Rig,
    gateway: &mut Gateway,
    press: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let pressed = peers::boottime_ns();
    press()?;
    let closed = gateway.energised(secs(5))?;
    let released = gateway.released(secs(5))?;
    let ms = |from: u64, to: u64| to.saturating_sub(from) / 1_000_000;
    rig.measured(
        "key pressed until relay closed",
        format!("{} ms", ms(pressed, closed.at_ns)),
    );
    rig.measured(
        "relay closed for",
        format!("{} ms", ms(closed.at_ns, released.at_ns)),
    );
    let length = ms(closed.at_ns, released.at_ns);
    // how well the time is kept is measured above; a busy machine is late, but the guard's own cap is never exceeded
    ensure!(
        (2900..=MAX_ON_MS).contains(&length),
        "the relay was closed for {length} ms, not 3000"
    );
    Ok(())
}

/// All records of the story have one ring id, in the story's order.
pub(crate) fn one_ring(events: &[Value], story: &[&str]) -> anyhow::Result<String> {
    let about = |e: &&Value| {
        let kind = e["kind"].as_str().unwrap_or_default();
        ["panel.", "call.", "door."]
            .iter()
            .any(|family| kind.starts_with(family))
    };
    let rings: std::collections::BTreeSet<&str> = events
        .iter()
        .filter(about)
        .map(|e| e["ring_id"].as_str().unwrap_or("none"))
        .collect();
    ensure!(
        rings.len() == 1,
        "one ring id was expected, found {rings:?} in {events:#?}"
    );
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["kind"].as_str()).collect();
    let mut rest = kinds.iter();
    for wanted in story {
        ensure!(
            rest.any(|kind| kind == wanted),
            "{wanted} is missing, or not in its order, in {kinds:?}"
        );
    }
    Ok(rings.into_iter().next().unwrap_or_default().to_owned())
}

/// The story with one phone; `target` as the call list names it.
fn tell(rig: &Rig, mut site: Site<'_>, phone: &mut Phone, target: String) -> anyhow::Result<()> {
    let (file, sound) = visitor(rig)?;
    site.visitor = file;
    site.targets = vec![target];
    let registers = site.account.is_some();
    let mut gateway = Gateway::start(rig, &site.text(rig))?;
    if registers {
        gateway.event(0, "account.registered", secs(10), |_| true)?;
    }
    let rung = std::time::Instant::now();
    gateway.sim(&["press", "main", "bell", "--ms", "100"])?;
    phone.hears("CALL_INCOMING", secs(10))?;
    rig.measured(
        "bell until the phone rings, with the 100 ms that the bell is held",
        format!("{} ms", rung.elapsed().as_millis()),
    );
    phone.answer()?;
    phone.hears("CALL_ESTABLISHED", secs(10))?;
    gateway.event(0, "call.answered", secs(5), |_| true)?;
    both_hear(rig, phone, &sound)?;
    nine_opens(rig, &mut gateway, phone)?;
    phone.hang_up()?;
    gateway.event(0, "call.ended", secs(5), |_| true)?;
    gateway.event(0, "panel.ring-ended", secs(5), |_| true)?;
    one_ring(&gateway.events()?, STORY)?;
    ensure!(
        gateway.pulses() == 1,
        "one pulse was expected, not {}",
        gateway.pulses()
    );
    gateway.verify()?;
    gateway.stop()?;
    gateway.stays_at_rest(secs(1))
}

/// The story with one phone at such a PBX.
fn at_pbx(params: PbxParams<'_>) {
    run(|rig| {
        let pbx = Asterisk::start(rig, params)?;
        let mut phone = Phone::start(rig, PhoneParams::at_pbx(0, "101", rig.port(Use::PbxSip)))?;
        pbx.registered("101", secs(5))?;
        let account = Some(Account::default());
        tell(
            rig,
            Site {
                account,
                ..Site::default()
            },
            &mut phone,
            "101".into(),
        )
    });
}

#[test]
fn a_bell_rings_a_phone_at_the_pbx_and_nine_opens_the_door() {
    at_pbx(PbxParams::default());
}

#[test]
fn with_the_readmes_endpoints_between_which_media_goes_past_the_pbx_nine_opens_the_door() {
    at_pbx(PbxParams {
        readme: true,
        ..PbxParams::default()
    });
}

/// Puts the door's call through to another extension, as an operator does.
fn transfer(pbx: &Asterisk, to: &str) -> anyhow::Result<()> {
    let channels = pbx.cli("core show channels concise")?;
    let mut names = channels.lines().filter_map(|line| line.split('!').next());
    let door = names.find(|name| name.starts_with("PJSIP/200-"));
    let door = door.with_context(|| format!("the door has no call: {channels}"))?;
    let said = pbx.cli(&format!("channel redirect {door} house,{to},1"))?;
    ensure!(said.contains("successfully redirected"), "{said}");
    Ok(())
}

#[test]
fn after_a_transfer_at_the_pbx_whoever_is_on_the_list_opens_and_nobody_else() {
    run(|rig| {
        let params = PbxParams {
            door: "send_pai = yes\ntrust_id_outbound = yes\n",
            ..PbxParams::default()
        };
        let pbx = Asterisk::start(rig, params)?;
        let mut phones = vec![];
        let users = ["101", "102", "103"];
        for (n, user) in (0..).zip(users) {
            phones.push(Phone::start(
                rig,
                PhoneParams::at_pbx(n, user, rig.port(Use::PbxSip)),
            )?);
            pbx.registered(user, secs(5))?;
        }
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["101".into(), "103".into()],
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        gateway.event(0, "account.registered", secs(10), |_| true)?;
        gateway.ring()?;
        phones[0].hears("CALL_INCOMING", secs(10))?;
        phones[0].answer()?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        let mut pulses = 0;
        for (to, listed) in [(1, false), (2, true), (1, false), (0, true)] {
            let phone = &mut phones[to];
            let before = (phone.count("CALL_INCOMING"), phone.count("CALL_ESTABLISHED"));
            let seq = gateway.last_seq();
            transfer(&pbx, users[to])?;
            until(secs(10), "the phone rings", || {
                Ok((phone.count("CALL_INCOMING") > before.0).then_some(()))
            })?;
            phone.answer()?;
            until(secs(10), "the phone is answered", || {
                Ok((phone.count("CALL_ESTABLISHED") > before.1).then_some(()))
            })?;
            let told = gateway.event(seq, "call.transferred", secs(5), |_| true)?;
            ensure!(
                told["may_open"] == listed && named(&told["peer"]) == Some(users[to]),
                "{told}"
            );
            let seq = gateway.last_seq();
            // the PBX tells who it is now, and the media settles
            std::thread::sleep(secs(2));
            phone.press('9')?;
            if listed {
                gateway.energised(secs(5))?;
                gateway.released(secs(6))?;
                pulses += 1;
            } else {
                let ignored = gateway.event(seq, "call.digit-ignored", secs(5), |_| true)?;
                ensure!(ignored["reason"] == "no-authority", "{ignored}");
            }
            ensure!(
                gateway.pulses() == pulses,
                "{} pulses, not {pulses}",
                gateway.pulses()
            );
        }
        // each transfer once, all of one visitor
        let events = gateway.events()?;
        let ring = events.iter().find(|e| e["kind"] == "panel.ring");
        let ring = ring.map(|e| &e["ring_id"]);
        let told: Vec<_> = events
            .iter()
            .filter(|e| e["kind"] == "call.transferred")
            .collect();
        let of_ring = told.iter().filter(|e| Some(&e["ring_id"]) == ring).count();
        ensure!(told.len() == 4 && of_ring == 4, "{told:?}");
        gateway.verify()
    });
}

/// The user of an address.
fn named(peer: &Value) -> Option<&str> {
    peer.as_str()?.strip_prefix("sip:")?.split('@').next()
}

#[test]
fn the_same_over_tls_with_srtp() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let pbx = Asterisk::start(
            rig,
            PbxParams {
                secure: Some(&trust),
                ..PbxParams::default()
            },
        )?;
        let link = Link::secure(&trust);
        let phone = PhoneParams {
            link,
            ..PhoneParams::at_pbx(0, "101", rig.port(Use::PbxTls))
        };
        let mut phone = Phone::start(rig, phone)?;
        pbx.registered("101", secs(5))?;
        let account = Some(Account {
            link,
            ..Account::default()
        });
        tell(
            rig,
            Site {
                account,
                ..Site::default()
            },
            &mut phone,
            "101".into(),
        )?;
        // the endpoints take SRTP or nothing, so the phone's word is enough for its half
        ensure!(
            phone.log().contains("SRTP is Enabled"),
            "the phone did not use SRTP"
        );
        Ok(())
    });
}

#[test]
fn the_same_by_direct_ip_without_any_pbx() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let target = phone.address();
        tell(rig, Site::default(), &mut phone, target)
    });
}

#[test]
fn a_pbx_that_is_off_leaves_direct_calls_alone() {
    run(|rig| {
        // the account's PBX is not there; the list goes on to a direct address
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let site = Site {
            account: Some(Account::default()),
            targets: vec!["101".into(), phone.address()],
            ..Site::default()
        };
        // an address in the account's own domain would go through the account: the PBX has another name here
        let text = site
            .text(rig)
            .replace("domain = \"127.0.0.1\"", "domain = \"localhost\"");
        let mut gateway = Gateway::start(rig, &text)?;
        gateway.event(0, "account.failed", secs(45), |_| true)?;
        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(40))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        nine_opens(rig, &mut gateway, &mut phone)
    });
}

/// Three phones ring at once; two answer at once and press 9 at once.
fn three(through_pbx: bool) {
    run(|rig| {
        let pbx = if through_pbx {
            Some(Asterisk::start(rig, PbxParams::default())?)
        } else {
            None
        };
        let mut phones = vec![];
        for (n, user) in (0..).zip(["101", "102", "103"]) {
            let params = if through_pbx {
                PhoneParams::at_pbx(n, user, rig.port(Use::PbxSip))
            } else {
                PhoneParams::direct(n, user)
            };
            phones.push(Phone::start(rig, params)?);
        }
        let targets = if through_pbx {
            vec!["101".into(), "102".into(), "103".into()]
        } else {
            phones.iter().map(Phone::address).collect()
        };
        let account = through_pbx.then(Account::default);
        let site = Site {
            account,
            parallel: true,
            targets,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        if pbx.is_some() {
            gateway.event(0, "account.registered", secs(10), |_| true)?;
        }
        gateway.ring()?;
        for phone in &mut phones {
            phone.hears("CALL_INCOMING", secs(10))?;
        }
        phones[0].answer()?;
        phones[1].answer()?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        // the loser's phone may have no call any more, and says so
        let tries = [phones[0].press('9').is_ok(), phones[1].press('9').is_ok()];
        ensure!(tries[0] || tries[1], "no phone could press a key");
        phones[2].hears("CALL_CLOSED", secs(10))?;
        until(secs(10), "one of the two to be let go", || {
            let closed: usize = phones[..2].iter().map(|p| p.count("CALL_CLOSED")).sum();
            ensure!(closed < 2, "both were let go");
            Ok((closed == 1).then_some(()))
        })?;
        let talker = usize::from(phones[0].count("CALL_CLOSED") == 1);
        // if the only 9 that arrived was the loser's, it counted for nothing: the talker's must
        if gateway.pulses() == 0 {
            phones[talker].press('9')?;
        }
        gateway.energised(secs(5))?;
        gateway.released(secs(5))?;
        gateway.stays_at_rest(secs(2))?;
        let events = gateway.events()?;
        let count = |kind: &str| events.iter().filter(|e| e["kind"] == kind).count();
        ensure!(count("call.answered") == 1, "{} talkers", count("call.answered"));
        ensure!(count("door.unlocked") == 1, "{} pulses", count("door.unlocked"));
        phones[talker].hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;
        Ok(())
    });
}

#[test]
fn of_three_phones_at_the_pbx_one_talks_and_two_nines_make_one_pulse() {
    three(true);
}

#[test]
fn of_three_direct_phones_one_talks_and_two_nines_make_one_pulse() {
    three(false);
}
