//! What can be edited: who edits what somebody else has changed meanwhile is told; lists in pages; people.

use std::time::Duration;

use gateway_store::fake::FakeIo;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::support::{Answer, PASSWORD, Site, within};

async fn change(site: &Site, method: &str, path: &str, ann: &str, lines: &[&str], body: &str) -> Answer {
    let origin = format!("origin: {}", site.origin());
    let mut all = vec![ann, origin.as_str()];
    all.extend(lines);
    site.ask(method, path, &all, body).await
}

fn etag(answer: &Answer) -> String {
    let tag = answer.header("etag").expect("an entity tag");
    assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");
    format!("if-match: {tag}")
}

#[tokio::test]
async fn a_user_is_changed_by_who_has_seen_it_as_it_is() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let body = format!(r#"{{"user":"bob","password":"{PASSWORD}","scopes":["read"],"doors":"all"}}"#);
    let made = site.post("/api/v1/users", &ann, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let bob = "/api/v1/users/bob";
    let seen = etag(&site.get(bob, &ann).await);
    assert_eq!(seen, etag(&made), "the same state");
    let open = r#"{"scopes":["read","open"],"doors":["front"]}"#;
    let blind = change(&site, "PUT", bob, &ann, &[], open).await;
    assert_eq!((blind.status, blind.reason().as_str()), (428, "precondition"));
    let login = format!(r#"{{"user":"bob","password":"{PASSWORD}"}}"#);
    let login = site.post("/api/v1/login", "x-nobody: 1", &login).await;
    let session = format!("cookie: {}", login.cookie());
    let changed = change(&site, "PUT", bob, &ann, &[&seen], open).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.json()["doors"], serde_json::json!(["front"]));
    assert_eq!(etag(&changed), etag(&site.get(bob, &ann).await));
    assert_eq!(
        site.get("/api/v1/doors/garage", &session).await.status,
        403,
        "at once"
    );
    for (method, body) in [("PUT", open), ("DELETE", "")] {
        let late = change(&site, method, bob, &ann, &[&seen], body).await;
        assert_eq!(
            (late.status, late.reason().as_str()),
            (412, "changed"),
            "{method}"
        );
    }
    let renewed = r#"{"scopes":["read"],"password":"another long one"}"#;
    let renewed = change(&site, "PUT", bob, &ann, &["if-match: *"], renewed).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(
        site.get("/api/v1/doors", &session).await.status,
        401,
        "its session has ended"
    );
    let last = change(&site, "PUT", "/api/v1/users/ann", &ann, &["if-match: *"], open).await;
    assert_eq!((last.status, last.reason().as_str()), (409, "last-admin"));
    let bad = change(&site, "PUT", bob, &ann, &["if-match: bob"], open).await;
    assert_eq!((bad.status, bad.reason().as_str()), (400, "precondition"));
    let gone = change(&site, "DELETE", bob, &ann, &[&etag(&renewed)], "").await;
    assert_eq!(gone.status, 204);
    let nobody = change(&site, "PUT", bob, &ann, &["if-match: *"], open).await;
    assert_eq!(nobody.status, 404);
    let changed = site.records(&ann, "user.user-changed", 2).await;
    assert_eq!(changed.len(), 2, "{changed:?}");
}

#[tokio::test]
async fn every_door_is_said_and_never_what_is_left_out() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let any = ["if-match: *"];
    // who makes one says which
    for doors in [
        "",
        r#","doors":null"#,
        r#","doors":"ALL""#,
        r#","doors":["all",null]"#,
        r#","doors":{}"#,
    ] {
        let token = format!(r#"{{"name":"hub","scopes":["open"]{doors}}}"#);
        let user = format!(r#"{{"user":"bob","password":"{PASSWORD}","scopes":["open"]{doors}}}"#);
        for (path, body) in [("/api/v1/tokens", token), ("/api/v1/users", user)] {
            let made = site.post(path, &ann, &body).await;
            assert_eq!(made.status, 400, "{body}: {made:?}");
            assert!(
                made.json()["detail"]
                    .as_str()
                    .is_some_and(|text| text.contains("doors")),
                "{made:?}"
            );
        }
    }
    site.token(&ann, r#"{"name":"hub","scopes":["open"],"doors":["front"]}"#)
        .await;
    let bob = format!(r#"{{"user":"bob","password":"{PASSWORD}","scopes":["open"],"doors":["front"]}}"#);
    assert_eq!(site.post("/api/v1/users", &ann, &bob).await.status, 201);
    let tokens = site.get("/api/v1/tokens", &ann).await.json();
    let id = tokens["tokens"][0]["id"].as_str().expect("an id").to_owned();
    for path in [format!("/api/v1/tokens/{id}"), "/api/v1/users/bob".to_owned()] {
        let kept = change(&site, "PUT", &path, &ann, &any, r#"{"scopes":["open","read"]}"#).await;
        assert_eq!(kept.status, 200, "{kept:?}");
        assert_eq!(kept.json()["doors"], serde_json::json!(["front"]));
        let null = r#"{"scopes":["open","read"],"doors":null}"#;
        assert_eq!(change(&site, "PUT", &path, &ann, &any, null).await.status, 400);
        // an administrator is not limited, and nobody becomes one with his limits forgotten
        let admin = change(&site, "PUT", &path, &ann, &any, r#"{"scopes":["admin"]}"#).await;
        assert_eq!(admin.status, 400, "{admin:?}");
        assert_eq!(
            site.get(&path, &ann).await.json()["doors"],
            serde_json::json!(["front"])
        );
        let all = r#"{"scopes":["open","read"],"doors":"all"}"#;
        let all = change(&site, "PUT", &path, &ann, &any, all).await;
        assert_eq!((all.status, &all.json()["doors"]), (200, &Value::Null), "{all:?}");
        let kept = change(&site, "PUT", &path, &ann, &any, r#"{"scopes":["open"]}"#).await;
        assert_eq!(
            (kept.status, &kept.json()["doors"]),
            (200, &Value::Null),
            "{kept:?}"
        );
    }
}

#[tokio::test]
async fn every_change_of_users_tokens_and_passwords_is_on_record_without_a_secret() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let bob = format!(r#"{{"user":"bob","password":"{PASSWORD}","scopes":["read"],"doors":"all"}}"#);
    assert_eq!(site.post("/api/v1/users", &ann, &bob).await.status, 201);
    let made = site
        .post(
            "/api/v1/tokens",
            &ann,
            r#"{"name":"hub","scopes":["read"],"doors":"all","days":7}"#,
        )
        .await;
    let secret = made.json()["token"].as_str().expect("a token").to_owned();
    let tokens = site.get("/api/v1/tokens", &ann).await.json();
    let id = tokens["tokens"][0]["id"].as_str().expect("an id").to_owned();
    let hub = format!("/api/v1/tokens/{id}");
    let wider = r#"{"scopes":["read","open"],"days":7}"#;
    let any = ["if-match: *"];
    assert_eq!(change(&site, "PUT", &hub, &ann, &any, wider).await.status, 200);
    assert_eq!(change(&site, "DELETE", &hub, &ann, &[], "").await.status, 204);
    let own = format!(r#"{{"old":"{PASSWORD}","new":"another long one"}}"#);
    let changed = site.post("/api/v1/password", &ann, &own).await;
    assert!(changed.status < 300, "{changed:?}");
    let login = r#"{"user":"ann","password":"another long one"}"#;
    let login = site.post("/api/v1/login", "x-nobody: 1", login).await;
    let ann = format!("cookie: {}", login.cookie());
    for (kind, fields) in [
        ("user.user-created", &[("by", "ann"), ("user", "bob")][..]),
        ("user.token-created", &[("token", "hub")]),
        ("user.token-changed", &[("by", "ann"), ("token", "hub")]),
        ("user.token-revoked", &[("token", "hub")]),
        ("user.password-changed", &[("user", "ann")]),
    ] {
        let told = site.records(&ann, kind, 1).await;
        let record = told.last().expect("one");
        for (field, name) in fields {
            assert_eq!(record[field], *name, "{record}");
        }
        let text = record.to_string();
        for secret in [secret.as_str(), PASSWORD, "another long one"] {
            assert!(!text.contains(secret), "{kind}");
        }
    }
}

#[tokio::test]
async fn no_token_has_a_name_that_commands_over_mqtt_have_in_the_journal() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    for name in ["mqtt", "signer"] {
        let token = format!(r#"{{"name":"{name}","scopes":["read"],"doors":"all"}}"#);
        let refused = site.post("/api/v1/tokens", &ann, &token).await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (409, "exists"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn nobody_gets_doors_that_are_not_there() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let spelt = r#""scopes":["open"],"doors":["front","cellar"]"#;
    let user = format!(r#"{{"user":"bob","password":"{PASSWORD}",{spelt}}}"#);
    let token = format!(r#"{{"name":"hub",{spelt}}}"#);
    for (path, body) in [("/api/v1/users", &user), ("/api/v1/tokens", &token)] {
        let refused = site.post(path, &ann, body).await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (400, "door"),
            "{path}"
        );
        let detail = refused.json()["detail"].clone();
        assert_eq!(detail, r#"there is no door "cellar"; there are: front, garage"#);
    }
    site.token(&ann, r#"{"name":"hub","scopes":["open"],"doors":["front"]}"#)
        .await;
    let tokens = site.get("/api/v1/tokens", &ann).await.json();
    let path = format!(
        "/api/v1/tokens/{}",
        tokens["tokens"][0]["id"].as_str().expect("an id")
    );
    let body = format!("{{{spelt}}}");
    let changed = change(&site, "PUT", &path, &ann, &["if-match: *"], &body).await;
    assert_eq!((changed.status, changed.reason().as_str()), (400, "door"));
}

#[tokio::test]
async fn a_change_goes_to_its_end_though_whoever_asked_is_gone() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let body = format!(r#"{{"user":"bob","password":"{PASSWORD}","scopes":["read"],"doors":"all"}}"#);
    assert_eq!(site.post("/api/v1/users", &ann, &body).await.status, 201);
    let login = format!(r#"{{"user":"bob","password":"{PASSWORD}"}}"#);
    let login = site.post("/api/v1/login", "x-nobody: 1", &login).await;
    let bob = format!("cookie: {}", login.cookie());
    assert_eq!(site.get("/api/v1/doors", &bob).await.status, 200);

    // the browser goes away while the disk is busy with what it asked for
    let busy = Busy::new(&site.medium);
    let mut browser = site.connect().await;
    let origin = format!("origin: {}", site.origin());
    let request = site.request("DELETE", "/api/v1/users/bob", &[&ann, &origin], "");
    browser.write_all(request.as_bytes()).await.expect("sent");
    eventually("the disk is asked", async || site.medium.hanging() > 0).await;
    drop(browser);
    // its end is seen before what others ask for after it
    for _ in 0..3 {
        assert_eq!(site.get("/api/v1/doors", &ann).await.status, 200);
    }
    drop(busy);

    let journalled = async || {
        let path = "/api/v1/journal?kind=user.user-removed";
        let found = site.get(path, &ann).await.json();
        found["records"][0]["user"] == "bob" && found["records"][0]["by"] == "ann"
    };
    eventually("the journal has it", journalled).await;
    assert_eq!(
        site.get("/api/v1/doors", &bob).await.status,
        401,
        "the session is over"
    );
}

/// A disk that is busy until this is dropped, also by a test that fails.
struct Busy(FakeIo);

impl Busy {
    fn new(medium: &FakeIo) -> Self {
        medium.set_hanging(true);
        Self(medium.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set_hanging(false);
    }
}

/// Asks again and again until it is so.
async fn eventually(what: &str, so: impl AsyncFn() -> bool) {
    within(what, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_keeps_its_text_and_gets_other_rights_and_another_end() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let hub = site
        .token(&ann, r#"{"name":"hub","scopes":["read"],"doors":"all","days":1}"#)
        .await;
    let tokens = site.get("/api/v1/tokens", &ann).await.json();
    let id = tokens["tokens"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/tokens/{id}");
    let seen = site.get(&path, &ann).await;
    assert_eq!(seen.json()["token"], Value::Null, "its text is shown once");
    let open = r#"{"scopes":["open"],"doors":["front"]}"#;
    let changed = change(&site, "PUT", &path, &ann, &[&etag(&seen)], open).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.json()["expires"], seen.json()["expires"], "its end stays");
    assert_eq!(site.get("/api/v1/doors", &hub).await.reason(), "scope");
    assert_eq!(site.post("/api/v1/doors/front/open", &hub, "").await.status, 200);
    let longer = r#"{"scopes":["open"],"days":30}"#;
    let longer = change(&site, "PUT", &path, &ann, &[&etag(&changed)], longer).await;
    assert!(
        longer.json()["expires"].as_str() > seen.json()["expires"].as_str(),
        "{longer:?}"
    );
    assert_eq!(
        longer.json()["doors"],
        serde_json::json!(["front"]),
        "what is left out stays"
    );
    let late = change(&site, "DELETE", &path, &ann, &[&etag(&seen)], "").await;
    assert_eq!(late.reason(), "changed");
    assert_eq!(
        change(&site, "DELETE", &path, &ann, &[&etag(&longer)], "")
            .await
            .status,
        204
    );
    assert_eq!(site.post("/api/v1/doors/front/open", &hub, "").await.status, 401);
}

#[tokio::test]
async fn a_contact_is_made_once_and_replaced_by_who_has_seen_it() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let contacts = "/api/v1/contacts";
    let (one, two) = (
        r#"{"name":"Front desk","number":"100"}"#,
        r#"{"name":"Front desk","number":"200"}"#,
    );
    let made = change(&site, "POST", contacts, &ann, &["if-none-match: *"], one).await;
    assert_eq!(made.status, 201, "{made:?}");
    let again = change(&site, "POST", contacts, &ann, &["if-none-match: *"], two).await;
    assert_eq!((again.status, again.reason().as_str()), (412, "changed"));
    let desk = "/api/v1/contacts/Front%20desk";
    assert_eq!(etag(&site.get(desk, &ann).await), etag(&made));
    let saved = change(&site, "POST", contacts, &ann, &[&etag(&made)], two).await;
    assert_eq!((saved.status, &saved.json()["number"]), (201, &"200".into()));
    let late = change(&site, "DELETE", desk, &ann, &[&etag(&made)], "").await;
    assert_eq!(late.status, 412);
    let limited = site
        .token(&ann, r#"{"name":"one","scopes":["read"],"doors":["front"]}"#)
        .await;
    assert_eq!(site.get(desk, &limited).await.reason(), "forbidden");
    assert_eq!(
        change(&site, "DELETE", desk, &ann, &[&etag(&saved)], "")
            .await
            .status,
        204
    );
    assert_eq!(site.get(desk, &ann).await.status, 404);
}

#[tokio::test]
async fn people_are_added_changed_and_removed_and_told_of_in_pages() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let people = "/api/v1/people";
    let lines = r#"[
        {"person":"bob","name":"Bob","kind":"card","value":"26:1,1","doors":"front"},
        {"person":"bob","kind":"card","value":"26:1,2","doors":["front","garage"]},
        {"person":"eve","name":"Eve","kind":"code","value":"new","doors":"front"}
    ]"#;
    let dry = site.post("/api/v1/people?dry-run=1", &ann, lines).await;
    assert_eq!(
        (dry.status, &dry.json()["people"]["new"]),
        (200, &2.into()),
        "{dry:?}"
    );
    assert_eq!(
        site.get(people, &ann).await.json()["people"],
        serde_json::json!([])
    );
    let added = site.post(people, &ann, lines).await;
    assert_eq!(added.status, 200, "{added:?}");
    let code = added.json()["codes"][0]["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    assert!(code.len() >= 4, "{code}");

    // in pages of one line, each credential once and in order
    let (mut path, mut seen) = (format!("{people}?max=1"), Vec::new());
    loop {
        let page = site.get(&path, &ann).await.json();
        let lines = page["people"].as_array().expect("lines");
        assert!(lines.len() == 1 && seen.len() < 4, "{page}");
        seen.push(lines[0]["person"].as_str().expect("a person").to_owned());
        assert!(!page.to_string().contains(&code), "{page}");
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    assert_eq!(seen, ["bob", "bob", "eve"]);
    let bad = site.get("/api/v1/people?after=x", &ann).await;
    assert_eq!((bad.status, bad.reason().as_str()), (400, "query"));

    let bob = "/api/v1/people/bob";
    let one = site.get(bob, &ann).await;
    assert_eq!(one.json()["lines"].as_array().map(Vec::len), Some(2), "{one:?}");
    let named = change(&site, "PATCH", bob, &ann, &[&etag(&one)], r#"{"name":"Robert"}"#).await;
    assert_eq!(
        (named.status, &named.json()["people"]["changed"]),
        (200, &1.into()),
        "{named:?}"
    );
    assert_eq!(etag(&named), etag(&site.get(bob, &ann).await));
    let late = change(&site, "PATCH", bob, &ann, &[&etag(&one)], r#"{"name":"Rob"}"#).await;
    assert_eq!((late.status, late.reason().as_str()), (412, "changed"));
    let strange = change(&site, "PATCH", bob, &ann, &[], r#"{"person":"eve","name":"E"}"#).await;
    assert_eq!((strange.status, strange.reason().as_str()), (400, "faults"));
    assert_eq!(strange.header("content-type"), Some("application/problem+json"));
    assert_eq!(strange.json()["faults"][0]["column"], "person");
    let faults = r#"[{"person":"zoe","kind":"card","value":"x"},{"person":"zoe","groups":"nobody"}]"#;
    let faults = site.post(people, &ann, faults).await;
    assert_eq!(
        (faults.status, &faults.json()["count"]),
        (400, &2.into()),
        "{faults:?}"
    );

    let credential = one.json()["lines"][0]["credential"]
        .as_str()
        .expect("an id")
        .to_owned();
    let withdrawn = format!("/api/v1/credentials/{credential}");
    assert_eq!(
        change(&site, "DELETE", &withdrawn, &ann, &[], "").await.status,
        204
    );
    assert_eq!(
        change(&site, "DELETE", &withdrawn, &ann, &[], "").await.status,
        404
    );
    let late = change(&site, "DELETE", bob, &ann, &[&etag(&named)], "").await;
    assert_eq!(late.reason(), "changed", "a credential of his is gone");
    assert_eq!(
        change(&site, "DELETE", bob, &ann, &["if-match: *"], "")
            .await
            .status,
        204
    );
    assert_eq!(site.get(bob, &ann).await.status, 404);

    let csv = site.get("/api/v1/people/export?format=csv", &ann).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(
        csv.body.starts_with("person,name,") && csv.body.contains("eve"),
        "{csv:?}"
    );
    let reader = site
        .token(
            &ann,
            r#"{"name":"eye","scopes":["read","open","operate"],"doors":"all"}"#,
        )
        .await;
    for (method, path) in [
        ("GET", people),
        ("POST", people),
        ("GET", bob),
        ("PATCH", bob),
        ("DELETE", bob),
        ("DELETE", withdrawn.as_str()),
        ("GET", "/api/v1/people/export"),
    ] {
        let refused = site.ask(method, path, &[&reader], "").await;
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (403, "scope"),
            "{method} {path}"
        );
    }
    let told = site.records(&ann, "user.people-changed", 5).await;
    assert_eq!(told.len(), 5, "{told:?}");
}

#[tokio::test]
async fn a_parameter_that_a_path_does_not_know_is_refused() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    for path in [
        "/api/v1/doors?x=1",
        "/api/v1/journal?kinds=door",
        "/api/v1/session?%zz=1",
    ] {
        let answer = site.get(path, &ann).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (400, "query"),
            "{path}"
        );
    }
    assert_eq!(
        site.get("/?from=mail", &ann).await.status,
        200,
        "the page is for people"
    );
    let document = site.get("/api/v1/openapi.json", "x-nobody: 1").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/doors/{door}/open"]["post"].is_object());
}
