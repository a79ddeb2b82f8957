//! One connection: the task that drives it, and what the driver says and hears.
//!
//! It lives from the first packet to the last: what a client library keeps from one connection to the next is not needed,
//! because the journal is the outbox, and what was not said goes with the connection. Both versions of MQTT have one way
//! ([`link`]) and one vocabulary (`gateway-mqtt-wire`).

mod link;
mod tls;
mod trouble;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use self::link::{Event, Order};
pub(crate) use self::trouble::Trouble;
pub(crate) use gateway_mqtt_wire::{Came, Filter, Message, Qos, Spoken, Welcome, With};

use self::link::Link;
use self::trouble::trouble;
use crate::outbox::WINDOW;
use crate::params::MqttParams;

/// The broker notices within one and a half of this that we are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Largest packet we take. Commands are shorter; only what others write on our topics could be longer.
const INCOMING: usize = 256 * 1024;
// the largest packet that is sent: a record with all its texts at their longest, escaped, is below
const _: () = assert!(gateway_mqtt_wire::OUTGOING >= 1024 * 1024);
/// A broker that takes only shorter packets than this will not do.
const LEAST: usize = 2048;
/// Acknowledgements that may wait to be sent; a broker of MQTT 5 sends no more than so many messages before them.
pub(crate) const ACKS: usize = 32;
/// What may wait to be sent beside publishes: acknowledgements, and subscriptions and the farewell.
const ORDERS: usize = ACKS + 8;
/// Events that may wait for us.
const EVENTS: usize = 128;
// above the outbox's own limit of publishes that are not acknowledged
const _: () = assert!(gateway_mqtt_wire::INFLIGHT as usize > WINDOW);

/// It did not take what we say: too much waits, or it is gone.
#[derive(Debug)]
pub(crate) struct NotTaken;

/// Says what we want to say.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    orders: mpsc::Sender<Order>,
    publishes: mpsc::Sender<Message>,
}

impl Client {
    /// A client, and both queues of what it says.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Message>, mpsc::Receiver<Order>) {
        let (orders, wanted) = mpsc::channel(ORDERS);
        let (publishes, messages) = mpsc::channel(WINDOW);
        (Self { orders, publishes }, messages, wanted)
    }

    pub(crate) fn publish(&self, message: Message) -> Result<(), NotTaken> {
        self.publishes.try_send(message).map_err(|_| NotTaken)
    }

    pub(crate) fn order(&self, order: Order) -> Result<(), NotTaken> {
        self.orders.try_send(order).map_err(|_| NotTaken)
    }
}

/// A client and the task behind it. Dropping it closes the socket, and the last will speaks.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// Ends after the first trouble.
    pub(crate) events: mpsc::Receiver<Result<Event, Trouble>>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Begins to connect; the first event tells how it went.
    pub(crate) fn open(params: &MqttParams, version: Spoken, availability: &str) -> Self {
        let (client, publishes, orders) = Client::new();
        let (tell, events) = mpsc::channel(EVENTS);
        let (params, availability) = (params.clone(), availability.to_owned());
        let task = tokio::spawn(async move {
            let mut link = match Link::open(&params, version, &availability, publishes, orders).await {
                Ok(link) => link,
                Err(error) => {
                    let _ = tell.send(Err(trouble(&error, version, false, &params))).await;
                    return;
                }
            };
            loop {
                let event = link.next().await;
                let event = event.map_err(|error| trouble(&error, version, true, &params));
                let over = event.is_err();
                if tell.send(event).await.is_err() || over {
                    return;
                }
            }
        });
        Self { client, events, task }
    }
}

impl Connection {
    /// Why it ended, if it did and nobody has been told.
    pub(crate) fn ended(&mut self) -> Option<Trouble> {
        while let Ok(event) = self.events.try_recv() {
            if let Err(trouble) = event {
                return Some(trouble);
            }
        }
        None
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
