//! The driver of a relay against a broker that does as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapter_api::OutputDriver as _;
use adapter_outside::{Availability, Broker, MqttRelay, Reading, RelayParams, StateParams};
use bytes::BytesMut;
use gateway_mqtt_wire::MqttVersion;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode, UnsubAck,
};
use rumqttc::v5::mqttbytes::v5 as five;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the broker does, and what it was sent.
#[derive(Default)]
struct Script {
    /// It says nothing of what it gets from now on.
    deaf: bool,
    /// How it takes MQTT 5.
    takes_5: Five,
    /// Ends of connections, each with what the system said of it.
    ended: Vec<String>,
    /// Sent right after each subscription, retained.
    kept: Vec<(&'static str, &'static str)>,
    got: Vec<String>,
    /// What the device answers to each command, in turn.
    says: VecDeque<(&'static str, &'static str)>,
}

/// How a broker takes MQTT 5.
#[derive(Clone, Copy, Default)]
enum Five {
    /// It closes the connection.
    Closes,
    /// It says that it does not.
    #[default]
    Refuses,
    /// It speaks it.
    Takes,
}

type Shared = Arc<Mutex<Script>>;

fn with<T>(script: &Shared, f: impl FnOnce(&mut Script) -> T) -> T {
    f(&mut script.lock().expect("not poisoned"))
}

async fn broker(script: Shared) -> Broker {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&script)));
        }
    });
    Broker {
        host: "127.0.0.1".into(),
        login: None,
        port,
        tls: None,
        version: MqttVersion::Auto,
    }
}

async fn send(stream: &mut TcpStream, packet: Packet) {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, 10_000).expect("written");
    let _ = stream.write_all(&bytes).await;
}

async fn serve(mut stream: TcpStream, script: Shared) {
    let mut buffer = BytesMut::new();
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) => return with(&script, |s| s.ended.push("closed".into())),
            Ok(_) => {}
            Err(error) => return with(&script, |s| s.ended.push(format!("{:?}", error.kind()))),
        }
        // the level follows kind, length and name (MQTT 5 §3.1.2.2)
        if buffer.first() == Some(&0x10) && buffer.get(8) == Some(&5) {
            match with(&script, |s| s.takes_5) {
                Five::Closes => return,
                Five::Refuses => {
                    let refused = ConnAck::new(ConnectReturnCode::RefusedProtocolVersion, false);
                    return send(&mut stream, Packet::ConnAck(refused)).await;
                }
                Five::Takes => return serve_5(stream, buffer, script).await,
            }
        }
        while let Ok(packet) = Packet::read(&mut buffer, 10_000) {
            answer(&mut stream, packet, &script).await;
        }
    }
}

