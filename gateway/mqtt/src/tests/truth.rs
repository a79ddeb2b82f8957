//! What stands at a real broker is so, whatever others write there.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{LockState, Timestamp};

use super::broker::{Mosquitto, OWNER};
use super::peers::{AheadClock, FakeCore, Heard, Observer, TestClock, within};
use super::view;
use super::whole::{AVAILABILITY, DOOR, QUICK, answer, connected, is, open, run, with_login};
use crate::control::Timing;
use crate::handle::start_with;
use crate::{MqttHandle, MqttParams, MqttVersion};

const ALIVE: &str = "doorline/lilas/alive";
const THERE: &str = r#"{"alive":true,"available":["front"],"lockdown":["yard"]}"#;
const FRONT: &str = "doorline/lilas/door/front/state";
const CONFIG: &str = "homeassistant/device/doorline_lilas_door_front/config";

/// What is kept at the broker: what a client gets that comes now.
async fn kept(broker: &Mosquitto) -> Vec<Heard> {
    let observer = Observer::connect(broker.port).await;
    observer.barrier().await;
    observer.all().into_iter().filter(|m| m.retain).collect()
}

fn text<'a>(kept: &'a [Heard], topic: &str) -> &'a str {
    kept.iter()
        .find(|m| m.topic == topic)
        .map_or("", |m| m.text.as_str())
}

