//! Two relays as a Shelly of the second generation has them at a broker, on one topic: it takes `Switch.Set`, lets go by itself after
//! `toggle_after`, tells changes on `status/switch:0`, and says whether it is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, LastWill, MqttOptions, Packet, QoS};
use serde_json::{Value, json};

use crate::boottime_ns;
use crate::gateway::Edge;
use crate::ports::Use;
use crate::rig::{Rig, until};

/// The prefix of its topics.
const NAME: &str = "shelly";

/// A running one. Dropping it takes its supply away.
#[derive(Debug)]
pub struct Shelly {
    edges: Arc<Mutex<Vec<Edge>>>,
    ended: Arc<AtomicBool>,
    seen: usize,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Edges of the second relay say so in why they were.
pub(crate) const SECOND: &str = "second: ";

/// One of its relays.
#[derive(Default)]
struct One {
    off_at: Option<Instant>,
    on: bool,
}

struct Relay {
    client: Client,
    edges: Arc<Mutex<Vec<Edge>>>,
    of: [One; 2],
}

impl Relay {
    fn tell(&self, id: usize) {
        let state = json!({ "id": id, "source": "MQTT", "output": self.of[id].on }).to_string();
        let topic = format!("{NAME}/status/switch:{id}");
        let _ = self.client.try_publish(topic, QoS::AtLeastOnce, false, state);
    }

    fn tell_all(&self) {
        for id in 0..self.of.len() {
            self.tell(id);
        }
    }

    fn set(&mut self, id: usize, on: bool, why: &str) {
        if std::mem::replace(&mut self.of[id].on, on) != on {
            let which = if id == 0 { "" } else { SECOND };
            let edge = Edge {
                at_ns: boottime_ns(),
                energised: on,
                why: format!("{which}{why}"),
            };
            self.edges
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(edge);
            self.tell(id);
        }
    }

    fn take(&mut self, topic: &str, payload: &[u8]) {
        if topic == format!("{NAME}/command") {
            self.tell_all();
            return;
        }
        let Ok(order) = serde_json::from_slice::<Value>(payload) else {
            return;
        };
        let params = &order["params"];
        let id = params["id"].as_u64().and_then(|id| usize::try_from(id).ok());
        let Some(id) = id.filter(|id| order["method"] == "Switch.Set" && *id < self.of.len()) else {
            return;
        };
        let on = params["on"] == true;
        self.of[id].off_at = params["toggle_after"]
            .as_f64()
            .filter(|_| on)
            .map(|s| Instant::now() + Duration::from_secs_f64(s));
        self.set(id, on, "told");
    }

    fn time(&mut self) {
        for id in 0..self.of.len() {
            if self.of[id].off_at.is_some_and(|at| at <= Instant::now()) {
                self.of[id].off_at = None;
                self.set(id, false, "its own timer");
            }
        }
    }
}

impl Shelly {
    /// Switches it on; it connects, and again whenever the broker is there.
    #[must_use]
    pub fn start(rig: &Rig) -> Self {
        let mut options = MqttOptions::new(NAME, "127.0.0.1", rig.port(Use::Mqtt));
        options.set_keep_alive(Duration::from_secs(5));
        options.set_last_will(LastWill::new(
            format!("{NAME}/online"),
            "false",
            QoS::AtLeastOnce,
            true,
        ));
        let (client, mut connection) = Client::new(options, 64);
        let edges = Arc::<Mutex<Vec<Edge>>>::default();
        let ended = Arc::new(AtomicBool::new(false));
        let mut relay = Relay {
            client: client.clone(),
            edges: Arc::clone(&edges),
            of: Default::default(),
        };
        let stop = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                relay.time();
                match connection.recv_timeout(Duration::from_millis(10)) {
                    Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                        for topic in ["rpc", "command"] {
                            let _ = client.try_subscribe(format!("{NAME}/{topic}"), QoS::AtLeastOnce);
                        }
                        let _ = client.try_publish(format!("{NAME}/online"), QoS::AtLeastOnce, true, "true");
                        relay.tell_all();
                    }
                    Ok(Ok(Event::Incoming(Packet::Publish(message)))) => {
                        relay.take(&message.topic, &message.payload);
                    }
                    Ok(Err(_)) => std::thread::sleep(Duration::from_millis(50)),
                    Ok(Ok(_)) | Err(_) => {}
                }
            }
        });
        Self {
            edges,
            ended,
            seen: 0,
            thread: Some(thread),
        }
    }

    /// Waits for its next edge.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn edge(&mut self, limit: Duration) -> anyhow::Result<Edge> {
        let (edges, seen) = (&self.edges, &mut self.seen);
        until(limit, "an edge of the Shelly", || {
            let edges = edges.lock().unwrap_or_else(PoisonError::into_inner);
            let found = edges.get(*seen).cloned();
            *seen += usize::from(found.is_some());
            Ok(found)
        })
    }

    /// How often it was energised.
    #[must_use]
    pub fn pulses(&self) -> usize {
        let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        edges.iter().filter(|edge| edge.energised).count()
    }
}

impl Drop for Shelly {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