/// The same in MQTT 5; what is published to `refused` is not taken.
async fn serve_5(mut stream: TcpStream, mut buffer: BytesMut, script: Shared) {
    loop {
        while let Ok(packet) = five::Packet::read(&mut buffer, None) {
            let (line, answer) = answer_5(packet);
            with(&script, |s| s.got.push(line));
            let mut bytes = BytesMut::new();
            if let Some(answer) = answer {
                answer.write(&mut bytes, None).expect("written");
            }
            let _ = stream.write_all(&bytes).await;
        }
        if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

fn answer_5(packet: five::Packet) -> (String, Option<five::Packet>) {
    if let five::Packet::Connect(_, will, _) = packet {
        let will = will.expect("a last will");
        let payload = String::from_utf8_lossy(&will.message).into_owned();
        let answer = five::ConnAck {
            session_present: false,
            code: five::ConnectReturnCode::Success,
            properties: None,
        };
        let line = format!("connect 5 {payload} {:?} {}", will.qos, will.retain);
        return (line, Some(five::Packet::ConnAck(answer)));
    }
    if let five::Packet::Publish(publish) = packet {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let payload = String::from_utf8_lossy(&publish.payload).into_owned();
        let expiry = publish.properties.and_then(|p| p.message_expiry_interval);
        let mut ack = five::PubAck::new(publish.pkid, None);
        if topic == "refused" {
            ack.reason = five::PubAckReason::NotAuthorized;
        }
        let answer = (publish.pkid != 0).then_some(five::Packet::PubAck(ack));
        return (
            format!("publish {topic} {payload} {:?} {expiry:?}", publish.qos),
            answer,
        );
    }
    if let five::Packet::Unsubscribe(fence) = packet {
        let answer = five::UnsubAck {
            pkid: fence.pkid,
            reasons: vec![five::UnsubAckReason::NoSubscriptionExisted],
            properties: None,
        };
        return ("fence".to_owned(), Some(five::Packet::UnsubAck(answer)));
    }
    panic!("{packet:?} is not asked for");
}

async fn answer(stream: &mut TcpStream, packet: Packet, script: &Shared) {
    let line = match &packet {
        Packet::Connect(connect) => {
            let will = connect.last_will.as_ref().expect("a last will");
            let payload = String::from_utf8_lossy(&will.message);
            format!(
                "connect {} {} {payload} {:?}",
                connect.client_id, will.topic, will.qos
            )
        }
        Packet::Publish(p) => {
            let payload = String::from_utf8_lossy(&p.payload);
            format!("publish {} {payload} {:?} {}", p.topic, p.qos, p.retain)
        }
        Packet::Subscribe(s) => format!("subscribe {}", s.filters.len()),
        Packet::Unsubscribe(_) => "fence".to_owned(),
        other @ (Packet::ConnAck(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq
        | Packet::PingResp
        | Packet::Disconnect) => format!("{other:?}"),
    };
    if with(script, |s| {
        s.got.push(line);
        s.deaf
    }) {
        return;
    }
    match packet {
        Packet::Connect(_) => {
            send(
                stream,
                Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)),
            )
            .await
        }
        Packet::Subscribe(s) => {
            let codes = vec![SubscribeReasonCode::Success(QoS::AtMostOnce); s.filters.len()];
            send(stream, Packet::SubAck(SubAck::new(s.pkid, codes))).await;
            for (topic, payload) in with(script, |s| s.kept.clone()) {
                let mut kept = Publish::new(topic, QoS::AtMostOnce, payload);
                kept.retain = true;
                send(stream, Packet::Publish(kept)).await;
            }
        }
        Packet::Publish(p) => {
            if p.qos == QoS::AtLeastOnce {
                send(stream, Packet::PubAck(PubAck::new(p.pkid))).await;
            }
            if let Some((topic, payload)) = with(script, |s| s.says.pop_front()) {
                send(
                    stream,
                    Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload)),
                )
                .await;
            }
        }
        Packet::Unsubscribe(u) => send(stream, Packet::UnsubAck(UnsubAck::new(u.pkid))).await,
        Packet::PingReq => send(stream, Packet::PingResp).await,
        other @ (Packet::ConnAck(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_)
        | Packet::PingResp
        | Packet::Disconnect) => panic!("{other:?} is not asked for"),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn params(state: bool, available: bool) -> RelayParams {
    RelayParams {
        availability: available.then(|| Availability {
            reading: Reading {
                field: None,
                on: words(&["true"]),
                off: words(&["false"]),
            },
            topic: "shelly/online".into(),
        }),
        client: "doorline-test-guard-strike".into(),
        off: "off".into(),
        on: "on,{s}".into(),
        self_timed: true,
        state: state.then(|| StateParams {
            ask: Some(("shelly/ask".into(), "?".into())),
            reading: Reading {
                field: Some("/output".into()),
                on: words(&["true"]),
                off: words(&["false"]),
            },
            topic: "shelly/state".into(),
        }),
        timeout: Duration::from_millis(400),
        topic: "shelly/command".into(),
    }
}

const ON: (&str, &str) = ("shelly/state", "{\"output\":true}");
const OFF: (&str, &str) = ("shelly/state", "{\"output\":false}");

#[tokio::test]
async fn a_relay_is_written_to_rest_first_and_what_opens_it_is_kept_by_nobody() {
    let script = Shared::default();
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(false, false));
    relay.claim(&[0]).await.expect("claimed");
    let pulse = relay
        .pulse(0, Duration::from_millis(3500))
        .expect("it has a timer");
    pulse.await.expect("energised");
    relay.set(0, false).await.expect("at rest");
    assert_eq!(relay.read_back(0).await.expect("it is there"), None);
    let want = [
        "connect doorline-test-guard-strike shelly/command off AtLeastOnce",
        "publish shelly/command off AtLeastOnce false",
        "publish shelly/command on,4 AtMostOnce false",
        "fence",
        "publish shelly/command off AtLeastOnce false",
    ];
    assert_eq!(with(&script, |s| s.got.clone()), want);
}

