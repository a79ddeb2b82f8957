//! Logins by a real FreeRADIUS: who is let in as what, and who is not, whatever happens on the way.

use anyhow::ensure;
use peers::{Api, FreeRadius, Gateway, Meddle, RadiusParams, Relay, Reply, Rig, Site, Use, run, until};

use crate::faults::door_works;
use crate::secs;

/// A site whose logins are asked for at these ports; more keys of the table after them.
fn site(rig: &Rig, servers: &[(u16, u16)], keys: &str) -> anyhow::Result<String> {
    use std::os::unix::fs::OpenOptionsExt;
    let secret = rig.path("radius.secret");
    let file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&secret)?;
    std::io::Write::write_all(&mut &file, format!("{}\n", FreeRadius::SECRET).as_bytes())?;
    let servers: Vec<String> = servers
        .iter()
        .map(|(port, accounting)| {
            format!("{{ address = \"127.0.0.1:{port}\", accounting-port = {accounting} }}")
        })
        .collect();
    let more = format!(
        "[logins.radius]\nservers = [{}]\nsecret-file = {secret:?}\ntimeout-ms = 1000\nuser-scopes = [\"read\", \
         \"open\"]\n{keys}\n",
        servers.join(", ")
    );
    let site = Site {
        targets: vec!["sip:101@127.0.0.1:9".into()],
        http: true,
        more,
        ..Site::default()
    };
    Ok(site.text(rig))
}

fn ports(rig: &Rig, n: u16) -> (u16, u16) {
    (rig.port(Use::Radius(n)), rig.port(Use::RadiusAccounting(n)))
}

fn relayed(rig: &Rig) -> (u16, u16) {
    (rig.port(Use::RadiusRelay), rig.port(Use::RadiusAccounting(0)))
}

/// Name and password of a person of the server.
fn person(name: &str) -> anyhow::Result<(&'static str, &'static str)> {
    let found = FreeRadius::PEOPLE.iter().find(|(n, _, _)| *n == name);
    found
        .map(|(n, p, _)| (*n, *p))
        .ok_or_else(|| anyhow::anyhow!("who is {name}?"))
}

fn log_in(rig: &Rig, name: &str) -> anyhow::Result<(Api, Reply)> {
    let (name, password) = person(name)?;
    let mut api = Api::new(rig);
    let reply = api.log_in_as(name, password)?;
    Ok((api, reply))
}

/// Nobody of the server gets in, and the administrator of this gateway does.
fn only_ours(rig: &Rig, what: &str) -> anyhow::Result<Api> {
    for name in ["admin1", "user1"] {
        let (api, reply) = log_in(rig, name)?;
        ensure!(
            reply.status != 200 && reply.cookie.is_none(),
            "{what}: {name} is in: {reply:?}"
        );
        ensure!(
            api.get("/api/v1/doors")?.status == 401,
            "{what}: {name} sees doors"
        );
    }
    let mut api = Api::new(rig);
    api.log_in()
        .map_err(|e| e.context(format!("{what}: the account of this gateway")))?;
    Ok(api)
}

/// Waits until health says this of the server, or with `None` that nothing is wrong with any.
fn says(api: &Api, text: Option<&str>) -> anyhow::Result<()> {
    let mut last = String::new();
    until(secs(40), &format!("health to say {text:?}"), || {
        last = api.get("/api/v1/health")?.body.to_string();
        let there = text.map_or_else(|| !last.contains("radius:"), |text| last.contains(text));
        Ok(there.then_some(()))
    })
    .map_err(|e| e.context(last))
}

