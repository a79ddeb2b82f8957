//! Contacts from a real OpenLDAP: read, kept, called by name; and nobody may open for standing there.

use anyhow::{Context, ensure};
use peers::{Account, Api, Gateway, Phone, PhoneParams, Rig, Site, Slapd, Trust, Use, run, until};
use serde_json::{Value, json};

use crate::faults::door_works;
use crate::secs;

/// The keys of `[directory]`.
fn keys(rig: &Rig, trust: &Trust, tls: &str, password: &str, more: &str) -> String {
    let port = rig.port(if tls == "ldaps" { Use::Ldaps } else { Use::Ldap });
    let (dn, _) = Slapd::LOGIN;
    format!(
        "[directory]\nserver = \"127.0.0.1:{port}\"\ntls = {tls:?}\nca-file = {:?}\nbind-dn = {dn:?}\npassword = \
         {password:?}\nbase = {:?}\naddress-attribute = \"ipHostNumber\"\n{more}\n",
        trust.ca,
        Slapd::BASE
    )
}

fn site(rig: &Rig, keys: String, targets: &str) -> String {
    let site = Site {
        targets: vec!["TARGETS".into()],
        http: true,
        more: keys,
        ..Site::default()
    };
    site.text(rig).replace("\"TARGETS\"", targets)
}

/// Waits until the directory at the API is like this.
fn shows(api: &Api, what: &str, fits: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    until(secs(30), what, || {
        last = api.get("/api/v1/directory")?.body;
        Ok(fits(&last).then(|| last.clone()))
    })
    .with_context(|| last.to_string())
}

fn says(api: &Api, text: &str) -> anyhow::Result<()> {
    let mut last = String::new();
    until(secs(30), &format!("health to say {text:?}"), || {
        last = api.get("/api/v1/health")?.body.to_string();
        Ok(last.contains(text).then_some(()))
    })
    .with_context(|| last.clone())
}

fn count(directory: &Value) -> usize {
    directory["entries"].as_array().map_or(0, Vec::len)
}

#[test]
fn the_directory_is_read_over_tls_in_pages_and_its_last_good_copy_outlives_the_server() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let stranger = Trust::named(rig, "stranger-", &["127.0.0.1"])?;
        let (_, password) = Slapd::LOGIN;
        let names: Vec<(String, String)> = (0..1200)
            .map(|n| (format!("Person {n:04}"), format!("+33 4 76-{n:04}")))
            .collect();
        let people: Vec<_> = names
            .iter()
            .map(|(name, number)| (name.as_str(), number.as_str(), None))
            .collect();
        let mut server = Slapd::start(rig, &trust, &people)?;
        let targets = "\"sip:101@127.0.0.1:9\"";
        let good = site(rig, keys(rig, &trust, "ldaps", password, ""), targets);
        let mut gateway = Gateway::start(rig, &good)?;
        let api = Api::set_up(rig, &gateway)?;
        let all = shows(&api, "1200 entries", |d| count(d) == 1200)?;
        ensure!(
            all["entries"][7] == json!({"name": "Person 0007", "number": "+334760007", "address": null}),
            "{}",
            all["entries"][7]
        );

        for (keys, said) in [
            (
                keys(rig, &trust, "starttls", "wrong", ""),
                "bind was refused with result 49, invalidCredentials: check bind-dn",
            ),
            (
                keys(rig, &stranger, "starttls", password, ""),
                "signed by a CA we do not trust; set ca-file",
            ),
            (
                keys(rig, &stranger, "ldaps", password, ""),
                "signed by a CA we do not trust; set ca-file",
            ),
            (
                keys(rig, &trust, "off", password, "").replace("ca-file", "# ca-file"),
                "confidentialityRequired",
            ),
        ] {
            gateway.reload(&site(rig, keys, targets))?;
            says(&api, said)?;
            door_works(&mut gateway)?;
        }
        gateway.reload(&site(rig, keys(rig, &trust, "starttls", password, ""), targets))?;
        shows(&api, "1200 entries by StartTLS", |d| count(d) == 1200)?;

        // the server is away: what was read last is there, also after a restart
        server.kill();
        gateway.stop()?;
        gateway.again(rig)?;
        let mut api = Api::new(rig);
        api.log_in()?;
        shows(&api, "the copy", |d| count(d) == 1200)?;
        says(&api, "cannot connect")?;
        says(&api, "1200 entries of ")?;
        door_works(&mut gateway)?;
        for secret in [password, "wrong"] {
            ensure!(!gateway.log().contains(secret), "a password stands in the log");
        }
        ensure!(!gateway.log().contains("panicked"), "{}", gateway.log());
        Ok(())
    });
}

