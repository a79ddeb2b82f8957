//! Signed commands with a real broker.

use std::collections::BTreeMap;

use gateway_core::{DoorId, Secret, Timestamp};

use super::broker::Mosquitto;
use super::peers::{FakeCore, Heard, Observer, within};
use super::whole::{AVAILABILITY, DOOR, answer, connected, is, open, run, with_login};
use crate::{MqttKey, MqttParams};

const SECRET: &str = "0f7c2f3b9d1e4a58b6c70d2e";

fn key(door: &str) -> MqttKey {
    MqttKey {
        doors: Some([DoorId::new(door).expect("a name")].into()),
        may_open: true,
        may_operate: false,
        secret: Secret::new(SECRET),
    }
}

fn keys() -> BTreeMap<String, MqttKey> {
    BTreeMap::from([("hub".to_owned(), key("front")), ("shed".to_owned(), key("yard"))])
}

fn signed(key: &str, secret: &str, command: &str) -> String {
    use hmac::Mac as _;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("doorline-command-1\n{DOOR}\n{key}\n{command}").as_bytes());
    let mac = mac.finalize().into_bytes();
    let mac: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({ "key": key, "mac": mac, "signed": command }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_right_signature_of_a_key_that_may_opens_and_only_once() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let observer = Observer::connect(broker.port).await;
    let handle = run(
        MqttParams {
            accept_untimed: true,
            keys: keys(),
            signed_only: true,
            ..with_login(broker.port)
        },
        &core,
    );
    connected(&handle).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    let now = |id: &str| open(id, Timestamp::now());
    let refused = |reason: &str| ("refused".to_owned(), reason.to_owned());

    observer.publish(DOOR, false, &now("plain")).await;
    let unsigned = |m: &Heard| m.topic == "doorline/lilas/response" && m.text.contains("is not signed");
    let no = observer.hear("no", unsigned).await.json();
    assert_eq!((&no["reason"], &no["id"]), (&"forbidden".into(), &"plain".into()));
    observer
        .publish(DOOR, false, &signed("hub", "another secret", &now("wrong")))
        .await;
    assert_eq!(answer(&observer, "wrong").await, refused("forbidden"));
    observer
        .publish(DOOR, false, &signed("shed", SECRET, &now("elsewhere")))
        .await;
    assert_eq!(answer(&observer, "elsewhere").await, refused("forbidden"));
    // it has no date, so that it could come again
    let untimed = r#"{"command":"open","id":"untimed"}"#;
    observer
        .publish(DOOR, false, &signed("hub", SECRET, untimed))
        .await;
    assert_eq!(answer(&observer, "untimed").await, refused("untimed"));
    assert_eq!(*core.opened.borrow(), 0);

    let good = signed("hub", SECRET, &now("good"));
    observer.publish(DOOR, false, &good).await;
    assert_eq!(answer(&observer, "good").await.0, "ok");
    observer.forget();
    observer.publish(DOOR, false, &good).await;
    assert_eq!(answer(&observer, "good").await, refused("duplicate"));
    assert_eq!(*core.opened.borrow(), 1);
    let by_key =
        |m: &Heard| m.json()["kind"] == "command.refused" && m.json()["subject"] == "integration:hub";
    observer.hear("its record", by_key).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_signatures_are_a_fault_and_lock_no_key_out() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let observer = Observer::connect(broker.port).await;
    let handle = run(
        MqttParams {
            keys: keys(),
            ..with_login(broker.port)
        },
        &core,
    );
    connected(&handle).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    for n in 0..40 {
        let forged = signed("hub", "guessed", &open(&format!("forged-{n}"), Timestamp::now()));
        observer.publish(DOOR, false, &forged).await;
    }
    assert_eq!(answer(&observer, "forged-39").await.1, "forbidden");
    let mut status = handle.status();
    let told = status.wait_for(|s| {
        s.topics
            .as_ref()
            .is_some_and(|text| text.contains("[mqtt.keys.hub]"))
    });
    within("the fault", told).await.expect("runs");
    let good = signed("hub", SECRET, &open("good", Timestamp::now()));
    observer.publish(DOOR, false, &good).await;
    assert_eq!(answer(&observer, "good").await.0, "ok");
    // where unsigned ones are taken, they still are
    observer
        .publish(DOOR, false, &open("plain", Timestamp::now()))
        .await;
    assert_eq!(answer(&observer, "plain").await.0, "ok");
    observer.barrier().await;
    let is_record = |m: &&Heard| m.json()["kind"] == "command.refused" && m.json()["reason"] == "forbidden";
    let records = observer
        .all()
        .iter()
        .filter(|m| m.topic.ends_with("lilas/event"))
        .filter(is_record)
        .count();
    assert!((1..=6).contains(&records), "{records}");
    handle.shutdown().await;
}