#[test]
fn a_service_type_makes_administrators_and_users_and_all_else_is_no_entry() {
    run(|rig| {
        let server = FreeRadius::start(rig, RadiusParams::default())?;
        let mut gateway = Gateway::start(rig, &site(rig, &[ports(rig, 0)], "")?)?;
        Api::set_up(rig, &gateway)?;

        let (admin, reply) = log_in(rig, "admin1")?;
        ensure!(
            reply.status == 200 && reply.body["scopes"][0] == "admin",
            "{reply:?}"
        );
        ensure!(reply.body["vouched_by"] == "radius", "{reply:?}");
        ensure!(
            admin.get("/api/v1/users")?.status == 200,
            "an administrator sees users"
        );
        server.accounted(&[
            "Acct-Status-Type = Start",
            "User-Name = \"admin1\"",
            "Acct-Authentic = RADIUS",
            "Service-Type = Administrative-User",
            "NAS-Identifier = \"test\"",
            "Class = 0x0102",
        ])?;
        let opened = admin.post("/api/v1/doors/front/open", &serde_json::json!({}))?;
        ensure!(opened.status == 200, "{opened:?}");
        gateway.energised(secs(3))?;
        let granted = gateway.event(0, "door.granted", secs(5), |_| true)?;
        ensure!(granted["subject"] == "user:radius:admin1", "{granted}");
        gateway.released(secs(5))?;
        let out = admin.post("/api/v1/logout", &serde_json::json!({}))?;
        ensure!(out.status == 204, "{out:?}");
        server.accounted(&[
            "Acct-Status-Type = Stop",
            "User-Name = \"admin1\"",
            "Acct-Terminate-Cause = User-Request",
            "Acct-Session-Time = ",
        ])?;
        ensure!(admin.get("/api/v1/doors")?.status == 401, "logged out");

        let (user, reply) = log_in(rig, "user1")?;
        ensure!(
            reply.status == 200 && reply.body["scopes"] == serde_json::json!(["open", "read"]),
            "{reply:?}"
        );
        ensure!(user.get("/api/v1/users")?.status == 403, "a user sees no users");
        for (name, password, status, said) in [
            (
                "nost1",
                "nost pass phrase",
                403,
                "Access-Accept without one Service-Type",
            ),
            (
                "framed1",
                "framed pass phrase",
                403,
                "Access-Accept with Service-Type Framed-User",
            ),
            // FreeRADIUS refuses with Service-Type Administrative-User in the Reject
            ("admin1", "not the pass phrase", 401, "Access-Reject"),
            ("nobody", "whatever it takes", 401, "Access-Reject"),
        ] {
            let before = gateway.last_seq();
            let mut api = Api::new(rig);
            let reply = api.log_in_as(name, password)?;
            ensure!(
                reply.status == status && reply.cookie.is_none(),
                "{name}: {reply:?}"
            );
            ensure!(api.get("/api/v1/doors")?.status == 401, "{name} sees doors");
            let failed = gateway.event(before, "user.login-failed", secs(5), |_| true)?;
            let reason = failed["reason"].as_str().unwrap_or_default();
            ensure!(reason.starts_with(said), "{name}: {failed}");
        }
        // the name of this gateway's own is not asked for there
        let mut ours = Api::new(rig);
        ours.log_in()?;
        ensure!(!server.log().contains(Api::person().0), "{}", server.log());
        says(&ours, None)?;
        // at the end the server hears of those who are still in
        gateway.stop()?;
        server.accounted(&[
            "Acct-Status-Type = Stop",
            "User-Name = \"user1\"",
            "Acct-Terminate-Cause = Admin-Reboot",
        ])?;
        for secret in [FreeRadius::SECRET, "admin pass phrase"] {
            ensure!(!gateway.log().contains(secret), "a secret stands in the log");
        }
        Ok(())
    });
}

/// Access-Accept.
const ACCEPT: u8 = 2;
/// Access-Reject.
const REJECT: u8 = 3;

/// Somebody who has no secret and makes an answer with Service-Type Administrative-User all the same.
fn forged(request: &[u8], code: u8) -> Vec<u8> {
    let mut forged = vec![code, request[1], 0, 26];
    forged.extend_from_slice(&[0x5a; 16]);
    forged.extend_from_slice(&[6, 6, 0, 0, 0, 6]);
    forged
}