/// The bell rings the phone, which answers.
fn answered(gateway: &Gateway, phone: &mut Phone) -> anyhow::Result<u64> {
    let before = gateway.last_seq();
    gateway.ring()?;
    phone.hears("CALL_INCOMING", secs(10))?;
    phone.answer()?;
    phone.hears("CALL_ESTABLISHED", secs(10))?;
    gateway.event(before, "call.answered", secs(5), |_| true)?;
    Ok(before)
}

#[test]
fn an_entry_is_called_by_name_and_opens_only_once_an_administrator_vouches_for_it() {
    run(|rig| {
        let trust = Trust::new(rig)?;
        let (_, password) = Slapd::LOGIN;
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let server = Slapd::start(
            rig,
            &trust,
            &[("Alice Martin", "101", None), ("Bob", "102", Some("192.0.2.7"))],
        )?;
        let site = Site {
            account: Some(Account {
                more: "register = false\n",
                ..Account::default()
            }),
            targets: vec!["TARGETS".into()],
            http: true,
            more: keys(rig, &trust, "ldaps", password, "refresh = \"after-call\""),
            ..Site::default()
        };
        let targets = "{ contact = \"Alice Martin\" }, { contact = \"Nobody\" }";
        // the phone stands in for the PBX: whatever number is called there, it rings
        let text = site.text(rig).replace("\"TARGETS\"", targets).replace(
            &format!("port = {}\n", rig.port(Use::PbxSip)),
            &format!("port = {}\n", rig.port(Use::PhoneSip(0))),
        );
        let mut gateway = Gateway::start(rig, &text)?;
        let api = Api::set_up(rig, &gateway)?;
        let all = shows(&api, "both entries", |d| count(d) == 2)?;
        ensure!(all["entries"][1]["address"] == "192.0.2.7", "{all}");
        says(&api, "nobody is called for \\\"Nobody\\\" of list people")?;

        // rung by name, shown by name, and its digits open nothing
        let before = answered(&gateway, &mut phone)?;
        let calls = api.get("/api/v1/calls")?.body;
        ensure!(calls["calls"][0]["names"][0] == "Alice Martin", "{calls}");
        phone.press('9')?;
        let ignored = gateway.event(before, "call.digit-ignored", secs(5), |_| true)?;
        ensure!(ignored["reason"] == "unlisted", "{ignored}");
        gateway.stays_at_rest(secs(1))?;

        // somebody turns the entry to another number; it is read after the call
        drop(server);
        let server = Slapd::start(rig, &trust, &[("Alice Martin", "103", None)])?;
        phone.hang_up()?;
        shows(&api, "the entry after the call", |d| {
            d["entries"][0]["number"] == "103"
        })?;

        // what an administrator copied keeps the number it had, and may open
        let made = api.post(
            "/api/v1/contacts",
            &json!({ "name": "Alice Martin", "number": "101" }),
        )?;
        ensure!(made.status == 201, "{made:?}");
        let saved = gateway.event(before, "user.contact-saved", secs(5), |_| true)?;
        ensure!(
            saved["number"] == "101" && saved["by"] == Api::person().0,
            "{saved}"
        );
        let seq = answered(&gateway, &mut phone)?;
        phone.press('9')?;
        gateway.energised(secs(5))?;
        gateway.event(seq, "door.granted", secs(5), |_| true)?;
        gateway.released(secs(8))?;
        phone.hang_up()?;
        drop(server);
        Ok(())
    });
}
