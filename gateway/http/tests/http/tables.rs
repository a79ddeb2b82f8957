//! Contacts as a table, inputs that web clients work, and what is given to whoever is asked for help.

use std::collections::BTreeMap;

use gateway_http::{HookCall, HookToken, Hooks};
use tokio::sync::mpsc;

use crate::support::{Answer, Site};

/// Sends a table.
async fn table(site: &Site, path: &str, ann: &str, text: &str) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\norigin: {}\r\n{ann}\r\n\
         content-type: text/csv\r\ncontent-length: {}\r\n\r\n",
        site.http.local_addr(),
        site.origin(),
        text.len()
    );
    site.raw(&(head + text)).await
}

#[tokio::test]
async fn contacts_come_and_go_as_a_table_which_is_taken_as_a_whole() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let all = "/api/v1/contacts";
    let first = "name,number,address\r\nReception,201,\r\nCellar,7,192.0.2.7\r\n";
    let tried = table(&site, "/api/v1/contacts?dry-run=1", &ann, first).await;
    assert_eq!(
        (tried.status, &tried.json()["new"]),
        (200, &2.into()),
        "{tried:?}"
    );
    assert_eq!(site.get(all, &ann).await.body, "name,number,address\r\n");

    let taken = table(&site, all, &ann, first).await;
    assert_eq!(taken.json()["dry_run"], false);
    let exported = site.get(all, &ann).await;
    assert_eq!(exported.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        exported.body,
        "name,number,address\r\nCellar,7,192.0.2.7\r\nReception,201,\r\n"
    );
    let again = table(&site, all, &ann, &exported.body).await.json();
    assert_eq!(
        (&again["new"], &again["changed"]),
        (&0.into(), &0.into()),
        "nothing to do"
    );

    let wrong = table(&site, all, &ann, "name,number\nAttic,8\n,9\nRoof,1 0\n").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    assert_eq!(
        wrong.json()["faults"].as_array().map(Vec::len),
        Some(2),
        "{wrong:?}"
    );
    assert!(!site.get(all, &ann).await.body.contains("Attic"));

    let other = table(
        &site,
        "/api/v1/contacts?replace=1",
        &ann,
        "number;name\n202;Reception\n",
    )
    .await
    .json();
    assert_eq!((&other["changed"], &other["removed"]), (&1.into(), &1.into()));
    assert_eq!(
        site.get(all, &ann).await.body,
        "name,number,address\r\nReception,202,\r\n"
    );
    site.records(&ann, "user.contact-saved", 3).await;
    site.records(&ann, "user.contact-removed", 1).await;

    let reader = site
        .token(&ann, r#"{"name":"eye","scopes":["read"],"doors":"all"}"#)
        .await;
    assert_eq!(table(&site, all, &reader, first).await.status, 403);
    assert_eq!(site.get(all, &reader).await.status, 200);
}

#[tokio::test]
async fn a_web_client_speaks_for_its_input_with_its_own_token_only() {
    let (to, mut calls) = mpsc::channel::<HookCall>(4);
    let hooks = Hooks::new(to, gateway_core::Instant::ZERO);
    let site = Site::with_hooks(hooks.clone()).await;
    let bell: gateway_core::InputId = "bell".parse().expect("a name");
    hooks.set(BTreeMap::from([(bell, HookToken::of("a-token-of-the-bell"))]));
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            let said = if call.body == b"on" {
                Ok(())
            } else {
                Err(gateway_http::HookFailed::NoWord)
            };
            let _ = call.answer.send(said);
        }
    });
    let path = "/api/v1/hooks/bell";
    let right = "authorization: Bearer a-token-of-the-bell";
    assert_eq!(site.ask("POST", path, &[right], "on").await.status, 204);
    assert_eq!(site.ask("POST", path, &[right], "off").await.status, 400);
    let old = site
        .ask(
            "POST",
            path,
            &[right, "x-doorline-at: 2020-01-01T00:00:00Z"],
            "on",
        )
        .await;
    assert_eq!((old.status, old.reason().as_str()), (409, "stale"));
    // what was recorded on its way opens nothing by being sent once more
    let at = |s: i64| {
        let at = gateway_core::Clock::wall(&*site.clock) - jiff::SignedDuration::from_secs(s);
        format!("x-doorline-at: {at}")
    };
    let fresh = at(1);
    let dated = async |at: &str| site.ask("POST", path, &[right, at], "on").await;
    assert_eq!(dated(&fresh).await.status, 204);
    let again = dated(&fresh).await;
    assert_eq!((again.status, again.reason().as_str()), (409, "duplicate"));
    let before = dated(&at(5)).await;
    assert_eq!((before.status, before.reason().as_str()), (409, "stale"));
    let what = site
        .ask("POST", path, &[right, "x-doorline-at: today"], "on")
        .await;
    assert_eq!(what.status, 400);
    // an administrator's session is not its token, and a token of one input is not that of another
    let ann = site.set_up().await;
    let told = site.records(&ann, "command.refused", 3).await;
    let count = |reason| told.iter().filter(|record| record["reason"] == reason).count();
    assert_eq!((count("duplicate"), count("stale")), (1, 2), "{told:?}");
    assert!(told.iter().all(|record| record["subject"] == "integration:bell"));
    assert_eq!(site.post(path, &ann, "on").await.status, 401);
    assert_eq!(
        site.ask("POST", "/api/v1/hooks/other", &[right], "on")
            .await
            .status,
        401
    );
    assert_eq!(site.ask("GET", "/api/v1/doors", &[right], "").await.status, 401);
    for _ in 0..6 {
        site.ask("POST", path, &["authorization: Bearer guessed"], "on")
            .await;
    }
    assert_eq!(
        site.ask("POST", path, &[right], "on").await.status,
        429,
        "guesses are counted"
    );
}

#[tokio::test]
async fn a_bundle_tells_what_is_known_and_is_for_administrators() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let bundle = site.get("/api/v1/support/bundle", &ann).await;
    assert_eq!(
        (bundle.status, bundle.header("content-type")),
        (200, Some("application/x-tar"))
    );
    for part in [
        "README.txt",
        "versions.txt",
        "doorline 1.2.3",
        "config.toml",
        "health.txt",
        "journal.jsonl",
        "metrics.txt",
        "doorline_build_info",
    ] {
        assert!(bundle.body.contains(part), "{part}");
    }
    let reader = site
        .token(
            &ann,
            r#"{"name":"eye","scopes":["read","open","operate"],"doors":"all"}"#,
        )
        .await;
    for (method, path) in [
        ("GET", "/api/v1/support/bundle"),
        ("GET", "/api/v1/support/capture"),
        ("GET", "/api/v1/support/capture/file"),
        ("POST", "/api/v1/support/capture/begin"),
        ("POST", "/api/v1/support/capture/end"),
    ] {
        assert_eq!(site.ask(method, path, &[&reader], "").await.status, 403, "{path}");
    }
    // this site has no SIP engine
    assert_eq!(site.get("/api/v1/support/capture", &ann).await.status, 503);
}