#[tokio::test]
async fn what_the_broker_does_not_confirm_goes_with_the_connection() {
    let script = Shared::default();
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(false, false));
    relay.claim(&[0]).await.expect("claimed");
    with(&script, |s| s.deaf = true);
    let pulse = relay.pulse(0, Duration::from_secs(3)).expect("it has a timer");
    let error = pulse.await.expect_err("nobody answers");
    assert!(
        error.text.contains("does not answer within 400 ms"),
        "{}",
        error.text
    );
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while with(&script, |s| s.ended.is_empty()) {
        assert!(tokio::time::Instant::now() < end, "the connection is still there");
        tokio::task::yield_now().await;
    }
    assert_eq!(with(&script, |s| s.ended.clone()), ["ConnectionReset"]);
    // and nothing is given to a device whose connection is gone
    assert!(relay.set(0, true).await.is_err());
    let orders = with(&script, |s| {
        s.got.iter().filter(|line| line.contains("on,")).count()
    });
    assert_eq!(orders, 1);
}

#[tokio::test]
async fn a_state_has_to_confirm_each_command() {
    let script = Shared::default();
    with(&script, |s| s.says.extend([OFF, OFF, OFF, ON, OFF, OFF]));
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(true, false));
    relay.claim(&[0]).await.expect("claimed");
    assert_eq!(relay.read_back(0).await.expect("it is there"), Some(false));
    relay
        .pulse(0, Duration::from_secs(3))
        .expect("a timer")
        .await
        .expect("energised");
    assert_eq!(relay.read_back(0).await.expect("it is there"), Some(true));
    relay.set(0, false).await.expect("at rest");
    // the device says how it is, and nothing of the order
    let error = relay.pulse(0, Duration::from_secs(3)).expect("a timer").await;
    let text = error.expect_err("it was not confirmed").text;
    assert!(
        text.contains("does not say on shelly/state within 400 ms that it is energised"),
        "{text}"
    );
}

#[tokio::test]
async fn a_device_that_hangs_and_can_be_asked_is_told_nothing_that_it_could_do_later() {
    let script = Shared::default();
    with(&script, |s| s.says.extend([OFF, OFF]));
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(true, false));
    relay.claim(&[0]).await.expect("claimed");
    let error = relay.pulse(0, Duration::from_secs(3)).expect("a timer").await;
    let text = error.expect_err("it does not answer").text;
    assert!(
        text.contains("says nothing within 400 ms: it was not told to open"),
        "{text}"
    );
    assert!(with(&script, |s| !s.got.iter().any(|line| line.contains("on,"))));
    // it goes on: it is written to rest and says so before it is used again
    with(&script, |s| s.says.extend([OFF, OFF, OFF, ON]));
    relay.claim(&[0]).await.expect("it is back");
    let pulse = relay.pulse(0, Duration::from_secs(3)).expect("a timer");
    pulse.await.expect("energised");
}

#[tokio::test]
async fn what_a_device_did_late_is_told_once_as_it_is_back() {
    let script = Shared::default();
    // at rest twice, asked, told, and silent
    with(&script, |s| s.says.extend([OFF, OFF, OFF]));
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(true, false));
    relay.claim(&[0]).await.expect("claimed");
    let pulse = relay.pulse(0, Duration::from_secs(3)).expect("a timer");
    pulse.await.expect_err("it does not say so");
    // it is asked how it is, and has done it
    with(&script, |s| s.says.extend([ON, OFF]));
    relay.claim(&[0]).await.expect("it rests");
    assert_eq!(relay.read_back(0).await.expect("it is there"), Some(true));
    assert_eq!(relay.read_back(0).await.expect("it is there"), Some(false));
}

#[tokio::test]
async fn what_the_broker_keeps_of_a_device_is_no_answer_of_it() {
    let script = Shared::default();
    with(&script, |s| {
        s.kept.push(OFF);
        s.says.extend([OFF, OFF]);
    });
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(true, false));
    relay.claim(&[0]).await.expect("claimed");
    let error = relay.pulse(0, Duration::from_secs(3)).expect("a timer").await;
    assert!(error.is_err(), "it was asked, and did not answer");
}

