//! An MQTT client of the demo: reads back what the gateway published, as any other client would.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::sync::Notify;

/// Messages kept at most; the demo makes some dozens.
const KEPT: usize = 4096;

/// Messages by topic, and who waits for the next one.
type Heard = Arc<(Mutex<VecDeque<(String, Value)>>, Notify)>;

/// Everything heard so far.
pub(crate) struct Observer {
    _client: AsyncClient,
    heard: Heard,
}

impl Observer {
    /// Connects to a broker on this machine and subscribes to everything.
    pub(crate) async fn connect(port: u16) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new("doorline-demo-observer", "127.0.0.1", port);
        options
            .set_keep_alive(Duration::from_secs(10))
            .set_max_packet_size(256 * 1024, 256 * 1024);
        let (client, mut events) = AsyncClient::new(options, 64);
        client.subscribe("#", QoS::AtLeastOnce).await?;
        let heard = Heard::default();
        let shared = Arc::clone(&heard);
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut ready = Some(ready);
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        if let Some(ready) = ready.take() {
                            let _ = ready.send(());
                        }
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        let value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                        let mut list = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                        if list.len() == KEPT {
                            list.pop_front();
                        }
                        list.push_back((message.topic, value));
                        drop(list);
                        shared.1.notify_waiters();
                    }
                    Ok(Event::Incoming(_) | Event::Outgoing(_)) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        let wait = tokio::time::timeout(Duration::from_secs(5), subscribed).await;
        wait.context("the demo's broker did not answer within 5 s")??;
        Ok(Self {
            _client: client,
            heard,
        })
    }

    /// Waits for a record of a kind on the event topic; the first one that `fits`.
    pub(crate) async fn record(
        &self,
        kind: &str,
        fits: impl Fn(&Value) -> bool,
        limit: Duration,
    ) -> anyhow::Result<Value> {
        let search = async {
            loop {
                let changed = self.heard.1.notified();
                if let Some(found) = self.find(kind, &fits) {
                    return found;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, search)
            .await
            .with_context(|| format!("no {kind} came over MQTT within {} s", limit.as_secs()))
    }

    /// Waits until `wanted` records of one ring were heard, and gives how many were.
    pub(crate) async fn of_ring(&self, ring: &str, wanted: usize, limit: Duration) -> anyhow::Result<usize> {
        let count = async {
            loop {
                let changed = self.heard.1.notified();
                let heard = self.count(ring);
                if heard >= wanted {
                    return heard;
                }
                changed.await;
            }
        };
        let counted = tokio::time::timeout(limit, count).await;
        counted.with_context(|| {
            format!(
                "the journal has {wanted} records of this ring, MQTT gave {}",
                self.count(ring)
            )
        })
    }

    fn count(&self, ring: &str) -> usize {
        let list = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_record = |topic: &str| topic.ends_with("/event") && topic.split('/').count() == 3;
        list.iter()
            .filter(|(topic, value)| is_record(topic) && value["ring_id"] == ring)
            .count()
    }

    fn find(&self, kind: &str, fits: &impl Fn(&Value) -> bool) -> Option<Value> {
        let list = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, value) = list
            .iter()
            .find(|(_, value)| value["kind"] == kind && fits(value))?;
        Some(value.clone())
    }
}
