//! The HTTP API as others' programs find it in its own document: schemathesis tries out whatever the document allows
//! and forbids, a client that a public generator made of it opens a door, and no scope is got past.

use anyhow::{Context, ensure};
use peers::{Api, ApiClients, Gateway, Rig, Site, TokenOf, Use, run};
use serde_json::{Value, json};

use crate::secs;

/// Streams are left out, since they do not end.
const ARGS: &str = "--phases examples,coverage,fuzzing --max-examples 10 --seed 7 --max-time 30 --request-timeout 20 \
                    --exclude-operation-id events --exclude-operation-id live";
/// A few requests to every operation, the same each time; without a lockdown, after which nothing would open.
const SPREAD: &str = "--phases examples,fuzzing --max-examples 6 --generation-deterministic --request-timeout 20 \
                      --exclude-operation-id events --exclude-operation-id live --exclude-operation-id lockdown_begin";
/// A second door, which a token for the first one must not reach.
const BACK: &str = r#"
[outputs.back-strike.virtual]
[inputs.back-rex.virtual]
[doors.back]
name = "Back"
output = "back-strike"
rex = [{ input = "back-rex", kind = "unlock" }]
"#;
const SCOPES: [&str; 4] = ["read", "open", "operate", "admin"];

/// A gateway with page and API, and an administrator.
fn begin(rig: &Rig) -> anyhow::Result<(Gateway, Api)> {
    let site = Site {
        http: true,
        targets: vec![format!("sip:nobody@127.0.0.1:{}", rig.port(Use::Unused))],
        more: BACK.to_owned(),
        ..Site::default()
    };
    let gateway = Gateway::start(rig, &site.text(rig))?;
    let api = Api::set_up(rig, &gateway)?;
    Ok((gateway, api))
}

fn token(api: &Api, scopes: &[&str]) -> anyhow::Result<String> {
    let name = format!("t-{}", scopes.join("-"));
    let made = api.post(
        "/api/v1/tokens",
        &json!({ "name": name, "scopes": scopes, "doors": "all" }),
    )?;
    ensure!(made.status == 201, "{made:?}");
    Ok(made.body["token"].as_str().context("a token")?.to_owned())
}

#[test]
fn a_client_that_a_generator_made_of_the_document_opens_a_door() {
    run(|rig| {
        let (mut gateway, api) = begin(rig)?;
        let token = token(&api, &["read", "open"])?;
        let clients = ApiClients::new(rig)?;
        clients.generate(rig)?;
        let said = clients.generated(rig, &token, "front")?;
        gateway.energised(secs(5))?;
        gateway.released(secs(10))?;
        let lines: Vec<&str> = said.lines().collect();
        for line in [
            "doors back front",
            "lock locked",
            "again 409 duplicate",
            "nowhere 404 unknown",
            "granted door.granted front",
        ] {
            ensure!(lines.contains(&line), "{line}: {said}");
        }
        ensure!(gateway.pulses() == 1, "{} pulses", gateway.pulses());
        gateway.stop()
    });
}

