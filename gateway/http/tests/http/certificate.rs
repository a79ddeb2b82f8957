//! A certificate that is given over the API: in force for whoever connects from then on, and for nobody else.

use gateway_core::{DoorEvent, DoorId, Envelope, Event, Timestamp};
use tokio::io::AsyncWriteExt;

use crate::support::{Site, read_until, within};

const PATH: &str = "/api/v1/certificate";

/// Certificate and key for this machine, both PEM.
fn made(until: i32) -> (String, String) {
    made_with(until, |_| {})
}

fn made_with(until: i32, change: impl FnOnce(&mut rcgen::CertificateParams)) -> (String, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let pair = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(names).expect("names");
    params.not_before = rcgen::date_time_ymd(1975, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    change(&mut params);
    let made = params.self_signed(&pair).expect("signs");
    (made.pem(), pair.serialize_pem())
}

fn body((certificate, key): &(String, String)) -> String {
    serde_json::json!({ "certificate": certificate, "key": key }).to_string()
}

#[tokio::test]
async fn open_connections_go_on_and_new_ones_get_it() {
    let mut site = Site::new(true).await;
    let ann = site.set_up().await;
    let origin = format!("origin: {}", site.origin());
    let own = site.get(PATH, &ann).await;
    assert_eq!(own.json()["from"], "own");
    assert_eq!(own.json()["covers_host"], true);
    let tag = own.header("etag").expect("a tag").to_owned();

    let mut live = site.connect().await;
    let lines = [
        ann.as_str(),
        &origin,
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let upgrade = site.request("GET", "/api/v1/live", &lines, "");
    live.write_all(upgrade.as_bytes()).await.expect("sent");
    read_until(&mut *live, "\"type\":\"hello\"").await;

    let pair = made(2199);
    let put = |matches: &str, body: &str| {
        let lines = [ann.clone(), origin.clone(), format!("if-match: {matches}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        site.request("PUT", PATH, &lines, body)
    };
    let without = site.ask("PUT", PATH, &[&ann, &origin], &body(&pair)).await;
    assert_eq!((without.status, without.reason()), (428, "precondition".into()));
    let other = site.raw(&put("\"0\"", &body(&pair))).await;
    assert_eq!((other.status, other.reason()), (412, "changed".into()));
    let (wrong, key) = (pair.0.clone(), made(2199).1);
    let refused = site.raw(&put(&tag, &body(&(wrong, key)))).await;
    assert_eq!((refused.status, refused.reason()), (400, "key".into()));
    assert!(refused.body.contains("it is not the key of"), "{}", refused.body);
    let ended = site.raw(&put(&tag, &body(&made(1980)))).await;
    assert_eq!((ended.status, ended.reason()), (400, "certificate".into()));
    assert!(!ended.body.contains("PRIVATE KEY"));

    let taken = site.raw(&put(&tag, &body(&pair))).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(taken.json()["from"], "uploaded");
    assert!(!taken.body.contains("PRIVATE KEY"), "the key is never given out");

    // the socket that was open before goes on
    let envelope = Envelope {
        at: Timestamp::UNIX_EPOCH,
        event: Event::Door(DoorId::new("front").expect("a name"), DoorEvent::Opened {}),
        ring: None,
        simulated: true,
    };
    let ticket = site.store.append(envelope).expect("taken");
    within("durability", ticket.durable()).await.expect("durable");
    read_until(&mut *live, "door.opened").await;

    // who connects from here on gets it, and nothing else: only it is trusted
    site.trust(&pair.0);
    let now = site.get(PATH, &ann).await;
    assert_eq!(now.json()["from"], "uploaded");
    assert_ne!(now.json()["fingerprint"], own.json()["fingerprint"]);
    // what TLS would not take afterwards replaces nothing: in the store neither, as a start shows
    let strange = made_with(2199, |params| {
        let mut unknown =
            rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32_473, 1], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    });
    let (other, key) = made(2199);
    let two_keys = (format!("{other}{}", made(2199).1), key);
    for unfit in [strange, two_keys] {
        let lines = [ann.as_str(), &origin, "if-match: *"];
        let refused = site.ask("PUT", PATH, &lines, &body(&unfit)).await;
        assert_eq!((refused.status, refused.reason()), (400, "certificate".into()));
    }
    site.reload_tls();
    let still = site.get(PATH, &ann).await;
    assert_eq!(still.json()["fingerprint"], now.json()["fingerprint"]);
    let told = site.records(&ann, "user.certificate-replaced", 1).await;
    assert_eq!(told[0]["by"], "ann");
    assert_eq!(told[0]["names"], "localhost 127.0.0.1");

    let removed = site.ask("DELETE", PATH, &[&ann, &origin], "").await;
    assert_eq!(removed.status, 204, "{removed:?}");
    site.trust_own();
    assert_eq!(
        site.get(PATH, &ann).await.json()["fingerprint"],
        own.json()["fingerprint"]
    );
    let again = site.ask("DELETE", PATH, &[&ann, &origin], "").await;
    assert_eq!((again.status, again.reason()), (404, "unknown".into()));
}

#[tokio::test]
async fn without_tls_there_is_nothing_to_replace_and_readers_replace_nothing() {
    let site = Site::plain().await;
    let ann = site.set_up().await;
    let origin = format!("origin: {}", site.origin());
    let answer = site.get(PATH, &ann).await;
    assert_eq!((answer.status, answer.reason()), (404, "unknown".into()));
    let lines = [ann.as_str(), &origin, "if-match: *"];
    let answer = site.ask("PUT", PATH, &lines, &body(&made(2199))).await;
    assert_eq!((answer.status, answer.reason()), (409, "no-tls".into()));
    let reader = site
        .token(&ann, r#"{"name":"r","scopes":["read"],"doors":"all"}"#)
        .await;
    let answer = site
        .ask("PUT", PATH, &[&reader, "if-match: *"], &body(&made(2199)))
        .await;
    assert_eq!((answer.status, answer.reason()), (403, "scope".into()));
}