/// The status once it fits.
async fn topics_fault(handle: &MqttHandle, what: &str, fits: impl Fn(Option<&str>) -> bool) {
    let mut status = handle.status();
    let fits = status.wait_for(|status| fits(status.topics.as_deref()));
    within(what, fits).await.expect("runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_came_and_went_leaves_nothing_untrue_of_the_one_that_stays() {
    let broker = Mosquitto::start();
    let (here, there) = (FakeCore::start(), FakeCore::start());
    let one = run(with_login(broker.port), &here);
    let observer = Observer::connect(broker.port).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    let before = kept(&broker).await;

    let mut other = view();
    other.doors[0].lock = LockState::Unlocked;
    other.doors[0].name = "Elsewhere".into();
    there.view.send_replace(Arc::new(other));
    let two = run(
        MqttParams {
            instance: "ffeeddccbbaa99887766554433221100".into(),
            ..with_login(broker.port)
        },
        &there,
    );
    let says_otherwise = |m: &Heard| m.topic == FRONT && m.json()["name"] == "Elsewhere";
    observer.hear("the other's door", says_otherwise).await;
    observer
        .hear("the other's device", |m| {
            m.topic == CONFIG && m.text.contains("Elsewhere")
        })
        .await;
    two.shutdown().await;
    // the other says that we are away, as it leaves
    observer.hear("its farewell", is(AVAILABILITY, "offline")).await;
    let mut right = vec![];
    for _ in 0..200 {
        right = kept(&broker).await;
        if text(&right, AVAILABILITY) == "online" {
            break;
        }
    }
    for topic in [AVAILABILITY, FRONT, CONFIG] {
        assert_eq!(text(&right, topic), text(&before, topic), "{topic}");
    }
    // and whoever took its farewell for ours hears from us again
    let heard_since = || {
        let all = observer.all();
        let bye = all.iter().rposition(is(AVAILABILITY, "offline")).expect("heard");
        all[bye..].iter().any(is(ALIVE, THERE))
    };
    let heard_again = async {
        while !heard_since() {
            observer.barrier().await;
        }
    };
    within("that we are there", heard_again).await;
    one.shutdown().await;
    assert_eq!(text(&kept(&broker).await, AVAILABILITY), "offline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_we_are_there_is_said_again_and_again_and_what_is_kept_of_it_says_no() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let clock = Arc::new(AheadClock::default());
    let observer = Observer::connect(broker.port).await;
    let params = with_login(broker.port);
    let handle = start_with(params, core.bus.clone(), clock.clone(), QUICK);
    let there = is(ALIVE, THERE);
    observer.hear("that it is there", &there).await;
    let gone = r#"{"alive":false,"available":[],"lockdown":[]}"#;
    assert_eq!(text(&kept(&broker).await, ALIVE), gone);
    // until what is said once in a connection is said
    clock.pass(30);
    observer
        .hear("the versions", |m| m.topic == "doorline/lilas/update/state")
        .await;
    observer.barrier().await;

    // while nothing happens nothing else is said
    let mut beats = Vec::new();
    for _ in 0..3 {
        observer.forget();
        clock.pass(11);
        observer.hear("that it is there still", &there).await;
        observer.barrier().await;
        beats.extend(observer.all().into_iter().filter(|m| m.topic != "barrier"));
    }
    assert!(beats.iter().all(|m| there(m) && !m.retain), "{beats:#?}");
    assert_eq!(text(&kept(&broker).await, ALIVE), gone);

    // a hub that is born is told at once, and after what it is to subscribe to
    observer.forget();
    observer.publish("homeassistant/status", false, "online").await;
    observer.hear("that it is there", &there).await;
    let all = observer.all();
    let place = |fits: &dyn Fn(&Heard) -> bool| all.iter().position(fits).expect("heard");
    assert!(place(&|m| m.topic == CONFIG) < place(&there), "{all:#?}");

    // so is everybody of a door that cannot be opened any more
    let mut busy = view();
    busy.doors[0].available = false;
    core.view.send_replace(Arc::new(busy));
    let none = r#"{"alive":true,"available":[],"lockdown":["yard"]}"#;
    observer.hear("the change", is(ALIVE, none)).await;

    // and nobody after the farewell
    handle.shutdown().await;
    observer.hear("the farewell", is(AVAILABILITY, "offline")).await;
    observer.barrier().await;
    let all = observer.all();
    let bye = all.iter().rposition(is(AVAILABILITY, "offline")).expect("heard");
    assert!(!all[bye..].iter().any(|m| m.topic == ALIVE), "{all:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_keeps_saying_that_we_are_away_is_answered_within_bounds_and_told() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let hour = Timing {
        mend: Duration::from_secs(3600),
        ..QUICK
    };
    let clock = Arc::new(TestClock::default());
    let handle = start_with(with_login(broker.port), core.bus.clone(), clock, hour);
    let observer = Observer::connect(broker.port).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    assert_eq!(handle.status().borrow().topics, None);
    observer.forget();
    for _ in 0..100 {
        observer.publish(AVAILABILITY, true, "offline").await;
        observer.barrier().await;
    }
    topics_fault(&handle, "the fault", |text| {
        text.is_some_and(|text| text.contains(AVAILABILITY) && text.contains("end a second gateway"))
    })
    .await;
    observer.barrier().await;
    let answers = observer
        .all()
        .into_iter()
        .filter(is(AVAILABILITY, "online"))
        .count();
    assert!((1..=3).contains(&answers), "{answers}");
    handle.shutdown().await;

    // and in the end it is put right, though nobody says anything more
    let handle = run(with_login(broker.port), &core);
    observer.forget();
    observer.hear("online", is(AVAILABILITY, "online")).await;
    for _ in 0..20 {
        observer.publish(AVAILABILITY, true, "offline").await;
    }
    observer.barrier().await;
    observer.forget();
    let mut last = String::new();
    for _ in 0..200 {
        last = text(&kept(&broker).await, AVAILABILITY).to_owned();
        if last == "online" {
            break;
        }
    }
    assert_eq!(last, "online");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_command_is_answered_and_clearing_a_kept_one_is_not() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let observer = Observer::connect(broker.port).await;
    let handle = run(with_login(broker.port), &core);
    connected(&handle).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    observer.publish(DOOR, false, "").await;
    let is_empty =
        |m: &Heard| m.topic == "doorline/lilas/response" && m.text.contains("the message is empty");
    let found = observer.hear("the answer", is_empty).await.json();
    assert_eq!(
        (&found["id"], &found["reason"]),
        (&serde_json::Value::Null, &"malformed".into())
    );
    let is_record = |m: &Heard| m.json()["kind"] == "command.refused" && m.json()["reason"] == "malformed";
    observer.hear("its record", is_record).await;
    handle.shutdown().await;

    // kept while nobody was here; what the gateway clears itself is no command either
    observer
        .publish(DOOR, true, &open("kept", Timestamp::now()))
        .await;
    observer.barrier().await;
    observer.forget();
    let handle = run(with_login(broker.port), &core);
    assert_eq!(
        answer(&observer, "kept").await,
        ("refused".into(), "stale".into())
    );
    observer.hear("cleared", is(DOOR, "")).await;
    let last = open("last", Timestamp::now());
    observer.publish(DOOR, false, &last).await;
    assert_eq!(answer(&observer, "last").await.0, "ok");
    assert!(!observer.all().iter().any(is_empty), "{:#?}", observer.all());
    assert_eq!(text(&kept(&broker).await, DOOR), "");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_3_1_1_a_command_that_came_live_with_retain_is_carried_out_once_told_and_cleared() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let observer = Observer::connect(broker.port).await;
    let old = MqttParams {
        protocol: MqttVersion::V3,
        ..with_login(broker.port)
    };
    let handle = run(old, &core);
    connected(&handle).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    let site = "doorline/lilas/command";
    let given = format!(
        r#"{{"command":"open","door":"front","id":"site","at":"{}"}}"#,
        Timestamp::now()
    );
    for (topic, id, command) in [
        (DOOR, "door", open("door", Timestamp::now())),
        (site, "site", given),
    ] {
        observer.publish(topic, true, &command).await;
        assert_eq!(answer(&observer, id).await.0, "ok");
        let is_told = |m: &Heard| {
            m.topic == "doorline/lilas/response"
                && m.json()["id"].is_null()
                && m.json()["reason"] == "stale"
                && m.text.contains(&format!("the broker kept a command on {topic} "))
        };
        observer.hear("told", is_told).await;
        observer.hear("cleared", is(topic, "")).await;
        assert_eq!(text(&kept(&broker).await, topic), "");
    }
    assert_eq!(*core.opened.borrow(), 2);
    // its own id was answered once
    let again = |m: &&Heard| m.topic == "doorline/lilas/response" && m.json()["id"] == "door";
    assert_eq!(observer.all().iter().filter(again).count(), 1);
    assert_eq!(handle.status().borrow().topics, None);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_command_that_the_broker_does_not_let_us_clear_is_a_fault_while_it_stands() {
    // somebody else may write on command topics, we may not: the broker takes our message and drops it
    let broker = Mosquitto::with_access_list(
        "user door\ntopic read #\ntopic write homeassistant/#\ntopic write doorline/lilas/+\n\
         topic write doorline/lilas/+/+/state\ntopic write doorline/lilas/+/+/availability\n\
         user owner\ntopic readwrite #\n",
    );
    let core = FakeCore::start();
    let owner = Observer::connect_as(broker.port, OWNER).await;
    owner.publish(DOOR, true, &open("kept", Timestamp::now())).await;
    owner.barrier().await;
    let handle = run(with_login(broker.port), &core);
    topics_fault(&handle, "the fault", |text| {
        text.is_some_and(|text| text.contains(DOOR))
    })
    .await;
    owner.publish(DOOR, true, "").await;
    topics_fault(&handle, "its end", |text| text.is_none()).await;
    handle.shutdown().await;
}
