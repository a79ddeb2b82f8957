//! MQTT 5 with a real broker, and with brokers that do not take it or that refuse something.

use gateway_core::{DoorEvent, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::broker::Mosquitto;
use super::params;
use super::peers::{FakeCore, Heard, Observer, within};
use super::whole::{AVAILABILITY, DOOR, answer, connected, is, open, run, with_login};
use crate::{MqttHandle, MqttParams, MqttVersion};

async fn fault(handle: &MqttHandle, what: &str) {
    let mut status = handle.status();
    let told = status.wait_for(|status| status.fault.as_ref().is_some_and(|text| text.contains(what)));
    within(what, told).await.expect("runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_kept_is_refused_and_cleared_also_while_we_are_connected() {
    let broker = Mosquitto::start();
    let core = FakeCore::start();
    let observer = Observer::connect(broker.port).await;
    let handle = run(with_login(broker.port), &core);
    connected(&handle).await;
    assert_eq!(handle.status().borrow().protocol, Some("5"));
    observer.hear("online", is(AVAILABILITY, "online")).await;
    for id in ["one", "two"] {
        observer.forget();
        observer.publish(DOOR, true, &open(id, Timestamp::now())).await;
        assert_eq!(answer(&observer, id).await, ("refused".into(), "stale".into()));
        observer.hear("cleared", is(DOOR, "")).await;
    }
    observer
        .publish(DOOR, false, &open("live", Timestamp::now()))
        .await;
    assert_eq!(answer(&observer, "live").await.0, "ok");
    assert_eq!(*core.opened.borrow(), 1);
    // what clears a kept command is no command
    let is_empty = |m: &Heard| m.text.contains("the message is empty");
    assert!(!observer.all().iter().any(is_empty), "{:#?}", observer.all());
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_the_broker_does_not_let_us_write_is_a_fault_in_words() {
    let broker = Mosquitto::with_access_list(
        "user door\ntopic read #\ntopic write doorline/lilas/+\ntopic write doorline/lilas/+/+/availability\n\
         topic write homeassistant/#\nuser owner\ntopic readwrite #\n",
    );
    let core = FakeCore::start();
    let handle = run(with_login(broker.port), &core);
    let mut status = handle.status();
    let told = status.wait_for(|status| {
        status.topics.as_ref().is_some_and(|text| {
            text.contains("/state: its access list does not allow it") && text.contains("doorline/lilas/")
        })
    });
    within("the fault", told).await.expect("runs");
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_for_the_broker_comes_cut_and_the_next_one_whole() {
    let broker = Mosquitto::with_largest_packet(2048);
    let core = FakeCore::start();
    let observer = Observer::connect(broker.port).await;
    let handle = run(with_login(broker.port), &core);
    connected(&handle).await;
    observer.hear("online", is(AVAILABILITY, "online")).await;
    let text = "the board says ".repeat(200);
    let large = core.door(DoorEvent::LockFault { text }).await.0;
    let small = core.door(DoorEvent::Opened {}).await.0;
    let event = |seq: u64| move |m: &Heard| m.topic == "doorline/lilas/event" && m.json()["seq"] == seq;
    observer.hear("the next one", event(small)).await;
    let all = observer.all();
    let record = |seq| all.iter().find(|m| event(seq)(m)).expect("it came").json();
    let (cut, whole) = (record(large), record(small));
    assert_eq!(
        (&cut["cut"], &cut["kind"]),
        (&true.into(), &"door.lock-fault".into())
    );
    assert!(cut.get("text").is_none(), "{cut}");
    assert!(
        whole.get("cut").is_none() && whole["kind"] == "door.opened",
        "{whole}"
    );
    let seqs = observer.seqs();
    assert!(seqs.ends_with(&[large, small]), "{seqs:?}");
    handle.shutdown().await;
}

/// A broker that answers each CONNECT as told; `None` closes the connection. Gives the levels of MQTT that were tried.
async fn asked(listener: &TcpListener, answers: &[Option<&[u8]>]) -> Vec<u8> {
    let mut levels = Vec::new();
    for answer in answers {
        let (mut stream, _) = within("a connection", listener.accept()).await.expect("taken");
        let mut connect = [0; 256];
        let mut had = 0;
        // type, length of one or two bytes, name, level
        while had < 10 {
            let more = stream.read(&mut connect[had..]).await.expect("CONNECT");
            assert!(more > 0, "the connection was closed");
            had += more;
        }
        let name = connect
            .windows(4)
            .position(|four| four == b"MQTT")
            .expect("a name");
        levels.push(connect[name + 4]);
        if let Some(answer) = answer {
            stream.write_all(answer).await.expect("sent");
            // until the other side has read it
            let _ = stream.read(&mut connect).await;
        }
    }
    levels
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_take_mqtt_5_is_spoken_to_in_3_1_1() {
    let core = FakeCore::start();
    let refuses: &[u8] = b"\x20\x03\x00\x84\x00";
    let old: &[u8] = b"\x20\x02\x00\x01";
    let login: &[u8] = b"\x20\x02\x00\x05";
    for (answers, levels) in [
        // said so: it is not asked again soon
        (vec![Some(refuses), Some(login), Some(login)], vec![5, 4, 4]),
        (vec![Some(old), Some(login), Some(login)], vec![5, 4, 4]),
        // only closed it: it is asked each time
        (vec![None, Some(login), None, Some(login)], vec![5, 4, 5, 4]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let handle = run(params(port), &core);
        assert_eq!(asked(&listener, &answers).await, levels);
        fault(&handle, "refused our login").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_set_is_not_left_and_the_fault_says_so() {
    let core = FakeCore::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let only = MqttParams {
        protocol: MqttVersion::V5,
        ..params(port)
    };
    let handle = run(only, &core);
    let old: &[u8] = b"\x20\x02\x00\x01";
    assert_eq!(asked(&listener, &[Some(old), Some(old)]).await, [5, 5]);
    fault(&handle, "does not take MQTT 5; set version").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_says_why_it_ends_the_connection() {
    let core = FakeCore::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let handle = run(params(port), &core);
    // CONNACK, and DISCONNECT as Mosquitto writes it when another client of this id comes
    let taken_over: &[u8] = b"\x20\x03\x00\x00\x00\xe0\x01\x8e";
    assert_eq!(asked(&listener, &[Some(taken_over)]).await, [5]);
    fault(&handle, "another client with our client id connected").await;
}