#[test]
fn whatever_somebody_does_on_the_way_nobody_gets_in_by_it_and_the_own_account_does() {
    run(|rig| {
        let _server = FreeRadius::start(rig, RadiusParams::default())?;
        let mut gateway = Gateway::start(rig, &site(rig, &[relayed(rig)], "")?)?;
        Api::set_up(rig, &gateway)?;
        let honest: Box<Meddle> = Box::new(|_, answer| vec![answer]);
        {
            let _relay = Relay::start(rig, honest)?;
            let (_, reply) = log_in(rig, "admin1")?;
            ensure!(reply.status == 200, "the relay passes what is honest: {reply:?}");
        }
        let attacks: Vec<(&str, Box<Meddle>, &str)> = vec![
            (
                "an answer made up",
                Box::new(|request, _| vec![forged(request, ACCEPT)]),
                "signed with another shared secret",
            ),
            (
                "a Service-Type turned into another",
                Box::new(|_, mut answer| {
                    let end = answer.len();
                    answer[end - 1] ^= 7;
                    vec![answer]
                }),
                "signed with another shared secret",
            ),
            (
                "noise",
                Box::new(|_, answer| {
                    (0..100)
                        .map(|n| answer[..answer.len() * n / 100].to_vec())
                        .collect()
                }),
                "is not believed",
            ),
            ("silence", Box::new(|_, _| vec![]), "does not answer"),
        ];
        for (what, meddle, fault) in attacks {
            let relay = Relay::start(rig, meddle)?;
            let api = only_ours(rig, what)?;
            says(&api, Some(fault)).map_err(|e| e.context(what.to_owned()))?;
            drop(relay);
        }
        // a Reject turned into an Accept, for somebody with a wrong password
        let turn: Box<Meddle> = Box::new(|_, mut answer| {
            if answer[0] == REJECT {
                answer[0] = ACCEPT;
            }
            vec![answer]
        });
        let relay = Relay::start(rig, turn)?;
        let mut api = Api::new(rig);
        let reply = api.log_in_as("admin1", "not the pass phrase")?;
        ensure!(reply.status == 503 && reply.cookie.is_none(), "{reply:?}");
        drop(relay);
        // and nobody is kept out by a forger who is quicker than the server
        let refuse: Box<Meddle> = Box::new(|request, answer| vec![forged(request, REJECT), answer]);
        let relay = Relay::start(rig, refuse)?;
        let (_, reply) = log_in(rig, "admin1")?;
        ensure!(reply.status == 200, "{reply:?}");
        drop(relay);
        door_works(&mut gateway)?;
        ensure!(!gateway.log().contains("panicked"), "{}", gateway.log());
        Ok(())
    });
}

#[test]
fn an_old_answer_opens_no_later_login() {
    run(|rig| {
        let _server = FreeRadius::start(rig, RadiusParams::default())?;
        let gateway = Gateway::start(rig, &site(rig, &[relayed(rig)], "")?)?;
        Api::set_up(rig, &gateway)?;
        let mut first: Option<Vec<u8>> = None;
        let replay: Box<Meddle> = Box::new(move |request, answer| {
            let mut old = first.get_or_insert_with(|| answer.clone()).clone();
            old[1] = request[1];
            vec![old]
        });
        let _relay = Relay::start(rig, replay)?;
        let (_, reply) = log_in(rig, "admin1")?;
        ensure!(reply.status == 200, "its own answer counts: {reply:?}");
        // from here on the answer to the first login comes to everybody
        let mut api = Api::new(rig);
        let reply = api.log_in_as("admin1", "not the pass phrase")?;
        ensure!(reply.status == 503 && reply.cookie.is_none(), "{reply:?}");
        only_ours(rig, "an answer of before").map(|_| ())
    });
}

