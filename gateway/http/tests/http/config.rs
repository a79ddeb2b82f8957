//! The site file over the API, with a desk that says what the test wants.

use std::time::Duration;

use gateway_bus::{
    Checked, Placed, Proposal, SiteFileAsk, SiteFileDesk, SiteFileRefusal, SiteText, Trial, TrialState, Wish,
};
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::{Answer, Site, within};

const CONFIG: &str = "/api/v1/config";
const TEXT: &str = "[site]\nname = \"here\"\n";

fn trial(state: TrialState) -> Trial {
    Trial {
        altered: None,
        began: jiff::Timestamp::UNIX_EPOCH,
        by: "ann".into(),
        confirm: Duration::from_secs(60),
        diff: "@@\n".into(),
        plan: Vec::new(),
        state,
        text: "so far".into(),
        until: None,
    }
}

/// Reads are answered with [`TEXT`]; everything else is refused so, and what was wished is told.
fn desk(mut desk: SiteFileDesk, refusal: Option<SiteFileRefusal>) -> mpsc::Receiver<Wish> {
    let (told, wishes) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(ask) = desk.asks.recv().await {
            let refused = refusal.clone();
            // who asked waits for the answer
            match ask {
                SiteFileAsk::Check(_, reply) => drop(reply.send(refused.map_or(Ok(Checked::default()), Err))),
                SiteFileAsk::Confirm(_, reply) | SiteFileAsk::RollBack(_, reply) => {
                    let trial = trial(TrialState::RollingBack);
                    drop(reply.send(refused.map_or(Ok(trial), Err)));
                }
                SiteFileAsk::Read(reply) => drop(reply.send(Ok(SiteText {
                    in_force: true,
                    tag: gateway_http::text_tag(TEXT),
                    text: TEXT.into(),
                }))),
                SiteFileAsk::Try(wish, reply) => {
                    let _ = told.send(wish).await;
                    desk.trial.send_replace(Some(trial(TrialState::Running)));
                    drop(reply.send(refused.map_or(Ok(trial(TrialState::Applying)), Err)));
                }
            }
        }
    });
    wishes
}

async fn change(site: &Site, method: &str, path: &str, who: &str, lines: &[&str], body: &str) -> Answer {
    let origin = format!("origin: {}", site.origin());
    let mut all = vec![who, origin.as_str()];
    all.extend(lines);
    site.ask(method, path, &all, body).await
}

const CHANGES: &str = r#"{"changes":[{"path":"site.name","value":"there"},{"path":"x","value":null}]}"#;

#[tokio::test]
async fn a_change_is_made_for_the_file_that_was_read_and_is_answered_before_it_is_applied() {
    let (site, asks) = Site::with_site_file().await;
    let mut wishes = desk(asks, None);
    let ann = site.set_up().await;
    let read = site.get(CONFIG, &ann).await;
    assert_eq!((read.status, read.body.as_str()), (200, TEXT));
    assert_eq!(read.header("content-type"), Some("application/toml"));
    let tag = format!("if-match: {}", read.header("etag").expect("a tag"));
    assert_eq!(site.get("/api/v1/config/trial", &ann).await.status, 404);
    let blind = change(&site, "PATCH", CONFIG, &ann, &[], CHANGES).await;
    assert_eq!((blind.status, blind.reason().as_str()), (428, "precondition"));
    let other = ["if-match: \"0123\""];
    assert_eq!(
        change(&site, "PATCH", CONFIG, &ann, &other, CHANGES).await.status,
        412
    );
    let tried = change(&site, "PATCH", CONFIG, &ann, &[&tag], CHANGES).await;
    assert_eq!(
        (tried.status, tried.json()["state"].as_str()),
        (202, Some("applying"))
    );
    let wish = within("the wish", wishes.recv()).await.expect("one");
    assert_eq!(wish.based_on, Some(gateway_http::text_tag(TEXT)));
    assert_eq!(
        (wish.by.as_str(), wish.confirm),
        ("ann", Duration::from_secs(120))
    );
    let edits = vec![
        ("site.name".to_owned(), json!("there")),
        ("x".to_owned(), json!(null)),
    ];
    assert_eq!(wish.proposal, Proposal::Edits(edits));
    let trial = site.get("/api/v1/config/trial", &ann).await.json();
    assert_eq!(
        (trial["state"].as_str(), trial["confirm_seconds"].as_u64()),
        (Some("running"), Some(60))
    );

    let whole = [
        "if-match: *",
        "content-type: application/toml",
        "content-length: 3",
    ];
    let path = format!("{CONFIG}?confirm-seconds=10");
    // the type that the client adds by itself would be another one
    let raw = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{ann}\r\norigin: {}\r\n{}\r\n\r\na=1",
        site.http.local_addr(),
        site.origin(),
        whole.join("\r\n")
    );
    let answer = site.raw(&raw).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let wish = within("the wish", wishes.recv()).await.expect("one");
    assert_eq!(wish.based_on, None, "whatever it is");
    assert_eq!(
        (wish.confirm, wish.proposal),
        (Duration::from_secs(10), Proposal::Whole("a=1".into()))
    );

    for seconds in ["9", "601", "x", "-1"] {
        let path = format!("{CONFIG}?confirm-seconds={seconds}");
        let bad = change(&site, "PATCH", &path, &ann, &[&tag], CHANGES).await;
        assert_eq!((bad.status, bad.reason().as_str()), (400, "query"), "{seconds}");
    }
    for body in [
        "{}",
        r#"{"changes":[{"path":"a"}]}"#,
        r#"{"changes":[{"path":"a","value":1,"x":1}]}"#,
    ] {
        assert_eq!(
            change(&site, "PATCH", CONFIG, &ann, &[&tag], body).await.status,
            400,
            "{body}"
        );
    }
    assert!(wishes.try_recv().is_err(), "nothing else was wished");
}

