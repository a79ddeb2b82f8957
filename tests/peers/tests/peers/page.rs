//! The page in a real browser.

use anyhow::ensure;
use peers::{Api, Browser, Gateway, Rig, Site, Trust, Use, run, until};
use rustix::process::Signal;

use crate::secs;

/// Does the text of the first door's card match this?
fn door_says(pattern: &str) -> String {
    format!("/{pattern}/i.test(document.querySelector('#doors .card')?.innerText || '')")
}

/// The page, after somebody typed name and password.
fn logged_in(rig: &Rig, api: &Api) -> anyhow::Result<Browser> {
    log_in(Browser::open(rig, &api.page())?)
}

/// Somebody types name and password.
fn log_in(mut page: Browser) -> anyhow::Result<Browser> {
    page.shows(
        "!!document.getElementById('login') && !document.getElementById('login').hidden",
        secs(20),
    )?;
    let (user, password) = Api::person();
    page.eval(&format!(
        "(() => {{ const f = document.getElementById('login-form'); f.elements.user.value = {user:?}; \
         f.elements.password.value = {password:?}; f.requestSubmit(); }})()"
    ))?;
    Ok(page)
}

#[test]
fn a_person_logs_in_opens_and_sees_it_and_a_dead_gateway_looks_dead() {
    run(|rig| {
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            http: true,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let api = Api::set_up(rig, &gateway)?;
        let mut page = logged_in(rig, &api)?;
        page.shows(&door_says("locked"), secs(15))?;
        // the machine's network and clock, to be read
        let network = "(document.getElementById('network')?.innerText || '')";
        page.shows(
            &format!(
                "!document.getElementById('network-section').hidden && /DNS/.test({network}) && /UTC/.test({network}) \
                 && !document.querySelector('#network-section button, #network-section input')"
            ),
            secs(15),
        )?;
        page.eval("document.querySelector('#doors .card .buttons button').click()")?;
        gateway.energised(secs(5))?;
        page.shows(&door_says("unlocked"), secs(3))?;
        gateway.released(secs(5))?;
        page.shows(
            &format!("!({}) && {}", door_says("unlocked"), door_says("locked")),
            secs(5),
        )?;

        // frozen: the connection is there, nobody speaks
        gateway.process().signal(Signal::STOP)?;
        let lost = "document.body.classList.contains('lost') && !document.getElementById('lost').hidden \
             && document.querySelector('#doors .card .buttons button').disabled";
        page.shows(lost, secs(6))?;
        gateway.process().signal(Signal::CONT)?;
        page.shows("!document.body.classList.contains('lost')", secs(15))?;
        gateway.process().kill();
        page.shows(lost, secs(6))?;
        gateway.stays_at_rest(secs(1))
    });
}

/// A detector, an alarm that security has to confirm, one of smoke, and an area.
const ALARM: &str = r#"
[inputs.smoke.virtual]
[inputs.detector.virtual]
[lines.security.contact]
[panels.security]
name = "Security"
line = "security"
doors = ["front"]
other-calls = "busy"
[areas.hall]
name = "Hall"
[alarms.intrusion]
name = "Warehouse: intrusion"
input = "detector"
panel = "security"
calls = ["people"]
code = "4711"
"#;

#[test]
fn an_alarm_is_confirmed_and_a_fire_is_reset_at_the_page() {
    run(|rig| {
        let site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            http: true,
            more: ALARM.to_owned(),
            ..Site::default()
        };
        let text = site
            .text(rig)
            .replacen("[site]", "[site]\nfire-input = \"smoke\"", 1);
        let mut gateway = Gateway::start(rig, &text)?;
        let api = Api::set_up(rig, &gateway)?;
        let mut page = logged_in(rig, &api)?;
        let card = "document.querySelector('#alarms .card')";
        let text = format!("({card}?.innerText || '')");
        let button = format!("{card}.querySelector('.buttons button')");
        page.shows(
            &format!("/intrusion/.test({text}) && /no alarm/.test({text})"),
            secs(15),
        )?;
        gateway.sim(&["contact", "detector", "on"])?;
        gateway.event(0, "alarm.raised", secs(5), |_| true)?;
        page.shows(
            &format!("{card}.classList.contains('alarm') && !{button}.disabled && !{button}.hidden"),
            secs(10),
        )?;
        page.eval(&format!("{button}.click()"))?;
        let confirmed = gateway.event(0, "alarm.confirmed", secs(10), |_| true)?;
        ensure!(
            confirmed["factor"] == "web" && confirmed["subject"] == format!("user:{}", Api::person().0),
            "{confirmed}"
        );
        page.shows(&format!("!{card}.classList.contains('alarm')"), secs(10))?;

        let fire = "document.getElementById('fire-section')";
        let reset = "document.querySelector('#fire .buttons button')";
        page.shows(&format!("{fire}.hidden"), secs(5))?;
        gateway.sim(&["fire", "smoke", "on"])?;
        gateway.energised(secs(5))?;
        page.shows(
            &format!("!{fire}.hidden && !{reset}.hidden && {reset}.disabled"),
            secs(10),
        )?;
        gateway.sim(&["fire", "smoke", "off"])?;
        page.shows(&format!("!{reset}.disabled"), secs(10))?;
        page.eval(&format!("{reset}.click()"))?;
        page.shows(&format!("/Press again/.test({reset}.innerText)"), secs(5))?;
        page.eval(&format!("{reset}.click()"))?;
        let alarm = |record: &serde_json::Value| record["active"] == false;
        let ended = gateway.event(0, "gateway.fire-alarm", secs(10), alarm)?;
        ensure!(ended["subject"] == format!("user:{}", Api::person().0), "{ended}");
        page.shows(&format!("{fire}.hidden"), secs(10))?;

        // who is in the hall is forgotten by the second press, and by no single one
        let before = gateway.last_seq();
        let button = "document.querySelector('#areas .card .buttons button')";
        let hall = "/hall/.test(document.querySelector('#areas .card')?.innerText || '')";
        page.shows(hall, secs(5))?;
        page.eval(&format!("{button}.click()"))?;
        page.shows(&format!("/Press again/.test({button}.innerText)"), secs(5))?;
        ensure!(
            gateway
                .events()?
                .iter()
                .all(|e| e["kind"] != "gateway.passback-reset"),
            "one press did it"
        );
        page.eval(&format!("{button}.click()"))?;
        let reset = gateway.event(before, "gateway.passback-reset", secs(10), |_| true)?;
        ensure!(reset["subject"] == format!("user:{}", Api::person().0), "{reset}");
        page.shows(
            "/record/.test(document.querySelector('#areas .card .result').innerText)",
            secs(10),
        )?;
        gateway.verify()
    });
}