#[test]
fn answers_without_message_authenticator_count_only_where_the_operator_takes_the_risk() {
    run(|rig| {
        let bare = RadiusParams {
            message_authenticator: false,
            ..RadiusParams::default()
        };
        let _server = FreeRadius::start(rig, bare)?;
        let servers = [ports(rig, 0)];
        let mut gateway = Gateway::start(rig, &site(rig, &servers, "")?)?;
        Api::set_up(rig, &gateway)?;
        let api = only_ours(rig, "answers without Message-Authenticator")?;
        says(&api, Some("have no Message-Authenticator, and are not believed"))?;
        let risky = site(rig, &servers, "require-message-authenticator = false")?;
        let said = gateway.reload(&risky)?;
        ensure!(said.contains("is in force"), "{said}");
        let (_, reply) = log_in(rig, "admin1")?;
        ensure!(
            reply.status == 200 && reply.body["scopes"][0] == "admin",
            "{reply:?}"
        );
        let checked = std::process::Command::new(peers::program())
            .arg("check")
            .arg(rig.path("site.toml"))
            .output()?;
        let told = format!(
            "{}{}",
            String::from_utf8_lossy(&checked.stdout),
            String::from_utf8_lossy(&checked.stderr)
        );
        ensure!(told.contains("can let himself in as an administrator"), "{told}");
        Ok(())
    });
}

#[test]
fn with_another_secret_nobody_gets_in_and_health_says_what_to_do() {
    run(|rig| {
        let other = RadiusParams {
            secret: "quite another secret",
            ..RadiusParams::default()
        };
        let _server = FreeRadius::start(rig, other)?;
        let mut gateway = Gateway::start(rig, &site(rig, &[ports(rig, 0)], "")?)?;
        Api::set_up(rig, &gateway)?;
        let api = only_ours(rig, "another secret")?;
        says(
            &api,
            Some("says nothing to a client it does not know, or whose secret differs"),
        )?;
        door_works(&mut gateway)
    });
}

#[test]
fn a_dead_server_gives_way_to_the_second_one_and_both_dead_to_our_own_account() {
    run(|rig| {
        let first = RadiusParams::default();
        let second = RadiusParams { n: 1, ..first };
        let mut one = FreeRadius::start(rig, first)?;
        let mut two = FreeRadius::start(rig, second)?;
        let servers = [ports(rig, 0), ports(rig, 1)];
        let mut gateway = Gateway::start(rig, &site(rig, &servers, "")?)?;
        let api = Api::set_up(rig, &gateway)?;
        let of = |n: u16| format!("radius:127.0.0.1:{}", ports(rig, n).0);
        let (_, reply) = log_in(rig, "admin1")?;
        ensure!(reply.status == 200, "{reply:?}");
        ensure!(
            !two.log().contains("admin1"),
            "the second one is not asked while the first one answers"
        );

        one.kill();
        let (_, reply) = log_in(rig, "admin1")?;
        ensure!(reply.status == 200, "{reply:?}");
        let login = gateway.event(0, "user.login", secs(5), |e| {
            e["server"]
                .as_str()
                .is_some_and(|s| s.ends_with(&ports(rig, 1).0.to_string()))
        })?;
        ensure!(login["user"] == "radius:admin1", "{login}");
        says(&api, Some(&of(0)))?;

        two.kill();
        let (_, reply) = log_in(rig, "admin1")?;
        ensure!(
            reply.status == 503 && reply.body["reason"] == "radius",
            "{reply:?}"
        );
        let api = only_ours(rig, "both dead")?;
        says(&api, Some(&of(1)))?;
        door_works(&mut gateway)?;

        // back again: the next login finds it, and by Status-Server it is known without one
        let _two = FreeRadius::start(rig, second)?;
        let (_, reply) = log_in(rig, "user1")?;
        ensure!(reply.status == 200, "{reply:?}");
        let _one = FreeRadius::start(rig, first)?;
        says(&api, None)
    });
}