#[tokio::test]
async fn only_administrators_see_or_change_the_site_file() {
    let (site, asks) = Site::with_site_file().await;
    let mut wishes = desk(asks, None);
    let ann = site.set_up().await;
    let token = r#"{"name":"hub","scopes":["read","open","operate"],"doors":"all"}"#;
    let hub = site.token(&ann, token).await;
    for (method, path) in [
        ("GET", CONFIG),
        ("PUT", CONFIG),
        ("PATCH", CONFIG),
        ("POST", "/api/v1/config/check"),
        ("POST", "/api/v1/config/confirm"),
        ("POST", "/api/v1/config/rollback"),
        ("GET", "/api/v1/config/trial"),
    ] {
        let answer = change(&site, method, path, &hub, &["if-match: *"], "").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (403, "scope"),
            "{method} {path}"
        );
        // and not with the session of an administrator from another page
        if method != "GET" {
            let lines = [ann.as_str(), "origin: https://elsewhere.example", "if-match: *"];
            let answer = site.ask(method, path, &lines, CHANGES).await;
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (403, "origin"),
                "{method} {path}"
            );
        }
    }
    assert!(wishes.try_recv().is_err(), "nothing was wished");
}

#[tokio::test]
async fn each_refusal_has_its_status_and_says_what_to_do() {
    let placed = Placed {
        allowed: "allowed: 1".into(),
        column: 8,
        found: "is 2".into(),
        line: 3,
        path: "a.b".into(),
    };
    let checked = || {
        Box::new(Checked {
            blocked: Some("a start".into()),
            faults: vec![placed.clone()],
            ..Checked::default()
        })
    };
    let text = String::new;
    for (refusal, status, reason) in [
        (SiteFileRefusal::Blocked(checked()), 409, "process"),
        (SiteFileRefusal::Busy, 503, "busy"),
        (SiteFileRefusal::Changed, 412, "changed"),
        (SiteFileRefusal::Edit(text()), 400, "path"),
        (SiteFileRefusal::Fault(text()), 503, "fault"),
        (SiteFileRefusal::Faults(checked()), 400, "faults"),
        (SiteFileRefusal::Fixed, 409, "fixed"),
        (SiteFileRefusal::NoTrial, 404, "unknown"),
        (SiteFileRefusal::NotNow(text()), 409, "not-now"),
        (SiteFileRefusal::ReadOnly(text()), 409, "read-only"),
        (SiteFileRefusal::TrialRuns(text()), 409, "trial"),
        (SiteFileRefusal::Unchanged, 409, "unchanged"),
    ] {
        let (site, asks) = Site::with_site_file().await;
        let _wishes = desk(asks, Some(refusal.clone()));
        let ann = site.set_up().await;
        let answer = change(&site, "PATCH", CONFIG, &ann, &["if-match: *"], CHANGES).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (status, reason),
            "{refusal:?}"
        );
        if reason == "faults" {
            let fault =
                json!({ "line": 3, "column": 8, "path": "a.b", "found": "is 2", "allowed": "allowed: 1" });
            assert_eq!(answer.json()["faults"], json!([fault]));
        }
    }
    // a gateway whose file is not for editing
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let answer = site.get(CONFIG, &ann).await;
    assert_eq!((answer.status, answer.reason().as_str()), (409, "fixed"));
}