#[tokio::test]
async fn a_device_is_told_until_when_a_command_is_good() {
    let script = Shared::default();
    let params = RelayParams {
        on: "on,{s},{until}".into(),
        ..params(false, false)
    };
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params);
    relay.claim(&[0]).await.expect("claimed");
    let seconds = || {
        let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
        since.expect("after 1970").as_secs()
    };
    let before = seconds();
    let pulse = relay.pulse(0, Duration::from_secs(3)).expect("it has a timer");
    pulse.await.expect("energised");
    let got = with(&script, |s| s.got.clone());
    let told = got.iter().find_map(|line| line.split_once("on,3,"));
    let until = told.and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
    let until = until.expect("a time");
    // timeout and rounding
    assert!((before..=seconds() + 2).contains(&until), "{until}");
}

#[tokio::test]
async fn a_device_that_never_says_how_it_is_is_not_ready() {
    let script = Shared::default();
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(true, false));
    let text = relay.claim(&[0]).await.expect_err("it says nothing").text;
    assert!(
        text.contains("says nothing on shelly/state within 400 ms"),
        "{text}"
    );
}

#[tokio::test]
async fn a_device_that_is_away_is_not_told_to_open() {
    let script = Shared::default();
    with(&script, |s| s.kept.push(("shelly/online", "true")));
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(false, true));
    relay.claim(&[0]).await.expect("claimed");
    with(&script, |s| s.says.push_back(("shelly/online", "false")));
    relay.set(0, false).await.expect("it was there as it was told");
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while relay.read_back(0).await.is_ok() {
        assert!(tokio::time::Instant::now() < end, "it still counts as there");
        tokio::task::yield_now().await;
    }
    let text = relay.pulse(0, Duration::from_secs(3)).expect("a timer").await;
    let text = text.expect_err("it is away").text;
    assert!(
        text.contains("says on shelly/online that it is not there"),
        "{text}"
    );
    assert!(with(&script, |s| !s.got.iter().any(|line| line.contains("on,"))));
}

#[tokio::test]
async fn a_broker_of_mqtt_5_throws_away_what_opens_once_it_is_too_late_and_keeps_what_brings_to_rest() {
    let script = Shared::default();
    with(&script, |s| s.takes_5 = Five::Takes);
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(false, false));
    relay.claim(&[0]).await.expect("claimed");
    let pulse = relay
        .pulse(0, Duration::from_millis(3500))
        .expect("it has a timer");
    pulse.await.expect("energised");
    let want = [
        "connect 5 off AtLeastOnce false",
        "publish shelly/command off AtLeastOnce None",
        "publish shelly/command on,4 AtMostOnce Some(1)",
        "fence",
    ];
    assert_eq!(with(&script, |s| s.got.clone()), want);
}

#[tokio::test]
async fn what_a_broker_of_mqtt_5_does_not_take_is_told_with_why() {
    let script = Shared::default();
    with(&script, |s| s.takes_5 = Five::Takes);
    let params = RelayParams {
        topic: "refused".into(),
        ..params(false, false)
    };
    let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params);
    let text = relay.claim(&[0]).await.expect_err("it may not").text;
    assert!(
        text.contains("does not take what is said on refused: its access list does not allow it"),
        "{text}"
    );
}

#[tokio::test]
async fn a_broker_that_does_not_take_mqtt_5_is_spoken_to_in_3_1_1_at_once() {
    for takes_5 in [Five::Closes, Five::Refuses] {
        let script = Shared::default();
        with(&script, |s| s.takes_5 = takes_5);
        let mut relay = MqttRelay::new(broker(Arc::clone(&script)).await, params(false, false));
        relay.claim(&[0]).await.expect("claimed");
        let first = with(&script, |s| s.got.first().cloned());
        assert_eq!(
            first.as_deref(),
            Some("connect doorline-test-guard-strike shelly/command off AtLeastOnce")
        );
    }
    // where only 5 is allowed nothing else is tried
    let script = Shared::default();
    let only_5 = Broker {
        version: MqttVersion::V5,
        ..broker(Arc::clone(&script)).await
    };
    let mut relay = MqttRelay::new(only_5, params(false, false));
    let text = relay.claim(&[0]).await.expect_err("it speaks 3.1.1").text;
    assert!(
        text.contains("does not take MQTT 5; set version in [mqtt]"),
        "{text}"
    );
    assert_eq!(with(&script, |s| s.got.clone()), Vec::<String>::new());
}
