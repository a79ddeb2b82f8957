//! The whole interface against real brokers.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{DoorEvent, Secret, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::broker::{Gate, Mosquitto, PASSWORD, USER};
use super::peers::{FakeCore, Heard, Observer, TestClock, within};
use super::{params, view};
use crate::control::Timing;
use crate::handle::start_with;
use crate::{EmbeddedBroker, MqttHandle, MqttParams, MqttTls, MqttVersion};

pub(super) const QUICK: Timing = Timing {
    ghosts: Duration::from_millis(50),
    keeps: Duration::from_millis(50),
    mend: Duration::from_millis(50),
    report: Duration::from_millis(500),
    retry: Duration::from_millis(20),
    retry_max: Duration::from_millis(100),
    settle: Duration::from_millis(50),
    stall: Duration::from_secs(60),
};

pub(super) fn with_login(port: u16) -> MqttParams {
    MqttParams {
        login: Some((USER.into(), Secret::new(PASSWORD))),
        ..params(port)
    }
}

pub(super) fn run(params: MqttParams, core: &FakeCore) -> MqttHandle {
    start_with(params, core.bus.clone(), Arc::new(TestClock::default()), QUICK)
}

pub(super) async fn connected(handle: &MqttHandle) {
    let mut status = handle.status();
    let up = status.wait_for(|status| status.connected);
    within("connected", up).await.expect("runs");
}

async fn fault(handle: &MqttHandle) -> String {
    let mut status = handle.status();
    let faulty = status.wait_for(|status| status.fault.is_some());
    let status = within("a fault", faulty).await.expect("runs").clone();
    status.fault.expect("just seen")
}