/// What schemathesis says of a run: it ends with an error if it found anything.
fn tried_out(rig: &Rig, clients: &ApiClients, tokens: &[TokenOf<'_>], args: &str) -> anyhow::Result<()> {
    let args: Vec<&str> = args.split_whitespace().collect();
    let out = clients.schemathesis(rig, tokens, &args)?;
    let said = String::from_utf8_lossy(&out.stdout);
    let summary: Vec<&str> = said
        .lines()
        .filter(|l| {
            ["generated", "Tested", "requests by"]
                .iter()
                .any(|part| l.contains(part))
        })
        .collect();
    rig.measured("schemathesis", summary.join("; "));
    ensure!(
        out.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}

#[test]
fn a_spread_over_every_operation_finds_no_fault_and_no_way_past_scopes_and_doors() {
    run(|rig| {
        let (mut gateway, api) = begin(rig)?;
        let clients = ApiClients::new(rig)?;
        let (read, operate) = (token(&api, &["read"])?, token(&api, &["operate"])?);
        let body = json!({ "name": "one-door", "scopes": ["open"], "doors": ["back"] });
        let one_door = api.post("/api/v1/tokens", &body)?;
        let one_door = one_door.body["token"].as_str().context("a token")?;
        let of = |scopes, doors, token| TokenOf { doors, scopes, token };
        let tokens = [
            of("read", "", &read),
            of("open", "back", one_door),
            of("operate", "", &operate),
        ];
        tried_out(rig, &clients, &tokens, SPREAD)?;
        ensure!(gateway.process().ended()?.is_none(), "the gateway has ended");
        let opened = gateway
            .events()?
            .into_iter()
            .filter(|e| e["kind"] == "door.unlocked");
        let strange = opened.filter(|e| e["source"] != "back").count();
        ensure!(
            strange == 0,
            "{strange} openings of a door that no token may open"
        );
        gateway.verify()?;
        gateway.stop()
    });
}

#[test]
fn schemathesis_finds_no_fault_and_no_answer_that_the_document_does_not_name() {
    run(|rig| {
        let (mut gateway, api) = begin(rig)?;
        let clients = ApiClients::new(rig)?;
        let admin = token(&api, &["admin"])?;
        let admin = TokenOf {
            doors: "",
            scopes: "admin",
            token: &admin,
        };
        tried_out(rig, &clients, &[admin], ARGS)?;
        ensure!(gateway.process().ended()?.is_none(), "the gateway has ended");
        let site = api.get("/api/v1/site")?;
        ensure!(site.status == 200, "{site:?}");
        gateway.verify()?;
        gateway.stop()
    });
}

/// A path of the document with something in place of its names.
fn filled(path: &str) -> String {
    let part = |part: &str| match part {
        "{door}" => "front".to_owned(),
        "{ring}" => "01900000-0000-7000-8000-000000000000".to_owned(),
        "{panel}" => "main".to_owned(),
        "{button}" => "bell".to_owned(),
        part if part.starts_with('{') => "nobody".to_owned(),
        part => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn no_operation_of_the_document_is_reached_past_its_scope() {
    run(|rig| {
        let (mut gateway, api) = begin(rig)?;
        let document = api.get("/api/v1/openapi.json")?.body;
        let tokens: Vec<(&str, String)> = SCOPES
            .into_iter()
            .map(|scope| Ok((scope, token(&api, &[scope])?)))
            .collect::<anyhow::Result<_>>()?;
        let mut asked = 0;
        for (path, operations) in document["paths"].as_object().context("paths")? {
            for (method, operation) in operations.as_object().context("operations")? {
                let method = method.to_uppercase();
                let ways = operation["security"].as_array().context("security")?;
                let needed: Vec<&Vec<Value>> = ways
                    .iter()
                    .filter_map(|way| way["token"].as_array())
                    .filter(|all| !all.is_empty())
                    .collect();
                if needed.is_empty() {
                    continue;
                }
                let what = format!("{method} {path}");
                let nobody = api.as_token(None).ask(&method, &filled(path), Some(&json!({})))?;
                ensure!(nobody.status == 401, "{what} without a token: {nobody:?}");
                let forged =
                    api.as_token(Some("dl_00000000_x"))
                        .ask(&method, &filled(path), Some(&json!({})))?;
                ensure!(
                    forged.status == 401,
                    "{what} with a token that is none: {forged:?}"
                );
                for (scope, token) in &tokens {
                    let is_enough = |all: &&Vec<Value>| all.iter().all(|one| one == scope);
                    if needed.iter().any(is_enough) || *scope == "admin" {
                        continue;
                    }
                    let reply = api
                        .as_token(Some(token))
                        .ask(&method, &filled(path), Some(&json!({})))?;
                    let told = (reply.status, reply.body["reason"].as_str());
                    ensure!(told == (403, Some("scope")), "{what} with {scope}: {reply:?}");
                    asked += 1;
                }
            }
        }
        ensure!(asked > 90, "only {asked} requests");
        rig.measured("requests without their scope, all refused", asked);
        ensure!(gateway.pulses() == 0, "a door opened");
        gateway.stop()
    });
}