/// Puts a file where the form takes one, and sends it.
fn upload(page: &mut Browser, chain: &str, key: &str) -> anyhow::Result<()> {
    page.eval(&format!(
        "(() => {{ document.getElementById('certificate-change').open = true; \
         const f = document.getElementById('certificate-form'); \
         const put = (name, text) => {{ const d = new DataTransfer(); d.items.add(new File([text], name + '.pem')); \
         f.elements[name].files = d.files; }}; put('chain', {chain:?}); put('key', {key:?}); f.requestSubmit(); }})()"
    ))?;
    Ok(())
}

#[test]
fn a_certificate_is_shown_replaced_and_given_back_at_the_page() {
    run(|rig| {
        let mut site = Site {
            targets: vec!["sip:101@127.0.0.1:9".into()],
            http: true,
            ..Site::default()
        };
        let mut gateway = Gateway::start(rig, &site.text(rig))?;
        let api = Api::set_up(rig, &gateway)?;
        let section = "document.getElementById('certificate-section')";
        {
            // without TLS there is none to show
            let mut page = logged_in(rig, &api)?;
            page.shows(&format!("{} && {section}.hidden", door_says("locked")), secs(15))?;
        }
        std::fs::remove_file(rig.path("browser-in"))?;
        std::fs::remove_file(rig.path("browser-out"))?;
        until(secs(20), "the browser to write no more", || {
            Ok(std::fs::remove_dir_all(rig.path("browser-profile")).ok())
        })?;
        site.http = false;
        let port = rig.port(Use::Http);
        site.more = format!("[http]\nlisten = \"127.0.0.1:{port}\"\ntls = true\n");
        gateway.reload(&site.text(rig))?;
        let mut page = log_in(Browser::open_trusting(
            rig,
            &format!("https://127.0.0.1:{port}/"),
        )?)?;
        let facts = "document.getElementById('certificate').innerText";
        page.shows(
            &format!("!{section}.hidden && /made by the gateway/.test({facts})"),
            secs(20),
        )?;
        ensure!(
            page.eval("document.getElementById('certificate-back').hidden")? == true,
            "there is nothing to go back from"
        );

        let trust = Trust::named(rig, "page", &["127.0.0.1", "localhost"])?;
        let chain = std::fs::read_to_string(&trust.cert)?;
        let key = std::fs::read_to_string(&trust.key)?;
        let other = Trust::named(rig, "other", &["127.0.0.1"])?;
        let other_key = std::fs::read_to_string(&other.key)?;
        let said = "document.querySelector('#certificate-form .result').innerText";
        upload(&mut page, &chain, &other_key)?;
        page.shows(&format!("/it is not the key of/.test({said})"), secs(10))?;
        let before = gateway.last_seq();
        upload(&mut page, &chain, &key)?;
        let record = gateway.event(before, "user.certificate-replaced", secs(10), |_| true)?;
        ensure!(record["by"] == Api::person().0, "{record}");
        page.shows(
            &format!("/uploaded/.test({facts}) && /127.0.0.1/.test({said})"),
            secs(10),
        )?;
        ensure!(
            page.eval("document.querySelector('#certificate-form [name=key]').value")? == "",
            "the key stays in no field"
        );

        let back = "document.querySelector('#certificate-back button')";
        page.eval(&format!("{back}.click()"))?;
        page.shows(&format!("/Press again/.test({back}.innerText)"), secs(5))?;
        page.eval(&format!("{back}.click()"))?;
        gateway.event(before, "user.certificate-removed", secs(10), |_| true)?;
        page.shows(&format!("/made by the gateway/.test({facts})"), secs(10))?;
        gateway.verify()
    });
}