pub(super) fn open(id: &str, at: Timestamp) -> String {
    format!(r#"{{"command":"open","id":"{id}","at":"{at}"}}"#)
}

pub(super) async fn answer(observer: &Observer, id: &str) -> (String, String) {
    let is_answer = |m: &Heard| m.topic == "doorline/lilas/response" && m.json()["id"] == id;
    let found = observer
        .hear(&format!("the answer to {id}"), is_answer)
        .await
        .json();
    let word = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (word("status"), word("reason"))
}

pub(super) fn is(topic: &str, text: &str) -> impl Fn(&Heard) -> bool {
    move |m| m.topic == topic && m.text == text
}

pub(super) const AVAILABILITY: &str = "doorline/lilas/availability";
pub(super) const DOOR: &str = "doorline/lilas/door/front/command";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_amid_events_gets_every_record_in_order_when_it_is_back() {
    let mut broker = Mosquitto::start();
    let gate = Gate::to(broker.port).await;
    let observer = Observer::connect(broker.port).await;
    let core = Arc::new(FakeCore::start());
    let handle = run(with_login(gate.port), &core);
    let writer = tokio::spawn({
        let core = Arc::clone(&core);
        async move { core.events(600).await }
    });
    observer
        .hear("the 100th record", |m| m.json()["seq"].as_u64() >= Some(100))
        .await;

    // the gateway is cut off in mid-stream; what the broker took, the observer has; then the broker dies
    gate.set_open(false);
    observer.barrier().await;
    broker.kill();
    fault(&handle).await;
    writer.await.expect("written");
    broker.restart();
    observer.subscribed(2).await;
    let last = core.events(50).await;
    assert!(handle.status().borrow().published < last);
    gate.set_open(true);

    observer
        .hear("the last record", |m| m.json()["seq"].as_u64() == Some(last.0))
        .await;
    let mut next = 1;
    for (seq, again) in observer.marked_seqs() {
        assert!(seq <= next, "record {next} is missing before {seq}");
        assert!(seq == next || again, "record {seq} came again without a mark");
        next = next.max(seq + 1);
    }
    assert_eq!(next, last.0 + 1);
    let mut status = handle.status();
    let all = status.wait_for(|status| status.published == last && status.fault.is_none());
    within("the cursor", all).await.expect("runs");
    assert_eq!(core.store.cursor("mqtt").get(), last);

    // nothing is told again after a restart of the interface
    handle.shutdown().await;
    observer.barrier().await;
    observer.forget();
    let handle = run(with_login(gate.port), &core);
    let next = core.events(1).await;
    observer
        .hear("the next record", |m| m.json()["seq"].as_u64() == Some(next.0))
        .await;
    assert_eq!(observer.seqs(), [next.0]);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_fresh_commands_open_and_each_is_answered() {
    let broker = Mosquitto::start();
    let gate = Gate::to(broker.port).await;
    let observer = Observer::connect(broker.port).await;
    observer
        .publish(DOOR, true, &open("kept", Timestamp::now()))
        .await;
    observer.barrier().await;
    let core = FakeCore::start();
    let handle = run(with_login(gate.port), &core);
    let refused = |reason: &str| ("refused".to_owned(), reason.to_owned());
    assert_eq!(answer(&observer, "kept").await, refused("stale"));

    observer
        .publish(
            DOOR,
            false,
            &open("old", Timestamp::now() - Duration::from_secs(11)),
        )
        .await;
    assert_eq!(answer(&observer, "old").await, refused("stale"));
    let untimed = r#"{"command":"open","id":"untimed"}"#;
    observer.publish(DOOR, false, untimed).await;
    assert_eq!(answer(&observer, "untimed").await, refused("untimed"));
    let lock = format!(r#"{{"command":"lock","id":"lock","at":"{}"}}"#, Timestamp::now());
    observer.publish(DOOR, false, &lock).await;
    assert_eq!(answer(&observer, "lock").await, refused("malformed"));
    observer
        .publish(
            "doorline/lilas/door/cellar/command",
            false,
            &open("cellar", Timestamp::now()),
        )
        .await;
    assert_eq!(answer(&observer, "cellar").await, refused("unknown"));
    assert_eq!(*core.opened.borrow(), 0);

    observer
        .publish(DOOR, false, &open("now", Timestamp::now()))
        .await;
    assert_eq!(answer(&observer, "now").await, ("ok".to_owned(), String::new()));
    assert_eq!(*core.opened.borrow(), 1);
    observer.forget();
    observer
        .publish(DOOR, false, &open("now", Timestamp::now()))
        .await;
    assert_eq!(answer(&observer, "now").await, refused("duplicate"));
    assert_eq!(*core.opened.borrow(), 1);
    // a refusal is in the journal too, so it comes as an event
    let is_record = |m: &Heard| m.json()["kind"] == "command.refused" && m.json()["reason"] == "duplicate";
    observer.hear("the record of the refusal", is_record).await;
    assert_eq!(handle.status().borrow().refused, 1);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_of_a_burst_has_one_answer_and_fifty_are_carried_out() {
    let broker = Mosquitto::start();
    let observer = Observer::connect(broker.port).await;
    let core = FakeCore::start();
    let handle = run(with_login(broker.port), &core);
    connected(&handle).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    // what cannot be read takes nothing away from the others
    for n in 0..100 {
        observer.publish(DOOR, false, &format!("flood {n}")).await;
    }
    let count = 600;
    for n in 0..count {
        observer
            .publish(DOOR, false, &open(&format!("b{n}"), Timestamp::now()))
            .await;
    }
    for n in 0..count {
        let (status, reason) = answer(&observer, &format!("b{n}")).await;
        if n < 50 {
            assert_eq!(status, "ok", "b{n}: {reason}");
        } else {
            assert!(status == "ok" || reason == "overload", "b{n}: {status} {reason}");
        }
    }
    observer.barrier().await;
    let answered: Vec<_> = observer
        .all()
        .into_iter()
        .filter(|m| m.topic == "doorline/lilas/response")
        .map(|m| m.json())
        .filter(|m| m["id"].is_string())
        .collect();
    assert_eq!(answered.len(), count, "one answer each");
    let ok = answered.iter().filter(|m| m["status"] == "ok").count();
    assert_eq!(u32::try_from(ok).expect("few"), *core.opened.borrow());
    assert!(ok < count, "nothing was refused");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_commands_is_bounded() {
    let broker = Mosquitto::start();
    let observer = Observer::connect(broker.port).await;
    let core = FakeCore::start();
    let handle = run(with_login(broker.port), &core);
    connected(&handle).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    for n in 0..400 {
        observer
            .publish(DOOR, false, &open(&format!("f{n}"), Timestamp::now()))
            .await;
    }
    observer.barrier().await;
    let mut status = handle.status();
    let counted = status.wait_for(|status| status.refused + u64::from(*core.opened.borrow()) >= 400);
    within("all judged", counted).await.expect("runs");
    assert!(*core.opened.borrow() < 300, "{}", *core.opened.borrow());
    let overload = |m: &Heard| m.topic == "doorline/lilas/response" && m.json()["reason"] == "overload";
    observer.hear("an overload", overload).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn availability_follows_the_gateway_by_last_will_and_farewell() {
    let broker = Mosquitto::start();
    let gate = Gate::to(broker.port).await;
    let observer = Observer::connect(broker.port).await;
    let core = FakeCore::start();
    let handle = run(with_login(gate.port), &core);
    observer.hear("online", is(AVAILABILITY, "online")).await;
    // states stand before the gateway says that it is online
    let all = observer.all();
    let place = |topic: &str| all.iter().position(|m| m.topic == topic).expect("heard");
    assert!(place("doorline/lilas/door/front/state") < place(AVAILABILITY));

    gate.set_open(false);
    observer.hear("the last will", is(AVAILABILITY, "offline")).await;
    observer.forget();
    gate.set_open(true);
    observer.hear("online again", is(AVAILABILITY, "online")).await;
    observer.forget();

    let last = core.door(DoorEvent::Opened {}).await;
    handle.shutdown().await;
    observer.hear("the farewell", is(AVAILABILITY, "offline")).await;
    let all = observer.all();
    let told = all.iter().position(|m| m.json()["seq"].as_u64() == Some(last.0));
    let bye = all.iter().position(|m| m.text == "offline");
    assert!(told.expect("the record is told") < bye.expect("heard"));
    let at_door =
        |m: &Heard| m.topic == "doorline/lilas/door/front/event" && m.json()["event_type"] == "opened";
    observer.hear("the door's event", at_door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_login_are_checked_and_their_faults_are_clear() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let tls = |ca: &str| MqttParams {
        host: "localhost".into(),
        tls: Some(MqttTls {
            ca_file: Some(broker.path(ca)),
            client: None,
        }),
        ..with_login(broker.tls_port)
    };
    let handle = run(tls("stranger.pem"), &core);
    let text = fault(&handle).await;
    assert!(
        text.contains("is signed by a CA we do not trust; set ca-file"),
        "{text}"
    );

    let wrong = MqttParams {
        login: Some((USER.into(), Secret::new("wrong"))),
        ..tls("ca.pem")
    };
    handle.apply(wrong);
    let mut status = handle.status();
    let refused = status.wait_for(|s| s.fault.as_ref().is_some_and(|f| f.contains("refused our login")));
    within("a refused login", refused).await.expect("runs");

    let by_address = MqttParams {
        host: "127.0.0.1".into(),
        ..tls("ca.pem")
    };
    handle.apply(by_address);
    let named = status.wait_for(|s| {
        s.fault
            .as_ref()
            .is_some_and(|f| f.contains("is for another host name"))
    });
    within("another name", named).await.expect("runs");

    handle.apply(tls("ca.pem"));
    connected(&handle).await;
    let observer = Observer::connect(broker.port).await;
    observer.hear("online over TLS", is(AVAILABILITY, "online")).await;
    assert_eq!(handle.status().borrow().fault, None);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_named_and_found_when_it_comes() {
    let mut broker = Mosquitto::start();
    broker.kill();
    let core = FakeCore::start();
    let handle = run(with_login(broker.port), &core);
    let text = fault(&handle).await;
    assert_eq!(
        text,
        format!(
            "nothing listens at 127.0.0.1:{}; is the broker running?",
            broker.port
        )
    );
    broker.restart();
    connected(&handle).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retained_topics_follow_the_site_and_a_starting_hub_gets_them_again() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let handle = run(with_login(broker.port), &core);
    let first = Observer::connect(broker.port).await;
    core.events(1).await;
    first
        .hear("an event", |m| m.topic == "doorline/lilas/event")
        .await;
    first.hear("online", is(AVAILABILITY, "online")).await;
    let config = "homeassistant/device/doorline_lilas_door_yard/config";

    // a client that comes later finds all of it kept
    let later = Observer::connect(broker.port).await;
    for topic in [
        AVAILABILITY,
        "doorline/lilas/doors",
        "doorline/lilas/info",
        "doorline/lilas/state",
        "doorline/lilas/door/yard/state",
        config,
    ] {
        later
            .hear(topic, |m| m.topic == topic && m.retain && !m.text.is_empty())
            .await;
    }
    assert!(!later.all().iter().any(|m| m.topic.ends_with("/event")));

    first.forget();
    first.publish("homeassistant/status", false, "online").await;
    first
        .hear("discovery again", |m| m.topic == config && !m.text.is_empty())
        .await;

    first.forget();
    let mut without = view();
    without.doors.truncate(1);
    core.view.send_replace(Arc::new(without));
    for topic in [
        config,
        "doorline/lilas/door/yard/state",
        "doorline/lilas/door/yard/availability",
    ] {
        first.hear("cleared", is(topic, "")).await;
    }

    let is_doors = |m: &Heard| m.topic == "doorline/lilas/doors" && !m.text.is_empty();
    let doors = first.hear("the doors that are left", is_doors).await.json();
    let ids: Vec<_> = doors["doors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| &d["id"])
        .collect();
    assert_eq!(ids, ["front"]);

    // a hub that did not run meanwhile removes only what it was told of
    first.forget();
    first.publish("homeassistant/status", false, "online").await;
    let ghost = first
        .hear("announced once more", |m| m.topic == config && !m.text.is_empty())
        .await;
    let open = &ghost.json()["components"]["open"];
    assert_eq!(
        (&open["unique_id"], &open["command_topic"]),
        (
            &"doorline_lilas_door_yard_open".into(),
            &"doorline/lilas/gone".into()
        )
    );
    first.hear("cleared again", is(config, "")).await;
    let late = Observer::connect(broker.port).await;
    late.hear("what is kept", is(AVAILABILITY, "online")).await;
    assert!(
        !late.all().iter().any(|m| m.topic == config),
        "a ghost is not kept"
    );
    core.view.send_replace(Arc::new(view()));
    first
        .hear("the door again", |m| m.topic == config && !m.text.is_empty())
        .await;

    // another base: what stood under the old one goes
    first.forget();
    handle.apply(MqttParams {
        base: "haus".into(),
        ..with_login(broker.port)
    });
    first
        .hear(
            "online under the new base",
            is("haus/lilas/availability", "online"),
        )
        .await;
    first
        .hear("the old state cleared", is("doorline/lilas/state", ""))
        .await;
    for topic in [
        AVAILABILITY,
        "doorline/lilas/alive",
        "doorline/lilas/doors",
        "doorline/lilas/info",
    ] {
        first.hear(topic, is(topic, "")).await;
    }
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_under_our_name_is_noticed_by_both() {
    let broker = Mosquitto::start();
    let (here, there) = (FakeCore::start(), FakeCore::start());
    let one = run(with_login(broker.port), &here);
    connected(&one).await;
    let two = run(
        MqttParams {
            instance: "ffeeddccbbaa99887766554433221100".into(),
            ..with_login(broker.port)
        },
        &there,
    );
    for (handle, other) in [
        (&one, "ffeeddccbbaa99887766554433221100"),
        (&two, "00112233445566778899aabbccddeeff"),
    ] {
        let mut status = handle.status();
        let seen = status.wait_for(|s| s.second_instance.as_deref() == Some(other));
        within("the other instance", seen).await.expect("runs");
    }
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_serves_events_states_and_commands() {
    let broker = EmbeddedBroker::start().expect("a broker");
    let observer = Observer::connect(broker.port()).await;
    let core = FakeCore::start();
    let handle = run(params(broker.port()), &core);
    observer.hear("online", is(AVAILABILITY, "online")).await;
    // it closes a connection of MQTT 5
    assert_eq!(handle.status().borrow().protocol, Some("3.1.1"));
    let last = core.events(200).await;
    observer
        .hear("the last record", |m| m.json()["seq"].as_u64() == Some(last.0))
        .await;
    assert_eq!(observer.seqs(), (1..=last.0).collect::<Vec<_>>());
    observer
        .publish(DOOR, false, &open("now", Timestamp::now()))
        .await;
    assert_eq!(answer(&observer, "now").await, ("ok".to_owned(), String::new()));
    handle.shutdown().await;
    observer.hear("the farewell", is(AVAILABILITY, "offline")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_acknowledges_nothing_is_left_and_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let core = FakeCore::start();
    let timing = Timing {
        stall: Duration::from_millis(300),
        ..QUICK
    };
    let old = MqttParams {
        protocol: MqttVersion::V3,
        ..params(port)
    };
    let handle = start_with(old, core.bus.clone(), Arc::new(TestClock::default()), timing);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (mut stream, _) = within("a connection", listener.accept()).await.expect("taken");
        let mut connect = [0; 2];
        stream.read_exact(&mut connect).await.expect("CONNECT");
        assert_eq!(connect[0], 0x10);
        // CONNACK, and never anything more
        stream.write_all(&[0x20, 2, 0, 0]).await.expect("sent");
        connected(&handle).await;
        streams.push(stream);
    }
    let mut status = handle.status();
    let stalled = status.wait_for(|s| {
        s.fault
            .as_ref()
            .is_some_and(|f| f.contains("acknowledged nothing"))
    });
    within("the fault", stalled).await.expect("runs");
    assert_eq!(core.store.cursor("mqtt").get().0, 0);
}
