//! What stands at a real broker is so, whatever others write there.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::LockState;

use super::broker::Mosquitto;
use super::peers::{FakeCore, Heard, Observer, TestClock, within};
use super::view;
use super::whole::{AVAILABILITY, QUICK, is, run, with_login};
use crate::handle::{Timing, start_with};
use crate::{MqttHandle, MqttParams};

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
    one.shutdown().await;
    assert_eq!(text(&kept(&broker).await, AVAILABILITY), "offline");
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
